//! The receiving side of a shard: lanes that lead here, what was taken from them, and who waits.

use std::collections::VecDeque;
use std::task::Waker;

use crate::id::ShardId;
use crate::message::Event;
use crate::message::direct::Landing;
use crate::message::hub::{Door, Hub, Kind, Opened};
use crate::message::lane::{Parcel, Popped, Receiver};
use crate::message::receipts::Left;
use crate::message::tags::Class;
use crate::message::waiters::Waiters;
use crate::options::LEAVES_PER_POLL;

/// Messages that one look takes from all sources together, and the fewest that each of many may
/// give.
const MOST_AT_ONCE: usize = 256;
const FEWEST_OF_EACH: usize = 16;
/// Messages that a task which reads takes from a lane at a time.
const READ_AHEAD: usize = 32;
/// A count below the threshold wakes who waits for it after so many turns, if not before.
const PATIENCE: u32 = 16;

/// What a shard has received.
#[derive(Debug)]
pub(super) struct Inbox {
    lanes: Vec<Lane>,
    /// Which source is looked at first next time: the lanes, and behind them the landings.
    first: usize,
    /// The most messages that one look takes from one source.
    each: usize,
    landings: Vec<Landing>,
    plain: Events,
    hot: Events,
    counts: Box<[Waiters]>,
    /// How many wait for counts.
    counting: usize,
    /// Turns in which a count that somebody waits for was below the threshold.
    turns: u32,
    next_key: u64,
    /// Who is to be woken once nothing is borrowed, in this order.
    woken: VecDeque<Waker>,
}

#[derive(Debug)]
struct Lane {
    from: ShardId,
    kind: Kind,
    receiver: Receiver,
    /// Somebody waits for receipts.
    is_awaited: bool,
}

/// What one look took.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Took {
    pub(super) messages: u64,
    pub(super) hot: u64,
}

/// Whether lanes hold messages that were left there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lanes {
    Empty,
    Filled,
}

/// Events that wait to be read, and tasks that wait for events.
#[derive(Debug)]
struct Events {
    events: VecDeque<Event>,
    limit: usize,
    waiters: Waiters,
    /// An event was read since the last look at the lanes.
    was_read: bool,
}

impl Inbox {
    pub(super) fn new(hub: &Hub) -> Self {
        Self {
            lanes: Vec::new(),
            first: 0,
            each: MOST_AT_ONCE,
            landings: Vec::new(),
            plain: Events::new(hub.capacity()),
            hot: Events::new(hub.capacity()),
            counts: (0..hub.tags().counters()).map(|_| Waiters::default()).collect(),
            counting: 0,
            turns: 0,
            next_key: 0,
            woken: VecDeque::new(),
        }
    }

    /// Makes what was opened its own.
    pub(super) fn adopt(&mut self, door: &Door) {
        for opened in door.adopt() {
            match opened {
                Opened::Lane(from, kind, receiver) => {
                    // Who asked before the lane was known here found nobody to answer.
                    self.lanes.push(Lane { from, kind, receiver, is_awaited: true });
                }
                Opened::Direct(from, receipts) => self.landings.push(Landing::new(from, receipts)),
            }
        }
        let sources = self.sources().max(1);
        self.each = (MOST_AT_ONCE / sources).max(FEWEST_OF_EACH);
    }

    /// Who is to be woken next.
    #[inline]
    pub(super) fn pop_woken(&mut self) -> Option<Waker> {
        self.woken.pop_front()
    }

    /// Whether there is something to take and room for it, or a count that somebody waits for.
    #[inline]
    pub(super) fn has_signal(&self, hub: &Hub, door: &Door) -> bool {
        let arrives = |lane: &Lane| !lane.receiver.is_empty() && self.room(lane.kind) > 0;
        self.lanes.iter().any(arrives) || self.has_signal_beside(hub, door)
    }

    /// Whether somebody waits for an event.
    #[inline]
    pub(super) fn is_awaited(&self, kind: Kind) -> bool {
        match kind {
            Kind::Plain => !self.plain.waiters.0.is_empty(),
            Kind::Hot => !self.hot.waiters.0.is_empty(),
        }
    }

