//! Real InfluxDBs receive a run: version 1 itself, and version 2's protocol as VictoriaMetrics understands it; StatsD
//! arrives at a socket of the test's.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::Loadr;
use crate::program::{Program, get, wait_until};
use crate::server::{Reply, Server, closed_port, self_signed};

const SCRIPT: &str = r#"
    fn journey() {
        let page = http::get(env("BASE") + "/a", #{ name: "the page, \"quoted\" = yes" });
        check(page, #{ "ok": |r| r.status == 200 });
        sleep(0.02);
    }
"#;

fn ask(base: &str, path: &str, pairs: &[(&str, &str)]) -> Option<Value> {
    let mut url = url::Url::parse(&format!("{base}{path}")).expect("a URL");
    url.query_pairs_mut().extend_pairs(pairs);
    serde_json::from_str(&get(url.as_str())?).ok()
}

#[test]
fn influxdb_1_has_all_rows_of_the_run() {
    let directory = tempfile::tempdir().expect("a directory");
    let (port, other) = (closed_port(), closed_port());
    let path = directory.path().display();
    let config = format!(
        "bind-address = \"127.0.0.1:{other}\"\nreporting-disabled = true\n[meta]\n dir = \"{path}/meta\"\n[data]\n \
         dir = \"{path}/data\"\n wal-dir = \"{path}/wal\"\n[http]\n bind-address = \"127.0.0.1:{port}\"\n[monitor]\n \
         store-enabled = false\n"
    );
    fs::write(directory.path().join("influxdb.conf"), config).expect("a configuration");
    let config = directory.path().join("influxdb.conf");
    let Some(mut influxdb) = Program::start(Command::new("influxd").arg("run").arg("-config").arg(config)) else {
        return;
    };
    influxdb.listens(port);
    let base = format!("http://127.0.0.1:{port}");
    let server = Server::ok("all of the page");
    let spec = format!("influxdb={base}?db=loads");
    let run = |spec: &str| Loadr::script(SCRIPT).var("BASE", server.base()).flags("-u 2 -d 3s").args(["--out", spec]);
    let refused = run(&spec).run().expect(104);
    assert!(refused.stderr.contains("does not take what is sent: 404 Not Found"), "{refused}");
    ureq::post(format!("{base}/query")).send_form([("q", "CREATE DATABASE loads")]).expect("a database");
    let ran = run(&spec).run().expect(0);
    assert!(!ran.stderr.contains("lost"), "{ran}");
    let sum = |what: &str| {
        let answer = ask(&base, "/query", &[("db", "loads"), ("q", what)])?;
        answer["results"][0]["series"][0]["values"][0][1].as_f64()
    };
    let name = r#"WHERE "name" = 'the page, "quoted" = yes'"#;
    let count = ran.count("http_reqs");
    assert_eq!(sum(&format!("SELECT sum(value) FROM http_reqs {name}")), Some(count), "{ran}");
    assert_eq!(sum(&format!("SELECT sum(\"count\") FROM http_req_duration {name}")), Some(count));
    assert_eq!(sum("SELECT sum(passes) FROM checks"), Some(count));
    assert_eq!(sum("SELECT max(value) FROM vus"), Some(2.0));
}

#[test]
fn the_protocol_of_influxdb_2_is_taken() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = closed_port();
    let started = Program::start(
        Command::new("victoria-metrics")
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .arg(format!("-storageDataPath={}", directory.path().join("data").display()))
            .args(["-search.latencyOffset=0s", "-retentionPeriod=1"]),
    );
    let Some(mut victoria) = started else { return };
    victoria.listens(port);
    let base = format!("http://127.0.0.1:{port}");
    wait_until("it is ready", || get(&format!("{base}/health")).is_some());
    let server = Server::ok("all of the page");
    let ran = Loadr::script(SCRIPT)
        .var("BASE", server.base())
        .flags("-u 2 -d 3s")
        .args(["--out", &format!("influxdb={base}?org=team&bucket=loads")])
        .args(["--out", &format!("prometheus-rw={base}/api/v1/write")])
        .env("INFLUX_TOKEN", "any")
        .run()
        .expect(0);
    assert!(!ran.stderr.contains("lost"), "{ran}");
    assert!(!ran.stderr.contains("any") && !ran.stdout.contains("Token"), "{ran}");
    let count = ran.count("http_reqs");
    for query in ["sum(sum_over_time(http_reqs_value[10m]))", "sum(last_over_time(loadr_http_reqs_total[10m]))"] {
        let mut found = None;
        wait_until("the rows can be seen", || {
            get(&format!("{base}/internal/force_flush"));
            let answer = ask(&base, "/api/v1/query", &[("query", query), ("nocache", "1")]);
            let value = answer.and_then(|answer| answer["data"]["result"][0]["value"][1].as_str()?.parse::<f64>().ok());
            found = value.or(found);
            found == Some(count)
        });
        assert_eq!(found, Some(count), "{query}\n{ran}");
    }
}

#[test]
fn statsd_arrives_line_by_line() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let address = socket.local_addr().expect("an address");
    let server = Server::ok("all of the page");
    let running = Loadr::script(SCRIPT)
        .var("BASE", server.base())
        .flags("-u 2 -d 3s")
        .args(["--out", &format!("statsd={address}?tags=dogstatsd")])
        .start();
    let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = ended.clone();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let mut bytes = vec![0; 65_536];
        loop {
            match socket.recv(&mut bytes) {
                Ok(length) => {
                    assert!(length <= 1432, "a packet of {length} bytes");
                    text.push_str(std::str::from_utf8(&bytes[..length]).expect("text"));
                    text.push('\n');
                }
                // Nothing came for a while: what was sent before the end of the process is here by then.
                Err(_) if seen.load(std::sync::atomic::Ordering::Relaxed) => return text,
                Err(_) => {}
            }
        }
    });
    let ran = running.wait().expect(0);
    ended.store(true, std::sync::atomic::Ordering::Relaxed);
    let text = reader.join().expect("it reads");
    let count = ran.count("http_reqs");
    let (mut requests, mut durations) = (0.0, 0.0);
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (name, rest) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
        let parts: Vec<&str> = rest.split('|').collect();
        match name {
            "loadr.http_reqs" => {
                assert_eq!(parts[1], "c");
                assert!(parts[2].contains("name:the page_ \"quoted\" = yes"), "{line}");
                requests += parts[0].parse::<f64>().expect("a number");
            }
            "loadr.http_req_duration" => {
                assert_eq!(parts[1], "ms");
                let rate = parts.iter().find_map(|part| part.strip_prefix('@')).unwrap_or("1");
                durations += (1.0 / rate.parse::<f64>().expect("a rate")).round();
            }
            _ => assert!(name.starts_with("loadr."), "{line}"),
        }
    }
    assert_eq!((requests, durations), (count, count), "{ran}\n{text}");
}

