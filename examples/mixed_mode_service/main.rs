//! HTTP on tokio, work on spargio: one process, two runtimes, and a boundary between them.
//!
//! The front is hyper on tokio. Each request of a browser becomes one or many jobs that go over a
//! boundary to the shards of a spargio runtime, which read a file through io_uring. What a service
//! needs under pressure is to be seen from outside:
//!
//! - a **deadline** (the header `x-deadline-ms`) travels with the job, ends it at the shard, and is
//!   a `504 Gateway Timeout` to the browser;
//! - a browser that hangs up **cancels** its jobs, in the queue or at work;
//! - when the queue is full a job is refused at once: **overload** is a `503 Service Unavailable`.
//!
//! Without arguments it serves itself, drives each of these, checks what it sees, prints a report
//! and exits with 0; anything unexpected ends it with another code.
//!
//! ```text
//! cargo run --release --example mixed_mode_service
//! cargo run --release --example mixed_mode_service -- --listen 127.0.0.1:8080
//! curl http://127.0.0.1:8080/sum/64
//! curl -H 'x-deadline-ms: 50' http://127.0.0.1:8080/work/5000
//! curl http://127.0.0.1:8080/stats
//! ```

mod demonstration;
mod front;
mod work;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use spargio::Runtime;
use spargio::boundary;
use work::{Data, Job, JobResult};

const USAGE: &str = "usage: mixed_mode_service [--listen ADDR]";
const SHARDS: usize = 2;
/// Jobs that a shard works on at a time.
const AT_ONCE: usize = 4;
/// Jobs that wait for a shard.
const QUEUE: usize = 16;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let listen = match (words.next().as_deref(), words.next(), words.next()) {
        (None, ..) => Ok(None),
        (Some("--listen"), Some(address), None) => address.parse().map(Some),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let result = match listen {
        Ok(listen) => run(listen),
        Err(error) => Err(format!("--listen: {error}\n{USAGE}").into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mixed_mode_service: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(listen: Option<SocketAddr>) -> Result<(), Box<dyn Error>> {
    // The working half.
    let runtime = Runtime::builder().shards(SHARDS).build()?;
    let (client, server) = boundary::channel::<Job, JobResult>(QUEUE);
    let data = runtime.block_on(Data::create())?;
    let mut workers = Vec::new();
    for shard in 0..u16::try_from(SHARDS)? {
        let worker = work::serve(server.clone(), data.clone(), AT_ONCE);
        workers.push(runtime.spawn_on(shard, worker)?);
    }
    drop(server);

    // The half that speaks HTTP.
    let tokio =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let checked = tokio.block_on(async {
        let address = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = tokio::net::TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let front = front::serve(listener, client.clone(), data.len());
        match listen {
            Some(_) => {
                println!("listening on http://{address}, until it is killed");
                front.await
            }
            None => {
                tokio::spawn(front);
                demonstration::run(address, &client).await
            }
        }
    });
    // The front goes, and with it the last clients; the workers then end by themselves.
    tokio.shutdown_timeout(Duration::from_secs(5));
    drop(client);
    checked.map_err(|error: Failure| -> Box<dyn Error> { error })?;

    let mut tally = work::Tally::default();
    for worker in workers {
        tally += runtime.block_on(worker)?;
    }
    println!("\nthe shards: {tally}");
    let report = runtime.shutdown_timeout(Duration::from_secs(5));
    println!("{report:?}");
    Ok(())
}
