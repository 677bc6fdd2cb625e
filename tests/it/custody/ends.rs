//! A runtime that ends with thousands of operations in flight, while peers go on sending.

use std::fs;
use std::future::{Future, pending};
use std::io::{self, Read as _, Write as _};
use std::net::{self, Shutdown};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;
use spargio::fs::File;
use spargio::net::TcpStream;
use spargio::{Assembly, Runtime, RuntimeHandle, RuntimeHandleOf, RuntimeOf, ShutdownReport};

use super::canary::{Canary, DEAD, Graveyard};
use super::{Dice, alone, connections, open_fds, poll_once, poll_unheard};
use crate::support::{SOON, Watch, elsewhere, threads_named, wait_until, watched};

const SOCKETS: usize = 1_000;
/// Futures that are polled by a thread of no runtime, and live on after it.
const FOREIGN: usize = 200;
const WRITES: usize = 300;
const FILE_READS: usize = 500;
const PAGE: usize = 4096;
const PAGES: u64 = 256;

/// Peers that send to the given sockets for as long as this lives, and read nothing.
pub(crate) struct Peers {
    stop: Arc<AtomicBool>,
    /// Send to all of them, not only to every other one.
    to_all: Arc<AtomicBool>,
    passes: Arc<[AtomicUsize; 2]>,
    threads: Vec<JoinHandle<()>>,
}

impl Peers {
    pub(crate) fn new(sockets: Vec<net::TcpStream>) -> Self {
        let (stop, passes) = (Arc::new(AtomicBool::new(false)), Arc::<[AtomicUsize; 2]>::default());
        let to_all = Arc::new(AtomicBool::new(false));
        let mut halves = [Vec::new(), Vec::new()];
        for (at, socket) in sockets.into_iter().enumerate() {
            socket.set_nonblocking(true).unwrap();
            halves[at % 2].push(socket);
        }
        let threads = halves.into_iter().enumerate().map(|(half, sockets)| {
            let (stop, passes) = (Arc::clone(&stop), Arc::clone(&passes));
            let to_all = Arc::clone(&to_all);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let step = if to_all.load(Ordering::Relaxed) { 1 } else { 2 };
                    for mut socket in sockets.iter().step_by(step) {
                        // A socket that is full or whose other end is gone takes nothing.
                        let _ = socket.write(&[0x11; 700]);
                    }
                    passes[half].fetch_add(1, Ordering::Relaxed);
                    // Nothing waits for this: it is the pace that leaves the shards a CPU.
                    thread::sleep(Duration::from_millis(1));
                }
            })
        });
        let threads = threads.collect();
        Self { stop, to_all, passes, threads }
    }

    /// Waits until each socket was sent to so many times more.
    pub(crate) fn go_on(&self, times: usize) {
        for half in self.passes.iter() {
            let goal = half.load(Ordering::Relaxed) + times;
            wait_until("the peers send", || half.load(Ordering::Relaxed) >= goal);
        }
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// A file of so many pages, removed at the end.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(watch: &Watch) -> Self {
        let name = format!("spargio-custody-{}-{}", std::process::id(), watch.number());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, vec![0x22; PAGE * PAGES as usize]).unwrap();
        Self(path)
    }

    /// Past the page cache if the file system can, so that reads stay in flight for a while.
    pub(super) fn open(&self) -> fs::File {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true);
        let direct = options.clone().custom_flags(libc::O_DIRECT).open(&self.0);
        direct.unwrap_or_else(|_| options.open(&self.0).unwrap())
    }

    /// Nobody wrote to the file.
    #[track_caller]
    pub(super) fn assert_unchanged(&self) {
        let bytes = fs::read(&self.0).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 0x22), "the file was written to");
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies in the directory for such files.
        let _ = fs::remove_file(&self.0);
    }
}

/// Reads for ever: to the same buffer, again and again.
pub(crate) async fn read_for_ever(stream: TcpStream, mut buf: Canary) {
    loop {
        let result;
        (result, buf) = stream.read(buf).await;
        if !matches!(result, Ok(1..)) {
            pending::<()>().await;
        }
    }
}

async fn write_for_ever(stream: TcpStream, mut buf: Canary) {
    loop {
        let result;
        (result, buf) = stream.write(buf).await;
        if result.is_err() {
            pending::<()>().await;
        }
    }
}

