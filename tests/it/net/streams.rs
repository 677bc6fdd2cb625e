//! Streams of both families: what holds for one holds for the other.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{self, Shutdown};
use std::os::unix::net as unix;
use std::task::Poll;
use std::thread;

use spargio::net::{
    Family, Ip, Listener, Stream, Target, TcpListener, TcpStream, Unix, UnixListener, UnixStream,
};

use super::{
    PATIENCE, blocking, on_shard, on_shards, pattern, poll_once, temp_path, until_woken, yield_now,
};

/// What the families make of the same tests.
trait Kind: Family {
    /// The other end, of the standard library.
    type Peer: Read + Write + fmt::Debug + Send + 'static;

    /// A listener, and where it can be reached.
    fn listener() -> impl Future<Output = (Listener<Self>, Self::Addr)> + Send;

    fn connect(addr: Self::Addr) -> impl Future<Output = io::Result<Stream<Self>>> + Send;

    fn peer(addr: &Self::Addr) -> Self::Peer;

    fn shut(peer: &Self::Peer, how: Shutdown);
}

impl Kind for Ip {
    type Peer = net::TcpStream;

    async fn listener() -> (TcpListener, net::SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        (listener, addr)
    }

    async fn connect(addr: net::SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(addr).await
    }

    fn peer(addr: &net::SocketAddr) -> net::TcpStream {
        let peer = net::TcpStream::connect(addr).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        peer
    }

    fn shut(peer: &net::TcpStream, how: Shutdown) {
        peer.shutdown(how).unwrap();
    }
}

impl Kind for Unix {
    type Peer = unix::UnixStream;

