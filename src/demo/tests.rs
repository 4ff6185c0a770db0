//! The demo server over real sockets: routes, the wire, hostile input.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};

use super::{DemoConfig, Server};

mod services;
mod wire;

fn server() -> Server {
    Server::start(DemoConfig { threads: 2, ..DemoConfig::default() }).unwrap()
}

/// A response as it came over the wire.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The value of the session cookie that it sets.
    fn sid(&self) -> String {
        let cookie = self.header("set-cookie");
        cookie.strip_prefix("sid=").and_then(|rest| rest.split(';').next()).expect(cookie).to_owned()
    }
}

/// A client with one connection.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(server: &Server) -> Self {
        Self(BufReader::new(TcpStream::connect(server.addr()).unwrap()))
    }

    fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Reads a response; `has_body` is false after HEAD.
    fn read(&mut self, has_body: bool) -> Answer {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {line:?}")).parse().unwrap();
        let mut headers = Vec::new();
        loop {
            line.clear();
            self.0.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        if has_body {
            answer.body = vec![0; answer.header("content-length").parse().unwrap_or(0)];
            self.0.read_exact(&mut answer.body).unwrap();
        }
        answer
    }

    /// Sends a request with headers (`Name: value` lines) and a body, and reads the response.
    fn send(&mut self, method: &str, target: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: shop\r\nContent-Length: {}\r\n", body.len());
        for line in headers.lines() {
            request += &format!("{line}\r\n");
        }
        self.write([request.as_bytes(), b"\r\n", body].concat());
        self.read(method != "HEAD")
    }

    fn get(&mut self, target: &str) -> Answer {
        self.send("GET", target, "", "")
    }

    /// Whether the server has closed the connection, with nothing more to read.
    fn is_closed(&mut self) -> bool {
        self.0.read(&mut [0]).is_ok_and(|bytes| bytes == 0)
    }
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let rest = text.split_once(start).expect(text).1;
    rest.split_once(end).expect(text).0
}

#[test]
fn form_login_needs_the_token_and_the_password() {
    let server = server();
    let mut client = Client::new(&server);
    let page = client.get("/login");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let (sid, text) = (page.sid(), page.text());
    let token = between(&text, "name=\"csrf_token\" value=\"", "\"");
    let headers = format!("{FORM}\nCookie: other=1; sid={sid}");
    let mut login = |headers: &str, body: &str| client.send("POST", "/login", headers, body);

    let body = format!("user=user1&password=secret&csrf_token={token}");
    assert_eq!(login(&headers, "user=user1&password=secret&csrf_token=0000000000000000").status, 403);
    assert_eq!(login(&headers, "user=user1&password=secret").status, 403);
    assert_eq!(login(FORM, &body).status, 403, "without the session the token is worth nothing");
    assert_eq!(login(&headers, &body.replace("secret", "wrong")).status, 401);
    assert_eq!(login(&headers, &body.replace("user1", "nobody")).status, 401);
    let welcome = login(&headers, &body);
    assert_eq!((welcome.status, welcome.header("location")), (303, "/account"));
    let new_sid = welcome.sid();
    assert_ne!(new_sid, sid);
    assert_eq!(login(&headers, &body).status, 403, "the old session is gone");

    let account = |client: &mut Client, sid: &str| client.send("GET", "/account", &format!("Cookie: sid={sid}"), "");
    assert!(account(&mut client, &new_sid).text().contains("<b class=\"user\">user1</b>"));
    assert_eq!(account(&mut client, &sid).header("location"), "/login");
    assert_eq!(client.send("POST", "/logout", &format!("Cookie: sid={new_sid}"), "").status, 303);
    assert_eq!(account(&mut client, &new_sid).status, 303);
    assert_eq!(server.stats().logins, 1);
}

