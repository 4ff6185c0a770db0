//! One run from start to finish: the only place where the script, the engine, the outputs and the demo server meet.
//!
//! [`Session::prepare`] does all that can be done without load: it reads the script, merges the options, parses the
//! thresholds, checks the outputs. [`Session::run`] runs it. Printing and exit codes are the command line's business.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::demo::{self, DemoConfig};
use crate::engine::{self, Control, EngineError, RunOutcome, RunSpec};
use crate::event::{LogLevel, LogLine, RunEvent, Warning};
use crate::metric::sample::Wants;
use crate::metric::threshold::Threshold;
use crate::output::{self, Fanout, Named, OutputError};
use crate::plan::{Layer, Part, Plan};
use crate::report::{Report, RunInfo};
use crate::script::context::LogSink;
use crate::script::host::{Script, ScriptSpec};
use crate::trace::redact;
use crate::units;

pub mod check;
mod preflight;
mod rehearsal;
pub mod trial;

use check::Refusal;
use preflight::Bounds;
pub use rehearsal::Rehearsal;

/// What a run is made of.
pub struct SessionSpec {
    /// The script's path.
    pub script: String,
    /// Options from the config file, the environment and the flags. Those of the script are added.
    pub layers: Vec<Layer>,
    /// Variables for `env`.
    pub env: BTreeMap<String, String>,
    /// Start a demo server, and give its address as `BASE_URL` unless `env` has one.
    pub demo: bool,
    /// Who takes the events.
    pub outputs: Vec<Named>,
    /// The command line, to be told in the report.
    pub args: Vec<String>,
    /// Tell lines of the level `debug` too.
    pub verbose: bool,
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The script, its options or its thresholds are wrong: everything that is.
    #[error("{0}")]
    Refused(Refusal),
    /// An output can't do its work.
    #[error("error: {0}")]
    Output(#[from] OutputError),
    /// The demo server can't be started.
    #[error("error: can't start the demo server: {0}")]
    Demo(std::io::Error),
    /// The engine can't begin.
    #[error("{0}")]
    Engine(EngineError),
}

/// Takes what there is to tell: before the outputs run it is kept.
struct Announcer(Mutex<Announcing>);

enum Announcing {
    Early(Vec<RunEvent>),
    Running(Fanout),
    Over,
}

/// The most lines that are kept before the outputs run: a script's init may print without end.
const EARLY_MAX: usize = 1_000;

impl Announcer {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Announcing::Early(Vec::new()))))
    }

    fn tell(&self, event: RunEvent) {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Announcing::Early(kept) if kept.len() < EARLY_MAX => kept.push(event),
            Announcing::Early(_) | Announcing::Over => {}
            Announcing::Running(fanout) => {
                fanout.send(&event);
                // Whoever watches was told; what still counts at the end is told there again.
                fanout.take_told();
            }
        }
    }

    /// The report with what outputs have lost so far: it belongs to those who read their files later.
    fn with_losses(&self, report: Arc<Report>) -> Arc<Report> {
        let losses = match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Announcing::Running(fanout) => fanout.losses(),
            Announcing::Early(_) | Announcing::Over => Vec::new(),
        };
        if losses.is_empty() {
            return report;
        }
        let mut report = Arc::unwrap_or_clone(report);
        report.warnings.extend(losses.into_iter().map(|loss| format!("{}; {}", loss.message, loss.hint)));
        Arc::new(report)
    }

    fn start(&self, outputs: Vec<Named>) -> Result<(), OutputError> {
        let fanout = Fanout::start(outputs)?;
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *state, Announcing::Running(fanout));
        if let (Announcing::Early(kept), Announcing::Running(fanout)) = (before, &mut *state) {
            kept.iter().for_each(|event| fanout.send(event));
        }
        Ok(())
    }

    fn finish(&self, patience: Duration) -> output::Ending {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, Announcing::Over) {
            Announcing::Running(fanout) => fanout.finish(patience),
            Announcing::Early(_) | Announcing::Over => output::Ending::default(),
        }
    }
}

/// How long outputs may take at most to write what they hold when the run is over; most ask for less.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(60);

/// A run that is ready to begin.
pub struct Session {
    script: Script,
    plan: Plan,
    thresholds: Vec<Threshold>,
    outputs: Vec<Named>,
    announcer: Arc<Announcer>,
    demo: Option<demo::Server>,
    info: RunInfo,
    rehearsal: Option<Rehearsal>,
}

