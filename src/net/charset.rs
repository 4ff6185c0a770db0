//! From the bytes of a body to text: which charset it has, and what it says in it.
//!
//! As browsers decide it: a byte order mark, else the `charset` of the `Content-Type`, else, in an HTML or XML document,
//! what its first 1,024 bytes declare, else UTF-8. Bytes that mean nothing in the charset become U+FFFD.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, X_USER_DEFINED};

/// How far into a document a declaration of its charset is looked for.
const PRESCAN_BYTES: usize = 1024;

/// The text of a body with this `Content-Type` (empty: none).
#[must_use]
pub fn text<'a>(body: &'a [u8], content_type: &str) -> Cow<'a, str> {
    let charset = of_content_type(content_type).or_else(|| declared(body, content_type)).unwrap_or(UTF_8);
    // A byte order mark has the last word, and is no part of the text.
    charset.decode(body).0
}

/// The text of a body in a charset by one of its names, whatever else is said; nothing when there is no such charset.
#[must_use]
pub fn text_in<'a>(body: &'a [u8], charset: &str) -> Option<Cow<'a, str>> {
    let charset = Encoding::for_label(charset.as_bytes())?;
    Some(charset.decode_with_bom_removal(body).0)
}

/// Whether a body means the same in every charset that a server may mean: no more than ASCII, without what other charsets
/// escape with.
#[must_use]
pub fn is_plain(body: &[u8]) -> bool {
    body.is_ascii() && memchr::memchr2(0x1b, 0, body).is_none()
}

/// The charset of a `Content-Type`: `text/html; charset="utf-8"`.
fn of_content_type(content_type: &str) -> Option<&'static Encoding> {
    let parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let mut charsets = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let (_, label) = charsets.next()?;
    Encoding::for_label(label.trim().trim_matches(['"', '\'']).as_bytes())
}

/// What a document declares about itself, where it is one that may.
fn declared(body: &[u8], content_type: &str) -> Option<&'static Encoding> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let head = &body[..body.len().min(PRESCAN_BYTES)];
    if kind.ends_with("html") {
        of_meta(head).or_else(|| of_xml(head))
    } else if kind.ends_with("xml") || kind.is_empty() {
        of_xml(head).or_else(|| if kind.is_empty() { of_meta(head) } else { None })
    } else {
        None
    }
}

/// `<meta charset=...>`, or `<meta http-equiv=content-type content="...; charset=...">`.
fn of_meta(head: &[u8]) -> Option<&'static Encoding> {
    let mut rest = head;
    while let Some(at) = memchr::memchr(b'<', rest) {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix(b"!--") {
            rest = &comment[memchr::memmem::find(comment, b"-->")?..];
            continue;
        }
        let is_meta = rest.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"meta"))
            && rest.get(4).is_some_and(|after| after.is_ascii_whitespace() || *after == b'/');
        if !is_meta {
            continue;
        }
        let end = memchr::memchr(b'>', rest).unwrap_or(rest.len());
        let tag = rest[4..end].to_ascii_lowercase();
        // The name may stand in an attribute of its own or in the value of `content`: it is followed by `=` in both.
        let label = memchr::memmem::find_iter(&tag, b"charset").find_map(|at| label_after(&tag[at + 7..]));
        if let Some(charset) = label.and_then(Encoding::for_label) {
            // A declaration that could be read is in ASCII, so these can't be true.
            return Some(if charset == UTF_16BE || charset == UTF_16LE || charset == X_USER_DEFINED {
                UTF_8
            } else {
                charset
            });
        }
    }
    None
}

/// `<?xml version="1.0" encoding="..."?>` at the very beginning.
fn of_xml(head: &[u8]) -> Option<&'static Encoding> {
    let declaration = head.strip_prefix(b"<?xml")?;
    let declaration = &declaration[..memchr::memmem::find(declaration, b"?>")?];
    let at = memchr::memmem::find(declaration, b"encoding")?;
    Encoding::for_label(label_after(&declaration[at + 8..])?)
}

