//! `--http-debug`: what goes over the wire, readable and without secrets.

use crate::harness::{Loadr, Ran};
use crate::server::{Reply, Server};

const SCRIPT: &str = r#"
    const BASE = env("BASE");
    fn journey() {
        http::get(`${BASE}/from?token=sesame`, #{ name: "page", headers: #{ authorization: "Bearer sesame", "x-of": "me" } });
        http::post(`${BASE}/gone`, "password=sesame&user=ann", #{ name: "order" });
    }
"#;

fn server() -> Server {
    Server::start(|request| match request.target().split('?').next() {
        Some("/from") => Reply::with("302 Found", &[("Location", "/to"), ("Set-Cookie", "sid=sesame")], ""),
        Some("/gone") => Reply::with("410 Gone", &[("Content-Type", "text/plain")], "it was sold"),
        _ => Reply::ok("all of the page"),
    })
}

fn told(what: &str, iterations: u32) -> (Ran, Server) {
    let server = server();
    let flags = format!("--iterations {iterations} --threads 1 --allow-failure {what}");
    let ran = Loadr::script(SCRIPT).var("BASE", server.base()).flags(&flags).run().expect(0);
    assert!(!ran.stderr.contains("sesame"), "secrets are left out\n{ran}");
    (ran, server)
}

#[test]
fn requests_and_responses_are_readable_and_have_no_secrets() {
    let (ran, server) = told("--http-debug", 1);
    let base = server.base();
    for line in [
        format!("> GET {base}/from?token=***  (page)"),
        "> authorization: Bearer ***".into(),
        "> x-of: me".into(),
        "< location: /to".into(),
        format!("> GET {base}/to"),
        format!("> POST {base}/gone  (order)"),
    ] {
        assert!(ran.stderr.to_lowercase().contains(&line.to_lowercase()), "{line}\n{ran}");
    }
    assert!(ran.stderr.contains("< HTTP/1.1 302") && ran.stderr.contains("< HTTP/1.1 410"), "{ran}");
    assert!(!ran.stderr.contains("all of the page"), "bodies are not asked for\n{ran}");
    let (ran, _) = told("--http-debug=full", 1);
    for body in ["< all of the page", "< it was sold", "user=ann"] {
        assert!(ran.stderr.contains(body), "{body}\n{ran}");
    }
}

#[test]
fn only_those_that_failed_are_told_and_not_all_of_them() {
    let (ran, _) = told("--http-debug=failed", 31);
    assert_eq!(ran.stderr.matches("< HTTP/1.1 410").count(), 20, "{ran}");
    assert!(!ran.stderr.contains("/from"), "{ran}");
    assert!(ran.stderr.contains("http-debug: 10 more failed requests so far"), "{ran}");
}

#[test]
fn nothing_is_told_unless_asked_and_other_words_are_refused() {
    let (ran, _) = told("", 1);
    assert!(!ran.stderr.contains("> GET"), "{ran}");
    let ran = Loadr::script(SCRIPT).var("BASE", "http://127.0.0.1:1").flags("--http-debug=all").run().expect(104);
    assert!(ran.stderr.contains("expected `headers`, `full` or `failed`, found the text `all`"), "{ran}");
}
