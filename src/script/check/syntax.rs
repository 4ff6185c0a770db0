//! What a syntax error means. Rhai says where it stumbled; the words before that place tell what was meant.

use std::ops::Range;

use rhai::{LexError, ParseError, ParseErrorType};

use super::text::{SourceText, Token, TokenKind};
use crate::script::error::{Diagnostic, Note, Place};
use crate::units;

/// Words that other languages have where Rhai has another.
const FOREIGN: &[(&str, &str)] = &[
    ("var", "write `let`"),
    ("function", "functions begin with `fn`: `fn journey(vu) { ... }`"),
    ("func", "functions begin with `fn`: `fn journey(vu) { ... }`"),
    ("def", "functions begin with `fn`: `fn journey(vu) { ... }`"),
    ("null", "nothing is written `()`"),
    ("nil", "nothing is written `()`"),
    ("undefined", "nothing is written `()`"),
    ("elif", "write `else if`"),
    ("elsif", "write `else if`"),
    ("elseif", "write `else if`"),
    ("match", "write `switch value { 1 => ..., _ => ... }`"),
    ("case", "write `switch value { 1 => ..., _ => ... }`"),
    ("new", "values need no `new`; maps are written `#{ a: 1 }`"),
    ("async", "leave it out: a request waits for its response by itself"),
    ("await", "leave it out: a request waits for its response by itself"),
    ("class", "there are no classes; use maps: `#{ a: 1 }`"),
    ("export", "functions of an imported file are visible by themselves; `export` is for variables of the top level"),
    ("use", "write `import \"lib/cart\" as cart;`"),
    ("foreach", "write `for item in items { ... }`"),
    ("and", "write `&&`"),
    ("or", "write `||`"),
    ("not", "write `!`"),
    ("public", "leave it out: functions are public unless they are `private`"),
];

/// Words with a meaning of their own that may be misspelt.
const KEYWORDS: &[&str] = &[
    "let", "const", "if", "else", "switch", "do", "while", "until", "loop", "for", "in", "continue", "break", "fn",
    "private", "import", "export", "as", "return", "throw", "try", "catch",
];

/// The diagnostic of a text that does not parse; `unclosed_function` is the one before a `fn`, where it lacks its end.
#[must_use]
pub fn diagnose(
    error: &ParseError,
    source: &str,
    text: &SourceText,
    tokens: &[Token],
    unclosed_function: Option<Range<usize>>,
) -> Diagnostic {
    let mut diagnostic = Diagnostic::from_parse_error(error, source);
    let offset = text.offset(error.1);
    diagnostic.length = offset.map_or(0, |_| text.length(error.1));
    let content = text.as_str();
    // Places are those of the original text; a text with a part blanked may have fewer bytes before this one.
    let before: Vec<&str> = tokens
        .iter()
        .filter(|token| token.kind != TokenKind::Comment)
        .take_while(|token| offset.is_none_or(|offset| token.bytes.end <= offset))
        .filter_map(|token| content.get(token.bytes.clone()))
        .collect();
    let here = text.from(error.1);
    let last = before.last().copied().unwrap_or_default();
    if let Some(hint) = hint(&error.0, here, last, &before) {
        diagnostic.hint = Some(hint);
    }
    match &*error.0 {
        ParseErrorType::WrongFnDefinition if unclosed_function.is_some() => {
            diagnostic.message = "the function before this one is not closed".to_owned();
            diagnostic.hint = Some("a `}` is missing".to_owned());
            let within = unclosed_function.unwrap_or_default();
            let tokens: Vec<Token> =
                tokens.iter().filter(|token| within.contains(&token.bytes.start)).cloned().collect();
            if let Some(open) = unclosed(content, &tokens, "}") {
                let (line, column) = text.line_column(open);
                let place = Place { source: source.to_owned(), line, column };
                diagnostic.notes.push(Note { message: "the last one that is open".into(), place: Some(place) });
            }
        }
        ParseErrorType::BadInput(LexError::ImproperSymbol(symbol, _)) if ["===", "!=="].contains(&symbol.as_str()) => {
            diagnostic.message = format!("`{symbol}` is no operator of Rhai");
            diagnostic.hint = Some(format!("write `{}`", &symbol[..2]));
        }
        ParseErrorType::BadInput(LexError::MalformedChar(content)) if content.chars().count() > 1 => {
            diagnostic.message = "a text can't have single quotes".to_owned();
            diagnostic.hint = Some(format!("texts have double quotes: \"{content}\""));
        }
        ParseErrorType::MissingToken(token, _) if token == "}" || token == ")" || token == "]" => {
            if let Some(open) = unclosed(content, tokens, token) {
                let (line, column) = text.line_column(open);
                let place = Place { source: source.to_owned(), line, column };
                diagnostic.notes.push(Note { message: "not closed since".into(), place: Some(place) });
            }
        }
        ParseErrorType::FnDuplicatedDefinition(name, _) => {
            let first = definition(content, tokens, name).map(|offset| text.line_column(offset));
            if let Some((line, column)) = first {
                let place = Place { source: source.to_owned(), line, column };
                diagnostic.notes.push(Note { message: "first defined at".into(), place: Some(place) });
            }
            diagnostic.hint = Some("rename one, or give them different numbers of parameters".into());
        }
        _ => {}
    }
    diagnostic
}

