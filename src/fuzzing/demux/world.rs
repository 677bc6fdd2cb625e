//! A shard without its thread, its futures, its kernel, and the model.

use std::collections::VecDeque;

use crate::assembly::Assembled;
use crate::doorbell::{Doorbell, MsgRing};
use crate::driver::{Class, Driver, Opcode, Token};
use crate::fuzzing::demux::model::{Gate, Item, Model, Stage};
use crate::fuzzing::demux::operation::{Noting, Wakes};
use crate::fuzzing::demux::script::{Kernel, Script, Setup as ScriptSetup};
use crate::fuzzing::demux::{Setup, Step};
use crate::id::ShardId;
use crate::inflight::{Abandoned, Finished, Outcome, Unfinished, cell};
use crate::message::{Desk, Direct};
use crate::options::Options;
use crate::placement::RoundRobin;
use crate::port::{Lane, Port, SubmitError};
use crate::primitive::Arc;
use crate::queue::MutexQueue;
use crate::shard::{Core, Letter, Outpost, Shard};

pub(super) type Parts = Assembled<Script, MsgRing, MutexQueue, RoundRobin>;

/// The shard that is looked at, and the one that it rings.
pub(super) const ME: ShardId = ShardId::new(0);
pub(super) const OTHER: ShardId = ShardId::new(1);

/// What a cancelled operation ends with.
pub(super) const CANCELED: Outcome = Outcome { result: -libc::ECANCELED, flags: 0 };

/// Letters that are read at a time.
const LETTERS: usize = 256;

pub(super) struct World {
    pub(super) shard: Shard<Parts>,
    pub(super) core: Arc<Core<Parts>>,
    pub(super) kernel: ScriptSetup,
    /// Where messages to the other shard arrive.
    pub(super) desk: Desk,
    pub(super) model: Model,
    /// Letters that were not read, as the model knows them.
    letters: VecDeque<Note>,
    next: u64,
    /// Tokens that were in use, for completions that come late.
    pub(super) tokens: Vec<Token>,
    pub(super) watches: bool,
}

/// A letter.
enum Note {
    Submit(u64),
    Cancel(Token, u64),
}

impl World {
    pub(super) fn new(setup: Setup) -> Self {
        let kernel = ScriptSetup::new(Kernel {
            entries: setup.entries,
            takes: setup.entries,
            watches: setup.watches,
            ..Kernel::default()
        });
        let options =
            Options { shards: Some(2), max_operations: setup.operations, ..Options::default() };
        let (core, mut locals) = Core::<Parts>::new(options, RoundRobin::new());
        let core = Arc::new(core);
        let lane = Arc::new(Outpost::new(Arc::clone(&core), ME)) as Arc<dyn Lane>;
        let queue = locals.swap_remove(0);
        let shard = Shard::open(Arc::clone(&core), ME, lane, queue, &kernel);
        let shard = shard.expect("a script opens");
        // The bell of the other shard; nobody looks at its kernel.
        let other = ScriptSetup::new(Kernel { entries: 8, ..Kernel::default() });
        let mut driver = Script::open(&other, OTHER).expect("a script opens");
        let (_, ringer) = MsgRing::open(&mut driver, OTHER).expect("a script has messages");
        assert!(core.public(OTHER).ringer.set(ringer).is_ok(), "it is opened once");
        let desk = Desk::new(Arc::clone(&core.hub), OTHER);
        Self {
            shard,
            kernel,
            desk,
            core,
            model: Model::new(setup.operations),
            letters: VecDeque::new(),
            next: 0,
            tokens: Vec::new(),
            watches: setup.watches,
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Submit { elsewhere, receives } => self.submit(elsewhere, receives),
            Step::ReadLetters => self.read_letters(),
            Step::Poll(item) => self.poll(item),
            Step::Drop { operation, elsewhere } => self.drop_future(operation, elsewhere),
            Step::Withdraw(item) => self.withdraw(item),
            Step::LookAgain(answer) => self.look_again(answer),
            Step::Flush { takes } => self.flush(takes.into()),
            Step::Complete { entry, result, flags } => self.complete(entry, result, flags),
            Step::More { entry, result, flags } => self.more(entry, result, flags),
            Step::Echo { cqe, result, flags } => self.echo(cqe, result, flags),
            Step::Stray(stray) => self.stray(stray),
            Step::Collect => self.collect(),
            Step::Close => self.close_fd(),
            Step::Sleep => self.sleep(),
            Step::Wake => self.wake(),
            Step::End => self.end_other(),
            Step::Message(val) => self.send(val),
        }
        self.learn();
    }

    /// Everything in flight completes, every future is polled, and nothing is left.
    pub(super) fn finish(mut self) {
        // Each lap moves what fits into the queues; nothing new comes.
        while !self.letters.is_empty() || self.model.in_flight > 0 || !self.is_handed_over() {
            self.read_letters();
            self.look_again(None);
            self.flush(usize::MAX);
            self.learn();
            self.complete_all();
            self.collect();
            self.check();
        }
        while !self.model.items.is_empty() {
            self.poll(0);
            self.check();
        }
        self.check_end();
    }

