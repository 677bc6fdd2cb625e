//! Service of the ring: what is queued goes out, what is ready comes in, and doorbells that
//! sleepers wait for do not stay behind.

use std::io;

use crate::assembly::Assembly;
use crate::driver::Driver;
use crate::shard::Shard;
use crate::shard::idle::Next;

impl<A: Assembly> Shard<A> {
    /// Flushes doorbells at once.
    pub(super) fn send_bells(&self) {
        self.flush_ring();
        if self.driver.borrow().pending() {
            self.collect();
            // A task is in hand, and what was woken waits behind its poll.
            self.offer_backlog(Next::InHand);
        }
    }

    /// Submits what is queued and collects what is ready, with one system call at most.
    pub(super) fn serve_ring(&self) {
        self.refill();
        let busy = {
            let driver = self.driver.borrow();
            driver.queued() > 0 || driver.pending()
        };
        if busy {
            self.flush_ring();
            self.collect();
        }
    }

    pub(super) fn flush_ring(&self) {
        let result = self.driver.borrow_mut().flush();
        self.bells_owed.set(false);
        self.note_enter(result.map(drop));
    }

    pub(super) fn note_enter(&self, result: io::Result<()>) {
        self.public().counters.enters.set(self.driver.borrow().enters());
        self.note_driver(result);
    }

    pub(super) fn note_driver(&self, result: io::Result<()>) {
        if let Err(error) = result {
            self.failure.borrow_mut().get_or_insert(error);
        }
    }
}
