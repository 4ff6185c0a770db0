//! Ctrl-C once and twice, SIGTERM: a run ends gracefully and reports, or at once.

use rustix::process::Signal;

use crate::harness::Loadr;
use crate::server::{Reply, Server};

/// A journey of iterations that are short enough to be waited for.
const SHORT: &str = r#"
    const options = #{ vus: 3, duration: 1.h };
    fn journey(vu) {
        if vu.iteration == 0 { print(`begun ${vu.id}`); }
        sleep(30.ms);
        check(1, #{ one: |n| n == 1 });
    }
    fn vu_stop(vu) { print(`stop ${vu.id}`); }
    fn teardown() { print("teardown"); }
"#;

#[test]
fn the_first_signal_stops_gracefully_and_still_reports() {
    for (signal, name) in [(Signal::INT, "Ctrl-C"), (Signal::TERM, "SIGTERM")] {
        let running = Loadr::script(SHORT).start();
        (1..=3).for_each(|vu| running.wait_for_line(&format!("begun {vu}")));
        running.signal(signal);
        let ran = running.wait().expect(105);
        assert!(ran.stderr.contains(&format!("stopping: interrupted by {name}\n")), "{ran}");
        assert_eq!(ran.verdict(), "FAILED: the run was interrupted");
        assert_eq!(ran.report().verdict.reasons, ["the run was interrupted"]);
        let (passed, failed) = ran.rate("checks");
        assert!(passed >= 3 && failed == 0, "{ran}");
        assert_eq!(ran.report().generator.interrupted_iterations, 0, "iterations within their grace are finished");
        let mut ends: Vec<_> = ran.prints().into_iter().filter(|line| !line.starts_with("begun")).collect();
        assert_eq!(ends.pop(), Some("teardown"));
        ends.sort_unstable();
        assert_eq!(ends, ["stop 1", "stop 2", "stop 3"]);
    }
}

#[test]
fn the_second_signal_stops_at_once() {
    let server = Server::start(|_| Reply::Stall(Vec::new()));
    let script = r#"
        const options = #{ scenarios: #{ a: #{ executor: "constant-vus", vus: 2, duration: 1.h, graceful_stop: 1.h } } };
        fn journey(vu) { print(`begun ${vu.id}`); http::get(env("BASE"), #{ timeout: 1.h }); }
        fn teardown() { print("teardown"); }
    "#;
    let running = Loadr::script(script).var("BASE", server.base()).start();
    (1..=2).for_each(|vu| running.wait_for_line(&format!("begun {vu}")));
    running.signal(Signal::INT);
    running.wait_for_line("stopping: interrupted by Ctrl-C");
    running.signal(Signal::INT);
    let ran = running.wait().expect(105);
    assert_eq!(ran.report().generator.interrupted_iterations, 2, "{ran}");
    assert!(!ran.prints().contains(&"teardown"), "{ran}");
    assert!(ran.verdict().starts_with("FAILED: the run was interrupted"), "{ran}");
}

#[test]
fn a_script_that_computes_without_end_is_stopped_by_the_second_signal() {
    let script = r#"
        const options = #{ vus: 1, duration: 1.h, max_script_time: 1.h };
        fn journey() { print("begun"); let n = 0; loop { n += 1; } }
    "#;
    let running = Loadr::script(script).start();
    running.wait_for_line("begun");
    running.signal(Signal::INT);
    running.wait_for_line("stopping: interrupted by Ctrl-C");
    running.signal(Signal::TERM);
    running.wait().expect(105);
}

#[test]
fn a_signal_during_setup_ends_the_run_without_load() {
    let script = r#"
        fn setup() { print("in setup"); sleep(1.h); }
        fn journey() { print("journey"); }
        fn teardown() { print("teardown"); }
    "#;
    let running = Loadr::script(script).start();
    running.wait_for_line("in setup");
    running.signal(Signal::INT);
    let ran = running.wait().expect(105);
    assert_eq!(ran.prints(), ["in setup"], "{ran}");
}

#[test]
fn the_demo_server_ends_with_a_signal() {
    let running = Loadr::new().flags("demo --listen 127.0.0.1:0 --threads 1").start();
    running.wait_for_line("the demo shop is open");
    running.signal(Signal::INT);
    let ran = running.wait().expect(0);
    assert!(ran.stdout.starts_with("http://127.0.0.1:") && ran.stdout.lines().count() == 1, "{ran}");
    assert!(ran.stderr.contains("closed after 0 requests"), "{ran}");
}