    /// What must hold after every step.
    pub(super) fn check(&mut self) {
        self.model.retire();
        let counters = &self.core.public(ME).counters;
        assert_eq!(counters.in_flight.get(), self.model.in_flight as u64, "in flight");
        assert_eq!(counters.cqes.get(), self.model.cqes, "completions");
        assert_eq!(counters.doorbells_failed.get(), self.model.failed, "bells that failed");
        let heard = self.model.heard - u64::from(self.owes_watch());
        assert_eq!(counters.doorbells_heard.get(), heard, "bells heard");
        let (own, _) = self.core.hub.tallies(ME);
        assert_eq!(own.failed.get(), self.model.messages_failed, "messages that failed");
    }

    fn submit(&mut self, elsewhere: bool, receives: bool) {
        let number = self.next;
        self.next += 1;
        let opcode = if receives { Opcode::RECV } else { Opcode::READ };
        let (operation, notes) = Noting::new(number, opcode);
        let (wakes, waker) = Wakes::pair();
        let (claim, charge) = cell(operation, ME, waker.clone());
        let mut item = Item {
            number,
            claim: None,
            notes,
            stage: Stage::Posted,
            token: None,
            more: Vec::new(),
            wakes,
            woken: false,
            receives,
        };
        if elsewhere {
            let sent = self.core.public(ME).mailbox.push(Letter::Submit(charge));
            assert!(sent.is_ok(), "the mailbox is open");
            self.letters.push_back(Note::Submit(number));
            item.claim = Some(claim);
            self.model.items.push(item);
            return;
        }
        match self.shard.submit(charge) {
            Ok(()) => {
                assert!(self.model.in_flight < self.model.limit, "one beyond the limit");
                item.claim = Some(claim);
                item.stage = Stage::InFlight;
                self.model.in_flight += 1;
                self.model.items.push(item);
            }
            Err((error, charge)) => {
                assert_eq!(error, SubmitError::Full { limit: self.model.limit });
                assert_eq!(self.model.in_flight, self.model.limit, "refused below the limit");
                let refused = Outcome { result: 0, flags: 0 };
                let Finished::Wake(stored) = charge.finish(refused) else {
                    panic!("a waker lies there")
                };
                assert!(stored.will_wake(&waker));
                let (operation, outcome) = claim.poll(&waker).expect("it is finished");
                assert_eq!(outcome, refused);
                drop(operation);
                assert!(item.notes.fate().dropped);
            }
        }
    }

    fn read_letters(&mut self) {
        self.shard.read_letters();
        let count = self.letters.len().min(LETTERS);
        let letters: Vec<Note> = self.letters.drain(..count).collect();
        for letter in letters {
            match letter {
                Note::Submit(number) => self.submitted(number),
                Note::Cancel(token, number) => {
                    // A receive that waited for a second look ends at once.
                    let item = self.model.items.iter().find(|item| item.number == number);
                    let ended = item.is_some_and(|item| {
                        item.stage == Stage::InFlight && item.notes.fate().dropped
                    });
                    self.cancelled(token, number, ended);
                }
            }
        }
    }

    /// A letter with an operation was read.
    fn submitted(&mut self, number: u64) {
        let (in_flight, limit) = (self.model.in_flight, self.model.limit);
        let item = self.model.item(number);
        if in_flight == limit {
            item.end(SubmitError::Full { limit }.outcome(), false);
        } else if item.claim.is_none() {
            let fate = item.notes.fate().clone();
            assert_eq!((fate.abandoned, fate.dropped), (Some(None), true), "nobody waits for it");
            self.model.items.retain(|item| item.number != number);
        } else {
            item.stage = Stage::InFlight;
            self.model.in_flight += 1;
        }
    }

    fn poll(&mut self, item: u8) {
        let Some(at) = usize::from(item).checked_rem(self.model.items.len()) else { return };
        let item = &mut self.model.items[at];
        let Some(claim) = item.claim.take() else { return };
        let (wakes, waker) = Wakes::pair();
        match (claim.poll(&waker), item.stage) {
            (Ok((operation, outcome)), Stage::Ended { outcome: expected, .. }) => {
                assert_eq!(outcome, expected);
                item.notes.check_more(&item.more);
                drop(operation);
                assert!(item.notes.fate().dropped);
                self.model.items.swap_remove(at);
            }
            (Err(Unfinished::Pending(claim)), Stage::Posted | Stage::InFlight) => {
                assert_eq!(item.wakes.count(), 0, "a waker that was replaced was woken");
                item.claim = Some(claim);
                item.wakes = wakes;
            }
            (seen, _) => panic!("{item:?} was polled: {:?}", seen.map(|(_, outcome)| outcome)),
        }
    }

