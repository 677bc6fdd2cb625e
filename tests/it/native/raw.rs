//! Entries of one's own with one answer.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use spargio::Runtime;
use spargio::driver::{Opcode, Sqe, sqe_flags};
use spargio::native::UringNativeAny;

use super::{Dir, SECOND, poll_once, settle, start};
use crate::support::{SOON, elsewhere, receive, wait_until, watched, yield_now};

/// Counts those that live.
struct Live(Arc<AtomicUsize>);

impl Live {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A read of a socket that nothing comes to, and what it owns.
fn stuck(
    native: &UringNativeAny,
    live: &Arc<AtomicUsize>,
    told: mpsc::Sender<i32>,
) -> (spargio::native::NativeOp<io::Result<i32>>, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    let owned = (near, [0u8; 8], Live::new(live));
    // SAFETY: descriptor and bytes are in what the operation owns, and so many bytes are there.
    let read = unsafe {
        native.submit_unsafe(
            owned,
            |(near, bytes, _)| Ok(Sqe::read(near.as_raw_fd(), bytes.as_mut_ptr(), 8, u64::MAX)),
            move |_, cqe| {
                told.send(cqe.result).unwrap();
                Ok(cqe.result)
            },
        )
    };
    (read, far)
}

#[test]
fn an_entry_that_does_nothing_answers_with_nothing_on_the_shard_that_was_named() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 2);
        // SAFETY: the entry names nothing.
        let nop = unsafe {
            native.submit_unsafe_on_shard(
                SECOND,
                String::from("kept"),
                |text| {
                    text.push('!');
                    Ok(Sqe::nop())
                },
                |text, cqe| Ok((text, cqe.check()?, cqe.has_more())),
            )
        };
        assert_eq!(nop.shard(), SECOND);
        assert_eq!(native.active_native_ops()[0].opcode, Opcode::NOP);
        assert_eq!(elsewhere(nop).unwrap(), ("kept!".into(), 0, false));
        settle(&native);
    });
}

#[test]
fn an_operation_keeps_what_it_owns_at_its_place_until_the_kernel_has_answered() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        let live = Arc::default();
        let (told, tell) = mpsc::channel();
        let (mut read, far) = stuck(&native, &live, told);
        elsewhere(async {
            assert!(poll_once(&mut read).await.is_pending());
            // What is given to a shard goes to its ring in turn.
            // SAFETY: the entry names nothing.
            let nop = unsafe { native.submit_unsafe((), |()| Ok(Sqe::nop()), |(), _| Ok(())) };
            nop.await.unwrap();
        });
        drop(read);
        // The closure hears of the answer also now.
        assert_eq!(receive(&tell, "the operation is cancelled"), -libc::ECANCELED);
        wait_until("what it owned is dropped", || live.load(Ordering::SeqCst) == 0);
        settle(&native);
        drop(far);
    });
}

#[test]
fn an_operation_that_was_never_polled_is_dropped_and_nothing_is_said() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        let live = Arc::default();
        let (told, tell) = mpsc::channel();
        let (read, _far) = stuck(&native, &live, told);
        assert_eq!((live.load(Ordering::SeqCst), native.active_native_op_count()), (1, 1));
        drop(read);
        assert_eq!((live.load(Ordering::SeqCst), native.active_native_op_count()), (0, 0));
        tell.recv_timeout(Duration::ZERO).unwrap_err();
    });
}

#[test]
fn a_runtime_ends_with_operations_in_flight_and_each_of_them_ends() {
    watched(|watch| {
        for shards in [1, 3] {
            let (runtime, native) = start(watch, shards);
            let live = Arc::default();
            let (told, tell) = mpsc::channel();
            let mut reads = Vec::new();
            let mut peers = Vec::new();
            elsewhere(async {
                for _ in 0..12 {
                    let (mut read, far) = stuck(&native, &live, told.clone());
                    assert!(poll_once(&mut read).await.is_pending());
                    reads.push(read);
                    peers.push(far);
                }
            });
            // Some are waited for, of some the future is gone.
            reads.truncate(6);
            let report = runtime.shutdown_timeout(SOON);
            assert_eq!(report.operations_leaked, 0, "{report:?}");
            for read in reads {
                let ended = elsewhere(read);
                let kind = ended.as_ref().map_err(io::Error::kind);
                assert!(
                    matches!(kind, Ok(&result) if result == -libc::ECANCELED)
                        || matches!(kind, Err(io::ErrorKind::BrokenPipe)),
                    "{ended:?}"
                );
            }
            drop(told);
            assert!(tell.iter().all(|result| result == -libc::ECANCELED));
            assert_eq!(live.load(Ordering::SeqCst), 0);
            settle(&native);
        }
    });
}

