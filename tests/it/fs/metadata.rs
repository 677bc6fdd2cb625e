//! Metadata, beside that of the standard library.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use spargio::Runtime;
use spargio::fs::{self, FileType, Metadata};

use super::{PLACES, Scratch, on_a_shard};

fn assert_same(ours: &Metadata, theirs: &std::fs::Metadata, path: &Path) {
    let numbers = |m: &Metadata| {
        let times = [m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()];
        let sizes = [m.len(), m.size(), m.blocks(), m.blksize()];
        let ids = [m.dev(), m.ino(), m.nlink(), m.rdev()];
        (times, sizes, ids, [m.mode(), m.uid(), m.gid()])
    };
    let converted = Metadata::from(theirs.clone());
    assert_eq!(numbers(ours), numbers(&converted), "{path:?}");
    assert_eq!(ours.dev(), theirs.dev(), "{path:?}");
    assert_eq!(ours.ino(), theirs.ino(), "{path:?}");
    assert_eq!(ours.permissions(), theirs.permissions(), "{path:?}");
    assert_eq!(ours.modified().unwrap(), theirs.modified().unwrap(), "{path:?}");
    assert_eq!(ours.created().ok(), theirs.created().ok(), "{path:?}");
    assert_eq!(ours.is_dir(), theirs.is_dir(), "{path:?}");
    assert_eq!(ours.is_file(), theirs.is_file(), "{path:?}");
    assert_eq!(ours.is_symlink(), theirs.is_symlink(), "{path:?}");
}

#[test]
fn metadata_is_that_of_the_standard_library() {
    for place in PLACES {
        let scratch = Scratch::within(place);
        let root = scratch.0.clone();
        on_a_shard(async move {
            std::fs::write(root.join("file"), vec![0; 10_000]).unwrap();
            std::fs::hard_link(root.join("file"), root.join("second")).unwrap();
            std::os::unix::fs::symlink("file", root.join("link")).unwrap();
            std::os::unix::fs::symlink("nowhere", root.join("broken")).unwrap();
            std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
            let paths = ["", "file", "second", "link", "socket", "."].map(|name| root.join(name));
            let system = ["/", "/dev/null", "/dev/shm", "/proc/self/status", "/etc"];
            for path in paths.iter().map(|path| path.as_path()).chain(system.map(Path::new)) {
                // Each several times: what is in memory takes another way than what is not.
                for _ in 0..3 {
                    let ours = fs::metadata(path).await.unwrap();
                    assert_same(&ours, &path.metadata().unwrap(), path);
                    let ours = fs::symlink_metadata(path).await.unwrap();
                    assert_same(&ours, &path.symlink_metadata().unwrap(), path);
                }
            }
            assert!(fs::exists(root.join("link")).await.unwrap());
            assert!(!fs::exists(root.join("broken")).await.unwrap());
            assert!(fs::symlink_metadata(root.join("broken")).await.unwrap().is_symlink());
            assert!(fs::exists(root.join("file/below")).await.is_err(), "not a directory");

            let types = [("socket", FileType::Socket), ("file", FileType::File)];
            for (name, file_type) in types {
                assert_eq!(fs::metadata(root.join(name)).await.unwrap().file_type(), file_type);
            }
        });
        drop(scratch);
    }
}

#[test]
fn metadata_that_changed_is_not_old() {
    for place in PLACES {
        let scratch = Scratch::within(place);
        let path = scratch.file("file");
        on_a_shard(async move {
            let file = fs::File::create(&path).await.unwrap();
            for len in 1..200 {
                file.set_len(len).await.unwrap();
                assert_eq!(file.metadata().await.unwrap().len(), len);
                assert_eq!(fs::metadata(&path).await.unwrap().len(), len);
            }
            std::fs::remove_file(&path).unwrap();
            assert!(!fs::exists(&path).await.unwrap());
            assert_eq!(file.metadata().await.unwrap().nlink(), 0);
            std::fs::write(&path, "").unwrap();
            assert!(fs::exists(&path).await.unwrap());
        });
        drop(scratch);
    }
}

#[test]
fn cached_metadata_needs_no_ring() {
    let scratch = Scratch::new();
    let path = scratch.file("file");
    std::fs::write(&path, "").unwrap();
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let at = path.clone();
    let task = runtime.spawn_on(0, async move {
        for _ in 0..100 {
            fs::metadata(&at).await.unwrap();
        }
    });
    runtime.block_on(task.unwrap()).unwrap();
    let stats = runtime.handle().stats_snapshot().total();
    assert!(stats.inline_completions >= 90, "{stats:?}");
    assert_eq!(stats.blocking_jobs, 0);
}

#[test]
fn a_batch_of_metadata_needs_no_ring_either() {
    let scratch = Scratch::new();
    let path = scratch.file("file");
    std::fs::write(&path, "").unwrap();
    on_a_shard(async move {
        fs::metadata(&path).await.unwrap();
        let file = fs::File::open(&path).await.unwrap();
        // As many as a poll may have.
        let mut all: Vec<_> = (0..16).map(|_| Box::pin(file.metadata())).collect();
        for one in &mut all {
            assert!(super::poll_once(one).is_ready(), "at the first poll");
        }
    });
}
