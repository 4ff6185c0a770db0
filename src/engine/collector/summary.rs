//! The tables of a report, read out of a store.

use std::collections::BTreeMap;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::examples::{Examples, Teller};
use super::limits::Limits;
use crate::metric::aggregate::{Aggregate, TrendAggregate};
use crate::metric::selector::Selector;
use crate::metric::sink::Sink;
use crate::metric::store::{Latency, SecondTotals, Store, tag_value};
use crate::metric::threshold::{Judgement, Threshold};
use crate::metric::{Contains, MetricId, builtin};
use crate::report::{
    CheckSummary, ErrorSummary, MetricSummary, Point, PointLatency, RequestSummary, ThresholdSummary, TrendStats,
};

/// Every metric that recorded something, and every sub-metric that a threshold selects and that did.
pub(super) fn metrics<'a>(
    store: &Store,
    thresholds: impl Iterator<Item = &'a Threshold>,
    duration: Duration,
) -> BTreeMap<String, MetricSummary> {
    let all = Selector::all();
    let mut metrics = BTreeMap::new();
    let mut add = |name: &str, id: MetricId, selector: &Selector| {
        if let Some(summary) = metric(store, id, selector, duration) {
            metrics.insert(name.to_owned(), summary);
        }
    };
    for (id, def) in (0..).zip(store.catalogue().defs()) {
        add(&def.name, MetricId(id), &all);
    }
    for threshold in thresholds.filter(|threshold| !threshold.selector().is_all()) {
        add(threshold.key(), threshold.metric(), threshold.selector());
    }
    metrics
}

fn metric(store: &Store, id: MetricId, selector: &Selector, duration: Duration) -> Option<MetricSummary> {
    let aggregate = store.query(id, selector);
    if aggregate.is_empty() {
        return None;
    }
    Some(match aggregate {
        Aggregate::Counter { sum, .. } => MetricSummary::Counter { count: sum, rate: per_second(sum, duration) },
        Aggregate::Gauge { last, min, max } => MetricSummary::Gauge { value: last, min, max },
        Aggregate::Rate { passes, total } => {
            MetricSummary::Rate { rate: passes as f64 / total as f64, passes, fails: total - passes }
        }
        Aggregate::Trend(trend) => MetricSummary::Trend {
            unit: match store.catalogue().get(id).contains {
                Contains::Time => "ms".into(),
                Contains::Data => "bytes".into(),
                Contains::Default => String::new(),
            },
            count: trend.count,
            stats: stats(&trend),
        },
    })
}

pub(super) fn per_second(sum: f64, duration: Duration) -> f64 {
    if duration.is_zero() { 0.0 } else { sum / duration.as_secs_f64() }
}

pub(super) fn stats(trend: &TrendAggregate) -> TrendStats {
    let percentile = |p| trend.percentile(p).unwrap_or_default();
    TrendStats {
        min: trend.min().unwrap_or_default(),
        avg: trend.avg().unwrap_or_default(),
        med: percentile(50.0),
        max: trend.max().unwrap_or_default(),
        p90: percentile(90.0),
        p95: percentile(95.0),
        p99: percentile(99.0),
        p99_9: percentile(99.9),
    }
}

/// Things that have the same values of two tags, in the order in which they were first seen.
struct Groups<'a, T> {
    rows: Vec<((&'a str, &'a str), T)>,
    places: FxHashMap<(&'a str, &'a str), usize>,
}

impl<'a, T: Default> Groups<'a, T> {
    fn new() -> Self {
        Self { rows: Vec::new(), places: FxHashMap::default() }
    }

    fn row(&mut self, key: (&'a str, &'a str)) -> &mut T {
        let place = *self.places.entry(key).or_insert_with(|| {
            self.rows.push((key, T::default()));
            self.rows.len() - 1
        });
        &mut self.rows[place].1
    }
}

#[derive(Default)]
struct Request {
    summary: RequestSummary,
    duration: TrendAggregate,
}

