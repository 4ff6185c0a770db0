//! Clients of a script's own: what goes out, over which connections, and how it is recorded.

use serde_json::json;

use crate::harness::Loadr;
use crate::server::{Reply, Server};

fn heads(server: &Server) -> Vec<String> {
    server.requests().iter().map(|request| request.head.to_ascii_lowercase()).collect()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn a_client_lays_its_settings_under_those_of_each_request() {
    let server = Server::ok("x");
    let script = r#"
        const API = http::client(#{
            base_url: env("BASE") + "/v1/", headers: #{ "X-Team": "a", "X-Drop": "d", "Content-Type": "text/plain" },
            user_agent: "shop/2", name_prefix: "api: ", tags: #{ team: "a" }, expected: 200..=299,
        });
        fn journey() {
            API.get("cart?q=1");
            API.get("/root", #{ name: "root", headers: #{ "X-Team": "b", "X-Drop": () }, tags: #{ step: "1" } });
            API.post("cart", #{ a: 1 });
            API.batch(["one", ["POST", "two", "body"]]);
            http::get(env("BASE") + "/plain");
        }
    "#;
    let ran = Loadr::script(script).var("BASE", server.base()).flags("--iterations 2").run().expect(0);
    let heads = heads(&server);
    let lines: Vec<&str> = heads.iter().filter_map(|head| head.lines().next()).take(6).collect();
    let mut sorted = lines.clone();
    sorted[3..5].sort_unstable();
    assert_eq!(
        sorted,
        [
            "get /v1/cart?q=1 http/1.1",
            "get /root http/1.1",
            "post /v1/cart http/1.1",
            "get /v1/one http/1.1",
            "post /v1/two http/1.1",
            "get /plain http/1.1"
        ]
    );
    let seen = |index: usize, name: &str| header(&heads[index], name).map(str::to_owned);
    assert_eq!(seen(0, "user-agent").as_deref(), Some("shop/2"));
    assert_eq!((seen(0, "x-team").as_deref(), seen(0, "x-drop").as_deref()), (Some("a"), Some("d")));
    assert_eq!((seen(1, "x-team").as_deref(), seen(1, "x-drop")), (Some("b"), None));
    assert_eq!(seen(2, "content-type").as_deref(), Some("text/plain"));
    assert_eq!(
        (seen(5, "x-team"), seen(5, "user-agent").is_some_and(|agent| agent.starts_with("loadr/"))),
        (None, true)
    );
    let report = ran.report();
    let names: Vec<&str> = report.requests.iter().map(|request| request.name.as_str()).collect();
    assert!(names.contains(&"api: root"), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("api: http://") && name.ends_with("/v1/cart")), "{names:?}");
}

#[test]
fn clients_of_other_options_have_connections_of_their_own_that_live_on() {
    let server = Server::ok("x");
    // Made in each iteration, and the same client all the same.
    let script = r#"
        fn journey() {
            let own = http::client(#{ base_url: env("BASE"), user_agent: "other" });
            let like = http::client(#{ base_url: env("BASE"), headers: #{ a: "b" } });
            own.get("/own");
            like.get("/like");
            http::get(env("BASE") + "/plain");
        }
    "#;
    Loadr::script(script).var("BASE", server.base()).flags("--iterations 3").run().expect(0);
    assert_eq!(server.requests().len(), 9);
    assert_eq!(server.connections(), 2, "one for each set of options, and none for each iteration");
}

#[test]
fn cookies_are_shared_or_ones_own_or_none() {
    let server = Server::start(|request| match request.head.contains("/login") {
        true => Reply::with("200 OK", &[("Set-Cookie", "sid=1; Path=/")], ""),
        false => Reply::ok(""),
    });
    let script = r#"
        const SHARED = http::client(#{ base_url: env("BASE"), user_agent: "shared" });
        const OWN = http::client(#{ base_url: env("BASE"), cookies: "own" });
        const NONE = http::client(#{ base_url: env("BASE"), cookies: "none" });
        fn journey() {
            http::get(env("BASE") + "/login");
            SHARED.get("/shared");
            OWN.get("/own/before");
            OWN.get("/own/login");
            OWN.get("/own/after");
            NONE.get("/none/login");
            NONE.get("/none/after");
        }
    "#;
    Loadr::script(script).var("BASE", server.base()).run().expect(0);
    let cookies: Vec<(String, bool)> = heads(&server)
        .iter()
        .map(|head| (head.split(' ').nth(1).unwrap_or_default().to_owned(), header(head, "cookie") == Some("sid=1")))
        .collect();
    let with: Vec<&str> = cookies.iter().filter(|(_, sent)| *sent).map(|(path, _)| path.as_str()).collect();
    assert_eq!(with, ["/shared", "/own/after"], "{cookies:?}");
}

#[test]
fn each_attempt_is_a_request_in_the_results() {
    let script = r#"
        const API = http::client(#{ base_url: env("BASE_URL"), retries: #{ count: 3, on: [503], delay: 1.ms } });
        fn journey() {
            let res = API.get(`/flaky?fails=2&key=${crypto::uuid()}`, #{ name: "flaky" });
            check(res, #{ "third time": |r| r.status == 200 && r.attempts == 3 });
            let res = API.get("/status/404", #{ name: "missing", expected: 404 });
            check(res, #{ "not again": |r| r.attempts == 1 });
            let res = API.post("/status/503", "body", #{ name: "post", expected: 503 });
            check(res, #{ "a post is not repeated": |r| r.attempts == 1 });
            let res = API.post("/status/503", "b", #{ name: "all", expected: 503, retries: #{ count: 1, on: 503, methods: "all", delay: 1.ms } });
            check(res, #{ "unless it says so": |r| r.attempts == 2 });
            let res = http::get("http://127.0.0.1:1/", #{ name: "closed", retries: #{ count: 2, delay: 1.ms } });
            check(res, #{ "failures on the way": |r| r.attempts == 3 && r.status == 0 });
            let all = http::batch([["GET", env("BASE_URL") + `/flaky?fails=1&key=${crypto::uuid()}`, (), #{ name: "batch", retries: #{ count: 1, delay: 1.ms } }]]);
            check(all[0], #{ "in a batch": |r| r.attempts == 2 });
        }
    "#;
    let ran = Loadr::script(script).flags("--demo --threshold checks:rate==1").run().expect(0);
    let report = ran.report();
    let of = |name: &str| {
        let request = report.requests.iter().find(|request| request.name == name);
        request.map(|request| (request.count, request.failed)).unwrap_or_default()
    };
    assert_eq!(json!([of("flaky"), of("missing"), of("post"), of("all")]), json!([[3, 2], [1, 0], [1, 0], [2, 0]]));
    assert_eq!(json!([of("closed"), of("batch")]), json!([[3, 3], [2, 1]]));
}

#[test]
fn what_is_wrong_with_a_client_is_told_before_the_load() {
    for (settings, told) in [
        ("base_url: 7", "`base_url` must be a text"),
        ("base_url: \"shop.test\"", "relative URL without a base"),
        ("base_url: \"ftp://shop.test\"", "expected `http` or `https`"),
        ("timeot: 5.s", "did you mean `timeout`"),
        ("batch: 0", "option `batch` in the settings of a client: expected at least 1, found 0"),
        ("headers: #{ \"a b\": 1 }", "can't be the name of a header"),
        ("cookies: \"mine\"", "`cookies` must be"),
        ("retries: #{ cuont: 1 }", "did you mean `count`"),
        ("retries: 1000", "from 0 to 100"),
        ("save_dir: \"/etc\"", "a script can't choose where files may be written"),
        ("tags: [1]", "`tags` must be a map"),
    ] {
        // Put together, so that it is the run that finds it.
        let script = format!(
            "fn given() {{ #{{ {settings} }} }}\nconst C = http::client(given());\nfn journey() {{ C.get(\"/\"); }}"
        );
        let ran = Loadr::script_without_export(&script).run();
        assert!(ran.stderr.contains(told), "`{settings}` is told:\n{}", ran.stderr);
        assert!(ran.stderr.contains("script.rhai:2"), "{}", ran.stderr);
    }
}

#[test]
fn clients_are_bounded() {
    let ran = Loadr::script(
        r#"
        fn journey() {
            for i in 0..5000 { http::client(#{ base_url: "http://127.0.0.1:1", user_agent: `agent ${i}` }); }
        }
        "#,
    )
    .run();
    assert!(ran.stderr.contains("there are 4096 sets of options of `http::client` already"), "{}", ran.stderr);
    let ran = Loadr::script(
        r#"
        fn journey() {
            for i in 0..100 {
                http::client(#{ base_url: "http://127.0.0.1:1", cookies: "own", headers: #{ a: i } }).get("/");
            }
        }
        "#,
    )
    .run();
    assert!(ran.stderr.contains("connections for 16 clients"), "{}", ran.stderr);
}

#[test]
fn setup_may_end_in_a_request() {
    let script = r#"
        fn setup() { http::get(env("BASE_URL") + "/item/1") }
        fn journey(vu, data) {
            check(data, #{
                "status": |d| d.status == 200,
                "url": |d| d.url.ends_with("/item/1"),
                "headers": |d| d.headers["content-type"].contains("json"),
                "body": |d| json::parse(d.body).id == 1,
            });
        }
    "#;
    Loadr::script(script).flags("--demo --threshold checks:rate==1").run().expect(0);
}
