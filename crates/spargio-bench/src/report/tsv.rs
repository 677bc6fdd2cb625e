//! The medians, for programs that only want those.

use crate::report::Report;

/// A line per runtime that was measured in a workload: both names, and the medians of what the
/// workload is ranked by, and of wall and CPU time, in nanoseconds, with tabs between them.
pub(crate) fn lines(report: &Report) -> String {
    let mut lines = String::new();
    for row in &report.rows {
        for (id, numbers) in row.measured() {
            let headline = row.headline.of(numbers).median;
            let (wall, cpu) = (numbers.wall.median, numbers.cpu.median);
            let line = format!("{}\t{}\t{headline:.1}\t{wall:.1}\t{cpu:.1}\n", row.name, id.name);
            lines.push_str(&line);
        }
    }
    lines
}
