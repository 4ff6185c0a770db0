//! Which series of a metric are meant: the part in braces of `http_req_duration{name:item*,status!=200}`.
//!
//! ```text
//! selector  = condition { "," condition }            all of them must hold
//! condition = key ":" values | key "!=" values       "!=": none of the values
//! values    = value { "|" value }                    any of them
//! value     = "quoted" | /regular expression/ | text in which "*" stands for anything
//! ```
//!
//! An absent tag is the same as an empty one: `{error_code:}` picks series without the tag, `{status!=200}` also those
//! without a status. Within quotes `\"` and `\\` stand for themselves. A value that begins with a slash is a regular
//! expression when it also ends with one (it matches anywhere in the value, as usual); quote a path that ends so.

use std::sync::Arc;

use regex::Regex;

use super::series::{Tag, tag_value};

/// A choice of series. The empty one chooses all.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
struct Condition {
    key: Arc<str>,
    negated: bool,
    values: Vec<Pattern>,
}

#[derive(Clone, Debug)]
enum Pattern {
    Exact(Box<str>),
    /// The pieces between the stars; at least two.
    Glob(Vec<Box<str>>),
    Regex(Regex),
}

/// Where and why a selector can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at character {position}, found {found}")]
pub struct SelectorError {
    /// The character, from 1, counted from the selector's first.
    pub position: usize,
    /// What is there, quoted, or `the end`.
    pub found: String,
    /// What should be there.
    pub expected: String,
}

impl Pattern {
    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => **text == *value,
            Self::Glob(pieces) => glob_matches(pieces, value),
            Self::Regex(regex) => regex.is_match(value),
        }
    }

    fn from_text(text: &str) -> Self {
        if text.contains('*') {
            return Self::Glob(text.split('*').map(Into::into).collect());
        }
        Self::Exact(text.into())
    }
}

fn glob_matches(pieces: &[Box<str>], value: &str) -> bool {
    let Some(((first, last), rest)) =
        pieces.split_first().and_then(|(first, rest)| Some((first, rest.split_last()?))).map(|(f, (l, r))| ((f, l), r))
    else {
        return false;
    };
    let Some(value) = value.strip_prefix(&**first).and_then(|value| value.strip_suffix(&**last)) else {
        return false;
    };
    // Taking the first place for each piece leaves the most room for those that follow.
    let mut value = value;
    for piece in rest {
        let Some(at) = value.find(&**piece) else { return false };
        value = &value[at + piece.len()..];
    }
    true
}

impl Selector {
    /// Chooses every series.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Chooses series in which each of these tags has this very value.
    #[must_use]
    pub fn exactly(tags: &[(&str, &str)]) -> Self {
        let condition = |&(key, value): &(&str, &str)| Condition {
            key: key.into(),
            negated: false,
            values: vec![Pattern::Exact(value.into())],
        };
        Self { conditions: tags.iter().map(condition).collect() }
    }

    /// Reads what stands between the braces.
    ///
    /// # Errors
    /// When it does not follow the grammar, with the place.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut parser = Parser { text, at: 0 };
        let mut conditions = Vec::new();
        parser.skip_spaces();
        while !parser.rest().is_empty() || !conditions.is_empty() {
            conditions.push(parser.condition()?);
            if !parser.eat(',') {
                break;
            }
        }
        Ok(Self { conditions })
    }

    /// Whether it chooses every series.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.conditions.is_empty()
    }

    /// The keys of the tags that it looks at.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.conditions.iter().map(|condition| &*condition.key)
    }

    /// Whether it chooses a series with these tags.
    #[must_use]
    pub fn matches(&self, tags: &[Tag]) -> bool {
        self.conditions.iter().all(|condition| {
            let value = tag_value(tags, &condition.key);
            condition.values.iter().any(|pattern| pattern.matches(value)) != condition.negated
        })
    }

    /// This selector with only those conditions whose key is accepted.
    #[must_use]
    pub fn only(&self, accept: impl Fn(&str) -> bool) -> Self {
        Self { conditions: self.conditions.iter().filter(|condition| accept(&condition.key)).cloned().collect() }
    }
}

struct Parser<'a> {
    text: &'a str,
    /// In bytes, always at a character's start.
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.skip_spaces();
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn error(&self, expected: impl Into<String>) -> SelectorError {
        let found = self.rest().chars().next().map_or_else(|| "the end".into(), |found| format!("`{found}`"));
        SelectorError { position: self.text[..self.at].chars().count() + 1, found, expected: expected.into() }
    }

    fn condition(&mut self) -> Result<Condition, SelectorError> {
        self.skip_spaces();
        let length = self.rest().find(|c: char| !c.is_alphanumeric() && !"_-.".contains(c));
        let key = &self.rest()[..length.unwrap_or(self.rest().len())];
        if key.is_empty() {
            return Err(self.error("the key of a tag"));
        }
        self.at += key.len();
        self.skip_spaces();
        let negated = self.rest().starts_with("!=");
        if negated {
            self.at += 2;
        } else if !self.eat(':') {
            return Err(self.error(format!("`{key}:value` or `{key}!=value`")));
        }
        let mut values = vec![self.value()?];
        while self.eat('|') {
            values.push(self.value()?);
        }
        self.skip_spaces();
        if !self.rest().is_empty() && !self.rest().starts_with(',') {
            return Err(self.error("`,`, `|` or the end of the selector"));
        }
        Ok(Condition { key: key.into(), negated, values })
    }

    fn value(&mut self) -> Result<Pattern, SelectorError> {
        self.skip_spaces();
        if self.rest().starts_with('"') {
            return self.quoted();
        }
        if let Some(length) = regex_length(self.rest()) {
            let source = self.rest()[1..length - 1].replace("\\/", "/");
            let regex = Regex::new(&source).map_err(|error| {
                let reason = error.to_string();
                self.error(format!("a regular expression ({})", reason.lines().last().unwrap_or_default()))
            })?;
            self.at += length;
            return Ok(Pattern::Regex(regex));
        }
        let length = self.rest().find([',', '|']).unwrap_or(self.rest().len());
        let text = self.rest()[..length].trim_end();
        self.at += length;
        Ok(Pattern::from_text(text))
    }

    fn quoted(&mut self) -> Result<Pattern, SelectorError> {
        let mut text = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.at += at + 1;
                    return Ok(Pattern::Exact(text.into()));
                }
                '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
                other => text.push(other),
            }
        }
        self.at = self.text.len();
        Err(self.error("a closing `\"`"))
    }
}