async fn read_file_for_ever(file: File, mut buf: Canary, seed: u64) {
    let mut dice = Dice::new(seed);
    loop {
        let offset = dice.below(PAGES) * PAGE as u64;
        let result;
        (result, buf) = file.read_at(buf, offset).await;
        if result.is_err() {
            pending::<()>().await;
        }
    }
}

/// A read that a thread of no runtime started, with its stream.
type ForeignRead = Pin<Box<dyn Future<Output = io::Result<usize>> + Send>>;

fn foreign_read(stream: TcpStream, buf: Canary) -> ForeignRead {
    let mut read: ForeignRead = Box::pin(async move { stream.read(buf).await.0 });
    let mut context = Context::from_waker(Waker::noop());
    // Through a lane: it is ready at a later poll only.
    assert!(read.as_mut().poll(&mut context).is_pending());
    read
}

/// Starts all of it, and returns what the caller holds on to.
fn load(
    handle: &RuntimeHandle,
    yard: &Graveyard,
    scratch: &Scratch,
) -> (Peers, Vec<ForeignRead>, Vec<net::TcpStream>) {
    let mut senders = Vec::new();
    let mut foreign = Vec::new();
    for (at, (own, peer)) in connections(SOCKETS).into_iter().enumerate() {
        let stream = TcpStream::from_std_on(handle, own).unwrap();
        if at % (SOCKETS / FOREIGN) == 0 {
            foreign.push(foreign_read(stream, yard.buffer(PAGE)));
        } else {
            let read = read_for_ever(stream, yard.buffer(PAGE));
            if at % 2 == 0 {
                drop(handle.spawn_stealable(read).unwrap());
            } else {
                drop(handle.spawn_pinned((at / 2 % 2) as u16, read).unwrap());
            }
        }
        senders.push(peer);
    }
    let mut takers = Vec::new();
    for (own, peer) in connections(WRITES) {
        SockRef::from(&own).set_send_buffer_size(16 * PAGE).unwrap();
        SockRef::from(&peer).set_recv_buffer_size(16 * PAGE).unwrap();
        let stream = TcpStream::from_std_on(handle, own).unwrap();
        let write = write_for_ever(stream, yard.filled(&[0x33; 2 * PAGE]));
        drop(handle.spawn_stealable(write).unwrap());
        takers.push(peer);
    }
    let file = File::from_std_on(handle, scratch.open());
    for at in 0..FILE_READS {
        let read = read_file_for_ever(file.clone(), yard.buffer(PAGE), at as u64);
        drop(handle.spawn_stealable(read).unwrap());
    }
    (Peers::new(senders), foreign, takers)
}

/// What a socket was sent is what the buffers held, and not what their memory held later.
fn assert_sent_alive(mut taker: &net::TcpStream) {
    taker.set_read_timeout(Some(SOON)).unwrap();
    let mut bytes = Vec::new();
    if let Err(error) = taker.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    assert!(!bytes.contains(&DEAD), "a freed buffer was sent");
}

/// Ends a runtime under load in this way, some times over.
fn under_load(watch: &Watch, rounds: usize, end: impl Fn(Runtime) -> Option<ShutdownReport>) {
    let before = open_fds();
    let scratch = Scratch::new(watch);
    for _ in 0..rounds {
        let prefix = format!("end{}", watch.number());
        let yard = Graveyard::default();
        let builder = Runtime::builder().shards(2).ring_entries(64).thread_prefix(&prefix);
        let runtime = watch.build(builder);
        let (peers, foreign, takers) = load(&runtime.handle(), &yard, &scratch);
        peers.go_on(2);
        wait_until("operations are in flight", || {
            runtime.stats_snapshot().total().in_flight > SOCKETS as u64 / 2
        });
        peers.to_all.store(true, Ordering::Relaxed);
        let report = end(runtime);
        // The peers send to whatever may have become of the buffers.
        peers.go_on(3);
        wait_until("the shards are gone", || threads_named(&prefix) == 0);
        peers.go_on(3);
        yard.assert_at_rest();
        for read in foreign {
            // It brought bytes, or was cancelled.
            drop(elsewhere(read));
        }
        takers.iter().for_each(assert_sent_alive);
        drop((peers, takers));
        yard.assert_at_rest();
        match report {
            Some(report) if report.shards_stuck > 0 => {}
            Some(report) => {
                assert_eq!(yard.alive(), report.operations_leaked, "{report}");
                assert_eq!(report.operations_leaked, 0, "{report}");
            }
            None => assert_eq!(yard.alive(), 0, "buffers are left"),
        }
    }
    wait_until("no fd is left", || open_fds() <= before);
}

