//! Numbers of fds that are used again while an operation on the old file was given up.

use std::fs::File as StdFile;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use spargio::fs::File;
use spargio::{Runtime, RuntimeHandle};

use super::canary::Graveyard;
use super::ends::Scratch;
use super::{alone, open_fds, poll_once, poll_unheard};
use crate::support::{SOON, Watch, elsewhere, wait_until, watched};

/// A copy of the file under this very number, as soon as it is free.
fn under_number(file: &impl AsRawFd, number: RawFd) -> OwnedFd {
    let began = Instant::now();
    loop {
        // SAFETY: the call makes an fd and takes no memory.
        let got = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, number) };
        assert!(got >= 0, "{}", io::Error::last_os_error());
        // SAFETY: the fd was just made for us.
        let got = unsafe { OwnedFd::from_raw_fd(got) };
        if got.as_raw_fd() == number {
            return got;
        }
        assert!(began.elapsed() < SOON, "number {number} does not become free");
    }
}

/// Where the operation is started and dropped.
#[derive(Clone, Copy, Debug)]
enum From {
    /// In a task of a shard.
    Task,
    /// In a task, with a turn of the shard between.
    TaskLater,
    /// On a thread of no runtime.
    Outside,
}

const FROM: [From; 3] = [From::Task, From::TaskLater, From::Outside];

/// Starts an operation on the file, gives both up, and returns the number that the file had.
fn start_and_drop(
    handle: &RuntimeHandle,
    (file, yard): (StdFile, &Graveyard),
    (from, is_write): (From, bool),
) -> RawFd {
    let number = file.as_raw_fd();
    let (file, yard) = (File::from_std_on(handle, file), yard.clone());
    if let From::Outside = from {
        if is_write {
            drop(poll_unheard(&mut file.write_at(yard.filled(&[0x66; 4096]), 0)));
        } else {
            drop(poll_unheard(&mut file.read_at(yard.buffer(4096), 0)));
        }
        return number;
    }
    let task = async move {
        let mut read = file.read_at(yard.buffer(4096), 0);
        let mut write = file.write_at(yard.filled(&[0x66; 4096]), 0);
        if is_write {
            drop(poll_once(&mut write).await);
        } else {
            drop(poll_once(&mut read).await);
        }
        if let From::TaskLater = from {
            spargio::yield_now().await;
        }
    };
    elsewhere(handle.spawn_pinned(0, task).unwrap()).unwrap();
    number
}

/// Rounds of an operation that is given up, with the number of its file used for another at once.
fn rounds(watch: &Watch, mut round: impl FnMut(&RuntimeHandle, &Graveyard, From)) {
    let before = open_fds();
    let runtime = watch.build(Runtime::builder().shards(1).ring_entries(8));
    let yard = Graveyard::default();
    for _ in 0..100 {
        for from in FROM {
            round(&runtime.handle(), &yard, from);
        }
    }
    wait_until("the buffers are let go", || yard.alive() == 0);
    yard.assert_at_rest();
    drop(runtime);
    assert_eq!(open_fds(), before);
}

#[test]
pub(crate) fn a_write_given_up_never_goes_to_the_next_file_of_its_number() {
    const NAME: &str = "numbers::a_write_given_up_never_goes_to_the_next_file_of_its_number";
    alone(NAME, || {
        watched(|watch| {
            let (old, new) = (Scratch::new(watch), Scratch::new(watch));
            rounds(watch, |handle, yard, from| {
                // Opened before, so that it does not get the number itself.
                let other = new.open();
                let number = start_and_drop(handle, (old.open(), yard), (from, true));
                let next = under_number(&other, number);
                // Everything that was started before has ended.
                wait_until("nothing is in flight", || yard.alive() == 0);
                drop(next);
                new.assert_unchanged();
            });
        });
    });
}

