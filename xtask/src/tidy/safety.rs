//! Unsafe code: where it may be, and that each use says why it holds.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, ExprLit, ImplItemFn, ItemFn, ItemImpl, ItemTrait, Lit, Meta, TraitItemFn,
};

use super::Finding;
use super::source::{Source, line_of};

/// Directories and files whose work needs unsafe code. Everywhere else it is a finding; tests,
/// benchmarks and examples, which may show how to write an unsafe part, are not looked at.
const HOMES: &[&str] = &[
    // What the kernel writes into, and who may hand it over.
    "src/buf.rs",
    "src/buf/",
    // System calls, shared ring memory and the entries in it.
    "src/driver.rs",
    "src/driver/",
    "src/doorbell.rs",
    "src/doorbell/",
    // Hints to the processor.
    "src/message/lane/fetch.rs",
    // Slots shared by several threads.
    "src/queue.rs",
    "src/queue/",
    "src/primitive.rs",
    // Memory that is handed out and taken back.
    "src/pool.rs",
    // CPU sets of the C library.
    "src/cpu.rs",
    // Tasks are polled through erased pointers.
    "src/task.rs",
    "src/task/",
    // Custody: memory the kernel owns for a while, and the cell where its answer arrives.
    "src/inflight.rs",
    "src/inflight/",
    "src/op.rs",
    "src/op/",
    // The current shard is found through a pointer of its thread.
    "src/port.rs",
    "src/port/",
    // The loop that pushes entries for others.
    "src/shard.rs",
    "src/shard/",
    // Operations vouch for the memory and fds that their entries name.
    "src/fs/",
    "src/io/bytes.rs",
    "src/io/dynamic.rs",
    "src/net/backlog.rs",
    "src/net/batch.rs",
    "src/net/control.rs",
    "src/net/datagram/peek.rs",
    "src/net/inlet.rs",
    "src/net/inlet/intake.rs",
    "src/net/message.rs",
    "src/net/message/room.rs",
    "src/net/peek.rs",
    "src/net/poll.rs",
    "src/net/socket.rs",
    // Options that no crate below has a safe call for.
    "src/net/sockopt.rs",
    "src/net/transfer.rs",
    "src/net/vectored.rs",
    "src/net/zero_copy.rs",
    // A pinned future beside its deadline, and the timer slack of a thread.
    "src/time/timeout.rs",
    "src/time/off_shard.rs",
    // A value and wakers that change hands between two sides.
    "src/sync/oneshot/shared.rs",
    "src/sync/mpsc/",
    // The extension door hands raw entries to users.
    "src/native/",
];

/// Trees without a home for unsafe code: who writes a part, or the same by hand, needs it anywhere.
const FREE: [&str; 2] = ["examples/", "crates/spargio-bench/"];

/// How many lines of code may stand between a SAFETY comment and its `unsafe`: attributes and the
/// head of a statement that rustfmt has broken.
const REACH: usize = 5;

/// `unsafe { .. }` and `unsafe impl` have a SAFETY comment above.
pub(super) fn unsafe_blocks_say_why_they_hold(source: &Source, findings: &mut Vec<Finding>) {
    for Use { line, kind } in uses(source) {
        if matches!(kind, Kind::Block | Kind::Impl) && !has_safety_comment(source, line) {
            findings.push(Finding::new(
                &source.path,
                line,
                "safety-comment",
                "say above it, in a `// SAFETY:` comment, why each precondition holds here",
            ));
        }
    }
}

/// `unsafe fn` and `unsafe trait` have a `# Safety` section; methods of a trait's impl have the
/// trait's.
pub(super) fn unsafe_items_say_what_they_ask(source: &Source, findings: &mut Vec<Finding>) {
    let mut items = UnsafeItems(Vec::new());
    items.visit_file(&source.syntax);
    for line in items.0 {
        if !source.is_test(line) {
            findings.push(Finding::new(
                &source.path,
                line,
                "safety-section",
                "add a `# Safety` section that says what the caller or implementor must uphold",
            ));
        }
    }
}

/// Unsafe code is in the places listed in [`HOMES`] only.
pub(super) fn unsafe_code_stays_at_home(source: &Source, findings: &mut Vec<Finding>) {
    let at_home = HOMES.iter().any(|home| {
        if home.ends_with('/') { source.path.starts_with(home) } else { source.path == *home }
    });
    if at_home || FREE.iter().any(|tree| source.path.starts_with(tree)) {
        return;
    }
    for Use { line, .. } in uses(source) {
        findings.push(Finding::new(
            &source.path,
            line,
            "unsafe-home",
            "do without unsafe code here, or list the file in xtask/src/tidy/safety.rs",
        ));
    }
}

/// A place where the word `unsafe` stands.
struct Use {
    line: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Block,
    Impl,
    Other,
}

/// Every use of `unsafe` outside of tests, also inside the arguments and bodies of macros.
fn uses(source: &Source) -> Vec<Use> {
    let mut found = Vec::new();
    find_uses(source.tokens.clone(), &mut found);
    found.retain(|found| !source.is_test(found.line));
    found
}

fn find_uses(tokens: TokenStream, found: &mut Vec<Use>) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => find_uses(group.stream(), found),
            TokenTree::Ident(word) if word == "unsafe" => {
                let kind = match tokens.peek() {
                    Some(TokenTree::Group(next)) if next.delimiter() == Delimiter::Brace => {
                        Kind::Block
                    }
                    Some(TokenTree::Ident(next)) if next == "impl" => Kind::Impl,
                    _ => Kind::Other,
                };
                found.push(Use { line: word.span().start().line, kind });
            }
            _ => {}
        }
    }
}

/// Looks upwards, up to a blank line or past [`REACH`] lines of code.
fn has_safety_comment(source: &Source, line: usize) -> bool {
    let mut code_lines = 0;
    for above in (1..=line).rev() {
        let comment = source.comment(above);
        if comment.is_some_and(|(text, _)| text.contains("SAFETY:")) {
            return true;
        }
        let is_code = comment.is_none_or(|(_, after_code)| after_code);
        if source.line(above).trim().is_empty() || code_lines > REACH {
            return false;
        }
        code_lines += usize::from(is_code);
    }
    false
}

/// Collects the lines of unsafe items without a `# Safety` section.
struct UnsafeItems(Vec<usize>);

impl UnsafeItems {
    fn note(&mut self, is_unsafe: bool, attributes: &[Attribute], line: usize) {
        if is_unsafe && !attributes.iter().any(is_safety_heading) {
            self.0.push(line);
        }
    }
}

impl<'ast> Visit<'ast> for UnsafeItems {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.note(item.sig.unsafety.is_some(), &item.attrs, line_of(&item.sig));
        visit::visit_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.note(item.sig.unsafety.is_some(), &item.attrs, line_of(&item.sig));
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.note(item.unsafety.is_some(), &item.attrs, line_of(&item.ident));
        visit::visit_item_trait(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        for inner in &item.items {
            if let syn::ImplItem::Fn(ImplItemFn { sig, attrs, block, .. }) = inner {
                if item.trait_.is_none() {
                    self.note(sig.unsafety.is_some(), attrs, line_of(sig));
                }
                self.visit_block(block);
            }
        }
    }
}

fn is_safety_heading(attribute: &Attribute) -> bool {
    let Meta::NameValue(doc) = &attribute.meta else { return false };
    let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &doc.value else { return false };
    doc.path.is_ident("doc") && text.value().lines().any(|line| line.trim() == "# Safety")
}
