//! What went wrong while a script ran, in words: the message, the values involved, and how to mend it.
//!
//! [`describe`] makes the message of an error. It is what errors are counted by, so it names types and never values, and
//! it is cheap, for it runs at every failure. [`explain`] adds what is shown once: the values that [`Evidence`] noted,
//! where a nothing came from, and a hint where [`mistakes`] knows the mistake. It reads the syntax tree.

pub mod difference;
pub mod evidence;
pub mod expression;
pub mod loops;
pub mod mistakes;

use rhai::{AST, Dynamic, Engine, EvalAltResult, Map, Position};

pub use evidence::Evidence;
use evidence::{short_value, type_words};
use expression::{Found, Operand, Origin};

use super::error::{Diagnostic, Note, Vocabulary};
use crate::units;

/// The message of an error, and a hint if the error alone tells one.
pub fn describe(leaf: &EvalAltResult, vocabulary: &Vocabulary) -> (String, Option<String>) {
    let did_you_mean = |word: &str, candidates: &[String]| {
        units::nearest(word, candidates.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"))
    };
    match leaf {
        EvalAltResult::ErrorRuntime(value, _) => (thrown(value), None),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => {
            let called = Called::parse(signature);
            if called.is_operator() {
                return (called.operator_message(), None);
            }
            if called.name == "contains" && matches!(called.types[..], ["int" | "float" | "bool" | "()", _]) {
                return (format!("{} has nothing in it to look for", a(called.types[0])), None);
            }
            if called.types.first() == Some(&"()") && !called.name.contains("::") {
                return (format!("`{}` can't be called on ()", called.name), None);
            }
            if let Some(own) = vocabulary.signatures.iter().find(|own| own.0 == called.name) {
                return (own_function_message(own, called.types.len()), None);
            }
            if vocabulary.functions.iter().any(|known| known == called.name) {
                return (format!("`{}` can't be called with {}", called.name, called.arguments()), None);
            }
            let hint = did_you_mean(called.name, &vocabulary.functions)
                .or_else(|| did_you_mean(called.name, &vocabulary.properties));
            (format!("there is no function `{}` that takes {}", called.name, called.arguments()), hint)
        }
        EvalAltResult::ErrorVariableNotFound(name, _) => {
            (format!("there is no variable `{name}`"), did_you_mean(name, &vocabulary.constants))
        }
        EvalAltResult::ErrorModuleNotFound(name, _) => (format!("there is no module `{name}`"), None),
        EvalAltResult::ErrorParsing(kind, _) => (lowercase_first(&kind.to_string()), None),
        EvalAltResult::ErrorDotExpr(text, _) => property_message(text, vocabulary),
        EvalAltResult::ErrorIndexingType(text, _) => {
            let (owner, index) = text.split_once(" [").unwrap_or((text, ""));
            let index = index.split(']').next().unwrap_or_default();
            (format!("{} has no elements to look up by {}", a(owner), a(index)), None)
        }
        EvalAltResult::ErrorArrayBounds(0, index, _) => {
            (format!("there is no element {index}: the array is empty"), None)
        }
        EvalAltResult::ErrorArrayBounds(len, index, _) => (
            format!("there is no element {index}: the array has {len}"),
            Some(match len {
                1 => "its only element is number 0".to_owned(),
                _ => format!("they are numbered from 0 to {}; `array.get({index})` gives () for none", len - 1),
            }),
        ),
        EvalAltResult::ErrorStackOverflow(_) => (
            "the calls are nested too deep: a function calls itself without end, or too often".to_owned(),
            Some("a virtual user's calls can be 64 deep; write it as a loop".to_owned()),
        ),
        EvalAltResult::ErrorMismatchDataType(wanted, found, _) if wanted == "bool" => (
            format!("a condition must be true or false, this is {}", a(found)),
            Some("compare it: `value != ()`, `value > 0`, `text != \"\"`".to_owned()),
        ),
        EvalAltResult::ErrorMismatchDataType(wanted, found, _) => {
            (format!("this must be {}, and is {}", a(wanted), a(found)), None)
        }
        EvalAltResult::ErrorFor(_) => (
            "`for` can't go through this".to_owned(),
            Some(
                "it goes through arrays, ranges such as `0..10`, texts' `chars()`, a map's `keys()` and data tables"
                    .to_owned(),
            ),
        ),
        EvalAltResult::ErrorDataRace(name, _) => (
            format!("`{name}` is in use already: a function that works on it uses it once more"),
            Some("keep the result in a variable first, or use a `for` loop instead of a closure".to_owned()),
        ),
        other => {
            let mut bare = other.to_string();
            if let Some(at) = bare.rfind(" (line ") {
                bare.truncate(at);
            }
            let bare = bare.strip_prefix("Error parsing ").map_or(bare.clone(), |what| format!("can't parse {what}"));
            (lowercase_first(&bare), None)
        }
    }
}

/// What a script threw, as a message.
fn thrown(value: &Dynamic) -> String {
    if value.is_unit() {
        return "the script threw () (`throw \"why\"` says more)".to_owned();
    }
    if let Ok(map) = value.as_map_ref() {
        if let Some(message) = map.get("message").filter(|message| message.is_string()) {
            return message.to_string();
        }
        return format!("the script threw {}", short_value(value).trim_end_matches(" (map)"));
    }
    value.to_string()
}

fn own_function_message((name, parameters): &(String, Vec<String>), given: usize) -> String {
    let count = |n: usize| match n {
        0 => "no arguments".to_owned(),
        1 => "1 argument".to_owned(),
        n => format!("{n} arguments"),
    };
    format!(
        "`{name}({})` takes {}, and is given {}",
        parameters.join(", "),
        count(parameters.len()),
        match given {
            0 => "none".to_owned(),
            n => n.to_string(),
        }
    )
}

fn property_message(text: &str, vocabulary: &Vocabulary) -> (String, Option<String>) {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    let (Some(property), Some(owner)) = (quoted.next(), quoted.next()) else { return (lowercase_first(text), None) };
    if text.contains("setter") {
        return (format!("`{property}` of {} can't be set", a(owner)), None);
    }
    if owner == "()" {
        return (format!("() has no property `{property}`"), None);
    }
    let near = mistakes::near_property(owner, property, vocabulary);
    let hint = near.filter(|near| *near != property).map(|near| format!("did you mean `{near}`?"));
    (format!("{} has no property `{property}`", a(owner)), hint)
}

/// A type with its article: `an int`, `a string`, `()`.
fn a(kind: &str) -> String {
    match type_words(kind) {
        "()" => "()".to_owned(),
        words if words.starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']) => format!("an {words}"),
        words => format!("a {words}"),
    }
}

/// A call as Rhai's error names it: `random::int (&str | ImmutableString | String, i64)`.
struct Called<'a> {
    name: &'a str,
    types: Vec<&'a str>,
}

