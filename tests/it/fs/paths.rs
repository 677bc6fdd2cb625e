//! Operations on paths, beside what the standard library finds.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use spargio::Runtime;
use spargio::fs::{self, PathError};

use super::{PLACES, Scratch, on_a_shard};
use crate::support::elsewhere;

#[test]
fn names_are_made_and_removed() {
    for place in PLACES {
        let scratch = Scratch::within(place);
        let at = scratch.file("dir");
        on_a_shard(async move {
            fs::create_dir(&at).await.unwrap();
            assert!(at.is_dir());
            let file = at.join("file");
            fs::write(&file, "text").await.unwrap();
            assert_eq!(std::fs::read(&file).unwrap(), b"text");
            fs::hard_link(&file, at.join("second")).await.unwrap();
            fs::symlink("file", at.join("link")).await.unwrap();
            assert_eq!(fs::read_link(at.join("link")).await.unwrap(), Path::new("file"));
            assert_eq!(fs::read_to_string(at.join("link")).await.unwrap(), "text");
            assert_eq!(std::fs::read_link(at.join("link")).unwrap(), Path::new("file"));
            fs::rename(at.join("second"), at.join("third")).await.unwrap();
            assert!(!at.join("second").exists());
            for name in ["file", "link", "third"] {
                fs::remove_file(at.join(name)).await.unwrap();
            }
            assert_eq!(std::fs::read_dir(&at).unwrap().count(), 0);
            fs::remove_dir(&at).await.unwrap();
            assert!(!at.exists());
        });
        drop(scratch);
    }
}

#[test]
fn renames_replace_exchange_or_refuse_as_asked() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.file("one"), scratch.file("two"));
    on_a_shard(async move {
        fs::write(&one, "1").await.unwrap();
        fs::write(&two, "2").await.unwrap();
        let error = fs::rename_no_replace(&one, &two).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        let text = error.to_string();
        assert!(text.contains("/one") && text.contains("/two"), "{text}");
        fs::rename_exchange(&one, &two).await.unwrap();
        assert_eq!(fs::read(&one).await.unwrap(), b"2");
        assert_eq!(fs::read(&two).await.unwrap(), b"1");
        fs::rename(&one, &two).await.unwrap();
        assert_eq!(fs::read(&two).await.unwrap(), b"2");
        assert!(!fs::exists(&one).await.unwrap());
        fs::rename_no_replace(&two, &one).await.unwrap();
        assert!(fs::exists(&one).await.unwrap());
        let error = fs::rename_exchange(&one, &two).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn missing_directories_are_made_and_files_in_the_way_are_errors() {
    let scratch = Scratch::new();
    let root = scratch.file("");
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let task = runtime.spawn_on(0, async move {
        fs::create_dir_all(root.join("a/b/c/d")).await.unwrap();
        assert!(root.join("a/b/c/d").is_dir());
        fs::create_dir_all(root.join("a/b/c/d")).await.unwrap();
        fs::create_dir_all(root.join("a/./b/../b/e")).await.unwrap();
        assert!(root.join("a/b/e").is_dir());
        fs::create_dir_all("").await.unwrap();
        fs::create_dir_all("/").await.unwrap();
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();
        fs::create_dir_all(root.join("link")).await.unwrap();
        fs::create_dir_all(root.join("link/f")).await.unwrap();
        assert!(root.join("a/f").is_dir());

        std::fs::write(root.join("file"), "").unwrap();
        let error = fs::create_dir_all(root.join("file")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        let error = fs::create_dir_all(root.join("file/in")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotADirectory);
        assert!(error.to_string().contains("file/in"), "{error}");
    });
    runtime.block_on(task.unwrap()).unwrap();
    let stats = runtime.handle().stats_snapshot().total();
    assert_eq!(stats.blocking_jobs, 0, "the ring makes directories");
}

#[test]
fn whole_trees_are_removed_and_links_are_not_followed() {
    let scratch = Scratch::new();
    let (root, kept) = (scratch.file("tree"), scratch.file("kept"));
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let task = runtime.spawn_on(0, async move {
        std::fs::create_dir_all(root.join("x/y/z")).unwrap();
        std::fs::create_dir(&kept).unwrap();
        std::fs::write(kept.join("file"), "").unwrap();
        std::os::unix::fs::symlink(&kept, root.join("x/link")).unwrap();
        fs::remove_dir_all(&root).await.unwrap();
        assert!(!root.exists());
        assert!(kept.join("file").exists());
        let error = fs::remove_dir_all(&root).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("/tree"), "{error}");
    });
    runtime.block_on(task.unwrap()).unwrap();
    let stats = runtime.handle().stats_snapshot().total();
    assert_eq!(stats.blocking_jobs, 2, "the pool removes trees");
}

#[test]
fn paths_are_resolved_and_permissions_set() {
    let scratch = Scratch::new();
    let path = scratch.file("file");
    on_a_shard(async move {
        std::fs::write(&path, "").unwrap();
        let link = path.with_file_name("link");
        fs::symlink(&path, &link).await.unwrap();
        let roundabout = link.parent().unwrap().join(".").join("link");
        assert_eq!(fs::canonicalize(roundabout).await.unwrap(), path.canonicalize().unwrap());
        fs::set_permissions(&link, Permissions::from_mode(0o640)).await.unwrap();
        let metadata = fs::metadata(&path).await.unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).await.unwrap().is_symlink());
    });
}

