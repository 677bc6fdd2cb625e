//! Every operation is dropped at each of its awaits: before its first poll, after one, after two,
//! until it is faster; and when it was woken and has not looked.

mod files;

use std::future::poll_fn;
use std::io::Write as _;
use std::net::{Shutdown, TcpListener as StdListener, TcpStream as StdStream};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::{io, thread};

use spargio::IoBuf as _;
use spargio::net::{
    Family, Ip, Stream, TcpListener, TcpStream, UdpSocket, Unix, UnixStream, lookup_host,
};
use spargio::sync::Notify;

use super::knobs::{Kind, Knobs};
use super::streams::Pairs;
use super::{Dice, Ground, UNKIND, polled, torment};

/// As [`polled`], and after the last poll waits until the future has something to tell.
async fn woken<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Drops the future after so many polls, or so much later.
pub(super) async fn dropped<F: Future>(times: usize, late: bool, future: F) -> Option<F::Output> {
    if late { woken(times, future).await } else { polled(times, future).await }
}

const BITES: &[Kind] = &[Kind::Short, Kind::Declined, Kind::Delayed, Kind::Overtaken];
const LATE: &[Kind] = &[Kind::Short, Kind::Declined, Kind::Delayed, Kind::LateCancel];
const WON: &[Kind] = &[Kind::Short, Kind::Declined, Kind::Delayed, Kind::LateCancel, Kind::Won];

/// Sends it in pieces, with pauses.
async fn trickle<F: Family>(stream: Stream<F>, data: Vec<u8>, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut at = 0;
    while at < data.len() {
        let end = data.len().min(at + 1 + dice.below(200) as usize);
        stream.write_all(data[at..end].to_vec()).await.0.unwrap();
        at = end;
        if dice.below(2) == 0 {
            spargio::yield_now().await;
        }
    }
    stream.shutdown(Shutdown::Write).await.unwrap();
}

/// Single reads, dropped after each number of polls by turns.
pub(super) async fn reads<F: Pairs>(ground: Ground) {
    const LEN: usize = 30_000;
    let [near, far] = F::pair(&ground).await;
    let data = ground.dice().bytes(LEN);
    let sender = ground.handle.spawn_stealable(trickle(near, data.clone(), ground.seed));
    let (mut dice, mut at) = (Dice::new(ground.seed + 9), 0);
    let mut incoming = None;
    let mut check = |bytes: &[u8]| {
        assert!(data.get(at..at + bytes.len()) == Some(bytes), "{} bytes at {at}", bytes.len());
        at += bytes.len();
    };
    for round in 0_usize.. {
        let (times, late) = (round % 5, round % 2 == 0);
        if dice.below(3) == 0 {
            let many = incoming.get_or_insert_with(|| far.recv_stream().limit(3));
            match dropped(times, late, many.next()).await {
                Some(None) => break,
                Some(Some(bytes)) => check(&bytes.unwrap()),
                None => {}
            }
            continue;
        }
        // It does the reading as long as it lives.
        incoming = None;
        let len = 1 + dice.below(300) as usize;
        match dropped(times, late, far.read(ground.yard.buffer(len))).await {
            Some((Ok(0), _)) => break,
            Some((Ok(count), buf)) => check(&buf.as_init()[..count]),
            Some((Err(error), _)) => panic!("{error}"),
            None => {}
        }
    }
    assert_eq!(at, LEN);
    sender.unwrap().await.unwrap();
}

#[test]
fn what_dropped_reads_bring_is_the_next_ones() {
    torment("cancel::what_dropped_reads_bring_is_the_next_ones", UNKIND, LATE, |ground| async {
        reads::<Ip>(ground.clone()).await;
        reads::<Unix>(ground).await;
    });
}

/// Exact reads, which take along what they have. What comes after that has no gap.
pub(super) async fn exact_reads<F: Pairs>(ground: Ground) {
    const LEN: usize = 40_000;
    const EXACT: usize = 200;
    const KNOWN: usize = 24;
    let [near, far] = F::pair(&ground).await;
    let data = ground.dice().bytes(LEN);
    let sender = ground.handle.spawn_stealable(trickle(near, data.clone(), ground.seed));
    let mut at = 0;
    let mut finished = 0;
    for times in (0..12).cycle() {
        if at + EXACT + KNOWN > LEN {
            break;
        }
        let read = far.read_exact(ground.yard.buffer(EXACT));
        if let Some((result, buf)) = dropped(times, times % 2 == 0, read).await {
            result.unwrap();
            assert!(*buf.as_init() == data[at..at + EXACT], "{EXACT} bytes at {at}");
            at += EXACT;
            finished += 1;
            continue;
        }
        let (result, known) = far.read_exact(vec![0; KNOWN].into_boxed_slice()).await;
        result.unwrap();
        let lost = data[at..at + EXACT + KNOWN].windows(KNOWN).position(|part| part == &*known);
        at += lost.expect("what comes next is what was sent next") + KNOWN;
    }
    assert!(finished > 0, "none was ever faster");
    let (result, rest) = far.read_exact(vec![0; LEN - at].into_boxed_slice()).await;
    result.unwrap();
    assert!(*rest == data[at..], "the rest");
    sender.unwrap().await.unwrap();
}

