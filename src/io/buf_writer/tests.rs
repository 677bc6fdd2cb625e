//! Memory, which cannot be seen from outside.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::KEPT;
use crate::io::{AsyncWrite, BufWriter, sink};

fn run<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nowhere does not wait"),
    }
}

#[test]
fn memory_for_a_long_frame_is_given_back_and_that_for_a_short_one_used_again() {
    let mut writer = BufWriter::new(sink());
    let long = vec![0; 10 * KEPT];
    writer
        .push(|to| {
            to.extend_from_slice(&long);
            Ok(())
        })
        .unwrap();
    run(writer.flush()).unwrap();
    assert_eq!(writer.bytes.capacity(), 0);

    run(writer.write_all("short")).0.unwrap();
    let before = writer.bytes.as_ptr();
    run(writer.flush()).unwrap();
    run(writer.write_all("short")).0.unwrap();
    assert_eq!(writer.bytes.as_ptr(), before);
}
