//! Who virtual users are: sessions that are handed on, certificates and keys that are looked at before a run.

use std::process::Command;

use crate::harness::Loadr;
use crate::program::installed;
use crate::server::{Reply, Server};

#[test]
fn one_login_of_setup_serves_every_virtual_user() {
    let server = Server::start(|request| match request.target() {
        "/login" => Reply::with("200 OK", &[("Set-Cookie", "sid=7; Path=/; HttpOnly; Max-Age=3600")], "hello"),
        _ => Reply::ok(request.header("cookie").unwrap_or("none")),
    });
    let script = r#"
        const BASE = env("BASE");
        fn setup() {
            http::get(`${BASE}/login`);
            #{ session: http::jar() }
        }
        fn journey(vu, data) {
            let kept = http::jar();
            check(kept.len(), #{ "the jar is emptied between iterations": |n| n == 0 });
            kept.add(data.session);
            check(http::get(`${BASE}/a`).body, #{ "the session of setup": |body| body == "sid=7" });
            check(kept.to_array(BASE)[0], #{ "with its attributes": |c| c.http_only && c.expires > time::now() });
            vu.state.jar = vu.state.jar ?? http::new_jar();
            let own = http::client(#{ base_url: BASE, jar: vu.state.jar });
            let expected = if vu.iteration == 0 { "none" } else { "sid=7" };
            check(own.get("/b").body, #{ "a jar of its own": |body| body == expected });
            own.get("/login");
            check(http::get(`${BASE}/c`, #{ jar: () }).body, #{ "no cookies": |body| body == "none" });
        }
        fn teardown(data) { check(data.session[0].value, #{ "teardown has it, too": |value| value == "7" }); }
    "#;
    let ran = Loadr::script(script).var("BASE", server.base()).flags("--vus 2 --iterations 6").run().expect(0);
    for name in ["the jar is emptied between iterations", "the session of setup", "with its attributes", "no cookies"] {
        let check = ran.check(name);
        assert_eq!((check.passes, check.fails), (6, 0), "{name}\n{ran}");
    }
    assert_eq!(ran.check("a jar of its own").fails, 0, "{ran}");
}

#[test]
fn the_top_level_has_no_jar() {
    let script = "const JAR = http::new_jar();\nfn journey() {}";
    let ran = Loadr::new().file("a.rhai", script).flags("check a.rhai").run().expect(107);
    let told = format!("{ran}");
    assert!(
        told.contains("the top level of a script can't make a cookie jar: all virtual users would share it"),
        "{told}"
    );
}

#[test]
fn certificates_and_keys_are_looked_at_before_a_run() {
    let options = |auth: &str| {
        format!(
            "const options = #{{ iterations: 1, tls_auth: [{auth}] }};\nfn journey() {{ http::get(\"http://127.0.0.1:1/\"); }}"
        )
    };
    let missing = options("#{ cert: \"user.pem\", key: \"user.key\" }");
    for command in ["check", "run"] {
        let ran = Loadr::new().file("a.rhai", &missing).flags(&format!("{command} a.rhai")).run().expect(104);
        let told = format!("{ran}");
        assert!(
            told.contains("option `tls_auth` in the script's options: file `user.key` can't be read (looked for in `"),
            "{told}"
        );
        assert!(told.contains("a.rhai:1:"), "{told}");
    }
    let ran = Loadr::new().file("a.rhai", "fn journey() {}").flags("run --cacert nowhere.pem a.rhai").run().expect(104);
    assert!(
        format!("{ran}").contains("option `tls_ca` in the command line: file `nowhere.pem` can't be read"),
        "{ran}"
    );
    let client =
        "const API = http::client(#{ tls_ca: \"nowhere.pem\" });\nfn journey() { API.get(\"http://127.0.0.1:1/\"); }";
    let ran = Loadr::new().file("a.rhai", client).flags("check a.rhai").run().expect(107);
    assert!(format!("{ran}").contains("`http::client`: `tls_ca`: file `nowhere.pem` can't be read"), "{ran}");
}

#[test]
fn keys_that_openssl_has_locked_are_opened() {
    if !installed("openssl") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let openssl = |arguments: String| {
        let ran = Command::new("openssl").args(arguments.split(' ')).output().expect("openssl runs");
        assert!(ran.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    openssl(format!(
        "req -x509 -newkey rsa:2048 -nodes -subj /CN=user -keyout {} -out {}",
        path("plain.key"),
        path("user.pem")
    ));
    for (name, how) in [
        ("aes", "-v2 aes-256-cbc"),
        ("aes128", "-v2 aes-128-cbc -v2prf hmacWithSHA512"),
        ("old", "-v2 des3 -v2prf hmacWithSHA1"),
        ("scrypt", "-scrypt"),
    ] {
        let key = path(name);
        openssl(format!("pkcs8 -topk8 -in {} -out {key} -passout pass:open-sesame {how}", path("plain.key")));
        for (password, code) in [("open-sesame", 0), ("wrong", 104), ("", 104)] {
            let script = format!(
                "const options = #{{ tls_auth: #{{ cert: \"{}\", key: \"{key}\", password: env(\"KEY_PASSWORD\") }} }};\n\
                 fn journey() {{ http::get(\"http://127.0.0.1:1/\"); }}",
                path("user.pem")
            );
            let ran = Loadr::new().file("a.rhai", &script).args(["check", "a.rhai"]).var("KEY_PASSWORD", password);
            let told = format!("{}", ran.run().expect(code));
            let said = told.split_once("--- stdout").expect("what it said").1;
            assert!(!said.contains("open-sesame"), "{told}");
            match password {
                "wrong" => {
                    assert!(told.contains(&format!("file `{key}` can't be decrypted: the password is wrong")), "{told}")
                }
                "" => assert!(told.contains(&format!("file `{key}` has a password: give it as `password`")), "{told}"),
                _ => {}
            }
        }
    }
}

#[test]
fn options_that_contradict_each_other_are_told() {
    let script =
        "const options = #{\n    share_connections: true,\n    noVUConnectionReuse: true,\n};\nfn journey() {}";
    for command in ["check", "run"] {
        let ran = Loadr::new().file("a.rhai", script).flags(&format!("{command} a.rhai")).run().expect(104);
        let told = format!("{ran}");
        assert!(
            told.contains("options `share_connections` and `no_vu_connection_reuse` in the script's options exclude"),
            "{told}"
        );
        assert!(told.contains("a.rhai:2:") && told.contains("the other is here"), "{told}");
    }
}
