//! Open load: iterations start on their schedule, and are measured from it.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use loadr::report::{MetricSummary, TrendStats};

use crate::harness::{Loadr, Ran};
use crate::server::{Reply, Server};

/// A rate of one request an iteration.
const JOURNEY: &str = r#"const BASE = env("BASE"); fn journey() { http::get(`${BASE}/`); }"#;

fn scenario(fields: &str, functions: &str) -> String {
    format!(
        "const BASE = env(\"BASE\", \"\");\nconst options = #{{ scenarios: #{{ s: #{{ {fields} }} }} }};\n{functions}"
    )
}

fn trend(ran: &Ran, metric: &str) -> TrendStats {
    match ran.report().metrics.get(metric) {
        Some(MetricSummary::Trend { stats, .. }) => *stats,
        other => panic!("{metric} is {other:?}\n{ran}"),
    }
}

/// When requests came in and were answered, since the server began.
type Record = Arc<Mutex<Vec<(Duration, Duration)>>>;

/// A server that answers at once, but freezes once: what comes in the 3 s from 4 s after the first request on is answered
/// at the end of that time. It keeps a record of its own.
fn freezing() -> (Server, Record) {
    let (begun, first, record) = (Instant::now(), Mutex::new(None), Record::default());
    let kept = record.clone();
    let server = Server::start(move |_| {
        let came = begun.elapsed();
        let first = *first.lock().expect("nobody panics").get_or_insert(came);
        let (from, to) = (first + Duration::from_secs(4), first + Duration::from_secs(7));
        if (from..to).contains(&came) {
            thread::sleep(to - came);
        }
        kept.lock().expect("nobody panics").push((came, begun.elapsed()));
        Reply::ok("")
    });
    (server, record)
}

/// What users who come every `interval` have seen, by the server's own record, in milliseconds from the shortest on. The
/// schedule is laid as late as the arrivals allow: no request comes before it is due.
fn seen_by_users(record: &Record, interval: Duration) -> Vec<f64> {
    let record = record.lock().expect("nobody panics");
    let (mut came, mut answered): (Vec<_>, Vec<_>) = record.iter().copied().unzip();
    came.sort_unstable();
    answered.sort_unstable();
    let due = |n: usize| interval * n as u32;
    let start = came.iter().enumerate().map(|(n, &at)| at.saturating_sub(due(n))).min().expect("some came");
    let mut seen: Vec<_> =
        answered.iter().enumerate().map(|(n, &at)| at.saturating_sub(start + due(n)).as_secs_f64() * 1e3).collect();
    seen.sort_by(f64::total_cmp);
    seen
}

/// A freeze of 3 s in 10 s at 50/s, told by the run and by the server's own record: the figures that are too large by more than
/// 5 %, as a stall of the machine between the two makes them. None may be too small.
fn told_beyond_the_record(max_vus: u32) -> Vec<String> {
    let (server, record) = freezing();
    let flags = format!("--rate 50/s --duration 10s --vus {max_vus} --threads 1");
    let ran = Loadr::script(JOURNEY).var("BASE", server.base()).flags(&flags).run().expect(0);
    assert_eq!((ran.count("iterations"), ran.count("http_reqs")), (500.0, 500.0), "{max_vus} VUs\n{ran}");
    let expected = seen_by_users(&record, Duration::from_millis(20))[475 - 1];
    assert!(expected >= 2_480.0, "{expected}");
    let mut beyond = Vec::new();
    for metric in ["http_req_duration_intended", "iteration_duration_intended"] {
        let found = trend(&ran, metric).p95;
        let told = format!("{max_vus} VUs: {metric} {found}, the server's record says {expected}\n{ran}");
        assert!(found >= 0.95 * expected, "{told}");
        if found > 1.05 * expected {
            beyond.push(told);
        }
    }
    if max_vus == 5 {
        // What a tool says that counts from the actual send alone.
        assert!(trend(&ran, "http_req_duration").p95 < expected / 2.0, "{ran}");
    }
    beyond
}

