//! The list of numbers, the histogram, and the two texts that are made of them.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

use super::histogram::Distribution;
use super::numbers::{Kind, NUMBERS};
use super::{BlockingStats, Counters, Histogram, RuntimeStats, ShardStats};

const MILLI: u64 = 1_000_000;

fn histogram(times: impl IntoIterator<Item = u64>) -> Histogram {
    let distribution = Distribution::default();
    times.into_iter().for_each(|nanos| distribution.add(1, nanos));
    distribution.snapshot()
}

/// Shards of which each number is another one.
fn stats(shards: u64) -> RuntimeStats {
    let shard = |number: u64| {
        let mut shard = ShardStats::default();
        for (index, each) in NUMBERS.iter().enumerate() {
            *(each.write)(&mut shard) = 1_000 * (index as u64 + 1) + number;
        }
        shard.poll_times = histogram((0..10).map(|step| ((number + 1) * 300) << step));
        shard.wake_to_poll = histogram([50, 128, 129, 10_000_000_000]);
        shard
    };
    let shards = (0..shards).map(shard).collect();
    RuntimeStats { shards, poll_histograms: true, ..RuntimeStats::default() }
}

#[test]
fn no_two_numbers_have_the_same_name_and_each_is_described() {
    let names: HashSet<_> = NUMBERS.iter().map(|number| number.name).collect();
    assert_eq!(names.len(), NUMBERS.len());
    assert!(NUMBERS.iter().all(|number| number.help.ends_with('.')));
    assert!(NUMBERS.iter().all(|number| !number.help.contains('\n')));
    let gauges = NUMBERS.iter().filter(|number| number.kind == Kind::Gauge);
    assert!(gauges.into_iter().all(|number| number.help.starts_with("Gauge: ")));
}

#[test]
fn a_snapshot_shows_what_was_counted() {
    let counters = Counters::default();
    counters.parks.add(3);
    counters.parks.add(4);
    counters.longest_poll_nanos.raise(9);
    counters.longest_poll_nanos.raise(5);
    counters.in_flight.set(8);
    counters.poll_times.add(2, 600);
    let shard = counters.snapshot();
    assert_eq!((shard.parks, shard.longest_poll_nanos, shard.in_flight), (7, 9, 8));
    assert_eq!((shard.poll_times.count(), shard.poll_times.sum().as_nanos()), (2, 600));
    let others = NUMBERS.iter().filter(|number| (number.read)(&shard) != 0);
    assert_eq!(others.count(), 3);
}

#[test]
fn totals_add_up_and_of_the_largest_keep_the_largest() {
    let stats = stats(3);
    let total = stats.total();
    for number in NUMBERS {
        let values = stats.shards.iter().map(number.read);
        let expected = match number.kind {
            Kind::Total | Kind::Gauge => values.sum::<u64>(),
            Kind::Most => values.max().unwrap(),
        };
        assert_eq!((number.read)(&total), expected, "{}", number.name);
    }
    assert_eq!(total.poll_times.count(), 30);
    let sum: Duration = stats.shards.iter().map(|shard| shard.poll_times.sum()).sum();
    assert_eq!(total.poll_times.sum(), sum);
    assert_eq!(RuntimeStats::default().total(), ShardStats::default());
}

