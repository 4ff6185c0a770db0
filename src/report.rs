//! The result of a run: what every summary renders, and what `--summary-export` writes.
//!
//! Serialised with serde, a [`Report`] *is* the `loadr/summary/v1` document (schema in `docs/summary.schema.json`).
//! Times are milliseconds as fractions with microsecond resolution, unless a name says otherwise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fault::Side;

use advice::Advice;

pub mod advice;
pub mod figures;

/// The value of [`Report::schema`].
pub const SCHEMA: &str = "loadr/summary/v1";

/// A finished run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// What was run.
    pub run: RunInfo,
    /// Whether it passed, and why not.
    pub verdict: Verdict,
    /// What to look at first, the gravest first; empty when nothing stands out.
    #[serde(default)]
    pub advice: Vec<Advice>,
    /// Metrics by name, and sub-metrics by selector (`http_req_duration{name:item}`) where a threshold selects one.
    pub metrics: BTreeMap<String, MetricSummary>,
    /// Requests by name and method.
    pub requests: Vec<RequestSummary>,
    /// Checks by group and name.
    pub checks: Vec<CheckSummary>,
    /// Thresholds, by metric.
    pub thresholds: Vec<ThresholdSummary>,
    /// Errors, the most frequent first.
    pub errors: Vec<ErrorSummary>,
    /// The slowest requests by duration, the slowest first; at most twenty.
    #[serde(default)]
    pub slowest: Vec<RequestExample>,
    /// How the generator itself fared.
    pub generator: GeneratorSummary,
    /// The plateau of the plan by itself, without ramp-up and drain; none when the plan has none, or the run did not
    /// get there.
    pub steady: Option<SteadySummary>,
    /// The stages that were begun, in the order of the plan: one for each stage of a ramp, one for a scenario whose load
    /// stays the same.
    pub stages: Vec<StageSummary>,
    /// What happened second by second.
    pub series: Series,
    /// What the user should know about the run: bounds that were hit, options that were adjusted.
    pub warnings: Vec<String>,
}

/// What was run, how and when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// A UUID.
    pub id: String,
    /// The script's path as it was given.
    pub script: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// How long the load lasted, in seconds, without setup and teardown.
    pub duration_s: f64,
    /// The seed of all random choices.
    pub seed: u64,
    /// loadr's version.
    pub loadr_version: String,
    /// The most VUs that the run could have.
    pub vus_max: u64,
    /// The command line, with values that look like secrets left out.
    pub args: Vec<String>,
    /// The profile that shaped the load, when one was asked for.
    pub profile: Option<String>,
    /// The scenarios, in the order of the plan.
    pub scenarios: Vec<ScenarioInfo>,
}

/// A scenario of the plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScenarioInfo {
    /// Its name.
    pub name: String,
    /// Its executor's name.
    pub executor: String,
    /// The journey it runs.
    pub exec: String,
    /// One line that says what it does: `ramping-vus: 0 to 200 over 30s, 200 for 2m`.
    pub description: String,
}

/// Whether the run passed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether it did.
    pub passed: bool,
    /// Why not, in plain words, the gravest first; empty when it passed.
    pub reasons: Vec<String>,
    /// Why its numbers should be doubted, passed or not: when, and by what, the generator shaped the result, and what to
    /// do about it. Empty when it did not.
    pub cautions: Vec<String>,
    /// Whether it failed for no other reason than that the generator had to be healthy and was not: such a run says
    /// nothing of its target.
    pub inconclusive: bool,
}

/// One metric, or one sub-metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum MetricSummary {
    /// Adds up.
    Counter {
        /// The sum.
        count: f64,
        /// The sum a second.
        rate: f64,
    },
    /// Keeps the latest.
    Gauge {
        /// The latest value.
        value: f64,
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
    /// A share.
    Rate {
        /// Between 0 and 1.
        rate: f64,
        /// Values that were true.
        passes: u64,
        /// Values that were false.
        fails: u64,
    },
    /// A distribution.
    Trend {
        /// `ms` for times, empty for plain numbers, `bytes` for data.
        unit: String,
        /// How many values.
        count: u64,
        /// The figures.
        #[serde(flatten)]
        stats: TrendStats,
    },
}

