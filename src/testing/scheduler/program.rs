//! The programs that the model runs: tasks with scripts, and who takes how many steps when.

use std::fmt;

use proptest::prelude::{Just, Strategy, any, prop_oneof};

use super::mail::Sort;

/// Where a task is spawned. Numbers of shards are taken modulo how many there are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Where {
    /// On the shard that spawns, or where the placement says; may move.
    Stealable,
    /// On this shard first; may move.
    Preferred(usize),
    /// On this shard.
    Pinned(usize),
    /// On each shard in turn.
    InTurn,
    /// On the shard of the key.
    Sticky(u64),
}

/// What a task does, one act after the other. What names a task that is not there does nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// Spawns that task, unless it was spawned before.
    Spawn(usize),
    /// Wakes that task.
    Wake(usize),
    /// Ends the poll, and wants the next.
    Yield,
    /// Ends the poll until somebody wakes the task.
    Wait,
    /// The poll lasts so many steps longer.
    Long(u8),
    /// Sends a message to this shard.
    Send(Sort, usize),
    /// Sends a plain message to this shard, and waits until that has taken it.
    Deliver(usize),
    /// Waits for the next message to the shard that the task is pinned to.
    Receive(Sort),
    /// Waits until so much time has passed.
    Sleep(u8),
}

/// One task: where it goes, and what it does until it is done.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) place: Where,
    pub(super) acts: Vec<Act>,
}

/// What happens next. What names a task or a shard that is not there does nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// A thread that is no shard begins to spawn this task.
    Spawn(usize),
    /// A thread that is no shard begins to wake this task.
    Wake(usize),
    /// An operation of this task completes on the ring of this shard.
    Complete(usize, usize),
    /// A shard goes on for so many steps of its own.
    Run(usize, u8),
    /// A thread that is no shard begins to send a message to this shard.
    Send(Sort, usize),
    /// What threads that are no shards have begun goes on for so many steps.
    Strangers(u8),
    /// So much time passes.
    Time(u8),
    /// The runtime is told to end.
    Shutdown,
}

/// A program for a few shards.
#[derive(Clone)]
pub(super) struct Program {
    pub(super) shards: usize,
    /// How many looks a shard without work takes before it gets ready to sleep.
    pub(super) spin: u8,
    pub(super) tasks: Vec<Script>,
    pub(super) steps: Vec<Step>,
}

impl Program {
    /// Programs with one thing less.
    pub(super) fn smaller(&self) -> impl Iterator<Item = Self> + '_ {
        let with = move |change: &dyn Fn(&mut Self)| {
            let mut program = self.clone();
            change(&mut program);
            program
        };
        let steps = (0..self.steps.len()).flat_map(move |at| {
            let gone = with(&|program| {
                program.steps.remove(at);
            });
            let shorter = match self.steps[at] {
                Step::Run(shard, count @ 2..) => Some(Step::Run(shard, count - 1)),
                Step::Strangers(count @ 2..) => Some(Step::Strangers(count - 1)),
                Step::Time(span @ 2..) => Some(Step::Time(span - 1)),
                _ => None,
            };
            [Some(gone), shorter.map(|step| with(&|program| program.steps[at] = step))]
        });
        let acts = self.tasks.iter().enumerate().flat_map(move |(task, script)| {
            (0..script.acts.len()).map(move |at| {
                Some(with(&|program| {
                    program.tasks[task].acts.remove(at);
                }))
            })
        });
        let tasks = (self.tasks.len() > 1).then(|| with(&|program| drop(program.tasks.pop())));
        let shards = (self.shards > 1).then(|| with(&|program| program.shards -= 1));
        let spin = (self.spin > 0).then(|| with(&|program| program.spin -= 1));
        steps.chain(acts).chain([tasks, shards, spin]).flatten()
    }
}

/// Programs of up to 4 shards, 6 tasks and 60 steps.
pub(super) fn programs() -> impl Strategy<Value = Program> {
    let tasks = proptest::collection::vec(script(), 1..=6);
    let steps = proptest::collection::vec(step(), 0..60);
    (1..=4_usize, 0..4_u8, tasks, steps).prop_map(|(shards, spin, tasks, steps)| Program {
        shards,
        spin,
        tasks,
        steps,
    })
}

fn sort() -> impl Strategy<Value = Sort> {
    prop_oneof![3 => Just(Sort::Plain), 1 => Just(Sort::Hot), 2 => Just(Sort::Counted)]
}

