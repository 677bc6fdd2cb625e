//! The statistics in the text format that Prometheus reads.

use std::fmt::{self, Write as _};

use crate::stats::numbers::{Kind, NUMBERS, Number};
use crate::stats::{BlockingStats, Histogram, RuntimeStats, ShardStats};

impl RuntimeStats {
    /// The numbers of all shards in the text exposition format of Prometheus (version 0.0.4): serve
    /// it with the content type `text/plain; version=0.0.4`.
    ///
    /// Names begin with `spargio_`; each line has the label `shard`, but those of the blocking
    /// threads, of which a runtime has one set. Counters end in `_total`, times are in seconds.
    /// Sums over shards are for the query to make.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let runtime = spargio::Runtime::builder().shards(1).build()?;
    /// let text = runtime.stats_snapshot().render_prometheus();
    /// assert!(text.contains("# TYPE spargio_polls_total counter\n"));
    /// assert!(text.contains("spargio_polls_total{shard=\"0\"} 0\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn render_prometheus(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let written = self.write_prometheus(&mut text);
        debug_assert!(written.is_ok());
        text
    }

    fn write_prometheus(&self, out: &mut String) -> fmt::Result {
        for number in NUMBERS {
            self.write_number(out, number)?;
        }
        self.write_blocking(out)?;
        let help = match self.poll_histograms {
            true => "How long polls of tasks took.",
            false => "How long polls of tasks took; a sample, in which short ones have their mean.",
        };
        self.write_histogram(out, "poll", help, |stats| &stats.poll_times)?;
        if self.poll_histograms {
            let help = "How long queued tasks waited for their poll.";
            self.write_histogram(out, "wake_to_poll", help, |stats| &stats.wake_to_poll)?;
        }
        Ok(())
    }

    fn write_blocking(&self, out: &mut String) -> fmt::Result {
        let BlockingStats { threads, busy, waiting, taken, refused } = self.blocking;
        let mut write = |name, kind, help, value: u64| {
            writeln!(out, "# HELP spargio_blocking_{name} {help}")?;
            writeln!(out, "# TYPE spargio_blocking_{name} {kind}")?;
            writeln!(out, "spargio_blocking_{name} {value}")
        };
        write("threads", "gauge", "Threads that do what blocks.", threads as u64)?;
        write("busy", "gauge", "Of those, the ones at work.", busy as u64)?;
        write("waiting", "gauge", "Blocking jobs that wait for a thread.", waiting as u64)?;
        write("taken_total", "counter", "Blocking jobs that were taken.", taken)?;
        write("refused_total", "counter", "Blocking jobs that were refused.", refused)
    }

    fn write_number(&self, out: &mut String, number: &Number) -> fmt::Result {
        let (stem, is_time) = number.stem();
        let unit = if is_time { "_seconds" } else { "" };
        let (suffix, kind) = match number.kind {
            Kind::Total => ("_total", "counter"),
            Kind::Most | Kind::Gauge => ("", "gauge"),
        };
        let help = number.help.strip_prefix("Gauge: ").unwrap_or(number.help);
        let name = format!("spargio_{stem}{unit}{suffix}");
        // In help texts the format escapes backslashes and line ends; ours have none.
        writeln!(out, "# HELP {name} {}", help.replacen(", in nanoseconds", "", 1))?;
        writeln!(out, "# TYPE {name} {kind}")?;
        for (shard, stats) in self.shards.iter().enumerate() {
            let value = (number.read)(stats);
            write!(out, "{name}{{shard=\"{shard}\"}} ")?;
            if is_time { writeln!(out, "{}", Seconds(value)) } else { writeln!(out, "{value}") }?;
        }
        Ok(())
    }

    fn write_histogram(
        &self,
        out: &mut String,
        stem: &str,
        help: &str,
        read: fn(&ShardStats) -> &Histogram,
    ) -> fmt::Result {
        let name = format!("spargio_{stem}_seconds");
        writeln!(out, "# HELP {name} {help}")?;
        writeln!(out, "# TYPE {name} histogram")?;
        for (shard, stats) in self.shards.iter().enumerate() {
            let histogram = read(stats);
            let mut below: u64 = 0;
            for (bound, count) in histogram.buckets() {
                below = below.wrapping_add(count);
                write!(out, "{name}_bucket{{shard=\"{shard}\",le=\"")?;
                match bound {
                    Some(bound) => {
                        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
                        write!(out, "{}", Seconds(nanos))?;
                    }
                    None => write!(out, "+Inf")?,
                }
                writeln!(out, "\"}} {below}")?;
            }
            let sum = u64::try_from(histogram.sum().as_nanos()).unwrap_or(u64::MAX);
            writeln!(out, "{name}_sum{{shard=\"{shard}\"}} {}", Seconds(sum))?;
            writeln!(out, "{name}_count{{shard=\"{shard}\"}} {below}")?;
        }
        Ok(())
    }
}

/// Nanoseconds as seconds, to the last digit: a float would round what has run for long.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PER_SECOND: u64 = 1_000_000_000;
        let (whole, rest) = (self.0 / PER_SECOND, self.0 % PER_SECOND);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{rest:09}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}
