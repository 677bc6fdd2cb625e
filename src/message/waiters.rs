//! Tasks of a shard that wait for the same, in the order in which they came.

use std::collections::VecDeque;
use std::task::Waker;

/// Tasks that wait, first come first: the key and the waker of each.
#[derive(Default, Debug)]
pub(super) struct Waiters(pub(super) VecDeque<(u64, Waker)>);

impl Waiters {
    /// The first ones, `most` at most, are to be woken. One after the other, because it is one as a
    /// rule.
    #[inline]
    pub(super) fn wake(&mut self, most: usize, woken: &mut VecDeque<Waker>) {
        for _ in 0..most {
            let Some((_, waker)) = self.0.pop_front() else { return };
            woken.push_back(waker);
        }
    }

    /// Takes the waker with this key back; `None` if it was woken.
    #[inline]
    pub(super) fn remove(&mut self, key: u64) -> Option<Waker> {
        let at = self.0.iter().position(|(has, _)| *has == key)?;
        self.0.remove(at).map(|(_, waker)| waker)
    }
}
