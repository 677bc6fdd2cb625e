//! What a virtual shard does while it has work: mail, polls, and what tasks do in them.

use super::mail::Awaits;
use super::program::Act;
use super::shard::At;
use super::ticket::{Life, Ticket};
use super::world::{By, Flaw, Micro, World};
use crate::placement::Placement;
use crate::queue::{LocalQueue, StealQueue};

/// Tasks taken from the LIFO slot in a row before the queue gets its turn.
const LIFO_IN_A_ROW: u32 = 3;
/// Every so many polls a task is taken from the injected end first; in short programs sooner than
/// in the runtime.
const INJECTED_EVERY: u32 = 5;
/// Polls in one turn.
const POLLS: u32 = 4;

/// How a poll ends.
enum End {
    /// The task is done.
    Done,
    /// It wants the next poll.
    Yields,
    /// It waits to be woken.
    Waits,
}

impl<Q: StealQueue, P: Placement> World<'_, Q, P> {
    /// Fires what is due and takes what was sent.
    pub(super) fn top(&mut self, me: usize) -> Result<At, String> {
        if self.ledger.is_ending() {
            return Ok(At::Ending);
        }
        self.shards[me].looks += 1;
        let mut due = Vec::new();
        self.mail.offices[me].wheel.advance(self.now, |timer| due.push(timer));
        for (task, deadline) in due {
            if deadline > self.now {
                return Err(format!("a timer for {deadline} fires at {}", self.now));
            }
            self.wake(task, By::Shard { me, polling: false });
        }
        if let Some(arrivals) = &mut self.arrivals[me] {
            self.shards[me].pinned.append(arrivals);
        }
        Ok(At::TakeMail)
    }

    /// `read_letters` and `take_messages`.
    pub(super) fn take_mail(&mut self, me: usize) -> At {
        let office = &mut self.mail.offices[me];
        let mut letters = Vec::new();
        office.letters.take(&mut letters);
        for key in letters {
            office.wheel.remove(key);
        }
        // In a turn the desk is looked at if it says that there is something.
        if office.desk.has_signal() {
            office.desk.take(std::task::Waker::wake);
            self.wake_called(By::Shard { me, polling: false });
        }
        At::Offer
    }

    pub(super) fn collect(&mut self, me: usize) {
        self.bells[me] = false;
        for task in std::mem::take(&mut self.completions[me]) {
            self.wake(task, By::Shard { me, polling: false });
        }
    }

    /// The end of a turn: what is on the ring, and what comes next.
    pub(super) fn serve(&mut self, me: usize) -> At {
        self.collect(me);
        let shard = &self.shards[me];
        let has_work =
            !shard.pinned.is_empty() || !shard.local.is_empty() || self.lifo[me].is_some();
        if has_work || self.ledger.is_ending() { At::Top } else { At::Idle }
    }

    pub(super) fn start_poll(&mut self, me: usize, polls: u32) -> Result<At, String> {
        if polls == POLLS {
            return Ok(At::Serve);
        }
        // Between two polls the shard looks at its ring.
        if polls > 0 && !self.completions[me].is_empty() {
            self.shards[me].looks += 1;
            self.collect(me);
            if !self.is_flawed(Flaw::CompletedNotOffered) {
                self.offer_backlog(me, false);
            }
            return Ok(At::Next { polls });
        }
        let Some(ticket) = self.next_task(me) else { return Ok(At::Serve) };
        let task = ticket.poll(me)?;
        self.progress += 1;
        self.note(format_args!("shard {me}: polls task {task}"));
        if self.tasks[task].pinned && self.tasks[task].home != me {
            let home = self.tasks[task].home;
            return Err(format!("shard {me} polls task {task}, which is pinned to shard {home}"));
        }
        self.polls[me] += 1;
        Ok(At::Polling { task, polls })
    }

    /// `Shard::next_task`.
    pub(super) fn next_task(&mut self, me: usize) -> Option<Ticket> {
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
        let next = if !shard.pinned_first { shard.pop_pinned() } else { None };
        next.or_else(|| shard.pop_stealable())
            .or_else(|| shard.pop_pinned())
            .or_else(|| self.lifo[me].take())
            .or_else(|| shard.local.pop_injected())
    }

    /// One act of the task that is polled.
    pub(super) fn act(&mut self, me: usize, task: usize, polls: u32) -> Result<At, String> {
        let by = By::Shard { me, polling: true };
        self.progress += 1;
        if self.shards[me].long > 0 {
            self.shards[me].long -= 1;
            return Ok(At::Polling { task, polls });
        }
        if let Some(awaits) = self.tasks[task].awaits.take() {
            return self.go_on_waiting(me, task, polls, awaits);
        }
        let act = self.next_act(task);
        match act {
            Some(Act::Spawn(other)) => self.spawn(other, by)?,
            Some(Act::Wake(other)) => self.wake(other, by),
            Some(Act::Long(steps)) => self.shards[me].long = steps,
            Some(Act::Send(sort, to)) if to < self.program.shards => self.send(sort, to, by)?,
            Some(Act::Deliver(to)) if to < self.program.shards => {
                let (wake, pending) = self.mail.send_pending(me, to)?;
                self.note(format_args!("{by}: delivers a message to shard {to}"));
                self.post_message(to, wake, by);
                self.tasks[task].awaits = pending.map(Awaits::Receipt);
            }
            // Whoever reads the messages of a shard stays there.
            Some(Act::Receive(sort)) if self.tasks[task].pinned => {
                self.tasks[task].awaits = Some(Awaits::Message(sort, None));
            }
            Some(Act::Sleep(span)) => {
                let deadline = self.now + u64::from(span);
                self.set_timer(me, task, deadline)?;
                return self.end_poll(me, task, polls, End::Waits);
            }
            Some(Act::Send(..) | Act::Deliver(_) | Act::Receive(_)) => {}
            Some(Act::Yield) => return self.end_poll(me, task, polls, End::Yields),
            Some(Act::Wait) => return self.end_poll(me, task, polls, End::Waits),
            None => return self.end_poll(me, task, polls, End::Done),
        }
        Ok(At::Polling { task, polls })
    }

    /// Polls what the task waits for.
    fn go_on_waiting(
        &mut self,
        me: usize,
        task: usize,
        polls: u32,
        mut awaits: Awaits,
    ) -> Result<At, String> {
        let by = By::Shard { me, polling: true };
        let ready = match &mut awaits {
            Awaits::Message(sort, key) => self.mail.receive(me, task, *sort, key)?,
            Awaits::Receipt(pending) => {
                let (over, asked) = self.mail.poll_receipt(task, pending);
                if let Some(target) = asked {
                    self.post_message(target, true, by);
                }
                over
            }
            Awaits::Time { deadline, home, key } => {
                let (deadline, home, key) = (*deadline, *home, *key);
                let ready = deadline <= self.now;
                if home == me {
                    if ready {
                        self.mail.offices[me].wheel.remove(key);
                    }
                } else {
                    // The timer follows to the shard that polls its task.
                    if self.mail.offices[home].letters.push(key).is_ok() {
                        self.agenda(by).push_back(Micro::Post(home));
                    }
                    if !ready {
                        self.set_timer(me, task, deadline)?;
                        return self.end_poll(me, task, polls, End::Waits);
                    }
                }
                ready
            }
        };
        self.wake_called(by);
        if ready {
            self.note(format_args!("{by}: what task {task} waited for is there"));
            return Ok(At::Polling { task, polls });
        }
        self.tasks[task].awaits = Some(awaits);
        self.end_poll(me, task, polls, End::Waits)
    }

    fn set_timer(&mut self, me: usize, task: usize, deadline: u64) -> Result<(), String> {
        let timer = self.mail.offices[me].wheel.insert(deadline, (task, deadline));
        let key = timer.map_err(|full| format!("a timer is left out: {full}"))?;
        self.tasks[task].awaits = Some(Awaits::Time { deadline, home: me, key });
        Ok(())
    }

    /// The end of a poll: `Shard::enqueue_last`.
    fn end_poll(&mut self, me: usize, task: usize, polls: u32, end: End) -> Result<At, String> {
        let woken = match self.ledger.life(task) {
            Some(Life::Polled { by, woken }) if by == me => woken,
            life => return Err(format!("task {task} is {life:?} while shard {me} polls it")),
        };
        self.polls[me] += 1;
        match end {
            End::Done => {
                self.note(format_args!("shard {me}: task {task} is done"));
                self.ledger.set(task, Life::Done);
            }
            End::Waits if !woken => {
                self.note(format_args!("shard {me}: task {task} waits"));
                self.ledger.set(task, Life::Waiting);
            }
            End::Yields | End::Waits => {
                let ticket = self.ledger.ticket(task);
                let shard = &mut self.shards[me];
                if self.tasks[task].pinned {
                    shard.pinned.push_back(ticket);
                } else {
                    shard.local.push(ticket);
                    self.offer_yielded(me);
                }
            }
        }
        Ok(At::Next { polls: polls + 1 })
    }

    /// A task that yields is this shard's next, unless a pinned one goes first.
    fn offer_yielded(&mut self, me: usize) {
        if !self.is_flawed(Flaw::YieldNotOffered) && !self.shards[me].pinned.is_empty() {
            self.offer_backlog(me, false);
        }
    }
}
