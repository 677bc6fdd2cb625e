//! What the virtual shards share, and what everybody may do to it.

use std::collections::VecDeque;
use std::fmt::Write;

use super::mail::{Awaits, Mail, Sort};
use super::program::{Act, Program, Where};
use super::shard::Shard;
use super::ticket::{Ledger, Life, Ticket};
use crate::doorbell::{Gate, Help, Idle, Need, Post};
use crate::id::ShardId;
use crate::placement::{Load, Loads, Placement, Wish};
use crate::queue::{LocalQueue, QueueOptions, SharedQueue, StealQueue};

/// What a step saw that must not be.
pub(super) type Seen = Result<(), String>;

/// What is left out or done wrong on purpose, to show that the model notices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flaw {
    /// A shard sleeps without a last look.
    NoLastLook,
    /// A shard sets its bit before it announces itself at its gate.
    BitBeforeGate,
    /// One ring in three goes nowhere.
    DropsRings,
    /// A searcher that found work ends its search without a look for more.
    DutyNotPassedOn,
    /// A shard that begins to run tasks does not count those that were injected, and thinks that
    /// one of the others is its next though a pinned or a stolen one goes first.
    BacklogMiscounted,
    /// A shard that was called, finds nothing to take and has work of its own, which others sent
    /// meanwhile, does not pass the call on.
    CalledAndBusy,
    /// A task that yields is not offered to others, though pinned ones wait and may go first.
    YieldNotOffered,
    /// Tasks whose operations completed between two polls of a turn are not offered to others.
    CompletedNotOffered,
    /// A shard that finds something for itself in its last look leaves to nobody the task in a slot
    /// that was left to its search.
    SlotForgotten,
    /// Nobody is woken for the first message of a lane.
    MessageNotPosted,
    /// A shard sleeps past its next timer.
    TimerSleptOver,
}

/// Something that is held until it is dropped: the duty of a thread outside to ring.
pub(super) trait Held {}

impl<T> Held for T {}

/// What an actor still has to do of what it began, step by step. The names are those of
/// `doorbell/README.md`.
pub(super) enum Micro<'w> {
    /// W2 to W4.
    Post(usize),
    /// W5, and what keeps the doorbell open until then.
    Ring(usize, Option<Box<dyn Held + 'w>>),
    /// K2 to K4.
    Help(Need),
    /// The same for a task that was left with this shard, unless that is sleeping.
    HelpFor(usize),
}

/// Who does something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// A thread that is no shard.
    Stranger,
    /// A shard, from within a poll or not.
    Shard { me: usize, polling: bool },
}

/// A task as the model keeps it.
pub(super) struct Task {
    pub(super) home: usize,
    pub(super) pinned: bool,
    /// How many acts are done.
    pub(super) done: usize,
    /// What the last of them waits for.
    pub(super) awaits: Option<Awaits>,
}

impl Task {
    fn new(home: usize, pinned: bool) -> Self {
        Self { home, pinned, done: 0, awaits: None }
    }
}

/// The runtime: shards in one thread over real queues, a real placement and the real words of the
/// parking protocol.
pub(super) struct World<'w, Q: StealQueue, P> {
    pub(super) program: &'w Program,
    flaw: Option<Flaw>,
    pub(super) gates: &'w [Gate],
    pub(super) idle: Idle,
    placement: &'w P,
    pub(super) shared: Vec<Q::Shared<Ticket>>,
    pub(super) lifo: Vec<Option<Ticket>>,
    /// Odd while a task is polled.
    pub(super) polls: Vec<u64>,
    /// Tasks that were sent to the shard they are pinned to; `None` when it is gone.
    pub(super) arrivals: Vec<Option<VecDeque<Ticket>>>,
    /// Tasks whose operations completed, ring by ring.
    pub(super) completions: Vec<Vec<usize>>,
    /// Rung, and not heard yet.
    pub(super) bells: Vec<bool>,
    pub(super) shards: Vec<Shard<'w, Q>>,
    /// What threads that are no shards have begun.
    pub(super) strangers: VecDeque<Micro<'w>>,
    pub(super) ledger: Ledger,
    pub(super) tasks: Vec<Task>,
    pub(super) mail: Mail,
    /// The time.
    pub(super) now: u64,
    /// How much was done: polls, thefts, and what tasks and the protocol did.
    pub(super) progress: u64,
    rings: usize,
    /// What happened, if somebody wants to read it.
    trace: Option<String>,
}

