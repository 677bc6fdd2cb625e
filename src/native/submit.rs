//! Entries of one's own, with one answer each.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::driver::{Sqe, sqe_flags};
use crate::error::RuntimeError;
use crate::id::{NativeOpId, ShardId};
use crate::native::cqe::UringCqe;
use crate::native::raw::{Answer, Held, Raw};
use crate::native::uring_any::UringNativeAny;
use crate::op::{Aimed, Complete, Lease, Roster};

/// An operation that was given to a ring: the future of its answer.
///
/// It has a [name](Self::id) from the start, and is listed
/// ([`active_native_ops`](UringNativeAny::active_native_ops)) until the kernel has answered for the
/// last time, or until the future is dropped before it was polled. It is put on the ring of its
/// [`shard`](Self::shard) when it is polled first, wherever that is.
///
/// # Cancel safety
///
/// Dropping the future asks the kernel to cancel the operation, which may have been carried out.
/// What the operation owns stays until the kernel has let go of it, and is then dropped;
/// [`cancel`](Self::cancel) hands it back.
#[must_use = "an operation does nothing until it is polled"]
pub struct NativeOp<T> {
    id: NativeOpId,
    work: Work<T>,
}

enum Work<T> {
    Flight(Box<dyn Flight<T>>),
    /// Known without the kernel; `None` once it was said.
    Known(Option<T>),
}

/// An operation without its type.
trait Flight<T>: Send {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<T>;

    /// Polls it to its end, which comes soon: the kernel is asked for it once, which `asked`
    /// remembers.
    fn poll_end(&mut self, asked: &mut bool, cx: &mut Context<'_>) -> Poll<T>;
}

impl<O: Complete> Flight<O::Output> for Aimed<O> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<O::Output> {
        Future::poll(Pin::new(self), cx)
    }

    fn poll_end(&mut self, asked: &mut bool, cx: &mut Context<'_>) -> Poll<O::Output> {
        Self::poll_end(self, asked, cx)
    }
}

// Nothing is pinned by this future: the inner one lies in a box.
impl<T> Unpin for NativeOp<T> {}

impl<T> NativeOp<T> {
    /// The name of the operation.
    pub const fn id(&self) -> NativeOpId {
        self.id
    }

    /// The shard whose ring it goes to.
    pub const fn shard(&self) -> ShardId {
        self.id.shard()
    }

    /// Calls the operation off, waits until the kernel has let go of what it owns, and hands that
    /// back with what became of the operation all the same: it may have been carried out, as a
    /// whole or in part.
    ///
    /// The answer is the one that awaiting the operation would have had, for one of
    /// [`submit_unsafe`](UringNativeAny::submit_unsafe) what its `complete` makes of it. So an
    /// operation that had ended is told of as if nobody had called it off, and one that has not
    /// been polled is not begun any more.
    ///
    /// # Errors
    ///
    /// `ECANCELED` ([`raw_os_error`](io::Error::raw_os_error)) if nothing was done; else as the
    /// operation.
    ///
    /// # Panics
    ///
    /// If the operation was awaited to its end before; else as the operation.
    ///
    /// # Cancel safety
    ///
    /// Dropping this is dropping the operation.
    ///
    /// # Cost
    ///
    /// One more entry for the ring. While an operation is on its way to another shard it cannot be
    /// called off, and this polls until it is there.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// use std::time::Duration;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # let native = spargio::native::UringNativeAny::new_on(&runtime.handle()).unwrap();
    /// # runtime.block_on(async {
    /// let (near, _far) = UnixStream::pair()?;
    /// let mut received = native.recv_owned(near, Vec::with_capacity(4096));
    /// let limited = spargio::timeout(Duration::from_millis(2), &mut received).await;
    /// let (received, buf) = match limited {
    ///     Ok(done) => done,
    ///     Err(_) => received.cancel().await,
    /// };
    /// // The peer was silent, and the buffer is here for the next receive.
    /// assert_eq!(received.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    /// assert!(buf.capacity() >= 4096);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn cancel(mut self) -> T {
        let mut is_asked = false;
        poll_fn(|cx| self.poll_end(&mut is_asked, cx)).await
    }

    /// Polls it to its end, for which the kernel is asked once.
    pub(super) fn poll_end(&mut self, asked: &mut bool, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.work {
            Work::Flight(flight) => flight.poll_end(asked, cx),
            Work::Known(known) => said(known),
        }
    }

    /// One that needs no kernel.
    pub(super) fn known(id: NativeOpId, answer: T) -> Self {
        Self { id, work: Work::Known(Some(answer)) }
    }
}

