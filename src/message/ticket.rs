//! What a ticket waits for: that a target has taken the messages of a lane up to a position.

use std::task::{Poll, Waker};

use crate::id::ShardId;
use crate::message::direct::Departures;
use crate::message::lane::Sender;
use crate::message::receipts::{Closed, Receipts};
use crate::primitive::Arc;

/// Messages of one lane that are waited for. Leaves its waker there, and takes it back.
#[derive(Debug)]
pub(crate) struct Pending {
    receipts: Arc<Receipts>,
    target: ShardId,
    position: u64,
    /// That of the waker that was left.
    key: Option<u64>,
}

/// What a look at the receipts says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Look {
    /// The messages were taken, or never will be.
    Over(Result<(), Closed>),
    /// A waker lies there.
    Waits,
    /// A waker was left: [`Hub::ask`](super::Hub::ask) now, and post the gate of the target.
    Ask,
}

impl Pending {
    /// All messages that were sent on this lane so far.
    pub(super) fn of(target: ShardId, sender: &Sender) -> Self {
        let receipts = Arc::clone(sender.receipts());
        Self { receipts, target, position: sender.sent(), key: None }
    }

    /// All messages that went directly so far.
    pub(super) fn of_direct(target: ShardId, departures: &Departures) -> Self {
        let receipts = Arc::clone(departures.receipts());
        Self { receipts, target, position: departures.sent(), key: None }
    }

    /// Who is to take them.
    pub(crate) fn target(&self) -> ShardId {
        self.target
    }

    /// Whether there is nothing to wait for any more.
    pub(crate) fn is_over(&self) -> bool {
        self.receipts.look(self.position).is_ready()
    }

    /// Looks, and leaves the waker if it has to wait.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Look {
        if let Poll::Ready(over) = self.receipts.look(self.position) {
            self.forget();
            return Look::Over(over);
        }
        if self.key.is_some_and(|key| self.receipts.will_wake(key, waker)) {
            return Look::Waits;
        }
        self.key = self.receipts.wait(self.position, self.key, waker.clone());
        match self.key {
            Some(_) => Look::Ask,
            // Closed meanwhile, which decides.
            None => Look::Over(match self.receipts.look(self.position) {
                Poll::Ready(over) => over,
                Poll::Pending => Err(Closed),
            }),
        }
    }

    fn forget(&mut self) {
        if let Some(key) = self.key.take() {
            self.receipts.forget(key);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.forget();
    }
}
