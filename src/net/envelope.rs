//! What goes beside the bytes of a datagram, and what comes beside them.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use socket2::SockAddr;

use crate::net::control::Control;
use crate::net::credentials::Credentials;
use crate::net::family::{Family, Ip, Target, Unix};
use crate::net::message::Came;

/// The most descriptors that one message takes (`SCM_MAX_FD`).
pub(super) const MAX_FDS: usize = 253;

/// What [`Datagram::send_msg`](super::Datagram::send_msg) sends beside the bytes.
///
/// ```
/// use spargio::net::{Envelope, UdpSocket};
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let near = UdpSocket::bind("127.0.0.1:0").await?;
/// let far = UdpSocket::bind("127.0.0.1:0").await?;
/// // One call, three datagrams of 1000, 1000 and 500 bytes.
/// let envelope = Envelope::new().to(far.local_addr()?).segment_size(1000);
/// near.send_msg(vec![7; 2500], envelope).await.0?;
/// for expected in [1000, 1000, 500] {
///     assert_eq!(far.recv(Vec::with_capacity(1500)).await.0?, expected);
/// }
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
#[must_use = "an envelope does nothing until it is sent"]
pub struct Envelope<F: Family> {
    to: Option<SockAddr>,
    control: Control,
    fds: Vec<OwnedFd>,
    /// What was wrong with it first.
    failure: Option<io::Error>,
    family: PhantomData<fn() -> F>,
}

/// Address, control data and descriptors of an envelope.
type Parts = (Option<SockAddr>, Control, Vec<OwnedFd>);

impl<F: Family> Envelope<F> {
    /// For the address that the socket is connected to.
    pub fn new() -> Self {
        Self {
            to: None,
            control: Control::default(),
            fds: Vec::new(),
            failure: None,
            family: PhantomData,
        }
    }

    /// For this address. One that is none is an error of the send.
    pub fn to(mut self, addr: impl Target<F>) -> Self {
        match addr.sock_addr() {
            Ok(addr) => self.to = Some(addr),
            Err(error) => self.fail(error),
        }
        self
    }

    fn fail(&mut self, error: io::Error) {
        self.failure.get_or_insert(error);
    }

    pub(super) fn into_parts(mut self) -> io::Result<Parts> {
        if let Some(error) = self.failure {
            return Err(error);
        }
        if !self.fds.is_empty() {
            let numbers: Vec<u8> =
                self.fds.iter().flat_map(|fd| fd.as_raw_fd().to_ne_bytes()).collect();
            self.control.put(libc::SOL_SOCKET, libc::SCM_RIGHTS, &numbers);
        }
        Ok((self.to, self.control, self.fds))
    }
}

impl Envelope<Ip> {
    /// The kernel cuts the bytes to datagrams of this size, the last of which may be shorter, and
    /// sends them all (`UDP_SEGMENT`, at most 64 in one call, which has at most 65,535 bytes).
    pub fn segment_size(mut self, bytes: u16) -> Self {
        self.control.put(libc::SOL_UDP, libc::UDP_SEGMENT, &bytes.to_ne_bytes());
        self
    }

