//! Assertions for tests of journeys: what does not hold ends the test, and both sides are shown.
//!
//! A failed assertion throws a map: `message`, `assertion` (the function), `actual` and, where there is one, `expected`.
//! The diagnostic shows the values from it (`script::diagnosis`); a script that catches it can read them.

use std::time::Duration;

use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, Map, NativeCallContext, Position};

use super::argument::short_type_name;
use super::http::Response;
use super::regex::Patterns;
use super::{FunctionDoc, HostModule, HostResult, Natives, define, publish};
use crate::script::bridge::{guard, on_worker_stack};
use crate::script::context::HostContext;
use crate::script::diagnosis::difference;
use crate::script::error::{host_error, innermost};
use crate::script::json_value;

/// The module.
pub const MODULE: HostModule = HostModule {
    name: "assert",
    summary: "Assertions for tests of journeys (`loadr test`): what does not hold ends the test with an error that shows both sides. In a journey under load use `check`, which counts and goes on.",
    docs: DOCS,
    register,
};

const ACTUAL: (&str, &str) = ("actual", "what there is");
const MESSAGE: (&str, &str) = ("message", "what it is about; stands before the error");

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "assert::eq(actual, expected), assert::eq(actual, expected, message)",
        summary: "Holds when both are the same: numbers by their value, arrays and maps by what is in them.",
        parameters: &[ACTUAL, ("expected", "what there should be"), MESSAGE],
        errors: "When they differ. Long texts, arrays and maps are compared line by line.",
        example: "assert::eq(1 + 1, 2);\nassert::eq(#{ a: [1, 2] }, #{ a: [1, 2.0] });\nassert_error(|| assert::eq(\"1\", 1), \"not what was expected\");",
    },
    FunctionDoc {
        signature: "assert::ne(actual, unexpected), assert::ne(actual, unexpected, message)",
        summary: "Holds when the two differ.",
        parameters: &[ACTUAL, ("unexpected", "what it must not be"), MESSAGE],
        errors: "When they are the same.",
        example: "assert::ne(http::get(env(\"BASE_URL\")).body, \"\");\nassert_error(|| assert::ne((), ()), \"what it must not be\");",
    },
    FunctionDoc {
        signature: "assert::ok(condition), assert::ok(condition, message)",
        summary: "Holds when the condition is true.",
        parameters: &[("condition", "true or false"), MESSAGE],
        errors: "When it is false, or something else than true and false.",
        example: "assert::ok(2 > 1);\nassert_error(|| assert::ok(1 > 2, \"order of numbers\"), \"order of numbers: this is not true\");",
    },
    FunctionDoc {
        signature: "assert::contains(whole, part), assert::contains(whole, part, message)",
        summary: "Holds when a text has the part in it, an array has it as an element, or a map as a key.",
        parameters: &[("whole", "a text, an array or a map"), ("part", "what must be in it"), MESSAGE],
        errors: "When it is not in it, or `whole` is none of them.",
        example: "assert::contains(\"red chair\", \"chair\");\nassert::contains([1, 2], 2);\nassert::contains(#{ price: 5 }, \"price\");\nassert_error(|| assert::contains([1, 2], 3), \"is not in it\");",
    },
    FunctionDoc {
        signature: "assert::matches(text, pattern), assert::matches(text, pattern, message)",
        summary: "Holds when the regular expression occurs anywhere in the text.",
        parameters: &[
            ("text", "what is searched"),
            ("pattern", "a regular expression, as `regex::matches` takes it"),
            MESSAGE,
        ],
        errors: "When it does not occur, or is not a regular expression.",
        example: "assert::matches(\"order 42\", #\"\\d+$\"#);\nassert_error(|| assert::matches(\"order\", #\"\\d\"#), \"does not match\");",
    },
    FunctionDoc {
        signature: "assert::near(actual, expected, tolerance), assert::near(actual, expected, tolerance, message)",
        summary: "Holds when two numbers, or two durations, differ by no more than the tolerance.",
        parameters: &[
            ACTUAL,
            ("expected", "what it should be near to"),
            ("tolerance", "how far away it may be"),
            MESSAGE,
        ],
        errors: "When they are further apart, or are no numbers or durations.",
        example: "assert::near(0.1 + 0.2, 0.3, 0.000001);\nassert::near(1.s, 1010.ms, 20.ms);\nassert_error(|| assert::near(1, 2, 0.5), \"too far\");",
    },
    FunctionDoc {
        signature: "assert::status(response, status), assert::status(response, status, message)",
        summary: "Holds when a response has this status; else the beginning of its body is shown.",
        parameters: &[("response", "what a request gave"), ("status", "200, for example"), MESSAGE],
        errors: "When it has another.",
        example: "let res = http::get(env(\"BASE_URL\") + \"/item/1\");\nassert::status(res, 200);\nassert_error(|| assert::status(res, 201), \"not the status\");",
    },
    FunctionDoc {
        signature: "assert::json_eq(actual, expected), assert::json_eq(actual, expected, message)",
        summary: "Holds when two JSON documents say the same, whatever their spaces and the order of their keys.",
        parameters: &[("actual", "a JSON text, or a value"), ("expected", "a JSON text, or a value"), MESSAGE],
        errors: "When they differ, or one of them is not JSON.",
        example: "assert::json_eq(`{\"b\": 2, \"a\": [1]}`, #{ a: [1], b: 2 });\nassert_error(|| assert::json_eq(\"[1]\", \"[2]\"), \"not what was expected\");",
    },
    FunctionDoc {
        signature: "assert::throws(function) -> string, assert::throws(function, part) -> string",
        summary: "Holds when the function throws; gives the message.",
        parameters: &[("function", "a function without parameters"), ("part", "what the message must contain")],
        errors: "When it does not throw, or throws something else.",
        example: "let message = assert::throws(|| fail(\"no token\"));\nassert_eq(message, \"no token\");\nassert::throws(|| parse_int(\"x\"), \"integer\");\nassert_error(|| assert::throws(|| 1), \"did not throw\");",
    },
];

