//! The rings themselves: single answers, many answers, and what is built of them.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use spargio::IoBuf as _;
use spargio::driver::Sqe;
use spargio::extension::fs as ext;
use spargio::native::{NativeOp, NativeOps, UringNativeAny};

use super::cancel::dropped;
use super::connects::is_refused;
use super::fs::{Scratch, insist, moved};
use super::knobs::{Kind, Knobs};
use super::streams::shrink;
use super::{Dice, Ground, UNKIND, torment};

fn native(ground: &Ground) -> UringNativeAny {
    UringNativeAny::new_on(&ground.handle).unwrap()
}

fn pair() -> [Arc<UnixStream>; 2] {
    let (near, far) = UnixStream::pair().unwrap();
    [near, far].map(|own| {
        own.set_nonblocking(true).unwrap();
        shrink(&own);
        Arc::new(own)
    })
}

/// Writes and reads a file by single operations.
pub(super) async fn files(ground: Ground, len: usize) {
    let (native, yard) = (native(&ground), &ground.yard);
    let scratch = Scratch::new(ground.seed);
    let mut dice = ground.dice();
    let data = dice.bytes(len);
    let path = scratch.file("data");
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).open(&path).unwrap();
    let file = Arc::new(file);
    let mut at = 0;
    while at < len {
        let end = len.min(at + 1 + dice.below(700) as usize);
        let write = native.write_at(Arc::clone(&file), at as u64, yard.filled(&data[at..end]));
        at += moved(write.await).0;
    }
    insist(|| native.fsync(Arc::clone(&file))).await;
    assert!(std::fs::read(&path).unwrap() == data, "the file has other bytes");
    let mut at = 0;
    while at < len {
        let most = (len - at).min(1 + dice.below(700) as usize);
        let count = if dice.below(2) == 0 {
            let read = native.read_at_into(Arc::clone(&file), at as u64, yard.buffer(most));
            let (count, buf) = moved(read.await);
            assert!(buf.as_init()[..count] == data[at..at + count], "{count} bytes at {at}");
            count
        } else {
            let bytes = insist(|| native.read_at(Arc::clone(&file), at as u64, most)).await;
            assert!(data[at..at + bytes.len()] == bytes, "{} bytes at {at}", bytes.len());
            bytes.len()
        };
        assert!(count <= most);
        at += count;
    }
}

/// Sends and receives by single operations.
pub(super) async fn sockets(ground: Ground, len: usize) {
    let data = ground.dice().bytes(len);
    let [near, far] = pair();
    let (sent, yard, sender) = (data.clone(), ground.yard.clone(), native(&ground));
    let sender = ground.handle.spawn_stealable(async move {
        let (mut dice, mut at) = (Dice::new(70), 0);
        while at < len {
            let end = len.min(at + 1 + dice.below(700) as usize);
            let send = sender.send(Arc::clone(&near), yard.filled(&sent[at..end]));
            at += moved(send.await).0;
        }
    });
    let native = native(&ground);
    let (mut dice, mut at) = (Dice::new(71), 0);
    while at < len {
        let most = 1 + dice.below(700) as usize;
        if dice.below(2) == 0 {
            let recv = native.recv_owned(Arc::clone(&far), ground.yard.buffer(most));
            let (count, buf) = moved(recv.await);
            assert!(buf.as_init()[..count] == data[at..at + count], "{count} bytes at {at}");
            at += count;
        } else {
            let bytes = insist(|| native.recv(Arc::clone(&far), most)).await;
            assert!(!bytes.is_empty(), "the peer has not ended");
            assert!(data[at..at + bytes.len()] == bytes, "{} bytes at {at}", bytes.len());
            at += bytes.len();
        }
    }
    sender.unwrap().await.unwrap();
}

#[test]
fn single_transfers_move_what_they_say_and_refused_ones_nothing() {
    const NAME: &str = "native::single_transfers_move_what_they_say_and_refused_ones_nothing";
    const BITES: &[Kind] =
        &[Kind::Byte, Kind::Short, Kind::Interrupted, Kind::Again, Kind::Names, Kind::Delayed];
    let knobs = Knobs { interrupt: 5, again: 5, names: 2, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        files(ground.clone(), 20_000).await;
        sockets(ground, 20_000).await;
    });
}