    async fn listener() -> (UnixListener, unix::SocketAddr) {
        let listener = UnixListener::bind(temp_path()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        (listener, addr)
    }

    async fn connect(addr: unix::SocketAddr) -> io::Result<UnixStream> {
        UnixStream::connect(addr).await
    }

    fn peer(addr: &unix::SocketAddr) -> unix::UnixStream {
        let peer = unix::UnixStream::connect_addr(addr).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        peer
    }

    fn shut(peer: &unix::UnixStream, how: Shutdown) {
        peer.shutdown(how).unwrap();
    }
}

/// Makes a test of each function, for each family.
macro_rules! for_both {
    ($($name:ident)*) => {
        mod tcp {
            $(#[test] fn $name() { super::$name::<spargio::net::Ip>(); })*
        }
        mod unix_sockets {
            $(#[test] fn $name() { super::$name::<spargio::net::Unix>(); })*
        }
    };
}

for_both! {
    bytes_come_back_from_an_echo_server
    a_dropped_read_leaves_its_bytes_to_the_next
    reads_of_one_byte_lose_none
    a_slow_reader_gets_everything
    a_peer_that_goes_ends_reads_and_writes
    the_other_direction_goes_on_after_a_half_close
    a_stream_dropped_with_a_pending_receive_ends_for_its_peer
    a_dropped_accept_leaves_the_connection_to_the_next
    a_dropped_listener_refuses
    more_connections_than_one_are_told_apart
    a_stream_goes_to_the_standard_library_and_back
    a_connect_dropped_in_flight_leaves_no_descriptor
}

async fn pair<K: Kind>() -> (Stream<K>, K::Peer) {
    let (listener, addr) = K::listener().await;
    let peer = K::peer(&addr);
    let (stream, _) = listener.accept().await.unwrap();
    (stream, peer)
}

async fn read<K: Kind>(stream: &Stream<K>, len: usize) -> Vec<u8> {
    let (read, buf) = stream.read(vec![0; len].into_boxed_slice()).await;
    buf[..read.unwrap()].to_vec()
}

async fn read_total<K: Kind>(stream: &Stream<K>, len: usize) -> Vec<u8> {
    let (result, buf) = stream.read_exact(vec![0; len].into_boxed_slice()).await;
    result.unwrap();
    buf.into_vec()
}

fn bytes_come_back_from_an_echo_server<K: Kind>() {
    on_shards(2, async {
        let (listener, addr) = K::listener().await;
        let server = spargio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            loop {
                let got = read(&stream, 4096).await;
                if got.is_empty() {
                    return;
                }
                stream.write_all(got).await.0.unwrap();
            }
        })
        .unwrap();
        let client = K::connect(addr).await.unwrap();
        for len in [1, 256, 4096, 100_000, 1_000_000] {
            let (writer, data) = (client.clone(), pattern(len));
            let write = spargio::spawn(async move { writer.write_all(data).await.0.unwrap() });
            assert!(read_total(&client, len).await == pattern(len), "{len} bytes");
            write.unwrap().await.unwrap();
        }
        drop(client);
        server.await.unwrap();
    });
}

fn a_dropped_read_leaves_its_bytes_to_the_next<K: Kind>() {
    on_shard(async {
        let (stream, mut peer) = pair::<K>().await;
        drop(stream.read(vec![0; 16]));
        let mut pending = stream.read(vec![0; 16]);
        assert!(poll_once(&mut pending).await.is_pending());
        drop(pending);
        peer.write_all(b"hello").unwrap();
        assert_eq!(read_total(&stream, 5).await, b"hello");
        let mut pending = stream.read(vec![0; 16]);
        until_woken(&mut pending, || peer.write_all(b"again").unwrap()).await;
        drop(pending);
        peer.write_all(b" and again").unwrap();
        assert_eq!(read_total(&stream, 15).await, b"again and again");
    });
}

fn reads_of_one_byte_lose_none<K: Kind>() {
    on_shard(async {
        let (stream, mut peer) = pair::<K>().await;
        let bytes = pattern(2000);
        peer.write_all(&bytes).unwrap();
        for (at, byte) in bytes.iter().enumerate() {
            if at % 3 == 0 {
                let mut dropped = stream.read(Box::new([0; 7]));
                // One that is ready has taken its bytes.
                if let Poll::Ready((read, buf)) = poll_once(&mut dropped).await {
                    assert_eq!(buf[..read.unwrap()], bytes[at..][..7.min(bytes.len() - at)]);
                    return;
                }
            }
            assert_eq!(read(&stream, 1).await, [*byte], "byte {at}");
        }
    });
}

fn a_slow_reader_gets_everything<K: Kind>() {
    const LEN: usize = 8 << 20;
    on_shard(async {
        let (stream, mut peer) = pair::<K>().await;
        let reader = thread::spawn(move || {
            let (mut all, mut piece) = (Vec::<u8>::new(), [0; 10_000]);
            loop {
                match peer.read(&mut piece).unwrap() {
                    0 => return all,
                    read => all.extend(&piece[..read]),
                }
                // Slower than the writer.
                thread::yield_now();
            }
        });
        let (result, buf) = stream.write_all(pattern(LEN)).await;
        result.unwrap();
        drop(stream);
        let got = blocking(move || reader.join().unwrap()).await;
        assert!(got == buf, "{} bytes", got.len());
    });
}

fn a_peer_that_goes_ends_reads_and_writes<K: Kind>() {
    on_shard(async {
        let (stream, peer) = pair::<K>().await;
        let mut pending = stream.read(vec![0; 16]);
        until_woken(&mut pending, || drop(peer)).await;
        assert_eq!(pending.await.0.unwrap(), 0);
        // TCP takes a write before it learns that nobody is there.
        let failure = loop {
            match stream.write_all("more").await.0 {
                Ok(()) => yield_now().await,
                Err(error) => break error,
            }
        };
        let kind = failure.kind();
        assert!(
            matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset),
            "{failure}"
        );
    });
}

fn the_other_direction_goes_on_after_a_half_close<K: Kind>() {
    on_shard(async {
        let (stream, mut peer) = pair::<K>().await;
        stream.write_all("request").await.0.unwrap();
        stream.shutdown(Shutdown::Write).await.unwrap();
        let peer = thread::spawn(move || {
            let mut request = Vec::new();
            peer.read_to_end(&mut request).unwrap();
            peer.write_all(b"answer to ").unwrap();
            peer.write_all(&request).unwrap();
            K::shut(&peer, Shutdown::Both);
        });
        assert_eq!(read_total(&stream, 17).await, b"answer to request");
        assert_eq!(read(&stream, 1).await, b"");
        let error = stream.write_all("more").await.0.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        peer.join().unwrap();
    });
}

fn a_stream_dropped_with_a_pending_receive_ends_for_its_peer<K: Kind>() {
    on_shard(async {
        let (stream, mut peer) = pair::<K>().await;
        let mut pending = stream.read(vec![0; 16]);
        assert!(poll_once(&mut pending).await.is_pending());
        drop(pending);
        drop(stream);
        assert_eq!(blocking(move || peer.read(&mut [0; 16])).await.unwrap(), 0);
    });
}