#[test]
fn a_freeze_shows_in_full_however_few_virtual_users_there_are() {
    // 50 a second for 10 s; those due in the freeze wait for its end: 3 s, 2.98 s ... 20 ms. Of all 500, 25 take longer
    // than the 26th of these: 2.5 s. On a machine that stalls by itself users see more than that: the server's record tells
    // of stalls before it answers, and another attempt does without those after that.
    thread::scope(|scope| {
        for max_vus in [5, 50, 200] {
            scope.spawn(move || {
                let attempts: Vec<_> =
                    (0..3).map(|_| told_beyond_the_record(max_vus)).take_while(|beyond| !beyond.is_empty()).collect();
                assert!(attempts.len() < 3, "{attempts:?}");
            });
        }
    });
}

#[test]
fn every_iteration_of_the_schedule_starts_on_one_worker_or_more() {
    let stages = "stages: [ #{ duration: 500.ms, target: 100 }, #{ duration: 500.ms, target: 20, shape: \"spike\" } ]";
    for (fields, flags, iterations) in [
        ("executor: \"constant-arrival-rate\", rate: 60, duration: 1.s, max_vus: 7".to_owned(), "", 60),
        ("executor: \"constant-arrival-rate\", rate: 60, duration: 1.s, max_vus: 7".to_owned(), "--threads 3", 60),
        (
            "executor: \"constant-arrival-rate\", rate: 60, timeUnit: 1.m, duration: 1500.ms, preAllocatedVUs: 1"
                .to_owned(),
            "",
            2,
        ),
        // Up to 100 in half a second, and a spike down to 20: 25 and 30.
        (format!("executor: \"ramping-arrival-rate\", max_vus: 20, {stages}"), "--threads 2", 55),
        ("executor: \"ramping-arrival-rate\", max_vus: 20, rate: |t| 50 * t, duration: 2.s".to_owned(), "", 100),
    ] {
        let server = Server::start(|_| Reply::ok(""));
        let script = scenario(&fields, "fn journey() { http::get(`${BASE}/`); }");
        let ran = Loadr::script(&script).var("BASE", server.base()).flags(flags).run().expect(0);
        assert_eq!(ran.count("iterations"), f64::from(iterations), "{fields} {flags}");
        assert_eq!(ran.values("iteration_lag"), iterations as u64, "{fields} {flags}");
        assert_eq!(ran.values("http_req_duration_intended"), iterations as u64, "{fields} {flags}");
    }
}

#[test]
fn closed_load_has_no_intended_starts() {
    let server = Server::start(|_| Reply::ok(""));
    let ran = Loadr::script(JOURNEY).var("BASE", server.base()).flags("--iterations 3").run().expect(0);
    let report = ran.report();
    let told: Vec<_> = report.metrics.keys().filter(|name| name.contains("intended") || name.contains("lag")).collect();
    assert_eq!(told, Vec::<&String>::new());
}

#[test]
fn iterations_that_find_no_virtual_user_are_dropped_or_wait() {
    let server = Server::start(|_| {
        thread::sleep(Duration::from_millis(300));
        Reply::ok("")
    });
    for (late, complete) in [("queue", true), ("drop", false)] {
        let fields =
            format!("executor: \"constant-arrival-rate\", rate: 20, duration: 1.s, max_vus: 1, late: \"{late}\"");
        let script = scenario(&fields, "fn journey() { http::get(`${BASE}/`); }");
        let ran = Loadr::script(&script).var("BASE", server.base()).run().expect(0);
        let dropped = ran.report().metrics.get("dropped_iterations").map_or(0.0, |metric| match metric {
            MetricSummary::Counter { count, .. } => *count,
            other => panic!("{other:?}"),
        });
        assert_eq!(ran.count("iterations") + dropped, 20.0, "{late}\n{ran}");
        assert_eq!(dropped == 0.0, complete, "{late}\n{ran}");
        assert!(trend(&ran, "iteration_lag").max > 1_000.0 || !complete, "{late}\n{ran}");
    }
}

