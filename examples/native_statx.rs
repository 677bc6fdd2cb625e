//! Metadata by an opcode of one's own: who owns a file, asked of the ring by `statx(2)`, with all
//! that the entry names in what the operation owns.
//!
//! ```sh
//! cargo run --example native_statx -- Cargo.toml src
//! ```

use std::ffi::CString;
use std::io;
use std::process::ExitCode;

use spargio::driver::Sqe;
use spargio::native::{NativeOp, UringNativeAny};

/// What an entry of `statx(2)` names: the path, and where the answer goes.
struct Question {
    path: CString,
    answer: libc::statx,
}

/// The safe form of the opcode: nobody can call it wrongly.
fn owner(native: &UringNativeAny, path: CString) -> NativeOp<io::Result<(u32, u64)>> {
    // SAFETY: it consists of numbers, for which 0 is a value.
    let answer = unsafe { std::mem::zeroed() };
    let build = |question: &mut Question| {
        let Question { path, answer } = question;
        Ok(Sqe::statx(libc::AT_FDCWD, path.as_ptr(), 0, libc::STATX_BASIC_STATS, answer))
    };
    // SAFETY: path and answer are in what the operation owns, and nobody else has them; the kernel
    // writes one `statx`; the directory is no descriptor.
    unsafe {
        native.submit_unsafe(Question { path, answer }, build, |question, cqe| {
            cqe.check()?;
            Ok((question.answer.stx_uid, question.answer.stx_size))
        })
    }
}

#[spargio::main]
async fn main() -> io::Result<ExitCode> {
    let native = UringNativeAny::new()?;
    let mut paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        paths.push(".".into());
    }
    let mut code = ExitCode::SUCCESS;
    for path in paths {
        let question = owner(&native, CString::new(path.clone())?);
        let (id, shard) = (question.id(), question.shard());
        match question.await {
            Ok((uid, size)) => println!("{path}: user {uid}, {size} bytes ({id} on shard {shard})"),
            Err(error) => {
                eprintln!("{path}: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
