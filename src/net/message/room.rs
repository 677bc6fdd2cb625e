//! Where messages are received one after the other: buffers of the shard, or memory of the
//! receive's own.

use std::fmt;
use std::io;
use std::os::fd::RawFd;

use socket2::{SockAddr, SockAddrStorage};

use crate::buf::pool::Armed;
use crate::buf::transfer_len;
use crate::driver::Sqe;
use crate::net::control::Control;
use crate::net::inlet::intake::Intake;
use crate::net::message::out::{MessageOut, Rooms};
use crate::net::message::{Came, Header, RECV_FLAGS, take_fds};
use crate::op::recv_buf::{arm, buffer_size, lent};
use crate::op::{Outcome, RecvBuf};

/// One receive of messages. It is not moved while the kernel uses it.
pub(in crate::net) struct MessageRoom {
    rooms: Rooms,
    /// The kernel takes one buffer after the other out of a group.
    armed: Option<Armed>,
    /// For the kernel to read what room there is; for a receive into own memory it writes to it.
    head: Option<Header>,
    own: Vec<u8>,
}

/// A message with its bytes.
#[derive(Debug)]
pub(in crate::net) struct Message {
    pub(in crate::net) came: Came,
    pub(in crate::net) bytes: RecvBuf,
}

impl MessageRoom {
    fn new_head(&self, control: Control) -> Header {
        let name = SockAddrStorage::zeroed();
        let most = name.size_of();
        let name_len = libc::socklen_t::try_from(self.rooms.name).unwrap_or(most).min(most);
        Header::new(name, name_len, control)
    }

    /// What the kernel wrote to a buffer.
    fn read(&self, mut bytes: RecvBuf) -> io::Result<Message> {
        let Some(out) = MessageOut::parse(&bytes, self.rooms) else {
            let text = format!(
                "{} bytes were received, and {} go before each message",
                bytes.len(),
                self.rooms.payload()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        };
        let control = Control::copied(out.control);
        let came = Came {
            len: out.payload.len(),
            full_len: out.full_len,
            from: sock_addr(out.name),
            is_control_cut: out.flags & libc::MSG_CTRUNC != 0,
            fds: take_fds(&control),
            control,
        };
        let payload = out.payload;
        bytes.truncate(payload.end);
        bytes.advance(payload.start);
        Ok(Message { came, bytes })
    }
}

/// The address that these bytes are.
fn sock_addr(name: &[u8]) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    let len = name.len().min(size_of::<SockAddrStorage>());
    let to = (&raw mut storage).cast::<u8>();
    // SAFETY:
    // - `len` bytes are within both, which are not the same memory; any bytes are a storage.
    unsafe { std::ptr::copy_nonoverlapping(name.as_ptr(), to, len) };
    // SAFETY:
    // - the storage is initialised, and has `len` bytes of an address that the kernel wrote; a
    //   socket without a name has the length 0 and the family `AF_UNSPEC`.
    unsafe { SockAddr::new(storage, len as libc::socklen_t) }
}

// SAFETY: I1:
// - the header is in `self`, which is not moved, as is all that it points to, but for the own
//   memory and the control data, which are on the heap. `armed` keeps the memory of the provided
//   buffers.
unsafe impl Intake for MessageRoom {
    type Plan = Rooms;
    type Item = io::Result<Message>;

    /// Nothing is a message too.
    const ENDS: bool = false;

    fn new(rooms: &Rooms) -> Self {
        Self { rooms: *rooms, armed: None, head: None, own: Vec::new() }
    }

    fn entry(&mut self, fd: RawFd, buffers: Option<usize>) -> Sqe {
        let size = buffer_size();
        // Buffers that are smaller than what goes before a message are of no use.
        let room = size.checked_sub(self.rooms.payload()).filter(|room| *room > 0);
        self.armed = buffers.and(room).and_then(|_| arm());
        if let Some(armed) = &self.armed {
            // The room is in the buffers, and its size is all that the header says.
            let fresh = self.new_head(Control::default());
            let header = self.head.insert(fresh).announce(self.rooms.control);
            return Sqe::recv_msg_multi(fd, header, armed.group(), RECV_FLAGS);
        }
        // As much as a provided buffer would have, so that what is cut does not depend on whether
        // there is one.
        let fresh = self.new_head(Control::with_room(self.rooms.control));
        let head = self.head.insert(fresh);
        self.own.reserve_exact(room.unwrap_or(size));
        let len = transfer_len(self.own.capacity()) as usize;
        let control = head.control.room();
        let header = head.point_at(self.own.as_mut_ptr(), len, control);
        Sqe::recv_msg(fd, header, RECV_FLAGS)
    }

    fn is_many(&self) -> bool {
        self.armed.is_some()
    }

    unsafe fn brought(&mut self, outcome: Outcome) -> Option<io::Result<Message>> {
        if let Some(armed) = &self.armed {
            // SAFETY: the caller's promise.
            let bytes = unsafe { lent(armed, outcome) }?;
            return (outcome.result >= 0).then(|| self.read(bytes));
        }
        let full_len = usize::try_from(outcome.result).ok()?;
        let mut bytes = std::mem::take(&mut self.own);
        let came = self.head.take()?.came(full_len, bytes.capacity());
        // SAFETY:
        // - the kernel wrote the message from the first byte on, as far as the capacity goes.
        unsafe { bytes.set_len(came.len) };
        if came.len < bytes.capacity() / 4 {
            // It may be held for long.
            bytes.shrink_to_fit();
        }
        Some(Ok(Message { came, bytes: RecvBuf::own(bytes) }))
    }
}

impl fmt::Debug for MessageRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRoom").field("rooms", &self.rooms).finish_non_exhaustive()
    }
}
