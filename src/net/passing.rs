//! Descriptors that go from process to process with the bytes of a stream.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::buf::{BufResult, IoBuf, IoBufMut};
use crate::net::envelope::{Envelope, MAX_FDS};
use crate::net::family::Unix;
use crate::net::message::{ReceivedMsg, RecvMsg};
use crate::net::socket::Socket;
use crate::net::stash::{Brought, Given, Left};
use crate::net::stream::Stream;
use crate::net::transfer::take_given;
use crate::op::{self, Claim, Complete, Op, Unfinished};
use crate::port::Lane;
use crate::primitive::Arc;

/// What control data takes besides its descriptors: their head, and what a socket may be asked to
/// tell of the sender.
const CONTROL_BESIDES: usize = 128;

impl Stream<Unix> {
    /// Sends the whole buffer, and with its first byte these descriptors: the receiver gets others
    /// of the same files. Ours are closed when they are sent, or when it failed.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an empty buffer, because descriptors go with bytes, and for more than 253
    /// descriptors. Else as [`write_all`](Self::write_all).
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, descriptors and bytes have been sent or not, and nothing says
    /// how many bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::fs::File;
    /// use spargio::net::UnixStream;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let (near, far) = UnixStream::pair()?;
    /// let file = File::open("/proc/self/exe")?;
    /// near.send_fds("here you are", [file.into()]).await.0?;
    ///
    /// let (received, _) = far.recv_fds(Vec::with_capacity(64), 1).await;
    /// let (count, fds) = received?;
    /// assert_eq!(count, "here you are".len());
    /// for fd in fds {
    ///     assert!(File::from(fd).metadata()?.is_file());
    /// }
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn send_fds<B: IoBuf>(
        &self,
        buf: B,
        fds: impl IntoIterator<Item = OwnedFd>,
    ) -> BufResult<(), B> {
        if buf.bytes_init() == 0 {
            let text = "descriptors go with bytes, and there are 0";
            return (Err(io::Error::new(io::ErrorKind::InvalidInput, text)), buf);
        }
        let (control, fds) = match Envelope::<Unix>::new().fds(fds).into_parts() {
            Ok((_, control, fds)) => (control, fds),
            Err(error) => return (Err(error), buf),
        };
        let socket = self.socket();
        let message = socket.message(buf, None).of_stream().with_control(control, fds);
        let sent = socket.send_msg(message).await;
        socket.note_sent_msg(&sent);
        match sent.result {
            Ok(count) => self.write_from(sent.buf, count, 0).await,
            Err(error) => (Err(error), sent.buf),
        }
    }

    /// Receives some bytes, as [`read`](Self::read), and up to `most` descriptors that came with
    /// them. The kernel ends a receive behind bytes with descriptors, so that those of two sends
    /// never come together.
    ///
    /// The descriptors are closed when the process replaces itself by another program (`exec`).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a buffer without room, because descriptors come with bytes, and for a
    /// limit above 253. `InvalidData` when more descriptors came, or when the process may open no
    /// more files: those that came are closed, and the bytes are in the buffer. Else as
    /// [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// No byte and no descriptor is lost when the future is dropped: the next `recv_fds` gets them.
    /// (A plain [`read`](Self::read) gets the bytes, and the descriptors are closed, as always.)
    pub async fn recv_fds<B: IoBufMut>(
        &self,
        buf: B,
        most: usize,
    ) -> BufResult<(usize, Vec<OwnedFd>), B> {
        let invalid = |text| io::Error::new(io::ErrorKind::InvalidInput, text);
        if most > MAX_FDS {
            let text = format!("room for {most} descriptors, the most is {MAX_FDS}");
            return (Err(invalid(text)), buf);
        }
        if buf.bytes_total() == 0 {
            let text = "descriptors come with bytes, and there is room for 0".to_owned();
            return (Err(invalid(text)), buf);
        }
        let (result, buf) = RecvFds::new(self.socket(), buf, most).await;
        let result = result.and_then(|(count, Brought { fds, is_cut })| {
            if !is_cut && fds.len() <= most {
                return Ok((count, fds));
            }
            let text = format!(
                "more descriptors came than the {most} that there is room for, or than the \
                 process may open; they are closed, and {count} bytes are in the buffer"
            );
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        });
        (result, buf)
    }
}

/// Receives bytes and descriptors.
struct RecvFds<'s, B: IoBufMut> {
    socket: &'s Socket,
    state: State<'s, B>,
}

enum State<'s, B: IoBufMut> {
    /// A receive of our own.
    Own(Op<'s, RecvMsg<B>>),
    /// An earlier one was given up. Ours has not started.
    Earlier(RecvMsg<B>, Box<dyn Given>),
    Done,
}

// Nothing is pinned: buffers that the kernel uses lie in cells of their operations.
impl<B: IoBufMut> Unpin for RecvFds<'_, B> {}

impl<'s, B: IoBufMut> RecvFds<'s, B> {
    fn new(socket: &'s Socket, buf: B, most: usize) -> Self {
        let recv = socket.recv_msg(buf, most * size_of::<i32>() + CONTROL_BESIDES);
        Self { socket, state: State::Own(Op::new(recv, socket.lane())) }
    }

