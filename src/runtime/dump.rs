//! Dumps: the tasks that live, from any thread.

use std::thread;
use std::time::Duration;

use crate::assembly::Assembly;
use crate::blocking;
use crate::error::RuntimeError;
use crate::observe::Dump;
use crate::runtime::RuntimeOf;
use crate::runtime::handle::RuntimeHandleOf;

impl<A: Assembly> RuntimeHandleOf<A> {
    /// The tasks that live: their names, what they do, how old they are, and which operations and
    /// timers they wait for. Each shard is asked for its own, and shards that sleep are woken for
    /// it. Blocks until all have answered, at most so long; one that has not by then is named in
    /// [`Dump::stuck`] with the time that its present poll takes.
    ///
    /// On a shard it blocks that shard too, whose own tasks are looked at directly. So two shards
    /// that do this at once wait for each other until the time is over; hooks, which run on shards,
    /// take [`dump_async`](Self::dump_async) or a short time.
    ///
    /// It costs a shard one walk over its tasks, operations and timers, with an allocation for each
    /// name; a shard tells of 65,536 tasks and as many timers at most, and how many more there are.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use spargio::{Runtime, SpawnOptions};
    ///
    /// let runtime = Runtime::builder().shards(2).build()?;
    /// let options = SpawnOptions::new().name("idle");
    /// let task = runtime.spawn_with(options, std::future::pending::<()>())?;
    /// let dump = runtime.dump(Duration::from_secs(1));
    /// assert_eq!(dump.tasks[0].id, task.id());
    /// assert_eq!(dump.tasks[0].name.as_deref(), Some("idle"));
    /// println!("{dump}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn dump(&self, patience: Duration) -> Dump {
        self.core().dump(patience)
    }

    /// As [`dump`](Self::dump), without blocking: a thread of its own waits for the answers.
    ///
    /// # Errors
    ///
    /// [`ThreadSpawn`](RuntimeError::ThreadSpawn) if the system starts no thread.
    ///
    /// # Cancel safety
    ///
    /// Nobody is told of what the shards answer when the future is dropped; the thread ends when
    /// they have, or when the time is over.
    pub async fn dump_async(&self, patience: Duration) -> Result<Dump, RuntimeError> {
        let core = self.share_core();
        let (job, answer) = blocking::job(move |_| core.dump(patience));
        let started = thread::Builder::new().name("spargio-dump".to_owned()).spawn(job);
        // Nobody joins it.
        drop(started.map_err(RuntimeError::ThreadSpawn)?);
        answer.await.map_err(RuntimeError::ThreadSpawn)
    }
}

impl<A: Assembly> RuntimeOf<A> {
    /// As [`RuntimeHandleOf::dump`].
    pub fn dump(&self, patience: Duration) -> Dump {
        self.handle().dump(patience)
    }

    /// As [`RuntimeHandleOf::dump_async`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// As there.
    pub async fn dump_async(&self, patience: Duration) -> Result<Dump, RuntimeError> {
        self.handle().dump_async(patience).await
    }
}
