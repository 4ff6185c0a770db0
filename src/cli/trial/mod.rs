//! `loadr test`: runs the tests of journeys, and shows what of them does not hold.
//!
//! | file | what it is about |
//! | --- | --- |
//! | this | flags, the recording, the order of things |
//! | [`files`] | which files have tests |
//! | [`human`] | results for people |
//! | [`data`] | results as JSON |

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};

use super::{complain, exit::Exit, run::pairs};
use crate::demo::{DemoConfig, Server};
use crate::net::tape::{Recording, SCHEMA, Tape};
use crate::session::trial::{self, Trial, TrialSpec};
use crate::units::parse_duration;

mod data;
mod files;
mod human;

/// Run the tests of scripts: functions whose names begin with `test_`, each once and by itself.
///
/// Without BASE_URL they run against the demo shop.
#[derive(Args, Debug)]
pub struct TestArgs {
    /// Scripts, each with the `NAME_test.rhai` beside it; of a directory, all scripts that have tests
    #[arg(value_name = "SCRIPT", default_value = ".")]
    scripts: Vec<PathBuf>,
    /// Run only tests whose names contain this; may be repeated
    #[arg(short = 'k', long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Stop at the first test that fails
    #[arg(long)]
    fail_fast: bool,
    /// List the tests instead of running them
    #[arg(long)]
    list: bool,
    /// How results are printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Run against the demo shop, also when BASE_URL is set
    #[arg(long, env = "LOADR_DEMO", value_parser = BoolishValueParser::new())]
    demo: bool,
    /// Write what was answered to this file
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    record: Option<PathBuf>,
    /// Answer from a file that --record wrote, without network
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Let `think`, `sleep` and `pace` take the time that they say, instead of skipping them
    #[arg(long)]
    real_time: bool,
    /// A variable for the script's `env`; may be repeated
    #[arg(short = 'e', long = "env", value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// The seed of all random choices [default: 1, or that of the recording]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How long a test may take
    #[arg(long, value_name = "D", default_value = "60s", value_parser = parse_duration)]
    timeout: Duration,
    /// Show the steps of tests that pass, too
    #[arg(short, long, env = "LOADR_VERBOSE", value_parser = BoolishValueParser::new())]
    verbose: bool,
    /// No colours
    #[arg(long, env = "LOADR_NO_COLOR", value_parser = BoolishValueParser::new())]
    no_color: bool,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON document.
    Json,
}

/// A file with its tests.
struct TestFile {
    path: PathBuf,
    /// The tests that are to run, or why the file has none that can.
    tests: Result<Vec<String>, String>,
}

/// A file and what came of its tests.
struct FileRun {
    path: PathBuf,
    error: Option<String>,
    trials: Vec<Trial>,
    /// Tests that were not run, because one failed before.
    left_out: usize,
}

/// Runs the command.
pub fn run(args: &TestArgs) -> Exit {
    match perform(args) {
        Ok(exit) => exit,
        Err(message) => {
            complain(&message);
            Exit::InvalidConfig
        }
    }
}

fn perform(args: &TestArgs) -> Result<Exit, String> {
    let paths = files::find(&args.scripts).map_err(|error| format!("error: {error}"))?;
    let mut env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    env.extend(pairs("-e", &args.env).map_err(|error| format!("error: {error}"))?);
    let recording = args.replay.as_deref().map(read).transpose()?;
    if let Some(base_url) = recording.as_ref().and_then(|recording| recording.base_url.clone()) {
        env.insert("BASE_URL".into(), base_url);
    }
    let demo = if args.replay.is_none() && (args.demo || !env.contains_key("BASE_URL")) {
        let server = Server::start(DemoConfig::default());
        Some(server.map_err(|error| format!("error: can't start the demo server: {error}"))?)
    } else {
        None
    };
    if let Some(server) = &demo {
        env.insert("BASE_URL".into(), server.base_url());
    }
    let seed = args.seed.or(recording.as_ref().map(|recording| recording.seed)).unwrap_or(1);
    let tape = match recording {
        Some(recording) => Some(Arc::new(Tape::playing(recording))),
        None => args.record.as_ref().map(|_| Arc::new(Tape::recording(env.get("BASE_URL").cloned(), seed))),
    };
    let spec = TrialSpec {
        env,
        seed,
        real_time: args.real_time,
        timeout: args.timeout,
        tape: tape.clone(),
        roots: Arc::default(),
    };
    let test_files = load(&paths, args, &spec)?;
    if args.list {
        anstream::print!("{}", human::list(&test_files));
        return Ok(exit_of_files(&test_files));
    }
    let began = Instant::now();
    let runs = run_all(test_files, args, &spec);
    if let (Some(path), Some(tape)) = (&args.record, &tape) {
        write(path, &tape.recorded())?;
    }
    match args.format {
        Format::Human => anstream::print!("{}", human::summary(&runs, began.elapsed(), args.no_color)),
        Format::Json => anstream::println!("{}", data::document(&runs, &spec)),
    }
    drop(demo);
    Ok(exit_of(&runs))
}