#[test]
fn a_schedule_beyond_all_means_does_not_keep_its_virtual_users_from_working() {
    let server = Server::ok("");
    let fields = "executor: \"constant-arrival-rate\", rate: 300000, duration: 2.s, max_vus: 5, late: \"drop\"";
    let script = scenario(fields, "fn journey() { http::get(`${BASE}/`); }");
    let ran = Loadr::script(&script).var("BASE", server.base()).flags("--threads 1").run().expect(0);
    let dropped = ran.count("dropped_iterations");
    assert_eq!(ran.count("iterations") + dropped, 600_000.0, "{ran}");
    // Each VU comes to its turn again and again, not once when the schedule begins and once when it is over.
    assert!(ran.count("iterations") > 50.0, "{ran}");
}

#[test]
fn journeys_are_mixed_paced_and_put_in_order() {
    let script = r#"
        const options = #{ scenarios: #{
            after: #{ executor: "per-vu-iterations", exec: "last", start_after: "mixed" },
            mixed: #{ executor: "shared-iterations", vus: 2, iterations: 40, exec: #{ browse: 3, buy: 1 } },
            paced: #{ executor: "constant-vus", exec: "slow", duration: 1.s },
        } };
        fn browse() { print("browse"); sleep(1.ms); }
        fn buy() { print("buy"); sleep(1.ms); }
        fn last() { print("last"); }
        fn slow() { pace(400.ms); print("slow"); }
    "#;
    let ran = Loadr::script(script).flags("--seed 3 --allow-failure").run().expect(0);
    let lines = ran.prints();
    let of = |name: &str| lines.iter().filter(|line| **line == name).count();
    assert_eq!((of("browse") + of("buy"), of("last"), of("slow")), (40, 1, 3), "{ran}");
    assert!((1..20).contains(&of("buy")), "{ran}");
    let mixed: Vec<&str> = lines.iter().copied().filter(|line| *line != "slow").collect();
    assert_eq!(mixed.last(), Some(&"last"), "{ran}");
}

#[test]
fn wrong_open_load_is_refused_before_any_load() {
    let at = |field: &str, problem: &str| {
        format!("error: option `scenarios.s.{field}` in the script's options: {problem}\n")
    };
    for (fields, code, expected) in [
        (
            "executor: \"constant-arrival-rate\", rate: 0, duration: 1.s, max_vus: 1",
            104,
            at("rate", "expected a rate above 0, found 0"),
        ),
        (
            "executor: \"constant-arrival-rate\", rate: -1.5, duration: 1.s, max_vus: 1",
            104,
            at("rate", "expected a rate of at least 0, found -1.5"),
        ),
        (
            "executor: \"constant-arrival-rate\", rate: 5, duration: 1.s, preAllocatedVUs: 3, maxVUs: 2",
            104,
            at("max_vus", "expected at least the 3 VUs of `pre_allocated_vus`, found 2"),
        ),
        (
            "executor: \"ramping-arrival-rate\", max_vus: 2, stages: [ #{ target: 5 } ]",
            104,
            at("stages", "a stage has no `duration`"),
        ),
        (
            "executor: \"constant-arrival-rate\", rate: 5, duration: 1.s, max_vus: 2, exec: \"jurney\"",
            104,
            "error: scenario `s`: function `jurney` is not in the script; did you mean `journey`?\n".into(),
        ),
        (
            "executor: \"constant-vus\", duration: 1.s, start_after: \"s\"",
            104,
            "error: scenario `s`: `start_after`: scenarios wait for each other in a circle: `s`, `s`\n".into(),
        ),
    ] {
        let ran = Loadr::script(&scenario(fields, "fn journey() {}")).run().expect(code);
        assert!(ran.stderr.starts_with(&expected), "{fields}\n{ran}");
        assert_eq!(ran.stdout, "", "{fields}");
    }
    let curve = "executor: \"ramping-arrival-rate\", max_vus: 2, duration: 1.s, rate: |t| \"much\"";
    let ran = Loadr::script(&scenario(curve, "fn journey() {}")).run().expect(107);
    let expected = "scenario `s`: `rate` must give a number, it gave a value of type `string` at t = 0";
    assert!(ran.stderr.contains(expected), "{ran}");
    assert_eq!(ran.stdout, "");
}
