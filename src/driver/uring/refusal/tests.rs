//! What is made of a refusal: by table, and in processes that the system does refuse.

use std::env;
use std::io;
use std::process::Command;

use crate::driver::uring::refusal::{
    RefusalReason, Surroundings, UringRefused, decide, field, has_ipc_lock, is_before, ring_bytes,
};
use crate::driver::uring::{Uring, UringSetup};
use crate::driver::{Driver, Sqe, Token};
use crate::id::ShardId;

fn free() -> Surroundings {
    Surroundings {
        seccomp: 0,
        disabled: 0,
        errno_without_ring: libc::EBADF,
        release: "6.18.44-x".to_owned(),
        memlock: None,
        memlock_needed: 36_864,
        files: 1_024,
    }
}

fn too_old(release: &str) -> RefusalReason {
    RefusalReason::KernelTooOld { release: release.to_owned(), needed: "5.17" }
}

#[test]
fn each_errno_has_its_reason() {
    let filter = Surroundings { seccomp: 2, ..free() };
    let whole = Surroundings { errno_without_ring: libc::EPERM, ..filter.clone() };
    let whole_enosys = Surroundings { errno_without_ring: libc::ENOSYS, ..filter.clone() };
    let forbidden = Surroundings { disabled: 2, ..free() };
    let for_group = Surroundings { disabled: 1, ..free() };
    let both = Surroundings { disabled: 2, ..filter.clone() };
    let both_whole = Surroundings { disabled: 2, ..whole.clone() };
    let old = Surroundings {
        release: "4.19.0-21-amd64".to_owned(),
        errno_without_ring: libc::ENOSYS,
        ..free()
    };
    let older = Surroundings { release: "5.15.0".to_owned(), ..free() };
    let locked = Surroundings { memlock: Some(65_536), ..free() };
    let memlock = RefusalReason::Memlock { limit: 65_536, needed: 36_864 };
    let table = [
        (libc::EPERM, &filter, RefusalReason::Seccomp),
        (libc::EPERM, &whole, RefusalReason::Seccomp),
        (libc::ENOSYS, &filter, RefusalReason::Seccomp),
        (libc::ENOSYS, &whole_enosys, RefusalReason::Seccomp),
        (libc::EACCES, &filter, RefusalReason::Seccomp),
        (libc::EPERM, &forbidden, RefusalReason::Sysctl),
        (libc::EPERM, &for_group, RefusalReason::Sysctl),
        (libc::EPERM, &both, RefusalReason::Sysctl),
        (libc::EPERM, &both_whole, RefusalReason::Seccomp),
        (libc::EPERM, &free(), RefusalReason::Other),
        (libc::EACCES, &free(), RefusalReason::Other),
        (libc::ENOSYS, &old, too_old("4.19.0-21-amd64")),
        (libc::ENOSYS, &free(), RefusalReason::Other),
        (libc::EINVAL, &older, too_old("5.15.0")),
        (libc::EINVAL, &free(), RefusalReason::Other),
        (libc::ENOMEM, &locked, memlock),
        (libc::ENOMEM, &free(), RefusalReason::Other),
        (libc::EMFILE, &free(), RefusalReason::FdLimit { limit: 1_024 }),
        (libc::ENFILE, &free(), RefusalReason::Other),
    ];
    for (errno, seen, expected) in table {
        assert_eq!(decide(errno, seen), expected, "errno {errno} in {seen:?}");
    }
}

#[test]
fn releases_are_compared_by_number() {
    assert!(is_before("5.4.0-generic", 5, 17));
    assert!(is_before("4.19", 5, 1));
    assert!(!is_before("5.17.0", 5, 17));
    assert!(!is_before("5.100", 5, 17));
    assert!(!is_before("6.1-rc3", 5, 17));
    assert!(!is_before("", 5, 17));
    assert!(!is_before("unknown", 5, 17));
}

#[test]
fn a_ring_takes_whole_pages() {
    // 64 + 1024 * 16 bytes are 5 pages, 256 * 64 bytes are 4.
    assert_eq!(ring_bytes(256, 1024), 9 * 4096);
    assert_eq!(ring_bytes(200, 1000), 9 * 4096);
    assert_eq!(ring_bytes(1, 2), 2 * 4096);
}

#[test]
fn the_status_of_a_thread_is_understood() {
    let status = "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\nCapEff:\t0000000000004000\n";
    assert_eq!(field(status, "Seccomp:"), Some("2"));
    let everybody = "         0          0 4294967295\n";
    assert!(has_ipc_lock(status, everybody));
    assert!(!has_ipc_lock(status, "         0       1000          1\n"));
    assert!(!has_ipc_lock("CapEff:\t0000000000003fff\n", everybody));
    assert!(!has_ipc_lock("", everybody));
}

#[test]
fn the_error_says_what_and_what_to_do() {
    let source = io::Error::from_raw_os_error(libc::EPERM);
    let error = io::Error::from(UringRefused { reason: RefusalReason::Seccomp, source });
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let refused = UringRefused::of(&error).unwrap();
    assert_eq!(refused.reason(), &RefusalReason::Seccomp);
    assert_eq!(refused.os_error().raw_os_error(), Some(libc::EPERM));
    let text = error.to_string();
    assert!(text.contains("seccomp") && text.contains("io_uring_setup"), "{text}");
    assert!(UringRefused::of(&io::Error::other("else")).is_none());
}

