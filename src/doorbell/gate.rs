//! The word of a shard that says whether it must be rung: the waker's and the sleeper's halves of
//! the parking protocol in `README.md`.

use crate::primitive::{AtomicU32, Ordering, fence, pause};

/// The shard is awake and will look for itself.
const AWAKE: u32 = 0;
/// Somebody has taken the duty to ring a sleeping shard.
const NOTIFIED: u32 = 1;
/// The shard sleeps, or is about to.
const PARKED: u32 = 2;
/// The shard is gone and must never be rung again.
const CLOSED: u32 = 3;

/// The gate of one shard.
#[derive(Debug)]
pub(crate) struct Gate {
    word: AtomicU32,
    /// How many threads outside of the runtime are ringing.
    foreign: AtomicU32,
}

/// What a waker has to do after it has published its work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Post {
    /// The shard is awake; it looks again before it sleeps.
    Awake,
    /// Another waker has the duty to ring, or has rung.
    Coalesced,
    /// The caller has the duty to ring.
    Ring,
}

/// The duty of a foreign thread to ring; while it is held the target's doorbell stays open.
#[derive(Debug)]
pub(crate) struct ForeignDuty<'a>(&'a Gate);

impl Drop for ForeignDuty<'_> {
    fn drop(&mut self) {
        // Release pairs with the load in `close`: the doorbell is used no more.
        self.0.foreign.fetch_sub(1, Ordering::Release);
    }
}

impl Gate {
    /// The gate of a shard that is awake.
    pub(crate) fn new() -> Self {
        Self { word: AtomicU32::new(AWAKE), foreign: AtomicU32::new(0) }
    }

    /// For a waker on a shard of the same runtime, after it has published its work.
    #[inline]
    pub(crate) fn post(&self) -> Post {
        // W2 of README.md; pairs with S2.
        fence(Ordering::SeqCst);
        // W3
        match self.word.load(Ordering::Relaxed) {
            PARKED => self.take_duty(),
            NOTIFIED => Post::Coalesced,
            _ => Post::Awake,
        }
    }

    /// For a waker on any other thread, after it has published its work. The answer `Some` is the
    /// duty to ring; the doorbell of the shard stays open while it is held.
    pub(crate) fn post_foreign(&self) -> (Post, Option<ForeignDuty<'_>>) {
        // W2 of README.md; pairs with S2.
        fence(Ordering::SeqCst);
        // W3
        match self.word.load(Ordering::Relaxed) {
            PARKED => {}
            NOTIFIED => return (Post::Coalesced, None),
            _ => return (Post::Awake, None),
        }
        // Relaxed: the Release of W4 makes it visible to the `close` that comes after W4. If
        // `close` came first, W4 fails and nobody rings.
        self.foreign.fetch_add(1, Ordering::Relaxed);
        let duty = ForeignDuty(self);
        match self.take_duty() {
            Post::Ring => (Post::Ring, Some(duty)),
            other => (other, None),
        }
    }

    fn take_duty(&self) -> Post {
        // W4. Acquire pairs with S1: the doorbell that the shard opened is seen. Release pairs with
        // S5 and with `close`: the shard sees what was published, and that a foreign thread rings.
        match self.word.compare_exchange(PARKED, NOTIFIED, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Post::Ring,
            Err(NOTIFIED) => Post::Coalesced,
            Err(_) => Post::Awake,
        }
    }

    /// The shard says that it is about to sleep. After this it looks once more at everything that
    /// can be published to it, then sleeps or withdraws.
    #[inline]
    pub(crate) fn announce(&self) {
        // S1. Release pairs with W4: who rings sees the doorbell. The order towards the look that
        // follows comes from the fence.
        self.word.store(PARKED, Ordering::Release);
        // S2 of README.md; pairs with W2.
        fence(Ordering::SeqCst);
    }

    /// The shard is awake again. Whether it was rung, or will be. It looks at everything that can
    /// be published to it after this, not before.
    #[inline]
    pub(crate) fn withdraw(&self) -> bool {
        // S5. Acquire pairs with W4: what the waker published is seen by the drain that follows.
        self.word.swap(AWAKE, Ordering::Acquire) == NOTIFIED
    }

    /// Whether the shard sleeps and nobody has rung yet. A hint.
    #[inline]
    pub(crate) fn is_parked(&self) -> bool {
        self.word.load(Ordering::Relaxed) == PARKED
    }

    /// Whether the shard is gone. Exact for what was published before a [`post`](Self::post) or
    /// [`post_foreign`](Self::post_foreign) of the same thread: if the answer is no, the shard
    /// finds it before it goes.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.word.load(Ordering::Relaxed) == CLOSED
    }

    /// The shard is gone; waits until no foreign thread is ringing it. That other shards ring it
    /// no more is for the caller to know.
    pub(crate) fn close(&self) {
        // A swap, because a plain store would not read W4. Acquire pairs with W4: a foreign thread
        // that took the duty before this is counted below. After this nobody takes it.
        self.word.swap(CLOSED, Ordering::Acquire);
        // E2 of README.md; pairs with W2: who published before this is seen by the clearing that
        // follows, who published after it sees the word.
        fence(Ordering::SeqCst);
        // Acquire pairs with `ForeignDuty::drop`: the doorbell is used no more.
        while self.foreign.load(Ordering::Acquire) != 0 {
            pause();
        }
    }
}

#[cfg(test)]
#[cfg(loom)]
#[path = "gate/loom.rs"]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
