//! Runs of a few seconds, made of snapshots by hand: what the collector says of them.

use super::*;
use crate::fault::Side;
use crate::metric::registry::{Recorder, SeriesLimits};
use crate::metric::snapshot::ErrorKey;
use crate::metric::{Contains, MetricId, MetricKind};
use crate::report::{CheckSummary, MetricSummary, ThresholdSummary};

fn catalogue() -> Arc<Catalogue> {
    let mut catalogue = Catalogue::new();
    catalogue.declare("orders", MetricKind::Counter, Contains::Default).unwrap();
    Arc::new(catalogue)
}

fn recorder(source: u32) -> Recorder {
    Recorder::new(catalogue(), SourceId(source), SeriesLimits { per_metric: 100 })
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect()
}

fn collector(thresholds: &[(&str, &str)], facts: RunFacts) -> Collector {
    let parse = |(key, expression): &(&str, &str)| Threshold::parse(key, expression, &catalogue(), &[]).unwrap();
    Collector::new(catalogue(), thresholds.iter().map(parse).collect(), facts)
}

fn request(recorder: &Recorder, name: &str, status: &str, us: u64) {
    let failed = !status.starts_with('2');
    let tags = tags(&[("name", name), ("method", "GET"), ("status", status), ("scenario", "shop")]);
    recorder.count(recorder.series(builtin::HTTP_REQS, &tags), 1.0);
    recorder.rate(recorder.series(builtin::HTTP_REQ_FAILED, &tags), failed);
    recorder.trend(recorder.series(builtin::HTTP_REQ_DURATION, &tags), us);
    recorder.count(recorder.series(builtin::DATA_SENT, &tags), 50.0);
    recorder.count(recorder.series(builtin::DATA_RECEIVED, &tags), 200.0);
}

fn check(recorder: &Recorder, group: &str, name: &str, held: bool) {
    recorder.rate(recorder.series(builtin::CHECKS, &tags(&[("check", name), ("group", group)])), held);
}

fn count(recorder: &Recorder, metric: MetricId, times: u64) {
    recorder.count(recorder.series(metric, &tags(&[("scenario", "shop")])), times as f64);
}

fn feed(collector: &mut Collector, second: u32, recorders: &[&Recorder]) -> (Second, Vec<RunEvent>) {
    let snapshots = recorders.iter().map(|recorder| Arc::new(recorder.take_snapshot(second))).collect();
    let generator = GeneratorPoint::default();
    let engine = EngineNow { vus: 5, vus_peak: 6, vus_max: 8, generator, paused: false, scenarios: vec![] };
    collector.second(second, Duration::from_secs(u64::from(second) + 1), snapshots, engine)
}

fn end(seconds: u64) -> EndFacts {
    EndFacts { duration: Duration::from_secs(seconds), ..EndFacts::default() }
}

#[test]
fn a_second_tells_what_happened_in_it_and_since_the_start() {
    let mut collector = collector(&[], RunFacts::default());
    let (one, other) = (recorder(0), recorder(1));
    request(&one, "item", "200", 1000);
    request(&other, "item", "500", 3000);
    count(&one, builtin::ITERATIONS, 2);
    count(&one, builtin::ITERATIONS_FAILED, 1);
    check(&one, "", "ok", true);
    check(&other, "", "ok", false);
    let key = ErrorKey { code: 1500, side: Side::Target, message: "status 500".into() };
    other.error(&key, || "GET /item".into());
    feed(&mut collector, 0, &[&one, &other]);
    request(&one, "item", "200", 2000);
    let (second, events) = feed(&mut collector, 1, &[&one, &other]);
    assert!(events.is_empty(), "{events:?}");
    assert_eq!((second.second, second.elapsed), (1, Duration::from_secs(2)));
    assert_eq!((second.vus, second.vus_max), (5, 8));
    assert_eq!((second.iterations, second.iterations_failed), (2, 1));
    assert_eq!((second.requests, second.requests_failed), (3, 1));
    assert_eq!((second.requests_now, second.requests_failed_now), (1, 0));
    assert_eq!((second.checks_passed, second.checks), (1, 2));
    assert_eq!((second.bytes_sent, second.bytes_received), (150, 600));
    let recent = second.recent.unwrap();
    assert_eq!((recent.med, recent.max), (2.0, 3.0));
    let expected = ErrorNow { code: 1500, message: "status 500".into(), side: Side::Target, count: 1 };
    assert_eq!(second.errors, [expected]);
    let sources: Vec<_> = second.snapshots.iter().map(|snapshot| snapshot.source).collect();
    assert_eq!(sources, [SourceId(0), SourceId(1), SourceId::ENGINE]);
}

