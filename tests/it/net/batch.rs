//! Batches: every byte in its place, however little room there is and wherever it ends.

use std::io::{self, Read};
use std::net;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net as unix;
use std::pin::Pin;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use spargio::Runtime;
use spargio::net::{BatchError, Family, Stream, TcpStream, UnixStream};

use super::{blocking, on_shard, pair, pattern, poll_once, yield_now};

/// Little room to send from: as small as the kernel makes it. Not so little to receive to, because
/// TCP sends to a window below the size of a packet by a timer.
pub(super) fn shrink(socket: &impl AsFd) {
    let socket = SockRef::from(socket);
    socket.set_send_buffer_size(1).unwrap();
    socket.set_recv_buffer_size(1 << 16).unwrap();
}

/// A stream of ours with small buffers, and its peer of the standard library.
async fn small_pair() -> (TcpStream, net::TcpStream) {
    let (stream, peer) = pair().await;
    shrink(&stream);
    shrink(&peer);
    (stream, peer)
}

/// As [`small_pair`], on this machine.
fn small_unix_pair() -> (UnixStream, unix::UnixStream) {
    let (own, peer) = unix::UnixStream::pair().unwrap();
    shrink(&own);
    shrink(&peer);
    (UnixStream::from_std(own).unwrap(), peer)
}

/// The pattern in buffers of these lengths, again and again.
fn cut(len: usize, lens: &[usize]) -> Vec<Vec<u8>> {
    let all = pattern(len);
    let (mut buffers, mut at) = (Vec::new(), 0);
    for part in lens.iter().cycle() {
        if at == len {
            return buffers;
        }
        let end = len.min(at + part);
        buffers.push(all[at..end].to_vec());
        at = end;
    }
    unreachable!("a cycle ends at its end only")
}

/// Reads to the end, slower than the writer.
fn read_slowly(mut peer: impl Read) -> Vec<u8> {
    let (mut all, mut piece) = (Vec::new(), [0; 3_001]);
    loop {
        match peer.read(&mut piece).unwrap() {
            0 => return all,
            count => all.extend(&piece[..count]),
        }
        thread::yield_now();
    }
}

async fn send_to_slow_reader<F: Family>(
    stream: Stream<F>,
    peer: impl Read + Send + 'static,
    window: usize,
) {
    const LEN: usize = 1 << 20;
    let reader = thread::spawn(move || read_slowly(peer));
    let buffers = cut(LEN, &[0, 1, 7, 4096, 0, 0, 100, 20_000, 3]);
    let (sent, back) = stream.send_all_batch(buffers.clone(), window).await;
    assert_eq!(sent.unwrap(), LEN);
    assert!(back == buffers, "the buffers came back changed");
    drop(stream);
    let got = blocking(move || reader.join().unwrap()).await;
    assert!(got == pattern(LEN), "{} bytes", got.len());
}

#[test]
pub(crate) fn every_byte_is_in_its_place_for_every_window() {
    on_shard(async {
        for window in [1, 2, 32, usize::MAX] {
            let (stream, peer) = small_pair().await;
            send_to_slow_reader(stream, peer, window).await;
            let (stream, peer) = small_unix_pair();
            send_to_slow_reader(stream, peer, window).await;
        }
    });
}

#[test]
fn more_buffers_than_one_call_takes_are_sent_in_order() {
    const LEN: usize = 5 * 3_000;
    on_shard(async {
        for window in [1024, 1025, 3_000] {
            let (stream, peer) = pair().await;
            let (writer, half) = {
                let (reader, writer) = stream.into_split();
                (writer, reader)
            };
            let (sent, back) = writer.send_all_batch(cut(LEN, &[5]), window).await;
            assert_eq!((sent.unwrap(), back.len()), (LEN, 3_000));
            drop((writer, half));
            let got = blocking(move || read_slowly(peer)).await;
            assert!(got == pattern(LEN), "{} bytes", got.len());
        }
    });
}

