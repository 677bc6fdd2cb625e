//! Desks, what their shards would do with them, the kernel between them, and the model.

use std::task::Waker;

use crate::fuzzing::messages::Step;
use crate::fuzzing::messages::model::{COUNTED, HOT, HOT_DIRECT, Lane, Model};
use crate::fuzzing::messages::task::{Got, Task, Wait};
use crate::id::ShardId;
use crate::message::{Desk, Event, Hub, Kind, Rider};
use crate::options::MessageOptions;
use crate::primitive::Arc;

mod send;

/// What was counted of calls.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Tally {
    sent: u64,
    refused: u64,
    direct: u64,
    failed: u64,
}

/// A shard.
#[derive(Default)]
struct Place {
    is_parked: bool,
    is_closed: bool,
    /// For whom it has direct messages that failed and found no room in their lane.
    owed: Vec<usize>,
    /// What it has counted, and what other threads have counted for it.
    own: Tally,
    others: Tally,
}

/// A message that is to be a completion.
#[derive(Clone, Copy)]
struct Riding {
    from: usize,
    to: usize,
    rider: Rider,
}

pub(super) struct World {
    hub: Arc<Hub>,
    desks: Vec<Desk>,
    capacity: usize,
    places: Vec<Place>,
    tasks: Vec<Task>,
    /// In the hands of the kernel.
    riding: Vec<Riding>,
    arrived: Vec<Riding>,
    model: Model,
}

