//! Files that differ in their lengths.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::failed;
use crate::measure::Wrong;

/// How many there are.
const FILES: u64 = 64;

/// The files, in a directory beside this program, where they stay for the next process.
#[derive(Clone, Debug)]
pub(crate) struct Lengths(Vec<PathBuf>);

impl Lengths {
    /// Makes them unless they are there.
    pub(crate) fn prepare() -> Result<Self, Wrong> {
        Self::beside_this_program().map_err(failed("the files of different lengths"))
    }

    fn beside_this_program() -> io::Result<Self> {
        let directory = env::current_exe()?.with_file_name("spargio-bench-lengths");
        fs::create_dir_all(&directory)?;
        let make = |number: u64| {
            let path = directory.join(number.to_string());
            // Several processes may come here at the same time: to each of them it makes no
            // difference that another one does the same.
            let file = File::options().create(true).append(true).open(&path)?;
            file.set_len(Self::length(number))?;
            Ok(path)
        };
        (0..FILES).map(make).collect::<io::Result<_>>().map(Self)
    }

    /// Where the file of this number is; numbers begin anew after the last.
    pub(crate) fn path(&self, number: u64) -> &Path {
        &self.0[(number % FILES) as usize]
    }

    /// How long it is.
    pub(crate) const fn length(number: u64) -> u64 {
        1 + 100 * (number % FILES)
    }
}
