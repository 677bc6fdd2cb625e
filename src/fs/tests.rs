//! The parts that need no kernel.

use crate::fs::{File, checked_offset};

static_assertions::assert_impl_all!(File: Clone, Send, Sync);

#[test]
fn offsets_end_where_those_of_the_kernel_do() {
    let last = i64::MAX as u64;
    assert_eq!(checked_offset(last).unwrap(), last);
    for beyond in [last + 1, u64::MAX] {
        let error = checked_offset(beyond).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&beyond.to_string()), "{error}");
    }
}
