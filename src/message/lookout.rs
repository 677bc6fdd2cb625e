//! Whether a task that is about to wait for a message looks out for it first.

use std::cell::Cell;

/// The most waits in a row that go without a look out after one in vain.
const MOST_SKIPPED: u32 = 64;

/// What a shard knows of how soon its messages come. All of it are hints.
#[derive(Default, Debug)]
pub(super) struct Lookout {
    /// A message came during the last look of a shard that had nothing else to do.
    quick: Cell<bool>,
    /// Waits that are still to go without a look out.
    skips: Cell<u32>,
    /// How many that were after the last look out in vain; 0 if it was not.
    skipped: Cell<u32>,
}

impl Lookout {
    /// Whether a task that is about to wait should look out. To be asked once for each wait.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        if !self.quick.get() {
            return false;
        }
        let skips = self.skips.get();
        self.skips.set(skips.saturating_sub(1));
        skips == 0
    }

    /// A look of an idle shard has ended, which says nothing of looks out: the shard may have had
    /// to do something else first.
    pub(super) fn glanced(&self, has_come: bool) {
        self.quick.set(has_come);
    }

    /// A look out has ended. The more of them in a row are in vain, the rarer they get: each costs
    /// more than the sleep of a task.
    pub(super) fn looked_out(&self, has_come: bool) {
        self.quick.set(has_come);
        let skipped = if has_come { 0 } else { (2 * self.skipped.get()).clamp(1, MOST_SKIPPED) };
        self.skipped.set(skipped);
        self.skips.set(skipped);
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
