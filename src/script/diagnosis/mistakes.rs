//! The mistakes that are known, each with the hint that mends it.

use rhai::{EvalAltResult, Position};

use super::evidence::type_words;
use super::expression::{self, Found, Origin};
use super::{Called, Surroundings};
use crate::script::error::Vocabulary;
use crate::script::modules::TABLE;
use crate::units;

/// What functions and methods are called elsewhere, and what they are called here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("length", "`len()`"),
    ("size", "`len()`"),
    ("count", "`len()`"),
    ("toString", "`to_string()`"),
    ("str", "`to_string()`"),
    ("String", "`to_string()`"),
    ("parseInt", "`parse_int(text)`"),
    ("int", "`parse_int(text)`, or `to_int()` of a float"),
    ("to_int", "`parse_int(text)`; `to_int()` is a float's"),
    ("Number", "`parse_int(text)` or `parse_float(text)`"),
    ("parseFloat", "`parse_float(text)`"),
    ("to_float", "`parse_float(text)`; `to_float()` is an int's"),
    ("includes", "`contains(..)`"),
    ("has", "`contains(..)`"),
    ("indexOf", "`index_of(..)`"),
    ("startsWith", "`starts_with(..)`"),
    ("endsWith", "`ends_with(..)`"),
    ("toUpperCase", "`to_upper()`"),
    ("upper", "`to_upper()`"),
    ("toLowerCase", "`to_lower()`"),
    ("lower", "`to_lower()`"),
    ("substring", "`sub_string(from, length)`"),
    ("substr", "`sub_string(from, length)`"),
    ("slice", "`sub_string(from, length)` of a text, `extract(from, length)` of an array"),
    ("append", "`push(..)` for one value, `+=` for a whole array or text"),
    ("add", "`push(..)`"),
    ("push_back", "`push(..)`"),
    ("concat", "`+`"),
    ("forEach", "`for item in array { .. }`"),
    ("each", "`for item in array { .. }`"),
    ("join", "`array.reduce(|all, text| all + text, \"\")`"),
    ("hasOwnProperty", "`\"key\" in map`"),
    ("has_key", "`\"key\" in map`"),
    ("println", "`print(text)`"),
    ("printf", "`print(text)`"),
    ("echo", "`print(text)`"),
    ("setTimeout", "`sleep(2.s)` or `think(1.s..3.s)`"),
    ("wait", "`sleep(2.s)` or `think(1.s..3.s)`"),
    ("assert", "`check(value, #{ \"name\": |value| .. })`"),
    ("random", "`random::int(1, 10)` or `random::float()`"),
    ("now", "`time::now()`"),
    ("console", "`print(text)` or `log::info(text)`"),
    ("JSON", "`json::parse(text)` and `json::stringify(value)`"),
    ("Math", "methods of numbers: `x.abs()`, `x.floor()`, `x.sqrt()`"),
    ("null", "`()`"),
    ("None", "`()`"),
    ("nil", "`()`"),
    ("undefined", "`()`"),
    ("True", "`true`"),
    ("False", "`false`"),
];

/// Methods that change what they are called on, and return nothing.
const IN_PLACE: &[&str] = &[
    "trim",
    "replace",
    "truncate",
    "crop",
    "push",
    "sort",
    "reverse",
    "insert",
    "clear",
    "append",
    "make_upper",
    "make_lower",
    "pad",
    "retain",
    "fill_with",
    "mixin",
    "set",
    "add",
];

/// The hint for something that was asked of a (), which the expression `text` gave and the expression `tested` is.
pub(super) fn of_nothing(
    text: &str,
    tested: &str,
    origin: &Origin,
    around: &Surroundings<'_>,
    position: Position,
) -> String {
    let test = format!("test it first: `if {tested} != () {{ .. }}`");
    // What the last property, element or method is of.
    let owner = text.rfind(['.', '[']).map_or("it", |at| &text[..at]);
    match origin {
        Origin::Property(name) | Origin::Element(name) => {
            let names = expression::member_names(around.ast, position);
            let others = names.iter().map(String::as_str).filter(|known| known != name && name.len() > 2);
            match units::nearest(name, others) {
                Some(near) => format!("`{owner}` has no `{name}`: did you mean `{near}`?"),
                None => format!("`{owner}` has no `{name}`; where that may be, {test}"),
            }
        }
        Origin::Returned(method, Some(path)) if method == "json" => {
            let response = text.rfind(".json(").map_or("response", |at| &text[..at]);
            format!("the JSON has nothing at `{path}`: `print({response}.body)` shows what came; or {test}")
        }
        Origin::Returned(method, _) if IN_PLACE.contains(&method.as_str()) => {
            format!("`{method}` changes what it is called on and returns nothing: call it in a line of its own")
        }
        Origin::Returned(method, _) => format!("`{method}` found nothing, or returns nothing; {test}"),
        Origin::Variable(_) | Origin::Other => test,
    }
}

