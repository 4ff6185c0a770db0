//! Which values of a JSON text are wanted, in either of two languages: [`JsonPath`], which finds one field fast, and
//! JSONPath (RFC 9535), which finds all that fit.
//!
//! A path that begins with `$` is JSONPath. Where it names one place alone (`$.items[0].price`, a singular query in the
//! RFC's words), both languages mean the same, and the fast one answers: the value, or nothing. Any other query
//! (`$..price`, `$.items[?@.price < 10]`) gives an array of what it finds, and needs the text as a tree, which is made
//! at the first such query and kept with the text.

use rhai::{Array, Dynamic};

use super::json_path::{JsonPath, JsonPathError};
use super::json_value::from_value;
use super::lazy_json::{JsonError, LazyJson};

/// How long a query may be, in bytes.
const LENGTH_MAX: usize = 1024;

/// How deep brackets and parentheses of a query may nest: what reads them tries several ways at each level.
const NESTING_MAX: usize = 8;

/// A parsed path or query.
#[derive(Clone, Debug)]
pub enum JsonQuery {
    /// One place.
    Path(JsonPath),
    /// All places that fit.
    All(Box<serde_json_path::JsonPath>),
}

/// Why a text is neither a path nor a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonQueryError {
    /// It is no path.
    #[error(transparent)]
    Path(#[from] JsonPathError),
    /// It begins as a query and is none.
    #[error("`{query}` is not a JSONPath query (RFC 9535): {problem}, at position {position}")]
    Query {
        /// The query, cut when it is long.
        query: String,
        /// What is wrong with it.
        problem: String,
        /// Where, in bytes from 1.
        position: usize,
    },
}

impl JsonQuery {
    /// Parses a path or query.
    ///
    /// # Errors
    /// When the text is neither; the error says where and why.
    pub fn parse(text: &str) -> Result<Self, JsonQueryError> {
        let path = match JsonPath::parse(text) {
            Ok(path) => return Ok(Self::Path(path)),
            Err(error) => error,
        };
        if !text.starts_with(['$']) || !matches!(text.as_bytes().get(1), Some(b'.' | b'[')) {
            return Err(path.into());
        }
        let fail = |problem: &str, position: usize| JsonQueryError::Query {
            query: path.path.clone(),
            problem: problem.to_owned(),
            position,
        };
        if text.len() > LENGTH_MAX {
            return Err(fail("it is longer than 1024 bytes", LENGTH_MAX + 1));
        }
        if let Some(at) = nests_too_deep(text) {
            return Err(fail("brackets and parentheses nest deeper than 8 levels", at + 1));
        }
        match serde_json_path::JsonPath::parse(text) {
            Ok(query) => Ok(Self::All(Box::new(query))),
            Err(error) => Err(fail(error.message(), error.position())),
        }
    }

    /// What it finds in a text: of a path the value, or nothing; of a query an array.
    ///
    /// # Errors
    /// When the text is not JSON.
    pub fn find(&self, text: &LazyJson) -> Result<Option<Dynamic>, JsonError> {
        match self {
            Self::Path(path) => text.get(path),
            Self::All(query) => {
                let found: Array = query.query(text.tree()?).iter().map(|value| from_value(value)).collect();
                Ok(Some(found.into()))
            }
        }
    }
}

