//! Metrics as data: kinds, the table of built-in metrics, the catalogue of a run.
//!
//! A *metric* has a name and a kind; a *series* is a metric with one set of tags. Workers record into their own
//! [`registry::Registry`] (through a [`registry::Recorder`]), hand over a [`snapshot::Snapshot`] once a second, and a
//! [`store::Store`] merges snapshots exactly. Thresholds are parsed and judged in [`threshold`].
//!
//! Trends are stored as whole thousandths of their unit: a trend of times in milliseconds holds microseconds.
//! Nothing here reads a clock, knows tokio or does IO.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

pub mod aggregate;
pub mod histogram;
mod notice;
pub mod registry;
pub mod sample;
pub mod selector;
pub mod series;
pub mod sink;
pub mod snapshot;
pub mod store;
pub mod threshold;
pub mod trace;

pub use notice::SLOWEST;

/// What a metric does with the values it is given, k6's four kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// Adds values up.
    Counter,
    /// Keeps the latest value, the smallest and the largest.
    Gauge,
    /// The share of values that were true.
    Rate,
    /// A distribution: percentiles, mean, extremes.
    Trend,
}

/// What the numbers of a metric mean, for printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contains {
    /// Plain numbers.
    Default,
    /// Milliseconds.
    Time,
    /// Bytes.
    Data,
}

/// A metric's place in the run's [`Catalogue`]; the same on every worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MetricId(pub u16);

/// A metric's definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricDef {
    /// Its name, as scripts, thresholds and reports spell it.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: MetricKind,
    /// What its numbers mean.
    pub contains: Contains,
}

