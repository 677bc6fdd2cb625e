//! The last published spargio, with the settings that its own benchmarks use.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use spargio_published::fs::File as PublishedFile;
use spargio_published::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use spargio_published::{JoinHandle, LocalJoinHandle, RuntimeHandle, ShardCtx};

use super::join::Returns;
use super::yielding::Yield;
use super::{Datagram, File, Listener, Need, Read, Runtime, Setup, Stop, Stream, Write, make_room};
use crate::tied::Tied;

/// A handle of the runtime.
#[derive(Clone)]
pub(crate) struct Published {
    handle: RuntimeHandle,
}

impl Published {
    fn pinned<F>(&self, shard: usize, future: F) -> Returns<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let shard = u16::try_from(shard).expect("there are few shards");
        match self.handle.spawn_pinned(shard, future) {
            Ok(task) => Returns(task),
            Err(error) => panic!("spawn_pinned: {error:?}"),
        }
    }
}

impl Runtime for Published {
    type Join<T: Send + 'static> = Returns<JoinHandle<T>>;
    type LocalJoin<T: 'static> = Tied<Returns<LocalJoinHandle<T>>>;
    type Sender<T: Send + 'static> = async_channel::Sender<T>;
    type Receiver<T: Send + 'static> = async_channel::Receiver<T>;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type UnixListener = UnixListener;
    type UnixStream = UnixStream;
    type Datagram = UdpSocket;
    type File = PublishedFile;

    fn start(setup: &Setup) -> Result<(Self, Stop), String> {
        let builder = spargio_published::Runtime::builder()
            .shards(setup.threads)
            .io_uring_throughput_mode(None);
        let runtime = builder.build().map_err(|error| format!("{error:?}"))?;
        Ok((Self { handle: runtime.handle() }, Box::new(move || drop(runtime))))
    }

    fn lacks(need: Need) -> Option<&'static str> {
        match need {
            Need::Placement | Need::Local | Need::Metadata => None,
            Need::Yield => Some("takes no tasks from elsewhere while tasks of a shard yield"),
        }
    }

    fn threads(&self) -> usize {
        self.handle.shard_count()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        smol::future::block_on(future)
    }

    fn spawn<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.handle.spawn_stealable(future) {
            Ok(task) => Returns(task),
            Err(error) => panic!("spawn_stealable: {error:?}"),
        }
    }

    fn spread<F>(&self, _turn: usize, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn(future)
    }

    fn spawn_on<F>(&self, thread: usize, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.pinned(thread, future)
    }

    fn spawn_local<F>(&self, future: F) -> Self::LocalJoin<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let here = ShardCtx::current().expect("this is a shard");
        Tied::new(Returns(here.spawn_local(future)))
    }

    fn channel<T: Send + 'static>(_limit: Option<usize>) -> (Self::Sender<T>, Self::Receiver<T>) {
        async_channel::unbounded()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        spargio_published::sleep(duration)
    }

    fn yield_now(&self) -> impl Future<Output = ()> + Send {
        Yield::default()
    }

    async fn bind(&self, addr: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind_socket_addr(self.handle.clone(), addr).await
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<TcpStream> {
        // It sets `TCP_NODELAY` itself.
        TcpStream::connect_socket_addr(self.handle.clone(), addr).await
    }

    async fn bind_unix(&self, path: &Path) -> io::Result<UnixListener> {
        UnixListener::bind(self.handle.clone(), path).await
    }

    async fn accept_unix(&self, listener: &mut UnixListener) -> io::Result<UnixStream> {
        let (stream, _peer) = listener.accept().await?;
        Ok(stream)
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<UnixStream> {
        UnixStream::connect(self.handle.clone(), path).await
    }

    async fn bind_datagram(&self, addr: SocketAddr) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind(self.handle.clone(), addr).await?;
        make_room(socket.as_raw_fd())?;
        Ok(socket)
    }

    async fn open(&self, path: &Path) -> io::Result<PublishedFile> {
        PublishedFile::open(self.handle.clone(), path).await
    }

    async fn metadata(&self, path: &Path) -> io::Result<u64> {
        Ok(spargio_published::fs::metadata_lite(&self.handle, path).await?.size)
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _peer) = Self::accept(self).await?;
        Ok(stream)
    }
}

/// The same bodies for both kinds of streams.
macro_rules! stream {
    ($name:ty) => {
        impl Stream for $name {
            type Reader = Self;
            type Writer = Self;

            fn split(self) -> (Self, Self) {
                (self.clone(), self)
            }
        }

        impl Read for $name {
            async fn read(&mut self, mut buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
                let capacity = buf.capacity();
                buf.resize(capacity, 0);
                match self.recv_owned(buf).await {
                    Ok((length, mut buf)) => {
                        buf.truncate(length);
                        (Ok(length), buf)
                    }
                    Err(error) => (Err(error), Vec::with_capacity(capacity)),
                }
            }

            async fn read_exact(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
                returned(self.read_exact_owned(buf).await)
            }
        }

        impl Write for $name {
            async fn write_all(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
                returned(self.write_all_owned(buf).await)
            }
        }
    };
}

stream!(TcpStream);
stream!(UnixStream);

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

    /// It receives into a buffer of its own.
    async fn recv(&self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        match self.recv(buf.capacity()).await {
            Ok(received) => (Ok(received.len()), received),
            Err(error) => (Err(error), buf),
        }
    }
}

/// It keeps the buffer when an operation fails.
fn returned(result: io::Result<Vec<u8>>) -> (io::Result<()>, Vec<u8>) {
    match result {
        Ok(buf) => (Ok(()), buf),
        Err(error) => (Err(error), Vec::new()),
    }
}

impl File for PublishedFile {
    type Block = Vec<u8>;

    fn block(length: usize) -> Vec<u8> {
        vec![0; length]
    }

    async fn read_at(&self, block: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        match self.read_at_into(offset, block).await {
            Ok((length, block)) => (Ok(length), block),
            Err(error) => (Err(error), Vec::new()),
        }
    }
}
