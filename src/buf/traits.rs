//! What memory must promise before the kernel may read or write it.

use std::ops::RangeBounds;

use crate::buf::{FixedPart, Slice};

/// Memory that can be written from: the operation owns it until the kernel is done with it.
///
/// Implemented for `Vec<u8>`, `Box<[u8]>`, `Box<[u8; N]>`, `String`, `Arc<[u8]>`, `&'static [u8]`,
/// `&'static str`, and for a [`Slice`] of any of them. Arrays by value are not buffers, because
/// they move with their owner; box them.
///
/// # Safety
///
/// The kernel works with the address behind the compiler's back. An implementation promises:
///
/// - **O1, validity.** [`stable_ptr`](Self::stable_ptr) is not null (it may dangle if
///   [`bytes_total`](Self::bytes_total) is 0) and points into one allocation, in which
///   `bytes_total` bytes from there belong to this buffer.
/// - **O2, stability.** The address stays the same and the memory valid while the value is moved,
///   also to another thread, until it is dropped or its owner changes it through `&mut`.
/// - **O3, initialisation.** The first [`bytes_init`](Self::bytes_init) bytes are initialised, and
///   `bytes_init <= bytes_total`. While the value is shared or owned by an operation, nobody writes
///   to them, also not through another handle to the same memory.
/// - **O4, constancy.** `stable_ptr`, `bytes_init` and `bytes_total` change nothing and return the
///   same as the last time, until the owner changes the value through `&mut`. Of the methods of
///   [`IoBufMut`], only [`set_init`](IoBufMut::set_init) changes any of the three, and only
///   `bytes_init`.
///
/// If [`fixed`](Self::fixed) answers a pool, the `bytes_total` bytes are those of a buffer of that
/// pool which the value owns. (A wrong answer is an error of the kernel, which checks.)
///
/// # Examples
///
/// A buffer type of one's own, which is a header and refers to shared memory:
///
/// ```
/// use std::sync::Arc;
/// use spargio::IoBuf;
///
/// struct Page(Arc<[u8]>);
///
/// // SAFETY:
/// // - O1, O3: the pointer and the length are those of the same slice, which is initialised.
/// // - O2: an `Arc` moves its pointer, not what it points to.
/// // - O3, O4: the bytes behind an `Arc` that is never lent mutably do not change.
/// unsafe impl IoBuf for Page {
///     fn stable_ptr(&self) -> *const u8 {
///         self.0.as_ptr()
///     }
///     fn bytes_init(&self) -> usize {
///         self.0.len()
///     }
/// }
///
/// let page = Page(Arc::from(*b"four"));
/// assert_eq!(page.slice(1..3).as_init(), b"ou");
/// ```
pub unsafe trait IoBuf: Send + 'static {
    /// The address of the first byte, the same for as long as the value is not changed.
    ///
    /// ```
    /// use spargio::IoBuf;
    /// let buf = vec![1, 2, 3];
    /// let before = buf.stable_ptr();
    /// let moved = Box::new(buf);
    /// assert_eq!(before, moved.stable_ptr());
    /// ```
    fn stable_ptr(&self) -> *const u8;

    /// How many bytes from the first on are initialised: what a write transfers.
    ///
    /// ```
    /// use spargio::IoBuf;
    /// assert_eq!("text".bytes_init(), 4);
    /// ```
    fn bytes_init(&self) -> usize;

    /// How many bytes the buffer has room for: what a read fills, and how far
    /// [`slice`](Self::slice) may reach. The initialised length, unless an implementation knows of
    /// more.
    ///
    /// ```
    /// use spargio::IoBuf;
    /// let mut buf = vec![1, 2, 3];
    /// buf.reserve_exact(7);
    /// assert_eq!(buf.bytes_init(), 3);
    /// assert_eq!(buf.bytes_total(), buf.capacity());
    /// ```
    fn bytes_total(&self) -> usize {
        self.bytes_init()
    }

    /// The pool that the memory belongs to, if it is that of a [`FixedBuf`](crate::FixedBuf): then
    /// files read and write it as fixed I/O. `None` unless an implementation knows better; one that
    /// wraps such a buffer passes on what that answers, and all `bytes_total` bytes from
    /// [`stable_ptr`](Self::stable_ptr) are the buffer's.
    fn fixed(&self) -> Option<FixedPart<'_>> {
        None
    }

    /// The initialised bytes.
    ///
    /// ```
    /// use spargio::IoBuf;
    /// assert_eq!(String::from("text").as_init(), b"text");
    /// ```
    fn as_init(&self) -> &[u8] {
        // SAFETY: O1 and O3 are what a slice needs of its pointer and length; nobody writes while
        // `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.stable_ptr(), self.bytes_init()) }
    }

    /// A part of the buffer as a buffer. Nothing is copied; [`Slice::into_inner`] gives the whole
    /// back.
    ///
    /// The range counts from the first byte. It may begin anywhere in the initialised bytes or just
    /// behind them, and end anywhere up to [`bytes_total`](Self::bytes_total); an open end is that
    /// limit. So `vec.slice(n..)` with `n == vec.len()` is the spare room of a vector, and reading
    /// into it appends.
    ///
    /// # Panics
    ///
    /// If the range begins after it ends or after the initialised bytes, or ends after
    /// `bytes_total`.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::IoBuf;
    /// let line = String::from("GET /index.html").slice(4..);
    /// assert_eq!(&line[..], b"/index.html");
    /// assert_eq!(line.into_inner(), "GET /index.html");
    /// ```
    #[track_caller]
    fn slice(self, range: impl RangeBounds<usize>) -> Slice<Self>
    where
        Self: Sized,
    {
        Slice::new(self, range)
    }
}

