//! A virtual shard: the loop of `shard`, cut into steps between which others may do theirs.

use std::collections::VecDeque;

use super::ticket::{Life, Ticket};
use super::world::{By, Flaw, Micro, Seen, World};
use crate::doorbell::Need;
use crate::id::ShardId;
use crate::placement::Placement;
use crate::queue::{LocalQueue, StealQueue};
use crate::shard::{Ahead, Watch};

/// Where a shard is in its turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum At {
    /// At the top of a turn: timers, and tasks that were sent.
    Top,
    /// Letters and messages.
    TakeMail,
    /// What waits is offered to others.
    Offer,
    /// Before the next poll of this turn.
    Next { polls: u32 },
    /// Within a poll.
    Polling { task: usize, polls: u32 },
    /// At the end of a turn: what completed.
    Serve,
    /// Nothing can run: a count below its threshold, and a glance.
    Idle,
    /// Looking for work with others; asked so many.
    Search { asked: usize },
    /// Looking for so many times more.
    Spin { left: u8 },
    /// At the end of a search (Q1 to Q3).
    EndSearch { found: bool },
    /// Whether to sleep as the sentinel.
    FirstLook,
    /// S1 and S2.
    AnnounceAtGate,
    /// P1 and P2.
    AnnounceIdle,
    /// S3 and P3.
    LastLook,
    /// S4, until somebody rings or this time.
    Asleep { until: Option<u64> },
    /// S5.
    WithdrawAtGate { slept: bool },
    /// P5.
    WithdrawIdle { slept: bool, rung: bool },
    /// The office of the sentinel ends, and what came is collected.
    WakeUp { slept: bool, rung: bool, claimed: bool },
    /// A shard that was called looks for work with others; asked so many.
    CalledSearch { asked: usize, call: Call },
    /// The end of that search.
    CalledEnd { found: bool, call: Call },
    /// Ends its tasks.
    Ending,
    /// Has ended, and takes its doorbell down.
    Closing,
    /// Is gone.
    Gone,
}

/// Why a shard that wakes up looks for work with others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Call {
    pub(super) claimed: bool,
    /// What was left to it as the sentinel.
    pub(super) wanted: Option<Need>,
}

impl At {
    pub(super) fn is_asleep(self) -> bool {
        matches!(self, Self::Asleep { .. })
    }
}

