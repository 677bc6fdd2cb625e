//! The obligations of a driver, on the kernel of this machine.

use std::fs::{File, read_to_string};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use static_assertions::assert_not_impl_any;

use crate::driver::caps::Caps;
use crate::driver::entry::Class;
use crate::driver::opcode::{Opcode, cqe_flags, sqe_flags};
use crate::driver::uring::setup::setup_flags;
use crate::driver::uring::{Uring, UringSetup, post};
use crate::driver::{Cqe, Driver, RingDriver, SqFull, Sqe, Token};
use crate::id::ShardId;

// The kernel knows the thread that a ring belongs to, and so does the place it is registered at.
assert_not_impl_any!(Uring: Send, Sync);

/// How long a test waits for what must come at once before it fails.
const PATIENCE: Duration = Duration::from_secs(10);

fn open(setup: &UringSetup) -> Uring {
    Uring::open(setup, ShardId::new(0)).unwrap()
}

fn small() -> Uring {
    open(&UringSetup::default().with_entries(8).with_cq_entries(16))
}

fn op(index: u32) -> Token {
    Token::new(Class::Op, 1, index)
}

/// Pushes an entry of which the test keeps all that it names until the driver has answered.
fn push(driver: &mut Uring, sqe: Sqe) {
    try_push(driver, sqe).unwrap();
}

fn try_push(driver: &mut Uring, sqe: Sqe) -> Result<(), SqFull> {
    // SAFETY: each test keeps memory and fds until the completion, or until the ring is closed
    // with operations that only wait for readiness.
    unsafe { driver.push(sqe) }
}

fn drain(driver: &mut Uring) -> Vec<Cqe> {
    let mut seen = Vec::new();
    let count = driver.drain(|cqe| seen.push(cqe));
    assert_eq!(count, seen.len());
    seen
}

/// Parks and drains until there are `count` completions.
fn collect(driver: &mut Uring, count: usize) -> Vec<Cqe> {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = drain(driver);
    while seen.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} completions: {driver:?}", seen.len());
        driver.park(Some(deadline)).unwrap();
        seen.extend(drain(driver));
    }
    seen
}

fn sorted_indices(seen: &[Cqe]) -> Vec<u32> {
    let mut indices: Vec<u32> = seen.iter().map(|cqe| cqe.token.index()).collect();
    indices.sort_unstable();
    indices
}

/// Waits until the thread sleeps in the kernel; it has said who it is just before.
fn wait_until_asleep(thread: &AtomicI32) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "the other thread does not go to sleep");
        let number = thread.load(Ordering::Acquire);
        let stat = read_to_string(format!("/proc/self/task/{number}/stat")).unwrap_or_default();
        // The name stands in brackets; the state is the letter behind them.
        if number != 0 && stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
            return;
        }
        thread::yield_now();
    }
}

impl Uring {
    /// Lets another thread run `act` when this one sleeps in `park`, and returns when it woke.
    pub(crate) fn park_while(&mut self, act: impl FnOnce() + Send) {
        let asleep = AtomicI32::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                wait_until_asleep(&asleep);
                act();
            });
            // SAFETY: the call takes nothing and changes nothing.
            asleep.store(unsafe { libc::gettid() }, Ordering::Release);
            let deadline = Instant::now() + PATIENCE;
            self.park(Some(deadline)).unwrap();
            assert!(Instant::now() < deadline, "nothing ended the sleep");
        });
    }

    /// Makes the driver believe that its kernel is another one.
    pub(crate) fn pretend(&mut self, change: impl FnOnce(&mut Caps)) {
        change(&mut self.caps);
    }
}

fn park_while(driver: &mut Uring, act: impl FnOnce() + Send) -> Vec<Cqe> {
    driver.park_while(act);
    drain(driver)
}