impl<'a> Called<'a> {
    fn parse(signature: &'a str) -> Self {
        let (name, types) = signature.split_once(" (").unwrap_or((signature, ""));
        let types = types.strip_suffix(')').unwrap_or(types);
        let types = types.split(", ").map(type_words).filter(|kind| !kind.is_empty()).collect();
        Self { name: name.trim_start_matches("crate::"), types }
    }

    fn is_operator(&self) -> bool {
        !self.name.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }

    fn arguments(&self) -> String {
        match &self.types[..] {
            [] => "no arguments".to_owned(),
            types => format!("({})", types.join(", ")),
        }
    }

    fn operator_message(&self) -> String {
        match (self.name, &self.types[..]) {
            ("+", [left, right]) => format!("{} and {} can't be added", a(left), a(right)),
            ("-", [left, right]) => format!("{} can't be subtracted from {}", a(right), a(left)),
            (name, [left, right]) => format!("`{name}` does not work on {} and {}", a(left), a(right)),
            (name, [only]) => format!("`{name}` does not work on {}", a(only)),
            (name, _) => format!("`{name}` does not work on this"),
        }
    }
}

/// What is needed to explain an error.
pub struct Surroundings<'a> {
    /// The engine that the script ran in.
    pub engine: &'a Engine,
    /// The syntax tree of the file where the error is.
    pub ast: &'a AST,
    /// What was noted while it ran.
    pub evidence: &'a Evidence,
    /// The names that it could have meant.
    pub vocabulary: &'a Vocabulary,
}