/// One virtual shard.
pub(super) struct Shard<'w, Q: StealQueue> {
    pub(super) at: At,
    pub(super) agenda: VecDeque<Micro<'w>>,
    pub(super) local: Q::Local<Ticket>,
    pub(super) pinned: VecDeque<Ticket>,
    /// A task that was stolen to be run at once.
    pub(super) next: Option<Ticket>,
    /// Steps that the present poll still lasts.
    pub(super) long: u8,
    pub(super) sentinel: bool,
    pub(super) watchful: bool,
    pub(super) watch: Watch,
    pub(super) lifo_streak: u32,
    pub(super) looks: u32,
    pub(super) ahead: Ahead,
    pub(super) ahead_pinned: Ahead,
    pub(super) tick: u32,
    pub(super) pinned_first: bool,
    /// For each shard the poll that it was in when its slot was looked at last.
    pub(super) seen: Vec<Option<u64>>,
    /// Whether the next chance to hand its one task on is taken.
    pub(super) folds: bool,
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
            watch: Watch::default(),
            lifo_streak: 0,
            looks: 0,
            ahead: Ahead::default(),
            ahead_pinned: Ahead::default(),
            tick: 0,
            pinned_first: false,
            seen: vec![None; count],
            folds: false,
        }
    }

    pub(super) fn pop_stealable(&mut self) -> Option<Ticket> {
        self.local.pop().inspect(|_| self.ahead.popped())
    }

    pub(super) fn pop_pinned(&mut self) -> Option<Ticket> {
        self.pinned.pop_front().inspect(|_| self.ahead_pinned.popped())
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
            At::Asleep { until } => {
                let is_time = until.is_some_and(|until| until <= self.now);
                shard.sentinel || is_time || self.bells[me] || !self.completions[me].is_empty()
            }
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
            At::Top => self.top(me)?,
            At::TakeMail => self.take_mail(me),
            At::Offer => {
                self.offer_backlog(me, self.shards[me].next.is_some());
                At::Next { polls: 0 }
            }
            At::Next { polls } => self.start_poll(me, polls)?,
            At::Polling { task, polls } => self.act(me, task, polls)?,
            At::Serve => self.serve(me),
            At::Idle => self.run_out(me),
            At::Search { asked } => self.search(me, asked)?,
            At::Spin { left } => self.spin(me, left)?,
            At::EndSearch { found } => {
                self.end_search(me, found);
                if found { At::Top } else { At::FirstLook }
            }
            At::FirstLook => self.first_look(me),
            At::AnnounceAtGate => {
                self.gates[me].announce();
                if self.is_bit_first() { At::LastLook } else { At::AnnounceIdle }
            }
            At::AnnounceIdle => {
                self.idle.announce(ShardId::from_index(me));
                if self.is_bit_first() { At::AnnounceAtGate } else { At::LastLook }
            }
            At::LastLook => self.last_look(me),
            At::Asleep { .. } => At::WithdrawAtGate { slept: true },
            At::WithdrawAtGate { slept } => {
                At::WithdrawIdle { slept, rung: self.gates[me].withdraw() }
            }
            At::WithdrawIdle { slept, rung } => {
                let claimed = self.idle.withdraw(ShardId::from_index(me));
                At::WakeUp { slept, rung, claimed }
            }
            At::WakeUp { slept, rung, claimed } => self.wake_up(me, slept, rung, claimed),
            At::CalledSearch { asked, call } => self.called_search(me, asked, call)?,
            At::CalledEnd { found, call } => self.called_end(me, found, call),
            At::Ending => self.end_tasks(me)?,
            At::Closing => self.close(me),
            At::Gone => At::Gone,
        };
        if next != at {
            match next {
                At::Asleep { until: None } => self.note(format_args!("shard {me}: sleeps")),
                At::Asleep { until: Some(until) } => {
                    self.note(format_args!("shard {me}: sleeps until {until}"));
                }
                At::Gone => self.note(format_args!("shard {me}: is gone")),
                _ => {}
            }
            self.shards[me].at = next;
        }
        Ok(())
    }

    /// Ends what is here and what waits anywhere, until no task is left.
    fn end_tasks(&mut self, me: usize) -> Result<At, String> {
        self.collect(me);
        if let Some(arrivals) = &mut self.arrivals[me] {
            self.shards[me].pinned.append(arrivals);
        }
        if let Some(ticket) = self.next_task(me) {
            self.progress += 1;
            drop(ticket);
            return Ok(At::Ending);
        }
        for (task, life) in self.ledger.lives().into_iter().enumerate() {
            if self.tasks[task].home != me || matches!(life, Life::Queued | Life::Polled { .. }) {
                continue;
            }
            if let Some(awaits) = self.tasks[task].awaits.take() {
                self.mail.forget(me, awaits);
            }
            if life == Life::Waiting {
                self.progress += 1;
                self.ledger.set(task, Life::Cancelled);
            }
        }
        self.wake_called(By::Shard { me, polling: false });
        for victim in (0..self.program.shards).filter(|&victim| victim != me) {
            if self.steal_from(me, victim)? {
                return Ok(At::Ending);
            }
        }
        Ok(if self.live() == 0 { At::Closing } else { At::Ending })
    }

    /// Takes everything down that others could still write to.
    fn close(&mut self, me: usize) -> At {
        self.gates[me].close();
        self.arrivals[me] = None;
        let office = &self.mail.offices[me];
        drop(office.letters.close());
        office.desk.close(std::task::Waker::wake);
        self.wake_called(By::Shard { me, polling: false });
        At::Gone
    }

    /// Which announcement comes first.
    pub(super) fn is_bit_first(&self) -> bool {
        self.is_flawed(Flaw::BitBeforeGate)
    }
}
