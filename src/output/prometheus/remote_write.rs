//! `--out prometheus-rw=URL`: remote write (version 1: protobuf, snappy) to Prometheus, Mimir, VictoriaMetrics and others.
//!
//! Every few seconds the totals so far are sent. A series that is new is sent as zero first, for the moment before: else a
//! query for its increase would not see what its first value tells. Native histograms are sent on demand.

use std::time::Duration;

use prost::Message as _;

use super::family::{self, Facts, Family, Row, Value, Wanted};
use super::protobuf::written::{Histogram, Metadata, Sample, TimeSeries, WriteRequest};
use super::protobuf::{self, Label};
use super::scrape::{BUCKETS, seconds};
use super::text::float;
use crate::event::{RunEvent, Warning};
use crate::output::merge::Merged;
use crate::output::moments::Moments;
use crate::output::push::{self, Parcel, Push};
use crate::output::spec::{Arguments, Destination, Kind, Parameter};
use crate::output::{Format, Output, OutputError};

/// The format `prometheus-rw`.
pub const FORMAT: Format = Format {
    name: "prometheus-rw",
    help: "Prometheus remote write, such as http://HOST:9090/api/v1/write",
    destination: Destination::Required("URL"),
    parameters: &[
        Parameter { name: "interval", kind: Kind::Duration, default: "5s", help: "how often the totals are sent" },
        Parameter {
            name: "histograms",
            kind: Kind::OneOf(&["classic", "native", "both"]),
            default: "classic",
            help: "as what trends are sent; the receiver must be told to take native ones",
        },
        BUCKETS,
        Parameter { name: "job", kind: Kind::Text, default: "loadr", help: "the label `job` of all series" },
        Parameter {
            name: "stale",
            kind: Kind::Switch,
            default: "false",
            help: "mark all series as stale when the run is over",
        },
        push::USERNAME,
        push::PASSWORD,
        push::TOKEN,
        push::HEADERS,
        push::TIMEOUT,
        push::INSECURE,
    ],
    open: |arguments| Ok(Box::new(RemoteWrite::open(arguments)?)),
};

/// The most series of one request; receivers bound its size.
const SERIES_MOST: usize = 2_000;

/// What Prometheus takes for the end of a series.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// The output.
struct RemoteWrite {
    interval: Duration,
    wanted: Wanted,
    job: String,
    stale: bool,
    push: Push,
    merged: Merged,
    facts: Facts,
    moments: Moments,
    /// When the totals were last sent, and how far the run is, both since its start.
    sent: Duration,
    now: Duration,
    /// So many series have been sent before.
    known: usize,
    /// Families whose metadata has been sent.
    told: usize,
}

impl RemoteWrite {
    fn open(arguments: &Arguments) -> Result<Self, OutputError> {
        let mut receiver = push::receiver("prometheus-rw", arguments, "LOADR_PROMETHEUS_RW", "Bearer")?;
        for (name, value) in [
            ("Content-Type", "application/x-protobuf"),
            ("Content-Encoding", "snappy"),
            ("X-Prometheus-Remote-Write-Version", "0.1.0"),
        ] {
            receiver.headers.push((name.to_owned(), value.to_owned()));
        }
        let histograms = arguments.text("histograms").unwrap_or("classic");
        Ok(Self {
            interval: arguments.duration("interval").unwrap_or_default().max(Duration::from_secs(1)),
            wanted: Wanted {
                seconds: seconds("prometheus-rw", arguments)?,
                classic: histograms != "native",
                native: histograms != "classic",
            },
            job: arguments.text("job").unwrap_or_default().to_owned(),
            stale: arguments.switch("stale"),
            push: Push::new(receiver),
            merged: Merged::default(),
            facts: Facts::default(),
            moments: Moments::default(),
            sent: Duration::ZERO,
            now: Duration::ZERO,
            known: 0,
            told: 0,
        })
    }

    /// Sends the totals, and after them the marks of the end where `last` asks for them.
    fn send(&mut self, last: bool) -> Result<(), OutputError> {
        let families = family::families(&self.merged, &self.facts, &self.wanted);
        let (before, mut at) = (self.moments.at_ms(self.sent), self.moments.at_ms(self.now));
        // Two samples of one series can't be of one moment.
        at = at.max(before + 1);
        let mut series = Vec::new();
        for family in &families {
            for row in &family.rows {
                let new = row.series.is_some_and(|series| series >= self.known);
                self.rows(family, row, &Times { at, before: new.then_some(before) }, &mut series);
            }
        }
        if last && self.stale {
            for series in &mut series {
                let (stale, timestamp) = (f64::from_bits(STALE), at + 1);
                if series.histograms.is_empty() {
                    series.samples.push(Sample { value: stale, timestamp });
                } else {
                    series.histograms.push(Histogram { sum: stale, timestamp, ..Histogram::default() });
                }
            }
        }
        let kinds = [family::Kind::Counter, family::Kind::Gauge, family::Kind::Histogram];
        let mut metadata: Vec<Metadata> = Vec::new();
        if families.len() > self.told {
            metadata.extend(families.iter().map(|family| Metadata {
                kind: kinds.iter().position(|kind| *kind == family.kind).map_or(0, |place| place as i32 + 1),
                metric_family_name: format!("{}{}", family.name, total(family)),
                help: family.help.clone().into_owned(),
                unit: family.unit.to_owned(),
            }));
        }
        self.told = families.len();
        self.known = self.merged.series().len();
        self.sent = self.now;
        while !series.is_empty() {
            let rest = series.split_off(series.len().min(SERIES_MOST));
            let request = WriteRequest { timeseries: series, metadata: std::mem::take(&mut metadata) };
            self.push.send(parcel(&request))?;
            series = rest;
        }
        Ok(())
    }

