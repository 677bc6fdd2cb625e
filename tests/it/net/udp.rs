//! What only UDP has: addresses, options, segments.

use std::io;
use std::net::{self, IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use spargio::net::{Envelope, UdpSocket};

use super::{on_shard, poll_once};

#[test]
fn a_name_is_looked_up_and_an_address_that_cannot_be_is_named() {
    on_shard(async {
        let socket = UdpSocket::bind("localhost:0").await.unwrap();
        assert!(socket.local_addr().unwrap().ip().is_loopback());
        let peer = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let port = peer.local_addr().unwrap().port();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(("127.0.0.1", port)).await.unwrap();
        assert_eq!(socket.peer_addr().unwrap(), peer.local_addr().unwrap());
        let error = UdpSocket::bind(peer.local_addr().unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&port.to_string()), "{error}");
    });
}

#[test]
fn a_datagram_to_nobody_is_an_error_of_the_next_call() {
    on_shard(async {
        // (One of ours would close a moment later.)
        let nobody = net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(nobody).await.unwrap();
        socket.send("x").await.0.unwrap();
        let error = socket.recv(vec![0; 16]).await.0.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_datagram_that_is_too_large_is_refused_with_its_buffer() {
    on_shard(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = socket.local_addr().unwrap();
        let (result, buf) = socket.send_to(vec![7; 70_000], to).await;
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(buf.len(), 70_000);
        let (result, _) = socket.send("x").await;
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EDESTADDRREQ));
    });
}

#[test]
fn options_are_what_was_set() {
    on_shard(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        socket.set_ttl(17).unwrap();
        assert_eq!(socket.ttl().unwrap(), 17);
        socket.set_recv_buffer_size(64 << 10).unwrap();
        assert!(socket.recv_buffer_size().unwrap() >= 64 << 10);
        socket.set_send_buffer_size(64 << 10).unwrap();
        assert!(socket.send_buffer_size().unwrap() >= 64 << 10);
        assert!(socket.take_error().unwrap().is_none());
    });
}

#[test]
fn options_of_multicast_are_what_was_set() {
    on_shard(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        assert_eq!(
            (socket.multicast_loop_v4().unwrap(), socket.multicast_ttl_v4().unwrap()),
            (true, 1)
        );
        socket.set_multicast_loop_v4(false).unwrap();
        socket.set_multicast_ttl_v4(7).unwrap();
        assert_eq!(
            (socket.multicast_loop_v4().unwrap(), socket.multicast_ttl_v4().unwrap()),
            (false, 7)
        );
        // Not every machine has IPv6.
        let Ok(socket) = UdpSocket::bind("[::1]:0").await else { return };
        assert!(socket.multicast_loop_v6().unwrap());
        socket.set_multicast_loop_v6(false).unwrap();
        socket.set_multicast_hops_v6(9).unwrap();
        assert!(!socket.multicast_loop_v6().unwrap());
        assert_eq!(socket.multicast_hops_v6().unwrap(), 9);
        let error = socket.set_multicast_hops_v6(256).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("256") && error.to_string().contains("255"), "{error}");
        socket.set_ttl(33).unwrap();
        assert_eq!(socket.ttl().unwrap(), 33);
    });
}

