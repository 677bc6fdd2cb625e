//! Tasks that wait for messages, polled by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use crate::fuzzing::messages::model::Lane;
use crate::message::{Closed, Desk, Hub, Kind, Look, Pending};

/// Whether a task was woken.
#[derive(Default, Debug)]
pub(super) struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A task that waits.
pub(super) struct Task {
    /// Where it runs; `None`: on a thread that is no shard.
    pub(super) on: Option<usize>,
    pub(super) wait: Wait,
    flag: Arc<Flag>,
    waker: Waker,
    /// That of the waker that it left at its desk.
    key: Option<u64>,
    /// It starts again when it has got what it waits for.
    pub(super) forever: bool,
}

/// What a task waits for.
pub(super) enum Wait {
    Event(Kind),
    Count(u16),
    /// With the lane of the message and how many had been sent on it, if it is for one.
    Ticket(Pending, Option<(Lane, usize)>),
}

/// What a poll of a task gave.
pub(super) enum Got {
    Nothing,
    Event(crate::message::Event),
    Count(u64),
    Receipt(Result<(), Closed>),
}

impl Task {
    pub(super) fn new(on: Option<usize>, wait: Wait) -> Self {
        let flag = Arc::new(Flag::default());
        Self { on, wait, waker: Waker::from(Arc::clone(&flag)), flag, key: None, forever: false }
    }

    /// One that starts again when it has got what it waits for.
    pub(super) fn forever(on: usize, wait: Wait) -> Self {
        Self { forever: true, ..Self::new(Some(on), wait) }
    }

    pub(super) fn is_woken(&self) -> bool {
        self.flag.0.load(Ordering::Relaxed)
    }

    /// Polls, and leaves the waker. The second answer: a gate to post.
    pub(super) fn poll(&mut self, desk: Option<&Desk>, hub: &Hub) -> (Got, Option<usize>) {
        self.flag.0.store(false, Ordering::Relaxed);
        match &mut self.wait {
            Wait::Event(kind) => {
                let desk = desk.expect("events are read on a shard");
                let event = desk.poll_event(*kind, &mut self.key, &self.waker, Waker::wake);
                (event.map_or(Got::Nothing, Got::Event), None)
            }
            Wait::Count(tag) => {
                let desk = desk.expect("counts are read on a shard");
                let count = desk.poll_count(*tag, &mut self.key, &self.waker);
                (count.map_or(Got::Nothing, Got::Count), None)
            }
            Wait::Ticket(pending, _) => match pending.poll(&self.waker) {
                Look::Over(receipt) => (Got::Receipt(receipt), None),
                Look::Waits => (Got::Nothing, None),
                Look::Ask => {
                    hub.ask(pending.target());
                    (Got::Nothing, Some(pending.target().index()))
                }
            },
        }
    }

    /// Its future is dropped.
    pub(super) fn forget(mut self, desk: Option<&Desk>) {
        match (&self.wait, desk) {
            (Wait::Event(kind), Some(desk)) => {
                desk.forget_event(*kind, &mut self.key, Waker::wake);
            }
            (Wait::Count(tag), Some(desk)) => desk.forget_count(*tag, &mut self.key),
            _ => {}
        }
    }
}
