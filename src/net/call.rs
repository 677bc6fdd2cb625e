//! Calls: a request and its reply, submitted together.

use std::future::{Future, poll_fn};
use std::io::ErrorKind::{Interrupted, WouldBlock};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::net::family::Family;
use crate::net::stream::Stream;
use crate::net::transfer::{Ends, Read};

impl<F: Family> Stream<F> {
    /// Sends the whole request and receives some bytes of the reply: as many as are there when the
    /// first come, as [`read`](Self::read) does. Both begin together, and the answer is there when
    /// both have ended.
    ///
    /// A reply takes its time, so no look is taken at what is there: the receive is armed on the
    /// ring. If the shard has nothing else to run, the request goes there with it, else by a direct
    /// call at once. A request for which there is no room goes on from the byte where it stopped
    /// while the receive waits.
    ///
    /// A reply that is longer than what came is read to its end with `read`; a buffer without room
    /// receives nothing.
    ///
    /// # Errors
    ///
    /// Those of [`write_all`](Self::write_all) for the request, and of [`read`](Self::read) for the
    /// reply. When the request fails the receive is cancelled: bytes that had come are the reply
    /// all the same, else it is the error `ECANCELED`. A request whose reply fails is sent.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, some of the request may have been sent, and none of it comes
    /// after a later write. No byte that was received is lost: the receive stays with the stream,
    /// and the next read takes its bytes first. They are then, or begin with, a reply to a request
    /// that nobody waits for.
    ///
    /// # Cost
    ///
    /// One system call for a request that fits, where the shard sleeps until the reply: it submits
    /// both and waits. Two where the shard spins, which submits before and collects after, or where
    /// other tasks run meanwhile: then the request is a direct call, and the entry into the kernel
    /// is shared with them. What does not fit of a request is another operation on the ring.
    ///
    /// # Examples
    ///
    /// ```
    /// # use spargio::net::{TcpListener, TcpStream};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (server, _) = listener.accept().await?;
    /// # spargio::spawn(async move {
    /// #     let (_, request) = server.read(Vec::with_capacity(64)).await;
    /// #     server.write_all(request).await.0.unwrap();
    /// # })?;
    /// let (request, reply) = stream.call("ping", Vec::with_capacity(64)).await;
    /// request.0?;
    /// let (received, reply) = reply;
    /// assert_eq!(received?, 4);
    /// assert_eq!(reply, b"ping");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn call<B: IoBuf, R: IoBufMut>(
        &self,
        request: B,
        reply: R,
    ) -> (BufResult<(), B>, BufResult<usize, R>) {
        let write = pin!(self.request(request));
        let read = Read::later(self.socket(), reply);
        let mut call = Call { write, read, written: None, received: None, is_ending: false };
        poll_fn(|cx| call.poll(cx)).await
    }

    /// Sends the whole buffer, if it may be with the entry of the receive.
    async fn request<B: IoBuf>(&self, buf: B) -> BufResult<(), B> {
        let total = buf.bytes_init();
        if total == 0 || self.socket().is_send_blocked() {
            return self.write_all(buf).await;
        }
        let sent = self.socket().send_along(buf).await;
        self.socket().note_sent(&sent);
        let done = match sent.result {
            // Nothing says that it could not go on.
            Ok(0) => 0,
            Ok(count) => count,
            Err(error) if matches!(error.kind(), WouldBlock | Interrupted) => 0,
            Err(error) => return (Err(error), sent.buf),
        };
        self.write_from(sent.buf, done, 0).await
    }
}

/// Both directions of a call, and what has come of each.
struct Call<'w, 's, W, B, R: IoBufMut> {
    write: Pin<&'w mut W>,
    read: Read<'s, R>,
    written: Option<BufResult<(), B>>,
    received: Option<BufResult<usize, R>>,
    /// The read was asked to end.
    is_ending: bool,
}

impl<W, B, R> Call<'_, '_, W, B, R>
where
    W: Future<Output = BufResult<(), B>>,
    B: IoBuf,
    R: IoBufMut,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(BufResult<(), B>, BufResult<usize, R>)> {
        // The request first: the peer works while the receive is armed.
        if self.written.is_none()
            && let Poll::Ready(written) = self.write.as_mut().poll(cx)
        {
            self.written = Some(written);
        }
        if matches!(self.written, Some((Err(_), _))) && self.received.is_none() {
            self.end_read(cx);
        }
        if self.received.is_none() {
            let polled = if self.written.is_some() {
                Pin::new(&mut self.read).poll(cx)
            } else {
                // What is taken before the request is sent would be lost with this future.
                self.read.begin(cx)
            };
            if let Poll::Ready(received) = polled {
                self.received = Some(received);
            }
        }
        match (self.written.take(), self.received.take()) {
            (Some(written), Some(received)) => Poll::Ready((written, received)),
            (written, received) => {
                (self.written, self.received) = (written, received);
                Poll::Pending
            }
        }
    }

    /// No reply is to be expected.
    fn end_read(&mut self, cx: &mut Context<'_>) {
        if self.is_ending {
            return;
        }
        match self.read.end() {
            Ends::Now(received) => self.received = Some(received),
            Ends::Soon => self.is_ending = true,
            // Its shard takes it next: it takes what comes from elsewhere in order, and has just
            // taken the request.
            Ends::NotYet => cx.waker().wake_by_ref(),
        }
    }
}