fn hint(kind: &ParseErrorType, here: &str, last: &str, before: &[&str]) -> Option<String> {
    let foreign = |word: &str| FOREIGN.iter().find(|(known, _)| *known == word).map(|(_, hint)| (*hint).to_owned());
    let word_here: String = here.chars().take_while(|&c| super::text::is_word(c)).collect();
    match kind {
        ParseErrorType::Reserved(word) => {
            foreign(word).or_else(|| Some("Rhai keeps this word for itself: take another name".to_owned()))
        }
        ParseErrorType::UnknownOperator(sign) if sign == "++" || sign == "--" => {
            Some(format!("write `{last} {}= 1`", &sign[..1]))
        }
        ParseErrorType::MissingToken(token, _) if token == ";" => {
            if here.starts_with("=>") {
                return Some("a closure is written `|x| ...`".into());
            }
            let in_block = before.len() >= 2 && before[before.len() - 2] == "{";
            if here.starts_with(':') && in_block {
                return Some("a map is written `#{ ... }`, with a `#`".into());
            }
            if let Some(hint) = foreign(last).or_else(|| foreign(&word_here)) {
                return Some(hint);
            }
            if KEYWORDS.contains(&last) || last.is_empty() {
                return None;
            }
            let near = units::nearest(last, KEYWORDS.iter().copied()).filter(|near| near.len() > 2 && last.len() > 2);
            near.map(|near| format!("did you mean `{near}` instead of `{last}`? Else a `;` is missing before this"))
        }
        ParseErrorType::FnMissingParams(name) => Some(format!("write `fn {name}() {{ ... }}`")),
        ParseErrorType::MissingToken(token, what) if token == ":" && what.contains("property") => {
            Some("an entry of a map is written `name: value`".into())
        }
        ParseErrorType::WrongFnDefinition => Some(
            "a function can't stand within another; write a closure (`let f = |x| ...;`), or close the function before"
                .into(),
        ),
        ParseErrorType::BadInput(LexError::UnterminatedString) => {
            Some("a text ends on its line; write long texts in backticks".into())
        }
        ParseErrorType::PropertyExpected if word_here == "throw" => {
            Some("`throw` is a word of Rhai's own here: put it into quotes, or write `throws`".into())
        }
        ParseErrorType::AssignmentToConstant(_) => Some("declare it with `let` if it is to change".into()),
        ParseErrorType::MismatchedType(wanted, found) if wanted.contains("boolean") => {
            Some(format!("compare it: a condition is true or false, and this is {found}"))
        }
        ParseErrorType::LoopBreak => {
            Some("`break` and `continue` belong into a loop; a function ends with `return`".into())
        }
        _ => None,
    }
}

/// Where the innermost bracket was opened that is still open at the end.
fn unclosed(text: &str, tokens: &[Token], closing: &str) -> Option<usize> {
    let mut open: Vec<usize> = Vec::new();
    for token in tokens {
        match token.kind {
            TokenKind::Open => open.push(token.bytes.start),
            TokenKind::Close => drop(open.pop()),
            _ => {}
        }
    }
    open.into_iter().rev().find(|&at| {
        let bracket = text.get(at..).unwrap_or_default();
        match closing {
            ")" => bracket.starts_with('('),
            "]" => bracket.starts_with('['),
            _ => bracket.starts_with(['{', '#']),
        }
    })
}

/// Where a function of that name is defined first.
#[must_use]
pub fn definition(text: &str, tokens: &[Token], name: &str) -> Option<usize> {
    let word = |token: &Token| text.get(token.bytes.clone());
    tokens
        .windows(2)
        .find(|pair| word(&pair[0]) == Some("fn") && word(&pair[1]) == Some(name))
        .map(|pair| pair[1].bytes.start)
}
