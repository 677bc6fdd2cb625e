//! How much room trees take, beside what `du` of the system says.

use std::ffi::CString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use spargio::Runtime;
use spargio::fs::{self, DuErrorMode, DuOptions, DuSizeMode, DuSummary, DuSymlinkMode};

use super::{PLACES, Scratch, on_a_shard};

/// What names the tree to the process that has no rights.
const CHILD: &str = "SPARGIO_TREE_OF_CHILD";

/// A tree with everything that a count can get wrong.
fn plant(root: &Path) {
    let write = |path: &str, len: usize| std::fs::write(root.join(path), vec![1; len]).unwrap();
    let dir = |path: &str| std::fs::create_dir_all(root.join(path)).unwrap();
    dir("a/b/c");
    dir("empty");
    dir("many");
    for number in 0..700 {
        write(&format!("many/a file with a name of some length, number {number}"), number % 3);
    }
    for (path, len) in [("one", 1), ("a/page", 4096), ("a/b/more", 123_456), ("a/b/c/none", 0)] {
        write(path, len);
    }
    let sparse = std::fs::File::create(root.join("a/sparse")).unwrap();
    sparse.set_len(50 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"middle", 20 << 20).unwrap();
    for name in ["a/second name", "a/b/third name"] {
        std::fs::hard_link(root.join("a/b/more"), root.join(name)).unwrap();
    }
    symlink("page", root.join("a/link to a file")).unwrap();
    symlink("page", root.join("a/another link to it")).unwrap();
    symlink("..", root.join("a/link up")).unwrap();
    symlink("a/b/c", root.join("link down")).unwrap();
    symlink("loop", root.join("a/loop")).unwrap();
    std::os::unix::net::UnixListener::bind(root.join("a/socket")).unwrap();
    // A chain whose paths are longer than the system takes.
    let mut deep = root.join("deep");
    std::fs::create_dir(&deep).unwrap();
    for _ in 0..6 {
        deep.push("d".repeat(200));
        std::fs::create_dir(&deep).unwrap();
    }
}

/// What `du -s` says, in bytes; errors are left aside, as it counts on after them.
fn system(root: &Path, arguments: &[&str]) -> u64 {
    let output = Command::new("du").args(["-s", "-B1"]).args(arguments).arg(root).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// Whether `du --apparent-size` counts the lengths of directories, as it did up to 9.1.
fn counts_directories() -> bool {
    let output = Command::new("du").arg("--version").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.lines().next().unwrap().split_whitespace().last().unwrap();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap_or(0)) < (9, 2)
}

async fn ours(root: &Path, options: DuOptions) -> DuSummary {
    fs::du(root, options.error_mode(DuErrorMode::Skip)).await.unwrap()
}

/// Compares all ways to count a tree.
async fn compare(root: &Path) {
    let counts_directories = counts_directories();
    for choice in 0..16_u32 {
        let [apparent, follow, all_names, one] = [0, 1, 2, 3].map(|bit| choice >> bit & 1 == 1);
        if follow && all_names || apparent && !counts_directories {
            // `du -lL` counts a directory as often as links lead to it, and we count it once.
            continue;
        }
        let mut options = DuOptions::new().hardlink_dedupe(!all_names).one_file_system(one);
        let mut arguments = Vec::new();
        if apparent {
            options = options.size_mode(DuSizeMode::Apparent);
            arguments.push("--apparent-size");
        }
        if follow {
            options = options.symlink_mode(DuSymlinkMode::Follow);
            arguments.push("-L");
        }
        if all_names {
            arguments.push("-l");
        }
        if one {
            arguments.push("-x");
        }
        let sum = ours(root, options).await;
        assert_eq!(sum.total_bytes, system(root, &arguments), "{arguments:?}: {sum:?}");
        let named = sum.files + sum.directories + sum.symlinks;
        assert!(named <= sum.total_entries, "{sum:?}");
    }
}

#[test]
fn trees_take_what_du_says() {
    for place in PLACES {
        let scratch = Scratch::within(place);
        let root = scratch.0.clone();
        plant(&root);
        on_a_shard(async move {
            compare(&root).await;
            for path in ["a/sparse", "a/link to a file", "empty", "link down"] {
                compare(&root.join(path)).await;
            }
            let sum = ours(&root, DuOptions::new()).await;
            // `a/b/more` has three names and counts once.
            assert_eq!(sum.files, 700 + 5, "{sum:?}");
            assert_eq!(sum.directories, 1 + 5 + 7, "{sum:?}");
            assert_eq!(sum.symlinks, 5, "{sum:?}");
            assert_eq!(sum.total_entries, 705 + 13 + 5 + 1, "and a socket: {sum:?}");
            assert_eq!(sum.skipped_errors, 0, "{sum:?}");
            let names = ours(&root, DuOptions::new().hardlink_dedupe(false)).await;
            assert_eq!(names.files, sum.files + 2);
        });
        drop(scratch);
    }
}

