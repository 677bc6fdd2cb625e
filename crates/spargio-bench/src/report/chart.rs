//! A bar chart of one workload, as SVG.

use std::fmt::Write;

use crate::report::Row;
use crate::report::units::time;
use crate::runtimes::Role;

const LEFT: f64 = 130.0;
const WIDTH: f64 = 480.0;
const RIGHT: f64 = 110.0;
const BAR: f64 = 14.0;
const STEP: f64 = 20.0;

/// A bar per runtime with its headline, and a whisker for the middle half. Bars that are more than
/// so many times as long as the subject's are cut.
pub(crate) fn bars(row: &Row) -> String {
    const CUT: f64 = 6.0;
    let bars: Vec<_> = row
        .cells
        .iter()
        .filter_map(|cell| Some((cell.runtime, row.headline.of(cell.numbers()?))))
        .collect();
    let longest = bars.iter().map(|(_, spread)| spread.high).fold(0.0, f64::max);
    let subject = bars.iter().find(|(id, _)| id.role == Role::Subject);
    let end = subject.map_or(longest, |(_, spread)| longest.min(spread.median * CUT));
    let scale = if end > 0.0 { WIDTH / end } else { 0.0 };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
        LEFT + WIDTH + RIGHT,
        STEP * bars.len() as f64 + 4.0,
        row.name
    );
    for (place, (id, spread)) in bars.iter().enumerate() {
        let top = STEP * place as f64 + 3.0;
        let length = (spread.median * scale).min(WIDTH);
        let class = match id.role {
            Role::Subject => "subject",
            Role::Variant => "variant",
            Role::Peer => "peer",
            Role::Floor => "floor",
        };
        let middle = top + BAR / 2.0;
        let (low, high) = ((spread.low * scale).min(WIDTH), (spread.high * scale).min(WIDTH));
        let cut = if spread.median * scale > WIDTH { " (cut)" } else { "" };
        write!(
            svg,
            "<text x=\"{}\" y=\"{}\" class=\"name\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{top}\" width=\"{length:.1}\" height=\"{BAR}\" class=\"{class}\"/>\
             <path d=\"M{:.1} {middle}H{:.1}\" class=\"whisker\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}{cut}</text>",
            LEFT - 6.0,
            top + BAR - 3.0,
            id.name,
            LEFT + low,
            LEFT + high,
            LEFT + length.max(high) + 6.0,
            top + BAR - 3.0,
            time(spread.median),
        )
        .expect("a string takes everything");
    }
    svg.push_str("</svg>");
    svg
}
