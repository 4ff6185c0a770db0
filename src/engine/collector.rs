//! Where a run's numbers come together: once a second the collector merges the snapshots of all sources, judges the
//! thresholds and makes the [`Second`] that outputs see; at the end it makes the [`Report`] with its verdict.
//!
//! It reads no clock and does no IO: time and snapshots come in as arguments. A worker thread, a remote agent and a
//! server monitor are all the same to it: sources of snapshots.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{RunEvent, ScenarioNow, Second};
use crate::metric::Catalogue;
use crate::metric::snapshot::{Snapshot, SourceId};
use crate::metric::store::Tags;
use crate::metric::threshold::Threshold;
use crate::report::{GeneratorSummary, Report, RunInfo};
use crate::vu::Abort;

/// The source under which the collector itself hands on the engine's gauges (`vus`, `vus_max`). Workers must use
/// other numbers.
pub const ENGINE_SOURCE: SourceId = SourceId(u32::MAX);

/// What is known of a run before it starts.
#[derive(Clone, Debug, Default)]
pub struct RunFacts {
    /// What is run; `duration_s` is filled in at the end.
    pub info: RunInfo,
    /// The run's own tags, which the engine's gauges carry too.
    pub tags: Tags,
    /// The opt-out of fail-by-default ([`crate::plan::Plan::allow_failure`]).
    pub allow_failure: bool,
    /// What was adjusted before the start ([`crate::plan::Plan::notes`]); it opens the report's warnings.
    pub notes: Vec<String>,
}

/// What the engine itself knows at the end of a second.
#[derive(Clone, Debug, Default)]
pub struct EngineNow {
    /// Running VUs, over all workers.
    pub vus: u64,
    /// The most VUs that the run may have.
    pub vus_max: u64,
    /// Scenarios, in the order of the plan.
    pub scenarios: Vec<ScenarioNow>,
}

/// How the run ended.
#[derive(Clone, Debug, Default)]
pub struct EndFacts {
    /// How long the load lasted, without setup and teardown: what rates are divided by.
    pub duration: Duration,
    /// Whether the user interrupted it (Ctrl-C, SIGTERM).
    pub interrupted: bool,
    /// Why a VU ended the whole run.
    pub abort: Option<Abort>,
    /// What else kept the run from its plan, in words: `setup` or `teardown` failed, a worker was lost.
    pub failure: Option<String>,
    /// How the generator fared. Its counts of dropped and interrupted iterations are raised to those of the metrics
    /// `dropped_iterations` and `iterations_interrupted`.
    pub generator: GeneratorSummary,
}

/// Merges, judges, reports.
#[derive(Debug)]
pub struct Collector {}

impl Collector {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>, thresholds: Vec<Threshold>, facts: RunFacts) -> Self {
        let _ = (catalogue, thresholds, facts);
        todo!()
    }

    /// Takes what all sources recorded in a second, and the engine's state at its end. `elapsed` is the time since the
    /// start. Snapshots of earlier seconds (from a late source) are welcome. Events that come back are
    /// [`RunEvent::Warning`] and [`RunEvent::ThresholdCrossed`]; one that `aborts` asks the engine to end the run.
    pub fn second(
        &mut self,
        second: u32,
        elapsed: Duration,
        snapshots: Vec<Arc<Snapshot>>,
        engine: EngineNow,
    ) -> (Second, Vec<RunEvent>) {
        let _ = (second, elapsed, snapshots, engine);
        todo!()
    }

    /// Why a threshold asked for the end of the run; none when none did.
    #[must_use]
    pub fn threshold_abort(&self) -> Option<&str> {
        todo!()
    }

    /// The report. Call [`Collector::second`] with the last, partial snapshots first.
    #[must_use]
    pub fn finish(self, end: EndFacts) -> Report {
        let _ = end;
        todo!()
    }
}
