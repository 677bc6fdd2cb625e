//! Sending and receiving by descriptor.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use crate::buf::{BufResult, IoBuf, IoBufMut, transfer_len};
use crate::driver::Sqe;
use crate::native::batch::{NativeBatch, Rest};
use crate::native::files::Transfer;
use crate::native::submit::NativeOp;
use crate::native::uring_any::UringNativeAny;
use crate::op::Lease;
use crate::primitive::Arc;

impl UringNativeAny {
    /// Receives up to `len` bytes, or a datagram, into memory of its own.
    ///
    /// None are the end of a stream.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, bytes that have just come are lost;
    /// [`cancel`](NativeOp::cancel) hands them back. The sockets of [`net`](crate::net) keep them
    /// for the next read.
    ///
    /// # Errors
    ///
    /// What `recv(2)` answers; those of [`submit_unsafe`](Self::submit_unsafe).
    pub fn recv<F>(&self, fd: F, len: usize) -> NativeOp<io::Result<Vec<u8>>>
    where
        F: AsFd + Send + 'static,
    {
        let lease = self.lease(fd.as_fd().as_raw_fd());
        let owned = Transfer { fd, buf: Vec::with_capacity(len) };
        let complete = |owned: Transfer<F, Vec<u8>>, answer| {
            // SAFETY:
            // - it is the answer to `recv_entry`.
            let (received, bytes) = unsafe { owned.filled(answer) };
            received.map(|_| bytes)
        };
        let build = |owned: &mut _| Ok(recv_entry(owned));
        // SAFETY: as `recv_entry` says; the buffer is on the heap behind what the operation owns.
        unsafe { self.start(lease.shard(), Some(lease), owned, build, complete) }
    }

    /// As [`recv`](Self::recv), to the start of a buffer.
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// The future panics if the shard ended and left the buffer to the kernel.
    pub fn recv_owned<F, B>(&self, fd: F, buf: B) -> NativeOp<BufResult<usize, B>>
    where
        F: AsFd + Send + 'static,
        B: IoBufMut,
    {
        let lease = self.lease(fd.as_fd().as_raw_fd());
        self.recv_leased(lease, fd, buf)
    }

    fn recv_leased<F, B>(&self, lease: Lease, fd: F, buf: B) -> NativeOp<BufResult<usize, B>>
    where
        F: AsFd + Send + 'static,
        B: IoBufMut,
    {
        let complete = |owned: Transfer<F, B>, answer| {
            // SAFETY:
            // - it is the answer to `recv_entry`.
            unsafe { owned.filled(answer) }
        };
        let build = |owned: &mut _| Ok(recv_entry(owned));
        // SAFETY: as `recv_entry` says.
        unsafe { self.start(lease.shard(), Some(lease), Transfer { fd, buf }, build, complete) }
    }

    /// Sends what is initialised of a buffer, or as much of it as there is room for; a datagram as
    /// a whole.
    ///
    /// # Errors
    ///
    /// What `send(2)` answers; those of [`submit_unsafe`](Self::submit_unsafe).
    ///
    /// # Panics
    ///
    /// As [`recv_owned`](Self::recv_owned).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # let native = spargio::native::UringNativeAny::new_on(&runtime.handle()).unwrap();
    /// # runtime.block_on(async {
    /// let (near, far) = UnixStream::pair()?;
    /// let (sent, text) = native.send(near, "hello").await;
    /// assert_eq!((sent?, text), (5, "hello"));
    /// let (received, buf) = native.recv_owned(far, Vec::with_capacity(64)).await;
    /// assert_eq!((received?, &buf[..]), (5, &b"hello"[..]));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn send<F, B>(&self, fd: F, buf: B) -> NativeOp<BufResult<usize, B>>
    where
        F: AsFd + Send + 'static,
        B: IoBuf,
    {
        let lease = self.lease(fd.as_fd().as_raw_fd());
        self.send_from(lease, fd, buf, 0, 0)
    }

    /// Sends a buffer from byte `from` on, with `MSG_*` flags.
    fn send_from<F, B>(
        &self,
        lease: Lease,
        fd: F,
        buf: B,
        from: usize,
        flags: i32,
    ) -> NativeOp<BufResult<usize, B>>
    where
        F: AsFd + Send + 'static,
        B: IoBuf,
    {
        let build = move |owned: &mut Transfer<F, B>| {
            let len = owned.buf.bytes_init();
            let from = from.min(len);
            // SAFETY:
            // - it is at most the end of the initialised bytes (O1).
            let bytes = unsafe { owned.buf.stable_ptr().add(from) };
            let flags = libc::MSG_NOSIGNAL | flags;
            Ok(Sqe::send(owned.fd.as_fd().as_raw_fd(), bytes, transfer_len(len - from), flags))
        };
        // SAFETY:
        // - the first `bytes_init` bytes of the buffer stay where they are as long as it is neither
        //   moved nor dropped (O1, O2), and nobody else writes to them.
        // - `owned` keeps the descriptor open: it is not touched while its loan goes on.
        unsafe {
            self.start(lease.shard(), Some(lease), Transfer { fd, buf }, build, |owned, answer| {
                owned.emptied(answer)
            })
        }
    }