/// How much of a body is shown, in characters.
const BODY_MAX: usize = 200;

/// What a failed assertion throws.
struct Failure {
    assertion: &'static str,
    message: String,
    about: Option<ImmutableString>,
    actual: Dynamic,
    expected: Option<Dynamic>,
    /// The beginning of a response's body.
    body: Option<ImmutableString>,
}

impl Failure {
    fn new(assertion: &'static str, message: impl Into<String>, actual: Dynamic, expected: Dynamic) -> Self {
        Self { assertion, message: message.into(), about: None, actual, expected: Some(expected), body: None }
    }

    fn about(self, about: Option<ImmutableString>) -> Self {
        Self { about, ..self }
    }

    fn throw<T>(self) -> HostResult<T> {
        let message = match &self.about {
            Some(about) => format!("{about}: {}", self.message),
            None => self.message,
        };
        let mut map = Map::new();
        map.insert("assertion".into(), self.assertion.into());
        map.insert("message".into(), message.into());
        map.insert("actual".into(), self.actual);
        if let Some(expected) = self.expected {
            map.insert("expected".into(), expected);
        }
        if let Some(body) = self.body {
            map.insert("body".into(), body.into());
        }
        Err(Box::new(EvalAltResult::ErrorRuntime(map.into(), Position::NONE)))
    }
}

/// The two forms of an assertion on so many values: without a message and with one.
macro_rules! assertions {
    ($natives:ident, $name:literal, |$call:ident, $($value:ident),+; $about:ident| $body:expr) => {
        define(&mut $natives, $name, move |$call: NativeCallContext, $($value: Dynamic),+| -> HostResult<()> {
            let $about: Option<ImmutableString> = None;
            $body
        });
        define(
            &mut $natives,
            $name,
            move |$call: NativeCallContext, $($value: Dynamic),+, about: ImmutableString| -> HostResult<()> {
                let $about = Some(about);
                $body
            },
        );
    };
}

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    assertions!(natives, "eq", |call, actual, expected; about| equal(&call, "eq", actual, expected, about));
    assertions!(natives, "ne", |call, actual, unexpected; about| {
        if same(&call, &actual, &unexpected) {
            let failure = Failure::new("ne", "this is what it must not be", actual, unexpected);
            return failure.about(about).throw();
        }
        Ok(())
    });
    assertions!(natives, "ok", |_call, condition; about| {
        match condition.as_bool() {
            Ok(true) => Ok(()),
            Ok(false) => Failure { expected: None, ..Failure::new("ok", "this is not true", condition, Dynamic::UNIT) }
                .about(about)
                .throw(),
            Err(_) => Err(host_error(format!(
                "`assert::ok` wants true or false, this is {}: compare it",
                short_type_name(&condition)
            ))),
        }
    });
    assertions!(natives, "contains", |call, whole, part; about| contains(&call, whole, part, about));
    let patterns = Patterns::default();
    let one = patterns.clone();
    define(&mut natives, "matches", move |text: ImmutableString, pattern: ImmutableString| {
        matches(&one, text, pattern, None)
    });
    define(&mut natives, "matches", move |text: ImmutableString, pattern: ImmutableString, about: ImmutableString| {
        matches(&patterns, text, pattern, Some(about))
    });
    assertions!(natives, "near", |_call, actual, expected, tolerance; about| near(actual, expected, &tolerance, about));
    define(&mut natives, "status", |response: Response, status: i64| status_is(&response, status, None));
    define(&mut natives, "status", |response: Response, status: i64, about: ImmutableString| {
        status_is(&response, status, Some(about))
    });
    assertions!(natives, "json_eq", |call, actual, expected; about| {
        let (actual, expected) = (json(actual, "actual")?, json(expected, "expected")?);
        equal(&call, "json_eq", actual, expected, about)
    });
    define(&mut natives, "throws", |call: NativeCallContext, function: FnPtr| throws(&call, &function, None));
    define(&mut natives, "throws", |call: NativeCallContext, function: FnPtr, part: ImmutableString| {
        throws(&call, &function, Some(part))
    });
    publish(engine, context, MODULE.name, natives);
}

