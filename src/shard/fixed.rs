//! Pools of fixed buffers that the ring of a shard knows: registered when the first operation needs
//! one, and taken back when the pool is gone.

use std::io;
use std::sync::Weak as StdWeak;

use crate::assembly::Assembly;
use crate::buf::{FixedPart, FixedPool, FixedStock};
use crate::driver::{Driver, Opcode};
use crate::shard::Shard;

/// The pools that a ring was told of; their places are their numbers.
#[derive(Debug, Default)]
pub(super) struct Fixed(Vec<Place>);

#[derive(Debug)]
struct Place {
    /// Without a share: a ring keeps no memory of users. The kernel pins the pages, so a number
    /// that outlives its memory names pages that are nobody's.
    stock: StdWeak<FixedStock>,
    is_registered: bool,
}

impl<A: Assembly> Shard<A> {
    /// The number by which the ring of this shard knows the pool. `None`: it does not.
    pub(super) fn fixed_number(&self, part: FixedPart<'_>) -> Option<u16> {
        let known = {
            let fixed = self.fixed.borrow();
            let found = fixed.0.iter().enumerate().find(|(_, place)| part.is(&place.stock));
            found.map(|(number, place)| place.is_registered.then_some(number))
        };
        let number = match known {
            Some(number) => number,
            // A refusal is kept, so that it is not met again with each operation.
            None => self.register_fixed_pool(part).ok(),
        };
        number.and_then(|number| u16::try_from(number).ok())
    }

    /// Makes the ring know the pool, if it does not already; also one that it refused before.
    pub(super) fn register_fixed_pool(&self, part: FixedPart<'_>) -> io::Result<usize> {
        self.rest_fixed();
        let mut fixed = self.fixed.borrow_mut();
        let mut driver = self.driver.borrow_mut();
        let caps = driver.caps();
        if !caps.supports(Opcode::READ_FIXED) || !caps.supports(Opcode::WRITE_FIXED) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let number = fixed.0.iter().position(|place| part.is(&place.stock));
        // A place whose pool has gone since `rest_fixed`, or which could not be taken from the
        // ring, still has the memory of that pool behind its number.
        let is_vacant = |place: &Place| !place.is_registered && place.stock.strong_count() == 0;
        let vacant = || fixed.0.iter().position(is_vacant);
        let number = number.or_else(vacant).unwrap_or(fixed.0.len());
        if number >= FixedPool::MAX_POOLS {
            let most = FixedPool::MAX_POOLS;
            let text = format!("the ring of this shard knows {most} pools already");
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        }
        if fixed.0.get(number).is_some_and(|place| place.is_registered && part.is(&place.stock)) {
            return Ok(number);
        }
        let at = u16::try_from(number).expect("below `MAX_POOLS`");
        // SAFETY:
        // - nobody names the number: it is new, refused, or that of a pool that is gone, as are
        //   all operations that had a buffer of it.
        // - the memory is a mapping of its own, and an operation that names the number owns a
        //   buffer in it, which has a share: it stays until the last of them has completed (I1).
        // - who uses which part of it is said by the leases of the pool.
        let done = unsafe { driver.register(at, Some(part.memory())) };
        let place = Place { stock: part.downgrade(), is_registered: done.is_ok() };
        match fixed.0.get_mut(number) {
            Some(old) => *old = place,
            None => fixed.0.push(place),
        }
        match done {
            Ok(()) => Ok(number),
            Err(error) => {
                self.counters.fixed_refused.add(1);
                Err(error)
            }
        }
    }

    /// There is time: pools that are gone are taken from the ring.
    pub(super) fn rest_fixed(&self) {
        let mut fixed = self.fixed.borrow_mut();
        if fixed.0.is_empty() {
            return;
        }
        for (number, place) in fixed.0.iter_mut().enumerate() {
            if place.is_registered && place.stock.strong_count() == 0 {
                let number = u16::try_from(number).expect("below `MAX_POOLS`");
                // SAFETY: nothing is registered, and no operation names the number: it would own
                // a share of the pool.
                let done = unsafe { self.driver.borrow_mut().register(number, None) };
                place.is_registered = done.is_err();
            }
        }
    }
}
