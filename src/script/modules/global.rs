//! `env`, `print`, `log`: what comes from outside of the script, and what it says.

use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString};

use super::{FunctionDoc, HostModule, Natives, define, publish};
use crate::event::LogLevel;
use crate::script::context::HostContext;
use crate::script::error::host_error;
use crate::units;

/// The module.
pub const MODULE: HostModule = HostModule {
    name: "log",
    summary: "What comes from outside of the script, and lines that it writes for whoever watches.",
    docs: DOCS,
    register,
};

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "env(name) -> string",
        summary: "The value of a variable: from `-e NAME=value`, from the scenario's `env`, or from the environment.",
        parameters: &[("name", "The variable's name.")],
        errors: "When it is not set.",
        example: "assert_eq(env(\"BASE_URL\").contains(\"http\"), true);",
    },
    FunctionDoc {
        signature: "env(name, default) -> any",
        summary: "The same, with a value for when it is not set.",
        parameters: &[("name", "The variable's name."), ("default", "What it is when it is not set.")],
        errors: "",
        example: "assert_eq(env(\"NOBODY_SETS_THIS\", \"none\"), \"none\");",
    },
    FunctionDoc {
        signature: "print(value)",
        summary: "Writes a line for whoever watches the run.",
        parameters: &[("value", "What to write.")],
        errors: "",
        example: "print(`two and two are ${2 + 2}`);",
    },
    FunctionDoc {
        signature: "log::debug(value)",
        summary: "Writes a line for whoever looks for a mistake; shown with `--verbose`.",
        parameters: &[("value", "What to write.")],
        errors: "",
        example: "log::debug(\"about to buy\");",
    },
    FunctionDoc {
        signature: "log::info(value)",
        summary: "Writes a line, as `print` does.",
        parameters: &[("value", "What to write.")],
        errors: "",
        example: "log::info(\"bought\");",
    },
    FunctionDoc {
        signature: "log::warn(value)",
        summary: "Writes a line about something odd.",
        parameters: &[("value", "What to write.")],
        errors: "",
        example: "log::warn(\"the cart was not empty\");",
    },
    FunctionDoc {
        signature: "log::error(value)",
        summary: "Writes a line about something wrong; the iteration goes on.",
        parameters: &[("value", "What to write.")],
        errors: "",
        example: "log::error(\"no order number\");",
    },
];

fn register(engine: &mut Engine, context: &HostContext) {
    let host = context.clone();
    engine.register_fn("env", move |name: ImmutableString| -> Result<Dynamic, Box<EvalAltResult>> {
        lookup(&host, &name).map(Into::into).ok_or_else(|| {
            let known = host.shared();
            let near = units::nearest(&name, known.env.keys().map(String::as_str));
            let hint = near.map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
            host_error(format!(
                "`{name}` is not set{hint}: pass it with `-e {name}=...`, or give a default: `env(\"{name}\", ...)`"
            ))
        })
    });
    let host = context.clone();
    engine.register_fn("env", move |name: ImmutableString, default: Dynamic| {
        lookup(&host, &name).map_or(default, Into::into)
    });
    let host = context.clone();
    engine.on_print(move |text| host.say(LogLevel::Info, text.to_owned()));
    let host = context.clone();
    engine.on_debug(move |text, source, position| {
        let at = source.map_or_else(String::new, |source| format!("{source}:{position:?} "));
        host.say(LogLevel::Debug, format!("{at}{text}"));
    });
    let mut natives = Natives::default();
    for (name, level) in
        [("debug", LogLevel::Debug), ("info", LogLevel::Info), ("warn", LogLevel::Warn), ("error", LogLevel::Error)]
    {
        let host = context.clone();
        define(&mut natives, name, move |value: Dynamic| host.say(level, value.to_string()));
    }
    publish(engine, context, "log", natives);
}

fn lookup(host: &HostContext, name: &str) -> Option<String> {
    let vu = host.vu();
    vu.scenario.env.get(name).or_else(|| host.shared().env.get(name)).cloned()
}
