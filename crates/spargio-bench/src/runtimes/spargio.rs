//! spargio, as users get it, and with other parts or placements.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use spargio::doorbell::EventFd;
use spargio::net::{
    self, Family, Ip, TcpListener, TcpStream, UdpSocket, Unix, UnixListener, UnixStream,
};
use spargio::queue::MutexQueue;
use spargio::sync::mpsc;
use spargio::{Assembly, JoinHandle, LocalJoinHandle, RuntimeHandleOf, RuntimeOf, ShardCtx};

use super::join::Returns;
use super::{
    Datagram, File, Listener, Need, Read, Receiver, Runtime, Sender, Setup, Stop, Stream, Variant,
    Write, make_room,
};
use crate::tied::Tied;

/// A handle of one of the assemblies.
#[derive(Clone)]
pub(crate) struct Spargio {
    parts: Parts,
    pinned: bool,
}

type NativeHandle = spargio::RuntimeHandle;
type MutexHandle = RuntimeHandleOf<MutexParts>;
type EventFdHandle = RuntimeHandleOf<EventFdParts>;
type MutexParts = spargio::Assembled<
    spargio::driver::Uring,
    spargio::doorbell::MsgRing,
    MutexQueue,
    spargio::placement::LeastLoaded,
>;
type EventFdParts = spargio::Assembled<
    spargio::driver::Uring,
    EventFd,
    spargio::queue::ChaseLev,
    spargio::placement::LeastLoaded,
>;

#[derive(Clone)]
enum Parts {
    Native(NativeHandle),
    Mutex(MutexHandle),
    EventFd(EventFdHandle),
}

/// The same expression for each assembly.
macro_rules! each {
    ($parts:expr, $handle:ident => $body:expr) => {
        match $parts {
            Parts::Native($handle) => $body,
            Parts::Mutex($handle) => $body,
            Parts::EventFd($handle) => $body,
        }
    };
}

fn started<A: Assembly>(
    runtime: RuntimeOf<A>,
    parts: fn(RuntimeHandleOf<A>) -> Parts,
    pinned: bool,
) -> (Spargio, Stop) {
    let handle = Spargio { parts: parts(runtime.handle()), pinned };
    (handle, Box::new(move || drop(runtime)))
}

impl Spargio {
    fn pinned<F>(&self, shard: usize, future: F) -> Returns<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let shard = u16::try_from(shard).expect("there are few shards");
        let task = each!(&self.parts, handle => handle.spawn_pinned(shard, future));
        Returns(task.expect("the runtime is open"))
    }
}

impl Runtime for Spargio {
    type Join<T: Send + 'static> = Returns<JoinHandle<T>>;
    type LocalJoin<T: 'static> = Tied<Returns<LocalJoinHandle<T>>>;
    type Sender<T: Send + 'static> = End<mpsc::Sender<T>, async_channel::Sender<T>>;
    type Receiver<T: Send + 'static> = End<mpsc::Receiver<T>, async_channel::Receiver<T>>;
    type Listener = TcpListener;
    type Stream = Socket<Ip>;
    type UnixListener = UnixListener;
    type UnixStream = Socket<Unix>;
    type Datagram = UdpSocket;
    type File = spargio::fs::File;

    fn start(setup: &Setup) -> Result<(Self, Stop), String> {
        let builder = spargio::Runtime::builder().shards(setup.threads);
        let pinned = setup.variant == Variant::Pinned;
        let built = match setup.variant {
            Variant::MutexQueue => builder
                .steal_queue::<MutexQueue>()
                .build()
                .map(|runtime| started(runtime, Parts::Mutex, pinned)),
            Variant::EventFd => builder
                .doorbell::<EventFd>()
                .build()
                .map(|runtime| started(runtime, Parts::EventFd, pinned)),
            Variant::Default | Variant::Pinned | Variant::TunedRings => {
                builder.build().map(|runtime| started(runtime, Parts::Native, pinned))
            }
        };
        built.map_err(|error| error.to_string())
    }

