//! CSV with k6's documented columns. The aggregated mode has columns of its own: figures in the place of `metric_value`,
//! and no columns that belong to single requests.

use std::fmt::Write as _;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{Encoder, Figures, KNOWN, Labels, TimeFormat};
use crate::metric::{MetricDef, MetricKind};

/// The encoder.
pub(super) struct Csv {
    time: TimeFormat,
}

impl Csv {
    pub fn new(time: TimeFormat) -> Self {
        Self { time }
    }
}

/// What would be taken for a separator within a cell of pairs.
const IN_PAIRS: &AsciiSet = &CONTROLS.add(b'&').add(b'=').add(b'%');

/// `key=value&key=value`.
fn pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut cell = String::new();
    for (key, value) in pairs {
        let separator = if cell.is_empty() { "" } else { "&" };
        let (key, value) = (utf8_percent_encode(key, IN_PAIRS), utf8_percent_encode(value, IN_PAIRS));
        // Writing into a text can't fail.
        let _ = write!(cell, "{separator}{key}={value}");
    }
    cell
}

/// Writes one record, with the end of the line.
fn record<'a>(block: &mut Vec<u8>, fields: impl Iterator<Item = &'a str>) {
    let mut writer = csv::WriterBuilder::new().buffer_capacity(512).from_writer(block);
    for field in fields {
        // Into memory: it can't fail.
        let _ = writer.write_field(field);
    }
    let _ = writer.write_record(None::<&[u8]>);
    let _ = writer.flush();
}

/// The fields of a record without the end of the line, to be put behind others.
fn tail<'a>(fields: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut tail = Vec::new();
    record(&mut tail, fields);
    tail
}

fn name(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Rate => "rate",
        MetricKind::Trend => "trend",
    }
}

impl Encoder for Csv {
    fn head(&mut self, block: &mut Vec<u8>, aggregate: bool) {
        if aggregate {
            let figures = Figures::default().named().map(|(name, _)| name);
            let first = ["metric_name", "timestamp", "metric_type"].into_iter().chain(figures);
            record(block, first.chain(KNOWN).chain(["extra_tags"]));
        } else {
            let first = ["metric_name", "timestamp", "metric_value"];
            record(block, first.into_iter().chain(KNOWN).chain(["extra_tags", "metadata"]));
        }
    }

    fn values(&mut self, block: &mut Vec<u8>, at: Timestamp, labels: &Labels<'_>, values: &[(&MetricDef, f64)]) {
        let extra = pairs(labels.extra.iter().copied());
        let metadata = pairs(labels.metadata.iter().map(|(key, value)| (*key, &**value)));
        let known = labels.known.iter().map(|value| &**value);
        let common = tail(known.chain([&*extra, &*metadata]));
        let mut time = String::new();
        self.time.write(at, &mut time);
        for (def, value) in values {
            // Names of metrics, times and numbers hold nothing that must be quoted.
            block.extend_from_slice(def.name.as_bytes());
            block.push(b',');
            block.extend_from_slice(time.as_bytes());
            block.push(b',');
            block.extend_from_slice(value.to_string().as_bytes());
            block.push(b',');
            block.extend_from_slice(&common);
        }
    }

    fn figures(&mut self, block: &mut Vec<u8>, at: Timestamp, labels: &Labels<'_>, def: &MetricDef, figures: &Figures) {
        let mut time = String::new();
        self.time.write(at, &mut time);
        let figures = figures.named().map(|(_, figure)| {
            figure.filter(|figure| figure.is_finite()).map(|figure| figure.to_string()).unwrap_or_default()
        });
        let extra = pairs(labels.extra.iter().copied());
        let first = [&*def.name, &*time, name(def.kind)].into_iter().chain(figures.iter().map(|figure| &**figure));
        record(block, first.chain(labels.known.iter().map(|value| &**value)).chain([&*extra]));
    }
}
