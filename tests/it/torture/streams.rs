//! Streams of both families, by every way to write and every way to read.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Shutdown};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use socket2::SockRef;
use spargio::net::{
    BatchError, Family, Listener, Stream, StreamSessionPolicy, TcpListener, TcpSocket, TcpStream,
    UnixListener, UnixStream,
};
use spargio::{IoBuf as _, JoinHandle};

use super::knobs::{Kind, Knobs};
use super::{Dice, Ground, UNKIND, torment};

/// So much room that most writes have to wait for some.
const ROOM: usize = 4096;

/// How streams are made.
pub(super) trait Pairs: Family {
    /// The two ends of a connection with little room.
    async fn pair(ground: &Ground) -> [Stream<Self>; 2];
}

/// Little room to send from. Not so little to receive to, because TCP sends to a window below the
/// size of a packet by a timer.
pub(super) fn shrink(socket: &impl AsFd) {
    SockRef::from(socket).set_send_buffer_size(ROOM).unwrap();
    SockRef::from(socket).set_recv_buffer_size(1 << 16).unwrap();
}

impl Pairs for spargio::net::Ip {
    async fn pair(ground: &Ground) -> [TcpStream; 2] {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let far = listener.accept().unwrap().0;
        [near, far].map(|own| {
            shrink(&own);
            TcpStream::from_std_on(&ground.handle, own).unwrap()
        })
    }
}

impl Pairs for spargio::net::Unix {
    async fn pair(ground: &Ground) -> [UnixStream; 2] {
        let (near, far) = UnixStream::pair_on(&ground.handle).unwrap();
        shrink(&near);
        shrink(&far);
        [near, far]
    }
}

/// Whether nothing was moved, and the same may be tried again.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

/// How much was moved, 0 if nothing was.
fn moved(result: io::Result<usize>) -> usize {
    match result {
        Ok(count) => {
            assert!(count > 0, "neither an error nor progress");
            count
        }
        Err(error) => {
            assert!(is_passing(&error), "{error}");
            0
        }
    }
}

/// Cuts bytes into buffers, some of them empty.
fn pieces(bytes: &[u8], dice: &mut Dice) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min(at + dice.below(200) as usize);
        pieces.push(bytes[at..end].to_vec());
        at = end;
    }
    pieces
}

/// Sends everything, in all ways, and then the end.
pub(super) async fn send_all<F: Family>(
    stream: Stream<F>,
    data: Vec<u8>,
    ground: Ground,
    most: u64,
) {
    let (mut dice, yard) = (Dice::new(ground.seed + 100), ground.yard);
    let mut at = 0;
    while at < data.len() {
        let end = data.len().min(at + 1 + dice.below(most) as usize);
        let part = &data[at..end];
        at = match dice.below(6) {
            0 => at + moved(stream.write(yard.filled(part)).await.0),
            1 => {
                stream.write_all(yard.filled(part)).await.0.unwrap();
                end
            }
            2 => {
                stream.write_all_more(yard.filled(part)).await.0.unwrap();
                end
            }
            3 => {
                stream.send_zc(yard.filled(part)).await.0.unwrap();
                end
            }
            window => {
                let window = [1, 2, 7, 5000][(window + dice.below(3)) as usize % 4];
                let parts = pieces(part, &mut dice);
                let bufs = parts.iter().map(|part| yard.filled(part)).collect();
                let (sent, bufs) = stream.send_all_batch(bufs, window).await;
                assert_eq!(sent.unwrap(), part.len());
                assert!(
                    bufs.iter().map(|buf| buf.as_init()).eq(parts.iter().map(|part| &part[..]))
                );
                end
            }
        };
    }
    // What is held back is sent before the end.
    stream.shutdown(Shutdown::Write).await.unwrap();
}

