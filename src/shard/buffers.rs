//! The receive buffers of a shard: made when the first operation asks for one, and taken from the
//! kernel before their memory goes.

use std::mem::ManuallyDrop;

use crate::assembly::Assembly;
use crate::buf::pool::{Armed, Loan, Supply};
use crate::driver::{BufferRing, Driver};
use crate::shard::Shard;

/// The group of the one ring that a shard provides.
const GROUP: u16 = 0;

/// What a shard has of receive buffers.
#[derive(Debug, Default)]
pub(super) enum Buffers {
    /// Nobody has asked for one yet.
    #[default]
    Unasked,
    /// There are some; the kernel knows their ring.
    Provided(Supply),
    /// There are some, and the kernel does not know of them any more.
    Retracted(Supply),
    /// There are to be none, the kernel takes none, or there was no memory for them.
    Refused,
}

impl<A: Assembly> Shard<A> {
    /// For an operation of this shard that takes provided buffers.
    pub(super) fn arm_provided(&self) -> Option<Armed> {
        let mut buffers = self.buffers.borrow_mut();
        if !matches!(*buffers, Buffers::Provided(_)) {
            *buffers = self.provide(std::mem::take(&mut *buffers));
        }
        let armed = match &mut *buffers {
            Buffers::Provided(supply) => {
                let armed = supply.arm(GROUP, self.driver.borrow().caps().recv_limit);
                self.counters.recv_buffers.set(supply.given() as u64);
                armed
            }
            _ => None,
        };
        if armed.is_none() {
            self.counters.recv_unprovided.add(1);
        }
        armed
    }

    /// Makes the kernel know of buffers, if they can be had and it takes them.
    fn provide(&self, before: Buffers) -> Buffers {
        let options = &self.core.options.buffers;
        let caps = *self.driver.borrow().caps();
        let supply = match before {
            Buffers::Retracted(supply) => supply,
            Buffers::Unasked if caps.recv_multishot && options.most > 0 => {
                let tally = self.public().leases.clone();
                let Ok(supply) = Supply::new(options, tally) else { return Buffers::Refused };
                supply
            }
            Buffers::Unasked => return Buffers::Refused,
            other => return other,
        };
        let ring = supply.ring();
        let (address, entries) = (ring.address().as_ptr(), ring.entries());
        let ring = BufferRing { address, entries, group: GROUP };
        // SAFETY:
        // - the ring lies in a mapping of its own that the supply keeps; the supply is dropped
        //   after the ring was retracted, or with the shard after its driver (field order), and is
        //   leaked with the shard else.
        // - nobody but the supply writes to the ring, as `Ring` does; it is the only one of this
        //   driver.
        // - a buffer in the ring is nobody else's (`buf::pool`), and its memory is kept by the
        //   supply and by the `Armed` of every operation that names the group (I1).
        match unsafe { self.driver.borrow_mut().provide(ring) } {
            Ok(()) => Buffers::Provided(supply),
            Err(_) => Buffers::Refused,
        }
    }

    /// Takes a buffer back that may be of this shard.
    pub(super) fn take_provided_back(&self, loan: Loan) -> Result<(), Loan> {
        // A buffer that is dropped while this is borrowed goes the way of foreign threads.
        let Ok(mut buffers) = self.buffers.try_borrow_mut() else { return Err(loan) };
        match &mut *buffers {
            Buffers::Provided(supply) | Buffers::Retracted(supply) => supply.take_back(loan),
            Buffers::Unasked | Buffers::Refused => Err(loan),
        }
    }

    /// Once a turn: hands the kernel what came back from other threads, and more if it has few.
    pub(super) fn serve_buffers(&self) {
        if let Buffers::Provided(supply) = &mut *self.buffers.borrow_mut() {
            supply.service();
            self.counters.recv_buffers.set(supply.given() as u64);
        }
    }

    /// There is nothing to do: fewer buffers may be enough.
    pub(super) fn rest_buffers(&self) {
        let mut buffers = self.buffers.borrow_mut();
        let Buffers::Provided(supply) = &mut *buffers else { return };
        if supply.rest(|| self.now()) && self.driver.borrow_mut().retract(GROUP).is_ok() {
            // SAFETY: the kernel has just let go of the ring.
            unsafe { supply.reset() };
            if let Buffers::Provided(supply) = std::mem::take(&mut *buffers) {
                *buffers = Buffers::Retracted(supply);
            }
        }
        if let Buffers::Provided(supply) | Buffers::Retracted(supply) = &*buffers {
            self.counters.recv_buffers.set(supply.given() as u64);
        }
    }

    /// The shard ends, and no operation is in flight: takes the ring from the kernel, or leaks it.
    pub(super) fn retract_buffers(&self) {
        let Buffers::Provided(supply) = self.buffers.take() else { return };
        if self.driver.borrow_mut().retract(GROUP).is_err() {
            let _leaked = ManuallyDrop::new(supply);
        }
    }
}
