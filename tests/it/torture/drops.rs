//! What is built of reads and writes, dropped at every await: of what it has taken nothing is lost.

use std::io;
use std::net::Shutdown;

use spargio::fs::File;
use spargio::io::framed::{FramedRead, FramedWrite, LengthDelimitedCodec};
use spargio::io::{
    AsyncBufRead as _, AsyncBufReadExt as _, AsyncRead, AsyncWrite, BufReader, BufWriter, DynRead,
    DynWrite, copy, copy_bidirectional, copy_to_vec, pipe,
};
use spargio::net::{Ip, Stream, Unix};
use spargio::{IoBuf as _, JoinHandle};

use super::cancel::dropped;
use super::fs::Scratch;
use super::io::write_buffered;
use super::knobs::{Kind, Knobs};
use super::streams::{Pairs, is_passing};
use super::{Dice, Ground, UNKIND, torment};

pub(super) const LEN: usize = 30_000;
pub(super) const KNOBS: Knobs = Knobs { interrupt: 6, ..UNKIND };
pub(super) const BITES: &[Kind] = &[Kind::Byte, Kind::Short, Kind::Interrupted, Kind::Delayed];

/// How often the next future is polled, and whether it is dropped when it could go on.
fn when(dice: &mut Dice) -> (usize, bool) {
    ([0, 1, 2, 3, usize::MAX][dice.below(5) as usize], dice.below(2) == 0)
}

/// Writes everything through a buffer whose futures are dropped, and ends.
pub(super) async fn write_and_drop(
    writer: impl AsyncWrite + 'static,
    data: &[u8],
    ground: &Ground,
) {
    let mut dice = Dice::new(ground.seed + 30);
    let mut writer = BufWriter::with_capacity(300, writer);
    let mut at = 0;
    while at < data.len() {
        let end = data.len().min(at + 1 + dice.below(700) as usize);
        let (times, late) = when(&mut dice);
        let before = writer.unwritten();
        let write = writer.write(ground.yard.filled(&data[at..end]));
        // One that was dropped has taken nothing.
        let count = match dropped(times, late, write).await {
            Some((result, _)) => result.unwrap(),
            None => 0,
        };
        assert!(writer.unwritten() <= before + count, "more than was taken");
        at += count;
        if dice.below(3) == 0 {
            let (times, late) = when(&mut dice);
            if let Some(flushed) = dropped(times, late, writer.flush()).await {
                flushed.unwrap();
                assert_eq!(writer.unwritten(), 0);
            }
        }
    }
    loop {
        let (times, late) = when(&mut dice);
        if let Some(ended) = dropped(times, late, writer.shutdown()).await {
            return ended.unwrap();
        }
    }
}

/// Reads everything through a buffer whose futures are dropped.
pub(super) async fn read_and_drop(reader: impl AsyncRead, data: &[u8], seed: u64) {
    let mut dice = Dice::new(seed);
    let mut reader = BufReader::with_capacity(300, reader);
    let mut at = 0;
    loop {
        let (times, late) = when(&mut dice);
        if dice.below(2) == 0 {
            let room = vec![0; 1 + dice.below(500) as usize].into_boxed_slice();
            match dropped(times, late, reader.read(room)).await {
                Some((Ok(0), _)) => break,
                Some((Ok(count), buf)) => {
                    assert!(data[at..at + count] == buf[..count], "{count} bytes at {at}");
                    at += count;
                }
                Some((Err(error), _)) => assert!(is_passing(&error), "{error}"),
                None => {}
            }
            continue;
        }
        match dropped(times, late, reader.fill_more()).await {
            Some(Ok(0)) if reader.buffer().is_empty() => break,
            Some(Err(error)) => assert!(is_passing(&error), "{error}"),
            _ => {}
        }
        let has = reader.buffer();
        let count = has.len().min(dice.below(400) as usize);
        assert!(data[at..at + count] == has[..count], "{count} bytes at {at}");
        reader.consume(count);
        at += count;
    }
    assert_eq!(at, data.len());
}

/// Two ends of something, each in a task of its own.
async fn through<R, W>(ground: &Ground, reader: R, writer: W)
where
    R: AsyncRead + 'static,
    W: AsyncWrite + 'static,
{
    let data = ground.dice().bytes(LEN);
    let (sent, sender) = (data.clone(), ground.clone());
    let sender = async move { write_and_drop(writer, &sent, &sender).await };
    let sender = ground.handle.spawn_stealable(sender).unwrap();
    read_and_drop(reader, &data, ground.seed + 31).await;
    sender.await.unwrap();
}

