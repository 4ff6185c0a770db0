//! The page's state: what it keeps of a run while that goes on, fed by events.
//!
//! Everything comes from the snapshots of [`Second`]s, second by second; the final report replaces the tables, not the
//! columns. Memory is bounded whatever the length of the run: columns by merging ([`super::columns`]), rows by the bounds
//! of [`super::tally`], the map of series by the sources' own bounds.

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::build::Changed;
use super::columns::Columns;
use super::slice::{PHASES, Slice, State};
use super::tally::{
    CHECKS_MAX, CheckTally, ERRORS_MAX, ErrorTally, GROUPS_MAX, GroupTally, REQUEST_COLUMNS, REQUESTS_MAX,
    REQUESTS_WITH_COLUMNS, RequestTally, ScenarioTally, Table,
};
use crate::event::{RunEvent, ScenarioState, Second, Warning};
use crate::metric::sink::TrendSink;
use crate::metric::snapshot::{SeriesDef, SeriesId, SinkDelta, Snapshot, SourceId};
use crate::metric::store::Tag;
use crate::metric::{MetricId, builtin};
use crate::report::{Mark, Report, RunInfo};

/// The most columns of the whole run.
pub(super) const COLUMNS: usize = 600;
/// The most events and warnings that are kept.
const EVENTS_MAX: usize = 200;
/// The most marks that are kept while the run goes on.
const MARKS_MAX: usize = 1_000;

const PHASE_METRICS: [MetricId; PHASES.len()] = [
    builtin::HTTP_REQ_LOOKING_UP,
    builtin::HTTP_REQ_CONNECTING,
    builtin::HTTP_REQ_TLS_HANDSHAKING,
    builtin::HTTP_REQ_SENDING,
    builtin::HTTP_REQ_WAITING,
    builtin::HTTP_REQ_RECEIVING,
];

/// What a series adds to: a place in the whole, and rows of tables.
#[derive(Clone, Debug)]
enum Adds {
    Requests { row: Option<u16>, scenario: Option<u16>, status: Arc<str> },
    Failed { row: Option<u16>, scenario: Option<u16> },
    Duration { row: Option<u16>, scenario: Option<u16> },
    Intended,
    Phase(usize),
    Sent { row: Option<u16> },
    Received { row: Option<u16> },
    Opened,
    Iterations { scenario: Option<u16> },
    IterationsFailed { scenario: Option<u16> },
    IterationsInterrupted,
    IterationsDropped,
    IterationDuration { scenario: Option<u16> },
    Group(Option<u16>),
    Check(Option<u16>),
}

/// Sums over the whole run.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub requests: u64,
    pub failed: u64,
    pub iterations: u64,
    pub iterations_failed: u64,
    pub iterations_interrupted: u64,
    pub iterations_dropped: u64,
    pub checks: u64,
    pub checks_ok: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub latency: TrendSink,
    pub intended: TrendSink,
    pub iteration_duration: TrendSink,
}

/// Where the run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Starting,
    Running,
    Stopping,
    Ended,
}

/// Something that happened, for the page's time axis.
#[derive(Clone, Debug)]
pub(super) struct Happened {
    pub at_s: f64,
    /// `control`, `threshold`, `stop` or `warning`.
    pub kind: &'static str,
    pub bad: bool,
    pub text: String,
}

/// The state.
#[derive(Debug)]
pub(super) struct Model {
    pub info: Option<Arc<RunInfo>>,
    pub phase: Phase,
    pub slices: Columns<Slice>,
    pub totals: Totals,
    pub requests: Table<RequestTally>,
    pub scenarios: Table<ScenarioTally>,
    pub groups: Table<GroupTally>,
    pub checks: Table<CheckTally>,
    pub errors: Table<ErrorTally>,
    pub happened: Vec<Happened>,
    pub warnings: Vec<Warning>,
    pub marks: Vec<Mark>,
    /// The latest second, without its snapshots.
    pub now: Option<Second>,
    pub lost_seconds: u64,
    pub report: Option<Arc<Report>>,
    /// The report as it stood some seconds ago, while the run goes on.
    pub so_far: Option<Arc<Report>>,
    series: FxHashMap<(SourceId, SeriesId), Adds>,
    next_second: u32,
    gathered: Gathered,
}

