//! Starting the shards: each opens its parts on its own thread, and all of them start or none.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::assembly::Assembly;
use crate::cpu;
use crate::driver::Driver;
use crate::error::BuildError;
use crate::id::ShardId;
use crate::options::Options;
use crate::port::Lane;
use crate::primitive::Arc;
use crate::runtime::exits::Exits;
use crate::runtime::{Outposts, RuntimeOf};
use crate::shard::{Core, LocalOf, Outpost, Shard};
use crate::trace;

/// Starts a runtime of checked options.
pub(crate) fn launch<A: Assembly>(
    options: Options,
    setup: &<A::Driver as Driver>::Setup,
    placement: A::Placement,
) -> Result<RuntimeOf<A>, BuildError> {
    let started = Instant::now();
    let (core, locals) = Core::<A>::new(options, placement);
    let core = Arc::new(core);
    let outposts: Outposts<A> = (0..core.shards.len())
        .map(|index| Arc::new(Outpost::new(Arc::clone(&core), ShardId::from_index(index))))
        .collect();
    core.adopt(&outposts);
    let exits = Arc::new(Exits::new(core.shards.len()));
    let mut runtime = RuntimeOf { core, outposts, exits, threads: Vec::new(), started };
    match start_all(&mut runtime, locals, setup) {
        Ok(()) => Ok(runtime),
        // Dropping the runtime ends the shards that did open.
        Err(error) => Err(error),
    }
}

fn start_all<A: Assembly>(
    runtime: &mut RuntimeOf<A>,
    locals: Vec<LocalOf<A>>,
    setup: &<A::Driver as Driver>::Setup,
) -> Result<(), BuildError> {
    let roll = Arc::new(Roll::new(locals.len()));
    for (index, queue) in locals.into_iter().enumerate() {
        let shard = ShardId::from_index(index);
        let start = Start {
            core: Arc::clone(&runtime.core),
            lane: Arc::clone(&runtime.outposts[index]) as Arc<dyn Lane>,
            exits: Arc::clone(&runtime.exits),
            setup: setup.clone(),
            roll: Arc::clone(&roll),
            shard,
            queue,
        };
        let name = format!("{}-{index}", runtime.core.options.thread_prefix);
        match thread::Builder::new().name(name).spawn(move || start.main()) {
            Ok(thread) => runtime.threads.push(thread),
            Err(source) => {
                roll.answer(Some(BuildError::ThreadSpawn { shard, source }));
                runtime.core.never_started(shard);
                runtime.exits.gone(shard, Ok(Ok(())));
                // Nor do those after it start; the others must not wait for them.
                for missing in index + 1..runtime.core.shards.len() {
                    let missing = ShardId::from_index(missing);
                    roll.answer(None);
                    runtime.core.never_started(missing);
                    runtime.exits.gone(missing, Ok(Ok(())));
                }
                break;
            }
        }
    }
    roll.wait()
}

/// The roll call: each shard answers once, and the launcher is woken by the last.
struct Roll {
    state: Mutex<Answers>,
    complete: Condvar,
}

struct Answers {
    missing: usize,
    first_error: Option<BuildError>,
}

impl Roll {
    fn new(shards: usize) -> Self {
        let answers = Answers { missing: shards, first_error: None };
        Self { state: Mutex::new(answers), complete: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Answers> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A shard has opened, or has not.
    fn answer(&self, error: Option<BuildError>) {
        let mut answers = self.lock();
        answers.missing -= 1;
        if answers.first_error.is_none() {
            answers.first_error = error;
        }
        if answers.missing == 0 {
            self.complete.notify_one();
        }
    }

    fn wait(&self) -> Result<(), BuildError> {
        let waited = self.complete.wait_while(self.lock(), |answers| answers.missing > 0);
        let mut answers = waited.unwrap_or_else(PoisonError::into_inner);
        answers.first_error.take().map_or(Ok(()), Err)
    }
}

/// Answers for a shard that a panic takes while it opens.
struct Answer(Option<Arc<Roll>>);

impl Answer {
    fn give(mut self, error: Option<BuildError>) {
        if let Some(roll) = self.0.take() {
            roll.answer(error);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(roll) = self.0.take() {
            roll.answer(None);
        }
    }
}

/// What a shard's thread starts with.
struct Start<A: Assembly> {
    core: Arc<Core<A>>,
    lane: Arc<dyn Lane>,
    exits: Arc<Exits>,
    setup: <A::Driver as Driver>::Setup,
    roll: Arc<Roll>,
    shard: ShardId,
    queue: LocalOf<A>,
}

impl<A: Assembly> Start<A> {
    fn main(self) {
        let Self { core, lane, exits, setup, roll, shard, queue } = self;
        let answer = Answer(Some(roll));
        let ended = catch_unwind(AssertUnwindSafe(|| {
            let open = || {
                pin_thread(&core.options.thread_affinity, shard)?;
                Shard::open(Arc::clone(&core), shard, lane, queue, &setup)
            };
            // A part that panics as it opens is a part that does not open; the hook has said why.
            let opened = catch_unwind(AssertUnwindSafe(open))
                .unwrap_or_else(|_| Err(io::Error::other("a part panicked as it was opened")));
            match opened {
                Ok(opened) => {
                    trace::shard_started(shard);
                    answer.give(None);
                    let end = opened.run();
                    trace::shard_stopped(shard);
                    end
                }
                Err(source) => {
                    core.never_started(shard);
                    answer.give(Some(BuildError::Open { shard, source }));
                    Ok(())
                }
            }
        }));
        if ended.is_err() {
            core.lost_shard(shard);
        }
        exits.gone(shard, ended);
    }
}

/// Binds the calling thread to one CPU of the list, if there is a list.
fn pin_thread(cpus: &[usize], shard: ShardId) -> io::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    cpu::bind(cpus[shard.index() % cpus.len()])
}
