//! Files past the page cache and with registered buffers, and names whose changes are given up.

use std::io::{self, ErrorKind};
use std::path::Path;

use spargio::fs::{self, File, OpenOptions, TempDir};
use spargio::{FixedBuf, FixedPool, IoBuf as _};

use super::cancel::dropped;
use super::fs::{Scratch, insist};
use super::knobs::{Kind, Knobs};
use super::{Ground, UNKIND, torment};

const BLOCK: usize = 4096;

/// Opens for direct I/O.
async fn open(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).custom_flags(libc::O_DIRECT);
    insist(|| options.open(path)).await
}

/// Writes and reads all of a file, and to its end.
async fn past_the_cache(ground: &Ground) {
    const LEN: usize = 9 * BLOCK;
    let scratch = Scratch::new(ground.seed);
    let (yard, mut dice) = (&ground.yard, ground.dice());
    let data = dice.bytes(LEN);
    let path = scratch.file("data");
    let file = open(&path).await;
    let (first, second) = data.split_at(3 * BLOCK);
    file.write_all_at(yard.filled(second), first.len() as u64).await.0.unwrap();
    file.write_all_at(yard.filled(first), 0).await.0.unwrap();
    assert!(std::fs::read(&path).unwrap() == data, "written");
    for from in [0, BLOCK, 4 * BLOCK] {
        let (result, buf) = file.read_exact_at(yard.buffer(LEN - from), from as u64).await;
        result.unwrap();
        assert!(*buf.as_init() == data[from..], "read from {from} on");
    }
    // The end is where the next read would not be even.
    let end = LEN - 1000;
    std::fs::File::options().write(true).open(&path).unwrap().set_len(end as u64).unwrap();
    let (result, buf) = file.read_exact_at(yard.buffer(LEN), 0).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let came = buf.as_init().iter().zip(&data).take_while(|(came, sent)| came == sent).count();
    assert!(came >= end, "what there is before the end: {came} of {end}");
    for from in [0, 1, BLOCK - 1, 3 * BLOCK, end - 1, end, LEN] {
        let (result, rest) = file.read_to_end_at(vec![7], from as u64).await;
        assert_eq!(result.unwrap(), end.saturating_sub(from), "bytes from {from} to the end");
        assert!(rest[0] == 7 && rest[1..] == data[from.min(end)..end], "from {from} to the end");
    }
}

#[test]
fn direct_transfers_that_end_within_a_block_go_on() {
    const NAME: &str = "disk::direct_transfers_that_end_within_a_block_go_on";
    const BITES: &[Kind] = &[Kind::Uneven, Kind::Interrupted, Kind::Delayed];
    let knobs = Knobs { interrupt: 6, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        for _ in 0..6 {
            past_the_cache(&ground).await;
        }
    });
}

fn lease(pool: &FixedPool, bytes: &[u8]) -> FixedBuf {
    let mut buf = pool.try_lease().expect("none is lost");
    buf.set_len(bytes.len());
    buf.copy_from_slice(bytes);
    buf
}

/// Writes and reads with buffers that the ring knows, and gives reads and writes up.
async fn registered(ground: &Ground, is_direct: bool) {
    const LEN: usize = 4 * BLOCK;
    let scratch = Scratch::new(ground.seed);
    let pool = FixedPool::new(3, LEN).unwrap();
    fs::register_fixed(&pool).unwrap();
    let data = ground.dice().bytes(LEN);
    let path = scratch.file("data");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    if is_direct {
        options.custom_flags(libc::O_DIRECT);
    }
    let file = insist(|| options.open(&path)).await;
    for late in [false, true] {
        for times in 0.. {
            let write = file.write_all_at(lease(&pool, &data), 0);
            let Some((result, _)) = dropped(times, late, write).await else {
                settle(ground).await;
                continue;
            };
            result.unwrap();
            break;
        }
        assert!(std::fs::read(&path).unwrap() == data, "written");
        for times in 0.. {
            let buf = lease(&pool, &[0; LEN]);
            let read = file.read_exact_at(buf.slice(BLOCK..), BLOCK as u64);
            let Some((result, buf)) = dropped(times, late, read).await else {
                settle(ground).await;
                continue;
            };
            result.unwrap();
            let buf = buf.into_inner();
            assert!(buf[BLOCK..] == data[BLOCK..], "read");
            assert!(buf[..BLOCK] == [0; BLOCK], "in front of the slice");
            break;
        }
    }
    settle(ground).await;
    assert_eq!(pool.available(), 3);
}

/// Waits until nothing is in flight.
async fn settle(ground: &Ground) {
    while ground.handle.stats_snapshot().total().in_flight > 0 {
        spargio::yield_now().await;
    }
}

#[test]
fn registered_buffers_come_back_with_what_was_read() {
    const NAME: &str = "disk::registered_buffers_come_back_with_what_was_read";
    const BITES: &[Kind] =
        &[Kind::Byte, Kind::Short, Kind::Uneven, Kind::Interrupted, Kind::LateCancel];
    let knobs = Knobs { interrupt: 6, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        registered(&ground, false).await;
        registered(&ground, true).await;
        assert!(ground.handle.stats_snapshot().total().fixed_ops > 0);
    });
}

/// What a file has, if there is one.
fn content(path: &Path) -> Option<Vec<u8>> {
    match std::fs::read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}

