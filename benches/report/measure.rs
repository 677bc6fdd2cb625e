//! One sample of a contender, and what many samples come to.

use std::io;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use crate::workloads::Contender;

/// How long samples take, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) samples: usize,
    pub(crate) length: Duration,
    pub(crate) warm_up: Duration,
}

impl Plan {
    /// For numbers to be quoted.
    pub(crate) const FULL: Self =
        Self { samples: 15, length: Duration::from_millis(80), warm_up: Duration::from_millis(15) };
    /// For a look.
    pub(crate) const QUICK: Self =
        Self { samples: 5, length: Duration::from_millis(30), warm_up: Duration::from_millis(6) };
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

/// Opens a session, warms it up, and takes one sample of it.
pub(crate) fn sample(contender: &Contender, plan: Plan) -> Sample {
    let mut session = (contender.open)();
    let mut times = 1;
    let spent = loop {
        let start = Instant::now();
        session(times);
        let spent = start.elapsed();
        if spent >= plan.warm_up {
            break spent;
        }
        // Straight towards the goal, but no further than an overheated first round allows.
        let ahead = plan.warm_up.as_secs_f64() / spent.as_secs_f64().max(1e-9);
        times = (times as f64 * ahead.clamp(1.5, 10.0)).ceil() as u64;
    };
    let factor = plan.length.as_secs_f64() / spent.as_secs_f64();
    let times = (times as f64 * factor).ceil().max(1.0) as u64;

    let before = Usage::now();
    let start = Instant::now();
    session(times);
    let wall = start.elapsed();
    let after = Usage::now();
    let per = |amount: f64| amount / times as f64;
    Sample {
        wall: per(wall.as_nanos() as f64),
        cpu: per(after.nanos - before.nanos),
        sleeps: per(after.sleeps - before.sleeps),
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
