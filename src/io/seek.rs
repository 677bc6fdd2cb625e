//! Seeking as a trait: what has a place from which the next read or write goes on.

use std::future::Future;
use std::io::{self, SeekFrom};

/// What can go on reading and writing at another place.
///
/// # Cancel safety
///
/// An implementation stays where it was, or is where it was to go, when the future is dropped.
///
/// # Examples
///
/// A header that is written when the length of the body is known:
///
/// ```
/// use std::io::SeekFrom;
/// use spargio::io::{AsyncSeek, AsyncWrite};
///
/// async fn put_length<W: AsyncWrite + AsyncSeek>(file: &mut W) -> std::io::Result<()> {
///     let end = file.seek(SeekFrom::End(0)).await?;
///     file.seek(SeekFrom::Start(0)).await?;
///     file.write_all(Vec::from((end - 8).to_be_bytes())).await.0
/// }
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// # let path = std::env::temp_dir().join(format!("spargio-doc-seek-{}", std::process::id()));
/// # std::fs::write(&path, [0; 108])?;
/// let file = spargio::fs::OpenOptions::new().write(true).open(&path).await?;
/// put_length(&mut file.cursor()).await?;
/// assert_eq!(std::fs::read(&path)?[..8], 100_u64.to_be_bytes());
/// # std::fs::remove_file(path)?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub trait AsyncSeek: Send {
    /// Goes to a place, and says how many bytes from the start that is.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a place before the start; else those of
    /// what is read or written. Nothing has moved then.
    fn seek(&mut self, to: SeekFrom) -> impl Future<Output = io::Result<u64>> + Send;

    /// Where the next read or write goes on.
    ///
    /// # Errors
    ///
    /// As [`seek`](Self::seek).
    fn stream_position(&mut self) -> impl Future<Output = io::Result<u64>> + Send {
        self.seek(SeekFrom::Current(0))
    }
}

impl<S: AsyncSeek + ?Sized> AsyncSeek for &mut S {
    fn seek(&mut self, to: SeekFrom) -> impl Future<Output = io::Result<u64>> + Send {
        (**self).seek(to)
    }
}

impl<S: AsyncSeek + ?Sized> AsyncSeek for Box<S> {
    fn seek(&mut self, to: SeekFrom) -> impl Future<Output = io::Result<u64>> + Send {
        (**self).seek(to)
    }
}
