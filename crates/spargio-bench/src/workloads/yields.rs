//! Many tasks that yield in turn: what one switch from task to task costs.

use std::collections::VecDeque;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Waker};

use super::{Floor, Spec, Stage, Workload};
use crate::measure::{Meter, Slice, Wrong};
use crate::runtimes::{Need, Runtime, Setup};

const TASKS: u64 = 64;

/// Tasks that may be stolen.
pub(super) struct Stealable;

impl Workload for Stealable {
    const SPEC: Spec = Spec {
        needs: &[Need::Yield],
        ..Spec::new(
            "yield",
            "yield_storm",
            "yield",
            "One task spawns 64, which yield again and again: tasks that others may steal where the \
         runtime has that. Floor: 64 boxed futures through a VecDeque on one thread.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let each = times.div_ceil(TASKS);
            let meter = Meter::start();
            let joins: Vec<_> =
                (0..TASKS).map(|_| runtime.spawn(yield_often(runtime.clone(), each))).collect();
            let mut yields = 0;
            for join in joins {
                yields += join.await;
            }
            judge(meter, yields, each)
        })
    }

    const FLOOR: Option<Floor> = Some(vec_deque);
}

/// Tasks of one thread.
pub(super) struct Local;

impl Workload for Local {
    const SPEC: Spec = Spec {
        needs: &[Need::Yield, Need::Local, Need::Placement],
        ..Spec::new(
            "yield",
            "yield_storm_local",
            "yield",
            "As yield_storm, with tasks that are not Send and stay on one thread.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.bound(move |runtime| async move {
            let each = times.div_ceil(TASKS);
            let meter = Meter::start();
            let joins: Vec<_> = (0..TASKS)
                .map(|_| runtime.spawn_local(yield_often(runtime.clone(), each)))
                .collect();
            let mut yields = 0;
            for join in joins {
                yields += join.await;
            }
            judge(meter, yields, each)
        })
    }

    const FLOOR: Option<Floor> = Some(vec_deque);
}

fn judge(meter: Meter, yields: u64, each: u64) -> Result<Slice, Wrong> {
    let slice = meter.stop(TASKS * each);
    Wrong::unless_equal("yields", yields, TASKS * each)?;
    Ok(slice)
}

async fn yield_often<R: Runtime>(runtime: R, times: u64) -> u64 {
    let mut yields = 0;
    for _ in 0..times {
        runtime.yield_now().await;
        yields += 1;
    }
    yields
}

fn vec_deque(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let each = times.div_ceil(TASKS);
    let mut context = Context::from_waker(Waker::noop());
    let meter = Meter::start();
    let mut queue: VecDeque<Pin<Box<dyn Future<Output = ()>>>> = VecDeque::new();
    for _ in 0..TASKS {
        queue.push_back(Box::pin(async move {
            for _ in 0..each {
                futures_util::pending!();
            }
        }));
    }
    let mut yields = 0;
    while let Some(mut task) = queue.pop_front() {
        if black_box(task.as_mut().poll(&mut context)).is_pending() {
            yields += 1;
            queue.push_back(task);
        }
    }
    judge(meter, yields, each)
}
