//! The page of real runs: written as a file, served while they go on, and looked at in a browser (`tests/page/run.mjs`).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Loadr, Running};
use crate::page_units::{lacks_browser, node};

/// A journey with all that a page shows: groups, checks that fail, requests that fail, thresholds that hold and do not.
const SHOP: &str = r#"
    const options = #{
        thresholds: #{ "http_req_duration": ["p(95)<1h"], "http_req_failed": ["rate<0.001"] },
        scenarios: #{
            browse: #{ executor: "ramping-vus", exec: "browse", start_vus: 1,
                       stages: [#{ duration: 2.s, target: 4 }, #{ duration: 6.s, target: 4 }] },
            search: #{ executor: "constant-arrival-rate", exec: "search", rate: 10, duration: 8.s, pre_allocated_vus: 2 },
        },
    };
    fn browse() {
        group("shop", || {
            let home = http::get(`${env("BASE_URL")}/`, #{ name: "home" });
            check(home, #{ "home is 200": |r| r.status == 200, "home is a teapot": |r| r.status == 418 });
            group("missing", || http::get(`${env("BASE_URL")}/no/such/thing`, #{ name: "missing" }));
        });
        sleep(30.ms);
    }
    fn search() { http::get(`${env("BASE_URL")}/products`, #{ name: "search" }); }
"#;

/// One that goes on until it is stopped.
const LONG: &str = r#"
    const options = #{ vus: 2, duration: 1.h };
    fn run(vu) { if vu.iteration == 0 { print("begun"); } http::get(`${env("BASE_URL")}/`, #{ name: "home" }); sleep(20.ms); }
"#;

/// Where a run's dashboard is, without the path.
fn dashboard_of(running: &Running) -> String {
    running.wait_for_line("dashboard at ");
    let text = running.stderr_so_far();
    let line = text.lines().find_map(|line| line.strip_prefix("dashboard at http://")).expect("a URL");
    line.split('/').next().expect("an address").to_owned()
}

/// A request as anybody could make it: status, headers, body; of events what came within the time.
fn ask(address: &str, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let answer = String::from_utf8(answer).expect("it is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_lowercase(), body.to_owned())
}

fn get(address: &str, path: &str, headers: &str) -> (u16, String, String) {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n"))
}

/// The document in a page.
fn data_of(page: &str) -> Value {
    let from = page.split_once("id=\"loadr-data\">").expect("a page with data").1;
    serde_json::from_str(from.split_once("</script>").expect("its end").0).expect("the data is JSON")
}

/// A connection to a run's events that reads them one by one.
struct Events {
    stream: TcpStream,
    text: String,
}

impl Events {
    fn open(address: &str) -> Self {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
        write!(stream, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it is sent");
        let mut events = Self { stream, text: String::new() };
        let head = events.until("\r\n\r\n").expect("a head").to_lowercase();
        assert!(head.contains("200 ok") && head.contains("content-type: text/event-stream"), "{head}");
        events
    }

    fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some((one, rest)) = self.text.split_once(end) {
                let (one, rest) = (one.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(one);
            }
            let mut bytes = [0; 65_536];
            match self.stream.read(&mut bytes).expect("more in time") {
                0 => return None,
                read => self.text.push_str(std::str::from_utf8(&bytes[..read]).expect("this run's names are ASCII")),
            }
        }
    }

    fn next(&mut self) -> Option<(String, Value)> {
        let text = self.until("\n\n")?;
        let (event, data) = text.split_once('\n').expect("two lines");
        let event = event.strip_prefix("event: ").expect("an event").to_owned();
        Some((event, serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("it is JSON")))
    }
}

fn stop(running: Running) -> crate::harness::Ran {
    running.signal(rustix::process::Signal::INT);
    running.wait()
}

#[test]
fn a_report_is_one_file_with_the_figures_of_the_summary() {
    let run = Loadr::script(SHOP).flags("--demo --vus 3 --time-scale 0.2 --report out.html --out html=again.html");
    let running = run.start();
    let (page, again) = (running.path("out.html"), running.path("again.html"));
    let (ran, folder) = running.wait_keeping();
    let ran = ran.expect(99);
    let text = std::fs::read_to_string(&page).expect("the report");
    assert!(std::fs::read_to_string(&again).is_ok_and(|other| other.starts_with("<!doctype html>")));
    let (data, summary) = (data_of(&text), ran.json());
    assert_eq!(data["schema"], "loadr/page/v1");
    assert_eq!((&data["live"], &data["verdict"]["passed"]), (&false.into(), &false.into()));
    assert_eq!(data["verdict"]["headline"], "Failed: 1 of 2 thresholds");
    assert_eq!(data["totals"]["requests"].as_f64(), summary["metrics"]["http_reqs"]["count"].as_f64());
    for same in ["steady", "stages", "checks", "errors", "advice"] {
        assert_eq!(data[same], summary[same], "{same}");
    }
    let sum = |array: &Value| array.as_array().expect("an array").iter().filter_map(Value::as_u64).sum::<u64>();
    let series = &data["series"];
    assert_eq!(sum(&series["requests_failed"]), summary["metrics"]["http_req_failed"]["passes"].as_u64().unwrap());
    assert_eq!(
        sum(&series["requests_ok"]) + sum(&series["requests_failed"]),
        data["totals"]["requests"].as_u64().expect("a count")
    );
    let groups: Vec<&str> = data["groups"].as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(groups.len(), 2);
    assert!(groups.contains(&"shop") && groups.contains(&"shop::missing"), "{groups:?}");
    // Scenarios add up to the whole.
    let scenarios = data["scenarios"].as_array().expect("scenarios");
    assert_eq!(scenarios.iter().filter_map(|row| row["requests"].as_u64()).sum::<u64>(), data["totals"]["requests"]);
    drop(folder);
}

#[test]
fn a_report_that_cannot_be_written_is_known_before_the_run() {
    let ran = Loadr::script(LONG).flags("--demo --report no/such/folder/out.html").run().expect(104);
    assert!(
        ran.stderr.contains("can't write `no/such/folder/out.html`: ") && ran.stderr.contains("does its folder exist?")
    );
}

#[test]
fn a_page_can_be_made_of_a_summary() {
    let running = Loadr::script(SHOP).flags("--demo --vus 2 --time-scale 0.1").start();
    let summary = running.path("summary.json");
    let (ran, folder) = running.wait_keeping();
    let text = std::fs::read_to_string(&summary).expect("the summary");
    let made = Loadr::new().file("s.json", &text).args(["report", "s.json"]).start();
    let page = made.path("s.html");
    let (made, other) = made.wait_keeping();
    assert!(made.expect(0).stderr.contains("wrote `s.html`; a summary does not hold what some charts show"));
    let data = data_of(&std::fs::read_to_string(page).expect("the page"));
    assert_eq!(data["source"], "summary");
    assert_eq!(data["totals"]["requests"].as_f64(), ran.json()["metrics"]["http_reqs"]["count"].as_f64());
    drop((folder, other));
    for (content, part) in [
        ("{}", "`s.json` is no summary: expected a `loadr/summary/v1`"),
        ("nonsense", "`s.json` is not JSON"),
        (r#"{"schema":"loadr/summary/v9"}"#, "`s.json` is a `loadr/summary/v9`, expected a `loadr/summary/v1`"),
        (r#"{"schema":"loadr/summary/v1"}"#, "the summary `s.json` is damaged: missing field"),
    ] {
        let ran = Loadr::new().file("s.json", content).args(["report", "s.json"]).run().expect(104);
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    let ran = Loadr::new().args(["report", "none.json"]).run().expect(104);
    assert!(ran.stderr.contains("can't read the summary `none.json`"), "{}", ran.stderr);
}

#[test]
fn the_dashboard_shows_and_pushes_until_the_end() {
    let running = Loadr::script(LONG).flags("--demo --dashboard").start();
    let address = dashboard_of(&running);
    running.wait_for_line("begun");
    let (status, head, page) = get(&address, "/", "");
    assert_eq!(status, 200);
    assert_eq!(data_of(&page)["live"], true);
    for part in [
        "content-security-policy: default-src 'none'; script-src 'sha256-",
        "connect-src 'self'",
        "nosniff",
        "no-store",
    ] {
        assert!(head.contains(part), "{part}: {head}");
    }
    // Several watch at once; one of them never reads.
    let mut asleep = TcpStream::connect(&address).expect("it listens");
    write!(asleep, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it is sent");
    let mut watchers = [Events::open(&address), Events::open(&address)];
    for watcher in &mut watchers {
        let (event, first) = watcher.next().expect("a document");
        assert_eq!((event.as_str(), &first["live"]), ("document", &true.into()));
        let mut before = first["totals"]["requests"].as_u64().expect("a count");
        for _ in 0..2 {
            let (event, update) = watcher.next().expect("an update");
            let now = update["totals"]["requests"].as_u64().expect("a count");
            assert_eq!(event, "update");
            assert!(now >= before, "{now} after {before}");
            before = now;
        }
        assert!(before > 0);
    }
    for (path, method, expected) in [("/nothing", "GET", 404), ("/", "POST", 405), ("/events", "DELETE", 405)] {
        let (status, ..) = ask(&address, &format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"));
        assert_eq!(status, expected, "{method} {path}");
    }
    assert_eq!(ask(&address, "hello\r\n\r\n").0, 400);
    running.signal(rustix::process::Signal::INT);
    let mut last = Vec::new();
    for watcher in &mut watchers {
        let mut events = Vec::new();
        while let Some((event, data)) = watcher.next() {
            events.push((event, data));
        }
        let [.., (document, end), (bye, _)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((document.as_str(), bye.as_str(), &end["live"]), ("document", "bye", &false.into()));
        last.push(end["totals"]["requests"].as_f64());
    }
    let ran = running.wait().expect(105);
    assert_eq!(last, [Some(ran.count("http_reqs")); 2]);
    assert!(!ran.stderr.contains("too slow"), "who does not read hinders nobody\n{ran}");
}

#[test]
fn whoever_was_led_to_the_dashboard_is_refused() {
    let running = Loadr::script(LONG).flags("--demo --dashboard").start();
    let address = dashboard_of(&running);
    let port = address.rsplit(':').next().expect("a port");
    for (host, status) in [
        (format!("localhost:{port}"), 200),
        (format!("127.0.0.1:{port}"), 200),
        (format!("evil.test:{port}"), 403),
        ("localhost.evil.test".into(), 403),
    ] {
        for path in ["/", "/?token=x"] {
            let (found, ..) = ask(&address, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert_eq!(found, status, "{host} {path}");
        }
    }
    assert_eq!(ask(&address, "GET / HTTP/1.1\r\n\r\n").0, 403);
    stop(running).expect(105);
}

#[test]
fn a_token_guards_the_dashboard() {
    let flags = "--demo --dashboard=0.0.0.0:0";
    let running = Loadr::script(LONG).flags(flags).start();
    running.wait_for_line("dashboard at ");
    let text = running.stderr_so_far();
    let (_, token) = text.split_once("/?token=").expect("a URL with a token");
    let token = token.lines().next().expect("a line").to_owned();
    assert_eq!(token.len(), 32, "{text}");
    let port = text.split_once("0.0.0.0:").and_then(|(_, rest)| rest.split('/').next()).expect("a port");
    let address = format!("127.0.0.1:{port}");
    assert_eq!(get(&address, "/", "").0, 401);
    assert_eq!(get(&address, "/events", "Cookie: loadr_dashboard=wrong\r\n").0, 401);
    assert_eq!(get(&address, "/?token=wrong", "").0, 401);
    let (status, head, _) = get(&address, &format!("/?token={token}"), "");
    assert_eq!(status, 303);
    let cookie = format!("set-cookie: loadr_dashboard={token}; path=/; httponly; samesite=strict");
    assert!(head.contains("location: /\r\n") && head.contains(&cookie), "{head}");
    assert_eq!(get(&address, "/", &format!("Cookie: a=b; loadr_dashboard={token}\r\n")).0, 200);
    assert_eq!(get(&address, "/", &format!("Authorization: Bearer {token}\r\n")).0, 200);
    stop(running).expect(105);

    // One that the user has chosen is asked for everywhere, and told nowhere.
    let chosen = Loadr::script(LONG).flags("--demo --dashboard --dashboard-token chosen-token").start();
    let address = dashboard_of(&chosen);
    assert!(!chosen.stderr_so_far().contains("chosen-token"));
    assert_eq!(get(&address, "/", "").0, 401);
    assert_eq!(get(&address, "/", "Authorization: Bearer chosen-token\r\n").0, 200);
    let ran = stop(chosen).expect(105);
    assert!(!ran.json()["run"]["args"].to_string().contains("chosen-token"));

    for (flags, part) in [
        ("--dashboard --dashboard-token short", "the dashboard token must be 8 to 256 letters, digits, `-` or `_`"),
        ("--dashboard=203.0.113.1:1", "can't listen on `203.0.113.1:1` for --dashboard: "),
    ] {
        let ran = Loadr::script(LONG).flags("--demo").flags(flags).run().expect(104);
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
}

/// A folder for screenshots: `LOADR_SCREENSHOTS`, or one that goes away.
fn pictures() -> (PathBuf, Option<tempfile::TempDir>) {
    match std::env::var_os("LOADR_SCREENSHOTS") {
        Some(folder) => (folder.into(), None),
        None => {
            let folder = tempfile::tempdir().expect("a folder");
            (folder.path().to_owned(), Some(folder))
        }
    }
}

#[test]
fn a_browser_watches_a_run_and_reads_its_report() {
    if lacks_browser() {
        return;
    }
    let (pictures, _keep) = pictures();
    let pictures = pictures.to_str().expect("a path in UTF-8");
    // A slow machine needs a while to start a browser: the run is long enough, and stopped when the page has seen enough.
    let run = Loadr::script(SHOP).flags("--demo --vus 3 --time-scale 4 --dashboard --report out.html");
    let running = run.start();
    let address = dashboard_of(&running);
    let printed = node(&["run.mjs", pictures, "live", &format!("http://{address}/")]);
    assert!(printed.contains("ok: "), "{printed}");
    let page = running.path("out.html");
    let summary = running.path("summary.json");
    let begun = Instant::now();
    let (ran, folder) = running.wait_keeping();
    assert!(begun.elapsed() < Duration::from_secs(60), "the page saw the end of the run");
    ran.expect(99);
    let (page, summary) = (page.to_str().expect("UTF-8").to_owned(), summary.to_str().expect("UTF-8").to_owned());
    let printed = node(&["run.mjs", pictures, "report", &page, &summary]);
    assert!(printed.contains("ok: "), "{printed}");
    drop(folder);
}