/// Adds to an error's diagnostic what is shown once: values, where they came from, a hint.
pub fn explain(diagnostic: &mut Diagnostic, leaf: &EvalAltResult, around: &Surroundings<'_>) {
    let position = match leaf.position() {
        at if at.is_none() => Position::new(
            u16::try_from(diagnostic.place.line.max(1)).unwrap_or(u16::MAX),
            u16::try_from(diagnostic.place.column).unwrap_or(u16::MAX),
        ),
        at => at,
    };
    let found = expression::find(around.ast, position);
    if let EvalAltResult::ErrorRuntime(thrown, _) = leaf
        && let Ok(map) = thrown.as_map_ref()
        && let Some(assertion) = map.get("assertion").and_then(|name| name.as_immutable_string_ref().ok())
    {
        let mut lines = assertion_notes(&assertion, &map, found.as_ref());
        if let Some(Found::Call(operands)) = &found
            && map.get("actual").is_some_and(Dynamic::is_unit)
            && let Some(given) = operands
                .first()
                .and_then(|first| expression::last_assignment(around.ast, first.variable.as_ref()?, position))
        {
            let line = given.position.line().unwrap_or_default();
            lines.push(format!("`{}` is what `{}` gave in line {line}", operands[0].text, given.text));
        }
        for line in lines {
            match diagnostic.notes.last_mut() {
                // Lines of a comparison belong to the note above them.
                Some(note) if line.starts_with("  ") => note.message += &format!("\n  {line}"),
                _ => diagnostic.notes.push(Note { message: line, place: None }),
            }
        }
        return;
    }
    let mut values = None;
    if let EvalAltResult::ErrorFunctionNotFound(signature, _) = leaf {
        values = around.evidence.take(signature);
    }
    for line in value_notes(found.as_ref(), leaf, values.as_deref()) {
        diagnostic.notes.push(Note { message: line, place: None });
    }
    if let Some((mut text, mut origin)) = nothing(found.as_ref(), leaf) {
        let tested = text.clone();
        if let Origin::Variable(name) = &origin
            && let Some(given) = expression::last_assignment(around.ast, name, position)
            && given.text != "()"
        {
            let line = given.position.line().unwrap_or_default();
            let message = format!("`{name}` is what `{}` gave in line {line}", given.text);
            diagnostic.notes.push(Note { message, place: None });
            (text, origin) = (given.text, given.origin);
        }
        diagnostic.hint = Some(mistakes::of_nothing(&text, &tested, &origin, around, position));
        return;
    }
    if let Some(hint) = mistakes::of_error(leaf, found.as_ref(), around) {
        diagnostic.hint = Some(hint);
    }
}

/// The lines that show both sides of an assertion that failed.
fn assertion_notes(assertion: &str, failure: &Map, found: Option<&Found>) -> Vec<String> {
    let text = |at: usize| match found {
        Some(Found::Call(operands)) => operands.get(at).map_or("it", |operand| operand.text.as_str()),
        _ => "it",
    };
    let actual = failure.get("actual").cloned().unwrap_or_default();
    let expected = failure.get("expected").cloned();
    let is = |at: usize, value: &Dynamic| format!("`{}` is {}", text(at), short_value(value));
    let mut lines = match (assertion, &expected) {
        ("contains", Some(part)) => vec![is(0, &actual), format!("looked for {}", short_value(part))],
        ("matches", Some(pattern)) => vec![is(0, &actual), format!("the pattern is `{pattern}`")],
        ("throws", Some(part)) => {
            vec![format!("it threw {}", short_value(&actual)), format!("expected {}", short_value(part))]
        }
        ("throws", None) => vec![format!("it gave {}", short_value(&actual))],
        ("status", Some(expected)) => vec![format!("the status is {actual}"), format!("expected {expected}")],
        ("ne" | "ok", _) | (_, None) => vec![is(0, &actual)],
        (_, Some(expected)) => difference::lines(text(0), &actual, expected),
    };
    if let Some(body) = failure.get("body").filter(|body| body.is_string()) {
        let body = body.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        lines.push(format!("its body begins so: {body}"));
    }
    lines
}

