//! Several threads with a runtime each, for runtimes that run on one thread: what they share, and
//! how work gets from one to another.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::Either;

use super::join::Returns;
use super::{Datagram, File, Listener, Need, Read, Runtime, Setup, Stop, Stream, Write};
use crate::tied::Tied;

/// A runtime on one thread. Nothing of it is `Send`.
pub(crate) trait Core: Send + Sync + Sized + 'static {
    type Join<T: 'static>: Future<Output = T> + 'static;
    type Listener: CoreListener<Stream = Self::Stream>;
    type Stream: CoreStream;
    type UnixListener: 'static;
    type UnixStream: CoreStream;
    type Datagram: CoreDatagram;
    type File: CoreFile;

    /// Runs a future on this thread until it is ready, with what it spawns. Calls `started` from
    /// inside, or with the reason why there is no inside.
    fn run<F: Future<Output = ()> + 'static>(
        setup: &Setup,
        started: impl FnOnce(Result<(), String>) + 'static,
        future: F,
    );

    fn lacks(need: Need) -> Option<&'static str>;
    fn spawn<F: Future + 'static>(future: F) -> Self::Join<F::Output>;
    fn detach<F: Future<Output = ()> + 'static>(future: F);
    fn sleep(duration: Duration) -> impl Future<Output = ()>;
    fn yield_now() -> impl Future<Output = ()>;
    fn bind(addr: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>>;
    fn connect(addr: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>>;
    fn bind_unix(path: &Path) -> impl Future<Output = io::Result<Self::UnixListener>>;
    fn accept_unix(
        listener: &mut Self::UnixListener,
    ) -> impl Future<Output = io::Result<Self::UnixStream>>;
    fn connect_unix(path: &Path) -> impl Future<Output = io::Result<Self::UnixStream>>;
    fn bind_datagram(addr: SocketAddr) -> impl Future<Output = io::Result<Self::Datagram>>;
    fn open(path: &Path) -> impl Future<Output = io::Result<Self::File>>;
    fn metadata(path: &Path) -> impl Future<Output = io::Result<u64>>;
}

/// As [`Listener`], without `Send`.
pub(crate) trait CoreListener: 'static {
    type Stream;
    fn local_addr(&self) -> io::Result<SocketAddr>;
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>>;
}

/// As [`Stream`], without `Send`.
pub(crate) trait CoreStream: CoreRead + CoreWrite {
    type Reader: CoreRead;
    type Writer: CoreWrite;
    fn split(self) -> (Self::Reader, Self::Writer);
}

/// As [`Read`], without `Send`.
pub(crate) trait CoreRead: 'static {
    fn read(&mut self, buf: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)>;
    fn read_exact(&mut self, buf: Vec<u8>) -> impl Future<Output = (io::Result<()>, Vec<u8>)>;
}

/// As [`Write`], without `Send`.
pub(crate) trait CoreWrite: 'static {
    fn write_all(&mut self, buf: Vec<u8>) -> impl Future<Output = (io::Result<()>, Vec<u8>)>;
}

/// As [`Datagram`], without `Send`.
pub(crate) trait CoreDatagram: 'static {
    fn local_addr(&self) -> io::Result<SocketAddr>;
    fn connect(&self, addr: SocketAddr) -> impl Future<Output = io::Result<()>>;
    fn send(&self, buf: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)>;
    fn recv(&self, buf: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)>;
}

/// As [`File`], without `Send`.
pub(crate) trait CoreFile: 'static {
    type Block: AsRef<[u8]> + Send + 'static;
    fn block(length: usize) -> Self::Block;
    fn read_at(
        &self,
        block: Self::Block,
        offset: u64,
    ) -> impl Future<Output = (io::Result<usize>, Self::Block)>;
}

thread_local! {
    /// Which of the threads this is.
    static HERE: Cell<Option<usize>> = const { Cell::new(None) };
}

type Job = Box<dyn FnOnce() + Send>;

/// Threads that each run a [`Core`].
pub(crate) struct PerCore<C> {
    pool: Arc<Pool>,
    core: PhantomData<C>,
}

struct Pool {
    inboxes: Vec<async_channel::Sender<Job>>,
    turn: AtomicUsize,
}

