//! A table as Markdown, and its place in the book.

use std::fs;
use std::io;

const CHAPTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/book/src/steal.md");

/// Lines of cells, the first line the heads.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    lines: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: &str, heads: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let heads = heads.into_iter().map(Into::into).collect();
        Self { title: title.to_owned(), lines: vec![heads] }
    }

    pub(crate) fn line(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        let mut line = vec![name.to_owned()];
        line.extend(cells);
        self.lines.push(line);
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("**{}**\n\n", self.title);
        for (number, line) in self.lines.iter().enumerate() {
            text.push_str(&format!("| {} |\n", line.join(" | ")));
            if number == 0 {
                text.push_str(&format!("{}|\n", "|---".repeat(line.len())));
            }
        }
        text.push('\n');
        text
    }
}

/// Puts the text between the markers of the chapter.
///
/// # Errors
///
/// The chapter cannot be read or written, or has no such markers.
pub(crate) fn write(name: &str, text: &str) -> io::Result<()> {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->\n"));
    let chapter = fs::read_to_string(CHAPTER)?;
    let parts = chapter.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        return Err(io::Error::other(format!("{CHAPTER} has no {begin}and {end}")));
    };
    fs::write(CHAPTER, format!("{before}{begin}{text}{end}{after}"))
}
