//! Sockets that are set up before they are connected or listen, and the options of those in use.

use std::io::{self, Read as _, Write as _};
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use spargio::Runtime;
use spargio::net::{Keepalive, TcpListener, TcpSocket, TcpStream, UdpSocket, UnixStream};

use super::{block_on, blocking, listener, on_shard, read};

const SECOND: Duration = Duration::from_secs(1);

/// The loopback address of each version that this machine has, with no port.
fn loopbacks() -> Vec<SocketAddr> {
    let all: [SocketAddr; 2] = [(Ipv4Addr::LOCALHOST, 0).into(), (Ipv6Addr::LOCALHOST, 0).into()];
    let has = |addr: &SocketAddr| addr.is_ipv4() || net::TcpListener::bind(addr).is_ok();
    all.into_iter().filter(has).collect()
}

fn new(addr: SocketAddr) -> TcpSocket {
    if addr.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }.unwrap()
}

#[test]
fn options_are_what_was_set_before_and_after_connecting() {
    on_shard(async {
        for addr in loopbacks() {
            let listening = new(addr);
            assert!(!listening.reuse_address().unwrap() && !listening.reuse_port().unwrap());
            listening.set_reuse_address(true).unwrap();
            listening.set_reuse_port(true).unwrap();
            listening.set_recv_buffer_size(32 << 10).unwrap();
            listening.set_ttl(9).unwrap();
            assert!(listening.reuse_address().unwrap() && listening.reuse_port().unwrap());
            listening.bind(addr).unwrap();
            let listener = listening.listen(16).unwrap();
            assert_eq!(listener.ttl().unwrap(), 9);
            listener.set_ttl(10).unwrap();

            let socket = TcpSocket::new_for(addr).unwrap();
            assert!(socket.nodelay().unwrap());
            socket.set_nodelay(false).unwrap();
            socket.set_ttl(11).unwrap();
            socket.set_send_buffer_size(16 << 10).unwrap();
            socket.set_recv_buffer_size(24 << 10).unwrap();
            socket.set_linger(Some(SECOND / 2)).unwrap();
            let keepalive = Keepalive::new().time(7 * SECOND).interval(3 * SECOND).retries(5);
            socket.set_keepalive(Some(keepalive)).unwrap();
            assert_eq!(socket.linger().unwrap(), Some(SECOND), "a part counts as a whole one");
            let stream = socket.connect(listener.local_addr().unwrap()).await.unwrap();
            assert!(!stream.nodelay().unwrap());
            assert_eq!(stream.ttl().unwrap(), 11);
            // The kernel doubles the numbers.
            assert_eq!(stream.send_buffer_size().unwrap(), 32 << 10);
            assert_eq!(stream.recv_buffer_size().unwrap(), 48 << 10);
            assert_eq!(stream.linger().unwrap(), Some(SECOND));
            assert_eq!(stream.keepalive().unwrap(), Some(keepalive));
            assert!(stream.take_error().unwrap().is_none());

            stream.set_linger(None).unwrap();
            stream.set_keepalive(None).unwrap();
            stream.set_ttl(255).unwrap();
            stream.set_send_buffer_size(64 << 10).unwrap();
            stream.set_recv_buffer_size(64 << 10).unwrap();
            assert_eq!((stream.linger().unwrap(), stream.keepalive().unwrap()), (None, None));
            assert_eq!((stream.ttl().unwrap(), stream.nodelay().unwrap()), (255, false));
            assert_eq!(stream.send_buffer_size().unwrap(), 128 << 10);
            assert_eq!(stream.recv_buffer_size().unwrap(), 128 << 10);

            let (accepted, _) = listener.accept().await.unwrap();
            assert_eq!(accepted.recv_buffer_size().unwrap(), 64 << 10);
            assert_eq!(accepted.ttl().unwrap(), 10);
            assert!(accepted.nodelay().unwrap());
        }
    });
}

#[test]
fn values_beyond_a_limit_are_refused_with_value_and_limit() {
    on_shard(async {
        let socket = TcpSocket::new_v4().unwrap();
        let keepalives = [
            (Keepalive::new().time(Duration::ZERO), "time 0ns"),
            (Keepalive::new().time(32_768 * SECOND), "time 32768s"),
            (Keepalive::new().interval(Duration::ZERO), "interval 0ns"),
            (Keepalive::new().interval(40_000 * SECOND), "interval 40000s"),
            (Keepalive::new().retries(0), "retries 0"),
            (Keepalive::new().retries(128), "retries 128"),
        ];
        for (keepalive, value) in keepalives {
            let error = socket.set_keepalive(Some(keepalive)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(value), "{error}");
            assert!(error.to_string().contains("limits"), "{error}");
            assert_eq!(socket.keepalive().unwrap(), None);
        }
        let most = Keepalive::new().time(32_767 * SECOND).interval(32_767 * SECOND).retries(127);
        socket.set_keepalive(Some(most)).unwrap();
        assert_eq!(socket.keepalive().unwrap(), Some(most));
        let datagrams = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for hops in [0, 256] {
            for error in [socket.set_ttl(hops), datagrams.set_ttl(hops)] {
                let error = error.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                assert!(error.to_string().contains(&format!(" {hops} hops")), "{error}");
            }
        }
        let long = [b'x'; 16];
        for error in [socket.bind_device(Some(&long)), datagrams.bind_device(Some(&long))] {
            let error = error.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("16 bytes, the most is 15"), "{error}");
        }
    });
}

