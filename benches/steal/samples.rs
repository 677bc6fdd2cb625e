//! What criterion has kept of a benchmark.

use std::fs;
use std::io;
use std::path::Path;

use crate::load::shown;
use crate::report::spread::Spread;

/// The median of the samples in this file of criterion's, of the last run of that benchmark.
///
/// # Errors
///
/// The file cannot be read, or has other contents.
pub(crate) fn shown_of(place: &Path) -> io::Result<String> {
    let text = fs::read_to_string(place)?;
    let numbers = |name: &str| -> Option<Vec<f64>> {
        let (_, rest) = text.split_once(&format!("\"{name}\":["))?;
        let (list, _) = rest.split_once(']')?;
        list.split(',').map(|number| number.trim().parse().ok()).collect()
    };
    let (Some(times), Some(iterations)) = (numbers("times"), numbers("iters")) else {
        return Err(io::Error::other(format!("{} has no samples", place.display())));
    };
    let each = times.iter().zip(&iterations).map(|(time, iterations)| time / iterations);
    Ok(shown(Spread::of(each)))
}
