//! One task's memory: a head that everybody knows, and behind it the future or its output.

use std::any::Any;
use std::future::Future;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use crate::error::JoinError;
use crate::pool;
use crate::primitive::{Arc, AtomicPtr, UnsafeCell};
use crate::task::label::Label;
use crate::task::list::Links;
use crate::task::meta::Meta;
use crate::task::registry::Registry;
use crate::task::report::report;
use crate::task::state::State;
use crate::task::thread::{ThreadToken, with_here};
use crate::task::{Home, RuntimeId, Scheduler};
use crate::trace::TaskSpan;

/// The part of a task that does not depend on its future.
///
/// The pointers to it that the other modules hold come from [`allocate`] and may reach the whole
/// task; a reference to it may reach the head only.
///
/// In this order: a task that goes from shard to shard brings its first cache line along.
#[repr(C)]
pub(crate) struct Header {
    pub(super) state: State,
    /// The next one in the chain that the task is in: while it has its `Runnable`, of those that
    /// were sent to a shard; once it is complete, of those that ended elsewhere than on theirs.
    pub(super) next: AtomicPtr<Header>,
    pub(super) vtable: &'static Vtable,
    meta: Meta,
    /// The one thread that may poll and drop the future, once there is one. Touched by the holder
    /// of the `Runnable` only.
    bound: UnsafeCell<ThreadToken>,
    /// Touched by who spawns the task, and then by the holder of the `Runnable` only.
    span: UnsafeCell<TaskSpan>,
    /// The registry's.
    pub(super) links: UnsafeCell<Links>,
    /// The join handle's, and filled, while [`State`] says so.
    pub(super) join_waker: UnsafeCell<MaybeUninit<Waker>>,
}

impl Header {
    /// What the task knows about itself.
    #[inline]
    pub(super) fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Lends the span of the task.
    ///
    /// # Safety
    ///
    /// The caller holds the `Runnable`, or nobody has it yet; this is not called by `body`.
    #[inline]
    pub(super) unsafe fn with_span<R>(&self, body: impl FnOnce(&mut TaskSpan) -> R) -> R {
        self.span.with_mut(|span| {
            // SAFETY:
            // - passed on to the caller: only it touches the field.
            body(unsafe { &mut *span })
        })
    }

    /// Whether this thread may poll and drop the future.
    ///
    /// # Safety
    ///
    /// The caller holds the `Runnable`.
    #[inline]
    pub(super) unsafe fn may_touch_future(&self) -> bool {
        let bound = self.bound.with(|bound| {
            // SAFETY:
            // - passed on to the caller: only it touches the field.
            unsafe { *bound }
        });
        bound == ThreadToken::NONE || bound == ThreadToken::current()
    }

    /// From now on the future of a confined task belongs to this thread, unless it belongs to
    /// another already. Whether this thread may touch it.
    ///
    /// # Safety
    ///
    /// The caller holds the `Runnable`.
    #[inline]
    pub(super) unsafe fn bind(&self) -> bool {
        if !self.meta.is_confined() {
            return true;
        }
        let here = ThreadToken::current();
        self.bound.with_mut(|bound| {
            // SAFETY:
            // - passed on to the caller: only it touches the field.
            let bound = unsafe { &mut *bound };
            if *bound == ThreadToken::NONE {
                *bound = here;
            }
            *bound == here
        })
    }
}

