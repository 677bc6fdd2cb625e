//! Idleness.

use std::time::{Duration, Instant};

use spargio::Runtime;

use super::median_within;
use crate::idle::costs_nothing_when_idle;
use crate::support::{Event, asleep, elsewhere, wait_until, watched};

/// From the wake of a task by this thread, which is no shard, until the task goes on.
fn wake_a_sleeper(runtime: &Runtime) -> Duration {
    let event = Event::default();
    let waits = event.clone();
    let task = runtime.spawn_on(0, async move {
        waits.wait().await;
        Instant::now()
    });
    wait_until("the task waits", || event.waiting() == 1);
    asleep(&runtime.handle(), 0);
    let began = Instant::now();
    event.set();
    elsewhere(task.unwrap()).unwrap() - began
}

/// In 5 s of idleness a shard of the default runtime takes at most 10 ms of CPU time and never
/// wakes up, and the wake of another thread reaches it in less than 50 us.
#[test]
fn c01_idle_costs_nothing() {
    watched(|watch| {
        costs_nothing_when_idle(watch, Runtime::builder(), Duration::from_secs(5));
        let runtime = watch.build(Runtime::builder());
        median_within(Duration::from_micros(50), "a wake", || wake_a_sleeper(&runtime));
    });
}
