//! Operations on paths, on a shard that is named.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::blocking::CancelFlag;
use crate::fs::metadata::MASK;
use crate::fs::{Metadata, ReadDir, copy, read_dir, whole};
use crate::op::offload::offload;
use crate::op::path::{Change, ChangeName, PairNames, Pairing, c_path};
use crate::op::statx::{Statx, Whose};
use crate::op::{Op, PathError};
use crate::port::{self, Lane, ToLane};
use crate::primitive::Arc;

/// The file system by way of a shard that is named: its methods are the functions of
/// [`fs`](crate::fs), from any thread and any executor.
///
/// On a shard of the same runtime the operations run on the ring of the shard that polls them.
///
/// ```
/// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
/// let handle = runtime.handle();
/// // Under any executor; here it is the runtime itself.
/// # let executor = &runtime;
/// let metadata = executor.block_on(spargio::fs::on(&handle).metadata("/")).unwrap();
/// assert!(metadata.is_dir());
/// ```
#[derive(Clone, Debug)]
pub struct Fs(pub(super) Arc<dyn Lane>);

/// The file system by way of a shard that is named: see [`Fs`].
pub fn on(lane: &impl ToLane) -> Fs {
    Fs(lane.to_lane().0)
}

impl Fs {
    pub(super) fn ambient() -> io::Result<Self> {
        port::ambient_lane("fs::on").map(Self)
    }

