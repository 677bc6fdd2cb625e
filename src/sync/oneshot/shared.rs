//! What the two ends of a oneshot share: one word, the value, and a waker for each side.
//!
//! The word says to whom the rest belongs. Each bit is set once, by the side in its name, but for
//! the two `WAITS`, which their side also takes back.
//!
//! - The **value** is the sender's until `ENDED`, then the receiver's. If `CLOSED` came before
//!   `ENDED`, it stays the sender's.
//! - The **receiver's waker** is the receiver's, and the sender's from the step that sets `ENDED`
//!   and finds `RX_WAITS`.
//! - The **sender's waker** is the sender's, and the receiver's from the step that sets `CLOSED`
//!   and finds `TX_WAITS` without `ENDED`.
//! - The **memory** belongs to both until one says `OUT`; the other then frees it when it leaves.

use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::task::Waker;

use crate::contain;
use crate::pool;
use crate::primitive::{AtomicU8, Ordering, UnsafeCell};

/// The sender has sent, or was dropped.
const ENDED: u8 = 1;
/// The sender does not touch the memory any more.
const TX_OUT: u8 = 1 << 1;
/// The sender's waker lies there.
const TX_WAITS: u8 = 1 << 2;
/// The receiver takes nothing that was not sent before.
const CLOSED: u8 = 1 << 3;
/// The receiver does not touch the memory any more.
const RX_OUT: u8 = 1 << 4;
/// The receiver's waker lies there.
const RX_WAITS: u8 = 1 << 5;

struct Shared<T> {
    word: AtomicU8,
    value: UnsafeCell<Option<T>>,
    /// Whom to wake when the sender has ended.
    receiver: UnsafeCell<Option<Waker>>,
    /// Whom to wake when the receiver has closed.
    sender: UnsafeCell<Option<Waker>>,
}

/// The two ends of new memory.
#[inline]
pub(super) fn pair<T>() -> (SenderEnd<T>, ReceiverEnd<T>) {
    // Written in its place: moving it there costs as much as all the rest.
    let memory = pool::allocate(MaybeUninit::<Shared<T>>::uninit()).cast::<Shared<T>>();
    let shared = Shared {
        word: AtomicU8::new(0),
        value: UnsafeCell::new(None),
        receiver: UnsafeCell::new(None),
        sender: UnsafeCell::new(None),
    };
    // SAFETY:
    // - the memory is for a `Shared<T>`, and nobody else's.
    unsafe { memory.write(shared) };
    (SenderEnd(memory), ReceiverEnd(memory))
}

/// Frees the memory, and only then drops what is left in it, which is code of others.
///
/// # Safety
///
/// Both sides are out, or the caller is the last and touches nothing afterwards.
#[inline]
unsafe fn free<T>(memory: NonNull<Shared<T>>) {
    // SAFETY:
    // - the memory is there until this frees it.
    let Shared { value, receiver, sender, .. } = unsafe { memory.as_ref() };
    // SAFETY:
    // - nobody else is left, so all cells are the caller's.
    let value = unsafe { replace(value, None) };
    // SAFETY:
    // - as above.
    let receiver = unsafe { replace(receiver, None) };
    // SAFETY:
    // - as above.
    let sender = unsafe { replace(sender, None) };
    // SAFETY:
    // - `pair` made it so, and nobody uses it any more. What is left in it needs no destructor.
    unsafe { pool::deallocate(memory.cast::<MaybeUninit<Shared<T>>>()) };
    drop((value, receiver, sender));
}

/// Puts something into a cell, and returns what was there.
///
/// # Safety
///
/// The cell is the caller's, by the rules of the module.
unsafe fn replace<V>(cell: &UnsafeCell<Option<V>>, value: Option<V>) -> Option<V> {
    cell.with_mut(|place| {
        // SAFETY:
        // - the caller's promise: nobody else looks at it.
        unsafe { place.replace(value) }
    })
}

/// Whether a cell holds a waker of the same task.
///
/// # Safety
///
/// The cell is the caller's, by the rules of the module.
unsafe fn holds(cell: &UnsafeCell<Option<Waker>>, waker: &Waker) -> bool {
    cell.with(|place| {
        // SAFETY:
        // - the caller's promise: nobody writes to it.
        unsafe { &*place }.as_ref().is_some_and(|there| there.will_wake(waker))
    })
}

