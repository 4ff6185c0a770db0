//! `loadr watch`: through saves as editors make them, in a real terminal and without one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use regex::Regex;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::harness::Loadr;
use crate::server::Server;
use crate::terminal::Terminal;
use crate::texts;

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    directory
}

/// A script that says which it is.
fn version(number: usize) -> String {
    format!("fn journey() {{ print(\"this is version {number}\"); }}\n")
}

/// Waits until the script that says so was run, and nothing goes on any more.
#[track_caller]
fn wait_for_version(terminal: &Terminal, number: usize) {
    terminal.wait_for(&[&format!("print: this is version {number}\n"), "waiting for a save"]);
}

/// A trace without what differs from run to run.
fn filtered(text: &str) -> String {
    let bar = Regex::new("[▒█░]{8}").expect("a pattern");
    texts::filter(&bar.replace_all(text, "BAR"))
}

/// As vim saves with a backup: the file is renamed away, a new one is written in its place.
fn save_as_vim(path: &Path, text: &str) {
    let backup = path.with_extension("rhai~");
    fs::rename(path, &backup).expect("a backup");
    fs::write(path, text).expect("a new file");
    fs::remove_file(backup).expect("the backup goes");
}

/// As VS Code saves: the file is truncated, then written.
fn save_as_vs_code(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().write(true).truncate(true).open(path).expect("the file");
    std::thread::sleep(Duration::from_millis(30));
    file.write_all(text.as_bytes()).expect("its text");
}

/// As many editors and formatters save: a new file is written beside the old one and renamed over it.
fn save_by_renaming_over(path: &Path, text: &str) {
    let beside = path.with_extension("tmp");
    fs::write(&beside, text).expect("a new file");
    fs::rename(beside, path).expect("it takes the old one's place");
}

#[test]
fn every_way_in_which_editors_save_is_noticed() {
    let terminal = Terminal::start(directory(&[("script.rhai", &version(1))]), &["watch", "script.rhai"]);
    let path = terminal.path("script.rhai");
    wait_for_version(&terminal, 1);
    save_as_vim(&path, &version(2));
    wait_for_version(&terminal, 2);
    save_as_vs_code(&path, &version(3));
    wait_for_version(&terminal, 3);
    save_by_renaming_over(&path, &version(4));
    wait_for_version(&terminal, 4);
    let mut sed = Command::new("sed");
    sed.args(["-i", "s/version 4/version 5/", "script.rhai"]).current_dir(terminal.directory());
    assert!(sed.status().expect("sed runs").success());
    wait_for_version(&terminal, 5);
    fs::remove_file(&path).expect("it goes");
    terminal.wait_for(&["can't read the script", "waiting for a save"]);
    fs::write(&path, version(6)).expect("it comes back");
    wait_for_version(&terminal, 6);
    // The folder that is watched goes away as well.
    save_as_vim(&path, &version(7));
    wait_for_version(&terminal, 7);
    assert!(terminal.text().contains("script.rhai changed · run "), "{}", terminal.text());
}

#[test]
fn rapid_saves_end_with_the_last_one() {
    let terminal = Terminal::start(directory(&[("script.rhai", &version(0))]), &["watch", "script.rhai"]);
    wait_for_version(&terminal, 0);
    for number in 1..=100 {
        fs::write(terminal.path("script.rhai"), version(number)).expect("a save");
    }
    wait_for_version(&terminal, 100);
}

#[test]
fn imports_and_data_files_are_watched_also_while_they_are_missing() {
    let script = r#"
        import "lib/words" as words;
        const USERS = data::csv("users.csv");
        fn journey() { print(`${words::greeting()} ${USERS.row(0).name} ${http::file("later.txt") != ()}`); }
    "#;
    let words = "//! Words.\nfn greeting() { \"hello\" }\n";
    let files = [("script.rhai", script), ("lib/words.rhai", words)];
    let terminal = Terminal::start(directory(&files), &["watch", "script.rhai"]);
    terminal.wait_for(&["can't read the file `users.csv`", "waiting for a save"]);
    fs::write(terminal.path("users.csv"), "name\nann\n").expect("a file");
    terminal.wait_for(&["users.csv changed", "can't read the file `later.txt`", "waiting for a save"]);
    fs::write(terminal.path("later.txt"), "x").expect("a file");
    terminal.wait_for(&["print: hello ann true", "waiting for a save"]);
    fs::write(terminal.path("users.csv"), "name\nbob\n").expect("a file");
    terminal.wait_for(&["users.csv changed", "print: hello bob true", "waiting for a save"]);
    save_by_renaming_over(&terminal.path("lib/words.rhai"), "//! Words.\nfn greeting() { \"good day\" }\n");
    terminal.wait_for(&["words.rhai changed", "print: good day bob true", "waiting for a save"]);
    // A file that the script does not use changes nothing.
    fs::write(terminal.path("notes.txt"), "x").expect("a file");
    fs::write(terminal.path("users.csv"), "name\ncleo\n").expect("a file");
    let screen = terminal.wait_for(&["print: good day cleo true", "waiting for a save"]);
    assert!(screen.contains("users.csv changed"), "{screen}");
}

