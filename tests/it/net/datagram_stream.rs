//! Streams of datagrams of both families: each comes once, whole and in order, no buffer is lost,
//! and nobody waits for a buffer that somebody else holds.

mod beside;

use std::io::ErrorKind;
use std::task::Poll;
use std::time::Duration;

use spargio::Runtime;
use spargio::net::{Datagram, DatagramStream, Ip, Received, RecvBuf};

use super::datagrams::{Dice, Kind, arm, pair, recv};
use super::recv_stream::{leased, small, with, with_each};
use super::{poll_once, yield_now};
use crate::support::{SOON, elsewhere, wait_until, watched};

/// Makes a test of each function, for each family.
macro_rules! for_both {
    ($($name:ident)*) => {
        mod udp {
            $(#[test] fn $name() { super::$name::<spargio::net::Ip>(); })*
        }
        mod unix {
            $(#[test] fn $name() { super::$name::<spargio::net::Unix>(); })*
        }
    };
}

for_both! {
    datagrams_come_whole_in_order_and_with_their_sender
    one_receive_brings_many_into_buffers_of_the_shard
    a_burst_larger_than_the_pool_comes_whole
    datagrams_go_on_while_all_buffers_are_held
    one_that_is_larger_than_a_buffer_says_so
    buffers_too_small_for_an_address_are_not_used
    what_a_dropped_stream_has_received_is_for_the_next_receive
    receives_of_all_kinds_by_turns_lose_no_datagram
    a_stream_that_nobody_polls_stops_receiving
    a_stream_goes_on_on_another_shard_and_off_all_shards
    a_socket_is_given_away_after_its_stream
    buffers_outlive_their_runtime_and_nothing_is_left_of_an_armed_receive
    a_runtime_that_ended_says_so
}

fn from_number(number: u32) -> Vec<u8> {
    let len = number as usize * 7 % 100;
    [&number.to_le_bytes()[..], &vec![number as u8; len]].concat()
}

/// The next datagram is this one.
async fn expect<K: Kind>(incoming: &mut DatagramStream<K>, bytes: &[u8]) -> Received<K> {
    let (received, came) = incoming.next().await.unwrap();
    assert_eq!(came[..], *bytes);
    assert_eq!((received.len(), received.full_len()), (bytes.len(), bytes.len()));
    received
}

/// Sends these numbers from a task of its own.
fn send_all<K: Kind>(near: Datagram<K>, numbers: std::ops::Range<u32>) -> spargio::JoinHandle<()> {
    spargio::spawn(async move {
        for number in numbers {
            near.send(from_number(number)).await.0.unwrap();
        }
    })
    .unwrap()
}

/// An address that can be compared.
fn text<K: Kind>(addr: &K::Addr) -> String {
    format!("{addr:?}")
}

fn datagrams_come_whole_in_order_and_with_their_sender<K: Kind>() {
    with_each(|_| async {
        let (near, far) = pair::<K>().await;
        let mut incoming = far.recv_stream();
        for round in 0..50_usize {
            let sent = [0, 1, 100].map(|len| vec![round as u8; len]);
            for bytes in &sent {
                near.send(bytes.clone()).await.0.unwrap();
            }
            for bytes in &sent {
                let received = expect(&mut incoming, bytes).await;
                assert_eq!(text::<K>(received.from()), text::<K>(&near.local_addr().unwrap()));
                assert!(!received.is_cut());
            }
            // One that is waited for.
            let mut waits = Box::pin(incoming.next());
            assert!(poll_once(&mut waits).await.is_pending());
            near.send("late").await.0.unwrap();
            assert_eq!(&waits.await.unwrap().1[..], b"late");
        }
    });
}

fn one_receive_brings_many_into_buffers_of_the_shard<K: Kind>() {
    with(Runtime::builder().shards(1), |handle| async move {
        let (near, far) = pair::<K>().await;
        let mut incoming = far.recv_stream();
        let before = handle.stats_snapshot().total().ops_submitted;
        for number in 0..200 {
            near.send(from_number(number)).await.0.unwrap();
            let (_, bytes) = incoming.next().await.unwrap();
            assert!(bytes.is_provided());
            assert_eq!(bytes[..], from_number(number));
        }
        let stats = handle.stats_snapshot().total();
        assert_eq!(stats.recv_unprovided, 0);
        assert_eq!(stats.ops_submitted - before, 1, "{stats:?}");
    });
}

fn a_burst_larger_than_the_pool_comes_whole<K: Kind>() {
    with_each(|_| async {
        let (near, far) = pair::<K>().await;
        let mut incoming = far.recv_stream();
        for limit in [1, 3, 16, 1000] {
            incoming = incoming.limit(limit);
            let sender = send_all(near.clone(), 0..60);
            for number in 0..60 {
                expect(&mut incoming, &from_number(number)).await;
            }
            sender.await.unwrap();
        }
        assert!(poll_once(&mut Box::pin(incoming.next())).await.is_pending(), "one came twice");
    });
}

fn datagrams_go_on_while_all_buffers_are_held<K: Kind>() {
    with(small(1), |handle| async move {
        let (near, far) = pair::<K>().await;
        let mut incoming = far.recv_stream();
        let mut held: Vec<RecvBuf> = Vec::new();
        for number in 0..20 {
            near.send(from_number(number)).await.0.unwrap();
            held.push(incoming.next().await.unwrap().1);
        }
        assert_eq!(leased(&handle), 4);
        assert_eq!(held.iter().filter(|bytes| bytes.is_provided()).count(), 4);
        for (number, bytes) in (0..).zip(&held) {
            assert_eq!(bytes[..], from_number(number));
        }
        drop(held);
        // They are used again.
        let mut again = 0;
        for number in 0..20 {
            near.send(from_number(number)).await.0.unwrap();
            again += usize::from(incoming.next().await.unwrap().1.is_provided());
        }
        assert!(again > 10, "{again} of 20 receives into provided buffers");
    });
}

fn one_that_is_larger_than_a_buffer_says_so<K: Kind>() {
    with_each(|_| async {
        let (near, far) = pair::<K>().await;
        let mut incoming = far.recv_stream();
        let mut held = Vec::new();
        // Into provided buffers, and when there are none.
        for _ in 0..10 {
            near.send(vec![7; 20_000]).await.0.unwrap();
            near.send("whole").await.0.unwrap();
            let (received, bytes) = incoming.next().await.unwrap();
            assert!(received.is_cut());
            assert_eq!((received.len(), received.full_len()), (bytes.len(), 20_000));
            let head =
                if std::any::TypeId::of::<K>() == std::any::TypeId::of::<Ip>() { 48 } else { 128 };
            assert!([256 - head, 16_384 - head].contains(&bytes.len()), "{}", bytes.len());
            assert!(bytes.iter().all(|byte| *byte == 7));
            held.push(bytes);
            expect(&mut incoming, b"whole").await;
        }
    });
}

fn buffers_too_small_for_an_address_are_not_used<K: Kind>() {
    with(Runtime::builder().shards(1).recv_buffer_size(64), |_| async {
        let (near, far) = pair::<K>().await;
        let mut incoming = far.recv_stream().control(64);
        for _ in 0..5 {
            near.send([5; 64].to_vec()).await.0.unwrap();
            near.send([6; 65].to_vec()).await.0.unwrap();
            expect(&mut incoming, &[5; 64]).await;
            let (received, bytes) = incoming.next().await.unwrap();
            assert!(!bytes.is_provided() && received.is_cut());
            assert_eq!(bytes[..], [6; 64]);
        }
    });
}

fn what_a_dropped_stream_has_received_is_for_the_next_receive<K: Kind>() {
    with_each(|_| async {
        let (near, far) = pair::<K>().await;
        let mut incoming = far.recv_stream();
        for round in 0..8 {
            // In flight, and with datagrams that have come or are just coming.
            let mut waits = Box::pin(incoming.next());
            assert!(poll_once(&mut waits).await.is_pending());
            drop(waits);
            for number in 0..4 {
                near.send(from_number(number)).await.0.unwrap();
            }
            for _ in 0..round {
                yield_now().await;
            }
            if round % 3 == 0 {
                expect(&mut incoming, &from_number(0)).await;
            }
            drop(incoming);
            let taken = u32::from(round % 3 == 0);
            // The next one, with its sender; then a stream takes what is left, and so on.
            let (received, buf) = far.recv_from(vec![0; 200]).await;
            let (count, from) = received.unwrap();
            assert_eq!(buf[..count], from_number(taken));
            assert_eq!(text::<K>(&from), text::<K>(&near.local_addr().unwrap()));
            incoming = far.recv_stream();
            expect(&mut incoming, &from_number(taken + 1)).await;
            incoming = incoming.control(64);
            for number in taken + 2..4 {
                expect(&mut incoming, &from_number(number)).await;
            }
        }
        drop(incoming);
        near.send("last").await.0.unwrap();
        assert_eq!(recv(&far, 8).await, b"last");
        // And what a receive left is for the stream.
        let mut pending = Box::pin(far.recv(vec![0; 200]));
        arm(&mut pending).await;
        near.send("first").await.0.unwrap();
        drop(pending);
        near.send("second").await.0.unwrap();
        let mut incoming = far.recv_stream();
        expect(&mut incoming, b"first").await;
        expect(&mut incoming, b"second").await;
    });
}

fn receives_of_all_kinds_by_turns_lose_no_datagram<K: Kind>() {
    const TOTAL: u32 = 1000;
    with_each(|_| async {
        let (near, far) = pair::<K>().await;
        let (answer, confirmed) = pair::<K>().await;
        let sender = spargio::spawn(async move {
            for number in 0..TOTAL {
                near.send(from_number(number)).await.0.unwrap();
                // No more under way than a queue holds.
                if number % 8 == 7 {
                    recv(&confirmed, 4).await;
                }
            }
        });
        let (mut dice, mut next) = (Dice(3), 0);
        let mut came = async |bytes: &[u8]| {
            assert_eq!(*bytes, from_number(next), "datagram {next}");
            next += 1;
            if next % 8 == 0 {
                answer.send("on").await.0.unwrap();
            }
            next
        };
        let mut done = 0;
        while done < TOTAL {
            if dice.below(3) == 0 {
                let mut pending = Box::pin(far.recv(vec![0; 128]));
                if let Poll::Ready((count, buf)) = poll_once(&mut pending).await {
                    done = came(&buf[..count.unwrap()]).await;
                }
                continue;
            }
            let mut incoming = far.recv_stream().limit(dice.below(5) as usize);
            for _ in 0..dice.below(8) {
                match poll_once(&mut Box::pin(incoming.next())).await {
                    Poll::Ready(item) => done = came(&item.unwrap().1).await,
                    Poll::Pending => yield_now().await,
                }
            }
        }
        sender.unwrap().await.unwrap();
        let mut incoming = far.recv_stream();
        assert!(poll_once(&mut Box::pin(incoming.next())).await.is_pending(), "one came twice");
    });
}

fn a_stream_that_nobody_polls_stops_receiving<K: Kind>() {
    with(small(1).recv_buffers(64, 64), |handle| async move {
        let (near, far) = pair::<K>().await;
        let mut incoming = far.recv_stream().limit(4);
        assert!(poll_once(&mut Box::pin(incoming.next())).await.is_pending());
        for number in 0..40 {
            // (On this machine a send waits for room.)
            let mut send = Box::pin(near.send(from_number(number)));
            for _ in 0..20 {
                if poll_once(&mut send).await.is_ready() {
                    break;
                }
                yield_now().await;
            }
            spargio::sleep(Duration::from_micros(200)).await;
        }
        // Those that came before the kernel heard of the end, at most.
        assert!((4..20).contains(&leased(&handle)), "{} are held", leased(&handle));
        for number in 0..10 {
            expect(&mut incoming, &from_number(number)).await;
        }
    });
}

fn a_stream_goes_on_on_another_shard_and_off_all_shards<K: Kind>() {
    watched(|watch| {
        let runtime = watch.build(small(2));
        let handle = runtime.handle();
        let task = handle.spawn_pinned(0, async {
            let (near, far) = pair::<K>().await;
            let mut incoming = far.recv_stream();
            near.send("here").await.0.unwrap();
            expect(&mut incoming, b"here").await;
            // Armed here, and taken elsewhere.
            assert!(poll_once(&mut Box::pin(incoming.next())).await.is_pending());
            (near, incoming)
        });
        let (mut near, mut incoming) = elsewhere(task.unwrap()).unwrap();
        for _ in 0..20 {
            let there = handle.spawn_pinned(1, async move {
                let sender = send_all(near.clone(), 0..10);
                for number in 0..10 {
                    expect(&mut incoming, &from_number(number)).await;
                }
                sender.await.unwrap();
                (near, incoming)
            });
            (near, incoming) = elsewhere(there.unwrap()).unwrap();
            elsewhere(async {
                near.send("nowhere").await.0.unwrap();
                expect(&mut incoming, b"nowhere").await;
            });
        }
        drop((near, incoming));
        wait_until("all buffers are back", || leased(&handle) == 0);
    });
}

fn a_socket_is_given_away_after_its_stream<K: Kind>() {
    with_each(|_| async {
        let (near, far) = pair::<K>().await;
        let mut incoming = far.recv_stream();
        near.send("x").await.0.unwrap();
        expect(&mut incoming, b"x").await;
        assert!(poll_once(&mut Box::pin(incoming.next())).await.is_pending());
        drop(incoming);
        let mut far: Datagram<K> = far;
        let std = loop {
            match far.into_std() {
                Ok(std) => break std,
                Err(back) => far = back,
            }
            yield_now().await;
        };
        drop(std);
    });
}

fn buffers_outlive_their_runtime_and_nothing_is_left_of_an_armed_receive<K: Kind>() {
    watched(|watch| {
        let runtime = watch.build(small(1));
        let handle = runtime.handle();
        let task = handle.spawn_pinned(0, async {
            let (near, far) = pair::<K>().await;
            let mut incoming = far.recv_stream();
            let mut held = Vec::new();
            for at in 0..6u8 {
                near.send(vec![at; 100]).await.0.unwrap();
                held.push(incoming.next().await.unwrap().1);
            }
            assert!(poll_once(&mut Box::pin(incoming.next())).await.is_pending());
            (incoming, held)
        });
        let (incoming, held) = elsewhere(task.unwrap()).unwrap();
        let report = runtime.shutdown_timeout(SOON);
        assert_eq!((report.operations_leaked, report.shards_stuck), (0, 0), "{report}");
        assert_eq!(leased(&handle), 4);
        for (at, bytes) in held.iter().enumerate() {
            assert!(bytes.iter().all(|byte| usize::from(*byte) == at), "{at}: {bytes:?}");
        }
        drop(held);
        assert_eq!(leased(&handle), 0);
        drop(incoming);
    });
}

fn a_runtime_that_ended_says_so<K: Kind>() {
    watched(|watch| {
        let runtime = watch.build(small(1));
        let task = runtime.handle().spawn_pinned(0, async {
            let (_near, far) = pair::<K>().await;
            let mut incoming = far.recv_stream();
            assert!(poll_once(&mut Box::pin(incoming.next())).await.is_pending());
            incoming
        });
        let mut incoming = elsewhere(task.unwrap()).unwrap();
        drop(runtime);
        let error = elsewhere(incoming.next()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    });
}
