//! The queues by themselves: what owner and thief pay for an item.

use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use spargio::queue::{
    BlockQueue, ChaseLev, LocalQueue, MutexQueue, QueueOptions, SharedQueue, StealQueue, Stolen,
};

use crate::load::shown;
use crate::report::measure::Spread;
use crate::table::Table;

const SAMPLES: usize = 7;
const LENGTH: Duration = Duration::from_millis(30);

/// Nanoseconds per item, on average over a sample.
type Measure = fn() -> f64;

pub(crate) fn tables() -> Vec<Table> {
    let heads = ["per item", "`ChaseLev`", "`MutexQueue`", "`BlockQueue`"];
    let mut table = Table::new("The queues by themselves", heads);
    let mut row = |name: &str, measures: [Measure; 3]| {
        let mut samples = [const { Vec::new() }; 3];
        for round in 0..SAMPLES {
            for place in 0..3 {
                let turn = (round + place) % 3;
                samples[turn].push(measures[turn]());
            }
        }
        table.line(name, samples.map(|samples| shown(Spread::of(samples))));
    };
    row(
        "owner: push and pop, 64 at a time",
        [alone::<ChaseLev, 64>, alone::<MutexQueue, 64>, alone::<BlockQueue, 64>],
    );
    row(
        "owner: push and pop, 4,096 at a time",
        [alone::<ChaseLev, 4_096>, alone::<MutexQueue, 4_096>, alone::<BlockQueue, 4_096>],
    );
    row(
        "owner: push and pop, while a thief takes 32 each us",
        [robbed::<ChaseLev>, robbed::<MutexQueue>, robbed::<BlockQueue>],
    );
    row(
        "owner: push and pop, while another looks at the length",
        [watched::<ChaseLev>, watched::<MutexQueue>, watched::<BlockQueue>],
    );
    row(
        "push, steal by 32, pop, on one thread",
        [stolen::<ChaseLev, 32>, stolen::<MutexQueue, 32>, stolen::<BlockQueue, 32>],
    );
    row(
        "push, steal by 1, on one thread",
        [stolen::<ChaseLev, 1>, stolen::<MutexQueue, 1>, stolen::<BlockQueue, 1>],
    );
    row(
        "inject and pop, on one thread",
        [injected::<ChaseLev>, injected::<MutexQueue>, injected::<BlockQueue>],
    );
    vec![table]
}

fn pair<Q: StealQueue>() -> (Q::Local<u64>, Q::Shared<u64>) {
    Q::pair(&QueueOptions::default())
}

/// Repeats a round of so many items until a sample is over.
fn sample(mut round: impl FnMut() -> u64) -> f64 {
    round();
    let (start, mut items) = (Instant::now(), 0);
    while start.elapsed() < LENGTH {
        items += round();
    }
    start.elapsed().as_nanos() as f64 / items as f64
}

fn alone<Q: StealQueue, const BATCH: u64>() -> f64 {
    let (mut owner, _shared) = pair::<Q>();
    sample(|| {
        (0..BATCH).for_each(|item| owner.push(item));
        while let Some(item) = owner.pop() {
            black_box(item);
        }
        BATCH
    })
}

/// Keeps 256 items, while `other` does something to the queue on another thread.
fn beside<Q: StealQueue>(other: impl FnOnce(Q::Shared<u64>, &AtomicBool) + Send + 'static) -> f64 {
    let (mut owner, shared) = pair::<Q>();
    let end = Arc::new(AtomicBool::new(false));
    let other = {
        let end = Arc::clone(&end);
        thread::spawn(move || other(shared, &end))
    };
    // The other is there before the first item is counted.
    thread::sleep(Duration::from_millis(1));
    let nanos = sample(|| {
        let mut pushed = 0;
        while owner.len() < 256 {
            owner.push(pushed);
            pushed += 1;
        }
        for _ in 0..64 {
            black_box(owner.pop());
        }
        (pushed + 64) / 2
    });
    end.store(true, Ordering::Relaxed);
    other.join().expect("it returns");
    nanos
}

fn robbed<Q: StealQueue>() -> f64 {
    beside::<Q>(|shared, end| {
        let (mut thief, _own) = pair::<Q>();
        while !end.load(Ordering::Relaxed) {
            if let Stolen::Took { first, .. } = thief.steal_from(&shared, 32) {
                black_box(first);
                while let Some(item) = thief.pop() {
                    black_box(item);
                }
            }
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(1) {
                spin_loop();
            }
        }
    })
}

fn watched<Q: StealQueue>() -> f64 {
    beside::<Q>(|shared, end| {
        while !end.load(Ordering::Relaxed) {
            black_box(shared.len_hint());
            spin_loop();
        }
    })
}

fn stolen<Q: StealQueue, const MOST: usize>() -> f64 {
    const BATCH: u64 = 256;
    let (mut owner, shared) = pair::<Q>();
    let (mut thief, _own) = pair::<Q>();
    sample(|| {
        (0..BATCH).for_each(|item| owner.push(item));
        while let Stolen::Took { first, .. } = thief.steal_from(&shared, MOST) {
            black_box(first);
            while let Some(item) = thief.pop() {
                black_box(item);
            }
        }
        BATCH
    })
}

fn injected<Q: StealQueue>() -> f64 {
    const BATCH: u64 = 64;
    let (mut owner, shared) = pair::<Q>();
    sample(|| {
        (0..BATCH).for_each(|item| shared.inject(item));
        while let Some(item) = owner.pop().or_else(|| owner.pop_injected()) {
            black_box(item);
        }
        BATCH
    })
}
