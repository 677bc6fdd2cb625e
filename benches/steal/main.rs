//! The steal queues against each other, as one criterion group, `steal`: by themselves, and as the
//! part of a runtime that has as many shards as CPUs and more.
//!
//! `cargo bench --bench steal -- [FILTER]` takes half a minute and prints a table as well; with
//! `WRITE_BOOK=1` in the environment a run of everything puts it into the book's chapter.

mod load;
mod raw;
mod runtime;
mod samples;
mod table;

#[path = "../report/mod.rs"]
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion};

use crate::report::machine;
use crate::samples::shown_of;
use crate::table::Table;

/// Does its job so many times. How long that took.
type Session = Box<dyn FnMut(u64) -> Duration>;

/// One job, on each queue.
struct Case {
    name: String,
    open: [fn(usize) -> Session; 3],
    /// How many threads or shards take part.
    size: usize,
}

const QUEUES: [&str; 3] = ["ChaseLev", "MutexQueue", "BlockQueue"];

fn main() -> ExitCode {
    let output = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../criterion");
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(500))
        .sample_size(20)
        .output_directory(&output)
        .configure_from_args();
    let head = machine::describe();
    let cases: Vec<Case> = raw::cases().into_iter().chain(runtime::cases()).collect();
    let mut group = criterion.benchmark_group("steal");
    for case in &cases {
        for (queue, open) in QUEUES.into_iter().zip(case.open) {
            group.bench_function(BenchmarkId::new(&case.name, queue), |bencher| {
                // Opened when its benchmark is run, and closed before the next one.
                bencher.iter_custom(open(case.size));
            });
        }
    }
    group.finish();
    criterion.final_summary();

    let heads = ["median per item, half of the middle half", QUEUES[0], QUEUES[1], QUEUES[2]];
    let mut table = Table::new("The queues", heads);
    for case in &cases {
        let cells = QUEUES.map(|queue| {
            let place = output.join("steal").join(&case.name).join(queue).join("new/sample.json");
            shown_of(&place).unwrap_or_else(|error| error.to_string())
        });
        table.line(&case.name, cells);
    }
    let text = format!("```text\n{head}\n```\n\n{}", table.markdown());
    println!("{text}");
    if std::env::var_os("WRITE_BOOK").is_some()
        && let Err(error) = table::write("queues", &text)
    {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
