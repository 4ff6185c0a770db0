//! Rows of text: `json` (JSON lines) and `csv`, as k6 documents them, or aggregated to a row for each series and second.
//!
//! [`RowsFile`] turns events into rows: samples one by one, or what a second added to each series. An [`Encoder`] writes
//! them ([`json`], [`csv`]); [`file`] puts whole rows on the disk at least once a second, so that a run that is killed
//! leaves all but its last moment, and counts those that the disk did not take.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustc_hash::FxHashMap;

use super::merge::Merged;
use super::spec::{Arguments, Destination, Kind, Parameter};
use super::{Format, Output, OutputError};
use crate::event::{RunEvent, Samples, Second, Warning};
use crate::metric::aggregate::TrendAggregate;
use crate::metric::sample::{Names, RequestKind, RequestSample, Rows, Wants};
use crate::metric::series::Tag;
use crate::metric::sink::Sink;
use crate::metric::snapshot::{SeriesDef, SeriesId, SinkDelta, SourceId};
use crate::metric::trace::{Place, TraceIds};
use crate::metric::{Catalogue, Contains, MetricDef, MetricKind};

mod csv;
mod file;
mod json;
#[cfg(test)]
mod tests;
mod time;

use file::RowFile;
pub use time::TimeFormat;

const MODE: Parameter = Parameter {
    name: "mode",
    kind: Kind::OneOf(&["samples", "aggregate"]),
    default: "samples",
    help: "a row for each value, or one for each series and second",
};
const VU: Parameter = Parameter {
    name: "vu",
    kind: Kind::Switch,
    default: "false",
    help: "add the VU and the iteration of each request to its metadata",
};

/// The format `json`.
pub const JSON: Format = Format {
    name: "json",
    help: "JSON lines as k6 writes them (compressed when FILE ends in .gz)",
    destination: Destination::Required("FILE"),
    parameters: &[MODE, VU],
    open: |arguments| open(arguments, Box::new(json::JsonLines)),
};

/// The format `csv`.
pub const CSV: Format = Format {
    name: "csv",
    help: "CSV with the columns of k6 (compressed when FILE ends in .gz)",
    destination: Destination::Required("FILE"),
    parameters: &[
        MODE,
        VU,
        Parameter {
            name: "time",
            kind: Kind::OneOf(TimeFormat::NAMES),
            default: "unix",
            help: "how the column `timestamp` tells the time",
        },
    ],
    open: |arguments| {
        let time = TimeFormat::named(arguments.text("time").unwrap_or_default());
        open(arguments, Box::new(csv::Csv::new(time)))
    },
};

fn open(arguments: &Arguments, encoder: Box<dyn Encoder>) -> Result<Box<dyn Output>, OutputError> {
    if arguments.destination == "-" {
        return Err(OutputError::Write {
            destination: "-".into(),
            source: std::io::Error::other(
                "standard output is the summary's; give a file, or /dev/stdout to have both there",
            ),
        });
    }
    let aggregate = arguments.text("mode") == Some("aggregate");
    Ok(Box::new(RowsFile {
        file: RowFile::new(&arguments.destination),
        aggregate,
        with_vu: arguments.switch("vu"),
        encoder,
        sources: FxHashMap::default(),
        merged: Merged::default(),
        catalogue: Arc::default(),
        metrics_told: 0,
        clock: None,
    }))
}

/// What a row's tags are: those that k6 has columns for, and all others.
#[derive(Clone, Debug, Default)]
struct Labels<'a> {
    known: [Cow<'a, str>; KNOWN.len()],
    extra: Vec<(&'a str, &'a str)>,
    metadata: Vec<(&'static str, String)>,
}

/// The tags that have columns of their own, in k6's order.
const KNOWN: [&str; 14] = [
    "check",
    "error",
    "error_code",
    "expected_response",
    "group",
    "method",
    "name",
    "proto",
    "scenario",
    "service",
    "status",
    "subproto",
    "tls_version",
    "url",
];

impl<'a> Labels<'a> {
    fn set(&mut self, key: &str, value: impl Into<Cow<'a, str>>) {
        if let Some(at) = KNOWN.iter().position(|known| *known == key) {
            self.known[at] = value.into();
        }
    }

    fn tags(&mut self, tags: &'a [Tag]) {
        for (key, value) in tags {
            match KNOWN.iter().position(|known| **known == **key) {
                Some(at) => self.known[at] = if **key == *"group" { group(value) } else { Cow::Borrowed(&**value) },
                None => self.extra.push((key, value)),
            }
        }
    }

    fn of_series(tags: &'a [Tag]) -> Self {
        let mut labels = Self::default();
        labels.tags(tags);
        labels
    }

    fn of_request(kind: &'a RequestKind, sample: &'a RequestSample) -> Self {
        let mut labels = Self::default();
        labels.tags(&kind.tags);
        if let Some(error) = &sample.error {
            labels.set("error", &**error);
        }
        if kind.error_code != 0 {
            labels.set("error_code", kind.error_code.to_string());
        }
        labels.set("expected_response", if kind.expected { "true" } else { "false" });
        labels.set("group", group(&kind.group));
        labels.set("method", &*kind.method);
        labels.set("name", &*kind.name);
        labels.set("proto", sample.protocol.unwrap_or_default());
        labels.set("scenario", &*kind.scenario);
        labels.set("status", kind.status.to_string());
        labels.set(
            "tls_version",
            sample.tls_version.map(|version| version.to_lowercase().replace(' ', "")).unwrap_or_default(),
        );
        labels.set("url", &*sample.url);
        labels
    }
}

/// A group's path as k6 writes it: with a separator before it.
fn group(path: &str) -> Cow<'_, str> {
    if path.is_empty() || path.starts_with("::") { Cow::Borrowed(path) } else { Cow::Owned(format!("::{path}")) }
}

