//! Sleeping, deadlines and ticks, on shards and off.
//!
//! On a shard a timer is an entry in the shard's wheel: no allocation, no entry on the ring, and
//! cancelling it is as cheap as setting it. The shard sleeps until the earliest deadline. On any
//! other thread, and so on any other executor, one helper thread for the whole process keeps all
//! timers; it is started by the first and ends when there has been none for ten seconds.
//!
//! Nothing fires early. How late it fires depends on what the shard is doing: an idle one wakes
//! within some tens of microseconds, a busy one looks at its timers once per turn. A shard with at
//! least 64 timers, of which more than 10,000 fire in a second, gathers them instead of waking up
//! for each: for 200 us, and the longer the denser they are, for a millisecond at most.

use std::time::{Duration, Instant};

use crate::port;

mod budget;
mod interval;
mod missed;
mod off_shard;
mod sleep;
mod timeout;
mod yielding;

#[cfg(test)]
mod tests;

pub use budget::{ConsumeBudget, Unconstrained, consume_budget, unconstrained};
pub use interval::{Interval, interval, interval_at};
pub use missed::MissedTickBehavior;
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Timeout, TimeoutError, timeout, timeout_at};
pub use yielding::{YieldNow, yield_now};

/// The time by the clock of the shard whose thread this is, or by the system's elsewhere.
fn now() -> Instant {
    port::with(|port| port.map_or_else(Instant::now, |port| port.now()))
}

/// The instant that is `duration` from now. One that no clock can show is thirty years away.
fn after(duration: Duration) -> Instant {
    later(now(), duration)
}

/// The instant that is `duration` after another. One that no clock can show is thirty years later.
fn later(instant: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    instant.checked_add(duration).unwrap_or_else(|| instant + FAR)
}
