//! Peers that close, reset or stall in the middle: what they sent comes first, then the error that
//! the documentation names, and nothing hangs.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener as StdListener, TcpStream as StdStream};
use std::os::unix::net::UnixStream as StdUnix;
use std::time::Duration;

use socket2::SockRef;
use spargio::IoBuf as _;
use spargio::io::framed::{FramedRead, LengthDelimitedCodec};
use spargio::io::{AsyncReadExt as _, AsyncWrite as _, BufReader, copy, pipe};
use spargio::net::{
    AsyncFd, BatchError, Family, Stream, TcpListener, TcpStream, UdpSocket, UnixStream,
};

use super::knobs::{Kind, Knobs};
use super::streams::{is_passing, shrink};
use super::{Dice, Ground, UNKIND, torment};

const KNOBS: Knobs = Knobs { interrupt: 6, ..UNKIND };
const BITES: &[Kind] = &[Kind::Short, Kind::Declined, Kind::Delayed, Kind::Interrupted];

/// A connection with little room; the peer is of the standard library.
fn tcp(ground: &Ground) -> (TcpStream, StdStream) {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let peer = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    let own = listener.accept().unwrap().0;
    shrink(&own);
    shrink(&peer);
    (TcpStream::from_std_on(&ground.handle, own).unwrap(), peer)
}

fn unix(ground: &Ground) -> (UnixStream, StdUnix) {
    let (own, peer) = StdUnix::pair().unwrap();
    shrink(&own);
    shrink(&peer);
    (UnixStream::from_std_on(&ground.handle, own).unwrap(), peer)
}

/// Closes with a reset.
fn reset(peer: StdStream) {
    SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
}

/// Reads single pieces to the end, or to the error.
async fn read_out<F: Family>(stream: &Stream<F>, ground: &Ground) -> (Vec<u8>, io::Result<()>) {
    let mut got = Vec::new();
    loop {
        let (result, buf) = stream.read(ground.yard.buffer(70)).await;
        match result {
            Ok(0) => return (got, Ok(())),
            Ok(count) => got.extend_from_slice(&buf.as_init()[..count]),
            Err(error) if is_passing(&error) => {}
            Err(error) => return (got, Err(error)),
        }
    }
}

/// The same from provided buffers.
async fn stream_out<F: Family>(stream: &Stream<F>) -> (Vec<u8>, io::Result<()>) {
    let mut got = Vec::new();
    let mut incoming = stream.recv_stream().limit(2);
    loop {
        match incoming.next().await {
            None => return (got, Ok(())),
            Some(Ok(bytes)) => got.extend_from_slice(&bytes),
            Some(Err(error)) => return (got, Err(error)),
        }
    }
}

/// The error of a write to who is gone.
fn assert_gone(error: &io::Error) {
    let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(kinds.contains(&error.kind()), "{error}");
}

#[test]
fn an_end_comes_behind_what_was_sent() {
    torment("peers::an_end_comes_behind_what_was_sent", KNOBS, BITES, |ground| async move {
        let data = ground.dice().bytes(3_000);
        for way in 0..5 {
            let (stream, mut peer) = tcp(&ground);
            peer.write_all(&data).unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            match way {
                0 => {
                    let (got, end) = read_out(&stream, &ground).await;
                    end.unwrap();
                    assert!(got == data);
                }
                1 => {
                    let (got, end) = stream_out(&stream).await;
                    end.unwrap();
                    assert!(got == data);
                }
                2 => {
                    let buf = Vec::with_capacity(4_000);
                    let (result, buf) = stream.read_exact(buf.slice(..4_000)).await;
                    assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
                    assert!(*buf.as_init() == data[..], "what came before the end");
                }
                3 => {
                    let mut all = Vec::new();
                    let mut reader = stream.clone();
                    assert_eq!(copy(&mut reader, &mut all).await.unwrap(), 3_000);
                    assert!(all == data);
                }
                _ => {
                    let mut reader = BufReader::with_capacity(64, stream.clone());
                    let (result, all) = reader.read_to_end(Vec::new()).await;
                    assert_eq!(result.unwrap(), 3_000);
                    assert!(all == data);
                }
            }
            // The other direction goes on.
            stream.write_all("heard").await.0.unwrap();
            let mut heard = [0; 5];
            peer.read_exact(&mut heard).unwrap();
            assert_eq!(heard, *b"heard");
        }
        // In the middle of a frame.
        let (stream, mut peer) = unix(&ground);
        peer.write_all(&[0, 0, 0, 2, b'o', b'k', 0, 0, 0, 9, b'b']).unwrap();
        drop(peer);
        let mut frames = FramedRead::new(stream, LengthDelimitedCodec::default());
        assert_eq!(frames.next().await.unwrap().unwrap(), b"ok");
        let error = frames.next().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{error}");
    });
}

