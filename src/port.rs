//! The erased seam between the scheduler, which is generic over its parts, and the surfaces, which
//! are not: the [`Port`] of the shard whose thread this is, and the [`Lane`] to any shard.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::task::Waker;
use std::time::Instant;

use crate::blocking::Pool;
use crate::buf::FixedPart;
use crate::buf::pool::{Armed, Loan};
use crate::driver::{Sqe, Token};
use crate::error::RuntimeError;
use crate::id::ShardId;
use crate::inflight::{Charge, Outcome, Roster};
use crate::message::{Desk, Event, Hub, Kind, Rider, SendError};
use crate::observe::Inquiry;
use crate::placement::{LeastLoaded, Load};
use crate::primitive::Arc;
use crate::task::{Owner, RuntimeId, Scheduler};
use crate::timer::TimerKey;

/// The shard whose thread this is. Not `Send`: it is reached by [`with`] only.
pub(crate) trait Port {
    /// Which runtime the shard belongs to.
    fn runtime(&self) -> RuntimeId;

    /// Which shard this is.
    fn shard(&self) -> ShardId;

    /// The way to this shard from elsewhere.
    fn lane(&self) -> &Arc<dyn Lane>;

    /// The time by the shard's clock.
    fn now(&self) -> Instant;

    /// The time, for a timer that may be set next.
    fn look(&self) -> Instant;

    /// What [`look`](Self::look) said last, or the shard itself when it looked for timers that are
    /// due. `None` after it has found that there are none.
    fn looked(&self) -> Option<Instant>;

    /// As [`lane`](Self::lane), to be kept, and given back by [`keep_lane`](Self::keep_lane).
    fn share_lane(&self) -> Arc<dyn Lane>;

    /// Takes a share of this shard's lane back, for the next one who needs one.
    fn keep_lane(&self, lane: Arc<dyn Lane>);

    /// Takes one of the ready leaves that a poll of a task may have. `false`: the leaf wakes itself
    /// and returns pending, so that other tasks and the ring get their turn.
    fn consume_budget(&self) -> bool;

    /// Takes so many more ready leaves from the present poll, or as many as there are.
    fn spend_budget(&self, leaves: i64);

    /// Sets how many ready leaves the running poll may still have; how many it had.
    fn set_budget(&self, leaves: i64) -> i64;

    /// A task took the result of an operation of another shard of this runtime.
    fn finished_elsewhere(&self);

    /// An operation was made that has not started.
    fn operation_made(&self);

    /// An operation starts. How many others were made by the running poll and have not started.
    fn operation_started(&self) -> u32;

    /// How many entries wait for this turn's submission: joining them costs no system call.
    fn queued(&self) -> usize;

    /// Whether the ring is what this shard turns to after the running poll: nothing else can run,
    /// and no receive waits for a second look, as that of a peer on this shard would.
    fn is_next_ring(&self) -> bool;

    /// As [`Driver::attempt`](crate::driver::Driver::attempt).
    ///
    /// # Safety
    ///
    /// As there.
    unsafe fn attempt(&self, sqe: &Sqe) -> Option<i32>;

    /// Puts an operation on the ring of this shard.
    ///
    /// # Errors
    ///
    /// The charge comes back at the limit of operations in flight and during shutdown.
    fn submit(&self, charge: Charge) -> Result<(), (SubmitError, Charge)>;

    /// Cancels an operation that was given to the shard `home` of this runtime.
    fn cancel(&self, home: ShardId, token: Token);

    /// Sets a timer of this shard, or moves the one with this key.
    ///
    /// # Errors
    ///
    /// At the limit of timers of a shard.
    fn set_timer(
        &self,
        deadline: Instant,
        waker: &Waker,
        key: Option<TimerKey>,
    ) -> Result<TimerKey, TimersFull>;

    /// Moves a timer of the shard `home` of this runtime. `false` if it is this shard, and the
    /// timer has fired.
    fn reset_timer(&self, home: ShardId, key: TimerKey, deadline: Instant) -> bool;

    /// Removes a timer of the shard `home` of this runtime.
    fn clear_timer(&self, home: ShardId, key: TimerKey);

    /// For an operation that is being put on the ring of this shard and takes provided buffers.
    /// `None`: there are none for it.
    fn provided(&self) -> Option<Armed>;

    /// How many bytes the provided buffers have, or would have.
    fn provided_size(&self) -> usize;

    /// Takes a provided buffer back.
    ///
    /// # Errors
    ///
    /// The loan comes back if this shard has not lent it.
    fn take_back(&self, loan: Loan) -> Result<(), Loan>;

