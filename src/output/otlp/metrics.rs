//! Series as OTLP metrics: sums, gauges and exponential histograms.
//!
//! Names are `loadr.` and the metric's; times are seconds, as OpenTelemetry has them. A rate becomes two sums, `.occurred`
//! and `.total`, which can be added up where a share can't. A trend becomes an exponential histogram of at most
//! [`BUCKETS_MAX`] buckets on each, at the finest scale that they allow (up to [`SCALE_MAX`]): a value is told to within
//! 0.14 % where its series spans a factor of 1.5, and to within 2.2 % where it spans a factor of a thousand.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, exponential_histogram_data_point::Buckets, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::super::merge::{Merged, Series};
use super::{scope, text};
use crate::metric::sink::{Sink, TrendSink};
use crate::metric::{Contains, MetricDef, MetricKind};

/// The most buckets of one histogram, as OpenTelemetry's own libraries have it.
const BUCKETS_MAX: i64 = 160;

/// The finest scale: finer than the histograms that are told.
const SCALE_MAX: i32 = 8;

/// What a data point is about.
pub(super) struct Window {
    /// Its start, in nanoseconds since 1970.
    pub from: u64,
    /// Its end.
    pub until: u64,
    /// Whether all windows have one start.
    pub cumulative: bool,
}

/// The series that are to be told, and how many data points they make: all of them where windows are cumulative, else
/// those that were touched.
pub(super) fn request(merged: &Merged, window: &Window, resource: &Resource) -> (ExportMetricsServiceRequest, u64) {
    let metrics: Vec<Metric> =
        merged.by_metric().into_iter().flat_map(|(def, series)| of_metric(def, &series, window)).collect();
    let points = metrics.iter().map(points).sum();
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: Some(resource.clone()), scope_metrics, ..ResourceMetrics::default() }];
    (ExportMetricsServiceRequest { resource_metrics }, points)
}

