//! Receives whose futures were dropped: they stay with their stream, and the next read takes their
//! bytes first.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::task::{Poll, Waker};

use crate::buf::IoBufMut;
use crate::net::message::Came;
use crate::net::socket::{Received, RecvOp};
use crate::op::{self, Claim, Complete, Unfinished};
use crate::port::Lane;
use crate::primitive::{Arc, AtomicBool, Mutex, Ordering, lock};

/// The receives that were given up, in the order of their bytes: of streams, unless something else
/// is said.
///
/// One reader at a time leaves one receive at most; several concurrent readers leave one each.
pub(super) struct Stash<G: ?Sized = dyn Given> {
    is_filled: AtomicBool,
    given: Mutex<VecDeque<Box<G>>>,
}

impl<G: ?Sized> Stash<G> {
    /// Whether there is a receive; all that a read costs when there is none.
    pub(super) fn is_filled(&self) -> bool {
        // Acquire pairs with the Release of whoever put one there: a reader that was told of the
        // drop sees it.
        self.is_filled.load(Ordering::Acquire)
    }

    /// Puts a receive behind the others.
    pub(super) fn give(&self, given: Box<G>) {
        let mut all = lock(&self.given);
        all.push_back(given);
        self.is_filled.store(true, Ordering::Release);
    }

    /// Puts a receive that was taken back before the others.
    pub(super) fn give_back(&self, given: Box<G>) {
        let mut all = lock(&self.given);
        all.push_front(given);
        self.is_filled.store(true, Ordering::Release);
    }

    /// Takes the first receive.
    pub(super) fn take(&self) -> Option<Box<G>> {
        let mut all = lock(&self.given);
        let first = all.pop_front();
        self.is_filled.store(!all.is_empty(), Ordering::Release);
        first
    }

    /// Takes the first receive, for a look.
    pub(super) fn hold(&self) -> Option<Held<'_, G>> {
        Some(Held { stash: self, given: Some(self.take()?) })
    }

    /// Drops the receives of which this says that they have ended and brought nothing.
    pub(super) fn settle(&self, mut is_over: impl FnMut(&mut G) -> bool) {
        let mut left = VecDeque::new();
        while let Some(mut given) = self.take() {
            if !is_over(&mut given) {
                left.push_back(given);
            }
        }
        left.into_iter().for_each(|given| self.give(given));
    }
}

impl Stash {
    /// Keeps a receive in flight.
    pub(super) fn give_claim<B: IoBufMut>(&self, claim: Claim<RecvOp<B>>, lane: &Arc<dyn Lane>) {
        self.give(Box::new(GivenRecv { state: State::InFlight(claim), lane: Arc::clone(lane) }));
    }
}

impl<G: ?Sized> Default for Stash<G> {
    fn default() -> Self {
        Self { is_filled: AtomicBool::new(false), given: Mutex::new(VecDeque::new()) }
    }
}

impl<G: ?Sized> fmt::Debug for Stash<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stash").field("is_filled", &self.is_filled()).finish_non_exhaustive()
    }
}

/// A receive that was taken for a look. It goes back to its place when this is dropped.
pub(super) struct Held<'s, G: ?Sized> {
    stash: &'s Stash<G>,
    given: Option<Box<G>>,
}

impl<'s, G: ?Sized> Held<'s, G> {
    pub(super) fn get(&mut self) -> Option<&mut G> {
        self.given.as_deref_mut()
    }

    /// Takes the receive, and says where it is to go back to.
    pub(super) fn release(mut self) -> Option<(&'s Stash<G>, Box<G>)> {
        Some((self.stash, self.given.take()?))
    }
}

impl<G: ?Sized> Drop for Held<'_, G> {
    fn drop(&mut self) {
        if let Some(given) = self.given.take() {
            self.stash.give_back(given);
        }
    }
}

/// A receive that was given up. Dropping it cancels it.
pub(super) trait Given: Send {
    /// Whether its outcome is there; else leaves the waker.
    fn poll(&mut self, waker: &Waker) -> Poll<()>;

    /// Whether it has ended without bringing anything, not even the end. Then there is nothing to
    /// take. Only after it was polled ready.
    fn is_spent(&self) -> bool {
        false
    }

    /// Moves as many of its bytes as there is room for, and says whether it has more. Only after
    /// it was polled ready, and not spent.
    fn take(&mut self, room: &mut [MaybeUninit<u8>]) -> (io::Result<usize>, Left);

    /// Takes the descriptors that came with its first byte. Who takes that byte without them has
    /// them closed.
    fn take_fds(&mut self) -> Brought {
        Brought::default()
    }
}

/// What came beside the bytes of a receive.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) fds: Vec<OwnedFd>,
    /// There was more than there is room for.
    pub(super) is_cut: bool,
}

impl Brought {
    /// How many bytes came, and what came beside them.
    pub(super) fn of(came: Came) -> (usize, Self) {
        let Came { len, fds, is_control_cut, .. } = came;
        (len, Self { fds, is_cut: is_control_cut })
    }
}

/// What a receive has left after its bytes were taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Left {
    Nothing,
    Bytes,
}

struct GivenRecv<B: IoBufMut> {
    state: State<B>,
    lane: Arc<dyn Lane>,
}

enum State<B: IoBufMut> {
    InFlight(Claim<RecvOp<B>>),
    /// Bytes that came and are not taken yet.
    Bytes(B, Range<usize>),
    Failed(io::Error),
    Spent,
}

impl<B: IoBufMut> State<B> {
    fn done(received: Received<B>) -> Self {
        let Received { result, buf, from, .. } = received;
        match result {
            Ok(count) => Self::Bytes(buf, from..from + count),
            Err(error) => Self::Failed(error),
        }
    }
}

impl<B: IoBufMut> Given for GivenRecv<B> {
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        let ready = match std::mem::replace(&mut self.state, State::Spent) {
            State::InFlight(claim) => match claim.poll(waker) {
                Ok((recv, outcome)) => State::done(recv.finish(outcome.check())),
                Err(Unfinished::Pending(claim)) => {
                    self.state = State::InFlight(claim);
                    return Poll::Pending;
                }
                Err(Unfinished::Lost(home)) => State::Failed(op::lost(home)),
            },
            ready => ready,
        };
        self.state = ready;
        Poll::Ready(())
    }

    fn take(&mut self, room: &mut [MaybeUninit<u8>]) -> (io::Result<usize>, Left) {
        match std::mem::replace(&mut self.state, State::Spent) {
            State::Bytes(buf, range) => {
                let count = range.len().min(room.len());
                let bytes = &buf.as_init()[range.start..range.start + count];
                room[..count].write_copy_of_slice(bytes);
                if count == range.len() {
                    return (Ok(count), Left::Nothing);
                }
                self.state = State::Bytes(buf, range.start + count..range.end);
                (Ok(count), Left::Bytes)
            }
            State::Failed(error) => (Err(error), Left::Nothing),
            State::InFlight(_) | State::Spent => {
                panic!("a receive is taken once, after it was polled ready")
            }
        }
    }
}

impl<B: IoBufMut> Drop for GivenRecv<B> {
    fn drop(&mut self) {
        if let State::InFlight(claim) = std::mem::replace(&mut self.state, State::Spent) {
            op::cancel(claim, &self.lane);
        }
    }
}
