//! What a run tells those who watch it: outputs, the live view, later the live page.
//!
//! An event is a value; whoever takes it can't slow a VU. Outputs see one-second snapshots and events, and samples where
//! they ask for them.

use std::sync::Arc;
use std::time::Duration;

use crate::fault::Side;
use crate::metric::Catalogue;
use crate::metric::sample::{Names, Rows};
use crate::metric::snapshot::Snapshot;
use crate::report::{Change, GeneratorPoint, Mark, PointLatency, Report, RunInfo, ThresholdSummary};

/// Something happened.
#[derive(Clone, Debug)]
pub enum RunEvent {
    /// The load begins. `setup` has run.
    Started(Arc<RunInfo>),
    /// A second has passed.
    Tick(Arc<Second>),
    /// The user should know something.
    Warning(Warning),
    /// The script printed a line (`print`, `log`).
    Log(LogLine),
    /// A threshold changed sides while the run goes on.
    ThresholdCrossed {
        /// The metric, with its selector.
        metric: String,
        /// The expression.
        expression: String,
        /// Whether it holds now.
        ok: bool,
        /// What was found.
        value: Option<f64>,
        /// Whether it ends the run.
        aborts: bool,
    },
    /// Somebody changed the run from outside.
    Changed(Change),
    /// The run is stopping before its plan is done.
    Stopping {
        /// Why, in words.
        reason: String,
    },
    /// Single requests and values; only outputs that ask for them get them.
    Samples(Samples),
    /// The report as it would be if the run ended now: every few seconds, and only to outputs that ask for it.
    SoFar(Arc<Report>),
    /// The run is over.
    Ended(Arc<Report>),
}

/// News of single requests and values.
#[derive(Clone, Debug)]
pub enum Samples {
    /// What the numbers in rows that follow mean.
    Names(Arc<Names>),
    /// Requests and values.
    Rows(Arc<Rows>),
    /// So many were left out for the one that hears this: there was no room for them.
    Lost(u64),
}

/// A warning says what happened, why it matters and what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What happened, in one sentence.
    pub message: String,
    /// What to change; may be empty.
    pub hint: String,
}

/// How urgent a line of the script is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For whoever looks for a mistake.
    Debug,
    /// `print` and `log::info`.
    Info,
    /// Something odd.
    Warn,
    /// Something wrong; script errors too.
    Error,
}

/// A line that a script printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How urgent.
    pub level: LogLevel,
    /// The text.
    pub text: String,
    /// Which VU; 0 for init, setup and teardown.
    pub vu: u32,
}

/// The merged state at the end of one second.
#[derive(Clone, Debug, Default)]
pub struct Second {
    /// Which, from 0.
    pub second: u32,
    /// Time since the start.
    pub elapsed: Duration,
    /// Running VUs.
    pub vus: u64,
    /// The most VUs that the run may have.
    pub vus_max: u64,
    /// Whether the run is paused: no iterations start.
    pub paused: bool,
    /// Iterations completed since the start.
    pub iterations: u64,
    /// Iterations that ended with an error since the start.
    pub iterations_failed: u64,
    /// Requests since the start.
    pub requests: u64,
    /// Failed requests since the start.
    pub requests_failed: u64,
    /// Requests in this second.
    pub requests_now: u64,
    /// Failed requests in this second.
    pub requests_failed_now: u64,
    /// Checks that held since the start.
    pub checks_passed: u64,
    /// Checks made since the start.
    pub checks: u64,
    /// Bytes read since the start.
    pub bytes_received: u64,
    /// Bytes written since the start.
    pub bytes_sent: u64,
    /// Durations of the requests of the last seconds (at most ten).
    pub recent: Option<PointLatency>,
    /// Errors since the start, the most frequent first; at most twenty.
    pub errors: Vec<ErrorNow>,
    /// How the generator fared in this second.
    pub generator: GeneratorPoint,
    /// Changes of the load that fall into this second.
    pub marks: Vec<Mark>,
    /// Scenarios, in the order of the plan.
    pub scenarios: Vec<ScenarioNow>,
    /// Thresholds, as they stand now; one without data yet has no value, and is taken to hold.
    pub thresholds: Vec<ThresholdSummary>,
    /// The snapshots of this second, one a source, for outputs that keep series.
    pub snapshots: Vec<Arc<Snapshot>>,
    /// What the metrics of the snapshots are.
    pub catalogue: Arc<Catalogue>,
}

/// An error's count so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorNow {
    /// The stable numeric class.
    pub code: u32,
    /// What failed.
    pub message: Arc<str>,
    /// Whose side.
    pub side: Side,
    /// How often so far.
    pub count: u64,
}

/// A scenario's progress.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScenarioNow {
    /// Its name.
    pub name: Arc<str>,
    /// Its executor's name.
    pub executor: &'static str,
    /// Its VUs that are running.
    pub vus: u64,
    /// The VUs that its plan wants now.
    pub vus_target: u64,
    /// Of open load, the iterations that are to start a second now.
    pub rate_target: Option<f64>,
    /// Iterations it completed.
    pub iterations: u64,
    /// Iterations it is to make, where that is planned.
    pub iterations_planned: Option<u64>,
    /// How much of it is done, 0 to 1.
    pub progress: f64,
    /// How long it is planned to take, where that is known.
    pub planned: Option<Duration>,
    /// `waiting`, `running`, `stopping` or `done`.
    pub state: ScenarioState,
}

/// Where a scenario is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScenarioState {
    /// Its start time has not come.
    #[default]
    Waiting,
    /// It starts iterations.
    Running,
    /// It starts none, and waits for those that run.
    Stopping,
    /// It is over.
    Done,
}
