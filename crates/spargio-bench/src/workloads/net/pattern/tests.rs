//! Every byte of a frame counts, and so does its place among the frames.

use super::{Pattern, put_word, word_of};

fn frame(connection: usize, number: u64) -> Vec<u8> {
    let mut frame = vec![0; 64];
    Pattern::of(connection).fill(&mut frame, number);
    frame
}

#[test]
fn a_frame_is_known_again() {
    assert!(Pattern::of(3).check(&frame(3, 17), 17).is_ok());
}

#[test]
fn each_changed_byte_is_noticed() {
    let right = frame(0, 5);
    for at in 0..right.len() {
        let mut changed = right.clone();
        changed[at] ^= 1;
        assert!(Pattern::of(0).check(&changed, 5).is_err(), "byte {at}");
    }
}

#[test]
fn a_frame_of_another_number_or_connection_is_noticed() {
    assert!(Pattern::of(0).check(&frame(0, 6), 5).is_err());
    assert!(Pattern::of(0).check(&frame(1, 5), 5).is_err());
}

#[test]
fn a_frame_that_is_cut_inside_of_a_word_is_noticed() {
    assert!(Pattern::of(0).check(&frame(0, 5)[..60], 5).is_err());
}

#[test]
fn a_frame_behind_a_word_is_right_with_this_word_and_number_only() {
    let pattern = Pattern::of(3);
    let mut frame = [0; 64];
    pattern.fill_behind(7, &mut frame, 5);
    assert_eq!(word_of(&frame), 7);
    assert!(pattern.check_behind(7, &frame, 5).is_ok());
    assert!(pattern.check_behind(8, &frame, 5).is_err());
    assert!(pattern.check_behind(7, &frame, 6).is_err());
    put_word(&mut frame, 8);
    assert!(pattern.check_behind(8, &frame, 5).is_ok());
    frame[63] ^= 1;
    assert!(pattern.check_behind(8, &frame, 5).is_err());
}
