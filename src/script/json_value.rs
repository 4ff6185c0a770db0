//! JSON texts and values to script values, and back.
//!
//! Integers stay integers; those that a script's integers cannot hold become floats. `null` is `()`. Iterative like
//! `lazy_json`, for the same reason.

use std::time::Duration;
use std::{slice, vec};

use rhai::{Array, Dynamic, FLOAT, INT, ImmutableString, Map};
use serde_json::Value;

use super::lazy_json::{DEPTH_MAX, JsonError, Reader};
use super::modules::data::Row;
use super::modules::duration;
use super::modules::http::{CookieJar, Response, StreamEvent};

impl Reader<'_> {
    /// A value and all it contains, as scripts see it.
    pub(super) fn value(self, node: usize) -> Dynamic {
        let mut open: Vec<Open> = Vec::new();
        let mut at = node;
        loop {
            let end = self.after(at);
            let first = self.byte(at);
            at += 1;
            let mut value = match first {
                b'[' if at < end => {
                    open.push(Open::Array { items: Array::new(), end });
                    continue;
                }
                b'{' if at < end => {
                    open.push(Open::Map { map: Map::new(), key: at, end });
                    at += 1;
                    continue;
                }
                b'[' => Array::new().into(),
                b'{' => Map::new().into(),
                b'"' => ImmutableString::from(&*self.string(at - 1)).into(),
                b't' => true.into(),
                b'f' => false.into(),
                b'n' => Dynamic::UNIT,
                _ => number(self.token(at - 1)),
            };
            // Puts the value into what is open, and closes what ends with it.
            loop {
                match open.last_mut() {
                    None => return value,
                    Some(Open::Array { items, end }) => {
                        items.push(value);
                        if at < *end {
                            break;
                        }
                        value = std::mem::take(items).into();
                    }
                    Some(Open::Map { map, key, end }) => {
                        map.insert((*self.string(*key)).into(), value);
                        if at < *end {
                            *key = at;
                            at += 1;
                            break;
                        }
                        value = std::mem::take(map).into();
                    }
                }
                open.pop();
            }
        }
    }
}

/// An array or object that is being filled; `end` is the node after it, `key` the node of the member's name.
enum Open {
    Array { items: Array, end: usize },
    Map { map: Map, key: usize, end: usize },
}

fn number(token: &str) -> Dynamic {
    match token.parse::<INT>() {
        Ok(integer) => integer.into(),
        Err(_) => token.parse::<FLOAT>().unwrap_or(FLOAT::NAN).into(),
    }
}

/// A JSON value as scripts see it.
pub fn from_value(value: &Value) -> Dynamic {
    enum Open<'a> {
        Array(Array, slice::Iter<'a, Value>),
        Map(Map, &'a str, serde_json::map::Iter<'a>),
    }
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut next = value;
    loop {
        let mut made = match next {
            Value::Null => Dynamic::UNIT,
            Value::Bool(flag) => (*flag).into(),
            Value::Number(number) => match number.as_i64() {
                Some(integer) => integer.into(),
                None => number.as_f64().unwrap_or(FLOAT::NAN).into(),
            },
            Value::String(text) => text.as_str().into(),
            Value::Array(items) => {
                let mut rest = items.iter();
                match rest.next() {
                    None => Array::new().into(),
                    Some(first) => {
                        open.push(Open::Array(Array::with_capacity(items.len()), rest));
                        next = first;
                        continue;
                    }
                }
            }
            Value::Object(members) => {
                let mut rest = members.iter();
                match rest.next() {
                    None => Map::new().into(),
                    Some((key, first)) => {
                        open.push(Open::Map(Map::new(), key, rest));
                        next = first;
                        continue;
                    }
                }
            }
        };
        loop {
            match open.last_mut() {
                None => return made,
                Some(Open::Array(items, rest)) => {
                    items.push(made);
                    if let Some(item) = rest.next() {
                        next = item;
                        break;
                    }
                    made = std::mem::take(items).into();
                }
                Some(Open::Map(map, key, rest)) => {
                    map.insert((*key).into(), made);
                    if let Some((following, item)) = rest.next() {
                        *key = following;
                        next = item;
                        break;
                    }
                    made = std::mem::take(map).into();
                }
            }
            open.pop();
        }
    }
}

