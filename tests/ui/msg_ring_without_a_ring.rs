//! A doorbell that needs a ring does not go with a driver that has none.

use std::io;
use std::time::Instant;

use spargio::Runtime;
use spargio::ShardId;
use spargio::doorbell::{EventFd, MsgRing};
use spargio::driver::{Caps, Cqe, Driver, Sqe, SqFull};

struct Toy;

unsafe impl Driver for Toy {
    type Setup = ();

    fn open(_: &(), _: ShardId) -> io::Result<Self> {
        Ok(Self)
    }
    fn caps(&self) -> &Caps {
        unimplemented!()
    }
    fn now(&self) -> Instant {
        Instant::now()
    }
    unsafe fn push(&mut self, _: Sqe) -> Result<(), SqFull> {
        Ok(())
    }
    unsafe fn attempt(&mut self, _: &Sqe) -> Option<i32> {
        None
    }
    fn queued(&self) -> usize {
        0
    }
    fn flush(&mut self) -> io::Result<usize> {
        Ok(0)
    }
    fn park(&mut self, _: Option<Instant>) -> io::Result<()> {
        Ok(())
    }
    fn pending(&self) -> bool {
        false
    }
    fn drain(&mut self, _: impl FnMut(Cqe)) -> usize {
        0
    }
    fn enters(&self) -> u64 {
        0
    }
}

fn main() {
    // The setter refuses it,
    drop(Runtime::builder().driver::<Toy>(()).doorbell::<MsgRing>());
    // and so does `build` if the driver came last.
    drop(Runtime::builder().driver::<Toy>(()).build());
    // This one fits.
    drop(Runtime::builder().driver::<Toy>(()).doorbell::<EventFd>().build());
}