#[test]
fn a_reset_comes_behind_what_was_sent_and_ends_reads_and_writes() {
    const NAME: &str = "peers::a_reset_comes_behind_what_was_sent_and_ends_reads_and_writes";
    torment(NAME, KNOBS, BITES, |ground| async move {
        let data = ground.dice().bytes(2_000);
        for way in 0..4 {
            let (stream, mut peer) = tcp(&ground);
            peer.write_all(&data).unwrap();
            let own = stream.clone();
            let lent = ground.clone();
            // A read that waits, or one that begins behind the reset.
            let read = async move {
                if way % 2 == 0 { read_out(&own, &lent).await } else { stream_out(&own).await }
            };
            let reader = ground.handle.spawn_stealable(read).unwrap();
            if way < 2 {
                reset(peer);
            } else {
                while !reader.is_finished() && has_unread(&stream) {
                    spargio::yield_now().await;
                }
                reset(peer);
            }
            let (got, end) = reader.await.unwrap();
            assert!(data.starts_with(&got), "{} bytes of what was sent", got.len());
            assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
            // After it was told once, the system says that it is over.
            let (rest, end) = read_out(&stream, &ground).await;
            assert!(rest.is_empty() && end.is_ok());
            for _ in 0..2 {
                assert_gone(&stream.write_all("x").await.0.unwrap_err());
            }
            assert_gone(&stream.send_zc("x").await.0.unwrap_err());
            let (sent, received) = stream.call("x", vec![0]).await;
            assert_gone(&sent.0.unwrap_err());
            let is_over = match received.0 {
                Ok(count) => count == 0,
                Err(error) => error.raw_os_error() == Some(libc::ECANCELED) || is_passing(&error),
            };
            assert!(is_over);
        }
    });
}

/// Whether bytes wait in the socket.
fn has_unread<F: Family>(stream: &Stream<F>) -> bool {
    SockRef::from(stream).peek(&mut [std::mem::MaybeUninit::uninit()]).is_ok()
}

#[test]
fn writers_to_a_peer_that_stalls_wait_and_end_when_it_is_gone() {
    const NAME: &str = "peers::writers_to_a_peer_that_stalls_wait_and_end_when_it_is_gone";
    const LEN: usize = 1 << 19;
    torment(NAME, KNOBS, &[Kind::Declined, Kind::Delayed], |ground| async move {
        for way in 0..6 {
            let (stream, peer) = tcp(&ground);
            let (near, far) = unix(&ground);
            let write = |way: usize, ground: Ground| async move {
                if way.is_multiple_of(2) {
                    fill(stream, way / 2, &ground).await
                } else {
                    fill(near, way / 2, &ground).await
                }
            };
            let mut writer = ground.handle.spawn_stealable(write(way, ground.clone())).unwrap();
            // It has sent something, and waits.
            let waits = spargio::timeout(Duration::from_millis(5), &mut writer).await;
            assert!(waits.is_err(), "{LEN} bytes do not fit");
            reset(peer);
            drop(far);
            let (error, sent) = writer.await.unwrap();
            assert_gone(&error);
            assert!(sent < LEN);
        }
    });

    /// Writes until it fails. The error, and how much was sent as far as that is known.
    async fn fill<F: Family>(stream: Stream<F>, way: usize, ground: &Ground) -> (io::Error, usize) {
        let data = ground.dice().bytes(LEN);
        match way {
            0 => (stream.write_all(ground.yard.filled(&data)).await.0.unwrap_err(), 0),
            1 => {
                let parts = data.chunks(5_000).map(|part| ground.yard.filled(part)).collect();
                let error = stream.send_all_batch(parts, 16).await.0.unwrap_err();
                let sent = BatchError::of(&error).unwrap().sent();
                (error, sent)
            }
            _ => (stream.send_zc(ground.yard.filled(&data)).await.0.unwrap_err(), 0),
        }
    }
}

