//! What a virtual user keeps between requests and iterations: cookies, and where redirects lead it.

use crate::harness::Loadr;
use crate::server::{Reply, Server};

/// Gives a cookie at `/login`, says which cookies came everywhere else.
fn server() -> Server {
    Server::start(|request| match request.target() {
        "/login" => Reply::with(
            "200 OK",
            &[
                ("Set-Cookie", "sid=abc; Path=/; HttpOnly"),
                ("Set-Cookie", "area=admin; Path=/admin"),
                ("Set-Cookie", "elsewhere=1; Domain=shop.example"),
            ],
            "",
        ),
        "/logout" => Reply::with("200 OK", &[("Set-Cookie", "sid=; Path=/; Max-Age=0")], ""),
        "/move" => Reply::Keep(
            b"HTTP/1.1 303 See Other\r\nSet-Cookie: moved=yes\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
                .to_vec(),
        ),
        _ => Reply::ok(request.header("cookie").unwrap_or("none")),
    })
}

#[test]
fn cookies_are_kept_as_a_browser_keeps_them() {
    let server = server();
    let script = r#"
        const BASE = env("BASE");
        fn journey() {
            print(http::get(`${BASE}/before`).body);
            http::get(`${BASE}/login`);
            print(http::get(`${BASE}/after`).body);
            print(http::get(`${BASE}/admin/x`).body);
            print(http::cookies(`${BASE}/`));
            http::set_cookie(`${BASE}/`, "own", "2");
            print(http::get(`${BASE}/own`).body);
            print(http::get(`${BASE}/once`, #{ cookies: #{ sid: "other" } }).body);
            http::get(`${BASE}/logout`);
            print(http::get(`${BASE}/gone`).body);
            http::clear_cookies();
            print(http::get(`${BASE}/cleared`).body);
            print(http::get(`${BASE}/move`).body);
        }
    "#;
    let ran = Loadr::script(script).var("BASE", server.base()).run().expect(0);
    let sorted = |text: &str| {
        let mut parts: Vec<_> = text.split("; ").collect();
        parts.sort_unstable();
        parts.join("; ")
    };
    let prints: Vec<String> = ran.prints().iter().map(|line| sorted(line)).collect();
    let expected = [
        "none",
        "sid=abc",
        "area=admin; sid=abc",
        "#{\"sid\": \"abc\"}",
        "own=2; sid=abc",
        "own=2; sid=other",
        "own=2",
        "none",
        "moved=yes",
    ];
    assert_eq!(prints, expected, "{ran}");
}

#[test]
fn the_jar_is_emptied_at_each_iteration_unless_it_is_to_be_kept() {
    let script = r#"
        const BASE = env("BASE");
        fn journey(vu) {
            print(http::get(`${BASE}/seen`).body);
            http::get(`${BASE}/login`);
        }
    "#;
    for (flags, seen) in [("", ["none", "none", "none"]), ("--no-cookies-reset", ["none", "sid=abc", "sid=abc"])] {
        let server = server();
        let ran = Loadr::script(script).var("BASE", server.base()).flags(flags).flags("--iterations 3").run().expect(0);
        assert_eq!(ran.prints(), seen, "{flags}");
    }
}

#[test]
fn cookies_of_one_vu_are_not_those_of_another() {
    let server = server();
    let script = r#"
        const options = #{ noCookiesReset: true, scenarios: #{ a: #{ executor: "per-vu-iterations", vus: 2, iterations: 2 } } };
        const BASE = env("BASE");
        fn journey(vu) {
            if vu.id == 1 { http::get(`${BASE}/login`); }
            sleep(50.ms);
            print(`${vu.id} ${http::get(`${BASE}/seen`).body}`);
        }
    "#;
    let ran = Loadr::script(script).var("BASE", server.base()).run().expect(0);
    let mut prints = ran.prints();
    prints.sort_unstable();
    assert_eq!(prints, ["1 sid=abc", "1 sid=abc", "2 none", "2 none"]);
}

#[test]
fn redirects_change_the_method_as_browsers_change_it() {
    let server = Server::start(|request| {
        let target = request.target();
        match target.strip_prefix("/redirect/") {
            Some(status) => Reply::redirect(&format!("{status} X"), "../end?x=1"),
            None => Reply::ok(&format!("{} {target} {}", request.method(), request.text())),
        }
    });
    let script = r#"
        const BASE = env("BASE");
        fn journey() {
            for status in [301, 302, 303, 307, 308] {
                let r = http::post(`${BASE}/redirect/${status}`, "body");
                print(`${status}: ${r.body} ${r.redirects} ${r.url == BASE + "/end?x=1"}`);
            }
            let r = http::get(`${BASE}/redirect/302`, #{ redirects: 0 });
            print(`${r.status} ${r.headers["location"]} ${r.redirects}`);
        }
    "#;
    let ran = Loadr::script(script).var("BASE", server.base()).run().expect(0);
    let expected = [
        "301: GET /end?x=1  1 true",
        "302: GET /end?x=1  1 true",
        "303: GET /end?x=1  1 true",
        "307: POST /end?x=1 body 1 true",
        "308: POST /end?x=1 body 1 true",
        "302 ../end?x=1 0",
    ];
    assert_eq!(ran.prints(), expected, "{ran}");
    assert_eq!((ran.count("http_reqs"), server.requests().len()), (11.0, 11), "each hop is a request");
    assert_eq!(ran.rate("http_req_failed"), (0, 11), "a redirect is no failure");
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_host() {
    let other = Server::start(|request| {
        Reply::ok(&format!("{:?} {:?}", request.header("authorization"), request.header("cookie")))
    });
    let there = format!("{}/there", other.base().replace("127.0.0.1", "localhost"));
    let server = Server::start(move |_| Reply::redirect("302 Found", &there));
    let script = r#"fn journey() {
        let r = http::get(env("BASE"), #{ auth: "ann:pw", cookies: #{ a: "1" }, headers: #{ "X-Own": "kept" } });
        print(r.body);
    }"#;
    let ran = Loadr::script(script).var("BASE", server.base()).run().expect(0);
    assert_eq!(ran.prints(), ["None None"]);
    assert!(server.requests()[0].header("authorization").is_some());
    assert_eq!(other.requests()[0].header("x-own"), Some("kept"));
}
