//! Looking at a datagram that a socket has, which stays there.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::{Poll, Waker};

use crate::buf::{BufResult, IoBufMut};
use crate::driver::Sqe;
use crate::net::control::Control;
use crate::net::datagram::receive::Kept;
use crate::net::datagram::{Datagram, len_and_sender};
use crate::net::family::Family;
use crate::net::message::{Came, ReceivedMsg, RecvMsg};
use crate::net::stash::Held;
use crate::op::{Complete, Inline, Op, Operation, Outcome};

impl<F: Family> Datagram<F> {
    /// As [`recv`](Self::recv), and leaves the datagram where it is: the next receive or peek gets
    /// it again, whole. Waits until there is one.
    ///
    /// # Errors
    ///
    /// As there. An error that a datagram sent earlier has left is told once, here or there.
    ///
    /// # Cancel safety
    ///
    /// No datagram is lost when the future is dropped.
    ///
    /// # Cost
    ///
    /// As a receive; a datagram that a dropped receive left is copied once more.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::net::UdpSocket;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let near = UdpSocket::bind("127.0.0.1:0").await?;
    /// let far = UdpSocket::bind("127.0.0.1:0").await?;
    /// near.send_to("version 1", far.local_addr()?).await.0?;
    /// let (peeked, first) = far.peek(Box::new([0; 1])).await;
    /// assert_eq!((peeked?, &first[..]), (1, &b"v"[..]));
    /// assert_eq!(far.recv(vec![0; 16]).await.0?, 9);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn peek<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        let (result, buf) = self.look(buf).await;
        (result.map(|came| came.len), buf)
    }

    /// As [`peek`](Self::peek), and says who sent it.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn peek_from<B: IoBufMut>(&self, buf: B) -> BufResult<(usize, F::Addr), B> {
        let (result, buf) = self.look(buf).await;
        (result.and_then(len_and_sender::<F>), buf)
    }

    async fn look<B: IoBufMut>(&self, buf: B) -> BufResult<Came, B> {
        let (socket, kept) = (&self.sockets.socket, &self.sockets.kept);
        let mut recv = socket.recv_msg(buf, 0);
        while kept.is_filled() {
            let Some(mut held) = kept.hold() else { break };
            poll_fn(|cx| held.get().map_or(Poll::Ready(()), |kept| kept.poll(cx.waker()))).await;
            if let Some(result) = look_at(held, &mut recv) {
                return (result, recv.buf);
            }
        }
        let seen = Op::new(PeekMsg(recv), socket.lane()).await;
        socket.note_received_msg(&seen);
        (seen.result, seen.buf)
    }
}

/// Copies the first datagram that a receive has brought, and puts that back. `None`: it has brought
/// nothing. An error is told once, here.
fn look_at<B: IoBufMut>(
    held: Held<'_, dyn Kept>,
    recv: &mut RecvMsg<B>,
) -> Option<io::Result<Came>> {
    let (stash, mut kept) = held.release()?;
    let (mut bytes, mut len) = (Box::default(), 0);
    let taken = kept.take(&mut |all| {
        bytes = all.into();
        len = recv.adopt(all);
        all.len()
    });
    if !kept.is_spent() {
        stash.give_back(kept);
    }
    Some(taken?.map(|came| {
        let from = came.from.clone();
        let (control, fds) = (Control::default(), Vec::new());
        let full_len = came.full_len;
        stash.give_back(Box::new(Seen { bytes, came: Some(came) }));
        Came { len, full_len, from, control, is_control_cut: false, fds }
    }))
}

/// A datagram of a receive that somebody has looked at.
struct Seen {
    bytes: Box<[u8]>,
    came: Option<Came>,
}

impl Kept for Seen {
    fn poll(&mut self, _: &Waker) -> Poll<()> {
        Poll::Ready(())
    }

    fn is_spent(&self) -> bool {
        self.came.is_none()
    }

    fn take(&mut self, copy: &mut dyn FnMut(&[u8]) -> usize) -> Option<io::Result<Came>> {
        let mut came = self.came.take()?;
        came.len = copy(&self.bytes);
        Some(Ok(came))
    }
}

/// A receive that takes nothing.
struct PeekMsg<B>(RecvMsg<B>);

// SAFETY: I1:
// - it is the entry of `RecvMsg`, which is in `self` and promises that; the flag changes nothing of
//   what the kernel writes, and where.
unsafe impl<B: IoBufMut> Operation for PeekMsg<B> {
    fn entry(&mut self) -> Sqe {
        let mut sqe = self.0.entry();
        sqe.op_flags |= libc::MSG_PEEK as u32;
        sqe
    }

    fn abandon(self, outcome: Option<Outcome>) {
        self.0.abandon(outcome);
    }
}

impl<B: IoBufMut> Complete for PeekMsg<B> {
    type Output = ReceivedMsg<B>;

    fn inline(&self) -> Inline {
        self.0.inline()
    }

    fn starts_over(&self) -> bool {
        self.0.starts_over()
    }

    fn finish(self, outcome: io::Result<Outcome>) -> ReceivedMsg<B> {
        self.0.finish(outcome)
    }
}

impl<B> fmt::Debug for PeekMsg<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeekMsg").finish_non_exhaustive()
    }
}
