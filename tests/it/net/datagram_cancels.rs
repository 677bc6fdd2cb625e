//! Receives and sends of datagrams that are called off: the buffer comes back, with what became of
//! them all the same.

use std::io;
use std::task::Poll;
use std::time::Duration;

use spargio::net::{Envelope, UnixDatagram};
use spargio::{Runtime, RuntimeHandle};

use super::datagrams::{Kind, arm, pair, recv};
use super::{block_on, on_shard, poll_once, yield_now};

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
    a_receive_that_waits_hands_its_buffer_back_and_takes_nothing
    a_receive_that_has_brought_a_datagram_says_so
    datagrams_race_with_a_cancel_and_none_is_lost
    a_send_that_has_not_begun_sends_nothing
}

fn is_called_off<T>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ECANCELED))
}

fn a_receive_that_waits_hands_its_buffer_back_and_takes_nothing<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        let handle = RuntimeHandle::current().unwrap();
        // Before its first poll, before a second look, and on the ring.
        for stage in 0..3 {
            let buf: Vec<u8> = Vec::with_capacity(100);
            let place = buf.as_ptr().addr();
            let mut receive = far.recv_from(buf);
            match stage {
                0 => {}
                1 => assert!(poll_once(&mut receive).await.is_pending()),
                _ => arm(&mut receive).await,
            }
            let (result, buf) = receive.cancel().await;
            assert!(is_called_off(&result), "stage {stage}: {result:?}");
            assert_eq!((buf.as_ptr().addr(), buf.len(), buf.capacity()), (place, 0, 100));
            assert_eq!(handle.stats_snapshot().total().in_flight, 0, "stage {stage}");
            near.send("hello").await.0.unwrap();
            assert_eq!(recv(&far, 16).await, b"hello");
        }
    });
}

fn a_receive_that_has_brought_a_datagram_says_so<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        let mut receive = far.recv_msg(vec![0; 4]);
        arm(&mut receive).await;
        near.send("hello").await.0.unwrap();
        // The shard collects it.
        spargio::sleep(Duration::from_millis(1)).await;
        let (received, buf) = receive.cancel().await;
        let received = received.unwrap();
        assert_eq!((received.len(), received.full_len(), &buf[..]), (4, 5, &b"hell"[..]));
        // What a dropped receive left stays where it is, also for one that has turned to it.
        let mut dropped = far.recv(vec![0; 16]);
        arm(&mut dropped).await;
        drop(dropped);
        let mut turned = far.recv(vec![0; 16]);
        assert!(poll_once(&mut turned).await.is_pending());
        let (result, buf) = turned.cancel().await;
        assert!(is_called_off(&result), "{result:?}");
        assert_eq!(buf.len(), 16);
        near.send("again").await.0.unwrap();
        assert_eq!(recv(&far, 16).await, b"again");
    });
}

fn datagrams_race_with_a_cancel_and_none_is_lost<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        for round in 0..300u32 {
            let mut receive = far.recv(vec![0; 8]);
            if round % 2 == 0 {
                arm(&mut receive).await;
            } else {
                assert!(poll_once(&mut receive).await.is_pending());
            }
            near.send(round.to_le_bytes().to_vec()).await.0.unwrap();
            if round % 3 == 0 {
                yield_now().await;
            }
            let (result, buf) = receive.cancel().await;
            match result {
                Ok(count) => assert_eq!(buf[..count], round.to_le_bytes()),
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
                    assert_eq!(recv(&far, 8).await, round.to_le_bytes());
                }
            }
        }
    });
}

fn a_send_that_has_not_begun_sends_nothing<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        let (result, text) = near.send(b"never".to_vec()).cancel().await;
        assert!(is_called_off(&result) && text == b"never", "{result:?}");
        let (result, text) = near.send_msg(b"never".to_vec(), Envelope::new()).cancel().await;
        assert!(is_called_off(&result) && text == b"never", "{result:?}");
        near.send("hello").await.0.unwrap();
        assert_eq!(recv(&far, 16).await, b"hello");
    });
}

#[test]
fn a_send_that_waits_for_room_says_whether_it_has_gone() {
    on_shard(async {
        let (near, far) = UnixDatagram::pair().unwrap();
        for round in 0..20u8 {
            let mut sent = 0;
            let (result, buf) = loop {
                let text = vec![round; 5];
                let mut send = if round % 2 == 0 {
                    near.send(text)
                } else {
                    near.send_msg(text, Envelope::new())
                };
                match poll_once(&mut send).await {
                    Poll::Ready((count, _)) => sent += i32::from(count.unwrap() == 5),
                    Poll::Pending => {
                        if round % 4 >= 2 {
                            // There is room just now.
                            assert_eq!(recv(&far, 8).await, [round; 5]);
                            sent -= 1;
                            yield_now().await;
                        }
                        break send.cancel().await;
                    }
                }
            };
            assert_eq!(buf, [round; 5]);
            match result {
                Ok(count) => sent += i32::from(count == 5),
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED)),
            }
            for _ in 0..sent {
                assert_eq!(recv(&far, 8).await, [round; 5]);
            }
            let mut more = far.recv(vec![0; 8]);
            assert!(poll_once(&mut more).await.is_pending(), "more came than was said");
            assert!(is_called_off(&more.cancel().await.0));
        }
    });
}

#[test]
fn away_from_shards_receives_are_called_off_too() {
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let handle = runtime.handle();
    block_on(async {
        for _ in 0..50 {
            let (near, far) = UnixDatagram::pair_on(&handle).unwrap();
            let mut receive = near.recv(vec![0; 16]);
            assert!(poll_once(&mut receive).await.is_pending());
            let (result, buf) = receive.cancel().await;
            assert!(is_called_off(&result), "{result:?}");
            assert_eq!(buf.len(), 16);
            far.send("on").await.0.unwrap();
            assert_eq!(near.recv(vec![0; 16]).await.0.unwrap(), 2);
        }
    });
}
