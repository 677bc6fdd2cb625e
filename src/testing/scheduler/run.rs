//! One program from its first step to the end of the runtime, and what must hold on the way.

use super::program::Step;
use super::shard::At;
use super::ticket::Life;
use super::world::{By, Micro, Seen, World};
use crate::placement::Placement;
use crate::queue::{LocalQueue, SharedQueue, StealQueue};

/// Nothing that ends takes so many rounds.
const MOST_ROUNDS: usize = 20_000;

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
            Step::Complete(..) | Step::Run(..) => {}
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

    /// Lets everybody go on by turns until nobody can. `frozen`: polls that last do not end.
    fn come_to_rest(&mut self, frozen: bool) -> Seen {
        for _ in 0..MOST_ROUNDS {
            let mut moved = self.go_on(By::Stranger)?;
            self.check()?;
            for me in 0..self.program.shards {
                let lasts = frozen && self.shards[me].long > 0 && self.shards[me].agenda.is_empty();
                if !lasts && self.can_step(me) {
                    moved = true;
                    self.step(me)?;
                    self.check()?;
                }
            }
            if !moved {
                return Ok(());
            }
        }
        let at: Vec<At> = self.shards.iter().map(|shard| shard.at).collect();
        Err(format!("after {MOST_ROUNDS} rounds the shards have not come to rest: {at:?}"))
    }

    /// What holds after every step.
    fn check(&self) -> Seen {
        if let Some(task) = self.ledger.lost() {
            return Err(format!("task {task} was dropped by a queue while the runtime ran"));
        }
        for (me, shard) in self.shards.iter().enumerate() {
            let sleeps = shard.at == At::Asleep && !shard.sentinel && !self.bells[me];
            if sleeps && self.is_left_for(me) && !self.will_be_rung(me) {
                return Err(format!(
                    "shard {me} sleeps, something was left for it, and nobody will ring it"
                ));
            }
        }
        Ok(())
    }

    fn nobody_sleeps_on_a_backlog(&self) -> Seen {
        let asleep = |shard: usize| self.shards[shard].at == At::Asleep;
        let Some(sleeper) = (0..self.program.shards).find(|&shard| asleep(shard)) else {
            return Ok(());
        };
        for shard in 0..self.program.shards {
            let queued = self.shared[shard].len_hint();
            if queued > 0 || self.lifo[shard].is_some() {
                let slot = usize::from(self.lifo[shard].is_some());
                return Err(format!(
                    "shard {sleeper} sleeps, and {} tasks wait at shard {shard}, which is {}",
                    queued + slot,
                    if asleep(shard) { "asleep" } else { "in a long poll" }
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
        }
        for (me, shard) in self.shards.iter().enumerate() {
            if shard.at != At::Asleep {
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
        self.strangers.push_back(Micro::Help { urgent: true });
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
