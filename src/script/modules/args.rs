//! `args`: what functions of a library say to arguments that they can't use.
//!
//! Rhai's functions take anything, and what is wrong is found out somewhere within them. A function that begins with
//! these says it in its caller's words: which function, which parameter, what was expected and what was found.

use std::time::Duration;

use rhai::{Dynamic, Engine, FnPtr, ImmutableString, Map};

use super::argument::short_type_name;
use super::http::Response;
use super::{FunctionDoc, HostModule, HostResult, Natives, define, publish};
use crate::script::context::HostContext;
use crate::script::error::host_error;
use crate::units;

/// The module.
pub const MODULE: HostModule = HostModule {
    name: "args",
    summary: "For functions of your own that others call: errors that say what was expected.",
    docs: DOCS,
    register,
};

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "args::expect(value, types, parameter) -> value",
        summary: "The value, if it is of a type that is wanted.",
        parameters: &[
            ("value", "what the function was given"),
            (
                "types",
                "one of `string`, `int`, `number`, `bool`, `duration`, `map`, `array`, `blob`, `function`, `response`, or several of them: `\"string or map\"`",
            ),
            ("parameter", "what to call it, with its function: `pay: amount`"),
        ],
        errors: "when it is of none of them, with the parameter's name, what was expected and what was found",
        example: "
            fn journey() {
                pay(12);
                assert_error(|| pay(\"twelve\"), \"`pay: amount` must be a number, found a string: `twelve`\");
            }
            fn pay(amount) {
                args::expect(amount, \"number\", \"pay: amount\");
            }
        ",
    },
    FunctionDoc {
        signature: "args::is_a(value, types) -> bool",
        summary: "Whether the value is of a type that is wanted.",
        parameters: &[("value", "any"), ("types", "as `args::expect` takes them")],
        errors: "when there is no such type",
        example: "
            assert_eq(args::is_a(1.5, \"number\"), true);
            assert_eq(args::is_a((), \"string or map\"), false);
            assert_error(|| args::is_a(1, \"integer\"), \"knows no type `integer`\");
        ",
    },
    FunctionDoc {
        signature: "args::options(given, defaults, function) -> map",
        summary: "Settings with what they are by default: a misspelt one, or one of another type than its default, is an error.",
        parameters: &[
            ("given", "the map that the function was given"),
            ("defaults", "all settings with their values; `()` for one that may be anything"),
            ("function", "what to call it"),
        ],
        errors: "when `given` is no map, has a setting that `defaults` has not (with the nearest name), or one of another type; a number may stand for any other number",
        example: "
            let settings = args::options(#{ attempts: 5 }, #{ attempts: 3, wait: 1.s }, \"pay\");
            assert_eq(settings, #{ attempts: 5, wait: 1.s });
            assert_error(|| args::options(#{ atempts: 5 }, #{ attempts: 3 }, \"pay\"), \"did you mean `attempts`?\");
            assert_error(|| args::options(#{ attempts: \"5\" }, #{ attempts: 3 }, \"pay\"), \"must be a number\");
        ",
    },
];

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    define(&mut natives, "expect", |value: Dynamic, types: ImmutableString, parameter: ImmutableString| {
        expect(value, &types, &parameter)
    });
    define(&mut natives, "is_a", |value: Dynamic, types: ImmutableString| is_one_of(&value.flatten(), &types));
    define(&mut natives, "options", |given: Dynamic, defaults: Map, function: ImmutableString| {
        options(given, defaults, &function)
    });
    publish(engine, context, MODULE.name, natives);
}

/// Types by the words for them.
const TYPES: [(&str, fn(&Dynamic) -> bool); 10] = [
    ("string", Dynamic::is_string),
    ("int", Dynamic::is_int),
    ("number", |value| value.is_int() || value.is_float()),
    ("bool", Dynamic::is_bool),
    ("duration", |value| value.is::<Duration>()),
    ("map", Dynamic::is_map),
    ("array", Dynamic::is_array),
    ("blob", Dynamic::is_blob),
    ("function", |value| value.is::<FnPtr>()),
    ("response", |value| value.is::<Response>()),
];

fn is_one_of(value: &Dynamic, types: &str) -> HostResult<bool> {
    let mut fits = false;
    for wanted in types.split(' ').filter(|word| *word != "or") {
        let Some((_, is)) = TYPES.iter().find(|(name, _)| *name == wanted) else {
            let known: Vec<_> = TYPES.iter().map(|(name, _)| *name).collect();
            return Err(host_error(format!("`args` knows no type `{wanted}`: there are {}", known.join(", "))));
        };
        fits |= is(value);
    }
    Ok(fits)
}

/// The value, if it is of one of these types.
///
/// # Errors
/// When it is of none, in the words of the caller of a library's function.
pub fn expect(value: Dynamic, types: &str, parameter: &str) -> HostResult<Dynamic> {
    // What a closure has captured is shared; what it holds is meant.
    let value = value.flatten();
    if is_one_of(&value, types)? {
        return Ok(value);
    }
    Err(host_error(format!("`{parameter}` must be {}, found {}", with_article(types), described(&value))))
}

/// Settings with what they are by default, for functions written in Rust too.
///
/// # Errors
/// When `given` is no map, or has a setting that is unknown or of another type than its default.
pub fn options(given: Dynamic, mut defaults: Map, function: &str) -> HostResult<Map> {
    let given = match given.flatten().try_cast_result::<Map>() {
        Ok(given) => given,
        Err(other) => {
            return Err(host_error(format!(
                "`{function}` takes its settings as a map, `#{{ ... }}`, found {}",
                described(&other)
            )));
        }
    };
    for (name, value) in given {
        let Some(default) = defaults.get_mut(&name) else {
            let known: Vec<&str> = defaults.keys().map(|known| known.as_str()).collect();
            let hint = units::nearest(&name, known.iter().copied())
                .map_or_else(|| format!("there are {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
            return Err(host_error(format!("`{function}` has no setting `{name}`: {hint}")));
        };
        let value = value.flatten();
        let wanted = kind_of(default);
        if !default.is_unit() && wanted != kind_of(&value) {
            return Err(host_error(format!(
                "`{function}`: `{name}` must be {}, found {}",
                with_article(wanted),
                described(&value)
            )));
        }
        *default = value;
    }
    Ok(defaults)
}

/// The word for a value's type; numbers are all one.
fn kind_of(value: &Dynamic) -> &str {
    TYPES[2..]
        .iter()
        .chain(&TYPES[..1])
        .find(|(_, is)| is(value))
        .map_or_else(|| short_type_name(value), |(name, _)| name)
}

fn with_article(words: &str) -> String {
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {words}")
}

/// A value in an error: its type, and what it is where that is short.
fn described(value: &Dynamic) -> String {
    const SHOWN: usize = 40;
    if value.is_unit() {
        return "nothing: `()`".to_owned();
    }
    let kind = with_article(kind_of(value));
    let is_plain = value.is_string() || value.is_int() || value.is_float() || value.is_bool() || value.is::<Duration>();
    if !is_plain {
        return kind;
    }
    let text = match value.read_lock::<Duration>() {
        Some(duration) => units::format::format_duration(*duration),
        None => value.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{kind}: `{}...`", &text[..end]),
        None => format!("{kind}: `{text}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T: std::fmt::Debug>(result: HostResult<T>) -> String {
        result.unwrap_err().to_string().trim_start_matches("Runtime error: ").to_owned()
    }

    #[test]
    fn what_fits_is_let_through() {
        for (value, types) in [
            (Dynamic::from(1_i64), "int"),
            (Dynamic::from(1_i64), "number"),
            (Dynamic::from(1.5), "string or number"),
            (Dynamic::from("x"), "string"),
            (Dynamic::from(Duration::from_secs(1)), "duration"),
            (Dynamic::from("x").into_shared(), "string"),
        ] {
            assert!(expect(value, types, "f: x").is_ok(), "{types}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told_in_words() {
        for (value, types, told) in [
            (Dynamic::UNIT, "string or map", "`f: x` must be a string or map, found nothing: `()`"),
            (Dynamic::from(1.5), "int", "`f: x` must be an int, found a number: `1.5`"),
            (Dynamic::from(Duration::from_millis(1500)), "array", "`f: x` must be an array, found a duration: `1.5s`"),
            (Map::new().into(), "function", "`f: x` must be a function, found a map"),
            ("ä".repeat(41).into(), "bool", &format!("`f: x` must be a bool, found a string: `{}...`", "ä".repeat(40))),
        ] {
            assert_eq!(message(expect(value, types, "f: x")), told);
        }
        assert!(message(expect(Dynamic::UNIT, "text", "f: x")).contains("there are string, int"));
    }

    #[test]
    fn settings_are_known_by_name_and_type() {
        let defaults = || -> Map {
            [("n".into(), Dynamic::from(3_i64)), ("any".into(), Dynamic::UNIT), ("name".into(), "a".into())].into()
        };
        let given = |name: &str, value: Dynamic| Dynamic::from_map([(name.into(), value)].into());
        assert!(options(given("n", 1.5.into()), defaults(), "f").is_ok());
        assert!(options(given("any", true.into()), defaults(), "f").is_ok());
        assert_eq!(
            message(options(1_i64.into(), defaults(), "f")),
            "`f` takes its settings as a map, `#{ ... }`, found a number: `1`"
        );
        assert_eq!(
            message(options(given("zzz", 1_i64.into()), defaults(), "f")),
            "`f` has no setting `zzz`: there are any, n, name"
        );
        assert_eq!(
            message(options(given("name", 1_i64.into()), defaults(), "f")),
            "`f`: `name` must be a string, found a number: `1`"
        );
    }
}
