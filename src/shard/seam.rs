//! The shard as the surfaces and the tasks see it: their port and their scheduler.

use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::task::Waker;
use std::time::Instant;

use crate::assembly::Assembly;
use crate::buf::FixedPart;
use crate::buf::pool::{Armed, Loan};
use crate::contain::wake;
use crate::doorbell::{Doorbell, Post};
use crate::driver::{Class, Driver, Opcode, Sqe, Token};
use crate::id::ShardId;
use crate::inflight::Charge;
use crate::message::{Desk, Event, Kind, Rider, SendError};
use crate::observe::Inquiry;
use crate::port::{Lane, Port, SubmitError, TimersFull};
use crate::primitive::Arc;
use crate::shard::{Letter, Shard};
use crate::task::{LocalScheduler, Registry, Runnable, RuntimeId};
use crate::timer::{Full, TimerKey};
use crate::trace;

/// Shares of the lane that are kept for timers to come.
const LANES: usize = 64;

impl<A: Assembly> LocalScheduler for Shard<A> {
    fn runtime(&self) -> RuntimeId {
        self.core.runtime()
    }

    fn registry(&self) -> Option<&Registry> {
        Some(&self.public().registry)
    }

    #[inline]
    fn schedule(&self, runnable: Runnable) {
        self.enqueue(runnable);
    }

    fn consume_budget(&self) -> bool {
        Port::consume_budget(self)
    }
}

impl<A: Assembly> Port for Shard<A> {
    fn runtime(&self) -> RuntimeId {
        self.core.runtime()
    }

    fn shard(&self) -> ShardId {
        self.me
    }

    fn lane(&self) -> &Arc<dyn Lane> {
        &self.lane
    }

    fn now(&self) -> Instant {
        Shard::now(self)
    }

    fn look(&self) -> Instant {
        let now = Shard::now(self);
        self.looked.set(Some(now));
        now
    }

    fn looked(&self) -> Option<Instant> {
        self.looked.get()
    }

    fn share_lane(&self) -> Arc<dyn Lane> {
        self.lanes.borrow_mut().pop().unwrap_or_else(|| Arc::clone(&self.lane))
    }

    fn keep_lane(&self, lane: Arc<dyn Lane>) {
        let mut lanes = self.lanes.borrow_mut();
        if lanes.len() < LANES {
            lanes.push(lane);
        }
    }

    fn consume_budget(&self) -> bool {
        let left = self.leaves.get() - 1;
        self.leaves.set(left);
        if left == -1 {
            // The first that is refused in this poll.
            self.counters.budget_yields.add(1);
        }
        left >= 0
    }

    fn spend_budget(&self, leaves: i64) {
        let left = self.leaves.get();
        // Not below 0, where the first refusal is counted.
        self.leaves.set(left.min((left - leaves).max(0)));
    }

    fn set_budget(&self, leaves: i64) -> i64 {
        self.leaves.replace(leaves)
    }

    fn finished_elsewhere(&self) {
        self.counters.foreign_completions.add(1);
    }

    fn operation_made(&self) {
        self.made.set(self.made.get() + 1);
    }

    fn operation_started(&self) -> u32 {
        // One that was made in an earlier poll was not counted in this one.
        let others = self.made.get().saturating_sub(1);
        self.made.set(others);
        others
    }

    unsafe fn attempt(&self, sqe: &Sqe) -> Option<i32> {
        // SAFETY:
        // - passed on to the caller.
        let result = unsafe { self.driver.borrow_mut().attempt(sqe) };
        if let Some(result) = result {
            self.public().counters.inline_completions.add(1);
            trace::attempted(self.me, Opcode::new(sqe.opcode), result);
        }
        result
    }

    fn queued(&self) -> usize {
        self.driver.borrow().queued()
    }

    fn is_next_ring(&self) -> bool {
        !self.has_work() && self.deferred.borrow().is_empty()
    }

    fn submit(&self, charge: Charge) -> Result<(), (SubmitError, Charge)> {
        self.submit_here(charge)
    }

    fn cancel(&self, home: ShardId, token: Token) {
        if home == self.me {
            self.cancel_here(token);
        } else {
            self.send(home, Letter::Cancel(token));
        }
    }

    fn set_timer(
        &self,
        deadline: Instant,
        waker: &Waker,
        key: Option<TimerKey>,
    ) -> Result<TimerKey, TimersFull> {
        let deadline = self.nanos(deadline);
        if let Some(key) = key
            && self.move_timer(key, deadline, waker)
        {
            return Ok(key);
        }
        // Cloned before the wheel is borrowed: a waker may be anybody's code.
        let waker = waker.clone();
        let inserted = self.wheel.borrow_mut().insert(deadline, waker);
        inserted.map_err(|Full { payload, limit }| {
            drop(payload);
            TimersFull { limit }
        })
    }

