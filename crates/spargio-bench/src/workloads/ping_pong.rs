//! Messages that go back and forth between two tasks.

use std::future::Future;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use super::{Floor, Spec, Stage, Workload, baton, by_hand};
use crate::measure::{Latencies, Meter, Slice, Wrong};
use crate::runtimes::{Need, Receiver, Runtime, Sender, Setup};

/// One round trip in so many is timed: between tasks of one thread, reading the clock would cost
/// as much as the round trip.
pub(super) const TIMED: u32 = 16;

/// Two tasks wherever the runtime puts them, with the runtime's own channels.
pub(super) struct Steady;

impl Workload for Steady {
    const SPEC: Spec = Spec::new(
        "ping_pong",
        "steady_ping_pong_rtt",
        "round trip",
        "Two tasks send each other a number and wait for the next, through two channels: the \
         runtime's own if it has one (spargio, tokio), else async-channel. The runtime decides where \
         the tasks run. Floor: two futures with two words of memory, polled by turns on one \
         thread.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let meter = Meter::start();
            let (asking, answering) = players::<R>(times);
            let partner = runtime.spawn(answering);
            let asked = runtime.spawn(asking).await;
            judge(meter, times, asked, partner.await)
        })
    }

    const FLOOR: Option<Floor> = Some(by_turns);
}

/// The same on two threads.
pub(super) struct SteadyApart;

impl Workload for SteadyApart {
    const SPEC: Spec = Spec {
        needs: &[Need::Placement],
        ..Spec::new(
            "ping_pong",
            "ping_pong_two_threads",
            "round trip",
            "As steady_ping_pong_rtt, with the tasks bound to two different threads. Floor: two \
             threads, each on a CPU of its own, that spin on two words.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let meter = Meter::start();
            let (asking, answering) = players::<R>(times);
            let partner = runtime.spawn_on(1, answering);
            let asked = runtime.spawn_on(0, asking).await;
            judge(meter, times, asked, partner.await)
        })
    }

    const FLOOR: Option<Floor> = Some(spinning);
}

/// The side that asks, and the one that answers with the number it got.
fn players<R: Runtime>(
    times: u64,
) -> (
    impl Future<Output = (u64, Latencies)> + Send + 'static,
    impl Future<Output = u64> + Send + 'static,
) {
    let (ask, mut asked) = R::channel::<u64>(Some(1));
    let (answer, mut answers) = R::channel::<u64>(Some(1));
    let asking = async move {
        let mut latencies = Latencies::of_one_in(TIMED);
        let mut right = 0;
        for number in 0..times {
            let lap = latencies.start();
            ask.send(number);
            right += u64::from(answers.receive().await == Some(number));
            latencies.end(lap);
        }
        (right, latencies)
    };
    let answering = async move {
        let mut answered = 0;
        while let Some(number) = asked.receive().await {
            answer.send(number);
            answered += 1;
            if answered == times {
                break;
            }
        }
        answered
    };
    (asking, answering)
}

/// Two tasks wherever the runtime puts them, without channels.
pub(super) struct Wakers;

impl Workload for Wakers {
    const SPEC: Spec = Spec::new(
        "ping_pong",
        "waker_ping_pong",
        "round trip",
        "As steady_ping_pong_rtt, without channels: two words of memory with a waker each, the \
         same for all, so that what is left is the scheduler. Floor: as there.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let meter = Meter::start();
            let (near, far) = baton::pair();
            let partner = runtime.spawn(far.pong(times));
            let asked = runtime.spawn(near.ping(times)).await;
            judge(meter, times, asked, partner.await)
        })
    }

    const FLOOR: Option<Floor> = Some(by_turns);
}

/// The same on two threads.
pub(super) struct WakersApart;

impl Workload for WakersApart {
    const SPEC: Spec = Spec {
        needs: &[Need::Placement],
        ..Spec::new(
            "ping_pong",
            "waker_ping_pong_two_threads",
            "round trip",
            "As waker_ping_pong, with the tasks bound to two different threads. Floor: two \
             threads, each on a CPU of its own, that spin on two words.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let meter = Meter::start();
            let (near, far) = baton::pair();
            let partner = runtime.spawn_on(1, far.pong(times));
            let asked = runtime.spawn_on(0, near.ping(times)).await;
            judge(meter, times, asked, partner.await)
        })
    }

    const FLOOR: Option<Floor> = Some(spinning);
}

fn judge(
    meter: Meter,
    times: u64,
    (received, latencies): (u64, Latencies),
    answered: u64,
) -> Result<Slice, Wrong> {
    let slice = meter.stop(times).with_latencies(latencies);
    Wrong::unless_equal("right answers", received, times)?;
    Wrong::unless_equal("messages answered", answered, times)?;
    Ok(slice)
}

fn by_turns(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let meter = Meter::start();
    let (asked, answered) = baton::by_turns(times);
    judge(meter, times, asked, answered)
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
    let mut latencies = Latencies::of_one_in(TIMED);
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
