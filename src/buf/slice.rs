//! A part of a buffer as a buffer of its own.

use std::ops::{Bound, Deref, DerefMut, RangeBounds};

use crate::buf::{FixedPart, IoBuf, IoBufMut};

/// A part of a buffer, which it owns: made by [`IoBuf::slice`], undone by
/// [`into_inner`](Self::into_inner).
///
/// Dereferences to those of its bytes that are initialised. A read into a slice fills it from its
/// own start and touches nothing outside of it:
///
/// - Bytes before the slice stay, also in the length of the buffer. So reading into
///   `vec.slice(n..)` keeps `n` bytes and appends to them.
/// - Bytes behind the end of the slice stay as well: if the buffer is initialised beyond it, its
///   length is not changed, and the count that the read returns says how much of the slice is new.
/// - Otherwise the buffer ends where the read ended: `vec.slice(n..)` after a read of `k` bytes is
///   a
///   vector of `n + k` bytes.
///
/// # Examples
///
/// ```
/// use spargio::IoBuf;
///
/// let mut buf = b"header".to_vec();
/// buf.reserve(100);
/// let body = buf.slice(6..);
/// assert!(body.is_empty(), "nothing is initialised here yet");
/// assert!(body.bytes_total() >= 100);
/// assert_eq!(body.into_inner(), b"header");
/// ```
#[derive(Debug)]
pub struct Slice<B> {
    // Never lent mutably, so that the two invariants that hold when the slice is made go on
    // holding (O4, O7): begin <= inner.bytes_init() and begin <= end <= inner.bytes_total().
    inner: B,
    begin: usize,
    end: usize,
}

impl<B: IoBuf> Slice<B> {
    #[track_caller]
    pub(super) fn new(inner: B, range: impl RangeBounds<usize>) -> Self {
        let (init, total) = (inner.bytes_init(), inner.bytes_total());
        // A bound behind `usize::MAX` is refused below like any other that is too large.
        let begin = match range.start_bound() {
            Bound::Included(&begin) => begin,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => last.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => total,
        };
        assert!(
            begin <= init,
            "slice begins at byte {begin}, after the {init} initialised bytes of the buffer"
        );
        assert!(
            end <= total,
            "slice ends at byte {end}, after the {total} bytes that the buffer has room for"
        );
        assert!(begin <= end, "slice begins at byte {begin}, after its end at byte {end}");
        Self { inner, begin, end }
    }

    /// The whole buffer again.
    ///
    /// ```
    /// use spargio::IoBuf;
    /// assert_eq!(vec![1, 2, 3].slice(1..2).into_inner(), [1, 2, 3]);
    /// ```
    pub fn into_inner(self) -> B {
        self.inner
    }

    /// The whole buffer, to look at.
    ///
    /// ```
    /// use spargio::IoBuf;
    /// assert_eq!(vec![1, 2, 3].slice(1..2).get_ref(), &[1, 2, 3]);
    /// ```
    pub const fn get_ref(&self) -> &B {
        &self.inner
    }

    /// Where in the buffer the slice begins.
    ///
    /// ```
    /// use spargio::IoBuf;
    /// assert_eq!("text".slice(1..3).begin(), 1);
    /// ```
    pub const fn begin(&self) -> usize {
        self.begin
    }

    /// Where in the buffer the slice ends, whether or not the bytes up to there are initialised.
    ///
    /// ```
    /// use spargio::IoBuf;
    /// assert_eq!("text".slice(1..3).end(), 3);
    /// ```
    pub const fn end(&self) -> usize {
        self.end
    }
}

// SAFETY: by the invariants of the fields, and O1 to O4 of the inner buffer, of which
// - O1: `begin..end` lies in its `bytes_total` bytes.
// - O2: its address is stable, so is a fixed distance from it.
// - O3: the bytes from `begin` to the smaller of `end` and its `bytes_init` are initialised.
// - O4: the three methods compute from values that do not change, and `set_init` changes only
//   `bytes_init`.
unsafe impl<B: IoBuf> IoBuf for Slice<B> {
    fn stable_ptr(&self) -> *const u8 {
        // SAFETY: `begin <= bytes_total`, so by O1 the result is in the buffer or at its end.
        unsafe { self.inner.stable_ptr().add(self.begin) }
    }

    fn bytes_init(&self) -> usize {
        self.inner.bytes_init().min(self.end) - self.begin
    }

    fn bytes_total(&self) -> usize {
        self.end - self.begin
    }

    fn fixed(&self) -> Option<FixedPart<'_>> {
        self.inner.fixed()
    }
}

// SAFETY: by O5 to O7 of the inner buffer, of which
// - O5: the address at `begin` may be written for `end - begin` bytes.
// - O6: nothing else uses these bytes, and the slice lends them only while it is borrowed itself.
// - O7: either it becomes initialised up to `begin + len` or more, or it is initialised beyond
//   `end` already, and then so is all of the slice. Neither writes.
unsafe impl<B: IoBufMut> IoBufMut for Slice<B> {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        // SAFETY: `begin <= bytes_total`, so by O5 the result is in the buffer or at its end.
        unsafe { self.inner.stable_mut_ptr().add(self.begin) }
    }

    unsafe fn set_init(&mut self, len: usize) {
        if self.inner.bytes_init() <= self.end {
            // SAFETY:
            // - The caller promises `len <= end - begin`, so `begin + len <= end`, which is at most
            //   the inner `bytes_total`.
            // - The first `begin` bytes are initialised by the invariant, and the `len` behind them
            //   by the caller's promise.
            unsafe { self.inner.set_init(self.begin + len) };
        }
    }
}

impl<B: IoBuf> Deref for Slice<B> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_init()
    }
}

impl<B: IoBufMut> DerefMut for Slice<B> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.bytes_init();
        // SAFETY: O5 and O6 make the bytes ours to write while `self` is borrowed, O3 has them
        // initialised.
        unsafe { std::slice::from_raw_parts_mut(self.stable_mut_ptr(), len) }
    }
}

impl<B: IoBuf> AsRef<[u8]> for Slice<B> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
