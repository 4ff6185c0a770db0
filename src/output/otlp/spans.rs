//! Which requests become spans, and what is in them.
//!
//! In each second the slowest requests and the first that failed, both up to a bound: what a trace is looked at for. Their
//! ids are those that the request carried in its `traceparent`; a request that carried none has the ids that it would have
//! had. A redirect on the way is a span below the request's own. Attributes follow OpenTelemetry's conventions for HTTP
//! clients; what they have no name for begins with `loadr.`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span, status};
use rustc_hash::FxHashMap;
use url::Url;

use super::{attribute, given, integer, nanoseconds, scope, text};
use crate::metric::sample::{Names, RequestKind, RequestSample, Rows};
use crate::metric::snapshot::SourceId;
use crate::metric::trace::{Place, TraceIds};

/// That a span's trace is to be kept, and that the span has no parent elsewhere: flags of the trace context.
const FLAGS: u32 = 1;

type Picked = (RequestSample, Arc<RequestKind>);

/// Picks the requests of a second.
pub(super) struct Picker {
    /// How many slow ones and how many failed ones.
    most: usize,
    slow_from_us: u64,
    kinds: FxHashMap<SourceId, Vec<Arc<RequestKind>>>,
    engine: Timestamp,
    seed: u64,
    failed: Vec<Picked>,
    slow: Vec<Picked>,
    /// The durations of `slow`, the quickest on top, each with its place.
    ranks: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Picker {
    pub fn new(most: usize, slow: Duration) -> Self {
        Self {
            most,
            slow_from_us: u64::try_from(slow.as_micros()).unwrap_or(u64::MAX),
            kinds: FxHashMap::default(),
            engine: Timestamp::UNIX_EPOCH,
            seed: 0,
            failed: Vec::new(),
            slow: Vec::new(),
            ranks: BinaryHeap::new(),
        }
    }

    /// The engine began then, and this is the run's seed.
    pub fn begin(&mut self, engine: Timestamp, seed: u64) {
        (self.engine, self.seed) = (engine, seed);
    }

    pub fn names(&mut self, names: &Names) {
        self.kinds.entry(names.source).or_default().extend(names.kinds.iter().cloned());
    }

    pub fn rows(&mut self, rows: &Rows) {
        let Some(kinds) = self.kinds.get(&rows.source) else { return };
        for sample in &rows.requests {
            let Some(kind) = kinds.get(sample.kind as usize) else { continue };
            if !kind.expected && self.failed.len() < self.most {
                self.failed.push((sample.clone(), kind.clone()));
                continue;
            }
            let Some(duration) = sample.duration_us.filter(|&duration| duration >= self.slow_from_us) else { continue };
            let place = if self.slow.len() < self.most {
                self.slow.push((sample.clone(), kind.clone()));
                self.slow.len() - 1
            } else {
                match self.ranks.peek() {
                    Some(&Reverse((quickest, place))) if duration > quickest => {
                        self.ranks.pop();
                        self.slow[place] = (sample.clone(), kind.clone());
                        place
                    }
                    _ => continue,
                }
            };
            self.ranks.push(Reverse((duration, place)));
        }
    }

    /// The spans of what was picked since the last call, and how many they are; none when nothing was.
    pub fn take(&mut self, resource: &Resource) -> Option<(ExportTraceServiceRequest, u64)> {
        self.ranks.clear();
        let picked = std::mem::take(&mut self.failed).into_iter().chain(std::mem::take(&mut self.slow));
        let spans: Vec<Span> = picked.map(|(sample, kind)| self.span(&sample, &kind)).collect();
        if spans.is_empty() {
            return None;
        }
        let count = spans.len() as u64;
        let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }];
        let resource_spans =
            vec![ResourceSpans { resource: Some(resource.clone()), scope_spans, ..ResourceSpans::default() }];
        Some((ExportTraceServiceRequest { resource_spans }, count))
    }

    fn span(&self, sample: &RequestSample, kind: &RequestKind) -> Span {
        let place = Place { vu: sample.vu, iteration: sample.iteration, number: sample.number };
        let ids = TraceIds::new(self.seed, place);
        let at = |offset: Duration| nanoseconds(self.engine.checked_add(offset).unwrap_or(self.engine));
        let bytes = |id: u64| id.to_be_bytes().to_vec();
        let message = match (&sample.error, kind.expected) {
            (_, true) => String::new(),
            (Some(error), false) => error.to_string(),
            (None, false) => format!("status {}", kind.status),
        };
        let code = if kind.expected { status::StatusCode::Unset } else { status::StatusCode::Error };
        Span {
            trace_id: ids.trace.to_be_bytes().to_vec(),
            span_id: bytes(ids.span_of_hop(sample.hop)),
            parent_span_id: if sample.hop == 0 { Vec::new() } else { bytes(ids.span) },
            flags: FLAGS,
            name: format!("{} {}", kind.method, kind.name),
            kind: span::SpanKind::Client.into(),
            start_time_unix_nano: at(sample.started()),
            end_time_unix_nano: at(sample.ended),
            attributes: attributes(sample, kind),
            status: Some(Status { message, code: code.into() }),
            ..Span::default()
        }
    }
}

