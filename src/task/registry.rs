//! The live tasks of one shard's spawns: bounded, and the way to end them all at shutdown.
//!
//! # Who touches what
//!
//! A registry has two lists, both threaded through the tasks. The *own* list is that of the thread
//! that [owns](Registry::own) the registry, the shard's: what it spawns goes in and what it ends
//! comes out without a lock. The *shared* list lies behind a lock and takes what other threads
//! spawn. A task stays in the list that it was put in.
//!
//! | spawned by | ended by | leaves |
//! |---|---|---|
//! | owner | owner | at once |
//! | owner | another thread | by the stack of the *ended*, when the owner next spawns or settles |
//! | another thread | any | at once, under the lock |
//!
//! The stack of the ended never holds more than the own list, and that grows by the owner's spawns
//! only, each of which empties the stack first: so it is bounded by the limit.
//!
//! - **Nothing is lost.** A push to the stack is followed by a look whether there is an owner, and
//!   disowning by a read-modify-write of the stack. If that comes after the push it sees the task;
//!   if before, the push acquires it and the look says that there is no owner. One of the two
//!   settles.
//! - **Closing is exact.** Other threads spawn under the lock that `close` takes. For the owner the
//!   flag is enough: a spawn that begins after `close` returned (in the sense of happens-before)
//!   cannot miss it, and one that does not begin after it may be taken to have come before it. As
//!   `abort_all` runs on the owner's thread after it has seen the end, all its spawns are in the
//!   list by then; those of others that succeeded came before `close` in the order of the lock.
//! - **The limit.** Each place is taken from `taken`, which never exceeds the limit. The owner
//!   takes [`FEW`] at a time and keeps up to twice as many of those that its tasks give back;
//!   others may be refused that many too early. With a limit below [`FINE`] it keeps none, and the
//!   limit
//!   is exact.
//! - **The count** reads what has ended before what was spawned, so it is never too low; once the
//!   registry is closed it only falls, and 0 means that all are gone.

use std::fmt;
use std::ptr::NonNull;

use crate::primitive::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Mutex, Ordering, UnsafeCell, lock,
};
use crate::task::ids::Ids;
use crate::task::list::{List, Place};
use crate::task::raw::Header;
use crate::task::state::Left;
use crate::task::tally::{Tally, add};
use crate::task::thread::with_here;
use crate::task::waker::{abort, free, release_reference};

/// The owner keeps no place of a limit below this.
const FINE: usize = 1 << 10;
/// The owner takes at most so many places at a time.
const FEW: usize = 32;

/// Why a task was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The runtime shuts down.
    Closed,
    /// That many tasks are alive, and no more may be.
    Full { limit: usize },
}

/// What the registry's part of a task that ends needs yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Leave {
    /// The task is in no list; the caller clears `LISTED`.
    Unlinked,
    /// The caller hands the task over once it is complete, and does not touch it afterwards.
    HandOver,
}

/// The live tasks that were spawned through one shard.
pub(crate) struct Registry {
    end: End,
    limit: usize,
    /// How many places the owner takes at a time; it keeps up to twice as many.
    few: usize,
    /// Some thread has the own part.
    owned: AtomicBool,
    own: UnsafeCell<Own>,
    /// Of the own list; written by the owner.
    own_spawned: Tally,
    own_ended: AtomicUsize,
    /// How many tasks others have spawned; written under the lock.
    others_spawned: Tally,
    /// How many tasks were refused at the limit.
    refused: AtomicUsize,
    /// How many tasks have ended elsewhere than on the owner's thread, or were spawned there.
    others_ended: AtomicUsize,
    /// Places taken from the limit: live tasks, and what the owner keeps.
    taken: AtomicUsize,
    /// The time when the owner last looked, in steps of `CLOCK_BITS`.
    pub(super) clock: AtomicU32,
    /// Tasks of the own list that ended elsewhere, the last one first.
    ended: AtomicPtr<Header>,
    pub(super) shared: Mutex<Shared>,
}

// SAFETY:
// - the pointers are to tasks that are kept by `LISTED`, and of which other threads touch the links
//   and the word only: the links as the table above says, the word by atomic operations.
unsafe impl Send for Registry {}

// SAFETY:
// - `own` is touched by the owner only, of which `owned` allows one; the rest is atomic or locked.
unsafe impl Sync for Registry {}

