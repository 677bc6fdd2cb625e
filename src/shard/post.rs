//! Messages of a shard: taken each turn, and sent as completions where the doorbell carries them.

use crate::assembly::Assembly;
use crate::contain::wake;
use crate::doorbell::Doorbell;
use crate::driver::{Class, Cqe, Driver};
use crate::id::ShardId;
use crate::message::Rider;
use crate::port::Port;
use crate::primitive::spin_loop;
use crate::shard::Shard;

/// Looks at the messages while a task looks out for one, and at the other signals every so often.
const LOOKS: u32 = 64;
const LOOKS_PER_SIGNAL: u32 = 8;
/// Pauses before the first look of a shard that does not answer.
const PAUSES: u32 = 8;
/// Ready leaves that a look out costs its poll on top: it lasts longer than they do, and the ring
/// and the timers wait for it.
const LEAVES: i64 = 3;

impl<A: Assembly> Shard<A> {
    /// Takes messages, and wakes who waits for them.
    #[inline]
    pub(super) fn take_messages(&self) {
        if self.desk.has_signal() {
            self.desk.send_owed(|target| self.wake(target));
            self.desk.take(wake);
        }
    }

    /// Wakes who waits for a small count, because nothing else is to be done. Whether somebody was.
    pub(super) fn wake_counting(&self) -> bool {
        self.desk.wake_counting(wake)
    }

    /// As the glance of a shard that has run out of work, before the task leaves its waker instead
    /// of after: two shards that answer each other at once need no turn between message and answer.
    pub(super) fn look_out_for_messages(&self) {
        let is_idle = !self.desk.has_signal()
            && self.is_next_ring()
            && !self.bells_owed.get()
            && self.driver.borrow().queued() == 0
            && !self.spin.borrow().window().is_zero();
        if !is_idle {
            return;
        }
        // A look takes the line that the next message is written to from its sender. Who waits for
        // an answer wants it at once; who only receives has more of messages that come together.
        if !self.desk.has_sent() {
            (0..PAUSES).for_each(|_| spin_loop());
        }
        for look in 1..=LOOKS {
            let is_over = if look % LOOKS_PER_SIGNAL == 0 {
                self.has_signal()
            } else {
                self.desk.has_signal()
            };
            if is_over {
                break;
            }
            spin_loop();
        }
        // None was there when it began.
        let has_come = self.desk.has_signal();
        self.desk.looked_out(has_come);
        if has_come {
            self.spin.borrow_mut().hit();
            self.counters.spin_hits.add(1);
            self.spend_budget(LEAVES);
        }
    }

    /// Sends a message as a completion. It goes out before the next poll, as doorbells do.
    pub(super) fn send_rider(&self, target: ShardId, rider: Rider) {
        if target != self.me && self.carry(target, rider) {
            self.desk.rides();
            self.bells_owed.set(true);
        } else if let Some(target) = self.desk.requeue(rider.sent) {
            self.wake(target);
        }
    }

    /// A message came as a completion, or one that was sent so did not arrive.
    pub(super) fn message(&self, cqe: Cqe) {
        if cqe.token.class() == Some(Class::MessageSent) {
            if let Some(target) = self.desk.failed(cqe.token) {
                self.wake(target);
            }
        } else if !self.desk.arrived(cqe.token, cqe.result) {
            self.table.borrow_mut().refuse();
        }
    }

    fn carry(&self, target: ShardId, rider: Rider) -> bool {
        if self.failure.borrow().is_some() {
            // What is queued on the ring goes nowhere any more.
            return false;
        }
        let Some(ringer) = self.core.public(target).ringer.get() else { return false };
        let Rider { token, result, sent } = rider;
        // An error means that it was not queued, so it takes its lane; one of the driver shows with
        // its next call.
        A::Doorbell::carry(&mut self.driver.borrow_mut(), ringer, token, result, sent)
            .unwrap_or(false)
    }
}