#[test]
fn exact_reads_take_along_what_they_have_and_no_more() {
    const NAME: &str = "cancel::exact_reads_take_along_what_they_have_and_no_more";
    torment(NAME, UNKIND, BITES, |ground| async {
        exact_reads::<Ip>(ground.clone()).await;
        exact_reads::<Unix>(ground).await;
    });
}

/// Begins a record, and is nowhere else.
const MARK: u8 = 0xf0;

/// A record that names its number.
fn record(number: u8, len: usize) -> Vec<u8> {
    let mut dice = Dice::new(u64::from(number) + 1_000);
    let mut bytes = dice.bytes(len);
    bytes.iter_mut().for_each(|byte| *byte %= MARK);
    [&[MARK, number][..], &bytes].concat()
}

/// The ways to write.
#[derive(Clone, Copy, Debug)]
enum Way {
    Write,
    All,
    More,
    Batch,
    ZeroCopy,
}

/// Writes the record in this way. How much was written.
async fn write<F: Family>(
    stream: &Stream<F>,
    way: Way,
    record: &[u8],
    ground: &Ground,
) -> io::Result<usize> {
    let buf = ground.yard.filled(record);
    let all = |result: io::Result<()>| result.map(|()| record.len());
    match way {
        Way::Write => stream.write(buf).await.0,
        Way::All => all(stream.write_all(buf).await.0),
        Way::More => all(stream.write_all_more(buf).await.0),
        Way::ZeroCopy => all(stream.send_zc(buf).await.0),
        Way::Batch => {
            let parts = record.chunks(170).map(|part| ground.yard.filled(part)).collect();
            stream.send_all_batch(parts, 3).await.0
        }
    }
}

/// Each way, dropped after each number of polls until it is faster; between, a whole record.
pub(super) async fn writes<F: Pairs>(ground: Ground) {
    for way in [Way::Write, Way::All, Way::More, Way::Batch, Way::ZeroCopy] {
        let [near, far] = F::pair(&ground).await;
        let reader = ground.handle.spawn_stealable(async move {
            let mut all = Vec::new();
            loop {
                let (result, buf) = far.read(vec![0; 300].into_boxed_slice()).await;
                match result.unwrap() {
                    0 => return all,
                    count => all.extend_from_slice(&buf[..count]),
                }
                spargio::yield_now().await;
            }
        });
        let mut written = Vec::new();
        let mut number = 0;
        for late in [false, true] {
            for times in 0..40 {
                let long = record(number, 3_000);
                let end = dropped(times, late, write(&near, way, &long, &ground)).await;
                let told = end.map(Result::unwrap);
                written.push((long, if times == 0 { Some(0) } else { told }));
                let short = record(number + 1, 5);
                let len = short.len();
                assert_eq!(write(&near, Way::All, &short, &ground).await.unwrap(), len);
                written.push((short, Some(len)));
                number += 2;
                if told.is_some() {
                    break;
                }
            }
        }
        near.shutdown(Shutdown::Write).await.unwrap();
        let all = reader.unwrap().await.unwrap();
        check_records(&all, &written, way);
    }
}

/// What came is, in order: of each record that was told written as much as was told, and of the
/// others a beginning.
fn check_records(all: &[u8], written: &[(Vec<u8>, Option<usize>)], way: Way) {
    let mut at = 0;
    for (number, (record, told)) in written.iter().enumerate() {
        let rest = &all[at..];
        let same = rest.iter().zip(record).take_while(|(came, sent)| came == sent).count();
        let same = match rest.get(1) {
            // A mark alone: of this record, if another follows, else of one behind it.
            Some(next) if same == 1 => usize::from(*next == MARK),
            _ => same,
        };
        if let Some(told) = told {
            assert_eq!(same, *told, "{way:?}: record {number} at byte {at}");
        }
        at += same;
    }
    assert_eq!(at, all.len(), "{way:?}: bytes that nobody wrote");
}

#[test]
fn of_dropped_writes_a_beginning_comes_and_later_ones_come_later() {
    const NAME: &str = "cancel::of_dropped_writes_a_beginning_comes_and_later_ones_come_later";
    torment(NAME, UNKIND, WON, |ground| async {
        writes::<Ip>(ground.clone()).await;
        writes::<Unix>(ground).await;
    });
}

