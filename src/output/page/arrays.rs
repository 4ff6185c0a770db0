//! The page's arrays by time, and its distributions, from columns.

use std::collections::BTreeMap;

use super::columns::Columns;
use super::model::Model;
use super::shape::{
    Distribution, ErrorKind, ErrorSeries, Figure, Gap, GeneratorSeries, Heatmap, PageSeries, PhaseSeries,
    RequestSeries, Time,
};
use super::slice::{PHASES, RequestSlice, Slice, State};
use super::spread::{Fine, Spread};
use crate::metric::sink::TrendSink;
use crate::report::TrendStats;

/// Percentiles of the whole run's distribution; those that rest on less than one request are left out.
const PERCENTILES: &[f64] = &[
    0.0, 10.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 85.0, 90.0, 92.5, 95.0, 96.0, 97.0, 98.0, 98.5,
    99.0, 99.25, 99.5, 99.75, 99.9, 99.925, 99.95, 99.975, 99.99, 100.0,
];
/// Those of a request.
const FEW_PERCENTILES: &[f64] = &[0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 100.0];
/// Kinds of errors with an array of their own; one more holds all others.
const KINDS: usize = 7;
/// Buckets of the heatmap in a factor of ten.
const BUCKETS_PER_DECADE: f64 = 10.0;
/// The most columns of the heatmap.
const HEATMAP_COLUMNS: usize = 200;

/// Columns as they are to be shown: merged, and from one of them on.
pub(super) struct Shown<T> {
    pub columns: Vec<T>,
    pub interval_s: u32,
    pub from: Option<usize>,
}

impl<T: super::columns::Merge> Shown<T> {
    /// All of them, at most so many.
    pub fn at_most(columns: &Columns<T>, most: usize) -> Self {
        let factor = columns.all().len().div_ceil(most.max(1)).max(1);
        let interval_s = columns.width().saturating_mul(u32::try_from(factor).unwrap_or(u32::MAX));
        Self { columns: columns.merged(factor), interval_s, from: None }
    }

    /// Those from one on, as they are.
    pub fn from(columns: &Columns<T>, from: usize) -> Self {
        let tail = columns.all().get(from..).unwrap_or_default();
        let single = |column: &T| {
            let mut copy = T::default();
            copy.merge(column);
            copy
        };
        Self { columns: tail.iter().map(single).collect(), interval_s: columns.width(), from: Some(from) }
    }

    /// How many there are in all, with those before.
    fn count(&self) -> usize {
        self.from.unwrap_or_default() + self.columns.len()
    }

    /// How long the last one lasts in a load of that length.
    fn last_s(&self, load_s: f64) -> Figure {
        let begins = self.count().saturating_sub(1) as f64 * f64::from(self.interval_s);
        let lasts = (load_s - begins).min(f64::from(self.interval_s));
        // What comes after the load, in teardown, has its whole column.
        Figure(if lasts > 0.0 { lasts } else { f64::from(self.interval_s) })
    }

    fn each<V>(&self, value: impl FnMut(&T) -> V) -> Vec<V> {
        self.columns.iter().map(value).collect()
    }
}

fn gap(value: Option<f64>) -> Gap {
    value.map(Figure)
}

fn percentiles<const BITS: u32, const N: usize>(
    spreads: &[&Spread<BITS>],
    names: [&'static str; N],
    ps: [f64; N],
) -> BTreeMap<&'static str, Vec<Gap>> {
    let found: Vec<_> = spreads.iter().map(|spread| spread.percentiles(ps)).collect();
    (0..N).map(|at| (names[at], found.iter().map(|found| gap(found[at])).collect())).collect()
}

/// The time axis.
pub(super) fn time(shown: &Shown<Slice>, load_s: f64) -> Time {
    Time { interval_s: shown.interval_s, count: shown.count(), last_s: shown.last_s(load_s), from: shown.from }
}

