//! Open load as options have it: `constant-arrival-rate`, `ramping-arrival-rate` and the shorthand `rate`.

use std::time::Duration;

use super::Executor;
use super::arrivals::{ArrivalRate, Late, OpenLoad, RateStage, Spacing};
use super::error::PlanError;
use super::executors::span;
use super::fields::Fields;
use super::scenario::{counted, span as spell};
use super::shapes::write_out;
use crate::units::Rate;

/// The fields that all open load has, besides its curve.
macro_rules! open_fields {
    ($($own:literal),*) => {
        &[$($own,)* "time_unit", "pre_allocated_vus", "max_vus", "late", "arrivals"]
    };
}

/// The fields of `constant-arrival-rate`.
pub(super) const CONSTANT_FIELDS: &[&str] = open_fields!["rate", "duration"];
/// The fields of `ramping-arrival-rate`: with `stages`, or with a curve as `rate` and its `duration`.
pub(super) const RAMPING_FIELDS: &[&str] = open_fields!["start_rate", "stages", "rate", "duration"];

/// VUs that the shorthand allows: as many as ten seconds of arrivals, within these bounds.
const SHORTHAND_VUS: (u64, u64) = (100, 10_000);
const SHORTHAND_SECONDS: u64 = 10;

fn missing(scenario: &str, field: &'static str, expected: &str, errors: &mut Vec<PlanError>) {
    errors.push(PlanError::Missing { scenario: scenario.into(), field, expected: expected.into() });
}

pub(super) fn constant(fields: &Fields, scenario: &str, errors: &mut Vec<PlanError>) -> Option<Executor> {
    let open = open_load(fields, scenario, errors);
    let rate = match fields.origin("rate") {
        None => {
            missing(scenario, "rate", "a number of iterations per `time_unit`", errors);
            None
        }
        Some(_) if fields.values["rate"].value.is_array() => {
            let problem = "a curve needs `executor: \"ramping-arrival-rate\"`";
            errors.push(fields.invalid("rate", problem));
            None
        }
        Some(_) => fields.arrival_rate("rate", errors),
    };
    if rate.is_some_and(ArrivalRate::is_zero) {
        errors.push(fields.invalid("rate", "expected a rate above 0, found 0"));
    }
    if fields.origin("duration").is_none() {
        missing(scenario, "duration", "a duration such as `30s`", errors);
    }
    let duration = span("duration", fields, errors);
    Some(Executor::ConstantArrivalRate { rate: rate?, duration: duration?, open: open? })
}

pub(super) fn ramping(fields: &Fields, scenario: &str, errors: &mut Vec<PlanError>) -> Option<Executor> {
    let open = open_load(fields, scenario, errors);
    let by = if fields.origin("stages").is_some() { "stages" } else { "rate" };
    let (start_rate, stages) = match (fields.origin("stages"), fields.origin("rate")) {
        (Some(origin), Some(_)) => {
            let (one, other) = (format!("{}stages", fields.prefix), format!("{}rate", fields.prefix));
            let why = "give stages, or a curve with a duration";
            errors.push(PlanError::Conflict { one, other, origin, why });
            return None;
        }
        (Some(_), None) => {
            if fields.origin("duration").is_some() {
                errors.push(fields.invalid("duration", "the stages have their own durations"));
            }
            let start = fields.arrival_rate("start_rate", errors).unwrap_or_default();
            (start, write_out(start, &fields.rate_stages("stages", errors)?))
        }
        (None, Some(_)) => {
            if fields.origin("start_rate").is_some() {
                errors.push(fields.invalid("start_rate", "a curve has its own start"));
            }
            curve(fields, scenario, errors)?
        }
        (None, None) => {
            let expected = "a list of stages such as `#{ duration: \"30s\", target: 10 }`";
            missing(scenario, "stages", expected, errors);
            return None;
        }
    };
    let executor = Executor::RampingArrivalRate { start_rate, stages, open: open? };
    if executor.duration().is_zero() {
        errors.push(fields.invalid(by, "the stages take no time"));
    } else if executor.rate_curve().is_none_or(|curve| curve.starts_planned() == 0) {
        errors.push(fields.invalid(by, "no rate is above 0, so that nothing would start"));
    }
    Some(executor)
}

