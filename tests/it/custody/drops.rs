//! Futures that are dropped before their first poll, in flight, and when they are done.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io::{self, Read as _, Write as _};
use std::net;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;

use spargio::net::{TcpListener, TcpStream};
use spargio::{IoBuf as _, Runtime};

use super::canary::{Canary, Graveyard};
use super::{Dice, alone, connections, open_fds, poll_once};
use crate::support::{Plug, SOON, Watch, elsewhere, receive, wait_until, watched, yield_now};

/// When a future is dropped.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Unpolled,
    InFlight,
    /// It has woken its task, which does not look.
    Finished,
    /// It is awaited to its end.
    Never,
}

impl Stage {
    fn throw(dice: &mut Dice) -> Self {
        match dice.below(4) {
            0 => Self::Unpolled,
            1 => Self::InFlight,
            2 => Self::Finished,
            _ => Self::Never,
        }
    }
}

/// Drops the future at this stage. What it gave, if it was faster.
async fn until<F: Future + Unpin>(mut future: F, stage: Stage) -> Option<F::Output> {
    match stage {
        Stage::Unpolled => None,
        Stage::InFlight => match poll_once(&mut future).await {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        },
        Stage::Finished => {
            let mut polled = false;
            poll_fn(|cx| {
                if std::mem::replace(&mut polled, true) {
                    return Poll::Ready(None);
                }
                Pin::new(&mut future).poll(cx).map(Some)
            })
            .await
        }
        Stage::Never => Some(future.await),
    }
}

/// Bytes that tell their place in the stream, and are never those of a dead buffer.
fn place(at: usize) -> u8 {
    (at % 193) as u8
}

/// Reads a stream of so many bytes to its end with reads that are dropped at every stage.
async fn read_fitfully(stream: TcpStream, yard: Graveyard, total: usize, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut at = 0;
    while at < total {
        let len = 1 + dice.below(300) as usize;
        let read = stream.read(yard.buffer(len));
        if let Some((result, buf)) = until(read, Stage::throw(&mut dice)).await {
            let count = result.unwrap();
            assert!(count > 0, "the end after {at} of {total} bytes");
            for byte in &buf.as_init()[..count] {
                assert_eq!(*byte, place(at), "byte {at} of {total}, seed {seed}");
                at += 1;
            }
        }
        match dice.below(4) {
            0 => yield_now().await,
            1 => spargio::yield_now().await,
            _ => {}
        }
    }
    let (result, _) = stream.read(yard.buffer(1)).await;
    assert_eq!(result.unwrap(), 0, "bytes came twice");
}

#[test]
pub(crate) fn reads_dropped_at_any_stage_lose_and_double_no_byte() {
    alone("drops::reads_dropped_at_any_stage_lose_and_double_no_byte", || {
        watched(|watch| {
            const TOTAL: usize = 60_000;
            let before = open_fds();
            let runtime = watch.build(Runtime::builder().shards(2).ring_entries(8));
            let handle = runtime.handle();
            let yard = Graveyard::default();
            let mut readers = Vec::new();
            let mut writers = Vec::new();
            for (seed, (own, mut peer)) in connections(12).into_iter().enumerate() {
                let stream = TcpStream::from_std_on(&handle, own).unwrap();
                let read = read_fitfully(stream, yard.clone(), TOTAL, seed as u64);
                // Some on shards, some on a thread and executor of somebody else's.
                if seed % 4 == 3 {
                    readers.push(thread::spawn(move || elsewhere(read)));
                } else {
                    let task = handle.spawn_stealable(read).unwrap();
                    readers.push(thread::spawn(move || elsewhere(task).unwrap()));
                }
                writers.push(thread::spawn(move || {
                    let mut dice = Dice::new(seed as u64 + 100);
                    let mut at = 0;
                    while at < TOTAL {
                        let end = TOTAL.min(at + 1 + dice.below(500) as usize);
                        let bytes: Vec<u8> = (at..end).map(place).collect();
                        peer.write_all(&bytes).unwrap();
                        at = end;
                    }
                }));
            }
            readers.into_iter().chain(writers).for_each(|thread| thread.join().unwrap());
            wait_until("the buffers are let go", || yard.alive() == 0);
            yard.assert_at_rest();
            drop((runtime, handle));
            assert_eq!(open_fds(), before);
        });
    });
}

#[test]
pub(crate) fn accepts_dropped_at_any_stage_lose_no_connection_and_no_fd() {
    alone("drops::accepts_dropped_at_any_stage_lose_no_connection_and_no_fd", || {
        watched(|watch| {
            let before = open_fds();
            for seed in 0..4 {
                accept_fitfully(watch, seed);
                assert_eq!(open_fds(), before, "seed {seed}");
            }
        });
    });
}

