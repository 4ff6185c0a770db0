//! The journeys that people start from, run by the real binary as the README says, against the demo server.

use std::path::Path;

use crate::harness::Loadr;
use crate::server::Server;

fn path(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name).display().to_string()
}

fn command(name: &str, flags: &str) -> Loadr {
    Loadr::export_of(&path(name)).flags("--demo").flags(flags)
}

#[test]
fn the_main_journey_with_a_thousand_users_in_short() {
    // Its thresholds are about a quiet machine, which a test can't ask for: they may fail, nothing else may.
    let ran = command("quickstart.rhai", "--duration 6s").run();
    let report = ran.report();
    assert_eq!(report.run.vus_max, 1000, "{ran}");
    let (passed, failed) = ran.rate("checks");
    assert_eq!(failed, 0, "{ran}");
    assert!(passed >= 8000, "{ran}");
    assert_eq!(ran.rate("http_req_failed").0, 0, "{ran}");
    assert!(ran.count("orders") >= 900.0, "{ran}");
    assert_eq!(ran.count("iterations_failed"), 0.0);
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    let names: std::collections::BTreeSet<_> = report.requests.iter().map(|row| row.name.as_str()).collect();
    let expected = ["cart", "item", "login", "login page", "order", "products", "upload"];
    assert_eq!(names, expected.into_iter().collect(), "{ran}");
    for threshold in report.thresholds.iter().filter(|threshold| !threshold.metric.contains("duration")) {
        assert!(threshold.ok, "{threshold:?}");
    }
}

#[test]
fn the_demo_gives_way_to_a_target_that_was_named() {
    let server = Server::ok("mine");
    let script = "fn journey() { print(http::get(env(\"BASE_URL\")).body); }";
    let ran = Loadr::script(script).flags("--demo").var("BASE_URL", server.base()).run().expect(0);
    assert_eq!(ran.prints(), ["mine"]);
}

#[test]
fn each_journey_runs_through_the_binary() {
    // They think more than they work, so they run side by side.
    let running = ["login.rhai", "upload.rhai", "api.rhai", "shop.rhai"]
        .map(|name| (name, command(name, "--vus 6 --duration 3s --threads 1").start()));
    for (name, running) in running {
        let ran = running.wait();
        assert_eq!(ran.rate("checks").1, 0, "{name}\n{ran}");
        assert!(ran.rate("checks").0 > 0, "{name}\n{ran}");
        assert_eq!(ran.rate("http_req_failed").0, 0, "{name}\n{ran}");
        assert!(ran.report().errors.is_empty(), "{name}\n{ran}");
    }
}

/// Maps of constants are taken apart once; whatever they are for has to come out the same each time.
#[test]
fn maps_of_constants_mean_the_same_each_time() {
    let script = r#"
        const BASE = env("BASE");
        const options = #{ vus: 2, iterations: 6 };
        fn journey() {
            for turn in 0..2 {
                let res = http::get(BASE, #{ name: "named", tags: #{ kind: "plain" } });
                check(res, #{ "is 200": |r| r.status == 200, "always": true }, #{ of: "named" });
                let other = http::post(BASE, #{ a: 1 }, #{ headers: #{ "X-Turn": "yes" }, expected: 200 });
                if !check(other, #{ "echoes": |r| r.body == "fine" }) { fail("no"); }
                group("inner", || {
                    // What a closure has captured comes before its parameters.
                    check(turn, #{ "is small": |n| n < 2, "is the same": |n| n == turn });
                    try { http::get(BASE, #{ headers: #{ "bad name": "x" } }); } catch (error) { print(error); }
                    try { http::get(BASE, #{ headers: #{ "bad name": "x" } }); } catch (error) { print(error); }
                });
            }
        }
    "#;
    let server = Server::ok("fine");
    let ran = Loadr::script(script).var("BASE", format!("{}/path", server.base())).flags("--threads 1").run().expect(0);
    let count = |method: &str, name: &str| ran.request(method, name).count;
    assert_eq!((count("GET", "named"), count("POST", &format!("{}/path", server.base()))), (12, 12), "{ran}");
    for (check, passes) in [("is 200", 12), ("always", 12), ("echoes", 12), ("is small", 12), ("is the same", 12)] {
        assert_eq!((ran.check(check).passes, ran.check(check).fails), (passes, 0), "{check}");
    }
    assert_eq!(server.requests().iter().filter(|request| request.header("X-Turn") == Some("yes")).count(), 12);
    assert_eq!(ran.prints(), ["`bad name` can't be the name of a header"; 24]);
}

/// A script may have a function of the name of one that takes such maps.
#[test]
fn a_function_of_the_scripts_own_gets_maps_as_they_are() {
    let script = r#"
        fn check(value, map) { print(`own check ${value} ${map.held}`); }
        fn journey() { check(1, #{ held: true }); }
    "#;
    let ran = Loadr::script(script).flags("--allow-failure").run().expect(0);
    assert_eq!(ran.prints(), ["own check 1 true"]);
}

/// Constants and durations are put in their places once; what has the same name nearby keeps its own meaning.
#[test]
fn constants_are_what_they_are_wherever_a_variable_has_their_name() {
    let script = r#"
        const NAME = "outer";
        const COUNT = 2;
        const LIST = [1, 2];
        fn journey(vu) {
            for turn in 0..2 {
                print(`${NAME} ${COUNT + 1} ${LIST} ${500.ms} ${1.s..3.s} ${1.s < 2.s}`);
                let LIST = LIST;
                LIST.push(3);
                print(`${LIST}`);
            }
            print(`${inner("given")} ${NAME}`);
            let NAME = "local";
            print(`${NAME} ${url::encode(NAME)}`);
            for NAME in ["loop"] { print(`${NAME}`); }
            let told = |COUNT| `${NAME} ${COUNT}`;
            print(told.call(5));
            group("g", || print(`${NAME} ${COUNT}`));
        }
        fn inner(NAME) { `${NAME} ${url::encode(NAME)}` }
    "#;
    let ran = Loadr::script(script).flags("--allow-failure").run().expect(0);
    assert_eq!(
        ran.prints(),
        [
            "outer 3 [1, 2] 500ms 1s..3s true",
            "[1, 2, 3]",
            "outer 3 [1, 2] 500ms 1s..3s true",
            "[1, 2, 3]",
            "given given outer",
            "local local",
            "loop",
            "local 5",
            "local 2"
        ]
    );
}
