//! A journey's own statements are gone through before they run, and so are those of the functions that it calls: nobody is to
//! see a difference to what Rhai makes of them as they stand.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rhai::{CallFnOptions, Dynamic, EvalAltResult, Scope};

use super::{block_on, shared, stage, start};
use crate::script::bridge::guard::Budget;
use crate::script::bridge::stack::StackPool;
use crate::script::context::HostContext;
use crate::script::engine::Program;
use crate::script::error::Sources;
use crate::vu::{Cancel, Outcome};

type Value = Result<Dynamic, Box<EvalAltResult>>;

/// What the last line of a script gives or throws, after what it declares: as Rhai runs it, and as Rust does, twice each.
fn both_ways(script: &str) -> [String; 4] {
    let (declared, last) = script.rsplit_once("} ").map_or(("", script), |(declared, last)| (declared, last));
    let text = format!("{declared}}}\nfn main() {{ {last} }}");
    let context = HostContext::new(shared(7));
    let (sources, pool) = (Sources::default(), StackPool::new());
    sources.insert("main.rhai", text.as_str().into());
    let budget = Budget::new(1 << 30, 1 << 30, Duration::from_secs(10), Arc::new(AtomicBool::new(false)));
    let program = Program::load(&context, "main.rhai", &sources, &pool, &budget)
        .unwrap_or_else(|error| panic!("{}: {script}", error.render(&sources)));
    let told = |value: Value| {
        let value = value.map_err(|error| match *error {
            // Rust begins within the function.
            EvalAltResult::ErrorInFunctionCall(name, _, error, _) if name == "main" => error,
            _ => error,
        });
        value.map_or_else(|error| format!("threw {error:?}"), |value| format!("{value:?}"))
    };
    [false, false, true, true].map(|by_rust| {
        context.vu().begin_iteration(7, 0);
        let run = program.evaluate(&context, &pool, &budget, |engine, ast| {
            let options = CallFnOptions::new().eval_ast(false);
            let value = match by_rust {
                true => program.call("main", Vec::new()),
                false => engine.call_fn_with_options(options, &mut Scope::new(), ast, "main", ()),
            };
            Ok(told(value).into())
        });
        run.map_or_else(|error| format!("ended: {}", error.render(&sources)), |value| value.to_string())
    })
}

fn same(script: &str) -> String {
    let [plain, again, prepared, prepared_again] = both_ways(script);
    assert_eq!(plain, again, "{script}");
    assert_eq!(plain, prepared, "{script}");
    assert_eq!(plain, prepared_again, "{script}");
    plain
}

#[test]
fn texts_are_what_rhai_makes_of_them() {
    let values = [
        "\"text\"",
        "\"\"",
        "1",
        "-5",
        "9223372036854775807",
        "1.0",
        "0.1",
        "1e300",
        "true",
        "'c'",
        "()",
        "[1, \"a\", ()]",
        "#{ a: 1 }",
        "5.s",
        "1.s..3.s",
        "|x| x",
        "0..3",
        "http::form(#{ a: 1 })",
        "random::bytes(3)",
        "time::parse_duration(\"3s\")",
    ];
    for value in values {
        let told = same(&format!(
            "const BASE = \"base\"; fn f(x, y) {{ [`<${{x}}>`, `${{x}} and ${{y}}, ${{BASE}}/${{y}}${{x}}`, `${{x}}`, `${{{value}}}!`] }} f({value}, 1)"
        ));
        assert!(told.starts_with("[\"<") && told.contains("base/1"), "{told}");
    }
    assert_eq!(same("fn f() { let n = 0; let next = || { n += 1; n }; `${n} ${next.call()} ${n}` } f()"), "\"0 1 1\"");
    assert_eq!(same("const A = \"a\"; fn f() { `${A}/b` + `${A}${A}` } f()"), "\"a/baa\"");
}

#[test]
fn calls_give_and_throw_what_they_did() {
    for (call, part) in [
        ("random::int(1, 6) + random::int(1, 6)", ""),
        ("random::pick([1, 2, 3])", ""),
        ("random::int(3, 1)", "`min` 3 is more than `max` 1"),
        ("random::int([], 1)", "random::int (array, i64)"),
        ("url::encode(x)", "a%20b"),
        ("url::encode(5)", "url::encode (i64)"),
        ("regex::matches(x, \"(\")", "unclosed group"),
        ("crypto::sha256(x)", "c8687a08aa5d6ed2044328fa6a697ab8e96dc34291e8c2034ae8c38e6fcc6d65"),
        ("checks::status(7, 200)", "`checks::status: res` must be a response"),
        ("checks::matches(7, \"a\")", "`checks::matches: res` must be a response"),
        ("think::uniform(7, 2.s)", "`think::uniform: shortest` must be a duration"),
        ("http::post(true, 1, #{ name: \"x\" })", "http::post (bool, i64, map)"),
        ("http::get(x)", "the top level of a script"),
        ("think(x)", "takes a duration"),
        ("sleep(1.s..2.s)", "`sleep` takes a duration"),
        ("check(1, 2)", "check (i64, i64)"),
        ("group(\"g\", 5)", "group (&str | ImmutableString | String, i64)"),
        ("fail(`no ${x}`)", "no a b"),
        ("env(\"COLOUR\", \"none\")", "none"),
        ("none::such(1)", "none"),
        ("random::such(1)", "random::such (i64)"),
    ] {
        let imports = "import \"std/checks\" as checks; import \"std/think\" as think;";
        let script = format!("{imports} fn f(x) {{ {call} }} f(\"a b\")");
        let told = same(&script);
        assert!(told.contains(part), "{call}: {told}");
        same(&format!("{imports} fn f(x) {{ try {{ {call} }} catch (error) {{ `caught ${{error}}` }} }} f(\"a b\")"));
    }
}

