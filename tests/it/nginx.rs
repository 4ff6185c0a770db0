//! One journey against a real nginx, which frames, keeps alive and compresses as it likes.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::Loadr;
use crate::server::closed_port;

/// A program that was started and is ended by its id.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        // As the master of its workers it has to be asked, so that they end as well.
        let asked =
            rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), rustix::process::Signal::TERM);
        if asked.is_err() {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}

/// Starts nginx with a configuration of its own; none when it is not installed.
fn nginx(directory: &std::path::Path, port: u16) -> Option<Started> {
    let path = directory.display();
    let config = format!(
        "daemon off; worker_processes 1; pid {path}/pid; error_log {path}/error.log;
         events {{ worker_connections 64; }}
         http {{
             access_log off; default_type text/plain; gzip on; gzip_min_length 1; gzip_types text/plain;
             keepalive_requests 5;
             client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path {path}/c;
             uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
             server {{
                 listen 127.0.0.1:{port}; root {path}/html;
                 location = /old {{ return 301 /page.txt; }}
                 location = /fail {{ return 503; }}
             }}
         }}"
    );
    fs::create_dir(directory.join("html")).expect("a folder");
    fs::write(directory.join("html/page.txt"), "all of the page\n".repeat(200)).expect("a page");
    fs::write(directory.join("nginx.conf"), config).expect("a configuration");
    let child = Command::new("nginx")
        .arg("-e")
        .arg(directory.join("error.log"))
        .arg("-c")
        .arg(directory.join("nginx.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let started = match child {
        Ok(child) => Started(child),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("nginx can't be started: {error}"),
    };
    let begun = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        let log = || fs::read_to_string(directory.join("error.log")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(20), "nginx does not listen: {}", log());
        thread::sleep(Duration::from_millis(10));
    }
    Some(started)
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says which program it lacks")]
fn a_journey_against_a_real_server() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = closed_port();
    let Some(_nginx) = nginx(directory.path(), port) else {
        assert!(std::env::var_os("LOADR_REQUIRE_PROGRAMS").is_none(), "nginx is not installed");
        eprintln!("skipped: nginx is not installed");
        return;
    };
    let script = r#"
        const BASE = env("BASE");
        fn journey() {
            let page = http::get(`${BASE}/page.txt`);
            check(page, #{ "page is whole": |r| r.status == 200 && r.body.len() == 3200 });
            let packed = http::get(`${BASE}/page.txt`, #{ name: "packed", headers: #{ "Accept-Encoding": "gzip" } });
            check(packed, #{ "packed is smaller": |r| r.size < 3200 && r.headers["content-encoding"] == "gzip", "packed is whole": |r| r.body.len() == 3200 });
            check(http::get(`${BASE}/old`), #{ "moved": |r| r.status == 200 && r.redirects == 1 });
            let known = http::get(`${BASE}/page.txt`, #{ name: "known", headers: #{ "If-None-Match": page.headers["etag"] } });
            check(known, #{ "not sent again": |r| r.status == 304 && r.size == 0 });
            check(http::head(`${BASE}/page.txt`, #{}), #{ "head": |r| r.status == 200 && r.size == 0 });
            check(http::get(`${BASE}/fail`, #{ expected: 503 }), #{ "fails as expected": |r| r.status == 503 });
        }
    "#;
    let base = format!("http://127.0.0.1:{port}");
    let ran = Loadr::script(script).var("BASE", &base).flags("-u 4 -i 80 --threads 2").run().expect(0);
    assert_eq!(ran.rate("checks"), (560, 0), "{ran}");
    assert_eq!(ran.count("http_reqs"), 560.0);
    assert_eq!(ran.rate("http_req_failed"), (0, 560));
    // Every fifth request ends a connection, as configured; a new one is opened for the next.
    assert!(ran.values("http_req_connecting") >= 112, "{ran}");
    assert!(ran.report().errors.is_empty());
}
