//! The obligations of a [`Driver`], as checks that run for any backend on this machine.
//!
//! They need `NOP`; those that need more are passed over where the driver says that it lacks it.
//! **O6** about doorbells is checked by [`mod@crate::testing::doorbell`].

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::driver::{Class, Cqe, Driver, Opcode, SqFull, Sqe, Token, sqe_flags};
use crate::testing::asleep::park_while;
use crate::testing::{Site, broken, demand};

mod buffers;
mod tokens;

pub use buffers::o10_a_provided_buffer_is_filled_once_and_named;
pub use tokens::{
    o3_a_close_answers_once_and_says_what_became_of_the_fd,
    o3_nothing_completes_that_was_not_pushed, o3_opening_leaves_no_completion_behind,
    o3_tokens_come_back_as_they_went_in,
};

/// Hands the names of all checks to a macro.
macro_rules! checks {
    ($each:ident $($arguments:tt)*) => {
        $each! { $($arguments)*
            o1_every_entry_completes_once_however_small_the_queues
            o1_an_unknown_operation_fails_alone
            o1_a_silent_entry_tells_of_failure_only
            o2_memory_is_left_alone_after_the_completion
            o2_memory_is_left_alone_after_a_cancel
            o3_tokens_come_back_as_they_went_in
            o3_opening_leaves_no_completion_behind
            o3_a_close_answers_once_and_says_what_became_of_the_fd
            o3_nothing_completes_that_was_not_pushed
            o4_push_makes_no_system_call_and_a_full_queue_hands_the_entry_back
            o5_an_attempt_does_not_block_and_leaves_no_trace_if_it_does_nothing
            o6_a_completion_ends_the_sleep
            o6_the_deadline_ends_the_sleep_and_not_before
            o6_what_is_ready_keeps_it_awake_and_what_is_pushed_is_handed_over
            o7_what_is_ready_shows_without_a_call
            o8_dropping_the_driver_leaves_memory_to_its_owner
            o10_a_provided_buffer_is_filled_once_and_named
        }
    };
}
pub(crate) use checks;

fn op(index: u32) -> Token {
    Token::new(Class::Op, 1, index)
}

fn try_push<D: Driver>(driver: &mut D, sqe: Sqe) -> Result<(), SqFull> {
    // SAFETY: each check keeps the memory and the fds that an entry names until it has completed,
    // or until the driver is gone and the operation only waits for readiness.
    unsafe { driver.push(sqe) }
}

/// Pushes an entry; there is room for it after one flush.
fn push<D: Driver>(driver: &mut D, sqe: Sqe) {
    if let Err(SqFull(back)) = try_push(driver, sqe) {
        flush(driver);
        if try_push(driver, back).is_err() {
            broken::<D>("O4", format_args!("the submission queue is full after a flush"));
        }
    }
}

fn flush<D: Driver>(driver: &mut D) -> usize {
    driver
        .flush()
        .unwrap_or_else(|error| panic!("`{}` cannot flush: {error}", std::any::type_name::<D>()))
}

fn park<D: Driver>(driver: &mut D, until: Option<Instant>) {
    driver
        .park(until)
        .unwrap_or_else(|error| panic!("`{}` cannot park: {error}", std::any::type_name::<D>()));
}

fn drain<D: Driver>(driver: &mut D) -> Vec<Cqe> {
    let mut seen = Vec::new();
    let said = driver.drain(|cqe| seen.push(cqe));
    let given = seen.len();
    demand!(D, "O1", said == given, "`drain` gave {given} completions and says {said}");
    seen
}

/// Parks and drains until there are `count` completions, in the order in which they came.
fn collect<D: Driver>(site: &Site<'_, D>, driver: &mut D, count: usize) -> Vec<Cqe> {
    let patience = site.patience_of();
    let deadline = Instant::now() + patience;
    let mut seen = drain(driver);
    while seen.len() < count {
        let is_late = Instant::now() >= deadline;
        demand!(D, "O1", !is_late, "{} of {count} completions came in {patience:?}", seen.len());
        let until = driver.now() + patience;
        park(driver, Some(until));
        seen.extend(drain(driver));
    }
    seen
}

/// Nothing more comes.
fn expect_silence<D: Driver>(driver: &mut D) {
    flush(driver);
    let rest = drain(driver);
    demand!(D, "O1", rest.is_empty(), "a completion too many: {rest:?}");
}

fn socket_pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().expect("two connected sockets")
}

fn write(mut to: &UnixStream, bytes: &[u8]) {
    to.write_all(bytes).expect("a socket takes a few bytes");
}

