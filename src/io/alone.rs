//! What only its owner gets at.

use std::sync::PoisonError;

use crate::primitive::Mutex;

/// A value that is reached through `&mut` alone, so that it may be part of what is `Sync` without
/// being that itself. The lock is never taken.
#[derive(Default)]
pub(crate) struct Alone<T>(Mutex<T>);

impl<T> Alone<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}
