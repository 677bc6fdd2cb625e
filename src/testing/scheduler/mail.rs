//! Messages, letters and timers of the virtual shards, over the real desks, mailboxes and wheels.

use std::fmt;
use std::sync::{Arc as StdArc, Mutex, PoisonError};
use std::task::{Wake, Waker};

use crate::id::ShardId;
use crate::message::{Desk, Event, Hub, Kind, Look, Pending, SendError};
use crate::options::MessageOptions;
use crate::primitive::Arc;
use crate::shard::Mailbox;
use crate::timer::{TimerKey, Wheel};

/// How many messages a lane holds, and how many events a shard keeps.
const CAPACITY: usize = 2;
/// A smaller count does not interrupt a shard that has other work.
const THRESHOLD: u64 = 3;
/// How many timers a shard holds; more than there are tasks.
const TIMERS: usize = 64;

/// What becomes of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    /// An event.
    Plain,
    /// A hot event.
    Hot,
    /// Its value is added to a count.
    Counted,
}

impl Sort {
    fn tag(self) -> u16 {
        match self {
            Self::Plain => 1,
            Self::Hot => 5,
            Self::Counted => 7,
        }
    }

    fn kind(self) -> Kind {
        if self == Self::Hot { Kind::Hot } else { Kind::Plain }
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "a message",
            Self::Hot => "a hot message",
            Self::Counted => "a count",
        })
    }
}

/// What a task waits for, other than to be woken.
#[derive(Debug)]
pub(super) enum Awaits {
    /// A message, with the key of the waker that was left.
    Message(Sort, Option<u64>),
    /// That what it sent is taken.
    Receipt(Pending),
    /// A time, for which there is a timer at this shard.
    Time { deadline: u64, home: usize, key: TimerKey },
}

/// What one shard has for others to write to, and its timers.
pub(super) struct Office {
    pub(super) desk: Desk,
    /// Timers of this shard that a task elsewhere has no use for any more.
    pub(super) letters: Mailbox<TimerKey>,
    /// Tasks, with their deadlines.
    pub(super) wheel: Wheel<(usize, u64)>,
}

/// Tasks that were woken by a waker, in order.
#[derive(Clone, Default)]
pub(super) struct Bells(StdArc<Mutex<Vec<usize>>>);

struct TaskWaker {
    task: usize,
    bells: Bells,
}

impl Wake for TaskWaker {
    fn wake(self: StdArc<Self>) {
        let mut woken = self.bells.0.lock().unwrap_or_else(PoisonError::into_inner);
        woken.push(self.task);
    }
}

impl Bells {
    /// What wakes this task.
    fn waker(&self, task: usize) -> Waker {
        StdArc::new(TaskWaker { task, bells: self.clone() }).into()
    }

    /// Who was woken since the last call.
    pub(super) fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What one source has sent to one target, and what arrived.
#[derive(Clone, Copy, Default, Debug)]
struct Traffic {
    sent: u32,
    received: u32,
}

/// All messages of a runtime, and a count of them that is kept without the desks.
pub(super) struct Mail {
    hub: Arc<Hub>,
    pub(super) offices: Vec<Office>,
    pub(super) bells: Bells,
    /// By source, the last for threads that are no shards; then by target; plain and hot.
    traffic: Vec<Vec<[Traffic; 2]>>,
    /// What was counted for each target, and how much of it was taken.
    counts: Vec<(u64, u64)>,
}

/// Whether the gate of the target must be posted; or what is wrong.
pub(super) type Sent = Result<bool, String>;

impl Mail {
    pub(super) fn new(shards: usize) -> Self {
        let options = MessageOptions {
            capacity: CAPACITY,
            hot: vec![Sort::Hot.tag()],
            counted: vec![Sort::Counted.tag()],
            threshold: THRESHOLD,
        };
        let hub = Arc::new(Hub::new(shards, &options));
        let office = |shard| Office {
            desk: Desk::new(Arc::clone(&hub), ShardId::from_index(shard)),
            letters: Mailbox::new(),
            wheel: Wheel::new(0, TIMERS),
        };
        let offices = (0..shards).map(office).collect();
        Self {
            offices,
            bells: Bells::default(),
            traffic: vec![vec![[Traffic::default(); 2]; shards]; shards + 1],
            counts: vec![(0, 0); shards],
            hub,
        }
    }

    /// Sends from this shard, or from a thread that is none. A message carries its number.
    pub(super) fn send(&mut self, from: Option<usize>, to: usize, sort: Sort) -> Sent {
        let (target, message) = (ShardId::from_index(to), self.message(from, to, sort));
        let sent = match from {
            Some(me) => self.offices[me].desk.send(target, message, 0),
            None => self.hub.send(target, message, 0),
        };
        self.note_sent(from, to, sort, message, sent.map(|wake| (wake, ()))).map(|sent| sent.0)
    }

    /// As [`send`](Self::send) from a shard, of a plain message, with what to wait for.
    pub(super) fn send_pending(
        &mut self,
        me: usize,
        to: usize,
    ) -> Result<(bool, Option<Pending>), String> {
        let (target, message) = (ShardId::from_index(to), self.message(Some(me), to, Sort::Plain));
        let sent = self.offices[me].desk.send_pending(target, message);
        let (wake, pending) = self.note_sent(Some(me), to, Sort::Plain, message, sent)?;
        Ok((wake, pending.flatten()))
    }

