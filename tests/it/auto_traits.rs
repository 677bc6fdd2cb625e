//! What may cross threads: pinned, because an auto trait changes without anybody writing it.

use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::io;
use std::rc::Rc;

use spargio::doorbell::{EventFd, EventFdRinger, MsgRing, MsgRingRinger};
use spargio::driver::{
    Caps, Class, Cqe, Opcode, RefusalReason, SqFull, Sqe, Token, Uring, UringRefused, UringSetup,
};
use spargio::net::{RecvBuf, RecvStream};
use spargio::placement::{LeastLoaded, Load, Loads, RoundRobin, Wish};
use spargio::queue::{
    ChaseLev, ChaseLevLocal, ChaseLevShared, MutexLocal, MutexQueue, MutexShared, QueueOptions,
    Stolen,
};
use spargio::{
    AbortHandle, BuildError, Event, IoBuf, JoinError, JoinHandle, LocalJoinHandle, Native,
    NextEvent, NextHotCount, RemoteShard, Runtime, RuntimeBuilder, RuntimeError, RuntimeHandle,
    RuntimeStats, SendError, SendTicket, ShardCtx, ShardHandleOf, ShardId, ShardLane, ShardStats,
    ShutdownReport, SpinOptions, StealOptions, TaskId, TaskPlacement, TrySpawnError,
    UnknownMessage,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};

// The runtime and the ways into it.
assert_impl_all!(Runtime: Send, Sync, Unpin, Debug);
assert_not_impl_any!(Runtime: Clone);
assert_impl_all!(RuntimeBuilder: Send, Sync, Unpin, Debug, Clone, Default);
assert_impl_all!(RuntimeHandle: Send, Sync, Unpin, Debug, Clone);
assert_impl_all!(ShardHandleOf<Native>: Send, Sync, Unpin, Debug, Clone);
assert_impl_all!(ShardLane: Send, Sync, Unpin, Debug, Clone);
assert_impl_all!(Native: Send, Sync, Unpin, Debug, Copy);
assert_impl_all!(ShardCtx: Unpin, Debug, Clone);
assert_not_impl_any!(ShardCtx: Send, Sync);

// What is received.
assert_impl_all!(RecvBuf: Send, Sync, Unpin, Debug, AsRef<[u8]>, IoBuf);
assert_not_impl_any!(RecvBuf: Clone);
assert_impl_all!(RecvStream: Send, Unpin, Debug);

// Messages.
assert_impl_all!(RemoteShard: Send, Sync, Unpin, Debug, Clone);
assert_impl_all!(SendTicket: Send, Sync, Unpin, Debug);
assert_impl_all!(NextEvent: Unpin, Debug);
assert_not_impl_any!(NextEvent: Send, Sync);
assert_impl_all!(NextHotCount: Unpin, Debug);
assert_not_impl_any!(NextHotCount: Send, Sync);
assert_impl_all!(Event: Send, Sync, Copy, Eq, Debug);
assert_impl_all!(SendError: Send, Sync, Copy, Eq, std::error::Error);
assert_impl_all!(UnknownMessage: Send, Sync, Copy, Eq, Hash, std::error::Error);

// Tasks.
assert_impl_all!(JoinHandle<u8>: Send, Sync, Unpin, Debug);
assert_not_impl_any!(JoinHandle<u8>: Clone);
assert_not_impl_any!(JoinHandle<Rc<u8>>: Send);
assert_impl_all!(LocalJoinHandle<u8>: Unpin, Debug);
assert_not_impl_any!(LocalJoinHandle<u8>: Send, Sync, Clone);
assert_impl_all!(AbortHandle: Send, Sync, Unpin, Debug, Clone);
assert_impl_all!(JoinError: Send, Unpin, std::error::Error);
assert_impl_all!(TaskPlacement: Send, Sync, Unpin, Debug, Copy, Eq);
assert_impl_all!(ShardId: Send, Sync, Unpin, Debug, Display, Copy, Ord, Hash, From<u16>);
assert_impl_all!(TaskId: Send, Sync, Unpin, Debug, Display, Copy, Ord, Hash);

