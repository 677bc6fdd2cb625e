//! Sending, and what becomes of messages that are to be completions.

use super::{Riding, Tally, World, pick};
use crate::driver::{Class, Token};
use crate::fuzzing::messages::Form;
use crate::fuzzing::messages::model::{COUNTED, HOT, HOT_DIRECT, Lane, PLAIN, PLAIN_DIRECT};
use crate::fuzzing::messages::task::{Task, Wait};
use crate::id::ShardId;
use crate::message::{Direct, Rider, SendError};

/// The most direct messages from one source to one target that may be on the way.
const WINDOW: usize = 1 << 13;

impl World {
    pub(super) fn send_all(
        &mut self,
        from: u8,
        to: u8,
        form: Form,
        tag: u8,
        (val, count): (u32, u16),
    ) {
        let shards = self.places.len();
        // One more source than there are shards; and now and then a target that is none.
        let from = Some(usize::from(from) % (shards + 1)).filter(|&from| from < shards);
        let to = if to == u8::MAX { shards } else { usize::from(to) % shards };
        if let Some(from) = from
            && self.running_at(from).is_none()
        {
            return;
        }
        let is_direct = matches!(form, Form::Direct | Form::DirectCrowded) && from.is_some();
        let (plain, hot) = if is_direct { (PLAIN_DIRECT, HOT_DIRECT) } else { (PLAIN, HOT) };
        let tag = pick(tag, &[plain, hot, COUNTED, plain].concat());
        for number in 0..u32::from(count) {
            let message = (tag, val.wrapping_add(number));
            if !self.send(from, to, form, message) {
                break;
            }
        }
    }

    /// Sends one message. Whether it was taken.
    fn send(&mut self, from: Option<usize>, to: usize, form: Form, message: (u16, u32)) -> bool {
        let target = ShardId::from_index(to);
        let sent = match (from, form) {
            (None, Form::Ticket) => self.hub.send_pending(target, message),
            (None, _) => self.hub.send(target, message, 0).map(|wake| (wake, None)),
            (Some(from), Form::NoWait) => {
                self.desks[from].send(target, message, 0).map(|wake| (wake, None))
            }
            (Some(from), Form::Ticket) => self.desks[from].send_pending(target, message),
            (Some(from), _) => {
                let direct = self.desks[from].send_direct(target, message, 0);
                direct.map(|direct| (self.ride(from, to, form, direct), None))
            }
        };
        let is_counted = COUNTED.contains(&message.0);
        let source = from.map_or(ShardId::EXTERNAL, ShardId::from_index);
        let lane = Lane::of(source, to, message.0);
        let (wake, pending) = match sent {
            Ok(sent) => sent,
            Err(error) => {
                self.refused(from, lane, error, message);
                return false;
            }
        };
        assert!(!self.places[to].is_closed, "shard {to} is gone and takes {message:?}");
        self.tally(from, to).sent += 1;
        if is_counted {
            self.model.count(to, message.0, message.1);
        } else {
            let before = self.model.unread(|other| *other == lane);
            let most = 2 * self.capacity + if lane.direct { self.capacity } else { 0 };
            assert!(before < most, "{before} wait on {lane:?}, and one more was taken");
            self.model.send(lane, message);
        }
        if wake {
            self.unpark(Some(to));
        }
        if let Some(pending) = pending {
            let position = self.model.sent(|other| *other == lane);
            self.tasks.push(Task::new(from, Wait::Ticket(pending, Some((lane, position)))));
            self.poll(self.tasks.len() - 1);
        }
        true
    }

    /// What a shard does for a direct message that was taken. Whether to post the gate of the
    /// target.
    fn ride(&mut self, from: usize, to: usize, form: Form, direct: Direct) -> bool {
        match direct {
            Direct::Push(rider) if to != from && form == Form::Direct => {
                self.desks[from].rides();
                self.places[from].own.direct += 1;
                self.riding.push(Riding { from, to, rider });
                false
            }
            Direct::Push(rider) => {
                let wake = self.desks[from].requeue(rider.sent);
                self.requeued(from, to, wake);
                false
            }
            Direct::Wake => true,
            Direct::Done => false,
        }
    }

    fn refused(&mut self, from: Option<usize>, lane: Lane, error: SendError, message: (u16, u32)) {
        let shards = self.places.len();
        match error {
            SendError::InvalidShard { shard, shards: known } => {
                assert_eq!((shard.index(), known), (shards, shards));
                assert_eq!(lane.to, shards, "shard {} exists", lane.to);
                return;
            }
            SendError::Closed => assert!(self.places[lane.to].is_closed, "it is not closed"),
            SendError::Backpressure { taken, refused, limit } => {
                assert_eq!((taken, refused, limit), (0, message, self.capacity as u64));
                let waiting = self.model.unread(|other| other.shares_slots_with(&lane));
                assert!(waiting >= self.capacity, "{lane:?} refuses with {waiting} waiting");
            }
        }
        self.tally(from, lane.to).refused += 1;
    }

    pub(super) fn deliver(&mut self, at: usize) {
        let riding = self.riding.remove(at);
        let Riding { to, rider: Rider { token, result, .. }, .. } = riding;
        if self.running_at(to).is_some() {
            assert!(self.desks[to].arrived(token, result), "{token:?} was on the way");
            self.arrived.push(riding);
        }
    }

    pub(super) fn fail(&mut self, at: usize) {
        let Riding { from, to, rider } = self.riding.remove(at);
        self.unpark(Some(from));
        let wake = self.desks[from].failed(rider.sent);
        self.places[from].own.failed += 1;
        self.requeued(from, to, wake);
    }

    fn requeued(&mut self, from: usize, to: usize, wake: Option<ShardId>) {
        match wake {
            Some(wake) => {
                assert_eq!(wake.index(), to);
                self.unpark(Some(to));
            }
            None if self.places[to].is_closed => {}
            None => self.places[from].owed.push(to),
        }
    }

    /// A completion that is a message, of a number that cannot be on the way.
    pub(super) fn stray(&mut self, on: u8, from: u16, number: u32) {
        let Some(on) = self.running(on) else { return };
        let from = ShardId::new(from % 8);
        let same = |lane: &Lane| lane.direct && lane.from == from && lane.to == on;
        let (sent, unread) = (self.model.sent(same), self.model.unread(same));
        let outside = (1 << Token::GENERATION_BITS) - WINDOW - unread;
        let number = sent + WINDOW + number as usize % outside;
        let index = u32::from(from.get()) << 16 | u32::from(PLAIN_DIRECT[0]);
        let token = Token::new(Class::Message, number as u32, index);
        assert!(!self.desks[on].arrived(token, 0), "{token:?} was never sent");
    }

    fn tally(&mut self, from: Option<usize>, to: usize) -> &mut Tally {
        match from {
            Some(from) => &mut self.places[from].own,
            None => &mut self.places[to].others,
        }
    }
}
