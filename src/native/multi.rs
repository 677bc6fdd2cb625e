//! Entries of one's own that answer again and again, as streams.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::mem::replace;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll, Wake, Waker};

use futures_core::Stream;

use crate::contain::{guard, wake};
use crate::driver::Sqe;
use crate::id::{NativeOpId, ShardId};
use crate::native::cqe::UringCqe;
use crate::native::mail::Mail;
use crate::native::raw::Held;
use crate::native::submit::alone;
use crate::native::uring_any::UringNativeAny;
use crate::op::{self, Aimed, Complete, Lease, Listed, Operation, Outcome, Roster};
use crate::primitive::{Arc, Mutex, lock};

/// Answers that nobody has taken yet, unless another limit is asked for.
const UNREAD: usize = 1024;

/// The answers of an operation that answers again and again:
/// [`submit_unsafe_multi`](UringNativeAny::submit_unsafe_multi).
///
/// It starts when it is polled first. After the last answer it has ended, and answers `None`. It is
/// a [`Stream`] too.
///
/// # Limit
///
/// When 1,024 answers, or as many as [`limit`](Self::limit) says, wait to be taken, the operation
/// is cancelled. What came until then can be taken; the end is an error of the kind
/// [`WouldBlock`](io::ErrorKind::WouldBlock).
///
/// # Cancel safety
///
/// Dropping the future of [`next`](Self::next) loses nothing. Dropping the stream cancels the
/// operation; answers that nobody took, and those that still come, are made into outputs and
/// dropped, so that descriptors in them are closed.
#[must_use = "an operation does nothing until it is polled"]
pub struct NativeOps<T> {
    id: NativeOpId,
    mail: Arc<Mail<T>>,
    /// `None` if it never was one.
    flight: Option<Arc<dyn Fly>>,
}

impl<T> NativeOps<T> {
    /// The name of the operation.
    pub const fn id(&self) -> NativeOpId {
        self.id
    }

    /// The shard whose ring it goes to.
    pub const fn shard(&self) -> ShardId {
        self.id.shard()
    }

    /// At so many answers that nobody has taken the operation is cancelled; at least 1.
    pub fn limit(self, answers: usize) -> Self {
        self.mail.set_limit(answers);
        self
    }

    /// The next answer; `None` after the last one, and then again and again.
    ///
    /// # Errors
    ///
    /// What the closure says of an answer; what is said of the operation in
    /// [`submit_unsafe`](UringNativeAny::submit_unsafe).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<io::Result<T>> {
        poll_fn(|cx| self.poll_answer(cx)).await
    }

    /// Asks the kernel to end the operation. What has come can still be taken, and what comes until
    /// its end; the last answer is as a rule that it was cancelled (`ECANCELED`). When `None`
    /// follows it, the kernel has let go of all that the operation owns.
    pub fn cancel(&self) {
        if let Some(flight) = &self.flight {
            flight.give_up();
        }
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<T>>> {
        if let Poll::Ready(answer) = self.mail.look(cx.waker()) {
            return Poll::Ready(answer);
        }
        // At its end it says so in the mail, and wakes whoever has looked there.
        if let Some(flight) = &self.flight
            && flight.poll(cx).is_ready()
        {
            return self.mail.look(cx.waker());
        }
        Poll::Pending
    }
}

impl<T> Stream for NativeOps<T> {
    type Item = io::Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<T>>> {
        self.poll_answer(cx)
    }
}

impl<T> Drop for NativeOps<T> {
    fn drop(&mut self) {
        self.mail.abandon();
    }
}

impl<T> fmt::Debug for NativeOps<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeOps").field("id", &self.id).finish_non_exhaustive()
    }
}

/// An operation without its type.
trait Fly: Send + Sync {
    /// Starts it, or looks whether it has ended: then it has said so in the mail.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Gives it up: it is cancelled, and says in the mail when it has ended.
    fn give_up(&self);
}

struct Flight<S: Send + 'static, T: 'static>(Mutex<Slot<Aimed<Many<S, T>>>>);

enum Slot<O> {
    Here(O),
    /// The reader polls it just now.
    Polled,
    /// It was given up, or has ended.
    Gone,
}

