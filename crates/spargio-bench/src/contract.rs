//! What the trait promises, tried out on a runtime: `spargio-bench check`.
//!
//! Numbers of a runtime whose bytes come in the wrong order are worth nothing, and a workload may
//! not notice; so each implementation is held to the trait before it is measured.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use crate::runtimes::{
    Datagram, File, Listener, Need, Read, Receiver, Runtime, RuntimeId, Sender, Setup, Stream,
    Visitor, Write, frame, visit,
};

/// What one runtime does not do as the trait says, in words.
type Finding = String;

/// Holds a runtime to the trait.
///
/// # Errors
///
/// Why the runtime does not start.
pub(crate) fn check(id: &RuntimeId, threads: usize) -> Result<Vec<Finding>, String> {
    visit(id, Check(Setup { threads, variant: id.variant }))
}

struct Check(Setup);

impl Visitor for Check {
    type Output = Result<Vec<Finding>, String>;

    fn visit<R: Runtime>(self) -> Self::Output {
        let (runtime, stop) = R::start(&self.0)?;
        let mut findings = Vec::new();
        let file = BlockFile::create().map_err(|error| format!("a temporary file: {error}"))?;
        let mut hold = |name: &str, result: Result<(), Finding>| {
            if let Err(finding) = result {
                findings.push(format!("{name}: {finding}"));
            }
        };
        hold("threads", same("threads", runtime.threads() as u64, self.0.threads as u64));
        hold("tasks", inside(&runtime, tasks(runtime.clone())));
        hold("from outside", outside(&runtime));
        if R::lacks(Need::Placement).is_none() {
            hold("placement", inside(&runtime, placement(runtime.clone())));
        }
        if R::lacks(Need::Local).is_none() {
            hold("local tasks", inside(&runtime, local(runtime.clone())));
        }
        hold("channel", inside(&runtime, channel(runtime.clone())));
        hold("time", inside(&runtime, time(runtime.clone())));
        hold("sockets", inside(&runtime, sockets(runtime.clone())));
        let path = env::temp_dir().join(format!("spargio-bench-check-{}.sock", process::id()));
        hold("unix sockets", inside(&runtime, unix_sockets(runtime.clone(), path)));
        hold("datagrams", inside(&runtime, datagrams(runtime.clone())));
        hold("files", inside(&runtime, files(runtime.clone(), file.path.clone())));
        if R::lacks(Need::Metadata).is_none() {
            hold("metadata", inside(&runtime, metadata(runtime.clone(), file.path.clone())));
        }
        stop();
        Ok(findings)
    }

    fn bare(self) -> Self::Output {
        Ok(Vec::new())
    }
}

fn inside<R: Runtime, T: Send + 'static>(
    runtime: &R,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    runtime.block_on(async { runtime.spread(0, future).await })
}

fn same(what: &str, found: u64, expected: u64) -> Result<(), Finding> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found} instead of {expected}")) }
}

fn failed(what: &str) -> impl Fn(io::Error) -> Finding {
    let what = what.to_owned();
    move |error| format!("{what}: {error}")
}

const TASKS: u64 = 200;

async fn tasks<R: Runtime>(runtime: R) -> Result<(), Finding> {
    let mut joins = Vec::new();
    for number in 0..TASKS {
        let yielding = runtime.clone();
        let task = async move {
            yielding.yield_now().await;
            number
        };
        joins.push(if number % 2 == 0 {
            runtime.spawn(task)
        } else {
            runtime.spread(number as usize, task)
        });
    }
    let mut sum = 0;
    for join in joins {
        sum += join.await;
    }
    same("the sum of what tasks returned", sum, TASKS * (TASKS - 1) / 2)
}

fn outside<R: Runtime>(runtime: &R) -> Result<(), Finding> {
    let sum = runtime.block_on(async {
        let joins: Vec<_> = (0..TASKS).map(|number| runtime.spawn(async move { number })).collect();
        let mut sum = 0;
        for join in joins {
            sum += join.await;
        }
        sum
    });
    same("the sum of what tasks returned", sum, TASKS * (TASKS - 1) / 2)
}

async fn placement<R: Runtime>(runtime: R) -> Result<(), Finding> {
    let mut seen = HashSet::new();
    for number in 0..runtime.threads() {
        let yielding = runtime.clone();
        let ids = runtime.spawn_on(number, async move {
            let before = thread::current().id();
            for _ in 0..10 {
                yielding.yield_now().await;
            }
            (before, thread::current().id())
        });
        let (before, after) = ids.await;
        if before != after {
            return Err(format!("a task left thread {number}"));
        }
        seen.insert(before);
    }
    same("different threads", seen.len() as u64, runtime.threads() as u64)
}

