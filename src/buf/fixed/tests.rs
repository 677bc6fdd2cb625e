//! Leases, lengths and sizes.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::thread;

use crate::buf::{FixedPool, IoBuf, IoBufMut};

#[test]
fn buffers_are_aligned_apart_and_come_back_from_any_thread() {
    let pool = FixedPool::new(5, 5000).unwrap();
    assert_eq!((pool.buffers(), pool.buffer_size()), (5, 8192));
    let leased: Vec<_> = std::iter::from_fn(|| pool.try_lease()).collect();
    assert_eq!((leased.len(), pool.available()), (5, 0));
    let addresses: HashSet<usize> = leased.iter().map(|buf| buf.stable_ptr().addr()).collect();
    assert_eq!(addresses.len(), 5);
    for address in &addresses {
        assert_eq!(address % 4096, 0);
        assert!(!addresses.contains(&(address + 4096)), "they overlap");
    }
    thread::spawn(move || drop(leased)).join().unwrap();
    assert_eq!(pool.available(), 5);
}

#[test]
fn a_buffer_is_as_long_as_was_read_or_set() {
    let pool = FixedPool::new(1, 4096).unwrap();
    let mut buf = pool.try_lease().unwrap();
    assert_eq!((buf.len(), buf.bytes_total()), (0, 4096));
    buf.set_len(3);
    buf.copy_from_slice(b"abc");
    assert_eq!(&buf.slice(1..)[..], b"bc");
    let mut buf = pool.try_lease().unwrap();
    assert_eq!(buf.len(), 0);
    // SAFETY: the memory is initialised, and has room for two.
    unsafe { buf.set_init(2) };
    assert_eq!(&buf[..], b"ab", "memory is not cleared");
}

#[test]
fn slices_belong_to_the_pool_of_their_buffer() {
    let (pool, other) = (FixedPool::new(1, 1).unwrap(), FixedPool::new(1, 1).unwrap());
    let weak = pool.part().downgrade();
    let slice = pool.try_lease().unwrap().slice(..0);
    assert!(slice.fixed().unwrap().is(&weak));
    assert!(!other.part().is(&weak));
    assert!(vec![0].fixed().is_none());
    drop((pool, slice));
    assert_eq!(weak.strong_count(), 0);
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    for (count, size) in [(0, 1), (1, 0), (1, (1 << 30) + 1), (usize::MAX, 2), (2, usize::MAX)] {
        let error = FixedPool::new(count, size).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{count} of {size}");
    }
}

#[test]
#[should_panic(expected = "a length of 4097 bytes, where there is room for 4096")]
fn a_buffer_does_not_grow() {
    FixedPool::new(1, 4096).unwrap().try_lease().unwrap().set_len(4097);
}
