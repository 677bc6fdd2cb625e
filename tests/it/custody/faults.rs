//! Kernels and drivers that refuse, repeat, overflow and break.

use std::fs::File as StdFile;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use spargio::fs::{File, register_fixed};
use spargio::net::{TcpListener, TcpStream};
use spargio::{FixedPool, IoBuf as _, Runtime};

use super::canary::Graveyard;
use super::faulty::{self, Faults};
use super::{connections, poll_once};
use crate::support::{Plug, SOON, elsewhere, wait_until, watched};

/// A pipe: our end as a file of the runtime, and the other.
fn pipe() -> (StdFile, io::PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    (StdFile::from(OwnedFd::from(reader)), writer)
}

#[test]
fn all_reads_end_when_more_connections_close_than_completions_fit() {
    watched(|watch| {
        const CONNECTIONS: usize = 1_000;
        let builder = Runtime::builder().shards(1).ring_entries(8).cq_entries(16);
        let runtime = watch.build(builder);
        let handle = runtime.handle();
        let yard = Graveyard::default();
        let (own, peers): (Vec<_>, Vec<_>) = connections(CONNECTIONS).into_iter().unzip();
        let read = |own| {
            let stream = TcpStream::from_std_on(&handle, own).unwrap();
            let buf = yard.buffer(64);
            handle.spawn_pinned(0, async move { stream.read(buf).await.0 }).unwrap()
        };
        let reads: Vec<_> = own.into_iter().map(read).collect();
        wait_until("all are in flight", || {
            runtime.stats_snapshot().total().in_flight == CONNECTIONS as u64
        });
        // The shard looks away while they close.
        let plug = Plug::new(&handle, 0);
        drop(peers);
        drop(plug);
        for read in reads {
            assert_eq!(elsewhere(read).unwrap().unwrap(), 0);
        }
        assert_eq!(runtime.stats_snapshot().total().stale_completions, 0);
    });
}

#[test]
fn cancels_that_overflow_both_queues_all_arrive() {
    watched(|watch| {
        const READS: usize = 1_000;
        let builder = Runtime::builder().shards(1).ring_entries(8).cq_entries(16);
        let runtime = watch.build(builder);
        let handle = runtime.handle();
        let yard = Graveyard::default();
        let pipes: Vec<_> = (0..READS / 10).map(|_| pipe()).collect();
        for _ in 0..3 {
            let files: Vec<_> = pipes
                .iter()
                .map(|(reader, _)| File::from_std_on(&handle, reader.try_clone().unwrap()))
                .collect();
            let bufs = yard.clone();
            let task = handle.spawn_pinned(0, async move {
                let mut reads = Vec::new();
                for file in &files {
                    for _ in 0..10 {
                        reads.push(file.read_at(bufs.buffer(64), 0));
                    }
                }
                for read in &mut reads {
                    assert!(poll_once(read).await.is_pending());
                }
                // All cancels at once, some before their reads were handed over.
                drop(reads);
            });
            elsewhere(task.unwrap()).unwrap();
            wait_until("all are cancelled", || yard.alive() == 0);
            let in_flight = || runtime.stats_snapshot().total().in_flight;
            wait_until("none is in flight", || in_flight() == 0);
        }
        yard.assert_at_rest();
    });
}

#[test]
pub(crate) fn an_operation_that_the_kernel_refuses_holds_up_none_behind_it() {
    watched(|watch| {
        const READS: usize = 30;
        for refused in [1, 2, READS / 2] {
            let faults = Arc::<Faults>::default();
            let runtime = watch.build(faulty::builder(&faults).shards(1));
            let handle = runtime.handle();
            let yard = Graveyard::default();
            let mut files = Vec::new();
            let mut writers = Vec::new();
            for _ in 0..READS {
                let (reader, mut writer) = pipe();
                writer.write_all(b"here").unwrap();
                files.push(File::from_std_on(&handle, reader));
                writers.push(writer);
            }
            faults.refused.store(refused, Ordering::SeqCst);
            let bufs = yard.clone();
            let task = handle.spawn_pinned(0, async move {
                let mut reads = Vec::new();
                for file in &files {
                    reads.push(file.read_at(bufs.buffer(4), 0));
                }
                // All of them are handed over together, the bad ones first.
                for read in &mut reads {
                    assert!(poll_once(read).await.is_pending());
                }
                let mut results = Vec::new();
                for read in reads {
                    let (result, buf) = read.await;
                    assert!(result.is_err() || buf.as_init() == b"here");
                    results.push(result.map_err(|error| error.raw_os_error()));
                }
                results
            });
            let results = elsewhere(task.unwrap()).unwrap();
            let (bad, good) = results.split_at(refused);
            assert!(bad.iter().all(|result| *result == Err(Some(libc::EINVAL))), "{results:?}");
            assert!(good.iter().all(|result| *result == Ok(4)), "{results:?}");
        }
    });
}

