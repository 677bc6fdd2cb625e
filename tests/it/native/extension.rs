//! What is built on entries of one's own.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};

use spargio::extension::fs::{
    StatxMetadata, StatxOptions, read_dir_entries, statx, statx_on_shard, statx_or_metadata,
};
use spargio::fs::{DirEntryType, PathError};

use super::{Dir, SECOND, settle, start};
use crate::support::{elsewhere, watched};

fn same(found: &StatxMetadata, std: &fs::Metadata) {
    assert_eq!(u32::from(found.mode), std.mode());
    assert_eq!((found.ino, found.nlink, found.dev), (std.ino(), std.nlink(), std.dev()));
    assert_eq!((found.uid, found.gid, found.rdev), (std.uid(), std.gid(), std.rdev()));
    assert_eq!((found.size, found.blocks), (std.size(), std.blocks()));
    assert_eq!(found.blksize, std.blksize());
    assert_eq!((found.atime_sec, found.mtime_sec), (std.atime(), std.mtime()));
    assert_eq!(found.ctime_sec, std.ctime());
    assert_eq!(found.is_dir(), std.is_dir());
    assert_eq!(found.is_file(), std.is_file());
    assert_eq!(found.is_symlink(), std.is_symlink());
}

#[test]
fn statx_says_what_the_standard_library_says() {
    watched(|watch| {
        let (runtime, native) = start(watch, 2);
        let dir = Dir::new(watch);
        let (file, link) = (dir.0.join("file"), dir.0.join("link"));
        fs::write(&file, "twelve bytes").unwrap();
        symlink("file", &link).unwrap();
        elsewhere(async {
            let null = std::path::PathBuf::from("/dev/null");
            for path in [&dir.0, &file, &link, &null] {
                let std = fs::metadata(path).unwrap();
                same(&statx(&native, path).await.unwrap(), &std);
                same(&statx_or_metadata(&runtime.handle(), path).await.unwrap(), &std);
                same(&StatxMetadata::from(&std), &std);
            }
            let own = StatxOptions::new().flags(libc::AT_SYMLINK_NOFOLLOW);
            let found = statx_on_shard(&native, SECOND, &link, own).await.unwrap();
            same(&found, &fs::symlink_metadata(&link).unwrap());
            let size = StatxOptions::new().mask(libc::STATX_SIZE);
            let found = statx_on_shard(&native, SECOND, &file, size).await.unwrap();
            assert_eq!(found.size, 12);
        });
        settle(&native);
    });
}

#[test]
fn errors_of_statx_name_the_path_and_the_shard() {
    watched(|watch| {
        let (runtime, native) = start(watch, 2);
        elsewhere(async {
            let error = statx(&native, "/no/such/path").await.unwrap_err();
            assert_eq!(PathError::of(&error).unwrap().path().to_str(), Some("/no/such/path"));
            let error = statx_or_metadata(&runtime.handle(), "/no/such/path").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            let error = statx(&native, "a\0b").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            let options = StatxOptions::default();
            let error = statx_on_shard(&native, 2, "/", options).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        });
        settle(&native);
    });
}

#[test]
fn entries_come_in_the_order_of_their_names() {
    watched(|watch| {
        let (runtime, _native) = start(watch, 1);
        let dir = Dir::new(watch);
        for name in ["b", "a", "c"] {
            File::create(dir.0.join(name)).unwrap();
        }
        fs::create_dir(dir.0.join("d")).unwrap();
        symlink("a", dir.0.join("e")).unwrap();
        elsewhere(async {
            let entries = read_dir_entries(&runtime.handle(), &dir.0).await.unwrap();
            let found: Vec<_> =
                entries.iter().map(|it| (it.file_name.to_str().unwrap(), it.entry_type)).collect();
            let file = DirEntryType::File;
            let expected = [
                ("a", file),
                ("b", file),
                ("c", file),
                ("d", DirEntryType::Directory),
                ("e", DirEntryType::Symlink),
            ];
            assert_eq!(found, expected);
            assert_eq!(entries[0].inode, fs::metadata(dir.0.join("a")).unwrap().ino());
            let error = read_dir_entries(&runtime.handle(), dir.0.join("a")).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        });
    });
}
