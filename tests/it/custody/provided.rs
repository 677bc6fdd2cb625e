//! Buffers that shards provide to their kernel: their memory and the descriptors of their streams,
//! however a stream, a runtime or a driver ends.

use std::io::Write as _;
use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use spargio::driver::Opcode;
use spargio::net::{RecvBuf, RecvStream, TcpStream};
use spargio::{Assembly, Runtime, RuntimeHandle, RuntimeHandleOf};

use super::faulty::{self, Faults};
use super::{Dice, alone, connections, open_fds, poll_once};
use crate::support::{SOON, elsewhere, wait_until, watched, yield_now};

fn byte_at(at: usize) -> u8 {
    (at * 7 + at / 251) as u8
}

/// What a reader has, and how it goes on at random.
struct Reader {
    stream: TcpStream,
    incoming: Option<RecvStream>,
    held: Vec<(usize, RecvBuf)>,
    got: usize,
    dice: Dice,
}

impl Reader {
    fn new(stream: TcpStream, seed: u64) -> Self {
        Self { stream, incoming: None, held: Vec::new(), got: 0, dice: Dice::new(seed) }
    }

    fn check(&mut self, bytes: &[u8]) {
        for byte in bytes {
            assert_eq!(*byte, byte_at(self.got), "byte {}", self.got);
            self.got += 1;
        }
    }

    /// Takes one step. Whether there is more.
    async fn step(&mut self) -> bool {
        match self.dice.below(10) {
            0 => self.incoming = None,
            1 => yield_now().await,
            2 if self.incoming.is_none() => {
                let len = 1 + self.dice.below(600) as usize;
                let mut read = self.stream.read(vec![0; len].into_boxed_slice());
                let polled = poll_once(&mut read).await;
                drop(read);
                if let Poll::Ready((count, bytes)) = polled {
                    let count = count.unwrap();
                    self.check(&bytes[..count]);
                    return count > 0;
                }
            }
            3 => self.let_go().await,
            _ => {
                let limit = self.dice.below(6) as usize;
                let stream = &self.stream;
                let incoming =
                    self.incoming.get_or_insert_with(|| stream.recv_stream().limit(limit));
                let polled = poll_once(&mut Box::pin(incoming.next())).await;
                match polled {
                    Poll::Ready(Some(bytes)) => {
                        let bytes = bytes.unwrap();
                        self.check(&bytes);
                        self.held.push((self.got - bytes.len(), bytes));
                    }
                    Poll::Ready(None) => return false,
                    Poll::Pending => yield_now().await,
                }
            }
        }
        true
    }

    /// Gives buffers back, whose bytes are as they came.
    async fn let_go(&mut self) {
        let held = std::mem::take(&mut self.held);
        let give_back = move || {
            for (from, bytes) in held {
                let whole = bytes.iter().zip(from..).all(|(byte, at)| *byte == byte_at(at));
                assert!(whole, "the bytes from {from} on changed while they were held");
            }
        };
        if self.dice.below(2) == 0 {
            return give_back();
        }
        let thread = thread::spawn(give_back);
        while !thread.is_finished() {
            yield_now().await;
        }
        thread.join().unwrap();
    }
}

/// Writes `len` bytes of the pattern in pieces of random sizes.
fn write(mut peer: StdStream, len: usize, mut dice: Dice) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut at = 0;
        while at < len {
            let end = len.min(at + 1 + dice.below(3000) as usize);
            let piece: Vec<u8> = (at..end).map(byte_at).collect();
            peer.write_all(&piece).unwrap();
            at = end;
            if dice.below(4) == 0 {
                thread::yield_now();
            }
        }
    })
}

fn leased<A: Assembly>(handle: &RuntimeHandleOf<A>) -> u64 {
    handle.stats_snapshot().total().recv_buffers_leased
}

/// Reads so many streams of so many bytes each, and sees to it that every buffer comes back.
fn read_at_random<A: Assembly>(handle: &RuntimeHandleOf<A>, streams: u64, len: usize) {
    let mut ends = Vec::new();
    for (seed, (own, peer)) in (1..=streams).zip(connections(streams as usize)) {
        let stream = TcpStream::from_std_on(handle, own).unwrap();
        let writer = write(peer, len, Dice::new(seed + 100));
        let task = handle.spawn_stealable(async move {
            let mut reader = Reader::new(stream, seed);
            while reader.step().await {}
            reader.let_go().await;
            assert_eq!(reader.got, len);
        });
        ends.push((task.unwrap(), writer));
    }
    for (task, writer) in ends {
        elsewhere(task).unwrap();
        writer.join().unwrap();
    }
    wait_until("all buffers are back", || leased(handle) == 0);
}

