//! `parallel`: flows that wait in the middle of anything, side by side in one virtual user.

use crate::harness::{Loadr, Ran};

fn journey(body: &str) -> Ran {
    run(&format!("fn journey(vu) {{\n{body}\n}}"), "")
}

fn run(script: &str, flags: &str) -> Ran {
    let library = "
        fn deep(n, pause) { if n == 0 { sleep(pause); return 0; } 1 + deep(n - 1, pause) }
        fn around(f, x) { let before = x; sleep(1.ms); let y = f.call(x); sleep(1.ms); if before != x { throw \"lost\" } y }
    ";
    Loadr::script(script).file("lib.rhai", library).flags("--demo").flags(flags).run()
}

#[test]
fn flows_wait_within_calls_closures_imports_and_handlers_and_lose_nothing() {
    let script = r#"
        import "./lib" as lib;
        const N = 40;
        fn own(n, seed) {
            let kept = seed;
            let sum = 0;
            for i in 0..n {
                let add = |x| { sleep(1.ms); x + kept };
                sum += add.call(i);
                if kept != seed { throw "a local was lost"; }
            }
            sum
        }
        fn flow(seed) {
            let total = own(5, seed);
            total += lib::deep(6, 2.ms);
            total += lib::around(|x| { sleep(1.ms); own(2, x) }, seed);
            try {
                sleep(1.ms);
                throw #{ seed: seed };
            } catch (error) {
                sleep(1.ms);
                if error.seed != seed { throw "an error of another flow"; }
            }
            [1, 2].map(|x| { sleep(1.ms); x + seed }).len() + total
        }
        fn expected(seed) { (10 + 5 * seed) + 6 + (1 + 2 * seed) + 2 }
        fn journey() {
            for round in 0..3 {
                let flows = [];
                for seed in 0..N { let mine = seed; flows.push(|| flow(mine)); }
                let all = parallel(flows, #{ at_once: 7 });
                for seed in 0..N { if all[seed] != expected(seed) { throw `flow ${seed}: ${all[seed]}`; } }
            }
            let kept = "kept";
            let named = parallel(#{
                a: || { kept += " by a"; sleep(2.ms); kept },
                b: || { sleep(1.ms); kept += " by b"; kept },
            });
            check(named, #{ "copies": |all| all.a == "kept by a" && all.b == "kept by b" });
            check(kept, #{ "the original": |kept| kept == "kept" });
            check(parallel([]), #{ "nothing": |all| all == [] });
        }
    "#;
    run(script, "--vus 3 --iterations 6 --threshold checks:rate==1").expect(0);
}

#[test]
fn flows_really_run_side_by_side_and_have_groups_of_their_own() {
    let ran = run(
        r#"
        const BASE = env("BASE_URL");
        fn journey(vu) {
            vu.state.ready = false;
            group("outer", || parallel([
                || group("one", || {
                    // It ends only because the other one goes on meanwhile.
                    while !vu.state.ready { sleep(1.ms); }
                    http::get(BASE + "/health", #{ name: "one" });
                }),
                || {
                    group("two", || {
                        http::get(BASE + "/health", #{ name: "two" });
                        vu.state.ready = true;
                        http::get(BASE + "/health", #{ name: "two" });
                    });
                    http::get(BASE + "/health", #{ name: "between" });
                },
            ]));
            http::get(BASE + "/health", #{ name: "after" });
        }
        "#,
        "--threshold http_reqs{name:one,group:outer::one}:count==1 --threshold http_reqs{name:two,group:outer::two}:count==2 \
         --threshold http_reqs{name:between,group:outer}:count==1 --threshold http_reqs{name:after,group:outer}:count==0 \
         --threshold http_reqs{name:after}:count==1",
    );
    // The one that counts nothing has no data, which fails the run; all others hold.
    assert!(!ran.stderr.contains("error:"), "{}", ran.stderr);
    let report = ran.report();
    let failed: Vec<_> = report.thresholds.iter().filter(|one| !one.ok).map(|one| &*one.metric).collect();
    assert_eq!(failed, ["http_reqs{name:after,group:outer}"], "{}", ran.stdout);
}

#[test]
fn an_error_in_one_flow_ends_the_others_and_is_thrown_with_its_place() {
    let ran = run(
        r#"
        const BASE = env("BASE_URL");
        fn fails() { http::get(BASE + "/health", #{ name: "before" }); throw "no stock"; }
        fn journey(vu) {
            let told = ();
            try {
                parallel([
                    || { group("open", || sleep(60.s)); http::get(BASE + "/health", #{ name: "never" }); },
                    || { http::get(BASE + "/delay/30"); },
                    || fails(),
                ]);
            } catch (error) { told = error; }
            check(told, #{ "told": |e| e == "no stock" });
            // The script goes on, with its group and its budget.
            http::get(BASE + "/health", #{ name: "after" });
            check(parallel([|| 1]), #{ "again": |all| all == [1] });
            fails_outside();
        }
        fn fails_outside() {
            parallel(#{ good: || sleep(30.s), bad: || fails() });
        }
        "#,
        "--threshold checks:rate==1",
    );
    let report = ran.report();
    let names: Vec<&str> = report.requests.iter().map(|request| request.name.as_str()).collect();
    assert!(names.contains(&"after") && names.contains(&"before") && !names.contains(&"never"), "{names:?}");
    assert!(ran.stderr.contains("script.rhai:3"), "{}", ran.stderr);
    assert!(ran.stderr.contains("no stock"), "{}", ran.stderr);
}

#[test]
fn what_can_not_run_side_by_side_is_told() {
    for (body, told) in [
        ("parallel([|| parallel([|| 1])]);", "can't be called within a flow"),
        ("parallel([|| 1, 2]);", "`parallel` runs functions, number 2 is i"),
        ("parallel(#{ a: \"x\" });", "`a` is string"),
        ("parallel([|| 1], #{ at_onc: 1 });", "did you mean `at_once`"),
        ("parallel([|| 1], #{ at_once: 0 });", "must be a number from 1"),
        ("let all = []; for i in 0..1001 { all.push(|| 1); } parallel(all);", "at most 1000 flows"),
        ("parallel([|| sleep(60.s)], #{ timeout: 20.ms });", "not over within 20ms"),
    ] {
        let ran = journey(body);
        assert!(ran.stderr.contains(told), "`{body}`:\n{}", ran.stderr);
    }
    let ran = run("const A = parallel([|| 1]);\nfn journey() {}", "");
    assert!(ran.stderr.contains("top level of a script can't run flows"), "{}", ran.stderr);
}

#[test]
fn a_flow_that_oversteps_ends_its_iteration_and_no_more() {
    for (flow, flags, told) in [
        ("let f = || 0; fn_without_end(1)", "", "nested too deep"),
        ("loop { }", "--max-script-time 300ms", "computed for more than 300ms"),
        ("let a = \"x\"; loop { a += a; }", "--max-vu-memory 8MiB", "of memory"),
        ("abort(\"enough\")", "", "enough"),
    ] {
        let script = format!(
            "fn fn_without_end(n) {{ 1 + fn_without_end(n + 1) }}\n\
             fn journey() {{\n    parallel([|| {{ loop {{ sleep(1.ms); }} }}, || {{ {flow} }}]);\n}}"
        );
        let ran = run(&script, flags);
        let shown = format!("{}{}", ran.stderr, ran.stdout);
        assert!(shown.contains(told), "`{flow}`:\n{shown}");
    }
}

#[test]
fn flows_end_with_their_virtual_user() {
    let ran = run(
        r#"
        const BASE = env("BASE_URL");
        const options = #{
            scenarios: #{ all: #{ executor: "constant-vus", vus: 3, duration: 300.ms, graceful_stop: 0.s, exec: "journey" } },
        };
        fn journey() {
            parallel([
                || group("slow", || sleep(600.s)),
                || { http::get(BASE + "/delay/600", #{ timeout: 600.s }); },
                || { try { sleep(600.s); } catch { sleep(600.s); } },
            ]);
        }
        fn vu_stop() { print("stopped well"); }
        "#,
        "",
    );
    assert!(!ran.stderr.contains("error:") && !ran.stderr.contains("panicked"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("stopped well").count(), 3, "{}", ran.stderr);
}

#[test]
fn the_choices_of_a_flow_come_from_the_seed_whatever_runs_beside_it() {
    let script = |pause: &str| {
        format!(
            "fn draws(pause) {{ let all = []; for i in 0..5 {{ all.push(random::int(0, 1000000)); sleep(pause); }} all }}\n\
             fn journey() {{ check(1, #{{ \"one\": |n| n == 1 }}); print(`drawn ${{parallel([|| draws({pause}), || draws(1.ms), || draws(2.ms)])}}`); }}"
        )
    };
    let drawn = |pause: &str| {
        let ran = run(&script(pause), "--seed 7").expect(0);
        ran.stderr.lines().find_map(|line| line.split_once("drawn ")).map(|(_, drawn)| drawn.to_owned())
    };
    assert!(drawn("1.ms").is_some());
    assert_eq!(drawn("1.ms"), drawn("5.ms"));
}
