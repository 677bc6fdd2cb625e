//! Where a suite gets its drivers from, and how long it waits for them.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::driver::Driver;
use crate::id::ShardId;

/// Where a suite gets its drivers from, and how long it waits for what must come at once.
///
/// ```no_run
/// use std::time::Duration;
///
/// use spargio::doorbell::EventFd;
/// use spargio::driver::{Uring, UringSetup};
/// use spargio::testing::{Site, doorbell_at};
///
/// // A kernel thread takes the submissions.
/// let setup = UringSetup::default().with_sqpoll(Duration::from_millis(1));
/// doorbell_at::<Uring, EventFd>(&Site::new(setup));
/// ```
pub struct Site<'a, D> {
    open: Box<dyn Fn(ShardId) -> io::Result<D> + Sync + 'a>,
    patience: Duration,
}

impl<D: Driver> Default for Site<'_, D> {
    /// Drivers of the default recipe.
    fn default() -> Self {
        Self::new(D::Setup::default())
    }
}

impl<'a, D: Driver> Site<'a, D> {
    /// Drivers of this recipe.
    pub fn new(setup: D::Setup) -> Self {
        Self::opened_by(move |shard| D::open(&setup, shard))
    }

    /// Drivers that `open` opens, for drivers that are to be changed after they were opened. It is
    /// called on the thread that uses the driver.
    pub fn opened_by(open: impl Fn(ShardId) -> io::Result<D> + Sync + 'a) -> Self {
        Self { open: Box::new(open), patience: Duration::from_secs(10) }
    }

    /// How long a check waits for what must come at once before it fails. Default 10 s, which is
    /// long enough for a machine under load; a check that passes does not wait.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long a check waits.
    pub(super) fn patience_of(&self) -> Duration {
        self.patience
    }

    /// A driver on this thread.
    ///
    /// # Panics
    ///
    /// If it does not open.
    #[track_caller]
    pub(super) fn driver(&self, shard: u16) -> D {
        (self.open)(ShardId::new(shard)).unwrap_or_else(|error| {
            panic!("`{}` does not open: {error}", std::any::type_name::<D>())
        })
    }
}

impl<D> fmt::Debug for Site<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("patience", &self.patience).finish_non_exhaustive()
    }
}
