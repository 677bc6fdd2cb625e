//! Messages in one direction, in bursts, each drained before the next.

use std::collections::VecDeque;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use super::{Floor, Spec, Stage, Workload, by_hand};
use crate::measure::{Meter, Slice, Wrong};
use crate::runtimes::{Need, Receiver, Runtime, Sender, Setup};

/// Messages of a burst, as in the published suite.
const BURST: u64 = 2048;

/// Two tasks wherever the runtime puts them.
pub(super) struct Anywhere;

impl Workload for Anywhere {
    const SPEC: Spec = Spec::new(
        "ping_pong",
        "steady_one_way_send_drain",
        "message",
        "One task sends bursts of 2,048 numbers to another, which adds them up and answers each \
         burst; the next burst waits for the answer. Channels as in steady_ping_pong_rtt. Floor: \
         a queue on one thread.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move { bursts(runtime, times, None).await })
    }

    const FLOOR: Option<Floor> = Some(queue);
}

/// The same on two threads.
pub(super) struct Apart;

impl Workload for Apart {
    const SPEC: Spec = Spec {
        needs: &[Need::Placement],
        ..Spec::new(
            "ping_pong",
            "one_way_two_threads",
            "message",
            "As steady_one_way_send_drain, with the tasks bound to two different threads. Floor: \
             two threads, each on a CPU of its own, with a ring of words between them.",
        )
    };

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move { bursts(runtime, times, Some((0, 1))).await })
    }

    const FLOOR: Option<Floor> = Some(ring);
}

async fn bursts<R: Runtime>(
    runtime: R,
    times: u64,
    threads: Option<(usize, usize)>,
) -> Result<Slice, Wrong> {
    let rounds = times.div_ceil(BURST);
    let (sender, mut receiver) = R::channel::<u64>(Some(BURST as usize));
    let (answer, mut answers) = R::channel::<u64>(Some(1));
    let meter = Meter::start();
    let draining = async move {
        let mut sum = 0;
        for _ in 0..rounds {
            for _ in 0..BURST {
                sum += receiver.receive().await.unwrap_or(0);
            }
            answer.send(sum);
        }
        sum
    };
    let sending = async move {
        let mut answered = 0;
        for round in 0..rounds {
            for number in 0..BURST {
                sender.send(round * BURST + number);
            }
            answered += u64::from(answers.receive().await.is_some());
        }
        answered
    };
    let (drained, sent) = match threads {
        None => (runtime.spawn(draining), runtime.spawn(sending)),
        Some((near, far)) => (runtime.spawn_on(far, draining), runtime.spawn_on(near, sending)),
    };
    let answered = sent.await;
    let sum = drained.await;
    let messages = rounds * BURST;
    let slice = meter.stop(messages);
    Wrong::unless_equal("bursts answered", answered, rounds)?;
    Wrong::unless_equal("the sum of all messages", sum, messages * (messages - 1) / 2)?;
    Ok(slice)
}

fn queue(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let rounds = times.div_ceil(BURST);
    let mut queue = VecDeque::new();
    let mut sum = 0;
    let meter = Meter::start();
    for round in 0..rounds {
        for number in 0..BURST {
            queue.push_back(std::hint::black_box(round * BURST + number));
        }
        while let Some(number) = queue.pop_front() {
            sum += std::hint::black_box(number);
        }
    }
    let messages = rounds * BURST;
    let slice = meter.stop(messages);
    Wrong::unless_equal("the sum of all messages", sum, messages * (messages - 1) / 2)?;
    Ok(slice)
}

fn ring(_setup: &Setup, times: u64) -> Result<Slice, Wrong> {
    let rounds = times.div_ceil(BURST);
    let slots: Vec<AtomicU64> = (0..BURST).map(|_| AtomicU64::new(0)).collect();
    let sent = CachePadded::new(AtomicU64::new(0));
    let drained = CachePadded::new(AtomicU64::new(0));
    let mut sum = 0;
    let send = || {
        for round in 0..rounds {
            for number in 0..BURST {
                let message = round * BURST + number;
                slots[number as usize].store(message, Ordering::Relaxed);
                // Release pairs with the Acquire of the drain, which then sees the slot.
                sent.store(message + 1, Ordering::Release);
            }
            // Acquire pairs with the Release of the drain: its slots may be filled again.
            while drained.load(Ordering::Acquire) <= round {
                spin_loop();
            }
        }
    };
    let drain = || {
        for message in 0..rounds * BURST {
            // Acquire pairs with the Release of the sender.
            while sent.load(Ordering::Acquire) <= message {
                spin_loop();
            }
            sum += slots[(message % BURST) as usize].load(Ordering::Relaxed);
            if message % BURST == BURST - 1 {
                // Release pairs with the Acquire of the sender.
                drained.store(message / BURST + 1, Ordering::Release);
            }
        }
    };
    let meter = Meter::start();
    by_hand::on_two_cpus(send, drain);
    let messages = rounds * BURST;
    let slice = meter.stop(messages);
    Wrong::unless_equal("the sum of all messages", sum, messages * (messages - 1) / 2)?;
    Ok(slice)
}
