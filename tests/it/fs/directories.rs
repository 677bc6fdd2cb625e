//! Directories, read entry by entry.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::Path;
use std::task::Poll;

use spargio::Runtime;
use spargio::fs::{self, FileType};

use super::{PLACES, Scratch, on_a_shard};

async fn list(path: &Path) -> BTreeMap<OsString, (u64, FileType)> {
    let mut entries = fs::read_dir(path).await.unwrap();
    let mut found = BTreeMap::new();
    while let Some(entry) = entries.next_entry().await.unwrap() {
        assert_eq!(entry.path(), path.join(entry.file_name()));
        let what = (entry.inode(), entry.entry_type());
        assert_eq!(found.insert(entry.into_file_name(), what), None, "an entry came twice");
    }
    assert!(entries.next_entry().await.unwrap().is_none(), "the end stays the end");
    found
}

#[test]
fn entries_are_those_of_the_standard_library() {
    for place in PLACES {
        let scratch = Scratch::within(place);
        let root = scratch.0.clone();
        on_a_shard(async move {
            assert!(list(&root).await.is_empty());
            for number in 0..3000 {
                std::fs::write(root.join(format!("file number {number}")), "").unwrap();
            }
            std::fs::create_dir(root.join("dir")).unwrap();
            std::os::unix::fs::symlink("dir", root.join("link")).unwrap();
            let found = list(&root).await;
            assert_eq!(found.len(), 3002);
            for entry in std::fs::read_dir(&root).unwrap() {
                let entry = entry.unwrap();
                let (inode, _) = found[&entry.file_name()];
                assert_eq!(inode, entry.ino());
            }
            assert_eq!(found[&OsString::from("dir")].1, FileType::Directory);
            assert_eq!(found[&OsString::from("link")].1, FileType::Symlink);
            assert_eq!(found[&OsString::from("file number 7")].1, FileType::File);

            let mut entries = fs::read_dir(&root).await.unwrap();
            let entry = entries.next_entry().await.unwrap().unwrap();
            let metadata = entry.metadata().await.unwrap();
            assert_eq!(metadata.ino(), std::fs::symlink_metadata(entry.path()).unwrap().ino());
            assert_eq!(entry.file_type().await.unwrap(), metadata.file_type());
        });
        drop(scratch);
    }
}

#[test]
fn a_small_directory_takes_one_job_and_a_file_is_none() {
    let scratch = Scratch::new();
    let root = scratch.0.clone();
    std::fs::write(root.join("file"), "").unwrap();
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let task = runtime.spawn_on(0, async move {
        assert_eq!(list(&root).await.len(), 1);
        let error = fs::read_dir(root.join("file")).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotADirectory);
    });
    runtime.block_on(task.unwrap()).unwrap();
    assert_eq!(runtime.handle().stats_snapshot().total().blocking_jobs, 1);
}

#[test]
fn a_dropped_wait_for_an_entry_loses_none() {
    let scratch = Scratch::new();
    let root = scratch.0.clone();
    on_a_shard(async move {
        for number in 0..5000 {
            std::fs::write(root.join(format!("a file with a long name, number {number}")), "")
                .unwrap();
        }
        // Whether a batch is there at the first look is the scheduler's choice: list until one was
        // waited for.
        let mut dropped = 0;
        while dropped == 0 {
            let mut entries = fs::read_dir(&root).await.unwrap();
            let mut count = 0;
            loop {
                let polled = super::poll_once(&mut Box::pin(entries.next_entry()));
                let entry = match polled {
                    Poll::Ready(entry) => entry,
                    Poll::Pending => {
                        dropped += 1;
                        entries.next_entry().await
                    }
                };
                if entry.unwrap().is_none() {
                    break;
                }
                count += 1;
            }
            assert_eq!(count, 5000);
        }
    });
}
