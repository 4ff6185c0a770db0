//! The page's document from a summary file alone. It knows each second's requests and a few percentiles, but neither
//! distributions by time nor requests by time: such parts are `null`, and the page says so.

use std::collections::BTreeMap;

use super::shape::{
    Document, Figure, Gap, GeneratorSeries, PageEvent, PageRequest, PageSeries, PageWarning, Run, SCHEMA, Time,
};
use super::tables;
use crate::report::advice::{advise, knee};
use crate::report::{GeneratorPoint, Point, PointLatency, Report};

/// The most columns.
const COLUMNS: usize = 600;
/// The most rows of requests.
const REQUESTS: usize = 500;

/// The document.
pub(super) fn document(report: &Report) -> Document {
    let points = &report.series.points;
    let factor = points.len().div_ceil(COLUMNS).max(1);
    let columns: Vec<Point> = points.chunks(factor).map(worst).collect();
    let interval_s = report.series.interval_s.max(1).saturating_mul(u32::try_from(factor).unwrap_or(u32::MAX));
    let begins = columns.len().saturating_sub(1) as f64 * f64::from(interval_s);
    let lasts = (report.run.duration_s - begins).min(f64::from(interval_s));
    let requests = report.requests.iter().take(REQUESTS).map(PageRequest::of);
    let events = report.series.events.iter().map(|change| {
        let scenario = change.scenario.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
        PageEvent {
            at_s: Figure(change.at_s),
            kind: "control",
            bad: false,
            text: format!("{scenario}{}", change.describe()),
        }
    });
    Document {
        schema: SCHEMA,
        live: false,
        state: "ended",
        source: "summary",
        run: Run { info: report.run.clone(), planned_s: None },
        verdict: tables::verdict(report),
        limits: report.generator.limits.clone(),
        knee: knee(report),
        // A summary of an older version has none of its own.
        advice: if report.advice.is_empty() { advise(report) } else { report.advice.clone() },
        totals: tables::totals(report, points.last().map_or(0, |point| point.vus)),
        steady: report.steady.clone(),
        stages: report.stages.clone(),
        thresholds: tables::thresholds(report),
        checks: report.checks.clone(),
        errors: report.errors.clone(),
        groups: None,
        scenarios: report.run.scenarios.iter().map(tables::scenario).collect(),
        slowest: tables::slowest(report),
        metrics: tables::metrics(report),
        time: Time {
            interval_s,
            count: columns.len(),
            last_s: Figure(if lasts > 0.0 { lasts } else { f64::from(interval_s) }),
            from: None,
        },
        series: series(&columns),
        heatmap: Some(None),
        distribution: None,
        requests: requests.collect(),
        requests_left_out: report.requests.len().saturating_sub(REQUESTS),
        marks: report.series.marks.clone(),
        events: events.collect(),
        warnings: report
            .warnings
            .iter()
            .map(|message| PageWarning { message: message.clone(), hint: String::new() })
            .collect(),
        lost_seconds: 0,
        percentiles: "worst",
    }
}

/// Points as one: counts are added; of percentiles, which can't be merged, and of states the worst stands for all.
fn worst(points: &[Point]) -> Point {
    let mut all = points.first().cloned().unwrap_or_default();
    let most = |one: Option<f64>, other: Option<f64>| one.into_iter().chain(other).reduce(f64::max);
    for point in points.iter().skip(1) {
        all.vus = all.vus.max(point.vus);
        all.requests += point.requests;
        all.failed += point.failed;
        all.iterations += point.iterations;
        all.bytes_sent += point.bytes_sent;
        all.bytes_received += point.bytes_received;
        all.duration = match (all.duration, point.duration) {
            (Some(one), Some(other)) => Some(PointLatency {
                med: one.med.max(other.med),
                p95: one.p95.max(other.p95),
                p99: one.p99.max(other.p99),
                max: one.max.max(other.max),
            }),
            (one, other) => one.or(other),
        };
        let (ours, theirs) = (&mut all.generator, &point.generator);
        *ours = GeneratorPoint {
            lag_ms: ours.lag_ms.max(theirs.lag_ms),
            cpu_percent: most(ours.cpu_percent, theirs.cpu_percent),
            machine_cpu_percent: most(ours.machine_cpu_percent, theirs.machine_cpu_percent),
            memory_bytes: ours.memory_bytes.max(theirs.memory_bytes),
            open_files: ours.open_files.max(theirs.open_files),
            dropped: ours.dropped + theirs.dropped,
            late: ours.late + theirs.late,
            ..*ours
        };
    }
    all
}

fn series(columns: &[Point]) -> PageSeries {
    let counts = |count: fn(&Point) -> u64| columns.iter().map(count).collect::<Vec<_>>();
    let figures = |figure: fn(&PointLatency) -> f64| {
        columns.iter().map(|point| point.duration.as_ref().map(|found| Figure(figure(found)))).collect::<Vec<Gap>>()
    };
    let states = |figure: fn(&GeneratorPoint) -> Option<f64>| {
        Some(columns.iter().map(|point| figure(&point.generator).map(Figure)).collect::<Vec<Gap>>())
    };
    let known = |count: fn(&GeneratorPoint) -> Option<u64>| {
        Some(columns.iter().map(|point| count(&point.generator)).collect::<Vec<_>>())
    };
    PageSeries {
        requests_ok: counts(|point| point.requests.saturating_sub(point.failed)),
        requests_failed: counts(|point| point.failed),
        latency: BTreeMap::from([
            ("p50", figures(|found| found.med)),
            ("p95", figures(|found| found.p95)),
            ("p99", figures(|found| found.p99)),
            ("max", figures(|found| found.max)),
        ]),
        vus: columns.iter().map(|point| Some(point.vus)).collect(),
        iterations: counts(|point| point.iterations),
        bytes_sent: counts(|point| point.bytes_sent),
        bytes_received: counts(|point| point.bytes_received),
        generator: GeneratorSeries {
            cpu_percent: states(|state| state.cpu_percent),
            machine_cpu_percent: states(|state| state.machine_cpu_percent),
            memory_bytes: known(|state| state.memory_bytes),
            lag_ms: states(|state| Some(state.lag_ms)),
            open_files: known(|state| state.open_files),
            dropped: Some(counts(|point| point.generator.dropped)),
            late: Some(counts(|point| point.generator.late)),
        },
        ..PageSeries::default()
    }
}