impl<T> Future for NativeOp<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.work {
            Work::Flight(flight) => flight.poll(cx),
            Work::Known(known) => said(known),
        }
    }
}

/// What was known without the kernel.
fn said<T>(known: &mut Option<T>) -> Poll<T> {
    Poll::Ready(known.take().expect("an operation is not polled after it was ready"))
}

impl<T> fmt::Debug for NativeOp<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeOp").field("id", &self.id).finish_non_exhaustive()
    }
}

impl UringNativeAny {
    /// Gives an entry of your own to a ring.
    ///
    /// `owned` is what the entry names: buffers, paths, descriptors. It is put on the heap, where
    /// it stays until the kernel has answered for the last time, also if the future is dropped, and
    /// also if the runtime ends before. `build` is called at once, with `owned` at its place, and
    /// makes the entry; `complete` makes the output out of both, and is called also if the future
    /// was dropped meanwhile, on the shard, so that a descriptor in the answer gets an owner. (Only
    /// an operation that never reached the kernel is dropped without it.) One that is
    /// [called off](NativeOp::cancel) before it was begun is completed with `ECANCELED`.
    ///
    /// The token of the entry is set by the shard. Of its `IOSQE_*` flags only `ASYNC` and
    /// `BUFFER_SELECT` may be set: others are about the entries next to it, or leave out the
    /// answer.
    ///
    /// An operation that answers several times gives its first answer, when the last has come; this
    /// fits zero-copy sends. For all of them see
    /// [`submit_unsafe_multi`](Self::submit_unsafe_multi).
    ///
    /// # Safety
    ///
    /// From the call of `build` to the last completion:
    ///
    /// - All memory that the entry names is there and stays where it is, as long as `owned` is
    ///   neither moved nor dropped. Memory inside of `owned`, or on the heap behind it and reached
    ///   through it alone, does; memory that is borrowed from elsewhere must live for ever
    ///   (`'static`).
    /// - Nobody else writes to memory that the kernel reads, and nobody reads or writes what the
    ///   kernel writes to, by way of shares, threads or the closures.
    /// - Each length in the entry is no more than the memory there has, and what the kernel writes
    ///   is a value of the type that is read there afterwards.
    /// - Each descriptor in the entry is kept open by `owned`, and is not closed by the operation
    ///   while `owned` thinks that it has it.
    /// - The entry leaves the ring and the operations of others alone: it cancels and changes
    ///   nothing but what `owned` has, posts no messages to rings, and takes buffers from no group
    ///   but one that is your own.
    ///
    /// # Errors
    ///
    /// What `build` and `complete` say. `InvalidInput` for other flags,
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) at the limit of operations of the shard,
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe) when the runtime has ended; then `complete` is not
    /// called.
    ///
    /// # Cost
    ///
    /// Two allocations beside that of every operation, and a lock of the list.
    ///
    /// # Examples
    ///
    /// A read by hand; `examples/native_statx.rs` has an opcode that needs more:
    ///
    /// ```
    /// use std::fs::File;
    /// use std::os::fd::AsRawFd;
    /// use spargio::driver::Sqe;
    /// use spargio::native::UringNativeAny;
    ///
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let native = UringNativeAny::new()?;
    /// let owned = (File::open("Cargo.toml")?, [0u8; 16]);
    /// // SAFETY: the descriptor and the bytes are in what the operation owns, and nobody else has
    /// // them; the length is that of the bytes.
    /// let read = unsafe {
    ///     native.submit_unsafe(
    ///         owned,
    ///         |(file, bytes)| Ok(Sqe::read(file.as_raw_fd(), bytes.as_mut_ptr(), 16, 0)),
    ///         |(_, bytes), cqe| Ok((cqe.check()?, bytes)),
    ///     )
    /// };
    /// let (count, bytes) = read.await?;
    /// assert_eq!((count, &bytes[..11]), (16, &b"[workspace]"[..]));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub unsafe fn submit_unsafe<S, T, B, C>(
        &self,
        owned: S,
        build: B,
        complete: C,
    ) -> NativeOp<io::Result<T>>
    where
        S: Send + 'static,
        T: 'static,
        B: FnOnce(&mut S) -> io::Result<Sqe>,
        C: FnOnce(S, UringCqe) -> io::Result<T> + Send + 'static,
    {
        // SAFETY:
        // - passed on to the caller.
        unsafe { self.start(self.pick(), None, owned, build, checked(complete)) }
    }

    /// As [`submit_unsafe`](Self::submit_unsafe), to the ring of this shard and no other.
    ///
    /// # Safety
    ///
    /// As there.
    ///
    /// # Errors
    ///
    /// As there; `NotFound` if there is no such shard.
    pub unsafe fn submit_unsafe_on_shard<S, T, B, C>(
        &self,
        shard: impl Into<ShardId>,
        owned: S,
        build: B,
        complete: C,
    ) -> NativeOp<io::Result<T>>
    where
        S: Send + 'static,
        T: 'static,
        B: FnOnce(&mut S) -> io::Result<Sqe>,
        C: FnOnce(S, UringCqe) -> io::Result<T> + Send + 'static,
    {
        let shard = shard.into();
        if let Err(error) = self.check_shard(shard) {
            return NativeOp::known(self.roster().name(shard), Err(error.into()));
        }
        // SAFETY:
        // - passed on to the caller.
        unsafe { self.start(shard, None, owned, build, checked(complete)) }
    }

    /// The operation of an entry. `complete` learns also that the shard did not take it.
    ///
    /// # Safety
    ///
    /// As [`submit_unsafe`](Self::submit_unsafe).
    pub(super) unsafe fn start<S, T, B, C>(
        &self,
        shard: ShardId,
        lease: Option<Lease>,
        owned: S,
        build: B,
        complete: C,
    ) -> NativeOp<T>
    where
        S: Send + 'static,
        T: Answer + 'static,
        B: FnOnce(&mut S) -> io::Result<Sqe>,
        C: FnOnce(S, io::Result<UringCqe>) -> T + Send + 'static,
    {
        let id = self.roster().name(shard);
        let mut owned = Held::new(owned);
        let sqe = match build(owned.get_mut()).and_then(alone) {
            Ok(sqe) => sqe,
            Err(error) => return NativeOp::known(id, complete(owned.into_inner(), Err(error))),
        };
        let listed = Roster::enter(self.roster(), id, sqe.opcode());
        // SAFETY:
        // - passed on to the caller.
        let operation = unsafe { Raw::new(owned, sqe, complete, listed, lease) };
        let flight = Aimed::new(operation, self.lane(shard));
        NativeOp { id, work: Work::Flight(Box::new(flight)) }
    }
}

/// Passes on what the kernel answered, and by itself that it was not asked.
fn checked<S, T>(
    complete: impl FnOnce(S, UringCqe) -> io::Result<T> + Send + 'static,
) -> impl FnOnce(S, io::Result<UringCqe>) -> io::Result<T> + Send + 'static {
    move |owned, answer| complete(owned, answer?)
}

/// The entry, if it is about itself alone and answers.
pub(super) fn alone(sqe: Sqe) -> io::Result<Sqe> {
    const ALLOWED: u8 = sqe_flags::ASYNC | sqe_flags::BUFFER_SELECT;
    if sqe.flags & !ALLOWED == 0 {
        return Ok(sqe);
    }
    let text = format!("the entry has the flags {:#x}, and may have {ALLOWED:#x}", sqe.flags);
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// What a runtime without that shard says.
pub(super) fn no_shard(shard: ShardId, shards: usize) -> RuntimeError {
    RuntimeError::InvalidShard { shard, shards }
}
