//! The obligations of a [`Doorbell`], as checks that run for any doorbell on any driver.
//!
//! **O4** is checked from one side only: a ring that arrived is not reported as failed. Nothing
//! outside of a doorbell can make the system refuse a ring; test that for your own with a far end
//! that leads nowhere.

use std::fmt;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use crate::doorbell::{Answer, Doorbell};
use crate::driver::{Class, Cqe, Driver, Opcode, Sqe, Token};
use crate::id::ShardId;
use crate::testing::asleep::park_while;
use crate::testing::{Racer, Site, broken, demand, race};

/// Hands the names of all checks to a macro.
macro_rules! checks {
    ($each:ident $($arguments:tt)*) => {
        $each! { $($arguments)*
            o1_a_ring_before_the_sleep_prevents_it
            o1_a_shard_wakes_a_sleeping_shard
            o5_a_foreign_thread_wakes_a_sleeping_shard
            o2_every_ring_of_many_is_heard
            o2_a_full_completion_queue_does_not_silence_it
            o3_ringing_is_no_system_call_until_the_queue_is_full
            o5_many_foreign_threads_ring_at_once_and_none_waits
        }
    };
}
pub(crate) use checks;

/// A shard as far as its doorbell is concerned.
struct House<'s, D: Driver, B: Doorbell<D>> {
    site: &'s Site<'s, D>,
    driver: D,
    bell: B,
}

impl<'s, D: Driver, B: Doorbell<D>> House<'s, D, B> {
    /// The shard of this number, on this thread, and the far end of its doorbell.
    fn open(site: &'s Site<'s, D>, shard: u16) -> (Self, B::Ringer) {
        let mut driver = site.driver(shard);
        let (bell, far) = B::open(&mut driver, ShardId::new(shard)).unwrap_or_else(|error| {
            panic!("`{}` does not open: {error}", std::any::type_name::<B>())
        });
        (Self { site, driver, bell }, far)
    }

    /// Answers what has arrived. How often it was rung at, and how many entries completed that are
    /// not the doorbell's.
    fn answer(&mut self) -> (usize, usize) {
        let mut seen: Vec<Cqe> = Vec::new();
        self.driver.drain(|cqe| seen.push(cqe));
        let (mut heard, mut others) = (0, 0);
        for cqe in seen {
            let is_bell =
                matches!(cqe.token.class(), Some(Class::Bell | Class::BellSent | Class::Watch));
            if !is_bell {
                others += 1;
                continue;
            }
            match self.bell.answered(&mut self.driver, cqe) {
                Ok(Answer::Heard) => heard += 1,
                Ok(Answer::Failed { target, error }) => broken::<B>(
                    "O4",
                    format_args!("it says that a ring for shard {target} failed: {error}"),
                ),
                Err(error) => broken::<B>("O2", format_args!("it does not arm itself: {error}")),
            }
        }
        (heard, others)
    }

    /// Parks until it was rung at.
    fn listen(&mut self, obligation: &str, ring: fmt::Arguments<'_>) {
        let patience = self.site.patience_of();
        let deadline = Instant::now() + patience;
        while self.answer().0 == 0 {
            if Instant::now() >= deadline {
                broken::<B>(obligation, format_args!("{ring} was not heard in {patience:?}"));
            }
            let until = self.driver.now() + patience;
            self.driver.park(Some(until)).unwrap_or_else(|error| {
                panic!("`{}` cannot park: {error}", std::any::type_name::<D>())
            });
        }
    }

    /// Answers until nothing is left to answer.
    fn settle(&mut self) -> (usize, usize) {
        let (mut heard, mut others) = (0, 0);
        loop {
            flush(&mut self.driver);
            let seen = self.answer();
            heard += seen.0;
            others += seen.1;
            if !self.driver.pending() && self.driver.queued() == 0 {
                return (heard, others);
            }
        }
    }
}

fn flush<D: Driver>(driver: &mut D) {
    driver
        .flush()
        .unwrap_or_else(|error| panic!("`{}` cannot flush: {error}", std::any::type_name::<D>()));
}