/// The figures of a distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrendStats {
    /// The smallest.
    pub min: f64,
    /// The mean.
    pub avg: f64,
    /// The median.
    pub med: f64,
    /// The largest.
    pub max: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile.
    #[serde(rename = "p99.9")]
    pub p99_9: f64,
}

/// Requests of one name and method.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestSummary {
    /// The request's name: as the script gave it, or its URL with ids taken out.
    pub name: String,
    /// The HTTP method.
    pub method: String,
    /// How many were made.
    pub count: u64,
    /// How many failed.
    pub failed: u64,
    /// How many a second.
    pub rate: f64,
    /// Bytes written for them.
    pub bytes_sent: u64,
    /// Bytes read for them.
    pub bytes_received: u64,
    /// Their durations.
    pub duration: TrendStats,
    /// How many had which status; `0` stands for no response.
    pub statuses: BTreeMap<String, u64>,
}

/// One check.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckSummary {
    /// Its name.
    pub name: String,
    /// The group it was made in, `outer::inner`; empty outside of groups.
    pub group: String,
    /// How often it held.
    pub passes: u64,
    /// How often it did not.
    pub fails: u64,
}

/// One threshold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ThresholdSummary {
    /// The metric, with its selector: `http_req_duration{name:item}`.
    pub metric: String,
    /// The expression as it was given.
    pub expression: String,
    /// Whether it held.
    pub ok: bool,
    /// What was found; none when there was no data.
    pub value: Option<f64>,
}

/// Failures of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorSummary {
    /// The stable numeric class.
    pub code: u32,
    /// What failed.
    pub message: String,
    /// Whose side failed.
    pub side: Side,
    /// How often.
    pub count: u64,
    /// When it was first seen, in seconds from the start.
    pub first_at_s: f64,
    /// One case in full.
    pub example: String,
    /// The request that was the first to fail so; none where it was no request, and beyond a hundred kinds.
    #[serde(default)]
    pub request: Option<RequestExample>,
}

/// A single request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestExample {
    /// Its name.
    pub name: String,
    /// Its method.
    pub method: String,
    /// Its URL, without credentials.
    pub url: String,
    /// Its status; 0 for no response.
    pub status: u16,
    /// What went wrong; empty when nothing did.
    pub error: String,
    /// When it began: RFC 3339, UTC.
    pub started_at: String,
    /// When it began, in seconds from the start of the load; negative in `setup`.
    pub at_s: f64,
    /// Its duration; none when it never went out.
    pub duration_ms: Option<f64>,
    /// Its phases.
    pub phases: PhaseTimes,
    /// Bytes written for it.
    pub bytes_sent: u64,
    /// Bytes read for it.
    pub bytes_received: u64,
    /// Its scenario; empty in `setup` and `teardown`.
    pub scenario: String,
    /// The group it was made in, `outer::inner`; empty outside of groups.
    pub group: String,
    /// The VU that made it, from 1; 0 for `setup` and `teardown`.
    pub vu: u32,
    /// The VU's iteration, from 0.
    pub iteration: u64,
    /// The trace that it began; none unless it carried a trace context (`trace_context`).
    pub trace_id: Option<String>,
}

/// How long the phases of a request took; none where one did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseTimes {
    /// From wanting to send until a connection was ready, phases of opening it included.
    pub blocked_ms: Option<f64>,
    /// Name resolution.
    pub looking_up_ms: Option<f64>,
    /// TCP connect.
    pub connecting_ms: Option<f64>,
    /// TLS handshake.
    pub tls_handshaking_ms: Option<f64>,
    /// Writing the request.
    pub sending_ms: Option<f64>,
    /// From the last byte written until the first byte arrived.
    pub waiting_ms: Option<f64>,
    /// From the arrival of the first byte to that of the last.
    pub receiving_ms: Option<f64>,
}

