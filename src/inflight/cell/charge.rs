//! The home's side of a completion cell: submitting, passing on, finishing.

use std::fmt;
use std::task::Waker;

use crate::driver::{Sqe, Token};
use crate::id::ShardId;
use crate::inflight::cell::{
    Charge, DONE, FINISHING, Finished, GONE, Header, ORPHAN, Outcome, PHASE, SUBMITTED, WAITING,
};
use crate::primitive::Ordering;

impl Charge {
    #[inline]
    fn header(&self) -> &Header {
        // SAFETY:
        // - the cell lives until the last party frees it, and the charge is a party.
        unsafe { self.cell.as_ref() }
    }

    /// The shard that the operation was given to.
    pub(crate) fn home(&self) -> ShardId {
        self.header().home
    }

    /// The entry to push under `token`, or `None` if the future is gone: then the operation is
    /// abandoned without ever being submitted. That runs destructors of the user's, so nothing of
    /// the shard may be borrowed.
    ///
    /// Until the entry is pushed and completed, or [`finish`](Self::finish) is called, the
    /// operation must not be moved; it lies in the cell, so it is not.
    #[inline]
    pub(crate) fn submit(self, token: Token) -> Option<(Self, Sqe)> {
        let header = self.header();
        header.token.with_mut(|slot| {
            // SAFETY:
            // - the token belongs to the home until SUBMITTED is set.
            unsafe { *slot = token };
        });
        // Release: the future that sees the bit sees the token. Acquire: if the future is gone,
        // what it did happens before we abandon its operation.
        let word = header.word.fetch_or(SUBMITTED, Ordering::AcqRel);
        if word & PHASE == ORPHAN {
            // SAFETY:
            // - in ORPHAN the future is gone, so the home is the last party and has everything.
            unsafe { (header.vtable.abandon)(self.cell, None) };
            return None;
        }
        // SAFETY:
        // - the operation belongs to the home from here to the final completion.
        let sqe = unsafe { (header.vtable.entry)(self.cell) };
        Some((self, sqe.token(token)))
    }

    /// Passes on a completion that is not the last one, and says whom to wake.
    pub(crate) fn more(&self, outcome: Outcome) -> Option<Waker> {
        // SAFETY:
        // - between submission and DONE the operation belongs to the home.
        unsafe { (self.header().vtable.more)(self.cell, outcome) }
    }

    /// Shows the waker of the future that waits, if one does just now. `body` runs no code of a
    /// user's.
    ///
    /// To the future it looks as if the operation were about to finish: one that is polled at this
    /// moment is polled again.
    pub(crate) fn with_waker<R>(&self, body: impl FnOnce(&Waker) -> R) -> Option<R> {
        let header = self.header();
        let word = header.word.load(Ordering::Relaxed);
        if word & PHASE != WAITING {
            return None;
        }
        let finishing = word & SUBMITTED | FINISHING;
        // Acquire pairs with the Release of WAITING by the future: we see the waker.
        let swap =
            header.word.compare_exchange(word, finishing, Ordering::Acquire, Ordering::Relaxed);
        if swap.is_err() {
            return None;
        }
        let shown = header.waker.with(|slot| {
            // SAFETY:
            // - FINISHING gives the waker to the home.
            unsafe { &*slot }.as_ref().map(body)
        });
        // The future leaves the word alone in FINISHING, so a plain store does. Release pairs with
        // the Acquire of LOCKED: the waker that is there was looked at before it is replaced.
        header.word.store(word, Ordering::Release);
        shown
    }

    /// Publishes the final outcome. From here on the kernel does not touch the operation.
    ///
    /// If the future is gone, the operation is abandoned here. That runs destructors of the
    /// user's, so nothing of the shard may be borrowed.
    #[inline]
    pub(crate) fn finish(self, outcome: Outcome) -> Finished {
        let header = self.header();
        header.outcome.with_mut(|slot| {
            // SAFETY:
            // - up to DONE the outcome belongs to the home.
            unsafe { *slot = outcome };
        });
        let Some(finished) = self.publish(DONE) else {
            // SAFETY:
            // - in ORPHAN the future is gone (Acquire), so the home is the last party.
            unsafe { (header.vtable.abandon)(self.cell, Some(outcome)) };
            return Finished::Quiet;
        };
        finished
    }

    /// The home goes while the kernel may have the operation: nobody frees it any more (I1), and
    /// the future learns that nothing will come. `wake` is called for each who waits; nothing of
    /// the shard may be borrowed.
    pub(crate) fn lose(self, mut wake: impl FnMut(Waker)) {
        // SAFETY:
        // - up to DONE or GONE the operation belongs to the home.
        let other = unsafe { (self.header().vtable.lost)(self.cell) };
        if let Some(Finished::Wake(waker)) = self.publish(GONE) {
            wake(waker);
        }
        if let Some(waker) = other {
            wake(waker);
        }
    }

    /// Moves to the phase `end`, which is DONE or GONE, by way of FINISHING if a waker is stored.
    /// `None`: the future is gone, and the phase stays ORPHAN.
    #[inline]
    fn publish(&self, end: u32) -> Option<Finished> {
        let header = self.header();
        let mut word = header.word.load(Ordering::Acquire);
        loop {
            let next = match word & PHASE {
                WAITING => FINISHING,
                ORPHAN => return None,
                _ => end,
            };
            let next = word & SUBMITTED | next;
            // Release of the end: the future sees the outcome and the operation. Acquire of
            // FINISHING: we see the waker.
            match header.word.compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) if next & PHASE == FINISHING => break,
                Ok(_) => return Some(Finished::Quiet),
                Err(now) => word = now,
            }
        }
        let waker = header.waker.with_mut(|slot| {
            // SAFETY:
            // - FINISHING gives the waker to the home.
            unsafe { (*slot).take() }
        });
        // The future leaves the word alone in FINISHING, so a plain store does. Release: as above.
        header.word.store(word & SUBMITTED | end, Ordering::Release);
        Some(waker.map_or(Finished::Quiet, Finished::Wake))
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge").field("home", &self.home()).finish_non_exhaustive()
    }
}
