//! Proof tools: suites that say whether a part keeps its promises, for our parts and for yours.
//!
//! Each of the four traits numbers the obligations of its implementors (**O1**, **O2**, ...). A
//! suite is a set of checks, each a function named after the obligation that it tests; a check that
//! fails panics with the part, the obligation and what it saw. The parts of this crate run the same
//! suites.
//!
//! | Part | All its checks | One by one |
//! |---|---|---|
//! | [`StealQueue`] | [`steal_queue()`] | [`mod@steal_queue`] |
//! | [`Placement`] | [`placement()`] | [`mod@placement`] |
//! | [`Doorbell`] | [`doorbell()`], [`doorbell_at`] | [`mod@doorbell`] |
//! | [`Driver`] | [`driver()`], [`driver_at`] | [`mod@driver`] |
//! | queue and placement in a scheduler | [`scheduler()`] | |
//!
//! ```
//! use spargio::placement::RoundRobin;
//! use spargio::queue::MutexQueue;
//!
//! spargio::testing::steal_queue::<MutexQueue>();
//! spargio::testing::placement(RoundRobin::new);
//! ```
//!
//! A suite that finds nothing is no proof: threads race as they happen to. Run it also with
//! optimisation, on a machine with several CPUs, and, for a part with unsafe code, under a tool
//! that watches memory.
//!
//! Needs the feature `testing`, which belongs into `[dev-dependencies]`. Nothing here is meant for
//! a program in service, and everything panics instead of returning errors.

use std::fmt;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use crate::doorbell::Doorbell;
use crate::driver::Driver;
use crate::placement::Placement;
use crate::queue::StealQueue;

mod asleep;
pub mod doorbell;
pub mod driver;
pub mod placement;
mod scheduler;
mod site;
pub mod steal_queue;
#[cfg(test)]
mod tests;

pub use site::Site;

/// Longer than any run on any machine: reaching it means that something was lost.
const LOST: Duration = Duration::from_secs(60);

/// Runs every check of [`mod@steal_queue`]: whether a queue may be trusted with tasks.
///
/// Takes a few seconds without optimisation.
///
/// # Panics
///
/// At the first check that fails, with the obligation and what was seen. A queue that loses items
/// to a race lets the check wait for a minute first.
///
/// ```
/// spargio::testing::steal_queue::<spargio::queue::ChaseLev>();
/// ```
pub fn steal_queue<Q: StealQueue>() {
    macro_rules! run {
        ($($check:ident)*) => { $(steal_queue::$check::<Q>();)* };
    }
    steal_queue::checks!(run);
}

/// Runs every check of [`mod@placement`]: whether a rule answers what it was asked.
///
/// `make` makes the rule, a fresh one for each part of a check, all of them alike.
///
/// # Panics
///
/// At the first check that fails, with the obligation and what was seen.
///
/// ```
/// use spargio::placement::LeastLoaded;
///
/// spargio::testing::placement(LeastLoaded::new);
/// let rule = LeastLoaded::new();
/// spargio::testing::placement(|| rule.clone());
/// ```
pub fn placement<P: Placement>(make: impl Fn() -> P) {
    macro_rules! run {
        ($($check:ident)*) => { $(placement::$check(&make);)* };
    }
    placement::checks!(run);
}

/// Runs every check of [`mod@doorbell`] on drivers of the default recipe: whether a shard that
/// sleeps is woken.
///
/// # Panics
///
/// At the first check that fails, with the obligation and what was seen; if a driver does not open.
///
/// ```no_run
/// use spargio::doorbell::MsgRing;
/// use spargio::driver::Uring;
///
/// spargio::testing::doorbell::<Uring, MsgRing>();
/// ```
pub fn doorbell<D: Driver, B: Doorbell<D>>() {
    doorbell_at::<D, B>(&Site::default());
}

/// As [`doorbell()`], on drivers of your own recipe.
///
/// # Panics
///
/// As there.
pub fn doorbell_at<D: Driver, B: Doorbell<D>>(site: &Site<'_, D>) {
    macro_rules! run {
        ($($check:ident)*) => { $(doorbell::$check::<D, B>(site);)* };
    }
    doorbell::checks!(run);
}

/// Runs every check of [`mod@driver`] on drivers of this recipe: whether a backend may be trusted
/// with memory.
///
/// The checks work on anonymous sockets and on nothing else of the machine. Those that need an
/// operation which the driver says it lacks ([`Caps::supports`](crate::driver::Caps::supports)) are
/// passed over.
///
/// # Panics
///
/// At the first check that fails, with the obligation and what was seen; if a driver does not open.
///
/// ```no_run
/// use spargio::driver::{Uring, UringSetup};
///
/// spargio::testing::driver::<Uring>(UringSetup::default());
/// ```
pub fn driver<D: Driver>(setup: D::Setup) {
    driver_at::<D>(&Site::new(setup));
}

/// As [`driver()`], on drivers that are opened in a way of your own.
///
/// # Panics
///
/// As there.
pub fn driver_at<D: Driver>(site: &Site<'_, D>) {
    macro_rules! run {
        ($($check:ident)*) => { $(driver::$check::<D>(site);)* };
    }
    driver::checks!(run);
}

/// Runs random programs on a model of the scheduler over this queue and this placement: virtual
/// shards in one thread, cut into steps between which the others do theirs, with the protocol by
/// which real shards fall asleep and are woken.
///
/// The suites look at a part by itself; this looks at what the scheduler makes of it. After every
/// step and at the end it asks that no task is lost, none polled by two shards at once, no shard
/// asleep while something was left for it or while a task waits that it could take, and that every
/// handle resolves at the end of the runtime.
///
/// It tries 2,000 programs, the same ones each time, or as many as the environment variable
/// `SPARGIO_MODEL_CASES` says, and then other ones each time.
/// `make` makes the placement, a fresh one for each program.
///
/// # Panics
///
/// If something goes wrong, with the smallest program found, as a listing, and what happened in it
/// step by step. If the variable holds no number.
///
/// ```
/// use spargio::placement::RoundRobin;
/// use spargio::queue::MutexQueue;
///
/// spargio::testing::scheduler::<MutexQueue, _>(RoundRobin::new);
/// ```
pub fn scheduler<Q: StealQueue, P: Placement>(make: impl Fn() -> P) {
    scheduler::check::<Q, P>(make);
}

/// What one thread of a race does.
type Racer<'a> = Box<dyn FnOnce() + Send + 'a>;

/// Runs each on a thread of its own, and goes on with the panic of the first that had one.
fn race<'a>(racers: impl IntoIterator<Item = Racer<'a>>) {
    let ends: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = racers.into_iter().map(|racer| scope.spawn(racer)).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    for end in ends {
        end.unwrap_or_else(|panic| resume_unwind(panic));
    }
}

/// Ends a check: the part of this type does not do what the obligation asks.
#[track_caller]
fn broken<Part: ?Sized>(obligation: &str, seen: fmt::Arguments<'_>) -> ! {
    panic!("`{}` breaks {obligation}: {seen}", std::any::type_name::<Part>())
}

/// Ends the check with what was seen unless the condition holds.
macro_rules! demand {
    ($part:ty, $obligation:literal, $holds:expr, $($seen:tt)+) => {
        if !$holds {
            $crate::testing::broken::<$part>($obligation, format_args!($($seen)+));
        }
    };
}
use demand;
