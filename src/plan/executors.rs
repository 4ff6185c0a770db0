//! The table of executors as options see them, and the reading of one scenario.

use std::time::Duration;

use super::adjust::GRACE;
use super::error::{PlanError, list};
use super::fields::Fields;
use super::layer::{DEFAULT_JOURNEY, JOURNEY_PARAMS_MAX, LIFECYCLE, ScriptFacts};
use super::shapes::write_out;
use super::{Executor, Scenario, Weighted, open};
use crate::units;

/// An executor as options see it.
pub(super) struct ExecutorOptions {
    /// k6's name.
    pub name: &'static str,
    /// Its own fields, besides those that every scenario has.
    pub fields: &'static [&'static str],
    /// How its fields become an [`Executor`]; none for those that this version does not have.
    read: Option<Read>,
}

/// Reads the fields of the scenario of that name.
type Read = fn(&Fields, &str, &mut Vec<PlanError>) -> Option<Executor>;

/// Every executor that k6 has.
pub(super) const EXECUTORS: &[ExecutorOptions] = &[
    ExecutorOptions {
        name: "shared-iterations",
        fields: &["vus", "iterations", "max_duration"],
        read: Some(shared_iterations),
    },
    ExecutorOptions {
        name: "per-vu-iterations",
        fields: &["vus", "iterations", "max_duration"],
        read: Some(per_vu_iterations),
    },
    ExecutorOptions { name: "constant-vus", fields: &["vus", "duration"], read: Some(constant_vus) },
    ExecutorOptions {
        name: "ramping-vus",
        fields: &["start_vus", "stages", "graceful_ramp_down"],
        read: Some(ramping_vus),
    },
    ExecutorOptions { name: "constant-arrival-rate", fields: open::CONSTANT_FIELDS, read: Some(open::constant) },
    ExecutorOptions { name: "ramping-arrival-rate", fields: open::RAMPING_FIELDS, read: Some(open::ramping) },
    ExecutorOptions { name: "externally-controlled", fields: &["vus", "max_vus", "duration"], read: None },
];

/// The fields that every scenario has.
const SCENARIO_FIELDS: &[&str] =
    &["executor", "exec", "start_time", "start_after", "graceful_stop", "max_rate", "env", "tags"];

/// How long a number of iterations may take unless options say otherwise (k6: 10 minutes).
pub(super) const MAX_DURATION: Duration = Duration::from_secs(600);

/// The names of all fields that some scenario may have.
pub(super) fn scenario_fields() -> Vec<&'static str> {
    let mut names: Vec<&'static str> = SCENARIO_FIELDS.to_vec();
    for &field in EXECUTORS.iter().flat_map(|executor| executor.fields) {
        if !names.contains(&field) {
            names.push(field);
        }
    }
    names
}

/// Reads scenario `name`; none when something is wrong, which is then among `errors`.
pub(super) fn scenario(
    name: &str,
    fields: &Fields,
    facts: &ScriptFacts,
    errors: &mut Vec<PlanError>,
) -> Option<Scenario> {
    let before = errors.len();
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(allowed) {
        let problem = format!("scenario name `{name}` must be letters, digits, `_` and `-`");
        errors.push(PlanError::Journey { scenario: name.into(), problem });
    }
    let (exec, mix) = journeys(name, fields, facts, errors).unwrap_or_default();
    let start_after = fields.text("start_after", errors);
    let max_rate = fields.rate("max_rate", errors);
    let start_time = fields.duration("start_time", errors).unwrap_or_default();
    let graceful_stop = fields.duration("graceful_stop", errors).unwrap_or(GRACE);
    let (env, tags) = (fields.text_map("env", errors), fields.text_map("tags", errors));
    let executor = executor(name, fields, errors);
    if max_rate.is_some() && executor.as_ref().is_some_and(|executor| executor.open().is_some()) {
        errors.push(fields.invalid("max_rate", "open load has its own rate; a bound belongs to closed load"));
    }
    if errors.len() > before {
        return None;
    }
    let (name, executor) = (name.into(), executor?);
    Some(Scenario { name, exec, mix, executor, start_time, start_after, max_rate, graceful_stop, env, tags })
}