#[test]
fn a_dropped_runtime_leaves_no_writer_to_its_buffers() {
    alone("ends::a_dropped_runtime_leaves_no_writer_to_its_buffers", || {
        watched(|watch| {
            under_load(watch, 3, |runtime| {
                drop(runtime);
                None
            });
        });
    });
}

#[test]
fn a_runtime_that_shuts_down_leaves_no_writer_to_its_buffers() {
    alone("ends::a_runtime_that_shuts_down_leaves_no_writer_to_its_buffers", || {
        watched(|watch| {
            under_load(watch, 2, |mut runtime| Some(elsewhere(runtime.shutdown())));
            under_load(watch, 1, |runtime| Some(runtime.shutdown_timeout(SOON)));
        });
    });
}

#[test]
fn a_runtime_without_time_to_shut_down_leaves_no_writer_to_its_buffers() {
    alone("ends::a_runtime_without_time_to_shut_down_leaves_no_writer_to_its_buffers", || {
        watched(|watch| {
            under_load(watch, 3, |runtime| Some(runtime.shutdown_timeout(Duration::ZERO)));
        });
    });
}

#[test]
fn a_runtime_dropped_inside_its_own_task_leaves_no_writer_to_its_buffers() {
    alone("ends::a_runtime_dropped_inside_its_own_task_leaves_no_writer_to_its_buffers", || {
        watched(|watch| {
            under_load(watch, 2, |runtime| {
                let handle = runtime.handle();
                drop(handle.spawn_stealable(async move { drop(runtime) }).unwrap());
                // The shards end behind our back.
                drop(handle);
                None
            });
        });
    });
}

/// A task that starts reads on its streams, tells, and panics with them in flight.
pub(crate) async fn start_and_panic(streams: Vec<TcpStream>, yard: Graveyard) {
    let mut reads: Vec<_> = streams.iter().map(|stream| stream.read(yard.buffer(PAGE))).collect();
    for read in &mut reads {
        assert!(poll_once(read).await.is_pending());
    }
    spargio::yield_now().await;
    panic!("on purpose: {} reads are in flight", reads.len());
}

#[test]
fn a_task_that_panics_with_operations_in_flight_takes_nothing_with_it() {
    watched(|watch| {
        const STREAMS: usize = 8;
        let runtime = watch.build(Runtime::builder().shards(2).ring_entries(16));
        let handle = runtime.handle();
        let yard = Graveyard::default();
        let mut others = Vec::new();
        let mut gone = Vec::new();
        let mut panics = Vec::new();
        for _ in 0..40 {
            let (own, peers): (Vec<_>, Vec<_>) = connections(STREAMS + 1).into_iter().unzip();
            let mut own = own.into_iter().map(|own| TcpStream::from_std_on(&handle, own).unwrap());
            let mut peers = peers.into_iter();
            let (bystander, peer) = (own.next().unwrap(), peers.next().unwrap());
            let buf = yard.buffer(16);
            let echo = async move {
                let (read, buf) = bystander.read_exact(buf).await;
                read.unwrap();
                bystander.write_all(buf).await.0.unwrap();
            };
            others.push((handle.spawn_stealable(echo).unwrap(), peer));
            panics.push(handle.spawn_stealable(start_and_panic(own.collect(), yard.clone())));
            gone.extend(peers);
        }
        for task in panics {
            let error = elsewhere(task.unwrap()).unwrap_err();
            assert_eq!(error.panic_message(), Some("on purpose: 8 reads are in flight"));
        }
        for mut peer in gone {
            // The streams of the task are closed, in spite of the reads.
            peer.set_read_timeout(Some(SOON)).unwrap();
            assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
            let _ = peer.write(&[0x11; 700]); // Nobody takes it.
        }
        for (task, mut peer) in others {
            peer.write_all(&[0x44; 16]).unwrap();
            elsewhere(task).unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            let mut echo = Vec::new();
            peer.read_to_end(&mut echo).unwrap();
            assert_eq!(echo, [0x44; 16]);
        }
        wait_until("the buffers are let go", || yard.alive() == 0);
        yard.assert_at_rest();
        drop(runtime);
        yard.assert_at_rest();
    });
}

