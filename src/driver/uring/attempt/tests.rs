//! Direct calls: what they finish, and that what they leave is untouched.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};

use crate::driver::Sqe;
use crate::driver::opcode::{Opcode, ioprio, sqe_flags};
use crate::driver::uring::attempt::attempt;

/// No file of this process has this number.
const NO_FD: RawFd = i32::MAX;

fn try_now(sqe: Sqe) -> Option<i32> {
    // SAFETY: each test keeps the memory of its entry until this returns.
    unsafe { attempt(&sqe) }
}

fn recv(fd: RawFd, to: &mut [u8], flags: i32) -> Sqe {
    Sqe::recv(fd, to.as_mut_ptr(), to.len() as u32, flags)
}

fn send(fd: RawFd, from: &[u8], flags: i32) -> Sqe {
    Sqe::send(fd, from.as_ptr(), from.len() as u32, flags)
}

/// A file on the disk of the build, whose content is in the page cache.
fn cached_file(content: &[u8]) -> File {
    let file = std::env::current_exe().unwrap();
    let name = format!(".attempt-{}-{:?}", std::process::id(), std::thread::current().id());
    let path = file.with_file_name(name);
    let mut options = File::options();
    let mut file = options.read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(content).unwrap();
    file
}

#[test]
fn o5_a_cached_read_is_finished_at_its_offset() {
    let file = cached_file(b"0123456789");
    let mut to = [0u8; 4];
    let read = |to: &mut [u8], offset| {
        try_now(Sqe::read(file.as_raw_fd(), to.as_mut_ptr(), to.len() as u32, offset))
    };
    match read(&mut to, 3) {
        Some(4) => assert_eq!(&to, b"3456"),
        // A file system may know no reads that do not wait.
        None => return,
        other => panic!("{other:?}"),
    }
    assert_eq!(read(&mut to, 8), Some(2), "short at the end");
    assert_eq!(read(&mut to, 10), Some(0), "the end");
    assert_eq!(read(&mut to, u64::MAX), None, "the file's own cursor");
    assert_eq!(read(&mut to, 1 << 63), None, "no offset of a file");
}

#[test]
fn o5_a_read_with_an_offset_of_what_has_none_is_left() {
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(b"x").unwrap();
    let mut to = [0u8; 4];
    assert_eq!(try_now(Sqe::read(near.as_raw_fd(), to.as_mut_ptr(), 4, 0)), None);
    assert_eq!((&near).read(&mut to).unwrap(), 1, "it had no effect");
}

#[test]
fn o5_a_receive_is_finished_when_there_is_something() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut to = [0u8; 4];
    assert_eq!(try_now(recv(near.as_raw_fd(), &mut to, 0)), None);
    far.write_all(b"abcdef").unwrap();
    assert_eq!(try_now(recv(near.as_raw_fd(), &mut to, libc::MSG_PEEK)), Some(4));
    assert_eq!(try_now(recv(near.as_raw_fd(), &mut to, 0)), Some(4));
    assert_eq!(&to, b"abcd");
    assert_eq!(try_now(recv(near.as_raw_fd(), &mut to, 0)), Some(2));
    drop(far);
    assert_eq!(try_now(recv(near.as_raw_fd(), &mut to, 0)), Some(0), "the end");
}

#[test]
fn o5_a_receive_that_wants_all_is_left_with_its_bytes() {
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(b"ab").unwrap();
    let mut to = [0u8; 4];
    assert_eq!(try_now(recv(near.as_raw_fd(), &mut to, libc::MSG_WAITALL)), None);
    assert_eq!(try_now(recv(near.as_raw_fd(), &mut to, 0)), Some(2));
    assert_eq!(&to[..2], b"ab");
}