#[test]
fn a_script_behind_symbolic_links_is_watched_where_it_lies() {
    let files = [("versions/1/script.rhai", &*version(1)), ("versions/2/script.rhai", &*version(2))];
    let directory = directory(&files);
    symlink("versions/1", directory.path().join("current")).expect("a link");
    symlink("current/script.rhai", directory.path().join("script.rhai")).expect("a link");
    let terminal = Terminal::start(directory, &["watch", "script.rhai"]);
    wait_for_version(&terminal, 1);
    fs::write(terminal.path("versions/1/script.rhai"), version(3)).expect("a save");
    wait_for_version(&terminal, 3);
    symlink("versions/2", terminal.path("next")).expect("a link");
    fs::rename(terminal.path("next"), terminal.path("current")).expect("the link is turned");
    wait_for_version(&terminal, 2);
    save_as_vim(&terminal.path("versions/2/script.rhai"), &version(4));
    wait_for_version(&terminal, 4);
}

#[test]
fn endless_scripts_are_interrupted() {
    for endless in ["loop { }", "loop { sleep(1.h); }", "loop { think(1.ms); }"] {
        let script = format!("fn journey() {{ print(\"begun\"); {endless} }}\n");
        let mut terminal = Terminal::start(directory(&[("script.rhai", &script)]), &["watch", "script.rhai"]);
        terminal.wait_for(&["print: begun"]);
        // By a save,
        fs::write(terminal.path("script.rhai"), version(2)).expect("a save");
        wait_for_version(&terminal, 2);
        fs::write(terminal.path("script.rhai"), &script).expect("a save");
        terminal.wait_for(&["print: begun"]);
        // by a key,
        terminal.press("r");
        terminal.wait_for(&["run again · run ", "print: begun"]);
        // and for good.
        terminal.press(if endless.contains('s') { "\x03" } else { "q" });
        assert_eq!(terminal.exit_code(), 0, "{}", terminal.text());
        assert!(terminal.is_in_line_mode());
    }
}

#[test]
fn a_run_that_is_cancelled_tears_down_before_the_next_one_begins() {
    let server = Server::ok("fine");
    let script = |path: &str, rest: &str| {
        format!(
            "const BASE = env(\"BASE\");\nfn setup() {{ http::get(`${{BASE}}/setup{path}`).status }}\n\
             fn journey() {{ http::get(`${{BASE}}/journey{path}`); {rest} }}\n\
             fn teardown() {{ http::get(`${{BASE}}/teardown{path}`); }}\n"
        )
    };
    let run = Loadr::new()
        .file("script.rhai", script("1", "loop { sleep(1.h); }"))
        .args(["watch", "script.rhai", "--real-time"])
        .var("BASE", server.base())
        .start();
    wait_for_lines(&server, 2);
    save_by_renaming_over(&run.path("script.rhai"), &script("2", ""));
    wait_for_lines(&server, 6);
    run.signal(Signal::INT);
    let ran = run.wait().expect(0);
    let expected = ["GET /setup1", "GET /journey1", "GET /teardown1", "GET /setup2", "GET /journey2", "GET /teardown2"];
    assert_eq!(server.lines(), expected, "{ran}");
    assert!(ran.stdout.contains("script.rhai · run 1\n"), "{ran}");
    assert!(ran.stdout.contains("stopped before its end"), "{ran}");
    assert!(ran.stdout.contains("script.rhai changed · run 2\n"), "{ran}");
    assert!(!ran.stdout.contains('\x1b'), "no colours and no keys without a terminal: {ran}");
}