    /// See [`fs::metadata`](crate::fs::metadata).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn metadata(&self, path: impl AsRef<Path>) -> io::Result<Metadata> {
        self.stat(path, 0).await
    }

    /// See [`fs::symlink_metadata`](crate::fs::symlink_metadata).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn symlink_metadata(&self, path: impl AsRef<Path>) -> io::Result<Metadata> {
        self.stat(path, libc::AT_SYMLINK_NOFOLLOW).await
    }

    async fn stat(&self, path: impl AsRef<Path>, flags: i32) -> io::Result<Metadata> {
        let statx = Statx::new(Whose::Path(c_path(path.as_ref())?), flags, MASK);
        drop(path);
        Op::new(statx, &self.0).await.map(|answer| Metadata::new(&answer))
    }

    /// See [`fs::exists`](crate::fs::exists).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn exists(&self, path: impl AsRef<Path>) -> io::Result<bool> {
        match self.metadata(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// See [`fs::create_dir`](crate::fs::create_dir).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn create_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.change(path, Change::MakeDir { mode: 0o777 }).await
    }

    /// See [`fs::create_dir_all`](crate::fs::create_dir_all).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn create_dir_all(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let whole = path.as_ref().to_owned();
        drop(path);
        if whole.as_os_str().is_empty() {
            return Ok(());
        }
        // Up to the first that exists, which most often is the one above the last, ...
        let mut missing: Vec<&Path> = Vec::new();
        let mut path = whole.as_path();
        loop {
            match self.create_dir(path).await {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => match path.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => {
                        missing.push(path);
                        path = parent;
                    }
                    _ => return Err(error),
                },
                Err(error) => {
                    self.or_is_dir(path, error).await?;
                    break;
                }
            }
        }
        // ... and down again.
        for path in missing.into_iter().rev() {
            if let Err(error) = self.create_dir(path).await {
                // Another may have been faster.
                self.or_is_dir(path, error).await?;
            }
        }
        Ok(())
    }

    /// The error, unless the path is a directory nevertheless.
    async fn or_is_dir(&self, path: &Path, error: io::Error) -> io::Result<()> {
        match self.metadata(path).await {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            _ => Err(error),
        }
    }

    /// See [`fs::remove_file`](crate::fs::remove_file).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn remove_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.change(path, Change::RemoveFile).await
    }

    /// See [`fs::remove_dir`](crate::fs::remove_dir).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn remove_dir(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.change(path, Change::RemoveDir).await
    }

    /// See [`fs::remove_dir_all`](crate::fs::remove_dir_all).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn remove_dir_all(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.blocking("remove all of", path, |path, _| std::fs::remove_dir_all(path)).await
    }

    /// See [`fs::rename`](crate::fs::rename).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        self.pair(from, to, Pairing::Rename { flags: 0 }).await
    }

    /// See [`fs::rename_no_replace`](crate::fs::rename_no_replace).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn rename_no_replace(
        &self,
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
    ) -> io::Result<()> {
        self.pair(from, to, Pairing::Rename { flags: libc::RENAME_NOREPLACE }).await
    }

    /// See [`fs::rename_exchange`](crate::fs::rename_exchange).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn rename_exchange(
        &self,
        first: impl AsRef<Path>,
        second: impl AsRef<Path>,
    ) -> io::Result<()> {
        self.pair(first, second, Pairing::Rename { flags: libc::RENAME_EXCHANGE }).await
    }

    /// See [`fs::hard_link`](crate::fs::hard_link).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn hard_link(
        &self,
        original: impl AsRef<Path>,
        link: impl AsRef<Path>,
    ) -> io::Result<()> {
        self.pair(original, link, Pairing::Link).await
    }

    /// See [`fs::symlink`](crate::fs::symlink).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn symlink(
        &self,
        original: impl AsRef<Path>,
        link: impl AsRef<Path>,
    ) -> io::Result<()> {
        self.pair(original, link, Pairing::Symlink).await
    }

    /// See [`fs::read_link`](crate::fs::read_link).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn read_link(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        self.blocking("read the link", path, |path, _| std::fs::read_link(path)).await
    }

    /// See [`fs::canonicalize`](crate::fs::canonicalize).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn canonicalize(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        self.blocking("resolve", path, |path, _| std::fs::canonicalize(path)).await
    }

    /// See [`fs::set_permissions`](crate::fs::set_permissions).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn set_permissions(
        &self,
        path: impl AsRef<Path>,
        permissions: Permissions,
    ) -> io::Result<()> {
        let mode = permissions.mode();
        let set = move |path: &Path, _: &CancelFlag<'_>| {
            std::fs::set_permissions(path, Permissions::from_mode(mode))
        };
        self.blocking("set the permissions of", path, set).await
    }

    /// See [`fs::read_dir`](crate::fs::read_dir).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn read_dir(&self, path: impl AsRef<Path>) -> io::Result<ReadDir> {
        let owned = path.as_ref().to_owned();
        drop(path);
        read_dir::open(&self.0, owned).await
    }

    /// See [`fs::read`](crate::fs::read).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let owned = path.as_ref().to_owned();
        drop(path);
        whole::read(&self.0, &owned).await
    }

    /// See [`fs::read_to_string`](crate::fs::read_to_string).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn read_to_string(&self, path: impl AsRef<Path>) -> io::Result<String> {
        let owned = path.as_ref().to_owned();
        drop(path);
        let bytes = whole::read(&self.0, &owned).await?;
        whole::text(bytes).map_err(|error| PathError::wrap("read", &owned, error))
    }

    /// See [`fs::write`](crate::fs::write).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn write(
        &self,
        path: impl AsRef<Path>,
        contents: impl Into<Vec<u8>>,
    ) -> io::Result<()> {
        let (owned, contents) = (path.as_ref().to_owned(), contents.into());
        drop(path);
        whole::write(&self.0, &owned, contents).await
    }

    /// See [`fs::copy`](crate::fs::copy).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn copy(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
        let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
        copy::copy(&self.0, from, to).await
    }

    async fn change(&self, path: impl AsRef<Path>, change: Change) -> io::Result<()> {
        let change = ChangeName { path: c_path(path.as_ref())?, change };
        drop(path);
        Op::new(change, &self.0).await
    }

    async fn pair(
        &self,
        first: impl AsRef<Path>,
        second: impl AsRef<Path>,
        pairing: Pairing,
    ) -> io::Result<()> {
        let (one, two) = (c_path(first.as_ref())?, c_path(second.as_ref())?);
        drop((first, second));
        Op::new(PairNames { first: one, second: two, pairing }, &self.0).await
    }

    /// What the ring has no opcode for.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        action: &'static str,
        path: impl AsRef<Path>,
        call: impl FnOnce(&Path, &CancelFlag<'_>) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let owned = path.as_ref().to_owned();
        drop(path);
        let work = move |flag: &CancelFlag<'_>| {
            call(&owned, flag).map_err(|error| PathError::wrap(action, &owned, error))
        };
        offload(&self.0, work).await?
    }
}