/// Receives everything, in all ways, and then the end.
pub(super) async fn receive_all<F: Family>(
    stream: Stream<F>,
    data: Vec<u8>,
    ground: Ground,
    most: u64,
) {
    let (mut dice, yard) = (Dice::new(ground.seed + 200), ground.yard);
    let mut at = 0;
    let check = |at: &mut usize, bytes: &[u8]| {
        let end = *at + bytes.len();
        assert!(data.get(*at..end) == Some(bytes), "{} bytes at {at}", bytes.len());
        *at = end;
    };
    while at < data.len() {
        let len = (data.len() - at).min(1 + dice.below(most) as usize);
        match dice.below(3) {
            0 => {
                let (result, buf) = stream.read(yard.buffer(len)).await;
                let count = moved(result);
                check(&mut at, &buf.as_init()[..count]);
                assert!(buf.as_init()[count..].iter().all(|byte| *byte == 0));
            }
            1 => {
                let (result, buf) = stream.read_exact(yard.buffer(len)).await;
                result.unwrap();
                check(&mut at, buf.as_init());
            }
            _ => {
                let mut incoming = stream.recv_stream().limit(dice.below(4) as usize);
                let mut held = Vec::new();
                for _ in 0..1 + dice.below(8) {
                    let Some(bytes) = incoming.next().await else { break };
                    let bytes = bytes.unwrap();
                    let from = at;
                    check(&mut at, &bytes);
                    held.push((from, bytes));
                }
                drop(incoming);
                for (from, bytes) in held {
                    assert!(data[from..from + bytes.len()] == bytes[..], "they stay as they are");
                }
            }
        }
    }
    assert_eq!(at, data.len());
    // (An end may be told again and again, also after it was interrupted.)
    loop {
        match stream.read(yard.buffer(1)).await.0 {
            Ok(count) => break assert_eq!(count, 0, "more than was sent"),
            Err(error) => assert!(is_passing(&error), "{error}"),
        }
    }
    assert!(stream.recv_stream().next().await.is_none());
}

/// Both directions at once, each end in two tasks.
async fn both_ways<F: Pairs>(ground: Ground, len: usize, most: u64) {
    let [near, far] = F::pair(&ground).await;
    let mut dice = ground.dice();
    let (there, back) = (dice.bytes(len), dice.bytes(len));
    let on = &ground.handle;
    let tasks: [JoinHandle<()>; 4] = [
        on.spawn_stealable(send_all(near.clone(), there.clone(), ground.clone(), most)).unwrap(),
        on.spawn_stealable(receive_all(far.clone(), there, ground.clone(), most)).unwrap(),
        on.spawn_stealable(send_all(far, back.clone(), ground.clone(), most)).unwrap(),
        on.spawn_stealable(receive_all(near, back, ground.clone(), most)).unwrap(),
    ];
    for task in tasks {
        task.await.unwrap();
    }
}

const BITES: &[Kind] = &[
    Kind::Byte,
    Kind::Short,
    Kind::Parts,
    Kind::Direct,
    Kind::Declined,
    Kind::Interrupted,
    Kind::Starved,
    Kind::Delayed,
    Kind::Overtaken,
    Kind::LateCancel,
];

#[test]
fn tcp_streams_lose_double_and_mix_up_nothing() {
    let knobs = Knobs { interrupt: 6, ..UNKIND };
    torment("streams::tcp_streams_lose_double_and_mix_up_nothing", knobs, BITES, |ground| {
        both_ways::<spargio::net::Ip>(ground, 100_000, 3_000)
    });
}

#[test]
fn unix_streams_lose_double_and_mix_up_nothing() {
    let knobs = Knobs { interrupt: 6, ..UNKIND };
    torment("streams::unix_streams_lose_double_and_mix_up_nothing", knobs, BITES, |ground| {
        both_ways::<spargio::net::Unix>(ground, 100_000, 3_000)
    });
}

#[test]
fn streams_go_byte_by_byte() {
    let knobs = Knobs { byte: 1, short: 2, decline: 2, ..UNKIND };
    const BITES: &[Kind] = &[Kind::Byte, Kind::Parts, Kind::Direct, Kind::Delayed];
    torment("streams::streams_go_byte_by_byte", knobs, BITES, |ground| async {
        both_ways::<spargio::net::Ip>(ground.clone(), 1_500, 300).await;
        both_ways::<spargio::net::Unix>(ground, 1_500, 300).await;
    });
}

