//! Journeys against a real nginx, which frames, keeps alive, compresses and shakes hands as it likes.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, Issuer, KeyPair};

use crate::harness::Loadr;
use crate::server::closed_port;

/// A program that was started and is ended by its id.
pub struct Started(Child);

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

/// The server of the first journey.
fn plain(path: &str, port: u16) -> String {
    format!(
        "listen 127.0.0.1:{port}; root {path}/html;
         location = /old {{ return 301 /page.txt; }}
         location = /fail {{ return 503; }}"
    )
}

/// A server with TLS that tells how it was spoken to, and one that wants a certificate.
fn secure(path: &str, port: u16, strict: u16) -> String {
    let tell = "return 200 \"$server_protocol $ssl_protocol $ssl_session_reused $ssl_client_s_dn\"";
    let certificate = format!(
        "ssl_certificate {path}/own.pem; ssl_certificate_key {path}/own.key; ssl_protocols TLSv1.2 TLSv1.3;
         ssl_session_cache shared:all:1m; root {path}/html;"
    );
    format!(
        "listen 127.0.0.1:{port} ssl http2; {certificate} location = /tell {{ {tell}; }}
         }} server {{ listen 127.0.0.1:{strict} ssl http2; {certificate}
         ssl_client_certificate {path}/authority.pem; ssl_verify_client on; location = /tell {{ {tell}; }}"
    )
}

