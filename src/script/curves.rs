//! Curves in a script's options: `rate: |t| 100 + 50 * (t / 60.0).sin()`, with `t` in seconds from the scenario's start.
//!
//! A plan is data, so a curve is sampled when the script is read: it is asked for its rate at evenly spaced moments, each
//! [`STEP`] from the next (further for scenarios that last longer than [`POINTS_MAX`] steps), and takes its place in the
//! options as a list of numbers. From there on the load follows straight lines between these points, exactly.

use std::rc::Rc;
use std::time::Duration;

use rhai::{Array, Dynamic, EvalAltResult, FnPtr, Map};

use super::bridge::guard::Budget;
use super::bridge::stack::StackPool;
use super::context::HostContext;
use super::engine::Program;
use super::error::Diagnostic;
use crate::units;

/// The time between two points.
const STEP: Duration = Duration::from_millis(100);

/// The most points of a curve: an hour of steps.
const POINTS_MAX: u32 = 36_000;

/// Puts numbers into the place of the curves in `options`.
///
/// # Errors
/// When a curve throws, or gives something that is not a number.
pub fn sample(
    program: &Program,
    context: &HostContext,
    pool: &Rc<StackPool>,
    budget: &Budget,
    options: &mut Dynamic,
) -> Result<(), Box<Diagnostic>> {
    let Some(mut options) = options.write_lock::<Map>() else { return Ok(()) };
    let Some(mut scenarios) = options.get_mut("scenarios").and_then(|scenarios| scenarios.write_lock::<Map>()) else {
        return Ok(());
    };
    for (name, scenario) in scenarios.iter_mut() {
        let Some(mut fields) = scenario.write_lock::<Map>() else { continue };
        let Some(curve) = fields.get("rate").and_then(|rate| rate.read_lock::<FnPtr>().map(|curve| curve.clone()))
        else {
            continue;
        };
        // Where the duration is missing or wrong, the plan says so; the curve is then of no use.
        let duration = fields.get("duration").and_then(duration).unwrap_or(STEP);
        let points = program.evaluate(context, pool, budget, |engine, ast| {
            let steps = u32::try_from(duration.as_nanos().div_ceil(STEP.as_nanos())).unwrap_or(POINTS_MAX);
            let steps = steps.clamp(1, POINTS_MAX);
            (0..=steps)
                .map(|step| {
                    let t = duration.as_secs_f64() * f64::from(step) / f64::from(steps);
                    let rate: Dynamic = curve.call(engine, ast, (t,))?;
                    number(&rate).ok_or_else(|| {
                        let found = rate.type_name();
                        let what = match rate.as_float() {
                            Ok(value) => format!("{value}"),
                            Err(_) => format!("a value of type `{found}`"),
                        };
                        let text = format!("scenario `{name}`: `rate` must give a number, it gave {what} at t = {t}");
                        Box::new(EvalAltResult::from(text))
                    })
                })
                .collect::<Result<Array, _>>()
                .map(Dynamic::from)
        })?;
        fields.insert("rate".into(), points);
    }
    Ok(())
}

/// A finite number.
fn number(value: &Dynamic) -> Option<Dynamic> {
    let number = value.as_float().ok().or_else(|| value.as_int().ok().map(|integer| integer as f64))?;
    number.is_finite().then(|| number.into())
}

/// A duration in the forms that options have.
fn duration(value: &Dynamic) -> Option<Duration> {
    if let Some(duration) = value.read_lock::<Duration>() {
        return Some(*duration);
    }
    if let Some(text) = value.read_lock::<rhai::ImmutableString>() {
        return units::parse_duration(&text).ok();
    }
    let milliseconds = value.as_float().ok().or_else(|| value.as_int().ok().map(|integer| integer as f64))?;
    Duration::try_from_secs_f64(milliseconds / 1e3).ok()
}
