//! Tasks that wait in line for something to be granted to them.

use std::task::Waker;

use crate::sync::fifo::{Fifo, Key};

/// Who waits, first come first served. To be kept under a lock, and wakers to be woken, cloned and
/// dropped outside of it: they may be anybody's code.
#[derive(Debug)]
pub(crate) struct WaitList<G> {
    line: Fifo<Waiter<G>>,
}

#[derive(Debug)]
struct Waiter<G> {
    /// Gone with the grant.
    waker: Option<Waker>,
    granted: Option<G>,
}

/// A place in the line. Whoever has it takes the grant or [leaves](WaitList::leave).
#[derive(Debug)]
pub(crate) struct Place(Key);

/// Somebody was granted something, and is to be woken.
#[derive(Debug)]
#[must_use]
pub(crate) struct Granted(Option<Waker>);

impl Granted {
    /// Wakes, outside of the lock.
    pub(crate) fn wake(self) {
        if let Some(waker) = self.0 {
            crate::contain::wake(waker);
        }
    }
}

/// What a look at one's place says.
#[derive(Debug)]
#[must_use]
pub(crate) enum Look<G> {
    /// The turn has come; the place is given up.
    Granted(G),
    /// Not yet, and this very waker lies there.
    Waits,
    /// Not yet, and another waker lies there: [change](WaitList::change) it.
    Changed,
}

impl<G> WaitList<G> {
    /// Nobody waits.
    pub(crate) const fn new() -> Self {
        Self { line: Fifo::new() }
    }

    /// Goes to the end of the line, without a waker for one who looks by itself.
    pub(crate) fn join(&mut self, waker: Option<Waker>) -> Place {
        Place(self.line.push(Waiter { waker, granted: None }))
    }

    /// Grants to the first in line, if somebody waits.
    pub(crate) fn grant_first(&mut self, grant: G) -> Result<Granted, G> {
        Self::grant(self.line.call_first(), grant)
    }

    /// Grants to the last in line, if somebody waits.
    pub(crate) fn grant_last(&mut self, grant: G) -> Result<Granted, G> {
        Self::grant(self.line.call_last(), grant)
    }

    fn grant(waiter: Option<&mut Waiter<G>>, grant: G) -> Result<Granted, G> {
        match waiter {
            Some(waiter) => {
                waiter.granted = Some(grant);
                Ok(Granted(waiter.waker.take()))
            }
            None => Err(grant),
        }
    }

    /// Whether nobody waits whom nothing was granted.
    pub(crate) const fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// How many wait whom nothing was granted.
    pub(crate) const fn len(&self) -> usize {
        self.line.len()
    }

    /// Whether the turn has come.
    pub(crate) fn look(&mut self, place: &Place, waker: &Waker) -> Look<G> {
        let Some(waiter) = self.line.get_mut(place.0) else { return Look::Waits };
        if let Some(grant) = waiter.granted.take() {
            // There is no waker in it any more.
            self.line.remove(place.0);
            return Look::Granted(grant);
        }
        match &waiter.waker {
            Some(same) if same.will_wake(waker) => Look::Waits,
            _ => Look::Changed,
        }
    }

    /// Leaves another waker, and returns the one before it. To be called where nothing can have
    /// been granted since the look, that is, or to be followed by another look.
    pub(crate) fn change(&mut self, place: &Place, waker: Waker) -> Option<Waker> {
        match self.line.get_mut(place.0) {
            Some(waiter) if waiter.granted.is_none() => waiter.waker.replace(waker),
            _ => Some(waker),
        }
    }

    /// Leaves the line. Says what had been granted, which is to be passed on, and hands the waker
    /// out.
    pub(crate) fn leave(&mut self, place: Place) -> (Option<G>, Option<Waker>) {
        match self.line.remove(place.0) {
            Some(waiter) => (waiter.granted, waiter.waker),
            None => (None, None),
        }
    }
}

/// Looks at a place of a locked list, and leaves the waker there if it has to wait.
///
/// The list is locked by `lock` and by nobody else on this thread.
pub(crate) fn poll_place<G, L>(lock: impl Fn() -> L, place: &Place, waker: &Waker) -> Option<G>
where
    L: std::ops::DerefMut<Target: AsMut<WaitList<G>>>,
{
    match lock().as_mut().look(place, waker) {
        Look::Granted(grant) => return Some(grant),
        Look::Waits => return None,
        Look::Changed => {}
    }
    let cloned = waker.clone();
    let mut list = lock();
    let before = list.as_mut().change(place, cloned);
    let look = list.as_mut().look(place, waker);
    drop(list);
    drop(before);
    match look {
        Look::Granted(grant) => Some(grant),
        Look::Waits | Look::Changed => None,
    }
}

impl<G> AsMut<Self> for WaitList<G> {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}
