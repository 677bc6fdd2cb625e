//! The operations on one shard's ring: what the kernel owns until the final completion.

use std::task::Waker;

use crate::driver::{Class, Cqe, Opcode, Token};
use crate::inflight::cell::{Charge, Outcome};

/// The operations in flight on one ring, each in a slot with a generation.
#[derive(Debug)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
    live: usize,
    limit: usize,
    /// Completions that named a slot which was not theirs.
    stale: u64,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    opcode: Opcode,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    /// Given out, not yet filled.
    Reserved,
    Busy(Charge),
}

/// What a completion means for the table.
#[derive(Debug)]
#[must_use]
pub(crate) enum Completed {
    /// The operation is over; finish its charge.
    Last(Charge, Outcome),
    /// More will come; the charge has been told. Wake this one.
    More(Option<Waker>),
    /// It names no operation in flight: a late or doubled completion. Counted, and of no effect.
    Stale,
}

impl Table {
    /// A table for at most `limit` operations; no more than `u32::MAX`.
    pub(crate) fn new(limit: usize) -> Self {
        let limit = limit.min(u32::MAX as usize);
        Self { slots: Vec::new(), free: Vec::new(), live: 0, limit, stale: 0 }
    }

    /// Takes a slot, to be filled with [`fill`](Self::fill) or given back with
    /// [`release`](Self::release). `None` at the limit.
    #[inline]
    pub(crate) fn reserve(&mut self) -> Option<Token> {
        if self.live == self.limit {
            return None;
        }
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                let slot = Slot { generation: 0, opcode: Opcode::NOP, state: State::Free };
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).expect("the limit is within u32")
            }
        };
        self.live += 1;
        let slot = &mut self.slots[index as usize];
        slot.state = State::Reserved;
        Some(Token::new(Class::Op, slot.generation, index))
    }

    /// Notes the operation that was pushed with this token.
    #[inline]
    pub(crate) fn fill(&mut self, token: Token, opcode: Opcode, charge: Charge) {
        let slot = self.reserved(token);
        slot.opcode = opcode;
        slot.state = State::Busy(charge);
    }

    /// Gives a reserved slot back.
    pub(crate) fn release(&mut self, token: Token) {
        self.reserved(token);
        self.vacate(token.index());
    }

    /// Sorts a completion of class [`Class::Op`]; one of another class is as good as stale.
    #[inline]
    pub(crate) fn complete(&mut self, cqe: Cqe) -> Completed {
        let outcome = Outcome { result: cqe.result, flags: cqe.flags };
        let index = cqe.token.index();
        let Some(slot) = self.busy(cqe.token) else {
            self.stale += 1;
            return Completed::Stale;
        };
        if cqe.has_more() {
            let State::Busy(charge) = &slot.state else { return Completed::Stale };
            return Completed::More(charge.more(outcome));
        }
        match std::mem::replace(&mut slot.state, State::Free) {
            State::Busy(charge) => {
                self.vacate(index);
                Completed::Last(charge, outcome)
            }
            State::Free | State::Reserved => Completed::Stale,
        }
    }

    /// Whether the token names an operation in flight.
    #[inline]
    pub(crate) fn is_in_flight(&self, token: Token) -> bool {
        let slot = self.slots.get(token.index() as usize);
        slot.is_some_and(|slot| slot.is_of(token) && matches!(slot.state, State::Busy(_)))
    }

    /// The operations in flight.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = (Token, Opcode)> + '_ {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let index = u32::try_from(index).expect("the limit is within u32");
            let token = Token::new(Class::Op, slot.generation, index);
            matches!(slot.state, State::Busy(_)).then_some((token, slot.opcode))
        })
    }

    /// Shows the operations in flight that a future waits for just now, with its waker. `body` runs
    /// no code of a user's.
    pub(crate) fn for_each_waker(&self, mut body: impl FnMut(Opcode, &Waker)) {
        for slot in &self.slots {
            if let State::Busy(charge) = &slot.state {
                let _shown = charge.with_waker(|waker| body(slot.opcode, waker));
            }
        }
    }

    /// Which operation the token names, if it is in flight.
    pub(crate) fn opcode(&self, token: Token) -> Option<Opcode> {
        let slot = self.slots.get(token.index() as usize)?;
        self.is_in_flight(token).then_some(slot.opcode)
    }

    /// Takes every operation in flight out, for a shard that goes before the kernel has let go of
    /// them.
    pub(crate) fn lose_all(&mut self) -> Vec<Charge> {
        let mut lost = Vec::with_capacity(self.live);
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if !matches!(slot.state, State::Busy(_)) {
                continue;
            }
            if let State::Busy(charge) = std::mem::replace(&mut slot.state, State::Free) {
                lost.push(charge);
                self.vacate(u32::try_from(index).expect("the limit is within u32"));
            }
        }
        lost
    }

    /// How many operations are in flight, slots that are reserved for one included.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// The most that can be in flight.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Counts a completion whose token no part of ours made.
    pub(crate) fn refuse(&mut self) {
        self.stale += 1;
    }

    /// How many completions were refused because their slot was not theirs.
    #[inline]
    pub(crate) fn stale(&self) -> u64 {
        self.stale
    }

    #[inline]
    fn busy(&mut self, token: Token) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(token.index() as usize)?;
        (slot.is_of(token) && matches!(slot.state, State::Busy(_))).then_some(slot)
    }

    #[track_caller]
    fn reserved(&mut self, token: Token) -> &mut Slot {
        let slot = &mut self.slots[token.index() as usize];
        let is_reserved = slot.is_of(token) && matches!(slot.state, State::Reserved);
        assert!(is_reserved, "invariant I3: {token:?} was reserved");
        slot
    }

    #[inline]
    fn vacate(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.generation = (slot.generation + 1) & Token::MAX_GENERATION;
        slot.state = State::Free;
        self.free.push(index);
        self.live -= 1;
    }
}

impl Slot {
    /// Whether the token names the present use of this slot. A request to cancel has the same
    /// generation and index as the operation that it cancels, so the class counts as well.
    fn is_of(&self, token: Token) -> bool {
        token == Token::new(Class::Op, self.generation, token.index())
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
