//! The page's tables, from a report.

use super::shape::{Figure, PageExample, PageMetric, PageScenario, PageThreshold, PageTotals, PageVerdict};
use super::slice::PHASES;
use crate::metric::threshold::Limit;
use crate::metric::{Catalogue, MetricKind};
use crate::report::figures::{self, Nature};
use crate::report::{MetricSummary, Report, RequestExample, ScenarioInfo, ThresholdSummary, TrendStats};
use crate::units::format::{format_count, format_percent};

/// The verdict, with a headline.
pub(super) fn verdict(report: &Report) -> PageVerdict {
    let verdict = &report.verdict;
    PageVerdict {
        passed: Some(verdict.passed),
        headline: headline(report),
        reasons: verdict.reasons.clone(),
        cautions: verdict.cautions.clone(),
        inconclusive: verdict.inconclusive,
    }
}

/// The verdict in one line.
fn headline(report: &Report) -> String {
    let all = report.thresholds.len();
    let broken = report.thresholds.iter().filter(|threshold| !threshold.ok).count();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    match (report.verdict.passed, report.verdict.inconclusive) {
        (true, _) if all == 1 => "Passed: the threshold holds".into(),
        (true, _) if all > 1 => format!("Passed: all {all} thresholds hold"),
        (true, _) => "Passed: no threshold was given, and nothing failed altogether".into(),
        (false, true) => "Inconclusive: the generator was the limit".into(),
        (false, false) if broken > 0 && report.verdict.reasons.len() == broken => {
            format!("Failed: {broken} of {all} threshold{}", plural(all))
        }
        (false, false) => match report.verdict.reasons.first() {
            Some(reason) => format!("Failed: {reason}"),
            None => "Failed".into(),
        },
    }
}

fn counter(report: &Report, metric: &str) -> (u64, Option<Figure>) {
    match report.metrics.get(metric) {
        // Built-in counters are whole and never negative.
        Some(MetricSummary::Counter { count, rate }) => (*count as u64, Some(Figure(*rate))),
        _ => (0, None),
    }
}

fn trend(report: &Report, metric: &str) -> Option<TrendStats> {
    match report.metrics.get(metric) {
        Some(MetricSummary::Trend { stats, count, .. }) if *count > 0 => Some(*stats),
        _ => None,
    }
}

fn rate(report: &Report, metric: &str) -> (u64, u64) {
    match report.metrics.get(metric) {
        Some(MetricSummary::Rate { passes, fails, .. }) => (*passes, *fails),
        _ => (0, 0),
    }
}

/// The sums of a report.
pub(super) fn totals(report: &Report, vus: u64) -> PageTotals {
    let (requests, requests_per_s) = counter(report, "http_reqs");
    let (iterations, iterations_per_s) = counter(report, "iterations");
    let (checks_ok, checks_failed) = rate(report, "checks");
    PageTotals {
        requests,
        requests_failed: rate(report, "http_req_failed").0,
        requests_per_s,
        iterations,
        iterations_failed: counter(report, "iterations_failed").0,
        iterations_interrupted: report.generator.interrupted_iterations,
        iterations_dropped: report.generator.dropped_iterations,
        iterations_per_s,
        checks: checks_ok.saturating_add(checks_failed),
        checks_failed,
        bytes_sent: counter(report, "data_sent").0,
        bytes_received: counter(report, "data_received").0,
        vus,
        vus_max: report.run.vus_max,
        duration: trend(report, "http_req_duration"),
        duration_intended: trend(report, "http_req_duration_intended"),
        iteration_duration: trend(report, "iteration_duration"),
    }
}

/// Thresholds with value and margin.
pub(super) fn thresholds(report: &Report) -> Vec<PageThreshold> {
    let catalogue = figures::catalogue(report);
    report.thresholds.iter().map(|threshold| judged(report, &catalogue, threshold, Some(threshold.ok))).collect()
}

/// Thresholds while the run goes on: one without data is not judged yet.
pub(super) fn thresholds_so_far(now: &[ThresholdSummary]) -> Vec<PageThreshold> {
    let (nothing, catalogue) = (Report::default(), Catalogue::new());
    let one =
        |threshold: &ThresholdSummary| judged(&nothing, &catalogue, threshold, threshold.value.map(|_| threshold.ok));
    now.iter().map(one).collect()
}

