//! Prometheus' messages: what a scrape may ask for instead of text, and what remote write sends.
//!
//! Both are given by the fields' numbers and types in Prometheus' documentation of its protocols. Only what loadr sends is
//! here; what is not set is not sent.

use prost::Message;

use super::family::{Distribution, Family, Kind, Value};
use super::native::{Native, SCALE, Span};

/// Values up to it count as zero; the smallest that Prometheus' own clients use.
pub const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

/// How the answer to a scrape is called in headers.
pub const SCRAPE_CONTENT_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// A label.
#[derive(Clone, PartialEq, Message)]
pub struct Label {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A stretch of exponential buckets.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct BucketSpan {
    /// Empty buckets before it.
    #[prost(sint32, tag = "1")]
    pub offset: i32,
    /// Its buckets.
    #[prost(uint32, tag = "2")]
    pub length: u32,
}

/// Messages that answer a scrape.
pub mod scraped {
    use super::{BucketSpan, Label, Message};

    /// A family.
    #[derive(Clone, PartialEq, Message)]
    pub struct MetricFamily {
        /// Its name.
        #[prost(string, optional, tag = "1")]
        pub name: Option<String>,
        /// What it is.
        #[prost(string, optional, tag = "2")]
        pub help: Option<String>,
        /// 0 counter, 1 gauge, 4 histogram.
        #[prost(int32, optional, tag = "3")]
        pub kind: Option<i32>,
        /// Its rows.
        #[prost(message, repeated, tag = "4")]
        pub metric: Vec<Metric>,
        /// Its unit.
        #[prost(string, optional, tag = "5")]
        pub unit: Option<String>,
    }

    /// A row.
    #[derive(Clone, PartialEq, Message)]
    pub struct Metric {
        /// Its labels.
        #[prost(message, repeated, tag = "1")]
        pub label: Vec<Label>,
        /// Of a gauge.
        #[prost(message, optional, tag = "2")]
        pub gauge: Option<Number>,
        /// Of a counter.
        #[prost(message, optional, tag = "3")]
        pub counter: Option<Number>,
        /// Of a histogram.
        #[prost(message, optional, tag = "7")]
        pub histogram: Option<Histogram>,
    }

    /// A counter's or gauge's value.
    #[derive(Clone, Copy, PartialEq, Message)]
    pub struct Number {
        /// It.
        #[prost(double, optional, tag = "1")]
        pub value: Option<f64>,
    }

    /// A histogram with classic and exponential buckets.
    #[derive(Clone, PartialEq, Message)]
    pub struct Histogram {
        /// How many values.
        #[prost(uint64, optional, tag = "1")]
        pub sample_count: Option<u64>,
        /// Their sum.
        #[prost(double, optional, tag = "2")]
        pub sample_sum: Option<f64>,
        /// Classic buckets.
        #[prost(message, repeated, tag = "3")]
        pub bucket: Vec<Bucket>,
        /// The scale of the exponential ones.
        #[prost(sint32, optional, tag = "5")]
        pub schema: Option<i32>,
        /// What counts as zero.
        #[prost(double, optional, tag = "6")]
        pub zero_threshold: Option<f64>,
        /// How many are zero.
        #[prost(uint64, optional, tag = "7")]
        pub zero_count: Option<u64>,
        /// Stretches of buckets.
        #[prost(message, repeated, tag = "12")]
        pub positive_span: Vec<BucketSpan>,
        /// Their counts, each less the one before.
        #[prost(sint64, repeated, packed = "false", tag = "13")]
        pub positive_delta: Vec<i64>,
    }

    /// A classic bucket.
    #[derive(Clone, Copy, PartialEq, Message)]
    pub struct Bucket {
        /// How many values are at most as large.
        #[prost(uint64, optional, tag = "1")]
        pub cumulative_count: Option<u64>,
        /// Its upper end.
        #[prost(double, optional, tag = "2")]
        pub upper_bound: Option<f64>,
    }
}

/// Messages of remote write, version 1.
pub mod written {
    use super::{BucketSpan, Label, Message};

    /// A request.
    #[derive(Clone, PartialEq, Message)]
    pub struct WriteRequest {
        /// Series with their samples.
        #[prost(message, repeated, tag = "1")]
        pub timeseries: Vec<TimeSeries>,
        /// What metrics are.
        #[prost(message, repeated, tag = "3")]
        pub metadata: Vec<Metadata>,
    }

    /// A series.
    #[derive(Clone, PartialEq, Message)]
    pub struct TimeSeries {
        /// Its labels, the name among them, sorted.
        #[prost(message, repeated, tag = "1")]
        pub labels: Vec<Label>,
        /// Its values, by time.
        #[prost(message, repeated, tag = "2")]
        pub samples: Vec<Sample>,
        /// Its exponential histograms, by time.
        #[prost(message, repeated, tag = "4")]
        pub histograms: Vec<Histogram>,
    }

    /// A value.
    #[derive(Clone, Copy, PartialEq, Message)]
    pub struct Sample {
        /// It.
        #[prost(double, tag = "1")]
        pub value: f64,
        /// When, in milliseconds since 1970.
        #[prost(int64, tag = "2")]
        pub timestamp: i64,
    }