/// How long the regular expression is that a text begins with, slashes included; none when it begins with none: its
/// closing slash is one that a comma, a bar or the end follows.
fn regex_length(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('/')?;
    let mut escaped = false;
    for (at, character) in inner.char_indices() {
        match character {
            '/' if !escaped => {
                let after = inner[at + 1..].trim_start();
                if at > 0 && (after.is_empty() || after.starts_with([',', '|'])) {
                    return Some(at + 2);
                }
            }
            '\\' => {
                escaped = !escaped;
                continue;
            }
            _ => {}
        }
        escaped = false;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::series::tags;
    use super::*;

    #[test]
    fn what_a_selector_chooses() {
        let item = &[("name", "item"), ("status", "200"), ("url", "http://h:1/item/{id}?a=1")][..];
        for (selector, of, expected) in [
            ("", item, true),
            (" ", item, true),
            ("name:item", item, true),
            ("name:items", item, false),
            (" name : item , status : 200 ", item, true),
            ("name:item,status:500", item, false),
            ("status!=200", item, false),
            ("status != 500", item, true),
            ("status:200|201", item, true),
            ("status:201 | 500", item, false),
            ("status!=200|201", item, false),
            ("name:it*", item, true),
            ("name:*e*", item, true),
            ("name:*", item, true),
            ("name:i*t", item, false),
            ("name:item*item", item, false),
            ("name:/^it/", item, true),
            ("name:/^(a|b),c/|item", item, true),
            ("name:/^t/", item, false),
            ("url:http://h:1/item/{id}?a=1", item, true),
            ("url:http://h:1/*", item, true),
            ("url:/item\\/\\{/", item, true),
            ("name:\"item\"", item, true),
            ("name:\"it*\"", item, false),
            ("error_code:", item, true),
            ("name:", item, false),
            ("error_code!=1050", item, true),
            ("name:/api/v1", &[("name", "/api/v1")][..], true),
            ("name:/api/v1,status:", &[("name", "/api/v1")][..], true),
            ("name:\"/api/\"", &[("name", "/api/")][..], true),
            ("name:\"/api/\"", &[("name", "/api/x")][..], false),
            ("name:\"a, \\\"b\\\" | c\"", &[("name", "a, \"b\" | c")][..], true),
            ("name:größe*", &[("name", "größer")][..], true),
        ] {
            let parsed = Selector::parse(selector).unwrap_or_else(|error| panic!("{selector}: {error}"));
            assert_eq!(parsed.matches(&tags(of)), expected, "{selector} on {of:?}");
        }
    }

    #[test]
    fn what_is_no_selector() {
        for (selector, position, found, expected) in [
            ("name", 5, "the end", "`name:value` or `name!=value`"),
            ("name=item", 5, "`=`", "`name:value` or `name!=value`"),
            ("name!:item", 5, "`!`", "`name:value` or `name!=value`"),
            (":item", 1, "`:`", "the key of a tag"),
            ("name:item,", 11, "the end", "the key of a tag"),
            ("größe:1,,", 9, "`,`", "the key of a tag"),
            ("name:\"item", 11, "the end", "a closing `\"`"),
            ("name:\"a\"b", 9, "`b`", "`,`, `|` or the end of the selector"),
        ] {
            let error = Selector::parse(selector).expect_err(selector);
            assert_eq!((error.position, &*error.found, &*error.expected), (position, found, expected), "{selector}");
        }
        let error = Selector::parse("name:/(/").expect_err("unclosed group");
        assert_eq!(error.expected, "a regular expression (error: unclosed group)");
    }

    #[test]
    fn selectors_can_be_narrowed() {
        let both = Selector::parse("name:item,status:500").unwrap();
        assert_eq!(both.keys().collect::<Vec<_>>(), ["name", "status"]);
        assert!(both.only(|key| key == "name").matches(&tags(&[("name", "item"), ("status", "200")])));
        assert!(both.only(|_| false).is_all());
        assert!(Selector::exactly(&[("name", "a*")]).matches(&tags(&[("name", "a*")])));
        assert!(!Selector::exactly(&[("name", "a*")]).matches(&tags(&[("name", "ab")])));
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    use super::super::series::tags;

    proptest! {
        #[test]
        fn fuzz_no_text_breaks_the_grammar(text in "([a-z_]{0,5}|[:!|,*/\\\\\"' ()\\[\\]+.^$-]|'[^']{0,4}'|\"[^\"]{0,4}\"|/[a-z.*(]{0,5}/|\\PC){0,12}", value in "\\PC{0,8}") {
            match Selector::parse(&text) {
                Ok(selector) => {
                    let of = tags(&[("name", &value), ("a", &text)]);
                    let _ = selector.matches(&of);
                    prop_assert!(selector.only(|_| false).is_all());
                    prop_assert_eq!(selector.only(|_| true).matches(&of), selector.matches(&of));
                }
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}