fn ring<D: Driver, B: Doorbell<D>>(from: &mut D, to: &B::Ringer) {
    B::ring(from, to)
        .unwrap_or_else(|error| broken::<B>("O1", format_args!("`ring` fails: {error}")));
}

fn ring_foreign<D: Driver, B: Doorbell<D>>(to: &B::Ringer) {
    B::ring_foreign(to)
        .unwrap_or_else(|error| broken::<B>("O5", format_args!("`ring_foreign` fails: {error}")));
}

/// Queues an entry that does nothing. Whether there was room.
fn push_nop<D: Driver>(driver: &mut D) -> bool {
    let nop = Sqe::nop().token(Token::new(Class::Op, 0, 0));
    // SAFETY: the entry names neither memory nor an fd.
    unsafe { driver.push(nop) }.is_ok()
}

/// **O1**: a ring that comes before the sleep prevents it.
///
/// # Panics
///
/// If the ring is not heard.
pub fn o1_a_ring_before_the_sleep_prevents_it<D: Driver, B: Doorbell<D>>(site: &Site<'_, D>) {
    let (mut house, far) = House::<D, B>::open(site, 3);
    ring_foreign::<D, B>(&far);
    house.listen("O1", format_args!("a ring that came before the sleep"));
}

/// **O1**: a shard rings, flushes, and the shard that sleeps wakes. **O4**: the one that rang is
/// not told of a failure.
///
/// # Panics
///
/// If the ring is not heard, or reported as failed.
pub fn o1_a_shard_wakes_a_sleeping_shard<D: Driver, B: Doorbell<D>>(site: &Site<'_, D>) {
    let (mut house, far) = House::<D, B>::open(site, 3);
    let woke = park_while(site, &mut house.driver, || {
        let (mut sender, _far) = House::<D, B>::open(site, 1);
        ring::<D, B>(&mut sender.driver, &far);
        sender.settle();
    });
    demand!(B, "O1", woke, "a shard rang and flushed, and the target slept on");
    house.listen("O1", format_args!("a ring from a shard"));
}

/// **O5** and **O1**: a thread without a ring wakes a shard that sleeps.
///
/// # Panics
///
/// If the ring is not heard.
pub fn o5_a_foreign_thread_wakes_a_sleeping_shard<D: Driver, B: Doorbell<D>>(site: &Site<'_, D>) {
    let (mut house, far) = House::<D, B>::open(site, 3);
    let woke = park_while(site, &mut house.driver, || ring_foreign::<D, B>(&far));
    demand!(B, "O5", woke, "a thread without a ring rang, and the target slept on");
    house.listen("O5", format_args!("a ring from a thread without a ring"));
}