/// Calls to one who gives back what comes: all that he gave back is received, once and in order.
pub(super) async fn calls<F: Pairs>(ground: Ground) {
    let [near, far] = F::pair(&ground).await;
    // One task takes what comes, another gives it back: neither waits for the other.
    let log = Arc::<Mutex<Vec<u8>>>::default();
    let news = Arc::<Notify>::default();
    let (taker, came, told) = (far.clone(), Arc::clone(&log), Arc::clone(&news));
    let taker = ground.handle.spawn_stealable(async move {
        loop {
            let (result, buf) = taker.read(Vec::with_capacity(100)).await;
            let is_over = result.unwrap() == 0;
            // The end is told like an empty piece.
            came.lock().unwrap().extend_from_slice(&buf);
            told.notify_one();
            if is_over {
                return;
            }
        }
    });
    let taker = taker.unwrap();
    let back = Arc::clone(&log);
    let giver = ground.handle.spawn_stealable(async move {
        let mut at = 0;
        loop {
            let piece = back.lock().unwrap()[at..].to_vec();
            if piece.is_empty() {
                if back.lock().unwrap().ends_with(b"end") {
                    return far.shutdown(Shutdown::Write).await.unwrap();
                }
                news.notified().await;
            }
            at += piece.len();
            far.write_all(piece).await.0.unwrap();
        }
    });
    let mut got = Vec::new();
    for round in 0..120 {
        let times = round % 8;
        let request = ground.dice().bytes(1 + 7 * round);
        let call = near.call(ground.yard.filled(&request), ground.yard.buffer(400));
        if let Some((sent, (received, buf))) = dropped(times, round % 2 == 0, call).await {
            sent.0.unwrap();
            got.extend_from_slice(&buf.as_init()[..received.unwrap()]);
        }
    }
    // What the last one sent may have to be cancelled first.
    near.write_all("end").await.0.unwrap();
    near.shutdown(Shutdown::Write).await.unwrap();
    loop {
        let (result, buf) = near.read(ground.yard.buffer(500)).await;
        match result.unwrap() {
            0 => break,
            count => got.extend_from_slice(&buf.as_init()[..count]),
        }
    }
    taker.await.unwrap();
    giver.unwrap().await.unwrap();
    assert!(got == *log.lock().unwrap(), "what was given back");
    assert!(got.ends_with(b"end"));
}

#[test]
fn replies_to_dropped_calls_are_the_next_readers() {
    const NAME: &str = "cancel::replies_to_dropped_calls_are_the_next_readers";
    torment(NAME, UNKIND, LATE, |ground| async {
        calls::<Ip>(ground.clone()).await;
        calls::<Unix>(ground).await;
    });
}

#[test]
fn dropped_accepts_leave_the_connection_and_dropped_connects_none() {
    const NAME: &str = "cancel::dropped_accepts_leave_the_connection_and_dropped_connects_none";
    const CLIENTS: u8 = 60;
    const BITES: &[Kind] = &[Kind::Delayed, Kind::LateCancel, Kind::Interrupted];
    let knobs = Knobs { interrupt: 5, ..UNKIND };
    torment(NAME, knobs, BITES, |_| async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let clients = thread::spawn(move || {
            let connect = |id| {
                let mut client = StdStream::connect(addr).unwrap();
                client.write_all(&[id]).unwrap();
                client
            };
            (0..CLIENTS).map(connect).collect::<Vec<_>>()
        });
        let mut seen = Vec::new();
        for round in 0_usize.. {
            if seen.len() == usize::from(CLIENTS) {
                break;
            }
            let accept = listener.accept();
            if let Some(accepted) = dropped(round % 4, false, accept).await {
                let (result, id) = accepted.unwrap().0.read_exact(Box::new([0])).await;
                result.unwrap();
                seen.push(id[0]);
            } else {
                spargio::yield_now().await;
            }
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..CLIENTS), "each once");
        drop(clients.join().unwrap());
        listener.close().await;

        let target = StdListener::bind("127.0.0.1:0").unwrap();
        let addr = target.local_addr().unwrap();
        for late in [false, true] {
            for times in 0.. {
                let by_addr = dropped(times, late, TcpStream::connect(addr)).await.is_some();
                let name = ("localhost", addr.port());
                let by_name = dropped(times, late, TcpStream::connect(name)).await.is_some();
                let found = dropped(times, late, lookup_host(name)).await.is_some();
                let bound = dropped(times, late, UdpSocket::bind(name)).await.is_some();
                if by_addr && by_name && found && bound {
                    break;
                }
            }
        }
    });
}

#[test]
fn descriptors_of_dropped_receives_are_the_next_ones() {
    const NAME: &str = "cancel::descriptors_of_dropped_receives_are_the_next_ones";
    torment(NAME, UNKIND, BITES, |ground| async move {
        let [near, far]: [UnixStream; 2] = Unix::pair(&ground).await;
        for round in 0..40_usize {
            let bytes = vec![round as u8; 1 + 13 * round];
            let open = |_| OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
            let fds: Vec<OwnedFd> = (0..round % 4).map(open).collect();
            let count = fds.len();
            let (sender, sent) = (near.clone(), bytes.clone());
            let send = async move { sender.send_fds(sent, fds).await.0.unwrap() };
            let send = ground.handle.spawn_stealable(send).unwrap();
            let (mut got, mut came) = (0, 0);
            for times in (0..4).cycle() {
                let room = ground.yard.buffer(bytes.len() - got);
                let received = dropped(times, times % 2 == 0, far.recv_fds(room, 4)).await;
                let Some((received, buf)) = received else { continue };
                let (read, fds) = received.unwrap();
                assert_eq!(buf.as_init()[..read], bytes[got..got + read]);
                got += read;
                came += fds.len();
                if got == bytes.len() {
                    break;
                }
            }
            assert_eq!(came, count, "round {round}");
            send.await.unwrap();
        }
    });
}