proptest! {
    #[test]
    fn no_rate_exceeds_one_however_the_reads_were_apart(
        values in proptest::collection::vec(any::<u64>(), NUMBERS.len()),
    ) {
        let mut shard = ShardStats::default();
        for (number, value) in NUMBERS.iter().zip(values) {
            *(number.write)(&mut shard) = value;
        }
        let stats = RuntimeStats { shards: vec![shard; 3], ..RuntimeStats::default() };
        for shard in [shard, stats.total()] {
            for rate in [
                shard.steal_success_rate(),
                shard.local_hit_ratio(),
                shard.spin_hit_rate(),
                shard.doorbell_spurious_rate(),
            ] {
                prop_assert!((0.0..=1.0).contains(&rate), "{rate}");
            }
            prop_assert!(shard.stealable_local_hits() <= shard.stealable_executed());
            prop_assert!(shard.stolen_per_scan().is_finite());
        }
        prop_assert!((0.0..=1.0).contains(&stats.steal_success_rate()));
        prop_assert!((0.0..=1.0).contains(&stats.local_hit_ratio()));
    }

    #[test]
    fn a_time_lies_in_the_bucket_that_bounds_it(nanos in any::<u64>()) {
        let one = histogram([nanos]);
        let mut below = Duration::ZERO;
        for (bound, count) in one.buckets() {
            let time = Duration::from_nanos(nanos);
            let is_inside = (time > below || below.is_zero()) && bound.is_none_or(|b| time <= b);
            prop_assert_eq!(count, u64::from(is_inside));
            below = bound.unwrap_or(below);
        }
        prop_assert_eq!(one.sum(), Duration::from_nanos(nanos));
    }

    #[test]
    fn a_quantile_is_a_bound_that_is_less_than_twice_too_high(
        mut times in proptest::collection::vec(129..8 * 1_000 * MILLI, 1..200),
        share in 0.0..1.0_f64,
    ) {
        let histogram = histogram(times.iter().copied());
        times.sort_unstable();
        let rank = ((share * times.len() as f64).ceil() as usize).max(1);
        let exact = Duration::from_nanos(times[rank - 1]);
        let bound = histogram.quantile(share).unwrap();
        prop_assert!(bound >= exact && bound < 2 * exact, "{exact:?} under {bound:?}");
    }
}

#[test]
fn without_shards_or_events_ratios_are_0_and_times_none() {
    let stats = RuntimeStats::default();
    assert_eq!((stats.total_command_depth(), stats.max_command_depth()), (0, 0));
    assert_eq!((stats.pending_native_ops(), stats.max_pending_native_ops_by_shard()), (0, 0));
    assert_eq!((stats.steal_success_rate(), stats.local_hit_ratio()), (0.0, 0.0));
    assert_eq!((stats.stolen_per_scan(), stats.imbalance()), (0.0, 0.0));
    let none = Histogram::default();
    assert_eq!((none.mean(), none.quantile(0.5), none.count()), (None, None, 0));
    assert_eq!(histogram([u64::MAX]).quantile(1.0), Some(Duration::MAX));
}

#[test]
fn helpers_of_the_whole_runtime_go_over_its_shards() {
    let mut stats = stats(2);
    for (shard, [queued, in_flight, polls]) in stats.shards.iter_mut().zip([[3, 5, 30], [8, 1, 10]])
    {
        (shard.queued, shard.in_flight, shard.polls) = (queued, in_flight, polls);
    }
    assert_eq!(stats.shard_command_depths(), [3, 8]);
    assert_eq!((stats.total_command_depth(), stats.max_command_depth()), (11, 8));
    assert_eq!(stats.pending_native_ops_by_shard(), [5, 1]);
    assert_eq!((stats.pending_native_ops(), stats.max_pending_native_ops_by_shard()), (6, 5));
    assert_eq!(stats.imbalance(), 1.5);
    for (shard, [submitted, posted, inline]) in stats.shards.iter_mut().zip([[9, 2, 7], [4, 3, 1]])
    {
        shard.ops_submitted = submitted;
        shard.ops_posted = posted;
        shard.inline_completions = inline;
    }
    assert_eq!(stats.native_any_envelope_submitted(), 5);
    assert_eq!(stats.native_any_local_fastpath_submitted(), 8);
    assert_eq!(stats.native_any_local_direct_submitted(), 8);
}

#[test]
fn several_polls_of_one_stretch_count_with_their_mean() {
    let distribution = Distribution::default();
    distribution.add(4, 4_000);
    distribution.add(0, 77);
    let read = distribution.snapshot();
    assert_eq!((read.count(), read.mean()), (4, Some(Duration::from_nanos(1_000))));
    assert_eq!(read.quantile(1.0), Some(Duration::from_nanos(1_024)));
}