async fn local<R: Runtime>(runtime: R) -> Result<(), Finding> {
    // A task that may be stolen has no thread to spawn on for good, so this one is bound.
    let spawner = runtime.clone();
    let same_thread = runtime.spawn_on(0, async move {
        let here = thread::current().id();
        let joined = {
            let shared = Rc::new(here);
            spawner.spawn_local(async move { *shared == thread::current().id() })
        };
        joined.await
    });
    if same_thread.await { Ok(()) } else { Err("a local task ran elsewhere".to_owned()) }
}

async fn channel<R: Runtime>(runtime: R) -> Result<(), Finding> {
    const MESSAGES: u64 = 5_000;
    let (sender, mut receiver) = R::channel::<u64>(Some(MESSAGES as usize));
    let yielding = runtime.clone();
    let sending = runtime.spread(1, async move {
        for number in 0..MESSAGES {
            sender.send(number);
            if number % 100 == 0 {
                yielding.yield_now().await;
            }
        }
    });
    let mut expected = 0;
    while let Some(number) = receiver.receive().await {
        same("the next message", number, expected)?;
        expected += 1;
    }
    sending.await;
    same("messages", expected, MESSAGES)
}

async fn time<R: Runtime>(runtime: R) -> Result<(), Finding> {
    const PAUSE: Duration = Duration::from_millis(15);
    let start = Instant::now();
    runtime.sleep(PAUSE).await;
    let slept = start.elapsed();
    if slept < PAUSE { Err(format!("slept {slept:?} instead of {PAUSE:?}")) } else { Ok(()) }
}

/// Any port of this machine.
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const FRAMES: u64 = 300;
const FRAME: usize = 4096;

/// A client sends frames from one half and receives them in the other; the server sends back
/// whatever it reads.
async fn sockets<R: Runtime>(runtime: R) -> Result<(), Finding> {
    let (tell, mut told) = R::channel::<SocketAddr>(Some(1));
    let serving = runtime.clone();
    let server = runtime.spread(1, async move {
        let mut listener = serving.bind(LOOPBACK).await.map_err(failed("bind"))?;
        tell.send(listener.local_addr().map_err(failed("local_addr"))?);
        echo(listener.accept().await.map_err(failed("accept"))?).await
    });
    let addr = told.receive().await.ok_or("the server did not come up")?;
    exchange(runtime.connect(addr).await.map_err(failed("connect"))?).await?;
    same("bytes at the server", server.await?, FRAMES * FRAME as u64)
}

/// The same over a Unix socket.
async fn unix_sockets<R: Runtime>(runtime: R, path: PathBuf) -> Result<(), Finding> {
    let (tell, mut told) = R::channel::<()>(Some(1));
    let (serving, place) = (runtime.clone(), path.clone());
    let server = runtime.spread(1, async move {
        let mut listener = serving.bind_unix(&place).await.map_err(failed("bind"))?;
        tell.send(());
        echo(serving.accept_unix(&mut listener).await.map_err(failed("accept"))?).await
    });
    if told.receive().await.is_none() {
        return server.await.map(drop);
    }
    let stream = runtime.connect_unix(&path).await.map_err(failed("connect"));
    // Both ends have it by now. It may be gone already: spargio's listener takes it along.
    drop(fs::remove_file(&path));
    exchange(stream?).await?;
    same("bytes at the server", server.await?, FRAMES * FRAME as u64)
}

async fn echo(mut stream: impl Stream) -> Result<u64, Finding> {
    let mut buf = Vec::with_capacity(10_000);
    let mut whole = 0;
    loop {
        let (result, filled) = stream.read(buf).await;
        let length = result.map_err(failed("read"))?;
        if length == 0 {
            return Ok(whole);
        }
        same("the length of what was read", filled.len() as u64, length as u64)?;
        whole += length as u64;
        let (result, same_buf) = stream.write_all(filled).await;
        result.map_err(failed("write_all"))?;
        buf = same_buf;
    }
}

