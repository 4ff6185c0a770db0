//! Single requests and values, for outputs that need more than histograms.
//!
//! A worker that is asked for samples ([`Recorder::stream`](super::registry::Recorder::stream)) appends a small record for
//! each request and each other value: numbers and the ids of names, no text that was made for it. A few times a second
//! the records leave as [`Rows`]; what the ids mean is told once, as [`Names`]. [`RequestSample::values`] gives the very
//! values that the request added to the worker's series, so that samples and the summary add up to the same.
//!
//! [`Example`]s are requests that every run keeps: its slowest, and the first that failed in each way.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::series::Tags;
use super::snapshot::{ErrorKey, SeriesDef, SeriesId, SourceId};
use super::{Catalogue, MetricId, builtin};

/// What an output asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Every request.
    pub requests: bool,
    /// Every value of a metric that is not a request's: checks, iterations, groups, metrics of the script.
    pub values: bool,
}

impl Wants {
    /// Nothing.
    pub const NOTHING: Self = Self { requests: false, values: false };
    /// Requests alone.
    pub const REQUESTS: Self = Self { requests: true, values: false };
    /// All there is.
    pub const ALL: Self = Self { requests: true, values: true };

    /// Whether anything is asked for.
    #[must_use]
    pub fn any(self) -> bool {
        self.requests || self.values
    }

    /// What either asks for.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { requests: self.requests || other.requests, values: self.values || other.values }
    }
}

/// What requests of one kind have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestKind {
    /// The request's name.
    pub name: Arc<str>,
    /// Its method.
    pub method: Arc<str>,
    /// Its status; 0 for no response.
    pub status: u16,
    /// Whether its response was one that the script expects.
    pub expected: bool,
    /// Its class of error; 0 for none.
    pub error_code: u32,
    /// The group it was made in, `outer::inner`; empty outside of groups.
    pub group: Arc<str>,
    /// Its scenario; empty in `setup` and `teardown`.
    pub scenario: Arc<str>,
    /// Whether its load is open: it has a duration from when it should have been sent.
    pub open: bool,
    /// All other tags: of the request, of the scenario, of the run.
    pub tags: Tags,
}

/// How long the phases of a request took, in microseconds; none where one did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Waiting for a connection, phases of opening it included.
    pub blocked: Option<u32>,
    /// Name resolution.
    pub looking_up: Option<u32>,
    /// TCP connect.
    pub connecting: Option<u32>,
    /// TLS handshake.
    pub tls: Option<u32>,
    /// Writing the request.
    pub sending: Option<u32>,
    /// From the last byte written until the first byte arrived.
    pub waiting: Option<u32>,
    /// From the arrival of the first byte to that of the last.
    pub receiving: Option<u32>,
}

/// One request: an exchange on the wire, so a redirect makes several.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestSample {
    /// Its kind, a number of its source's.
    pub kind: u32,
    /// The VU that made it; 0 for `setup` and `teardown`.
    pub vu: u32,
    /// The VU's iteration, from 0.
    pub iteration: u64,
    /// Which request of the iteration, from 0.
    pub number: u32,
    /// Which exchange of the request, from 0.
    pub hop: u32,
    /// Whether it carried a trace context ([`super::trace`]).
    pub traced: bool,
    /// When it ended, from the start of the engine.
    pub ended: Duration,
    /// Its URL, without credentials.
    pub url: Arc<str>,
    /// What went wrong on the way, in this case.
    pub error: Option<Arc<str>>,
    /// `HTTP/1.1`; none when there was no response.
    pub protocol: Option<&'static str>,
    /// `TLS 1.3`; none without TLS.
    pub tls_version: Option<&'static str>,
    /// Its duration, in microseconds; none when it never went out.
    pub duration_us: Option<u64>,
    /// How much later than intended its iteration started, in microseconds.
    pub lag_us: u64,
    /// Its phases.
    pub phases: Phases,
    /// Whether it opened a connection, or tried to.
    pub opened: bool,
    /// Bytes written for it.
    pub bytes_sent: u64,
    /// Bytes read for it.
    pub bytes_received: u64,
}

/// A value, by the kind of its metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// Added to a counter.
    Count(f64),
    /// A gauge's.
    Gauge(f64),
    /// Whether it was so.
    Rate(bool),
    /// A trend's, in thousandths of its unit.
    Trend(u64),
}

impl Value {
    /// As k6 writes it: milliseconds for times, 0 or 1 for rates.
    #[must_use]
    pub fn number(self) -> f64 {
        match self {
            Self::Count(value) | Self::Gauge(value) => value,
            Self::Rate(hit) => f64::from(u8::from(hit)),
            Self::Trend(thousandths) => thousandths as f64 / 1e3,
        }
    }
}

