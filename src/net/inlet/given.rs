//! What the reader of an inlet left, for the next reader of the stream.

use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll, Waker};

use crate::net::inlet::intake::Intake;
use crate::net::inlet::{Arm, Inlet};
use crate::net::stash::{Given, Left};
use crate::op::Room;
use crate::primitive::Arc;

/// What a reader left: its receive was cancelled, and what it brought is for the next.
pub(in crate::net) struct GivenInlet(pub(in crate::net) Arc<Inlet<Room>>);

impl Given for GivenInlet {
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        self.0.poll_left(waker)
    }

    fn is_spent(&self) -> bool {
        self.0.has_ended_empty()
    }

    fn take(&mut self, room: &mut [MaybeUninit<u8>]) -> (io::Result<usize>, Left) {
        let found = self.0.take();
        let result = match found {
            Some(Some(Ok(mut bytes))) => {
                let count = bytes.len().min(room.len());
                room[..count].write_copy_of_slice(&bytes[..count]);
                bytes.advance(count);
                if !bytes.is_empty() {
                    self.0.untake(Some(Ok(bytes)));
                }
                Ok(count)
            }
            Some(Some(Err(error))) => Err(error),
            // The peer has ended.
            Some(None) => return (Ok(0), Left::Nothing),
            None => {
                panic!("a receive is taken after it was polled ready, and has brought something")
            }
        };
        (result, self.0.left())
    }
}

impl<I: Intake> Inlet<I> {
    /// Whether there is something, or nothing will ever be; else leaves the waker. For those after
    /// the reader, who start no receive.
    pub(in crate::net) fn poll_left(self: &Arc<Self>, waker: &Waker) -> Poll<()> {
        if !self.lock().has_none() {
            return Poll::Ready(());
        }
        let mut cx = Context::from_waker(waker);
        self.poll_next(None, &mut cx).map(|found| self.untake(found))
    }

    /// Whether no receive is under way, and there is nothing, not even the end.
    pub(in crate::net) fn has_ended_empty(&self) -> bool {
        let state = self.lock();
        state.has_none() && matches!(state.arm, Arm::Idle)
    }

    /// Takes what is there.
    pub(in crate::net) fn take(&self) -> Option<Option<io::Result<I::Item>>> {
        self.lock().take()
    }

    /// Whether more is there, or may yet come.
    pub(in crate::net) fn left(&self) -> Left {
        if self.lock().is_spent() { Left::Nothing } else { Left::Bytes }
    }

    /// Puts back what was just taken.
    fn untake(&self, found: Option<io::Result<I::Item>>) {
        let mut state = self.lock();
        match found {
            Some(Ok(item)) => state.ready.push_front(item),
            Some(Err(error)) => state.error = Some(error),
            None => {}
        }
    }
}

impl Drop for GivenInlet {
    fn drop(&mut self) {
        self.0.close();
    }
}
