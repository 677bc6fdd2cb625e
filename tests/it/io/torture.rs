//! A reader and a writer that are as unpleasant as they may be, the same way for the same seed.

use std::io;
use std::sync::{Arc, Mutex};

use spargio::io::{AsyncRead, AsyncWrite};
use spargio::{BufResult, IoBuf, IoBufMut};

use crate::support::yield_now;

/// Numbers that look random, the same for the same seed.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5678_9ABC_DEF1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `count`.
    pub(super) fn below(&mut self, count: usize) -> usize {
        (self.next() >> 11) as usize % count
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// Bytes in which every place can be told from its neighbours.
    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// The error that the torture ends with, or has in the middle.
fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "broken by the test")
}

/// Reads a byte or a few at a time, after waiting for nothing, and being interrupted. A dropped
/// read has taken nothing.
#[derive(Debug)]
pub(super) struct Trickle {
    bytes: Vec<u8>,
    at: usize,
    dice: Dice,
    most: usize,
    /// Where a read fails, once.
    fails_at: Option<usize>,
    refuses: bool,
}

impl Trickle {
    pub(super) fn new(bytes: &[u8], seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let most = 1 + dice.below(5);
        Self { bytes: bytes.to_vec(), at: 0, dice, most, fails_at: None, refuses: false }
    }

    /// A read that gets to this byte fails, and the next goes on.
    pub(super) fn failing_at(self, at: usize) -> Self {
        Self { fails_at: Some(at), ..self }
    }

    /// Some reads are refused, as at the limit of operations in flight.
    pub(super) fn refusing(self) -> Self {
        Self { refuses: true, ..self }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }
}

impl AsyncRead for Trickle {
    async fn read<B: IoBufMut>(&mut self, buf: B) -> BufResult<usize, B> {
        while self.dice.one_in(2) {
            yield_now().await;
        }
        if self.dice.one_in(6) {
            return (Err(io::ErrorKind::Interrupted.into()), buf);
        }
        if self.refuses && self.dice.one_in(6) {
            return (Err(io::ErrorKind::WouldBlock.into()), buf);
        }
        let mut most = (1 + self.dice.below(self.most)).min(buf.bytes_total());
        match self.fails_at {
            Some(at) if at == self.at => {
                self.fails_at = None;
                return (Err(broken()), buf);
            }
            Some(at) if at > self.at => most = most.min(at - self.at),
            _ => {}
        }
        let (read, buf) = (&self.bytes[self.at..]).read(buf.slice(..most)).await;
        if let Ok(count) = read {
            self.at += count;
        }
        (read, buf.into_inner())
    }
}

/// What a [`Drip`] was given.
#[derive(Clone, Debug, Default)]
pub(super) struct Basin(Arc<Mutex<Caught>>);

#[derive(Debug, Default)]
struct Caught {
    bytes: Vec<u8>,
    flushed: usize,
    shutdowns: usize,
}

impl Basin {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }

    /// How many of the bytes were there when it was flushed.
    pub(super) fn flushed(&self) -> usize {
        self.0.lock().unwrap().flushed
    }

    pub(super) fn shutdowns(&self) -> usize {
        self.0.lock().unwrap().shutdowns
    }
}

/// Writes a byte or a few at a time. It waits before it takes bytes and after: a dropped write may
/// have written some, as one of the kernel.
#[derive(Debug)]
pub(super) struct Drip {
    basin: Basin,
    dice: Dice,
    most: usize,
    fails_at: Option<usize>,
    refuses: bool,
}

impl Drip {
    pub(super) fn new(basin: &Basin, seed: u64) -> Self {
        let mut dice = Dice::new(!seed);
        let most = 1 + dice.below(5);
        Self { basin: basin.clone(), dice, most, fails_at: None, refuses: false }
    }

    /// A write that gets to this byte fails, and the next goes on.
    pub(super) fn failing_at(self, at: usize) -> Self {
        Self { fails_at: Some(at), ..self }
    }

    /// Some calls are refused, as at the limit of operations in flight.
    pub(super) fn refusing(self) -> Self {
        Self { refuses: true, ..self }
    }

    fn is_refused(&mut self) -> bool {
        self.refuses && self.dice.one_in(6)
    }

    async fn dawdle(&mut self) {
        while self.dice.one_in(2) {
            yield_now().await;
        }
    }
}

impl AsyncWrite for Drip {
    async fn write<B: IoBuf>(&mut self, buf: B) -> BufResult<usize, B> {
        self.dawdle().await;
        if self.dice.one_in(6) {
            return (Err(io::ErrorKind::Interrupted.into()), buf);
        }
        if self.is_refused() {
            return (Err(io::ErrorKind::WouldBlock.into()), buf);
        }
        let has = self.basin.bytes().len();
        let mut count = (1 + self.dice.below(self.most)).min(buf.bytes_init());
        match self.fails_at {
            Some(at) if at == has => {
                self.fails_at = None;
                return (Err(broken()), buf);
            }
            Some(at) if at > has => count = count.min(at - has),
            _ => {}
        }
        self.basin.0.lock().unwrap().bytes.extend_from_slice(&buf.as_init()[..count]);
        self.dawdle().await;
        (Ok(count), buf)
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.dawdle().await;
        if self.is_refused() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut caught = self.basin.0.lock().unwrap();
        caught.flushed = caught.bytes.len();
        Ok(())
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.basin.0.lock().unwrap().shutdowns += 1;
        Ok(())
    }
}
