//! Streams that are polled, by the traits of `futures-io`, and descriptors that are watched.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::os::unix::net as unix;
use std::pin::Pin;

use futures_io::{AsyncRead, AsyncWrite};
use spargio::io::{Compat, pipe};
use spargio::net::{AsyncFd, Interest, Ip, Stream, Unix};

use super::connects::is_refused;
use super::knobs::{Kind, Knobs};
use super::streams::{Pairs, is_passing, shrink};
use super::{Dice, Ground, UNKIND, polled, torment};

pub(super) const LEN: usize = 40_000;

/// Writes everything by polls that are given up at any stage, and ends.
///
/// A poll that was pending has taken nothing, so what comes next may be another cut of the bytes.
pub(super) async fn write_by_polls(mut writer: impl AsyncWrite + Unpin, data: Vec<u8>, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut at = 0;
    while at < data.len() {
        let end = data.len().min(at + 1 + dice.below(3_000) as usize);
        let middle = at + dice.below((end - at) as u64 + 1) as usize;
        let is_vectored = dice.below(2) == 0;
        let write = poll_fn(|cx| {
            let writer = Pin::new(&mut writer);
            if is_vectored {
                let parts = [IoSlice::new(&data[at..middle]), IoSlice::new(&data[middle..end])];
                writer.poll_write_vectored(cx, &parts)
            } else {
                writer.poll_write(cx, &data[at..end])
            }
        });
        match polled([1, 2, usize::MAX][dice.below(3) as usize], write).await {
            Some(count) => at += count.unwrap(),
            None => spargio::yield_now().await,
        }
        if dice.below(5) == 0 {
            poll_fn(|cx| Pin::new(&mut writer).poll_flush(cx)).await.unwrap();
        }
    }
    poll_fn(|cx| Pin::new(&mut writer).poll_close(cx)).await.unwrap();
}

/// Reads everything by polls that are given up at any stage.
pub(super) async fn read_by_polls(mut reader: impl AsyncRead + Unpin, data: &[u8], seed: u64) {
    let mut dice = Dice::new(seed);
    let mut at = 0;
    loop {
        let mut buf = vec![0; 1 + dice.below(3_000) as usize];
        let middle = dice.below(buf.len() as u64) as usize;
        let is_vectored = dice.below(2) == 0;
        let read = poll_fn(|cx| {
            let reader = Pin::new(&mut reader);
            if is_vectored {
                let (first, second) = buf.split_at_mut(middle);
                let mut parts = [IoSliceMut::new(first), IoSliceMut::new(second)];
                reader.poll_read_vectored(cx, &mut parts)
            } else {
                reader.poll_read(cx, &mut buf)
            }
        });
        match polled([1, 2, usize::MAX][dice.below(3) as usize], read).await {
            Some(Ok(0)) => break,
            Some(Ok(count)) => {
                assert!(data.get(at..at + count) == Some(&buf[..count]), "{count} bytes at {at}");
                at += count;
            }
            Some(Err(error)) => panic!("{error}"),
            None => spargio::yield_now().await,
        }
    }
    assert_eq!(at, data.len());
}

async fn streams<F: Pairs>(ground: &Ground)
where
    Stream<F>: AsyncRead + AsyncWrite + Unpin,
{
    let data = ground.dice().bytes(LEN);
    let [near, far] = F::pair(ground).await;
    let writer = write_by_polls(near, data.clone(), ground.seed);
    let writer = ground.handle.spawn_stealable(writer).unwrap();
    read_by_polls(far, &data, ground.seed + 50).await;
    writer.await.unwrap();
}

#[test]
fn polls_of_streams_that_nobody_follows_up_lose_nothing() {
    const NAME: &str = "polls::polls_of_streams_that_nobody_follows_up_lose_nothing";
    torment(NAME, UNKIND, &[Kind::Delayed], |ground| async move {
        streams::<Ip>(&ground).await;
        streams::<Unix>(&ground).await;
    });
}

