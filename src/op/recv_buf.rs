//! Received bytes where the kernel put them, and the memory that it puts them to.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::os::fd::RawFd;

use crate::buf::IoBuf;
use crate::buf::pool::{Armed, Loan};
use crate::driver::Sqe;
use crate::inflight::Outcome;
use crate::port::{self, Port};

/// Bytes that were received, in the buffer that the kernel put them to: nothing is copied.
///
/// The buffers belong to shards, which lend them to their kernel again and again. This one is yours
/// until it is dropped, which gives it back, on whatever thread; it may also outlive the runtime.
/// While many are held the shard makes more, up to
/// [`recv_buffers`](crate::Builder::recv_buffers); after that, streams receive into memory of their
/// own. So holding them costs memory and never makes anybody wait.
///
/// It dereferences to the bytes, and is an [`IoBuf`], so that it can be sent as it is.
///
/// # Examples
///
/// ```
/// # use spargio::net::{TcpListener, TcpStream};
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// # let listener = TcpListener::bind("127.0.0.1:0").await?;
/// # let peer = TcpStream::connect(listener.local_addr()?).await?;
/// # let (stream, _) = listener.accept().await?;
/// # peer.write_all("GET /").await.0?;
/// let mut bytes = stream.recv_stream().next().await.expect("not the end")?;
/// assert!(bytes.starts_with(b"GET"));
/// bytes.advance(4);
/// assert_eq!(&bytes[..], b"/");
/// stream.write_all(bytes).await.0?;
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct RecvBuf {
    memory: Memory,
    start: usize,
    end: usize,
}

enum Memory {
    /// A buffer of a shard. Taken out by the destructor only.
    Lent(ManuallyDrop<Loan>),
    Own(Vec<u8>),
}

impl RecvBuf {
    /// The first `len` bytes of a buffer that the kernel has filled so far.
    fn lent(loan: Loan, len: usize) -> Self {
        let end = len.min(loan.bytes().len());
        Self { memory: Memory::Lent(ManuallyDrop::new(loan)), start: 0, end }
    }

    /// Bytes in memory of their own.
    pub(crate) fn own(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        Self { memory: Memory::Own(bytes), start: 0, end }
    }

    /// Gives up the first bytes.
    ///
    /// # Panics
    ///
    /// If there are fewer than `count`.
    ///
    /// ```
    /// # use spargio::net::{UnixListener, UnixStream};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let (near, far) = UnixStream::pair()?;
    /// # near.write_all("length body").await.0?;
    /// # let mut bytes = far.recv_stream().next().await.expect("not the end")?;
    /// bytes.advance(7);
    /// assert_eq!(&bytes[..], b"body");
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    #[track_caller]
    pub fn advance(&mut self, count: usize) {
        let len = self.len();
        assert!(count <= len, "{count} bytes were to be given up, and there are {len}");
        self.start += count;
    }

    /// Keeps the first bytes only; all if there are no more than `len`.
    pub fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start.saturating_add(len));
    }

    /// Whether the bytes are in a buffer of a shard, and not in memory of their own.
    pub fn is_provided(&self) -> bool {
        matches!(self.memory, Memory::Lent(_))
    }
}

impl Deref for RecvBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let bytes = match &self.memory {
            Memory::Lent(loan) => loan.bytes(),
            Memory::Own(bytes) => bytes,
        };
        &bytes[self.start..self.end]
    }
}

impl DerefMut for RecvBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes = match &mut self.memory {
            Memory::Lent(loan) => loan.bytes_mut(),
            Memory::Own(bytes) => bytes,
        };
        &mut bytes[self.start..self.end]
    }
}

impl AsRef<[u8]> for RecvBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

// SAFETY:
// - O1, O3: pointer and length of one slice, which is initialised, and which nobody else has.
// - O2: the bytes are in a mapping that the loan keeps, or on the heap: moving the value does not
//   move them.
// - O4: two getters.
unsafe impl IoBuf for RecvBuf {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.len()
    }
}