    /// An exponential histogram.
    #[derive(Clone, PartialEq, Message)]
    pub struct Histogram {
        /// How many values.
        #[prost(uint64, optional, tag = "1")]
        pub count: Option<u64>,
        /// Their sum.
        #[prost(double, tag = "3")]
        pub sum: f64,
        /// The scale.
        #[prost(sint32, tag = "4")]
        pub schema: i32,
        /// What counts as zero.
        #[prost(double, tag = "5")]
        pub zero_threshold: f64,
        /// How many are zero.
        #[prost(uint64, optional, tag = "6")]
        pub zero_count: Option<u64>,
        /// Stretches of buckets.
        #[prost(message, repeated, tag = "11")]
        pub positive_spans: Vec<BucketSpan>,
        /// Their counts, each less the one before.
        #[prost(sint64, repeated, tag = "12")]
        pub positive_deltas: Vec<i64>,
        /// When, in milliseconds since 1970.
        #[prost(int64, tag = "15")]
        pub timestamp: i64,
    }

    /// What a metric is.
    #[derive(Clone, PartialEq, Message)]
    pub struct Metadata {
        /// 1 counter, 2 gauge, 3 histogram.
        #[prost(int32, tag = "1")]
        pub kind: i32,
        /// Its name.
        #[prost(string, tag = "2")]
        pub metric_family_name: String,
        /// What it is.
        #[prost(string, tag = "4")]
        pub help: String,
        /// Its unit.
        #[prost(string, tag = "5")]
        pub unit: String,
    }
}

fn spans(native: &Native) -> (Vec<BucketSpan>, Vec<i64>) {
    let (spans, deltas) = native.spans();
    (spans.into_iter().map(|Span { offset, length }| BucketSpan { offset, length }).collect(), deltas)
}

/// Labels as messages.
#[must_use]
pub fn labels(labels: &[(String, String)]) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label { name: name.clone(), value: value.clone() }).collect()
}

/// An exponential histogram of remote write; of nothing, when there are no exponential buckets in it.
#[must_use]
pub fn written_histogram(distribution: &Distribution, timestamp: i64) -> written::Histogram {
    let native = distribution.native.clone().unwrap_or_default();
    let (positive_spans, positive_deltas) = spans(&native);
    written::Histogram {
        count: Some(distribution.count),
        sum: distribution.sum,
        schema: SCALE,
        zero_threshold: ZERO_THRESHOLD,
        zero_count: Some(native.zeros),
        positive_spans,
        positive_deltas,
        timestamp,
    }
}

/// The answer to a scrape: families, each after its length.
#[must_use]
pub fn render(families: &[Family]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for family in families {
        // A vector has room for everything: it can't fail.
        let _ = scraped_family(family).encode_length_delimited(&mut bytes);
    }
    bytes
}

fn scraped_family(family: &Family) -> scraped::MetricFamily {
    let rows = family.rows.iter().map(|row| {
        let mut metric = scraped::Metric { label: labels(&row.labels), ..scraped::Metric::default() };
        match &row.value {
            Value::Number(number) if family.kind == Kind::Counter => {
                metric.counter = Some(scraped::Number { value: Some(*number) });
            }
            Value::Number(number) => metric.gauge = Some(scraped::Number { value: Some(*number) }),
            Value::Histogram(distribution) => metric.histogram = Some(scraped_histogram(distribution)),
        }
        metric
    });
    let (kind, total) = match family.kind {
        Kind::Counter => (0, "_total"),
        Kind::Gauge => (1, ""),
        Kind::Histogram => (4, ""),
    };
    scraped::MetricFamily {
        name: Some(format!("{}{total}", family.name)),
        help: Some(family.help.clone().into_owned()),
        kind: Some(kind),
        metric: rows.collect(),
        unit: Some(family.unit.to_owned()).filter(|unit| !unit.is_empty()),
    }
}

fn scraped_histogram(distribution: &Distribution) -> scraped::Histogram {
    let bucket = |&(end, count): &(f64, u64)| scraped::Bucket { cumulative_count: Some(count), upper_bound: Some(end) };
    let mut histogram = scraped::Histogram {
        sample_count: Some(distribution.count),
        sample_sum: Some(distribution.sum),
        bucket: distribution.classic.iter().map(bucket).collect(),
        ..scraped::Histogram::default()
    };
    if let Some(native) = &distribution.native {
        let (positive_span, positive_delta) = spans(native);
        histogram = scraped::Histogram {
            schema: Some(SCALE),
            zero_threshold: Some(ZERO_THRESHOLD),
            zero_count: Some(native.zeros),
            positive_span,
            positive_delta,
            ..histogram
        };
    }
    histogram
}

#[cfg(test)]
mod tests {
    use super::super::family::{self, tests};
    use super::*;

    #[test]
    fn a_scrape_reads_back_with_both_kinds_of_buckets() {
        let (merged, facts) = tests::recorded(vec!["front page".into()]);
        let families = family::families(&merged, &facts, &tests::ALL());
        let bytes = render(&families);
        let mut rest = &bytes[..];
        let mut read = Vec::new();
        while !rest.is_empty() {
            read.push(scraped::MetricFamily::decode_length_delimited(&mut rest).unwrap());
        }
        assert_eq!(read.len(), families.len());
        let of = |name: &str| read.iter().find(|family| family.name.as_deref() == Some(name)).unwrap();
        let reqs: f64 = of("loadr_http_reqs_total").metric.iter().filter_map(|row| row.counter.as_ref()?.value).sum();
        assert_eq!(reqs, 40.0);
        for row in &of("loadr_http_req_duration_seconds").metric {
            let histogram = row.histogram.as_ref().unwrap();
            let (mut all, mut count) = (0, 0);
            for delta in &histogram.positive_delta {
                count += delta;
                all += count;
            }
            assert_eq!(u64::try_from(all).ok(), histogram.sample_count);
            assert_eq!(histogram.bucket.last().and_then(|bucket| bucket.cumulative_count), histogram.sample_count);
            let lengths: u32 = histogram.positive_span.iter().map(|span| span.length).sum();
            assert_eq!(lengths as usize, histogram.positive_delta.len());
        }
    }
}
