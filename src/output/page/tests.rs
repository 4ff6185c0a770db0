//! The page's data against runs made up for it: sums and percentiles are those of what went in, whatever the length.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::super::sample;
use super::build::Changed;
use super::*;
use crate::event::{ScenarioNow, ScenarioState, Second};
use crate::fault::Side;
use crate::metric::aggregate::TrendAggregate;
use crate::metric::builtin;
use crate::metric::sink::TrendSink;
use crate::metric::snapshot::{
    ErrorDelta, ErrorKey, SNAPSHOT_VERSION, SeriesDef, SeriesId, SinkDelta, Snapshot, SourceId,
};
use crate::report::{GeneratorPoint, RequestSummary, RunInfo, ScenarioInfo};

/// A run of so many seconds with so many requests, each of its own latency, that is the same each time.
struct Made {
    seconds: u32,
    requests: usize,
    /// Requests of each name in a second.
    rate: u64,
    /// Whether latencies are few different ones.
    alike: bool,
}

/// What all of it came to.
struct Truth {
    all: TrendSink,
    of_first: TrendSink,
    count: u64,
    failed: u64,
}

fn series_of(request: usize, second: u32, open: bool) -> Vec<SeriesDef> {
    if second > 0 {
        return Vec::new();
    }
    let tags: Vec<_> =
        [("method", "GET"), ("name", &*format!("request {request}")), ("scenario", "shop"), ("status", "200")]
            .map(|(key, value)| (key.into(), value.into()))
            .into();
    let mut metrics = vec![
        builtin::HTTP_REQS,
        builtin::HTTP_REQ_FAILED,
        builtin::HTTP_REQ_DURATION,
        builtin::HTTP_REQ_WAITING,
        builtin::HTTP_REQ_RECEIVING,
        builtin::HTTP_REQ_SENDING,
        builtin::DATA_RECEIVED,
        builtin::DATA_SENT,
    ];
    metrics.extend(open.then_some(builtin::HTTP_REQ_DURATION_INTENDED));
    let of = |(at, metric)| SeriesDef { id: SeriesId((request * 10 + at) as u32), metric, tags: tags.clone() };
    metrics.into_iter().enumerate().map(of).collect()
}

impl Made {
    fn drive(&self, mut take: impl FnMut(RunEvent)) -> Truth {
        let mut truth = Truth { all: TrendSink::default(), of_first: TrendSink::default(), count: 0, failed: 0 };
        let mut random = fastrand::Rng::with_seed(7);
        let scenario = ScenarioInfo { name: "shop".into(), executor: "constant-vus".into(), ..ScenarioInfo::default() };
        take(RunEvent::Started(Arc::new(RunInfo { scenarios: vec![scenario], ..sample::rich_report().run })));
        for second in 0..self.seconds {
            let (mut sinks, mut new_series) = (Vec::new(), Vec::new());
            for request in 0..self.requests {
                new_series.extend(series_of(request, second, false));
                let failed = u64::from((second as usize + request).is_multiple_of(50));
                let mut trend = TrendSink::default();
                for _ in 0..self.rate {
                    let slow = if random.f64() < 0.01 { 30.0 } else { 1.0 };
                    let load = 1.0 + f64::from(second) / f64::from(self.seconds);
                    let us = (1_500.0 + 200.0 * request as f64) * load * slow * (0.5 + random.f64());
                    trend.record(if self.alike { 1_500 + random.u64(0..20) } else { us as u64 });
                }
                let delta = trend.take();
                truth.all.absorb(&delta);
                if request == 0 {
                    truth.of_first.absorb(&delta);
                }
                truth.count += self.rate;
                truth.failed += failed;
                let id = |at: usize| SeriesId((request * 10 + at) as u32);
                sinks.push((id(0), SinkDelta::Counter { sum: self.rate as f64 }));
                sinks.push((id(1), SinkDelta::Rate { passes: failed, total: self.rate }));
                sinks.extend([2, 3, 4, 5].map(|at| (id(at), SinkDelta::Trend(delta.clone()))));
                sinks.push((id(6), SinkDelta::Counter { sum: 5_200.0 * self.rate as f64 }));
                sinks.push((id(7), SinkDelta::Counter { sum: 180.0 * self.rate as f64 }));
            }
            let errors = (second % 50 == 0).then(|| ErrorDelta {
                key: ErrorKey { code: 1503, side: Side::Target, message: "503 service unavailable".into() },
                count: 1,
                example: (second == 0).then(|| "GET /: 503".into()),
            });
            let snapshot = Snapshot {
                version: SNAPSHOT_VERSION,
                source: SourceId(0),
                second,
                new_series,
                sinks,
                errors: errors.into_iter().collect(),
                examples: Vec::new(),
                warnings: Vec::new(),
            };
            take(RunEvent::Tick(Arc::new(Second {
                second,
                elapsed: Duration::from_secs(u64::from(second) + 1),
                vus: 20,
                vus_max: 20,
                generator: GeneratorPoint {
                    lag_ms: random.f64(),
                    cpu_percent: Some(100.0 * random.f64()),
                    machine_cpu_percent: Some(100.0 * random.f64()),
                    memory_bytes: Some(50_000_000 + u64::from(second) * 1_000),
                    open_files: Some(40),
                    ..GeneratorPoint::default()
                },
                scenarios: vec![ScenarioNow {
                    name: "shop".into(),
                    executor: "constant-vus",
                    vus: 20,
                    vus_target: 20,
                    state: ScenarioState::Running,
                    planned: Some(Duration::from_secs(self.seconds.into())),
                    ..ScenarioNow::default()
                }],
                snapshots: vec![Arc::new(snapshot)],
                ..Second::default()
            })));
        }
        truth
    }