/// A script's value as a JSON value.
///
/// # Errors
/// When it, or something in it, has no JSON form, or when it nests too deep.
pub fn to_value(value: Dynamic) -> Result<Value, JsonError> {
    let text = stringify(value, false)?;
    // What `stringify` writes is JSON within serde_json's own depth.
    serde_json::from_str(&text).map_err(|_| JsonError::ValueTooDeep)
}

/// A script's value as a JSON text; `pretty` puts each member and element on a line of its own.
///
/// Durations become their texts (`"1.5s"`), rows of data files objects, responses objects of `url`, `status`, `headers` and `body`.
///
/// # Errors
/// When it, or something in it, has no JSON form (functions, blobs, infinite numbers), or when it nests too deep.
pub fn stringify(value: Dynamic, pretty: bool) -> Result<String, JsonError> {
    enum Open {
        Array(vec::IntoIter<Dynamic>),
        Map(<Map as IntoIterator>::IntoIter),
    }
    let mut out = String::new();
    let mut open: Vec<Open> = Vec::new();
    let mut next = Some(value);
    // Whether the innermost open array or object has something in it already.
    let mut follows = false;
    loop {
        if let Some(value) = next.take() {
            let value = plain(value);
            if open.len() == DEPTH_MAX && (value.is_array() || value.is_map()) {
                return Err(JsonError::ValueTooDeep);
            }
            follows = true;
            if value.is_array() {
                out.push('[');
                open.push(Open::Array(value.cast::<Array>().into_iter()));
                follows = false;
            } else if value.is_map() {
                out.push('{');
                open.push(Open::Map(value.cast::<Map>().into_iter()));
                follows = false;
            } else {
                scalar(&value, &mut out)?;
            }
        }
        let depth = open.len();
        let (key, item, closing) = match open.last_mut() {
            None => return Ok(out),
            Some(Open::Array(items)) => (None, items.next(), ']'),
            Some(Open::Map(members)) => match members.next() {
                Some((key, item)) => (Some(key), Some(item), '}'),
                None => (None, None, '}'),
            },
        };
        if item.is_none() {
            open.pop();
            if pretty && follows {
                new_line(depth - 1, &mut out);
            }
            out.push(closing);
            follows = true;
            continue;
        }
        if follows {
            out.push(',');
        }
        if pretty {
            new_line(depth, &mut out);
        }
        if let Some(key) = key {
            quote(&key, &mut out);
            out.push_str(if pretty { ": " } else { ":" });
        }
        next = item;
    }
}

