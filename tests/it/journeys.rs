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

/// In a journey's own statements texts are put together, and host functions called, otherwise than in the functions that
/// it calls: nobody is to see the difference.
#[test]
fn texts_are_the_same_in_a_journey_and_in_what_it_calls() {
    let script = r#"
        const BASE = env("BASE");
        fn text(x) { `<${x}>` }
        fn texts(x, y) { `${x} and ${y}, ${BASE}/${y}${x}` }
        fn long(x) { `${x},${x},${x},${x},${x},${x},${x},${x}` }
        fn journey(vu) {
            let res = http::get(BASE, #{ name: "page" });
            let values = ["text", "", 1, -5, 9223372036854775807, 1.0, 0.1, 1e300, true, 'c', (), [1, "a", ()], #{ a: 1 },
                5.s, 1.s..3.s, res, |x| x, 0..3, http::jar(), http::form(#{ a: 1 }), random::bytes(3), vu];
            for x in values {
                let own = [`<${x}>`, `${x} and ${1}, ${BASE}/${1}${x}`, `${x},${x},${x},${x},${x},${x},${x},${x}`];
                let called = [text(x), texts(x, 1), long(x)];
                print(if own == called { "same" } else { `${own} is not ${called}` });
            }
            let n = 0;
            let next = || { n += 1; n };
            print(`${n} ${next.call()} ${n} ${next.call()}`);
            print(`${BASE}/a` == BASE + "/a");
        }
    "#;
    let server = Server::ok("fine");
    let ran = Loadr::script(script).var("BASE", server.base()).run().expect(0);
    let prints = ran.prints();
    let (values, last) = prints.split_at(22);
    assert_eq!(values, ["same"; 22]);
    assert_eq!(last, ["0 1 1 2", "true"]);
}

/// What is wrong with a call of a host function is told alike, too.
#[test]
fn wrong_calls_say_the_same_in_a_journey_and_in_what_it_calls() {
    let wrong = [
        ("http::get(json::parse(\"5\"))", "http::get (i64)"),
        ("http::get(BASE, #{ headers: #{ \"bad name\": vu.id } })", "`bad name`"),
        ("http::post(json::parse(\"true\"), json::parse(\"1\"), #{ name: \"x\" })", "http::post (bool, i64, "),
        ("random::int(2 + vu.id, 1)", "`min` 3 is more than `max` 1"),
        ("random::int(json::parse(\"[]\"), 1)", "random::int (array, i64)"),
        ("checks::status(json::parse(\"7\"), 200)", "`checks::status: res` must be a response"),
        ("think::uniform(json::parse(\"7\"), 2.s)", "`think::uniform: shortest` must be a duration"),
        ("regex::matches(\"a\", json::parse(\"\\\"(\\\"\"))", "unclosed group"),
    ];
    let caught = |call: &str| format!("try {{ {call}; }} catch (error) {{ print(told(error)); }}");
    let indexed = || wrong.iter().enumerate();
    let own: String = indexed().map(|(index, (call, _))| format!("{} other{index}(vu);\n", caught(call))).collect();
    let others: String =
        indexed().map(|(index, (call, _))| format!("fn other{index}(vu) {{ {} }}\n", caught(call))).collect();
    let script = format!(
        "import \"std/checks\" as checks; import \"std/think\" as think;
        const BASE = \"http://127.0.0.1:9\";
        fn told(error) {{ if type_of(error) == \"map\" {{ error.message }} else {{ error }} }}
        fn journey(vu) {{\n{own}}}\n{others}"
    );
    let ran = Loadr::script(&script).flags("--allow-failure").run().expect(0);
    let told = ran.prints();
    assert_eq!(told.len(), 2 * wrong.len(), "{told:?}");
    for (pair, (call, part)) in told.chunks(2).zip(wrong) {
        assert_eq!(pair[0], pair[1], "{call}");
        assert!(pair[0].contains(part), "{call}: {}", pair[0]);
    }
}
