//! Code of others, called where a panic of it must not take anything of ours along: wakers and
//! destructors.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Wakes. A waker may be anybody's, and what it panics with ends here: nothing that runs here is
/// what the panic is about, and others wait for their wakes. The panic hook has reported it.
///
/// Not under a lock, and while nothing is borrowed: a waker may come back to its caller.
pub(crate) fn wake(waker: Waker) {
    guard(|| waker.wake());
}

/// Calls `code` as [`wake`] does a waker.
pub(crate) fn guard(code: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(code)) {
        // A payload may panic in its turn; what that one panicked with is leaked.
        let _leaked = ManuallyDrop::new(catch_unwind(AssertUnwindSafe(|| drop(payload))));
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::panic::panic_any;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::wake;

    /// What panics once more when it is dropped.
    struct Payload;

    impl Drop for Payload {
        fn drop(&mut self) {
            panic!("the payload of a payload");
        }
    }

    struct Bad(AtomicUsize);

    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
            panic_any(Payload);
        }
    }

    #[test]
    fn a_waker_that_panics_with_what_panics_is_contained() {
        let bad = Arc::new(Bad(AtomicUsize::new(0)));
        wake(Waker::from(Arc::clone(&bad)));
        assert_eq!(bad.0.load(Ordering::Relaxed), 1);
    }
}
