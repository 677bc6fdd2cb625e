//! A group of tasks of any output under one token.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::assembly::Assembly;
use crate::cancel::CancellationToken;
use crate::error::{JoinError, RuntimeError, TrySpawnError};
use crate::group::member::Member;
use crate::group::roll::{Roll, TaskGroupEnd, TaskGroupEnds};
use crate::id::TaskId;
use crate::port::{self, Port};
use crate::primitive::Arc;
use crate::runtime::{RuntimeHandleOf, SpawnOptions, TaskPlacement};
use crate::task::{AbortHandle, JoinHandle};

/// A group of tasks of a runtime of any assembly; [`TaskGroup`](crate::TaskGroup) is that of the
/// default parts.
///
/// Its tasks have one [`CancellationToken`]: [`cancel`](Self::cancel) drops their futures, each on
/// the shard that its task is on, where the task waits for something; a poll that runs is not
/// interrupted. Each task has a handle, and [`join_all`](Self::join_all) and
/// [`join_next`](Self::join_next) wait for all of them without.
///
/// Dropping the group lets the tasks go on, unless it was made with
/// [`cancel_on_drop`](Self::cancel_on_drop). The group may be shared by tasks, in an `Arc` for
/// instance: to spawn, to cancel and to wait for all of them takes `&self`.
///
/// # Cost
///
/// A task of a group costs two short locks more than another, one when it is spawned and one at its
/// end, and two for the list of the token if it ever waits. Nothing is allocated for it but what
/// the list grows by.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use spargio::{Runtime, TaskGroup};
///
/// let runtime = Runtime::builder().shards(2).build()?;
/// let group = TaskGroup::new(runtime.handle());
/// let sum = group.spawn(async { 40 + 2 })?;
/// let never = group.spawn(std::future::pending::<()>())?;
/// runtime.block_on(async {
///     assert_eq!(sum.await?, Some(42));
///     group.cancel();
///     assert_eq!(never.await?, None);
///     let ends = group.join_all().await;
///     assert_eq!((ends.finished, ends.canceled), (1, 1));
///     Ok::<_, spargio::JoinError>(())
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct TaskGroupOf<A: Assembly> {
    handle: RuntimeHandleOf<A>,
    token: CancellationToken,
    roll: Arc<Roll>,
    cancels_on_drop: bool,
}

impl<A: Assembly> TaskGroupOf<A> {
    /// An empty group, with a token of its own.
    pub fn new(handle: RuntimeHandleOf<A>) -> Self {
        Self::with_token(handle, CancellationToken::new())
    }