async fn exchange(stream: impl Stream) -> Result<(), Finding> {
    let (mut reader, mut writer) = stream.split();
    let receive = async {
        let mut buf = frame(FRAME, 0);
        for number in 0..FRAMES {
            let (result, filled) = reader.read_exact(buf).await;
            result.map_err(failed("read_exact"))?;
            let wanted = number as u8;
            if let Some(at) = filled.iter().position(|&byte| byte != wanted) {
                return Err(format!("frame {number} has {} at {at}", filled[at]));
            }
            buf = filled;
        }
        Ok(())
    };
    let send = async {
        let mut buf = frame(FRAME, 0);
        for number in 0..FRAMES {
            buf.fill(number as u8);
            let (result, same_buf) = writer.write_all(buf).await;
            result.map_err(failed("write_all"))?;
            buf = same_buf;
        }
        Ok::<(), Finding>(())
    };
    let (received, sent) = futures_util::future::join(receive, send).await;
    received?;
    sent
}

/// As many datagrams under way as sockets have room for, there and back between two tasks: they
/// keep their bounds, and their order.
async fn datagrams<R: Runtime>(runtime: R) -> Result<(), Finding> {
    const DATAGRAMS: usize = 64;
    let near = runtime.bind_datagram(LOOPBACK).await.map_err(failed("bind"))?;
    let near_addr = near.local_addr().map_err(failed("local_addr"))?;
    let (tell, mut told) = R::channel::<SocketAddr>(Some(1));
    let serving = runtime.clone();
    let server = runtime.spread(1, async move {
        let far = serving.bind_datagram(LOOPBACK).await.map_err(failed("bind"))?;
        far.connect(near_addr).await.map_err(failed("connect"))?;
        tell.send(far.local_addr().map_err(failed("local_addr"))?);
        for _ in 0..DATAGRAMS {
            let (result, received) = far.recv(Vec::with_capacity(FRAME)).await;
            let length = result.map_err(failed("recv"))? as u64;
            same("the length of what was received", received.len() as u64, length)?;
            let (result, _) = far.send(received).await;
            same("bytes sent back", result.map_err(failed("send"))? as u64, length)?;
        }
        Ok::<(), Finding>(())
    });
    let far_addr = told.receive().await.ok_or("the server did not come up")?;
    near.connect(far_addr).await.map_err(failed("connect"))?;
    // Each has another length, so that two of them in one would show.
    for number in 1..=DATAGRAMS {
        let (result, sent) = near.send(frame(number, number as u8)).await;
        same("bytes sent", result.map_err(failed("send"))? as u64, number as u64)?;
        same("the length of what was sent", sent.len() as u64, number as u64)?;
    }
    for number in 1..=DATAGRAMS {
        let (result, received) = near.recv(Vec::with_capacity(FRAME)).await;
        same("bytes received", result.map_err(failed("recv"))? as u64, number as u64)?;
        if received != frame(number, number as u8) {
            return Err(format!("datagram {number} is not what was sent"));
        }
    }
    server.await
}

const BLOCKS: u64 = 16;

/// A file whose bytes say which block they are in.
struct BlockFile {
    path: PathBuf,
}

impl BlockFile {
    fn create() -> io::Result<Self> {
        let path = env::temp_dir().join(format!("spargio-bench-check-{}", process::id()));
        let bytes: Vec<u8> = (0..BLOCKS as usize * FRAME).map(|at| (at / FRAME) as u8).collect();
        fs::write(&path, bytes)?;
        Ok(Self { path })
    }
}

impl Drop for BlockFile {
    fn drop(&mut self) {
        // A file that stays behind in the temporary directory does no harm.
        drop(fs::remove_file(&self.path));
    }
}

async fn files<R: Runtime>(runtime: R, path: PathBuf) -> Result<(), Finding> {
    let file = runtime.open(&path).await.map_err(failed("open"))?;
    for number in (0..BLOCKS).rev() {
        let block = R::File::block(FRAME);
        let (result, block) = file.read_at(block, number * FRAME as u64).await;
        same("bytes read", result.map_err(failed("read_at"))? as u64, FRAME as u64)?;
        let bytes = block.as_ref();
        if bytes.len() != FRAME || bytes.iter().any(|&byte| u64::from(byte) != number) {
            return Err(format!("block {number} has other bytes than were written"));
        }
    }
    let (result, _) = file.clone().read_at(R::File::block(FRAME), BLOCKS * FRAME as u64 - 5).await;
    same("bytes read before the end", result.map_err(failed("read_at"))? as u64, 5)
}

async fn metadata<R: Runtime>(runtime: R, path: PathBuf) -> Result<(), Finding> {
    let length = runtime.metadata(&path).await.map_err(failed("metadata"))?;
    same("the length", length, BLOCKS * FRAME as u64)?;
    match runtime.metadata(Path::new("/nowhere/at/all")).await {
        Ok(length) => Err(format!("a file that is not there has {length} bytes")),
        Err(_) => Ok(()),
    }
}