impl World {
    pub(super) fn new(shards: usize, capacity: usize, threshold: u64) -> Self {
        let hot = [HOT, HOT_DIRECT].concat();
        let options = MessageOptions { capacity, hot, counted: COUNTED.to_vec(), threshold };
        let hub = Arc::new(Hub::new(shards, &options));
        let desk = |shard| Desk::new(Arc::clone(&hub), ShardId::from_index(shard));
        let desks = (0..shards).map(desk).collect();
        let places = (0..shards).map(|_| Place::default()).collect();
        let (tasks, riding, arrived) = Default::default();
        Self { hub, desks, capacity, places, tasks, riding, arrived, model: Model::default() }
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Send { from, to, form, tag, val, count } => {
                self.send_all(from, to, form, tag, (val, count));
            }
            Step::Flush { from, to } => self.flush(from, to),
            Step::Read { on, kind } => self.spawn(on, Wait::Event(kind)),
            Step::Count { on, tag } => self.spawn(on, Wait::Count(pick(tag, &COUNTED))),
            Step::TakeCount { on, tag } => {
                if let Some(on) = self.running(on) {
                    let tag = pick(tag, &COUNTED);
                    assert_eq!(self.desks[on].take_count(tag), self.model.take_count(on, tag));
                }
            }
            Step::Turn(on) => {
                if let Some(on) = self.running(on) {
                    self.turn(on);
                }
            }
            Step::Park(on) => {
                let on = usize::from(on) % self.places.len();
                self.park(on);
            }
            Step::Poll(task) => {
                if let Some(task) = usize::from(task).checked_rem(self.tasks.len()) {
                    self.poll(task);
                }
            }
            Step::Forget(task) => {
                if let Some(task) = usize::from(task).checked_rem(self.tasks.len()) {
                    let task = self.tasks.swap_remove(task);
                    self.unpark(task.on);
                    let desk = task_desk(&self.desks, task.on);
                    task.forget(desk);
                }
            }
            Step::Deliver(riding) => {
                if let Some(riding) = usize::from(riding).checked_rem(self.riding.len()) {
                    self.deliver(riding);
                }
            }
            Step::Fail(riding) => {
                if let Some(riding) = usize::from(riding).checked_rem(self.riding.len()) {
                    self.fail(riding);
                }
            }
            Step::Echo(arrived) => {
                if let Some(arrived) = usize::from(arrived).checked_rem(self.arrived.len()) {
                    let Riding { to, rider, .. } = self.arrived[arrived];
                    if self.running_at(to).is_some() {
                        let Rider { token, result, .. } = rider;
                        assert!(!self.desks[to].arrived(token, result), "{token:?} came twice");
                    }
                }
            }
            Step::Stray { on, from, number } => self.stray(on, from, number),
            Step::Close(on) => self.close(usize::from(on) % self.places.len()),
        }
    }

    /// What must hold after every step.
    pub(super) fn check(&mut self) {
        for task in 0..self.tasks.len() {
            if self.tasks[task].is_woken() {
                self.unpark(self.tasks[task].on);
            }
        }
        for on in 0..self.places.len() {
            if !self.places[on].is_parked {
                continue;
            }
            assert!(self.places[on].owed.is_empty(), "shard {on} sleeps and owes messages");
            for task in self.tasks.iter().filter(|task| task.on == Some(on)) {
                // Nobody who waits is woken, so nothing may be left for it.
                let left = match &task.wait {
                    Wait::Event(kind) => self.queued(on, *kind) as u64,
                    Wait::Count(tag) => self.model.counted(on, *tag),
                    Wait::Ticket(..) => 0,
                };
                assert_eq!(left, 0, "shard {on} sleeps on what a task there waits for");
            }
        }
        for task in self.tasks.iter().filter(|task| !task.is_woken()) {
            if let Wait::Ticket(pending, _) = &task.wait {
                let asleep = self.places[pending.target().index()].is_parked;
                assert!(!(asleep && pending.is_over()), "a target sleeps on a receipt");
            }
        }
    }

    /// Everything that was sent arrives, if everybody does what is to be done.
    pub(super) fn finish(mut self) {
        for on in 0..self.places.len() {
            let kinds = [Kind::Plain, Kind::Hot].map(Wait::Event);
            for wait in kinds.into_iter().chain(COUNTED.map(Wait::Count)) {
                if self.running_at(on).is_some() {
                    self.tasks.push(Task::forever(on, wait));
                    self.poll(self.tasks.len() - 1);
                }
            }
        }
        loop {
            while !self.riding.is_empty() {
                self.deliver(0);
            }
            self.run(None);
            let awake = |place: &Place| !place.is_parked && !place.is_closed;
            if !self.places.iter().any(awake) {
                break;
            }
            for on in 0..self.places.len() {
                if awake(&self.places[on]) {
                    self.turn(on);
                    self.park(on);
                }
                self.check();
            }
        }
        let live = |place: &usize| !self.places[*place].is_closed;
        let lost = self.model.unread(|_| true);
        assert_eq!(lost, 0, "never read: {:?}", self.model);
        for on in (0..self.places.len()).filter(live) {
            assert!(!self.desks[on].has_signal(), "shard {on} has nothing left to do");
            for tag in COUNTED {
                assert_eq!(self.model.counted(on, tag), 0, "never taken of {tag} on {on}");
            }
        }
        let waits = |task: &Task| matches!(task.wait, Wait::Ticket(..));
        assert!(!self.tasks.iter().any(waits), "a receipt never came");
        self.check_tallies();
    }

    fn check_tallies(&self) {
        for (on, place) in self.places.iter().enumerate() {
            let (own, others) = self.hub.tallies(ShardId::from_index(on));
            let read = [own, others].map(|tally| Tally {
                sent: tally.sent.get(),
                refused: tally.refused.get(),
                direct: tally.direct.get(),
                failed: tally.failed.get(),
            });
            assert_eq!(read, [place.own, place.others], "shard {on} counts");
        }
    }

    fn flush(&mut self, from: u8, to: Option<u8>) {
        let Some(from) = self.running(from) else { return };
        let shards = self.places.len();
        let to = to.map(|to| ShardId::from_index(usize::from(to) % shards));
        for pending in self.desks[from].pending(to) {
            assert!(to.is_none_or(|to| to == pending.target()));
            self.tasks.push(Task::new(Some(from), Wait::Ticket(pending, None)));
            self.poll(self.tasks.len() - 1);
        }
        for to in (0..shards).map(ShardId::from_index) {
            for pending in self.hub.pending(to).expect("the shard exists") {
                self.tasks.push(Task::new(None, Wait::Ticket(pending, None)));
                self.poll(self.tasks.len() - 1);
            }
        }
    }

    fn spawn(&mut self, on: u8, wait: Wait) {
        if let Some(on) = self.running(on) {
            self.tasks.push(Task::new(Some(on), wait));
            self.poll(self.tasks.len() - 1);
        }
    }

    /// What a shard does in a turn.
    fn turn(&mut self, on: usize) {
        let desk = &self.desks[on];
        if desk.has_signal() {
            let mut sent = Vec::new();
            desk.send_owed(|target| sent.push(target.index()));
            desk.take(Waker::wake);
            let closed: Vec<bool> = self.places.iter().map(|place| place.is_closed).collect();
            self.places[on].owed.retain(|to| !closed[*to]);
            for to in sent {
                let owed = &mut self.places[on].owed;
                let at = owed.iter().position(|owed| *owed == to).expect("it was owed");
                owed.swap_remove(at);
                self.unpark(Some(to));
            }
        }
        self.run(Some(on));
        self.run(None);
    }

    /// Runs the tasks of a shard that were woken, or those of threads that are none.
    fn run(&mut self, on: Option<usize>) {
        let runs = |task: &Task| task.is_woken() && task.on == on;
        while let Some(task) = self.tasks.iter().position(runs) {
            self.poll(task);
        }
    }

    fn park(&mut self, on: usize) {
        let works = |task: &Task| task.is_woken() && task.on == Some(on);
        let place = &self.places[on];
        if place.is_closed || place.is_parked || self.tasks.iter().any(works) {
            return;
        }
        let desk = &self.desks[on];
        if !desk.wake_counting(Waker::wake) && !desk.has_signal() {
            self.places[on].is_parked = true;
        }
    }

    /// Polls a task on its shard, and again if it goes on for ever.
    fn poll(&mut self, at: usize) {
        let mut task = self.tasks.swap_remove(at);
        self.unpark(task.on);
        loop {
            let (got, wake) = task.poll(task_desk(&self.desks, task.on), &self.hub);
            self.unpark(wake);
            let on = task.on.unwrap_or(usize::MAX);
            match got {
                Got::Nothing => {
                    self.found_nothing(on, &task.wait);
                    self.tasks.push(task);
                    return;
                }
                Got::Event(Event::RingMsg { from, tag, val }) => {
                    let Wait::Event(kind) = task.wait else { panic!("it waits for no event") };
                    self.model.read(on, kind, from, (tag, val));
                }
                Got::Count(count) => {
                    let Wait::Count(tag) = task.wait else { panic!("it waits for no count") };
                    assert_eq!(Some(count), self.model.take_count(on, tag), "of tag {tag}");
                }
                Got::Receipt(receipt) => {
                    let Wait::Ticket(pending, message) = &task.wait else { panic!("no ticket") };
                    let is_closed = self.places[pending.target().index()].is_closed;
                    assert!(receipt.is_ok() || is_closed, "the target is there");
                    if let Some((lane, position)) = *message
                        && !is_closed
                    {
                        let same = |other: &Lane| *other == lane;
                        let read = self.model.sent(same) - self.model.unread(same);
                        let taken = position.saturating_sub(read);
                        assert!(taken <= self.capacity, "{taken} more were taken than it holds");
                    }
                }
            }
            if !task.forever {
                return;
            }
        }
    }

    fn found_nothing(&self, on: usize, wait: &Wait) {
        match wait {
            Wait::Event(kind) => assert_eq!(self.queued(on, *kind), 0, "{kind:?} on shard {on}"),
            Wait::Count(tag) => assert_eq!(self.model.counted(on, *tag), 0, "tag {tag} on {on}"),
            Wait::Ticket(..) => {}
        }
    }

    /// How many messages of a kind are there for a shard that looks for them: those that were sent
    /// through its queue, unless others have filled that.
    fn queued(&self, on: usize, kind: Kind) -> usize {
        let to_it = |lane: &Lane| lane.to == on;
        if kind == Kind::Plain && self.model.unread(|lane| to_it(lane) && lane.direct) > 0 {
            return 0;
        }
        let hot = kind == Kind::Hot;
        self.model.unread(|lane| to_it(lane) && !lane.direct && lane.hot == hot)
    }

    /// Unless messages of the shard would be lost with it.
    fn close(&mut self, on: usize) {
        let place = &self.places[on];
        if place.is_closed || !place.owed.is_empty() {
            return;
        }
        while let Some(at) = self.riding.iter().position(|riding| riding.from == on) {
            self.deliver(at);
        }
        self.places[on].is_closed = true;
        self.places[on].is_parked = false;
        self.model.close(on);
        self.desks[on].close(Waker::wake);
        self.tasks.retain(|task| task.on != Some(on));
    }

    /// The shard of this number, running: whatever woke it, if it slept. `None`: it is gone.
    fn running(&mut self, on: u8) -> Option<usize> {
        self.running_at(usize::from(on) % self.places.len())
    }

    fn running_at(&mut self, on: usize) -> Option<usize> {
        self.unpark(Some(on));
        (!self.places[on].is_closed).then_some(on)
    }

    fn unpark(&mut self, on: Option<usize>) {
        if let Some(on) = on {
            self.places[on].is_parked = false;
        }
    }
}

fn task_desk(desks: &[Desk], on: Option<usize>) -> Option<&Desk> {
    on.map(|on| &desks[on])
}

fn pick<T: Copy>(number: u8, choices: &[T]) -> T {
    choices[usize::from(number) % choices.len()]
}
