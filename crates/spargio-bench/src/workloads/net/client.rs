//! The end of a connection that asks, and checks what comes back.

use std::mem::take;

use futures_util::future::try_join;

use super::failed;
use super::pattern::Pattern;
use crate::measure::Wrong;
use crate::runtimes::{Read, Stream, Write, frame};

/// One frame there and back, then the next.
pub(super) struct RoundTrips<S> {
    stream: S,
    pattern: Pattern,
    done: u64,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl<S: Stream> RoundTrips<S> {
    /// Over this stream, with frames of so many bytes.
    pub(super) fn new(stream: S, pattern: Pattern, size: usize) -> Self {
        Self { stream, pattern, done: 0, outgoing: frame(size, 0), incoming: frame(size, 0) }
    }

    /// One round trip.
    pub(super) async fn one(&mut self) -> Result<(), Wrong> {
        let mut outgoing = take(&mut self.outgoing);
        self.pattern.fill(&mut outgoing, self.done);
        let (result, outgoing) = self.stream.write_all(outgoing).await;
        result.map_err(failed("write_all"))?;
        self.outgoing = outgoing;
        let (result, incoming) = self.stream.read_exact(take(&mut self.incoming)).await;
        result.map_err(failed("read_exact"))?;
        self.pattern.check(&incoming, self.done)?;
        self.incoming = incoming;
        self.done += 1;
        Ok(())
    }

    /// How many bytes have come back.
    pub(super) fn bytes(&self) -> u64 {
        self.done * self.incoming.len() as u64
    }
}

/// Windows of frames: those of a window are written one after the other, and read at the same time,
/// one after the other; the next window begins when all of them are back.
pub(super) struct Windows<S: Stream> {
    reader: S::Reader,
    writer: S::Writer,
    pattern: Pattern,
    window: u64,
    done: u64,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl<S: Stream> Windows<S> {
    /// Over this stream, with so many frames of so many bytes in a window.
    pub(super) fn new(stream: S, pattern: Pattern, size: usize, window: u64) -> Self {
        let (reader, writer) = stream.split();
        let (outgoing, incoming) = (frame(size, 0), frame(size, 0));
        Self { reader, writer, pattern, window, done: 0, outgoing, incoming }
    }

    /// Sends so many frames, and hands over each that comes back.
    pub(super) async fn run(
        &mut self,
        frames: u64,
        mut each: impl FnMut(&[u8]) + Send,
    ) -> Result<(), Wrong> {
        let end = self.done + frames;
        while self.done < end {
            let batch = self.done..end.min(self.done + self.window);
            let sending = async {
                for number in batch.clone() {
                    let mut outgoing = take(&mut self.outgoing);
                    self.pattern.fill(&mut outgoing, number);
                    let (result, outgoing) = self.writer.write_all(outgoing).await;
                    result.map_err(failed("write_all"))?;
                    self.outgoing = outgoing;
                }
                Ok(())
            };
            let receiving = async {
                for number in batch.clone() {
                    let incoming = take(&mut self.incoming);
                    let (result, incoming) = self.reader.read_exact(incoming).await;
                    result.map_err(failed("read_exact"))?;
                    self.pattern.check(&incoming, number)?;
                    each(&incoming);
                    self.incoming = incoming;
                }
                Ok(())
            };
            try_join(sending, receiving).await?;
            self.done = batch.end;
        }
        Ok(())
    }

    /// How many bytes have come back.
    pub(super) fn bytes(&self) -> u64 {
        self.done * self.incoming.len() as u64
    }
}
