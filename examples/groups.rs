//! What a task costs by itself, in a `TaskGroup` and in a `JoinSet`, beside few others and many.
//!
//! ```sh
//! cargo run --release --example groups
//! ```

use std::error::Error;
use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};
use spargio::{CancellationToken, JoinSet, Runtime, RuntimeError, RuntimeHandle, TaskGroup};

/// So many tasks are alive at once.
const CROWDS: [u32; 3] = [1_000, 10_000, 100_000];
/// So many are measured, crowd after crowd.
const TASKS: u32 = 400_000;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::builder().shards(1).max_tasks(1_000_000).build()?;
    let tokio = tokio::runtime::Builder::new_current_thread().build()?;
    println!("ns of CPU each      alone   group  canceled    set   token  tokio's set");
    for crowd in CROWDS {
        let [alone, group, canceled, set, token] =
            runtime.block_on(runtime.spawn_on(0, here(crowd))?)??;
        let there = tokio.block_on(on_tokio(crowd));
        println!(
            "{crowd:>7} at once   {alone:>6.0}  {group:>6.0}    {canceled:>6.0} {set:>6.0}  \
             {token:>6.0}       {there:>6.0}"
        );
    }
    Ok(())
}

async fn here(crowd: u32) -> Result<[f64; 5], RuntimeError> {
    let clock = Clock::start();
    for _ in 0..TASKS / crowd {
        let tasks: Result<Vec<_>, _> =
            (0..crowd).map(|_| spargio::spawn(spargio::yield_now())).collect();
        for task in tasks? {
            task.await?;
        }
    }
    let alone = clock.each();

    let handle = RuntimeHandle::current().ok_or(RuntimeError::NoRuntime)?;
    let clock = Clock::start();
    let group = TaskGroup::new(handle.clone());
    for _ in 0..TASKS / crowd {
        for _ in 0..crowd {
            drop(group.spawn(spargio::yield_now())?);
        }
        black_box(group.join_all().await);
    }
    let of_group = clock.each();

    let clock = Clock::start();
    for _ in 0..TASKS / crowd {
        let group = TaskGroup::new(handle.clone());
        for _ in 0..crowd {
            drop(group.spawn(std::future::pending::<()>())?);
        }
        spargio::yield_now().await;
        group.cancel();
        black_box(group.join_all().await);
    }
    let canceled = clock.each();

    let clock = Clock::start();
    for _ in 0..TASKS / crowd {
        let mut set = JoinSet::new();
        for _ in 0..crowd {
            set.spawn(spargio::yield_now())?;
        }
        while let Some(output) = set.join_next().await {
            output?;
        }
    }
    let of_set = clock.each();

    let clock = Clock::start();
    for _ in 0..TASKS / crowd {
        let token = CancellationToken::new();
        let children: Vec<_> = (0..crowd).map(|_| token.child_token()).collect();
        black_box(children);
    }
    Ok([alone, of_group, canceled, of_set, clock.each()])
}

async fn on_tokio(crowd: u32) -> f64 {
    let clock = Clock::start();
    for _ in 0..TASKS / crowd {
        let mut set = tokio::task::JoinSet::new();
        for _ in 0..crowd {
            set.spawn(tokio::task::yield_now());
        }
        while let Some(output) = set.join_next().await {
            black_box(output.is_ok());
        }
    }
    clock.each()
}

/// The clock of this thread, so that others who use the machine do not count.
struct Clock(f64);

impl Clock {
    fn now() -> f64 {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    }

    fn start() -> Self {
        Self(Self::now())
    }

    fn each(self) -> f64 {
        (Self::now() - self.0) / f64::from(TASKS)
    }
}