#[test]
fn a_descriptor_in_an_answer_that_nobody_takes_is_closed() {
    watched(|watch| {
        let (runtime, native) = start(watch, 1);
        let dir = Dir::new(watch);
        let file = dir.0.join("file");
        std::fs::write(&file, "").unwrap();
        let path = CString::new(file.to_str().unwrap()).unwrap();
        let (told, tell) = mpsc::channel();
        let task = runtime.handle().spawn_pinned(0, async move {
            for _ in 0..20 {
                // SAFETY: the descriptor in the answer is new and taken once.
                let opened = |fd: u32| unsafe { OwnedFd::from_raw_fd(fd as i32) };
                let told = told.clone();
                // SAFETY: the path is on the heap behind what the operation owns.
                let mut open = unsafe {
                    native.submit_unsafe(
                        path.clone(),
                        |path| Ok(Sqe::open_at(libc::AT_FDCWD, path.as_ptr(), libc::O_CLOEXEC, 0)),
                        move |_, cqe| {
                            told.send(cqe.result).unwrap();
                            cqe.check().map(opened)
                        },
                    )
                };
                assert!(poll_once(&mut open).await.is_pending());
                yield_now().await;
                drop(open);
            }
            native
        });
        let native = elsewhere(task.unwrap()).unwrap();
        settle(&native);
        assert!(tell.iter().any(|result| result >= 0), "some were opened before they were dropped");
        let is_open = |link: io::Result<std::fs::DirEntry>| {
            std::fs::read_link(link.unwrap().path()).is_ok_and(|path| path == file)
        };
        wait_until("all descriptors are closed", || {
            !std::fs::read_dir("/proc/self/fd").unwrap().any(is_open)
        });
    });
}

#[test]
fn flags_that_are_about_other_entries_or_leave_out_the_answer_are_refused() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        for flag in [sqe_flags::IO_LINK, sqe_flags::CQE_SKIP_SUCCESS, 1 << 0, 1 << 1, 1 << 3] {
            // SAFETY: the entry names nothing.
            let nop = unsafe {
                native.submit_unsafe((), |()| Ok(Sqe::nop().flags(flag)), |(), _| Ok(()))
            };
            let error = elsewhere(nop).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(&format!("{flag:#x}")), "{error}");
        }
        // SAFETY: the entry names nothing.
        let nop = unsafe {
            native.submit_unsafe(
                (),
                |()| Ok(Sqe::nop().flags(sqe_flags::ASYNC)),
                |(), cqe| cqe.check(),
            )
        };
        assert_eq!(elsewhere(nop).unwrap(), 0);
        settle(&native);
    });
}

#[test]
fn errors_of_the_closures_of_the_kernel_and_of_limits_reach_who_waits() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        let build = |_: &mut ()| Err(io::Error::other("no entry"));
        // SAFETY: there is no entry.
        let none = unsafe { native.submit_unsafe((), build, |(), cqe| cqe.check()) };
        assert_eq!(elsewhere(none).unwrap_err().to_string(), "no entry");
        // SAFETY: the entry names nothing.
        let nop = unsafe {
            native.submit_unsafe(
                (),
                |()| Ok(Sqe::nop()),
                |(), _| Err::<(), _>(io::Error::other("no output")),
            )
        };
        assert_eq!(elsewhere(nop).unwrap_err().to_string(), "no output");
        // SAFETY: the entry names nothing.
        let unknown = unsafe {
            let entry = Sqe::new(Opcode::new(255), -1);
            native.submit_unsafe((), move |()| Ok(entry), |(), cqe| cqe.check())
        };
        assert_eq!(elsewhere(unknown).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        // SAFETY: the entry names nothing.
        let nowhere = unsafe {
            native.submit_unsafe_on_shard(9, (), |()| Ok(Sqe::nop()), |(), cqe| cqe.check())
        };
        assert!(elsewhere(nowhere).unwrap_err().to_string().contains("no shard 9"));
        settle(&native);

        let builder = Runtime::builder().shards(1).max_operations(2);
        let runtime = watch.build(builder);
        let native = UringNativeAny::new_on(&runtime.handle()).unwrap();
        let live = Arc::default();
        let (told, _tell) = mpsc::channel();
        elsewhere(async {
            let mut reads = Vec::new();
            for _ in 0..2 {
                let (mut read, far) = stuck(&native, &live, told.clone());
                assert!(poll_once(&mut read).await.is_pending());
                reads.push((read, far));
            }
            let (third, _far) = stuck(&native, &live, told.clone());
            assert_eq!(third.await.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        });
        settle(&native);
    });
}

#[test]
fn a_zero_copy_send_answers_with_its_length_when_its_buffer_is_free() {
    watched(|watch| {
        let (_runtime, native) = start(watch, 1);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        // SAFETY: descriptor and bytes are owned, the bytes on the heap, and so many are there.
        let send = unsafe {
            native.submit_unsafe(
                (near, vec![5u8; 20_000]),
                |(near, bytes)| {
                    let fd = near.as_raw_fd();
                    let plain = Sqe::send(fd, bytes.as_ptr(), 20_000, libc::MSG_WAITALL);
                    Ok(Sqe { opcode: Opcode::SEND_ZC.get(), ..plain })
                },
                |_, cqe| cqe.check(),
            )
        };
        assert_eq!(elsewhere(send).unwrap(), 20_000);
        let mut got = Vec::new();
        io::Read::read_to_end(&mut far, &mut got).unwrap();
        assert_eq!(got, [5; 20_000]);
        settle(&native);
    });
}
