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
mod spawn;
mod steal;
mod sync;
mod timer;
mod yields;

/// Does its job so many times, and returns when it is done. What it needs was opened before;
/// dropping it closes that.
pub(crate) type Session = Box<dyn FnMut(u64)>;

/// One way to do a workload's job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) open: fn() -> Session,
}

impl Contender {
    /// This project, as users get it.
    const fn spargio(open: fn() -> Session) -> Self {
        Self { name: "spargio", open }
    }

    /// The runtime to compare with.
    const fn tokio(open: fn() -> Session) -> Self {
        Self { name: "tokio", open }
    }

    /// Another way to write it, or a loop that does this one job by hand.
    const fn other(name: &'static str, open: fn() -> Session) -> Self {
        Self { name, open }
    }
}

/// A job, and the ways to do it.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// The name of the criterion group.
    pub(crate) group: &'static str,
    pub(crate) name: &'static str,
    pub(crate) contenders: Vec<Contender>,
}

impl Workload {
    const fn new(group: &'static str, name: &'static str, contenders: Vec<Contender>) -> Self {
        Self { group, name, contenders }
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
    all.extend(sync::workloads());
    all.extend(timer::workloads());
    all.extend(op::workloads());
    all.extend(echo::workloads());
    all.extend(file_read::workloads());
    all.extend(du::workloads());
    all.extend(cold_start::workloads());
    all
}