#[test]
pub(crate) fn completions_that_come_twice_or_late_change_nothing_and_are_counted() {
    watched(|watch| {
        const ROUNDS: usize = 500;
        let faults = Arc::<Faults>::default();
        let runtime = watch.build(faulty::builder(&faults).shards(2));
        let handle = runtime.handle();
        faults.echoes.store(true, Ordering::SeqCst);
        let (own, peers): (Vec<_>, Vec<_>) = connections(16).into_iter().unzip();
        let echo = |own| {
            let stream = TcpStream::from_std_on(&handle, own).unwrap();
            let serve = async move {
                let mut buf = vec![0; 8].into_boxed_slice();
                loop {
                    let result;
                    (result, buf) = stream.read_exact(buf).await;
                    if result.is_err() {
                        return;
                    }
                    (_, buf) = stream.write_all(buf).await;
                }
            };
            handle.spawn_stealable(serve).unwrap()
        };
        let tasks: Vec<_> = own.into_iter().map(echo).collect();
        let talk = |mut peer: std::net::TcpStream| {
            thread::spawn(move || {
                peer.set_read_timeout(Some(SOON)).unwrap();
                for round in 0..ROUNDS as u64 {
                    peer.write_all(&round.to_le_bytes()).unwrap();
                    let mut back = [0; 8];
                    peer.read_exact(&mut back).unwrap();
                    assert_eq!(u64::from_le_bytes(back), round);
                }
            })
        };
        let talks: Vec<_> = peers.into_iter().map(talk).collect();
        talks.into_iter().for_each(|talk| talk.join().unwrap());
        tasks.into_iter().for_each(|task| elsewhere(task).unwrap());
        let stale = runtime.stats_snapshot().total().stale_completions;
        assert!(stale as usize >= 16 * ROUNDS, "{stale} were counted");
    });
}

/// What a runtime does whose driver breaks under operations in flight.
fn breaks(breakage: impl Fn(&Faults) + Send + 'static, panics: bool) {
    watched(move |watch| {
        for shards in [1, 2] {
            let faults = Arc::<Faults>::default();
            let mut runtime = watch.build(faulty::builder(&faults).shards(shards));
            let handle = runtime.handle();
            let yard = Graveyard::default();
            let (own, mut peers): (Vec<_>, Vec<_>) = connections(200).into_iter().unzip();
            let read = |own| {
                let stream = TcpStream::from_std_on(&handle, own).unwrap();
                let buf = yard.buffer(256);
                handle.spawn_stealable(async move { stream.read(buf).await.0 }).unwrap()
            };
            let reads: Vec<_> = own.into_iter().map(read).collect();
            wait_until("all are in flight", || {
                runtime.stats_snapshot().total().in_flight == reads.len() as u64
            });
            breakage(&faults);
            for _ in 0..3 {
                for peer in &mut peers {
                    let _ = peer.write(&[0x11; 64]); // Its other end may be closed.
                }
            }
            for read in reads {
                // It may have got its bytes before.
                drop(elsewhere(read));
            }
            let report = elsewhere(runtime.shutdown());
            assert_eq!(report.shards_panicked > 0, panics, "{report}");
            assert_eq!(report.failures.is_empty(), panics, "{report}");
            for _ in 0..3 {
                for peer in &mut peers {
                    let _ = peer.write(&[0x11; 64]);
                }
            }
            assert!(yard.alive() <= report.operations_leaked.max(200));
            yard.assert_at_rest();
        }
    });
}

#[test]
fn a_driver_that_breaks_leaves_no_writer_to_freed_buffers() {
    breaks(|faults| faults.broken.store(true, Ordering::SeqCst), false);
}

#[test]
fn a_driver_that_panics_leaves_no_writer_to_freed_buffers() {
    breaks(|faults| faults.panics.store(true, Ordering::SeqCst), true);
}

