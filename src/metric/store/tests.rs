//! Snapshots absorbed by a store: sums, distributions, sub-metrics, bounds.

use hdrhistogram::Histogram;
use proptest::prelude::*;

use super::super::registry::{Recorder, SeriesLimits};
use super::super::series::tags;
use super::super::snapshot::{SeriesDef, TrendDelta};
use super::*;
use crate::fault::Side;

fn catalogue() -> Arc<Catalogue> {
    Arc::new(Catalogue::new())
}

fn recorder(source: u32) -> Recorder {
    Recorder::new(catalogue(), SourceId(source), SeriesLimits { per_metric: 100 })
}

fn store_of(snapshots: &[Snapshot]) -> Store {
    let mut store = Store::new(catalogue());
    for snapshot in snapshots {
        store.absorb(snapshot).unwrap();
    }
    store.close_second();
    store
}

fn trend(store: &Store, selector: &str) -> TrendAggregate {
    match store.query(builtin::HTTP_REQ_DURATION, &Selector::parse(selector).unwrap()) {
        Aggregate::Trend(trend) => *trend,
        other => panic!("{other:?}"),
    }
}

/// A sample: its source, its second, its name, its value.
fn sample() -> impl Strategy<Value = (usize, u32, usize, u64)> {
    (0..3usize, 0..4u32, 0..2usize, (0u32..=40, any::<u64>()).prop_map(|(bits, raw)| (raw >> 24) >> (40 - bits)))
}

/// What sources tell when each records its samples, second by second.
fn snapshots_of(samples: &[(usize, u32, usize, u64)]) -> Vec<Vec<Snapshot>> {
    let of_source = |source: usize| {
        let recorder = recorder(source as u32);
        let of_second = |second: u32| {
            for &(_, _, name, value) in samples.iter().filter(|s| s.0 == source && s.1 == second) {
                let tags = tags(&[("name", ["item", "cart"][name])]);
                recorder.trend(recorder.series(builtin::HTTP_REQ_DURATION, &tags), value);
                recorder.count(recorder.series(builtin::HTTP_REQS, &tags), 1.0);
            }
            recorder.take_snapshot(second)
        };
        (0..4).map(of_second).collect()
    };
    (0..3).map(of_source).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each source's snapshots keep their order (a series is defined by the first that uses it); between sources any
    /// order must give what one histogram would have given.
    #[test]
    fn merging_in_any_order_is_recording_in_one_place(
        samples in prop::collection::vec(sample(), 1..300),
        order in prop::collection::vec(0..3usize, 12),
    ) {
        let mut waiting: Vec<_> = snapshots_of(&samples).into_iter().map(Vec::into_iter).collect();
        let mut store = Store::new(catalogue());
        let rest = [0, 1, 2].repeat(4);
        for source in order.into_iter().chain(rest) {
            if let Some(snapshot) = waiting[source].next() {
                store.absorb(&snapshot).unwrap();
            }
        }
        store.close_second();

        for (selector, wanted) in [("", None), ("name:item", Some(0)), ("name:cart", Some(1))] {
            let mut values: Vec<u64> =
                samples.iter().filter(|s| wanted.is_none_or(|name| name == s.2)).map(|s| s.3).collect();
            values.sort_unstable();
            let mut one = Histogram::<u64>::new(3).unwrap();
            values.iter().for_each(|&value| one.record(value).unwrap());
            let merged = trend(&store, selector);
            prop_assert_eq!(merged.count, values.len() as u64);
            prop_assert_eq!(merged.sum, values.iter().sum::<u64>());
            prop_assert_eq!(merged.min, values.first().copied().unwrap_or(0));
            prop_assert_eq!(merged.max, values.last().copied().unwrap_or(0));
            prop_assert_eq!(&merged.histogram, &one);
            // Against the values themselves: the nearest rank, to three digits.
            for p in [1u64, 25, 50, 90, 95, 99, 100] {
                let Some(found) = merged.percentile_thousandths(p as f64) else { continue };
                let exact = values[(p * values.len() as u64).div_ceil(100) as usize - 1];
                prop_assert!(one.equivalent(found, exact), "p({}): {} for {}", p, found, exact);
            }
        }

        for second in 0..4 {
            let of_second = samples.iter().filter(|s| s.1 == second);
            let expected = of_second.clone().map(|s| s.3).max();
            let found = store.seconds().get(&second).copied().unwrap_or_default();
            prop_assert_eq!(found.totals.requests, of_second.count() as u64);
            prop_assert_eq!(found.latency.map(|latency| latency.max), expected);
        }
        prop_assert_eq!(store.recent(3).map(|latency| latency.max), samples.iter().map(|s| s.3).max());
    }
}

