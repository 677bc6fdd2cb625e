//! A kernel or a sandbox that refuses io_uring: `build` says so at once, and what to do.

use std::env;
use std::error::Error;
use std::io;
use std::process::Command;
use std::time::Instant;

use spargio::driver::{RefusalReason, UringRefused};
use spargio::{BuildError, Runtime, RuntimeError};

use crate::support::{elsewhere, threads_named, wait_until, watched};

/// Which refusal the child process installs for itself.
const VARIABLE: &str = "SPARGIO_TEST_REFUSED";
/// The child's test.
const CHILD: &str = "refused::builds_a_runtime_in_a_sandbox";

/// Runs the child with this refusal and returns what it said.
fn child_says(refusal: &str) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", CHILD, "--ignored", "--nocapture", "--test-threads=1"])
        .env(VARIABLE, refusal)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let cried = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{refusal}: {said}\n{cried}");
    said
}

#[test]
fn a_sandbox_that_refuses_io_uring_is_named() {
    watched(|_| {
        for refusal in ["setup EPERM", "setup ENOSYS", "enter EPERM"] {
            let said = child_says(refusal);
            let kind = if refusal.ends_with("ENOSYS") { "Unsupported" } else { "PermissionDenied" };
            for part in ["seccomp", "io_uring_setup", "reason: Seccomp", kind] {
                assert!(said.contains(part), "{refusal}: no `{part}` in {said}");
            }
        }
    });
}

#[test]
fn a_thread_that_cannot_start_ends_those_that_did() {
    watched(|_| {
        let said = child_says("clone EAGAIN");
        assert!(said.contains("shard 0 could not be started"), "{said}");
    });
}

#[test]
#[ignore = "a process that other tests start; it takes rights from itself"]
fn builds_a_runtime_in_a_sandbox() {
    let refusal = env::var(VARIABLE).expect("started by another test");
    match refusal.as_str() {
        "setup EPERM" => refuse(&[libc::SYS_io_uring_setup], libc::EPERM),
        "setup ENOSYS" => refuse(&[libc::SYS_io_uring_setup], libc::ENOSYS),
        "enter EPERM" => refuse(&[libc::SYS_io_uring_enter], libc::EPERM),
        "clone EAGAIN" => refuse(&[libc::SYS_clone3, libc::SYS_clone], libc::EAGAIN),
        other => panic!("unknown refusal {other}"),
    }
    let builder = Runtime::builder().shards(3).thread_prefix("sandbox");
    let began = Instant::now();
    let error = builder.clone().build().map(drop).unwrap_err();
    println!("took: {:?}", began.elapsed());
    println!("error: {error}");
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    // A thread that was joined may show for a moment.
    wait_until("the threads end", || threads_named("sandbox") == 0);
    if let BuildError::Open { source, .. } = &error {
        let refused = UringRefused::of(source).expect("a structured reason");
        println!("reason: {:?}", refused.reason());
        assert_eq!(refused.reason(), &RefusalReason::Seccomp);
        assert!(error.source().is_some());
        let kind = io::Error::from(RuntimeError::from(error)).kind();
        println!("kind: {kind:?}");
    }
    // The entry fails likewise, and the process can go on without a ring.
    let error = elsewhere(spargio::run_with(builder, |_| async {})).unwrap_err();
    assert!(matches!(error, RuntimeError::Build(_)), "{error:?}");
}

/// Installs a seccomp filter on this thread and those that it starts: it answers these calls with
/// an error number.
fn refuse(calls: &[libc::c_long], errno: i32) {
    let statement =
        |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    // The number of the call is the first field of what a filter sees.
    let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for (index, call) in calls.iter().enumerate() {
        let skip = u8::try_from(calls.len() - index).unwrap();
        let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        program.push(statement(equal, u32::try_from(*call).unwrap(), skip, 0));
    }
    let answer = libc::BPF_RET | libc::BPF_K;
    program.push(statement(answer, libc::SECCOMP_RET_ALLOW, 0, 0));
    program.push(statement(answer, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned(), 0, 0));
    let len = u16::try_from(program.len()).unwrap();
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    // SAFETY: takes no memory; it only takes rights away.
    let answer = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(answer, 0, "{}", io::Error::last_os_error());
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: the program and its statements live until the call returns, which copies them.
    let answer = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) };
    assert_eq!(answer, 0, "{}", io::Error::last_os_error());
}
