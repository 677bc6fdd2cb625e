//! Packing: when each of two shards is woken again and again for one short task, one of them can
//! serve both for half of the wake-ups.

/// So many wake-ups in a row for one short stealable task each, before it is handed over.
const STREAK: u32 = 8;

/// What one shard was woken for lately.
#[derive(Debug)]
pub(super) struct Pack {
    enabled: bool,
    streak: u32,
}

impl Pack {
    pub(super) fn new(enabled: bool) -> Self {
        Self { enabled, streak: 0 }
    }

    /// The shard was woken and found this many tasks, stealable or not. Whether the one task
    /// should be handed to another shard that is as idle.
    pub(super) fn woken(&mut self, stealable: usize, pinned: usize) -> bool {
        if !self.enabled || stealable != 1 || pinned != 0 {
            self.streak = 0;
            return false;
        }
        self.streak = self.streak.saturating_add(1);
        self.streak >= STREAK
    }

    /// The task was handed over.
    pub(super) fn folded(&mut self) {
        self.streak = 0;
    }
}