#[test]
pub(crate) fn a_batch_without_bytes_is_sent_without_a_call() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let handle = runtime.handle();
    let task = handle.clone().spawn_stealable(async move {
        let (own, peer) = unix::UnixStream::pair().unwrap();
        let stream = UnixStream::from_std(own).unwrap();
        // A call would fail.
        drop(peer);
        let before = handle.stats_snapshot().total().inline_completions;
        assert_eq!(stream.send_all_batch(Vec::<Vec<u8>>::new(), 1).await.0.unwrap(), 0);
        let (sent, back) = stream.send_all_batch(vec![Vec::<u8>::new(); 3], 32).await;
        assert_eq!((sent.unwrap(), back.len()), (0, 3));
        assert_eq!(handle.stats_snapshot().total().inline_completions, before);
    });
    runtime.block_on(task.unwrap()).unwrap();
}

#[test]
fn a_window_of_nothing_is_an_error_that_names_it() {
    on_shard(async {
        let (stream, _peer) = small_unix_pair();
        let (sent, back) = stream.send_all_batch(vec!["a", "b"], 0).await;
        let error = sent.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("window of 0"), "{error}");
        assert_eq!(BatchError::of(&error).unwrap().sent(), 0);
        assert_eq!(back, ["a", "b"]);
    });
}

/// The peer reads that many bytes and then resets the connection.
async fn send_to_one_who_resets<F: Family>(
    stream: Stream<F>,
    peer: impl Read + Send + 'static,
    window: usize,
) {
    const LEN: usize = 8 << 20;
    const READ: usize = 100_000;
    let reader = thread::spawn(move || {
        let mut peer = peer;
        peer.read_exact(&mut vec![0; READ]).unwrap();
    });
    let buffers = cut(LEN, &[10_000, 0, 77]);
    let (sent, back) = stream.send_all_batch(buffers.clone(), window).await;
    let error = sent.unwrap_err();
    let kind = error.kind();
    let kinds = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
    assert!(kinds.contains(&kind), "{error}");
    let inside = BatchError::of(&error).unwrap();
    assert_eq!(inside.io_error().kind(), kind);
    assert!((READ..LEN).contains(&inside.sent()), "{error}");
    assert!(error.to_string().contains(&inside.sent().to_string()), "{error}");
    assert!(back == buffers, "the buffers came back changed");
    blocking(move || reader.join().unwrap()).await;
}

#[test]
fn an_error_in_the_middle_tells_how_much_was_sent() {
    on_shard(async {
        for window in [1, 32] {
            let (stream, peer) = small_pair().await;
            SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
            send_to_one_who_resets(stream, peer, window).await;
            let (stream, peer) = small_unix_pair();
            send_to_one_who_resets(stream, peer, window).await;
        }
    });
}