fn accept_fitfully(watch: &Watch, seed: u64) {
    const CLIENTS: u32 = 400;
    let runtime = watch.build(Runtime::builder().shards(2).ring_entries(8));
    let handle = runtime.handle();
    let listener = elsewhere(TcpListener::bind_on(&handle, "127.0.0.1:0")).unwrap();
    let addr = listener.local_addr().unwrap();
    let clients = thread::spawn(move || {
        let connect = |id: u32| {
            let mut client = net::TcpStream::connect(addr).unwrap();
            client.write_all(&id.to_le_bytes()).unwrap();
            client
        };
        (0..CLIENTS).map(connect).collect::<Vec<_>>()
    });
    let (found, ids) = mpsc::channel();
    let stop = crate::support::Event::default();
    let accepters: Vec<_> = (0..3u64)
        .map(|number| {
            let (listener, found, stop) = (listener.clone(), found.clone(), stop.clone());
            handle.spawn_stealable(async move {
                let mut dice = Dice::new(seed * 10 + number);
                while !stop.is_set() {
                    let accept = listener.accept();
                    if let Some(accepted) = until(accept, Stage::throw(&mut dice)).await {
                        let (stream, _) = accepted.unwrap();
                        let (result, buf) = stream.read_exact(Box::new([0; 4])).await;
                        result.unwrap();
                        found.send(u32::from_le_bytes(*buf)).unwrap();
                    }
                    spargio::yield_now().await;
                }
            })
        })
        .collect();
    drop(found);
    let mut seen = BTreeMap::new();
    for _ in 0..CLIENTS {
        let id = receive(&ids, "a client is accepted");
        *seen.entry(id).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), CLIENTS as usize, "some came twice");
    stop.set();
    // Two more clients for each that awaits an accept to its end; nobody may take them.
    let late: Vec<_> = (0..6).map(|_| net::TcpStream::connect(addr).unwrap()).collect();
    late.iter().for_each(|mut client| client.write_all(&[0xff; 4]).unwrap());
    for accepter in accepters {
        elsewhere(accepter.unwrap()).unwrap();
    }
    drop((listener, late, clients.join().unwrap()));
    drop((runtime, handle));
}

const MOST_WORDS: u64 = 4_000;

/// A record: its number, again and again with the place in the record.
fn record(number: u16, words: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 * words);
    for at in 0..words {
        let [at_low, at_high] = (at as u16).to_le_bytes();
        let [low, high] = number.to_le_bytes();
        bytes.extend_from_slice(&[low, high, at_low, at_high]);
    }
    bytes
}

/// Writes records with writes that are dropped at every stage. Which were written, and how far.
async fn write_fitfully(
    stream: TcpStream,
    yard: Graveyard,
    seed: u64,
) -> BTreeMap<u16, Option<usize>> {
    let mut dice = Dice::new(seed);
    let mut written = BTreeMap::new();
    for number in 0..200 {
        let words = 1 + dice.below(MOST_WORDS) as usize;
        let stage = Stage::throw(&mut dice);
        let write: spargio::net::Write<'_, Canary> =
            stream.write(yard.filled(&record(number, words)));
        match until(write, stage).await {
            Some((result, _)) => drop(written.insert(number, Some(result.unwrap()))),
            None if matches!(stage, Stage::Unpolled) => {}
            None => drop(written.insert(number, None)),
        }
        if dice.below(3) == 0 {
            spargio::yield_now().await;
        }
    }
    written
}

/// Reads slowly to the end.
fn take_all(mut peer: net::TcpStream, seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut all = Vec::new();
    let mut buf = vec![0; 20_000];
    peer.set_read_timeout(Some(SOON)).unwrap();
    loop {
        let len = 1 + dice.below(buf.len() as u64) as usize;
        match peer.read(&mut buf[..len]).unwrap() {
            0 => return all,
            count => all.extend(&buf[..count]),
        }
    }
}