/// The value after a name: `= "utf-8"`.
fn label_after(rest: &[u8]) -> Option<&[u8]> {
    let value = rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let value = match value.first()? {
        quote @ (b'"' | b'\'') => {
            let value = &value[1..];
            &value[..memchr::memchr(*quote, value)?]
        }
        _ => {
            let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b';' | b'"' | b'\'' | b'>' | b'/');
            &value[..value.iter().position(ends).unwrap_or(value.len())]
        }
    };
    Some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_charset_is_found_as_browsers_find_it() {
        let latin = b"caf\xe9";
        for (body, content_type, expected) in [
            (&b"caf\xc3\xa9"[..], "", "café"),
            (latin, "text/plain; charset=iso-8859-1", "café"),
            (latin, "text/plain;Charset=\"Windows-1252\"", "café"),
            (latin, "text/plain; charset=utf-8", "caf\u{fffd}"),
            (latin, "text/plain", "caf\u{fffd}"),
            (latin, "text/plain; charset=klingon", "caf\u{fffd}"),
            (b"\xef\xbb\xbfcaf\xc3\xa9", "text/plain; charset=iso-8859-1", "café"),
            (b"\xff\xfec\0a\0", "text/plain", "ca"),
            (b"\x82\xb1\x82\xf1", "text/html; charset=Shift_JIS", "こん"),
            (b"\x1b$B$3\x1b(B", "text/plain; charset=iso-2022-jp", "こ"),
        ] {
            assert_eq!(text(body, content_type), expected, "{content_type}: {body:?}");
        }
    }

    #[test]
    fn documents_may_declare_their_charset() {
        for (document, content_type, is_latin) in [
            ("<meta charset=windows-1252>", "text/html", true),
            ("<META\nCHARSET = 'latin1' />", "text/html", true),
            ("<meta http-equiv=Content-Type content='text/html; charset=latin1'>", "text/html", true),
            ("<?xml version='1.0' encoding='ISO-8859-1'?>", "application/xml", true),
            ("<?xml version='1.0' encoding='ISO-8859-1'?>", "image/svg+xml", true),
            ("<?xml version='1.0' encoding='ISO-8859-1'?>", "", true),
            ("<meta charset=latin1>", "", true),
            ("<meta charset=latin1>", "text/html; charset=utf-8", false),
            ("<meta charset=latin1>", "text/plain", false),
            ("<!-- <meta charset=latin1> -->", "text/html", false),
            ("<metal charset=latin1>", "text/html", false),
            ("<meta name=charset content=latin1>", "text/html", false),
            ("<meta charset=nothing>", "text/html", false),
            ("<meta charset=utf-16>", "text/html", false),
            ("<meta charset", "text/html", false),
        ] {
            let body = [document.as_bytes(), b"\xe9"].concat();
            let found = text(&body, content_type);
            assert_eq!(found.ends_with('é'), is_latin, "{document} as {content_type}");
            assert_eq!(found.ends_with('\u{fffd}'), !is_latin, "{document} as {content_type}");
        }
        let late = [" ".repeat(PRESCAN_BYTES).as_bytes(), b"<meta charset=latin1>\xe9"].concat();
        assert!(text(&late, "text/html").ends_with('\u{fffd}'), "too late to be looked for");
    }

    #[test]
    fn a_charset_can_be_named() {
        assert_eq!(text_in(b"\xe9", "latin1").unwrap(), "é");
        assert_eq!(text_in(b"\xef\xbb\xbf\xc3\xa9", "utf-8").unwrap(), "é");
        assert_eq!(text_in(b"x", "klingon"), None);
    }

    #[test]
    fn plain_bodies_are_known() {
        assert!(is_plain(b"{\"a\": 1}\r\n"));
        for body in [&b"caf\xe9"[..], b"\x1b$B", b"a\0b"] {
            assert!(!is_plain(body), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn fuzz_no_document_does_harm(body in proptest::collection::vec(any::<u8>(), 0..200), kind in "[a-z/;= \"']{0,40}") {
            let _ = text(&body, &kind);
            let html = [b"<meta charset=".as_slice(), &body].concat();
            let _ = text(&html, "text/html");
        }

        #[test]
        fn fuzz_valid_utf8_stays_what_it_is(body in "[^\u{feff}]{0,100}") {
            prop_assert_eq!(text(body.as_bytes(), "application/json"), body.as_str());
        }
    }
}
