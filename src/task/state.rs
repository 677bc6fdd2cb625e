//! The word that everybody who holds a part of a task meets in: flags, and a count of references.
//!
//! # Who holds what
//!
//! | part | how many | what it may do |
//! |---|---|---|
//! | *the* `Runnable`, queued or run | one while `HELD` is set, else none | touch the future |
//! | the join handle | one while `JOIN` is set | take the output, own the waker slot, see below |
//! | the registry's list | one while `LISTED` is set | reach the word |
//! | wakers and abort handles | the count | reach the word |
//!
//! The memory is freed by whoever removes the last of `JOIN`, `LISTED` and the count: there is no
//! count for the `Runnable`, because `LISTED` is set until the future is gone.
//!
//! # Transitions
//!
//! | method | from | to | caller |
//! |---|---|---|---|
//! | [`wake`](State::wake) | not `HELD` | `HELD`; the caller makes the `Runnable` | any |
//! | [`wake`](State::wake) | `HELD` | `HELD`, `NOTIFIED` | any |
//! | [`abort`](State::abort) | as `wake`, and `ABORTED` | | any |
//! | [`start`](State::start) | `HELD`, perhaps `NOTIFIED` | `HELD` | holder of the `Runnable` |
//! | [`polled`](State::polled) | `LOCAL`, no reference | not `SHARED` | holder of the `Runnable` |
//! | none: it woke itself | `HELD` | `HELD` | holder of the `Runnable` |
//! | [`rest`](State::rest) | `HELD`, not `NOTIFIED` | not `HELD` | holder of the `Runnable` |
//! | [`complete`](State::complete) | `HELD` | `HELD`, `COMPLETE` | holder of the `Runnable` |
//! | [`unlist`](State::unlist) | `LISTED` | not `LISTED` | registry, or who completed |
//! | [`wait`](State::wait) | not `COMPLETE` | `JOIN_WAKER` | join handle |
//! | [`unwait`](State::unwait) | not `COMPLETE` | not `JOIN_WAKER` | join handle |
//! | [`detach`](State::detach), [`disjoin`](State::disjoin) | `JOIN` | not `JOIN` | join handle |
//!
//! # Why it holds
//!
//! - **One `Runnable`.** It is made by `wake` and `abort` when they set `HELD`, by one atomic
//!   operation, and ends where `HELD` is cleared (`rest`) or never again (`complete`: `HELD` stays
//!   set, so nothing makes another). So the future is touched by one thread at a time.
//! - **Its holders see each other's work.** From `rest` to the next `Runnable`: `rest` releases,
//!   the `wake` that sets `HELD` acquires; between them are read-modify-writes only, which continue
//!   the release sequence. While `HELD` is set the `Runnable` moves by value, through a queue that
//!   synchronises.
//! - **No wake is lost.** A wake that finds `HELD` sets `NOTIFIED`, and only `start` clears it,
//!   after which the task is polled (or ends). `rest` fails when it is set. So after each wake
//!   there is a poll that begins later, and it sees what the waker wrote: `wake` releases, `start`
//!   acquires.
//! - **A yield without a locked instruction.** A task that wakes itself while it is polled is noted
//!   in its thread, which is where the poll ends; `HELD` stays set and the task is queued. What
//!   others do meanwhile is what they do to any `HELD` task: they set `NOTIFIED`, which the next
//!   `start` finds. The load in `start` need not see the latest value: a `NOTIFIED` that it misses
//!   is still there when the poll ends, since nothing but `start` clears it.
//! - **Fresh tasks start as `HELD`**, so that the first run needs no locked instruction either.
//! - **Aborts.** `ABORTED` is set by the operation that also sets `HELD` or `NOTIFIED`, so there is
//!   a `start` that sees it; one that begins after the abort (in the sense of happens-before)
//!   cannot miss it.
//! - **The output** is written before `complete` releases, and read by the join handle after it
//!   acquired `COMPLETE`; who completes looks at it again only if `JOIN` was clear, and then
//!   nobody else may. `JOIN` is never set again.
//! - **The waker slot** is the handle's while `JOIN_WAKER` is clear. `wait` hands it to whoever
//!   completes (release), `unwait` takes it back (acquire) and fails after `complete`. Both are
//!   compare-and-swaps on a word that says `COMPLETE` or not, so exactly one of them owns the slot.
//! - **A private word.** A task whose join handle stays on the thread of its shard
//!   ([`Home::local`](crate::task::Home)) begins without `SHARED`. While that is clear there is no
//!   reference and nobody is lent the waker of a poll, so all parts are on that thread, and only it
//!   can reach the word: it changes it by a load and a store. That thread sets `SHARED` before it
//!   lends the waker (`start`), when it makes a reference otherwise (`retain`), and before the list
//!   of the shard's tasks may become another thread's (`share`). It clears it after a poll that
//!   left no reference (`polled`): who was lent the waker is back by then, and the `Runnable` is
//!   with the thread that has just polled.
//! - **Memory.** A thread touches the task only while it holds a part of the table above. Whoever
//!   removes a part releases; whoever finds none left acquires, then frees.

