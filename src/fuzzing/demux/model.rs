//! The model of a shard's completions: a map from token to operation, and a few sums.

use std::collections::HashMap;
use std::sync::Arc;

use crate::driver::{Class, Cqe, Token, cqe_flags};
use crate::fuzzing::demux::operation::{Notes, Noting, Wakes};
use crate::inflight::{Claim, Outcome};

/// Where an operation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// In a letter to its shard.
    Posted,
    InFlight,
    /// It came to its end on the shard, or was refused there.
    Ended {
        outcome: Outcome,
        submitted: bool,
    },
}

/// An operation and its future.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) number: u64,
    /// `None`: the future is gone.
    pub(super) claim: Option<Claim<Noting>>,
    pub(super) notes: Notes,
    pub(super) stage: Stage,
    /// Nobody knows before it was pushed.
    pub(super) token: Option<Token>,
    /// What was passed on before the end.
    pub(super) more: Vec<Outcome>,
    /// The waker that its future left last, and whether it was to be woken since.
    pub(super) wakes: Arc<Wakes>,
    pub(super) woken: bool,
    pub(super) receives: bool,
}

impl Item {
    /// Its end came on the shard.
    pub(super) fn end(&mut self, outcome: Outcome, submitted: bool) {
        assert!(!matches!(self.stage, Stage::Ended { .. }), "ended twice: {self:?}");
        self.stage = Stage::Ended { outcome, submitted };
        self.woken = self.claim.is_some();
    }

    /// Whether what became of it is what was to become of it.
    pub(super) fn check(&self) {
        if self.claim.is_some() {
            assert_eq!(self.wakes.count(), usize::from(self.woken), "wakes of {self:?}");
        }
        self.notes.check_more(&self.more);
        let fate = self.notes.fate();
        let (abandoned, dropped) = match self.stage {
            Stage::Ended { outcome, .. } if self.claim.is_none() => (Some(Some(outcome)), true),
            _ => (None, false),
        };
        assert_eq!((fate.abandoned, fate.dropped), (abandoned, dropped), "the end of {self:?}");
    }
}

/// The other shard's gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gate {
    Awake,
    Asleep,
    Closed,
}

/// What the shard is to have done.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) items: Vec<Item>,
    /// Numbers of operations that are known to be in flight, by token.
    pub(super) live: HashMap<Token, u64>,
    pub(super) in_flight: usize,
    pub(super) limit: usize,
    pub(super) cqes: u64,
    pub(super) stale: u64,
    /// Doorbells: heard, failed, and rung by this shard in all.
    pub(super) heard: u64,
    pub(super) failed: u64,
    pub(super) rung: u64,
    /// Requests to cancel that must go to the kernel.
    pub(super) cancels: usize,
    pub(super) gate: Gate,
    /// Messages that were taken, in order, and entries of them that failed.
    pub(super) messages: Vec<u32>,
    pub(super) messages_failed: u64,
}

impl Model {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            items: Vec::new(),
            live: HashMap::new(),
            in_flight: 0,
            limit,
            cqes: 0,
            stale: 0,
            heard: 0,
            failed: 0,
            rung: 0,
            cancels: 0,
            gate: Gate::Awake,
            messages: Vec::new(),
            messages_failed: 0,
        }
    }

    /// The item of an operation that is not over.
    pub(super) fn item(&mut self, number: u64) -> &mut Item {
        let item = self.items.iter_mut().find(|item| item.number == number);
        item.expect("an operation in flight has an item")
    }

    /// An entry with this token was pushed for an operation.
    pub(super) fn learn(&mut self, number: u64, token: Token) {
        let item = self.item(number);
        if item.token.is_none() {
            item.token = Some(token);
            assert_eq!(item.stage, Stage::InFlight, "pushed: {item:?}");
            let before = self.live.insert(token, number);
            assert_eq!(before, None, "two operations have {token:?}");
        }
        assert_eq!(self.item(number).token, Some(token), "an operation has two tokens");
    }

    /// A completion is sorted.
    pub(super) fn sort(&mut self, cqe: Cqe) {
        self.cqes += 1;
        match cqe.token.class() {
            Some(Class::Op) => self.complete(cqe),
            Some(Class::BellSent) if cqe.result < 0 => {
                self.failed += 1;
                // Nobody knows a third shard.
                match cqe.token.index() {
                    0 => self.rung += 1,
                    1 if self.gate != Gate::Closed => self.rung += 1,
                    1 => {}
                    _ => {
                        self.failed -= 1;
                        self.stale += 1;
                    }
                }
            }
            Some(Class::Bell | Class::BellSent | Class::Watch) => self.heard += 1,
            Some(Class::Cancel | Class::Close) => {}
            // Nobody sends messages to this shard.
            Some(Class::Message) | None => self.stale += 1,
            Some(Class::MessageSent) => self.messages_failed += 1,
        }
    }

    /// A completion of an operation.
    pub(super) fn complete(&mut self, cqe: Cqe) {
        let Some(&number) = self.live.get(&cqe.token) else {
            self.stale += 1;
            return;
        };
        let outcome = Outcome { result: cqe.result, flags: cqe.flags };
        if cqe.flags & cqe_flags::MORE != 0 {
            self.item(number).more.push(outcome);
        } else {
            self.end(number, outcome);
        }
    }

    /// An operation in flight is over.
    pub(super) fn end(&mut self, number: u64, outcome: Outcome) {
        let item = self.item(number);
        item.end(outcome, true);
        let token = item.token;
        self.in_flight -= 1;
        if let Some(token) = token {
            self.live.remove(&token);
        }
    }

    /// Work was published to the other shard.
    pub(super) fn wake(&mut self) {
        if self.gate == Gate::Asleep {
            self.gate = Gate::Awake;
            self.rung += 1;
        }
    }

    /// Whether an operation is in flight whose token nobody knows yet.
    pub(super) fn has_unknown(&self) -> bool {
        self.in_flight > self.live.len()
    }

    /// Forgets operations that are over and whose future is gone.
    pub(super) fn retire(&mut self) {
        for item in &self.items {
            item.check();
        }
        let is_over =
            |item: &Item| item.claim.is_none() && matches!(item.stage, Stage::Ended { .. });
        self.items.retain(|item| !is_over(item));
    }
}
