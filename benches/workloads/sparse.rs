//! A partner that answers only every 10 ms: what staying ready for it costs.
//!
//! The answers come from the thread that calls the session, so its CPU time does not count.

use std::thread;
use std::time::Duration;

use spargio::Runtime;

use crate::workloads::{Contender, Cpu, Goal, Session, Workload, baton, runtimes};

const PAUSE: Duration = Duration::from_millis(10);
/// How many times the CPU time of a runtime that never spins this may take.
const OF_PARKED: f64 = 1.3;
const PARKED: &str = "spargio, no spin";

pub(super) fn workloads() -> Vec<Workload> {
    let contenders = vec![
        Contender::spargio(|| spargio(runtimes::spargio())),
        Contender::other(PARKED, || spargio(runtimes::spargio_without_spin())),
        Contender::tokio(tokio),
    ];
    let goal = Goal::CpuOf(PARKED, OF_PARKED);
    let workload =
        Workload::new("sparse", "partner answers every 10 ms", "answer", goal, contenders);
    vec![Workload { cpu: Cpu::OtherThreads, stretch: 4, ..workload }]
}

/// Between the two tasks and from outside: the outside gives one task leave to answer the other.
async fn answer(mut partner: baton::Baton, mut leave: baton::Baton, times: u64) {
    for _ in 0..times {
        partner.receive().await;
        leave.receive().await;
        partner.send();
    }
}

fn give_leave(mut leave: baton::Baton, times: u64) {
    for _ in 0..times {
        thread::sleep(PAUSE);
        leave.send();
    }
}

fn spargio(runtime: Runtime) -> Session {
    Box::new(move |times| {
        let (near, far) = baton::pair();
        let (outside, leave) = baton::pair();
        let handle = runtime.handle();
        let partner = handle.spawn_pinned(1, answer(far, leave, times));
        let task = handle.spawn_pinned(0, near.ping(times));
        give_leave(outside, times);
        runtime.block_on(async {
            task.expect("the runtime is open").await.expect("the task returns");
            partner.expect("the runtime is open").await.expect("the task returns");
        });
    })
}

fn tokio() -> Session {
    let runtime = runtimes::tokio();
    Box::new(move |times| {
        let (near, far) = baton::pair();
        let (outside, leave) = baton::pair();
        let partner = runtime.spawn(answer(far, leave, times));
        let task = runtime.spawn(near.ping(times));
        give_leave(outside, times);
        runtime.block_on(async {
            task.await.expect("the task returns");
            partner.await.expect("the task returns");
        });
    })
}
