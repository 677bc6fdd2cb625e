//! Frames of 4 KiB there and back, many at a time, over one connection.

use std::io::{ErrorKind, Read, Write};

use super::client::Windows;
use super::pattern::Pattern;
use super::server::{Place, Server};
use super::{FRAME, Floor, READ, Spec, Stage, WINDOW, Workload, by_hand, failed};
use crate::measure::{Meter, Slice, Wrong};
use crate::runtimes::{Runtime, Setup};

/// One connection, always busy.
pub(crate) struct Throughput;

impl Workload for Throughput {
    const SPEC: Spec = Spec::new(
        "net_api",
        "net_stream_throughput_4k_window32",
        "frame of 4 KiB, there and back",
        "A client writes windows of 32 frames of 4 KiB, one frame after the other, and reads them \
         at the same time, as two halves of one task; the next window begins when this one is \
         back. The server reads up to 16 KiB and writes them back. The tasks can be stolen, or are \
         on two threads where nobody steals. Each byte is checked. Floor: both ends on one \
         thread, calls that do not block.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let server = Server::start(&runtime, Place::Turn(1), READ).await?;
            let stream = runtime.connect(server.addr).await.map_err(failed("connect"))?;
            let mut client = Windows::new(stream, Pattern::of(0), FRAME, WINDOW);
            client.run(1, |_| ()).await?;
            let meter = Meter::start();
            client.run(times, |_| ()).await?;
            let slice = meter.stop(times);
            let bytes = client.bytes();
            drop(client);
            Wrong::unless_equal("bytes at the server", server.end().await?, bytes)?;
            Ok(slice)
        })
    }

    const FLOOR: Option<Floor> = Some(by_turns);
}

/// Each end does what it can, then the other.
fn by_turns(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let (mut near, mut far) = by_hand::connection().map_err(failed("a connection"))?;
    for stream in [&near, &far] {
        stream.set_nonblocking(true).map_err(failed("set_nonblocking"))?;
    }
    let pattern = Pattern::of(0);
    let mut outgoing = Buffer::full(FRAME);
    let mut at_server = Buffer::full(READ);
    let mut incoming = Buffer::empty(FRAME);
    let (mut sent, mut received) = (0, 0);
    let meter = Meter::start();
    while received < times {
        let end = times.min((received / WINDOW + 1) * WINDOW);
        while sent < end || !outgoing.is_done() {
            if outgoing.is_done() {
                pattern.fill(outgoing.restart(FRAME), sent);
                sent += 1;
            }
            if !outgoing.drain(&mut near)? {
                break;
            }
        }
        loop {
            if at_server.is_done() && !at_server.refill(&mut far)? {
                break;
            }
            if !at_server.drain(&mut far)? {
                break;
            }
        }
        while received < end && incoming.fill(&mut near)? {
            pattern.check(&incoming.bytes, received)?;
            incoming = incoming.emptied();
            received += 1;
        }
    }
    Ok(meter.stop(times))
}

/// Bytes on their way, and how far they are.
struct Buffer {
    bytes: Vec<u8>,
    at: usize,
    end: usize,
}

impl Buffer {
    /// One whose last content has gone.
    fn full(size: usize) -> Self {
        Self { bytes: vec![0; size], at: size, end: size }
    }

    /// One that waits for content.
    fn empty(size: usize) -> Self {
        Self { bytes: vec![0; size], at: 0, end: size }
    }

    fn emptied(self) -> Self {
        Self { at: 0, ..self }
    }

    fn is_done(&self) -> bool {
        self.at == self.end
    }

    /// For new content of this length.
    fn restart(&mut self, length: usize) -> &mut [u8] {
        (self.at, self.end) = (0, length);
        &mut self.bytes[..length]
    }

    /// Writes the rest; `false` if the socket has no room for all of it.
    fn drain(&mut self, to: &mut impl Write) -> Result<bool, Wrong> {
        while self.at < self.end {
            match to.write(&self.bytes[self.at..self.end]) {
                Ok(written) => self.at += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(failed("write")(error)),
            }
        }
        Ok(true)
    }

    /// Reads what is there; `false` if nothing is.
    fn refill(&mut self, from: &mut impl Read) -> Result<bool, Wrong> {
        match from.read(&mut self.bytes) {
            Ok(0) => Err(Wrong("the client closed".to_owned())),
            Ok(read) => {
                (self.at, self.end) = (0, read);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(failed("read")(error)),
        }
    }

    /// Reads until it is full; `false` if there is not enough yet.
    fn fill(&mut self, from: &mut impl Read) -> Result<bool, Wrong> {
        while self.at < self.end {
            match from.read(&mut self.bytes[self.at..self.end]) {
                Ok(0) => return Err(Wrong("the server closed".to_owned())),
                Ok(read) => self.at += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(failed("read")(error)),
            }
        }
        Ok(true)
    }
}