/// Starts operations from this thread until the runtime refuses them.
fn foreign_operations<A: Assembly>(
    handle: RuntimeHandleOf<A>,
    (stream, file): (TcpStream, File),
    started: Arc<AtomicUsize>,
) -> io::ErrorKind {
    let yard = Graveyard::default();
    loop {
        // The first; those after it find the receive that it left, which the end makes ready.
        drop(poll_unheard(&mut stream.read(yard.buffer(64))));
        let (read, buf) = elsewhere(file.read_at(yard.buffer(PAGE), 0));
        drop(buf);
        started.fetch_add(1, Ordering::Relaxed);
        match read {
            Ok(count) => assert_eq!(count, PAGE),
            // It was in flight at the end, and says so; the next is refused.
            Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => {}
            Err(error) => {
                drop(handle);
                drop((stream, file));
                yard.assert_at_rest();
                return error.kind();
            }
        }
    }
}

fn threads_that_start_operations(watch: &Watch, end: impl Fn(RuntimeOf<spargio::Native>)) {
    let scratch = Scratch::new(watch);
    for _ in 0..20 {
        let runtime = watch.build(Runtime::builder().shards(2).ring_entries(16));
        let handle = runtime.handle();
        let mut peers = Vec::new();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (own, peer) = connections(1).remove(0);
                peers.push(peer);
                let stream = TcpStream::from_std_on(&handle, own).unwrap();
                let file = File::from_std_on(&handle, scratch.open());
                let (handle, started) = (handle.clone(), Arc::<AtomicUsize>::default());
                let counter = Arc::clone(&started);
                let run = move || foreign_operations(handle, (stream, file), started);
                (thread::spawn(run), counter)
            })
            .collect();
        for (_, started) in &threads {
            wait_until("operations start", || started.load(Ordering::Relaxed) > 3);
        }
        end(runtime);
        for (thread, _) in threads {
            assert_eq!(thread.join().unwrap(), io::ErrorKind::BrokenPipe);
        }
    }
}

#[test]
fn operations_of_foreign_threads_resolve_while_the_runtime_ends() {
    watched(|watch| {
        threads_that_start_operations(watch, drop);
        threads_that_start_operations(watch, |mut runtime| {
            let report = elsewhere(runtime.shutdown());
            assert_eq!((report.operations_leaked, report.shards_stuck), (0, 0), "{report}");
        });
    });
}

#[test]
fn what_is_read_directly_is_right() {
    watched(|watch| {
        let scratch = Scratch::new(watch);
        let file = scratch.open();
        let runtime = watch.build(Runtime::builder().shards(1));
        let yard = Graveyard::default();
        let (read, buf) = runtime.block_on(async {
            File::from_std(file).unwrap().read_exact_at(yard.buffer(PAGE), 0).await
        });
        read.unwrap();
        let mut expected = [0; PAGE];
        fs::File::open(&scratch.0).unwrap().read_exact_at(&mut expected, 0).unwrap();
        assert_eq!(spargio::IoBuf::as_init(&buf), expected);
    });
}

/// A read that is awaited by nobody does not keep its runtime from ending.
#[test]
fn reads_left_with_their_streams_end_with_the_runtime() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1).ring_entries(8));
        let handle = runtime.handle();
        let yard = Graveyard::default();
        let (own, mut peers): (Vec<_>, Vec<_>) = connections(100).into_iter().unzip();
        let streams: Vec<_> =
            own.into_iter().map(|own| TcpStream::from_std_on(&handle, own).unwrap()).collect();
        let reads = yard.clone();
        let task = handle.spawn_pinned(0, async move {
            for stream in &streams {
                let mut read = stream.read(reads.buffer(64));
                assert!(matches!(poll_once(&mut read).await, Poll::Pending));
            }
            spargio::yield_now().await;
            streams
        });
        let streams = elsewhere(task.unwrap()).unwrap();
        let report = runtime.shutdown_timeout(SOON);
        assert_eq!(report.operations_leaked, 0, "{report}");
        assert_eq!(report.operations_cancelled, 100, "{report}");
        for peer in &mut peers {
            peer.write_all(&[0x11; 64]).unwrap();
        }
        for stream in &streams {
            // The receive that stayed was cancelled, and says so, once.
            let (read, buf) = elsewhere(stream.read(yard.buffer(8)));
            assert_eq!(read.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
            drop(buf);
            let (read, buf) = elsewhere(stream.read(yard.buffer(8)));
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            drop(buf);
        }
        drop(streams);
        assert_eq!(yard.alive(), 0);
        yard.assert_at_rest();
    });
}
