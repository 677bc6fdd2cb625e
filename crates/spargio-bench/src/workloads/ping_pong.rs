//! Messages that go back and forth between two tasks.

use std::hint::spin_loop;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use crossbeam_utils::CachePadded;

use super::{Floor, Spec, Stage, Workload, baton, by_hand};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Need, Runtime, Setup};

/// Two tasks wherever the runtime puts them.
pub(super) struct Anywhere;

impl Workload for Anywhere {
    const SPEC: Spec = Spec::new(
        "ping_pong",
        "ping_pong_anywhere",
        "round trip",
        "Two tasks pass a number back and forth through a pair of atomics with wakers, the same \
         for all; the runtime decides where they run. Floor: the two futures polled by turns on \
         one thread.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let (near, far) = baton::pair();
            let meter = Meter::start();
            let partner = runtime.spawn(far.pong(times));
            let (received, latencies) = runtime.spawn(near.ping(times)).await;
            let answered = partner.await;
            let slice = meter.stop(times).with_latencies(latencies);
            Wrong::unless_equal("answers received", received, times)?;
            Wrong::unless_equal("messages answered", answered, times)?;
            Ok(slice)
        })
    }

    const FLOOR: Option<Floor> = Some(by_turns);
}

fn by_turns(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let (near, far) = baton::pair();
    let meter = Meter::start();
    let (mut near, mut far) = (pin!(near.ping(times)), pin!(far.pong(times)));
    let mut context = Context::from_waker(Waker::noop());
    let mut open = true;
    let (received, latencies) = loop {
        if let std::task::Poll::Ready(result) = near.as_mut().poll(&mut context) {
            break result;
        }
        open = open && far.as_mut().poll(&mut context).is_pending();
    };
    let slice = meter.stop(times).with_latencies(latencies);
    Wrong::unless_equal("answers received", received, times)?;
    Ok(slice)
}

/// Two tasks on different threads.
pub(super) struct Apart;

impl Workload for Apart {
    const SPEC: Spec = Spec {
        needs: &[Need::Placement],
        ..Spec::new(
            "ping_pong",
            "ping_pong_two_threads",
            "round trip",
            "The same between two tasks that are bound to different threads. Floor: two threads, \
             each on a CPU of its own, that spin on two words.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let (near, far) = baton::pair();
            let meter = Meter::start();
            let partner = runtime.spawn_on(1, far.pong(times));
            let (received, latencies) = runtime.spawn_on(0, near.ping(times)).await;
            let answered = partner.await;
            let slice = meter.stop(times).with_latencies(latencies);
            Wrong::unless_equal("answers received", received, times)?;
            Wrong::unless_equal("messages answered", answered, times)?;
            Ok(slice)
        })
    }

    const FLOOR: Option<Floor> = Some(spinning);
}

fn spinning(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let there = CachePadded::new(AtomicU64::new(0));
    let back = CachePadded::new(AtomicU64::new(0));
    // Acquire and Release pair with each other: each number carries what was done before it.
    let wait = |word: &AtomicU64, number| {
        while word.load(Ordering::Acquire) != number {
            spin_loop();
        }
    };
    let mut latencies = Latencies::of_one_in(baton::TIMED);
    let ping = || {
        for number in 1..=times {
            let lap = latencies.start();
            there.store(number, Ordering::Release);
            wait(&back, number);
            latencies.end(lap);
        }
    };
    let pong = || {
        for number in 1..=times {
            wait(&there, number);
            back.store(number, Ordering::Release);
        }
    };
    let meter = Meter::start();
    by_hand::on_two_cpus(ping, pong);
    Ok(meter.stop(times).with_latencies(latencies))
}
