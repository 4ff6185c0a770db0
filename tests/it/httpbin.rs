//! A journey against httpbin under gunicorn: a server for trying HTTP clients, which no one here wrote.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Loadr, Ran};
use crate::program::Program;
use crate::server::closed_port;

/// Where httpbin and gunicorn are: `LOADR_HTTPBIN`, as `.ci/run` sets it, or wherever Python finds them.
fn packages() -> Option<PathBuf> {
    std::env::var_os("LOADR_HTTPBIN").map(PathBuf::from)
}

/// Starts httpbin; none where it is not installed, which is an error where all programs are required.
#[expect(clippy::print_stderr, reason = "a test that is skipped says which program it lacks")]
fn httpbin(port: u16) -> Option<Program> {
    let python = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.args(arguments);
        if let Some(packages) = packages() {
            command.env("PYTHONPATH", packages);
        }
        command
    };
    let installed = python(&["-c", "import httpbin, gunicorn"]).output().is_ok_and(|output| output.status.success());
    if !installed {
        assert!(std::env::var_os("LOADR_REQUIRE_PROGRAMS").is_none(), "httpbin (Python) is not installed");
        eprintln!("skipped: httpbin (Python) is not installed");
        return None;
    }
    let address = format!("127.0.0.1:{port}");
    let mut server = Program::start(&mut python(&[
        "-m",
        "gunicorn",
        "--bind",
        &address,
        "--worker-class",
        "gthread",
        "--threads",
        "8",
        "--keep-alive",
        "30",
        "httpbin:app",
    ]))?;
    server.listens(port);
    Some(server)
}

/// Runs a journey of these lines, and sees that all its checks held and nothing threw.
fn journey(lines: &str, flags: &str) -> Option<Ran> {
    let port = closed_port();
    let _server = httpbin(port)?;
    let script = format!("const BASE = env(\"BASE\");\nfn journey() {{\n{lines}\n}}\n");
    let base = format!("http://127.0.0.1:{port}");
    let ran = Loadr::script(&script).file("cat.txt", "meow").var("BASE", base).flags(flags).run().expect(0);
    let (held, failed) = ran.rate("checks");
    assert!(held > 0 && failed == 0, "{ran}");
    Some(ran)
}