#[test]
fn the_table_has_a_column_per_shard_in_line_with_the_others() {
    let text = stats(2).to_string();
    let widths: HashSet<_> = text.lines().filter(|line| line.len() > 20).map(str::len).collect();
    assert_eq!(widths.len(), 1, "{text}");
    assert!(text.starts_with("2 shards"), "{text}");
    let head = text.lines().next().unwrap();
    assert!(head.ends_with("total      shard 0      shard 1"), "{head}");
    let parks = NUMBERS.iter().position(|number| number.name == "parks").unwrap() + 1;
    let line = text.lines().find(|line| line.starts_with("  parks ")).unwrap();
    let cells: Vec<_> = line.split_whitespace().collect();
    assert_eq!(
        cells[1..],
        [format!("{},001", 2 * parks), format!("{parks},000"), format!("{parks},001")]
    );
    assert!(text.contains("poll, p99 under"), "{text}");
}

#[test]
fn the_table_of_many_shards_has_the_least_and_the_most_instead() {
    let text = stats(9).to_string();
    let head = text.lines().next().unwrap();
    assert!(head.ends_with("total        least         most"), "{head}");
    let at = NUMBERS.iter().position(|number| number.name == "lifo_polls").unwrap() + 1;
    let line = text.lines().find(|line| line.starts_with("  lifo polls")).unwrap();
    let cells: Vec<_> = line.split_whitespace().collect();
    let expected = [format!("{},036", 9 * at), format!("{at},000"), format!("{at},008")];
    assert_eq!(cells[2..], expected);
}

#[test]
fn the_table_leaves_out_what_never_happened() {
    let mut stats = RuntimeStats { shards: vec![ShardStats::default()], ..RuntimeStats::default() };
    assert!(!stats.to_string().contains("folded"));
    stats.shards[0].folded = 1;
    stats.shards[0].parked_nanos = 1_500 * MILLI;
    let text = stats.to_string();
    assert!(text.contains("folded") && text.contains("1.50 s"), "{text}");
    assert!(!text.contains("timers fired"), "{text}");
}

