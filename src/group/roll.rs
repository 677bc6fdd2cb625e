//! Who is in a group: how many tasks live, how the others ended, and who waits for that.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::cancel::{Key, Slab};
use crate::contain::wake;
use crate::primitive::{Mutex, lock};

/// How a task of a [`TaskGroup`](crate::TaskGroup) ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TaskGroupEnd {
    /// It came to its end, and gave an output.
    Finished,
    /// The token of the group was canceled, and the future was dropped.
    Canceled,
    /// It was aborted, or the runtime shut down.
    Aborted,
    /// It panicked.
    Panicked,
}

/// How many tasks of a [`TaskGroup`](crate::TaskGroup) ended in which way.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct TaskGroupEnds {
    /// Came to their end.
    pub finished: u64,
    /// Were canceled by the token of the group.
    pub canceled: u64,
    /// Were aborted, or ended with the runtime.
    pub aborted: u64,
    /// Panicked.
    pub panicked: u64,
}

impl TaskGroupEnds {
    /// How many tasks have ended.
    pub const fn total(&self) -> u64 {
        self.finished + self.canceled + self.aborted + self.panicked
    }

    fn of(&mut self, end: TaskGroupEnd) -> &mut u64 {
        match end {
            TaskGroupEnd::Finished => &mut self.finished,
            TaskGroupEnd::Canceled => &mut self.canceled,
            TaskGroupEnd::Aborted => &mut self.aborted,
            TaskGroupEnd::Panicked => &mut self.panicked,
        }
    }

    /// Takes one that is counted, the worst first.
    fn take_one(&mut self) -> Option<TaskGroupEnd> {
        use TaskGroupEnd::{Aborted, Canceled, Finished, Panicked};
        let end =
            [Panicked, Aborted, Canceled, Finished].into_iter().find(|&end| *self.of(end) > 0)?;
        *self.of(end) -= 1;
        Some(end)
    }
}

/// What a group and its tasks share.
#[derive(Default, Debug)]
pub(super) struct Roll(Mutex<State>);

#[derive(Default, Debug)]
struct State {
    live: usize,
    ends: TaskGroupEnds,
    /// Those of the ends that nobody has asked for.
    fresh: TaskGroupEnds,
    /// Who waits for the next end: the group is borrowed for that, so it is one.
    next: Option<Waker>,
    /// Who waits for the last.
    all: Slab<Waker>,
    /// How often that list was taken: a key is of one round.
    round: u64,
}

impl Roll {
    /// A task more.
    pub(super) fn enter(&self) {
        lock(&self.0).live += 1;
    }

    /// A task less, which ended like this; `None`: it never began.
    pub(super) fn leave(&self, end: Option<TaskGroupEnd>) {
        let mut state = lock(&self.0);
        state.live -= 1;
        if let Some(end) = end {
            *state.ends.of(end) += 1;
            *state.fresh.of(end) += 1;
        }
        let next = state.next.take();
        let all = state.those_of_all();
        drop(state);
        next.into_iter().chain(all.into_values()).for_each(wake);
    }

    pub(super) fn live(&self) -> usize {
        lock(&self.0).live
    }

    pub(super) fn ends(&self) -> TaskGroupEnds {
        lock(&self.0).ends
    }

    /// An end that nobody has asked for; ready with `None` if there is none and no task lives.
    pub(super) fn poll_next(&self, waker: &Waker) -> Poll<Option<TaskGroupEnd>> {
        if let Some(ready) = lock(&self.0).next_end() {
            return Poll::Ready(ready);
        }
        // Cloned before, and dropped after, the lock: a waker may be anybody's code.
        let waker = waker.clone();
        let mut state = lock(&self.0);
        if let Some(ready) = state.next_end() {
            return Poll::Ready(ready);
        }
        let replaced = state.next.replace(waker);
        drop(state);
        drop(replaced);
        Poll::Pending
    }

    /// Takes back an end that was told.
    pub(super) fn put_back(&self, end: TaskGroupEnd) {
        *lock(&self.0).fresh.of(end) += 1;
    }

    /// Waits until no task lives.
    pub(super) const fn all(&self) -> All<'_> {
        All { roll: self, entry: None }
    }
}

impl State {
    fn next_end(&mut self) -> Option<Option<TaskGroupEnd>> {
        let end = self.fresh.take_one();
        (end.is_some() || self.live == 0).then_some(end)
    }

    /// Those who wait for the last end, if this was it.
    fn those_of_all(&mut self) -> Slab<Waker> {
        if self.live > 0 {
            return Slab::new();
        }
        self.round += 1;
        std::mem::take(&mut self.all)
    }
}

/// Ready when no task lives, with how all of them ended.
pub(super) struct All<'a> {
    roll: &'a Roll,
    entry: Option<Entry>,
}

/// A place among those who wait.
#[derive(Clone, Copy)]
struct Entry {
    round: u64,
    key: Key,
}

impl State {
    /// The waker in a place, if that is one of the present round.
    fn waker_of(&mut self, entry: Option<Entry>) -> Option<&mut Waker> {
        let Entry { round, key } = entry?;
        if round == self.round { self.all.get_mut(key) } else { None }
    }
}

impl Future for All<'_> {
    type Output = TaskGroupEnds;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TaskGroupEnds> {
        // Cloned before, and dropped after, the lock: a waker may be anybody's code.
        let mut waker = cx.waker().clone();
        let mut state = lock(&self.roll.0);
        if state.live == 0 {
            let ends = state.ends;
            drop(state);
            return Poll::Ready(ends);
        }
        match state.waker_of(self.entry) {
            Some(kept) => std::mem::swap(kept, &mut waker),
            None => {
                let (round, key) = (state.round, state.all.insert(waker));
                drop(state);
                self.entry = Some(Entry { round, key });
                return Poll::Pending;
            }
        }
        drop(state);
        drop(waker);
        Poll::Pending
    }
}

impl Drop for All<'_> {
    fn drop(&mut self) {
        let Some(Entry { round, key }) = self.entry.take() else { return };
        let mut state = lock(&self.roll.0);
        let waker = if round == state.round { state.all.remove(key) } else { None };
        drop(state);
        drop(waker);
    }
}
