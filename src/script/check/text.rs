//! A script's text: from Rhai's lines and columns to bytes and back, how long a word is, and a coarse look at the tokens
//! for what the parsed script does not tell: comments, where statements end, where functions begin.

use std::ops::Range;
use std::sync::Arc;

use rhai::Position;

/// A text with the starts of its lines.
#[derive(Clone, Debug)]
pub struct SourceText {
    text: Arc<str>,
    starts: Vec<usize>,
}

impl SourceText {
    /// Of a file's text.
    #[must_use]
    pub fn new(text: Arc<str>) -> Self {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect();
        Self { text, starts }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The byte that a position of Rhai's means; none when it means no place.
    #[must_use]
    pub fn offset(&self, position: Position) -> Option<usize> {
        let line = position.line()?;
        let column = position.position().unwrap_or(1);
        let start = *self.starts.get(line - 1)?;
        let rest = &self.text[start..];
        Some(start + rest.char_indices().nth(column - 1).map_or(rest.len(), |(at, _)| at))
    }

    /// The line and the column in characters, both from 1, of a byte.
    #[must_use]
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|&start| start <= offset);
        let start = self.starts[line - 1];
        (line, self.text[start..offset.max(start)].chars().count() + 1)
    }

    /// What stands from a position on.
    #[must_use]
    pub fn from(&self, position: Position) -> &str {
        self.offset(position).map_or("", |offset| &self.text[offset..])
    }

    /// How many characters the token at a position has: a word, a number, a text in quotes, else one sign.
    #[must_use]
    pub fn length(&self, position: Position) -> usize {
        let rest = self.from(position);
        let word = rest.chars().take_while(|&c| is_word(c)).count();
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            let after = rest.char_indices().nth(word).map_or("", |(at, _)| &rest[at..]);
            let fraction = after.strip_prefix('.').unwrap_or_default();
            let digits = fraction.chars().take_while(char::is_ascii_digit).count();
            return if digits > 0 { word + 1 + digits } else { word };
        }
        if word > 0 {
            return word;
        }
        let line = rest.lines().next().unwrap_or_default();
        match line.chars().next() {
            Some('"') => string_end(line).map_or(1, |end| line[..end].chars().count()),
            Some('`') => line[1..].find('`').map_or(1, |end| line[..end + 2].chars().count()),
            Some(_) => ["===", "!==", "..=", "==", "!=", "<=", ">=", "&&", "||", "??", "=>", "..", "+=", "-="]
                .iter()
                .find(|sign| line.starts_with(**sign))
                .map_or(1, |sign| sign.len()),
            None => 0,
        }
    }

    /// The chain of names, calls and indexes at a position, as far as it goes on its line: `res.json("a")[0].name`.
    #[must_use]
    pub fn chain(&self, position: Position) -> &str {
        let line = self.from(position).lines().next().unwrap_or_default();
        let mut at = 0;
        while let Some(c) = line[at..].chars().next() {
            let rest = &line[at..];
            if is_word(c) || (c == '.' && !rest.starts_with("..")) || rest.starts_with("::") {
                at += if rest.starts_with("::") { 2 } else { c.len_utf8() };
            } else if matches!(c, '(' | '[') && at > 0 {
                let mut depth = 0;
                let mut end = None;
                for token in tokens(rest) {
                    depth += i32::from(token.kind == TokenKind::Open) - i32::from(token.kind == TokenKind::Close);
                    if depth == 0 {
                        end = Some(token.bytes.end);
                        break;
                    }
                }
                match end {
                    Some(end) => at += end,
                    None => break,
                }
            } else {
                break;
            }
        }
        &line[..at]
    }

    /// The line of that number, from 1.
    #[must_use]
    pub fn line(&self, number: usize) -> &str {
        let start = self.starts.get(number.wrapping_sub(1)).copied().unwrap_or(self.text.len());
        self.text[start..].lines().next().unwrap_or_default()
    }
}

/// Whether a character can be part of a word.
#[must_use]
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the text in double quotes ends that begins `text`, after its quote; none when it does not end on its line.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' if !escaped => return None,
            '"' if !escaped => return Some(at + 1),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    None
}

/// What a token is, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A name, a keyword or a number.
    Word,
    /// A text, a character, or a template with all that is in it.
    Text,
    /// `(`, `[`, `{` or `#{`.
    Open,
    /// `)`, `]` or `}`.
    Close,
    /// `;`
    Semicolon,
    /// Any other sign.
    Sign,
    /// A comment.
    Comment,
}

/// A token, and its bytes.
#[derive(Clone, Debug)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it is.
    pub bytes: Range<usize>,
}

/// The tokens of a text. It never fails: what does not end goes on to the end of its line, or of the text.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = next_token(text, at) {
        at = token.bytes.end;
        found.push(token);
    }
    found
}

