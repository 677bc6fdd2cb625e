//! The token: what is canceled, by whom it is held, and what it hands out.

use std::fmt;
use std::future::{Future, IntoFuture};

use crate::cancel::future::{CancellationFuture, CancellationFutureOwned, RunUntilCancelled};
use crate::cancel::node::{Holder, Node};

/// Tells any number of tasks that they are to stop.
///
/// Clones are the same token. It is canceled once and stays so. It belongs to no runtime: tasks of
/// any executor may wait for it, and any thread may cancel it, also from within a waker or a
/// destructor.
///
/// A token is a request. What is told decides what it does about it: a loop looks at
/// [`is_canceled`](Self::is_canceled), a task waits for [`cancelled`](Self::cancelled) beside its
/// work, and [`run_until_cancelled`](Self::run_until_cancelled) drops a future for it.
///
/// # Children
///
/// A [`child_token`](Self::child_token) is canceled with its parent, and by itself without it. The
/// tree may be as deep and as broad as memory allows. A child keeps the memory of its ancestors,
/// and nothing else of them.
///
/// # Cost
///
/// A token and a child are one allocation each. To register and unregister, a future or a child,
/// is O(1); to cancel is linear in the descendants and in those who wait for them.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # spargio::Runtime::builder().shards(1).build()?.block_on(async {
/// use spargio::CancellationToken;
///
/// let token = CancellationToken::new();
/// let seen = token.clone();
/// let task = spargio::spawn(async move {
///     seen.cancelled().await;
///     "stopped"
/// })?;
/// token.cancel();
/// assert_eq!(task.await?, "stopped");
/// # Ok::<_, spargio::RuntimeError>(())
/// # })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CancellationToken {
    holder: Holder,
}

impl CancellationToken {
    /// A token without a parent, not canceled.
    pub fn new() -> Self {
        Self { holder: Holder::new() }
    }

    /// A token that is canceled when this one is. Canceling it, or dropping it, does nothing to
    /// this one. The child of a canceled token is canceled.
    ///
    /// ```
    /// use spargio::CancellationToken;
    ///
    /// let server = CancellationToken::new();
    /// let (one, other) = (server.child_token(), server.child_token());
    /// one.cancel();
    /// assert!(!server.is_canceled() && !other.is_canceled());
    /// server.cancel();
    /// assert!(other.is_canceled() && server.child_token().is_canceled());
    /// ```
    #[must_use = "a child that is dropped tells nobody anything"]
    pub fn child_token(&self) -> Self {
        Self { holder: self.holder.child() }
    }

    /// Cancels the token and its descendants, and wakes who waits for them.
    ///
    /// All descendants are canceled before the first is woken. A call that finds the token canceled
    /// returns at once, also while the call that was first is still at it. A waker that panics
    /// keeps nobody from being woken.
    pub fn cancel(&self) {
        self.holder.cancel();
    }

    /// Whether it is canceled. What the canceling thread did before is visible to who sees it.
    pub fn is_canceled(&self) -> bool {
        self.node().is_canceled()
    }

    /// Waits until the token is canceled; ready at once if it is.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future unregisters it at once, in O(1).
    pub const fn cancelled(&self) -> CancellationFuture<'_> {
        CancellationFuture::new(self)
    }

    /// As [`cancelled`](Self::cancelled), and keeps the token, so that the future may be spawned or
    /// stored.
    ///
    /// ```
    /// # async fn example(token: spargio::CancellationToken) -> Result<(), spargio::RuntimeError> {
    /// let watch = spargio::spawn(token.clone().cancelled_owned())?;
    /// token.cancel();
    /// watch.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub const fn cancelled_owned(self) -> CancellationFutureOwned {
        CancellationFutureOwned::new(self)
    }

    /// Runs a future until it is ready or the token is canceled, whichever is first. `None`: the
    /// token was canceled.
    ///
    /// The future is polled first: one that is ready gives its output, also if the token is
    /// canceled, and costs no registration.
    ///
    /// # Cancel safety
    ///
    /// As for the future, which is dropped together with this one: when the token is canceled, at
    /// the latest when the `await` has given `None`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # spargio::Runtime::builder().shards(1).build()?.block_on(async {
    /// use spargio::CancellationToken;
    ///
    /// let token = CancellationToken::new();
    /// assert_eq!(token.run_until_cancelled(async { 1 }).await, Some(1));
    /// token.cancel();
    /// assert_eq!(token.run_until_cancelled(std::future::pending::<()>()).await, None);
    /// # });
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_until_cancelled<F: IntoFuture>(
        &self,
        future: F,
    ) -> RunUntilCancelled<'_, F::IntoFuture>
    where
        F::IntoFuture: Future,
    {
        RunUntilCancelled::new(self.cancelled(), future.into_future())
    }

    /// A guard that cancels the token when it is dropped, also by a panic.
    ///
    /// ```
    /// use spargio::CancellationToken;
    ///
    /// let token = CancellationToken::new();
    /// let guard = token.clone().drop_guard();
    /// drop(guard);
    /// assert!(token.is_canceled());
    /// ```
    pub const fn drop_guard(self) -> DropGuard {
        DropGuard { token: Some(self) }
    }

    pub(super) fn node(&self) -> &Node {
        self.holder.node()
    }
}

impl Default for CancellationToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationToken").field("canceled", &self.is_canceled()).finish()
    }
}

/// Cancels a token when it is dropped: [`CancellationToken::drop_guard`].
#[must_use = "a guard that is dropped at once cancels at once"]
#[derive(Debug)]
pub struct DropGuard {
    /// `None` when it is disarmed.
    token: Option<CancellationToken>,
}

impl DropGuard {
    /// Gives the token back, and cancels nothing.
    ///
    /// ```
    /// use spargio::CancellationToken;
    ///
    /// let guard = CancellationToken::new().drop_guard();
    /// assert!(!guard.disarm().is_canceled());
    /// ```
    pub fn disarm(mut self) -> CancellationToken {
        self.token.take().expect("only this, and the drop that comes after, take the token")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }
}
