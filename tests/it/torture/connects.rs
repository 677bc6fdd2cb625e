//! Connecting in all forms, and accepting: interrupted, refused, given up at every await.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net as unix;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use spargio::JoinHandle;
use spargio::net::{
    Family, Listener, Stream, StreamSessionPolicy, TcpListener, TcpSocket, TcpStream, UnixListener,
    UnixStream,
};

use super::cancel::dropped;
use super::knobs::{Kind, Knobs};
use super::streams::is_passing;
use super::{Ground, UNKIND, polled, torment};
use crate::support::here;

/// The ways to connect.
const FORMS: [Form; 13] = [
    Form::Addr,
    Form::Name,
    Form::Addrs,
    Form::Timeout,
    Form::Socket,
    Form::RoundRobin,
    Form::Policy,
    Form::Many,
    Form::ManyByPolicy,
    Form::On,
    Form::Path,
    Form::Abstract,
    Form::UnixPolicy,
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Addr,
    Name,
    /// Nobody is at the first of them.
    Addrs,
    Timeout,
    Socket,
    RoundRobin,
    Policy,
    Many,
    ManyByPolicy,
    On,
    Path,
    Abstract,
    UnixPolicy,
}

/// Streams of either family.
enum Found {
    Tcp(Vec<TcpStream>),
    Unix(UnixStream),
}

impl Found {
    fn tcp(stream: TcpStream) -> Self {
        Self::Tcp(vec![stream])
    }

    /// Each of them is connected with the server.
    async fn check(self) {
        match self {
            Self::Tcp(streams) => {
                for stream in streams {
                    answers(&stream).await;
                }
            }
            Self::Unix(stream) => answers(&stream).await,
        }
    }
}

async fn answers<F: Family>(stream: &Stream<F>) {
    stream.write_all("ping").await.0.unwrap();
    hears_pong(stream).await;
}

pub(super) async fn hears_pong<F: Family>(stream: &Stream<F>) {
    let (result, answer) = stream.read_exact(Box::new([0; 4])).await;
    result.unwrap();
    assert_eq!(*answer, *b"pong");
}

/// Whether an operation that waits was refused.
pub(super) fn is_refused(error: &io::Error) -> bool {
    is_passing(error) || error.to_string().contains("Operation canceled")
}

/// Listeners that answer each connection.
struct Server {
    addr: SocketAddr,
    /// Where nobody listens.
    nobody: SocketAddr,
    path: PathBuf,
    name: unix::SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    async fn new(ground: &Ground) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("spargio-connects-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(&name);
        let name = unix::SocketAddr::from_abstract_name(name).unwrap();
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = tcp.local_addr().unwrap();
        let by_path = UnixListener::bind(&path).await.unwrap();
        let by_name = UnixListener::bind(name.clone()).await.unwrap();
        let nobody = {
            let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.local_addr().unwrap()
        };
        let tasks = vec![serve(ground, tcp), serve(ground, by_path), serve(ground, by_name)];
        Self { addr, nobody, path, name, tasks }
    }

    async fn end(self) {
        for task in self.tasks {
            task.abort();
            drop(task.await);
        }
        assert!(!self.path.exists(), "the listener takes its name along");
    }

    async fn connect(&self, form: Form, ground: &Ground) -> io::Result<Found> {
        let addr = self.addr;
        let fixed = StreamSessionPolicy::Fixed(here());
        let one = match form {
            Form::Addr => TcpStream::connect(addr).await,
            Form::Name => TcpStream::connect(("localhost", addr.port())).await,
            Form::Addrs => TcpStream::connect(&[self.nobody, addr][..]).await,
            Form::Timeout => TcpStream::connect_timeout(addr, Duration::from_secs(20)).await,
            Form::Socket => TcpSocket::new_v4().unwrap().connect(addr).await,
            Form::RoundRobin => TcpStream::connect_round_robin(addr).await,
            Form::Policy => TcpStream::connect_with_session_policy(addr, fixed).await,
            Form::On => TcpStream::connect_on(&ground.handle, addr).await,
            Form::Many => {
                return TcpStream::connect_many_round_robin(addr, 7).await.map(Found::Tcp);
            }
            Form::ManyByPolicy => {
                let many = TcpStream::connect_many_with_session_policy(addr, 3, fixed);
                return many.await.map(Found::Tcp);
            }
            Form::Path => return UnixStream::connect(&self.path).await.map(Found::Unix),
            Form::Abstract => {
                return UnixStream::connect(self.name.clone()).await.map(Found::Unix);
            }
            Form::UnixPolicy => {
                let connect = UnixStream::connect_with_session_policy(&self.path, fixed);
                return connect.await.map(Found::Unix);
            }
        };
        one.map(Found::tcp)
    }
}