/// Distributions of one snapshot over all its series: a column takes them at one go, not series by series.
#[derive(Debug, Default)]
struct Gathered {
    latency: TrendSink,
    intended: TrendSink,
    phases: [TrendSink; PHASES.len()],
}

impl Gathered {
    fn hand_over(&mut self, slice: &mut Slice, totals: &mut Totals) {
        let latency = self.latency.take();
        slice.latency.absorb(&latency);
        totals.latency.absorb(&latency);
        let intended = self.intended.take();
        slice.intended.absorb(&intended);
        totals.intended.absorb(&intended);
        for (phase, gathered) in slice.phases.iter_mut().zip(&mut self.phases) {
            phase.absorb(&gathered.take());
        }
    }
}

impl Model {
    /// One that has seen nothing.
    pub fn new() -> Self {
        Self {
            info: None,
            phase: Phase::default(),
            slices: Columns::new(COLUMNS),
            totals: Totals::default(),
            requests: Table::new(REQUESTS_MAX),
            scenarios: Table::new(GROUPS_MAX),
            groups: Table::new(GROUPS_MAX),
            checks: Table::new(CHECKS_MAX),
            errors: Table::new(ERRORS_MAX),
            happened: Vec::new(),
            warnings: Vec::new(),
            marks: Vec::new(),
            now: None,
            lost_seconds: 0,
            report: None,
            so_far: None,
            series: FxHashMap::default(),
            next_second: 0,
            gathered: Gathered::default(),
        }
    }

    /// How long the load has lasted.
    pub fn elapsed(&self) -> Duration {
        self.now.as_ref().map_or(Duration::ZERO, |second| second.elapsed)
    }

    /// Takes an event; whether the page is to be drawn anew.
    pub fn apply(&mut self, event: &RunEvent) -> bool {
        match event {
            RunEvent::Started(info) => {
                self.info = Some(info.clone());
                self.phase = Phase::Running;
            }
            RunEvent::Tick(second) => self.second(second),
            RunEvent::Warning(warning) => {
                self.happen("warning", false, warning.message.clone());
                if self.warnings.len() < EVENTS_MAX {
                    self.warnings.push(warning.clone());
                }
                return false;
            }
            RunEvent::ThresholdCrossed { metric, expression, ok, value, .. } => {
                let found = value.map_or_else(String::new, |value| {
                    format!(" ({})", super::super::values::of_builtin(metric, expression, value))
                });
                let how = if *ok { "holds again" } else { "fails" };
                self.happen("threshold", !ok, format!("{metric}: {expression} {how}{found}"));
                return false;
            }
            RunEvent::Changed(change) => {
                let scenario = change.scenario.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
                self.happen_at(change.at_s, "control", false, format!("{scenario}{}", change.describe()));
                return false;
            }
            RunEvent::Stopping { reason } => {
                self.phase = Phase::Stopping;
                self.happen("stop", true, reason.clone());
                return false;
            }
            RunEvent::SoFar(report) => {
                self.so_far = Some(report.clone());
                return false;
            }
            RunEvent::Ended(report) => {
                self.so_far = None;
                self.phase = Phase::Ended;
                self.report = Some(report.clone());
            }
            RunEvent::Log(_) | RunEvent::Samples(_) => return false,
        }
        true
    }

    fn happen(&mut self, kind: &'static str, bad: bool, text: String) {
        self.happen_at(self.elapsed().as_secs_f64(), kind, bad, text);
    }

    fn happen_at(&mut self, at_s: f64, kind: &'static str, bad: bool, text: String) {
        if self.happened.len() < EVENTS_MAX {
            self.happened.push(Happened { at_s, kind, bad, text });
        }
    }

