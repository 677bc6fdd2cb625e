//! Reading into and writing from several buffers with one call.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::task::Poll;

use socket2::{MaybeUninitSlice, SockRef};

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::read_first;
use crate::net::batch::Batch;
use crate::net::family::Family;
use crate::net::poll::poll_once;
use crate::net::polled::may_go_on;
use crate::net::ready::Interest;
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::op::vectored::MAX_PARTS;

impl<F: Family> Stream<F> {
    /// Sends some bytes of one buffer after the other, from the first on, with one call: as many as
    /// the socket has room for, at least one. Of more than 1024 buffers that have bytes the first
    /// 1024 are sent.
    ///
    /// To send all of them there is [`send_all_batch`](Self::send_all_batch).
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write). The buffers come back with every error.
    ///
    /// # Cancel safety
    ///
    /// As [`write`](Self::write).
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
    /// let (sent, _) = stream.write_vectored(vec!["head ", "and body"]).await;
    /// assert_eq!(sent?, 13);
    /// let (received, parts) = peer.read_vectored(vec![vec![0; 5], vec![0; 64]]).await;
    /// assert_eq!(received?, 13);
    /// assert_eq!((&parts[0][..], &parts[1][..8]), (&b"head "[..], &b"and body"[..]));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn write_vectored<B: IoBuf>(&self, buffers: Vec<B>) -> BufResult<usize, Vec<B>> {
        let batch = Batch::once(buffers);
        if batch.is_sent() {
            return (Ok(0), batch.into_buffers());
        }
        let part = self.socket().send_batch(batch, 0).await;
        self.socket().note_sent_batch(&part);
        part.into_parts()
    }

    /// Receives some bytes into one buffer after the other, each from its start: as many as are
    /// there, at least one. Of more than 1024 buffers the first 1024 are filled. `Ok(0)` says that
    /// the peer has ended its direction, or that no buffer has room.
    ///
    /// What a dropped [`read`](Self::read) left comes first, and alone.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read). The buffers come back with every error.
    ///
    /// # Cancel safety
    ///
    /// No byte is lost when the future is dropped.
    ///
    /// # Cost
    ///
    /// A direct call when something is there; else a wait on the ring before it, so one more call
    /// than a [`read`](Self::read).
    pub async fn read_vectored<B: IoBufMut>(
        &self,
        mut buffers: Vec<B>,
    ) -> BufResult<usize, Vec<B>> {
        if buffers.iter().all(|buf| buf.bytes_total() == 0) {
            return (Ok(0), buffers);
        }
        let socket = self.socket();
        loop {
            if socket.stash.is_filled() {
                return read_first(&mut &*self, buffers).await;
            }
            poll_fn(|cx| if may_go_on(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
            match receive(socket, &mut buffers) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return (result, buffers),
            }
            if let Err(error) = poll_once(socket.fd(), Interest::READABLE).await {
                return (Err(error), buffers);
            }
        }
    }
}

/// Receives what is there, with a call that does not wait.
fn receive<B: IoBufMut>(socket: &Socket, buffers: &mut [B]) -> io::Result<usize> {
    let room = |buf: &mut B| {
        let (start, len) = (buf.stable_mut_ptr().cast::<MaybeUninit<u8>>(), buf.bytes_total());
        // SAFETY:
        // - O5: these are `len` writable bytes; O6: nothing else uses them while the buffer is
        //   borrowed, which it is for as long as the parts are there.
        MaybeUninitSlice::new(unsafe { std::slice::from_raw_parts_mut(start, len) })
    };
    let mut parts: Vec<_> = buffers.iter_mut().take(MAX_PARTS).map(room).collect();
    let called = SockRef::from(socket.fd())
        .recv_vectored_with_flags(&mut parts, libc::MSG_DONTWAIT)
        .map(|(count, _)| count);
    drop(parts);
    let count = called?;
    let mut left = count;
    for buf in buffers.iter_mut().take(MAX_PARTS) {
        let filled = left.min(buf.bytes_total());
        left -= filled;
        // SAFETY:
        // - the kernel fills one buffer after the other from its start, and wrote so many bytes to
        //   this one, which has room for them.
        unsafe { buf.set_init(filled) };
    }
    Ok(count)
}
