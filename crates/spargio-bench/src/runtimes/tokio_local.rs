//! tokio as thread-per-core: a runtime of one thread on each, with a `LocalSet`.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream, unix};
use tokio::task::{JoinHandle, LocalSet};

use super::join::Returns;
use super::per_core::{
    Core, CoreDatagram, CoreFile, CoreListener, CoreRead, CoreStream, CoreWrite,
};
use super::tokio::{self as multi, SharedFile};
use super::{Datagram, File, Need, Read, Setup, Write};

/// One thread of it.
pub(crate) struct TokioLocal;

impl Core for TokioLocal {
    type Join<T: 'static> = Returns<JoinHandle<T>>;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type UnixListener = UnixListener;
    type UnixStream = UnixStream;
    type Datagram = UdpSocket;
    type File = SharedFile;

    fn run<F: Future<Output = ()> + 'static>(
        _setup: &Setup,
        started: impl FnOnce(Result<(), String>) + 'static,
        future: F,
    ) {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => LocalSet::new().block_on(&runtime, async move {
                started(Ok(()));
                future.await;
            }),
            Err(error) => started(Err(error.to_string())),
        }
    }

    fn lacks(need: Need) -> Option<&'static str> {
        match need {
            Need::Placement | Need::Local | Need::Metadata | Need::Yield => None,
        }
    }

    fn spawn<F: Future + 'static>(future: F) -> Self::Join<F::Output> {
        Returns(tokio::task::spawn_local(future))
    }

    fn detach<F: Future<Output = ()> + 'static>(future: F) {
        drop(tokio::task::spawn_local(future));
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        tokio::time::sleep(duration)
    }

    fn yield_now() -> impl Future<Output = ()> {
        tokio::task::yield_now()
    }

    async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(addr).await
    }

    async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
        multi::without_delay(TcpStream::connect(addr).await?)
    }

    async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
        UnixListener::bind(path)
    }

    async fn accept_unix(listener: &mut UnixListener) -> io::Result<UnixStream> {
        let (stream, _peer) = listener.accept().await?;
        Ok(stream)
    }

    async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
        UnixStream::connect(path).await
    }

    async fn bind_datagram(addr: SocketAddr) -> io::Result<UdpSocket> {
        multi::bind_datagram(addr).await
    }

    async fn open(path: &Path) -> io::Result<SharedFile> {
        multi::open(path).await
    }

    async fn metadata(path: &Path) -> io::Result<u64> {
        multi::metadata(path).await
    }
}

impl CoreListener for TcpListener {
    type Stream = TcpStream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _peer) = Self::accept(self).await?;
        multi::without_delay(stream)
    }
}

impl CoreStream for TcpStream {
    type Reader = OwnedReadHalf;
    type Writer = OwnedWriteHalf;

    fn split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        self.into_split()
    }
}

impl CoreStream for UnixStream {
    type Reader = unix::OwnedReadHalf;
    type Writer = unix::OwnedWriteHalf;

    fn split(self) -> (unix::OwnedReadHalf, unix::OwnedWriteHalf) {
        self.into_split()
    }
}

/// What can be read with several threads can be read with one.
macro_rules! read {
    ($name:ty) => {
        impl CoreRead for $name {
            async fn read(&mut self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
                Read::read(self, buf).await
            }

            async fn read_exact(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
                Read::read_exact(self, buf).await
            }
        }
    };
}

/// The same for writing.
macro_rules! write {
    ($name:ty) => {
        impl CoreWrite for $name {
            async fn write_all(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
                Write::write_all(self, buf).await
            }
        }
    };
}

read!(TcpStream);
read!(OwnedReadHalf);
write!(TcpStream);
write!(OwnedWriteHalf);
read!(UnixStream);
read!(unix::OwnedReadHalf);
write!(UnixStream);
write!(unix::OwnedWriteHalf);

impl CoreDatagram for UdpSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<()> {
        self.connect(addr).await
    }

    async fn send(&self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        Datagram::send(self, buf).await
    }

    async fn recv(&self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        Datagram::recv(self, buf).await
    }
}

impl CoreFile for SharedFile {
    type Block = Vec<u8>;

    fn block(length: usize) -> Vec<u8> {
        <Self as File>::block(length)
    }

    async fn read_at(&self, block: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        File::read_at(self, block, offset).await
    }
}