    /// The number by which the ring of this shard knows the memory, which it is told of now if it
    /// can be. `None`: an ordinary operation has to do.
    fn fixed_number(&self, part: FixedPart<'_>) -> Option<u16>;

    /// Makes the ring know the memory, also if it refused it before.
    ///
    /// # Errors
    ///
    /// What the system answers.
    fn register_fixed(&self, part: FixedPart<'_>) -> io::Result<()>;

    /// Closes an fd whose last owner is gone, without waiting.
    fn close(&self, fd: OwnedFd);

    /// Rings another shard of this runtime, whose gate gave the caller the duty.
    fn ring(&self, target: ShardId);

    /// Where the messages of this shard go out and come in.
    fn desk(&self) -> &Desk;

    /// After something was published to another shard of this runtime: rings it if it sleeps.
    fn wake_shard(&self, target: ShardId);

    /// Sends a message as a completion, or through its lane if that does not go.
    fn ride(&self, target: ShardId, rider: Rider);

    /// Hands over what is queued: doorbells, and messages that are completions.
    fn flush(&self);

    /// An event that lies here, as one of the ready leaves; `None` if there is none, or no leaf.
    fn next_event(&self, kind: Kind) -> Option<Event>;

    /// Sends a message from this shard and rings its target if that sleeps.
    ///
    /// # Errors
    ///
    /// As [`Desk::send`].
    fn send_message(&self, to: ShardId, message: (u16, u32)) -> Result<(), SendError>;

    /// Looks out for a message for a moment, in the poll of a task that is about to wait for one,
    /// if the shard would do nothing else after it.
    fn look_out(&self);

    /// Answers which tasks this shard has.
    fn answer(&self, inquiry: &Inquiry);

    /// Wakes a task. A waker that panics ends nothing.
    fn wake_task(&self, waker: Waker);
}

/// The way to one shard from any thread.
pub(crate) trait Lane: Scheduler {
    /// Which shard.
    fn shard(&self) -> ShardId;

    /// Gives an operation to the shard. If it is gone, the operation finishes with an error.
    fn submit(&self, charge: Charge);

    /// Cancels an operation that was given to the shard `home` of this runtime.
    fn cancel(&self, home: ShardId, token: Token);

    /// Moves a timer of the shard `home` of this runtime, if it has not fired.
    fn reset_timer(&self, home: ShardId, key: TimerKey, deadline: Instant);

    /// Removes a timer of the shard `home` of this runtime.
    fn clear_timer(&self, home: ShardId, key: TimerKey);

    /// What the shards of the runtime share in order to send each other messages.
    fn hub(&self) -> &Arc<Hub>;

    /// After something was published to a shard of the runtime: rings it if it sleeps.
    fn wake_shard(&self, target: ShardId);

    /// The operations that users gave to the rings of the runtime by themselves.
    fn roster(&self) -> &Arc<Roster>;

    /// Whose turn it is among the shards of the runtime, for what surfaces place.
    fn turns(&self) -> &LeastLoaded;

    /// How many shards the runtime has.
    fn shards(&self) -> usize;

    /// How busy a shard of the runtime looks.
    fn load(&self, shard: ShardId) -> Load;

    /// The way to another shard of the runtime. `None` if there is no such shard, or if nobody
    /// holds the runtime any more.
    fn sibling(&self, shard: ShardId) -> Option<Arc<dyn Lane>>;

    /// Counts an operation that the blocking pool does for this shard; from any thread.
    fn note_blocking_job(&self);

    /// The threads of the runtime that do what blocks.
    fn blocking(&self) -> &Pool;

    /// Whether the shard takes a task that is spawned on this thread.
    ///
    /// # Errors
    ///
    /// [`RuntimeError::Closed`] and [`RuntimeError::Overloaded`].
    fn admit(&self) -> Result<(), RuntimeError>;

    /// This lane as what it really is.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl Owner for &Arc<dyn Lane> {
    fn scheduler(&self) -> &dyn Scheduler {
        &***self
    }

    fn share(self) -> Arc<dyn Scheduler> {
        Arc::clone(self) as Arc<dyn Scheduler>
    }
}

/// Why a shard did not take an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SubmitError {
    /// That many operations are in flight on the shard, and no more may be.
    Full { limit: usize },
    /// The runtime shuts down.
    Closed,
}

impl SubmitError {
    /// As the outcome of an operation whose future is polled elsewhere. The kernel's results are
    /// above -4096.
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::Full { limit } => {
                Outcome { result: i32::MIN, flags: u32::try_from(limit).unwrap_or(u32::MAX) }
            }
            Self::Closed => Outcome { result: i32::MIN + 1, flags: 0 },
        }
    }

    /// The refusal that is meant by an outcome, if one is.
    pub(crate) fn of(outcome: Outcome) -> Option<Self> {
        match outcome.result {
            i32::MIN => Some(Self::Full { limit: outcome.flags as usize }),
            code if code == i32::MIN + 1 => Some(Self::Closed),
            _ => None,
        }
    }
}