fn a_dropped_accept_leaves_the_connection_to_the_next<K: Kind>() {
    on_shard(async {
        let (listener, addr) = K::listener().await;
        let mut pending = listener.accept();
        assert!(poll_once(&mut pending).await.is_pending());
        drop(pending);
        let mut peer = K::peer(&addr);
        peer.write_all(b"1").unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert_eq!(read_total(&stream, 1).await, b"1");
        let mut pending = listener.accept();
        let mut peer = None;
        until_woken(&mut pending, || peer = Some(K::peer(&addr))).await;
        drop(pending);
        peer.unwrap().write_all(b"2").unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert_eq!(read_total(&stream, 1).await, b"2");
    });
}

fn a_dropped_listener_refuses<K: Kind>() {
    on_shard(async {
        let (listener, addr) = K::listener().await;
        let mut pending = listener.accept();
        assert!(poll_once(&mut pending).await.is_pending());
        drop(pending);
        listener.close().await;
        let error = K::connect(addr.clone()).await.unwrap_err();
        let refused = [io::ErrorKind::ConnectionRefused, io::ErrorKind::NotFound];
        assert!(refused.contains(&error.kind()), "{error}");
        // The error says where.
        let name = addr.name();
        assert!(error.to_string().contains(&name), "{error} says nothing of {name}");
    });
}

/// An address as errors name it.
trait Named {
    fn name(&self) -> String;
}

impl<A: fmt::Debug> Named for A {
    fn name(&self) -> String {
        let text = format!("{self:?}");
        text.split('"')
            .nth(1)
            .map_or(text.clone(), str::to_owned)
            .split(' ')
            .next()
            .unwrap()
            .to_owned()
    }
}

fn more_connections_than_one_are_told_apart<K: Kind>() {
    const CLIENTS: u8 = 50;
    on_shards(2, async {
        let (listener, addr) = K::listener().await;
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let addr = addr.clone();
            let client = spargio::spawn(async move {
                let stream = K::connect(addr).await.unwrap();
                stream.write_all(vec![number; 100]).await.0.unwrap();
                assert_eq!(read_total(&stream, 100).await, [number; 100]);
            });
            clients.push(client.unwrap());
        }
        for _ in 0..CLIENTS {
            let (stream, _) = listener.accept().await.unwrap();
            let echo = async move {
                let bytes = read_total(&stream, 100).await;
                stream.write_all(bytes).await.0.unwrap();
            };
            drop(spargio::spawn(echo).unwrap());
        }
        for client in clients {
            client.await.unwrap();
        }
    });
}

fn a_stream_goes_to_the_standard_library_and_back<K: Kind>() {
    on_shard(async {
        let (stream, mut peer) = pair::<K>().await;
        let clone = stream.clone();
        let stream = stream.into_std().unwrap_err();
        drop(clone);
        let stream = Stream::<K>::from_std(stream.into_std().unwrap()).unwrap();
        peer.write_all(b"b").unwrap();
        assert_eq!(read(&stream, 16).await, b"b");
    });
}

fn a_connect_dropped_in_flight_leaves_no_descriptor<K: Kind>() {
    on_shard(async {
        let (listener, addr) = K::listener().await;
        for _ in 0..20 {
            let mut connect = Box::pin(K::connect(addr.clone()));
            let polled = poll_once(&mut connect).await;
            drop((connect, polled));
        }
        // Those that were made end, and the next one is served.
        let client = K::connect(addr).await.unwrap();
        client.write_all("x").await.0.unwrap();
        loop {
            let (stream, _) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => panic!("{error}"),
            };
            let (read, buf) = stream.read(vec![0; 1]).await;
            if read.is_ok_and(|count| count == 1) {
                assert_eq!(buf, b"x");
                return;
            }
        }
    });
}

/// Addresses are targets of their own family.
#[test]
fn an_address_that_came_can_be_sent_to() {
    fn is_target<F: Family, T: Target<F>>() {}
    is_target::<Ip, net::SocketAddr>();
    is_target::<Unix, unix::SocketAddr>();
    is_target::<Unix, &std::path::Path>();
}
