//! smol: one executor that several threads run, each driving the reactor when it has nothing to do.

use std::fs;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::unix::{UnixListener, UnixStream};
use smol::net::{TcpListener, TcpStream, UdpSocket};
use smol::{Executor, Task, Timer};

use super::{Datagram, File, Listener, Need, Read, Runtime, Setup, Stop, Stream, Write, make_room};

/// A handle of the executor.
#[derive(Clone)]
pub(crate) struct Smol {
    executor: Arc<Executor<'static>>,
    threads: usize,
}

impl Runtime for Smol {
    type Join<T: Send + 'static> = Task<T>;
    type LocalJoin<T: 'static> = std::future::Pending<T>;
    type Sender<T: Send + 'static> = async_channel::Sender<T>;
    type Receiver<T: Send + 'static> = async_channel::Receiver<T>;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type UnixListener = UnixListener;
    type UnixStream = UnixStream;
    type Datagram = UdpSocket;
    type File = SharedFile;

    fn start(setup: &Setup) -> Result<(Self, Stop), String> {
        let executor = Arc::new(Executor::new());
        let (end, ended) = async_channel::bounded::<()>(1);
        let threads: Vec<_> = (0..setup.threads)
            .map(|_| {
                let (executor, ended) = (Arc::clone(&executor), ended.clone());
                thread::spawn(move || {
                    let ended = smol::block_on(executor.run(ended.recv()));
                    assert!(ended.is_err(), "nobody sends anything, so this is the end");
                })
            })
            .collect();
        let stop = move || {
            drop(end);
            threads.into_iter().for_each(|thread| thread.join().expect("the thread returns"));
        };
        Ok((Self { executor, threads: setup.threads }, Box::new(stop)))
    }

    fn lacks(need: Need) -> Option<&'static str> {
        match need {
            Need::Placement => Some("cannot bind a task to a thread"),
            Need::Local => Some("has local tasks in an executor of their own only"),
            Need::Metadata | Need::Yield => None,
        }
    }

    fn threads(&self) -> usize {
        self.threads
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        smol::future::block_on(future)
    }

    fn spawn<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.executor.spawn(future)
    }

    fn spread<F>(&self, _turn: usize, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.executor.spawn(future)
    }

    fn spawn_on<F>(&self, thread: usize, _future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        panic!("no task can be bound to thread {thread}")
    }

    fn spawn_local<F>(&self, _future: F) -> Self::LocalJoin<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        panic!("no task can be bound to a thread")
    }

    fn channel<T: Send + 'static>(_limit: Option<usize>) -> (Self::Sender<T>, Self::Receiver<T>) {
        async_channel::unbounded()
    }

    async fn sleep(&self, duration: Duration) {
        Timer::after(duration).await;
    }

    fn yield_now(&self) -> impl Future<Output = ()> + Send {
        smol::future::yield_now()
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
        let socket = UdpSocket::bind(addr).await?;
        make_room(socket.as_raw_fd())?;
        Ok(socket)
    }

    async fn open(&self, path: &Path) -> io::Result<SharedFile> {
        let path = path.to_owned();
        let file = smol::unblock(move || fs::File::open(path)).await?;
        Ok(SharedFile(Arc::new(file)))
    }

    async fn metadata(&self, path: &Path) -> io::Result<u64> {
        Ok(smol::fs::metadata(path).await?.len())
    }
}

fn without_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
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
                let result = AsyncReadExt::read(self, &mut buf).await;
                buf.truncate(*result.as_ref().unwrap_or(&0));
                (result, buf)
            }

            async fn read_exact(&mut self, mut buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
                (AsyncReadExt::read_exact(self, &mut buf).await, buf)
            }
        }

        impl Write for $name {
            async fn write_all(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
                (AsyncWriteExt::write_all(self, &buf).await, buf)
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

    async fn recv(&self, mut buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let capacity = buf.capacity();
        buf.resize(capacity, 0);
        let result = self.recv(&mut buf).await;
        buf.truncate(*result.as_ref().unwrap_or(&0));
        (result, buf)
    }
}

/// A file that the blocking pool reads: smol has no reads at an offset of its own.
#[derive(Clone)]
pub(crate) struct SharedFile(Arc<fs::File>);

impl File for SharedFile {
    type Block = Vec<u8>;

    fn block(length: usize) -> Vec<u8> {
        vec![0; length]
    }

    async fn read_at(&self, mut block: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        let file = Arc::clone(&self.0);
        smol::unblock(move || (file.read_at(&mut block, offset), block)).await
    }
}
