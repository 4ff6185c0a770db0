//! What a second costs: taking a snapshot of 1,000 trends, merging it, and judging a percentile over all of them.
//!
//! `cargo bench --bench snapshot`. "busy" touches all series with 50 values each, "quiet" three of them.

use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use loadr::metric::registry::{Recorder, SeriesLimits};
use loadr::metric::snapshot::{SeriesId, SourceId};
use loadr::metric::store::Store;
use loadr::metric::threshold::Threshold;
use loadr::metric::{Catalogue, builtin};

const SERIES: usize = 1_000;

fn recorder() -> (Recorder, Vec<SeriesId>) {
    let limits = SeriesLimits { per_metric: SERIES };
    let recorder = Recorder::new(Arc::new(Catalogue::new()), SourceId(0), limits);
    let series = (0..SERIES).map(|n| {
        let tags = [("name".into(), format!("request {n}").into()), ("status".into(), "200".into())];
        recorder.series(builtin::HTTP_REQ_DURATION, &tags)
    });
    let series = series.collect();
    (recorder, series)
}

fn fill(recorder: &Recorder, series: &[SeriesId], rng: &mut fastrand::Rng) {
    for &id in series {
        (0..50).for_each(|_| recorder.trend(id, rng.u64(500..20_000)));
    }
}

fn second(c: &mut Criterion) {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut group = c.benchmark_group("second of 1,000 series");
    for (name, touched) in [("busy", SERIES), ("quiet", 3)] {
        let (recorder, series) = recorder();
        group.bench_function(format!("take snapshot, {name}"), |b| {
            b.iter_batched(
                || fill(&recorder, &series[..touched], &mut rng),
                |()| recorder.take_snapshot(0),
                BatchSize::PerIteration,
            );
        });
    }

    let (recorder, series) = recorder();
    let mut store = Store::new(recorder.catalogue());
    fill(&recorder, &series, &mut rng);
    let mut snapshot = recorder.take_snapshot(0);
    store.absorb(&snapshot).expect("a snapshot of this run");
    snapshot.new_series.clear();
    group.bench_function("merge, busy", |b| b.iter(|| store.absorb(&snapshot)));

    let all = Threshold::parse("http_req_duration", "p(95)<500", store.catalogue(), &[]).expect("a good threshold");
    let some = Threshold::parse("http_req_duration{name:request 1*}", "p(95)<500", store.catalogue(), &[]);
    let some = some.expect("a good threshold");
    group.bench_function("judge p(95) over all", |b| b.iter(|| all.evaluate(&store, Duration::from_secs(1))));
    group.bench_function("judge p(95) over 111", |b| b.iter(|| some.evaluate(&store, Duration::from_secs(1))));
    group.finish();
}

criterion_group!(benches, second);
criterion_main!(benches);
