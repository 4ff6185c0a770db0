//! The path language of `res.json(path)` and `json::get(value, path)`.
//!
//! ```text
//! user.name            a member of an object, and a member of that
//! items[0].price       an element of an array; items.0.price says the same
//! items[-1]            counted from the end
//! items.#              how many elements
//! items.#.price        the price of each element, as an array
//! ["a b"].c   a\.b     keys with spaces, dots, quotes
//! $.user.name          a leading `$` is the document itself, and so is the empty path
//! ```
//!
//! A path that leads nowhere is not an error: it finds nothing. Filters, wildcards and modifiers are left out on purpose:
//! a script has better words for them; using them is an error that says so.

use std::fmt;

use smallvec::SmallVec;

/// How long a path may be, in bytes. Longer ones come from a mistake, such as a whole body given as a path.
const LENGTH_MAX: usize = 1024;

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct JsonPath {
    segments: SmallVec<[Segment; 4]>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A member of an object; where the value is an array, and the key is a number, the element of that index.
    Key(Box<str>),
    /// An element of an array; negative ones count from the end.
    Index(i64),
    /// Every element of an array: the rest of the path applies to each.
    Each,
    /// The number of elements of an array. Only ever the last step.
    Length,
}

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a JSON path: {problem}, at position {}", .position + 1)]
pub struct JsonPathError {
    /// The path, cut when it is long.
    pub path: String,
    /// What was found, what was expected.
    pub problem: &'static str,
    /// Where in the path, in bytes from 0.
    pub position: usize,
}

impl JsonPath {
    /// Parses a path.
    ///
    /// # Errors
    /// When the text is not a path; the error says where and why.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        let fail = |problem, position| JsonPathError { path: shortened(text), problem, position };
        if text.len() > LENGTH_MAX {
            return Err(fail("it is longer than 1024 bytes", LENGTH_MAX));
        }
        Parser { text, at: 0, segments: SmallVec::new() }.parse().map_err(|(problem, at)| fail(problem, at))
    }

    /// Its steps, outermost first. None of them: the document itself.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.segments.iter().enumerate() {
            let dot = if position == 0 { "" } else { "." };
            match segment {
                Segment::Key(key) if is_plain(key, position == 0) => write!(f, "{dot}{key}")?,
                Segment::Key(key) => write!(f, "[\"{}\"]", key.replace('\\', "\\\\").replace('"', "\\\""))?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Each | Segment::Length => write!(f, "{dot}#")?,
            }
        }
        Ok(())
    }
}

/// Whether a key can stand in a path without quotes.
fn is_plain(key: &str, first: bool) -> bool {
    let quoted = |c: char| is_special(c) || matches!(c, '"' | '\'' | '\\') || c.is_whitespace();
    let means_more = key.is_empty() || key == "#" || (first && key == "$");
    !means_more && !key.contains(quoted)
}