#[test]
fn a_filter_that_refuses_is_named() {
    let calls =
        ["setup EPERM", "setup ENOSYS", "enter EPERM", "register EPERM", "all EPERM", "all ENOSYS"];
    for refuse in calls {
        let said = ask_child(refuse);
        assert!(said.contains("reason: Seccomp"), "{refuse}: {said}");
    }
}

#[test]
fn a_limit_on_locked_memory_is_named() {
    let said = ask_child("memlock");
    assert!(said.contains("reason: Memlock { limit: 4096, needed: 36864 }"), "{said}");
}

#[test]
fn smaller_queues_are_taken_when_the_wish_exceeds_locked_memory() {
    // 9 pages are asked for, 6 are allowed: half the queues need 5.
    let said = ask_child("memlock-some");
    // Only root can become a user without rings.
    if said.contains("alone: false") {
        return;
    }
    assert!(said.contains("opened: 128 and 512"), "{said}");
}

#[test]
fn a_limit_on_fds_is_named() {
    let said = ask_child("files");
    assert!(said.contains("reason: FdLimit { limit: 3 }"), "{said}");
}

/// Runs the test below in a process of its own, which restricts itself, and returns what it said.
fn ask_child(refuse: &str) -> String {
    let test = "driver::uring::refusal::tests::opens_a_ring_after_restricting_itself";
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env("SPARGIO_TEST_REFUSE", refuse)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{refuse}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
#[ignore = "a process that other tests start; it takes rights from itself"]
fn opens_a_ring_after_restricting_itself() {
    let refuse = env::var("SPARGIO_TEST_REFUSE").expect("started by another test");
    match refuse.as_str() {
        "setup EPERM" => filter(&[libc::SYS_io_uring_setup], libc::EPERM),
        "setup ENOSYS" => filter(&[libc::SYS_io_uring_setup], libc::ENOSYS),
        "enter EPERM" => filter(&[libc::SYS_io_uring_enter], libc::EPERM),
        "register EPERM" => filter(&[libc::SYS_io_uring_register], libc::EPERM),
        "all EPERM" => filter(&ALL_CALLS, libc::EPERM),
        "all ENOSYS" => filter(&ALL_CALLS, libc::ENOSYS),
        "memlock" => println!("alone: {}", limit_locked_memory(4_096)),
        "memlock-some" => println!("alone: {}", limit_locked_memory(6 * 4_096)),
        "files" => limit_files(3),
        other => panic!("unknown restriction {other}"),
    }
    match Uring::open(&UringSetup::default(), ShardId::new(0)) {
        Ok(mut driver) => {
            // SAFETY: the entry names no memory and no fd.
            unsafe { driver.push(Sqe::nop().token(Token::default())) }.unwrap();
            driver.park(None).unwrap();
            let caps = driver.caps();
            println!("opened: {} and {}", caps.sq_entries, caps.cq_entries);
        }
        Err(error) => {
            println!("reason: {:?}", UringRefused::of(&error).map(UringRefused::reason).unwrap());
        }
    }
}

const ALL_CALLS: [libc::c_long; 3] =
    [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

/// Installs a seccomp filter on this thread that answers the calls with an error number.
fn filter(calls: &[libc::c_long], errno: i32) {
    let statement =
        |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    // The number of the call is the first field of what the filter sees.
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for (index, call) in calls.iter().enumerate() {
        // Past the other comparisons and the answer that allows.
        let to_refusal = (calls.len() - index) as u8;
        let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        program.push(statement(equal, *call as u32, to_refusal, 0));
    }
    let answer = libc::BPF_RET | libc::BPF_K;
    program.push(statement(answer, libc::SECCOMP_RET_ALLOW, 0, 0));
    program.push(statement(answer, libc::SECCOMP_RET_ERRNO | errno as u32, 0, 0));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: takes no memory; it only takes rights away.
    let answer = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(answer, 0);
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the program and its statements live until the call returns, which copies them.
    let answer = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
    assert_eq!(answer, 0, "{}", io::Error::last_os_error());
}

/// Gives up the right to lock without limit, and sets the limit. Answers whether this process is
/// alone with it: the memory of all rings of a user counts.
fn limit_locked_memory(bytes: u64) -> bool {
    /// Far above the numbers that users have.
    const FREE_USERS: u32 = 1_000_000_000;
    // SAFETY: `set_limit` lends a live local that the call reads.
    set_limit(bytes, |limit| unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, limit) });
    let user = FREE_USERS + std::process::id();
    // SAFETY: takes no memory, and changes this thread alone.
    unsafe { libc::syscall(libc::SYS_setuid, user) == 0 }
}

fn limit_files(count: u64) {
    // SAFETY: `set_limit` lends a live local that the call reads.
    set_limit(count, |limit| unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, limit) });
}

fn set_limit(value: u64, write: impl FnOnce(*const libc::rlimit) -> libc::c_int) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    assert_eq!(write(&raw const limit), 0, "{}", io::Error::last_os_error());
}
