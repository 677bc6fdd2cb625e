//! compio: a runtime per thread, with its default rings or with rings tuned for one thread each.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use compio::buf::BufResult;
use compio::driver::ProactorBuilder;
use compio::fs::File;
use compio::io::{AsyncRead, AsyncReadAt, AsyncReadExt, AsyncWriteExt};
use compio::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use compio::runtime::{JoinHandle, RuntimeBuilder};

use super::join::Returns;
use super::per_core::{
    Core, CoreDatagram, CoreFile, CoreListener, CoreRead, CoreStream, CoreWrite,
};
use super::yielding::Yield;
use super::{Need, Setup, Variant, make_room};

/// One thread of it.
pub(crate) struct Compio;

impl Core for Compio {
    type Join<T: 'static> = Returns<JoinHandle<T>>;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type UnixListener = UnixListener;
    type UnixStream = UnixStream;
    type Datagram = UdpSocket;
    type File = File;

    fn run<F: Future<Output = ()> + 'static>(
        setup: &Setup,
        started: impl FnOnce(Result<(), String>) + 'static,
        future: F,
    ) {
        let mut rings = ProactorBuilder::new();
        if setup.variant == Variant::TunedRings {
            rings.single_issuer(true).defer_taskrun(true).taskrun_flag(true);
        }
        match RuntimeBuilder::new().with_proactor(rings).build() {
            Ok(runtime) => runtime.block_on(async move {
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
        Returns(compio::runtime::spawn(future))
    }

    fn detach<F: Future<Output = ()> + 'static>(future: F) {
        compio::runtime::spawn(future).detach();
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        compio::time::sleep(duration)
    }

    fn yield_now() -> impl Future<Output = ()> {
        Yield::default()
    }

    async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(addr).await
    }

    async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
        without_delay(TcpStream::connect(addr).await?)
    }

    async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
        UnixListener::bind(path).await
    }

    async fn accept_unix(listener: &mut UnixListener) -> io::Result<UnixStream> {
        let (stream, _peer) = listener.accept().await?;
        Ok(stream)
    }

    async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
        UnixStream::connect(path).await
    }

    async fn bind_datagram(addr: SocketAddr) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind(addr).await?;
        make_room(socket.as_raw_fd())?;
        Ok(socket)
    }

    async fn open(path: &Path) -> io::Result<File> {
        File::open(path).await
    }

    async fn metadata(path: &Path) -> io::Result<u64> {
        Ok(compio::fs::metadata(path).await?.len())
    }
}

fn without_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl CoreListener for TcpListener {
    type Stream = TcpStream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _peer) = Self::accept(self).await?;
        without_delay(stream)
    }
}

/// The same bodies for both kinds of streams.
macro_rules! stream {
    ($name:ty) => {
        impl CoreStream for $name {
            type Reader = Self;
            type Writer = Self;

            fn split(self) -> (Self, Self) {
                self.into_split()
            }
        }

        impl CoreRead for $name {
            async fn read(&mut self, mut buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
                buf.clear();
                let BufResult(result, buf) = AsyncRead::read(self, buf).await;
                (result, buf)
            }

            async fn read_exact(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
                let BufResult(result, buf) = AsyncReadExt::read_exact(self, buf).await;
                (result, buf)
            }
        }

        impl CoreWrite for $name {
            async fn write_all(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
                let BufResult(result, buf) = AsyncWriteExt::write_all(self, buf).await;
                (result, buf)
            }
        }
    };
}

stream!(TcpStream);
stream!(UnixStream);

impl CoreDatagram for UdpSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<()> {
        self.connect(addr).await
    }

    async fn send(&self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let BufResult(result, buf) = self.send(buf).await;
        (result, buf)
    }

    async fn recv(&self, mut buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        buf.clear();
        let BufResult(result, buf) = self.recv(buf).await;
        (result, buf)
    }
}

impl CoreFile for File {
    type Block = Vec<u8>;

    fn block(length: usize) -> Vec<u8> {
        Vec::with_capacity(length)
    }

    async fn read_at(&self, block: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        let BufResult(result, block) = AsyncReadAt::read_at(self, block, offset).await;
        (result, block)
    }
}
