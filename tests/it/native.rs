//! The rings themselves, on real rings: who owns what, who is listed, and where it goes.

mod cancels;
mod extension;
mod files;
mod many;
mod place;
mod raw;
mod sockets;

use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::Poll;

use spargio::native::UringNativeAny;
use spargio::{Runtime, ShardId};

use crate::support::{Watch, wait_until};

/// A runtime of so many shards, and the way to its rings.
fn start(watch: &Watch, shards: usize) -> (Runtime, UringNativeAny) {
    let runtime = watch.build(Runtime::builder().shards(shards));
    let native = UringNativeAny::new_on(&runtime.handle()).unwrap();
    (runtime, native)
}

/// Polls once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

/// Waits until the kernel has let go of all operations.
#[track_caller]
fn settle(native: &UringNativeAny) {
    wait_until("no operation is active", || native.active_native_op_count() == 0);
    assert_eq!(native.active_native_ops(), []);
}

/// A directory of its own, which goes with the value.
struct Dir(PathBuf);

impl Dir {
    fn new(watch: &Watch) -> Self {
        let name = format!("spargio-native-{}-{}", std::process::id(), watch.number());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

const FIRST: ShardId = ShardId::new(0);
const SECOND: ShardId = ShardId::new(1);
