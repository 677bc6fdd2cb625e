//! A token's place in the tree: who waits, who is to be told in turn, and who counts it.
//!
//! A parent keeps its children in a list, and a child keeps its parent and its key in that list. So
//! that this circle ends, *holders* are counted beside the memory: tokens, futures, and children in
//! the list. The node that loses its last holder is taken out of its parent's list, and gives up
//! the parent in turn; what has no holder has no children, nobody who waits, and no parent.
//!
//! One lock is held at a time, and no code of others runs under it: wakers are cloned before, and
//! woken and dropped afterwards. Nothing recurses, so a tree may be as deep as memory allows.

use std::fmt;
use std::mem;
use std::task::Waker;

use crate::cancel::{Key, Slab};
use crate::contain::wake;
use crate::primitive::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering, lock};

pub(super) struct Node {
    /// Set once, under the lock.
    canceled: AtomicBool,
    holders: AtomicUsize,
    links: Mutex<Links>,
}

/// Empty when the node is canceled.
#[derive(Default)]
struct Links {
    parent: Option<Link>,
    children: Slab<Arc<Node>>,
    waiters: Slab<Waker>,
}

/// A child's place: counts as a holder of the parent.
struct Link {
    parent: Arc<Node>,
    key: Key,
}

/// A share of a node, counted.
pub(super) struct Holder(Arc<Node>);

impl Holder {
    pub(super) fn new() -> Self {
        Self(Arc::new(Node::new(false)))
    }

    /// A node that is canceled when this one is.
    pub(super) fn child(&self) -> Self {
        let mut links = lock(&self.0.links);
        if self.0.is_canceled() {
            return Self(Arc::new(Node::new(true)));
        }
        // Relaxed: as in `clone`, for the link.
        self.0.holders.fetch_add(1, Ordering::Relaxed);
        let child = Arc::new(Node::new(false));
        let key = links.children.insert(Arc::clone(&child));
        drop(links);
        // If the parent is canceled before this, the link is cut when the child is given up.
        let link = Link { parent: Arc::clone(&self.0), key };
        lock(&child.links).parent = Some(link);
        Self(child)
    }

    /// Marks the node and all below it as canceled, then wakes who waits for any of them.
    pub(super) fn cancel(&self) {
        if self.0.is_canceled() {
            return;
        }
        let mut nodes = vec![Arc::clone(&self.0)];
        let mut waiting = Vec::new();
        while let Some(node) = nodes.pop() {
            let Some(Links { parent, children, waiters }) = node.mark() else { continue };
            if let Some(link) = parent {
                link.cut();
            }
            nodes.extend(children.into_values());
            if !waiters.is_empty() {
                waiting.push(waiters);
            }
        }
        waiting.into_iter().flat_map(Slab::into_values).for_each(wake);
    }

    pub(super) fn node(&self) -> &Node {
        &self.0
    }
}

impl Clone for Holder {
    fn clone(&self) -> Self {
        // Relaxed: made from a holder, which keeps the count above 0 meanwhile.
        self.0.holders.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if let Some(link) = self.0.release() {
            link.cut();
        }
    }
}

impl Link {
    /// Takes the child out of the list of its parent, and gives the parent up: if the child was the
    /// last to hold it, it goes the same way.
    fn cut(self) {
        let mut link = Some(self);
        while let Some(Self { parent, key }) = link {
            // Dropped when the lock is free.
            drop(parent.remove_child(key));
            link = parent.release();
        }
    }
}

impl Node {
    fn new(canceled: bool) -> Self {
        Self {
            canceled: AtomicBool::new(canceled),
            holders: AtomicUsize::new(1),
            links: Mutex::new(Links::default()),
        }
    }

    pub(super) fn is_canceled(&self) -> bool {
        // Acquire pairs with the Release in `mark`: who sees it sees what led to it.
        self.canceled.load(Ordering::Acquire)
    }

    /// Takes the waker, in the stead of the one with this key, and gives back that one.
    ///
    /// # Errors
    ///
    /// The waker, if the node is canceled.
    pub(super) fn wait(
        &self,
        key: Option<Key>,
        mut waker: Waker,
    ) -> Result<(Key, Option<Waker>), Waker> {
        let mut links = lock(&self.links);
        if self.is_canceled() {
            return Err(waker);
        }
        if let Some(key) = key
            && let Some(kept) = links.waiters.get_mut(key)
        {
            mem::swap(kept, &mut waker);
            return Ok((key, Some(waker)));
        }
        Ok((links.waiters.insert(waker), None))
    }

    /// Gives the waker with this key back.
    pub(super) fn leave(&self, key: Key) -> Option<Waker> {
        let mut links = lock(&self.links);
        // A key means nothing in a list that was taken away.
        if self.is_canceled() { None } else { links.waiters.remove(key) }
    }

    /// Marks the node as canceled, and takes all it is linked to; `None` if it was before.
    fn mark(&self) -> Option<Links> {
        let mut links = lock(&self.links);
        if self.is_canceled() {
            return None;
        }
        // Release pairs with the Acquire in `is_canceled`.
        self.canceled.store(true, Ordering::Release);
        Some(mem::take(&mut *links))
    }

    /// As [`leave`](Self::leave), of a child.
    fn remove_child(&self, key: Key) -> Option<Arc<Self>> {
        let mut links = lock(&self.links);
        if self.is_canceled() { None } else { links.children.remove(key) }
    }

    /// Counts one holder less; if it was the last, the link to the parent is to be cut.
    fn release(&self) -> Option<Link> {
        // AcqRel: what the others did before they let go comes before what the last one does.
        if self.holders.fetch_sub(1, Ordering::AcqRel) != 1 {
            return None;
        }
        lock(&self.links).parent.take()
    }

    /// How many children and who waits are in its lists, and how many there is memory for.
    #[cfg(test)]
    #[cfg(not(loom))]
    pub(super) fn sizes(&self) -> Sizes {
        let links = lock(&self.links);
        Sizes {
            children: (links.children.len(), links.children.capacity()),
            waiters: (links.waiters.len(), links.waiters.capacity()),
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("canceled", &self.is_canceled()).finish_non_exhaustive()
    }
}

/// What a node holds, and has memory for.
#[cfg(test)]
#[cfg(not(loom))]
pub(super) struct Sizes {
    pub(super) children: (usize, usize),
    pub(super) waiters: (usize, usize),
}
