//! Where shards meet at their end: none takes its doorbell down before all have fallen silent, and
//! who ends the runtime sees which of them are still at work.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::id::ShardId;

/// How far each shard is on its way down.
#[derive(Debug)]
pub(crate) struct Quiet {
    stages: Mutex<Box<[Stage]>>,
    changed: Condvar,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// It has something of its own to do or to end.
    Busy,
    /// It has nothing to do until the others have ended their tasks.
    Waiting,
    /// It will ring nobody any more. The last stage.
    Silent,
}

impl Quiet {
    /// For this many shards, all busy.
    pub(crate) fn new(shards: usize) -> Self {
        let stages = vec![Stage::Busy; shards].into_boxed_slice();
        Self { stages: Mutex::new(stages), changed: Condvar::new() }
    }

    /// The shard has fallen silent, as it may have said before.
    pub(crate) fn arrive(&self, shard: ShardId) {
        self.lock()[shard.index()] = Stage::Silent;
        self.changed.notify_all();
    }

    /// The shard waits for others to end their tasks, or no longer does.
    pub(crate) fn note_waiting(&self, shard: ShardId, waits: bool) {
        let stage = &mut self.lock()[shard.index()];
        if *stage != Stage::Silent {
            *stage = if waits { Stage::Waiting } else { Stage::Busy };
        }
    }

    /// How many shards have something of their own to do or to end.
    pub(crate) fn busy(&self) -> usize {
        self.lock().iter().filter(|stage| **stage == Stage::Busy).count()
    }

    /// Waits until all shards are silent, for `patience` at most. Whether they are.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let noisy = |stages: &mut Box<[Stage]>| !are_silent(stages);
        let waited = self.changed.wait_timeout_while(self.lock(), patience, noisy);
        are_silent(&waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    fn lock(&self) -> MutexGuard<'_, Box<[Stage]>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn are_silent(stages: &[Stage]) -> bool {
    stages.iter().all(|stage| *stage == Stage::Silent)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Quiet;
    use crate::id::ShardId;

    const FIRST: ShardId = ShardId::new(0);
    const SECOND: ShardId = ShardId::new(1);

    #[test]
    fn a_shard_that_says_it_twice_is_silent_once() {
        let quiet = Quiet::new(2);
        quiet.arrive(FIRST);
        quiet.arrive(FIRST);
        assert!(!quiet.wait(Duration::ZERO), "the second may still ring");
        quiet.arrive(SECOND);
        assert!(quiet.wait(Duration::ZERO));
    }

    #[test]
    fn who_waits_for_others_is_not_busy() {
        let quiet = Quiet::new(2);
        assert_eq!(quiet.busy(), 2);
        quiet.note_waiting(FIRST, true);
        assert_eq!(quiet.busy(), 1);
        quiet.note_waiting(FIRST, false);
        assert_eq!(quiet.busy(), 2);
        quiet.arrive(FIRST);
        quiet.note_waiting(FIRST, false);
        assert_eq!(quiet.busy(), 1, "silence is the last stage");
    }
}
