//! Spawning with a name.

use std::borrow::Cow;
use std::future::Future;

use crate::assembly::{Assembly, Native};
use crate::error::{RuntimeError, TrySpawnError};
use crate::id::ShardId;
use crate::runtime::ctx::ShardCtx;
use crate::runtime::handle::RuntimeHandleOf;
use crate::runtime::spawn::{TaskPlacement, spawn_labelled, spawn_local_labelled};
use crate::runtime::{RuntimeOf, spawn, spawn_local};
use crate::task::{JoinHandle, LocalJoinHandle, Named};

/// What a task is spawned with besides its future: a name, for people, and a place.
///
/// The name shows in [dumps](RuntimeHandleOf::dump), in reports of
/// [panics](crate::TaskPanic) and [slow polls](crate::SlowPoll), and in spans. It lies in the
/// memory of the task; tasks without one do not pay for it.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use spargio::{Runtime, SpawnOptions, TaskPlacement};
///
/// let runtime = Runtime::builder().shards(2).build()?;
/// let options = SpawnOptions::new().name("sums").placement(TaskPlacement::RoundRobin);
/// let task = runtime.spawn_with(options, async { 40 + 2 })?;
/// assert_eq!(runtime.block_on(task)?, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default, Debug)]
pub struct SpawnOptions {
    name: Option<Cow<'static, str>>,
    placement: Option<TaskPlacement>,
}

impl SpawnOptions {
    /// No name, and the place that [`spawn`](crate::spawn) takes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the task a name. Names need not differ.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Says where the task runs. Default: [`Stealable`](TaskPlacement::Stealable).
    pub fn placement(mut self, placement: TaskPlacement) -> Self {
        self.placement = Some(placement);
        self
    }

    pub(super) fn into_label(self) -> Option<Named> {
        self.name.map(Named)
    }
}

impl<A: Assembly> RuntimeHandleOf<A> {
    /// Spawns a task with options.
    ///
    /// # Errors
    ///
    /// As [`spawn_with_placement`](Self::spawn_with_placement).
    pub fn spawn_with<F>(
        &self,
        options: SpawnOptions,
        future: F,
    ) -> Result<JoinHandle<F::Output>, RuntimeError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.try_spawn_with(options, future).map_err(RuntimeError::from)
    }

    /// As [`spawn_with`](Self::spawn_with); the future of a refused task comes back.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_spawn_with<F>(
        &self,
        options: SpawnOptions,
        future: F,
    ) -> Result<JoinHandle<F::Output>, TrySpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let placement = options.placement.unwrap_or(TaskPlacement::Stealable);
        match options.into_label() {
            Some(label) => self.try_spawn_labelled(placement, label, future),
            None => self.try_spawn_with_placement(placement, future),
        }
    }

    /// As [`spawn_local_on`](Self::spawn_local_on), with options; a placement among them does not
    /// count.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn spawn_local_on_with<M, F>(
        &self,
        options: SpawnOptions,
        shard: impl Into<ShardId>,
        make: M,
    ) -> Result<JoinHandle<F::Output>, RuntimeError>
    where
        M: FnOnce(ShardCtx) -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        match options.into_label() {
            Some(label) => self.spawn_local_labelled(shard.into(), label, make),
            None => self.spawn_local_on(shard, make),
        }
    }
}

impl<A: Assembly> RuntimeOf<A> {
    /// As [`RuntimeHandleOf::spawn_with`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn spawn_with<F>(
        &self,
        options: SpawnOptions,
        future: F,
    ) -> Result<JoinHandle<F::Output>, RuntimeError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle().spawn_with(options, future)
    }
}

/// As [`spawn`](crate::spawn), with options.
///
/// # Errors
///
/// As there. With a placement the ambient runtime must be one of the default assembly, else there
/// is [`NoRuntime`](RuntimeError::NoRuntime).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use spargio::SpawnOptions;
///
/// # spargio::Runtime::builder().shards(1).build()?.block_on(async {
/// let task = spargio::spawn_with(SpawnOptions::new().name("greeter"), async { "hello" })?;
/// assert_eq!(task.await?, "hello");
/// # Ok::<_, spargio::RuntimeError>(())
/// # })?;
/// # Ok(())
/// # }
/// ```
pub fn spawn_with<F>(
    options: SpawnOptions,
    future: F,
) -> Result<JoinHandle<F::Output>, RuntimeError>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if options.placement.is_some() {
        let handle = RuntimeHandleOf::<Native>::current().ok_or(RuntimeError::NoRuntime)?;
        return handle.spawn_with(options, future);
    }
    match options.into_label() {
        Some(label) => spawn_labelled(label, future),
        None => spawn(future),
    }
}

/// As [`spawn_local`](crate::spawn_local), with options; a placement among them does not count.
///
/// # Errors
///
/// As there.
pub fn spawn_local_with<F>(
    options: SpawnOptions,
    future: F,
) -> Result<LocalJoinHandle<F::Output>, RuntimeError>
where
    F: Future + 'static,
    F::Output: 'static,
{
    match options.into_label() {
        Some(label) => spawn_local_labelled(label, future),
        None => spawn_local(future),
    }
}
