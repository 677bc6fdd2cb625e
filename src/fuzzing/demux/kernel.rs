//! The kernel's side of the world: what it takes, completes and makes up, and what is sorted then.

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::task::Waker;

use crate::driver::{Class, Cqe, Sqe, Token, cqe_flags};
use crate::fuzzing::demux::Stray;
use crate::fuzzing::demux::script::Kernel;
use crate::fuzzing::demux::world::{CANCELED, ME, OTHER, World};
use crate::id::ShardId;
use crate::message::{Event, Kind};
use crate::port::Port;

impl World {
    /// What a turn does with entries: those that wait go into the queue, which is handed over.
    pub(super) fn flush(&mut self, takes: usize) {
        self.kernel.kernel().takes = takes;
        self.shard.refill();
        self.shard.flush();
    }

    /// An entry completes; for good, unless the flags say that more will come.
    pub(super) fn complete(&mut self, entry: u8, result: i32, flags: u32) {
        let mut kernel = self.kernel.kernel();
        let Some(at) = usize::from(entry).checked_rem(kernel.taken.len()) else { return };
        let sqe = kernel.taken[at];
        let mut cqe = Cqe { token: sqe.token, result, flags };
        match sqe.token.class() {
            Some(Class::Op) => {}
            Some(Class::Watch) => {
                // Any other error is one of the doorbell itself, which ends the shard.
                let is_multishot = sqe.len == 1;
                if result < 0 && !(result == -libc::EINVAL && is_multishot) {
                    cqe.result = 1;
                }
                cqe.flags = if cqe.result < 0 { 0 } else { flags & cqe_flags::MORE };
            }
            _ => cqe.flags = 0,
        }
        if !cqe.has_more() {
            kernel.taken.remove(at);
        }
        // What is silent tells of failures only.
        if !sqe.is_silent() || cqe.result < 0 {
            kernel.ready.push(cqe);
        }
        drop(kernel);
        match sqe.token.class() {
            Some(Class::Close) if cqe.result != -libc::ECANCELED => close(sqe.fd),
            Some(Class::MessageSent) if cqe.result >= 0 => self.arrive(&sqe),
            _ => {}
        }
    }

    /// An operation completes, and goes on.
    pub(super) fn more(&mut self, entry: u8, result: i32, flags: u32) {
        self.complete(entry, result, flags | cqe_flags::MORE);
    }

    /// All entries that were taken complete.
    pub(super) fn complete_all(&mut self) {
        // The watch of the doorbell goes on for ever.
        let goes = |sqe: &Sqe| sqe.token.class() != Some(Class::Watch);
        loop {
            let at = self.kernel.kernel().taken.iter().position(goes);
            let Some(at) = at.and_then(|at| u8::try_from(at).ok()) else { return };
            self.complete(at, 0, 0);
        }
    }

    /// A completion of a token that was in use.
    pub(super) fn echo(&mut self, cqe: u8, result: i32, flags: u32) {
        let Some(token) = self.past(cqe) else { return };
        self.come(Cqe { token, result, flags });
    }

    pub(super) fn stray(&mut self, stray: Stray) {
        match stray {
            Stray::Any(cqe) => self.come(cqe),
            Stray::Near { cqe, generation, index, class, result, flags } => {
                let Some(token) = self.past(cqe) else { return };
                let bits = token.bits();
                let near = bits.wrapping_add_signed(i64::from(index));
                let near = near.wrapping_add_signed(i64::from(generation) << 32);
                // Half of them are of another class.
                let class = if class < 128 { bits >> 60 } else { u64::from(class) & 15 };
                let token = Token::from_bits(near << 4 >> 4 | class << 60);
                self.come(Cqe { token, result, flags });
            }
            Stray::Bell(result) => {
                let token = Token::new(Class::Bell, 0, ShardId::EXTERNAL.get().into());
                self.come(Cqe { token, result, flags: 0 });
            }
        }
    }

    /// A completion that no entry asked for; unless it would end an operation that the kernel is
    /// only about to get, or speaks of an fd, which drivers promise not to do.
    fn come(&mut self, cqe: Cqe) {
        let mut kernel = self.kernel.kernel();
        match cqe.token.class() {
            Some(Class::Close | Class::Watch) => return,
            Some(Class::Op) => {
                let taken = kernel.taken.iter().position(|sqe| sqe.token == cqe.token);
                // The kernel does not have it, or no more: what it may be about to get.
                let is_live = self.model.live.contains_key(&cqe.token);
                let is_new = self.model.has_unknown() && !self.tokens.contains(&cqe.token);
                if taken.is_none() && !kernel.has_completed(cqe.token) && (is_live || is_new) {
                    return;
                }
                if let Some(at) = taken
                    && !cqe.has_more()
                {
                    kernel.taken.remove(at);
                }
            }
            _ => {}
        }
        kernel.ready.push(cqe);
    }

