//! The layer rule: a module imports from the layers below its own, and from nowhere else.
//!
//! The tables here are the one place that knows a module's layer. A new arrow between modules is a
//! line in one of them, with its reason in ARCHITECTURE.md.

use super::Finding;
use super::imports::{Reexports, imports};
use super::source::Source;

const RULE: &str = "layers";

/// A set of modules with the same neighbours above and below.
struct Layer {
    name: &'static str,
    modules: &'static [&'static str],
    /// Whether the modules of the layer may import from each other.
    sideways: bool,
}

/// From the bottom to the top. The longest name that fits a path decides, so that parts of a module
/// can lie below the rest of it.
const LAYERS: &[Layer] = &[
    Layer { name: "L0", modules: &["primitive", "id", "cpu", "pool", "contain"], sideways: true },
    Layer {
        name: "L1",
        modules: &[
            "buf",
            "driver::entry",
            "driver::opcode",
            "driver::caps",
            "stats",
            "error",
            "options",
            "observe",
            "trace",
        ],
        sideways: true,
    },
    Layer {
        name: "L2",
        modules: &[
            "driver",
            "doorbell",
            "queue",
            "placement",
            "task",
            "inflight",
            "timer",
            "message",
            "blocking",
            "cancel",
        ],
        sideways: false,
    },
    Layer { name: "L3", modules: &["assembly", "port"], sideways: false },
    Layer { name: "L4", modules: &["shard"], sideways: false },
    Layer { name: "L5", modules: &["runtime", "builder"], sideways: true },
    Layer { name: "L6 (op)", modules: &["op"], sideways: false },
    // What is read and written, before those who can be: sockets and files implement its traits.
    Layer { name: "L6 (io)", modules: &["io"], sideways: false },
    Layer {
        name: "L6 (on op)",
        modules: &["time", "fs", "net", "sync", "boundary", "native"],
        sideways: false,
    },
    Layer { name: "L6 (on tasks)", modules: &["group"], sideways: false },
    // The proof tools look at everything, and nothing but tests looks at them.
    Layer { name: "L7 (proof)", modules: &["testing"], sideways: false },
    // The book, for the documentation tests.
    Layer { name: "L7 (book)", modules: &["snippets"], sideways: false },
];

/// Arrows inside a layer that are wanted: from, to, and the names that may be imported. A doorbell
/// rides on a driver's submissions; `post` is how a thread without a ring reaches one. Connecting
/// has a deadline, and delays between its attempts. What is read natively of a directory has the
/// types of `fs`. A call over a boundary has one too, waits in
/// lines as a channel does, and its reply goes through a oneshot.
const EXCEPTIONS: &[(&str, &str, &[&str])] = &[
    ("doorbell", "driver", &["Driver", "RingDriver", "post"]),
    ("net", "time", &["Sleep", "sleep", "timeout_at"]),
    ("native", "time", &["Sleep", "sleep"]),
    ("native", "fs", &["FileType", "DirEntryType"]),
    ("boundary", "time", &["Sleep", "sleep", "sleep_until", "timeout", "timeout_at"]),
    (
        "boundary",
        "sync",
        &["Fifo", "Granted", "Key", "Look", "Place", "WaitList", "oneshot", "poll_place"],
    ),
];

/// Arrows down that are not wanted: from which modules, to which, and why.
const FORBIDDEN: [(&[&str], &[&str], &str); 2] = [
    (
        &["op", "time", "fs", "net", "io", "sync", "boundary", "native"],
        &["assembly", "shard", "runtime", "builder"],
        "operations reach a shard through `port` only",
    ),
    (
        &["time", "fs", "net", "io", "sync", "boundary", "native"],
        &["driver", "doorbell", "inflight"],
        "`op` is the only door to the kernel",
    ),
];

/// A module with its place in [`LAYERS`].
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    rank: usize,
    module: &'static str,
}

impl Place {
    /// The place of what a path names: `["driver", "entry", "Sqe"]` lies in `driver::entry`.
    fn of(path: &[impl AsRef<str>]) -> Option<Self> {
        let places = LAYERS.iter().enumerate().flat_map(|(rank, layer)| {
            layer.modules.iter().map(move |&module| Self { rank, module })
        });
        places
            .filter(|place| {
                let mut path = path.iter();
                place.module.split("::").all(|part| path.next().is_some_and(|p| p.as_ref() == part))
            })
            .max_by_key(|place| place.module.len())
    }

