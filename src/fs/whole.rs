//! Whole files at once.

use std::io;
use std::path::Path;

use crate::buf::IoBuf;
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

fn no_room(bytes: usize) -> io::Error {
    let text = format!("no memory for {bytes} more bytes of the file");
    io::Error::new(io::ErrorKind::OutOfMemory, text)
}