impl<C> Clone for PerCore<C> {
    fn clone(&self) -> Self {
        Self { pool: Arc::clone(&self.pool), core: PhantomData }
    }
}

/// The value of a task on this thread, or on another.
type Join<L, T> = Either<L, Returns<oneshot::Receiver<T>>>;

impl<C: Core> PerCore<C> {
    fn send<F>(&self, thread: usize, future: F) -> Join<Tied<C::Join<F::Output>>, F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move || {
            C::detach(async move {
                // Whoever does not wait for the answer does not miss it.
                drop(answer.send(future.await));
            });
        });
        let inbox = &self.pool.inboxes[thread % self.threads()];
        assert!(inbox.try_send(job).is_ok(), "the thread is gone");
        Either::Right(Returns(answered))
    }

    fn spawn_here<F>(future: F) -> Join<Tied<C::Join<F::Output>>, F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Either::Left(Tied::new(C::spawn(future)))
    }
}

/// What each thread does: takes jobs until nobody is left who could send one.
async fn serve(jobs: async_channel::Receiver<Job>) {
    while let Ok(job) = jobs.recv().await {
        job();
    }
}

impl<C: Core> Runtime for PerCore<C> {
    type Join<T: Send + 'static> = Join<Tied<C::Join<T>>, T>;
    type LocalJoin<T: 'static> = Tied<C::Join<T>>;
    type Sender<T: Send + 'static> = async_channel::Sender<T>;
    type Receiver<T: Send + 'static> = async_channel::Receiver<T>;
    type Listener = TiedListener<C::Listener>;
    type Stream = TiedStream<C::Stream>;
    type UnixListener = Tied<C::UnixListener>;
    type UnixStream = TiedStream<C::UnixStream>;
    type Datagram = TiedDatagram<C::Datagram>;
    type File = SharedFile<C::File>;

    fn start(setup: &Setup) -> Result<(Self, Stop), String> {
        let (report, reports) = mpsc::channel();
        let mut inboxes = Vec::new();
        let mut threads = Vec::new();
        for number in 0..setup.threads {
            let (inbox, jobs) = async_channel::unbounded();
            inboxes.push(inbox);
            let (setup, report) = (*setup, report.clone());
            let started = move |result| {
                report.send(result).expect("the starter waits for all");
            };
            threads.push(thread::spawn(move || {
                HERE.set(Some(number));
                C::run(&setup, started, serve(jobs));
            }));
        }
        let results: Vec<Result<(), String>> = reports.iter().take(setup.threads).collect();
        let stop = {
            let inboxes = inboxes.clone();
            move || {
                for inbox in &inboxes {
                    inbox.close();
                }
                threads.into_iter().for_each(|thread| thread.join().expect("the thread returns"));
            }
        };
        if let Some(error) = results.into_iter().find_map(Result::err) {
            stop();
            return Err(error);
        }
        let pool = Arc::new(Pool { inboxes, turn: AtomicUsize::new(0) });
        Ok((Self { pool, core: PhantomData }, Box::new(stop)))
    }

