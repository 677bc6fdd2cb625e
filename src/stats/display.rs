//! The statistics as a table for people.

use std::fmt;
use std::time::Duration;

use crate::stats::numbers::{Group, Kind, NUMBERS, Number};
use crate::stats::{BlockingStats, Histogram, RuntimeStats, ShardStats};

/// With more shards than this there are the sums, the least and the most instead of columns of
/// their own.
const MOST_COLUMNS: usize = 8;
/// The width of the names, and of a column.
const NAMES: usize = 26;
const COLUMN: usize = 13;

impl fmt::Display for RuntimeStats {
    /// A table: a line per number, and a column for the sum and for each shard; with more than 8
    /// shards one for the sum, the least and the most. Lines in which everything is 0 are left out.
    /// Times have their unit, large numbers have their thousands apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        let table = Table { shards: &self.shards, total: &total };
        table.head(f)?;
        for group in Group::ALL {
            let mut numbers = NUMBERS.iter().filter(|number| number.group == group);
            if numbers.clone().all(|number| (number.read)(&total) == 0) {
                continue;
            }
            writeln!(f, "{}", title(group))?;
            numbers.try_for_each(|number| table.number(f, number))?;
            table.derived(f, group, self.poll_histograms)?;
        }
        blocking(f, &self.blocking)
    }
}

/// One line, and none while there was no job.
fn blocking(f: &mut fmt::Formatter<'_>, stats: &BlockingStats) -> fmt::Result {
    let BlockingStats { threads, busy, waiting, taken, refused } = stats;
    if (*taken, *refused) == (0, 0) {
        return Ok(());
    }
    writeln!(
        f,
        "blocking\n  {taken} jobs taken, {refused} refused; {waiting} wait, {busy} of {threads} \
         threads are busy"
    )
}

fn title(group: Group) -> &'static str {
    match group {
        Group::Tasks => "tasks",
        Group::Stealing => "stealing",
        Group::Doorbells => "doorbells",
        Group::Ring => "ring",
        Group::Idle => "idle",
        Group::Messages => "messages",
    }
}

struct Table<'a> {
    shards: &'a [ShardStats],
    total: &'a ShardStats,
}

impl Table<'_> {
    fn is_wide(&self) -> bool {
        self.shards.len() > MOST_COLUMNS
    }

    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.shards.len();
        let title = format!("{count} shard{}", if count == 1 { "" } else { "s" });
        write!(f, "{title:NAMES$}{:>COLUMN$}", "total")?;
        if self.is_wide() {
            write!(f, "{:>COLUMN$}{:>COLUMN$}", "least", "most")?;
        } else {
            for shard in 0..count {
                write!(f, "{:>COLUMN$}", format!("shard {shard}"))?;
            }
        }
        writeln!(f)
    }

    fn number(&self, f: &mut fmt::Formatter<'_>, number: &Number) -> fmt::Result {
        if self.shards.iter().all(|shard| (number.read)(shard) == 0) {
            return Ok(());
        }
        let (stem, is_time) = number.stem();
        let mut name = stem.replace('_', " ");
        if number.kind == Kind::Gauge {
            name.push_str(" now");
        }
        self.line(f, &name, |stats| {
            let value = (number.read)(stats);
            let text = if is_time { time(Duration::from_nanos(value)) } else { thousands(value) };
            (value as f64, text)
        })
    }

    /// What is made of the numbers of a group.
    fn derived(&self, f: &mut fmt::Formatter<'_>, group: Group, exact: bool) -> fmt::Result {
        match group {
            Group::Tasks => {
                let title = if exact { "poll" } else { "poll, sampled" };
                self.times(f, title, |stats| &stats.poll_times)?;
                self.times(f, "wake to poll", |stats| &stats.wake_to_poll)
            }
            Group::Stealing => {
                self.share(f, "local hit ratio", ShardStats::local_hit_ratio)?;
                self.share(f, "steal success rate", ShardStats::steal_success_rate)
            }
            Group::Ring => {
                self.quotient(f, "sqes per enter", ShardStats::sqes_per_enter)?;
                self.quotient(f, "cqes per enter", ShardStats::cqes_per_enter)
            }
            Group::Idle => self.share(f, "spin hit rate", ShardStats::spin_hit_rate),
            Group::Doorbells | Group::Messages => Ok(()),
        }
    }

    fn times(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        read: fn(&ShardStats) -> &Histogram,
    ) -> fmt::Result {
        if read(self.total).count() == 0 {
            return Ok(());
        }
        for (part, share) in [("p50", 0.5), ("p99", 0.99)] {
            self.line(f, &format!("{name}, {part} under"), |stats| {
                match read(stats).quantile(share) {
                    None => (0.0, "-".to_owned()),
                    Some(Duration::MAX) => (f64::MAX, "-".to_owned()),
                    Some(bound) => (bound.as_secs_f64(), time(bound)),
                }
            })?;
        }
        Ok(())
    }

    fn share(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        read: fn(&ShardStats) -> f64,
    ) -> fmt::Result {
        if read(self.total) == 0.0 {
            return Ok(());
        }
        self.line(f, name, |stats| (read(stats), format!("{:.1} %", read(stats) * 100.0)))
    }

    fn quotient(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        read: fn(&ShardStats) -> f64,
    ) -> fmt::Result {
        if read(self.total) == 0.0 {
            return Ok(());
        }
        self.line(f, name, |stats| (read(stats), format!("{:.2}", read(stats))))
    }

    /// A line of values, each as a number to compare and as text.
    fn line(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        value: impl Fn(&ShardStats) -> (f64, String),
    ) -> fmt::Result {
        write!(f, "{:NAMES$}{:>COLUMN$}", format!("  {name}"), value(self.total).1)?;
        let values = self.shards.iter().map(&value);
        if self.is_wide() {
            let least = values.clone().min_by(|a, b| a.0.total_cmp(&b.0));
            let most = values.max_by(|a, b| a.0.total_cmp(&b.0));
            for (_, text) in [least, most].into_iter().flatten() {
                write!(f, "{text:>COLUMN$}")?;
            }
        } else {
            for (_, text) in values {
                write!(f, "{text:>COLUMN$}")?;
            }
        }
        writeln!(f)
    }
}

/// With a comma between every three digits.
fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three digits and a unit.
fn time(span: Duration) -> String {
    let nanos = span.as_nanos();
    let (value, unit) = match nanos {
        0..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => (nanos as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (nanos as f64 / 1e6, "ms"),
        _ => (nanos as f64 / 1e9, "s"),
    };
    let decimals = match value {
        ..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{thousands, time};

    #[test]
    fn large_numbers_have_their_thousands_apart() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(thousands(value), text);
        }
    }

    #[test]
    fn times_have_three_digits_and_a_unit() {
        for (nanos, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 us"),
            (12_345, "12.3 us"),
            (123_456_789, "123 ms"),
            (7_500_000_000, "7.50 s"),
            (86_400_000_000_000, "86400 s"),
        ] {
            assert_eq!(time(Duration::from_nanos(nanos)), text);
        }
    }
}