fn script() -> impl Strategy<Value = Script> {
    let place = prop_oneof![
        4 => Just(Where::Stealable),
        1 => (0..4_usize).prop_map(Where::Preferred),
        2 => (0..4_usize).prop_map(Where::Pinned),
        1 => Just(Where::InTurn),
        1 => any::<u64>().prop_map(Where::Sticky),
    ];
    let act = prop_oneof![
        2 => Just(Act::Wait),
        1 => Just(Act::Yield),
        2 => (0..6_usize).prop_map(Act::Wake),
        2 => (0..6_usize).prop_map(Act::Spawn),
        3 => (1..60_u8).prop_map(Act::Long),
        2 => (sort(), 0..4_usize).prop_map(|(sort, shard)| Act::Send(sort, shard)),
        1 => (0..4_usize).prop_map(Act::Deliver),
        2 => sort().prop_map(Act::Receive),
        1 => (1..9_u8).prop_map(Act::Sleep),
    ];
    (place, proptest::collection::vec(act, 0..6)).prop_map(|(place, acts)| Script { place, acts })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => (0..4_usize, 1..16_u8).prop_map(|(shard, count)| Step::Run(shard, count)),
        12 => (1..4_u8).prop_map(Step::Strangers),
        12 => (0..6_usize).prop_map(Step::Spawn),
        12 => (0..6_usize).prop_map(Step::Wake),
        6 => (0..4_usize, 0..6_usize).prop_map(|(shard, task)| Step::Complete(shard, task)),
        6 => (sort(), 0..4_usize).prop_map(|(sort, shard)| Step::Send(sort, shard)),
        3 => (1..9_u8).prop_map(Step::Time),
        1 => Just(Step::Shutdown),
    ]
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stealable => f.write_str("stealable"),
            Self::Preferred(shard) => write!(f, "stealable, first on shard {shard}"),
            Self::Pinned(shard) => write!(f, "pinned to shard {shard}"),
            Self::InTurn => f.write_str("pinned in turn"),
            Self::Sticky(key) => write!(f, "pinned by key {key}"),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn(task) => write!(f, "spawn task {task}"),
            Self::Wake(task) => write!(f, "wake task {task}"),
            Self::Yield => f.write_str("yield"),
            Self::Wait => f.write_str("wait"),
            Self::Long(steps) => write!(f, "take {steps} steps"),
            Self::Send(sort, shard) => write!(f, "send {sort} to shard {shard}"),
            Self::Deliver(shard) => write!(f, "deliver a message to shard {shard}"),
            Self::Receive(sort) => write!(f, "receive {sort}"),
            Self::Sleep(span) => write!(f, "sleep for {span}"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn(task) => write!(f, "outside: spawn task {task}"),
            Self::Wake(task) => write!(f, "outside: wake task {task}"),
            Self::Complete(shard, task) => {
                write!(f, "kernel: an operation of task {task} completes on shard {shard}")
            }
            Self::Run(shard, count) => write!(f, "shard {shard}: {count} steps"),
            Self::Send(sort, shard) => write!(f, "outside: send {sort} to shard {shard}"),
            Self::Strangers(count) => write!(f, "outside: {count} steps"),
            Self::Time(span) => write!(f, "clock: {span} on"),
            Self::Shutdown => f.write_str("outside: shut down"),
        }
    }
}

/// A listing, without the tasks that nobody spawns.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {} shards, which look {} times before they sleep", self.shards, self.spin)?;
        let acts = || self.tasks.iter().flat_map(|script| &script.acts);
        for (number, script) in self.tasks.iter().enumerate() {
            let from_outside =
                self.steps.iter().any(|s| matches!(s, Step::Spawn(t) if *t == number));
            if !from_outside && !acts().any(|act| matches!(act, Act::Spawn(t) if *t == number)) {
                continue;
            }
            let place = match script.place {
                Where::Preferred(shard) => Where::Preferred(shard % self.shards),
                Where::Pinned(shard) => Where::Pinned(shard % self.shards),
                other => other,
            };
            write!(f, "  task {number}, {place}:")?;
            for act in &script.acts {
                write!(f, " {act},")?;
            }
            f.write_str(" done\n")?;
        }
        for step in &self.steps {
            writeln!(f, "  {step}")?;
        }
        f.write_str("  then everybody goes on by turns, and at last the runtime is told to end")
    }
}

/// The listing, because it is what a failure shows.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}
