//! Readers and writers as trait objects.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::{AsyncRead, AsyncWrite};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An [`AsyncRead`] for `dyn`. Every reader is one, and a `Box<dyn DynRead>` is a reader again.
///
/// A read through it costs two allocations more than through the type itself, for the future and
/// for the buffer; bytes are not copied.
///
/// # Examples
///
/// ```
/// use spargio::io::{AsyncReadExt, DynRead, empty};
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let readers: [Box<dyn DynRead>; 2] = [Box::new(&b"bytes"[..]), Box::new(empty())];
/// let mut all = String::new();
/// for mut reader in readers {
///     all += &reader.read_to_string().await?;
/// }
/// assert_eq!(all, "bytes");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub trait DynRead: Send {
    /// As [`AsyncRead::read`], with a buffer whose type is left open.
    ///
    /// # Errors
    ///
    /// As there.
    fn read_dyn(&mut self, buf: AnyBufMut) -> Boxed<'_, BufResult<usize, AnyBufMut>>;
}

impl<R: AsyncRead> DynRead for R {
    fn read_dyn(&mut self, buf: AnyBufMut) -> Boxed<'_, BufResult<usize, AnyBufMut>> {
        Box::pin(self.read(buf))
    }
}

impl AsyncRead for dyn DynRead + '_ {
    async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
        let (read, buf) = self.read_dyn(AnyBufMut(Box::new(buf))).await;
        (read, same(buf.0.into_any()))
    }
}

/// An [`AsyncWrite`] for `dyn`. Every writer is one, and a `Box<dyn DynWrite>` is a writer again.
///
/// A write through it costs two allocations more than through the type itself; bytes are not
/// copied.
///
/// # Examples
///
/// ```
/// use spargio::io::{AsyncWrite, DynWrite, sink};
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let is_quiet = true;
/// let mut log: Box<dyn DynWrite> = if is_quiet { Box::new(sink()) } else { Box::new(Vec::new()) };
/// log.write_all("started\n").await.0?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub trait DynWrite: Send {
    /// As [`AsyncWrite::write`], with a buffer whose type is left open.
    ///
    /// # Errors
    ///
    /// As there.
    fn write_dyn(&mut self, buf: AnyBuf) -> Boxed<'_, BufResult<usize, AnyBuf>>;

    /// As [`AsyncWrite::write_all`], with a buffer whose type is left open.
    ///
    /// # Errors
    ///
    /// As there.
    fn write_all_dyn(&mut self, buf: AnyBuf) -> Boxed<'_, BufResult<(), AnyBuf>>;

    /// As [`AsyncWrite::flush`].
    ///
    /// # Errors
    ///
    /// As there.
    fn flush_dyn(&mut self) -> Boxed<'_, io::Result<()>>;

    /// As [`AsyncWrite::shutdown`].
    ///
    /// # Errors
    ///
    /// As there.
    fn shutdown_dyn(&mut self) -> Boxed<'_, io::Result<()>>;
}

impl<W: AsyncWrite> DynWrite for W {
    fn write_dyn(&mut self, buf: AnyBuf) -> Boxed<'_, BufResult<usize, AnyBuf>> {
        Box::pin(self.write(buf))
    }

    fn write_all_dyn(&mut self, buf: AnyBuf) -> Boxed<'_, BufResult<(), AnyBuf>> {
        Box::pin(self.write_all(buf))
    }

    fn flush_dyn(&mut self) -> Boxed<'_, io::Result<()>> {
        Box::pin(self.flush())
    }

    fn shutdown_dyn(&mut self) -> Boxed<'_, io::Result<()>> {
        Box::pin(self.shutdown())
    }
}

impl AsyncWrite for dyn DynWrite + '_ {
    async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
        let (written, buf) = self.write_dyn(AnyBuf(Box::new(buf))).await;
        (written, same(buf.0.into_any()))
    }

    async fn write_all<B: IoBuf>(&mut self, buf: B) -> BufResult<(), B> {
        let (written, buf) = self.write_all_dyn(AnyBuf(Box::new(buf))).await;
        (written, same(buf.0.into_any()))
    }

    fn flush(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        self.flush_dyn()
    }

    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        self.shutdown_dyn()
    }
}

/// The buffer that was given away, of the type that it had.
///
/// # Panics
///
/// If a [`DynRead`] or [`DynWrite`] of others gives another one back.
fn same<B: 'static>(buf: Box<dyn Any>) -> B {
    match buf.downcast() {
        Ok(buf) => *buf,
        Err(_) => panic!("the operation gave another buffer back than it was given"),
    }
}

trait Erased: IoBuf {
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<B: IoBuf> Erased for B {
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

trait ErasedMut: IoBufMut {
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

impl<B: IoBufMut> ErasedMut for B {
    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// A buffer of any type, to be written from: [`DynWrite`].
pub struct AnyBuf(Box<dyn Erased>);

// SAFETY:
// - O1 to O4 are kept by the buffer in the box, which moves its pointer and not the buffer, and
//   changes it through none of these.
unsafe impl IoBuf for AnyBuf {
    fn stable_ptr(&self) -> *const u8 {
        (*self.0).stable_ptr()
    }

    fn bytes_init(&self) -> usize {
        (*self.0).bytes_init()
    }

    fn bytes_total(&self) -> usize {
        (*self.0).bytes_total()
    }
}

impl fmt::Debug for AnyBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyBuf").field("bytes_init", &self.bytes_init()).finish_non_exhaustive()
    }
}

/// A buffer of any type, to be read into: [`DynRead`].
pub struct AnyBufMut(Box<dyn ErasedMut>);

// SAFETY:
// - O1 to O4 are kept by the buffer in the box, which moves its pointer and not the buffer.
unsafe impl IoBuf for AnyBufMut {
    fn stable_ptr(&self) -> *const u8 {
        (*self.0).stable_ptr()
    }

    fn bytes_init(&self) -> usize {
        (*self.0).bytes_init()
    }

    fn bytes_total(&self) -> usize {
        (*self.0).bytes_total()
    }
}

// SAFETY:
// - O5 to O7 are kept by the buffer in the box.
unsafe impl IoBufMut for AnyBufMut {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        (*self.0).stable_mut_ptr()
    }

    unsafe fn set_init(&mut self, len: usize) {
        // SAFETY: the caller's promise, about the same bytes.
        unsafe { (*self.0).set_init(len) };
    }
}

impl fmt::Debug for AnyBufMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyBufMut")
            .field("bytes_total", &self.bytes_total())
            .finish_non_exhaustive()
    }
}
