//! The merged state of a run: what all sources recorded, by series, by second and in total.
//!
//! [`Store::absorb`] takes snapshots in any order; the result is the same as if all had been recorded in one place (but
//! for the last bits of sums of fractions). Memory grows with the number of series, which their sources bound, and by
//! one [`SecondTotals`] a second; never with the number of requests.
//!
//! Two things depend on time: a gauge keeps the value of the latest second, and distributions of single seconds are
//! kept for the last [`RECENT_SECONDS`] only. A snapshot that comes later than that still counts in everything else.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::aggregate::{Aggregate, TrendAggregate};
use super::registry::OTHER_ERRORS;
use super::selector::Selector;
use super::series::{SeriesIndex, normalise};
use super::sink::{Sink, TrendSink};
use super::snapshot::{ErrorDelta, ErrorKey, SNAPSHOT_VERSION, SeriesId, SinkDelta, Snapshot, SourceId};
use super::{Catalogue, MetricId, MetricKind, builtin};

pub use super::series::{Tag, Tags, tag_value};

/// How many seconds "recent" means.
pub const RECENT_SECONDS: usize = 10;

/// How many kinds of errors a store tells apart, over all its sources.
const MAX_ERROR_KINDS: usize = 2 * super::registry::MAX_ERROR_KINDS;

/// Why a part of a snapshot could not be taken in. The rest was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AbsorbError {
    /// It is of another version.
    #[error("snapshot of source {source_id} has version {found}, expected {SNAPSHOT_VERSION}")]
    Version {
        /// Whose it is.
        source_id: u32,
        /// Its version.
        found: u16,
    },
    /// It speaks of a series that its source never defined, as when an earlier snapshot was lost.
    #[error("source {source_id} sent values for its series {series}, which it never defined")]
    UnknownSeries {
        /// Whose it is.
        source_id: u32,
        /// The series' number there.
        series: u32,
    },
    /// It defines a series of a metric that the run does not have.
    #[error("source {source_id} defined a series of metric number {metric}, which this run does not have")]
    UnknownMetric {
        /// Whose it is.
        source_id: u32,
        /// The metric's number.
        metric: u16,
    },
    /// It adds to a series what its metric can't take.
    #[error("source {source_id} sent values of another kind for metric `{metric}`")]
    WrongKind {
        /// Whose it is.
        source_id: u32,
        /// The metric's name.
        metric: Arc<str>,
    },
}

/// What built-in counters and rates came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests.
    pub requests: u64,
    /// Failed requests.
    pub requests_failed: u64,
    /// Iterations that ran to their end, failed ones included.
    pub iterations: u64,
    /// Iterations that ended with an error.
    pub iterations_failed: u64,
    /// Iterations that were cancelled.
    pub iterations_interrupted: u64,
    /// Iterations that were due but never started.
    pub iterations_dropped: u64,
    /// Checks made.
    pub checks: u64,
    /// Checks that held.
    pub checks_passed: u64,
    /// Bytes written.
    pub bytes_sent: u64,
    /// Bytes read.
    pub bytes_received: u64,
}

/// Request durations in a stretch of time, in thousandths of a millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// The median.
    pub med: u64,
    /// The 95th percentile.
    pub p95: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The exact largest.
    pub max: u64,
}

/// One second of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecondTotals {
    /// What it added.
    pub totals: Totals,
    /// Running VUs at its end.
    pub vus: u64,
    /// Its requests' durations; none when there was no request.
    pub latency: Option<Latency>,
}

/// An error over the whole run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorTotal {
    /// Which.
    pub key: ErrorKey,
    /// How often.
    pub count: u64,
    /// The second in which it was first seen.
    pub first_second: u32,
    /// One case in full, from the earliest second that told one; may be empty.
    pub example: String,
    example_second: u32,
}

#[derive(Debug)]
struct Series {
    sink: Sink,
    /// When and by whom it was last given something: decides whose gauge value is the latest.
    latest: (u32, SourceId),
}

