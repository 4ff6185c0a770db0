//! Everything about a script that can be known without traffic: what its text tells ([`crate::script::check`]), what its
//! init does, whether its options make a plan, whether its thresholds can be judged. All mistakes at once.
//!
//! A run begins with the same, and goes on where there are no errors.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::event::Warning;
use crate::metric::threshold::Threshold;
use crate::net;
use crate::plan::{self, Layer, Plan, PlanError, ScriptFacts, Source};
use crate::script::check::options::{OptionPlaces, Spot};
use crate::script::check::rules::{self, Rule};
use crate::script::check::{self, Analysis, Facts};
use crate::script::engine::read_script;
use crate::script::error::{Diagnostic, Note, Place, Severity, Sources};
use crate::script::host::{Script, ScriptSpec};
use crate::script::source::FilesRead;

/// What is to be checked.
pub struct CheckSpec {
    /// The script's path.
    pub path: String,
    /// Its text, where it comes from elsewhere than the file of that path.
    pub text: Option<Arc<str>>,
    /// Options from the config file, the environment and the flags.
    pub layers: Vec<Layer>,
    /// Variables for `env`.
    pub env: BTreeMap<String, String>,
    /// Whether it is a file that scripts import: it needs no journey, and has no options.
    pub is_library: bool,
}

/// What a check has found.
#[derive(Debug)]
pub struct Checked {
    /// The mistakes, by file (the script's own first) and place.
    pub diagnostics: Vec<Diagnostic>,
    /// The texts that they quote.
    pub sources: Sources,
    /// The files that were looked at: the script and what it imports.
    pub files: Vec<String>,
}

/// Checks a script. Nothing is requested and nothing is printed; its init runs.
#[must_use]
pub fn check(spec: CheckSpec) -> Checked {
    let script = ScriptSpec {
        path: spec.path,
        env: spec.env,
        seed: super::seed_of(&spec.layers).unwrap_or(1),
        log: Arc::new(|_| {}),
        max_memory: super::init_memory(&spec.layers),
    };
    let how = Opening { text: spec.text, analyse: true, is_library: spec.is_library, files: FilesRead::default() };
    let opened = open(script, &how);
    let judged = if spec.is_library { Judged::of(opened) } else { opened.resolve(spec.layers, 1) };
    let Judged { mut analysis, sources, .. } = judged;
    check::sort(&mut analysis.diagnostics, &analysis.files);
    Checked { diagnostics: analysis.diagnostics, sources, files: analysis.files }
}

/// A script that was read and looked through, and whose init has run.
pub(super) struct Opened {
    /// The script, if its init went through.
    pub script: Option<Script>,
    pub analysis: Analysis,
    pub sources: Sources,
}

/// How a script is opened.
#[derive(Clone)]
pub(super) struct Opening {
    /// Its text, where it comes from elsewhere than the file of its path.
    pub text: Option<Arc<str>>,
    /// Whether it is looked through for mistakes.
    pub analyse: bool,
    /// Whether it is a file that scripts import.
    pub is_library: bool,
    /// Where the files are noted that it wants.
    pub files: FilesRead,
}

/// Reads a script, looks through it if it is to be analysed, and runs its init.
pub(super) fn open(spec: ScriptSpec, how: &Opening) -> Opened {
    let is_library = how.is_library;
    let sources = Sources::default();
    let mut analysis = Analysis::default();
    let path = spec.path.clone();
    how.files.note(Path::new(&path));
    match &how.text {
        Some(text) => sources.insert(&path, text.clone()),
        None => {
            if let Err(diagnostic) = read_script(&path, &sources) {
                analysis.diagnostics.push(Diagnostic { code: rules::UNREADABLE_FILE.code, ..*diagnostic });
                return Opened { script: None, analysis, sources };
            }
        }
    }
    let again = ScriptSpec {
        path: spec.path.clone(),
        env: spec.env.clone(),
        seed: spec.seed,
        log: spec.log.clone(),
        max_memory: spec.max_memory,
    };
    let started = Script::start(spec, how.files.clone(), sources.clone(), |prepared, shared| {
        if how.analyse {
            let facts = Facts {
                env: Some(&shared.env).filter(|_| !is_library),
                base_dir: Some(shared.base_dir.as_path()).filter(|_| !is_library),
                is_library,
            };
            analysis = check::analyse(prepared.engine(), &sources, &path, &facts);
            for file in analysis.files.iter().filter(|file| !file.starts_with("std/")) {
                how.files.note(Path::new(file));
            }
            analysis.data_files.iter().for_each(|file| how.files.note(file));
        }
    });
    let script = match started {
        Ok(script) => Some(script),
        // Without its variables an init may fail anywhere, and it is told that they are missing. Its options are looked
        // at all the same, if it gets that far with empty ones.
        Err(_) if !analysis.missing_env.is_empty() && !analysis.is_broken() => {
            let mut spec = again;
            spec.env.extend(analysis.missing_env.iter().map(|name| (name.clone(), String::new())));
            Script::start(spec, how.files.clone(), sources.clone(), |_, _| {}).ok()
        }
        Err(diagnostic) => {
            let is_known = analysis.is_broken()
                || analysis.diagnostics.iter().any(|known| {
                    let same_line =
                        known.place.source == diagnostic.place.source && known.place.line == diagnostic.place.line;
                    known.severity == Severity::Error && (same_line || known.message == diagnostic.message)
                });
            // What a library does when it is imported may depend on the script that does.
            if !is_known && !is_library {
                let mut diagnostic = Diagnostic { code: rules::INIT_FAILED.code, ..*diagnostic };
                if let (0, true, Some(spot)) =
                    (diagnostic.place.line, diagnostic.message.starts_with("`options`"), analysis.options.find(""))
                {
                    diagnostic = Diagnostic {
                        code: rules::INVALID_OPTION.code,
                        place: spot.place,
                        length: spot.length,
                        ..diagnostic
                    };
                }
                analysis.diagnostics.push(diagnostic);
            }
            None
        }
    };
    Opened { script, analysis, sources }
}