#[test]
fn what_cannot_be_read_ends_the_count_or_is_counted() {
    let scratch = Scratch::new();
    let root = scratch.0.clone();
    on_a_shard(async move {
        symlink("nowhere", root.join("broken")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        let follow = DuOptions::new().symlink_mode(DuSymlinkMode::Follow);
        let error = fs::du(&root, follow).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/broken") || text.contains("/loop"), "{text}");
        let sum = ours(&root, follow).await;
        assert_eq!((sum.skipped_errors, sum.files), (2, 1), "{sum:?}");
        assert_eq!(fs::du(&root, DuOptions::new()).await.unwrap().symlinks, 2);
        let skip = DuOptions::new().error_mode(DuErrorMode::Skip);
        let error = fs::du(root.join("none"), skip).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "a root that is not there is an error");
        assert!(error.to_string().contains("/none"), "{error}");
    });
}

/// Takes a mount away again.
struct Mounted(CString);

impl Mounted {
    /// A file system in memory at this place, if this process may mount.
    fn at(path: &Path) -> Option<Self> {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        let kind = c"tmpfs".as_ptr();
        // SAFETY: the strings end with NUL and live until the call returns.
        let done = unsafe { libc::mount(kind, path.as_ptr(), kind, 0, std::ptr::null()) };
        (done == 0).then_some(Self(path))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // SAFETY: the string ends with NUL and lives until the call returns.
        let done = unsafe { libc::umount2(self.0.as_ptr(), libc::MNT_DETACH) };
        assert_eq!(done, 0, "{:?} stays mounted", self.0);
    }
}

#[test]
fn another_file_system_is_left_out_if_asked_for() {
    let scratch = Scratch::new();
    let root = scratch.0.clone();
    symlink("/proc/sys/kernel", root.join("link")).unwrap();
    std::fs::create_dir_all(root.join("below/mount")).unwrap();
    let mounted = Mounted::at(&root.join("below/mount"));
    let mounts = u64::from(mounted.is_some());
    if mounted.is_none() {
        println!("not tried: a mount below the root, which this process may not make");
    } else {
        std::fs::write(root.join("below/mount/file"), vec![1; 100_000]).unwrap();
    }
    on_a_shard(async move {
        let one = DuOptions::new().one_file_system(true);
        let follow = one.symlink_mode(DuSymlinkMode::Follow);
        assert_eq!(ours(&root, one).await.skipped_cross_device, mounts);
        assert_eq!(ours(&root, follow).await.skipped_cross_device, mounts + 1);
        assert_eq!(ours(&root, follow).await.total_bytes, system(&root, &["-x", "-L"]));
        let all = ours(&root, DuOptions::new()).await;
        assert_eq!(all.total_bytes, system(&root, &[]));
        assert_eq!(all.skipped_cross_device, 0);
        assert_eq!(all.files, mounts, "{all:?}");
    });
    drop(mounted);
}

#[test]
fn directories_without_permission_are_counted_themselves() {
    let scratch = Scratch::within(PLACES[1]);
    let root = scratch.0.clone();
    for (name, mode) in [("open", 0o755), ("closed", 0o000), ("listed", 0o744)] {
        let dir = root.join(name);
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("file"), vec![1; 10_000]).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fs::du::as_somebody_without_rights", "--ignored", "--nocapture"])
        .env(CHILD, &root)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{text}{}", String::from_utf8_lossy(&child.stderr));
    assert!(text.contains("1 passed"), "{text}");
    if text.contains("not tried") {
        println!("not tried: directories without permission");
    }
}

/// The other half of the test above, in a process of its own that gives up its rights.
#[test]
#[ignore = "run by another test, as a process that gives up its rights"]
fn as_somebody_without_rights() {
    let root = PathBuf::from(std::env::var_os(CHILD).expect("run by the other test"));
    let runtime = Runtime::builder().shards(1).build().unwrap();
    const NOBODY: libc::uid_t = 65_534;
    // SAFETY: three numbers; it changes all threads of this process, which is for this alone.
    let dropped = unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) };
    // SAFETY: the call takes nothing and changes nothing.
    if unsafe { libc::geteuid() } == 0 {
        println!("not tried: this process cannot give up its rights ({dropped})");
        return;
    }
    let task = runtime.spawn_on(0, async move {
        let error = fs::du(&root, DuOptions::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let text = error.to_string();
        assert!(text.contains("/closed") || text.contains("/listed"), "{text}");
        let sum = ours(&root, DuOptions::new()).await;
        // One that cannot be listed, and one whose entry cannot be asked about.
        assert_eq!((sum.skipped_errors, sum.files, sum.directories), (2, 1, 4), "{sum:?}");
        assert_eq!(sum.total_bytes, system(&root, &[]));
    });
    runtime.block_on(task.unwrap()).unwrap();
}
