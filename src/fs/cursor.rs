//! A file with a cursor.

use std::fmt;
use std::io::{self, SeekFrom};

use crate::buf::{BufResult, BufResultExt, IoBuf, IoBufMut};
use crate::fs::{File, whole};

/// A [`File`] with a place in it, where the next read or write begins and which it moves.
///
/// The cursor is this value's own, not the descriptor's: two cursors on clones of one file do not
/// disturb each other. On pipes, terminals and other files without offsets it counts what went
/// through.
///
/// ```
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// use spargio::fs::File;
/// let mut status = File::open("/proc/self/status").await?.cursor();
/// let (read, name) = status.read(vec![0; 5]).await;
/// assert_eq!(&name[..read?], b"Name:");
/// let (rest, _) = status.read_to_end(Vec::new()).await;
/// assert!(rest? > 0);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct FileCursor {
    file: File,
    position: u64,
}

impl File {
    /// The file with a cursor, which is at its start.
    pub fn cursor(self) -> FileCursor {
        FileCursor { file: self, position: 0 }
    }
}

impl FileCursor {
    /// The file, without the cursor.
    pub fn into_inner(self) -> File {
        self.file
    }

    /// The file, for operations at an offset.
    pub fn get_ref(&self) -> &File {
        &self.file
    }

    /// Where the next read or write begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Moves the cursor, and says where it is then. Only [`SeekFrom::End`] asks the system.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a place before the start or beyond
    /// `u64::MAX`; the cursor then stays. Those of [`File::metadata`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the cursor where it was.
    pub async fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, distance) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::Current(distance) => (self.position, distance),
            SeekFrom::End(distance) => (self.file.metadata().await?.len(), distance),
        };
        self.position = base.checked_add_signed(distance).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{distance} bytes from {base} on is no place in a file"),
            )
        })?;
        Ok(self.position)
    }

    /// As [`File::read_at`], at the cursor.
    ///
    /// # Errors
    ///
    /// As there; the cursor then stays.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the cursor where it was, so that nothing of a file is lost; what
    /// was read of a pipe or a terminal is.
    pub async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
        let done = self.file.read_at(buf, self.position).await;
        self.moved(done)
    }

    /// As [`File::write_at`], at the cursor.
    ///
    /// # Errors
    ///
    /// As there; the cursor then stays.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the cursor where it was; the write may have been carried out.
    pub async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
        let done = self.file.write_at(buf, self.position).await;
        self.moved(done)
    }

    /// As [`File::read_vectored_at`], at the cursor.
    ///
    /// # Errors
    ///
    /// As there; the cursor then stays.
    ///
    /// # Cancel safety
    ///
    /// As for [`read`](Self::read).
    pub async fn read_vectored<B: IoBufMut>(&mut self, bufs: Vec<B>) -> BufResult<usize, Vec<B>> {
        let done = self.file.read_vectored_at(bufs, self.position).await;
        self.moved(done)
    }

    /// As [`File::write_vectored_at`], at the cursor.
    ///
    /// # Errors
    ///
    /// As there; the cursor then stays.
    ///
    /// # Cancel safety
    ///
    /// As for [`write`](Self::write).
    pub async fn write_vectored<B: IoBuf>(&mut self, bufs: Vec<B>) -> BufResult<usize, Vec<B>> {
        let done = self.file.write_vectored_at(bufs, self.position).await;
        self.moved(done)
    }

    /// As [`File::read_exact_at`], at the cursor, which moves only when all was read.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As for [`read`](Self::read).
    pub async fn read_exact<B: IoBufMut>(&mut self, buf: B) -> BufResult<(), B> {
        let total = buf.bytes_total();
        let (result, buf) = self.file.read_exact_at(buf, self.position).await;
        self.moved((result.map(|()| total), buf)).map_value(drop)
    }

    /// As [`File::write_all_at`], at the cursor, which moves only when all was written.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As for [`write`](Self::write).
    pub async fn write_all<B: IoBuf>(&mut self, buf: B) -> BufResult<(), B> {
        let total = buf.bytes_init();
        let (result, buf) = self.file.write_all_at(buf, self.position).await;
        self.moved((result.map(|()| total), buf)).map_value(drop)
    }

    /// Appends to the vector what the file has from the cursor on, and says how much that was.
    ///
    /// # Errors
    ///
    /// As for [`File::read_to_end_at`]; what was read until then is in the vector, and the cursor
    /// stays.
    ///
    /// # Cancel safety
    ///
    /// As for [`read`](Self::read).
    pub async fn read_to_end(&mut self, buf: Vec<u8>) -> BufResult<usize, Vec<u8>> {
        let done = self.file.read_to_end_at(buf, self.position).await;
        self.moved(done)
    }

    /// What the file has from the cursor on, as text.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if it is no UTF-8; else as for
    /// [`read_to_end`](Self::read_to_end). The cursor then stays.
    ///
    /// # Cancel safety
    ///
    /// As for [`read`](Self::read).
    pub async fn read_to_string(&mut self) -> io::Result<String> {
        let (read, bytes) = self.file.read_to_end_at(Vec::new(), self.position).await;
        let count = read?;
        let text = whole::text(bytes)?;
        self.position += count as u64;
        Ok(text)
    }

    fn moved<B>(&mut self, (result, buf): BufResult<usize, B>) -> BufResult<usize, B> {
        if let Ok(count) = result {
            self.position += count as u64;
        }
        (result, buf)
    }
}

impl fmt::Debug for FileCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCursor")
            .field("file", &self.file)
            .field("position", &self.position)
            .finish()
    }
}