/// Reads and writes that are refused, and say what they have moved before that.
async fn refused<F: Pairs>(ground: Ground) {
    const LEN: usize = 20_000;
    let [near, far] = F::pair(&ground).await;
    let data = ground.dice().bytes(LEN);
    let (expected, yard) = (data.clone(), ground.yard.clone());
    let reader = ground.handle.spawn_stealable(async move {
        let mut dice = Dice::new(300);
        let mut at = 0;
        while at < LEN {
            let len = (LEN - at).min(1 + dice.below(500) as usize);
            let (read, buf) = if dice.below(2) == 0 {
                let (result, buf) = far.read(Vec::with_capacity(len).slice(..len)).await;
                let count = moved(result);
                assert_eq!(buf.as_init().len(), count, "the buffer has what was received");
                (count, buf.into_inner())
            } else {
                let (result, buf) = far.read_exact(Vec::with_capacity(len).slice(..len)).await;
                if let Err(error) = result {
                    assert!(is_passing(&error), "{error}");
                }
                // Also after an error it has what came before.
                (buf.as_init().len(), buf.into_inner())
            };
            assert!(buf[..read] == expected[at..at + read], "{read} bytes at {at}");
            at += read;
        }
    });
    let mut dice = Dice::new(400);
    let mut at = 0;
    while at < LEN {
        let end = LEN.min(at + 1 + dice.below(500) as usize);
        at += if dice.below(2) == 0 {
            moved(near.write(yard.filled(&data[at..end])).await.0)
        } else {
            let bufs = pieces(&data[at..end], &mut dice);
            match near.send_all_batch(bufs, 3).await.0 {
                Ok(sent) => sent,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                    BatchError::of(&error).unwrap().sent()
                }
            }
        };
    }
    reader.unwrap().await.unwrap();
}

#[test]
fn what_is_refused_says_what_was_moved_before() {
    const NAME: &str = "streams::what_is_refused_says_what_was_moved_before";
    const BITES: &[Kind] = &[Kind::Again, Kind::Interrupted, Kind::Short, Kind::Parts];
    let knobs = Knobs { again: 3, interrupt: 5, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async {
        refused::<spargio::net::Ip>(ground.clone()).await;
        refused::<spargio::net::Unix>(ground).await;
    });
}

/// Calls whose replies come in pieces, and are all that comes.
async fn calls<F: Pairs>(ground: Ground) {
    let [near, far] = F::pair(&ground).await;
    let yard = ground.yard.clone();
    let server = ground.handle.spawn_stealable(async move {
        loop {
            let (result, header) = far.read_exact(Box::new([0; 4])).await;
            match result {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return,
                other => other.unwrap(),
            }
            let len = u32::from_le_bytes(*header) as usize;
            let (result, body) = far.read_exact(vec![0; len].into_boxed_slice()).await;
            result.unwrap();
            far.write_all(body).await.0.unwrap();
        }
    });
    let mut dice = ground.dice();
    for _ in 0..40 {
        let body = {
            let len = 1 + dice.below(6_000) as usize;
            dice.bytes(len)
        };
        let request = [&(body.len() as u32).to_le_bytes()[..], &body].concat();
        let (sent, (received, buf)) =
            near.call(yard.filled(&request), yard.buffer(body.len())).await;
        sent.0.unwrap();
        let mut got = buf.as_init()[..moved(received)].to_vec();
        while got.len() < body.len() {
            let (result, buf) = near.read(yard.buffer(body.len() - got.len())).await;
            got.extend_from_slice(&buf.as_init()[..moved(result)]);
        }
        assert!(got == body, "a reply of {} bytes", body.len());
    }
    near.shutdown(Shutdown::Write).await.unwrap();
    server.unwrap().await.unwrap();
}

#[test]
fn calls_get_their_own_replies() {
    const BITES: &[Kind] = &[Kind::Short, Kind::Interrupted, Kind::Delayed, Kind::Direct];
    let knobs = Knobs { interrupt: 6, ..UNKIND };
    torment("streams::calls_get_their_own_replies", knobs, BITES, |ground| async {
        calls::<spargio::net::Ip>(ground.clone()).await;
        calls::<spargio::net::Unix>(ground).await;
    });
}