/// What depends on the type of the future. The pointers that they take come from [`allocate`].
pub(super) struct Vtable {
    /// Polls the future; if that ends it, puts the output in its place.
    ///
    /// # Safety
    ///
    /// The caller holds the `Runnable` on a thread that may touch the future, which is there.
    pub(super) poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> Polled,
    /// Drops the future and puts what became of that in its place.
    ///
    /// # Safety
    ///
    /// As of `poll`.
    pub(super) cancel: unsafe fn(NonNull<Header>, Cause),
    /// Moves the output, an `Option<Result<T, JoinError>>`, to where the second pointer points.
    ///
    /// # Safety
    ///
    /// The task is complete, and not leaked; the caller is the join handle, and the pointer may be
    /// written.
    pub(super) take: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the output, if it is there.
    ///
    /// # Safety
    ///
    /// The caller is the join handle of a complete task that is not leaked, or ends the task after
    /// the handle has gone.
    pub(super) drop_output: unsafe fn(NonNull<Header>),
    /// The payload of the panic that is the output; `None` if it is none.
    ///
    /// # Safety
    ///
    /// The caller holds the `Runnable`, the output is in its place, and stays while the payload is
    /// used.
    pub(super) payload: unsafe fn(NonNull<Header>) -> Option<NonNull<dyn Any + Send>>,
    /// The name of the task, which lasts as long as its memory.
    ///
    /// # Safety
    ///
    /// The task is there.
    pub(super) name: unsafe fn(NonNull<Header>) -> Option<NonNull<str>>,
    /// Frees the memory.
    ///
    /// # Safety
    ///
    /// Nobody has a part of the task any more, and future and output are gone.
    pub(super) free: unsafe fn(NonNull<Header>),
}

/// What a poll came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Polled {
    /// The future goes on.
    Pending,
    /// The output is there.
    Ready,
    /// A panic is there in its place: [`report_output`](crate::task::report::report_output) is due.
    Panicked,
}

/// Why a task ends before its future does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    /// It was asked to, and runs for the last time: a panic of the destructor is its output.
    Aborted,
    /// Its `Runnable` was dropped, where nobody expects a panic to come from.
    ThrownAway,
}

/// A task. The head comes first, so that a pointer to it is one to the task.
#[repr(C)]
struct TaskCell<F: Future, L> {
    header: Header,
    label: L,
    stage: UnsafeCell<Stage<F>>,
}

/// What lies behind the head.
enum Stage<F: Future> {
    /// Pinned: polled and dropped where it lies.
    Future(F),
    Output(Result<F::Output, JoinError>),
    Gone,
}

/// Makes a task, which has its `Runnable`, its join handle, and a place in a list that the caller
/// now gives it.
///
/// # Safety
///
/// The registry and the runtime are those of `owner`.
pub(super) unsafe fn allocate<F: Future, L: Label>(
    owner: Arc<dyn Scheduler>,
    registry: NonNull<Registry>,
    runtime: RuntimeId,
    home: Home,
    label: L,
    future: F,
) -> NonNull<Header> {
    let meta = Meta::new(home, runtime, registry, owner);
    let header = Header {
        state: if home.local { State::new_private() } else { State::new() },
        next: AtomicPtr::new(std::ptr::null_mut()),
        vtable: const {
            &Vtable {
                poll: poll::<F, L>,
                cancel: cancel::<F, L>,
                take: take::<F, L>,
                drop_output: drop_output::<F, L>,
                payload: payload::<F, L>,
                name: name::<F, L>,
                free: free::<F, L>,
            }
        },
        meta,
        bound: UnsafeCell::new(ThreadToken::NONE),
        span: UnsafeCell::new(TaskSpan::none()),
        links: UnsafeCell::new(Links::new()),
        join_waker: UnsafeCell::new(MaybeUninit::uninit()),
    };
    pool::allocate(TaskCell { header, label, stage: UnsafeCell::new(Stage::Future(future)) }).cast()
}

/// Takes a task apart that nobody knows yet.
///
/// # Safety
///
/// The pointer came from `allocate` with this type, and nobody else has it.
pub(super) unsafe fn take_apart<F: Future, L: Label>(task: NonNull<Header>) -> F {
    let take = |stage: *mut Stage<F>| {
        // SAFETY:
        // - this is the stage that is lent.
        unsafe { stage.replace(Stage::Gone) }
    };
    // SAFETY:
    // - passed on to the caller.
    let stage = unsafe { with_stage::<F, L, _>(task, take) };
    // SAFETY:
    // - the same; the stage is empty, and nobody has a part.
    unsafe { free::<F, L>(task) };
    match stage {
        Stage::Future(future) => future,
        Stage::Output(_) | Stage::Gone => unreachable!("a task that nobody knows has its future"),
    }
}

