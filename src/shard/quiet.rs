//! Where shards meet at their end: none takes its doorbell down before all have fallen silent.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many shards will ring nobody any more.
#[derive(Debug, Default)]
pub(crate) struct Quiet {
    shards: Mutex<usize>,
    changed: Condvar,
}

impl Quiet {
    /// One more shard has fallen silent.
    pub(crate) fn arrive(&self) {
        *self.lock() += 1;
        self.changed.notify_all();
    }

    /// Waits until so many shards are silent, for `patience` at most. Whether they are.
    pub(crate) fn wait(&self, shards: usize, patience: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), patience, |now| *now < shards);
        *waited.unwrap_or_else(PoisonError::into_inner).0 >= shards
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