/// Connections that are made and accepted, each once.
async fn accepted<F: Pairs, C>(ground: &Ground, listener: Listener<F>, connect: impl Fn() -> C)
where
    C: Future<Output = io::Result<Stream<F>>> + Send + 'static,
{
    const CLIENTS: u8 = 30;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|id| {
            let connect = connect();
            let client = async move {
                let stream = connect.await.unwrap();
                stream.write_all(vec![id; 9]).await.0.unwrap();
                let (result, reply) = stream.read_exact(Box::new([0; 9])).await;
                result.unwrap();
                assert_eq!(*reply, [!id; 9]);
            };
            ground.handle.spawn_stealable(client).unwrap()
        })
        .collect();
    let mut seen = Vec::new();
    let mut incoming = listener.incoming();
    for number in 0..CLIENTS {
        let (stream, _) = match number % 3 {
            0 => listener.accept().await.unwrap(),
            1 => {
                listener.accept_with_session_policy(StreamSessionPolicy::RoundRobin).await.unwrap()
            }
            _ => incoming.next().await.unwrap(),
        };
        let (result, id) = stream.read_exact(Box::new([0; 9])).await;
        result.unwrap();
        assert_eq!(*id, [id[0]; 9]);
        stream.write_all(vec![!id[0]; 9]).await.0.unwrap();
        seen.push(id[0]);
    }
    for client in clients {
        client.await.unwrap();
    }
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..CLIENTS), "each is accepted once");
    drop(incoming);
    listener.close().await;
}

#[test]
fn every_connection_is_accepted_once() {
    const NAME: &str = "streams::every_connection_is_accepted_once";
    const BITES: &[Kind] = &[Kind::Interrupted, Kind::Delayed, Kind::Short];
    let knobs = Knobs { interrupt: 3, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        accepted(&ground, listener, || TcpStream::connect(addr)).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        accepted(&ground, listener, || TcpSocket::new_v4().unwrap().connect(addr)).await;
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("spargio-torture-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let listener = UnixListener::bind(&path).await.unwrap();
        let to = path.clone();
        accepted(&ground, listener, || UnixStream::connect(to.clone())).await;
        assert!(!path.exists());
    });
}

#[test]
fn descriptors_come_with_their_bytes() {
    const BITES: &[Kind] = &[Kind::Declined, Kind::Delayed, Kind::Short];
    torment("streams::descriptors_come_with_their_bytes", UNKIND, BITES, |ground| async move {
        let [near, far] = spargio::net::Unix::pair(&ground).await;
        for round in 0..40_usize {
            let bytes = ground.dice().bytes(1 + round * 50);
            let fds = (0..round % 4).map(|_| std::fs::File::open("/dev/null").unwrap().into());
            let fds: Vec<OwnedFd> = fds.collect();
            let count = fds.len();
            let (sender, sent) = (near.clone(), bytes.clone());
            let send = ground
                .handle
                .spawn_stealable(async move { sender.send_fds(sent, fds).await.0.unwrap() });
            let (result, buf) = far.recv_fds(ground.yard.buffer(bytes.len()), 4).await;
            let (read, fds) = result.unwrap();
            assert_eq!(fds.len(), count, "with the first byte");
            let mut got = buf.as_init()[..read].to_vec();
            while got.len() < bytes.len() {
                let (result, buf) = far.read(ground.yard.buffer(bytes.len() - got.len())).await;
                got.extend_from_slice(&buf.as_init()[..moved(result)]);
            }
            assert!(got == bytes, "the bytes around them");
            send.unwrap().await.unwrap();
        }
    });
}

#[test]
fn descriptors_are_not_lost_when_there_is_nothing_to_be_had_yet() {
    const NAME: &str = "streams::descriptors_are_not_lost_when_there_is_nothing_to_be_had_yet";
    const BITES: &[Kind] = &[Kind::Again, Kind::Declined, Kind::Delayed];
    // What is not cut is sent by one operation, which starts over.
    let knobs = Knobs { byte: 0, short: 0, again: 2, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        let [near, far] = spargio::net::Unix::pair(&ground).await;
        for round in 1..60_usize {
            let bytes = vec![round as u8; round];
            let fd = std::fs::File::open("/dev/null").unwrap();
            near.send_fds(ground.yard.filled(&bytes), [fd.into()]).await.0.unwrap();
            let (result, buf) = far.recv_fds(ground.yard.buffer(100), 1).await;
            let (read, fds) = result.unwrap();
            assert_eq!((&buf.as_init()[..read], fds.len()), (&bytes[..], 1));
        }
    });
}
