//! The connections of a listener between the kernel and `accept`: who takes them, who waits for
//! them, and the multishot accept that brings them.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

use crate::contain::wake;
use crate::driver::Sqe;
use crate::id::ShardId;
use crate::net::socket::{NEW_SOCKET, new_socket};
use crate::op::{self, Claim, Complete, Fd, Op, Operation, Outcome};
use crate::port::Lane;
use crate::primitive::{Arc, Mutex, MutexGuard, lock};

/// What a listener and its accept operation share.
///
/// No lock is held while a waker is woken, cloned or dropped, nor while an operation is polled or
/// cancelled: each of these may come back here.
pub(super) struct Backlog {
    state: Mutex<State>,
    lane: Arc<dyn Lane>,
    /// At so many ready connections the multishot accept is cancelled.
    limit: usize,
}

struct State {
    /// Connections that nobody waits for: while there are any, each waiter has been given one.
    ready: VecDeque<OwnedFd>,
    /// In the order they came.
    waiters: VecDeque<Waiter>,
    last_ticket: u64,
    arm: Arm,
    /// Operations that may still bring connections.
    live: usize,
    /// Who waits until none is left.
    closer: Option<Waker>,
    mode: Mode,
    is_closed: bool,
}

/// The accept operation.
enum Arm {
    Idle,
    /// One of the waiters arms or polls it just now.
    Busy,
    Armed(Claim<AcceptOp>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// One operation brings many connections.
    Multi,
    /// The kernel refused that: each connection is asked for.
    Single,
}

/// The place of an accept future among those that wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ticket(u64);

/// An accept future that was polled and is not ready.
struct Waiter {
    ticket: Ticket,
    /// `None` once it was woken.
    waker: Option<Waker>,
    /// The connection that is its own: who comes later takes another, or waits behind it.
    found: Option<OwnedFd>,
}

/// What a waiter found when it looked.
enum Look {
    Found(OwnedFd),
    /// A connection came just now.
    Again,
    /// Somebody else looks after the operation and will wake this waiter.
    Wait,
    Arm(Mode),
    Poll(Claim<AcceptOp>),
}

impl Backlog {
    pub(super) fn new(lane: Arc<dyn Lane>, limit: usize) -> Arc<Self> {
        let state = State {
            ready: VecDeque::new(),
            waiters: VecDeque::new(),
            last_ticket: 0,
            arm: Arm::Idle,
            live: 0,
            closer: None,
            mode: Mode::Multi,
            is_closed: false,
        };
        Arc::new(Self { state: Mutex::new(state), lane, limit })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The next connection, or the error that ended the accept operation.
    ///
    /// `ticket` is the caller's from its first poll to its last; who has one and polls no more
    /// calls [`leave`](Self::leave).
    pub(super) fn poll_accept(
        self: &Arc<Self>,
        fd: &Fd,
        ticket: &mut Option<Ticket>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<OwnedFd>> {
        // An error that came while nobody waited may be of long ago; asking again tells.
        let mut is_news = ticket.is_some();
        loop {
            let (op, is_old) = match self.look(ticket, cx.waker()) {
                Look::Found(found) => return Poll::Ready(Ok(found)),
                Look::Again => continue,
                Look::Wait => return Poll::Pending,
                Look::Poll(claim) => (Op::resume(claim, &self.lane), true),
                Look::Arm(mode) => (Op::new(self.accept_op(fd, mode), &self.lane), false),
            };
            let Some(outcome) = self.poll_op(op, *ticket) else { return Poll::Pending };
            is_news |= !is_old;
            match outcome {
                Ok(found) => {
                    let next = self.push(found);
                    next.into_iter().for_each(wake);
                }
                Err(error) if self.is_passing(&error) => {}
                Err(_) if !is_news => {}
                Err(error) => {
                    self.leave(ticket);
                    return Poll::Ready(Err(error));
                }
            }
            is_news = true;
        }
    }

    /// Takes a connection, or a place among the waiters.
    fn look(&self, ticket: &mut Option<Ticket>, waker: &Waker) -> Look {
        if let Some(found) = self.pop(ticket) {
            return Look::Found(found);
        }
        let waker = waker.clone();
        let (look, before) = {
            let mut state = self.lock();
            if state.has_none(*ticket) {
                let before = state.wait(ticket, waker);
                let look = match std::mem::replace(&mut state.arm, Arm::Busy) {
                    Arm::Busy => Look::Wait,
                    Arm::Idle => Look::Arm(state.mode),
                    Arm::Armed(claim) => Look::Poll(claim),
                };
                (look, before)
            } else {
                (Look::Again, Some(waker))
            }
        };
        drop(before);
        look
    }

    /// Takes a connection, and gives up the place among the waiters.
    fn pop(&self, ticket: &mut Option<Ticket>) -> Option<OwnedFd> {
        let (found, own) = {
            let mut state = self.lock();
            let found = state.take(*ticket)?;
            (found, ticket.take().and_then(|ticket| state.remove(ticket)))
        };
        drop(own);
        Some(found)
    }

    fn accept_op(self: &Arc<Self>, fd: &Fd, mode: Mode) -> AcceptOp {
        self.lock().live += 1;
        AcceptOp { fd: fd.clone(), mode, end: End(Arc::clone(self)) }
    }

    /// Polls the operation for all waiters: its waker wakes every one of them.
    fn poll_op(
        self: &Arc<Self>,
        mut op: Op<'_, AcceptOp>,
        own: Option<Ticket>,
    ) -> Option<io::Result<OwnedFd>> {
        let waker = Waker::from(Arc::clone(self));
        let polled = Pin::new(&mut op).poll(&mut Context::from_waker(&waker));
        // Without a claim it has not started, because the budget of this poll is used up; then it
        // has woken all waiters.
        let arm = op.take_claim().map_or(Arm::Idle, Arm::Armed);
        let waiters = {
            let mut state = self.lock();
            state.arm = arm;
            // Somebody must arm it anew: whoever still waits.
            // The caller goes on itself.
            if polled.is_ready() { state.wakers(own) } else { Vec::new() }
        };
        waiters.into_iter().for_each(wake);
        match polled {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    /// Whether the error is to be answered by asking again: the connection broke while it waited,
    /// others who have the socket took it first, or the kernel does not know multishot accepts.
    fn is_passing(&self, error: &io::Error) -> bool {
        match error.raw_os_error() {
            Some(libc::ECONNABORTED | libc::EINTR | libc::EAGAIN | libc::EPROTO) => true,
            Some(libc::EINVAL) => {
                let mut state = self.lock();
                // In the other mode the error is about the socket, and the next one starts over.
                let refused = state.mode;
                state.mode = if refused == Mode::Multi { Mode::Single } else { Mode::Multi };
                refused == Mode::Multi
            }
            _ => false,
        }
    }

    /// Gives up a place among the waiters. If it was woken already, the next one is woken instead,
    /// and is given what it had.
    pub(super) fn leave(&self, ticket: &mut Option<Ticket>) {
        let Some(ticket) = ticket.take() else { return };
        let (own, next) = {
            let mut state = self.lock();
            let Some(mut own) = state.remove(ticket) else { return };
            let next = match own.found.take() {
                Some(found) => match state.hand(found) {
                    Ok(next) => next,
                    Err(found) => {
                        state.ready.push_front(found);
                        None
                    }
                },
                None if own.waker.is_none() => state.next_waker(),
                None => None,
            };
            (own, next)
        };
        drop(own);
        next.into_iter().for_each(wake);
    }

    /// Ends: cancels the operation, closes the connections that nobody took and those that still
    /// come.
    pub(super) fn close(&self) {
        let (arm, ready) = {
            let mut state = self.lock();
            state.is_closed = true;
            let arm = std::mem::replace(&mut state.arm, Arm::Idle);
            (arm, std::mem::take(&mut state.ready))
        };
        if let Arm::Armed(claim) = arm {
            op::cancel(claim, &self.lane);
        }
        for fd in ready {
            drop(Fd::new(fd, Arc::clone(&self.lane)));
        }
    }

    /// After [`close`](Self::close): waits until no operation uses the socket any more.
    pub(super) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let (before, done) = {
            let mut state = self.lock();
            if state.live == 0 { (Some(waker), true) } else { (state.closer.replace(waker), false) }
        };
        drop(before);
        if done { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes a connection from the kernel. Whom to wake.
    fn push(self: &Arc<Self>, found: OwnedFd) -> Option<Waker> {
        let mut state = self.lock();
        if state.is_closed {
            drop(state);
            drop(found);
            return None;
        }
        match state.hand(found) {
            Ok(waker) => return waker,
            Err(found) => state.ready.push_back(found),
        }
        // Woken, it cancels the operation: that cannot be done where completions are sorted.
        (state.ready.len() >= self.limit).then(|| Waker::from(Arc::clone(self)))
    }

    #[cfg(test)]
    fn ready(&self) -> usize {
        self.lock().ready.len()
    }
}

impl State {
    /// Leaves the waker under the ticket, or under a new one behind all others.
    fn wait(&mut self, ticket: &mut Option<Ticket>, waker: Waker) -> Option<Waker> {
        if let Some(ticket) = *ticket
            && let Some(index) = self.position(ticket)
        {
            return self.waiters[index].waker.replace(waker);
        }
        self.last_ticket += 1;
        let own = Ticket(self.last_ticket);
        *ticket = Some(own);
        self.waiters.push_back(Waiter { ticket: own, waker: Some(waker), found: None });
        None
    }

    /// Whether [`take`](Self::take) would find nothing.
    fn has_none(&self, ticket: Option<Ticket>) -> bool {
        match ticket.and_then(|ticket| self.position(ticket)) {
            Some(index) => self.waiters[index].found.is_none(),
            None => self.ready.is_empty(),
        }
    }

    /// Takes the connection of a waiter; without a ticket, one that nobody waits for.
    fn take(&mut self, ticket: Option<Ticket>) -> Option<OwnedFd> {
        match ticket {
            Some(ticket) => {
                let index = self.position(ticket)?;
                self.waiters[index].found.take()
            }
            None => self.ready.pop_front(),
        }
    }

    /// Gives a connection to the first who waits for one. Whom to wake.
    ///
    /// # Errors
    ///
    /// The connection comes back if nobody waits.
    fn hand(&mut self, found: OwnedFd) -> Result<Option<Waker>, OwnedFd> {
        match self.waiters.iter_mut().find(|waiter| waiter.found.is_none()) {
            Some(waiter) => {
                waiter.found = Some(found);
                Ok(waiter.waker.take())
            }
            None => Err(found),
        }
    }

    /// The waker of the first who has not been woken.
    fn next_waker(&mut self) -> Option<Waker> {
        self.waiters.iter_mut().find_map(|waiter| waiter.waker.take())
    }

    /// The wakers of all but this one.
    fn wakers(&mut self, except: Option<Ticket>) -> Vec<Waker> {
        let others = self.waiters.iter_mut().filter(|waiter| Some(waiter.ticket) != except);
        others.filter_map(|waiter| waiter.waker.take()).collect()
    }

    fn position(&self, ticket: Ticket) -> Option<usize> {
        // In the order of their tickets.
        self.waiters.binary_search_by_key(&ticket.0, |waiter| waiter.ticket.0).ok()
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Waiter> {
        let index = self.position(ticket)?;
        self.waiters.remove(index)
    }
}

/// Woken when the operation has ended, and when there are as many connections as may be.
impl Wake for Backlog {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let (waiters, full) = {
            let mut state = self.lock();
            let waiters = state.wakers(None);
            let is_full = state.ready.len() >= self.limit;
            let full = match std::mem::replace(&mut state.arm, Arm::Idle) {
                Arm::Armed(claim) if is_full => Some(claim),
                other => {
                    state.arm = other;
                    None
                }
            };
            (waiters, full)
        };
        waiters.into_iter().for_each(wake);
        if let Some(claim) = full {
            op::cancel(claim, &self.lane);
        }
    }
}

impl fmt::Debug for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Backlog")
            .field("ready", &state.ready.len())
            .field("waiters", &state.waiters.len())
            .field("mode", &state.mode)
            .finish_non_exhaustive()
    }
}

/// Accepts connections to a backlog until it is cancelled, or a single one.
#[derive(Debug)]
struct AcceptOp {
    // Field order is drop order: the fd is let go before whoever waits for that is told.
    fd: Fd,
    mode: Mode,
    end: End,
}

/// Tells the backlog when an operation is over.
#[derive(Debug)]
struct End(Arc<Backlog>);

impl End {
    /// One operation fewer will bring connections. Who waits for that, if it was the last.
    fn over(&self) -> Option<Waker> {
        let mut state = self.0.lock();
        state.live -= 1;
        if state.live == 0 { state.closer.take() } else { None }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(closer) = self.over() {
            wake(closer);
        }
    }
}

// SAFETY: I1:
// - the entry names no memory, and `self.fd` keeps the fd open.
unsafe impl Operation for AcceptOp {
    fn entry(&mut self) -> Sqe {
        let fd: RawFd = self.fd.number();
        match self.mode {
            Mode::Multi => Sqe::accept_multi(fd, NEW_SOCKET),
            Mode::Single => Sqe::accept(fd, NEW_SOCKET),
        }
    }

    fn more(&mut self, outcome: Outcome) -> Option<Waker> {
        self.end.0.push(new_socket(outcome)?)
    }

    fn lost(&mut self) -> Option<Waker> {
        // It is never dropped, and brings no connection any more.
        self.end.over()
    }

    fn abandon(self, outcome: Option<Outcome>) {
        let waker = outcome.and_then(new_socket).and_then(|found| self.end.0.push(found));
        if let Some(waker) = waker {
            wake(waker);
        }
    }
}

impl Complete for AcceptOp {
    type Output = io::Result<OwnedFd>;

    fn finish(self, outcome: io::Result<Outcome>) -> io::Result<OwnedFd> {
        let outcome = outcome?;
        new_socket(outcome).ok_or_else(|| io::Error::from_raw_os_error(-outcome.result))
    }

    fn finish_lost(home: ShardId) -> io::Result<OwnedFd> {
        Err(op::lost(home))
    }
}

#[cfg(test)]
mod tests;
