//! Sockets of the standard library, and threads and executors of somebody else.

use std::io::{self, Write as _};
use std::net::{self, Shutdown};
use std::thread;
use std::time::Duration;

use spargio::Runtime;
use spargio::net::{AsyncFd, Interest, TcpListener, TcpSocket, TcpStream, UnixStream};

use super::{block_on, on_shard, pair, poll_once, read, read_total};

#[test]
fn a_stream_goes_to_the_standard_library_and_back() {
    on_shard(async {
        let (stream, mut peer) = pair().await;
        let clone = stream.clone();
        let stream = stream.into_std().unwrap_err();
        drop(clone);
        let mut pending = stream.read(vec![0; 16]);
        assert!(poll_once(&mut pending).await.is_pending());
        drop(pending);
        let stream = stream.into_std().unwrap_err();
        peer.write_all(b"a").unwrap();
        assert_eq!(read(&stream, 16).await, b"a");
        let std = stream.into_std().unwrap();
        let stream = TcpStream::from_std(std).unwrap();
        peer.write_all(b"b").unwrap();
        assert_eq!(read(&stream, 16).await, b"b");
    });
}

#[test]
fn a_listener_of_the_standard_library_is_taken_over() {
    on_shard(async {
        let std = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = std.local_addr().unwrap();
        let listener = TcpListener::from_std(std).unwrap();
        let stream = TcpStream::connect(addr).await.unwrap();
        let (accepted, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, stream.local_addr().unwrap());
        assert!(accepted.nodelay().unwrap());
    });
}

#[test]
fn a_stream_works_on_a_thread_and_executor_of_somebody_else() {
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let handle = runtime.handle();
    let thread = thread::spawn(move || {
        block_on(async move {
            let listener = TcpListener::bind_on(&handle, "127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let client = TcpStream::connect_on(&handle.on(1).unwrap(), addr).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            for _ in 0..100 {
                let mut pending = server.read(vec![0; 16]);
                assert!(poll_once(&mut pending).await.is_pending());
                drop(pending);
                client.write_all("ping").await.0.unwrap();
                assert_eq!(read_total(&server, 4).await, b"ping");
            }
            drop(client);
            assert_eq!(read(&server, 1).await, b"");
            // A task of the runtime goes on with it.
            let task = handle.spawn_stealable(async move {
                let client = TcpStream::connect(addr).await.unwrap();
                let (server, _) = listener.accept().await.unwrap();
                client.write_all("pong").await.0.unwrap();
                read_total(&server, 4).await
            });
            assert_eq!(task.unwrap().await.unwrap(), b"pong");
        });
    });
    thread.join().unwrap();
}

#[test]
fn futures_of_sockets_can_be_sent() {
    fn is_send(_: impl Send) {}
    fn is_shared<T: Clone + Send + Sync>() {}
    is_shared::<TcpStream>();
    is_shared::<TcpListener>();
    is_send(TcpListener::bind("127.0.0.1:0"));
    is_send(TcpStream::connect("127.0.0.1:0"));
    is_send(async {
        let (stream, _) = TcpListener::bind("127.0.0.1:0").await?.accept().await?;
        stream.write_all("x").await.0?;
        stream.write("x").await.0?;
        stream.read(vec![0]).await.0?;
        stream.read_exact(vec![0]).await.0?;
        stream.shutdown(Shutdown::Both).await
    });
    is_send(TcpStream::connect_timeout("127.0.0.1:0", Duration::ZERO));
    is_send(async {
        let listener = TcpSocket::new_v4()?.listen(1)?;
        listener.accept_round_robin().await?;
        listener.incoming().next().await?;
        TcpSocket::new_v4()?.connect(listener.local_addr()?).await
    });
    is_send(async {
        let (near, far) = UnixStream::pair()?;
        near.send_fds("x", None).await.0?;
        far.recv_fds(vec![0], 1).await.0?;
        let fd = AsyncFd::new(near.into_std().map_err(|_| io::ErrorKind::Other)?)?;
        fd.readable().await?;
        fd.watch(Interest::READABLE).ready().await?;
        fd.async_io(Interest::READABLE, |_| Ok(())).await
    });
}
