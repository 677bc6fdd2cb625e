//! What other threads leave for a shard.

use crossbeam_utils::CachePadded;

use crate::primitive::{AtomicUsize, Mutex, Ordering, lock};

/// A queue with many writers and one reader, who takes everything at once.
///
/// It is never full, because a wake must not be lost; what can be refused (a spawn) is refused by
/// the sender, who looks at [`len`](Self::len) first. Once closed it hands every letter back.
#[derive(Debug)]
pub(crate) struct Mailbox<M> {
    /// How many letters lie in `letters`; a hint for readers that do not hold the lock.
    ///
    /// On a line of its own: its reader spins on it while writers take the lock.
    len: CachePadded<AtomicUsize>,
    /// `None` once the shard is gone.
    letters: Mutex<Option<Vec<M>>>,
}

impl<M> Mailbox<M> {
    /// An empty mailbox.
    pub(crate) fn new() -> Self {
        Self { len: CachePadded::new(AtomicUsize::new(0)), letters: Mutex::new(Some(Vec::new())) }
    }

    /// Adds a letter. The caller then posts the gate of the shard.
    ///
    /// # Errors
    ///
    /// The letter comes back when the mailbox is closed.
    pub(crate) fn push(&self, letter: M) -> Result<(), M> {
        let mut letters = lock(&self.letters);
        let Some(open) = letters.as_mut() else { return Err(letter) };
        open.push(letter);
        // Relaxed: the reader that sees it takes the lock; the reader that must not miss it has
        // fenced (S2, W2 of doorbell/README.md).
        self.len.store(open.len(), Ordering::Relaxed);
        Ok(())
    }

    /// Moves all letters, in order, to the end of `to`, which is empty as a rule: then it is a
    /// swap.
    pub(crate) fn take(&self, to: &mut Vec<M>) {
        if self.is_empty() {
            return;
        }
        let mut letters = lock(&self.letters);
        let Some(open) = letters.as_mut() else { return };
        self.len.store(0, Ordering::Relaxed);
        if to.is_empty() {
            std::mem::swap(open, to);
        } else {
            to.append(open);
        }
    }

    /// Takes no more letters, and returns those that were not read.
    pub(crate) fn close(&self) -> Vec<M> {
        let mut letters = lock(&self.letters);
        self.len.store(0, Ordering::Relaxed);
        letters.take().unwrap_or_default()
    }

    /// Whether there is nothing to take. A hint, exact after the fences of the parking protocol.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many letters there are. A hint.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
#[cfg(loom)]
#[path = "mailbox/loom.rs"]
mod loom_tests;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
