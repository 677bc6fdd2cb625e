//! The runtimes under comparison, all seen through one trait.
//!
//! A workload is written once, against [`Runtime`], and gets a handle of the runtime that runs it.
//! All futures are `Send`; what a thread-per-core runtime makes is tied to its thread, and panics
//! when a workload takes it elsewhere. So a workload makes streams and files inside of the task
//! that uses them, and says with [`Need`] what it cannot do without.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

mod channel;
mod compio;
mod glommio;
mod join;
mod list;
mod monoio;
mod per_core;
mod published;
mod room;
mod smol;
mod spargio;
mod tokio;
mod tokio_local;
mod yielding;

pub(crate) use list::{Role, RuntimeId, Visitor, all, find, visit};
pub(crate) use room::make_room;

/// What a workload cannot do without, and a runtime may not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    /// To run a task on a thread of the workload's choice: [`Runtime::spawn_on`].
    Placement,
    /// To run a task on the thread that spawns it, for good: [`Runtime::spawn_local`].
    Local,
    /// To ask for the metadata of a path: [`Runtime::metadata`].
    Metadata,
    /// To let everything else go on by yielding: other tasks, messages from other threads, timers.
    /// [`Runtime::yield_now`] is always there, but not all that yields gives way.
    Yield,
}

/// How to start a runtime.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// Worker threads, the same for all.
    pub(crate) threads: usize,
    /// Which variant of the runtime.
    pub(crate) variant: Variant,
}

/// Variants of runtimes: each implementation knows its own, and takes others for the default.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Variant {
    Default,
    /// Rings with the flags for one thread per ring.
    TunedRings,
    /// Tasks that stay on the shard they are spawned on.
    Pinned,
    /// Another steal queue.
    MutexQueue,
    /// Another doorbell.
    EventFd,
}

/// Ends a runtime: waits until its threads are gone.
pub(crate) type Stop = Box<dyn FnOnce()>;

