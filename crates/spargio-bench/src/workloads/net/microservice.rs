//! A server that reads a file for each request.

use std::mem::take;
use std::net::SocketAddr;

use super::server::{Place, Server};
use super::{LOOPBACK, Spec, Stage, Workload, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{File, Listener, Read, Runtime, Sender, Write, frame};
use crate::workloads::fs::{BLOCK, Blocks, Offsets, check_block, check_start};

const SIZE: usize = 256;

/// One request at a time.
pub(crate) struct Microservice;

impl Workload for Microservice {
    const SPEC: Spec = Spec::new(
        "net_api",
        "fs_net_microservice_4k_read_then_256b_reply_qd1",
        "request",
        "A client sends 256 B which name a block. The server reads those 4 KiB from a cached file, \
         with the runtime's own file, and answers with the first 256 B of them, one request at a \
         time. Block and answer are checked. Where nobody steals, the client is on another thread \
         than the server.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        let blocks = Blocks::prepare()?;
        stage.inside(move |runtime| ask(runtime, blocks, times))
    }
}

async fn ask<R: Runtime>(runtime: R, blocks: Blocks, times: u64) -> Result<Slice, Wrong> {
    let serving = runtime.clone();
    let server = Server::start_with(&runtime, Place::Turn(1), |tell| serve(serving, blocks, tell));
    let server = server.await?;
    let mut stream = runtime.connect(server.addr).await.map_err(failed("connect"))?;
    let (mut request, mut answer) = (frame(SIZE, 0), frame(SIZE, 0));
    let mut latencies = Latencies::of_all();
    let meter = Meter::start();
    for number in Offsets::of(0).take(times as usize) {
        let lap = latencies.start();
        request[..size_of::<u64>()].copy_from_slice(&number.to_le_bytes());
        let (result, sent) = stream.write_all(take(&mut request)).await;
        result.map_err(failed("write_all"))?;
        request = sent;
        let (result, received) = stream.read_exact(take(&mut answer)).await;
        result.map_err(failed("read_exact"))?;
        answer = received;
        latencies.end(lap);
        check_start(&answer, number)?;
    }
    let slice = meter.stop(times).with_latencies(latencies);
    drop(stream);
    Wrong::unless_equal("bytes of answers", server.end().await?, times * SIZE as u64)?;
    Ok(slice)
}

/// The server of one connection: how many bytes it answered.
async fn serve<R: Runtime>(
    runtime: R,
    blocks: Blocks,
    tell: R::Sender<SocketAddr>,
) -> Result<u64, Wrong> {
    let file = runtime.open(blocks.path()).await.map_err(failed("open"))?;
    let mut listener = runtime.bind(LOOPBACK).await.map_err(failed("bind"))?;
    tell.send(listener.local_addr().map_err(failed("local_addr"))?);
    let mut stream = listener.accept().await.map_err(failed("accept"))?;
    let mut buf = frame(SIZE, 0);
    let mut block = R::File::block(BLOCK);
    let mut answered = 0;
    loop {
        // The client writes a whole request at once, and sends the next when this is answered.
        let (result, mut request) = stream.read(buf).await;
        let length = result.map_err(failed("read"))?;
        if length == 0 {
            return Ok(answered);
        }
        Wrong::unless_equal("bytes of a request", length as u64, SIZE as u64)?;
        let (number, _) = request.split_first_chunk().expect("a request is longer");
        let number = u64::from_le_bytes(*number);
        let (result, read) = file.read_at(block, number * BLOCK as u64).await;
        result.map_err(failed("read_at"))?;
        check_block(read.as_ref(), number)?;
        request.copy_from_slice(&read.as_ref()[..SIZE]);
        block = read;
        let (result, sent) = stream.write_all(request).await;
        result.map_err(failed("write_all of the server"))?;
        answered += SIZE as u64;
        buf = sent;
    }
}