fn attributes(sample: &RequestSample, kind: &RequestKind) -> Vec<KeyValue> {
    let mut all = vec![
        text("http.request.method", &kind.method),
        text("url.full", &sample.url),
        text("loadr.request.name", &kind.name),
        integer("loadr.vu", i64::from(sample.vu)),
        integer("loadr.iteration", i64::try_from(sample.iteration).unwrap_or(i64::MAX)),
        integer("loadr.bytes_sent", i64::try_from(sample.bytes_sent).unwrap_or(i64::MAX)),
        integer("loadr.bytes_received", i64::try_from(sample.bytes_received).unwrap_or(i64::MAX)),
    ];
    if let Ok(url) = Url::parse(&sample.url) {
        all.extend(url.host_str().map(|host| text("server.address", host)));
        all.extend(url.port_or_known_default().map(|port| integer("server.port", i64::from(port))));
        all.push(text("url.scheme", url.scheme()));
    }
    if kind.status != 0 {
        all.push(integer("http.response.status_code", i64::from(kind.status)));
    }
    if !kind.expected {
        let class = if kind.status >= 400 { u32::from(kind.status) } else { kind.error_code };
        all.push(text("error.type", &class.to_string()));
        all.push(integer("loadr.error_code", i64::from(kind.error_code)));
    }
    if let Some(version) = sample.protocol.and_then(|protocol| protocol.strip_prefix("HTTP/")) {
        all.push(text("network.protocol.name", "http"));
        all.push(text(
            "network.protocol.version",
            version.strip_suffix(".0").filter(|major| *major == "2").unwrap_or(version),
        ));
    }
    if let Some(version) = sample.tls_version.and_then(|version| version.strip_prefix("TLS ")) {
        all.push(text("tls.protocol.version", version));
    }
    all.extend(given("loadr.scenario", &kind.scenario));
    all.extend(given("loadr.group", &kind.group));
    all.extend(kind.tags.iter().map(|(key, value)| text(key, value)));
    let phases = [
        ("loadr.blocked_ms", sample.phases.blocked),
        ("loadr.looking_up_ms", sample.phases.looking_up),
        ("loadr.connecting_ms", sample.phases.connecting),
        ("loadr.tls_handshaking_ms", sample.phases.tls),
        ("loadr.sending_ms", sample.phases.sending),
        ("loadr.waiting_ms", sample.phases.waiting),
        ("loadr.receiving_ms", sample.phases.receiving),
    ];
    for (key, micros) in phases {
        all.extend(micros.map(|micros| attribute(key, any_value::Value::DoubleValue(f64::from(micros) / 1e3))));
    }
    all
}