/// How far the registry is on its way down. Every run of a task reads it, so it lies apart from
/// what is written.
#[repr(align(128))]
struct End {
    /// No task is taken any more.
    closed: AtomicBool,
    /// All tasks were asked to end.
    ending: AtomicBool,
}

/// What the owner has to itself.
pub(super) struct Own {
    pub(super) list: List,
    /// Places taken that no task has.
    spare: usize,
    ids: Ids,
}

pub(super) struct Shared {
    pub(super) list: List,
    ids: Ids,
}

impl Registry {
    /// A registry for at most `limit` live tasks.
    pub(crate) fn new(limit: usize) -> Self {
        let own = Own { list: List::new(), spare: 0, ids: Ids::new() };
        Self {
            limit,
            few: if limit < FINE { 0 } else { FEW },
            end: End { closed: AtomicBool::new(false), ending: AtomicBool::new(false) },
            owned: AtomicBool::new(false),
            own: UnsafeCell::new(own),
            own_spawned: Tally::new(),
            own_ended: AtomicUsize::new(0),
            others_spawned: Tally::new(),
            refused: AtomicUsize::new(0),
            others_ended: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            clock: AtomicU32::new(0),
            ended: AtomicPtr::new(std::ptr::null_mut()),
            shared: Mutex::new(Shared { list: List::new(), ids: Ids::new() }),
        }
    }

    /// How many tasks are alive.
    pub(crate) fn len(&self) -> usize {
        // Acquire pairs with the releases in `leave`: a task that is seen to have ended is seen to
        // have been spawned.
        let own = self.own_ended.load(Ordering::Acquire);
        let ended = own.wrapping_add(self.others_ended.load(Ordering::Acquire));
        let spawned = self.own_spawned.all().wrapping_add(self.others_spawned.all());
        spawned.wrapping_sub(ended)
    }

    /// How many tasks were ever taken.
    pub(crate) fn spawned(&self) -> u64 {
        self.own_spawned.all().wrapping_add(self.others_spawned.all()) as u64
    }

    /// How many of them may run on their home only.
    pub(crate) fn spawned_pinned(&self) -> u64 {
        self.own_spawned.pinned().wrapping_add(self.others_spawned.pinned()) as u64
    }