#[test]
fn buffers_lose_nothing() {
    torment("drops::buffers_lose_nothing", KNOBS, BITES, |ground| async move {
        let [near, far] = Ip::pair(&ground).await;
        through(&ground, far, near).await;
        let [near, far] = Unix::pair(&ground).await;
        through(&ground, far, near).await;
        let (reader, writer) = pipe().unwrap();
        through(&ground, reader, writer).await;
        // The halves of a stream, and behind a pointer.
        let [near, far] = Unix::pair(&ground).await;
        let (reader, unused) = far.into_split();
        let (other, writer) = near.into_split();
        through(&ground, reader, writer).await;
        drop((unused, other));
        let [near, far] = Ip::pair(&ground).await;
        through(&ground, DynReader(Box::new(far)), DynWriter(Box::new(near))).await;
    });
}

/// A reader or writer behind a pointer as one by itself.
struct DynReader(Box<dyn DynRead>);

struct DynWriter(Box<dyn DynWrite>);

impl AsyncRead for DynReader {
    async fn read<B: spargio::IoBufMut>(&mut self, buf: B) -> spargio::BufResult<usize, B> {
        self.0.as_mut().read(buf).await
    }
}

impl AsyncWrite for DynWriter {
    async fn write<B: spargio::IoBuf>(&mut self, buf: B) -> spargio::BufResult<usize, B> {
        self.0.as_mut().write(buf).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().flush().await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.0.as_mut().shutdown().await
    }
}

#[test]
fn a_buffered_file_has_everything_in_its_place() {
    const NAME: &str = "drops::a_buffered_file_has_everything_in_its_place";
    torment(NAME, KNOBS, BITES, |ground| async move {
        let scratch = Scratch::new(ground.seed);
        let data = ground.dice().bytes(LEN);
        let path = scratch.file("data");
        let file = File::create(&path).await.unwrap();
        write_and_drop(file.cursor(), &data, &ground).await;
        assert!(std::fs::read(&path).unwrap() == data, "written");
        let file = File::open(&path).await.unwrap();
        read_and_drop(file.cursor(), &data, ground.seed).await;
    });
}

