//! JSON lines in k6's documented shape: `Metric` before the first row of a metric, `Point` for a value. The aggregated mode
//! has `Aggregate` for a series and a second, whose figures take the place of `value`.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Encoder, Figures, KNOWN, Labels, TimeFormat};
use crate::metric::MetricDef;

/// The encoder.
pub(super) struct JsonLines;

fn text(value: &str) -> Value {
    Value::String(value.into())
}

fn tags(labels: &Labels<'_>) -> Value {
    let known = KNOWN.iter().zip(&labels.known).filter(|(_, value)| !value.is_empty());
    let known = known.map(|(key, value)| ((*key).to_owned(), text(value)));
    let extra = labels.extra.iter().map(|(key, value)| ((*key).to_owned(), text(value)));
    Value::Object(known.chain(extra).collect())
}

fn time(at: Timestamp) -> String {
    let mut text = String::new();
    TimeFormat::Rfc3339Nano.write(at, &mut text);
    text
}

/// A number of JSON: whole numbers without a point, null for what JSON has no number for.
fn number(value: f64, block: &mut Vec<u8>) {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        // Exact below 2^53.
        block.extend_from_slice((value as i64).to_string().as_bytes());
    } else {
        append(block, &json!(value));
    }
}

fn append(block: &mut Vec<u8>, value: &Value) {
    // Into memory, with keys that are text: it can't fail.
    let _ = serde_json::to_writer(block, value);
}

impl Encoder for JsonLines {
    fn metric(&mut self, block: &mut Vec<u8>, def: &MetricDef) {
        let line = json!({
            "type": "Metric",
            "data": {
                "name": &*def.name,
                "type": def.kind,
                "contains": def.contains,
                "thresholds": [],
                "submetrics": null,
            },
            "metric": &*def.name,
        });
        append(block, &line);
        block.push(b'\n');
    }

    fn values(&mut self, block: &mut Vec<u8>, at: Timestamp, labels: &Labels<'_>, values: &[(&MetricDef, f64)]) {
        let mut common = b",\"tags\":".to_vec();
        append(&mut common, &tags(labels));
        if !labels.metadata.is_empty() {
            common.extend_from_slice(b",\"metadata\":");
            let metadata = labels.metadata.iter().map(|(key, value)| ((*key).to_owned(), text(value)));
            append(&mut common, &Value::Object(metadata.collect::<Map<_, _>>()));
        }
        let time = time(at);
        for (def, value) in values {
            block.extend_from_slice(b"{\"metric\":");
            append(block, &text(&def.name));
            block.extend_from_slice(b",\"type\":\"Point\",\"data\":{\"time\":\"");
            block.extend_from_slice(time.as_bytes());
            block.extend_from_slice(b"\",\"value\":");
            number(*value, block);
            block.extend_from_slice(&common);
            block.extend_from_slice(b"}}\n");
        }
    }

    fn figures(&mut self, block: &mut Vec<u8>, at: Timestamp, labels: &Labels<'_>, def: &MetricDef, figures: &Figures) {
        let mut data = Map::new();
        data.insert("time".into(), text(&time(at)));
        data.insert("interval_s".into(), json!(1));
        for (name, figure) in figures.named() {
            if let Some(figure) = figure.filter(|figure| figure.is_finite()) {
                data.insert(name.into(), json!(figure));
            }
        }
        data.insert("tags".into(), tags(labels));
        let line = json!({ "metric": &*def.name, "type": "Aggregate", "data": data });
        append(block, &line);
        block.push(b'\n');
    }
}
