//! The right to run a task.

use std::fmt;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::task::{Context, Waker};

use crate::contain::wake;
use crate::primitive::Arc;
use crate::task::inspect::TaskRef;
use crate::task::meta::Meta;
use crate::task::raw::{Cause, Header, Polled};
use crate::task::registry::Leave;
use crate::task::report::report_output;
use crate::task::state::{Left, Rest, Start};
use crate::task::thread::{Polling, with_here};
use crate::task::waker::{self, free};

/// A task that wants to be polled. Whoever holds it decides where.
///
/// Dropping it ends the task: the future is dropped and the handle resolves. A future that is
/// bound to another thread is leaked instead.
pub(crate) struct Runnable {
    task: NonNull<Header>,
}

// SAFETY:
// - it is the one that may touch the future. A task whose future is not `Send` is bound to a
//   thread, and `run` and `drop` touch it on that thread only.
unsafe impl Send for Runnable {}

// SAFETY:
// - a shared one gives out the metadata only, which are `Sync`.
unsafe impl Sync for Runnable {}

// No panic of a user's gets out of a task.
impl UnwindSafe for Runnable {}

impl RefUnwindSafe for Runnable {}

impl Runnable {
    /// The one of a task that was just made `HELD`.
    ///
    /// # Safety
    ///
    /// The caller has set `HELD`, or made the task.
    pub(super) unsafe fn new(task: NonNull<Header>) -> Self {
        Self { task }
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY:
        // - a task with a `Runnable` is not complete, so it is listed, which keeps it.
        unsafe { self.task.as_ref() }
    }

    /// What the task knows about itself.
    #[inline]
    pub(crate) fn metadata(&self) -> &Meta {
        self.header().meta()
    }

    /// Keeps the memory of the task, to say later which one it was.
    pub(crate) fn to_ref(&self) -> TaskRef {
        // SAFETY:
        // - a task with a `Runnable` is listed, which keeps it.
        unsafe { TaskRef::new(self.task) }
    }

    /// From now on a confined future belongs to this thread, unless it belongs to another already.
    /// Whether this thread may touch the future.
    #[inline]
    pub(super) fn bind(&self) -> bool {
        // SAFETY:
        // - this is the holder of the `Runnable`.
        unsafe { self.header().bind() }
    }

    /// The pointer that [`from_raw`](Self::from_raw) makes a `Runnable` of again.
    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<()> {
        ManuallyDrop::new(self).task.cast()
    }

    /// # Safety
    ///
    /// The pointer came from [`into_raw`](Self::into_raw), and this is done once.
    #[inline]
    pub(crate) unsafe fn from_raw(pointer: NonNull<()>) -> Self {
        Self { task: pointer.cast() }
    }

    /// Queues the task: on the shard that this thread is, if it is one of the task's runtime, else
    /// through the task's own scheduler.
    #[inline]
    pub(crate) fn schedule(self) {
        schedule(self);
    }

    /// Polls the task once, or ends it if it was aborted. It comes back if it was woken meanwhile,
    /// to be queued again.
    ///
    /// Panics of the future are its output.
    ///
    /// # Panics
    ///
    /// If the future is bound to another thread. The task ends.
    #[inline]
    pub(crate) fn poll(self) -> Option<Self> {
        assert!(self.bind(), "a task that is bound to a thread runs there");
        let this = ManuallyDrop::new(self);
        let (task, header) = (this.task, this.header());
        if header.state.start() == Start::End || header.meta().registry().is_ending() {
            // SAFETY:
            // - the `Runnable` is not used any more and not dropped.
            unsafe { end(task, Cause::Aborted) };
            return None;
        }
        let polling = Polling::enter(task);
        // SAFETY:
        // - this is the holder of the `Runnable`.
        unsafe { header.with_span(|span| span.enter()) };
        // SAFETY:
        // - the task outlives this, as it is listed.
        let waker = unsafe { waker::borrowed(task) };
        // SAFETY:
        // - this is the holder of the `Runnable`, on a thread that may touch the future, as was
        //   asked above. A task that is not complete has its future.
        let polled = unsafe { (header.vtable.poll)(task, &mut Context::from_waker(&waker)) };
        // SAFETY:
        // - the same.
        unsafe { header.with_span(|span| span.exit()) };
        let woken = polling.leave();
        header.state.polled();
        if polled != Polled::Pending {
            if polled == Polled::Panicked {
                // SAFETY:
                // - this is the holder of the `Runnable`; the output is in its place.
                unsafe { report_output(task) };
            }
            // SAFETY:
            // - the `Runnable` is not used any more and not dropped; the output is in its place.
            unsafe { complete(task) };
            return None;
        }
        let again = woken || header.state.rest() == Rest::Again;
        again.then(|| ManuallyDrop::into_inner(this))
    }

    /// Polls the task once, and queues it if it was woken meanwhile.
    #[cfg(test)]
    pub(crate) fn run(self) {
        if let Some(woken) = self.poll() {
            woken.schedule();
        }
    }
}

impl Drop for Runnable {
    fn drop(&mut self) {
        // SAFETY:
        // - this is the holder of the `Runnable`, which ends here.
        unsafe { end(self.task, Cause::ThrownAway) };
    }
}

impl fmt::Debug for Runnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runnable").field(&self.metadata().id()).finish()
    }
}

#[inline]
pub(super) fn schedule(runnable: Runnable) {
    let elsewhere = with_here(|here| match here {
        Some(here) if here.runtime == runnable.metadata().runtime() => {
            here.scheduler().schedule(runnable);
            None
        }
        _ => Some(runnable),
    });
    if let Some(runnable) = elsewhere {
        // The task may end elsewhere and be freed while `schedule` still runs, so it gets an owner
        // of its own.
        let owner = Arc::clone(runnable.metadata().owner());
        owner.schedule(runnable);
    }
}

