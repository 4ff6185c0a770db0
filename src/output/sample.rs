//! Runs for the tests of outputs: empty, rich, and hostile to terminals.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::event::{ErrorNow, ScenarioNow, ScenarioState, Second};
use crate::fault::Side;
use crate::metric::registry::{Recorder, SeriesLimits};
use crate::metric::snapshot::SourceId;
use crate::metric::{Catalogue, Contains, MetricKind, builtin};
use crate::report::advice::{Advice, Level, Place, PlaceKind};
use crate::report::*;

/// A stream whose text can be looked at.
#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub fn stream(&self) -> Box<dyn Write + Send> {
        Box::new(self.clone())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).expect("outputs write UTF-8")
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream that nobody reads any more.
pub(super) struct ClosedPipe;

impl Write for ClosedPipe {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

/// What a script or a server could call things to do harm.
pub(super) const HOSTILE: &[&str] = &[
    "",
    "new\nline\r\n",
    "\u{1b}[2J\u{1b}[31mred\u{1b}]0;title\u{7}",
    "\u{9b}31m\u{0}\u{8}\u{8}\u{7f}",
    "\u{202e}reversed\u{2066}\u{200b}",
    "日本語の名前がとても長い場合にはどうなるのでしょうか日本語の名前がとても長い場合",
    "PASSED",
    "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
];

pub(super) fn hostile_names() -> Vec<String> {
    let mut names: Vec<String> = HOSTILE.iter().map(ToString::to_string).collect();
    names.push("long".repeat(5_000));
    names
}

fn info() -> RunInfo {
    RunInfo {
        id: "6f2d1c1e-6f43-4a41-9f53-0c4f1ad0c9a1".into(),
        script: "shop.rhai".into(),
        started_at: "2026-03-01T12:00:00Z".into(),
        duration_s: 150.0,
        seed: 42,
        loadr_version: "0.1.0".into(),
        vus_max: 200,
        args: vec!["run".into(), "shop.rhai".into()],
        profile: Some("load".into()),
        scenarios: vec![
            ScenarioInfo {
                name: "shoppers".into(),
                executor: "ramping-vus".into(),
                exec: "shop".into(),
                description: "ramping-vus: 0 to 200 over 30s, 200 for 2m".into(),
            },
            ScenarioInfo {
                name: "search".into(),
                executor: "constant-vus".into(),
                exec: "search".into(),
                description: "constant-vus: 20 for 2m".into(),
            },
        ],
    }
}

/// A run in which nothing happened.
pub(super) fn empty_report() -> Report {
    Report {
        schema: SCHEMA.into(),
        run: RunInfo {
            id: "00000000-0000-0000-0000-000000000000".into(),
            script: "empty.rhai".into(),
            started_at: "2026-03-01T12:00:00.5Z".into(),
            loadr_version: "0.1.0".into(),
            ..RunInfo::default()
        },
        verdict: Verdict { passed: false, reasons: vec!["no request was made".into()], ..Verdict::default() },
        advice: Vec::new(),
        metrics: BTreeMap::new(),
        requests: Vec::new(),
        checks: Vec::new(),
        thresholds: Vec::new(),
        errors: Vec::new(),
        slowest: Vec::new(),
        generator: GeneratorSummary::default(),
        steady: None,
        stages: Vec::new(),
        series: Series { interval_s: 1, points: Vec::new(), marks: Vec::new(), events: Vec::new() },
        warnings: Vec::new(),
    }
}

/// A single request that took so many milliseconds.
pub(super) fn slow_request(ms: f64) -> RequestExample {
    RequestExample {
        name: "item".into(),
        method: "GET".into(),
        url: "http://shop.test:8080/items/17".into(),
        status: 200,
        error: String::new(),
        started_at: "2026-03-01T12:00:41.25Z".into(),
        at_s: 40.75,
        duration_ms: Some(ms),
        phases: PhaseTimes {
            blocked_ms: Some(0.4),
            looking_up_ms: None,
            connecting_ms: Some(0.3),
            tls_handshaking_ms: None,
            sending_ms: Some(0.1),
            waiting_ms: Some(ms - 0.3),
            receiving_ms: Some(0.2),
        },
        bytes_sent: 123,
        bytes_received: 4_567,
        scenario: "shoppers".into(),
        group: "browse::item".into(),
        vu: 17,
        iteration: 31,
        trace_id: Some("0af7651916cd43dd8448eb211c80319c".into()),
    }
}

fn stats(scale: f64) -> TrendStats {
    TrendStats {
        min: 0.2 * scale,
        avg: 1.4 * scale,
        med: 1.1 * scale,
        max: 40.0 * scale,
        p90: 2.5 * scale,
        p95: 3.4 * scale,
        p99: 12.0 * scale,
        p99_9: 31.0 * scale,
    }
}

fn trend(unit: &str, count: u64, scale: f64) -> MetricSummary {
    MetricSummary::Trend { unit: unit.into(), count, stats: stats(scale) }
}

fn rate(passes: u64, fails: u64) -> MetricSummary {
    MetricSummary::Rate { rate: passes as f64 / (passes + fails) as f64, passes, fails }
}

fn counter(count: f64) -> MetricSummary {
    MetricSummary::Counter { count, rate: count / 150.0 }
}

fn request(name: &str, method: &str, count: u64, failed: u64, scale: f64) -> RequestSummary {
    RequestSummary {
        name: name.into(),
        method: method.into(),
        count,
        failed,
        rate: count as f64 / 150.0,
        bytes_sent: count * 120,
        bytes_received: count * 2_400,
        duration: stats(scale),
        statuses: BTreeMap::from([("200".into(), count - failed), ("0".into(), failed)]),
    }
}

/// A run in which everything happened.
pub(super) fn rich_report() -> Report {
    let metrics = [
        ("vus", MetricSummary::Gauge { value: 200.0, min: 0.0, max: 200.0 }),
        ("vus_max", MetricSummary::Gauge { value: 200.0, min: 200.0, max: 200.0 }),
        ("iterations", counter(9_120.0)),
        ("iteration_duration", trend("ms", 9_120, 900.0)),
        ("dropped_iterations", counter(0.0)),
        ("checks", rate(24_950, 50)),
        ("group_duration", trend("ms", 9_120, 3.0)),
        ("data_sent", counter(4_500_000.0)),
        ("data_received", counter(92_000_000.0)),
        ("http_reqs", counter(48_310.0)),
        ("http_req_failed", rate(60, 48_250)),
        ("http_req_duration", trend("ms", 48_310, 1.0)),
        ("http_req_duration{name:item}", trend("ms", 30_000, 0.6)),
        ("http_req_blocked", trend("ms", 200, 2.0)),
        ("http_req_looking_up", trend("ms", 200, 0.1)),
        ("http_req_connecting", trend("ms", 200, 0.5)),
        ("http_req_tls_handshaking", trend("ms", 200, 1.5)),
        ("http_req_sending", trend("ms", 48_310, 0.01)),
        ("http_req_waiting", trend("ms", 48_310, 0.9)),
        ("http_req_receiving", trend("ms", 48_310, 0.05)),
        ("http_conns_opened", counter(200.0)),
        ("orders", counter(812.0)),
        ("basket_value", trend("", 812, 10.0)),
        ("picture_size", trend("bytes", 400, 100_000.0)),
        ("render_time", trend("ms", 812, 2.0)),
        ("coupon_used", rate(100, 712)),
        ("stock", MetricSummary::Gauge { value: 7.0, min: 0.0, max: 100.0 }),
    ];
    Report {
        run: info(),
        verdict: Verdict {
            passed: false,
            reasons: vec![
                "threshold `http_req_duration{name:item}: p(95)<2` failed: 2.04 ms".into(),
                "threshold `renders: p(95)<2` saw no data".into(),
            ],
            cautions: limits().iter().map(reason).collect(),
            inconclusive: false,
        },
        advice: vec![Advice {
            id: "slow-request".into(),
            level: Level::Info,
            title: "POST http://shop.test:8080/cart is the slowest part".into(),
            text:
                "It is 19% of all requests, but about 88% of the slowest 5%. Its p95 is 13.6 ms, that of all 3.4 ms. \
                   To make the whole faster, begin here."
                    .into(),
            r#where: Some(Place {
                kind: PlaceKind::Request,
                name: "POST http://shop.test:8080/cart".into(),
                from_s: None,
                to_s: None,
            }),
        }],
        metrics: metrics.into_iter().map(|(name, metric)| (name.to_string(), metric)).collect(),
        requests: vec![
            request("http://shop.test:8080/item/{id}", "GET", 30_000, 0, 0.6),
            request("http://shop.test:8080/cart", "POST", 9_190, 60, 4.0),
            request("http://shop.test:8080/", "GET", 9_120, 0, 0.4),
        ],
        checks: vec![
            CheckSummary { name: "front page is 200".into(), group: String::new(), passes: 9_120, fails: 0 },
            CheckSummary { name: "has a price".into(), group: "browse".into(), passes: 6_710, fails: 50 },
            CheckSummary { name: "item is 200".into(), group: "browse".into(), passes: 9_120, fails: 0 },
        ],
        thresholds: vec![
            threshold("http_req_duration{name:item}", "p(95)<2", false, Some(2.04)),
            threshold("http_req_failed", "rate<0.01", true, Some(0.00124)),
            threshold("checks", "rate>99%", true, Some(0.998)),
            threshold("orders", "count>100", true, Some(812.0)),
            threshold("render_time", "p(95)<10 && max<1s", true, Some(6.8)),
            threshold("renders", "p(95)<2", false, None),
        ],
        errors: vec![
            ErrorSummary {
                code: 1212,
                message: "connection refused".into(),
                side: Side::Target,
                count: 57,
                first_at_s: 12.4,
                example: "POST http://shop.test:8080/cart: connect to 127.0.0.1:8080 failed: connection refused".into(),
                request: Some(RequestExample {
                    status: 0,
                    error: "connect to 127.0.0.1:8080 failed: connection refused".into(),
                    duration_ms: None,
                    ..slow_request(1.0)
                }),
            },
            ErrorSummary {
                code: 1024,
                message: "too many open files".into(),
                side: Side::Generator,
                count: 3,
                first_at_s: 80.25,
                example: "POST http://shop.test:8080/cart: socket: too many open files".into(),
                request: None,
            },
        ],
        slowest: vec![slow_request(1_204.5), slow_request(900.25)],
        generator: GeneratorSummary {
            limited: true,
            reasons: limits().iter().map(reason).collect(),
            limits: limits(),
            cpu_percent_max: 187.2,
            machine_cpu_percent_max: Some(96.4),
            memory_bytes_max: 48_000_000,
            open_files_max: Some(1_024),
            open_files_limit: Some(1_024),
            ports_free_min: Some(27_100),
            lag_ms: LagSummary { p99: 0.21, max: 3.4 },
            dropped_iterations: 0,
            late_iterations: 0,
            interrupted_iterations: 12,
        },
        steady: Some(SteadySummary {
            from_s: 30.0,
            to_s: 120.0,
            level: "220 VUs".into(),
            requests: 38_000,
            rate: 422.2,
            failed: 12,
            failed_share: 12.0 / 38_000.0,
            iterations: 7_000,
            iterations_rate: 77.8,
            duration: stats(1.1),
        }),
        stages: vec![
            stage("shoppers", 0, (0.0, 30.0), (0.0, 200.0), 3_000),
            stage("shoppers", 1, (30.0, 150.0), (200.0, 200.0), 42_000),
            stage("search", 0, (0.0, 120.0), (20.0, 20.0), 3_310),
        ],
        series: Series {
            events: vec![
                change(2.5, None, ChangeKind::Pause, None),
                change(3.0, Some("shoppers"), ChangeKind::Vus, Some((20.0, 30.0))),
            ],
            interval_s: 1,
            points: vec![
                Point { at_s: 0.0, vus: 1, requests: 100, duration: Some(PointLatency::default()), ..Point::default() },
                Point {
                    at_s: 1.0,
                    vus: 2,
                    generator: GeneratorPoint { cpu_percent: Some(187.2), ..GeneratorPoint::default() },
                    ..Point::default()
                },
            ],
            marks: vec![Mark {
                at_s: 30.0,
                kind: MarkKind::Stage,
                scenario: "shoppers".into(),
                text: "200 VUs for 2m".into(),
            }],
        },
        warnings: vec!["scenario `search`: 50 VUs scaled to 20 by --vus".into()],
        ..empty_report()
    }
}

