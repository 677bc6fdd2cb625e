//! A flag that tasks wait for: the server is to stop.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Whether to stop; clones share the flag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    waiting: BTreeMap<u64, Waker>,
    next: u64,
}

impl Stop {
    /// Stops everything that waits or will wait.
    pub(crate) fn stop(&self) {
        let waiting = {
            let mut state = self.state();
            state.stopped = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }

    /// What the future gives, or `None` if the stop comes first.
    pub(crate) async fn unless_stopped<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut registered = Registered { stop: self, key: None };
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            let mut state = self.state();
            if state.stopped {
                return Poll::Ready(None);
            }
            let key = *registered.key.get_or_insert_with(|| {
                state.next += 1;
                state.next
            });
            state.waiting.insert(key, cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the waker back when nobody waits any more.
struct Registered<'a> {
    stop: &'a Stop,
    key: Option<u64>,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let waker = self.key.and_then(|key| self.stop.state().waiting.remove(&key));
        drop(waker);
    }
}
