//! Tests of journeys: each function of a script whose name begins with `test_` is run once, by itself.
//!
//! A test is a journey that runs once: `setup`, `vu_start`, the test, `vu_stop` and `teardown`, by a virtual user with the
//! number 1. Nothing is left over from one test for the next: the script is loaded anew, with the same seed, so that a
//! test makes the same random choices whichever others run. What it does is told as a trace
//! ([`crate::trace`]); a check that does not hold fails it, and so does an error in any of its parts.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use regex::Regex;
use serde_json::{Map, Value, json};

use super::memory_to_use;
use crate::event::LogLine;
use crate::metric::registry::{Recorder, SeriesLimits};
use crate::metric::snapshot::SourceId;
use crate::net::tape::Tape;
use crate::net::tls::TlsRoots;
use crate::output::trace::Tally;
use crate::plan::{self, Layer, Plan, ScriptFacts, Source};
use crate::script::host::{Script, ScriptSpec};
use crate::trace::{Step, TraceEvent, TraceSink, Tracing};
use crate::vu::{Cancel, Outcome, Seat, Start, StopReason, VuError, VuFactory, VuHost, WorkerSeat};

/// How the names of tests begin.
pub const TEST_PREFIX: &str = "test_";

/// How the names of files of tests end, before `.rhai`.
pub const TEST_FILE_SUFFIX: &str = "_test";

/// Options that say how much load there is: a test has none.
const LOAD_OPTIONS: &[&str] = &[
    "vus",
    "duration",
    "iterations",
    "rate",
    "stages",
    "scenarios",
    "scenario",
    "thresholds",
    "profile",
    "timescale",
    "seed",
    "threads",
];

/// The most parameters that a test may have: `(vu, data)`.
const PARAMETERS_MAX: usize = 2;

/// How long a test may take to end after its time is over.
const GRACE: Duration = Duration::from_secs(5);

/// How tests are run.
#[derive(Clone, Debug)]
pub struct TrialSpec {
    /// Variables for `env`.
    pub env: BTreeMap<String, String>,
    /// The seed of all random choices.
    pub seed: u64,
    /// Whether pauses take their time.
    pub real_time: bool,
    /// How long a test may take.
    pub timeout: Duration,
    /// Records the answers, or gives them.
    pub tape: Option<Arc<Tape>>,
    /// Certificates that servers are checked against.
    pub roots: Arc<TlsRoots>,
}

/// What came of a test.
#[derive(Debug)]
pub struct Trial {
    /// The test: a function's name.
    pub name: String,
    /// How long it took.
    pub took: Duration,
    /// What it did, step by step.
    pub events: Vec<TraceEvent>,
    /// Counts of what it did.
    pub tally: Tally,
    /// Why it failed, beyond what its steps tell: it took too long, asked for what is not recorded.
    pub problems: Vec<String>,
}

impl Trial {
    /// Whether all was well. A request that failed is no failure by itself: the test says what it expects.
    #[must_use]
    pub fn passed(&self) -> bool {
        let Tally { checks_failed, errors, interrupted, aborted, .. } = &self.tally;
        self.problems.is_empty() && checks_failed + errors + interrupted == 0 && !aborted
    }
}

/// The tests in a script, in the order in which they stand there.
///
/// # Errors
/// The whole diagnostic of a script that can't be loaded, or of a test that has too many parameters.
pub fn tests_of(path: &Path, spec: &TrialSpec) -> Result<Vec<String>, String> {
    let script = load(path, spec, Arc::new(|_| {}))?;
    let text = script.sources().get(&path.display().to_string()).unwrap_or_default();
    let mut tests = Vec::new();
    for function in script.functions.iter().filter(|function| function.name.starts_with(TEST_PREFIX)) {
        if function.params > PARAMETERS_MAX {
            return Err(format!(
                "error: `{}` takes {} arguments: a test takes none, `vu`, or `vu` and `data`\n --> {}",
                function.name,
                function.params,
                path.display()
            ));
        }
        tests.push(function.name.clone());
    }
    tests.sort_by_key(|name| text.find(&format!("fn {name}")));
    tests.dedup();
    Ok(tests)
}