/// What a second added to a series, in figures; what its kind does not have is none.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    /// Values: of trends and rates.
    count: Option<u64>,
    /// Of counters and trends; of rates those that were true.
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    avg: Option<f64>,
    med: Option<f64>,
    p90: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    /// Of gauges.
    last: Option<f64>,
}

impl Figures {
    fn of(sink: &Sink) -> Self {
        match sink {
            Sink::Counter { sum } => Self { sum: Some(*sum), ..Self::default() },
            Sink::Gauge { last, min, max } => {
                Self { last: Some(*last), min: Some(*min), max: Some(*max), ..Self::default() }
            }
            Sink::Rate { passes, total } => Self {
                count: Some(*total),
                sum: Some(*passes as f64),
                avg: Some(*passes as f64 / (*total).max(1) as f64),
                ..Self::default()
            },
            Sink::Trend(trend) => {
                let all = TrendAggregate::merge([&**trend]);
                Self {
                    count: Some(trend.count),
                    sum: Some(trend.sum as f64 / 1e3),
                    min: all.min(),
                    max: all.max(),
                    avg: all.avg(),
                    med: all.percentile(50.0),
                    p90: all.percentile(90.0),
                    p95: all.percentile(95.0),
                    p99: all.percentile(99.0),
                    last: None,
                }
            }
        }
    }

    /// By name, in the order in which they are written.
    fn named(&self) -> [(&'static str, Option<f64>); 10] {
        [
            ("count", self.count.map(|count| count as f64)),
            ("sum", self.sum),
            ("min", self.min),
            ("avg", self.avg),
            ("med", self.med),
            ("p90", self.p90),
            ("p95", self.p95),
            ("p99", self.p99),
            ("max", self.max),
            ("last", self.last),
        ]
    }
}

/// Writes rows into a block of bytes. What several rows have in common is given once before them.
trait Encoder: Send {
    /// What stands before all rows.
    fn head(&mut self, _block: &mut Vec<u8>, _aggregate: bool) {}

    /// A metric of the run, told before its rows.
    fn metric(&mut self, _block: &mut Vec<u8>, _def: &MetricDef) {}

