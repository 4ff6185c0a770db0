//! What rows say, line by line, and that no run can break them.

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use super::super::sample;
use super::super::spec;
use super::*;
use crate::metric::builtin;
use crate::metric::sample::{Phases, ValueSample};

fn output(spec: &str) -> Box<dyn Output> {
    let spec = spec::parse(spec).unwrap();
    (spec.format.open)(&spec.arguments).unwrap()
}

/// What is written for these events, decompressed where it must be.
fn written(format: &str, file: &str, parameters: &str, events: &[RunEvent]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    let mut output = output(&format!("{format}={}?{parameters}", path.display()));
    output.check().unwrap();
    for event in events {
        output.event(event).unwrap();
    }
    output.finish().unwrap();
    read(&path)
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::MultiGzDecoder::new(&*bytes).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text
}

fn kind() -> RequestKind {
    RequestKind {
        name: "item".into(),
        method: "GET".into(),
        status: 503,
        expected: false,
        error_code: 1503,
        group: "shop::item".into(),
        scenario: "buy".into(),
        open: false,
        tags: vec![("team".into(), "a&b".into())],
    }
}

fn request() -> RequestSample {
    RequestSample {
        kind: 0,
        vu: 3,
        iteration: 4,
        number: 5,
        hop: 0,
        traced: true,
        ended: Duration::from_millis(1_500),
        url: "https://shop.test/items/1".into(),
        error: None,
        protocol: Some("HTTP/1.1"),
        tls_version: Some("TLS 1.3"),
        duration_us: Some(1_250),
        lag_us: 0,
        phases: Phases { sending: Some(50), waiting: Some(1_000), receiving: Some(200), ..Phases::default() },
        opened: false,
        bytes_sent: 100,
        bytes_received: 2_000,
    }
}

/// A run with one request, one check, something lost, and a second.
fn events() -> Vec<RunEvent> {
    let mut report = sample::small_report();
    report.run.started_at = "2026-03-01T12:00:00Z".into();
    report.run.seed = 7;
    let source = SourceId(0);
    let check = SeriesDef {
        id: SeriesId(9),
        metric: builtin::CHECKS,
        tags: vec![("check".into(), "is \"ok\", yes".into()), ("group".into(), "shop".into())],
    };
    let names = Names { source, catalogue: Arc::default(), kinds: vec![Arc::new(kind())], series: vec![check] };
    let value = ValueSample {
        at: Duration::from_millis(1_750),
        series: SeriesId(9),
        value: crate::metric::sample::Value::Rate(true),
    };
    let rows = Rows { source, requests: vec![request()], values: vec![value], lost: 0 };
    vec![
        RunEvent::Started(Arc::new(report.run.clone())),
        RunEvent::Samples(Samples::Names(Arc::new(names))),
        RunEvent::Samples(Samples::Rows(Arc::new(rows))),
        RunEvent::Samples(Samples::Lost(12)),
        RunEvent::Tick(Arc::new(sample::Recording::of(vec!["item".into()]).second())),
        RunEvent::Ended(Arc::new(report)),
    ]
}

#[test]
fn json_lines_have_the_shape_that_k6_documents() {
    let text = written("json", "rows.json", "vu", &events());
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let first = lines.iter().find(|line| line["metric"] == "http_req_duration").unwrap();
    assert_eq!(
        *first,
        serde_json::json!({
            "type": "Metric",
            "data": {
                "name": "http_req_duration", "type": "trend", "contains": "time", "thresholds": [], "submetrics": null,
            },
            "metric": "http_req_duration",
        })
    );
    let points: Vec<&Value> = lines.iter().filter(|line| line["type"] == "Point").collect();
    let trace = TraceIds::new(7, Place { vu: 3, iteration: 4, number: 5 }).trace_id();
    let tags = serde_json::json!({
        "error_code": "1503", "expected_response": "false", "group": "::shop::item", "method": "GET", "name": "item",
        "proto": "HTTP/1.1", "scenario": "buy", "status": "503", "tls_version": "tls1.3",
        "url": "https://shop.test/items/1", "team": "a&b",
    });
    for (metric, value) in [
        ("http_reqs", serde_json::json!(1)),
        ("http_req_failed", serde_json::json!(1)),
        ("http_req_duration", serde_json::json!(1.25)),
        ("http_req_waiting", serde_json::json!(1)),
        ("data_received", serde_json::json!(2_000)),
    ] {
        let point = points.iter().find(|line| line["metric"] == metric).unwrap();
        let expected = serde_json::json!({
            "metric": metric,
            "type": "Point",
            "data": {
                "time": "2026-03-01T12:00:01.500000000Z",
                "value": value,
                "tags": tags,
                "metadata": { "trace_id": trace, "vu": "3", "iter": "4" },
            },
        });
        assert_eq!(**point, expected);
    }
    let of = |metric: &str| points.iter().find(|line| line["metric"] == metric).unwrap()["data"].clone();
    assert_eq!(of("checks")["tags"], serde_json::json!({ "check": "is \"ok\", yes", "group": "::shop" }));
    assert_eq!((of("checks")["value"].clone(), of("dropped_samples")["value"].clone()), (1.into(), 12.into()));
    assert!(points.iter().all(|line| line["metric"] != "http_req_connecting"), "none was opened");
}

