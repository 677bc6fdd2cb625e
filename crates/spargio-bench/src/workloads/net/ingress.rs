//! Requests that a connection takes in, and workers answer.

use std::net::SocketAddr;

use super::client::RoundTrips;
use super::crew::{Crew, Order, Timed, sum};
use super::pattern::Pattern;
use super::server::{Place, Server};
use super::{LOOPBACK, Spec, Stage, Workload, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Listener, Read, Receiver, Runtime, Sender, Write, frame};

const CONNECTIONS: usize = 8;
const SIZE: usize = 256;

/// A request on its way to a worker.
struct Request {
    connection: usize,
    frame: Vec<u8>,
}

/// Eight connections, a worker per thread.
pub(crate) struct Ingress;

impl Workload for Ingress {
    const SPEC: Spec = Spec::new(
        "net_api",
        "ingress_dispatch_to_workers_rr_256b_ack",
        "request",
        "Eight clients send requests of 256 B, one at a time each. The server task of a connection \
         hands each request to one of the worker tasks, by turns, through a channel (the runtime's \
         own if it has one); there is one per thread. The worker hands it back through another, \
         and the server sends it as the answer. Where nobody steals, the two ends of a connection \
         are on different threads.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| ingress(runtime, times))
    }
}

async fn ingress<R: Runtime>(runtime: R, times: u64) -> Result<Slice, Wrong> {
    let (answers, mut answered): (Vec<_>, Vec<_>) =
        (0..CONNECTIONS).map(|_| R::channel::<Vec<u8>>(Some(1))).unzip();
    let mut workers = Vec::new();
    let mut tasks = Vec::new();
    for turn in 0..runtime.threads() {
        let (worker, requests) = R::channel::<Request>(Some(CONNECTIONS));
        workers.push(worker);
        tasks.push(runtime.spread(turn, serve::<R>(requests, answers.clone())));
    }
    let mut crew = Crew::new();
    let mut servers = Vec::new();
    for number in 0..CONNECTIONS {
        let ways = (workers.clone(), answered.remove(0));
        let place = Place::Turn(number + 1);
        let serving = runtime.clone();
        let server = Server::start_with(&runtime, place, move |tell| {
            take_in(serving, tell, number, ways.0, ways.1)
        });
        let server = server.await?;
        let addr = server.addr;
        servers.push(server);
        let connecting = runtime.clone();
        crew.add(&runtime, Place::Turn(number), async move {
            let stream = connecting.connect(addr).await.map_err(failed("connect"))?;
            let mut trips = RoundTrips::new(stream, Pattern::of(number), SIZE);
            trips.one().await?;
            Ok(Timed { trips, latencies: Some(Latencies::of_all()) })
        });
    }
    drop(workers);
    crew.connected(CONNECTIONS).await?;
    let each = times.div_ceil(CONNECTIONS as u64);
    let meter = Meter::start();
    crew.perform(|_| Order::frames(each)).await?;
    let slice = meter.stop(each * CONNECTIONS as u64);
    let (bytes, latencies) = sum(crew.end().await?);
    let mut taken_in = 0;
    for server in servers {
        taken_in += server.end().await?;
    }
    let mut served = 0;
    for task in tasks {
        served += task.await;
    }
    Wrong::unless_equal("bytes at the servers", taken_in, bytes)?;
    Wrong::unless_equal("requests at the workers", served * SIZE as u64, bytes)?;
    Ok(slice.with_latencies(latencies))
}

/// The server of one connection: how many bytes of requests were answered.
async fn take_in<R: Runtime>(
    runtime: R,
    tell: R::Sender<SocketAddr>,
    connection: usize,
    workers: Vec<R::Sender<Request>>,
    mut answers: R::Receiver<Vec<u8>>,
) -> Result<u64, Wrong> {
    let mut listener = runtime.bind(LOOPBACK).await.map_err(failed("bind"))?;
    tell.send(listener.local_addr().map_err(failed("local_addr"))?);
    let mut stream = listener.accept().await.map_err(failed("accept"))?;
    let mut buf = frame(SIZE, 0);
    let mut turn = connection;
    let mut bytes = 0;
    loop {
        // The client writes a whole request at once, and sends the next when this is answered.
        let (result, request) = stream.read(buf).await;
        let length = result.map_err(failed("read"))?;
        if length == 0 {
            return Ok(bytes);
        }
        Wrong::unless_equal("bytes of a request", length as u64, SIZE as u64)?;
        workers[turn % workers.len()].send(Request { connection, frame: request });
        turn += 1;
        let answer = answers.receive().await;
        let answer = answer.ok_or_else(|| Wrong("the workers are gone".to_owned()))?;
        let (result, sent) = stream.write_all(answer).await;
        result.map_err(failed("write_all of the server"))?;
        bytes += SIZE as u64;
        buf = sent;
    }
}

/// A worker: how many requests it handed back.
async fn serve<R: Runtime>(
    mut requests: R::Receiver<Request>,
    answers: Vec<R::Sender<Vec<u8>>>,
) -> u64 {
    let mut served = 0;
    while let Some(Request { connection, frame }) = requests.receive().await {
        answers[connection].send(frame);
        served += 1;
    }
    served
}