/// A script with what came of its options.
pub(super) struct Judged {
    script: Option<Script>,
    plan: Option<Plan>,
    thresholds: Vec<Threshold>,
    analysis: Analysis,
    sources: Sources,
}

impl Opened {
    /// Merges the options of all layers, and parses the thresholds.
    pub fn resolve(self, mut layers: Vec<Layer>, seed: u64) -> Judged {
        let mut judged = Judged::of(self);
        let Some(script) = &judged.script else { return judged };
        // Before all others: whoever starts a run may have defaults of their own.
        layers.insert(0, Layer { source: Source::Default, options: super::defaults(seed) });
        layers.push(Layer { source: Source::Script, options: script.options.clone() });
        let facts = ScriptFacts { functions: script.functions.clone() };
        let places = &judged.analysis.options;
        match plan::resolve(&layers, &facts) {
            Err(errors) => {
                let mut found: Vec<Diagnostic> =
                    errors.iter().map(|error| of_plan_error(error, places, script.name())).collect();
                judged.analysis.diagnostics.append(&mut found);
            }
            Ok(plan) => {
                for (option, problem) in net::tls::problems(&plan.http.tls) {
                    let origin = layers.iter().filter(|layer| layer.gives(option)).map(|layer| layer.source).max();
                    let origin = origin.unwrap_or(Source::Script);
                    let error = PlanError::Value { path: option.to_owned(), origin, problem };
                    judged.analysis.diagnostics.push(of_plan_error(&error, places, script.name()));
                }
                let (thresholds, mut found) = thresholds(&plan, script, &layers, places);
                judged.analysis.diagnostics.append(&mut found);
                judged.thresholds = thresholds;
                judged.plan = Some(plan);
            }
        }
        judged
    }
}

/// How many warnings a run tells before it begins.
const WARNINGS_MAX: usize = 3;

impl Judged {
    fn of(opened: Opened) -> Self {
        let Opened { script, analysis, sources } = opened;
        Self { script, plan: None, thresholds: Vec::new(), analysis, sources }
    }

    /// What a run says of the warnings, in short.
    pub fn warnings(&self) -> Vec<Warning> {
        let warnings: Vec<&Diagnostic> =
            self.analysis.diagnostics.iter().filter(|found| found.severity == Severity::Warning).collect();
        let mut told: Vec<Warning> = warnings
            .iter()
            .take(WARNINGS_MAX)
            .map(|found| Warning { message: found.headline(), hint: found.hint.clone().unwrap_or_default() })
            .collect();
        if let (Some(left), Some(name)) = (warnings.len().checked_sub(WARNINGS_MAX + 1), self.analysis.files.first()) {
            let message = format!("{} more about the script", left + 1);
            told.push(Warning { message, hint: format!("`loadr check {name}` tells them all") });
        }
        told
    }

    /// What a run needs, if there are no errors.
    pub fn accept(mut self) -> Result<(Script, Plan, Vec<Threshold>), Refusal> {
        check::sort(&mut self.analysis.diagnostics, &self.analysis.files);
        let is_wrong = self.analysis.diagnostics.iter().any(|found| found.severity == Severity::Error);
        match (self.script, self.plan) {
            (Some(script), Some(plan)) if !is_wrong => Ok((script, plan, self.thresholds)),
            _ => Err(Refusal::of(self.analysis, self.sources)),
        }
    }
}

/// Why a script is not run.
#[derive(Debug)]
pub struct Refusal {
    /// Its errors.
    pub errors: Vec<Diagnostic>,
    sources: Sources,
}

impl Refusal {
    pub(super) fn of(analysis: Analysis, sources: Sources) -> Self {
        let errors = analysis.diagnostics.into_iter().filter(|found| found.severity == Severity::Error).collect();
        Self { errors, sources }
    }

