//! The bundle: a zero-sized type that names the four parts of a runtime.

use std::fmt;
use std::marker::PhantomData;

use crate::doorbell::{Doorbell, MsgRing};
use crate::driver::{Driver, Uring};
use crate::placement::{LeastLoaded, Placement};
use crate::queue::{ChaseLev, StealQueue};

/// The four parts of a runtime, chosen at compile time.
///
/// | part | what it decides | shipped parts, the default first |
/// |---|---|---|
/// | [`Driver`] | what a shard submits to and collects from | [`Uring`] |
/// | [`Doorbell`] | how a shard that sleeps is woken | [`MsgRing`], [`EventFd`] |
/// | [`StealQueue`] | where runnable tasks wait | [`ChaseLev`], [`BlockQueue`], [`MutexQueue`] |
/// | [`Placement`] | which shard a submission goes to | see below |
///
/// Of the queues `ChaseLev` is right on few CPUs, `BlockQueue` is worth a try where many shards
/// steal from a few, and `MutexQueue` is the simplest, to compare against.
///
/// The placements are [`LeastLoaded`], the default; [`PowerOfTwo`], which looks at two shards
/// however many there are; [`RoundRobin`], which looks at none; and [`StickyHash`], which keeps
/// most keys where they are when the number of shards changes.
///
/// The default, [`Native`], is `Assembled<Uring, MsgRing, ChaseLev, LeastLoaded>`.
/// [`RuntimeBuilder`](crate::RuntimeBuilder) puts an assembly together; few programs name this
/// trait.
///
/// [`EventFd`]: crate::doorbell::EventFd
/// [`BlockQueue`]: crate::queue::BlockQueue
/// [`MutexQueue`]: crate::queue::MutexQueue
/// [`PowerOfTwo`]: crate::placement::PowerOfTwo
/// [`RoundRobin`]: crate::placement::RoundRobin
/// [`StickyHash`]: crate::placement::StickyHash
pub trait Assembly: Copy + fmt::Debug + Send + Sync + 'static {
    /// What a shard submits to and collects from.
    type Driver: Driver;
    /// How a shard that sleeps is woken.
    type Doorbell: Doorbell<Self::Driver>;
    /// Where runnable tasks wait.
    type Queue: StealQueue;
    /// Which shard a submission goes to.
    type Placement: Placement;
}

/// An assembly of these four parts.
pub struct Assembled<D, B, Q, P>(PhantomData<Parts<D, B, Q, P>>);

/// The parts are named, not owned: an assembly is `Send + Sync` whatever they are.
type Parts<D, B, Q, P> = fn() -> (D, B, Q, P);

/// The default assembly.
pub type Native = Assembled<Uring, MsgRing, ChaseLev, LeastLoaded>;

// By hand, because derives would demand the same of the parts.
impl<D, B, Q, P> Clone for Assembled<D, B, Q, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D, B, Q, P> Copy for Assembled<D, B, Q, P> {}

impl<D, B, Q, P> fmt::Debug for Assembled<D, B, Q, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<Self>())
    }
}

impl<D: Driver, B: Doorbell<D>, Q: StealQueue, P: Placement> Assembly for Assembled<D, B, Q, P> {
    type Driver = D;
    type Doorbell = B;
    type Queue = Q;
    type Placement = P;
}