    /// Turns to an earlier receive, if there is one and ours has not started.
    fn turn(&self, mut op: Op<'s, RecvMsg<B>>) -> State<'s, B> {
        if !self.socket.stash.is_filled() {
            return State::Own(op);
        }
        let Some(recv) = op.take_idle() else { return State::Own(op) };
        match self.socket.stash.take() {
            Some(given) => State::Earlier(recv, given),
            None => State::Own(Op::new(recv, self.socket.lane())),
        }
    }
}

impl<B: IoBufMut> Future for RecvFds<'_, B> {
    type Output = BufResult<(usize, Brought), B>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let mut state = std::mem::replace(&mut self.state, State::Done);
            if let State::Own(op) = state {
                state = self.turn(op);
            }
            match state {
                State::Own(mut op) => {
                    let polled = Pin::new(&mut op).poll(cx);
                    let Poll::Ready(received) = polled else {
                        self.state = State::Own(op);
                        return Poll::Pending;
                    };
                    self.socket.note_received_msg(&received);
                    return Poll::Ready((received.result.map(Brought::of), received.buf));
                }
                State::Earlier(mut recv, mut given) => {
                    if given.poll(cx.waker()).is_pending() {
                        self.state = State::Earlier(recv, given);
                        return Poll::Pending;
                    }
                    if given.is_spent() {
                        self.state = State::Own(Op::new(recv, self.socket.lane()));
                        continue;
                    }
                    let (result, left) = take_given(&mut *given, &mut recv.buf, 0);
                    let brought = given.take_fds();
                    if left == Left::Bytes {
                        self.socket.stash.give_back(given);
                    }
                    return Poll::Ready((result.map(|count| (count, brought)), recv.buf));
                }
                State::Done => panic!("a receive is not polled after it was ready"),
            }
        }
    }
}

impl<B: IoBufMut> Drop for RecvFds<'_, B> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Own(mut op) => {
                let Some(claim) = op.take_claim() else { return };
                let (flight, lane) = (Flight::Ahead(claim), Arc::clone(self.socket.lane()));
                let brought = Brought::default();
                self.socket.stash.give(Box::new(GivenMsg { flight, brought, lane }));
            }
            State::Earlier(_, given) => self.socket.stash.give_back(given),
            State::Done => {}
        }
    }
}

impl<B: IoBufMut> fmt::Debug for RecvFds<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvFds").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// A receive of bytes and descriptors that was given up. Dropping it cancels it.
struct GivenMsg<B: IoBufMut> {
    flight: Flight<B>,
    /// What came beside the bytes and is not taken yet.
    brought: Brought,
    lane: Arc<dyn Lane>,
}

enum Flight<B: IoBufMut> {
    Ahead(Claim<RecvMsg<B>>),
    /// Bytes that came and are not taken yet.
    Bytes(B, Range<usize>),
    Failed(io::Error),
    Spent,
}

impl<B: IoBufMut> GivenMsg<B> {
    fn land(&mut self, received: ReceivedMsg<B>) -> Flight<B> {
        match received.result {
            Ok(came) => {
                let (count, brought) = Brought::of(came);
                self.brought = brought;
                Flight::Bytes(received.buf, 0..count)
            }
            // It waited in vain, and whoever comes next does so anew.
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Flight::Spent,
            Err(error) => Flight::Failed(error),
        }
    }
}

impl<B: IoBufMut> Given for GivenMsg<B> {
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        self.flight = match std::mem::replace(&mut self.flight, Flight::Spent) {
            Flight::Ahead(claim) => match claim.poll(waker) {
                Ok((recv, outcome)) => self.land(recv.finish(outcome.check())),
                Err(Unfinished::Pending(claim)) => {
                    self.flight = Flight::Ahead(claim);
                    return Poll::Pending;
                }
                Err(Unfinished::Lost(home)) => Flight::Failed(op::lost(home)),
            },
            over => over,
        };
        Poll::Ready(())
    }

    fn is_spent(&self) -> bool {
        matches!(self.flight, Flight::Spent)
    }

    fn take(&mut self, room: &mut [MaybeUninit<u8>]) -> (io::Result<usize>, Left) {
        match std::mem::replace(&mut self.flight, Flight::Spent) {
            Flight::Bytes(buf, range) => {
                let count = range.len().min(room.len());
                let bytes = &buf.as_init()[range.start..range.start + count];
                room[..count].write_copy_of_slice(bytes);
                if count == range.len() {
                    return (Ok(count), Left::Nothing);
                }
                self.flight = Flight::Bytes(buf, range.start + count..range.end);
                (Ok(count), Left::Bytes)
            }
            Flight::Failed(error) => (Err(error), Left::Nothing),
            Flight::Ahead(_) | Flight::Spent => {
                panic!("a receive is taken once, after it was polled ready")
            }
        }
    }

    fn take_fds(&mut self) -> Brought {
        std::mem::take(&mut self.brought)
    }
}

impl<B: IoBufMut> Drop for GivenMsg<B> {
    fn drop(&mut self) {
        if let Flight::Ahead(claim) = std::mem::replace(&mut self.flight, Flight::Spent) {
            op::cancel(claim, &self.lane);
        }
    }
}