fn recv(socket: &UnixStream, to: &mut [u8], index: u32) -> Sqe {
    let len = u32::try_from(to.len()).expect("a short buffer");
    Sqe::recv(socket.as_raw_fd(), to.as_mut_ptr(), len, 0).token(op(index))
}

/// **O1**: many entries, pushed without draining between them, complete once each.
///
/// # Panics
///
/// If a completion is missing, comes twice, or says `MORE`.
pub fn o1_every_entry_completes_once_however_small_the_queues<D: Driver>(site: &Site<'_, D>) {
    let mut driver = site.driver(0);
    let entries = 3 * driver.caps().cq_entries.clamp(600, 4_096);
    for index in 0..entries {
        push(&mut driver, Sqe::nop().token(op(index)));
    }
    flush(&mut driver);
    let seen = collect(site, &mut driver, entries as usize);
    let mut indices: Vec<u32> = seen.iter().map(|cqe| cqe.token.index()).collect();
    indices.sort_unstable();
    let once = indices.iter().copied().eq(0..entries);
    demand!(D, "O1", once, "of {entries} entries not each completed once");
    for cqe in seen {
        demand!(D, "O1", cqe.result == 0 && !cqe.has_more(), "an entry that does nothing: {cqe:?}");
    }
    expect_silence(&mut driver);
}

/// **O1**: an operation that does not exist fails, and those around it do not.
///
/// # Panics
///
/// If one of them does not complete, or as it should not.
pub fn o1_an_unknown_operation_fails_alone<D: Driver>(site: &Site<'_, D>) {
    let mut driver = site.driver(0);
    for index in 0..5 {
        let sqe = if index == 2 { Sqe::new(Opcode::new(200), -1) } else { Sqe::nop() };
        push(&mut driver, sqe.token(op(index)));
    }
    for cqe in collect(site, &mut driver, 5) {
        let fails = cqe.result < 0;
        demand!(D, "O1", fails == (cqe.token == op(2)), "the third of five should fail: {cqe:?}");
    }
    expect_silence(&mut driver);
}

/// **O1**: an entry that asks for no completion of its success gives one for its failure only.
///
/// # Panics
///
/// If its success shows, or its failure does not.
pub fn o1_a_silent_entry_tells_of_failure_only<D: Driver>(site: &Site<'_, D>) {
    let mut driver = site.driver(0);
    push(&mut driver, Sqe::nop().flags(sqe_flags::CQE_SKIP_SUCCESS).token(op(0)));
    let bad = Sqe::new(Opcode::new(200), -1).flags(sqe_flags::CQE_SKIP_SUCCESS);
    push(&mut driver, bad.token(op(1)));
    push(&mut driver, Sqe::nop().token(op(2)));
    let seen = collect(site, &mut driver, 2);
    let told = |index| seen.iter().any(|cqe| cqe.token == op(index));
    demand!(D, "O1", !told(0), "a silent entry that succeeded shows: {seen:?}");
    demand!(D, "O1", told(1) && told(2), "a failure or a success is missing: {seen:?}");
    expect_silence(&mut driver);
}

/// **O2**: what arrives after the completion does not go to the memory of the entry.
///
/// # Panics
///
/// If the memory changes.
pub fn o2_memory_is_left_alone_after_the_completion<D: Driver>(site: &Site<'_, D>) {
    let mut driver = site.driver(0);
    if !driver.caps().supports(Opcode::RECV) {
        return;
    }
    let (near, far) = socket_pair();
    let mut buffer = Box::new([0u8; 8]);
    push(&mut driver, recv(&near, &mut *buffer, 0));
    flush(&mut driver);
    write(&far, b"one");
    let seen = collect(site, &mut driver, 1);
    let whole = seen[0].result == 3 && buffer[..4] == *b"one\0";
    demand!(D, "O2", whole, "a receive of `one` gave {seen:?} and {buffer:?}");
    write(&far, b"two");
    flush(&mut driver);
    let left = buffer[..4] == *b"one\0";
    demand!(D, "O2", left, "memory changed after its completion: {buffer:?}");
    expect_silence(&mut driver);
}

