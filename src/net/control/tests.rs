//! Control data: what is put comes back, and nothing that a kernel could write breaks the reader.

use proptest::collection;
use proptest::prelude::any;
use proptest::prop_assert_eq;
use proptest::test_runner::{Config, TestRunner};

use super::{ALIGN, Control, HEAD};

/// The control data of these bytes.
fn control(bytes: &[u8]) -> Control {
    Control::copied(bytes)
}

#[test]
fn what_is_put_comes_back_in_order() {
    let messages =
        collection::vec((any::<i32>(), any::<i32>(), collection::vec(any::<u8>(), 0..40)), 0..6);
    let config = Config { cases: 256, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&messages, |messages| {
        let mut control = Control::default();
        for (level, kind, data) in &messages {
            control.put(*level, *kind, data);
        }
        prop_assert_eq!(control.len() % ALIGN, 0);
        let seen: Vec<_> =
            control.messages().map(|one| (one.level, one.kind, one.data.to_vec())).collect();
        prop_assert_eq!(seen, messages);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn arbitrary_bytes_end_and_stay_inside() {
    let bytes = collection::vec(any::<u8>(), 0..200);
    let config = Config { cases: 512, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&bytes, |mut bytes| {
        // Lengths that look like lengths.
        for word in bytes.chunks_exact_mut(8) {
            word[2..].fill(0);
        }
        let control = control(&bytes);
        let total: usize = control.messages().map(|one| one.data.len()).sum();
        assert!(total <= bytes.len());
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn a_message_that_was_cut_has_what_fits() {
    let mut whole = Control::default();
    whole.put(1, 2, &[7; 24]);
    let cut = control(&whole.bytes()[..HEAD + 8]);
    let seen: Vec<_> = cut.messages().map(|one| one.data.to_vec()).collect();
    assert_eq!(seen, [vec![7; 8]]);
}

#[test]
fn a_message_shorter_than_its_head_ends_the_rest() {
    let mut bytes = vec![0; 64];
    bytes[0] = 8;
    assert_eq!(control(&bytes).messages().count(), 0);
}
