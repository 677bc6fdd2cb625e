//! Handles of tasks: await the output, ask for the end.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use async_task::FallibleTask;

use crate::error::JoinError;
use crate::id::TaskId;
use crate::primitive::Arc;
use crate::task::guarded::Kept;
use crate::task::registry::Key;
use crate::task::{Meta, Scheduler};

/// Awaits the output of a task.
///
/// Dropping the handle detaches the task: it goes on by itself. [`abort`](Self::abort) ends it.
/// The handle resolves in every case, also when the runtime shuts down first.
///
/// # Cancel safety
///
/// Awaiting `&mut handle` and dropping that future loses nothing.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sum = spargio::Runtime::builder().shards(1).build()?.block_on(async {
///     let task = spargio::spawn(async { 40 + 2 })?;
///     Ok::<_, Box<dyn std::error::Error>>(task.await?)
/// })?;
/// assert_eq!(sum, 42);
/// # Ok(())
/// # }
/// ```
pub struct JoinHandle<T> {
    /// `None` once the output has been taken, or while the handle is being dropped.
    task: Option<FallibleTask<Kept<T>, Meta>>,
    /// Into the allocation that `task` keeps alive; read only while `task` is there.
    meta: NonNull<Meta>,
    id: TaskId,
}

// SAFETY: `task` is `Send` under the same bound, and of the `Meta`, which is `Sync`, only shared
// references are made.
unsafe impl<T: Send> Send for JoinHandle<T> {}

// SAFETY: a shared handle gives out no `T`, and of the `Meta` only shared references.
unsafe impl<T> Sync for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    pub(crate) fn new(task: async_task::Task<Kept<T>, Meta>) -> Self {
        let (id, meta) = (task.metadata().id(), NonNull::from(task.metadata()));
        Self { task: Some(task.fallible()), meta, id }
    }

    fn meta(&self) -> Option<&Meta> {
        self.task.as_ref()?;
        // SAFETY:
        // - `task` is there and keeps the allocation that the metadata lies in.
        Some(unsafe { self.meta.as_ref() })
    }

    /// The identity of the task.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Asks the task to end. Its future is dropped on the shard that runs it, instead of the next
    /// poll; the handle then resolves to [`JoinError::Canceled`]. A task that has finished keeps
    /// its output.
    pub fn abort(&self) {
        if let Some(meta) = self.meta() {
            meta.owner.registry().abort(meta.key);
        }
    }

    /// A handle that can only abort, to be kept elsewhere. `None` after the output was taken.
    pub fn abort_handle(&self) -> Option<AbortHandle> {
        let meta = self.meta()?;
        Some(AbortHandle { owner: Arc::clone(&meta.owner), key: meta.key, id: self.id })
    }

    /// Whether the task has ended, so that awaiting the handle would not wait.
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(FallibleTask::is_finished)
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    ///
    /// If it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.task.as_mut().expect("a join handle is not polled after it was ready");
        let Poll::Ready(output) = Pin::new(task).poll(cx) else { return Poll::Pending };
        // Nothing is left to detach from.
        drop(self.task.take());
        Poll::Ready(output.map_or(Err(JoinError::Canceled), Kept::take))
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.detach();
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id)
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// Awaits the output of a task of the same shard, which need not be `Send`.
///
/// Otherwise as [`JoinHandle`].
pub struct LocalJoinHandle<T> {
    handle: JoinHandle<T>,
    not_send: PhantomData<*const ()>,
}

impl<T> LocalJoinHandle<T> {
    pub(crate) fn new(handle: JoinHandle<T>) -> Self {
        Self { handle, not_send: PhantomData }
    }

    /// As [`JoinHandle::id`].
    pub fn id(&self) -> TaskId {
        self.handle.id()
    }

    /// As [`JoinHandle::abort`].
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

impl<T> Future for LocalJoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle).poll(cx)
    }
}

impl<T> fmt::Debug for LocalJoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

/// Ends a task from elsewhere; neither keeps it running nor awaits it.
#[derive(Clone, Debug)]
pub struct AbortHandle {
    owner: Arc<dyn Scheduler>,
    key: Key,
    id: TaskId,
}

impl AbortHandle {
    /// The identity of the task.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// As [`JoinHandle::abort`].
    pub fn abort(&self) {
        self.owner.registry().abort(self.key);
    }

    /// Whether the task's future is gone.
    pub fn is_finished(&self) -> bool {
        !self.owner.registry().is_live(self.key)
    }
}
