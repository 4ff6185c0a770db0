//! What arrives at the target, byte by byte: request lines, headers and their order, bodies, connections, cookies.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::harness::{Loadr, Ran};
use crate::server::{Reply, Request, Server};

/// Runs a journey's body against a server that answers with 200.
fn journey(body: &str) -> (Server, Ran) {
    journey_against(Server::ok("x"), body, "")
}

fn journey_against(server: Server, body: &str, flags: &str) -> (Server, Ran) {
    let script = format!("const BASE = env(\"BASE\");\nfn journey(vu) {{\n{body}\n}}");
    let ran = Loadr::script(&script)
        .file("cat.jpg", [0xff, 0xd8, 0xff, 0x00, 0x0d, 0x0a, 0x2d, 0x2d])
        .file("note.txt", "hello\n")
        .var("BASE", server.base())
        .flags(flags)
        .run()
        .expect(0);
    (server, ran)
}

fn agent() -> String {
    format!("loadr/{}", env!("CARGO_PKG_VERSION"))
}

/// The one request that arrived, as text.
fn only(server: &Server) -> Request {
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests[0].clone()
}

#[test]
fn a_plain_get_sends_these_bytes() {
    let (server, _) = journey("http::get(`${BASE}/a/b?q=1&r=%20`);");
    let expected = format!("GET /a/b?q=1&r=%20 HTTP/1.1\r\nhost: {}\r\nuser-agent: {}", server.address(), agent());
    assert_eq!(only(&server).head.to_ascii_lowercase(), expected.to_ascii_lowercase());
}

