//! `think`, `sleep` and `pace`: pauses of a virtual user.

use std::time::Duration;

use rhai::{Dynamic, Engine, EvalAltResult, NativeCallContext};

use super::argument::short_type_name;
use super::duration::DurationRange;
use super::{FunctionDoc, HostModule, Natives, define, publish_everywhere};
use crate::script::bridge;
use crate::script::context::{HostContext, Phase};
use crate::script::error::host_error;
use crate::trace::Pause;

/// The module.
pub const MODULE: HostModule = HostModule { name: "", summary: "Pauses of a virtual user.", docs: DOCS, register };

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "think(duration_or_range)",
        summary: "Pauses as a user does who reads: for a random time within a range, drawn from the run's seed, or for a fixed time.",
        parameters: &[("duration_or_range", "A range of durations such as `1.s..3.s`, or a duration.")],
        errors: "When it is neither, or in the script's init.",
        example: "think(1.ms..3.ms);\nthink(1.ms);",
    },
    FunctionDoc {
        signature: "sleep(duration)",
        summary: "Pauses for a fixed time.",
        parameters: &[("duration", "A duration such as `500.ms`, or a number of seconds as in k6.")],
        errors: "When it is neither or negative, or in the script's init.",
        example: "sleep(1.ms);\nsleep(0.001);",
    },
    FunctionDoc {
        signature: "pace(duration)",
        summary: "Lets this iteration take at least so long, counted from its start: the virtual user waits after it, before its next one. An iteration that takes longer is followed at once. The last call counts.",
        parameters: &[("duration", "A duration such as `10.s`.")],
        errors: "When it is none, or outside of a journey.",
        example: "pace(1.ms);",
    },
];

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    let host = context.clone();
    define(&mut natives, "think", move |call: NativeCallContext, range: DurationRange| {
        let duration = range.pick(&mut host.vu().rng.borrow_mut());
        pause(&host, &call, Pause::Think, duration)
    });
    let host = context.clone();
    define(&mut natives, "think", move |call: NativeCallContext, duration: Duration| {
        pause(&host, &call, Pause::Think, duration)
    });
    define(&mut natives, "think", |other: Dynamic| {
        not_a_duration("think", &other, "`think(1.s..3.s)` or `think(2.s)`")
    });
    let host = context.clone();
    define(&mut natives, "sleep", move |call: NativeCallContext, duration: Duration| {
        pause(&host, &call, Pause::Sleep, duration)
    });
    let host = context.clone();
    define(&mut natives, "sleep", move |call: NativeCallContext, seconds: i64| {
        pause_seconds(&host, &call, seconds as f64)
    });
    let host = context.clone();
    define(&mut natives, "sleep", move |call: NativeCallContext, seconds: f64| pause_seconds(&host, &call, seconds));
    let host = context.clone();
    define(&mut natives, "pace", move |duration: Duration| pace(&host, duration));
    define(&mut natives, "pace", |other: Dynamic| not_a_duration("pace", &other, "`pace(10.s)`"));
    define(&mut natives, "sleep", |other: Dynamic| not_a_duration("sleep", &other, "`sleep(2.s)` or `sleep(500.ms)`"));
    publish_everywhere(engine, context, natives);
}

fn pause_seconds(host: &HostContext, call: &NativeCallContext, seconds: f64) -> Result<(), Box<EvalAltResult>> {
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) => pause(host, call, Pause::Sleep, duration),
        Err(_) => Err(host_error(format!("can't sleep for {seconds} seconds"))),
    }
}

/// Pauses the virtual user; in a rehearsal that skips pauses, for no time.
///
/// # Errors
/// When it may not wait, or is being stopped.
pub fn pause(
    host: &HostContext,
    call: &NativeCallContext,
    by: Pause,
    duration: Duration,
) -> Result<(), Box<EvalAltResult>> {
    if let Some(tracer) = host.tracer().filter(|_| host.phase() != Phase::Init) {
        let vu = host.vu().id;
        let skipped = tracer.skips(vu, call.call_position());
        tracer.paused(vu, by, duration, skipped);
        if skipped {
            // The others get their turn all the same, and a stop is noticed.
            let turn = bridge::wait(tokio::task::yield_now());
            return turn.map_err(|error| error.into_script_error("pause"));
        }
    }
    // Made only when polled: in init there is no timer to make it with.
    bridge::wait(async move { tokio::time::sleep(duration).await }).map_err(|error| error.into_script_error("pause"))
}

fn pace(host: &HostContext, duration: Duration) -> Result<(), Box<EvalAltResult>> {
    if host.phase() != Phase::Vu {
        return Err(host_error("`pace` is about iterations: call it in a journey"));
    }
    let vu = host.vu();
    if let Some(tracer) = host.tracer() {
        let skipped = tracer.skips_pace();
        tracer.paused(vu.id, Pause::Pace, duration, skipped);
        if skipped {
            return Ok(());
        }
    }
    vu.pace.set(Some(duration));
    Ok(())
}

fn not_a_duration(function: &str, found: &Dynamic, like: &str) -> Result<(), Box<EvalAltResult>> {
    Err(host_error(format!("`{function}` takes a duration, this is {}: write {like}", short_type_name(found))))
}
