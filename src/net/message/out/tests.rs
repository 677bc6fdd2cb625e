//! The layout, and that no bytes make the reader leave it.

use proptest::collection;
use proptest::prelude::any;
use proptest::prop_assert;
use proptest::prop_assert_eq;
use proptest::test_runner::{Config, TestRunner};

use super::{HEAD, MessageOut, Rooms};

/// A buffer as the kernel fills it.
fn laid_out(rooms: Rooms, name: &[u8], control: &[u8], payload: &[u8], flags: u32) -> Vec<u8> {
    let padded = |part: &[u8], room: usize| {
        let mut part = part[..part.len().min(room)].to_vec();
        part.resize(room, 0xee);
        part
    };
    let head = [name.len() as u32, control.len() as u32, payload.len() as u32, flags];
    let head: Vec<u8> = head.into_iter().flat_map(u32::to_ne_bytes).collect();
    [&head, &padded(name, rooms.name), &padded(control, rooms.control), payload].concat()
}

#[test]
fn each_part_is_where_the_kernel_puts_it() {
    let rooms = Rooms { name: 32, control: 24 };
    let bytes = laid_out(rooms, &[1; 16], &[2; 20], &[3; 100], libc::MSG_CTRUNC as u32);
    let out = MessageOut::parse(&bytes, rooms).unwrap();
    assert_eq!((out.name, out.control), (&[1; 16][..], &[2; 20][..]));
    assert_eq!((&bytes[out.payload], out.full_len), (&[3; 100][..], 100));
    assert_eq!(out.flags, libc::MSG_CTRUNC);
}

#[test]
fn a_message_that_was_cut_says_how_long_it_was() {
    let rooms = Rooms { name: 8, control: 0 };
    let bytes = laid_out(rooms, &[1; 30], &[], &[3; 100], libc::MSG_TRUNC as u32);
    let out = MessageOut::parse(&bytes[..rooms.payload() + 60], rooms).unwrap();
    assert_eq!((out.payload.len(), out.full_len), (60, 100));
    assert_eq!(out.name, [1; 8], "what there is room for");
    // Without any of its bytes it is one too; without room for them it is none.
    let out = MessageOut::parse(&bytes[..rooms.payload()], rooms).unwrap();
    assert_eq!((out.payload.len(), out.full_len), (0, 100));
    assert_eq!(MessageOut::parse(&bytes[..rooms.payload() - 1], rooms), None);
    assert_eq!(MessageOut::parse(&[], Rooms { name: 0, control: 0 }), None);
    assert_eq!(MessageOut::parse(&bytes, Rooms { name: usize::MAX, control: usize::MAX }), None);
}

#[test]
fn arbitrary_bytes_stay_inside() {
    let bytes = collection::vec(any::<u8>(), 0..300);
    let inputs = (bytes, 0..80_usize, 0..80_usize, any::<[bool; 3]>());
    let config = Config { cases: 2048, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&inputs, |(mut bytes, name, control, small)| {
        // Lengths that look like lengths.
        for (length, small) in bytes.chunks_exact_mut(4).zip(small) {
            if small {
                length[1..].fill(0);
            }
        }
        let rooms = Rooms { name, control };
        let out = MessageOut::parse(&bytes, rooms);
        prop_assert_eq!(out.is_some(), bytes.len() >= HEAD + name + control);
        let Some(out) = out else { return Ok(()) };
        prop_assert!(out.name.len() <= name && out.control.len() <= control);
        prop_assert_eq!(out.payload.start, HEAD + name + control);
        prop_assert!(out.payload.end <= bytes.len() && out.payload.len() <= out.full_len);
        // All of it, or all that there is.
        prop_assert!(out.payload.len() == out.full_len || out.payload.end == bytes.len());
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
