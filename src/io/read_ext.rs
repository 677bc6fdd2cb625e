//! What is built of reads.

use std::future::Future;
use std::io;

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::{AsyncRead, Chain, Take};

/// The room that [`AsyncReadExt::read_to_end`] begins with.
const FIRST: usize = 4096;
/// The most by which it lets the room grow at once.
const MOST: usize = 1024 * 1024;

/// What every [`AsyncRead`] can do beside reading once.
pub trait AsyncReadExt: AsyncRead {
    /// As [`AsyncRead::read`], for those who do not want the buffer back with an error.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there: no byte is lost.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::io::AsyncReadExt;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let (count, buf) = (&b"bytes"[..]).read_owned(vec![0; 16]).await?;
    /// assert_eq!(&buf[..count], b"bytes");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    fn read_owned<B: IoBufMut>(
        &mut self,
        buf: B,
    ) -> impl Future<Output = io::Result<(usize, B)>> + Send {
        async move {
            let (read, buf) = self.read(buf).await;
            read.map(|count| (count, buf))
        }
    }

    /// Reads until the buffer is full. To bound it, pass a [slice](IoBuf::slice): a vector's
    /// capacity may be larger than was asked for.
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the end comes first; else as
    /// [`AsyncRead::read`]. The buffer then holds what came before.
    ///
    /// # Cancel safety
    ///
    /// Bytes that are in the buffer when the future is dropped are dropped with it. To wait for a
    /// piece with a time limit, read it from a [`BufReader`](super::BufReader) or a
    /// [`FramedRead`](super::framed::FramedRead), which keep what has come.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::IoBuf;
    /// use spargio::io::AsyncReadExt;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let mut bytes = &b"head and body"[..];
    /// let (read, head) = bytes.read_exact(vec![0; 4].slice(..4)).await;
    /// read?;
    /// assert_eq!(&head[..], b"head");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    fn read_exact<B: IoBufMut>(
        &mut self,
        mut buf: B,
    ) -> impl Future<Output = BufResult<(), B>> + Send {
        async move {
            let total = buf.bytes_total();
            let mut filled = 0;
            while filled < total {
                let (read, rest) = self.read(buf.slice(filled..total)).await;
                buf = rest.into_inner();
                match read {
                    Ok(0) => return (Err(too_short(filled, total)), buf),
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return (Err(error), buf),
                }
            }
            (Ok(()), buf)
        }
    }

    /// As [`read_exact`](Self::read_exact), for those who do not want the buffer back with an
    /// error.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    fn read_exact_owned<B: IoBufMut>(
        &mut self,
        buf: B,
    ) -> impl Future<Output = io::Result<B>> + Send {
        async move {
            let (read, buf) = self.read_exact(buf).await;
            read.map(|()| buf)
        }
    }

    /// Appends all that comes, up to the end, to the vector, and says how much that was.
    ///
    /// There is no limit but memory: of what others send, [`take`](Self::take) as much as there may
    /// be.
    ///
    /// # Errors
    ///
    /// As [`AsyncRead::read`]; [`OutOfMemory`](io::ErrorKind::OutOfMemory) if there is no room for
    /// more. What was read until then is in the vector.
    ///
    /// # Cancel safety
    ///
    /// What was read when the future is dropped is dropped with it.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::io::AsyncReadExt;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let (read, all) = (&b" and more"[..]).read_to_end(b"some".to_vec()).await;
    /// assert_eq!((read?, &all[..]), (9, &b"some and more"[..]));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    fn read_to_end(
        &mut self,
        mut buf: Vec<u8>,
    ) -> impl Future<Output = BufResult<usize, Vec<u8>>> + Send {
        async move {
            let start = buf.len();
            loop {
                let filled = buf.len();
                if filled == buf.capacity() {
                    let more = (filled - start).clamp(FIRST, MOST);
                    if buf.try_reserve(more).is_err() {
                        return (Err(no_room(more, filled - start)), buf);
                    }
                }
                let (read, rest) = self.read(buf.slice(filled..)).await;
                buf = rest.into_inner();
                match read {
                    Ok(0) => return (Ok(buf.len() - start), buf),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return (Err(error), buf),
                }
            }
        }
    }

    /// All that comes, up to the end, as text.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if it is no UTF-8; else as for
    /// [`read_to_end`](Self::read_to_end). What was read is then lost.
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::io::AsyncReadExt;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// assert_eq!((&b"text"[..]).read_to_string().await?, "text");
    /// let wrong = (&b"te\xFFt"[..]).read_to_string().await.unwrap_err();
    /// assert_eq!(wrong.kind(), std::io::ErrorKind::InvalidData);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    fn read_to_string(&mut self) -> impl Future<Output = io::Result<String>> + Send {
        async move {
            let (read, bytes) = self.read_to_end(Vec::new()).await;
            read?;
            text(bytes)
        }
    }

    /// The first `limit` bytes of this, and then an end.
    ///
    /// ```
    /// use spargio::io::AsyncReadExt;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let mut bytes = &b"as long as you like"[..];
    /// assert_eq!(bytes.by_ref().take(7).read_to_string().await?, "as long");
    /// assert_eq!(bytes, b" as you like");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    fn take(self, limit: u64) -> Take<Self>
    where
        Self: Sized,
    {
        Take::new(self, limit)
    }

    /// All of this, and then all of the other.
    ///
    /// ```
    /// use spargio::io::AsyncReadExt;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let both = (&b"first, "[..]).chain(&b"second"[..]).read_to_string().await?;
    /// assert_eq!(both, "first, second");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    fn chain<R: AsyncRead>(self, next: R) -> Chain<Self, R>
    where
        Self: Sized,
    {
        Chain::new(self, next)
    }

    /// The reader by reference: for what takes a reader by value and shall not keep it.
    fn by_ref(&mut self) -> &mut Self
    where
        Self: Sized,
    {
        self
    }
}

impl<R: AsyncRead + ?Sized> AsyncReadExt for R {}

/// The bytes as text.
///
/// # Errors
///
/// `InvalidData` with the place of the first byte that is none.
pub(super) fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        let text = format!("the bytes from {place} on are no UTF-8");
        io::Error::new(io::ErrorKind::InvalidData, text)
    })
}

fn too_short(filled: usize, total: usize) -> io::Error {
    let text = format!("the end came after {filled} of {total} bytes");
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

fn no_room(more: usize, had: usize) -> io::Error {
    let text = format!("no memory for {more} more bytes, after {had}");
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}
