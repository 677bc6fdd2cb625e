//! Receive buffers that a shard provides to its kernel, which fills whichever it needs next.
//!
//! A [`Supply`] is the shard's own end: it decides how many buffers there are and puts those that
//! nobody uses into a [`Ring`] that the kernel takes them from. What the kernel has filled is a
//! [`Loan`], which may go to any thread and comes back when it is dropped: on the shard's thread
//! through [`Supply::take_back`], from elsewhere through a list that the shard empties
//! ([`Returns`]).
//!
//! # Where a buffer is
//!
//! A buffer is a number. At any time it is in exactly one of these places, and each arrow is one
//! party's to make:
//!
//! ```text
//!        shard publishes        kernel completes          dropped elsewhere
//!   shard -----------> ring -------------------> loan --------------------> returns
//!     ^                                            |                           |
//!     '--------------------------------------------'---------------------------'
//!                    dropped on the shard                shard takes all
//! ```
//!
//! The memory of all buffers is one mapping ([`Stock`]), which lives until nobody has a share of
//! it: not the supply, no loan, and no operation that may still be given a buffer.

mod loan;
mod pages;
mod returns;
mod ring;
mod stock;
mod supply;

#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub(crate) use loan::Loan;
pub(super) use pages::Pages;
pub(crate) use stock::{Armed, Tally};
pub(crate) use supply::Supply;