    fn past(&self, cqe: u8) -> Option<Token> {
        let back = usize::from(cqe).checked_rem(self.tokens.len())?;
        Some(self.tokens[self.tokens.len() - 1 - back])
    }

    /// The shard sorts what is ready.
    pub(super) fn collect(&mut self) {
        let ready = self.kernel.kernel().ready.clone();
        for cqe in &ready {
            let failed = self.model.messages_failed;
            self.model.sort(*cqe);
            if self.model.messages_failed > failed && self.is_on_the_way(cqe.token) {
                // It goes by its lane.
                self.model.wake();
            }
        }
        self.shard.collect();
        let counters = &self.core.public(ME).counters;
        assert_eq!(counters.stale_completions.get(), self.model.stale, "of no effect");
        for cqe in ready {
            if cqe.token.class() == Some(Class::Close) && cqe.result == CANCELED.result {
                let fd = cqe.token.index() as RawFd;
                assert!(!is_open(fd), "a close that did not happen leaves {fd} open");
            }
        }
    }

    /// Whether a message with this token was sent and has not arrived, of which the other shard has
    /// taken none yet.
    fn is_on_the_way(&self, sent: Token) -> bool {
        let to_other = sent.index() as u16 == OTHER.get();
        to_other && (sent.generation() as usize) < self.model.messages.len()
    }

    /// A message arrives at the other shard.
    fn arrive(&self, sqe: &Sqe) {
        let token = Token::from_bits(sqe.off);
        let was_new = self.desk.arrived(token, sqe.len.cast_signed());
        // One that was said to have failed may have come another way before.
        assert!(was_new || self.model.messages_failed > 0, "{token:?} came twice");
    }

    /// An fd of nobody else is closed.
    pub(super) fn close_fd(&mut self) {
        let file = File::open("/dev/null").expect("there is /dev/null");
        self.shard.close(file.into());
    }

    /// Whether the bell of foreign threads is to be armed again as soon as there is room.
    pub(super) fn owes_watch(&self) -> bool {
        self.is_unwatched(&self.kernel.kernel())
    }

    fn is_unwatched(&self, kernel: &Kernel) -> bool {
        let ends = |cqe: &Cqe| cqe.token.class() == Some(Class::Watch) && !cqe.has_more();
        let armed = kernel.held(Class::Watch) + kernel.ready.iter().filter(|cqe| ends(cqe)).count();
        assert!(armed <= usize::from(self.watches), "{armed} watches");
        self.watches && armed == 0
    }

    /// Whether the kernel has completed everything that the shard ever pushed, but the watch.
    pub(super) fn is_handed_over(&self) -> bool {
        let kernel = self.kernel.kernel();
        kernel.ready.is_empty()
            && kernel.queued.is_empty()
            && kernel.taken.len() == kernel.held(Class::Watch)
            && kernel.cancels == self.model.cancels
            && !self.is_unwatched(&kernel)
            && self.rung(kernel.bells) == self.model.rung
    }

    /// What must hold at the end.
    pub(super) fn check_end(self) {
        let kernel = self.kernel.kernel();
        assert_eq!(kernel.held(Class::Watch), usize::from(self.watches), "it hears nobody");
        assert_eq!(kernel.cancels, self.model.cancels, "requests to cancel");
        assert_eq!(self.rung(kernel.bells), self.model.rung, "bells");
        drop(kernel);
        // What was sent to the other shard is there, in order, once.
        self.shard.desk().send_owed(|_| ());
        for val in &self.model.messages {
            let event = self.desk.poll_event(Kind::Plain, &mut None, Waker::noop(), Waker::wake);
            assert_eq!(event, Some(Event::RingMsg { from: ME, tag: 1, val: *val }));
        }
        let event = self.desk.poll_event(Kind::Plain, &mut None, Waker::noop(), Waker::wake);
        assert_eq!(event, None, "nobody sent it");
    }

    /// How often the shard rang, by these entries and by calls of its own.
    fn rung(&self, entries: u64) -> u64 {
        let calls = |shard| self.core.public(shard).rung_from_outside.get();
        entries + calls(ME) + calls(OTHER)
    }
}

/// What the kernel does with a close.
fn close(fd: RawFd) {
    // SAFETY:
    // - the entry owned the fd, and completes once.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: the call takes no memory.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    flags >= 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EBADF)
}
