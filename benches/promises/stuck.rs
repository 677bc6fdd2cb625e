//! A task that waits behind a shard which is stuck in one poll: how long until it starts elsewhere?
//!
//! Each try has a stuck poll of its own, which computes until the task has started, or for half a
//! second.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use spargio::queue::{BlockQueue, ChaseLev, MutexQueue, StealQueue};
use spargio::{JoinHandle, RuntimeHandleOf, yield_now};

use crate::load::{Made, builder, compute};
use crate::report::units::time;
use crate::table::Table;

const TRIES: usize = 60;
const STUCK: Duration = Duration::from_millis(500);
const GOAL: Duration = Duration::from_millis(1);
/// How long shard 0 is busy with short polls before it is stuck, where it is.
const BUSY: Duration = Duration::from_millis(30);

/// Where the task waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// Another thread queues it, during the poll.
    Outside,
    /// The stuck poll queues it, and another one after it.
    Queue,
    /// The stuck poll queues it last.
    Slot,
}

/// What a try looks like.
#[derive(Clone, Copy, Debug)]
struct How {
    place: Place,
    /// The task has run before, and is woken; or else it is spawned.
    has_run: bool,
    /// Shard 0 polls short tasks before, or else it sleeps.
    busy_before: bool,
    /// Each shard has a CPU of its own.
    bound: bool,
    /// The poll has been stuck for so long at most when the task is queued.
    after: Duration,
}

/// Longer than the longest sleep between two looks of a shard that watches.
const LATER: Duration = Duration::from_millis(40);

pub(crate) fn from_outside() -> Table {
    details(Place::Outside, "from another thread")
}

pub(crate) fn from_inside() -> Table {
    details(Place::Queue, "by the stuck poll, which queues another after it")
}

pub(crate) fn in_the_slot() -> Table {
    details(Place::Slot, "by the stuck poll, so that it waits in the LIFO slot")
}

fn details(place: Place, name: &str) -> Table {
    let mut table = Table::new(
        &format!("Queued {name}: until it starts elsewhere, {TRIES} tries each"),
        ["the task", "queued", "median", "90 %", "worst", "within 1 ms"],
    );
    let now = Duration::ZERO;
    for (busy_before, after, bound, when) in [
        (false, now, false, "when the poll begins"),
        (false, now, true, "when the poll begins, `thread_affinity([0, 1])`"),
        (false, LATER, false, "within 40 ms of its beginning"),
        (true, now, false, "when the poll begins, after 30 ms of short polls"),
    ] {
        for (has_run, task) in [(false, "new"), (true, "has run")] {
            let times = run::<ChaseLev>(How { place, has_run, busy_before, bound, after });
            table.line(task, cells(when, times));
        }
    }
    table
}

pub(crate) fn each_queue() -> Table {
    let mut table = Table::new(
        &format!("A new task, within 40 ms of the beginning, on each queue, {TRIES} tries each"),
        ["queue", "queued", "median", "90 %", "worst", "within 1 ms"],
    );
    let how =
        How { place: Place::Queue, has_run: false, busy_before: false, bound: false, after: LATER };
    let name = "by the stuck poll, which queues another after it";
    table.line("`ChaseLev`", cells(name, run::<ChaseLev>(how)));
    table.line("`MutexQueue`", cells(name, run::<MutexQueue>(how)));
    table.line("`BlockQueue`", cells(name, run::<BlockQueue>(how)));
    table
}

fn cells(name: &str, mut times: Vec<Duration>) -> [String; 5] {
    times.sort_unstable();
    let at = |place: usize| time(times[place].as_nanos() as f64);
    let within = times.iter().filter(|&&time| time <= GOAL).count();
    let last = times.len() - 1;
    [
        name.to_owned(),
        at(last / 2),
        at(last * 9 / 10),
        at(last),
        format!("{within} of {}", times.len()),
    ]
}

/// The same numbers for each row: pauses at which no pattern of the sleepers repeats.
struct Pauses(u64);

impl Pauses {
    fn up_to(&mut self, most: Duration) -> Duration {
        // Marsaglia's xorshift64 (2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        most.mul_f64((self.0 % 1_000) as f64 / 1_000.0)
    }
}

