//! The page for people who would rather look.

use std::fmt::Write;

use crate::report::units::{count, memory, ratio, time};
use crate::report::{Report, Row, State, chart};

const STYLE: &str = "\
body{font:15px/1.45 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}\
h2{margin:2.2em 0 .2em;font-size:1.15em}h2 code{font-size:1em}p{margin:.3em 0 .8em;max-width:75ch}\
svg{width:100%;max-width:760px;height:auto;font:11px system-ui,sans-serif}\
svg .name{text-anchor:end}.subject{fill:#d9622b}.variant{fill:#eab892}.peer{fill:#5b84b1}\
.floor{fill:#9a9a9a}.whisker{stroke:#111;stroke-width:2}\
table{border-collapse:collapse;font-size:13px;margin:.5em 0}\
td,th{padding:.15em .6em;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}\
td:first-child,th:first-child{text-align:left}.good{color:#17692f}.bad{color:#a1261c}\
details summary{cursor:pointer;color:#555}small{color:#555}";

/// The whole report as one page that needs nothing else.
pub(crate) fn page(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>spargio and its peers</title><style>{STYLE}</style>\
         <h1>spargio and its peers</h1>"
    );
    let done = head(&mut page, report)
        .and_then(|()| overview(&mut page, report))
        .and_then(|()| report.rows.iter().try_for_each(|row| section(&mut page, row)))
        .and_then(|()| foot(&mut page, report));
    done.expect("a string takes everything");
    page
}

fn head(page: &mut String, report: &Report) -> std::fmt::Result {
    let machine = &report.machine;
    write!(
        page,
        "<p>{} on {}, {} CPUs, Linux {}; {}, commit {}. Load {} before, {} after.</p>\
         <p>{} worker threads each. Medians of {} samples of about {}, each in a process of its own, \
         runtimes by turns; black lines show the middle half of the samples. Shorter bars are \
         better. Orange: spargio; light orange: with other parts, or older; grey: by hand.</p><ul>",
        escape(&machine.date),
        escape(&machine.cpu),
        machine.cpus,
        escape(&machine.kernel),
        escape(machine.rustc),
        escape(&machine.commit),
        machine.load,
        machine.load_after,
        machine.threads,
        machine.samples,
        time(machine.slice_nanos as f64),
    )?;
    for id in &report.runtimes {
        let version = machine.versions.iter().find(|(name, _)| *name == id.package);
        let version = version.map_or("", |(_, version)| version.as_str());
        write!(page, "<li><b>{}</b> ({version}): {}</li>", id.name, escape(id.setup))?;
    }
    write!(page, "</ul>")
}

fn overview(page: &mut String, report: &Report) -> std::fmt::Result {
    write!(
        page,
        "<h2>Overview</h2><table><tr><th>workload<th>ranked by<th>spargio<th>best peer<th>\
         <th>spargio to peer<th>to floor</tr>"
    )?;
    for row in &report.rows {
        let subject =
            row.cells.iter().find(|cell| cell.runtime.role == crate::runtimes::Role::Subject);
        let own = subject.and_then(|cell| cell.numbers()).map(|some| row.headline.of(some).median);
        let (peer, best) = row.best_peer().map_or(("-", None), |(id, some)| (id.name, Some(some)));
        let class = match row.verdict() {
            Some(..=1.05) => "good",
            Some(_) => "bad",
            None => "",
        };
        write!(
            page,
            "<tr><td><a href=\"#{0}\">{0}</a><td>{1}<td>{2}<td>{3}<td>{peer}<td class=\"{class}\">{4}\
             <td>{5}</tr>",
            row.name,
            row.headline.name(),
            own.map_or_else(|| "-".to_owned(), time),
            best.map_or_else(|| "-".to_owned(), time),
            own.map_or_else(|| "-".to_owned(), |own| ratio(own, best)),
            own.map_or_else(|| "-".to_owned(), |own| ratio(own, row.floor())),
        )?;
    }
    write!(page, "</table>")
}

fn section(page: &mut String, row: &Row) -> std::fmt::Result {
    write!(
        page,
        "<h2 id=\"{0}\"><code>{0}</code> <small>per {1}, ranked by {2}</small></h2><p>{3}</p>{4}\
         <details><summary>All numbers</summary><table><tr><th><th>wall<th>middle half<th>CPU\
         <th>sleeps<th>preemptions<th>system calls<th>p50<th>p99<th>p99.9<th>memory<th>/peer<th>/floor<th>CPU/peer\
         <th>counters</tr>",
        row.name,
        row.unit,
        row.headline.name(),
        escape(row.about),
        chart::bars(row),
    )?;
    for cell in &row.cells {
        let Some(numbers) = cell.numbers() else {
            let reason = match &cell.state {
                State::Wrong(reason)
                | State::Failed(reason)
                | State::Refused(reason)
                | State::Lacking(reason) => reason,
                State::Measured(_) => continue,
            };
            write!(
                page,
                "<tr><td>{}<td>-<td colspan=\"13\" style=\"text-align:left\">{}</tr>",
                cell.runtime.name,
                escape(reason)
            )?;
            continue;
        };
        let headline = row.headline.of(numbers).median;
        let latency = |of: fn(&super::Latency) -> u64| {
            numbers.latency.as_ref().map_or_else(|| "-".to_owned(), |some| time(of(some) as f64))
        };
        let own: Vec<String> = numbers
            .counters
            .iter()
            .chain(&numbers.notes)
            .map(|(name, value)| format!("{} {}", escape(name), count(*value)))
            .collect();
        write!(
            page,
            "<tr><td>{}<td>{}<td>{} .. {}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}\
             <td>{}<td>{}<td>{}</tr>",
            cell.runtime.name,
            time(numbers.wall.median),
            time(numbers.wall.low),
            time(numbers.wall.high),
            time(numbers.cpu.median),
            count(numbers.sleeps.median),
            count(numbers.preemptions.median),
            numbers.syscalls.map_or_else(|| "-".to_owned(), count),
            latency(|some| some.p50),
            latency(|some| some.p99),
            latency(|some| some.p999),
            memory(numbers.resident.median),
            ratio(headline, row.best_peer().map(|(_, best)| best)),
            ratio(headline, row.floor()),
            ratio(numbers.cpu.median, row.leanest_peer()),
            own.join(", "),
        )?;
    }
    write!(page, "</table></details>")
}

fn foot(page: &mut String, report: &Report) -> std::fmt::Result {
    write!(page, "<h2>Without numbers</h2><ul>")?;
    for reason in report.reasons() {
        write!(page, "<li>{}</li>", escape(&reason))?;
    }
    write!(page, "</ul></html>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
