//! Tokens: each comes back as it went in, and none that did not.

use std::io::{self, Read};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use super::{collect, drain, flush, op, park, push, recv, socket_pair, write};
use crate::driver::{Class, Cqe, Driver, Opcode, Sqe, Token};
use crate::testing::{Site, demand};

/// **O3**: tokens of every class and size come back as they went in.
///
/// # Panics
///
/// If one does not.
pub fn o3_tokens_come_back_as_they_went_in<D: Driver>(site: &Site<'_, D>) {
    let mut driver = site.driver(0);
    let tokens = [
        Token::new(Class::Op, Token::MAX_GENERATION, u32::MAX),
        Token::new(Class::Op, 0, 0),
        Token::new(Class::Close, 3, 4),
    ];
    for token in tokens {
        push(&mut driver, Sqe::nop().token(token));
    }
    let seen: Vec<Token> = collect(site, &mut driver, 3).iter().map(|cqe| cqe.token).collect();
    for token in tokens {
        demand!(D, "O3", seen.contains(&token), "{token:?} went in, and {seen:?} came out");
    }
}

/// **O3**: a driver that was just opened has no completions.
///
/// # Panics
///
/// If it has.
pub fn o3_opening_leaves_no_completion_behind<D: Driver>(site: &Site<'_, D>) {
    let mut driver = site.driver(0);
    demand!(D, "O3", !driver.pending(), "a driver that was just opened has something pending");
    let seen = drain(&mut driver);
    demand!(D, "O3", seen.is_empty(), "a driver that was just opened gives {seen:?}");
}

/// **O3**: an entry that closes an fd completes once. Afterwards the fd is closed, or the answer is
/// `-ECANCELED` and it is open: the shard then closes it.
///
/// # Panics
///
/// If the answer is missing, comes twice, or says otherwise than it is.
pub fn o3_a_close_answers_once_and_says_what_became_of_the_fd<D: Driver>(site: &Site<'_, D>) {
    let mut driver = site.driver(0);
    if !driver.caps().supports(Opcode::CLOSE) {
        return;
    }
    for cancelled in [false, true] {
        let (near, mut far) = socket_pair();
        // The entry owns it from here on.
        let fd = near.into_raw_fd();
        let index = u32::try_from(fd).expect("an open fd has no negative number");
        let token = Token::new(Class::Close, 0, index);
        push(&mut driver, Sqe::close(fd).token(token));
        if cancelled && driver.caps().supports(Opcode::ASYNC_CANCEL) {
            push(&mut driver, Sqe::cancel(token).token(Token::new(Class::Cancel, 0, index)));
            flush(&mut driver);
        }
        let mut seen = Vec::new();
        // The request to cancel may be answered first.
        while !seen.iter().any(|cqe: &Cqe| cqe.token == token) {
            seen.extend(collect(site, &mut driver, 1));
        }
        flush(&mut driver);
        seen.extend(drain(&mut driver));
        let answers: Vec<i32> =
            seen.iter().filter(|cqe| cqe.token == token).map(|cqe| cqe.result).collect();
        demand!(D, "O3", answers.len() == 1, "a close was answered {} times", answers.len());
        far.set_nonblocking(true).expect("a socket that does not block");
        let is_open = far.read(&mut [0]).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock);
        let undone = answers[0] == -libc::ECANCELED;
        demand!(D, "O3", is_open == undone, "a close answered {answers:?}, open: {is_open}");
        if undone {
            // SAFETY: the close did not happen, so the number is still that of the socket.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
    flush(&mut driver);
    let mut rest = drain(&mut driver);
    // What became of a request to cancel may come late, where a thread of the kernel submits.
    rest.retain(|cqe| cqe.token.class() != Some(Class::Cancel));
    demand!(D, "O1", rest.is_empty(), "a completion too many: {rest:?}");
}

/// **O3**: operations that end, wait, are cancelled and fail, closes and sleeps between them: each
/// completion has the token of an entry. A shard closes the fd that the token of an unasked
/// `-ECANCELED` of [`Class::Close`] names, and takes the memory of an operation for its own again.
///
/// # Panics
///
/// If a completion has the token of none.
pub fn o3_nothing_completes_that_was_not_pushed<D: Driver>(site: &Site<'_, D>) {
    /// In the numbers that are not pushed a driver would find something to invent.
    const STRIDE: u32 = 3;
    let mut driver = site.driver(0);
    let caps = driver.caps();
    let closes = caps.supports(Opcode::CLOSE);
    let waits = caps.supports(Opcode::RECV) && caps.supports(Opcode::ASYNC_CANCEL);
    let mut pushed = Vec::new();
    let mut seen = Vec::new();
    for round in 0..40 {
        let mut add = |driver: &mut D, sqe: Sqe| {
            pushed.push(sqe.token);
            push(driver, sqe);
        };
        let number = STRIDE * round;
        add(&mut driver, Sqe::nop().token(op(number)));
        add(&mut driver, Sqe::new(Opcode::new(200), -1).token(op(number + 1)));
        if closes {
            let (near, _far) = socket_pair();
            let fd = near.into_raw_fd();
            let index = u32::try_from(fd).expect("an open fd has no negative number");
            add(&mut driver, Sqe::close(fd).token(Token::new(Class::Close, 0, index)));
        }
        let (near, far) = socket_pair();
        let mut buffer = Box::new([0u8; 8]);
        if waits {
            add(&mut driver, recv(&near, &mut *buffer, 1_000 + number));
            flush(&mut driver);
            if round % 2 == 0 {
                write(&far, b"x");
            } else {
                let cancel = Token::new(Class::Cancel, 1, 1_000 + number);
                add(&mut driver, Sqe::cancel(op(1_000 + number)).token(cancel));
            }
        }
        // The buffer is let go when its receive has ended.
        let missing = pushed.len() - seen.len();
        seen.extend(collect(site, &mut driver, missing));
    }
    let until = driver.now() + Duration::from_millis(1);
    park(&mut driver, Some(until));
    seen.extend(drain(&mut driver));
    for cqe in &seen {
        let known = pushed.contains(&cqe.token);
        demand!(D, "O3", known, "{cqe:?} completes, and nothing with its token was pushed");
    }
    demand!(D, "O1", seen.len() == pushed.len(), "{} of {}", seen.len(), pushed.len());
}
