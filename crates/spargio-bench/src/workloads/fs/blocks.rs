//! A file whose blocks say which they are.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use super::failed;
use crate::measure::Wrong;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 4096;
/// Blocks of the file: 16 MiB, which stay in the page cache.
const BLOCKS: u64 = 4096;
/// Every so many bytes of a block are checked: each line of a cache.
const LINE: usize = 64;
const WORD: usize = size_of::<u64>();

/// The file, which lies beside this program: file systems for temporary files may not have reads
/// that do not block. It stays there for the next process.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    path: PathBuf,
}

impl Blocks {
    /// Writes the file unless it is there, and reads all of it into the page cache.
    pub(crate) fn prepare() -> Result<Self, Wrong> {
        Self::beside_this_program().map_err(failed("the file of blocks"))
    }

    fn beside_this_program() -> io::Result<Self> {
        let path = env::current_exe()?.with_file_name("spargio-bench-blocks.dat");
        if !is_right(&path) {
            // Whole or not at all: several processes may come here at the same time.
            let draft = path.with_extension(process::id().to_string());
            fs::write(&draft, content())?;
            fs::rename(&draft, &path)?;
        }
        Ok(Self { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How long it is.
    pub(crate) const fn length(&self) -> u64 {
        BLOCKS * BLOCK as u64
    }

    /// Opens it for a loop by hand.
    pub(crate) fn open(&self) -> Result<File, Wrong> {
        File::open(&self.path).map_err(failed("open"))
    }
}

/// Whether all blocks are there.
fn is_right(path: &Path) -> bool {
    fs::read(path).is_ok_and(|bytes| {
        let blocks = bytes.chunks_exact(BLOCK);
        bytes.len() as u64 == BLOCKS * BLOCK as u64
            && blocks.zip(0..).all(|(block, number)| check_block(block, number).is_ok())
    })
}

fn content() -> Vec<u8> {
    let words = (0..BLOCKS).flat_map(|block| (0..BLOCK / WORD).map(move |at| word(block, at)));
    words.flat_map(u64::to_le_bytes).collect()
}

/// What stands at this word of this block.
const fn word(block: u64, at: usize) -> u64 {
    (block << 32 | at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Whether this is the block at this number, by a word of each cache line: to check all of them
/// would take a good part of the time that the read takes.
pub(crate) fn check_block(block: &[u8], number: u64) -> Result<(), Wrong> {
    let mut differences = 0;
    for (line, at) in block.chunks_exact(LINE).zip((0..).step_by(LINE / WORD)) {
        let (found, _) = line.split_first_chunk::<WORD>().expect("a line has several words");
        differences |= u64::from_le_bytes(*found) ^ word(number, at);
    }
    if block.len() == BLOCK && differences == 0 {
        return Ok(());
    }
    Err(Wrong(format!("{} bytes of block {number} are not those of the file", block.len())))
}

/// Numbers of blocks in an order that no read-ahead foresees; the same for all runtimes.
#[derive(Clone, Debug)]
pub(crate) struct Offsets(u64);

impl Offsets {
    /// An order of its own for each of several tasks.
    pub(crate) const fn of(task: usize) -> Self {
        Self(task as u64)
    }
}

impl Iterator for Offsets {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((self.0 >> 33) % BLOCKS)
    }
}

#[cfg(test)]
mod tests;
