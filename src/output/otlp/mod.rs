//! `otlp`: metrics and traces for OpenTelemetry collectors, as protobuf over HTTP.
//!
//! [`metrics`] turns the merged series into data points, [`spans`] picks the requests that are worth a span and makes it.
//! Sending, trying again and counting what was lost is the business of [`Push`]. A collector that is not there when the
//! run begins is an error; one that goes away later costs what it could not take.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use percent_encoding::percent_decode_str;
use prost::Message as _;

use super::merge::Merged;
use super::push::{FINISH_PATIENCE, Parcel, Push, Receiver};
use super::spec::{Arguments, Destination, Kind, Parameter};
use super::{Format, Output, OutputError, spec};
use crate::event::{RunEvent, Samples, Second, Warning};
use crate::metric::sample::Wants;
use crate::report::RunInfo;

mod metrics;
mod spans;
#[cfg(test)]
mod tests;

use metrics::Window;
use spans::Picker;

/// The format.
pub const FORMAT: Format = Format {
    name: "otlp",
    help: "metrics, and traces of slow and failed requests, to an OpenTelemetry collector (HTTP, protobuf)",
    destination: Destination::Required("URL"),
    parameters: &[
        Parameter { name: "metrics", kind: Kind::Switch, default: "true", help: "send metrics, to URL/v1/metrics" },
        Parameter { name: "traces", kind: Kind::Switch, default: "true", help: "send spans, to URL/v1/traces" },
        Parameter { name: "interval", kind: Kind::Duration, default: "5s", help: "how often metrics are sent" },
        Parameter {
            name: "temporality",
            kind: Kind::OneOf(&["cumulative", "delta"]),
            default: "cumulative",
            help: "whether sums count from the start of the load or from the time before",
        },
        Parameter {
            name: "spans",
            kind: Kind::Count,
            default: "20",
            help: "in each second, so many of the slowest requests become spans, and so many of the failed",
        },
        Parameter { name: "slow", kind: Kind::Duration, default: "0ms", help: "quicker requests are no slow ones" },
        Parameter { name: "timeout", kind: Kind::Duration, default: "10s", help: "how long sending may take" },
        Parameter { name: "insecure", kind: Kind::Switch, default: "false", help: "take any certificate" },
    ],
    open: |arguments| Ok(Box::new(Otlp::new(arguments)?)),
};

/// The variable with headers for the collector: `key=value,key=value`, values percent-encoded.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// The most spans of each kind in a second: more would be a flood, and not what one looks at.
const SPANS_MAX: u64 = 1_000;

/// How the collector is reached.
fn receiver(arguments: &Arguments, path: &str, headers: &[(String, String)]) -> Receiver {
    let mut all = vec![("Content-Type".to_owned(), "application/x-protobuf".to_owned())];
    all.extend_from_slice(headers);
    Receiver {
        url: format!("{}{path}", arguments.destination.trim_end_matches('/')),
        headers: all,
        timeout: arguments.duration("timeout").unwrap_or(FINISH_PATIENCE),
        insecure: arguments.switch("insecure"),
    }
}

/// The headers that the variable gives.
fn headers(text: &str) -> Result<Vec<(String, String)>, OutputError> {
    let bad = |problem: &str| OutputError::Receiver { receiver: HEADERS.into(), problem: problem.into() };
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or_else(|| bad("must be `name=value,name=value`"))?;
            let value =
                percent_decode_str(value.trim()).decode_utf8().map_err(|_| bad("has a value that is no text"))?;
            Ok((name.trim().to_owned(), value.into_owned()))
        })
        .collect()
}

struct Otlp {
    metrics: Option<Push>,
    traces: Option<Push>,
    cumulative: bool,
    interval: Duration,
    merged: Merged,
    /// When metrics are sent next, from the start of the load.
    due: Duration,
    sent_until: Option<Timestamp>,
    picker: Picker,
    run: Option<Run>,
}

/// What is known of the run that is told.
struct Run {
    resource: Resource,
    /// The start of the load.
    load: Timestamp,
}

