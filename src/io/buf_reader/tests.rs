//! Memory, which cannot be seen from outside.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::{CAPACITY, KEPT};
use crate::io::{AsyncBufRead, AsyncBufReadExt, BufReader};

fn run<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("memory does not wait"),
    }
}

#[test]
fn memory_for_a_long_line_is_given_back_and_that_for_a_short_one_kept() {
    let mut text = vec![b'x'; 10 * KEPT];
    text.push(b'\n');
    text.extend_from_slice(b"short\n");
    let mut reader = BufReader::new(&text[..]);
    let mut line = Vec::new();
    run(reader.read_until(b'\n', &mut line)).unwrap();
    assert_eq!(line.len(), 10 * KEPT + 1);
    run(reader.read_until(b'\n', &mut line)).unwrap();
    assert!(reader.buffer().is_empty());
    assert!(reader.bytes.capacity() + reader.spare.capacity() <= 2 * KEPT, "{reader:?}");

    let mut reader = BufReader::new(&b"some\n"[..]);
    run(reader.fill_more()).unwrap();
    reader.consume(5);
    let kept = reader.bytes.as_ptr();
    run(reader.fill_more()).unwrap();
    let kept_now = [reader.bytes.as_ptr(), reader.spare.as_ptr()];
    assert!(kept_now.contains(&kept));
    assert!(reader.bytes.capacity() <= CAPACITY + 1);
}

#[test]
#[should_panic(expected = "3 bytes are taken from a buffer of 2")]
fn more_than_there_is_cannot_be_taken() {
    let mut reader = BufReader::new(&b"ab"[..]);
    run(reader.fill_more()).unwrap();
    reader.consume(3);
}
