//! Tests of operations that answer many times, without the kernel.

use std::io::Read;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use super::{Mail, Many, Told};
use crate::Runtime;
use crate::driver::Sqe;
use crate::native::raw::Held;
use crate::native::{UringCqe, UringNativeAny};
use crate::op::{Operation, Outcome, Roster};
use crate::primitive::Arc;

#[test]
fn descriptors_for_a_reader_who_is_gone_are_closed_when_the_shard_goes() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let native = UringNativeAny::new_on(&runtime.handle()).unwrap();
    let each = |cqe: UringCqe| {
        // SAFETY: each answer below is the number of a descriptor that is nobody else's.
        cqe.check().map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
    };
    let mail = Arc::new(Mail::new(8, each));
    let home = native.select_shard(None).unwrap();
    let (sqe, told) = (Sqe::nop(), Told { mail: Arc::clone(&mail), home, last: None });
    let id = native.roster().name(home);
    let _listed = Roster::enter(native.roster(), id, sqe.opcode());
    let mut many = Many { _listed, _lease: None, _owned: Held::new(()), sqe, told };
    let mut peers = Vec::new();
    let mut come = |many: &mut Many<(), OwnedFd>| {
        let (own, peer) = UnixStream::pair().unwrap();
        peers.push(peer);
        many.more(Outcome { result: OwnedFd::from(own).into_raw_fd(), flags: 0 });
    };
    come(&mut many);
    mail.abandon();
    come(&mut many);
    assert!(many.lost().is_none(), "nobody waits");
    for (number, mut peer) in peers.into_iter().enumerate() {
        peer.set_nonblocking(true).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0, "connection {number} is closed");
    }
    // The operation is the kernel's for ever; here there is none.
    drop(many);
}
