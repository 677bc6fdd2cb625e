//! One Rust file as the rules see it: lines, tokens, syntax, where comments are and what is a test.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemMod};

use super::Finding;

/// A parsed file.
pub(super) struct Source {
    /// Seen from the root, with `/`.
    pub(super) path: String,
    /// Without line ends; line 1 is at index 0.
    pub(super) lines: Vec<String>,
    pub(super) tokens: TokenStream,
    pub(super) syntax: syn::File,
    /// Per line, the column behind its last token that is no comment.
    code_ends: Vec<usize>,
    tests: Vec<RangeInclusive<usize>>,
    is_test: bool,
}

impl Source {
    pub(super) fn parse(path: &str, text: &str) -> Result<Self, Finding> {
        let refuse = |span: Span, error: &dyn std::fmt::Display| {
            Finding::new(path, span.start().line, "syntax", format!("make it parse: {error}"))
        };
        let tokens: TokenStream =
            text.parse().map_err(|error: proc_macro2::LexError| refuse(error.span(), &error))?;
        let syntax: syn::File =
            syn::parse2(tokens.clone()).map_err(|error| refuse(error.span(), &error))?;
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut code_ends = vec![0; lines.len()];
        mark_code(tokens.clone(), &lines, &mut code_ends);
        let mut tests = TestItems(Vec::new());
        tests.visit_file(&syntax);
        let is_test = path.starts_with("tests/")
            || path.contains("/tests/")
            || path.starts_with("benches/")
            || path.ends_with("/tests.rs");
        Ok(Self {
            path: path.to_owned(),
            lines,
            tokens,
            syntax,
            code_ends,
            tests: tests.0,
            is_test,
        })
    }

    /// Whether the line belongs to a test, or to a file of tests.
    pub(super) fn is_test(&self, line: usize) -> bool {
        self.is_test || self.tests.iter().any(|test| test.contains(&line))
    }

    /// The text of a line.
    pub(super) fn line(&self, line: usize) -> &str {
        &self.lines[line - 1]
    }

    /// The comment that ends a line, with its slashes, and whether code stands before it.
    pub(super) fn comment(&self, line: usize) -> Option<(&str, bool)> {
        let text = self.line(line);
        let code_end = *self.code_ends.get(line - 1)?;
        let start = text.char_indices().nth(code_end).map_or(text.len(), |(index, _)| index);
        let comment = text[start..].trim();
        comment.starts_with("//").then_some((comment, code_end > 0))
    }

    /// The modules from the crate's root to this file; `None` for files outside `src/`.
    pub(super) fn module(&self) -> Option<Vec<&str>> {
        let inside = self.path.strip_prefix("src/")?.strip_suffix(".rs")?;
        let mut module: Vec<&str> = inside.split('/').collect();
        if matches!(module.last(), Some(&"mod" | &"lib")) {
            module.pop();
        }
        Some(module)
    }
}

/// The line a piece of syntax starts on.
pub(super) fn line_of(syntax: &impl Spanned) -> usize {
    syntax.span().start().line
}

/// Whether attributes make an item part of the tests only.
pub(super) fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        if path.is_ident("cfg") {
            attribute.meta.require_list().is_ok_and(|list| asks_for_test(list.tokens.clone()))
        } else {
            path.segments.last().is_some_and(|last| last.ident == "test")
        }
    })
}

/// Marks the files that another file declares as `#[cfg(test)] mod name;`.
pub(super) fn mark_test_files(sources: &mut [Source]) {
    let mut stems = Vec::new();
    for source in sources.iter() {
        let children = children_of(&source.path);
        for item in &source.syntax.items {
            let Item::Mod(ItemMod { ident, attrs, content: None, .. }) = item else { continue };
            if source.is_test || is_test_only(attrs) {
                stems.push(format!("{children}/{ident}"));
            }
        }
    }
    for source in sources {
        let path = &source.path;
        source.is_test |= stems.iter().any(|stem| {
            path.strip_prefix(stem.as_str())
                .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        });
    }
}

/// The directory where the files of a file's modules lie.
fn children_of(path: &str) -> &str {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    match path.rsplit('/').next() {
        Some("lib.rs" | "main.rs" | "mod.rs") => directory,
        _ => path.strip_suffix(".rs").unwrap_or(path),
    }
}

/// Whether the condition of a `cfg` names `test` outside of every `not(..)`.
fn asks_for_test(condition: TokenStream) -> bool {
    let mut negated = false;
    for token in condition {
        match token {
            TokenTree::Ident(name) if name == "test" => return true,
            TokenTree::Ident(name) => negated = name == "not",
            TokenTree::Group(group) if !negated && asks_for_test(group.stream()) => return true,
            _ => negated = false,
        }
    }
    false
}

/// Notes where the code of each line ends. A doc comment is an attribute to the parser, not code.
fn mark_code(tokens: TokenStream, lines: &[String], ends: &mut [usize]) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if starts_doc_comment(&token, lines) {
            while tokens.next_if(|next| same_start(next, &token)).is_some() {}
            continue;
        }
        match token {
            TokenTree::Group(group) => {
                if group.delimiter() != Delimiter::None {
                    mark_span(group.span_open(), ends);
                    mark_span(group.span_close(), ends);
                }
                mark_code(group.stream(), lines, ends);
            }
            other => mark_span(other.span(), ends),
        }
    }
}

fn mark_span(span: Span, ends: &mut [usize]) {
    let (start, end) = (span.start(), span.end());
    for line in start.line..end.line {
        ends[line - 1] = usize::MAX;
    }
    if let Some(known) = ends.get_mut(end.line - 1) {
        *known = (*known).max(end.column);
    }
}

fn starts_doc_comment(token: &TokenTree, lines: &[String]) -> bool {
    let TokenTree::Punct(mark) = token else { return false };
    let start = mark.span().start();
    let text: String = lines
        .get(start.line - 1)
        .map_or("", String::as_str)
        .chars()
        .skip(start.column)
        .take(2)
        .collect();
    mark.as_char() == '#' && (text == "//" || text == "/*")
}

fn same_start(token: &TokenTree, first: &TokenTree) -> bool {
    token.span().start() == first.span().start()
}

/// Collects the lines of items that only tests have.
struct TestItems(Vec<RangeInclusive<usize>>);

impl TestItems {
    /// Whether the item is a test; then its lines are noted.
    fn note(&mut self, attributes: &[Attribute], item: &impl Spanned) -> bool {
        let is_test = is_test_only(attributes);
        if is_test {
            let span = item.span();
            self.0.push(span.start().line..=span.end().line);
        }
        is_test
    }
}

impl<'ast> Visit<'ast> for TestItems {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Const(item) => &item.attrs,
            Item::Enum(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Macro(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Static(item) => &item.attrs,
            Item::Struct(item) => &item.attrs,
            Item::Trait(item) => &item.attrs,
            Item::Type(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => &[],
        };
        if !self.note(attributes, item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes: &[Attribute] = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            _ => &[],
        };
        if !self.note(attributes, item) {
            visit::visit_impl_item(self, item);
        }
    }
}