    /// As [`has_signal`](Self::has_signal), of all that does not come through lanes.
    #[inline]
    pub(super) fn has_signal_beside(&self, hub: &Hub, door: &Door) -> bool {
        let lands = |landing: &Landing| {
            landing.peek().is_some_and(|(tag, _)| self.room(kind_of(hub, tag)) > 0)
        };
        let counts =
            |(index, waiters): (usize, &Waiters)| !waiters.0.is_empty() && door.counted(index) > 0;
        self.landings.iter().any(lands)
            || self.counting > 0 && self.counts.iter().enumerate().any(counts)
    }

    /// Takes a bounded number of messages, and notes who is to be woken.
    #[inline]
    pub(super) fn take(&mut self, hub: &Hub, door: &Door) -> Took {
        if door.has_opened() {
            self.adopt(door);
        }
        let before = (self.plain.events.len(), self.hot.events.len());
        // All lanes of a kind or none: one that is left while others give would be left for ever.
        let is_left = [Kind::Plain, Kind::Hot].map(|kind| self.is_left(hub, kind));
        let mut has_given = false;
        let mut at = self.first;
        for _ in 0..self.sources() {
            let gives = match self.lanes.get(at) {
                Some(lane) => !is_left[lane.kind as usize] && self.take_from(at),
                None => self.take_landed(hub, at - self.lanes.len()),
            };
            at = self.after(at);
            // Who is behind the first that gave is first: it may have found no room.
            if gives && !has_given {
                has_given = true;
                self.first = at;
            }
        }
        self.plain.was_read = false;
        self.hot.was_read = false;
        let plain = self.plain.events.len() - before.0;
        let hot = self.hot.events.len() - before.1;
        self.plain.waiters.wake(plain, &mut self.woken);
        self.hot.waiters.wake(hot, &mut self.woken);
        Took { messages: (plain + hot) as u64, hot: hot as u64 }
    }

    /// The next event, straight from its lane; how many were taken with it, to be read next. Only
    /// while none waits to be read. A lane whose receipts somebody waits for, and one with a direct
    /// message, are left to [`take`](Self::take).
    #[inline]
    pub(super) fn take_next(&mut self, kind: Kind) -> Result<(Event, u64), Lanes> {
        let lanes = self.lanes.len();
        let mut next = self.first;
        let mut left = Lanes::Empty;
        for _ in 0..lanes {
            let at = if next < lanes { next } else { 0 };
            next = at + 1;
            let lane = &mut self.lanes[at];
            let is_ours = lane.kind == kind && !lane.is_awaited;
            match lane.receiver.pop_if(|parcel| is_ours && parcel.number.is_none()) {
                Popped::Taken(parcel) => {
                    self.first = if next < lanes + self.landings.len() { next } else { 0 };
                    let events = match kind {
                        Kind::Plain => &mut self.plain,
                        Kind::Hot => &mut self.hot,
                    };
                    events.was_read = true;
                    let behind = lane.read_ahead(events);
                    return Ok((lane.event(parcel), 1 + behind));
                }
                Popped::Left => left = Lanes::Filled,
                Popped::Empty => {}
            }
        }
        Err(left)
    }

    /// Whether this look leaves the lanes of a kind alone: tasks have enough to read, and nobody
    /// waits for more to be taken.
    #[inline]
    fn is_left(&self, hub: &Hub, kind: Kind) -> bool {
        let events = match kind {
            Kind::Plain => &self.plain,
            Kind::Hot => &self.hot,
        };
        events.are_enough() && !self.is_pressed(hub, kind)
    }

    /// Whether messages are to be taken however many there are: of a lane whose receipts somebody
    /// waits for, or direct ones, which lie here already.
    fn is_pressed(&self, hub: &Hub, kind: Kind) -> bool {
        let waits = |lane: &Lane| lane.kind == kind && lane.is_awaited && !lane.receiver.is_empty();
        let lands =
            |landing: &Landing| landing.peek().is_some_and(|(tag, _)| kind_of(hub, tag) == kind);
        self.lanes.iter().any(waits) || self.landings.iter().any(lands)
    }

