//! TLS as it was agreed on: suites and versions that a real server chooses, and secrets that open the session.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};

use crate::harness::Loadr;
use crate::nginx::{certificate_in, nginx_or_skip};
use crate::server::{Reply, Server, closed_port, self_signed};

#[test]
fn a_real_server_is_offered_what_was_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let ports = [closed_port(), closed_port(), closed_port()];
    let own = certificate_in(directory.path());
    let tell = "location = / { return 200 \"$ssl_protocol $ssl_cipher\"; }";
    let [any, old, new] = ports.map(|port| format!("listen 127.0.0.1:{port} ssl; {own} {tell}"));
    let server = format!(
        "{any} ssl_protocols TLSv1.2 TLSv1.3; }}
         server {{ {old} ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384; }}
         server {{ {new} ssl_protocols TLSv1.3;"
    );
    let Some(_nginx) = nginx_or_skip(directory.path(), ports[0], &server) else { return };
    let script = r#"
        fn journey() {
            let urls = json::parse(env("URLS"));
            let told = |url, options| http::client(options).get(url, #{ name: "tell", expected: [0, 200] });
            let suites = |names| #{ tls_cipher_suites: names };
            let seen = |at, options, body| {
                check(told.call(urls[at], options), #{ "as asked for": |r| {
                    if r.body != body { print(`${options}: ${r.body} ${r.error}`); }
                    r.body == body
                } });
            };
            let refused = |at, options| check(told.call(urls[at], options), #{ "refused": |r| r.error_code == 1301 });
            for suite in ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"] {
                seen.call(0, suites.call([suite]), `TLSv1.3 ${suite}`);
                seen.call(2, suites.call([suite]), `TLSv1.3 ${suite}`);
            }
            for suite in [["AES_128_GCM_SHA256", "AES128-GCM-SHA256"], ["AES_256_GCM_SHA384", "AES256-GCM-SHA384"], ["CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"]] {
                let asked = suites.call(["TLS_ECDHE_ECDSA_WITH_" + suite[0]]);
                asked.tls_version = "tls1.2";
                seen.call(0, asked, `TLSv1.2 ECDHE-ECDSA-${suite[1]}`);
            }
            // What the server insists on is taken where it is offered.
            seen.call(1, #{}, "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384");
            refused.call(1, #{ tls_version: "tls1.3" });
            refused.call(2, #{ tls_version: "tls1.2" });
            refused.call(1, suites.call(["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]));
            // The certificate's key is none of RSA's.
            let rsa = suites.call(["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]);
            rsa.tls_version = #{ min: "tls1.2", max: "tls1.2" };
            refused.call(0, rsa);
        }
    "#;
    let urls = ports.map(|port| format!("https://localhost:{port}/"));
    let ran = Loadr::script(script)
        .var("URLS", serde_json::to_string(&urls).expect("texts"))
        .flags("--insecure-skip-tls-verify --allow-failure")
        .run()
        .expect(0);
    assert_eq!(ran.rate("checks"), (14, 0), "{ran}");
}

/// What a server knows of its sessions: lines as a key log file has them.
#[derive(Debug, Default)]
struct Secrets(Mutex<BTreeSet<String>>);

impl rustls::KeyLog for Secrets {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let line = format!("{label} {} {}", hex(client_random), hex(secret));
        self.0.lock().expect("no panic").insert(line);
    }
}

#[test]
fn the_key_log_file_has_the_secrets_of_both_ends() {
    let secrets = Arc::new(Secrets::default());
    let (certificate, key) = self_signed("localhost");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate");
    config.key_log = secrets.clone();
    let server = Server::tls_with(config, |_| Reply::ok("secret"));
    let script = r#"
        const options = #{ scenarios: #{ all: #{ executor: "per-vu-iterations", vus: 4, iterations: 2 } } };
        const OLD = http::client(#{ tls_version: "tls1.2" });
        fn journey() {
            check(http::get(env("URL")), #{ "new": |r| r.tls_version == "TLS 1.3" && r.body == "secret" });
            check(OLD.get(env("URL")), #{ "old": |r| r.tls_version == "TLS 1.2" && r.body == "secret" });
        }
    "#;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("keys.log");
    let run = |with_file: bool| {
        let mut loadr = Loadr::script(script).var("URL", server.https());
        if with_file {
            loadr = loadr.env("SSLKEYLOGFILE", path.to_str().expect("UTF-8"));
        }
        let ran = loadr.flags("--insecure-skip-tls-verify --threads 2").run().expect(0);
        assert_eq!(ran.rate("checks"), (16, 0), "{ran}");
    };
    run(false);
    assert!(!path.exists(), "nobody asked for it");
    secrets.0.lock().expect("no panic").clear();
    run(true);

    let text = fs::read_to_string(&path).expect("a file");
    let written: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    let known = secrets.0.lock().expect("no panic").clone();
    let of = |lines: &BTreeSet<String>, label: &str| -> BTreeSet<String> {
        lines.iter().filter(|line| line.split(' ').next() == Some(label)).cloned().collect()
    };
    // One session a virtual user and version: the master secret of TLS 1.2, the traffic secrets of TLS 1.3.
    for label in [
        "CLIENT_RANDOM",
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    ] {
        let found = of(&written, label);
        assert_eq!(found.len(), 4, "{label} in:\n{text}");
        assert_eq!(found, of(&known, label), "the server knows others");
    }
    for line in &written {
        let fields: Vec<&str> = line.split(' ').collect();
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(fields.len() == 3 && fields[1].len() == 64 && is_hex(fields[1]) && is_hex(fields[2]), "{line}");
    }
}
