//! Spawning: which shard a task starts on, whether it may leave it, and what limits it.

use std::future::Future;

use crate::assembly::{Assembly, Native};
use crate::error::{RuntimeError, TrySpawnError};
use crate::id::ShardId;
use crate::placement::Wish;
use crate::port::{self, Lane};
use crate::primitive::Arc;
use crate::runtime::ctx::{self, ShardCtx};
use crate::runtime::handle::{RuntimeHandleOf, ShardHandleOf};
use crate::task::{self, Home, JoinHandle, Label, LocalJoinHandle, Refusal, Unnamed};

/// Where a task runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TaskPlacement {
    /// On this shard, always.
    Pinned(ShardId),
    /// On each shard in turn; the task stays where it started.
    RoundRobin,
    /// On the shard that the key belongs to, always the same for the same key.
    Sticky(u64),
    /// On the shard that spawns it, or from outside on the one that the placement chooses; any
    /// shard without work may take it over.
    Stealable,
    /// On this shard first; any shard without work may take it over.
    StealablePreferred(ShardId),
}

impl<A: Assembly> RuntimeHandleOf<A> {
    /// Spawns a stealable task: [`TaskPlacement::Stealable`].
    ///
    /// # Errors
    ///
    /// [`Closed`](RuntimeError::Closed) after shutdown, [`Overloaded`](RuntimeError::Overloaded) at
    /// a limit. The future is dropped; [`try_spawn_with_placement`](Self::try_spawn_with_placement)
    /// gives it back.
    pub fn spawn_stealable<F>(&self, future: F) -> Result<JoinHandle<F::Output>, RuntimeError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_with_placement(TaskPlacement::Stealable, future)
    }

    /// Spawns a stealable task that starts on this shard unless another takes it first.
    ///
    /// # Errors
    ///
    /// As [`spawn_stealable`](Self::spawn_stealable), and
    /// [`InvalidShard`](RuntimeError::InvalidShard).
    pub fn spawn_stealable_on<F>(
        &self,
        shard: impl Into<ShardId>,
        future: F,
    ) -> Result<JoinHandle<F::Output>, RuntimeError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_with_placement(TaskPlacement::StealablePreferred(shard.into()), future)
    }

    /// Spawns a task that runs on this shard only.
    ///
    /// # Errors
    ///
    /// As [`spawn_stealable_on`](Self::spawn_stealable_on).
    pub fn spawn_pinned<F>(
        &self,
        shard: impl Into<ShardId>,
        future: F,
    ) -> Result<JoinHandle<F::Output>, RuntimeError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_with_placement(TaskPlacement::Pinned(shard.into()), future)
    }

    /// Spawns a task where the placement says.
    ///
    /// # Errors
    ///
    /// As [`spawn_stealable_on`](Self::spawn_stealable_on).
    pub fn spawn_with_placement<F>(
        &self,
        placement: TaskPlacement,
        future: F,
    ) -> Result<JoinHandle<F::Output>, RuntimeError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.try_spawn_with_placement(placement, future).map_err(RuntimeError::from)
    }

    /// As [`spawn_with_placement`](Self::spawn_with_placement), and gives a refused future back.
    ///
    /// # Errors
    ///
    /// As there, with the future.
    pub fn try_spawn_with_placement<F>(
        &self,
        placement: TaskPlacement,
        future: F,
    ) -> Result<JoinHandle<F::Output>, TrySpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.try_spawn_labelled(placement, Unnamed, future)
    }

    /// As [`try_spawn_with_placement`](Self::try_spawn_with_placement), with a label.
    pub(super) fn try_spawn_labelled<F, L>(
        &self,
        placement: TaskPlacement,
        label: L,
        future: F,
    ) -> Result<JoinHandle<F::Output>, TrySpawnError<F>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
        L: Label,
    {
        let here = self.here();
        let home = match self.home(placement, here) {
            Ok(home) => home,
            Err(error) => return Err(TrySpawnError { error, future }),
        };
        if here != Some(home.shard)
            && let Err(error) = self.core().admit(home.shard)
        {
            return Err(TrySpawnError { error, future });
        }
        let outpost = self.outpost(home.shard);
        let (runnable, handle) = task::spawn_labelled(outpost, home, label, future)
            .map_err(|(refusal, future)| TrySpawnError { error: refusal.into(), future })?;
        if home.pinned || here == Some(home.shard) {
            runnable.schedule();
        } else {
            outpost.inject(runnable);
        }
        Ok(handle)
    }

    /// Spawns a future that need not be `Send` on this shard. `make` runs there, as the first step
    /// of the task, and what it returns never leaves the shard.
    ///
    /// # Errors
    ///
    /// As [`spawn_pinned`](Self::spawn_pinned).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::rc::Rc;
    /// # let runtime = spargio::Runtime::builder().shards(2).build()?;
    /// let task = runtime.handle().spawn_local_on(1, |ctx| async move {
    ///     let shared = Rc::new(41);
    ///     *shared + u32::from(ctx.shard_id().get())
    /// })?;
    /// assert_eq!(runtime.block_on(task)?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spawn_local_on<M, F>(
        &self,
        shard: impl Into<ShardId>,
        make: M,
    ) -> Result<JoinHandle<F::Output>, RuntimeError>
    where
        M: FnOnce(ShardCtx) -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_local_labelled(shard.into(), Unnamed, make)
    }

    /// As [`spawn_local_on`](Self::spawn_local_on), with a label.
    pub(super) fn spawn_local_labelled<M, F, L>(
        &self,
        shard: ShardId,
        label: L,
        make: M,
    ) -> Result<JoinHandle<F::Output>, RuntimeError>
    where
        M: FnOnce(ShardCtx) -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
        L: Label,
    {
        let shard = self.check(shard)?;
        if self.here() != Some(shard) {
            self.core().admit(shard)?;
        }
        let outpost = self.outpost(shard);
        let lane = Arc::clone(outpost) as Arc<dyn Lane>;
        let make = move || make(ShardCtx::new(lane));
        let (runnable, handle) = task::spawn_confined(outpost, shard, label, make)?;
        runnable.schedule();
        Ok(handle)
    }

    /// The shard that a placement means, and whether the task may leave it.
    fn home(&self, placement: TaskPlacement, here: Option<ShardId>) -> Result<Home, RuntimeError> {
        let (shard, pinned) = match placement {
            TaskPlacement::Pinned(shard) => (self.check(shard)?, true),
            TaskPlacement::StealablePreferred(shard) => {
                let shard = self.check(shard)?;
                // What a shard leaves to itself costs no look at loads; others take it if it waits.
                let is_here = here == Some(shard);
                (if is_here { shard } else { self.core().place(Wish::Near(shard)) }, false)
            }
            TaskPlacement::RoundRobin => (self.core().place(Wish::Spread), true),
            TaskPlacement::Sticky(key) => (self.core().place(Wish::Key(key)), true),
            TaskPlacement::Stealable => {
                (here.unwrap_or_else(|| self.core().place(Wish::Any)), false)
            }
        };
        Ok(Home { shard, pinned, confined: false, local: false })
    }
}

