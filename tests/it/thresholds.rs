//! Thresholds: checked before the run, judged at its end, able to end it.

use crate::harness::Loadr;
use crate::server::{Reply, Server};

const JOURNEY: &str = r#"
    const ORDERS = metrics::counter("orders");
    fn journey(vu) {
        for n in 0..4 {
            http::get(`${env("BASE")}/item/${n}`, #{ name: "item", tags: #{ kind: if n == 0 { "first" } else { "later" } } });
        }
        http::get(`${env("BASE")}/missing`, #{ name: "missing" });
        check(vu.id, #{ "is one": |id| id == 1 });
        ORDERS.add(2);
    }
"#;

fn shop() -> Server {
    Server::start(|request| match request.target() {
        "/missing" => Reply::with("404 Not Found", &[], ""),
        _ => Reply::ok("x"),
    })
}

#[test]
fn each_kind_of_expression_is_judged_by_what_was_measured() {
    let server = shop();
    for (threshold, ok) in [
        ("http_reqs: count==5", true),
        ("http_reqs: count>5", false),
        ("http_req_failed: rate==0.2", true),
        ("http_req_failed: rate<0.2", false),
        ("checks: rate==1", true),
        ("orders: count>=2 && count<3", true),
        ("orders: count<1 || count==2", true),
        ("orders: count<1 && count==2", false),
        ("http_req_duration: p(99.9)<1m", true),
        ("http_req_duration: p(95)<0.001us", false),
        ("http_req_duration: max<60000 && avg>0", true),
        ("http_reqs{name:item}: count==4", true),
        ("http_reqs{name:item,kind:first}: count==1", true),
        ("http_reqs{kind!=first,name:item}: count==3", true),
        ("http_reqs{status:404}: count==1", true),
        ("http_req_failed{name:missing}: rate==1", true),
        ("http_reqs{name:mis*}: count==1", true),
        ("iterations: count==1", true),
    ] {
        let ran = Loadr::script(JOURNEY).var("BASE", server.base()).args(["--threshold", threshold]).run();
        let ran = ran.expect(if ok { 0 } else { 99 });
        let told = &ran.report().thresholds[0];
        assert_eq!((told.ok, told.value.is_some()), (ok, true), "{threshold}\n{ran}");
        assert_eq!(format!("{}: {}", told.metric, told.expression), threshold);
        if !ok {
            let begin = format!("FAILED: threshold `{}` on `{}` failed: ", told.expression, told.metric);
            assert!(ran.verdict().starts_with(&begin), "{ran}");
        }
    }
}

#[test]
fn thresholds_of_the_script_and_of_flags_add_up() {
    let server = shop();
    let script =
        format!("const options = #{{ thresholds: #{{ http_reqs: [\"count==5\"], checks: \"rate==1\" }} }};\n{JOURNEY}");
    let ran =
        Loadr::script(&script).var("BASE", server.base()).args(["--threshold", "orders: count==2"]).run().expect(0);
    let judged: Vec<_> = ran.report().thresholds.into_iter().map(|t| (t.metric, t.ok)).collect();
    assert_eq!(judged, [("checks".into(), true), ("http_reqs".into(), true), ("orders".into(), true)], "{ran}");
    assert!(ran.verdict().ends_with("all 3 thresholds hold"), "{ran}");
}

#[test]
fn a_selected_series_stands_in_the_report_under_its_selector() {
    let server = shop();
    let ran = Loadr::script(JOURNEY)
        .var("BASE", server.base())
        .args(["--threshold", "http_req_duration{name:item}: p(95)<60000"])
        .run()
        .expect(0);
    assert_eq!(ran.values("http_req_duration{name:item}"), 4);
    assert_eq!(ran.values("http_req_duration"), 5);
}

#[test]
fn nonsense_is_refused_before_any_load_with_the_nearest_name() {
    let server = shop();
    for (threshold, message) in [
        (
            "http_req_duraton: p(95)<500",
            "error: threshold on `http_req_duraton`: there is no metric `http_req_duraton` (did you mean `http_req_duration`?)",
        ),
        ("order: count>1", "error: threshold on `order`: there is no metric `order` (did you mean `orders`?)"),
    ] {
        let ran = Loadr::script(JOURNEY).var("BASE", server.base()).args(["--threshold", threshold]).run().expect(104);
        assert_eq!(ran.stderr, format!("{message}\n"));
        assert!(!ran.has_export());
    }
    for threshold in [
        "checks: p(95)<500",
        "http_req_duration: rate<0.1",
        "http_reqs: count>",
        "http_reqs: count>1 &&",
        "http_reqs{nmae:item}: count>1",
        "http_reqs{name: count>1",
        "http_req_duration: p(101)<1",
    ] {
        let ran = Loadr::script(JOURNEY).var("BASE", server.base()).args(["--threshold", threshold]).run().expect(104);
        assert!(ran.stderr.starts_with("error: "), "{threshold}\n{ran}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran}");
    }
    assert_eq!(server.requests().len(), 0, "all of them were found before the load");
}

#[test]
fn a_threshold_without_data_fails_unless_that_is_allowed() {
    let server = shop();
    let command = || {
        let threshold = ["--threshold", "http_reqs{name:nothing}: count>=0"];
        Loadr::script(JOURNEY).var("BASE", server.base()).args(threshold)
    };
    let ran = command().run().expect(99);
    assert_eq!(ran.verdict(), "FAILED: threshold `count>=0` on `http_reqs{name:nothing}` has no data");
    assert_eq!((ran.report().thresholds[0].ok, ran.report().thresholds[0].value), (false, None));
    command().flags("--allow-failure").run().expect(0);
}

#[test]
fn a_threshold_that_failed_is_not_forgiven_by_allow_failure() {
    let server = shop();
    let command = Loadr::script(JOURNEY).var("BASE", server.base()).args(["--threshold", "http_reqs: count>100"]);
    command.flags("--allow-failure").run().expect(99);
}

#[test]
fn a_threshold_can_end_the_run() {
    let server = shop();
    let script = r#"
        const options = #{
            vus: 2, duration: 1.h,
            thresholds: #{ http_req_failed: [#{ threshold: "rate<0.5", abort_on_fail: true, delay_abort_eval: "1s" }] },
        };
        fn journey() { http::get(`${env("BASE")}/missing`); sleep(20.ms); }
        fn teardown() { print("teardown"); }
    "#;
    let ran = Loadr::script(script).var("BASE", server.base()).run().expect(99);
    assert_eq!(
        ran.verdict(),
        "FAILED: threshold `rate<0.5` on `http_req_failed` failed and ended the run: 100 %",
        "{ran}"
    );
    assert!(ran.stderr.contains("threshold fails: http_req_failed: rate<0.5 (found 100%); the run ends\n"), "{ran}");
    assert_eq!(ran.prints(), ["teardown"]);
    assert!(ran.report().run.duration_s >= 1.0, "not before `delay_abort_eval` is over");
}
