//! Which shards sleep, and who looks for work: at most one is woken for a local backlog. The
//! kicker's and the parker's halves of the parking protocol in `README.md`.

use crossbeam_utils::CachePadded;

use crate::id::ShardId;
use crate::primitive::{AtomicU8, AtomicU64, AtomicUsize, Ordering, fence};

/// The sleeping shards and the searchers of one runtime.
#[derive(Debug)]
pub(crate) struct Idle {
    /// One bit per shard: it sleeps, and nobody has claimed it yet.
    words: Box<[CachePadded<AtomicU64>]>,
    /// How many shards look for work, those that were claimed and are still waking included.
    searching: CachePadded<AtomicUsize>,
    /// A shard sleeps that comes back by itself after a while to look at the backlogs. Vacant
    /// before that shard runs a task.
    sentinel: CachePadded<AtomicU8>,
    /// How many shards sleep for a moment only, whatever happens, and look at the backlogs then.
    near: CachePadded<AtomicUsize>,
    /// The greatest [`Need`] that was left to the sentinel since it looked last; 0 if none.
    wanted: CachePadded<AtomicU8>,
}

/// How much a kicker needs help.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Need {
    /// Its next task waits in a LIFO slot, for others only if the present poll turns out long: it
    /// is enough if a sentinel looks soon, and goes on looking.
    Slot = 1,
    /// Tasks are queued: it is enough if a sentinel looks soon.
    Backlog = 2,
    /// The backlog is worth a wake-up.
    Urgent = 3,
}

/// Nobody is the sentinel.
const VACANT: u8 = 0;
/// The sentinel looks so soon that a call which is not urgent is left to it.
const SOON: u8 = 1;
/// The sentinel looks, but others do not wait for that.
const LATE: u8 = 2;

/// What came of a call for help.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Help {
    /// Somebody looks already, nobody sleeps, or the sentinel will look.
    NotNeeded,
    /// This shard was claimed as a searcher: ring it.
    Claimed(ShardId),
}

impl Idle {
    /// For this many shards, all awake.
    pub(crate) fn new(shards: usize) -> Self {
        let words = (0..shards.div_ceil(64)).map(|_| CachePadded::new(AtomicU64::new(0)));
        Self {
            words: words.collect(),
            searching: CachePadded::new(AtomicUsize::new(0)),
            sentinel: CachePadded::new(AtomicU8::new(VACANT)),
            near: CachePadded::new(AtomicUsize::new(0)),
            wanted: CachePadded::new(AtomicU8::new(0)),
        }
    }

    #[inline]
    fn word(&self, shard: ShardId) -> (&AtomicU64, u64) {
        (&self.words[shard.index() / 64], 1 << (shard.index() % 64))
    }

    /// The shard says that it is about to sleep, after it has announced that at its gate: who
    /// claims it then finds the gate parked and rings. It looks at every backlog once more after
    /// this.
    #[inline]
    pub(crate) fn announce(&self, shard: ShardId) {
        let (word, bit) = self.word(shard);
        // P1. Relaxed: the fence S2 of the gate comes before it, and W2 comes after the claim K4
        // that reads it, so W3 finds the gate parked.
        word.fetch_or(bit, Ordering::Relaxed);
        // P2; pairs with K2.
        fence(Ordering::SeqCst);
    }

    /// The shard, which has [announced](Self::announce) itself, is awake again. Whether it had
    /// been claimed: then it counts as a searcher and must look for work, and
    /// [`end_search`](Self::end_search) afterwards.
    #[inline]
    pub(crate) fn withdraw(&self, shard: ShardId) -> bool {
        let (word, bit) = self.word(shard);
        // P5. Acquire pairs with K4 (and K2 before it): the backlog that it was claimed for is
        // seen.
        word.fetch_and(!bit, Ordering::Acquire) & bit == 0
    }