fn stage(scenario: &str, index: u32, seconds: (f64, f64), levels: (f64, f64), requests: u64) -> StageSummary {
    StageSummary {
        scenario: scenario.into(),
        index,
        from_s: seconds.0,
        to_s: seconds.1,
        start: levels.0,
        target: levels.1,
        unit: "VUs".into(),
        requests,
        failed: requests / 1_000,
        rate: requests as f64 / (seconds.1 - seconds.0),
        duration: Some(PointLatency { med: 1.1, p95: 3.4, p99: 12.0, max: 40.0 }),
    }
}

fn limits() -> Vec<GeneratorLimit> {
    vec![
        GeneratorLimit {
            cause: LimitCause::OwnErrors,
            spans: vec![Span { from_s: 80.0, to_s: 82.0 }],
            seconds: 2,
            found: "3 failures on loadr's own side (too many open files)".into(),
            remedy: "raise the limit on open files".into(),
        },
        GeneratorLimit {
            cause: LimitCause::Cpu,
            spans: vec![Span { from_s: 60.0, to_s: 95.0 }, Span { from_s: 110.0, to_s: 112.0 }],
            seconds: 30,
            found: "loadr used more than 90% of its 2 CPU cores, so latencies include its own waiting".into(),
            remedy: "use a larger machine, or fewer VUs".into(),
        },
    ]
}

