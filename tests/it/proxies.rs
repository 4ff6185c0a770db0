//! Requests through real proxies: forwarded, tunnelled, refused, and left alone.

use std::fs;
use std::process::Command;

use crate::harness::{Loadr, Ran};
use crate::nginx::{certificate_in, nginx_or_skip};
use crate::program::Program;
use crate::server::{Reply, Server, closed_port, self_signed};

/// An HTTP proxy with its port, and the login that it wants as `user:password`.
struct Tinyproxy {
    port: u16,
    _directory: tempfile::TempDir,
    _program: Program,
}

impl Tinyproxy {
    /// None where it is not installed.
    fn start(login: Option<&str>) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        let port = closed_port();
        let login = login.map_or(String::new(), |login| format!("BasicAuth {}\n", login.replace(':', " ")));
        let config = format!(
            "Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 120\nMaxClients 50\nViaProxyName \"tiny\"\n\
             LogFile \"{0}/log\"\nPidFile \"{0}/pid\"\n{login}",
            path.display()
        );
        fs::write(path.join("tinyproxy.conf"), config).expect("a file");
        let mut program =
            Program::start(Command::new("tinyproxy").arg("-d").arg("-c").arg(path.join("tinyproxy.conf")))?;
        program.listens(port);
        Some(Self { port, _directory: directory, _program: program })
    }
}

/// A SOCKS 5 proxy with its port; none where it is not installed.
fn microsocks(login: Option<(&str, &str)>) -> Option<(Program, u16)> {
    let port = closed_port();
    let mut command = Command::new("microsocks");
    command.args(["-i", "127.0.0.1", "-p", &port.to_string()]);
    if let Some((user, password)) = login {
        command.args(["-u", user, "-P", password]);
    }
    let mut program = Program::start(&mut command)?;
    program.listens(port);
    Some((program, port))
}