/// The hint for another error, if its mistake is known.
pub(super) fn of_error(leaf: &EvalAltResult, found: Option<&Found>, around: &Surroundings<'_>) -> Option<String> {
    match leaf {
        EvalAltResult::ErrorFunctionNotFound(signature, _) => {
            let called = Called::parse(signature);
            if called.is_operator() || called.name == "contains" && matches!(found, Some(Found::Call(_))) {
                return of_operation(&called, found);
            }
            of_call(&called, around)
        }
        EvalAltResult::ErrorVariableNotFound(name, _) => elsewhere(name).or_else(|| {
            let declared = expression::variables(around.ast);
            let parameters = around.vocabulary.signatures.iter().flat_map(|own| &own.1);
            let words = declared.iter().chain(parameters).chain(&around.vocabulary.constants);
            units::nearest(name, words.map(String::as_str)).map(|near| format!("did you mean `{near}`?"))
        }),
        EvalAltResult::ErrorDotExpr(text, _) => {
            let property = text.split('\'').nth(1)?;
            if text.contains("setter") {
                return Some(
                    "what the host gives is for reading; keep values of your own in `vu.state` or in a map".into(),
                );
            }
            if is_method(property, around) {
                return Some(format!("`{property}` is a method: `{property}(..)`"));
            }
            match near_property(text.split('\'').nth(3)?, property, around.vocabulary) {
                Some(_) => None,
                None => members(text.split('\'').nth(3)?).or_else(|| elsewhere(property)),
            }
        }
        EvalAltResult::ErrorMismatchDataType(wanted, found_type, _) => match (type_words(wanted), found) {
            ("bool", Some(Found::Other(operand))) if type_words(found_type) == "()" => {
                Some(format!("`{}` gave nothing: compare it with `!= ()`", operand.text))
            }
            ("int", Some(Found::Other(_) | Found::Member { .. })) if type_words(found_type) == "string" => {
                Some("arrays and texts are looked up by numbers; maps by names".into())
            }
            _ => None,
        },
        EvalAltResult::ErrorArithmetic(text, _) if text.contains("Division by zero") => {
            Some("test the divisor first: `if n != 0 { .. }`".into())
        }
        EvalAltResult::ErrorParsing(..) => None,
        _ => None,
    }
}

fn of_operation(called: &Called<'_>, found: Option<&Found>) -> Option<String> {
    let texts = |n: usize| match found {
        Some(Found::Operation(operands)) => operands.get(n).map_or("it", |operand| operand.text.as_str()),
        _ => "it",
    };
    match (called.name, &called.types[..]) {
        ("contains", _) => Some("`in` wants an array, a map, a range or a text on its right".into()),
        ("!", _) => Some("`!` is for true and false; compare instead: `== ()`, `== 0`, `== \"\"`".into()),
        (_, [left, right]) => {
            let (left, right) = (*left, *right);
            if left == "()" || right == "()" {
                let nothing = texts(usize::from(left != "()"));
                return Some(format!(
                    "`{nothing}` gave nothing: test it with `!= ()`, or give a value instead: `({nothing} ?? 0)`"
                ));
            }
            let has = |kind: &str| left == kind || right == kind;
            if has("string") && (has("int") || has("float")) {
                let text = texts(usize::from(left != "string"));
                return Some(format!("make a number of the text: `parse_int({text})` or `parse_float({text})`"));
            }
            if has("duration") && (has("int") || has("float")) {
                return Some(
                    "a duration is written `2.s`, `500.ms`, `1.m`; `duration.secs` is its number of seconds".into(),
                );
            }
            (called.name == "+" && has("map") && left != right)
                .then(|| "maps are joined with maps: `#{ a: 1 } + #{ b: 2 }`".into())
        }
        ("-", [only]) if *only == "string" => Some(format!("make a number of the text: `-parse_int({})`", texts(0))),
        _ => None,
    }
}

