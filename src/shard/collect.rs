//! Completions: from the ring to whoever waits for them, and entries on their way in.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use crate::assembly::Assembly;
use crate::contain::wake;
use crate::doorbell::{Answer, Doorbell};
use crate::driver::{Class, Cqe, Driver, Opcode, SqFull, Sqe, Token, sqe_flags};
use crate::inflight::{Charge, Completed, Finished};
use crate::port::SubmitError;
use crate::shard::Shard;
use crate::trace;

impl<A: Assembly> Shard<A> {
    /// Submits what is queued and collects what is ready, with one system call at most.
    #[inline]
    pub(super) fn serve_ring(&self) {
        self.refill();
        let busy = {
            let driver = self.driver.borrow();
            driver.queued() > 0 || driver.pending()
        };
        if busy {
            self.flush_ring();
            self.collect();
        } else {
            self.settle_silent();
        }
    }

    /// Sorts every completion that is ready, then wakes: nothing is borrowed when user code runs.
    pub(crate) fn collect(&self) {
        let mut batch = self.batch.take();
        self.driver.borrow_mut().drain(|cqe| batch.push(cqe));
        self.public().counters.cqes.add(batch.len() as u64);
        for cqe in batch.drain(..) {
            match cqe.token.class() {
                Some(Class::Op) => self.complete(cqe),
                Some(Class::Bell | Class::BellSent | Class::Watch) => self.answer(cqe),
                // The operation itself says how it ended.
                Some(Class::Cancel) => {}
                Some(Class::Close) => self.closed(cqe),
                Some(Class::Message | Class::MessageSent) => self.message(cqe),
                None => self.table.borrow_mut().refuse(),
            }
        }
        self.batch.replace(batch);
        self.settle_silent();
        self.serve_buffers();
        let stale = self.table.borrow().stale();
        self.public().counters.stale_completions.set(stale);
    }

    /// Passes on the completion of an operation, and wakes who waits for it.
    pub(super) fn complete(&self, cqe: Cqe) {
        let opcode = || self.table.borrow().opcode(cqe.token);
        trace::completed(self.me, opcode, cqe.token, cqe.result);
        let completed = self.table.borrow_mut().complete(cqe);
        match completed {
            Completed::Last(charge, outcome) => {
                self.note_in_flight();
                if let Finished::Wake(waker) = charge.finish(outcome) {
                    wake(waker);
                }
            }
            Completed::More(waker) => {
                if let Some(waker) = waker {
                    wake(waker);
                }
            }
            Completed::Stale => {}
        }
    }

