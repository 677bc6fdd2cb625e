//! Comments as text: every file says what it is for, and no comment is wider than the page.

use super::Finding;
use super::source::Source;

/// Columns a comment may take.
const WIDTH: usize = 100;

/// The first line of a file is its module doc.
pub(super) fn every_file_says_what_it_is_for(source: &Source, findings: &mut Vec<Finding>) {
    let first = source.lines.iter().find(|line| !line.trim().is_empty() && !line.starts_with("#!"));
    let says = first.is_some_and(|line| {
        line.strip_prefix("//!").is_some_and(|summary| !summary.trim().is_empty())
    });
    if !says {
        findings.push(Finding::new(
            &source.path,
            1,
            "module-doc",
            "begin the file with `//!` and what it is responsible for",
        ));
    }
}

/// Lines that end in a comment are at most [`WIDTH`] columns; an address may stick out, for it
/// cannot be broken.
pub(super) fn comments_fit_the_width(source: &Source, findings: &mut Vec<Finding>) {
    for line in 1..=source.lines.len() {
        let width = source.line(line).chars().count();
        if width <= WIDTH {
            continue;
        }
        if let Some((comment, _)) = source.comment(line)
            && !comment.contains("://")
        {
            findings.push(Finding::new(
                &source.path,
                line,
                "comment-width",
                format!("break the comment: {width} columns, the limit is {WIDTH}"),
            ));
        }
    }
}