/// Futures that a foreign thread waits with for operations of a shard, which then goes.
fn leaves(breakage: impl Fn(&Faults) + Send + 'static) {
    watched(move |watch| {
        let faults = Arc::<Faults>::default();
        let mut runtime = watch.build(faulty::builder(&faults).shards(1));
        let handle = runtime.handle();
        let yard = Graveyard::default();
        let (own, mut peer) = connections(1).pop().unwrap();
        let read = {
            let stream = TcpStream::from_std_on(&handle, own).unwrap();
            let buf = yard.buffer(64);
            thread::spawn(move || elsewhere(stream.read(buf)).0)
        };
        let std = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::from_std_on(&handle, std).unwrap();
        let accept = {
            let listener = listener.clone();
            thread::spawn(move || elsewhere(listener.accept()).map(drop))
        };
        wait_until("both are in flight", || runtime.stats_snapshot().total().in_flight == 2);
        breakage(&faults);
        drop(handle.spawn_stealable(async {}));
        let error = accept.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{error}");
        assert!(error.to_string().contains("shard 0 ended before"), "{error}");
        let report = elsewhere(runtime.shutdown());
        assert_eq!(report.operations_leaked, 2, "{report}");
        // There is no buffer that it could give back.
        let panic = read.join().unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("shard 0 ended before") && text.contains("leaked"), "{text}");
        assert_eq!(yard.alive(), 1, "the kernel may still write to it");
        let _ = peer.write(&[0x11; 64]); // The other end may be closed.
        // Nor does a listener wait for an operation that nothing will come of.
        elsewhere(listener.close());
    });
}

#[test]
fn futures_elsewhere_end_when_a_driver_breaks() {
    leaves(|faults| faults.broken.store(true, Ordering::SeqCst));
}

#[test]
fn futures_elsewhere_end_when_a_driver_panics() {
    leaves(|faults| faults.panics.store(true, Ordering::SeqCst));
}

#[test]
fn a_doorbell_that_finds_no_room_to_be_armed_is_no_failure_and_rings_later() {
    watched(|watch| {
        let faults = Arc::<Faults>::default();
        let mut runtime = watch.build(faulty::builder(&faults).shards(1));
        let handle = runtime.handle();
        for round in 1..20 {
            faults.crowded.store(3 * round, Ordering::SeqCst);
            faults.unwatched.store(1, Ordering::SeqCst);
            for _ in 0..3 {
                let parks = || runtime.stats_snapshot().total().parks;
                let before = parks();
                elsewhere(handle.spawn_stealable(async {}).unwrap()).unwrap();
                wait_until("it sleeps again", || parks() > before);
            }
            wait_until("the watch is armed", || faults.crowded.load(Ordering::SeqCst) == 0);
        }
        let report = elsewhere(runtime.shutdown());
        assert!(report.failures.is_empty(), "{report}");
    });
}

#[test]
fn a_pool_gets_no_number_that_the_ring_did_not_give_back() {
    watched(|watch| {
        let faults = Arc::<Faults>::default();
        let runtime = watch.build(faulty::builder(&faults).shards(1));
        let handle = runtime.handle();
        let (reader, mut writer) = pipe();
        let file = Arc::new(File::from_std_on(&handle, reader));
        // The last one takes all of them back, and gets the first.
        for (round, is_retentive) in [true, true, false].into_iter().enumerate() {
            let text = format!("round {round}");
            writer.write_all(text.as_bytes()).unwrap();
            faults.retentive.store(is_retentive, Ordering::SeqCst);
            let file = Arc::clone(&file);
            let task = handle.spawn_pinned(0, async move {
                let pool = FixedPool::new(1, 4096).unwrap();
                register_fixed(&pool).unwrap();
                let (result, buf) = file.read_at(pool.try_lease().unwrap(), 0).await;
                result.map(|_| buf.to_vec())
            });
            let read = elsewhere(task.unwrap()).unwrap().unwrap();
            assert_eq!(String::from_utf8(read).unwrap(), text);
            let total = runtime.stats_snapshot().total();
            assert_eq!((total.fixed_ops, total.fixed_refused), (round as u64 + 1, 0));
        }
        assert_eq!(*faults.registered.lock().unwrap(), [0, 1, 0]);
    });
}