/// Waits for the other side to set one of `over`: leaves `waker` in the cell of this side under the
/// bit `waits`. Whether the other side has.
///
/// # Safety
///
/// The cell and the bit are those of the caller's side, and of `over` the other side sets one when
/// it takes that cell over.
unsafe fn wait(
    word: &AtomicU8,
    cell: &UnsafeCell<Option<Waker>>,
    (waits, over): (u8, u8),
    waker: &Waker,
) -> bool {
    // Acquire pairs with the step of the other side that sets `over`.
    let now = word.load(Ordering::Acquire);
    if now & over != 0 {
        return true;
    }
    // The waker of another poll lies there: take the cell back. Acquire as above.
    if now & waits != 0 && word.fetch_and(!waits, Ordering::Acquire) & over != 0 {
        return true;
    }
    // SAFETY:
    // - without `waits` and `over` the cell is ours.
    let same = unsafe { holds(cell, waker) };
    let before = if same {
        None
    } else {
        let cloned = waker.clone();
        // SAFETY:
        // - as above.
        unsafe { replace(cell, Some(cloned)) }
    };
    // Release gives the cell to the step that sets `over`; Acquire pairs with it if it came first.
    let is_over = word.fetch_or(waits, Ordering::AcqRel) & over != 0;
    drop(before);
    is_over
}

pub(super) struct SenderEnd<T>(NonNull<Shared<T>>);

// SAFETY:
// - it touches the shared memory by the rules of the module only; values of type `T` go to another
//   thread, as do wakers, which may.
unsafe impl<T: Send> Send for SenderEnd<T> {}

// SAFETY:
// - what a shared reference allows is to look at the word.
unsafe impl<T: Send> Sync for SenderEnd<T> {}

impl<T> SenderEnd<T> {
    const fn shared(&self) -> &Shared<T> {
        // SAFETY:
        // - the memory is there until both sides are out, and this one is not.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(super) fn send(self, value: T) -> Result<(), T> {
        let end = ManuallyDrop::new(self);
        // SAFETY:
        // - not ended: the value is the sender's, and there was none.
        unsafe { replace(&end.shared().value, Some(value)) };
        // SAFETY:
        // - `end` is not used, nor dropped, after this.
        match unsafe { finish(end.0) } {
            Some(value) => Err(value),
            None => Ok(()),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        // Acquire pairs with `close`: who sees it sees what the receiver did before.
        self.shared().word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Whether the receiver has closed; if not, the waker is woken then.
    pub(super) fn poll_closed(&mut self, waker: &Waker) -> bool {
        let shared = self.shared();
        // SAFETY:
        // - cell and bit are the sender's, and the receiver takes it over with `CLOSED`.
        unsafe { wait(&shared.word, &shared.sender, (TX_WAITS, CLOSED), waker) }
    }
}

impl<T> Drop for SenderEnd<T> {
    fn drop(&mut self) {
        // SAFETY:
        // - this end is not used any more. No value was put there, so none comes back.
        drop(unsafe { finish(self.0) });
    }
}

/// The sender ends. The value comes back if the receiver does not want it.
///
/// # Safety
///
/// It is the sender, which has not ended, and touches nothing afterwards.
#[inline]
unsafe fn finish<T>(memory: NonNull<Shared<T>>) -> Option<T> {
    // SAFETY:
    // - the memory is there until both sides are out; this one is not before its step below.
    let word = unsafe { &memory.as_ref().word };
    // Nobody waits and nobody has closed: this is the last step at once. Release gives the value to
    // the receiver, and with it the memory.
    // The look before that is for the case that somebody waits, as between threads: there a try
    // would cost as much as the step itself. Relaxed: the step is what counts.
    let at_once = word.load(Ordering::Relaxed) == 0
        && word.compare_exchange(0, ENDED | TX_OUT, Ordering::Release, Ordering::Relaxed).is_ok();
    if at_once {
        return None;
    }
    // SAFETY:
    // - passed on to the caller.
    unsafe { finish_slowly(memory) }
}

/// As [`finish`], where the receiver waits or has closed, or the sender has waited.
///
/// # Safety
///
/// As there.
unsafe fn finish_slowly<T>(memory: NonNull<Shared<T>>) -> Option<T> {
    // SAFETY:
    // - the memory is there until both sides are out; this one is not before its step below, and
    //   touches nothing after that.
    let shared = unsafe { memory.as_ref() };
    let mut now = shared.word.load(Ordering::Relaxed);
    loop {
        if now & CLOSED != 0 {
            // SAFETY:
            // - closed before the end: the value stays the sender's.
            let value = unsafe { replace(&shared.value, None) };
            // SAFETY:
            // - the last step of the sender.
            unsafe { leave(memory, TX_OUT, RX_OUT) };
            return value;
        }
        // If nobody waits there is nothing left to do: this is the last step at once.
        let waits = now & (RX_WAITS | TX_WAITS);
        let next = now | ENDED | if waits == 0 { TX_OUT } else { 0 };
        // Release gives the value to the receiver. Acquire pairs with the steps of `wait` that left
        // a waker.
        match shared.word.compare_exchange_weak(now, next, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) if waits == 0 => return None,
            Ok(_) => break,
            Err(other) => now = other,
        }
    }
    let waker = if now & RX_WAITS == 0 {
        None
    } else {
        // SAFETY:
        // - it lay there when the sender ended, so it is the sender's.
        unsafe { replace(&shared.receiver, None) }
    };
    // SAFETY:
    // - not closed before the end: the receiver never touches the sender's waker.
    let own = unsafe { replace(&shared.sender, None) };
    // SAFETY:
    // - the last step of the sender.
    unsafe { leave(memory, TX_OUT, RX_OUT) };
    if let Some(waker) = waker {
        contain::wake(waker);
    }
    drop(own);
    None
}

/// One side is out, and frees the memory if the other is.
///
/// # Safety
///
/// `out` is the bit of the caller's side, which touches nothing afterwards; `other` that of the
/// other side.
unsafe fn leave<T>(memory: NonNull<Shared<T>>, out: u8, other: u8) {
    // SAFETY:
    // - the memory is there until both sides are out.
    let word = unsafe { &memory.as_ref().word };
    // Release gives what this side did to whoever frees; Acquire pairs with that step of the other
    // side if this one frees.
    if word.fetch_or(out, Ordering::AcqRel) & other != 0 {
        // SAFETY:
        // - both sides are out.
        unsafe { free(memory) };
    }
}

/// What the receiver found.
pub(super) enum Taken<T> {
    Value(T),
    /// None was sent, or it was taken before.
    Nothing,
    /// The sender has not ended.
    NotYet,
}

pub(super) struct ReceiverEnd<T>(NonNull<Shared<T>>);

// SAFETY:
// - as of the sender's end.
unsafe impl<T: Send> Send for ReceiverEnd<T> {}

// SAFETY:
// - a shared reference allows nothing.
unsafe impl<T: Send> Sync for ReceiverEnd<T> {}

impl<T> ReceiverEnd<T> {
    const fn shared(&self) -> &Shared<T> {
        // SAFETY:
        // - the memory is there until both sides are out, and this one is not.
        unsafe { self.0.as_ref() }
    }

