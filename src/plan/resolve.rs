//! From layers of options to a [`Plan`].
//!
//! Each option is the one given last; maps (`scenarios`, `thresholds`, `tags`, `hosts`) are merged by key. A scenario
//! that names its `executor` replaces an earlier one of its name, one that does not changes fields of it. The shorthands
//! `vus`, `duration`, `iterations`, `rate` and `stages` make the one scenario `default` where there are no `scenarios`; where
//! there are, those given later than them adjust them (the rule is in `adjust.rs`).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::adjust::{Adjustment, GRACE, set_duration, set_vus};
use super::error::PlanError;
use super::executors::{self, MAX_DURATION};
use super::fields::{Fields, Given, canonical};
use super::layer::{Layer, ScriptFacts, Source};
use super::scenario::counted;
use super::shapes::write_out;
use super::thresholds::{Thresholds, selects_scenario};
use super::{Executor, HttpOptions, Limits, Plan, Scenario, http, open, profile};
use crate::units;

/// Every option of a run, in `snake_case`.
pub const OPTIONS: &[&str] = &[
    "vus",
    "duration",
    "iterations",
    "rate",
    "stages",
    "scenarios",
    "scenario",
    "thresholds",
    "tags",
    "seed",
    "threads",
    "max_memory",
    "max_vu_memory",
    "max_script_time",
    "max_series",
    "setup_timeout",
    "teardown_timeout",
    "no_setup",
    "no_teardown",
    "allow_failure",
    "require_healthy",
    "profile",
    "time_scale",
];

/// Options of k6, and of the next version, that this one does not have: to be told apart from misspelt ones.
const NOT_YET: &[&str] = &[
    "cloud",
    "execution_segment",
    "execution_segment_sequence",
    "ext",
    "handle_summary_timeout",
    "linger",
    "min_iteration_duration",
    "paused",
    "rps",
    "summary_time_unit",
    "summary_trend_stats",
    "system_tags",
];

/// The most scenarios that a run can have.
const SCENARIOS_MAX: usize = 1_000;
/// The most VUs that a run can have.
const VUS_MAX: u64 = 1_000_000;
/// The most worker threads.
const THREADS_MAX: u64 = 1_024;
/// The name of the scenario that the shorthands make.
const SHORTHAND_SCENARIO: &str = "default";
const SHORTHANDS: &[&str] = &["stages", "iterations", "rate", "duration", "vus"];

/// Merges the layers into a plan.
///
/// # Errors
/// Everything that is wrong, not only the first.
pub fn resolve(layers: &[Layer], facts: &ScriptFacts) -> Result<Plan, Vec<PlanError>> {
    let mut given = Gathered::default();
    let mut sorted: Vec<&Layer> = layers.iter().collect();
    sorted.sort_by_key(|layer| layer.source);
    for layer in sorted {
        given.take(layer);
    }
    let Gathered { options, scenarios, scenarios_origin, mut thresholds, mut errors } = given;
    let profile = profile::requested(&options, &mut errors);
    let mut notes = Vec::new();
    let mut scenarios = match scenarios_origin {
        // Its load is replaced; what the shorthands would make of it is of no interest.
        None if profile.is_some() => {
            vec![shorthand(&Fields::default(), facts, &mut notes, &mut errors)].into_iter().flatten().collect()
        }
        None => vec![shorthand(&options, facts, &mut notes, &mut errors)].into_iter().flatten().collect(),
        Some(_) => scenarios
            .iter()
            .filter_map(|(name, fields)| executors::scenario(name, fields, facts, &mut errors))
            .collect::<Vec<Scenario>>(),
    };
    check_order(&scenarios, &mut errors);
    let removed = pick(&options, &mut scenarios, &mut notes, &mut errors);
    if let Some(profile) = profile {
        profile::apply(profile, &options, &mut scenarios, &mut thresholds, &mut errors);
    } else if let Some(base) = scenarios_origin {
        for name in SHORTHANDS {
            if let Some(origin) = options.origin(name).filter(|&origin| origin < base) {
                notes.push(format!("{} ignored: {base} has scenarios", origin.spell(name)));
            }
        }
        if errors.is_empty() {
            Adjustment { scenarios: &mut scenarios, notes: &mut notes, errors: &mut errors }.apply(&options, base);
        }
    }
    profile::scale_time(&options, &mut scenarios, &mut notes, &mut errors);
    check_scenarios(&scenarios, &mut errors);
    let mut thresholds = thresholds.into_options();
    thresholds.retain(|threshold| {
        let gone = removed.iter().find(|name| selects_scenario(&threshold.metric, name));
        if let Some(name) = gone {
            let text = format!("{}: {}", threshold.metric, threshold.expression);
            notes.push(format!("threshold `{text}` left out, as scenario `{name}` is not run"));
        }
        gone.is_none()
    });
    let plan = Plan { profile, ..read_plan(&options, scenarios, thresholds, notes, &mut errors) };
    if errors.is_empty() { Ok(plan) } else { Err(errors) }
}

