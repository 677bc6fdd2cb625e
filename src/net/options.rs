//! How a listener is set up.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::id::ShardId;
use crate::net::address::ToAddrs;
use crate::net::family::{Family, Ip};
use crate::net::listener::Listener;
use crate::net::lookup::addresses;
use crate::net::session::sibling;
use crate::net::tcp::naming;
use crate::port::{self, Lane, ToLane};
use crate::primitive::Arc;

/// Connections that the kernel keeps for a listener unless something else is asked for. The
/// system's own limit (`net.core.somaxconn`) cuts it.
const BACKLOG: u32 = 4096;
/// Connections that a listener takes from the kernel ahead of `accept` unless something else is
/// asked for.
const ACCEPT_AHEAD: usize = 1024;

/// The options of a listener: [`TcpListener::builder`](super::TcpListener::builder).
///
/// ```
/// use spargio::net::TcpListener;
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let listener = TcpListener::builder().reuse_port(true).backlog(64).bind("127.0.0.1:0").await?;
/// # drop(listener);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until `bind`"]
pub struct ListenOptions {
    reuse_address: bool,
    reuse_port: bool,
    only_v6: Option<bool>,
    backlog: u32,
    accept_ahead: usize,
}

impl ListenOptions {
    /// The defaults: addresses are reused, ports are not.
    pub fn new() -> Self {
        Self {
            reuse_address: true,
            reuse_port: false,
            only_v6: None,
            backlog: BACKLOG,
            accept_ahead: ACCEPT_AHEAD,
        }
    }

    /// Whether the address may be taken while connections of an earlier listener linger
    /// (`SO_REUSEADDR`). Default: yes.
    pub fn reuse_address(mut self, on: bool) -> Self {
        self.reuse_address = on;
        self
    }

    /// Whether several listeners may have the same address, and share its connections
    /// (`SO_REUSEPORT`). Default: no.
    pub fn reuse_port(mut self, on: bool) -> Self {
        self.reuse_port = on;
        self
    }

    /// Whether a listener on an IPv6 address leaves IPv4 alone (`IPV6_V6ONLY`). Default: what the
    /// system does, usually not. Without effect on IPv4 addresses.
    pub fn only_v6(mut self, on: bool) -> Self {
        self.only_v6 = Some(on);
        self
    }

    /// How many connections the kernel keeps that were not taken yet. Default: 4096, or the
    /// system's limit `net.core.somaxconn` if that is less.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// How many connections the listener takes from the kernel before `accept` asks for them, so
    /// that `accept` finds them ready. At this limit it stops taking them, and the kernel's backlog
    /// fills; it goes on when the last of them was accepted. Those that the kernel has handed over
    /// before the stop reaches it are kept as well. Default: 1024.
    pub fn accept_ahead(mut self, connections: usize) -> Self {
        self.accept_ahead = connections;
        self
    }

    /// Listens on the first of these addresses that can be had.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a limit of 0 connections to accept ahead; else as
    /// [`TcpListener::bind`](super::TcpListener::bind).
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped there is no listener.
    pub async fn bind(self, addr: impl ToAddrs) -> io::Result<Listener<Ip>> {
        let lane = port::ambient_lane("ListenOptions::bind_on")?;
        self.bind_lane(lane, addr).await
    }

    /// As [`bind`](Self::bind), on any thread: a listener of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn bind_on(self, lane: &impl ToLane, addr: impl ToAddrs) -> io::Result<Listener<Ip>> {
        let lane = lane.to_lane().0;
        self.bind_lane(lane, addr).await
    }

    /// Listens with a socket for each shard, all on the same address (`SO_REUSEPORT`): the kernel
    /// deals the connections out among them by a hash of the addresses, and no shard hands any to
    /// another. In the order of the shards; each belongs to its shard
    /// ([`session_shard`](Listener::session_shard)), where a pinned task should accept from it.
    ///
    /// When one of them closes, connections that the kernel has dealt to it and nobody accepted are
    /// closed.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::net::TcpListener;
    /// # let runtime = spargio::Runtime::builder().shards(2).build().unwrap();
    /// # let handle = runtime.handle();
    /// # runtime.block_on(async {
    /// let listeners = TcpListener::builder().bind_per_shard("127.0.0.1:0").await?;
    /// assert_eq!(listeners.len(), 2);
    /// for listener in listeners {
    ///     handle.spawn_pinned(listener.session_shard(), async move {
    ///         while let Ok((stream, _)) = listener.accept().await {
    ///             // Serve it here.
    /// #           drop(stream);
    ///         }
    ///     })?;
    /// }
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn bind_per_shard(self, addr: impl ToAddrs) -> io::Result<Vec<Listener<Ip>>> {
        let lane = port::ambient_lane("ListenOptions::bind_per_shard_on")?;
        self.bind_lanes(lane, addr).await
    }

    /// As [`bind_per_shard`](Self::bind_per_shard), on any thread: listeners of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn bind_per_shard_on(
        self,
        lane: &impl ToLane,
        addr: impl ToAddrs,
    ) -> io::Result<Vec<Listener<Ip>>> {
        let lane = lane.to_lane().0;
        self.bind_lanes(lane, addr).await
    }

    async fn bind_lanes(
        self,
        lane: Arc<dyn Lane>,
        addr: impl ToAddrs,
    ) -> io::Result<Vec<Listener<Ip>>> {
        let options = self.reuse_port(true);
        let mut shards = (0..lane.shards()).map(ShardId::from_index);
        let mut listeners = Vec::with_capacity(shards.len());
        if let Some(first) = shards.next() {
            let lane = sibling(&lane, first);
            listeners.push(options.clone().bind_lane(lane, addr).await?);
        }
        for shard in shards {
            // The first may have asked the system for a free port.
            let addr = listeners[0].local_addr()?;
            let lane = sibling(&lane, shard);
            listeners.push(options.clone().bind_lane(lane, addr).await?);
        }
        Ok(listeners)
    }

    pub(super) async fn bind_lane(
        self,
        lane: Arc<dyn Lane>,
        addr: impl ToAddrs,
    ) -> io::Result<Listener<Ip>> {
        if self.accept_ahead == 0 {
            let text = "accept_ahead is 0, the least is 1";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let wanted = addr.wanted();
        let mut failure = None;
        for addr in addresses(wanted).await? {
            match self.listen(addr) {
                Ok(socket) => {
                    return Ok(Listener::new(socket.into(), lane, self.accept_ahead, None));
                }
                Err(error) => failure = Some(naming("cannot listen on", addr, error)),
            }
        }
        Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    /// None of these calls blocks.
    fn listen(&self, addr: SocketAddr) -> io::Result<Socket> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new_raw(Domain::for_address(addr), kind, None)?;
        socket.set_reuse_address(self.reuse_address)?;
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        if let (Some(only_v6), SocketAddr::V6(_)) = (self.only_v6, addr) {
            socket.set_only_v6(only_v6)?;
        }
        Ip::prepare_stream(&SockRef::from(&socket))?;
        socket.bind(&SockAddr::from(addr))?;
        socket.listen(i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
        Ok(socket)
    }
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The backlog of a listener that was not made by options.
pub(super) const fn default_backlog() -> u32 {
    BACKLOG
}

/// The limit of a listener that was not made by options.
pub(super) const fn default_accept_ahead() -> usize {
    ACCEPT_AHEAD
}
