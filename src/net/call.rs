//! Calls: a request and its reply, submitted together.

use std::future::{Future, poll_fn};
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
    /// ring with the next entry into the kernel. (A shard whose receives lately found something
    /// when it looked once more before that does so.) A request for which there is no room goes on
    /// from the byte where it stopped while the receive waits.
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
    /// One direct system call for a request that fits, and one operation on the ring for the reply,
    /// whose entries into the kernel are shared with the other tasks of the shard: one that submits
    /// it, and one that waits. What does not fit of a request is submitted with the receive.
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
        let write = pin!(self.write_all(request));
        let read = Read::later(self.socket(), reply);
        let mut call = Call { write, read, written: None, received: None, is_ending: false };
        poll_fn(|cx| call.poll(cx)).await
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
        // What is taken before the request is sent would be lost with this future.
        let is_time = self.written.is_some() || !self.read.is_begun();
        if self.received.is_none()
            && is_time
            && let Poll::Ready(received) = Pin::new(&mut self.read).poll(cx)
        {
            self.received = Some(received);
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
