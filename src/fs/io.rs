//! Files with a cursor as the readers and writers of `io`.

use std::future::Future;
use std::io::{self, SeekFrom};

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::fs::FileCursor;
use crate::io::{AsyncRead, AsyncSeek, AsyncWrite};

/// Of files that have offsets. What a dropped read had read of a pipe or a terminal is lost.
impl AsyncRead for FileCursor {
    fn read<B: IoBufMut>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        Self::read(self, buf)
    }

    fn read_vectored<B: IoBufMut>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        Self::read_vectored(self, bufs)
    }
}

/// Flushing and shutting down do nothing: what was written is the kernel's.
/// [`File::sync_all`](crate::fs::File::sync_all) is what brings it to the device.
///
/// A dropped write leaves the cursor where it was, so the next one goes to the same place. If the
/// kernel has begun the first, it may write both at the same time: write through a
/// [`BufWriter`](crate::io::BufWriter) where futures are dropped, which ends the one before it
/// begins the next.
impl AsyncWrite for FileCursor {
    fn write<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        Self::write(self, buf)
    }

    fn write_vectored<B: IoBuf>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        Self::write_vectored(self, bufs)
    }

    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncSeek for FileCursor {
    fn seek(&mut self, to: SeekFrom) -> impl Future<Output = io::Result<u64>> + Send {
        Self::seek(self, to)
    }
}
