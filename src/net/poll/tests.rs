//! Tests of what is known about readiness.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use super::Sight;
use crate::net::ready::Ready;
use crate::primitive::Arc;

const IN: Ready = Ready::from_events(libc::POLLIN as u32);
const OUT: Ready = Ready::from_events(libc::POLLOUT as u32);

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn what_is_told_is_seen_until_it_is_cleared() {
    let sight = Sight::new();
    assert_eq!(sight.look(Waker::noop()), None);
    sight.note(IN).expect("somebody waits");
    let seen = sight.look(Waker::noop()).unwrap();
    assert_eq!(seen.ready, IN);
    assert_eq!(sight.look(Waker::noop()), Some(seen));
    sight.clear(seen);
    assert_eq!(sight.look(Waker::noop()), None);
}

#[test]
fn what_is_told_between_a_look_and_its_clearing_stays() {
    let sight = Sight::new();
    assert!(sight.note(IN).is_none());
    let seen = sight.look(Waker::noop()).unwrap();
    assert!(sight.note(IN).is_none());
    sight.clear(seen);
    let seen = sight.look(Waker::noop()).unwrap();
    assert_eq!(seen.ready, IN);
    sight.clear(seen);
    assert_eq!(sight.look(Waker::noop()), None);
}

#[test]
fn what_is_told_is_added_to_what_is_known() {
    let sight = Sight::new();
    assert!(sight.note(IN).is_none());
    assert!(sight.note(OUT).is_none());
    let ready = sight.look(Waker::noop()).unwrap().ready;
    assert!(ready.is_readable() && ready.is_writable() && !ready.is_error());
}

#[test]
fn the_last_who_looked_is_woken_once() {
    let (first, second) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let sight = Sight::new();
    assert_eq!(sight.look(&Waker::from(Arc::clone(&first))), None);
    assert_eq!(sight.look(&Waker::from(Arc::clone(&second))), None);
    sight.note(IN).unwrap().wake();
    assert!(sight.note(IN).is_none());
    assert_eq!([&first, &second].map(|count| count.0.load(Ordering::Relaxed)), [0, 1]);
    assert_eq!(Arc::strong_count(&first), 1, "a waker that was replaced is dropped");
}
