//! Sends whose futures were dropped: they are cancelled, and no later send of the socket begins
//! before they have ended, so that bytes of two sends are never mixed.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::contain::{guard, wake};
use crate::op::ending::{Ending, give_up};
use crate::op::{Claim, Complete, Op, Operation};
use crate::port::Lane;
use crate::primitive::{Arc, AtomicBool, Mutex, Ordering, lock};

/// The sends that were given up and have not ended, and who waits for that.
///
/// Any of those who wait may poll the endings, with a waker of its own; each has left a waker here
/// before. Who finds that none is left wakes the others, and so does one who waits no more: it may
/// be the one whom the endings would have woken.
///
/// No lock is held while a waker is woken, cloned or dropped, nor while an ending is polled.
#[derive(Default)]
pub(super) struct Unsent {
    /// Whether a send has to wait. It stays so while an ending is out of the list to be polled.
    is_filled: AtomicBool,
    /// Made for the first of them: most sockets never have one.
    state: Mutex<Option<Box<State>>>,
}

#[derive(Default)]
struct State {
    endings: Vec<Box<dyn Ending>>,
    /// Somebody has taken the endings and polls them just now.
    is_busy: bool,
    waiters: Vec<(Place, Waker)>,
    last_place: u64,
}

/// The place of a send among those that wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place(u64);

impl Unsent {
    /// Whether there is one; all that a send costs when there is none.
    pub(super) fn is_filled(&self) -> bool {
        // Acquire pairs with the Release of whoever put one there: a writer that was told of the
        // drop sees it.
        self.is_filled.load(Ordering::Acquire)
    }

    /// Gives a send up.
    fn give<T: Operation>(&self, claim: Claim<T>, lane: &Arc<dyn Lane>) {
        let Some(ending) = give_up(claim, lane) else { return };
        let mut state = lock(&self.state);
        state.get_or_insert_default().endings.push(ending);
        self.is_filled.store(true, Ordering::Release);
    }

    /// Waits until all that were given up have ended. `place` is the caller's from the first poll
    /// to the last; who has one and polls no more calls [`leave`](Self::leave).
    ///
    /// An error says that nobody will ever know. It stays, for the next to find.
    pub(super) fn poll_settled(
        &self,
        place: &mut Option<Place>,
        waker: &Waker,
    ) -> Poll<io::Result<()>> {
        let own = waker.clone();
        let (before, mut endings) = {
            let mut state = lock(&self.state);
            let state = state.get_or_insert_default();
            let before = state.wait(place, own);
            let is_free = !std::mem::replace(&mut state.is_busy, true);
            (before, is_free.then(|| std::mem::take(&mut state.endings)))
        };
        drop(before);
        let mut failure = None;
        while let Some(taken) = endings.take() {
            // A waker that panics takes the endings along, but not the others' hope of an end.
            let mut left = Vec::new();
            guard(|| left = poll_all(taken, waker, &mut failure));
            let mut state = lock(&self.state);
            let state = state.get_or_insert_default();
            // Those that were given up meanwhile have not been polled.
            if state.endings.is_empty() {
                state.endings = left;
                state.is_busy = false;
            } else {
                let mut all = left;
                all.append(&mut state.endings);
                endings = Some(all);
            }
        }
        self.settle();
        if let Some(error) = failure {
            self.leave(place);
            return Poll::Ready(Err(error));
        }
        if self.is_filled() {
            return Poll::Pending;
        }
        self.leave(place);
        Poll::Ready(Ok(()))
    }

    /// If none is left, says so to all who wait.
    fn settle(&self) {
        let waiters = {
            let mut state = lock(&self.state);
            let state = state.get_or_insert_default();
            if state.is_busy || !state.endings.is_empty() {
                return;
            }
            self.is_filled.store(false, Ordering::Release);
            std::mem::take(&mut state.waiters)
        };
        waiters.into_iter().for_each(|(_, waker)| wake(waker));
    }

    /// Waits no more. The others look for themselves.
    pub(super) fn leave(&self, place: &mut Option<Place>) {
        if place.take().is_none() {
            return;
        }
        let waiters = std::mem::take(&mut lock(&self.state).get_or_insert_default().waiters);
        waiters.into_iter().for_each(|(_, waker)| wake(waker));
    }

    /// Whether none is left, without waiting.
    pub(super) fn has_settled(&self) -> bool {
        !self.is_filled()
            || matches!(self.poll_settled(&mut None, Waker::noop()), Poll::Ready(Ok(())))
    }
}

impl State {
    /// Leaves the waker at the place, or at a new one.
    fn wait(&mut self, place: &mut Option<Place>, waker: Waker) -> Option<Waker> {
        let own = *place.get_or_insert_with(|| {
            self.last_place += 1;
            Place(self.last_place)
        });
        match self.waiters.iter_mut().find(|(place, _)| *place == own) {
            Some((_, before)) => Some(std::mem::replace(before, waker)),
            None => {
                self.waiters.push((own, waker));
                None
            }
        }
    }
}

/// Those of the sends that have not ended.
fn poll_all(
    mut endings: Vec<Box<dyn Ending>>,
    waker: &Waker,
    failure: &mut Option<io::Error>,
) -> Vec<Box<dyn Ending>> {
    endings.retain_mut(|ending| match ending.poll(waker) {
        Poll::Pending => true,
        Poll::Ready(Ok(())) => false,
        Poll::Ready(Err(error)) => {
            *failure = Some(error);
            true
        }
    });
    endings
}

impl fmt::Debug for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsent").field("is_filled", &self.is_filled()).finish_non_exhaustive()
    }
}

/// One send, behind those that were given up.
#[must_use = "a send does nothing until it is polled"]
pub(super) struct Sending<'s, T: Complete> {
    unsent: &'s Unsent,
    lane: &'s Arc<dyn Lane>,
    op: Op<'s, T>,
    /// From the first time that it waits for others to the last.
    place: Option<Place>,
}

// Nothing is pinned: buffers that the kernel uses lie in cells of their operations.
impl<T: Complete> Unpin for Sending<'_, T> {}

impl<'s, T: Complete> Sending<'s, T> {
    /// A send that has not started.
    pub(super) fn new(unsent: &'s Unsent, lane: &'s Arc<dyn Lane>, send: T) -> Self {
        Self { unsent, lane, op: Op::new(send, lane), place: None }
    }

    /// As [`Op::poll_end`].
    pub(super) fn poll_end(&mut self, asked: &mut bool, cx: &mut Context<'_>) -> Poll<T::Output> {
        self.op.poll_end(asked, cx)
    }
}

impl<T: Complete> Future for Sending<'_, T> {
    type Output = T::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T::Output> {
        let this = &mut *self;
        if this.unsent.is_filled() && this.op.is_idle() {
            match this.unsent.poll_settled(&mut this.place, cx.waker()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    if let Some(send) = this.op.take_idle() {
                        return Poll::Ready(send.finish(Err(error)));
                    }
                }
            }
        }
        Pin::new(&mut this.op).poll(cx)
    }
}

impl<T: Complete> Drop for Sending<'_, T> {
    fn drop(&mut self) {
        if let Some(claim) = self.op.take_claim() {
            self.unsent.give(claim, self.lane);
        }
        self.unsent.leave(&mut self.place);
    }
}