#[test]
fn built_in_totals_by_second() {
    let recorder = recorder(0);
    for (metric, value) in [
        (builtin::HTTP_REQS, 5.0),
        (builtin::ITERATIONS, 4.0),
        (builtin::ITERATIONS_FAILED, 3.0),
        (builtin::ITERATIONS_INTERRUPTED, 2.0),
        (builtin::DROPPED_ITERATIONS, 1.0),
        (builtin::DATA_SENT, 100.0),
        (builtin::DATA_RECEIVED, 200.0),
    ] {
        recorder.count(recorder.series(metric, &[]), value);
    }
    recorder.rate(recorder.series(builtin::HTTP_REQ_FAILED, &[]), true);
    recorder.rate(recorder.series(builtin::CHECKS, &[]), true);
    recorder.rate(recorder.series(builtin::CHECKS, &[]), false);
    recorder.gauge(recorder.series(builtin::VUS, &[]), 7.0);
    let expected = Totals {
        requests: 5,
        requests_failed: 1,
        iterations: 4,
        iterations_failed: 3,
        iterations_interrupted: 2,
        iterations_dropped: 1,
        checks: 2,
        checks_passed: 1,
        bytes_sent: 100,
        bytes_received: 200,
    };
    let first = recorder.take_snapshot(0);
    recorder.count(recorder.series(builtin::HTTP_REQS, &[]), 1.0);
    let store = store_of(&[first, recorder.take_snapshot(9)]);
    assert_eq!(store.seconds()[&0], SecondTotals { totals: expected, vus: 7, latency: None });
    assert_eq!(store.totals(), Totals { requests: 6, ..expected });
    assert_eq!(store.seconds().keys().copied().collect::<Vec<_>>(), [0, 9]);
}

#[test]
fn recent_durations_leave_after_ten_seconds() {
    let recorder = recorder(0);
    let series = recorder.series(builtin::HTTP_REQ_DURATION, &[]);
    let mut store = Store::new(catalogue());
    for second in 0..30 {
        if second == 0 || second >= 12 {
            recorder.trend(series, 1_000 - u64::from(second));
        }
        store.absorb(&recorder.take_snapshot(second)).unwrap();
        store.close_second();
    }
    assert_eq!(store.recent.len(), RECENT_SECONDS);
    assert_eq!(store.recent(29).unwrap().max, 1_000 - 20);
    assert_eq!(store.recent(35).unwrap().max, 1_000 - 26);
    assert_eq!(store.recent(60), None);
    assert_eq!(store.seconds()[&0].latency.unwrap().med, 1_000, "closed seconds keep their figures");

    recorder.trend(series, 9_999);
    store.absorb(&recorder.take_snapshot(2)).unwrap();
    store.close_second();
    assert_eq!(store.recent(29).unwrap().max, 1_000 - 20, "too late for the recent seconds");
    assert_eq!(trend(&store, "").max, 9_999, "but not for the run");
}

#[test]
fn the_latest_gauge_counts_whatever_comes_last() {
    let gauge = |source, second, value| {
        let recorder = recorder(source);
        recorder.gauge(recorder.series(builtin::VUS, &[]), value);
        recorder.take_snapshot(second)
    };
    let store = store_of(&[gauge(0, 2, 20.0), gauge(0, 1, 10.0), gauge(0, 3, 5.0)]);
    let merged = store.query(builtin::VUS, &Selector::all());
    assert!(matches!(merged, Aggregate::Gauge { last: 5.0, min: 5.0, max: 20.0 }), "{merged:?}");
    let store = store_of(&[gauge(0, 3, 5.0), gauge(0, 1, 10.0)]);
    assert!(matches!(store.query(builtin::VUS, &Selector::all()), Aggregate::Gauge { last: 5.0, .. }));
}

#[test]
fn of_several_gauges_the_youngest_is_the_latest() {
    let recorder = recorder(0);
    let (a, b) = (tags(&[("name", "a")]), tags(&[("name", "b")]));
    recorder.gauge(recorder.series(builtin::VUS, &a), 1.0);
    recorder.gauge(recorder.series(builtin::VUS, &b), 2.0);
    let first = recorder.take_snapshot(0);
    recorder.gauge(recorder.series(builtin::VUS, &a), 3.0);
    let store = store_of(&[first, recorder.take_snapshot(1)]);
    let merged = store.query(builtin::VUS, &Selector::all());
    assert!(matches!(merged, Aggregate::Gauge { last: 3.0, min: 1.0, max: 3.0 }), "{merged:?}");
}

