//! One program from its first step to the end of the runtime, and what must hold on the way.

use super::program::Step;
use super::shard::At;
use super::ticket::Life;
use super::world::{By, Micro, Seen, Task, World};
use crate::doorbell::Need;
use crate::placement::Placement;
use crate::queue::{LocalQueue, SharedQueue, StealQueue};
use crate::timer::Wheel;

/// Nothing that ends takes so many rounds.
const MOST_ROUNDS: usize = 20_000;
/// A sentinel comes back again and again. When nothing is done in so many rounds, which is several
/// times as long as it takes for one sleep, nothing will be.
const QUIET_ROUNDS: usize = 150;

impl<Q: StealQueue, P: Placement> World<'_, Q, P> {
    /// The whole program.
    pub(super) fn run(&mut self) -> Seen {
        let program = self.program;
        for step in &program.steps {
            self.follow(*step)?;
        }
        if !self.ledger.is_ending() {
            self.come_to_rest(true)?;
            self.nobody_sleeps_on_a_backlog()?;
        }
        if !self.ledger.is_ending() {
            self.come_to_rest(false)?;
            self.everything_was_done()?;
            self.let_time_pass()?;
            self.a_call_is_answered()?;
        }
        self.shut_down();
        self.come_to_rest(false)?;
        self.every_handle_is_resolved()
    }

    fn follow(&mut self, step: Step) -> Seen {
        let shards = self.program.shards;
        match step {
            Step::Spawn(task) => self.spawn(task, By::Stranger)?,
            Step::Wake(task) => self.wake(task, By::Stranger),
            Step::Complete(shard, task) if shard < shards => {
                if self.shards[shard].at != At::Gone {
                    self.completions[shard].push(task);
                }
            }
            Step::Run(shard, count) if shard < shards => {
                for _ in 0..count {
                    self.step(shard)?;
                    self.check()?;
                }
            }
            Step::Send(sort, shard) if shard < shards => self.send(sort, shard, By::Stranger)?,
            Step::Complete(..) | Step::Run(..) | Step::Send(..) => {}
            Step::Time(span) => self.now += u64::from(span),
            Step::Strangers(count) => {
                for _ in 0..count {
                    self.go_on(By::Stranger)?;
                    self.check()?;
                }
            }
            Step::Shutdown => self.shut_down(),
        }
        self.check()
    }

    /// Lets everybody go on by turns until nobody can, or nothing comes of it. `frozen`: polls that
    /// last do not end.
    fn come_to_rest(&mut self, frozen: bool) -> Seen {
        let (mut progress, mut quiet) = (self.progress, 0);
        for _ in 0..MOST_ROUNDS {
            let mut moved = self.go_on(By::Stranger)?;
            self.check()?;
            for me in 0..self.program.shards {
                if !(frozen && self.is_in_long_poll(me)) && self.can_step(me) {
                    moved = true;
                    self.step(me)?;
                    self.check()?;
                }
            }
            quiet = if progress == self.progress { quiet + 1 } else { 0 };
            progress = self.progress;
            if !moved || quiet == QUIET_ROUNDS {
                return Ok(());
            }
        }
        let at: Vec<At> = self.shards.iter().map(|shard| shard.at).collect();
        Err(format!("after {MOST_ROUNDS} rounds the shards have not come to rest: {at:?}"))
    }

    /// Whether the shard has nothing else to do than to poll on.
    fn is_in_long_poll(&self, me: usize) -> bool {
        self.shards[me].long > 0 && self.shards[me].agenda.is_empty()
    }

    /// Moves the clock from timer to timer until there is none.
    fn let_time_pass(&mut self) -> Seen {
        loop {
            let wheels = self.mail.offices.iter().map(|office| &office.wheel);
            let Some(next) = wheels.filter_map(Wheel::next_deadline).min() else { return Ok(()) };
            let now = self.now.max(next);
            self.now = now;
            self.note(format_args!("clock: it is {now}"));
            self.come_to_rest(false)?;
            self.everything_was_done()?;
            if self.ledger.is_ending() {
                return Ok(());
            }
        }
    }

    /// What holds after every step.
    fn check(&self) -> Seen {
        if let Some(task) = self.ledger.lost() {
            return Err(format!("task {task} was dropped by a queue while the runtime ran"));
        }
        for (me, shard) in self.shards.iter().enumerate() {
            let sleeps = shard.at.is_asleep() && !shard.sentinel && !self.bells[me];
            if sleeps && self.is_left_for(me) && !self.will_be_rung(me) {
                return Err(format!(
                    "shard {me} sleeps, something was left for it, and nobody will ring it"
                ));
            }
        }
        Ok(())
    }

    /// Polls that last do not end, and everybody else has done what there was to do.
    fn nobody_sleeps_on_a_backlog(&self) -> Seen {
        let idle = |shard: &usize| !self.is_in_long_poll(*shard);
        let Some(sleeper) = (0..self.program.shards).find(idle) else { return Ok(()) };
        for shard in 0..self.program.shards {
            let queued = self.shared[shard].len_hint();
            let slot = usize::from(self.lifo[shard].is_some());
            if queued + slot > 0 {
                let at = if idle(&shard) { "asleep" } else { "in a long poll" };
                let tasks = queued + slot;
                return Err(format!(
                    "shard {sleeper} sleeps, and {tasks} tasks wait at shard {shard}, which is {at}"
                ));
            }
        }
        Ok(())
    }

    fn everything_was_done(&self) -> Seen {
        for (task, life) in self.ledger.lives().into_iter().enumerate() {
            if matches!(life, Life::Queued | Life::Polled { .. }) {
                return Err(format!("task {task} was lost: it is {life:?}, and all shards rest"));
            }
            let Task { home, awaits: Some(awaits), .. } = &self.tasks[task] else { continue };
            if life == Life::Waiting
                && let Some(why) = self.mail.is_overdue(*home, awaits, self.now)
            {
                return Err(format!("task {task} waits on, and all shards rest: {why}"));
            }
        }
        for (me, shard) in self.shards.iter().enumerate() {
            if !shard.at.is_asleep() {
                return Err(format!("shard {me} rests at {:?}, not asleep", shard.at));
            }
            let len = self.shared[me].len_hint() + shard.local.len();
            if len > 0 {
                return Err(format!("the queue of shard {me} says {len}, and all tasks are done"));
            }
        }
        Ok(())
    }

    /// All shards sleep: a call for help wakes one, which finds nothing and sleeps again.
    fn a_call_is_answered(&mut self) -> Seen {
        self.strangers.push_back(Micro::Help(Need::Urgent));
        self.go_on(By::Stranger)?;
        if self.strangers.is_empty() {
            return Err("all shards sleep, and a call for help wakes none of them".to_owned());
        }
        self.come_to_rest(false)?;
        self.everything_was_done()
    }

    fn every_handle_is_resolved(&self) -> Seen {
        for (me, shard) in self.shards.iter().enumerate() {
            if shard.at != At::Gone {
                return Err(format!("shard {me} does not end: it is at {:?}", shard.at));
            }
        }
        for (task, life) in self.ledger.lives().into_iter().enumerate() {
            if life.is_alive() {
                return Err(format!("the handle of task {task} is not resolved: {life:?}"));
            }
        }
        Ok(())
    }
}