const GETS: &str = r#"
    fn journey() {
        for url in env("URLS").split(",") {
            let res = http::get(url);
            print(`${res.status} ${res.error_code} ${res.remote_port} ${res.body}`);
        }
        check(1, #{ "ran": |n| true });
    }
"#;

fn gets(urls: &[&str], flags: &str) -> Ran {
    let ran = Loadr::script(GETS).var("URLS", urls.join(",")).flags(flags).flags("--insecure-skip-tls-verify");
    let ran = ran.run().expect(0);
    assert!(!format!("{ran}").replace(flags, "").contains("open-sesame"), "a password is told\n{ran}");
    assert!(!ran.json().to_string().contains("open-sesame"), "a password is told in the summary");
    ran
}

#[test]
fn an_http_proxy_forwards_and_tunnels_for_who_has_the_login() {
    let Some(proxy) = Tinyproxy::start(Some("ali:open-sesame")) else { return };
    let plain = Server::start(|request| Reply::ok(request.header("via").unwrap_or("directly")));
    let secure = Server::tls(self_signed("localhost"), |request| Reply::ok(request.header("via").unwrap_or("tunnel")));
    let (port, plain_url, secure_url) = (proxy.port, plain.base(), secure.https());

    let ran = gets(&[&plain_url, &plain_url, &secure_url], &format!("--proxy http://ali:open-sesame@127.0.0.1:{port}"));
    let via = format!("200 0 {port} 1.1 tiny (tinyproxy");
    assert!(ran.prints()[..2].iter().all(|line| line.starts_with(&via)), "{ran}");
    assert_eq!(ran.prints()[2], format!("200 0 {port} tunnel"), "{ran}");
    // What the proxy is told is not told to the target.
    assert!(plain.requests().iter().all(|request| request.header("proxy-authorization").is_none()));
    assert!(ran.report().run.args.contains(&format!("http://***@127.0.0.1:{port}")), "{:?}", ran.report().run.args);

    // This proxy answers 401 to a login that is wrong, and 407 to none.
    for (login, status) in [("ali:wrong@", 401), ("", 407)] {
        let before = plain.requests().len();
        let flags = format!("--proxy http://{login}127.0.0.1:{port} --allow-failure");
        let ran = gets(&[&plain_url, &secure_url], &flags);
        assert!(ran.prints()[0].starts_with(&format!("{status} 1{status} {port} ")), "{ran}");
        assert_eq!(ran.prints()[1], format!("0 1233 {port}"), "{ran}");
        assert_eq!(plain.requests().len(), before);
        assert_eq!(ran.error(1233).message, "proxy refused the login");
    }
    let refused = format!("https://localhost:{}/", closed_port());
    let ran = gets(&[&refused], &format!("--proxy http://ali:open-sesame@127.0.0.1:{port} --allow-failure"));
    assert_eq!(ran.prints(), [format!("0 1232 {port}")], "{ran}");
}

#[test]
fn a_socks_proxy_is_given_names_or_addresses() {
    let Some((_program, port)) = microsocks(Some(("ali", "open-sesame"))) else { return };
    let server = Server::ok("here");
    let secure = Server::tls(self_signed("localhost"), |_| Reply::ok("there"));
    let (named, https) = (format!("http://localhost:{}/", server.address().port()), secure.https());
    for scheme in ["socks5", "socks5h"] {
        let url = format!("{scheme}://ali:open-sesame@127.0.0.1:{port}");
        let ran = gets(&[&server.base(), &named, &https], &format!("--proxy {url}"));
        let expected = [format!("200 0 {port} here"), format!("200 0 {port} here"), format!("200 0 {port} there")];
        assert_eq!(ran.prints(), expected, "{ran}");
        // What it says of the target is the target's failure.
        let closed = format!("http://127.0.0.1:{}/", closed_port());
        let ran = gets(&[&closed], &format!("--proxy {url} --allow-failure"));
        assert_eq!(ran.prints(), [format!("0 1212 {port}")], "{ran}");
        for login in ["ali:wrong@", ""] {
            let url = format!("{scheme}://{login}127.0.0.1:{port}");
            let ran = gets(&[&server.base()], &format!("--proxy {url} --allow-failure"));
            assert_eq!(ran.prints(), [format!("0 1233 {port}")], "{ran}");
        }
    }
    // A name that loadr alone knows is looked up here, or not at all.
    let url = format!("http://shop.test:{}/", server.address().port());
    let script = format!("const options = #{{ hosts: #{{ \"shop.test\": \"127.0.0.1\" }} }};\n{GETS}");
    for (scheme, expected) in [("socks5", format!("200 0 {port} here")), ("socks5h", String::new())] {
        let flags = format!("--proxy {scheme}://ali:open-sesame@127.0.0.1:{port} --allow-failure");
        let ran = Loadr::script(&script).var("URLS", &url).flags(&flags).run().expect(0);
        if expected.is_empty() {
            assert!(ran.prints()[0].starts_with("0 1"), "{ran}");
        } else {
            assert_eq!(ran.prints(), [expected], "{ran}");
        }
    }
}

#[test]
fn a_proxy_that_goes_away_is_told_apart_from_the_target() {
    let closed = closed_port();
    let ran = gets(
        &["http://shop.test/", "https://shop.test/"],
        &format!("--proxy http://127.0.0.1:{closed} --allow-failure"),
    );
    assert_eq!(ran.prints(), [format!("0 1231 {closed}"), format!("0 1231 {closed}")], "{ran}");
    assert!(ran.error(1231).message == "proxy can't be reached");

    let Some((program, port)) = microsocks(None) else { return };
    let server = Server::ok("x");
    let script = r#"
        fn journey() {
            let good = 0;
            loop {
                let res = http::get(env("BASE"));
                if res.status == 200 { good += 1; }
                // Those that were on their way fail by themselves.
                if res.error_code == 1231 { break; }
                if good == 1 { print("came through"); }
                sleep(10.ms);
            }
            check(good, #{ "came through before": |n| n > 0 });
        }
    "#;
    let flags = format!("--proxy socks5://127.0.0.1:{port} --no-connection-reuse --max-script-time 60s");
    let running = Loadr::script(script).var("BASE", server.base()).flags(&flags).start();
    running.wait_for_line("came through");
    drop(program);
    let ran = running.wait().expect(0);
    assert_eq!(ran.rate("checks"), (1, 0), "{ran}");
    assert_eq!(ran.error(1231).count, 1, "{ran}");
}

#[test]
fn the_environments_proxies_are_asked_but_not_for_this_machine() {
    // The proxy is a server that shows what it was asked for.
    let proxy = Server::start(|request| {
        let login = request.header("proxy-authorization").unwrap_or("none");
        Reply::ok(&format!("{} {login}", request.target()))
    });
    let server = Server::ok("directly");
    let address = proxy.address();
    let (port, own) = (address.port(), server.address().port());
    let with_env = |flags: &str, urls: &[&str]| {
        Loadr::script(GETS)
            .env("HTTP_PROXY", &format!("http://ali:open-sesame@{address}"))
            .env("NO_PROXY", "direct.test, 10.0.0.0/8")
            .var("URLS", urls.join(","))
            .flags(flags)
            .run()
            .expect(0)
    };
    let localhost = format!("http://localhost:{own}/");
    let ran = with_env("", &["http://shop.test/a?b=c#d", &server.base(), &localhost]);
    let asked = "Basic YWxpOm9wZW4tc2VzYW1l";
    let expected = [
        format!("200 0 {port} http://shop.test/a?b=c {asked}"),
        format!("200 0 {own} directly"),
        format!("200 0 {own} directly"),
    ];
    assert_eq!(ran.prints(), expected, "{ran}");
    assert!(!format!("{ran}").contains("open-sesame") && !ran.json().to_string().contains("open-sesame"), "{ran}");

    // The option goes before, for this machine as well; and an empty one means none.
    let ran = with_env(&format!("--proxy {address}"), &[&server.base()]);
    assert_eq!(ran.prints(), [format!("200 0 {port} {}/ none", server.base())], "{ran}");
    let script = format!("const options = #{{ proxy: \"\" }};\n{GETS}");
    let ran = Loadr::script(&script).env("ALL_PROXY", &format!("http://{address}"));
    let ran = ran.var("URLS", "http://direct.invalid/").flags("--allow-failure").run().expect(0);
    assert_eq!(ran.prints(), ["0 1101 0"], "{ran}");
    // Hosts that are excepted are looked up here.
    let script = format!("const options = #{{ hosts: #{{ \"direct.test\": \"127.0.0.1:{own}\" }} }};\n{GETS}");
    let ran = Loadr::script(&script).env("http_proxy", &format!("http://{address}")).env("no_proxy", "direct.test");
    let ran = ran.var("URLS", "http://direct.test/,http://a.direct.test/").flags("--allow-failure").run().expect(0);
    assert!(
        ran.prints()[0] == format!("200 0 {own} directly") && !ran.prints()[1].contains(&port.to_string()),
        "{ran}"
    );

    // One that can't be read is told, and not used.
    let ran = Loadr::script(GETS).env("HTTP_PROXY", "ftp://ali:open-sesame@proxy.test").var("URLS", server.base());
    let ran = ran.run().expect(0);
    assert!(
        ran.stderr.contains("warning: the environment's HTTP_PROXY is not used: expected the URL of a proxy"),
        "{ran}"
    );
    assert!(!ran.stderr.contains("open-sesame"), "{ran}");
}

#[test]
fn a_client_has_a_network_of_its_own() {
    let proxy = Server::start(|request| Reply::ok(request.target()));
    let server = Server::ok("directly");
    let script = r#"
        const options = #{ scenarios: #{ all: #{ executor: "per-vu-iterations", exec: "journey", vus: 2, iterations: 2 } } };
        const URL = env("BASE") + "/a";
        const PROXIED = http::client(#{ proxy: env("PROXY") });
        const BOUND = http::client(#{ local_ips: "127.0.0.7,127.0.0.8", cookies: "none" });
        const BLOCKED = http::client(#{ block_ips: "127.0.0.1" });
        fn journey() {
            check(PROXIED.get(URL), #{ "by the proxy": |r| r.body == URL });
            check(http::get(URL), #{ "directly": |r| r.body == "directly" });
            check(BOUND.get(URL), #{ "bound": |r| r.body == "directly" });
            check(BLOCKED.get(URL), #{ "blocked": |r| r.error_code == 1110 });
        }
    "#;
    let peers = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (listener, seen) = (std::net::TcpListener::bind("127.0.0.1:0").expect("a port"), peers.clone());
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let onward = server.address();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(peer) = stream.peer_addr() else { continue };
            seen.lock().expect("no panic").push(peer.ip().to_string());
            let Ok(target) = std::net::TcpStream::connect(onward) else { continue };
            let (Ok(mut from), Ok(mut back)) = (stream.try_clone(), target.try_clone()) else { continue };
            let (mut stream, mut target) = (stream, target);
            std::thread::spawn(move || std::io::copy(&mut from, &mut target));
            std::thread::spawn(move || std::io::copy(&mut back, &mut stream));
        }
    });
    let ran = Loadr::script(script).var("BASE", &base).var("PROXY", proxy.address()).run().expect(0);
    assert_eq!(ran.rate("checks"), (16, 0), "{ran}");
    let mut peers = peers.lock().expect("no panic").clone();
    peers.sort();
    // Each VU keeps its connections: one of its own, one of the client that is bound.
    assert_eq!(peers, ["127.0.0.1", "127.0.0.1", "127.0.0.7", "127.0.0.8"], "{ran}");
}

#[test]
fn http2_goes_through_tunnels() {
    let directory = tempfile::tempdir().expect("a directory");
    let (secure, plain) = (closed_port(), closed_port());
    let own = certificate_in(directory.path());
    let tell = "location = / { return 200 \"$server_protocol $scheme\"; }";
    let server = format!(
        "listen 127.0.0.1:{secure} ssl http2; {own} {tell} }} server {{ listen 127.0.0.1:{plain} http2; {tell}"
    );
    let Some(_nginx) = nginx_or_skip(directory.path(), secure, &server) else { return };
    let (Some(tiny), Some((_socks, socks))) = (Tinyproxy::start(None), microsocks(None)) else { return };
    let script = r#"
        fn journey() {
            let secure = `https://localhost:${env("SECURE")}/`;
            let plain = `http://localhost:${env("PLAIN")}/`;
            for proxy in json::parse(env("PROXIES")) {
                let through = http::client(#{ proxy: proxy });
                for n in 0..2 {
                    check(through.get(secure), #{ "h2": |r| r.body == "HTTP/2.0 https" && r.proto == "HTTP/2.0" });
                    check(through.get(plain, #{ http_version: "h2c" }), #{ "h2c": |r| r.body == "HTTP/2.0 http" && r.proto == "HTTP/2.0" });
                }
                let pages = through.batch([secure, secure, secure]);
                check(pages, #{ "a batch": |all| all.all(|r| r.status == 200 && r.remote_port == parse_int(proxy.split(":")[2])) });
            }
        }
    "#;
    let proxies = [
        format!("http://127.0.0.1:{}", tiny.port),
        format!("socks5://127.0.0.1:{socks}"),
        format!("socks5h://127.0.0.1:{socks}"),
    ];
    let ran = Loadr::script(script)
        .var("SECURE", secure)
        .var("PLAIN", plain)
        .var("PROXIES", serde_json::to_string(&proxies).expect("texts"))
        .flags("-u 2 -i 2 --insecure-skip-tls-verify")
        .run()
        .expect(0);
    assert_eq!(ran.rate("checks"), (30, 0), "{ran}");
    assert_eq!(ran.rate("http_req_failed").0, 0, "{ran}");
}

/// TLS with this certificate in front of a port; none where it is not installed.
fn stunnel(
    certificate: &rcgen::CertifiedKey<rcgen::KeyPair>,
    connect: u16,
) -> Option<(Program, u16, tempfile::TempDir)> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    let port = closed_port();
    let pem = format!("{}{}", certificate.signing_key.serialize_pem(), certificate.cert.pem());
    fs::write(path.join("own.pem"), pem).expect("a file");
    fs::write(path.join("cert.pem"), certificate.cert.pem()).expect("a file");
    let config = format!(
        "foreground = yes\npid =\n[proxy]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{connect}\ncert = {}\n",
        path.join("own.pem").display()
    );
    fs::write(path.join("stunnel.conf"), config).expect("a file");
    let mut program = Program::start(Command::new("stunnel4").arg(path.join("stunnel.conf")))?;
    program.listens(port);
    Some((program, port, directory))
}

#[test]
fn a_proxy_may_speak_tls() {
    let Some(proxy) = Tinyproxy::start(Some("ali:open-sesame")) else { return };
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let Some((_program, port, directory)) = stunnel(&certificate, proxy.port) else { return };
    let plain = Server::start(|request| Reply::ok(request.header("via").unwrap_or("directly")));
    let secure = Server::tls(self_signed("localhost"), |request| Reply::ok(request.header("via").unwrap_or("tunnel")));
    let (plain_url, secure_url) = (plain.base(), secure.https());

    let ran =
        gets(&[&plain_url, &plain_url, &secure_url], &format!("--proxy https://ali:open-sesame@localhost:{port}"));
    let via = format!("200 0 {port} 1.1 tiny (tinyproxy");
    assert!(ran.prints()[..2].iter().all(|line| line.starts_with(&via)), "{ran}");
    assert_eq!(ran.prints()[2], format!("200 0 {port} tunnel"), "{ran}");

    // Its certificate is looked at as a target's is.
    let one = |flags: &str| {
        let proxy = format!("--proxy https://ali:open-sesame@localhost:{port} --allow-failure");
        Loadr::script(GETS).var("URLS", &plain_url).flags(&proxy).flags(flags).run().expect(0)
    };
    let ran = one("");
    assert_eq!(ran.prints(), [format!("0 1310 {port}")], "{ran}");
    assert_eq!(ran.error(1310).count, 1, "{ran}");
    let ran = one(&format!("--cacert {}", directory.path().join("cert.pem").display()));
    assert!(ran.prints()[0].starts_with(&via), "{ran}");
    // Who speaks no TLS is told so.
    let ran = gets(&[&plain_url], &format!("--proxy https://localhost:{} --allow-failure", proxy.port));
    assert!(ran.prints()[0].starts_with("0 1"), "{ran}");
}
