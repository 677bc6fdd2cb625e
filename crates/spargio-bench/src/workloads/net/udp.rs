//! Datagrams there and back over loopback UDP: one at a time, and in windows.
//!
//! Nobody sends a datagram again, so a lost one fails the run: after a while in which none came, a
//! watch says how many did not.

use std::mem::take;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select, try_join};

use super::pattern::Pattern;
use super::server::{Place, Server};
use super::{Floor, LOOPBACK, Spec, Stage, WINDOW, Workload, failed, udp_by_hand};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Datagram, Receiver, Runtime, Sender, Setup, frame};

const SMALL: usize = 256;
const LARGE: usize = 1024;
/// A datagram of this length asks the server to end.
const GOODBYE: usize = 1;
/// If no datagram comes for this long, and for no more than twice that, those missing are lost.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// One at a time.
pub(crate) struct RoundTrips;

impl Workload for RoundTrips {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_udp_echo_rtt_256b",
        "round trip",
        "A client task sends a datagram of 256 B over loopback UDP and receives it back; a server \
         task receives and sends. Both sockets are connected and have the same room. The tasks can \
         be stolen, or are on two threads where nobody steals. Each byte is checked; a datagram \
         that does not come back within two seconds fails the run. Floor: both ends on one thread, \
         four blocking calls per round trip, which never have to wait.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let (mut client, server) = Client::connect(&runtime, SMALL).await?;
            client.run(&runtime, 1, 1).await?;
            let slice = client.one_by_one(&runtime, times).await?;
            client.end(server).await?;
            Ok(slice)
        })
    }

    const FLOOR: Option<Floor> = Some(small);
}

fn small(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    udp_by_hand::round_trips(SMALL, times)
}

/// Many at a time.
pub(crate) struct Windows;

impl Workload for Windows {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_udp_echo_window32_1k",
        "datagram of 1 KiB, there and back",
        "A client sends windows of 32 datagrams of 1 KiB, one after the other, and receives them at \
         the same time, as two halves of one task; the next window begins when this one is back. \
         The server receives them and sends them back, one after the other. Sockets, places and \
         checks as in net_udp_echo_rtt_256b; the run fails if one of the datagrams is lost, and \
         says how many were. Floor: both ends on one thread, blocking calls for one datagram after \
         another, which never have to wait.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let (mut client, server) = Client::connect(&runtime, LARGE).await?;
            client.run(&runtime, 1, WINDOW).await?;
            let meter = Meter::start();
            client.run(&runtime, times, WINDOW).await?;
            let slice = meter.stop(times);
            client.end(server).await?;
            Ok(slice)
        })
    }

    const FLOOR: Option<Floor> = Some(large);
}

/// The window is not used up: the fewer bytes are under way, the more of them are in the caches.
fn large(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    udp_by_hand::round_trips(LARGE, times)
}