#[test]
fn batches_lose_nothing_when_they_are_cut_and_interrupted() {
    const NAME: &str = "native::batches_lose_nothing_when_they_are_cut_and_interrupted";
    const BITES: &[Kind] = &[Kind::Byte, Kind::Short, Kind::Interrupted, Kind::Starved];
    const LEN: usize = 60_000;
    let knobs = Knobs { interrupt: 4, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        let data = ground.dice().bytes(LEN);
        let [near, far] = pair();
        let (sent, yard, sender) = (data.clone(), ground.yard.clone(), native(&ground));
        let sender = ground.handle.spawn_stealable(async move {
            let (mut dice, mut at) = (Dice::new(80), 0);
            while at < LEN {
                let end = LEN.min(at + 1 + dice.below(5_000) as usize);
                let bufs: Vec<_> =
                    sent[at..end].chunks(300).map(|part| yard.filled(part)).collect();
                let count = bufs.len();
                let (result, bufs) = sender.send_all_batch(Arc::clone(&near), bufs).await;
                assert_eq!((result.unwrap(), bufs.len()), (end - at, count));
                at = end;
            }
        });
        let native = native(&ground);
        let (mut dice, mut at) = (Dice::new(81), 0);
        while at < LEN {
            let left = LEN - at;
            if dice.below(2) == 0 {
                let target = left.min(1 + dice.below(2_000) as usize);
                let came = native.recv_multishot_segments(Arc::clone(&far), target).await.unwrap();
                assert!(came.error.is_none(), "{:?}", came.error);
                let count = came.buffer.len();
                assert!(count >= target && data[at..at + count] == came.buffer, "{count} at {at}");
                let lens = came.segments.iter().map(|segment| segment.len);
                assert_eq!(lens.sum::<usize>(), count);
                at += count;
            } else {
                let bufs = (0..left.min(3)).map(|_| Vec::with_capacity(1)).collect();
                let (result, bufs): (_, Vec<Vec<u8>>) =
                    native.recv_batch_into(Arc::clone(&far), bufs).await;
                let bytes = bufs.concat();
                assert_eq!(result.unwrap(), bytes.len());
                assert!(data[at..at + bytes.len()] == bytes, "{} bytes at {at}", bytes.len());
                at += bytes.len();
            }
        }
        sender.unwrap().await.unwrap();
    });
}

fn listen() -> (Arc<TcpListener>, impl Fn() -> TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let addr = listener.local_addr().unwrap();
    (Arc::new(listener), move || TcpStream::connect(addr).unwrap())
}

fn taken(number: u32) -> OwnedFd {
    // SAFETY: the descriptor in an answer is new and taken once.
    unsafe { OwnedFd::from_raw_fd(number as i32) }
}

/// Accepts once.
fn accept(native: &UringNativeAny, listener: &Arc<TcpListener>) -> NativeOp<io::Result<OwnedFd>> {
    // SAFETY: the entry names no memory, and what is owned keeps the descriptor open.
    unsafe {
        native.submit_unsafe(
            Arc::clone(listener),
            |listener| Ok(Sqe::accept(listener.as_raw_fd(), libc::SOCK_CLOEXEC)),
            |_, cqe| cqe.check().map(taken),
        )
    }
}

/// Accepts again and again.
fn accept_many(native: &UringNativeAny, listener: &Arc<TcpListener>) -> NativeOps<OwnedFd> {
    // SAFETY: the entry names no memory, and what is owned keeps the descriptor open.
    unsafe {
        native.submit_unsafe_multi(
            Arc::clone(listener),
            |listener| Ok(Sqe::accept_multi(listener.as_raw_fd(), libc::SOCK_CLOEXEC)),
            |cqe| cqe.check().map(taken),
        )
    }
}

/// Every connection is taken or closed.
#[test]
fn descriptors_in_answers_that_nobody_takes_are_closed() {
    const NAME: &str = "native::descriptors_in_answers_that_nobody_takes_are_closed";
    const BITES: &[Kind] =
        &[Kind::Refused, Kind::Waits, Kind::Once, Kind::Delayed, Kind::LateCancel, Kind::Won];
    let knobs = Knobs { waits: 5, refuse: 7, once: 3, linger: 1, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        let native = native(&ground);
        let (listener, connect) = listen();
        let mut peers = Vec::new();
        for round in 0..60_usize {
            let (times, late) = (round % 4, round % 2 == 0);
            peers.extend((0..round % 3).map(|_| connect()));
            if round % 5 < 2 {
                let one = accept(&native, &listener);
                // There may be none, so nobody waits for long.
                let one = spargio::timeout(Duration::from_millis(1), one);
                match dropped(times, late, one).await {
                    Some(Ok(Err(error))) => assert!(is_refused(&error), "{error}"),
                    found => drop(found),
                }
            } else {
                let mut many = accept_many(&native, &listener).limit(1 + round % 3);
                for _ in 0..round % 4 {
                    let next = spargio::timeout(Duration::from_millis(1), many.next());
                    match dropped(times, late, next).await {
                        Some(Ok(None)) => break,
                        Some(Ok(Some(Err(error)))) => assert!(is_refused(&error), "{error}"),
                        found => drop(found),
                    }
                }
                if round % 7 == 0 {
                    many.cancel();
                    while let Some(last) = many.next().await {
                        last.map_or_else(|error| assert!(is_refused(&error), "{error}"), drop);
                    }
                }
            }
        }
        // What is left in the backlog is closed with the listener.
        while native.active_native_op_count() > 0 {
            spargio::yield_now().await;
        }
        drop(listener);
        for mut peer in peers {
            let end = io::Read::read(&mut peer, &mut [0]);
            assert!(end.is_err() || matches!(end, Ok(0)), "nobody has it any more");
        }
    });
}

