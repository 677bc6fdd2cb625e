//! What a virtual shard does without work: it looks with others, spins, announces itself, looks
//! once more, and sleeps.

use super::shard::{At, Call};
use super::world::{By, Flaw, Micro, World};
use crate::doorbell::Need;
use crate::id::ShardId;
use crate::placement::Placement;
use crate::queue::{LocalQueue, SharedQueue, StealQueue, Stolen};

/// The most tasks that one theft moves.
const BATCH: usize = 32;

/// What a shard sees of the others: `shard::steal::Others`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    AreQuiet,
    AreBusy,
    HaveBacklog,
}

impl<Q: StealQueue, P: Placement> World<'_, Q, P> {
    /// Nothing can run here: a count below its threshold is enough now, or something has come;
    /// else the shard becomes a searcher.
    pub(super) fn run_out(&mut self, me: usize) -> At {
        let counts = self.mail.offices[me].desk.wake_counting(std::task::Waker::wake);
        self.wake_called(By::Shard { me, polling: false });
        if counts || self.program.spin > 0 && self.has_signal(me) {
            return At::Top;
        }
        self.idle.begin_search();
        At::Search { asked: 0 }
    }

    pub(super) fn search(&mut self, me: usize, asked: usize) -> Result<At, String> {
        if asked == 0 && self.has_signal(me) {
            return Ok(At::EndSearch { found: true });
        }
        if asked + 1 >= self.program.shards {
            return Ok(At::Spin { left: self.program.spin });
        }
        let found = self.steal_from(me, (me + 1 + asked) % self.program.shards)?;
        Ok(if found { At::EndSearch { found } } else { At::Search { asked: asked + 1 } })
    }

    /// Looks at what comes to this shard, at its timers and at the queues of others.
    pub(super) fn spin(&mut self, me: usize, left: u8) -> Result<At, String> {
        if left == 0 {
            return Ok(At::EndSearch { found: false });
        }
        let is_time = self.next_timer(me).is_some_and(|deadline| deadline <= self.now);
        let mut found = is_time || self.has_signal(me);
        if !found && self.others_have_backlog(me) {
            found = self.steal_round(me)?;
        }
        Ok(if found { At::EndSearch { found } } else { At::Spin { left: left - 1 } })
    }

    fn next_timer(&self, me: usize) -> Option<u64> {
        self.mail.offices[me].wheel.next_deadline()
    }

    /// `found`: the shard has work now, and does not go to sleep with a last look.
    pub(super) fn end_search(&mut self, me: usize, found: bool) {
        if self.idle.end_search() && found {
            self.pass_on(me);
        }
    }

    /// Wakes the next searcher for what this one has left.
    fn pass_on(&mut self, me: usize) {
        if self.is_flawed(Flaw::DutyNotPassedOn) {
            return;
        }
        if self.others_have_backlog(me) {
            self.shards[me].agenda.push_back(Micro::Help(Need::Backlog));
        } else if self.others_hold_a_task(me) {
            self.shards[me].agenda.push_back(Micro::Help(Need::Slot));
        }
    }

    /// `Shard::look_at_others`.
    fn look_at_others(&self, me: usize) -> Others {
        if self.others_have_backlog(me) {
            return Others::HaveBacklog;
        }
        let mut others = (0..self.program.shards).filter(|&other| other != me);
        if others.any(|other| self.lifo[other].is_some() || !self.polls[other].is_multiple_of(2)) {
            Others::AreBusy
        } else {
            Others::AreQuiet
        }
    }

    /// Before the announcement, so that nobody rings in the time between.
    pub(super) fn first_look(&mut self, me: usize) -> At {
        let wanted = self.shards[me].watchful || self.look_at_others(me) == Others::AreBusy;
        self.watch_if(me, wanted);
        if self.is_bit_first() { At::AnnounceIdle } else { At::AnnounceAtGate }
    }

    fn watch_if(&mut self, me: usize, wanted: bool) {
        let shard = &mut self.shards[me];
        if wanted && !shard.sentinel {
            shard.sentinel = self.idle.become_sentinel(shard.watch.is_soon());
        }
    }

    pub(super) fn last_look(&mut self, me: usize) -> At {
        if !self.is_flawed(Flaw::NoLastLook) {
            let (others, signal) = (self.look_at_others(me), self.has_signal(me));
            if signal || others == Others::HaveBacklog {
                // Somebody may have left it to the search that has just ended. What wakes up as the
                // sentinel passes it on then.
                if self.is_flawed(Flaw::SlotForgotten) {
                    if signal && others == Others::HaveBacklog {
                        self.shards[me].agenda.push_back(Micro::Help(Need::Backlog));
                    }
                } else if signal && !self.shards[me].sentinel {
                    self.pass_on(me);
                }
                return At::WithdrawAtGate { slept: false };
            }
            self.watch_if(me, others == Others::AreBusy);
        }
        let timer = self.next_timer(me).filter(|_| !self.is_flawed(Flaw::TimerSleptOver));
        At::Asleep { until: timer }
    }

    /// `Shard::wake_up`, after both announcements were taken back.
    pub(super) fn wake_up(&mut self, me: usize, slept: bool, rung: bool, claimed: bool) -> At {
        let watched = std::mem::replace(&mut self.shards[me].sentinel, false);
        let wanted = if watched { self.idle.resign_sentinel() } else { None };
        self.collect(me);
        if claimed || watched {
            if !claimed {
                self.idle.begin_search();
            }
            return At::CalledSearch { asked: 0, call: Call { claimed, wanted } };
        }
        self.note(format_args!("shard {me}: is awake, rung: {rung}"));
        if slept && !rung {
            self.fold(me);
        }
        At::Top
    }

    pub(super) fn called_search(
        &mut self,
        me: usize,
        asked: usize,
        call: Call,
    ) -> Result<At, String> {
        if asked + 1 >= self.program.shards {
            return Ok(At::CalledEnd { found: false, call });
        }
        let found = self.steal_from(me, (me + 1 + asked) % self.program.shards)?;
        Ok(if found {
            At::CalledEnd { found, call }
        } else {
            At::CalledSearch { asked: asked + 1, call }
        })
    }

    pub(super) fn called_end(&mut self, me: usize, found: bool, call: Call) -> At {
        let busy = found || self.keeps_busy(me);
        self.end_search(me, busy);
        let held = self.others_hold_a_task(me);
        let shard = &mut self.shards[me];
        if found || call.claimed || call.wanted == Some(Need::Backlog) {
            shard.watch.start_over();
        } else {
            if call.wanted.is_some() {
                shard.watch.stay_near();
            }
            shard.watch.in_vain(held);
        }
        shard.watchful = call.claimed || call.wanted.is_some();
        At::Top
    }

    /// Whether a shard that was called has work of its own, so that it will not look again soon.
    fn keeps_busy(&self, me: usize) -> bool {
        let shard = &self.shards[me];
        !self.is_flawed(Flaw::CalledAndBusy)
            && (self.has_signal(me) || !shard.local.is_empty() || !shard.pinned.is_empty())
    }

    /// `Shard::fold`, at every other chance.
    fn fold(&mut self, me: usize) {
        let shard = &mut self.shards[me];
        if shard.local.len() != 1 || !shard.pinned.is_empty() {
            return;
        }
        shard.folds = !shard.folds;
        let sleeper = (0..me).find(|&other| self.idle.is_idle(ShardId::from_index(other)));
        let (Some(target), true) = (sleeper, self.shards[me].folds) else { return };
        let Some(ticket) = self.shards[me].local.pop() else { return };
        self.note(format_args!("shard {me}: hands task {} to shard {target}", ticket.task()));
        self.shared[target].inject(ticket);
        self.shards[me].agenda.push_back(Micro::Post(target));
    }

    fn steal_round(&mut self, me: usize) -> Result<bool, String> {
        for asked in 1..self.program.shards {
            if self.steal_from(me, (me + asked) % self.program.shards)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes work of another shard, to be run next. Whether there was any.
    pub(super) fn steal_from(&mut self, me: usize, victim: usize) -> Result<bool, String> {
        let waiting = self.shared[victim].len_hint();
        if waiting > 0 {
            let most = waiting.div_ceil(2).min(BATCH);
            match self.shards[me].local.steal_from(&self.shared[victim], most) {
                Stolen::Took { first, moved } => {
                    if moved >= most {
                        return Err(format!("a theft of at most {most} took {}", moved + 1));
                    }
                    let task = first.task();
                    self.note(format_args!("shard {me}: takes task {task} of shard {victim}"));
                    self.progress += 1;
                    self.shards[me].next = Some(first);
                    return Ok(true);
                }
                Stolen::Empty => {}
                Stolen::Retry => {
                    return Err(format!("`Retry` at the queue of shard {victim}, alone"));
                }
            }
        }
        // The slot is fair game when two looks find the same poll.
        let poll = self.polls[victim];
        if self.lifo[victim].is_none() || poll.is_multiple_of(2) {
            return Ok(false);
        }
        if self.shards[me].seen[victim].replace(poll) != Some(poll) {
            return Ok(false);
        }
        let stolen = self.lifo[victim].take();
        self.note(format_args!("shard {me}: takes the next task of shard {victim}"));
        self.progress += 1;
        self.shards[me].next = stolen;
        Ok(true)
    }
}
