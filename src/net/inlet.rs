//! What is received, between the kernel and who reads it: the receive that brings it, and what
//! nobody has taken yet.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

use crate::contain::wake;
use crate::driver::Sqe;
use crate::id::ShardId;
use crate::net::inlet::intake::Intake;
use crate::op::{self, Claim, Complete, Fd, Op, Operation, Outcome};
use crate::port::Lane;
use crate::primitive::{Arc, Mutex, MutexGuard, lock};

mod given;
pub(super) mod intake;

pub(super) use given::GivenInlet;

/// Items that were received and not taken, at which a receive is ended for the time being.
pub(super) const LIMIT: usize = 16;

/// What a reader and its receive operation share.
///
/// One operation at a time is in flight, so all is in order: what an operation brings is put
/// behind what is there, and the next one starts only when it has ended.
///
/// No lock is held while a waker is woken, cloned or dropped, nor while an operation is polled or
/// cancelled, nor while a buffer is dropped.
pub(super) struct Inlet<I: Intake> {
    state: Mutex<State<I>>,
    plan: I::Plan,
    lane: Arc<dyn Lane>,
}

struct State<I: Intake> {
    ready: VecDeque<I::Item>,
    reader: Option<Waker>,
    arm: Arm<I>,
    wish: Wish,
    /// An error that ended an operation, and that the reader has not been told.
    error: Option<io::Error>,
    /// At so many items that nobody has taken, the operation is cancelled.
    limit: usize,
    /// The peer has ended.
    is_over: bool,
    /// Nobody will take anything any more.
    is_closed: bool,
}

/// The receive operation.
enum Arm<I: Intake> {
    Idle,
    /// Somebody polls or cancels it just now, and will look at the state again.
    Busy,
    Armed(Claim<RecvMany<I>>),
    /// Cancelled, and not over.
    Ending(Claim<RecvMany<I>>),
}

/// How the next operation is to receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wish {
    /// Into as many of the shard's buffers as come.
    Many,
    /// Once into memory of its own: the kernel had no buffer left.
    OwnOnce,
    /// Always so: the kernel refuses the other.
    Own,
}

/// What ended an operation.
#[derive(Debug)]
pub(super) enum End {
    /// Nothing that matters: there may be more.
    Passing,
    /// The peer has ended.
    Over,
    /// There was no buffer.
    NoBuffer,
    /// The kernel does not receive many times.
    Unsupported,
    Failed(io::Error),
}

/// What a reader found.
enum Look<I: Intake> {
    Found(Option<io::Result<I::Item>>),
    Wait,
    Arm(Wish),
    Poll(Claim<RecvMany<I>>, bool),
}

impl<I: Intake> Inlet<I> {
    pub(super) fn new(lane: Arc<dyn Lane>, limit: usize, plan: I::Plan) -> Arc<Self> {
        let state = State {
            ready: VecDeque::new(),
            reader: None,
            arm: Arm::Idle,
            wish: Wish::Many,
            error: None,
            limit,
            is_over: false,
            is_closed: false,
        };
        Arc::new(Self { state: Mutex::new(state), plan, lane })
    }