/// How the generator fared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorSummary {
    /// Whether it shaped the result.
    pub limited: bool,
    /// Why that is believed, one sentence for each of `limits`.
    pub reasons: Vec<String>,
    /// What limited it, and when.
    pub limits: Vec<GeneratorLimit>,
    /// The most CPU that the process took in a second, 100 per core.
    pub cpu_percent_max: f64,
    /// The most CPU that all processes of the machine took in a second, 100 for all cores; none where that is not known.
    pub machine_cpu_percent_max: Option<f64>,
    /// The most memory resident.
    pub memory_bytes_max: u64,
    /// The most files and sockets that were open at the end of a second; none where that is not known.
    pub open_files_max: Option<u64>,
    /// How many it may open; none where there is no limit, or it is not known.
    pub open_files_limit: Option<u64>,
    /// The fewest ephemeral ports that were free at the end of a second; none where that is not known.
    pub ports_free_min: Option<u64>,
    /// How late the worker threads' event loops were.
    pub lag_ms: LagSummary,
    /// Iterations that were due but never started.
    pub dropped_iterations: u64,
    /// Iterations of open load that started noticeably after their time.
    pub late_iterations: u64,
    /// Iterations that were cancelled at the end of their scenario.
    pub interrupted_iterations: u64,
}

/// One way in which the generator shaped the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GeneratorLimit {
    /// What it lacked.
    pub cause: LimitCause,
    /// When, in seconds from the start; at most twenty stretches, the longest.
    pub spans: Vec<Span>,
    /// In how many of the run's seconds.
    pub seconds: u32,
    /// What was seen, in words.
    pub found: String,
    /// What to do about it.
    pub remedy: String,
}

/// What a generator can lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitCause {
    /// Files, ports or memory for connections: requests failed on its own side.
    OwnErrors,
    /// Virtual users: iterations of open load were never started.
    Dropped,
    /// Virtual users: iterations of open load were started late.
    Late,
    /// CPU: it used nearly all that its workers can use.
    Cpu,
    /// CPU: other processes of the machine left it too little.
    MachineCpu,
    /// Time on its event loops: something computed for long.
    Lag,
    /// Memory: the machine had hardly any left.
    Memory,
}

/// A stretch of time, in seconds from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Its start.
    pub from_s: f64,
    /// Its end.
    pub to_s: f64,
}

/// The longest stretch in which the plan holds the load at one level, in whole seconds.
///
/// A request belongs to it when it ended within it. What scenarios do counts, `setup` and `teardown` don't.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SteadySummary {
    /// Its start, in seconds from the start of the load.
    pub from_s: f64,
    /// Its end.
    pub to_s: f64,
    /// The level in words: `200 VUs`.
    pub level: String,
    /// Requests that ended in it.
    pub requests: u64,
    /// How many a second.
    pub rate: f64,
    /// Of these, failed.
    pub failed: u64,
    /// Their share, 0 to 1.
    pub failed_share: f64,
    /// Iterations that ended in it.
    pub iterations: u64,
    /// How many a second.
    pub iterations_rate: f64,
    /// The durations of its requests.
    pub duration: TrendStats,
}

/// One stage of one scenario. Each second of a scenario belongs to one stage: the one in which its middle lies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageSummary {
    /// The scenario.
    pub scenario: String,
    /// Its place among the scenario's stages, from 0.
    pub index: u32,
    /// When it starts, in seconds from the start of the load.
    pub from_s: f64,
    /// When it ends, or ended with the run.
    pub to_s: f64,
    /// The level at its start.
    pub start: f64,
    /// The level at its end.
    pub target: f64,
    /// What the level counts: `VUs`.
    pub unit: String,
    /// Requests of the scenario that ended in it.
    pub requests: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Requests a second.
    pub rate: f64,
    /// Their durations; none when there was none.
    pub duration: Option<PointLatency>,
}

