//! Datagrams that are lost are counted, not waited for.

use std::collections::VecDeque;
use std::future::{pending, ready};
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;

use smol::future::{block_on, yield_now};

use super::{LOOPBACK, Tally, receive, send, watched};
use crate::measure::Wrong;
use crate::runtimes::{Datagram, frame};
use crate::workloads::net::pattern::Pattern;

const SIZE: usize = 64;

/// Returns what is sent to it, except for those of these places.
#[derive(Default)]
struct Lossy {
    lost: &'static [u64],
    sent: Mutex<(u64, VecDeque<Vec<u8>>)>,
}

impl Datagram for Lossy {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(LOOPBACK)
    }

    fn connect(&self, _addr: SocketAddr) -> impl Future<Output = io::Result<()>> + Send {
        ready(Ok(()))
    }

    async fn send(&self, buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let (count, queue) = &mut *self.sent.lock().unwrap();
        if !self.lost.contains(count) {
            queue.push_back(buf.clone());
        }
        *count += 1;
        (Ok(buf.len()), buf)
    }

    async fn recv(&self, _buf: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        let received = self.sent.lock().unwrap().1.pop_front();
        match received {
            Some(received) => (Ok(received.len()), received),
            None => pending().await,
        }
    }
}

/// A window of eight over such a socket.
fn window(lost: &'static [u64]) -> Result<(), Wrong> {
    let socket = Lossy { lost, ..Lossy::default() };
    let tally = Tally::default();
    let (mut outgoing, mut incoming) = (frame(SIZE, 0), frame(SIZE, 0));
    let work = async {
        send(&socket, Pattern::of(3), &mut outgoing, 0..8, &tally).await?;
        receive(&socket, Pattern::of(3), &mut incoming, 0..8, &tally).await
    };
    block_on(watched(yield_now, &tally, work))
}

#[test]
fn a_window_that_comes_back_whole_is_right() {
    assert!(window(&[]).is_ok());
}

#[test]
fn datagrams_lost_before_others_are_counted() {
    let Err(Wrong(what)) = window(&[2, 5, 6]) else { panic!("three datagrams were lost") };
    assert_eq!(what, "3 datagrams of a window are lost");
}

#[test]
fn datagrams_lost_at_the_end_are_not_waited_for() {
    let Err(Wrong(what)) = window(&[6, 7]) else { panic!("two datagrams were lost") };
    assert!(what.starts_with("2 datagrams did not come back"), "{what}");
}
