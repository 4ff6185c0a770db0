//! `loadr test`: what runs, what is shown of what does not hold, recordings, exit codes.

use std::fs;

use serde_json::Value;

use crate::harness::Loadr;

const SHOP: &str = r#"
const BASE = env("BASE_URL");
const options = #{ vus: 500, duration: 1.h, thresholds: #{ checks: ["rate==1"] } };

fn journey(vu) { think(1.h); }

fn price(id) {
    let res = http::get(`${BASE}/item/${id}`, #{ name: "item" });
    check(res, #{ "item is 200": |r| r.status == 200 });
    res.json("price")
}
"#;

fn testing(tests: &str) -> Loadr {
    Loadr::new().file("shop.rhai", format!("{SHOP}{tests}"))
}

#[test]
fn tests_run_against_the_shop_each_by_itself() {
    let tests = r#"
        fn setup() { #{ id: 3 } }
        fn vu_start(vu) { vu.state.started = true; }
        fn test_nothing_is_taken() { assert::ok(price(1) > 0.0); }
        fn test_a_virtual_user_is_given(vu) {
            assert::eq([vu.id, vu.iteration, vu.state.started], [1, 0, true]);
            assert::eq(vu.state.seen, ());
            vu.state.seen = true;
        }
        fn test_state_is_fresh(vu) { assert::eq(vu.state.seen, ()); }
        fn test_data_comes_from_setup(vu, data) { assert::eq(data.id, 3); }
        fn test_cookies_are_set(vu) {
            http::get(BASE + "/cookies/set?kept=1");
            assert::contains(http::get(BASE + "/cookies").body, "kept");
        }
        fn test_cookies_are_fresh() { assert::json_eq(http::get(BASE + "/cookies").body, #{ cookies: #{} }); }
        fn test_pauses_are_skipped() { think(1.h); sleep(1.h); pace(1.h); }
    "#;
    let ran = testing(tests).flags("test shop.rhai").run().expect(0);
    let names: Vec<_> = ran.stdout.lines().filter_map(|line| line.strip_prefix("  ✓ ")?.split("  ").next()).collect();
    let wanted = [
        "test_nothing_is_taken",
        "test_a_virtual_user_is_given",
        "test_state_is_fresh",
        "test_data_comes_from_setup",
        "test_cookies_are_set",
        "test_cookies_are_fresh",
        "test_pauses_are_skipped",
    ];
    assert_eq!(names, wanted, "{ran}");
    assert!(ran.stdout.contains("PASSED  ·  7 tests  ·  "), "{ran}");
    assert_eq!(ran.stderr, "");
}

#[test]
fn random_choices_are_the_same_whichever_tests_run() {
    let tests = "fn test_a() { print(`a ${random::int(1, 1000000)}`); }\nfn test_b() { print(`b ${random::int(1, 1000000)}`); }";
    let printed = |flags: &str| -> Vec<String> {
        let ran = testing(tests).flags("test shop.rhai --format json").flags(flags).run().expect(0);
        let document: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let tests = document["files"][0]["tests"].as_array().expect("tests").clone();
        tests.iter().map(|test| test["printed"][0].as_str().expect("a line").to_owned()).collect()
    };
    let all = printed("");
    assert_eq!(all[1..], printed("-k test_b"), "another test before it makes no difference");
    assert_ne!(all, printed("--seed 7"));
}

#[test]
fn what_does_not_hold_is_shown_in_its_place() {
    let tests = r#"
fn test_price() {
    print("looking");
    let found = price(0);
    assert::eq(found, 5.0);
}
fn test_check_alone() { check(http::get(BASE + "/item/1"), #{ "is 201": |r| r.status == 201 }); }
"#;
    let ran = testing(tests).flags("test shop.rhai").run().expect(1);
    for part in [
        "  ✗ test_price  ",
        "│ print: looking\n",
        "GET    item  ",
        "│ ✗ item is 200 ",
        "r.status is 404, wanted == 200",
        "│  --> shop.rhai:16:13\n",
        "│   = `found` is ()\n",
        "│   = expected 5.0 (float)\n",
        "│   = `found` is what `price(0)` gave in line 15\n",
        "  ✗ test_check_alone  ",
        "r.status is 200, wanted == 201",
        "FAILED  ·  2 of 2 tests failed  ·  2 requests  ·  2 checks  ·  ",
        "\n  ✗ shop.rhai  test_price\n  ✗ shop.rhai  test_check_alone\n",
    ] {
        assert!(ran.stdout.contains(part), "{part:?} is not in\n{ran}");
    }
}

#[test]
fn the_first_failure_can_be_the_last() {
    let tests = "fn test_a() { assert::ok(false); }\nfn test_b() {}";
    let ran = testing(tests).flags("test shop.rhai --fail-fast").run().expect(1);
    assert!(ran.stdout.contains("1 of 1 test failed  ·  1 not run"), "{ran}");
    assert!(!ran.stdout.contains("test_b"), "{ran}");
}

#[test]
fn a_test_that_does_not_end_is_ended() {
    let tests = "fn test_a() { loop { sleep(1.s); } }\nfn test_b() { let n = 0; loop { n += 1; } }\nfn test_c() {}";
    let ran = testing(tests).flags("test shop.rhai --timeout 300ms").run().expect(1);
    assert!(ran.stdout.contains("error: the test took longer than 300ms (--timeout)"), "{ran}");
    assert!(ran.stdout.contains("  ✓ test_c"), "{ran}");
    assert!(ran.stdout.contains("2 of 3 tests failed"), "{ran}");
}

#[test]
fn files_of_tests_are_found_beside_and_below() {
    let command = |flags: &str| {
        Loadr::new()
            .file("shop.rhai", SHOP)
            .file("shop_test.rhai", "import \"./shop\" as shop;\nfn test_price() { assert::ok(shop::price(2) > 0.0); }")
            .file("more/deep_test.rhai", "fn test_deep() {}")
            .file("more/journey.rhai", "fn journey() {}")
            .file("target/left_out_test.rhai", "fn test_left_out() {}")
            .flags("test --list")
            .flags(flags)
            .run()
            .expect(0)
            .stdout
    };
    assert_eq!(command("shop.rhai"), "shop_test.rhai  test_price\n");
    assert_eq!(command(""), "more/deep_test.rhai  test_deep\nshop_test.rhai  test_price\n");
    assert_eq!(command("more shop_test.rhai"), "more/deep_test.rhai  test_deep\nshop_test.rhai  test_price\n");
}

#[test]
fn answers_are_recorded_and_played_without_a_target() {
    let tests = r#"
import "std/auth" as auth;
fn test_price() { assert::ok(price(1) > 0.0); }
fn test_login() {
    let account = auth::login(BASE, "user1", "secret");
    assert::contains(account.body, "user1");
    assert::status(http::get(BASE + "/gzip"), 200);
}
fn test_stream() {
    let texts = [];
    for event in http::events(BASE + "/stream?count=2&first=1&ms=1") { texts.push(event.json("text")); }
    assert::eq(texts, ["the", " shop", ()]);
}
"#;
    let (ran, directory) = testing(tests).flags("test shop.rhai --record answers.json").start().wait_keeping();
    ran.expect(0);
    let answers = fs::read_to_string(directory.path().join("answers.json")).expect("a recording");
    let document: Value = serde_json::from_str(&answers).expect("JSON");
    assert_eq!(document["schema"], "loadr/recording/v1");

    // The shop of the recording is closed by now: nothing answers there.
    let play = |script: &str| Loadr::new().file("shop.rhai", script).file("answers.json", &answers);
    let script = format!("{SHOP}{tests}");
    let ran = play(&script).flags("test ./shop.rhai --replay answers.json").run().expect(0);
    assert!(ran.stdout.contains("PASSED  ·  3 tests"), "{ran}");

    let ran =
        play(&script.replace("price(1)", "price(2)")).flags("test shop.rhai --replay answers.json").run().expect(1);
    assert!(ran.stdout.contains("1 of 3 tests failed"), "{ran}");
    assert!(ran.stdout.contains("/item/2` is not recorded; nearest is `GET http://127.0.0.1:"), "{ran}");
}

#[test]
fn results_as_json_hold_what_failed() {
    let tests = "fn test_a() { check(price(1), #{ \"is cheap\": |p| p < 0.0 }); assert::eq(1, 2); }\nfn test_b() {}";
    let ran = testing(tests).flags("test shop.rhai --format json").run().expect(1);
    let document: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((&document["schema"], &document["passed"]), (&Value::from("loadr/tests/v1"), &Value::from(false)));
    assert_eq!(document["totals"], serde_json::json!({ "tests": 2, "failed": 1, "not_run": 0 }));
    let test = &document["files"][0]["tests"][0];
    assert_eq!((&test["name"], &test["passed"], &test["requests"]), (&"test_a".into(), &false.into(), &1.into()));
    assert_eq!(test["failed_checks"][0]["name"], "is cheap");
    assert!(test["errors"][0].as_str().expect("a text").contains("= expected 2 (int)"), "{ran}");
}

#[test]
fn what_can_not_be_tested_is_told() {
    let ran = Loadr::new().file("shop.rhai", "fn journey() {}").flags("test shop.rhai").run().expect(104);
    assert!(ran.stderr.starts_with("error: there are no tests in `shop.rhai`\n"), "{ran}");
    assert!(
        ran.stderr.contains("in the script or in `shop_test.rhai`:\n")
            && ran.stderr.contains("assert::status(res, 200);")
    );

    let ran = testing("fn test_a() {}").flags("test shop.rhai -k price").run().expect(104);
    assert_eq!(ran.stderr, "error: no test's name contains `price`; there are test_a\n");

    let ran = Loadr::new().flags("test missing.rhai").run().expect(104);
    assert!(ran.stderr.starts_with("error: can't read `missing.rhai`: "), "{ran}");

    let ran = testing("fn test_a(a, b, c) {}").flags("test shop.rhai").run().expect(107);
    assert!(ran.stdout.contains("`test_a` takes 3 arguments: a test takes none, `vu`, or `vu` and `data`"), "{ran}");

    let ran =
        Loadr::new().file("a_test.rhai", "fn test_a( {}").file("b_test.rhai", "fn test_b() {}").flags("test").run();
    let ran = ran.expect(107);
    assert!(ran.stdout.contains(" --> a_test.rhai:1:") && ran.stdout.contains("  ✓ test_b"), "{ran}");
    assert!(ran.stdout.contains("FAILED  ·  1 test  ·  1 file can't be loaded"), "{ran}");

    let ran = testing("fn test_a() {}").file("x.json", "{}").flags("test shop.rhai --replay x.json").run().expect(104);
    assert!(ran.stderr.starts_with("error: `x.json` is no recording of `loadr test --record`: "), "{ran}");
}

#[test]
fn a_setup_that_fails_fails_the_test() {
    let ran = testing("fn setup() { throw \"no database\"; }\nfn test_a() {}").flags("test shop.rhai").run().expect(1);
    assert!(ran.stdout.contains("error: no database\n"), "{ran}");
    assert!(ran.stdout.contains("1 of 1 test failed"), "{ran}");
}