/// The arrays of the whole run.
pub(super) fn series(shown: &Shown<Slice>, model: &Model) -> PageSeries {
    let latencies: Vec<_> = shown.columns.iter().map(|slice| &slice.latency).collect();
    let mut latency = percentiles(
        &latencies,
        ["p50", "p75", "p90", "p95", "p99", "p99.9", "max"],
        [50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 100.0],
    );
    latency.insert("avg", shown.each(|slice| gap(slice.latency.avg())));
    let open = model.totals.intended.count > 0;
    let latency_intended = open.then(|| {
        let intended: Vec<_> = shown.columns.iter().map(|slice| &slice.intended).collect();
        percentiles(&intended, ["p50", "p95", "p99", "max"], [50.0, 95.0, 99.0, 100.0])
    });
    let state = |value: fn(&State) -> u64| shown.each(|slice| slice.state.as_ref().map(value));
    let rates =
        model.now.as_ref().is_some_and(|now| now.scenarios.iter().any(|s| s.executor.ends_with("-arrival-rate")));
    let rate_target = |slice: &Slice| gap(slice.state.and_then(|state| state.rate_target));
    PageSeries {
        requests_ok: shown.each(|slice| slice.requests.saturating_sub(slice.failed)),
        requests_failed: shown.each(|slice| slice.failed),
        latency,
        latency_intended,
        vus: state(|state| state.vus),
        vus_target: Some(state(|state| state.vus_target)),
        rate_target: rates.then(|| shown.each(rate_target)),
        iterations: shown.each(|slice| slice.iterations),
        iterations_failed: Some(shown.each(|slice| slice.iterations_failed)),
        iterations_dropped: Some(shown.each(|slice| slice.iterations_dropped)),
        bytes_sent: shown.each(|slice| slice.bytes_sent),
        bytes_received: shown.each(|slice| slice.bytes_received),
        checks_ok: Some(shown.each(|slice| slice.checks_ok)),
        checks_failed: Some(shown.each(|slice| slice.checks.saturating_sub(slice.checks_ok))),
        phases: Some(phases(shown)),
        connections_opened: Some(shown.each(|slice| slice.opened)),
        errors: Some(errors(shown, model)),
        generator: generator(shown),
    }
}

fn phases(shown: &Shown<Slice>) -> BTreeMap<&'static str, PhaseSeries> {
    let one = |at: usize| PhaseSeries {
        avg: shown.each(|slice| gap(slice.phases[at].avg())),
        p95: shown.each(|slice| gap(slice.phases[at].percentiles([95.0])[0])),
        count: shown.each(|slice| slice.phases[at].count),
        share: shown.each(|slice| {
            let requests = slice.requests.max(slice.phases[at].count);
            gap((requests > 0).then(|| slice.phases[at].sum_ms() / requests as f64))
        }),
    };
    PHASES.iter().enumerate().map(|(at, &name)| (name, one(at))).collect()
}

/// The most frequent kinds, and all others as one; while the run goes on those that came first, as arrays that are being
/// continued must keep their places.
fn errors(shown: &Shown<Slice>, model: &Model) -> ErrorSeries {
    let rows = &model.errors.rows;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    if model.report.is_some() {
        order.sort_by_key(|&at| (std::cmp::Reverse(rows[at].count), at));
    }
    let (told, rest) = order.split_at(order.len().min(KINDS));
    let count_of = |slice: &Slice, among: &[usize]| {
        slice.errors.iter().filter(|(kind, _)| among.contains(&usize::from(*kind))).map(|(_, count)| count).sum()
    };
    let mut series = ErrorSeries::default();
    for &at in told {
        let row = &rows[at];
        series.kinds.push(ErrorKind {
            code: Some(row.code),
            message: row.message.to_string(),
            side: Some(row.side.as_str()),
        });
        series.counts.push(shown.each(|slice| count_of(slice, &[at])));
    }
    if !rest.is_empty() {
        series.kinds.push(ErrorKind { code: None, message: "(others)".into(), side: None });
        series.counts.push(shown.each(|slice| count_of(slice, rest)));
    }
    series
}

fn generator(shown: &Shown<Slice>) -> GeneratorSeries {
    let figure = |value: fn(&State) -> Option<f64>| {
        Some(shown.each(|slice| gap(slice.state.as_ref().and_then(value)))).filter(known)
    };
    let count =
        |value: fn(&State) -> Option<u64>| Some(shown.each(|slice| slice.state.as_ref().and_then(value))).filter(known);
    let sum = |value: fn(&State) -> u64| Some(shown.each(|slice| slice.state.as_ref().map_or(0, value)));
    GeneratorSeries {
        cpu_percent: figure(|state| state.generator.cpu_percent),
        machine_cpu_percent: figure(|state| state.generator.machine_cpu_percent),
        memory_bytes: count(|state| state.generator.memory_bytes),
        lag_ms: figure(|state| Some(state.generator.lag_ms)),
        open_files: count(|state| state.generator.open_files),
        dropped: sum(|state| state.generator.dropped),
        late: sum(|state| state.generator.late),
    }
}

/// Whether anything is known.
#[expect(clippy::ptr_arg, reason = "it is a filter of an optional vector")]
fn known<T>(values: &Vec<Option<T>>) -> bool {
    values.is_empty() || values.iter().any(Option::is_some)
}