/// How late the event loops were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LagSummary {
    /// The 99th percentile.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// What happened second by second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The distance between two points.
    pub interval_s: u32,
    /// The points, in order.
    pub points: Vec<Point>,
    /// Moments at which the load changed, in order.
    pub marks: Vec<Mark>,
    /// What was changed from outside while the run went on, in order.
    #[serde(default)]
    pub events: Vec<Change>,
}

/// A moment at which the load changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// When, in seconds from the start of the load.
    pub at_s: f64,
    /// What kind of change.
    pub kind: MarkKind,
    /// The scenario; empty when it is about the whole run.
    pub scenario: String,
    /// What changed, in words: `0 to 200 VUs over 30s`.
    pub text: String,
}

/// What kind of change a [`Mark`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// A stage of the plan begins.
    Stage,
    /// The last stage of a scenario is over: running iterations are given time to end.
    End,
    /// Somebody changed the load while the run went on.
    Control,
}

/// Something that was changed from outside while the run went on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// When, in seconds from the run's start.
    pub at_s: f64,
    /// Of which scenario; none when it is about the whole run.
    pub scenario: Option<String>,
    /// What was changed.
    pub what: ChangeKind,
    /// What it was: VUs, or iterations a second; none where there is no number.
    pub from: Option<f64>,
    /// What it became.
    pub to: Option<f64>,
    /// Who asked: `key` (at the terminal), `api` (over HTTP), or a name of the embedder's own.
    pub by: String,
}

impl Change {
    /// What was changed, in words, without the scenario: `20 to 30 VUs, by api`.
    #[must_use]
    pub fn describe(&self) -> String {
        let number = |value: Option<f64>| value.map_or_else(|| "?".into(), |value| format!("{value}"));
        let (from, to) = (number(self.from), number(self.to));
        let what = match self.what {
            ChangeKind::Pause => "paused: no iterations start".into(),
            ChangeKind::Resume => "resumed".into(),
            ChangeKind::Stop => "asked to stop".into(),
            ChangeKind::Vus => format!("{from} to {to} VUs"),
            ChangeKind::Rate => format!("{from}/s to {to}/s"),
        };
        format!("{what}, by {}", self.by)
    }
}

/// What can be changed while a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// No iterations start until the run is resumed.
    Pause,
    /// Iterations start again.
    Resume,
    /// The run was asked to stop gracefully.
    Stop,
    /// The number of VUs of a scenario; of open load the most that it may have.
    Vus,
    /// The rate at which a scenario of open load starts iterations.
    Rate,
}

/// One second of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Its start, in seconds from the run's start.
    pub at_s: f64,
    /// Running VUs at its end.
    pub vus: u64,
    /// Requests finished in it.
    pub requests: u64,
    /// Of these, failed.
    pub failed: u64,
    /// Iterations completed in it.
    pub iterations: u64,
    /// Bytes written in it.
    pub bytes_sent: u64,
    /// Bytes read in it.
    pub bytes_received: u64,
    /// The durations of its requests; none when there was none.
    pub duration: Option<PointLatency>,
    /// How the generator fared in it.
    pub generator: GeneratorPoint,
}

/// How the generator fared in one second. What is not known on this system is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorPoint {
    /// How late a worker's event loop was at most, in milliseconds.
    pub lag_ms: f64,
    /// CPU that the process took, 100 per core.
    pub cpu_percent: Option<f64>,
    /// CPU that all processes of the machine took, 100 for all cores.
    pub machine_cpu_percent: Option<f64>,
    /// Memory resident, in bytes, at its end.
    pub memory_bytes: Option<u64>,
    /// Memory that the machine still had, in bytes, at its end.
    pub memory_available_bytes: Option<u64>,
    /// Open files and sockets at its end.
    pub open_files: Option<u64>,
    /// Free ephemeral ports at its end.
    pub ports_free: Option<u64>,
    /// Iterations that were due in it but will never start.
    pub dropped: u64,
    /// Iterations that started in it noticeably after their time.
    pub late: u64,
}

/// Durations of one second's requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PointLatency {
    /// The median.
    pub med: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}
