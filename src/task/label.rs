//! The name of a task, which is part of its memory if it has one.

use std::borrow::Cow;

/// What stands between the head of a task and its future.
pub(crate) trait Label: Send + Sync + 'static {
    /// The name, if there is one.
    fn name(&self) -> Option<&str>;
}

/// No name: of no size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unnamed;

/// A name.
#[derive(Clone, Debug)]
pub(crate) struct Named(pub(crate) Cow<'static, str>);

impl Label for Unnamed {
    #[inline]
    fn name(&self) -> Option<&str> {
        None
    }
}

impl Label for Named {
    fn name(&self) -> Option<&str> {
        Some(&self.0)
    }
}
