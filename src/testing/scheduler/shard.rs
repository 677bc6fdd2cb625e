//! A virtual shard: the loop of `shard`, cut into steps between which others may do theirs.

use std::collections::VecDeque;

use super::program::Act;
use super::ticket::{Life, Ticket};
use super::world::{By, Flaw, Micro, Seen, World};
use crate::id::ShardId;
use crate::placement::Placement;
use crate::queue::{LocalQueue, SharedQueue, StealQueue, Stolen};

/// Tasks taken from the LIFO slot in a row before the queue gets its turn.
const LIFO_IN_A_ROW: u32 = 3;
/// Every so many polls a task is taken from the injected end first; in short programs sooner than
/// in the runtime.
const INJECTED_EVERY: u32 = 5;
/// Polls in one turn.
const POLLS: u32 = 4;
/// The most tasks that one theft moves.
const BATCH: usize = 32;

/// Where a shard is in its turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum At {
    /// At the top of a turn.
    Top,
    /// Before the next poll of this turn.
    Next { polls: u32 },
    /// Within a poll.
    Polling { task: usize, polls: u32 },
    /// Looking for work with others; asked so many.
    Search { asked: usize },
    /// At the end of a search (Q1 to Q3).
    EndSearch { found: bool },
    /// S1 and S2.
    AnnounceAtGate,
    /// P1 and P2.
    AnnounceIdle,
    /// S3 and P3.
    LastLook,
    /// S4.
    Asleep,
    /// S5.
    WithdrawAtGate { slept: bool },
    /// P5.
    WithdrawIdle { slept: bool, rung: bool },
    /// The office of the sentinel ends, and what came is collected.
    WakeUp { slept: bool, rung: bool, claimed: bool },
    /// A shard that was called looks for work with others; asked so many.
    CalledSearch { asked: usize, watchful: bool },
    /// The end of that search.
    CalledEnd { found: bool, watchful: bool },
    /// Ends its tasks.
    Ending,
    /// Has ended, and takes its doorbell down.
    Closing,
    /// Is gone.
    Gone,
}

/// One virtual shard.
pub(super) struct Shard<'w, Q: StealQueue> {
    pub(super) at: At,
    pub(super) agenda: VecDeque<Micro<'w>>,
    pub(super) local: Q::Local<Ticket>,
    pub(super) pinned: VecDeque<Ticket>,
    /// A task that was stolen to be run at once.
    next: Option<Ticket>,
    /// Steps that the present poll still lasts.
    pub(super) long: u8,
    pub(super) sentinel: bool,
    watchful: bool,
    lifo_streak: u32,
    tick: u32,
    pinned_first: bool,
    /// For each shard the poll that it was in when its slot was looked at last.
    seen: Vec<Option<u64>>,
    /// Whether the next chance to hand its one task on is taken.
    folds: bool,
}

impl<Q: StealQueue> Shard<'_, Q> {
    pub(super) fn new(local: Q::Local<Ticket>, count: usize) -> Self {
        Self {
            at: At::Top,
            agenda: VecDeque::new(),
            local,
            pinned: VecDeque::new(),
            next: None,
            long: 0,
            sentinel: false,
            watchful: false,
            lifo_streak: 0,
            tick: 0,
            pinned_first: false,
            seen: vec![None; count],
            folds: false,
        }
    }

    /// Whether the next task is surely one of those that others could take.
    pub(super) fn runs_stealable_next(&self) -> bool {
        self.next.is_none() && self.pinned.is_empty()
    }
}

