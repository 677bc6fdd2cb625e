//! Knobs of what is told about tasks, and done about those that panic.

use std::time::Duration;

use crate::builder::Builder;
use crate::driver::Driver;
use crate::observe::{Hook, PanicPolicy, SlowPoll, TaskPanic};

impl<D: Driver, B, Q, P> Builder<D, B, Q, P> {
    /// What becomes of the runtime when a task panics. Default
    /// [`Isolate`](PanicPolicy::Isolate): nothing, the panic is the task's output.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use spargio::{JoinHandle, PanicPolicy, Runtime};
    ///
    /// let runtime = Runtime::builder().shards(1).panic_policy(PanicPolicy::ShutDown).build()?;
    /// let task: JoinHandle<()> =
    ///     runtime.handle().spawn_stealable(async { panic!("out of paper") })?;
    /// assert!(runtime.block_on(task).is_err());
    /// let report = runtime.shutdown_timeout(Duration::from_secs(10));
    /// assert_eq!(report.panic.expect("it was the reason").message(), Some("out of paper"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn panic_policy(mut self, policy: PanicPolicy) -> Self {
        self.options.observe.panic_policy = policy;
        self
    }

    /// Tells this function of every panic of a task, on the thread where it happened, before the
    /// task's handle resolves and before the [policy](Self::panic_policy) does anything. What the
    /// function itself panics with is dropped. Default: none.
    ///
    /// Rust's own panic hook has run by then; it knows where in the code it was, and this one
    /// which task.
    pub fn on_task_panic(mut self, hook: impl Fn(&TaskPanic) + Send + Sync + 'static) -> Self {
        self.options.observe.on_task_panic = Some(Hook::new(hook));
        self
    }

    /// Tells of polls that take as long as this or longer: to [`on_slow_poll`](Self::on_slow_poll)
    /// or, without one, by an event if there is the feature `tracing` and a subscriber listens, and
    /// else by a line on the standard error stream. Default off.
    ///
    /// With it every poll is timed by itself, which takes two looks at the clock and two changes of
    /// the task's count of references; without it none is, and nothing is paid. A poll is told when
    /// it is over; which one a shard is stuck in says a [dump](crate::RuntimeOf::dump).
    pub fn slow_poll_threshold(mut self, threshold: Duration) -> Self {
        self.options.observe.slow_poll = Some(threshold);
        self
    }

    /// Tells this function of every poll beyond the
    /// [threshold](Self::slow_poll_threshold), on its shard, before the next task is polled there.
    /// What the function panics with is dropped.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let builder = spargio::Runtime::builder().shards(1);
    /// let runtime = builder
    ///     .slow_poll_threshold(Duration::from_millis(50))
    ///     .on_slow_poll(|poll| println!("{poll}"))
    ///     .build()?;
    /// # drop(runtime);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_slow_poll(mut self, hook: impl Fn(&SlowPoll) + Send + Sync + 'static) -> Self {
        self.options.observe.on_slow_poll = Some(Hook::new(hook));
        self
    }
}
