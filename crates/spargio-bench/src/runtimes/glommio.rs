//! glommio: an executor per thread, on its own rings.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use glommio::io::{BufferedFile, ReadResult};
use glommio::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use glommio::timer::Timer;
use glommio::{LocalExecutorBuilder, Placement, Task};
use smol::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use super::per_core::{
    Core, CoreDatagram, CoreFile, CoreListener, CoreRead, CoreStream, CoreWrite,
};
use super::{Need, Setup, make_room};
use crate::tied::Tied;

/// One thread of it.
pub(crate) struct Glommio;

impl Core for Glommio {
    type Join<T: 'static> = Task<T>;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type UnixListener = UnixListener;
    type UnixStream = UnixStream;
    type Datagram = UdpSocket;
    type File = BufferedFile;

    fn run<F: Future<Output = ()> + 'static>(
        _setup: &Setup,
        started: impl FnOnce(Result<(), String>) + 'static,
        future: F,
    ) {
        match LocalExecutorBuilder::new(Placement::Unbound).make() {
            Ok(executor) => executor.run(async move {
                started(Ok(()));
                future.await;
            }),
            Err(error) => started(Err(error.to_string())),
        }
    }

    fn lacks(need: Need) -> Option<&'static str> {
        match need {
            Need::Placement | Need::Local | Need::Yield => None,
            Need::Metadata => Some("has metadata of open files only"),
        }
    }

    fn spawn<F: Future + 'static>(future: F) -> Self::Join<F::Output> {
        glommio::spawn_local(future)
    }

    fn detach<F: Future<Output = ()> + 'static>(future: F) {
        drop(glommio::spawn_local(future).detach());
    }

    async fn sleep(duration: Duration) {
        Timer::new(duration).await;
    }

    async fn yield_now() {
        glommio::executor().yield_now().await;
    }

    async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
        Ok(TcpListener::bind(addr)?)
    }

    async fn connect(addr: SocketAddr) -> io::Result<TcpStream> {
        without_delay(TcpStream::connect(addr).await?)
    }

    async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
        Ok(UnixListener::bind(path)?)
    }

    async fn accept_unix(listener: &mut UnixListener) -> io::Result<UnixStream> {
        Ok(listener.accept().await?)
    }

    async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
        Ok(UnixStream::connect(path).await?)
    }

    async fn bind_datagram(addr: SocketAddr) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind(addr)?;
        make_room(socket.as_raw_fd())?;
        Ok(socket)
    }

    async fn open(path: &Path) -> io::Result<BufferedFile> {
        Ok(BufferedFile::open(path).await?)
    }

    async fn metadata(path: &Path) -> io::Result<u64> {
        Err(io::Error::other(format!("no metadata of {}", path.display())))
    }
}

fn without_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl CoreListener for TcpListener {
    type Stream = TcpStream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local_addr()?)
    }

    async fn accept(&mut self) -> io::Result<TcpStream> {
        without_delay(Self::accept(self).await?)
    }
}

impl CoreStream for TcpStream {
    type Reader = ReadHalf<Self>;
    type Writer = WriteHalf<Self>;

    fn split(self) -> (Self::Reader, Self::Writer) {
        smol::io::split(self)
    }
}

impl CoreStream for UnixStream {
    type Reader = ReadHalf<Self>;
    type Writer = WriteHalf<Self>;

    fn split(self) -> (Self::Reader, Self::Writer) {
        smol::io::split(self)
    }
}

/// The same bodies for a whole stream and for its reading half.
macro_rules! read {
    ($name:ty) => {
        impl CoreRead for $name {
            async fn read(&mut self, mut buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
                let capacity = buf.capacity();
                buf.resize(capacity, 0);
                let result = AsyncReadExt::read(self, &mut buf).await;
                buf.truncate(*result.as_ref().unwrap_or(&0));
                (result, buf)
            }

            async fn read_exact(&mut self, mut buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
                (AsyncReadExt::read_exact(self, &mut buf).await, buf)
            }
        }
    };
}

/// The same body for a whole stream and for its writing half.
macro_rules! write {
    ($name:ty) => {
        impl CoreWrite for $name {
            async fn write_all(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
                (AsyncWriteExt::write_all(self, &buf).await, buf)
            }
        }
    };
}

read!(TcpStream);
read!(ReadHalf<TcpStream>);
write!(TcpStream);
write!(WriteHalf<TcpStream>);
read!(UnixStream);
read!(ReadHalf<UnixStream>);
write!(UnixStream);
write!(WriteHalf<UnixStream>);

impl CoreDatagram for UdpSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local_addr()?)
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<()> {
        Ok(self.connect(addr).await?)
    }

    async fn send(&self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        (self.send(&buf).await.map_err(Into::into), buf)
    }

    async fn recv(&self, mut buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let capacity = buf.capacity();
        buf.resize(capacity, 0);
        let result = self.recv(&mut buf).await.map_err(io::Error::from);
        buf.truncate(*result.as_ref().unwrap_or(&0));
        (result, buf)
    }
}

/// glommio reads into buffers of its own: how much is wanted, and what was read.
pub(crate) struct Block {
    length: usize,
    read: Option<Tied<ReadResult>>,
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        self.read.as_ref().map_or(&[], |read| read.get())
    }
}

impl CoreFile for BufferedFile {
    type Block = Block;

    fn block(length: usize) -> Block {
        Block { length, read: None }
    }

    async fn read_at(&self, mut block: Block, offset: u64) -> (io::Result<usize>, Block) {
        match Self::read_at(self, offset, block.length).await {
            Ok(read) => {
                let length = read.len();
                block.read = Some(Tied::new(read));
                (Ok(length), block)
            }
            Err(error) => (Err(error.into()), block),
        }
    }
}