/// Changes of names, each dropped after so many polls: it was carried out, or it was not.
async fn changes(ground: &Ground, times: usize, late: bool) {
    /// What it gave, when it has ended for certain.
    macro_rules! given_up {
        ($change:expr) => {{
            let given = dropped(times, late, $change).await;
            settle(ground).await;
            match given {
                Some(Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
                    None
                }
                Some(Ok(value)) => Some(value),
                None => None,
            }
        }};
    }
    let scratch = Scratch::new(ground.seed);
    let at = |name: &str| scratch.file(name);
    // Each must be so if the future said so.
    let check = |said: bool, is_so: bool, what: &str| {
        assert!(is_so || !said, "{what} was said to be done");
    };

    std::fs::write(at("a"), "a").unwrap();
    let said = given_up!(fs::rename(at("a"), at("b"))).is_some();
    let (a, b) = (content(&at("a")), content(&at("b")));
    assert!(a.is_some() != b.is_some(), "one of the names is there");
    check(said, b.is_some(), "a rename");

    std::fs::write(at("c"), "c").unwrap();
    std::fs::write(at("d"), "d").unwrap();
    let said = given_up!(fs::rename_exchange(at("c"), at("d"))).is_some();
    let both = [content(&at("c")).unwrap(), content(&at("d")).unwrap()].concat();
    assert!(both == b"cd" || both == b"dc", "{both:?}");
    check(said, both == b"dc", "an exchange");

    let said = given_up!(fs::rename_no_replace(at("c"), at("e"))).is_some();
    assert!(content(&at("c")).is_some() != content(&at("e")).is_some());
    check(said, content(&at("e")).is_some(), "a rename to a free name");

    let said = given_up!(fs::hard_link(at("d"), at("f"))).is_some();
    assert!(content(&at("d")).is_some());
    check(said, content(&at("f")) == content(&at("d")), "a link");
    let said = given_up!(fs::symlink("d", at("g"))).is_some();
    check(said, content(&at("g")) == content(&at("d")), "a symbolic link");
    let said = given_up!(fs::remove_file(at("d"))).is_some();
    check(said, content(&at("d")).is_none(), "a removal");
    let said = given_up!(fs::create_dir_all(at("h/i/j"))).is_some();
    check(said, at("h/i/j").is_dir(), "a directory");
    std::fs::create_dir_all(at("k")).unwrap();
    let said = given_up!(fs::remove_dir(at("k"))).is_some();
    check(said, !at("k").exists(), "the removal of a directory");

    let data = ground.dice().bytes(3_000);
    let said = given_up!(fs::write(at("l"), data.clone())).is_some();
    let wrote = content(&at("l")).unwrap_or_default();
    assert!(data.starts_with(&wrote), "{} bytes of what was to be written", wrote.len());
    check(said, wrote == data, "a write");
    std::fs::write(at("m"), &data).unwrap();
    let said = given_up!(fs::copy(at("m"), at("n"))).is_some();
    let copied = content(&at("n")).unwrap_or_default();
    assert!(data.starts_with(&copied), "{} bytes of what was to be copied", copied.len());
    check(said, copied == data, "a copy");

    let said = given_up!(temporary(ground, &scratch, "o")).is_some();
    check(said, content(&at("o")).is_some_and(|bytes| bytes == b"whole"), "a file that stays");
}

/// A file that gets its name when it is complete.
async fn temporary(ground: &Ground, scratch: &Scratch, name: &str) -> io::Result<()> {
    let on = fs::on(&ground.handle);
    let temp = on.temp_file_in(&scratch.0).await?;
    temp.file().write_all_at("whole", 0).await.0?;
    temp.persist(scratch.file(name)).await?;
    Ok(())
}

#[test]
fn changes_of_names_that_are_given_up_happen_or_do_not() {
    const NAME: &str = "disk::changes_of_names_that_are_given_up_happen_or_do_not";
    const BITES: &[Kind] = &[Kind::Names, Kind::Delayed, Kind::LateCancel, Kind::Won];
    let knobs = Knobs { names: 6, linger: 1, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        for late in [false, true] {
            for times in (0..8).chain([usize::MAX; 6]) {
                changes(&ground, times, late).await;
            }
        }
    });
}

/// What is to be removed goes, also if the first try is interrupted.
#[test]
fn temporary_files_and_directories_go_however_they_are_dropped() {
    const NAME: &str = "disk::temporary_files_and_directories_go_however_they_are_dropped";
    const BITES: &[Kind] = &[Kind::Names, Kind::LateCancel, Kind::Delayed];
    let knobs = Knobs { names: 3, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        let scratch = Scratch::new(ground.seed);
        let on = fs::on(&ground.handle);
        for times in (0..5).chain([usize::MAX; 5]) {
            let file = insist(|| on.temp_file_in(&scratch.0)).await;
            insist(|| fs::write(file.path(), "x")).await;
            drop(dropped(times, times % 2 == 0, file.close()).await);
            let dir = insist(|| on.temp_dir_in(&scratch.0)).await;
            insist(|| fs::write(dir.path().join("inside"), "x")).await;
            drop(dropped(times, times % 2 == 0, dir.close()).await);
            drop(insist(|| on.temp_file_in(&scratch.0)).await);
            drop(insist(TempDir::new).await);
        }
        let is_empty = || std::fs::read_dir(&scratch.0).unwrap().next().is_none();
        while !is_empty() {
            spargio::yield_now().await;
        }
    });
}