fn reason(limit: &GeneratorLimit) -> String {
    format!("from {}s, {}; {}", limit.spans[0].from_s, limit.found, limit.remedy)
}

fn threshold(metric: &str, expression: &str, ok: bool, value: Option<f64>) -> ThresholdSummary {
    ThresholdSummary { metric: metric.into(), expression: expression.into(), ok, value }
}

/// A run that passed within a second.
pub(super) fn small_report() -> Report {
    let metrics = [
        ("iterations", MetricSummary::Counter { count: 10.0, rate: 10.0 }),
        ("http_reqs", MetricSummary::Counter { count: 10.0, rate: 10.0 }),
        ("http_req_failed", rate(0, 10)),
        ("http_req_duration", trend("ms", 10, 1.0)),
    ];
    Report {
        run: RunInfo { duration_s: 1.0, seed: 7, vus_max: 1, script: "one.rhai".into(), profile: None, ..info() },
        verdict: Verdict { passed: true, ..Verdict::default() },
        metrics: metrics.into_iter().map(|(name, metric)| (name.to_string(), metric)).collect(),
        requests: vec![RequestSummary { rate: 10.0, ..request("front page", "GET", 10, 0, 1.0) }],
        ..empty_report()
    }
}

/// A run whose every name wants to break the terminal.
pub(super) fn hostile_report() -> Report {
    let mut report = rich_report();
    for name in hostile_names() {
        report.requests.push(RequestSummary { method: name.clone(), ..request(&name, "", 5, 5, 1.0) });
        report.checks.push(CheckSummary { name: name.clone(), group: name.clone(), passes: 1, fails: 1 });
        report.thresholds.push(threshold(&name, &name, false, None));
        report.thresholds.push(threshold(&format!("http_reqs{{name:{name}}}"), &name, true, Some(f64::MAX)));
        let request = RequestExample {
            name: name.clone(),
            method: name.clone(),
            url: name.clone(),
            error: name.clone(),
            scenario: name.clone(),
            group: name.clone(),
            trace_id: Some(name.clone()),
            ..slow_request(1.0)
        };
        report.slowest.insert(0, request.clone());
        report.errors.push(ErrorSummary {
            message: name.clone(),
            example: name.clone(),
            request: Some(request),
            ..report.errors[0].clone()
        });
        report.run.scenarios.push(ScenarioInfo {
            name: name.clone(),
            description: name.clone(),
            ..ScenarioInfo::default()
        });
        report.warnings.push(name.clone());
        report.advice.push(Advice { title: name.clone(), text: name.clone(), ..report.advice[0].clone() });
        report.verdict.reasons.push(name.clone());
        report.generator.reasons.push(name.clone());
        report.verdict.cautions.push(name.clone());
        report
            .stages
            .push(StageSummary { unit: name.clone(), ..stage(&name, u32::MAX, (0.0, f64::MAX), (1.0, f64::MAX), 9) });
        report.series.marks.push(Mark { scenario: name.clone(), text: name.clone(), ..report.series.marks[0].clone() });
        report.run.args.push(name.clone());
        report.metrics.insert(format!("x{{name:{name}}}"), trend(&name, 1, 1.0));
        report.run.script = name;
    }
    report
}

