//! Where a run's numbers come together: once a second the collector merges the snapshots of all sources, judges the
//! thresholds and makes the [`Second`] that outputs see; at the end it makes the [`Report`] with its verdict.
//!
//! It reads no clock and does no IO: time and snapshots come in as arguments. A worker thread, a remote agent and a
//! server monitor are all the same to it: sources of snapshots. The tables of the report are in [`summary`], stretches of
//! the run by themselves in [`windows`], whether the generator was the limit in [`limits`], the verdict in [`verdict`].

use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashSet;

use crate::event::{ErrorNow, RunEvent, ScenarioNow, Second, Warning};
use crate::metric::snapshot::{
    CardinalityWarning, SNAPSHOT_VERSION, SeriesDef, SeriesId, SinkDelta, Snapshot, SourceId,
};
use crate::metric::store::{AbsorbError, Store, Tags};
use crate::metric::threshold::{Judgement, Threshold};
use crate::metric::{Catalogue, builtin};
use crate::plan::Phases;
use crate::report::advice::advise;
use crate::report::{
    Change, ChangeKind, GeneratorPoint, GeneratorSummary, Mark, MarkKind, Report, RunInfo, SCHEMA, Series,
    ThresholdSummary,
};
use crate::vu::Abort;

mod examples;
mod limits;
mod summary;
mod verdict;
mod windows;

pub use limits::{LATE_MS, Machine};

use examples::{Examples, Teller};
use limits::Limits;
use windows::Windows;

/// Errors that a [`Second`] tells.
const ERRORS_PER_SECOND: usize = 20;

/// Warnings that a report keeps; each is told once, and what could make more of them is broken.
const MAX_WARNINGS: usize = 100;

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
    /// Whether a run fails that the generator shaped ([`crate::plan::Plan::require_healthy`]).
    pub require_healthy: bool,
    /// What the plan's load does over time.
    pub phases: Phases,
    /// What the generator runs on.
    pub machine: Machine,
}

/// What the engine itself knows at the end of a second.
#[derive(Clone, Debug, Default)]
pub struct EngineNow {
    /// Running VUs, over all workers.
    pub vus: u64,
    /// The most VUs that ran at one time in this second: each scenario's on each worker, added up.
    pub vus_peak: u64,
    /// The most VUs that the run may have.
    pub vus_max: u64,
    /// How the generator fared in the second; what it dropped and started late is counted by the collector.
    pub generator: GeneratorPoint,
    /// Whether the run is paused.
    pub paused: bool,
    /// Scenarios, in the order of the plan.
    pub scenarios: Vec<ScenarioNow>,
}

/// How the run ended.
#[derive(Clone, Debug, Default)]
pub struct EndFacts {
    /// How long the load lasted, without setup and teardown: what rates are divided by.
    pub duration: Duration,
    /// How long after the engine's start the load began.
    pub load_began: Duration,
    /// Whether the user interrupted it (Ctrl-C, SIGTERM).
    pub interrupted: bool,
    /// Why a VU ended the whole run.
    pub abort: Option<Abort>,
    /// What else kept the run from its plan, in words: `setup` or `teardown` failed, a worker was lost.
    pub failure: Option<String>,
    /// How the generator fared at most. Its counts of dropped and interrupted iterations are raised to those of the metrics
    /// `dropped_iterations` and `iterations_interrupted`; whether it shaped the result is judged by the collector.
    pub generator: GeneratorSummary,
}

/// A threshold and what was last said about it.
#[derive(Debug)]
struct Watched {
    threshold: Threshold,
    /// Whether it held when it last had data; at first it is taken to hold.
    held: bool,
    /// What was found then.
    value: Option<f64>,
}

impl Watched {
    fn now(&self) -> ThresholdSummary {
        ThresholdSummary {
            metric: self.threshold.key().into(),
            expression: self.threshold.expression().into(),
            ok: self.held,
            value: self.value,
        }
    }
}