fn judged(report: &Report, catalogue: &Catalogue, threshold: &ThresholdSummary, ok: Option<bool>) -> PageThreshold {
    let (value_text, margin) = figures::judged(report, catalogue, threshold);
    let limit = margin.as_ref().map(|margin| margin.limit);
    let used = margin.as_ref().zip(threshold.value).and_then(|(margin, value)| margin.used(value));
    PageThreshold {
        metric: threshold.metric.clone(),
        expression: threshold.expression.clone(),
        ok,
        value: threshold.value.filter(|value| value.is_finite()),
        value_text,
        limit: limit.map(|limit| match limit {
            Limit::AtMost(limit) | Limit::AtLeast(limit) => limit,
        }),
        at_most: limit.map(|limit| matches!(limit, Limit::AtMost(_))),
        margin_text: margin.map(|margin| margin.text).unwrap_or_default(),
        used: used.map(Figure),
    }
}

/// A scenario's description; what it did is not in a report.
pub(super) fn scenario(info: &ScenarioInfo) -> PageScenario {
    PageScenario {
        name: info.name.clone(),
        executor: info.executor.clone(),
        exec: info.exec.clone(),
        description: info.description.clone(),
        ..PageScenario::default()
    }
}

/// The slowest requests; none where they were not recorded.
pub(super) fn slowest(report: &Report) -> Option<Vec<PageExample>> {
    let one = |example: &RequestExample| {
        let phases = &example.phases;
        let phases = [
            phases.looking_up_ms,
            phases.connecting_ms,
            phases.tls_handshaking_ms,
            phases.sending_ms,
            phases.waiting_ms,
            phases.receiving_ms,
        ];
        PageExample {
            name: example.name.clone(),
            method: example.method.clone(),
            url: example.url.clone(),
            status: Some(example.status).filter(|&status| status > 0),
            error: Some(example.error.clone()).filter(|error| !error.is_empty()),
            at_s: example.at_s,
            duration_ms: example.duration_ms.map(Figure),
            phases: PHASES.into_iter().zip(phases.map(|phase| phase.map(Figure))).collect(),
            scenario: example.scenario.clone(),
            group: example.group.clone(),
            vu: example.vu,
            iteration: example.iteration,
            trace_id: example.trace_id.clone(),
        }
    };
    (!report.slowest.is_empty()).then(|| report.slowest.iter().map(one).collect())
}

/// The script's own metrics and those of its streams, as texts; sub-metrics that only a threshold looks at are left out.
pub(super) fn metrics(report: &Report) -> Vec<PageMetric> {
    let is_shown = |name: &str| name.starts_with("http_stream_") || Nature::builtin(name).is_none();
    let shown = report.metrics.iter().filter(|(name, _)| !name.contains('{') && is_shown(name));
    shown.map(|(name, metric)| one_metric(name, metric)).collect()
}

fn one_metric(name: &str, metric: &MetricSummary) -> PageMetric {
    let (r#type, unit, text) = match metric {
        MetricSummary::Counter { count, rate } => {
            ("counter", "", format!("{} ({}/s)", format_count(*count), format_count(*rate)))
        }
        MetricSummary::Gauge { value, min, max } => {
            let [value, min, max] = [value, min, max].map(|value| format_count(*value));
            ("gauge", "", format!("{value} ({min} to {max})"))
        }
        MetricSummary::Rate { rate, passes, fails } => {
            let all = passes.saturating_add(*fails);
            ("rate", "", format!("{} ({passes} of {all})", format_percent(*rate)))
        }
        MetricSummary::Trend { unit, count, stats } => {
            let nature = Nature { kind: MetricKind::Trend, contains: figures::contains(unit) };
            let [med, p95, max] = [stats.med, stats.p95, stats.max].map(|value| nature.format("", value));
            ("trend", unit.as_str(), format!("p50 {med}, p95 {p95}, max {max}, of {}", format_count(*count as f64)))
        }
    };
    PageMetric { name: name.into(), r#type, unit: unit.into(), text }
}