    /// A row of one value for each of these, all with the same time and labels.
    fn values(&mut self, block: &mut Vec<u8>, at: Timestamp, labels: &Labels<'_>, values: &[(&MetricDef, f64)]);

    /// A row of a second of one series.
    fn figures(&mut self, block: &mut Vec<u8>, at: Timestamp, labels: &Labels<'_>, def: &MetricDef, figures: &Figures);
}

/// What a source's numbers mean.
#[derive(Default)]
struct Source {
    kinds: Vec<Arc<RequestKind>>,
    series: FxHashMap<SeriesId, SeriesDef>,
}

/// How times of the run become times of day.
#[derive(Clone, Copy)]
struct Clock {
    /// The start of the engine, which samples count from.
    engine: Timestamp,
    /// The start of the load, which seconds count from.
    load: Timestamp,
    seed: u64,
}

/// An output of rows.
struct RowsFile {
    file: RowFile,
    aggregate: bool,
    with_vu: bool,
    encoder: Box<dyn Encoder>,
    sources: FxHashMap<SourceId, Source>,
    /// Of the aggregated mode.
    merged: Merged,
    catalogue: Arc<Catalogue>,
    metrics_told: usize,
    clock: Option<Clock>,
}

impl RowsFile {
    fn begin(&mut self, started_at: &str, seed: u64) -> Result<(), OutputError> {
        self.file.open()?;
        let load = Timestamp::now();
        let engine = started_at.parse().unwrap_or(load);
        self.clock = Some(Clock { engine, load, seed });
        self.encoder.head(&mut self.file.block, self.aggregate);
        Ok(())
    }

    fn knows(&mut self, catalogue: &Arc<Catalogue>) {
        if self.metrics_told < catalogue.defs().len() {
            for def in &catalogue.defs()[self.metrics_told..] {
                self.encoder.metric(&mut self.file.block, def);
            }
            self.metrics_told = catalogue.defs().len();
            self.catalogue = catalogue.clone();
        }
    }

    fn names(&mut self, names: &Names) {
        self.knows(&names.catalogue);
        let source = self.sources.entry(names.source).or_default();
        source.kinds.extend(names.kinds.iter().cloned());
        source.series.extend(names.series.iter().map(|def| (def.id, def.clone())));
    }

    fn rows(&mut self, rows: &Rows, clock: Clock) -> Result<(), OutputError> {
        let Some(source) = self.sources.get(&rows.source) else { return Ok(()) };
        let mut values: Vec<(&MetricDef, f64)> = Vec::new();
        for sample in &rows.requests {
            let Some(kind) = source.kinds.get(sample.kind as usize) else { continue };
            let mut labels = Labels::of_request(kind, sample);
            if sample.traced {
                let place = Place { vu: sample.vu, iteration: sample.iteration, number: sample.number };
                labels.metadata.push(("trace_id", TraceIds::new(clock.seed, place).trace_id()));
            }
            if self.with_vu {
                labels.metadata.push(("vu", sample.vu.to_string()));
                labels.metadata.push(("iter", sample.iteration.to_string()));
            }
            values.clear();
            sample.values(kind, |metric, value| values.push((self.catalogue.get(metric), value.number())));
            self.encoder.values(&mut self.file.block, moment(clock.engine, sample.ended), &labels, &values);
            self.file.wrote(values.len() as u64)?;
        }
        for sample in &rows.values {
            let Some(def) = source.series.get(&sample.series) else { continue };
            let value = [(self.catalogue.get(def.metric), sample.value.number())];
            let labels = Labels::of_series(&def.tags);
            self.encoder.values(&mut self.file.block, moment(clock.engine, sample.at), &labels, &value);
            self.file.wrote(1)?;
        }
        Ok(())
    }

    /// The engine's own gauges: nobody records them by themselves.
    fn gauges(&mut self, second: &Second, clock: Clock) -> Result<(), OutputError> {
        self.knows(&second.catalogue);
        let at = moment(clock.load, second.elapsed);
        for snapshot in second.snapshots.iter().filter(|snapshot| snapshot.source == SourceId::ENGINE) {
            let source = self.sources.entry(SourceId::ENGINE).or_default();
            source.series.extend(snapshot.new_series.iter().map(|def| (def.id, def.clone())));
            for (id, sink) in &snapshot.sinks {
                if let (SinkDelta::Gauge { last, .. }, Some(def)) = (sink, source.series.get(id)) {
                    let value = [(self.catalogue.get(def.metric), *last)];
                    self.encoder.values(&mut self.file.block, at, &Labels::of_series(&def.tags), &value);
                    self.file.wrote(1)?;
                }
            }
        }
        Ok(())
    }

    fn second(&mut self, second: &Second, clock: Clock) -> Result<(), OutputError> {
        if !self.aggregate {
            return self.gauges(second, clock);
        }
        self.knows(&second.catalogue);
        self.merged.absorb(second);
        // The second's start; its end would put its rows into the next one.
        let at = moment(clock.load, Duration::from_secs(second.second.into()));
        for (def, series) in self.merged.touched() {
            let labels = Labels::of_series(&series.tags);
            self.encoder.figures(&mut self.file.block, at, &labels, def, &Figures::of(&series.sink));
            self.file.wrote(1)?;
        }
        self.merged.clear();
        Ok(())
    }

    /// A row that says how many samples were left out at this place.
    fn lost(&mut self, lost: u64) -> Result<(), OutputError> {
        let def = MetricDef { name: DROPPED_SAMPLES.into(), kind: MetricKind::Counter, contains: Contains::Default };
        self.encoder.metric(&mut self.file.block, &def);
        self.encoder.values(&mut self.file.block, Timestamp::now(), &Labels::default(), &[(&def, lost as f64)]);
        self.file.wrote(1)
    }
}

/// What rows call the number of samples that were left out.
const DROPPED_SAMPLES: &str = "dropped_samples";

fn moment(from: Timestamp, after: Duration) -> Timestamp {
    from.checked_add(after).unwrap_or(from)
}

impl Output for RowsFile {
    fn check(&mut self) -> Result<(), OutputError> {
        self.file.check()
    }

    fn wants_samples(&self) -> Wants {
        if self.aggregate { Wants::NOTHING } else { Wants::ALL }
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        if let RunEvent::Started(info) = event {
            self.begin(&info.started_at, info.seed)?;
        }
        // Without a start there is no load, and nothing to tell.
        let Some(clock) = self.clock else { return Ok(()) };
        match event {
            RunEvent::Samples(Samples::Names(names)) => self.names(names),
            RunEvent::Samples(Samples::Rows(rows)) => self.rows(rows, clock)?,
            RunEvent::Samples(Samples::Lost(lost)) => self.lost(*lost)?,
            RunEvent::Tick(second) => self.second(second, clock)?,
            _ => {}
        }
        self.file.flush_when_due(Instant::now())
    }

    fn idle(&mut self) -> Result<(), OutputError> {
        self.file.flush_when_due(Instant::now())
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        self.file.take_warnings()
    }

    fn finish(self: Box<Self>) -> Result<(), OutputError> {
        let Self { file, .. } = *self;
        file.finish()
    }
}