/// Lends the stage.
///
/// # Safety
///
/// The pointer came from `allocate` with this type, and the caller alone may touch the stage.
unsafe fn with_stage<F: Future, L: Label, R>(
    task: NonNull<Header>,
    body: impl FnOnce(*mut Stage<F>) -> R,
) -> R {
    let task = task.cast::<TaskCell<F, L>>();
    // SAFETY:
    // - the task is there, and only its stage is borrowed, shared.
    let stage = unsafe { &(*task.as_ptr()).stage };
    stage.with_mut(body)
}

/// Drops what lies in the stage, where it lies.
///
/// # Safety
///
/// The pointer is that which `with_stage` lends.
unsafe fn empty<F: Future>(stage: *mut Stage<F>) -> Result<(), Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(|| {
        // SAFETY:
        // - passed on to the caller; also when the old value panics the new one is written.
        unsafe { *stage = Stage::Gone }
    }))
}

/// # Safety
///
/// As of [`Vtable::poll`].
unsafe fn poll<F: Future, L: Label>(task: NonNull<Header>, cx: &mut Context<'_>) -> Polled {
    let poll = |stage| {
        // SAFETY:
        // - this is the stage that is lent; the caller may touch the future.
        unsafe { poll_stage::<F>(stage, cx) }
    };
    // SAFETY:
    // - the holder of the `Runnable` alone may touch the stage before the task is complete.
    unsafe { with_stage::<F, L, _>(task, poll) }
}

/// # Safety
///
/// The pointer is that which `with_stage` lends, on a thread that may touch the future.
unsafe fn poll_stage<F: Future>(stage: *mut Stage<F>, cx: &mut Context<'_>) -> Polled {
    // SAFETY:
    // - passed on to the caller.
    let Stage::Future(future) = (unsafe { &mut *stage }) else {
        unreachable!("a task that is not complete has its future");
    };
    // SAFETY:
    // - the future stays where it is until it is dropped there, by `empty`, and the memory stays
    //   at least as long.
    let future = unsafe { Pin::new_unchecked(future) };
    let output = match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(Poll::Pending) => return Polled::Pending,
        Ok(Poll::Ready(output)) => Ok(output),
        Err(payload) => Err(JoinError::Panicked(payload)),
    };
    // SAFETY:
    // - passed on to the caller; the reference above is not used any more.
    let dropped = unsafe { empty(stage) };
    let output = match (output, dropped) {
        (output, Ok(())) => output,
        (Ok(output), Err(payload)) => {
            drop_quietly(output);
            Err(JoinError::Panicked(payload))
        }
        (Err(first), Err(second)) => {
            // The first panic is the one to report.
            drop_quietly(second);
            Err(first)
        }
    };
    let polled = if output.is_ok() { Polled::Ready } else { Polled::Panicked };
    // SAFETY:
    // - passed on to the caller; the stage is empty.
    unsafe { stage.write(Stage::Output(output)) };
    polled
}

/// # Safety
///
/// As of [`Vtable::cancel`].
unsafe fn cancel<F: Future, L: Label>(task: NonNull<Header>, cause: Cause) {
    let cancel = |stage: *mut Stage<F>| {
        // SAFETY:
        // - this is the stage that is lent.
        let dropped = unsafe { empty(stage) };
        if let Err(payload) = &dropped {
            // SAFETY:
            // - the task has its `Runnable`, which keeps it.
            unsafe { report(task, &**payload) };
        }
        let error = match (dropped, cause) {
            (Ok(()), _) => JoinError::Canceled,
            (Err(payload), Cause::Aborted) => JoinError::Panicked(payload),
            (Err(payload), Cause::ThrownAway) => {
                drop_quietly(payload);
                JoinError::Canceled
            }
        };
        // SAFETY:
        // - this is the stage that is lent; it is empty.
        unsafe { stage.write(Stage::Output(Err(error))) };
    };
    // SAFETY:
    // - the holder of the `Runnable` alone may touch the stage before the task is complete.
    unsafe { with_stage::<F, L, _>(task, cancel) };
}

