//! The hub: what the shards of a runtime share in order to send each other messages.

use crossbeam_utils::CachePadded;

use crate::id::ShardId;
use crate::message::error::SendError;
use crate::message::lane::{Parcel, Receiver, Refused, Sender, lane};
use crate::message::receipts::Receipts;
use crate::message::tags::{Class, Tags};
use crate::message::ticket::Pending;
use crate::options::MessageOptions;
use crate::primitive::{Arc, AtomicBool, AtomicU64, Mutex, Ordering, lock};
use crate::stats::Counter;

/// From here on a counter takes no more: what races past it does not fill the other half.
pub(super) const MOST_COUNTED: u64 = 1 << 63;

/// Which of the two queue lanes from a source to a target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// For messages that become events.
    Plain = 0,
    /// For messages that become hot events.
    Hot = 1,
}

/// What was opened to a target.
#[derive(Debug)]
pub(super) enum Opened {
    /// A queue lane.
    Lane(ShardId, Kind, Receiver),
    /// The way of direct messages.
    Direct(ShardId, Arc<Receipts>),
}

/// A message was taken from its sender.
#[derive(Debug)]
#[must_use]
pub(super) struct Taken {
    /// The gate of the target must be posted. It need not where somebody else has that duty.
    pub(super) wake: bool,
    /// What to wait for in order to know that the target has it; `None` if it has.
    pub(super) pending: Option<Pending>,
}

/// One target, as all see it.
#[derive(Debug)]
pub(super) struct Door {
    /// What was opened and not adopted yet; `None` once the target is gone.
    opened: Mutex<Option<Vec<Opened>>>,
    signals: CachePadded<Signals>,
    /// The lanes of all threads that are no shard of the runtime.
    external: [Mutex<Option<Sender>>; 2],
    /// What was counted and not taken, per counted tag.
    counts: Box<[CachePadded<AtomicU64>]>,
    /// What the shard itself counts.
    pub(super) own: CachePadded<Tally>,
    /// What others count for it, with shared additions.
    pub(super) others: Tally,
}

#[derive(Debug)]
struct Signals {
    /// `opened` holds something.
    opened: AtomicBool,
    /// Somebody waits for a receipt, and the target has not looked since.
    asked: AtomicBool,
    /// The target is gone.
    closed: AtomicBool,
}

/// What is counted of messages.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: Counter,
    pub(crate) direct: Counter,
    pub(crate) refused: Counter,
    pub(crate) failed: Counter,
    pub(crate) received: Counter,
    pub(crate) hot: Counter,
}

/// What the shards of a runtime share in order to send each other messages.
#[derive(Debug)]
pub(crate) struct Hub {
    doors: Box<[Door]>,
    tags: Tags,
    capacity: usize,
    threshold: u64,
}

impl Hub {
    /// For so many shards, with no lane open.
    pub(crate) fn new(shards: usize, options: &MessageOptions) -> Self {
        let tags = Tags::new(&options.hot, &options.counted);
        let doors = (0..shards).map(|_| Door::new(tags.counters())).collect();
        Self { doors, tags, capacity: options.capacity, threshold: options.threshold }
    }

    /// What was counted of the messages of a shard: by itself, and by others for it.
    pub(crate) fn tallies(&self, shard: ShardId) -> (&Tally, &Tally) {
        let door = &self.doors[shard.index()];
        (&door.own, &door.others)
    }

    /// As [`Desk::send`](super::Desk::send), from a thread that is no shard of the runtime.
    pub(crate) fn send(
        &self,
        to: ShardId,
        message: (u16, u32),
        before: usize,
    ) -> Result<bool, SendError> {
        self.send_external(to, message, before, |_| ()).map(|(wake, _)| wake)
    }

    /// As [`Desk::send_pending`](super::Desk::send_pending).
    pub(crate) fn send_pending(
        &self,
        to: ShardId,
        message: (u16, u32),
    ) -> Result<(bool, Option<Pending>), SendError> {
        self.send_external(to, message, 0, |sender| Pending::of(to, sender))
    }

    /// What external threads have sent to a target and it may not have taken.
    pub(crate) fn pending(&self, to: ShardId) -> Result<Vec<Pending>, SendError> {
        self.check(to)?;
        let pending = self.door(to).external.iter().filter_map(|slot| {
            let pending = lock(slot).as_ref().map(|sender| Pending::of(to, sender));
            pending.filter(|pending| !pending.is_over())
        });
        Ok(pending.collect())
    }

    fn send_external<T>(
        &self,
        to: ShardId,
        message: (u16, u32),
        before: usize,
        then: impl FnOnce(&Sender) -> T,
    ) -> Result<(bool, Option<T>), SendError> {
        self.check(to)?;
        let door = self.door(to);
        let (tag, val) = message;
        let parcel = Parcel::new(tag, val);
        let sent = match self.tags.class(tag) {
            Class::Counted(index) => door.count(index, val).map(|taken| (taken.wake, None)),
            Class::Plain => self.send_on(to, Kind::Plain, parcel, then),
            Class::Hot => self.send_on(to, Kind::Hot, parcel, then),
        };
        sent.inspect(|_| door.others.sent.add_shared(1)).map_err(|refused| {
            door.others.refused.add_shared(1);
            self.error(refused, before, message)
        })
    }

    fn send_on<T>(
        &self,
        to: ShardId,
        kind: Kind,
        parcel: Parcel,
        then: impl FnOnce(&Sender) -> T,
    ) -> Result<(bool, Option<T>), Refused> {
        let door = self.door(to);
        let mut slot = lock(&door.external[kind as usize]);
        let sender = match &mut *slot {
            Some(sender) => sender,
            none => none.insert(self.open(door, ShardId::EXTERNAL, kind)?),
        };
        sender.push(parcel)?;
        Ok((true, Some(then(sender))))
    }

