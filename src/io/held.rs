//! A reader or writer together with the operation that it is busy with, which goes on when the
//! future that waited for it is dropped.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::io::alone::Alone;

/// An owner of operations, of which it carries out one at a time.
pub(super) struct Held<T, O>(State<T, O>);

enum State<T, O> {
    Idle(T),
    /// The operation has the owner, and gives it back at its end.
    Busy(Alone<Operation<T, O>>),
    /// Only while an operation is made.
    Moving,
}

type Operation<T, O> = Pin<Box<dyn Future<Output = (T, O)> + Send>>;

impl<T, O> Held<T, O> {
    pub(super) fn new(owner: T) -> Self {
        Self(State::Idle(owner))
    }

    /// The owner, unless it is busy.
    pub(super) fn idle(&self) -> Option<&T> {
        match &self.0 {
            State::Idle(owner) => Some(owner),
            State::Busy(_) | State::Moving => None,
        }
    }

    /// The owner, unless it is busy.
    pub(super) fn idle_mut(&mut self) -> Option<&mut T> {
        match &mut self.0 {
            State::Idle(owner) => Some(owner),
            State::Busy(_) | State::Moving => None,
        }
    }

    /// The owner.
    ///
    /// # Panics
    ///
    /// If it is busy.
    pub(super) fn into_idle(self) -> T {
        match self.0 {
            State::Idle(owner) => owner,
            State::Busy(_) | State::Moving => panic!("the owner is busy"),
        }
    }

    /// Starts an operation; it does nothing until it is polled.
    ///
    /// # Panics
    ///
    /// If another is under way.
    pub(super) fn start<F>(&mut self, operation: impl FnOnce(T) -> F)
    where
        F: Future<Output = (T, O)> + Send + 'static,
    {
        let State::Idle(owner) = std::mem::replace(&mut self.0, State::Moving) else {
            panic!("one operation at a time");
        };
        self.0 = State::Busy(Alone::new(Box::pin(operation(owner))));
    }

    /// What became of the operation; `None` if there is none.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<O>> {
        let State::Busy(operation) = &mut self.0 else { return Poll::Ready(None) };
        operation.get_mut().as_mut().poll(cx).map(|(owner, outcome)| {
            self.0 = State::Idle(owner);
            Some(outcome)
        })
    }
}

impl<T: fmt::Debug, O> fmt::Debug for Held<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            State::Idle(owner) => owner.fmt(f),
            State::Busy(_) | State::Moving => f.write_str("(busy)"),
        }
    }
}
