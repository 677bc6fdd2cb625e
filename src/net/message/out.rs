//! Messages as the kernel lays them out in provided buffers: `struct io_uring_recvmsg_out`, then
//! room for the name, room for control data, and the bytes.

use std::ops::Range;

/// What a buffer begins with: the lengths of the name, of the control data and of the message, and
/// its flags, four bytes each.
pub(crate) const HEAD: usize = 16;

/// How much room a receive leaves in each buffer before the bytes of the message. The kernel is
/// told the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rooms {
    pub(crate) name: usize,
    pub(crate) control: usize,
}

impl Rooms {
    /// Room for so many bytes each, rounded up so that all begins at multiples of 8.
    pub(crate) fn new(name: usize, control: usize) -> Self {
        let round = |bytes: usize| bytes.checked_next_multiple_of(8).unwrap_or(bytes);
        Self { name: round(name), control: round(control) }
    }

    /// Where the bytes of the message begin.
    pub(crate) fn payload(self) -> usize {
        HEAD.saturating_add(self.name).saturating_add(self.control)
    }
}

/// One message in a buffer.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct MessageOut<'b> {
    /// The address that it came from, as far as there is room.
    pub(crate) name: &'b [u8],
    pub(crate) control: &'b [u8],
    /// Where its bytes are.
    pub(crate) payload: Range<usize>,
    /// How many bytes it had; no fewer than there are.
    pub(crate) full_len: usize,
    /// `MSG_*`
    pub(crate) flags: i32,
}

impl<'b> MessageOut<'b> {
    /// Reads what the kernel has written to a buffer. `None` if that is shorter than what goes
    /// before the message.
    ///
    /// No number in it is believed further than the bytes and the room go.
    pub(crate) fn parse(bytes: &'b [u8], rooms: Rooms) -> Option<Self> {
        let start = rooms.payload();
        let (head, rest) = bytes.get(..start)?.split_at_checked(HEAD)?;
        let number = |at: usize| head.get(4 * at..)?.first_chunk().copied().map(u32::from_ne_bytes);
        let [name_len, control_len, full_len, flags] =
            [number(0)?, number(1)?, number(2)?, number(3)?];
        let (name, control) = rest.split_at_checked(rooms.name)?;
        let full_len = full_len as usize;
        let len = full_len.min(bytes.len() - start);
        Some(Self {
            name: first(name, name_len),
            control: first(control, control_len),
            payload: start..start + len,
            full_len,
            flags: flags.cast_signed(),
        })
    }
}

/// As many bytes as it says, and as there are.
fn first(bytes: &[u8], len: u32) -> &[u8] {
    &bytes[..bytes.len().min(len as usize)]
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
