//! What is told beside the bytes, and what only one family has.

use std::io::{self, ErrorKind, Read as _};
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::Poll;

use futures_core::Stream as _;
use spargio::net::{DatagramStream, Envelope, Ip, UdpSocket, Unix, UnixDatagram};
use spargio::{Runtime, RuntimeHandle};

use super::expect;
use crate::net::datagrams::{pair, recv};
use crate::net::recv_stream::{with, with_each};
use crate::net::{own_ip, poll_once, until_woken, yield_now};

/// Whether the item is the next of the trait that everybody's combinators are for.
#[test]
fn it_is_a_stream_of_everybodys() {
    with_each(|_| async {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.send("x").await.0.unwrap();
        let mut incoming = far.recv_stream();
        let item = std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_next(cx)).await;
        let (received, bytes) = item.expect("it never ends").unwrap();
        assert_eq!(&bytes[..], b"x");
        assert!(received.from().is_unnamed());
    });
}

#[test]
fn both_versions_of_ip_say_where_a_datagram_came_from_and_went_to() {
    with_each(|_| async {
        let here: [SocketAddr; 2] =
            [(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()];
        for here in here {
            let near = UdpSocket::bind(here).await.unwrap();
            let far = UdpSocket::bind(here).await.unwrap();
            far.set_recv_local_ip(true).unwrap();
            far.set_recv_traffic_class(true).unwrap();
            let mut incoming = far.recv_stream().control(128);
            let mut held = Vec::new();
            for _ in 0..6 {
                let envelope = Envelope::new().to(far.local_addr().unwrap()).traffic_class(0b10);
                near.send_msg("x", envelope).await.0.unwrap();
                let (received, bytes) = incoming.next().await.unwrap();
                assert_eq!(&bytes[..], b"x");
                assert_eq!(*received.from(), near.local_addr().unwrap());
                assert_eq!(received.local_ip(), Some(here.ip()));
                assert_eq!(received.traffic_class(), Some(0b10));
                assert!(!received.is_control_cut());
                held.push(bytes);
            }
            // Without room for it nothing comes of it.
            let mut incoming = far.recv_stream();
            near.send_to("x", far.local_addr().unwrap()).await.0.unwrap();
            let (received, _) = incoming.next().await.unwrap();
            assert_eq!((received.local_ip(), received.is_control_cut()), (None, true));
        }
    });
}

#[test]
fn room_for_control_data_has_a_bound() {
    with_each(|_| async {
        let (near, far) = pair::<Ip>().await;
        far.set_recv_local_ip(true).unwrap();
        for control in [usize::MAX, usize::MAX - 7, 1 << 40, 64 << 10] {
            let mut incoming = far.recv_stream().control(control);
            for _ in 0..2 {
                near.send("x").await.0.unwrap();
                let received = expect(&mut incoming, b"x").await;
                assert_eq!(received.local_ip(), Some(Ipv4Addr::LOCALHOST.into()));
                assert!(!received.is_control_cut());
            }
        }
    });
}

#[test]
fn descriptors_come_with_their_datagram_or_are_closed() {
    with_each(|_| async {
        let (near, far) = UnixDatagram::pair().unwrap();
        let send = async || {
            let (reader, writer) = io::pipe().unwrap();
            let envelope = Envelope::new().fds([OwnedFd::from(writer)]);
            near.send_msg("fd", envelope).await.0.unwrap();
            reader
        };
        let mut incoming = far.recv_stream().control(64);
        for _ in 0..6 {
            let mut reader = send().await;
            let (mut received, bytes) = incoming.next().await.unwrap();
            assert_eq!(&bytes[..], b"fd");
            let fds = received.take_fds();
            assert_eq!(fds.len(), 1);
            drop(fds);
            assert_eq!(reader.read(&mut [0]).unwrap(), 0, "nobody else has it");
        }
        // Those that nobody takes, and one for which there is no room.
        let mut unseen = [send().await, send().await];
        drop(incoming.next().await.unwrap());
        assert_eq!(unseen[0].read(&mut [0]).unwrap(), 0);
        yield_now().await;
        drop(incoming);
        assert_eq!(recv(&far, 8).await, b"fd");
        assert_eq!(unseen[1].read(&mut [0]).unwrap(), 0);
        let mut incoming = far.recv_stream();
        let mut reader = send().await;
        let (mut received, _) = incoming.next().await.unwrap();
        assert!(received.take_fds().is_empty() && received.is_control_cut());
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_refusal_is_told_and_the_stream_goes_on() {
    with_each(|_| async {
        // (One of ours would close a moment later.)
        let gone = net::UdpSocket::bind((own_ip(), 0)).unwrap().local_addr().unwrap();
        let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        near.connect(gone).await.unwrap();
        let mut incoming = near.recv_stream();
        let mut waits = Box::pin(incoming.next());
        assert!(poll_once(&mut waits).await.is_pending());
        near.send("anybody?").await.0.unwrap();
        assert_eq!(waits.await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let back = UdpSocket::bind(gone).await.unwrap();
        back.send_to("here", near.local_addr().unwrap()).await.0.unwrap();
        expect(&mut incoming, b"here").await;
    });
}

#[test]
fn datagrams_that_the_kernel_put_together_say_where_to_cut() {
    with(Runtime::builder().shards(1), |_| async {
        let (near, far) = pair::<Ip>().await;
        far.set_gro(true).unwrap();
        let mut incoming = far.recv_stream().control(64);
        let (mut total, mut largest) = (0, 0);
        near.send_msg(vec![7; 5000], Envelope::new().segment_size(1000)).await.0.unwrap();
        while total < 5000 {
            let (received, bytes) = incoming.next().await.unwrap();
            total += bytes.len();
            largest = largest.max(bytes.len());
            assert!(received.segment_size().is_none_or(|size| size == 1000));
            assert!(bytes.len() == 1000 || received.segment_size().is_some());
        }
        assert!(largest > 1000, "nothing was put together");
    });
}

#[test]
fn a_wake_comes_with_the_first_of_several() {
    with_each(|_: RuntimeHandle| async {
        let (near, far) = UnixDatagram::pair().unwrap();
        let peer: std::os::unix::net::UnixDatagram = near.into_std().unwrap();
        let mut incoming: DatagramStream<Unix> = far.recv_stream();
        let mut waits = Box::pin(incoming.next());
        until_woken(&mut waits, || {
            for text in [&b"a"[..], b"b", b"c"] {
                peer.send(text).unwrap();
            }
        })
        .await;
        let Poll::Ready(first) = poll_once(&mut waits).await else { panic!("woken for nothing") };
        assert_eq!(&first.unwrap().1[..], b"a");
        drop(waits);
        expect(&mut incoming, b"b").await;
        expect(&mut incoming, b"c").await;
    });
}
