//! The result of an operation together with the buffer that it owned.

use std::io;

/// What an operation gives back: its result, and the buffer whether it succeeded or not.
///
/// ```
/// use spargio::BufResult;
///
/// fn first_byte((result, buf): BufResult<usize, Vec<u8>>) -> std::io::Result<Option<u8>> {
///     let read = result?;
///     Ok(buf[..read].first().copied())
/// }
/// assert_eq!(first_byte((Ok(2), vec![7, 8])).unwrap(), Some(7));
/// ```
pub type BufResult<T, B> = (io::Result<T>, B);

/// Turns a [`BufResult`] into what `?` understands, and maps its halves.
///
/// Only [`BufResult`] implements it.
pub trait BufResultExt<T, B>: sealed::Sealed + Sized {
    /// Both the value and the buffer, or the error; then the buffer is dropped.
    ///
    /// # Errors
    ///
    /// That of the operation.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::{BufResult, BufResultExt};
    ///
    /// fn body(result: BufResult<usize, Vec<u8>>) -> std::io::Result<Vec<u8>> {
    ///     let (read, buf) = result.into_result()?;
    ///     Ok(buf[..read].to_vec())
    /// }
    /// assert_eq!(body((Ok(1), vec![7, 8])).unwrap(), [7]);
    /// ```
    fn into_result(self) -> io::Result<(T, B)>;

    /// The result without the buffer, which is dropped.
    ///
    /// # Errors
    ///
    /// That of the operation.
    ///
    /// # Examples
    ///
    /// ```
    /// use spargio::BufResultExt;
    /// assert_eq!((Ok(4), "text").into_io_result().unwrap(), 4);
    /// ```
    fn into_io_result(self) -> io::Result<T>;

    /// Changes the value of a success.
    ///
    /// ```
    /// use spargio::BufResultExt;
    /// let (result, buf) = (Ok(4), "text").map_value(|written| written > 0);
    /// assert!(result.unwrap());
    /// assert_eq!(buf, "text");
    /// ```
    fn map_value<U>(self, change: impl FnOnce(T) -> U) -> BufResult<U, B>;

    /// Changes the buffer, whether the operation succeeded or not.
    ///
    /// ```
    /// use spargio::{BufResultExt, IoBuf, Slice};
    /// let (result, buf) = (Ok(2), "text".slice(2..)).map_buf(Slice::into_inner);
    /// assert_eq!((result.unwrap(), buf), (2, "text"));
    /// ```
    fn map_buf<C>(self, change: impl FnOnce(B) -> C) -> BufResult<T, C>;
}

impl<T, B> BufResultExt<T, B> for BufResult<T, B> {
    fn into_result(self) -> io::Result<(T, B)> {
        let (result, buf) = self;
        result.map(|value| (value, buf))
    }

    fn into_io_result(self) -> io::Result<T> {
        self.0
    }

    fn map_value<U>(self, change: impl FnOnce(T) -> U) -> BufResult<U, B> {
        let (result, buf) = self;
        (result.map(change), buf)
    }

    fn map_buf<C>(self, change: impl FnOnce(B) -> C) -> BufResult<T, C> {
        let (result, buf) = self;
        (result, change(buf))
    }
}

mod sealed {
    use std::io;

    pub trait Sealed {}

    impl<T, B> Sealed for (io::Result<T>, B) {}
}
