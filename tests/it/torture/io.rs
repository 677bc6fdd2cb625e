//! What is built of reads and writes: pipes, copies, buffers, frames; and waits for descriptors of
//! others.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net as unix;

use spargio::IoBuf as _;
use spargio::io::framed::{FramedRead, FramedWrite, LengthDelimitedCodec};
use spargio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, BufReader, BufWriter, copy,
    copy_bidirectional, copy_to_vec, pipe,
};
use spargio::net::{AsyncFd, Ip, Unix};

use super::knobs::{Kind, Knobs};
use super::streams::{Pairs, is_passing};
use super::{Dice, Ground, UNKIND, polled, torment};

const KNOBS: Knobs = Knobs { interrupt: 6, ..UNKIND };
const BITES: &[Kind] = &[Kind::Byte, Kind::Short, Kind::Interrupted, Kind::Delayed];

/// Through a pipe, with reads and writes of all kinds; reads are dropped at any stage.
#[test]
fn a_pipe_loses_nothing() {
    const LEN: usize = 200_000;
    torment("io::a_pipe_loses_nothing", KNOBS, BITES, |ground| async move {
        let data = ground.dice().bytes(LEN);
        let (mut reader, mut writer) = pipe().unwrap();
        let (sent, yard) = (data.clone(), ground.yard.clone());
        let sender = ground.handle.spawn_stealable(async move {
            let mut dice = Dice::new(5);
            let mut at = 0;
            while at < LEN {
                let end = LEN.min(at + 1 + dice.below(9_000) as usize);
                let buf = yard.filled(&sent[at..end]);
                if dice.below(2) == 0 {
                    writer.write_all(buf).await.0.unwrap();
                    at = end;
                } else {
                    match writer.write(buf).await.0 {
                        Ok(count) => at += count,
                        Err(error) => assert!(is_passing(&error), "{error}"),
                    }
                }
            }
            writer.shutdown().await.unwrap();
        });
        let mut dice = Dice::new(6);
        let mut at = 0;
        loop {
            let len = 1 + dice.below(9_000) as usize;
            let times = [0, 1, 2, usize::MAX][dice.below(4) as usize];
            match polled(times, reader.read(ground.yard.buffer(len))).await {
                Some((Ok(0), _)) => break,
                Some((Ok(count), buf)) => {
                    assert!(data[at..at + count] == buf.as_init()[..count], "{count} at {at}");
                    at += count;
                }
                Some((Err(error), _)) => assert!(is_passing(&error), "{error}"),
                None => spargio::yield_now().await,
            }
        }
        assert_eq!(at, LEN);
        sender.unwrap().await.unwrap();
    });
}

/// Writes everything through a buffer, and ends.
pub(super) async fn write_buffered(writer: impl AsyncWrite + 'static, data: Vec<u8>, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut writer = BufWriter::with_capacity(300, writer);
    let mut at = 0;
    while at < data.len() {
        let end = data.len().min(at + 1 + dice.below(700) as usize);
        writer.write_all(data[at..end].to_vec()).await.0.unwrap();
        at = end;
        if dice.below(4) == 0 {
            writer.flush().await.unwrap();
        }
    }
    writer.shutdown().await.unwrap();
}

/// Reads everything through a buffer.
pub(super) async fn read_buffered(reader: impl AsyncRead, data: &[u8], seed: u64) {
    let mut dice = Dice::new(seed);
    let mut reader = BufReader::with_capacity(300, reader);
    let mut at = 0;
    while at < data.len() / 2 {
        let len = 1 + dice.below(500) as usize;
        let (result, buf) = reader.read_exact(vec![0; len].into_boxed_slice()).await;
        result.unwrap();
        assert!(data[at..at + len] == buf[..], "{len} bytes at {at}");
        at += len;
    }
    let (result, rest) = reader.read_to_end(Vec::new()).await;
    assert_eq!(result.unwrap(), data.len() - at);
    assert!(data[at..] == rest, "the rest");
}

pub(super) async fn buffered<F: Pairs>(ground: Ground) {
    let data = ground.dice().bytes(30_000);
    let [near, far] = F::pair(&ground).await;
    let sender = ground.handle.spawn_stealable(write_buffered(near, data.clone(), ground.seed));
    read_buffered(far, &data, ground.seed + 1).await;
    sender.unwrap().await.unwrap();
}

#[test]
fn buffered_readers_and_writers_keep_the_order() {
    torment("io::buffered_readers_and_writers_keep_the_order", KNOBS, BITES, |ground| async move {
        buffered::<Ip>(ground.clone()).await;
        buffered::<Unix>(ground.clone()).await;
        let data = ground.dice().bytes(30_000);
        let (reader, writer) = pipe().unwrap();
        let sender = ground.handle.spawn_stealable(write_buffered(writer, data.clone(), 3));
        read_buffered(reader, &data, 4).await;
        sender.unwrap().await.unwrap();
    });
}

#[test]
fn lines_come_one_by_one() {
    torment("io::lines_come_one_by_one", KNOBS, BITES, |ground| async move {
        let [near, far] = Unix::pair(&ground).await;
        let lines: Vec<String> =
            (0..300).map(|line| format!("{line}{}", "-".repeat(line % 90))).collect();
        let text = lines.join("\n");
        let sender = ground.handle.spawn_stealable(write_buffered(near, text.into_bytes(), 1));
        let mut reader = BufReader::with_capacity(50, far).lines();
        for line in &lines {
            assert_eq!(reader.next_line().await.unwrap().as_ref(), Some(line));
        }
        assert_eq!(reader.next_line().await.unwrap(), None);
        sender.unwrap().await.unwrap();
    });
}

