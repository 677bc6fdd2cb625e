//! The desk of a shard: where its messages go out and come in, on its own thread.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use crate::driver::Token;
use crate::id::ShardId;
use crate::message::Event;
use crate::message::direct::Rider;
use crate::message::error::SendError;
use crate::message::hub::{Door, Hub, Kind, Taken};
use crate::message::inbox::{Inbox, Lanes};
use crate::message::lane::{Parcel, Refused};
use crate::message::lookout::Lookout;
use crate::message::outbox::{Outbox, Sent};
use crate::message::ticket::Pending;
use crate::primitive::Arc;

/// Where the messages of a shard go out and come in. For its thread alone; nothing is borrowed
/// while a waker runs.
#[derive(Debug)]
pub(crate) struct Desk {
    hub: Arc<Hub>,
    me: ShardId,
    out: RefCell<Outbox>,
    inbox: RefCell<Inbox>,
    lookout: Lookout,
    /// How many messages this shard had sent when it looked out last.
    answered: Cell<u64>,
    /// Direct messages whose entry failed and for which their lane had no room.
    owed: RefCell<Vec<(ShardId, Parcel)>>,
}

/// What is to be done for a direct message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Direct {
    /// Push this entry, and say so with [`Desk::rides`]; if that does not go, [`Desk::requeue`].
    Push(Rider),
    /// Post the gate of the target.
    Wake,
    /// Nothing.
    Done,
}

impl Desk {
    /// The desk of a shard on which nothing lies.
    pub(crate) fn new(hub: Arc<Hub>, me: ShardId) -> Self {
        let inbox = RefCell::new(Inbox::new(&hub));
        let out = RefCell::new(Outbox::new(me));
        Self {
            hub,
            me,
            out,
            inbox,
            lookout: Lookout::default(),
            answered: Cell::new(0),
            owed: RefCell::default(),
        }
    }

    /// What the shards share.
    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Sends a message, of which so many were taken before in the same call. Whether the gate of
    /// the target is to be posted.
    #[inline]
    pub(crate) fn send(
        &self,
        to: ShardId,
        message: (u16, u32),
        before: usize,
    ) -> Result<bool, SendError> {
        self.hub.check(to)?;
        let sent = self.out.borrow_mut().send(&self.hub, to, message);
        match sent {
            Ok(wake) => {
                self.door().own.sent.add(1);
                Ok(wake)
            }
            Err(refused) => Err(self.refuse(refused, before, message)),
        }
    }

    /// As [`send`](Self::send), and says what to wait for; `None` if the target has it already.
    pub(crate) fn send_pending(
        &self,
        to: ShardId,
        message: (u16, u32),
    ) -> Result<(bool, Option<Pending>), SendError> {
        self.hub.check(to)?;
        let sent = self.out.borrow_mut().send_pending(&self.hub, to, message);
        let Taken { wake, pending } = sent.map_err(|refused| self.refuse(refused, 0, message))?;
        self.door().own.sent.add(1);
        Ok((wake, pending))
    }

    /// As [`send`](Self::send), as a completion on the ring of the target if that goes.
    pub(crate) fn send_direct(
        &self,
        to: ShardId,
        message: (u16, u32),
        before: usize,
    ) -> Result<Direct, SendError> {
        self.hub.check(to)?;
        let sent = self.out.borrow_mut().send_direct(&self.hub, to, message);
        let own = &self.door().own;
        match sent {
            Ok(sent) => {
                own.sent.add(1);
                Ok(match sent {
                    Sent::Rides(rider) => Direct::Push(rider),
                    Sent::Queued(taken) if taken.wake => Direct::Wake,
                    Sent::Queued(_) => Direct::Done,
                })
            }
            Err(refused) => Err(self.refuse(refused, before, message)),
        }
    }

    /// A direct message was pushed.
    pub(crate) fn rides(&self) {
        self.door().own.direct.add(1);
    }

    /// The entry of a direct message failed after it was pushed. Whose gate is to be posted.
    pub(crate) fn failed(&self, sent: Token) -> Option<ShardId> {
        self.door().own.failed.add(1);
        self.requeue(sent)
    }

