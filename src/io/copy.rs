//! From a reader to a writer: until the end, both ways, or to memory.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use crate::buf::IoBuf;
use crate::io::{AsyncRead, AsyncWrite, Duplex};

/// How many bytes are copied at once.
const CHUNK: usize = 64 * 1024;

/// Copies all that comes, up to the end, and says how many bytes that was. The writer is flushed
/// whenever there is nothing to read, and at the end; it is not shut down.
///
/// There is one buffer, of 64 KiB: a reader that is faster than the writer waits for it.
///
/// # Errors
///
/// The first error of the reader or the writer. What was read until then has been written, but for
/// what the writer did not take.
///
/// # Cancel safety
///
/// When the future is dropped, bytes that were read and not yet written are lost.
///
/// # Examples
///
/// ```
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let mut to = Vec::new();
/// assert_eq!(spargio::io::copy(&mut &b"bytes"[..], &mut to).await?, 5);
/// assert_eq!(to, b"bytes");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn copy<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: AsyncRead + ?Sized,
    W: AsyncWrite + ?Sized,
{
    let mut buf = Vec::with_capacity(CHUNK);
    let mut total = 0;
    let mut is_flushed = true;
    loop {
        let read = {
            let mut read = pin!(reader.read(buf.slice(..CHUNK)));
            match poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await {
                Poll::Ready(done) => done,
                Poll::Pending => {
                    if !std::mem::replace(&mut is_flushed, true) {
                        writer.flush().await?;
                    }
                    read.await
                }
            }
        };
        let (result, rest) = read;
        buf = rest.into_inner();
        match result {
            Ok(0) => break,
            Ok(count) => total += count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        let (result, same) = writer.write_all(buf).await;
        result?;
        buf = same;
        buf.clear();
        is_flushed = false;
    }
    writer.flush().await?;
    Ok(total)
}

/// Copies both ways at the same time until both have ended, and says how many bytes went from `a`
/// to `b` and from `b` to `a`.
///
/// When one side ends its direction, the other is told so by
/// [`shutdown`](AsyncWrite::shutdown) once everything has been written to it, and goes on sending
/// as long as it likes.
///
/// # Errors
///
/// The first error of any of the four directions. The other way then ends too, wherever it is.
///
/// # Cancel safety
///
/// When the future is dropped, bytes that were read and not yet written are lost.
///
/// # Examples
///
/// A proxy:
///
/// ```no_run
/// use spargio::net::{TcpListener, TcpStream};
///
/// # async fn example() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:7007").await?;
/// loop {
///     let (mut near, _) = listener.accept().await?;
///     spargio::spawn(async move {
///         let mut far = TcpStream::connect("127.0.0.1:80").await?;
///         spargio::io::copy_bidirectional(&mut near, &mut far).await
///     })?;
/// }
/// # }
/// ```
pub async fn copy_bidirectional<A, B>(a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
where
    A: Duplex + ?Sized,
    B: Duplex + ?Sized,
{
    let (from_a, to_a) = a.halves();
    let (from_b, to_b) = b.halves();
    let mut there = pin!(copy_to_end(from_a, to_b));
    let mut back = pin!(copy_to_end(from_b, to_a));
    let (mut went, mut came) = (None, None);
    poll_fn(|cx| {
        poll_once(&mut went, there.as_mut(), cx)?;
        poll_once(&mut came, back.as_mut(), cx)?;
        match (went, came) {
            (Some(went), Some(came)) => Poll::Ready(Ok((went, came))),
            _ => Poll::Pending,
        }
    })
    .await
}

async fn copy_to_end(mut reader: impl AsyncRead, mut writer: impl AsyncWrite) -> io::Result<u64> {
    let total = copy(&mut reader, &mut writer).await?;
    match writer.shutdown().await {
        // The peer is gone altogether, which the other direction tells.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(total),
        result => result.map(|()| total),
    }
}

/// Polls unless the output is there.
fn poll_once<T, F: Future<Output = io::Result<T>>>(
    output: &mut Option<T>,
    future: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> io::Result<()> {
    if output.is_none()
        && let Poll::Ready(result) = future.poll(cx)
    {
        *output = Some(result?);
    }
    Ok(())
}

/// Appends all that comes, up to the end, to the vector, `chunk` bytes at once at most (1 byte for
/// 0), and says how many bytes that was.
///
/// # Errors
///
/// As [`AsyncRead::read`]; [`OutOfMemory`](io::ErrorKind::OutOfMemory) if there is no room. What
/// was read until then is in the vector.
///
/// # Cancel safety
///
/// What was read when the future is dropped is in the vector, and no byte is lost.
///
/// # Examples
///
/// ```
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let mut to = b"some ".to_vec();
/// assert_eq!(spargio::io::copy_to_vec(&mut &b"bytes"[..], &mut to, 2).await?, 5);
/// assert_eq!(to, b"some bytes");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub async fn copy_to_vec<R>(reader: &mut R, to: &mut Vec<u8>, chunk: usize) -> io::Result<usize>
where
    R: AsyncRead + ?Sized,
{
    let chunk = chunk.max(1);
    let mut piece = Vec::new();
    if piece.try_reserve_exact(chunk).is_err() {
        return Err(no_room(chunk));
    }
    let mut total = 0;
    loop {
        // Before the read, so that nothing is read that there is no room for.
        if to.try_reserve(chunk).is_err() {
            return Err(no_room(chunk));
        }
        let (read, rest) = reader.read(piece.slice(..chunk)).await;
        piece = rest.into_inner();
        match read {
            Ok(0) => return Ok(total),
            Ok(count) => {
                to.append(&mut piece);
                total += count;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn no_room(bytes: usize) -> io::Error {
    let text = format!("no memory for {bytes} bytes to copy");
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}
