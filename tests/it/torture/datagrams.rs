//! Datagrams of both families: each comes whole or not at all, in order, and once.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::Poll;

use spargio::IoBuf as _;
use spargio::net::{Datagram, Envelope, Family, Ip, UdpSocket, Unix, UnixDatagram};

use super::knobs::{Kind, Knobs};
use super::streams::is_passing;
use super::{Dice, Ground, UNKIND, polled, torment};

/// Datagrams are not cut.
const WHOLE: Knobs = Knobs { byte: 0, short: 0, messages: false, starve: 0, ..UNKIND };

/// How two sockets that are connected to each other are made.
trait Pairs: Family {
    async fn pair(ground: &Ground) -> [Datagram<Self>; 2];
}

impl Pairs for Ip {
    async fn pair(ground: &Ground) -> [UdpSocket; 2] {
        let near = UdpSocket::bind_on(&ground.handle, "127.0.0.1:0").await.unwrap();
        let far = UdpSocket::bind_on(&ground.handle, "127.0.0.1:0").await.unwrap();
        near.connect(far.local_addr().unwrap()).await.unwrap();
        far.connect(near.local_addr().unwrap()).await.unwrap();
        [near, far]
    }
}

impl Pairs for Unix {
    async fn pair(ground: &Ground) -> [UnixDatagram; 2] {
        UnixDatagram::pair_on(&ground.handle).unwrap().into()
    }
}

/// A datagram that names its number.
fn datagram(number: u32) -> Vec<u8> {
    let mut dice = Dice::new(u64::from(number));
    let len = dice.below(900) as usize;
    [&number.to_le_bytes()[..], &dice.bytes(len)].concat()
}

/// Begins a receive that finds nothing, and returns when it has been put on the ring. `None` if it
/// has ended by then.
async fn armed<F: Future>(ground: &Ground, receive: F) -> Option<Pin<Box<F>>> {
    let entries = || ground.handle.stats_snapshot().total().sqes;
    let (before, mut receive) = (entries(), Box::pin(receive));
    let begun = poll_fn(|cx| Poll::Ready(receive.as_mut().poll(cx))).await;
    if begun.is_ready() {
        return None;
    }
    while entries() == before {
        spargio::yield_now().await;
    }
    Some(receive)
}

/// Each is sent when the one before has come: nothing is dropped for want of room.
async fn one_by_one<F: Pairs>(ground: Ground) {
    const COUNT: u32 = 150;
    let [near, far] = F::pair(&ground).await;
    let (mut dice, yard) = (ground.dice(), ground.yard.clone());
    let target = far.local_addr().unwrap();
    let is_connected_only = std::any::TypeId::of::<F>() == std::any::TypeId::of::<Unix>();
    for number in 0..COUNT {
        let bytes = datagram(number);
        let early = match dice.below(3) {
            0 => armed(&ground, far.recv(yard.buffer(1000))).await,
            _ => None,
        };
        // What was refused was not sent.
        loop {
            let buf = yard.filled(&bytes);
            let (sent, buf) = match dice.below(3) {
                0 if !is_connected_only => near.send_to(buf, target.clone()).await,
                1 => near.send_msg(buf, Envelope::new()).await,
                _ => near.send(buf).await,
            };
            assert!(buf.as_init() == bytes, "the buffer comes back as it was");
            match sent {
                Ok(count) => break assert_eq!(count, bytes.len()),
                Err(error) => assert!(is_passing(&error), "{error}"),
            }
        }
        // On the ring when its datagram comes, and called off then, or when it has told of it.
        let mut early = match early {
            Some(early) => polled(dice.below(3) as usize, early).await,
            None => None,
        };
        let came = loop {
            let buf = yard.buffer(1000);
            let (result, buf) = match dice.below(4) {
                _ if early.is_some() => early.take().unwrap(),
                0 => far.recv(buf).await,
                1 => {
                    let (result, buf) = far.recv_from(buf).await;
                    (result.map(|(count, _)| count), buf)
                }
                2 => {
                    let (result, buf) = far.recv_msg(buf).await;
                    (result.map(|came| came.len()), buf)
                }
                _ => match polled(dice.below(3) as usize, far.recv(buf)).await {
                    Some(received) => received,
                    None => continue,
                },
            };
            match result {
                Ok(count) => break buf.as_init()[..count].to_vec(),
                Err(error) => assert!(is_passing(&error), "{error}"),
            }
        };
        assert!(came == bytes, "datagram {number} of {} bytes", bytes.len());
    }
}

