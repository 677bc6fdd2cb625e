//! What only sockets of this machine have: paths, abstract names, credentials, descriptors.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net as unix;

use spargio::net::{Envelope, UnixDatagram, UnixListener, UnixStream};

use super::{blocking, on_shard, poll_once, temp_path};

#[test]
fn a_path_of_a_file_is_refused_and_the_file_stays() {
    on_shard(async {
        let path = temp_path();
        fs::write(&path, "precious").unwrap();
        let errors = [
            UnixListener::bind(&path).await.unwrap_err(),
            UnixDatagram::bind(&path).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            let text = error.to_string();
            assert!(text.contains("no socket") && text.contains(path.to_str().unwrap()), "{text}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(path).unwrap();
    });
}

#[test]
fn a_path_of_a_live_socket_is_refused_and_the_socket_goes_on() {
    on_shard(async {
        let (stream_path, datagram_path) = (temp_path(), temp_path());
        let listener = unix::UnixListener::bind(&stream_path).unwrap();
        let datagram = unix::UnixDatagram::bind(&datagram_path).unwrap();
        for path in [&stream_path, &datagram_path] {
            for error in [
                UnixListener::bind(path).await.unwrap_err(),
                UnixDatagram::bind(path).await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}");
            }
            assert!(path.exists());
        }
        UnixStream::connect(&stream_path).await.unwrap();
        UnixDatagram::unbound().unwrap().send_to("x", &datagram_path).await.0.unwrap();
        drop((listener, datagram));
        fs::remove_file(stream_path).unwrap();
        fs::remove_file(datagram_path).unwrap();
    });
}

#[test]
fn a_path_that_a_dead_socket_left_is_taken() {
    on_shard(async {
        let path = temp_path();
        drop(unix::UnixListener::bind(&path).unwrap());
        let listener = UnixListener::bind(&path).await.unwrap();
        UnixStream::connect(&path).await.unwrap();
        drop(listener);
        drop(unix::UnixDatagram::bind(&path).unwrap());
        let datagram = UnixDatagram::bind(&path).await.unwrap();
        UnixDatagram::unbound().unwrap().send_to("x", &path).await.0.unwrap();
        assert_eq!(datagram.recv(vec![0; 2]).await.0.unwrap(), 1);
        drop(datagram);
        assert!(!path.exists());
    });
}

#[test]
fn a_path_goes_with_its_socket_unless_it_is_anothers_by_then() {
    on_shard(async {
        let path = temp_path();
        let listener = UnixListener::bind(&path).await.unwrap();
        let clone = listener.clone();
        drop(listener);
        assert!(path.exists(), "a clone is there");
        drop(clone);
        assert!(!path.exists());

        let listener = UnixListener::bind(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        listener.close().await;
        assert_eq!(fs::read_to_string(&path).unwrap(), "another's");
        fs::remove_file(&path).unwrap();

        let socket = UnixDatagram::bind(&path).await.unwrap();
        let socket = socket.into_std().unwrap();
        assert!(path.exists(), "it is the standard library's");
        drop(socket);
        fs::remove_file(&path).unwrap();
    });
}

#[test]
fn abstract_names_are_names() {
    on_shard(async {
        let name = format!("spargio-{}-abstract", std::process::id());
        let addr = unix::SocketAddr::from_abstract_name(&name).unwrap();
        let listener = UnixListener::bind(&addr).await.unwrap();
        assert_eq!(listener.local_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
        let client = UnixStream::connect(&addr).await.unwrap();
        let (server, peer) = listener.accept().await.unwrap();
        assert!(peer.is_unnamed());
        assert_eq!(client.peer_addr().unwrap().as_abstract_name(), Some(name.as_bytes()));
        client.write_all("x").await.0.unwrap();
        assert_eq!(server.read(vec![0; 2]).await.0.unwrap(), 1);
        let error = UnixListener::bind(&addr).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    });
}

#[test]
fn paths_that_cannot_be_are_named() {
    on_shard(async {
        let long = std::env::temp_dir().join("x".repeat(200));
        let error = UnixListener::bind(&long).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("xxx"), "{error}");
        assert_eq!(UnixStream::connect("").await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let nowhere = temp_path().join("no/such/directory");
        let error = UnixStream::connect(&nowhere).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("no/such/directory"), "{error}");
    });
}

#[test]
fn the_kernel_vouches_for_the_peer() {
    on_shard(async {
        let (near, far) = UnixStream::pair().unwrap();
        let own = near.peer_credentials().unwrap();
        assert_eq!(own.pid, Some(std::process::id()));
        assert_eq!(far.peer_credentials().unwrap(), own);

        let (near, far) = UnixDatagram::pair().unwrap();
        far.set_recv_credentials(true).unwrap();
        near.send("x").await.0.unwrap();
        let (received, _) = far.recv_msg(vec![0; 4]).await;
        assert_eq!(received.unwrap().credentials(), Some(own));
    });
}

#[test]
fn a_connect_waits_for_room_in_a_full_backlog() {
    on_shard(async {
        let path = temp_path();
        let socket =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        socket.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
        socket.listen(0).unwrap();
        let listener = unix::UnixListener::from(OwnedFd::from(socket));
        let first = UnixStream::connect(&path).await.unwrap();
        let mut second = Box::pin(UnixStream::connect(&path));
        assert!(poll_once(&mut second).await.is_pending());
        let accept = blocking(move || {
            let first = listener.accept().unwrap();
            let second = listener.accept().unwrap();
            drop(listener);
            (first, second)
        });
        let mut accept = Box::pin(accept);
        assert!(poll_once(&mut accept).await.is_pending());
        let second = second.await.unwrap();
        let ((_, _), (mut peer, _)) = accept.await;
        second.write_all("x").await.0.unwrap();
        assert_eq!(blocking(move || peer.read(&mut [0; 4])).await.unwrap(), 1);
        drop(first);
        fs::remove_file(path).unwrap();
    });
}

#[test]
fn a_send_waits_until_the_receiver_has_room() {
    on_shard(async {
        let path = temp_path();
        let far = UnixDatagram::bind(&path).await.unwrap();
        let near = UnixDatagram::unbound().unwrap();
        // Connected to nobody, so that its own readiness says nothing.
        let mut sent = 0_u32;
        let mut pending = loop {
            let mut send = Box::pin(near.send_to(sent.to_le_bytes().to_vec(), &path));
            if poll_once(&mut send).await.is_pending() {
                break send;
            }
            sent += 1;
            assert!(sent < 10_000, "its queue has no end");
        };
        for number in 0..sent {
            let (count, buf) = far.recv(vec![0; 8]).await;
            assert_eq!(buf[..count.unwrap()], number.to_le_bytes());
        }
        pending.as_mut().await.0.unwrap();
        let (count, buf) = far.recv(vec![0; 8]).await;
        assert_eq!(buf[..count.unwrap()], sent.to_le_bytes());
    });
}

#[test]
fn descriptors_travel_with_a_datagram() {
    on_shard(async {
        let (near, far) = UnixDatagram::pair().unwrap();
        let (mut own, gone) = unix::UnixStream::pair().unwrap();
        let envelope = Envelope::new().fds([OwnedFd::from(gone)]);
        near.send_msg("one", envelope).await.0.unwrap();
        let (received, buf) = far.recv_msg(Vec::with_capacity(16)).await;
        let fds = received.unwrap().take_fds();
        assert_eq!((fds.len(), &buf[..]), (1, &b"one"[..]));
        let mut other = unix::UnixStream::from(fds.into_iter().next().unwrap());
        own.write_all(b"through").unwrap();
        let mut text = [0; 7];
        other.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"through");

        // Who does not ask for them leaves them to be closed, and so does who drops its receive.
        let (mut own, gone) = unix::UnixStream::pair().unwrap();
        let pending = {
            let mut pending = Box::pin(far.recv_msg(vec![0; 16]));
            assert!(poll_once(&mut pending).await.is_pending());
            pending
        };
        let envelope = Envelope::new().fds([OwnedFd::from(gone)]);
        near.send_msg("two", envelope).await.0.unwrap();
        drop(pending);
        assert_eq!(far.recv(vec![0; 16]).await.0.unwrap(), 3);
        assert_eq!(blocking(move || own.read(&mut [0; 1])).await.unwrap(), 0, "it was closed");
    });
}

#[test]
fn too_many_descriptors_are_refused_with_the_limit() {
    on_shard(async {
        let (near, _far) = UnixDatagram::pair().unwrap();
        let file = fs::File::open("/dev/null").unwrap();
        let fds: Vec<OwnedFd> = (0..254).map(|_| file.try_clone().unwrap().into()).collect();
        let error = near.send_msg("x", Envelope::new().fds(fds)).await.0.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("253"), "{error}");
    });
}
