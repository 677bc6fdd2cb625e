//! What the reader of an inlet left, for the next reader of the stream.

use std::io;
use std::mem::MaybeUninit;
use std::task::{Context, Poll, Waker};

use crate::net::inlet::{Arm, Inlet};
use crate::net::stash::{Given, Left};
use crate::op::RecvBuf;
use crate::primitive::Arc;

/// What a reader left: its receive was cancelled, and what it brought is for the next.
pub(in crate::net) struct GivenInlet(pub(in crate::net) Arc<Inlet>);

impl Given for GivenInlet {
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        if !self.0.lock().has_none() {
            return Poll::Ready(());
        }
        let mut cx = Context::from_waker(waker);
        match self.0.poll_next(None, &mut cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(found) => {
                self.0.untake(found);
                Poll::Ready(())
            }
        }
    }

    fn is_spent(&self) -> bool {
        let state = self.0.lock();
        state.has_none() && matches!(state.arm, Arm::Idle)
    }

    fn take(&mut self, room: &mut [MaybeUninit<u8>]) -> (io::Result<usize>, Left) {
        let found = self.0.lock().take();
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
        let left = if self.0.lock().is_spent() { Left::Nothing } else { Left::Bytes };
        (result, left)
    }
}

impl Inlet {
    /// Puts back what was just taken.
    fn untake(&self, found: Option<io::Result<RecvBuf>>) {
        let mut state = self.lock();
        match found {
            Some(Ok(bytes)) => state.ready.push_front(bytes),
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
