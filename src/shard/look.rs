//! What a shard looks at between two polls, so that neither the ring nor what waits for it has to
//! wait for the end of a turn.

use crate::assembly::Assembly;
use crate::driver::Driver;
use crate::shard::Shard;
use crate::shard::idle::Next;
use crate::shard::pace::Lap;

impl<A: Assembly> Shard<A> {
    /// A look at the clock, and at the ring if it is due. How long the lap has lasted.
    #[inline(never)]
    pub(super) fn look_between_polls(&self, lap: &mut Lap) -> u64 {
        let now = self.look_at_clock(lap.is_measured());
        if self.timing && self.end_timed_poll(now) {
            // Who was told may have woken others.
            self.offer_backlog(Next::Queued);
        }
        if lap.is_ring_due() && self.is_ring_wanted(lap.is_submission_due(now)) {
            self.count_look();
            self.flush_ring();
            self.collect();
            // What was woken waits behind the next poll.
            self.offer_backlog(Next::Queued);
        }
        lap.elapsed(now)
    }

    /// Between two polls: whether the ring has something for this shard, or this shard for the
    /// ring. What waits for others must not wait here too, for as long as there is something else
    /// to do; if there is not, the turn ends and sees to it. `submits`: it has waited for long
    /// enough.
    fn is_ring_wanted(&self, submits: bool) -> bool {
        let submits = submits && self.has_work();
        if submits {
            self.arm_overdue();
        }
        let driver = self.driver.borrow();
        driver.pending() || submits && driver.queued() > 0
    }

    /// Whether it is too early for a second look: whom the ring wakes may send what a receive that
    /// was put off waits for.
    pub(super) fn awaits_ring(&self) -> bool {
        !self.deferred.borrow().is_empty() && self.driver.borrow().pending()
    }
}
