//! Direct messages: those that travel as completions from ring to ring, and their order.
//!
//! A completion cannot be refused by its target, and an entry that asks for one may fail after
//! those behind it went through. So direct messages are numbered. The source keeps a copy of each
//! until the target has it among its events, has no more than so many on the way, and sends what
//! cannot go directly through its queue lane, with its number. The target puts them in order.

use std::collections::VecDeque;
use std::task::Waker;

use crate::driver::{Class, Token};
use crate::id::ShardId;
use crate::message::lane::{Parcel, Refused};
use crate::message::receipts::{Left, Receipts};
use crate::primitive::Arc;

/// The most direct messages of one source to one target that may be on the way, whatever the
/// capacity of a lane: half of what the bits of a number in a slot can tell apart.
pub(super) const MOST_ON_THE_WAY: u64 = 1 << (Parcel::NUMBER_BITS - 1);
/// With more than so many on the way the next one takes the queue lane, because those before it
/// fill the target's completion queue.
pub(super) const MOST_RIDERS: u64 = 128;

/// A message as it is delivered.
pub(super) type Message = (u16, u32);

/// What travels in the token and the result of the completion that is a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rider {
    /// The token that the target finds.
    pub(crate) token: Token,
    /// The result that the target finds.
    pub(crate) result: i32,
    /// The token of the entry, which completes only if it failed.
    pub(crate) sent: Token,
}

impl Rider {
    fn new(from: ShardId, to: ShardId, number: u64, (tag, val): Message) -> Self {
        let number = number as u32 & Token::MAX_GENERATION;
        let index = u32::from(from.get()) << 16 | u32::from(tag);
        Self {
            token: Token::new(Class::Message, number, index),
            result: val.cast_signed(),
            sent: Token::new(Class::MessageSent, number, u32::from(to.get())),
        }
    }

    /// Who sent the message that came with this token, and the message.
    pub(super) fn read(token: Token, result: i32) -> (ShardId, Message) {
        let from = ShardId::new((token.index() >> 16) as u16);
        (from, (token.index() as u16, result.cast_unsigned()))
    }

    /// For whom the entry with this token was.
    pub(super) fn target(sent: Token) -> ShardId {
        ShardId::new(sent.index() as u16)
    }
}

/// How a direct message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// As a completion.
    Direct(Rider),
    /// Through the queue lane.
    Queue(Parcel),
}

/// The direct messages of one source that are on their way to one target.
#[derive(Debug)]
pub(super) struct Departures {
    receipts: Arc<Receipts>,
    /// The most on the way.
    limit: u64,
    /// The number of the first copy.
    first: u64,
    copies: VecDeque<Message>,
}

impl Departures {
    pub(super) fn new(receipts: Arc<Receipts>, capacity: usize) -> Self {
        let limit = MOST_ON_THE_WAY.min(capacity as u64);
        Self { receipts, limit, first: 0, copies: VecDeque::new() }
    }

    /// How a message goes, once it is [noted](Self::note).
    pub(super) fn way(
        &mut self,
        from: ShardId,
        to: ShardId,
        message: Message,
    ) -> Result<Way, Refused> {
        if self.receipts.is_closed() {
            return Err(Refused::Closed);
        }
        self.forget_delivered();
        let on_the_way = self.copies.len() as u64;
        if on_the_way >= self.limit {
            return Err(Refused::Full);
        }
        let number = self.sent();
        if on_the_way < MOST_RIDERS {
            return Ok(Way::Direct(Rider::new(from, to, number, message)));
        }
        Ok(Way::Queue(parcel(number, message)))
    }

    /// The message for which [`way`](Self::way) was asked last goes.
    pub(super) fn note(&mut self, message: Message) {
        self.copies.push_back(message);
    }

    /// The parcel for the queue lane of a message whose entry failed; the number is as in the
    /// token. `None` if it is not on the way.
    pub(super) fn failed(&mut self, number: u32) -> Option<Parcel> {
        self.forget_delivered();
        let ahead = number.wrapping_sub(self.first as u32) & Token::MAX_GENERATION;
        let message = *self.copies.get(ahead as usize)?;
        Some(parcel(self.first + u64::from(ahead), message))
    }

    /// How many were sent, ever.
    pub(super) fn sent(&self) -> u64 {
        self.first + self.copies.len() as u64
    }

    /// Where the target shows how many it has taken.
    pub(super) fn receipts(&self) -> &Arc<Receipts> {
        &self.receipts
    }

    fn forget_delivered(&mut self) {
        let taken = self.receipts.taken();
        while self.first < taken {
            self.copies.pop_front();
            self.first += 1;
        }
    }
}

fn parcel(number: u64, (tag, val): Message) -> Parcel {
    Parcel { number: Some(number as u16), ..Parcel::new(tag, val) }
}

/// The direct messages of one source at their target, brought into order.
#[derive(Debug)]
pub(super) struct Landing {
    from: ShardId,
    receipts: Arc<Receipts>,
    /// The number of the message that is delivered next.
    next: u64,
    /// Those that are here, from that number on.
    held: VecDeque<Option<Message>>,
    /// Somebody waits for receipts.
    is_awaited: bool,
}

impl Landing {
    pub(super) fn new(from: ShardId, receipts: Arc<Receipts>) -> Self {
        // Who asked before it was known at the target found nobody to answer.
        Self { from, receipts, next: 0, held: VecDeque::new(), is_awaited: true }
    }

    pub(super) fn from(&self) -> ShardId {
        self.from
    }

    /// Keeps a message of which so many bits of the number are known. Whether it was on the way.
    pub(super) fn keep(&mut self, number: u32, bits: u32, message: Message) -> bool {
        let ahead = number.wrapping_sub(self.next as u32) & ((1 << bits) - 1);
        if u64::from(ahead) >= MOST_ON_THE_WAY {
            return false;
        }
        let ahead = ahead as usize;
        if self.held.len() <= ahead {
            self.held.resize(ahead + 1, None);
        }
        let place = &mut self.held[ahead];
        if place.is_some() {
            return false;
        }
        *place = Some(message);
        true
    }

    /// The message that is next, if it is here.
    #[inline]
    pub(super) fn peek(&self) -> Option<Message> {
        self.held.front().copied().flatten()
    }

    /// The message that [`peek`](Self::peek) showed was delivered.
    pub(super) fn advance(&mut self) {
        self.held.pop_front();
        self.next += 1;
    }

    /// Looks who waits for receipts; those who hear of theirs go to `wakers`.
    pub(super) fn answer(&mut self, wakers: &mut impl Extend<Waker>) {
        self.is_awaited = self.receipts.claim(wakers) == Left::Somebody;
    }

    /// As [`answer`](Self::answer), if somebody was left when it was called last.
    pub(super) fn answer_awaited(&mut self, wakers: &mut impl Extend<Waker>) {
        if self.is_awaited {
            self.answer(wakers);
        }
    }

    /// How many were delivered, ever.
    pub(super) fn taken(&self) -> u64 {
        self.next
    }

    /// Where it shows how many were delivered.
    pub(super) fn receipts(&self) -> &Receipts {
        &self.receipts
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
