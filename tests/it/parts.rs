//! Assemblies that every scheduling test runs on: the default one, one of the other shipped parts,
//! and one of parts as a user would write them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use spargio::doorbell::{EventFd, MsgRing};
use spargio::driver::Uring;
use spargio::placement::{LeastLoaded, Loads, Placement, RoundRobin, Wish};
use spargio::queue::{
    ChaseLev, LocalQueue, MutexQueue, QueueOptions, SharedQueue, StealQueue, Stolen,
};
use spargio::{Assembly, Builder, Runtime, RuntimeOf, ShardId};

use crate::support::Watch;

#[cfg(feature = "testing")]
mod suites;

/// An assembly that a test runs on.
pub(crate) trait Make: 'static {
    type Doorbell: spargio::doorbell::Doorbell<Uring>;
    type Queue: StealQueue;
    type Placement: Placement;

    /// A builder of the assembly.
    fn builder() -> Builder<Uring, Self::Doorbell, Self::Queue, Self::Placement>;
}

/// The assembly that a [`Make`] makes.
pub(crate) type Made<M> =
    spargio::Assembled<Uring, <M as Make>::Doorbell, <M as Make>::Queue, <M as Make>::Placement>;

/// A runtime of the assembly, with small rings.
pub(crate) fn runtime<M: Make>(watch: &Watch, shards: usize) -> RuntimeOf<Made<M>> {
    watch.build(M::builder().shards(shards).ring_entries(32))
}

/// The default parts.
pub(crate) struct Native;

impl Make for Native {
    type Doorbell = MsgRing;
    type Queue = ChaseLev;
    type Placement = LeastLoaded;

    fn builder() -> Builder<Uring, MsgRing, ChaseLev, LeastLoaded> {
        Runtime::builder()
    }
}

/// The other parts that the crate ships.
pub(crate) struct Plain;

impl Make for Plain {
    type Doorbell = EventFd;
    type Queue = MutexQueue;
    type Placement = RoundRobin;

    fn builder() -> Builder<Uring, EventFd, MutexQueue, RoundRobin> {
        Runtime::builder()
            .doorbell::<EventFd>()
            .steal_queue::<MutexQueue>()
            .placement(RoundRobin::new())
    }
}

/// Parts of a user's.
pub(crate) struct Own;

impl Make for Own {
    type Doorbell = MsgRing;
    type Queue = GuestsFirst;
    type Placement = Parity;

    fn builder() -> Builder<Uring, MsgRing, GuestsFirst, Parity> {
        Runtime::builder().steal_queue::<GuestsFirst>().placement(Parity::default())
    }
}

/// Makes a test of each function for each assembly.
macro_rules! for_each_assembly {
    ($($name:ident,)+) => {
        mod native {
            $(#[test]
            fn $name() {
                crate::support::watched(|watch| super::$name::<crate::parts::Native>(watch));
            })+
        }
        mod plain {
            $(#[test]
            fn $name() {
                crate::support::watched(|watch| super::$name::<crate::parts::Plain>(watch));
            })+
        }
        mod own {
            $(#[test]
            fn $name() {
                crate::support::watched(|watch| super::$name::<crate::parts::Own>(watch));
            })+
        }
    };
}
pub(crate) use for_each_assembly;

/// A queue under one lock in which injected items go before the owner's, but not for ever.
#[derive(Debug)]
pub(crate) struct GuestsFirst;

/// So many guests in a row, then it is the owner's turn.
const GUESTS_IN_A_ROW: u32 = 4;

#[derive(Debug)]
struct Lists<T> {
    guests: VecDeque<T>,
    own: VecDeque<T>,
    in_a_row: u32,
}

impl<T> Lists<T> {
    fn next(&mut self) -> Option<T> {
        let turn = self.own.is_empty() || self.in_a_row < GUESTS_IN_A_ROW;
        if turn && let Some(guest) = self.guests.pop_front() {
            self.in_a_row += 1;
            return Some(guest);
        }
        self.in_a_row = 0;
        self.own.pop_front()
    }
}

type Both<T> = Arc<Mutex<Lists<T>>>;

pub(crate) struct GuestsFirstLocal<T>(Both<T>);

pub(crate) struct GuestsFirstShared<T>(Both<T>);

