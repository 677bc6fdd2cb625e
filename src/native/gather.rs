//! Receiving with one operation until there is enough.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::Pin;
use std::task::Waker;

use crate::driver::{Opcode, Sqe};
use crate::id::ShardId;
use crate::native::batch::{NativeBatch, Rest};
use crate::native::uring_any::UringNativeAny;
use crate::op::{self, Aimed, Complete, Lease, Listed, Operation, Outcome, RecvBuf, Room, Roster};
use crate::primitive::{Arc, Mutex, lock};

/// The size of a provided buffer unless another is asked for: a guess at how many are needed.
const SIZE: usize = 16_384;

/// What one receive of many buffers brought:
/// [`recv_multishot_segments`](UringNativeAny::recv_multishot_segments).
#[derive(Default, Debug)]
pub struct UringRecvMultishotSegments {
    /// All bytes, in the order in which they came.
    pub buffer: Vec<u8>,
    /// Which of them came together: one after the other, without a gap.
    pub segments: Vec<UringRecvSegment>,
    /// What ended the receive when some bytes had come. A socket tells an error once, so the next
    /// receive may not.
    pub error: Option<io::Error>,
}

/// Bytes that came together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UringRecvSegment {
    /// Where they begin in the buffer.
    pub offset: usize,
    /// How many there are; at least 1.
    pub len: usize,
}

impl UringRecvMultishotSegments {
    fn push(&mut self, bytes: &[u8]) {
        self.segments.push(UringRecvSegment { offset: self.buffer.len(), len: bytes.len() });
        self.buffer.extend_from_slice(bytes);
    }
}

impl UringNativeAny {
    /// Receives until there are at least `target` bytes, or the stream ends: with one operation for
    /// many buffers, which the shard [provides](crate::Builder::recv_buffers), and where there are
    /// none with one after the other. What comes beyond the target until the operation has ended is
    /// in the result too.
    ///
    /// The bytes are copied once, so that the buffers go back at once;
    /// [`recv_stream`](crate::net::Stream::recv_stream) copies none.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, what was received is lost; [`cancel`](NativeBatch::cancel) hands
    /// it back.
    ///
    /// # Errors
    ///
    /// What `recv(2)` answers; those of [`submit_unsafe`](Self::submit_unsafe). After some bytes
    /// the result is these bytes, with the error beside them.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # let native = spargio::native::UringNativeAny::new_on(&runtime.handle()).unwrap();
    /// # runtime.block_on(async {
    /// let (near, mut far) = UnixStream::pair()?;
    /// far.write_all(b"a message")?;
    /// let came = native.recv_multishot_segments(near, 9).await?;
    /// assert_eq!(came.buffer, b"a message");
    /// assert_eq!((came.segments[0].offset, came.segments[0].len), (0, 9));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn recv_multishot_segments<F>(
        &self,
        fd: F,
        target: usize,
    ) -> NativeBatch<io::Result<UringRecvMultishotSegments>>
    where
        F: AsFd + Send + Sync + 'static,
    {
        let native = self.clone();
        NativeBatch::new(|rest| async move { native.recv_until(fd, target, rest).await })
    }

    async fn recv_until<F>(
        &self,
        fd: F,
        target: usize,
        rest: Rest,
    ) -> io::Result<UringRecvMultishotSegments>
    where
        F: AsFd + Send + Sync + 'static,
    {
        let lease = self.acquire_affinity(Arc::new(fd));
        let mut came = UringRecvMultishotSegments::default();
        let mut many = true;
        loop {
            let missing = target.saturating_sub(came.buffer.len());
            if missing == 0 {
                return Ok(came);
            }
            let next = self.lease(lease.fd().as_fd().as_raw_fd());
            let buffers = many.then(|| missing.div_ceil(SIZE));
            let (bufs, end) =
                self.gather(next, Arc::clone(lease.fd()), missing, buffers, &rest).await;
            bufs.iter().for_each(|bytes| came.push(bytes));
            match end {
                End::Over => return Ok(came),
                End::Passing => {}
                End::OneByOne => many = false,
                End::Failed(error) => {
                    // Why it was to end is no error beside the bytes.
                    came.error = rest.result(error, came.buffer.len()).err();
                    return match came.error.take() {
                        Some(error) if came.buffer.is_empty() => Err(error),
                        error => Ok(UringRecvMultishotSegments { error, ..came }),
                    };
                }
            }
        }
    }

    /// As [`recv_multishot_segments`](Self::recv_multishot_segments): the bytes alone.
    ///
    /// # Cancel safety
    ///
    /// As there.
    ///
    /// # Errors
    ///
    /// As there; an error takes the bytes with it that came before.
    pub fn recv_multishot<F>(&self, fd: F, target: usize) -> NativeBatch<io::Result<Vec<u8>>>
    where
        F: AsFd + Send + Sync + 'static,
    {
        let native = self.clone();
        NativeBatch::new(|rest| async move {
            let came = native.recv_until(fd, target, rest).await?;
            came.error.map_or(Ok(came.buffer), Err)
        })
    }

    /// Receives with one operation until so many bytes have come, or it ends by itself.
    async fn gather<F>(
        &self,
        lease: Lease,
        fd: Arc<F>,
        target: usize,
        buffers: Option<usize>,
        rest: &Rest,
    ) -> (Vec<RecvBuf>, End)
    where
        F: AsFd + Send + Sync + 'static,
    {
        let shard = lease.shard();
        let listed = Roster::enter(self.roster(), self.roster().name(shard), Opcode::RECV);
        let reader = Arc::new(Mutex::new(None::<Waker>));
        let gather = Gather {
            _listed: listed,
            _lease: lease,
            number: fd.as_fd().as_raw_fd(),
            _fd: fd,
            room: Room::default(),
            buffers,
            bufs: Vec::new(),
            missing: target,
            reader: Arc::clone(&reader),
        };
        let mut op = Aimed::new(gather, self.lane(shard));
        let mut is_asked = false;
        poll_fn(|cx| {
            let before = {
                let waker = cx.waker().clone();
                lock(&reader).replace(waker)
            };
            // None of an earlier poll: there is enough, and the shard has taken it.
            let has_enough = before.is_none();
            drop(before);
            if rest.is_called_off() {
                return op.poll_end(&mut is_asked, cx);
            }
            if has_enough {
                op.ask_to_end();
            }
            Pin::new(&mut op).poll(cx)
        })
        .await
    }
}

