//! What the floors have in common: two threads, each on a CPU of its own, and sharp sleeps.

use std::io;
use std::mem::zeroed;
use std::thread;

/// Runs both on threads of their own, each bound to another CPU if there are two, so that threads
/// which spin do not wait for each other on the same one.
pub(super) fn on_two_cpus(one: impl FnOnce() + Send, other: impl FnOnce() + Send) {
    thread::scope(|scope| {
        scope.spawn(|| {
            bind(0);
            one();
        });
        scope.spawn(|| {
            bind(1);
            other();
        });
    });
}

/// Binds this thread to one of the CPUs that it may use.
fn bind(which: usize) {
    // SAFETY:
    // - a set of CPUs is an array of integers, for which zeros are a value.
    let mut allowed: libc::cpu_set_t = unsafe { zeroed() };
    let size = size_of_val(&allowed);
    // SAFETY:
    // - the pointer is to a set of the size that is given, which the call fills.
    let result = unsafe { libc::sched_getaffinity(0, size, &raw mut allowed) };
    assert_eq!(result, 0, "sched_getaffinity: {}", io::Error::last_os_error());
    let cpus: Vec<usize> = (0..libc::CPU_SETSIZE as usize)
        // SAFETY:
        // - the number is below the size of a set.
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &allowed) })
        .collect();
    // SAFETY:
    // - as above.
    let mut one: libc::cpu_set_t = unsafe { zeroed() };
    // SAFETY:
    // - the number is one of a set's.
    unsafe { libc::CPU_SET(cpus[which % cpus.len()], &mut one) };
    // SAFETY:
    // - the pointer is to a set of the size that is given, which the call reads.
    let result = unsafe { libc::sched_setaffinity(0, size, &raw const one) };
    assert_eq!(result, 0, "sched_setaffinity: {}", io::Error::last_os_error());
}

/// Lets this thread's sleeps end when they are over, and not up to 50 us later.
pub(super) fn sleep_sharply() {
    // SAFETY:
    // - the call takes numbers only, and changes nothing but this thread's timer slack.
    let result = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1, 0, 0, 0) };
    assert_eq!(result, 0, "prctl: {}", io::Error::last_os_error());
}
