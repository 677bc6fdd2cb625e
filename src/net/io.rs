//! Streams as the readers and writers of `io`.

use std::future::Future;
use std::io;
use std::net::Shutdown;

use crate::buf::{BufResult, BufResultExt, IoBuf, IoBufMut};
use crate::io::{AsyncRead, AsyncWrite, Duplex, ReadHalf, WriteHalf, split};
use crate::net::family::Family;
use crate::net::stream::Stream;

impl<F: Family> Stream<F> {
    /// The two directions as two values, for two tasks: see [`split`].
    pub fn into_split(self) -> (ReadHalf<Self>, WriteHalf<Self>) {
        split(self)
    }
}

impl<F: Family> AsyncRead for Stream<F> {
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

impl<F: Family> AsyncRead for &Stream<F> {
    fn read<B: IoBufMut>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        Stream::read(self, buf)
    }

    fn read_vectored<B: IoBufMut>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        Stream::read_vectored(self, bufs)
    }
}

impl<F: Family> AsyncWrite for Stream<F> {
    fn write<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        Self::write(self, buf)
    }

    fn write_vectored<B: IoBuf>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        Self::write_vectored(self, bufs)
    }

    fn write_all<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<(), B>> + Send {
        Self::write_all(self, buf)
    }

    async fn write_all_vectored<B: IoBuf>(&mut self, bufs: Vec<B>) -> BufResult<(), Vec<B>> {
        Self::send_all_batch(self, bufs, usize::MAX).await.map_value(drop)
    }

    /// Nothing: what was written is the kernel's.
    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        Self::shutdown(self, Shutdown::Write)
    }
}

impl<F: Family> AsyncWrite for &Stream<F> {
    fn write<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<usize, B>> + Send {
        Stream::write(self, buf)
    }

    fn write_vectored<B: IoBuf>(
        &mut self,
        bufs: Vec<B>,
    ) -> impl Future<Output = BufResult<usize, Vec<B>>> + Send {
        Stream::write_vectored(self, bufs)
    }

    fn write_all<B: IoBuf>(&mut self, buf: B) -> impl Future<Output = BufResult<(), B>> + Send {
        Stream::write_all(self, buf)
    }

    async fn write_all_vectored<B: IoBuf>(&mut self, bufs: Vec<B>) -> BufResult<(), Vec<B>> {
        Stream::send_all_batch(self, bufs, usize::MAX).await.map_value(drop)
    }

    /// Nothing: what was written is the kernel's.
    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        Stream::shutdown(self, Shutdown::Write)
    }
}

impl<F: Family> Duplex for Stream<F> {
    fn halves(&mut self) -> (impl AsyncRead, impl AsyncWrite) {
        (&*self, &*self)
    }
}