    fn lock(&self) -> MutexGuard<'_, State<I>> {
        lock(&self.state)
    }

    /// At so many buffers that nobody has taken the receive is ended, until they are taken.
    pub(super) fn set_limit(&self, limit: usize) {
        self.lock().limit = limit.max(1);
    }

    /// The next bytes. `None` at the end; without an `fd` to receive from, also when nothing more
    /// will come of the operations that were started.
    pub(super) fn poll_next(
        self: &Arc<Self>,
        fd: Option<&Fd>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<I::Item>>> {
        loop {
            let (op, is_ending) = match self.look(fd.is_some(), cx.waker()) {
                Look::Found(found) => return Poll::Ready(found),
                Look::Wait => return Poll::Pending,
                Look::Poll(claim, is_ending) => (Op::resume(claim, &self.lane), is_ending),
                Look::Arm(wish) => match fd {
                    Some(fd) => (Op::new(self.recv_op(fd, wish), &self.lane), false),
                    None => return Poll::Ready(None),
                },
            };
            if self.poll_op(op, is_ending, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Takes what is there, or leaves the waker and says what to do for more.
    fn look(&self, may_arm: bool, waker: &Waker) -> Look<I> {
        let found = self.lock().take();
        if let Some(found) = found {
            return Look::Found(found);
        }
        let waker = waker.clone();
        let (look, before) = {
            let mut state = self.lock();
            match state.take() {
                Some(found) => (Look::Found(found), Some(waker)),
                None if matches!(state.arm, Arm::Idle) && !may_arm => {
                    (Look::Found(None), Some(waker))
                }
                None => {
                    let before = state.reader.replace(waker);
                    let look = match std::mem::replace(&mut state.arm, Arm::Busy) {
                        Arm::Busy => Look::Wait,
                        Arm::Idle => Look::Arm(state.wish),
                        Arm::Armed(claim) => Look::Poll(claim, false),
                        Arm::Ending(claim) => Look::Poll(claim, true),
                    };
                    (look, before)
                }
            }
        };
        drop(before);
        look
    }

    fn recv_op(self: &Arc<Self>, fd: &Fd, wish: Wish) -> RecvMany<I> {
        let buffers = (wish == Wish::Many).then(|| self.lock().limit);
        RecvMany { fd: fd.clone(), inlet: Arc::clone(self), buffers, intake: I::new(&self.plan) }
    }

    /// Polls the operation, and notes what ended it. Pending if there is nothing to take.
    fn poll_op(
        self: &Arc<Self>,
        mut op: Op<'_, RecvMany<I>>,
        is_ending: bool,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        match Pin::new(&mut op).poll(cx) {
            Poll::Ready((last, end)) => {
                let waker = self.note(last, end, true);
                // The reader is the caller.
                drop(waker);
                Poll::Ready(())
            }
            Poll::Pending => {
                // Without a claim it has not started, because the budget of this poll is used up;
                // then it has woken the reader.
                let arm = match op.take_claim() {
                    Some(claim) if is_ending => Arm::Ending(claim),
                    Some(claim) => Arm::Armed(claim),
                    None => Arm::Idle,
                };
                let (has_none, is_full) = {
                    let mut state = self.lock();
                    state.arm = arm;
                    (state.has_none(), state.is_full())
                };
                if is_full {
                    // More has come meanwhile than there may be.
                    self.curb();
                }
                if has_none { Poll::Pending } else { Poll::Ready(()) }
            }
        }
    }

    /// An operation has ended. Whom to wake.
    fn note(&self, last: Option<I::Item>, end: End, was_armed: bool) -> Option<Waker> {
        let (unwanted, waker) = {
            let mut state = self.lock();
            let unwanted = match last {
                Some(item) if !state.is_closed => {
                    state.ready.push_back(item);
                    None
                }
                last => last,
            };
            if state.wish == Wish::OwnOnce {
                state.wish = Wish::Many;
            }
            match end {
                End::Passing => {}
                End::Over => state.is_over = true,
                End::NoBuffer => state.wish = Wish::OwnOnce,
                End::Unsupported => state.wish = Wish::Own,
                End::Failed(error) => state.error = Some(error),
            }
            if was_armed {
                state.arm = Arm::Idle;
            }
            (unwanted, state.reader.take())
        };
        drop(unwanted);
        waker
    }

    /// Takes an item from the kernel. Whom to wake.
    fn push(self: &Arc<Self>, item: I::Item) -> Option<Waker> {
        let mut state = self.lock();
        if state.is_closed {
            drop(state);
            drop(item);
            return None;
        }
        state.ready.push_back(item);
        if state.is_full() {
            // Woken, it cancels the operation: that cannot be done where completions are sorted.
            return Some(Waker::from(Arc::clone(self)));
        }
        state.reader.take()
    }

    /// Cancels the operation if there is more than there may be.
    fn curb(&self) {
        self.cancel_if(State::is_full);
    }

    fn cancel_if(&self, wanted: impl FnOnce(&State<I>) -> bool) {
        let claim = {
            let mut state = self.lock();
            if !wanted(&state) {
                return;
            }
            match std::mem::replace(&mut state.arm, Arm::Busy) {
                Arm::Armed(claim) => claim,
                other => {
                    state.arm = other;
                    return;
                }
            }
        };
        let claim = op::cancel_and_keep(claim, &self.lane);
        let (reader, orphan) = {
            let mut state = self.lock();
            let orphan = match claim {
                Some(claim) if !state.is_closed => {
                    state.arm = Arm::Ending(claim);
                    None
                }
                orphan => {
                    state.arm = Arm::Idle;
                    orphan
                }
            };
            // It may have found the operation busy, and the operation may have lost its waker.
            (state.reader.take(), orphan)
        };
        if let Some(orphan) = orphan {
            op::cancel(orphan, &self.lane);
        }
        reader.into_iter().for_each(wake);
    }

    /// The reader goes: cancels the operation, and keeps what it brings until it has ended. Whether
    /// there is, or may yet come, something for the next reader.
    pub(super) fn leave(&self) -> bool {
        self.cancel_if(|_| true);
        let (reader, is_left) = {
            let mut state = self.lock();
            // An operation that was refused: nothing about the socket.
            state.error = None;
            (state.reader.take(), !state.is_spent())
        };
        drop(reader);
        is_left
    }

    /// Nobody will take anything any more: gives everything up.
    pub(super) fn close(&self) {
        let (arm, ready, reader) = {
            let mut state = self.lock();
            state.is_closed = true;
            let arm = std::mem::replace(&mut state.arm, Arm::Idle);
            (arm, std::mem::take(&mut state.ready), state.reader.take())
        };
        drop((ready, reader));
        if let Arm::Armed(claim) | Arm::Ending(claim) = arm {
            op::cancel(claim, &self.lane);
        }
    }
}

impl<I: Intake> State<I> {
    /// What is there for the reader.
    fn take(&mut self) -> Option<Option<io::Result<I::Item>>> {
        if let Some(item) = self.ready.pop_front() {
            return Some(Some(Ok(item)));
        }
        if let Some(error) = self.error.take() {
            return Some(Some(Err(error)));
        }
        self.is_over.then_some(None)
    }

    /// Whether [`take`](Self::take) would find nothing.
    fn has_none(&self) -> bool {
        self.ready.is_empty() && self.error.is_none() && !self.is_over
    }

    /// Whether nothing is there but perhaps the end, and nothing will come.
    fn is_spent(&self) -> bool {
        self.ready.is_empty() && self.error.is_none() && matches!(self.arm, Arm::Idle)
    }

    fn is_full(&self) -> bool {
        self.ready.len() >= self.limit
    }
}

/// Woken when there is as much as may be.
impl<I: Intake> Wake for Inlet<I> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.curb();
        let reader = self.lock().reader.take();
        reader.into_iter().for_each(wake);
    }
}

impl<I: Intake> fmt::Debug for Inlet<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Inlet")
            .field("ready", &state.ready.len())
            .field("limit", &state.limit)
            .field("wish", &state.wish)
            .field("is_over", &state.is_over)
            .finish_non_exhaustive()
    }
}

