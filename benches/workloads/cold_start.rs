//! Cold start: a runtime of two shards is built, runs one task, and is shut down.

use std::hint::black_box;
use std::sync::mpsc;
use std::thread;

use io_uring::IoUring;

use crate::workloads::{Contender, Session, Workload, runtimes};

/// Entries of the rings of the bare loop: as many as a shard has by default.
const ENTRIES: u32 = 256;

pub(super) fn workloads() -> Vec<Workload> {
    vec![Workload::new(
        "cold_start",
        "cold start, 2 shards",
        vec![
            Contender::spargio(spargio),
            Contender::tokio(tokio),
            Contender::other("2 threads, 2 rings", bare_rings),
            Contender::other("2 threads, no rings", bare_threads),
        ],
    )]
}

fn spargio() -> Session {
    Box::new(|times| {
        for number in 0..times {
            let runtime = runtimes::spargio();
            let task = runtime.handle().spawn_stealable(async move { number });
            let task = task.expect("the runtime is open");
            black_box(runtime.block_on(task).expect("the task returns"));
            // Dropping it shuts it down and waits for its threads.
            drop(runtime);
        }
    })
}

fn tokio() -> Session {
    Box::new(|times| {
        for number in 0..times {
            let runtime = runtimes::tokio();
            let task = runtime.spawn(async move { number });
            black_box(runtime.block_on(task).expect("the task returns"));
            drop(runtime);
        }
    })
}

fn bare_rings() -> Session {
    Box::new(|times| start_threads(times, open_ring))
}

fn bare_threads() -> Session {
    Box::new(|times| start_threads(times, || ()))
}

/// With the flags that suit a ring per thread.
fn open_ring() -> IoUring {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(4 * ENTRIES);
    builder.build(ENTRIES).expect("io_uring is available")
}

/// Starts two threads, each with a part of its own, has one of them answer, and ends them.
fn start_threads<T: 'static>(times: u64, part: fn() -> T) {
    for number in 0..times {
        let (ready, all_ready) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let questions: Vec<_> = (0..runtimes::WORKERS)
            .map(|_| {
                let (ask, asked) = mpsc::channel::<u64>();
                let (ready, answer) = (ready.clone(), answer.clone());
                let worker = thread::spawn(move || {
                    let part = part();
                    ready.send(()).expect("the starter listens");
                    for question in asked {
                        answer.send(question).expect("the starter listens");
                    }
                    drop(part);
                });
                (ask, worker)
            })
            .collect();
        for _ in 0..runtimes::WORKERS {
            all_ready.recv().expect("the worker reports");
        }
        questions[0].0.send(number).expect("the worker listens");
        black_box(answers.recv().expect("the worker answers"));
        for (ask, worker) in questions {
            drop(ask);
            worker.join().expect("the thread returns");
        }
    }
}
