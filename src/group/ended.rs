//! Which tasks of a set have ended, told by their wakers.

use std::collections::VecDeque;
use std::task::{Wake, Waker};

use crate::cancel::Key;
use crate::primitive::{Arc, Mutex, lock};

/// The keys of tasks that have ended, in that order, and who waits for one.
#[derive(Default, Debug)]
pub(super) struct Ended(Mutex<State>);

#[derive(Default, Debug)]
struct State {
    keys: VecDeque<Key>,
    waker: Option<Waker>,
}

impl Ended {
    /// The waker to be left with a task: it tells the key.
    pub(super) fn waker(self: &Arc<Self>, key: Key) -> Waker {
        Waker::from(Arc::new(Teller { ended: Arc::clone(self), key }))
    }

    /// The key of a task that has ended.
    pub(super) fn take(&self) -> Option<Key> {
        lock(&self.0).keys.pop_front()
    }

    /// Puts a key back that was taken last.
    pub(super) fn put_back(&self, key: Key) {
        lock(&self.0).keys.push_front(key);
    }

    /// Tells a key, and wakes who waits.
    pub(super) fn tell(&self, key: Key) {
        let mut state = lock(&self.0);
        state.keys.push_back(key);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// As [`take`](Self::take); if there is none, the waker is woken when there is.
    pub(super) fn take_or_wait(&self, waker: &Waker) -> Option<Key> {
        {
            let mut state = lock(&self.0);
            let key = state.keys.pop_front();
            if key.is_some() || state.waker.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
                return key;
            }
        }
        // Cloned before, and dropped after, the lock: a waker may be anybody's code.
        let waker = waker.clone();
        let mut state = lock(&self.0);
        let key = state.keys.pop_front();
        let unused = if key.is_some() { Some(waker) } else { state.waker.replace(waker) };
        drop(state);
        drop(unused);
        key
    }
}

struct Teller {
    ended: Arc<Ended>,
    key: Key,
}

impl Wake for Teller {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ended.tell(self.key);
    }
}
