//! A question to all shards which tasks they have, and the answers that came.

use std::sync::{Condvar, Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError};
use std::time::Instant;

use crate::driver::Opcode;
use crate::id::{ShardId, TaskId};
use crate::observe::{Dump, TaskDump, TimerDump};

/// What one shard knows.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The tasks that were spawned there and live.
    pub(crate) tasks: Vec<TaskDump>,
    /// How many more there are.
    pub(crate) omitted: usize,
    /// Which tasks the operations on its ring will wake.
    pub(crate) waits: Vec<(TaskId, Opcode)>,
    /// Which tasks the timers of its wheel will wake.
    pub(crate) timers: Vec<(TaskId, TimerDump)>,
    /// How many more of those there are.
    pub(crate) omitted_timers: usize,
}

/// A question that each shard answers once.
#[derive(Debug)]
pub(crate) struct Inquiry {
    answers: StdMutex<Vec<Option<Answer>>>,
    complete: Condvar,
}

impl Inquiry {
    /// For so many shards.
    pub(crate) fn new(shards: usize) -> Self {
        let answers = StdMutex::new((0..shards).map(|_| None).collect());
        Self { answers, complete: Condvar::new() }
    }

    fn lock(&self) -> StdMutexGuard<'_, Vec<Option<Answer>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a shard answers. One that comes after the question was closed is thrown away.
    pub(crate) fn answer(&self, shard: ShardId, answer: Answer) {
        let mut answers = self.lock();
        if let Some(slot) = answers.get_mut(shard.index()) {
            *slot = Some(answer);
        }
        if answers.iter().all(Option::is_some) {
            self.complete.notify_all();
        }
    }

    /// Whether somebody still waits for this.
    pub(crate) fn is_open(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Blocks until all have answered or the time is over, and closes the question: the answer of
    /// each shard, if there is one.
    pub(crate) fn close(&self, deadline: Option<Instant>) -> Vec<Option<Answer>> {
        let mut answers = self.lock();
        while answers.iter().any(Option::is_none) {
            let Some(deadline) = deadline else {
                answers = self.complete.wait(answers).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.complete.wait_timeout(answers, left);
            answers = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::take(&mut *answers)
    }
}

impl Dump {
    /// Takes the tasks of an answer in.
    pub(crate) fn add(&mut self, answer: &mut Answer) {
        self.tasks.append(&mut answer.tasks);
        self.omitted += answer.omitted;
        self.omitted_timers += answer.omitted_timers;
    }

    /// Brings the tasks into order, and notes what they wait for.
    pub(crate) fn arrange(
        &mut self,
        waits: &[(TaskId, Opcode)],
        timers: &mut [(TaskId, TimerDump)],
    ) {
        self.tasks.sort_unstable_by_key(|task| task.id);
        for &(id, opcode) in waits {
            if let Some(task) = self.find(id) {
                task.waits_for.push(opcode);
            }
        }
        timers.sort_unstable_by_key(|&(_, timer)| timer.deadline);
        for &mut (id, timer) in timers {
            if let Some(task) = self.find(id) {
                task.timers.push(timer);
            }
        }
    }

    /// The task of this identity; the tasks are in order.
    fn find(&mut self, id: TaskId) -> Option<&mut TaskDump> {
        let index = self.tasks.binary_search_by_key(&id, |task| task.id).ok()?;
        self.tasks.get_mut(index)
    }
}
