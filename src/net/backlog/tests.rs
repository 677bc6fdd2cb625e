//! Tests of the backlog without its kernel side.

use std::future::poll_fn;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};

use super::{Backlog, Mode};
use crate::ToLane;
use crate::op::Fd;
use crate::primitive::Arc;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn backlog(limit: usize) -> Arc<Backlog> {
    let runtime = crate::Runtime::builder().shards(1).build().unwrap();
    Backlog::new(runtime.handle().to_lane().0, limit)
}

/// A connection to be pushed, and its other end.
fn connection() -> (std::os::fd::OwnedFd, UnixStream) {
    let (ours, peer) = UnixStream::pair().unwrap();
    (ours.into(), peer)
}

#[test]
fn the_limit_asks_for_the_stop_and_takes_what_comes_until_then() {
    let backlog = backlog(2);
    assert!(backlog.push(connection().0).is_none());
    assert!(backlog.push(connection().0).is_some());
    assert!(backlog.push(connection().0).is_some());
    assert_eq!(backlog.ready(), 3);
}

#[test]
fn connections_wake_the_waiters_in_the_order_they_came_one_each() {
    let backlog = backlog(16);
    let counts = [Arc::new(Count::default()), Arc::new(Count::default())];
    let mut tickets = [None, None];
    for (count, ticket) in counts.iter().zip(&mut tickets) {
        let before = backlog.lock().wait(ticket, Waker::from(Arc::clone(count)));
        assert!(before.is_none());
    }
    let woken = || [0, 1].map(|at: usize| counts[at].0.load(Ordering::Relaxed));
    backlog.push(connection().0).unwrap().wake();
    assert_eq!(woken(), [1, 0]);
    backlog.push(connection().0).unwrap().wake();
    assert_eq!(woken(), [1, 1]);
    assert!(backlog.push(connection().0).is_none());
}

#[test]
fn a_waiter_that_was_woken_and_leaves_wakes_the_next() {
    let backlog = backlog(16);
    let count = Arc::new(Count::default());
    let (mut first, mut second) = (None, None);
    assert!(backlog.lock().wait(&mut first, Waker::noop().clone()).is_none());
    assert!(backlog.lock().wait(&mut second, Waker::from(Arc::clone(&count))).is_none());
    backlog.push(connection().0).unwrap().wake();
    backlog.leave(&mut first);
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    backlog.leave(&mut second);
    assert_eq!(backlog.ready(), 1);
}

#[test]
fn who_comes_later_does_not_overtake_a_waiter_that_was_woken() {
    let backlog = backlog(16);
    let mut first = None;
    assert!(backlog.lock().wait(&mut first, Waker::noop().clone()).is_none());
    for _ in 0..3 {
        backlog.push(connection().0);
    }
    assert_eq!(backlog.ready(), 2, "one is that of the first");
    assert!(backlog.pop(&mut None).is_some());
    assert!(backlog.pop(&mut None).is_some());
    assert!(backlog.pop(&mut None).is_none());
    assert!(backlog.pop(&mut first).is_some());
    assert_eq!(first, None);
}

#[test]
fn a_waiter_keeps_its_place_when_all_are_woken() {
    let backlog = backlog(16);
    let mut tickets = [None, None];
    for ticket in &mut tickets {
        assert!(backlog.lock().wait(ticket, Waker::noop().clone()).is_none());
    }
    Arc::clone(&backlog).wake();
    // The second polls before the first.
    let [first, second] = &mut tickets;
    assert!(backlog.lock().wait(second, Waker::noop().clone()).is_none());
    backlog.push(connection().0);
    assert!(backlog.pop(second).is_none());
    assert!(backlog.pop(first).is_some());
    backlog.leave(second);
    assert!(backlog.lock().waiters.is_empty());
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_being_woken() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("a waker of somebody's");
        }
    }
    let backlog = backlog(16);
    let count = Arc::new(Count::default());
    let (mut first, mut second) = (None, None);
    assert!(backlog.lock().wait(&mut first, Waker::from(Arc::new(Bad))).is_none());
    assert!(backlog.lock().wait(&mut second, Waker::from(Arc::clone(&count))).is_none());
    Arc::clone(&backlog).wake();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

