//! Operations whose futures were dropped and whose end somebody else waits for.

use std::io;
use std::mem::replace;
use std::task::{Poll, Waker};

use crate::id::ShardId;
use crate::op::{self, Claim, Operation, Unfinished};
use crate::port::Lane;
use crate::primitive::Arc;

/// An operation that was given up, of any kind. Dropping it lets it go its way, cancelled.
pub(crate) trait Ending: Send {
    /// Whether it has ended; else leaves the waker. An error says that nobody will ever know.
    fn poll(&mut self, waker: &Waker) -> Poll<io::Result<()>>;
}

/// Cancels an operation, and keeps it until it has ended. `None` if it has.
pub(crate) fn give_up<T: Operation>(
    claim: Claim<T>,
    lane: &Arc<dyn Lane>,
) -> Option<Box<dyn Ending>> {
    let claim = op::cancel_and_keep(claim, lane)?;
    let mut ending = EndingOp { flight: Flight::Ahead(claim), lane: Arc::clone(lane) };
    // Its former waker goes here too.
    match ending.poll(Waker::noop()) {
        Poll::Ready(Ok(())) => None,
        Poll::Ready(Err(_)) | Poll::Pending => Some(Box::new(ending)),
    }
}

struct EndingOp<T: Operation> {
    flight: Flight<T>,
    lane: Arc<dyn Lane>,
}

enum Flight<T: Operation> {
    Ahead(Claim<T>),
    Over,
    /// Its shard is gone, and the kernel may be at work for it yet.
    Lost(ShardId),
}

impl<T: Operation> Ending for EndingOp<T> {
    fn poll(&mut self, waker: &Waker) -> Poll<io::Result<()>> {
        self.flight = match replace(&mut self.flight, Flight::Over) {
            Flight::Ahead(claim) => match claim.poll(waker) {
                Ok(_) => Flight::Over,
                Err(Unfinished::Pending(claim)) => {
                    self.flight = Flight::Ahead(claim);
                    return Poll::Pending;
                }
                Err(Unfinished::Lost(home)) => Flight::Lost(home),
            },
            over => over,
        };
        Poll::Ready(match self.flight {
            Flight::Lost(home) => Err(op::lost(home)),
            Flight::Ahead(_) | Flight::Over => Ok(()),
        })
    }
}

impl<T: Operation> Drop for EndingOp<T> {
    fn drop(&mut self) {
        if let Flight::Ahead(claim) = replace(&mut self.flight, Flight::Over) {
            op::cancel(claim, &self.lane);
        }
    }
}
