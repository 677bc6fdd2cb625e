//! Files, directories and their names.

use std::future::Future;
use std::io::{self, ErrorKind, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use spargio::fs::{self, Advice, Allocate, DuOptions, File, OpenOptions, SyncRange, TempDir};
use spargio::{BufResult, IoBuf as _};

use super::knobs::{Kind, Knobs};
use super::{Dice, Ground, UNKIND, torment};

/// A directory of a test, on a file system that reads without blocking, or on one that does not.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new(seed: u64) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = if seed.is_multiple_of(2) { "/dev/shm" } else { "/tmp" };
        let name = format!("spargio-torture-{}-{number}", std::process::id());
        let path = Path::new(place).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Whether the same operation may be tried again.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

/// Tries until it is neither interrupted nor refused.
pub(super) async fn insist<T, F: Future<Output = io::Result<T>>>(make: impl Fn() -> F) -> T {
    loop {
        match make().await {
            Ok(value) => return value,
            Err(error) => assert!(is_passing(&error), "{error}"),
        }
    }
}

/// How much was moved: 0 if nothing was, and it is to be tried again.
pub(super) fn moved<B>((result, buf): BufResult<usize, B>) -> (usize, B) {
    match result {
        Ok(count) => {
            assert!(count > 0, "the file has an end too early, or no room");
            (count, buf)
        }
        Err(error) => {
            assert!(is_passing(&error), "{error}");
            (0, buf)
        }
    }
}

async fn open_new(ground: &Ground, path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    insist(|| options.open_on(&ground.handle, path)).await
}

/// Writes and reads piece by piece, by one buffer and by several.
pub(super) async fn piecewise(ground: Ground, len: usize) {
    let scratch = Scratch::new(ground.seed);
    let (mut dice, yard) = (ground.dice(), ground.yard.clone());
    let data = dice.bytes(len);
    let path = scratch.file("data");
    let file = open_new(&ground, &path).await;
    let mut at = 0;
    while at < len {
        let end = len.min(at + 1 + dice.below(700) as usize);
        let middle = at + dice.below((end - at) as u64 + 1) as usize;
        let count = if dice.below(2) == 0 {
            let buf = yard.filled(&data[at..end]);
            moved(file.write_at(buf, at as u64).await).0
        } else {
            let parts = [at..middle, middle..middle, middle..end];
            let bufs = parts.map(|part| yard.filled(&data[part]));
            moved(file.write_vectored_at(bufs.into(), at as u64).await).0
        };
        at += count;
    }
    assert!(std::fs::read(&path).unwrap() == data, "the file has other bytes");
    let mut at = 0;
    while at < len {
        let end = len.min(at + 1 + dice.below(700) as usize);
        let middle = dice.below((end - at) as u64 + 1) as usize;
        at += if dice.below(2) == 0 {
            let (count, buf) = moved(file.read_at(yard.buffer(end - at), at as u64).await);
            assert_eq!(buf.as_init()[..count], data[at..at + count]);
            assert!(buf.as_init()[count..].iter().all(|byte| *byte == 0), "more was written");
            count
        } else {
            let bufs = [middle, end - at - middle].map(|len| yard.buffer(len));
            let (count, bufs) = moved(file.read_vectored_at(bufs.into(), at as u64).await);
            let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.as_init().to_vec()).collect();
            assert_eq!(bytes[..count], data[at..at + count]);
            assert!(bytes[count..].iter().all(|byte| *byte == 0), "more was written");
            count
        };
    }
    file.close().await.unwrap();
}

#[test]
fn single_transfers_move_what_they_say_and_refused_ones_nothing() {
    const NAME: &str = "fs::single_transfers_move_what_they_say_and_refused_ones_nothing";
    const BITES: &[Kind] = &[
        Kind::Byte,
        Kind::Short,
        Kind::Parts,
        Kind::Direct,
        Kind::Declined,
        Kind::Interrupted,
        Kind::Again,
        Kind::Delayed,
    ];
    let knobs = Knobs { interrupt: 5, again: 5, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| piecewise(ground, 20_000));
}

#[test]
fn a_file_of_single_bytes_is_whole() {
    const NAME: &str = "fs::a_file_of_single_bytes_is_whole";
    let knobs = Knobs { byte: 1, short: 0, ..UNKIND };
    torment(NAME, knobs, &[Kind::Byte, Kind::Parts, Kind::Direct], |ground| async {
        piecewise(ground.clone(), 500).await;
        composed(ground, 300).await;
    });
}