/// Starts nginx with one or more servers; none when it is not installed.
fn nginx(directory: &std::path::Path, port: u16, server: &str) -> Option<Started> {
    let path = directory.display();
    let config = format!(
        "daemon off; worker_processes 1; pid {path}/pid; error_log {path}/error.log;
         events {{ worker_connections 64; }}
         http {{
             access_log off; default_type text/plain; gzip on; gzip_min_length 1; gzip_types text/plain;
             keepalive_requests 5;
             client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path {path}/c;
             uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
             server {{ {server} }}
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

/// The same, and says so where it is not installed.
#[expect(clippy::print_stderr, reason = "a test that is skipped says which program it lacks")]
pub fn nginx_or_skip(directory: &std::path::Path, port: u16, server: &str) -> Option<Started> {
    let started = nginx(directory, port, server);
    if started.is_none() {
        assert!(std::env::var_os("LOADR_REQUIRE_PROGRAMS").is_none(), "nginx is not installed");
        eprintln!("skipped: nginx is not installed");
    }
    started
}

#[test]
fn a_journey_against_a_real_server() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = closed_port();
    let server = plain(&directory.path().to_string_lossy(), port);
    let Some(_nginx) = nginx_or_skip(directory.path(), port, &server) else { return };
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

#[test]
fn versions_certificates_and_sessions_as_a_real_server_sees_them() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).expect("an authority");
    let issuer = Issuer::new(params, key);
    fs::write(path.join("authority.pem"), authority.pem()).expect("a file");
    for (file, name) in [("own", "localhost"), ("anna", "anna"), ("bert", "bert")] {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        fs::write(path.join(format!("{file}.pem")), certificate.pem()).expect("a file");
        fs::write(path.join(format!("{file}.key")), key.serialize_pem()).expect("a file");
    }
    let (port, strict) = (closed_port(), closed_port());
    let server = secure(&path.to_string_lossy(), port, strict);
    let Some(_nginx) = nginx_or_skip(path, port, &server) else { return };
    let script = r#"
        const BASE = env("BASE");
        const STRICT = env("STRICT");
        const PEMS = env("PEMS");
        fn journey() {
            let told = http::get(`${BASE}/tell`);
            check(told, #{ "the server prefers 2": |r| r.proto == "HTTP/2.0" && r.body.starts_with("HTTP/2.0 TLSv1.3 .") });
            let old = http::get(`${BASE}/tell`, #{ http_version: "1.1" });
            check(old, #{ "1.1 as asked": |r| r.proto == "HTTP/1.1" && r.body.starts_with("HTTP/1.1 TLSv1.3 .") });
            let pages = http::batch([`${BASE}/page.txt`, `${BASE}/page.txt`, `${BASE}/page.txt`]);
            check(pages, #{ "all of a batch": |all| all.all(|r| r.body.len() == 3200 && r.proto == "HTTP/2.0") });
            check(http::get(`${STRICT}/tell`, #{ expected: 400 }), #{ "no certificate": |r| r.status == 400 });
            for name in ["anna", "bert"] {
                let auth = #{ cert: `${PEMS}/${name}.pem`, key: `${PEMS}/${name}.key` };
                let own = http::client(#{ tls_auth: [auth], tls_version: "tls1.2" });
                let told = own.get(`${STRICT}/tell`);
                check(told, #{ "a client has its own": |r| r.body.starts_with("HTTP/2.0 TLSv1.2 . CN=" + name) });
            }
            let once = http::client(#{ tls_resumption: true, no_connection_reuse: true });
            once.get(`${BASE}/tell`);
            check(once.get(`${BASE}/tell`), #{ "resumed": |r| r.body.starts_with("HTTP/2.0 TLSv1.3 r") });
            let never = http::client(#{ no_connection_reuse: true });
            never.get(`${BASE}/tell`);
            check(never.get(`${BASE}/tell`), #{ "not resumed": |r| r.body.starts_with("HTTP/2.0 TLSv1.3 .") });
        }
    "#;
    let ran = Loadr::script(script)
        .var("BASE", format!("https://localhost:{port}"))
        .var("STRICT", format!("https://localhost:{strict}"))
        .var("PEMS", path.to_string_lossy())
        .flags("-u 2 -i 10 --threads 1")
        .args(["--cacert", &path.join("authority.pem").to_string_lossy()])
        .run()
        .expect(0);
    assert_eq!(ran.rate("checks"), (80, 0), "{ran}");
}

/// Writes a certificate for `localhost` that vouches for itself, and its key; what a server of nginx says about them.
pub fn certificate_in(directory: &std::path::Path) -> String {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    fs::write(directory.join("own.pem"), certificate.pem()).expect("a file");
    fs::write(directory.join("own.key"), key.serialize_pem()).expect("a file");
    let path = directory.display();
    format!("ssl_certificate {path}/own.pem; ssl_certificate_key {path}/own.key;")
}

#[test]
fn ranges_of_a_real_server_come_as_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let port = closed_port();
    let server = format!(
        "listen 127.0.0.1:{port}; root {}/html; gzip off; location = /echo {{ return 200 \"$request_method $request_length\"; }}",
        directory.path().display()
    );
    let Some(_nginx) = nginx_or_skip(directory.path(), port, &server) else { return };
    // Of `all of the page` and a line break, 200 times.
    let script = r#"
        const URL = env("BASE") + "/page.txt";
        fn part(range, more) {
            let headers = #{ "Range": range };
            headers += more;
            http::get(URL, #{ headers: headers, name: range, expected: [200, 206, 416] })
        }
        fn journey() {
            let whole = http::get(URL);
            check(part("bytes=0-2", #{}), #{ "first": |r| r.status == 206 && r.body == "all" && r.headers["content-range"] == "bytes 0-2/3200" });
            check(part("bytes=-5", #{}), #{ "last": |r| r.status == 206 && r.body == "page\n" && r.headers["content-range"] == "bytes 3195-3199/3200" });
            check(part("bytes=3190-", #{}), #{ "from": |r| r.status == 206 && r.size == 10 });
            check(part("bytes=9999-", #{}), #{ "beyond": |r| r.status == 416 && r.headers["content-range"] == "bytes */3200" });
            check(part("bytes=0-2,16-18", #{}), #{ "two": |r| r.status == 206 && r.headers["content-type"].starts_with("multipart/byteranges; boundary=") && r.body.contains("\r\n\r\nall\r\n") });
            check(part("bytes=0-2", #{ "If-Range": whole.headers["etag"] }), #{ "still the same": |r| r.status == 206 });
            check(part("bytes=0-2", #{ "If-Range": "\"another\"" }), #{ "another by now": |r| r.status == 200 && r.size == 3200 });
            check(http::head(URL, #{ headers: #{ "Range": "bytes=0-2" }, expected: 206 }), #{ "head": |r| r.status == 206 && r.size == 0 });
        }
    "#;
    let ran = Loadr::script(script).var("BASE", format!("http://127.0.0.1:{port}")).flags("-u 2 -i 6").run().expect(0);
    assert_eq!(ran.rate("checks"), (48, 0), "{ran}");
    assert_eq!(ran.rate("http_req_failed").0, 0, "{ran}");
}

#[test]
fn uploads_arrive_whole_at_a_real_server() {
    let directory = tempfile::tempdir().expect("a directory");
    let (port, h2c) = (closed_port(), closed_port());
    let kept = directory.path().join("kept");
    let server = format!(
        "listen 127.0.0.1:{port}; listen 127.0.0.1:{h2c} http2; client_max_body_size 6m; gzip off;
         root {}; location / {{ dav_methods PUT; create_full_put_path on; }}",
        kept.display()
    );
    let Some(_nginx) = nginx_or_skip(directory.path(), port, &server) else { return };
    // Whoever serves it may be another user than the one who started it.
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::create_dir(&kept).expect("a folder");
    fs::set_permissions(&kept, everybody).expect("a folder for everybody");
    fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a way to it");
    let script = r#"
        fn journey() {
            for base in [env("BASE"), env("H2C")] {
                let way = #{ http_version: if base == env("H2C") { "2" } else { "1.1" } };
                let pattern = http::generated("5MB", #{ pattern: "twelve bytes" });
                let at = |name| `${base}/${way.http_version}/${name}`;
                for more in [#{}, #{ chunked: true }, #{ expect_continue: true }, #{ bandwidth: "40MB/s" }] {
                    let params = way + more;
                    check(http::put(at.call("generated"), pattern, params + #{ expected: [201, 204] }), #{ "is kept": |r| r.ok });
                    let back = http::get(at.call("generated"), way + #{ digest: "sha256" });
                    check(back, #{ "came back": |r| r.size == 5_000_000 && r.body.len() == 5_000_000 && r.body.starts_with("twelve bytestwelve") });
                }
                check(http::put(at.call("file"), http::file("a.bin"), way + #{ expected: 201 }), #{ "file is kept": |r| r.status == 201 });
                check(http::get(at.call("file"), way), #{ "file is the same": |r| r.body == "0123456789abcdef" });
                let large = http::put(at.call("large"), http::generated("7MB"), way + #{ expected: 413, timeout: 30.s });
                check(large, #{ "too large": |r| r.status == 413 });
            }
        }
    "#;
    let ran = Loadr::script(script)
        .file("a.bin", "0123456789abcdef")
        .var("BASE", format!("http://127.0.0.1:{port}"))
        .var("H2C", format!("http://127.0.0.1:{h2c}"))
        .run()
        .expect(0);
    assert_eq!(ran.rate("checks"), (22, 0), "{ran}");
    for version in ["1.1", "2"] {
        let whole = fs::read(kept.join(version).join("generated")).expect("it was kept");
        assert!(whole.len() == 5_000_000 && whole.chunks(12).all(|piece| b"twelve bytes".starts_with(piece)));
    }
}

#[test]
fn both_versions_are_spoken_over_unix_sockets() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().display();
    let port = closed_port();
    let own = certificate_in(directory.path());
    let tell = "location = /tell { return 200 \"$server_protocol $host $scheme\"; }";
    let server = format!(
        "listen 127.0.0.1:{port}; listen unix:{path}/plain; {tell} }}
         server {{ listen unix:{path}/h2c http2; {tell} }}
         server {{ listen unix:{path}/secure ssl http2; {own} {tell}"
    );
    let Some(_nginx) = nginx_or_skip(directory.path(), port, &server) else { return };
    let script = r#"
        const AT = env("AT");
        fn told(scheme, socket, version) {
            http::get(`${scheme}://localhost/tell`, #{ unix_socket: `${AT}/${socket}`, http_version: version })
        }
        fn journey() {
            check(told("http", "plain", "auto"), #{ "1.1": |r| r.body == "HTTP/1.1 localhost http" && r.proto == "HTTP/1.1" });
            check(told("http", "h2c", "h2c"), #{ "h2c": |r| r.body == "HTTP/2.0 localhost http" && r.proto == "HTTP/2.0" });
            check(told("https", "secure", "auto"), #{ "h2": |r| r.body == "HTTP/2.0 localhost https" && r.proto == "HTTP/2.0" });
            check(told("https", "secure", "1.1"), #{ "1.1 with TLS": |r| r.body == "HTTP/1.1 localhost https" });
        }
    "#;
    let flags = "-u 2 -i 8 --insecure-skip-tls-verify";
    let ran = Loadr::script(script).var("AT", path).flags(flags).run().expect(0);
    assert_eq!(ran.rate("checks"), (32, 0), "{ran}");
}
