//! Connecting to one of several addresses, and within a time: who wins, what is left of the losers,
//! and what the errors say.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};
use spargio::Runtime;
use spargio::net::TcpStream;

use super::{PATIENCE, block_on, listener, on_shard, poll_once};

/// So long that it does not end before the test.
const LONG: Duration = PATIENCE;
/// Of something that never happens.
const SHORT: Duration = Duration::from_millis(30);

/// An address that does not answer: its backlog is full.
struct Silent {
    addr: SocketAddr,
    _listener: Socket,
    _filler: net::TcpStream,
}

impl Silent {
    fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))).unwrap();
        // The kernel keeps one connection more than it is told.
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        let filler = net::TcpStream::connect(addr).unwrap();
        Self { addr, _listener: listener, _filler: filler }
    }

    /// How many sockets of this machine try to connect to it.
    fn attempts(&self) -> usize {
        const SYN_SENT: &str = "02";
        let port = format!(":{:04X}", self.addr.port());
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let is_attempt = |line: &&str| {
            let mut fields = line.split_whitespace().skip(2);
            let is_remote = fields.next().is_some_and(|remote| remote.ends_with(&port));
            is_remote && fields.next() == Some(SYN_SENT)
        };
        table.lines().filter(is_attempt).count()
    }

    /// Waits until so many sockets try to connect to it.
    async fn until_attempts(&self, count: usize) {
        let began = Instant::now();
        while self.attempts() != count {
            assert!(began.elapsed() < PATIENCE, "{} attempts, not {count}", self.attempts());
            spargio::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// An address that refuses.
fn nobody() -> SocketAddr {
    net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn the_next_address_is_tried_when_one_is_silent_and_the_silent_one_is_given_up() {
    on_shard(async {
        let (silent, other) = (Silent::new(), Silent::new());
        let (listener, addr) = listener().await;
        let connected = TcpStream::connect(vec![silent.addr, other.addr, addr]).await.unwrap();
        assert_eq!(connected.peer_addr().unwrap(), addr);
        assert_eq!(listener.accept().await.unwrap().1, connected.local_addr().unwrap());
        silent.until_attempts(0).await;
        other.until_attempts(0).await;
    });
}

#[test]
fn a_connect_dropped_gives_all_its_attempts_up() {
    on_shard(async {
        let (first, second) = (Silent::new(), Silent::new());
        let addrs = vec![first.addr, second.addr];
        {
            let mut connect = Box::pin(TcpStream::connect(addrs));
            while second.attempts() == 0 {
                assert!(poll_once(&mut connect).await.is_pending());
                spargio::sleep(Duration::from_millis(1)).await;
            }
            assert_eq!((first.attempts(), second.attempts()), (1, 1));
        }
        first.until_attempts(0).await;
        second.until_attempts(0).await;
    });
}

#[test]
fn an_address_of_the_other_version_is_tried_as_well() {
    on_shard(async {
        let (_listener, addr) = listener().await;
        let other = SocketAddr::from((Ipv6Addr::LOCALHOST, addr.port()));
        for addrs in [vec![other, addr], vec![addr, other]] {
            let connected = TcpStream::connect(addrs).await.unwrap();
            assert_eq!(connected.peer_addr().unwrap(), addr);
        }
    });
}

#[test]
fn an_error_names_every_address_and_what_it_said() {
    on_shard(async {
        let addrs = [nobody(), nobody(), nobody()];
        let error = TcpStream::connect(&addrs[..]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let text = error.to_string();
        for addr in addrs {
            assert!(text.contains(&format!("{addr}: Connection refused")), "{text}");
        }
    });
}

#[test]
fn a_silent_address_is_given_up_when_the_time_is_over() {
    on_shard(async {
        let silent = Silent::new();
        let began = Instant::now();
        let error = TcpStream::connect_timeout(silent.addr, SHORT).await.unwrap_err();
        assert!(began.elapsed() >= SHORT);
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let text = error.to_string();
        assert!(text.contains("30ms"), "{text}");
        assert!(text.contains(&format!("{}: no answer", silent.addr)), "{text}");
        silent.until_attempts(0).await;

        let refusing = nobody();
        let addrs = vec![refusing, silent.addr, nobody()];
        let error = TcpStream::connect_timeout(addrs, SHORT).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let text = error.to_string();
        assert!(text.contains(&format!("{refusing}: Connection refused")), "{text}");
        assert!(text.contains(&format!("{}: no answer", silent.addr)), "{text}");
        assert!(text.contains("not tried"), "{text}");
    });
}

#[test]
fn what_comes_within_the_time_is_the_answer() {
    on_shard(async {
        let (_listener, addr) = listener().await;
        let connected = TcpStream::connect_timeout(vec![nobody(), addr], LONG).await.unwrap();
        assert_eq!(connected.peer_addr().unwrap(), addr);
        let error = TcpStream::connect_timeout(nobody(), LONG).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = TcpStream::connect_timeout("no-such-host.invalid:80", LONG).await.unwrap_err();
        assert!(error.to_string().contains("no-such-host.invalid"), "{error}");
    });
}

#[test]
fn a_thread_of_somebody_else_has_a_race_and_a_time_limit_too() {
    let runtime = Runtime::builder().shards(2).build().unwrap();
    let handle = runtime.handle();
    block_on(async {
        let silent = Silent::new();
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let addrs = vec![silent.addr, addr];
        let connected = TcpStream::connect_on(&handle, addrs.clone()).await.unwrap();
        assert_eq!(connected.peer_addr().unwrap(), addr);
        let connected = TcpStream::connect_timeout_on(&handle, addrs, LONG).await.unwrap();
        assert_eq!(connected.peer_addr().unwrap(), addr);
        let error = TcpStream::connect_timeout_on(&handle, silent.addr, SHORT).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let error = TcpStream::connect_timeout(addr, LONG).await.unwrap_err();
        assert!(error.to_string().contains("TcpStream::connect_timeout_on"), "{error}");
    });
}
