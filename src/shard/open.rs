//! The begin of a shard: its parts are opened on its thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;

use crate::assembly::Assembly;
use crate::doorbell::Doorbell;
use crate::driver::Driver;
use crate::id::ShardId;
use crate::inflight::Table;
use crate::message::Desk;
use crate::options::LEAVES_PER_POLL;
use crate::port::Lane;
use crate::primitive::Arc;
use crate::shard::Shard;
use crate::shard::ahead::Ahead;
use crate::shard::core::{Core, LocalOf};
use crate::shard::defer::Deferred;
use crate::shard::lead::Lead;
use crate::shard::measure::Mark;
use crate::shard::pace::Pace;
use crate::shard::pack::Pack;
use crate::shard::prompt::Prompt;
use crate::shard::spin::Spin;
use crate::shard::spread::Spread;
use crate::shard::steal::Victims;
use crate::shard::watch::Watch;
use crate::task::Chain;
use crate::timer::Wheel;

impl<A: Assembly> Shard<A> {
    /// Opens the parts of a shard on its thread.
    pub(crate) fn open(
        core: Arc<Core<A>>,
        me: ShardId,
        lane: Arc<dyn Lane>,
        queue: LocalOf<A>,
        setup: &<A::Driver as Driver>::Setup,
    ) -> io::Result<Self> {
        let mut driver = A::Driver::open(setup, me)?;
        let (doorbell, ringer) = A::Doorbell::open(&mut driver, me)?;
        let already = core.public(me).ringer.set(ringer).is_err()
            || core.public(me).caps.set(*driver.caps()).is_err();
        assert!(!already, "a shard is opened once");
        let options = &core.options;
        let shards = core.shards.len();
        let epoch = driver.now();
        let shard = Self {
            me,
            lane,
            counters: Arc::clone(&core.public(me).counters),
            exact: options.poll_histograms,
            timing: options.poll_histograms || options.observe.slow_poll.is_some(),
            timed: Cell::new(None),
            behind: core.since_epoch(epoch),
            time_budget: u64::try_from(options.time_budget.as_nanos()).unwrap_or(u64::MAX),
            epoch,
            looked: Cell::new(None),
            lanes: RefCell::default(),
            driver: RefCell::new(driver),
            doorbell: RefCell::new(doorbell),
            table: RefCell::new(Table::new(options.max_operations)),
            buffers: RefCell::default(),
            fixed: RefCell::default(),
            queue: RefCell::new(queue),
            pinned: RefCell::new(VecDeque::new()),
            wheel: RefCell::new(Wheel::new(0, options.max_timers)),
            desk: Desk::new(Arc::clone(&core.hub), me),
            deferred: RefCell::new(Deferred::new()),
            silent: RefCell::new(Vec::new()),
            overflow: RefCell::new(VecDeque::new()),
            arrived: RefCell::new(Chain::empty()),
            inbox: RefCell::new(Vec::new()),
            batch: RefCell::new(Vec::new()),
            due: RefCell::new(Vec::new()),
            victims: RefCell::new(Victims::new(me, shards, options.steal)),
            spin: RefCell::new(Spin::new(options.spin)),
            prompt: Prompt::default(),
            spread: RefCell::new(Spread::new()),
            spread_asleep: RefCell::new(Spread::new()),
            lead: RefCell::new(Lead::new(!options.spin.limit.is_zero())),
            pack: RefCell::new(Pack::new(options.packing && shards > 1)),
            pace: RefCell::new(Pace::new()),
            mark: Cell::new(Mark::default()),
            watch: RefCell::new(Watch::default()),
            polling: Cell::new(false),
            unheard: Cell::new(None),
            closing: Cell::new(0),
            bells_owed: Cell::new(false),
            leaves: Cell::new(LEAVES_PER_POLL),
            searches_in_vain: Cell::new(0),
            waking: Cell::new(false),
            made: Cell::new(0),
            lifo_streak: Cell::new(0),
            looks: Cell::new(0),
            ahead: Ahead::default(),
            ahead_pinned: Ahead::default(),
            tick: Cell::new(0),
            next: Cell::new(None),
            sentinel: Cell::new(false),
            near: Cell::new(false),
            watchful: Cell::new(false),
            pinned_first: Cell::new(false),
            leaving: Cell::new(false),
            failure: RefCell::new(None),
            core,
        };
        Ok(shard)
    }
}
