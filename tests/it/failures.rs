//! Every way in which a request can fail, each seen in the report with its class and the side that failed.

use std::io::Write as _;

use crate::harness::{Loadr, Ran};
use crate::server::{Reply, Server, closed_port, self_signed};

/// Makes one request; the script says what it sees of the failure.
const JOURNEY: &str = r#"
    fn journey() {
        let res = http::get(env("URL"), #{ name: "it" });
        print(`${res.status} ${res.error_code} ${res.error != ""} ${res.expected} ${res.ok}`);
    }
"#;

#[track_caller]
fn fails(url: &str, flags: &str, code: u32, side: &str, message: &str) -> Ran {
    let ran = Loadr::script(JOURNEY).var("URL", url).flags(flags).run().expect(99);
    let errors = ran.report().errors;
    assert_eq!(errors.len(), 1, "{ran}");
    let error = &errors[0];
    assert_eq!((error.code, error.side.as_str(), &*error.message, error.count), (code, side, message, 1), "{ran}");
    assert!(error.example.starts_with("GET ") && error.example.contains(url), "{}", error.example);
    let row = ran.request("GET", "it");
    assert_eq!((row.count, row.failed), (1, 1));
    assert_eq!(ran.rate("http_req_failed"), (1, 0));
    let printed = ran.prints().join("\n");
    assert!(printed.contains(&format!(" {code} true false")), "{ran}");
    ran
}

#[track_caller]
fn server_fails(reply: impl Fn() -> Reply + Send + Sync + 'static, flags: &str, code: u32, message: &str) -> Ran {
    let server = Server::start(move |_| reply());
    let ran = fails(&format!("{}/path", server.base()), flags, code, "target", message);
    assert_eq!(server.requests().len(), 1, "a failure on a fresh connection is not repeated");
    ran
}

#[test]
fn dns_failure() {
    let ran = fails("http://no-such-host.invalid/", "", 1101, "network", "no such host");
    assert_eq!(ran.request("GET", "it").statuses.into_iter().collect::<Vec<_>>(), [("0".to_owned(), 1)]);
    assert_eq!(ran.values("http_req_connecting"), 0);
}

#[test]
fn connection_refused() {
    fails(&format!("http://127.0.0.1:{}/", closed_port()), "", 1212, "target", "connection refused");
}

#[test]
fn closed_before_the_response() {
    server_fails(|| Reply::Close(Vec::new()), "", 1221, "connection closed before the response");
}

#[test]
fn reset_in_the_middle_of_the_body() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it";
    server_fails(|| Reply::Reset(half.to_vec()), "", 1220, "connection reset by peer");
}

#[test]
fn no_response_in_time() {
    server_fails(|| Reply::Stall(Vec::new()), "--timeout 200ms", 1050, "request timed out");
}

#[test]
fn half_a_body_in_time() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it";
    server_fails(|| Reply::Stall(half.to_vec()), "--timeout 200ms", 1050, "request timed out");
}

#[test]
fn malformed_responses() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        let server = Server::start(move |_| Reply::Close(garbage.as_bytes().to_vec()));
        fails(&format!("{}/", server.base()), "--timeout 10s", 1800, "target", "malformed response");
    }
}

#[test]
fn truncated_head_and_body() {
    let close = |bytes: &'static [u8]| move || Reply::Close(bytes.to_vec());
    server_fails(close(b"HTTP/1.1 200 OK\r\nContent-Ty"), "", 1802, "truncated response headers");
    server_fails(close(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), "", 1803, "truncated body");
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    server_fails(close(chunked), "", 1803, "truncated body");
}

#[test]
fn headers_without_end() {
    let reply = || {
        let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
        (0..100_000).for_each(|n| head.extend(format!("X-{n}: {n}\r\n").bytes()));
        head.extend(b"\r\n");
        Reply::Close(head)
    };
    server_fails(reply, "", 1801, "response headers too large");
}

#[test]
fn a_body_larger_than_allowed() {
    server_fails(|| Reply::ok(&"x".repeat(10_000)), "--max-body 5000", 1804, "body larger than allowed");
}

#[test]
fn too_many_redirects() {
    let server = Server::start(|_| Reply::redirect("302 Found", "/again"));
    let script =
        r#"fn journey() { let r = http::get(env("URL")); print(`${r.status} ${r.redirects} ${r.error_code}`); }"#;
    let ran = Loadr::script(script).var("URL", server.base()).run();
    // Ten are followed, as k6 does it; the answer to the eleventh request is the failure.
    assert_eq!(server.requests().len(), 11, "{ran}");
    let error = ran.error(1810);
    assert_eq!((error.side.as_str(), &*error.message, error.count), ("target", "too many redirects", 1));
    assert_eq!(ran.rate("http_req_failed"), (1, 10));
    assert_eq!(ran.prints(), ["302 10 1810"]);
}

#[test]
fn a_redirect_that_leads_nowhere() {
    let server = Server::start(|_| Reply::redirect("302 Found", "ftp://elsewhere/"));
    fails(&format!("{}/", server.base()), "", 1811, "target", "invalid redirect");
}

#[test]
fn tls_certificates_that_are_not_to_be_trusted() {
    let server = Server::tls(self_signed("localhost"), |_| Reply::ok("secret"));
    let url = format!("{}/", server.https());
    fails(&url, "", 1310, "target", "certificate signed by an unknown authority");
    assert_eq!(server.requests().len(), 0);
    let script = r#"fn journey() { let r = http::get(env("URL")); print(`${r.body} ${r.tls_version}`); }"#;
    let ran = Loadr::script(script).var("URL", &url).flags("--insecure-skip-tls-verify").run().expect(0);
    assert_eq!(ran.prints(), ["secret TLS 1.3"]);
    assert_eq!(ran.values("http_req_tls_handshaking"), 1);
}

