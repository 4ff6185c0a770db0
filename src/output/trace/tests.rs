//! The whole text of traces, and what a view leaves of them.

use std::time::Duration;

use super::*;
use crate::trace::{Excerpt, Hop, Phases, Requested};

const LOOK: Look = Look { width: 88, height: 24, ascii: false, colour: false };

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn iteration(number: u64) -> Step {
    Step::Entered(Part::Iteration { scenario: "default".into(), function: "journey".into(), number })
}

fn left(ended: PartEnd) -> Step {
    Step::Left { ended, took: micros(9_000) }
}

fn group(name: &str) -> Step {
    Step::GroupEntered { name: name.into() }
}

fn group_left(threw: bool) -> Step {
    Step::GroupLeft { took: micros(10), threw }
}

fn check(name: &str, held: bool, compared: &[(&str, &str, &str)]) -> Step {
    let side = |&(expression, found, wanted): &(&str, &str, &str)| Compared {
        expression: expression.into(),
        found: found.into(),
        wanted: wanted.into(),
    };
    Step::Checked(Checked { name: name.into(), held, compared: compared.iter().map(side).collect() })
}

fn logged(level: LogLevel, text: &str) -> Step {
    Step::Logged { level, text: text.into() }
}

fn hop(method: &str, url: &str, status: u16) -> Hop {
    Hop {
        method: method.into(),
        url: url.into(),
        status,
        size: 1_234,
        phases: Phases { sending: micros(100), waiting: micros(1_000), receiving: micros(100), ..Phases::default() },
        reused: true,
        protocol: Some("HTTP/1.1".into()),
        headers: vec![("content-type".into(), "application/json".into())],
        body: Excerpt { text: r#"{"price":0.5}"#.into(), size: 13, note: None },
        ..Hop::default()
    }
}

fn requested(name: &str, expected: bool, hops: Vec<Hop>) -> Step {
    let headers = vec![("cookie".into(), "sid=***".into())];
    let body = Excerpt { text: "user=ann&password=***".into(), size: 30, note: None };
    Step::Requested(Box::new(Requested { name: name.into(), expected, hops, headers, body }))
}

/// A script that does a bit of everything.
fn everything() -> Vec<(u32, Step)> {
    let mut first = hop("GET", "http://127.0.0.1:8080/", 200);
    first.reused = false;
    first.phases.connecting = micros(400);
    let mut refused = hop("GET", "http://127.0.0.1:1/a/very/long/path/that/has/to/be/cut/in/its/middle/as/it/is", 0);
    refused.error = Some("connect to `127.0.0.1:1` failed: connection refused".into());
    refused.phases = Phases { blocked: micros(300), ..Phases::default() };
    refused.size = 0;
    vec![
        (0, logged(LogLevel::Info, "from init")),
        (0, Step::Entered(Part::Setup)),
        (0, requested("http://127.0.0.1:8080/", true, vec![first])),
        (0, left(PartEnd::Completed)),
        (1, iteration(0)),
        (1, group("log in")),
        (1, {
            let hops =
                vec![hop("POST", "http://127.0.0.1:8080/login", 303), hop("GET", "http://127.0.0.1:8080/me", 200)];
            requested("login", true, hops)
        }),
        (1, check("is 200", true, &[("r.status", "200", "== 200")])),
        (1, group_left(false)),
        (1, Step::Paused { by: Pause::Think, wanted: micros(1_500_000), skipped: true }),
        (1, group("browse")),
        (1, group("item")),
        (1, requested("item", false, vec![hop("GET", "http://127.0.0.1:8080/item/5?q=\u{1b}[31m", 500)])),
        (1, check("is 200", false, &[("r.status", "500", "== 200"), ("r.json(\"n\")", "()", "> 0")])),
        (1, check("a name that is long enough to leave no room at all for what it compares, none", false, &[])),
        (1, group_left(false)),
        (1, logged(LogLevel::Warn, "two\nlines")),
        (1, logged(LogLevel::Debug, "for debugging")),
        (1, {
            let tags = vec![("kind".into(), "gift".into())];
            let metric = "orders".into();
            Step::Recorded(Recorded { metric, kind: MetricKind::Counter, is_time: false, value: 2.0, tags })
        }),
        (1, requested("http://127.0.0.1:1/", false, vec![refused])),
        (1, group("caught")),
        (1, group_left(true)),
        (1, check("goes on", true, &[])),
        (1, group("deep")),
        (1, group_left(true)),
        (1, group_left(true)),
        (1, Step::Failed { text: "error: no\n --> a.rhai:1:2\n  |\n1 | no\n  |  ^".into() }),
        (1, left(PartEnd::Failed)),
        (0, Step::Entered(Part::Teardown)),
        (0, left(PartEnd::Interrupted)),
    ]
}

fn rendered(look: Look, view: View, several: bool, steps: Vec<(u32, Step)>) -> String {
    let mut renderer = Renderer::new(look, view, several);
    let mut lines = Vec::new();
    for (vu, step) in steps {
        lines.extend(renderer.event(&TraceEvent { at: Duration::ZERO, vu, step }));
    }
    lines.extend(renderer.rest());
    lines.push(renderer.tally().render(micros(12_000), &look));
    for line in &lines {
        assert!(text::width(line) <= look.width, "{line}");
    }
    lines.join("\n")
}

#[test]
fn everything_is_shown_in_its_place() {
    insta::assert_snapshot!(rendered(LOOK, View::default(), false, everything()), @r#"
    print: from init
    setup
    │   GET    http://127.0.0.1:8080/                        200    1.2 kB ▒▒░████░   1.6 ms
    journey  VU 1, iteration 1
    │ log in
    │ │   POST   login  /login                               303    1.2 kB ░██████░   1.2 ms
    │ │   → GET /me                                          200    1.2 kB ░██████░   1.2 ms
    │ │ ✓ is 200                        r.status is 200
    │ · think 1.5s (skipped)
    │ browse
    │ │ item
    │ │ │ ✗ GET    item  /item/5?q=\u{1b}[31m                500    1.2 kB ░██████░   1.2 ms
    │ │ │ ✗ is 200
    │ │ │     r.status is 500, wanted == 200
    │ │ │     r.json("n") is (), wanted > 0
    │ │ │ ✗ a name that is long enough to leave no room at all for what it compares, none
    │ │ warn: two
    │ │       lines
    │ │ metric orders{kind:gift} +2
    │ │ ✗ GET    http://127.0.0.1:1/a/…/its/middle/as/it/is  ---       0 B ▒▒▒▒▒▒▒▒   300 µs
    │ │     connect to `127.0.0.1:1` failed: connection refused
    │ │ caught
    │ │ ✓ goes on
    │ │ deep
    │ │ │ error: no
    │ │ │  --> a.rhai:1:2
    │ │ │   |
    │ │ │ 1 | no
    │ │ │   |  ^
    teardown
    │ stopped before its end
    ✗ 4 requests · 2 failed · 2 of 4 checks failed · 1 error · stopped · 12.0 ms · 1.5s of …
    "#);
}

#[test]
fn headers_and_bodies_are_shown_where_they_are_wanted() {
    let view = View { bodies: true, debug: true, filter: Filter::All };
    let steps = everything().into_iter().filter(|(_, step)| matches!(step, Step::Requested(_) | Step::Logged { .. }));
    insta::assert_snapshot!(rendered(LOOK, view, false, steps.collect()), @r#"
    print: from init
      GET    http://127.0.0.1:8080/                          200    1.2 kB ▒▒░████░   1.6 ms
        > cookie: sid=***
        > user=ann&password=***
        connect 400 µs · send 100 µs · wait 1.0 ms · receive 100 µs · new connection · HTTP…
        < content-type: application/json
        < {
        <   "price": 0.5
        < }
      POST   login  /login                                   303    1.2 kB ░██████░   1.2 ms
        > cookie: sid=***
        > user=ann&password=***
        send 100 µs · wait 1.0 ms · receive 100 µs · kept connection · HTTP/1.1
        < content-type: application/json
        < {
        <   "price": 0.5
        < }
      → GET /me                                              200    1.2 kB ░██████░   1.2 ms
        send 100 µs · wait 1.0 ms · receive 100 µs · kept connection · HTTP/1.1
        < content-type: application/json
        < {
        <   "price": 0.5
        < }
    ✗ GET    item  /item/5?q=\u{1b}[31m                      500    1.2 kB ░██████░   1.2 ms
        > cookie: sid=***
        > user=ann&password=***
        send 100 µs · wait 1.0 ms · receive 100 µs · kept connection · HTTP/1.1
        < content-type: application/json
        < {
        <   "price": 0.5
        < }
    warn: two
          lines
    debug: for debugging
    ✗ GET    http://127.0.0.1:1/a/ve…in/its/middle/as/it/is  ---       0 B ▒▒▒▒▒▒▒▒   300 µs
        connect to `127.0.0.1:1` failed: connection refused
        > cookie: sid=***
        > user=ann&password=***
    ✗ 4 requests · 2 failed · 12.0 ms
    "#);
}

#[test]
fn a_filter_leaves_what_it_asks_for_and_the_headings_above() {
    let only = |typed| View { filter: Filter::typed(typed), ..View::default() };
    insta::assert_snapshot!(rendered(LOOK, only("!"), false, everything()), @r#"
    journey  VU 1, iteration 1
    │ browse
    │ │ item
    │ │ │ ✗ GET    item  /item/5?q=\u{1b}[31m                500    1.2 kB ░██████░   1.2 ms
    │ │ │ ✗ is 200
    │ │ │     r.status is 500, wanted == 200
    │ │ │     r.json("n") is (), wanted > 0
    │ │ │ ✗ a name that is long enough to leave no room at all for what it compares, none
    │ │ ✗ GET    http://127.0.0.1:1/a/…/its/middle/as/it/is  ---       0 B ▒▒▒▒▒▒▒▒   300 µs
    │ │     connect to `127.0.0.1:1` failed: connection refused
    │ │ deep
    │ │ │ error: no
    │ │ │  --> a.rhai:1:2
    │ │ │   |
    │ │ │ 1 | no
    │ │ │   |  ^
    teardown
    │ stopped before its end
    ✗ 4 requests · 2 failed · 2 of 4 checks failed · 1 error · stopped · 12.0 ms · 1.5s of …
    "#);
    insta::assert_snapshot!(rendered(LOOK, only("LOGIN"), false, everything()), @r#"
    journey  VU 1, iteration 1
    │ log in
    │ │   POST   login  /login                               303    1.2 kB ░██████░   1.2 ms
    │ │   → GET /me                                          200    1.2 kB ░██████░   1.2 ms
    ✗ 4 requests · 2 failed · 2 of 4 checks failed · 1 error · stopped · 12.0 ms · 1.5s of …
    "#);
    assert_eq!(Filter::typed("  "), Filter::All);
}

#[test]
fn iterations_of_several_users_are_not_mixed() {
    let steps = vec![
        (1, iteration(0)),
        (2, iteration(0)),
        (1, logged(LogLevel::Info, "one")),
        (2, logged(LogLevel::Info, "two")),
        (2, left(PartEnd::Completed)),
        (1, logged(LogLevel::Info, "one more")),
        (1, left(PartEnd::Completed)),
        (2, iteration(1)),
    ];
    insta::assert_snapshot!(rendered(LOOK, View::default(), true, steps), @r#"
    journey  VU 2, iteration 1
    │ print: two
    journey  VU 1, iteration 1
    │ print: one
    │ print: one more
    journey  VU 2, iteration 2
    ✓ 0 requests · 12.0 ms
    "#);
}

#[test]
fn a_narrow_terminal_without_unicode_gets_a_trace_too() {
    let look = Look { width: 40, height: 10, ascii: true, colour: false };
    let text = rendered(look, View { bodies: true, ..View::default() }, false, everything());
    assert!(text.is_ascii(), "{text}");
}
