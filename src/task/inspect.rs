//! Looks at tasks from the outside: for dumps, and for reports of what they did.

use std::ptr::NonNull;
use std::task::Waker;
use std::time::Duration;

use crate::id::TaskId;
use crate::observe::{TaskDump, TaskState};
use crate::primitive::{Ordering, lock};
use crate::task::CLOCK_BITS;
use crate::task::raw::Header;
use crate::task::registry::Registry;
use crate::task::report::name_of;
use crate::task::thread::with_here;
use crate::task::waker::{is_ours, release_reference};

/// Keeps the memory of a task, to say later which one it was.
pub(crate) struct TaskRef {
    task: NonNull<Header>,
}

impl TaskRef {
    /// # Safety
    ///
    /// The caller has a part of the task.
    pub(super) unsafe fn new(task: NonNull<Header>) -> Self {
        // SAFETY:
        // - passed on to the caller.
        unsafe { task.as_ref() }.state.retain();
        Self { task }
    }

    /// The identity of the task.
    pub(crate) fn id(&self) -> TaskId {
        // SAFETY:
        // - this has a reference.
        unsafe { self.task.as_ref() }.meta().id()
    }

    /// The name of the task.
    pub(crate) fn name(&self) -> Option<&str> {
        // SAFETY:
        // - this has a reference, for as long as the name is used.
        unsafe { name_of(self.task) }
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        // SAFETY:
        // - the reference ends here.
        unsafe { release_reference(self.task) };
    }
}

/// Which task a waker wakes, if it is one of ours that wakes a task itself.
pub(crate) fn of_waker(waker: &Waker) -> Option<TaskId> {
    if !is_ours(waker) {
        return None;
    }
    let task = NonNull::new(waker.data().cast_mut())?.cast::<Header>();
    // SAFETY:
    // - the waker has a reference to the task that it was made of, and is borrowed.
    Some(unsafe { task.as_ref() }.meta().id())
}

impl Registry {
    /// The owner has looked at the clock: what it spawns from here on is born now.
    #[inline]
    pub(crate) fn set_clock(&self, now: u32) {
        self.clock.store(now, Ordering::Relaxed);
    }

    /// Shows the tasks of both lists, of the own list only on the owner's thread. Those that have
    /// ended may be among them; `body` runs no code of a user's.
    fn for_each_live(&self, mut body: impl FnMut(NonNull<Header>)) {
        if with_here(|here| here.is_some_and(|here| here.owns(self))) {
            self.as_owner(|own| own.list.for_each(&mut body));
        }
        lock(&self.shared).list.for_each(&mut body);
    }

    /// Shows the tasks that live, at most so many; how many there are besides. On the owner's
    /// thread all, elsewhere those that others than the owner spawned. `now` is the time in steps
    /// of [`CLOCK_BITS`].
    pub(crate) fn inspect(&self, now: u32, most: usize, tasks: &mut Vec<TaskDump>) -> usize {
        let mut omitted = 0;
        self.for_each_live(|task| {
            // SAFETY:
            // - the task is in a list that is lent or locked, which keeps it.
            let header = unsafe { task.as_ref() };
            let seen = header.state.look();
            if seen.is_complete() {
                return;
            }
            if tasks.len() >= most {
                omitted += 1;
                return;
            }
            // SAFETY:
            // - the same; the name is copied at once.
            let name = unsafe { name_of(task) };
            let meta = header.meta();
            // The clock of a thread may be a step behind that of another.
            let age = match now.wrapping_sub(meta.born()) {
                behind if behind > u32::MAX / 2 => 0,
                age => u64::from(age),
            };
            tasks.push(TaskDump {
                id: meta.id(),
                name: name.map(str::to_owned),
                shard: meta.home(),
                pinned: meta.is_pinned(),
                state: match (seen.is_aborted(), seen.is_held()) {
                    (true, _) => TaskState::Ending,
                    (false, true) => TaskState::Ready,
                    (false, false) => TaskState::Waiting,
                },
                age: Duration::from_nanos(age << CLOCK_BITS),
                waits_for: Vec::new(),
                timers: Vec::new(),
            });
        });
        omitted
    }
}