#[test]
fn tls_to_a_server_that_speaks_none() {
    let server = Server::start(|_| Reply::ok("plain"));
    let url = format!("https://{}/", server.address());
    let ran = Loadr::script(JOURNEY).var("URL", &url).flags("--timeout 2s").run().expect(99);
    let error = &ran.report().errors[0];
    assert!((1300..1400).contains(&error.code) || error.code == 1050, "{ran}");
    assert_eq!(error.side.as_str(), "target");
}

#[test]
fn bad_gzip_is_an_error_of_whoever_looks_at_the_body() {
    let server = Server::start(|request| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(b"all is well, and there is more of it").expect("bytes");
        let mut packed = encoder.finish().expect("gzip");
        match request.target() {
            "/bad" => packed[12] ^= 0xff,
            "/cut" => packed.truncate(20),
            "/none" => packed = b"not gzip at all".to_vec(),
            _ => {}
        }
        Reply::with("200 OK", &[("Content-Encoding", "gzip")], packed)
    });
    let script = r#"
        fn journey() {
            let good = http::get(`${env("BASE")}/good`);
            print(good.body);
            for path in ["bad", "cut", "none"] {
                let res = http::get(`${env("BASE")}/${path}`);
                print(`${res.status} ${res.error_code}`);
                try { res.body; print("no error"); } catch (error) { print(error); }
            }
            http::get(`${env("BASE")}/bad`).body
        }
    "#;
    let ran = Loadr::script(script).var("BASE", server.base()).run().expect(99);
    let prints = ran.prints();
    assert_eq!(prints[0], "all is well, and there is more of it");
    for pair in prints[1..].chunks(2) {
        assert_eq!(pair[0], "200 0", "{ran}");
        assert!(pair[1].starts_with(&format!("can't decode the body of {}/", server.base())), "{ran}");
    }
    assert_eq!(prints.len(), 7, "{ran}");
    assert_eq!(ran.rate("http_req_failed"), (0, 5), "a request is not judged by its body");
    let error = ran.error(2000);
    assert!(error.message.starts_with("can't decode the body of "), "{}", error.message);
    assert_eq!(error.count, 1);
}

#[test]
fn statuses_are_classes_of_their_own() {
    let server = Server::start(|request| {
        let status = request.target().trim_start_matches('/').to_owned();
        Reply::with(&format!("{status} X"), &[], "")
    });
    let script = r#"
        fn journey() {
            for status in [200, 404, 404, 500, 418, 599] { http::get(`${env("BASE")}/${status}`, #{ name: "s" }); }
            http::get(`${env("BASE")}/404`, #{ name: "fine", expected: 404 });
            http::get(`${env("BASE")}/204`, #{ name: "odd", expected: [200, 300..=399] });
        }
    "#;
    let ran = Loadr::script(script).var("BASE", server.base()).run().expect(0);
    let mut seen: Vec<_> = ran.report().errors.into_iter().map(|e| (e.code, e.side.as_str(), e.count)).collect();
    seen.sort_unstable();
    let target = "target";
    assert_eq!(seen, [(1404, target, 2), (1418, target, 1), (1500, target, 1), (1599, target, 1), (1820, target, 1)]);
    let row = ran.request("GET", "s");
    let statuses: Vec<_> = row.statuses.iter().map(|(status, count)| (&**status, *count)).collect();
    assert_eq!(statuses, [("200", 1), ("404", 2), ("418", 1), ("500", 1), ("599", 1)]);
    assert_eq!((row.count, row.failed), (6, 5));
    assert_eq!((ran.request("GET", "fine").failed, ran.request("GET", "odd").failed), (0, 1));
}

#[test]
fn a_failed_request_is_an_exception_where_the_script_wants_that() {
    let url = format!("http://127.0.0.1:{}/", closed_port());
    let ran = Loadr::script("fn journey() { http::get(env(\"URL\")); print(\"after\"); }")
        .var("URL", &url)
        .flags("--throw")
        .run()
        .expect(99);
    assert_eq!(ran.prints(), [""; 0]);
    assert_eq!(ran.error(2000).count, 1);
    assert_eq!(ran.error(1212).count, 1);
    let script = r#"fn journey() { try { http::get(env("URL"), #{ "throw": true }); } catch (e) { print("caught"); } http::get(env("URL")); print("after"); }"#;
    let ran = Loadr::script(script).var("URL", &url).run().expect(99);
    assert_eq!(ran.prints(), ["caught", "after"]);
}

#[test]
fn urls_that_are_none_are_errors_of_the_script() {
    for url in ["nonsense", "ftp://127.0.0.1/", "http://", "http://127.0.0.1:99999/"] {
        let ran = Loadr::script("fn journey() { http::get(env(\"URL\")); }").var("URL", url).run().expect(99);
        let error = &ran.report().errors[0];
        assert_eq!(error.side.as_str(), "script", "{url}\n{ran}");
        assert!(error.message.contains(url), "{url}\n{ran}");
    }
}

#[test]
fn one_vu_that_fails_leaves_the_others_alone() {
    let server = Server::ok("x");
    let script = r#"
        const options = #{ scenarios: #{ a: #{ executor: "per-vu-iterations", vus: 4, iterations: 3 } } };
        fn journey(vu) {
            if vu.id == 2 { throw "not me"; }
            check(http::get(env("BASE")), #{ ok: |r| r.status == 200 });
        }
    "#;
    let ran = Loadr::script(script).var("BASE", server.base()).run().expect(0);
    assert_eq!((ran.count("iterations"), ran.count("iterations_failed"), ran.rate("checks")), (12.0, 3.0, (9, 0)));
}
