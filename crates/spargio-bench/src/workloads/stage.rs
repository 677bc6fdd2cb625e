//! Where a workload plays: a started runtime, and the ways in.

use std::cell::OnceCell;
use std::future::Future;

use crate::runtimes::{Runtime, Setup, Stop};

/// A runtime, started for a workload.
pub(crate) struct Stage<R> {
    setup: Setup,
    running: OnceCell<(R, Stop)>,
}

impl<R: Runtime> Stage<R> {
    pub(super) fn new(setup: Setup) -> Self {
        Self { setup, running: OnceCell::new() }
    }

    /// Starts the runtime.
    pub(super) fn start(&self) -> Result<(), String> {
        let running = R::start(&self.setup)?;
        assert!(self.running.set(running).is_ok(), "a stage starts once");
        Ok(())
    }

    /// How runtimes are to be started.
    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The runtime.
    ///
    /// # Panics
    ///
    /// If the workload said that it starts its runtimes itself.
    pub(crate) fn runtime(&self) -> &R {
        let (runtime, _stop) = self.running.get().expect("the runtime was started");
        runtime
    }

    /// Runs a future as a task of the runtime, and waits for it on this thread: on its first thread
    /// where nobody steals.
    pub(crate) fn inside<F>(&self, work: impl FnOnce(R) -> F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let runtime = self.runtime();
        let work = work(runtime.clone());
        runtime.block_on(async { runtime.spread(0, work).await })
    }

    /// As [`inside`](Self::inside), as a task that stays on the first thread; needs
    /// [`Need::Placement`](crate::runtimes::Need::Placement).
    pub(crate) fn bound<F>(&self, work: impl FnOnce(R) -> F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let runtime = self.runtime();
        let work = work(runtime.clone());
        runtime.block_on(async { runtime.spawn_on(0, work).await })
    }

    /// What the runtime counts of itself.
    pub(super) fn counters(&self) -> Vec<(&'static str, u64)> {
        self.running.get().map_or_else(Vec::new, |(runtime, _stop)| runtime.counters())
    }
}