#[test]
fn o1_two_thousand_completions_pass_a_queue_of_sixteen() {
    let mut driver = small();
    let mut pushed = 0;
    while pushed < 2_000 {
        match try_push(&mut driver, Sqe::nop().token(op(pushed))) {
            Ok(()) => pushed += 1,
            Err(_full) => assert!(driver.flush().unwrap() > 0),
        }
    }
    driver.flush().unwrap();
    assert_eq!(driver.queued(), 0);
    assert!(driver.pending());
    let seen = collect(&mut driver, 2_000);
    assert_eq!(sorted_indices(&seen), (0..2_000).collect::<Vec<_>>());
    assert!(seen.iter().all(|cqe| cqe.result == 0 && !cqe.has_more()));
    driver.flush().unwrap();
    assert!(!driver.pending());
    assert_eq!(drain(&mut driver), []);
}

#[test]
fn o1_an_unknown_operation_fails_alone() {
    for setup in [UringSetup::default(), UringSetup::default().with_coop_taskrun(true)] {
        let mut driver = open(&setup);
        push(&mut driver, Sqe::new(Opcode::new(200), -1).token(op(0)));
        for index in 1..5 {
            push(&mut driver, Sqe::nop().token(op(index)));
        }
        assert_eq!(driver.flush().unwrap(), 5);
        let seen = collect(&mut driver, 5);
        assert_eq!(sorted_indices(&seen), [0, 1, 2, 3, 4]);
        for cqe in seen {
            let expected = if cqe.token == op(0) { -libc::EINVAL } else { 0 };
            assert_eq!(cqe.result, expected);
        }
    }
}

#[test]
fn o1_a_silent_entry_tells_of_failure_only() {
    let mut driver = small();
    push(&mut driver, Sqe::nop().flags(sqe_flags::CQE_SKIP_SUCCESS).token(op(0)));
    let bad = Sqe::fsync(-1, false).flags(sqe_flags::CQE_SKIP_SUCCESS).token(op(1));
    push(&mut driver, bad);
    push(&mut driver, Sqe::nop().token(op(2)));
    let seen = collect(&mut driver, 2);
    assert_eq!(sorted_indices(&seen), [1, 2]);
    let failed = seen.iter().find(|cqe| cqe.token == op(1)).unwrap();
    assert_eq!(failed.result, -libc::EBADF);
}

#[test]
fn o1_flush_collects_more_than_one_call_can() {
    // One call runs about 20 pieces of deferred work; there are 100.
    let mut driver = open(&UringSetup::default());
    let pairs: Vec<_> = (0..100).map(|_| UnixStream::pair().unwrap()).collect();
    for (index, (near, _)) in pairs.iter().enumerate() {
        let poll = Sqe::poll_add(near.as_raw_fd(), libc::POLLIN as u32);
        push(&mut driver, poll.token(op(index as u32)));
    }
    assert_eq!(driver.flush().unwrap(), 100);
    assert!(!driver.pending());
    for (_, far) in &pairs {
        (&*far).write_all(b"x").unwrap();
    }
    assert!(driver.pending());
    driver.flush().unwrap();
    assert_eq!(drain(&mut driver).len(), 100);
    assert!(!driver.pending());
}

#[test]
fn o2_memory_is_left_alone_after_the_completion() {
    let mut driver = small();
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut buffer = Box::new([0u8; 8]);
    push(&mut driver, Sqe::recv(near.as_raw_fd(), buffer.as_mut_ptr(), 8, 0).token(op(0)));
    driver.flush().unwrap();
    far.write_all(b"one").unwrap();
    let seen = collect(&mut driver, 1);
    assert_eq!((seen[0].token, seen[0].result), (op(0), 3));
    assert_eq!(&buffer[..4], b"one\0");
    far.write_all(b"two").unwrap();
    driver.flush().unwrap();
    assert_eq!(&buffer[..4], b"one\0");
    assert_eq!(drain(&mut driver), []);
}

#[test]
fn o3_tokens_come_back_as_they_went_in() {
    let mut driver = small();
    let tokens = [
        Token::new(Class::Op, Token::MAX_GENERATION, u32::MAX),
        Token::new(Class::Op, 0, 0),
        Token::new(Class::Close, 3, 4),
    ];
    for token in tokens {
        push(&mut driver, Sqe::nop().token(token));
    }
    let seen: Vec<_> = collect(&mut driver, 3).iter().map(|cqe| cqe.token).collect();
    assert_eq!(seen, tokens);
}

