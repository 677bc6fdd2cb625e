//! Which writes of a stream go without a copy by themselves.

use std::net::IpAddr;

use socket2::SockRef;

use crate::net::family::Family;
use crate::net::stream::Stream;
use crate::op::Fd;
use crate::primitive::{AtomicU8, AtomicUsize, Ordering};

/// Which calls of [`write_all`](Stream::write_all) hand the kernel the buffer itself, as
/// [`send_zc`](Stream::send_zc) does, instead of having it copied.
///
/// Such a write ends when the peer has acknowledged the last byte, where one that is copied ends
/// when the last byte is in the socket. So it pays for what is much larger than the socket's
/// memory, which waits for the peer in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ZeroCopy {
    /// None.
    Never,
    /// Those of at least so many bytes, if the peer is on another machine: not over the loopback
    /// nor to an address of this machine, where the kernel copies all the same and takes longer,
    /// and not on Unix streams, which have no such sends.
    Far(usize),
    /// Those of at least so many bytes, wherever the peer is; on Unix streams none.
    Always(usize),
}

impl ZeroCopy {
    /// The threshold of a new stream, for peers on other machines: 4 MiB.
    ///
    /// It is the most that Linux lets the memory of a socket grow to by itself
    /// (`net.ipv4.tcp_wmem`). A larger write waits for acknowledgements of most of its bytes
    /// anyway, so that waiting for all of them adds one round trip at most. Measured is the other
    /// side: over the loopback of a virtual machine with Linux 6.18, 1 KiB took 8.3 us without a
    /// copy and 7.0 with one, 64 KiB 18 and 12, 1 MiB 541 and 112. With a network card that reads
    /// the memory itself, less may pay.
    pub const DEFAULT_THRESHOLD: usize = 4 << 20;
}

impl Default for ZeroCopy {
    fn default() -> Self {
        Self::Far(Self::DEFAULT_THRESHOLD)
    }
}

/// Where the peer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Peer {
    /// Nobody has asked.
    Unknown = 0,
    /// On this machine, or nobody knows.
    Near = 1,
    Far = 2,
}

/// The policy of one socket. It is advice: all accesses are relaxed.
#[derive(Debug)]
pub(in crate::net) struct Policy {
    /// The fewest bytes; `usize::MAX` for none at all.
    threshold: AtomicUsize,
    is_anywhere: AtomicU8,
    /// A [`Peer`].
    peer: AtomicU8,
}

impl Default for Policy {
    fn default() -> Self {
        let policy = Self {
            threshold: AtomicUsize::new(0),
            is_anywhere: AtomicU8::new(0),
            peer: AtomicU8::new(Peer::Unknown as u8),
        };
        policy.set(ZeroCopy::default());
        policy
    }
}

impl Policy {
    fn set(&self, policy: ZeroCopy) {
        let (threshold, is_anywhere) = match policy {
            ZeroCopy::Never => (usize::MAX, false),
            ZeroCopy::Far(threshold) => (threshold, false),
            ZeroCopy::Always(threshold) => (threshold, true),
        };
        self.is_anywhere.store(is_anywhere.into(), Ordering::Relaxed);
        self.threshold.store(threshold, Ordering::Relaxed);
    }

    fn get(&self) -> ZeroCopy {
        let threshold = self.threshold.load(Ordering::Relaxed);
        match self.is_anywhere.load(Ordering::Relaxed) {
            _ if threshold == usize::MAX => ZeroCopy::Never,
            0 => ZeroCopy::Far(threshold),
            _ => ZeroCopy::Always(threshold),
        }
    }

    /// The kernel refused: not again on this socket.
    pub(in crate::net) fn give_up(&self) {
        self.set(ZeroCopy::Never);
    }

    /// Whether a write of so many bytes goes without a copy.
    #[inline]
    pub(in crate::net) fn pays(&self, bytes: usize, fd: &Fd) -> bool {
        // The one comparison that most writes cost.
        bytes >= self.threshold.load(Ordering::Relaxed) && self.pays_there(fd)
    }

    #[cold]
    fn pays_there(&self, fd: &Fd) -> bool {
        match self.get() {
            ZeroCopy::Never => false,
            ZeroCopy::Always(_) => true,
            ZeroCopy::Far(_) => self.is_far(fd),
        }
    }

    fn is_far(&self, fd: &Fd) -> bool {
        let known = self.peer.load(Ordering::Relaxed);
        if known != Peer::Unknown as u8 {
            return known == Peer::Far as u8;
        }
        let socket = SockRef::from(fd);
        let ip = |addr: socket2::SockAddr| addr.as_socket().map(|addr| addr.ip());
        let peer = socket.peer_addr().ok().and_then(ip);
        let own = socket.local_addr().ok().and_then(ip);
        let found = place(peer, own);
        self.peer.store(found as u8, Ordering::Relaxed);
        found == Peer::Far
    }
}

/// Where a peer of this address is, seen from this one of ours.
fn place(peer: Option<IpAddr>, own: Option<IpAddr>) -> Peer {
    match (peer.map(|ip| ip.to_canonical()), own.map(|ip| ip.to_canonical())) {
        (Some(peer), Some(own)) if !peer.is_loopback() && peer != own => Peer::Far,
        _ => Peer::Near,
    }
}

impl<F: Family> Stream<F> {
    /// Sets which writes go without a copy; for all clones of the stream. Default
    /// [`ZeroCopy::Far`] with [`ZeroCopy::DEFAULT_THRESHOLD`].
    ///
    /// It counts for [`write_all`](Self::write_all) alone: one call hands over one buffer of that
    /// size. Where the kernel refuses (it knows no such send, or may lock no more memory), the
    /// bytes are written as usual, and it is not tried again on this stream.
    ///
    /// ```
    /// use spargio::net::{TcpListener, TcpStream, ZeroCopy};
    ///
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// stream.set_zero_copy(ZeroCopy::Far(256 * 1024));
    /// // Over the loopback it never pays.
    /// assert!(!stream.is_zero_copy(1 << 30));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn set_zero_copy(&self, policy: ZeroCopy) {
        self.socket().zero_copy.set(policy);
    }

    /// Which writes go without a copy. [`ZeroCopy::Never`] also after the kernel refused one.
    pub fn zero_copy(&self) -> ZeroCopy {
        self.socket().zero_copy.get()
    }

    /// Whether a write of so many bytes goes without a copy to this peer.
    pub fn is_zero_copy(&self, bytes: usize) -> bool {
        self.socket().zero_copy.pays(bytes, self.socket().fd())
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