/// The journeys of a scenario: one, or several by weight. Gives what stands for all, and the weights where there are
/// several.
fn journeys(
    scenario: &str,
    fields: &Fields,
    facts: &ScriptFacts,
    errors: &mut Vec<PlanError>,
) -> Option<(String, Vec<Weighted>)> {
    let weighted = fields.origin("exec").is_some_and(|_| fields.values["exec"].value.is_object());
    if !weighted {
        let given = fields.origin("exec").is_some();
        let exec = fields.text("exec", errors);
        if given && exec.is_none() {
            return None;
        }
        return journey(scenario, exec.as_deref(), facts).map_err(|error| errors.push(error)).ok().map(|e| (e, vec![]));
    }
    let weights = fields.weights("exec", errors)?;
    let mut mix = Vec::with_capacity(weights.len());
    for (name, weight) in weights {
        match journey(scenario, Some(&name), facts) {
            Ok(exec) => mix.push(Weighted { exec, weight }),
            Err(error) => errors.push(error),
        }
    }
    // A weight of 0 switches a journey off.
    mix.retain(|journey| journey.weight > 0);
    match mix.as_slice() {
        [] => {
            errors.push(fields.invalid("exec", "expected at least one journey with a weight above 0"));
            None
        }
        [only] => Some((only.exec.clone(), Vec::new())),
        several => {
            let names: Vec<&str> = several.iter().map(|journey| journey.exec.as_str()).collect();
            Some((names.join(", "), mix))
        }
    }
}

fn executor(scenario: &str, fields: &Fields, errors: &mut Vec<PlanError>) -> Option<Executor> {
    let names = || EXECUTORS.iter().filter(|known| known.read.is_some()).map(|known| known.name);
    if fields.origin("executor").is_none() {
        let expected = format!("one of {}", list(names()));
        errors.push(PlanError::Missing { scenario: scenario.into(), field: "executor", expected });
        return None;
    }
    let wanted = fields.text("executor", errors)?;
    let Some(options) = EXECUTORS.iter().find(|known| known.name == wanted) else {
        let near = units::nearest(&wanted, EXECUTORS.iter().map(|known| known.name));
        let hint =
            near.map_or_else(|| format!("expected one of {}", list(names())), |near| format!("did you mean `{near}`?"));
        errors.push(fields.invalid("executor", format!("unknown executor `{wanted}`; {hint}")));
        return None;
    };
    let Some(read) = options.read else {
        let what = format!("executor `{wanted}` of scenario `{scenario}`");
        let origin = fields.origin("executor").unwrap_or(super::Source::Default);
        errors.push(PlanError::NotSupported { what, origin });
        return None;
    };
    for (&name, given) in &fields.values {
        if !SCENARIO_FIELDS.contains(&name) && !options.fields.contains(&name) {
            let path = format!("{}{name}", fields.prefix);
            let problem =
                format!("executor `{wanted}` has no such field; it has {}", list(options.fields.iter().copied()));
            errors.push(PlanError::Value { path, origin: given.origin, problem });
        }
    }
    read(fields, scenario, errors)
}

/// At least 1, or an error.
pub(super) fn vus(fields: &Fields, errors: &mut Vec<PlanError>) -> u32 {
    match fields.count_u32("vus", errors) {
        Some(0) => {
            errors.push(fields.invalid("vus", "expected at least 1 VU, found 0"));
            1
        }
        vus => vus.unwrap_or(1),
    }
}

/// Longer than zero, or an error.
pub(super) fn span(name: &'static str, fields: &Fields, errors: &mut Vec<PlanError>) -> Option<Duration> {
    let duration = fields.duration(name, errors)?;
    if duration.is_zero() {
        errors.push(fields.invalid(name, "expected a duration longer than zero"));
        return None;
    }
    Some(duration)
}