/// Memory that can be read into.
///
/// A read fills the buffer *from its start*, up to [`bytes_total`](IoBuf::bytes_total), and then
/// sets its length. For a `Vec<u8>` this means: what was in it is overwritten, the whole capacity
/// may be used, and afterwards it holds exactly the bytes of the read. To append, read into
/// `vec.slice(vec.len()..)`; to bound a read, read into `vec.slice(..n)`, since a vector's capacity
/// may be larger than was asked for. An empty vector without capacity has no room: a read into it
/// transfers nothing. Buffers of a fixed length, such as `Box<[u8]>`, keep their length, and the
/// count that a read returns says how much of them is new.
///
/// Implemented for `Vec<u8>`, `Box<[u8]>`, `Box<[u8; N]>`, and for a [`Slice`] of any of them.
///
/// # Safety
///
/// Beside O1 to O4 of [`IoBuf`], an implementation promises:
///
/// - **O5, writability.** [`stable_mut_ptr`](Self::stable_mut_ptr) is the address that
///   [`stable_ptr`](IoBuf::stable_ptr) returns, and the `bytes_total` bytes from there may be
///   written, initialised or not.
/// - **O6, exclusivity.** While the value exists, nothing else reads or writes these bytes.
/// - **O7, `set_init`.** After `set_init(len)`, `bytes_init` is `len`, or, if the implementation
///   does
///   not shorten what is initialised already, more. It writes to none of the bytes.
pub unsafe trait IoBufMut: IoBuf {
    /// The address of the first byte, for writing.
    ///
    /// ```
    /// use spargio::{IoBuf, IoBufMut};
    /// let mut buf = vec![0; 4];
    /// assert_eq!(buf.stable_mut_ptr().cast_const(), buf.stable_ptr());
    /// ```
    fn stable_mut_ptr(&mut self) -> *mut u8;

    /// Records that the first `len` bytes are initialised. A buffer with a length that can change
    /// takes `len` for its new length, whether longer or shorter; others do nothing.
    ///
    /// # Safety
    ///
    /// `len` is at most [`bytes_total`](IoBuf::bytes_total), and the first `len` bytes are
    /// initialised.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::IoBufMut;
    /// let mut buf = Vec::with_capacity(8);
    /// // SAFETY: the capacity is at least 8, so two bytes may be written.
    /// unsafe { buf.stable_mut_ptr().write_bytes(7, 2) };
    /// // SAFETY: these are the two bytes just written.
    /// unsafe { buf.set_init(2) };
    /// assert_eq!(buf, [7, 7]);
    /// ```
    unsafe fn set_init(&mut self, len: usize);
}
