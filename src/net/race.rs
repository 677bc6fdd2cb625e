//! Connecting to the first of several addresses that answers: happy eyeballs (RFC 8305).

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// After so long without an answer the next address is tried beside the earlier ones (RFC 8305,
/// section 8: "Connection Attempt Delay").
pub(super) const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// So many attempts run at the same time at most; the next one waits until one of them fails.
const MAX_ATTEMPTS: usize = 16;

/// An attempt to connect to one address.
pub(super) type Attempt<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Attempts that race each other. Ready with the first success; those that are behind are dropped
/// together with the race, which cancels them.
///
/// The next address is tried when the one before fails, or when the delay is over.
pub(super) struct Race<T, C, W, D> {
    waiting: VecDeque<SocketAddr>,
    running: Vec<(SocketAddr, Attempt<T>)>,
    failures: Vec<(SocketAddr, io::Error)>,
    connect: C,
    wait: W,
    /// Until the next address is tried.
    delay: Option<D>,
}

impl<T, C, W, D> Race<T, C, W, D>
where
    C: FnMut(SocketAddr) -> Attempt<T>,
    W: FnMut() -> D,
    D: Future<Output = ()> + Unpin,
{
    /// For these addresses, at least one, in the order of preference. `connect` starts an attempt,
    /// `wait` is the delay between two.
    pub(super) fn new(addrs: Vec<SocketAddr>, connect: C, wait: W) -> Self {
        Self {
            waiting: interleaved(addrs),
            running: Vec::new(),
            failures: Vec::new(),
            connect,
            wait,
            delay: None,
        }
    }

    /// Starts the attempt whose turn it is.
    fn start_next(&mut self) {
        self.delay = None;
        let Some(addr) = self.waiting.pop_front() else { return };
        self.running.push((addr, (self.connect)(addr)));
        if !self.waiting.is_empty() {
            self.delay = Some((self.wait)());
        }
    }

    /// Polls the attempts from `from` on. Breaks with a success, else tells whether one has failed.
    fn poll_attempts(&mut self, cx: &mut Context<'_>, from: usize) -> ControlFlow<T, bool> {
        let mut has_failed = false;
        let mut at = from;
        while let Some((_, attempt)) = self.running.get_mut(at) {
            match attempt.as_mut().poll(cx) {
                Poll::Ready(Ok(found)) => return ControlFlow::Break(found),
                Poll::Ready(Err(error)) => {
                    let (addr, ended) = self.running.remove(at);
                    drop(ended);
                    self.failures.push((addr, error));
                    has_failed = true;
                }
                Poll::Pending => at += 1,
            }
        }
        ControlFlow::Continue(has_failed)
    }

    fn is_delay_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.delay.as_mut().is_some_and(|delay| Pin::new(delay).poll(cx).is_ready())
    }

    /// What is known about the addresses when the race is given up, `after` this time if not at its
    /// end.
    pub(super) fn into_error(mut self, after: Option<Duration>) -> io::Error {
        let running = self.running.drain(..).map(|(addr, _)| (addr, "no answer"));
        let waiting = self.waiting.drain(..).map(|addr| (addr, "not tried"));
        let unanswered = running.chain(waiting).collect();
        let failures = std::mem::take(&mut self.failures);
        let kind = match after {
            Some(_) => io::ErrorKind::TimedOut,
            None => failures.last().map_or(io::ErrorKind::NotFound, |(_, error)| error.kind()),
        };
        io::Error::new(kind, NobodyError { failures, unanswered, after })
    }
}

impl<T, C, W, D> Future for Race<T, C, W, D>
where
    C: FnMut(SocketAddr) -> Attempt<T> + Unpin,
    W: FnMut() -> D + Unpin,
    D: Future<Output = ()> + Unpin,
{
    /// `None`: all have failed.
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        let mut from = 0;
        loop {
            let has_failed = match this.poll_attempts(cx, from) {
                ControlFlow::Break(found) => return Poll::Ready(Some(found)),
                ControlFlow::Continue(has_failed) => has_failed,
            };
            let is_full = this.running.len() >= MAX_ATTEMPTS;
            let may_start = !this.waiting.is_empty() && !is_full;
            let is_due = has_failed || this.running.is_empty() || this.is_delay_over(cx);
            if may_start && is_due {
                // The others have been polled just now.
                from = this.running.len();
                this.start_next();
            } else if this.running.is_empty() {
                return Poll::Ready(None);
            } else {
                return Poll::Pending;
            }
        }
    }
}

impl<T, C, W, D> fmt::Debug for Race<T, C, W, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Race")
            .field("waiting", &self.waiting)
            .field("running", &self.running.len())
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

/// The addresses in turns of the two versions of IP, beginning with that of the first; each in its
/// order (RFC 8305, section 4).
fn interleaved(addrs: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first_is_v6 = addrs.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (VecDeque<_>, VecDeque<_>) =
        addrs.into_iter().partition(|addr| addr.is_ipv6() == first_is_v6);
    let mut all = VecDeque::with_capacity(first.len() + second.len());
    while !first.is_empty() || !second.is_empty() {
        all.extend(first.pop_front());
        all.extend(second.pop_front());
    }
    all
}

/// No address answered.
#[derive(Debug)]
struct NobodyError {
    failures: Vec<(SocketAddr, io::Error)>,
    unanswered: Vec<(SocketAddr, &'static str)>,
    after: Option<Duration>,
}

impl fmt::Display for NobodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot connect")?;
        if let Some(after) = self.after {
            write!(f, " within {after:?}")?;
        }
        let mut lead = " to ";
        for (addr, error) in &self.failures {
            write!(f, "{lead}{addr}: {error}")?;
            lead = ", to ";
        }
        for (addr, what) in &self.unanswered {
            write!(f, "{lead}{addr}: {what}")?;
            lead = ", to ";
        }
        Ok(())
    }
}

impl std::error::Error for NobodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let (_, error) = self.failures.last()?;
        Some(error)
    }
}

#[cfg(test)]
mod tests;
