//! Running a future on a thread that is no shard: the thread sleeps while the future is pending.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::port;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls the future on this thread until it is ready.
///
/// # Panics
///
/// On the thread of a shard: it would block every task of the shard, and the one that is to wake
/// it may be among them.
#[track_caller]
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let on_shard = port::with(|port| port.is_some());
    assert!(!on_shard, "block_on on the thread of a shard would block the shard; await instead");
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
