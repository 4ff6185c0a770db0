//! Parsing with recovery. Rhai stops at the first mistake; so what is broken is taken out (blanked, so that all places stay
//! what they are) and the rest is parsed again, until it parses.
//!
//! What is taken out is the statement around the mistake where its brackets match, else the whole function or statement of
//! the top level. A missing `;` at the end of a line is put in instead.

use std::ops::Range;

use rhai::{AST, Engine, ParseError, ParseErrorType};
use rustc_hash::FxHashSet;

use super::rules;
use super::syntax;
use super::text::{SourceText, Token, TokenKind, tokens};
use crate::script::error::Diagnostic;

/// The most mistakes of one file that are told: beyond, they are mostly of one cause.
const MISTAKES_MAX: usize = 20;

/// A file that was parsed, as far as it could be.
pub struct Parsed {
    /// What could be parsed.
    pub ast: AST,
    /// The mistakes, in the order of the text.
    pub errors: Vec<Diagnostic>,
    /// The words of what was taken out: what they declare, and what they use, is not known.
    pub lost: FxHashSet<String>,
}

/// Parses a file.
#[must_use]
pub fn parse(engine: &Engine, name: &str, text: &SourceText) -> Parsed {
    let mut work = text.as_str().to_owned();
    let mut errors: Vec<Diagnostic> = Vec::new();
    let mut lost = FxHashSet::default();
    // The first lines of what was taken out whole.
    let mut broken: Vec<usize> = Vec::new();
    loop {
        let error = match engine.compile(&work) {
            Ok(mut ast) => {
                ast.set_source(name);
                sort(&mut errors);
                return Parsed { ast, errors, lost };
            }
            Err(error) => error,
        };
        // Blanking keeps lines and columns but not bytes, so bytes are always those of the text as it is now.
        let now = SourceText::new(work.as_str().into());
        let tokens = tokens(&work);
        let offset = now.offset(error.1).unwrap_or(work.len()).min(work.len());
        // A `fn` at the start of a line stands within another function only where that was not closed.
        let unclosed = matches!(&*error.0, ParseErrorType::WrongFnDefinition) && now.line_column(offset).1 == 1;
        let item = item_around(&work, &tokens, if unclosed { offset.saturating_sub(1) } else { offset });
        // A function that is broken twice over is told of once: the second mistake may come of the first.
        let first_line = now.line_column(item.start).0;
        let again = broken.contains(&first_line);
        if !again {
            let within = if unclosed { Some(item.clone()) } else { None };
            let found = syntax::diagnose(&error, name, &now, &tokens, within);
            errors.push(Diagnostic { code: rules::SYNTAX.code, ..found });
        }
        if let Some(at) = semicolon_place(&error, &work, offset) {
            work.replace_range(at..=at, ";");
            continue;
        }
        let statement = if again { None } else { statement_around(&work, &tokens, &item, offset) };
        let taken = statement.unwrap_or_else(|| {
            broken.push(first_line);
            item
        });
        if is_blank(&work[taken.clone()]) || errors.len() >= MISTAKES_MAX {
            // There is nothing left to take out there: the rest can't be made to parse.
            lost.extend(words(text.as_str()));
            sort(&mut errors);
            return Parsed { ast: AST::empty(), errors, lost };
        }
        lost.extend(words(&work[taken.clone()]));
        blank(&mut work, taken);
    }
}

fn sort(errors: &mut [Diagnostic]) {
    errors.sort_by_key(|error| (error.place.line, error.place.column));
}

fn words(text: &str) -> impl Iterator<Item = String> {
    // The words within templates count too, so the text is cut at everything that is not part of a word.
    text.split(|c| !super::text::is_word(c)).filter(|word| !word.is_empty()).map(str::to_owned)
}

fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// Puts as many spaces in place of a text as it has characters; its line breaks stay.
fn blank(work: &mut String, range: Range<usize>) {
    let blanked: String = work[range.clone()].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
    work.replace_range(range, &blanked);
}

/// Where a `;` is put in: into the white space before the place of the error, on the error's own line or the one before.
fn semicolon_place(error: &ParseError, work: &str, offset: usize) -> Option<usize> {
    let ParseErrorType::MissingToken(token, _) = &*error.0 else { return None };
    let before = &work[..offset];
    let gap = before.len() - before.trim_end().len();
    let goes_on = work[offset..].starts_with(|c: char| super::text::is_word(c));
    (token == ";" && goes_on && before[before.len() - gap..].contains('\n') && before.ends_with([' ', '\t']))
        .then(|| offset - 1)
}