/// Answers each connection, until the task is aborted.
fn serve<F: Family>(ground: &Ground, listener: Listener<F>) -> JoinHandle<()> {
    let handle = ground.handle.clone();
    let accept = async move {
        for turn in 0_usize.. {
            let policy = [StreamSessionPolicy::RoundRobin, StreamSessionPolicy::LeastLoaded];
            let accepted = match turn % 4 {
                0 => listener.accept().await,
                1 => listener.incoming().next().await,
                _ => listener.accept_with_session_policy(policy[turn % 2]).await,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    assert!(is_refused(&error), "{error}");
                    continue;
                }
            };
            let answer = async move {
                // One that was given up ends without a word.
                if stream.read_exact(Box::new([0; 4])).await.0.is_ok() {
                    stream.write_all("pong").await.0.unwrap();
                    stream.shutdown(Shutdown::Write).await.unwrap();
                }
            };
            drop(handle.spawn_stealable(answer).unwrap());
        }
    };
    ground.handle.spawn_stealable(accept).unwrap()
}

#[test]
fn every_form_begins_again_when_it_is_interrupted() {
    const NAME: &str = "connects::every_form_begins_again_when_it_is_interrupted";
    const BITES: &[Kind] = &[Kind::Waits, Kind::Once, Kind::Delayed, Kind::Short];
    let knobs = Knobs { waits: 2, once: 2, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        let server = Server::new(&ground).await;
        for _ in 0..4 {
            for form in FORMS {
                let found = server.connect(form, &ground).await;
                found.unwrap_or_else(|error| panic!("{form:?}: {error}")).check().await;
            }
        }
        server.end().await;
    });
}

#[test]
fn a_form_that_is_refused_says_so_and_leaves_nothing() {
    const NAME: &str = "connects::a_form_that_is_refused_says_so_and_leaves_nothing";
    const BITES: &[Kind] = &[Kind::Refused, Kind::Waits, Kind::Delayed];
    let knobs = Knobs { refuse: 4, waits: 5, once: 3, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        let server = Server::new(&ground).await;
        for form in FORMS {
            let mut done = 0;
            while done < 4 {
                match server.connect(form, &ground).await {
                    Ok(found) => {
                        found.check().await;
                        done += 1;
                    }
                    Err(error) => {
                        // Of several addresses, the last that was tried is told.
                        let is_known = is_refused(&error)
                            || matches!(form, Form::Addrs | Form::Name)
                                && error.kind() == io::ErrorKind::ConnectionRefused;
                        assert!(is_known, "{form:?}: {error}");
                    }
                }
            }
        }
        server.end().await;
    });
}

#[test]
fn every_form_is_dropped_at_every_await() {
    const NAME: &str = "connects::every_form_is_dropped_at_every_await";
    const BITES: &[Kind] = &[Kind::Waits, Kind::Delayed, Kind::LateCancel, Kind::Won];
    let knobs = Knobs { waits: 4, once: 3, linger: 1, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        let server = Server::new(&ground).await;
        for form in FORMS {
            for late in [false, true] {
                for times in 0.. {
                    let connect = server.connect(form, &ground);
                    let Some(found) = dropped(times, late, connect).await else { continue };
                    found.unwrap_or_else(|error| panic!("{form:?}: {error}")).check().await;
                    break;
                }
            }
        }
        server.end().await;
    });
}

/// A Unix socket whose backlog is full has a kernel thread wait.
#[test]
fn connects_that_wait_for_room_are_dropped_or_get_it() {
    const NAME: &str = "connects::connects_that_wait_for_room_are_dropped_or_get_it";
    const BITES: &[Kind] = &[Kind::Waits, Kind::LateCancel];
    const CLIENTS: u8 = 12;
    let knobs = Knobs { waits: 3, ..UNKIND };
    torment(NAME, knobs, BITES, |ground| async move {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("spargio-backlog-{}-{number}", std::process::id());
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(format!("\0{name}")).unwrap()).unwrap();
        socket.listen(0).unwrap();
        let name = unix::SocketAddr::from_abstract_name(name).unwrap();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|id| {
                let name = name.clone();
                let client = async move {
                    let connect = UnixStream::connect(name);
                    if id % 3 == 0 {
                        // Gives up, whether it waits or has connected.
                        drop(polled(1 + usize::from(id) / 3, connect).await);
                    } else {
                        connect.await.unwrap().write_all(vec![id]).await.0.unwrap();
                    }
                };
                ground.handle.spawn_stealable(client).unwrap()
            })
            .collect();
        let accepted = spargio::spawn_blocking(move || {
            let listener = unix::UnixListener::from(OwnedFd::from(socket));
            let mut seen = Vec::new();
            while seen.len() < usize::from(CLIENTS) * 2 / 3 {
                let mut stream = listener.accept().unwrap().0;
                io::Read::read_to_end(&mut stream, &mut seen).unwrap();
            }
            seen
        });
        for client in clients {
            client.await.unwrap();
        }
        let mut seen = accepted.unwrap().await.unwrap();
        seen.sort_unstable();
        assert!(seen.into_iter().eq((0..CLIENTS).filter(|id| id % 3 != 0)), "each once");
    });
}