/// # Safety
///
/// As of [`Vtable::take`].
unsafe fn take<F: Future, L: Label>(task: NonNull<Header>, to: *mut ()) {
    let take = |stage: *mut Stage<F>| {
        // SAFETY:
        // - this is the stage that is lent; what was there is moved out once.
        let output = match unsafe { stage.replace(Stage::Gone) } {
            Stage::Output(output) => Some(output),
            Stage::Future(_) | Stage::Gone => None,
        };
        // SAFETY:
        // - the caller passes a place for this type.
        unsafe { to.cast::<Option<Result<F::Output, JoinError>>>().write(output) };
    };
    // SAFETY:
    // - the stage of a complete task is the join handle's.
    unsafe { with_stage::<F, L, _>(task, take) };
}

/// # Safety
///
/// As of [`Vtable::drop_output`].
unsafe fn drop_output<F: Future, L: Label>(task: NonNull<Header>) {
    let drop = |stage: *mut Stage<F>| {
        // SAFETY:
        // - this is the stage that is lent.
        if let Err(payload) = unsafe { empty(stage) } {
            drop_quietly(payload);
        }
    };
    // SAFETY:
    // - the caller has the output to itself.
    unsafe { with_stage::<F, L, _>(task, drop) };
}

/// # Safety
///
/// As of [`Vtable::name`].
unsafe fn name<F: Future, L: Label>(task: NonNull<Header>) -> Option<NonNull<str>> {
    // SAFETY:
    // - the task is there, and of it only the label is borrowed, which nobody changes.
    let label = unsafe { &(*task.cast::<TaskCell<F, L>>().as_ptr()).label };
    label.name().map(NonNull::from)
}

/// # Safety
///
/// As of [`Vtable::payload`].
unsafe fn payload<F: Future, L: Label>(task: NonNull<Header>) -> Option<NonNull<dyn Any + Send>> {
    let find = |stage: *mut Stage<F>| {
        // SAFETY:
        // - this is the stage that is lent, and nobody changes it meanwhile.
        match unsafe { &*stage } {
            Stage::Output(Err(JoinError::Panicked(payload))) => Some(NonNull::from(&**payload)),
            _ => None,
        }
    };
    // SAFETY:
    // - the holder of the `Runnable` alone may touch the stage before the task is complete.
    unsafe { with_stage::<F, L, _>(task, find) }
}

/// # Safety
///
/// As of [`Vtable::free`].
unsafe fn free<F: Future, L: Label>(task: NonNull<Header>) {
    let registry = {
        // SAFETY:
        // - the task is still there.
        let header = unsafe { task.as_ref() };
        header.meta.registry
    };
    // SAFETY:
    // - the task is still there.
    let owner = unsafe { &raw const (*task.as_ptr()).meta.owner };
    // SAFETY:
    // - nobody else knows the task, and the memory is freed next: the owner is moved out once.
    let owner = unsafe { owner.read() };
    if const { std::mem::needs_drop::<L>() } {
        // SAFETY:
        // - the task is still there.
        let label = unsafe { &raw mut (*task.cast::<TaskCell<F, L>>().as_ptr()).label };
        // SAFETY:
        // - nobody else knows the task, and the memory is freed next.
        unsafe { label.drop_in_place() };
    }
    // SAFETY:
    // - `allocate` has it from there; nothing in it is left to be dropped: the stage is empty, the
    //   waker slot too, and the span is closed.
    unsafe { pool::deallocate(task.cast::<TaskCell<F, L>>()) };
    with_here(|here| {
        let Some(here) = here else { return };
        // Compared only.
        if here.owns(registry.as_ptr()) {
            // One that is too many is dropped, at the end of this closure.
            drop(here.keep_share(owner));
        }
    });
}

/// Drops a value of the user's whose panic would reach nobody whom it concerns. The panic hook has
/// reported it.
pub(super) fn drop_quietly<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // A payload may panic in its turn; what that one panicked with is leaked.
        let _leaked = ManuallyDrop::new(catch_unwind(AssertUnwindSafe(|| drop(payload))));
    }
}
