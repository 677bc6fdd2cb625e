//! The options of sockets that are in use: getters and setters, each a system call that does not
//! block.

use std::io;
use std::time::Duration;

use socket2::SockRef;

use crate::net::datagram::Datagram;
use crate::net::family::{Family, Ip};
use crate::net::keepalive::Keepalive;
use crate::net::listener::Listener;
use crate::net::sockopt;
use crate::net::stream::Stream;

impl<F: Family> Stream<F> {
    /// How many bytes the kernel keeps that were not read yet (`SO_RCVBUF`), its own overhead
    /// included.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        SockRef::from(self).recv_buffer_size()
    }

    /// Sets how many bytes the kernel keeps that were not read yet. It doubles the number for its
    /// overhead, and cuts it at its limit (`net.core.rmem_max`). For TCP it also ends the growing
    /// of the buffer with the connection.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_recv_buffer_size(&self, bytes: usize) -> io::Result<()> {
        SockRef::from(self).set_recv_buffer_size(bytes)
    }

    /// How many bytes the kernel keeps that were not sent or acknowledged yet (`SO_SNDBUF`), its
    /// own overhead included.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        SockRef::from(self).send_buffer_size()
    }

    /// Sets how many bytes the kernel keeps that were not sent or acknowledged yet. It doubles the
    /// number for its overhead, and cuts it at its limit (`net.core.wmem_max`). For TCP it also
    /// ends the growing of the buffer with the connection.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_send_buffer_size(&self, bytes: usize) -> io::Result<()> {
        SockRef::from(self).set_send_buffer_size(bytes)
    }

    /// Takes the error that the socket keeps for its next call (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        SockRef::from(self).take_error()
    }
}

impl Stream<Ip> {
    /// Whether small writes are sent at once.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn nodelay(&self) -> io::Result<bool> {
        SockRef::from(self).tcp_nodelay()
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`, the default here) or gathered while
    /// earlier ones are unacknowledged.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        SockRef::from(self).set_tcp_nodelay(on)
    }

    /// How many hops packets may take.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn ttl(&self) -> io::Result<u32> {
        sockopt::ttl(&SockRef::from(self))
    }

    /// Sets how many hops packets may take (`IP_TTL`, `IPV6_UNICAST_HOPS`): 1 to 255.
    ///
    /// # Errors
    ///
    /// `InvalidInput` beyond these limits.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        sockopt::set_ttl(&SockRef::from(self), hops)
    }

    /// How long closing waits for what is not sent yet.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self).linger()
    }

    /// Sets how long closing waits for what is not sent yet (`SO_LINGER`). `None`, the default: not
    /// at all, the kernel sends it later. Zero: what is not sent is thrown away, and the peer finds
    /// the connection reset.
    ///
    /// # Blocking
    ///
    /// With a time above zero the kernel blocks the thread that closes the socket, which is the
    /// shard: give it the socket back with [`into_std`](Self::into_std) and close it elsewhere. A
    /// part of a second counts as a whole one.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn set_linger(&self, time: Option<Duration>) -> io::Result<()> {
        sockopt::set_linger(&SockRef::from(self), time)
    }

    /// When the connection is probed while nothing happens; `None` if it is not.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn keepalive(&self) -> io::Result<Option<Keepalive>> {
        Keepalive::of(&SockRef::from(self))
    }

    /// Sets when the connection is probed while nothing happens (`SO_KEEPALIVE`). `None`, the
    /// default: never.
    ///
    /// # Errors
    ///
    /// `InvalidInput` beyond the limits of [`Keepalive`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use spargio::net::{TcpListener, TcpStream, Keepalive};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// stream.set_keepalive(Some(Keepalive::new().time(Duration::from_secs(30))))?;
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn set_keepalive(&self, keepalive: Option<Keepalive>) -> io::Result<()> {
        Keepalive::give(keepalive, &SockRef::from(self))
    }

    /// The network interface that the socket is bound to; `None` for any.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        SockRef::from(self).device()
    }
}

impl Listener<Ip> {
    /// How many hops packets of the connections may take.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn ttl(&self) -> io::Result<u32> {
        sockopt::ttl(&SockRef::from(self))
    }

    /// Sets how many hops packets of the connections may take that come from now on: 1 to 255.
    ///
    /// # Errors
    ///
    /// `InvalidInput` beyond these limits.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        sockopt::set_ttl(&SockRef::from(self), hops)
    }

    /// The network interface that the socket is bound to; `None` for any.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        SockRef::from(self).device()
    }
}

impl Datagram<Ip> {
    /// How many hops packets may take.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn ttl(&self) -> io::Result<u32> {
        sockopt::ttl(&SockRef::from(self))
    }

    /// Sets how many hops packets may take (`IP_TTL`, `IPV6_UNICAST_HOPS`): 1 to 255.
    ///
    /// # Errors
    ///
    /// `InvalidInput` beyond these limits.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        sockopt::set_ttl(&SockRef::from(self), hops)
    }

    /// The network interface that the socket is bound to; `None` for any.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        SockRef::from(self).device()
    }

    /// Binds the socket to a network interface (`SO_BINDTODEVICE`), or with `None` to any: only
    /// packets of that interface are sent and received.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a name of more than 15 bytes; else what the system answers, such as
    /// `NotFound`, or `PermissionDenied` for a change by an ordinary user.
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        sockopt::bind_device(&SockRef::from(self), interface)
    }
}
