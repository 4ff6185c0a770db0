//! What CI servers get: JUnit XML that follows its schema, GitHub's step summary and annotations, Markdown; and plain text
//! wherever there is no terminal to draw on.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::control::on_a_terminal_with;
use crate::harness::Loadr;
use crate::program::installed;
use crate::server::Server;

const SCRIPT: &str = r#"
    const options = #{ thresholds: #{ http_req_duration: ["p(95)<10000"], checks: ["rate>0.99"] } };
    fn journey() {
        let page = http::get(env("BASE") + "/a", #{ name: "a <b> & \"c\" | `d` \x1b[31m" });
        check(page, #{ "holds & <always>": |r| r.status == 200, "never \x01 holds": |r| r.status == 500 });
    }
"#;

fn run(base: &str, out: &[String]) -> Loadr {
    let args: Vec<&str> = out.iter().flat_map(|spec| ["--out", spec]).collect();
    Loadr::script(SCRIPT).var("BASE", base).flags("-u 1 -i 10").args(args)
}

/// That a file follows the schema of JUnit XML.
fn assert_valid(file: &Path) {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/junit.xsd");
    let output =
        Command::new("xmllint").arg("--noout").arg("--schema").arg(schema).arg(file).output().expect("xmllint runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", fs::read_to_string(file).unwrap_or_default());
}

#[test]
fn junit_follows_its_schema_and_fails_with_the_run() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("junit.xml");
    let server = Server::ok("page");
    let out = [format!("junit={}", file.display())];
    run(&server.base(), &out).run().expect(99);
    let text = fs::read_to_string(&file).expect("a file");
    assert!(text.contains(r#"<testsuites name="loadr" tests="5" skipped="1" failures="1" errors="0""#), "{text}");
    assert!(text.contains("holds &amp; &lt;always&gt;"), "{text}");
    if installed("xmllint") {
        assert_valid(&file);
        // The schema is no rubber stamp.
        let bad = text.replace("<testcase name=", "<testcase nam=");
        fs::write(folder.path().join("bad.xml"), bad).expect("a file");
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/junit.xsd");
        let checked = Command::new("xmllint")
            .arg("--noout")
            .arg("--schema")
            .arg(schema)
            .arg(folder.path().join("bad.xml"))
            .output();
        assert!(!checked.expect("xmllint runs").status.success());
    }
}

#[test]
fn a_run_in_which_nothing_worked_fails_there_too() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("junit.xml");
    let spec = format!("junit={}", file.display());
    Loadr::script("fn journey() { throw \"no\"; }").flags("-u 1 -i 3").args(["--out", &spec]).run().expect(99);
    let text = fs::read_to_string(&file).expect("a file");
    assert!(text.contains("every iteration failed (all 3)"), "{text}");
    if installed("xmllint") {
        assert_valid(&file);
    }
}

#[test]
fn a_step_on_github_gets_its_summary_and_annotations() {
    let folder = tempfile::tempdir().expect("a directory");
    let (summary, markdown) = (folder.path().join("summary.md"), folder.path().join("comment.md"));
    let server = Server::ok("page");
    let out = ["github".to_owned(), format!("markdown={}", markdown.display())];
    let ran = run(&server.base(), &out).env("GITHUB_STEP_SUMMARY", summary.to_str().expect("a path")).run().expect(99);
    let text = fs::read_to_string(&summary).expect("a file");
    assert!(text.starts_with("## ❌ Load test failed: `script.rhai`\n"), "{text}");
    assert!(text.contains(r#"| ``GET a <b> & "c" \| `d` \u{1b}[31m`` | 10 | 0 |"#), "{text}");
    assert_eq!(text, fs::read_to_string(&markdown).expect("a file") + "\n");
    let annotation = "::error file=script.rhai,title=Load test failed::threshold `rate>0.99` on `checks` failed";
    assert!(ran.stderr.lines().any(|line| line.starts_with(annotation)), "{ran}");
    assert!(!ran.stdout.contains("::error"), "{ran}");
}

#[test]
fn without_github_the_format_says_what_is_missing() {
    let ran = run("http://127.0.0.1:1", &["github".to_owned()]).env("GITHUB_STEP_SUMMARY", "").run().expect(104);
    assert!(ran.stderr.contains("GITHUB_STEP_SUMMARY"), "{ran}");
}

#[test]
fn a_full_disk_costs_one_output_and_nothing_else() {
    let server = Server::ok("page");
    let folder = tempfile::tempdir().expect("a directory");
    let good = folder.path().join("good.md");
    // A device that is always full.
    let out = ["junit=/dev/full".to_owned(), format!("markdown={}", good.display())];
    let ran = run(&server.base(), &out).run().expect(99);
    assert!(ran.stderr.contains("output `junit=/dev/full` failed and was dropped: can't write `/dev/full`: "), "{ran}");
    assert!(ran.stderr.contains("make room, or choose another disk"), "{ran}");
    assert!(fs::read_to_string(&good).expect("a file").contains("Load test failed"));
    assert_eq!(ran.count("http_reqs"), 10.0);
}

const NAMED: &str = r#"
    const options = #{ thresholds: #{ checks: ["rate>=1"] } };
    fn journey() {
        print("grüße");
        check(http::get(env("BASE_URL") + "/"), #{ "größe ✓": |r| r.status == 200, "fails": |r| r.status == 1 });
    }
"#;

/// Whether a text would move a cursor, or change what was printed before.
fn draws(text: &str) -> bool {
    ["\u{1b}", "^[", "\u{8}"].iter().any(|sequence| text.contains(sequence))
}

#[test]
fn a_log_gets_lines_and_no_drawing() {
    let ran = Loadr::script(NAMED).flags("--demo -u 1 -i 3").run().expect(99);
    let words: Vec<&str> = ran.stderr.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!((words.first(), words.last()), (Some(&"started"), Some(&"ended")), "{ran}");
    assert!(ran.stderr.lines().any(|line| line.starts_with("progress t_s=")), "{ran}");
    assert!(ran.stderr.contains("grüße") && ran.stdout.contains("größe ✓"), "{ran}");
    assert!(!draws(&ran.stdout) && !draws(&ran.stderr), "{ran}");
}

#[test]
fn quiet_is_the_summary_and_errors_alone() {
    let ran = Loadr::script(NAMED).flags("--demo -u 1 -i 3 --quiet").run().expect(99);
    assert_eq!(ran.stderr, "", "{ran}");
    assert!(ran.stdout.starts_with("FAILED: ") && !draws(&ran.stdout), "{ran}");
    let script = "fn journey() { throw \"no such thing\"; }";
    let ran = Loadr::script(script).flags("-u 1 -i 2 -q").run().expect(99);
    assert!(ran.stderr.lines().all(|line| line.starts_with("error ") || line.starts_with("  ")), "{ran}");
    assert!(ran.stderr.contains("no such thing"), "{ran}");
}

#[test]
fn a_locale_without_utf8_gets_ascii_marks() {
    for locale in ["C", "POSIX", "de_DE.ISO-8859-1"] {
        let ran = Loadr::script(NAMED).flags("--demo -u 1 -i 3").env("LC_ALL", locale).run().expect(99);
        assert!(ran.stdout.is_ascii(), "{locale}: {ran}");
        assert!(ran.stdout.contains("  + gr??e +  100%"), "{locale}: {ran}");
        let progress = ran.stderr.lines().filter(|line| !line.contains("grüße"));
        assert!(progress.into_iter().all(str::is_ascii), "{ran}");
    }
}

#[test]
fn terminals_that_nobody_looks_at_get_lines() {
    for env in [("TERM", "dumb"), ("CI", "true")] {
        let (screen, last) = on_a_terminal_with(NAMED, "", &["--demo", "-u", "1", "-i", "3"], &[env, ("LC_ALL", "C")]);
        assert!(last.ends_with("status: 99"), "{screen}");
        assert!(screen.contains("started script=") && screen.contains("progress t_s="), "{env:?}: {screen}");
        // The driver shows escapes as `^`.
        assert!(!screen.contains("^["), "{env:?}: {screen}");
    }
    // The same terminal with somebody at it is drawn on.
    let env = [("TERM", "xterm"), ("CI", "false"), ("LC_ALL", "C.UTF-8")];
    let (screen, last) = on_a_terminal_with(NAMED, "", &["--demo", "-u", "1", "-i", "3"], &env);
    assert!(last.ends_with("status: 99") && screen.contains("^[") && !screen.contains("progress t_s="), "{screen}");
}