/// **O2** and **O1**: an operation that is cancelled completes once, and its memory is left alone
/// after that.
///
/// # Panics
///
/// If it does not complete, or the memory changes.
pub fn o2_memory_is_left_alone_after_a_cancel<D: Driver>(site: &Site<'_, D>) {
    let mut driver = site.driver(0);
    let caps = driver.caps();
    if !caps.supports(Opcode::RECV) || !caps.supports(Opcode::ASYNC_CANCEL) {
        return;
    }
    let (near, far) = socket_pair();
    let mut buffer = Box::new([0u8; 8]);
    push(&mut driver, recv(&near, &mut *buffer, 0));
    flush(&mut driver);
    push(&mut driver, Sqe::cancel(op(0)).token(Token::new(Class::Cancel, 1, 0)));
    let seen = collect(site, &mut driver, 2);
    let ends = seen.iter().filter(|cqe| cqe.token == op(0) && cqe.result < 0).count();
    demand!(D, "O1", ends == 1, "a receive that was cancelled did not end once: {seen:?}");
    write(&far, b"late");
    flush(&mut driver);
    demand!(D, "O2", *buffer == [0; 8], "memory changed after a cancel: {buffer:?}");
    expect_silence(&mut driver);
}

/// **O4**: pushing makes no system call; a full queue hands the entry back, which has had no effect
/// and is taken after a flush.
///
/// # Panics
///
/// If the driver entered the kernel, or an entry is lost or done twice.
pub fn o4_push_makes_no_system_call_and_a_full_queue_hands_the_entry_back<D: Driver>(
    site: &Site<'_, D>,
) {
    /// A queue that grows is given this much.
    const MOST: u32 = 50_000;
    let mut driver = site.driver(0);
    flush(&mut driver);
    let enters = driver.enters();
    let mut pushed = 0;
    let refused = loop {
        match try_push(&mut driver, Sqe::nop().token(op(pushed))) {
            Ok(()) => pushed += 1,
            Err(SqFull(back)) => break Some(back),
        }
        if pushed == MOST {
            break None;
        }
    };
    let queued = driver.queued();
    demand!(D, "O4", queued == pushed as usize, "{pushed} were pushed, {queued} are queued");
    let made = driver.enters() - enters;
    demand!(D, "O4", made == 0, "{made} system calls within {pushed} pushes");
    if let Some(back) = refused {
        let same = back.token == op(pushed);
        demand!(D, "O4", same, "{:?} was refused and {:?} came back", op(pushed), back.token);
        flush(&mut driver);
        push(&mut driver, back);
        pushed += 1;
    }
    flush(&mut driver);
    let count = collect(site, &mut driver, pushed as usize).len();
    demand!(D, "O4", count == pushed as usize, "{pushed} entries gave {count} completions");
    expect_silence(&mut driver);
}

/// **O5**: an attempt at a receive that finds nothing comes back at once; whatever it answers, no
/// byte that is sent is lost or comes twice.
///
/// # Panics
///
/// If it blocks, or bytes are missing.
pub fn o5_an_attempt_does_not_block_and_leaves_no_trace_if_it_does_nothing<D: Driver>(
    site: &Site<'_, D>,
) {
    let mut driver = site.driver(0);
    if !driver.caps().supports(Opcode::RECV) {
        return;
    }
    let (near, far) = socket_pair();
    let mut buffer = Box::new([0u8; 8]);
    let sqe = recv(&near, &mut *buffer, 0);
    let patience = site.patience_of();
    // An attempt that blocks is helped out, and found out.
    let (answer, blocked) = thread::scope(|scope| {
        let (back, wait) = mpsc::channel::<()>();
        let far = &far;
        let helper = scope.spawn(move || {
            let late = wait.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout);
            if late {
                write(far, b"wake up");
            }
            late
        });
        // SAFETY: the buffer and the socket live on.
        let answer = unsafe { driver.attempt(&sqe) };
        drop(back);
        (answer, helper.join().unwrap_or(true))
    });
    demand!(D, "O5", !blocked, "an attempt at a receive blocked for {patience:?}");
    let none = answer.is_none_or(|result| result < 0);
    demand!(D, "O5", none, "an attempt at a receive of nothing answered {answer:?}");
    let mut got = Vec::new();
    for bytes in [b"abc", b"def"] {
        write(&far, bytes);
        // SAFETY: as above.
        let result = match unsafe { driver.attempt(&sqe) } {
            Some(result) if result >= 0 => result,
            _ => {
                push(&mut driver, sqe);
                collect(site, &mut driver, 1)[0].result
            }
        };
        let count = usize::try_from(result).unwrap_or(0).min(buffer.len());
        got.extend_from_slice(&buffer[..count]);
    }
    demand!(D, "O5", got == b"abcdef", "of `abcdef` came {:?}", String::from_utf8_lossy(&got));
    expect_silence(&mut driver);
}