    fn lacks(need: Need) -> Option<&'static str> {
        C::lacks(need)
    }

    fn threads(&self) -> usize {
        self.pool.inboxes.len()
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        smol::future::block_on(future)
    }

    fn spawn<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if HERE.get().is_some() {
            return Self::spawn_here(future);
        }
        self.send(self.pool.turn.fetch_add(1, Ordering::Relaxed), future)
    }

    fn spread<F>(&self, turn: usize, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_on(turn % self.threads(), future)
    }

    fn spawn_on<F>(&self, thread: usize, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if HERE.get() == Some(thread) {
            return Self::spawn_here(future);
        }
        self.send(thread, future)
    }

    fn spawn_local<F>(&self, future: F) -> Self::LocalJoin<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Tied::new(C::spawn(future))
    }

    fn channel<T: Send + 'static>(_limit: Option<usize>) -> (Self::Sender<T>, Self::Receiver<T>) {
        async_channel::unbounded()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        Tied::new(C::sleep(duration))
    }

    fn yield_now(&self) -> impl Future<Output = ()> + Send {
        Tied::new(C::yield_now())
    }

    fn bind(&self, addr: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send {
        Tied::new(async move { Ok(TiedListener(Tied::new(C::bind(addr).await?))) })
    }

    fn connect(&self, addr: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send {
        Tied::new(async move { Ok(TiedStream(Tied::new(C::connect(addr).await?))) })
    }

    fn bind_unix(
        &self,
        path: &Path,
    ) -> impl Future<Output = io::Result<Self::UnixListener>> + Send {
        Tied::new(async move { Ok(Tied::new(C::bind_unix(path).await?)) })
    }

    fn accept_unix(
        &self,
        listener: &mut Self::UnixListener,
    ) -> impl Future<Output = io::Result<Self::UnixStream>> + Send {
        let listener = listener.get_mut();
        Tied::new(async move { Ok(TiedStream(Tied::new(C::accept_unix(listener).await?))) })
    }

    fn connect_unix(
        &self,
        path: &Path,
    ) -> impl Future<Output = io::Result<Self::UnixStream>> + Send {
        Tied::new(async move { Ok(TiedStream(Tied::new(C::connect_unix(path).await?))) })
    }

    fn bind_datagram(
        &self,
        addr: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::Datagram>> + Send {
        Tied::new(async move { Ok(TiedDatagram(Tied::new(C::bind_datagram(addr).await?))) })
    }

    fn open(&self, path: &Path) -> impl Future<Output = io::Result<Self::File>> + Send {
        Tied::new(async move { Ok(SharedFile(Arc::new(Tied::new(C::open(path).await?)))) })
    }

    fn metadata(&self, path: &Path) -> impl Future<Output = io::Result<u64>> + Send {
        Tied::new(C::metadata(path))
    }
}

/// A listener that stays on its thread.
pub(crate) struct TiedListener<L>(Tied<L>);

/// A stream, or one direction of one, that stays on its thread.
pub(crate) struct TiedStream<S>(Tied<S>);

/// A socket for datagrams that stays on its thread.
pub(crate) struct TiedDatagram<D>(Tied<D>);

/// A file that stays on its thread, with its clones.
pub(crate) struct SharedFile<F>(Arc<Tied<F>>);

impl<L: CoreListener> Listener for TiedListener<L>
where
    L::Stream: 'static,
{
    type Stream = TiedStream<L::Stream>;

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get().local_addr()
    }

    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send {
        let listener = self.0.get_mut();
        Tied::new(async move { Ok(TiedStream(Tied::new(listener.accept().await?))) })
    }
}

impl<S: CoreStream> Stream for TiedStream<S> {
    type Reader = TiedStream<S::Reader>;
    type Writer = TiedStream<S::Writer>;

    fn split(self) -> (Self::Reader, Self::Writer) {
        let (reader, writer) = self.0.into_inner().split();
        (TiedStream(Tied::new(reader)), TiedStream(Tied::new(writer)))
    }
}

impl<S: CoreRead> Read for TiedStream<S> {
    fn read(&mut self, buf: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)> + Send {
        Tied::new(self.0.get_mut().read(buf))
    }

    fn read_exact(
        &mut self,
        buf: Vec<u8>,
    ) -> impl Future<Output = (io::Result<()>, Vec<u8>)> + Send {
        Tied::new(self.0.get_mut().read_exact(buf))
    }
}

impl<S: CoreWrite> Write for TiedStream<S> {
    fn write_all(
        &mut self,
        buf: Vec<u8>,
    ) -> impl Future<Output = (io::Result<()>, Vec<u8>)> + Send {
        Tied::new(self.0.get_mut().write_all(buf))
    }
}

impl<D: CoreDatagram> Datagram for TiedDatagram<D> {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.get().local_addr()
    }

    fn connect(&self, addr: SocketAddr) -> impl Future<Output = io::Result<()>> + Send {
        Tied::new(self.0.get().connect(addr))
    }

    fn send(&self, buf: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)> + Send {
        Tied::new(self.0.get().send(buf))
    }

    fn recv(&self, buf: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)> + Send {
        Tied::new(self.0.get().recv(buf))
    }
}

impl<F> Clone for SharedFile<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: CoreFile> File for SharedFile<F> {
    type Block = F::Block;

    fn block(length: usize) -> F::Block {
        F::block(length)
    }

    fn read_at(
        &self,
        block: F::Block,
        offset: u64,
    ) -> impl Future<Output = (io::Result<usize>, F::Block)> + Send {
        Tied::new(self.0.get().read_at(block, offset))
    }
}
