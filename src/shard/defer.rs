//! Receives that wait in user space for a moment before they are armed on the ring.
//!
//! Arming a receive and completing it by task work costs about 1.6 us; a direct receive that finds
//! its data costs a third of that, and one that finds nothing 0.3 us. When both ends of a
//! connection are served by this shard, what one receive waits for is sent by a task that runs
//! next, so a second look pays. When the other end is far away it never does, and the shard learns
//! to arm at once.

use std::collections::VecDeque;

use crate::assembly::Assembly;
use crate::driver::{Cqe, Driver, Opcode, Sqe, Token, ioprio};
use crate::shard::Shard;

/// The most receives that wait at a time; more are a sign of many connections, which the ring
/// serves better.
const MOST: usize = 4;
/// The score is kept within this.
const BEST: i32 = 16;
/// Below a score of 0 only every so many receives are deferred, to learn whether that changed.
const PROBE_EVERY: u32 = 64;

/// Receives that wait, and whether waiting paid lately.
#[derive(Debug)]
pub(super) struct Deferred {
    entries: VecDeque<Sqe>,
    /// So many of them, the oldest, were there already when the ring was looked at last.
    overdue: usize,
    score: i32,
    since_probe: u32,
}

impl Deferred {
    pub(super) fn new() -> Self {
        Self { entries: VecDeque::with_capacity(MOST), overdue: 0, score: BEST / 4, since_probe: 0 }
    }

    /// Whether no receive waits.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a receive, unless it is better armed at once.
    fn offer(&mut self, sqe: Sqe) -> Result<(), Sqe> {
        if !is_one_receive(&sqe) || self.entries.len() == MOST {
            return Err(sqe);
        }
        if self.score < 0 {
            self.since_probe += 1;
            if self.since_probe < PROBE_EVERY {
                return Err(sqe);
            }
            self.since_probe = 0;
        }
        self.entries.push_back(sqe);
        Ok(())
    }

    /// A second look found data, or did not.
    fn learn(&mut self, found: bool) {
        let change = if found { 2 } else { -1 };
        self.score = (self.score + change).clamp(-BEST, BEST);
    }

    /// The one that has waited for the longest time.
    fn oldest(&mut self) -> Option<Sqe> {
        self.overdue = self.overdue.saturating_sub(1);
        self.entries.pop_front()
    }

    /// The next one that waited when this was asked last, if any is left; else all that wait now
    /// are such from here on.
    fn next_overdue(&mut self) -> Option<Sqe> {
        if self.overdue > 0 {
            return self.oldest();
        }
        self.overdue = self.entries.len();
        None
    }

    fn take(&mut self, token: Token) -> bool {
        let Some(at) = self.entries.iter().position(|sqe| sqe.token == token) else { return false };
        self.overdue -= usize::from(at < self.overdue);
        self.entries.remove(at).is_some()
    }
}

/// Whether it receives once, into its own memory, so that a direct call does the same.
fn is_one_receive(sqe: &Sqe) -> bool {
    let is_receive = matches!(sqe.opcode(), Opcode::RECV | Opcode::RECVMSG);
    is_receive && sqe.flags == 0 && sqe.ioprio & !ioprio::RECVSEND_POLL_FIRST == 0
}

impl<A: Assembly> Shard<A> {
    /// Arms an operation, or lets it wait for a second look.
    pub(super) fn arm(&self, sqe: Sqe) {
        // What it waits for has not been asked for yet.
        if self.is_company(&sqe) {
            self.push(sqe);
            return;
        }
        let offered = self.deferred.borrow_mut().offer(sqe);
        if let Err(sqe) = offered {
            self.push(sqe);
        }
    }

    /// Nothing can run here: looks at the receives that wait, the oldest first, up to one that
    /// found data. If none did, arms them all. Whether there is something to do now.
    pub(crate) fn look_again(&self) -> bool {
        let waiting = self.deferred.borrow().entries.len();
        for _ in 0..waiting {
            let Some(sqe) = self.deferred.borrow_mut().oldest() else { break };
            // The wish to poll first is for the ring.
            let plain = Sqe { ioprio: 0, ..sqe };
            // SAFETY:
            // - the operation is in the table, which owns what the entry names (I1).
            let result = unsafe { self.driver.borrow_mut().attempt(&plain) };
            self.deferred.borrow_mut().learn(result.is_some());
            match result {
                Some(result) => {
                    self.public().counters.inline_completions.add(1);
                    self.complete(Cqe { token: sqe.token, result, flags: 0 });
                    return true;
                }
                None => self.deferred.borrow_mut().entries.push_back(sqe),
            }
        }
        self.arm_deferred();
        false
    }

    /// Arms every receive that waits.
    pub(super) fn arm_deferred(&self) {
        loop {
            let Some(sqe) = self.deferred.borrow_mut().oldest() else { return };
            self.push(sqe);
        }
    }

    /// Arms those that waited already when this was called last: something else has kept this shard
    /// busy since, and goes on to.
    pub(super) fn arm_overdue(&self) {
        loop {
            let Some(sqe) = self.deferred.borrow_mut().next_overdue() else { return };
            self.push(sqe);
        }
    }

    /// Ends a receive that waits, as a cancel on the ring would. Whether there was one.
    pub(super) fn cancel_deferred(&self, token: Token) -> bool {
        let waited = self.deferred.borrow_mut().take(token);
        if waited {
            self.complete(Cqe { token, result: -libc::ECANCELED, flags: 0 });
        }
        waited
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::ptr;

    use super::Deferred;
    use crate::driver::{Class, Sqe, Token};

    fn receive(number: u32) -> Sqe {
        Sqe::recv(0, ptr::null_mut(), 0, 0).token(Token::new(Class::Op, 1, number))
    }

    /// The receives that are overdue at a look.
    fn look(deferred: &mut Deferred) -> Vec<u32> {
        std::iter::from_fn(|| deferred.next_overdue()).map(|sqe| sqe.token.index()).collect()
    }

    fn put_off(deferred: &mut Deferred, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            assert!(deferred.offer(receive(number)).is_ok(), "there is room");
        }
    }

    #[test]
    fn a_receive_is_overdue_at_the_second_look_that_it_sees() {
        let mut deferred = Deferred::new();
        put_off(&mut deferred, [1, 2]);
        assert!(look(&mut deferred).is_empty());
        put_off(&mut deferred, [3]);
        assert_eq!(look(&mut deferred), [1, 2]);
        assert_eq!(look(&mut deferred), [3]);
        assert!(deferred.is_empty());
    }

    #[test]
    fn a_receive_that_has_left_makes_no_other_one_overdue() {
        let mut deferred = Deferred::new();
        put_off(&mut deferred, [1, 2]);
        assert!(look(&mut deferred).is_empty());
        assert!(deferred.take(receive(1).token));
        assert_eq!(deferred.oldest().map(|sqe| sqe.token.index()), Some(2));
        put_off(&mut deferred, [3, 4]);
        assert!(!deferred.take(receive(1).token));
        assert!(look(&mut deferred).is_empty());
        assert!(deferred.take(receive(4).token));
        assert_eq!(look(&mut deferred), [3]);
    }
}