    /// Whether the script itself is wrong, not only its options.
    #[must_use]
    pub fn is_script(&self) -> bool {
        self.errors.iter().any(is_about_script)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.errors.iter().map(|error| error.render(&self.sources)).collect();
        f.write_str(&texts.join("\n"))
    }
}

/// Whether an error is about the script itself, not about its options.
#[must_use]
pub fn is_about_script(error: &Diagnostic) -> bool {
    let of_options = [
        rules::UNKNOWN_OPTION,
        rules::INVALID_OPTION,
        rules::CONFLICTING_OPTIONS,
        rules::UNKNOWN_JOURNEY,
        rules::INVALID_THRESHOLD,
    ];
    !of_options.iter().any(|rule| rule.code == error.code)
}

fn of_plan_error(error: &PlanError, places: &OptionPlaces, script: &str) -> Diagnostic {
    let (rule, path, origin): (&Rule, String, Source) = match error {
        PlanError::UnknownOption { path, origin, .. } => (rules::UNKNOWN_OPTION, path.clone(), *origin),
        PlanError::Twice { path, origin } => (rules::CONFLICTING_OPTIONS, path.clone(), *origin),
        PlanError::Type { path, origin, .. }
        | PlanError::Unit { path, origin, .. }
        | PlanError::Value { path, origin, .. } => (rules::INVALID_OPTION, path.clone(), *origin),
        PlanError::Conflict { one, origin, .. } => (rules::CONFLICTING_OPTIONS, one.clone(), *origin),
        PlanError::NotSupported { what, origin } => {
            let name = what.split('`').nth(1).unwrap_or_default();
            (rules::UNKNOWN_OPTION, name.to_owned(), *origin)
        }
        PlanError::Missing { scenario, .. } => (rules::INVALID_OPTION, format!("scenarios.{scenario}"), Source::Script),
        PlanError::Journey { scenario, problem } => {
            let is_function = problem.contains("function");
            let rule = if is_function { rules::UNKNOWN_JOURNEY } else { rules::INVALID_OPTION };
            (rule, format!("scenarios.{scenario}.exec"), Source::Script)
        }
        PlanError::Load(_) => (rules::INVALID_OPTION, String::new(), Source::Script),
        PlanError::Override { .. } => (rules::INVALID_OPTION, String::new(), Source::Flag),
    };
    let spot = if origin == Source::Script { places.find(&path) } else { None };
    let mut diagnostic = placed(rule, error.to_string(), spot, script, origin);
    if let PlanError::Conflict { other, origin: Source::Script, .. } = error
        && let Some(spot) = places.find(other)
    {
        diagnostic.notes.push(Note { message: "the other is here".into(), place: Some(spot.place) });
    }
    diagnostic
}

/// A diagnostic at its key; else, where the script has said it, about the script; else about no file.
fn placed(rule: &Rule, message: String, spot: Option<Spot>, script: &str, origin: Source) -> Diagnostic {
    let (place, length) = match spot {
        Some(spot) => (spot.place, spot.length),
        None => {
            let source = if origin == Source::Script { script.to_owned() } else { String::new() };
            (Place { source, line: 0, column: 0 }, 0)
        }
    };
    Diagnostic { severity: rule.severity, code: rule.code, length, ..Diagnostic::error(message, place) }
}

/// The thresholds, and what is wrong with those that can't be judged.
fn thresholds(
    plan: &Plan,
    script: &Script,
    layers: &[Layer],
    places: &OptionPlaces,
) -> (Vec<Threshold>, Vec<Diagnostic>) {
    let tags: Vec<&str> = plan
        .tags
        .keys()
        .chain(plan.scenarios.iter().flat_map(|scenario| scenario.tags.keys()))
        .map(String::as_str)
        .collect();
    let mut parsed = Vec::new();
    let mut errors = Vec::new();
    for option in &plan.thresholds {
        match Threshold::parse(&option.metric, &option.expression, &script.catalogue, &tags) {
            Ok(mut threshold) => {
                threshold.abort_on_fail = option.abort_on_fail;
                threshold.delay_abort_eval = option.delay_abort_eval;
                parsed.push(threshold);
            }
            Err(error) => {
                let of_script = |layer: &&Layer| layer.source == Source::Script;
                let given = layers.iter().filter(of_script).any(|layer| {
                    let map = layer.options.get("thresholds").and_then(|thresholds| thresholds.as_object());
                    map.is_some_and(|map| map.contains_key(&option.metric))
                });
                let path = format!("thresholds.{}", option.metric);
                let (spot, origin) = if given { (places.find(&path), Source::Script) } else { (None, Source::Flag) };
                errors.push(placed(rules::INVALID_THRESHOLD, error.to_string(), spot, script.name(), origin));
            }
        }
    }
    (parsed, errors)
}
