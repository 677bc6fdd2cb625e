//! When a silent connection is asked whether its peer is still there.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// The longest times and the most probes that the kernel takes (`MAX_TCP_KEEPIDLE` and its
/// neighbours).
const MAX_SECONDS: u64 = 32_767;
const MAX_RETRIES: u32 = 127;

/// When a connection on which nothing happens is probed, and given up
/// ([`set_keepalive`](super::TcpStream::set_keepalive)). What is not set is as the system has it.
///
/// ```
/// use std::time::Duration;
/// use spargio::net::Keepalive;
///
/// // Silent for a minute, then three probes, ten seconds apart.
/// let keepalive = Keepalive::new()
///     .time(Duration::from_secs(60))
///     .interval(Duration::from_secs(10))
///     .retries(3);
/// # drop(keepalive);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[must_use = "it does nothing until a socket gets it"]
pub struct Keepalive {
    time: Option<Duration>,
    interval: Option<Duration>,
    retries: Option<u32>,
}

impl Keepalive {
    /// Everything as the system has it.
    pub const fn new() -> Self {
        Self { time: None, interval: None, retries: None }
    }

    /// How long the connection is silent before the first probe (`TCP_KEEPIDLE`): 1 to 32,767
    /// seconds. A part of a second counts as a whole one.
    pub const fn time(mut self, silent: Duration) -> Self {
        self.time = Some(silent);
        self
    }

    /// How long an answer to a probe is waited for (`TCP_KEEPINTVL`): 1 to 32,767 seconds. A part
    /// of a second counts as a whole one.
    pub const fn interval(mut self, between: Duration) -> Self {
        self.interval = Some(between);
        self
    }

    /// After how many probes without an answer the connection is given up (`TCP_KEEPCNT`): 1 to
    /// 127.
    pub const fn retries(mut self, probes: u32) -> Self {
        self.retries = Some(probes);
        self
    }

    /// How long the connection is silent before the first probe, if that is set.
    pub const fn get_time(&self) -> Option<Duration> {
        self.time
    }

    /// How long an answer is waited for, if that is set.
    pub const fn get_interval(&self) -> Option<Duration> {
        self.interval
    }

    /// After how many probes the connection is given up, if that is set.
    pub const fn get_retries(&self) -> Option<u32> {
        self.retries
    }

    /// What a socket has.
    pub(super) fn of(socket: &SockRef<'_>) -> io::Result<Option<Self>> {
        if !socket.keepalive()? {
            return Ok(None);
        }
        Ok(Some(Self {
            time: Some(socket.tcp_keepalive_time()?),
            interval: Some(socket.tcp_keepalive_interval()?),
            retries: Some(socket.tcp_keepalive_retries()?),
        }))
    }

    /// Gives it to a socket, or nothing.
    pub(super) fn give(wanted: Option<Self>, socket: &SockRef<'_>) -> io::Result<()> {
        let Some(wanted) = wanted else { return socket.set_keepalive(false) };
        let mut params = TcpKeepalive::new();
        if let Some(time) = wanted.time {
            params = params.with_time(seconds("time", time)?);
        }
        if let Some(interval) = wanted.interval {
            params = params.with_interval(seconds("interval", interval)?);
        }
        if let Some(retries) = wanted.retries {
            if !(1..=MAX_RETRIES).contains(&retries) {
                let text =
                    format!("keepalive retries {retries}, the limits are 1 and {MAX_RETRIES}");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            params = params.with_retries(retries);
        }
        socket.set_tcp_keepalive(&params)
    }
}

/// The duration in whole seconds, within the limits.
fn seconds(what: &str, duration: Duration) -> io::Result<Duration> {
    let whole = whole_seconds(duration);
    if (1..=MAX_SECONDS).contains(&whole) {
        return Ok(Duration::from_secs(whole));
    }
    let text = format!("keepalive {what} {duration:?}, the limits are 1 and {MAX_SECONDS} seconds");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// A part of a second counts as a whole one: 0 often means something else.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}
