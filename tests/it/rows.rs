//! Rows of single values: JSON lines and CSV of real runs, held against the summary; killed runs, full disks, slow readers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use loadr::report::{MetricSummary, Report};
use serde_json::Value;

use crate::harness::Loadr;
use crate::samples;

const JOURNEY: &str = r#"
    const BASE = env("BASE");
    const ORDERS = metrics::counter("orders");
    const VALUE = metrics::trend("cart_value");
    const SHARE = metrics::rate("paid");
    fn setup() { http::get(`${BASE}/setup`); () }
    fn journey(vu) {
        group("browse", || {
            let res = http::get(`${BASE}/quick/${random::int(1, 500)}`);
            check(res, #{ "is 200": |r| r.status == 200, "is long": |r| r.size > 1_000 });
        });
        http::get(`${BASE}/from`, #{ name: "moved, \"really\"", tags: #{ kind: "a=b&c" } });
        http::get(`${BASE}/gone`, #{ name: "gone" });
        ORDERS.add(2.5);
        VALUE.add(random::int(1, 1000));
        SHARE.add(random::int(0, 1) == 1);
    }
    fn teardown() { http::get(`${BASE}/teardown`); }
"#;

/// What the rows of one metric come to.
#[derive(Debug, Default, PartialEq)]
struct Sum {
    rows: u64,
    sum: f64,
    max: f64,
}

fn add(sums: &mut BTreeMap<String, Sum>, metric: &str, value: f64) {
    let sum = sums.entry(metric.to_owned()).or_default();
    sum.rows += 1;
    sum.sum += value;
    sum.max = sum.max.max(value);
}

fn json_sums(text: &str) -> BTreeMap<String, Sum> {
    let mut sums = BTreeMap::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if line["type"] == "Point" {
            add(&mut sums, line["metric"].as_str().unwrap(), line["data"]["value"].as_f64().unwrap());
        }
    }
    sums
}

fn csv_sums(text: &str) -> BTreeMap<String, Sum> {
    let mut sums = BTreeMap::new();
    for row in csv::Reader::from_reader(text.as_bytes()).records() {
        let row = row.unwrap();
        add(&mut sums, &row[0], row[2].parse().unwrap());
    }
    sums
}

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// Every metric of the summary, but for the engine's gauges, is what its rows come to.
fn assert_adds_up(report: &Report, sums: &BTreeMap<String, Sum>) {
    assert!(!sums.contains_key("dropped_samples"), "{sums:?}");
    for (name, metric) in &report.metrics {
        let found = sums.get(name).unwrap_or_else(|| panic!("no row of {name}"));
        match metric {
            MetricSummary::Counter { count, .. } => assert_eq!(found.sum, *count, "{name}"),
            MetricSummary::Rate { passes, fails, .. } => {
                assert_eq!((found.rows, found.sum), (passes + fails, *passes as f64), "{name}");
            }
            MetricSummary::Trend { count, stats, .. } => {
                assert_eq!((found.rows, found.max), (*count, stats.max), "{name}");
                assert!((found.sum - stats.avg * *count as f64).abs() < 1e-6 * found.sum.max(1.0), "{name}");
            }
            MetricSummary::Gauge { .. } => assert!(found.rows > 0, "{name}"),
        }
    }
    assert_eq!(sums.len(), report.metrics.len());
}

#[test]
fn the_rows_of_a_run_add_up_to_its_summary() {
    let server = samples::shop();
    let running = Loadr::script(JOURNEY)
        .var("BASE", server.base())
        .flags("-u 4 -i 200 --threads 2 --trace-context -o json=a.json -o csv=b.csv -o json=c.json.gz -o csv=d.csv.gz")
        .flags("-o csv=e.csv?mode=aggregate -o json=f.json?mode=aggregate&vu")
        .start();
    let (ran, folder) = running.wait_keeping();
    let ran = ran.expect(0);
    let report = ran.report();
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_adds_up(&report, &json_sums(&text("a.json")));
    assert_adds_up(&report, &csv_sums(&text("b.csv")));
    assert_eq!(json_sums(&unpacked(&folder.path().join("c.json.gz"))), json_sums(&text("a.json")));
    assert_eq!(csv_sums(&unpacked(&folder.path().join("d.csv.gz"))), csv_sums(&text("b.csv")));
    assert_eq!(ran.count("http_reqs"), 802.0);

    // The trace ids in the rows are those that the target saw.
    let seen = server.requests();
    let mut carried: Vec<&str> =
        seen.iter().filter_map(|request| request.header("traceparent")).map(|header| &header[3..35]).collect();
    let mut told: Vec<String> = Vec::new();
    for row in csv::Reader::from_reader(text("b.csv").as_bytes()).records() {
        let row = row.unwrap();
        if &row[0] == "http_reqs" {
            told.push(row[18].strip_prefix("trace_id=").unwrap().to_owned());
            assert!(&row[10] != "moved, \"really\"" || &row[17] == "kind=a%3Db%26c", "{row:?}");
        }
    }
    carried.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, carried);

    // A row for each series and second.
    let aggregated = text("e.csv");
    let mut requests = 0.0;
    let mut seen = std::collections::BTreeSet::new();
    for row in csv::Reader::from_reader(aggregated.as_bytes()).records() {
        let row = row.unwrap();
        if &row[0] == "http_reqs" {
            requests += row[4].parse::<f64>().unwrap();
        }
        let series: Vec<&str> = row.iter().take(2).chain(row.iter().skip(13)).collect();
        assert!(seen.insert(series.join("|")), "twice: {row:?}");
    }
    assert_eq!(requests, 802.0);
    let lines = text("f.json");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |metric: &str, figure: &str| -> f64 {
        let rows = lines.iter().filter(|line| line["type"] == "Aggregate" && line["metric"] == metric);
        rows.filter_map(|line| line["data"][figure].as_f64()).sum()
    };
    assert_eq!((of("orders", "sum"), of("http_req_duration", "count")), (500.0, 802.0));
}

/// Runs a Python script, if there is Python.
#[expect(clippy::print_stderr, reason = "a test that is skipped says which program it lacks")]
fn python(script: &str, argument: &Path) -> Option<String> {
    let output = match Command::new("python3").arg("-c").arg(script).arg(argument).output() {
        Ok(output) => output,
        Err(_) => {
            assert!(std::env::var_os("LOADR_REQUIRE_PROGRAMS").is_none(), "python3 is not installed");
            eprintln!("skipped: python3 is not installed");
            return None;
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Waits until something is so.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "not in time: {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn python_reads_the_rows() {
    let server = samples::shop();
    let running = Loadr::script(JOURNEY)
        .var("BASE", server.base())
        .flags("-u 2 -i 20 -o json=rows.json.gz -o csv=rows.csv.gz")
        .start();
    let (ran, folder) = running.wait_keeping();
    let ran = ran.expect(0);
    let read = "import csv, gzip, json, sys\n\
                rows = list(csv.DictReader(gzip.open(sys.argv[1] + '/rows.csv.gz', 'rt', newline='')))\n\
                assert all(None not in row and None not in row.values() for row in rows)\n\
                lines = [json.loads(line) for line in gzip.open(sys.argv[1] + '/rows.json.gz', 'rt')]\n\
                points = [line for line in lines if line['type'] == 'Point']\n\
                print(sum(float(row['metric_value']) for row in rows if row['metric_name'] == 'http_reqs'),\n\
                \x20     sum(row['metric_name'] == 'http_req_duration' for row in rows),\n\
                \x20     sum(p['data']['value'] for p in points if p['metric'] == 'http_reqs'), len(points) == len(rows))";
    if let Some(printed) = python(read, folder.path()) {
        assert_eq!(ran.count("http_reqs"), 82.0);
        assert_eq!(printed.trim(), "82.0 82 82 True");
    }
}

#[cfg(unix)]
#[test]
fn a_killed_run_leaves_what_it_has_written() {
    let server = samples::shop();
    let running =
        Loadr::script("const BASE = env(\"BASE\"); fn journey() { http::get(`${BASE}/quick`); think(2.ms); }")
            .var("BASE", server.base())
            .flags("-u 2 -d 60s -o json=a.json -o csv=b.csv -o json=c.json.gz")
            .start();
    let path = |name: &str| running.path(name);
    let rows = |name: &str| std::fs::read_to_string(path(name)).unwrap_or_default().lines().count();
    let packed = || std::fs::metadata(path("c.json.gz")).is_ok_and(|found| found.len() > 0);
    eventually("rows are written", || rows("a.json") > 1_000 && rows("b.csv") > 1_000 && packed());
    let before = server.requests().len();
    eventually("what was requested by now is written", || {
        let text = std::fs::read_to_string(path("b.csv")).unwrap_or_default();
        text.lines().filter(|line| line.starts_with("http_reqs,")).count() >= before
    });
    running.signal(rustix::process::Signal::KILL);
    let (_, folder) = running.wait_keeping();
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    // A write that was under way may have left a part of a row at the end, and nowhere else.
    let whole = |text: &str| text[..text.rfind('\n').map_or(0, |at| at + 1)].to_owned();
    let json = json_sums(&whole(&text("a.json")));
    let csv = csv_sums(&whole(&text("b.csv")));
    assert!(json["http_reqs"].sum >= 80.0 && csv["http_reqs"].sum >= before as f64, "{json:?} {csv:?}");
    let mut unpacked = String::new();
    let decoded = flate2::read::MultiGzDecoder::new(File::open(folder.path().join("c.json.gz")).unwrap())
        .read_to_string(&mut unpacked);
    assert!(json_sums(&whole(&unpacked))["http_reqs"].sum >= 1.0, "{decoded:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_rows_and_says_so_while_the_run_and_other_outputs_go_on() {
    let server = samples::shop();
    let running = Loadr::script(JOURNEY)
        .var("BASE", server.base())
        .flags("-u 2 -i 20 -o csv=/dev/full -o json=good.json")
        .start();
    let (ran, folder) = running.wait_keeping();
    let ran = ran.expect(0);
    let good = std::fs::read_to_string(folder.path().join("good.json")).unwrap();
    assert_adds_up(&ran.report(), &json_sums(&good));
    let rows: u64 = json_sums(&good).values().map(|sum| sum.rows).sum();
    let lost = format!("warning: output `csv=/dev/full` lost {rows} of {rows} rows: can't write `/dev/full`: ");
    assert!(ran.stderr.contains(&lost), "{lost}\n{ran}");
}

#[cfg(unix)]
#[test]
fn a_slow_reader_costs_rows_but_no_iteration() {
    let script = "const MANY = metrics::counter(\"many\"); fn journey() { for i in 0..1_000 { MANY.add(1); } }";
    let running = Loadr::script(script).pipe("pipe").flags("-u 2 -i 500 --threads 2 -o json=pipe").start();
    // Opening waits for the writer; then nothing is read until rows have been lost.
    let mut pipe = File::open(running.path("pipe")).unwrap();
    running.wait_for_line("is too slow and has begun to lose events");
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).map(|_| text)
    });
    let (ran, _folder) = running.wait_keeping();
    let ran = ran.expect(0);
    let sums = json_sums(&reader.join().unwrap().unwrap());
    assert_eq!((ran.count("many"), ran.count("iterations")), (500_000.0, 500.0));
    // What came and what was left out is all there was: the metric, and two values of each iteration.
    let came: u64 = ["many", "iterations", "iteration_duration"].iter().map(|name| sums[*name].rows).sum();
    let lost = sums["dropped_samples"].sum;
    assert!(lost > 0.0);
    assert_eq!(came as f64 + lost, 501_000.0);
    assert!(ran.stderr.contains("output `json=pipe` was too slow and lost "), "{ran}");
    assert!(ran.report().warnings.iter().any(|warning| warning.contains("was too slow and lost ")), "{ran}");
}
