//! Streams of events from a journey's point of view: what a script reads, what is counted, and what ends them.

use crate::harness::Loadr;
use crate::server::{Reply, Server};

/// A stream that says so many events and then this.
fn events(count: usize) -> String {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let events = (0..count).map(|number| format!("id: {number}\ndata: {{\"n\":{number}}}\n\n"));
    [head.to_owned()].into_iter().chain(events).collect()
}

#[test]
fn events_are_counted_under_the_tags_of_their_request() {
    let script = r#"
        const MODEL = http::client(#{ base_url: env("BASE_URL"), tags: #{ model: "m" }, response: "discard", digest: "md5" });
        fn journey() {
            let texts = [];
            group("talk", || {
                let stream = MODEL.stream("POST", "/stream?count=4&first=1&ms=1", #{ prompt: "hi" }, #{ name: "answer" });
                sleep(20.ms);
                for event in stream { texts.push(event.json("text")); }
                check(stream, #{ "ok": |s| s.ok && s.status == 200 && s.events == 5 && s.response.size > 100 });
            });
            print(texts);
            let lines = http::stream("GET", env("BASE_URL") + "/stream?count=1&first=1&ms=1&format=lines", (), #{ name: "lines" });
            for line in lines { print(line); }
            print(lines.events);
            // Its connection was kept.
            print(http::get(env("BASE_URL") + "/health", #{ name: "after" }).reused);
        }
    "#;
    let flags = "--demo --threshold http_stream_first_event{model:m,group:talk}:max>0 \
                 --threshold http_stream_events{name:answer,method:POST,status:200}:count==5 \
                 --threshold checks:rate==1";
    let ran = Loadr::script(script).flags(flags).run().expect(0);
    assert_eq!(
        ran.prints(),
        [
            "[\"the\", \" shop\", \" has\", \" what\", ()]",
            "{\"index\":0,\"text\":\"the\"}",
            "{\"count\":1,\"done\":true}",
            "2",
            "true"
        ]
    );
    assert_eq!((ran.count("http_stream_events"), ran.values("http_stream_first_event")), (7.0, 2));
    assert_eq!(ran.values("http_stream_event_gap"), 5);
    assert_eq!((ran.request("POST", "answer").count, ran.request("GET", "lines").count), (1, 1));
    assert!(ran.stdout.contains("7 events"), "{}", ran.stdout);
}

#[test]
fn a_stream_ends_with_whoever_opened_it() {
    // Forgotten, kept from iteration to iteration, closed, left by an error, and opened in a flow.
    let script = r#"
        const URL = env("BASE_URL") + "/stream?count=1000000&first=1&ms=1";
        fn forget() { http::events(URL, #{ name: "forgotten" }).next(); }
        fn journey(vu) {
            if vu.iteration == 0 {
                forget();
                vu.state.kept = http::events(URL, #{ name: "kept" });
                print(vu.state.kept.next().json("index"));
                let closed = http::events(URL, #{ name: "closed" });
                for event in closed { closed.close(); }
                print(closed.response.error);
                parallel([|| { http::events(URL, #{ name: "flow" }).next(); }]);
                return;
            }
            let kept = vu.state.kept;
            print(`${kept.next()} ${kept.status} ${kept.error} ${kept.events > 0}`);
            http::events(URL, #{ name: "left" }).next();
            throw "enough";
        }
    "#;
    let ran = Loadr::script(script).flags("--demo --iterations 2 --allow-failure").run().expect(0);
    assert_eq!(ran.prints(), ["0", "", " 200  true"], "{}", ran.stderr);
    for name in ["forgotten", "kept", "closed", "flow", "left"] {
        let row = ran.request("GET", name);
        assert_eq!((row.count, row.failed), (1, 0), "{name}");
    }
}

#[test]
fn a_stream_that_never_ends_is_ended_by_the_run() {
    let script = r#"
        const options = #{ scenarios: #{ all: #{ executor: "constant-vus", vus: 3, duration: 1.s, graceful_stop: 1.s } } };
        fn journey() {
            let stream = http::events(env("BASE_URL") + "/stream?count=1000000&first=1&ms=1", #{ name: "endless" });
            for event in stream { }
        }
    "#;
    let ran = Loadr::script(script).flags("--demo").run();
    assert_eq!(ran.count("iterations_interrupted"), 3.0, "{ran}");
    // They are in the results: they had a status, and nothing had failed.
    let row = ran.request("GET", "endless");
    assert_eq!((row.count, row.failed), (3, 0));
    assert!(ran.count("http_stream_events") > 100.0);
}

#[test]
fn what_goes_wrong_is_told() {
    let server = Server::start(|request| match request.target() {
        "/lost" => Reply::Reset(events(2).replace("\r\n\r\n", "\r\nContent-Length: 100000\r\n\r\n").into_bytes()),
        "/long" => Reply::Stall(format!("{}data: {}", events(1), "x".repeat(5_000)).into_bytes()),
        "/quiet" => Reply::Stall(events(1).into_bytes()),
        "/packed" => Reply::with("200 OK", &[("Content-Encoding", "gzip")], "x"),
        "/again" if request.number % 2 == 0 => Reply::with("503 No", &[], "later"),
        "/again" => Reply::Close(events(1).into_bytes()),
        _ => Reply::with("500 No", &[], "{\"why\":\"broken\"}"),
    });
    let script = r#"
        const BASE = env("BASE");
        fn read(path, params) {
            let stream = http::events(BASE + path, params);
            let count = 0;
            for event in stream { count += 1; }
            print(`${path}: ${count} ${stream.status} ${stream.error_code} ${stream.error.contains("failed: ")}`);
            stream
        }
        fn journey() {
            read("/again", #{ retries: #{ count: 1, delay: 1.ms } });
            read("/lost", #{});
            read("/long", #{ max_event: "1KB" });
            read("/quiet", #{ idle_timeout: 50.ms });
            read("/quiet", #{ timeout: 300.ms });
            read("/packed", #{});
            print(read("/broken", #{}).response.json("why"));
            let caught = "";
            try { read("/quiet", #{ idle_timeout: 50.ms, "throws": true }); } catch (error) { caught = error.to_string(); }
            print(caught.contains("nothing came for 50ms"));
            try { http::events(BASE + "/x", #{ save_to: "x" }); } catch (error) { print(error); }
            try { http::events(BASE + "/x", #{ max_events: 0 }); } catch (error) { print(error); }
        }
    "#;
    let ran = Loadr::script(script).var("BASE", server.base()).flags("--allow-failure").run().expect(0);
    assert_eq!(
        ran.prints(),
        [
            "/again: 1 200 0 false",
            "/lost: 2 200 1220 true",
            "/long: 1 200 1804 true",
            "/quiet: 1 200 1050 true",
            "/quiet: 1 200 1050 true",
            "/packed: 0 200 1701 true",
            "/broken: 0 500 1500 false",
            "broken",
            "true",
            "a stream is read as it comes: `save_to` is for whole bodies",
            "`max_events` must be a number from 1, this is i64 `0`",
        ],
        "{}",
        ran.stderr
    );
    assert_eq!(ran.count("http_stream_events"), 7.0);
}

#[test]
fn mistakes_in_the_use_of_streams_are_found_before_the_load() {
    for (line, told) in [
        ("http::events(\"/x\");", "`/x` is no absolute URL"),
        ("http::events(\"http://x/\", #{ max_event: 5, idle: 1.s });", "a request has no parameter `idle`"),
        ("http::get(\"http://x/\", #{ max_events: 5 });", "a request has no parameter `max_events`"),
        ("let s = http::events(\"http://x/\"); s.nxt();", "a stream has no method `nxt`"),
        ("let s = http::events(\"http://x/\"); print(s.state);", "a stream has no property `state`"),
        ("for e in http::events(\"http://x/\") { print(e.dat); }", "an event has no property `dat`"),
    ] {
        let script = format!("fn journey() {{\n    {line}\n}}\n");
        let ran = Loadr::new().file("script.rhai", script).args(["check", "script.rhai"]).run();
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains(told), "{line}: {said}");
    }
    let init = "const S = http::events(\"http://127.0.0.1:1/\");\nfn journey() {}\n";
    let ran = Loadr::script_without_export(init).run();
    assert!(ran.stderr.contains("the top level of a script can't make a request"), "{}", ran.stderr);
}

#[test]
fn who_looks_at_single_requests_sees_how_a_stream_began() {
    let script = r#"
        fn journey() {
            let stream = http::events(env("BASE_URL") + "/stream?count=2&first=1&ms=1", #{ name: "answer" });
            for event in stream { }
            // What is kept for the trace is not the response's.
            print(`body: "${stream.response.body}"`);
        }
    "#;
    let ran = Loadr::script(script).flags("--demo --http-debug=full").run().expect(0);
    for said in ["(answer)", "< event: token", "< data: {\"index\":0,\"text\":\"the\"}", "body: \"\""] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
}