// Errors and reports.
assert_impl_all!(BuildError: Send, Sync, Unpin, std::error::Error);
assert_impl_all!(RuntimeError: Send, Unpin, std::error::Error, From<BuildError>, From<JoinError>);
assert_impl_all!(io::Error: From<RuntimeError>, From<JoinError>, From<SendError>);
assert_impl_all!(TrySpawnError<Rc<u8>>: Debug, Display, Unpin);
assert_impl_all!(TrySpawnError<u8>: Send, std::error::Error);
assert_not_impl_any!(TrySpawnError<Rc<u8>>: Send);
assert_impl_all!(ShutdownReport: Send, Sync, Unpin, Debug, Display);
assert_impl_all!(RuntimeStats: Send, Sync, Unpin, Debug, Display, Clone, Eq, Default);
assert_impl_all!(ShardStats: Send, Sync, Unpin, Debug, Copy, Eq, Default);
assert_impl_all!(StealOptions: Send, Sync, Unpin, Debug, Copy, Eq, Default);
assert_impl_all!(SpinOptions: Send, Sync, Unpin, Debug, Copy, Eq, Default);

// Parts.
assert_impl_all!(UringSetup: Send, Sync, Unpin, Debug, Clone, Eq, Default);
assert_not_impl_any!(Uring: Sync);
assert_impl_all!(UringRefused: Send, Sync, Unpin, std::error::Error);
assert_impl_all!(RefusalReason: Send, Sync, Unpin, Debug, Clone, Eq);
assert_impl_all!(Caps: Send, Sync, Unpin, Debug, Copy, Eq, Default);
assert_impl_all!(Cqe: Send, Sync, Unpin, Debug, Copy);
assert_impl_all!(Token: Send, Sync, Unpin, Debug, Copy, Eq);
assert_impl_all!(Class: Send, Sync, Unpin, Debug, Copy, Eq);
assert_impl_all!(Opcode: Send, Sync, Unpin, Debug, Copy, Eq);
assert_impl_all!(Sqe: Unpin, Debug, Copy);
assert_impl_all!(SqFull: Unpin, std::error::Error);
assert_impl_all!(EventFd: Debug, Unpin);
assert_impl_all!(MsgRing: Debug, Unpin);
assert_impl_all!(EventFdRinger: Send, Sync, Unpin, Debug);
assert_impl_all!(MsgRingRinger: Send, Sync, Unpin, Debug);
assert_impl_all!(LeastLoaded: Send, Sync, Unpin, Debug, Default, Clone);
assert_impl_all!(RoundRobin: Send, Sync, Unpin, Debug, Default, Clone);
assert_impl_all!(Wish: Send, Sync, Unpin, Debug, Copy, Eq);
assert_impl_all!(Load: Send, Sync, Unpin, Debug, Copy, Eq, Default);
assert_impl_all!(Loads<'static>: Unpin, Debug, Copy);
assert_impl_all!(ChaseLev: Send, Sync, Debug);
assert_impl_all!(MutexQueue: Send, Sync, Debug);
assert_impl_all!(ChaseLevLocal<u8>: Send, Debug);
assert_impl_all!(MutexLocal<u8>: Send, Debug);
assert_impl_all!(ChaseLevShared<u8>: Send, Sync, Debug);
assert_impl_all!(MutexShared<u8>: Send, Sync, Debug);
assert_impl_all!(QueueOptions: Send, Sync, Unpin, Debug, Copy, Eq, Default);
assert_impl_all!(Stolen<u8>: Send, Sync, Unpin, Debug);

/// Futures that users hold in tasks of theirs.
#[test]
fn entries_are_send_futures() {
    fn send<F: Future + Send>(_: F) {}
    send(spargio::run(|_| async {}));
    send(spargio::run_with(Runtime::builder(), |_| async {}));
    send(spargio::run_local_on(Runtime::builder(), 0, |_| async {
        let local = Rc::new(());
        std::future::ready(()).await;
        drop(local);
    }));
}
