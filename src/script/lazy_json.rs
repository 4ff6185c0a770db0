//! One field out of a JSON text, fast: [`LazyJson`].
//!
//! The first look into a text checks all of it and notes where each value stands: eight bytes a value, no tree, no
//! strings. Every further look, along whatever path, walks that index and makes only what it finds. So a check on one
//! field of a body costs one pass over its bytes, and the next check next to nothing.
//!
//! Everything here is iterative, so that it runs on a virtual user's small stack whatever the text holds; nesting deeper
//! than [`DEPTH_MAX`] is an error. A member that occurs twice in an object has its last value, as in browsers. The
//! values that scripts get are made in `json_value`.

use std::borrow::Cow;
use std::cell::OnceCell;

use bytes::Bytes;
use rhai::{Array, Dynamic, INT};
use serde_json::Value;

use super::json_path::{JsonPath, Segment};
pub use super::json_scan::{DEPTH_MAX, JsonError};
use super::json_scan::{ESCAPED, Node, scan};

/// A JSON text that is read when, and as far as, it is looked at.
#[derive(Debug)]
pub struct LazyJson {
    text: Bytes,
    index: OnceCell<Result<Vec<Node>, JsonError>>,
    /// The text as a tree; made for queries alone.
    tree: OnceCell<Value>,
}

impl LazyJson {
    /// A text that nobody has looked at yet.
    #[must_use]
    pub fn new(text: Bytes) -> Self {
        Self { text, index: OnceCell::new(), tree: OnceCell::new() }
    }

    /// The value at the end of a path, or nothing when the path leads nowhere. JSON's `null` is `()`.
    ///
    /// # Errors
    /// When the text is not JSON: every path then gives the same error, also one that ends before the fault.
    pub fn get(&self, path: &JsonPath) -> Result<Option<Dynamic>, JsonError> {
        let reader = self.reader()?;
        let mut found = Found::One(0);
        let mut rest = path.segments();
        while let Some((segment, after)) = rest.split_first() {
            rest = after;
            found = match (found, segment) {
                (Found::One(node), Segment::Each) => {
                    if reader.byte(node) != b'[' {
                        return Ok(None);
                    }
                    Found::Many(reader.elements(node).collect())
                }
                (Found::One(node), Segment::Length) => return Ok(reader.length(node).map(Dynamic::from_int)),
                (Found::One(node), step) => match reader.step(node, step) {
                    Some(next) => Found::One(next),
                    None => return Ok(None),
                },
                (Found::Many(nodes), Segment::Each) => {
                    let arrays = nodes.into_iter().filter(|&node| reader.byte(node) == b'[');
                    Found::Many(arrays.flat_map(|node| reader.elements(node)).collect())
                }
                (Found::Many(nodes), Segment::Length) => {
                    let lengths: Array =
                        nodes.into_iter().filter_map(|node| reader.length(node)).map(Dynamic::from_int).collect();
                    return Ok(Some(lengths.into()));
                }
                (Found::Many(nodes), step) => {
                    Found::Many(nodes.into_iter().filter_map(|node| reader.step(node, step)).collect())
                }
            };
        }
        Ok(Some(match found {
            Found::One(node) => reader.value(node),
            Found::Many(nodes) => nodes.into_iter().map(|node| reader.value(node)).collect::<Array>().into(),
        }))
    }

    /// The whole text as a script's value.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn value(&self) -> Result<Dynamic, JsonError> {
        Ok(self.reader()?.value(0))
    }

    /// The text as a tree. The first look makes it, the further ones share it.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn tree(&self) -> Result<&Value, JsonError> {
        // The scan finds the same faults in the same words as for paths, and bounds the depth.
        self.reader()?;
        Ok(self.tree.get_or_init(|| serde_json::from_slice(&self.text).unwrap_or_default()))
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// Where each element of the outermost array starts and ends, in bytes; nothing when the text is not an array.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn element_ranges(&self) -> Result<Option<Vec<(usize, usize)>>, JsonError> {
        let reader = self.reader()?;
        if reader.byte(0) != b'[' {
            return Ok(None);
        }
        let starts: Vec<usize> = reader.elements(0).map(|node| reader.nodes[node].at as usize).collect();
        let ends = starts.iter().skip(1).copied().chain([self.text.len()]);
        Ok(Some(
            starts.iter().copied().zip(ends).map(|(start, end)| (start, trim_end(&self.text, start, end))).collect(),
        ))
    }

    pub(super) fn reader(&self) -> Result<Reader<'_>, JsonError> {
        let index = self.index.get_or_init(|| scan(&self.text));
        match index {
            Ok(nodes) => Ok(Reader { text: &self.text, nodes }),
            Err(error) => Err(error.clone()),
        }
    }
}