#[test]
fn csv_has_the_columns_that_k6_documents() {
    let text = written("csv", "rows.csv", "time=rfc3339_nano", &events());
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let documented = "metric_name,timestamp,metric_value,check,error,error_code,expected_response,group,method,name,proto,\
                      scenario,service,status,subproto,tls_version,url,extra_tags,metadata";
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>().join(","), documented);
    let rows: Vec<Vec<String>> = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    let row = |metric: &str| rows.iter().find(|row| row[0] == metric).unwrap().clone();
    let trace = TraceIds::new(7, Place { vu: 3, iteration: 4, number: 5 }).trace_id();
    let expected = format!(
        "http_req_duration|2026-03-01T12:00:01.500000000Z|1.25|||1503|false|::shop::item|GET|item|HTTP/1.1|buy||503||tls1.3|\
         https://shop.test/items/1|team=a%26b|trace_id={trace}"
    );
    assert_eq!(row("http_req_duration").join("|"), expected);
    let check = row("checks");
    assert_eq!((&*check[2], &*check[3], &*check[7]), ("1", "is \"ok\", yes", "::shop"));
    assert_eq!(row("dropped_samples")[2], "12");
}

#[test]
fn the_aggregated_mode_has_a_row_for_each_series_and_second() {
    let mut recording = sample::Recording::of(vec!["item".into(), "cart".into()]);
    let mut report = sample::small_report();
    report.run.started_at = "2026-03-01T12:00:00Z".into();
    let mut events = vec![RunEvent::Started(Arc::new(report.run.clone()))];
    events.extend((0..2).map(|_| RunEvent::Tick(Arc::new(recording.second()))));

    let text = written("json", "rows.json.gz", "mode=aggregate", &events);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seconds: Vec<&Value> = lines
        .iter()
        .filter(|line| line["type"] == "Aggregate" && line["metric"] == "http_req_duration")
        .filter(|line| line["data"]["tags"]["name"] == "item")
        .collect();
    assert!(lines.iter().all(|line| line["type"] != "Point"));
    let counted: u64 = seconds.iter().map(|line| line["data"]["count"].as_f64().unwrap() as u64).sum();
    assert_eq!(counted, 40, "two workers made ten requests of each name in each of two seconds");
    let longest = seconds.iter().map(|line| line["data"]["max"].as_f64().unwrap()).fold(0.0, f64::max);
    assert_eq!(longest, 10.0);

    let text = written("csv", "rows.csv", "mode=aggregate", &events);
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let documented = "metric_name,timestamp,metric_type,count,sum,min,avg,med,p90,p95,p99,max,last,check,error,error_code,\
                      expected_response,group,method,name,proto,scenario,service,status,subproto,tls_version,url,extra_tags";
    assert_eq!(reader.headers().unwrap().iter().collect::<Vec<_>>().join(","), documented);
    let rows: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let sum = |metric: &str, column: usize| -> f64 {
        rows.iter().filter(|row| row[0] == *metric).filter_map(|row| row[column].parse::<f64>().ok()).sum()
    };
    assert_eq!((sum("http_req_duration", 3), sum("http_reqs", 4)), (80.0, 80.0));
    assert!(rows.iter().all(|row| !row[1].contains('.')));
}

#[test]
fn no_names_break_a_row() {
    for name in sample::hostile_names() {
        let text: Arc<str> = name.as_str().into();
        let mut kind = kind();
        (kind.name, kind.group, kind.scenario, kind.method) = (text.clone(), text.clone(), text.clone(), text.clone());
        kind.tags = vec![("x".into(), text.clone())];
        let mut request = request();
        (request.url, request.error) = (text.clone(), Some(text.clone()));
        let source = SourceId(0);
        let names = Names { source, catalogue: Arc::default(), kinds: vec![Arc::new(kind)], series: Vec::new() };
        let rows = Rows { source, requests: vec![request], values: Vec::new(), lost: 0 };
        let events = [
            RunEvent::Started(Arc::new(sample::small_report().run)),
            RunEvent::Samples(Samples::Names(Arc::new(names))),
            RunEvent::Samples(Samples::Rows(Arc::new(rows))),
        ];
        let json = written("json", "rows.json", "", &events);
        let points = json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let points: Vec<Value> = points.filter(|line| line["type"] == "Point").collect();
        assert_eq!(points.len(), 8);
        if !name.is_empty() {
            assert!(points.iter().all(|point| point["data"]["tags"]["url"] == *name));
        }
        let csv = written("csv", "rows.csv", "", &events);
        let mut reader = ::csv::Reader::from_reader(csv.as_bytes());
        let rows: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 8);
        assert!(rows.iter().all(|row| row[16] == *name && row[4] == *name));
    }
}

#[test]
fn standard_output_is_refused_with_a_hint() {
    let spec = spec::parse("json=-").unwrap();
    let error = (spec.format.open)(&spec.arguments).err().unwrap().to_string();
    assert!(error.starts_with("can't write `-`: standard output is the summary's; "), "{error}");
}
