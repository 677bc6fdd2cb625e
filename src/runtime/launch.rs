//! Starting the shards: each opens its parts on its own thread, and all of them start or none.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use crate::assembly::Assembly;
use crate::driver::Driver;
use crate::error::BuildError;
use crate::id::ShardId;
use crate::options::Options;
use crate::port::Lane;
use crate::primitive::Arc;
use crate::runtime::exits::Exits;
use crate::runtime::{Outposts, RuntimeOf};
use crate::shard::{Core, LocalOf, Outpost, Shard};

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
    let mut runtime =
        RuntimeOf { core, outposts, exits, threads: Vec::new(), started };
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
    let (report, reports) = mpsc::channel();
    let mut first_error = None;
    for (index, queue) in locals.into_iter().enumerate() {
        let shard = ShardId::from_index(index);
        let start = Start {
            core: Arc::clone(&runtime.core),
            lane: Arc::clone(&runtime.outposts[index]) as Arc<dyn Lane>,
            exits: Arc::clone(&runtime.exits),
            setup: setup.clone(),
            report: report.clone(),
            shard,
            queue,
        };
        let name = format!("{}-{index}", runtime.core.options.thread_prefix);
        match thread::Builder::new().name(name).spawn(move || start.main()) {
            Ok(thread) => runtime.threads.push(thread),
            Err(source) => {
                // This shard and those after it never start; the others must not wait for them.
                for missing in index..runtime.core.shards.len() {
                    runtime.core.never_started();
                    runtime.exits.gone(ShardId::from_index(missing), Ok(Ok(())));
                }
                first_error = Some(BuildError::ThreadSpawn { shard, source });
                break;
            }
        }
    }
    drop(report);
    // Ends when every thread has reported or gone.
    for error in reports.into_iter().flatten() {
        first_error.get_or_insert(error);
    }
    first_error.map_or(Ok(()), Err)
}

/// What a shard's thread starts with.
struct Start<A: Assembly> {
    core: Arc<Core<A>>,
    lane: Arc<dyn Lane>,
    exits: Arc<Exits>,
    setup: <A::Driver as Driver>::Setup,
    report: mpsc::Sender<Option<BuildError>>,
    shard: ShardId,
    queue: LocalOf<A>,
}

impl<A: Assembly> Start<A> {
    fn main(self) {
        let Self { core, lane, exits, setup, report, shard, queue } = self;
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
                    // The launcher may have given up and gone; then the phase says so.
                    drop(report.send(None));
                    drop(report);
                    opened.run()
                }
                Err(source) => {
                    core.never_started();
                    drop(report.send(Some(BuildError::Open { shard, source })));
                    Ok(())
                }
            }
        }));
        if ended.is_err() {
            core.lost_shard();
        }
        exits.gone(shard, ended);
    }
}

/// Binds the calling thread to one CPU of the list, if there is a list.
fn pin_thread(cpus: &[usize], shard: ShardId) -> io::Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let cpu = cpus[shard.index() % cpus.len()];
    // SAFETY:
    // - a CPU set is a plain array of bits, for which zero is a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY:
    // - the builder has checked that the number is below CPU_SETSIZE.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY:
    // - the set is alive and of the size that is passed; 0 is the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