    /// Whether the sender has ended; if not, the waker is woken then.
    #[inline]
    pub(super) fn poll(&mut self, waker: &Waker) -> bool {
        let shared = self.shared();
        // Acquire pairs with `finish`.
        if shared.word.load(Ordering::Acquire) & ENDED != 0 {
            return true;
        }
        // SAFETY:
        // - cell and bit are the receiver's, and the sender takes it over with `ENDED`.
        unsafe { wait(&shared.word, &shared.receiver, (RX_WAITS, ENDED), waker) }
    }

    /// Takes the value, of a receiver that has not closed before the sender ended.
    #[inline]
    pub(super) fn take(&mut self) -> Taken<T> {
        // Acquire pairs with `finish`.
        if self.shared().word.load(Ordering::Acquire) & ENDED == 0 {
            return Taken::NotYet;
        }
        // SAFETY:
        // - ended: the value is the receiver's.
        match unsafe { replace(&self.shared().value, None) } {
            Some(value) => Taken::Value(value),
            None => Taken::Nothing,
        }
    }

    /// Takes nothing any more; whether the sender had ended before.
    pub(super) fn close(&mut self) -> bool {
        let shared = self.shared();
        // Release: whoever sees the bit sees what was done before. Acquire pairs with `finish`, and
        // with the step of `wait` that left the sender's waker.
        let before = shared.word.fetch_or(CLOSED, Ordering::AcqRel);
        if before & (ENDED | CLOSED) != 0 {
            return before & ENDED != 0;
        }
        // SAFETY:
        // - the sender had not ended, and will not touch this cell any more.
        let own = unsafe { replace(&shared.receiver, None) };
        if before & TX_WAITS != 0 {
            // SAFETY:
            // - it lay there when the receiver closed, so it is the receiver's.
            let waker = unsafe { replace(&shared.sender, None) };
            if let Some(waker) = waker {
                contain::wake(waker);
            }
        }
        drop(own);
        false
    }
}

impl<T> Drop for ReceiverEnd<T> {
    #[inline]
    fn drop(&mut self) {
        // Acquire pairs with the last step of the sender.
        if self.shared().word.load(Ordering::Acquire) & TX_OUT != 0 {
            // SAFETY:
            // - the sender is out, and this is the last step of the receiver.
            unsafe { free(self.0) };
            return;
        }
        let value = if self.close() {
            // SAFETY:
            // - ended before it was closed, so it is the receiver's.
            unsafe { replace(&self.shared().value, None) }
        } else {
            None
        };
        // SAFETY:
        // - the last step of the receiver.
        unsafe { leave(self.0, RX_OUT, TX_OUT) };
        // A destructor of others: nothing of ours is held any more.
        drop(value);
    }
}
