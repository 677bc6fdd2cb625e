//! What a thread asks of the CPUs: which of them it may use, how precisely it is woken, and
//! what to have at hand.

use std::io;

/// CPU numbers are below this.
pub(crate) const LIMIT: usize = libc::CPU_SETSIZE as usize;

/// A set of CPUs.
#[derive(Clone, Copy)]
pub(crate) struct CpuSet(libc::cpu_set_t);

impl CpuSet {
    fn new(cpus: impl IntoIterator<Item = usize>) -> Self {
        // SAFETY:
        // - a CPU set is a plain array of bits, for which zero is a value.
        let mut set = Self(unsafe { std::mem::zeroed() });
        for cpu in cpus {
            assert!(cpu < LIMIT, "CPU {cpu} is not below {LIMIT}");
            // SAFETY:
            // - the number is below the limit of a set.
            unsafe { libc::CPU_SET(cpu, &mut set.0) };
        }
        set
    }

    /// Whether this CPU is one of them.
    pub(crate) fn contains(&self, cpu: usize) -> bool {
        // SAFETY:
        // - the number is below the limit of a set.
        cpu < LIMIT && unsafe { libc::CPU_ISSET(cpu, &self.0) }
    }

    /// Those that are in it, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        (0..LIMIT).filter(|&cpu| self.contains(cpu))
    }
}

/// Begins to load what lies there, where the processor can be asked for that: a few cache lines, as
/// the head of a task and the beginning of its future take. The address may be any.
#[inline]
pub(crate) fn prefetch(address: *const ()) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..4 {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY:
        // - a hint, which reads nothing and never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast::<i8>().wrapping_add(64 * line)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address; // There is no stable way to ask.
}

/// The CPUs that the calling thread may run on.
pub(crate) fn allowed() -> io::Result<CpuSet> {
    let mut set = CpuSet::new([]);
    // SAFETY:
    // - the set is alive and of the size that is passed; 0 is the calling thread.
    let result = unsafe { libc::sched_getaffinity(0, size_of_val(&set.0), &mut set.0) };
    if result == 0 { Ok(set) } else { Err(io::Error::last_os_error()) }
}

/// Binds the calling thread to one CPU.
///
/// # Panics
///
/// If the number is not below [`LIMIT`].
pub(crate) fn bind(cpu: usize) -> io::Result<()> {
    allow(&CpuSet::new([cpu]))
}

/// Moves the calling thread to one of the CPUs that it is allowed to run on, where it may leave it
/// again: some microseconds.
pub(crate) fn visit(cpu: usize, allowed: &CpuSet) -> io::Result<()> {
    bind(cpu)?;
    // If none of them is allowed any more, any is better than the binding: the system leaves out
    // what a thread may not have.
    allow(allowed).or_else(|_| allow(&CpuSet::new(0..LIMIT)))
}

/// Lets the calling thread run on these CPUs only.
fn allow(cpus: &CpuSet) -> io::Result<()> {
    // SAFETY:
    // - the set is alive and of the size that is passed; 0 is the calling thread.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&cpus.0), &cpus.0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Asks the system not to round the calling thread's sleeps up, which it does by 50 us otherwise.
pub(crate) fn sleep_precisely() {
    const NANOS: libc::c_ulong = 1;
    // SAFETY:
    // - this option takes a number and changes nothing but the calling thread's timer slack.
    let result = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, NANOS) };
    // Where it is refused, sleeps end a little later, and still never early.
    debug_assert_eq!(result, 0, "every Linux that has io_uring knows PR_SET_TIMERSLACK");
}

/// The CPU that runs the calling thread at this moment; a few nanoseconds.
pub(crate) fn current() -> u32 {
    // SAFETY:
    // - the call takes no memory.
    let cpu = unsafe { libc::sched_getcpu() };
    // A system that cannot say gives every thread a CPU of its own, as far as we know.
    u32::try_from(cpu).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::{allowed, visit};

    #[test]
    fn a_visit_leaves_the_allowed_cpus_as_they_were() {
        std::thread::spawn(|| {
            let before = allowed().unwrap();
            for cpu in before.iter() {
                visit(cpu, &before).unwrap();
                assert!(allowed().unwrap().iter().eq(before.iter()), "after a visit to CPU {cpu}");
            }
            assert!(before.iter().count() > 0);
        })
        .join()
        .unwrap();
    }
}