    /// Sends all of these buffers, one after the other, and says how many bytes went. On a socket
    /// for datagrams each is one.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, any number of the bytes have gone;
    /// [`cancel`](NativeBatch::cancel) says how many.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); `WriteZero` if the socket takes nothing more. Then an unknown
    /// number of the bytes has gone.
    ///
    /// # Panics
    ///
    /// As [`recv_owned`](Self::recv_owned).
    pub fn send_all_batch<F, B>(&self, fd: F, bufs: Vec<B>) -> NativeBatch<BufResult<usize, Vec<B>>>
    where
        F: AsFd + Send + Sync + 'static,
        B: IoBuf,
    {
        let native = self.clone();
        NativeBatch::new(|rest| async move { native.send_each(fd, bufs, rest).await })
    }

    async fn send_each<F, B>(&self, fd: F, bufs: Vec<B>, rest: Rest) -> BufResult<usize, Vec<B>>
    where
        F: AsFd + Send + Sync + 'static,
        B: IoBuf,
    {
        let lease = self.acquire_affinity(Arc::new(fd));
        let mut sent = 0;
        let mut done = Vec::with_capacity(bufs.len());
        let mut left = bufs.into_iter();
        while let Some(mut buf) = left.next() {
            let len = buf.bytes_init();
            let mut from = 0;
            let end = loop {
                let next = self.lease(lease.fd().as_fd().as_raw_fd());
                let fd = Arc::clone(lease.fd());
                // The ring goes on by itself where the socket is a stream.
                let send = self.send_from(next, fd, buf, from, libc::MSG_WAITALL);
                let (result, back) = rest.step(send).await;
                buf = back;
                match result {
                    Ok(0) if from < len => break Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => from += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => break Err(error),
                }
                if from >= len {
                    break Ok(());
                }
            };
            done.push(buf);
            sent += from;
            if let Err(error) = end {
                done.extend(left);
                return (rest.result(error, sent), done);
            }
        }
        (Ok(sent), done)
    }

    /// Receives once into each of these buffers, one after the other, and says how many bytes came.
    /// On a socket for datagrams each gets one; a stream may end before all have got something.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, what was received is lost; [`cancel`](NativeBatch::cancel) hands
    /// it back.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv). What earlier buffers got is in them.
    ///
    /// # Panics
    ///
    /// As [`recv_owned`](Self::recv_owned).
    pub fn recv_batch_into<F, B>(
        &self,
        fd: F,
        bufs: Vec<B>,
    ) -> NativeBatch<BufResult<usize, Vec<B>>>
    where
        F: AsFd + Send + Sync + 'static,
        B: IoBufMut,
    {
        let native = self.clone();
        NativeBatch::new(|rest| async move { native.recv_each(fd, bufs, rest).await })
    }

    async fn recv_each<F, B>(&self, fd: F, bufs: Vec<B>, rest: Rest) -> BufResult<usize, Vec<B>>
    where
        F: AsFd + Send + Sync + 'static,
        B: IoBufMut,
    {
        let lease = self.acquire_affinity(Arc::new(fd));
        let mut received = 0;
        let mut done = Vec::with_capacity(bufs.len());
        let mut left = bufs.into_iter();
        while let Some(mut buf) = left.next() {
            let result = loop {
                let next = self.lease(lease.fd().as_fd().as_raw_fd());
                let recv = self.recv_leased(next, Arc::clone(lease.fd()), buf);
                let received = rest.step(recv).await;
                buf = received.1;
                match received.0 {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => break result,
                }
            };
            let has_room = buf.bytes_total() > 0;
            done.push(buf);
            match result {
                Ok(0) if has_room => {
                    done.extend(left);
                    break;
                }
                Ok(count) => received += count,
                Err(error) => {
                    done.extend(left);
                    return (rest.result(error, received), done);
                }
            }
        }
        (Ok(received), done)
    }
}

/// Receives to the buffer. What it names is there as long as `owned` is neither moved nor dropped:
/// the first `bytes_total` bytes of the buffer (O2, O5), which nobody else uses (O6), and the
/// descriptor, whose loan goes on until the answer is there.
fn recv_entry<F: AsFd, B: IoBufMut>(owned: &mut Transfer<F, B>) -> Sqe {
    let (to, len) = (owned.buf.stable_mut_ptr(), transfer_len(owned.buf.bytes_total()));
    Sqe::recv(owned.fd.as_fd().as_raw_fd(), to, len, 0)
}
