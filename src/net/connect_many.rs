//! Connections that are placed: one by a policy, and many at once.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;

use crate::net::address::ToAddrs;
use crate::net::family::Ip;
use crate::net::lookup::addresses;
use crate::net::session::{StreamSessionPolicy, choose};
use crate::net::stream::Stream;
use crate::placement::LeastLoaded;
use crate::port::{self, Lane, ToLane};
use crate::primitive::Arc;

/// How many connections are made at the same time.
const AT_ONCE: usize = 64;

type Attempt = Pin<Box<dyn Future<Output = io::Result<Stream<Ip>>> + Send>>;

impl Stream<Ip> {
    /// As [`connect`](Self::connect); the connection belongs to the shard that the policy says.
    ///
    /// # Errors
    ///
    /// As there; `NotFound` for a shard that does not exist.
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::net::{StreamSessionPolicy, TcpListener, TcpStream};
    /// # let runtime = spargio::Runtime::builder().shards(2).build().unwrap();
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let addr = listener.local_addr()?;
    /// let policy = StreamSessionPolicy::Fixed(1.into());
    /// let stream = TcpStream::connect_with_session_policy(addr, policy).await?;
    /// assert_eq!(stream.session_shard().get(), 1);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn connect_with_session_policy(
        addr: impl ToAddrs,
        policy: StreamSessionPolicy,
    ) -> io::Result<Self> {
        let lane = port::ambient_lane("TcpStream::connect_with_session_policy_on")?;
        Self::connect_placed(lane, addr, policy).await
    }

    /// As [`connect_with_session_policy`](Self::connect_with_session_policy), on any thread: a
    /// stream of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect_with_session_policy_on(
        lane: &impl ToLane,
        addr: impl ToAddrs,
        policy: StreamSessionPolicy,
    ) -> io::Result<Self> {
        let lane = lane.to_lane().0;
        Self::connect_placed(lane, addr, policy).await
    }

    /// As [`connect`](Self::connect); the connection belongs to the shard whose turn it is, counted
    /// for all connections of the runtime that are made so.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect_round_robin(addr: impl ToAddrs) -> io::Result<Self> {
        let lane = port::ambient_lane("TcpStream::connect_round_robin_on")?;
        Self::connect_placed(lane, addr, StreamSessionPolicy::RoundRobin).await
    }

    /// As [`connect_round_robin`](Self::connect_round_robin), on any thread: a stream of this
    /// runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect_round_robin_on(
        lane: &impl ToLane,
        addr: impl ToAddrs,
    ) -> io::Result<Self> {
        let lane = lane.to_lane().0;
        Self::connect_placed(lane, addr, StreamSessionPolicy::RoundRobin).await
    }

    async fn connect_placed(
        lane: Arc<dyn Lane>,
        addr: impl ToAddrs,
        policy: StreamSessionPolicy,
    ) -> io::Result<Self> {
        policy.check(&lane)?;
        let home = choose(lane.turns(), policy, &lane);
        Self::connect_lane(home, addr).await
    }

    /// Makes `count` connections to an address, or to the first of several that answers; each
    /// belongs to the next shard in turn, beginning with shard 0. See
    /// [`connect_many_with_session_policy`](Self::connect_many_with_session_policy).
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::net::{TcpListener, TcpStream};
    /// # let runtime = spargio::Runtime::builder().shards(2).build().unwrap();
    /// # runtime.block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let streams = TcpStream::connect_many_round_robin(listener.local_addr()?, 4).await?;
    /// let shards: Vec<_> = streams.iter().map(|it| it.session_shard().get()).collect();
    /// assert_eq!(shards, [0, 1, 0, 1]);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn connect_many_round_robin(
        addr: impl ToAddrs,
        count: usize,
    ) -> io::Result<Vec<Self>> {
        let lane = port::ambient_lane("TcpStream::connect_many_round_robin_on")?;
        Self::connect_many(lane, addr, count, StreamSessionPolicy::RoundRobin).await
    }

    /// As [`connect_many_round_robin`](Self::connect_many_round_robin), on any thread: streams of
    /// this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect_many_round_robin_on(
        lane: &impl ToLane,
        addr: impl ToAddrs,
        count: usize,
    ) -> io::Result<Vec<Self>> {
        let lane = lane.to_lane().0;
        Self::connect_many(lane, addr, count, StreamSessionPolicy::RoundRobin).await
    }

    /// Makes `count` connections, each as [`connect`](Self::connect) does, which belong to the
    /// shards that the policy says; the turns of this call are counted by themselves.
    ///
    /// Up to 64 are made at the same time. A name is looked up once. The result is in the order of
    /// the turns.
    ///
    /// # Errors
    ///
    /// All or none: the first error of any connection is that of the whole, and says which address
    /// it is about. The other attempts then end, and the connections that were made are closed.
    /// Else as [`connect`](Self::connect); `NotFound` for a shard that does not exist.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the attempts end, and the connections that were made are closed.
    pub async fn connect_many_with_session_policy(
        addr: impl ToAddrs,
        count: usize,
        policy: StreamSessionPolicy,
    ) -> io::Result<Vec<Self>> {
        let lane = port::ambient_lane("TcpStream::connect_many_with_session_policy_on")?;
        Self::connect_many(lane, addr, count, policy).await
    }

    /// As [`connect_many_with_session_policy`](Self::connect_many_with_session_policy), on any
    /// thread: streams of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect_many_with_session_policy_on(
        lane: &impl ToLane,
        addr: impl ToAddrs,
        count: usize,
        policy: StreamSessionPolicy,
    ) -> io::Result<Vec<Self>> {
        let lane = lane.to_lane().0;
        Self::connect_many(lane, addr, count, policy).await
    }

    async fn connect_many(
        lane: Arc<dyn Lane>,
        addr: impl ToAddrs,
        count: usize,
        policy: StreamSessionPolicy,
    ) -> io::Result<Vec<Self>> {
        policy.check(&lane)?;
        let wanted = addr.wanted();
        let addrs: Arc<[SocketAddr]> = addresses(wanted).await?.into();
        let turns = LeastLoaded::new();
        let start = || -> Attempt {
            let (home, addrs) = (choose(&turns, policy, &lane), Arc::clone(&addrs));
            Box::pin(async move { Self::connect_addrs(home, addrs.to_vec()).await })
        };
        all(count, start).await
    }
}

/// Runs so many attempts, [`AT_ONCE`] of them at a time: what they come to in the order in which
/// they started, or the first error.
async fn all(count: usize, mut start: impl FnMut() -> Attempt) -> io::Result<Vec<Stream<Ip>>> {
    let mut done: Vec<Option<Stream<Ip>>> = Vec::new();
    let mut running: Vec<(usize, Attempt)> = Vec::new();
    poll_fn(|cx| {
        loop {
            while running.len() < AT_ONCE && done.len() < count {
                running.push((done.len(), start()));
                done.push(None);
            }
            let mut ended = 0;
            let mut at = 0;
            while let Some((place, attempt)) = running.get_mut(at) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(stream) => {
                        done[*place] = Some(stream?);
                        drop(running.swap_remove(at));
                        ended += 1;
                    }
                    Poll::Pending => at += 1,
                }
            }
            if running.is_empty() && done.len() == count {
                return Poll::Ready(io::Result::Ok(()));
            }
            // Those that start in the place of others must be polled once.
            if ended == 0 || done.len() == count {
                return Poll::Pending;
            }
        }
    })
    .await?;
    Ok(done.into_iter().flatten().collect())
}