/// Receives to an inlet until it is cancelled, or once.
#[derive(Debug)]
pub(super) struct RecvMany<I: Intake> {
    fd: Fd,
    inlet: Arc<Inlet<I>>,
    /// How many buffers to fill.
    buffers: Option<usize>,
    intake: I,
}

// SAFETY: I1:
// - the intake, which `self` owns and which is not moved, keeps what its entry names (I1 of
//   `Intake`).
// - `self.fd` keeps the fd open.
unsafe impl<I: Intake> Operation for RecvMany<I> {
    fn entry(&mut self) -> Sqe {
        self.intake.entry(self.fd.number(), self.buffers)
    }

    fn more(&mut self, outcome: Outcome) -> Option<Waker> {
        // SAFETY:
        // - it is a completion of this operation, and each is passed on once.
        let item = unsafe { self.intake.brought(outcome) }?;
        self.inlet.push(item)
    }

    fn abandon(self, outcome: Option<Outcome>) {
        let Some(outcome) = outcome else { return };
        let inlet = Arc::clone(&self.inlet);
        let (last, end) = self.end(outcome);
        // Given up when it had just ended (`cancel_and_keep`), or for good (`close`).
        if let Some(reader) = inlet.note(last, end, false) {
            wake(reader);
        }
    }
}

impl<I: Intake> Complete for RecvMany<I> {
    type Output = (Option<I::Item>, End);

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        match outcome {
            Ok(outcome) => self.end(outcome),
            Err(error) => (None, End::Failed(error)),
        }
    }

    fn end(mut self, outcome: Outcome) -> Self::Output {
        // SAFETY:
        // - it is the last completion of this operation, which is consumed.
        let last = unsafe { self.intake.brought(outcome) };
        let is_many = self.intake.is_many();
        let end = match outcome.check() {
            Ok(outcome) if outcome.result == 0 && I::ENDS => End::Over,
            Ok(_) => End::Passing,
            Err(error) => match error.raw_os_error() {
                Some(libc::ECANCELED | libc::EINTR | libc::EAGAIN) => End::Passing,
                Some(libc::ENOBUFS) if is_many => End::NoBuffer,
                Some(libc::EINVAL) if is_many => End::Unsupported,
                _ => End::Failed(error),
            },
        };
        (last, end)
    }

    fn finish_lost(home: ShardId) -> Self::Output {
        (None, End::Failed(op::lost(home)))
    }
}