impl Otlp {
    fn new(arguments: &Arguments) -> Result<Self, OutputError> {
        let refuse = |parameter, found: &str, problem: &str| {
            let (found, problem) = (found.to_owned(), problem.to_owned());
            OutputError::Parameter { format: "otlp", parameter, found, problem }
        };
        let url = url::Url::parse(&arguments.destination);
        if !url.is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host()) {
            let problem = "is no URL of a collector, such as `http://127.0.0.1:4318`".into();
            return Err(OutputError::Receiver { receiver: spec::shown(&arguments.destination), problem });
        }
        let interval = arguments.duration("interval").unwrap_or_default();
        if interval < Duration::from_secs(1) {
            let found = arguments.text("interval").unwrap_or_default();
            return Err(refuse("interval", found, "what happens is told in seconds: at least `1s`"));
        }
        let spans = arguments.count("spans").unwrap_or_default();
        if spans > SPANS_MAX {
            return Err(refuse("spans", &spans.to_string(), "at most 1,000 a second"));
        }
        let (metrics, traces) = (arguments.switch("metrics"), arguments.switch("traces"));
        if !metrics && !traces {
            return Err(refuse("traces", "false", "with `metrics=false` nothing would be sent"));
        }
        let headers = headers(&std::env::var(HEADERS).unwrap_or_default())?;
        let push = |wanted: bool, path| wanted.then(|| Push::new(receiver(arguments, path, &headers)));
        Ok(Self {
            metrics: push(metrics, "/v1/metrics"),
            traces: push(traces, "/v1/traces"),
            cumulative: arguments.text("temporality") != Some("delta"),
            interval,
            merged: Merged::default(),
            due: interval,
            sent_until: None,
            picker: Picker::new(spans as usize, arguments.duration("slow").unwrap_or_default()),
            run: None,
        })
    }

    fn begin(&mut self, info: &RunInfo) {
        let load = Timestamp::now();
        self.picker.begin(info.started_at.parse().unwrap_or(load), info.seed);
        let attributes = vec![
            text("service.name", "loadr"),
            text("service.version", &info.loadr_version),
            text("service.instance.id", &info.id),
            text("loadr.script", &info.script),
        ];
        self.run = Some(Run { resource: Resource { attributes, ..Resource::default() }, load });
    }

    fn second(&mut self, second: &Second) -> Result<(), OutputError> {
        self.send_spans()?;
        if self.metrics.is_none() {
            return Ok(());
        }
        self.merged.absorb(second);
        if second.elapsed >= self.due {
            self.due = second.elapsed + self.interval;
            self.send_metrics(second.elapsed)?;
        }
        Ok(())
    }

    fn send_metrics(&mut self, until: Duration) -> Result<(), OutputError> {
        let (Some(push), Some(run)) = (&mut self.metrics, &self.run) else { return Ok(()) };
        let now = run.load.checked_add(until).unwrap_or_else(|_| Timestamp::now());
        let from = if self.cumulative { run.load } else { self.sent_until.unwrap_or(run.load) };
        let window = Window { from: nanoseconds(from), until: nanoseconds(now), cumulative: self.cumulative };
        let (request, points) = metrics::request(&self.merged, &window, &run.resource);
        if points > 0 {
            push.send(Parcel { body: request.encode_to_vec(), rows: points })?;
        }
        if !self.cumulative {
            self.merged.clear();
        }
        self.sent_until = Some(now);
        Ok(())
    }

    fn send_spans(&mut self) -> Result<(), OutputError> {
        let (Some(push), Some(run)) = (&mut self.traces, &self.run) else { return Ok(()) };
        let Some((request, spans)) = self.picker.take(&run.resource) else { return Ok(()) };
        push.send(Parcel { body: request.encode_to_vec(), rows: spans })
    }
}

impl Output for Otlp {
    fn check(&mut self) -> Result<(), OutputError> {
        // A request without data is a body of no bytes.
        self.metrics.iter_mut().chain(&mut self.traces).try_for_each(|push| push.check(&[]))
    }

    fn wants_samples(&self) -> Wants {
        if self.traces.is_some() { Wants::REQUESTS } else { Wants::NOTHING }
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        match event {
            RunEvent::Started(info) => self.begin(info),
            RunEvent::Tick(second) => self.second(second)?,
            RunEvent::Samples(Samples::Names(names)) if self.traces.is_some() => self.picker.names(names),
            RunEvent::Samples(Samples::Rows(rows)) if self.traces.is_some() => self.picker.rows(rows),
            RunEvent::Ended(report) => {
                self.send_spans()?;
                self.send_metrics(Duration::from_secs_f64(report.run.duration_s.max(0.0)))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        self.metrics.iter_mut().chain(&mut self.traces).flat_map(Push::take_warnings).collect()
    }

    fn patience(&self) -> Duration {
        FINISH_PATIENCE * 2 + Duration::from_secs(2)
    }

    fn finish(self: Box<Self>) -> Result<(), OutputError> {
        let ends = [self.metrics, self.traces].into_iter().flatten().map(|push| push.finish(FINISH_PATIENCE));
        let mut lost = Vec::new();
        for end in ends {
            match end {
                Ok(()) => {}
                Err(OutputError::Lost(what)) => lost.push(what),
                Err(error) => return Err(error),
            }
        }
        if lost.is_empty() { Ok(()) } else { Err(OutputError::Lost(lost.join("; "))) }
    }
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "loadr".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..InstrumentationScope::default()
    })
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.into()))
}

fn integer(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

fn nanoseconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}

/// A shared text that may be empty, as an attribute.
fn given(key: &str, value: &Arc<str>) -> Option<KeyValue> {
    (!value.is_empty()).then(|| text(key, value))
}
