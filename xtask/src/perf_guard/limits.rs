//! Files of named numbers and texts, in the part of TOML that they need.

use std::fmt;

/// The lines of such a file, in order, with its comments.
#[derive(Debug)]
pub(super) struct Limits(Vec<Line>);

#[derive(Clone, PartialEq, Debug)]
enum Line {
    /// A comment, a heading or nothing.
    Other(String),
    Entry {
        key: String,
        value: Value,
    },
}

#[derive(Clone, PartialEq, Debug)]
enum Value {
    Number(f64),
    Text(String),
}

impl Limits {
    /// # Errors
    ///
    /// The number of the line that is no `key = value`, and what it is.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().enumerate().map(|(index, line)| {
            parse_line(line).ok_or_else(|| format!("line {}: {line:?} is no entry", index + 1))
        });
        lines.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        match self.get(key)? {
            Value::Number(number) => Some(*number),
            Value::Text(_) => None,
        }
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.get(key)? {
            Value::Text(text) => Some(text),
            Value::Number(_) => None,
        }
    }

    /// The keys of all numbers.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().filter_map(|line| match line {
            Line::Entry { key, value: Value::Number(number) } => Some((key.as_str(), *number)),
            _ => None,
        })
    }

    /// Changes a number, or adds it at the end.
    pub(super) fn set_number(&mut self, key: &str, number: f64) {
        self.set(key, Value::Number((number * 10.0).round() / 10.0));
    }

    /// Changes a text, or adds it at the end.
    pub(super) fn set_text(&mut self, key: &str, text: &str) {
        self.set(key, Value::Text(text.to_owned()));
    }

    fn get(&self, wanted: &str) -> Option<&Value> {
        self.0.iter().find_map(|line| match line {
            Line::Entry { key, value } if key == wanted => Some(value),
            _ => None,
        })
    }

    fn set(&mut self, wanted: &str, new: Value) {
        for line in &mut self.0 {
            if let Line::Entry { key, value } = line
                && key == wanted
            {
                *value = new;
                return;
            }
        }
        self.0.push(Line::Entry { key: wanted.to_owned(), value: new });
    }
}

fn parse_line(line: &str) -> Option<Line> {
    let trimmed = line.trim();
    if trimmed.is_empty() || trimmed.starts_with(['#', '[']) {
        return Some(Line::Other(line.to_owned()));
    }
    // A quoted key may have an equals sign in it.
    let (key, value) = match trimmed.strip_prefix('"') {
        Some(quoted) => {
            let (key, after) = quoted.split_once('"')?;
            (key, after.trim_start().strip_prefix('=')?)
        }
        None => trimmed.split_once('=')?,
    };
    let value = value.trim();
    let value = match value.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => Value::Text(text.to_owned()),
        None => Value::Number(value.parse().ok()?),
    };
    Some(Line::Entry { key: key.trim().to_owned(), value })
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.0 {
            match line {
                Line::Other(text) => writeln!(f, "{text}")?,
                Line::Entry { key, value } => {
                    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
                    let quote = if key.bytes().all(bare) { "" } else { "\"" };
                    match value {
                        Value::Number(number) => writeln!(f, "{quote}{key}{quote} = {number}")?,
                        Value::Text(text) => writeln!(f, "{quote}{key}{quote} = \"{text}\"")?,
                    }
                }
            }
        }
        Ok(())
    }
}
