//! What the queues of the model hold: the right to poll a task, which resolves it when it is lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How far a task is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    /// Not spawned, or refused.
    New,
    /// Somebody has the right to poll it.
    Queued,
    /// This shard polls it; `woken`: and will poll it again.
    Polled { by: usize, woken: bool },
    /// Nobody polls it until it is woken.
    Waiting,
    /// Its handle has the output.
    Done,
    /// Its handle says that it was cancelled.
    Cancelled,
}

impl Life {
    /// Whether the handle is still to be resolved.
    pub(super) fn is_alive(self) -> bool {
        matches!(self, Self::Queued | Self::Polled { .. } | Self::Waiting)
    }
}

#[derive(Debug)]
struct State {
    lives: Vec<Life>,
    /// The runtime is on its way down, and tasks may be dropped.
    ending: bool,
    /// A task that was dropped before.
    lost: Option<usize>,
}

/// What is known of all tasks; shared with the tickets.
#[derive(Clone, Debug)]
pub(super) struct Ledger(Arc<Mutex<State>>);

impl Ledger {
    pub(super) fn new(tasks: usize) -> Self {
        let state = State { lives: vec![Life::New; tasks], ending: false, lost: None };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the task is, if there is one of this number.
    pub(super) fn life(&self, task: usize) -> Option<Life> {
        self.state().lives.get(task).copied()
    }

    pub(super) fn set(&self, task: usize, life: Life) {
        self.state().lives[task] = life;
    }

    pub(super) fn lives(&self) -> Vec<Life> {
        self.state().lives.clone()
    }

    pub(super) fn begin_end(&self) {
        self.state().ending = true;
    }

    pub(super) fn is_ending(&self) -> bool {
        self.state().ending
    }

    /// A task whose ticket was dropped while the runtime ran.
    pub(super) fn lost(&self) -> Option<usize> {
        self.state().lost
    }

    /// Queues the task: the one ticket of its next poll.
    pub(super) fn ticket(&self, task: usize) -> Ticket {
        self.set(task, Life::Queued);
        Ticket { task, ledger: self.clone(), used: false }
    }
}

/// The right to poll a task once.
#[derive(Debug)]
pub(super) struct Ticket {
    task: usize,
    ledger: Ledger,
    used: bool,
}

impl Ticket {
    pub(super) fn task(&self) -> usize {
        self.task
    }

    /// Uses it for a poll by this shard.
    pub(super) fn poll(mut self, by: usize) -> Result<usize, String> {
        self.used = true;
        let life = self.ledger.life(self.task);
        if life != Some(Life::Queued) {
            return Err(format!("shard {by} polls task {}, which is {life:?}", self.task));
        }
        self.ledger.set(self.task, Life::Polled { by, woken: false });
        Ok(self.task)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.used {
            return;
        }
        let mut state = self.ledger.state();
        state.lives[self.task] = Life::Cancelled;
        if !state.ending {
            state.lost.get_or_insert(self.task);
        }
    }
}