#[test]
fn a_waiter_that_was_not_woken_leaves_the_others_asleep() {
    let backlog = backlog(16);
    let count = Arc::new(Count::default());
    let (mut first, mut second) = (None, None);
    assert!(backlog.lock().wait(&mut first, Waker::noop().clone()).is_none());
    assert!(backlog.lock().wait(&mut second, Waker::from(Arc::clone(&count))).is_none());
    backlog.leave(&mut first);
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    backlog.push(connection().0).unwrap().wake();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

#[test]
fn a_closed_backlog_closes_what_it_has_and_what_still_comes() {
    let backlog = backlog(16);
    let (early, mut early_peer) = connection();
    let (late, mut late_peer) = connection();
    assert!(backlog.push(early).is_none());
    backlog.close();
    assert!(backlog.push(late).is_none());
    assert_eq!(early_peer.read(&mut [0]).unwrap(), 0);
    assert_eq!(late_peer.read(&mut [0]).unwrap(), 0);
}

/// Accepts once, to the end.
async fn accept(backlog: &Arc<Backlog>, fd: &Fd) -> std::io::Result<TcpStream> {
    let mut ticket = None;
    poll_fn(|cx| backlog.poll_accept(fd, &mut ticket, cx)).await.map(TcpStream::from)
}

/// Polls an accept once, which finds nothing.
async fn begin(backlog: &Arc<Backlog>, fd: &Fd) {
    let mut ticket = None;
    poll_fn(|cx| {
        assert!(backlog.poll_accept(fd, &mut ticket, cx).is_pending());
        Poll::Ready(())
    })
    .await;
    backlog.leave(&mut ticket);
}

#[test]
fn the_operation_ends_at_the_limit_and_the_next_accept_starts_another() {
    let runtime = crate::Runtime::builder().shards(1).build().unwrap();
    let lane = runtime.handle().to_lane().0;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let backlog = Backlog::new(Arc::clone(&lane), 2);
    let fd = Fd::new(listener.into(), lane);
    runtime.block_on(async {
        for _ in 0..3 {
            begin(&backlog, &fd).await;
            let mut peers = vec![TcpStream::connect(addr).unwrap()];
            peers.push(TcpStream::connect(addr).unwrap());
            // Nothing was closed: it is the limit that ends the operation.
            poll_fn(|cx| backlog.poll_closed(cx)).await;
            assert_eq!(backlog.ready(), 2);
            peers.push(TcpStream::connect(addr).unwrap());
            assert_eq!(backlog.ready(), 2, "the kernel keeps the third");
            for peer in peers {
                let accepted = accept(&backlog, &fd).await.unwrap();
                assert_eq!(accepted.peer_addr().unwrap(), peer.local_addr().unwrap());
            }
        }
        backlog.close();
    });
}

#[test]
fn without_multishot_each_connection_is_asked_for() {
    let runtime = crate::Runtime::builder().shards(1).build().unwrap();
    let lane = runtime.handle().to_lane().0;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let backlog = Backlog::new(Arc::clone(&lane), 16);
    backlog.lock().mode = Mode::Single;
    let fd = Fd::new(listener.into(), lane);
    runtime.block_on(async {
        for _ in 0..3 {
            begin(&backlog, &fd).await;
            let peers = [TcpStream::connect(addr).unwrap(), TcpStream::connect(addr).unwrap()];
            // One operation takes one connection.
            for peer in peers {
                let accepted = accept(&backlog, &fd).await.unwrap();
                assert_eq!(accepted.peer_addr().unwrap(), peer.local_addr().unwrap());
            }
            assert_eq!(backlog.lock().mode, Mode::Single);
        }
        backlog.close();
    });
}

#[test]
fn a_socket_that_does_not_listen_is_an_error_in_both_modes() {
    let runtime = crate::Runtime::builder().shards(1).build().unwrap();
    let lane = runtime.handle().to_lane().0;
    let backlog = Backlog::new(Arc::clone(&lane), 16);
    let fd = Fd::new(UnixStream::pair().unwrap().0.into(), lane);
    runtime.block_on(async {
        for _ in 0..2 {
            let error = accept(&backlog, &fd).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        }
    });
    assert_eq!(backlog.lock().mode, Mode::Multi, "a listener that follows gets the good mode");
}