/// The tests of all files that are to run.
fn load(paths: &[PathBuf], args: &TestArgs, spec: &TrialSpec) -> Result<Vec<TestFile>, String> {
    let all = paths.iter().map(|path| TestFile { path: path.clone(), tests: trial::tests_of(path, spec) });
    let mut all: Vec<TestFile> = all.collect();
    let known: Vec<String> = all.iter().filter_map(|file| file.tests.as_ref().ok()).flatten().cloned().collect();
    let broken = all.iter().any(|file| file.tests.is_err());
    if known.is_empty() && !broken {
        return Err(files::none_found(&args.scripts));
    }
    if !args.filter.is_empty() {
        for tests in all.iter_mut().filter_map(|file| file.tests.as_mut().ok()) {
            tests.retain(|test| args.filter.iter().any(|part| test.contains(part.as_str())));
        }
        if all.iter().all(|file| file.tests.as_ref().is_ok_and(Vec::is_empty)) {
            let wanted = args.filter.iter().map(|part| format!("`{part}`")).collect::<Vec<_>>().join(" or ");
            return Err(format!("error: no test's name contains {wanted}; there are {}", known.join(", ")));
        }
    }
    all.retain(|file| file.tests.as_ref().map_or(true, |tests| !tests.is_empty()));
    Ok(all)
}

fn run_all(test_files: Vec<TestFile>, args: &TestArgs, spec: &TrialSpec) -> Vec<FileRun> {
    let mut runs = Vec::new();
    let mut stopped = false;
    for TestFile { path, tests } in test_files {
        let (tests, error) = match tests {
            Ok(tests) => (tests, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        if args.format == Format::Human && !stopped {
            anstream::print!("{}", human::heading(&path, error.as_deref(), args.no_color));
        }
        stopped |= args.fail_fast && error.is_some();
        let mut run = FileRun { path, error, trials: Vec::new(), left_out: 0 };
        for test in tests {
            if stopped {
                run.left_out += 1;
                continue;
            }
            let trial = trial::run(&run.path, &test, spec);
            stopped = args.fail_fast && !trial.passed();
            if args.format == Format::Human {
                anstream::print!("{}", human::trial(&trial, args.verbose, args.no_color));
            }
            run.trials.push(trial);
        }
        runs.push(run);
    }
    runs
}

fn exit_of(runs: &[FileRun]) -> Exit {
    if runs.iter().any(|run| run.error.is_some()) {
        Exit::ScriptError
    } else if runs.iter().flat_map(|run| &run.trials).all(Trial::passed) {
        Exit::Passed
    } else {
        Exit::Failed
    }
}

fn exit_of_files(test_files: &[TestFile]) -> Exit {
    if test_files.iter().all(|file| file.tests.is_ok()) { Exit::Passed } else { Exit::ScriptError }
}

fn read(path: &Path) -> Result<Recording, String> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("error: can't read the recording `{shown}`: {error}"))?;
    let recording: Recording = serde_json::from_str(&text)
        .map_err(|error| format!("error: `{shown}` is no recording of `loadr test --record`: {error}"))?;
    if recording.schema != SCHEMA {
        return Err(format!("error: `{shown}` is a `{}`, and this loadr plays `{SCHEMA}`", recording.schema));
    }
    let mut answers = recording.tests.values().flatten();
    answers.try_for_each(|answer| answer.validate()).map_err(|error| format!("error: `{shown}`: {error}"))?;
    Ok(recording)
}

fn write(path: &Path, recording: &Recording) -> Result<(), String> {
    let text = serde_json::to_string_pretty(recording).map_err(|error| format!("error: {error}"))?;
    std::fs::write(path, text + "\n").map_err(|error| format!("error: can't write `{}`: {error}", path.display()))
}