/// The options of all layers, merged but not read.
#[derive(Default)]
struct Gathered {
    options: Fields,
    scenarios: Vec<(String, Fields)>,
    /// The first source that has scenarios.
    scenarios_origin: Option<Source>,
    thresholds: Thresholds,
    errors: Vec<PlanError>,
}

impl Gathered {
    fn take(&mut self, layer: &Layer) {
        let origin = layer.source;
        let mut map = layer.options.clone();
        map.retain(|name, value| match canonical(name, NOT_YET) {
            Some(_) if !value.is_null() => {
                self.errors.push(PlanError::NotSupported { what: format!("option `{name}`"), origin });
                false
            }
            _ => true,
        });
        let mut fields = Fields::default();
        fields.take(&map, origin, &[OPTIONS, http::OPTIONS].concat(), &mut self.errors);
        self.check_conflicts(&fields, origin);
        for (name, given) in fields.values {
            match name {
                "scenarios" => self.take_scenarios(given),
                "thresholds" => self.thresholds.take(&given, &mut self.errors),
                _ => self.merge(name, given),
            }
        }
    }

    fn check_conflicts(&mut self, fields: &Fields, origin: Source) {
        let mut conflict = |one: &str, other: &str, why| {
            if fields.origin(one).is_some() && fields.origin(other).is_some() {
                self.errors.push(PlanError::Conflict { one: one.into(), other: other.into(), origin, why });
            }
        };
        conflict("stages", "iterations", "stages say how many VUs there are, not how many iterations");
        conflict("stages", "duration", "the stages have their own durations");
        conflict("rate", "iterations", "a rate and a duration say how many iterations there are");
        conflict("rate", "stages", "give stages of VUs, or a scenario with `executor: \"ramping-arrival-rate\"`");
        for name in SHORTHANDS {
            conflict("scenarios", name, "put it into a scenario");
        }
    }

    /// A map is merged into the earlier one of its name, anything else takes its place.
    fn merge(&mut self, name: &'static str, given: Given) {
        match (self.options.values.get_mut(name), given) {
            (
                Some(Given { value: Value::Object(known), origin: known_origin }),
                Given { value: Value::Object(more), origin },
            ) => {
                known.extend(more);
                *known_origin = origin;
            }
            (_, given) => {
                self.options.values.insert(name, given);
            }
        }
    }