#[test]
fn functions_do_what_they_did() {
    for (script, gives) in [
        ("fn f(n) { if n < 2 { 1 } else { n * f(n - 1) } } f(10)", "3628800"),
        ("fn even(n) { n == 0 || odd(n - 1) } fn odd(n) { n != 0 && even(n - 1) } even(8)", "true"),
        ("fn f(x) { if x > 1 { return x * 2; } x } f(1) + f(2)", "5"),
        ("fn f(x) { for i in 0..9 { if i == x { return i; } } } [f(3), f(99)]", "[3, ()]"),
        ("fn f() { let a = 1; { let a = 2; } a } f()", "1"),
        ("fn f() { loop { break 5; } } f()", "5"),
        ("fn f(x) { switch x { 1 => \"one\", _ => `${x}` } } f(1) + f(2)", "\"one2\""),
        ("fn f() { this *= 2; } let x = 4; x.f(); x", "8"),
        ("fn int.twice() { this * 2 } 4.twice()", "8"),
        ("fn f() { [1, 2, 3].map(|x| x * 2).filter(|x| x > 2) } f()", "[4, 6]"),
        ("fn f(k) { let add = |x| x + k; add.call(1) + add.call(2) } f(10)", "23"),
        ("fn f() { let g = Fn(\"h\"); g.call(2) } fn h(x) { x + 1 } f()", "3"),
        ("fn f() { let x = 1; let g = || x += 1; g.call(); g.call(); x } f()", "3"),
        ("const A = 1; fn f(A) { A } fn g() { let A = 3; A } fn h() { A } [f(2), g(), h()]", "[2, 3, 1]"),
        ("const A = [1]; fn f() { let a = A; a.push(2); a } [f(), A]", "[[1, 2], [1]]"),
        ("const W = 2.s; fn f() { `${W} ${500.ms + W} ${W == 2.s}` } f()", "\"2s 2.5s true\""),
        ("fn f(r) { r.status } [f(#{ status: 5 }), f(#{})]", "[5, ()]"),
        ("fn f(r) { r.status == 5 && r?.ok == () } f(#{ status: 5 })", "true"),
        ("fn f() { let r = #{ status: 1 }; let g = || r.status; r.status = 2; [g.call(), r.status] } f()", "[2, 2]"),
        ("const R = #{ status: 3 }; fn f() { R.status } f()", "3"),
        ("fn f(r) { r.status } f(5)", "threw"),
        ("fn f() { r.status } f()", "threw"),
        ("fn f() { let m = #{ a: 1 }; m.a += 1; m } [f(), f()]", "[#{\"a\": 2}, #{\"a\": 2}]"),
        ("fn f(x) { x += 1; x } let y = 1; [f(y), y]", "[2, 1]"),
        ("fn f(x) { x += 1; x } fn g() { const A = 1; [f(A), A] } g()", "[2, 1]"),
        (
            "const A = [1]; fn f(a, b) { a.push(2); b[0] = 3; [a, b] } fn g() { [f(A, A), A] } g()",
            "[[[1, 2], [3]], [1]]",
        ),
        ("const A = 1; fn f(x) { x += 1; x } fn g() { [f(A), f(1), A] } g()", "[2, 2, 1]"),
        (
            "fn f(x) { x.push(1); x } fn g() { let a = [0]; let h = || a; [f(a), a, h.call()] } g()",
            "[[0, 1], [0], [0]]",
        ),
        ("fn f() { } f()", "()"),
        ("fn f(x) { throw #{ code: x }; } fn g() { try { f(5) } catch (e) { e.code } } g()", "()"),
        ("import \"std/data\" as d; fn f() { d::no_such() } f()", "threw"),
        ("fn f() { let a = 1;\n  a.no_such() } f()", "threw"),
        ("fn f() { g() } fn g() { h() } fn h() {\n [][5] } f()", "threw"),
        ("fn f() { NOT_THERE } f()", "threw"),
        ("fn f(n) { if n == 0 { NO } else { f(n - 1) } } f(9)", "threw"),
        ("fn f(a, b) { a - b } fn g() { f(f(5, 1), f(2, h())) } fn h() { 1 } g()", "3"),
        ("fn f() { this } fn g() { f() } g()", "threw"),
        ("fn f(x) { x } fn g() { f(if true { return 7; } else { 1 }); 8 } g()", "7"),
        ("fn f(x) { x } fn g() { loop { f(if true { break 3; } else { 1 }); } } g()", "3"),
        ("fn g() { url::encode(if true { return 7; } else { `a` }); 8 } g()", "7"),
    ] {
        let told = same(script);
        assert!(told == gives || gives == "threw" && told.starts_with(gives), "{script}: {told}");
    }
}

/// `exit` ends all that is running, wherever it is called.
#[test]
fn exit_ends_the_iteration() {
    let script = r#"
        fn leave() { exit(5); }
        fn journey(vu) {
            print("before");
            if vu.iteration == 0 { leave(); }
            if vu.iteration == 1 { group("inner", || { leave(); print("no"); }); }
            if vu.iteration == 2 { check(1, #{ "is": |x| { leave(); true } }); }
            if vu.iteration == 3 { try { leave(); } catch { print("no"); } }
            if vu.iteration == 4 { exit(); }
            if vu.iteration > 4 { return; }
            print("no");
        }
    "#;
    let stage = stage(script);
    let mut vu = stage.vu(1);
    for iteration in 0..6 {
        let outcome = block_on(vu.iterate(start(iteration), &Cancel::new()));
        assert_eq!(outcome, Outcome::Completed, "iteration {iteration}: {:?}", stage.snapshot().errors);
    }
    assert_eq!(stage.log(), ["before"; 6]);
}