impl<Q: StealQueue, P: Placement> World<'_, Q, P> {
    /// Whether a step of this shard would do anything.
    pub(super) fn can_step(&self, me: usize) -> bool {
        let shard = &self.shards[me];
        if !shard.agenda.is_empty() {
            return true;
        }
        match shard.at {
            At::Asleep => shard.sentinel || self.bells[me] || !self.completions[me].is_empty(),
            // The doorbells stay until nobody will ring any more: `Quiet`, and foreign duties.
            At::Closing => {
                let silent = |other: &Shard<'_, Q>| {
                    matches!(other.at, At::Closing | At::Gone) && other.agenda.is_empty()
                };
                self.shards.iter().all(silent) && !self.will_be_rung(me)
            }
            At::Gone => false,
            _ => true,
        }
    }

    /// Lets the shard do its next step, if it can do one.
    pub(super) fn step(&mut self, me: usize) -> Seen {
        if !self.can_step(me) || self.go_on(By::Shard { me, polling: false })? {
            return Ok(());
        }
        let at = self.shards[me].at;
        let next = match at {
            At::Top => self.top(me),
            At::Next { polls } => self.start_poll(me, polls)?,
            At::Polling { task, polls } => self.act(me, task, polls)?,
            At::Search { asked } => self.search(me, asked)?,
            At::EndSearch { found } => {
                self.end_search(me, found);
                if found { At::Top } else { self.announce_first() }
            }
            At::AnnounceAtGate => {
                self.gates[me].announce();
                if self.is_bit_first() { At::LastLook } else { At::AnnounceIdle }
            }
            At::AnnounceIdle => {
                self.idle.announce(ShardId::from_index(me));
                if self.is_bit_first() { At::AnnounceAtGate } else { At::LastLook }
            }
            At::LastLook => self.last_look(me),
            At::Asleep => At::WithdrawAtGate { slept: true },
            At::WithdrawAtGate { slept } => {
                At::WithdrawIdle { slept, rung: self.gates[me].withdraw() }
            }
            At::WithdrawIdle { slept, rung } => {
                let claimed = self.idle.withdraw(ShardId::from_index(me));
                At::WakeUp { slept, rung, claimed }
            }
            At::WakeUp { slept, rung, claimed } => self.wake_up(me, slept, rung, claimed),
            At::CalledSearch { asked, watchful } => {
                let found = self.steal_from(me, (me + 1 + asked) % self.program.shards)?;
                let is_last = asked + 2 >= self.program.shards;
                if found || is_last {
                    At::CalledEnd { found, watchful }
                } else {
                    At::CalledSearch { asked: asked + 1, watchful }
                }
            }
            At::CalledEnd { found, watchful } => {
                self.end_search(me, found || self.keeps_busy(me));
                self.shards[me].watchful = watchful;
                At::Top
            }
            At::Ending => self.end_tasks(me)?,
            At::Closing => {
                self.gates[me].close();
                self.arrivals[me] = None;
                At::Gone
            }
            At::Gone => At::Gone,
        };
        if next != at {
            match next {
                At::Asleep => self.note(format_args!("shard {me}: sleeps")),
                At::Gone => self.note(format_args!("shard {me}: is gone")),
                _ => {}
            }
            self.shards[me].at = next;
        }
        Ok(())
    }

    /// Fires what completed and takes what was sent.
    fn top(&mut self, me: usize) -> At {
        self.collect(me);
        if self.ledger.is_ending() {
            return At::Ending;
        }
        if let Some(arrivals) = &mut self.arrivals[me] {
            self.shards[me].pinned.append(arrivals);
        }
        self.offer_backlog(me, false);
        At::Next { polls: 0 }
    }

    fn collect(&mut self, me: usize) {
        self.bells[me] = false;
        for task in std::mem::take(&mut self.completions[me]) {
            self.wake(task, By::Shard { me, polling: false });
        }
    }

    fn start_poll(&mut self, me: usize, polls: u32) -> Result<At, String> {
        if polls == POLLS {
            return Ok(At::Top);
        }
        // Between two polls the shard looks at its ring.
        if polls > 0 && !self.completions[me].is_empty() {
            self.collect(me);
            if !self.is_flawed(Flaw::CompletedNotOffered) {
                self.offer_backlog(me, false);
            }
            return Ok(At::Next { polls });
        }
        let Some(ticket) = self.next_task(me) else { return Ok(self.idle(me)) };
        let task = ticket.poll(me)?;
        self.note(format_args!("shard {me}: polls task {task}"));
        if self.tasks[task].pinned && self.tasks[task].home != me {
            let home = self.tasks[task].home;
            return Err(format!("shard {me} polls task {task}, which is pinned to shard {home}"));
        }
        self.polls[me] += 1;
        Ok(At::Polling { task, polls })
    }

    /// `Shard::next_task`.
    fn next_task(&mut self, me: usize) -> Option<Ticket> {
        let shard = &mut self.shards[me];
        if let Some(stolen) = shard.next.take() {
            return Some(stolen);
        }
        shard.tick += 1;
        if shard.tick.is_multiple_of(INJECTED_EVERY)
            && let Some(ticket) = shard.local.pop_injected()
        {
            return Some(ticket);
        }
        if shard.lifo_streak < LIFO_IN_A_ROW
            && let Some(ticket) = self.lifo[me].take()
        {
            shard.lifo_streak += 1;
            return Some(ticket);
        }
        shard.lifo_streak = 0;
        shard.pinned_first = !shard.pinned_first;
        let next = if !shard.pinned_first { shard.pinned.pop_front() } else { None };
        next.or_else(|| shard.local.pop())
            .or_else(|| shard.pinned.pop_front())
            .or_else(|| self.lifo[me].take())
            .or_else(|| shard.local.pop_injected())
    }

    /// One act of the task that is polled.
    fn act(&mut self, me: usize, task: usize, polls: u32) -> Result<At, String> {
        let by = By::Shard { me, polling: true };
        if self.shards[me].long > 0 {
            self.shards[me].long -= 1;
            return Ok(At::Polling { task, polls });
        }
        let act = self.next_act(task);
        let woken = match self.ledger.life(task) {
            Some(Life::Polled { by, woken }) if by == me => woken,
            life => return Err(format!("task {task} is {life:?} while shard {me} polls it")),
        };
        match act {
            Some(Act::Spawn(other)) => self.spawn(other, by)?,
            Some(Act::Wake(other)) => self.wake(other, by),
            Some(Act::Long(steps)) => self.shards[me].long = steps,
            Some(Act::Yield | Act::Wait) | None => {
                self.polls[me] += 1;
                if act.is_none() {
                    self.note(format_args!("shard {me}: task {task} is done"));
                    self.ledger.set(task, Life::Done);
                } else if woken || matches!(act, Some(Act::Yield)) {
                    let ticket = self.ledger.ticket(task);
                    let shard = &mut self.shards[me];
                    if self.tasks[task].pinned {
                        shard.pinned.push_back(ticket);
                    } else {
                        shard.local.push(ticket);
                        self.offer_yielded(me);
                    }
                } else {
                    self.note(format_args!("shard {me}: task {task} waits"));
                    self.ledger.set(task, Life::Waiting);
                }
                return Ok(At::Next { polls: polls + 1 });
            }
        }
        Ok(At::Polling { task, polls })
    }

    /// A task that yields is this shard's next, unless a pinned one goes first.
    fn offer_yielded(&mut self, me: usize) {
        if !self.is_flawed(Flaw::YieldNotOffered) && !self.shards[me].pinned.is_empty() {
            self.offer_backlog(me, false);
        }
    }

    /// Nothing can run here: becomes a searcher.
    fn idle(&mut self, me: usize) -> At {
        self.idle.begin_search();
        self.note(format_args!("shard {me}: searches"));
        At::Search { asked: 0 }
    }

    fn search(&mut self, me: usize, asked: usize) -> Result<At, String> {
        if self.has_signal(me) {
            return Ok(At::EndSearch { found: true });
        }
        if asked + 1 >= self.program.shards {
            return Ok(At::EndSearch { found: false });
        }
        let found = self.steal_from(me, (me + 1 + asked) % self.program.shards)?;
        Ok(if found { At::EndSearch { found } } else { At::Search { asked: asked + 1 } })
    }

    /// Whether a shard that was called has work of its own, so that it will not look again soon.
    fn keeps_busy(&self, me: usize) -> bool {
        let shard = &self.shards[me];
        !self.is_flawed(Flaw::CalledAndBusy)
            && (self.has_signal(me) || !shard.local.is_empty() || !shard.pinned.is_empty())
    }

    /// `busy`: the shard has work now, and does not go to sleep with a last look.
    fn end_search(&mut self, me: usize, busy: bool) {
        let last = self.idle.end_search();
        let passes_on = !self.is_flawed(Flaw::DutyNotPassedOn);
        let needed = self.others_have_backlog(me) || self.others_hold_a_task(me);
        if last && busy && needed && passes_on {
            self.shards[me].agenda.push_back(Micro::Help { urgent: false });
        }
    }

    /// Which announcement comes first.
    fn announce_first(&self) -> At {
        if self.is_bit_first() { At::AnnounceIdle } else { At::AnnounceAtGate }
    }

    fn is_bit_first(&self) -> bool {
        self.is_flawed(Flaw::BitBeforeGate)
    }

    fn last_look(&mut self, me: usize) -> At {
        let looks = !self.is_flawed(Flaw::NoLastLook);
        let backlog = self.others_have_backlog(me);
        if looks && self.has_signal(me) && backlog {
            // Somebody may have left it to the search that has just ended.
            self.shards[me].agenda.push_back(Micro::Help { urgent: false });
        }
        if looks && (self.has_signal(me) || backlog) {
            return At::WithdrawAtGate { slept: false };
        }
        if self.shards[me].watchful || self.others_hold_a_task(me) {
            // How often it looks is a matter of time, which the model has none of.
            let looks_soon = true;
            self.shards[me].sentinel = self.idle.become_sentinel(looks_soon);
        }
        At::Asleep
    }

    /// `Shard::wake_up`, after both announcements were taken back.
    fn wake_up(&mut self, me: usize, slept: bool, rung: bool, claimed: bool) -> At {
        let watched = std::mem::replace(&mut self.shards[me].sentinel, false);
        let wanted = watched && self.idle.resign_sentinel().is_some();
        self.collect(me);
        self.note(format_args!("shard {me}: is awake, rung: {rung}, claimed: {claimed}"));
        if claimed || watched {
            if !claimed {
                self.idle.begin_search();
            }
            let watchful = claimed || wanted;
            if self.program.shards == 1 {
                return At::CalledEnd { found: false, watchful };
            }
            return At::CalledSearch { asked: 0, watchful };
        }
        if slept && !rung {
            self.fold(me);
        }
        At::Top
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

    /// Takes work of another shard, to be run next. Whether there was any.
    fn steal_from(&mut self, me: usize, victim: usize) -> Result<bool, String> {
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
        self.shards[me].next = stolen;
        Ok(true)
    }

    /// Ends what is here and what waits anywhere, until no task is left.
    fn end_tasks(&mut self, me: usize) -> Result<At, String> {
        self.collect(me);
        if let Some(arrivals) = &mut self.arrivals[me] {
            self.shards[me].pinned.append(arrivals);
        }
        if let Some(ticket) = self.next_task(me) {
            drop(ticket);
            return Ok(At::Ending);
        }
        for (task, life) in self.ledger.lives().into_iter().enumerate() {
            if life == Life::Waiting && self.tasks[task].home == me {
                self.ledger.set(task, Life::Cancelled);
            }
        }
        for victim in (0..self.program.shards).filter(|&victim| victim != me) {
            if self.steal_from(me, victim)? {
                return Ok(At::Ending);
            }
        }
        Ok(if self.live() == 0 { At::Closing } else { At::Ending })
    }
}
