//! The shape of the page's data: the document `loadr/page/v1`.
//!
//! Arrays by time have one entry a column. Counts are exact, figures are rounded to four significant digits: a page of an
//! hour's run must stay small. What is not known is `null`. `docs/report.md` tells what each part means.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::report::advice::{Advice, Knee};
use crate::report::{
    CheckSummary, ErrorSummary, GeneratorLimit, Mark, RequestSummary, RunInfo, StageSummary, SteadySummary, TrendStats,
};

/// The value of the document's `schema`.
pub(super) const SCHEMA: &str = "loadr/page/v1";

/// A figure, written with four significant digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figure(pub f64);

impl Figure {
    fn rounded(self) -> f64 {
        if self.0 == 0.0 || !self.0.is_finite() {
            return 0.0;
        }
        let exponent = self.0.abs().log10().floor() as i32;
        let scale = 10_f64.powi(3 - exponent);
        let rounded = if scale.is_finite() && scale > 0.0 { (self.0 * scale).round() / scale } else { self.0 };
        if rounded.is_finite() { rounded } else { self.0 }
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rounded = self.rounded();
        if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
            serializer.serialize_i64(rounded as i64)
        } else {
            serializer.serialize_f64(rounded)
        }
    }
}

pub(super) type Gap = Option<Figure>;

