//! Writing as a trait: what bytes go to, from buffers that the operation owns.

use std::future::Future;
use std::io;

use crate::buf::{BufResult, IoBuf};

/// What bytes can be written to, one write after the other.
///
/// The buffer belongs to the write while it is under way and comes back with its result. Futures
/// are `Send`, and so is every writer.
///
/// The trait is not for `dyn`, because writes take any buffer; [`DynWrite`](super::DynWrite) is the
/// form that is.
///
/// # Cancel safety
///
/// When the future of a [`write`](Self::write) is dropped, some of the bytes may have been written,
/// and on streams and pipes none of them is written after those of a later write. How many they
/// were is not known; who must know writes through a [`BufWriter`](super::BufWriter), whose futures
/// may be dropped without harm.
///
/// # Examples
///
/// A writer of one's own, in capitals:
///
/// ```
/// use spargio::io::AsyncWrite;
/// use spargio::{BufResult, IoBuf};
///
/// struct Loud<W>(W);
///
/// impl<W: AsyncWrite> AsyncWrite for Loud<W> {
///     async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
///         let (written, _) = self.0.write(buf.as_init().to_ascii_uppercase()).await;
///         (written, buf)
///     }
///     async fn flush(&mut self) -> std::io::Result<()> {
///         self.0.flush().await
///     }
///     async fn shutdown(&mut self) -> std::io::Result<()> {
///         self.0.shutdown().await
///     }
/// }
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let mut loud = Loud(Vec::new());
/// loud.write_all("hear").await.0?;
/// assert_eq!(loud.0, b"HEAR");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub trait AsyncWrite: Send {
    /// Writes some of the initialised bytes of the buffer, from its start, and says how many: at
    /// least one, unless there is none or no more is taken (`Ok(0)`).
    ///
    /// # Errors
    ///
    /// Those of what is written to. The buffer comes back with every error, and no byte was taken.
    /// After [`Interrupted`](io::ErrorKind::Interrupted) the same write may be tried again.
    fn write<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send;

    /// Writes all initialised bytes of the buffer, with as many writes as it takes.
    ///
    /// # Errors
    ///
    /// [`WriteZero`](io::ErrorKind::WriteZero) if no more is taken; else as [`write`](Self::write).
    /// Some of the bytes may have been written.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, some of the bytes may have been written.
    fn write_all<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<(), B>> + Send {
        async move {
            let (_, result, buf) = write_from(self, buf, 0).await;
            (result, buf)
        }
    }

    /// Writes some of the initialised bytes of one buffer after the other, from the first on, and
    /// says how many: at least one, unless there is none or no more is taken (`Ok(0)`).
    ///
    /// What has no operation for it writes of the first buffer that has bytes, and no further; that
    /// is what this does unless the writer has something better.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write). The buffers come back with every error.
    fn write_vectored<B: IoBuf>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        async move {
            let mut bufs = bufs;
            let Some(at) = bufs.iter().position(|buf| buf.bytes_init() > 0) else {
                return (Ok(0), bufs);
            };
            let last = bufs.len() - 1;
            let (written, buf) = self.write(bufs.swap_remove(at)).await;
            bufs.push(buf);
            bufs.swap(at, last);
            (written, bufs)
        }
    }

    /// Writes all initialised bytes of all buffers, one buffer after the other: each by
    /// [`write_all`](Self::write_all), unless the writer has something better.
    ///
    /// # Errors
    ///
    /// As [`write_all`](Self::write_all).
    ///
    /// # Cancel safety
    ///
    /// As [`write_all`](Self::write_all).
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::io::AsyncWrite;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let mut out = Vec::new();
    /// out.write_all_vectored(vec!["head ", "", "and body"]).await.0?;
    /// assert_eq!(out, b"head and body");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    fn write_all_vectored<B: IoBuf>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<(), Vec<B>>> + Send {
        async move {
            let mut done = Vec::with_capacity(bufs.len());
            let mut left = bufs.into_iter();
            while let Some(buf) = left.next() {
                let (result, buf) = self.write_all(buf).await;
                done.push(buf);
                if result.is_err() {
                    done.extend(left);
                    return (result, done);
                }
            }
            (Ok(()), done)
        }
    }

    /// Waits until what was written is where it is going: nothing is left in buffers of this
    /// program. Devices and peers are another matter.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn flush(&mut self) -> impl Future<Output = io::Result<()>> + Send;

    /// Flushes, and says to the other side that no more comes: a peer reads to the end. Reading
    /// goes on. A second call changes nothing.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> + Send;
}

/// What every [`AsyncWrite`] can do beside.
pub trait AsyncWriteExt: AsyncWrite {
    /// As [`write`](AsyncWrite::write), for those who do not want the buffer back with an error.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    fn write_owned<B: IoBuf>(
        &mut self,
        buf: B,
    ) -> impl Future<Output = io::Result<(usize, B)>> + Send {
        async move {
            let (written, buf) = self.write(buf).await;
            written.map(|count| (count, buf))
        }
    }

    /// As [`write_all`](AsyncWrite::write_all), for those who do not want the buffer back with an
    /// error.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::io::AsyncWriteExt;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let mut out = Vec::new();
    /// let same = out.write_all_owned("bytes").await?;
    /// assert_eq!((&out[..], same), (&b"bytes"[..], "bytes"));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    fn write_all_owned<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = io::Result<B>> + Send {
        async move {
            let (written, buf) = self.write_all(buf).await;
            written.map(|()| buf)
        }
    }

    /// The writer by reference: for what takes a writer by value and shall not keep it.
    fn by_ref(&mut self) -> &mut Self
    where
        Self: Sized,
    {
        self
    }
}

impl<W: AsyncWrite + ?Sized> AsyncWriteExt for W {}

/// Writes the initialised bytes from the `done`th on, and says how many are done in all, whatever
/// the result is.
pub(super) async fn write_from<W: AsyncWrite + ?Sized, B: IoBuf>(
    writer: &mut W,
    mut buf: B,
    mut done: usize,
) -> (usize, io::Result<()>, B) {
    let total = buf.bytes_init();
    while done < total {
        let (written, rest) = writer.write(buf.slice(done..total)).await;
        buf = rest.into_inner();
        match written {
            Ok(0) => {
                let text = format!("no more is taken after {done} of {total} bytes");
                return (done, Err(io::Error::new(io::ErrorKind::WriteZero, text)), buf);
            }
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (done, Err(error), buf),
        }
    }
    (done, Ok(()), buf)
}

impl<W: AsyncWrite + ?Sized> AsyncWrite for &mut W {
    fn write<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        (**self).write(buf)
    }

    fn write_vectored<B: IoBuf>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        (**self).write_vectored(bufs)
    }

    fn write_all<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<(), B>> + Send {
        (**self).write_all(buf)
    }

    fn write_all_vectored<B: IoBuf>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<(), Vec<B>>> + Send {
        (**self).write_all_vectored(bufs)
    }

    fn flush(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        (**self).flush()
    }

    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        (**self).shutdown()
    }
}

impl<W: AsyncWrite + ?Sized> AsyncWrite for Box<W> {
    fn write<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        (**self).write(buf)
    }

    fn write_vectored<B: IoBuf>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        (**self).write_vectored(bufs)
    }

    fn write_all<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<(), B>> + Send {
        (**self).write_all(buf)
    }

    fn write_all_vectored<B: IoBuf>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<(), Vec<B>>> + Send {
        (**self).write_all_vectored(bufs)
    }

    fn flush(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        (**self).flush()
    }

    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        (**self).shutdown()
    }
}