#[test]
fn readers_of_a_peer_that_stalls_give_up_and_go_on_where_they_were() {
    const NAME: &str = "peers::readers_of_a_peer_that_stalls_give_up_and_go_on_where_they_were";
    const BITES: &[Kind] = &[Kind::Short, Kind::Declined, Kind::Delayed, Kind::LateCancel];
    torment(NAME, UNKIND, BITES, |ground| async move {
        let pause = Duration::from_micros(300);
        let (stream, mut peer) = tcp(&ground);
        let mut dice = Dice::new(ground.seed);
        let data = dice.bytes(3_000);
        let (mut sent, mut at) = (0, 0);
        let mut incoming = None;
        while at < data.len() {
            let end = data.len().min(sent + dice.below(60) as usize);
            peer.write_all(&data[sent..end]).unwrap();
            sent = end;
            let got = if dice.below(2) == 0 {
                incoming = None;
                let read = stream.read(ground.yard.buffer(1 + dice.below(90) as usize));
                let Ok((count, buf)) = spargio::timeout(pause, read).await else { continue };
                buf.as_init()[..count.unwrap()].to_vec()
            } else {
                let many = incoming.get_or_insert_with(|| stream.recv_stream());
                let Ok(bytes) = spargio::timeout(pause, many.next()).await else { continue };
                bytes.unwrap().unwrap().to_vec()
            };
            assert!(data[at..at + got.len()] == got, "{} bytes at {at}", got.len());
            at += got.len();
        }
        // An end of our own ends a read that waits.
        drop(incoming);
        let reader = stream.clone();
        let waits = ground.handle.spawn_stealable(async move { reader.read(vec![0]).await.0 });
        spargio::yield_now().await;
        stream.shutdown(Shutdown::Both).await.unwrap();
        assert_eq!(waits.unwrap().await.unwrap().unwrap(), 0);
        // Nobody comes.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert!(spargio::timeout(pause, listener.accept()).await.is_err());
        let late = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, from) = listener.accept().await.unwrap();
        assert_eq!(from, late.local_addr().unwrap());
        drop(accepted);
    });
}

#[test]
fn the_ends_of_others_are_told_too() {
    torment(
        "peers::the_ends_of_others_are_told_too",
        UNKIND,
        &[Kind::Delayed],
        |ground| async move {
            // Pipes.
            let (mut reader, mut writer) = pipe().unwrap();
            writer.write_all("last").await.0.unwrap();
            drop(writer);
            let (result, all) = reader.read_to_end(Vec::new()).await;
            assert_eq!((result.unwrap(), &all[..]), (4, &b"last"[..]));
            let (reader, mut writer) = pipe().unwrap();
            let full = ground.handle.spawn_stealable(async move {
                writer.write_all(vec![1; 1 << 17]).await.0.unwrap_err().kind()
            });
            spargio::yield_now().await;
            drop(reader);
            assert_eq!(full.unwrap().await.unwrap(), ErrorKind::BrokenPipe);
            // Unix streams: with bytes that the peer has not read, and without.
            let (stream, peer) = unix(&ground);
            stream.write_all("unread").await.0.unwrap();
            drop(peer);
            let (_, end) = read_out(&stream, &ground).await;
            assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
            assert_gone(&stream.write_all("x").await.0.unwrap_err());
            let (stream, peer) = unix(&ground);
            drop(peer);
            read_out(&stream, &ground).await.1.unwrap();
            let fd = std::fs::File::open("/dev/null").unwrap();
            assert_gone(&stream.send_fds("x", [fd.into()]).await.0.unwrap_err());
            // Nobody at the address.
            let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.connect(nobody).await.unwrap();
            socket.send("x").await.0.unwrap();
            let error = socket.recv(ground.yard.buffer(9)).await.0.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            let nobody = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let error = TcpStream::connect(nobody).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
            // A descriptor of somebody else's.
            let (own, peer) = StdUnix::pair().unwrap();
            own.set_nonblocking(true).unwrap();
            let own = AsyncFd::new(own).unwrap();
            drop(peer);
            assert!(own.readable().await.unwrap().ready().is_read_closed());
        },
    );
}

#[test]
fn a_stream_of_buffers_is_told_of_nothing_that_passes() {
    const NAME: &str = "peers::a_stream_of_buffers_is_told_of_nothing_that_passes";
    const BITES: &[Kind] = &[Kind::Again, Kind::Interrupted, Kind::Starved, Kind::Delayed];
    const LEN: usize = 30_000;
    let knobs = Knobs { again: 3, interrupt: 3, starve: 3, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        let data = ground.dice().bytes(LEN);
        let (stream, mut peer) = tcp(&ground);
        let sent = data.clone();
        let sender = std::thread::spawn(move || peer.write_all(&sent).unwrap());
        let (got, end) = stream_out(&stream).await;
        end.unwrap();
        assert!(got == data, "{} of {LEN} bytes", got.len());
        spargio::spawn_blocking(|| sender.join().unwrap()).unwrap().await.unwrap();
    });
}
