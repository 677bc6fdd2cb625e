//! A baton that goes back and forth: between two stealable tasks, and between two shards.

use std::hint::spin_loop;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::thread;

use crossbeam_utils::CachePadded;
use spargio::{Assembly, RuntimeOf};

use crate::workloads::{Contender, Session, Workload, baton, by_hand, runtimes};

pub(super) fn workloads() -> Vec<Workload> {
    vec![
        Workload::new(
            "ping_pong",
            "ping-pong, stealable",
            vec![
                Contender::spargio(spargio_stealable),
                Contender::tokio(tokio_stealable),
                Contender::other("2 futures by turns", bare_by_turns),
            ],
        ),
        Workload::new(
            "ping_pong",
            "ping-pong, pinned to 2 shards",
            vec![
                Contender::spargio(spargio_pinned),
                Contender::tokio(tokio_apart),
                Contender::other("2 spinning threads", bare_apart),
            ],
        ),
    ]
}

fn spargio_stealable() -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        runtimes::inside_spargio(&runtime, async move {
            let (near, far) = baton::pair();
            let partner = spargio::spawn(far.pong(times)).expect("the runtime is open");
            let task = spargio::spawn(near.ping(times)).expect("the runtime is open");
            task.await.expect("the task returns");
            partner.await.expect("the task returns");
        });
    })
}

fn tokio_stealable() -> Session {
    let runtime = runtimes::tokio();
    Box::new(move |times| {
        runtimes::inside_tokio(&runtime, async move {
            let (near, far) = baton::pair();
            let partner = tokio::spawn(far.pong(times));
            tokio::spawn(near.ping(times)).await.expect("the task returns");
            partner.await.expect("the task returns");
        });
    })
}

fn bare_by_turns() -> Session {
    Box::new(|times| {
        let (near, far) = baton::pair();
        let mut near = pin!(near.ping(times));
        let mut far = pin!(far.pong(times));
        let mut context = Context::from_waker(Waker::noop());
        let mut open = true;
        while near.as_mut().poll(&mut context).is_pending() {
            open = open && far.as_mut().poll(&mut context).is_pending();
        }
    })
}

fn spargio_pinned() -> Session {
    pinned(runtimes::spargio())
}

/// Between two tasks that are pinned to the first two shards.
pub(crate) fn pinned<A: Assembly>(runtime: RuntimeOf<A>) -> Session {
    Box::new(move |times| {
        let (near, far) = baton::pair();
        let handle = runtime.handle();
        let partner = handle.spawn_pinned(1, far.pong(times)).expect("the runtime is open");
        let task = handle.spawn_pinned(0, near.ping(times)).expect("the runtime is open");
        runtime.block_on(async {
            task.await.expect("the task returns");
            partner.await.expect("the task returns");
        });
    })
}

/// Tokio's tasks cannot be bound to a worker, so this is a runtime for each of the two.
fn tokio_apart() -> Session {
    let here = runtimes::tokio_of_one_thread();
    let there = runtimes::tokio_of_one_thread();
    Box::new(move |times| {
        let (near, far) = baton::pair();
        thread::scope(|scope| {
            scope.spawn(|| there.block_on(far.pong(times)));
            here.block_on(near.ping(times));
        });
    })
}

fn bare_apart() -> Session {
    Box::new(|times| {
        let there = CachePadded::new(AtomicU64::new(0));
        let back = CachePadded::new(AtomicU64::new(0));
        // Acquire and Release pair with each other: each number carries what was done before it.
        let wait = |word: &AtomicU64, number| {
            while word.load(Ordering::Acquire) != number {
                spin_loop();
            }
        };
        let ping = || {
            for number in 1..=times {
                there.store(number, Ordering::Release);
                wait(&back, number);
            }
        };
        let pong = || {
            for number in 1..=times {
                wait(&there, number);
                back.store(number, Ordering::Release);
            }
        };
        by_hand::on_two_cpus(ping, pong);
    })
}