/// What is composed of several transfers.
async fn composed(ground: Ground, len: usize) {
    let scratch = Scratch::new(ground.seed);
    let (mut dice, yard) = (ground.dice(), ground.yard.clone());
    let data = dice.bytes(len);
    let (half, quarter) = (len / 2, len / 4);
    let path = scratch.file("data");

    let file = open_new(&ground, &path).await;
    file.write_all_at(yard.filled(&data[half..]), half as u64).await.0.unwrap();
    let (sent, _) = file.write_all_at(yard.filled(&data[..half]).slice(..quarter), 0).await;
    sent.unwrap();
    file.write_all_at(data[quarter..half].to_vec(), quarter as u64).await.0.unwrap();
    assert!(std::fs::read(&path).unwrap() == data, "written by write_all_at");

    let (result, buf) = file.read_exact_at(yard.buffer(half), quarter as u64).await;
    result.unwrap();
    assert!(buf.as_init() == &data[quarter..quarter + half], "read by read_exact_at");
    let (result, buf) = file.read_exact_at(yard.buffer(len), 1).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert!(buf.as_init()[..len - 1] == data[1..], "what there was before the end");
    let (result, buf) = file.read_to_end_at(b"here:".to_vec(), 7).await;
    assert_eq!(result.unwrap(), len - 7);
    assert!(buf[..5] == *b"here:" && buf[5..] == data[7..], "read to the end");

    let mut cursor = file.cursor();
    let (result, buf) = cursor.read_exact(yard.buffer(quarter)).await;
    result.unwrap();
    assert!(buf.as_init() == &data[..quarter], "by the cursor");
    assert_eq!(cursor.seek(SeekFrom::Current(3)).await.unwrap(), quarter as u64 + 3);
    let (result, rest) = cursor.read_to_end(Vec::new()).await;
    assert_eq!(result.unwrap(), len - quarter - 3);
    assert!(rest == data[quarter + 3..], "by the cursor to the end");
    assert_eq!(cursor.position(), len as u64);
    cursor.write_all(yard.filled(&data[..half])).await.0.unwrap();
    assert_eq!(cursor.seek(SeekFrom::End(0)).await.unwrap(), (len + half) as u64);
    drop(cursor);
    let twice = [&data[..], &data[..half]].concat();
    assert!(fs::read(&path).await.unwrap() == twice, "what the cursor appended");

    ahead(&path, &twice, &mut dice).await;
    whole(&scratch, &data, &mut dice).await;
}

/// Reads the file ahead in small chunks.
async fn ahead(path: &Path, data: &[u8], dice: &mut Dice) {
    let file = File::open(path).await.unwrap();
    let chunk = 1 + dice.below(data.len() as u64 / 4) as usize;
    let mut reads = file.read_ahead(5).await.unwrap().chunk(chunk).depth(3);
    let mut at = 5;
    while let Some(bytes) = reads.next().await.unwrap() {
        assert!(bytes[..] == data[at..at + bytes.len()], "{} bytes at {at}", bytes.len());
        at += bytes.len();
        assert_eq!(reads.position(), at as u64);
        reads.give_back(bytes);
    }
    assert_eq!(at, data.len());
}

/// Whole files by their names.
async fn whole(scratch: &Scratch, data: &[u8], dice: &mut Dice) {
    let (path, other) = (scratch.file("whole"), scratch.file("copy"));
    fs::write(&path, data).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == data, "written whole");
    assert!(fs::read(&path).await.unwrap() == data, "read whole");
    assert_eq!(fs::copy(&path, &other).await.unwrap(), data.len() as u64);
    assert!(fs::read(&other).await.unwrap() == data, "copied");
    let text: String = (0..data.len()).map(|_| char::from(b'a' + dice.below(26) as u8)).collect();
    let text = format!("{text}ä");
    fs::write(&path, text.clone()).await.unwrap();
    assert!(fs::read_to_string(&path).await.unwrap() == text, "read as text");
    let file = File::open(&path).await.unwrap();
    assert!(file.read_to_string_at(1).await.unwrap() == text[1..], "the rest as text");
    let mut cursor = file.cursor();
    assert!(cursor.read_to_string().await.unwrap() == text, "the cursor's as text");
    // A file that says it is empty.
    let said = fs::read_to_string("/proc/self/stat").await.unwrap();
    assert!(said.ends_with('\n') && said.starts_with(&std::process::id().to_string()));
}

#[test]
fn whole_files_are_whole() {
    const NAME: &str = "fs::whole_files_are_whole";
    const BITES: &[Kind] = &[Kind::Byte, Kind::Short, Kind::Direct, Kind::Interrupted];
    let knobs = Knobs { interrupt: 4, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async {
        composed(ground.clone(), 40).await;
        composed(ground, 70_000).await;
    });
}

#[test]
fn operations_on_names_do_what_they_say_once() {
    const NAME: &str = "fs::operations_on_names_do_what_they_say_once";
    const BITES: &[Kind] = &[Kind::Names, Kind::Declined, Kind::Delayed];
    let knobs = Knobs { names: 3, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        for _ in 0..5 {
            let scratch = Scratch::new(ground.seed);
            names(&scratch).await;
            open_files(&scratch).await;
        }
    });
}