/// **O6**: a completion ends the sleep.
///
/// # Panics
///
/// If the driver sleeps on.
pub fn o6_a_completion_ends_the_sleep<D: Driver>(site: &Site<'_, D>) {
    let mut driver = site.driver(0);
    if !driver.caps().supports(Opcode::RECV) {
        return;
    }
    let (near, far) = socket_pair();
    let mut buffer = Box::new([0u8; 8]);
    push(&mut driver, recv(&near, &mut *buffer, 0));
    let woke = park_while(site, &mut driver, || write(&far, b"x"));
    demand!(D, "O6", woke, "a receive got its byte, and the driver slept on");
    let seen = collect(site, &mut driver, 1);
    demand!(D, "O1", seen[0].result == 1, "a receive of one byte gave {seen:?}");
}

/// **O6**: the deadline ends the sleep. Waking early for no reason is allowed, so the check sleeps
/// until the clock of the driver has passed the deadline. A deadline in the past is no sleep.
///
/// # Panics
///
/// If the driver never comes back in time, or never sleeps.
pub fn o6_the_deadline_ends_the_sleep_and_not_before<D: Driver>(site: &Site<'_, D>) {
    let mut driver = site.driver(0);
    let patience = site.patience_of();
    let began = Instant::now();
    let deadline = driver.now() + Duration::from_millis(20);
    let mut sleeps = 0;
    while driver.now() < deadline {
        park(&mut driver, Some(deadline));
        sleeps += 1;
        let is_late = began.elapsed() >= patience;
        demand!(D, "O6", !is_late, "a deadline of 20 ms has not passed after {patience:?}");
    }
    demand!(D, "O6", sleeps <= 1_000, "a sleep of 20 ms took {sleeps} calls, which is no sleep");
    let past = driver.now();
    let began = Instant::now();
    park(&mut driver, Some(past));
    let is_late = began.elapsed() >= patience;
    demand!(D, "O6", !is_late, "a deadline in the past was slept on");
}

/// **O6**: parking hands over what is pushed, and does not sleep on a completion that is there.
///
/// # Panics
///
/// If it does.
pub fn o6_what_is_ready_keeps_it_awake_and_what_is_pushed_is_handed_over<D: Driver>(
    site: &Site<'_, D>,
) {
    let patience = site.patience_of();
    let mut driver = site.driver(0);
    for flushed in [false, true] {
        push(&mut driver, Sqe::nop().token(op(0)));
        if flushed {
            flush(&mut driver);
        }
        let began = Instant::now();
        let until = driver.now() + patience;
        park(&mut driver, Some(until));
        let is_late = began.elapsed() >= patience;
        demand!(D, "O6", !is_late, "it slept on an entry that was pushed (flushed: {flushed})");
        let queued = driver.queued();
        demand!(D, "O6", queued == 0, "{queued} entries are queued after a park");
        collect(site, &mut driver, 1);
    }
}

/// **O7**: what became ready shows in `pending` sooner or later, without a system call.
///
/// # Panics
///
/// If it does not show, or a look enters the kernel.
pub fn o7_what_is_ready_shows_without_a_call<D: Driver>(site: &Site<'_, D>) {
    let mut driver = site.driver(0);
    if !driver.caps().supports(Opcode::RECV) {
        return;
    }
    let (near, far) = socket_pair();
    let mut buffer = Box::new([0u8; 8]);
    push(&mut driver, recv(&near, &mut *buffer, 0));
    flush(&mut driver);
    let enters = driver.enters();
    write(&far, b"x");
    let patience = site.patience_of();
    let deadline = Instant::now() + patience;
    while !driver.pending() {
        let is_late = Instant::now() >= deadline;
        demand!(D, "O7", !is_late, "what is ready does not show within {patience:?}");
        thread::yield_now();
    }
    let made = driver.enters() - enters;
    demand!(D, "O7", made == 0, "`pending` made {made} system calls");
    collect(site, &mut driver, 1);
}

/// **O8**: a driver that is dropped with an operation in flight leaves the memory to its caller,
/// who still has it when the operation ends, with its bytes or without.
///
/// # Panics
///
/// If something else was written to the memory.
pub fn o8_dropping_the_driver_leaves_memory_to_its_owner<D: Driver>(site: &Site<'_, D>) {
    let mut driver = site.driver(0);
    if !driver.caps().supports(Opcode::RECV) {
        return;
    }
    let (near, far) = socket_pair();
    let mut buffer = Box::new([7u8; 8]);
    push(&mut driver, recv(&near, &mut *buffer, 0));
    flush(&mut driver);
    drop(driver);
    write(&far, b"late");
    // The driver of another shard goes through the kernel meanwhile.
    let mut other = site.driver(1);
    push(&mut other, Sqe::nop().token(op(0)));
    collect(site, &mut other, 1);
    let whole = *buffer == [7; 8] || *buffer == *b"late\x07\x07\x07\x07";
    demand!(D, "O8", whole, "the memory of an operation in flight holds {buffer:?}");
}