/// A run that has ended.
pub struct SessionEnd {
    /// How it ended, with its report.
    pub outcome: RunOutcome,
    /// What the outputs have to say: what they lost, which of them failed.
    pub outputs: output::Ending,
}

impl Session {
    /// Does all that can be done without load.
    ///
    /// # Errors
    /// When the script, an option, a threshold or an output is not what it must be.
    pub fn prepare(spec: SessionSpec) -> Result<Self, SessionError> {
        Self::prepared(spec, None, true)
    }

    /// The same, without looking through the script for mistakes before it is loaded.
    ///
    /// # Errors
    /// When the script, an option, a threshold or an output is not what it must be.
    pub fn prepare_unchecked(spec: SessionSpec) -> Result<Self, SessionError> {
        Self::prepared(spec, None, false)
    }

    fn prepared(mut spec: SessionSpec, rehearsal: Option<Rehearsal>, analyse: bool) -> Result<Self, SessionError> {
        let demo = if spec.demo {
            Some(demo::Server::start(DemoConfig::default()).map_err(SessionError::Demo)?)
        } else {
            None
        };
        if let Some(demo) = &demo {
            spec.env.entry("BASE_URL".into()).or_insert_with(|| demo.base_url());
        }
        let announcer = Announcer::new();
        let verbose = spec.verbose;
        let drawn = fastrand::u64(..=u64::from(u32::MAX));
        let max_memory = init_memory(&spec.layers);
        let script_spec = |seed| {
            let teller = announcer.clone();
            let log: LogSink = match &rehearsal {
                Some(rehearsal) => rehearsal.log(),
                None => Arc::new(move |line: LogLine| {
                    if line.level > LogLevel::Debug || verbose {
                        teller.tell(RunEvent::Log(line));
                    }
                }),
            };
            ScriptSpec { max_memory, path: spec.script.clone(), env: spec.env.clone(), seed, log }
        };
        let files = rehearsal.as_ref().map(|rehearsal| rehearsal.files.clone()).unwrap_or_default();
        let how = check::Opening { text: None, analyse, is_library: false, files };
        let opened = check::open(script_spec(seed_of(&spec.layers).unwrap_or(drawn)), &how);
        let judged = opened.resolve(std::mem::take(&mut spec.layers), drawn);
        for warning in judged.warnings() {
            match &rehearsal {
                Some(rehearsal) => rehearsal.warn(&warning),
                None => announcer.tell(RunEvent::Warning(warning)),
            }
        }
        let (mut script, plan, thresholds) = judged.accept().map_err(SessionError::Refused)?;
        if plan.seed != script.seed() {
            // The script chose the seed of its own random choices: its init has to make them with it.
            let how = check::Opening { analyse: false, ..how };
            let opened = check::open(script_spec(plan.seed), &how);
            script =
                opened.script.ok_or_else(|| SessionError::Refused(Refusal::of(opened.analysis, opened.sources)))?;
        }
        output::check_all(&mut spec.outputs)?;
        let info = RunInfo {
            id: uuid::Uuid::new_v4().to_string(),
            script: spec.script,
            seed: plan.seed,
            loadr_version: env!("CARGO_PKG_VERSION").into(),
            args: redacted(spec.args),
            ..RunInfo::default()
        };
        Ok(Self { script, plan, thresholds, outputs: spec.outputs, announcer, demo, info, rehearsal })
    }

