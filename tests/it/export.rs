//! The exported summary, its numbers held against what the target saw.

use std::collections::BTreeMap;

use crate::harness::Loadr;
use crate::server::{Reply, Server};

fn shop() -> Server {
    Server::start(|request| match request.target() {
        "/missing" => Reply::with("404 Not Found", &[("X-Why", "gone")], "not here"),
        "/order" => Reply::with("201 Created", &[], "{\"id\": 7}"),
        _ => Reply::ok(&"b".repeat(5_000)),
    })
}

const JOURNEY: &str = r#"
    const BASE = env("BASE");
    const ORDERS = metrics::counter("orders");
    fn journey(vu) {
        group("browse", || {
            let res = http::get(`${BASE}/item/${random::int(1, 500)}`);
            check(res, #{ "item is 200": |r| r.status == 200, "is small": |r| r.size < 10 });
            http::get(`${BASE}/missing`, #{ name: "missing" });
        });
        let res = http::post(`${BASE}/order`, #{ item: vu.id }, #{ name: "order" });
        if res.status == 201 { ORDERS.add(1); }
    }
"#;

#[test]
fn counts_and_bytes_are_those_that_the_target_saw() {
    let server = shop();
    let ran =
        Loadr::script(JOURNEY).var("BASE", server.base()).flags("-u 5 -i 60 --threads 2 --seed 7").run().expect(0);
    let requests = server.requests();
    assert_eq!(requests.len(), 180);
    let report = ran.report();
    assert_eq!(ran.count("http_reqs"), 180.0);
    assert_eq!(ran.rate("http_req_failed"), (60, 120));
    assert_eq!(ran.count("data_sent"), server.received() as f64, "{ran}");
    assert_eq!(ran.count("data_received"), server.sent() as f64, "{ran}");

    let mut rows: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut sent: BTreeMap<String, u64> = BTreeMap::new();
    for request in &requests {
        let item = request.target().starts_with("/item/");
        let name = if item { format!("{}/item/{{id}}", server.base()) } else { request.target()[1..].to_owned() };
        *sent.entry(name.clone()).or_default() += request.wire_bytes as u64;
        *rows.entry((name, request.method().to_owned())).or_default() += 1;
    }
    let told: BTreeMap<_, _> =
        report.requests.iter().map(|row| ((row.name.clone(), row.method.clone()), row.count)).collect();
    assert_eq!(told, rows);
    for row in &report.requests {
        assert_eq!(row.bytes_sent, sent[&row.name], "{}", row.name);
        assert_eq!(row.statuses.values().sum::<u64>(), row.count);
        assert!(row.duration.min <= row.duration.med && row.duration.med <= row.duration.max);
    }
    let missing = ran.request("GET", "missing");
    assert_eq!((missing.failed, missing.statuses["404"]), (60, 60));
    let one = "HTTP/1.1 404 Not Found\r\nX-Why: gone\r\nContent-Length: 8\r\n\r\nnot here".len() as u64;
    assert_eq!(missing.bytes_received, 60 * one);

    assert_eq!((ran.check("item is 200").passes, ran.check("item is 200").fails), (60, 0));
    assert_eq!((ran.check("is small").passes, ran.check("is small").fails), (0, 60));
    assert_eq!(ran.check("is small").group, "browse");
    assert_eq!(ran.rate("checks"), (60, 60));
    assert_eq!(ran.values("group_duration"), 60);
    assert_eq!(ran.count("orders"), 60.0);
    assert_eq!(ran.count("iterations"), 60.0);

    // A phase counts the requests in which it happened.
    let opened = server.connections() as u64;
    assert_eq!(opened, 5);
    assert_eq!((ran.values("http_req_connecting"), ran.values("http_req_waiting")), (opened, 180));
    assert_eq!((ran.values("http_req_tls_handshaking"), ran.values("http_req_looking_up")), (0, 0));

    let points = &report.series.points;
    assert_eq!(points.iter().map(|point| point.requests).sum::<u64>(), 180);
    assert_eq!(points.iter().map(|point| point.failed).sum::<u64>(), 60);
    assert_eq!(points.iter().map(|point| point.iterations).sum::<u64>(), 60);
    assert_eq!(points.iter().map(|point| point.bytes_sent).sum::<u64>(), server.received());
    assert_eq!(points.iter().map(|point| point.bytes_received).sum::<u64>(), server.sent());
}

#[test]
fn the_run_is_described() {
    let server = shop();
    let ran = Loadr::script(JOURNEY)
        .var("BASE", server.base())
        .var("API_TOKEN", "hunter2")
        .flags("--seed 99 --iterations 2 --vus 2 --tag team=a")
        .run()
        .expect(0);
    let run = ran.report().run;
    assert_eq!((&*run.script, run.seed, run.vus_max), ("script.rhai", 99, 2));
    assert_eq!(run.loadr_version, env!("CARGO_PKG_VERSION"));
    assert_eq!(run.id.len(), 36);
    let args = run.args.join(" ");
    let expected = format!(
        "run script.rhai --summary-export summary.json -e BASE={} -e API_TOKEN=*** --seed 99 --iterations 2 --vus 2 --tag team=a",
        server.base()
    );
    assert_eq!(args, expected);
    assert!(!ran.json().to_string().contains("hunter2"));
    let scenario = &run.scenarios[0];
    assert_eq!((&*scenario.name, &*scenario.executor, &*scenario.exec), ("default", "shared-iterations", "journey"));
}

#[test]
fn an_unwritable_destination_is_an_error_before_any_load() {
    let server = shop();
    for (path, problem) in [
        ("no/such/folder/summary.json", "No such file or directory (os error 2); does its folder exist?"),
        (".", "is a directory; give the name of a file in it"),
    ] {
        let ran = Loadr::script_without_export("fn journey() { http::get(env(\"BASE\")); }")
            .var("BASE", server.base())
            .args(["--summary-export", path])
            .run()
            .expect(104);
        assert_eq!(ran.stderr, format!("error: can't write `{path}`: {problem}\n"));
        assert_eq!(ran.stdout, "");
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn out_writes_the_same_document() {
    let running =
        Loadr::script("fn journey() { check(1, #{ one: |n| n == 1 }); }").flags("--out summary=b.json").start();
    let (ran, directory) = running.wait_keeping();
    let ran = ran.expect(0);
    let other = std::fs::read_to_string(directory.path().join("b.json")).expect("it was written");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&other).unwrap(), ran.json());
    let mut left: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["b.json", "script.rhai", "summary.json"], "nothing temporary is left");
}

#[test]
fn out_knows_its_formats() {
    let journey = "fn journey() {}";
    let ran = Loadr::script_without_export(journey).flags("--out sumary=x").run().expect(104);
    let expected = "error: unknown output format `sumary` (did you mean `summary`?); expected one of `summary`";
    assert!(ran.stderr.starts_with(expected), "{ran}");
    let ran = Loadr::script_without_export(journey).flags("--out summary").run().expect(104);
    insta::assert_snapshot!(ran.stderr, @"error: output format `summary` needs a destination: `summary=FILE`");
    let ran = Loadr::script_without_export(journey).flags("--out help").run().expect(0);
    assert!(ran.stdout.contains("summary=FILE  ") && ran.stderr.is_empty(), "{ran}");
}

#[test]
fn the_export_of_a_run_that_failed_is_whole_too() {
    let ran = Loadr::script("fn setup() { throw \"no\"; }\nfn journey() {}").run().expect(107);
    let report = ran.report();
    assert!(!report.verdict.passed);
    assert_eq!(report.verdict.reasons.len(), 2, "{:?}", report.verdict.reasons);
    assert_eq!(ran.count("iterations"), 0.0);
}