#[test]
fn o3_opening_leaves_no_completion_behind() {
    let kinds = [
        UringSetup::default(),
        UringSetup::default().with_coop_taskrun(true),
        UringSetup::default().with_sqpoll(Duration::from_millis(1)),
    ];
    for setup in kinds {
        let mut driver = open(&setup);
        assert!(!driver.pending());
        assert_eq!(drain(&mut driver), []);
    }
}

#[test]
fn o4_a_full_queue_hands_the_entry_back() {
    let mut driver = small();
    let enters = driver.enters();
    for index in 0..8 {
        push(&mut driver, Sqe::nop().token(op(index)));
    }
    let SqFull(back) = try_push(&mut driver, Sqe::nop().token(op(8))).unwrap_err();
    assert_eq!(back.token, op(8));
    assert_eq!(driver.queued(), 8);
    assert_eq!(driver.enters(), enters, "push entered the kernel");
    assert_eq!(driver.flush().unwrap(), 8);
    push(&mut driver, back);
    assert_eq!(sorted_indices(&collect(&mut driver, 9)), (0..9).collect::<Vec<_>>());
}

#[test]
fn o6_a_completion_ends_the_sleep() {
    let mut driver = small();
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut buffer = Box::new([0u8; 8]);
    push(&mut driver, Sqe::recv(near.as_raw_fd(), buffer.as_mut_ptr(), 8, 0).token(op(0)));
    let enters = driver.enters();
    let seen = park_while(&mut driver, || far.write_all(b"x").unwrap());
    assert_eq!(seen.iter().map(|cqe| cqe.result).collect::<Vec<_>>(), [1]);
    assert_eq!(driver.enters(), enters + 1, "submitting and sleeping is one call");
}

#[test]
fn o6_a_message_from_a_thread_without_a_ring_ends_the_sleep() {
    let mut driver = small();
    if !driver.caps().foreign_msg_ring {
        return;
    }
    let token = Token::new(Class::Bell, 0, 9);
    let ring = driver.ring_fd().as_raw_fd();
    let seen = park_while(&mut driver, || post(ring, token).unwrap());
    assert_eq!(seen.iter().map(|cqe| cqe.token).collect::<Vec<_>>(), [token]);
}

#[test]
fn o6_a_signal_ends_the_sleep_and_is_no_error() {
    extern "C" fn nothing(_signal: libc::c_int) {}
    let handler = nothing as extern "C" fn(libc::c_int);
    // SAFETY: the handler does nothing, so it may run at any moment; no other test uses the signal.
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    // SAFETY: the call takes nothing and changes nothing.
    let sleeper = unsafe { libc::pthread_self() };
    let mut driver = small();
    let seen = park_while(&mut driver, || {
        // SAFETY: the thread lives until this closure has returned.
        unsafe { libc::pthread_kill(sleeper, libc::SIGUSR1) };
    });
    assert_eq!(seen, []);
}

#[test]
fn o6_the_deadline_ends_the_sleep_and_not_before() {
    let mut driver = small();
    for absolute in [driver.caps.absolute_wait, false] {
        driver.pretend(|caps| caps.absolute_wait = absolute);
        let start = Instant::now();
        let deadline = start + Duration::from_millis(20);
        driver.park(Some(deadline)).unwrap();
        let late = Instant::now();
        assert!(late >= deadline - Duration::from_micros(50), "early by {:?}", deadline - late);
        assert!(late < deadline + PATIENCE);
    }
}

#[test]
fn o6_a_deadline_that_has_passed_does_not_sleep() {
    let mut driver = small();
    let enters = driver.enters();
    driver.park(Some(Instant::now())).unwrap();
    assert_eq!(driver.enters(), enters, "nothing was to be done in the kernel");
    push(&mut driver, Sqe::nop().token(op(0)));
    driver.park(Some(Instant::now())).unwrap();
    assert_eq!(driver.queued(), 0);
    assert_eq!(drain(&mut driver).len(), 1);
}

