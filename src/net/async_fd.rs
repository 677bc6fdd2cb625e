//! Descriptors of others: waiting until a non-blocking call on one would succeed.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::task::Poll;

use crate::net::poll::{Seen, Sight, check_pollable, poll_once};
use crate::net::ready::{Interest, Ready};
use crate::net::watch::Watch;
use crate::op::Fd;
use crate::port::{self, Lane, Port, ToLane};
use crate::primitive::Arc;

/// A descriptor that is not spargio's, to be waited for on the ring: one of a C library, a timerfd,
/// an inotify or a udev watch, a device.
///
/// It does no I/O: it tells when the owner's own non-blocking call would succeed. For sockets,
/// files and pipes that the ring can read from, the types of [`net`](super) and
/// [`fs`](crate::fs) need one system call less.
///
/// # Waiting
///
/// - [`readable`](Self::readable), [`writable`](Self::writable) and [`ready`](Self::ready) ask the
///   kernel each time, with one operation: what they answer was so a moment ago, and nothing is
///   kept that could be out of date.
/// - [`async_io`](Self::async_io) makes the call first and waits only if it would block. That is
///   the form to prefer.
/// - [`watch`](Self::watch) asks the kernel once and is told of every change, for descriptors that
///   become ready often.
///
/// Any number of tasks may wait at the same time, for the same or for different things; when it
/// becomes so, all of them are told.
///
/// # Descriptors
///
/// The value stays the caller's, and so does the `O_NONBLOCK` flag, which must be set: a call that
/// blocks, blocks the shard. The ring waits on a duplicate of the descriptor, so that
/// [`into_inner`](Self::into_inner) gives the value back at once; the duplicate closes when the
/// last wait, dropped ones included, has left the kernel.
///
/// # Examples
///
/// ```
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
/// use spargio::net::{AsyncFd, Interest};
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// # runtime.block_on(async {
/// let (near, mut far) = UnixStream::pair()?;
/// near.set_nonblocking(true)?;
/// let near = AsyncFd::new(near)?;
///
/// far.write_all(b"ping")?;
/// let mut buf = [0; 16];
/// let count = near.async_io(Interest::READABLE, |mut near| near.read(&mut buf)).await?;
/// assert_eq!(&buf[..count], b"ping");
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
pub struct AsyncFd<T> {
    /// A duplicate of the descriptor of `inner`.
    fd: Fd,
    inner: T,
}

impl<T: AsFd> AsyncFd<T> {
    /// Takes a value with a descriptor over.
    ///
    /// # Errors
    ///
    /// On a thread without a runtime, see [`new_on`](Self::new_on). `Unsupported` for files that
    /// cannot be waited for, which are always ready: regular files, directories, `/dev/null`. Else
    /// what the system answers, such as at the limit of open files. The value is dropped;
    /// [`try_new`](Self::try_new) gives it back.
    pub fn new(inner: T) -> io::Result<Self> {
        Self::try_new(inner).map_err(|error| error.error)
    }

    /// As [`new`](Self::new), on any thread: waits from threads that are no shards of this runtime
    /// go to the ring of this shard.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn new_on(lane: &impl ToLane, inner: T) -> io::Result<Self> {
        Self::try_new_on(lane, inner).map_err(|error| error.error)
    }

    /// As [`new`](Self::new), and gives the value back if it cannot be waited for.
    ///
    /// # Errors
    ///
    /// As there, with the value.
    ///
    /// ```
    /// use spargio::net::AsyncFd;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// let file = std::fs::File::open("/proc/self/exe").unwrap();
    /// let (file, error) = AsyncFd::try_new(file).unwrap_err().into_parts();
    /// assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    /// assert!(file.metadata().unwrap().is_file());
    /// # });
    /// ```
    pub fn try_new(inner: T) -> Result<Self, AsyncFdTryNewError<T>> {
        match port::ambient_lane("AsyncFd::new_on") {
            Ok(lane) => Self::adopt(lane, inner),
            Err(error) => Err(AsyncFdTryNewError { inner, error }),
        }
    }

    /// As [`try_new`](Self::try_new), on any thread.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn try_new_on(lane: &impl ToLane, inner: T) -> Result<Self, AsyncFdTryNewError<T>> {
        Self::adopt(lane.to_lane().0, inner)
    }

    fn adopt(lane: Arc<dyn Lane>, inner: T) -> Result<Self, AsyncFdTryNewError<T>> {
        let duplicate = check_pollable(inner.as_fd());
        match duplicate.and_then(|()| inner.as_fd().try_clone_to_owned()) {
            Ok(fd) => Ok(Self { fd: Fd::new(fd, lane), inner }),
            Err(error) => Err(AsyncFdTryNewError { inner, error }),
        }
    }
}