/// What came is made of beginnings of records, each once, and of those that were told to be
/// written exactly as much as was told.
fn check_records(came: &[u8], written: &BTreeMap<u16, Option<usize>>) {
    let mut at = 0;
    let mut seen: BTreeMap<u16, usize> = BTreeMap::new();
    let mut last_told = None;
    while at < came.len() {
        let number = u16::from_le_bytes([came[at], came[at + 1]]);
        let told = written.get(&number);
        let told = told.unwrap_or_else(|| panic!("record {number} was never started"));
        let expected = record(number, MOST_WORDS as usize);
        let most = told.unwrap_or(expected.len());
        let same = came[at..].iter().zip(&expected).take_while(|(a, b)| a == b).count().min(most);
        if let Some(told) = told {
            assert_eq!(same, *told, "record {number} at byte {at}");
            assert!(last_told.replace(number) < Some(number), "record {number} is out of order");
        }
        assert!(same > 0, "alien bytes at {at}: {:x?}", &came[at..came.len().min(at + 16)]);
        assert!(seen.insert(number, same).is_none(), "record {number} came twice");
        at += same;
    }
    for (number, told) in written {
        if let Some(told) = told {
            assert_eq!(seen.get(number), Some(told), "record {number} did not come");
        }
    }
}

#[test]
fn writes_dropped_at_any_stage_send_no_byte_twice_and_none_of_freed_memory() {
    const NAME: &str =
        "drops::writes_dropped_at_any_stage_send_no_byte_twice_and_none_of_freed_memory";
    alone(NAME, || {
        watched(|watch| {
            let before = open_fds();
            let runtime = watch.build(Runtime::builder().shards(2).ring_entries(8));
            let handle = runtime.handle();
            let yard = Graveyard::default();
            let streams = connections(6).into_iter().enumerate().map(|(seed, (own, peer))| {
                let seed = seed as u64;
                socket2::SockRef::from(&own).set_send_buffer_size(16_384).unwrap();
                let stream = TcpStream::from_std_on(&handle, own).unwrap();
                let write = write_fitfully(stream, yard.clone(), seed);
                let writer = if seed % 3 == 2 {
                    thread::spawn(move || elsewhere(write))
                } else {
                    let task = handle.spawn_stealable(write).unwrap();
                    thread::spawn(move || elsewhere(task).unwrap())
                };
                (writer, thread::spawn(move || take_all(peer, seed)))
            });
            let streams: Vec<_> = streams.collect();
            for (writer, reader) in streams {
                let written = writer.join().unwrap();
                check_records(&reader.join().unwrap(), &written);
            }
            wait_until("the buffers are let go", || yard.alive() == 0);
            yard.assert_at_rest();
            drop((runtime, handle));
            assert_eq!(open_fds(), before);
        });
    });
}

#[test]
#[expect(clippy::async_yields_async, reason = "the write itself leaves the shard")]
fn bytes_of_a_dropped_write_never_come_after_those_of_a_later_one() {
    watched(|watch| {
        for _ in 0..5 {
            let runtime = watch.build(Runtime::builder().shards(2));
            let handle = runtime.handle();
            let (own, mut peer) = connections(1).pop().unwrap();
            let filled = fill(&own);
            let stream = TcpStream::from_std_on(&handle, own).unwrap();
            // On the ring of shard 0, waiting for room.
            let early = {
                let stream = stream.clone();
                let mut write = Box::pin(async move { stream.write(vec![b'b'; 64]).await.0 });
                handle.spawn_pinned(0, async move {
                    assert!(poll_once(&mut write).await.is_pending());
                    write
                })
            };
            let early = elsewhere(early.unwrap()).unwrap();
            wait_until("it is in flight", || runtime.stats_snapshot().total().in_flight == 1);
            // There is room, but shard 0 cannot look after its send.
            let plug = Plug::new(&handle, 0);
            let mut room = vec![0; filled];
            peer.read_exact(&mut room).unwrap();
            let (begin, begun) = mpsc::channel();
            let late = handle.spawn_pinned(1, async move {
                drop(early);
                let mut write = Box::pin(stream.write_all(vec![b'c'; 64]));
                let at_once = poll_once(&mut write).await;
                begin.send(()).unwrap();
                match at_once {
                    Poll::Ready((result, _)) => result,
                    Poll::Pending => write.await.0,
                }
            });
            receive(&begun, "the later write has begun");
            drop(plug);
            elsewhere(late.unwrap()).unwrap().unwrap();
            drop(runtime);
            let mut rest = Vec::new();
            peer.read_to_end(&mut rest).unwrap();
            let (first, last) = rest.split_at(rest.len() - 64);
            assert!(first.iter().all(|byte| *byte == b'b'), "{rest:?}");
            assert_eq!(last, [b'c'; 64], "the dropped write came later");
        }
    });
}

/// Writes until the socket has no room. How much that was.
fn fill(socket: &net::TcpStream) -> usize {
    socket.set_nonblocking(true).unwrap();
    let mut filled = 0;
    let mut socket = socket;
    loop {
        match socket.write(&[b'a'; 1 << 16]) {
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return filled,
            Err(error) => panic!("{error}"),
        }
    }
}