    /// How many tasks were refused at the limit.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed) as u64
    }

    /// Takes no more tasks from now on.
    pub(crate) fn close(&self) {
        let _shared = lock(&self.shared);
        // Relaxed: others look under the lock; for the owner see the head of the module.
        self.end.closed.store(true, Ordering::Relaxed);
    }

    /// Takes no more tasks, and asks every one to end: it comes to a last run, in which its future
    /// is dropped.
    ///
    /// On the owner's thread, or while there is no owner. Else of the owner's tasks only those hear
    /// of it that run or are woken; the owner tells the others when it comes here.
    pub(crate) fn abort_all(&self) {
        self.close();
        // Relaxed: as of `closed` for the owner; others may be late.
        self.end.ending.store(true, Ordering::Relaxed);
        let mut tasks = Vec::new();
        self.as_owner(|own| own.list.for_each(|task| tasks.push(retained(task))));
        lock(&self.shared).list.for_each(|task| tasks.push(retained(task)));
        // Nothing is locked or lent from here on: a wake runs the scheduler's code.
        for task in tasks {
            // SAFETY:
            // - the reference was taken above.
            unsafe { abort(task) };
            // SAFETY:
            // - the same, and this gives it up.
            unsafe { release_reference(task) };
        }
    }

    /// Whether all tasks were asked to end.
    #[inline]
    pub(super) fn is_ending(&self) -> bool {
        self.end.ending.load(Ordering::Relaxed)
    }

    /// Frees the tasks that ended on other threads. On the owner's thread.
    #[inline]
    pub(crate) fn settle(&self) {
        if !self.ended.load(Ordering::Relaxed).is_null() {
            self.as_owner(|_| {});
        }
    }

    /// Makes this thread the owner. Whether it is.
    pub(super) fn own(&self) -> bool {
        // Acquire pairs with `disown`.
        !self.owned.swap(true, Ordering::Acquire)
    }

    /// Ends what [`own`](Self::own) began, on the same thread.
    pub(super) fn disown(&self) {
        loop {
            // SAFETY:
            // - this is the owner's thread, and nothing of it is lent.
            unsafe { self.with_own(|own| self.unlink_ended(own)) };
            // The next owner may be another thread, while handles of tasks stay on this one.
            // SAFETY:
            // - as above.
            unsafe { self.with_own(|own| own.list.for_each(share)) };
            // Release pairs with `own`, and by way of the exchange below with `hand_over`. A swap,
            // so that it has its place among those of `own`.
            self.owned.swap(false, Ordering::Release);
            let null = std::ptr::null_mut();
            // AcqRel: a push that this does not see acquires it. An exchange rather than a load,
            // because it sees the last push, or is seen by the next.
            let none = self.ended.compare_exchange(null, null, Ordering::AcqRel, Ordering::Relaxed);
            if none.is_ok() || !self.own() {
                return;
            }
        }
    }

    /// Puts a new task into a list and names it.
    ///
    /// # Errors
    ///
    /// The task is in no list, and nobody knows it.
    ///
    /// # Safety
    ///
    /// The task is new, of this registry, and nobody else knows it.
    pub(super) unsafe fn enter(&self, task: NonNull<Header>) -> Result<(), Refusal> {
        if with_here(|here| here.is_some_and(|here| here.owns(self))) {
            // SAFETY:
            // - this is the owner's thread, and nothing of it is lent: no code of a user's runs
            //   while it is.
            return unsafe { self.with_own(|own| self.enter_own(own, task)) };
        }
        // SAFETY:
        // - passed on to the caller.
        let meta = unsafe { task.as_ref() }.meta();
        let born = meta.owner().clock();
        let mut shared = lock(&self.shared);
        if self.end.closed.load(Ordering::Relaxed) {
            return Err(Refusal::Closed);
        }
        if self.take_places(1) == 0 {
            return Err(self.refuse());
        }
        let name = shared.ids.next();
        // SAFETY:
        // - the same.
        unsafe { meta.name(name, Place::Shared, born) };
        self.others_spawned.count(meta.is_pinned());
        // SAFETY:
        // - the list is locked, and the task in none.
        unsafe { shared.list.insert(task) };
        Ok(())
    }

    #[inline]
    fn enter_own(&self, own: &mut Own, task: NonNull<Header>) -> Result<(), Refusal> {
        self.unlink_ended(own);
        if self.end.closed.load(Ordering::Relaxed) {
            return Err(Refusal::Closed);
        }
        if own.spare == 0 {
            own.spare = self.take_places(self.few.max(1));
        }
        let Some(spare) = own.spare.checked_sub(1) else {
            return Err(self.refuse());
        };
        own.spare = spare;
        let name = own.ids.next();
        // SAFETY:
        // - passed on to the caller of `enter`.
        let meta = unsafe { task.as_ref() }.meta();
        // SAFETY:
        // - the same.
        unsafe { meta.name(name, Place::Own, self.clock.load(Ordering::Relaxed)) };
        self.own_spawned.count(meta.is_pinned());
        // SAFETY:
        // - this is the owner's list, and the task in none.
        unsafe { own.list.insert(task) };
        Ok(())
    }

    #[cold]
    fn refuse(&self) -> Refusal {
        self.refused.fetch_add(1, Ordering::Relaxed);
        Refusal::Full { limit: self.limit }
    }

    /// The future of a task is gone: counts it out, and unlinks it if this thread may.
    ///
    /// # Safety
    ///
    /// The task is of this registry and listed, and this is done once, by the holder of its
    /// `Runnable`.
    #[inline]
    pub(super) unsafe fn leave(&self, task: NonNull<Header>) -> Leave {
        // SAFETY:
        // - the task is listed, which keeps it.
        let place = unsafe { task.as_ref() }.meta().place();
        match place {
            Place::Own if with_here(|here| here.is_some_and(|here| here.owns(self))) => {
                // SAFETY:
                // - as in `enter`.
                unsafe { self.with_own(|own| self.leave_own(own, task)) };
                Leave::Unlinked
            }
            Place::Own => {
                self.taken.fetch_sub(1, Ordering::Relaxed);
                // Release pairs with `len`.
                self.others_ended.fetch_add(1, Ordering::Release);
                Leave::HandOver
            }
            Place::Shared => {
                let mut shared = lock(&self.shared);
                // SAFETY:
                // - the list is locked, and the task in it.
                unsafe { shared.list.remove(task) };
                drop(shared);
                self.taken.fetch_sub(1, Ordering::Relaxed);
                // Release pairs with `len`.
                self.others_ended.fetch_add(1, Ordering::Release);
                Leave::Unlinked
            }
        }
    }

    #[inline]
    fn leave_own(&self, own: &mut Own, task: NonNull<Header>) {
        // SAFETY:
        // - this is the owner's list, and the task in it.
        unsafe { own.list.remove(task) };
        own.spare += 1;
        if own.spare > 2 * self.few {
            let surplus = own.spare - self.few;
            own.spare -= surplus;
            self.taken.fetch_sub(surplus, Ordering::Relaxed);
        }
        add(&self.own_ended, 1);
    }

    /// Gives a task that is complete to the owner, who unlinks and frees it.
    ///
    /// # Safety
    ///
    /// `leave` asked for it, the task is complete, and the caller does not touch it afterwards. The
    /// registry outlives the call even if all of its tasks are freed.
    pub(super) unsafe fn hand_over(&self, task: NonNull<Header>) {
        let mut first = self.ended.load(Ordering::Relaxed);
        loop {
            // SAFETY:
            // - the task is listed, which keeps it until the exchange below succeeds.
            unsafe { task.as_ref() }.next.store(first, Ordering::Relaxed);
            // AcqRel: the release pairs with the swap of `unlink_ended`, the acquire with the
            // exchange of `disown`.
            let swap = self.ended.compare_exchange_weak(
                first,
                task.as_ptr(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            let Err(now) = swap else { break };
            first = now;
        }
        // Relaxed: if `disown` did not see the push, the push saw `disown`.
        if !self.owned.load(Ordering::Relaxed) && self.own() {
            self.disown();
        }
    }

    /// Takes up to so many places of the limit. How many there were.
    fn take_places(&self, wanted: usize) -> usize {
        // Relaxed, here and where they are given back: they count, and order nothing.
        let mut taken = self.taken.load(Ordering::Relaxed);
        loop {
            let count = wanted.min(self.limit - taken);
            let swap = self.taken.compare_exchange_weak(
                taken,
                taken + count,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            let Err(now) = swap else { return count };
            taken = now;
        }
    }

    /// Runs `body` with the own part, if this thread has it or nobody does.
    pub(super) fn as_owner(&self, body: impl FnOnce(&mut Own)) {
        let is_owner = with_here(|here| here.is_some_and(|here| here.owns(self)));
        if !is_owner && !self.own() {
            return;
        }
        let with = |own: &mut Own| {
            self.unlink_ended(own);
            body(own);
        };
        // SAFETY:
        // - this is the owner's thread, or became it; nothing of it is lent, as in `enter`.
        unsafe { self.with_own(with) };
        if !is_owner {
            self.disown();
        }
    }

    /// # Safety
    ///
    /// The caller is the owner, and this is not called by `body`.
    #[inline]
    unsafe fn with_own<R>(&self, body: impl FnOnce(&mut Own) -> R) -> R {
        self.own.with_mut(|own| {
            // SAFETY:
            // - passed on to the caller.
            body(unsafe { &mut *own })
        })
    }

    /// Unlinks and frees the tasks that ended elsewhere.
    fn unlink_ended(&self, own: &mut Own) {
        if self.ended.load(Ordering::Relaxed).is_null() {
            return;
        }
        // Acquire pairs with `hand_over`: the tasks are complete.
        let mut next = self.ended.swap(std::ptr::null_mut(), Ordering::Acquire);
        while let Some(task) = NonNull::new(next) {
            // SAFETY:
            // - the task is listed, which keeps it; it was handed to the owner.
            let header = unsafe { task.as_ref() };
            next = header.next.load(Ordering::Relaxed);
            // SAFETY:
            // - this is the owner's list, and the task in it.
            unsafe { own.list.remove(task) };
            if header.state.unlist() == Left::Nobody {
                // Nothing of the user's runs here: the output is gone. The scheduler, which a
                // task keeps, is kept by more than tasks while its registry is used.
                // SAFETY:
                // - nobody has a part, so the handle is gone, and the output with it.
                unsafe { free(task) };
            }
        }
    }
}

/// Lets other threads reach the word of a task of the own list.
fn share(task: NonNull<Header>) {
    // SAFETY:
    // - the task is listed, which keeps it.
    unsafe { task.as_ref() }.state.share();
}

/// A task of a list that is lent or locked, with a reference of the caller's.
fn retained(task: NonNull<Header>) -> NonNull<Header> {
    // SAFETY:
    // - the task is listed, which keeps it.
    unsafe { task.as_ref() }.state.retain();
    task
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("limit", &self.limit)
            .field("live", &self.len())
            .finish_non_exhaustive()
    }
}