// SAFETY:
// - O1, O2: an item leaves its list by value and under the lock.
// - O3, O4: both ends share the lists, which the last of them drops; a thief holds the items that
//   it moves in a variable of its own.
unsafe impl StealQueue for GuestsFirst {
    type Local<T: Send + 'static> = GuestsFirstLocal<T>;
    type Shared<T: Send + 'static> = GuestsFirstShared<T>;

    fn pair<T: Send + 'static>(_: &QueueOptions) -> (Self::Local<T>, Self::Shared<T>) {
        let lists = Lists { guests: VecDeque::new(), own: VecDeque::new(), in_a_row: 0 };
        let both = Arc::new(Mutex::new(lists));
        (GuestsFirstLocal(Arc::clone(&both)), GuestsFirstShared(both))
    }
}

impl<T: Send + 'static> LocalQueue<T> for GuestsFirstLocal<T> {
    type Shared = GuestsFirstShared<T>;

    fn push(&mut self, item: T) {
        self.0.lock().unwrap().own.push_back(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.0.lock().unwrap().next()
    }

    fn pop_injected(&mut self) -> Option<T> {
        self.0.lock().unwrap().guests.pop_front()
    }

    fn has_injected(&self) -> bool {
        !self.0.lock().unwrap().guests.is_empty()
    }

    fn steal_from(&mut self, victim: &GuestsFirstShared<T>, max: usize) -> Stolen<T> {
        let mut loot: VecDeque<T> = {
            let mut lists = victim.0.lock().unwrap();
            let waiting = lists.guests.len() + lists.own.len();
            let most = waiting.div_ceil(2).min(max);
            (0..most).map_while(|_| lists.next()).collect()
        };
        let Some(first) = loot.pop_front() else { return Stolen::Empty };
        let moved = loot.len();
        self.0.lock().unwrap().own.extend(loot);
        Stolen::Took { first, moved }
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().own.len()
    }
}

impl<T: Send + 'static> SharedQueue<T> for GuestsFirstShared<T> {
    fn inject(&self, item: T) {
        self.0.lock().unwrap().guests.push_back(item);
    }

    fn len_hint(&self) -> usize {
        let lists = self.0.lock().unwrap();
        lists.guests.len() + lists.own.len()
    }
}

impl<T> fmt::Debug for GuestsFirstLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuestsFirstLocal")
    }
}

impl<T> fmt::Debug for GuestsFirstShared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuestsFirstShared")
    }
}

/// Even keys on even shards, odd keys on odd ones; everything else in turn.
#[derive(Default, Debug)]
pub(crate) struct Parity {
    spread: AtomicUsize,
    /// Of its own, so that nothing comes between the turns of what is spread.
    others: AtomicUsize,
}

impl Placement for Parity {
    fn place(&self, wish: Wish, loads: &Loads<'_>) -> ShardId {
        let shards = loads.shards();
        match wish {
            Wish::Near(shard) if shard.index() < shards => shard,
            Wish::Key(key) => {
                let parity = (key % 2) as usize;
                let of_parity = shards.div_ceil(2) - parity * (shards % 2);
                if of_parity == 0 {
                    return ShardId::new(0);
                }
                ShardId::from_index((key / 2) as usize % of_parity * 2 + parity)
            }
            Wish::Spread => turn(&self.spread, shards),
            _ => turn(&self.others, shards),
        }
    }
}

fn turn(of: &AtomicUsize, shards: usize) -> ShardId {
    ShardId::from_index(of.fetch_add(1, Ordering::Relaxed) % shards)
}

#[test]
fn odd_keys_are_placed_on_odd_shards() {
    crate::support::watched(|watch| {
        let runtime = runtime::<Own>(watch, 3);
        for key in 0..12 {
            let task =
                runtime.handle().spawn_with_placement(spargio::TaskPlacement::Sticky(key), async {
                    crate::support::here()
                });
            let shard = runtime.block_on(task.unwrap()).unwrap();
            assert_eq!(shard.index() as u64 % 2, key % 2, "key {key}");
        }
    });
}

/// The name of an assembly shows in the runtime's description.
#[test]
fn a_runtime_says_of_which_parts_it_is() {
    fn describe<A: Assembly>(runtime: &RuntimeOf<A>) -> String {
        format!("{runtime:?}")
    }
    crate::support::watched(|watch| {
        let text = describe(&runtime::<Own>(watch, 1));
        assert!(text.contains("GuestsFirst") && text.contains("Parity"), "{text}");
    });
}
