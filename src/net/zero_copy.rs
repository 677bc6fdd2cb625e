//! Sends whose bytes the kernel does not copy.

use std::io;
use std::task::Waker;

use crate::buf::{BufResult, IoBuf, transfer_len};
use crate::driver::{Opcode, Sqe};
use crate::net::family::Family;
use crate::net::stream::Stream;
use crate::net::unsent::Sending;
use crate::op::{Complete, Fd, Operation, Outcome};

mod policy;

pub(super) use policy::Policy;
pub use policy::ZeroCopy;

impl<F: Family> Stream<F> {
    /// Sends the whole buffer, as [`write_all`](Self::write_all) does, from where it is: the
    /// network card reads it there, instead of from a copy that the kernel makes. The buffer comes
    /// back when the kernel has let go of it, which for TCP is when the peer has acknowledged its
    /// bytes, and no earlier than that.
    ///
    /// Worth it for large buffers, tens of kilobytes and more, on a network card that can. Over the
    /// loopback the kernel copies all the same, and it is slower than `write_all`. A Unix stream
    /// has no such sends, and writes the buffer as `write_all` does.
    ///
    /// # Errors
    ///
    /// As [`write_all`](Self::write_all). Some of the bytes may have been sent. `InvalidInput` on a
    /// kernel that does not know the operation (before Linux 6.0).
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, some of the bytes may have been sent, and nothing says how many.
    /// The buffer is freed when the kernel has let go of it. The next write waits for that, so that
    /// no byte comes later; and the end of the stream, if it is dropped, is sent after it.
    ///
    /// # Cost
    ///
    /// An operation on the ring with two completions, and the time until the peer acknowledges.
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
    /// let (result, image) = stream.send_zc(vec![7; 65_536]).await;
    /// result?;
    /// assert_eq!(image.len(), 65_536);
    /// # let (result, got) = peer.read_exact(vec![0; 65_536].into_boxed_slice()).await;
    /// # result?;
    /// # assert!(got.iter().all(|byte| *byte == 7));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn send_zc<B: IoBuf>(&self, buf: B) -> BufResult<(), B> {
        self.send_uncopied(buf, false).await
    }

    /// Sends the whole buffer without a copy. If nobody asked for that, a kernel that refuses it
    /// has the bytes written as usual, and is not asked again.
    pub(super) async fn send_uncopied<B: IoBuf>(
        &self,
        mut buf: B,
        is_own_idea: bool,
    ) -> BufResult<(), B> {
        let total = buf.bytes_init();
        let mut done = 0;
        while done < total {
            let socket = self.socket();
            let send = SendZc { fd: socket.fd().clone(), buf, from: done, answer: None };
            let sent = Sending::new(&socket.unsent, self.lane(), send).await;
            buf = sent.1;
            match sent.0 {
                Ok(0) => {
                    let text = format!("the socket took {done} of {total} bytes");
                    return (Err(io::Error::new(io::ErrorKind::WriteZero, text)), buf);
                }
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Not of this family.
                Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                    return self.write_from(buf, done, 0).await;
                }
                Err(error) if is_own_idea && is_refusal(&error) => {
                    self.socket().zero_copy.give_up();
                    return self.write_from(buf, done, 0).await;
                }
                Err(error) => return (Err(error), buf),
            }
        }
        (Ok(()), buf)
    }
}

/// Whether the kernel knows no such send, or may lock no more memory for it. No byte was sent then.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOMEM | libc::ENOBUFS | libc::EPERM))
}

/// One send without a copy: it completes with a count, and once more when the kernel has let go of
/// the buffer.
#[derive(Debug)]
struct SendZc<B> {
    fd: Fd,
    buf: B,
    from: usize,
    /// The first completion, if it was not the only one.
    answer: Option<Outcome>,
}

// SAFETY: I1:
// - the address is into memory of `buf`, which `self` owns, and which stays where it is while
//   `self` is not moved or dropped (O2 of `IoBuf`); `from` is at most `bytes_init`. The last
//   completion is the one that says that the kernel has let go of it.
// - `self.fd` keeps the fd open.
unsafe impl<B: IoBuf> Operation for SendZc<B> {
    fn entry(&mut self) -> Sqe {
        let left = self.buf.bytes_init() - self.from;
        // SAFETY:
        // - `from <= bytes_init`, so by O1 the result is in the buffer or at its end.
        let bytes = unsafe { self.buf.stable_ptr().add(self.from) };
        // The ring goes on until everything is sent.
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let send = Sqe::send(self.fd.number(), bytes, transfer_len(left), flags);
        Sqe { opcode: Opcode::SEND_ZC.get(), ..send }
    }

    fn more(&mut self, outcome: Outcome) -> Option<Waker> {
        // Nobody is woken: the buffer is not back.
        self.answer = Some(outcome);
        None
    }
}

impl<B: IoBuf> Complete for SendZc<B> {
    type Output = BufResult<usize, B>;

    fn finish(self, outcome: io::Result<Outcome>) -> BufResult<usize, B> {
        let answer = match self.answer {
            Some(answer) => answer.check(),
            None => outcome,
        };
        (answer.map(Outcome::bytes), self.buf)
    }
}