/// The end of an element, without the comma, bracket and white space between it and the next.
fn trim_end(text: &[u8], start: usize, mut end: usize) -> usize {
    while end > start && matches!(text[end - 1], b' ' | b'\t' | b'\r' | b'\n') {
        end -= 1;
    }
    end -= 1;
    while end > start && matches!(text[end - 1], b' ' | b'\t' | b'\r' | b'\n') {
        end -= 1;
    }
    end
}

enum Found {
    One(usize),
    Many(Vec<usize>),
}

/// A text that is known to be JSON, with its index.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    text: &'a [u8],
    nodes: &'a [Node],
}

impl<'a> Reader<'a> {
    /// The first byte of a value, which says what it is.
    pub(super) fn byte(self, node: usize) -> u8 {
        self.text[self.nodes[node].at as usize]
    }

    /// The node after a value and all it contains.
    pub(super) fn after(self, node: usize) -> usize {
        if matches!(self.byte(node), b'[' | b'{') { self.nodes[node].link as usize } else { node + 1 }
    }

    /// The text of a number, `true`, `false` or `null`.
    pub(super) fn token(self, node: usize) -> &'a str {
        let Node { at, link } = self.nodes[node];
        str::from_utf8(&self.text[at as usize..(at + link) as usize]).unwrap_or_default()
    }

    /// The contents of a string or key.
    pub(super) fn string(self, node: usize) -> Cow<'a, str> {
        let raw = self.raw_string(node);
        // The scan has checked the whole text; a part that starts and ends at quotes is UTF-8 as well.
        let text = str::from_utf8(raw).unwrap_or_default();
        if self.nodes[node].link & ESCAPED == 0 { Cow::Borrowed(text) } else { Cow::Owned(unescape(text)) }
    }

    fn raw_string(self, node: usize) -> &'a [u8] {
        let Node { at, link } = self.nodes[node];
        let (start, length) = (at as usize, (link & !ESCAPED) as usize);
        &self.text[start + 1..start + length - 1]
    }

    fn elements(self, array: usize) -> impl Iterator<Item = usize> + use<'a> {
        let end = self.after(array);
        let mut next = array + 1;
        std::iter::from_fn(move || {
            let node = next;
            (node < end).then(|| {
                next = self.after(node);
                node
            })
        })
    }

    fn length(self, node: usize) -> Option<INT> {
        (self.byte(node) == b'[').then(|| INT::try_from(self.elements(node).count()).unwrap_or(INT::MAX))
    }

    fn step(self, node: usize, segment: &Segment) -> Option<usize> {
        match (self.byte(node), segment) {
            (b'{', Segment::Key(key)) => self.member(node, key),
            (b'[', Segment::Key(key)) => self.element(node, key.parse().ok()?),
            (b'[', Segment::Index(index)) => self.element(node, *index),
            _ => None,
        }
    }

    fn element(self, array: usize, index: i64) -> Option<usize> {
        if index >= 0 {
            return self.elements(array).nth(usize::try_from(index).ok()?);
        }
        let length = self.elements(array).count();
        let from_end = usize::try_from(index.unsigned_abs()).ok()?;
        self.elements(array).nth(length.checked_sub(from_end)?)
    }

    fn member(self, object: usize, key: &str) -> Option<usize> {
        let end = self.after(object);
        let mut found = None;
        let mut node = object + 1;
        while node < end {
            let same = if self.nodes[node].link & ESCAPED == 0 {
                self.raw_string(node) == key.as_bytes()
            } else {
                self.string(node) == key
            };
            if same {
                found = Some(node + 1);
            }
            node = self.after(node + 1);
        }
        found
    }
}

/// Replaces the escapes of a string that the scan has checked. Halves of surrogate pairs that stand alone become U+FFFD.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let escape = rest.as_bytes()[at + 1];
        rest = &rest[at + 2..];
        match escape {
            b'n' => out.push('\n'),
            b't' => out.push('\t'),
            b'r' => out.push('\r'),
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'u' => {
                let first = hex4(rest);
                rest = &rest[4..];
                let second =
                    if (0xD800..0xDC00).contains(&first) && rest.starts_with("\\u") { hex4(&rest[2..]) } else { 0 };
                let code = if (0xDC00..0xE000).contains(&second) {
                    rest = &rest[6..];
                    0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                } else {
                    first
                };
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            other => out.push(char::from(other)),
        }
    }
    out.push_str(rest);
    out
}

