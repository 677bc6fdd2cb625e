//! Each kind of buffer keeps the obligations of the buffer traits.

use std::io;
use std::sync::Arc;
use std::thread;

use crate::buf::{BufResultExt, IoBuf, IoBufMut, MAX_TRANSFER, Slice, transfer_len};

static_assertions::assert_obj_safe!(IoBuf, IoBufMut);

/// What a read of `data` does to a buffer: writes behind the compiler's back, then the length.
pub(super) fn read_into<B: IoBufMut>(buf: &mut B, data: &[u8]) -> usize {
    let len = data.len().min(buf.bytes_total());
    let to = buf.stable_mut_ptr();
    // SAFETY: O5 of the buffer; `data` is another allocation.
    unsafe { to.copy_from_nonoverlapping(data.as_ptr(), len) };
    // SAFETY: `len <= bytes_total`, and these bytes were just written.
    unsafe { buf.set_init(len) };
    len
}

/// The address holds while the value moves between places and threads, and the bytes are right.
fn keeps_its_promises<B: IoBuf>(buf: B, content: &[u8]) {
    let (address, init, total) = (buf.stable_ptr(), buf.bytes_init(), buf.bytes_total());
    assert!(!address.is_null());
    assert!(init <= total);
    assert_eq!(buf.as_init(), content);
    let moved = thread::spawn(move || Box::new(buf)).join().unwrap();
    assert_eq!(moved.stable_ptr(), address);
    assert_eq!((moved.bytes_init(), moved.bytes_total()), (init, total));
    assert_eq!(moved.as_init(), content);
}

/// A slice of it does the same, and gives back the same buffer.
fn slices<B: IoBuf + Clone>(buf: B, content: &[u8]) {
    keeps_its_promises(buf.clone().slice(1..3), &content[1..3]);
    let slice = buf.slice(..);
    assert_eq!(slice.as_ref(), content);
    keeps_its_promises(slice.into_inner(), content);
}

/// A buffer whose length is fixed takes a read at its start and keeps what follows.
fn is_read_into_at_its_start<B: IoBufMut>(mut buf: B, content: &[u8]) {
    assert_eq!(buf.stable_mut_ptr().cast_const(), buf.stable_ptr());
    assert_eq!(read_into(&mut buf, b"XY"), 2);
    assert_eq!(buf.as_init(), [b"XY", &content[2..]].concat());
}

#[test]
fn every_owner_of_bytes_keeps_its_promises() {
    let text = b"text";
    keeps_its_promises(text.to_vec(), text);
    keeps_its_promises(Box::<[u8]>::from(*text), text);
    keeps_its_promises(Box::new(*text), text);
    keeps_its_promises(Arc::<[u8]>::from(*text), text);
    keeps_its_promises(&text[..], text);
    keeps_its_promises("text", text);
    keeps_its_promises(String::from("text"), text);
}

#[test]
fn a_buffer_of_no_bytes_is_a_buffer() {
    keeps_its_promises(Vec::new(), b"");
    keeps_its_promises(Box::<[u8]>::from([]), b"");
    keeps_its_promises(Box::new([]), b"");
    keeps_its_promises(Arc::<[u8]>::from([]), b"");
    keeps_its_promises("", b"");
    keeps_its_promises(String::new(), b"");
    keeps_its_promises("text".slice(4..), b"");
    let mut empty = Vec::new();
    assert_eq!(read_into(&mut empty, b"data"), 0);
    assert_eq!(empty, b"");
}

#[test]
fn every_owner_of_bytes_can_be_sliced() {
    let text = b"text";
    slices(text.to_vec(), text);
    slices(Box::<[u8]>::from(*text), text);
    slices(Box::new(*text), text);
    slices(Arc::<[u8]>::from(*text), text);
    slices(&text[..], text);
    slices("text", text);
    slices(String::from("text"), text);
}

#[test]
fn a_fixed_buffer_keeps_what_a_short_read_does_not_reach() {
    is_read_into_at_its_start(Box::<[u8]>::from(*b"text"), b"text");
    is_read_into_at_its_start(Box::new(*b"text"), b"text");
}

#[test]
fn a_shared_owner_stays_readable_beside_the_operation() {
    let shared = Arc::<[u8]>::from(*b"shared");
    let slice = Arc::clone(&shared).slice(2..);
    assert_eq!(slice.stable_ptr(), shared[2..].as_ptr());
    assert_eq!(&shared[2..], &slice[..]);
}

#[test]
fn a_read_replaces_what_a_vector_held() {
    let mut buf = b"longer than the data".to_vec();
    assert_eq!(read_into(&mut buf, b"data"), 4);
    assert_eq!(buf, b"data");
    assert!(buf.capacity() >= 20);
}

#[test]
fn a_read_uses_the_capacity_of_a_vector() {
    let mut buf = Vec::with_capacity(4);
    let total = buf.bytes_total();
    assert_eq!(read_into(&mut buf, &vec![7; total + 1]), total);
    assert_eq!(buf, vec![7; total]);
}

#[test]
fn a_read_into_the_tail_of_a_vector_appends() {
    let mut buf = b"head".to_vec();
    buf.reserve(8);
    let mut tail = buf.slice(4..);
    assert_eq!(tail.bytes_init(), 0);
    assert_eq!(read_into(&mut tail, b"tail"), 4);
    assert_eq!(&tail[..], b"tail");
    assert_eq!(tail.into_inner(), b"headtail");
}

