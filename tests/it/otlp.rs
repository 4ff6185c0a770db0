//! OTLP: a receiver that decodes what arrives, held against the summary and against what the target saw.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;

use crate::harness::Loadr;
use crate::program::{Program, wait_until};
use crate::samples;
use crate::server::{Reply, Request, Server, closed_port};

const JOURNEY: &str = r#"
    const BASE = env("BASE");
    const ORDERS = metrics::counter("orders");
    const SHARE = metrics::rate("paid");
    fn journey(vu) {
        http::get(`${BASE}/quick`, #{ name: "quick" });
        http::get(`${BASE}/slow`, #{ name: "slow" });
        http::get(`${BASE}/gone`, #{ name: "gone" });
        http::get(`${BASE}/from`, #{ name: "moved" });
        ORDERS.add(2);
        SHARE.add(vu.iteration % 2 == 0);
    }
"#;

fn bodies<T: prost::Message + Default>(receiver: &Server, path: &str) -> Vec<T> {
    let requests = receiver.requests();
    let of_path = requests.iter().filter(|request| request.target() == path && !request.body.is_empty());
    of_path.map(|request| T::decode(&*request.body).expect("it is protobuf")).collect()
}

fn metrics(receiver: &Server) -> Vec<Vec<Metric>> {
    let bodies: Vec<ExportMetricsServiceRequest> = bodies(receiver, "/v1/metrics");
    let metrics = |body: ExportMetricsServiceRequest| {
        body.resource_metrics.into_iter().flat_map(|all| all.scope_metrics).flat_map(|all| all.metrics).collect()
    };
    bodies.into_iter().map(metrics).collect()
}

fn spans(receiver: &Server) -> Vec<Span> {
    let bodies: Vec<ExportTraceServiceRequest> = bodies(receiver, "/v1/traces");
    bodies
        .into_iter()
        .flat_map(|body| body.resource_spans)
        .flat_map(|all| all.scope_spans)
        .flat_map(|all| all.spans)
        .collect()
}

/// What the data points of a sum, or the counts of a histogram, come to.
fn total(metrics: &[Metric], name: &str) -> f64 {
    let found = metrics.iter().filter(|metric| metric.name == name);
    found
        .map(|metric| -> f64 {
            match metric.data.as_ref().unwrap() {
                metric::Data::Sum(sum) => sum
                    .data_points
                    .iter()
                    .map(|point| match point.value {
                        Some(number_data_point::Value::AsDouble(value)) => value,
                        Some(number_data_point::Value::AsInt(value)) => value as f64,
                        None => 0.0,
                    })
                    .sum(),
                metric::Data::ExponentialHistogram(histogram) => histogram
                    .data_points
                    .iter()
                    .map(|point| {
                        let counted: u64 =
                            point.positive.as_ref().map_or(0, |positive| positive.bucket_counts.iter().sum());
                        assert_eq!(counted + point.zero_count, point.count);
                        assert!(point.min <= point.max && point.start_time_unix_nano < point.time_unix_nano);
                        point.count as f64
                    })
                    .sum(),
                other => panic!("{other:?}"),
            }
        })
        .sum()
}

#[test]
fn a_collector_gets_the_counts_of_the_summary() {
    for temporality in ["cumulative", "delta"] {
        let (server, receiver) = (samples::shop(), Server::ok(""));
        let ran = Loadr::script(JOURNEY)
            .var("BASE", server.base())
            .env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b")
            .flags("-u 2 -i 40 --threads 2")
            .args(["-o", &format!("otlp={}?interval=1s&temporality={temporality}", receiver.base())])
            .run()
            .expect(0);
        let parcels = metrics(&receiver);
        assert!(!parcels.is_empty(), "{ran}");
        let told = match temporality {
            "cumulative" => parcels.last().unwrap().clone(),
            _ => parcels.concat(),
        };
        for (name, expected) in [
            ("loadr.http_reqs", ran.count("http_reqs")),
            ("loadr.orders", 80.0),
            ("loadr.iterations", 40.0),
            ("loadr.data_received", ran.count("data_received")),
            ("loadr.http_req_failed.occurred", ran.rate("http_req_failed").0 as f64),
            ("loadr.http_req_failed.total", 200.0),
            ("loadr.paid.occurred", ran.rate("paid").0 as f64),
            ("loadr.http_req_duration", 200.0),
        ] {
            assert_eq!(total(&told, name), expected, "{temporality}: {name}");
        }
        assert!(told.iter().any(|metric| metric.name == "loadr.vus_max"));
        let duration = told.iter().find(|metric| metric.name == "loadr.http_req_duration").unwrap();
        assert_eq!(duration.unit, "s");
        let asked = receiver.requests();
        assert!(asked.iter().all(|request| request.header("x-key") == Some("a b")));
        assert!(asked.iter().all(|request| request.header("content-type") == Some("application/x-protobuf")));
    }
}

#[test]
fn slow_and_failed_requests_are_spans_of_the_traces_that_the_target_saw() {
    let (server, receiver) = (samples::shop(), Server::ok(""));
    let ran = Loadr::script(JOURNEY)
        .var("BASE", server.base())
        .flags("-u 1 -i 5 --trace-context --tag team=a")
        .args(["-o", &format!("otlp={}?metrics=false&slow=50ms", receiver.base())])
        .run()
        .expect(0);
    assert!(metrics(&receiver).is_empty(), "{ran}");
    let spans = spans(&receiver);
    let ids = |spans: Vec<&Span>| -> BTreeSet<String> {
        spans
            .iter()
            .map(|span| format!("00-{}-{}-01", hex::encode(&span.trace_id), hex::encode(&span.span_id)))
            .collect()
    };
    let named = |name: &str| -> Vec<&Span> { spans.iter().filter(|span| span.name == name).collect() };
    let carried = |target: &str| -> BTreeSet<String> {
        let requests = server.requests();
        let of_target = requests.iter().filter(|request| request.target() == target);
        of_target.filter_map(|request| request.header("traceparent").map(str::to_owned)).collect()
    };
    assert_eq!(ids(named("GET slow")), carried("/slow"));
    assert_eq!(ids(named("GET gone")), carried("/gone"));
    assert_eq!(carried("/slow").len(), 5);
    assert!(named("GET quick").iter().all(|span| span.end_time_unix_nano - span.start_time_unix_nano >= 50_000_000));
    let gone = named("GET gone")[0];
    assert_eq!((gone.kind, gone.status.as_ref().map(|status| status.code)), (3, Some(2)));
    let attribute = |key: &str| {
        let found = gone.attributes.iter().find(|pair| pair.key == key);
        found.and_then(|pair| pair.value.clone()?.value)
    };
    let text = |text: &str| Some(any_value::Value::StringValue(text.into()));
    assert_eq!(attribute("url.full"), text(&format!("{}/gone", server.base())));
    assert_eq!(attribute("http.request.method"), text("GET"));
    assert_eq!(attribute("http.response.status_code"), Some(any_value::Value::IntValue(404)));
    assert_eq!((attribute("error.type"), attribute("team")), (text("404"), text("a")));
}

#[test]
fn a_collector_that_is_not_there_is_told_before_the_run() {
    let server = samples::shop();
    let ran = Loadr::script_without_export(JOURNEY)
        .var("BASE", server.base())
        .args(["-o", &format!("otlp=http://127.0.0.1:{}", closed_port())])
        .run()
        .expect(104);
    assert!(
        ran.stderr.starts_with("error: output receiver `http://127.0.0.1:") || ran.stderr.contains("/v1/metrics"),
        "{ran}"
    );
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_collector_that_refuses_costs_rows_that_are_counted_and_not_the_run() {
    let server = samples::shop();
    let receiver = Server::start(|request: &Request| match request.body.is_empty() {
        true => Reply::ok(""),
        false => Reply::with("403 Forbidden", &[], "no more"),
    });
    let ran = Loadr::script(JOURNEY)
        .var("BASE", server.base())
        .flags("-u 1 -i 2")
        .args(["-o", &format!("otlp={}", receiver.base())])
        .run()
        .expect(0);
    assert!(
        ran.stderr.contains(" lost ") && ran.stderr.contains("/v1/metrics") && ran.stderr.contains("/v1/traces"),
        "{ran}"
    );
}

/// A collector that takes everything and writes down the paths, until it is ended.
const COLLECTOR: &str = "
import http.server, sys
class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers['content-length']))
        with open(sys.argv[2], 'a') as taken: taken.write(self.path + '\\n')
        self.send_response(200)
        self.send_header('content-length', '0')
        self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Collector).serve_forever()
";

#[test]
fn a_collector_that_vanishes_costs_what_it_could_not_take() {
    let directory = tempfile::tempdir().expect("a directory");
    let (port, taken) = (closed_port(), directory.path().join("taken"));
    let mut command = Command::new("python3");
    command.args(["-c", COLLECTOR, &port.to_string()]).arg(&taken);
    let Some(mut collector) = Program::start(&mut command) else { return };
    collector.listens(port);
    let server = samples::shop();
    let running = Loadr::script(JOURNEY)
        .var("BASE", server.base())
        .flags("-u 2 -d 6s --threads 1")
        .args(["-o", &format!("otlp=http://127.0.0.1:{port}?interval=1s")])
        .start();
    // The first is the look before the run.
    let sent = || fs::read_to_string(&taken).unwrap_or_default().lines().filter(|path| *path == "/v1/metrics").count();
    wait_until("the first numbers have arrived", || sent() > 1);
    drop(collector);
    running.wait_for_line("waits for its receiver");
    // The run's own verdict stands, and its summary is whole.
    let ran = running.wait().expect(0);
    assert!(ran.count("http_reqs") > 0.0 && ran.count("orders") > 0.0, "{ran}");
    let told = ran.stderr.lines().find(|line| line.contains("/v1/metrics")).unwrap_or_else(|| panic!("{ran}"));
    assert!(told.starts_with("warning: output `otlp=") && told.contains(" lost "), "{told}");
}
