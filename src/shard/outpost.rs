//! The way to one shard from any thread: it outlives the shard, and then says so.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::time::Instant;

use crate::assembly::Assembly;
use crate::blocking::Pool;
use crate::contain::wake;
use crate::doorbell::{Doorbell, Help, Need, Post};
use crate::driver::Token;
use crate::error::RuntimeError;
use crate::id::{ShardId, TaskId};
use crate::inflight::{Charge, Finished, Roster};
use crate::message::Hub;
use crate::observe::Answer;
use crate::placement::{LeastLoaded, Load};
use crate::port::{self, Lane, SubmitError};
use crate::primitive::{Arc, pause};
use crate::queue::{LocalQueue, SharedQueue, StealQueue, Stolen};
use crate::shard::{Core, Letter};
use crate::task::{Owner, Registry, Runnable, RuntimeId, Scheduler};
use crate::timer::TimerKey;

/// The far end of one shard.
pub(crate) struct Outpost<A: Assembly> {
    core: Arc<Core<A>>,
    shard: ShardId,
}

impl<A: Assembly> Outpost<A> {
    /// The way to this shard.
    pub(crate) fn new(core: Arc<Core<A>>, shard: ShardId) -> Self {
        Self { core, shard }
    }

    /// What the shards share.
    pub(crate) fn core(&self) -> &Arc<Core<A>> {
        &self.core
    }

    /// Gives the shard a stealable task, at the shared end of its queue.
    pub(crate) fn inject(&self, runnable: Runnable) {
        self.core.stamp(&runnable);
        self.core.inject(self.shard, runnable);
        self.core.call_help_for(self.shard);
    }

    /// Sends a task to the shard that it is pinned to.
    fn send_home(&self, runnable: Runnable) {
        self.core.stamp(&runnable);
        let home = runnable.metadata().home();
        // One that comes back can run no more: dropping it resolves its handle.
        if self.core.public(home).arrivals.push(runnable).is_ok() {
            self.core.wake_from_anywhere(home);
        }
    }

    /// Leaves a letter at a shard of this runtime.
    pub(crate) fn post(&self, to: ShardId, letter: Letter) {
        match self.core.public(to).mailbox.push(letter) {
            Ok(()) => self.core.wake_from_anywhere(to),
            Err(letter) => refuse(letter),
        }
    }
}

thread_local! {
    /// The runtime whose closed queues this thread clears just now.
    static CLEARING: Cell<Option<RuntimeId>> = const { Cell::new(None) };
}

impl<A: Assembly> Core<A> {
    /// Leaves a stealable task at the shared end of a shard's queue, and wakes the shard if it
    /// sleeps. If it is gone, the task ends here: nobody would look there any more.
    pub(crate) fn inject(&self, shard: ShardId, runnable: Runnable) {
        let public = self.public(shard);
        // W1; W2 is in the wake.
        public.queue.inject(runnable);
        self.wake_from_anywhere(shard);
        // E4
        if public.gate.is_closed() {
            self.clear_closed_queues();
        }
    }

    /// Ends the tasks in the queues of shards that are gone. Their futures are dropped, which may
    /// wake tasks that come to lie there in their turn; these end in the same loop.
    #[cold]
    fn clear_closed_queues(&self) {
        struct Restore(Option<RuntimeId>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CLEARING.set(self.0);
            }
        }
        let me = self.runtime();
        if CLEARING.get() == Some(me) {
            return;
        }
        let _restore = Restore(CLEARING.replace(Some(me)));
        let (mut thief, _) = A::Queue::pair::<Runnable>(&self.options.queue);
        let mut found = true;
        while found {
            found = false;
            for public in self.shards.iter().filter(|public| public.gate.is_closed()) {
                loop {
                    match thief.steal_from(&public.queue, 1) {
                        Stolen::Took { first, .. } => {
                            found = true;
                            drop(first);
                        }
                        Stolen::Retry => pause(),
                        Stolen::Empty => break,
                    }
                }
            }
        }
    }

    /// After work was published to a shard, from a thread that may or may not be one: rings it if
    /// it sleeps.
    pub(crate) fn wake_from_anywhere(&self, target: ShardId) {
        let public = self.public(target);
        let on_shard = port::with(|port| match port {
            Some(port) if port.runtime() == self.runtime() => {
                if port.shard() == target {
                    return true;
                }
                match public.gate.post() {
                    Post::Awake => {}
                    Post::Coalesced => public.coalesced.add_shared(1),
                    Post::Ring => port.ring(target),
                }
                true
            }
            _ => false,
        });
        if on_shard {
            return;
        }
        match public.gate.post_foreign() {
            (Post::Ring, duty) => {
                self.ring_foreign(target);
                // Only now may the shard take its doorbell down.
                drop(duty);
            }
            (Post::Coalesced, _) => public.coalesced.add_shared(1),
            (Post::Awake, _) => {}
        }
    }

    /// Rings every other shard by a call of its own, whatever the gates say: bells that were queued
    /// on a ring which broke are lost, and their targets take themselves for rung.
    ///
    /// For a shard that has not fallen silent: until then the others keep their doorbells.
    pub(super) fn ring_others(&self, me: ShardId) {
        for index in 0..self.shards.len() {
            let target = ShardId::from_index(index);
            if target != me && self.public(target).ringer.get().is_some() {
                self.ring_foreign(target);
            }
        }
    }

    /// Rings without a ring of one's own. Not for longer than the target's doorbell stays open.
    pub(super) fn ring_foreign(&self, target: ShardId) {
        let public = self.public(target);
        let ringer = public.ringer.get();
        let ringer = ringer.expect("a shard sleeps only after it has opened its doorbell");
        // Before the ring, so that whoever it wakes finds it counted.
        public.rung_from_outside.add_shared(1);
        // The doorbell stays open while the duty is held, so a refusal is a passing one (memory).
        while let Err(error) = A::Doorbell::ring_foreign(ringer) {
            if !is_passing(&error) {
                break;
            }
            std::thread::yield_now();
        }
    }

    /// A stealable task was queued at a shard that is awake: if that shard does not get to it
    /// soon, somebody else should.
    pub(crate) fn call_help_for(&self, shard: ShardId) {
        // The fence W2 of the wake that came before is a K2 for this look.
        if self.idle.any() && !self.idle.is_idle(shard) {
            self.call_for_help(Need::Backlog);
        }
    }

    /// Wakes one sleeping shard as a searcher, if none is searching.
    pub(crate) fn call_for_help(&self, need: Need) {
        if let Help::Claimed(helper) = self.idle.call_for_help(need) {
            self.public(helper).called.add_shared(1);
            self.wake_from_anywhere(helper);
        }
    }
}

