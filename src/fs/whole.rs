//! Whole files at once.

use std::io;
use std::path::Path;

use crate::buf::IoBuf;
use crate::fs::steps::{BLOCK, TRIES};
use crate::fs::{File, OpenOptions};
use crate::op::PathError;
use crate::port::Lane;
use crate::primitive::Arc;

/// How much is read at once when the length is not known.
const CHUNK: usize = 64 * 1024;
/// The first guess for a file that says it is empty.
const SMALL: usize = 4096;

/// Reads a file to its end.
pub(super) async fn read(lane: &Arc<dyn Lane>, path: &Path) -> io::Result<Vec<u8>> {
    let recipe = OpenOptions::new().read(true).recipe(path)?;
    let file = recipe.open(Arc::clone(lane)).await?;
    let (read, bytes) = read_to_end_at(&file, Vec::new(), 0).await;
    read.map_err(|error| PathError::wrap("read", path, error))?;
    Ok(bytes)
}

/// Makes the bytes the contents of a file.
pub(super) async fn write(lane: &Arc<dyn Lane>, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
    let recipe = File::creation().recipe(path)?;
    let file = recipe.open(Arc::clone(lane)).await?;
    let (written, _) = file.write_all_at(bytes, 0).await;
    written.map_err(|error| PathError::wrap("write", path, error))
}

/// The bytes as text.
///
/// # Errors
///
/// `InvalidData` with the place of the first byte that is none.
pub(super) fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        let text = format!("the bytes from {place} on are no UTF-8");
        io::Error::new(io::ErrorKind::InvalidData, text)
    })
}

/// Appends to the vector what the file has from `offset` on, and says how much that was.
///
/// What the file says of its length is a guess for the room, and not believed: the end is where a
/// read returns nothing.
pub(super) async fn read_to_end_at(
    file: &File,
    mut bytes: Vec<u8>,
    offset: u64,
) -> (io::Result<usize>, Vec<u8>) {
    if file.shared.is_direct() {
        return read_to_end_directly(file, bytes, offset).await;
    }
    let start = bytes.len();
    let expected = match file.metadata().await {
        Ok(metadata) => usize::try_from(metadata.len().saturating_sub(offset)).unwrap_or(0),
        Err(_) => 0,
    };
    // One more than is expected, so that the read that finds the end needs no more room.
    let guess = if expected == 0 { SMALL } else { expected.saturating_add(1) };
    if bytes.try_reserve_exact(guess).is_err() {
        return (Err(no_room(guess)), bytes);
    }
    loop {
        let filled = bytes.len();
        if filled == bytes.capacity() && bytes.try_reserve(CHUNK.max(filled - start)).is_err() {
            return (Err(no_room(CHUNK)), bytes);
        }
        // Saturated is beyond every file, and refused as such.
        let at = offset.saturating_add((filled - start) as u64);
        let (read, rest) = file.read_at(bytes.slice(filled..), at).await;
        bytes = rest.into_inner();
        match read {
            Ok(0) => return (Ok(bytes.len() - start), bytes),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (Err(error), bytes),
        }
    }
}

/// As [`read_to_end_at`], by way of memory that direct I/O takes: a vector lies anywhere, and the
/// rest of a file begins and ends anywhere.
async fn read_to_end_directly(
    file: &File,
    mut bytes: Vec<u8>,
    offset: u64,
) -> (io::Result<usize>, Vec<u8>) {
    let start = bytes.len();
    let mut chunk = vec![0; CHUNK + BLOCK];
    let even = chunk.as_ptr().align_offset(BLOCK);
    let mut in_vain = 0;
    loop {
        // Saturated is beyond every file, and refused as such.
        let at = offset.saturating_add((bytes.len() - start) as u64);
        let known = at % BLOCK as u64;
        let (read, rest) = file.read_at(chunk.slice(even..even + CHUNK), at - known).await;
        chunk = rest.into_inner();
        let count = match read {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return (Err(error), bytes),
        };
        if count as u64 > known {
            in_vain = 0;
            if bytes.try_reserve(count).is_err() {
                return (Err(no_room(count)), bytes);
            }
            bytes.extend_from_slice(&chunk[even..even + count][known as usize..]);
            continue;
        }
        // The block in which the file ends, or a read that was short in front of new bytes.
        if count == 0 {
            return (Ok(bytes.len() - start), bytes);
        }
        match file.metadata().await {
            Ok(metadata) if metadata.len() <= at => return (Ok(bytes.len() - start), bytes),
            Ok(metadata) if in_vain == TRIES => {
                return (Err(stands_still(at, metadata.len())), bytes);
            }
            Ok(_) => in_vain += 1,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (Err(error), bytes),
        }
    }
}

fn stands_still(at: u64, len: u64) -> io::Error {
    let text = format!("direct reads get no further than byte {at} of {len}");
    io::Error::other(text)
}

fn no_room(bytes: usize) -> io::Error {
    let text = format!("no memory for {bytes} more bytes of the file");
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}