/// Characters that mean something, here or in other path languages, and so must be quoted in a key.
fn is_special(c: char) -> bool {
    matches!(c, '.' | '[' | ']' | '*' | '?' | '|' | '(' | ')')
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

type Problem = (&'static str, usize);

struct Parser<'a> {
    text: &'a str,
    at: usize,
    segments: SmallVec<[Segment; 4]>,
}

impl Parser<'_> {
    fn parse(mut self) -> Result<JsonPath, Problem> {
        if self.text.starts_with('$') && matches!(self.text.as_bytes().get(1), None | Some(b'.' | b'[')) {
            self.at = 1;
            if self.peek() == Some('.') {
                self.at = 2;
                self.plain()?;
            }
        } else if !self.text.is_empty() && self.peek() != Some('[') {
            self.plain()?;
        }
        while let Some(c) = self.peek() {
            match c {
                '.' => {
                    self.at += 1;
                    self.plain()?;
                }
                '[' => self.bracket()?,
                _ => return Err(("expected `.` or `[`", self.at)),
            }
        }
        // A `#` with nothing after it counts; one with more after it goes through each element.
        if let Some(last @ Segment::Each) = self.segments.last_mut() {
            *last = Segment::Length;
        }
        Ok(JsonPath { segments: self.segments })
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    /// A key without quotes, or `#`.
    fn plain(&mut self) -> Result<(), Problem> {
        let start = self.at;
        let mut key = String::new();
        while let Some(c) = self.peek() {
            match c {
                '.' | '[' => break,
                '\\' => {
                    self.at += 1;
                    let escaped = self.peek().ok_or(("a `\\` has nothing after it", self.at - 1))?;
                    key.push(escaped);
                    self.at += escaped.len_utf8();
                    continue;
                }
                '(' if key == "#" => {
                    return Err((
                        "filters such as `#(...)` do not exist here: take the array and filter it in the script",
                        start,
                    ));
                }
                c if is_special(c) => {
                    return Err(("this character must be quoted: write the key as `[\"key\"]`", self.at));
                }
                c => key.push(c),
            }
            self.at += c.len_utf8();
        }
        if self.at == start {
            return Err(("expected a key, an index in `[]`, or `#`", start));
        }
        let hash = self.at - start == 1 && key == "#";
        self.segments.push(if hash { Segment::Each } else { Segment::Key(key.into()) });
        Ok(())
    }

    /// `[0]`, `[-1]`, `["key"]`, `['key']`, `[#]`.
    fn bracket(&mut self) -> Result<(), Problem> {
        let open = self.at;
        self.at += 1;
        let segment = match self.peek() {
            Some(quote @ ('"' | '\'')) => Segment::Key(self.quoted(quote)?.into()),
            Some('#') => {
                self.at += 1;
                Segment::Each
            }
            _ => self.index(open)?,
        };
        if self.peek() != Some(']') {
            return Err(("expected `]`", self.at));
        }
        self.at += 1;
        self.segments.push(segment);
        Ok(())
    }

    fn index(&mut self, open: usize) -> Result<Segment, Problem> {
        let rest = &self.text[self.at..];
        let length = rest.find(']').ok_or(("a `[` has no `]`", open))?;
        let index = rest[..length].parse().map_err(|_| {
            ("expected an index such as `[0]` or `[-1]`, or a key in quotes such as `[\"key\"]`", self.at)
        })?;
        self.at += length;
        Ok(Segment::Index(index))
    }

    fn quoted(&mut self, quote: char) -> Result<String, Problem> {
        let open = self.at;
        self.at += 1;
        let mut key = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '\\' => {
                    let escaped = self.peek().ok_or(("a `\\` has nothing after it", self.at - 1))?;
                    key.push(escaped);
                    self.at += escaped.len_utf8();
                }
                c if c == quote => return Ok(key),
                c => key.push(c),
            }
        }
        Err(("a quoted key has no closing quote", open))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Segment {
        Segment::Key(text.into())
    }

    #[test]
    fn parses_paths() {
        let table: &[(&str, &[Segment])] = &[
            ("", &[]),
            ("$", &[]),
            ("a", &[key("a")]),
            ("$.a", &[key("a")]),
            ("$[0]", &[Segment::Index(0)]),
            ("$ref", &[key("$ref")]),
            ("@type", &[key("@type")]),
            ("a.b[0].c", &[key("a"), key("b"), Segment::Index(0), key("c")]),
            ("items[-1]", &[key("items"), Segment::Index(-1)]),
            ("[3][4]", &[Segment::Index(3), Segment::Index(4)]),
            ("items.0.price", &[key("items"), key("0"), key("price")]),
            ("items.#", &[key("items"), Segment::Length]),
            ("items[#]", &[key("items"), Segment::Length]),
            ("#", &[Segment::Length]),
            ("#.id", &[Segment::Each, key("id")]),
            ("items.#.tags.#", &[key("items"), Segment::Each, key("tags"), Segment::Length]),
            (r#"["a b"].c"#, &[key("a b"), key("c")]),
            (r#"x["a.\"b\\"]"#, &[key("x"), key("a.\"b\\")]),
            ("x['it is']", &[key("x"), key("it is")]),
            (r#"[""]"#, &[key("")]),
            (r"a\.b.c", &[key("a.b"), key("c")]),
            (r"\#", &[key("#")]),
            ("größe.日本", &[key("größe"), key("日本")]),
        ];
        for (text, expected) in table {
            let path = JsonPath::parse(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(path.segments(), *expected, "{text}");
            let printed = path.to_string();
            assert_eq!(JsonPath::parse(&printed).as_ref(), Ok(&path), "`{text}` printed as `{printed}`");
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let table = [
            ("a..b", "`a..b` is not a JSON path: expected a key, an index in `[]`, or `#`, at position 3"),
            ("a.", "`a.` is not a JSON path: expected a key, an index in `[]`, or `#`, at position 3"),
            ("a[", "`a[` is not a JSON path: a `[` has no `]`, at position 2"),
            (
                "a[x]",
                "`a[x]` is not a JSON path: expected an index such as `[0]` or `[-1]`, or a key in quotes such as \
                 `[\"key\"]`, at position 3",
            ),
            ("a[\"x]", "`a[\"x]` is not a JSON path: a quoted key has no closing quote, at position 3"),
            ("a[\"x\"", "`a[\"x\"` is not a JSON path: expected `]`, at position 6"),
            ("a[0]b", "`a[0]b` is not a JSON path: expected `.` or `[`, at position 5"),
            ("a\\", "`a\\` is not a JSON path: a `\\` has nothing after it, at position 2"),
            (
                "a.#(x==1)",
                "`a.#(x==1)` is not a JSON path: filters such as `#(...)` do not exist here: take the array and filter \
                 it in the script, at position 3",
            ),
            (
                "a.*",
                "`a.*` is not a JSON path: this character must be quoted: write the key as `[\"key\"]`, at position 3",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(JsonPath::parse(text).unwrap_err().to_string(), expected);
        }
        let long = "a".repeat(LENGTH_MAX + 1);
        assert!(JsonPath::parse(&long).unwrap_err().to_string().contains("longer than 1024 bytes"));
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_text_breaks_a_path(text in "([a-z0-9_-]{0,3}|[.$#@*?\\[\\]\"'\\\\ |()]|\\[\"[^\"]{0,4}\"\\]|\\[-?[0-9]{0,25}\\]|\\PC){0,14}") {
            match JsonPath::parse(&text) {
                // What is printed means the same.
                Ok(path) => {
                    let again = JsonPath::parse(&path.to_string());
                    prop_assert_eq!(again.as_ref().map(JsonPath::segments), Ok(path.segments()), "{}", path);
                }
                Err(error) => prop_assert!(error.position <= text.len()),
            }
        }
    }
}
