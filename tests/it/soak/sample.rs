//! What a process and a runtime hold at a moment, and whether that grew.

use std::fmt;
use std::fs;
use std::time::Duration;

use spargio::RuntimeHandle;

/// By how much of itself memory may grow without a mistake, because the allocator does not pack it
/// densely, and by how many bytes: each shard keeps free blocks for tasks and completions, which
/// wander between shards until all are full. That is 1,024 of each of six sizes.
const RSS_PERCENT: u64 = 5;
const RSS_SLACK: u64 = 4 << 20;

/// What can be counted exactly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counts {
    pub(super) fds: u64,
    /// Without the kernel's own, which come and go as it likes.
    pub(super) threads: u64,
    pub(super) tasks: u64,
    pub(super) in_flight: u64,
    pub(super) timers: u64,
    pub(super) queued: u64,
    /// Receive buffers that tasks hold.
    pub(super) leased: u64,
    /// Blocking jobs that run or wait.
    pub(super) jobs: u64,
}

impl Counts {
    pub(super) fn take(handle: &RuntimeHandle) -> Self {
        let stats = handle.stats_snapshot();
        let total = stats.total();
        Self {
            // One of them is that of the directory.
            fds: fs::read_dir("/proc/self/fd").unwrap().count() as u64 - 1,
            threads: own_threads(),
            tasks: total.live_tasks,
            in_flight: total.in_flight,
            timers: total.timers,
            queued: total.queued,
            leased: total.recv_buffers_leased,
            jobs: (stats.blocking.busy + stats.blocking.waiting) as u64,
        }
    }

    /// Each number with its name.
    fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("fds", self.fds),
            ("threads", self.threads),
            ("tasks", self.tasks),
            ("in flight", self.in_flight),
            ("timers", self.timers),
            ("queued", self.queued),
            ("leased", self.leased),
            ("jobs", self.jobs),
        ]
    }

    /// The least of each.
    fn min(mut self, other: &Self) -> Self {
        self.fds = self.fds.min(other.fds);
        self.threads = self.threads.min(other.threads);
        self.tasks = self.tasks.min(other.tasks);
        self.in_flight = self.in_flight.min(other.in_flight);
        self.timers = self.timers.min(other.timers);
        self.queued = self.queued.min(other.queued);
        self.leased = self.leased.min(other.leased);
        self.jobs = self.jobs.min(other.jobs);
        self
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.named().iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {value}")?;
        }
        Ok(())
    }
}

fn own_threads() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    // One that has ended since has no name any more.
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| !name.starts_with("iou-")).count() as u64
}

/// What is resident, in bytes.
pub(super) fn rss() -> u64 {
    const PAGE: u64 = 4096;
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * PAGE
}

/// A look at everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Since the beginning.
    pub(super) at: Duration,
    pub(super) rss: u64,
    pub(super) counts: Counts,
}

/// The samples of a stretch of time.
#[derive(Debug)]
struct Window {
    least_rss: u64,
    median_rss: u64,
    least: Counts,
}

impl Window {
    fn of(samples: &[Sample], from: Duration, to: Duration) -> Self {
        let inside: Vec<_> = samples.iter().filter(|s| (from..=to).contains(&s.at)).collect();
        let mut rss: Vec<_> = inside.iter().map(|sample| sample.rss).collect();
        rss.sort_unstable();
        let least = inside.iter().skip(1).fold(inside[0].counts, |all, s| all.min(&s.counts));
        Self { least_rss: rss[0], median_rss: rss[rss.len() / 2], least }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [least, median] = [self.least_rss, self.median_rss].map(|bytes| bytes >> 10);
        write!(f, "RSS {least} KiB at least, {median} in the middle; at least {}", self.least)
    }
}

/// Compares a tenth of the time after the first fifth with the last tenth, and prints both.
///
/// # Panics
///
/// If the counts at their lowest are higher in the end, or the memory is by more than it may.
pub(super) fn judge(samples: &[Sample], length: Duration) {
    let tenth = length / 10;
    let early = Window::of(samples, 2 * tenth, 3 * tenth);
    let late = Window::of(samples, 9 * tenth, Duration::MAX);
    println!("soak: after warm-up: {early}\nsoak: in the end:    {late}");
    for ((name, before), (_, after)) in early.least.named().into_iter().zip(late.least.named()) {
        assert!(after <= before, "{name} grew from {before} to {after}, at the lowest");
    }
    let memory = [
        ("at the lowest", early.least_rss, late.least_rss),
        ("in the middle", early.median_rss, late.median_rss),
    ];
    for (what, before, after) in memory {
        let most = before + before * RSS_PERCENT / 100 + RSS_SLACK;
        assert!(after <= most, "RSS {what} grew from {before} to {after}, and {most} is the most");
    }
}
