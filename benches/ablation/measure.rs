//! One sample of a job: wall and CPU time, warmed up.

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

/// What one job took, on average over one sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Nanoseconds on the clock.
    pub(crate) wall: f64,
    /// Nanoseconds of CPU time.
    pub(crate) cpu: f64,
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
        let before = cpu_nanos();
        let start = Instant::now();
        session(times);
        let wall = start.elapsed();
        let cpu = cpu_nanos() - before;
        // One round may be long by accident, with few jobs in it.
        let is_long = wall >= plan.length / 2;
        if is_long && was_long {
            let times = times as f64;
            return Sample { wall: wall.as_nanos() as f64 / times, cpu: cpu / times };
        }
        was_long = is_long;
        // Straight towards the length, in steps that an overheated first round cannot mislead.
        let ahead = plan.length.as_secs_f64() / wall.as_secs_f64().max(1e-9);
        times = (times as f64 * ahead.clamp(0.5, STEP)).ceil() as u64;
    }
}

/// The CPU time of this process so far, in nanoseconds.
fn cpu_nanos() -> f64 {
    let mut usage = MaybeUninit::<libc::rusage>::uninit();
    // SAFETY:
    // - the pointer is to memory for the structure that the call fills.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    assert_eq!(result, 0, "getrusage: {}", io::Error::last_os_error());
    // SAFETY:
    // - the call succeeded, so it has filled the structure.
    let usage = unsafe { usage.assume_init() };
    let nanos = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
    nanos(usage.ru_utime) + nanos(usage.ru_stime)
}