impl RequestSample {
    /// When it began, from the start of the engine.
    #[must_use]
    pub fn started(&self) -> Duration {
        let took = self.duration_us.unwrap_or(0) + self.phases.blocked.map_or(0, u64::from);
        self.ended.saturating_sub(Duration::from_micros(took))
    }

    /// The values that it added to its series, each with its metric.
    pub fn values(&self, kind: &RequestKind, mut take: impl FnMut(MetricId, Value)) {
        take(builtin::HTTP_REQS, Value::Count(1.0));
        take(builtin::HTTP_REQ_FAILED, Value::Rate(!kind.expected));
        let mut trend = |metric, micros: Option<u64>| {
            if let Some(micros) = micros {
                take(metric, Value::Trend(micros));
            }
        };
        let phases = &self.phases;
        trend(builtin::HTTP_REQ_DURATION, self.duration_us);
        if kind.open {
            trend(builtin::HTTP_REQ_DURATION_INTENDED, self.duration_us.map(|duration| duration + self.lag_us));
        }
        trend(builtin::HTTP_REQ_SENDING, phases.sending.map(u64::from));
        trend(builtin::HTTP_REQ_WAITING, phases.waiting.map(u64::from));
        trend(builtin::HTTP_REQ_RECEIVING, phases.receiving.map(u64::from));
        if self.opened {
            trend(builtin::HTTP_REQ_BLOCKED, phases.blocked.map(u64::from));
            trend(builtin::HTTP_REQ_LOOKING_UP, phases.looking_up.map(u64::from));
            trend(builtin::HTTP_REQ_CONNECTING, phases.connecting.map(u64::from));
            trend(builtin::HTTP_REQ_TLS_HANDSHAKING, phases.tls.map(u64::from));
            if kind.status != 0 || self.bytes_sent > 0 {
                take(builtin::HTTP_CONNS_OPENED, Value::Count(1.0));
            }
        }
        take(builtin::DATA_SENT, Value::Count(self.bytes_sent as f64));
        take(builtin::DATA_RECEIVED, Value::Count(self.bytes_received as f64));
    }
}

/// One value of a series that is not a request's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueSample {
    /// When it was recorded, from the start of the engine.
    pub at: Duration,
    /// Its series, a number of its source's.
    pub series: SeriesId,
    /// The value.
    pub value: Value,
}

/// What numbers in samples of one source mean: told before the rows that use them, each once.
#[derive(Clone, Debug)]
pub struct Names {
    /// Whose they are.
    pub source: SourceId,
    /// The run's metrics.
    pub catalogue: Arc<Catalogue>,
    /// Kinds of requests: their numbers go on from those of the names before.
    pub kinds: Vec<Arc<RequestKind>>,
    /// Series.
    pub series: Vec<SeriesDef>,
}

/// Samples of one source, in the order in which they were recorded.
#[derive(Clone, Debug)]
pub struct Rows {
    /// Whose they are.
    pub source: SourceId,
    /// Requests.
    pub requests: Vec<RequestSample>,
    /// Other values.
    pub values: Vec<ValueSample>,
    /// How many were left out since the rows before, because the source could not hand them over in time.
    pub lost: u64,
}

impl Rows {
    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.requests.len() + self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a request is kept as an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// It is among the slowest.
    Slow,
    /// It was the first of its source to fail in this way.
    Failed(ErrorKey),
}

/// A request that every run keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// Why.
    pub reason: Reason,
    /// Its kind.
    pub kind: Arc<RequestKind>,
    /// Its URL, without credentials.
    pub url: Arc<str>,
    /// What went wrong on the way, in this case.
    pub error: Option<Arc<str>>,
    /// When it began, from the start of the engine.
    pub started: Duration,
    /// Its duration, in microseconds; none when it never went out.
    pub duration_us: Option<u64>,
    /// Its phases.
    pub phases: Phases,
    /// Bytes written for it.
    pub bytes_sent: u64,
    /// Bytes read for it.
    pub bytes_received: u64,
    /// The VU that made it.
    pub vu: u32,
    /// The VU's iteration, from 0.
    pub iteration: u64,
    /// Which request of the iteration, from 0.
    pub number: u32,
    /// Whether it carried a trace context.
    pub traced: bool,
}

impl Example {
    /// A sample as an example.
    #[must_use]
    pub fn new(reason: Reason, sample: &RequestSample, kind: &Arc<RequestKind>) -> Self {
        Self {
            reason,
            kind: kind.clone(),
            url: sample.url.clone(),
            error: sample.error.clone(),
            started: sample.started(),
            duration_us: sample.duration_us,
            phases: sample.phases,
            bytes_sent: sample.bytes_sent,
            bytes_received: sample.bytes_received,
            vu: sample.vu,
            iteration: sample.iteration,
            number: sample.number,
            traced: sample.traced,
        }
    }
}