#[test]
fn o5_a_send_is_finished_as_far_as_there_is_room() {
    let (near, far) = UnixStream::pair().unwrap();
    let all = vec![7u8; 8 << 20];
    assert_eq!(try_now(send(near.as_raw_fd(), &all, libc::MSG_WAITALL)), None);
    assert_eq!(try_now(send(near.as_raw_fd(), &all, libc::MSG_ZEROCOPY)), None);
    far.set_nonblocking(true).unwrap();
    let nothing = (&far).read(&mut [0u8; 1]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock, "what was left had an effect");
    let sent = try_now(send(near.as_raw_fd(), &all, 0)).unwrap();
    assert!(sent > 0 && (sent as usize) < all.len(), "{sent}");
    assert_eq!(try_now(send(near.as_raw_fd(), &all, 0)), None, "no room");
    let mut arrived = 0;
    let mut to = vec![0u8; 1 << 20];
    while let Ok(count) = (&far).read(&mut to) {
        arrived += count;
    }
    assert_eq!(arrived, sent as usize);
}

#[test]
fn o5_an_error_of_the_operation_is_its_result() {
    let mut to = [0u8; 4];
    assert_eq!(try_now(recv(NO_FD, &mut to, 0)), Some(-libc::EBADF));
    assert_eq!(try_now(send(NO_FD, b"x", 0)), Some(-libc::EBADF));
    assert_eq!(try_now(Sqe::read(NO_FD, to.as_mut_ptr(), 4, 0)), Some(-libc::EBADF));
    let (near, far) = UnixStream::pair().unwrap();
    drop(far);
    assert_eq!(try_now(send(near.as_raw_fd(), b"x", 0)), Some(-libc::EPIPE), "and no signal");
}

#[test]
fn o5_a_datagram_comes_whole_or_not_at_all() {
    let (near, far) = UnixDatagram::pair().unwrap();
    let mut to = [0u8; 8];
    assert_eq!(try_now(recv(near.as_raw_fd(), &mut to, 0)), None);
    far.send(b"").unwrap();
    far.send(b"second").unwrap();
    assert_eq!(try_now(recv(near.as_raw_fd(), &mut to, 0)), Some(0));
    assert_eq!(try_now(recv(near.as_raw_fd(), &mut to, 0)), Some(6));
}

#[test]
fn o5_what_asks_for_more_than_the_operation_is_left() {
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(b"x").unwrap();
    let mut to = [0u8; 4];
    let plain = recv(near.as_raw_fd(), &mut to, 0);
    let asked = [
        plain.flags(sqe_flags::IO_LINK),
        plain.flags(sqe_flags::ASYNC),
        plain.flags(sqe_flags::BUFFER_SELECT),
        Sqe { ioprio: ioprio::RECV_MULTISHOT, ..plain },
        Sqe { buf_index: 1, ..plain },
        Sqe { personality: 1, ..plain },
        Sqe { op_flags: libc::MSG_OOB as u32, ..plain },
        Sqe { off: 1, ..plain },
    ];
    for sqe in asked {
        assert_eq!(try_now(sqe), None, "{sqe:?}");
    }
    assert_eq!(try_now(plain), Some(1), "none of them had an effect");
}

#[test]
fn o5_what_could_block_or_cannot_be_undone_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let fd = peer.as_raw_fd();
    let left = [
        Sqe::accept(listener.as_raw_fd(), 0),
        Sqe::accept_multi(listener.as_raw_fd(), 0),
        Sqe::close(fd),
        Sqe::fsync(fd, false),
        Sqe::shutdown(fd, libc::SHUT_RDWR),
        Sqe::nop(),
        Sqe::new(Opcode::new(200), fd),
    ];
    for sqe in left {
        assert_eq!(try_now(sqe), None, "{sqe:?}");
    }
    let (accepted, _) = listener.accept().unwrap();
    assert_eq!(try_now(send(fd, b"open", 0)), Some(4));
    let mut to = [0u8; 4];
    (&accepted).read_exact(&mut to).unwrap();
    assert_eq!(&to, b"open");
}