fn of_call(called: &Called<'_>, around: &Surroundings<'_>) -> Option<String> {
    let last = called.name.rsplit("::").next().unwrap_or(called.name);
    let documented: Vec<&str> = TABLE
        .iter()
        .flat_map(|module| module.docs)
        .filter(|doc| doc.names().any(|name| name == called.name || name.split('.').nth(1) == Some(called.name)))
        .map(|doc| doc.signature)
        .collect();
    if !documented.is_empty() && !called.name.is_empty() {
        let known: Vec<_> = documented.iter().take(3).map(|signature| format!("`{signature}`")).collect();
        return Some(format!("it is called as {}; `loadr docs {}` tells more", known.join(" or "), called.name));
    }
    if around.vocabulary.signatures.iter().any(|own| own.0 == called.name) {
        return None;
    }
    if let Some(hint) = elsewhere(last) {
        return Some(hint);
    }
    let functions = &around.vocabulary.functions;
    let suffix = format!("::{}", called.name);
    let mut meant: Vec<_> =
        functions.iter().filter(|known| known.ends_with(&suffix)).map(|known| format!("`{known}(..)`")).collect();
    meant.dedup();
    if !meant.is_empty() {
        return Some(format!("did you mean {}?", meant.join(" or ")));
    }
    let known = library(around);
    if known.iter().any(|name| name == called.name) {
        let receiver = called.types.first().copied().unwrap_or("value");
        return Some(format!(
            "no `{}` works on a {receiver} with these arguments; the Rhai book lists what there is",
            called.name
        ));
    }
    let words = functions.iter().chain(&around.vocabulary.properties).map(String::as_str);
    units::nearest(called.name, words.chain(known.iter().map(String::as_str)))
        .map(|near| format!("did you mean `{near}`?"))
}

/// The properties and methods of one of the host's types, by its name; empty for other types.
fn own_members(kind: &str) -> Vec<&'static str> {
    let owner = format!("{}.", kind.to_lowercase());
    let names = TABLE.iter().flat_map(|module| module.docs).flat_map(|doc| doc.names());
    let mut members: Vec<_> = names.filter_map(|name| name.strip_prefix(&owner)).collect();
    members.dedup();
    members
}

/// The property that a misspelt one of a value of type `kind` may stand for: one that such values have, where they are the
/// host's.
pub fn near_property<'a>(kind: &str, misspelt: &str, vocabulary: &'a Vocabulary) -> Option<&'a str> {
    let own = own_members(kind);
    match own.is_empty() {
        true => units::nearest(misspelt, vocabulary.properties.iter().map(String::as_str)),
        false => units::nearest(misspelt, own),
    }
}

/// The properties and methods of one of the host's types, as a hint.
fn members(kind: &str) -> Option<String> {
    let members: Vec<_> = own_members(kind).iter().map(|name| format!("`{name}`")).collect();
    (!members.is_empty()).then(|| format!("it has {}", members.join(", ")))
}

/// What a word of another language is called here.
pub fn elsewhere(name: &str) -> Option<String> {
    ELSEWHERE.iter().find(|(word, _)| *word == name).map(|(_, here)| format!("here that is {here}"))
}

fn is_method(name: &str, around: &Surroundings<'_>) -> bool {
    let documented = TABLE.iter().flat_map(|module| module.docs);
    let method = format!(".{name}(");
    documented.into_iter().any(|doc| doc.signature.contains(&method))
        || library(around).iter().any(|known| known == name)
}

/// The names of all functions that are registered without a namespace.
fn library(around: &Surroundings<'_>) -> Vec<String> {
    around
        .engine
        .collect_fn_metadata(
            None,
            |info| {
                let name = info.metadata.name.as_str();
                let plain = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.contains('$');
                (info.namespace.is_empty() && plain).then(|| name.to_owned())
            },
            true,
        )
        .into_iter()
        .collect()
}