    /// A direct message cannot go directly: it goes through its lane. Whose gate is to be posted.
    pub(crate) fn requeue(&self, sent: Token) -> Option<ShardId> {
        let to = Rider::target(sent);
        let mut out = self.out.borrow_mut();
        let parcel = out.failed(to, sent.generation())?;
        match out.push(&self.hub, to, parcel) {
            Ok(()) => Some(to),
            Err(Refused::Full) => {
                self.owed.borrow_mut().push((to, parcel));
                None
            }
            // It is dropped with the shard that it was for.
            Err(Refused::Closed) => None,
        }
    }

    /// Sends again what is owed, as far as there is room. Whose gates are to be posted goes to
    /// `wake`.
    pub(crate) fn send_owed(&self, mut wake: impl FnMut(ShardId)) {
        if self.owed.borrow().is_empty() {
            return;
        }
        let owed = self.owed.take();
        for (to, parcel) in owed {
            let sent = self.out.borrow_mut().push(&self.hub, to, parcel);
            match sent {
                Ok(()) => wake(to),
                Err(Refused::Full) => self.owed.borrow_mut().push((to, parcel)),
                Err(Refused::Closed) => {}
            }
        }
    }

    /// What this shard has sent, to one shard or to all, and may not have been taken.
    pub(crate) fn pending(&self, to: Option<ShardId>) -> Vec<Pending> {
        let mut pending = Vec::new();
        self.out.borrow().pending(to, &mut pending);
        pending
    }

    /// A direct message came as a completion. Whether it was on the way.
    pub(crate) fn arrived(&self, token: Token, result: i32) -> bool {
        let (from, message) = Rider::read(token, result);
        let (number, bits) = (token.generation(), Token::GENERATION_BITS);
        self.inbox.borrow_mut().land(self.door(), from, number, bits, message)
    }

    /// Whether something is to be done here: a message and room for it, a question for a receipt, a
    /// count that somebody waits for. Part of the last look S3.
    #[inline]
    pub(crate) fn has_signal(&self) -> bool {
        let door = self.door();
        door.is_wanted()
            || self.inbox.borrow().has_signal(&self.hub, door)
            || !self.owed.borrow().is_empty()
    }

    /// Takes a bounded number of messages, answers who waits for receipts, and wakes who waits for
    /// messages.
    #[inline]
    pub(crate) fn take(&self, wake: impl FnMut(Waker)) {
        let door = self.door();
        {
            let mut inbox = self.inbox.borrow_mut();
            let took = inbox.take(&self.hub, door);
            if took.messages > 0 {
                door.own.received.add(took.messages);
                door.own.hot.add(took.hot);
            }
            if door.take_asked() {
                inbox.answer();
            }
            inbox.wake_counting(&self.hub, door, false);
        }
        self.wake(wake);
    }

    /// Nothing else is to be done: wakes who waits for a count below the threshold. Whether
    /// somebody was.
    #[inline]
    pub(crate) fn wake_counting(&self, wake: impl FnMut(Waker)) -> bool {
        let any = self.inbox.borrow_mut().wake_counting(&self.hub, self.door(), true);
        if any {
            self.wake(wake);
        }
        any
    }

    /// The next event that lies here, for somebody who has not waited.
    #[inline]
    pub(crate) fn next_event(&self, kind: Kind) -> Option<Event> {
        self.inbox.borrow_mut().next(kind)
    }

    /// Whether the shard should look out for messages before a task waits for an event. Not if
    /// another has waited longer, which that one is for. To be asked once for each wait.
    #[inline]
    pub(crate) fn expects_message(&self, kind: Kind) -> bool {
        !self.inbox.borrow().is_awaited(kind) && self.lookout.is_due()
    }

    /// The shard had nothing else to do, and a glance has ended. If a message has come meanwhile,
    /// the next one is expected as soon; one that was there before says nothing of that.
    pub(crate) fn glanced(&self, has_come: bool) {
        self.lookout.glanced(has_come);
    }

    /// As [`glanced`](Self::glanced), for the look out of a task. After one in vain the next waits
    /// go without.
    pub(crate) fn looked_out(&self, has_come: bool) {
        self.lookout.looked_out(has_come);
    }

    /// Whether this shard has sent a message since the last call: then one that it waits for is an
    /// answer, as a rule.
    pub(crate) fn has_sent(&self) -> bool {
        let sent = self.door().own.sent.get();
        self.answered.replace(sent) != sent
    }