/// Drops the future, or leaks it if it is bound to another thread, and completes the task.
///
/// # Safety
///
/// The caller holds the `Runnable` and gives it up.
unsafe fn end(task: NonNull<Header>, cause: Cause) {
    // SAFETY:
    // - a task with a `Runnable` is listed, which keeps it.
    let header = unsafe { task.as_ref() };
    // SAFETY:
    // - passed on to the caller.
    if unsafe { header.may_touch_future() } {
        // SAFETY:
        // - passed on to the caller; this thread may touch the future, as was just asked.
        unsafe { (header.vtable.cancel)(task, cause) };
        // SAFETY:
        // - passed on to the caller; the output is in its place.
        unsafe { complete(task) };
    } else {
        // SAFETY:
        // - passed on to the caller.
        unsafe { complete_leaked(task) };
    }
}

/// Tells registry and join handle that the output is there, and gives up the task.
///
/// # Safety
///
/// The caller holds the `Runnable` and gives it up; the output is in its place.
#[inline]
unsafe fn complete(task: NonNull<Header>) {
    // SAFETY:
    // - a task with a `Runnable` is listed, which keeps it.
    let header = unsafe { task.as_ref() };
    // SAFETY:
    // - the caller holds the `Runnable`.
    unsafe { header.with_span(|span| span.close()) };
    // SAFETY:
    // - this is the end of a task that is listed, once, by the holder of its `Runnable`.
    let leave = unsafe { header.meta().registry().leave(task) };
    let mut seen = header.state.look();
    let mut has_output = true;
    let waker = loop {
        if has_output && !seen.has_join() {
            has_output = false;
            // SAFETY:
            // - the handle is gone, so nobody else will look at the output.
            unsafe { (header.vtable.drop_output)(task) };
        }
        if leave == Leave::Unlinked && !(seen.has_join() && seen.has_join_waker()) {
            match header.state.complete_unlisted(seen) {
                // SAFETY:
                // - nobody has a part, and the output was dropped: the handle is gone.
                Ok(Left::Nobody) => return unsafe { free(task) },
                Ok(Left::Others) => return,
                Err(now) => seen = now,
            }
            continue;
        }
        match header.state.complete(seen) {
            // SAFETY:
            // - the word said so when it became complete.
            Ok(()) if seen.has_join_waker() => break Some(unsafe { take_join_waker(header) }),
            Ok(()) => break None,
            Err(now) => seen = now,
        }
    };
    // SAFETY:
    // - the task is complete and its place in the list was not given up.
    unsafe { give_up_place(task, leave) };
    if let Some(waker) = waker {
        wake(waker);
    }
}

/// As [`complete`], for a future that nobody will ever touch again. Its memory stays.
///
/// # Safety
///
/// The caller holds the `Runnable` and gives it up.
unsafe fn complete_leaked(task: NonNull<Header>) {
    // SAFETY:
    // - a task with a `Runnable` is listed, which keeps it.
    let header = unsafe { task.as_ref() };
    // SAFETY:
    // - the caller holds the `Runnable`.
    unsafe { header.with_span(|span| span.close()) };
    // One more reference, that is never given up: the future is pinned in this memory.
    header.state.retain();
    // SAFETY:
    // - as in `complete`.
    let leave = unsafe { header.meta().registry().leave(task) };
    let mut seen = header.state.look();
    while let Err(now) = header.state.complete_leaked(seen) {
        seen = now;
    }
    // SAFETY:
    // - the word said so when it became complete.
    let waker = seen.has_join_waker().then(|| unsafe { take_join_waker(header) });
    // SAFETY:
    // - as in `complete`.
    unsafe { give_up_place(task, leave) };
    if let Some(waker) = waker {
        wake(waker);
    }
}

/// # Safety
///
/// The caller has completed the task, with the waker slot filled.
unsafe fn take_join_waker(header: &Header) -> Waker {
    header.join_waker.with(|slot| {
        // SAFETY:
        // - the slot is filled, and became the caller's when it completed the task; nobody reads
        //   it as a waker again.
        unsafe { slot.cast::<Waker>().read() }
    })
}

/// Gives up the registry's part of a complete task.
///
/// # Safety
///
/// `leave` is what the registry said, and the place was not given up.
unsafe fn give_up_place(task: NonNull<Header>, leave: Leave) {
    // SAFETY:
    // - the task is listed, which keeps it.
    let header = unsafe { task.as_ref() };
    match leave {
        Leave::Unlinked => {
            if header.state.unlist() == Left::Nobody {
                // SAFETY:
                // - nobody has a part. The output is gone with the handle.
                unsafe { free(task) };
            }
        }
        Leave::HandOver => {
            // The registry lives while some task, or this thread's runtime, does. After the
            // hand-over the task is the owner's, who may free it at once.
            let runtime = header.meta().runtime();
            let is_kept = with_here(|here| here.is_some_and(|here| here.runtime == runtime));
            let keep = (!is_kept).then(|| Arc::clone(header.meta().owner()));
            let registry = NonNull::from(header.meta().registry());
            // SAFETY:
            // - the registry lives: a shard of its runtime runs around us, or `keep` keeps it.
            let registry = unsafe { registry.as_ref() };
            // SAFETY:
            // - the registry asked for it, and the task is complete; the registry outlives this.
            unsafe { registry.hand_over(task) };
            drop(keep);
        }
    }
}
