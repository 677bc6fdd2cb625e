//! What a runtime does about a panic of a task, and about a poll that takes long.

use std::any::Any;
use std::fmt;
use std::io::{self, Write as _};
use std::process;
use std::time::Duration;

use crate::assembly::Assembly;
use crate::id::{ShardId, TaskId};
use crate::observe::{PanicPolicy, SlowPoll, TaskPanic};
use crate::port;
use crate::primitive::Ordering;
use crate::shard::{Core, Shard};
use crate::task::{Runnable, TaskRef};
use crate::trace;

/// A poll that is timed.
pub(super) struct Timed {
    task: TaskRef,
    /// When it began, in nanoseconds since the shard did.
    began: u64,
}

impl<A: Assembly> Core<A> {
    /// A future of this runtime has panicked, on this thread: says so, and does what the policy
    /// says.
    #[cold]
    pub(crate) fn task_panicked(
        &self,
        task: TaskId,
        name: Option<&str>,
        payload: &(dyn Any + Send),
    ) {
        let here = port::with(|port| {
            port.filter(|port| port.runtime() == self.runtime()).map(|port| port.shard())
        });
        let panic = TaskPanic::new(here.unwrap_or(ShardId::EXTERNAL), task, name, payload);
        trace::panicked(&panic);
        let observe = &self.options.observe;
        if let Some(hook) = &observe.on_task_panic {
            hook.tell(&panic);
        }
        match observe.panic_policy {
            PanicPolicy::Isolate => {}
            PanicPolicy::ShutDown => {
                if !self.is_closing() {
                    // Noted before the end begins, so that who waits for the end finds it. The
                    // first of several is the reason.
                    let _is_first = self.panic.set(panic);
                }
                self.close();
                self.wake_all();
            }
            PanicPolicy::Abort => {
                say(format_args!("{panic}; the process is aborted, as the panic policy says"));
                process::abort();
            }
        }
    }
}

impl<A: Assembly> Shard<A> {
    /// The poll of a task begins, and is timed.
    #[cold]
    pub(super) fn time_poll(&self, runnable: &Runnable, now: u64) {
        let task = runnable.to_ref();
        self.public().polled.store(task.id().get(), Ordering::Relaxed);
        self.timed.set(Some(Timed { task, began: now }));
    }

    /// The poll that was timed is over. Whether somebody was told of it.
    #[cold]
    pub(super) fn end_timed_poll(&self, now: u64) -> bool {
        let Some(Timed { task, began }) = self.timed.take() else { return false };
        self.public().polled.store(0, Ordering::Relaxed);
        let duration = Duration::from_nanos(now.saturating_sub(began));
        let observe = &self.core.options.observe;
        if observe.slow_poll.is_none_or(|limit| duration < limit) {
            return false;
        }
        let name = task.name().map(str::to_owned);
        let poll = SlowPoll { shard: self.me, task: task.id(), name, duration };
        // The destructor of the task must not come after what the hook does.
        drop(task);
        let heard = trace::slow_poll(&poll);
        match &observe.on_slow_poll {
            Some(hook) => hook.tell(&poll),
            None if heard => {}
            None => say(format_args!("{poll}")),
        }
        true
    }
}

/// A line on the standard error stream. One that cannot be written is lost.
fn say(line: fmt::Arguments<'_>) {
    drop(writeln!(io::stderr().lock(), "spargio: {line}"));
}