impl<'w, Q: StealQueue, P: Placement> World<'w, Q, P> {
    pub(super) fn new(
        program: &'w Program,
        gates: &'w [Gate],
        placement: &'w P,
        flaw: Option<Flaw>,
        traced: bool,
    ) -> Self {
        let count = program.shards;
        let options = QueueOptions { initial_capacity: 2 };
        let (locals, shared): (Vec<_>, Vec<_>) = (0..count).map(|_| Q::pair(&options)).unzip();
        let tasks = program.tasks.iter().map(|_| Task::new(0, false));
        Self {
            program,
            flaw,
            gates,
            idle: Idle::new(count),
            placement,
            shared,
            lifo: (0..count).map(|_| None).collect(),
            polls: vec![0; count],
            arrivals: (0..count).map(|_| Some(VecDeque::new())).collect(),
            completions: vec![Vec::new(); count],
            bells: vec![false; count],
            shards: locals.into_iter().map(|local| Shard::new(local, count)).collect(),
            strangers: VecDeque::new(),
            ledger: Ledger::new(program.tasks.len()),
            tasks: tasks.collect(),
            mail: Mail::new(count),
            now: 0,
            progress: 0,
            rings: 0,
            trace: traced.then(String::new),
        }
    }

    /// Whether this is done wrong.
    pub(super) fn is_flawed(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// Notes what happens.
    pub(super) fn note(&mut self, what: std::fmt::Arguments<'_>) {
        if let Some(trace) = &mut self.trace {
            // Writing to a string does not fail.
            writeln!(trace, "  {what}").ok();
        }
    }

    pub(super) fn trace(&self) -> &str {
        self.trace.as_deref().unwrap_or_default()
    }

    /// What `by` still has to do, to be done next.
    pub(super) fn agenda(&mut self, by: By) -> &mut VecDeque<Micro<'w>> {
        match by {
            By::Stranger => &mut self.strangers,
            By::Shard { me, .. } => &mut self.shards[me].agenda,
        }
    }

