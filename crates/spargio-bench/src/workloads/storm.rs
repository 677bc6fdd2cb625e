//! Deadlines that are set for every message, and that the answers cancel.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::{Spec, Stage, Workload};
use crate::measure::{Meter, Slice, Wrong};
use crate::runtimes::{Receiver, Runtime, Sender};

/// Pairs of tasks.
const PAIRS: u64 = 8;
/// How long an answer may take.
const DEADLINE: Duration = Duration::from_micros(200);

/// Short timers on all threads, of which hardly one fires.
pub(super) struct Storm;

impl Workload for Storm {
    const SPEC: Spec = Spec::new(
        "timer",
        "timer_cancel_reschedule_storm",
        "round trip",
        "Eight pairs of tasks, each on one thread where nobody steals, send each other numbers \
         through channels (the runtime's own if it has one). Beside the answer, the one who asks \
         waits for a sleep of 200 us, which is set for each number and cancelled by its answer. If \
         the sleep ends first, another is set for the same answer; how many did stands beside it. \
         So the next deadline of a thread changes all the time, but nobody's tick is measured.",
    );

    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong> {
        stage.inside(move |runtime| async move {
            let each = times.div_ceil(PAIRS);
            let meter = Meter::start();
            let pairs: Vec<_> = (0..PAIRS as usize)
                .map(|turn| {
                    let (ask, asked) = R::channel(Some(1));
                    let (answer, answers) = R::channel(Some(1));
                    let partner = runtime.spread(turn, answer_all::<R>(asked, answer));
                    let asking = ask_with_deadline(runtime.clone(), ask, answers, each);
                    (runtime.spread(turn, asking), partner)
                })
                .collect();
            let (mut right, mut late) = (0, 0);
            for (asking, partner) in pairs {
                let (own_right, own_late) = asking.await;
                right += own_right;
                late += own_late;
                partner.await;
            }
            let slice = meter.stop(PAIRS * each);
            Wrong::unless_equal("right answers", right, PAIRS * each)?;
            let share = late as f64 * 1e3 / (PAIRS * each) as f64;
            Ok(slice.with_note("late per 1,000", share))
        })
    }
}

/// How many answers were right, and how many sleeps ended before the answer.
async fn ask_with_deadline<R: Runtime>(
    runtime: R,
    ask: R::Sender<u64>,
    mut answers: R::Receiver<u64>,
    times: u64,
) -> (u64, u64) {
    let (mut right, mut late) = (0, 0);
    for number in 0..times {
        ask.send(number);
        let answer = loop {
            // The sleep is polled first, which sets it even if the answer is there already.
            let sleep = pin!(runtime.sleep(DEADLINE));
            match select(sleep, pin!(answers.receive())).await {
                Either::Left(_) => late += 1,
                Either::Right((answer, _)) => break answer,
            }
        };
        right += u64::from(answer == Some(number));
    }
    (right, late)
}

async fn answer_all<R: Runtime>(mut asked: R::Receiver<u64>, answer: R::Sender<u64>) {
    while let Some(number) = asked.receive().await {
        answer.send(number);
    }
}
