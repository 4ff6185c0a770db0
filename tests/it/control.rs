//! Live control through the real binary: over HTTP, with `loadr ctl`, and by keys on a terminal.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use loadr::report::{ChangeKind, MarkKind};
use serde_json::Value;

use crate::harness::{Loadr, Running};

/// Two scenarios that take long, one closed and one open.
const LONG: &str = r#"
    const options = #{ scenarios: #{
        shop: #{ executor: "constant-vus", exec: "shop", vus: 2, duration: 1.h },
        search: #{ executor: "constant-arrival-rate", exec: "search", rate: 20, duration: 1.h, pre_allocated_vus: 2, max_vus: 5 },
    } };
    fn shop(vu) { if vu.iteration == 0 { print("begun"); } http::get(`${env("BASE_URL")}/`, #{ name: "shop" }); sleep(20.ms); }
    fn search() { http::get(`${env("BASE_URL")}/`, #{ name: "search" }); }
"#;

fn start(flags: &str) -> Running {
    let run = Loadr::script(LONG).flags("--demo --control 127.0.0.1:0 --control-file control.json").flags(flags);
    let running = run.start();
    running.wait_for_line("begun");
    running
}

/// `loadr ctl --file ...`: exit code, stdout, stderr.
fn ctl(file: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadr"));
    command.arg("ctl").arg("--file").arg(file).args(args).env_remove("LOADR_CONTROL").env_remove("LOADR_CONTROL_TOKEN");
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("it is UTF-8");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

/// A request as anybody could make it: status and body.
fn ask(file: &Path, request: &str, token: Option<&str>, body: &str) -> (u16, Value) {
    let access: Value = serde_json::from_slice(&std::fs::read(file).expect("a file")).expect("it is JSON");
    let address = access["address"].as_str().and_then(|url| url.strip_prefix("http://")).expect("a URL");
    let token = token.or(access["token"].as_str()).expect("a token");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head =
        format!("{request} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {}", body.len());
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("head and body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).expect("the body is JSON"))
}

/// Asks for the status until it is as it should be.
fn await_status(file: &Path, good: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let (status, body) = ask(file, "GET /v1/status", None, "");
        assert_eq!(status, 200, "{body}");
        if good(&body) {
            return body;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{body:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_run_is_watched_and_changed_with_ctl() {
    let running = start("");
    let file = running.path("control.json");
    let mode = std::fs::metadata(&file).expect("it was written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only its owner may read the token");
    await_status(&file, |status| status["state"] == "running" && status["requests"].as_u64() > Some(0));

    for (args, said) in [
        (&["vus", "shop", "5"][..], "shop: 5 VUs\n"),
        (&["vus", "shop", "5"], "shop has 5 VUs already\n"),
        (&["rate", "search", "60/s"], "search: 60/s\n"),
    ] {
        assert_eq!(ctl(&file, args), (0, said.to_owned(), String::new()), "{args:?}");
    }
    // By name: `search` is the first.
    let scenarios = |status: &Value, of: usize, what: &str| status["scenarios"][of][what].as_f64().unwrap_or(-1.0);
    await_status(&file, |status| scenarios(status, 1, "vus") >= 4.0 && scenarios(status, 0, "rate_target") == 60.0);

    assert_eq!(ctl(&file, &["pause"]), (0, "paused\n".into(), String::new()));
    assert_eq!(ctl(&file, &["pause"]), (0, "it was paused already\n".into(), String::new()));
    let paused = await_status(&file, |status| status["state"] == "paused" && status["vus"] == 0);
    let still = await_status(&file, |status| status["elapsed_s"].as_f64() > paused["elapsed_s"].as_f64());
    assert_eq!(still["iterations"], paused["iterations"], "nothing starts while it is paused");
    let (code, text, _) = ctl(&file, &["status"]);
    assert!(code == 0 && text.starts_with("paused  ") && text.contains("\n  shop  constant-vus  running  "), "{text}");
    assert_eq!(ctl(&file, &["resume"]), (0, "resumed\n".into(), String::new()));
    await_status(&file, |status| status["iterations"].as_u64() > paused["iterations"].as_u64());
    assert_eq!(ctl(&file, &["stop"]), (0, "stopping\n".into(), String::new()));

    let ran = running.wait().expect(105);
    for line in
        ["changed: shop: 2 to 5 VUs, by api", "changed: search: 20/s to 60/s, by api", "changed: resumed, by api"]
    {
        assert!(ran.stderr.contains(line), "{line}: {ran}");
    }
    let report = ran.report();
    let events = &report.series.events;
    let told: Vec<_> =
        events.iter().map(|change| (change.what, change.scenario.as_deref(), change.from, change.to)).collect();
    assert_eq!(
        told,
        [
            (ChangeKind::Vus, Some("shop"), Some(2.0), Some(5.0)),
            (ChangeKind::Rate, Some("search"), Some(20.0), Some(60.0)),
            (ChangeKind::Pause, None, None, None),
            (ChangeKind::Resume, None, None, None),
            (ChangeKind::Stop, None, None, None),
        ]
    );
    assert!(events.iter().all(|change| change.by == "api") && events.is_sorted_by_key(|change| change.at_s));
    assert_eq!(report.series.marks.iter().filter(|mark| mark.kind == MarkKind::Control).count(), 5);
    assert!(!file.exists(), "the file goes with its run");
}

#[test]
fn what_is_wrong_is_refused_and_changes_nothing() {
    let running = start("--control-token a-token-of-mine");
    let file = running.path("control.json");
    await_status(&file, |status| status["state"] == "running");
    for (request, token, body, status, part) in [
        ("GET /v1/status", Some("a-token-of-mind"), "", 401, "wrong or missing token"),
        ("POST /v1/stop", Some("x"), "", 401, "wrong or missing token"),
        ("POST /v1/scenarios/shop", None, "{\"vus\": \"many\"}", 400, "expected a whole number"),
        ("POST /v1/scenarios/shop", None, "vus=3", 400, "expected a JSON object"),
        ("POST /v1/scenarios/shop", None, "{\"rate\": 5}", 400, "closed load has no rate of its own"),
        ("POST /v1/scenarios/shop", None, "{\"vus\": 1000000}", 400, "at most 100000 VUs"),
        ("POST /v1/scenarios/shpo", None, "{\"vus\": 3}", 404, "did you mean `shop`?"),
        ("GET /v2", None, "", 404, "/v1/status"),
        ("GET /v1/pause", None, "", 405, "`GET`"),
    ] {
        let (found, answer) = ask(&file, request, token, body);
        assert_eq!(found, status, "{request}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(part)), "{request}: {answer}");
    }
    let (code, stdout, stderr) = ctl(&file, &["vus", "serch", "3"]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert_eq!(stderr, "error: unknown scenario `serch` (did you mean `search`?); expected one of `search`, `shop`\n");
    assert_eq!(ctl(&file, &["--token", "wrong-token", "pause"]).0, 1);
    assert_eq!(ctl(&file, &["vus", "shop", "many"]).0, 2);
    assert_eq!(ctl(Path::new("no.json"), &["pause"]).0, 2);
    ask(&file, "POST /v1/stop", None, "");
    let ran = running.wait().expect(105);
    assert!(!ran.stderr.contains("a-token-of-mine"), "a token that the user chose is not told: {ran}");
    assert_eq!(ran.report().series.events.len(), 1, "the stop alone");
    assert!(!ran.report().run.args.iter().any(|arg| arg.contains("a-token-of-mine")));
}

#[test]
fn the_control_stays_on_this_machine_unless_it_is_allowed() {
    let ran = Loadr::script_without_export("fn journey() {}").flags("--control 0.0.0.0:0").run().expect(104);
    insta::assert_snapshot!(ran.stderr, @"error: --control `0.0.0.0:0` can be reached from other machines; use a loopback address such as `127.0.0.1:0`, or allow it with --control-allow-remote");
    let ran = Loadr::script_without_export("fn journey() {}")
        .flags("--control 127.0.0.1:0 --control-token short")
        .run()
        .expect(104);
    insta::assert_snapshot!(ran.stderr, @"error: the control token must be 8 to 256 printable ASCII characters without spaces");
    let journey = "fn journey() { check(1, #{ one: |n| n == 1 }); }";
    let ran = Loadr::script_without_export(journey).flags("--control 0.0.0.0:0 --control-allow-remote").run().expect(0);
    assert!(ran.stderr.starts_with("control at http://0.0.0.0:"), "{ran}");
}

/// Runs the binary on a pseudo-terminal, presses keys when the screen shows what each waits for, and tells whether the
/// terminal is in its own mode at the end.
const ON_A_TERMINAL: &str = r#"
import os, pty, select, sys, termios, time
steps = [step.split("=>") for step in sys.argv[1].split("|") if step]
command = sys.argv[2:]
parent, child = pty.openpty()
before = termios.tcgetattr(child)
pid = os.fork()
if pid == 0:
    os.setsid()
    import fcntl
    fcntl.ioctl(child, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(child, fd)
    os.environ.setdefault("TERM", "xterm")
    os.execv(command[0], command)
screen, shown, deadline, status, key_mode = b"", 0, time.time() + 60, None, False
while time.time() < deadline:
    if select.select([parent], [], [], 0.05)[0]:
        screen += os.read(parent, 65536)
    if steps and steps[0][0].encode() in screen[shown:]:
        key_mode |= not termios.tcgetattr(child)[3] & termios.ICANON
        shown = len(screen)
        os.write(parent, steps.pop(0)[1].encode().decode("unicode_escape").encode())
    if status is None:
        done, code = os.waitpid(pid, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(code)
    elif not select.select([parent], [], [], 0)[0]:
        break
after = termios.tcgetattr(child)
print(screen.decode(errors="replace").replace("\x1b", "^"))
print("steps left:", len(steps), "key mode:", key_mode, "mode restored:", before[:4] == after[:4], "status:", status)
if status is None:
    os.kill(pid, 9)
"#;

/// `steps` are `what to wait for=>keys`, divided by `|`. Gives the screen, and the last line that the driver says.
fn on_a_terminal(script: &str, steps: &str, flags: &[&str]) -> (String, String) {
    on_a_terminal_with(script, steps, flags, &[("TERM", "xterm"), ("LC_ALL", "C.UTF-8")])
}

/// The same with variables of the environment; those that say what the terminal can do are what is given here alone.
pub fn on_a_terminal_with(script: &str, steps: &str, flags: &[&str], env: &[(&str, &str)]) -> (String, String) {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("script.rhai"), script).expect("a script");
    std::fs::write(directory.path().join("drive.py"), ON_A_TERMINAL).expect("a driver");
    let mut command = Command::new("python3");
    command.args(["drive.py", steps, env!("CARGO_BIN_EXE_loadr"), "run", "script.rhai", "--no-color"]).args(flags);
    for name in ["CI", "NO_COLOR", "LANG", "LC_CTYPE"] {
        command.env_remove(name);
    }
    command.current_dir(directory.path()).envs(env.iter().copied()).stdin(Stdio::null());
    let output = command.output().expect("python3 is there, as tests need it");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("steps left"), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    (text, last)
}

#[test]
fn keys_pause_change_and_stop() {
    let (screen, last) = on_a_terminal(
        LONG,
        "q stop=>p|p resume=>p|p pause=>+|20/s to 22/s, by key=>\\t|> shop=>-|shop: 2 to 1 VUs, by key=>q",
        &["--demo"],
    );
    assert_eq!(last, "steps left: 0 key mode: True mode restored: True status: 105", "{screen}");
}

#[test]
fn keys_choose_what_the_live_view_shows() {
    let steps = "q stop=>2|[requests]=>3|no errors so far=>4|[log]=>1|[overview]=>q";
    let (screen, last) = on_a_terminal(LONG, steps, &["--demo"]);
    assert_eq!(last, "steps left: 0 key mode: True mode restored: True status: 105", "{screen}");
    assert!(screen.contains("request") && screen.contains("p95") && screen.contains("begun"), "{screen}");
}

#[test]
fn ctrl_c_works_beside_keys_and_the_terminal_is_left_as_it_was() {
    let (screen, last) = on_a_terminal(LONG, "q stop=>\\x03", &["--demo"]);
    assert_eq!(last, "steps left: 0 key mode: True mode restored: True status: 105", "{screen}");
    assert!(screen.contains("stopping: interrupted by Ctrl-C"), "{screen}");
}

#[test]
fn a_fault_that_ends_the_process_brings_the_terminal_back() {
    let bomb = r#"
        const options = #{ vus: 1, duration: 1.h };
        fn journey(vu) {
            sleep(100.ms);
            if vu.iteration > 20 { let b = blob(1 << 40); }
        }
    "#;
    let (screen, last) = on_a_terminal(bomb, "q stop=>x", &[]);
    assert_eq!(last, "steps left: 0 key mode: True mode restored: True status: 107", "{screen}");
}
