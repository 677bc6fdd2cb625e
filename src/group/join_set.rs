//! Tasks of one output, given out in the order in which they end.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::assembly::Assembly;
use crate::cancel::{Key, Slab};
use crate::error::{JoinError, RuntimeError};
use crate::group::ended::Ended;
use crate::id::{ShardId, TaskId};
use crate::port::{self, Port};
use crate::primitive::Arc;
use crate::runtime::{RuntimeHandleOf, ShardCtx, SpawnOptions, TaskPlacement, spawn, spawn_with};
use crate::task::{AbortHandle, JoinHandle};
use crate::time::unconstrained;

/// A set of tasks with outputs of one type, given out in the order in which the tasks end.
///
/// Dropping the set aborts the tasks that are in it; [`detach_all`](Self::detach_all) lets them go
/// on. The set may have tasks of several runtimes, and is used under any executor.
///
/// # Cost
///
/// A task in the set costs O(1), however many there are: it tells the set itself that it has ended.
/// For that there is one allocation for each task, and two short locks.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # spargio::Runtime::builder().shards(2).build()?.block_on(async {
/// use spargio::JoinSet;
///
/// let mut set = JoinSet::new();
/// for number in 0..10_u64 {
///     set.spawn(async move { number * number })?;
/// }
/// let mut sum = 0;
/// while let Some(square) = set.join_next().await {
///     sum += square?;
/// }
/// assert_eq!(sum, 285);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok(())
/// # }
/// ```
pub struct JoinSet<T> {
    tasks: Slab<Task<T>>,
    ended: Arc<Ended>,
}