/// How many requests took how long, by time; none when there was no request.
pub(super) fn heatmap(columns: &Columns<Slice>) -> Option<Heatmap> {
    let factor = columns.all().len().div_ceil(HEATMAP_COLUMNS).max(1);
    // Bucket n begins at 10^(n / 10) thousandths of a millisecond.
    let bucket_of = |ms: f64| ((ms * 1e3).max(1.0).log10() * BUCKETS_PER_DECADE + 1e-9).floor() as usize;
    let mut cells: Vec<BTreeMap<usize, u64>> = Vec::new();
    for group in columns.all().chunks(factor) {
        let mut cell = BTreeMap::new();
        for (ms, count) in group.iter().flat_map(|slice| slice.latency.middles()) {
            *cell.entry(bucket_of(ms)).or_default() += count;
        }
        cells.push(cell);
    }
    let lowest = cells.iter().filter_map(|cell| cell.keys().next()).min().copied()?;
    let highest = cells.iter().filter_map(|cell| cell.keys().next_back()).max().copied()?;
    let bound = |bucket: usize| Figure(10_f64.powf(bucket as f64 / BUCKETS_PER_DECADE) / 1e3);
    let flat = |cell: BTreeMap<usize, u64>| {
        cell.into_iter().flat_map(|(bucket, count)| [(bucket - lowest) as u64, count]).collect::<Vec<_>>()
    };
    Some(Heatmap {
        interval_s: columns.width().saturating_mul(u32::try_from(factor).unwrap_or(u32::MAX)),
        count: cells.len(),
        bounds_ms: (lowest..=highest + 1).map(bound).collect(),
        cells: cells.into_iter().map(flat).collect(),
    })
}

/// Percentiles that so many values can tell.
fn told(spread: &Fine, all: &[f64]) -> Vec<f64> {
    let rests = |p: f64| p >= 100.0 || (1.0 - p / 100.0) * spread.count as f64 >= 1.0;
    all.iter().copied().filter(|&p| rests(p)).collect()
}

/// The distribution of the whole run; none when there was no request.
pub(super) fn distribution(model: &Model) -> Option<Distribution> {
    let all = Fine::of(&model.totals.latency);
    if all.count == 0 {
        return None;
    }
    let percentiles = told(&all, PERCENTILES);
    let figures = |values: Vec<f64>| values.into_iter().map(Figure).collect::<Vec<_>>();
    let intended = Fine::of(&model.totals.intended);
    let duration_intended = (intended.count > 0).then(|| figures(intended.percentile_list(&percentiles)));
    Some(Distribution { duration: figures(all.percentile_list(&percentiles)), duration_intended, percentiles })
}

/// The distribution of a request.
pub(super) fn request_distribution(spread: &Fine) -> Option<Distribution> {
    if spread.count == 0 {
        return None;
    }
    let percentiles = told(spread, FEW_PERCENTILES);
    let duration = spread.percentile_list(&percentiles).into_iter().map(Figure).collect();
    Some(Distribution { percentiles, duration, duration_intended: None })
}

/// The arrays of a request.
pub(super) fn request_series(shown: &Shown<RequestSlice>, load_s: f64) -> RequestSeries {
    let latencies: Vec<_> =
        shown.columns.iter().map(|slice| slice.latency.percentiles([50.0, 95.0, 99.0, 100.0])).collect();
    let figure = |at: usize| latencies.iter().map(|found| gap(found[at])).collect();
    RequestSeries {
        interval_s: shown.interval_s,
        count: shown.count(),
        last_s: shown.last_s(load_s),
        from: shown.from,
        requests_ok: shown.each(|slice| slice.requests.saturating_sub(slice.failed)),
        requests_failed: shown.each(|slice| slice.failed),
        p50: figure(0),
        p95: figure(1),
        p99: figure(2),
        max: figure(3),
    }
}

/// The figures of a distribution; none when it has none.
pub(super) fn stats(sink: &TrendSink) -> Option<TrendStats> {
    stats_of(&Fine::of(sink))
}

/// The figures of a distribution; none when it has none.
pub(super) fn stats_of(spread: &Fine) -> Option<TrendStats> {
    let [med, p90, p95, p99, p99_9] = spread.percentiles([50.0, 90.0, 95.0, 99.0, 99.9]);
    Some(TrendStats {
        min: spread.min()?,
        avg: spread.avg()?,
        med: med?,
        max: spread.max()?,
        p90: p90?,
        p95: p95?,
        p99: p99?,
        p99_9: p99_9?,
    })
}
