//! What authors are told of their mistakes: file, line, column, a caret, and the nearest name.

use crate::harness::Loadr;

/// A script, its exit code, and all that it is told before any load.
#[track_caller]
fn refused(script: &str, told: &str) {
    let ran = Loadr::script(script).run().expect(107);
    assert_eq!(ran.stderr, format!("{}\n", told.trim_matches('\n')), "{ran}");
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_script_that_is_not_there() {
    let ran = Loadr::new().flags("run missing.rhai").run().expect(107);
    insta::assert_snapshot!(ran.stderr, @r"
    error: can't read the script: No such file or directory (os error 2)
     --> missing.rhai
    ");
    let ran = Loadr::new().flags("run .").run().expect(107);
    insta::assert_snapshot!(ran.stderr, @r"
    error: can't read the script: Is a directory (os error 21)
     --> .
    ");
}

#[test]
fn a_script_that_does_not_parse() {
    refused(
        "fn journey() {\n    let a = ;\n}",
        r"
error: unexpected ';'
 --> script.rhai:2:13
  |
2 |     let a = ;
  |             ^",
    );
}

#[test]
fn an_import_that_is_not_there_or_does_not_parse() {
    let ran = Loadr::script("import \"lib/cart\" as cart;\nfn journey() {}").run().expect(107);
    insta::assert_snapshot!(ran.stderr, @r#"
    error: can't import `lib/cart`: can't read `lib/cart.rhai`: No such file or directory (os error 2)
     --> script.rhai:1:8
      |
    1 | import "lib/cart" as cart;
      |        ^^^^^^^^^^
    "#);
    let ran = Loadr::script("import \"std/auht\" as auth;\nfn journey() {}").run().expect(107);
    insta::assert_snapshot!(ran.stderr, @r#"
    error: the standard library has no `std/auht`: did you mean `std/auth`?
     --> script.rhai:1:8
      |
    1 | import "std/auht" as auth;
      |        ^^^^^^^^^^
    "#);
    let ran = Loadr::script("import \"./lib/cart\" as cart;\nfn journey() {}")
        .file("lib/cart.rhai", "fn add() {\n  let x = ];\n}")
        .run()
        .expect(107);
    insta::assert_snapshot!(ran.stderr, @r#"
    error: unexpected ']'
     --> lib/cart.rhai:2:11
      |
    2 |   let x = ];
      |           ^
      = imported at: script.rhai:1:8
    "#);
}

#[test]
fn an_init_that_fails_names_the_place() {
    refused(
        "const A = 1;\nlet b = A + missing;\nfn journey() {}",
        r"
error: there is no variable `missing`
 --> script.rhai:2:13
  |
2 | let b = A + missing;
  |             ^^^^^^^",
    );
    refused(
        "const R = http::get(\"http://127.0.0.1:1/\");\nfn journey() {}",
        r#"
error: the top level of a script can't make a request: it runs before the load
 --> script.rhai:1:17
  |
1 | const R = http::get("http://127.0.0.1:1/");
  |                 ^^^
  = help: do it in `setup` or in a journey"#,
    );
}

#[test]
fn a_name_that_is_misspelt_is_known_before_any_load() {
    for (body, headline) in [
        ("http::gte(\"http://127.0.0.1:1/\");", "did you mean `http::get`?"),
        ("chekc(1, #{});", "did you mean `check`?"),
        ("random::itn(1, 2);", "did you mean `random::int`?"),
    ] {
        let ran = Loadr::script(&format!("fn journey() {{\n    {body}\n}}")).run();
        assert!(ran.stderr.contains(headline), "{body}\n{ran}");
        assert!(ran.stderr.contains("script.rhai:2:"), "{body}\n{ran}");
    }
}

#[test]
fn what_shows_only_at_run_time_is_told_on_the_first_iteration() {
    let server = crate::server::Server::ok("x");
    for (body, told) in [
        ("let r = http::get(env(\"BASE\")); r.staus", "error vu 1: error: a Response has no property `staus`"),
        ("let r = http::get(env(\"BASE\")); r.staus", "= help: did you mean `status`?"),
        ("http::get(env(\"BASE\"), #{ heders: #{} });", "a request has no parameter `heders`: did you mean `headers`?"),
        ("http::get();", "loadr docs http::get"),
        ("http::post(env(\"BASE\"), 5);", "a body is a text, a blob, a map or an array (sent as JSON)"),
        ("let nothing = (); if nothing { }", "a condition must be true or false, this is ()"),
    ] {
        let ran = Loadr::script(&format!("fn journey() {{\n    {body}\n}}"))
            .var("BASE", server.base())
            .flags("--no-check")
            .run()
            .expect(99);
        assert!(ran.stderr.contains(told), "{body}\n{ran}");
        assert!(ran.stderr.contains("--> script.rhai:2:"), "{body}\n{ran}");
    }
}

#[test]
fn an_error_in_an_imported_file_is_told_with_its_text_and_the_way_there() {
    let script = "import \"lib/cart\" as cart;\nfn journey() {\n    group(\"buy\", || cart::add(3));\n}";
    let library = "fn add(n) {\n    check_stock(n)\n}\nfn check_stock(n) {\n    throw `no stock of ${n}`;\n}";
    let ran = Loadr::script(script).file("lib/cart.rhai", library).run().expect(99);
    insta::assert_snapshot!(ran.error(2000).example, @r"
    error: no stock of 3
     --> lib/cart.rhai:5:5
      |
    5 |     throw `no stock of ${n}`;
      |     ^
      = in `check_stock`, called at lib/cart.rhai:2:5
      = in `add`, called at script.rhai:3:27
      = in `a closure`, called at script.rhai:3:5
    ");
}

#[test]
fn setup_and_teardown_that_fail() {
    let ran = Loadr::script("fn setup() {\n    throw \"no database\";\n}\nfn journey() {}").run().expect(107);
    assert!(ran.verdict().starts_with("FAILED: setup failed: no database (script.rhai:2:5)"), "{ran}");
    let script = "fn journey() { check(1, #{ one: |n| n == 1 }); }\nfn teardown() { throw \"left over\"; }";
    let ran = Loadr::script(script).run().expect(107);
    assert!(ran.verdict().starts_with("FAILED: teardown failed: left over (script.rhai:2:"), "{ran}");
    assert!(ran.stderr.contains("script.rhai:2:"), "{ran}");
}

#[test]
fn one_error_is_told_in_full_once_however_often_it_comes() {
    let ran = Loadr::script("fn journey() {\n    throw \"again\";\n}")
        .flags("--iterations 200 -u 4 --threads 2")
        .run()
        .expect(99);
    assert_eq!(ran.error(2000).count, 200);
    assert_eq!(ran.stderr.matches("error: again").count(), 1, "{ran}");
    assert!(ran.stdout.contains("200 × again (script.rhai:2:5)"), "{ran}");
}

#[test]
fn fail_ends_an_iteration_with_its_message() {
    let script =
        "fn journey(vu) {\n    if vu.iteration == 0 { fail(\"no token\"); }\n    check(1, #{ one: |n| n == 1 });\n}";
    let ran = Loadr::script(script).flags("--iterations 2").run().expect(0);
    assert_eq!((ran.count("iterations_failed"), ran.rate("checks")), (1.0, (1, 0)));
    assert!(ran.report().errors[0].message.starts_with("no token (script.rhai:2:"), "{ran}");
}