#[test]
fn the_report_has_every_table() {
    let facts = RunFacts { notes: vec!["scenario `shop` scaled".into()], ..RunFacts::default() };
    let thresholds =
        [("http_req_duration{name:item}", "p(95)<500"), ("http_reqs{name:nowhere}", "count<5"), ("orders", "count>=3")];
    let mut collector = collector(&thresholds, facts);
    let (one, other) = (recorder(0), recorder(1));
    let orders = catalogue().lookup("orders").unwrap();
    for us in [1000, 2000] {
        request(&one, "login", "200", us);
        request(&other, "item", "200", us);
    }
    check(&one, "::browse::item", "is 200", true);
    feed(&mut collector, 0, &[&one, &other]);
    request(&other, "item", "503", 9000);
    check(&other, "::browse::item", "is 200", false);
    check(&other, "", "is 200", true);
    count(&one, orders, 3);
    count(&one, builtin::ITERATIONS, 2);
    count(&one, builtin::DROPPED_ITERATIONS, 4);
    count(&one, builtin::ITERATIONS_INTERRUPTED, 1);
    let key = ErrorKey { code: 1503, side: Side::Target, message: "status 503".into() };
    other.error(&key, || "GET /item/7".into());
    feed(&mut collector, 2, &[&one, &other]);
    let report = collector.report(&end(3));

    assert_eq!((&*report.schema, report.run.duration_s), (SCHEMA, 3.0));
    assert_eq!(report.warnings, ["scenario `shop` scaled"]);
    assert!(!report.verdict.passed);
    assert_eq!(report.verdict.reasons, ["threshold `count<5` on `http_reqs{name:nowhere}` has no data"]);

    let names: Vec<_> = report.metrics.keys().map(String::as_str).collect();
    let expected = "checks data_received data_sent dropped_iterations http_req_duration http_req_duration{name:item} \
                    http_req_failed http_reqs iterations iterations_interrupted orders vus vus_max";
    assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!(report.metrics["http_reqs"], MetricSummary::Counter { count: 5.0, rate: 5.0 / 3.0 });
    assert_eq!(report.metrics["http_req_failed"], MetricSummary::Rate { rate: 0.2, passes: 1, fails: 4 });
    assert_eq!(report.metrics["vus"], MetricSummary::Gauge { value: 5.0, min: 5.0, max: 6.0 });
    let MetricSummary::Trend { unit, count, stats } = &report.metrics["http_req_duration{name:item}"] else { panic!() };
    assert_eq!((&**unit, *count, stats.min, stats.avg, stats.med, stats.max), ("ms", 3, 1.0, 4.0, 2.0, 9.0));

    let [login, item] = &report.requests[..] else { panic!("{:?}", report.requests) };
    assert_eq!((&*login.name, &*login.method, login.count, login.failed), ("login", "GET", 2, 0));
    assert_eq!((&*item.name, item.count, item.failed, item.rate), ("item", 3, 1, 1.0));
    assert_eq!((item.bytes_sent, item.bytes_received, item.duration.max), (150, 600, 9.0));
    assert_eq!(item.statuses, [("200".to_owned(), 2), ("503".to_owned(), 1)].into());

    let row = |group: &str, passes, fails| CheckSummary { name: "is 200".into(), group: group.into(), passes, fails };
    assert_eq!(report.checks, [row("browse::item", 1, 1), row("", 1, 0)]);

    let row = |(metric, expression): (&str, &str), ok, value| ThresholdSummary {
        metric: metric.into(),
        expression: expression.into(),
        ok,
        value,
    };
    let [first, second, third] = thresholds;
    assert_eq!(report.thresholds, [row(first, true, Some(9.0)), row(second, false, None), row(third, true, Some(3.0))]);

    assert_eq!(report.errors.len(), 1);
    let error = &report.errors[0];
    assert_eq!((error.code, error.count, error.first_at_s, &*error.example), (1503, 1, 2.0, "GET /item/7"));
    assert_eq!((report.generator.dropped_iterations, report.generator.interrupted_iterations), (4, 1));

    let points: Vec<_> = report.series.points.iter().map(|p| (p.at_s, p.vus, p.requests, p.failed)).collect();
    assert_eq!(points, [(0.0, 5, 4, 0), (1.0, 0, 0, 0), (2.0, 5, 1, 1)]);
    assert_eq!(report.series.points[0].duration.unwrap().max, 2.0);
    assert_eq!(report.series.points[1].duration, None);
}