    /// Whether any shard sleeps unclaimed. A hint, unless a fence lies between the publication and
    /// this (K2).
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.words.iter().any(|word| word.load(Ordering::Relaxed) != 0)
    }

    /// As [`any`](Self::any), after a task was published by a sequentially consistent exchange of
    /// its shard's LIFO slot: if the answer is no, whoever falls asleep sees that the slot is or
    /// was used.
    #[inline]
    pub(crate) fn any_after_exchange(&self) -> bool {
        // L2 of README.md. SeqCst pairs with P2, and costs what a relaxed load costs on x86.
        self.words.iter().any(|word| word.load(Ordering::SeqCst) != 0)
    }

    /// Where some shard [sleeps](Self::any_after_exchange): whether a task that was published by
    /// such an exchange, with nothing queued behind it, is looked after by somebody who looks
    /// anyway. If not, it takes a [call](Self::call_for_help).
    #[inline]
    pub(crate) fn is_slot_seen_to(&self) -> bool {
        // K3 of a call for a slot, without K2. SeqCst in all of them pairs with P2 and Q2.
        if self.searching.load(Ordering::SeqCst) > 0 || self.near.load(Ordering::SeqCst) > 0 {
            return true;
        }
        let is_left_to = self.sentinel.load(Ordering::SeqCst) == SOON;
        if is_left_to {
            self.wish(Need::Slot);
        }
        is_left_to
    }

    /// Leaves word for the sentinel.
    fn wish(&self, need: Need) {
        // Relaxed: a hint.
        if self.wanted.load(Ordering::Relaxed) < need as u8 {
            self.wanted.store(need as u8, Ordering::Relaxed);
        }
    }

    /// Whether this shard sleeps unclaimed. A hint.
    #[inline]
    pub(crate) fn is_idle(&self, shard: ShardId) -> bool {
        let (word, bit) = self.word(shard);
        word.load(Ordering::Relaxed) & bit != 0
    }

    /// A shard has published stealable work that it will not take at once itself.
    pub(crate) fn call_for_help(&self, need: Need) -> Help {
        loop {
            // K2; pairs with P2.
            fence(Ordering::SeqCst);
            // K3
            if self.searching.load(Ordering::Relaxed) > 0 || !self.any() {
                return Help::NotNeeded;
            }
            if need != Need::Urgent && self.near.load(Ordering::Relaxed) > 0 {
                return Help::NotNeeded;
            }
            let is_left_to = match need {
                Need::Slot | Need::Backlog => self.sentinel.load(Ordering::Relaxed) == SOON,
                Need::Urgent => false,
            };
            if is_left_to {
                self.wish(need);
                return Help::NotNeeded;
            }
            // Only one caller reserves: a single searcher for all of them. Relaxed: what counts is
            // the order of the changes of this one word, and the fences around them.
            let reserved =
                self.searching.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
            if reserved.is_err() {
                return Help::NotNeeded;
            }
            if let Some(shard) = self.claim() {
                return Help::Claimed(shard);
            }
            // Whoever slept is waking, and looks after it withdrew. But another caller may have
            // relied on our reservation while one more shard fell asleep: look again.
            self.end_search();
        }
    }

    /// Takes the lowest sleeping shard out of the set; low numbers stay warm.
    fn claim(&self) -> Option<ShardId> {
        for (index, word) in self.words.iter().enumerate() {
            let mut bits = word.load(Ordering::Relaxed);
            while bits != 0 {
                let bit = bits & bits.wrapping_neg();
                // K4. Relaxed: the fence K2 before it makes it a release, which pairs with P5.
                let before = word.fetch_and(!bit, Ordering::Relaxed);
                if before & bit != 0 {
                    return Some(ShardId::from_index(index * 64 + bit.trailing_zeros() as usize));
                }
                bits = before & !bit;
            }
        }
        None
    }

    /// The shard looks for work from now on.
    #[inline]
    pub(crate) fn begin_search(&self) {
        // Relaxed: it promises a look that comes later.
        self.searching.fetch_add(1, Ordering::Relaxed);
    }

    /// The shard has found work and will run it next, or gives up. Whether it was the last
    /// searcher: then, having found work, it sees whether there is more and calls for help; having
    /// given up, it looks once more before it sleeps.
    pub(crate) fn end_search(&self) -> bool {
        // Q1. Relaxed: the fence orders it.
        let before = self.searching.fetch_sub(1, Ordering::Relaxed);
        debug_assert_ne!(before, 0, "a search ends as often as it begins");
        if before != 1 {
            return false;
        }
        // Q2; pairs with K2: the kicker that counted on this search is seen in the look (Q3).
        fence(Ordering::SeqCst);
        true
    }

    /// How many shards look for work. A hint.
    #[cfg(test)]
    pub(crate) fn searchers(&self) -> usize {
        self.searching.load(Ordering::Relaxed)
    }

    /// Makes the caller the sentinel if there is none. It is to sleep next, not for ever, and if it
    /// comes back `soon`, what is not urgent is left to it.
    pub(crate) fn become_sentinel(&self, soon: bool) -> bool {
        let office = if soon { SOON } else { LATE };
        self.sentinel.load(Ordering::Relaxed) == VACANT
            && self
                .sentinel
                .compare_exchange(VACANT, office, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Before it announces itself: this shard will be awake in a moment, whatever happens. What is
    /// not urgent is left to it until [`is_back`](Self::is_back).
    pub(crate) fn back_soon(&self) {
        // Relaxed: it promises a look that comes later.
        self.near.fetch_add(1, Ordering::Relaxed);
    }

    /// It is awake. After this it looks at every backlog, and calls for help if it will do
    /// something else first.
    pub(crate) fn is_back(&self) {
        // Q1
        self.near.fetch_sub(1, Ordering::Relaxed);
        // Q2; pairs with K2: the kicker that left it to this shard is seen in the look (Q3).
        fence(Ordering::SeqCst);
    }

    /// The sentinel goes off duty, because it is awake: what it runs next may take long. What was
    /// left to it meanwhile, if anything. After this it looks at every backlog, as after the last
    /// search.
    pub(crate) fn resign_sentinel(&self) -> Option<Need> {
        // Q1
        self.sentinel.store(VACANT, Ordering::Relaxed);
        // Q2; pairs with K2: the kicker that left it to the sentinel is seen in the look (Q3).
        fence(Ordering::SeqCst);
        match self.wanted.swap(0, Ordering::Relaxed) {
            0 => None,
            1 => Some(Need::Slot),
            _ => Some(Need::Backlog),
        }
    }
}

#[cfg(test)]
#[cfg(loom)]
#[path = "idle/loom.rs"]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
