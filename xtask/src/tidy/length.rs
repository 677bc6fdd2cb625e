//! File length as a ratchet: a limit for all, and a list of longer files that may only get shorter.

use std::collections::BTreeMap;

use super::Finding;

const RULE: &str = "length";

/// Lines a file may have.
const LIMIT: usize = 500;

/// Compares files, given as path and lines, with the list: one `path lines` a line, `#` comments.
pub(super) fn ratchet<'a>(
    list_path: &str,
    list: &str,
    files: impl Iterator<Item = (&'a str, usize)>,
    findings: &mut Vec<Finding>,
) {
    let mut allowed = parse(list_path, list, findings);
    for (path, lines) in files {
        let entry = allowed.remove(path);
        if let Some(advice) = judge(lines, entry.map(|(_, most)| most)) {
            let (path, line) = match entry {
                Some((line, most)) if lines < most => (list_path, line),
                _ => (path, lines),
            };
            findings.push(Finding::new(path, line, RULE, advice));
        }
    }
    for (path, (line, _)) in allowed {
        let advice = format!("remove the entry of `{path}`: there is no such file");
        findings.push(Finding::new(list_path, line, RULE, advice));
    }
}

/// What to do about a file with these lines and this entry in the list.
fn judge(lines: usize, entry: Option<usize>) -> Option<String> {
    match entry {
        None if lines > LIMIT => {
            Some(format!("split the file by its nouns: {lines} lines, the limit is {LIMIT}"))
        }
        Some(most) if lines > most => {
            Some(format!("the file grew to {lines} lines, its entry allows {most}; move some out"))
        }
        Some(_) if lines <= LIMIT => {
            Some(format!("remove the entry: {lines} lines are within the limit of {LIMIT}"))
        }
        Some(most) if lines < most => {
            Some(format!("lower the entry from {most} to {lines}: the list only shrinks"))
        }
        _ => None,
    }
}

/// The entries by path, each with its line in the list.
fn parse<'a>(
    list_path: &str,
    list: &'a str,
    findings: &mut Vec<Finding>,
) -> BTreeMap<&'a str, (usize, usize)> {
    let mut entries = BTreeMap::new();
    for (index, text) in list.lines().enumerate() {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let entry = text.rsplit_once(' ').and_then(|(path, lines)| {
            Some((path.trim(), lines.parse().ok().filter(|&lines: &usize| lines > LIMIT)?))
        });
        let advice = match entry {
            None => format!("write `path lines`, with more than {LIMIT} lines"),
            Some((path, lines)) if entries.insert(path, (index + 1, lines)).is_some() => {
                format!("keep one entry of `{path}`")
            }
            Some(_) => continue,
        };
        findings.push(Finding::new(list_path, index + 1, RULE, advice));
    }
    entries
}