/// A run that recorded something, how it ended, and why it did not pass.
struct Case {
    record: fn(&Recorder),
    thresholds: &'static [(&'static str, &'static str)],
    end: EndFacts,
    reasons: &'static [&'static str],
    /// What stays when failure is allowed.
    reasons_if_allowed: &'static [&'static str],
}

#[test]
fn verdicts() {
    fn good(recorder: &Recorder) {
        request(recorder, "item", "200", 1000);
        count(recorder, builtin::ITERATIONS, 2);
    }
    fn thrown(recorder: &Recorder) {
        count(recorder, builtin::ITERATIONS, 2);
        count(recorder, builtin::ITERATIONS_FAILED, 2);
        let key = ErrorKey { code: 1, side: Side::Script, message: "division by zero (a.rhai:3:9)".into() };
        recorder.error(&key, String::new);
    }
    fn refused(recorder: &Recorder) {
        count(recorder, builtin::ITERATIONS, 1);
        request(recorder, "item", "0", 10);
        let key = ErrorKey { code: 1212, side: Side::Target, message: "connection refused".into() };
        recorder.error(&key, String::new);
    }
    let nothing = Case {
        record: |_| {},
        thresholds: &[],
        end: end(1),
        reasons: &["no iteration ran to its end"],
        reasons_if_allowed: &[],
    };
    let abort = |requested| Some(Abort { message: "out of stock".into(), requested });
    let cases = [
        Case { record: good, reasons: &[], ..nothing.clone() },
        nothing.clone(),
        Case {
            record: |recorder| count(recorder, builtin::ITERATIONS_INTERRUPTED, 3),
            reasons: &["no iteration ran to its end (3 were cancelled)"],
            ..nothing.clone()
        },
        // A journey that loops for ever: its requests speak for it.
        Case {
            record: |recorder| {
                request(recorder, "item", "200", 1);
                count(recorder, builtin::ITERATIONS_INTERRUPTED, 1);
            },
            reasons: &[],
            ..nothing.clone()
        },
        Case {
            record: thrown,
            reasons: &["every iteration failed (all 2), most often: division by zero (a.rhai:3:9)"],
            ..nothing.clone()
        },
        Case {
            record: |recorder| {
                thrown(recorder);
                good(recorder);
            },
            reasons: &[],
            ..nothing.clone()
        },
        Case {
            record: |recorder| count(recorder, builtin::ITERATIONS, 1),
            reasons: &["nothing was measured: no request was made, no check, no value of a metric of the script"],
            ..nothing.clone()
        },
        Case {
            record: |recorder| {
                count(recorder, builtin::ITERATIONS, 1);
                count(recorder, catalogue().lookup("orders").unwrap(), 1);
            },
            reasons: &[],
            ..nothing.clone()
        },
        Case {
            record: refused,
            reasons: &["every request failed (the only one), most often: connection refused"],
            ..nothing.clone()
        },
        Case {
            record: |recorder| {
                good(recorder);
                check(recorder, "", "a", false);
                check(recorder, "", "b", false);
            },
            reasons: &["every check failed (all 2)"],
            ..nothing.clone()
        },
        Case {
            record: |recorder| {
                good(recorder);
                check(recorder, "", "a", false);
                check(recorder, "", "b", true);
            },
            reasons: &[],
            ..nothing.clone()
        },
        Case {
            record: good,
            thresholds: &[
                ("http_req_duration{name:itme}", "p(95)<5"),
                ("http_req_duration", "p(95)<0.5ms"),
                ("http_req_failed", "rate>12.5%"),
                ("data_received", "count>1MB"),
                ("http_req_duration", "count>1"),
                ("http_reqs", "rate>0.1"),
            ],
            reasons: &[
                "threshold `p(95)<0.5ms` on `http_req_duration` failed: 1 ms",
                "threshold `rate>12.5%` on `http_req_failed` failed: 0 %",
                "threshold `count>1MB` on `data_received` failed: 200 bytes",
                "threshold `count>1` on `http_req_duration` failed: 1",
                "threshold `p(95)<5` on `http_req_duration{name:itme}` has no data",
            ],
            reasons_if_allowed: &[
                "threshold `p(95)<0.5ms` on `http_req_duration` failed: 1 ms",
                "threshold `rate>12.5%` on `http_req_failed` failed: 0 %",
                "threshold `count>1MB` on `data_received` failed: 200 bytes",
                "threshold `count>1` on `http_req_duration` failed: 1",
            ],
            ..nothing.clone()
        },
        Case {
            record: refused,
            thresholds: &[("checks", "rate>0.9")],
            end: EndFacts {
                interrupted: true,
                abort: abort(true),
                failure: Some("teardown took longer than 60s".into()),
                ..end(1)
            },
            reasons: &[
                "teardown took longer than 60s",
                "the script aborted the run: out of stock",
                "the run was interrupted",
                "every request failed (the only one), most often: connection refused",
                "threshold `rate>0.9` on `checks` has no data",
            ],
            reasons_if_allowed: &[
                "teardown took longer than 60s",
                "the script aborted the run: out of stock",
                "the run was interrupted",
            ],
        },
        Case {
            record: good,
            end: EndFacts { abort: abort(false), ..end(1) },
            reasons: &["the run had to be aborted: out of stock"],
            reasons_if_allowed: &["the run had to be aborted: out of stock"],
            ..nothing.clone()
        },
    ];
    for (n, case) in cases.iter().enumerate() {
        for (allow_failure, expected) in [(false, case.reasons), (true, case.reasons_if_allowed)] {
            let mut collector = collector(case.thresholds, RunFacts { allow_failure, ..RunFacts::default() });
            let recorder = recorder(0);
            (case.record)(&recorder);
            feed(&mut collector, 0, &[&recorder]);
            let report = collector.report(&case.end);
            assert_eq!(report.verdict.reasons, expected, "case {n}, allowed: {allow_failure}");
            assert_eq!(report.verdict.passed, expected.is_empty(), "case {n}");
            let silent = report.thresholds.iter().filter(|threshold| threshold.value.is_none());
            assert!(silent.clone().all(|threshold| threshold.ok == allow_failure), "case {n}");
        }
    }
}