impl<T> AsyncFd<T> {
    /// The value.
    pub const fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The value, to be changed. It must not get another descriptor: the old one would be waited
    /// for.
    pub const fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Gives the value back, at once.
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// Waits until something can be read, or the peer has ended.
    ///
    /// # Errors
    ///
    /// What the system answers; `WouldBlock` at the limit of operations in flight, `BrokenPipe`
    /// during the shutdown of the runtime. An error of the descriptor itself makes it ready: its
    /// next call tells.
    ///
    /// # Cancel safety
    ///
    /// A dropped wait is cancelled, and nothing is lost: the descriptor is as ready as before.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// # use std::os::unix::net::UnixStream;
    /// # use spargio::net::AsyncFd;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let (near, mut far) = UnixStream::pair()?;
    /// # near.set_nonblocking(true)?;
    /// # far.write_all(b"ping")?;
    /// let fd = AsyncFd::new(near)?;
    /// let mut buf = [0; 16];
    /// let count = loop {
    ///     let mut guard = fd.readable().await?;
    ///     match guard.try_io(|fd| fd.get_ref().read(&mut buf)) {
    ///         Ok(result) => break result?,
    ///         Err(_would_block) => continue,
    ///     }
    /// };
    /// assert_eq!(count, 4);
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn readable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::READABLE).await
    }

    /// Waits until something can be written.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn writable(&self) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        self.ready(Interest::WRITABLE).await
    }

    /// Waits until one of these things is so.
    ///
    /// # Errors
    ///
    /// As [`readable`](Self::readable).
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn ready(&self, interest: Interest) -> io::Result<AsyncFdReadyGuard<'_, T>> {
        let ready = poll_once(&self.fd, interest).await?;
        Ok(AsyncFdReadyGuard { fd: self, ready, sight: None })
    }

    /// Makes a non-blocking call until it does not answer `WouldBlock`, and waits between the
    /// attempts. What it answers then.
    ///
    /// # Errors
    ///
    /// Those of the call, and as [`readable`](Self::readable).
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped it has made calls that answered `WouldBlock`, or none.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut call: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        consume_budget().await;
        loop {
            match call(&self.inner) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            poll_once(&self.fd, interest).await?;
        }
    }

    /// As [`async_io`](Self::async_io), for calls that change the value.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn async_io_mut<R>(
        &mut self,
        interest: Interest,
        mut call: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        consume_budget().await;
        loop {
            match call(&mut self.inner) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            poll_once(&self.fd, interest).await?;
        }
    }

    /// Waits again and again with one operation, which is told of every change.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// # use std::os::unix::net::UnixStream;
    /// use spargio::net::{AsyncFd, Interest};
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # runtime.block_on(async {
    /// # let (near, mut far) = UnixStream::pair()?;
    /// # near.set_nonblocking(true)?;
    /// let fd = AsyncFd::new(near)?;
    /// let mut watch = fd.watch(Interest::READABLE);
    /// for _ in 0..3 {
    ///     far.write_all(b"ping")?;
    ///     let count = loop {
    ///         let mut guard = watch.ready().await?;
    ///         match guard.try_io(|fd| fd.get_ref().read(&mut [0; 16])) {
    ///             Ok(result) => break result?,
    ///             Err(_would_block) => continue,
    ///         }
    ///     };
    ///     assert_eq!(count, 4);
    /// }
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub fn watch(&self, interest: Interest) -> Watch<'_, T> {
        Watch::new(self, interest)
    }

    pub(super) fn shared(&self) -> &Fd {
        &self.fd
    }
}