    /// The plan. Whether it fits the machine is looked at, and told, when it is run.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs it, and blocks until it has ended.
    ///
    /// # Errors
    /// When it can't begin.
    pub fn run(mut self, control: Control) -> Result<SessionEnd, SessionError> {
        let samples = self.outputs.iter().fold(Wants::NOTHING, |all, named| all.or(named.output.wants_samples()));
        let reports = self.outputs.iter().any(|named| named.output.wants_reports());
        self.announcer.start(self.outputs)?;
        for note in &self.plan.notes {
            self.announcer.tell(RunEvent::Warning(Warning { message: note.clone(), hint: String::new() }));
        }
        for warning in preflight::warnings(&self.plan, &Bounds::of_this_machine()) {
            // The report tells it as one of the notes.
            self.plan.notes.push(format!("{}; {}", warning.message, warning.hint));
            self.announcer.tell(RunEvent::Warning(warning));
        }
        let max_memory = match self.plan.limits.max_memory {
            0 => memory_to_use(),
            given => given,
        };
        let catalogue = self.script.catalogue.clone();
        let factory = self.script.into_factory(&self.plan, max_memory);
        let factory = Arc::new(match self.rehearsal {
            Some(rehearsal) => factory.with_roots(rehearsal.roots).traced(rehearsal.tracing),
            None => factory,
        });
        let spec = RunSpec {
            plan: Arc::new(self.plan),
            catalogue,
            thresholds: self.thresholds,
            info: RunInfo { started_at: jiff::Timestamp::now().to_string(), ..self.info },
            part: Part::WHOLE,
            samples,
            reports,
        };
        let announcer = self.announcer.clone();
        let mut report = None;
        let outcome = engine::run(spec, factory, control, &mut |event| match event {
            RunEvent::Ended(ended) => {
                let told = announcer.with_losses(ended);
                report = Some(told.clone());
                announcer.tell(RunEvent::Ended(told));
            }
            event => announcer.tell(event),
        });
        let outcome = outcome.map(|outcome| RunOutcome { report: report.unwrap_or(outcome.report), ..outcome });
        let outputs = self.announcer.finish(OUTPUT_PATIENCE);
        drop(self.demo);
        Ok(SessionEnd { outcome: outcome.map_err(SessionError::Engine)?, outputs })
    }
}

/// What a layer above the script gives for an option.
fn given<'a>(layers: &'a [Layer], option: &str) -> Option<&'a Value> {
    layers
        .iter()
        .filter(|layer| layer.options.contains_key(option))
        .max_by_key(|layer| layer.source)?
        .options
        .get(option)
}

/// The seed that a layer above the script gives.
fn seed_of(layers: &[Layer]) -> Option<u64> {
    given(layers, "seed").and_then(|seed| match seed {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    })
}

/// The memory that a script's init may hold: what a layer above the script gives for all scripts, else what there is.
fn init_memory(layers: &[Layer]) -> u64 {
    let given = given(layers, "max_memory").and_then(|bound| match bound {
        Value::String(text) => units::parse_bytes(text).ok(),
        other => other.as_u64(),
    });
    given.filter(|&bound| bound > 0).unwrap_or_else(memory_to_use)
}

fn defaults(seed: u64) -> Map<String, Value> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Map::from_iter([("seed".to_owned(), seed.into()), ("threads".to_owned(), threads.into())])
}

/// How much memory scripts may hold when nobody says: three quarters of what there is.
fn memory_to_use() -> u64 {
    memory_available().unwrap_or(4 << 30) / 4 * 3
}

/// Bytes of memory that the machine, or the container, has left; none where that is not known.
fn memory_available() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    });
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(container).min()
}

/// Words in a variable's name that make its value a secret, besides those of [`redact`].
const SECRET_WORDS: [&str; 3] = ["pass", "key", "auth"];

/// The command line without the values of variables that look like secrets.
fn redacted(args: Vec<String>) -> Vec<String> {
    let secret =
        |name: &str| redact::is_secret(name) || SECRET_WORDS.iter().any(|word| name.to_lowercase().contains(word));
    let mut follows_secret = false;
    args.into_iter()
        .map(|arg| {
            let value_of_secret = std::mem::replace(&mut follows_secret, false);
            match arg.split_once('=') {
                _ if value_of_secret => "***".into(),
                Some((name, _)) if secret(name) => format!("{name}=***"),
                Some(_) => output::spec::shown(&arg),
                None if arg.starts_with("--") && secret(&arg) => {
                    follows_secret = true;
                    arg
                }
                _ => arg,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_told() {
        let args = [
            "run",
            "-e",
            "PASSWORD=a=b",
            "--tag=team=x",
            "-eApiKey=1",
            "--control-token",
            "t",
            "BASE=http://x",
            "csv=x?token=t",
        ];
        let shown = redacted(args.map(str::to_owned).to_vec());
        assert_eq!(
            shown,
            [
                "run",
                "-e",
                "PASSWORD=***",
                "--tag=team=x",
                "-eApiKey=***",
                "--control-token",
                "***",
                "BASE=http://x",
                "csv=x?token=***"
            ]
        );
    }
}
