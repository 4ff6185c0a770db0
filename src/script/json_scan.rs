//! Checks that a text is JSON, and notes where each of its values stands: the index that `lazy_json` walks.
//!
//! One pass, without recursion: what nests is kept in a list, so that a text may be looked at from any stack. The grammar
//! is RFC 8259's, but for one thing: halves of surrogate pairs may stand alone, as browsers write them.

/// How deep arrays and objects may nest.
pub const DEPTH_MAX: usize = 128;

/// How many bytes of a malformed text an error shows on each side.
const EXCERPT_REACH: usize = 20;

/// Marks the length of a string that holds escapes.
pub(super) const ESCAPED: u32 = 1 << 31;

/// Why a text is not JSON, or a value cannot become JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// There is nothing but white space.
    #[error("expected JSON, found an empty text")]
    Empty,
    /// It does not follow JSON's grammar.
    #[error("not JSON: expected {expected} at byte {offset}, found {found}: `{excerpt}`")]
    Syntax {
        /// Where, in bytes from 0.
        offset: usize,
        /// What the grammar wants there.
        expected: &'static str,
        /// What is there.
        found: String,
        /// The text around it.
        excerpt: String,
    },
    /// It is not UTF-8.
    #[error("not JSON: byte {offset} is not UTF-8 (a binary body, or another character set?)")]
    Utf8 {
        /// The first byte that is not.
        offset: usize,
    },
    /// It nests deeper than [`DEPTH_MAX`].
    #[error("arrays and objects nest deeper than 128 levels, at byte {offset}")]
    TooDeep {
        /// Where the first level too many starts, in bytes from 0.
        offset: usize,
    },
    /// It is too long for the index.
    #[error("the JSON text has {length} bytes; at most 2 GiB can be read")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A script's value nests deeper than [`DEPTH_MAX`], so that it cannot become JSON.
    #[error("the value nests deeper than 128 levels, which JSON readers refuse (does it contain itself?)")]
    ValueTooDeep,
    /// A script's value has no JSON form.
    #[error("a value of type `{kind}` has no JSON form{hint}")]
    NoForm {
        /// Its type, as scripts know it.
        kind: String,
        /// What to do, or nothing.
        hint: &'static str,
    },
    /// A number is infinite or not a number.
    #[error("`{number}` has no JSON form: JSON numbers are finite")]
    NotFinite {
        /// As scripts print it.
        number: String,
    },
}

/// A value or key in the text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Where it starts.
    pub(super) at: u32,
    /// Of an array or object: the index of the node after all it contains. Of anything else: its length in bytes, and
    /// [`ESCAPED`] where a string holds escapes.
    pub(super) link: u32,
}

/// Bytes that end the plain run of a string: quote, backslash, control characters.
const STRING_STOP: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

