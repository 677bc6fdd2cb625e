//! The model: of each lane the list of what was sent and not read, and of each counted tag a sum.

use std::collections::{BTreeMap, VecDeque};

use crate::id::ShardId;
use crate::message::Kind;

/// Tags of plain messages that are sent through the queue, and of those sent as completions: of
/// messages that arrive the tag tells which list to look at.
pub(super) const PLAIN: [u16; 2] = [0, u16::MAX];
pub(super) const PLAIN_DIRECT: [u16; 2] = [1, 0x8000];
/// The same of hot messages.
pub(super) const HOT: [u16; 2] = [5, 0xFFFE];
pub(super) const HOT_DIRECT: [u16; 2] = [6, 0x7FFF];
/// Tags whose values are added up.
pub(super) const COUNTED: [u16; 2] = [9, 0xFF00];

/// What is ordered: what one source sends to one target, by kind and by way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Lane {
    pub(super) from: ShardId,
    pub(super) to: usize,
    pub(super) hot: bool,
    pub(super) direct: bool,
}

impl Lane {
    /// That of messages with this tag, which is not counted.
    pub(super) fn of(from: ShardId, to: usize, tag: u16) -> Self {
        let hot = HOT.contains(&tag) || HOT_DIRECT.contains(&tag);
        let direct = PLAIN_DIRECT.contains(&tag) || HOT_DIRECT.contains(&tag);
        Self { from, to, hot, direct }
    }

    /// Whether its messages lie in the same slots as those of the other: the plain queue takes
    /// direct messages that cannot go directly, hot ones too.
    pub(super) fn shares_slots_with(&self, other: &Self) -> bool {
        let in_plain = |lane: &Self| lane.direct || !lane.hot;
        self.from == other.from && self.to == other.to && in_plain(self) == in_plain(other)
    }
}

/// What was sent and not read.
#[derive(Default, Debug)]
pub(super) struct Model {
    unread: BTreeMap<Lane, VecDeque<(u16, u32)>>,
    /// How many were sent on a lane, ever.
    sent: BTreeMap<Lane, usize>,
    counts: BTreeMap<(usize, u16), u64>,
}

impl Model {
    pub(super) fn send(&mut self, lane: Lane, message: (u16, u32)) {
        self.unread.entry(lane).or_default().push_back(message);
        *self.sent.entry(lane).or_default() += 1;
    }

    pub(super) fn count(&mut self, to: usize, tag: u16, val: u32) {
        *self.counts.entry((to, tag)).or_default() += u64::from(val);
    }

    /// An event was read.
    pub(super) fn read(&mut self, at: usize, kind: Kind, from: ShardId, message: (u16, u32)) {
        let lane = Lane::of(from, at, message.0);
        assert_eq!(lane.hot, kind == Kind::Hot, "{message:?} is an event of the other kind");
        let first = self.unread.get_mut(&lane).and_then(VecDeque::pop_front);
        assert_eq!(Some(message), first, "not the next one of {lane:?}");
    }

    /// What is counted and not taken.
    pub(super) fn counted(&self, at: usize, tag: u16) -> u64 {
        self.counts.get(&(at, tag)).copied().unwrap_or(0)
    }

    /// A count was taken.
    pub(super) fn take_count(&mut self, at: usize, tag: u16) -> Option<u64> {
        self.counts.remove(&(at, tag)).filter(|&count| count > 0)
    }

    /// How many messages of these lanes were not read.
    pub(super) fn unread(&self, of: impl Fn(&Lane) -> bool) -> usize {
        self.unread.iter().filter(|(lane, _)| of(lane)).map(|(_, unread)| unread.len()).sum()
    }

    /// How many messages were sent on these lanes, ever.
    pub(super) fn sent(&self, of: impl Fn(&Lane) -> bool) -> usize {
        self.sent.iter().filter(|(lane, _)| of(lane)).map(|(_, sent)| sent).sum()
    }

    /// What was sent to a shard is gone with it.
    pub(super) fn close(&mut self, shard: usize) {
        self.unread.retain(|lane, _| lane.to != shard);
        self.counts.retain(|(at, _), _| *at != shard);
    }
}