impl Drop for RecvBuf {
    fn drop(&mut self) {
        let Memory::Lent(loan) = &mut self.memory else { return };
        // SAFETY:
        // - this is the destructor, so nobody uses the field afterwards.
        let loan = unsafe { ManuallyDrop::take(loan) };
        // A loan that comes back finds its way by itself.
        drop(port::with(|port| match port {
            Some(port) => port.take_back(loan),
            None => Err(loan),
        }));
    }
}

impl fmt::Debug for RecvBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBuf")
            .field("len", &self.len())
            .field("is_provided", &self.is_provided())
            .finish_non_exhaustive()
    }
}

/// Where a receive puts its bytes: decided when it is put on a ring, and owned by the operation.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// The kernel takes one buffer after the other out of a group.
    armed: Option<Armed>,
    /// Memory of the operation's own.
    own: Vec<u8>,
}

impl Room {
    /// The entry of a receive on the shard whose thread this is: one that fills about so many
    /// provided buffers, or without a bound as many as come on kernels that know none; one into
    /// memory of its own with `None`, and when there are no buffers.
    ///
    /// What it names is kept by `self`.
    pub(crate) fn entry(&mut self, fd: RawFd, buffers: Option<usize>) -> Sqe {
        self.armed = buffers.and_then(|_| arm());
        let size = buffer_size();
        if let (Some(armed), Some(buffers)) = (&self.armed, buffers) {
            return Sqe::recv_multi(fd, armed.group(), armed.bound(buffers));
        }
        self.own.reserve_exact(size);
        let len = crate::buf::transfer_len(self.own.capacity());
        Sqe::recv(fd, self.own.as_mut_ptr(), len, 0)
    }

    /// Whether the entry was one for many buffers.
    pub(crate) fn is_many(&self) -> bool {
        self.armed.is_some()
    }

    /// The bytes that a completion brought; `None` for none.
    ///
    /// # Safety
    ///
    /// It is a completion of the operation whose entry was made by [`entry`](Self::entry), and is
    /// taken once.
    pub(crate) unsafe fn brought(&mut self, outcome: Outcome) -> Option<RecvBuf> {
        let count = usize::try_from(outcome.result).unwrap_or(0);
        let Some(armed) = &self.armed else {
            let mut bytes = std::mem::take(&mut self.own);
            let count = count.min(bytes.capacity());
            // SAFETY:
            // - the kernel wrote `count` bytes from the first on, which the capacity has room for.
            unsafe { bytes.set_len(count) };
            if count < bytes.capacity() / 4 {
                // It may be held for long.
                bytes.shrink_to_fit();
            }
            return (count > 0).then(|| RecvBuf::own(bytes));
        };
        // SAFETY:
        // - the caller's promise.
        let bytes = unsafe { lent(armed, outcome) }?;
        (count > 0).then_some(bytes)
    }
}

/// What a completion brought in a provided buffer; `None` if it names none. A completion that
/// brought nothing may name one too, which goes back when this is dropped.
///
/// # Safety
///
/// It is a completion of an operation whose entry named the group of `armed`, and is taken once.
pub(crate) unsafe fn lent(armed: &Armed, outcome: Outcome) -> Option<RecvBuf> {
    let count = usize::try_from(outcome.result).unwrap_or(0);
    // SAFETY:
    // - O10 of the driver: the entry named the group of this stock, so the completion names a
    //   buffer that was in its ring, and it is taken once: the caller's promise.
    let loan = unsafe { Loan::new(armed.stock(), outcome.buffer()?) }?;
    Some(RecvBuf::lent(loan, count))
}

/// Arms an operation of the shard whose thread this is for its provided buffers. `None` if there
/// are none.
pub(crate) fn arm() -> Option<Armed> {
    port::with(|port| port.and_then(Port::provided))
}

/// How many bytes a provided buffer of the shard has whose thread this is.
pub(crate) fn buffer_size() -> usize {
    port::with(|port| port.map_or(DEFAULT_SIZE, Port::provided_size))
}

/// The size of a buffer on a thread that is no shard, where no receive is put on a ring.
const DEFAULT_SIZE: usize = 16_384;
