//! The paths a file names inside its own crate, and where the names behind them are defined.

use std::collections::HashMap;

use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, Path, UseTree, VisRestricted, Visibility};

use super::source::{Source, line_of};

/// Re-exports followed before a chain of them is taken for a circle.
const HOPS: usize = 8;

/// Every path of a file that starts at `crate`, `self` or `super`, from the root, with its line.
pub(super) fn imports(source: &Source) -> Vec<(Vec<String>, usize)> {
    let module = source.module().unwrap_or_default();
    let mut imports = Imports { module: owned(&module), found: Vec::new() };
    imports.visit_file(&source.syntax);
    imports.found
}

/// Where the names that modules pass on are defined.
pub(super) struct Reexports(HashMap<Vec<String>, Vec<String>>);

impl Reexports {
    /// Reads the `pub use` and `pub(crate) use` items of all files but the root's.
    pub(super) fn of(sources: &[Source]) -> Self {
        let mut known = HashMap::new();
        for source in sources {
            match source.module() {
                Some(module) if !module.is_empty() => collect(source, &owned(&module), &mut known),
                _ => {}
            }
        }
        Self(known)
    }

    /// The path under which a name is defined.
    pub(super) fn resolve(&self, path: &[String]) -> Vec<String> {
        let mut path = path.to_vec();
        for _ in 0..HOPS {
            let next = (1..=path.len()).find_map(|length| {
                let target = self.0.get(&path[..length])?;
                Some(target.iter().chain(&path[length..]).cloned().collect())
            });
            match next {
                Some(next) => path = next,
                None => break,
            }
        }
        path
    }
}

fn collect(source: &Source, module: &[String], known: &mut HashMap<Vec<String>, Vec<String>>) {
    let items = &source.syntax.items;
    let children: Vec<String> = items
        .iter()
        .filter_map(|item| match item {
            Item::Mod(child) => Some(child.ident.to_string()),
            _ => None,
        })
        .collect();
    for item in items {
        let Item::Use(item) = item else { continue };
        if matches!(item.vis, Visibility::Inherited) || source.is_test(line_of(item)) {
            continue;
        }
        let mut leaves = Vec::new();
        flatten(&[], &item.tree, &mut leaves);
        for Leaf { mut path, name, .. } in leaves {
            if path.first().is_some_and(|first| children.contains(first)) {
                path.insert(0, "self".to_owned());
            }
            if let (Some(name), Some(target)) = (name, absolute(module, &path)) {
                let exported = module.iter().cloned().chain([name]).collect();
                known.insert(exported, target);
            }
        }
    }
}

fn owned(module: &[&str]) -> Vec<String> {
    module.iter().map(|&part| part.to_owned()).collect()
}

/// One name of a `use` item: its path as written, the name it gets, and where it stands.
struct Leaf {
    path: Vec<String>,
    name: Option<String>,
    span: Span,
}

fn flatten(before: &[String], tree: &UseTree, leaves: &mut Vec<Leaf>) {
    let with =
        |name: &dyn ToString| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
    match tree {
        UseTree::Path(path) => flatten(&with(&path.ident), &path.tree, leaves),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(before, tree, leaves);
            }
        }
        UseTree::Name(name) => leaves.push(Leaf {
            path: with(&name.ident),
            name: Some(name.ident.to_string()),
            span: name.ident.span(),
        }),
        UseTree::Rename(rename) => leaves.push(Leaf {
            path: with(&rename.ident),
            name: Some(rename.rename.to_string()),
            span: rename.ident.span(),
        }),
        UseTree::Glob(glob) => {
            leaves.push(Leaf { path: before.to_vec(), name: None, span: glob.star_token.spans[0] })
        }
    }
}

/// The path from the root, if the path written in a module stays inside the crate for certain.
fn absolute(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut parts = path.iter().peekable();
    let mut base = match parts.peek()?.as_str() {
        "crate" => {
            parts.next();
            Vec::new()
        }
        "self" => {
            parts.next();
            module.to_vec()
        }
        "super" => module.to_vec(),
        _ => return None,
    };
    while parts.next_if(|part| *part == "super").is_some() {
        base.pop();
    }
    base.extend(parts.filter(|part| *part != "self").cloned());
    Some(base)
}

/// Collects the paths of a file while walking its syntax.
struct Imports {
    module: Vec<String>,
    found: Vec<(Vec<String>, usize)>,
}

impl Imports {
    fn note(&mut self, path: &[String], span: Span) {
        if let Some(path) = absolute(&self.module, path) {
            self.found.push((path, span.start().line));
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            let mut leaves = Vec::new();
            flatten(&[], &item.tree, &mut leaves);
            for leaf in leaves {
                self.note(&leaf.path, leaf.span);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let parts: Vec<String> =
                path.segments.iter().map(|part| part.ident.to_string()).collect();
            self.note(&parts, path.segments[0].ident.span());
        }
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_macro(&mut self, _: &'ast Macro) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}
}
