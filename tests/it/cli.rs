//! What is printed where: the summary on stdout, progress and diagnostics on stderr, to the letter.

use crate::harness::Loadr;
use crate::server::{Reply, Server};

const SHOP: &str = r#"
    const options = #{
        vus: 2, iterations: 4,
        thresholds: #{ checks: ["rate>0.9"], http_req_failed: ["rate<0.1"], "http_reqs{name:item}": ["count==4"] },
    };
    const ORDERS = metrics::counter("orders");
    fn journey(vu) {
        group("browse", || {
            let res = http::get(`${env("BASE")}/item`, #{ name: "item" });
            check(res, #{ "item is 200": |r| r.status == 200 });
        });
        let res = http::post(`${env("BASE")}/order`, #{}, #{ name: "order" });
        check(res, #{ "order is 201": |r| r.status == 201 });
        ORDERS.add(1);
    }
"#;

fn shop(order: &'static str) -> Server {
    Server::start(move |request| match request.target() {
        "/order" => Reply::with(order, &[], "done"),
        _ => Reply::ok("an item"),
    })
}

#[test]
fn the_summary_of_a_run_that_passed() {
    let server = shop("201 Created");
    let ran = Loadr::script_without_export(SHOP).var("BASE", server.base()).flags("--threads 1").run().expect(0);
    insta::assert_snapshot!(ran.stdout_filtered(), @r"
    PASSED  ·  8 requests, none failed  ·  8 checks, all held  ·  all 3 thresholds hold

    script.rhai  ·  TIME  ·  up to 2 VUs  ·  seed SEED
      default  shared-iterations: 4 iterations shared by 2 VUs, at most 10m

    THRESHOLDS
      ✓ checks  rate>0.9  100%  10.0 points to spare
      ✓ http_req_failed  rate<0.1  0%  10.0 points to spare
      ✓ http_reqs{name:item}  count==4  4

    CHECKS  100% of 8 held
      browse
        ✓ item is 200  100%  4 of 4
      ✓ order is 201  100%  4 of 4

    REQUESTS
      name  method  count  failed  rate  p50  p95  p99  max
      item  GET  4  0  RATE/s  TIME  TIME  TIME  TIME
      order  POST  4  0  RATE/s  TIME  TIME  TIME  TIME
      all  8  0  RATE/s  TIME  TIME  TIME  TIME

    SLOWEST ...

    TOTALS
      requests  8  RATE/s  0% failed (0)  2 connections opened
      iterations  4  RATE/s  0 failed  p50 TIME  p95 TIME  max TIME
      data  SIZE received (RATE)  SIZE sent (RATE)
      vus  2 at most
      phases p95  blocked TIME ×2  connecting TIME ×2  sending TIME ×8  waiting TIME ×8  receiving TIME ×8

    METRICS OF THE SCRIPT
      orders  4  RATE/s

    GENERATOR ...

    Closed load: a target that stalls also stalls its VUs, so the requests that would have come meanwhile are not sent, and
    these latencies are too kind (coordinated omission). Use an arrival-rate executor where users keep coming however slow
    the target is.
    ");
    insta::assert_snapshot!(ran.stderr_filtered(), @r"
    started script=script.rhai scenarios=1 vus_max=2 seed=SEED
    progress t_s=N vus=0 vus_max=2 iterations=4 iterations_failed=0 requests=8 requests_per_s=N failed=0 failed_percent=0.00 p50_ms=N p95_ms=N p99_ms=N checks_percent=100.00 received_bytes=N sent_bytes=N
    ended duration_s=N passed=true
    ");
}

#[test]
fn the_summary_of_a_run_that_failed() {
    let server = shop("500 Internal Server Error");
    let ran = Loadr::script_without_export(SHOP).var("BASE", server.base()).flags("--threads 1").run().expect(99);
    insta::assert_snapshot!(ran.stdout_filtered(), @r"
    FAILED: threshold `rate>0.9` on `checks` failed: 50 %
        threshold `rate<0.1` on `http_req_failed` failed: 50 %

    script.rhai  ·  TIME  ·  up to 2 VUs  ·  seed SEED
      default  shared-iterations: 4 iterations shared by 2 VUs, at most 10m

    LOOK AT FIRST
      4 requests failed (50.0%): status 500 internal server error
        From the start on. The target failed by its own account: its log of that time says why.
      POST order fails most: 100% of the time
        100% of all failures are its own, though it is only 50.0% of the requests.

    THRESHOLDS  2 of 3 failed
      ✗ checks  rate>0.9  50.0%  40.0 points short
      ✗ http_req_failed  rate<0.1  50.0%  40.0 points over
      ✓ http_reqs{name:item}  count==4  4

    CHECKS  50.0% of 8 held
      ✗ order is 201  0%  0 of 4  4 failed
      browse
        ✓ item is 200  100%  4 of 4

    REQUESTS
      name  method  count  failed  rate  p50  p95  p99  max
      item  GET  4  0  RATE/s  TIME  TIME  TIME  TIME
      order  POST  4  4  RATE/s  TIME  TIME  TIME  TIME
      all  8  4  RATE/s  TIME  TIME  TIME  TIME

    SLOWEST ...

    TOTALS
      requests  8  RATE/s  50.0% failed (4)  2 connections opened
      iterations  4  RATE/s  0 failed  p50 TIME  p95 TIME  max TIME
      data  SIZE received (RATE)  SIZE sent (RATE)
      vus  2 at most
      phases p95  blocked TIME ×2  connecting TIME ×2  sending TIME ×8  waiting TIME ×8  receiving TIME ×8

    METRICS OF THE SCRIPT
      orders  4  RATE/s

    ERRORS
      4 × status 500 internal server error  the target's side  code 1500  first at TIME
        POST http://127.0.0.1:PORT/order: status 500

    GENERATOR ...

    Closed load: a target that stalls also stalls its VUs, so the requests that would have come meanwhile are not sent, and
    these latencies are too kind (coordinated omission). Use an arrival-rate executor where users keep coming however slow
    the target is.
    ");
    insta::assert_snapshot!(ran.stderr_filtered(), @r"
    started script=script.rhai scenarios=1 vus_max=2 seed=SEED
    threshold fails: checks: rate>0.9 (found 50.0%)
    threshold fails: http_req_failed: rate<0.1 (found 50.0%)
    progress t_s=N vus=0 vus_max=2 iterations=4 iterations_failed=0 requests=8 requests_per_s=N failed=4 failed_percent=50.00 p50_ms=N p95_ms=N p99_ms=N checks_percent=50.00 received_bytes=N sent_bytes=N
    ended duration_s=N passed=false
    ");
}

#[test]
fn quiet_leaves_the_summary_and_errors() {
    let script = r#"
        fn journey() { print("said"); log::warn("odd"); log::error("wrong"); check(1, #{ one: |n| n == 1 }); }
    "#;
    let ran = Loadr::script_without_export(script).flags("--quiet").run().expect(0);
    assert_eq!(ran.stderr, "error vu 1: wrong\n");
    assert!(ran.stdout.starts_with("PASSED  ·  1 check, all held\n"), "{ran}");
}

#[test]
fn what_a_script_says_goes_to_stderr_with_its_level() {
    let script = r#"
        print("init says so");
        fn setup() { log::info("setup"); }
        fn journey() {
            log::debug("small"); print("one\ntwo"); log::warn("odd"); log::error(#{ code: 7 });
            check(1, #{ one: |n| n == 1 });
        }
    "#;
    for (flags, debug) in [("", ""), ("--verbose", "debug vu 1: small\n")] {
        let ran = Loadr::script_without_export(script).flags("--threads 1").flags(flags).run().expect(0);
        let said: String = ran
            .stderr
            .split_inclusive('\n')
            .filter(|line| !["started ", "progress ", "ended "].iter().any(|word| line.starts_with(word)))
            .collect();
        let expected = format!(
            "info: init says so\ninfo: init says so\ninfo: setup\n{debug}info vu 1: one\n  two\nwarn vu 1: odd\nerror vu 1: #{{\"code\": 7}}\n"
        );
        assert_eq!(said, expected, "{ran}");
        assert!(!ran.stdout.contains("init says so"));
    }
}

#[test]
fn progress_is_plain_lines_where_there_is_no_terminal() {
    let script = "fn journey() { sleep(20.ms); check(1, #{ one: |n| n == 1 }); }";
    let ran = Loadr::script_without_export(script).flags("-u 2 -d 1.5s --seed 5").run().expect(0);
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(lines[0], "started script=script.rhai scenarios=1 vus_max=2 seed=5");
    assert!(lines[1].starts_with("progress t_s=1 vus=2 vus_max=2 iterations="), "{ran}");
    assert!(lines.last().unwrap().starts_with("ended duration_s=1."), "{ran}");
    assert!(!ran.stderr.contains('\u{1b}') && !ran.stdout.contains('\u{1b}'), "no escape sequences\n{ran}");
}

#[test]
fn colours_only_where_they_are_wanted() {
    let command = || Loadr::script_without_export("fn journey() { check(1, #{ one: |n| n == 1 }); }");
    let ran = command().env("CLICOLOR_FORCE", "1").run().expect(0);
    assert!(ran.stdout.contains('\u{1b}'), "{ran}");
    let ran = command().env("CLICOLOR_FORCE", "1").flags("--no-color").run().expect(0);
    assert!(!ran.stdout.contains('\u{1b}'), "{ran}");
}

#[test]
fn docs_tell_what_scripts_can_call() {
    let ran = Loadr::new().flags("docs http::get").run().expect(0);
    assert!(ran.stdout.starts_with("http::get(url"), "{ran}");
    let ran = Loadr::new().flags("docs oauth2").run().expect(0);
    assert!(
        ran.stdout.starts_with("import \"std/oauth2\" as oauth2;\n\noauth2::client_credentials(client) -> string\n"),
        "{ran}"
    );
    let ran = Loadr::new().flags("docs Retry-After").run().expect(0);
    assert!(
        ran.stdout.starts_with("retry::after(res) -> Duration or ()\n") && ran.stdout.contains("tells more"),
        "{ran}"
    );
    let ran = Loadr::new().flags("docs --format json std/flow").run().expect(0);
    let sections: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(
        (&sections[0]["import"], &sections[1]),
        (&"import \"std/flow\" as flow;".into(), &serde_json::Value::Null)
    );
    assert_eq!(sections[0]["functions"][0]["parameters"][0]["name"], "ways");
    let ran = Loadr::new().flags("docs http::gett").run().expect(2);
    assert_eq!(ran.stderr, "error: scripts have no `http::gett`; did you mean `http::get`?\n");
    let ran = Loadr::new().flags("docs").run().expect(0);
    for module in ["http:", "data:", "metrics:", "crypto:", "random:", "regex:", "time:", "url:", "json:", "log:"] {
        assert!(ran.stdout.lines().any(|line| line.starts_with(module)), "{module}");
    }
}

#[test]
fn a_port_that_is_taken_is_told() {
    let server = Server::ok("x");
    let ran = Loadr::new().args(["demo", "--listen", &server.address().to_string()]).run().expect(1);
    let expected = format!("error: can't listen on `{}`; choose another address with --listen: ", server.address());
    assert!(ran.stderr.starts_with(&expected), "{ran}");
}