#[test]
fn lines_lose_nothing() {
    torment("drops::lines_lose_nothing", KNOBS, BITES, |ground| async move {
        let [near, far] = Unix::pair(&ground).await;
        let lines: Vec<String> =
            (0..300).map(|line| format!("{line}{}", "-".repeat(line % 90))).collect();
        let text = lines.join("\n").into_bytes();
        let sender = ground.handle.spawn_stealable(write_buffered(near, text, 1)).unwrap();
        let mut reader = BufReader::with_capacity(50, far).lines();
        let mut dice = ground.dice();
        let mut found = Vec::new();
        loop {
            let (times, late) = when(&mut dice);
            match dropped(times, late, reader.next_line()).await {
                Some(Ok(Some(line))) => found.push(line),
                Some(Ok(None)) => break,
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
        }
        assert_eq!(found, lines);
        sender.await.unwrap();
    });
}

#[test]
fn frames_lose_nothing() {
    torment("drops::frames_lose_nothing", KNOBS, BITES, |ground| async move {
        const FRAMES: u64 = 150;
        let [near, far] = Ip::pair(&ground).await;
        let frame = |number: u64| {
            let mut dice = Dice::new(number);
            let len = dice.below(900) as usize;
            dice.bytes(len)
        };
        let mut dice = ground.dice();
        let sender = ground.handle.spawn_stealable(async move {
            let mut frames = FramedWrite::new(near, LengthDelimitedCodec::default());
            for number in 0..FRAMES {
                // By the first poll it is taken, whatever becomes of the future.
                let (times, late) = when(&mut dice);
                let times = times.max(1);
                let sent = if number % 2 == 0 {
                    dropped(times, late, frames.send(frame(number))).await
                } else {
                    dropped(times, late, frames.feed(frame(number))).await
                };
                sent.unwrap_or(Ok(())).unwrap();
                let (times, late) = when(&mut dice);
                dropped(times, late, frames.flush()).await.unwrap_or(Ok(())).unwrap();
            }
            frames.shutdown().await.unwrap();
        });
        let mut dice = ground.dice();
        let mut frames = FramedRead::new(far, LengthDelimitedCodec::default());
        let mut number = 0;
        loop {
            let (times, late) = when(&mut dice);
            match dropped(times, late, frames.next()).await {
                Some(Ok(Some(bytes))) => {
                    assert!(bytes == frame(number), "frame {number}");
                    number += 1;
                }
                Some(Ok(None)) => break,
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
        }
        assert_eq!(number, FRAMES);
        sender.unwrap().await.unwrap();
    });
}

/// What comes, to the end.
fn collect<F: Pairs>(ground: &Ground, mut from: Stream<F>) -> JoinHandle<Vec<u8>> {
    let collect = async move {
        let mut all = Vec::new();
        copy_to_vec(&mut from, &mut all, 500).await.unwrap();
        all
    };
    ground.handle.spawn_stealable(collect).unwrap()
}

/// Copies that are given up have written a beginning; what memory collects goes on where it was.
#[test]
fn copies_that_are_given_up_leave_no_gap_in_what_they_have_written() {
    const NAME: &str = "drops::copies_that_are_given_up_leave_no_gap_in_what_they_have_written";
    torment(NAME, KNOBS, BITES, |ground| async move {
        let data = ground.dice().bytes(LEN);
        let mut finished = 0;
        for (round, times) in [0, 1, 2, 3, 5, 9, 17, 60, usize::MAX].into_iter().enumerate() {
            let late = round % 2 == 0;
            let [near, mut from] = Ip::pair(&ground).await;
            let [mut to, far] = Unix::pair(&ground).await;
            let sender = ground.handle.spawn_stealable({
                let data = data.clone();
                async move {
                    // The copy may be gone before all is sent.
                    let sent = near.write_all(data).await.0;
                    sent.and(near.shutdown(Shutdown::Write).await)
                }
            });
            let collected = collect(&ground, far);
            let copied = dropped(times, late, copy(&mut from, &mut to)).await;
            drop((from, to));
            let collected = collected.await.unwrap();
            assert!(data.starts_with(&collected), "{} bytes", collected.len());
            if let Some(copied) = copied {
                assert_eq!((copied.unwrap(), collected.len()), (LEN as u64, LEN));
                finished += 1;
            }
            drop(sender.unwrap().await.unwrap());

            let [near, mut a] = Unix::pair(&ground).await;
            let [mut b, far] = Ip::pair(&ground).await;
            let (out, back) = (near.clone(), far.clone());
            let write = |stream: Stream<Unix>, data: Vec<u8>| async move {
                let sent = stream.write_all(data).await.0;
                sent.and(stream.shutdown(Shutdown::Write).await)
            };
            let senders = ground.handle.spawn_stealable(write(out, data.clone())).unwrap();
            let sent_back = {
                let data = data.clone();
                ground.handle.spawn_stealable(async move {
                    let sent = back.write_all(data).await.0;
                    sent.and(back.shutdown(Shutdown::Write).await)
                })
            };
            let collected = [collect_some(&ground, near), collect_some(&ground, far)];
            let both = dropped(times, late, copy_bidirectional(&mut a, &mut b)).await;
            drop((a, b));
            for collected in collected {
                let collected = collected.await.unwrap();
                assert!(data.starts_with(&collected), "{} bytes", collected.len());
                assert!(both.is_none() || collected.len() == LEN);
            }
            if let Some(both) = both {
                assert_eq!(both.unwrap(), (LEN as u64, LEN as u64));
            }
            drop((senders.await.unwrap(), sent_back.unwrap().await.unwrap()));
        }
        assert!(finished > 0, "one was never given up");

        let [near, mut far] = Ip::pair(&ground).await;
        let sender = write_buffered(near, data.clone(), ground.seed);
        let sender = ground.handle.spawn_stealable(sender).unwrap();
        let (mut dice, mut all) = (ground.dice(), Vec::new());
        loop {
            let (times, late) = when(&mut dice);
            if let Some(count) = dropped(times, late, copy_to_vec(&mut far, &mut all, 700)).await {
                count.unwrap();
                break;
            }
        }
        assert!(all == data, "collected by many copies");
        sender.await.unwrap();
    });
}

/// What comes, to the end or to the error of who is gone.
fn collect_some<F: Pairs>(ground: &Ground, from: Stream<F>) -> JoinHandle<Vec<u8>> {
    let yard = ground.yard.clone();
    let collect = async move {
        let mut all = Vec::new();
        loop {
            let (result, buf) = from.read(yard.buffer(500)).await;
            match result {
                Ok(0) => return all,
                Ok(count) => all.extend_from_slice(&buf.as_init()[..count]),
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
                    return all;
                }
            }
        }
    };
    ground.handle.spawn_stealable(collect).unwrap()
}