/// Reads by polls and by futures that are dropped, in turns.
async fn read_in_turns<F: Pairs>(ground: &Ground)
where
    Stream<F>: AsyncRead + AsyncWrite + Unpin,
{
    let data = ground.dice().bytes(LEN);
    let [near, mut far] = F::pair(ground).await;
    let writer = write_by_polls(near, data.clone(), ground.seed);
    let writer = ground.handle.spawn_stealable(writer).unwrap();
    let (mut dice, mut at) = (ground.dice(), 0);
    loop {
        let len = 1 + dice.below(900) as usize;
        let times = times(&mut dice);
        let (result, bytes) = if dice.below(2) == 0 {
            match polled(times, far.read(vec![0; len].into_boxed_slice())).await {
                Some((Err(error), _)) if is_passing(&error) => continue,
                Some(read) => read,
                None => continue,
            }
        } else {
            let mut buf = vec![0; len].into_boxed_slice();
            let read = poll_fn(|cx| Pin::new(&mut far).poll_read(cx, &mut buf));
            match polled(times, read).await {
                Some(result) => (result, buf),
                None => continue,
            }
        };
        let count = result.unwrap();
        if count == 0 {
            break;
        }
        assert!(data.get(at..at + count) == Some(&bytes[..count]), "{count} bytes at {at}");
        at += count;
    }
    assert_eq!(at, LEN);
    writer.await.unwrap();
}

#[test]
fn polls_are_not_told_of_interruptions_also_of_reads_that_were_dropped() {
    const NAME: &str = "polls::polls_are_not_told_of_interruptions_also_of_reads_that_were_dropped";
    const BITES: &[Kind] = &[Kind::Waits, Kind::Interrupted, Kind::Again, Kind::Delayed];
    let knobs = Knobs { waits: 3, interrupt: 4, again: 4, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        streams::<Ip>(&ground).await;
        read_in_turns::<Ip>(&ground).await;
        read_in_turns::<Unix>(&ground).await;
    });
}

#[test]
fn polls_of_what_has_only_futures_lose_nothing() {
    const NAME: &str = "polls::polls_of_what_has_only_futures_lose_nothing";
    const BITES: &[Kind] = &[Kind::Byte, Kind::Short, Kind::Interrupted, Kind::Delayed];
    let knobs = Knobs { interrupt: 6, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        let data = ground.dice().bytes(LEN);
        let (reader, writer) = pipe().unwrap();
        let writer = write_by_polls(Compat::writer(writer), data.clone(), ground.seed);
        let writer = ground.handle.spawn_stealable(writer).unwrap();
        read_by_polls(Compat::reader(reader), &data, ground.seed + 50).await;
        writer.await.unwrap();
        let [near, far] = Unix::pair(&ground).await;
        let writer = write_by_polls(Compat::new(near.clone(), near), data.clone(), ground.seed);
        let writer = ground.handle.spawn_stealable(writer).unwrap();
        read_by_polls(Compat::new(far.clone(), far), &data, ground.seed + 50).await;
        writer.await.unwrap();
    });
}

/// Two ends of somebody else's connection.
fn pair(ground: &Ground) -> (AsyncFd<unix::UnixStream>, AsyncFd<unix::UnixStream>) {
    let (near, far) = unix::UnixStream::pair().unwrap();
    for own in [&near, &far] {
        own.set_nonblocking(true).unwrap();
        shrink(own);
    }
    (AsyncFd::new_on(&ground.handle, near).unwrap(), AsyncFd::new_on(&ground.handle, far).unwrap())
}

/// What a wait found, if it was not refused.
fn granted<T>(found: io::Result<T>, may_refuse: bool) -> Option<T> {
    found.map_err(|error| assert!(may_refuse && is_refused(&error), "{error}")).ok()
}

/// How often a wait is polled.
fn times(dice: &mut Dice) -> usize {
    [0, 1, 2, usize::MAX][dice.below(4) as usize]
}

