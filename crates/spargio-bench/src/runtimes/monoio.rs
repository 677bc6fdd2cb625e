//! monoio: a runtime per thread, on io_uring.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use monoio::fs::File;
use monoio::io::{
    AsyncReadRent, AsyncReadRentExt, AsyncWriteRentExt, OwnedReadHalf, OwnedWriteHalf, Splitable,
};
use monoio::net::udp::UdpSocket;
use monoio::net::{ListenerOpts, TcpListener, TcpStream, UnixListener, UnixStream};
use monoio::task::JoinHandle;
use monoio::{IoUringDriver, RuntimeBuilder};

use super::per_core::{
    Core, CoreDatagram, CoreFile, CoreListener, CoreRead, CoreStream, CoreWrite,
};
use super::yielding::Yield;
use super::{Need, Setup, make_room};

/// One thread of it.
pub(crate) struct Monoio;

impl Core for Monoio {
    type Join<T: 'static> = JoinHandle<T>;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type UnixListener = UnixListener;
    type UnixStream = UnixStream;
    type Datagram = UdpSocket;
    type File = File;

    fn run<F: Future<Output = ()> + 'static>(
        _setup: &Setup,
        started: impl FnOnce(Result<(), String>) + 'static,
        future: F,
    ) {
        match RuntimeBuilder::<IoUringDriver>::new().enable_timer().build() {
            Ok(mut runtime) => runtime.block_on(async move {
                started(Ok(()));
                future.await;
            }),
            Err(error) => started(Err(error.to_string())),
        }
    }

    fn lacks(need: Need) -> Option<&'static str> {
        match need {
            Need::Placement | Need::Local | Need::Metadata => None,
            Need::Yield => Some("polls a task that wakes itself again before all others"),
        }
    }

    fn spawn<F: Future + 'static>(future: F) -> Self::Join<F::Output> {
        monoio::spawn(future)
    }

    fn detach<F: Future<Output = ()> + 'static>(future: F) {
        drop(monoio::spawn(future));
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> {
        monoio::time::sleep(duration)
    }

    fn yield_now() -> impl Future<Output = ()> {
        Yield::default()
    }

    async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(addr)
    }

    async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
        without_delay(TcpStream::connect_addr(addr).await?)
    }

    async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
        // Its default asks for `SO_REUSEPORT`, which newer kernels refuse for Unix sockets.
        UnixListener::bind_with_config(path, &ListenerOpts::new().reuse_port(false))
    }

    async fn accept_unix(listener: &mut UnixListener) -> io::Result<UnixStream> {
        let (stream, _peer) = listener.accept().await?;
        Ok(stream)
    }

    async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
        UnixStream::connect(path).await
    }

    async fn bind_datagram(addr: SocketAddr) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind(addr)?;
        make_room(socket.as_raw_fd())?;
        Ok(socket)
    }

    async fn open(path: &Path) -> io::Result<File> {
        File::open(path).await
    }

    async fn metadata(path: &Path) -> io::Result<u64> {
        Ok(monoio::fs::metadata(path).await?.len())
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

impl CoreStream for TcpStream {
    type Reader = OwnedReadHalf<Self>;
    type Writer = OwnedWriteHalf<Self>;

    fn split(self) -> (Self::Reader, Self::Writer) {
        self.into_split()
    }
}

impl CoreStream for UnixStream {
    type Reader = OwnedReadHalf<Self>;
    type Writer = OwnedWriteHalf<Self>;

    fn split(self) -> (Self::Reader, Self::Writer) {
        self.into_split()
    }
}

/// The same bodies for a whole stream and for its reading half.
macro_rules! read {
    ($name:ty) => {
        impl CoreRead for $name {
            async fn read(&mut self, mut buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
                buf.clear();
                AsyncReadRent::read(self, buf).await
            }

            async fn read_exact(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
                let (result, buf) = AsyncReadRentExt::read_exact(self, buf).await;
                (result.map(drop), buf)
            }
        }
    };
}

/// The same body for a whole stream and for its writing half.
macro_rules! write {
    ($name:ty) => {
        impl CoreWrite for $name {
            async fn write_all(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
                let (result, buf) = AsyncWriteRentExt::write_all(self, buf).await;
                (result.map(drop), buf)
            }
        }
    };
}

read!(TcpStream);
read!(OwnedReadHalf<TcpStream>);
write!(TcpStream);
write!(OwnedWriteHalf<TcpStream>);
read!(UnixStream);
read!(OwnedReadHalf<UnixStream>);
write!(UnixStream);
write!(OwnedWriteHalf<UnixStream>);

impl CoreDatagram for UdpSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<()> {
        self.connect(addr).await
    }

    async fn send(&self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        self.send(buf).await
    }

    async fn recv(&self, mut buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        buf.clear();
        self.recv(buf).await
    }
}

impl CoreFile for File {
    type Block = Vec<u8>;

    fn block(length: usize) -> Vec<u8> {
        Vec::with_capacity(length)
    }

    async fn read_at(&self, block: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        Self::read_at(self, block, offset).await
    }
}