#[test]
fn a_socket_connects_from_the_address_and_the_interface_it_was_bound_to() {
    on_shard(async {
        let (listener, addr) = listener().await;
        let socket = TcpSocket::new_v4().unwrap();
        assert_eq!(socket.device().unwrap(), None);
        socket.bind_device(Some(b"lo")).unwrap();
        socket.bind((Ipv4Addr::new(127, 0, 0, 9), 0).into()).unwrap();
        let bound = socket.local_addr().unwrap();
        let stream = socket.connect(addr).await.unwrap();
        assert_eq!(stream.local_addr().unwrap(), bound);
        assert_eq!(listener.accept().await.unwrap().1, bound);
        assert_eq!(stream.device().unwrap().as_deref(), Some(&b"lo"[..]));
        assert_eq!(listener.device().unwrap(), None);
        let datagrams = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        datagrams.bind_device(Some(b"lo")).unwrap();
        assert_eq!(datagrams.device().unwrap().as_deref(), Some(&b"lo"[..]));
    });
}

#[test]
fn an_address_in_use_and_one_that_refuses_are_named() {
    on_shard(async {
        let (_listener, addr) = listener().await;
        let error = TcpSocket::new_v4().unwrap().bind(addr).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&addr.to_string()), "{error}");
        let nobody = net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = TcpSocket::new_v4().unwrap().connect(nobody).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().contains(&nobody.to_string()), "{error}");
    });
}

#[test]
fn a_connection_with_no_time_to_linger_is_reset() {
    on_shard(async {
        let (listener, addr) = listener().await;
        let mut peer = net::TcpStream::connect(addr).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_linger(Some(Duration::ZERO)).unwrap();
        assert_eq!(stream.linger().unwrap(), Some(Duration::ZERO));
        drop(stream);
        let read = blocking(move || peer.read(&mut [0; 1])).await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn first_bytes_may_go_with_the_handshake() {
    on_shard(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_fast_open_listen(8).unwrap();
        assert_eq!(socket.fast_open_listen().unwrap(), 8);
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(8).unwrap();
        let addr = listener.local_addr().unwrap();
        // The first connection learns the cookie, if the system allows it at all.
        for _ in 0..3 {
            let socket = TcpSocket::new_v4().unwrap();
            match socket.set_fast_open_connect(true) {
                Ok(()) => assert!(socket.fast_open_connect().unwrap()),
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP)),
            }
            let stream = socket.connect(addr).await.unwrap();
            stream.write_all("ping").await.0.unwrap();
            let (accepted, _) = listener.accept().await.unwrap();
            assert_eq!(read(&accepted, 16).await, b"ping");
        }
    });
}

#[test]
fn a_socket_goes_to_the_standard_library_and_back() {
    on_shard(async {
        let (listener, addr) = listener().await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_ttl(33).unwrap();
        let number = socket.as_raw_fd();
        let std = socket.into_std();
        std.set_nonblocking(false).unwrap();
        let socket = TcpSocket::from_std(std).unwrap();
        assert_eq!((socket.as_raw_fd(), socket.ttl().unwrap()), (number, 33));
        let stream = socket.connect(addr).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let mut std = accepted.into_std().unwrap();
        let reading = stream.read(vec![0; 16]);
        std.write_all(b"x").unwrap();
        assert_eq!(reading.await.0.unwrap(), 1);
        drop(OwnedFd::from(TcpSocket::new_v4().unwrap()));
    });
}

#[test]
fn a_thread_of_somebody_else_connects_and_listens() {
    let socket = TcpSocket::new_v4().unwrap();
    let error = socket.listen(1).unwrap_err();
    assert!(error.to_string().contains("TcpSocket::listen_on"), "{error}");
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let handle = runtime.handle();
    block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener: TcpListener = socket.listen_on(&handle, 8).unwrap();
        let addr = listener.local_addr().unwrap();
        let error = TcpSocket::new_v4().unwrap().connect(addr).await.unwrap_err();
        assert!(error.to_string().contains("TcpSocket::connect_on"), "{error}");
        let stream: TcpStream =
            TcpSocket::new_v4().unwrap().connect_on(&handle, addr).await.unwrap();
        assert_eq!(listener.accept().await.unwrap().1, stream.local_addr().unwrap());
    });
}

#[test]
fn streams_on_this_machine_have_buffer_sizes_too() {
    on_shard(async {
        let (near, _far) = UnixStream::pair().unwrap();
        near.set_send_buffer_size(16 << 10).unwrap();
        near.set_recv_buffer_size(32 << 10).unwrap();
        assert_eq!(near.send_buffer_size().unwrap(), 32 << 10);
        assert_eq!(near.recv_buffer_size().unwrap(), 64 << 10);
        assert!(near.take_error().unwrap().is_none());
    });
}