/// A curve given by its points, evenly spaced over the duration.
fn curve(fields: &Fields, scenario: &str, errors: &mut Vec<PlanError>) -> Option<(ArrivalRate, Vec<RateStage>)> {
    let given = &fields.values["rate"].value;
    if !given.is_array() {
        let problem = "expected a curve `|t| ...` of the seconds, or a list of rates; for a fixed rate use \
                       `executor: \"constant-arrival-rate\"`";
        errors.push(fields.invalid("rate", problem));
        return None;
    }
    if fields.origin("duration").is_none() {
        missing(scenario, "duration", "how long the curve is, such as `30s`", errors);
    }
    let duration = span("duration", fields, errors);
    let points = fields.curve("rate", errors)?;
    let (duration, (&start, rest)) = (duration?, points.split_first()?);
    let pieces = rest.len() as u128;
    let boundary = |index: usize| {
        let ns = duration.as_nanos() * index as u128 / pieces;
        Duration::new((ns / 1_000_000_000) as u64, (ns % 1_000_000_000) as u32)
    };
    let stage = |(index, &target)| RateStage { duration: boundary(index + 1) - boundary(index), target };
    Some((start, rest.iter().enumerate().map(stage).collect()))
}

fn open_load(fields: &Fields, scenario: &str, errors: &mut Vec<PlanError>) -> Option<OpenLoad> {
    let before = errors.len();
    let time_unit = fields.duration("time_unit", errors).unwrap_or(Duration::from_secs(1));
    if time_unit < OpenLoad::TIME_UNIT_LEAST || time_unit > OpenLoad::TIME_UNIT_MOST {
        errors.push(fields.invalid("time_unit", format!("expected 1ms to 1d, found {}", spell(time_unit))));
    }
    let pre_allocated = fields.count_u32("pre_allocated_vus", errors);
    let most = fields.count_u32("max_vus", errors);
    let (pre_allocated_vus, max_vus) = match (pre_allocated, most) {
        (None, None) => {
            if fields.origin("pre_allocated_vus").is_none() && fields.origin("max_vus").is_none() {
                missing(scenario, "pre_allocated_vus", "how many VUs are ready at the start", errors);
            }
            return None;
        }
        (Some(ready), None) => (ready, ready),
        (None, Some(most)) => (most.min(1), most),
        (Some(ready), Some(most)) => (ready, most),
    };
    if max_vus < pre_allocated_vus {
        let ready = counted(pre_allocated_vus, "VU");
        let problem = format!("expected at least the {ready} of `pre_allocated_vus`, found {max_vus}");
        errors.push(fields.invalid("max_vus", problem));
    } else if max_vus == 0 {
        let name = if most.is_some() { "max_vus" } else { "pre_allocated_vus" };
        errors.push(fields.invalid(name, "expected at least 1 VU, found 0"));
    }
    let late = choice(fields, "late", &[("queue", Late::Queue), ("drop", Late::Drop)], errors);
    let spacing = choice(fields, "arrivals", &[("uniform", Spacing::Uniform), ("poisson", Spacing::Poisson)], errors);
    (errors.len() == before).then_some(OpenLoad { time_unit, pre_allocated_vus, max_vus, late, spacing })
}

/// One of a few words; the default where none is given.
fn choice<T: Copy + Default>(
    fields: &Fields,
    name: &'static str,
    words: &[(&str, T)],
    errors: &mut Vec<PlanError>,
) -> T {
    let Some(word) = fields.text(name, errors) else { return T::default() };
    words.iter().find(|(known, _)| *known == word).map_or_else(
        || {
            let names = super::error::list(words.iter().map(|(known, _)| *known));
            errors.push(fields.invalid(name, format!("expected one of {names}, found `{word}`")));
            T::default()
        },
        |&(_, value)| value,
    )
}

