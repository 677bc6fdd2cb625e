//! Which shard a connection belongs to, and tasks that stay with it.

use std::future::Future;
use std::io;

use crate::error::RuntimeError;
use crate::id::ShardId;
use crate::net::family::Family;
use crate::net::stream::Stream;
use crate::placement::{LeastLoaded, Loads, Placement, Wish};
use crate::port::{self, Lane};
use crate::primitive::Arc;
use crate::task::{self, Home, JoinHandle};

/// Which shard a new connection belongs to: its [`session_shard`](Stream::session_shard).
///
/// Belonging is advice. A stream works on every shard, with the ring of the one that polls it;
/// [`spawn_on_session`](Stream::spawn_on_session) starts the task that serves it where it belongs.
///
/// ```
/// use spargio::net::{StreamSessionPolicy, TcpListener};
/// # use spargio::net::TcpStream;
/// # let runtime = spargio::Runtime::builder().shards(2).build().unwrap();
/// # runtime.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let client = TcpStream::connect(listener.local_addr()?).await?;
/// let policy = StreamSessionPolicy::RoundRobin;
/// let (stream, _) = listener.accept_with_session_policy(policy).await?;
/// let shard = stream.session_shard();
/// let server = stream.clone().spawn_on_session(async move {
///     stream.write_all("hello").await.0
/// })?;
/// server.await??;
/// # drop((client, shard));
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub enum StreamSessionPolicy {
    /// To the shard that takes or makes the connection; away from shards, to that of the listener,
    /// or to the one that was named.
    #[default]
    ContextPreferred,
    /// To each shard in turn, beginning with shard 0. Each listener counts by itself, and so does
    /// each call that makes many connections; those that make one count together.
    RoundRobin,
    /// To the shard that has the least to do, as [`LeastLoaded`] sees it, and among equals to each
    /// in turn.
    LeastLoaded,
    /// To this shard.
    Fixed(ShardId),
}

impl StreamSessionPolicy {
    /// Whether there is a shard that the policy names.
    pub(super) fn check(self, lane: &Arc<dyn Lane>) -> io::Result<()> {
        let shards = lane.shards();
        match self {
            Self::Fixed(shard) if shard.index() >= shards => {
                Err(RuntimeError::InvalidShard { shard, shards }.into())
            }
            _ => Ok(()),
        }
    }
}

/// The way to the shard that a connection belongs to, if whoever makes it belongs to `lane`.
pub(super) fn choose(
    turns: &LeastLoaded,
    policy: StreamSessionPolicy,
    lane: &Arc<dyn Lane>,
) -> Arc<dyn Lane> {
    let wish = match policy {
        StreamSessionPolicy::ContextPreferred => return here(lane),
        StreamSessionPolicy::Fixed(shard) => return sibling(lane, shard),
        StreamSessionPolicy::RoundRobin => Wish::Spread,
        StreamSessionPolicy::LeastLoaded => Wish::Any,
    };
    let read = |shard: ShardId| lane.load(shard);
    sibling(lane, turns.place(wish, &Loads::new(lane.shards(), &read)))
}

/// The way to the shard whose thread this is, if it is of the same runtime.
fn here(lane: &Arc<dyn Lane>) -> Arc<dyn Lane> {
    port::with(|port| match port {
        Some(port) if port.runtime() == lane.runtime() => Arc::clone(port.lane()),
        _ => Arc::clone(lane),
    })
}

/// The way to another shard. When the runtime is gone, one is as good as the other.
pub(super) fn sibling(lane: &Arc<dyn Lane>, shard: ShardId) -> Arc<dyn Lane> {
    if lane.shard() == shard {
        return Arc::clone(lane);
    }
    lane.sibling(shard).unwrap_or_else(|| Arc::clone(lane))
}

impl<F: Family> Stream<F> {
    /// The shard that the stream belongs to: the one that it was made for. Operations that start on
    /// a thread which is no shard of the runtime go to its ring.
    ///
    /// Streams made without a [policy](StreamSessionPolicy) belong to the shard on which they were
    /// made or that was named, and accepted ones to that of their listener.
    pub fn session_shard(&self) -> ShardId {
        self.lane().shard()
    }

    /// Spawns a task that runs on the [`session_shard`](Self::session_shard) only.
    ///
    /// # Errors
    ///
    /// [`Closed`](RuntimeError::Closed) after shutdown, [`Overloaded`](RuntimeError::Overloaded) at
    /// a limit; the future is dropped.
    pub fn spawn_on_session<T>(&self, future: T) -> Result<JoinHandle<T::Output>, RuntimeError>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        self.spawn_session(future, true)
    }

    /// Spawns a task that begins on the [`session_shard`](Self::session_shard), and that others may
    /// steal.
    ///
    /// # Errors
    ///
    /// As [`spawn_on_session`](Self::spawn_on_session).
    pub fn spawn_stealable_on_session<T>(
        &self,
        future: T,
    ) -> Result<JoinHandle<T::Output>, RuntimeError>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        self.spawn_session(future, false)
    }

    fn spawn_session<T>(
        &self,
        future: T,
        pinned: bool,
    ) -> Result<JoinHandle<T::Output>, RuntimeError>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        let lane = self.lane();
        lane.admit()?;
        let home = Home { shard: lane.shard(), pinned, confined: false, local: false };
        let (runnable, handle) =
            task::spawn(lane, home, future).map_err(|(refusal, _)| RuntimeError::from(refusal))?;
        runnable.schedule();
        Ok(handle)
    }
}
