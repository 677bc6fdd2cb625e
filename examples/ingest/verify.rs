//! Reads the files back through the runtime and checks every byte.

use std::io;
use std::path::PathBuf;

use spargio::JoinHandle;
use spargio::fs::File;

use crate::client::Load;
use crate::pattern::Pattern;
use crate::server::Stored;

/// How much is read at a time.
const CHUNK: usize = 256 * 1024;

/// Checks that every stream of the load is in its file, whole and byte for byte. Returns how many
/// bytes were compared.
///
/// # Errors
///
/// The first difference, with its file and offset.
pub(crate) async fn verify(load: Load, stored: Vec<Stored>) -> io::Result<u64> {
    if stored.len() as u64 != load.streams() {
        return Err(io::Error::other(format!(
            "{} streams were stored, {} were sent",
            stored.len(),
            load.streams()
        )));
    }
    let mut tasks: Vec<JoinHandle<io::Result<u64>>> = Vec::new();
    for stored in stored {
        let expected = load.bytes_of(stored.stream);
        if !stored.complete || stored.bytes != expected {
            return Err(mismatch(&stored.path, stored.bytes, expected));
        }
        tasks.push(spargio::spawn(file(stored.path, stored.stream, expected))?);
    }
    let mut bytes = 0;
    for task in tasks {
        bytes += task.await??;
    }
    Ok(bytes)
}

async fn file(path: PathBuf, stream: u64, expected: u64) -> io::Result<u64> {
    let file = File::open(&path).await?;
    let pattern = Pattern::new(stream);
    let mut buffer = Vec::with_capacity(CHUNK);
    let mut offset = 0;
    loop {
        // What was read is cut to a multiple of 8 bytes, unless it is the end of the file.
        let (result, filled) = file.read_at(buffer, offset).await;
        buffer = filled;
        let read = match result? {
            0 => break,
            read if read % 8 == 0 || offset + read as u64 == expected => read,
            read if read < 8 => return Err(mismatch(&path, offset + read as u64, expected)),
            read => read - read % 8,
        };
        if let Some(at) = pattern.first_mismatch(offset, &buffer[..read]) {
            return Err(io::Error::other(format!(
                "{} differs from what was sent at offset {at}",
                path.display()
            )));
        }
        offset += read as u64;
        buffer.clear();
    }
    if offset == expected { Ok(offset) } else { Err(mismatch(&path, offset, expected)) }
}

fn mismatch(path: &std::path::Path, is: u64, should: u64) -> io::Error {
    io::Error::other(format!("{} has {is} bytes, sent were {should}", path.display()))
}