/// Of an error because of a (), the expression that gave it.
fn nothing(found: Option<&Found>, leaf: &EvalAltResult) -> Option<(String, Origin)> {
    let about_nothing = match leaf {
        EvalAltResult::ErrorFunctionNotFound(signature, _) => Called::parse(signature).types.first() == Some(&"()"),
        EvalAltResult::ErrorDotExpr(text, _) => text.contains("'()'") && !text.contains("to handle '()'"),
        EvalAltResult::ErrorIndexingType(text, _) => text.starts_with("() ["),
        _ => false,
    };
    match found {
        Some(Found::Member { receiver, origin, .. }) if about_nothing => Some((receiver.clone(), origin.clone())),
        _ => None,
    }
}

/// The lines that show values: of operands and arguments, with what one reads in the script beside.
fn value_notes(found: Option<&Found>, leaf: &EvalAltResult, values: Option<&[String]>) -> Vec<String> {
    let types = match leaf {
        EvalAltResult::ErrorFunctionNotFound(signature, _) => Called::parse(signature).types,
        _ => Vec::new(),
    };
    let is = |text: &str, value: &str| format!("`{text}` is {value}");
    let of = |operands: &[Operand], values: &[String]| -> Vec<String> {
        if operands.len() != values.len() {
            return values.iter().enumerate().map(|(n, value)| format!("argument {} is {value}", n + 1)).collect();
        }
        operands
            .iter()
            .zip(values)
            .filter(|(operand, _)| !operand.literal)
            .map(|(o, value)| is(&o.text, value))
            .collect()
    };
    match (found, values) {
        (Some(Found::Operation(operands) | Found::Call(operands)), Some(values)) => of(operands, values),
        // A function that is a value gets what stands in the brackets, and not itself.
        (Some(Found::Member { arguments, .. }), Some(values)) if values.len() == arguments.len() => {
            of(arguments, values)
        }
        (Some(Found::Member { receiver, arguments, .. }), Some([first, rest @ ..])) => {
            let mut lines = if first.starts_with(receiver.as_str()) { Vec::new() } else { vec![is(receiver, first)] };
            lines.extend(of(arguments, rest));
            lines
        }
        (_, Some(values)) => of(&[], values),
        // Without values, their types are said, where one can't read them.
        (Some(Found::Operation(operands) | Found::Call(operands)), None) if operands.len() == types.len() => {
            let unclear = operands.iter().zip(types).filter(|(operand, _)| !operand.literal);
            unclear.map(|(operand, kind)| is(&operand.text, &a(kind))).collect()
        }
        (Some(Found::Member { receiver, .. }), None) => match leaf {
            EvalAltResult::ErrorDotExpr(text, _) if text.contains("getter") => {
                vec![is(receiver, &a(text.rsplit('\'').nth(1).unwrap_or_default()))]
            }
            EvalAltResult::ErrorIndexingType(text, _) => {
                vec![is(receiver, &a(text.split(" [").next().unwrap_or_default()))]
            }
            _ => Vec::new(),
        },
        (Some(Found::Other(operand)), None) if !operand.literal => match leaf {
            EvalAltResult::ErrorMismatchDataType(_, kind, _) => vec![is(&operand.text, &a(kind))],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// A text whose first letter is small, unless it begins with an acronym.
pub fn lowercase_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain([second]).chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}