    fn second(&mut self, second: &Second) {
        self.lost_seconds += u64::from(second.second.saturating_sub(self.next_second));
        self.next_second = second.second.saturating_add(1);
        for snapshot in &second.snapshots {
            self.absorb(snapshot);
        }
        let rates = second.scenarios.iter().filter_map(|scenario| scenario.rate_target);
        let state = State {
            vus: second.vus,
            vus_target: second.scenarios.iter().map(|scenario| scenario.vus_target).sum(),
            rate_target: rates.reduce(|all, rate| all + rate),
            generator: second.generator,
        };
        self.slices.at(second.second).end_of_second(state);
        for row in self.requests.rows.iter_mut().filter_map(|row| row.columns.as_mut()) {
            row.reach(second.second);
        }
        let room = MARKS_MAX.saturating_sub(self.marks.len());
        self.marks.extend(second.marks.iter().take(room).cloned());
        // The snapshots are of no more use, and large.
        self.now = Some(Second { snapshots: Vec::new(), ..second.clone() });
    }

    fn absorb(&mut self, snapshot: &Snapshot) {
        for def in &snapshot.new_series {
            if let Some(adds) = self.adds(def) {
                self.series.insert((snapshot.source, def.id), adds);
            }
        }
        let slice = self.slices.at(snapshot.second);
        let (totals, gathered) = (&mut self.totals, &mut self.gathered);
        for (id, delta) in &snapshot.sinks {
            let Some(adds) = self.series.get(&(snapshot.source, *id)) else { continue };
            match (adds, delta) {
                (Adds::Requests { row, scenario, status }, SinkDelta::Counter { sum }) => {
                    // Built-in counters are whole and never negative.
                    let count = *sum as u64;
                    (slice.requests, totals.requests) = (slice.requests + count, totals.requests + count);
                    if let Some(row) = self.requests.row(*row) {
                        row.requests += count;
                        *row.statuses.entry(status.clone()).or_default() += count;
                        if let Some(columns) = &mut row.columns {
                            columns.at(snapshot.second).requests += count;
                        }
                    }
                    if let Some(scenario) = self.scenarios.row(*scenario) {
                        scenario.requests += count;
                    }
                }
                (Adds::Failed { row, scenario }, SinkDelta::Rate { passes, .. }) => {
                    (slice.failed, totals.failed) = (slice.failed + passes, totals.failed + passes);
                    if let Some(row) = self.requests.row(*row) {
                        row.failed += passes;
                        if let Some(columns) = &mut row.columns {
                            columns.at(snapshot.second).failed += passes;
                        }
                    }
                    if let Some(scenario) = self.scenarios.row(*scenario) {
                        scenario.failed += passes;
                    }
                }
                (Adds::Duration { row, scenario }, SinkDelta::Trend(trend)) => {
                    gathered.latency.absorb(trend);
                    if let Some(row) = self.requests.row(*row) {
                        row.latency.absorb(trend);
                        if let Some(columns) = &mut row.columns {
                            columns.at(snapshot.second).latency.absorb(trend);
                        }
                    }
                    if let Some(scenario) = self.scenarios.row(*scenario) {
                        scenario.latency.absorb(trend);
                    }
                }
                (Adds::Intended, SinkDelta::Trend(trend)) => {
                    gathered.intended.absorb(trend);
                }
                (Adds::Phase(phase), SinkDelta::Trend(trend)) => gathered.phases[*phase].absorb(trend),
                (Adds::Sent { row }, SinkDelta::Counter { sum }) => {
                    let bytes = *sum as u64;
                    (slice.bytes_sent, totals.bytes_sent) = (slice.bytes_sent + bytes, totals.bytes_sent + bytes);
                    if let Some(row) = self.requests.row(*row) {
                        row.bytes_sent += bytes;
                    }
                }
                (Adds::Received { row }, SinkDelta::Counter { sum }) => {
                    let bytes = *sum as u64;
                    slice.bytes_received += bytes;
                    totals.bytes_received += bytes;
                    if let Some(row) = self.requests.row(*row) {
                        row.bytes_received += bytes;
                    }
                }
                (Adds::Opened, SinkDelta::Counter { sum }) => slice.opened += *sum as u64,
                (Adds::Iterations { scenario }, SinkDelta::Counter { sum }) => {
                    slice.iterations += *sum as u64;
                    totals.iterations += *sum as u64;
                    if let Some(scenario) = self.scenarios.row(*scenario) {
                        scenario.iterations += *sum as u64;
                    }
                }
                (Adds::IterationsFailed { scenario }, SinkDelta::Counter { sum }) => {
                    slice.iterations_failed += *sum as u64;
                    totals.iterations_failed += *sum as u64;
                    if let Some(scenario) = self.scenarios.row(*scenario) {
                        scenario.iterations_failed += *sum as u64;
                    }
                }
                (Adds::IterationsInterrupted, SinkDelta::Counter { sum }) => {
                    totals.iterations_interrupted += *sum as u64;
                }
                (Adds::IterationsDropped, SinkDelta::Counter { sum }) => {
                    slice.iterations_dropped += *sum as u64;
                    totals.iterations_dropped += *sum as u64;
                }
                (Adds::IterationDuration { scenario }, SinkDelta::Trend(trend)) => {
                    totals.iteration_duration.absorb(trend);
                    if let Some(scenario) = self.scenarios.row(*scenario) {
                        scenario.iteration_duration.absorb(trend);
                    }
                }
                (Adds::Group(group), SinkDelta::Trend(trend)) => {
                    if let Some(group) = self.groups.row(*group) {
                        group.duration.absorb(trend);
                    }
                }
                (Adds::Check(check), SinkDelta::Rate { passes, total }) => {
                    (slice.checks, totals.checks) = (slice.checks + total, totals.checks + total);
                    (slice.checks_ok, totals.checks_ok) = (slice.checks_ok + passes, totals.checks_ok + passes);
                    if let Some(check) = self.checks.row(*check) {
                        check.passes += passes;
                        check.fails += total.saturating_sub(*passes);
                    }
                }
                _ => {}
            }
        }
        gathered.hand_over(slice, totals);
        for error in &snapshot.errors {
            let class = format!("{}, {}", error.key.code, error.key.side.as_str()).into();
            let make = |_| ErrorTally {
                code: error.key.code,
                side: error.key.side,
                message: error.key.message.clone(),
                count: 0,
                first_second: snapshot.second,
                example: String::new(),
            };
            let place = self.errors.place(&error.key.message, &class, make);
            if let (Some(row), Some(kind)) = (self.errors.row(place), place) {
                row.count += error.count;
                row.first_second = row.first_second.min(snapshot.second);
                if let Some(example) = error.example.as_ref().filter(|_| row.example.is_empty()) {
                    row.example.clone_from(example);
                }
                slice.add_errors(kind, error.count);
            }
        }
    }

