//! Options: where they come from, which of them wins, and what is said of those that make no sense.

use crate::harness::Loadr;
use crate::server::{Reply, Server};

const CHECKING: &str = "fn journey() { check(1, #{ one: |n| n == 1 }); }";

fn with_options(options: &str) -> String {
    format!("const options = #{{ {options} }};\n{CHECKING}")
}

#[test]
fn a_later_source_wins_default_script_file_environment_flag() {
    // Each row adds one source; the one that was added last wins.
    let plain = || Loadr::script(CHECKING);
    let script = || Loadr::script(&with_options("iterations: 2"));
    let file = || script().file("c.json", r#"{ "iterations": 3 }"#).flags("--config c.json");
    let environment = || file().env("LOADR_ITERATIONS", "4");
    for (command, iterations) in [
        (plain(), 1.0),
        (script(), 2.0),
        (file(), 3.0),
        (environment(), 4.0),
        (environment().flags("--iterations 5"), 5.0),
        (script().env("LOADR_CONFIG", "d.json").file("d.json", r#"{ "iterations": 6 }"#), 6.0),
    ] {
        let ran = command.run().expect(0);
        assert_eq!(ran.count("iterations"), iterations, "{ran}");
    }
}

#[test]
fn an_override_leaves_the_other_options_alone() {
    let options =
        with_options("vus: 3, iterations: 12, thresholds: #{ checks: [\"rate==1\"] }, tags: #{ team: \"a\" }");
    let ran = Loadr::script(&options).flags("--vus 2").run().expect(0);
    assert_eq!((ran.count("iterations"), ran.report().run.vus_max), (12.0, 2));
    assert_eq!(ran.report().thresholds.len(), 1);
}

#[test]
fn every_switch_can_come_from_the_environment() {
    for value in ["true", "1", "yes"] {
        let ran = Loadr::script(CHECKING).env("LOADR_QUIET", value).run().expect(0);
        assert_eq!(ran.stderr, "", "LOADR_QUIET={value}");
    }
    for value in ["false", "0", "no"] {
        let ran = Loadr::script(CHECKING).env("LOADR_QUIET", value).run().expect(0);
        assert!(ran.stderr.contains("ended duration_s="), "LOADR_QUIET={value}\n{ran}");
    }
    let ran = Loadr::script("fn journey() {}").env("LOADR_ALLOW_FAILURE", "true").run().expect(0);
    assert_eq!(ran.count("iterations"), 1.0);
}

#[test]
fn lists_can_come_from_the_environment() {
    let ran = Loadr::script(CHECKING)
        .env("LOADR_THRESHOLDS", "checks: rate==1; checks{team:a,shift:night}: count==1")
        .env("LOADR_TAGS", "team=a,shift=night")
        .env("LOADR_OUT", "summary=other.json")
        .start();
    let other = ran.path("other.json");
    let ran = ran.wait_keeping();
    assert_eq!(ran.0.report().thresholds.len(), 2, "{}", ran.0);
    assert!(other.exists());
}

#[test]
fn options_are_accepted_in_both_spellings() {
    for (name, value) in
        [("maxRedirects", "0"), ("max_redirects", "0"), ("noCookiesReset", "true"), ("setupTimeout", "\"5s\"")]
    {
        Loadr::script(&with_options(&format!("{name}: {value}"))).run().expect(0);
    }
    let ran = Loadr::script(&with_options("maxRedirects: 1, max_redirects: 2")).run().expect(104);
    let told = "error: option `max_redirects` is given twice in the script's options, in two spellings\n --> script.rhai:1:20\n";
    assert!(ran.stderr.starts_with(told), "{ran}");
}

#[test]
fn durations_have_units_or_are_texts() {
    for duration in ["300.ms", "0.3.s", "\"300ms\"", "0.005.m", "300"] {
        let text = format!(
            "const options = #{{ vus: 1, duration: {duration} }};\nfn journey() {{ sleep(5.ms); check(1, #{{ one: |n| n == 1 }}); }}"
        );
        let ran = Loadr::script(&text).run().expect(0);
        assert_eq!(ran.report().run.scenarios[0].description, "constant-vus: 1 VU for 300ms", "{duration}");
    }
}

#[test]
fn what_makes_no_sense_is_an_error_that_names_it() {
    for (options, flags, message) in [
        ("iteration: 2", "", "error: unknown option `iteration` in the script's options; did you mean `iterations`?"),
        ("vus: 0, iterations: 1", "", "error: option `vus` in the script's options: expected at least 1 VU, found 0"),
        (
            "vus: \"many\"",
            "",
            "error: option `vus` in the script's options: expected a number such as `200`, `10k` or `1.5M`, found `many`",
        ),
        (
            "duration: \"soon\"",
            "",
            "error: option `duration` in the script's options: expected a duration such as `30s`, `1m30s` or `500ms`, found `soon`",
        ),
        (
            "scenarios: #{ a: #{ executor: \"constant-vu\", duration: \"1s\" } }",
            "",
            "error: option `scenarios.a.executor` in the script's options: unknown executor `constant-vu`; did you mean `constant-vus`?",
        ),
        (
            "scenarios: #{ a: #{ executor: \"constant-vus\", vus: 2 } }",
            "",
            "error: scenario `a`: `duration` is missing; expected a duration such as `30s`",
        ),
        (
            "scenarios: #{ a: #{ executor: \"constant-vus\", duration: \"1s\", exec: \"jorney\" } }",
            "",
            "error: scenario `a`: function `jorney` is not in the script; did you mean `journey`?",
        ),
        (
            "stages: [\"1s:1\"], iterations: 2",
            "",
            "error: options `stages` and `iterations` in the script's options exclude each other: stages say how many VUs there are, not how many iterations",
        ),
        (
            "iterations: 2, vus: 3",
            "",
            "error: scenario `default`: 2 iterations for 3 VUs; expected at least one for each VU",
        ),
        ("", "--stage 10", "error: --stage `10`: expected a duration and a number such as `30s:200`"),
        (
            "",
            "--threshold checks",
            "error: --threshold `checks`: expected a metric and an expression such as `http_req_duration: p(95)<500`",
        ),
        ("", "-e NAME", "error: -e `NAME`: expected KEY=VALUE"),
        ("", "--tag x", "error: --tag `x`: expected KEY=VALUE"),
        (
            "",
            "--config missing.json",
            "error: can't read the config file `missing.json`: No such file or directory (os error 2)",
        ),
        ("", "--threads 0", "error: option `threads` in the command line: expected 1 to 1024 threads, found 0"),
        (
            "rps: 5",
            "",
            "error: option `rps` is not supported yet by this version of loadr (given in the script's options)",
        ),
    ] {
        let ran = Loadr::script(&with_options(options)).flags(flags).run().expect(104);
        assert!(ran.stderr.starts_with(&format!("{message}\n")), "{options} {flags}\n{ran}");
        // What the script says is shown there.
        let placed = ran.stderr.contains(" --> script.rhai");
        let by_flag = ["command line", "config file", "--", "-e "].iter().any(|part| message.contains(part));
        assert_eq!(placed, !by_flag, "{options} {flags}\n{ran}");
        assert_eq!(ran.stdout, "", "{options} {flags}");
        assert!(!ran.has_export());
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let ran = Loadr::script(&with_options("vu: 2, iterations: \"x\", tags: 3")).run().expect(104);
    assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("error: ")).count(), 3, "{ran}");
}

#[test]
fn options_must_be_a_map_and_the_config_file_json() {
    let ran = Loadr::script(&format!("const options = 5;\n{CHECKING}")).run().expect(104);
    assert_eq!(
        ran.stderr,
        "error: `options` must be a map: `const options = #{ vus: 10, duration: 30.s };`\n --> script.rhai:1:7\n  |\n1 | const options = 5;\n  |       ^^^^^^^\n"
    );
    let command = Loadr::script(CHECKING).flags("-c c.json").file("c.json", "[1]");
    assert_eq!(command.run().expect(104).stderr, "error: the config file `c.json` must hold one JSON object\n");
}

#[test]
fn variables_reach_the_script_from_flags_and_environment() {
    let script = r#"fn journey() { print(`${env("A")} ${env("B", "none")} ${env("C", "none")}`); check(1, #{ one: |n| n == 1 }); }"#;
    let ran = Loadr::script(script).env("A", "outer").env("B", "from outside").var("A", "x=y").run().expect(0);
    assert_eq!(ran.prints(), ["x=y from outside none"]);
    let ran = Loadr::script("const X = env(\"NOT_SET\");\nfn journey() {}").run().expect(107);
    assert!(ran.stderr.contains("NOT_SET") && ran.stderr.contains("script.rhai:1:"), "{ran}");
}

#[test]
fn request_options_come_from_flags() {
    let server = Server::start(|request| match request.target() {
        "/loop" => Reply::redirect("302 Found", "/loop"),
        _ => Reply::ok("some body"),
    });
    let script = r#"
        const BASE = env("BASE");
        fn journey() {
            let loop_ = http::get(`${BASE}/loop`);
            let res = http::get(`${BASE}/x`);
            print(`${loop_.redirects} ${res.body.len()} ${res.size}`);
        }
    "#;
    let ran = Loadr::script(script)
        .var("BASE", server.base())
        .args(["--user-agent", "probe/9"])
        .flags("--max-redirects 2 --discard-response-bodies --no-connection-reuse")
        .run()
        .expect(0);
    assert_eq!(ran.prints(), ["2 0 0"], "{ran}");
    assert_eq!(server.connections(), 4);
    assert!(server.requests().iter().all(|request| request.header("user-agent") == Some("probe/9")));
}

#[test]
fn a_misspelt_flag_or_command_is_a_usage_error_with_the_nearest_name() {
    let ran = Loadr::script(CHECKING).flags("--iteratons 2").run().expect(2);
    assert!(ran.stderr.contains("'--iterations'"), "{ran}");
    let ran = Loadr::new().flags("runn x.rhai").run().expect(2);
    assert!(ran.stderr.contains("'run'"), "{ran}");
    let ran = Loadr::new().run().expect(2);
    assert!(ran.stderr.contains("Usage: loadr"), "{ran}");
    let ran = Loadr::new().flags("--help").run().expect(0);
    assert!(ran.stdout.contains("Usage: loadr") && ran.stderr.is_empty(), "{ran}");
    let ran = Loadr::new().flags("--version").run().expect(0);
    assert_eq!(ran.stdout, format!("loadr {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn vus_that_have_nothing_to_do_are_cut_and_told() {
    let ran = Loadr::script(&with_options("iterations: 2")).flags("--vus 3").run().expect(0);
    assert_eq!(ran.report().run.vus_max, 2);
    assert_eq!(ran.report().warnings, ["3 VUs cut to 2, as there are only 2 iterations"]);
}