use crate::primitive::{AtomicUsize, Ordering};

/// There is a `Runnable`. Set by the wake that makes it, and from the start; cleared when a poll
/// ends pending and nobody has woken the task meanwhile; stays when the task completes.
const HELD: usize = 1;
/// The task was woken, by somebody but itself, while there was a `Runnable`. Set by wakes; cleared
/// before the next poll. Means nothing without `HELD` and after `COMPLETE`.
const NOTIFIED: usize = 1 << 1;
/// The future is gone. Set once, by the holder of the `Runnable`; never cleared.
const COMPLETE: usize = 1 << 2;
/// The task is to end before its next poll. Set by aborts, not after `COMPLETE`; never cleared.
const ABORTED: usize = 1 << 3;
/// The join handle is there. Set from the start; cleared once, by the handle.
const JOIN: usize = 1 << 4;
/// The waker slot is filled, and whoever completes empties it. Set and cleared by the handle, and
/// not after `COMPLETE`, except by a `wait` that is too late, where nobody looks at it.
const JOIN_WAKER: usize = 1 << 5;
/// The registry has the task in a list. Set from the start; cleared once.
const LISTED: usize = 1 << 6;
/// The future was bound to another thread and had to be leaked: there is no output. Set with
/// `COMPLETE` or never.
const LEAKED: usize = 1 << 7;
/// The join handle stays on the thread of the shard. Set from the start or never.
const LOCAL: usize = 1 << 8;
/// Threads other than that of the shard may reach the word. Always set without `LOCAL`.
const SHARED: usize = 1 << 9;
/// One reference of a waker or an abort handle.
const REFERENCE: usize = 1 << 10;
/// All references together.
const REFERENCES: usize = !(REFERENCE - 1);
/// What keeps the memory.
const PARTS: usize = JOIN | LISTED | REFERENCES;

/// The word. See the head of the module.
#[derive(Debug)]
pub(super) struct State(AtomicUsize);

/// What the word said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen(usize);

/// What a wake leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Wake {
    /// Nothing: the task has ended, or will be polled anyway.
    Nothing,
    /// The caller makes the `Runnable`, and sees that it is queued.
    Schedule,
    /// Nothing, and the caller's reference was the last part: it frees the memory.
    Free,
}

/// What a run begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Start {
    /// The future is polled.
    Poll,
    /// The future is dropped.
    End,
}

/// How a poll ends that gave nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Rest {
    /// The `Runnable` is gone; the next wake makes one.
    Resting,
    /// Somebody woke the task: the caller still has the `Runnable` and queues it.
    Again,
}

/// Whether a part was the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Left {
    /// Others remain.
    Others,
    /// The caller frees the memory.
    Nobody,
}

/// How a try of the join handle to change the word went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Joining {
    /// The word says it now.
    Done,
    /// The task has completed first.
    Complete,
}

impl Seen {
    /// Whether the future is gone.
    #[inline]
    pub(super) fn is_complete(self) -> bool {
        self.0 & COMPLETE != 0
    }

    /// Whether there is a `Runnable`, as long as the task is not complete.
    pub(super) fn is_held(self) -> bool {
        self.0 & HELD != 0
    }

    /// Whether the task was asked to end.
    pub(super) fn is_aborted(self) -> bool {
        self.0 & ABORTED != 0
    }

    /// Whether the future was leaked, so that there is no output.
    #[inline]
    pub(super) fn is_leaked(self) -> bool {
        self.0 & LEAKED != 0
    }

    /// Whether the join handle is there.
    #[inline]
    pub(super) fn has_join(self) -> bool {
        self.0 & JOIN != 0
    }

    /// Whether the waker slot is filled.
    #[inline]
    pub(super) fn has_join_waker(self) -> bool {
        self.0 & JOIN_WAKER != 0
    }

    /// Whether nothing but the registry's list keeps the memory.
    fn is_listed_only(self) -> bool {
        self.0 & PARTS == LISTED
    }

    /// Whether nothing but the join handle keeps the memory.
    fn is_joined_only(self) -> bool {
        self.0 & PARTS == JOIN
    }
}

