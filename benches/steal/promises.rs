//! What a shard that is stuck costs the tasks behind it.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use spargio::queue::{BlockQueue, ChaseLev, MutexQueue, StealQueue};

use crate::load::{compute, runtime};
use crate::report::table::time;
use crate::table::Table;

pub(crate) fn tables() -> Vec<Table> {
    let heads = ["two shards", "`ChaseLev`", "`MutexQueue`", "`BlockQueue`"];
    let mut table = Table::new("Promises, each as median and worst", heads);
    let burst = [burst::<ChaseLev>, burst::<MutexQueue>, burst::<BlockQueue>];
    let behind = [behind::<ChaseLev>, behind::<MutexQueue>, behind::<BlockQueue>];
    table.line("60 tasks of 10 ms that one shard spawns", burst.map(|run| shown(5, run)));
    table.line(
        "from outside: a task on a shard stuck for 500 ms starts elsewhere after",
        behind.map(|run| shown(3, || run(false))),
    );
    table.line(
        "from inside: the last task that a stuck poll spawned starts elsewhere after",
        behind.map(|run| shown(3, || run(true))),
    );
    vec![table]
}

fn shown(times: usize, mut run: impl FnMut() -> Vec<Duration>) -> String {
    let mut all: Vec<Duration> = (0..times).flat_map(|_| run()).collect();
    all.sort_unstable();
    let show = |duration: Duration| time(duration.as_nanos() as f64);
    format!("{}, {}", show(all[all.len() / 2]), show(all[all.len() - 1]))
}

fn burst<Q: StealQueue>() -> Vec<Duration> {
    const LENGTH: Duration = Duration::from_millis(10);
    compute(Duration::ZERO);
    let runtime = runtime::<Q>(2);
    let task = runtime.spawn_on(0, async {
        let began = Instant::now();
        let spawn = |_| spargio::spawn(async { compute(LENGTH) }).expect("the runtime is open");
        let tasks: Vec<_> = (0..60).map(spawn).collect();
        for task in tasks {
            task.await.expect("the task returns");
        }
        began.elapsed()
    });
    vec![runtime.block_on(task.expect("the runtime is open")).expect("the task returns")]
}

/// Several tasks behind one poll of half a second, one after the other.
fn behind<Q: StealQueue>(from_inside: bool) -> Vec<Duration> {
    let runtime = runtime::<Q>(2);
    let handle = runtime.handle();
    let (times, starts) = mpsc::channel();
    let (stuck, is_stuck) = mpsc::channel();
    let inner = times.clone();
    let task = handle.spawn_pinned(0, async move {
        let end = Instant::now() + Duration::from_millis(500);
        stuck.send(()).expect("it is waited for");
        while Instant::now() < end {
            if from_inside {
                let (spawned, times) = (Instant::now(), inner.clone());
                let job = async move { times.send(spawned.elapsed()).expect("it is waited for") };
                drop(spargio::spawn(job).expect("the runtime is open"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    is_stuck.recv().expect("the shard runs");
    for _ in 0..if from_inside { 0 } else { 20 } {
        thread::sleep(Duration::from_millis(20));
        let (spawned, times) = (Instant::now(), times.clone());
        let job = async move { times.send(spawned.elapsed()).expect("it is waited for") };
        drop(handle.spawn_stealable_on(0, job).expect("the runtime is open"));
    }
    drop(times);
    runtime.block_on(task.expect("the runtime is open")).expect("the task returns");
    starts.iter().collect()
}
