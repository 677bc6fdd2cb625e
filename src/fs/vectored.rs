//! Several buffers at once.

use std::io;

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::fs::{File, checked_offset, whole};
use crate::op::Op;
use crate::op::vectored::{ReadVectoredAt, WriteVectoredAt};
use crate::primitive::Arc;

impl File {
    /// Reads at `offset` into one buffer after the other, each from its start, and says how many
    /// bytes were read. Of more than 1024 buffers only the first 1024 are filled.
    ///
    /// # Errors
    ///
    /// As for [`read_at`](Self::read_at). The buffers come back with every error.
    ///
    /// # Cancel safety
    ///
    /// As for [`read_at`](Self::read_at).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> std::io::Result<()> {
    /// let file = spargio::fs::File::open("data").await?;
    /// let (read, bufs) = file.read_vectored_at(vec![vec![0; 16], vec![0; 4096]], 0).await;
    /// println!("{} bytes, the first of them {:?}", read?, bufs[0]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_vectored_at<B: IoBufMut>(
        &self,
        bufs: Vec<B>,
        offset: u64,
    ) -> BufResult<usize, Vec<B>> {
        match checked_offset(offset) {
            Err(error) => (Err(error), bufs),
            Ok(_) if bufs.iter().all(|buf| buf.bytes_total() == 0) => (Ok(0), bufs),
            Ok(offset) => {
                let read = ReadVectoredAt::new(Arc::clone(&self.shared), bufs, offset);
                Op::new(read, self.shared.fd.lane()).await
            }
        }
    }

    /// Writes the initialised bytes of one buffer after the other at `offset`, and says how many
    /// were written. Of more than 1024 buffers only the first 1024 are written.
    ///
    /// # Errors
    ///
    /// As for [`write_at`](Self::write_at). The buffers come back with every error.
    ///
    /// # Cancel safety
    ///
    /// As for [`write_at`](Self::write_at).
    pub async fn write_vectored_at<B: IoBuf>(
        &self,
        bufs: Vec<B>,
        offset: u64,
    ) -> BufResult<usize, Vec<B>> {
        match checked_offset(offset) {
            Err(error) => (Err(error), bufs),
            Ok(_) if bufs.iter().all(|buf| buf.bytes_init() == 0) => (Ok(0), bufs),
            Ok(offset) => {
                let write = WriteVectoredAt::new(Arc::clone(&self.shared), bufs, offset);
                Op::new(write, self.shared.fd.lane()).await
            }
        }
    }

    /// Appends to the vector what the file has from `offset` on, to its real end, and says how
    /// much that was. What the file says of its length is only a guess for the room: files in
    /// `/proc` say 0. With direct I/O it reads whole blocks to memory of its own and copies.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`](io::ErrorKind::OutOfMemory) if there is no room for it; else as for
    /// [`read_at`](Self::read_at). What was read until then is in the vector.
    ///
    /// # Cancel safety
    ///
    /// As for [`read_at`](Self::read_at).
    pub async fn read_to_end_at(&self, buf: Vec<u8>, offset: u64) -> BufResult<usize, Vec<u8>> {
        whole::read_to_end_at(self, buf, offset).await
    }

    /// What the file has from `offset` on, as text.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) if it is no UTF-8; else as for
    /// [`read_to_end_at`](Self::read_to_end_at).
    ///
    /// # Cancel safety
    ///
    /// As for [`read_at`](Self::read_at).
    pub async fn read_to_string_at(&self, offset: u64) -> io::Result<String> {
        let (read, bytes) = whole::read_to_end_at(self, Vec::new(), offset).await;
        read?;
        whole::text(bytes)
    }
}
