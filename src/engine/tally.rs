//! What the engine itself records of one scenario on one worker: its iterations.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::metric::MetricId;
use crate::metric::builtin;
use crate::metric::registry::Recorder;
use crate::metric::snapshot::SeriesId;
use crate::plan::Scenario;
use crate::vu::Outcome;

/// Records the iterations of one scenario.
pub(super) struct Tally {
    recorder: Recorder,
    iterations: SeriesId,
    duration: SeriesId,
    failed: SeriesId,
    interrupted: SeriesId,
    dropped: SeriesId,
    /// Of open load alone: others never touch them, so that they are not told.
    lag: SeriesId,
    duration_intended: SeriesId,
    /// Iterations that ended, with or without an error.
    ended: Cell<u64>,
}

impl Tally {
    pub fn new(recorder: &Recorder, run_tags: &BTreeMap<String, String>, scenario: &Scenario) -> Self {
        let mut tags: BTreeMap<&str, &str> = run_tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        tags.extend(scenario.tags.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        tags.insert("scenario", &scenario.name);
        let tags: Vec<(Arc<str>, Arc<str>)> = tags.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        let series = |metric: MetricId| recorder.series(metric, &tags);
        Self {
            recorder: recorder.clone(),
            iterations: series(builtin::ITERATIONS),
            duration: series(builtin::ITERATION_DURATION),
            failed: series(builtin::ITERATIONS_FAILED),
            interrupted: series(builtin::ITERATIONS_INTERRUPTED),
            dropped: series(builtin::DROPPED_ITERATIONS),
            lag: series(builtin::ITERATION_LAG),
            duration_intended: series(builtin::ITERATION_DURATION_INTENDED),
            ended: Cell::new(0),
        }
    }

    /// Iterations that ended, with or without an error.
    pub fn iterations(&self) -> u64 {
        self.ended.get()
    }

    /// So many iterations were due but will not start.
    pub fn dropped(&self, count: u64) {
        if count > 0 {
            self.recorder.count(self.dropped, count as f64);
        }
    }

    /// An iteration of open load starts, so long after it should have.
    pub fn lag(&self, lag: Duration) {
        self.recorder.trend(self.lag, micros(lag));
    }

    /// An iteration has ended, and is counted as k6 does: a cancelled one has no duration and is not among the
    /// iterations. `lag` is that of open load.
    pub fn ended(&self, outcome: &Outcome, took: Duration, lag: Option<Duration>) {
        match outcome {
            Outcome::Completed | Outcome::Failed => {
                self.ended.set(self.ended.get() + 1);
                self.recorder.count(self.iterations, 1.0);
                self.recorder.trend(self.duration, micros(took));
                if let Some(lag) = lag {
                    self.recorder.trend(self.duration_intended, micros(lag + took));
                }
                if *outcome == Outcome::Failed {
                    self.recorder.count(self.failed, 1.0);
                }
            }
            Outcome::Interrupted | Outcome::Abort(_) => self.recorder.count(self.interrupted, 1.0),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
