//! Peeks at datagrams of both families: what they show stays, whole, wherever it lay.

use std::pin::pin;
use std::time::Duration;

use spargio::net::{Datagram, Envelope, UdpSocket, UnixDatagram};

use super::datagrams::{Kind, arm, pair, recv};
use super::{on_shard, own_ip, poll_once, yield_now};

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
    what_a_peek_shows_is_there_whole_for_the_next_receive
    a_peek_waits_for_a_datagram_and_sees_empty_ones
    a_dropped_peek_takes_nothing
    a_peek_shows_what_a_dropped_receive_or_stream_left
}

async fn peek<K: Kind>(socket: &Datagram<K>, room: usize) -> Vec<u8> {
    let (count, buf) = socket.peek(vec![0; room].into_boxed_slice()).await;
    buf[..count.unwrap()].to_vec()
}

fn what_a_peek_shows_is_there_whole_for_the_next_receive<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        near.send("hello").await.0.unwrap();
        near.send("again").await.0.unwrap();
        assert_eq!(peek(&far, 2).await, b"he");
        let (peeked, buf) = far.peek_from(vec![0; 16]).await;
        let (count, from) = peeked.unwrap();
        assert_eq!(&buf[..count], b"hello");
        assert_eq!(format!("{from:?}"), format!("{:?}", near.local_addr().unwrap()));
        let (received, _) = far.recv_msg(vec![0; 16]).await;
        assert_eq!(received.unwrap().len(), 5);
        assert_eq!(peek(&far, 16).await, b"again");
        assert_eq!(&far.recv_stream().next().await.unwrap().1[..], b"again");
    });
}

fn a_peek_waits_for_a_datagram_and_sees_empty_ones<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        let mut waits = Box::pin(far.peek(vec![0; 16]));
        arm(&mut waits).await;
        near.send("late").await.0.unwrap();
        let (peeked, buf) = waits.await;
        assert_eq!(&buf[..peeked.unwrap()], b"late");
        assert_eq!(recv(&far, 16).await, b"late");
        near.send("").await.0.unwrap();
        assert_eq!(peek(&far, 16).await, b"");
        assert_eq!(recv(&far, 16).await, b"");
        // Without room one waits for a datagram all the same.
        let mut waits = pin!(far.peek(Vec::new()));
        assert!(poll_once(&mut waits).await.is_pending());
        near.send("x").await.0.unwrap();
        assert_eq!(waits.await.0.unwrap(), 0);
        assert_eq!(recv(&far, 16).await, b"x");
    });
}

fn a_dropped_peek_takes_nothing<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        for is_armed in [false, true] {
            let mut waits = Box::pin(far.peek(vec![0; 16]));
            if is_armed {
                arm(&mut waits).await;
            } else {
                assert!(poll_once(&mut waits).await.is_pending());
            }
            near.send("hello").await.0.unwrap();
            if is_armed {
                yield_now().await;
            }
            drop(waits);
            assert_eq!(recv(&far, 16).await, b"hello");
        }
    });
}

fn a_peek_shows_what_a_dropped_receive_or_stream_left<K: Kind>() {
    on_shard(async {
        let (near, far) = pair::<K>().await;
        let mut pending = Box::pin(far.recv(vec![0; 16]));
        arm(&mut pending).await;
        near.send("hello").await.0.unwrap();
        // The shard collects it.
        spargio::sleep(Duration::from_millis(1)).await;
        drop(pending);
        near.send("again").await.0.unwrap();
        // More than it shows, exactly, and again; with its sender.
        assert_eq!(peek(&far, 3).await, b"hel");
        let (peeked, _) = far.peek_from(vec![0; 5]).await;
        let (count, from) = peeked.unwrap();
        assert_eq!(count, 5);
        assert_eq!(format!("{from:?}"), format!("{:?}", near.local_addr().unwrap()));
        assert_eq!(recv(&far, 16).await, b"hello");
        assert_eq!(recv(&far, 16).await, b"again");
        // Several of a stream, of which the first is looked at.
        let mut incoming = far.recv_stream();
        let mut waits = Box::pin(incoming.next());
        assert!(poll_once(&mut waits).await.is_pending());
        drop(waits);
        for text in ["one", "two", "three"] {
            near.send(text).await.0.unwrap();
        }
        let (_, first) = incoming.next().await.unwrap();
        assert_eq!(&first[..], b"one");
        drop(incoming);
        {
            // One that is given up while it waits for that receive to end.
            let mut waits = pin!(far.peek(vec![0; 16]));
            let _ = poll_once(&mut waits).await; // It may have ended.
        }
        assert_eq!(peek(&far, 2).await, b"tw");
        assert_eq!(recv(&far, 16).await, b"two");
        assert_eq!(peek(&far, 16).await, b"three");
        assert_eq!(recv(&far, 16).await, b"three");
    });
}

#[test]
fn an_error_is_told_once() {
    on_shard(async {
        // (One of ours would close a moment later.)
        let gone = std::net::UdpSocket::bind((own_ip(), 0)).unwrap().local_addr().unwrap();
        let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        near.connect(gone).await.unwrap();
        near.send("anybody?").await.0.unwrap();
        let error = near.peek(vec![0; 16]).await.0.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        let mut waits = Box::pin(near.recv(vec![0; 16]));
        assert!(poll_once(&mut waits).await.is_pending());
    });
}

#[test]
fn descriptors_stay_with_their_datagram() {
    on_shard(async {
        let (near, far) = UnixDatagram::pair().unwrap();
        let mut pending = Box::pin(far.recv_msg(vec![0; 16]));
        arm(&mut pending).await;
        let (reader, writer) = std::io::pipe().unwrap();
        near.send_msg("fd", Envelope::new().fds([writer.into()])).await.0.unwrap();
        // The shard collects it.
        spargio::sleep(Duration::from_millis(1)).await;
        drop(pending);
        assert_eq!(peek(&far, 16).await, b"fd");
        assert_eq!(peek(&far, 16).await, b"fd");
        let (received, _) = far.recv_msg(vec![0; 16]).await;
        assert_eq!(received.unwrap().take_fds().len(), 1);
        drop(reader);
    });
}
