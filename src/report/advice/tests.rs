//! Each rule with a run that it speaks of, and with one that it does not.

use std::collections::BTreeMap;

use super::super::*;
use super::*;
use crate::fault::Fault;

fn stats(med: f64, p95: f64) -> TrendStats {
    TrendStats {
        min: med / 2.0,
        avg: med * 1.2,
        med,
        max: p95 * 4.0,
        p90: p95 * 0.9,
        p95,
        p99: p95 * 2.0,
        p99_9: p95 * 3.0,
    }
}

fn request(name: &str, count: u64, failed: u64, duration: TrendStats) -> RequestSummary {
    RequestSummary { name: name.into(), method: "GET".into(), count, failed, duration, ..RequestSummary::default() }
}

fn points(count: u32, point: impl Fn(u32) -> (u64, u64, f64)) -> Vec<Point> {
    let one = |second| {
        let (vus, requests, ms) = point(second);
        let duration = PointLatency { med: ms, p95: ms * 3.0, p99: ms * 5.0, max: ms * 9.0 };
        Point { at_s: f64::from(second), vus, requests, duration: Some(duration), ..Point::default() }
    };
    (0..count).map(one).collect()
}

/// A run of a minute in which nothing stands out.
fn calm() -> Report {
    let trend = |count, stats| MetricSummary::Trend { unit: "ms".into(), count, stats };
    let metrics = BTreeMap::from([
        ("http_reqs".into(), MetricSummary::Counter { count: 60_000.0, rate: 1_000.0 }),
        ("http_req_duration".into(), trend(60_000, stats(5.0, 20.0))),
        ("http_req_waiting".into(), trend(60_000, stats(4.5, 19.0))),
        ("http_req_connecting".into(), trend(20, stats(0.3, 0.9))),
        ("http_req_receiving".into(), trend(60_000, stats(0.3, 0.9))),
        ("http_req_sending".into(), trend(60_000, stats(0.02, 0.05))),
    ]);
    let scenario = ScenarioInfo { name: "shop".into(), executor: "ramping-vus".into(), ..ScenarioInfo::default() };
    Report {
        run: RunInfo { duration_s: 60.0, scenarios: vec![scenario], ..RunInfo::default() },
        verdict: Verdict { passed: true, ..Verdict::default() },
        metrics,
        requests: vec![request("home", 30_000, 0, stats(5.0, 20.0)), request("item", 30_000, 0, stats(5.0, 20.0))],
        steady: Some(SteadySummary { from_s: 10.0, to_s: 60.0, ..SteadySummary::default() }),
        series: Series { interval_s: 1, points: points(60, |_| (20, 1_000, 5.0)), ..Series::default() },
        ..Report::default()
    }
}

/// What is said of a run that differs from the calm one; ids alone.
fn said(change: impl FnOnce(&mut Report)) -> Vec<Advice> {
    let mut report = calm();
    change(&mut report);
    advise(&report)
}

fn ids(advice: &[Advice]) -> Vec<&str> {
    advice.iter().map(|advice| &*advice.id).collect()
}

fn failure(code: u32, message: &str, side: Side, count: u64) -> ErrorSummary {
    let example = "error: whole\nstory".into();
    ErrorSummary { code, message: message.into(), side, count, first_at_s: 12.0, example, request: None }
}

#[test]
fn of_a_calm_run_nothing_is_said() {
    assert_eq!(said(|_| {}), []);
    assert_eq!(advise(&Report::default()), []);
}

