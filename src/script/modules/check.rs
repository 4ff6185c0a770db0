//! `check`, `group`, `fail`, `abort`: what a journey asserts, how it is divided, how it ends early.

use std::any::TypeId;
use std::sync::Arc;
use std::time::Instant;

use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, Map, NativeCallContext};

use super::http::Response;
use super::{FunctionDoc, HostModule, Natives, define, define_for, publish_everywhere};
use crate::metric::builtin;
use crate::script::bridge::guard::{self, Trip};
use crate::script::calls::Caller;
use crate::script::context::{HostContext, Phase};
use crate::script::error::host_error;
use crate::script::fixed::FixedMap;
use crate::script::series::micros;
use crate::trace::Step;

/// The module.
pub const MODULE: HostModule = HostModule {
    name: "",
    summary: "What a journey asserts, how it is divided into groups, how it ends early.",
    docs: DOCS,
    register,
};

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "check(value, conditions) -> bool",
        summary: "Tests a value against named conditions; each is counted in `checks`, and the journey goes on either way.",
        parameters: &[
            ("value", "What is tested, mostly a response; each condition is called with it."),
            ("conditions", "A map from names to functions of the value, or to booleans."),
        ],
        errors: "When a condition throws, or is neither true nor false.",
        example: "let ok = check(41, #{ \"is odd\": |n| n % 2 == 1, \"is large\": |n| n > 100 });\nassert_eq(ok, false);",
    },
    FunctionDoc {
        signature: "check(value, conditions, tags) -> bool",
        summary: "The same, with tags of its own on the `checks` that it counts.",
        parameters: &[
            ("value", "What is tested."),
            ("conditions", "A map from names to functions of the value, or to booleans."),
            ("tags", "A map from tag names to texts."),
        ],
        errors: "When a condition throws, or is neither true nor false.",
        example: "assert_eq(check(1, #{ \"is one\": |n| n == 1 }, #{ area: \"arithmetic\" }), true);",
    },
    FunctionDoc {
        signature: "check(value, name, held) -> bool",
        summary: "Counts one condition that is already decided: the quickest form, and the one for names that are put together.",
        parameters: &[("value", "What was tested."), ("name", "The condition's name."), ("held", "Whether it held.")],
        errors: "When `held` is neither true nor false.",
        example: "let code = 200;\nassert_eq(check((), `status is ${code}`, code == 200), true);",
    },
    FunctionDoc {
        signature: "group(name, body) -> any",
        summary: "Runs a function as a named part of the journey: requests and checks in it carry the group, and `group_duration` records how long it took.",
        parameters: &[("name", "The group's name, without `::`."), ("body", "A function without parameters.")],
        errors: "What the body throws.",
        example: "let n = group(\"sums\", || 1 + 2);\nassert_eq(n, 3);",
    },
    FunctionDoc {
        signature: "fail(message)",
        summary: "Ends this iteration with an error; the virtual user goes on with its next one.",
        parameters: &[("message", "Why.")],
        errors: "Always: that is what it is for.",
        example: "let seen = \"\";\ntry { fail(\"no token\"); } catch (error) { seen = error; }\nassert_eq(seen, \"no token\");",
    },
    FunctionDoc {
        signature: "abort(message)",
        summary: "Ends the whole run; `teardown` and the summary still happen, and the exit code is 108.",
        parameters: &[("message", "Why.")],
        errors: "Always, and no `try` catches it.",
        example: "let broken = false;\nif broken { abort(\"the target is not what this test is for\"); }\nassert_eq(broken, false);",
    },
];

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    let of_map = |host: HostContext| {
        move |call: NativeCallContext, value: Dynamic, conditions: Map| check(&host, &call, value, &conditions, 0)
    };
    let of_fixed = |host: HostContext| {
        move |call: NativeCallContext, value: Dynamic, conditions: FixedMap| {
            check(&host, &call, value, conditions.map(), 0)
        }
    };
    define(&mut natives, "check", of_map(context.clone()));
    define_for(&mut natives, "check", &[TypeId::of::<Response>(), TypeId::of::<Map>()], of_map(context.clone()));
    define(&mut natives, "check", of_fixed(context.clone()));
    define_for(&mut natives, "check", &[TypeId::of::<Response>(), TypeId::of::<FixedMap>()], of_fixed(context.clone()));
    let of_held = |host: HostContext| {
        move |value: Dynamic, name: ImmutableString, held: bool| {
            if let Some(tracer) = host.tracer() {
                tracer.decided(host.vu().id, &name, held, &value);
            }
            decided(&host, &name, held)
        }
    };
    let types = [TypeId::of::<Response>(), TypeId::of::<ImmutableString>(), TypeId::of::<bool>()];
    define(&mut natives, "check", of_held(context.clone()));
    define_for(&mut natives, "check", &types, of_held(context.clone()));
    let host = context.clone();
    define(&mut natives, "check", move |call: NativeCallContext, value: Dynamic, conditions: Map, tags: Map| {
        let tags = tag_set(&host, &tags)?;
        check(&host, &call, value, &conditions, tags)
    });
    let host = context.clone();
    define(&mut natives, "group", move |call: NativeCallContext, name: ImmutableString, body: FnPtr| {
        group(&host, &call, &name, &body)
    });
    define(&mut natives, "fail", |message: Dynamic| -> Result<(), Box<EvalAltResult>> {
        Err(host_error(message.to_string()))
    });
    define(&mut natives, "abort", |message: Dynamic| -> Result<(), Box<EvalAltResult>> {
        guard::stop(Trip::Abort(message.to_string()));
        Err(host_error(message.to_string()))
    });
    publish_everywhere(engine, context, natives);
}

