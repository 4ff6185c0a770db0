//! A real Prometheus scrapes a run and receives its remote write; `promtool` reads the exposition.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use loadr::report::MetricSummary;
use serde_json::Value;

use crate::harness::{Loadr, Ran};
use crate::program::{Program, get, installed, wait_until};
use crate::server::{Server, closed_port};

/// A script whose requests differ in duration by what the target and the machine make of them.
const SCRIPT: &str = r#"
    fn journey() {
        let page = http::get(env("BASE") + "/a", #{ name: "page" });
        check(page, #{ "ok": |r| r.status == 200 });
        sleep(0.01);
    }
"#;

/// Prometheus, scraping an address every second; none when it is not installed.
fn prometheus(directory: &std::path::Path, target: u16) -> Option<(Program, String)> {
    let port = closed_port();
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n  - job_name: scraped\n    static_configs: [{{ targets: ['127.0.0.1:{target}'] }}]\n"
    );
    fs::write(directory.join("prometheus.yml"), config).expect("a configuration");
    let mut program = Program::start(
        Command::new("prometheus")
            .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--web.enable-remote-write-receiver", "--enable-feature=native-histograms"]),
    )?;
    program.listens(port);
    let base = format!("http://127.0.0.1:{port}");
    wait_until("Prometheus is ready", || get(&format!("{base}/-/ready")).is_some());
    Some((program, base))
}

/// The last value of a query over the last minutes; none when it has none.
fn query(base: &str, query: &str) -> Option<f64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs();
    let mut url = url::Url::parse(&format!("{base}/api/v1/query_range")).expect("a URL");
    url.query_pairs_mut()
        .append_pair("query", query)
        .append_pair("start", &(now - 600).to_string())
        .append_pair("end", &(now + 5).to_string())
        .append_pair("step", "1s");
    let answer: Value = serde_json::from_str(&get(url.as_str())?).expect("JSON");
    let values = answer["data"]["result"][0]["values"].as_array()?;
    values.last()?[1].as_str()?.parse().ok()
}

fn p95_s(ran: &Ran) -> f64 {
    match &ran.report().metrics["http_req_duration"] {
        MetricSummary::Trend { stats, .. } => stats.p95 / 1e3,
        other => panic!("{other:?}"),
    }
}

#[test]
fn prometheus_scrapes_and_receives_the_runs_numbers() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = closed_port();
    let Some((_prometheus, base)) = prometheus(directory.path(), port) else { return };
    let server = Server::ok("all of the page");
    // The last scrape is waited for; Prometheus is known to come every second.
    let ran = Loadr::script(SCRIPT)
        .var("BASE", server.base())
        .flags("-u 3 -d 4s --threads 2")
        .args(["--out", &format!("prometheus=127.0.0.1:{port}?linger=60s")])
        .args(["--out", &format!("prometheus-rw={base}/api/v1/write?interval=1s&histograms=both&job=pushed")])
        .run()
        .expect(0);
    assert!(!ran.stderr.contains("lost"), "{ran}");
    let count = ran.count("http_reqs");
    assert!(count > 20.0, "{ran}");
    let of = |text: &str| query(&base, text).unwrap_or_else(|| panic!("nothing for {text}\n{ran}"));
    for job in ["scraped", "pushed"] {
        let job = format!("job=\"{job}\"");
        assert_eq!(of(&format!("sum(loadr_http_reqs_total{{{job},name=\"page\"}})")), count, "{job}");
        assert_eq!(of(&format!("sum(loadr_checks_total{{{job},value=\"true\"}})")), count, "{job}");
        assert_eq!(of(&format!("histogram_count(sum(loadr_http_req_duration_seconds{{{job}}}))")), count, "{job}");
        // A native histogram's buckets grow by 2.2 %, and are told by their upper ends.
        let p95 = of(&format!("histogram_quantile(0.95, sum(loadr_http_req_duration_seconds{{{job}}}))"));
        let exact = p95_s(&ran);
        assert!((p95 / exact - 1.0).abs() < 0.03, "{job}: {p95} s, and {exact} s in the export");
    }
    let le = "sum(loadr_http_req_duration_seconds_bucket{job=\"pushed\",le=\"+Inf\"})";
    assert_eq!(of(le), count);
    assert!(
        of("sum(increase(loadr_http_reqs_total{job=\"pushed\"}[5m]))") > count * 0.9,
        "the first second is not lost"
    );
    assert_eq!(of("loadr_run_info{job=\"pushed\"}"), 1.0);
}

#[test]
fn a_receiver_that_vanishes_costs_what_it_could_not_take() {
    let directory = tempfile::tempdir().expect("a directory");
    let Some((prometheus, base)) = prometheus(directory.path(), closed_port()) else { return };
    let server = Server::ok("all of the page");
    let running = Loadr::script(SCRIPT)
        .var("BASE", server.base())
        .flags("-u 2 -d 6s --threads 1")
        .args(["--out", &format!("prometheus-rw={base}/api/v1/write?interval=1s")])
        .start();
    wait_until("the first numbers have arrived", || query(&base, "sum(loadr_http_reqs_total)").is_some());
    drop(prometheus);
    running.wait_for_line("waits for its receiver");
    // The run's own verdict stands, and its summary is whole.
    let ran = running.wait().expect(0);
    assert_eq!(ran.count("http_reqs"), server.requests().len() as f64, "{ran}");
    let told = ran.stderr.lines().find(|line| line.contains(" rows: ")).unwrap_or_else(|| panic!("{ran}"));
    assert!(told.starts_with("warning: output `prometheus-rw=") && told.contains(" lost "), "{told}");
}

#[test]
fn a_receiver_that_is_not_there_is_known_before_the_run() {
    let port = closed_port();
    let ran = Loadr::script_without_export(SCRIPT)
        .var("BASE", "http://127.0.0.1:1")
        .args(["--out", &format!("prometheus-rw=http://127.0.0.1:{port}/api/v1/write")])
        .run()
        .expect(104);
    assert!(ran.stderr.contains(&format!("receiver `http://127.0.0.1:{port}/api/v1/write` can't be used: ")), "{ran}");
}

#[test]
fn promtool_accepts_the_exposition() {
    if !installed("promtool") {
        return;
    }
    let server = Server::ok("all of the page");
    let port = closed_port();
    let running = Loadr::script(SCRIPT)
        .var("BASE", server.base())
        .flags("-u 2 -d 4s --threads 1")
        .args(["--out", &format!("prometheus=127.0.0.1:{port}?linger=1s")])
        .start();
    let mut text = String::new();
    wait_until("there is something to scrape", || {
        text = get(&format!("http://127.0.0.1:{port}/metrics")).unwrap_or_default();
        text.contains("loadr_http_req_duration_seconds_bucket")
    });
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    promtool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
    running.wait().expect(0);
}
