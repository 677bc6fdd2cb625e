//! Whole trees, directories and metadata, all of it in memory: `fs::du` beside the same walk with
//! `std`, the entries of a directory, and what is known of a path.

use std::fs;
use std::hint::black_box;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use spargio::fs::{DuOptions, DuSizeMode};

use crate::workloads::{Contender, Session, Workload, runtimes};

/// Directories below the root of the tree, and files in each: 2,001 entries with the root.
const DIRECTORIES: usize = 40;
const FILES: usize = 49;
/// Files in the directory that is listed.
const ENTRIES: usize = 1_000;
/// `st_blocks` counts these.
const SECTOR: u64 = 512;

pub(super) fn workloads() -> Vec<Workload> {
    let workload = |name, contenders| Workload::new("du_api", name, contenders);
    vec![
        workload(
            "fs_du_allocated",
            vec![
                Contender::spargio(|| du_by_spargio(DuSizeMode::Allocated)),
                Contender::tokio(|| du_by_tokio(DuSizeMode::Allocated)),
                Contender::other("std", || du_by_std(DuSizeMode::Allocated)),
            ],
        ),
        workload(
            "fs_du_apparent",
            vec![
                Contender::spargio(|| du_by_spargio(DuSizeMode::Apparent)),
                Contender::tokio(|| du_by_tokio(DuSizeMode::Apparent)),
                Contender::other("std", || du_by_std(DuSizeMode::Apparent)),
            ],
        ),
        workload(
            "fs_read_dir_root",
            vec![
                Contender::spargio(read_dir_by_spargio),
                Contender::tokio(read_dir_by_tokio),
                Contender::other("std", read_dir_by_std),
            ],
        ),
        workload(
            "metadata of a cached path",
            vec![
                Contender::spargio(metadata_by_spargio),
                Contender::tokio(metadata_by_tokio),
                Contender::other("std", metadata_by_std),
            ],
        ),
    ]
}

/// What a walk counts.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Sum {
    entries: u64,
    allocated: u64,
    apparent: u64,
}

impl Sum {
    fn bytes(self, mode: DuSizeMode) -> u64 {
        match mode {
            DuSizeMode::Allocated => self.allocated,
            DuSizeMode::Apparent => self.apparent,
        }
    }
}

/// The walk as one writes it with `std`: each name once, links not followed.
fn walk(path: &Path, sum: &mut Sum) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    sum.entries += 1;
    sum.allocated += found.blocks() * SECTOR;
    sum.apparent += found.len();
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            walk(&entry?.path(), sum)?;
        }
    }
    Ok(())
}

fn walked(root: &Path) -> Sum {
    let mut sum = Sum::default();
    walk(root, &mut sum).expect("the tree can be read");
    sum
}

/// A place in the build's directory that is filled once, and what is in it.
fn planted(name: &str, entries: u64, plant: fn(&Path) -> io::Result<()>) -> (PathBuf, Sum) {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&root).expect("the build's directory can be written");
    if walked(&root).entries != entries {
        plant(&root).expect("the build's directory can be written");
    }
    let sum = walked(&root);
    assert_eq!(sum.entries, entries, "{} has what was planted, and nothing else", root.display());
    (root, sum)
}

fn tree() -> (PathBuf, Sum) {
    planted("tree-of-2000", (1 + DIRECTORIES * (1 + FILES)) as u64, |root| {
        (0..DIRECTORIES).try_for_each(|number| {
            let directory = root.join(format!("directory-{number}"));
            fs::create_dir_all(&directory)?;
            fill(&directory, FILES)
        })
    })
}

fn flat() -> PathBuf {
    planted("files-1000", 1 + ENTRIES as u64, |root| fill(root, ENTRIES)).0
}

/// Files of different lengths.
fn fill(directory: &Path, files: usize) -> io::Result<()> {
    (0..files).try_for_each(|number| {
        fs::write(directory.join(format!("file-{number}.txt")), vec![b'.'; number * 100])
    })
}