#[test]
fn a_read_into_an_open_slice_cuts_the_vector_where_it_ended() {
    let mut tail = b"0123456789".to_vec().slice(4..);
    assert_eq!(read_into(&mut tail, b"ab"), 2);
    assert_eq!(tail.into_inner(), b"0123ab");
}

#[test]
fn a_read_into_the_middle_keeps_what_is_behind_it() {
    let mut middle = b"0123456789".to_vec().slice(2..5);
    assert_eq!(read_into(&mut middle, b"abcdef"), 3);
    assert_eq!(read_into(&mut middle, b"x"), 1);
    assert_eq!(&middle[..], b"xbc");
    assert_eq!(middle.into_inner(), b"01xbc56789");
}

#[test]
fn a_bounded_slice_bounds_a_read_into_spare_capacity() {
    let mut bounded = Vec::with_capacity(100).slice(..3);
    assert_eq!(bounded.bytes_total(), 3);
    assert_eq!(read_into(&mut bounded, b"abcdef"), 3);
    assert_eq!(bounded.into_inner(), b"abc");
}

#[test]
fn a_slice_of_a_slice_reads_and_appends_in_the_right_place() {
    let mut buf = b"0123".to_vec();
    buf.reserve_exact(6);
    let mut inner = buf.slice(1..8).slice(2..5);
    assert_eq!((inner.bytes_init(), inner.bytes_total()), (1, 3));
    assert_eq!(&inner[..], b"3");
    assert_eq!(read_into(&mut inner, b"abcdef"), 3);
    assert_eq!(inner.into_inner().into_inner(), b"012abc");
}

#[test]
fn the_bytes_of_a_slice_can_be_changed_in_place() {
    let mut slice = Box::new(*b"text").slice(1..3);
    slice.make_ascii_uppercase();
    assert_eq!(slice.into_inner(), Box::new(*b"tEXt"));
}

#[test]
fn every_kind_of_range_is_understood() {
    use std::ops::Bound::{Excluded, Included, Unbounded};

    fn part(range: impl std::ops::RangeBounds<usize>) -> Vec<u8> {
        "01234".slice(range).to_vec()
    }
    assert_eq!(part(..), b"01234");
    assert_eq!(part(1..), b"1234");
    assert_eq!(part(..2), b"01");
    assert_eq!(part(..=2), b"012");
    assert_eq!(part(1..=3), b"123");
    assert_eq!(part((Excluded(1), Included(4))), b"234");
    assert_eq!(part((Excluded(4), Unbounded)), b"");
    assert_eq!(part(5..5), b"");
}

#[test]
#[should_panic(expected = "slice begins at byte 5, after the 4 initialised bytes")]
fn a_slice_that_would_leave_a_gap_is_refused() {
    let mut buf = Vec::with_capacity(100);
    buf.extend_from_slice(b"text");
    buf.slice(5..);
}

#[test]
#[should_panic(expected = "slice ends at byte 5, after the 4 bytes that the buffer has room for")]
fn a_slice_beyond_the_buffer_is_refused() {
    "text".slice(..5);
}

#[test]
#[should_panic(expected = "after the 4 bytes that the buffer has room for")]
fn a_slice_to_the_last_address_is_refused() {
    "text".slice(..=usize::MAX);
}

#[test]
#[should_panic(expected = "slice begins at byte 3, after its end at byte 2")]
#[allow(clippy::reversed_empty_ranges, reason = "this is what is refused")]
fn a_slice_that_ends_before_it_begins_is_refused() {
    "text".slice(3..2);
}

#[test]
fn a_panicking_slice_names_the_line_that_asked_for_it() {
    use std::panic::{catch_unwind, set_hook, take_hook};
    use std::sync::Mutex;

    static SEEN: Mutex<Option<u32>> = Mutex::new(None);
    let this_thread = thread::current().id();
    let previous = Arc::new(take_hook());
    let fallback = Arc::clone(&previous);
    set_hook(Box::new(move |info| match info.location() {
        Some(at) if thread::current().id() == this_thread => {
            *SEEN.lock().unwrap() = at.file().ends_with("tests.rs").then_some(at.line());
        }
        _ => fallback(info),
    }));
    let line = line!() + 1;
    let refused = catch_unwind(|| "text".slice(9..)).is_err();
    set_hook(Box::new(move |info| previous(info)));
    assert!(refused);
    assert_eq!(*SEEN.lock().unwrap(), Some(line));
}

#[test]
fn the_buffer_comes_back_with_an_error() {
    let failed: (io::Result<usize>, _) = (Err(io::ErrorKind::TimedOut.into()), "text".slice(1..));
    let (result, buf) = failed.map_value(|read| read + 1).map_buf(Slice::into_inner);
    assert_eq!(buf, "text");
    assert_eq!((result, buf).into_result().unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn a_success_is_mapped_on_both_sides() {
    let both = (Ok(2), "text").map_value(|read| read * 2).map_buf(str::len);
    assert_eq!(both.into_result().unwrap(), (4, 4));
    assert_eq!((Ok(2), "text").into_io_result().unwrap(), 2);
}

#[test]
fn one_operation_moves_at_most_the_limit() {
    for short in [0, 1, MAX_TRANSFER - 1, MAX_TRANSFER] {
        assert_eq!(transfer_len(short) as usize, short);
    }
    for long in [MAX_TRANSFER + 1, u32::MAX as usize, usize::MAX] {
        assert_eq!(transfer_len(long) as usize, MAX_TRANSFER);
    }
}