/// A handle of a runtime with several threads.
pub(crate) trait Runtime: Clone + Send + Sync + 'static {
    /// What a task returned. Dropping it may cancel the task. It panics if the task did.
    type Join<T: Send + 'static>: Future<Output = T> + Send + 'static;
    /// The same for a task that stays on this thread.
    type LocalJoin<T: 'static>: Future<Output = T> + Send + 'static;
    /// The sending end of a channel.
    type Sender<T: Send + 'static>: Sender<T>;
    /// The other end.
    type Receiver<T: Send + 'static>: Receiver<T>;
    type Listener: Listener<Stream = Self::Stream>;
    type Stream: Stream;
    type UnixListener: Send + 'static;
    type UnixStream: Stream;
    type Datagram: Datagram;
    type File: File;

    /// Starts the runtime; returns when it can run tasks.
    ///
    /// # Errors
    ///
    /// Why it cannot run here, in words.
    fn start(setup: &Setup) -> Result<(Self, Stop), String>;

    /// Why the runtime cannot give what is needed; `None` if it can.
    fn lacks(need: Need) -> Option<&'static str>;

    /// How many worker threads there are.
    fn threads(&self) -> usize;

    /// Runs a future on this thread, which is none of the runtime's, until it is ready.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Spawns a task: one that others may steal where the runtime has that, else on this thread.
    /// From outside, inside of [`block_on`](Self::block_on): where the runtime puts it, and on the
    /// threads in turn where somebody has to say.
    fn spawn<F>(&self, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// As [`spawn`](Self::spawn), for work to be shared out: where nobody steals, the caller gives
    /// out the threads, `turn` modulo their number.
    fn spread<F>(&self, turn: usize, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Spawns a task on this thread of the runtime, for good; needs [`Need::Placement`].
    fn spawn_on<F>(&self, thread: usize, future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Spawns a task on this thread, which is one of the runtime's, for good; needs
    /// [`Need::Local`].
    fn spawn_local<F>(&self, future: F) -> Self::LocalJoin<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static;

    /// The runtime's own channel, or the usual one if it has none. With a limit there are never
    /// more messages under way than that, so that one with as much room will do; one without a
    /// limit is taken all the same where it is faster.
    fn channel<T: Send + 'static>(limit: Option<usize>) -> (Self::Sender<T>, Self::Receiver<T>);

    /// Sleeps, inside of a task.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// Lets the other tasks go first.
    fn yield_now(&self) -> impl Future<Output = ()> + Send;

    /// Listens, with `SO_REUSEADDR` and a backlog of at least 1,024 where the runtime lets one say.
    fn bind(&self, addr: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Connects, without delay (`TCP_NODELAY`).
    fn connect(&self, addr: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Listens at a path of the file system, where nothing is yet.
    fn bind_unix(&self, path: &Path)
    -> impl Future<Output = io::Result<Self::UnixListener>> + Send;

    /// The next connection of such a listener.
    fn accept_unix(
        &self,
        listener: &mut Self::UnixListener,
    ) -> impl Future<Output = io::Result<Self::UnixStream>> + Send;

    /// Connects to who listens at a path.
    fn connect_unix(
        &self,
        path: &Path,
    ) -> impl Future<Output = io::Result<Self::UnixStream>> + Send;

    /// A socket for datagrams, with the room that [`make_room`] makes.
    fn bind_datagram(
        &self,
        addr: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::Datagram>> + Send;

    /// Opens a file for reading.
    fn open(&self, path: &Path) -> impl Future<Output = io::Result<Self::File>> + Send;

    /// The length of the file at a path, from its metadata; needs [`Need::Metadata`].
    fn metadata(&self, path: &Path) -> impl Future<Output = io::Result<u64>> + Send;

    /// What the runtime has counted so far, by name.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

/// The end of a channel that sends.
pub(crate) trait Sender<T>: Clone + Send + Sync + 'static {
    /// Sends.
    ///
    /// # Panics
    ///
    /// If nobody listens any more, or there is no room.
    fn send(&self, value: T);
}

/// The end of a channel that receives.
pub(crate) trait Receiver<T>: Send + 'static {
    /// The next value; `None` when all senders are gone.
    fn receive(&mut self) -> impl Future<Output = Option<T>> + Send;
}

/// A socket that listens.
pub(crate) trait Listener: Send + 'static {
    type Stream;

    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// The next connection, without delay (`TCP_NODELAY`).
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A connection. Buffers go in by value and come back.
pub(crate) trait Stream: Read + Write {
    type Reader: Read;
    type Writer: Write;

    /// The two directions, for two tasks of the same thread.
    fn split(self) -> (Self::Reader, Self::Writer);
}

/// The direction from the peer.
pub(crate) trait Read: Send + 'static {
    /// Reads what is there: up to the capacity of the buffer, from its start. The buffer's length
    /// is then what was read; 0 is the end.
    fn read(&mut self, buf: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)> + Send;

    /// Fills the buffer, whose length must be its capacity: see [`frame`].
    fn read_exact(
        &mut self,
        buf: Vec<u8>,
    ) -> impl Future<Output = (io::Result<()>, Vec<u8>)> + Send;
}

/// The direction to the peer.
pub(crate) trait Write: Send + 'static {
    /// Writes all of the buffer's length.
    fn write_all(&mut self, buf: Vec<u8>)
    -> impl Future<Output = (io::Result<()>, Vec<u8>)> + Send;
}

/// A socket for datagrams, which goes both ways at the same time. Buffers go in by value and come
/// back.
pub(crate) trait Datagram: Send + Sync + 'static {
    fn local_addr(&self) -> io::Result<SocketAddr>;

    /// Sends to this peer from now on, and receives from nobody else.
    fn connect(&self, addr: SocketAddr) -> impl Future<Output = io::Result<()>> + Send;

    /// Sends the buffer's length as one datagram; says how many bytes went.
    fn send(&self, buf: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)> + Send;

    /// Receives one datagram: up to the capacity of the buffer, from its start. The buffer's length
    /// is then what was received.
    fn recv(&self, buf: Vec<u8>) -> impl Future<Output = (io::Result<usize>, Vec<u8>)> + Send;
}

/// A file, read at offsets.
pub(crate) trait File: Clone + Send + Sync + 'static {
    /// A buffer of the kind that the runtime reads into.
    type Block: AsRef<[u8]> + Send;

    /// A buffer for so many bytes.
    fn block(length: usize) -> Self::Block;

    /// Reads as many bytes as the block is for, from the page cache or the device; says how many
    /// it read. After that the block's bytes are those of the file.
    fn read_at(
        &self,
        block: Self::Block,
        offset: u64,
    ) -> impl Future<Output = (io::Result<usize>, Self::Block)> + Send;
}

/// A buffer of exactly this length and capacity.
pub(crate) fn frame(length: usize, byte: u8) -> Vec<u8> {
    let frame = vec![byte; length];
    assert_eq!(frame.capacity(), length, "a vector made of its length has just that capacity");
    frame
}
