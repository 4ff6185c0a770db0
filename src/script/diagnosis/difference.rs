//! Two values that should be the same, side by side: what an assertion shows when it fails.

use std::time::Duration;

use rhai::Dynamic;
use similar::{ChangeTag, TextDiff};

use super::evidence::short_value;

/// Values whose text is longer than this, or has several lines, are compared line by line.
const INLINE_MAX: usize = 60;

/// How many lines without a difference are shown around one.
const CONTEXT_LINES: usize = 2;

/// How many lines of differences are shown.
const LINES_MAX: usize = 40;

/// How many characters around the first difference of two long lines are shown.
const EXCERPT: usize = 24;

/// How deep nested data is written out.
const DEPTH_MAX: usize = 12;

/// The lines that show how two values differ; `name` is what the first was called in the script.
#[must_use]
pub fn lines(name: &str, actual: &Dynamic, expected: &Dynamic) -> Vec<String> {
    let (left, right) = (pretty(actual), pretty(expected));
    let both_long = left.chars().count().max(right.chars().count()) > INLINE_MAX;
    let many_lines = left.contains('\n') && right.contains('\n');
    if actual.type_name() == expected.type_name() && many_lines {
        let mut out = vec![format!("`{name}` differs from what was expected (-) so (+):")];
        out.extend(line_by_line(&right, &left));
        return out;
    }
    if both_long && actual.is_string() && expected.is_string() && !left.contains('\n') && !right.contains('\n') {
        return excerpts(name, &left, &right);
    }
    vec![format!("`{name}` is {}", short_value(actual)), format!("expected {}", short_value(expected))]
}

fn line_by_line(expected: &str, actual: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(expected, actual);
    let mut out = Vec::new();
    for (n, group) in diff.grouped_ops(CONTEXT_LINES).iter().enumerate() {
        if n > 0 {
            out.push("    ..".to_owned());
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            out.push(format!("  {sign} {}", change.value().trim_end()).trim_end().to_owned());
        }
    }
    let more = out.len().saturating_sub(LINES_MAX);
    out.truncate(LINES_MAX);
    if more > 0 {
        out.push(format!("    .. {more} more lines"));
    }
    out
}

/// Two long lines around the first character in which they differ.
fn excerpts(name: &str, actual: &str, expected: &str) -> Vec<String> {
    let same = actual.chars().zip(expected.chars()).take_while(|(one, other)| one == other).count();
    let around = |text: &str| {
        let from = same.saturating_sub(EXCERPT);
        let part: String = text.chars().skip(from).take(2 * EXCERPT).collect();
        let before = if from > 0 { ".." } else { "" };
        let after = if text.chars().count() > from + 2 * EXCERPT { ".." } else { "" };
        format!("{before}{part}{after}")
    };
    vec![
        format!("`{name}` and what was expected differ from character {} on", same + 1),
        format!("`{name}` is {}", around(actual)),
        format!("expected {}", around(expected)),
    ]
}

/// A value over as many lines as it needs; a text as it is.
fn pretty(value: &Dynamic) -> String {
    match value.as_immutable_string_ref() {
        Ok(text) => text.to_string(),
        Err(_) => {
            let mut out = String::new();
            write_pretty(&mut out, value, 0);
            out
        }
    }
}

fn write_pretty(out: &mut String, value: &Dynamic, depth: usize) {
    let indent = "  ".repeat(depth + 1);
    let close = "  ".repeat(depth);
    if depth >= DEPTH_MAX {
        *out += "..";
    } else if let Ok(array) = value.as_array_ref() {
        if array.is_empty() {
            *out += "[]";
            return;
        }
        *out += "[\n";
        for item in array.iter() {
            *out += &indent;
            write_pretty(out, item, depth + 1);
            *out += ",\n";
        }
        *out += &format!("{close}]");
    } else if let Ok(map) = value.as_map_ref() {
        if map.is_empty() {
            *out += "#{}";
            return;
        }
        *out += "#{\n";
        for (key, item) in map.iter() {
            *out += &format!("{indent}{key}: ");
            write_pretty(out, item, depth + 1);
            *out += ",\n";
        }
        *out += &format!("{close}}}");
    } else if let Ok(text) = value.as_immutable_string_ref() {
        *out += &format!("\"{}\"", text.escape_debug());
    } else {
        *out += short_value(value).rsplit_once(" (").map_or("()", |(text, _)| text);
    }
}

/// Whether two values are the same: numbers by their value, arrays and maps by what is in them. None for values of a
/// host's type, which only the engine can compare.
#[must_use]
pub fn same(one: &Dynamic, other: &Dynamic) -> Option<bool> {
    same_within(one, other, 0)
}

