//! Single requests: the slowest and the first failures in the export, and the ids of their traces.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::harness::Loadr;
use crate::server::{Reply, Request, Server};

/// A target whose `/slow` takes its time, and whose `/gone` is gone.
pub fn shop() -> Server {
    Server::start(|request: &Request| match request.target() {
        "/slow" => {
            std::thread::sleep(Duration::from_millis(80));
            Reply::ok("late")
        }
        "/gone" => Reply::with("404 Not Found", &[], "not here"),
        "/from" => Reply::redirect("302 Found", "/to"),
        _ => Reply::ok("fine"),
    })
}

const JOURNEY: &str = r#"
    const BASE = env("BASE");
    fn journey(vu) {
        http::get(`${BASE}/quick`);
        group("deep", || { http::get(`${BASE}/slow`, #{ name: "slow" }); });
        http::get(`${BASE}/gone`, #{ name: "gone" });
        http::get(`${BASE}/from`, #{ name: "moved" });
        http::get(`${BASE}/own`, #{ headers: #{ traceparent: "mine" } });
    }
"#;

fn traceparents(server: &Server, target: &str) -> Vec<String> {
    let requests = server.requests();
    let of_target = requests.iter().filter(|request| request.target() == target);
    let mut found: Vec<_> = of_target.filter_map(|request| request.header("traceparent").map(str::to_owned)).collect();
    // Virtual users arrive in any order.
    found.sort_unstable();
    found
}

#[test]
fn the_slowest_requests_are_in_the_export_with_the_trace_that_they_carried() {
    let server = shop();
    let load = |flags: &str| Loadr::script(JOURNEY).var("BASE", server.base()).flags(flags).run().expect(0);
    let ran = load("-u 2 -i 6 --threads 2 --seed 7 --trace-context");
    let report = ran.report();
    assert_eq!(report.slowest.len(), 20, "36 exchanges were made");
    assert!(report.slowest.is_sorted_by(|a, b| a.duration_ms >= b.duration_ms));
    let slow: Vec<_> = report.slowest.iter().filter(|request| request.name == "slow").collect();
    assert_eq!(slow.len(), 6, "{ran}");
    for request in &slow {
        assert_eq!((&*request.method, request.status, &*request.group), ("GET", 200, "deep"));
        assert_eq!(request.url, format!("{}/slow", server.base()));
        // What is on its way when the worker is put aside may have been answered for a while before it is known to be sent.
        let answered = request.phases.sending_ms.unwrap_or(0.0) + request.phases.waiting_ms.unwrap_or(0.0);
        assert!(request.duration_ms >= Some(80.0) && answered >= 79.0, "{request:?}");
        assert!(request.at_s >= 0.0 && request.at_s <= report.run.duration_s, "{ran}");
        assert!(request.started_at > report.run.started_at && (1..=2).contains(&request.vu));
        assert!(request.bytes_sent > 0 && request.bytes_received > 0 && request.scenario == "default");
    }
    assert!(ran.stdout.contains("\nSLOWEST\n") && ran.stdout.contains("GET slow "), "{ran}");

    let sent: BTreeSet<String> = traceparents(&server, "/slow").into_iter().collect();
    assert_eq!(sent.len(), 6, "each request is a trace of its own");
    let told: BTreeSet<String> = slow.iter().filter_map(|request| request.trace_id.clone()).collect();
    let carried: BTreeSet<String> = sent.iter().map(|header| header[3..35].to_owned()).collect();
    assert_eq!(told, carried);
    let form = regex::Regex::new("^00-[0-9a-f]{32}-[0-9a-f]{16}-01$").unwrap();
    assert!(sent.iter().all(|header| form.is_match(header)), "{sent:?}");
    assert_eq!(traceparents(&server, "/from"), traceparents(&server, "/to"), "a redirect goes on with the trace");
    assert_eq!(traceparents(&server, "/own"), ["mine"; 6], "what the script sends is left as it is");

    let gone = report.errors.iter().find(|error| error.message.contains("404")).expect("it failed");
    let request = gone.request.as_ref().expect("the first one is kept");
    assert_eq!((&*request.name, request.status, &*request.error), ("gone", 404, "status 404"));
    assert!(request.trace_id.is_some());

    // The same seed, the same ids.
    let before: BTreeSet<_> = traceparents(&server, "/quick").into_iter().collect();
    load("-u 2 -i 6 --threads 2 --seed 7 --trace-context");
    let after: BTreeSet<_> = traceparents(&server, "/quick").into_iter().collect();
    assert_eq!((before.len(), before.is_superset(&after)), (6, before.len() == after.len()));
}

#[test]
fn without_a_trace_context_nothing_is_sent_and_no_trace_is_told() {
    let server = shop();
    let ran = Loadr::script(JOURNEY).var("BASE", server.base()).flags("-u 1 -i 1").run().expect(0);
    assert!(server.requests().iter().all(|request| request.header("traceparent").is_none_or(|value| value == "mine")));
    let report = ran.report();
    assert_eq!(report.slowest.len(), 6);
    assert!(report.slowest.iter().all(|request| request.trace_id.is_none()));
    assert_eq!(report.slowest[0].name, "slow");
}