/// Whether two values are the same; those of a host's type as the engine compares them.
fn same(call: &NativeCallContext, one: &Dynamic, other: &Dynamic) -> bool {
    difference::same(one, other).unwrap_or_else(|| {
        let by_engine = call.call_native_fn::<bool>("==", (one.clone(), other.clone()));
        by_engine.unwrap_or(false)
    })
}

fn equal(
    call: &NativeCallContext,
    assertion: &'static str,
    actual: Dynamic,
    expected: Dynamic,
    about: Option<ImmutableString>,
) -> HostResult<()> {
    if same(call, &actual, &expected) {
        return Ok(());
    }
    Failure::new(assertion, "this is not what was expected", actual, expected).about(about).throw()
}

fn contains(call: &NativeCallContext, whole: Dynamic, part: Dynamic, about: Option<ImmutableString>) -> HostResult<()> {
    let found = if let (Ok(whole), Ok(part)) = (whole.as_immutable_string_ref(), part.as_immutable_string_ref()) {
        Some(whole.contains(part.as_str()))
    } else if let Ok(array) = whole.as_array_ref() {
        Some(array.iter().any(|item| same(call, item, &part)))
    } else if let (Ok(map), Ok(key)) = (whole.as_map_ref(), part.as_immutable_string_ref()) {
        Some(map.contains_key(key.as_str()))
    } else {
        None
    };
    match found {
        Some(true) => Ok(()),
        Some(false) => Failure::new("contains", "what was expected is not in it", whole, part).about(about).throw(),
        None => Err(host_error(format!(
            "`assert::contains` looks for a text in a text or in a map's keys, or for a value in an array; this is {} in {}",
            short_type_name(&part),
            short_type_name(&whole)
        ))),
    }
}

fn matches(
    patterns: &Patterns,
    text: ImmutableString,
    pattern: ImmutableString,
    about: Option<ImmutableString>,
) -> HostResult<()> {
    if patterns.is_match(&text, &pattern)? {
        return Ok(());
    }
    Failure::new("matches", "this does not match", text.into(), pattern.into()).about(about).throw()
}

fn near(actual: Dynamic, expected: Dynamic, tolerance: &Dynamic, about: Option<ImmutableString>) -> HostResult<()> {
    let measure = |value: &Dynamic| {
        let duration = value.read_lock::<Duration>().map(|duration| duration.as_secs_f64());
        duration.or_else(|| value.as_float().ok()).or_else(|| value.as_int().ok().map(|int| int as f64))
    };
    let durations = [&actual, &expected, tolerance].iter().filter(|value| value.is::<Duration>()).count();
    let (Some(one), Some(other), Some(most), 0 | 3) =
        (measure(&actual), measure(&expected), measure(tolerance), durations)
    else {
        return Err(host_error(format!(
            "`assert::near` compares numbers or durations, found {}, {} and {}",
            short_type_name(&actual),
            short_type_name(&expected),
            short_type_name(tolerance)
        )));
    };
    // The other way round a value that is no number would be near to everything.
    if (one - other).abs() <= most {
        return Ok(());
    }
    Failure::new("near", "this is too far from what was expected", actual, expected).about(about).throw()
}

fn status_is(response: &Response, status: i64, about: Option<ImmutableString>) -> HostResult<()> {
    let found = i64::from(response.exchange().status);
    if found == status {
        return Ok(());
    }
    let failure = Failure::new("status", "this is not the status that was expected", found.into(), status.into());
    let body = response.text().ok().filter(|body| !body.is_empty());
    Failure { body: body.map(|body| body.chars().take(BODY_MAX).collect::<String>().into()), ..failure }
        .about(about)
        .throw()
}

fn json(value: Dynamic, parameter: &str) -> HostResult<Dynamic> {
    let value = if value.is_string() {
        let text = value.into_immutable_string().unwrap_or_default();
        on_worker_stack(|| serde_json::from_str(&text))
            .map_err(|error| host_error(format!("`assert::json_eq`: `{parameter}` is not JSON: {error}")))?
    } else {
        on_worker_stack(|| json_value::to_value(value))
            .map_err(|error| host_error(format!("`assert::json_eq`: `{parameter}`: {error}")))?
    };
    Ok(json_value::from_value(&value))
}

fn throws(call: &NativeCallContext, function: &FnPtr, part: Option<ImmutableString>) -> HostResult<ImmutableString> {
    let error = match function.call_raw(call, None, []) {
        Err(error) if guard::stopping() => return Err(error),
        Err(error) => error,
        Ok(value) => {
            let failure = Failure::new("throws", "this did not throw", value, Dynamic::UNIT);
            return Failure { expected: None, ..failure }.throw();
        }
    };
    let message: ImmutableString = match innermost(&error) {
        EvalAltResult::ErrorRuntime(thrown, _) => match thrown.as_map_ref() {
            Ok(map) => map.get("message").map_or_else(|| thrown.to_string(), ToString::to_string).into(),
            Err(_) => thrown.to_string().into(),
        },
        other => other.to_string().into(),
    };
    match part {
        Some(part) if !message.contains(part.as_str()) => {
            Failure::new("throws", "this threw something else", message.into(), part.into()).throw()
        }
        _ => Ok(message),
    }
}