impl Clone for Case {
    fn clone(&self) -> Self {
        Self { end: self.end.clone(), ..*self }
    }
}

#[test]
fn many_broken_thresholds_are_told_in_short() {
    let thresholds = vec![("http_reqs", "count>5"); 14];
    let collector = collector(&thresholds, RunFacts { allow_failure: true, ..RunFacts::default() });
    let reasons = collector.report(&end(1)).verdict.reasons;
    assert_eq!(reasons.len(), verdict::THRESHOLDS_TOLD + 1);
    assert_eq!(reasons.last().map(String::as_str), Some("4 more thresholds failed"));
}

#[test]
fn crossings_are_told_once_and_no_data_is_no_crossing() {
    let mut collector = collector(&[("http_req_duration", "max<5"), ("checks", "rate>0.5")], RunFacts::default());
    let recorder = recorder(0);
    let crossed = |events: Vec<RunEvent>| -> Vec<(String, bool, Option<f64>, bool)> {
        let crossing = |event| match event {
            RunEvent::ThresholdCrossed { expression, ok, value, aborts, .. } => Some((expression, ok, value, aborts)),
            _ => None,
        };
        events.into_iter().filter_map(crossing).collect()
    };
    assert_eq!(crossed(feed(&mut collector, 0, &[&recorder]).1), []);
    request(&recorder, "item", "200", 4_000);
    assert_eq!(crossed(feed(&mut collector, 1, &[&recorder]).1), []);
    request(&recorder, "item", "200", 6_000);
    check(&recorder, "", "a", false);
    let expected = [("max<5".into(), false, Some(6.0), false), ("rate>0.5".into(), false, Some(0.0), false)];
    assert_eq!(crossed(feed(&mut collector, 2, &[&recorder]).1), expected);
    assert_eq!(crossed(feed(&mut collector, 3, &[&recorder]).1), []);
    (0..3).for_each(|_| check(&recorder, "", "a", true));
    assert_eq!(crossed(feed(&mut collector, 4, &[&recorder]).1), [("rate>0.5".into(), true, Some(0.75), false)]);
    assert_eq!(collector.threshold_abort(), None);
}

