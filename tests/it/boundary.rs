//! Requests and replies between spargio, tokio and plain threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use spargio::boundary::{
    BoundaryClient, BoundaryError, BoundaryRequest, BoundaryServer, BoundaryStats, channel,
    stats_snapshot,
};
use spargio::{Runtime, timeout};

use crate::support::{Event, asleep, elsewhere, wait_until, watched};

fn tokio(workers: usize) -> tokio::runtime::Runtime {
    let mut builder = match workers {
        0 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(workers.max(1)).thread_name("it-tokio").enable_all().build().unwrap()
}

/// Answers with one more, until the clients are gone.
async fn increment(server: BoundaryServer<u64, u64>) -> usize {
    let mut answered = 0;
    while let Ok(request) = server.recv().await {
        let (number, reply) = request.into_parts();
        reply.respond(number + 1).unwrap();
        answered += 1;
    }
    answered
}

#[test]
fn tokio_asks_and_shards_answer() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let (client, server) = channel(16);
        let servers: Vec<_> = (0..2_u16)
            .map(|shard| runtime.spawn_on(shard, increment(server.clone())).unwrap())
            .collect();
        drop(server);
        let tokio = tokio(2);
        tokio.block_on(async {
            let callers: Vec<_> = (0..8)
                .map(|name| {
                    let client = client.clone();
                    tokio::spawn(async move {
                        for round in 0..500 {
                            let number = name * 1_000 + round;
                            let ticket = client.call(number).await.unwrap();
                            assert_eq!(ticket.await, Ok(number + 1));
                        }
                    })
                })
                .collect();
            for caller in callers {
                caller.await.unwrap();
            }
        });
        drop(client);
        let answered: usize =
            servers.into_iter().map(|server| runtime.block_on(server).unwrap()).sum();
        assert_eq!(answered, 4_000);
    });
}

#[test]
fn shards_ask_and_tokio_or_a_thread_answers() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        for on_tokio in [true, false] {
            let (client, server) = channel(4);
            let answering = std::thread::spawn(move || {
                if on_tokio {
                    tokio(0).block_on(increment(server))
                } else {
                    elsewhere(increment(server))
                }
            });
            let callers: Vec<_> = (0..4)
                .map(|name| {
                    let client = client.clone();
                    let calls = async move {
                        for number in 0..200 {
                            let wait = Duration::from_secs(60);
                            let ticket = client.call_with_timeout(number, wait).await.unwrap();
                            assert_eq!(ticket.await, Ok(number + 1));
                        }
                    };
                    runtime.spawn_on(name % 2, calls).unwrap()
                })
                .collect();
            drop(client);
            for caller in callers {
                runtime.block_on(caller).unwrap();
            }
            assert_eq!(answering.join().unwrap(), 800);
        }
    });
}

#[test]
fn a_handler_that_panics_or_is_aborted_cancels_its_call() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let (client, server) = channel::<bool, u8>(4);
        let handle = runtime.handle();
        let tickets = [true, false].map(|panics| client.try_call(panics).unwrap());
        for _ in 0..2 {
            let request = elsewhere(server.recv()).unwrap();
            let stands = Event::default();
            let begun = stands.clone();
            let handler = handle.spawn_stealable(async move {
                assert!(!*request.request(), "a handler of the test panics on purpose");
                begun.set();
                std::future::pending::<()>().await;
                drop(request);
            });
            let handler = handler.unwrap();
            wait_until("the handler stands or is over", || {
                stands.is_set() || handler.is_finished()
            });
            handler.abort();
            elsewhere(handler).unwrap_err();
        }
        for ticket in tickets {
            assert_eq!(elsewhere(ticket), Err(BoundaryError::Canceled));
        }
    });
}

#[test]
fn a_shutdown_ends_every_call() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let (client, server) = channel::<u64, u64>(4);
        let held = Event::default();
        let holds = held.clone();
        let serving = async move {
            // Takes one, and never answers.
            let request = server.recv().await.unwrap();
            holds.set();
            std::future::pending::<()>().await;
            drop((request, server));
        };
        drop(runtime.spawn_on(1, serving).unwrap());
        let first = client.try_call(1).unwrap();
        wait_until("the request is with its handler", || held.is_set());
        let second = client.try_call(2).unwrap();
        drop(runtime);
        assert_eq!(elsewhere(first), Err(BoundaryError::Canceled));
        assert_eq!(elsewhere(second), Err(BoundaryError::Closed));
        assert_eq!(elsewhere(client.call(3)).unwrap_err().into_request(), 3);
    });
}