#[test]
fn redirects_cookies_and_statuses() {
    let lines = r#"
        check(http::get(`${BASE}/redirect/3`), #{ "followed": |r| r.status == 200 && r.redirects == 3 && r.url.ends_with("/get") });
        check(http::get(`${BASE}/relative-redirect/2`), #{ "relative": |r| r.status == 200 && r.redirects == 2 });
        check(http::get(`${BASE}/absolute-redirect/2`), #{ "absolute": |r| r.status == 200 && r.redirects == 2 });
        check(http::get(`${BASE}/redirect/2`, #{ redirects: 0 }), #{ "not followed": |r| r.status == 302 });
        check(http::get(`${BASE}/redirect/3`, #{ redirects: 2, expected: 302 }), #{ "too many": |r| r.error != "" });
        check(http::get(`${BASE}/cookies/set?taste=sweet&size=2`), #{ "cookies kept": |r| r.json("cookies") == #{ taste: "sweet", size: "2" } });
        check(http::cookies(BASE), #{ "in the jar": |c| c.taste == "sweet" });
        check(http::get(`${BASE}/cookies/delete?taste`), #{ "cookie gone": |r| r.json("cookies") == #{ size: "2" } });
        for status in [200, 204, 301, 400, 404, 418, 503] {
            let res = http::get(`${BASE}/status/${status}`, #{ name: "status", redirects: 0, expected: status });
            check(res, #{ "status": |r| r.status == status });
        }
        check(http::get(`${BASE}/response-headers?X-Two=a&X-Two=b`), #{ "values apart": |r| r.headers.get_all("x-two") == ["a", "b"] });
    "#;
    let Some(ran) = journey(lines, "-u 2 -i 4") else { return };
    // The one that was redirected once too often is the only failure.
    assert_eq!(ran.rate("http_req_failed").0, 4, "{ran}");
}

#[test]
fn logins() {
    let lines = r#"
        let asked = |auth| #{ auth: auth, name: "login" };
        for algorithm in ["MD5", "SHA-256", "SHA-512"] {
            let url = `${BASE}/digest-auth/auth/ann/s3cret/${algorithm}`;
            let res = http::get(url, asked.call(#{ type: "digest", user: "ann", password: "s3cret" }));
            check(res, #{ "digest": |r| r.status == 200 && r.json("authenticated") == true && r.json("user") == "ann" && r.redirects == 0 });
        }
        let wrong = asked.call(#{ type: "digest", user: "ann", password: "no" }) + #{ expected: 401 };
        check(http::get(`${BASE}/digest-auth/auth/ann/s3cret`, wrong), #{ "digest refused": |r| r.status == 401 });
        check(http::get(`${BASE}/basic-auth/ann/s3cret`, asked.call("ann:s3cret")), #{ "basic": |r| r.json("user") == "ann" });
        let wrong = asked.call("ann:no") + #{ expected: 401 };
        check(http::get(`${BASE}/basic-auth/ann/s3cret`, wrong), #{ "basic refused": |r| r.status == 401 });
        check(http::get(`${BASE}/bearer`, asked.call(#{ type: "bearer", token: "t0ken" })), #{ "bearer": |r| r.json("token") == "t0ken" });
    "#;
    let Some(ran) = journey(lines, "-u 2 -i 4") else { return };
    assert_eq!(ran.rate("http_req_failed").0, 0, "challenges are no failures: {ran}");
}

#[test]
fn encodings_streams_and_ranges() {
    let lines = r#"
        for packing in ["gzip", "deflate", "brotli"] {
            let res = http::get(`${BASE}/${packing}`, #{ headers: #{ "Accept-Encoding": "gzip, deflate, br" } });
            check(res, #{ "unpacked": |r| r.status == 200 && r.json(if packing == "gzip" { "gzipped" } else if packing == "deflate" { "deflated" } else { "brotli" }) == true });
        }
        check(http::get(`${BASE}/encoding/utf8`), #{ "text": |r| r.body.contains("STARGΛ̊TE") && r.html().select("h1").text() == "Unicode Demo" });
        check(http::get(`${BASE}/stream/5`), #{ "chunks": |r| r.body.split("\n").filter(|line| line != "").map(|line| json::get(line, "id")) == [0, 1, 2, 3, 4] });
        let lines = http::stream("GET", `${BASE}/stream/5`);
        let ids = [];
        for line in lines { ids.push(line.json("id")); }
        check(lines, #{ "line by line": |s| s.ok && ids == [0, 1, 2, 3, 4] });
        check(http::get(`${BASE}/stream-bytes/4000?seed=1&chunk_size=333`), #{ "bytes in chunks": |r| r.bytes.len == 4000 });
        check(http::get(`${BASE}/bytes/1000?seed=1`), #{ "bytes": |r| r.bytes.len == 1000 && r.size == 1000 });
        let part = http::get(`${BASE}/range/1024`, #{ headers: #{ "Range": "bytes=10-19" } });
        check(part, #{ "range": |r| r.status == 206 && r.body == "klmnopqrst" && r.headers["content-range"] == "bytes 10-19/1024" });
        let late = http::get(`${BASE}/delay/9`, #{ timeout: 300.ms });
        check(late, #{ "too late": |r| r.status == 0 && r.error_code == 1050 });
    "#;
    let Some(ran) = journey(lines, "-u 1 -i 1") else { return };
    assert_eq!(ran.rate("http_req_failed").0, 1, "only the late one: {ran}");
}

#[test]
fn pages_forms_and_documents() {
    let lines = r#"
        let page = http::get(`${BASE}/forms/post`);
        check(page.html().select("form"), #{ "form": |f| f.fields().custname == "" && f.select("input[type=radio]").len == 3 });
        let fields = #{ custname: "Ann", size: "large", topping: ["bacon", "cheese"], comments: "ring\ntwice" };
        let sent = page.submit_form(#{ fields: fields }).json("form");
        check(sent, #{ "sent": |f| f.custname == "Ann" && f.size == "large" && f.topping == ["bacon", "cheese"] && f.comments == "ring\r\ntwice" });
        let posted = http::post(`${BASE}/post`, http::form(#{ a: "1", b: ["2", "3"] })).json("form");
        check(posted, #{ "fields": |f| f == #{ a: "1", b: ["2", "3"] } });
        let upload = http::post(`${BASE}/post`, http::multipart(#{ title: "cat", photo: http::file("cat.txt") })).json();
        check(upload, #{ "upload": |u| u.form.title == "cat" && u.files.photo == "meow" });
        let links = http::get(`${BASE}/links/5/0`);
        check(links.html().select("a"), #{ "links": |a| a.len == 4 });
        check(links.follow_link(#{ text: "3" }), #{ "link": |r| r.url.ends_with("/links/5/3") && r.html().select("a").len == 4 });
        check(http::get(`${BASE}/html`), #{ "html": |r| r.html().select("body > h1").text() == "Herman Melville - Moby-Dick" });
        let slides = http::get(`${BASE}/xml`).xml();
        check(slides, #{ "xml": |x| x.get("/slideshow/@author") == "Yours Truly" && x.find_all("//slide[@type='all']/title").map(|t| t.text()) == ["Wake up to WonderWidgets!", "Overview"] });
        check(http::get(`${BASE}/json`), #{ "json": |r| r.json("$.slideshow.slides[?@.items].title") == ["Overview"] && r.json("slideshow.slides.#") == 2 });
        check(http::get(`${BASE}/headers`, #{ headers: #{ "X-One": "1" } }), #{ "headers": |r| r.json("headers.X-One") == "1" });
    "#;
    let Some(ran) = journey(lines, "-u 2 -i 4") else { return };
    assert_eq!(ran.rate("checks"), (40, 0), "{ran}");
    assert_eq!(ran.rate("http_req_failed").0, 0, "{ran}");
}
