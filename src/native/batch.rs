//! Operations of several steps, and how the rest of the steps is called off.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::native::submit::NativeOp;
use crate::primitive::{Arc, AtomicBool, Ordering};

/// An operation of several steps on one descriptor: the future of what became of all of them.
///
/// The steps have no names of their own, and each is listed
/// ([`active_native_ops`](crate::native::UringNativeAny::active_native_ops)) while the kernel has
/// it.
///
/// # Cancel safety
///
/// Dropping the future ends it after the step that is under way, which the kernel is asked to
/// cancel. Buffers and bytes are lost with it; [`cancel`](Self::cancel) hands them back.
#[must_use = "an operation does nothing until it is polled"]
pub struct NativeBatch<T> {
    steps: Pin<Box<dyn Future<Output = T> + Send>>,
    rest: Rest,
}

impl<T> NativeBatch<T> {
    /// The steps that `make` makes, which ask the [`Rest`] whether there are to be more.
    pub(super) fn new<F>(make: impl FnOnce(Rest) -> F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let rest = Rest(Arc::new(AtomicBool::new(false)));
        Self { steps: Box::pin(make(rest.clone())), rest }
    }

    /// Calls off the step that is under way and all that are left, waits until the kernel has let
    /// go of the buffers, and hands back all of them with how far it got: a result of so many bytes
    /// says that they have gone, or have come.
    ///
    /// # Errors
    ///
    /// `ECANCELED` ([`raw_os_error`](io::Error::raw_os_error)) if there were none; else as the
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
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    /// use std::time::Duration;
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # let native = spargio::native::UringNativeAny::new_on(&runtime.handle()).unwrap();
    /// # runtime.block_on(async {
    /// let (near, mut far) = UnixStream::pair()?;
    /// far.write_all(b"one")?;
    /// let bufs = vec![Vec::with_capacity(3), Vec::with_capacity(3)];
    /// let mut received = native.recv_batch_into(near, bufs);
    /// let limited = spargio::timeout(Duration::from_millis(2), &mut received).await;
    /// let (received, bufs) = match limited {
    ///     Ok(done) => done,
    ///     Err(_) => received.cancel().await,
    /// };
    /// assert_eq!(received?, 3);
    /// assert_eq!((&bufs[0][..], bufs[1].capacity()), (&b"one"[..], 3));
    /// # std::io::Result::Ok(())
    /// # }).unwrap();
    /// ```
    pub async fn cancel(self) -> T {
        // Relaxed: whoever polls has the future, and comes after this.
        self.rest.0.store(true, Ordering::Relaxed);
        self.steps.await
    }
}

impl<T> Future for NativeBatch<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.steps.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for NativeBatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativeBatch").finish_non_exhaustive()
    }
}

/// Whether the rest of the steps is called off.
#[derive(Clone, Debug)]
pub(super) struct Rest(Arc<AtomicBool>);

impl Rest {
    pub(super) fn is_called_off(&self) -> bool {
        // Relaxed, as where it is said.
        self.0.load(Ordering::Relaxed)
    }

    /// Does a step, or ends it soon.
    pub(super) async fn step<T>(&self, mut op: NativeOp<T>) -> T {
        let mut is_asked = false;
        poll_fn(|cx| {
            if self.is_called_off() {
                op.poll_end(&mut is_asked, cx)
            } else {
                Pin::new(&mut op).poll(cx)
            }
        })
        .await
    }

    /// What a result says when a step has failed and others brought so many bytes: they count if
    /// there is no other reason than that the rest was called off.
    pub(super) fn result(&self, error: io::Error, bytes: usize) -> io::Result<usize> {
        let is_asked_for = self.is_called_off() && error.raw_os_error() == Some(libc::ECANCELED);
        if is_asked_for && bytes > 0 { Ok(bytes) } else { Err(error) }
    }
}