#[test]
fn a_receive_that_is_given_up_again_and_again_loses_no_request() {
    const CALLS: u64 = 5_000;
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let (client, server) = channel::<u64, u64>(8);
        let serving = runtime.spawn_on(0, async move {
            let mut seen = 0;
            let mut wait = Duration::ZERO;
            loop {
                // From no time at all to one that is long enough, and again.
                wait = if wait > Duration::from_micros(300) { Duration::ZERO } else { wait };
                wait += Duration::from_micros(7);
                match server.recv_timeout(wait).await {
                    Ok(request) => {
                        assert_eq!(*request.request(), seen, "in the order of the calls");
                        request.respond(seen).unwrap();
                        seen += 1;
                    }
                    Err(BoundaryError::Timeout) => {}
                    Err(error) => {
                        assert_eq!(error, BoundaryError::Closed);
                        return seen;
                    }
                }
            }
        });
        tokio(0).block_on(async {
            for number in 0..CALLS {
                assert_eq!(client.call(number).await.unwrap().await, Ok(number));
            }
        });
        drop(client);
        assert_eq!(runtime.block_on(serving.unwrap()).unwrap(), CALLS);
    });
}

#[test]
fn who_waits_is_not_polled() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let (client, server) = channel::<u64, u64>(1);
        let tokio = tokio(1);
        let serving = runtime.spawn_on(0, increment(server)).unwrap();
        let held = tokio.spawn({
            let client = client.clone();
            async move { client.call(1).await.unwrap().await }
        });
        assert_eq!(tokio.block_on(held).unwrap(), Ok(2));
        asleep(&runtime.handle(), 0);
        let polls = runtime.stats_snapshot().total().polls;
        // There is nothing to wait for: it is to be seen that nothing happens.
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(runtime.stats_snapshot().total().polls, polls, "the server was polled");
        drop(client);
        assert_eq!(runtime.block_on(serving).unwrap(), 1);
    });
}

/// Numbers from a seed: `splitmix64`.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// What servers did, and what callers saw.
struct Account {
    /// How often each request was handed to a handler.
    handed_out: Vec<AtomicU8>,
    /// Replies that were taken.
    responded: AtomicU64,
    /// In the order of [`ends`].
    seen: [AtomicU64; 5],
    /// Tickets that were dropped. Which end those have depends on what had come by then.
    given_up: AtomicU64,
}

/// The ends of calls: answered, overloaded, timed out, cancelled, closed.
fn ends(stats: BoundaryStats) -> [u64; 5] {
    [stats.answered, stats.overloaded, stats.timed_out, stats.canceled, stats.closed]
}

impl Account {
    fn saw(&self, end: Result<(), BoundaryError>) {
        let index = match end {
            Ok(()) => 0,
            Err(BoundaryError::Overloaded) => 1,
            Err(BoundaryError::Timeout) => 2,
            Err(BoundaryError::Canceled) => 3,
            Err(BoundaryError::Closed) => 4,
            Err(other) => panic!("{other}"),
        };
        self.seen[index].fetch_add(1, Ordering::Relaxed);
    }
}

/// Answers, drops, or takes its time.
async fn serve(server: BoundaryServer<u64, u64>, account: Arc<Account>, seed: u64) {
    let mut seeded = Seeded(seed);
    let mut batch = Vec::new();
    while server.recv_batch(&mut batch, 1 + seed as usize % 4).await.is_ok() {
        for request in batch.drain(..) {
            handle(request, &account, &mut seeded).await;
        }
    }
}

