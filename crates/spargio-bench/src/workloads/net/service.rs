//! Requests with a number, which a server answers one at a time, and a client that checks answers.

use std::future::Future;
use std::io::{Read as _, Write as _};
use std::mem::take;
use std::net::{SocketAddr, TcpListener};

use super::pattern::{Pattern, word_of};
use super::server::{Place, Server};
use super::{LOOPBACK, by_hand, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Listener, Read, Runtime, Sender, Write, frame};

/// Bytes of a request, and of an answer.
pub(super) const SIZE: usize = 256;

/// What is in requests, behind the number that they ask for.
pub(super) const PATTERN: Pattern = Pattern::of(0);

/// What a server does for a request.
pub(super) trait Service: Send + 'static {
    /// Makes a request, which asks for this number, into its answer.
    fn answer(
        &mut self,
        number: u64,
        request: &mut [u8],
    ) -> impl Future<Output = Result<(), Wrong>> + Send;
}

/// Asks for these numbers, one after the other; `check` looks at the number, how many were asked
/// for before, and the answer. The service is made as part of the server's task.
pub(super) async fn ask<R: Runtime, S: Service>(
    runtime: R,
    making: impl Future<Output = Result<S, Wrong>> + Send + 'static,
    numbers: impl Iterator<Item = u64> + Send,
    check: impl Fn(u64, u64, &[u8]) -> Result<(), Wrong> + Send,
) -> Result<Slice, Wrong> {
    let serving = runtime.clone();
    let server = Server::start_with(&runtime, Place::Turn(1), |tell| serve(serving, making, tell));
    let server = server.await?;
    let mut stream = runtime.connect(server.addr).await.map_err(failed("connect"))?;
    let (mut request, mut answer) = (frame(SIZE, 0), frame(SIZE, 0));
    let mut latencies = Latencies::of_all();
    let mut asked = 0;
    let meter = Meter::start();
    for number in numbers {
        PATTERN.fill_behind(number, &mut request, asked);
        let lap = latencies.start();
        let (result, sent) = stream.write_all(take(&mut request)).await;
        result.map_err(failed("write_all"))?;
        request = sent;
        let (result, received) = stream.read_exact(take(&mut answer)).await;
        result.map_err(failed("read_exact"))?;
        answer = received;
        latencies.end(lap);
        check(number, asked, &answer)?;
        asked += 1;
    }
    let slice = meter.stop(asked).with_latencies(latencies);
    drop(stream);
    Wrong::unless_equal("bytes of answers", server.end().await?, asked * SIZE as u64)?;
    Ok(slice)
}

/// The server of one connection: how many bytes it answered.
async fn serve<R: Runtime, S: Service>(
    runtime: R,
    making: impl Future<Output = Result<S, Wrong>> + Send,
    tell: R::Sender<SocketAddr>,
) -> Result<u64, Wrong> {
    let mut service = making.await?;
    let mut listener = runtime.bind(LOOPBACK).await.map_err(failed("bind"))?;
    tell.send(listener.local_addr().map_err(failed("local_addr"))?);
    let mut stream = listener.accept().await.map_err(failed("accept"))?;
    let mut buf = frame(SIZE, 0);
    let mut answered = 0;
    loop {
        // The client writes a whole request at once, and sends the next when this is answered.
        let (result, mut request) = stream.read(buf).await;
        let length = result.map_err(failed("read"))?;
        if length == 0 {
            return Ok(answered);
        }
        Wrong::unless_equal("bytes of a request", length as u64, SIZE as u64)?;
        service.answer(word_of(&request), &mut request).await?;
        let (result, sent) = stream.write_all(request).await;
        result.map_err(failed("write_all of the server"))?;
        answered += SIZE as u64;
        buf = sent;
    }
}

/// The same by blocking calls of one thread for one end after the other, which never have to wait.
pub(super) fn ask_by_hand(
    numbers: impl Iterator<Item = u64>,
    mut answering: impl FnMut(u64, &mut [u8]) -> Result<(), Wrong>,
    check: impl Fn(u64, u64, &[u8]) -> Result<(), Wrong>,
) -> Result<Slice, Wrong> {
    let listener = TcpListener::bind(LOOPBACK).map_err(failed("bind"))?;
    let (mut near, mut far) = by_hand::connect(&listener).map_err(failed("a connection"))?;
    let (mut request, mut served, mut answer) = ([0; SIZE], [0; SIZE], [0; SIZE]);
    let mut latencies = Latencies::of_all();
    let mut asked = 0;
    let meter = Meter::start();
    for number in numbers {
        PATTERN.fill_behind(number, &mut request, asked);
        let lap = latencies.start();
        near.write_all(&request).map_err(failed("write"))?;
        far.read_exact(&mut served).map_err(failed("read of the server"))?;
        answering(word_of(&served), &mut served)?;
        far.write_all(&served).map_err(failed("write of the server"))?;
        near.read_exact(&mut answer).map_err(failed("read"))?;
        latencies.end(lap);
        check(number, asked, &answer)?;
        asked += 1;
    }
    Ok(meter.stop(asked).with_latencies(latencies))
}
