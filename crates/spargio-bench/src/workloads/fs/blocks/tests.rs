use super::{BLOCK, LINE, Offsets, check_block, content};

#[test]
fn a_block_is_known_by_its_number() {
    let content = content();
    assert!(check_block(&content[..BLOCK], 0).is_ok());
    assert!(check_block(&content[..BLOCK], 1).is_err());
    assert!(check_block(&content[7 * BLOCK..8 * BLOCK], 7).is_ok());
}

#[test]
fn a_line_that_was_not_read_is_noticed() {
    let content = content();
    for line in 0..BLOCK / LINE {
        let mut block = content[..BLOCK].to_vec();
        block[line * LINE..][..LINE].fill(0xEE);
        assert!(check_block(&block, 0).is_err(), "line {line}");
    }
}

#[test]
fn a_block_that_is_too_short_is_noticed() {
    assert!(check_block(&content()[..BLOCK - LINE], 0).is_err());
}

#[test]
fn tasks_have_orders_of_their_own() {
    let one: Vec<u64> = Offsets::of(0).take(20).collect();
    let other: Vec<u64> = Offsets::of(1).take(20).collect();
    assert_ne!(one, other);
}
