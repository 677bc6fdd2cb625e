//! Panics of futures, told to the runtime that the task belongs to.

use std::any::Any;
use std::ptr::NonNull;

use crate::contain::guard;
use crate::task::raw::Header;

/// Tells the runtime of the panic that is the output.
///
/// # Safety
///
/// The caller holds the `Runnable`, and the output is in its place.
#[cold]
#[inline(never)]
pub(super) unsafe fn report_output(task: NonNull<Header>) {
    // SAFETY:
    // - a task with a `Runnable` is there.
    let vtable = unsafe { task.as_ref() }.vtable;
    // SAFETY:
    // - passed on to the caller.
    let Some(payload) = (unsafe { (vtable.payload)(task) }) else { return };
    // SAFETY:
    // - the output stays until the task is complete, which it is not before this returns.
    let payload = unsafe { payload.as_ref() };
    // SAFETY:
    // - passed on to the caller.
    unsafe { report(task, payload) };
}

/// Tells the runtime of a panic of the future. What its answer to that is, it does at once.
///
/// # Safety
///
/// The caller holds the `Runnable`.
#[cold]
pub(super) unsafe fn report(task: NonNull<Header>, payload: &(dyn Any + Send)) {
    // SAFETY:
    // - a task with a `Runnable` is there.
    let meta = unsafe { task.as_ref() }.meta();
    // SAFETY:
    // - the same.
    let name = unsafe { name_of(task) };
    guard(|| meta.owner().panicked(meta.id(), name, payload));
}

/// The name of a task.
///
/// # Safety
///
/// The task is there, and stays for as long as the name is used.
pub(super) unsafe fn name_of<'a>(task: NonNull<Header>) -> Option<&'a str> {
    // SAFETY:
    // - passed on to the caller.
    let vtable = unsafe { task.as_ref() }.vtable;
    // SAFETY:
    // - the same.
    let name = unsafe { (vtable.name)(task) };
    // SAFETY:
    // - the same: the name lies in the task, or is static.
    name.map(|name| unsafe { name.as_ref() })
}
