//! The builder: every wrong value is refused with its name and limit, every preset runs.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use spargio::doorbell::{Answer, Doorbell, EventFd};
use spargio::driver::{Caps, Cqe, Driver, SqFull, Sqe, Uring, UringSetup};
use spargio::placement::{LeastLoaded, RoundRobin};
use spargio::queue::{ChaseLev, MutexQueue};
use spargio::{
    Assemble, BuildError, MAX_BACKOFF, MAX_SPIN, Runtime, RuntimeBuilder, RuntimeError, ShardId,
    StealOptions, TaskPlacement,
};

use crate::support::{elsewhere, here, threads_named, wait_until, watched};

/// The kind of the refusal as an error of the system.
#[track_caller]
fn kind(builder: impl Assemble) -> io::ErrorKind {
    let error = builder.assemble().map(drop).expect_err("a wrong value was taken");
    io::Error::from(RuntimeError::from(error)).kind()
}

/// The text of the refusal of a builder.
#[track_caller]
fn text(builder: impl Assemble) -> String {
    let began = Instant::now();
    let error = builder.assemble().map(drop).expect_err("a wrong value was taken");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    error.to_string()
}

/// An error that names all of these.
#[track_caller]
fn names(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

fn new() -> RuntimeBuilder {
    Runtime::builder().shards(2)
}

#[test]
pub(crate) fn a_number_of_shards_out_of_range_is_refused() {
    watched(|_| {
        assert_eq!(text(new().shards(0)), "shards is 0, it must be from 1 to 65535");
        names(&text(new().shards(70_000)), &["shards", "70000", "65535"]);
        names(&text(new().shards(usize::MAX)), &["shards", "65535"]);
        assert_eq!(kind(new().shards(0)), io::ErrorKind::InvalidInput);
    });
}

#[test]
pub(crate) fn a_cpu_that_cannot_be_had_is_refused() {
    watched(|_| {
        names(&text(new().thread_affinity([5_000])), &["thread_affinity", "5000", "below 1024"]);
        names(&text(new().thread_affinity([usize::MAX])), &["thread_affinity", "below 1024"]);
        let allowed = allowed_cpus();
        let outside = (0..1024).find(|cpu| !allowed.contains(cpu)).unwrap();
        let refused = text(new().thread_affinity([allowed[0], outside]));
        names(&refused, &["thread_affinity", &outside.to_string(), "may use"]);
    });
}

#[test]
pub(crate) fn a_spin_that_is_a_busy_loop_is_refused() {
    watched(|_| {
        names(&text(new().spin(Duration::from_secs(1))), &["spin", "1s", "10ms"]);
        names(&text(new().spin(MAX_SPIN + Duration::from_nanos(1))), &["spin", "10ms"]);
        drop(new().spin(MAX_SPIN).build().unwrap());
    });
}

#[test]
fn a_thread_name_with_a_nul_is_refused() {
    watched(|_| {
        names(&text(new().thread_prefix("a\0b")), &["thread_prefix", r"a\0b", "NUL", "at 1"]);
    });
}

#[test]
pub(crate) fn a_ring_of_a_wrong_size_is_refused() {
    watched(|_| {
        names(&text(new().ring_entries(1 << 20)), &["ring_entries is 1048576", "32768"]);
        assert!(matches!(
            new().ring_entries(1 << 20).build().unwrap_err(),
            BuildError::InvalidConfig { knob: "ring_entries", .. }
        ));
        names(&text(new().ring_entries(64).cq_entries(32)), &["cq_entries", "32", "64", "65536"]);
        names(&text(new().cq_entries(1 << 20)), &["cq_entries", "1048576", "65536"]);
        let zero = |setup: &mut UringSetup| setup.entries = 0;
        names(&text(new().uring(zero)), &["entries is 0", "32768"]);
        assert_eq!(kind(new().ring_entries(1 << 20)), io::ErrorKind::InvalidInput);
    });
}

#[test]
pub(crate) fn options_of_the_ring_that_exclude_each_other_are_refused() {
    watched(|_| {
        let coop = |setup: &mut UringSetup| setup.coop_taskrun = true;
        names(&text(new().sqpoll(10).uring(coop)), &["coop_taskrun", "sqpoll"]);
        let cpu = |setup: &mut UringSetup| setup.sqpoll_cpu = Some(0);
        names(&text(new().uring(cpu)), &["sqpoll_cpu", "sqpoll"]);
        let long = |setup: &mut UringSetup| setup.sqpoll = Some(Duration::MAX);
        names(&text(new().uring(long)), &["sqpoll", "4294967295 ms"]);
    });
}

#[test]
fn counts_of_zero_count_as_one() {
    watched(|watch| {
        let steal = StealOptions {
            batch_size: 0,
            victim_probe_count: 0,
            victim_stride: 0,
            ..StealOptions::default()
        };
        let builder = new()
            .shards(1)
            .ring_entries(0)
            .stealable_queue_capacity(0)
            .max_tasks(0)
            .max_operations(0)
            .max_timers(0)
            .steal(steal);
        let runtime = watch.build(builder);
        let hold = crate::support::Event::default();
        let held = hold.clone();
        let task = runtime.spawn_on(0, async move { held.wait().await }).unwrap();
        let refused = runtime.spawn_on(0, async {}).unwrap_err();
        assert!(matches!(refused, RuntimeError::Overloaded { limit: 1, .. }), "{refused:?}");
        hold.set();
        elsewhere(task).unwrap();
    });
}

#[test]
pub(crate) fn a_back_off_that_cannot_be_is_refused() {
    watched(|_| {
        let far = MAX_BACKOFF + Duration::from_nanos(1);
        names(&text(new().steal_backoff_max(far)), &["steal_backoff_max is 10.000001ms", "10ms"]);
        let crossed =
            new().steal_backoff_min(Duration::from_micros(5)).steal_backoff_max(Duration::ZERO);
        names(&text(crossed), &["steal_backoff_min is 5", "at most steal_backoff_max", "0ns"]);
        let options = StealOptions { backoff_min: MAX_BACKOFF, ..StealOptions::default() };
        assert!(matches!(
            new().steal(options).build().unwrap_err(),
            BuildError::InvalidConfig { knob: "steal_backoff_min", .. }
        ));
    });
}

#[test]
fn receive_buffers_that_cannot_be_are_named() {
    watched(|_| {
        for (builder, knob_of, value_of, limit_of) in [
            (new().recv_buffer_size((1 << 20) + 1), "recv_buffer_size", "1048640", "1048576"),
            (new().recv_buffers(0, 32_769), "recv_buffers", "0, 32769", "32768"),
            (new().recv_buffers(9, 8), "recv_buffers", "9, 8", "no more at first"),
        ] {
            let BuildError::InvalidConfig { knob, value, limit } = builder.build().unwrap_err()
            else {
                panic!("another error");
            };
            assert_eq!((knob, &value[..]), (knob_of, value_of));
            assert!(limit.contains(limit_of), "{limit}");
        }
    });
}

#[test]
fn a_back_off_at_its_limits_is_taken() {
    watched(|watch| {
        for pause in [Duration::ZERO, MAX_BACKOFF] {
            let builder = new().shards(2).steal_backoff_min(pause).steal_backoff_max(pause);
            let runtime = watch.build(builder);
            assert_eq!(runtime.block_on(async { 1 }), 1);
        }
    });
}

#[test]
fn each_knob_of_stealing_is_set_by_its_own_method_too() {
    let steal = StealOptions {
        batch_size: 3,
        victim_probe_count: 4,
        victim_stride: 5,
        locality_margin: 6,
        fail_cost: 7,
        backoff_min: Duration::from_micros(8),
        backoff_max: Duration::from_micros(9),
    };
    let one_by_one = new()
        .steal_batch_size(3)
        .steal_victim_probe_count(4)
        .steal_victim_stride(5)
        .steal_locality_margin(6)
        .steal_fail_cost(7)
        .steal_backoff_min(Duration::from_micros(8))
        .steal_backoff_max(Duration::from_micros(9));
    assert_eq!(format!("{one_by_one:?}"), format!("{:?}", new().steal(steal)));
}

#[test]
fn every_preset_runs_a_task() {
    watched(|watch| {
        let cpu = allowed_cpus()[0];
        let coop = |setup: &mut UringSetup| setup.coop_taskrun = true;
        let workers = |setup: &mut UringSetup| setup.iowq_max_workers = None;
        let presets: [(&str, RuntimeBuilder); 14] = [
            ("default", Runtime::builder()),
            ("one shard", new().shards(1)),
            ("many shards", new().shards(9).ring_entries(8)),
            ("smallest ring", new().ring_entries(1)),
            ("large rings", new().shards(1).ring_entries(4_096).cq_entries(16_384)),
            ("odd ring", new().ring_entries(100).cq_entries(300)),
            ("coop", new().uring(coop)),
            ("workers of the kernel", new().uring(workers)),
            ("sqpoll", new().sqpoll(1)),
            ("sqpoll on a CPU", new().sqpoll_cpu(u32::try_from(cpu).unwrap())),
            ("bound", new().thread_affinity([cpu])),
            ("no spin", new().spin(Duration::ZERO)),
            ("no packing", new().packing(false)),
            ("long name", new().thread_prefix("a name that is far too long for Linux")),
        ];
        for (name, builder) in presets {
            let runtime = watch.build(builder);
            let handle = runtime.handle();
            let shards = u16::try_from(runtime.shard_count()).unwrap();
            for shard in 0..shards {
                let inner = handle.clone();
                let task = handle.spawn_pinned(shard, async move {
                    // There and back, so that each shard is rung by each.
                    let there = inner.spawn_pinned((shard + 1) % shards, async { here() });
                    (here(), there.unwrap().await.unwrap())
                });
                let (here, there) = elsewhere(task.unwrap()).unwrap();
                assert_eq!(here, ShardId::new(shard), "{name}");
                assert_eq!(there, ShardId::new((shard + 1) % shards), "{name}");
            }
            for _ in 0..20 {
                let task = handle.spawn_with_placement(TaskPlacement::Stealable, async { 1 });
                assert_eq!(elsewhere(task.unwrap()).unwrap(), 1, "{name}");
            }
            let report = runtime.shutdown_timeout(crate::support::SOON);
            assert_eq!((report.shards_stuck, report.failures.len()), (0, 0), "{name}: {report}");
        }
    });
}

#[test]
fn every_mix_of_shipped_parts_runs_a_task() {
    fn runs(builder: impl Assemble, watch: &crate::support::Watch) {
        let runtime = watch.build(builder);
        let handle = runtime.handle();
        let inner = handle.clone();
        let task = handle.spawn_pinned(0, async move {
            inner.spawn_pinned(1, async { here() }).unwrap().await.unwrap()
        });
        assert_eq!(elsewhere(task.unwrap()).unwrap(), ShardId::new(1));
    }
    watched(|watch| {
        runs(new().doorbell::<EventFd>(), watch);
        runs(new().steal_queue::<MutexQueue>(), watch);
        runs(new().placement(RoundRobin::new()), watch);
        runs(new().doorbell::<EventFd>().steal_queue::<MutexQueue>(), watch);
        runs(new().steal_queue::<MutexQueue>().steal_queue::<ChaseLev>(), watch);
        runs(new().placement(RoundRobin::new()).placement(LeastLoaded::default()), watch);
        runs(new().driver::<Uring>(UringSetup::default().with_entries(16)), watch);
    });
}

#[test]
fn threads_are_named_and_bound_as_asked() {
    watched(|watch| {
        let cpus = allowed_cpus();
        let prefix = format!("bnd{}", watch.number());
        let runtime = watch.build(
            new().shards(3).thread_prefix(&prefix).thread_affinity(cpus.iter().rev().copied()),
        );
        assert_eq!(threads_named(&prefix), 3);
        for shard in 0..3u16 {
            let task = runtime.spawn_on(shard, async {
                (std::thread::current().name().unwrap().to_owned(), allowed_cpus())
            });
            let (name, bound) = elsewhere(task.unwrap()).unwrap();
            assert_eq!(name, format!("{prefix}-{shard}"));
            assert_eq!(bound, [cpus[usize::from(shard) % cpus.len()]]);
        }
    });
}

#[test]
fn a_builder_can_be_cloned_and_shown() {
    watched(|watch| {
        let builder = RuntimeBuilder::default().shards(3).thread_prefix("twin");
        let shown = format!("{builder:?}");
        names(&shown, &["shards", "twin", "UringSetup", "LeastLoaded"]);
        let twin = watch.build(builder.clone());
        assert_eq!(twin.shard_count(), watch.build(builder).shard_count());
    });
}

/// How a [`Faulty`] driver fails on shard 1.
#[derive(Clone, Copy, Default, Debug)]
enum Fault {
    #[default]
    None,
    Refuses,
    Panics,
}

/// A driver that is a ring on shard 0 and does not open on shard 1.
struct Faulty(Uring);

// SAFETY: every call goes to a driver that keeps the promises.
unsafe impl Driver for Faulty {
    type Setup = Fault;

    fn open(setup: &Fault, shard: ShardId) -> io::Result<Self> {
        match (setup, shard.get()) {
            (Fault::Refuses, 1) => Err(io::Error::other("no ring today")),
            (Fault::Panics, 1) => panic!("a driver that panics as it opens"),
            _ => Uring::open(&UringSetup::default(), shard).map(Self),
        }
    }

    fn caps(&self) -> &Caps {
        self.0.caps()
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    unsafe fn push(&mut self, sqe: Sqe) -> Result<(), SqFull> {
        // SAFETY: the caller's promise.
        unsafe { self.0.push(sqe) }
    }

    unsafe fn attempt(&mut self, sqe: &Sqe) -> Option<i32> {
        // SAFETY: the caller's promise.
        unsafe { self.0.attempt(sqe) }
    }

    fn queued(&self) -> usize {
        self.0.queued()
    }

    fn flush(&mut self) -> io::Result<usize> {
        self.0.flush()
    }

    fn park(&mut self, until: Option<Instant>) -> io::Result<()> {
        self.0.park(until)
    }

    fn pending(&self) -> bool {
        self.0.pending()
    }

    fn drain(&mut self, sink: impl FnMut(Cqe)) -> usize {
        self.0.drain(sink)
    }

    fn enters(&self) -> u64 {
        self.0.enters()
    }
}

/// A builder of the driver above.
fn faulty(fault: Fault, prefix: &str) -> spargio::Builder<Faulty, EventFd, ChaseLev, LeastLoaded> {
    new().doorbell::<EventFd>().shards(3).thread_prefix(prefix).driver::<Faulty>(fault)
}

#[test]
fn a_driver_that_forwards_runs_tasks() {
    watched(|watch| {
        let runtime = watch.build(faulty(Fault::None, "ok"));
        assert_eq!(elsewhere(runtime.spawn_on(2, async { 5 }).unwrap()).unwrap(), 5);
    });
}

#[test]
fn one_shard_that_does_not_open_ends_the_others() {
    watched(|watch| {
        let prefix = format!("rf{}", watch.number());
        let error = faulty(Fault::Refuses, &prefix).build().map(drop).unwrap_err();
        let BuildError::Open { shard, source } = &error else { panic!("{error:?}") };
        assert_eq!((shard.get(), source.to_string().as_str()), (1, "no ring today"));
        names(&error.to_string(), &["shard 1", "no ring today"]);
        wait_until("the threads end", || threads_named(&prefix) == 0);
    });
}

#[test]
fn a_driver_that_panics_as_it_opens_fails_the_build() {
    watched(|watch| {
        let prefix = format!("pn{}", watch.number());
        let error = faulty(Fault::Panics, &prefix).build().map(drop).unwrap_err();
        names(&error.to_string(), &["shard 1", "panicked"]);
        wait_until("the threads end", || threads_named(&prefix) == 0);
    });
}

/// The doorbell of shard 0 panics when it is rung from a shard after this is set.
static RINGS_PANIC: AtomicBool = AtomicBool::new(false);

/// A doorbell that panics on demand.
struct Cracked(EventFd);

impl Doorbell<Uring> for Cracked {
    type Ringer = <EventFd as Doorbell<Uring>>::Ringer;

    fn open(driver: &mut Uring, shard: ShardId) -> io::Result<(Self, Self::Ringer)> {
        let (bell, ringer) = EventFd::open(driver, shard)?;
        Ok((Self(bell), ringer))
    }

    fn ring(from: &mut Uring, to: &Self::Ringer) -> io::Result<()> {
        EventFd::ring(from, to)
    }

    fn ring_foreign(to: &Self::Ringer) -> io::Result<()> {
        <EventFd as Doorbell<Uring>>::ring_foreign(to)
    }

    fn answered(&mut self, driver: &mut Uring, cqe: Cqe) -> io::Result<Answer> {
        assert!(!RINGS_PANIC.load(Ordering::SeqCst), "a doorbell that panics");
        self.0.answered(driver, cqe)
    }
}

#[test]
fn a_part_that_panics_ends_the_runtime_and_every_handle_resolves() {
    watched(|watch| {
        let runtime = watch.build(new().shards(3).doorbell::<Cracked>());
        let handle = runtime.handle();
        let mut tasks = Vec::new();
        for number in 0..30u16 {
            let job = std::future::pending::<()>();
            tasks.push(match number % 3 {
                0 => handle.spawn_pinned(number % 2, job).unwrap(),
                1 => handle.spawn_stealable(job).unwrap(),
                _ => handle.spawn_local_on(number % 2, move |_| job).unwrap(),
            });
        }
        RINGS_PANIC.store(true, Ordering::SeqCst);
        // Whoever is rung next is lost.
        wait_until("a shard is lost", || match handle.spawn_stealable_on(1, async {}) {
            Ok(task) => {
                drop(task);
                false
            }
            Err(error) => matches!(error, RuntimeError::Closed),
        });
        let report = runtime.shutdown_timeout(crate::support::SOON);
        assert!(report.shards_panicked >= 1, "{report}");
        assert_eq!(report.shards_stuck, 0, "{report}");
        for task in tasks {
            wait_until("the handle resolves", || task.is_finished());
            assert!(elsewhere(task).unwrap_err().is_canceled());
        }
    });
}

/// The CPUs that this thread may use.
pub(crate) fn allowed_cpus() -> Vec<usize> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    list.trim()
        .split(',')
        .flat_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            first.parse::<usize>().unwrap()..=last.parse().unwrap()
        })
        .collect()
}

#[test]
fn a_runtime_describes_itself() {
    let runtime = Runtime::builder().shards(2).poll_histograms(true).build().unwrap();
    let about = runtime.describe();
    assert_eq!((about.version, about.caps.len()), (env!("CARGO_PKG_VERSION"), 2));
    assert!(about.assembly.contains("MsgRing"), "{}", about.assembly);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert_eq!(about.kernel.as_deref(), Some(kernel.trim()));
    assert_eq!(about.cpus.as_ref().map(Vec::len), Some(allowed_cpus().len()));
    let text = about.to_string();
    for part in
        ["spargio 0.", "CPUs: ", "shard 0: ", "CQSIZE", "as shard 0", "poll_histograms: true"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}