/// Where the nesting of a query becomes too deep. What is in quotes does not count.
fn nests_too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), byte) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'[' | b'(') => depth += 1,
            (None, b']' | b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > NESTING_MAX {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::script::json_value::stringify;

    /// The example of the RFC, section 1.5.
    const STORE: &str = r#"{ "store": { "book": [
        { "category": "reference", "author": "Nigel Rees", "title": "Sayings of the Century", "price": 8.95 },
        { "category": "fiction", "author": "Evelyn Waugh", "title": "Sword of Honour", "price": 12.99 },
        { "category": "fiction", "author": "Herman Melville", "title": "Moby Dick", "isbn": "0-553-21311-3", "price": 8.99 },
        { "category": "fiction", "author": "J. R. R. Tolkien", "title": "The Lord of the Rings", "isbn": "0-395-19395-8",
          "price": 22.99 } ],
        "bicycle": { "color": "red", "price": 399 } } }"#;

    fn find(text: &str, query: &str) -> String {
        let text = LazyJson::new(Bytes::copy_from_slice(text.as_bytes()));
        match JsonQuery::parse(query).unwrap_or_else(|error| panic!("{error}")).find(&text).unwrap() {
            Some(value) => stringify(value, false).unwrap(),
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_query_finds_all_that_fit() {
        for (query, found) in [
            ("$.store.book[0].price", "8.95"),
            ("$['store']['bicycle']['color']", "\"red\""),
            ("$.store.book[-1].author", "\"J. R. R. Tolkien\""),
            ("$.store.nothing", "nothing"),
            ("$..book[?@.price<10].title", r#"["Sayings of the Century","Moby Dick"]"#),
            ("$.store.book[*].author", r#"["Nigel Rees","Evelyn Waugh","Herman Melville","J. R. R. Tolkien"]"#),
            ("$..book[?@.isbn].price", "[8.99,22.99]"),
            ("$..book[0,1].price", "[8.95,12.99]"),
            ("$..book[:2].price", "[8.95,12.99]"),
            ("$..book[::2].price", "[8.95,8.99]"),
            ("$..price", "[399,8.95,12.99,8.99,22.99]"),
            ("$..nothing", "[]"),
            ("$..book[?@.category=='fiction' && @.price<10].title", r#"["Moby Dick"]"#),
            ("$..book[?length(@.title)>20].price", "[8.95,22.99]"),
            ("$..book[?match(@.title, 'Mo.*')].title", r#"["Moby Dick"]"#),
            ("$..book[?search(@.title, 'of')].price", "[8.95,12.99,22.99]"),
            ("$.store[?count(@.*)==2].color", r#"["red"]"#),
        ] {
            assert_eq!(find(STORE, query), found, "{query}");
        }
    }

    #[test]
    fn what_is_no_query_says_where() {
        for (query, told) in [
            ("$..", "`$..` is not a JSONPath query (RFC 9535): "),
            ("$.a[?", "`$.a[?` is not a JSONPath query (RFC 9535): "),
            ("$.a[?@.b = 1]", "`$.a[?@.b = 1]` is not a JSONPath query (RFC 9535): "),
            ("a..b", "`a..b` is not a JSON path: expected a key"),
        ] {
            let error = JsonQuery::parse(query).unwrap_err().to_string();
            assert!(error.starts_with(told), "{error}");
            assert!(error.contains(", at position "), "{error}");
        }
        let deep = format!("$[?{}@.a{}]", "(".repeat(100), ")".repeat(100));
        assert!(JsonQuery::parse(&deep).unwrap_err().to_string().contains("deeper than 8 levels, at position 11"));
        assert!(JsonQuery::parse(&format!("$[?@.a == '{}']", "(".repeat(100))).is_ok());
        let long = format!("$..{}", "a".repeat(LENGTH_MAX));
        assert!(JsonQuery::parse(&long).unwrap_err().to_string().contains("longer than 1024 bytes"));
    }

    #[test]
    fn the_deepest_nesting_is_read_at_once() {
        let parentheses = format!("$[?{}@.a == 1{}]", "(".repeat(NESTING_MAX - 1), ")".repeat(NESTING_MAX - 1));
        assert!(JsonQuery::parse(&parentheses).is_ok());
        let filters = format!("${}@.a == 1{}", "[?@".repeat(NESTING_MAX), "]".repeat(NESTING_MAX));
        let _ = JsonQuery::parse(&filters);
    }

    proptest! {
        #[test]
        fn fuzz_no_text_does_harm(query in "\\$[.\\[\\]()?@*'\"a0:,<=! \\\\|&-]{0,40}") {
            let text = LazyJson::new(Bytes::from_static(br#"{"a":[{"a":0},[0]],"0":"a"}"#));
            if let Ok(query) = JsonQuery::parse(&query) {
                prop_assert!(query.find(&text).is_ok());
            }
        }
    }
}