async fn handle(mut request: BoundaryRequest<u64, u64>, account: &Account, seeded: &mut Seeded) {
    let id = *request.request();
    account.handed_out[usize::try_from(id).unwrap()].fetch_add(1, Ordering::Relaxed);
    match seeded.next(100) {
        0..3 => drop(request.into_request()),
        3..6 => {
            // Until nobody wants it, or it has worked on it.
            let work = Duration::from_micros(seeded.next(200));
            if timeout(work, request.canceled()).await.is_err() && request.respond(!id).is_ok() {
                account.responded.fetch_add(1, Ordering::Relaxed);
            }
        }
        choice => {
            if choice < 10 {
                spargio::yield_now().await;
            }
            if request.respond(!id).is_ok() {
                account.responded.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Makes calls of all kinds and gives some of them up at random moments.
async fn call(
    client: BoundaryClient<u64, u64>,
    account: Arc<Account>,
    ids: std::ops::Range<u64>,
    seed: u64,
) {
    let mut seeded = Seeded(seed);
    for id in ids {
        let soon = Duration::from_micros(seeded.next(300));
        let later = Duration::from_secs(60);
        let called = match seeded.next(10) {
            0 => client.try_call(id),
            1 => client.try_call_with_timeout(id, soon),
            2..4 => client.call_with_timeout(id, soon).await,
            4 => client.call_with_timeout(id, later).await,
            5 => {
                // Given up while it waits for room, or not.
                let mut polls = seeded.next(2);
                let mut calling = std::pin::pin!(client.call(id));
                let called = std::future::poll_fn(|cx| match calling.as_mut().poll(cx) {
                    std::task::Poll::Ready(called) => std::task::Poll::Ready(Some(called)),
                    std::task::Poll::Pending if polls == 0 => std::task::Poll::Ready(None),
                    std::task::Poll::Pending => {
                        polls -= 1;
                        std::task::Poll::Pending
                    }
                });
                match called.await {
                    Some(called) => called,
                    None => {
                        account.saw(Err(BoundaryError::Canceled));
                        continue;
                    }
                }
            }
            _ => client.call(id).await,
        };
        let mut ticket = match called {
            Ok(ticket) => ticket,
            Err(refused) => {
                account.saw(Err(refused.kind()));
                assert_eq!(refused.into_request(), id);
                continue;
            }
        };
        let reply = match seeded.next(10) {
            0 => match timeout(soon, &mut ticket).await {
                Ok(reply) => reply,
                Err(_) => {
                    drop(ticket);
                    account.given_up.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            },
            1..3 => ticket.wait_timeout(soon).await,
            _ => ticket.await,
        };
        if let Ok(reply) = reply {
            assert_eq!(reply, !id, "the reply to another request");
        }
        account.saw(reply.map(drop));
    }
}

/// So many requests with random cancellations and deadlines, from tokio to shards.
fn storm(requests: u64, seed: u64) {
    const CALLERS: u64 = 16;
    println!("{requests} requests, seed {seed:#x}");
    watched(move |watch| {
        let runtime = watch.build(Runtime::builder().shards(2));
        let account = Arc::new(Account {
            handed_out: (0..requests).map(|_| AtomicU8::new(0)).collect(),
            responded: AtomicU64::new(0),
            seen: Default::default(),
            given_up: AtomicU64::new(0),
        });
        let before = stats_snapshot();
        let (client, server) = channel(8);
        let servers: Vec<_> = (0..4_u16)
            .map(|name| {
                let serving = serve(server.clone(), Arc::clone(&account), seed + u64::from(name));
                runtime.spawn_on(name % 2, serving).unwrap()
            })
            .collect();
        let watching = server.clone();
        drop(server);
        let start = Instant::now();
        tokio(2).block_on(async {
            let share = requests / CALLERS;
            let callers: Vec<_> = (0..CALLERS)
                .map(|name| {
                    let ids = name * share..(name + 1) * share;
                    let seed = seed ^ (name + 1) << 32;
                    tokio::spawn(call(client.clone(), Arc::clone(&account), ids, seed))
                })
                .collect();
            for caller in callers {
                caller.await.unwrap();
            }
        });
        println!("{:?} a request", start.elapsed() / u32::try_from(requests).unwrap());
        let stats = client.stats();
        drop(client);
        for server in servers {
            runtime.block_on(server).unwrap();
        }
        println!("{stats:?}");
        let requests = requests / CALLERS * CALLERS;
        assert_eq!(stats.calls, requests);
        assert_eq!((stats.ended(), stats.in_flight()), (requests, 0));
        assert_eq!(watching.stats(), stats, "nothing is counted after the end");
        assert_eq!(watching.queued(), 0);
        // Each was handed out once at most, and each reply that was taken is an answered call.
        let handed = |count| {
            account.handed_out.iter().filter(|times| times.load(Ordering::Relaxed) == count).count()
        };
        assert_eq!(handed(0) + handed(1), account.handed_out.len());
        assert_eq!(stats.answered, account.responded.load(Ordering::Relaxed));
        // What callers saw is what was counted, and the rest are the tickets that they gave up.
        let mut given_up = 0;
        for (counted, seen) in ends(stats).into_iter().zip(&account.seen) {
            given_up += counted.checked_sub(seen.load(Ordering::Relaxed)).unwrap();
        }
        assert_eq!(given_up, account.given_up.load(Ordering::Relaxed));
        assert_eq!(stats.closed, 0);
        assert!(stats.answered > requests / 4 && stats.overloaded > 0);
        assert!(stats.timed_out > 0 && stats.canceled > 0);
        assert!(stats_snapshot().calls >= before.calls + requests);
    });
}

#[test]
fn a_hundred_thousand_requests_are_answered_once_or_reported() {
    storm(100_000, 0x5eed);
}

#[test]
#[ignore = "takes longer: a million requests"]
fn a_million_requests_are_answered_once_or_reported() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    storm(1_000_000, u64::from(now.subsec_nanos()));
}

#[test]
fn a_call_waits_as_long_as_its_deadline_on_every_executor() {
    watched(|watch| {
        let runtime = watch.build(Runtime::builder().shards(1));
        let (client, server) = channel::<u64, u64>(1);
        async fn late(client: BoundaryClient<u64, u64>) {
            let (start, wait) = (Instant::now(), Duration::from_millis(10));
            let ticket = client.try_call_with_timeout(1, wait).unwrap();
            assert_eq!(ticket.await, Err(BoundaryError::Timeout));
            assert!(start.elapsed() >= wait);
        }
        elsewhere(late(client.clone()));
        tokio(0).block_on(late(client.clone()));
        runtime.block_on(runtime.spawn_on(0, late(client.clone())).unwrap()).unwrap();
        assert_eq!((client.stats().timed_out, server.queued()), (3, 0));
    });
}