fn points(metric: &Metric) -> u64 {
    let points = match &metric.data {
        Some(metric::Data::Sum(sum)) => sum.data_points.len(),
        Some(metric::Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(metric::Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        _ => 0,
    };
    points as u64
}

fn attributes(series: &Series) -> Vec<KeyValue> {
    series.tags.iter().map(|(key, value)| text(key, value)).collect()
}

fn unit(def: &MetricDef) -> &'static str {
    match (def.contains, def.kind) {
        (Contains::Time, _) => "s",
        (Contains::Data, _) => "By",
        (Contains::Default, MetricKind::Counter) => "{count}",
        (Contains::Default, _) => "1",
    }
}

/// By what a metric's own numbers are divided: times are milliseconds.
fn divisor(def: &MetricDef) -> f64 {
    if def.contains == Contains::Time { 1e3 } else { 1.0 }
}

fn of_metric(def: &MetricDef, series: &[&Series], window: &Window) -> Vec<Metric> {
    let touched: Vec<&Series> = series.iter().copied().filter(|series| window.cumulative || series.touched).collect();
    if touched.is_empty() {
        return Vec::new();
    }
    let named = |suffix: &str, data| Metric {
        name: format!("loadr.{}{suffix}", def.name),
        unit: if suffix.is_empty() { unit(def) } else { "{count}" }.into(),
        data: Some(data),
        ..Metric::default()
    };
    let numbers = |value: &dyn Fn(&Sink) -> Option<number_data_point::Value>| -> Vec<NumberDataPoint> {
        touched
            .iter()
            .filter_map(|series| {
                Some(NumberDataPoint {
                    attributes: attributes(series),
                    start_time_unix_nano: window.from,
                    time_unix_nano: window.until,
                    value: Some(value(&series.sink)?),
                    ..NumberDataPoint::default()
                })
            })
            .collect()
    };
    let float = |value: f64| Some(number_data_point::Value::AsDouble(value / divisor(def)));
    let whole = |value: u64| i64::try_from(value).ok().map(number_data_point::Value::AsInt);
    match def.kind {
        MetricKind::Counter => {
            let points = numbers(&|sink| match sink {
                Sink::Counter { sum } => float(*sum),
                _ => None,
            });
            // What a script adds may be negative.
            let monotonic = def.name.starts_with("http_") || def.contains == Contains::Data;
            vec![named("", sum(points, window, monotonic || all_positive(&touched)))]
        }
        MetricKind::Gauge => {
            let data_points = numbers(&|sink| match sink {
                Sink::Gauge { last, .. } => float(*last),
                _ => None,
            });
            vec![named("", metric::Data::Gauge(Gauge { data_points }))]
        }
        MetricKind::Rate => {
            let of = |pick: fn(u64, u64) -> u64| {
                numbers(&|sink| match sink {
                    Sink::Rate { passes, total } => whole(pick(*passes, *total)),
                    _ => None,
                })
            };
            vec![
                named(".occurred", sum(of(|passes, _| passes), window, true)),
                named(".total", sum(of(|_, total| total), window, true)),
            ]
        }
        MetricKind::Trend => {
            let data_points = touched
                .iter()
                .filter_map(|series| match &series.sink {
                    Sink::Trend(trend) => Some(histogram(trend, divisor(def) * 1e3, attributes(series), window)),
                    _ => None,
                })
                .collect();
            let aggregation_temporality = temporality(window);
            let histogram = ExponentialHistogram { data_points, aggregation_temporality };
            vec![named("", metric::Data::ExponentialHistogram(histogram))]
        }
    }
}

fn all_positive(series: &[&Series]) -> bool {
    series.iter().all(|series| matches!(series.sink, Sink::Counter { sum } if sum >= 0.0))
}

fn temporality(window: &Window) -> i32 {
    let temporality =
        if window.cumulative { AggregationTemporality::Cumulative } else { AggregationTemporality::Delta };
    temporality.into()
}

fn sum(data_points: Vec<NumberDataPoint>, window: &Window, is_monotonic: bool) -> metric::Data {
    metric::Data::Sum(Sum { data_points, aggregation_temporality: temporality(window), is_monotonic })
}

/// The bucket of a value at a scale: the one whose upper end is the first that is not below it.
fn bucket(value: f64, scale: i32) -> i64 {
    (value.log2() * f64::from(scale).exp2()).ceil() as i64 - 1
}

fn histogram(
    trend: &TrendSink,
    divisor: f64,
    attributes: Vec<KeyValue>,
    window: &Window,
) -> ExponentialHistogramDataPoint {
    let mut zero_count = 0;
    let mut values: Vec<(f64, u64)> = Vec::new();
    for (value, times) in trend.histogram.buckets() {
        // The exact extremes are known: a bucket's lower end lies beyond them at most at the edges.
        let value = value.clamp(trend.min, trend.max);
        if value == 0 {
            zero_count += times;
        } else {
            values.push((value as f64 / divisor, times));
        }
    }
    let (lowest, highest) = match (values.first(), values.last()) {
        (Some(first), Some(last)) => (first.0, last.0),
        _ => (1.0, 1.0),
    };
    let fits = |scale: &i32| bucket(highest, *scale) - bucket(lowest, *scale) < BUCKETS_MAX;
    let scale = (-10..=SCALE_MAX).rev().find(fits).unwrap_or(-10);
    let offset = bucket(lowest, scale);
    let mut bucket_counts = Vec::new();
    for (value, times) in values {
        let at = usize::try_from(bucket(value, scale) - offset).unwrap_or(0);
        if bucket_counts.len() <= at {
            bucket_counts.resize(at + 1, 0);
        }
        bucket_counts[at] += times;
    }
    ExponentialHistogramDataPoint {
        attributes,
        start_time_unix_nano: window.from,
        time_unix_nano: window.until,
        count: trend.count,
        sum: Some(trend.sum as f64 / divisor),
        scale,
        zero_count,
        positive: Some(Buckets { offset: i32::try_from(offset).unwrap_or(0), bucket_counts }),
        min: Some(trend.min as f64 / divisor),
        max: Some(trend.max as f64 / divisor),
        ..ExponentialHistogramDataPoint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_lies_in_its_bucket() {
        for scale in [-2, 0, 3, 8] {
            let base = (f64::from(-scale).exp2()).exp2();
            for value in [1e-6, 0.0123, 0.5, 1.0, 2.0, 3.7, 1_000.0] {
                let index = bucket(value, scale) as f64;
                let (low, high) = (base.powf(index), base.powf(index + 1.0));
                assert!(low < value * (1.0 + 1e-9) && value <= high * (1.0 + 1e-9), "{value} at {scale}: {low} {high}");
            }
        }
    }

    #[test]
    fn a_histogram_keeps_every_value_within_its_bound() {
        let mut trend = TrendSink::default();
        trend.record(0);
        let values: Vec<u64> = (0..2_000).map(|n| 1_000 + n * n).collect();
        values.iter().for_each(|&value| trend.record(value));
        let window = Window { from: 1, until: 2, cumulative: false };
        let point = histogram(&trend, 1e6, Vec::new(), &window);
        let positive = point.positive.unwrap();
        assert!(positive.bucket_counts.len() <= BUCKETS_MAX as usize && point.scale >= 3);
        assert_eq!((point.count, point.zero_count), (2_001, 1));
        assert_eq!(positive.bucket_counts.iter().sum::<u64>(), 2_000);
        assert_eq!(point.sum, Some(values.iter().sum::<u64>() as f64 / 1e6));
        assert_eq!((point.min, point.max), (Some(0.0), Some(3.997_001)));
        // The median, read off the buckets, is within one bucket of the true one.
        let base = f64::from(-point.scale).exp2().exp2();
        let mut seen = point.zero_count;
        let middle = positive.bucket_counts.iter().position(|count| {
            seen += count;
            seen >= 1_001
        });
        let upper = base.powf(f64::from(positive.offset) + middle.unwrap() as f64 + 1.0);
        let median = values[1_000] as f64 / 1e6;
        assert!(upper >= median / base && upper <= median * base * 1.002, "{upper} {median}");
    }
}
