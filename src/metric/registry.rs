//! A worker's own metrics: interned series and their sinks. No locks, nothing shared.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::snapshot::{ErrorKey, SeriesId, Snapshot, SourceId};
use super::{Catalogue, MetricId};

/// How many series a run may have before they are folded together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesLimits {
    /// Series of one metric.
    pub per_metric: usize,
}

/// A worker's metrics.
#[derive(Debug)]
pub struct Registry {}

/// A worker's handle to its [`Registry`]; cheap to clone, not sendable.
#[derive(Clone, Debug)]
pub struct Recorder(Rc<RefCell<Registry>>);

impl Recorder {
    /// A recorder with a registry of its own.
    #[must_use]
    pub fn new(catalogue: Arc<Catalogue>, source: SourceId, limits: SeriesLimits) -> Self {
        let _ = (catalogue, source, limits);
        todo!()
    }

    /// The catalogue of the run.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        todo!()
    }

    /// The series of a metric with these tags, in any order. Not for the hot path: keep the id.
    #[must_use]
    pub fn series(&self, metric: MetricId, tags: &[(Arc<str>, Arc<str>)]) -> SeriesId {
        let _ = (metric, tags);
        todo!()
    }

    /// Adds to a counter.
    pub fn count(&self, series: SeriesId, value: f64) {
        let _ = (series, value);
        todo!()
    }

    /// Sets a gauge.
    pub fn gauge(&self, series: SeriesId, value: f64) {
        let _ = (series, value);
        todo!()
    }

    /// Adds to a rate.
    pub fn rate(&self, series: SeriesId, hit: bool) {
        let _ = (series, hit);
        todo!()
    }

    /// Adds to a trend, in thousandths of its unit (microseconds for times).
    pub fn trend(&self, series: SeriesId, thousandths: u64) {
        let _ = (series, thousandths);
        todo!()
    }

    /// Counts an error; `example` is called only for the first of its key.
    pub fn error(&self, key: &ErrorKey, example: impl FnOnce() -> String) {
        let _ = (key, example);
        todo!()
    }

    /// Takes what was recorded since the last call.
    #[must_use]
    pub fn take_snapshot(&self, second: u32) -> Snapshot {
        let _ = second;
        todo!()
    }
}