    fn take_scenarios(&mut self, given: Given) {
        let origin = given.origin;
        let Value::Object(map) = given.value else {
            let path = "scenarios".to_owned();
            let problem =
                "expected a map such as `#{ shop: #{ executor: \"constant-vus\", vus: 10, duration: \"30s\" } }`";
            return self.errors.push(PlanError::Value { path, origin, problem: problem.into() });
        };
        self.scenarios_origin.get_or_insert(origin);
        let known = executors::scenario_fields();
        for (name, value) in map {
            let Value::Object(fields) = value else {
                let problem = "expected a map of the scenario's fields".to_owned();
                self.errors.push(PlanError::Value { path: format!("scenarios.{name}"), origin, problem });
                continue;
            };
            if self.scenarios.len() >= SCENARIOS_MAX {
                let problem = format!("a run has at most {SCENARIOS_MAX} scenarios");
                return self.errors.push(PlanError::Value { path: "scenarios".into(), origin, problem });
            }
            let place = self.scenarios.iter().position(|(known, _)| *known == name);
            let place = place.unwrap_or_else(|| {
                let prefix = format!("scenarios.{name}.");
                self.scenarios.push((name, Fields { prefix, ..Fields::default() }));
                self.scenarios.len() - 1
            });
            let scenario = &mut self.scenarios[place].1;
            if fields.contains_key("executor") {
                scenario.values.clear();
            }
            scenario.take(&fields, origin, &known, &mut self.errors);
        }
    }
}

/// Keeps the scenarios that `scenario` names; gives the names of the others.
fn pick(
    options: &Fields,
    scenarios: &mut Vec<Scenario>,
    notes: &mut Vec<String>,
    errors: &mut Vec<PlanError>,
) -> Vec<String> {
    let Some(wanted) = options.texts("scenario", errors) else { return Vec::new() };
    let origin = options.origin("scenario").unwrap_or(Source::Default);
    let mut known = true;
    for name in wanted.iter().filter(|name| !scenarios.iter().any(|scenario| scenario.name == **name)) {
        known = false;
        let names = || scenarios.iter().map(|scenario| scenario.name.as_str());
        let hint = units::nearest(name, names()).map_or_else(
            || format!("expected one of {}", super::error::list(names())),
            |near| format!("did you mean `{near}`?"),
        );
        // A scenario that is wrong is not in the list; its own errors say so.
        if errors.is_empty() {
            errors.push(options.invalid("scenario", format!("there is no scenario `{name}`; {hint}")));
        }
    }
    if !known {
        return Vec::new();
    }
    let (kept, removed): (Vec<Scenario>, Vec<Scenario>) =
        scenarios.drain(..).partition(|scenario| wanted.contains(&scenario.name));
    *scenarios = kept;
    let removed: Vec<String> = removed.into_iter().map(|scenario| scenario.name).collect();
    for scenario in scenarios.iter_mut() {
        if let Some(other) = scenario.start_after.take_if(|other| removed.contains(other)) {
            notes.push(format!("scenario `{}` does not wait for `{other}`, as that is not run", scenario.name));
        }
    }
    if !removed.is_empty() {
        let names = super::error::list(removed.iter().map(String::as_str));
        notes.push(format!("not run, by {}: {names}", origin.spell("scenario")));
    }
    removed
}

/// The scenario that `vus`, `duration`, `iterations` and `stages` make.
fn shorthand(
    options: &Fields,
    facts: &ScriptFacts,
    notes: &mut Vec<String>,
    errors: &mut Vec<PlanError>,
) -> Option<Scenario> {
    let exec = executors::journey(SHORTHAND_SCENARIO, None, facts).map_err(|error| errors.push(error)).ok();
    let executor = shorthand_executor(options, notes, errors)?;
    Some(Scenario {
        name: SHORTHAND_SCENARIO.into(),
        exec: exec?,
        mix: Vec::new(),
        executor,
        start_time: Duration::ZERO,
        start_after: None,
        max_rate: None,
        graceful_stop: GRACE,
        env: BTreeMap::new(),
        tags: BTreeMap::new(),
    })
}