/// Reads what is there, and at most so much.
fn read_some(mut peer: impl Read, most: usize) -> Vec<u8> {
    let mut piece = vec![0; most];
    match peer.read(&mut piece) {
        Ok(count) => piece[..count].to_vec(),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

const DROPPED: usize = 400_000;

/// Drops a batch after so many polls, and writes something else. How much of the batch was sent.
async fn drop_after<F: Family, P>(stream: Stream<F>, peer: P, polls: usize, window: usize) -> usize
where
    P: AsFd + Send + 'static,
    for<'p> &'p P: Read,
{
    SockRef::from(&peer).set_nonblocking(true).unwrap();
    let mut got = Vec::new();
    let buffers = cut(DROPPED, &[700, 0, 9_000, 1]);
    let mut batch = Box::pin(stream.send_all_batch(buffers, window));
    let mut is_sent = false;
    for _ in 0..polls {
        if let Poll::Ready((sent, _)) = poll_once(&mut batch).await {
            assert_eq!(sent.unwrap(), DROPPED);
            is_sent = true;
            break;
        }
        got.extend(read_some(&peer, 20_000));
        yield_now().await;
    }
    drop(batch);
    SockRef::from(&peer).set_nonblocking(false).unwrap();
    let reader = thread::spawn(move || read_slowly(&peer));
    // No byte of the pattern's beginning is like the next.
    let late = [b"late".repeat(1_000), pattern(100)].concat();
    stream.write_all(late.clone()).await.0.unwrap();
    drop(stream);
    got.extend(blocking(move || reader.join().unwrap()).await);
    let early = got.strip_suffix(&late[..]).expect("the later write comes last and is whole");
    assert!(pattern(DROPPED).starts_with(early), "{} bytes of the batch", early.len());
    assert!(!is_sent || early.len() == DROPPED);
    if polls == 0 {
        assert!(early.is_empty(), "what was never polled was never sent");
    }
    early.len()
}

#[test]
fn a_dropped_batch_leaves_a_prefix_and_no_byte_after_a_later_write() {
    on_shard(async {
        for window in [1, 3] {
            let (mut tcp, mut unix) = (Vec::new(), Vec::new());
            for polls in [0, 1, 2, 3, 5, 8, 13, 21] {
                let (stream, peer) = small_pair().await;
                tcp.push(drop_after(stream, peer, polls, window).await);
                let (stream, peer) = small_unix_pair();
                unix.push(drop_after(stream, peer, polls, window).await);
            }
            for sent in [tcp, unix] {
                let is_cut = |sent: &usize| (1..DROPPED).contains(sent);
                assert!(sent.iter().any(is_cut), "some are dropped in the middle: {sent:?}");
            }
        }
    });
}

/// How many packets with data the socket has made.
fn packets(stream: &TcpStream) -> u32 {
    // `tcpi_data_segs_out` of `struct tcp_info`.
    const AT: usize = 156;
    let mut info = [0u8; 256];
    let mut len = info.len() as libc::socklen_t;
    let (fd, to) = (stream.as_raw_fd(), info.as_mut_ptr());
    // SAFETY: the kernel writes at most `len` bytes, which is the length of the array.
    let failed =
        unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, to.cast(), &raw mut len) };
    assert_eq!(failed, 0);
    assert!(len as usize >= AT + 4, "{len}");
    u32::from_ne_bytes(info[AT..AT + 4].try_into().unwrap())
}

#[test]
fn frames_that_say_that_more_follows_share_packets() {
    const FRAMES: usize = 64;
    const LEN: usize = FRAMES * 100;
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let mut frames = cut(LEN, &[100]);
        let (result, back) = stream.send_all_batch(frames.clone(), 1).await;
        assert_eq!((result.unwrap(), back.len()), (LEN, FRAMES));
        let after_batch = packets(&stream);
        let last = frames.pop().unwrap();
        for frame in frames {
            stream.write_all_more(frame).await.0.unwrap();
        }
        stream.write_all(last).await.0.unwrap();
        let after_frames = packets(&stream);
        // One each, unless this thread was kept from running for as long as the kernel waits.
        assert!((1..32).contains(&after_batch), "{after_batch}");
        assert!((1..32).contains(&(after_frames - after_batch)), "{after_frames}");
        let mut got = vec![0; 2 * LEN];
        let got = blocking(move || peer.read_exact(&mut got).map(|()| got)).await.unwrap();
        assert!(got == pattern(LEN).repeat(2), "{} bytes", got.len());
    });
}

#[test]
fn the_futures_may_be_moved_to_other_threads() {
    fn is_send<T: Send>(_: &T) {}
    on_shard(async {
        let (stream, _peer) = small_unix_pair();
        is_send(&stream.send_all_batch(vec![vec![1u8]], 1));
        is_send(&stream.write_all_more(vec![1u8]));
        let call: Pin<Box<dyn Future<Output = _> + Send>> =
            Box::pin(stream.call(vec![1u8], vec![0u8; 1]));
        drop(call);
    });
}