    /// Opens a queue lane: the target knows of it before the first message lies in it.
    pub(super) fn open(&self, door: &Door, from: ShardId, kind: Kind) -> Result<Sender, Refused> {
        let (sender, receiver) = lane(self.capacity);
        door.announce(Opened::Lane(from, kind, receiver))?;
        Ok(sender)
    }

    pub(super) fn door(&self, shard: ShardId) -> &Door {
        &self.doors[shard.index()]
    }

    pub(super) fn tags(&self) -> &Tags {
        &self.tags
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn threshold(&self) -> u64 {
        self.threshold
    }

    /// Whether messages with this tag are counted.
    pub(crate) fn counts(&self, tag: u16) -> bool {
        self.tags.counter(tag).is_some()
    }

    /// Whether there is such a shard.
    pub(crate) fn check(&self, shard: ShardId) -> Result<(), SendError> {
        let shards = self.doors.len();
        if shard.index() < shards { Ok(()) } else { Err(SendError::InvalidShard { shard, shards }) }
    }

    /// The error for a message that was refused after so many were taken.
    #[cold]
    pub(super) fn error(&self, refused: Refused, taken: usize, message: (u16, u32)) -> SendError {
        match refused {
            Refused::Closed => SendError::Closed,
            Refused::Full => {
                let limit = match self.tags.class(message.0) {
                    Class::Counted(_) => MOST_COUNTED,
                    _ => self.capacity as u64,
                };
                SendError::Backpressure { taken, refused: message, limit }
            }
        }
    }

    /// Somebody left a waker at a receipt of this target, whose gate it posts next.
    pub(crate) fn ask(&self, target: ShardId) {
        // Release pairs with `Door::take_asked`: who sees the flag finds the waker.
        self.door(target).signals.asked.store(true, Ordering::Release);
    }
}

impl Door {
    fn new(counters: usize) -> Self {
        let signals = Signals {
            opened: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        };
        Self {
            opened: Mutex::new(Some(Vec::new())),
            signals: CachePadded::new(signals),
            external: [Mutex::new(None), Mutex::new(None)],
            counts: (0..counters).map(|_| CachePadded::new(AtomicU64::new(0))).collect(),
            own: CachePadded::new(Tally::default()),
            others: Tally::default(),
        }
    }

    /// Leaves what was opened for the target to adopt.
    pub(super) fn announce(&self, what: Opened) -> Result<(), Refused> {
        let mut opened = lock(&self.opened);
        opened.as_mut().ok_or(Refused::Closed)?.push(what);
        // Relaxed: who sees it takes the lock; who must not miss it has fenced (S2, W2).
        self.signals.opened.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// What was opened since the last call. For the target alone.
    pub(super) fn adopt(&self) -> Vec<Opened> {
        let mut opened = lock(&self.opened);
        self.signals.opened.store(false, Ordering::Relaxed);
        opened.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whether there is something to adopt, or somebody asked for a receipt. A hint, exact after
    /// the fences of the parking protocol.
    #[inline]
    pub(super) fn is_wanted(&self) -> bool {
        self.has_opened() || self.signals.asked.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn has_opened(&self) -> bool {
        self.signals.opened.load(Ordering::Relaxed)
    }

    /// Whether somebody asked for a receipt since the last call. For the target alone.
    #[inline]
    pub(super) fn take_asked(&self) -> bool {
        // Acquire pairs with `Hub::ask`.
        self.signals.asked.load(Ordering::Relaxed)
            && self.signals.asked.swap(false, Ordering::Acquire)
    }

    /// Adds to a counter. Only who finds it at 0 has to post the gate: the target does not sleep on
    /// one that is not 0 while somebody waits for it, and takes all of it at once.
    pub(super) fn count(&self, index: usize, val: u32) -> Result<Taken, Refused> {
        if self.signals.closed.load(Ordering::Relaxed) {
            return Err(Refused::Closed);
        }
        let count = &self.counts[index];
        // Each thread passes the limit by one value at most, so it does not wrap.
        if count.load(Ordering::Relaxed) >= MOST_COUNTED {
            return Err(Refused::Full);
        }
        // Release pairs with `take_count`.
        let before = count.fetch_add(u64::from(val), Ordering::Release);
        Ok(Taken { wake: before == 0 && val != 0, pending: None })
    }

    /// What was counted, which is not 0, and sets the counter to 0.
    #[inline]
    pub(super) fn take_count(&self, index: usize) -> Option<u64> {
        let count = &self.counts[index];
        if count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        // Acquire pairs with `count`.
        Some(count.swap(0, Ordering::Acquire)).filter(|&count| count != 0)
    }

    /// What was counted. A hint, exact after the fences of the parking protocol.
    #[inline]
    pub(super) fn counted(&self, index: usize) -> u64 {
        self.counts[index].load(Ordering::Relaxed)
    }

    /// The target is gone: nothing is opened any more. What was opened and not adopted.
    pub(super) fn close(&self) -> Vec<Opened> {
        self.signals.closed.store(true, Ordering::Relaxed);
        lock(&self.opened).take().unwrap_or_default()
    }

    /// Sets a counter, for a test that cannot count so far.
    #[cfg(test)]
    pub(super) fn fill(&self, index: usize, count: u64) {
        self.counts[index].store(count, Ordering::Relaxed);
    }
}