impl From<SubmitError> for io::Error {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Full { limit } => Self::new(
                io::ErrorKind::WouldBlock,
                format!("the limit of {limit} operations in flight on this shard is reached"),
            ),
            SubmitError::Closed => {
                Self::new(io::ErrorKind::BrokenPipe, "the runtime is shutting down")
            }
        }
    }
}

/// That many timers are set on the shard, and no more may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimersFull {
    pub(crate) limit: usize,
}

thread_local! {
    static CURRENT: Cell<Option<NonNull<dyn Port>>> = const { Cell::new(None) };
    /// The lane that a thread which is no shard has entered.
    static ENTERED: RefCell<Option<Arc<dyn Lane>>> = const { RefCell::new(None) };
}

/// Makes `lane` the ambient one of this thread while `body` runs.
pub(crate) fn enter_lane<R>(lane: Arc<dyn Lane>, body: impl FnOnce() -> R) -> R {
    struct Restore(Option<Arc<dyn Lane>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let before = self.0.take();
            // At the end of the thread there is nothing left to restore.
            drop(ENTERED.try_with(|entered| entered.replace(before)));
        }
    }
    let _restore = Restore(ENTERED.replace(Some(lane)));
    body()
}

/// Makes `port` that of this thread for as long as `body` runs.
pub(crate) fn enter<R>(port: &(dyn Port + 'static), body: impl FnOnce() -> R) -> R {
    struct Restore(Option<NonNull<dyn Port>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(Some(NonNull::from(port))));
    body()
}

/// Calls `body` with the port of this thread, or with `None` on a thread that is no shard.
#[inline]
pub(crate) fn with<R>(body: impl FnOnce(Option<&dyn Port>) -> R) -> R {
    // try_with: a destructor of another thread-local may come here after ours is gone.
    match CURRENT.try_with(Cell::get).ok().flatten() {
        // SAFETY:
        // - `enter` borrows the port for as long as the pointer is set, and only this thread
        //   reads its own thread-local.
        Some(port) => body(Some(unsafe { port.as_ref() })),
        None => body(None),
    }
}

/// The lane of the shard whose thread this is, or the one that this thread has entered.
#[inline]
pub(crate) fn current_lane() -> Option<Arc<dyn Lane>> {
    with(|port| port.map(|port| Arc::clone(port.lane())))
        .or_else(|| ENTERED.try_with(|entered| entered.borrow().clone()).ok().flatten())
}

/// Lends the lane of [`current_lane`].
pub(crate) fn with_current_lane<R>(body: impl FnOnce(Option<&Arc<dyn Lane>>) -> R) -> R {
    let entered = || ENTERED.try_with(|entered| entered.borrow().clone()).ok().flatten();
    with(|port| match port {
        Some(port) => body(Some(port.lane())),
        None => body(entered().as_ref()),
    })
}

/// The way to a shard, for the `_on` forms of constructors: what is made through it does its work
/// on that shard's ring when it is used on a thread that is no shard of the runtime.
#[derive(Clone, Debug)]
pub struct ShardLane(pub(crate) Arc<dyn Lane>);

impl ShardLane {
    /// Which shard.
    pub fn shard_id(&self) -> ShardId {
        self.0.shard()
    }
}

/// What names a shard for the `_on` forms of constructors: a
/// [`RuntimeHandle`](crate::RuntimeHandle) (any shard, by placement), a handle narrowed to one
/// shard, a [`ShardCtx`](crate::ShardCtx), or a [`ShardLane`].
///
/// Sealed: implemented for those types only.
pub trait ToLane: sealed::Sealed {
    /// The way to the shard.
    fn to_lane(&self) -> ShardLane;
}

pub(crate) mod sealed {
    /// Keeps [`ToLane`](super::ToLane) to the types of this crate.
    pub trait Sealed {}
}

impl sealed::Sealed for ShardLane {}

impl ToLane for ShardLane {
    fn to_lane(&self) -> ShardLane {
        self.clone()
    }
}

/// The lane of the shard whose thread this is, for an ambient constructor.
///
/// # Errors
///
/// On a thread without a runtime: the error says so, and names the form that takes one.
pub(crate) fn ambient_lane(explicit_form: &'static str) -> io::Result<Arc<dyn Lane>> {
    current_lane().ok_or_else(|| {
        io::Error::other(format!(
            "this thread belongs to no spargio runtime; use `{explicit_form}` with a RuntimeHandle"
        ))
    })
}
