//! The doorbell that is an eventfd: for every driver that can poll an fd.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::doorbell::{Answer, Doorbell};
use crate::driver::{Class, Cqe, Driver, Sqe, Token, sqe_flags};
use crate::id::ShardId;

/// What a ring adds to the eventfd's counter. Static, because an entry in flight reads it.
static ONE: u64 = 1;

/// Size of a read or write of an eventfd, in bytes.
const COUNTER_BYTES: u32 = size_of::<u64>() as u32;

/// A doorbell that is an eventfd, watched by the driver of the shard.
///
/// It fits every driver. On an io_uring it costs what [`MsgRing`](super::MsgRing) costs; the ring
/// of a shard is a write queued to its driver, that of a foreign thread is a `write(2)`.
///
/// The watch tells of each write once more, so the counter is not read back; a driver that is no
/// ring, or that does not watch more than once, has it read back before it is armed again.
#[derive(Debug)]
pub struct EventFd {
    fd: OwnedFd,
    /// The driver watches until told otherwise.
    multishot: bool,
}

/// The far end of an [`EventFd`].
///
/// Whoever shares it keeps it until every driver that it was rung from is gone: entries in flight
/// name its fd.
#[derive(Debug)]
pub struct EventFdRinger {
    fd: OwnedFd,
    target: ShardId,
}

impl EventFd {
    /// Opens the eventfd and queues the watch; it is armed with the driver's next flush or park,
    /// and tells then of rings that came before.
    pub(super) fn watch<D: Driver>(
        driver: &mut D,
        shard: ShardId,
    ) -> io::Result<(Self, EventFdRinger)> {
        // SAFETY: the call takes no memory.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call above just opened it, and nobody else has its number.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let far = fd.try_clone()?;
        let bell = Self { fd, multishot: true };
        bell.arm(driver)?;
        Ok((bell, EventFdRinger { fd: far, target: shard }))
    }

    /// Takes a completion of the watch.
    pub(super) fn watched<D: Driver>(&mut self, driver: &mut D, cqe: Cqe) -> io::Result<()> {
        if cqe.result == -libc::EINVAL && self.multishot {
            self.multishot = false;
            // Without room in the queue the shard asks again, with the same completion.
            return self.arm(driver).inspect_err(|_| self.multishot = true);
        }
        if cqe.result < 0 {
            return Err(io::Error::from_raw_os_error(cqe.result.wrapping_neg()));
        }
        let edges = self.multishot && driver.caps().setup_flags != 0;
        if !edges {
            self.read_back()?;
        }
        if cqe.has_more() { Ok(()) } else { self.arm(driver) }
    }

    fn arm<D: Driver>(&self, driver: &mut D) -> io::Result<()> {
        let (fd, events) = (self.fd.as_raw_fd(), libc::POLLIN as u32);
        let watch =
            if self.multishot { Sqe::poll_multi(fd, events) } else { Sqe::poll_add(fd, events) };
        // SAFETY: the entry names no memory. The fd is open as long as the doorbell, which its
        // shard keeps until the driver is gone.
        unsafe { push_or_flush(driver, watch.token(Token::new(Class::Watch, 0, 0))) }
    }

    fn read_back(&self) -> io::Result<()> {
        let mut count = 0u64;
        let size = size_of::<u64>();
        // SAFETY: `count` is a live local of `size` bytes.
        let read = unsafe { libc::read(self.fd.as_raw_fd(), (&raw mut count).cast(), size) };
        if read >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        // Nothing to read back is as good.
        if error.kind() == io::ErrorKind::WouldBlock { Ok(()) } else { Err(error) }
    }
}

impl EventFdRinger {
    /// Rings with a `write(2)`, from any thread.
    pub(super) fn ring_foreign(&self) -> io::Result<()> {
        let (one, size) = ((&raw const ONE).cast(), size_of_val(&ONE));
        loop {
            // SAFETY: `ONE` is static and of that size.
            let written = unsafe { libc::write(self.fd.as_raw_fd(), one, size) };
            if written >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                // The counter is full, so it tells of a ring as it is.
                io::ErrorKind::WouldBlock => return Ok(()),
                _ => return Err(error),
            }
        }
    }
}

impl<D: Driver> Doorbell<D> for EventFd {
    type Ringer = EventFdRinger;

    fn open(driver: &mut D, shard: ShardId) -> io::Result<(Self, EventFdRinger)> {
        Self::watch(driver, shard)
    }

    fn ring(from: &mut D, to: &EventFdRinger) -> io::Result<()> {
        let ring = Sqe::write(to.fd.as_raw_fd(), (&raw const ONE).cast(), COUNTER_BYTES, 0)
            .flags(sqe_flags::CQE_SKIP_SUCCESS)
            .token(sent_token(to.target));
        // SAFETY: the memory is static and only read. The fd is open as long as the far end,
        // which is kept until the drivers it is rung from are gone.
        unsafe { push_or_flush(from, ring) }
    }

    fn ring_foreign(to: &EventFdRinger) -> io::Result<()> {
        to.ring_foreign()
    }

    fn answered(&mut self, driver: &mut D, cqe: Cqe) -> io::Result<Answer> {
        if cqe.token.class() == Some(Class::Watch) {
            self.watched(driver, cqe)?;
        }
        Ok(answer(cqe))
    }
}

/// The token of a ring that this shard sends.
pub(super) fn sent_token(target: ShardId) -> Token {
    Token::new(Class::BellSent, 0, u32::from(target.get()))
}

/// What a completion means besides arming the doorbell again.
pub(super) fn answer(cqe: Cqe) -> Answer {
    if cqe.token.class() != Some(Class::BellSent) || cqe.result >= 0 {
        return Answer::Heard;
    }
    let target = u16::try_from(cqe.token.index()).map_or(ShardId::EXTERNAL, ShardId::new);
    Answer::Failed { target, error: io::Error::from_raw_os_error(cqe.result.wrapping_neg()) }
}

/// Queues an entry, and makes room by a flush if there is none.
///
/// # Errors
///
/// Those of the flush, and `WouldBlock` if it made no room.
///
/// # Safety
///
/// As [`Driver::push`].
pub(super) unsafe fn push_or_flush<D: Driver>(driver: &mut D, sqe: Sqe) -> io::Result<()> {
    // SAFETY: the caller's promise.
    let Err(full) = (unsafe { driver.push(sqe) }) else { return Ok(()) };
    driver.flush()?;
    // SAFETY: the caller's promise; the queue that was full has taken nothing.
    unsafe { driver.push(full.0) }.map_err(|full| io::Error::new(io::ErrorKind::WouldBlock, full))
}

#[cfg(test)]
mod tests;