/// Whether a text has tests in it, as far as one can see without running it.
#[must_use]
pub fn has_tests(text: &str) -> bool {
    static TEST: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(?m)^[ \t]*fn[ \t]+test_\w*[ \t]*\(").expect("a pattern"));
    TEST.is_match(text)
}

/// Runs one test.
#[must_use]
pub fn run(path: &Path, name: &str, spec: &TrialSpec) -> Trial {
    let began = Instant::now();
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink: TraceSink = {
        let events = events.clone();
        Arc::new(move |event| events.lock().unwrap_or_else(PoisonError::into_inner).push(event))
    };
    if let Some(tape) = &spec.tape {
        // The same test by another way to write its path is the same test.
        let parts = path.components().filter(|part| !matches!(part, Component::CurDir));
        tape.begin(&format!("{}::{name}", parts.collect::<PathBuf>().display()));
    }
    let mut problems = Vec::new();
    if let Err(problem) = perform(path, name, spec, &sink) {
        problems.push(problem);
    }
    drop(sink);
    if let Some(tape) = &spec.tape {
        problems.extend(tape.unknown());
    }
    let events = std::mem::take(&mut *events.lock().unwrap_or_else(PoisonError::into_inner));
    let mut tally = Tally::default();
    events.iter().for_each(|event| tally.count(&event.step));
    Trial { name: name.to_owned(), took: began.elapsed(), events, tally, problems }
}

fn load(path: &Path, spec: &TrialSpec, log: Arc<dyn Fn(LogLine) + Send + Sync>) -> Result<Script, String> {
    let path = path.display().to_string();
    Script::load(ScriptSpec { path, env: spec.env.clone(), seed: spec.seed, log, max_memory: memory_to_use() })
}

/// The plan of one test: the script's options but for its load.
fn plan_of(script: &Script, name: &str, seed: u64) -> Result<Plan, String> {
    let is_load = |option: &str| {
        let plain: String = option.chars().filter(|&c| c != '_').collect::<String>().to_lowercase();
        LOAD_OPTIONS.contains(&plain.as_str())
    };
    let options: Map<String, Value> = script
        .options
        .iter()
        .filter(|(option, _)| !is_load(option))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let scenario = json!({ "executor": "shared-iterations", "exec": name, "vus": 1, "iterations": 1 });
    let own = Map::from_iter([
        ("scenarios".to_owned(), json!({ "default": scenario })),
        ("seed".to_owned(), seed.into()),
        ("threads".to_owned(), 1.into()),
    ]);
    let layers = [Layer { source: Source::Script, options }, Layer { source: Source::Flag, options: own }];
    let facts = ScriptFacts { functions: script.functions.clone() };
    let told = |errors: Vec<plan::PlanError>| errors.iter().map(|error| format!("error: {error}")).collect::<Vec<_>>();
    plan::resolve(&layers, &facts).map_err(|errors| told(errors).join("\n"))
}

fn perform(path: &Path, name: &str, spec: &TrialSpec, sink: &TraceSink) -> Result<(), String> {
    let log = {
        let sink = sink.clone();
        Arc::new(move |line: LogLine| {
            let step = Step::Logged { level: line.level, text: line.text };
            sink(TraceEvent { at: Duration::ZERO, vu: line.vu, step });
        })
    };
    let script = load(path, spec, log)?;
    let plan = plan_of(&script, name, spec.seed)?;
    let recorder = Recorder::new(script.catalogue.clone(), SourceId(0), SeriesLimits { per_metric: 1_000 });
    let tracing = Tracing { sink: sink.clone(), real_time: spec.real_time };
    let factory = script.into_factory(&plan, memory_to_use());
    let factory = factory.with_roots(spec.roots.clone()).traced(tracing).taped(spec.tape.clone());
    let hard_stop = Arc::new(AtomicBool::new(false));
    let seat = WorkerSeat { worker: 0, workers: 1, epoch: Instant::now(), hard_stop };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("error: can't start an event loop: {error}"))?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let host = factory.host(seat, recorder).map_err(|error| error.to_string())?;
        let cancel = Cancel::new();
        let mut parts = Box::pin(parts(&*host, &cancel));
        if let Ok(done) = tokio::time::timeout(spec.timeout, &mut parts).await {
            return done;
        }
        cancel.cancel(StopReason::Deadline);
        // Whatever it says of its end, it is over time.
        let _ = tokio::time::timeout(GRACE, parts).await;
        Err(format!(
            "error: the test took longer than {} (--timeout)",
            crate::units::format::format_duration(spec.timeout)
        ))
    })
}

/// All parts of a test. Errors of the script are told by its steps.
async fn parts(host: &dyn VuHost, cancel: &Cancel) -> Result<(), String> {
    let Some(data) = told(host.setup(cancel).await)? else { return Ok(()) };
    host.set_data(data);
    let mut vu = host.build(Seat { vu: 1, scenario: 0 }).map_err(|error| error.to_string())?;
    let start = Start { intended: Duration::ZERO, actual: Duration::ZERO, iteration: 0, iteration_in_scenario: 0 };
    if vu.start(cancel).await == Outcome::Completed {
        vu.iterate(start, cancel).await;
    }
    vu.stop(cancel).await;
    drop(vu);
    told(host.teardown(cancel).await).map(|_| ())
}

/// The value of a part, or none where it failed and the trace tells how.
fn told<T>(result: Result<T, VuError>) -> Result<Option<T>, String> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(VuError::Script(_) | VuError::Aborted(_)) => Ok(None),
        Err(other) => Err(format!("error: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_tests_where_a_function_is_called_so() {
        for (text, expected) in [
            ("fn test_a() {}", true),
            ("fn journey() {}\n  fn test_a_price(vu, data) {\n}", true),
            ("// fn test_a() {}", false),
            ("fn contest_a() {}", false),
            ("fn journey() { test_a(); }", false),
            ("let fn_test_a = 1;", false),
        ] {
            assert_eq!(has_tests(text), expected, "{text}");
        }
    }
}