#[test]
pub(crate) fn a_write_that_waits_given_up_never_goes_to_the_next_pipe_of_its_number() {
    const NAME: &str =
        "numbers::a_write_that_waits_given_up_never_goes_to_the_next_pipe_of_its_number";
    alone(NAME, || {
        watched(|watch| {
            rounds(watch, |handle, yard, from| {
                let (mut old_reader, mut old) = io::pipe().unwrap();
                set_nonblocking(&old);
                while old.write(&[0x11; 4096]).is_ok() {}
                let old = StdFile::from(OwnedFd::from(old));
                let (mut reader, writer) = io::pipe().unwrap();
                set_nonblocking(&reader);
                let number = start_and_drop(handle, (old, yard), (from, true));
                let next = under_number(&writer, number);
                drop(old_reader.read(&mut [0; 4096]));
                wait_until("nothing is in flight", || yard.alive() == 0);
                let found = reader.read(&mut [0; 16]);
                assert_eq!(found.unwrap_err().kind(), io::ErrorKind::WouldBlock, "{from:?}");
                drop(next);
            });
        });
    });
}

#[test]
pub(crate) fn a_read_given_up_never_takes_from_the_next_pipe_of_its_number() {
    const NAME: &str = "numbers::a_read_given_up_never_takes_from_the_next_pipe_of_its_number";
    alone(NAME, || {
        watched(|watch| {
            rounds(watch, |handle, yard, from| {
                let (old, old_writer) = io::pipe().unwrap();
                let old = StdFile::from(OwnedFd::from(old));
                let (reader, mut writer) = io::pipe().unwrap();
                writer.write_all(b"mine").unwrap();
                let number = start_and_drop(handle, (old, yard), (from, false));
                let next = under_number(&reader, number);
                drop(old_writer);
                wait_until("nothing is in flight", || yard.alive() == 0);
                let mut found = [0; 16];
                assert_eq!(StdFile::from(next).read(&mut found).unwrap(), 4, "{from:?}");
                assert_eq!(&found[..4], b"mine");
            });
        });
    });
}

/// Message queues are flushed when they are closed, which a ring leaves to a kernel thread.
#[test]
fn a_file_whose_close_takes_time_is_closed_also_at_the_end() {
    const NAME: &str = "numbers::a_file_whose_close_takes_time_is_closed_also_at_the_end";
    alone(NAME, || {
        watched(|watch| {
            let before = open_fds();
            for round in 0..30u64 {
                let runtime = watch.build(Runtime::builder().shards(1).ring_entries(8));
                let handle = runtime.handle();
                let mut files = Vec::new();
                for _ in 0..8 {
                    let Some(queue) = message_queue(watch) else { return };
                    files.push(File::from_std_on(&handle, queue));
                }
                let task = handle.spawn_pinned(0, async move { drop(files) });
                if round % 2 == 0 {
                    elsewhere(task.unwrap()).unwrap();
                }
                drop(runtime);
                assert_eq!(open_fds(), before, "round {round}");
            }
        });
    });
}

/// A new message queue, or `None` where the system has none.
fn message_queue(watch: &Watch) -> Option<StdFile> {
    let name = format!("/spargio-{}-{}\0", std::process::id(), watch.number());
    let name = std::ffi::CStr::from_bytes_with_nul(name.as_bytes()).unwrap();
    let flags = libc::O_CREAT | libc::O_EXCL | libc::O_RDWR | libc::O_CLOEXEC;
    let attr = std::ptr::null_mut::<libc::mq_attr>();
    // SAFETY: the name ends with a NUL byte; without attributes the system takes its own.
    let fd = unsafe { libc::mq_open(name.as_ptr(), flags, 0o600 as libc::mode_t, attr) };
    if fd < 0 {
        return None;
    }
    // SAFETY: as above.
    unsafe { libc::mq_unlink(name.as_ptr()) };
    // SAFETY: the fd was just made for us.
    Some(unsafe { StdFile::from_raw_fd(fd) })
}

fn set_nonblocking(file: &impl AsRawFd) {
    // SAFETY: the call takes no memory.
    let set = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// The close of a file is asked for by the ring and not waited for; it must not take long.
#[test]
fn a_dropped_file_is_closed_soon() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let handle = runtime.handle();
        for _ in 0..20 {
            let (mut reader, writer) = io::pipe().unwrap();
            let file = File::from_std_on(&handle, StdFile::from(OwnedFd::from(writer)));
            let task = async move { drop(file) };
            drop(handle.spawn_pinned(0, task).unwrap());
            let began = Instant::now();
            assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
            assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        }
    });
}