fn same_within(one: &Dynamic, other: &Dynamic, depth: usize) -> Option<bool> {
    if depth > 64 {
        return Some(false);
    }
    if let (Ok(one), Ok(other)) = (one.as_array_ref(), other.as_array_ref()) {
        if one.len() != other.len() {
            return Some(false);
        }
        return all(one.iter().zip(other.iter()).map(|(one, other)| same_within(one, other, depth + 1)));
    }
    if let (Ok(one), Ok(other)) = (one.as_map_ref(), other.as_map_ref()) {
        if one.len() != other.len() {
            return Some(false);
        }
        return all(one.iter().map(|(key, value)| match other.get(key) {
            Some(other) => same_within(value, other, depth + 1),
            None => Some(false),
        }));
    }
    if let (Some(one), Some(other)) = (number(one), number(other)) {
        // To Rhai an int and a float are equal when they are the same number.
        return Some(one == other);
    }
    if let (Ok(one), Ok(other)) = (one.as_int(), other.as_int()) {
        return Some(one == other);
    }
    if let (Ok(one), Ok(other)) = (one.as_immutable_string_ref(), other.as_immutable_string_ref()) {
        return Some(*one == *other);
    }
    if let (Some(one), Some(other)) = (one.read_lock::<Duration>(), other.read_lock::<Duration>()) {
        return Some(*one == *other);
    }
    if let (Ok(one), Ok(other)) = (one.as_blob_ref(), other.as_blob_ref()) {
        return Some(*one == *other);
    }
    match (one.as_bool(), other.as_bool(), one.as_char(), other.as_char()) {
        (Ok(one), Ok(other), ..) => return Some(one == other),
        (.., Ok(one), Ok(other)) => return Some(one == other),
        _ => {}
    }
    if one.is_unit() && other.is_unit() {
        return Some(true);
    }
    if one.type_id() == other.type_id() { None } else { Some(false) }
}

/// A number as a float, where one of the two is a float; two ints are compared as they are.
fn number(value: &Dynamic) -> Option<f64> {
    value.as_float().ok().or_else(|| {
        let int = value.as_int().ok()?;
        // Beyond this a float does not hold each int.
        (int.unsigned_abs() <= 1 << 53).then_some(int as f64)
    })
}

fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut unsure = false;
    for part in parts {
        match part {
            Some(true) => {}
            Some(false) => return Some(false),
            None => unsure = true,
        }
    }
    if unsure { None } else { Some(true) }
}

#[cfg(test)]
mod tests {
    use rhai::Engine;

    use super::*;

    fn value(expression: &str) -> Dynamic {
        Engine::new().eval(expression).expect("an expression")
    }

    #[test]
    fn values_are_the_same_by_what_is_in_them() {
        for (one, other, expected) in [
            ("1", "1", true),
            ("1", "1.0", true),
            ("1", "2", false),
            ("9007199254740993", "9007199254740992", false),
            ("\"a\"", "\"a\"", true),
            ("\"1\"", "1", false),
            ("[1, [2, #{ a: 3 }]]", "[1, [2.0, #{ a: 3 }]]", true),
            ("#{ a: 1 }", "#{ a: 1, b: 2 }", false),
            ("#{ a: 1, b: 2 }", "#{ a: 1, c: 2 }", false),
            ("()", "()", true),
            ("()", "0", false),
            ("true", "true", true),
            ("'a'", "\"a\"", false),
            ("0.0 / 0.0", "0.0 / 0.0", false),
        ] {
            assert_eq!(same(&value(one), &value(other)), Some(expected), "{one} and {other}");
        }
    }

    #[test]
    fn short_values_stand_below_each_other() {
        assert_eq!(lines("n", &value("1"), &value("\"1\"")), ["`n` is 1 (int)", "expected \"1\" (string)"]);
        assert_eq!(lines("a", &value("[]"), &value("[1]")), ["`a` is [] (array)", "expected [1] (array)"]);
    }

    #[test]
    fn maps_arrays_and_texts_of_several_lines_are_compared_line_by_line() {
        let actual = value("#{ name: \"ann\", age: 31, tags: [\"a\", \"b\"] }");
        let expected = value("#{ name: \"bob\", age: 31, tags: [\"a\", \"b\", \"c\"] }");
        insta::assert_snapshot!(lines("user", &actual, &expected).join("\n"), @r#"
        `user` differs from what was expected (-) so (+):
            #{
              age: 31,
          -   name: "bob",
          +   name: "ann",
              tags: [
                "a",
                "b",
          -     "c",
              ],
            }
        "#);
        let text = lines("body", &value("\"one\\ntwo\\nthree\""), &value("\"one\\n2\\nthree\""));
        assert_eq!(text[1..], ["    one", "  - 2", "  + two", "    three"]);
    }

    #[test]
    fn long_lines_are_shown_around_their_first_difference() {
        let long = |end: &str| Dynamic::from(format!("{}{end}", "x".repeat(100)));
        let shown = lines("body", &long("abc"), &long("abd"));
        assert_eq!(shown[0], "`body` and what was expected differ from character 103 on");
        assert!(shown[1].starts_with("`body` is ..xx") && shown[1].ends_with("xabc"), "{shown:?}");
        assert!(shown[2].starts_with("expected ..xx") && shown[2].ends_with("xabd"), "{shown:?}");
    }
}