#[test]
fn kernels_that_lack_a_part_of_it_lose_no_byte_and_no_buffer() {
    watched(|watch| {
        for (single, endless) in [(true, false), (false, true)] {
            let faults = Arc::new(Faults::default());
            faults.single.store(single, Ordering::SeqCst);
            faults.endless.store(endless, Ordering::SeqCst);
            let builder = faulty::builder(&faults).shards(1);
            let runtime = watch.build(builder.recv_buffer_size(512).recv_buffers(4, 16));
            read_at_random(&runtime.handle(), 8, 60_000);
        }
    });
}

#[test]
fn readers_at_random_lose_no_byte_no_buffer_and_no_descriptor() {
    const NAME: &str = "provided::readers_at_random_lose_no_byte_no_buffer_and_no_descriptor";
    const STREAMS: u64 = 16;
    const LEN: usize = 60_000;
    alone(NAME, || {
        let before = open_fds();
        watched(|watch| {
            for (shards, most) in [(1, 4), (2, 4), (2, 64)] {
                let builder = Runtime::builder().shards(shards);
                let runtime = watch.build(builder.recv_buffer_size(512).recv_buffers(2, most));
                let handle = runtime.handle();
                read_at_random(&handle, STREAMS, LEN);
                let report = runtime.shutdown_timeout(SOON);
                assert_eq!((report.operations_leaked, report.shards_stuck), (0, 0), "{report}");
            }
        });
        assert_eq!(open_fds(), before);
    });
}

/// Streams with their receives armed, and buffers that are held: each full of its number.
async fn streams(handle: RuntimeHandle, count: u8) -> Vec<(RecvStream, StdStream, Vec<RecvBuf>)> {
    let mut all = Vec::new();
    for (number, (own, mut peer)) in (0..count).zip(connections(usize::from(count))) {
        let stream = TcpStream::from_std_on(&handle, own).unwrap();
        let mut incoming = stream.recv_stream();
        peer.write_all(&[number; 100]).unwrap();
        let held = vec![incoming.next().await.unwrap().unwrap()];
        assert!(poll_once(&mut Box::pin(incoming.next())).await.is_pending());
        all.push((incoming, peer, held));
    }
    all
}

/// The peers go on, and what is held stays as it is.
fn go_on(all: Vec<(RecvStream, StdStream, Vec<RecvBuf>)>) {
    let mut kept = Vec::new();
    for (incoming, mut peer, held) in all {
        // It may be refused: the socket may be closed.
        let _ = peer.write_all(&[0xee; 300]);
        kept.push((incoming, peer, held));
    }
    thread::sleep(Duration::from_millis(5));
    for (number, (_, _, held)) in kept.iter().enumerate() {
        for bytes in held {
            assert!(bytes.iter().all(|byte| usize::from(*byte) == number), "{number}: {bytes:?}");
        }
    }
    thread::spawn(move || drop(kept)).join().unwrap();
}

#[test]
fn held_buffers_stay_as_they_are_when_a_runtime_has_no_time_to_end() {
    watched(|watch| {
        for _ in 0..5 {
            let runtime = watch.build(Runtime::builder().shards(1).recv_buffers(2, 8));
            let handle = runtime.handle();
            let all = elsewhere(handle.spawn_pinned(0, streams(handle.clone(), 6)).unwrap());
            let all = all.unwrap();
            let report = runtime.shutdown_timeout(Duration::ZERO);
            assert_eq!(report.shards_panicked, 0, "{report}");
            go_on(all);
        }
    });
}

#[test]
fn held_buffers_stay_as_they_are_when_a_driver_breaks() {
    watched(|watch| {
        let faults = Arc::new(Faults::default());
        let runtime = watch.build(faulty::builder(&faults).shards(1).recv_buffers(2, 8));
        let handle = runtime.handle();
        let task = handle.spawn_pinned(0, async move {
            let mut all = Vec::new();
            for (number, (own, mut peer)) in (0..6u8).zip(connections(6)) {
                let stream = TcpStream::from_std(own).unwrap();
                let mut incoming = stream.recv_stream();
                peer.write_all(&[number; 100]).unwrap();
                let held = vec![incoming.next().await.unwrap().unwrap()];
                assert!(held[0].is_provided());
                assert!(poll_once(&mut Box::pin(incoming.next())).await.is_pending());
                all.push((incoming, peer, held));
            }
            all
        });
        let all = elsewhere(task.unwrap()).unwrap();
        faults.broken.store(true, Ordering::SeqCst);
        let report = runtime.shutdown_timeout(SOON);
        assert_eq!((report.operations_leaked, report.failures.len()), (6, 1), "{report}");
        assert_eq!(report.leaked_opcodes, vec![Opcode::RECV; 6]);
        go_on(all);
    });
}
