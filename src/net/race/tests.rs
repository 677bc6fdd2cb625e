//! Tests of the race, with attempts and delays that end when the test says so.

use std::cell::Cell;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Attempt, MAX_ATTEMPTS, Race, interleaved};

type Answer = Option<Result<u16, io::ErrorKind>>;

/// What the attempts are to do, and which of them there are.
#[derive(Default)]
struct Script {
    answers: Mutex<HashMap<SocketAddr, Answer>>,
    /// In the order in which they were started.
    started: Mutex<Vec<SocketAddr>>,
    dropped: Mutex<Vec<SocketAddr>>,
}

struct Scripted(Arc<Script>, SocketAddr);

impl Future for Scripted {
    type Output = io::Result<u16>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u16>> {
        match self.0.answers.lock().unwrap().get(&self.1).copied().flatten() {
            Some(answer) => Poll::Ready(answer.map_err(io::Error::from)),
            None => Poll::Pending,
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.0.dropped.lock().unwrap().push(self.1);
    }
}

/// A delay that is over when the clock has been advanced past it.
struct Delay(Rc<Cell<u32>>, u32);

impl Future for Delay {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0.get() > self.1 { Poll::Ready(()) } else { Poll::Pending }
    }
}

fn v4(number: u8) -> SocketAddr {
    ([10, 0, 0, number], 80).into()
}

fn v6(number: u16) -> SocketAddr {
    (Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number), 80).into()
}

struct Bench<R> {
    script: Arc<Script>,
    clock: Rc<Cell<u32>>,
    race: R,
}

impl<R: Future<Output = Option<u16>> + Unpin> Bench<R> {
    fn answer(&self, addr: SocketAddr, answer: Result<u16, io::ErrorKind>) {
        self.script.answers.lock().unwrap().insert(addr, Some(answer));
    }

    /// The delay that runs is over.
    fn advance(&self) {
        self.clock.set(self.clock.get() + 1);
    }

    fn poll(&mut self) -> Poll<Option<u16>> {
        Pin::new(&mut self.race).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[track_caller]
    fn assert_started(&mut self, expected: &[SocketAddr]) {
        assert_eq!(self.poll(), Poll::Pending);
        assert_eq!(*self.script.started.lock().unwrap(), expected);
    }
}

/// A race for these addresses.
macro_rules! bench {
    ($addrs:expr) => {{
        let (script, clock) = (Arc::new(Script::default()), Rc::new(Cell::new(0)));
        let (ours, time) = (Arc::clone(&script), Rc::clone(&clock));
        let connect = move |addr| -> Attempt<u16> {
            ours.started.lock().unwrap().push(addr);
            Box::pin(Scripted(Arc::clone(&ours), addr))
        };
        let wait = move || Delay(Rc::clone(&time), time.get());
        Bench { script, clock, race: Race::new($addrs, connect, wait) }
    }};
}

#[test]
fn versions_take_turns_beginning_with_that_of_the_first() {
    let order = interleaved(vec![v6(1), v6(2), v6(3), v4(1), v4(2)]);
    assert_eq!(order, [v6(1), v4(1), v6(2), v4(2), v6(3)]);
    let order = interleaved(vec![v4(1), v6(1), v6(2), v4(2), v6(3)]);
    assert_eq!(order, [v4(1), v6(1), v4(2), v6(2), v6(3)]);
    assert_eq!(interleaved(vec![v4(1), v4(2)]), [v4(1), v4(2)]);
}

#[test]
fn the_next_is_tried_when_the_delay_is_over_and_not_before() {
    let mut bench = bench!(vec![v6(1), v6(2), v4(1)]);
    bench.assert_started(&[v6(1)]);
    bench.assert_started(&[v6(1)]);
    bench.advance();
    bench.assert_started(&[v6(1), v4(1)]);
    bench.assert_started(&[v6(1), v4(1)]);
    bench.advance();
    bench.assert_started(&[v6(1), v4(1), v6(2)]);
    bench.advance();
    bench.assert_started(&[v6(1), v4(1), v6(2)]);
    assert!(bench.script.dropped.lock().unwrap().is_empty(), "the first still runs");
}

#[test]
fn the_next_is_tried_at_once_when_one_fails_and_the_delay_begins_anew() {
    let mut bench = bench!(vec![v4(1), v4(2), v4(3)]);
    bench.assert_started(&[v4(1)]);
    bench.answer(v4(1), Err(io::ErrorKind::ConnectionRefused));
    bench.assert_started(&[v4(1), v4(2)]);
    bench.assert_started(&[v4(1), v4(2)]);
    bench.advance();
    bench.assert_started(&[v4(1), v4(2), v4(3)]);
}

#[test]
fn the_first_success_wins_and_the_others_are_dropped() {
    for winner in [v4(1), v4(2), v4(3)] {
        let mut bench = bench!(vec![v4(1), v4(2), v4(3)]);
        bench.assert_started(&[v4(1)]);
        bench.advance();
        bench.assert_started(&[v4(1), v4(2)]);
        bench.advance();
        bench.assert_started(&[v4(1), v4(2), v4(3)]);
        bench.answer(winner, Ok(7));
        assert_eq!(bench.poll(), Poll::Ready(Some(7)));
        drop(bench.race);
        assert_eq!(bench.script.dropped.lock().unwrap().len(), 3);
    }
}

#[test]
fn all_failures_are_told() {
    let mut bench = bench!(vec![v4(1), v4(2)]);
    bench.answer(v4(1), Err(io::ErrorKind::ConnectionRefused));
    bench.answer(v4(2), Err(io::ErrorKind::HostUnreachable));
    assert_eq!(bench.poll(), Poll::Ready(None));
    let error = bench.race.into_error(None);
    assert_eq!(error.kind(), io::ErrorKind::HostUnreachable, "that of the last");
    let text = error.to_string();
    for part in ["10.0.0.1:80: connection refused", "10.0.0.2:80: host unreachable"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_race_that_is_given_up_tells_how_far_it_was() {
    let mut bench = bench!(vec![v4(1), v4(2), v4(3)]);
    bench.answer(v4(1), Err(io::ErrorKind::ConnectionRefused));
    bench.assert_started(&[v4(1), v4(2)]);
    let error = bench.race.into_error(Some(Duration::from_secs(3)));
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(
        error.to_string(),
        "cannot connect within 3s to 10.0.0.1:80: connection refused, to 10.0.0.2:80: no answer, \
         to 10.0.0.3:80: not tried"
    );
    assert_eq!(*bench.script.dropped.lock().unwrap(), [v4(1), v4(2)]);
}

#[test]
fn at_the_limit_of_attempts_the_next_waits_for_a_failure() {
    let addrs: Vec<_> = (0..=MAX_ATTEMPTS as u8).map(v4).collect();
    let mut bench = bench!(addrs.clone());
    for started in 1..=MAX_ATTEMPTS {
        bench.assert_started(&addrs[..started]);
        bench.advance();
    }
    bench.assert_started(&addrs[..MAX_ATTEMPTS]);
    bench.answer(v4(3), Err(io::ErrorKind::ConnectionRefused));
    bench.assert_started(&addrs);
}