impl State {
    /// A task that has its `Runnable`, its join handle and its place in a list.
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(HELD | JOIN | LISTED | SHARED))
    }

    /// As [`new`](Self::new), of a task whose join handle stays on the thread of its shard, and
    /// which is bound to that thread.
    pub(super) fn new_private() -> Self {
        Self(AtomicUsize::new(HELD | JOIN | LISTED | LOCAL))
    }

    /// What the word says now.
    #[inline]
    pub(super) fn look(&self) -> Seen {
        // Acquire pairs with the AcqRel of `complete`: who sees the end sees the output.
        Seen(self.0.load(Ordering::Acquire))
    }

    /// Wakes the task.
    #[inline]
    pub(super) fn wake(&self) -> Wake {
        self.notify(0, 0)
    }

    /// Wakes the task and gives up the caller's reference.
    #[inline]
    pub(super) fn wake_and_release(&self) -> Wake {
        self.notify(0, REFERENCE)
    }

    /// Asks the task to end, and wakes it for that.
    #[inline]
    pub(super) fn abort(&self) -> Wake {
        self.notify(ABORTED, 0)
    }

    fn notify(&self, flags: usize, minus: usize) -> Wake {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            if seen & COMPLETE != 0 {
                return match minus {
                    0 => Wake::Nothing,
                    _ if self.release() == Left::Nobody => Wake::Free,
                    _ => Wake::Nothing,
                };
            }
            let (bit, wake) = match seen & HELD {
                0 => (HELD, Wake::Schedule),
                _ => (NOTIFIED, Wake::Nothing),
            };
            // AcqRel: the release pairs with `start`, which sees what the waker wrote, and with the
            // acquire of whoever frees; the acquire pairs with `rest`. The reference cannot be the
            // last part: `LISTED` is set until after `COMPLETE`.
            let next = (seen | bit | flags) - minus;
            let swap =
                self.0.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed);
            match swap {
                Ok(_) => return wake,
                Err(now) => seen = now,
            }
        }
    }

    /// Before a poll, by the holder of the `Runnable`.
    #[inline]
    pub(super) fn start(&self) -> Start {
        // Relaxed: one that is older than what a waker wrote only costs another poll.
        let mut seen = self.0.load(Ordering::Relaxed);
        if seen & NOTIFIED != 0 {
            // AcqRel: the acquire pairs with `notify`: the poll sees what the wakers wrote.
            seen = self.0.fetch_and(!NOTIFIED, Ordering::AcqRel) & !NOTIFIED;
        }
        if seen & SHARED == 0 {
            self.0.store(seen | SHARED, Ordering::Relaxed);
        }
        if seen & ABORTED == 0 { Start::Poll } else { Start::End }
    }

    /// After a poll, by the holder of the `Runnable`.
    #[inline]
    pub(super) fn polled(&self) {
        // Acquire pairs with the `release` of the last reference.
        let now = self.0.load(Ordering::Acquire);
        if now & LOCAL != 0 && now & REFERENCES == 0 {
            self.0.store(now & !SHARED, Ordering::Relaxed);
        }
    }

    /// After a poll that gave nothing, by the holder of the `Runnable`.
    #[inline]
    pub(super) fn rest(&self) -> Rest {
        let mut seen = self.0.load(Ordering::Relaxed);
        if seen & (SHARED | NOTIFIED) == 0 {
            self.0.store(seen & !HELD, Ordering::Relaxed);
            return Rest::Resting;
        }
        loop {
            if seen & NOTIFIED != 0 {
                return Rest::Again;
            }
            // Release pairs with the acquire of the `notify` that makes the next `Runnable`.
            let swap = self.0.compare_exchange_weak(
                seen,
                seen & !HELD,
                Ordering::Release,
                Ordering::Relaxed,
            );
            match swap {
                Ok(_) => return Rest::Resting,
                Err(now) => seen = now,
            }
        }
    }

    /// The future is gone and the output in its place, says the holder of the `Runnable`, if the
    /// word is still as it was seen. The task keeps its place in the list.
    ///
    /// # Errors
    ///
    /// What the word says instead.
    #[inline]
    pub(super) fn complete(&self, seen: Seen) -> Result<(), Seen> {
        self.finish(seen, seen.0 | COMPLETE)
    }

    /// As [`complete`](Self::complete), of a task whose future was leaked. The caller has taken a
    /// reference that it never gives up, so that the memory stays.
    #[inline]
    pub(super) fn complete_leaked(&self, seen: Seen) -> Result<(), Seen> {
        self.finish(seen, seen.0 | COMPLETE | LEAKED)
    }

    /// As [`complete`](Self::complete), of a task that the registry has unlinked and whose handle
    /// has left no waker. The caller frees the memory if nobody is left.
    #[inline]
    pub(super) fn complete_unlisted(&self, seen: Seen) -> Result<Left, Seen> {
        if seen.is_listed_only() {
            // Nobody else can reach the word. `look` has acquired what they did.
            return Ok(Left::Nobody);
        }
        self.finish(seen, (seen.0 | COMPLETE) & !LISTED)?;
        Ok(if seen.0 & PARTS == LISTED { Left::Nobody } else { Left::Others })
    }

    fn finish(&self, seen: Seen, next: usize) -> Result<(), Seen> {
        if let Some(now) = self.private() {
            if now != seen.0 {
                return Err(Seen(now));
            }
            self.0.store(next, Ordering::Relaxed);
            return Ok(());
        }
        // AcqRel: the release pairs with `look`: the handle sees the output; the acquire pairs with
        // `wait`, whose waker is read next. Acquire on failure: as in `look`.
        let swap = self.0.compare_exchange(seen.0, next, Ordering::AcqRel, Ordering::Acquire);
        swap.map(drop).map_err(Seen)
    }

    /// The task is in no list any more.
    #[inline]
    pub(super) fn unlist(&self) -> Left {
        self.remove(LISTED)
    }

    /// What the word says, if no other thread can reach it.
    #[inline]
    fn private(&self) -> Option<usize> {
        // Relaxed: this thread alone has ever changed it, or there is no answer.
        let now = self.0.load(Ordering::Relaxed);
        (now & SHARED == 0).then_some(now)
    }

    /// Other threads may reach the word from now on. By the thread that owns the registry.
    pub(super) fn share(&self) {
        if let Some(now) = self.private() {
            self.0.store(now | SHARED, Ordering::Relaxed);
        }
    }

    /// One more waker or abort handle, made from a part that is there.
    #[inline]
    pub(super) fn retain(&self) {
        if let Some(now) = self.private() {
            self.0.store((now + REFERENCE) | SHARED, Ordering::Relaxed);
            return;
        }
        // Relaxed: who makes it has one already, and hands it on by other means.
        let before = self.0.fetch_add(REFERENCE, Ordering::Relaxed);
        if before > usize::MAX / 2 {
            // As many wakers do not fit in memory: they were leaked, and the count must not wrap.
            std::process::abort();
        }
    }

    /// One waker or abort handle less.
    #[inline]
    pub(super) fn release(&self) -> Left {
        self.remove(REFERENCE)
    }

    fn remove(&self, part: usize) -> Left {
        if let Some(now) = self.private() {
            self.0.store(now - part, Ordering::Relaxed);
            return if now & PARTS == part { Left::Nobody } else { Left::Others };
        }
        // AcqRel: the release pairs with the acquire of the last one, who frees.
        let before = self.0.fetch_sub(part, Ordering::AcqRel);
        if before & PARTS == part { Left::Nobody } else { Left::Others }
    }

    /// Hands the filled waker slot to whoever completes. By the join handle.
    #[inline]
    pub(super) fn wait(&self) -> Joining {
        if let Some(now) = self.private() {
            self.0.store(now | JOIN_WAKER, Ordering::Relaxed);
            return if now & COMPLETE == 0 { Joining::Done } else { Joining::Complete };
        }
        // AcqRel: the release pairs with `finish`, which reads the slot; the acquire pairs with
        // it if it was first, for the output.
        let before = self.0.fetch_or(JOIN_WAKER, Ordering::AcqRel);
        if before & COMPLETE == 0 { Joining::Done } else { Joining::Complete }
    }

    /// Takes the waker slot back. By the join handle, which has filled it.
    #[inline]
    pub(super) fn unwait(&self) -> Joining {
        self.rejoin(!JOIN_WAKER)
    }

    /// Takes the waker slot back, if it was filled, and gives the handle's part up. Once it is
    /// done the task may be gone.
    #[inline]
    pub(super) fn detach(&self) -> Joining {
        self.rejoin(!(JOIN_WAKER | JOIN))
    }

    fn rejoin(&self, mask: usize) -> Joining {
        let mut seen = self.0.load(Ordering::Acquire);
        loop {
            if seen & COMPLETE != 0 {
                return Joining::Complete;
            }
            // AcqRel: the release pairs with whoever frees. `LISTED` is set, so it is not us.
            let swap = self.0.compare_exchange_weak(
                seen,
                seen & mask,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            match swap {
                Ok(_) => return Joining::Done,
                Err(now) => seen = now,
            }
        }
    }

    /// Gives up the part of the handle of a task that is complete and whose output was taken.
    #[inline]
    pub(super) fn disjoin(&self) -> Left {
        // The acquire of `look` pairs with the release of the others: nobody else can reach the
        // word, and none can come.
        if self.look().is_joined_only() { Left::Nobody } else { self.remove(JOIN) }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
