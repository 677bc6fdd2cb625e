//! The clients: a few hot streams carry most of the bytes, and new cold ones keep arriving.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spargio::JoinHandle;
use spargio::net::TcpStream;

use crate::pattern::{Checksum, Pattern};
use crate::wire::{Ack, Hello, put_length};

/// What the clients send altogether.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Streams that carry most of the bytes, in large requests.
    pub(crate) hot: u64,
    /// Bytes of each of them.
    pub(crate) hot_bytes: u64,
    /// The size of their requests.
    pub(crate) hot_request: usize,
    /// Streams that come and go while the hot ones run.
    pub(crate) cold: u64,
    /// How many of them are there at a time.
    pub(crate) cold_at_once: u64,
    /// Bytes of each of them.
    pub(crate) cold_bytes: u64,
    /// The size of their requests.
    pub(crate) cold_request: usize,
}

impl Load {
    /// Hot streams that together with the cold ones carry at least so many bytes.
    pub(crate) fn of(bytes: u64) -> Self {
        let (hot, cold_bytes) = (4, 256 * 1024);
        let cold = (bytes / 8 / cold_bytes).max(16);
        let rest = bytes.saturating_sub(cold * cold_bytes);
        Self {
            hot,
            hot_bytes: rest.div_ceil(hot).next_multiple_of(8),
            hot_request: 128 * 1024,
            cold,
            cold_at_once: 16,
            cold_bytes,
            cold_request: 8 * 1024,
        }
    }

    /// Bytes of all streams.
    pub(crate) fn bytes(&self) -> u64 {
        self.hot * self.hot_bytes + self.cold * self.cold_bytes
    }

    /// How many streams there are; their numbers count from 0, the hot ones first.
    pub(crate) fn streams(&self) -> u64 {
        self.hot + self.cold
    }

    /// Bytes of the stream with this number.
    pub(crate) fn bytes_of(&self, stream: u64) -> u64 {
        if stream < self.hot { self.hot_bytes } else { self.cold_bytes }
    }
}

/// How long each request took, from its first byte sent to its answer.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    /// Adds those of another stream.
    fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many requests there were.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The latencies that these shares of the requests did not exceed.
    pub(crate) fn quantiles<const N: usize>(&mut self, shares: [f64; N]) -> [Duration; N] {
        self.0.sort_unstable();
        shares.map(|share| {
            let last = self.0.len().saturating_sub(1);
            self.0.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
        })
    }
}

/// Runs the whole load against a server.
pub(crate) async fn drive(server: SocketAddr, load: Load) -> io::Result<Latencies> {
    let mut tasks: Vec<JoinHandle<io::Result<Latencies>>> = Vec::new();
    for number in 0..load.hot {
        tasks.push(spargio::spawn(stream(server, number, load.hot_bytes, load.hot_request))?);
    }
    let next = Arc::new(std::sync::atomic::AtomicU64::new(load.hot));
    for _ in 0..load.cold_at_once {
        let next = Arc::clone(&next);
        tasks.push(spargio::spawn(async move {
            let mut latencies = Latencies::default();
            loop {
                let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if number >= load.streams() {
                    return Ok(latencies);
                }
                latencies.add(stream(server, number, load.cold_bytes, load.cold_request).await?);
            }
        })?);
    }
    let mut latencies = Latencies::default();
    for task in tasks {
        latencies.add(task.await??);
    }
    Ok(latencies)
}

/// One stream: connects, sends its bytes request by request, and compares the checksum.
async fn stream(
    server: SocketAddr,
    number: u64,
    bytes: u64,
    request: usize,
) -> io::Result<Latencies> {
    let connection = TcpStream::connect(server).await?;
    Hello { stream: number }.send(&connection).await?;
    let pattern = Pattern::new(number);
    let mut latencies = Vec::new();
    let mut checksum = Checksum::new();
    let mut buffer = Vec::new();
    let mut sent = 0;
    while sent < bytes {
        let length = request.min(usize::try_from(bytes - sent).unwrap_or(request));
        buffer.clear();
        put_length(&mut buffer, length);
        buffer.resize(8 + length, 0);
        pattern.fill(sent, &mut buffer[8..]);
        checksum.add(&buffer[8..]);
        let began = Instant::now();
        let (result, same) = connection.write_all(buffer).await;
        buffer = same;
        result?;
        let ack = Ack::receive(&connection).await?;
        latencies.push(began.elapsed());
        sent += length as u64;
        check(number, ack, sent, checksum)?;
    }
    buffer.clear();
    put_length(&mut buffer, 0);
    connection.write_all(buffer).await.0?;
    check(number, Ack::receive(&connection).await?, sent, checksum)?;
    Ok(Latencies(latencies))
}

fn check(stream: u64, ack: Ack, sent: u64, checksum: Checksum) -> io::Result<()> {
    if ack.written == sent && ack.checksum == checksum.get() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "stream {stream}: the server has {} bytes with checksum {:#x}, sent were {sent} with {:#x}",
        ack.written,
        ack.checksum,
        checksum.get()
    )))
}
