//! Requests that say how long they may take, and are handed to other workers for it.

use std::mem::take;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};

use super::crew::{Client, Crew, Done, Order, sum};
use super::pattern::{Pattern, word_of};
use super::server::{Place, Server};
use super::{Headline, LOOPBACK, Spec, Stage, Workload, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Listener, Read, Receiver, Runtime, Sender, Stream, Write, frame};
use crate::workloads::compute::compute;

const CONNECTIONS: usize = 8;
const SIZE: usize = 256;
/// One request in so many is urgent.
const URGENT: u64 = 4;
/// Milliseconds that an urgent request may take, and another one.
const SOON: u64 = 2;
const LATER: u64 = 200;
/// Steps for a request that is not urgent: about 10 us.
const STEPS: u64 = 8_000;

/// A request on its way to a worker.
struct Request {
    connection: usize,
    frame: Vec<u8>,
}

/// Eight connections; two workers per thread.
pub(crate) struct Routing;

impl Workload for Routing {
    const SPEC: Spec = Spec {
        headline: Headline::P99,
        ..Spec::new(
            "net_api",
            "net_echo_rtt_deadline_routing_256b",
            "request",
            "Eight clients send requests of 256 B, one at a time each, which say how long they may \
             take: one in four 2 ms, the others 200 ms. The server task of a connection hands the \
             urgent ones to workers that do nothing else, and the others to workers that compute \
             for about 10 us each; there are one and one per thread. It waits for the answer \
             beside a sleep as long as the request may take, which the answer cancels. Ranked by \
             the time of urgent requests; how many of all were late stands beside it. Where nobody \
             steals, the two ends of a connection are on different threads.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| route(runtime, times))
    }
}

/// The ways to the workers.
struct Ways<R: Runtime> {
    urgent: Vec<R::Sender<Request>>,
    other: Vec<R::Sender<Request>>,
}

async fn route<R: Runtime>(runtime: R, times: u64) -> Result<Slice, Wrong> {
    let (answers, answered): (Vec<_>, Vec<_>) =
        (0..CONNECTIONS).map(|_| R::channel::<Vec<u8>>(Some(1))).unzip();
    let mut ways = Ways::<R> { urgent: Vec::new(), other: Vec::new() };
    let mut tasks = Vec::new();
    for turn in 0..runtime.threads() {
        for (way, steps) in [(&mut ways.urgent, 0), (&mut ways.other, STEPS)] {
            let (worker, requests) = R::channel::<Request>(Some(CONNECTIONS));
            way.push(worker);
            tasks.push(runtime.spread(turn, work::<R>(requests, answers.clone(), steps)));
        }
    }
    let ways = Arc::new(ways);
    let late = Arc::new(AtomicU64::new(0));
    let mut crew = Crew::new();
    let mut servers = Vec::new();
    for (number, answered) in answered.into_iter().enumerate() {
        let router = Router {
            runtime: runtime.clone(),
            number,
            ways: Arc::clone(&ways),
            answered,
            late: Arc::clone(&late),
        };
        let server = Server::start_with(&runtime, Place::Turn(number + 1), |tell| router.run(tell));
        let server = server.await?;
        let addr = server.addr;
        servers.push(server);
        let connecting = runtime.clone();
        crew.add(&runtime, Place::Turn(number), async move {
            let stream = connecting.connect(addr).await.map_err(failed("connect"))?;
            let mut asking = Asking::new(stream, number);
            asking.perform(Order::frames(1)).await?;
            asking.latencies = Latencies::of_all();
            Ok(asking)
        });
    }
    drop(ways);
    crew.connected(CONNECTIONS).await?;
    let before = late.load(Ordering::Relaxed);
    let each = times.div_ceil(CONNECTIONS as u64);
    let meter = Meter::start();
    crew.perform(|_| Order::frames(each)).await?;
    let slice = meter.stop(each * CONNECTIONS as u64);
    let late = late.load(Ordering::Relaxed) - before;
    let (bytes, latencies) = sum(crew.end().await?);
    let mut taken_in = 0;
    for server in servers {
        taken_in += server.end().await?;
    }
    let (mut served, mut wrong) = (0, 0);
    for task in tasks {
        let (own_served, own_wrong) = task.await;
        served += own_served;
        wrong += own_wrong;
    }
    Wrong::unless_equal("bytes at the servers", taken_in, bytes)?;
    Wrong::unless_equal("requests at the workers", served * SIZE as u64, bytes)?;
    Wrong::unless_equal("requests with a wrong result", wrong, 0)?;
    let share = late as f64 * 1e3 / (each * CONNECTIONS as u64) as f64;
    Ok(slice.with_latencies(latencies).with_note("late per 1,000", share))
}

/// A client, which takes the times of its urgent requests.
struct Asking<S> {
    stream: S,
    pattern: Pattern,
    /// Clients do not all begin with an urgent one.
    first: u64,
    done: u64,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    latencies: Latencies,
}

impl<S: Stream> Asking<S> {
    fn new(stream: S, number: usize) -> Self {
        Self {
            stream,
            pattern: Pattern::of(number),
            first: number as u64,
            done: 0,
            outgoing: frame(SIZE, 0),
            incoming: frame(SIZE, 0),
            latencies: Latencies::of_all(),
        }
    }

