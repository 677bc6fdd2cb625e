//! The buffers themselves: who has them, how many there are, and that none is lost.

use std::io::Write as _;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use spargio::Runtime;
use spargio::net::RecvBuf;

use super::{join, leased, next, small, with, write_pattern};
use crate::net::{pair, pattern, poll_once, yield_now};
use crate::support::{elsewhere, watched};

#[test]
fn the_buffers_are_those_of_the_shard() {
    with(Runtime::builder().shards(1), |handle| async move {
        let (stream, mut peer) = pair().await;
        let mut incoming = stream.recv_stream();
        for _ in 0..200 {
            peer.write_all(b"piece").unwrap();
            let bytes = next(&mut incoming).await;
            assert!(bytes.is_provided());
            assert_eq!(&bytes[..], b"piece");
        }
        let stats = handle.stats_snapshot().total();
        assert_eq!(stats.recv_unprovided, 0);
        assert_eq!(stats.recv_buffers, 32);
        // One receive, and the accept before it.
        assert!(stats.ops_submitted < 10, "{stats:?}");
    });
}

#[test]
pub(crate) fn streams_go_on_while_all_buffers_are_held() {
    const STREAMS: usize = 12;
    with(small(1), |handle| async move {
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            let (stream, peer) = pair().await;
            streams.push((stream.recv_stream(), peer, Vec::<RecvBuf>::new()));
        }
        for round in 0..5u8 {
            for (incoming, peer, held) in &mut streams {
                peer.write_all(&[round; 3]).unwrap();
                held.push(next(incoming).await);
            }
        }
        assert_eq!(leased(&handle), 4);
        assert!(handle.stats_snapshot().total().recv_unprovided > 0);
        // They come back on another thread, and are used again.
        let held: Vec<RecvBuf> =
            streams.iter_mut().flat_map(|(_, _, held)| std::mem::take(held)).collect();
        let provided = held.iter().filter(|bytes| bytes.is_provided()).count();
        assert_eq!(provided, 4);
        assert_eq!(held.iter().map(|bytes| bytes.len()).sum::<usize>(), STREAMS * 5 * 3);
        join(thread::spawn(move || drop(held))).await;
        assert_eq!(leased(&handle), 0);
        let mut again = 0;
        for round in 0..5u8 {
            for (incoming, peer, _) in &mut streams {
                peer.write_all(&[round; 3]).unwrap();
                again += usize::from(next(incoming).await.is_provided());
            }
        }
        assert!(again > STREAMS, "{again} of {} receives into provided buffers", 5 * STREAMS);
    });
}

#[test]
pub(crate) fn a_hundred_streams_share_a_small_pool_and_each_gets_its_bytes() {
    const LEN: usize = 20_000;
    with(small(2), |_| async {
        let mut tasks = Vec::new();
        for number in 0..100 {
            let (stream, peer) = pair().await;
            tasks.push(spargio::spawn(async move {
                let mut incoming = stream.recv_stream();
                let writer = write_pattern(peer, LEN + number);
                let mut all = Vec::new();
                let mut held = Vec::new();
                while let Some(bytes) = incoming.next().await {
                    held.push(bytes.unwrap());
                    if held.len() > number % 5 {
                        held.drain(..).for_each(|bytes: RecvBuf| all.extend_from_slice(&bytes));
                        yield_now().await;
                    }
                }
                held.drain(..).for_each(|bytes| all.extend_from_slice(&bytes));
                assert!(all == pattern(LEN + number));
                join(writer).await;
            }));
        }
        for task in tasks {
            task.unwrap().await.unwrap();
        }
    });
}

#[test]
fn buffers_dropped_on_other_threads_are_filled_again_and_never_twice_at_once() {
    const LEN: usize = 2 << 20;
    with(small(1), |_| async {
        let (stream, peer) = pair().await;
        let writer = write_pattern(peer, LEN);
        let (give, take) = mpsc::channel::<RecvBuf>();
        // It looks at the bytes long after the stream has gone on.
        let reader = thread::spawn(move || {
            let (mut all, mut late) = (Vec::new(), Vec::new());
            for bytes in take {
                late.push(bytes);
                if late.len() == 3 {
                    late.drain(..).for_each(|bytes: RecvBuf| all.extend_from_slice(&bytes));
                }
            }
            late.drain(..).for_each(|bytes| all.extend_from_slice(&bytes));
            assert!(all == pattern(LEN));
        });
        let mut incoming = stream.recv_stream();
        let mut provided = 0;
        while let Some(bytes) = incoming.next().await {
            let bytes = bytes.unwrap();
            provided += usize::from(bytes.is_provided());
            give.send(bytes).unwrap();
        }
        drop(give);
        join(reader).await;
        join(writer).await;
        assert!(provided > 4, "only {provided} receives into provided buffers");
    });
}