#[test]
fn o6_what_is_ready_keeps_it_awake() {
    let mut driver = small();
    push(&mut driver, Sqe::nop().token(op(0)));
    driver.flush().unwrap();
    let enters = driver.enters();
    driver.park(None).unwrap();
    assert_eq!(driver.enters(), enters);
    assert_eq!(drain(&mut driver).len(), 1);
}

#[test]
fn o7_a_message_shows_without_a_call() {
    for setup in [UringSetup::default(), UringSetup::default().with_coop_taskrun(true)] {
        let mut driver = open(&setup);
        if !driver.caps().foreign_msg_ring {
            return;
        }
        let enters = driver.enters();
        let ring = driver.ring_fd().as_raw_fd();
        thread::scope(|scope| {
            scope.spawn(|| post(ring, Token::new(Class::Bell, 0, 0)).unwrap());
            let deadline = Instant::now() + PATIENCE;
            while !driver.pending() {
                assert!(Instant::now() < deadline, "the message does not show");
                std::hint::spin_loop();
            }
        });
        assert_eq!(driver.enters(), enters);
        assert_eq!(collect(&mut driver, 1)[0].token.class(), Some(Class::Bell));
    }
}

#[test]
fn o7_readiness_shows_without_a_call() {
    let mut driver = open(&UringSetup::default());
    let (near, mut far) = UnixStream::pair().unwrap();
    push(&mut driver, Sqe::poll_add(near.as_raw_fd(), libc::POLLIN as u32).token(op(0)));
    driver.flush().unwrap();
    assert!(!driver.pending());
    far.write_all(b"x").unwrap();
    let enters = driver.enters();
    assert!(driver.pending());
    assert_eq!(driver.enters(), enters);
    assert_eq!(collect(&mut driver, 1)[0].result, i32::from(libc::POLLIN));
}

#[test]
fn o8_dropping_the_driver_leaves_memory_to_its_owner() {
    let mut driver = small();
    let (near, mut far) = UnixStream::pair().unwrap();
    let mut buffer = Box::new([7u8; 8]);
    push(&mut driver, Sqe::recv(near.as_raw_fd(), buffer.as_mut_ptr(), 8, 0).token(op(0)));
    driver.flush().unwrap();
    drop(driver);
    far.write_all(b"late").unwrap();
    assert_eq!(*buffer, [7u8; 8]);
    let mut read = [0u8; 4];
    (&near).read_exact(&mut read).unwrap();
    assert_eq!(&read, b"late");
}

#[test]
fn o9_the_ring_is_closed_with_the_driver_though_it_was_registered() {
    // The kernel gives what the ring holds back when it is closed: the far end sees the end.
    let mut driver = small();
    assert!(driver.caps().registered_ring);
    let (near, far) = UnixStream::pair().unwrap();
    push(&mut driver, Sqe::poll_add(near.as_raw_fd(), libc::POLLIN as u32).token(op(0)));
    driver.flush().unwrap();
    drop(near);
    drop(driver);
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut end = [0u8; 1];
    let read = loop {
        // Closing a ring interrupts waits with a timeout on its thread.
        match (&far).read(&mut end) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => break other,
        }
    };
    assert_eq!(read.unwrap(), 0);
}

#[test]
fn flush_with_nothing_to_do_stays_out_of_the_kernel() {
    let mut driver = small();
    let enters = driver.enters();
    assert_eq!(driver.flush().unwrap(), 0);
    assert_eq!(driver.enters(), enters);
    push(&mut driver, Sqe::nop().token(op(0)));
    assert_eq!(driver.flush().unwrap(), 1);
    assert_eq!(driver.enters(), enters + 1);
    // A completion that waits in the queue needs no call either.
    assert_eq!(driver.flush().unwrap(), 0);
    assert_eq!(driver.enters(), enters + 1);
}