#[track_caller]
fn wait_for_lines(server: &Server, count: usize) {
    let begun = Instant::now();
    while server.lines().len() < count {
        assert!(begun.elapsed() < Duration::from_secs(90), "only {:?}", server.lines());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_file_is_looked_at_where_nobody_tells() {
    let terminal = Terminal::start(directory(&[("script.rhai", &version(1))]), &["watch", "script.rhai", "--poll"]);
    wait_for_version(&terminal, 1);
    save_as_vim(&terminal.path("script.rhai"), &version(2));
    wait_for_version(&terminal, 2);
}

#[test]
fn keys_do_what_they_say() {
    let script = r#"
        const BASE = env("BASE_URL");
        const options = #{ vus: 2, iterations: 6 };
        fn journey() {
            let res = http::get(`${BASE}/item/5`, #{ name: "item" });
            check(res, #{ "is 200": |r| r.status == 200, "is 404": |r| r.status == 404 });
            print("needle");
        }
    "#;
    let mut terminal = Terminal::start(directory(&[("script.rhai", script)]), &["watch", "script.rhai"]);
    let screen = terminal.wait_for(&["run 1", "BASE_URL is not set: the demo shop stands in", "waiting for a save"]);
    assert!(!terminal.is_in_line_mode());
    assert!(screen.contains("✗ is 404") && screen.contains("r.status is 200, wanted == 404"), "{screen}");
    terminal.press("r");
    terminal.wait_for(&["run again · run 2", "waiting for a save"]);
    terminal.press("\r");
    terminal.wait_for(&["run again · run 3", "waiting for a save"]);
    terminal.press("b");
    terminal.wait_for(&["< content-type: application/json", "\"price\":", "new connection", "waiting for a save"]);
    terminal.press("b");
    terminal
        .wait_until("the trace without bodies", |text| !text.contains("< content-type") && text.contains("waiting"));
    terminal.press("f");
    terminal.wait_for(&["filter: _"]);
    terminal.press("neex\x7fdle");
    terminal.wait_for(&["filter: needle_"]);
    terminal.press("\r");
    let is_filtered = |text: &str| text.contains("needle") && !text.contains("is 200") && text.contains("waiting");
    terminal.wait_until("the filtered trace", is_filtered);
    terminal.press("F");
    let only_failures = |text: &str| text.contains("✗ is 404") && !text.contains("needle") && text.contains("waiting");
    terminal.wait_until("the failures", only_failures);
    terminal.press("F");
    terminal.wait_for(&["needle", "✓ is 200", "waiting for a save"]);
    terminal.press("h");
    terminal.wait_for(&["show only what failed, or all again", "waiting for the first byte"]);
    // An arrow key is not the letters that it consists of.
    terminal.press("\x1b[B");
    terminal.press("l");
    terminal.wait_for(&["load test", "GENERATOR", "6 requests", "waiting for a save"]);
    terminal.press("r");
    terminal.wait_for(&["run again · run 4", "✗ is 404", "waiting for a save"]);
    terminal.press("q");
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.text());
    assert!(terminal.is_in_line_mode());
}

#[test]
fn a_load_test_is_stopped_by_ctrl_c_and_one_is_back() {
    let script = "const options = #{ vus: 1, duration: 1.h };\nfn journey() { sleep(20.ms); }\n";
    let mut terminal = Terminal::start(directory(&[("script.rhai", script)]), &["watch", "script.rhai"]);
    terminal.wait_for(&["waiting for a save"]);
    terminal.press("l");
    terminal.wait_for(&["q stop"]);
    fs::write(terminal.path("script.rhai"), version(2)).expect("a save");
    terminal.press("\x03");
    // What was saved meanwhile is run now.
    wait_for_version(&terminal, 2);
    terminal.press("\x03");
    assert_eq!(terminal.exit_code(), 0, "{}", terminal.text());
}

#[test]
fn a_mistake_is_shown_and_mended() {
    let terminal =
        Terminal::start(directory(&[("script.rhai", "fn journey() { let = 1; }\n")]), &["watch", "script.rhai"]);
    let screen = terminal.wait_for(&["error: ", "script.rhai:1:20", "fn journey() { let = 1; }", "waiting for a save"]);
    assert!(screen.contains('^'), "{screen}");
    fs::write(terminal.path("script.rhai"), "const options = #{ vuss: 1 };\nfn journey() {}\n").expect("a save");
    terminal.wait_for(&["vuss", "did you mean `vus`?", "waiting for a save"]);
    fs::write(terminal.path("script.rhai"), version(3)).expect("a save");
    wait_for_version(&terminal, 3);
}

#[test]
fn what_the_check_finds_comes_first() {
    let once = |script: &str, code: i32| {
        let run = Loadr::new().file("script.rhai", script).args(["watch", "script.rhai", "--once"]);
        filtered(&run.run().expect(code).stdout)
    };
    let suspicious = "fn journey(vu) { vu.state.visits = vu.state.visits ?? 0 + 1; print(\"runs\"); }\n";
    insta::assert_snapshot!(once(suspicious, 0), @r#"
    script.rhai · run 1
    warn: `+` binds tighter than `??`: this is `... ?? (0 + ...)` (script.rhai:1:57)
        write `(... ?? 0) + ...`, or put the parentheses where you mean them
    journey  VU 1, iteration 1
    │ print: runs
    ✓ 0 requests · TIME
    "#);
    let wrong = "fn journey() { htp::get(\"x\"); }\nfn other() { nosuch(1); }\n";
    insta::assert_snapshot!(once(wrong, 107), @r#"
    script.rhai · run 1
    error: there is no module `htp`
     --> script.rhai:1:16
      |
    1 | fn journey() { htp::get("x"); }
      |  ^^^
      = help: did you mean `http`?
    error: there is no function `nosuch`
     --> script.rhai:2:14
      |
    2 | fn other() { nosuch(1); }
      |  ^^^^^^
    "#);
}

/// A script that does a bit of everything.
const EVERYTHING: &str = r#"
import "std/auth" as auth;
const BASE = env("BASE_URL");
const ORDERS = metrics::counter("orders");
print("init");
fn setup() { http::get(`${BASE}/health`, #{ name: "health" }); 1 }
fn vu_start(vu) { }
fn journey(vu, data) {
    let limit = 5;
    group("log in", || auth::login(BASE, "user1", "secret"));
    think(1.5.s);
    group("browse", || {
        let res = http::get(`${BASE}/item/5?token=abc`, #{ name: "item" });
        check(res, #{
            "in range": |r| r.status >= 200 && r.status < 300,
            "cheap":    |r| r.json("price") < -1,
            "many":     |r| limit > r.json("id"),
            "half":     |r| { let half = r.status / 2; half == 101 },
            "text":     |r| r.headers["Content-Type"].contains("nothing"),
            "created":  |r| r.status in [201, 202],
            "base":     |r| r.url.starts_with(BASE),
            "nothing":  |r| (r.json("none") ?? "none") == "none",
        });
        check(limit, "direct", limit == 4);
        group("deeper", || { ORDERS.add(1, #{ kind: "gift" }); print(data); sleep(0.5); });
    });
    try { group("caught", || { throw "caught"; }); } catch { }
    let res = http::get("http://127.0.0.1:1/");
    group("fails", || { [res.status][limit] });
}
fn teardown(data) { print(`teardown ${data}`); }
"#;

#[test]
fn one_trace_shows_everything_in_its_place() {
    let ran = Loadr::new().file("script.rhai", EVERYTHING).args(["watch", "script.rhai", "--demo", "--once"]).run();
    insta::assert_snapshot!(filtered(&ran.expect(107).stdout), @r#"
    script.rhai · run 1 · demo shop at http://127.0.0.1:PORT
    print: init
    setup
    │  GET  health  http://127.0.0.1:PORT/health  200  SIZE BAR  TIME
    vu_start  VU 1
    journey  VU 1, iteration 1
    │ log in
    │ │  GET  login page  /login  200  SIZE BAR  TIME
    │ │ ✓ login page has a token  t is "***"
    │ │  POST  login  /login  303  SIZE BAR  TIME
    │ │  → GET /account  200  SIZE BAR  TIME
    │ │ ✓ logged in  r.ok is true; r.url is "http://127.0.0.1:PORT/account"; page is "http://127.0.0.1:…
    │ · think TIME (skipped)
    │ browse
    │ │  GET  item  /item/5?token=***  200  SIZE BAR  TIME
    │ │ ✓ base  r.url is "http://127.0.0.1:PORT/item/5?token=***"
    │ │ ✗ cheap  r.json("price") is 200.0, wanted < -1
    │ │ ✗ created  r.status is 200, wanted in [201, 202]
    │ │ ✗ half  half is 100, wanted == 101
    │ │ ✓ in range  r.status is 200
    │ │ ✗ many  limit is 5, wanted > r.json("id"); r.json("id") is 5
    │ │ ✓ nothing  (r.json("none") ?? "none") is "none"
    │ │ ✗ text  r.headers["Content-Type"] is "application/json", wanted .contains("nothing")
    │ │ ✗ direct  the value is 5
    │ │ deeper
    │ │ │ metric orders{kind:gift} +1
    │ │ │ print: 1
    │ │ │ · sleep TIME (skipped)
    │ caught
    │ ✗ GET  http://127.0.0.1:PORT/  ---  SIZE BAR  TIME
    │  connect to `127.0.0.1:PORT` failed: connection refused
    │ fails
    │ │ error: there is no element 5: the array has 1
    │ │  --> script.rhai:29:38
    │ │  |
    │ │ 29 |  group("fails", || { [res.status][limit] });
    │ │  |  ^
    │ │  = in `a closure`, called at script.rhai:29:5
    │ │  = help: its only element is number 0
    teardown
    │ print: teardown 1
    ✗ 5 requests · 1 failed · 6 of 11 checks failed · 1 error · TIME · TIME of pauses skipped (--real-time)
    "#);
}

/// Conditions that call functions, which make requests or change something; and conditions of imported files, with their
/// constants and imports around them.
#[test]
fn what_conditions_compare_is_evaluated_once() {
    let script = r#"
import "lib/shop" as shop;
const BASE = env("BASE");
const LIMIT = 3;
fn status_of(path) { http::get(BASE + path).status }
fn journey() {
    let basket = [1, 2];
    check(basket, #{
        "asks again": |b| status_of("/asked") == 200 && b.len() > LIMIT,
        "one is taken": |b| b.pop() == 2 && basket.len() == 2,
    });
    shop::look(7);
    check(8, #{ "from elsewhere": shop::costs(9), "by name": Fn("is_low") });
}
fn is_low(price) { if price < LIMIT { true } else { shop::rounded(price) == 0 } }
"#;
    let shop = r#"
import "words" as words;
const LIMIT = 5;
fn look(price) { check(price, #{ "is within": |p| rounded(p) < LIMIT || words::cheap() == "cheap" }); }
fn costs(wanted) { |p| rounded(p) == wanted + LIMIT }
fn rounded(price) { price / 10 * 10 }
"#;
    let server = Server::ok("fine");
    let ran = Loadr::new()
        .file("script.rhai", script)
        .file("lib/shop.rhai", shop)
        .file("lib/words.rhai", "fn cheap() { \"dear\" }\n")
        .args(["watch", "script.rhai", "--once"])
        .var("BASE", server.base())
        .run()
        .expect(99);
    insta::assert_snapshot!(filtered(&ran.stdout), @r#"
    script.rhai · run 1
    journey  VU 1, iteration 1
    │  GET  http://127.0.0.1:PORT/asked  200  SIZE BAR  TIME
    │ ✗ asks again  status_of("/asked") is 200, wanted == 200; b.len() is 2, wanted > LIMIT; LIMIT is 3
    │ ✓ one is taken  b.pop() is 2; basket.len() is 2
    │ ✓ is within  rounded(p) is 0; LIMIT is 5
    │ ✓ by name  price is 8; LIMIT is 3; shop::rounded(price) is 0
    │ ✗ from elsewhere  rounded(p) is 0, wanted == wanted + LIMIT; wanted + LIMIT is 14
    ✗ 1 request · 2 of 5 checks failed · TIME
    "#);
    assert_eq!(server.lines(), ["GET /asked"], "{ran}");
}

#[test]
fn secrets_are_not_shown() {
    let script = r#"
        const BASE = env("BASE");
        fn journey() {
            http::set_cookie(BASE, "session", "sesame0");
            http::post(`${BASE}/echo?api_key=sesame1`, #{ user: "ann", password: "sesame2" }, #{
                headers: #{ "Authorization": "Bearer sesame3", "X-Api-Key": "sesame4" }, cookies: #{ own: "sesame5" },
            });
            http::get(`${BASE}/echo`, #{ auth: "ann:sesame6" });
            let res = http::post(`${BASE}/echo`, http::form(#{ user: "ann", token: "sesame7" }));
            check(res, #{ "sent": |r| r.request.body.contains("token=") });
            check("sesame8", #{ "has a token": |t| t != () });
            check("sesame9", "the password is known", true);
        }
    "#;
    let server = Server::ok("fine");
    let run = Loadr::new().file("script.rhai", script).args(["watch", "script.rhai", "--once", "--bodies"]);
    let ran = run.var("BASE", server.base()).run().expect(0);
    assert!(!ran.stdout.contains("sesame"), "{ran}");
    for part in [
        "authorization: Bearer ***",
        "x-api-key: ***",
        "session=***; own=***",
        "authorization: Basic ***",
        "api_key=***",
    ] {
        assert!(ran.stdout.contains(part), "{part}\n{ran}");
    }
}

#[test]
fn the_exit_code_of_one_trace_tells_how_it_went() {
    let of = |script: &str, flags: &str, code: i32| {
        Loadr::new()
            .file("script.rhai", script)
            .args(["watch", "script.rhai", "--once"])
            .flags(flags)
            .run()
            .expect(code)
    };
    of("fn journey() { check(1, #{ one: |n| n == 1 }); }", "", 0);
    of("fn journey() { check(1, #{ two: |n| n == 2 }); }", "", 99);
    of("fn journey() { http::get(\"http://127.0.0.1:1/\"); }", "", 99);
    of("fn journey() { throw \"no\"; }", "", 107);
    of("fn setup() { throw \"no\"; }\nfn journey() { }", "", 107);
    of("fn journey() { abort(\"enough\"); }", "", 108);
    of("fn journey( {", "", 107);
    of("const options = #{ vuss: 1 };\nfn journey() { }", "", 104);
    of("fn setup() { sleep(1.h); }\nfn journey() { }", "--real-time --setup-timeout 10ms", 100);
    let ran = of("fn journey() { }", "--control 127.0.0.1:0", 104);
    assert_eq!(ran.stderr, "error: --control is for `loadr run`: a watch has keys, and its load test a live view\n");
    let ran = of("fn journey() { }", "--vus 0", 104);
    assert_eq!(ran.stderr, "error: --vus `0`: a rehearsal takes a number from 1 to 1000\n");
}

#[test]
fn several_users_scenarios_and_iterations() {
    let script = r#"
        const options = #{
            scenarios: #{
                shoppers: #{ executor: "constant-vus", exec: "shop", vus: 500, duration: 1.h },
                search: #{ executor: "constant-arrival-rate", exec: "search", rate: 50, duration: 1.h, pre_allocated_vus: 5 },
            },
            thresholds: #{ checks: ["rate>0.9"] },
        };
        fn shop(vu) { print(`shop ${vu.iteration}`); think(1.s..2.s); print("shop again"); }
        fn search(vu) { print("search"); }
    "#;
    let once = |flags: &str| {
        let run = Loadr::new().file("script.rhai", script).args(["watch", "script.rhai", "--once"]).flags(flags);
        run.run().expect(0).stdout
    };
    insta::assert_snapshot!(filtered(&once("--seed 1")), @r#"
    script.rhai · run 1
    search  VU 1, iteration 1
    │ print: search
    shoppers: shop  VU 2, iteration 1
    │ print: shop 0
    │ · think TIME (skipped)
    │ print: shop again
    ✓ 0 requests · TIME · TIME of pauses skipped (--real-time)
    "#);
    assert!(!once("--scenario search").contains("shop"));
    let text = once("--scenario shoppers --vus 3 --iterations 2");
    for (user, iteration) in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)] {
        let heading = format!("shoppers: shop  VU {user}, iteration {iteration}\n│ print: shop {}\n", iteration - 1);
        assert!(text.contains(&heading), "{heading}\n{text}");
        assert!(!text.contains("VU 4"), "{text}");
    }
}

#[test]
fn run_takes_watch_as_a_flag() {
    let directory = directory(&[("script.rhai", &version(1))]);
    let mut terminal = Terminal::start(directory, &["run", "script.rhai", "--watch"]);
    wait_for_version(&terminal, 1);
    terminal.press("q");
    assert_eq!(terminal.exit_code(), 0);
}
