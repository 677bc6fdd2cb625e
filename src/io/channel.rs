//! A descriptor without offsets: the end of a pipe, a terminal, whatever standard input is.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::io::alone::Alone;
use crate::io::bytes::fill;
use crate::op::ending::{Ending, give_up};
use crate::op::file::{FileFd, ReadAt, WriteAt};
use crate::op::{self, Claim, Complete, Op, Unfinished};
use crate::port::Lane;
use crate::primitive::Arc;

/// The descriptor's own cursor, if it has one.
const HERE: u64 = u64::MAX;

/// Reads and writes one after the other, each on the ring of the shard that polls it.
///
/// A read that is dropped stays here, and the next takes its bytes. A write that is dropped is
/// cancelled, and the next begins when it has ended.
pub(super) struct Channel {
    fd: Arc<FileFd>,
    kept: Alone<Option<Box<dyn Kept>>>,
    ending: Alone<Option<Box<dyn Ending>>>,
}

impl Channel {
    pub(super) fn new(fd: OwnedFd, lane: Arc<dyn Lane>) -> Self {
        Self::from_shared(Arc::new(FileFd::new(fd, lane)))
    }

    fn from_shared(fd: Arc<FileFd>) -> Self {
        Self { fd, kept: Alone::default(), ending: Alone::default() }
    }

    /// The descriptor, if no operation uses it and no read is kept.
    pub(super) fn into_owned(mut self) -> Result<OwnedFd, Self> {
        let ending = self.ending.get_mut();
        if ending.as_mut().is_some_and(|ending| ending.poll(Waker::noop()).is_ready()) {
            *ending = None;
        }
        if ending.is_some() || self.kept.get_mut().is_some() {
            return Err(self);
        }
        self.fd.into_owned().map_err(Self::from_shared)
    }

    pub(super) async fn read<B: IoBufMut>(&mut self, mut buf: B) -> BufResult<usize, B> {
        if buf.bytes_total() == 0 {
            return (Ok(0), buf);
        }
        let slot = self.kept.get_mut();
        let Some(kept) = slot else {
            let read = ReadAt { file: Arc::clone(&self.fd), buf, offset: HERE };
            let lane = self.fd.fd.lane();
            return Reading { op: Op::new(read, lane), lane, kept: slot }.await;
        };
        let result = poll_fn(|cx| kept.poll(cx.waker())).await.map(|()| {
            let count = fill(&mut buf, kept.bytes());
            kept.consume(count);
            count
        });
        if result.is_err() || kept.bytes().is_empty() {
            *slot = None;
        }
        (result, buf)
    }

    pub(super) async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
        if buf.bytes_init() == 0 {
            return (Ok(0), buf);
        }
        if let Err(error) = self.settle().await {
            return (Err(error), buf);
        }
        let write = WriteAt { file: Arc::clone(&self.fd), buf, offset: HERE };
        let lane = self.fd.fd.lane();
        Writing { op: Op::new(write, lane), lane, ending: self.ending.get_mut() }.await
    }

    /// Waits until a write that was dropped has ended.
    pub(super) async fn settle(&mut self) -> io::Result<()> {
        let slot = self.ending.get_mut();
        if let Some(ending) = slot {
            poll_fn(|cx| ending.poll(cx.waker())).await?;
            *slot = None;
        }
        Ok(())
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.fd.as_fd()
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("fd", &self.fd.fd).finish_non_exhaustive()
    }
}

/// A read, which is kept when it is dropped.
struct Reading<'c, B: IoBufMut> {
    op: Op<'c, ReadAt<B>>,
    lane: &'c Arc<dyn Lane>,
    kept: &'c mut Option<Box<dyn Kept>>,
}

// Nothing is pinned: a buffer in flight lies with its operation.
impl<B: IoBufMut> Unpin for Reading<'_, B> {}

impl<B: IoBufMut> Future for Reading<'_, B> {
    type Output = BufResult<usize, B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.op).poll(cx)
    }
}

impl<B: IoBufMut> Drop for Reading<'_, B> {
    fn drop(&mut self) {
        let lane = Arc::clone(self.lane);
        if let Some(claim) = self.op.take_claim() {
            *self.kept = Some(Box::new(KeptRead { state: State::InFlight(claim), lane }));
        }
    }
}

/// A read that was dropped. Dropping it cancels it.
trait Kept: Send {
    /// Whether its outcome is there; else leaves the waker.
    fn poll(&mut self, waker: &Waker) -> Poll<io::Result<()>>;

    /// The bytes that it has brought and that nobody has taken.
    fn bytes(&self) -> &[u8];

    fn consume(&mut self, count: usize);
}

struct KeptRead<B: IoBufMut> {
    state: State<B>,
    lane: Arc<dyn Lane>,
}

enum State<B: IoBufMut> {
    InFlight(Claim<ReadAt<B>>),
    Bytes(B, Range<usize>),
    Spent,
}

impl<B: IoBufMut> Kept for KeptRead<B> {
    fn poll(&mut self, waker: &Waker) -> Poll<io::Result<()>> {
        let (result, buf) = match std::mem::replace(&mut self.state, State::Spent) {
            State::InFlight(claim) => match claim.poll(waker) {
                Ok((read, outcome)) => read.finish(outcome.check()),
                Err(Unfinished::Pending(claim)) => {
                    self.state = State::InFlight(claim);
                    return Poll::Pending;
                }
                Err(Unfinished::Lost(home)) => return Poll::Ready(Err(op::lost(home))),
            },
            known => {
                self.state = known;
                return Poll::Ready(Ok(()));
            }
        };
        Poll::Ready(result.map(|count| self.state = State::Bytes(buf, 0..count)))
    }

    fn bytes(&self) -> &[u8] {
        match &self.state {
            State::Bytes(buf, range) => &buf.as_init()[range.clone()],
            State::InFlight(_) | State::Spent => &[],
        }
    }

    fn consume(&mut self, count: usize) {
        if let State::Bytes(_, range) = &mut self.state {
            range.start += count;
        }
    }
}

impl<B: IoBufMut> Drop for KeptRead<B> {
    fn drop(&mut self) {
        if let State::InFlight(claim) = std::mem::replace(&mut self.state, State::Spent) {
            op::cancel(claim, &self.lane);
        }
    }
}

/// A write, which is cancelled when it is dropped.
struct Writing<'c, B: IoBuf> {
    op: Op<'c, WriteAt<B>>,
    lane: &'c Arc<dyn Lane>,
    ending: &'c mut Option<Box<dyn Ending>>,
}

// Nothing is pinned, as for reads.
impl<B: IoBuf> Unpin for Writing<'_, B> {}

impl<B: IoBuf> Future for Writing<'_, B> {
    type Output = BufResult<usize, B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.op).poll(cx)
    }
}

impl<B: IoBuf> Drop for Writing<'_, B> {
    fn drop(&mut self) {
        if let Some(claim) = self.op.take_claim() {
            *self.ending = give_up(claim, self.lane);
        }
    }
}
