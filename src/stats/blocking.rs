//! What the threads of a runtime that do what blocks are at.

/// What the threads that do what blocks are at: one look under their lock.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct BlockingStats {
    /// Threads that there are.
    pub threads: usize,
    /// Those of them that are at work.
    pub busy: usize,
    /// Jobs that wait for a thread.
    pub waiting: usize,
    /// Jobs that were taken, ever: operations that the ring has no opcode for, and those of
    /// [`spawn_blocking`](crate::spawn_blocking).
    pub taken: u64,
    /// Jobs that were refused, ever.
    pub refused: u64,
}