#[derive(Debug, Serialize)]
pub(super) struct Document {
    pub schema: &'static str,
    pub live: bool,
    pub state: &'static str,
    pub source: &'static str,
    pub run: Run,
    pub verdict: PageVerdict,
    pub limits: Vec<GeneratorLimit>,
    pub knee: Option<Knee>,
    pub advice: Vec<Advice>,
    pub totals: PageTotals,
    pub steady: Option<SteadySummary>,
    pub stages: Vec<StageSummary>,
    pub thresholds: Vec<PageThreshold>,
    pub checks: Vec<CheckSummary>,
    pub errors: Vec<ErrorSummary>,
    pub groups: Option<Vec<PageGroup>>,
    pub scenarios: Vec<PageScenario>,
    pub slowest: Option<Vec<PageExample>>,
    pub metrics: Vec<PageMetric>,
    pub time: Time,
    pub series: PageSeries,
    /// Missing where it is as it was, in an update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heatmap: Option<Option<Heatmap>>,
    pub distribution: Option<Distribution>,
    pub requests: Vec<PageRequest>,
    pub requests_left_out: usize,
    pub marks: Vec<Mark>,
    pub events: Vec<PageEvent>,
    pub warnings: Vec<PageWarning>,
    pub lost_seconds: u64,
    pub percentiles: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Run {
    #[serde(flatten)]
    pub info: RunInfo,
    pub planned_s: Gap,
}

#[derive(Debug, Serialize)]
pub(super) struct PageVerdict {
    pub passed: Option<bool>,
    pub headline: String,
    pub reasons: Vec<String>,
    pub cautions: Vec<String>,
    pub inconclusive: bool,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct PageTotals {
    pub requests: u64,
    pub requests_failed: u64,
    pub requests_per_s: Gap,
    pub iterations: u64,
    pub iterations_failed: u64,
    pub iterations_interrupted: u64,
    pub iterations_dropped: u64,
    pub iterations_per_s: Gap,
    pub checks: u64,
    pub checks_failed: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub vus: u64,
    pub vus_max: u64,
    pub duration: Option<TrendStats>,
    pub duration_intended: Option<TrendStats>,
    pub iteration_duration: Option<TrendStats>,
}

#[derive(Debug, Serialize)]
pub(super) struct PageThreshold {
    pub metric: String,
    pub expression: String,
    pub ok: Option<bool>,
    pub value: Option<f64>,
    pub value_text: String,
    pub limit: Option<f64>,
    pub at_most: Option<bool>,
    pub margin_text: String,
    pub used: Gap,
}

#[derive(Debug, Serialize)]
pub(super) struct PageGroup {
    pub name: String,
    pub count: u64,
    pub duration: TrendStats,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct PageScenario {
    pub name: String,
    pub executor: String,
    pub exec: String,
    pub description: String,
    pub state: Option<&'static str>,
    pub progress: Gap,
    pub vus: Option<u64>,
    pub vus_target: Option<u64>,
    pub rate_target: Gap,
    pub iterations: Option<u64>,
    pub iterations_failed: Option<u64>,
    pub requests: Option<u64>,
    pub requests_failed: Option<u64>,
    pub duration: Option<TrendStats>,
    pub iteration_duration: Option<TrendStats>,
}

#[derive(Debug, Serialize)]
pub(super) struct PageExample {
    pub name: String,
    pub method: String,
    pub url: String,
    pub status: Option<u16>,
    pub error: Option<String>,
    pub at_s: f64,
    pub duration_ms: Gap,
    pub phases: BTreeMap<&'static str, Gap>,
    pub scenario: String,
    pub group: String,
    pub vu: u32,
    pub iteration: u64,
    pub trace_id: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct PageMetric {
    pub name: String,
    pub r#type: &'static str,
    pub unit: String,
    pub text: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Time {
    pub interval_s: u32,
    pub count: usize,
    pub last_s: Figure,
    /// Of an update: the first column that it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<usize>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct PageSeries {
    pub requests_ok: Vec<u64>,
    pub requests_failed: Vec<u64>,
    pub latency: BTreeMap<&'static str, Vec<Gap>>,
    pub latency_intended: Option<BTreeMap<&'static str, Vec<Gap>>>,
    pub vus: Vec<Option<u64>>,
    pub vus_target: Option<Vec<Option<u64>>>,
    pub rate_target: Option<Vec<Gap>>,
    pub iterations: Vec<u64>,
    pub iterations_failed: Option<Vec<u64>>,
    pub iterations_dropped: Option<Vec<u64>>,
    pub bytes_sent: Vec<u64>,
    pub bytes_received: Vec<u64>,
    pub checks_ok: Option<Vec<u64>>,
    pub checks_failed: Option<Vec<u64>>,
    pub phases: Option<BTreeMap<&'static str, PhaseSeries>>,
    pub connections_opened: Option<Vec<u64>>,
    pub errors: Option<ErrorSeries>,
    pub generator: GeneratorSeries,
}

#[derive(Debug, Serialize)]
pub(super) struct PhaseSeries {
    pub avg: Vec<Gap>,
    pub p95: Vec<Gap>,
    pub count: Vec<u64>,
    /// The mean over all requests of the column: what the phases add up by.
    pub share: Vec<Gap>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct ErrorSeries {
    pub kinds: Vec<ErrorKind>,
    pub counts: Vec<Vec<u64>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ErrorKind {
    pub code: Option<u32>,
    pub message: String,
    pub side: Option<&'static str>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct GeneratorSeries {
    pub cpu_percent: Option<Vec<Gap>>,
    pub machine_cpu_percent: Option<Vec<Gap>>,
    pub memory_bytes: Option<Vec<Option<u64>>>,
    pub lag_ms: Option<Vec<Gap>>,
    pub open_files: Option<Vec<Option<u64>>>,
    pub dropped: Option<Vec<u64>>,
    pub late: Option<Vec<u64>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Heatmap {
    pub interval_s: u32,
    pub count: usize,
    pub bounds_ms: Vec<Figure>,
    /// For each column: bucket, count, bucket, count, ...
    pub cells: Vec<Vec<u64>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Distribution {
    pub percentiles: Vec<f64>,
    pub duration: Vec<Figure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_intended: Option<Vec<Figure>>,
}

#[derive(Debug, Serialize)]
pub(super) struct PageRequest {
    pub name: String,
    pub method: String,
    pub count: u64,
    pub failed: u64,
    pub rate: Gap,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub duration: Option<TrendStats>,
    pub statuses: BTreeMap<String, u64>,
    pub series: Option<RequestSeries>,
    pub distribution: Option<Distribution>,
}

impl PageRequest {
    /// A row of a report, without what it was over time.
    pub fn of(summary: &RequestSummary) -> Self {
        Self {
            name: summary.name.clone(),
            method: summary.method.clone(),
            count: summary.count,
            failed: summary.failed,
            rate: Some(Figure(summary.rate)),
            bytes_sent: summary.bytes_sent,
            bytes_received: summary.bytes_received,
            // Zeros would look like very fast ones.
            duration: (summary.duration.max > 0.0).then_some(summary.duration),
            statuses: summary.statuses.clone(),
            series: None,
            distribution: None,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct RequestSeries {
    pub interval_s: u32,
    pub count: usize,
    pub last_s: Figure,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<usize>,
    pub requests_ok: Vec<u64>,
    pub requests_failed: Vec<u64>,
    pub p50: Vec<Gap>,
    pub p95: Vec<Gap>,
    pub p99: Vec<Gap>,
    pub max: Vec<Gap>,
}

#[derive(Debug, Serialize)]
pub(super) struct PageEvent {
    pub at_s: Figure,
    pub kind: &'static str,
    pub bad: bool,
    pub text: String,
}

#[derive(Debug, Serialize)]
pub(super) struct PageWarning {
    pub message: String,
    pub hint: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.012345, "0.01235"),
            (3.0, "3"),
            (12.3456, "12.35"),
            (99_999.0, "100000"),
            (123_456.0, "123500"),
            (-1.23456, "-1.235"),
            (f64::NAN, "0"),
        ] {
            assert_eq!(serde_json::to_string(&Figure(value)).unwrap(), text, "{value}");
        }
    }
}
