//! The workloads: each written once, for every runtime, with a floor by hand where there is one.

use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use crate::measure::{Slice, Wrong};
use crate::runtimes::{Need, Runtime, RuntimeId, Setup, Visitor, visit};

mod baton;
mod by_hand;
mod cold_start;
mod compute;
mod failed;
mod fan_out;
mod fs;
mod idle;
mod mixed;
mod net;
mod one_way;
mod ping_pong;
mod spawn;
mod stage;
mod storm;
mod timer;
mod wake;
mod yields;

pub(crate) use stage::Stage;

/// The number by which a workload's runtimes are ranked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub(crate) enum Headline {
    /// Time on the clock per operation.
    Wall,
    /// CPU time per operation: for workloads that wait on purpose.
    Cpu,
    /// The median of the times of single operations.
    P50,
    /// The time that 99 % of the operations do not exceed.
    P99,
}

/// What a workload is.
#[derive(Debug)]
pub(crate) struct Spec {
    /// Unique; what `--only` matches, together with the group.
    pub(crate) name: &'static str,
    pub(crate) group: &'static str,
    /// What is counted: "one .."
    pub(crate) unit: &'static str,
    /// What happens, and what the floor does, in a few sentences for the reader of the table.
    pub(crate) about: &'static str,
    pub(crate) headline: Headline,
    /// What a runtime must have.
    pub(crate) needs: &'static [Need],
    /// The workload starts runtimes of its own: it gets none.
    pub(crate) starts_itself: bool,
    /// A slice takes so many times as long as those of others.
    pub(crate) stretch: u32,
}

impl Spec {
    /// A workload that is ranked by time on the clock and needs nothing special.
    pub(crate) const fn new(
        group: &'static str,
        name: &'static str,
        unit: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            group,
            unit,
            about,
            headline: Headline::Wall,
            needs: &[],
            starts_itself: false,
            stretch: 1,
        }
    }
}

/// A workload.
///
/// `times` is how many operations to do. It grows while the harness looks for a number that fills a
/// slice, so a call must work for every number from 1, doing a little more if that is easier. What
/// a call sets up is not measured: the workload starts its [`Meter`](crate::measure::Meter) when
/// everything stands, and checks its results after it has stopped the meter.
pub(crate) trait Workload: 'static {
    const SPEC: Spec;

    /// Does the work on a runtime. Called on a thread that is none of the runtime's.
    ///
    /// # Errors
    ///
    /// When a result is not what it must be.
    fn run<R: Runtime>(stage: &Stage<R>, times: u64) -> Result<Slice, Wrong>;

    /// Does the work by hand; `None` if there is no way that says anything.
    const FLOOR: Option<Floor> = None;
}

/// As [`Workload::run`], without a runtime.
pub(crate) type Floor = fn(&Setup, u64) -> Result<Slice, Wrong>;

/// A workload with its type erased.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) spec: Spec,
    /// Does the work on the runtime of this line, again and again as the caller says.
    pub(crate) open: fn(&RuntimeId, Setup) -> Result<Session, Refusal>,
    /// Why the runtime of this line has no place in the workload.
    pub(crate) lacks: fn(&RuntimeId) -> Option<&'static str>,
}

impl Entry {
    /// How many cells of the usual length the workload is on these runtimes.
    pub(crate) fn cells(&self, runtimes: &[&RuntimeId]) -> usize {
        let able = runtimes.iter().filter(|id| (self.lacks)(id).is_none());
        able.count() * self.spec.stretch as usize
    }
}

/// A runtime that was started, ready to do a workload's operations so many times.
pub(crate) struct Session {
    pub(crate) run: Box<dyn FnMut(u64) -> Result<Slice, Wrong>>,
    /// What the runtime counts of itself.
    pub(crate) counters: Box<dyn Fn() -> Vec<(&'static str, u64)>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

/// Why there is no session, in words.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) String);

const fn entry<W: Workload>() -> Entry {
    Entry { spec: W::SPEC, open: open::<W>, lacks: lacks::<W> }
}

fn open<W: Workload>(id: &RuntimeId, setup: Setup) -> Result<Session, Refusal> {
    struct Open<W>(Setup, PhantomData<W>);

    impl<W: Workload> Visitor for Open<W> {
        type Output = Result<Session, Refusal>;

        fn visit<R: Runtime>(self) -> Self::Output {
            let stage = Rc::new(Stage::<R>::new(self.0));
            if !W::SPEC.starts_itself {
                stage.start().map_err(Refusal)?;
            }
            let counted = Rc::clone(&stage);
            Ok(Session {
                run: Box::new(move |times| W::run(&stage, times)),
                counters: Box::new(move || counted.counters()),
            })
        }

        fn bare(self) -> Self::Output {
            let floor = W::FLOOR.ok_or_else(|| Refusal(NO_FLOOR.to_owned()))?;
            let setup = self.0;
            Ok(Session {
                run: Box::new(move |times| floor(&setup, times)),
                counters: Box::new(Vec::new),
            })
        }
    }

    visit(id, Open::<W>(setup, PhantomData))
}

const NO_FLOOR: &str = "there is no way to do it by hand that says anything";

fn lacks<W: Workload>(id: &RuntimeId) -> Option<&'static str> {
    struct Lacks<W>(PhantomData<W>);

    impl<W: Workload> Visitor for Lacks<W> {
        type Output = Option<&'static str>;

        fn visit<R: Runtime>(self) -> Self::Output {
            W::SPEC.needs.iter().find_map(|&need| R::lacks(need))
        }

        fn bare(self) -> Self::Output {
            W::FLOOR.is_none().then_some(NO_FLOOR)
        }
    }

    visit(id, Lacks::<W>(PhantomData))
}

/// All workloads, in the order in which they are reported.
pub(crate) fn all() -> Vec<Entry> {
    let mut all = vec![
        entry::<ping_pong::Steady>(),
        entry::<ping_pong::SteadyApart>(),
        entry::<ping_pong::Wakers>(),
        entry::<ping_pong::WakersApart>(),
        entry::<one_way::Anywhere>(),
        entry::<one_way::Apart>(),
        entry::<cold_start::ColdStart>(),
        entry::<spawn::Inside>(),
        entry::<spawn::Local>(),
        entry::<spawn::Outside>(),
        entry::<yields::Stealable>(),
        entry::<yields::Local>(),
        entry::<fan_out::Balanced>(),
        entry::<fan_out::Skewed>(),
        entry::<fan_out::Imbalanced>(),
        entry::<timer::Lateness>(),
        entry::<timer::Churn>(),
        entry::<storm::Storm>(),
        entry::<wake::FromOutside>(),
        entry::<mixed::BesideCompute>(),
        entry::<idle::Idle>(),
    ];
    all.extend(net::all());
    all.extend(fs::all());
    all
}
