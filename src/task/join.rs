//! Handles of tasks: await the output, ask for the end.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use crate::error::JoinError;
use crate::id::TaskId;
use crate::task::raw::Header;
use crate::task::state::{Joining, Left, Seen};
use crate::task::thread::with_here;
use crate::task::waker::{abort, free, release_reference};

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
    /// `None` once the output has been taken.
    task: Option<NonNull<Header>>,
    id: TaskId,
    output: PhantomData<T>,
}

// SAFETY:
// - the handle gives out the output, which is `Send` under the same bound; else it touches the word
//   of the task, which is atomic, and the waker slot, as `State` says.
unsafe impl<T: Send> Send for JoinHandle<T> {}

// SAFETY:
// - a shared handle gives out no `T`, and touches the word only.
unsafe impl<T> Sync for JoinHandle<T> {}

// The output does not lie in the handle.
impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// # Safety
    ///
    /// The task was just made, and gives a `T`.
    pub(super) unsafe fn new(task: NonNull<Header>) -> Self {
        // SAFETY:
        // - passed on to the caller.
        let id = unsafe { task.as_ref() }.meta().id();
        Self { task: Some(task), id, output: PhantomData }
    }

    fn header(&self) -> Option<&Header> {
        // SAFETY:
        // - the task is there as long as the handle has a part of it.
        self.task.map(|task| unsafe { task.as_ref() })
    }

    /// The identity of the task.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Asks the task to end. Its future is dropped on the shard that runs it, instead of the next
    /// poll; the handle then resolves to [`JoinError::Canceled`]. A task that has finished keeps
    /// its output.
    pub fn abort(&self) {
        if let Some(task) = self.task {
            // SAFETY:
            // - the handle has a part of the task.
            unsafe { abort(task) };
        }
    }

    /// A handle that can only abort, to be kept elsewhere. `None` after the output was taken.
    pub fn abort_handle(&self) -> Option<AbortHandle> {
        let task = self.task?;
        // SAFETY:
        // - the handle has a part of the task.
        Some(unsafe { AbortHandle::new(task) })
    }

    /// Whether the task has ended, so that awaiting the handle would not wait.
    pub fn is_finished(&self) -> bool {
        self.header().is_none_or(|header| header.state.look().is_complete())
    }

    /// Leaves a waker for whoever completes the task. Whether the task has completed first.
    ///
    /// # Safety
    ///
    /// The handle is borrowed exclusively, and `seen` is what the word said since then: not
    /// complete.
    unsafe fn wait(header: &Header, seen: Seen, waker: &Waker) -> Joining {
        if seen.has_join_waker() {
            let same = header.join_waker.with(|slot| {
                // SAFETY:
                // - the slot was filled by this handle. Whoever completes the task reads it, which
                //   this does too, and only compares.
                unsafe { &*slot.cast::<Waker>() }.will_wake(waker)
            });
            if same {
                // If the task has completed meanwhile, this waker is or was woken.
                return Joining::Done;
            }
            if header.state.unwait() == Joining::Complete {
                return Joining::Complete;
            }
            // SAFETY:
            // - the slot was filled by this handle, and was just taken back.
            unsafe { empty_slot(header) };
        }
        // The handle has the slot, which is empty. A waker is cloned before it is touched.
        let waker = waker.clone();
        header.join_waker.with_mut(|slot| {
            // SAFETY:
            // - only the handle touches the slot now.
            unsafe { slot.cast::<Waker>().write(waker) };
        });
        let waiting = header.state.wait();
        if waiting == Joining::Complete {
            // SAFETY:
            // - the slot was filled above, after the task had completed: nobody else reads it.
            unsafe { empty_slot(header) };
        }
        waiting
    }

    /// Takes the output, and gives up the task.
    ///
    /// # Safety
    ///
    /// The task is complete, and the handle has just given the pointer up.
    unsafe fn take(task: NonNull<Header>) -> Result<T, JoinError> {
        let mut output = None::<Result<T, JoinError>>;
        // SAFETY:
        // - the handle's part is given up below.
        let header = unsafe { task.as_ref() };
        if !header.state.look().is_leaked() {
            // SAFETY:
            // - the task is complete and gives a `T`, and this is the join handle.
            unsafe { (header.vtable.take)(task, (&raw mut output).cast()) };
        }
        if header.state.disjoin() == Left::Nobody {
            // SAFETY:
            // - nobody has a part, and the output was taken.
            unsafe { free(task) };
        }
        output.unwrap_or(Err(JoinError::Canceled))
    }

    /// Gives up a task that has not completed. Whether it has completed first.
    ///
    /// # Safety
    ///
    /// The handle is dropped, and `seen` is what the word said since then: not complete.
    unsafe fn detach(header: &Header, seen: Seen) -> Joining {
        // Read before the task is given up, because it may be freed then; but it is the handle's
        // only if the task has not completed by then.
        let waker = seen.has_join_waker().then(|| {
            header.join_waker.with(|slot| {
                // SAFETY:
                // - the slot was filled by this handle; whoever completes the task only reads it.
                ManuallyDrop::new(unsafe { slot.cast::<Waker>().read() })
            })
        });
        let detached = header.state.detach();
        if detached == Joining::Done
            && let Some(waker) = waker
        {
            drop(ManuallyDrop::into_inner(waker));
        }
        detached
    }
}