    /// What a series adds to; none when the page has no use for it.
    fn adds(&mut self, def: &SeriesDef) -> Option<Adds> {
        let metric = def.metric;
        if let Some(phase) = PHASE_METRICS.iter().position(|&phase| phase == metric) {
            return Some(Adds::Phase(phase));
        }
        let tags = &def.tags;
        Some(match metric {
            builtin::HTTP_REQS => {
                let status = Some(tag(tags, "status")).filter(|status| !status.is_empty());
                let status = status.unwrap_or_else(|| "0".into());
                Adds::Requests { row: self.request(tags), scenario: self.scenario(tags), status }
            }
            builtin::HTTP_REQ_FAILED => Adds::Failed { row: self.request(tags), scenario: self.scenario(tags) },
            builtin::HTTP_REQ_DURATION => Adds::Duration { row: self.request(tags), scenario: self.scenario(tags) },
            builtin::HTTP_REQ_DURATION_INTENDED => Adds::Intended,
            builtin::DATA_SENT => Adds::Sent { row: self.request(tags) },
            builtin::DATA_RECEIVED => Adds::Received { row: self.request(tags) },
            builtin::HTTP_CONNS_OPENED => Adds::Opened,
            builtin::ITERATIONS => Adds::Iterations { scenario: self.scenario(tags) },
            builtin::ITERATIONS_FAILED => Adds::IterationsFailed { scenario: self.scenario(tags) },
            builtin::ITERATIONS_INTERRUPTED => Adds::IterationsInterrupted,
            builtin::DROPPED_ITERATIONS => Adds::IterationsDropped,
            builtin::ITERATION_DURATION => Adds::IterationDuration { scenario: self.scenario(tags) },
            builtin::GROUP_DURATION => {
                let name = group(tags);
                let make = |_| GroupTally { name: name.clone(), ..GroupTally::default() };
                Adds::Group(self.groups.place(&name, &"".into(), make))
            }
            builtin::CHECKS => {
                let (group, name) = (group(tags), tag(tags, "check"));
                let make = |_| CheckTally { group: group.clone(), name: name.clone(), ..CheckTally::default() };
                Adds::Check(self.checks.place(&group, &name, make))
            }
            _ => return None,
        })
    }