#[test]
fn a_receiver_over_tls_is_trusted_by_the_systems_roots_or_on_request() {
    use base64::Engine as _;
    let certificate = self_signed("localhost");
    let lines = base64::engine::general_purpose::STANDARD.encode(&certificate.0);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n");
    let receiver = Server::tls(certificate, |_| Reply::with("204 No Content", &[], ""));
    let target = Server::ok("all of the page");
    let url = format!("https://localhost:{}", receiver.address().port());
    let run = |query: &str| {
        Loadr::script_without_export(SCRIPT)
            .file("roots.pem", &pem)
            .var("BASE", target.base())
            .flags("-u 1 -i 3")
            .args(["--out", &format!("influxdb={url}?db=loads&{query}")])
    };
    let ran = run("username=me&password=secret").run().expect(104);
    assert!(ran.stderr.contains("can't be used: ") && ran.stderr.to_lowercase().contains("certificate"), "{ran}");
    assert!(target.requests().is_empty(), "it was known before the run");
    run("insecure=true").run().expect(0);
    let ran = run("username=me&password=secret").env("SSL_CERT_FILE", "roots.pem").run().expect(0);
    assert!(!ran.stderr.contains("lost") && !ran.stderr.contains("secret"), "{ran}");
    let sent = receiver.requests();
    let rows = sent.iter().filter(|request| request.text().contains("http_reqs,"));
    assert_eq!(rows.count(), 2, "one of each run");
    let last = sent.last().expect("a request");
    assert_eq!(last.header("authorization"), Some("Basic bWU6c2VjcmV0"));
}
