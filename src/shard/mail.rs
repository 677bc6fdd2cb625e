//! What others leave for a shard, and what it leaves for others.

use crate::assembly::Assembly;
use crate::contain::guard;
use crate::id::ShardId;
use crate::shard::outpost::refuse;
use crate::shard::{Letter, Shard};
use crate::task::Runnable;

/// Tasks sent from elsewhere and letters, of each, that are taken in one turn.
const LETTERS_PER_TURN: usize = 256;

impl<A: Assembly> Shard<A> {
    /// Queues the tasks that were sent to this shard.
    pub(super) fn take_arrivals(&self) {
        let mut arrived = self.arrived.borrow_mut();
        if arrived.is_empty() {
            *arrived = self.public().arrivals.take();
            if arrived.is_empty() {
                return;
            }
        }
        let mut pinned = self.pinned.borrow_mut();
        let before = pinned.len();
        pinned.extend(arrived.by_ref().take(LETTERS_PER_TURN));
        let count = pinned.len() - before;
        self.counters.mail_received.add(count as u64);
        self.counters.pinned_queued.add(count as u64);
    }

    /// Does what letters ask for.
    pub(crate) fn read_letters(&self) {
        if self.public().mailbox.is_empty() && self.inbox.borrow().is_empty() {
            return;
        }
        let mut inbox = self.inbox.take();
        self.public().mailbox.take(&mut inbox);
        let count = inbox.len().min(LETTERS_PER_TURN);
        if count > 0 {
            self.public().counters.mail_received.add(count as u64);
            for letter in inbox.drain(..count) {
                self.open_letter(letter);
            }
        }
        // A letter may have brought more into the inbox only through the mailbox, so it is ours.
        self.inbox.replace(inbox);
    }

    fn open_letter(&self, letter: Letter) {
        match letter {
            Letter::Submit(charge) => self.submit_posted(charge),
            Letter::Cancel(token) => self.cancel_here(token),
            Letter::ResetTimer(key, deadline) => {
                let deadline = self.nanos(deadline);
                // One that has fired has woken its task, which polls it.
                let _is_set = self.wheel.borrow_mut().reset(key, deadline);
            }
            Letter::Inquire(inquiry, _) => self.answer_inquiry(&inquiry),
            Letter::ClearTimer(key) => {
                let waker = self.wheel.borrow_mut().remove(key);
                // The destructor of a waker may be anybody's code.
                guard(|| drop(waker));
            }
        }
    }

    /// Sends a task to the shard that it is pinned to, and wakes that if it sleeps.
    pub(super) fn send_home(&self, home: ShardId, runnable: Runnable) {
        // One that comes back can run no more: dropping it resolves its handle.
        if self.core.public(home).arrivals.push(runnable).is_ok() {
            self.wake(home);
        }
    }

    /// Leaves a letter at another shard, and wakes it if it sleeps.
    pub(super) fn send(&self, to: ShardId, letter: Letter) {
        match self.core.public(to).mailbox.push(letter) {
            Ok(()) => self.wake(to),
            Err(letter) => refuse(letter),
        }
    }
}
