//! Timers that are set and dropped before they fire, as a timeout around an operation is: alone,
//! and among many others.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::workloads::{Contender, Session, Workload, runtimes};

/// Far enough not to come.
const FAR: Duration = Duration::from_secs(3600);
/// So many others are set.
const OTHERS: usize = 10_000;

pub(super) fn workloads() -> Vec<Workload> {
    let workload = |name, contenders| Workload::new("timer", name, contenders);
    vec![
        workload(
            "timer set and dropped",
            vec![
                Contender::spargio(|| spargio(0)),
                Contender::tokio(|| tokio(0)),
                Contender::other("btreemap", || bare(0)),
            ],
        ),
        workload(
            "timer set and dropped among 10,000",
            vec![
                Contender::spargio(|| spargio(OTHERS)),
                Contender::tokio(|| tokio(OTHERS)),
                Contender::other("btreemap", || bare(OTHERS)),
            ],
        ),
    ]
}

/// When the other timers are due: one after the other, from a minute on.
fn other(index: usize) -> Duration {
    Duration::from_secs(60) + Duration::from_millis(index as u64)
}

/// Polls once.
async fn set<F: Future>(future: Pin<&mut F>) {
    let mut future = future;
    let waits = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
    assert!(waits);
}

fn spargio(others: usize) -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        runtimes::inside_spargio(&runtime, async move {
            let mut kept: Vec<_> =
                (0..others).map(|index| Box::pin(spargio::sleep(other(index)))).collect();
            for sleep in &mut kept {
                set(sleep.as_mut()).await;
            }
            for _ in 0..times {
                set(pin!(spargio::sleep(FAR))).await;
            }
        });
    })
}

fn tokio(others: usize) -> Session {
    let runtime = runtimes::tokio();
    Box::new(move |times| {
        runtimes::inside_tokio(&runtime, async move {
            let mut kept: Vec<_> =
                (0..others).map(|index| Box::pin(tokio::time::sleep(other(index)))).collect();
            for sleep in &mut kept {
                set(sleep.as_mut()).await;
            }
            for _ in 0..times {
                set(pin!(tokio::time::sleep(FAR))).await;
            }
        });
    })
}

/// The simplest thing that is right, with the reading of the clock that all have.
fn bare(others: usize) -> Session {
    Box::new(move |times| {
        let mut timers: BTreeMap<(Instant, u64), Waker> = BTreeMap::new();
        let start = Instant::now();
        for index in 0..others {
            timers.insert((start + other(index), 0), Waker::noop().clone());
        }
        for number in 0..times {
            let key = (Instant::now() + FAR, number);
            timers.insert(key, Waker::noop().clone());
            black_box(timers.remove(&key));
        }
    })
}
