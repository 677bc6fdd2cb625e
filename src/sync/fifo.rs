//! A line in which everybody can be found again by a key, and leave from the middle.

/// No node.
const NONE: usize = usize::MAX;

/// Nodes that an empty line keeps for those who come next.
const KEPT: usize = 1024;

/// First in, first out, and out of turn by key. Each step is O(1).
///
/// A value may step out of the line and stay: then it has no turn any more, but its key finds it.
/// Memory is that of the largest number of values so far; a line that is empty keeps some of it.
#[derive(Debug)]
pub(crate) struct Fifo<T> {
    nodes: Vec<Node<T>>,
    first: usize,
    last: usize,
    /// Nodes without a value, linked by `next`.
    vacant: usize,
    /// How many values stand in line.
    waiting: usize,
    /// How many values there are.
    held: usize,
    /// How many values there ever were: no two have the same stamp.
    stamp: u64,
}

/// Finds one value, and no other one ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    index: usize,
    stamp: u64,
}

#[derive(Debug)]
struct Node<T> {
    value: Option<T>,
    stamp: u64,
    in_line: bool,
    previous: usize,
    next: usize,
}

impl<T> Fifo<T> {
    /// Nobody stands in line.
    pub(crate) const fn new() -> Self {
        Self {
            nodes: Vec::new(),
            first: NONE,
            last: NONE,
            vacant: NONE,
            waiting: 0,
            held: 0,
            stamp: 0,
        }
    }

    /// Goes to the end of the line.
    pub(crate) fn push(&mut self, value: T) -> Key {
        let stamp = self.stamp;
        self.stamp += 1;
        let node =
            Node { value: Some(value), stamp, in_line: true, previous: self.last, next: NONE };
        let index = match self.nodes.get_mut(self.vacant) {
            Some(vacant) => {
                let index = self.vacant;
                self.vacant = vacant.next;
                *vacant = node;
                index
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        match self.nodes.get_mut(self.last) {
            Some(last) => last.next = index,
            None => self.first = index,
        }
        self.last = index;
        self.waiting += 1;
        self.held += 1;
        Key { index, stamp }
    }

    /// Takes the first of the line.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let key = self.key(self.first)?;
        self.remove(key)
    }

    /// The first steps out of the line and stays.
    pub(crate) fn call_first(&mut self) -> Option<&mut T> {
        let index = self.first;
        self.unlink(index);
        self.nodes.get_mut(index)?.value.as_mut()
    }

    /// The last steps out of the line and stays.
    pub(crate) fn call_last(&mut self) -> Option<&mut T> {
        let index = self.last;
        self.unlink(index);
        self.nodes.get_mut(index)?.value.as_mut()
    }

    /// Takes a value, in line or not; `None` if it was taken before.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        self.unlink(key.index);
        let node = self.nodes.get_mut(key.index)?;
        let value = node.value.take();
        node.next = self.vacant;
        self.vacant = key.index;
        self.held -= 1;
        if self.held == 0 && self.nodes.len() > KEPT {
            self.nodes = Vec::new();
            self.vacant = NONE;
        }
        value
    }

    /// A value, in line or not, until it is taken.
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let node = self.nodes.get_mut(key.index)?;
        if node.stamp == key.stamp { node.value.as_mut() } else { None }
    }

    /// A value, in line or not, until it is taken.
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let node = self.nodes.get(key.index)?;
        if node.stamp == key.stamp { node.value.as_ref() } else { None }
    }

    /// All values, in line or not, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().filter_map(|node| node.value.as_ref())
    }

    /// How many stand in line.
    pub(crate) const fn len(&self) -> usize {
        self.waiting
    }

    /// Whether nobody stands in line.
    pub(crate) const fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    fn key(&self, index: usize) -> Option<Key> {
        self.nodes.get(index).map(|node| Key { index, stamp: node.stamp })
    }

    fn unlink(&mut self, index: usize) {
        let Some(node) = self.nodes.get_mut(index).filter(|node| node.in_line) else { return };
        node.in_line = false;
        let (previous, next) = (node.previous, node.next);
        match self.nodes.get_mut(previous) {
            Some(node) => node.next = next,
            None => self.first = next,
        }
        match self.nodes.get_mut(next) {
            Some(node) => node.previous = previous,
            None => self.last = previous,
        }
        self.waiting -= 1;
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