/// At least 1, or an error.
pub(super) fn iterations(fields: &Fields, errors: &mut Vec<PlanError>) -> u64 {
    match fields.count("iterations", errors) {
        Some(0) => {
            errors.push(fields.invalid("iterations", "expected at least 1 iteration, found 0"));
            1
        }
        iterations => iterations.unwrap_or(1),
    }
}

fn shared_iterations(fields: &Fields, _: &str, errors: &mut Vec<PlanError>) -> Option<Executor> {
    let (vus, iterations) = (vus(fields, errors), iterations(fields, errors));
    let max_duration = span("max_duration", fields, errors).unwrap_or(MAX_DURATION);
    Some(Executor::SharedIterations { vus, iterations, max_duration })
}

fn per_vu_iterations(fields: &Fields, _: &str, errors: &mut Vec<PlanError>) -> Option<Executor> {
    let (vus, iterations) = (vus(fields, errors), iterations(fields, errors));
    let max_duration = span("max_duration", fields, errors).unwrap_or(MAX_DURATION);
    Some(Executor::PerVuIterations { vus, iterations, max_duration })
}

fn constant_vus(fields: &Fields, scenario: &str, errors: &mut Vec<PlanError>) -> Option<Executor> {
    let vus = vus(fields, errors);
    if fields.origin("duration").is_none() {
        let expected = "a duration such as `30s`".into();
        errors.push(PlanError::Missing { scenario: scenario.into(), field: "duration", expected });
    }
    Some(Executor::ConstantVus { vus, duration: span("duration", fields, errors)? })
}

fn ramping_vus(fields: &Fields, scenario: &str, errors: &mut Vec<PlanError>) -> Option<Executor> {
    let start_vus = fields.count_u32("start_vus", errors).unwrap_or(1);
    if fields.origin("stages").is_none() {
        let expected = "a list of stages such as `#{ duration: \"30s\", target: 10 }`".into();
        errors.push(PlanError::Missing { scenario: scenario.into(), field: "stages", expected });
    }
    let stages = write_out(start_vus, &fields.stages("stages", errors)?);
    let graceful_ramp_down = fields.duration("graceful_ramp_down", errors).unwrap_or(GRACE);
    let executor = Executor::RampingVus { start_vus, stages, graceful_ramp_down };
    if executor.vus_max() == 0 {
        errors.push(fields.invalid("stages", "no stage has a target above 0"));
    }
    Some(executor)
}

/// The function that a scenario runs: the one it names; else `journey`; else the only one that can be a journey.
pub(super) fn journey(scenario: &str, exec: Option<&str>, facts: &ScriptFacts) -> Result<String, PlanError> {
    let journeys = facts.journeys();
    let fail = |problem: String| Err(PlanError::Journey { scenario: scenario.into(), problem });
    let there_are = || match journeys.as_slice() {
        [] => "the script has no function that can be a journey; write `fn journey() { ... }`".to_owned(),
        names => format!("the script has {}", list(names.iter().copied())),
    };
    let name = match exec {
        Some(name) => name,
        None if !facts.params(DEFAULT_JOURNEY).is_empty() => DEFAULT_JOURNEY,
        None => match journeys.as_slice() {
            [only] => only,
            [] => return fail(format!("there is nothing to run: {}", there_are())),
            _ => return fail(format!("no function `{DEFAULT_JOURNEY}`, and {}; name one with `exec`", there_are())),
        },
    };
    if LIFECYCLE.contains(&name) {
        return fail(format!("function `{name}` is called by loadr itself and can't be the journey; {}", there_are()));
    }
    let params = facts.params(name);
    if params.is_empty() {
        let near = units::nearest(name, journeys.iter().copied());
        let hint = near.map_or_else(there_are, |near| format!("did you mean `{near}`?"));
        return fail(format!("function `{name}` is not in the script; {hint}"));
    }
    if params.iter().all(|&params| params > JOURNEY_PARAMS_MAX) {
        let found = params[0];
        return fail(format!("function `{name}` takes {found} parameters; a journey takes (), (vu) or (vu, data)"));
    }
    Ok(name.to_owned())
}
