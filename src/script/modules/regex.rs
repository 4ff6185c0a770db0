//! Regular expressions: look for a pattern, take parts out, replace, split.
//!
//! The engine runs in time linear in the text, whatever the pattern; there are no look-arounds and no back-references.
//! A pattern is compiled once a worker, up to [`PATTERNS_MAX`] of them, and may not become larger than
//! [`COMPILED_BYTES_MAX`].

use std::rc::Rc;

use regex::{Captures, Regex, RegexBuilder};
use rhai::{Array, Dynamic, Engine, INT, ImmutableString, Map};

use super::argument::count;
use super::{FunctionDoc, HostModule, HostResult, Natives, define, publish};
use crate::script::bridge::on_worker_stack;
use crate::script::context::HostContext;
use crate::script::error::host_error;
use crate::script::worker_cache::WorkerCache;

/// How many compiled patterns a worker remembers.
pub const PATTERNS_MAX: usize = 256;

/// How many bytes a compiled pattern may take.
pub const COMPILED_BYTES_MAX: usize = 1 << 20;

/// How deep groups may nest. The compiler goes as deep into its stack as a pattern nests.
const NESTING_MAX: u32 = 50;

/// The module.
pub const MODULE: HostModule = HostModule {
    name: "regex",
    summary: "Regular expressions. Raw strings spare the doubling of backslashes: #\"\\d+\"#.",
    docs: DOCS,
    register,
};

const TEXT: (&str, &str) = ("text", "what is searched");
const PATTERN: (&str, &str) =
    ("pattern", "a regular expression, without slashes around it; `(?i)` at its start ignores case");