    /// Sends from this address of the machine, whatever the socket is bound to.
    pub fn source(mut self, ip: IpAddr) -> Self {
        let any_interface = 0u32.to_ne_bytes();
        match ip {
            IpAddr::V4(ip) => {
                // Interface, address to send from, and one that only what is received has.
                let info = [any_interface, ip.octets(), [0; 4]].concat();
                self.control.put(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            IpAddr::V6(ip) => {
                let info = [&ip.octets()[..], &any_interface].concat();
                self.control.put(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
        }
        self
    }

    /// The traffic class: the byte of the IP header whose lowest two bits are for congestion
    /// notification (ECN).
    pub fn traffic_class(mut self, class: u8) -> Self {
        let value = i32::from(class).to_ne_bytes();
        // A socket of one version passes over what is for the other.
        self.control.put(libc::IPPROTO_IP, libc::IP_TOS, &value);
        self.control.put(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &value);
        self
    }
}

impl Envelope<Unix> {
    /// With these descriptors: the receiver gets others of the same files, and these are closed
    /// when they are sent, or when it failed. At most 253.
    pub fn fds(mut self, fds: impl IntoIterator<Item = OwnedFd>) -> Self {
        self.fds.extend(fds);
        if self.fds.len() > MAX_FDS {
            let text =
                format!("{} descriptors in one message, the most is {MAX_FDS}", self.fds.len());
            self.fail(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        self
    }
}

impl<F: Family> Default for Envelope<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Family> fmt::Debug for Envelope<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = self.to.clone().map(F::from_sock_addr);
        f.debug_struct("Envelope").field("to", &to).field("fds", &self.fds).finish_non_exhaustive()
    }
}

/// A datagram that [`Datagram::recv_msg`](super::Datagram::recv_msg) or a
/// [`DatagramStream`](super::DatagramStream) received, but for its bytes.
pub struct Received<F: Family> {
    len: usize,
    full_len: usize,
    from: F::Addr,
    control: Control,
    is_control_cut: bool,
    fds: Vec<OwnedFd>,
}

impl<F: Family> Received<F> {
    pub(super) fn new(came: Came) -> io::Result<Self> {
        let Came { len, full_len, from, control, is_control_cut, fds } = came;
        Ok(Self { len, full_len, from: F::from_sock_addr(from)?, control, is_control_cut, fds })
    }

    /// How many of its bytes are in the buffer.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none of its bytes is in the buffer.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes it had.
    pub fn full_len(&self) -> usize {
        self.full_len
    }

    /// Whether it had more bytes than the buffer has room for. Those are lost.
    pub fn is_cut(&self) -> bool {
        self.len < self.full_len
    }

    /// Who sent it.
    pub fn from(&self) -> &F::Addr {
        &self.from
    }

    /// Whether there was more control data than there is room for: 512 bytes, or for a stream what
    /// it was [given](super::DatagramStream::control).
    pub fn is_control_cut(&self) -> bool {
        self.is_control_cut
    }

    fn find(&self, level: i32, kind: i32) -> Option<&[u8]> {
        let mut all = self.control.messages();
        all.find(|one| one.level == level && one.kind == kind).map(|one| one.data)
    }

    fn number(&self, level: i32, kind: i32) -> Option<i32> {
        self.find(level, kind)?.first_chunk().copied().map(i32::from_ne_bytes)
    }
}

impl Received<Ip> {
    /// If the kernel has put several datagrams together: the size of all but the last, which may be
    /// shorter. Asked for with [`set_gro`](super::UdpSocket::set_gro).
    pub fn segment_size(&self) -> Option<usize> {
        usize::try_from(self.number(libc::SOL_UDP, libc::UDP_GRO)?).ok()
    }

    /// The address that it was sent to. Asked for with
    /// [`set_recv_local_ip`](super::UdpSocket::set_recv_local_ip).
    pub fn local_ip(&self) -> Option<IpAddr> {
        if let Some(info) = self.find(libc::IPPROTO_IP, libc::IP_PKTINFO) {
            let octets: [u8; 4] = *info.get(8..)?.first_chunk()?;
            return Some(Ipv4Addr::from(octets).into());
        }
        let info = self.find(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO)?;
        let octets: [u8; 16] = *info.first_chunk()?;
        Some(Ipv6Addr::from(octets).into())
    }

    /// The traffic class, whose lowest two bits are for congestion notification (ECN). Asked for
    /// with [`set_recv_traffic_class`](super::UdpSocket::set_recv_traffic_class).
    pub fn traffic_class(&self) -> Option<u8> {
        if let Some(class) = self.find(libc::IPPROTO_IP, libc::IP_TOS) {
            return class.first().copied();
        }
        u8::try_from(self.number(libc::IPPROTO_IPV6, libc::IPV6_TCLASS)?).ok()
    }
}

impl Received<Unix> {
    /// Takes the descriptors that came with it.
    pub fn take_fds(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.fds)
    }

    /// Who sent it, as the kernel vouches for. Asked for with
    /// [`set_recv_credentials`](super::UnixDatagram::set_recv_credentials).
    pub fn credentials(&self) -> Option<Credentials> {
        let data = self.find(libc::SOL_SOCKET, libc::SCM_CREDENTIALS)?;
        Credentials::parse(data)
    }
}

impl<F: Family> fmt::Debug for Received<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("len", &self.len)
            .field("full_len", &self.full_len)
            .field("from", &self.from)
            .field("fds", &self.fds)
            .finish_non_exhaustive()
    }
}
