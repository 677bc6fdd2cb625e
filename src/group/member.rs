//! A task of a group, from the inside: its future beside the token, and the place that it gives up
//! at its end, whichever end that is.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::cancel::{CancellationFutureOwned, CancellationToken};
use crate::group::roll::{Roll, TaskGroupEnd};
use crate::primitive::Arc;

pin_project_lite::pin_project! {
    /// Ready with the output, or with `None` when the token is canceled.
    pub(super) struct Member<F> {
        #[pin]
        future: F,
        cancelled: CancellationFutureOwned,
        // Given up last: by then the future is gone.
        place: Place,
    }
}

impl<F> Member<F> {
    pub(super) fn new(future: F, token: CancellationToken, roll: &Arc<Roll>) -> Self {
        roll.enter();
        let place = Place { roll: Arc::clone(roll), end: Some(TaskGroupEnd::Aborted) };
        Self { future, cancelled: token.cancelled_owned(), place }
    }

    /// Drops a task that was not taken, which is not one of the group's ends.
    pub(super) fn dismiss(mut self) {
        self.place.end = None;
    }
}

impl<F: Future> Future for Member<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // What holds if the future does not come back from the poll.
        this.place.end = Some(TaskGroupEnd::Panicked);
        if let Poll::Ready(output) = this.future.poll(cx) {
            this.place.end = Some(TaskGroupEnd::Finished);
            return Poll::Ready(Some(output));
        }
        let canceled = Pin::new(this.cancelled).poll(cx);
        this.place.end = Some(match canceled {
            Poll::Ready(()) => TaskGroupEnd::Canceled,
            Poll::Pending => TaskGroupEnd::Aborted,
        });
        canceled.map(|()| None)
    }
}

/// Counts for one live task.
struct Place {
    roll: Arc<Roll>,
    /// How the task ends if it does now.
    end: Option<TaskGroupEnd>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // A destructor of the future has panicked.
        if std::thread::panicking() && self.end.is_some() {
            self.end = Some(TaskGroupEnd::Panicked);
        }
        self.roll.leave(self.end);
    }
}
