//! What one task does, or one waker of a user's, does not stop its neighbours on the shard.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use spargio::Runtime;
use spargio::fs::File;
use spargio::net::{TcpListener, TcpStream};

use crate::support::{SOON, wait_until, watched};

/// Sends each byte back, or is sent it back, until told to stop.
async fn bounce(stream: TcpStream, serve: bool, stop: Arc<AtomicBool>) {
    let mut buf = vec![0; 1];
    if serve {
        (_, buf) = stream.write_all(buf).await;
    }
    while !stop.load(Ordering::Relaxed) {
        let read;
        (read, buf) = stream.read(buf).await;
        if !matches!(read, Ok(1)) {
            return;
        }
        let sent;
        (sent, buf) = stream.write_all(buf).await;
        if sent.is_err() {
            return;
        }
    }
}

#[test]
fn receives_that_find_their_data_at_the_second_look_starve_no_operation_on_the_ring() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let task = runtime.handle().spawn_pinned(0, async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let one = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (other, _) = listener.accept().await.unwrap();
            for (stream, serve) in [(one, true), (other, false)] {
                drop(spargio::spawn(bounce(stream, serve, Arc::clone(&stop))).unwrap());
            }
            for _ in 0..20 {
                spargio::yield_now().await;
            }
            // Through the ring, as no direct call opens a file.
            for _ in 0..20 {
                File::open("/proc/self/stat").await.unwrap();
            }
        });
        let task = task.unwrap();
        let began = Instant::now();
        while !task.is_finished() && began.elapsed() < SOON {
            thread::sleep(Duration::from_millis(1));
        }
        let is_finished = task.is_finished();
        ended.store(true, Ordering::Relaxed);
        assert!(is_finished, "the file was not opened while two tasks answered each other");
    });
}

/// A waker that a user got wrong.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("on purpose: a waker that panics");
    }
}

/// Polls a future once with a waker that panics, and keeps it.
async fn poll_with_a_panic(mut future: Pin<&mut impl Future>) {
    let waker = Waker::from(Arc::new(Panics));
    let first = future.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(first.is_pending());
}

#[test]
fn a_waker_that_panics_ends_no_shard() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let handle = runtime.handle();
        let neighbour = handle.spawn_pinned(0, pending::<()>()).unwrap();
        let task = handle.spawn_pinned(0, async {
            let mut timer = pin!(spargio::sleep(Duration::from_millis(1)));
            poll_with_a_panic(timer.as_mut()).await;
            let mut open = pin!(File::open("/proc/self/stat"));
            poll_with_a_panic(open.as_mut()).await;
            spargio::sleep(Duration::from_millis(20)).await;
            open.await.unwrap();
        });
        runtime.block_on(task.unwrap()).unwrap();
        assert!(!neighbour.is_finished(), "the runtime goes on");
        let report = runtime.shutdown_timeout(SOON);
        assert_eq!((report.shards_panicked, report.tasks_dropped), (0, 1), "{report}");
    });
}

#[test]
fn block_on_hears_its_wake_also_if_the_future_parks_the_thread() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let mut polls = 0;
        runtime.block_on(poll_fn(|cx| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            // As a channel of the standard library may do on this thread: it takes the token.
            thread::park_timeout(Duration::from_millis(1));
            Poll::Pending
        }));
        wait_until("two polls", || polls == 2);
    });
}