    /// An empty group with this token: a [child](CancellationToken::child_token) of another, so
    /// that the group is canceled with that one, or one that others have too.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = spargio::Runtime::builder().shards(1).build()?;
    /// use spargio::{CancellationToken, TaskGroup};
    ///
    /// let server = CancellationToken::new();
    /// let connections = TaskGroup::with_token(runtime.handle(), server.child_token());
    /// let task = connections.spawn(std::future::pending::<()>())?;
    /// server.cancel();
    /// assert_eq!(runtime.block_on(task)?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_token(handle: RuntimeHandleOf<A>, token: CancellationToken) -> Self {
        Self { handle, token, roll: Arc::default(), cancels_on_drop: false }
    }

    /// The same group, which cancels its token when it is dropped.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = spargio::Runtime::builder().shards(1).build()?;
    /// # use spargio::TaskGroup;
    /// let group = TaskGroup::new(runtime.handle()).cancel_on_drop();
    /// let task = group.spawn(std::future::pending::<()>())?;
    /// drop(group);
    /// assert_eq!(runtime.block_on(task)?, None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "this is the group"]
    pub fn cancel_on_drop(mut self) -> Self {
        self.cancels_on_drop = true;
        self
    }

    /// Waits for the next task to end, and says how. `None`: no task is left, and all ends have
    /// been told.
    ///
    /// Each end is told once. Of several that have come meanwhile, panics come first, and those
    /// that finished last. Which task it was, and its output, is what its handle says.
    ///
    /// An end is told when the future of the task is gone; the handle may resolve a moment later.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no end.
    ///
    /// ```
    /// # async fn example(mut group: spargio::TaskGroup) {
    /// use spargio::TaskGroupEnd;
    ///
    /// // One that panics takes the others along.
    /// while let Some(end) = group.join_next().await {
    ///     if end == TaskGroupEnd::Panicked {
    ///         group.cancel();
    ///     }
    /// }
    /// # }
    /// ```
    pub async fn join_next(&mut self) -> Option<TaskGroupEnd> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`join_next`](Self::join_next), for a future written by hand. The task of the last poll
    /// is woken.
    ///
    /// On a shard, an end counts as one of the ready operations that a poll may have; see
    /// [`consume_budget`](crate::consume_budget).
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<TaskGroupEnd>> {
        let polled = self.roll.poll_next(cx.waker());
        if let Poll::Ready(Some(end)) = polled
            && !port::with(|port| port.is_none_or(Port::consume_budget))
        {
            self.roll.put_back(end);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        polled
    }

    /// Waits until no task of the group lives, and says how all since its beginning have ended.
    ///
    /// Ready at once if none lives. Tasks that are spawned meanwhile are waited for too; a group
    /// into which somebody keeps spawning may keep this waiting. It cancels nothing, and takes no
    /// end from [`join_next`](Self::join_next).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does nothing to the tasks.
    pub async fn join_all(&self) -> TaskGroupEnds {
        self.roll.all().await
    }

    /// Cancels the token of the group, and so its tasks, also those that are spawned later. A task
    /// that is ready when it is polled next still gives its output.
    pub fn cancel(&self) {
        self.token.cancel();
    }

    /// The token of the group.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Spawns a stealable task into the group: [`TaskPlacement::Stealable`].
    ///
    /// # Errors
    ///
    /// As [`spawn_with_placement`](Self::spawn_with_placement).
    pub fn spawn<F>(&self, future: F) -> Result<TaskGroupJoinHandle<F::Output>, RuntimeError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_with_placement(TaskPlacement::Stealable, future)
    }

    /// Spawns a task into the group where the placement says.
    ///
    /// If the token is canceled already, the task is polled once: what is ready then gives its
    /// output.
    ///
    /// # Errors
    ///
    /// As [`RuntimeHandleOf::spawn_with_placement`]. A future that is refused is dropped, and is
    /// none of the group's ends.
    pub fn spawn_with_placement<F>(
        &self,
        placement: TaskPlacement,
        future: F,
    ) -> Result<TaskGroupJoinHandle<F::Output>, RuntimeError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        joined(self.handle.try_spawn_with_placement(placement, self.member(future)))
    }

    /// Spawns a task into the group with options: a name, and a place.
    ///
    /// # Errors
    ///
    /// As [`spawn_with_placement`](Self::spawn_with_placement).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = spargio::Runtime::builder().shards(1).build()?;
    /// use spargio::{SpawnOptions, TaskGroup};
    ///
    /// let group = TaskGroup::new(runtime.handle());
    /// let options = SpawnOptions::new().name("reader");
    /// let reader = group.spawn_with(options, async { 40 + 2 })?;
    /// assert_eq!(runtime.block_on(reader)?, Some(42));
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_with<F>(
        &self,
        options: SpawnOptions,
        future: F,
    ) -> Result<TaskGroupJoinHandle<F::Output>, RuntimeError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        joined(self.handle.try_spawn_with(options, self.member(future)))
    }

    fn member<F>(&self, future: F) -> Member<F> {
        Member::new(future, self.token.clone(), &self.roll)
    }

    /// How many tasks of the group live.
    pub fn len(&self) -> usize {
        self.roll.live()
    }

    /// Whether no task of the group lives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How the tasks that have ended did so.
    pub fn ends(&self) -> TaskGroupEnds {
        self.roll.ends()
    }

    /// The handle that the group spawns through.
    pub fn handle(&self) -> &RuntimeHandleOf<A> {
        &self.handle
    }
}

impl<A: Assembly> Drop for TaskGroupOf<A> {
    fn drop(&mut self) {
        if self.cancels_on_drop {
            self.token.cancel();
        }
    }
}

impl<A: Assembly> fmt::Debug for TaskGroupOf<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("live", &self.len())
            .field("ends", &self.ends())
            .field("canceled", &self.token.is_canceled())
            .field("cancels_on_drop", &self.cancels_on_drop)
            .finish_non_exhaustive()
    }
}

/// The handle of a member that was taken; one that was refused is none of the group's ends.
fn joined<F: Future>(
    spawned: Result<JoinHandle<Option<F::Output>>, TrySpawnError<Member<F>>>,
) -> Result<TaskGroupJoinHandle<F::Output>, RuntimeError> {
    match spawned {
        Ok(handle) => Ok(TaskGroupJoinHandle { handle }),
        Err(refused) => {
            refused.future.dismiss();
            Err(refused.error)
        }
    }
}

/// Awaits the output of a task of a group. `Ok(None)`: the token of the group was canceled first.
///
/// Dropping the handle detaches the task, which stays in its group. The handle resolves in every
/// case, also when the runtime shuts down first.
///
/// # Cancel safety
///
/// Awaiting `&mut handle` and dropping that future loses nothing.
///
/// # Panics
///
/// If it is polled again after it was ready.
#[derive(Debug)]
pub struct TaskGroupJoinHandle<T> {
    handle: JoinHandle<Option<T>>,
}

impl<T> TaskGroupJoinHandle<T> {
    /// The identity of the task.
    pub fn id(&self) -> TaskId {
        self.handle.id()
    }

    /// As [`JoinHandle::abort`]: this task alone, whose handle then says
    /// [`JoinError::Canceled`].
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// As [`JoinHandle::abort_handle`].
    pub fn abort_handle(&self) -> Option<AbortHandle> {
        self.handle.abort_handle()
    }

    /// As [`JoinHandle::is_finished`].
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl<T> Future for TaskGroupJoinHandle<T> {
    type Output = Result<Option<T>, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle).poll(cx)
    }
}
