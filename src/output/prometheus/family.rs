//! The series of a run in Prometheus' terms: names, labels, units, kinds.
//!
//! | loadr | Prometheus |
//! | --- | --- |
//! | counter | counter `loadr_NAME_total` |
//! | gauge | gauge `loadr_NAME` |
//! | rate | counter `loadr_NAME_total`, with the label `value` (`true`, `false`) |
//! | trend | histogram `loadr_NAME` |
//!
//! Units are Prometheus' base units, and end the name: milliseconds become `_seconds`, data is told in `_bytes`. Beside the
//! metrics of the run there are `loadr_run_info` and, once one has been judged, `loadr_threshold_ok`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::native::{self, Native};
use crate::event::RunEvent;
use crate::metric::histogram::highest_equivalent;
use crate::metric::series::Tag;
use crate::metric::sink::{Sink, TrendSink};
use crate::metric::{Contains, MetricDef, MetricKind, builtin};
use crate::output::merge::{Merged, Series};

/// The upper ends of buckets of times, in seconds, when the user gives none.
pub const SECONDS: &[f64] = &[
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// The upper ends of buckets of bytes.
const BYTES: &[f64] = &[
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
    1_073_741_824.0,
];

/// The upper ends of buckets of plain numbers.
const NUMBERS: &[f64] = &[
    0.01,
    0.1,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    100_000.0,
    1_000_000.0,
];

/// The most thresholds that are told.
const THRESHOLDS_MOST: usize = 1_000;

/// What Prometheus calls a metric: a name with all its label sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Its name, without what its kind adds (`_total`, `_bucket`).
    pub name: String,
    /// One line that says what it is.
    pub help: Cow<'static, str>,
    /// `seconds`, `bytes` or nothing.
    pub unit: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// A row for each set of labels.
    pub rows: Vec<Row>,
}

/// The kinds that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// One set of labels with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Sorted by name; no name twice.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: Value,
    /// The number of its series among those of the run, in the order in which they were first seen; none when it is of
    /// no series.
    pub series: Option<usize>,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a counter or gauge.
    Number(f64),
    /// Of a histogram.
    Histogram(Distribution),
}

/// A distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Upper ends, and how many values are at most as large.
    pub classic: Vec<(f64, u64)>,
    /// Exponential buckets, where they are wanted.
    pub native: Option<Native>,
}

/// What is told of distributions.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// The upper ends of classic buckets of times, in seconds, rising.
    pub seconds: Vec<f64>,
    /// Whether classic buckets are wanted.
    pub classic: bool,
    /// Whether exponential buckets are wanted.
    pub native: bool,
}

/// What is told of the run beside its series.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    script: String,
    version: String,
    /// Thresholds by metric and expression, and whether they hold.
    thresholds: BTreeMap<(String, String), bool>,
}

impl Facts {
    /// Takes from an event what concerns them.
    pub fn event(&mut self, event: &RunEvent) {
        let mut judged = |metric: &str, expression: &str, ok: bool| {
            let key = (metric.to_owned(), expression.to_owned());
            if self.thresholds.len() < THRESHOLDS_MOST || self.thresholds.contains_key(&key) {
                self.thresholds.insert(key, ok);
            }
        };
        match event {
            RunEvent::Started(info) => {
                self.script.clone_from(&info.script);
                self.version.clone_from(&info.loadr_version);
            }
            RunEvent::ThresholdCrossed { metric, expression, ok, .. } => judged(metric, expression, *ok),
            RunEvent::Ended(report) => {
                for threshold in &report.thresholds {
                    judged(&threshold.metric, &threshold.expression, threshold.ok);
                }
            }
            _ => {}
        }
    }

    fn families(&self) -> Vec<Family> {
        let gauge = |name: &str, help: &'static str, rows: Vec<Row>| Family {
            name: name.into(),
            help: help.into(),
            unit: "",
            kind: Kind::Gauge,
            rows,
        };
        let row = |labels: &[(&str, &str)], value| Row {
            labels: labels.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            value: Value::Number(value),
            series: None,
        };
        let mut families = Vec::new();
        if !self.version.is_empty() {
            let info = row(&[("script", &self.script), ("version", &self.version)], 1.0);
            families.push(gauge("loadr_run_info", "What is run, and by which version of loadr; always 1.", vec![info]));
        }
        if !self.thresholds.is_empty() {
            let rows = self.thresholds.iter().map(|((metric, expression), &ok)| {
                row(&[("expression", expression), ("metric", metric)], f64::from(u8::from(ok)))
            });
            let help = "Whether a threshold holds (1) or not (0), once it has been judged.";
            families.push(gauge("loadr_threshold_ok", help, rows.collect()));
        }
        families
    }
}

