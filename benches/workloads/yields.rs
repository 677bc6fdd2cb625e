//! 64 tasks that yield in turn: what one switch from task to task costs.

use std::collections::VecDeque;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Waker};

use tokio::task::LocalSet;

use crate::workloads::{Contender, Session, Workload, runtimes};

const TASKS: u64 = 64;

pub(super) fn workloads() -> Vec<Workload> {
    let workload = |name, contenders| Workload::new("yield", name, contenders);
    vec![
        workload(
            "64 tasks yield, local",
            vec![
                Contender::spargio(spargio_local),
                Contender::tokio(tokio_local),
                Contender::other("vecdeque of boxes", bare),
            ],
        ),
        workload(
            "64 tasks yield, stealable",
            vec![
                Contender::spargio(spargio_stealable),
                Contender::tokio(tokio_stealable),
                Contender::other("vecdeque of boxes", bare),
            ],
        ),
    ]
}

/// How often each task yields so that together they do it so many times, or a few more.
const fn each(times: u64) -> u64 {
    times.div_ceil(TASKS)
}

async fn yield_often(times: u64) {
    for _ in 0..times {
        spargio::yield_now().await;
    }
}

async fn yield_often_to_tokio(times: u64) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

fn spargio_local() -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        runtimes::inside_shard(&runtime, move |shard| async move {
            let tasks: Vec<_> =
                (0..TASKS).map(|_| shard.spawn_local(yield_often(each(times)))).collect();
            for task in tasks {
                task.expect("the runtime is open").await.expect("the task returns");
            }
        });
    })
}

fn tokio_local() -> Session {
    let runtime = runtimes::tokio_of_one_thread();
    let local = LocalSet::new();
    Box::new(move |times| {
        local.block_on(&runtime, async move {
            let yields = || yield_often_to_tokio(each(times));
            let tasks: Vec<_> = (0..TASKS).map(|_| tokio::task::spawn_local(yields())).collect();
            for task in tasks {
                task.await.expect("the task returns");
            }
        });
    })
}

fn spargio_stealable() -> Session {
    let runtime = runtimes::spargio();
    Box::new(move |times| {
        runtimes::inside_spargio(&runtime, async move {
            let tasks: Vec<_> =
                (0..TASKS).map(|_| spargio::spawn(yield_often(each(times)))).collect();
            for task in tasks {
                task.expect("the runtime is open").await.expect("the task returns");
            }
        });
    })
}

fn tokio_stealable() -> Session {
    let runtime = runtimes::tokio();
    Box::new(move |times| {
        runtimes::inside_tokio(&runtime, async move {
            let yields = || yield_often_to_tokio(each(times));
            let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(yields())).collect();
            for task in tasks {
                task.await.expect("the task returns");
            }
        });
    })
}

fn bare() -> Session {
    Box::new(|times| {
        let mut context = Context::from_waker(Waker::noop());
        let mut queue: VecDeque<Pin<Box<dyn Future<Output = ()>>>> = VecDeque::new();
        for _ in 0..TASKS {
            queue.push_back(Box::pin(yield_often(each(times))));
        }
        while let Some(mut task) = queue.pop_front() {
            if black_box(task.as_mut().poll(&mut context)).is_pending() {
                queue.push_back(task);
            }
        }
    })
}
