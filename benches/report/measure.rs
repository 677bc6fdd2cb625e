//! One sample of a contender, and what many samples come to.

use std::io;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use crate::workloads::Session;

/// How long samples take, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) samples: usize,
    pub(crate) length: Duration,
}

impl Plan {
    /// For numbers to be quoted.
    pub(crate) const FULL: Self = Self { samples: 15, length: Duration::from_millis(80) };
    /// For a look.
    pub(crate) const QUICK: Self = Self { samples: 5, length: Duration::from_millis(30) };
}

/// What one job took, on average over one sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Nanoseconds on the clock.
    pub(crate) wall: f64,
    /// Nanoseconds of CPU time.
    pub(crate) cpu: f64,
    /// Times that a thread went to sleep.
    pub(crate) sleeps: f64,
}

/// So many times as many jobs are done at most from one round to the next.
const STEP: f64 = 8.0;

/// Opens a session, lets it do ever more jobs, which warms it up, and takes as the
/// sample the second of two rounds in a row that are long enough.
pub(crate) fn sample(open: impl FnOnce() -> Session, plan: Plan) -> Sample {
    let mut session = open();
    let mut times = 1_u64;
    let mut was_long = false;
    loop {
        let before = Usage::now();
        let start = Instant::now();
        session(times);
        let wall = start.elapsed();
        let after = Usage::now();
        // One round may be long by accident, with few jobs in it.
        let is_long = wall >= plan.length / 2;
        if is_long && was_long {
            return Sample::new(times, wall, &before, &after);
        }
        was_long = is_long;
        // Straight towards the length, in steps that an overheated first round cannot mislead.
        let ahead = plan.length.as_secs_f64() / wall.as_secs_f64().max(1e-9);
        times = (times as f64 * ahead.clamp(0.5, STEP)).ceil() as u64;
    }
}

impl Sample {
    fn new(times: u64, wall: Duration, before: &Usage, after: &Usage) -> Self {
        let per = |amount: f64| amount / times as f64;
        Self {
            wall: per(wall.as_nanos() as f64),
            cpu: per(after.nanos - before.nanos),
            sleeps: per(after.sleeps - before.sleeps),
        }
    }
}

/// What this process has used so far.
#[derive(Clone, Copy, Debug)]
struct Usage {
    nanos: f64,
    sleeps: f64,
}

impl Usage {
    fn now() -> Self {
        let mut usage = MaybeUninit::<libc::rusage>::uninit();
        // SAFETY:
        // - the pointer is to memory for the structure that the call fills.
        let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
        assert_eq!(result, 0, "getrusage: {}", io::Error::last_os_error());
        // SAFETY:
        // - the call succeeded, so it has filled the structure.
        let usage = unsafe { usage.assume_init() };
        let nanos = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
        Self { nanos: nanos(usage.ru_utime) + nanos(usage.ru_stime), sleeps: usage.ru_nvcsw as f64 }
    }
}

/// The middle half of some numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// Of at least one number.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        let at = |quarter: f64| {
            let place = quarter * (numbers.len() - 1) as f64;
            let (below, above) = (numbers[place.floor() as usize], numbers[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Self { low: at(0.25), median: at(0.5), high: at(0.75) }
    }
}