    /// Takes messages of a lane. Whether there were some, and room for them.
    #[inline]
    fn take_from(&mut self, at: usize) -> bool {
        let lane = &mut self.lanes[at];
        if lane.receiver.is_empty() {
            return false;
        }
        let events = match lane.kind {
            Kind::Plain => &mut self.plain,
            Kind::Hot => &mut self.hot,
        };
        let most = self.each.min(events.room());
        let before = lane.receiver.taken();
        for _ in 0..most {
            let Some(parcel) = lane.receiver.pop() else { break };
            match parcel.number {
                None => events.events.push_back(lane.event(parcel)),
                Some(number) => {
                    let (from, message) = (lane.from, (parcel.tag, parcel.val));
                    land(&mut self.landings, from, number.into(), Parcel::NUMBER_BITS, message);
                }
            }
        }
        if lane.receiver.taken() == before {
            return false;
        }
        lane.receiver.publish();
        if lane.is_awaited {
            lane.is_awaited = lane.receiver.receipts().claim(&mut self.woken) == Left::Somebody;
        }
        true
    }

    /// Takes direct messages of a source that are next in their order. Whether there were some, and
    /// room for them.
    fn take_landed(&mut self, hub: &Hub, at: usize) -> bool {
        let landing = &mut self.landings[at];
        let before = landing.taken();
        for _ in 0..self.each {
            let Some((tag, val)) = landing.peek() else { break };
            let events = match kind_of(hub, tag) {
                Kind::Hot => &mut self.hot,
                Kind::Plain => &mut self.plain,
            };
            if events.room() == 0 {
                break;
            }
            events.events.push_back(Event::RingMsg { from: landing.from(), tag, val });
            landing.advance();
        }
        if landing.taken() == before {
            return false;
        }
        landing.receipts().publish(landing.taken());
        landing.answer_awaited(&mut self.woken);
        true
    }

    /// Keeps a direct message that came as a completion. Whether it was on the way.
    pub(super) fn land(
        &mut self,
        door: &Door,
        from: ShardId,
        number: u32,
        bits: u32,
        message: (u16, u32),
    ) -> bool {
        if !self.landings.iter().any(|landing| landing.from() == from) {
            self.adopt(door);
        }
        land(&mut self.landings, from, number, bits, message)
    }

    /// Looks who waits for receipts.
    pub(super) fn answer(&mut self) {
        for lane in &mut self.lanes {
            lane.is_awaited = lane.receiver.receipts().claim(&mut self.woken) == Left::Somebody;
        }
        self.landings.iter_mut().for_each(|landing| landing.answer(&mut self.woken));
    }

    /// Wakes who waits for a count that has reached the threshold; with `all`, or when that took
    /// too long, for any count. Whether somebody was.
    #[inline]
    pub(super) fn wake_counting(&mut self, hub: &Hub, door: &Door, all: bool) -> bool {
        self.counting > 0 && self.look_at_counts(hub, door, all)
    }

    fn look_at_counts(&mut self, hub: &Hub, door: &Door, all: bool) -> bool {
        let waited = self.counting;
        let any = all || self.turns >= PATIENCE;
        let mut is_low = false;
        for (index, waiters) in self.counts.iter_mut().enumerate() {
            let count = door.counted(index);
            if waiters.0.is_empty() || count == 0 {
                continue;
            }
            if any || count >= hub.threshold() {
                self.counting -= waiters.0.len();
                waiters.wake(usize::MAX, &mut self.woken);
            } else {
                is_low = true;
            }
        }
        self.turns = if is_low { self.turns + 1 } else { 0 };
        self.counting < waited
    }

    /// The next event, if one is here.
    #[inline]
    pub(super) fn next(&mut self, kind: Kind) -> Option<Event> {
        let events = self.events(kind);
        let event = events.events.pop_front();
        events.was_read |= event.is_some();
        event
    }

    /// Lets a task wait for an event.
    pub(super) fn wait(&mut self, kind: Kind, waker: Waker) -> u64 {
        let key = self.key();
        self.events(kind).waiters.0.push_back((key, waker));
        key
    }

    /// Takes a waker back that waits for an event; `None` if it was woken.
    pub(super) fn take_back(&mut self, kind: Kind, key: u64) -> Option<Waker> {
        self.events(kind).waiters.remove(key)
    }