    /// The row of a request; none for what is no request's, and when there are too many.
    fn request(&mut self, tags: &[Tag]) -> Option<u16> {
        let (name, method) = (tag(tags, "name"), tag(tags, "method"));
        if name.is_empty() && method.is_empty() {
            return None;
        }
        let make = |place| RequestTally {
            name: name.clone(),
            method: method.clone(),
            requests: 0,
            failed: 0,
            bytes_sent: 0,
            bytes_received: 0,
            statuses: std::collections::BTreeMap::new(),
            latency: TrendSink::default(),
            columns: (place < REQUESTS_WITH_COLUMNS).then(|| Columns::new(REQUEST_COLUMNS)),
        };
        self.requests.place(&name, &method, make)
    }

    fn scenario(&mut self, tags: &[Tag]) -> Option<u16> {
        let name = tag(tags, "scenario");
        if name.is_empty() {
            return None;
        }
        let make = |_| ScenarioTally { name: name.clone(), ..ScenarioTally::default() };
        self.scenarios.place(&name, &"".into(), make)
    }

    /// What has changed since this was last called.
    pub fn take_changed(&mut self) -> Changed {
        let of_request = |row: &mut RequestTally| row.columns.as_mut().map_or(0, Columns::take_dirty);
        Changed { columns: self.slices.take_dirty(), requests: self.requests.rows.iter_mut().map(of_request).collect() }
    }

    /// The page's word for where the run is.
    pub fn state(&self) -> &'static str {
        let paused = self.now.as_ref().is_some_and(|second| second.paused);
        match self.phase {
            Phase::Starting => "starting",
            Phase::Running if paused => "paused",
            Phase::Running => "running",
            Phase::Stopping => "stopping",
            Phase::Ended => "ended",
        }
    }
}

/// A scenario's state in the page's words.
pub(super) fn scenario_state(state: ScenarioState) -> &'static str {
    match state {
        ScenarioState::Waiting => "waiting",
        ScenarioState::Running => "running",
        ScenarioState::Stopping => "stopping",
        ScenarioState::Done => "done",
    }
}

fn tag(tags: &[Tag], key: &str) -> Arc<str> {
    tags.iter().find(|(known, _)| &**known == key).map_or_else(|| "".into(), |(_, value)| value.clone())
}

/// The group's path, without the separator that a path may begin with.
fn group(tags: &[Tag]) -> Arc<str> {
    let path = tag(tags, "group");
    path.strip_prefix("::").map_or_else(|| path.clone(), Into::into)
}