fn run<Q: StealQueue>(how: How) -> Vec<Duration> {
    compute(Duration::ZERO);
    let builder = builder::<Q>(2);
    let builder = if how.bound { builder.thread_affinity([0, 1]) } else { builder };
    let runtime = builder.build().expect("io_uring is available");
    let handle = runtime.handle();
    let mut pauses = Pauses(0x9e37_79b9_7f4a_7c15);
    let one = |_| {
        thread::sleep(pauses.up_to(Duration::from_millis(10)));
        one_try(&handle, how, pauses.up_to(how.after))
    };
    (0..TRIES).map(one).collect()
}

fn one_try<Q: StealQueue>(
    handle: &RuntimeHandleOf<Made<Q>>,
    how: How,
    after: Duration,
) -> Duration {
    let (times, time) = mpsc::channel();
    let (begins, begun) = mpsc::channel();
    let is_going = Arc::new(AtomicBool::new(false));
    let task = Task::new(handle, how, times.clone(), Arc::clone(&is_going));
    let (mut inside, mut outside) = (None, None);
    match how.place {
        Place::Outside => outside = Some(task),
        Place::Queue | Place::Slot => inside = Some(task),
    }
    let queued = times.clone();
    let stuck = handle.spawn_pinned(0, async move {
        let start = Instant::now();
        while how.busy_before && start.elapsed() < BUSY {
            let short = spargio::spawn(yield_now()).expect("the runtime is open");
            short.await.expect("the task returns");
        }
        let began = Instant::now();
        begins.send(()).expect("it is waited for");
        while !is_going.load(Ordering::Acquire) && began.elapsed() < STUCK {
            if began.elapsed() >= after
                && let Some(task) = inside.take()
            {
                let at = task.queue(|job| spargio::spawn(job).expect("the runtime is open"));
                queued.send(at).expect("it is waited for");
                if how.place == Place::Queue {
                    // It takes the slot, and the task goes into the queue.
                    drop(spargio::spawn(async {}).expect("the runtime is open"));
                }
            }
            compute(Duration::from_micros(5));
        }
    });
    begun.recv().expect("the shard gets stuck");
    if let Some(task) = outside {
        thread::sleep(after);
        let spawn = |job| handle.spawn_stealable_on(0, job).expect("the runtime is open");
        times.send(task.queue(spawn)).expect("it is waited for");
    }
    let both = [(); 2].map(|()| time.recv().expect("the task starts"));
    elsewhere_end(stuck.expect("the runtime is open"));
    both[0].max(both[1]) - both[0].min(both[1])
}

/// Waits for a task on this thread.
fn elsewhere_end(task: JoinHandle<()>) {
    while !task.is_finished() {
        thread::sleep(Duration::from_micros(50));
    }
}

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The task, for whoever queues it.
enum Task {
    /// To be spawned.
    New(Job),
    /// To be woken.
    HasRun(Arc<Event>),
}

impl Task {
    /// It says when it starts, or goes on. One that has run is about to wait when this returns.
    fn new<Q: StealQueue>(
        handle: &RuntimeHandleOf<Made<Q>>,
        how: How,
        times: mpsc::Sender<Instant>,
        is_going: Arc<AtomicBool>,
    ) -> Self {
        let go = move || {
            times.send(Instant::now()).expect("it is waited for");
            is_going.store(true, Ordering::Release);
        };
        if !how.has_run {
            return Self::New(Box::pin(async move { go() }));
        }
        let event = Arc::new(Event::default());
        let waits = Arc::clone(&event);
        let job = async move {
            waits.wait().await;
            go();
        };
        drop(handle.spawn_stealable_on(0, job).expect("the runtime is open"));
        while !event.is_awaited() {
            thread::sleep(Duration::from_micros(50));
        }
        Self::HasRun(event)
    }

    /// Makes it runnable. When that was.
    fn queue(self, spawn: impl FnOnce(Job) -> JoinHandle<()>) -> Instant {
        let now = Instant::now();
        match self {
            Self::New(job) => drop(spawn(job)),
            Self::HasRun(event) => event.set(),
        }
        now
    }
}

/// Something that happens once, awaited by one task.
#[derive(Default)]
struct Event(Mutex<(bool, Option<Waker>)>);

impl Event {
    fn set(&self) {
        let waker = {
            let mut state = self.0.lock().expect("nobody panics with it");
            state.0 = true;
            state.1.take()
        };
        waker.expect("somebody waits").wake();
    }

    fn is_awaited(&self) -> bool {
        self.0.lock().expect("nobody panics with it").1.is_some()
    }

    async fn wait(&self) {
        poll_fn(|context| {
            let mut state = self.0.lock().expect("nobody panics with it");
            if state.0 {
                return Poll::Ready(());
            }
            state.1 = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
