//! What the kernel answered to an entry.

use std::io;

use crate::driver::cqe_flags;
use crate::op::Outcome;
use crate::port::SubmitError;

/// What the kernel answered to an entry: the result and the flags of a completion.
///
/// ```
/// use spargio::native::UringCqe;
/// let read = UringCqe { result: 5, flags: 0 };
/// assert_eq!(read.check().unwrap(), 5);
/// let missing = UringCqe { result: -2, flags: 0 };
/// assert_eq!(missing.check().unwrap_err().kind(), std::io::ErrorKind::NotFound);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UringCqe {
    /// At least 0, or a negated error number.
    pub result: i32,
    /// [`cqe_flags`](crate::driver::cqe_flags).
    pub flags: u32,
}

impl UringCqe {
    /// The result, if it is none of an error.
    ///
    /// # Errors
    ///
    /// The error that a negative result stands for.
    pub fn check(self) -> io::Result<u32> {
        let Self { result, flags } = self;
        Outcome { result, flags }.check().map(|outcome| outcome.result.unsigned_abs())
    }

    /// What the outcome of an entry says: what the kernel answered, or why it never got the entry.
    #[inline]
    pub(super) fn answer(outcome: Outcome) -> io::Result<Self> {
        match SubmitError::of(outcome) {
            Some(refused) => Err(refused.into()),
            None => Ok(Self::from(outcome)),
        }
    }

    /// Whether the operation goes on and will answer again.
    pub const fn has_more(self) -> bool {
        self.flags & cqe_flags::MORE != 0
    }
}

impl From<Outcome> for UringCqe {
    fn from(outcome: Outcome) -> Self {
        let Outcome { result, flags } = outcome;
        Self { result, flags }
    }
}
