//! Operations in flight: who owns their memory, and where their results go.
//!
//! Two parties meet in the completion cell ([`cell`]): the future that wants the result
//! ([`Claim`]) and the shard whose ring the operation is on ([`Charge`]). From submission to
//! the final completion the shard's table ([`Table`]) owns the charge, and with it everything
//! the kernel may touch.

mod cell;
mod roster;
mod table;

pub(crate) use cell::{Abandoned, Charge, Claim, Finished, Operation, Outcome, Unfinished, cell};
pub(crate) use roster::{Lease, Listed, Roster};
pub(crate) use table::{Completed, Table};