#[test]
fn copies_have_contents_and_permissions() {
    let scratch = Scratch::new();
    let (from, to) = (scratch.file("from"), scratch.file("to"));
    // Larger than a step of the copy, and no multiple of one.
    let contents: Vec<u8> = (0..(17 << 20) + 5).map(|n: u32| (n % 251) as u8).collect();
    on_a_shard(async move {
        std::fs::write(&from, &contents).unwrap();
        std::fs::set_permissions(&from, Permissions::from_mode(0o751)).unwrap();
        std::fs::write(&to, vec![1; 30 << 20]).unwrap();
        assert_eq!(fs::copy(&from, &to).await.unwrap(), contents.len() as u64);
        assert!(std::fs::read(&to).unwrap() == contents, "the contents differ");
        assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o751);

        // Between file systems, and of a file that says it is empty.
        let memory = Scratch::within(PLACES[1]);
        assert_eq!(fs::copy(&from, memory.file("to")).await.unwrap(), contents.len() as u64);
        assert!(std::fs::read(memory.file("to")).unwrap() == contents, "the contents differ");
        let copied = fs::copy("/proc/kallsyms", memory.file("symbols")).await.unwrap();
        let symbols = std::fs::read("/proc/kallsyms").unwrap();
        assert_eq!(copied, symbols.len() as u64);

        let error = fs::copy(&from, &from).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(std::fs::metadata(&from).unwrap().len(), contents.len() as u64, "not cut");
        let error = fs::copy("/", &to).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn files_are_read_to_their_real_end() {
    let scratch = Scratch::new();
    let path = scratch.file("file");
    on_a_shard(async move {
        // These say that they are empty, and give a page or less at a time.
        for path in ["/proc/kallsyms", "/proc/self/maps", "/proc/self/limits"] {
            let whole = fs::read(path).await.unwrap();
            let last = whole.last().unwrap();
            assert_eq!(*last, b'\n', "{path} ends with a line");
        }
        let symbols = std::fs::read("/proc/kallsyms").unwrap();
        assert!(fs::read("/proc/kallsyms").await.unwrap() == symbols);
        assert!(symbols.len() > 100_000);
        assert_eq!(fs::read("/dev/null").await.unwrap(), b"");

        for len in [0, 1, 4095, 4096, 4097, 300_000] {
            std::fs::write(&path, vec![7; len]).unwrap();
            assert_eq!(fs::read(&path).await.unwrap(), vec![7; len]);
        }
        let error = fs::read_to_string("/proc/self/exe").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.to_string().contains("/proc/self/exe"), "{error}");
    });
}

#[test]
fn errors_name_path_and_cause() {
    let scratch = Scratch::new();
    let path = scratch.file("missing");
    on_a_shard(async move {
        let at = &path;
        let errors = [
            fs::metadata(at).await.unwrap_err(),
            fs::symlink_metadata(at).await.unwrap_err(),
            fs::create_dir(at.join("x")).await.unwrap_err(),
            fs::remove_file(at).await.unwrap_err(),
            fs::remove_dir(at).await.unwrap_err(),
            fs::remove_dir_all(at).await.unwrap_err(),
            fs::rename(at, at.with_file_name("x")).await.unwrap_err(),
            fs::hard_link(at, at.with_file_name("x")).await.unwrap_err(),
            fs::symlink("x", at.join("x")).await.unwrap_err(),
            fs::read_link(at).await.unwrap_err(),
            fs::canonicalize(at).await.unwrap_err(),
            fs::set_permissions(at, Permissions::from_mode(0o600)).await.unwrap_err(),
            fs::read(at).await.unwrap_err(),
            fs::write(at.join("x"), "").await.unwrap_err(),
            fs::copy(at, at.with_file_name("x")).await.unwrap_err(),
            fs::read_dir(at).await.unwrap_err(),
            fs::File::open(at).await.unwrap_err(),
        ];
        for error in errors {
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{text}");
            assert!(text.contains("/missing"), "{text}");
            let inner = PathError::of(&error).unwrap();
            assert_eq!(inner.raw_os_error(), Some(2));
            let about = [Some(inner.path()), inner.second_path()];
            assert!(about.iter().flatten().any(|path| path.starts_with(at)), "{text}");
        }
        let error = fs::metadata("a\0b").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn names_need_not_be_text() {
    let scratch = Scratch::new();
    let path = scratch.0.join(std::ffi::OsStr::from_bytes(b"not \xff text"));
    on_a_shard(async move {
        fs::write(&path, "found").await.unwrap();
        assert_eq!(fs::read(&path).await.unwrap(), b"found");
        let mut entries = fs::read_dir(path.parent().unwrap()).await.unwrap();
        let entry = entries.next_entry().await.unwrap().unwrap();
        assert_eq!(entry.file_name().as_bytes(), b"not \xff text");
        assert_eq!(fs::read(entry.path()).await.unwrap(), b"found");
        let error = fs::remove_dir(&path).await.unwrap_err();
        assert!(error.to_string().contains("not \\xFF text"), "{error}");
    });
}

#[test]
fn paths_are_reached_from_a_thread_that_is_no_shard() {
    let scratch = Scratch::new();
    let path = scratch.file("file");
    let error = elsewhere(fs::metadata(&path)).unwrap_err();
    assert!(error.to_string().contains("fs::on"), "{error}");
    let runtime = Runtime::builder().shards(1).build().unwrap();
    let disk = fs::on(&runtime.handle());
    elsewhere(disk.write(&path, "text")).unwrap();
    assert_eq!(elsewhere(disk.metadata(&path)).unwrap().len(), 4);
    assert_eq!(elsewhere(disk.read_to_string(&path)).unwrap(), "text");
    assert_eq!(elsewhere(disk.canonicalize(&path)).unwrap(), path.canonicalize().unwrap());
    let mut entries = elsewhere(disk.read_dir(&scratch.0)).unwrap();
    let entry = elsewhere(entries.next_entry()).unwrap().unwrap();
    assert_eq!(elsewhere(entry.metadata()).unwrap().len(), 4);
}
