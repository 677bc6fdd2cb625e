//! Every operation on a driver that cuts transfers to a byte, interrupts, refuses, delays and
//! cancels late: no byte is lost, doubled or misplaced, and no task, operation, buffer or
//! descriptor is left at the end.

mod abroad;
mod cancel;
mod connects;
mod datagrams;
mod disk;
mod driver;
mod drops;
mod fs;
mod io;
mod knobs;
mod native;
mod peers;
mod polls;
mod standard;
mod streams;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use driver::Handle;
use knobs::{Counts, Kind, Knobs};

use crate::custody::canary::Graveyard;
use crate::custody::open_fds;
use crate::support::{SOON, alone, elsewhere, wait_until, watched};

/// Numbers that look random and are the same each time (xorshift).
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    /// Bytes among which no long part comes twice.
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 24) as u8).collect()
    }
}

/// What a test is given.
#[derive(Clone)]
struct Ground {
    handle: Handle,
    /// Lends buffers, which must come back.
    yard: Graveyard,
    seed: u64,
}

impl Ground {
    fn dice(&self) -> Dice {
        Dice::new(self.seed)
    }
}

/// Everything that can happen to a stream or a file, but for errors.
const UNKIND: Knobs = Knobs {
    seed: 0,
    byte: 4,
    short: 2,
    messages: true,
    interrupt: 0,
    again: 0,
    starve: 5,
    names: 0,
    waits: 0,
    refuse: 0,
    once: 0,
    decline: 3,
    delay: 3,
    linger: 2,
};

/// Runs the test on tortured runtimes of one shard and of two, each with another seed, in a process
/// of its own. After each nothing may be left, and after all each of these has happened.
fn torment<F>(
    name: &str,
    knobs: Knobs,
    bites: &'static [Kind],
    test: impl Fn(Ground) -> F + Send + Sync + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let test = Arc::new(test);
    alone(&format!("torture::{name}"), || {
        let counts = Arc::<Counts>::default();
        let before = open_fds();
        for (seed, shards) in (1..).zip([1, 2, 1, 2]) {
            let (test, counts) = (Arc::clone(&test), Arc::clone(&counts));
            watched(move |watch| {
                let builder = driver::builder(Knobs { seed, ..knobs }, &counts).shards(shards);
                let runtime = watch.build(builder.recv_buffer_size(256).recv_buffers(2, 8));
                let handle = runtime.handle();
                let yard = Graveyard::default();
                let ground = Ground { handle: handle.clone(), yard: yard.clone(), seed };
                let task = handle.spawn_stealable(test(ground)).unwrap();
                elsewhere(task).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                let total = || runtime.stats_snapshot().total();
                wait_until("no task lives", || total().live_tasks == 0);
                wait_until("nothing is in flight", || total().in_flight == 0);
                wait_until("no provided buffer is lent", || total().recv_buffers_leased == 0);
                wait_until("every buffer is let go", || yard.alive() == 0);
                assert_eq!(total().stale_completions, 0, "seed {seed}");
                let report = runtime.shutdown_timeout(SOON);
                assert_eq!((report.operations_leaked, report.shards_stuck), (0, 0), "{report}");
                assert_eq!((report.tasks_dropped, report.failures.len()), (0, 0), "{report}");
                yard.assert_at_rest();
            });
            assert_eq!(open_fds(), before, "seed {seed}");
        }
        println!("{name}: {counts:?}");
        for kind in bites {
            assert!(counts.of(*kind) > 0, "{kind:?} never happened: {counts:?}");
        }
    });
}

/// Polls the future up to so many times, whenever it was woken, and then drops it. What it gave, if
/// it was faster.
async fn polled<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