    fn rows(&self, family: &Family, row: &Row, times: &Times, series: &mut Vec<TimeSeries>) {
        let named = |ending: &str, more: Option<(&str, String)>| -> Vec<Label> {
            let mut labels = protobuf::labels(&row.labels);
            let mut label = |name: &str, value: String| labels.push(Label { name: name.to_owned(), value });
            label("__name__", format!("{}{ending}", family.name));
            if !self.job.is_empty() {
                label("job", self.job.clone());
            }
            if let Some((name, value)) = more {
                label(name, value);
            }
            labels.sort_by(|a, b| a.name.cmp(&b.name));
            labels
        };
        let counted = |labels, value| TimeSeries { labels, samples: times.samples(value), histograms: Vec::new() };
        match &row.value {
            Value::Number(value) if family.kind == family::Kind::Counter => {
                series.push(counted(named("_total", None), *value));
            }
            Value::Number(value) => series.push(TimeSeries {
                labels: named("", None),
                samples: vec![Sample { value: *value, timestamp: times.at }],
                histograms: Vec::new(),
            }),
            Value::Histogram(histogram) => {
                if self.wanted.classic {
                    for &(end, count) in histogram.classic.iter().chain([&(f64::INFINITY, histogram.count)]) {
                        series.push(counted(named("_bucket", Some(("le", bound(end)))), count as f64));
                    }
                    series.push(counted(named("_sum", None), histogram.sum));
                    series.push(counted(named("_count", None), histogram.count as f64));
                }
                if self.wanted.native {
                    let nothing = family::Distribution { count: 0, sum: 0.0, classic: Vec::new(), native: None };
                    let zero = times.before.map(|before| protobuf::written_histogram(&nothing, before));
                    let mut histograms: Vec<_> = zero.into_iter().collect();
                    histograms.push(protobuf::written_histogram(histogram, times.at));
                    series.push(TimeSeries { labels: named("", None), samples: Vec::new(), histograms });
                }
            }
        }
    }
}

/// The end of a bucket as a label: as scraped from text, `1` and not `1.0`, which Prometheus would make of it.
fn bound(end: f64) -> String {
    let text = float(end);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn total(family: &Family) -> &'static str {
    if family.kind == family::Kind::Counter { "_total" } else { "" }
}

/// The moments of a row.
struct Times {
    at: i64,
    /// Of a series that is new: when it was zero.
    before: Option<i64>,
}

impl Times {
    fn samples(&self, value: f64) -> Vec<Sample> {
        let zero = self.before.map(|timestamp| Sample { value: 0.0, timestamp });
        zero.into_iter().chain([Sample { value, timestamp: self.at }]).collect()
    }
}

fn parcel(request: &WriteRequest) -> Parcel {
    let rows = request.timeseries.iter().map(|series| series.samples.len() + series.histograms.len()).sum::<usize>();
    Parcel { body: compress(&request.encode_to_vec()), rows: rows as u64 }
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("a request is far smaller than the 4 GB that snappy takes")
}

impl Output for RemoteWrite {
    fn check(&mut self) -> Result<(), OutputError> {
        self.push.check(&compress(&WriteRequest::default().encode_to_vec()))
    }

    fn event(&mut self, event: &RunEvent) -> Result<(), OutputError> {
        self.facts.event(event);
        self.moments.event(event);
        match event {
            RunEvent::Tick(second) => {
                self.merged.absorb(second);
                self.now = second.elapsed;
                // A tick may come a little early.
                if self.now + Duration::from_millis(100) >= self.sent + self.interval {
                    return self.send(false);
                }
            }
            RunEvent::Ended(_) => {
                self.now = self.now.max(self.sent);
                return self.send(true);
            }
            _ => {}
        }
        Ok(())
    }

    fn take_warnings(&mut self) -> Vec<Warning> {
        self.push.take_warnings()
    }

    fn patience(&self) -> Duration {
        push::FINISH_PATIENCE + Duration::from_secs(5)
    }

