//! Checks, groups and the script's own metrics, as the report shows them.

use loadr::report::MetricSummary;

use crate::harness::Loadr;
use crate::server::Server;

#[test]
fn checks_are_counted_by_group_and_name_and_give_their_result() {
    let script = r#"
        fn journey(vu) {
            let all = check(vu.iteration, #{ "even": |n| n % 2 == 0, "small": |n| n < 3 });
            print(all);
            group("outer", || {
                group("inner", || check(1, #{ "even": |n| n % 2 == 0 }));
                check((), #{ "even": |n| true, "a value": true, "throws": |n| n.nothing > 1 })
            });
        }
    "#;
    let ran = Loadr::script(script).flags("--iterations 4").run().expect(99);
    let mut rows: Vec<_> =
        ran.report().checks.into_iter().map(|row| (row.group, row.name, row.passes, row.fails)).collect();
    rows.sort();
    let row = |group: &str, name: &str, passes, fails| (group.to_owned(), name.to_owned(), passes, fails);
    let expected = [
        row("", "even", 2, 2),
        row("", "small", 3, 1),
        row("outer", "a value", 4, 0),
        row("outer", "even", 4, 0),
        row("outer", "throws", 0, 4),
        row("outer::inner", "even", 0, 4),
    ];
    assert_eq!(rows, expected, "{ran}");
    assert_eq!(ran.prints(), ["true", "false", "true", "false"]);
    assert_eq!(ran.rate("checks"), (13, 11));
}

#[test]
fn groups_time_their_body_give_its_value_and_tag_what_is_in_them() {
    let server = Server::ok("x");
    let script = r#"
        const options = #{ thresholds: #{
            "http_reqs{group:outer}": ["count==1"],
            "http_reqs{group:outer::inner}": ["count==2"],
            "group_duration{group:outer}": ["count==1"],
            "checks{group:outer::inner}": ["rate==1"],
        } };
        fn journey() {
            let value = group("outer", || {
                http::get(env("BASE"));
                group("inner", || { http::get(env("BASE")); http::get(env("BASE")); check(1, #{ one: |n| n == 1 }); 41 }) + 1
            });
            http::get(env("BASE"));
            print(value);
        }
    "#;
    let ran = Loadr::script(script).var("BASE", server.base()).run().expect(0);
    assert_eq!(ran.prints(), ["42"]);
    assert_eq!(ran.values("group_duration"), 2);
    assert_eq!(ran.count("http_reqs"), 4.0);
}

#[test]
fn a_group_that_is_left_by_an_error_is_left() {
    let script = r#"
        fn journey() {
            try { group("broken", || { throw "out"; }); } catch (error) { print(error); }
            check(1, #{ outside: |n| n == 1 });
        }
    "#;
    let ran = Loadr::script(script).run().expect(0);
    assert_eq!(ran.prints(), ["out"]);
    assert_eq!(ran.check("outside").group, "");
}

#[test]
fn metrics_of_the_script_stand_in_the_report() {
    let script = r#"
        const options = #{ thresholds: #{ "orders{kind:gift}": ["count==4"], "wait": ["max<=30", "min>=10"] } };
        const ORDERS = metrics::counter("orders");
        const QUEUE = metrics::gauge("queue");
        const HITS = metrics::rate("hits");
        const ITEMS = metrics::trend("items");
        const WAIT = metrics::trend("wait", true);
        fn journey(vu) {
            ORDERS.add(2, #{ kind: "gift" });
            ORDERS.add(0.5);
            QUEUE.add(5 - vu.iteration);
            HITS.add(vu.iteration == 0);
            ITEMS.add(3); ITEMS.add(9);
            WAIT.add(10.ms); WAIT.add(20); WAIT.add(0.03.s);
        }
    "#;
    let ran = Loadr::script(script).flags("--iterations 2").run().expect(0);
    let metrics = ran.report().metrics;
    assert_eq!(ran.count("orders"), 5.0);
    assert_eq!(ran.count("orders{kind:gift}"), 4.0);
    assert_eq!(metrics["queue"], MetricSummary::Gauge { value: 4.0, min: 4.0, max: 5.0 });
    assert_eq!(ran.rate("hits"), (1, 1));
    let MetricSummary::Trend { unit, count, stats } = &metrics["items"] else { panic!("{ran}") };
    assert_eq!((&**unit, *count, stats.min, stats.avg, stats.max), ("", 4, 3.0, 6.0, 9.0));
    let MetricSummary::Trend { unit, count, stats } = &metrics["wait"] else { panic!("{ran}") };
    assert_eq!((&**unit, *count, stats.min, stats.max), ("ms", 6, 10.0, 30.0));
    assert!((20.0..20.05).contains(&stats.med), "three digits of a percentile are exact, this is {}", stats.med);
    for name in ["orders", "queue", "hits", "items", "wait"] {
        assert!(ran.stdout.contains(&format!("\n  {name}")), "{name}\n{ran}");
    }
}

#[test]
fn metrics_are_declared_once_and_at_the_top() {
    for (script, part) in [
        ("const A = metrics::counter(\"a\");\nconst B = metrics::rate(\"a\");\nfn journey() {}", "`a`"),
        ("const A = metrics::counter(\"http_reqs\");\nfn journey() {}", "`http_reqs`"),
        ("const A = metrics::counter(\"no spaces please\");\nfn journey() {}", "`no spaces please`"),
    ] {
        let ran = Loadr::script(script).run().expect(107);
        assert!(ran.stderr.contains(part) && ran.stderr.contains("script.rhai:"), "{ran}");
    }
    let ran = Loadr::script("fn journey() { metrics::counter(\"late\"); }").run().expect(99);
    assert!(ran.stderr.contains("late"), "{ran}");
}

#[test]
fn tags_of_the_run_are_on_every_series() {
    let server = Server::ok("x");
    let ran = Loadr::script("fn journey() { check(http::get(env(\"BASE\")), #{ ok: |r| r.status == 200 }); }")
        .var("BASE", server.base())
        .flags("--tag team=a --tag shift=night")
        .args(["--threshold", "http_reqs{team:a,shift:night}: count==1"])
        .args(["--threshold", "checks{team:a}: rate==1"])
        .args(["--threshold", "iterations{team:a}: count==1"])
        .run()
        .expect(0);
    assert_eq!(ran.report().thresholds.len(), 3);
}