    fn end(&self, truth: &Truth) -> RunEvent {
        let mut report = sample::rich_report();
        report.run.duration_s = f64::from(self.seconds);
        let each = truth.count / self.requests as u64;
        report.requests = (0..self.requests)
            .map(|request| RequestSummary {
                name: format!("request {request}"),
                method: "GET".into(),
                count: each,
                ..RequestSummary::default()
            })
            .collect();
        RunEvent::Ended(Arc::new(report))
    }
}

fn data_of(page: &str) -> Value {
    let from = page.split_once("id=\"loadr-data\">").expect("the data").1;
    serde_json::from_str(from.split_once("</script>").expect("its end").0).expect("it is JSON")
}

fn sum(values: &Value) -> u64 {
    values.as_array().expect("an array").iter().map(|value| value.as_u64().expect("a count")).sum()
}

fn near(found: &Value, exact: Option<f64>) {
    let (found, exact) = (found.as_f64().expect("a figure"), exact.expect("a figure"));
    assert!((found - exact).abs() <= exact * 0.0006, "{found} is not {exact}");
}

#[test]
fn an_hour_of_forty_requests_is_whole_and_small() {
    let made = Made { seconds: 3_600, requests: 40, rate: 2, alike: false };
    let mut model = Model::new();
    let truth = made.drive(|event| _ = model.apply(&event));
    model.apply(&made.end(&truth));
    let page = page_of(&model);
    assert!(page.len() < 500_000, "{} bytes", page.len());

    let data = data_of(&page);
    let series = &data["series"];
    assert_eq!(sum(&series["requests_failed"]), truth.failed);
    assert_eq!(sum(&series["requests_ok"]) + truth.failed, truth.count);
    assert_eq!(data["time"]["interval_s"], 8);
    assert_eq!(data["time"]["count"], 450);
    for array in ["requests_ok", "vus", "bytes_sent", "iterations"] {
        assert_eq!(series[array].as_array().map(Vec::len), Some(450), "{array}");
    }
    // The distribution is that of all single requests.
    let all = TrendAggregate::merge([&truth.all]);
    let distribution = &data["distribution"];
    for (at, p) in distribution["percentiles"].as_array().unwrap().iter().enumerate() {
        near(&distribution["duration"][at], all.percentile(p.as_f64().unwrap()));
    }
    let in_cells: u64 = data["heatmap"]["cells"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|cell| cell.as_array().unwrap().chunks(2).map(|pair| pair[1].as_u64().unwrap()))
        .sum();
    assert_eq!(in_cells, truth.count);
    // Each request has its own arrays, and they hold all of it.
    let requests = data["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 40);
    let of_requests: u64 =
        requests.iter().map(|r| sum(&r["series"]["requests_ok"]) + sum(&r["series"]["requests_failed"])).sum();
    assert_eq!(of_requests, truth.count);
    let first = TrendAggregate::merge([&truth.of_first]);
    let last = requests[0]["distribution"]["duration"].as_array().unwrap().last().unwrap();
    near(last, first.percentile(100.0));
    assert_eq!(sum(&series["errors"]["counts"][0]), 72);
}

#[test]
fn memory_does_not_grow_with_the_length_of_the_run() {
    let held_after = |seconds| {
        let made = Made { seconds, requests: 4, rate: 5, alike: true };
        let before = crate::memory::live();
        let mut model = Model::new();
        made.drive(|event| _ = model.apply(&event));
        crate::memory::live() - before
    };
    // Both fill their columns, with the same latencies; the latter run is eight times as long.
    let (short, long) = (held_after(1_190), held_after(9_520));
    assert!(short > 100_000, "{short} bytes are too few to be all of it");
    assert!(long < short + short / 4, "{short} bytes became {long}");
}

#[test]
fn updates_add_up_to_the_document() {
    let made = Made { seconds: 700, requests: 3, rate: 5, alike: false };
    let mut model = Model::new();
    let mut kept = Value::Null;
    made.drive(|event| {
        if !model.apply(&event) || matches!(event, RunEvent::Started(_)) {
            return;
        }
        let changed = model.take_changed();
        if kept.is_null() {
            kept = serde_json::to_value(build::document(&model, &Detail::LEVELS[0])).unwrap();
            return;
        }
        let update = serde_json::to_value(build::update(&model, &changed)).unwrap();
        let from = update["time"]["from"].as_u64().unwrap() as usize;
        for array in ["requests_ok", "requests_failed", "vus"] {
            let known = kept["series"][array].as_array_mut().unwrap();
            known.truncate(from);
            known.extend(update["series"][array].as_array().unwrap().iter().cloned());
        }
        for at in 0..3 {
            let from = update["requests"][at]["series"]["from"].as_u64().unwrap() as usize;
            let news = update["requests"][at]["series"]["requests_ok"].as_array().unwrap().clone();
            let known = kept["requests"][at]["series"]["requests_ok"].as_array_mut().unwrap();
            known.truncate(from);
            known.extend(news);
        }
        kept["totals"] = update["totals"].clone();
    });
    let document = serde_json::to_value(build::document(&model, &Detail::LEVELS[0])).unwrap();
    for array in ["requests_ok", "requests_failed", "vus"] {
        assert_eq!(kept["series"][array], document["series"][array], "{array}");
    }
    for at in 0..3 {
        let of = |from: &Value| from["requests"][at]["series"]["requests_ok"].clone();
        assert_eq!(of(&kept), of(&document));
    }
    assert_eq!(kept["totals"], document["totals"]);
    assert_eq!(document["time"]["interval_s"], 2, "columns became wider on the way, and all was told anew");
    assert_eq!(document["live"], true);
}

#[test]
fn what_was_lost_is_counted_and_what_is_unknown_is_let_pass() {
    let made = Made { seconds: 10, requests: 1, rate: 1, alike: false };
    let mut model = Model::new();
    made.drive(|event| {
        // The second with the definitions never comes, and another one.
        if !matches!(&event, RunEvent::Tick(second) if [0, 5].contains(&second.second)) {
            model.apply(&event);
        }
    });
    let document = serde_json::to_value(build::document(&model, &Detail::LEVELS[0])).unwrap();
    assert_eq!(document["lost_seconds"], 2);
    assert_eq!(document["totals"]["requests"], 0);
    assert_eq!(build::update(&model, &Changed::default()).time.count, 10);
}

#[test]
fn a_summary_alone_makes_a_page() {
    for (name, report) in sample::reports() {
        let page = page_of_summary(&report);
        let data = data_of(&page);
        assert_eq!(data["source"], "summary", "{name}");
        assert_eq!(data["verdict"]["passed"], report.verdict.passed, "{name}");
        assert_eq!(data["time"]["count"], report.series.points.len(), "{name}");
        assert!(data["heatmap"].is_null() && data["series"]["errors"].is_null(), "{name}");
    }
}

#[test]
fn thresholds_have_value_and_margin() {
    let report = sample::rich_report();
    let data = data_of(&page_of_summary(&report));
    let first = &data["thresholds"][0];
    assert_eq!(
        (&first["ok"], &first["value_text"], &first["margin_text"]),
        (&false.into(), &"2.0 ms".into(), &"40 µs over".into())
    );
    assert_eq!((&first["limit"], &first["at_most"], &first["used"]), (&2.0.into(), &true.into(), &1.02.into()));
    let checks = &data["thresholds"][2];
    assert_eq!((&checks["at_most"], &checks["used"]), (&false.into(), &0.992.into()));
    let none = &data["thresholds"][5];
    assert_eq!((&none["value"], &none["value_text"], &none["limit"]), (&Value::Null, &"no data".into(), &Value::Null));
}