#[test]
fn a_threshold_ends_the_run_once_its_delay_is_over() {
    let threshold = Threshold::parse("http_reqs", "count<1", &catalogue(), &[]).unwrap();
    let mut collector =
        Collector::new(catalogue(), vec![threshold.aborting(Duration::from_secs(3))], RunFacts::default());
    let recorder = recorder(0);
    request(&recorder, "item", "200", 1);
    count(&recorder, builtin::ITERATIONS, 1);
    let mut aborts = Vec::new();
    for second in 0..5 {
        let (_, events) = feed(&mut collector, second, &[&recorder]);
        aborts.push(events.iter().any(|event| matches!(event, RunEvent::ThresholdCrossed { aborts: true, .. })));
    }
    assert_eq!(aborts, [false, false, true, false, false]);
    assert_eq!(collector.threshold_abort(), Some("threshold `count<1` on `http_reqs` failed"));
    let reasons = collector.report(&end(5)).verdict.reasons;
    assert_eq!(reasons, ["threshold `count<1` on `http_reqs` failed and ended the run: 1"]);
}

#[test]
fn one_tag_is_blamed_once_for_all_metrics_and_sources() {
    let mut collector = collector(&[], RunFacts::default());
    let sources: Vec<_> =
        (0..2).map(|source| Recorder::new(catalogue(), SourceId(source), SeriesLimits { per_metric: 4 })).collect();
    for recorder in &sources {
        (0..9).for_each(|n| request(recorder, &format!("/item/{n}"), "200", 1));
    }
    let (_, events) = feed(&mut collector, 0, &sources.iter().collect::<Vec<_>>());
    let [RunEvent::Warning(warning)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(
        warning.message,
        "tag `name` has 5 values and `http_reqs` has reached 4 series: what else comes is counted under `name: (other)`"
    );
    let report = collector.report(&end(1));
    assert_eq!(report.warnings.len(), 1);
    assert_eq!(report.requests.iter().map(|row| row.count).sum::<u64>(), 18);
}

#[test]
fn a_broken_source_is_told_once() {
    let mut collector = collector(&[], RunFacts::default());
    let recorder = recorder(0);
    request(&recorder, "item", "200", 1);
    let _lost = recorder.take_snapshot(0);
    request(&recorder, "item", "200", 1);
    let (_, events) = feed(&mut collector, 1, &[&recorder]);
    let [RunEvent::Warning(warning)] = &events[..] else { panic!("{events:?}") };
    assert!(warning.message.starts_with("some numbers are missing from the results: source 0"), "{}", warning.message);
    request(&recorder, "item", "200", 1);
    assert!(feed(&mut collector, 2, &[&recorder]).1.is_empty());
}

#[test]
fn a_report_is_read_back_as_it_was_written() {
    let mut collector = collector(&[("http_req_duration{name:item}", "p(95)<500")], RunFacts::default());
    let recorder = recorder(0);
    request(&recorder, "item", "200", 1234);
    feed(&mut collector, 0, &[&recorder]);
    let report = collector.report(&end(1));
    let json = serde_json::to_string(&report).unwrap();
    assert!(json.contains(r#""p99.9":1.234"#), "{json}");
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}

/// A run of ten seconds in which one request failed for want of files in the fourth and the fifth.
fn out_of_files(facts: RunFacts, thresholds: &[(&str, &str)]) -> Report {
    let mut collector = collector(thresholds, facts);
    let recorder = recorder(0);
    for second in 0..10 {
        request(&recorder, "item", "200", 1000);
        count(&recorder, builtin::ITERATIONS, 1);
        if second == 3 || second == 4 {
            let fault = crate::fault::Fault::TOO_MANY_OPEN_FILES;
            let key = ErrorKey { code: fault.code, side: fault.side, message: fault.message.into() };
            recorder.error(&key, || "GET /item".into());
        }
        feed(&mut collector, second, &[&recorder]);
    }
    collector.report(&end(10))
}

#[test]
fn a_limited_generator_is_told_with_the_verdict_and_fails_only_where_that_is_asked_for() {
    let caution = "from 3s to 5s, 2 failures on loadr's own side (too many open files); raise the limit on open files: \
                   `sudo prlimit --pid $$ --nofile=1048576:1048576` in this shell";
    let required = "the generator shaped this result, and it was required to be healthy (--require-healthy)";
    let asked = RunFacts { require_healthy: true, ..RunFacts::default() };
    let slow: &[(&str, &str)] = &[("http_req_duration", "max<0.5")];
    for (facts, thresholds, passed, inconclusive, reasons) in [
        (RunFacts::default(), &[][..], true, false, 0),
        (asked.clone(), &[][..], false, true, 1),
        (asked.clone(), slow, false, false, 2),
    ] {
        let report = out_of_files(facts, thresholds);
        let verdict = &report.verdict;
        assert_eq!((verdict.passed, verdict.inconclusive, verdict.reasons.len()), (passed, inconclusive, reasons));
        assert_eq!(verdict.cautions, [caution]);
        assert_eq!((report.generator.limited, &report.generator.reasons), (true, &verdict.cautions));
        assert_eq!(report.generator.limits[0].seconds, 2);
        assert!(passed || verdict.reasons.last().is_some_and(|reason| reason == required), "{verdict:?}");
    }

    let mut healthy = collector(&[], asked);
    let recorder = recorder(0);
    request(&recorder, "item", "200", 1000);
    feed(&mut healthy, 0, &[&recorder]);
    let report = healthy.report(&end(1));
    assert_eq!((report.verdict.passed, report.generator.limited), (true, false), "{:?}", report.verdict);
}

#[test]
fn a_point_tells_how_the_generator_fared() {
    let mut collector = collector(&[], RunFacts::default());
    let recorder = recorder(0);
    for second in 0..2 {
        request(&recorder, "item", "200", 1000);
        let generator = GeneratorPoint { lag_ms: f64::from(second) + 0.5, ..GeneratorPoint::default() };
        let snapshots = vec![Arc::new(recorder.take_snapshot(second))];
        let engine = EngineNow { generator, ..EngineNow::default() };
        let (told, _) = collector.second(second, Duration::from_secs(u64::from(second) + 1), snapshots, engine);
        assert_eq!(told.generator, generator);
    }
    let points = collector.report(&end(2)).series.points;
    assert_eq!(points.iter().map(|point| point.generator.lag_ms).collect::<Vec<_>>(), [0.5, 1.5]);
}

#[test]
fn only_open_load_is_limited_by_what_it_dropped() {
    for (executor, limited) in [("constant-arrival-rate", true), ("per-vu-iterations", false)] {
        let scenario =
            crate::report::ScenarioInfo { name: "shop".into(), executor: executor.into(), ..Default::default() };
        let info = RunInfo { scenarios: vec![scenario], ..RunInfo::default() };
        let mut collector = collector(&[], RunFacts { info, ..RunFacts::default() });
        let recorder = recorder(0);
        request(&recorder, "item", "200", 1000);
        count(&recorder, builtin::ITERATIONS, 90);
        count(&recorder, builtin::DROPPED_ITERATIONS, 10);
        feed(&mut collector, 0, &[&recorder]);
        let report = collector.report(&end(1));
        assert_eq!((report.generator.limited, report.generator.dropped_iterations), (limited, 10), "{executor}");
        assert_eq!(report.series.points[0].generator.dropped, if limited { 10 } else { 0 }, "{executor}");
    }
}
