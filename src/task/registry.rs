//! The live tasks of one shard's spawns: bounded, and the way to end them all at shutdown.

use std::ptr::NonNull;
use std::task::Waker;

use crate::id::TaskId;
use crate::primitive::{AtomicU64, AtomicUsize, Mutex, Ordering, lock};
use crate::task::Meta;

/// Identities are handed to registries in blocks of this many, so that spawning shares no counter.
const ID_BLOCK: u64 = 1 << 12;

/// The first identity of the next block.
#[cfg(not(loom))]
static NEXT_BLOCK: AtomicU64 = AtomicU64::new(1);

/// Which task: its slot, and which use of the slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

/// Why a task was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The runtime shuts down.
    Closed,
    /// That many tasks are alive, and no more may be.
    Full { limit: usize },
}

/// The live tasks that were spawned through one shard.
#[derive(Debug)]
pub(crate) struct Registry {
    limit: usize,
    /// Written under the lock; read by everybody for statistics.
    live: AtomicUsize,
    /// How many there ever were; written and read as `live`.
    spawned: AtomicU64,
    slots: Mutex<Slots>,
}

#[derive(Debug)]
struct Slots {
    closed: bool,
    /// All tasks were told to end, and so is every one that enters after that.
    ending: bool,
    slots: Vec<Slot>,
    free: Vec<u32>,
    live: usize,
    ids: std::ops::Range<u64>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    task: Option<Live>,
}

#[derive(Debug)]
struct Live {
    /// Keeps the task's allocation, and with it the metadata, alive.
    waker: Waker,
    meta: NonNull<Meta>,
}

// SAFETY: the pointer is to a `Meta`, which is `Sync`, and of which only shared references are
// made.
unsafe impl Send for Live {}

impl Registry {
    /// A registry for at most `limit` live tasks; no more than `u32::MAX`.
    pub(crate) fn new(limit: usize) -> Self {
        let slots = Slots {
            closed: false,
            ending: false,
            slots: Vec::new(),
            free: Vec::new(),
            live: 0,
            ids: 0..0,
        };
        let limit = limit.min(u32::MAX as usize);
        Self {
            limit,
            live: AtomicUsize::new(0),
            spawned: AtomicU64::new(0),
            slots: Mutex::new(slots),
        }
    }

    /// Takes a place for a task, which [`enter`](Self::enter) then fills.
    pub(crate) fn reserve(&self) -> Result<(TaskId, Key), Refusal> {
        let mut slots = lock(&self.slots);
        if slots.closed {
            return Err(Refusal::Closed);
        }
        if slots.live == self.limit {
            return Err(Refusal::Full { limit: self.limit });
        }
        slots.live += 1;
        self.live.store(slots.live, Ordering::Relaxed);
        self.spawned.store(self.spawned.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        let id = slots.ids.next().unwrap_or_else(|| slots.next_block());
        let index = match slots.free.pop() {
            Some(index) => index,
            None => {
                slots.slots.push(Slot { generation: 0, task: None });
                u32::try_from(slots.slots.len() - 1).expect("the limit is within u32")
            }
        };
        let generation = slots.slots[index as usize].generation;
        Ok((TaskId::new(id), Key { index, generation }))
    }

    /// Notes the task for which `key` was reserved. A task that comes too late for
    /// [`abort_all`](Self::abort_all) is told to end here, before its first poll.
    pub(crate) fn enter(&self, key: Key, waker: Waker, meta: &Meta) {
        let live = Live { waker, meta: NonNull::from(meta) };
        let mut slots = lock(&self.slots);
        if slots.ending {
            live.tell();
        }
        let slot = slots.at(key).expect("a reserved slot keeps its generation");
        slot.task = Some(live);
    }

    /// Forgets a task whose future is gone. The waker comes back because it may be the last thing
    /// that keeps the task's memory.
    pub(crate) fn retire(&self, key: Key) -> Option<Waker> {
        let mut slots = lock(&self.slots);
        let slot = slots.at(key)?;
        slot.generation = slot.generation.wrapping_add(1);
        let task = slot.task.take();
        slots.free.push(key.index);
        slots.live -= 1;
        self.live.store(slots.live, Ordering::Relaxed);
        task.map(|live| live.waker)
    }

    /// Asks a task to end before its next poll, and wakes it; a task that is gone is left alone.
    pub(crate) fn abort(&self, key: Key) {
        let waker = {
            let mut slots = lock(&self.slots);
            slots.at(key).and_then(|slot| slot.task.as_ref()).map(Live::abort)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the task still has its future.
    pub(crate) fn is_live(&self, key: Key) -> bool {
        lock(&self.slots).at(key).is_some()
    }

    /// How many tasks are alive.
    pub(crate) fn len(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// How many tasks there have been, those alive included.
    pub(crate) fn spawned(&self) -> u64 {
        self.spawned.load(Ordering::Relaxed)
    }

    /// Takes no more tasks from now on.
    pub(crate) fn close(&self) {
        lock(&self.slots).closed = true;
    }

    /// Takes no more tasks and asks every one to end. Those of them that run or wait come to a last
    /// poll, in which their future is dropped.
    pub(crate) fn abort_all(&self) {
        let wakers: Vec<Waker> = {
            let mut slots = lock(&self.slots);
            slots.closed = true;
            slots.ending = true;
            slots.slots.iter().filter_map(|slot| slot.task.as_ref()).map(Live::abort).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Live {
    fn abort(&self) -> Waker {
        self.tell();
        self.waker.clone()
    }

    fn tell(&self) {
        // SAFETY:
        // - the waker beside the pointer keeps the task's allocation alive, and the metadata in it
        //   is dropped with the allocation only.
        let meta = unsafe { self.meta.as_ref() };
        // Relaxed: pairs with nothing; the wake that follows, or the first scheduling, synchronises
        // with the poll that reads it.
        meta.aborted.store(true, Ordering::Relaxed);
    }
}

impl Slots {
    fn at(&mut self, key: Key) -> Option<&mut Slot> {
        self.slots.get_mut(key.index as usize).filter(|slot| slot.generation == key.generation)
    }

    #[cfg(not(loom))]
    fn next_block(&mut self) -> u64 {
        let first = NEXT_BLOCK.fetch_add(ID_BLOCK, Ordering::Relaxed);
        self.ids = first + 1..first + ID_BLOCK;
        first
    }

    #[cfg(loom)]
    fn next_block(&mut self) -> u64 {
        self.ids = 1..ID_BLOCK;
        0
    }
}