#[test]
fn frames_come_one_by_one_however_often_a_read_is_dropped() {
    const NAME: &str = "io::frames_come_one_by_one_however_often_a_read_is_dropped";
    torment(NAME, KNOBS, BITES, |ground| async move {
        let [near, far] = Ip::pair(&ground).await;
        let frame = |number: u64| {
            let mut dice = Dice::new(number);
            let len = dice.below(900) as usize;
            dice.bytes(len)
        };
        let sender = ground.handle.spawn_stealable(async move {
            let mut frames = FramedWrite::new(near, LengthDelimitedCodec::default());
            for number in 0..200 {
                match number % 3 {
                    0 => frames.send(frame(number)).await.unwrap(),
                    1 => frames.feed(frame(number)).await.unwrap(),
                    _ => frames.push(frame(number)).unwrap(),
                }
            }
            frames.shutdown().await.unwrap();
        });
        let mut dice = ground.dice();
        let mut frames = FramedRead::new(far, LengthDelimitedCodec::default());
        let mut number = 0;
        loop {
            let times = [0, 1, 2, usize::MAX][dice.below(4) as usize];
            match polled(times, frames.next()).await {
                Some(Ok(None)) => break,
                Some(Ok(Some(bytes))) => {
                    assert!(bytes == frame(number), "frame {number}");
                    number += 1;
                }
                Some(Err(error)) => panic!("{error}"),
                None => spargio::yield_now().await,
            }
        }
        assert_eq!(number, 200);
        sender.unwrap().await.unwrap();
    });
}

/// A pipe into a stream into a stream into memory, one copy for each.
#[test]
fn copies_lose_nothing() {
    torment("io::copies_lose_nothing", KNOBS, BITES, |ground| async move {
        let data = ground.dice().bytes(60_000);
        let (mut from, writer) = pipe().unwrap();
        let [mut a, mut b] = Ip::pair(&ground).await;
        let [mut c, mut d] = Unix::pair(&ground).await;
        let (len, on) = (data.len() as u64, &ground.handle);
        let tasks = [
            on.spawn_stealable(write_buffered(writer, data.clone(), ground.seed)),
            on.spawn_stealable(async move {
                assert_eq!(copy(&mut from, &mut a).await.unwrap(), len);
                a.shutdown(Shutdown::Write).await.unwrap();
                let mut back = Vec::new();
                copy_to_vec(&mut a, &mut back, 100).await.unwrap();
                assert_eq!(back, b"thank you");
            }),
            on.spawn_stealable(async move {
                assert_eq!(copy_bidirectional(&mut b, &mut c).await.unwrap(), (len, 9));
            }),
        ];
        let mut got = Vec::new();
        let count = copy_to_vec(&mut d, &mut got, 777).await.unwrap();
        assert_eq!(count as u64, len);
        assert!(got == data, "what was copied three times");
        d.write_all("thank you").await.0.unwrap();
        d.shutdown(Shutdown::Write).await.unwrap();
        drop(d);
        for task in tasks {
            task.unwrap().await.unwrap();
        }
    });
}

/// Waits for a socket of somebody else's, which are dropped at any stage.
#[test]
fn waits_for_descriptors_of_others_are_told_of_everything() {
    const NAME: &str = "io::waits_for_descriptors_of_others_are_told_of_everything";
    const LEN: usize = 100_000;
    torment(NAME, UNKIND, &[Kind::Delayed, Kind::LateCancel], |ground| async move {
        let data = ground.dice().bytes(LEN);
        let (near, far) = unix::UnixStream::pair().unwrap();
        for own in [&near, &far] {
            own.set_nonblocking(true).unwrap();
            super::streams::shrink(own);
        }
        let (near, far) = (AsyncFd::new(near).unwrap(), AsyncFd::new(far).unwrap());
        let sent = data.clone();
        let sender = ground.handle.spawn_stealable(async move {
            let mut dice = Dice::new(8);
            let mut at = 0;
            while at < LEN {
                let end = LEN.min(at + 1 + dice.below(3_000) as usize);
                let Some(guard) = polled(dice.below(4) as usize, near.writable()).await else {
                    continue;
                };
                let mut guard = guard.unwrap();
                match guard.try_io(|own| own.get_ref().write(&sent[at..end])) {
                    Ok(count) => at += count.unwrap(),
                    Err(_) => drop(near.writable().await.unwrap()),
                }
            }
        });
        let mut dice = ground.dice();
        let mut at = 0;
        while at < LEN {
            let mut buf = vec![0; 1 + dice.below(3_000) as usize];
            let read = far.async_io(spargio::net::Interest::READABLE, |own| {
                let mut own: &unix::UnixStream = own;
                let count: io::Result<usize> = own.read(&mut buf);
                count
            });
            let count = match polled([0, 1, 2, usize::MAX][dice.below(4) as usize], read).await {
                Some(Ok(count)) => count,
                Some(Err(error)) => panic!("{error}"),
                None => continue,
            };
            assert!(data[at..at + count] == buf[..count], "{count} bytes at {at}");
            at += count;
        }
        sender.unwrap().await.unwrap();
        let end = far.async_io(spargio::net::Interest::READABLE, |mut own| own.read(&mut [0]));
        assert_eq!(end.await.map_err(|error| error.kind()), Ok::<_, ErrorKind>(0));
    });
}
