//! Making, moving and removing names, relative to the working directory.

use std::ffi::CString;
use std::io;
use std::path::Path;

use crate::driver::Sqe;
use crate::native::cqe::UringCqe;
use crate::native::submit::NativeOp;
use crate::native::uring_any::UringNativeAny;
use crate::op::path::c_path;
use crate::op::{PathError, as_path};

impl UringNativeAny {
    /// Makes a directory with these permissions, less the umask (`mkdirat(2)`).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a path with a NUL byte; what the call answers, in a
    /// [`PathError`](crate::fs::PathError); those of [`submit_unsafe`](Self::submit_unsafe).
    pub fn mkdir_at(&self, path: impl AsRef<Path>, mode: u32) -> NativeOp<io::Result<()>> {
        self.name(path.as_ref(), "create the directory", move |path| {
            Sqe::mkdir_at(libc::AT_FDCWD, path, mode)
        })
    }

    /// Removes a name, that of an empty directory with `is_dir` (`unlinkat(2)`).
    ///
    /// # Errors
    ///
    /// As [`mkdir_at`](Self::mkdir_at).
    pub fn unlink_at(&self, path: impl AsRef<Path>, is_dir: bool) -> NativeOp<io::Result<()>> {
        let (action, flags) = if is_dir {
            ("remove the directory", libc::AT_REMOVEDIR)
        } else {
            ("remove the file", 0)
        };
        self.name(path.as_ref(), action, move |path| Sqe::unlink_at(libc::AT_FDCWD, path, flags))
    }

    /// Gives a file another name, which may be one that another file has (`renameat2(2)`).
    ///
    /// # Errors
    ///
    /// As [`mkdir_at`](Self::mkdir_at), with both paths.
    pub fn rename_at(
        &self,
        from: impl AsRef<Path>,
        to: impl AsRef<Path>,
    ) -> NativeOp<io::Result<()>> {
        self.names([from.as_ref(), to.as_ref()], "rename", |from, to| Sqe::rename(from, to, 0))
    }

    /// Gives a file a second name (`linkat(2)`).
    ///
    /// # Errors
    ///
    /// As [`rename_at`](Self::rename_at).
    pub fn link_at(
        &self,
        original: impl AsRef<Path>,
        link: impl AsRef<Path>,
    ) -> NativeOp<io::Result<()>> {
        self.names([original.as_ref(), link.as_ref()], "link", Sqe::link)
    }

    /// Makes a symbolic link at `link` that leads to `target` (`symlinkat(2)`).
    ///
    /// # Errors
    ///
    /// As [`rename_at`](Self::rename_at).
    ///
    /// # Examples
    ///
    /// ```
    /// # let runtime = spargio::Runtime::builder().shards(1).build().unwrap();
    /// # let native = spargio::native::UringNativeAny::new_on(&runtime.handle()).unwrap();
    /// # let dir = std::env::temp_dir().join(format!("spargio-native-{}", std::process::id()));
    /// # runtime.block_on(async {
    /// native.mkdir_at(&dir, 0o755).await?;
    /// let link = dir.join("link");
    /// native.symlink_at("nowhere", &link).await?;
    /// assert_eq!(std::fs::read_link(&link)?.to_str(), Some("nowhere"));
    /// native.unlink_at(&link, false).await?;
    /// native.unlink_at(&dir, true).await
    /// # }).unwrap();
    /// ```
    pub fn symlink_at(
        &self,
        target: impl AsRef<Path>,
        link: impl AsRef<Path>,
    ) -> NativeOp<io::Result<()>> {
        self.names([target.as_ref(), link.as_ref()], "make a symbolic link", Sqe::symlink)
    }

    fn name(
        &self,
        path: &Path,
        action: &'static str,
        entry: impl FnOnce(*const libc::c_char) -> Sqe,
    ) -> NativeOp<io::Result<()>> {
        let shard = self.pick();
        let path = match c_path(path) {
            Ok(path) => path,
            Err(error) => return NativeOp::known(self.roster().name(shard), Err(error)),
        };
        let complete = move |path: CString, answer: io::Result<UringCqe>| {
            let done = answer.and_then(UringCqe::check).map(drop);
            done.map_err(|error| PathError::wrap(action, as_path(&path), error))
        };
        // SAFETY:
        // - the one address is that of the path, which is on the heap behind what is owned, and
        //   nobody writes to it. The directory is no descriptor.
        unsafe { self.start(shard, None, path, |path| Ok(entry(path.as_ptr())), complete) }
    }

    fn names(
        &self,
        [first, second]: [&Path; 2],
        action: &'static str,
        entry: impl FnOnce(*const libc::c_char, *const libc::c_char) -> Sqe,
    ) -> NativeOp<io::Result<()>> {
        let shard = self.pick();
        let paths = match c_path(first).and_then(|first| Ok([first, c_path(second)?])) {
            Ok(paths) => paths,
            Err(error) => return NativeOp::known(self.roster().name(shard), Err(error)),
        };
        let complete = move |[first, second]: [CString; 2], answer: io::Result<UringCqe>| {
            let done = answer.and_then(UringCqe::check).map(drop);
            done.map_err(|error| {
                PathError::wrap_two(action, as_path(&first), as_path(&second), error)
            })
        };
        let build = |paths: &mut [CString; 2]| Ok(entry(paths[0].as_ptr(), paths[1].as_ptr()));
        // SAFETY:
        // - the addresses are those of the paths, which are on the heap behind what is owned, and
        //   nobody writes to them. The directory is no descriptor.
        unsafe { self.start(shard, None, paths, build, complete) }
    }
}