/// All families of a run so far.
#[must_use]
pub fn families(merged: &Merged, facts: &Facts, wanted: &Wanted) -> Vec<Family> {
    let mut families = facts.families();
    let mut taken: FxHashSet<String> = families.iter().map(|family| family.name.clone()).collect();
    let mut by_metric: Vec<Vec<(usize, &Series)>> = Vec::new();
    for (number, series) in merged.series().iter().enumerate() {
        let metric = usize::from(series.metric.0);
        if by_metric.len() <= metric {
            by_metric.resize_with(metric + 1, Vec::new);
        }
        by_metric[metric].push((number, series));
    }
    for (metric, all) in by_metric.iter().enumerate() {
        let Some((_, first)) = all.first() else { continue };
        let mut family = family(merged.def(first.metric), metric, all, wanted);
        // A metric of the script may be named as another is told.
        while !taken.insert(family.name.clone()) {
            family.name.push('_');
        }
        families.push(family);
    }
    families
}

fn family(def: &MetricDef, metric: usize, all: &[(usize, &Series)], wanted: &Wanted) -> Family {
    let (unit, per_unit) = match def.contains {
        Contains::Time => ("seconds", 1e3),
        Contains::Data => ("bytes", 1.0),
        Contains::Default => ("", 1.0),
    };
    let mut name = format!("loadr_{}", def.name);
    let kind = match def.kind {
        MetricKind::Counter | MetricKind::Rate => Kind::Counter,
        MetricKind::Gauge => Kind::Gauge,
        MetricKind::Trend => Kind::Histogram,
    };
    // Rates have no unit, and what a script already calls so needs no second ending.
    let unit = if def.kind == MetricKind::Rate { "" } else { unit };
    if kind == Kind::Counter {
        name.truncate(name.strip_suffix("_total").unwrap_or(&name).len());
    }
    if !unit.is_empty() && !name.ends_with(&format!("_{unit}")) {
        name = format!("{name}_{unit}");
    }
    let mut rows = Vec::new();
    for &(number, series) in all {
        let mut row = |value, more: &[(&str, &str)]| {
            rows.push(Row { labels: labels(&series.tags, more), value, series: Some(number) });
        };
        match &series.sink {
            Sink::Counter { sum } => row(Value::Number(sum / per_unit), &[]),
            Sink::Gauge { last, .. } => row(Value::Number(last / per_unit), &[]),
            &Sink::Rate { passes, total } => {
                row(Value::Number(passes as f64), &[("value", "true")]);
                row(Value::Number((total - passes) as f64), &[("value", "false")]);
            }
            Sink::Trend(trend) => {
                let bounds = match def.contains {
                    Contains::Time => &wanted.seconds,
                    Contains::Data => BYTES,
                    Contains::Default => NUMBERS,
                };
                // Trends are stored in thousandths of their unit.
                row(Value::Histogram(distribution(trend, per_unit * 1e3, bounds, wanted)), &[]);
            }
        }
    }
    Family { name, help: help(def, metric), unit, kind, rows }
}

fn help(def: &MetricDef, metric: usize) -> Cow<'static, str> {
    match builtin::MEANINGS.get(metric) {
        Some(&meaning) if def.kind == MetricKind::Rate => {
            let meaning = meaning.trim().strip_prefix("The share of ").unwrap_or(meaning.trim());
            format!("Counted by whether it was so: {meaning}").into()
        }
        Some(meaning) => meaning.trim().into(),
        None => "A metric of the script.".into(),
    }
}

fn distribution(trend: &TrendSink, per_unit: f64, bounds: &[f64], wanted: &Wanted) -> Distribution {
    let mut classic: Vec<(f64, u64)> = Vec::new();
    if wanted.classic {
        classic.extend(bounds.iter().map(|&bound| (bound, 0)));
        // A value is counted under the bound that its bucket's upper end keeps to: it is never made out smaller.
        let mut at = 0;
        for (value, count) in trend.histogram.buckets() {
            let value = highest_equivalent(value).min(trend.max) as f64 / per_unit;
            while at < classic.len() && value > classic[at].0 {
                at += 1;
            }
            if let Some((_, counted)) = classic.get_mut(at) {
                *counted += count;
            }
        }
        let mut below = 0;
        for (_, count) in &mut classic {
            below += *count;
            *count = below;
        }
    }
    Distribution {
        count: trend.count,
        sum: trend.sum as f64 / per_unit,
        classic,
        native: wanted.native.then(|| Native::of(trend, per_unit, native::SCALE)),
    }
}

