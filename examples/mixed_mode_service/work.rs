//! What the shards do: read parts of a file, and work that takes a while.

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use spargio::boundary::{BoundaryReply, BoundaryServer};
use spargio::fs::{File, TempDir};
use tokio::sync::Semaphore;

/// What the front asks for.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// The sum of some bytes of the file.
    Sum { offset: u64, bytes: usize },
    /// Something that takes so long.
    Work(Duration),
}

/// What it gets: a sum, or the error of a read.
pub(crate) type JobResult = Result<u64, String>;

/// The file that the service is about.
#[derive(Clone)]
pub(crate) struct Data {
    file: File,
    /// Goes when the last job is done.
    _directory: Arc<TempDir>,
}

impl Data {
    const LEN: u64 = 1 << 20;

    /// A file in a directory that does not stay.
    pub(crate) async fn create() -> io::Result<Self> {
        let directory = TempDir::new().await?;
        let path = directory.path().join("data");
        let bytes: Vec<u8> = (0..Self::LEN).map(Self::byte).collect();
        spargio::fs::write(&path, bytes).await?;
        let file = File::open(&path).await?;
        Ok(Self { file, _directory: Arc::new(directory) })
    }

    pub(crate) const fn len(&self) -> u64 {
        Self::LEN
    }

    /// What lies at an offset.
    #[expect(clippy::cast_possible_truncation, reason = "the lowest byte is meant")]
    pub(crate) fn byte(offset: u64) -> u8 {
        (offset ^ (offset >> 8) ^ (offset >> 16)) as u8
    }

    async fn sum(&self, offset: u64, bytes: usize) -> JobResult {
        let (result, buffer) = self.file.read_exact_at(Vec::with_capacity(bytes), offset).await;
        result.map_err(|error| error.to_string())?;
        Ok(buffer.iter().copied().map(u64::from).sum())
    }
}

/// How jobs ended at the shards.
#[derive(Default)]
pub(crate) struct Tally {
    done: u64,
    /// The answer came too late, or for nobody.
    in_vain: u64,
    /// Stopped in the middle, because nobody waited any more.
    stopped: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.done += other.done;
        self.in_vain += other.in_vain;
        self.stopped += other.stopped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, in_vain, stopped } = self;
        write!(f, "{done} jobs done, {in_vain} in vain, {stopped} stopped in the middle")
    }
}

/// Takes jobs until the front is gone, some at a time.
pub(crate) async fn serve(
    server: BoundaryServer<Job, JobResult>,
    data: Data,
    at_once: usize,
) -> Tally {
    // Of tokio, in a task of spargio: it belongs to no runtime.
    let slots = Arc::new(Semaphore::new(at_once));
    let counts = Arc::new([const { AtomicU64::new(0) }; 3]);
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await.expect("nobody closes it");
        let Ok(request) = server.recv().await else { break };
        let (job, reply) = request.into_parts();
        let (data, counts) = (data.clone(), Arc::clone(&counts));
        let spawned = spargio::spawn(async move {
            let end = match job {
                Job::Sum { offset, bytes } => answer(data.sum(offset, bytes), reply).await,
                Job::Work(span) => answer(work(span), reply).await,
            };
            counts[end as usize].fetch_add(1, Ordering::Relaxed);
            drop(slot);
        });
        if spawned.is_err() {
            // The runtime ends, and the job that was refused has told its client.
            break;
        }
    }
    // All slots are free when all jobs are done.
    let slots = slots.acquire_many(u32::try_from(at_once).expect("some slots")).await;
    drop(slots);
    let [done, in_vain, stopped] = counts.each_ref().map(|count| count.load(Ordering::Relaxed));
    Tally { done, in_vain, stopped }
}

#[derive(Clone, Copy)]
enum End {
    Done,
    InVain,
    Stopped,
}

/// Works until it is done or nobody waits for it any more.
async fn answer(work: impl Future<Output = JobResult>, mut reply: BoundaryReply<JobResult>) -> End {
    let result = {
        let canceled = reply.canceled();
        tokio::select! {
            biased;
            result = work => result,
            () = canceled => return End::Stopped,
        }
    };
    match reply.respond(result) {
        Ok(()) => End::Done,
        Err(_) => End::InVain,
    }
}

async fn work(span: Duration) -> JobResult {
    spargio::sleep(span).await;
    Ok(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