    fn layer(self) -> &'static Layer {
        &LAYERS[self.rank]
    }
}

/// Checks `use` items and paths inside code that start at `crate`, `self` or `super`. Tests and the
/// arguments of macros are not looked at. A name that a module re-exports counts where it is
/// defined.
pub(super) fn imports_go_down(sources: &[Source], findings: &mut Vec<Finding>) {
    let reexports = Reexports::of(sources);
    for source in sources {
        check(source, &reexports, findings);
    }
}

fn check(source: &Source, reexports: &Reexports, findings: &mut Vec<Finding>) {
    let Some(module) = source.module() else { return };
    if module.is_empty() {
        return;
    }
    let Some(from) = Place::of(&module) else {
        if !source.is_test(1) {
            findings.push(Finding::new(
                &source.path,
                1,
                RULE,
                format!("give module `{}` a layer in xtask/src/tidy/layers.rs", module.join("::")),
            ));
        }
        return;
    };
    for (path, line) in imports(source) {
        if source.is_test(line) {
            continue;
        }
        if let Err(advice) = judge(from, &path, &reexports.resolve(&path)) {
            findings.push(Finding::new(&source.path, line, RULE, advice));
        }
    }
}

/// Whether a module may name a path, given as written and as defined, both from the root of the
/// crate; if not, what to do.
fn judge(from: Place, written: &[String], path: &[String]) -> Result<(), String> {
    let shown = written.join("::");
    let Some(to) = Place::of(path).filter(|_| Place::of(written).is_some()) else {
        return Err(format!(
            "`crate::{shown}` is a name of lib.rs, which lies above; import from the module that \
             defines it"
        ));
    };
    if from.module == to.module {
        return Ok(());
    }
    let arrow = format!(
        "`{}` is {} and must not import `{shown}` of {}",
        from.module,
        from.layer().name,
        to.layer().name
    );
    // What a permitted module passes on is its own decision, so the path counts as written.
    let door = Place::of(written).map_or(to.module, |place| place.module);
    let forbidden = FORBIDDEN.iter().find(|(froms, tos, _)| {
        froms.contains(&from.module) && tos.contains(&to.module) && tos.contains(&door)
    });
    if let Some((_, _, reason)) = forbidden {
        return Err(format!("{arrow}: {reason}"));
    }
    if to.rank < from.rank || (to.rank == from.rank && from.layer().sideways) {
        return Ok(());
    }
    if to.rank > from.rank {
        return Err(format!(
            "{arrow}: imports go down only; take it as an argument or move it down"
        ));
    }
    let excepted = EXCEPTIONS.iter().find(|(f, t, _)| *f == from.module && *t == to.module);
    match excepted {
        Some((_, _, names))
            if written.get(1).is_some_and(|name| names.contains(&name.as_str())) =>
        {
            Ok(())
        }
        Some((_, _, names)) => Err(format!("{arrow}: of that module only {}", names.join(", "))),
        None => Err(format!(
            "{arrow}: never sideways; move what both need down, or let the layer above join them"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{EXCEPTIONS, FORBIDDEN, LAYERS, Place};

    #[test]
    fn the_tables_name_each_module_once_and_no_other() {
        let modules: Vec<&str> = LAYERS.iter().flat_map(|layer| layer.modules).copied().collect();
        for (index, module) in modules.iter().enumerate() {
            assert!(!modules[..index].contains(module), "{module} has two layers");
        }
        let named = EXCEPTIONS
            .iter()
            .flat_map(|(from, to, _)| [from, to])
            .chain(FORBIDDEN.iter().flat_map(|(from, to, _)| from.iter().chain(*to)));
        for module in named {
            assert!(modules.contains(module), "{module} has no layer");
        }
    }

    #[test]
    fn the_longest_name_decides() {
        let entry = Place::of(&["driver", "entry", "Sqe"]).unwrap();
        let driver = Place::of(&["driver", "entry_like"]).unwrap();
        assert_eq!((entry.module, driver.module), ("driver::entry", "driver"));
        assert!(entry.rank < driver.rank);
        assert!(Place::of(&["drivers"]).is_none());
    }
}