/// All of them, with a name each.
pub(super) fn reports() -> Vec<(&'static str, Report)> {
    vec![("empty", empty_report()), ("small", small_report()), ("rich", rich_report()), ("hostile", hostile_report())]
}

fn change(at_s: f64, scenario: Option<&str>, what: ChangeKind, numbers: Option<(f64, f64)>) -> Change {
    let (from, to) = numbers.unzip();
    Change { at_s, scenario: scenario.map(str::to_owned), what, from, to, by: "api".into() }
}

/// The n-th second (from 1) of a run.
pub(super) fn second(number: u32) -> Second {
    let n = u64::from(number);
    Second {
        second: number - 1,
        elapsed: Duration::from_secs(n),
        vus: 20 * n,
        vus_max: 200,
        paused: false,
        iterations: 61 * n,
        iterations_failed: n / 3,
        requests: 322 * n,
        requests_failed: 2 * n,
        requests_now: 322,
        requests_failed_now: 2,
        checks_passed: 600 * n,
        checks: 601 * n,
        bytes_received: 613_000 * n,
        bytes_sent: 30_000 * n,
        recent: (number > 1).then_some(PointLatency { med: 1.1, p95: 3.4, p99: 12.0, max: 40.0 }),
        errors: vec![
            ErrorNow { code: 1212, message: "connection refused".into(), side: Side::Target, count: 2 * n },
            ErrorNow { code: 1050, message: "request timeout".into(), side: Side::Target, count: 1 },
        ],
        generator: GeneratorPoint { lag_ms: 1.2, cpu_percent: Some(42.0), ..GeneratorPoint::default() },
        marks: Vec::new(),
        scenarios: vec![
            ScenarioNow {
                name: "shoppers".into(),
                executor: "ramping-vus",
                vus: 20 * n,
                vus_target: 20 * n,
                rate_target: None,
                iterations: 50 * n,
                iterations_planned: None,
                progress: f64::from(number) / 10.0,
                planned: Some(Duration::from_secs(10)),
                state: ScenarioState::Running,
            },
            ScenarioNow {
                name: "warm-up".into(),
                executor: "shared-iterations",
                vus: 0,
                vus_target: 0,
                rate_target: None,
                iterations: 100,
                iterations_planned: Some(100),
                progress: 1.0,
                planned: None,
                state: ScenarioState::Done,
            },
        ],
        thresholds: vec![threshold("http_req_duration", "p(95)<2", false, Some(3.4))],
        snapshots: Vec::new(),
        catalogue: Arc::default(),
    }
}

