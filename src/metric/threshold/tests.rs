//! Thresholds, as tables: what users write, and the judgement or the complaint that comes of it.

use std::sync::Arc;

use super::super::registry::{Recorder, SeriesLimits};
use super::super::series::tags;
use super::super::snapshot::SourceId;
use super::super::{Contains, builtin};
use super::*;

fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::new();
    for (name, kind, contains) in [
        ("orders", MetricKind::Counter, Contains::Default),
        ("queue", MetricKind::Gauge, Contains::Default),
        ("page_weight", MetricKind::Trend, Contains::Data),
        ("score", MetricKind::Trend, Contains::Default),
    ] {
        catalogue.declare(name, kind, contains).unwrap();
    }
    catalogue
}

/// Two seconds in which `item` took 1 to 100 ms, one request in ten of which failed with a 500. Percentiles are the
/// upper ends of their buckets: 50.015 and 95.039 ms.
fn store() -> Store {
    let catalogue = Arc::new(catalogue());
    let recorder = Recorder::new(catalogue.clone(), SourceId(0), SeriesLimits { per_metric: 100 });
    for n in 1..=100 {
        let failed = n % 10 == 0;
        let tags = tags(&[("name", "item"), ("status", if failed { "500" } else { "200" }), ("scenario", "shop")]);
        recorder.trend(recorder.series(builtin::HTTP_REQ_DURATION, &tags), n * 1000);
        recorder.count(recorder.series(builtin::HTTP_REQS, &tags), 1.0);
        recorder.count(recorder.series(builtin::DATA_RECEIVED, &tags), 50_000.0);
        recorder.rate(recorder.series(builtin::HTTP_REQ_FAILED, &tags), failed);
    }
    let queue = catalogue.lookup("queue").unwrap();
    for length in [3.0, 1.0, 2.0] {
        recorder.gauge(recorder.series(queue, &[]), length);
    }
    let mut store = Store::new(catalogue);
    store.absorb(&recorder.take_snapshot(0)).unwrap();
    store
}

#[test]
fn judgements() {
    let store = store();
    // What is found, and whether it holds; none for no data.
    for (key, expression, expected) in [
        ("http_req_duration", "p(95)<500", Some((true, 95.039))),
        ("http_req_duration", "p(95) < 95.039", Some((false, 95.039))),
        ("http_req_duration", "p(95)<=95.039", Some((true, 95.039))),
        ("http_req_duration", "p( 99.9 )>=100", Some((true, 100.0))),
        ("http_req_duration", "p(95)<0.1s", Some((true, 95.039))),
        ("http_req_duration", "p(95)<95039us", Some((false, 95.039))),
        ("http_req_duration", "p(95)<95040µs", Some((true, 95.039))),
        ("http_req_duration", "avg<50.6ms", Some((true, 50.5))),
        ("http_req_duration", "med==50.015", Some((true, 50.015))),
        ("http_req_duration", "min===1", Some((true, 1.0))),
        ("http_req_duration", "max!==100", Some((false, 100.0))),
        ("http_req_duration", "max<1m", Some((true, 100.0))),
        ("http_req_duration", "max<+1h", Some((true, 100.0))),
        ("http_req_duration", "max>-1", Some((true, 100.0))),
        ("http_req_duration", "max<1e3", Some((true, 100.0))),
        ("http_req_duration", "max<1_000", Some((true, 100.0))),
        ("http_req_duration", "count>=100", Some((true, 100.0))),
        ("http_req_duration{status:500}", "count==10", Some((true, 10.0))),
        ("http_req_duration{status!=500}", "max<100", Some((true, 99.0))),
        ("http_req_duration{status:500|200}", "count==100", Some((true, 100.0))),
        ("http_req_duration{name:it*}", "count==100", Some((true, 100.0))),
        ("http_req_duration{name:/^i/, status:200}", "count==90", Some((true, 90.0))),
        ("http_req_failed", "rate<0.1", Some((false, 0.1))),
        ("http_req_failed", "rate<=10%", Some((true, 0.1))),
        ("http_req_failed", "rate<=10 %", Some((true, 0.1))),
        ("http_reqs", "count==100", Some((true, 100.0))),
        ("http_reqs", "rate>=50", Some((true, 50.0))),
        ("http_reqs", "rate>=50/s", Some((true, 50.0))),
        ("data_received", "count<=5MB", Some((true, 5e6))),
        ("data_received", "count<4.8MiB", Some((true, 5e6))),
        ("data_received", "rate<2MB/s", Some((false, 2.5e6))),
        ("queue", "value==2", Some((true, 2.0))),
        ("queue", "max<3", Some((false, 3.0))),
        ("queue", "min>=1", Some((true, 1.0))),
        // `&&` and `||`: the part that decides gives the figure.
        ("http_req_duration", "p(95)<500 && max<90", Some((false, 100.0))),
        ("http_req_duration", "p(95)<500&&max<900", Some((true, 95.039))),
        ("http_req_duration", "p(95)<50 || max<900", Some((true, 100.0))),
        ("http_req_duration", "p(95)<50 || max<90", Some((false, 95.039))),
        ("http_req_duration", "max<9 && min<9 || count>9", Some((true, 100.0))),
        ("http_req_duration", "max<9 && (min<9 || count>9)", Some((false, 100.0))),
        ("http_req_duration", "((max<900))", Some((true, 100.0))),
        // Without data.
        ("http_req_duration{name:itme}", "p(95)<500", None),
        ("http_req_duration{name:itme}", "p(95)<500 || count==0", Some((true, 0.0))),
        ("http_req_duration{name:itme}", "p(95)<500 && count==1", Some((false, 0.0))),
        ("checks", "rate>0.9", None),
        ("queue{name:itme}", "value<9", None),
        ("score", "avg<9", None),
        // Nothing counted is a count of 0, unless the name is one that never occurred.
        ("orders", "count<5", Some((true, 0.0))),
        ("orders{kind:large}", "count<5", Some((true, 0.0))),
        ("orders{scenario:shop}", "count<5", Some((true, 0.0))),
        ("http_reqs{name:item,status:404}", "count<5", Some((true, 0.0))),
        ("http_reqs{status:404}", "rate<5", Some((true, 0.0))),
        ("http_reqs{name:itme}", "count<5", None),
    ] {
        let threshold = Threshold::parse(key, expression, store.catalogue(), &[])
            .unwrap_or_else(|error| panic!("{key}: {expression}: {error}"));
        let found = threshold.evaluate(&store, Duration::from_secs(2));
        let expected = match expected {
            Some((ok, value)) => Judgement { ok, value: Some(value), no_data: false },
            None => Judgement { ok: false, value: None, no_data: true },
        };
        assert_eq!(found, expected, "{key}: {expression}");
    }
}

