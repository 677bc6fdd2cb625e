//! Who owns memory and fds while the kernel works with them: nothing is freed, lost, doubled or
//! mixed up, whenever a future, a task, a shard or the whole runtime ends.

pub(crate) mod canary;
pub(crate) mod drops;
pub(crate) mod ends;
pub(crate) mod faults;
pub(crate) mod faulty;
pub(crate) mod limits;
pub(crate) mod numbers;
mod polls;
mod provided;

use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Runs the test in a process of its own, where nobody else opens and closes fds.
fn alone(name: &str, test: impl FnOnce()) {
    crate::support::alone(&format!("custody::{name}"), test);
}

/// How many fds this process has open.
pub(crate) fn open_fds() -> usize {
    // One of them is that of the directory.
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// Polls once and tells nobody of the wake.
fn poll_unheard<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls once in the task that awaits this.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

/// Connections between two sockets of the standard library: ours and the peer's.
pub(crate) fn connections(count: usize) -> Vec<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let connect = |_| {
        let peer = TcpStream::connect(addr).unwrap();
        peer.set_nodelay(true).unwrap();
        (listener.accept().unwrap().0, peer)
    };
    (0..count).map(connect).collect()
}

/// Numbers that look random and are the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