#[test]
fn every_verb_goes_out_as_it_is_named() {
    let (server, ran) = journey(
        r#"
        http::get(`${BASE}/1`);
        http::head(`${BASE}/2`, #{});
        http::options(`${BASE}/3`, #{});
        http::post(`${BASE}/4`, "b", #{});
        http::put(`${BASE}/5`, "b", #{});
        http::patch(`${BASE}/6`, "b", #{});
        http::delete(`${BASE}/7`, (), #{});
        http::del(`${BASE}/8`, "b", #{});
        http::request("PROPFIND", `${BASE}/9`, "b", #{});
        http::request("get", `${BASE}/10`, (), #{});
        "#,
    );
    // HEAD is answered with a length and no body; whoever misreads that is out of step from then on.
    let lines = [
        "GET /1",
        "HEAD /2",
        "OPTIONS /3",
        "POST /4",
        "PUT /5",
        "PATCH /6",
        "DELETE /7",
        "DELETE /8",
        "PROPFIND /9",
        "GET /10",
    ];
    assert_eq!(server.lines(), lines, "{ran}");
    let bodies: Vec<String> = server.requests().iter().map(Request::text).collect();
    assert_eq!(bodies, ["", "", "", "b", "b", "b", "", "b", "b", ""]);
}

#[test]
fn each_kind_of_body_comes_with_its_content_type_and_length() {
    let (server, _) = journey(
        r#"
        http::post(BASE, "text é");
        http::post(BASE, blob(3, 0x41));
        http::post(BASE, #{ a: 1, b: [true, ()] });
        http::post(BASE, [1, 2.5]);
        http::post(BASE, http::json("just a text"));
        http::post(BASE, http::form(#{ name: "a b&c", list: [1, 2] }));
        http::post(BASE, http::file("note.txt"));
        http::post(BASE, http::file("cat.jpg", "image/x-cat"));
        http::post(BASE, "x", #{ headers: #{ "Content-Type": "application/xml" } });
        http::post(BASE, "");
        "#,
    );
    let seen: Vec<(String, String, String)> = server
        .requests()
        .iter()
        .map(|request| {
            let header = |name| request.header(name).unwrap_or("-").to_owned();
            (header("content-type"), header("content-length"), request.text())
        })
        .collect();
    let expected = [
        ("-", "7", "text é"),
        ("application/octet-stream", "3", "AAA"),
        ("application/json", "22", "{\"a\":1,\"b\":[true,null]}"),
        ("application/json", "7", "[1,2.5]"),
        ("application/json", "13", "\"just a text\""),
        ("application/x-www-form-urlencoded", "27", "list=1&list=2&name=a+b%26c"),
        ("text/plain", "6", "hello\n"),
        ("image/x-cat", "8", "\u{fffd}\u{fffd}\u{fffd}\0\r\n--"),
        ("application/xml", "1", "x"),
        ("-", "0", ""),
    ];
    for (seen, expected) in seen.iter().zip(expected) {
        let length = if expected.0 == "application/json" || expected.0.contains("form") {
            seen.1.clone()
        } else {
            expected.1.into()
        };
        assert_eq!(*seen, (expected.0.to_owned(), length, expected.2.to_owned()));
        if !seen.2.contains('\u{fffd}') {
            assert_eq!(seen.1, seen.2.len().to_string());
        }
    }
    assert_eq!(seen.len(), expected.len());
}

#[test]
fn headers_go_out_once_in_a_fixed_order_and_override_defaults() {
    let (server, _) = journey(
        r#"
        http::get(BASE, #{ headers: #{ "X-B": "2", "X-A": "1", "user-agent": "mine", "Accept": "text/html", "X-Many": ["p", "q"], "Host": "shop.example" } });
        "#,
    );
    let request = only(&server);
    let lower: Vec<(String, String)> =
        request.headers().iter().map(|(name, value)| (name.to_ascii_lowercase(), (*value).to_owned())).collect();
    let values = |name: &str| -> Vec<&str> {
        lower.iter().filter(|(found, _)| found == name).map(|(_, value)| &**value).collect()
    };
    assert_eq!(values("user-agent"), ["mine"]);
    assert_eq!(values("accept"), ["text/html"]);
    assert_eq!(values("host"), ["shop.example"]);
    assert_eq!((values("x-a"), values("x-b"), values("x-many")), (vec!["1"], vec!["2"], vec!["p", "q"]));
    assert_eq!(lower[0].0, "host", "the host comes first, as RFC 9112 asks for");
    let (again, _) = journey(
        r#"
        http::get(BASE, #{ headers: #{ "Host": "shop.example", "X-Many": ["p", "q"], "X-A": "1", "X-B": "2", "Accept": "text/html", "user-agent": "mine" } });
        "#,
    );
    assert_eq!(only(&again).head, request.head, "the order does not depend on how a map was written");
}

#[test]
fn a_multipart_form_arrives_as_these_bytes() {
    let (server, _) = journey(
        r#"http::post(BASE, http::multipart(#{ title: "my picture", photo: http::file("cat.jpg"), raw: blob(2, 0x42), both: ["x", http::file("note.txt")] }));"#,
    );
    let request = only(&server);
    let content_type = request.header("content-type").expect("a content type");
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").expect("a boundary").to_owned();
    let disposition = |rest: &str| format!("--{boundary}\r\nContent-Disposition: form-data; {rest}\r\n\r\n");
    let mut expected = Vec::new();
    expected.extend(disposition("name=\"both\"").bytes());
    expected.extend(b"x\r\n");
    expected.extend(disposition("name=\"both\"; filename=\"note.txt\"\r\nContent-Type: text/plain").bytes());
    expected.extend(b"hello\n\r\n");
    expected.extend(disposition("name=\"photo\"; filename=\"cat.jpg\"\r\nContent-Type: image/jpeg").bytes());
    expected.extend([0xff, 0xd8, 0xff, 0x00, 0x0d, 0x0a, 0x2d, 0x2d]);
    expected.extend(b"\r\n");
    expected.extend(disposition("name=\"raw\"; filename=\"raw\"\r\nContent-Type: application/octet-stream").bytes());
    expected.extend(b"BB\r\n");
    expected.extend(disposition("name=\"title\"").bytes());
    expected.extend(b"my picture\r\n");
    expected.extend(format!("--{boundary}--\r\n").bytes());
    assert_eq!(String::from_utf8_lossy(&request.body), String::from_utf8_lossy(&expected));
    assert_eq!(request.body, expected);
    assert_eq!(request.header("content-length"), Some(&*expected.len().to_string()));
}

#[test]
fn basic_auth_and_cookies_of_one_request() {
    let (server, _) = journey(
        r#"
        http::get(BASE, #{ auth: #{ user: "ann", password: "p:w" }, cookies: #{ a: "1", b: 2 } });
        http::get(BASE, #{ auth: "bob:pw" });
        http::get(BASE.replaced());
        "#
        .replace(
            "http::get(BASE.replaced());",
            "let url = BASE; url.replace(\"http://\", \"http://eve:s%20e@\"); http::get(url);",
        )
        .as_str(),
    );
    let requests = server.requests();
    assert_eq!(requests[0].header("authorization"), Some("Basic YW5uOnA6dw=="));
    assert_eq!(requests[0].header("cookie"), Some("a=1; b=2"));
    assert_eq!(requests[1].header("authorization"), Some("Basic Ym9iOnB3"));
    assert_eq!(requests[1].header("cookie"), None, "a cookie of one request is not kept");
    assert_eq!(requests[2].header("authorization"), Some("Basic ZXZlOnMgZQ=="));
}

#[test]
fn a_connection_serves_many_requests_and_each_vu_has_its_own() {
    let script = r#"
        const options = #{ scenarios: #{ a: #{ executor: "per-vu-iterations", vus: 3, iterations: 4 } } };
        fn journey() { let r = http::get(env("BASE")); print(r.reused); }
    "#;
    for (flags, connections) in [("", 3), ("--no-vu-connection-reuse", 12), ("--no-connection-reuse", 12)] {
        let server = Server::ok("x");
        let ran = Loadr::script(script).var("BASE", server.base()).flags(flags).run().expect(0);
        assert_eq!(server.connections(), connections, "{flags}");
        assert_eq!(ran.values("http_req_connecting"), connections as u64, "{flags}");
        let reused = ran.prints().iter().filter(|line| **line == "true").count();
        assert_eq!(reused, 12 - connections, "{flags}");
    }
}

#[test]
fn a_server_that_closes_is_not_reused() {
    let server = Server::start(|request| match request.number {
        0 => Reply::Close(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx".to_vec()),
        1 => Reply::Close(b"HTTP/1.0 200 OK\r\n\r\nto the end".to_vec()),
        _ => Reply::ok("y"),
    });
    let (server, ran) = journey_against(
        server,
        "print(http::get(BASE).body); print(http::get(BASE).body); print(http::get(BASE).body);",
        "",
    );
    assert_eq!(ran.prints(), ["x", "to the end", "y"]);
    assert_eq!((server.connections(), ran.rate("http_req_failed")), (3, (0, 3)));
}

#[test]
fn a_connection_that_went_stale_is_replaced_and_the_request_sent_once_more() {
    // The server closes without a word after its first answer, as servers do when a keep-alive time is over.
    let server = Server::start(|request| match request.number {
        0 => Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx".to_vec()),
        _ => Reply::ok("y"),
    });
    let (server, ran) =
        journey_against(server, "print(http::get(BASE).body); sleep(200.ms); print(http::get(BASE).body);", "");
    assert_eq!(ran.prints(), ["x", "y"], "{ran}");
    assert_eq!((server.lines().len(), server.connections()), (2, 2));
    assert_eq!(ran.count("http_reqs"), 2.0);
    assert_eq!(ran.rate("http_req_failed"), (0, 2));
}

#[test]
fn responses_of_every_framing_are_read_to_their_end() {
    let server = Server::start(|request| {
        match request.target() {
        "/chunked" => Reply::Keep(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n".to_vec(),
        ),
        "/none" => Reply::Keep(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        "/same" => Reply::Keep(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n".to_vec()),
        "/early" => Reply::Keep(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate".to_vec()),
        "/head" => Reply::Keep(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".to_vec()),
        "/odd" => Reply::Keep(b"HTTP/1.1 200\r\ncontent-LENGTH:   3  \r\nX-Twice: a\r\nx-twice: b\r\n\r\nodd".to_vec()),
        _ => Reply::ok("end"),
    }
    });
    let (server, ran) = journey_against(
        server,
        r#"
        for path in ["chunked", "none", "same", "early", "odd"] {
            let r = http::get(`${BASE}/${path}`);
            print(`${path} ${r.status} ${r.body} ${r.headers.get_all("X-Twice").len()}`);
        }
        let r = http::head(`${BASE}/head`, #{});
        print(`head ${r.status} ${r.size} ${r.headers["content-length"]}`);
        print(http::get(`${BASE}/end`).body);
        "#,
        "",
    );
    let expected = [
        "chunked 200 hello world 0",
        "none 204  0",
        "same 304  0",
        "early 200 late 0",
        "odd 200 odd 2",
        "head 200 0 1000",
        "end",
    ];
    assert_eq!(ran.prints(), expected, "{ran}");
    assert_eq!(server.connections(), 1, "all of it fits on one connection");
    assert_eq!(ran.count("data_received"), server.sent() as f64);
    assert_eq!(ran.count("data_sent"), server.received() as f64);
}

#[test]
fn a_batch_is_made_side_by_side_and_answered_in_order() {
    // Nobody is answered before all six are there.
    let arrived = Arc::new((Mutex::new(0), Condvar::new()));
    let server = Server::start(move |request| {
        let (count, changed) = &*arrived;
        let mut count = count.lock().unwrap();
        *count += 1;
        changed.notify_all();
        let (_count, timeout) = changed.wait_timeout_while(count, Duration::from_secs(20), |count| *count < 6).unwrap();
        let state = if timeout.timed_out() { "alone" } else { "together" };
        Reply::ok(&format!("{} {state}", request.target()))
    });
    let (server, ran) = journey_against(
        server,
        r#"
        let responses = http::batch([
            `${BASE}/1`, ["POST", `${BASE}/2`, "body"], #{ method: "PUT", url: `${BASE}/3`, body: #{ a: 1 } },
            ["GET", `${BASE}/4`, (), #{ headers: #{ "X-Four": "4" } }], `${BASE}/5`, `${BASE}/6`,
        ]);
        for r in responses { print(r.body); }
        let named = http::batch(#{ first: `${BASE}/7`, second: `${BASE}/8` });
        print(`${named.first.body} ${named.second.body}`);
        "#,
        "",
    );
    let expected = [
        "/1 together",
        "/2 together",
        "/3 together",
        "/4 together",
        "/5 together",
        "/6 together",
        "/7 together /8 together",
    ];
    assert_eq!(ran.prints(), expected, "{ran}");
    let mut lines = server.lines();
    lines[..6].sort();
    assert_eq!(lines[..6], ["GET /1", "GET /4", "GET /5", "GET /6", "POST /2", "PUT /3"]);
    assert!(server.requests().iter().any(|r| r.target() == "/4" && r.header("x-four") == Some("4")));
    assert_eq!(server.connections(), 6);
    assert_eq!(ran.count("http_reqs"), 8.0);
}

#[test]
fn a_batch_keeps_to_its_hosts_share() {
    for (limit, connections) in [(2, 2), (6, 5)] {
        let server = Server::ok("x");
        let script = format!(
            "const BASE = env(\"BASE\");\nconst options = #{{ batch_per_host: {limit} }};\n\
             fn journey() {{ http::batch([`${{BASE}}/1`, `${{BASE}}/2`, `${{BASE}}/3`, `${{BASE}}/4`, `${{BASE}}/5`]); }}"
        );
        let ran = Loadr::script(&script).var("BASE", server.base()).run().expect(0);
        assert_eq!(ran.count("http_reqs"), 5.0, "{ran}");
        assert_eq!(server.connections(), connections, "at most {limit} at once");
    }
}

#[test]
fn connections_to_a_host_are_bounded_for_a_run_and_for_a_client() {
    let script = r#"
        const BOUND = http::client(#{ base_url: env("BASE"), connections_per_host: 1 });
        fn journey(vu) {
            let urls = ["/1", "/2", "/3", "/4"];
            if env("WHICH") == "client" { BOUND.batch(urls); } else { http::batch(urls.map(|path| env("BASE") + path)); }
        }
    "#;
    for (which, flags, connections) in [
        ("run", "--connections-per-host 3 --vus 1 --iterations 2", 3),
        ("run", "--connections-per-host 2 --share-connections --threads 1 --vus 4 --iterations 8", 2),
        ("client", "--vus 1 --iterations 2", 1),
    ] {
        let server = Server::ok("x");
        let ran = Loadr::script(script).var("BASE", server.base()).var("WHICH", which).flags(flags).run().expect(0);
        assert_eq!(server.connections(), connections, "{which} {flags}\n{ran}");
        assert_eq!(ran.count("http_reqs"), server.requests().len() as f64, "{ran}");
    }
}

#[test]
fn urls_with_ids_are_grouped_unless_named() {
    let (_, ran) = journey(
        r#"
        for n in 1..=30 { http::get(`${BASE}/item/${n}?page=${n}#x`); }
        http::get(`${BASE}/user/0b6e2a1e-9d0c-4b9e-8f5e-2f1f0f0a4f11/orders`);
        http::get(`${BASE}/user/1c6e2a1e-9d0c-4b9e-8f5e-2f1f0f0a4f12/orders`);
        http::get(`${BASE}/img/1234.jpg`);
        http::get(`${BASE}/item/7`, #{ name: "seven" });
        http::get(`${BASE}/about`);
        "#,
    );
    let base = ran.report().run.args.iter().find_map(|arg| arg.strip_prefix("BASE=").map(str::to_owned)).unwrap();
    let mut rows: Vec<_> = ran.report().requests.into_iter().map(|r| (r.name.replace(&base, ""), r.count)).collect();
    rows.sort();
    let expected = [("/about", 1), ("/img/{id}.jpg", 1), ("/item/{id}", 30), ("/user/{id}/orders", 2), ("seven", 1)];
    assert_eq!(rows, expected.map(|(name, count)| (name.to_owned(), count)));
    assert!(ran.report().warnings.is_empty());
}

#[test]
fn too_many_names_are_folded_and_the_tag_to_blame_is_told() {
    let (_, ran) = journey_against(
        Server::ok("x"),
        "for n in 0..60 { http::get(BASE, #{ name: `page ${n}` }); }",
        "--max-series 20",
    );
    let report = ran.report();
    assert_eq!(ran.count("http_reqs"), 60.0);
    assert_eq!(report.requests.iter().map(|row| row.count).sum::<u64>(), 60);
    assert!(report.requests.iter().any(|row| row.name == "(other)"), "{ran}");
    let warning = report.warnings.iter().find(|warning| warning.contains("`name`")).expect("a warning");
    assert!(warning.contains("20 series"), "{warning}");
    assert!(ran.stderr.contains("  hint: give requests a name"), "{ran}");
}

#[test]
fn a_response_tells_what_came() {
    let server = Server::start(|_| {
        Reply::with(
            "201 Created",
            &[("X-Id", "7"), ("Set-Cookie", "sid=abc; Path=/"), ("Content-Type", "application/json")],
            r#"{"items":[{"price":1.5},{"price":2}],"user":{"name":"ann"}}"#,
        )
    });
    let (_, ran) = journey_against(
        server,
        r#"
        let r = http::post(`${BASE}/x`, "sent", #{ headers: #{ "X-Req": "1" } });
        print(`${r.status} ${r.status_text} ${r.ok} ${r.expected} ${r.proto} ${r.remote_ip} ${r.remote_port > 0} ${r.error_code} [${r.error}]`);
        print(`${r.headers["x-id"]} ${r.headers["X-ID"]} ${r.headers["none"] == ()} ${r.cookies.sid}`);
        print(`${r.json("items[1].price")} ${r.json("items").len()} ${r.json("user.name")} ${r.json("no.such") == ()} ${r.json().items[0].price}`);
        print(`${r.request.method} ${r.request.body} ${r.request.headers["x-req"]} ${r.url == BASE + "/x"}`);
        print(`${r.timings.duration > 0.0} ${r.timings.waiting > 0.0} ${r.duration > 0.ms} ${r.reused}`);
        "#,
        "",
    );
    let expected = [
        "201 Created true true HTTP/1.1 127.0.0.1 true 0 []",
        "7 7 true abc",
        "2 2 ann true 1.5",
        "POST sent 1 true",
        "true true true false",
    ];
    assert_eq!(ran.prints(), expected, "{ran}");
}
