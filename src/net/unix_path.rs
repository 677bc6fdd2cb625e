//! The path of a bound Unix socket: who may take it, and who removes it.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// A path that a socket of ours has made. When it goes, the path is removed, unless it has come to
/// name another file meanwhile.
#[derive(Debug)]
pub(super) struct BoundPath {
    path: PathBuf,
    file: FileId,
    is_kept: bool,
}

/// Which file a path names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// Of the path itself, without following it.
    fn of(path: &Path) -> io::Result<(Self, fs::FileType)> {
        let data = fs::symlink_metadata(path)?;
        Ok((Self { device: data.dev(), inode: data.ino() }, data.file_type()))
    }
}

impl BoundPath {
    /// Leaves the path where it is.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for BoundPath {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // (Between the look and the removal somebody may put another file there: no call removes a
        // name only if it is that of a certain file.)
        if FileId::of(&self.path).is_ok_and(|(file, _)| file == self.file) {
            // Nobody is there to be told: a path that stays is removed by the next who binds it.
            let _is_gone = fs::remove_file(&self.path);
        }
    }
}

/// Binds a socket of this type, and says which path that made. What `ready` does to the socket then
/// belongs to it: if that fails, the path is removed.
///
/// A path that exists is taken only if it is a socket that nobody listens on any more.
pub(super) fn bind(
    kind: Type,
    addr: &SockAddr,
    ready: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<(Socket, Option<BoundPath>)> {
    let socket = Socket::new_raw(Domain::UNIX, kind.cloexec(), None)?;
    let path = match addr.as_pathname() {
        None => {
            socket.bind(addr)?;
            None
        }
        Some(path) => {
            if let Err(error) = socket.bind(addr) {
                if error.kind() != io::ErrorKind::AddrInUse {
                    return Err(error);
                }
                remove_dead(kind.nonblocking(), addr, path)?;
                socket.bind(addr)?;
            }
            let (file, _) = FileId::of(path)?;
            // The working directory may be another when it is removed.
            Some(BoundPath { path: std::path::absolute(path)?, file, is_kept: false })
        }
    };
    ready(&socket)?;
    Ok((socket, path))
}

/// Removes a socket that nobody listens on any more.
///
/// # Errors
///
/// `AddrInUse` for everything else.
fn remove_dead(kind: Type, addr: &SockAddr, path: &Path) -> io::Result<()> {
    let in_use = |why: String| io::Error::new(io::ErrorKind::AddrInUse, why);
    let (file, file_type) = match FileId::of(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !file_type.is_socket() {
        return Err(in_use("the path exists and is no socket".to_owned()));
    }
    let probe = Socket::new_raw(Domain::UNIX, kind.cloexec(), None)?;
    match probe.connect(addr) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(()) => return Err(in_use("a live socket has the path".to_owned())),
        Err(error) => {
            return Err(in_use(format!("the path is that of a socket, which answers: {error}")));
        }
    }
    // It may have been taken over since.
    match FileId::of(path) {
        Ok((now, _)) if now == file => fs::remove_file(path),
        Ok(_) => Err(in_use("another socket has just taken the path".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
