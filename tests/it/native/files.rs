//! Reads, writes and names.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use spargio::fs::PathError;
use spargio::native::UnownedFd;

use super::{Dir, settle, start};
use crate::support::{elsewhere, watched};

#[test]
fn reads_and_writes_are_where_the_offset_says() {
    watched(|watch| {
        let (runtime, native) = start(watch, 2);
        let dir = Dir::new(watch);
        let path = dir.0.join("file");
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = Arc::new(file.unwrap());
        let work = async {
            let (written, back) = native.write_at(Arc::clone(&file), 3, vec![7u8; 5]).await;
            assert_eq!((written.unwrap(), back), (5, vec![7; 5]));
            native.fsync(Arc::clone(&file)).await.unwrap();
            assert_eq!(native.read_at(Arc::clone(&file), 2, 4).await.unwrap(), [0, 7, 7, 7]);
            let buf = Vec::with_capacity(64);
            let (read, buf) = native.read_at_into(Arc::clone(&file), 6, buf).await;
            assert_eq!((read.unwrap(), buf), (2, vec![7, 7]));
            assert_eq!(native.read_at(Arc::clone(&file), 8, 4).await.unwrap(), [0u8; 0]);
        };
        // On a thread without a runtime, and on one of the runtime.
        elsewhere(work);
        let (again, file) = (native.clone(), Arc::clone(&file));
        let task = runtime.handle().spawn_stealable(async move { again.read_at(file, 0, 3).await });
        assert_eq!(elsewhere(task.unwrap()).unwrap().unwrap(), [0; 3]);
        settle(&native);
    });
}

#[test]
fn descriptors_of_the_wrong_kind_are_errors_and_give_the_buffer_back() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        elsewhere(async {
            let dir = Arc::new(File::open(std::env::temp_dir()).unwrap());
            let error = native.read_at(Arc::clone(&dir), 0, 8).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
            let (read, buf) = native.read_at_into(Arc::clone(&dir), 0, vec![1u8, 2]).await;
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::IsADirectory);
            assert_eq!(buf, [1, 2]);
            let (written, buf) = native.write_at(Arc::clone(&dir), 0, "text").await;
            assert_eq!((written.unwrap_err().raw_os_error(), buf), (Some(libc::EBADF), "text"));
            let (sent, buf) = native.send(Arc::clone(&dir), "text").await;
            assert_eq!((sent.unwrap_err().raw_os_error(), buf), (Some(libc::ENOTSOCK), "text"));
            let error = native.recv(dir, 8).await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
        });
        settle(&native);
    });
}

#[test]
fn numbers_and_loans_that_live_for_ever_are_descriptors_too() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        let file = File::open(env!("CARGO_MANIFEST_PATH")).unwrap();
        let expected = fs::read(env!("CARGO_MANIFEST_PATH")).unwrap();
        elsewhere(async {
            // SAFETY: the file is open until the end of the test, which awaits the reads.
            let fd = unsafe { UnownedFd::new(file.as_raw_fd()) };
            assert_eq!(fd.as_fd().as_raw_fd(), file.as_raw_fd());
            assert_eq!(native.read_at(fd, 0, 9).await.unwrap(), expected[..9]);
            // SAFETY: as above.
            let fd = unsafe { BorrowedFd::borrow_raw(file.as_raw_fd()) };
            assert_eq!(native.read_at(fd, 1, 9).await.unwrap(), expected[1..10]);
        });
        settle(&native);
    });
}

#[test]
fn names_are_made_moved_and_removed_and_errors_say_which() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 2);
        let dir = Dir::new(watch);
        let path = |name: &str| dir.0.join(name);
        elsewhere(async {
            native.mkdir_at(path("dir"), 0o755).await.unwrap();
            fs::write(path("a"), "text").unwrap();
            native.rename_at(path("a"), path("dir/b")).await.unwrap();
            native.link_at(path("dir/b"), path("c")).await.unwrap();
            native.symlink_at("dir/b", path("d")).await.unwrap();
            assert!(!path("a").exists());
            assert_eq!(fs::read(path("c")).unwrap(), b"text");
            assert_eq!(fs::read(path("d")).unwrap(), b"text");

            let error = native.unlink_at(path("dir"), true).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::DirectoryNotEmpty);
            assert_eq!(PathError::of(&error).unwrap().path(), path("dir"));
            let error = native.rename_at(path("x"), path("y")).await.unwrap_err();
            assert_eq!(PathError::of(&error).unwrap().second_path(), Some(&*path("y")));
            let error = native.mkdir_at("a\0b", 0o755).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            let error = native.link_at("a", "b\0").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);

            for file in ["dir/b", "c", "d"] {
                native.unlink_at(path(file), false).await.unwrap();
            }
            native.unlink_at(path("dir"), true).await.unwrap();
            assert_eq!(fs::read_dir(&dir.0).unwrap().count(), 0);
        });
        settle(&native);
    });
}
