//! What only UDP has: binding and connecting by address, and its options.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::net::address::ToAddrs;
use crate::net::datagram::Datagram;
use crate::net::family::Ip;
use crate::net::lookup::addresses;
use crate::net::sockopt;
use crate::net::tcp::naming;
use crate::port::{self, Lane, ToLane};
use crate::primitive::Arc;

impl Datagram<Ip> {
    /// Binds to an address, or to the first of several that can be had. Port 0 asks the system for
    /// a free one; [`local_addr`](Self::local_addr) tells which.
    ///
    /// Options that must be set before are set on a socket of one's own, which
    /// [`from_std`](Self::from_std) takes over.
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`bind_on`](Self::bind_on). What the system answers, with
    /// the address: `AddrInUse`, `AddrNotAvailable`, `PermissionDenied`. What
    /// [`lookup_host`](super::lookup_host) answers.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped there is no socket.
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let socket = spargio::net::UdpSocket::bind("127.0.0.1:0").await?;
    /// assert_ne!(socket.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn bind(addr: impl ToAddrs) -> io::Result<Self> {
        let lane = port::ambient_lane("UdpSocket::bind_on")?;
        Self::bind_lane(lane, addr).await
    }

    /// As [`bind`](Self::bind), on any thread: a socket of this runtime.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn bind_on(lane: &impl ToLane, addr: impl ToAddrs) -> io::Result<Self> {
        let lane = lane.to_lane().0;
        Self::bind_lane(lane, addr).await
    }

    async fn bind_lane(lane: Arc<dyn Lane>, addr: impl ToAddrs) -> io::Result<Self> {
        let wanted = addr.wanted();
        let mut failure = None;
        for addr in addresses(wanted).await? {
            match bind_one(addr) {
                Ok(socket) => return Ok(Self::from_fd(socket.into(), lane, None)),
                Err(error) => failure = Some(naming("cannot bind to", addr, error)),
            }
        }
        Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    /// Connects to an address, or to the first of several that the system takes:
    /// [`send`](Self::send) goes there, and only what comes from there is received.
    ///
    /// Nothing is sent, so that nothing is known about who is there.
    ///
    /// # Errors
    ///
    /// What the system answers for the last address, with the address. What
    /// [`lookup_host`](super::lookup_host) answers.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the socket is connected or not.
    pub async fn connect(&self, addr: impl ToAddrs) -> io::Result<()> {
        let wanted = addr.wanted();
        let mut failure = None;
        for addr in addresses(wanted).await? {
            match SockRef::from(self).connect(&SockAddr::from(addr)) {
                Ok(()) => return Ok(()),
                Err(error) => failure = Some(naming("cannot connect to", addr, error)),
            }
        }
        Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    /// Whether it may send to broadcast addresses.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn broadcast(&self) -> io::Result<bool> {
        SockRef::from(self).broadcast()
    }

    /// Sets whether it may send to broadcast addresses (`SO_BROADCAST`). Not at first.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        SockRef::from(self).set_broadcast(on)
    }

    /// Joins a multicast group, on the interface with this address; `0.0.0.0` for the one that the
    /// system prefers.
    ///
    /// # Errors
    ///
    /// What the system answers, such as `InvalidInput` for an address that is no group.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        SockRef::from(self).join_multicast_v4(&group, &interface)
    }

    /// Leaves a multicast group that it has joined on this interface.
    ///
    /// # Errors
    ///
    /// What the system answers, such as `AddrNotAvailable` if it has not.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        SockRef::from(self).leave_multicast_v4(&group, &interface)
    }

    /// Joins a multicast group, on the interface with this index; 0 for the one that the system
    /// prefers.
    ///
    /// # Errors
    ///
    /// As [`join_multicast_v4`](Self::join_multicast_v4).
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        SockRef::from(self).join_multicast_v6(&group, interface)
    }

    /// Leaves a multicast group that it has joined on this interface.
    ///
    /// # Errors
    ///
    /// As [`leave_multicast_v4`](Self::leave_multicast_v4).
    pub fn leave_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        SockRef::from(self).leave_multicast_v6(&group, interface)
    }

    /// Sets whether this machine gets what it sends to multicast groups, for IPv4
    /// (`IP_MULTICAST_LOOP`). At first it does.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        SockRef::from(self).set_multicast_loop_v4(on)
    }

    /// Sets how many hops packets to multicast groups may take, for IPv4. At first 1: they stay in
    /// the network of their sender.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_multicast_ttl_v4(&self, hops: u32) -> io::Result<()> {
        SockRef::from(self).set_multicast_ttl_v4(hops)
    }

    /// Sets the interface that packets to multicast groups leave by, for IPv4, by its address.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_multicast_interface_v4(&self, interface: Ipv4Addr) -> io::Result<()> {
        SockRef::from(self).set_multicast_if_v4(&interface)
    }

    /// Sets the interface that packets to multicast groups leave by, for IPv6, by its index.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_multicast_interface_v6(&self, interface: u32) -> io::Result<()> {
        SockRef::from(self).set_multicast_if_v6(interface)
    }

    /// Sets whether this machine gets what it sends to multicast groups, for IPv6. At first it
    /// does.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        SockRef::from(self).set_multicast_loop_v6(on)
    }

    /// Whether this machine gets what it sends to multicast groups, for IPv4.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        SockRef::from(self).multicast_loop_v4()
    }

    /// How many hops packets to multicast groups may take, for IPv4.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        SockRef::from(self).multicast_ttl_v4()
    }

    /// Whether this machine gets what it sends to multicast groups, for IPv6.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        SockRef::from(self).multicast_loop_v6()
    }

    /// How many hops packets to multicast groups may take, for IPv6.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn multicast_hops_v6(&self) -> io::Result<u32> {
        SockRef::from(self).multicast_hops_v6()
    }

    /// Sets how many hops packets to multicast groups may take, for IPv6: 0 to 255. At first 1:
    /// they stay in the network of their sender.
    ///
    /// # Errors
    ///
    /// `InvalidInput` beyond these limits.
    pub fn set_multicast_hops_v6(&self, hops: u32) -> io::Result<()> {
        if hops > 255 {
            let text = format!("{hops} hops to multicast groups, the most is 255");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        SockRef::from(self).set_multicast_hops_v6(hops)
    }

    /// Sets whether the kernel puts datagrams of one sender together, as far as they came together
    /// and have the same size (`UDP_GRO`). One receive then brings several, up to 64 KiB, and
    /// [`segment_size`](super::Received::segment_size) of what [`recv_msg`](Self::recv_msg) answers
    /// says where they end; [`recv`](Self::recv) and [`recv_from`](Self::recv_from) do not.
    ///
    /// # Errors
    ///
    /// What the system answers: kernels before 5.0 do not know it.
    pub fn set_gro(&self, on: bool) -> io::Result<()> {
        sockopt::set(self, libc::SOL_UDP, libc::UDP_GRO, i32::from(on))
    }

    /// Sets whether [`recv_msg`](Self::recv_msg) says which address a datagram was sent to
    /// (`IP_PKTINFO`).
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_recv_local_ip(&self, on: bool) -> io::Result<()> {
        if self.local_addr()?.is_ipv6() {
            let name = libc::IPV6_RECVPKTINFO;
            return sockopt::set(self, libc::IPPROTO_IPV6, name, i32::from(on));
        }
        sockopt::set(self, libc::IPPROTO_IP, libc::IP_PKTINFO, i32::from(on))
    }

    /// Sets whether [`recv_msg`](Self::recv_msg) says the traffic class of a datagram
    /// (`IP_RECVTOS`).
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_recv_traffic_class(&self, on: bool) -> io::Result<()> {
        if self.local_addr()?.is_ipv6() {
            SockRef::from(self).set_recv_tclass_v6(on)?;
        }
        // (A socket for both versions gets those of the other as well.)
        SockRef::from(self).set_recv_tos_v4(on)
    }
}

/// None of these calls blocks.
fn bind_one(addr: SocketAddr) -> io::Result<Socket> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new_raw(Domain::for_address(addr), kind, None)?;
    socket.bind(&SockAddr::from(addr))?;
    Ok(socket)
}
