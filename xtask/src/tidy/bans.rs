//! Habits the library does without: placeholders, leftovers, and results dropped in silence.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Expr, Local, Pat};

use super::Finding;
use super::source::Source;

/// Macros that stand for code that is not there yet, or that was left behind.
const PLACEHOLDERS: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// No placeholder in library code, its tests included.
pub(super) fn no_placeholders(source: &Source, findings: &mut Vec<Finding>) {
    if !is_library(source) {
        return;
    }
    let mut found = Vec::new();
    find_placeholders(source.tokens.clone(), &mut found);
    for (name, line) in found {
        findings.push(Finding::new(
            &source.path,
            line,
            "placeholder",
            format!("write the code, or leave the item out: no `{name}!` here"),
        ));
    }
}

/// `let _ = call(..)` says in a comment, behind or right above it, why the result does not matter.
pub(super) fn nothing_is_dropped_in_silence(source: &Source, findings: &mut Vec<Finding>) {
    if !is_library(source) {
        return;
    }
    let mut dropped = Dropped(Vec::new());
    dropped.visit_file(&source.syntax);
    for (first, last) in dropped.0 {
        let explained = (first..=last).any(|line| source.comment(line).is_some())
            || (first > 1 && source.comment(first - 1).is_some_and(|(_, after_code)| !after_code));
        if !explained && !source.is_test(first) {
            findings.push(Finding::new(
                &source.path,
                first,
                "dropped-result",
                "handle the result, or say behind the line why it does not matter",
            ));
        }
    }
}

fn is_library(source: &Source) -> bool {
    source.path.starts_with("src/") || source.path.starts_with("crates/")
}

fn find_placeholders(tokens: TokenStream, found: &mut Vec<(String, usize)>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => find_placeholders(group.stream(), found),
            TokenTree::Ident(name) => {
                let name_text = name.to_string();
                let is_macro = matches!(
                    tokens.peek(),
                    Some(TokenTree::Punct(mark)) if mark.as_char() == '!' && mark.spacing() == Spacing::Alone
                );
                if is_macro && PLACEHOLDERS.contains(&name_text.as_str()) {
                    found.push((name_text, name.span().start().line));
                }
            }
            _ => {}
        }
    }
}

/// Collects the first and last lines of `let _ = ..` with a call on the right.
struct Dropped(Vec<(usize, usize)>);

impl<'ast> Visit<'ast> for Dropped {
    fn visit_local(&mut self, local: &'ast Local) {
        if let (Pat::Wild(_), Some(init)) = (&local.pat, &local.init)
            && has_call(&init.expr)
        {
            let span = local.span();
            self.0.push((span.start().line, span.end().line));
        }
        visit::visit_local(self, local);
    }
}

fn has_call(expression: &Expr) -> bool {
    struct Calls(bool);
    impl<'ast> Visit<'ast> for Calls {
        fn visit_expr(&mut self, expression: &'ast Expr) {
            self.0 |= matches!(
                expression,
                Expr::Call(_) | Expr::MethodCall(_) | Expr::Macro(_) | Expr::Await(_)
            );
            visit::visit_expr(self, expression);
        }
    }
    let mut calls = Calls(false);
    calls.visit_expr(expression);
    calls.0
}