/// A rate with its own period, in iterations per `time_unit`.
pub(super) fn per_unit(rate: Rate, time_unit: Duration) -> Option<ArrivalRate> {
    let millionths = u128::from(rate.count).checked_mul(1_000_000)?.checked_mul(time_unit.as_nanos())?;
    ArrivalRate::from_millionths(u64::try_from(millionths / rate.per.as_nanos().max(1)).ok()?)
        .filter(|rate| !rate.is_zero())
}

/// The load that `rate` makes by itself; `vus` is the most VUs. The period of the rate is its time unit, so that it
/// stays exact, unless that is beyond the bounds.
pub(super) fn by_rate(rate: Rate, vus: Option<u32>, duration: Duration) -> Result<(Executor, Option<String>), String> {
    let bounds = OpenLoad::TIME_UNIT_LEAST..=OpenLoad::TIME_UNIT_MOST;
    let time_unit = if bounds.contains(&rate.per) { rate.per } else { Duration::from_secs(1) };
    let arrivals = per_unit(rate, time_unit).ok_or_else(|| format!("expected at most {}/s", ArrivalRate::MOST))?;
    let per_second = (arrivals.as_f64() / time_unit.as_secs_f64()).ceil() as u64;
    let (least, most) = SHORTHAND_VUS;
    let allowed = per_second.saturating_mul(SHORTHAND_SECONDS).clamp(least, most) as u32;
    let max_vus = vus.unwrap_or(allowed);
    let note = vus.is_none().then(|| format!("the rate may take at most {allowed} VUs; give `vus` for more or fewer"));
    let open = OpenLoad {
        time_unit,
        pre_allocated_vus: u32::try_from(per_second).unwrap_or(u32::MAX).min(max_vus),
        max_vus,
        late: Late::Queue,
        spacing: Spacing::Uniform,
    };
    Ok((Executor::ConstantArrivalRate { rate: arrivals, duration, open }, note))
}

/// Gives open load another rate; a curve is scaled so that its peak is that. Closed load stays as it is.
pub(super) fn set_rate(executor: &mut Executor, wanted: ArrivalRate) {
    let peak = u128::from(executor.rate_peak().millionths()).max(1);
    let scale = |rate: ArrivalRate| {
        let scaled = u128::from(rate.millionths()) * u128::from(wanted.millionths()) / peak;
        u64::try_from(scaled).ok().and_then(ArrivalRate::from_millionths).unwrap_or(wanted)
    };
    match executor {
        Executor::ConstantArrivalRate { rate, .. } => *rate = wanted,
        Executor::RampingArrivalRate { start_rate, stages, .. } => {
            *start_rate = scale(*start_rate);
            for stage in stages {
                stage.target = scale(stage.target);
            }
        }
        _ => {}
    }
}

/// The shorthand: `rate`, with `duration` and perhaps `vus`.
pub(super) fn shorthand(
    options: &Fields,
    scenario: &str,
    notes: &mut Vec<String>,
    errors: &mut Vec<PlanError>,
) -> Option<Executor> {
    let rate = options.rate("rate", errors);
    if options.origin("duration").is_none() {
        missing(scenario, "duration", "how long the rate is to last, such as `30s`", errors);
    }
    let duration = span("duration", options, errors);
    let vus = options.count_u32("vus", errors);
    if vus == Some(0) {
        errors.push(options.invalid("vus", "expected at least 1 VU, found 0"));
        return None;
    }
    match by_rate(rate?, vus, duration?) {
        Ok((executor, note)) => {
            notes.extend(note);
            Some(executor)
        }
        Err(problem) => {
            errors.push(options.invalid("rate", problem));
            None
        }
    }
}

/// What must hold for the curve of a scenario as it will be run.
pub(super) fn check(executor: &Executor) -> Option<String> {
    executor.open()?;
    if executor.duration() > OpenLoad::DURATION_MOST {
        let (found, most) = (spell(executor.duration()), spell(OpenLoad::DURATION_MOST));
        return Some(format!("`duration` of open load: expected at most {most}, found {found}"));
    }
    (executor.rate_curve()?.starts_planned() == 0).then(|| "the rate is too small: no iteration would start".into())
}
