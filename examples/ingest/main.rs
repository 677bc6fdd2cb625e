//! TCP ingest into files, under skewed load.
//!
//! Without arguments it starts a server on a loopback port, drives it with clients in the same
//! process until 1 GiB has gone through sockets into files, reads the files back, checks every
//! byte, prints a report, and exits with 0. Any difference ends it with another code and names the
//! file and the offset.
//!
//! ```text
//! cargo run --release --example ingest
//! cargo run --release --example ingest -- --quick
//! cargo run --release --example ingest -- --listen 127.0.0.1:7001 --dir /tmp/ingest
//! ```
//!
//! With `--listen` the same server runs by itself until Ctrl-C; then it finishes the requests it
//! has begun and accounts for every byte.

mod client;
mod pattern;
mod server;
mod stop;
mod verify;
mod wire;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use client::{Latencies, Load};
use server::Server;
use spargio::net::TcpListener;
use spargio::{Runtime, RuntimeStats};
use stop::Stop;

const USAGE: &str = "usage: ingest [--quick | --bytes N] [--shards N] [--dir DIR] [--listen ADDR]";

/// What the command line asks for.
#[derive(Debug)]
struct Arguments {
    bytes: u64,
    shards: Option<usize>,
    directory: Option<PathBuf>,
    listen: Option<SocketAddr>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self { bytes: 1 << 30, shards: None, directory: None, listen: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value\n{USAGE}"));
            match word.as_str() {
                "--quick" => arguments.bytes = 64 << 20,
                "--bytes" => arguments.bytes = number(&word, &value()?)?,
                "--shards" => arguments.shards = Some(number(&word, &value()?)?),
                "--dir" => arguments.directory = Some(value()?.into()),
                "--listen" => arguments.listen = Some(number(&word, &value()?)?),
                _ => return Err(format!("{word} is not known\n{USAGE}")),
            }
        }
        Ok(arguments)
    }
}

fn number<T: std::str::FromStr>(option: &str, text: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| format!("{option} {text}: {error}\n{USAGE}"))
}

fn main() -> ExitCode {
    let result = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => run(arguments),
        Err(text) => Err(text.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ingest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let mut builder = Runtime::builder();
    if let Some(shards) = arguments.shards {
        builder = builder.shards(shards);
    }
    let runtime = builder.build()?;
    let scratch = std::env::temp_dir().join(format!("spargio-ingest-{}", std::process::id()));
    let directory = arguments.directory.clone().unwrap_or_else(|| scratch.clone());
    std::fs::create_dir_all(&directory)?;
    let result = match arguments.listen {
        Some(address) => listen(&runtime, address, directory),
        None => measure(&runtime, Load::of(arguments.bytes), directory),
    };
    if arguments.directory.is_none() {
        std::fs::remove_dir_all(&scratch)?;
    }
    let report = runtime.shutdown_timeout(Duration::from_secs(10));
    if report.operations_leaked + report.shards_stuck > 0 {
        return Err(format!("the runtime did not end cleanly: {report}").into());
    }
    result
}

/// Serves until Ctrl-C or a termination signal.
fn listen(
    runtime: &Runtime,
    address: SocketAddr,
    directory: PathBuf,
) -> Result<(), Box<dyn Error>> {
    let stop = Stop::default();
    let mut signals = signal_hook::iterator::Signals::new([
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
    ])?;
    let on_signal = stop.clone();
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            eprintln!("stopping: requests that have begun are finished");
            on_signal.stop();
        }
    });
    let server = Server::new(&directory, stop);
    let serving = Arc::clone(&server);
    runtime.block_on(runtime.handle().spawn_stealable(async move {
        let listener = TcpListener::bind(address).await?;
        println!("listening on {}, writing to {}", listener.local_addr()?, directory.display());
        serving.serve(listener).await
    })?)??;
    let stored = server.stored();
    let mut total = 0;
    for stream in &stored {
        total += stream.bytes;
        let state = if stream.complete { "complete" } else { "cut off" };
        println!(
            "{}: {} bytes, checksum {:#018x}, {state}",
            stream.path.display(),
            stream.bytes,
            stream.checksum
        );
    }
    println!("{total} bytes of {} streams are in their files", stored.len());
    print!("{}", runtime.stats_snapshot());
    Ok(())
}

/// Server and clients in one process: sends, stores, reads back, compares, reports.
fn measure(runtime: &Runtime, load: Load, directory: PathBuf) -> Result<(), Box<dyn Error>> {
    let stop = Stop::default();
    let server = Server::new(&directory, stop.clone());
    let serving = Arc::clone(&server);
    let began = (Instant::now(), cpu_time());
    let sent = runtime.block_on(runtime.handle().spawn_stealable(async move {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr()?;
        let serving = spargio::spawn(serving.serve(listener))?;
        let latencies = client::drive(address, load).await?;
        stop.stop();
        serving.await??;
        Ok::<_, io::Error>(latencies)
    })?)??;
    let ingest = (began.0.elapsed(), cpu_time() - began.1);
    let stats = runtime.stats_snapshot();
    let began = (Instant::now(), cpu_time());
    let verified = runtime
        .block_on(runtime.handle().spawn_stealable(verify::verify(load, server.stored()))?)??;
    let verify = (began.0.elapsed(), cpu_time() - began.1);
    report(load, sent, ingest, verify, &stats);
    if verified != load.bytes() {
        return Err(format!("{verified} bytes were compared, {} were sent", load.bytes()).into());
    }
    check(&stats, runtime.shard_count())?;
    println!("every byte of {} files is as it was sent", load.streams());
    Ok(())
}

fn report(
    load: Load,
    mut latencies: Latencies,
    ingest: (Duration, Duration),
    verify: (Duration, Duration),
    stats: &RuntimeStats,
) {
    let mib = load.bytes() as f64 / f64::from(1 << 20);
    let hot = (load.hot * load.hot_bytes) as f64 / load.bytes() as f64 * 100.0;
    println!(
        "{mib:.0} MiB in {} streams; {} hot ones carry {hot:.0} %, {} come and go, {} at a time",
        load.streams(),
        load.hot,
        load.cold,
        load.cold_at_once
    );
    for (what, (wall, cpu)) in [("ingest", ingest), ("verify", verify)] {
        println!(
            "{what}: {:.2} s, {:.0} MiB/s, {:.2} CPU-seconds",
            wall.as_secs_f64(),
            mib / wall.as_secs_f64(),
            cpu.as_secs_f64()
        );
    }
    let [half, most, all] = latencies.quantiles([0.5, 0.99, 1.0]);
    println!("{} requests: p50 {half:.0?}, p99 {most:.0?}, slowest {all:.0?}", latencies.count());
    print!("{stats}");
}

/// The report must show a runtime that spread its work and did it through its rings.
fn check(stats: &RuntimeStats, shards: usize) -> Result<(), String> {
    if stats.shards.len() != shards {
        return Err(format!("{} shards reported, there are {shards}", stats.shards.len()));
    }
    let busy = stats.shards.iter().filter(|shard| shard.polls > 0).count();
    if busy < shards.min(2) {
        return Err(format!("{busy} of {shards} shards polled a task under a load for two"));
    }
    let total = stats.total();
    if total.enters == 0 || total.sqes == 0 {
        return Err(format!("no operation went through a ring: {total:?}"));
    }
    if total.stale_completions > 0 {
        return Err(format!("{} completions named no operation", total.stale_completions));
    }
    Ok(())
}

/// The CPU time of this process up to now.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