fn next_token(text: &str, from: usize) -> Option<Token> {
    let start = from + text[from..].find(|c: char| !c.is_whitespace())?;
    let rest = &text[start..];
    let first = rest.chars().next()?;
    let end_of_line = || rest.find('\n').unwrap_or(rest.len());
    let (kind, length) = match first {
        _ if rest.starts_with("//") => (TokenKind::Comment, end_of_line()),
        _ if rest.starts_with("/*") => (TokenKind::Comment, comment_end(rest)),
        '"' => (TokenKind::Text, string_end(rest).unwrap_or_else(end_of_line)),
        '`' => (TokenKind::Text, template_end(text, start) - start),
        '\'' => (TokenKind::Text, character_end(rest)),
        '#' if rest.starts_with("#{") => (TokenKind::Open, 2),
        '#' => raw_string_end(rest).map_or((TokenKind::Sign, 1), |end| (TokenKind::Text, end)),
        '(' | '[' | '{' => (TokenKind::Open, 1),
        ')' | ']' | '}' => (TokenKind::Close, 1),
        ';' => (TokenKind::Semicolon, 1),
        c if is_word(c) => (TokenKind::Word, rest.find(|c| !is_word(c)).unwrap_or(rest.len())),
        c => (TokenKind::Sign, c.len_utf8()),
    };
    Some(Token { kind, bytes: start..start + length })
}

/// Comments of this form can be nested.
fn comment_end(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let left = &rest[at..];
        if left.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if left.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += left.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn character_end(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => chars.nth(1).filter(|&(_, c)| c == '\'').map_or(1, |(at, _)| at + 1),
        Some(_) => {
            // What JavaScript takes for a text is not one, but ends like one.
            let line = rest.lines().next().unwrap_or_default();
            line[1..].find('\'').map_or(1, |at| at + 2)
        }
        None => 1,
    }
}

/// `#"..."#`, with as many `#` as the text needs.
fn raw_string_end(rest: &str) -> Option<usize> {
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    rest[hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    Some(rest[hashes + 1..].find(&closing).map_or(rest.len(), |at| hashes + 1 + at + closing.len()))
}

fn template_end(text: &str, start: usize) -> usize {
    let mut at = start + 1;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("``") {
            at += 2;
        } else if rest.starts_with('`') {
            return at + 1;
        } else if rest.starts_with("${") {
            at += 2;
            let mut depth = 1;
            while depth > 0 {
                let Some(token) = next_token(text, at) else { return text.len() };
                match token.kind {
                    TokenKind::Open => depth += 1,
                    TokenKind::Close => depth -= 1,
                    _ => {}
                }
                at = token.bytes.end;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<&str> {
        tokens(text).into_iter().map(|token| &text[token.bytes]).collect()
    }

    #[test]
    fn a_text_is_cut_into_tokens() {
        assert_eq!(shown("let a = b::c(1);"), ["let", "a", "=", "b", ":", ":", "c", "(", "1", ")", ";"]);
        assert_eq!(shown(r#"f("a;\"}", 'x', '\'')"#), ["f", "(", r#""a;\"}""#, ",", "'x'", ",", r"'\''", ")"]);
        assert_eq!(shown("`a${ b(`}`) }c` d"), ["`a${ b(`}`) }c`", "d"]);
        assert_eq!(shown("a // b\n/* c /* d */ e */ f"), ["a", "// b", "/* c /* d */ e */", "f"]);
        assert_eq!(shown("#{ a: #\"x\"y\"# }"), ["#{", "a", ":", "#\"x\"y\"#", "}"]);
        assert_eq!(shown("\"open\nlet"), ["\"open", "let"]);
        assert_eq!(shown("'abc' `open ${ { \n"), ["'abc'", "`open ${ { \n"]);
    }

    #[test]
    fn places_go_to_bytes_and_back() {
        let text = SourceText::new("aä\nfoo(\"b c\") == 1".into());
        assert_eq!(text.offset(Position::new(1, 2)), Some(1));
        assert_eq!(text.line_column(1), (1, 2));
        let lengths = [(1, 3), (4, 1), (5, 5), (12, 2)];
        assert_eq!(lengths.map(|(column, _)| (column, text.length(Position::new(2, column as u16)))), lengths);
        assert_eq!(text.chain(Position::new(2, 1)), "foo(\"b c\")");
        let chained = SourceText::new("a.b(c, `}`)[0].d::e .f 1.5".into());
        assert_eq!(chained.chain(Position::new(1, 1)), "a.b(c, `}`)[0].d::e");
        assert_eq!(chained.length(Position::new(1, 24)), 3);
        // Words and numbers may have letters of several bytes.
        assert_eq!(SourceText::new("0ä.5".into()).length(Position::new(1, 1)), 4);
        assert_eq!(text.offset(Position::NONE), None);
        assert_eq!((text.line(2), text.line(9)), ("foo(\"b c\") == 1", ""));
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_tokens_are_the_text_in_its_order(text in "([a-z0-9_.]{1,4}|[\"'`#{}()\\[\\];,\\\\$]|//|/\\*|\\*/|#\"|\"#|\\$\\{|[ \n\r]|\\PC){0,30}") {
            let mut end = 0;
            for token in tokens(&text) {
                prop_assert!(token.bytes.start >= end && token.bytes.end > token.bytes.start);
                prop_assert!(text[end..token.bytes.start].trim().is_empty(), "nothing is passed over");
                prop_assert!(text.get(token.bytes.clone()).is_some());
                end = token.bytes.end;
            }
            prop_assert!(text[end..].trim().is_empty());
        }
    }
}
