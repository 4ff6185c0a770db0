//! What recording costs: one sample of each kind into a series that is known, and looking a series up.
//!
//! `cargo bench --bench record`. The bound to keep: under 50 ns a sample.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use loadr::metric::registry::{Recorder, SeriesLimits};
use loadr::metric::snapshot::SourceId;
use loadr::metric::{Catalogue, Contains, MetricKind, builtin};

/// Latencies as a busy server has them, from a tenth of a millisecond up, with a tail of seconds.
fn latencies() -> Vec<u64> {
    let mut rng = fastrand::Rng::with_seed(1);
    (0..4096).map(|_| (100.0 * (1.0 - rng.f64()).powi(-2)) as u64).map(|us| us.min(10_000_000)).collect()
}

fn record(c: &mut Criterion) {
    let mut catalogue = Catalogue::new();
    let gauge = catalogue.declare("queue", MetricKind::Gauge, Contains::Default).expect("a new name");
    let recorder = Recorder::new(Arc::new(catalogue), SourceId(0), SeriesLimits { per_metric: 2_000 });
    let tags: Vec<(Arc<str>, Arc<str>)> = [
        ("name", "http://127.0.0.1:8080/item/{id}"),
        ("method", "GET"),
        ("status", "200"),
        ("group", "browse"),
        ("scenario", "shoppers"),
        ("expected_response", "true"),
        ("proto", "HTTP/1.1"),
    ]
    .map(|(key, value)| (key.into(), value.into()))
    .to_vec();
    let counter = recorder.series(builtin::HTTP_REQS, &tags);
    let rate = recorder.series(builtin::HTTP_REQ_FAILED, &tags);
    let trend = recorder.series(builtin::HTTP_REQ_DURATION, &tags);
    let gauge = recorder.series(gauge, &tags);
    let latencies = latencies();

    let mut group = c.benchmark_group("record");
    let mut next = 0;
    group.bench_function("trend", |b| {
        b.iter(|| {
            next = (next + 1) % latencies.len();
            recorder.trend(trend, black_box(latencies[next]));
        });
    });
    group.bench_function("counter", |b| b.iter(|| recorder.count(counter, black_box(1.0))));
    group.bench_function("rate", |b| b.iter(|| recorder.rate(rate, black_box(false))));
    group.bench_function("gauge", |b| b.iter(|| recorder.gauge(gauge, black_box(3.0))));
    group.bench_function("look up a series of seven tags", |b| {
        b.iter(|| recorder.series(builtin::HTTP_REQ_DURATION, black_box(&tags)));
    });
    group.finish();
}

criterion_group!(benches, record);
criterion_main!(benches);
