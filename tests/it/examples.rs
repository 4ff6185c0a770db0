//! Every documented example of every host module and of the standard library, run as a journey of one virtual user against
//! the demo server.
//!
//! An example that has a `fn journey` is a script; one that opens data files is the top level of a script; any other is
//! the body of a journey. Files that examples name are in `tests/fixtures`. What examples of the standard library have
//! before them is told in `script::library`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use loadr::demo::{DemoConfig, Server};
use loadr::metric::registry::{Recorder, SeriesLimits};
use loadr::metric::snapshot::SourceId;
use loadr::plan::{self, Layer, ScriptFacts, Source};
use loadr::script::host::{Script, ScriptSpec};
use loadr::script::library;
use loadr::script::modules::TABLE;
use loadr::vu::{Cancel, Outcome, Seat, Start, VuFactory, WorkerSeat};

/// What examples assert with. To Rhai 1 and 1.0 are equal; which of them a function gives is part of its documentation.
const ASSERTIONS: &str = r#"
fn assert_eq(actual, expected) {
    if type_of(actual) != type_of(expected) || actual != expected {
        throw `${actual} (${type_of(actual)}) is not ${expected} (${type_of(expected)})`;
    }
}
fn assert_error(function, part) {
    let message = ();
    try { function.call(); } catch (error) {
        message = if type_of(error) == "map" { error.message } else { error.to_string() };
    }
    if message == () { throw `expected an error with "${part}", there was none`; }
    if !message.contains(part) { throw `expected an error with "${part}", found: ${message}`; }
}
"#;

pub fn as_script(example: &str) -> String {
    if example.contains("fn journey") {
        format!("{example}\n{ASSERTIONS}")
    } else if ["csv", "json", "lines"].iter().any(|reader| example.contains(&format!("data::{reader}("))) {
        format!("{example}\nfn journey() {{}}\n{ASSERTIONS}")
    } else {
        format!("fn journey(vu, data) {{\n{example}\n}}\n{ASSERTIONS}")
    }
}

/// Runs the init of a script and one iteration; what went wrong, if anything.
fn run(script: &str, directory: &Path, base_url: &str) -> Result<(), String> {
    let path = directory.join("example.rhai");
    fs::write(&path, script).map_err(|error| error.to_string())?;
    let log = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&log);
    let script = Script::load(ScriptSpec {
        max_memory: 1 << 40,
        path: path.display().to_string(),
        env: BTreeMap::from([("BASE_URL".to_owned(), base_url.to_owned())]),
        seed: 1,
        log: Arc::new(move |line| lines.lock().expect("no panic").push(line.text)),
    })?;
    let recorder = Recorder::new(script.catalogue.clone(), SourceId(0), SeriesLimits { per_metric: 1000 });
    let layers = [Layer { source: Source::Script, options: script.options.clone() }];
    let facts = ScriptFacts { functions: script.functions.clone() };
    let plan = plan::resolve(&layers, &facts).map_err(|errors| format!("{errors:?}"))?;
    let seat = WorkerSeat { worker: 0, workers: 1, epoch: Instant::now(), hard_stop: Arc::new(AtomicBool::new(false)) };
    let host = script.into_factory(&plan, u64::MAX).host(seat, recorder.clone()).map_err(|error| error.to_string())?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let outcome = tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut vu = host.build(Seat { vu: 1, scenario: 0 }).map_err(|error| error.to_string())?;
        let now = Start { intended: Duration::ZERO, actual: Duration::ZERO, iteration: 0, iteration_in_scenario: 0 };
        Ok::<_, String>(vu.iterate(now, &Cancel::new()).await)
    })?;
    if outcome == Outcome::Completed {
        return Ok(());
    }
    let errors: Vec<String> =
        recorder.take_snapshot(0).errors.iter().map(|error| error.key.message.to_string()).collect();
    Err(format!("{outcome:?}: {} {}", errors.join("; "), log.lock().expect("no panic").join("; ")))
}

fn with_fixtures(test: impl FnOnce(&Path, &str)) {
    let directory = tempfile::tempdir().expect("a directory");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for file in fs::read_dir(fixtures).expect("fixtures") {
        let file = file.expect("a file").path();
        if file.is_file() {
            fs::copy(&file, directory.path().join(file.file_name().expect("a name"))).expect("a copy");
        }
    }
    let server = Server::start(DemoConfig { threads: 1, ..DemoConfig::default() }).expect("a demo server");
    test(directory.path(), &server.base_url());
}

#[test]
fn every_documented_example_holds() {
    with_fixtures(|directory, base_url| {
        let mut failures = Vec::new();
        for doc in TABLE.iter().flat_map(|module| module.docs) {
            if let Err(problem) = run(&as_script(doc.example), directory, base_url) {
                failures.push(format!("`{}`: {problem}\n{}", doc.signature, doc.example));
            }
        }
        assert!(failures.is_empty(), "{} examples fail:\n\n{}", failures.len(), failures.join("\n\n"));
    });
}

#[test]
fn every_example_of_the_standard_library_holds() {
    with_fixtures(|directory, base_url| {
        let mut failures = Vec::new();
        let mut ran = 0;
        for section in library::sections() {
            for entry in &section.functions {
                let script = format!("{}{}", library::preamble(&section), as_script(&entry.example));
                if let Err(problem) = run(&script, directory, base_url) {
                    failures.push(format!("`{}`: {problem}\n{}", entry.signature, entry.example));
                }
                ran += 1;
            }
        }
        assert!(failures.is_empty(), "{} of {ran} examples fail:\n\n{}", failures.len(), failures.join("\n\n"));
        assert!(ran > 20, "only {ran} examples were found");
    });
}

#[test]
fn an_example_that_does_not_hold_is_noticed() {
    with_fixtures(|directory, base_url| {
        for wrong in [
            "assert_eq(1, 2);",
            "assert_eq(1, 1.0);",
            "assert_error(|| 1, \"x\");",
            "assert_error(|| throw \"y\", \"x\");",
            "fn journey() { assert_eq(http::get(env(\"BASE_URL\")).status, 1); }",
            "assert_eq(data::lines(\"words.txt\").len, 0);",
            "no_such_function();",
        ] {
            assert!(run(&as_script(wrong), directory, base_url).is_err(), "{wrong}");
        }
        assert_eq!(run(&as_script("assert_eq(1, 1);"), directory, base_url), Ok(()));
    });
}
