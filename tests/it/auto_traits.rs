//! What may cross threads: pinned, because an auto trait changes without anybody writing it.

use std::cell::Cell;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::io;
use std::rc::Rc;

use futures_core::Stream;
use spargio::boundary::{
    BoundaryClient, BoundaryError, BoundaryReply, BoundaryRequest, BoundaryServer, BoundaryStats,
    BoundaryTicket, CallError, RespondError,
};
use spargio::doorbell::{EventFd, EventFdRinger, MsgRing, MsgRingRinger};
use spargio::driver::{
    Caps, Class, Cqe, Opcode, RefusalReason, SqFull, Sqe, Token, Uring, UringRefused, UringSetup,
};
use spargio::fs::{ReadExactAt, ReadVectoredAt, WriteAllAt, WriteVectoredAt};
use spargio::io::framed::{Framed, FramedRead, FramedWrite, LengthDelimited, LengthDelimitedCodec};
use spargio::io::{
    BufReader, BufWriter, Compat, DynRead, DynWrite, IntoInnerError, Lines, PipeReader, PipeWriter,
    ReadHalf, Stderr, Stdin, Stdout, WriteHalf,
};
use spargio::native::{
    AffinityLease, NativeBatch, NativeLaneSelector, NativeOp, NativeOpId, NativeOps, UnownedFd,
    UringCqe, UringNativeAny,
};
use spargio::net::{
    DatagramStream, Ip, RecvBuf, RecvDatagram, RecvStream, SendDatagram, TcpStream, UnixStream,
};
use spargio::placement::{LeastLoaded, Load, Loads, RoundRobin, Wish};
use spargio::queue::{
    ChaseLev, ChaseLevLocal, ChaseLevShared, MutexLocal, MutexQueue, MutexShared, QueueOptions,
    Stolen,
};
use spargio::sync::{Notified, Notify, mpsc, oneshot};
use spargio::{
    AbortHandle, BuildError, Dump, Event, IoBuf, JoinError, JoinHandle, LocalJoinHandle, Native,
    NextEvent, NextHotCount, RemoteShard, Runtime, RuntimeBuilder, RuntimeError, RuntimeHandle,
    RuntimeStats, SendError, SendTicket, ShardCtx, ShardHandleOf, ShardId, ShardLane, ShardStats,
    ShutdownReport, SlowPoll, SpawnOptions, SpinOptions, StealOptions, StuckShard, TaskDump,
    TaskId, TaskPanic, TaskPlacement, TrySpawnError, UnknownMessage,
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

// What is told of tasks.
assert_impl_all!(Dump: Send, Sync, Unpin, Debug, Display, Clone, Default);
assert_impl_all!(TaskDump: Send, Sync, Unpin, Debug, Display, Clone, Eq);
assert_impl_all!(StuckShard: Send, Sync, Unpin, Debug, Display, Clone, Eq);
assert_impl_all!(TaskPanic: Send, Sync, Unpin, Debug, Display, Clone, Eq);
assert_impl_all!(SlowPoll: Send, Sync, Unpin, Debug, Display, Clone, Eq);
assert_impl_all!(SpawnOptions: Send, Sync, Unpin, Debug, Clone, Default);

// What is received.
assert_impl_all!(RecvBuf: Send, Sync, Unpin, Debug, AsRef<[u8]>, IoBuf);
assert_not_impl_any!(RecvBuf: Clone);
assert_impl_all!(RecvStream: Send, Unpin, Debug);
assert_impl_all!(DatagramStream<Ip>: Send, Unpin, Debug, Stream);
assert_impl_all!(RecvDatagram<'static, Vec<u8>, usize>: Send, Unpin, Debug, Future);
assert_impl_all!(SendDatagram<'static, Vec<u8>>: Send, Unpin, Debug, Future);

// Transfers of files.
assert_impl_all!(ReadExactAt<'static, Vec<u8>>: Send, Unpin, Debug, Future);
assert_impl_all!(WriteAllAt<'static, Vec<u8>>: Send, Unpin, Debug, Future);
assert_impl_all!(ReadVectoredAt<'static, Vec<u8>>: Send, Unpin, Debug, Future);
assert_impl_all!(WriteVectoredAt<'static, Vec<u8>>: Send, Unpin, Debug, Future);

// Native operations.
assert_impl_all!(UringNativeAny: Send, Sync, Unpin, Debug, Clone);
assert_impl_all!(NativeLaneSelector: Send, Sync, Unpin, Debug, Clone);
assert_impl_all!(NativeOp<io::Result<()>>: Send, Unpin, Debug);
assert_impl_all!(NativeBatch<io::Result<()>>: Send, Unpin, Debug, Future);
assert_not_impl_any!(NativeBatch<io::Result<()>>: Clone);
assert_impl_all!(NativeOps<UringCqe>: Send, Unpin, Debug, Stream);
assert_not_impl_any!(NativeOp<io::Result<()>>: Clone);
assert_not_impl_any!(NativeOps<UringCqe>: Clone);
assert_impl_all!(AffinityLease<std::fs::File>: Send, Sync, Unpin, Debug);
assert_not_impl_any!(AffinityLease<std::fs::File>: Clone);
assert_impl_all!(UnownedFd: Send, Sync, Unpin, Debug, Copy);
assert_impl_all!(UringCqe: Send, Sync, Unpin, Debug, Copy);
assert_impl_all!(NativeOpId: Send, Sync, Unpin, Debug, Display, Copy, Hash, Ord);

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

// Waiting for each other.
assert_impl_all!(Notify: Send, Sync, Unpin, Debug, Default);
assert_impl_all!(Notified<'static>: Send, Sync, Unpin, Debug);
assert_impl_all!(oneshot::Sender<Cell<u8>>: Send, Sync, Unpin, Debug);
assert_impl_all!(oneshot::Receiver<Cell<u8>>: Send, Sync, Unpin, Debug);
assert_not_impl_any!(oneshot::Sender<Rc<u8>>: Send, Sync);
assert_not_impl_any!(oneshot::Receiver<Rc<u8>>: Send, Sync);
assert_impl_all!(oneshot::RecvError: Send, Sync, Copy, Eq, std::error::Error);
assert_impl_all!(oneshot::TryRecvError: Send, Sync, Copy, Eq, std::error::Error);
assert_impl_all!(mpsc::Sender<Cell<u8>>: Send, Sync, Unpin, Debug, Clone);
assert_impl_all!(mpsc::Receiver<Cell<u8>>: Send, Sync, Unpin, Debug, Stream);
assert_impl_all!(mpsc::Permit<'static, Cell<u8>>: Send, Sync, Unpin, Debug);
assert_impl_all!(mpsc::OwnedPermit<Cell<u8>>: Send, Sync, Unpin, Debug);
assert_not_impl_any!(mpsc::Sender<Rc<u8>>: Send, Sync);
assert_not_impl_any!(mpsc::Receiver<Rc<u8>>: Send, Sync);
assert_impl_all!(mpsc::SendError<Rc<u8>>: std::error::Error, Unpin);
assert_impl_all!(mpsc::TrySendError<Rc<u8>>: std::error::Error, Unpin);
assert_impl_all!(mpsc::TryRecvError: Send, Sync, Copy, Eq, std::error::Error);

// Boundaries.
assert_impl_all!(BoundaryClient<Cell<u8>, Cell<u8>>: Send, Sync, Unpin, Debug, Clone);
assert_impl_all!(BoundaryServer<Cell<u8>, Cell<u8>>: Send, Sync, Unpin, Debug, Clone);
assert_not_impl_any!(BoundaryServer<Rc<u8>, u8>: Send, Sync);
assert_not_impl_any!(BoundaryServer<u8, Rc<u8>>: Send, Sync);
assert_impl_all!(BoundaryTicket<Cell<u8>>: Send, Unpin, Debug, Future);
assert_not_impl_any!(BoundaryTicket<Rc<u8>>: Send);
assert_impl_all!(BoundaryRequest<u8, Cell<u8>>: Send, Sync, Unpin, Debug);
assert_impl_all!(BoundaryReply<Cell<u8>>: Send, Sync, Unpin, Debug);
assert_impl_all!(BoundaryError: Send, Sync, Copy, Eq, Hash, std::error::Error);
assert_impl_all!(CallError<Rc<u8>>: std::error::Error, Unpin);
assert_impl_all!(RespondError<Rc<u8>>: std::error::Error, Unpin);
assert_impl_all!(BoundaryStats: Send, Sync, Copy, Eq, Default, Debug);
assert_impl_all!(io::Error: From<BoundaryError>, From<CallError<Rc<u8>>>);

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

// Readers and writers: what is in flight inside of them is reached by their owner alone.
assert_impl_all!(TcpStream: Send, Sync, Unpin, Debug, Clone);
assert_impl_all!(TcpStream: futures_io::AsyncRead, futures_io::AsyncWrite);
assert_impl_all!(ReadHalf<UnixStream>: Send, Sync, Unpin, Debug, futures_io::AsyncRead);
assert_impl_all!(WriteHalf<UnixStream>: Send, Sync, Unpin, Debug, futures_io::AsyncWrite);
assert_impl_all!(BufReader<TcpStream>: Send, Sync, Unpin, Debug);
assert_impl_all!(BufWriter<TcpStream>: Send, Sync, Unpin, Debug);
assert_impl_all!(IntoInnerError<BufWriter<TcpStream>>: Send, Sync, std::error::Error);
assert_impl_all!(Lines<BufReader<TcpStream>>: Send, Sync, Unpin, Debug);
assert_impl_all!(Framed<TcpStream, LengthDelimitedCodec>: Send, Sync, Unpin, Debug);
assert_impl_all!(FramedRead<TcpStream, LengthDelimitedCodec>: Send, Sync, Unpin, Debug);
assert_impl_all!(FramedWrite<TcpStream, LengthDelimitedCodec>: Send, Sync, Unpin, Debug);
assert_impl_all!(LengthDelimited<TcpStream, TcpStream>: Send, Sync, Unpin, Debug);
assert_impl_all!(Compat<PipeReader, PipeWriter>: Send, Sync, Unpin, Debug);
assert_impl_all!(PipeReader: Send, Sync, Unpin, Debug);
assert_impl_all!(PipeWriter: Send, Sync, Unpin, Debug);
assert_impl_all!(Stdin: Send, Sync, Unpin, Debug);
assert_impl_all!(Stdout: Send, Sync, Unpin, Debug);
assert_impl_all!(Stderr: Send, Sync, Unpin, Debug);
assert_impl_all!(Box<dyn DynRead>: Send, Unpin, spargio::io::AsyncRead);
assert_impl_all!(Box<dyn DynWrite>: Send, Unpin, spargio::io::AsyncWrite);

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