#[test]
fn saturation_is_found_where_the_rate_stops_growing() {
    let saturated = |second: u32| {
        let vus = u64::from(second + 1) * 10;
        let rate = (vus * 8).min(2_400);
        (vus, rate, 5.0 * (vus as f64 * 8.0 / rate as f64).powi(2))
    };
    let mut report = calm();
    report.series.points = points(90, saturated);
    report.steady = None;
    let knee = knee(&report).expect("there is one");
    assert!((24.0..=31.0).contains(&knee.at_s) && (2_000.0..=2_400.0).contains(&knee.rate), "{knee:?}");
    let found = advise(&report);
    assert_eq!(found[0].id, "saturation");
    assert!(found[0].text.contains("the rate stayed at about 2"), "{}", found[0].text);

    // A rate that grows with the users, however slow, is no saturation; nor is latency that stays.
    for point in [
        |second: u32| (u64::from(second + 1) * 10, u64::from(second + 1) * 80, 5.0 + f64::from(second)),
        |second: u32| (u64::from(second + 1) * 10, 2_400, 5.0),
        |_: u32| (100, 2_400, 50.0),
    ] {
        report.series.points = points(90, point);
        assert_eq!(super::knee(&report), None);
    }
    // Under open load the rate is what the plan says.
    report.series.points = points(90, saturated);
    report.run.scenarios[0].executor = "ramping-arrival-rate".into();
    assert_eq!(super::knee(&report), None);
    report.series.points.clear();
    assert_eq!(super::knee(&report), None);
}

#[test]
fn the_generator_comes_first() {
    let advice = said(|report| {
        report.generator.limited = true;
        report.generator.limits.push(GeneratorLimit {
            cause: LimitCause::Cpu,
            spans: vec![Span { from_s: 3.0, to_s: 4.0 }, Span { from_s: 10.0, to_s: 20.0 }],
            seconds: 11,
            found: "loadr used more than 90% of its 2 CPU cores".into(),
            remedy: "use a larger machine".into(),
        });
        report.errors.push(failure(1503, "503 service unavailable", Side::Target, 900));
    });
    assert_eq!(ids(&advice), ["generator", "errors"]);
    let place = advice[0].r#where.as_ref().expect("a place");
    assert_eq!((&*place.name, place.from_s, place.to_s), ("generator", Some(10.0), Some(20.0)));
}

#[test]
fn errors_say_whose_they_are_and_what_to_do() {
    for (code, side, count, part) in [
        (1503, Side::Target, 900, "1.5%"),
        (1050, Side::Target, 900, "did not answer in time"),
        (Fault::DIAL_UNREACHABLE.code, Side::Network, 900, "No connection came about"),
        (1404, Side::Target, 900, "look at its URLs"),
        (2000, Side::Script, 1, "the script itself failed: whole"),
    ] {
        let advice = said(|report| report.errors.push(failure(code, "it", side, count)));
        let text = advice.first().map(|advice| format!("{} {}", advice.title, advice.text)).unwrap_or_default();
        assert!(text.contains(part) && text.contains("From 12s on"), "{code}: {text}");
    }
    for (code, side, count) in
        [(1503, Side::Target, 30), (Fault::TOO_MANY_OPEN_FILES.code, Side::Generator, 900), (2002, Side::Script, 900)]
    {
        assert_eq!(said(|report| report.errors.push(failure(code, "it", side, count))), [], "{code}");
    }
}

#[test]
fn a_missed_threshold_is_told_with_its_margin() {
    let threshold = |metric: &str, expression: &str, value| ThresholdSummary {
        metric: metric.into(),
        expression: expression.into(),
        ok: false,
        value,
    };
    let advice = said(|report| {
        report.thresholds.push(threshold("http_req_duration", "p(95)<15", Some(20.0)));
        report.thresholds.push(threshold("http_reqs", "rate>2000", Some(1_000.0)));
        report.thresholds.push(threshold("http_req_duration{name:x}", "p(95)<15", None));
    });
    assert_eq!(ids(&advice), ["threshold", "threshold", "threshold"]);
    for (at, title, text) in [
        (0, "`p(95)<15` on `http_req_duration` was missed: 5.0 ms over", "20.0 ms was found, more than it allows."),
        (1, "`rate>2000` on `http_reqs` was missed: 1000/s short", "1000/s was found, less than it asks for."),
        (2, "`p(95)<15` on `http_req_duration{name:x}` had nothing to judge", "No such request"),
    ] {
        assert_eq!(advice[at].title, title);
        assert!(advice[at].text.starts_with(text), "{}", advice[at].text);
    }
}

