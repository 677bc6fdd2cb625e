//! The workloads: each the same job on several runtimes and by hand, as sessions that repeat it.

mod all;
mod baton;
mod by_hand;
mod cold_start;
mod du;
pub(crate) mod echo;
pub(crate) mod fan_out;
pub(crate) mod file_read;
mod messages;
mod op;
pub(crate) mod ping_pong;
pub(crate) mod runtimes;
mod sparse;
mod spawn;
mod steal;
mod timer;
mod yields;

use std::time::Duration;

/// Does its job so many times, and returns when it is done. What it needs was opened before;
/// dropping it closes that.
pub(crate) type Session = Box<dyn FnMut(u64)>;

/// Who does a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// This project, as users get it.
    Spargio,
    /// The runtime to compare with.
    Tokio,
    /// A loop that does this one job by hand. If there are several, the fastest is the floor.
    Bare,
    /// Something else to compare with.
    Other,
}

/// One way to do a workload's job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) open: fn() -> Session,
}

impl Contender {
    const fn spargio(open: fn() -> Session) -> Self {
        Self { name: "spargio", role: Role::Spargio, open }
    }

    const fn tokio(open: fn() -> Session) -> Self {
        Self { name: "tokio", role: Role::Tokio, open }
    }

    const fn bare(name: &'static str, open: fn() -> Session) -> Self {
        Self { name, role: Role::Bare, open }
    }

    const fn other(name: &'static str, open: fn() -> Session) -> Self {
        Self { name, role: Role::Other, open }
    }
}

/// What spargio is to reach, measured in the same run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// A time in the better half of the gap between tokio and the floor.
    HalfWay,
    /// A time no longer than tokio's.
    AsTokio,
    /// A time of at most so many times the floor.
    OfFloor(f64),
    /// CPU time of at most so many times that of the contender of this name.
    CpuOf(&'static str, f64),
}

/// A job, and the ways to do it.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// The name of the criterion group.
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    /// What is counted.
    pub(crate) unit: &'static str,
    pub(crate) goal: Goal,
    /// A sample takes so many times the usual length.
    pub(crate) stretch: u32,
    /// What the system needs after a sample until it is as before.
    pub(crate) settle: Duration,
    pub(crate) contenders: Vec<Contender>,
}

impl Workload {
    fn new(
        group: &'static str,
        name: &'static str,
        unit: &'static str,
        goal: Goal,
        contenders: Vec<Contender>,
    ) -> Self {
        Self { group, name, unit, goal, stretch: 1, settle: Duration::ZERO, contenders }
    }
}

/// All workloads, in the order in which they are reported.
pub(crate) fn all() -> Vec<Workload> {
    let mut all = Vec::new();
    all.extend(spawn::workloads());
    all.extend(fan_out::workloads());
    all.extend(steal::workloads());
    all.extend(yields::workloads());
    all.extend(ping_pong::workloads());
    all.extend(messages::workloads());
    all.extend(sparse::workloads());
    all.extend(timer::workloads());
    all.extend(op::workloads());
    all.extend(echo::workloads());
    all.extend(file_read::workloads());
    all.extend(du::workloads());
    all.extend(cold_start::workloads());
    all
}