    /// Wakes one who waits, if there is an event for it: who was woken for that did not take it.
    pub(super) fn pass_on(&mut self, kind: Kind) -> Option<Waker> {
        let events = self.events(kind);
        if events.events.is_empty() {
            return None;
        }
        events.waiters.0.pop_front().map(|(_, waker)| waker)
    }

    /// Lets a task wait for a count.
    pub(super) fn wait_count(&mut self, index: usize, waker: Waker) -> u64 {
        let key = self.key();
        self.counts[index].0.push_back((key, waker));
        self.counting += 1;
        key
    }

    /// Takes a waker back that waits for a count; `None` if it was woken.
    pub(super) fn take_back_count(&mut self, index: usize, key: u64) -> Option<Waker> {
        let waker = self.counts[index].remove(key);
        self.counting -= usize::from(waker.is_some());
        waker
    }

    /// Takes no more: receipts say so, and who waits for them is to be woken.
    pub(super) fn close(&mut self, door: &Door) {
        let wakers = &mut self.woken;
        for opened in door.close() {
            match opened {
                Opened::Lane(_, _, receiver) => receiver.receipts().close(wakers),
                Opened::Direct(_, receipts) => receipts.close(wakers),
            }
        }
        self.lanes.drain(..).for_each(|lane| lane.receiver.receipts().close(wakers));
        self.landings.drain(..).for_each(|landing| landing.receipts().close(wakers));
    }

    /// How many lanes and landings there are.
    #[inline]
    fn sources(&self) -> usize {
        self.lanes.len() + self.landings.len()
    }

    /// The source behind this one. No remainder: a division costs more than a message.
    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 < self.sources() { at + 1 } else { 0 }
    }

    fn room(&self, kind: Kind) -> usize {
        match kind {
            Kind::Plain => self.plain.room(),
            Kind::Hot => self.hot.room(),
        }
    }

    #[inline]
    fn events(&mut self, kind: Kind) -> &mut Events {
        match kind {
            Kind::Plain => &mut self.plain,
            Kind::Hot => &mut self.hot,
        }
    }

    fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }
}

/// Which events a message with this tag belongs to. Those that are counted take no lane.
fn kind_of(hub: &Hub, tag: u16) -> Kind {
    match hub.tags().class(tag) {
        Class::Hot => Kind::Hot,
        Class::Plain | Class::Counted(_) => Kind::Plain,
    }
}

/// Keeps a direct message at the landing of its source. Whether it was on the way.
fn land(
    landings: &mut [Landing],
    from: ShardId,
    number: u32,
    bits: u32,
    message: (u16, u32),
) -> bool {
    let landing = landings.iter_mut().find(|landing| landing.from() == from);
    landing.is_some_and(|landing| landing.keep(number, bits, message))
}

impl Lane {
    #[inline]
    fn event(&self, Parcel { tag, val, .. }: Parcel) -> Event {
        Event::RingMsg { from: self.from, tag, val }
    }

    /// After a message was taken: takes some of those behind it, and says so for all. Their lines
    /// are fetched together, which one at a time between polls does not do. How many they are.
    #[inline]
    fn read_ahead(&mut self, events: &mut Events) -> u64 {
        let before = self.receiver.taken();
        // Who waits is woken by `take`, and by nobody for what is taken here.
        let most = if events.waiters.0.is_empty() { READ_AHEAD.min(events.room()) } else { 0 };
        for _ in 0..most {
            match self.receiver.pop_if(|parcel| parcel.number.is_none()) {
                Popped::Taken(parcel) => events.events.push_back(self.event(parcel)),
                Popped::Left | Popped::Empty => break,
            }
        }
        self.receiver.publish();
        self.receiver.taken() - before
    }
}

impl Events {
    fn new(limit: usize) -> Self {
        Self { events: VecDeque::new(), limit, waiters: Waiters::default(), was_read: false }
    }

    /// Whether tasks read, and have enough for their next poll: a longer queue would only be a
    /// colder one. What is left in the lanes is still a signal, so the shard does not sleep on it.
    /// The first look after the last read leaves it once more, and those that follow take as much
    /// as any look does, while there is room.
    #[inline]
    fn are_enough(&self) -> bool {
        self.was_read && self.events.len() >= LEAVES_PER_POLL as usize
    }

    #[inline]
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.events.len())
    }
}