    fn source(&self, from: Option<usize>) -> usize {
        from.unwrap_or(self.offices.len())
    }

    fn message(&self, from: Option<usize>, to: usize, sort: Sort) -> (u16, u32) {
        let val = match sort {
            Sort::Counted => 1,
            _ => self.traffic[self.source(from)][to][sort.kind() as usize].sent,
        };
        (sort.tag(), val)
    }

    /// Notes what became of a message: it was taken, or it is reported as it was.
    fn note_sent<T>(
        &mut self,
        from: Option<usize>,
        to: usize,
        sort: Sort,
        message: (u16, u32),
        sent: Result<(bool, T), SendError>,
    ) -> Result<(bool, Option<T>), String> {
        let source = self.source(from);
        let traffic = &mut self.traffic[source][to][sort.kind() as usize];
        let under_way = (traffic.sent - traffic.received) as usize;
        match sent {
            Ok((wake, rest)) if sort == Sort::Counted => {
                self.counts[to].0 += 1;
                Ok((wake, Some(rest)))
            }
            Ok((wake, rest)) => {
                traffic.sent += 1;
                if under_way >= 2 * CAPACITY {
                    return Err(format!("{} messages are under way to shard {to}", under_way + 1));
                }
                Ok((wake, Some(rest)))
            }
            Err(SendError::Backpressure { taken: 0, refused, .. })
                if refused == message && sort != Sort::Counted && under_way >= CAPACITY =>
            {
                Ok((false, None))
            }
            Err(SendError::Closed) => Ok((false, None)),
            Err(error) => Err(format!(
                "with {under_way} messages under way, {message:?} to shard {to} was refused: {error}"
            )),
        }
    }

    /// Polls the wait of a task for a message. Whether it came.
    pub(super) fn receive(
        &mut self,
        me: usize,
        task: usize,
        sort: Sort,
        key: &mut Option<u64>,
    ) -> Result<bool, String> {
        let waker = self.bells.waker(task);
        let desk = &self.offices[me].desk;
        if sort == Sort::Counted {
            let Some(count) = desk.poll_count(sort.tag(), key, &waker) else { return Ok(false) };
            let (sent, taken) = &mut self.counts[me];
            *taken += count;
            if *taken > *sent {
                return Err(format!("of {sent} counted {taken} were taken at shard {me}"));
            }
            return Ok(true);
        }
        let event = desk.poll_event(sort.kind(), key, &waker, Waker::wake);
        let Some(Event::RingMsg { from, tag, val }) = event else { return Ok(false) };
        let source = if from == ShardId::EXTERNAL { self.offices.len() } else { from.index() };
        let traffic = &mut self.traffic[source][me][sort.kind() as usize];
        if tag != sort.tag() || val != traffic.received || traffic.received == traffic.sent {
            return Err(format!(
                "message {val} of {from:?} arrives at shard {me}, where {} is due",
                traffic.received
            ));
        }
        traffic.received += 1;
        Ok(true)
    }

    /// Polls the wait of a task for a receipt. Whether it is over; and whose gate must be posted.
    pub(super) fn poll_receipt(
        &mut self,
        task: usize,
        pending: &mut Pending,
    ) -> (bool, Option<usize>) {
        match pending.poll(&self.bells.waker(task)) {
            Look::Over(_) => (true, None),
            Look::Waits => (false, None),
            Look::Ask => {
                self.hub.ask(pending.target());
                (false, Some(pending.target().index()))
            }
        }
    }

    /// A task does not wait any more.
    pub(super) fn forget(&mut self, me: usize, awaits: Awaits) {
        let desk = &self.offices[me].desk;
        match awaits {
            Awaits::Message(Sort::Counted, mut key) => {
                desk.forget_count(Sort::Counted.tag(), &mut key);
            }
            Awaits::Message(sort, mut key) => desk.forget_event(sort.kind(), &mut key, Waker::wake),
            Awaits::Receipt(_) | Awaits::Time { .. } => {}
        }
    }

    /// What is wrong if a task waits for this at a shard, and nothing moves any more.
    pub(super) fn is_overdue(&self, at: usize, awaits: &Awaits, now: u64) -> Option<String> {
        match awaits {
            Awaits::Message(Sort::Counted, _) => {
                let (sent, taken) = self.counts[at];
                (sent != taken).then(|| format!("of {sent} counted {taken} were taken"))
            }
            Awaits::Message(sort, _) => {
                let lanes = self.traffic.iter().map(|to| to[at][sort.kind() as usize]);
                let mut late = lanes.filter(|traffic| traffic.received != traffic.sent);
                late.next().map(|traffic| format!("{traffic:?} of a lane to shard {at}"))
            }
            Awaits::Receipt(pending) => {
                pending.is_over().then(|| "what it sent was taken".to_owned())
            }
            Awaits::Time { deadline, .. } => {
                (*deadline <= now).then(|| format!("its time was {deadline}, it is {now}"))
            }
        }
    }
}