async fn names(scratch: &Scratch) {
    let at = |name: &str| scratch.file(name);
    let exists = |name: &str| at(name).symlink_metadata().is_ok();
    insist(|| fs::create_dir(at("dir"))).await;
    let again = fs::create_dir(at("dir")).await.unwrap_err();
    assert!(is_passing(&again) || again.kind() == ErrorKind::AlreadyExists, "{again}");
    insist(|| fs::create_dir_all(at("dir/a/b/c"))).await;
    assert!(at("dir/a/b/c").is_dir());
    insist(|| fs::write(at("one"), "1")).await;
    insist(|| fs::rename(at("one"), at("two"))).await;
    assert!(!exists("one") && exists("two"));
    insist(|| fs::write(at("three"), "333")).await;
    insist(|| fs::rename_exchange(at("two"), at("three"))).await;
    assert_eq!(insist(|| fs::read(at("three"))).await, b"1");
    let taken = fs::rename_no_replace(at("two"), at("three")).await.unwrap_err();
    assert!(is_passing(&taken) || taken.kind() == ErrorKind::AlreadyExists, "{taken}");
    insist(|| fs::rename_no_replace(at("two"), at("four"))).await;
    insist(|| fs::hard_link(at("four"), at("five"))).await;
    insist(|| fs::symlink("four", at("link"))).await;
    assert_eq!(insist(|| fs::read_link(at("link"))).await, Path::new("four"));
    let real = at("four").canonicalize().unwrap();
    assert_eq!(insist(|| fs::canonicalize(at("link"))).await, real);
    let about = insist(|| fs::metadata(at("link"))).await;
    assert_eq!((about.len(), about.nlink(), about.is_file()), (3, 2, true));
    assert!(insist(|| fs::symlink_metadata(at("link"))).await.is_symlink());
    assert!(insist(|| fs::exists(at("five"))).await);
    assert!(!insist(|| fs::exists(at("six"))).await);
    let mut permissions = about.permissions();
    permissions.set_readonly(true);
    insist(|| fs::set_permissions(at("five"), permissions.clone())).await;
    assert!(at("four").metadata().unwrap().permissions().readonly());

    let mut found = Vec::new();
    let mut entries = insist(|| fs::read_dir(&scratch.0)).await;
    while let Some(entry) = entries.next_entry().await.unwrap() {
        found.push(entry.file_name().to_str().unwrap().to_owned());
    }
    found.sort();
    assert_eq!(found, ["dir", "five", "four", "link", "three"]);
    let used = insist(|| fs::du(&scratch.0, DuOptions::default())).await;
    assert_eq!(used.files, 2, "{used:?}");

    insist(|| fs::remove_file(at("five"))).await;
    insist(|| fs::remove_file(at("link"))).await;
    assert!(exists("four") && !exists("five") && !exists("link"));
    insist(|| fs::remove_dir(at("dir/a/b/c"))).await;
    assert!(!exists("dir/a/b/c") && exists("dir/a/b"));
    insist(|| fs::remove_dir_all(at("dir"))).await;
    assert!(!exists("dir"));
    let missing = loop {
        let error = fs::remove_file(at("dir")).await.unwrap_err();
        if !is_passing(&error) {
            break error;
        }
    };
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
}

async fn open_files(scratch: &Scratch) {
    let path = scratch.file("open");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    // What was interrupted was not created.
    let file = insist(|| options.open(&path)).await;
    insist(|| file.set_len(9_000)).await;
    assert_eq!(insist(|| file.metadata()).await.len(), 9_000);
    insist(|| file.allocate(Allocate::Extend, 9_000, 1_000)).await;
    assert_eq!(path.metadata().unwrap().len(), 10_000);
    insist(|| file.advise(Advice::Sequential, ..)).await;
    insist(|| file.sync_range(SyncRange::Complete, 0..100)).await;
    insist(|| file.sync_data()).await;
    insist(|| file.sync_all()).await;
    let permissions = path.metadata().unwrap().permissions();
    insist(|| file.set_permissions(permissions.clone())).await;
    file.close().await.unwrap();
    let temp = insist(TempDir::new).await;
    assert!(temp.path().is_dir());
    let inside = temp.path().join("data");
    insist(|| fs::write(&inside, "7")).await;
    let gone = temp.path().to_owned();
    insist_once(temp.close().await);
    assert!(!gone.exists());
    let file = insist(fs::temp_file).await;
    file.write_all_at("temporary", 0).await.0.unwrap();
    drop(file);
}

fn insist_once<T>(result: io::Result<T>) {
    if let Err(error) = result {
        panic!("{error}");
    }
}
