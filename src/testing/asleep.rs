//! Something that happens while a driver sleeps.

use std::fs::read_to_string;
use std::thread;
use std::time::{Duration, Instant};

use crate::driver::Driver;
use crate::testing::site::Site;

/// How long a thread may take to fall asleep. A driver that sleeps in a way which the system does
/// not show is taken to be asleep then.
const FALLS_ASLEEP: Duration = Duration::from_millis(200);

/// Parks the driver, and has `act` done on another thread when it sleeps. Whether it woke before
/// the site's patience was over.
pub(super) fn park_while<D: Driver>(
    site: &Site<'_, D>,
    driver: &mut D,
    act: impl FnOnce() + Send,
) -> bool {
    thread::scope(|scope| {
        // SAFETY: the call takes nothing and changes nothing.
        let sleeper = unsafe { libc::gettid() };
        let other = scope.spawn(move || {
            wait_until_asleep(sleeper);
            act();
        });
        let deadline = Instant::now() + site.patience_of();
        let parked = driver.park(Some(driver.now() + site.patience_of()));
        let woke = Instant::now() < deadline;
        if let Err(panic) = other.join() {
            std::panic::resume_unwind(panic);
        }
        parked.unwrap_or_else(|error| panic!("the driver cannot park: {error}"));
        woke
    })
}

/// Waits until the thread sleeps in the kernel.
fn wait_until_asleep(thread: libc::pid_t) {
    let deadline = Instant::now() + FALLS_ASLEEP;
    while Instant::now() < deadline {
        let stat = read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap_or_default();
        // The name stands in brackets; the state is the letter behind them.
        if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
            return;
        }
        thread::yield_now();
    }
}