/// That a threshold asked for the end of the run.
#[derive(Debug)]
struct ThresholdAbort {
    /// Which, in the order in which they were given.
    index: usize,
    /// What was found then.
    value: Option<f64>,
    /// For people.
    text: String,
}

/// Merges, judges, reports.
#[derive(Debug)]
pub struct Collector {
    store: Store,
    thresholds: Vec<Watched>,
    facts: RunFacts,
    windows: Windows,
    limits: Limits,
    examples: Examples,
    /// Whether the engine's series have been defined.
    engine_told: bool,
    warnings: Vec<String>,
    /// Tags that were blamed already: ten metrics that suffer from one tag make one warning.
    blamed: FxHashSet<Arc<str>>,
    /// Sources whose snapshots made no sense; each is told once.
    broken: FxHashSet<SourceId>,
    threshold_abort: Option<ThresholdAbort>,
    /// What was changed from outside; whoever takes the changes bounds them.
    changes: Vec<Change>,
}

impl Collector {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>, thresholds: Vec<Threshold>, facts: RunFacts) -> Self {
        let mut warnings = facts.notes.clone();
        if let Some(left_out) = Windows::stages_left_out(&facts.phases) {
            warnings.push(format!(
                "{left_out} stages are not summarised one by one, only the first {}",
                windows::STAGES_MAX
            ));
        }
        Self {
            windows: Windows::new(&facts.phases),
            limits: Limits::new(facts.machine, &facts.info),
            examples: Examples::default(),
            store: Store::new(catalogue),
            thresholds: thresholds
                .into_iter()
                .map(|threshold| Watched { threshold, held: true, value: None })
                .collect(),
            warnings,
            facts,
            engine_told: false,
            blamed: FxHashSet::default(),
            broken: FxHashSet::default(),
            threshold_abort: None,
            changes: Vec::new(),
        }
    }

    /// Takes what all sources recorded in a second, and the engine's state at its end. `elapsed` is the time since the
    /// start. Snapshots of earlier seconds (from a late source) are welcome, but each source's must come in the order
    /// in which it took them. Events that come back are [`RunEvent::Warning`] and [`RunEvent::ThresholdCrossed`]; one
    /// that `aborts` asks the engine to end the run.
    pub fn second(
        &mut self,
        second: u32,
        elapsed: Duration,
        mut snapshots: Vec<Arc<Snapshot>>,
        engine: EngineNow,
    ) -> (Second, Vec<RunEvent>) {
        self.facts.info.vus_max = self.facts.info.vus_max.max(engine.vus_max);
        snapshots.push(Arc::new(self.engine_snapshot(second, &engine)));
        let mut events = Vec::new();
        for snapshot in &snapshots {
            if let Err(error) = self.store.absorb(snapshot)
                && self.broken.len() < MAX_WARNINGS
                && self.broken.insert(snapshot.source)
            {
                self.warn(lost_numbers(&error), &mut events);
            }
            // From the first change on, stages and plateaus are not those of the plan.
            if self.planned_until().is_none_or(|until| snapshot.second < until) {
                self.windows.absorb(snapshot);
            }
            self.limits.absorb(snapshot);
            self.examples.absorb(snapshot);
            for warning in &snapshot.warnings {
                if self.blamed.len() < MAX_WARNINGS && self.blamed.insert(warning.tag.clone()) {
                    let warning = too_many_series(warning, self.store.catalogue());
                    self.warn(warning, &mut events);
                }
            }
        }
        self.store.close_second();
        let generator = self.limits.point(second, engine.generator);
        self.judge(elapsed, &mut events);

        let totals = self.store.totals();
        let now = self.store.seconds().get(&second).map(|second| second.totals).unwrap_or_default();
        let errors = self.store.errors().into_iter().take(ERRORS_PER_SECOND).map(|error| ErrorNow {
            code: error.key.code,
            message: error.key.message.clone(),
            side: error.key.side,
            count: error.count,
        });
        let second = Second {
            second,
            elapsed,
            vus: engine.vus,
            vus_max: engine.vus_max,
            paused: engine.paused,
            iterations: totals.iterations,
            iterations_failed: totals.iterations_failed,
            requests: totals.requests,
            requests_failed: totals.requests_failed,
            requests_now: now.requests,
            requests_failed_now: now.requests_failed,
            checks_passed: totals.checks_passed,
            checks: totals.checks,
            bytes_received: totals.bytes_received,
            bytes_sent: totals.bytes_sent,
            recent: self.store.recent(second).map(summary::point_latency),
            errors: errors.collect(),
            generator,
            marks: self.marks_in(second),
            scenarios: engine.scenarios,
            thresholds: self.thresholds.iter().map(Watched::now).collect(),
            snapshots,
            catalogue: self.store.catalogue().clone(),
        };
        (second, events)
    }

    /// Keeps what was changed from outside, for the report.
    pub fn changed(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// The second of the first change of the load: what the plan says does not hold from there on.
    fn planned_until(&self) -> Option<u32> {
        // Seconds are small and never negative.
        self.changes.iter().find(|change| change.what != ChangeKind::Stop).map(|change| change.at_s as u32)
    }

    /// The marks of a second: those of the plan as long as it holds, and changes.
    fn marks_in(&self, second: u32) -> Vec<Mark> {
        let of_plan = self.planned_until().is_none_or(|until| second < until);
        let mut marks = if of_plan { self.windows.marks_in(second) } else { Vec::new() };
        marks.extend(self.changes.iter().filter(|change| change.at_s as u32 == second).map(mark_of));
        marks
    }

    /// Why a threshold asked for the end of the run; none when none did.
    #[must_use]
    pub fn threshold_abort(&self) -> Option<&str> {
        self.threshold_abort.as_ref().map(|abort| &*abort.text)
    }

    /// The merged state so far.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The report of a run that ended so: also while it goes on, as if it ended now. At its end, call [`Collector::second`] with
    /// the last, partial snapshots first.
    #[must_use]
    pub fn report(&self, end: &EndFacts) -> Report {
        let planned = self.planned_until().map_or(end.duration, |until| Duration::from_secs(until.into()));
        let planned = planned.min(end.duration);
        let Self { store, thresholds, facts, windows, limits, examples, warnings, threshold_abort, changes, .. } = self;
        let judged: Vec<(&Threshold, Judgement)> = thresholds
            .iter()
            .map(|Watched { threshold, .. }| (threshold, threshold.evaluate(store, end.duration)))
            .collect();
        let limited = limits.judge(end.duration);
        let cautions: Vec<String> = limited.iter().map(limits::sentence).collect();
        let verdict = verdict::verdict(&verdict::Evidence {
            store,
            thresholds: &judged,
            end,
            threshold_abort: threshold_abort.as_ref().map(|abort| (abort.index, abort.value)),
            allow_failure: facts.allow_failure,
            cautions: &cautions,
            require_healthy: facts.require_healthy,
        });
        let mut marks = windows.marks(planned);
        marks.extend(changes.iter().map(mark_of));
        let totals = store.totals();
        let mut generator = end.generator.clone();
        generator.dropped_iterations = generator.dropped_iterations.max(totals.iterations_dropped);
        generator.interrupted_iterations = generator.interrupted_iterations.max(totals.iterations_interrupted);
        generator.late_iterations = limits.late();
        (generator.limited, generator.reasons, generator.limits) = (!limited.is_empty(), cautions, limited);
        let teller = Teller { info: &facts.info, load_began: end.load_began };
        let (slowest, errors) = (examples.slowest(&teller), summary::errors(store, examples, &teller));
        let mut report = Report {
            schema: SCHEMA.into(),
            run: RunInfo { duration_s: end.duration.as_secs_f64(), ..facts.info.clone() },
            verdict,
            advice: Vec::new(),
            metrics: summary::metrics(store, judged.iter().map(|(threshold, _)| *threshold), end.duration),
            requests: summary::requests(store, end.duration),
            checks: summary::checks(store),
            thresholds: summary::thresholds(&judged, facts.allow_failure),
            errors,
            slowest,
            generator,
            steady: windows.steady(planned),
            stages: windows.stages(planned),
            series: Series { interval_s: 1, points: summary::points(store, limits), marks, events: changes.clone() },
            warnings: warnings.clone(),
        };
        report.advice = advise(&report);
        report
    }

    fn warn(&mut self, warning: Warning, events: &mut Vec<RunEvent>) {
        let text = match &*warning.hint {
            "" => warning.message.clone(),
            hint => format!("{}; {hint}", warning.message),
        };
        if self.warnings.len() < MAX_WARNINGS && !self.warnings.contains(&text) {
            self.warnings.push(text);
            events.push(RunEvent::Warning(warning));
        }
    }

    fn judge(&mut self, elapsed: Duration, events: &mut Vec<RunEvent>) {
        for (index, Watched { threshold, held, value: last }) in self.thresholds.iter_mut().enumerate() {
            let Judgement { ok, value, no_data } = threshold.evaluate(&self.store, elapsed);
            *last = value.filter(|_| !no_data);
            if no_data {
                // There may be some yet; only at the end its absence counts.
                continue;
            }
            let in_force = threshold.abort_on_fail && elapsed >= threshold.delay_abort_eval;
            let aborts = !ok && in_force && self.threshold_abort.is_none();
            if aborts {
                let text = format!("threshold `{}` on `{}` failed", threshold.expression(), threshold.key());
                self.threshold_abort = Some(ThresholdAbort { index, value, text });
            }
            if ok != *held || aborts {
                events.push(RunEvent::ThresholdCrossed {
                    metric: threshold.key().into(),
                    expression: threshold.expression().into(),
                    ok,
                    value,
                    aborts,
                });
            }
            *held = ok;
        }
    }

    /// The engine's gauges as a source like any other.
    fn engine_snapshot(&mut self, second: u32, engine: &EngineNow) -> Snapshot {
        let gauges = [(builtin::VUS, engine.vus, engine.vus_peak), (builtin::VUS_MAX, engine.vus_max, engine.vus_max)];
        let define = |(id, (metric, ..)): (u32, (_, u64, u64))| SeriesDef {
            id: SeriesId(id),
            metric,
            tags: self.facts.tags.clone(),
        };
        let told = std::mem::replace(&mut self.engine_told, true);
        let new_series = if told { Vec::new() } else { (0..).zip(gauges).map(define).collect() };
        let values = (0..).zip(gauges).map(|(id, (_, value, peak))| {
            let value = value as f64;
            (SeriesId(id), SinkDelta::Gauge { last: value, min: value, max: value.max(peak as f64) })
        });
        Snapshot {
            version: SNAPSHOT_VERSION,
            source: SourceId::ENGINE,
            second,
            new_series,
            sinks: values.collect(),
            errors: Vec::new(),
            examples: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

fn mark_of(change: &Change) -> Mark {
    let scenario = change.scenario.clone().unwrap_or_default();
    Mark { at_s: change.at_s, kind: MarkKind::Control, scenario, text: change.describe() }
}

fn too_many_series(warning: &CardinalityWarning, catalogue: &Catalogue) -> Warning {
    let metric = &catalogue.get(warning.metric).name;
    let CardinalityWarning { tag, values, bound, .. } = warning;
    let hint = match &**tag {
        "name" | "url" => "give requests a name: `http::get(url, #{ name: \"item\" })`".into(),
        _ => format!("use fewer values for `{tag}`, or raise `max_series`"),
    };
    Warning {
        message: format!(
            "tag `{tag}` has {values} values and `{metric}` has reached {bound} series: what else comes is counted \
             under `{tag}: (other)`"
        ),
        hint,
    }
}

fn lost_numbers(error: &AbsorbError) -> Warning {
    Warning { message: format!("some numbers are missing from the results: {error}"), hint: String::new() }
}

#[cfg(test)]
mod tests;
