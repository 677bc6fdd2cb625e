//! Readers, writers and what is built of them: right when every read and write moves a byte or two,
//! is interrupted, fails in the middle, or has its future dropped.

mod copies;
mod frames;
mod pipes;
mod polls;
mod readers;
mod sockets;
mod torture;
mod writers;

use std::future::Future;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use spargio::Runtime;

use crate::support::watched;

/// Polls a future that is never waiting for anything but its next poll.
#[track_caller]
fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..10_000_000 {
        if let Poll::Ready(output) = poll(future.as_mut()) {
            return output;
        }
    }
    panic!("the future goes on for ever");
}

/// Polls a future at most so often, and drops it if it is not ready then.
fn run_for<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    (0..polls).find_map(|_| match poll(future.as_mut()) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs a future as a task of a runtime with two shards.
#[track_caller]
fn on_shards<F>(future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    watched(move |watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let task = runtime.handle().spawn_stealable(future).unwrap();
        runtime.block_on(task).unwrap();
    });
}

/// How many bytes wait in a pipe or a socket to be read.
fn waiting_bytes(fd: &impl AsFd) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY:
    // - the request writes one `int`, which lives until the call returns.
    let asked = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut count) };
    assert_eq!(asked, 0);
    count as usize
}
