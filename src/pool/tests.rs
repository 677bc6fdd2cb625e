//! What the pool hands out, keeps and gives back.

use std::alloc::Layout;
use std::collections::HashSet;
use std::num::NonZero;
use std::ptr::NonNull;
use std::thread;

use super::{allocate, free, imp};

#[test]
fn a_value_comes_back_as_it_was() {
    let memory = allocate([1_u64, 2, 3]);
    // SAFETY:
    // - it was allocated above and is freed once.
    assert_eq!(unsafe { free(memory) }, [1, 2, 3]);
}

#[test]
fn the_block_that_was_freed_last_is_used_next() {
    let first = allocate([0_u8; 100]);
    // SAFETY:
    // - it was allocated above and is freed once.
    unsafe { free(first) };
    // The same class, another type.
    let second = allocate([0_u64; 16]);
    assert_eq!(first.cast::<u8>(), second.cast::<u8>());
    // SAFETY:
    // - as above.
    unsafe { free(second) };
}

#[test]
fn blocks_of_different_classes_are_kept_apart() {
    let small = allocate([1_u8; 64]);
    let large = allocate([2_u8; 65]);
    // SAFETY:
    // - both were allocated above and are freed once.
    unsafe { free(small) };
    // SAFETY:
    // - as above.
    unsafe { free(large) };
    let again = allocate([3_u8; 65]);
    assert_eq!(again.cast::<u8>(), large.cast::<u8>());
    // SAFETY:
    // - as above.
    unsafe { free(again) };
}

#[test]
fn memory_freed_on_another_thread_stays_there() {
    let memory = allocate([7_u8; 128]);
    let address = memory.addr();
    struct Sent(NonNull<[u8; 128]>);
    // SAFETY: the block has one owner at a time.
    unsafe impl Send for Sent {}
    let sent = Sent(memory);
    let reused = thread::spawn(move || {
        let Sent(memory) = { sent };
        // SAFETY:
        // - it was allocated by the other thread, which has given it away.
        assert_eq!(unsafe { free(memory) }, [7; 128]);
        let again = allocate([8_u8; 128]);
        let reused = again.addr();
        // SAFETY:
        // - it was allocated above and is freed once.
        unsafe { free(again) };
        reused
    });
    assert_eq!(reused.join().unwrap(), address, "the thread that freed it uses it again");
}

#[test]
fn values_larger_or_stricter_than_a_block_come_from_the_allocator() {
    #[repr(align(256))]
    struct Strict(u8);
    let large = allocate([5_u8; 4096]);
    let strict = allocate(Strict(6));
    assert_eq!(strict.addr().get() % 256, 0);
    // SAFETY:
    // - both were allocated above and are freed once.
    assert_eq!(unsafe { free(large) }, [5; 4096]);
    // SAFETY:
    // - as above.
    assert_eq!(unsafe { free(strict) }.0, 6);
}

/// Frees so many blocks on a thread of its own, which then keeps no more than it may, and says how
/// many that were.
fn free_elsewhere(layout: Layout, count: usize) -> usize {
    let freeing = thread::spawn(move || {
        let blocks: Vec<_> = (0..count).map(|_| imp::allocate_raw(layout)).collect();
        for memory in blocks {
            // SAFETY:
            // - each was allocated above with this layout and is freed once.
            unsafe { imp::free_raw(memory, layout) };
        }
        imp::kept(layout)
    });
    freeing.join().unwrap()
}

#[test]
fn more_blocks_than_are_kept_go_to_others_or_back_to_the_allocator() {
    let layout = Layout::from_size_align(64, 64).expect("a block is a layout");
    assert!(free_elsewhere(layout, imp::KEPT) <= imp::KEPT);
    // More than the thread keeps, and more than a shelf has room for.
    assert!(free_elsewhere(layout, 3 * imp::KEPT) <= imp::KEPT);
    assert!(imp::shelved(layout) < imp::KEPT + imp::BATCH);
}

#[test]
fn a_list_that_has_none_takes_what_another_has_too_much_of() {
    // A shelf of its own: other tests disturb those that all threads share.
    let shelf = imp::Shelf::new();
    // Nothing looks into the blocks, so they need no memory.
    let block = |number: usize| NonNull::without_provenance(NonZero::new(64 * number).unwrap());
    let (mut full, mut empty) = (Vec::new(), Vec::new());
    assert_eq!(shelf.pop(&mut empty), None);
    for number in 1..=imp::KEPT {
        assert!(shelf.push(&mut full, block(number)));
    }
    assert_eq!((full.len(), shelf.len()), (imp::KEPT, 0));
    assert!(shelf.push(&mut full, block(imp::KEPT + 1)));
    assert_eq!((full.len(), shelf.len()), (imp::KEPT + 1 - imp::BATCH, imp::BATCH));
    let taken = shelf.pop(&mut empty).unwrap();
    assert_eq!((empty.len(), shelf.len()), (imp::BATCH - 1, 0));
    let numbers: HashSet<_> = full.into_iter().chain(empty).chain([taken]).collect();
    assert_eq!(numbers, (1..=imp::KEPT + 1).map(block).collect(), "none is lost or doubled");
}

#[test]
fn a_shelf_that_is_full_takes_no_more() {
    let shelf = imp::Shelf::new();
    let block = NonNull::without_provenance(NonZero::new(64).unwrap());
    let mut list = Vec::new();
    let pushed = (0..3 * imp::KEPT).filter(|_| shelf.push(&mut list, block)).count();
    assert_eq!((list.len(), shelf.len()), (imp::KEPT, imp::KEPT));
    assert_eq!(pushed, 2 * imp::KEPT);
}

#[test]
fn threads_pass_blocks_on_by_way_of_the_shelf_they_share() {
    // A size that few others use. They may fill or empty the shelf at any moment, so either is
    // right: a batch changes hands, or nothing does.
    let layout = Layout::from_size_align(321, 8).expect("a block is a layout");
    let kept = free_elsewhere(layout, imp::KEPT + 1);
    assert!([imp::KEPT + 1 - imp::BATCH, imp::KEPT].contains(&kept), "{kept}");
    thread::spawn(move || {
        let memory = imp::allocate_raw(layout);
        assert!(imp::kept(layout) < imp::BATCH);
        // SAFETY:
        // - it was allocated above with this layout and is freed once.
        unsafe { imp::free_raw(memory, layout) };
    })
    .join()
    .unwrap();
}
