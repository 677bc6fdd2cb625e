//! Numbers as people read them.

/// Three digits and a unit.
pub(crate) fn time(nanos: f64) -> String {
    let (value, unit) = match nanos {
        ..1e3 => (nanos, "ns"),
        ..1e6 => (nanos / 1e3, "us"),
        ..1e9 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    format!("{} {unit}", three_digits(value))
}

/// A number of times per operation.
pub(crate) fn count(number: f64) -> String {
    if number == 0.0 {
        "0".to_owned()
    } else if number < 0.01 {
        format!("{number:.0e}")
    } else {
        three_digits(number)
    }
}

/// Bytes in MiB.
pub(crate) fn memory(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / f64::from(1 << 20))
}

/// How many times as much.
pub(crate) fn ratio(value: f64, of: Option<f64>) -> String {
    match of {
        Some(of) if of > 0.0 => format!("{:.2}", value / of),
        _ => "-".to_owned(),
    }
}

fn three_digits(value: f64) -> String {
    let digits = match value.abs() {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests;