#[test]
fn what_makes_no_sense() {
    for (key, expression, expected) in [
        (
            "http_req_durations",
            "p(95)<500",
            "threshold on `http_req_durations`: there is no metric `http_req_durations` (did you mean `http_req_duration`?)",
        ),
        ("oders{a:b}", "count>1", "threshold on `oders{a:b}`: there is no metric `oders` (did you mean `orders`?)"),
        ("wholly_unlike", "count>1", "threshold on `wholly_unlike`: there is no metric `wholly_unlike`"),
        ("", "count>1", "threshold on ``: there is no metric ``"),
        (
            "http_reqs{nmae:item}",
            "count>1",
            "threshold on `http_reqs{nmae:item}`: there is no tag `nmae` (did you mean `name`?)",
        ),
        (
            "http_reqs{regoin:eu}",
            "count>1",
            "threshold on `http_reqs{regoin:eu}`: there is no tag `regoin` (did you mean `region`?)",
        ),
        (
            "http_reqs{name:item",
            "count>1",
            "threshold on `http_reqs{name:item`: expected a closing `}` at character 20, found the end",
        ),
        (
            "http_reqs{name}",
            "count>1",
            "threshold on `http_reqs{name}`: expected `name:value` or `name!=value` at character 15, found `}`",
        ),
        (
            "http_reqs{name=a}",
            "count>1",
            "threshold on `http_reqs{name=a}`: expected `name:value` or `name!=value` at character 15, found `=`",
        ),
        ("http_reqs", "", "threshold `` on `http_reqs`: expected `count` or `rate` at character 1, found the end"),
        (
            "http_reqs",
            "p(95)<500",
            "threshold `p(95)<500` on `http_reqs`: expected `count` or `rate`, which fit a counter at character 1, found `p`",
        ),
        (
            "queue",
            "avg<5",
            "threshold `avg<5` on `queue`: expected `value`, `min` or `max`, which fit a gauge at character 1, found `avg`",
        ),
        (
            "checks",
            "value>1",
            "threshold `value>1` on `checks`: expected `rate` or `count`, which fit a rate at character 1, found `value`",
        ),
        (
            "http_req_duration",
            "rate<1",
            "threshold `rate<1` on `http_req_duration`: expected `avg`, `min`, `max`, `med`, `p(N)` or `count`, which fit a trend at character 1, found `rate`",
        ),
        (
            "http_req_duration",
            "p95<500",
            "threshold `p95<500` on `http_req_duration`: expected `avg`, `min`, `max`, `med`, `p(N)` or `count` at character 1, found `p95` (write `p(95)`)",
        ),
        (
            "http_req_duration",
            "median<5",
            "threshold `median<5` on `http_req_duration`: expected `avg`, `min`, `max`, `med`, `p(N)` or `count` at character 1, found `median` (did you mean `med`?)",
        ),
        (
            "http_reqs",
            "cuont>5",
            "threshold `cuont>5` on `http_reqs`: expected `count` or `rate` at character 1, found `cuont` (did you mean `count`?)",
        ),
        (
            "http_req_duration",
            "p<5",
            "threshold `p<5` on `http_req_duration`: expected `(` and a number from 0 to 100 at character 2, found `<`",
        ),
        (
            "http_req_duration",
            "p(101)<5",
            "threshold `p(101)<5` on `http_req_duration`: expected a number from 0 to 100 at character 3, found `101`",
        ),
        (
            "http_req_duration",
            "p(95<5",
            "threshold `p(95<5` on `http_req_duration`: expected `)` at character 5, found `<`",
        ),
        (
            "http_req_duration",
            "p(95)=5",
            "threshold `p(95)=5` on `http_req_duration`: expected one of `>`, `>=`, `<`, `<=`, `==`, `!=` at character 6, found `=`",
        ),
        (
            "http_req_duration",
            "max<",
            "threshold `max<` on `http_req_duration`: expected a number at character 5, found the end",
        ),
        (
            "http_req_duration",
            "max<1.2.3",
            "threshold `max<1.2.3` on `http_req_duration`: expected a number at character 5, found `1`",
        ),
        (
            "http_req_duration",
            "max<fast",
            "threshold `max<fast` on `http_req_duration`: expected a number at character 5, found `fast`",
        ),
        (
            "http_req_duration",
            "max<5mss",
            "threshold `max<5mss` on `http_req_duration`: expected `us`, `ms`, `s`, `m` or `h` after the number at character 6, found `mss`",
        ),
        (
            "http_req_duration",
            "count<5s",
            "threshold `count<5s` on `http_req_duration`: expected no unit after the number at character 8, found `s`",
        ),
        (
            "http_req_failed",
            "rate<1s",
            "threshold `rate<1s` on `http_req_failed`: expected `%` after the number at character 7, found `s`",
        ),
        (
            "orders",
            "count<5MB",
            "threshold `count<5MB` on `orders`: expected no unit after the number at character 8, found `MB`",
        ),
        (
            "page_weight",
            "avg<5mb",
            "threshold `avg<5mb` on `page_weight`: expected `B`, `KB`, `MB`, `GB`, `KiB`, `MiB` or `GiB` after the number at character 6, found `mb`",
        ),
        (
            "http_reqs",
            "count>1 & rate>1",
            "threshold `count>1 & rate>1` on `http_reqs`: expected `&&`, `||` or the end at character 9, found `&`",
        ),
        (
            "http_reqs",
            "count>1 &&",
            "threshold `count>1 &&` on `http_reqs`: expected `count` or `rate` at character 11, found the end",
        ),
        (
            "http_reqs",
            "(count>1",
            "threshold `(count>1` on `http_reqs`: expected `&&`, `||` or `)` at character 9, found the end",
        ),
        (
            "http_reqs",
            "count>1)",
            "threshold `count>1)` on `http_reqs`: expected `&&`, `||` or the end at character 8, found `)`",
        ),
    ] {
        let error = Threshold::parse(key, expression, &catalogue(), &["region"]).expect_err(expression);
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn deep_parentheses_are_an_error_and_no_crash() {
    let deep = "(".repeat(100_000);
    let error = Threshold::parse("http_reqs", &deep, &catalogue(), &[]).unwrap_err();
    let ThresholdError::Expression { position, expected, .. } = error else { panic!("{error:?}") };
    assert_eq!((position, &*expected), (34, "at most 32 nested parentheses"));
}

#[test]
fn tags_of_scripts_and_runs_are_accepted() {
    for (key, run_tags) in
        [("http_reqs{kind:large}", &[][..]), ("http_reqs{region:eu}", &["region"]), ("http_reqs{names:x}", &["names"])]
    {
        assert!(Threshold::parse(key, "count>1", &catalogue(), run_tags).is_ok(), "{key}");
    }
}

#[test]
fn a_rate_needs_time() {
    let store = store();
    let threshold = Threshold::parse("http_reqs", "rate>1", store.catalogue(), &[]).unwrap();
    assert!(threshold.evaluate(&store, Duration::ZERO).no_data);
}