impl<S: Send + 'static, T: 'static> Fly for Flight<S, T> {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let before = replace(&mut *lock(&self.0), Slot::Polled);
        let Slot::Here(mut op) = before else {
            *lock(&self.0) = Slot::Gone;
            return Poll::Pending;
        };
        let polled = Pin::new(&mut op).poll(cx);
        let mut slot = lock(&self.0);
        if polled.is_ready() {
            *slot = Slot::Gone;
        } else if matches!(*slot, Slot::Polled) {
            *slot = Slot::Here(op);
            return polled;
        }
        // It was given up meanwhile.
        drop(slot);
        drop(op);
        polled
    }

    fn give_up(&self) {
        let op = replace(&mut *lock(&self.0), Slot::Gone);
        drop(op);
    }
}

/// Gives an operation up, if there still is one, and wakes its reader.
struct Curb<S: Send + 'static, T: 'static> {
    flight: Weak<Flight<S, T>>,
    mail: Weak<Mail<T>>,
}

impl<S: Send + 'static, T: 'static> Wake for Curb<S, T> {
    fn wake(self: Arc<Self>) {
        if let Some(flight) = self.flight.upgrade() {
            flight.give_up();
        }
        let reader = self.mail.upgrade().and_then(|mail| mail.take_reader());
        reader.into_iter().for_each(wake);
    }
}

/// An entry with what it names, that answers again and again.
struct Many<S, T> {
    // Field order is drop order: the lease ends before the descriptor may close, and the reader
    // learns of the end when there is nothing left.
    _listed: Listed,
    _lease: Option<Lease>,
    /// Kept for the kernel only.
    _owned: Held<S>,
    sqe: Sqe,
    told: Told<T>,
}

/// Tells the reader that the operation is over, at the latest when it is dropped.
struct Told<T> {
    mail: Arc<Mail<T>>,
    home: ShardId,
    last: Option<io::Result<UringCqe>>,
}

impl<T> Drop for Told<T> {
    fn drop(&mut self) {
        let last = self.last.take();
        // Without an answer it was never given to the kernel.
        let last = last.unwrap_or_else(|| Err(io::Error::from_raw_os_error(libc::ECANCELED)));
        if let Some(reader) = self.mail.end(last) {
            wake(reader);
        }
        self.mail.discard();
    }
}

// SAFETY: I1:
// - whoever made it vouched for the addresses and the descriptors of the entry, which `_owned`
//   keeps, and `_owned` neither moves nor drops its value when `self` is moved.
unsafe impl<S: Send + 'static, T: 'static> Operation for Many<S, T> {
    fn entry(&mut self) -> Sqe {
        self.sqe
    }

    fn more(&mut self, outcome: Outcome) -> Option<Waker> {
        self.told.mail.push(UringCqe::from(outcome))
    }

    fn lost(&mut self) -> Option<Waker> {
        let reader = self.told.mail.end(Err(op::lost(self.told.home)));
        // This is never dropped, and nobody else would close what came for a reader who is gone.
        guard(|| self.told.mail.discard());
        reader
    }

    fn abandon(mut self, outcome: Option<Outcome>) {
        self.told.last = outcome.map(UringCqe::answer);
    }
}

impl<S: Send + 'static, T: 'static> Complete for Many<S, T> {
    type Output = ();

    fn finish(mut self, outcome: io::Result<Outcome>) {
        self.told.last = Some(outcome.map(UringCqe::from));
    }

    fn end(mut self, outcome: Outcome) {
        self.told.last = Some(UringCqe::answer(outcome));
    }

    fn finish_lost(_: ShardId) {
        // The mail was told when it was lost.
    }
}