/// The function, or the statement of the top level, around a byte. A `fn` always begins one: functions don't nest.
fn item_around(text: &str, tokens: &[Token], offset: usize) -> Range<usize> {
    let word = |token: &Token| (token.kind == TokenKind::Word).then(|| &text[token.bytes.clone()]);
    let mut start = 0;
    let mut depth = 0_i32;
    let mut in_function = false;
    for (index, token) in tokens.iter().enumerate() {
        let is_function = word(token) == Some("fn");
        let is_private = index > 0 && is_function && word(&tokens[index - 1]) == Some("private");
        let at = if is_private { tokens[index - 1].bytes.start } else { token.bytes.start };
        if is_function && at > start {
            if at > offset {
                return start..at;
            }
            start = at;
            depth = 0;
        }
        in_function |= is_function;
        depth += brace(text, token);
        let closes = in_function && brace(text, token) < 0;
        if depth <= 0 && (token.kind == TokenKind::Semicolon || closes) {
            if token.bytes.end > offset {
                return start..token.bytes.end;
            }
            start = token.bytes.end;
            depth = 0;
            in_function = false;
        }
    }
    start..text.len()
}

/// 1 for a brace that opens, -1 for one that closes. Other brackets don't reach beyond their statement.
fn brace(text: &str, token: &Token) -> i32 {
    let is_brace = text[token.bytes.clone()].ends_with(['{', '}']);
    match token.kind {
        TokenKind::Open if is_brace => 1,
        TokenKind::Close if is_brace => -1,
        _ => 0,
    }
}

/// The statement of a function's body around a byte, with its `;`; none where the braces of the function don't match.
fn statement_around(text: &str, tokens: &[Token], item: &Range<usize>, offset: usize) -> Option<Range<usize>> {
    let tokens: Vec<&Token> =
        tokens.iter().filter(|token| item.contains(&token.bytes.start) && token.kind != TokenKind::Comment).collect();
    let mut depth = 0;
    for token in &tokens {
        depth += brace(text, token);
        if depth < 0 {
            return None;
        }
    }
    if depth != 0 {
        return None;
    }
    let here = tokens.iter().position(|token| token.bytes.end > offset)?;
    // Back to where the statement begins: after a `;`, or after the `{` of the block around it.
    let mut depth = 0;
    let mut start = None;
    for token in tokens[..here].iter().rev() {
        let is_map = &text[token.bytes.clone()] == "#{";
        match (token.kind, brace(text, token)) {
            (_, -1) => depth += 1,
            (_, 1) if depth > 0 => depth -= 1,
            // A `#{` that is left open belongs to the statement.
            (_, 1) if is_map => {}
            (_, 1) => {
                start = Some(token.bytes.end);
                break;
            }
            (TokenKind::Semicolon, _) if depth == 0 => {
                start = Some(token.bytes.end);
                break;
            }
            _ => {}
        }
    }
    let start = start?;
    let mut depth = 0;
    for token in tokens.iter().filter(|token| token.bytes.start >= start) {
        match (token.kind, brace(text, token)) {
            (_, -1) if depth == 0 => return Some(start..token.bytes.start),
            (TokenKind::Semicolon, _) if depth == 0 && token.bytes.end > offset => return Some(start..token.bytes.end),
            (_, step) => depth += step,
        }
    }
    None
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_script_breaks_the_recovery(text in "(fn [a-c]\\([a-c]?\\) ?\\{?|\\}|let [a-c] = |if |else |for a in |[a-c]|[0-9]|\"[a-z]{0,3}\"?|`[a-z$\\{]{0,3}`?|[;,(){}\\[\\]#=+.|]|#\\{ a: 1|\n|http::get\\(|\\|\\| |\\PC){0,30}") {
            let engine = Engine::new();
            let parsed = parse(&engine, "script.rhai", &SourceText::new(text.as_str().into()));
            // What is left can be parsed; each mistake is told at a place of the text.
            let lines = text.lines().count().max(1) + 1;
            for error in &parsed.errors {
                prop_assert!(error.place.line <= lines, "{:?} of {lines}", error.place);
            }
            prop_assert_eq!(parsed.errors.is_empty(), engine.compile(&text).is_ok());
        }
    }
}
