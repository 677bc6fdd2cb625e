//! The operations that users gave to the ring by themselves: which there are, on which shard, and
//! which descriptors they keep to one shard.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::os::fd::RawFd;

use crate::driver::Opcode;
use crate::id::{NativeOpId, ShardId};
use crate::primitive::{Arc, AtomicU64, AtomicUsize, Mutex, Ordering, lock};

/// The operations of one runtime.
pub(crate) struct Roster {
    last: AtomicU64,
    shards: Box<[Stripe]>,
    homes: Mutex<HashMap<RawFd, Home>>,
}

#[derive(Default)]
struct Stripe {
    /// As many as there are in the map; read without the lock.
    count: AtomicUsize,
    listed: Mutex<BTreeMap<NativeOpId, Opcode>>,
}

/// The shard that the operations on a descriptor go to.
#[derive(Clone, Copy)]
struct Home {
    shard: ShardId,
    holders: usize,
}

impl Roster {
    /// An empty one, for so many shards.
    pub(crate) fn new(shards: usize) -> Self {
        Self {
            last: AtomicU64::new(0),
            shards: (0..shards).map(|_| Stripe::default()).collect(),
            homes: Mutex::default(),
        }
    }

    /// A name for an operation of this shard.
    pub(crate) fn name(&self, shard: ShardId) -> NativeOpId {
        NativeOpId::new(shard, self.last.fetch_add(1, Ordering::Relaxed))
    }

    /// Lists an operation until the entry is dropped.
    pub(crate) fn enter(roster: &Arc<Self>, id: NativeOpId, opcode: Opcode) -> Listed {
        let stripe = &roster.shards[id.shard().index()];
        let mut listed = lock(&stripe.listed);
        listed.insert(id, opcode);
        stripe.count.store(listed.len(), Ordering::Relaxed);
        Listed { roster: Arc::clone(roster), id }
    }

    /// How many operations a shard has. A hint.
    pub(crate) fn pending(&self, shard: ShardId) -> usize {
        self.shards[shard.index()].count.load(Ordering::Relaxed)
    }

    /// What an operation does; `None` if it is over.
    pub(crate) fn find(&self, id: NativeOpId) -> Option<Opcode> {
        let stripe = self.shards.get(id.shard().index())?;
        lock(&stripe.listed).get(&id).copied()
    }

    /// All operations, shard by shard, in the order of their names.
    pub(crate) fn list(&self) -> Vec<(NativeOpId, Opcode)> {
        let mut all = Vec::new();
        for stripe in &self.shards {
            all.extend(lock(&stripe.listed).iter().map(|(&id, &opcode)| (id, opcode)));
        }
        all
    }

    /// The shard that operations on the descriptor go to; `None` if they go anywhere.
    pub(crate) fn home(&self, fd: RawFd) -> Option<ShardId> {
        lock(&self.homes).get(&fd).map(|home| home.shard)
    }

    /// Keeps the operations on a descriptor to one shard until the lease is dropped: to that of the
    /// leases there are, else to `shard`. Whoever has the lease keeps the descriptor open for
    /// longer, so that its number does not come to mean another.
    pub(crate) fn lease(roster: &Arc<Self>, fd: RawFd, shard: ShardId) -> Lease {
        let mut homes = lock(&roster.homes);
        let home = homes.entry(fd).or_insert(Home { shard, holders: 0 });
        home.holders += 1;
        Lease { roster: Arc::clone(roster), fd, shard: home.shard }
    }
}

/// An operation that is listed.
#[derive(Debug)]
pub(crate) struct Listed {
    roster: Arc<Roster>,
    id: NativeOpId,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let stripe = &self.roster.shards[self.id.shard().index()];
        let mut listed = lock(&stripe.listed);
        listed.remove(&self.id);
        stripe.count.store(listed.len(), Ordering::Relaxed);
    }
}

/// The operations on a descriptor go to one shard.
#[derive(Debug)]
pub(crate) struct Lease {
    roster: Arc<Roster>,
    fd: RawFd,
    shard: ShardId,
}

impl Lease {
    /// Which shard.
    pub(crate) fn shard(&self) -> ShardId {
        self.shard
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut homes = lock(&self.roster.homes);
        if let Some(home) = homes.get_mut(&self.fd) {
            home.holders -= 1;
            if home.holders == 0 {
                homes.remove(&self.fd);
            }
        }
    }
}

impl fmt::Debug for Roster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roster").field("shards", &self.shards.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
