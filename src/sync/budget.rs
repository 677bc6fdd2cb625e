//! What a ready operation takes of the budget of the task.

use crate::port::{self, Port};

/// Takes one ready operation out of the budget of the poll; `false` if there is none left.
#[inline]
pub(super) fn consume() -> bool {
    port::with(|port| port.is_none_or(Port::consume_budget))
}