impl<T: AsFd> AsFd for AsyncFd<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl<T: AsFd> AsRawFd for AsyncFd<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.as_fd().as_raw_fd()
    }
}

impl<T: fmt::Debug> fmt::Debug for AsyncFd<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFd").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// Lets others run after so many calls that did not have to wait.
async fn consume_budget() {
    poll_fn(|cx| {
        if port::with(|port| port.is_none_or(Port::consume_budget)) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A descriptor that was ready when the kernel looked; see [`AsyncFd::readable`].
pub struct AsyncFdReadyGuard<'a, T> {
    fd: &'a AsyncFd<T>,
    ready: Ready,
    /// Where a watch keeps what it was told, and what that was.
    sight: Option<(&'a Sight, Seen)>,
}

impl<'a, T> AsyncFdReadyGuard<'a, T> {
    /// Of a watch, which keeps what it was told.
    pub(super) fn watched(fd: &'a AsyncFd<T>, sight: &'a Sight, seen: Seen) -> Self {
        Self { fd, ready: seen.ready, sight: Some((sight, seen)) }
    }

    /// What it was ready for.
    pub const fn ready(&self) -> Ready {
        self.ready
    }

    /// The descriptor.
    pub const fn get_ref(&self) -> &'a AsyncFd<T> {
        self.fd
    }

    /// The value with the descriptor.
    pub const fn get_inner(&self) -> &'a T {
        self.fd.get_ref()
    }

    /// Makes a non-blocking call. If it answers `WouldBlock`, the descriptor was not ready after
    /// all, or is no more: that is noted, and the next wait waits for the next change.
    ///
    /// # Errors
    ///
    /// [`TryIoError`] if the call answers `WouldBlock`; other errors of the call are its result.
    pub fn try_io<R>(
        &mut self,
        call: impl FnOnce(&AsyncFd<T>) -> io::Result<R>,
    ) -> Result<io::Result<R>, TryIoError> {
        match call(self.fd) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.clear_ready();
                Err(TryIoError(()))
            }
            result => Ok(result),
        }
    }

    /// Notes that the descriptor is not ready any more: a call of the owner's own answered
    /// `WouldBlock`. Only a [`Watch`] keeps what it was told, and needs that; elsewhere it changes
    /// nothing but what [`ready`](Self::ready) answers.
    pub fn clear_ready(&mut self) {
        if let Some((sight, seen)) = self.sight {
            sight.clear(seen);
        }
        self.ready = Ready::EMPTY;
    }
}

impl<T> fmt::Debug for AsyncFdReadyGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFdReadyGuard").field("ready", &self.ready).finish_non_exhaustive()
    }
}

/// The call would have blocked: [`AsyncFdReadyGuard::try_io`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TryIoError(());

impl fmt::Display for TryIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the descriptor is not ready, and the call would have blocked")
    }
}

impl Error for TryIoError {}

/// A value whose descriptor cannot be waited for: [`AsyncFd::try_new`].
pub struct AsyncFdTryNewError<T> {
    inner: T,
    error: io::Error,
}

impl<T> AsyncFdTryNewError<T> {
    /// The value, and why it was refused.
    pub fn into_parts(self) -> (T, io::Error) {
        (self.inner, self.error)
    }
}

impl<T> fmt::Debug for AsyncFdTryNewError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncFdTryNewError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for AsyncFdTryNewError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl<T> Error for AsyncFdTryNewError<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