    fn finish(self: Box<Self>) -> Result<(), OutputError> {
        self.push.finish(push::FINISH_PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::output::push::tests::{Received, Standin};
    use crate::output::{open, sample};

    fn requests(received: &[Received]) -> Vec<WriteRequest> {
        received
            .iter()
            .map(|request| {
                assert_eq!(request.headers["content-encoding"], "snappy");
                assert_eq!(request.headers["content-type"], "application/x-protobuf");
                assert_eq!(request.headers["x-prometheus-remote-write-version"], "0.1.0");
                let bytes = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
                WriteRequest::decode(&*bytes).unwrap()
            })
            .collect()
    }

    fn labels(series: &TimeSeries) -> BTreeMap<&str, &str> {
        let labels: BTreeMap<_, _> = series.labels.iter().map(|label| (&*label.name, &*label.value)).collect();
        assert_eq!(labels.len(), series.labels.len(), "a label twice");
        assert!(series.labels.is_sorted_by(|a, b| a.name < b.name), "{labels:?}");
        labels
    }

    /// A run of three seconds, of which the last is sent at the end.
    fn sent(parameters: &str) -> Vec<WriteRequest> {
        let standin = Standin::answering(&[]);
        let spec = format!("prometheus-rw={}?interval=2s&{parameters}", standin.url("/api/v1/write"));
        let mut output = open(&spec).unwrap().output;
        output.check().unwrap();
        output.event(&RunEvent::Started(Arc::new(sample::rich_report().run))).unwrap();
        let mut recording = sample::Recording::of(vec!["front page".into()]);
        for _ in 0..3 {
            output.event(&RunEvent::Tick(Arc::new(recording.second()))).unwrap();
        }
        output.event(&RunEvent::Ended(Arc::new(sample::rich_report()))).unwrap();
        output.finish().unwrap();
        requests(&standin.requests(3))
    }

    fn find<'a>(request: &'a WriteRequest, wanted: &[(&str, &str)]) -> &'a TimeSeries {
        let found = request.timeseries.iter().find(|series| {
            let labels = labels(series);
            wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
        });
        found.unwrap_or_else(|| panic!("{wanted:?} is not in {request:?}"))
    }

    #[test]
    fn totals_are_sent_every_so_often_and_begin_at_zero() {
        let requests = sent("");
        assert_eq!(requests[0], WriteRequest::default(), "the check sends nothing");
        let wanted = [("__name__", "loadr_http_reqs_total"), ("status", "200"), ("job", "loadr")];
        let values = |request| find(request, &wanted).samples.iter().map(|sample| sample.value).collect::<Vec<_>>();
        assert_eq!((values(&requests[1]), values(&requests[2])), (vec![0.0, 36.0], vec![54.0]));
        let samples = &find(&requests[1], &wanted).samples;
        assert_eq!(samples[1].timestamp - samples[0].timestamp, 2_000);
        let le = [("__name__", "loadr_http_req_duration_seconds_bucket"), ("status", "200"), ("le", "+Inf")];
        assert_eq!(find(&requests[2], &le).samples[0].value, 54.0);
        let one = [("__name__", "loadr_http_req_duration_seconds_bucket"), ("status", "200"), ("le", "1")];
        assert_eq!(find(&requests[2], &one).samples[0].value, 54.0);
        assert!(requests[1].timeseries.iter().all(|series| series.histograms.is_empty()));
        let metadata = requests[1].metadata.iter().find(|told| told.metric_family_name == "loadr_http_reqs_total");
        assert_eq!(metadata.map(|told| told.kind), Some(1));
        assert_eq!(find(&requests[2], &[("__name__", "loadr_threshold_ok")]).samples.len(), 1);
    }

    #[test]
    fn native_histograms_on_demand() {
        let requests = sent("histograms=native&stale=true");
        let wanted = [("__name__", "loadr_http_req_duration_seconds"), ("status", "200")];
        let histograms = &find(&requests[1], &wanted).histograms;
        assert_eq!(histograms.iter().map(|histogram| histogram.count).collect::<Vec<_>>(), [Some(0), Some(36)]);
        assert!(!requests[1].timeseries.iter().any(|series| labels(series)["__name__"].ends_with("_bucket")));
        for series in &requests[2].timeseries {
            let sample = series.samples.last().map(|sample| (sample.value, sample.timestamp));
            let histogram = series.histograms.last().map(|histogram| (histogram.sum, histogram.timestamp));
            let (value, _) = sample.or(histogram).unwrap();
            assert_eq!(value.to_bits(), STALE, "{series:?}");
        }
    }

    #[test]
    fn many_series_go_in_several_requests() {
        let standin = Standin::answering(&[]);
        let mut output = open(&format!("prometheus-rw={}?interval=1s", standin.url("/"))).unwrap().output;
        let names = (0..100).map(|number| format!("page {number}")).collect();
        output.event(&RunEvent::Tick(Arc::new(sample::Recording::of(names).second()))).unwrap();
        output.finish().unwrap();
        let requests = requests(&standin.requests(3));
        assert!(requests.iter().all(|request| request.timeseries.len() <= SERIES_MOST));
        let all: usize = requests.iter().map(|request| request.timeseries.len()).sum();
        // A hundred names with two statuses: two rates of two values, a counter, a histogram of 21 series; and checks.
        assert!(all >= 100 * 2 * (1 + 2 + 21), "{all}");
    }
}