    fn drop_future(&mut self, item: u8, elsewhere: bool) {
        let Some(at) = usize::from(item).checked_rem(self.model.items.len()) else { return };
        let item = &mut self.model.items[at];
        let Some(claim) = item.claim.take() else { return };
        let (number, wakes) = (item.number, item.wakes.count());
        match (claim.abandon(), item.stage) {
            (Abandoned::Nothing, Stage::Posted | Stage::Ended { .. }) => {}
            (Abandoned::Cancel { home, token }, Stage::InFlight) => {
                assert_eq!(home, ME);
                assert!(item.token.is_none_or(|known| known == token), "another token");
                if elsewhere {
                    let sent = self.core.public(ME).mailbox.push(Letter::Cancel(token));
                    assert!(sent.is_ok(), "the mailbox is open");
                    self.letters.push_back(Note::Cancel(token, number));
                } else {
                    self.cancel(token, number);
                }
            }
            (abandoned, stage) => panic!("{stage:?} was dropped: {abandoned:?}"),
        }
        if let Some(item) = self.model.items.iter().find(|item| item.number == number) {
            assert_eq!(item.wakes.count(), wakes, "a future that is gone was woken");
        }
    }

    fn withdraw(&mut self, item: u8) {
        let Some(at) = usize::from(item).checked_rem(self.model.items.len()) else { return };
        let item = &mut self.model.items[at];
        let Some(claim) = item.claim.take() else { return };
        let number = item.number;
        match (claim.withdraw(), item.stage) {
            (None, Stage::Posted | Stage::Ended { submitted: false, .. }) => {}
            (Some((claim, token)), Stage::InFlight | Stage::Ended { submitted: true, .. }) => {
                assert!(item.token.is_none_or(|known| known == token), "another token");
                item.claim = Some(claim);
                self.cancel(token, number);
            }
            (left, stage) => panic!("{stage:?} was withdrawn: {left:?}"),
        }
    }

    /// The shard is asked to cancel an operation of its own.
    fn cancel(&mut self, token: Token, number: u64) {
        let before = self.core.public(ME).counters.in_flight.get();
        Port::cancel(&self.shard, ME, token);
        let ended = self.core.public(ME).counters.in_flight.get() < before;
        self.cancelled(token, number, ended);
    }

    /// The shard has done what it does to cancel; the operation has ended with that, or has not.
    fn cancelled(&mut self, token: Token, number: u64, ended: bool) {
        let item = self.model.items.iter().find(|item| item.number == number);
        let is_in_flight = item.is_some_and(|item| item.stage == Stage::InFlight);
        if !is_in_flight {
            assert!(!ended, "{token:?} had ended before");
            return;
        }
        if ended {
            let item = self.model.item(number);
            assert!(item.receives, "the kernel has not let go of {item:?}");
            let pushed = self.kernel.kernel().holds(token);
            assert!(!pushed, "the kernel has {token:?} still");
            self.model.end(number, CANCELED);
        } else {
            self.model.cancels += 1;
        }
    }

    fn look_again(&mut self, answer: Option<i32>) {
        self.kernel.kernel().answer = answer;
        self.shard.look_again();
        let tried = std::mem::take(&mut self.kernel.kernel().tried);
        for (sqe, answer) in tried {
            self.model.learn(sqe.off, sqe.token);
            if let Some(result) = answer {
                self.model.end(sqe.off, Outcome { result, flags: 0 });
            }
        }
    }

    fn sleep(&mut self) {
        if self.model.gate != Gate::Closed {
            let gate = &self.core.public(OTHER).gate;
            let _was_rung = gate.withdraw();
            gate.announce();
            self.model.gate = Gate::Asleep;
        }
    }

    fn wake(&mut self) {
        self.model.wake();
        self.shard.wake_shard(OTHER);
    }

    fn end_other(&mut self) {
        if self.model.gate != Gate::Closed {
            self.core.public(OTHER).gate.close();
            self.model.gate = Gate::Closed;
        }
    }

    fn send(&mut self, val: u32) {
        let direct = self.shard.desk().send_direct(OTHER, (1, val), 0);
        let direct = direct.expect("a lane holds more than a program sends");
        self.model.messages.push(val);
        match direct {
            Direct::Push(rider) => {
                let direct = |world: &Self| world.core.hub.tallies(ME).0.direct.get();
                let before = direct(self);
                self.shard.ride(OTHER, rider);
                if direct(self) == before {
                    // There was no room in the queue: it goes by its lane.
                    self.model.wake();
                }
            }
            Direct::Wake => self.wake(),
            Direct::Done => {}
        }
    }

    /// Notes the tokens of what was pushed since.
    pub(super) fn learn(&mut self) {
        let seen = std::mem::take(&mut self.kernel.kernel().seen);
        for sqe in seen {
            self.tokens.push(sqe.token);
            if sqe.token.class() == Some(Class::Op) {
                self.model.learn(sqe.off, sqe.token);
            }
        }
    }
}