/// Tags as labels: names made of what Prometheus allows, none twice, none of its own.
fn labels(tags: &[Tag], more: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut labels: Vec<(String, String)> =
        more.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    for (key, value) in tags {
        let mut name: String =
            key.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
        let reserved = ["le", "quantile", "value", "job", "instance"].contains(&&*name);
        if reserved || name.starts_with("__") || !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            name = format!("tag_{}", name.trim_start_matches('_'));
        }
        while labels.iter().any(|(taken, _)| *taken == name) {
            name.push('_');
        }
        labels.push((name, value.to_string()));
    }
    labels.sort();
    labels
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::output::sample;

    pub const ALL: fn() -> Wanted = || Wanted { seconds: SECONDS.to_vec(), classic: true, native: true };

    /// Two seconds of a run with requests of these names.
    pub fn recorded(names: Vec<String>) -> (Merged, Facts) {
        let mut recording = sample::Recording::of(names);
        let (mut merged, mut facts) = (Merged::default(), Facts::default());
        facts.event(&RunEvent::Started(Arc::new(sample::rich_report().run)));
        merged.absorb(&recording.second());
        merged.absorb(&recording.second());
        facts.event(&RunEvent::Ended(Arc::new(sample::rich_report())));
        (merged, facts)
    }

    fn find<'a>(families: &'a [Family], name: &str) -> &'a Family {
        let names: Vec<_> = families.iter().map(|family| &family.name).collect();
        families.iter().find(|family| family.name == name).unwrap_or_else(|| panic!("{name} is not in {names:?}"))
    }

    #[test]
    fn kinds_and_units() {
        let (merged, facts) = recorded(vec!["front page".into()]);
        let families = families(&merged, &facts, &ALL());
        for (name, kind, unit) in [
            ("loadr_http_reqs", Kind::Counter, ""),
            ("loadr_http_req_failed", Kind::Counter, ""),
            ("loadr_http_req_duration_seconds", Kind::Histogram, "seconds"),
            ("loadr_data_received_bytes", Kind::Counter, "bytes"),
            ("loadr_vus", Kind::Gauge, ""),
            ("loadr_page_bytes", Kind::Histogram, "bytes"),
            ("loadr_cart_value", Kind::Histogram, ""),
            ("loadr_temperature", Kind::Gauge, ""),
            ("loadr_run_info", Kind::Gauge, ""),
            ("loadr_threshold_ok", Kind::Gauge, ""),
        ] {
            let family = find(&families, name);
            assert_eq!((family.kind, family.unit), (kind, unit), "{name}");
            assert!(!family.help.is_empty());
        }
        let failed = find(&families, "loadr_http_req_failed");
        let of = |value: &str| -> f64 {
            let rows =
                failed.rows.iter().filter(|row| row.labels.iter().any(|label| label.0 == "value" && label.1 == value));
            rows.map(|row| if let Value::Number(number) = row.value { number } else { 0.0 }).sum()
        };
        assert_eq!((of("true"), of("false")), (4.0, 36.0));
        assert_eq!(find(&families, "loadr_temperature").rows[0].value, Value::Number(-3.5));
    }

    #[test]
    fn a_distribution_keeps_count_and_sum_and_its_buckets_are_cumulative() {
        let (merged, facts) = recorded(vec!["front page".into()]);
        let families = families(&merged, &facts, &ALL());
        let rows = &find(&families, "loadr_http_req_duration_seconds").rows;
        let good = rows.iter().find(|row| row.labels.contains(&("status".into(), "200".into()))).unwrap();
        let Value::Histogram(good) = &good.value else { panic!("{good:?}") };
        // Two workers and two seconds, each 1 ms to 9 ms. What took 5 ms may have taken 5.003, and is not counted below.
        assert_eq!((good.count, good.sum), (36, 4.0 * 0.045));
        let at_most = |bound: f64| good.classic.iter().find(|(end, _)| *end == bound).unwrap().1;
        assert_eq!([0.0005, 0.001, 0.0025, 0.005, 0.01, 60.0].map(at_most), [0, 4, 8, 16, 36, 36]);
        assert_eq!(good.native.as_ref().unwrap().buckets.iter().map(|(_, count)| count).sum::<u64>(), 36);
    }

    #[test]
    fn labels_are_what_prometheus_allows() {
        let tags: Vec<Tag> =
            ["le", "__x", "a-b", "a.b", "1st", "plain", "café", "job"].map(|key| (key.into(), "v".into())).to_vec();
        let names: Vec<String> = labels(&tags, &[("value", "true")]).into_iter().map(|label| label.0).collect();
        assert_eq!(names, ["a_b", "a_b_", "caf_", "plain", "tag_1st", "tag_job", "tag_le", "tag_x", "value"]);
    }

    #[test]
    fn two_metrics_never_share_a_name() {
        use crate::metric::{Catalogue, registry::Recorder, registry::SeriesLimits, snapshot::SourceId};
        let mut catalogue = Catalogue::new();
        let names = ["http_req_duration_seconds", "waits", "waits_seconds"];
        for name in names {
            catalogue.declare(name, MetricKind::Trend, Contains::Time).unwrap();
        }
        let catalogue = Arc::new(catalogue);
        let recorder = Recorder::new(catalogue.clone(), SourceId(0), SeriesLimits { per_metric: 10 });
        for name in names.into_iter().chain(["http_req_duration"]) {
            recorder.trend(recorder.series(catalogue.lookup(name).unwrap(), &[]), 5);
        }
        let snapshots = vec![Arc::new(recorder.take_snapshot(0))];
        let mut merged = Merged::default();
        merged.absorb(&crate::event::Second { snapshots, catalogue, ..crate::event::Second::default() });
        let families = families(&merged, &Facts::default(), &ALL());
        let names: Vec<_> = families.iter().map(|family| &*family.name).collect();
        assert_eq!(
            names,
            [
                "loadr_http_req_duration_seconds",
                "loadr_http_req_duration_seconds_",
                "loadr_waits_seconds",
                "loadr_waits_seconds_"
            ]
        );
    }
}
