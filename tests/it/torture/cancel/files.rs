//! Operations on files and names.

use std::io;

use spargio::IoBuf as _;
use spargio::fs::{self, File, OpenOptions};

use super::super::fs::Scratch;
use super::super::knobs::Kind;
use super::super::{Ground, UNKIND, torment};
use super::dropped;

/// Operations on files, each until it is faster.
async fn files(scratch: &Scratch, ground: &Ground, late: bool) {
    /// Drops what the block makes after no poll, one poll ... and gives what it gave in the end.
    macro_rules! until_faster {
        ($make:expr) => {{
            let mut times = 0;
            loop {
                if let Some(output) = dropped(times, late, $make).await {
                    break output;
                }
                times += 1;
            }
        }};
    }
    const LEN: usize = 2_000;
    let data = ground.dice().bytes(LEN);
    let path = scratch.file("data");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    let file = until_faster!(options.open(&path)).unwrap();
    until_faster!(file.write_all_at(ground.yard.filled(&data), 0)).0.unwrap();
    assert!(std::fs::read(&path).unwrap() == data, "written in the end");
    let (result, buf) = until_faster!(file.read_exact_at(ground.yard.buffer(LEN), 0));
    result.unwrap();
    assert!(*buf.as_init() == data[..], "read in the end");
    let parts = || vec![ground.yard.buffer(10), ground.yard.buffer(20)];
    let (result, parts) = until_faster!(file.read_vectored_at(parts(), 5));
    let count = result.unwrap();
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.as_init().to_vec()).collect();
    assert_eq!(bytes[..count], data[5..5 + count]);
    let (result, all) = until_faster!(file.read_to_end_at(Vec::new(), 3));
    assert_eq!((result.unwrap(), &all[..]), (LEN - 3, &data[3..]));
    until_faster!(file.sync_all()).unwrap();
    until_faster!(file.set_len(LEN as u64)).unwrap();
    assert_eq!(until_faster!(file.metadata()).unwrap().len(), LEN as u64);

    // A read that was dropped has not moved the cursor.
    let mut cursor = file.cursor();
    let mut at = 0;
    for times in (0..3).cycle() {
        let read = dropped(times, late, cursor.read(ground.yard.buffer(100))).await;
        let Some((result, buf)) = read else {
            assert_eq!(cursor.position(), at as u64);
            continue;
        };
        let count = result.unwrap();
        assert_eq!(buf.as_init()[..count], data[at..at + count]);
        at += count;
        if count == 0 {
            break;
        }
    }
    assert_eq!(at, LEN);
    drop(cursor);

    // Nor does a chunk that nobody waited for leave a gap.
    let file = until_faster!(File::open(&path)).unwrap();
    let mut ahead = until_faster!(file.read_ahead(0)).unwrap().chunk(90).depth(4);
    let mut at = 0;
    for times in (0..3).cycle() {
        match dropped(times, late, ahead.next()).await {
            Some(Ok(None)) => break,
            Some(Ok(Some(chunk))) => {
                assert!(chunk[..] == data[at..at + chunk.len()], "{} at {at}", chunk.len());
                at += chunk.len();
            }
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    assert_eq!(at, LEN);
    drop(ahead);
    until_faster!(file.metadata()).unwrap();
    drop(file);

    let (other, dir) = (scratch.file("other"), scratch.file("a/b/c"));
    until_faster!(fs::write(&other, data.clone())).unwrap();
    assert!(until_faster!(fs::read(&other)).unwrap() == data, "the whole file");
    until_faster!(fs::copy(&path, &other)).unwrap();
    until_faster!(fs::metadata(&other)).unwrap();
    assert!(until_faster!(fs::exists(&other)).unwrap());
    until_faster!(fs::create_dir_all(&dir)).unwrap();
    let mut entries = until_faster!(fs::read_dir(&scratch.0)).unwrap();
    let mut found = 0;
    while until_faster!(entries.next_entry()).unwrap().is_some() {
        found += 1;
    }
    assert_eq!(found, 3);
    until_faster!(fs::remove_dir_all(scratch.file("a"))).unwrap_or_else(gone);
    until_faster!(fs::rename(&path, scratch.file("new"))).unwrap_or_else(gone);
    until_faster!(fs::remove_file(&other)).unwrap_or_else(gone);
    drop(until_faster!(fs::temp_file()).unwrap());
    drop(until_faster!(fs::TempDir::new()).unwrap());
}

/// One that was dropped may have been carried out, and then the next finds nothing.
fn gone(error: io::Error) {
    assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
}

#[test]
fn operations_on_files_are_dropped_at_every_await() {
    const NAME: &str = "cancel::files::operations_on_files_are_dropped_at_every_await";
    const BITES: &[Kind] = &[Kind::Short, Kind::Declined, Kind::Delayed, Kind::LateCancel];
    torment(NAME, UNKIND, BITES, |ground| async move {
        for late in [false, true] {
            let scratch = Scratch::new(ground.seed);
            files(&scratch, &ground, late).await;
            spargio::yield_now().await;
        }
    });
}