/// The end that asks, and checks what comes back.
struct Client<D> {
    socket: D,
    pattern: Pattern,
    /// Datagrams that are back, of all windows.
    done: u64,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl<D: Datagram> Client<D> {
    /// Starts a server for datagrams of so many bytes, and connects the two to each other.
    async fn connect<R>(runtime: &R, size: usize) -> Result<(Self, Server<R>), Wrong>
    where
        R: Runtime<Datagram = D>,
    {
        let (introduce, introduced) = R::channel::<SocketAddr>(Some(1));
        let serving = runtime.clone();
        let server = Server::start_with(runtime, Place::Turn(1), move |tell| {
            serve(serving, size, tell, introduced)
        });
        let server = server.await?;
        let socket = runtime.bind_datagram(LOOPBACK).await.map_err(failed("bind"))?;
        socket.connect(server.addr).await.map_err(failed("connect"))?;
        introduce.send(socket.local_addr().map_err(failed("local_addr"))?);
        let (outgoing, incoming) = (frame(size, 0), frame(size, 0));
        Ok((Self { socket, pattern: Pattern::of(0), done: 0, outgoing, incoming }, server))
    }

    /// So many round trips, one after the other, with their times.
    async fn one_by_one<R>(&mut self, runtime: &R, times: u64) -> Result<Slice, Wrong>
    where
        R: Runtime<Datagram = D>,
    {
        let mut latencies = Latencies::of_all();
        let tally = Tally::default();
        let meter = Meter::start();
        let work = async {
            for _ in 0..times {
                let lap = latencies.start();
                let batch = self.done..self.done + 1;
                let outgoing = &mut self.outgoing;
                send(&self.socket, self.pattern, outgoing, batch.clone(), &tally).await?;
                let incoming = &mut self.incoming;
                receive(&self.socket, self.pattern, incoming, batch, &tally).await?;
                self.done += 1;
                latencies.end(lap);
            }
            Ok(())
        };
        watched(|| runtime.sleep(PATIENCE), &tally, work).await?;
        Ok(meter.stop(times).with_latencies(latencies))
    }

    /// So many datagrams there and back, of which at most a window is under way.
    async fn run<R>(&mut self, runtime: &R, times: u64, window: u64) -> Result<(), Wrong>
    where
        R: Runtime<Datagram = D>,
    {
        let end = self.done + times;
        let tally = Tally::default();
        let work = async {
            while self.done < end {
                let batch = self.done..end.min(self.done + window);
                let (socket, pattern) = (&self.socket, self.pattern);
                let sending = send(socket, pattern, &mut self.outgoing, batch.clone(), &tally);
                let receiving = receive(socket, pattern, &mut self.incoming, batch.clone(), &tally);
                try_join(sending, receiving).await?;
                self.done = batch.end;
            }
            Ok(())
        };
        watched(|| runtime.sleep(PATIENCE), &tally, work).await
    }

    /// Asks the server to end, and looks whether it saw all that came back.
    async fn end<R: Runtime>(self, server: Server<R>) -> Result<(), Wrong> {
        let (result, _) = self.socket.send(frame(GOODBYE, 0)).await;
        Wrong::unless_equal("length", result.map_err(failed("send"))? as u64, GOODBYE as u64)?;
        Wrong::unless_equal("datagrams at the server", server.end().await?, self.done)
    }
}

/// What the watch looks at.
#[derive(Debug, Default)]
struct Tally {
    sent: AtomicU64,
    received: AtomicU64,
}

async fn send(
    socket: &impl Datagram,
    pattern: Pattern,
    buffer: &mut Vec<u8>,
    batch: Range<u64>,
    tally: &Tally,
) -> Result<(), Wrong> {
    for number in batch {
        let mut outgoing = take(buffer);
        pattern.fill(&mut outgoing, number);
        let size = outgoing.len() as u64;
        let (result, outgoing) = socket.send(outgoing).await;
        Wrong::unless_equal("bytes sent", result.map_err(failed("send"))? as u64, size)?;
        tally.sent.fetch_add(1, Ordering::Relaxed);
        *buffer = outgoing;
    }
    Ok(())
}

async fn receive(
    socket: &impl Datagram,
    pattern: Pattern,
    buffer: &mut Vec<u8>,
    batch: Range<u64>,
    tally: &Tally,
) -> Result<(), Wrong> {
    let size = buffer.capacity() as u64;
    let mut lost = 0;
    let mut next = batch.start;
    while next < batch.end {
        let (result, incoming) = socket.recv(take(buffer)).await;
        Wrong::unless_equal("bytes received", result.map_err(failed("recv"))? as u64, size)?;
        tally.received.fetch_add(1, Ordering::Relaxed);
        // One that comes early tells that those before it are lost: loopback keeps the order.
        let found = (next..batch.end).find(|&number| pattern.check(&incoming, number).is_ok());
        let Some(found) = found else { return pattern.check(&incoming, next) };
        lost += found - next;
        next = found + 1;
        *buffer = incoming;
    }
    if lost == 0 { Ok(()) } else { Err(Wrong(format!("{lost} datagrams of a window are lost"))) }
}

/// Does the work, unless nothing comes during a pause.
async fn watched<P: Future<Output = ()> + Send>(
    pause: impl Fn() -> P + Send,
    tally: &Tally,
    work: impl Future<Output = Result<(), Wrong>> + Send,
) -> Result<(), Wrong> {
    let watch = async {
        let mut before = None;
        loop {
            let received = tally.received.load(Ordering::Relaxed);
            if before.replace(received) == Some(received) {
                let lost = tally.sent.load(Ordering::Relaxed) - received;
                return Wrong(format!("{lost} datagrams did not come back in {PATIENCE:?}"));
            }
            pause().await;
        }
    };
    match select(pin!(work), pin!(watch)).await {
        Either::Left((done, _watch)) => done,
        Either::Right((lost, _work)) => Err(lost),
    }
}

/// Sends back what the client sends, until it says goodbye; how many datagrams.
async fn serve<R: Runtime>(
    runtime: R,
    size: usize,
    tell: R::Sender<SocketAddr>,
    mut introduced: R::Receiver<SocketAddr>,
) -> Result<u64, Wrong> {
    let socket = runtime.bind_datagram(LOOPBACK).await.map_err(failed("bind"))?;
    tell.send(socket.local_addr().map_err(failed("local_addr"))?);
    let client = introduced.receive().await;
    let client = client.ok_or_else(|| Wrong("no client came up".to_owned()))?;
    socket.connect(client).await.map_err(failed("connect of the server"))?;
    let mut buffer = frame(size, 0);
    let mut echoed = 0;
    loop {
        let (result, received) = socket.recv(buffer).await;
        let length = result.map_err(failed("recv of the server"))?;
        if length == GOODBYE {
            return Ok(echoed);
        }
        let (result, sent) = socket.send(received).await;
        let result = result.map_err(failed("send of the server"))?;
        Wrong::unless_equal("bytes sent back", result as u64, length as u64)?;
        echoed += 1;
        buffer = sent;
    }
}

#[cfg(test)]
mod tests;
