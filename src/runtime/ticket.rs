//! The receipt for a message: a future that is ready when its target has taken it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::message::{Closed, Look, Pending, SendError};
use crate::port::{self, Lane, Port};
use crate::primitive::Arc;

/// The receipt for messages: ready with `Ok` when the target has taken them into its events, with
/// [`Closed`](SendError::Closed) when it will not any more. That a task has read them it does not
/// say.
///
/// Works on every thread and under every executor. After it was ready it stays ready.
///
/// # Cancel safety
///
/// Dropping it takes nothing back: the messages arrive all the same.
#[must_use = "a ticket says whether messages were taken; without it send with a `nowait` form"]
pub struct SendTicket {
    /// Any lane of the runtime.
    lane: Arc<dyn Lane>,
    pending: Vec<Pending>,
    /// The one of a single message, which needs no list.
    one: Option<Pending>,
    result: Result<(), SendError>,
    /// That it was ready took its part of the budget of a poll.
    counted: bool,
}

impl SendTicket {
    /// For one message; `None` if it was taken.
    pub(super) fn for_one(lane: Arc<dyn Lane>, one: Option<Pending>) -> Self {
        Self { lane, pending: Vec::new(), one, result: Ok(()), counted: false }
    }

    /// For the messages of several lanes.
    pub(super) fn for_all(lane: Arc<dyn Lane>, pending: Vec<Pending>) -> Self {
        Self { lane, pending, one: None, result: Ok(()), counted: false }
    }
}

impl Future for SendTicket {
    type Output = Result<(), SendError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { lane, pending, one, result, counted } = self.get_mut();
        let mut waits = |pending: &mut Pending| match pending.poll(cx.waker()) {
            Look::Over(over) => {
                if over == Err(Closed) {
                    *result = Err(SendError::Closed);
                }
                false
            }
            Look::Waits => true,
            Look::Ask => {
                lane.hub().ask(pending.target());
                lane.wake_shard(pending.target());
                true
            }
        };
        if one.as_mut().is_some_and(|one| !waits(one)) {
            *one = None;
        }
        pending.retain_mut(waits);
        if one.is_some() || !pending.is_empty() {
            return Poll::Pending;
        }
        if !*counted && !port::with(|port| port.is_none_or(Port::consume_budget)) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        *counted = true;
        Poll::Ready(*result)
    }
}

impl fmt::Debug for SendTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lanes = self.pending.len() + usize::from(self.one.is_some());
        f.debug_struct("SendTicket").field("lanes", &lanes).finish_non_exhaustive()
    }
}
