//! Values by key: inserted and removed in any order, in O(1).

#[cfg(test)]
#[cfg(not(loom))]
mod tests;

/// Memory for so many values is kept when the last one is removed.
const KEPT: usize = 256;

/// A list whose values keep their place. Memory is that of the most values it held at once, and
/// goes back when it has become empty.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    entries: Vec<Entry<T>>,
    /// The first free entry; `entries.len()` if there is none.
    free: usize,
    len: usize,
}

/// Names a value until that is removed; afterwards it may name another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key(usize);

#[derive(Debug)]
enum Entry<T> {
    Full(T),
    /// With the next free entry.
    Free(usize),
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { entries: Vec::new(), free: 0, len: 0 }
    }

    /// Adds a value. O(1), with an allocation when there are more values than ever before.
    pub(crate) fn insert(&mut self, value: T) -> Key {
        let index = self.free;
        match self.entries.get_mut(index) {
            Some(entry) => {
                let Entry::Free(next) = *entry else { unreachable!("a free entry has no value") };
                self.free = next;
                *entry = Entry::Full(value);
            }
            None => {
                self.entries.push(Entry::Full(value));
                self.free = self.entries.len();
            }
        }
        self.len += 1;
        Key(index)
    }

    /// Takes a value out; `None` if the key names none. O(1) on average.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get_mut(key.0)?;
        if matches!(entry, Entry::Free(_)) {
            return None;
        }
        let taken = std::mem::replace(entry, Entry::Free(self.free));
        self.free = key.0;
        self.len -= 1;
        if self.len == 0 {
            self.clear();
        }
        match taken {
            Entry::Full(value) => Some(value),
            Entry::Free(_) => None,
        }
    }

    /// The value that a key names.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.entries.get_mut(key.0) {
            Some(Entry::Full(value)) => Some(value),
            _ => None,
        }
    }

    /// How many values there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All values, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Full(value) => Some(value),
            Entry::Free(_) => None,
        })
    }

    /// All values, in no order.
    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.entries.into_iter().filter_map(|entry| match entry {
            Entry::Full(value) => Some(value),
            Entry::Free(_) => None,
        })
    }

    /// Forgets its entries, all of them free: each was pushed once since the last time.
    fn clear(&mut self) {
        self.entries.clear();
        self.entries.shrink_to(KEPT);
        self.free = 0;
    }

    /// How many values there is memory for.
    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.entries.capacity()
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}