fn shorthand_executor(options: &Fields, notes: &mut Vec<String>, errors: &mut Vec<PlanError>) -> Option<Executor> {
    let origin = |name: &str| options.origin(name);
    let mut ignore = |name: &str, by: &str| {
        if let (Some(lower), Some(higher)) = (origin(name), origin(by)) {
            notes.push(format!("{} ignored, because of {}", lower.spell(name), higher.spell(by)));
        }
    };
    // Of two that shape the load differently, the one given last counts.
    if origin("rate").is_some() && origin("rate") >= origin("stages").max(origin("iterations")) {
        ignore("stages", "rate");
        ignore("iterations", "rate");
        return open::shorthand(options, SHORTHAND_SCENARIO, notes, errors);
    }
    let by_stages = origin("stages").is_some() && origin("stages") >= origin("iterations");
    ignore("rate", if by_stages { "stages" } else { "iterations" });
    if by_stages {
        ignore("iterations", "stages");
        if origin("duration") < origin("stages") {
            ignore("duration", "stages");
        }
        let stages = options.stages("stages", errors)?;
        let vus = options.count_u32("vus", errors);
        let vus_later = origin("vus") > origin("stages");
        let start_vus = vus.filter(|_| !vus_later).unwrap_or(1);
        let stages = write_out(start_vus, &stages);
        let mut executor = Executor::RampingVus { start_vus, stages, graceful_ramp_down: GRACE };
        if executor.vus_max() == 0 {
            errors.push(options.invalid("stages", "no stage has a target above 0"));
            return None;
        }
        if let (Some(origin), Some(vus), true) = (origin("vus"), vus, vus_later) {
            let before = executor.vus_max();
            if vus == 0 {
                errors.push(options.invalid("vus", "expected at least 1 VU, found 0"));
            } else {
                set_vus(&mut executor, vus);
                if before != vus {
                    notes.push(format!("{before} VUs of the stages scaled to {vus} by {}", origin.spell("vus")));
                }
            }
        }
        if let Some(origin) = origin("duration").filter(|_| origin("duration") > origin("stages")) {
            let wanted = executors::span("duration", options, errors)?;
            let before = executor.duration();
            if set_duration(&mut executor, wanted) {
                if before != wanted {
                    let (before, after) = (super::scenario::span(before), super::scenario::span(wanted));
                    notes.push(format!("{before} of stages scaled to {after} by {}", origin.spell("duration")));
                }
            } else {
                let problem = "the stages take no time, so there is nothing to scale".into();
                errors.push(PlanError::Override { option: origin.spell("duration"), problem });
            }
        }
        return Some(executor);
    }
    ignore("stages", "iterations");
    let vus = executors::vus(options, errors);
    if origin("iterations").is_some() {
        let iterations = executors::iterations(options, errors);
        let max_duration = executors::span("duration", options, errors).unwrap_or(MAX_DURATION);
        let fewer = u32::try_from(iterations).unwrap_or(u32::MAX).min(vus);
        let from_two_sources = origin("vus") != origin("iterations");
        if fewer < vus && from_two_sources {
            notes.push(format!("{vus} VUs cut to {fewer}, as there are only {}", counted(iterations, "iteration")));
        }
        let vus = if from_two_sources { fewer } else { vus };
        return Some(Executor::SharedIterations { vus, iterations, max_duration });
    }
    if origin("duration").is_some() {
        return Some(Executor::ConstantVus { vus, duration: executors::span("duration", options, errors)? });
    }
    if origin("vus").is_some() && vus > 1 {
        notes.push(format!("{vus} VUs make one iteration each; give `duration` or `iterations` for more"));
        return Some(Executor::PerVuIterations { vus, iterations: 1, max_duration: MAX_DURATION });
    }
    Some(Executor::SharedIterations { vus: 1, iterations: 1, max_duration: MAX_DURATION })
}

