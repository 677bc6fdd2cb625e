//! A list of tasks, threaded through the tasks.

use std::ptr::NonNull;

use crate::task::raw::Header;

/// Which list of its registry a task is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// That of the owner's thread.
    Own,
    /// That behind the lock.
    Shared,
}

/// The neighbours of a task in its list. Touched by the owner, or under the lock.
pub(super) struct Links {
    before: Option<NonNull<Header>>,
    after: Option<NonNull<Header>>,
}

impl Links {
    /// Those of a task that is in no list.
    pub(super) fn new() -> Self {
        Self { before: None, after: None }
    }
}

/// A list threaded through the links of its tasks.
pub(super) struct List {
    first: Option<NonNull<Header>>,
}

impl List {
    /// An empty list.
    pub(super) fn new() -> Self {
        Self { first: None }
    }

    /// Puts a task first.
    ///
    /// # Safety
    ///
    /// The caller has the list, and the task is in none.
    #[inline]
    pub(super) unsafe fn insert(&mut self, task: NonNull<Header>) {
        if let Some(first) = self.first {
            // SAFETY:
            // - the task is in this list, which the caller has.
            unsafe { with_links(first, |links| links.before = Some(task)) };
        }
        let links = Links { before: None, after: self.first };
        // SAFETY:
        // - the task is in no list yet.
        unsafe { with_links(task, |old| *old = links) };
        self.first = Some(task);
    }

    /// Takes a task out.
    ///
    /// # Safety
    ///
    /// The caller has the list, and the task is in it.
    #[inline]
    pub(super) unsafe fn remove(&mut self, task: NonNull<Header>) {
        // SAFETY:
        // - passed on to the caller.
        let Links { before, after } =
            unsafe { with_links(task, |links| std::mem::replace(links, Links::new())) };
        match before {
            // SAFETY:
            // - a neighbour is in the same list.
            Some(before) => unsafe { with_links(before, |links| links.after = after) },
            None => self.first = after,
        }
        if let Some(after) = after {
            // SAFETY:
            // - a neighbour is in the same list.
            unsafe { with_links(after, |links| links.before = before) };
        }
    }

    /// Shows every task. The caller has the list.
    pub(super) fn for_each(&self, mut body: impl FnMut(NonNull<Header>)) {
        let mut next = self.first;
        while let Some(task) = next {
            // SAFETY:
            // - the task is in this list, which the caller has.
            next = unsafe { with_links(task, |links| links.after) };
            body(task);
        }
    }
}

/// # Safety
///
/// The caller has the list that the task is in, or the task is in none and nobody else knows it.
#[inline]
unsafe fn with_links<R>(task: NonNull<Header>, body: impl FnOnce(&mut Links) -> R) -> R {
    // SAFETY:
    // - a task in a list is listed, which keeps it; else it is the caller's.
    unsafe { task.as_ref() }.links.with_mut(|links| {
        // SAFETY:
        // - passed on to the caller.
        body(unsafe { &mut *links })
    })
}
