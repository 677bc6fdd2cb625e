//! The sending side of a shard: its lanes to the others, opened when they are first used.

use crate::id::ShardId;
use crate::message::direct::{Departures, Rider, Way};
use crate::message::hub::{Hub, Kind, Opened, Taken};
use crate::message::lane::{Parcel, Refused, Sender};
use crate::message::receipts::Receipts;
use crate::message::tags::Class;
use crate::message::ticket::Pending;
use crate::primitive::Arc;

/// The lanes from one shard to all.
#[derive(Debug)]
pub(super) struct Outbox {
    me: ShardId,
    /// By the number of the target; as long as the highest that was ever sent to.
    targets: Vec<Target>,
}

#[derive(Debug, Default)]
struct Target {
    lanes: [Option<Sender>; 2],
    direct: Option<Departures>,
}

/// How a direct message was sent.
#[derive(Debug)]
pub(super) enum Sent {
    /// It is noted, and goes as soon as this entry is pushed.
    Rides(Rider),
    /// It lies in a queue lane, or was counted.
    Queued(Taken),
}

impl Outbox {
    pub(super) fn new(me: ShardId) -> Self {
        Self { me, targets: Vec::new() }
    }

    /// Sends through the queue lane that the tag belongs to.
    #[inline]
    pub(super) fn send(
        &mut self,
        hub: &Hub,
        to: ShardId,
        (tag, val): (u16, u32),
    ) -> Result<bool, Refused> {
        let kind = match hub.tags().class(tag) {
            Class::Plain => Kind::Plain,
            Class::Hot => Kind::Hot,
            Class::Counted(index) => {
                return hub.door(to).count(index, val).map(|taken| taken.wake);
            }
        };
        self.lane(hub, to, kind)?.push(Parcel::new(tag, val))?;
        Ok(true)
    }

    /// As [`send`](Self::send), and says what to wait for.
    pub(super) fn send_pending(
        &mut self,
        hub: &Hub,
        to: ShardId,
        (tag, val): (u16, u32),
    ) -> Result<Taken, Refused> {
        let kind = match hub.tags().class(tag) {
            Class::Plain => Kind::Plain,
            Class::Hot => Kind::Hot,
            Class::Counted(index) => return hub.door(to).count(index, val),
        };
        let lane = self.lane(hub, to, kind)?;
        lane.push(Parcel::new(tag, val))?;
        Ok(Taken { wake: true, pending: Some(Pending::of(to, lane)) })
    }

    /// Sends directly, or through the queue lane if too many are on the way.
    pub(super) fn send_direct(
        &mut self,
        hub: &Hub,
        to: ShardId,
        message: (u16, u32),
    ) -> Result<Sent, Refused> {
        if let Class::Counted(index) = hub.tags().class(message.0) {
            return hub.door(to).count(index, message.1).map(Sent::Queued);
        }
        let me = self.me;
        let sent = match self.departures(hub, to)?.way(me, to, message)? {
            Way::Direct(rider) => Sent::Rides(rider),
            Way::Queue(parcel) => {
                self.lane(hub, to, Kind::Plain)?.push(parcel)?;
                Sent::Queued(Taken { wake: true, pending: None })
            }
        };
        self.departures(hub, to)?.note(message);
        Ok(sent)
    }

    /// The parcel in which a direct message goes whose entry failed.
    pub(super) fn failed(&mut self, to: ShardId, number: u32) -> Option<Parcel> {
        self.targets.get_mut(to.index())?.direct.as_mut()?.failed(number)
    }

    /// Puts a parcel into the plain lane.
    pub(super) fn push(&mut self, hub: &Hub, to: ShardId, parcel: Parcel) -> Result<(), Refused> {
        self.lane(hub, to, Kind::Plain)?.push(parcel)
    }

    /// What was sent, to one shard or to all, and may not have been taken.
    pub(super) fn pending(&self, to: Option<ShardId>, pending: &mut Vec<Pending>) {
        for (index, target) in self.targets.iter().enumerate() {
            let id = ShardId::from_index(index);
            if to.is_none_or(|to| to == id) {
                let lanes = target.lanes.iter().flatten();
                pending.extend(lanes.map(|lane| Pending::of(id, lane)));
                let direct = target.direct.as_ref();
                pending.extend(direct.map(|direct| Pending::of_direct(id, direct)));
            }
        }
        pending.retain(|pending| !pending.is_over());
    }

    #[inline]
    fn lane(&mut self, hub: &Hub, to: ShardId, kind: Kind) -> Result<&mut Sender, Refused> {
        let me = self.me;
        let slot = &mut self.target(to).lanes[kind as usize];
        match slot {
            Some(sender) => Ok(sender),
            none => open(none, hub, me, to, kind),
        }
    }

    fn departures(&mut self, hub: &Hub, to: ShardId) -> Result<&mut Departures, Refused> {
        let me = self.me;
        let slot = &mut self.target(to).direct;
        match slot {
            Some(departures) => Ok(departures),
            none => {
                let receipts = Arc::new(Receipts::new());
                hub.door(to).announce(Opened::Direct(me, Arc::clone(&receipts)))?;
                Ok(none.insert(Departures::new(receipts, hub.capacity())))
            }
        }
    }

    #[inline]
    fn target(&mut self, to: ShardId) -> &mut Target {
        if to.index() >= self.targets.len() {
            self.targets.resize_with(to.index() + 1, Target::default);
        }
        &mut self.targets[to.index()]
    }
}

#[cold]
fn open<'a>(
    slot: &'a mut Option<Sender>,
    hub: &Hub,
    me: ShardId,
    to: ShardId,
    kind: Kind,
) -> Result<&'a mut Sender, Refused> {
    Ok(slot.insert(hub.open(hub.door(to), me, kind)?))
}
