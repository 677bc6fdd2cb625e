//! Tests of the resolver, with a system that answers when it is told to.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex as StdMutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::{Lookup, MAX_THREADS, MAX_WAITING, Resolver};
use crate::primitive::lock;

/// Answers with the port, except for `none`; the questions of host `hang` wait for [`let_go`].
fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host.starts_with("hang") {
        let mut hanging = HANGING.0.lock().unwrap();
        hanging.asked += 1;
        HANGING.1.notify_all();
        while !hanging.let_go {
            hanging = HANGING.1.wait(hanging).unwrap();
        }
    }
    match host {
        "none" => Err(io::Error::new(io::ErrorKind::NotFound, "there is none")),
        _ => Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]),
    }
}

struct Hanging {
    asked: usize,
    let_go: bool,
}

static HANGING: (StdMutex<Hanging>, Condvar) =
    (StdMutex::new(Hanging { asked: 0, let_go: false }), Condvar::new());

/// Waits until so many questions hang.
fn await_asked(count: usize) {
    let mut hanging = HANGING.0.lock().unwrap();
    while hanging.asked < count {
        hanging = HANGING.1.wait(hanging).unwrap();
    }
    assert_eq!(hanging.asked, count);
}

fn let_go() {
    HANGING.0.lock().unwrap().let_go = true;
    HANGING.1.notify_all();
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: StdArc<Self>) {
        self.0.unpark();
    }
}

fn wait(lookup: impl Future<Output = io::Result<Vec<SocketAddr>>>) -> io::Result<u16> {
    let waker = StdArc::new(Unpark(thread::current())).into();
    let mut lookup = pin!(lookup);
    loop {
        if let Poll::Ready(found) = lookup.as_mut().poll(&mut Context::from_waker(&waker)) {
            return found.map(|found| found[0].port());
        }
        thread::park_timeout(Duration::from_secs(1));
    }
}

fn poll(lookup: &mut Lookup, waker: &Waker) -> bool {
    Pin::new(lookup).poll(&mut Context::from_waker(waker)).is_ready()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        thread::yield_now();
    }
}

#[test]
fn names_are_looked_up_by_the_same_thread_one_after_the_other() {
    static RESOLVER: Resolver = Resolver::new(resolve);
    for port in 1..100 {
        assert_eq!(wait(RESOLVER.look_up("some", port).unwrap()).unwrap(), port);
        until("the thread waits", || lock(&RESOLVER.desk).idle == 1);
    }
    let desk = lock(&RESOLVER.desk);
    assert_eq!((desk.threads, desk.under_way.len()), (1, 0));
}

#[test]
fn an_error_names_the_host() {
    static RESOLVER: Resolver = Resolver::new(resolve);
    let error = wait(RESOLVER.look_up("none", 1).unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(error.to_string(), "cannot look up host \"none\": there is none");
}

#[test]
fn hanging_names_are_asked_once_and_those_beyond_the_limit_are_refused() {
    static RESOLVER: Resolver = Resolver::new(resolve);
    static WOKEN: AtomicUsize = AtomicUsize::new(0);
    struct Count;
    impl Wake for Count {
        fn wake(self: StdArc<Self>) {
            WOKEN.fetch_add(1, Ordering::SeqCst);
            panic!("a waker of somebody's");
        }
    }
    let count = Waker::from(StdArc::new(Count));
    let host = |number: usize| format!("hang {number}");
    let threads: Vec<_> =
        (0..MAX_THREADS).map(|number| RESOLVER.look_up(&host(number), 7).unwrap()).collect();
    await_asked(MAX_THREADS);
    // The same name joins, also when its first asker has gone; another port is another name.
    let mut joined: Vec<_> = (0..10).map(|_| RESOLVER.look_up(&host(0), 7).unwrap()).collect();
    for lookup in &mut joined {
        assert!(!poll(lookup, &count));
        assert!(!poll(lookup, &count), "and leaves one waker");
    }
    drop(threads);
    let mut waiting: Vec<_> =
        (0..MAX_WAITING).map(|number| RESOLVER.look_up(&host(number), 8).unwrap()).collect();
    let refused = RESOLVER.look_up("some", 9).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    // A name that nobody waits for makes room.
    drop(waiting.pop());
    let last = RESOLVER.look_up("some", 9).unwrap();
    drop(waiting.split_off(1));
    drop(joined.pop());
    let_go();
    assert_eq!(wait(last).unwrap(), 9);
    assert_eq!(wait(waiting.remove(0)).unwrap(), 8);
    until("all who wait are woken", || WOKEN.load(Ordering::SeqCst) == 9);
    for lookup in &mut joined {
        assert_eq!(wait(Pin::new(lookup)).unwrap(), 7);
    }
    // Of the names that nobody waited for none was asked.
    assert_eq!(HANGING.0.lock().unwrap().asked, MAX_THREADS + 1);
}