/// The merged state.
#[derive(Debug)]
pub struct Store {
    catalogue: Arc<Catalogue>,
    index: SeriesIndex,
    series: Vec<Series>,
    by_metric: Vec<Vec<u32>>,
    sources: FxHashMap<SourceId, FxHashMap<SeriesId, u32>>,
    totals: Totals,
    seconds: BTreeMap<u32, SecondTotals>,
    /// Request durations of the last seconds, by second; ordered by it.
    recent: VecDeque<(u32, TrendSink)>,
    errors: Vec<ErrorTotal>,
    errors_by_key: FxHashMap<ErrorKey, usize>,
}

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>) -> Self {
        let by_metric = vec![Vec::new(); catalogue.defs().len()];
        Self {
            catalogue,
            index: SeriesIndex::default(),
            series: Vec::new(),
            by_metric,
            sources: FxHashMap::default(),
            totals: Totals::default(),
            seconds: BTreeMap::new(),
            recent: VecDeque::new(),
            errors: Vec::new(),
            errors_by_key: FxHashMap::default(),
        }
    }

    /// The catalogue of the run.
    #[must_use]
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// Takes in a snapshot.
    ///
    /// # Errors
    /// When a part of it makes no sense; all other parts are taken in, and the first such part is told.
    pub fn absorb(&mut self, snapshot: &Snapshot) -> Result<(), AbsorbError> {
        let source_id = snapshot.source.0;
        if snapshot.version != SNAPSHOT_VERSION {
            return Err(AbsorbError::Version { source_id, found: snapshot.version });
        }
        let mut outcome = Ok(());
        for def in &snapshot.new_series {
            if usize::from(def.metric.0) >= self.by_metric.len() {
                outcome = outcome.and(Err(AbsorbError::UnknownMetric { source_id, metric: def.metric.0 }));
                continue;
            }
            let id = self.intern(def.metric, &def.tags);
            self.sources.entry(snapshot.source).or_default().insert(def.id, id);
        }
        for (theirs, delta) in &snapshot.sinks {
            let known = self.sources.get(&snapshot.source).and_then(|series| series.get(theirs));
            let Some(&id) = known else {
                outcome = outcome.and(Err(AbsorbError::UnknownSeries { source_id, series: theirs.0 }));
                continue;
            };
            let (metric, _) = *self.index.get(id);
            let series = &mut self.series[id as usize];
            let stamp = (snapshot.second, snapshot.source);
            if !series.sink.absorb(delta, stamp >= series.latest) {
                let metric = self.catalogue.get(metric).name.clone();
                outcome = outcome.and(Err(AbsorbError::WrongKind { source_id, metric }));
                continue;
            }
            series.latest = series.latest.max(stamp);
            self.total(snapshot.second, metric, delta);
        }
        for error in &snapshot.errors {
            self.absorb_error(snapshot.second, error);
        }
        outcome
    }

    fn intern(&mut self, metric: MetricId, tags: &[Tag]) -> u32 {
        let tags = normalise(tags);
        self.index.find(metric, &tags).unwrap_or_else(|| {
            let id = self.index.insert(metric, &tags);
            let sink = Sink::new(self.catalogue.get(metric).kind);
            self.series.push(Series { sink, latest: (0, SourceId(0)) });
            self.by_metric[usize::from(metric.0)].push(id);
            id
        })
    }

    /// Adds to the totals of the run and of a second.
    fn total(&mut self, second: u32, metric: MetricId, delta: &SinkDelta) {
        let entry = self.seconds.entry(second).or_default();
        match delta {
            &SinkDelta::Counter { sum } => {
                // Built-in counters are whole and never negative.
                let sum = sum as u64;
                for totals in [&mut self.totals, &mut entry.totals] {
                    match metric {
                        builtin::HTTP_REQS => totals.requests += sum,
                        builtin::ITERATIONS => totals.iterations += sum,
                        builtin::ITERATIONS_FAILED => totals.iterations_failed += sum,
                        builtin::ITERATIONS_INTERRUPTED => totals.iterations_interrupted += sum,
                        builtin::DROPPED_ITERATIONS => totals.iterations_dropped += sum,
                        builtin::DATA_SENT => totals.bytes_sent += sum,
                        builtin::DATA_RECEIVED => totals.bytes_received += sum,
                        _ => {}
                    }
                }
            }
            &SinkDelta::Rate { passes, total } => {
                for totals in [&mut self.totals, &mut entry.totals] {
                    match metric {
                        builtin::HTTP_REQ_FAILED => totals.requests_failed += passes,
                        builtin::CHECKS => {
                            totals.checks += total;
                            totals.checks_passed += passes;
                        }
                        _ => {}
                    }
                }
            }
            &SinkDelta::Gauge { last, .. } if metric == builtin::VUS => entry.vus = last as u64,
            SinkDelta::Trend(trend) if metric == builtin::HTTP_REQ_DURATION => self.add_recent(second, trend),
            _ => {}
        }
    }

    fn add_recent(&mut self, second: u32, trend: &super::snapshot::TrendDelta) {
        let place = self.recent.partition_point(|(known, _)| *known < second);
        if self.recent.get(place).is_none_or(|(known, _)| *known != second) {
            if place == 0 && self.recent.len() >= RECENT_SECONDS {
                return;
            }
            self.recent.insert(place, (second, TrendSink::default()));
            if self.recent.len() > RECENT_SECONDS {
                self.recent.pop_front();
            }
            return self.add_recent(second, trend);
        }
        self.recent[place].1.absorb(trend);
    }

    fn absorb_error(&mut self, second: u32, delta: &ErrorDelta) {
        let known = self.errors_by_key.contains_key(&delta.key);
        let key = if known || self.errors.len() < MAX_ERROR_KINDS {
            delta.key.clone()
        } else {
            ErrorKey { code: 0, side: delta.key.side, message: OTHER_ERRORS.into() }
        };
        let at = *self.errors_by_key.entry(key).or_insert_with_key(|key| {
            self.errors.push(ErrorTotal {
                key: key.clone(),
                count: 0,
                first_second: second,
                example: String::new(),
                example_second: u32::MAX,
            });
            self.errors.len() - 1
        });
        let error = &mut self.errors[at];
        error.count += delta.count;
        error.first_second = error.first_second.min(second);
        if let Some(example) = &delta.example
            && second < error.example_second
        {
            error.example.clone_from(example);
            error.example_second = second;
        }
    }

    /// Works out the durations of the seconds that are still at hand. Call it once the snapshots of a second are in;
    /// late ones are included by the next call.
    pub fn close_second(&mut self) {
        for (second, sink) in &self.recent {
            self.seconds.entry(*second).or_default().latency = latency([sink]);
        }
    }

    /// The seconds in which anything was recorded, in order.
    #[must_use]
    pub fn seconds(&self) -> &BTreeMap<u32, SecondTotals> {
        &self.seconds
    }

    /// What the whole run came to so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Durations of the requests of the [`RECENT_SECONDS`] seconds up to `second`; none when there was none.
    #[must_use]
    pub fn recent(&self, second: u32) -> Option<Latency> {
        let recent = self.recent.iter().filter(|(of, _)| second.saturating_sub(*of) < RECENT_SECONDS as u32);
        latency(recent.map(|(_, sink)| sink))
    }

    /// Errors, the most frequent first; of equals the first seen.
    #[must_use]
    pub fn errors(&self) -> Vec<&ErrorTotal> {
        let mut errors: Vec<_> = self.errors.iter().collect();
        errors.sort_by_key(|error| (std::cmp::Reverse(error.count), error.first_second));
        errors
    }

    /// The series of a metric with their tags, in the order in which they were first seen.
    ///
    /// # Panics
    /// When the metric is not of this store's catalogue.
    pub fn series(&self, metric: MetricId) -> impl Iterator<Item = (&Tags, &Sink)> {
        let ids = self.by_metric[usize::from(metric.0)].iter();
        ids.map(|&id| (&self.index.get(id).1, &self.series[id as usize].sink))
    }

    /// The series of a metric that a selector chooses, merged.
    ///
    /// # Panics
    /// When the metric is not of this store's catalogue.
    #[must_use]
    pub fn query(&self, metric: MetricId, selector: &Selector) -> Aggregate {
        let kind = self.catalogue.get(metric).kind;
        let ids = self.by_metric[usize::from(metric.0)].iter();
        let chosen = ids.filter(|&&id| selector.matches(&self.index.get(id).1)).map(|&id| &self.series[id as usize]);
        if kind == MetricKind::Gauge {
            let mut by_age: Vec<_> = chosen.collect();
            by_age.sort_by_key(|series| series.latest);
            return Aggregate::merge(kind, by_age.into_iter().map(|series| &series.sink));
        }
        Aggregate::merge(kind, chosen.map(|series| &series.sink))
    }

    /// Whether a selector chooses any series, of whatever metric.
    #[must_use]
    pub fn any_series(&self, selector: &Selector) -> bool {
        self.index.iter().any(|(_, tags)| selector.matches(tags))
    }
}

fn latency<'a>(sinks: impl IntoIterator<Item = &'a TrendSink>) -> Option<Latency> {
    let merged = TrendAggregate::merge(sinks);
    Some(Latency {
        med: merged.percentile_thousandths(50.0)?,
        p95: merged.percentile_thousandths(95.0)?,
        p99: merged.percentile_thousandths(99.0)?,
        max: merged.max,
    })
}

#[cfg(test)]
mod tests;