const BITES: &[Kind] =
    &[Kind::Declined, Kind::Interrupted, Kind::Again, Kind::Delayed, Kind::LateCancel, Kind::Won];

#[test]
fn udp_datagrams_come_once_whole_and_in_order() {
    const NAME: &str = "datagrams::udp_datagrams_come_once_whole_and_in_order";
    let knobs = Knobs { interrupt: 5, again: 5, ..WHOLE };
    torment(NAME, knobs, BITES, one_by_one::<Ip>);
}

#[test]
fn unix_datagrams_come_once_whole_and_in_order() {
    const NAME: &str = "datagrams::unix_datagrams_come_once_whole_and_in_order";
    let knobs = Knobs { interrupt: 5, again: 5, ..WHOLE };
    torment(NAME, knobs, BITES, one_by_one::<Unix>);
}

/// A sender that is faster than its receiver waits for room; both drop what they began, at any
/// stage. What was sent to its end comes, in order and once; what was dropped comes once or not at
/// all.
#[test]
fn dropped_sends_and_receives_lose_and_double_nothing() {
    const NAME: &str = "datagrams::dropped_sends_and_receives_lose_and_double_nothing";
    const COUNT: u32 = 300;
    let knobs = Knobs { interrupt: 8, ..WHOLE };
    torment(NAME, knobs, BITES_OF_DROPS, |ground| async move {
        let [near, far] = Unix::pair(&ground).await;
        let yard = ground.yard.clone();
        let mut dice = ground.dice();
        let sender = ground.handle.spawn_stealable(async move {
            let mut told = Vec::new();
            for number in 0..COUNT {
                let send = near.send(yard.filled(&datagram(number)));
                let times = [0, 1, 2, usize::MAX][dice.below(4) as usize];
                match polled(times, send).await {
                    Some((Ok(_), _)) => told.push(number),
                    Some((Err(error), _)) => assert_eq!(error.kind(), ErrorKind::Interrupted),
                    None => {}
                }
            }
            // The last is told apart by its length.
            while near.send(Vec::from(*b"end")).await.0.is_err() {}
            told
        });
        let mut dice = Dice::new(ground.seed + 7);
        let mut seen = Vec::new();
        loop {
            let receive = far.recv(ground.yard.buffer(1000));
            let times = [0, 1, 2, usize::MAX][dice.below(4) as usize];
            match polled(times, receive).await {
                Some((Ok(3), _)) => break,
                Some((Ok(count), buf)) => {
                    let bytes = &buf.as_init()[..count];
                    let number = u32::from_le_bytes(bytes[..4].try_into().unwrap());
                    assert!(bytes == datagram(number), "datagram {number} is another");
                    assert!(seen.last().is_none_or(|last| *last < number), "{number} in order");
                    seen.push(number);
                }
                Some((Err(error), _)) => assert_eq!(error.kind(), ErrorKind::Interrupted),
                None => spargio::yield_now().await,
            }
        }
        for number in sender.unwrap().await.unwrap() {
            assert!(seen.binary_search(&number).is_ok(), "{number} was sent and did not come");
        }
    });
}

/// Several at a time, into few buffers, by streams that are dropped at any stage, and by receives
/// that are called off between them.
async fn in_bursts<F: Pairs>(ground: Ground) {
    const COUNT: u32 = 400;
    const BURST: u32 = 8;
    let [near, far] = F::pair(&ground).await;
    let yard = ground.yard.clone();
    // What fits a buffer.
    let small = |number: u32| datagram(number)[..].iter().copied().take(90).collect::<Vec<_>>();
    let mut dice = ground.dice();
    for first in (0..COUNT).step_by(BURST as usize) {
        let mut sent = first;
        let mut next = first;
        let mut incoming = far.recv_stream().limit(dice.below(6) as usize);
        while next < first + BURST {
            while sent < first + BURST && dice.below(3) > 0 {
                match near.send(yard.filled(&small(sent))).await.0 {
                    Ok(_) => sent += 1,
                    Err(error) => assert!(is_passing(&error), "{error}"),
                }
            }
            if sent == next {
                continue;
            }
            let bytes = match dice.below(6) {
                0 => {
                    incoming = far.recv_stream().limit(dice.below(6) as usize);
                    continue;
                }
                1 => {
                    drop(incoming);
                    let mut receive = far.recv(yard.buffer(128));
                    let (times, is_patient) = (dice.below(2), dice.below(2) == 0);
                    let done = match times {
                        0 => None,
                        _ => polled(1, &mut receive).await,
                    };
                    if is_patient {
                        spargio::yield_now().await;
                    }
                    let (result, buf) = match done {
                        Some(done) => done,
                        None => receive.cancel().await,
                    };
                    incoming = far.recv_stream();
                    match result {
                        Ok(count) => buf.as_init()[..count].to_vec(),
                        Err(error) if error.raw_os_error() == Some(libc::ECANCELED) => continue,
                        Err(error) if is_passing(&error) => continue,
                        Err(error) => panic!("{error}"),
                    }
                }
                2 => match polled(1, std::pin::pin!(incoming.next())).await {
                    Some(item) => item.unwrap().1.to_vec(),
                    None => continue,
                },
                _ => incoming.next().await.unwrap().1.to_vec(),
            };
            assert!(bytes == small(next), "datagram {next}");
            next += 1;
        }
    }
}

