//! Running a future on a thread that is no shard: the thread sleeps while the future is pending.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::port;

struct Unpark {
    thread: Thread,
    /// The thread has only one token for all who park it, and what the future calls may take it.
    is_woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release pairs with the Acquire of the swap in `block_on`: the poll sees what led to it.
        self.is_woken.store(true, Ordering::Release);
        self.thread.unpark();
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
    let unpark = Unpark { thread: thread::current(), is_woken: AtomicBool::new(false) };
    let unpark = Arc::new(unpark);
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => {
                // Acquire pairs with the Release in `wake_by_ref`.
                while !unpark.is_woken.swap(false, Ordering::Acquire) {
                    thread::park();
                }
            }
        }
    }
}
