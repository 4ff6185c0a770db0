//! Fail by default: a run in which nothing worked is no success, and its first line says why.

use crate::harness::{Loadr, Ran};
use crate::server::{Reply, Server, closed_port};

/// Runs it, and runs it again with the opt-out.
#[track_caller]
fn fails(script: &str, flags: &str, base: &str, verdict: &str) -> Ran {
    let command = || Loadr::script(script).var("BASE", base).flags(flags);
    let ran = command().run().expect(99);
    assert_eq!(ran.verdict(), format!("FAILED: {verdict}"), "{ran}");
    assert!(!ran.report().verdict.passed);
    assert_eq!(ran.report().verdict.reasons[0], verdict);
    let allowed = command().flags("--allow-failure").run().expect(0);
    assert!(allowed.report().verdict.passed);
    assert!(allowed.verdict().starts_with("PASSED"), "{allowed}");
    ran
}

#[test]
fn every_iteration_threw() {
    let ran = fails(
        "fn journey() { throw \"boom\"; }",
        "--iterations 3",
        "",
        "every iteration failed (all 3), most often: boom (script.rhai:1:16)",
    );
    assert_eq!((ran.count("iterations"), ran.count("iterations_failed")), (3.0, 3.0));
    let error = ran.error(2000);
    assert_eq!((error.count, error.side.as_str()), (3, "script"));
    let told = "error: boom\n --> script.rhai:1:16\n  |\n1 | fn journey() { throw \"boom\"; }\n  |                ^";
    assert_eq!(error.example, told);
}

#[test]
fn every_request_failed() {
    let base = format!("http://127.0.0.1:{}", closed_port());
    let script = "fn journey() { http::get(`${env(\"BASE\")}/x`); }";
    fails(script, "--iterations 2", &base, "every request failed (all 2), most often: connection refused");
    let server = Server::start(|_| Reply::with("503 Service Unavailable", &[], ""));
    let ran = fails(
        script,
        "",
        &server.base(),
        "every request failed (the only one), most often: status 503 service unavailable",
    );
    assert_eq!(ran.rate("http_req_failed"), (1, 0));
}

#[test]
fn nothing_was_measured() {
    let verdict = "nothing was measured: no request was made, no check, no value of a metric of the script";
    fails("fn journey() { sleep(1.ms); }", "--iterations 4", "", verdict);
}

#[test]
fn no_iteration_ran_to_its_end() {
    let script = "const options = #{ scenarios: #{ a: #{ executor: \"constant-vus\", duration: \"100ms\", gracefulStop: \"0s\" } } };\nfn journey() { sleep(1.h); }";
    fails(script, "", "", "no iteration ran to its end (one was cancelled)");
}

#[test]
fn every_check_was_false() {
    let script = "fn journey() { check(1, #{ two: |n| n == 2 }); }";
    fails(script, "--iterations 2", "", "every check failed (all 2)");
}

#[test]
fn several_reasons_are_told_the_gravest_first() {
    let base = format!("http://127.0.0.1:{}", closed_port());
    let script = "fn journey() { let r = http::get(env(\"BASE\")); check(r, #{ ok: |r| r.status == 200 }); }";
    let command = Loadr::script(script).var("BASE", &base).args(["--threshold", "http_req_failed: rate<0.5"]);
    let ran = command.run().expect(99);
    let reasons = ran.report().verdict.reasons;
    assert_eq!(
        reasons,
        [
            "every request failed (the only one), most often: connection refused",
            "every check failed (the only one)",
            "threshold `rate<0.5` on `http_req_failed` failed: 100 %"
        ]
    );
    let lines: Vec<_> = ran.stdout.lines().take(3).map(str::trim_start).collect();
    assert_eq!(lines, [&format!("FAILED: {}", reasons[0]), &reasons[1], &reasons[2]]);
}

#[test]
fn a_part_that_failed_is_no_failure_of_the_whole() {
    let server = Server::start(|request| match request.number {
        0 => Reply::with("500 Internal Server Error", &[], ""),
        _ => Reply::ok("x"),
    });
    let script = r#"fn journey(vu) {
        let res = http::get(env("BASE"));
        check(res, #{ ok: |r| r.status == 200 });
        if vu.iteration == 1 { throw "once"; }
    }"#;
    let ran = Loadr::script(script).var("BASE", server.base()).flags("--iterations 3").run().expect(0);
    assert!(ran.verdict().starts_with("PASSED  ·  3 requests, 1 failed  ·  3 checks, 2 held"), "{ran}");
    assert_eq!((ran.rate("http_req_failed"), ran.rate("checks")), ((1, 2), (2, 1)));
    assert_eq!(ran.count("iterations_failed"), 1.0);
}

#[test]
fn a_metric_of_the_script_is_a_measurement() {
    let script = "const N = metrics::gauge(\"n\");\nfn journey() { N.add(3); }";
    Loadr::script(script).run().expect(0);
}

#[test]
fn a_script_can_end_the_run() {
    let ran = Loadr::script("fn journey() { abort(\"wrong target\"); }").flags("-u 3 -d 1h").run().expect(108);
    assert_eq!(ran.verdict(), "FAILED: the script aborted the run: wrong target");
    let ran = Loadr::script("fn setup() { abort(\"not today\"); }\nfn journey() {}").run().expect(108);
    assert_eq!(ran.verdict(), "FAILED: the script aborted the run: not today", "{ran}");
}

#[test]
fn an_abort_cannot_be_caught_by_the_script() {
    let script = "fn journey() { try { abort(\"enough\"); } catch { print(\"caught\"); } print(\"after\"); }";
    let ran = Loadr::script(script).flags("--iterations 5").run().expect(108);
    assert_eq!(ran.prints(), [""; 0], "{ran}");
}