fn new_line(depth: usize, out: &mut String) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c < ' ' || c == '"' || c == '\\') {
        out.push_str(&rest[..at]);
        let byte = rest.as_bytes()[at];
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push_str("\\u00");
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// The value in the form that JSON knows: shared captures as what they hold, rows of data files as maps, durations as
/// texts, responses and events of streams as maps of what they hold, cookie jars as arrays of their cookies.
fn plain(value: Dynamic) -> Dynamic {
    let value = value.flatten();
    if !value.is_variant() {
        return value;
    }
    if let Some(row) = value.read_lock::<Row>() {
        return row.to_map().into();
    }
    if let Some(duration) = value.read_lock::<Duration>() {
        return duration::to_text(*duration).into();
    }
    if let Some(response) = value.read_lock::<Response>() {
        return response.to_map().into();
    }
    if let Some(jar) = value.read_lock::<CookieJar>() {
        return jar.to_array().into();
    }
    if let Some(event) = value.read_lock::<StreamEvent>() {
        return event.to_map().into();
    }
    value
}

fn scalar(value: &Dynamic, out: &mut String) -> Result<(), JsonError> {
    use std::fmt::Write;

    if value.is_unit() {
        out.push_str("null");
    } else if let Ok(flag) = value.as_bool() {
        out.push_str(if flag { "true" } else { "false" });
    } else if let Ok(integer) = value.as_int() {
        // Writing into a string cannot fail.
        let _ = write!(out, "{integer}");
    } else if let Ok(float) = value.as_float() {
        let number =
            serde_json::Number::from_f64(float).ok_or_else(|| JsonError::NotFinite { number: float.to_string() })?;
        let _ = write!(out, "{number}");
    } else if let Ok(text) = value.as_immutable_string_ref() {
        quote(&text, out);
    } else if let Ok(c) = value.as_char() {
        quote(c.encode_utf8(&mut [0; 4]), out);
    } else {
        return Err(no_form(value));
    }
    Ok(())
}

fn no_form(value: &Dynamic) -> JsonError {
    let hint = if value.is_blob() { ": encode it first, for example with `crypto::base64_encode`" } else { "" };
    JsonError::NoForm { kind: value.type_name().to_owned(), hint }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::script::lazy_json::LazyJson;

    fn parse(text: &str) -> Dynamic {
        LazyJson::new(Bytes::copy_from_slice(text.as_bytes())).value().unwrap()
    }

    #[test]
    fn numbers_keep_their_kind() {
        let table = [
            ("0", "i64", "0"),
            ("-7", "i64", "-7"),
            ("9223372036854775807", "i64", "9223372036854775807"),
            ("9223372036854775808", "f64", "9.223372036854776e18"),
            ("18446744073709551615", "f64", "1.8446744073709552e19"),
            ("1.0", "f64", "1.0"),
            ("-2.5e-3", "f64", "-0.0025"),
        ];
        for (text, kind, printed) in table {
            let value = parse(text);
            assert_eq!(value.type_name(), kind, "{text}");
            let again: Value = serde_json::from_str(text).unwrap();
            assert_eq!(from_value(&again).type_name(), kind, "{text} by way of serde_json");
            assert_eq!(stringify(value, false).unwrap().replace("e+", "e"), printed);
        }
    }

    #[test]
    fn texts_and_values_go_there_and_back() {
        let table = [
            "null",
            "true",
            r#""""#,
            r#""a \"quote\", a \\, a line\nand \u0001""#,
            "[]",
            "{}",
            "[[],{},[[1]]]",
            r#"{"a":{"b":[1,2.5,"x",null,false]},"c":{}}"#,
        ];
        for text in table {
            assert_eq!(stringify(parse(text), false).unwrap(), text);
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(stringify(from_value(&value), false).unwrap(), text);
            assert_eq!(to_value(parse(text)).unwrap(), value);
        }
    }

    #[test]
    fn pretty_is_what_serde_json_calls_pretty() {
        let value = json!({"a": [1, {"b": []}], "c": {}, "d": [[2]]});
        assert_eq!(stringify(from_value(&value), true).unwrap(), serde_json::to_string_pretty(&value).unwrap());
    }

    #[test]
    fn refuses_what_has_no_json_form() {
        let shared = Dynamic::from(vec![Dynamic::from(1_i64)]).into_shared();
        assert_eq!(stringify(shared, false).unwrap(), "[1]", "captured variables are ordinary values");
        let table: [(Dynamic, &str); 3] = [
            (Dynamic::from_float(f64::INFINITY), "`inf` has no JSON form: JSON numbers are finite"),
            (
                Dynamic::from_blob(vec![1]),
                "a value of type `blob` has no JSON form: encode it first, for example with `crypto::base64_encode`",
            ),
            (Dynamic::from(rhai::FnPtr::new("f").unwrap()), "a value of type `Fn` has no JSON form"),
        ];
        for (value, expected) in table {
            assert_eq!(stringify(value, false).unwrap_err().to_string(), expected);
        }
        let nested =
            |depth: usize| (1..depth).fold(Dynamic::from_array(vec![]), |inner, _| Dynamic::from_array(vec![inner]));
        assert!(stringify(nested(DEPTH_MAX), false).is_ok());
        assert_eq!(stringify(nested(DEPTH_MAX + 1), false).unwrap_err(), JsonError::ValueTooDeep);
    }

    #[test]
    fn the_deepest_values_need_no_more_than_a_small_stack() {
        let text = format!("{}1{}", r#"[{"a":"#.repeat(DEPTH_MAX / 2), "}]".repeat(DEPTH_MAX / 2));
        let there_and_back = move || (stringify(parse(&text), false).unwrap() == text, text);
        let small = std::thread::Builder::new().stack_size(64 * 1024);
        let (same, text) = small.spawn(there_and_back).unwrap().join().unwrap();
        assert!(same, "{text}");
    }
}