#[test]
fn names_are_escaped_on_pages() {
    let server = server();
    let mut client = Client::new(&server);
    let page = client.get("/");
    let text = page.text();
    let token = between(&text, "name=\"csrf_token\" value=\"", "\"");
    let body = format!("user=user-%3Cscript%3E&password=secret&csrf_token={token}");
    let welcome = client.send("POST", "/login", &format!("{FORM}\nCookie: sid={}", page.sid()), body);
    let account = client.send("GET", "/account", &format!("Cookie: sid={}", welcome.sid()), "").text();
    assert!(account.contains("user-&lt;script&gt;"), "{account}");
}

#[test]
fn api_login_gives_a_token_that_opens_the_api() {
    let server = server();
    let mut client = Client::new(&server);
    for (body, status) in [
        (r#"{"user":"user5","password":"secret"}"#, 200),
        (r#"{"username":"user-x","password":"secret"}"#, 200),
        (r#"{"user":"user5","password":"no"}"#, 401),
        (r#"{"user":"user5"}"#, 400),
        ("not json", 400),
        ("", 400),
    ] {
        assert_eq!(client.send("POST", "/api/login", "", body).status, status, "{body}");
    }
    let login = client.send("POST", "/api/login", "", r#"{"user":"user5","password":"secret"}"#).json();
    assert_eq!((&login["token_type"], &login["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let token = login["token"].as_str().unwrap();
    let mut me = |header: String| client.send("GET", "/api/me", &header, "");
    assert_eq!(me(format!("Authorization: Bearer {token}")).json(), json!({ "user": "user5", "cart_lines": 0 }));
    assert_eq!(me(format!("Authorization: Basic {token}")).status, 401);
    assert_eq!(me(format!("Cookie: sid={token}")).status, 401, "a token is no cookie");
    assert_eq!(me("Authorization: Bearer 0123456789abcdef".to_owned()).status, 401);
    assert_eq!(me(String::new()).header("www-authenticate"), "Bearer realm=\"demo\"");
}

#[test]
fn carts_become_orders() {
    let server = server();
    let mut client = Client::new(&server);
    assert_eq!(client.get("/cart").json(), json!({ "items": [], "count": 0, "total": 0.0 }));
    let first = client.send("POST", "/cart", "", r#"{"id":3,"quantity":2}"#);
    assert_eq!(first.status, 200);
    let cookie = format!("Cookie: sid={}", first.sid());
    let cart = client.send("POST", "/cart", &format!("{cookie}\n{FORM}"), "item=4").json();
    assert_eq!(cart["count"], 3);
    let prices = cart["items"].as_array().unwrap().iter();
    let sum: f64 = prices.map(|line| line["price"].as_f64().unwrap() * line["quantity"].as_f64().unwrap()).sum();
    assert!((cart["total"].as_f64().unwrap() - sum).abs() < 1e-6, "{cart}");
    for (body, status) in
        [(r#"{"id":9999}"#, 404), (r#"{"id":3,"quantity":98}"#, 400), (r#"{"id":3,"quantity":0}"#, 200), ("[", 400)]
    {
        assert_eq!(client.send("POST", "/cart", &cookie, body).status, status, "{body}");
    }

    assert_eq!(client.send("POST", "/order", "", r#"{"items":[1]}"#).status, 401);
    let order = client.send("POST", "/order", &cookie, "");
    assert_eq!(order.status, 201);
    assert_eq!(order.json()["total"], cart["total"]);
    let location = order.header("location").to_owned();
    assert_eq!(location, format!("/order/{}", order.json()["id"]));
    assert_eq!(client.send("POST", "/order", &cookie, "").status, 400, "the cart is empty now");
    assert_eq!(client.send("GET", &location, &cookie, "").json(), order.json());
    assert_eq!(client.get(&location).status, 401);
    let stranger = format!("Cookie: sid={}", client.get("/").sid());
    assert_eq!(client.send("GET", &location, &stranger, "").status, 404);

    for (headers, body, status) in [
        ("", r#"{"items":[1,{"id":2,"quantity":3}]}"#, 201),
        ("", r#"{"items":[]}"#, 400),
        ("", r#"{"items":[100000]}"#, 404),
        ("", r#"{"items":"all"}"#, 400),
        ("", "nonsense", 400),
        (FORM, "items=1,2&item=3", 201),
        (FORM, "items=one", 400),
    ] {
        let got = client.send("POST", "/order", &format!("{cookie}\n{headers}"), body);
        assert_eq!(got.status, status, "{body}: {}", got.text());
    }
    client.send("POST", "/cart", &cookie, "7");
    assert_eq!(client.send("DELETE", "/cart", &cookie, "").status, 204);
    assert_eq!(client.send("GET", "/cart", &cookie, "").json()["count"], 0);
    assert_eq!(server.stats().orders, 3);
}

#[test]
fn goods_are_shown_as_json_and_html() {
    let server = server();
    let mut client = Client::new(&server);
    let item = client.get("/item/51").json();
    let list = client.get("/api/products?per_page=100");
    assert!((5_300..6_000).contains(&list.body.len()));
    assert_eq!(list.json()["items"][50], item);
    let page = client.get("/product/51").text();
    assert!(page.contains(item["name"].as_str().unwrap()), "{page}");
    assert!(client.get("/products?page=2").text().contains("rel=\"next\" href=\"/products?page=3\""));
    assert!(!client.get("/products?page=50").text().contains("rel=\"next\""));
    assert_eq!(client.get("/search?q=red+chair").json()["hits"][0]["id"], 1);
    assert_eq!(client.get("/search?q=%22%3C").json(), json!({ "q": "\"<", "total": 0, "hits": [] }));
    for target in
        ["/item/0", "/item/1001", "/item/-1", "/item/x", "/item/99999999999", "/product/0", "/nothing", "/item/"]
    {
        assert_eq!(client.get(target).status, 404, "{target}");
    }
    for target in
        ["/api/products?page=0", "/api/products?per_page=101", "/api/products?page=x", "/products?page=0", "/search"]
    {
        assert_eq!(client.get(target).status, 400, "{target}");
    }
    let gzipped = client.send("GET", "/api/products?per_page=100", "Accept-Encoding: gzip", "");
    assert_eq!(gzipped.header("content-encoding"), "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*gzipped.body).read_to_string(&mut text).unwrap();
    assert_eq!(text.as_bytes(), list.body);
}

#[test]
fn head_and_wrong_methods_are_answered() {
    let server = server();
    let mut client = Client::new(&server);
    let length = client.get("/item/1").body.len().to_string();
    assert_eq!(client.send("HEAD", "/item/1", "", "").header("content-length"), length);
    assert_eq!(client.send("HEAD", "/bytes/100000", "", "").header("content-length"), "100000");
    let wrong = client.send("DELETE", "/item/1", "", "");
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, HEAD"));
    assert_eq!(client.send("BREW", "/health", "", "").status, 405);
}

const MULTIPART: &str = "Content-Type: multipart/form-data; boundary=XX";

fn multipart(content_type: &str, file: &str) -> String {
    format!(
        "--XX\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nmy picture\r\n--XX\r\nContent-Disposition: form-data; \
         name=\"photo\"; filename=\"cat.jpg\"\r\nContent-Type: {content_type}\r\n\r\n{file}\r\n--XX--\r\n"
    )
}

#[test]
fn uploads_are_checked() {
    let server = Server::start(DemoConfig { upload_max: 200_000, ..DemoConfig::default() }).unwrap();
    let mut client = Client::new(&server);
    let hello = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"; // SHA-1 of `hello`
    let answer =
        client.send("POST", &format!("/upload?size=5&sha1={hello}"), MULTIPART, multipart("text/plain", "hello"));
    assert_eq!(answer.status, 201, "{}", answer.text());
    let file = json!({ "field": "photo", "name": "cat.jpg", "content_type": "text/plain", "size": 5, "sha1": hello });
    assert_eq!(answer.json(), json!({ "fields": { "title": "my picture" }, "files": [file], "bytes": 5 }));

    let whole = multipart("text/plain", "hello");
    let long = multipart("text/plain", &"x".repeat(150_000));
    for (target, headers, body, status) in [
        ("/upload", MULTIPART, long.as_str(), 201),
        ("/upload?size=6", MULTIPART, &whole, 422),
        ("/upload?size=x", MULTIPART, &whole, 400),
        ("/upload?sha1=00", MULTIPART, &whole, 422),
        ("/upload", MULTIPART, &multipart("image/jpeg", "hello"), 415),
        ("/upload", MULTIPART, &whole[..whole.len() - 6], 400),
        ("/upload", MULTIPART, "--XX--\r\n", 400),
        ("/upload", MULTIPART, "", 400),
        ("/upload", "Content-Type: text/plain", "hello", 415),
        ("/upload", "", "", 415),
        ("/upload/raw", "", "hello", 201),
        ("/upload/raw?size=4", "", "hello", 422),
    ] {
        // A refusal in the middle of a body closes the connection.
        let got = Client::new(&server).send("POST", target, headers, body);
        assert_eq!(got.status, status, "{target} {headers} {body:.40}: {}", got.text());
    }
    assert_eq!(Client::new(&server).send("PUT", "/upload/raw", "", "hello").json()["sha1"], hello);
    let stats = server.stats();
    assert_eq!((stats.uploads, stats.upload_bytes), (4, 150_015));
}

#[test]
fn redirects_and_cookies_do_as_they_say() {
    let server = server();
    let mut client = Client::new(&server);
    assert_eq!(client.get("/redirect/2").header("location"), "/redirect/1");
    assert_eq!(client.get("/redirect/0").status, 200);
    assert_eq!(client.get("/redirect/x").status, 400);
    let away = client.get("/redirect-to?url=http%3A%2F%2Fx%2Fy%3Fz&status=307");
    assert_eq!((away.status, away.header("location")), (307, "http://x/y?z"));
    let set = client.get("/cookies/set?a=1&b=2");
    let cookies: Vec<_> =
        set.headers.iter().filter(|(name, _)| name == "Set-Cookie").map(|(_, value)| value.as_str()).collect();
    assert_eq!((set.status, cookies), (302, vec!["a=1; Path=/", "b=2; Path=/"]));
    assert_eq!(
        client.send("GET", "/cookies", "Cookie: a=1; b=2", "").json(),
        json!({ "cookies": { "a": "1", "b": "2" } })
    );
}

#[test]
fn caches_miss_then_hit_and_know_what_the_client_has() {
    let server = server();
    let mut client = Client::new(&server);
    let miss = client.get("/cache/logo");
    assert_eq!((miss.header("x-cache"), miss.header("age")), ("MISS", "0"));
    assert_eq!(miss.header("cache-control"), "public, max-age=60");
    assert_eq!(client.get("/cache/logo").header("x-cache"), "HIT");
    assert_eq!(client.get("/cache/other").header("x-cache"), "MISS");
    assert_eq!(client.get("/cache/logo?max_age=0").header("x-cache"), "MISS");
    let known = client.send("GET", "/cache/logo", &format!("If-None-Match: W/\"x\", {}", miss.header("etag")), "");
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(client.send("GET", "/cache/logo", "If-None-Match: \"x\"", "").status, 200);
}

#[test]
fn statuses_and_sizes_are_as_chosen() {
    let server = server();
    let mut client = Client::new(&server);
    for status in [200, 201, 204, 304, 401, 404, 418, 500, 599] {
        assert_eq!(client.get(&format!("/status/{status}")).status, status);
    }
    for target in [
        "/status/99",
        "/status/100",
        "/status/600",
        "/status/x",
        "/bytes/-1",
        "/bytes/99999999999",
        "/slow?ms=60001",
        "/flaky?rate=2",
        "/flaky?status=200",
        "/flaky?rate=NaN",
    ] {
        assert_eq!(client.get(target).status, 400, "{target}");
    }
    for length in [0, 1, 16_384, 16_385, 1_000_000] {
        assert_eq!(client.get(&format!("/bytes/{length}")).body.len(), length);
    }
    assert_eq!(client.get("/gzip").header("content-encoding"), "gzip");
    let echo =
        client.send("PATCH", "/anything", "X-One: 1\nX-One: 2\nContent-Type: application/json", r#"{"a":[1]}"#).json();
    assert_eq!(echo["headers"]["x-one"], "1, 2");
    assert_eq!((&echo["method"], &echo["json"]["a"][0]), (&json!("PATCH"), &json!(1)));
    assert_eq!(client.send("POST", "/anything", FORM, "a=%20b").json()["form"]["a"], " b");
}

#[test]
fn errors_on_demand_follow_the_seed_and_spare_health() {
    let failures = |seed, target: &str| {
        let config = DemoConfig { seed, error_rate: 0.3, threads: 1, ..DemoConfig::default() };
        let server = Server::start(config).unwrap();
        let mut client = Client::new(&server);
        (0..200).map(|_| client.get(target).status == 503).collect::<Vec<_>>()
    };
    let first = failures(1, "/item/1");
    assert_eq!(first, failures(1, "/item/1"));
    assert_ne!(first, failures(2, "/item/1"));
    let failed = first.iter().filter(|failed| **failed).count();
    assert!((30..90).contains(&failed), "{failed} of 200");
    assert!(!failures(1, "/health").contains(&true));

    let server = server();
    let mut client = Client::new(&server);
    let failed = (0..200).filter(|_| client.get("/flaky?rate=0.5&status=500").status == 500).count();
    assert!((60..140).contains(&failed), "{failed} of 200");
}

#[test]
fn what_happened_is_counted() {
    let server = server();
    // More connections than threads, so that several threads' counters must be added up.
    let mut clients: Vec<_> = (0..6).map(|_| Client::new(&server)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/item/1").status, 200);
        assert_eq!(client.get("/item/x").status, 404);
        assert_eq!(client.get("/nothing").status, 404);
        assert_eq!(client.get("/status/418").status, 418);
    }
    let text = clients[0].get("/metrics").text();
    for line in [
        "demo_requests_total{route=\"/item/{id}\",status=\"200\"} 6",
        "demo_requests_total{route=\"/item/{id}\",status=\"404\"} 6",
        "demo_requests_total{route=\"(none)\",status=\"404\"} 6",
        "demo_requests_total{route=\"/status/{code}\",status=\"other\"} 6",
        "demo_request_duration_seconds_bucket{route=\"/item/{id}\",le=\"+Inf\"} 12",
        "demo_connections_total 6",
        "demo_connections_open 6",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing from:\n{text}");
    }
    let stats = server.stop();
    assert_eq!((stats.requests, stats.route("/item/{id}"), stats.status(404)), (25, 12, 12));
    assert_eq!((stats.connections, stats.connections_open), (6, 0));
}

#[test]
fn a_stopped_server_frees_its_port_whatever_its_connections_do() {
    let server = server();
    let addr = server.addr();
    let mut idle = Client::new(&server);
    assert_eq!(idle.get("/health").status, 200);
    let mut waiting = Client::new(&server);
    waiting.write("GET /slow?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n");
    server.stop();
    for client in [&mut idle, &mut waiting] {
        // Closed, or reset because of what the server had not read.
        assert!(client.0.read(&mut [0]).map_or(true, |bytes| bytes == 0));
    }
    let again = Server::start(DemoConfig { listen: addr, ..DemoConfig::default() }).unwrap();
    assert_eq!(again.addr(), addr);
    assert_eq!(again.base_url(), format!("http://{addr}"));
    assert!(Server::start(DemoConfig { listen: addr, ..DemoConfig::default() }).is_err(), "the port is taken");
}

#[test]
fn idle_connections_stay_small() {
    let worker = std::sync::Arc::new(super::worker::Worker::new(
        std::sync::Arc::new(super::shop::Shop::new(DemoConfig::default(), Vec::new())),
        std::sync::Arc::new(super::stats::Counters::new()),
    ));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let _guard = runtime.enter();
    let task = super::connection::serve(tokio::net::TcpStream::from_std(socket).unwrap(), worker);
    let bytes = size_of_val(&task);
    assert!(bytes < 1024, "a connection's task has {bytes} bytes");
}
