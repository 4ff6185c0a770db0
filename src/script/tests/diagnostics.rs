//! What authors are told of mistakes that show while a script runs: each case with its whole text.

use super::{stage, stage_with};
use crate::demo::{DemoConfig, Server};
use crate::vu::Outcome;

/// What stands around each case: values of every kind, and a function.
const BEFORE: &str = r#"fn helper(a, b) {
    a + b
}
fn journey(vu) {
    let nothing = ();
    let name = "ann";
    let list = [1, 2, 3];
    let user = #{ email: "ann@example.org", age: 31 };
    let res = http::get(BASE + "/api/products", #{ name: "products" });
"#;

/// Mistakes in one line of a journey.
const CASES: &[&str] = &[
    // Operators.
    "nothing + 1",
    "user.age + nothing",
    "list - name",
    "name * 2",
    "let sum = 5; sum -= name;",
    "user.age *= list;",
    "let wait = 2.s; wait += 5;",
    "!name",
    "-name",
    "name && true",
    "2.s + 5",
    "1 in 5",
    "5 / 0",
    "9223372036854775807 + 1",
    "#{ a: 1 } + list",
    // Nothing, and where it came from.
    "nothing.to_upper()",
    "nothing[0]",
    "user.emial.to_upper()",
    "user.address.street",
    "user[\"emial\"].len()",
    "res.json(\"items[0].nme\").to_upper()",
    "let title = res.json(\"items[0].titel\"); title.len()",
    "res.headers[\"x-trace\"].len()",
    "let trimmed = \"  a \".trim(); trimmed.len()",
    "list.push(4).len()",
    "helper(1, 2).foo.bar",
    // Functions and methods.
    "fn_undefined(1, name, list)",
    "no_arguments()",
    "helper(1)",
    "helper(1, 2, 3)",
    "let f = helper; f.call(1)",
    "check(res, #{ \"has a price\": |r| r.status.floor_it() == 1 })",
    "http::gte(\"x\")",
    "http::get(5)",
    "http::get(nothing)",
    "random::int(name, 5)",
    "random::integer(1, 2)",
    "name.substr(1)",
    "name.toUpperCase()",
    "list.length()",
    "\"5\".parse()",
    "\"5\".to_int()",
    "console.log(name)",
    "nme.len()",
    "think(5)",
    "sleep(name)",
    // Properties and elements.
    "res.staus",
    "vu.nme",
    "vu.id = 5;",
    "user.age.foo = 5;",
    "name.split",
    "list[7]",
    "[1][3]",
    "[][0]",
    "list[\"a\"]",
    "if user.age { }",
    "if nothing { }",
    "for item in user.age { }",
    // What scripts throw, and what they can't change.
    "throw `no stock of ${name}`",
    "throw",
    "throw #{ code: 5 }",
    "throw #{ message: \"the cart is empty\" }",
    "fail(\"no token\")",
    "parse_int(\"abc\")",
    "json::parse(\"{\")",
    "helper = 5;",
];

#[test]
fn each_mistake_is_told_with_its_values_and_how_to_mend_it() {
    let server = Server::start(DemoConfig { threads: 1, ..DemoConfig::default() }).expect("a demo server");
    insta::assert_snapshot!(told_each(CASES, &server));
}

/// What is told of each case, one after the other.
fn told_each(cases: &[&str], server: &Server) -> String {
    let texts = cases.iter().map(|case| {
        let script = format!("const BASE = \"{}\";\n{BEFORE}    {case}\n}}\n", server.base_url());
        let stage = stage(&script);
        assert_eq!(stage.run(), Outcome::Failed, "{case}: {:?}", stage.log());
        let directory = stage._directory.path().display().to_string() + "/";
        stage.log().join("\n").replace(&directory, "").replace(&server.base_url(), "http://shop")
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// What is told of a script of several files.
fn told(files: &[(&str, &str)]) -> String {
    let stage = stage_with(files, |plan| plan.limits.max_script_time = std::time::Duration::from_millis(200), 1 << 40);
    assert_eq!(stage.run(), Outcome::Failed, "{:?}", stage.log());
    let directory = stage._directory.path().display().to_string() + "/";
    stage.log().join("\n").replace(&directory, "")
}

#[test]
fn a_mistake_in_an_imported_file_is_shown_there() {
    let library = r#"fn total(cart) {
    let sum = 0;
    for item in cart {
        sum += price(item) * item.count;
    }
    sum
}
fn price(item) {
    item.price
}
"#;
    let calls = [
        "group(\"buy\", || cart::total([#{ price: 5, count: 2 }, #{ prize: 7, count: 1 }]))",
        "cart::total()",
        "cart::totl([])",
    ];
    let texts = calls.map(|call| {
        let script = format!("import \"lib/cart\" as cart;\nfn journey() {{\n    {call};\n}}\n");
        told(&[("main.rhai", &script), ("lib/cart.rhai", library)])
    });
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn a_limit_is_told_with_the_line_where_the_script_was() {
    let endless = "fn journey() {\n    let n = 0;\n    while n >= 0 {\n        n += 1;\n        if n > 100 { n = 0; }\n    }\n}\n";
    let text = told(&[("main.rhai", endless)]);
    let place = text.lines().nth(1).expect("a place");
    assert!(["3", "4", "5"].iter().any(|line| place.starts_with(&format!(" --> main.rhai:{line}:"))), "{text}");
    assert!(text.ends_with("= help: a loop may have no end; --max-script-time raises the bound"), "{text}");

    let within = "import \"lib\" as lib;\nfn journey() {\n    lib::spin(1);\n}\n";
    let text = told(&[("main.rhai", within), ("lib.rhai", "fn spin(n) {\n    loop { n = 1 - n; }\n}\n")]);
    assert!(text.contains(" --> lib.rhai:2:"), "{text}");
    assert!(text.contains("\n  = in `spin`, called at main.rhai:3:10\n"), "{text}");
}

#[test]
fn recursion_without_end_is_told_with_its_calls_folded() {
    let text = told(&[("main.rhai", "fn again(n) {\n    again(n + 1)\n}\nfn journey() {\n    again(0);\n}\n")]);
    assert!(text.contains(" --> main.rhai:2:11\n"), "{text}");
    let folded =
        text.lines().find(|line| line.starts_with("  = in `again`, called at main.rhai:2:5, ")).expect("a line");
    assert!(folded.ends_with(" times"), "{text}");
    assert!(text.contains("\n  = in `again`, called at main.rhai:5:5\n"), "{text}");
    assert!(text.lines().count() < 12, "{text}");

    let text = told(&[(
        "main.rhai",
        "fn even(n) {\n    odd(n)\n}\nfn odd(n) {\n    even(n)\n}\nfn journey() {\n    even(0);\n}\n",
    )]);
    assert!(text.contains("\n  = and ") && text.contains(" more calls\n"), "{text}");
}

/// The whole texts. How deep a recursion goes depends on the build, so that number is left out.
#[test]
fn limits_are_told_in_full() {
    let depth = regex::Regex::new(r"\d+ (times|more calls)").expect("a pattern");
    let texts: Vec<String> = [
        "fn journey() {\n    let n = 0;\n    while n >= 0 { }\n}\n",
        "fn again(n) {\n    again(n + 1)\n}\nfn journey() {\n    again(0);\n}\n",
    ]
    .into_iter()
    .map(|script| depth.replace_all(&told(&[("main.rhai", script)]), "N $1").into_owned())
    .collect();
    insta::assert_snapshot!(texts.join("\n\n"));
}

#[test]
fn no_try_swallows_a_limit_that_was_raised_at_a_variable() {
    let text = told(&[(
        "main.rhai",
        "fn journey() {\n    let n = 0;\n    loop { try { loop { n += 1; } } catch { n = 0; } }\n}\n",
    )]);
    assert!(text.starts_with("error: the script computed for more than 200ms"), "{text}");
}

#[test]
fn assertions_show_both_sides() {
    let server = Server::start(DemoConfig { threads: 1, ..DemoConfig::default() }).expect("a demo server");
    let cases = [
        "assert::eq(user.age, 32)",
        "assert::eq(name, 5, \"the name\")",
        "assert::eq(user, #{ email: \"bob@example.org\", age: 31, tags: [\"new\"] })",
        "assert::eq(res.json(\"items[0].id\"), 2)",
        "assert::eq(vu, nothing)",
        "assert::ne(name, \"ann\")",
        "assert::ok(user.age > 40)",
        "assert::ok(user.age)",
        "assert::contains(list, 4)",
        "assert::contains(name, \"bob\")",
        "assert::contains(5, 4)",
        "assert::matches(name, #\"^\\d+$\"#)",
        "assert::near(user.age, 30, 0.5)",
        "assert::near(2.s, 1.s, 100.ms)",
        "assert::status(http::get(BASE + \"/item/0\"), 200)",
        "assert::json_eq(\"{\\\"a\\\": [1, 2], \\\"b\\\": 1}\", \"{\\\"b\\\": 1, \\\"a\\\": [1, 3]}\")",
        "assert::json_eq(\"{\", \"1\")",
        "assert::throws(|| 5)",
        "assert::throws(|| fail(\"no token\"), \"no user\")",
    ];
    insta::assert_snapshot!(told_each(&cases, &server));
}