fn hex4(text: &str) -> u32 {
    u32::from_str_radix(&text[..4], 16).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::json_value::stringify;

    fn json(text: &str) -> LazyJson {
        LazyJson::new(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// What a path finds, as JSON; `nothing` when it leads nowhere.
    fn find(text: &str, path: &str) -> String {
        let path = JsonPath::parse(path).unwrap();
        match json(text).get(&path).unwrap() {
            Some(value) => stringify(value, false).unwrap(),
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn finds_what_a_path_says() {
        let shop = r#" {"items": [ {"name":"pen","price":1.5,"tags":["a","b"]}, {"name":"ink","tags":[]} , 7],
            "a b": {"c.d": true}, "n": null, "esc\u0061pe": "x\n\ud83d\ude00\ud800!", "0": "zero", "twice": 1, "twice": 2} "#;
        let table = [
            ("items[0].price", "1.5"),
            ("items.0.price", "1.5"),
            ("items[1].price", "nothing"),
            ("items[-1]", "7"),
            ("items[-3].name", r#""pen""#),
            ("items[-4]", "nothing"),
            ("items[3]", "nothing"),
            ("items.#", "3"),
            ("items.#.name", r#"["pen","ink"]"#),
            ("items.#.tags.#", "[2,0]"),
            ("items.#.tags.#.x", "[]"),
            ("items.#.tags[0]", r#"["a"]"#),
            ("items[1]", r#"{"name":"ink","tags":[]}"#),
            (r#"["a b"]["c.d"]"#, "true"),
            (r"a b.c\.d", "true"),
            ("n", "null"),
            ("n.x", "nothing"),
            ("n.#", "nothing"),
            ("escape", "\"x\\n\u{1f600}\u{fffd}!\""),
            ("0", r#""zero""#),
            ("[0]", "nothing"),
            ("#", "nothing"),
            ("twice", "2"),
            ("missing.deeper[0]", "nothing"),
        ];
        for (path, expected) in table {
            assert_eq!(find(shop, path), expected, "{path}");
        }
        assert_eq!(find("[]", "#"), "0");
        assert_eq!(find("[[1,2],[3]]", "#.#"), "[2,1]");
        assert_eq!(find(" 5 ", ""), "5");
    }

    #[test]
    fn reports_a_fault_after_what_the_path_finds() {
        let path = JsonPath::parse("a").unwrap();
        assert!(json(r#"{"a":1}"#).get(&path).is_ok());
        assert!(json(r#"{"a":1} x"#).get(&path).is_err());
    }

    #[test]
    fn tells_elements_apart() {
        let text = r#" [ {"a": [1, 2]} ,"x]," , 3 ] "#;
        let ranges = json(text).element_ranges().unwrap().unwrap();
        let parts: Vec<&str> = ranges.iter().map(|&(start, end)| &text[start..end]).collect();
        assert_eq!(parts, [r#"{"a": [1, 2]}"#, r#""x],""#, "3"]);
        assert_eq!(json("[]").element_ranges().unwrap(), Some(vec![]));
        assert_eq!(json("{}").element_ranges().unwrap(), None);
    }

    #[test]
    fn agrees_with_serde_json_about_what_is_json() {
        let pieces = ["{", "}", "[", "]", ",", ":", "\"a\"", "1", "-0.5e2", "true", "null", " ", "\"\\n\""];
        let mut rng = fastrand::Rng::with_seed(7);
        let mut valid = 0;
        for _ in 0..20_000 {
            let text: String = (0..rng.usize(1..7)).map(|_| pieces[rng.usize(..pieces.len())]).collect();
            let theirs = serde_json::from_str::<Value>(&text).ok();
            let ours = json(&text).value().ok().map(|value| stringify(value, false).unwrap());
            assert_eq!(ours.is_some(), theirs.is_some(), "{text}");
            if let (Some(ours), Some(theirs)) = (ours, theirs) {
                assert_eq!(serde_json::from_str::<Value>(&ours).unwrap(), theirs, "{text}");
                valid += 1;
            }
        }
        assert!(valid > 500, "only {valid} of the texts were JSON");
    }
}