enum Task<T> {
    Live {
        handle: JoinHandle<T>,
        /// The one that the task has.
        waker: Waker,
    },
    /// It had ended before its handle was here.
    Ended(Box<(TaskId, Result<T, JoinError>)>),
}

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> Self {
        Self { tasks: Slab::new(), ended: Arc::default() }
    }

    /// Spawns a stealable task on the ambient runtime: [`spawn`](crate::spawn).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn spawn<F>(&mut self, future: F) -> Result<AbortHandle, RuntimeError>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        Ok(self.insert(spawn(future)?))
    }

    /// Spawns a task with options on the ambient runtime: [`spawn_with`](crate::spawn_with).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # spargio::Runtime::builder().shards(1).build()?.block_on(async {
    /// use spargio::{JoinSet, SpawnOptions};
    ///
    /// let mut set = JoinSet::new();
    /// for number in 0..3 {
    ///     let options = SpawnOptions::new().name(format!("worker {number}"));
    ///     set.spawn_with(options, async move { number })?;
    /// }
    /// assert_eq!(set.join_all().await?.len(), 3);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_with<F>(
        &mut self,
        options: SpawnOptions,
        future: F,
    ) -> Result<AbortHandle, RuntimeError>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        Ok(self.insert(spawn_with(options, future)?))
    }

    /// Spawns a stealable task on the runtime of the handle:
    /// [`RuntimeHandle::spawn_stealable`](RuntimeHandleOf::spawn_stealable).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn spawn_on<A, F>(
        &mut self,
        future: F,
        handle: &RuntimeHandleOf<A>,
    ) -> Result<AbortHandle, RuntimeError>
    where
        A: Assembly,
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        Ok(self.insert(handle.spawn_stealable(future)?))
    }

    /// Spawns a task with options on the runtime of the handle:
    /// [`RuntimeHandle::spawn_with`](RuntimeHandleOf::spawn_with).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn spawn_on_with<A, F>(
        &mut self,
        options: SpawnOptions,
        future: F,
        handle: &RuntimeHandleOf<A>,
    ) -> Result<AbortHandle, RuntimeError>
    where
        A: Assembly,
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        Ok(self.insert(handle.spawn_with(options, future)?))
    }

    /// Spawns a task where the placement says:
    /// [`RuntimeHandle::spawn_with_placement`](RuntimeHandleOf::spawn_with_placement).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn spawn_with_placement<A, F>(
        &mut self,
        handle: &RuntimeHandleOf<A>,
        placement: TaskPlacement,
        future: F,
    ) -> Result<AbortHandle, RuntimeError>
    where
        A: Assembly,
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        Ok(self.insert(handle.spawn_with_placement(placement, future)?))
    }

    /// Spawns a future that need not be `Send`, made on the shard that it stays on:
    /// [`RuntimeHandle::spawn_local_on`](RuntimeHandleOf::spawn_local_on).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn spawn_local_on<A, M, F>(
        &mut self,
        handle: &RuntimeHandleOf<A>,
        shard: impl Into<ShardId>,
        make: M,
    ) -> Result<AbortHandle, RuntimeError>
    where
        A: Assembly,
        M: FnOnce(ShardCtx) -> F + Send + 'static,
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        Ok(self.insert(handle.spawn_local_on(shard, make)?))
    }

    /// As [`spawn_local_on`](Self::spawn_local_on), with options; a placement among them does not
    /// count.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn spawn_local_on_with<A, M, F>(
        &mut self,
        handle: &RuntimeHandleOf<A>,
        options: SpawnOptions,
        shard: impl Into<ShardId>,
        make: M,
    ) -> Result<AbortHandle, RuntimeError>
    where
        A: Assembly,
        M: FnOnce(ShardCtx) -> F + Send + 'static,
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        Ok(self.insert(handle.spawn_local_on_with(options, shard, make)?))
    }

    /// Takes a task in that runs already.
    ///
    /// # Panics
    ///
    /// If the handle has given its output away before.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let runtime = spargio::Runtime::builder().shards(2).build()?;
    /// let mut set = spargio::JoinSet::new();
    /// set.insert(runtime.handle().spawn_pinned(0, async { 1 })?);
    /// set.insert(runtime.handle().spawn_pinned(1, async { 2 })?);
    /// let both = runtime.block_on(set.join_all())?;
    /// assert_eq!(both.iter().sum::<i32>(), 3);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn insert(&mut self, handle: JoinHandle<T>) -> AbortHandle {
        let abort = handle.abort_handle().expect("the handle of a set has its output still");
        let key = self.tasks.insert(Task::Live { handle, waker: Waker::noop().clone() });
        let waker = self.ended.waker(key);
        if let Some(task) = self.tasks.get_mut(key)
            && let Task::Live { handle, waker: kept } = task
        {
            kept.clone_from(&waker);
            if let Poll::Ready(output) = poll(handle, &waker) {
                *task = Task::Ended(Box::new((abort.id(), output)));
                self.ended.tell(key);
            }
        }
        abort
    }

    /// Waits for a task to end, takes it out of the set, and gives its output, or says why it has
    /// none. `None`: the set is empty.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no output.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`join_next`](Self::join_next), with the identity of the task.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn join_next_with_id(&mut self) -> Option<(TaskId, Result<T, JoinError>)> {
        poll_fn(|cx| self.poll_join_next_with_id(cx)).await
    }

    /// As [`join_next`](Self::join_next), for a future or a stream written by hand. The task of the
    /// last poll is woken.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_join_next_with_id(cx).map(|ended| ended.map(|(_, output)| output))
    }

    /// As [`poll_join_next`](Self::poll_join_next), with the identity of the task.
    ///
    /// On a shard, an output counts as one of the ready operations that a poll may have; see
    /// [`consume_budget`](crate::consume_budget).
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(TaskId, Result<T, JoinError>)>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        while let Some(key) = self.ended.take_or_wait(cx.waker()) {
            if !port::with(|port| port.is_none_or(Port::consume_budget)) {
                self.ended.put_back(key);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(ended) = self.take(key) {
                return Poll::Ready(Some(ended));
            }
        }
        Poll::Pending
    }

    /// Takes a task out that has ended, without waiting. `None`: there is none, or the set is
    /// empty.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        loop {
            let key = self.ended.take()?;
            if let Some((_, output)) = self.take(key) {
                return Some(output);
            }
        }
    }

    /// Waits for all tasks, and gives their outputs in the order in which they ended.
    ///
    /// # Errors
    ///
    /// That of the first task that has no output, because it panicked or was aborted. The others
    /// are aborted.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future aborts the tasks.
    pub async fn join_all(mut self) -> Result<Vec<T>, JoinError> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(output) = self.join_next().await {
            outputs.push(output?);
        }
        Ok(outputs)
    }

    /// Aborts every task. They stay in the set until [`join_next`](Self::join_next) has given them
    /// out, those that were ready before with their outputs.
    pub fn abort_all(&mut self) {
        for task in self.tasks.iter() {
            if let Task::Live { handle, .. } = task {
                handle.abort();
            }
        }
    }

    /// Aborts every task, and waits until all of them have ended. Their outputs are dropped.
    ///
    /// # Cancel safety
    ///
    /// All tasks are aborted when this is polled first; those it has not seen the end of stay in
    /// the set.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Takes all tasks out of the set, and lets them go on by themselves.
    pub fn detach_all(&mut self) {
        self.tasks = Slab::new();
        self.ended = Arc::default();
    }

    /// How many tasks are in the set, those included that have ended and were not given out.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether no task is in the set.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Takes out the task with this key, if it has ended.
    fn take(&mut self, key: Key) -> Option<(TaskId, Result<T, JoinError>)> {
        // A waker may be woken for nothing; then the key is that of a task that lives, or of none.
        if let Task::Live { handle, waker } = self.tasks.get_mut(key)? {
            let id = handle.id();
            let Poll::Ready(output) = poll(handle, waker) else { return None };
            self.tasks.remove(key);
            return Some((id, output));
        }
        match self.tasks.remove(key)? {
            Task::Ended(ended) => Some(*ended),
            Task::Live { .. } => None,
        }
    }
}

/// Polls a handle for its set, which counts the outputs that it gives out itself.
fn poll<T>(handle: &mut JoinHandle<T>, waker: &Waker) -> Poll<Result<T, JoinError>> {
    pin!(unconstrained(handle)).poll(&mut Context::from_waker(waker))
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish_non_exhaustive()
    }
}
