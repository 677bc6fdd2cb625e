//! The queues by themselves: what owner and thieves pay for an item.

use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use spargio::queue::{
    BlockQueue, ChaseLev, LocalQueue, MutexQueue, QueueOptions, SharedQueue, StealQueue, Stolen,
};

use crate::{Case, Session};

/// Items of one round.
const BURST: u64 = 256;
/// The most that one theft takes, as by default in a runtime.
const MOST: usize = 32;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case {
            name: "owner alone, push and pop".to_owned(),
            open: [alone::<ChaseLev>, alone::<MutexQueue>, alone::<BlockQueue>],
            size: 1,
        },
        Case {
            name: "owner beside a thief, push and pop".to_owned(),
            open: [robbed::<ChaseLev>, robbed::<MutexQueue>, robbed::<BlockQueue>],
            size: 1,
        },
        Case {
            name: "push and steal by 32, one thread".to_owned(),
            open: [stolen::<ChaseLev>, stolen::<MutexQueue>, stolen::<BlockQueue>],
            size: 1,
        },
    ];
    for thieves in [1, 3, 7, 15] {
        cases.push(Case {
            name: format!("burst of 256 taken by {thieves}"),
            open: [burst::<ChaseLev>, burst::<MutexQueue>, burst::<BlockQueue>],
            size: thieves,
        });
    }
    cases
}

fn pair<Q: StealQueue>() -> (Q::Local<u64>, Q::Shared<u64>) {
    Q::pair(&QueueOptions::default())
}

/// So many items in rounds of [`BURST`]: the time of as many as were asked for.
fn rounds(times: u64, mut round: impl FnMut()) -> Duration {
    let rounds = times.div_ceil(BURST);
    let start = Instant::now();
    (0..rounds).for_each(|_| round());
    start.elapsed().mul_f64(times as f64 / (rounds * BURST) as f64)
}

fn alone<Q: StealQueue>(_: usize) -> Session {
    let (mut owner, shared) = pair::<Q>();
    Box::new(move |times| {
        let _whole = &shared;
        rounds(times, || {
            (0..BURST).for_each(|item| owner.push(item));
            while let Some(item) = owner.pop() {
                black_box(item);
            }
        })
    })
}

fn stolen<Q: StealQueue>(_: usize) -> Session {
    let (mut owner, shared) = pair::<Q>();
    let (mut thief, _own) = pair::<Q>();
    Box::new(move |times| {
        rounds(times, || {
            (0..BURST).for_each(|item| owner.push(item));
            while steal::<Q>(&mut thief, &shared) > 0 {}
        })
    })
}

/// One theft, as a shard does it, and all that came of it. How many items.
fn steal<Q: StealQueue>(thief: &mut Q::Local<u64>, from: &Q::Shared<u64>) -> u64 {
    let most = from.len_hint().div_ceil(2).min(MOST);
    let Stolen::Took { first, .. } = thief.steal_from(from, most) else { return 0 };
    black_box(first);
    let mut items = 1;
    while let Some(item) = thief.pop() {
        black_box(item);
        items += 1;
    }
    items
}

/// Threads that steal from one queue until this is dropped.
struct Thieves {
    taken: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Thieves {
    /// `after` runs after each theft, with the number of items that it gave.
    fn new<Q: StealQueue>(count: usize, shared: Q::Shared<u64>, after: fn(u64)) -> Self {
        let shared = Arc::new(shared);
        let (taken, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = |_| {
            let (shared, taken, end) = (Arc::clone(&shared), Arc::clone(&taken), Arc::clone(&end));
            thread::spawn(move || {
                let (mut thief, _own) = pair::<Q>();
                while !end.load(Ordering::Relaxed) {
                    let items = steal::<Q>(&mut thief, &shared);
                    if items > 0 {
                        taken.fetch_add(items, Ordering::Relaxed);
                    }
                    after(items);
                }
            })
        };
        let threads = (0..count).map(thread).collect();
        Self { taken, end, threads }
    }
}

impl Drop for Thieves {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a thief returns");
        }
    }
}

/// The owner keeps between 192 and 256 items, while a thief takes some each microsecond.
fn robbed<Q: StealQueue>(_: usize) -> Session {
    let (mut owner, shared) = pair::<Q>();
    let thief = Thieves::new::<Q>(1, shared, |_| {
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(1) {
            spin_loop();
        }
    });
    Box::new(move |times| {
        let _thief = &thief;
        let (start, mut pushed, mut moves) = (Instant::now(), 0, 0);
        // A push and a pop are two moves; the thief takes what is pushed and not popped.
        while moves < 2 * times {
            while owner.len() < 256 {
                owner.push(pushed);
                pushed += 1;
                moves += 1;
            }
            for _ in 0..64 {
                black_box(owner.pop());
            }
            moves += 64;
        }
        start.elapsed().mul_f64(2.0 * times as f64 / moves as f64)
    })
}

/// The owner pushes 256 items, and waits until the thieves have taken all of them.
fn burst<Q: StealQueue>(thieves: usize) -> Session {
    let (mut owner, shared) = pair::<Q>();
    let thieves = Thieves::new::<Q>(thieves, shared, |items| {
        // There are more thieves than CPUs.
        if items == 0 {
            thread::yield_now();
        }
    });
    let mut pushed = 0;
    Box::new(move |times| {
        rounds(times, || {
            (0..BURST).for_each(|item| owner.push(item));
            pushed += BURST;
            while thieves.taken.load(Ordering::Relaxed) < pushed {
                thread::yield_now();
            }
        })
    })
}
