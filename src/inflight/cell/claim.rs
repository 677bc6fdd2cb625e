//! The future's side of a completion cell: polling, taking, giving up.

use std::fmt;
use std::task::{Poll, Waker};

use crate::driver::Token;
use crate::id::ShardId;
use crate::inflight::cell::{
    Abandoned, Claim, DONE, FINISHING, GONE, Header, LOCKED, ORPHAN, Operation, Outcome, PHASE,
    SUBMITTED, Unfinished, WAITING, take_and_free,
};
use crate::primitive::{Ordering, pause};

impl<T: Operation> Claim<T> {
    #[inline]
    fn header(&self) -> &Header {
        // SAFETY:
        // - the cell lives until the last party frees it, and the claim is a party.
        unsafe { &self.cell.as_ref().header }
    }

    /// The shard that the operation was given to.
    pub(crate) fn home(&self) -> ShardId {
        self.header().home
    }

    /// Whether the outcome is there. A hint: it may be there a moment later.
    #[cfg(test)]
    pub(crate) fn is_done(&self) -> bool {
        self.header().word.load(Ordering::Relaxed) & PHASE == DONE
    }

    /// Leaves the waker unless the outcome is there. `Ready`: the phase is the one that it gives,
    /// DONE or GONE, read with Acquire.
    fn poll_inner(&self, waker: &Waker) -> Poll<u32> {
        let header = self.header();
        // Acquire pairs with the Release of DONE or GONE in `Charge::publish`.
        let mut word = header.word.load(Ordering::Acquire);
        loop {
            match word & PHASE {
                phase @ (DONE | GONE) => return Poll::Ready(phase),
                FINISHING => {
                    // The home has our waker in hand, and publishes DONE next or only looks. It may
                    // or may not wake this very waker, so see to it ourselves.
                    waker.wake_by_ref();
                    return Poll::Pending;
                }
                _ => {}
            }
            let locked = word & SUBMITTED | LOCKED;
            // Acquire: the previous waker, stored by the future on another thread, is ours now.
            match header.word.compare_exchange(word, locked, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        let previous = header.waker.with_mut(|slot| {
            // SAFETY:
            // - LOCKED gives the waker to the future.
            let slot = unsafe { &mut *slot };
            match slot {
                Some(stored) if stored.will_wake(waker) => None,
                _ => slot.replace(waker.clone()),
            }
        });
        let mut word = header.word.load(Ordering::Relaxed);
        let phase = loop {
            if word & PHASE != LOCKED {
                break word & PHASE;
            }
            let waiting = word & SUBMITTED | WAITING;
            // Release pairs with the Acquire of FINISHING: the home sees the waker.
            match header.word.compare_exchange(word, waiting, Ordering::Release, Ordering::Acquire)
            {
                Ok(_) => break WAITING,
                Err(now) => word = now,
            }
        };
        // Dropping a waker may run a task's destructor: only now, when nothing is locked.
        drop(previous);
        if phase == WAITING {
            return Poll::Pending;
        }
        // The home finished meanwhile. Acquire pairs with its Release of DONE or GONE.
        let phase = header.word.load(Ordering::Acquire) & PHASE;
        debug_assert!(matches!(phase, DONE | GONE), "the home leaves LOCKED by ending");
        Poll::Ready(phase)
    }

    /// Takes the operation and its outcome if they are there, else leaves the waker and hands the
    /// claim back.
    ///
    /// If cloning the waker panics, the cell is leaked: the kernel may still use the operation.
    pub(crate) fn poll(self, waker: &Waker) -> Result<(T, Outcome), Unfinished<T>> {
        match self.poll_inner(waker) {
            Poll::Pending => Err(Unfinished::Pending(self)),
            Poll::Ready(GONE) => {
                let home = self.home();
                // SAFETY:
                // - the phase is GONE and was read with Acquire.
                drop(unsafe { self.take_waker() });
                Err(Unfinished::Lost(home))
            }
            // SAFETY:
            // - the phase is DONE and was read with Acquire.
            Poll::Ready(_) => Ok(unsafe { self.take() }),
        }
    }

    /// # Safety
    ///
    /// The phase is GONE, read with Acquire, or LOCKED by this claim.
    unsafe fn take_waker(&self) -> Option<Waker> {
        self.header().waker.with_mut(|slot| {
            // SAFETY:
            // - in these phases the waker belongs to the future.
            unsafe { (*slot).take() }
        })
    }

    /// # Safety
    ///
    /// The phase is DONE, read with Acquire.
    unsafe fn take(self) -> (T, Outcome) {
        let outcome = self.header().outcome.with(|outcome| {
            // SAFETY:
            // - in DONE the outcome belongs to the future.
            unsafe { *outcome }
        });
        // SAFETY:
        // - in DONE the home is gone and the operation belongs to the future, the last party.
        let operation = unsafe { take_and_free(self.cell) };
        (operation, outcome)
    }

    /// Gives the claim up. The operation goes on until it is cancelled or completes; its memory
    /// stays with its home meanwhile. Runs [`Operation::abandon`] if it has completed already.
    pub(crate) fn abandon(self) -> Abandoned {
        let header = self.header();
        let mut word = header.word.load(Ordering::Acquire);
        loop {
            match word & PHASE {
                DONE => {
                    // SAFETY:
                    // - the phase is DONE, read with Acquire.
                    let (operation, outcome) = unsafe { self.take() };
                    operation.abandon(Some(outcome));
                    return Abandoned::Nothing;
                }
                GONE => {
                    // SAFETY:
                    // - the phase is GONE, read with Acquire.
                    drop(unsafe { self.take_waker() });
                    return Abandoned::Nothing;
                }
                FINISHING => {
                    // The home is between two stores; it runs no user code there.
                    pause();
                    word = header.word.load(Ordering::Acquire);
                    continue;
                }
                _ => {}
            }
            let locked = word & SUBMITTED | LOCKED;
            // Acquire: the waker, stored by the future on another thread, is ours now.
            match header.word.compare_exchange(word, locked, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        // Before ORPHAN is published, because from then on the home may free the cell.
        // SAFETY:
        // - the phase is LOCKED by this claim.
        let waker = unsafe { self.take_waker() };
        let mut word = header.word.load(Ordering::Acquire);
        let abandoned = loop {
            if word & PHASE == GONE {
                break Abandoned::Nothing;
            }
            if word & PHASE == DONE {
                // SAFETY:
                // - the phase is DONE, read with Acquire.
                let (operation, outcome) = unsafe { self.take() };
                operation.abandon(Some(outcome));
                break Abandoned::Nothing;
            }
            let token = (word & SUBMITTED != 0).then(|| {
                header.token.with(|token| {
                    // SAFETY:
                    // - SUBMITTED was read with Acquire, so the token is there and constant.
                    unsafe { *token }
                })
            });
            let home = header.home;
            let orphan = word & SUBMITTED | ORPHAN;
            // Release pairs with the Acquire of the home that finds ORPHAN and frees.
            match header.word.compare_exchange(word, orphan, Ordering::Release, Ordering::Acquire) {
                Ok(_) => match token {
                    Some(token) => break Abandoned::Cancel { home, token },
                    None => break Abandoned::Nothing,
                },
                Err(now) => word = now,
            }
        };
        drop(waker);
        abandoned
    }
}

impl<T: Operation> Claim<T> {
    /// Gives the claim up if its home has not submitted the operation, and then never will, or if
    /// it has just ended. Else it stays, to be cancelled by this token and polled to its end.
    pub(crate) fn withdraw(self) -> Option<(Self, Token)> {
        let header = self.header();
        let mut word = header.word.load(Ordering::Acquire);
        while word & SUBMITTED == 0 {
            if matches!(word & PHASE, DONE | GONE | FINISHING) {
                // It was refused, or its home went: nothing is left to cancel.
                let _is_over = self.abandon();
                return None;
            }
            // Acquire: the waker, stored by the future on another thread, is ours now.
            match header.word.compare_exchange(word, LOCKED, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return self.withdraw_locked(),
                Err(now) => word = now,
            }
        }
        let token = self.token();
        Some((self, token))
    }

    /// The phase is LOCKED by this claim.
    fn withdraw_locked(self) -> Option<(Self, Token)> {
        let header = self.header();
        // SAFETY:
        // - the phase is LOCKED by this claim. It is taken before ORPHAN is published, because from
        //   then on the home may free the cell.
        let waker = unsafe { self.take_waker() };
        let mut word = header.word.load(Ordering::Acquire);
        let submitted = loop {
            if word & PHASE != LOCKED {
                let _is_over = self.abandon();
                drop(waker);
                return None;
            }
            let submitted = word & SUBMITTED;
            // WAITING without a waker: the home finds nobody to wake.
            let next = if submitted == 0 { ORPHAN } else { submitted | WAITING };
            // Release pairs with the Acquire of the home that finds ORPHAN and frees, or takes the
            // waker.
            match header.word.compare_exchange(word, next, Ordering::Release, Ordering::Acquire) {
                Ok(_) => break submitted != 0,
                Err(now) => word = now,
            }
        };
        // Dropping a waker may run a task's destructor: only now, when nothing is locked.
        drop(waker);
        if !submitted {
            return None;
        }
        let token = self.token();
        Some((self, token))
    }

    /// What cancels the operation; `None` before its home has submitted it.
    pub(crate) fn submitted_token(&self) -> Option<Token> {
        // Acquire pairs with the Release of SUBMITTED: the token is there.
        let word = self.header().word.load(Ordering::Acquire);
        (word & SUBMITTED != 0).then(|| self.token())
    }

    /// Only after SUBMITTED was read with Acquire.
    fn token(&self) -> Token {
        self.header().token.with(|token| {
            // SAFETY:
            // - SUBMITTED was read with Acquire, so the token is there and constant.
            unsafe { *token }
        })
    }
}

impl<T: Operation> fmt::Debug for Unfinished<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending(claim) => f.debug_tuple("Pending").field(claim).finish(),
            Self::Lost(home) => f.debug_tuple("Lost").field(home).finish(),
        }
    }
}

impl<T: Operation> fmt::Debug for Claim<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("home", &self.home()).finish_non_exhaustive()
    }
}