/// Scenarios that wait for another must name one that is there, and not wait in a circle.
fn check_order(scenarios: &[Scenario], errors: &mut Vec<PlanError>) {
    let find = |name: &str| scenarios.iter().find(|scenario| scenario.name == name);
    // A scenario that is wrong is not in the list; its own errors come first.
    if !errors.is_empty() {
        return;
    }
    for scenario in scenarios {
        let fail = |problem: String| PlanError::Journey { scenario: scenario.name.clone(), problem };
        let mut chain = vec![scenario.name.as_str()];
        let mut at = scenario;
        while let Some(before) = &at.start_after {
            let Some(next) = find(before) else {
                if std::ptr::eq(at, scenario) {
                    let names = scenarios.iter().map(|other| other.name.as_str()).filter(|name| *name != scenario.name);
                    let hint = units::nearest(before, names.clone()).map_or_else(
                        || format!("expected one of {}", super::error::list(names)),
                        |near| format!("did you mean `{near}`?"),
                    );
                    errors.push(fail(format!("`start_after`: there is no scenario `{before}`; {hint}")));
                }
                break;
            };
            chain.push(&next.name);
            if next.name == scenario.name {
                let circle = super::error::list(chain.iter().copied());
                errors.push(fail(format!("`start_after`: scenarios wait for each other in a circle: {circle}")));
                break;
            }
            // A circle further on is an error of the scenarios in it.
            if chain.len() > scenarios.len() {
                break;
            }
            at = next;
        }
    }
}

/// What must hold for the scenarios as they will be run.
fn check_scenarios(scenarios: &[Scenario], errors: &mut Vec<PlanError>) {
    for scenario in scenarios {
        if let Some(problem) = open::check(&scenario.executor) {
            errors.push(PlanError::Journey { scenario: scenario.name.clone(), problem });
        }
        if let Executor::SharedIterations { vus, iterations, .. } = scenario.executor
            && iterations < u64::from(vus)
        {
            let (iterations, vus) = (counted(iterations, "iteration"), counted(vus, "VU"));
            let problem = format!("{iterations} for {vus}; expected at least one for each VU");
            errors.push(PlanError::Journey { scenario: scenario.name.clone(), problem });
        }
    }
    let vus: u64 = scenarios.iter().map(|scenario| u64::from(scenario.executor.vus_max())).sum();
    if vus > VUS_MAX {
        errors.push(PlanError::Load(format!("the scenarios have {vus} VUs in all, a run can have at most {VUS_MAX}")));
    }
    if scenarios.is_empty() && errors.is_empty() {
        errors.push(PlanError::Load("expected at least one scenario, found none".into()));
    }
}

fn read_plan(
    options: &Fields,
    scenarios: Vec<Scenario>,
    thresholds: Vec<super::ThresholdOption>,
    notes: Vec<String>,
    errors: &mut Vec<PlanError>,
) -> Plan {
    let o = options;
    let limits = Limits::DEFAULT;
    let threads = o.count("threads", errors).unwrap_or(1);
    if threads == 0 || threads > THREADS_MAX {
        errors.push(o.invalid("threads", format!("expected 1 to {THREADS_MAX} threads, found {threads}")));
    }
    let max_series = o.count("max_series", errors).unwrap_or(limits.max_series as u64);
    if max_series == 0 {
        errors.push(o.invalid("max_series", "expected at least 1, found 0"));
    }
    Plan {
        scenarios,
        thresholds,
        tags: o.text_map("tags", errors),
        seed: o.count("seed", errors).unwrap_or_default(),
        threads: usize::try_from(threads).unwrap_or(1),
        http: HttpOptions::default().read(o, errors),
        limits: Limits {
            max_memory: o.bytes("max_memory", errors).unwrap_or(limits.max_memory),
            max_vu_memory: o.bytes("max_vu_memory", errors).unwrap_or(limits.max_vu_memory),
            max_script_time: executors::span("max_script_time", o, errors).unwrap_or(limits.max_script_time),
            max_series: usize::try_from(max_series).unwrap_or(usize::MAX),
        },
        setup_timeout: executors::span("setup_timeout", o, errors).unwrap_or(Plan::SETUP_TIMEOUT),
        teardown_timeout: executors::span("teardown_timeout", o, errors).unwrap_or(Plan::TEARDOWN_TIMEOUT),
        no_setup: o.flag("no_setup", errors).unwrap_or(false),
        no_teardown: o.flag("no_teardown", errors).unwrap_or(false),
        allow_failure: o.flag("allow_failure", errors).unwrap_or(false),
        require_healthy: o.flag("require_healthy", errors).unwrap_or(false),
        profile: None,
        notes,
    }
}
