//! Requests that are sent to many, of which the first few to answer suffice.

use std::hint::black_box;
use std::mem::take;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::pattern::{Pattern, word_of};
use super::server::{Place, Server};
use super::{LOOPBACK, Spec, Stage, Workload, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Listener, Read, Receiver, Runtime, Sender, Write, frame};
use crate::workloads::compute::compute;

const SIZE: usize = 256;
/// Requests of a fan-out.
const REQUESTS: u64 = 64;
/// Answers that suffice.
const WANTED: u64 = REQUESTS / QUICK;
/// One handler in so many answers at once.
const QUICK: u64 = 4;
/// Steps that it computes: about 3 us.
const STEPS: u64 = 2_000;
/// How long the others would take, which are cancelled.
const LONG: Duration = Duration::from_secs(30);
/// What the frame says that ends a fan-out, and the one that ends all.
const CANCEL: u64 = REQUESTS;
const GOODBYE: u64 = u64::MAX;

const PATTERN: Pattern = Pattern::of(0);

/// The first 16 of 64.
pub(crate) struct FirstK;

impl Workload for FirstK {
    const SPEC: Spec = Spec::new(
        "net_api",
        "high_depth_fanout_first_k_cancel_256b_window64",
        "fan-out",
        "A client sends 64 requests of 256 B at once. The server spawns a handler for each, shared \
         out to the threads: 16 of them compute for about 3 us and answer, the others sleep for \
         30 s beside a channel (the runtime's own if it has one). When the client has 16 answers, \
         it cancels: the server closes the channels, waits until all 64 handlers have ended, and \
         confirms. Latencies are those of the first 16 answers, the time on the clock is that of \
         the whole. Each frame is checked, and that each handler did its part and no other.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| ask(runtime, times))
    }
}

/// Whether this handler of a fan-out answers at once: others in each fan-out.
const fn is_quick(fan_out: u64, request: u64) -> bool {
    (fan_out + request).is_multiple_of(QUICK)
}

async fn ask<R: Runtime>(runtime: R, times: u64) -> Result<Slice, Wrong> {
    let serving = runtime.clone();
    let server = Server::start_with(&runtime, Place::Turn(1), |tell| serve(serving, tell)).await?;
    let stream = runtime.connect(server.addr).await.map_err(failed("connect"))?;
    let mut client = Frames { stream, outgoing: frame(SIZE, 0), incoming: frame(SIZE, 0) };
    let mut latencies = Latencies::of_all();
    let meter = Meter::start();
    for fan_out in 0..times {
        let lap = latencies.start();
        for request in 0..REQUESTS {
            client.send(request, fan_out).await?;
        }
        let mut seen = 0u64;
        for _ in 0..WANTED {
            let request = client.receive(fan_out).await?;
            if request >= REQUESTS || !is_quick(fan_out, request) {
                return Err(Wrong(format!("request {request} was answered")));
            }
            seen |= 1 << request;
        }
        latencies.end(lap);
        client.send(CANCEL, fan_out).await?;
        Wrong::unless_equal("the confirmation", client.receive(fan_out).await?, CANCEL)?;
        Wrong::unless_equal("different answers", u64::from(seen.count_ones()), WANTED)?;
    }
    let slice = meter.stop(times).with_latencies(latencies);
    client.send(GOODBYE, times).await?;
    Wrong::unless_equal("fan-outs at the server", server.end().await?, times)?;
    Ok(slice)
}

/// One end of the connection, with frames of a word that says what they are, and a pattern that
/// says which fan-out they are of.
struct Frames<S> {
    stream: S,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl<S: Read + Write> Frames<S> {
    async fn send(&mut self, word: u64, fan_out: u64) -> Result<(), Wrong> {
        PATTERN.fill_behind(word, &mut self.outgoing, fan_out);
        let (result, sent) = self.stream.write_all(take(&mut self.outgoing)).await;
        self.outgoing = sent;
        result.map_err(failed("write_all"))
    }

    /// The word of the next frame.
    async fn receive(&mut self, fan_out: u64) -> Result<u64, Wrong> {
        let (result, received) = self.stream.read_exact(take(&mut self.incoming)).await;
        result.map_err(failed("read_exact"))?;
        self.incoming = received;
        let word = word_of(&self.incoming);
        PATTERN.check_behind(word, &self.incoming, fan_out)?;
        Ok(word)
    }
}

/// The server of one connection: how many fan-outs there were.
async fn serve<R: Runtime>(runtime: R, tell: R::Sender<SocketAddr>) -> Result<u64, Wrong> {
    let mut listener = runtime.bind(LOOPBACK).await.map_err(failed("bind"))?;
    tell.send(listener.local_addr().map_err(failed("local_addr"))?);
    let stream = listener.accept().await.map_err(failed("accept"))?;
    let mut client = Frames { stream, outgoing: frame(SIZE, 0), incoming: frame(SIZE, 0) };
    let (mut handlers, mut cancels) = (Vec::new(), Vec::new());
    for fan_out in 0.. {
        let (answer, mut answers) = R::channel::<u64>(Some(REQUESTS as usize));
        for number in 0..REQUESTS {
            let request = client.receive(fan_out).await?;
            if request == GOODBYE {
                return Ok(fan_out);
            }
            Wrong::unless_equal("the place of a request", request, number)?;
            let (cancel, cancelled) = R::channel::<()>(Some(1));
            cancels.push(cancel);
            let handle = handle(runtime.clone(), fan_out, request, cancelled, answer.clone());
            handlers.push(runtime.spread(request as usize, handle));
        }
        for _ in 0..WANTED {
            let request = answers.receive().await;
            client.send(request.expect("this task has a sender, too"), fan_out).await?;
        }
        Wrong::unless_equal("the request to cancel", client.receive(fan_out).await?, CANCEL)?;
        cancels.clear();
        let mut ended_early = 0;
        for handler in handlers.drain(..) {
            ended_early += u64::from(handler.await);
        }
        Wrong::unless_equal("handlers that were cancelled", ended_early, REQUESTS - WANTED)?;
        client.send(CANCEL, fan_out).await?;
    }
    unreachable!("the numbers of fan-outs do not end")
}

/// Answers a request; whether it was cancelled before.
async fn handle<R: Runtime>(
    runtime: R,
    fan_out: u64,
    request: u64,
    mut cancelled: R::Receiver<()>,
    answer: R::Sender<u64>,
) -> bool {
    if is_quick(fan_out, request) {
        black_box(compute(request, STEPS));
        answer.send(request);
        return false;
    }
    let long = pin!(runtime.sleep(LONG));
    if let Either::Right(_) = select(long, pin!(cancelled.receive())).await {
        return true;
    }
    answer.send(request);
    false
}