/// Checks a text and makes its index: its values in the order of the text, a key before each member of an object.
pub(super) fn scan(text: &[u8]) -> Result<Vec<Node>, JsonError> {
    Scanner { text, at: 0 }.scan()
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn scan(mut self) -> Result<Vec<Node>, JsonError> {
        if self.text.len() >= ESCAPED as usize {
            return Err(JsonError::TooLong { length: self.text.len() });
        }
        if let Err(error) = str::from_utf8(self.text) {
            return Err(JsonError::Utf8 { offset: error.valid_up_to() });
        }
        if self.next() == 0 && self.at == self.text.len() {
            return Err(JsonError::Empty);
        }
        let mut nodes: Vec<Node> = Vec::with_capacity(self.text.len() / 8 + 1);
        // The arrays and objects around the current place, and whether the innermost is an array.
        let mut open: Vec<u32> = Vec::with_capacity(8);
        let mut in_array = false;
        'value: loop {
            let first = self.next();
            let at = self.at as u32;
            match first {
                b'[' | b'{' => {
                    if open.len() == DEPTH_MAX {
                        return Err(JsonError::TooDeep { offset: self.at });
                    }
                    self.at += 1;
                    open.push(nodes.len() as u32);
                    in_array = first == b'[';
                    nodes.push(Node { at, link: 0 });
                    let closing = if first == b'[' { b']' } else { b'}' };
                    if self.next() != closing {
                        if first == b'{' {
                            self.key(&mut nodes, "a key in double quotes or `}`")?;
                        }
                        continue 'value;
                    }
                }
                b'"' => {
                    let link = self.string()?;
                    nodes.push(Node { at, link });
                }
                b'-' | b'0'..=b'9' => {
                    self.number()?;
                    nodes.push(Node { at, link: self.at as u32 - at });
                }
                _ => {
                    self.literal(first)?;
                    nodes.push(Node { at, link: self.at as u32 - at });
                }
            }
            // A value has ended, and with it as many arrays and objects as close here.
            loop {
                let Some(&container) = open.last() else {
                    self.next();
                    return if self.at == self.text.len() { Ok(nodes) } else { Err(self.wrong("the end of the text")) };
                };
                match (self.next(), in_array) {
                    (b',', true) => {
                        self.at += 1;
                        continue 'value;
                    }
                    (b',', false) => {
                        self.at += 1;
                        self.next();
                        self.key(&mut nodes, "a key in double quotes")?;
                        continue 'value;
                    }
                    (b']', true) | (b'}', false) => {
                        self.at += 1;
                        nodes[container as usize].link = nodes.len() as u32;
                        open.pop();
                        in_array =
                            open.last().is_some_and(|&outer| self.text[nodes[outer as usize].at as usize] == b'[');
                    }
                    (_, true) => return Err(self.wrong("`,` or `]`")),
                    (_, false) => return Err(self.wrong("`,` or `}`")),
                }
            }
        }
    }

    /// Skips white space and gives the byte after it, 0 at the end.
    fn next(&mut self) -> u8 {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return byte;
            }
            self.at += 1;
        }
        0
    }

    fn key(&mut self, nodes: &mut Vec<Node>, expected: &'static str) -> Result<(), JsonError> {
        if self.text.get(self.at) != Some(&b'"') {
            return Err(self.wrong(expected));
        }
        let at = self.at as u32;
        let link = self.string()?;
        nodes.push(Node { at, link });
        if self.next() != b':' {
            return Err(self.wrong("`:`"));
        }
        self.at += 1;
        Ok(())
    }

    /// A string from its opening quote to after its closing one; its length, marked where it holds escapes.
    fn string(&mut self) -> Result<u32, JsonError> {
        let start = self.at;
        let mut escaped = 0;
        self.at += 1;
        loop {
            while let Some(&byte) = self.text.get(self.at) {
                if STRING_STOP[byte as usize] {
                    break;
                }
                self.at += 1;
            }
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((self.at - start) as u32 | escaped);
                }
                Some(b'\\') => {
                    escaped = ESCAPED;
                    self.at += 1;
                    match self.text.get(self.at) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                        Some(b'u') => {
                            self.at += 1;
                            for _ in 0..4 {
                                if !self.text.get(self.at).is_some_and(u8::is_ascii_hexdigit) {
                                    return Err(self.wrong("four hexadecimal digits after `\\u`"));
                                }
                                self.at += 1;
                            }
                        }
                        _ => return Err(self.wrong("one of `\"\\/bfnrtu` after a backslash")),
                    }
                }
                Some(_) => return Err(self.wrong("an escape such as `\\n` for a control character in a string")),
                None => return Err(self.wrong("the closing quote of a string")),
            }
        }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.text[self.at] == b'-' {
            self.at += 1;
        }
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(self.wrong("a digit")) } else { Ok(()) }
    }

    fn literal(&mut self, first: u8) -> Result<(), JsonError> {
        let word: &[u8] = match first {
            b't' => b"true",
            b'f' => b"false",
            b'n' => b"null",
            _ => return Err(self.wrong("a value")),
        };
        if !self.text[self.at..].starts_with(word) {
            return Err(self.wrong("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// The error of what stands at the current place.
    fn wrong(&self, expected: &'static str) -> JsonError {
        let offset = self.at.min(self.text.len());
        // The text is UTF-8; characters cut at the edges of the excerpt become U+FFFD, which is dropped.
        let around = &self.text[offset.saturating_sub(EXCERPT_REACH)..(offset + EXCERPT_REACH).min(self.text.len())];
        let excerpt =
            String::from_utf8_lossy(around).trim_matches(char::REPLACEMENT_CHARACTER).replace(char::is_control, " ");
        let found = match String::from_utf8_lossy(&self.text[offset..(offset + 4).min(self.text.len())]).chars().next()
        {
            Some(c) => format!("`{}`", c.escape_debug()),
            None => "the end of the text".to_owned(),
        };
        JsonError::Syntax { offset, expected, found, excerpt }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_a_text_is_not_json() {
        let table = [
            ("", "expected JSON, found an empty text"),
            (" \n", "expected JSON, found an empty text"),
            ("<html>", "not JSON: expected a value at byte 0, found `<`: `<html>`"),
            (r#"{"a":1,}"#, r#"not JSON: expected a key in double quotes at byte 7, found `}`: `{"a":1,}`"#),
            (r#"{"a" 1}"#, r#"not JSON: expected `:` at byte 5, found `1`: `{"a" 1}`"#),
            (r#"{"a":1"#, r#"not JSON: expected `,` or `}` at byte 6, found the end of the text: `{"a":1`"#),
            ("[1 2]", "not JSON: expected `,` or `]` at byte 3, found `2`: `[1 2]`"),
            ("[1,]", "not JSON: expected a value at byte 3, found `]`: `[1,]`"),
            ("[1}", "not JSON: expected `,` or `]` at byte 2, found `}`: `[1}`"),
            ("{x:1}", "not JSON: expected a key in double quotes or `}` at byte 1, found `x`: `{x:1}`"),
            ("[", "not JSON: expected a value at byte 1, found the end of the text: `[`"),
            ("1 2", "not JSON: expected the end of the text at byte 2, found `2`: `1 2`"),
            ("01", "not JSON: expected the end of the text at byte 1, found `1`: `01`"),
            ("-", "not JSON: expected a digit at byte 1, found the end of the text: `-`"),
            ("1.e3", "not JSON: expected a digit at byte 2, found `e`: `1.e3`"),
            ("truth", "not JSON: expected a value at byte 0, found `t`: `truth`"),
            (
                r#""abc"#,
                r#"not JSON: expected the closing quote of a string at byte 4, found the end of the text: `"abc`"#,
            ),
            (r#""\x""#, r#"not JSON: expected one of `"\/bfnrtu` after a backslash at byte 2, found `x`: `"\x"`"#),
            (
                r#""\u12g4""#,
                r#"not JSON: expected four hexadecimal digits after `\u` at byte 5, found `g`: `"\u12g4"`"#,
            ),
            (
                "\"a\tb\"",
                "not JSON: expected an escape such as `\\n` for a control character in a string at byte 2, found `\\t`: \
                 `\"a b\"`",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(scan(text.as_bytes()).unwrap_err().to_string(), expected, "{text}");
        }
        assert_eq!(scan(b"[\"\xff\"]").unwrap_err(), JsonError::Utf8 { offset: 2 });
    }

    #[test]
    fn bounds_the_depth() {
        let nested = |depth: usize| scan(format!("{}{}", "[".repeat(depth), "]".repeat(depth)).as_bytes());
        assert!(nested(DEPTH_MAX).is_ok());
        assert_eq!(nested(DEPTH_MAX + 1).unwrap_err(), JsonError::TooDeep { offset: DEPTH_MAX });
        assert_eq!(scan("[{\"a\":".repeat(1_000_000).as_bytes()).unwrap_err(), JsonError::TooDeep { offset: 64 * 6 });
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_what_is_json_is_what_others_say(text in "([\\[\\]{},:]|\"[^\"\\\\]{0,4}\"|\"\\\\[a-z\"\\\\/0-9]{1,5}\"|true|false|null|-?[0-9]{1,4}(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?|[0-9.eE+-]{1,4}|[ \n\t]|\\PC){0,16}") {
            let found = scan(text.as_bytes());
            // The other reader does not look at halves of surrogates here.
            let other = serde_json::from_str::<serde::de::IgnoredAny>(&text);
            if !text.contains("\\u") {
                prop_assert_eq!(found.is_ok(), other.is_ok(), "{:?} {:?}", found.err(), other.err());
            }
        }

        #[test]
        fn fuzz_no_bytes_break_the_scanner(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = scan(&bytes);
            let _ = scan(&[b"[\"", &bytes[..], b"\"]"].concat());
        }
    }
}