#[test]
fn one_request_makes_the_tail_or_the_failures() {
    let advice = said(|report| {
        report.requests =
            vec![request("home", 57_000, 0, stats(4.0, 12.0)), request("order", 3_000, 0, stats(60.0, 170.0))];
    });
    assert_eq!(ids(&advice), ["slow-request"]);
    assert_eq!(advice[0].title, "GET order is the slowest part");
    assert!(advice[0].text.starts_with("It is 5.0% of all requests, but about "), "{}", advice[0].text);

    let advice = said(|report| report.requests[0].failed = 1_200);
    assert_eq!(ids(&advice), ["failing-request"]);
    assert_eq!(advice[0].title, "GET home fails most: 4.0% of the time");
    // When all fail alike, none is to blame.
    assert_eq!(said(|report| report.requests.iter_mut().for_each(|request| request.failed = 600)), []);
}

#[test]
fn time_spent_elsewhere_than_waiting_is_told() {
    let advice = said(|report| {
        let stats = stats(9.0, 30.0);
        let tls = MetricSummary::Trend { unit: "ms".into(), count: 60_000, stats };
        report.metrics.insert("http_req_tls_handshaking".into(), tls);
    });
    assert_eq!(ids(&advice), ["phase"]);
    assert!(advice[0].title.ends_with("goes into TLS handshakes"), "{}", advice[0].title);
}

#[test]
fn a_drift_needs_the_same_load() {
    let slower = |second: u32| (20, 1_000 - u64::from(second) * 5, 5.0 + f64::from(second) / 4.0);
    let advice = said(|report| report.series.points = points(60, slower));
    assert_eq!(ids(&advice), ["drift"]);
    let more = |second: u32| (20, 500 + u64::from(second) * 30, 5.0 + f64::from(second) / 4.0);
    assert_eq!(said(|report| report.series.points = points(60, more)), []);
}

#[test]
fn the_run_itself_can_be_better() {
    assert_eq!(ids(&said(|report| report.steady = None)), ["no-plateau"]);
    let cold = |second: u32| (20, 1_000, if second < 2 { 40.0 } else { 5.0 });
    assert_eq!(ids(&said(|report| report.series.points = points(60, cold))), ["cold-start"]);
    let advice = said(|report| {
        let few = MetricSummary::Trend { unit: "ms".into(), count: 900, stats: stats(5.0, 20.0) };
        report.metrics.insert("http_req_duration".into(), few);
        report.requests.clear();
        report.thresholds.push(ThresholdSummary {
            metric: "http_req_duration".into(),
            expression: "p(99)<500".into(),
            ok: true,
            value: Some(40.0),
        });
    });
    assert_eq!(ids(&advice), ["few-requests"]);
    let advice = said(|report| {
        report.checks.push(CheckSummary {
            name: "has a price".into(),
            passes: 900,
            fails: 100,
            ..CheckSummary::default()
        });
        report.checks.push(CheckSummary { name: "is 200".into(), passes: 999, fails: 1, ..CheckSummary::default() });
    });
    assert_eq!(advice[0].title, "The check \"has a price\" failed 100 times (10.0%)");
    assert!(advice[0].text.ends_with("Another check failed too."), "{}", advice[0].text);
}

#[test]
fn the_gravest_comes_first_and_there_are_not_too_many() {
    let advice = said(|report| {
        report.steady = None;
        report.checks.push(CheckSummary { name: "c".into(), passes: 1, fails: 1, ..CheckSummary::default() });
        for code in [1500, 1501, 1502, 1503] {
            report.errors.push(failure(code, "it", Side::Target, 900));
        }
        for metric in ["a", "b", "c", "d"] {
            report.thresholds.push(ThresholdSummary { metric: metric.into(), ..ThresholdSummary::default() });
        }
    });
    assert_eq!(advice.len(), MOST);
    assert!(advice.is_sorted_by_key(|advice| advice.level), "{:?}", ids(&advice));
}