    fn reset_timer(&self, home: ShardId, key: TimerKey, deadline: Instant) -> bool {
        if home == self.me {
            let deadline = self.nanos(deadline);
            return self.wheel.borrow_mut().reset(key, deadline);
        }
        self.send(home, Letter::ResetTimer(key, deadline));
        true
    }

    fn clear_timer(&self, home: ShardId, key: TimerKey) {
        if home == self.me {
            let waker = self.wheel.borrow_mut().remove(key);
            drop(waker);
        } else {
            self.send(home, Letter::ClearTimer(key));
        }
    }

    fn provided(&self) -> Option<Armed> {
        self.arm_provided()
    }

    fn provided_size(&self) -> usize {
        self.core.options.buffers.size
    }

    fn take_back(&self, loan: Loan) -> Result<(), Loan> {
        self.take_provided_back(loan)
    }

    fn fixed_number(&self, part: FixedPart<'_>) -> Option<u16> {
        self.fixed_number(part)
    }

    fn register_fixed(&self, part: FixedPart<'_>) -> io::Result<()> {
        self.register_fixed_pool(part).map(drop)
    }

    fn close(&self, fd: OwnedFd) {
        if self.leaving.get() || self.failure.borrow().is_some() {
            drop(fd);
            return;
        }
        let index =
            u32::try_from(fd.as_raw_fd()).expect("the number of an open fd is not negative");
        let close = Sqe::close(fd.as_raw_fd()).token(Token::new(Class::Close, 0, index));
        // Its completion is waited for at the end: a file system that flushes makes the ring leave
        // the close to a kernel thread, and a ring that goes before that leaves the fd open.
        self.closing.set(self.closing.get() + 1);
        // The entry owns the fd from here on.
        let _in_the_entry = fd.into_raw_fd();
        self.push(close);
    }

    fn ring(&self, target: ShardId) {
        Shard::ring(self, target);
    }

    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn wake_shard(&self, target: ShardId) {
        self.wake(target);
    }

    fn ride(&self, target: ShardId, rider: Rider) {
        self.send_rider(target, rider);
    }

    fn flush(&self) {
        if self.driver.borrow().queued() > 0 {
            self.flush_ring();
        }
    }

    fn next_event(&self, kind: Kind) -> Option<Event> {
        let left = self.leaves.get();
        if left <= 0 {
            return None;
        }
        let event = self.desk.next_event(kind)?;
        self.leaves.set(left - 1);
        Some(event)
    }

    fn send_message(&self, to: ShardId, message: (u16, u32)) -> Result<(), SendError> {
        if self.desk.send(to, message, 0)? {
            self.wake(to);
        }
        Ok(())
    }

    fn look_out(&self) {
        self.look_out_for_messages();
    }

    fn answer(&self, inquiry: &Inquiry) {
        self.answer_inquiry(inquiry);
    }

    fn wake_task(&self, waker: Waker) {
        wake(waker);
    }
}

impl<A: Assembly> Shard<A> {
    /// Moves a timer that is still set. Whether there was one.
    fn move_timer(&self, key: TimerKey, deadline: u64, waker: &Waker) -> bool {
        let same = match self.wheel.borrow_mut().get_mut(key) {
            Some(stored) => stored.will_wake(waker),
            None => return false,
        };
        if !same {
            // Cloned and dropped while nothing is borrowed: a waker may be anybody's code.
            let waker = waker.clone();
            let replaced =
                self.wheel.borrow_mut().get_mut(key).map(|stored| std::mem::replace(stored, waker));
            drop(replaced);
        }
        self.wheel.borrow_mut().reset(key, deadline)
    }

    /// After work was published to another shard: rings it if it sleeps.
    pub(super) fn wake(&self, target: ShardId) {
        if target == self.me {
            return;
        }
        match self.core.public(target).gate.post() {
            Post::Awake => {}
            Post::Coalesced => self.core.public(target).coalesced.add_shared(1),
            Post::Ring => self.ring(target),
        }
    }

    /// Rings a shard whose gate gave this one the duty. From within a poll the ring goes out at
    /// once, because nobody knows how long the poll still lasts; else before the next poll.
    pub(super) fn ring(&self, target: ShardId) {
        if self.failure.borrow().is_some() {
            // What is queued on the ring goes nowhere any more.
            self.core.ring_foreign(target);
            return;
        }
        let ringer = self.core.public(target).ringer.get();
        let ringer = ringer.expect("shards run tasks only when all of them have opened");
        let result = A::Doorbell::ring(&mut self.driver.borrow_mut(), ringer);
        if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            // The queue is full and the kernel takes nothing at the moment, which is no failure of
            // the driver; but the target sleeps, and nobody else has the duty.
            self.core.ring_foreign(target);
            return;
        }
        self.public().counters.doorbells_sent.add(1);
        self.bells_owed.set(true);
        self.note_driver(result);
        if self.polling.get() {
            self.flush_ring();
        }
    }
}
