//! Reading as a trait: what bytes come from, with buffers that the operation owns.

use std::future::Future;

use crate::buf::{BufResult, IoBufMut};

/// What bytes can be read from, one read after the other.
///
/// The buffer belongs to the read while it is under way and comes back with its result, so that the
/// kernel can write to it. Futures are `Send`, and so is every reader: a task that reads may be
/// stolen between two polls.
///
/// The trait is not for `dyn`, because reads take any buffer; [`DynRead`](super::DynRead) is the
/// form that is. What is built of reads is in [`AsyncReadExt`](super::AsyncReadExt).
///
/// # Cancel safety
///
/// An implementation loses no byte when the future of a [`read`](Self::read) is dropped: the next
/// read returns what the dropped one would have. Everything in this module relies on that.
///
/// # Examples
///
/// A reader of one's own, which counts what comes through:
///
/// ```
/// use spargio::io::{AsyncRead, AsyncReadExt};
/// use spargio::{BufResult, IoBufMut};
///
/// struct Counted<R>(R, u64);
///
/// impl<R: AsyncRead> AsyncRead for Counted<R> {
///     async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
///         let (read, buf) = self.0.read(buf).await;
///         if let Ok(count) = read {
///             self.1 += count as u64;
///         }
///         (read, buf)
///     }
/// }
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let mut counted = Counted(&b"some bytes"[..], 0);
/// assert_eq!(counted.read_to_string().await?, "some bytes");
/// assert_eq!(counted.1, 10);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub trait AsyncRead: Send {
    /// Reads some bytes to the start of the buffer: at least one and at most what it has
    /// [room](crate::IoBuf::bytes_total) for. `Ok(0)` is the end, or the answer to a buffer without
    /// room.
    ///
    /// # Errors
    ///
    /// Those of what is read from. The buffer comes back with every error, and no byte was taken.
    /// After [`Interrupted`](std::io::ErrorKind::Interrupted) the same read may be tried again, and
    /// all that is built of reads does so.
    fn read<B: IoBufMut>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send;

    /// Reads some bytes to one buffer after the other, each from its start. How far they reach the
    /// count says; what the buffers behind that contain means nothing. `Ok(0)` is the end, or the
    /// answer to buffers without room.
    ///
    /// What has no operation for it reads to the first buffer that has room, and no further; that
    /// is what this does unless the reader has something better.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read). The buffers come back with every error.
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
    fn read_vectored<B: IoBufMut>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        read_first(self, bufs)
    }
}

/// Reads to the first of the buffers that has room.
pub(crate) async fn read_first<R, B>(reader: &mut R, mut bufs: Vec<B>) -> BufResult<usize, Vec<B>>
where
    R: AsyncRead + ?Sized,
    B: IoBufMut,
{
    let Some(at) = bufs.iter().position(|buf| buf.bytes_total() > 0) else {
        return (Ok(0), bufs);
    };
    let last = bufs.len() - 1;
    let (read, buf) = reader.read(bufs.swap_remove(at)).await;
    bufs.push(buf);
    bufs.swap(at, last);
    (read, bufs)
}

impl<R: AsyncRead + ?Sized> AsyncRead for &mut R {
    fn read<B: IoBufMut>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        (**self).read(buf)
    }

    fn read_vectored<B: IoBufMut>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        (**self).read_vectored(bufs)
    }
}

impl<R: AsyncRead + ?Sized> AsyncRead for Box<R> {
    fn read<B: IoBufMut>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        (**self).read(buf)
    }

    fn read_vectored<B: IoBufMut>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        (**self).read_vectored(bufs)
    }
}