/// A family of the text format.
#[derive(Default, Debug)]
struct Family {
    kind: String,
    has_help: bool,
    /// Name with suffix, labels, value.
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

/// Reads the text exposition format, version 0.0.4, and panics at what is none.
fn parse(text: &str) -> BTreeMap<String, Family> {
    fn is_name(name: &str) -> bool {
        let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
        name.starts_with(is_first) && name.chars().all(|c| is_first(c) || c.is_ascii_digit())
    }
    assert!(text.ends_with('\n'), "the last line ends too");
    let mut families = BTreeMap::<String, Family>::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (word, rest) = comment.split_once(' ').unwrap();
            let (name, rest) = rest.split_once(' ').unwrap();
            assert!(is_name(name), "{line}");
            if word == "HELP" {
                assert!(!families.contains_key(name), "a family has one block: {line}");
                assert!(!rest.is_empty() && !rest.contains('\\'), "{line}");
                name.clone_into(&mut current);
                families.entry(current.clone()).or_default().has_help = true;
            } else {
                assert_eq!((word, name), ("TYPE", &*current), "{line}");
                assert!(["counter", "gauge", "histogram"].contains(&rest), "{line}");
                rest.clone_into(&mut families.get_mut(&current).unwrap().kind);
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap();
        let family = families.get_mut(&current).unwrap();
        let suffix = name.strip_prefix(&*current).unwrap();
        match &*family.kind {
            "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix), "{line}"),
            kind => assert!(!kind.is_empty() && suffix.is_empty(), "{line}"),
        }
        let labels = labels.split(',').filter(|label| !label.is_empty()).map(|label| {
            let (key, value) = label.split_once('=').unwrap();
            assert!(is_name(key), "{line}");
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap();
            assert!(!value.contains(['"', '\\']), "{line}");
            (key.to_owned(), value.to_owned())
        });
        let sample = (name.to_owned(), labels.collect(), value.parse().unwrap());
        family.samples.push(sample);
    }
    families
}

#[test]
fn the_text_for_prometheus_reads_back() {
    let mut stats = stats(3);
    let (threads, busy, waiting) = (9, 8, 7);
    stats.blocking = BlockingStats { threads, busy, waiting, taken: 6, refused: 5 };
    let families = parse(&stats.render_prometheus());
    let blocking = ["threads", "busy", "waiting", "taken_total", "refused_total"];
    for (name, value) in blocking.into_iter().zip([9.0, 8.0, 7.0, 6.0, 5.0]) {
        let family = &families[&format!("spargio_blocking_{name}")];
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        assert!(family.has_help && family.kind == kind, "{name}: {family:?}");
        assert!(matches!(&*family.samples, [(_, labels, v)] if labels.is_empty() && *v == value));
    }
    assert_eq!(families.len(), NUMBERS.len() + blocking.len() + 2);
    for number in NUMBERS {
        let (stem, is_time) = number.stem();
        let time = if is_time { "_seconds" } else { "" };
        let (suffix, kind) = match number.kind {
            Kind::Total => ("_total", "counter"),
            Kind::Most | Kind::Gauge => ("", "gauge"),
        };
        let family = &families[&format!("spargio_{stem}{time}{suffix}")];
        assert!(family.has_help && family.kind == kind, "{stem}: {family:?}");
        assert_eq!(family.samples.len(), 3);
        for ((_, labels, value), (index, shard)) in
            family.samples.iter().zip(stats.shards.iter().enumerate())
        {
            assert_eq!(labels["shard"], index.to_string());
            let expected = (number.read)(shard) as f64 / if is_time { 1e9 } else { 1.0 };
            assert!((value - expected).abs() <= expected * 1e-12, "{value}, not {expected}");
        }
    }
}

#[test]
fn histograms_for_prometheus_are_cumulative_and_end_with_everything() {
    let stats = stats(2);
    let families = parse(&stats.render_prometheus());
    for (name, read) in [
        ("spargio_poll_seconds", (|s| s.poll_times) as fn(&ShardStats) -> Histogram),
        ("spargio_wake_to_poll_seconds", |s| s.wake_to_poll),
    ] {
        let family = &families[name];
        assert_eq!(family.kind, "histogram");
        for (index, shard) in stats.shards.iter().enumerate() {
            let of_shard = family.samples.iter().filter(|s| s.1["shard"] == index.to_string());
            let (mut below, mut bound, mut sum, mut count) = (0.0, 0.0, None, None);
            for (series, labels, value) in of_shard {
                if series.ends_with("_bucket") {
                    let le: f64 = labels["le"].parse().unwrap();
                    assert!(le > bound && *value >= below, "{series} {labels:?} {value}");
                    (bound, below) = (le, *value);
                } else if series.ends_with("_sum") {
                    sum = Some(*value);
                } else {
                    count = Some(*value);
                }
            }
            assert!(bound.is_infinite(), "the last bucket takes everything");
            assert_eq!((Some(below), below), (count, read(shard).count() as f64));
            assert!((sum.unwrap() - read(shard).sum().as_secs_f64()).abs() < 1e-9);
        }
    }
}

#[test]
fn times_for_prometheus_keep_every_digit() {
    let mut stats = RuntimeStats { shards: vec![ShardStats::default()], ..RuntimeStats::default() };
    for (nanos, text) in
        [(0, "0"), (1, "0.000000001"), (1_500_000_000, "1.5"), (u64::MAX, "18446744073.709551615")]
    {
        stats.shards[0].parked_nanos = nanos;
        let line = format!("spargio_parked_seconds_total{{shard=\"0\"}} {text}\n");
        assert!(stats.render_prometheus().contains(&line), "{line}");
    }
    assert!(!stats.render_prometheus().contains("wake_to_poll"), "nobody counted it");
}
