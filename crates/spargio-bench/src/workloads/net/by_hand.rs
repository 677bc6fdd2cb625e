//! What the loops by hand have in common: both ends of a connection on one thread, where a call
//! never has to wait, because the other end has done its part.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::pattern::Pattern;
use super::{LOOPBACK, failed};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::workloads::by_hand::on_two_cpus;

/// A connection, and frames on their way.
pub(super) struct Pair<S = TcpStream> {
    near: S,
    far: S,
    pattern: Pattern,
    sent: u64,
    received: u64,
    outgoing: Vec<u8>,
    at_server: Vec<u8>,
    incoming: Vec<u8>,
}

impl Pair {
    /// One for frames of so many bytes, so many at a time; together they must fit into the buffers
    /// of a socket, or a call waits for the thread that it is made on.
    pub(super) fn new(number: usize, size: usize, frames: usize) -> Result<Self, Wrong> {
        let listener = TcpListener::bind(LOOPBACK).map_err(failed("bind"))?;
        let ends = connect(&listener).map_err(failed("a connection"))?;
        Ok(Self::over(ends, number, size, frames))
    }
}

impl<S: Read + Write> Pair<S> {
    /// As [`Pair::new`], over these ends of a connection.
    pub(super) fn over((near, far): (S, S), number: usize, size: usize, frames: usize) -> Self {
        Self {
            near,
            far,
            pattern: Pattern::of(number),
            sent: 0,
            received: 0,
            outgoing: vec![0; size],
            at_server: vec![0; size * frames],
            incoming: vec![0; size],
        }
    }

    /// The client writes so many frames.
    pub(super) fn send(&mut self, frames: usize) -> Result<(), Wrong> {
        for _ in 0..frames {
            self.pattern.fill(&mut self.outgoing, self.sent);
            self.near.write_all(&self.outgoing).map_err(failed("write"))?;
            self.sent += 1;
        }
        Ok(())
    }

    /// The server reads them all, and writes them back.
    pub(super) fn echo(&mut self, frames: usize) -> Result<(), Wrong> {
        let bytes = &mut self.at_server[..frames * self.outgoing.len()];
        self.far.read_exact(bytes).map_err(failed("read of the server"))?;
        self.far.write_all(bytes).map_err(failed("write of the server"))
    }

    /// The client reads them, one by one.
    pub(super) fn receive(&mut self, frames: usize) -> Result<(), Wrong> {
        for _ in 0..frames {
            self.near.read_exact(&mut self.incoming).map_err(failed("read"))?;
            self.pattern.check(&self.incoming, self.received)?;
            self.received += 1;
        }
        Ok(())
    }
}

/// Two ends of a connection, without delay.
pub(super) fn connect(listener: &TcpListener) -> io::Result<(TcpStream, TcpStream)> {
    let near = TcpStream::connect(listener.local_addr()?)?;
    let (far, _peer) = listener.accept()?;
    for stream in [&near, &far] {
        stream.set_nodelay(true)?;
    }
    Ok((near, far))
}

/// So many rounds in which each of the connections moves a few frames; with the times of rounds.
pub(super) fn rounds<S: Read + Write>(
    pairs: &mut [Pair<S>],
    frames: usize,
    rounds: u64,
) -> Result<Slice, Wrong> {
    let mut latencies = Latencies::of_all();
    let meter = Meter::start();
    for _ in 0..rounds {
        let lap = latencies.start();
        round(pairs, frames)?;
        latencies.end(lap);
    }
    Ok(meter.stop(rounds).with_latencies(latencies))
}

/// One round.
pub(super) fn round<S: Read + Write>(pairs: &mut [Pair<S>], frames: usize) -> Result<(), Wrong> {
    for pair in &mut *pairs {
        pair.send(frames)?;
    }
    for pair in &mut *pairs {
        pair.echo(frames)?;
    }
    for pair in &mut *pairs {
        pair.receive(frames)?;
    }
    Ok(())
}

/// Runs both, each on a CPU of its own.
pub(super) fn both(
    mut one: impl FnMut() -> Result<(), Wrong> + Send,
    mut other: impl FnMut() -> Result<(), Wrong> + Send,
) -> Result<(), Wrong> {
    let (mut first, mut second) = (Ok(()), Ok(()));
    on_two_cpus(|| first = one(), || second = other());
    first.and(second)
}