impl UringNativeAny {
    /// As [`submit_unsafe`](Self::submit_unsafe), for an entry that answers again and again:
    /// multishot polls, accepts, receives. Each answer goes through `each`, in the order in which
    /// they came, also those that nobody takes any more.
    ///
    /// # Safety
    ///
    /// As there. What `each` makes of an answer belongs to that answer alone: a descriptor in it is
    /// taken once.
    ///
    /// # Errors
    ///
    /// As there; they are the first and only item.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::{TcpListener, TcpStream};
    /// use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    /// use spargio::driver::Sqe;
    /// use spargio::native::UringNativeAny;
    ///
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let addr = listener.local_addr()?;
    /// // SAFETY: each answer that is no error is a new descriptor, taken here and nowhere else.
    /// let accept = |fd: u32| unsafe { OwnedFd::from_raw_fd(fd as i32) };
    /// // SAFETY: the entry names no memory; the descriptor is that of what the operation owns.
    /// let mut accepted = unsafe {
    ///     UringNativeAny::new()?.submit_unsafe_multi(
    ///         listener,
    ///         |listener| Ok(Sqe::accept_multi(listener.as_raw_fd(), libc::SOCK_CLOEXEC)),
    ///         move |cqe| cqe.check().map(accept),
    ///     )
    /// };
    /// let peers = [TcpStream::connect(addr)?, TcpStream::connect(addr)?];
    /// for peer in &peers {
    ///     let stream = TcpStream::from(accepted.next().await.expect("not the end")?);
    ///     assert_eq!(stream.local_addr()?, peer.peer_addr()?);
    /// }
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub unsafe fn submit_unsafe_multi<S, T, B, E>(
        &self,
        owned: S,
        build: B,
        each: E,
    ) -> NativeOps<T>
    where
        S: Send + 'static,
        T: 'static,
        B: FnOnce(&mut S) -> io::Result<Sqe>,
        E: Fn(UringCqe) -> io::Result<T> + Send + Sync + 'static,
    {
        // SAFETY:
        // - passed on to the caller.
        unsafe { self.start_multi(self.pick(), None, owned, build, each) }
    }

    /// As [`submit_unsafe_multi`](Self::submit_unsafe_multi), on the ring of this shard and no
    /// other.
    ///
    /// # Safety
    ///
    /// As there.
    ///
    /// # Errors
    ///
    /// As there; `NotFound` if there is no such shard.
    pub unsafe fn submit_unsafe_multi_on_shard<S, T, B, E>(
        &self,
        shard: impl Into<ShardId>,
        owned: S,
        build: B,
        each: E,
    ) -> NativeOps<T>
    where
        S: Send + 'static,
        T: 'static,
        B: FnOnce(&mut S) -> io::Result<Sqe>,
        E: Fn(UringCqe) -> io::Result<T> + Send + Sync + 'static,
    {
        let shard = shard.into();
        let build = |owned: &mut S| {
            self.check_shard(shard)?;
            build(owned)
        };
        // SAFETY:
        // - passed on to the caller; without such a shard there is no entry.
        unsafe { self.start_multi(shard, None, owned, build, each) }
    }

    /// # Safety
    ///
    /// As [`submit_unsafe_multi`](Self::submit_unsafe_multi).
    pub(super) unsafe fn start_multi<S, T, B, E>(
        &self,
        shard: ShardId,
        lease: Option<Lease>,
        owned: S,
        build: B,
        each: E,
    ) -> NativeOps<T>
    where
        S: Send + 'static,
        T: 'static,
        B: FnOnce(&mut S) -> io::Result<Sqe>,
        E: Fn(UringCqe) -> io::Result<T> + Send + Sync + 'static,
    {
        let id = self.roster().name(shard);
        let mail = Arc::new(Mail::new(UNREAD, each));
        let mut owned = Held::new(owned);
        let sqe = match build(owned.get_mut()).and_then(alone) {
            Ok(sqe) => sqe,
            Err(error) => {
                let nobody = mail.end(Err(error));
                drop(nobody);
                return NativeOps { id, mail, flight: None };
            }
        };
        let told = Told { mail: Arc::clone(&mail), home: shard, last: None };
        let _listed = Roster::enter(self.roster(), id, sqe.opcode());
        let many = Many { _listed, _lease: lease, _owned: owned, sqe, told };
        let aimed = Aimed::new(many, self.lane(shard));
        let flight = Arc::new(Flight(Mutex::new(Slot::Here(aimed))));
        let curb = Curb { flight: Arc::downgrade(&flight), mail: Arc::downgrade(&mail) };
        mail.set_curb(Waker::from(Arc::new(curb)));
        NativeOps { id, mail, flight: Some(flight) }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