/// The number of a set of tags that a script gives as a map.
///
/// # Errors
/// When a value is not a text, a number or a boolean.
pub fn tag_set(host: &HostContext, tags: &Map) -> Result<u32, Box<EvalAltResult>> {
    let Some((_, series)) = host.recording() else { return Ok(0) };
    let mut set: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(tags.len());
    for (key, value) in tags {
        if !(value.is_string() || value.is_int() || value.is_float() || value.is_bool()) {
            return Err(host_error(format!(
                "tag `{key}` must be a text, a number or a boolean, this is {}",
                value.type_name()
            )));
        }
        set.push((key.as_str().into(), value.to_string().into()));
    }
    Ok(series.borrow_mut().tag_set(set))
}

fn check(
    host: &HostContext,
    call: &NativeCallContext,
    value: Dynamic,
    conditions: &Map,
    tags: u32,
) -> Result<bool, Box<EvalAltResult>> {
    let mut all = true;
    let mut caller = Caller::new(host.calls(), call);
    for (name, condition) in conditions {
        let mut compared = Vec::new();
        let held = match condition.read_lock::<FnPtr>() {
            Some(function) => {
                let called = match host.tracer() {
                    None => caller.call(&function, [value.clone()]),
                    Some(tracer) => {
                        let judged = tracer.judge(call, name, &function, &value);
                        compared = judged.1;
                        judged.0
                    }
                };
                match called {
                    Ok(held) => held,
                    Err(error) => {
                        // What can't even be evaluated does not hold; a condition that was cut short says nothing.
                        if !guard::stopping() {
                            count(host, name, false, tags);
                            if let Some(tracer) = host.tracer() {
                                tracer.checked(host.vu().id, name, false, compared);
                            }
                        }
                        return Err(error);
                    }
                }
            }
            None => condition.clone(),
        };
        let Ok(held) = held.as_bool() else {
            let found = held.type_name();
            return Err(host_error(format!("check `{name}` must be true or false, this is {found}")));
        };
        all &= held;
        count(host, name, held, tags);
        if let Some(tracer) = host.tracer() {
            tracer.checked(host.vu().id, name, held, compared);
        }
    }
    Ok(all)
}

/// Counts one condition that is already decided; gives whether it held.
pub fn decided(host: &HostContext, name: &str, held: bool) -> bool {
    count(host, name, held, 0);
    held
}

fn count(host: &HostContext, name: &str, held: bool, tags: u32) {
    if let Some((recorder, series)) = host.recording() {
        let vu = host.vu();
        let series = series.borrow_mut().check(recorder, vu.scenario.index, vu.group.get(), tags, name);
        recorder.rate(series, held);
    }
}

/// Leaves the group however its body ends: also when the script's stack is unwound.
struct OpenGroup<'a> {
    host: &'a HostContext,
    vu: &'a crate::script::context::VuContext,
    outer: u32,
    started: Instant,
    threw: bool,
}

impl Drop for OpenGroup<'_> {
    fn drop(&mut self) {
        self.vu.group.set(self.outer);
        if let Some(tracer) = self.host.tracer() {
            tracer.tell(self.vu.id, Step::GroupLeft { took: self.started.elapsed(), threw: self.threw });
        }
    }
}

fn group(
    host: &HostContext,
    call: &NativeCallContext,
    name: &ImmutableString,
    body: &FnPtr,
) -> Result<Dynamic, Box<EvalAltResult>> {
    if host.phase() == Phase::Init {
        return Err(host_error("`group` belongs into a journey, not into the top level of the script"));
    }
    if name.is_empty() || name.contains("::") {
        return Err(host_error(format!(
            "a group's name must not be empty and must not contain `::`, this is `{name}`"
        )));
    }
    let vu = host.vu();
    let Some((recorder, series)) = host.recording() else { return body.call_raw(call, None, []) };
    let outer = vu.group.get();
    let id = series.borrow_mut().subgroup(outer, name);
    vu.group.set(id);
    if let Some(tracer) = host.tracer() {
        tracer.tell(vu.id, Step::GroupEntered { name: name.to_string() });
    }
    let started = Instant::now();
    let mut open = OpenGroup { host, vu: &vu, outer, started, threw: true };
    let value = Caller::new(host.calls(), call).call(body, [])?;
    open.threw = false;
    drop(open);
    let series = series.borrow_mut().value(recorder, builtin::GROUP_DURATION, vu.scenario.index, id, 0);
    recorder.trend(series, micros(started.elapsed()));
    Ok(value)
}