/// **O2**: of 300 rings, from a shard and from outside by turns and each sent only when the one
/// before was heard, each is heard.
///
/// # Panics
///
/// If one is not.
pub fn o2_every_ring_of_many_is_heard<D: Driver, B: Doorbell<D>>(site: &Site<'_, D>) {
    const RINGS: u32 = 300;
    let (mut house, far) = House::<D, B>::open(site, 3);
    thread::scope(|scope| {
        // Inside, so that a listener that panics hangs up.
        let (heard, go) = mpsc::channel::<()>();
        let far = &far;
        let sender = scope.spawn(move || {
            let mut driver = site.driver(1);
            for number in 0..RINGS {
                if number % 2 == 0 {
                    ring::<D, B>(&mut driver, far);
                    flush(&mut driver);
                } else {
                    ring_foreign::<D, B>(far);
                }
                if go.recv().is_err() {
                    return;
                }
            }
        });
        for number in 0..RINGS {
            let who = if number % 2 == 0 { "a shard" } else { "outside" };
            house.listen("O2", format_args!("ring {number} of {RINGS}, from {who},"));
            if heard.send(()).is_err() {
                break;
            }
        }
        drop(heard);
        if let Err(panic) = sender.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// **O2**: rings that meet a full completion queue are heard, and so is the one after them.
///
/// # Panics
///
/// If none is heard, or completions of others get lost meanwhile.
pub fn o2_a_full_completion_queue_does_not_silence_it<D: Driver, B: Doorbell<D>>(
    site: &Site<'_, D>,
) {
    let (mut house, far) = House::<D, B>::open(site, 3);
    if !house.driver.caps().supports(Opcode::NOP) {
        return;
    }
    let nops = 2 * house.driver.caps().cq_entries.clamp(16, 4_096) as usize;
    for _ in 0..nops {
        while !push_nop(&mut house.driver) {
            flush(&mut house.driver);
        }
    }
    flush(&mut house.driver);
    for _ in 0..40 {
        ring_foreign::<D, B>(&far);
        flush(&mut house.driver);
    }
    let (mut heard, mut others) = (0, 0);
    let deadline = Instant::now() + site.patience_of();
    while heard == 0 || others < nops {
        let seen = house.settle();
        heard += seen.0;
        others += seen.1;
        let is_late = Instant::now() >= deadline;
        demand!(
            B,
            "O2",
            !is_late,
            "with the completion queue full, {heard} of 40 rings were heard, and {others} of \
             {nops} entries completed"
        );
    }
    house.settle();
    ring_foreign::<D, B>(&far);
    house.listen("O2", format_args!("a ring after those that met a full completion queue"));
}

/// **O3**: ringing makes no system call while the sender's submission queue has room; when it has
/// none, the ring goes out all the same, or the doorbell says that it does not (`WouldBlock`).
///
/// # Panics
///
/// If the driver entered the kernel, or the rings are not heard.
pub fn o3_ringing_is_no_system_call_until_the_queue_is_full<D: Driver, B: Doorbell<D>>(
    site: &Site<'_, D>,
) {
    let (mut house, far) = House::<D, B>::open(site, 3);
    let mut sender = site.driver(1);
    flush(&mut sender);
    let enters = sender.enters();
    for number in 1..=sender.caps().sq_entries.clamp(1, 64) {
        ring::<D, B>(&mut sender, &far);
        let made = sender.enters() - enters;
        demand!(B, "O3", made == 0, "{made} system calls within {number} rings");
    }
    flush(&mut sender);
    house.listen("O1", format_args!("a batch of rings"));
    house.settle();
    if sender.caps().supports(Opcode::NOP) {
        let mut room = 100_000;
        while room > 0 && push_nop(&mut sender) {
            room -= 1;
        }
        match B::ring(&mut sender, &far) {
            Ok(()) => flush(&mut sender),
            // What a shard does then: the kernel takes nothing before completions are collected.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ring_foreign::<D, B>(&far),
            Err(error) => broken::<B>("O4", format_args!("`ring` fails: {error}")),
        }
        house.listen("O3", format_args!("a ring from a shard whose submission queue was full"));
    }
}

/// **O5**: four threads ring a hundred times each while the target does not listen. None of them
/// waits for it, the target hears of it, and so it does of the next ring.
///
/// # Panics
///
/// If a ring waits, or is not heard.
pub fn o5_many_foreign_threads_ring_at_once_and_none_waits<D: Driver, B: Doorbell<D>>(
    site: &Site<'_, D>,
) {
    const THREADS: usize = 4;
    let (mut house, far) = House::<D, B>::open(site, 3);
    let mut heard = 0;
    thread::scope(|scope| {
        let (done, all) = mpsc::channel();
        let far = &far;
        let ringers = scope.spawn(move || {
            let ringer = || (0..100).for_each(|_| ring_foreign::<D, B>(far));
            race((0..THREADS).map(|_| Box::new(ringer) as Racer<'_>));
            done.send(()).is_ok()
        });
        let waits = all.recv_timeout(site.patience_of()) == Err(mpsc::RecvTimeoutError::Timeout);
        // Who waits for the target is let go before the check fails.
        while !ringers.is_finished() {
            heard += house.settle().0;
        }
        if let Err(panic) = ringers.join() {
            std::panic::resume_unwind(panic);
        }
        demand!(B, "O5", !waits, "`ring_foreign` waits for a target that does not listen");
    });
    if heard == 0 {
        house.listen("O5", format_args!("any of {} rings at once", THREADS * 100));
    }
    house.settle();
    ring_foreign::<D, B>(&far);
    house.listen("O2", format_args!("a ring after many at once"));
}