#[test]
fn more_requests_take_no_more_memory() {
    let recorder = recorder(0);
    let series = recorder.series(builtin::HTTP_REQ_DURATION, &[]);
    let mut store = Store::new(catalogue());
    let mut shape = |second: u32, of: std::ops::Range<u32>| {
        of.for_each(|n| recorder.trend(series, u64::from(n % 5_000) * 7));
        store.absorb(&recorder.take_snapshot(second)).unwrap();
        let Sink::Trend(trend) = &store.series[0].sink else { panic!() };
        (trend.count, trend.histogram.buckets().count(), store.series.len(), store.seconds.len())
    };
    let (_, buckets, ..) = shape(0, 0..5_000);
    assert_eq!(shape(0, 0..50_000), (55_000, buckets, 1, 1));
}

#[test]
fn errors_add_up_over_sources() {
    let key = ErrorKey { code: 1212, side: Side::Target, message: "connection refused".into() };
    let rare = ErrorKey { code: 1050, side: Side::Target, message: "timeout".into() };
    let snapshot = |source, second, key: &ErrorKey, times, example: &str| {
        let recorder = recorder(source);
        (0..times).for_each(|_| recorder.error(key, || example.into()));
        recorder.take_snapshot(second)
    };
    let store = store_of(&[
        snapshot(0, 5, &rare, 1, "GET /slow"),
        snapshot(0, 4, &key, 2, "GET /late"),
        snapshot(1, 2, &key, 3, "GET /early"),
    ]);
    let told: Vec<_> = store.errors().into_iter().map(|e| (e.key.code, e.count, e.first_second, &*e.example)).collect();
    assert_eq!(told, [(1212, 5, 2, "GET /early"), (1050, 1, 5, "GET /slow")]);
}

#[test]
fn kinds_of_errors_are_bounded_over_sources() {
    let mut store = Store::new(catalogue());
    for source in 0..4 {
        let recorder = recorder(source);
        for code in 0..450 {
            let message = format!("{source}").into();
            recorder.error(&ErrorKey { code, side: Side::Target, message }, String::new);
        }
        store.absorb(&recorder.take_snapshot(0)).unwrap();
    }
    assert_eq!(store.errors().len(), MAX_ERROR_KINDS + 1);
    assert_eq!(store.errors().iter().map(|error| error.count).sum::<u64>(), 4 * 450);
}

#[test]
fn nonsense_is_told_and_the_rest_is_taken() {
    let def = |id, metric| SeriesDef { id: SeriesId(id), metric, tags: vec![] };
    let good = (SeriesId(0), SinkDelta::Counter { sum: 2.0 });
    let base = Snapshot {
        version: SNAPSHOT_VERSION,
        source: SourceId(4),
        second: 0,
        new_series: vec![def(0, builtin::HTTP_REQS)],
        sinks: vec![],
        errors: vec![],
        examples: Vec::new(),
        warnings: vec![],
    };
    let unknown = (SeriesId(9), SinkDelta::Counter { sum: 1.0 });
    let wrong = (SeriesId(0), SinkDelta::Trend(TrendDelta::default()));
    let strange = Snapshot { new_series: vec![def(0, builtin::HTTP_REQS), def(1, MetricId(999))], ..base.clone() };
    for (snapshot, expected) in [
        (
            Snapshot { sinks: vec![unknown, good.clone()], ..base.clone() },
            "source 4 sent values for its series 9, which it never defined",
        ),
        (
            Snapshot { sinks: vec![wrong, good.clone()], ..base.clone() },
            "source 4 sent values of another kind for metric `http_reqs`",
        ),
        (
            Snapshot { sinks: vec![good.clone()], ..strange },
            "source 4 defined a series of metric number 999, which this run does not have",
        ),
    ] {
        let mut store = Store::new(catalogue());
        assert_eq!(store.absorb(&snapshot).expect_err(expected).to_string(), expected);
        assert_eq!(store.totals().requests, 2, "{expected}");
    }
    let mut store = Store::new(catalogue());
    let error = store.absorb(&Snapshot { version: 7, ..base }).unwrap_err();
    assert_eq!(error.to_string(), "snapshot of source 4 has version 7, expected 1");
}