macro_rules! builtin {
    ($($(#[doc = $doc:literal])* $constant:ident = $id:literal, $name:literal, $kind:ident, $contains:ident;)*) => {
        /// The metrics that every run has, under k6's names.
        pub mod builtin {
            use super::{Contains, MetricId, MetricKind};
            $($(#[doc = $doc])* pub const $constant: MetricId = MetricId($id);)*
            /// Every built-in metric, in the order of their ids.
            pub const TABLE: &[(&str, MetricKind, Contains)] =
                &[$(($name, MetricKind::$kind, Contains::$contains)),*];
            /// What each of them means, in the same order, as their documentation says it: a sentence or two in lines that
            /// begin with a blank.
            pub const MEANINGS: &[&str] = &[$(concat!($($doc),*)),*];
        }
    };
}

builtin! {
    /// Virtual users that are running.
    VUS = 0, "vus", Gauge, Default;
    /// The most virtual users that the run may have.
    VUS_MAX = 1, "vus_max", Gauge, Default;
    /// Iterations that ran to their end, those that ended with an error included (as in k6).
    ITERATIONS = 2, "iterations", Counter, Default;
    /// How long an iteration took, think time included.
    ITERATION_DURATION = 3, "iteration_duration", Trend, Time;
    /// Iterations that were due but never started.
    DROPPED_ITERATIONS = 4, "dropped_iterations", Counter, Default;
    /// The share of checks that held.
    CHECKS = 5, "checks", Rate, Default;
    /// How long a group took.
    GROUP_DURATION = 6, "group_duration", Trend, Time;
    /// Bytes written to sockets.
    DATA_SENT = 7, "data_sent", Counter, Data;
    /// Bytes read from sockets.
    DATA_RECEIVED = 8, "data_received", Counter, Data;
    /// Requests made.
    HTTP_REQS = 9, "http_reqs", Counter, Default;
    /// The share of requests that failed.
    HTTP_REQ_FAILED = 10, "http_req_failed", Rate, Default;
    /// Sending, waiting and receiving together: what the target is answerable for.
    HTTP_REQ_DURATION = 11, "http_req_duration", Trend, Time;
    /// From wanting to send until a connection was ready; only requests that had to wait for one.
    HTTP_REQ_BLOCKED = 12, "http_req_blocked", Trend, Time;
    /// Name resolution; only requests that resolved a name.
    HTTP_REQ_LOOKING_UP = 13, "http_req_looking_up", Trend, Time;
    /// TCP connect; only requests that opened a connection.
    HTTP_REQ_CONNECTING = 14, "http_req_connecting", Trend, Time;
    /// TLS handshake; only requests that made one.
    HTTP_REQ_TLS_HANDSHAKING = 15, "http_req_tls_handshaking", Trend, Time;
    /// Writing the request.
    HTTP_REQ_SENDING = 16, "http_req_sending", Trend, Time;
    /// From the last byte written until the first byte arrived.
    HTTP_REQ_WAITING = 17, "http_req_waiting", Trend, Time;
    /// From the arrival of the first byte to that of the last.
    HTTP_REQ_RECEIVING = 18, "http_req_receiving", Trend, Time;
    /// Connections opened by requests (a reused connection counts none).
    HTTP_CONNS_OPENED = 19, "http_conns_opened", Counter, Default;
    /// Of the iterations, those that ended with an error.
    ITERATIONS_FAILED = 20, "iterations_failed", Counter, Default;
    /// Iterations that were cancelled; they are not in `iterations`.
    ITERATIONS_INTERRUPTED = 21, "iterations_interrupted", Counter, Default;
    /// How much later than intended an iteration of open load started.
    ITERATION_LAG = 22, "iteration_lag", Trend, Time;
    /// How long an iteration of open load took from when it should have started: its lag and its duration.
    ITERATION_DURATION_INTENDED = 23, "iteration_duration_intended", Trend, Time;
    /// How long a request of open load took from when it would have been sent, had its iteration started on time: the
    /// iteration's lag and the request's duration.
    HTTP_REQ_DURATION_INTENDED = 24, "http_req_duration_intended", Trend, Time;
    /// From the first byte sent of a stream's request until its first event was there (of a language model: the time to the
    /// first token).
    HTTP_STREAM_FIRST_EVENT = 25, "http_stream_first_event", Trend, Time;
    /// From one event of a stream to the next, but where the script had held it up.
    HTTP_STREAM_EVENT_GAP = 26, "http_stream_event_gap", Trend, Time;
    /// Events and lines of streams that have arrived.
    HTTP_STREAM_EVENTS = 27, "http_stream_events", Counter, Default;
}

/// Why a metric could not be declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// The name is not one that dashboards can carry.
    #[error("metric name `{0}` must match [a-zA-Z_][a-zA-Z0-9_]{{0,127}}")]
    BadName(String),
    /// A metric of that name exists with another kind.
    #[error("metric `{name}` is already a {existing:?}, and can't be a {wanted:?} too")]
    Conflict {
        /// The name.
        name: String,
        /// The kind it has.
        existing: MetricKind,
        /// The kind that was asked for.
        wanted: MetricKind,
    },
    /// loadr counts it itself.
    #[error("metric `{0}` is loadr's own: what a script adds to it would falsify it; choose another name")]
    BuiltIn(String),
    /// It was not declared when the script was looked at, so no worker knows it.
    #[error("metric `{0}` is not declared each time the script's top level runs: declare it without a condition")]
    Late(String),
    /// The run has as many metrics as it may.
    #[error("a run can have at most {0} metrics")]
    TooMany(usize),
}

/// All metrics of a run: the built-in ones first, then those that the script declares in its init, in that order.
#[derive(Clone, Debug)]
pub struct Catalogue {
    defs: Vec<MetricDef>,
    by_name: FxHashMap<Arc<str>, MetricId>,
}

impl Catalogue {
    /// The most metrics that a run can have.
    pub const MAX_METRICS: usize = 1_000;

    /// A catalogue that holds the built-in metrics.
    #[must_use]
    pub fn new() -> Self {
        let mut catalogue = Self { defs: Vec::new(), by_name: FxHashMap::default() };
        for &(name, kind, contains) in builtin::TABLE {
            catalogue.push(MetricDef { name: name.into(), kind, contains });
        }
        catalogue
    }

    fn push(&mut self, def: MetricDef) -> MetricId {
        let id = MetricId(u16::try_from(self.defs.len()).expect("bounded by MAX_METRICS"));
        self.by_name.insert(def.name.clone(), id);
        self.defs.push(def);
        id
    }

    /// Declares a metric, or gives the one of that name if its kind is the same.
    ///
    /// # Errors
    /// When the name is not allowed or a built-in metric's, when a metric of that name has another kind, or when there are too many.
    pub fn declare(&mut self, name: &str, kind: MetricKind, contains: Contains) -> Result<MetricId, MetricError> {
        if let Some(id) = self.lookup(name) {
            if usize::from(id.0) < builtin::TABLE.len() {
                return Err(MetricError::BuiltIn(name.into()));
            }
            let existing = self.get(id).kind;
            if existing == kind {
                return Ok(id);
            }
            return Err(MetricError::Conflict { name: name.into(), existing, wanted: kind });
        }
        let mut bytes = name.bytes();
        let head = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if !head || name.len() > 128 || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(MetricError::BadName(name.into()));
        }
        if self.defs.len() >= Self::MAX_METRICS {
            return Err(MetricError::TooMany(Self::MAX_METRICS));
        }
        Ok(self.push(MetricDef { name: name.into(), kind, contains }))
    }

    /// The metric of that name.
    #[must_use]
    pub fn lookup(&self, name: &str) -> Option<MetricId> {
        self.by_name.get(name).copied()
    }

    /// The definition of a metric of this catalogue.
    #[must_use]
    pub fn get(&self, id: MetricId) -> &MetricDef {
        &self.defs[usize::from(id.0)]
    }

    /// All definitions, in the order of their ids.
    #[must_use]
    pub fn defs(&self) -> &[MetricDef] {
        &self.defs
    }

    /// The name nearest to one that was not found, for "did you mean".
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<&str> {
        crate::units::nearest(name, self.defs.iter().map(|def| &*def.name))
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new()
    }
}