/// Requests by name and method, in the order in which they were first made.
pub(super) fn requests(store: &Store, duration: Duration) -> Vec<RequestSummary> {
    let mut groups = Groups::<Request>::new();
    // The first of these decides which rows there are, so that bytes without a request make none.
    for metric in [
        builtin::HTTP_REQS,
        builtin::HTTP_REQ_FAILED,
        builtin::DATA_SENT,
        builtin::DATA_RECEIVED,
        builtin::HTTP_REQ_DURATION,
    ] {
        for (tags, sink) in store.series(metric) {
            let key = (tag_value(tags, "name"), tag_value(tags, "method"));
            if metric != builtin::HTTP_REQS && !groups.places.contains_key(&key) {
                continue;
            }
            let row = groups.row(key);
            match sink {
                Sink::Counter { sum } if metric == builtin::HTTP_REQS => {
                    let status = Some(tag_value(tags, "status")).filter(|status| !status.is_empty()).unwrap_or("0");
                    row.summary.count += *sum as u64;
                    *row.summary.statuses.entry(status.into()).or_default() += *sum as u64;
                }
                Sink::Counter { sum } if metric == builtin::DATA_SENT => row.summary.bytes_sent += *sum as u64,
                Sink::Counter { sum } => row.summary.bytes_received += *sum as u64,
                Sink::Rate { passes, .. } => row.summary.failed += passes,
                Sink::Trend(trend) => row.duration.add(trend),
                Sink::Gauge { .. } => {}
            }
        }
    }
    let finish = |((name, method), row): ((&str, &str), Request)| RequestSummary {
        name: name.into(),
        method: method.into(),
        rate: per_second(row.summary.count as f64, duration),
        duration: stats(&row.duration),
        ..row.summary
    };
    groups.rows.into_iter().map(finish).collect()
}

/// Checks by group and name, in the order in which they were first made.
pub(super) fn checks(store: &Store) -> Vec<CheckSummary> {
    let mut groups = Groups::<(u64, u64)>::new();
    for (tags, sink) in store.series(builtin::CHECKS) {
        if let Sink::Rate { passes, total } = sink {
            // k6 begins a group's path with a separator.
            let group = tag_value(tags, "group");
            let row = groups.row((group.strip_prefix("::").unwrap_or(group), tag_value(tags, "check")));
            *row = (row.0 + passes, row.1 + (total - passes));
        }
    }
    let finish = |((group, name), (passes, fails)): ((&str, &str), (u64, u64))| CheckSummary {
        name: name.into(),
        group: group.into(),
        passes,
        fails,
    };
    groups.rows.into_iter().map(finish).collect()
}

/// Thresholds in the order in which they were given.
pub(super) fn thresholds(judged: &[(&Threshold, Judgement)], allow_failure: bool) -> Vec<ThresholdSummary> {
    let summary = |(threshold, judgement): &(&Threshold, Judgement)| ThresholdSummary {
        metric: threshold.key().into(),
        expression: threshold.expression().into(),
        ok: judgement.ok || (judgement.no_data && allow_failure),
        value: judgement.value,
    };
    judged.iter().map(summary).collect()
}

/// Errors, the most frequent first. When one was first seen is known to the second.
pub(super) fn errors(store: &Store, examples: &Examples, teller: &Teller<'_>) -> Vec<ErrorSummary> {
    let summary = |error: &crate::metric::store::ErrorTotal| ErrorSummary {
        code: error.key.code,
        message: error.key.message.to_string(),
        side: error.key.side,
        count: error.count,
        first_at_s: f64::from(error.first_second),
        example: error.example.clone(),
        request: examples.failed(&error.key, teller),
    };
    store.errors().into_iter().map(summary).collect()
}

/// A point for each second, those in which nothing was recorded included.
pub(super) fn points(store: &Store, limits: &Limits) -> Vec<Point> {
    let Some((&last, _)) = store.seconds().last_key_value() else { return Vec::new() };
    // One source with a wild clock must not make a report of millions of empty points.
    let gapless = last as usize <= 2 * store.seconds().len() + 3_600;
    let point = |second: u32, at: &SecondTotals| Point {
        at_s: f64::from(second),
        vus: at.vus,
        requests: at.totals.requests,
        failed: at.totals.requests_failed,
        iterations: at.totals.iterations,
        bytes_sent: at.totals.bytes_sent,
        bytes_received: at.totals.bytes_received,
        duration: at.latency.map(point_latency),
        generator: limits.at(second),
    };
    if !gapless {
        return store.seconds().iter().map(|(&second, at)| point(second, at)).collect();
    }
    let quiet = SecondTotals::default();
    (0..=last).map(|second| point(second, store.seconds().get(&second).unwrap_or(&quiet))).collect()
}

/// Durations in milliseconds.
pub(super) fn point_latency(latency: Latency) -> PointLatency {
    let ms = |thousandths: u64| thousandths as f64 / 1000.0;
    PointLatency { med: ms(latency.med), p95: ms(latency.p95), p99: ms(latency.p99), max: ms(latency.max) }
}