/// Two workers and the engine, as sources of snapshots.
pub(super) struct Recording {
    catalogue: Arc<Catalogue>,
    workers: Vec<Recorder>,
    engine: Recorder,
    /// Names of requests and of a tag's values.
    names: Vec<String>,
    next: u32,
}

impl Recording {
    /// Of requests with these names.
    pub fn of(names: Vec<String>) -> Self {
        let mut catalogue = Catalogue::new();
        catalogue.declare("cart_value", MetricKind::Trend, Contains::Default).unwrap();
        catalogue.declare("page_bytes", MetricKind::Trend, Contains::Data).unwrap();
        catalogue.declare("temperature", MetricKind::Gauge, Contains::Default).unwrap();
        let catalogue = Arc::new(catalogue);
        let recorder = |source| Recorder::new(catalogue.clone(), SourceId(source), SeriesLimits { per_metric: 1_000 });
        Self { workers: vec![recorder(0), recorder(1)], engine: recorder(u32::MAX), catalogue, names, next: 0 }
    }

    /// The next second. In it each worker made ten requests of each name, which took 1 ms, 2 ms and so on to 10 ms; one
    /// of them failed, and one of two checks held.
    pub fn second(&mut self) -> Second {
        let number = self.next;
        self.next += 1;
        let id = |name| self.catalogue.lookup(name).unwrap();
        let mut snapshots = Vec::new();
        for worker in &self.workers {
            for name in &self.names {
                let tags = |status: &str| -> Vec<(Arc<str>, Arc<str>)> {
                    [("method", "GET"), ("name", name), ("scenario", "shoppers"), ("status", status)]
                        .map(|(key, value)| (key.into(), value.into()))
                        .to_vec()
                };
                for n in 1..=10 {
                    let tags = tags(if n == 10 { "500" } else { "200" });
                    worker.count(worker.series(builtin::HTTP_REQS, &tags), 1.0);
                    worker.rate(worker.series(builtin::HTTP_REQ_FAILED, &tags), n == 10);
                    worker.trend(worker.series(builtin::HTTP_REQ_DURATION, &tags), n * 1_000);
                }
                let check = [(Arc::from("check"), Arc::from(&**name))];
                worker.rate(worker.series(builtin::CHECKS, &check), true);
                worker.rate(worker.series(builtin::CHECKS, &check), false);
            }
            worker.count(worker.series(builtin::DATA_RECEIVED, &[]), 1_024.0);
            worker.trend(worker.series(id("cart_value"), &[]), 25_500);
            worker.trend(worker.series(id("page_bytes"), &[]), 2_048_000);
            worker.gauge(worker.series(id("temperature"), &[]), -3.5);
            snapshots.push(Arc::new(worker.take_snapshot(number)));
        }
        self.engine.gauge(self.engine.series(builtin::VUS, &[]), 20.0);
        snapshots.push(Arc::new(self.engine.take_snapshot(number)));
        Second { second: number, snapshots, catalogue: self.catalogue.clone(), ..second(number + 1) }
    }
}

/// A second whose every name wants to break the terminal.
pub(super) fn hostile_second() -> Second {
    let mut second = second(3);
    for name in hostile_names() {
        let name: Arc<str> = name.into();
        second.errors.push(ErrorNow { message: name.clone(), ..second.errors[0].clone() });
        second.scenarios.push(ScenarioNow { name, progress: f64::NAN, ..second.scenarios[0].clone() });
    }
    second.errors.rotate_left(2);
    second
}