#[test]
fn an_error_of_the_kernel_keeps_what_is_queued() {
    let mut driver = small();
    push(&mut driver, Sqe::nop().token(op(0)));
    let (entries, foreign) = (driver.queued(), File::open("/dev/null").unwrap());
    let gate = std::mem::replace(&mut driver.gate, super::Gate::new(foreign.as_raw_fd()));
    assert_eq!(driver.flush().unwrap_err().raw_os_error(), Some(libc::EOPNOTSUPP));
    assert!(driver.park(None).is_err());
    assert_eq!(driver.queued(), entries);
    driver.gate = gate;
    assert_eq!(collect(&mut driver, 1)[0].token, op(0));
}

#[test]
fn the_caps_say_what_the_kernel_took() {
    let driver = open(&UringSetup::default().with_entries(100));
    let caps = driver.caps();
    assert_eq!((caps.sq_entries, caps.cq_entries), (128, 512));
    assert_ne!(caps.setup_flags & setup_flags::CQSIZE, 0);
    for opcode in [Opcode::NOP, Opcode::READ, Opcode::SEND, Opcode::MSG_RING] {
        assert!(caps.supports(opcode), "{opcode:?}");
    }
    assert!(!caps.supports(Opcode::new(255)));
}

#[test]
fn seventeen_rings_of_a_thread_all_work() {
    // A thread has 16 places for registered rings.
    let mut drivers: Vec<_> = (0..17).map(|_| small()).collect();
    assert!(drivers.iter().any(|driver| !driver.caps().registered_ring));
    for driver in &mut drivers {
        push(driver, Sqe::nop().token(op(5)));
        assert_eq!(collect(driver, 1)[0].token, op(5));
    }
}

#[test]
fn a_ring_with_a_kernel_thread_takes_and_answers() {
    let setup = UringSetup::default().with_entries(8).with_sqpoll(Duration::from_millis(1));
    let mut driver = open(&setup);
    assert_ne!(driver.caps().setup_flags & setup_flags::SQPOLL, 0);
    let mut pushed = 0;
    let mut seen = Vec::new();
    while pushed < 1_000 {
        match try_push(&mut driver, Sqe::nop().token(op(pushed))) {
            Ok(()) => pushed += 1,
            Err(_full) => {
                driver.flush().unwrap();
                seen.extend(drain(&mut driver));
            }
        }
    }
    driver.flush().unwrap();
    let missing = 1_000 - seen.len();
    seen.extend(collect(&mut driver, missing));
    assert_eq!(sorted_indices(&seen), (0..1_000).collect::<Vec<_>>());
}

#[test]
fn a_ring_with_a_kernel_thread_sleeps_until_the_message() {
    let mut driver = open(&UringSetup::default().with_sqpoll(Duration::from_millis(1)));
    if !driver.caps().foreign_msg_ring {
        return;
    }
    let token = Token::new(Class::Bell, 0, 0);
    let ring = driver.ring_fd().as_raw_fd();
    let seen = park_while(&mut driver, || post(ring, token).unwrap());
    assert_eq!(seen.iter().map(|cqe| cqe.token).collect::<Vec<_>>(), [token]);
}

#[test]
fn a_multishot_poll_keeps_saying_more() {
    let mut driver = small();
    let (near, mut far) = UnixStream::pair().unwrap();
    push(&mut driver, Sqe::poll_multi(near.as_raw_fd(), libc::POLLIN as u32).token(op(0)));
    driver.flush().unwrap();
    for _ in 0..3 {
        far.write_all(b"x").unwrap();
        let seen = collect(&mut driver, 1);
        assert_eq!(seen[0].flags & cqe_flags::MORE, cqe_flags::MORE);
    }
    push(&mut driver, Sqe::cancel(op(0)).token(Token::new(Class::Cancel, 1, 0)));
    let seen = collect(&mut driver, 2);
    let ended = seen.iter().find(|cqe| cqe.token == op(0)).unwrap();
    assert_eq!((ended.result, ended.has_more()), (-libc::ECANCELED, false));
}
