//! A thousand connections at the same time.

use std::io;
use std::net::SocketAddr;

use super::by_hand::{self, Pair};
use super::client::RoundTrips;
use super::crew::{Crew, Order, Timed, sum};
use super::pattern::Pattern;
use super::server::{Place, Server, echo};
use super::{Floor, LOOPBACK, Spec, Stage, Workload, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Listener, Runtime, Sender, Setup};

const CONNECTIONS: usize = 1_000;
const SIZE: usize = 64;
/// Connections that are made at the same time: fewer than a listener's backlog has room for, where
/// a runtime does not let one say how much that is.
const AT_A_TIME: usize = 50;
/// One connection in so many takes the times of its requests: a histogram for each would not fit
/// into the caches.
const TIMED: usize = 50;

/// All of them always have a request under way.
pub(crate) struct ThousandConnections;

impl Workload for ThousandConnections {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_1000_connections_64b",
        "request",
        "1,000 client tasks with a connection each send 64 B, wait for them to come back, and go \
         on, all at the same time; a server task for each connection. Where nobody steals, \
         connections go to the threads by turns, and the two ends of each are on different \
         threads. Latencies are those of 20 of the connections. Floor: two threads with 500 \
         connections each, blocking calls for one end after the other, which never have to wait.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        allow_files().map_err(failed("the limit of open files"))?;
        stage.inside(move |runtime| requests(runtime, times))
    }

    const FLOOR: Option<Floor> = Some(direct);
}

async fn requests<R: Runtime>(runtime: R, times: u64) -> Result<Slice, Wrong> {
    let threads = runtime.threads();
    let mut servers = Vec::new();
    for turn in 0..threads {
        let connections = (turn..CONNECTIONS).step_by(threads).len();
        let serving = runtime.clone();
        let server = Server::start_with(&runtime, Place::Turn(turn), move |tell| {
            serve(serving, tell, connections)
        });
        servers.push(server.await?);
    }
    let mut crew = Crew::new();
    for number in 0..CONNECTIONS {
        let addr = servers[number % threads].addr;
        let connecting = runtime.clone();
        crew.add(&runtime, Place::Turn(number + 1), async move {
            let stream = connecting.connect(addr).await.map_err(failed("connect"))?;
            let mut trips = RoundTrips::new(stream, Pattern::of(number), SIZE);
            trips.one().await?;
            let latencies = number.is_multiple_of(TIMED).then(Latencies::of_all);
            Ok(Timed { trips, latencies })
        });
        if (number + 1).is_multiple_of(AT_A_TIME) {
            crew.connected(AT_A_TIME).await?;
        }
    }
    let each = times.div_ceil(CONNECTIONS as u64);
    let meter = Meter::start();
    crew.perform(|_| Order::frames(each)).await?;
    let slice = meter.stop(each * CONNECTIONS as u64);
    let (bytes, latencies) = sum(crew.end().await?);
    let mut echoed = 0;
    for server in servers {
        echoed += server.end().await?;
    }
    Wrong::unless_equal("bytes at the servers", echoed, bytes)?;
    Ok(slice.with_latencies(latencies))
}

/// Accepts so many connections, and serves each with a task: how many bytes were echoed.
async fn serve<R: Runtime>(
    runtime: R,
    tell: R::Sender<SocketAddr>,
    connections: usize,
) -> Result<u64, Wrong> {
    let mut listener = runtime.bind(LOOPBACK).await.map_err(failed("bind"))?;
    tell.send(listener.local_addr().map_err(failed("local_addr"))?);
    let mut tasks = Vec::with_capacity(connections);
    for _ in 0..connections {
        let stream = listener.accept().await.map_err(failed("accept"))?;
        tasks.push(runtime.spawn(echo(stream, SIZE)));
    }
    let mut echoed = 0;
    for task in tasks {
        echoed += task.await?;
    }
    Ok(echoed)
}

/// Lets this process open as many files as it may: both ends of all connections are here.
fn allow_files() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY:
    // - the pointer is to a structure that the call fills.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY:
    // - the pointer is to a structure that the call reads.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn direct(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    allow_files().map_err(failed("the limit of open files"))?;
    let pairs = (0..CONNECTIONS).map(|number| Pair::new(number, SIZE, 1));
    let mut pairs: Vec<Pair> = pairs.collect::<Result<_, _>>()?;
    let (one, other) = pairs.split_at_mut(CONNECTIONS / 2);
    let rounds = times.div_ceil(CONNECTIONS as u64);
    let go = |pairs: &mut [Pair]| (0..rounds).try_for_each(|_| by_hand::round(pairs, 1));
    let meter = Meter::start();
    by_hand::both(|| go(one), || go(other))?;
    Ok(meter.stop(rounds * CONNECTIONS as u64))
}