/// How a receive has ended.
enum End {
    /// The stream has.
    Over,
    /// It may be asked again.
    Passing,
    /// There is no buffer, or the kernel does not know how.
    OneByOne,
    Failed(io::Error),
}

/// One receive of many buffers, or of one.
struct Gather<F> {
    // Field order is drop order: the lease ends before the descriptor may close.
    _listed: Listed,
    _lease: Lease,
    /// Keeps the descriptor open.
    _fd: Arc<F>,
    /// Asked for once, where a panic of the user's code is the caller's.
    number: RawFd,
    room: Room,
    /// How many provided buffers to fill; `None` for memory of its own.
    buffers: Option<usize>,
    bufs: Vec<RecvBuf>,
    /// How many bytes are still to come.
    missing: usize,
    /// Who is to ask for the end when there is enough.
    reader: Arc<Mutex<Option<Waker>>>,
}

// SAFETY: I1:
// - the room, which `self` owns, keeps what its entry names: a share of the memory of provided
//   buffers, or memory on the heap that stays where it is when `self` is moved.
// - `self._fd` keeps the fd open: it is not touched while its loan goes on.
unsafe impl<F: AsFd + Send + Sync + 'static> Operation for Gather<F> {
    fn entry(&mut self) -> Sqe {
        self.room.entry(self.number, self.buffers)
    }

    fn more(&mut self, outcome: Outcome) -> Option<Waker> {
        // SAFETY:
        // - it is a completion of this operation, and each is passed on once.
        let bytes = unsafe { self.room.brought(outcome) }?;
        self.missing = self.missing.saturating_sub(bytes.len());
        self.bufs.push(bytes);
        if self.missing == 0 { lock(&self.reader).take() } else { None }
    }

    fn abandon(mut self, outcome: Option<Outcome>) {
        if let Some(outcome) = outcome {
            // SAFETY:
            // - it is the last completion of this operation, which is consumed.
            drop(unsafe { self.room.brought(outcome) });
        }
    }
}

impl<F: AsFd + Send + Sync + 'static> Complete for Gather<F> {
    type Output = (Vec<RecvBuf>, End);

    fn finish(self, outcome: io::Result<Outcome>) -> Self::Output {
        match outcome {
            Ok(outcome) => self.end(outcome),
            Err(error) => (self.bufs, End::Failed(error)),
        }
    }

    fn end(mut self, outcome: Outcome) -> Self::Output {
        // SAFETY:
        // - it is the last completion of this operation, which is consumed.
        let last = unsafe { self.room.brought(outcome) };
        self.bufs.extend(last);
        let is_many = self.room.is_many();
        let end = match outcome.check() {
            Ok(outcome) if outcome.result == 0 => End::Over,
            Ok(_) => End::Passing,
            Err(error) => match error.raw_os_error() {
                // The last is about a kernel thread that was to wait for the socket.
                Some(libc::EINTR | libc::EAGAIN) => End::Passing,
                // It was asked for.
                Some(libc::ECANCELED) if self.missing == 0 => End::Passing,
                Some(libc::ENOBUFS | libc::EINVAL) if is_many => End::OneByOne,
                _ => End::Failed(error),
            },
        };
        (self.bufs, end)
    }

    fn finish_lost(home: ShardId) -> Self::Output {
        (Vec::new(), End::Failed(op::lost(home)))
    }
}

impl<F> fmt::Debug for Gather<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather").field("missing", &self.missing).finish_non_exhaustive()
    }
}
