//! tokio with several threads that steal from each other, and its blocking pool for files.

use std::fs;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream, unix};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::join::Returns;
use super::{
    Datagram, File, Listener, Need, Read, Receiver, Runtime, Sender, Setup, Stop, Stream, Write,
    make_room,
};

/// A handle of the runtime.
#[derive(Clone)]
pub(crate) struct Tokio {
    handle: Handle,
    threads: usize,
}

impl Runtime for Tokio {
    type Join<T: Send + 'static> = Returns<JoinHandle<T>>;
    type LocalJoin<T: 'static> = std::future::Pending<T>;
    type Sender<T: Send + 'static> = mpsc::UnboundedSender<T>;
    type Receiver<T: Send + 'static> = mpsc::UnboundedReceiver<T>;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type UnixListener = UnixListener;
    type UnixStream = UnixStream;
    type Datagram = UdpSocket;
    type File = SharedFile;

    fn start(setup: &Setup) -> Result<(Self, Stop), String> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(setup.threads).enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let tokio = Self { handle: runtime.handle().clone(), threads: setup.threads };
        Ok((tokio, Box::new(move || drop(runtime))))
    }

    fn lacks(need: Need) -> Option<&'static str> {
        match need {
            Need::Placement => Some("cannot bind a task to a worker; see tokio-local"),
            Need::Local => Some("has local tasks in a LocalSet only; see tokio-local"),
            Need::Metadata | Need::Yield => None,
        }
    }

    fn threads(&self) -> usize {
        self.threads
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }

    fn spawn<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Returns(tokio::spawn(future))
    }

    fn spread<F>(&self, _turn: usize, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn(future)
    }

    fn spawn_on<F>(&self, thread: usize, _future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        panic!("no task can be bound to worker {thread}")
    }

    fn spawn_local<F>(&self, _future: F) -> Self::LocalJoin<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        panic!("no task can be bound to a worker")
    }

    fn channel<T: Send + 'static>(_limit: Option<usize>) -> (Self::Sender<T>, Self::Receiver<T>) {
        mpsc::unbounded_channel()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }

    fn yield_now(&self) -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
    }

    async fn bind(&self, addr: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(addr).await
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<TcpStream> {
        without_delay(TcpStream::connect(addr).await?)
    }

    async fn bind_unix(&self, path: &Path) -> io::Result<UnixListener> {
        UnixListener::bind(path)
    }

    async fn accept_unix(&self, listener: &mut UnixListener) -> io::Result<UnixStream> {
        let (stream, _peer) = listener.accept().await?;
        Ok(stream)
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<UnixStream> {
        UnixStream::connect(path).await
    }

    async fn bind_datagram(&self, addr: SocketAddr) -> io::Result<UdpSocket> {
        bind_datagram(addr).await
    }

    async fn open(&self, path: &Path) -> io::Result<SharedFile> {
        open(path).await
    }

    async fn metadata(&self, path: &Path) -> io::Result<u64> {
        metadata(path).await
    }
}

pub(super) async fn bind_datagram(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(addr).await?;
    make_room(socket.as_raw_fd())?;
    Ok(socket)
}

pub(super) async fn open(path: &Path) -> io::Result<SharedFile> {
    let file = tokio::fs::File::open(path).await?;
    Ok(SharedFile(Arc::new(file.into_std().await)))
}

pub(super) async fn metadata(path: &Path) -> io::Result<u64> {
    Ok(tokio::fs::metadata(path).await?.len())
}

pub(super) fn without_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl<T: Send + 'static> Sender<T> for mpsc::UnboundedSender<T> {
    fn send(&self, value: T) {
        assert!(Self::send(self, value).is_ok(), "the receiver is gone");
    }
}

impl<T: Send + 'static> Receiver<T> for mpsc::UnboundedReceiver<T> {
    async fn receive(&mut self) -> Option<T> {
        self.recv().await
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _peer) = Self::accept(self).await?;
        without_delay(stream)
    }
}

impl Stream for TcpStream {
    type Reader = OwnedReadHalf;
    type Writer = OwnedWriteHalf;

    fn split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        self.into_split()
    }
}

impl Stream for UnixStream {
    type Reader = unix::OwnedReadHalf;
    type Writer = unix::OwnedWriteHalf;

    fn split(self) -> (unix::OwnedReadHalf, unix::OwnedWriteHalf) {
        self.into_split()
    }
}

/// The same bodies for a whole stream and for its reading half.
macro_rules! read {
    ($name:ty) => {
        impl Read for $name {
            async fn read(&mut self, mut buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
                buf.clear();
                (self.read_buf(&mut buf).await, buf)
            }

            async fn read_exact(&mut self, mut buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
                let result = AsyncReadExt::read_exact(self, &mut buf).await;
                (result.map(drop), buf)
            }
        }
    };
}

/// The same body for a whole stream and for its writing half.
macro_rules! write {
    ($name:ty) => {
        impl Write for $name {
            async fn write_all(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
                (AsyncWriteExt::write_all(self, &buf).await, buf)
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

impl Datagram for UdpSocket {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<()> {
        self.connect(addr).await
    }

    async fn send(&self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        (self.send(&buf).await, buf)
    }

    async fn recv(&self, mut buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        buf.clear();
        (self.recv_buf(&mut buf).await, buf)
    }
}

/// A file that the blocking pool reads: tokio has no reads at an offset of its own, and this is how
/// they are written with it.
#[derive(Clone)]
pub(crate) struct SharedFile(Arc<fs::File>);

impl File for SharedFile {
    type Block = Vec<u8>;

    fn block(length: usize) -> Vec<u8> {
        vec![0; length]
    }

    async fn read_at(&self, mut block: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        let file = Arc::clone(&self.0);
        let read = spawn_blocking(move || (file.read_at(&mut block, offset), block));
        read.await.expect("the closure returns")
    }
}
