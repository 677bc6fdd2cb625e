//! A burst that one shard is given: both shards compute until it is done.

use std::thread;
use std::time::{Duration, Instant};

use spargio::queue::{BlockQueue, ChaseLev, MutexQueue, StealQueue};

use crate::load::{compute, runtime};
use crate::report::units::time;
use crate::table::Table;

const TASKS: usize = 60;
const LENGTH: Duration = Duration::from_millis(10);
const TRIES: usize = 5;

pub(crate) fn table() -> Table {
    let title = "60 tasks of 10 ms each, all given to one of two shards: best, median, worst";
    let heads = ["spawned", "`ChaseLev`", "`MutexQueue`", "`BlockQueue`"];
    let mut table = Table::new(title, heads);
    let runs = [burst::<ChaseLev>, burst::<MutexQueue>, burst::<BlockQueue>];
    table.line("by a task of that shard", runs.map(|run| shown(|| run(true))));
    table.line("from outside", runs.map(|run| shown(|| run(false))));
    table.line("nowhere: two threads do 30 each", [shown(by_hand)]);
    table
}

fn shown(mut run: impl FnMut() -> Duration) -> String {
    let mut all: Vec<Duration> = (0..TRIES).map(|_| run()).collect();
    all.sort_unstable();
    [0, TRIES / 2, TRIES - 1].map(|place| time(all[place].as_nanos() as f64)).join(", ")
}

fn burst<Q: StealQueue>(inside: bool) -> Duration {
    compute(Duration::ZERO);
    let runtime = runtime::<Q>(2);
    if !inside {
        let began = Instant::now();
        let spawn = |_| runtime.handle().spawn_stealable_on(0, async { compute(LENGTH) });
        let tasks: Vec<_> = (0..TASKS).map(spawn).collect();
        for task in tasks {
            runtime.block_on(task.expect("the runtime is open")).expect("the task returns");
        }
        return began.elapsed();
    }
    let task = runtime.spawn_on(0, async {
        let began = Instant::now();
        let spawn = |_| spargio::spawn(async { compute(LENGTH) }).expect("the runtime is open");
        let tasks: Vec<_> = (0..TASKS).map(spawn).collect();
        for task in tasks {
            task.await.expect("the task returns");
        }
        began.elapsed()
    });
    runtime.block_on(task.expect("the runtime is open")).expect("the task returns")
}

/// The floor: two CPUs that compute at once may be slower than one alone.
fn by_hand() -> Duration {
    let began = Instant::now();
    let half = || (0..TASKS / 2).for_each(|_| compute(LENGTH));
    thread::scope(|scope| {
        scope.spawn(half);
        half();
    });
    began.elapsed()
}
