//! What the kernel works with, and what it answers.

use std::fs::File as StdFile;
use std::io;
use std::net;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use spargio::fs::File;
use spargio::net::TcpStream;
use spargio::{Assembly, Runtime, RuntimeOf};

use crate::custody::canary::Graveyard;
use crate::custody::ends::{Peers, read_for_ever, start_and_panic};
use crate::custody::faulty::{self, Faults};
use crate::custody::{connections, drops, faults, numbers, poll_once};
use crate::net::ends::numbers_of_closed_streams_are_not_read_by_their_old_receives;
use crate::support::{Plug, alone, asleep, elsewhere, wait_until, watched};

/// Operations in flight at the same time.
const MANY: usize = 2_000;

/// Streams, and the peers that send to them.
fn streams<A: Assembly>(runtime: &RuntimeOf<A>) -> (Vec<TcpStream>, Vec<net::TcpStream>) {
    let ours = |(own, peer)| (TcpStream::from_std_on(&runtime.handle(), own).unwrap(), peer);
    connections(MANY).into_iter().map(ours).unzip()
}

fn all_are_in_flight<A: Assembly>(runtime: &RuntimeOf<A>) {
    let in_flight = || runtime.stats_snapshot().total().in_flight;
    wait_until("all operations are in flight", || in_flight() == MANY as u64);
}

/// Reads on a runtime whose peers send before, during and after its end. How many buffers may be
/// left, because the kernel still has them, is what the end says.
fn end_under_load<A: Assembly>(runtime: RuntimeOf<A>, end: impl FnOnce(RuntimeOf<A>) -> usize) {
    let yard = Graveyard::default();
    let (streams, peers) = streams(&runtime);
    for stream in streams {
        let read = read_for_ever(stream, yard.buffer(1_024));
        drop(runtime.handle().spawn_stealable(read).unwrap());
    }
    all_are_in_flight(&runtime);
    let peers = Peers::new(peers);
    let leaked = end(runtime);
    peers.go_on(3);
    yard.assert_at_rest();
    wait_until("the other buffers are let go", || yard.alive() <= leaked);
    yard.assert_at_rest();
}

/// As above, of a task that panics while the runtime goes on.
fn panic_under_load(runtime: &Runtime) {
    let yard = Graveyard::default();
    let (streams, peers) = streams(runtime);
    let task = runtime.handle().spawn_stealable(start_and_panic(streams, yard.clone()));
    let peers = Peers::new(peers);
    assert!(elsewhere(task.unwrap()).unwrap_err().is_panic());
    peers.go_on(3);
    wait_until("the buffers are let go", || yard.alive() == 0);
    yard.assert_at_rest();
}

/// When a runtime is dropped, is not given the time to end, loses its driver or has a task panic,
/// with 2,000 reads in flight and peers that go on sending, the kernel never writes to a buffer
/// that was freed.
#[test]
fn c02_buffers_outlive_the_kernel() {
    alone("checklist::kernel::c02_buffers_outlive_the_kernel", || {
        watched(|watch| {
            end_under_load(watch.build(Runtime::builder()), |runtime| {
                drop(runtime);
                0
            });
            end_under_load(watch.build(Runtime::builder()), |runtime| {
                runtime.shutdown_timeout(Duration::ZERO).operations_leaked
            });
            panic_under_load(&watch.build(Runtime::builder()));
            let faults = Arc::<Faults>::default();
            end_under_load(watch.build(faulty::builder(&faults)), |mut runtime| {
                faults.broken.store(true, Ordering::SeqCst);
                drop(runtime.handle().spawn_stealable(async {}));
                let report = elsewhere(runtime.shutdown());
                assert!(!report.failures.is_empty(), "{report}");
                report.operations_leaked
            });
        });
    });
}

/// An operation that was given up, on a file, a pipe or a socket, never touches what has the number
/// of its descriptor next.
#[test]
fn c03_operation_holds_its_fd() {
    numbers::a_write_given_up_never_goes_to_the_next_file_of_its_number();
    numbers::a_write_that_waits_given_up_never_goes_to_the_next_pipe_of_its_number();
    numbers::a_read_given_up_never_takes_from_the_next_pipe_of_its_number();
    numbers_of_closed_streams_are_not_read_by_their_old_receives();
}

/// An operation whose future is dropped is cancelled, and what a receive or an accept brought all
/// the same goes to the next.
#[test]
fn c04_drop_cancels() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder());
        let yard = Graveyard::default();
        let (reader, writer) = io::pipe().unwrap();
        let file = StdFile::from(OwnedFd::from(reader));
        let file = File::from_std_on(&runtime.handle(), file);
        let buf = yard.buffer(16);
        let task = runtime.handle().spawn_stealable(async move {
            let mut read = file.read_at(buf, 0);
            assert!(poll_once(&mut read).await.is_pending());
            spargio::yield_now().await;
            drop(read);
            file
        });
        let file = elsewhere(task.unwrap()).unwrap();
        let in_flight = || runtime.stats_snapshot().total().in_flight;
        wait_until("the read ends without a byte", || in_flight() == 0 && yard.alive() == 0);
        drop((file, writer));
    });
    drops::reads_dropped_at_any_stage_lose_and_double_no_byte();
    drops::accepts_dropped_at_any_stage_lose_no_connection_and_no_fd();
}

/// When 2,000 operations complete at once, and the completion queue has the smallest size there is,
/// all completions arrive without another submission.
#[test]
fn c10_cq_overflow_is_survived() {
    watched(|watch| {
        let builder = Runtime::builder().shards(1).ring_entries(1).cq_entries(1);
        let runtime = watch.build(builder);
        let (streams, peers) = streams(&runtime);
        let read = |stream: TcpStream| {
            // The stream comes back, because its close would be a submission.
            let read = async move { (stream.read(vec![0; 16]).await.0, stream) };
            runtime.spawn_on(0, read).unwrap()
        };
        let reads: Vec<_> = streams.into_iter().map(read).collect();
        all_are_in_flight(&runtime);
        asleep(&runtime.handle(), 0);
        let submitted = || runtime.stats_snapshot().total().sqes;
        let before = submitted();
        // The shard looks away while all end.
        let plug = Plug::new(&runtime.handle(), 0);
        drop(peers);
        drop(plug);
        let ended: Vec<_> = reads.into_iter().map(|read| elsewhere(read).unwrap()).collect();
        assert_eq!(submitted(), before, "something was submitted");
        assert!(ended.iter().all(|(read, _)| matches!(read, Ok(0))));
    });
}

/// An operation that the kernel refuses ends with its error, and those submitted behind it are
/// carried out.
#[test]
fn c11_refused_sqe_strands_none() {
    faults::an_operation_that_the_kernel_refuses_holds_up_none_behind_it();
}

/// A completion that comes twice, late or for an operation that never was changes nothing, and is
/// counted.
#[test]
fn c12_stale_tokens_are_refused() {
    faults::completions_that_come_twice_or_late_change_nothing_and_are_counted();
}
