//! The operations that wait for readiness: once, and again and again.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::task::Waker;

use crate::driver::Sqe;
use crate::id::ShardId;
use crate::net::ready::{Interest, Ready};
use crate::op::{self, Complete, Fd, Op, Operation, Outcome};
use crate::primitive::{Arc, Mutex, lock};

/// Waits until the descriptor is ready, and begins again when that is interrupted.
pub(super) async fn poll_once(fd: &Fd, interest: Interest) -> io::Result<Ready> {
    loop {
        match Op::new(PollOnce::new(fd.clone(), interest), fd.lane()).await {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            polled => return polled,
        }
    }
}

/// Waits once.
#[derive(Debug)]
pub(super) struct PollOnce {
    fd: Fd,
    interest: Interest,
}

impl PollOnce {
    pub(super) fn new(fd: Fd, interest: Interest) -> Self {
        Self { fd, interest }
    }
}

// SAFETY: I1:
// - the entry names no memory, and `self.fd` keeps the fd open.
unsafe impl Operation for PollOnce {
    fn entry(&mut self) -> Sqe {
        Sqe::poll_add(self.fd.number(), self.interest.events())
    }
}

impl Complete for PollOnce {
    type Output = io::Result<Ready>;

    fn finish(self, outcome: io::Result<Outcome>) -> io::Result<Ready> {
        outcome.map(ready)
    }

    fn finish_lost(home: ShardId) -> io::Result<Ready> {
        Err(op::lost(home))
    }
}

/// Waits until it is cancelled, and notes each time what the descriptor became ready for.
#[derive(Debug)]
pub(super) struct PollMany {
    fd: Fd,
    interest: Interest,
    sight: Arc<Sight>,
}

impl PollMany {
    pub(super) fn new(fd: Fd, interest: Interest, sight: Arc<Sight>) -> Self {
        Self { fd, interest, sight }
    }
}

// SAFETY: I1:
// - the entry names no memory, and `self.fd` keeps the fd open.
unsafe impl Operation for PollMany {
    fn entry(&mut self) -> Sqe {
        Sqe::poll_multi(self.fd.number(), self.interest.events())
    }

    fn more(&mut self, outcome: Outcome) -> Option<Waker> {
        // An error is told by the last completion.
        if outcome.result > 0 { self.sight.note(ready(outcome)) } else { None }
    }
}

impl Complete for PollMany {
    type Output = io::Result<Ready>;

    fn finish(self, outcome: io::Result<Outcome>) -> io::Result<Ready> {
        outcome.map(ready)
    }

    fn finish_lost(home: ShardId) -> io::Result<Ready> {
        Err(op::lost(home))
    }
}

fn ready(outcome: Outcome) -> Ready {
    Ready::from_events(u32::try_from(outcome.result).unwrap_or(0))
}

/// What a descriptor is ready for, as far as is known: what the kernel has told since somebody
/// found it not to be so.
///
/// No lock is held while a waker is woken, cloned or dropped.
pub(super) struct Sight(Mutex<State>);

struct State {
    ready: Ready,
    /// How often the kernel has told something.
    tick: u64,
    waker: Option<Waker>,
}

/// What the kernel had told when somebody looked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub(super) ready: Ready,
    tick: u64,
}

impl Sight {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { ready: Ready::EMPTY, tick: 0, waker: None }))
    }

    /// The kernel tells something. Whom to wake.
    pub(super) fn note(&self, ready: Ready) -> Option<Waker> {
        let mut state = lock(&self.0);
        state.ready = Ready::from_events(state.ready.events() | ready.events());
        state.tick += 1;
        state.waker.take()
    }

    /// What is known, or, while nothing is, leaves the waker.
    pub(super) fn look(&self, waker: &Waker) -> Option<Seen> {
        let waker = waker.clone();
        let (seen, before) = {
            let mut state = lock(&self.0);
            if state.ready.is_empty() {
                (None, state.waker.replace(waker))
            } else {
                (Some(Seen { ready: state.ready, tick: state.tick }), Some(waker))
            }
        };
        drop(before);
        seen
    }

    /// It was not so, unless the kernel has told something since: that may be newer than what was
    /// found.
    pub(super) fn clear(&self, seen: Seen) {
        let mut state = lock(&self.0);
        if state.tick == seen.tick {
            state.ready = Ready::from_events(state.ready.events() & !seen.ready.events());
        }
    }
}

impl fmt::Debug for Sight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0);
        f.debug_struct("Sight")
            .field("ready", &state.ready)
            .field("tick", &state.tick)
            .finish_non_exhaustive()
    }
}

/// Checks that a descriptor can be waited for: for one that cannot (a regular file, a directory)
/// the ring would say that it is ready at once, and always.
pub(super) fn check_pollable(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY:
    // - the call takes no memory.
    let asked = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if asked < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY:
    // - the fd was just made for us.
    let asked = unsafe { OwnedFd::from_raw_fd(asked) };
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    let (epoll, number) = (asked.as_fd().as_raw_fd(), fd.as_raw_fd());
    // SAFETY:
    // - `event` lives until the call returns, and both fds are borrowed during the call.
    let added = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, number, &raw mut event) };
    if added == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::EPERM) {
        let text = format!(
            "descriptor {number} is of a file that cannot be waited for, as regular files and \
             directories"
        );
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    Err(io::Error::new(error.kind(), format!("descriptor {number} cannot be waited for: {error}")))
}

#[cfg(test)]
mod tests;
