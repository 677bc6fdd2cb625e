//! Tests of reads that take over what others gave up.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::Read;
use crate::net::socket::Socket;
use crate::net::stash::{Given, Left};
use crate::{Runtime, ToLane};

/// A receive that was given up and has brought these bytes.
struct Brought(&'static [u8]);

impl Given for Brought {
    fn poll(&mut self, _: &Waker) -> Poll<()> {
        Poll::Ready(())
    }

    fn take(&mut self, room: &mut [MaybeUninit<u8>]) -> (io::Result<usize>, Left) {
        room[..self.0.len()].write_copy_of_slice(self.0);
        (Ok(self.0.len()), Left::Nothing)
    }
}

fn socket(runtime: &Runtime) -> (Socket, UnixStream) {
    let (own, peer) = UnixStream::pair().unwrap();
    own.set_nonblocking(true).unwrap();
    (Socket::new(own.into(), runtime.handle().to_lane().0), peer)
}

#[test]
fn a_read_that_only_begins_leaves_what_was_given_up_where_it_is() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let (socket, _peer) = socket(&runtime);
    let mut cx = Context::from_waker(Waker::noop());
    let mut read = Read::later(&socket, vec![0; 8]);
    socket.stash.give(Box::new(Brought(b"early")));
    assert!(read.begin(&mut cx).is_pending());
    assert!(socket.stash.is_filled(), "it stays with the stream");
    drop(read);
    assert!(socket.stash.is_filled(), "also without the read");
    let mut read = Read::later(&socket, vec![0; 8]);
    let Poll::Ready((result, buf)) = Pin::new(&mut read).poll(&mut cx) else {
        panic!("the bytes are there");
    };
    assert_eq!((result.unwrap(), &buf[..5]), (5, &b"early"[..]));
}

#[test]
fn a_read_that_has_begun_takes_nothing_that_is_given_up_meanwhile() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let (socket, _peer) = socket(&runtime);
    let mut cx = Context::from_waker(Waker::noop());
    let mut read = Read::later(&socket, vec![0; 8]);
    assert!(read.begin(&mut cx).is_pending());
    socket.stash.give(Box::new(Brought(b"early")));
    assert!(read.begin(&mut cx).is_pending());
    assert!(socket.stash.is_filled());
}
