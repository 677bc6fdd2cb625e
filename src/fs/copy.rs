//! Copying a file.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::blocking::CancelFlag;
use crate::op::PathError;
use crate::op::offload::offload;
use crate::port::Lane;
use crate::primitive::Arc;

/// So much is copied between two looks whether the copy is still wanted.
const STEP: u64 = 8 << 20;

pub(super) async fn copy(lane: &Arc<dyn Lane>, from: PathBuf, to: PathBuf) -> io::Result<u64> {
    let work = move |flag: &CancelFlag<'_>| {
        copy_here(&from, &to, flag).map_err(|error| PathError::wrap_two("copy", &from, &to, error))
    };
    offload(lane, work).await?
}

fn copy_here(from: &Path, to: &Path, flag: &CancelFlag<'_>) -> io::Result<u64> {
    let source = File::open(from)?;
    let about = source.metadata()?;
    if !about.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "only the contents of a regular file can be copied",
        ));
    }
    // Cut to length 0 only when it is known to be another file.
    let mut options = OpenOptions::new();
    let mode = about.mode() & 0o7777;
    let mut target = options.write(true).create(true).truncate(false).mode(mode).open(to)?;
    let found = target.metadata()?;
    if (found.dev(), found.ino()) == (about.dev(), about.ino()) {
        let text = "both paths lead to the same file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if found.is_file() {
        target.set_len(0)?;
        target.set_permissions(Permissions::from_mode(mode))?;
    }
    let mut copied = 0;
    while !flag.is_canceled() {
        // The standard library leaves the copying to the kernel where that goes.
        let step = io::copy(&mut (&source).take(STEP), &mut target)?;
        if step == 0 {
            break;
        }
        copied += step;
    }
    Ok(copied)
}
