//! The timers of threads that are no shards: one helper thread for the process.

// Not from `crate::primitive`: the state is process-wide and made at compile time, which loom's
// locks cannot be; a lock and its condition variable are all there is to check.
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use crate::contain::wake;
use crate::cpu;
use crate::timer::{TimerKey, Wheel};

/// The helper ends when it has had no timer for so long.
const IDLE: Duration = Duration::from_secs(10);

/// No helper thread could be started, or it holds as many timers as memory has names for.
#[derive(Debug)]
pub(super) struct NoHelper;

/// Sets a timer.
pub(super) fn set(deadline: Instant, waker: Waker) -> Result<TimerKey, NoHelper> {
    let mut state = lock();
    let clockwork = state.clockwork.get_or_insert_with(Clockwork::new);
    let at = clockwork.nanos(deadline);
    let inserted = clockwork.wheel.insert(at, waker);
    match inserted {
        Ok(key) => {
            if ensure_helper(&mut state, at) {
                return Ok(key);
            }
            let waker = state.clockwork.as_mut().and_then(|clockwork| clockwork.wheel.remove(key));
            drop(state);
            drop(waker);
            Err(NoHelper)
        }
        Err(full) => {
            drop(state);
            drop(full);
            Err(NoHelper)
        }
    }
}

/// Moves a timer, and has it wake this waker if one is given; `false` if it has fired.
pub(super) fn reset(key: TimerKey, deadline: Instant, waker: Option<&Waker>) -> bool {
    // Cloned and dropped while nothing is locked: a waker may be anybody's code.
    let waker = waker.cloned();
    let mut state = lock();
    let Some(clockwork) = &mut state.clockwork else { return false };
    let at = clockwork.nanos(deadline);
    let Some(stored) = clockwork.wheel.get_mut(key) else { return false };
    let replaced = waker.map(|waker| std::mem::replace(stored, waker));
    let is_set = clockwork.wheel.reset(key, at);
    // Timers exist, so the helper runs: it leaves only when there are none.
    rouse(&state, at);
    drop(state);
    drop(replaced);
    is_set
}

/// Removes a timer, if it has not fired.
pub(super) fn clear(key: TimerKey) {
    let mut state = lock();
    let waker = state.clockwork.as_mut().and_then(|clockwork| clockwork.wheel.remove(key));
    drop(state);
    drop(waker);
}

static STATE: Mutex<State> =
    Mutex::new(State { clockwork: None, running: false, sleeps_until: u64::MAX });
static ROUSE: Condvar = Condvar::new();

struct State {
    /// Made once and kept, so that an old key never names a new timer.
    clockwork: Option<Clockwork>,
    running: bool,
    /// When the helper wakes by itself; 0 while it is awake.
    sleeps_until: u64,
}

struct Clockwork {
    wheel: Wheel<Waker>,
    /// The instant that the wheel counts nanoseconds from.
    epoch: Instant,
}

impl Clockwork {
    fn new() -> Self {
        Self { wheel: Wheel::new(0, usize::MAX), epoch: Instant::now() }
    }

    fn nanos(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.epoch).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX)
    }
}

/// Locks. No user code runs under the lock, so a poisoned state is whole.
fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sees to it that a helper wakes at `at`; `false` if none can be started.
fn ensure_helper(state: &mut State, at: u64) -> bool {
    if state.running {
        rouse(state, at);
        return true;
    }
    let helper = thread::Builder::new().name("spargio-timer".into()).spawn(help);
    state.running = helper.is_ok();
    // It looks at the wheel before it sleeps.
    state.sleeps_until = 0;
    state.running
}

fn rouse(state: &State, at: u64) {
    if at < state.sleeps_until {
        ROUSE.notify_one();
    }
}

/// What the helper does.
fn help() {
    cpu::sleep_precisely();
    let mut due = Vec::new();
    let mut state = lock();
    loop {
        state.sleeps_until = 0;
        let Some(Clockwork { wheel, epoch }) = &mut state.clockwork else { break };
        let now = u64::try_from(epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        wheel.advance(now, |waker| due.push(waker));
        if !due.is_empty() {
            drop(state);
            due.drain(..).for_each(wake);
            state = lock();
            continue;
        }
        let next = wheel.next_deadline();
        let (until, span) = match next {
            Some(at) => (at, Duration::from_nanos(at.saturating_sub(now))),
            None => (u64::MAX, IDLE),
        };
        state.sleeps_until = until;
        let (woken, result) =
            ROUSE.wait_timeout(state, span).unwrap_or_else(PoisonError::into_inner);
        state = woken;
        let is_empty = state.clockwork.as_ref().is_none_or(|clockwork| clockwork.wheel.is_empty());
        if next.is_none() && result.timed_out() && is_empty {
            break;
        }
    }
    state.running = false;
}
