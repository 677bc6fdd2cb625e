//! Looking at bytes that a stream has, which stay there.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::task::{Poll, Waker};

use crate::buf::{BufResult, IoBufMut};
use crate::driver::Sqe;
use crate::io::ReadHalf;
use crate::net::family::Family;
use crate::net::socket::{Received, RecvOp};
use crate::net::stash::{Brought, Given, Held, Left};
use crate::net::stream::Stream;
use crate::net::transfer::take_given;
use crate::op::{Complete, Inline, Op, Operation, Outcome};

impl<F: Family> Stream<F> {
    /// As [`read`](Self::read), and leaves the bytes where they are: the next read or peek gets
    /// them again. Waits until there are some. `Ok(0)` says that the peer has ended its direction.
    ///
    /// It is for telling protocols apart by their first bytes. Who waits for more than it has seen
    /// reads, because a peek is answered at once as long as there is one byte.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// No byte is lost when the future is dropped.
    ///
    /// # Cost
    ///
    /// As a read; bytes that a dropped read left are copied once more.
    ///
    /// # Examples
    ///
    /// ```
    /// # use spargio::net::{TcpListener, TcpStream};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let peer = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (stream, _) = listener.accept().await?;
    /// # peer.write_all(vec![0x16, 3, 1]).await.0?;
    /// let (peeked, first) = stream.peek(Box::new([0])).await;
    /// let is_tls = peeked? == 1 && *first == [0x16];
    /// # assert!(is_tls);
    /// # assert_eq!(stream.read(vec![0; 8]).await.0?, 3);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn peek<B: IoBufMut>(&self, mut buf: B) -> BufResult<usize, B> {
        if buf.bytes_total() == 0 {
            return (Ok(0), buf);
        }
        let socket = self.socket();
        while socket.stash.is_filled() {
            let Some(mut held) = socket.stash.hold() else { break };
            poll_fn(|cx| held.get().map_or(Poll::Ready(()), |given| given.poll(cx.waker()))).await;
            if let Some(result) = look_at(held, &mut buf) {
                return (result, buf);
            }
        }
        let seen = Op::new(PeekOp(socket.recv_op(buf, 0)), socket.lane()).await;
        socket.note_received(&seen);
        (seen.result, seen.buf)
    }
}

impl<F: Family> ReadHalf<Stream<F>> {
    /// As [`Stream::peek`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn peek<B: IoBufMut>(&self, buf: B) -> BufResult<usize, B> {
        self.get_ref().peek(buf).await
    }
}

/// Copies what a receive has brought, and puts that back. `None`: it has brought nothing. An error
/// is told once, here.
fn look_at<B: IoBufMut>(held: Held<'_, dyn Given>, buf: &mut B) -> Option<io::Result<usize>> {
    let (stash, given) = held.release()?;
    let mut given = Some(given).filter(|given| !given.is_spent())?;
    let brought = given.take_fds();
    let (result, left) = take_given(&mut *given, buf, 0);
    if left == Left::Bytes {
        stash.give_back(given);
    }
    if let Ok(count @ 1..) = result {
        let bytes = buf.as_init()[..count].into();
        stash.give_back(Box::new(Seen { bytes, taken: 0, brought }));
    }
    Some(result)
}

/// Bytes of a receive that somebody has looked at, and what came beside them.
struct Seen {
    bytes: Box<[u8]>,
    taken: usize,
    brought: Brought,
}

impl Given for Seen {
    fn poll(&mut self, _: &Waker) -> Poll<()> {
        Poll::Ready(())
    }

    fn take(&mut self, room: &mut [MaybeUninit<u8>]) -> (io::Result<usize>, Left) {
        let left = &self.bytes[self.taken..];
        let count = left.len().min(room.len());
        room[..count].write_copy_of_slice(&left[..count]);
        self.taken += count;
        let is_over = self.taken == self.bytes.len();
        (Ok(count), if is_over { Left::Nothing } else { Left::Bytes })
    }

    fn take_fds(&mut self) -> Brought {
        std::mem::take(&mut self.brought)
    }
}

/// A receive that takes nothing.
struct PeekOp<B>(RecvOp<B>);

// SAFETY: I1:
// - it is the entry of `RecvOp`, which is in `self` and promises that; the flag changes nothing of
//   what the kernel writes, and where.
unsafe impl<B: IoBufMut> Operation for PeekOp<B> {
    fn entry(&mut self) -> Sqe {
        let mut sqe = self.0.entry();
        sqe.op_flags |= libc::MSG_PEEK as u32;
        sqe
    }
}

impl<B: IoBufMut> Complete for PeekOp<B> {
    type Output = Received<B>;

    fn inline(&self) -> Inline {
        self.0.inline()
    }

    fn finish(self, outcome: io::Result<Outcome>) -> Received<B> {
        self.0.finish(outcome)
    }
}

impl<B> fmt::Debug for PeekOp<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PeekOp").finish_non_exhaustive()
    }
}