const BITES_OF_BURSTS: &[Kind] = &[
    Kind::Declined,
    Kind::Interrupted,
    Kind::Again,
    Kind::Starved,
    Kind::Delayed,
    Kind::LateCancel,
];

#[test]
fn udp_datagrams_of_streams_come_once_whole_and_in_order() {
    const NAME: &str = "datagrams::udp_datagrams_of_streams_come_once_whole_and_in_order";
    let knobs = Knobs { interrupt: 5, again: 5, starve: 5, ..WHOLE };
    torment(NAME, knobs, BITES_OF_BURSTS, in_bursts::<Ip>);
}

#[test]
fn unix_datagrams_of_streams_come_once_whole_and_in_order() {
    const NAME: &str = "datagrams::unix_datagrams_of_streams_come_once_whole_and_in_order";
    let knobs = Knobs { interrupt: 5, again: 5, starve: 5, ..WHOLE };
    torment(NAME, knobs, BITES_OF_BURSTS, in_bursts::<Unix>);
}

const BITES_OF_DROPS: &[Kind] =
    &[Kind::Declined, Kind::Interrupted, Kind::Delayed, Kind::LateCancel, Kind::Won];

/// One that starts over for ever, because the ring answers `EAGAIN` each time, ends all the same.
#[test]
fn a_receive_that_starts_over_is_called_off() {
    const NAME: &str = "datagrams::a_receive_that_starts_over_is_called_off";
    let knobs = Knobs { again: 1, ..WHOLE };
    torment(NAME, knobs, &[Kind::Again], |ground| async move {
        let [_near, far] = Unix::pair(&ground).await;
        for turns in 0..40 {
            let Some(mut receive) = armed(&ground, far.recv(ground.yard.buffer(16))).await else {
                panic!("nobody has sent anything");
            };
            for _ in 0..turns % 8 {
                spargio::yield_now().await;
                let polled = poll_fn(|cx| Poll::Ready(receive.as_mut().poll(cx))).await;
                assert!(polled.is_pending());
            }
            let receive = *Pin::into_inner(receive);
            let (result, _) = receive.cancel().await;
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
        }
    });
}

#[test]
fn descriptors_come_with_their_datagrams() {
    const NAME: &str = "datagrams::descriptors_come_with_their_datagrams";
    torment(NAME, WHOLE, &[Kind::Declined, Kind::Delayed], |ground| async move {
        let [near, far] = Unix::pair(&ground).await;
        for round in 0..40 {
            let count = round % 4;
            let open = |_| OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
            let envelope = Envelope::new().fds((0..count).map(open));
            let bytes = datagram(round);
            near.send_msg(ground.yard.filled(&bytes), envelope).await.0.unwrap();
            // One that is dropped leaves its datagram with the descriptors to the next, or nothing.
            let times = (round % 3) as usize;
            let early = polled(times, far.recv_msg(ground.yard.buffer(1000))).await;
            let (received, buf) = match early {
                Some(received) => received,
                None => far.recv_msg(ground.yard.buffer(1000)).await,
            };
            let mut received = received.unwrap();
            assert_eq!(buf.as_init()[..received.len()], bytes[..]);
            assert_eq!(received.take_fds().len(), count as usize, "round {round}");
        }
    });
}