#[test]
fn a_multicast_group_is_joined_and_left() {
    const GROUP: Ipv4Addr = Ipv4Addr::new(239, 7, 7, 7);
    on_shard(async {
        let member = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        let port = member.local_addr().unwrap().port();
        member.join_multicast_v4(GROUP, Ipv4Addr::LOCALHOST).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        sender.set_multicast_interface_v4(Ipv4Addr::LOCALHOST).unwrap();
        sender.set_multicast_loop_v4(true).unwrap();
        sender.set_multicast_ttl_v4(1).unwrap();
        sender.send_to("to all", (GROUP, port)).await.0.unwrap();
        let (received, buf) = member.recv_from(Vec::with_capacity(16)).await;
        assert_eq!(received.unwrap(), (6, sender.local_addr().unwrap()));
        assert_eq!(buf, b"to all");
        member.leave_multicast_v4(GROUP, Ipv4Addr::LOCALHOST).unwrap();
        let error = member.leave_multicast_v4(GROUP, Ipv4Addr::LOCALHOST).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn the_kernel_cuts_what_is_sent_and_joins_what_is_received() {
    on_shard(async {
        let near = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let far = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = far.local_addr().unwrap();
        let bytes: Vec<u8> = (0..2500).map(|at| (at % 251) as u8).collect();
        let envelope = Envelope::new().to(to).segment_size(1000);
        assert_eq!(near.send_msg(bytes.clone(), envelope).await.0.unwrap(), 2500);
        for part in bytes.chunks(1000) {
            let (received, buf) = far.recv_msg(Vec::with_capacity(2000)).await;
            assert_eq!(received.unwrap().segment_size(), None);
            assert_eq!(buf, part);
        }
        far.set_gro(true).unwrap();
        let envelope = Envelope::new().to(to).segment_size(1000);
        near.send_msg(bytes.clone(), envelope).await.0.unwrap();
        let mut all = Vec::new();
        while all.len() < bytes.len() {
            let (received, buf) = far.recv_msg(Vec::with_capacity(65_536)).await;
            let received = received.unwrap();
            if received.len() > 1000 {
                assert_eq!(received.segment_size(), Some(1000));
            }
            all.extend(buf);
        }
        assert!(all == bytes);
    });
}

#[test]
fn a_datagram_says_where_it_went_and_with_which_class() {
    on_shard(async {
        for host in ["127.0.0.1", "::1"] {
            let Ok(far) = UdpSocket::bind((host, 0)).await else {
                continue;
            };
            let near = UdpSocket::bind((host, 0)).await.unwrap();
            far.set_recv_local_ip(true).unwrap();
            far.set_recv_traffic_class(true).unwrap();
            let ip: IpAddr = host.parse().unwrap();
            let envelope =
                Envelope::new().to(far.local_addr().unwrap()).traffic_class(0b10).source(ip);
            near.send_msg("x", envelope).await.0.unwrap();
            let (received, _) = far.recv_msg(vec![0; 4]).await;
            let received = received.unwrap();
            assert_eq!(received.local_ip(), Some(ip));
            assert_eq!(received.traffic_class(), Some(0b10));
            assert_eq!(*received.from(), near.local_addr().unwrap());
            assert!(!received.is_control_cut());
        }
    });
}

#[test]
fn a_runtime_ends_with_receives_in_flight() {
    let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    let socket = runtime.block_on(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let mut pending = Box::pin(socket.recv(vec![0; 16]));
        assert!(poll_once(&mut pending).await.is_pending());
        drop(pending);
        socket
    });
    drop(runtime);
    let error = super::block_on(async { socket.recv(vec![0; 16]).await.0.unwrap_err() });
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn receivers_that_share_a_socket_wait_however_often_others_are_faster() {
    on_shard(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        let peer = net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let came = Arc::<AtomicU32>::default();
        // Each datagram wakes all receivers, and is for one of them.
        let receive = |socket: UdpSocket, came: Arc<AtomicU32>| async move {
            loop {
                let (result, _) = socket.recv(vec![0; 16]).await;
                came.fetch_add(1, Ordering::Relaxed);
                if result.unwrap() == 0 {
                    return;
                }
            }
        };
        let tasks =
            [(); 4].map(|()| spargio::spawn(receive(socket.clone(), Arc::clone(&came))).unwrap());
        for number in 1..1_000 {
            peer.send_to(b"one", addr).unwrap();
            while came.load(Ordering::Relaxed) < number {
                // The shard sleeps, and the kernel wakes it for each.
                spargio::sleep(Duration::from_micros(20)).await;
            }
        }
        for _ in &tasks {
            peer.send_to(&[], addr).unwrap();
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}
