//! Connections that are made for one request.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use super::client::RoundTrips;
use super::crew::{Client, Crew, Done, Order, sum};
use super::pattern::Pattern;
use super::server::{Place, Server};
use super::{Floor, LOOPBACK, Spec, Stage, Workload, by_hand, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{self, Listener, Runtime, Sender, Setup};

const SIZE: usize = 64;
const CLIENTS: usize = 4;
/// A listener waits for the oldest of so many tasks, which has ended long since.
const TASKS: usize = 64;

/// Four clients, which connect again and again.
pub(crate) struct Churn;

impl Workload for Churn {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_connection_churn_64b",
        "connection",
        "Four clients connect, send 64 B, wait for them to come back, and close, again and again. \
         A task per thread accepts, and starts a task for each connection, which closes after the \
         answer. Where nobody steals, clients are on other threads than their servers. Floor: two \
         threads that each do all of it themselves, with blocking calls.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| connections(runtime, times))
    }

    const FLOOR: Option<Floor> = Some(direct);
}

/// One of the clients.
struct Caller<R> {
    runtime: R,
    addr: SocketAddr,
    number: usize,
    called: u64,
    latencies: Latencies,
}

impl<R: Runtime> Caller<R> {
    /// One connection.
    async fn call(&mut self) -> Result<(), Wrong> {
        let lap = self.latencies.start();
        let stream = self.runtime.connect(self.addr).await.map_err(failed("connect"))?;
        let pattern = Pattern::of(self.called as usize * CLIENTS + self.number);
        let mut trips = RoundTrips::new(stream, pattern, SIZE);
        trips.one().await?;
        drop(trips);
        self.latencies.end(lap);
        self.called += 1;
        Ok(())
    }
}

impl<R: Runtime> Client for Caller<R> {
    async fn perform(&mut self, order: Order) -> Result<(), Wrong> {
        for _ in 0..order.frames {
            self.call().await?;
        }
        Ok(())
    }

    fn end(self) -> Done {
        Done { bytes: self.called * SIZE as u64, latencies: Some(self.latencies) }
    }
}

async fn connections<R: Runtime>(runtime: R, times: u64) -> Result<Slice, Wrong> {
    let each = times.div_ceil(CLIENTS as u64);
    let threads = runtime.threads();
    let mut servers = Vec::new();
    for turn in 0..threads {
        let callers = (turn..CLIENTS).step_by(threads).len() as u64;
        let serving = runtime.clone();
        let server = Server::start_with(&runtime, Place::Turn(turn), move |tell| {
            // One more for each client, which it begins with.
            serve(serving, tell, callers * (each + 1))
        });
        servers.push(server.await?);
    }
    let mut crew = Crew::new();
    for number in 0..CLIENTS {
        let addr = servers[number % threads].addr;
        let calling = runtime.clone();
        crew.add(&runtime, Place::Turn(number + 1), async move {
            let latencies = Latencies::of_all();
            let mut caller = Caller { runtime: calling, addr, number, called: 0, latencies };
            caller.call().await?;
            Ok(caller)
        });
    }
    crew.connected(CLIENTS).await?;
    let meter = Meter::start();
    crew.perform(|_| Order::frames(each)).await?;
    let slice = meter.stop(each * CLIENTS as u64);
    let (bytes, latencies) = sum(crew.end().await?);
    let mut answered = 0;
    for server in servers {
        answered += server.end().await?;
    }
    Wrong::unless_equal("bytes at the servers", answered, bytes)?;
    Ok(slice.with_latencies(latencies))
}

/// Accepts so many connections, and answers each with a task: how many bytes were sent back.
async fn serve<R: Runtime>(
    runtime: R,
    tell: R::Sender<SocketAddr>,
    connections: u64,
) -> Result<u64, Wrong> {
    let mut listener = runtime.bind(LOOPBACK).await.map_err(failed("bind"))?;
    tell.send(listener.local_addr().map_err(failed("local_addr"))?);
    let mut tasks = VecDeque::<R::Join<Result<u64, Wrong>>>::with_capacity(TASKS);
    let mut answered = 0;
    for _ in 0..connections {
        if tasks.len() == TASKS
            && let Some(oldest) = tasks.pop_front()
        {
            answered += oldest.await?;
        }
        let stream = listener.accept().await.map_err(failed("accept"))?;
        tasks.push_back(runtime.spawn(answer(stream)));
    }
    for task in tasks {
        answered += task.await?;
    }
    Ok(answered)
}

/// Answers one request.
async fn answer<S: runtimes::Stream>(mut stream: S) -> Result<u64, Wrong> {
    let (result, request) = stream.read_exact(runtimes::frame(SIZE, 0)).await;
    result.map_err(failed("read_exact of the server"))?;
    let (result, _) = stream.write_all(request).await;
    result.map_err(failed("write_all of the server"))?;
    Ok(SIZE as u64)
}

fn direct(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let each = times.div_ceil(2);
    let go = |number: usize| {
        let listener = TcpListener::bind(LOOPBACK).map_err(failed("bind"))?;
        let (mut outgoing, mut at_server, mut incoming) = ([0; SIZE], [0; SIZE], [0; SIZE]);
        for call in 0..each {
            let pattern = Pattern::of(call as usize * CLIENTS + number);
            let (mut near, mut far) = by_hand::connect(&listener).map_err(failed("connect"))?;
            pattern.fill(&mut outgoing, 0);
            near.write_all(&outgoing).map_err(failed("write"))?;
            far.read_exact(&mut at_server).map_err(failed("read"))?;
            far.write_all(&at_server).map_err(failed("write"))?;
            drop(far);
            near.read_exact(&mut incoming).map_err(failed("read"))?;
            pattern.check(&incoming, 0)?;
        }
        Ok(())
    };
    let meter = Meter::start();
    by_hand::both(|| go(0), || go(1))?;
    Ok(meter.stop(2 * each))
}