/// Takes one of the ready operations that a poll may have, if this thread is a shard.
fn consume_budget() -> bool {
    with_here(|here| here.is_none_or(|here| here.scheduler().consume_budget()))
}

/// Drops the waker in the slot.
///
/// # Safety
///
/// The slot is filled, and only the caller touches it.
unsafe fn empty_slot(header: &Header) {
    let waker = header.join_waker.with_mut(|slot| {
        // SAFETY:
        // - passed on to the caller; it is moved out once.
        unsafe { slot.cast::<Waker>().read() }
    });
    drop(waker);
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    ///
    /// If it is polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.task.expect("a join handle is not polled after it was ready");
        // SAFETY:
        // - the handle has a part of the task.
        let header = unsafe { task.as_ref() };
        let seen = header.state.look();
        if !seen.is_complete() {
            // SAFETY:
            // - the handle is borrowed exclusively, and the word was read above.
            let waiting = unsafe { Self::wait(header, seen, cx.waker()) };
            if waiting == Joining::Done {
                return Poll::Pending;
            }
        } else if !seen.has_join_waker() && !consume_budget() {
            // It has waited for nobody yet: it may be one of many that need not wait.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.task = None;
        // SAFETY:
        // - the task is complete, and the handle has given the pointer up.
        Poll::Ready(unsafe { Self::take(task) })
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else { return };
        // SAFETY:
        // - the handle's part is given up below.
        let header = unsafe { task.as_ref() };
        let seen = header.state.look();
        if !seen.is_complete() {
            // SAFETY:
            // - the handle is dropped, and the word was read above.
            let detached = unsafe { Self::detach(header, seen) };
            if detached == Joining::Done {
                return;
            }
        }
        if !header.state.look().is_leaked() {
            // SAFETY:
            // - the task is complete, and this is the join handle.
            unsafe { (header.vtable.drop_output)(task) };
        }
        if header.state.disjoin() == Left::Nobody {
            // SAFETY:
            // - nobody has a part, and the output was dropped.
            unsafe { free(task) };
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

/// Ends a task from elsewhere; neither keeps it running nor awaits it. Keeps its memory.
pub struct AbortHandle {
    task: NonNull<Header>,
}

// SAFETY:
// - it touches the word of the task, which is atomic, and the metadata, which do not change.
unsafe impl Send for AbortHandle {}

// SAFETY:
// - the same.
unsafe impl Sync for AbortHandle {}

impl AbortHandle {
    /// # Safety
    ///
    /// The caller has a part of the task.
    unsafe fn new(task: NonNull<Header>) -> Self {
        let handle = Self { task };
        handle.header().state.retain();
        handle
    }

    fn header(&self) -> &Header {
        // SAFETY:
        // - the handle has a reference.
        unsafe { self.task.as_ref() }
    }

    /// The identity of the task.
    pub fn id(&self) -> TaskId {
        self.header().meta().id()
    }

    /// As [`JoinHandle::abort`].
    pub fn abort(&self) {
        // SAFETY:
        // - the handle has a reference.
        unsafe { abort(self.task) };
    }

    /// Whether the task's future is gone.
    pub fn is_finished(&self) -> bool {
        self.header().state.look().is_complete()
    }
}

impl Clone for AbortHandle {
    fn clone(&self) -> Self {
        // SAFETY:
        // - this handle has a reference.
        unsafe { Self::new(self.task) }
    }
}

impl Drop for AbortHandle {
    fn drop(&mut self) {
        // SAFETY:
        // - the handle's reference ends here.
        unsafe { release_reference(self.task) };
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id())
            .field("finished", &self.is_finished())
            .finish()
    }
}
