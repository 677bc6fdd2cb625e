//! What a runtime tells about itself: panics of tasks, polls that take long, the tasks that live.

use std::fmt;
use std::sync::Arc as StdArc;

mod dump;
mod inquiry;
mod panics;
mod slow;

pub use dump::{Dump, StuckShard, TaskDump, TaskState, TimerDump};
pub use panics::{PanicPolicy, TaskPanic};
pub use slow::SlowPoll;

pub(crate) use inquiry::{Answer, Inquiry};

/// A function of a user's that is told of something.
pub(crate) struct Hook<T>(StdArc<dyn Fn(&T) + Send + Sync>);

impl<T> Hook<T> {
    /// Calls this function.
    pub(crate) fn new(hook: impl Fn(&T) + Send + Sync + 'static) -> Self {
        Self(StdArc::new(hook))
    }

    /// Tells it. A panic of the function goes no further.
    pub(crate) fn tell(&self, event: &T) {
        crate::contain::guard(|| (self.0)(event));
    }
}

impl<T> Clone for Hook<T> {
    fn clone(&self) -> Self {
        Self(StdArc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Hook<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a hook")
    }
}