    /// The next event, looked for in the lanes too; or leaves the waker. `key` is that of the waker
    /// that was left.
    pub(crate) fn poll_event(
        &self,
        kind: Kind,
        key: &mut Option<u64>,
        waker: &Waker,
        wake: impl FnMut(Waker),
    ) -> Option<Event> {
        let before = self.take_back(kind, key);
        let (mut event, signal) = self.look(kind);
        if signal {
            self.take(wake);
            event = self.inbox.borrow_mut().next(kind);
        }
        if event.is_none() {
            // Cloned while nothing is borrowed: a waker may be anybody's code.
            let same = before.filter(|before| before.will_wake(waker));
            let waker = same.unwrap_or_else(|| waker.clone());
            *key = Some(self.inbox.borrow_mut().wait(kind, waker));
        }
        event
    }

    /// A future that waited for an event is gone: another takes the event that it was woken for.
    pub(crate) fn forget_event(&self, kind: Kind, key: &mut Option<u64>, wake: impl FnMut(Waker)) {
        if key.is_some() && self.take_back(kind, key).is_none() {
            let next = self.inbox.borrow_mut().pass_on(kind);
            next.into_iter().for_each(wake);
        }
    }

    /// What was counted of a tag, and sets its counter to 0; `None` if that is nothing.
    pub(crate) fn take_count(&self, tag: u16) -> Option<u64> {
        let count = self.door().take_count(self.hub.tags().counter(tag)?)?;
        self.door().own.hot.add(1);
        Some(count)
    }

    /// What was counted of a tag, or leaves the waker. The tag must be counted.
    pub(crate) fn poll_count(&self, tag: u16, key: &mut Option<u64>, waker: &Waker) -> Option<u64> {
        let index = self.hub.tags().counter(tag)?;
        let before = self.take_back_count(index, key);
        let count = self.take_count(tag);
        if count.is_none() {
            let same = before.filter(|before| before.will_wake(waker));
            let waker = same.unwrap_or_else(|| waker.clone());
            *key = Some(self.inbox.borrow_mut().wait_count(index, waker));
        }
        count
    }

    /// A future that waited for a count is gone; all who wait for one are woken together.
    pub(crate) fn forget_count(&self, tag: u16, key: &mut Option<u64>) {
        if let Some(index) = self.hub.tags().counter(tag) {
            drop(self.take_back_count(index, key));
        }
    }

    /// Takes no more. What lies here unread goes with the shard, and tickets resolve.
    pub(crate) fn close(&self, wake: impl FnMut(Waker)) {
        self.inbox.borrow_mut().close(self.door());
        self.wake(wake);
    }

    /// The next event if it is within reach; else whether there may be one behind something that is
    /// to be done first.
    #[inline]
    fn look(&self, kind: Kind) -> (Option<Event>, bool) {
        let door = self.door();
        let mut inbox = self.inbox.borrow_mut();
        if let Some(event) = inbox.next(kind) {
            return (Some(event), false);
        }
        match inbox.take_next(kind) {
            Ok((event, messages)) => {
                door.own.received.add(messages);
                if kind == Kind::Hot {
                    door.own.hot.add(messages);
                }
                (Some(event), false)
            }
            Err(lanes) => {
                let signal = lanes == Lanes::Filled
                    || door.is_wanted()
                    || inbox.has_signal_beside(&self.hub, door);
                (None, signal)
            }
        }
    }

    fn door(&self) -> &Door {
        self.hub.door(self.me)
    }

    #[cold]
    fn refuse(&self, refused: Refused, before: usize, message: (u16, u32)) -> SendError {
        self.door().own.refused.add(1);
        self.hub.error(refused, before, message)
    }

    fn take_back(&self, kind: Kind, key: &mut Option<u64>) -> Option<Waker> {
        let key = key.take()?;
        self.inbox.borrow_mut().take_back(kind, key)
    }

    fn take_back_count(&self, index: usize, key: &mut Option<u64>) -> Option<Waker> {
        let key = key.take()?;
        self.inbox.borrow_mut().take_back_count(index, key)
    }

    /// Wakes who was noted. Nothing is borrowed meanwhile: a waker may be anybody's code.
    #[inline]
    fn wake(&self, mut wake: impl FnMut(Waker)) {
        loop {
            let woken = self.inbox.borrow_mut().pop_woken();
            let Some(waker) = woken else { return };
            wake(waker);
        }
    }
}

#[cfg(test)]
#[cfg(loom)]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
