//! The values of calls that failed, noted while they are at hand.
//!
//! Rhai names the types of what it could not call a function with, but not the values, and when its error arrives they
//! are gone. It does ask for help before it gives up: what it asks with is noted here, a few of them, the newest last.
//! That happens on the way of an error alone, so it costs nothing else.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use rhai::{Dynamic, Engine};

/// How many failed calls are remembered: the error may pass through a few native functions on its way out.
const NOTED_MAX: usize = 8;

/// How long a value's text may get, in characters.
const VALUE_MAX: usize = 60;

/// How many elements of an array or map are shown.
const ELEMENTS_MAX: usize = 4;

/// How deep nested data is shown.
const DEPTH_MAX: usize = 2;

/// The calls that failed last on a worker.
#[derive(Clone, Debug, Default)]
pub struct Evidence(Rc<RefCell<VecDeque<Call>>>);

#[derive(Debug)]
struct Call {
    /// As Rhai's error names it: `+ ((), i64)`.
    signature: String,
    values: Vec<String>,
}

impl Evidence {
    /// Notes a call that failed. Gives its signature.
    pub fn note(&self, engine: &Engine, function: &str, arguments: &[&mut Dynamic]) -> String {
        let types: Vec<_> = arguments
            .iter()
            .map(|argument| match argument.is_string() {
                true => "&str | ImmutableString | String",
                false => engine.map_type_name(argument.type_name()),
            })
            .collect();
        let signature = format!("{function} ({})", types.join(", "));
        if arguments.is_empty() {
            return signature;
        }
        let values = arguments.iter().map(|argument| short_value(argument)).collect();
        let mut noted = self.0.borrow_mut();
        if noted.len() == NOTED_MAX {
            noted.pop_front();
        }
        noted.push_back(Call { signature: signature.clone(), values });
        signature
    }

    /// The values with which the function of this signature was called last, and forgets all of them.
    pub fn take(&self, signature: &str) -> Option<Vec<String>> {
        let mut noted = self.0.borrow_mut();
        let found = noted.iter().rev().find(|call| call.signature == signature).map(|call| call.values.clone());
        noted.clear();
        found
    }
}

/// A value with its type, short: `5 (int)`, `"ann" (string)`, `[1, 2, .. 9 in all] (array)`, `()`.
#[must_use]
pub fn short_value(value: &Dynamic) -> String {
    if value.is_unit() {
        return "()".to_owned();
    }
    let mut out = String::new();
    write_value(&mut out, value, 0);
    if out.chars().count() > VALUE_MAX {
        out = out.chars().take(VALUE_MAX - 2).collect::<String>() + "..";
    }
    let kind = type_words(value.type_name());
    if out.is_empty() { format!("a {kind}") } else { format!("{out} ({kind})") }
}

fn write_value(out: &mut String, value: &Dynamic, depth: usize) {
    if let Ok(text) = value.as_immutable_string_ref() {
        let shown: String = text.chars().take(VALUE_MAX).collect();
        *out += &format!("\"{}\"", shown.escape_debug());
    } else if let Ok(array) = value.as_array_ref() {
        let items = array.iter().map(|item| (None, item));
        write_elements(out, ["[", "]"], items, array.len(), depth);
    } else if let Ok(map) = value.as_map_ref() {
        let entries = map.iter().map(|(key, item)| (Some(key.as_str()), item));
        write_elements(out, if map.is_empty() { ["#{", "}"] } else { ["#{ ", " }"] }, entries, map.len(), depth);
    } else if let Some(duration) = value.read_lock::<std::time::Duration>() {
        *out += &crate::units::format::format_duration(*duration);
    } else if value.is_unit() {
        *out += "()";
    } else if value.is_int() || value.is_float() || value.is_bool() || value.is_char() {
        *out += &value.to_string();
    } else if depth > 0 {
        *out += type_words(value.type_name());
    }
}

fn write_elements<'a>(
    out: &mut String,
    [open, close]: [&str; 2],
    elements: impl Iterator<Item = (Option<&'a str>, &'a Dynamic)>,
    len: usize,
    depth: usize,
) {
    *out += open;
    let shown = if depth < DEPTH_MAX { ELEMENTS_MAX } else { 0 };
    for (n, (key, element)) in elements.take(shown).enumerate() {
        *out += if n > 0 { ", " } else { "" };
        if let Some(key) = key {
            *out += &format!("{key}: ");
        }
        write_value(out, element, depth + 1);
    }
    if len > shown {
        *out += &format!("{}.. {len} in all", if shown > 0 { ", " } else { "" });
    }
    *out += close;
}

/// A type in the words that scripts know.
#[must_use]
pub fn type_words(name: &str) -> &str {
    match name {
        "i64" => "int",
        "f64" => "float",
        "&str | ImmutableString | String" | "&str" | "alloc::string::String" => "string",
        name if name.ends_with("::FnPtr") || name == "Fn" => "function",
        "core::time::Duration" | "Duration" => "duration",
        name => name.rsplit("::").next().unwrap_or(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(expression: &str) -> String {
        short_value(&Engine::new().eval::<Dynamic>(expression).expect("an expression"))
    }

    #[test]
    fn values_are_short_and_carry_their_type() {
        for (expression, expected) in [
            ("5", "5 (int)"),
            ("1.5", "1.5 (float)"),
            ("()", "()"),
            ("true", "true (bool)"),
            ("\"a\\nb\"", "\"a\\nb\" (string)"),
            ("[]", "[] (array)"),
            ("[1, \"two\", [3, [4]]]", "[1, \"two\", [3, [.. 1 in all]]] (array)"),
            ("[1, 2, 3, 4, 5, 6]", "[1, 2, 3, 4, .. 6 in all] (array)"),
            ("#{}", "#{} (map)"),
            ("#{ a: 1, b: () }", "#{ a: 1, b: () } (map)"),
            ("|x| x", "a function"),
        ] {
            assert_eq!(shown(expression), expected, "{expression}");
        }
        let long = shown("let s = \"\"; for n in 0..1000 { s += \"x\"; } s");
        assert!(long.chars().count() < 80 && long.ends_with(".. (string)"), "{long}");
    }

    #[test]
    fn nested_data_is_not_followed_without_end() {
        let deep = shown("let a = [1]; for n in 0..200 { a = [a]; } a");
        assert!(deep.chars().count() < 100, "{deep}");
    }
}