impl<A: Assembly> ShardHandleOf<A> {
    /// Spawns a task that runs on this shard only.
    ///
    /// # Errors
    ///
    /// As [`RuntimeHandleOf::spawn_pinned`].
    pub fn spawn_pinned<F>(&self, future: F) -> Result<JoinHandle<F::Output>, RuntimeError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.runtime().spawn_pinned(self.shard_id(), future)
    }
}

impl From<Refusal> for RuntimeError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closed => Self::Closed,
            Refusal::Full { limit } => Self::Overloaded { what: "live tasks of the shard", limit },
        }
    }
}

/// Spawns a stealable task on the ambient runtime: on this shard, or from
/// [`block_on`](super::RuntimeOf::block_on) on the one that the placement chose for this thread.
///
/// # Errors
///
/// [`NoRuntime`](RuntimeError::NoRuntime) on a thread without a runtime,
/// [`Closed`](RuntimeError::Closed) during shutdown, [`Overloaded`](RuntimeError::Overloaded) at
/// the limit of live tasks.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # spargio::Runtime::builder().shards(1).build()?.block_on(async {
/// let task = spargio::spawn(async { "done" })?;
/// assert_eq!(task.await?, "done");
/// # Ok::<_, spargio::RuntimeError>(())
/// # })?;
/// # Ok(())
/// # }
/// ```
pub fn spawn<F>(future: F) -> Result<JoinHandle<F::Output>, RuntimeError>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_labelled(Unnamed, future)
}

/// As [`spawn`], with a label.
pub(super) fn spawn_labelled<F, L>(
    label: L,
    future: F,
) -> Result<JoinHandle<F::Output>, RuntimeError>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    L: Label,
{
    port::with(|port| match port {
        // What a shard spawns itself is limited by the number of live tasks only.
        Some(port) => spawn_through(port.lane(), port.shard(), label, future),
        None => port::with_current_lane(|lane| {
            let lane = lane.ok_or(RuntimeError::NoRuntime)?;
            lane.admit()?;
            spawn_through(lane, lane.shard(), label, future)
        }),
    })
}

/// As [`RuntimeHandleOf::spawn_stealable_on`], on the ambient runtime of the default assembly.
///
/// # Errors
///
/// As there, and [`NoRuntime`](RuntimeError::NoRuntime).
pub fn spawn_stealable_on<F>(
    shard: impl Into<ShardId>,
    future: F,
) -> Result<JoinHandle<F::Output>, RuntimeError>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let handle = RuntimeHandleOf::<Native>::current().ok_or(RuntimeError::NoRuntime)?;
    handle.spawn_stealable_on(shard, future)
}

/// Spawns a task on this shard that need not be `Send`.
///
/// # Errors
///
/// As [`spawn`]; [`NoRuntime`](RuntimeError::NoRuntime) also inside of
/// [`block_on`](super::RuntimeOf::block_on), whose thread is no shard.
pub fn spawn_local<F>(future: F) -> Result<LocalJoinHandle<F::Output>, RuntimeError>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_local_labelled(Unnamed, future)
}

/// As [`spawn_local`], with a label.
pub(super) fn spawn_local_labelled<F, L>(
    label: L,
    future: F,
) -> Result<LocalJoinHandle<F::Output>, RuntimeError>
where
    F: Future + 'static,
    F::Output: 'static,
    L: Label,
{
    port::with(|port| {
        let port = port.ok_or(RuntimeError::NoRuntime)?;
        ctx::spawn_local(port.lane(), label, future)
    })
}

fn spawn_through<F, L>(
    lane: &Arc<dyn Lane>,
    shard: ShardId,
    label: L,
    future: F,
) -> Result<JoinHandle<F::Output>, RuntimeError>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
    L: Label,
{
    let home = Home { shard, pinned: false, confined: false, local: false };
    let (runnable, handle) = task::spawn_labelled(lane, home, label, future)
        .map_err(|(refusal, _)| RuntimeError::from(refusal))?;
    runnable.schedule();
    Ok(handle)
}
