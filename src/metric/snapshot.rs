//! One second of one source's values: what travels from a worker to the collector, and later between machines.
//!
//! A snapshot holds only what was touched in its second. Merging snapshots loses nothing: counters add, rates add,
//! histogram buckets add. It is serialisable and versioned, so that any source of numbers looks the same.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::MetricId;
use super::sample::Example;
use crate::fault::Side;

/// The version that is written into each snapshot.
pub const SNAPSHOT_VERSION: u16 = 1;

/// Who recorded a snapshot: a worker thread, a remote agent, a server monitor. The collector can't tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceId(pub u32);

impl SourceId {
    /// The engine itself, which hands on its gauges (`vus`, `vus_max`) as if it were a source. Workers use other numbers,
    /// and don't record these gauges themselves.
    pub const ENGINE: Self = Self(u32::MAX);
}

/// A series' number within its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesId(pub u32);

/// What a series is: told once by its source, in the snapshot that first uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesDef {
    /// Its number within the source.
    pub id: SeriesId,
    /// Its metric.
    pub metric: MetricId,
    /// Its tags, sorted by key.
    pub tags: Vec<(Arc<str>, Arc<str>)>,
}

/// What one second added to one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SinkDelta {
    /// The sum of the values added.
    Counter {
        /// The sum.
        sum: f64,
    },
    /// The gauge's values in this second.
    Gauge {
        /// The latest.
        last: f64,
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
    },
    /// How many values were true, of how many.
    Rate {
        /// True ones.
        passes: u64,
        /// All.
        total: u64,
    },
    /// The histogram buckets touched.
    Trend(TrendDelta),
}

/// What one second added to a trend, in thousandths of its unit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrendDelta {
    /// How many values.
    pub count: u64,
    /// Their exact sum.
    pub sum: u64,
    /// The exact smallest value (0 when there is none).
    pub min: u64,
    /// The exact largest value.
    pub max: u64,
    /// Touched buckets: a value that the bucket holds, and how many values fell into it.
    pub buckets: Vec<(u64, u32)>,
}

/// Failures of one kind, counted: a request error class, an unexpected status, a script error at one place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ErrorKey {
    /// The stable numeric class (see [`crate::fault`]).
    pub code: u32,
    /// Whose side failed.
    pub side: Side,
    /// What failed, without the parts that differ from case to case.
    pub message: Arc<str>,
}

/// What one second added to an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDelta {
    /// Which error.
    pub key: ErrorKey,
    /// How often.
    pub count: u64,
    /// One case, told in full. Present the first time that the source saw this error.
    pub example: Option<String>,
}

/// That a bound on tag values folded series together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardinalityWarning {
    /// The metric whose series were too many.
    pub metric: MetricId,
    /// The tag with the most different values: the one to blame.
    pub tag: Arc<str>,
    /// How many values of it were seen.
    pub values: usize,
    /// The bound that was hit.
    pub bound: usize,
}

/// One second of one source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`SNAPSHOT_VERSION`].
    pub version: u16,
    /// Who recorded it.
    pub source: SourceId,
    /// The second of the run, from 0.
    pub second: u32,
    /// Series used here for the first time.
    pub new_series: Vec<SeriesDef>,
    /// What was added to which series.
    pub sinks: Vec<(SeriesId, SinkDelta)>,
    /// What was added to which error.
    pub errors: Vec<ErrorDelta>,
    /// Requests worth keeping: among the slowest of the run so far, or the first to fail in some way.
    #[serde(default)]
    pub examples: Vec<Example>,
    /// Bounds that were hit in this second, each told once.
    pub warnings: Vec<CardinalityWarning>,
}