const ERRORS: &str = "when the pattern is not a regular expression, or too large";

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "regex::matches(text, pattern) -> bool",
        summary: "Whether the pattern occurs anywhere in the text.",
        parameters: &[TEXT, PATTERN],
        errors: ERRORS,
        example: "
            assert_eq(regex::matches(\"order 42\", #\"\\d+\"#), true);
            assert_eq(regex::matches(\"order 42\", \"^[0-9]\"), false);
            assert_error(|| regex::matches(\"x\", \"(x\"), \"position 1\");
        ",
    },
    FunctionDoc {
        signature: "regex::find(text, pattern) -> string",
        summary: "The first match, or `()`.",
        parameters: &[TEXT, PATTERN],
        errors: ERRORS,
        example: "
            assert_eq(regex::find(\"order 42 of 99\", #\"\\d+\"#), \"42\");
            assert_eq(regex::find(\"no order\", #\"\\d+\"#), ());
        ",
    },
    FunctionDoc {
        signature: "regex::find_all(text, pattern) -> array",
        summary: "All matches, one after the other.",
        parameters: &[TEXT, PATTERN],
        errors: ERRORS,
        example: "
            assert_eq(regex::find_all(\"a1 b22\", #\"\\d+\"#), [\"1\", \"22\"]);
            assert_eq(regex::find_all(\"none\", #\"\\d+\"#), []);
        ",
    },
    FunctionDoc {
        signature: "regex::captures(text, pattern) -> map or array",
        summary: "The groups of the first match, or `()`: a map when the pattern names groups, else an array with the whole match first.",
        parameters: &[TEXT, PATTERN],
        errors: ERRORS,
        example: "
            let page = `<input name=\"csrf\" value=\"t0ken\">`;
            assert_eq(regex::captures(page, #\"name=\"(\\w+)\" value=\"(\\w+)\"\"#), [#\"name=\"csrf\" value=\"t0ken\"\"#, \"csrf\", \"t0ken\"]);
            assert_eq(regex::captures(page, #\"value=\"(?<token>\\w+)\"\"#).token, \"t0ken\");
            assert_eq(regex::captures(page, \"(nothing)\"), ());
            assert_eq(regex::captures(\"b\", \"(a)?b\"), [\"b\", ()]);
        ",
    },
    FunctionDoc {
        signature: "regex::replace(text, pattern, replacement) -> string",
        summary: "The text with all matches replaced.",
        parameters: &[TEXT, PATTERN, ("replacement", "`$1`, `${name}` stand for groups, `$$` for a dollar sign")],
        errors: ERRORS,
        example: "
            assert_eq(regex::replace(\"a-b-c\", \"-\", \"+\"), \"a+b+c\");
            assert_eq(regex::replace(\"2023-11\", #\"(\\d+)-(\\d+)\"#, \"$2/$1\"), \"11/2023\");
        ",
    },
    FunctionDoc {
        signature: "regex::split(text, pattern) -> array, regex::split(text, pattern, limit) -> array",
        summary: "The parts between matches.",
        parameters: &[TEXT, PATTERN, ("limit", "at most so many parts; the last keeps the rest")],
        errors: ERRORS,
        example: "
            assert_eq(regex::split(\"a, b;c\", #\"[,;]\\s*\"#), [\"a\", \"b\", \"c\"]);
            assert_eq(regex::split(\"a,b,c\", \",\", 2), [\"a\", \"b,c\"]);
        ",
    },
];

/// Why a pattern cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum PatternError {
    #[error("`{pattern}` is not a regular expression: {problem}, at position {position}{hint}")]
    Syntax { pattern: String, problem: String, position: usize, hint: &'static str },
    #[error("`{pattern}` becomes larger than {COMPILED_BYTES_MAX} bytes when compiled: use smaller repetitions")]
    TooLarge { pattern: String },
}

fn compile(pattern: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(pattern)
        .size_limit(COMPILED_BYTES_MAX)
        .dfa_size_limit(COMPILED_BYTES_MAX)
        .nest_limit(NESTING_MAX)
        .build()
        .map_err(|error| {
            let shown = shortened(pattern);
            match error {
                regex::Error::CompiledTooBig(_) => PatternError::TooLarge { pattern: shown },
                error => syntax_error(shown, pattern, &error.to_string()),
            }
        })
}

/// What the parser says about a pattern, in one line. The `regex` crate gives a picture of several lines: the pattern,
/// carets under the fault, and the problem after `error: `.
fn syntax_error(shown: String, pattern: &str, picture: &str) -> PatternError {
    let problem = picture.rsplit_once("error: ").map_or(picture, |(_, problem)| problem).trim().to_owned();
    // Only of a pattern of one line: the pictures of others are laid out differently.
    let caret = picture.lines().find_map(|line| {
        let before = line.len() - line.trim_start().len();
        line.trim_start().starts_with('^').then_some(before)
    });
    let indent = picture.lines().nth(1).map_or(0, |line| line.len() - line.trim_start().len());
    let position = caret.filter(|_| !pattern.contains('\n')).map_or(1, |caret| caret.saturating_sub(indent) + 1);
    let hint = if problem.contains("look-around") || problem.contains("backreference") {
        "; take the match with a group, and look at its surroundings in the script"
    } else if problem.contains("unclosed group") || problem.contains("unopened group") {
        "; a parenthesis that is meant as itself is written `\\(`"
    } else if problem.contains("repetition operator missing expression") {
        "; a `*`, `+` or `?` that is meant as itself is written `\\*`"
    } else {
        ""
    };
    PatternError::Syntax { pattern: shown, problem, position, hint }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A worker's compiled patterns.
#[derive(Clone, Debug)]
pub struct Patterns(Rc<WorkerCache<Regex>>);

impl Default for Patterns {
    fn default() -> Self {
        Self(Rc::new(WorkerCache::new(PATTERNS_MAX)))
    }
}

impl Patterns {
    /// Whether the pattern occurs in the text.
    ///
    /// # Errors
    /// When it is not a regular expression.
    pub fn is_match(&self, text: &str, pattern: &str) -> HostResult<bool> {
        on_worker_stack(|| self.get(pattern).map(|compiled| compiled.is_match(text)))
    }

    /// What the first match has taken out, or `()`: see [`taken`].
    ///
    /// # Errors
    /// When it is not a regular expression.
    pub fn first(&self, text: &str, pattern: &str) -> HostResult<Dynamic> {
        on_worker_stack(|| {
            let regex = self.get(pattern)?;
            Ok(regex.captures(text).map_or(Dynamic::UNIT, |found| taken(&regex, &found)))
        })
    }

    /// What each match has taken out.
    ///
    /// # Errors
    /// When it is not a regular expression.
    pub fn all(&self, text: &str, pattern: &str) -> HostResult<Array> {
        on_worker_stack(|| {
            let regex = self.get(pattern)?;
            Ok(regex.captures_iter(text).map(|found| taken(&regex, &found)).collect())
        })
    }

    fn get(&self, pattern: &str) -> HostResult<Rc<Regex>> {
        self.0.get_or_make(pattern, compile).map_err(|error| host_error(error.to_string()))
    }
}

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    let patterns = Patterns::default();
    macro_rules! search {
        ($name:literal, |$regex:ident, $text:ident $(, $argument:ident: $kind:ty)*| $body:expr) => {{
            let patterns = patterns.clone();
            define(&mut natives, $name, move |text: ImmutableString, pattern: ImmutableString $(, $argument: $kind)*| {
                on_worker_stack(|| -> HostResult<_> {
                    let compiled = patterns.get(&pattern)?;
                    let ($regex, $text): (&Regex, &str) = (&compiled, &text);
                    $body
                })
            });
        }};
    }
    search!("matches", |regex, text| Ok(regex.is_match(text)));
    search!("find", |regex, text| Ok(regex.find(text).map_or(Dynamic::UNIT, |found| found.as_str().into())));
    search!("find_all", |regex, text| Ok(texts(regex.find_iter(text).map(|found| found.as_str()))));
    search!("captures", |regex, text| Ok(regex.captures(text).map_or(Dynamic::UNIT, |found| groups(regex, &found))));
    search!("replace", |regex, text, replacement: ImmutableString| {
        Ok(ImmutableString::from(&*regex.replace_all(text, replacement.as_str())))
    });
    search!("split", |regex, text| Ok(texts(regex.split(text))));
    search!("split", |regex, text, limit: INT| {
        Ok(texts(regex.splitn(text, count(limit, "regex::split", "limit")?)))
    });
    publish(engine, context, MODULE.name, natives);
}

fn texts<'a>(parts: impl Iterator<Item = &'a str>) -> Array {
    parts.map(|part| part.into()).collect()
}

/// What a pattern is to take out of a text: its only group; of several groups a map where they have names, else an array;
/// without groups all that matched.
fn taken(regex: &Regex, found: &Captures<'_>) -> Dynamic {
    let text = |group: Option<regex::Match<'_>>| group.map_or(Dynamic::UNIT, |group| group.as_str().into());
    match regex.captures_len() {
        1 => text(found.get(0)),
        2 => text(found.get(1)),
        _ if regex.capture_names().flatten().next().is_some() => groups(regex, found),
        _ => found.iter().skip(1).map(text).collect::<Array>().into(),
    }
}

fn groups(regex: &Regex, found: &Captures<'_>) -> Dynamic {
    let value = |group: Option<regex::Match<'_>>| group.map_or(Dynamic::UNIT, |group| group.as_str().into());
    if regex.capture_names().flatten().next().is_some() {
        let named = regex.capture_names().flatten().map(|name| (name.into(), value(found.name(name))));
        named.collect::<Map>().into()
    } else {
        found.iter().map(value).collect::<Array>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong_with_a_pattern_and_where() {
        let table = [
            (
                "a(b",
                "`a(b` is not a regular expression: unclosed group, at position 2; a parenthesis that is meant as itself is \
                 written `\\(`",
            ),
            (
                "[z-a]",
                "`[z-a]` is not a regular expression: invalid character class range, the start must be <= the end, at position 2",
            ),
            (
                "*x",
                "`*x` is not a regular expression: repetition operator missing expression, at position 1; a `*`, `+` or `?` \
                 that is meant as itself is written `\\*`",
            ),
            (
                r"x(?=y)",
                "`x(?=y)` is not a regular expression: look-around, including look-ahead and look-behind, is not supported, \
                 at position 2; take the match with a group, and look at its surroundings in the script",
            ),
            (
                r"(.)\1",
                "`(.)\\1` is not a regular expression: backreferences are not supported, at position 4; take the match with \
                 a group, and look at its surroundings in the script",
            ),
        ];
        for (pattern, expected) in table {
            assert_eq!(compile(pattern).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn refuses_patterns_that_grow_beyond_measure() {
        assert!(matches!(compile(r"(\w{100}){100}"), Err(PatternError::TooLarge { .. })));
        let nested = |depth: usize| format!("{}x{}", "(".repeat(depth), ")".repeat(depth));
        assert!(compile(&nested(NESTING_MAX as usize)).is_ok());
        assert!(matches!(compile(&nested(NESTING_MAX as usize + 1)), Err(PatternError::Syntax { .. })));
    }
}