fn du_by_spargio(mode: DuSizeMode) -> Session {
    let runtime = runtimes::spargio();
    let (root, expected) = tree();
    Box::new(move |times| {
        let root = root.clone();
        runtimes::inside_spargio(&runtime, async move {
            for _ in 0..times {
                let sum = spargio::fs::du(&root, DuOptions::new().size_mode(mode)).await;
                let sum = sum.expect("the tree can be read");
                assert_eq!(sum.total_entries, expected.entries);
                assert_eq!(sum.total_bytes, expected.bytes(mode));
            }
        });
    })
}

fn du_by_tokio(mode: DuSizeMode) -> Session {
    let runtime = runtimes::tokio();
    let (root, expected) = tree();
    Box::new(move |times| {
        let root = root.clone();
        runtimes::inside_tokio(&runtime, async move {
            for _ in 0..times {
                let root = root.clone();
                let found = tokio::task::spawn_blocking(move || walked(&root)).await;
                let found = found.expect("the walk returns");
                assert_eq!(found.entries, expected.entries);
                assert_eq!(found.bytes(mode), expected.bytes(mode));
            }
        });
    })
}

fn du_by_std(mode: DuSizeMode) -> Session {
    let (root, expected) = tree();
    Box::new(move |times| {
        for _ in 0..times {
            let found = walked(&root);
            assert_eq!(found.entries, expected.entries);
            assert_eq!(found.bytes(mode), expected.bytes(mode));
        }
    })
}

fn read_dir_by_spargio() -> Session {
    let runtime = runtimes::spargio();
    let root = flat();
    Box::new(move |times| {
        let root = root.clone();
        runtimes::inside_spargio(&runtime, async move {
            for _ in 0..times {
                let mut listing = spargio::fs::read_dir(&root).await.expect("it can be read");
                let mut entries = 0;
                while let Some(entry) = listing.next_entry().await.expect("it can be read") {
                    black_box(entry.file_name());
                    entries += 1;
                }
                assert_eq!(entries, ENTRIES);
            }
        });
    })
}

fn read_dir_by_tokio() -> Session {
    let runtime = runtimes::tokio();
    let root = flat();
    Box::new(move |times| {
        let root = root.clone();
        runtimes::inside_tokio(&runtime, async move {
            for _ in 0..times {
                let mut listing = tokio::fs::read_dir(&root).await.expect("it can be read");
                let mut entries = 0;
                while let Some(entry) = listing.next_entry().await.expect("it can be read") {
                    black_box(entry.file_name());
                    entries += 1;
                }
                assert_eq!(entries, ENTRIES);
            }
        });
    })
}

fn read_dir_by_std() -> Session {
    let root = flat();
    Box::new(move |times| {
        for _ in 0..times {
            let listing = fs::read_dir(&root).expect("it can be read");
            let names = listing.map(|entry| entry.expect("it can be read").file_name());
            assert_eq!(names.map(black_box).count(), ENTRIES);
        }
    })
}

fn metadata_by_spargio() -> Session {
    let runtime = runtimes::spargio();
    let path = flat();
    Box::new(move |times| {
        let path = path.clone();
        runtimes::inside_spargio(&runtime, async move {
            for _ in 0..times {
                let found = spargio::fs::metadata(&path).await;
                assert!(found.expect("it is there").is_dir());
            }
        });
    })
}

fn metadata_by_tokio() -> Session {
    let runtime = runtimes::tokio();
    let path = flat();
    Box::new(move |times| {
        let path = path.clone();
        runtimes::inside_tokio(&runtime, async move {
            for _ in 0..times {
                let found = tokio::fs::metadata(&path).await;
                assert!(found.expect("it is there").is_dir());
            }
        });
    })
}

fn metadata_by_std() -> Session {
    let path = flat();
    Box::new(move |times| {
        for _ in 0..times {
            assert!(fs::metadata(&path).expect("it is there").is_dir());
        }
    })
}
