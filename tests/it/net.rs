//! Sockets on real rings: nothing is lost when futures are dropped, and everything ends promptly.

mod accepts;
mod addresses;
mod async_fd;
pub(crate) mod batch;
mod calls;
mod cancels;
mod connect_many;
mod connects;
mod datagram_cancels;
mod datagram_peeks;
mod datagram_stream;
mod datagrams;
pub(crate) mod ends;
mod passing;
mod peeks;
mod reads;
pub(crate) mod recv_stream;
mod second_look;
mod sessions;
mod strangers;
mod streams;
mod tcp_socket;
mod udp;
mod unix;
mod vectored;
mod writes;
mod zero_copy;

use std::future::{Future, poll_fn};
use std::net::{self, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use spargio::Runtime;
use spargio::net::{TcpListener, TcpStream};

/// A test that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a future as a task of a runtime with so many shards.
#[track_caller]
fn on_shards<F>(shards: usize, future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (done, result) = mpsc::channel();
    let thread = thread::spawn(move || {
        let runtime = Runtime::builder().shards(shards).build().unwrap();
        let task = runtime.handle().spawn_stealable(future).unwrap();
        let output = runtime.block_on(task).unwrap();
        drop(runtime);
        done.send(output).unwrap();
    });
    match result.recv_timeout(PATIENCE) {
        Ok(output) => {
            thread.join().unwrap();
            output
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs since {PATIENCE:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().unwrap_err())
        }
    }
}

#[track_caller]
fn on_shard<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    on_shards(1, future)
}

/// Polls once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

/// Polls once, runs `then`, and returns when the future has woken its task, without polling it
/// again.
async fn until_woken<F: Future + Unpin>(future: &mut F, then: impl FnOnce()) {
    let mut then = Some(then);
    poll_fn(|cx| match then.take() {
        Some(then) => {
            assert!(Pin::new(&mut *future).poll(cx).is_pending());
            then();
            Poll::Pending
        }
        None => Poll::Ready(()),
    })
    .await;
}

/// Lets the shard take a turn.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A listener and its address.
async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A stream of ours and its peer of the standard library.
async fn pair() -> (TcpStream, net::TcpStream) {
    let (listener, addr) = listener().await;
    let peer = net::TcpStream::connect(addr).unwrap();
    peer.set_nodelay(true).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let (stream, peer_addr) = listener.accept().await.unwrap();
    assert_eq!(peer_addr, peer.local_addr().unwrap());
    (stream, peer)
}

/// Reads once, to a buffer of so many bytes.
async fn read(stream: &TcpStream, len: usize) -> Vec<u8> {
    let (read, buf) = stream.read(vec![0; len].into_boxed_slice()).await;
    buf[..read.unwrap()].to_vec()
}

/// Reads until so many bytes have come.
async fn read_total(stream: &TcpStream, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        let some = read(stream, len - all.len()).await;
        assert!(!some.is_empty(), "the end after {} of {len} bytes", all.len());
        all.extend(some);
    }
    all
}

/// An address of this machine that nobody else uses: a port that was closed there stays free.
fn own_ip() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id().wrapping_mul(4) + NEXT.fetch_add(1, Ordering::Relaxed) % 4;
    Ipv4Addr::from_bits(0x7f80_0000 | (number & 0x3f_ffff))
}

/// A path that nobody else uses, short enough for a socket.
fn temp_path() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("spargio-it-{}-{number}", std::process::id()))
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

#[test]
fn bytes_come_back_from_an_echo_server() {
    on_shards(2, async {
        let (listener, addr) = listener().await;
        let server = spargio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            loop {
                let got = read(&stream, 4096).await;
                if got.is_empty() {
                    return;
                }
                stream.write_all(got).await.0.unwrap();
            }
        })
        .unwrap();
        let client = TcpStream::connect(addr).await.unwrap();
        for len in [1, 256, 4096, 100_000] {
            let sent = pattern(len);
            let writer = client.clone();
            let data = sent.clone();
            let write =
                spargio::spawn(async move { writer.write_all(data).await.0.unwrap() }).unwrap();
            assert_eq!(read_total(&client, len).await, sent);
            write.await.unwrap();
        }
        drop(client);
        server.await.unwrap();
    });
}

#[test]
fn sockets_are_nonblocking_and_send_small_writes_at_once() {
    on_shard(async {
        let (listener, addr) = listener().await;
        let client = TcpStream::connect(addr).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        for stream in [&client, &server] {
            assert!(stream.nodelay().unwrap());
            let link = format!("/proc/self/fdinfo/{}", stream.as_raw_fd());
            let info = std::fs::read_to_string(link).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
            let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
            assert_ne!(flags & 0o4000, 0, "O_NONBLOCK in {flags:o}");
            assert_ne!(flags & 0o2_000_000, 0, "O_CLOEXEC in {flags:o}");
        }
        client.set_nodelay(false).unwrap();
        assert!(!client.nodelay().unwrap());
        client.set_ttl(17).unwrap();
        assert_eq!(client.ttl().unwrap(), 17);
    });
}

/// Runs what blocks on a thread of its own.
async fn blocking<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    let (answer, result) = mpsc::channel();
    let mut body = Some(body);
    poll_fn(move |cx| {
        if let Some(body) = body.take() {
            let (waker, answer) = (cx.waker().clone(), answer.clone());
            thread::spawn(move || {
                let sent = answer.send(body());
                waker.wake();
                sent.unwrap();
            });
            return Poll::Pending;
        }
        match result.try_recv() {
            Ok(result) => Poll::Ready(result),
            Err(mpsc::TryRecvError::Empty) => Poll::Pending,
            Err(mpsc::TryRecvError::Disconnected) => panic!("the thread panicked"),
        }
    })
    .await
}

/// A waker that sends a message.
struct Tell(mpsc::Sender<()>);

impl Wake for Tell {
    fn wake(self: Arc<Self>) {
        self.0.send(()).unwrap();
    }
}

/// An executor that knows no runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}