    /// Does the first thing on the agenda of `by`. Whether there was one.
    pub(super) fn go_on(&mut self, by: By) -> Result<bool, String> {
        let Some(micro) = self.agenda(by).pop_front() else { return Ok(false) };
        self.progress += 1;
        match micro {
            Micro::Post(target) => {
                let (post, duty) = match by {
                    By::Stranger => {
                        let (post, duty) = self.gates[target].post_foreign();
                        (post, duty.map(|duty| Box::new(duty) as Box<dyn Held + 'w>))
                    }
                    By::Shard { .. } => (self.gates[target].post(), None),
                };
                self.note(format_args!("{by}: posts at the gate of shard {target}: {post:?}"));
                if post == Post::Ring {
                    self.agenda(by).push_front(Micro::Ring(target, duty));
                }
            }
            Micro::Ring(target, duty) => {
                self.rings += 1;
                let arrives = !self.is_flawed(Flaw::DropsRings) || !self.rings.is_multiple_of(3);
                self.bells[target] |= arrives;
                self.note(format_args!("{by}: rings shard {target}"));
                drop(duty);
            }
            Micro::Help(need) => {
                let help = self.idle.call_for_help(need);
                self.note(format_args!("{by}: calls for help, {need:?}: {help:?}"));
                if let Help::Claimed(helper) = help {
                    self.agenda(by).push_front(Micro::Post(helper.index()));
                }
            }
            Micro::HelpFor(shard) => {
                if self.idle.any() && !self.idle.is_idle(ShardId::from_index(shard)) {
                    self.agenda(by).push_front(Micro::Help(Need::Backlog));
                }
            }
        }
        Ok(true)
    }

    /// Spawns the task, unless it was spawned before or the runtime ends.
    pub(super) fn spawn(&mut self, task: usize, by: By) -> Seen {
        if self.ledger.life(task) != Some(Life::New) || self.ledger.is_ending() {
            return Ok(());
        }
        let here = by.shard();
        let count = self.program.shards;
        let (home, pinned) = match self.program.tasks[task].place {
            Where::Stealable => (here.map_or_else(|| self.place(Wish::Any), Ok)?, false),
            Where::Preferred(shard) => (shard % count, false),
            Where::Pinned(shard) => (shard % count, true),
            Where::InTurn => (self.place(Wish::Spread)?, true),
            Where::Sticky(key) => (self.place(Wish::Key(key))?, true),
        };
        self.note(format_args!("{by}: spawns task {task}, for shard {home}"));
        self.tasks[task] = Task::new(home, pinned);
        let ticket = self.ledger.ticket(task);
        if pinned || here == Some(home) {
            self.schedule(ticket, by);
        } else {
            self.inject(home, ticket, by);
        }
        Ok(())
    }

    fn place(&self, wish: Wish) -> Result<usize, String> {
        let count = self.program.shards;
        let read = |shard: ShardId| {
            let index = shard.index();
            let sent = self.arrivals[index].as_ref().map_or(0, VecDeque::len);
            let queued = self.shared[index].len_hint() + sent;
            Load::new(queued, self.completions[index].len(), !self.gates[index].is_parked())
        };
        let answer = self.placement.place(wish, &Loads::new(count, &read)).index();
        if answer < count {
            Ok(answer)
        } else {
            Err(format!("the placement answered {wish:?} of {count} shards with shard {answer}"))
        }
    }

    /// Wakes the task, whatever it is doing.
    pub(super) fn wake(&mut self, task: usize, by: By) {
        match self.ledger.life(task) {
            Some(Life::Waiting) => {
                self.note(format_args!("{by}: wakes task {task}"));
                let ticket = self.ledger.ticket(task);
                self.schedule(ticket, by);
            }
            Some(Life::Polled { by, .. }) => {
                self.ledger.set(task, Life::Polled { by, woken: true });
            }
            _ => {}
        }
    }

    /// Queues a task that was woken or is new: `Shard::enqueue` and `Outpost::schedule`.
    fn schedule(&mut self, ticket: Ticket, by: By) {
        let (home, pinned) = (self.tasks[ticket.task()].home, self.tasks[ticket.task()].pinned);
        match by {
            By::Shard { me, polling } if pinned && home == me => {
                let shard = &mut self.shards[me];
                if !polling && shard.ahead_pinned.may(shard.looks, shard.pinned.len(), true) {
                    shard.pinned.push_front(ticket);
                } else {
                    shard.pinned.push_back(ticket);
                }
            }
            _ if pinned => {
                // A shard that is gone drops what comes.
                if let Some(arrivals) = &mut self.arrivals[home] {
                    arrivals.push_back(ticket);
                    self.agenda(by).push_back(Micro::Post(home));
                }
            }
            By::Stranger => self.inject(home, ticket, by),
            By::Shard { me, polling: false } => {
                let shard = &mut self.shards[me];
                if shard.ahead.may(shard.looks, shard.local.len(), self.lifo[me].is_none()) {
                    self.lifo[me] = Some(ticket);
                } else {
                    shard.local.push(ticket);
                }
            }
            By::Shard { me, polling: true } => {
                if let Some(before) = self.lifo[me].replace(ticket) {
                    self.shards[me].local.push(before);
                }
                self.offer_in_poll(me);
            }
        }
    }

    /// W1 for a stealable task at the shared end of another's queue.
    pub(super) fn inject(&mut self, home: usize, ticket: Ticket, by: By) {
        self.shared[home].inject(ticket);
        self.agenda(by).extend([Micro::Post(home), Micro::HelpFor(home)]);
    }

    /// Tells a sleeping shard of work that waits here, between two polls: `Shard::offer_backlog`.
    /// `in_hand`: a task was taken out of the queues to be run next.
    pub(super) fn offer_backlog(&mut self, me: usize, in_hand: bool) {
        if self.program.shards == 1 {
            return;
        }
        let shard = &self.shards[me];
        let slot = usize::from(self.lifo[me].is_some());
        let (queued, runs_one) = if self.is_flawed(Flaw::BacklogMiscounted) {
            (shard.local.len(), !in_hand)
        } else {
            let own = shard.local.len();
            let injected = shard.local.has_injected();
            let queued = if injected { self.shared[me].len_hint().max(own + 1) } else { own };
            (queued, !in_hand && shard.pinned.is_empty())
        };
        if queued + slot > usize::from(runs_one) {
            self.call_for(me, queued);
        }
    }

    /// The same within a poll that has put a task into the slot: `Shard::offer_in_poll`.
    fn offer_in_poll(&mut self, me: usize) {
        let queued = self.shards[me].local.len();
        if self.idle.any_after_exchange() && (queued > 0 || !self.idle.is_slot_seen_to()) {
            self.call_for(me, queued);
        }
    }

    /// A backlog of three is worth a wake-up.
    fn call_for(&mut self, me: usize, queued: usize) {
        let need = match queued {
            0 => Need::Slot,
            1 | 2 => Need::Backlog,
            _ => Need::Urgent,
        };
        self.shards[me].agenda.push_back(Micro::Help(need));
    }

    /// Sends a message, and posts the gate of its target.
    pub(super) fn send(&mut self, sort: Sort, to: usize, by: By) -> Seen {
        let wake = self.mail.send(by.shard(), to, sort)?;
        self.note(format_args!("{by}: sends {sort} to shard {to}"));
        self.post_message(to, wake, by);
        Ok(())
    }

    pub(super) fn post_message(&mut self, to: usize, wake: bool, by: By) {
        if wake && !self.is_flawed(Flaw::MessageNotPosted) && by.shard() != Some(to) {
            self.agenda(by).push_back(Micro::Post(to));
        }
    }

    /// Wakes the tasks whose wakers were called.
    pub(super) fn wake_called(&mut self, by: By) {
        for task in self.mail.bells.take() {
            self.wake(task, by);
        }
    }

    /// The next act of the task that this shard polls; `None` at its end.
    pub(super) fn next_act(&mut self, task: usize) -> Option<Act> {
        let done = self.tasks[task].done;
        self.tasks[task].done += 1;
        self.program.tasks[task].acts.get(done).copied()
    }

    /// The runtime takes no more tasks, and everybody is told.
    pub(super) fn shut_down(&mut self) {
        if self.ledger.is_ending() {
            return;
        }
        self.note(format_args!("outside: the end begins"));
        self.ledger.begin_end();
        self.strangers.extend((0..self.program.shards).map(Micro::Post));
    }

    /// Whether there is something for this shard to do that it does not know of.
    pub(super) fn has_signal(&self, me: usize) -> bool {
        self.bells[me] || !self.completions[me].is_empty() || self.is_left_for(me)
    }

    /// Whether something was left for this shard that a ring tells of.
    pub(super) fn is_left_for(&self, me: usize) -> bool {
        let office = &self.mail.offices[me];
        self.arrivals[me].as_ref().is_some_and(|arrivals| !arrivals.is_empty())
            || !office.letters.is_empty()
            || office.desk.has_signal()
            || self.shards[me].local.has_injected()
            || self.ledger.is_ending()
    }

    pub(super) fn others_have_backlog(&self, me: usize) -> bool {
        (0..self.program.shards).any(|other| other != me && self.shared[other].len_hint() > 0)
    }

    pub(super) fn others_hold_a_task(&self, me: usize) -> bool {
        (0..self.program.shards)
            .any(|other| other != me && self.lifo[other].is_some() && self.polls[other] % 2 == 1)
    }

    /// How many tasks are not resolved.
    pub(super) fn live(&self) -> usize {
        self.ledger.lives().into_iter().filter(|life| life.is_alive()).count()
    }

    /// Whether somebody is on the way to ring this shard.
    pub(super) fn will_be_rung(&self, target: usize) -> bool {
        let agendas = self.shards.iter().map(|shard| &shard.agenda).chain([&self.strangers]);
        agendas.flatten().any(|micro| match micro {
            Micro::Post(shard) | Micro::Ring(shard, _) => *shard == target,
            Micro::Help(_) | Micro::HelpFor(_) => false,
        })
    }
}

impl By {
    /// The shard, if it is one.
    pub(super) fn shard(self) -> Option<usize> {
        match self {
            Self::Stranger => None,
            Self::Shard { me, .. } => Some(me),
        }
    }
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stranger => f.write_str("outside"),
            Self::Shard { me, .. } => write!(f, "shard {me}"),
        }
    }
}
