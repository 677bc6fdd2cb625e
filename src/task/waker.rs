//! The wakers of a task, and its abort: what others can do to it.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::task::raw::Header;
use crate::task::runnable::{Runnable, schedule};
use crate::task::state::{Left, Wake};
use crate::task::thread::note_self_wake;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);

/// Whether a waker is one of this module.
pub(super) fn is_ours(waker: &Waker) -> bool {
    std::ptr::eq(waker.vtable(), &raw const VTABLE)
}

/// A waker that shares the part of whoever polls the task.
///
/// # Safety
///
/// It is not used after the poll; clones of it may be.
#[inline]
pub(super) unsafe fn borrowed(task: NonNull<Header>) -> ManuallyDrop<Waker> {
    // SAFETY:
    // - `RawWaker`: the functions are thread-safe, as `State` is, and hold to the contract. The
    //   one reference that this stands for is not given up, as it is not dropped.
    let waker = unsafe { Waker::from_raw(RawWaker::new(task.as_ptr().cast(), &VTABLE)) };
    ManuallyDrop::new(waker)
}

/// Asks a task to end before its next poll.
///
/// # Safety
///
/// The caller has a part of the task.
pub(super) unsafe fn abort(task: NonNull<Header>) {
    // SAFETY:
    // - passed on to the caller.
    let wake = unsafe { task.as_ref() }.state.abort();
    // SAFETY:
    // - the state says so; no reference was given up.
    unsafe { follow(task, wake) };
}

/// Gives up a reference.
///
/// # Safety
///
/// The caller has it.
#[inline]
pub(super) unsafe fn release_reference(task: NonNull<Header>) {
    // SAFETY:
    // - passed on to the caller.
    if unsafe { task.as_ref() }.state.release() == Left::Nobody {
        // SAFETY:
        // - nobody has a part, so the task is complete, and the output is gone with the handle.
        unsafe { free(task) };
    }
}

/// # Safety
///
/// Nobody has a part of the task, and its output is gone.
#[inline]
pub(super) unsafe fn free(task: NonNull<Header>) {
    // SAFETY:
    // - the task is still there.
    let vtable = unsafe { task.as_ref() }.vtable;
    // SAFETY:
    // - passed on to the caller.
    unsafe { (vtable.free)(task) };
}

/// # Safety
///
/// The word of the task has just said this.
#[inline]
unsafe fn follow(task: NonNull<Header>, wake: Wake) {
    match wake {
        Wake::Nothing => {}
        // SAFETY:
        // - the caller has just set `HELD`.
        Wake::Schedule => schedule(unsafe { Runnable::new(task) }),
        // SAFETY:
        // - nobody has a part, so the task is complete, and the output is gone with the handle.
        Wake::Free => unsafe { free(task) },
    }
}

/// The task behind a waker.
///
/// # Safety
///
/// The pointer is that of a waker of this module, which is not gone.
#[inline]
unsafe fn task_of(data: *const ()) -> NonNull<Header> {
    // SAFETY:
    // - wakers of this module are made of pointers that are not null.
    unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }
}

/// # Safety
///
/// As of the functions of a [`RawWakerVTable`].
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY:
    // - a waker calls this with its own pointer.
    let task = unsafe { task_of(data) };
    // SAFETY:
    // - the waker has a reference, or borrows one.
    unsafe { task.as_ref() }.state.retain();
    RawWaker::new(data, &VTABLE)
}

/// # Safety
///
/// As of the functions of a [`RawWakerVTable`].
unsafe fn wake(data: *const ()) {
    // SAFETY:
    // - a waker calls this with its own pointer.
    let task = unsafe { task_of(data) };
    if note_self_wake(task) {
        // SAFETY:
        // - the waker's reference ends here.
        return unsafe { release_reference(task) };
    }
    // SAFETY:
    // - the waker has a reference.
    let wake = unsafe { task.as_ref() }.state.wake_and_release();
    // SAFETY:
    // - the state has just said so.
    unsafe { follow(task, wake) };
}

/// # Safety
///
/// As of the functions of a [`RawWakerVTable`].
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY:
    // - a waker calls this with its own pointer.
    let task = unsafe { task_of(data) };
    if note_self_wake(task) {
        return;
    }
    // SAFETY:
    // - the waker has a reference, or borrows one.
    let wake = unsafe { task.as_ref() }.state.wake();
    // SAFETY:
    // - the state has just said so.
    unsafe { follow(task, wake) };
}

/// # Safety
///
/// As of the functions of a [`RawWakerVTable`].
unsafe fn release(data: *const ()) {
    // SAFETY:
    // - a waker calls this with its own pointer.
    let task = unsafe { task_of(data) };
    // SAFETY:
    // - the waker's reference ends here.
    unsafe { release_reference(task) };
}