#[test]
fn buffers_outlive_their_runtime() {
    watched(|watch| {
        let runtime = watch.build(small(1));
        let handle = runtime.handle();
        let task = handle.spawn_pinned(0, async {
            let (stream, mut peer) = pair().await;
            let mut incoming = stream.recv_stream();
            let mut held = Vec::new();
            for at in 0..6u8 {
                peer.write_all(&[at; 200]).unwrap();
                held.push(next(&mut incoming).await);
            }
            // Armed, and nobody takes what comes.
            assert!(poll_once(&mut Box::pin(incoming.next())).await.is_pending());
            (incoming, peer, held)
        });
        let (incoming, mut peer, held) = elsewhere(task.unwrap()).unwrap();
        let report = runtime.shutdown_timeout(crate::support::SOON);
        assert_eq!((report.operations_leaked, report.shards_stuck), (0, 0), "{report}");
        // Whether it is refused or goes to a socket that nobody reads.
        let _ = peer.write_all(&[0xee; 200]);
        assert_eq!(leased(&handle), 4);
        for (at, bytes) in held.iter().enumerate() {
            assert!(bytes.iter().all(|byte| usize::from(*byte) == at), "{at}: {bytes:?}");
        }
        thread::spawn(move || drop(held)).join().unwrap();
        assert_eq!(leased(&handle), 0);
        drop(incoming);
    });
}

#[test]
fn there_are_more_buffers_while_many_are_held_and_fewer_after() {
    let builder = Runtime::builder().shards(1).recv_buffer_size(4096).recv_buffers(8, 64);
    with(builder, |handle| async move {
        let count = || handle.stats_snapshot().total().recv_buffers;
        let (stream, mut peer) = pair().await;
        let mut incoming = stream.recv_stream();
        let mut held = Vec::new();
        for at in 0..60u8 {
            peer.write_all(&[at]).unwrap();
            held.push(next(&mut incoming).await);
            assert!(held.iter().all(RecvBuf::is_provided), "buffer {at}");
        }
        assert_eq!(count(), 64);
        for (at, bytes) in held.iter().enumerate() {
            assert_eq!(bytes[..], [at as u8]);
        }
        drop((held, incoming, stream));
        while count() != 8 {
            spargio::sleep(Duration::from_millis(1)).await;
        }
        // And they are used as before.
        let (stream, mut peer) = pair().await;
        let mut incoming = stream.recv_stream();
        for at in 0..40u8 {
            peer.write_all(&[at]).unwrap();
            let bytes = next(&mut incoming).await;
            assert!(bytes.is_provided());
            assert_eq!(bytes[..], [at]);
        }
        assert_eq!(count(), 8);
    });
}

#[test]
fn a_stream_that_goes_on_gets_by_with_fewer_buffers_after_a_while() {
    let builder = Runtime::builder().shards(1).recv_buffer_size(4096).recv_buffers(8, 32);
    with(builder, |handle| async move {
        let count = || handle.stats_snapshot().total().recv_buffers;
        let (stream, mut peer) = pair().await;
        let mut incoming = stream.recv_stream();
        let mut held = Vec::new();
        for at in 0..30u8 {
            peer.write_all(&[at]).unwrap();
            held.push(next(&mut incoming).await);
        }
        assert_eq!(count(), 32);
        drop(held);
        // Its receive stays armed all the time.
        let mut at = 0u8;
        while count() != 8 {
            at = at.wrapping_add(1);
            peer.write_all(&[at]).unwrap();
            assert_eq!(next(&mut incoming).await[..], [at]);
            spargio::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(handle.stats_snapshot().total().recv_unprovided, 0);
    });
}
