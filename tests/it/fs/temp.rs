//! Files and directories that do not stay.

use std::os::unix::fs::MetadataExt;

use spargio::fs::{self, Fs, TempDir};
use spargio::{RuntimeHandle, ShardCtx};

use super::{Scratch, on_a_shard, until};

fn disk() -> Fs {
    let _on_a_shard: ShardCtx = ShardCtx::current().unwrap();
    fs::on(&RuntimeHandle::current().unwrap())
}

#[test]
fn a_nameless_file_leaves_nothing() {
    on_a_shard(async {
        let file = fs::temp_file().await.unwrap();
        file.write_all_at("scratch", 0).await.0.unwrap();
        assert_eq!(file.read_to_string_at(0).await.unwrap(), "scratch");
        let metadata = file.metadata().await.unwrap();
        assert_eq!((metadata.nlink(), metadata.mode() & 0o777), (0, 0o600));
    });
}

#[test]
fn named_files_are_removed_kept_or_given_a_name() {
    let scratch = Scratch::new();
    let root = scratch.0.clone();
    on_a_shard(async move {
        let disk = disk();
        let temp = disk.temp_file_in(&root).await.unwrap();
        assert_eq!(temp.path().metadata().unwrap().mode() & 0o777, 0o600);
        let path = temp.path().to_owned();
        drop(temp);
        until("a dropped file is removed", || !path.exists()).await;

        let temp = disk.temp_file_in(&root).await.unwrap();
        let path = temp.path().to_owned();
        temp.close().await.unwrap();
        assert!(!path.exists());

        let temp = disk.temp_file_in(&root).await.unwrap();
        temp.file().write_all_at("complete", 0).await.0.unwrap();
        let file = temp.persist(root.join("name")).await.unwrap();
        assert_eq!(std::fs::read(root.join("name")).unwrap(), b"complete");
        assert_eq!(file.metadata().await.unwrap().nlink(), 1);

        let temp = disk.temp_file_in(&root).await.unwrap();
        let error = temp.persist(root.join("none/name")).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        let (_file, kept) = disk.temp_file_in(&root).await.unwrap().keep();
        let names = || std::fs::read_dir(&root).unwrap().count();
        until("what has no name is removed", || names() == 2).await;
        assert!(kept.exists());
        let error = disk.temp_file_in(root.join("none")).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    });
}

#[test]
fn directories_are_removed_with_all_that_is_in_them() {
    on_a_shard(async {
        let dir = TempDir::new().await.unwrap();
        assert_eq!(dir.path().metadata().unwrap().mode() & 0o777, 0o700);
        fs::create_dir_all(dir.path().join("a/b")).await.unwrap();
        fs::write(dir.path().join("a/b/file"), "text").await.unwrap();
        let path = dir.path().to_owned();
        drop(dir);
        until("a dropped directory is removed", || !path.exists()).await;

        let dir = TempDir::new().await.unwrap();
        let path = dir.path().to_owned();
        // Dropped in the middle, it goes on.
        drop(super::poll_once(&mut Box::pin(dir.close())));
        until("a directory whose close was dropped is removed", || !path.exists()).await;

        let kept = TempDir::new().await.unwrap().keep();
        assert!(kept.is_dir());
        fs::remove_dir(&kept).await.unwrap();
    });
}
