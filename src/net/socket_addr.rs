//! The forms that take an address and no name: what compiles looks nothing up.

use std::io;
use std::net::SocketAddr;

use crate::net::family::Ip;
use crate::net::listener::Listener;
use crate::net::session::StreamSessionPolicy;
use crate::net::stream::Stream;
use crate::port::ToLane;

impl Listener<Ip> {
    /// As [`bind`](Self::bind), for an address alone.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn bind_socket_addr(addr: SocketAddr) -> io::Result<Self> {
        Self::bind(addr).await
    }

    /// As [`bind_on`](Self::bind_on), for an address alone.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn bind_socket_addr_on(lane: &impl ToLane, addr: SocketAddr) -> io::Result<Self> {
        Self::bind_on(lane, addr).await
    }
}

impl Stream<Ip> {
    /// As [`connect`](Self::connect), for an address alone.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// ```
    /// use spargio::net::{TcpListener, TcpStream};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let listener = TcpListener::bind_socket_addr(([127, 0, 0, 1], 0).into()).await?;
    /// let stream = TcpStream::connect_socket_addr(listener.local_addr()?).await?;
    /// # drop(stream);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn connect_socket_addr(addr: SocketAddr) -> io::Result<Self> {
        Self::connect(addr).await
    }

    /// As [`connect_on`](Self::connect_on), for an address alone.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn connect_socket_addr_on(lane: &impl ToLane, addr: SocketAddr) -> io::Result<Self> {
        Self::connect_on(lane, addr).await
    }

    /// As [`connect_round_robin`](Self::connect_round_robin), for an address alone.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn connect_socket_addr_round_robin(addr: SocketAddr) -> io::Result<Self> {
        Self::connect_round_robin(addr).await
    }

    /// As [`connect_round_robin_on`](Self::connect_round_robin_on), for an address alone.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn connect_socket_addr_round_robin_on(
        lane: &impl ToLane,
        addr: SocketAddr,
    ) -> io::Result<Self> {
        Self::connect_round_robin_on(lane, addr).await
    }

    /// As [`connect_with_session_policy`](Self::connect_with_session_policy), for an address alone.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn connect_socket_addr_with_session_policy(
        addr: SocketAddr,
        policy: StreamSessionPolicy,
    ) -> io::Result<Self> {
        Self::connect_with_session_policy(addr, policy).await
    }

    /// As [`connect_with_session_policy_on`](Self::connect_with_session_policy_on), for an
    /// address alone.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn connect_socket_addr_with_session_policy_on(
        lane: &impl ToLane,
        addr: SocketAddr,
        policy: StreamSessionPolicy,
    ) -> io::Result<Self> {
        Self::connect_with_session_policy_on(lane, addr, policy).await
    }

    /// As [`connect_many_round_robin`](Self::connect_many_round_robin), for an address alone.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn connect_many_socket_addr_round_robin(
        addr: SocketAddr,
        count: usize,
    ) -> io::Result<Vec<Self>> {
        Self::connect_many_round_robin(addr, count).await
    }

    /// As [`connect_many_round_robin_on`](Self::connect_many_round_robin_on), for an address alone.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn connect_many_socket_addr_round_robin_on(
        lane: &impl ToLane,
        addr: SocketAddr,
        count: usize,
    ) -> io::Result<Vec<Self>> {
        Self::connect_many_round_robin_on(lane, addr, count).await
    }

    /// As [`connect_many_with_session_policy`](Self::connect_many_with_session_policy), for an
    /// address alone.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn connect_many_socket_addr_with_session_policy(
        addr: SocketAddr,
        count: usize,
        policy: StreamSessionPolicy,
    ) -> io::Result<Vec<Self>> {
        Self::connect_many_with_session_policy(addr, count, policy).await
    }

    /// As [`connect_many_with_session_policy_on`](Self::connect_many_with_session_policy_on),
    /// for an address alone.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn connect_many_socket_addr_with_session_policy_on(
        lane: &impl ToLane,
        addr: SocketAddr,
        count: usize,
        policy: StreamSessionPolicy,
    ) -> io::Result<Vec<Self>> {
        Self::connect_many_with_session_policy_on(lane, addr, count, policy).await
    }
}