/// Whether the system may take the same call a moment later.
fn is_passing(error: &std::io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::EINTR | libc::EBUSY | libc::ENOMEM | libc::ENOBUFS)
    )
}

/// What becomes of a letter to a shard that is gone.
pub(super) fn refuse(letter: Letter) {
    match letter {
        Letter::Submit(charge) => {
            if let Finished::Wake(waker) = charge.finish(SubmitError::Closed.outcome()) {
                wake(waker);
            }
        }
        // What they speak of ended with the shard.
        Letter::Cancel(_) | Letter::ResetTimer(..) | Letter::ClearTimer(_) => {}
        Letter::Inquire(inquiry, shard) => inquiry.answer(shard, Answer::default()),
    }
}

// SAFETY:
// - 1: the registry lies in the core, which the outpost keeps, and always the same one.
unsafe impl<A: Assembly> Scheduler for Outpost<A> {
    fn runtime(&self) -> RuntimeId {
        self.core.runtime()
    }

    fn registry(&self) -> &Registry {
        &self.core.public(self.shard).registry
    }

    fn schedule(&self, runnable: Runnable) {
        if runnable.metadata().is_pinned() {
            self.send_home(runnable);
        } else {
            self.inject(runnable);
        }
    }

    fn panicked(&self, task: TaskId, name: Option<&str>, payload: &(dyn Any + Send)) {
        self.core.task_panicked(task, name, payload);
    }

    fn clock(&self) -> u32 {
        self.core.clock()
    }
}

impl<A: Assembly> Owner for &Arc<Outpost<A>> {
    fn scheduler(&self) -> &dyn Scheduler {
        &***self
    }

    fn share(self) -> Arc<dyn Scheduler> {
        Arc::clone(self) as Arc<dyn Scheduler>
    }
}

impl<A: Assembly> Lane for Outpost<A> {
    fn shard(&self) -> ShardId {
        self.shard
    }

    fn submit(&self, charge: Charge) {
        self.post(self.shard, Letter::Submit(charge));
    }

    fn cancel(&self, home: ShardId, token: Token) {
        self.post(home, Letter::Cancel(token));
    }

    fn reset_timer(&self, home: ShardId, key: TimerKey, deadline: Instant) {
        self.post(home, Letter::ResetTimer(key, deadline));
    }

    fn clear_timer(&self, home: ShardId, key: TimerKey) {
        self.post(home, Letter::ClearTimer(key));
    }

    fn hub(&self) -> &Arc<Hub> {
        &self.core.hub
    }

    fn roster(&self) -> &Arc<Roster> {
        &self.core.roster
    }

    fn turns(&self) -> &LeastLoaded {
        &self.core.turns
    }

    fn wake_shard(&self, target: ShardId) {
        self.core.wake_from_anywhere(target);
    }

    fn shards(&self) -> usize {
        self.core.shards.len()
    }

    fn load(&self, shard: ShardId) -> Load {
        self.core.load(shard)
    }

    fn sibling(&self, shard: ShardId) -> Option<Arc<dyn Lane>> {
        let outposts = self.core.outposts()?;
        let sibling = Arc::clone(outposts.get(shard.index())?);
        Some(sibling)
    }

    fn note_blocking_job(&self) {
        self.core.public(self.shard).blocking_jobs.add_shared(1);
    }

    fn blocking(&self) -> &Pool {
        &self.core.blocking
    }

    fn admit(&self) -> Result<(), RuntimeError> {
        let here = port::with(|port| {
            port.is_some_and(|port| {
                port.runtime() == self.core.runtime() && port.shard() == self.shard
            })
        });
        if here { Ok(()) } else { self.core.admit(self.shard) }
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

impl<A: Assembly> fmt::Debug for Outpost<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outpost").field("shard", &self.shard).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