    async fn one(&mut self, millis: u64) -> Result<(), Wrong> {
        self.pattern.fill_behind(millis, &mut self.outgoing, self.done);
        let (result, outgoing) = self.stream.write_all(take(&mut self.outgoing)).await;
        result.map_err(failed("write_all"))?;
        self.outgoing = outgoing;
        let (result, incoming) = self.stream.read_exact(take(&mut self.incoming)).await;
        result.map_err(failed("read_exact"))?;
        self.pattern.check_behind(millis, &incoming, self.done)?;
        self.incoming = incoming;
        self.done += 1;
        Ok(())
    }
}

impl<S: Stream + 'static> Client for Asking<S> {
    async fn perform(&mut self, order: Order) -> Result<(), Wrong> {
        for _ in 0..order.frames {
            if !(self.first + self.done).is_multiple_of(URGENT) {
                self.one(LATER).await?;
                continue;
            }
            let lap = self.latencies.start();
            self.one(SOON).await?;
            self.latencies.end(lap);
        }
        Ok(())
    }

    fn end(self) -> Done {
        Done { bytes: self.done * SIZE as u64, latencies: Some(self.latencies) }
    }
}

/// The server of one connection.
struct Router<R: Runtime> {
    runtime: R,
    number: usize,
    ways: Arc<Ways<R>>,
    answered: R::Receiver<Vec<u8>>,
    /// Requests of all connections that took longer than they may.
    late: Arc<AtomicU64>,
}

impl<R: Runtime> Router<R> {
    /// How many bytes of requests were answered.
    async fn run(mut self, tell: R::Sender<SocketAddr>) -> Result<u64, Wrong> {
        let mut listener = self.runtime.bind(LOOPBACK).await.map_err(failed("bind"))?;
        tell.send(listener.local_addr().map_err(failed("local_addr"))?);
        let mut stream = listener.accept().await.map_err(failed("accept"))?;
        let mut buf = frame(SIZE, 0);
        let mut turn = self.number;
        let mut bytes = 0;
        loop {
            // The client writes a whole request at once, and sends the next when this is answered.
            let (result, request) = stream.read(buf).await;
            let length = result.map_err(failed("read"))?;
            if length == 0 {
                return Ok(bytes);
            }
            Wrong::unless_equal("bytes of a request", length as u64, SIZE as u64)?;
            let answer = self.hand_on(turn, request).await;
            turn += 1;
            let answer = answer.ok_or_else(|| Wrong("the workers are gone".to_owned()))?;
            let (result, sent) = stream.write_all(answer).await;
            result.map_err(failed("write_all of the server"))?;
            bytes += SIZE as u64;
            buf = sent;
        }
    }

    /// Gives a request to a worker, by turns among those for what it says, and waits.
    async fn hand_on(&mut self, turn: usize, frame: Vec<u8>) -> Option<Vec<u8>> {
        let millis = word_of(&frame);
        let workers = if millis == SOON { &self.ways.urgent } else { &self.ways.other };
        let deadline = pin!(self.runtime.sleep(Duration::from_millis(millis)));
        workers[turn % workers.len()].send(Request { connection: self.number, frame });
        // The sleep is polled first, which sets it even if the answer is there already.
        match select(deadline, pin!(self.answered.receive())).await {
            Either::Left(_) => self.late.fetch_add(1, Ordering::Relaxed),
            Either::Right((answer, _)) => return answer,
        };
        self.answered.receive().await
    }
}

/// A worker: how many requests it handed back, and for how many it computed something else than
/// for the others.
async fn work<R: Runtime>(
    mut requests: R::Receiver<Request>,
    answers: Vec<R::Sender<Vec<u8>>>,
    steps: u64,
) -> (u64, u64) {
    let expected = compute(1, steps);
    let (mut served, mut wrong) = (0, 0);
    while let Some(Request { connection, frame }) = requests.receive().await {
        wrong += u64::from(compute(1, steps) != expected);
        answers[connection].send(frame);
        served += 1;
    }
    (served, wrong)
}
