//! A partner that answers only after 10 ms: what staying ready for it costs.

use std::time::Duration;

use spargio::Runtime;

use crate::workloads::{Contender, Goal, Session, Workload, baton, runtimes};

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
    let name = "partner on the other shard answers after 10 ms";
    let workload = Workload::new("sparse", name, "answer", goal, contenders);
    vec![Workload { stretch: 4, ..workload }]
}

fn spargio(runtime: Runtime) -> Session {
    Box::new(move |times| {
        let (near, mut far) = baton::pair();
        let handle = runtime.handle();
        let partner = handle.spawn_pinned(1, async move {
            for _ in 0..times {
                far.receive().await;
                spargio::sleep(PAUSE).await;
                far.send();
            }
        });
        let task = handle.spawn_pinned(0, near.ping(times));
        runtime.block_on(async {
            task.expect("the runtime is open").await.expect("the task returns");
            partner.expect("the runtime is open").await.expect("the task returns");
        });
    })
}

fn tokio() -> Session {
    let runtime = runtimes::tokio();
    Box::new(move |times| {
        let (near, mut far) = baton::pair();
        let partner = runtime.spawn(async move {
            for _ in 0..times {
                far.receive().await;
                tokio::time::sleep(PAUSE).await;
                far.send();
            }
        });
        let task = runtime.spawn(near.ping(times));
        runtime.block_on(async {
            task.await.expect("the task returns");
            partner.await.expect("the task returns");
        });
    })
}