/// What is given up gives its buffers back, and nobody writes to them after that.
#[test]
fn transfers_are_dropped_at_every_await() {
    const NAME: &str = "native::transfers_are_dropped_at_every_await";
    const BITES: &[Kind] = &[Kind::Short, Kind::Delayed, Kind::LateCancel, Kind::Won];
    let knobs = Knobs { linger: 1, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        let (native, yard) = (native(&ground), &ground.yard);
        let scratch = Scratch::new(ground.seed);
        let data = ground.dice().bytes(3_000);
        let path = scratch.file("data");
        std::fs::write(&path, &data).unwrap();
        let mut options = std::fs::OpenOptions::new();
        let file = Arc::new(options.read(true).write(true).open(&path).unwrap());
        for round in 0..40_usize {
            let (times, late) = (round % 4, round % 2 == 0);
            let [near, far] = pair();
            let read = native.read_at_into(Arc::clone(&file), 0, yard.buffer(900));
            if let Some(read) = dropped(times, late, read).await {
                let (count, buf) = moved(read);
                assert!(buf.as_init()[..count] == data[..count], "{count} bytes");
            }
            let write = native.write_at(Arc::clone(&file), 0, yard.filled(&data));
            drop(dropped(times, late, write).await);
            drop(dropped(times, late, native.fsync(Arc::clone(&file))).await);
            // There may be neither room nor bytes, so nobody waits for long.
            let limit = Duration::from_millis(1);
            let send = native.send(Arc::clone(&near), yard.filled(&data));
            drop(dropped(times, late, spargio::timeout(limit, send)).await);
            let recv = native.recv_owned(Arc::clone(&far), yard.buffer(900));
            drop(dropped(times, late, spargio::timeout(limit, recv)).await);
            let parts = data.chunks(700).map(|part| yard.filled(part)).collect();
            let send = native.send_all_batch(Arc::clone(&near), parts);
            drop(dropped(times, late, spargio::timeout(limit, send)).await);
            let bufs = (0..3).map(|_| yard.buffer(300)).collect();
            let recv = native.recv_batch_into(Arc::clone(&far), bufs);
            drop(dropped(times, late, spargio::timeout(limit, recv)).await);
            let many = native.recv_multishot_segments(Arc::clone(&far), 1_000);
            drop(dropped(times, late, spargio::timeout(limit, many)).await);
        }
        while native.active_native_op_count() > 0 {
            spargio::yield_now().await;
        }
        assert!(std::fs::read(&path).unwrap() == data, "the same bytes were written again");
    });
}

#[test]
fn names_are_changed_once_and_read_whole() {
    const NAME: &str = "native::names_are_changed_once_and_read_whole";
    let knobs = Knobs { names: 3, ..UNKIND };
    torment(NAME, knobs, &[Kind::Names, Kind::Delayed], |ground| async move {
        let native = native(&ground);
        let scratch = Scratch::new(ground.seed);
        let at = |name: &str| scratch.file(name);
        insist(|| native.mkdir_at(at("dir"), 0o700)).await;
        std::fs::write(at("one"), "1").unwrap();
        insist(|| native.rename_at(at("one"), at("two"))).await;
        insist(|| native.link_at(at("two"), at("three"))).await;
        insist(|| native.symlink_at("two", at("link"))).await;
        let names = ["dir", "link", "three", "two"];
        let mut found: Vec<_> = insist(|| ext::read_dir_entries(&ground.handle, &scratch.0))
            .await
            .into_iter()
            .map(|entry| entry.file_name.into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(found, names);
        for _ in 0..20 {
            let about = insist(|| ext::statx(&native, at("two"))).await;
            assert_eq!((about.nlink, about.size), (2, 1));
            let about = insist(|| ext::statx_or_metadata(&ground.handle, at("dir"))).await;
            assert!(about.is_dir());
        }
        insist(|| native.unlink_at(at("dir"), true)).await;
        for name in &names[1..] {
            insist(|| native.unlink_at(at(name), false)).await;
        }
        assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), 0);
    });
}