    fn lacks(need: Need) -> Option<&'static str> {
        match need {
            Need::Placement | Need::Local | Need::Metadata | Need::Yield => None,
        }
    }

    fn threads(&self) -> usize {
        each!(&self.parts, handle => handle.shard_count())
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        each!(&self.parts, handle => handle.block_on(future))
    }

    fn spawn<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if self.pinned
            && let Some(here) = ShardCtx::current()
        {
            return self.pinned(here.shard_id().index(), future);
        }
        Returns(spargio::spawn(future).expect("the runtime is open"))
    }

    fn spread<F>(&self, turn: usize, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if self.pinned {
            return self.pinned(turn % self.threads(), future);
        }
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
        Tied::new(Returns(spargio::spawn_local(future).expect("the runtime is open")))
    }

    fn channel<T: Send + 'static>(limit: Option<usize>) -> (Self::Sender<T>, Self::Receiver<T>) {
        if let Some(limit) = limit {
            let (sender, receiver) = mpsc::channel(limit);
            return (End::Own(sender), End::Own(receiver));
        }
        let (sender, receiver) = async_channel::unbounded();
        (End::Usual(sender), End::Usual(receiver))
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        spargio::sleep(duration)
    }

    fn yield_now(&self) -> impl Future<Output = ()> + Send {
        spargio::yield_now()
    }

    async fn bind(&self, addr: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(addr).await
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<Socket<Ip>> {
        Socket::without_delay(TcpStream::connect(addr).await?)
    }

    async fn bind_unix(&self, path: &Path) -> io::Result<UnixListener> {
        UnixListener::bind(path).await
    }

    async fn accept_unix(&self, listener: &mut UnixListener) -> io::Result<Socket<Unix>> {
        let (stream, _peer) = listener.accept().await?;
        Ok(Socket(Arc::new(stream)))
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<Socket<Unix>> {
        Ok(Socket(Arc::new(UnixStream::connect(path).await?)))
    }

    async fn bind_datagram(&self, addr: SocketAddr) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind(addr).await?;
        make_room(socket.as_raw_fd())?;
        Ok(socket)
    }

    async fn open(&self, path: &Path) -> io::Result<spargio::fs::File> {
        spargio::fs::File::open(path).await
    }

    async fn metadata(&self, path: &Path) -> io::Result<u64> {
        Ok(spargio::fs::metadata(path).await?.len())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let total = each!(&self.parts, handle => handle.stats_snapshot()).total();
        vec![
            ("io_uring_enter", total.enters),
            ("sqes", total.sqes),
            ("inline", total.inline_completions),
            ("doorbells", total.doorbells_sent),
            ("parks", total.parks),
            ("stolen", total.stolen),
        ]
    }
}

/// An end of the runtime's own channel, which always has a limit, or of one that has none.
#[derive(Clone)]
pub(crate) enum End<O, U> {
    Own(O),
    Usual(U),
}

impl<T: Send + 'static> Sender<T> for End<mpsc::Sender<T>, async_channel::Sender<T>> {
    fn send(&self, value: T) {
        match self {
            Self::Own(sender) => {
                let sent = sender.try_send(value);
                assert!(sent.is_ok(), "there is no room, or the receiver is gone");
            }
            Self::Usual(sender) => Sender::send(sender, value),
        }
    }
}

impl<T: Send + 'static> Receiver<T> for End<mpsc::Receiver<T>, async_channel::Receiver<T>> {
    async fn receive(&mut self) -> Option<T> {
        match self {
            Self::Own(receiver) => receiver.recv().await,
            Self::Usual(receiver) => receiver.receive().await,
        }
    }
}

/// A connection, shared by its two directions.
pub(crate) struct Socket<F: Family>(Arc<net::Stream<F>>);

impl Socket<Ip> {
    fn without_delay(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(Arc::new(stream)))
    }
}

impl Listener for TcpListener {
    type Stream = Socket<Ip>;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    async fn accept(&mut self) -> io::Result<Socket<Ip>> {
        let (stream, _peer) = Self::accept(self).await?;
        Socket::without_delay(stream)
    }
}

impl<F: Family> Stream for Socket<F> {
    type Reader = Self;
    type Writer = Self;

    fn split(self) -> (Self, Self) {
        (Self(Arc::clone(&self.0)), self)
    }
}

impl<F: Family> Read for Socket<F> {
    async fn read(&mut self, mut buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        buf.clear();
        self.0.read(buf).await
    }

    async fn read_exact(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        self.0.read_exact(buf).await
    }
}

impl<F: Family> Write for Socket<F> {
    async fn write_all(&mut self, buf: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        self.0.write_all(buf).await
    }
}

impl Datagram for UdpSocket {
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

impl File for spargio::fs::File {
    type Block = Vec<u8>;

    fn block(length: usize) -> Vec<u8> {
        Vec::with_capacity(length)
    }

    async fn read_at(&self, block: Vec<u8>, offset: u64) -> (io::Result<usize>, Vec<u8>) {
        Self::read_at(self, block, offset).await
    }
}
