//! Open load held to its schedule: how late iterations start, and what a freeze of the target looks like.
//!
//! Prints two tables. The first: start precision of one worker, with an empty journey. The second: a server that answers
//! at once but freezes for 3 s once in a run of 10 s at 50 iterations a second; the true p95 from the intended start
//! follows from the schedule and the freeze.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use loadr::engine::Control;
use loadr::plan::{Layer, Source};
use loadr::report::{MetricSummary, Report, TrendStats};
use loadr::session::{Session, SessionSpec};
use serde_json::{Map, Value};

/// Rates of the first table, iterations a second.
const RATES: [u32; 4] = [500, 1_000, 5_000, 20_000];
/// Most VUs of the second.
const VUS: [u32; 3] = [5, 50, 200];
/// The freeze: from when to when after the first request.
const FREEZE: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(7));

fn main() {
    println!("start precision, one worker, 5 s each");
    println!(
        "{:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>6}",
        "rate/s", "planned", "started", "p50 ms", "p99 ms", "max ms", "cpu %"
    );
    for rate in RATES {
        let report = run("fn journey() {}", rate, 5, 200);
        let lag = trend(&report, "iteration_lag");
        let (planned, cpu) = (rate * 5, report.generator.cpu_percent_max);
        let started = count(&report, "iterations");
        println!("{rate:>9} {planned:>9} {started:>9} {:>9.3} {:>9.3} {:>9.3} {cpu:>6.0}", lag.med, lag.p99, lag.max);
    }
    let expected = expected_p95();
    println!("\na freeze of 3 s in 10 s at 50/s; the true p95 is {expected:.0} ms");
    println!("{:>9} {:>9} {:>13} {:>13} {:>9}", "most VUs", "requests", "p95 sent ms", "p95 due ms", "off by %");
    for vus in VUS {
        let url = serve();
        let report = run(&format!("fn journey() {{ http::get(\"{url}\") }}"), 50, 10, vus);
        let (sent, due) = (trend(&report, "http_req_duration").p95, trend(&report, "http_req_duration_intended").p95);
        let off = (due - expected) / expected * 100.0;
        let requests = count(&report, "http_reqs");
        println!("{vus:>9} {requests:>9} {sent:>13.1} {due:>13.1} {off:>9.2}");
    }
}

fn run(script: &str, rate: u32, seconds: u32, vus: u32) -> Report {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("open.rhai");
    std::fs::write(&path, script).expect("a script");
    let options: Map<String, Value> = [
        ("rate", format!("{rate}/s").into()),
        ("duration", format!("{seconds}s").into()),
        ("vus", vus.into()),
        ("threads", 1.into()),
        ("allow_failure", true.into()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    let spec = SessionSpec {
        script: path.display().to_string(),
        layers: vec![Layer { source: Source::Flag, options }],
        env: Default::default(),
        demo: false,
        verbose: false,
        outputs: Vec::new(),
        args: Vec::new(),
    };
    let session = Session::prepare(spec).unwrap_or_else(|error| panic!("{error}"));
    let end = session.run(Control::new()).unwrap_or_else(|error| panic!("{error}"));
    Report::clone(&end.outcome.report)
}

fn trend(report: &Report, metric: &str) -> TrendStats {
    match report.metrics.get(metric) {
        Some(MetricSummary::Trend { stats, .. }) => *stats,
        other => panic!("`{metric}` is {other:?}"),
    }
}

fn count(report: &Report, metric: &str) -> u64 {
    match report.metrics.get(metric) {
        Some(MetricSummary::Counter { count, .. }) => *count as u64,
        other => panic!("`{metric}` is {other:?}"),
    }
}

/// The 95th percentile, in milliseconds, of how long after it was due a request of the second table is answered.
fn expected_p95() -> f64 {
    let (from, to) = (FREEZE.0.as_secs_f64() * 1e3, FREEZE.1.as_secs_f64() * 1e3);
    let due = (0..500).map(|n| f64::from(n) * 20.0);
    let mut latencies: Vec<f64> = due.map(|due| if (from..to).contains(&due) { to - due } else { 0.0 }).collect();
    latencies.sort_by(f64::total_cmp);
    latencies[475 - 1]
}

/// A server with a thread for each connection; gives its URL.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let first: Arc<Mutex<Option<Instant>>> = Arc::default();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let first = first.clone();
            thread::spawn(move || answer(connection, &first));
        }
    });
    format!("http://{address}/")
}

fn answer(mut connection: TcpStream, first: &Mutex<Option<Instant>>) {
    let _ = connection.set_nodelay(true);
    let mut buffer = [0; 4_096];
    while connection.read(&mut buffer).is_ok_and(|read| read > 0) {
        let now = Instant::now();
        let begun = *first.lock().expect("nobody panics").get_or_insert(now);
        if (begun + FREEZE.0..begun + FREEZE.1).contains(&now) {
            thread::sleep(begun + FREEZE.1 - now);
        }
        if connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}
