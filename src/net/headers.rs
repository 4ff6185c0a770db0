//! A response's headers: kept as they came, and made into a map when somebody looks at them.
//!
//! Most responses of a load test are looked at by their status and body alone. The few headers that the client itself
//! needs are read from the wire's bytes; making the map costs about as much as the rest of parsing a response.

use std::cell::OnceCell;
use std::mem::MaybeUninit;
use std::ops::Deref;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use super::response::HEADERS_MAX;

/// Headers of a response. Reads as a [`HeaderMap`].
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// The head as it came, status line included; empty when there was none.
    head: Bytes,
    sets_cookies: bool,
    map: OnceCell<HeaderMap>,
}

impl Headers {
    /// Of a head that was parsed before.
    pub(super) fn new(head: Bytes, sets_cookies: bool) -> Self {
        Self { head, sets_cookies, map: OnceCell::new() }
    }

    /// Of a map that is made already.
    pub(super) fn of(map: HeaderMap, sets_cookies: bool) -> Self {
        Self { head: Bytes::new(), sets_cookies, map: OnceCell::from(map) }
    }

    /// Whether there is a `Set-Cookie` among them, without looking at the others.
    #[must_use]
    pub fn sets_cookies(&self) -> bool {
        self.sets_cookies
    }
}

impl Deref for Headers {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        self.map.get_or_init(|| parse(&self.head))
    }
}

/// The head has been parsed before, by the same rules: what can't be read is left out.
fn parse(head: &Bytes) -> HeaderMap {
    let mut slots = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    if head.is_empty() || parser.parse_response_with_uninit_headers(&mut parsed, head, &mut slots).is_err() {
        return HeaderMap::new();
    }
    let mut map = HeaderMap::with_capacity(parsed.headers.len());
    for header in &*parsed.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(head.slice_ref(header.value));
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_is_made_of_what_came() {
        let head = Bytes::from_static(b"HTTP/1.1 200 OK\r\nX-Two: a\r\nx-two: b\r\nEmpty:\r\nOdd: \xfc\r\n\r\n");
        let headers = Headers::new(head, false);
        assert_eq!(headers.get_all("x-two").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(headers["empty"], "");
        assert_eq!(headers["odd"].as_bytes(), b"\xfc");
        assert_eq!(headers.len(), 4);
    }

    #[test]
    fn no_head_has_no_headers() {
        assert!(Headers::default().is_empty());
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_head_breaks_the_map(lines in "([A-Za-z-]{0,9}:? ?[ -~\\x80-\\xff]{0,9}(\r\n|\n|\r)?){0,8}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            for text in [lines.as_bytes(), &bytes] {
                let head = Bytes::from([b"HTTP/1.1 200 OK\r\n", text, b"\r\n\r\n"].concat());
                let headers = Headers::new(head, false);
                prop_assert!(headers.len() <= HEADERS_MAX);
            }
        }

        #[test]
        fn fuzz_headers_read_back(given in prop::collection::vec(("[A-Za-z][A-Za-z0-9-]{0,8}", "([!-~]([ -~]{0,9}[!-~])?)?"), 0..20)) {
            let lines: String = given.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let headers = Headers::new(format!("HTTP/1.1 200 OK\r\n{lines}\r\n").into(), false);
            prop_assert_eq!(headers.len(), given.len());
            for (name, _) in &given {
                let expected: Vec<&str> =
                    given.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| &**value).collect();
                prop_assert_eq!(headers.get_all(name.as_str()).iter().collect::<Vec<_>>(), expected);
            }
        }
    }
}