/// Sends and receives when a watch says so, which is asked by futures that are dropped.
pub(super) async fn watched(ground: Ground, may_refuse: bool) {
    let data = ground.dice().bytes(LEN);
    let (near, far) = pair(&ground);
    let sent = data.clone();
    let sender = ground.handle.spawn_stealable(async move {
        let (mut dice, mut at) = (Dice::new(8), 0);
        let mut room = near.watch(Interest::WRITABLE);
        while at < LEN {
            let end = LEN.min(at + 1 + dice.below(3_000) as usize);
            let Some(guard) = polled(times(&mut dice), room.ready()).await else { continue };
            let Some(mut guard) = granted(guard, may_refuse) else { continue };
            if let Ok(count) = guard.try_io(|own| own.get_ref().write(&sent[at..end])) {
                at += count.unwrap();
            }
        }
    });
    let mut dice = ground.dice();
    let mut at = 0;
    let mut bytes = far.watch(Interest::READABLE);
    while at < LEN {
        let mut buf = vec![0; 1 + dice.below(3_000) as usize];
        let Some(guard) = polled(times(&mut dice), bytes.ready()).await else { continue };
        let Some(mut guard) = granted(guard, may_refuse) else { continue };
        let read: Result<io::Result<usize>, _> = guard.try_io(|own| own.get_ref().read(&mut buf));
        let count = match read {
            Ok(Ok(count)) => count,
            Ok(Err(error)) => {
                assert!(is_passing(&error), "{error}");
                continue;
            }
            Err(_) => continue,
        };
        assert!(data[at..at + count] == buf[..count], "{count} bytes at {at}");
        at += count;
    }
    sender.unwrap().await.unwrap();
}

#[test]
fn a_watch_is_told_of_everything() {
    const BITES: &[Kind] = &[Kind::Delayed];
    torment("polls::a_watch_is_told_of_everything", UNKIND, BITES, |ground| watched(ground, false));
}

#[test]
fn a_watch_that_ends_or_is_interrupted_begins_anew() {
    const NAME: &str = "polls::a_watch_that_ends_or_is_interrupted_begins_anew";
    const BITES: &[Kind] = &[Kind::Waits, Kind::Once, Kind::Delayed, Kind::LateCancel];
    let knobs = Knobs { waits: 3, once: 2, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| watched(ground, false));
}

#[test]
fn a_watch_that_is_refused_says_so_and_misses_nothing() {
    const NAME: &str = "polls::a_watch_that_is_refused_says_so_and_misses_nothing";
    const BITES: &[Kind] = &[Kind::Refused, Kind::Once, Kind::Delayed];
    let knobs = Knobs { refuse: 3, once: 2, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| watched(ground, true));
}

/// Sends and receives by single waits, which are dropped.
pub(super) async fn waited(ground: Ground, may_refuse: bool) {
    let data = ground.dice().bytes(LEN);
    let (near, mut far) = pair(&ground);
    let sent = data.clone();
    let sender = ground.handle.spawn_stealable(async move {
        let (mut dice, mut at) = (Dice::new(8), 0);
        while at < LEN {
            let end = LEN.min(at + 1 + dice.below(3_000) as usize);
            let wait = near.ready(Interest::WRITABLE | Interest::ERROR);
            let Some(guard) = polled(times(&mut dice), wait).await else { continue };
            let Some(mut guard) = granted(guard, may_refuse) else { continue };
            if let Ok(count) = guard.try_io(|own| own.get_ref().write(&sent[at..end])) {
                at += count.unwrap();
            }
        }
    });
    let mut dice = ground.dice();
    let mut at = 0;
    while at < LEN {
        let mut buf = vec![0; 1 + dice.below(3_000) as usize];
        let times = times(&mut dice);
        let read = if dice.below(2) == 0 {
            let call = |mut own: &unix::UnixStream| own.read(&mut buf);
            polled(times, far.async_io(Interest::READABLE, call)).await
        } else {
            let call = |own: &mut unix::UnixStream| own.read(&mut buf);
            polled(times, far.async_io_mut(Interest::READABLE, call)).await
        };
        let Some(read) = read else { continue };
        let Some(count) = granted(read, may_refuse) else { continue };
        assert!(data[at..at + count] == buf[..count], "{count} bytes at {at}");
        at += count;
    }
    sender.unwrap().await.unwrap();
}

#[test]
fn a_single_wait_that_is_interrupted_begins_anew() {
    const NAME: &str = "polls::a_single_wait_that_is_interrupted_begins_anew";
    let knobs = Knobs { waits: 2, ..UNKIND };
    torment(NAME, knobs, &[Kind::Waits, Kind::LateCancel], |ground| waited(ground, false));
}

#[test]
fn a_single_wait_that_is_refused_says_so_and_misses_nothing() {
    const NAME: &str = "polls::a_single_wait_that_is_refused_says_so_and_misses_nothing";
    let knobs = Knobs { refuse: 3, ..UNKIND };
    torment(NAME, knobs, &[Kind::Refused, Kind::Delayed], |ground| waited(ground, true));
}