    /// A close is over. One that failed has nobody to tell.
    fn closed(&self, cqe: Cqe) {
        self.closing.set(self.closing.get().saturating_sub(1));
        // Whatever else it answers, the number is free.
        if cqe.result == -libc::ECANCELED
            && let Ok(fd) = RawFd::try_from(cqe.token.index())
        {
            // SAFETY:
            // - O3 of the driver: the token was pushed, by `Port::close`, whose entry owned the fd
            //   of this number; and a close that was cancelled did not happen.
            // - O1 of the driver: it is answered once, so this is done once.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }

    fn answer(&self, cqe: Cqe) {
        let answer = {
            let mut driver = self.driver.borrow_mut();
            self.doorbell.borrow_mut().answered(&mut driver, cqe)
        };
        let counters = &self.public().counters;
        match answer {
            Ok(Answer::Heard) => {
                counters.doorbells_heard.add(1);
                counters.doorbells_spurious.add(u64::from(!self.waking.get()));
            }
            // No doorbell of ours made it.
            Ok(Answer::Failed { target, .. }) if target.index() >= self.core.shards.len() => {
                self.table.borrow_mut().refuse();
            }
            Ok(Answer::Failed { target, .. }) => {
                counters.doorbells_failed.add(1);
                // The work is published; only the sleeper does not know. A target that cannot be
                // rung at all is gone, and then its gate is closed.
                if !self.core.public(target).gate.is_closed() {
                    self.ring(target);
                }
            }
            // No failure of the driver, whose queue is full just now.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.unheard.set(Some(cqe)),
            Err(error) => self.note_driver(Err(error)),
        }
    }

    fn note_in_flight(&self) {
        let in_flight = self.table.borrow().len();
        self.public().counters.in_flight.set(in_flight as u64);
    }

    /// Puts an operation on the ring.
    pub(super) fn submit_here(&self, charge: Charge) -> Result<(), (SubmitError, Charge)> {
        // What comes after the others were cancelled would not be.
        if self.leaving.get() || self.failure.borrow().is_some() {
            return Err((SubmitError::Closed, charge));
        }
        let token = {
            let mut table = self.table.borrow_mut();
            match table.reserve() {
                Some(token) => token,
                None => return Err((SubmitError::Full { limit: table.limit() }, charge)),
            }
        };
        // Building the entry may abandon an orphaned operation, which drops what users gave us.
        let Some((charge, sqe)) = charge.submit(token) else {
            self.table.borrow_mut().release(token);
            return Ok(());
        };
        let opcode = Opcode::new(sqe.opcode);
        if matches!(opcode, Opcode::READ_FIXED | Opcode::WRITE_FIXED) {
            self.counters.fixed_ops.add(1);
        }
        self.table.borrow_mut().fill(token, opcode, charge);
        trace::submitted(self.me, opcode, token);
        self.note_in_flight();
        self.counters.ops_submitted.add(1);
        self.arm(self.note_silent(sqe));
        Ok(())
    }

    /// As [`submit_here`](Self::submit_here), for a future that is polled elsewhere: it learns of a
    /// refusal as the outcome.
    pub(super) fn submit_posted(&self, charge: Charge) {
        self.counters.ops_posted.add(1);
        if let Err((error, charge)) = self.submit_here(charge)
            && let Finished::Wake(waker) = charge.finish(error.outcome())
        {
            wake(waker);
        }
    }

    /// Asks the kernel to end an operation of this shard, if it is still in flight.
    pub(super) fn cancel_here(&self, token: Token) {
        if self.cancel_deferred(token) {
            return;
        }
        if self.table.borrow().is_in_flight(token) {
            let cancel = Token::new(Class::Cancel, token.generation(), token.index());
            self.push(Sqe::cancel(token).token(cancel).flags(sqe_flags::CQE_SKIP_SUCCESS));
        }
    }

    /// Queues an entry. One that the submission queue has no room for waits in order.
    pub(super) fn push(&self, sqe: Sqe) {
        self.public().counters.sqes.add(1);
        self.prompt.note(&sqe);
        if self.overflow.borrow().is_empty() {
            match self.push_now(sqe) {
                Ok(()) => return,
                Err(SqFull(sqe)) => self.overflow.borrow_mut().push_back(sqe),
            }
        } else {
            self.overflow.borrow_mut().push_back(sqe);
        }
        self.flush_ring();
        self.refill();
    }

    /// Moves waiting entries to the submission queue as far as it has room, and arms a doorbell
    /// that found none.
    pub(crate) fn refill(&self) {
        loop {
            let Some(sqe) = self.overflow.borrow_mut().pop_front() else { break };
            if let Err(SqFull(sqe)) = self.push_now(sqe) {
                self.overflow.borrow_mut().push_front(sqe);
                return;
            }
        }
        if let Some(cqe) = self.unheard.take() {
            self.answer(cqe);
        }
    }

    fn push_now(&self, sqe: Sqe) -> Result<(), SqFull> {
        // SAFETY:
        // - an operation's memory and fd are owned by its charge, which the table keeps up to the
        //   final completion (I1), and `exit` leaks table and driver rather than break that.
        // - cancels and closes name no memory, and a close owns its fd.
        unsafe { self.driver.borrow_mut().push(sqe) }
    }

    /// What made the driver useless.
    pub(super) fn take_failure(&self) -> io::Result<()> {
        self.failure.borrow_mut().take().map_or(Ok(()), Err)
    }
}
