//! Requests: a head as `httparse` reads it, with the headers that the demo server looks at picked out in one pass.
//!
//! Everything borrows from the connection's input. What is refused here is refused for the whole connection: after a
//! malformed head nobody knows where the next request starts.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use httparse::Header;
use memchr::memchr;
use url::form_urlencoded;

use super::body::Framing;

/// The most bytes of a head.
pub(super) const HEAD_MAX: usize = 64 * 1024;

/// The most headers of a request.
pub(super) const HEADERS_MAX: usize = 96;

/// Room for a request's headers while it is handled.
pub(super) type Headers<'a> = [MaybeUninit<Header<'a>>; HEADERS_MAX];

/// A head that is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadHead {
    /// Not HTTP.
    #[error("the request is malformed: {0}")]
    Malformed(httparse::Error),
    /// More than [`HEAD_MAX`] bytes or [`HEADERS_MAX`] headers.
    #[error("the request's head has more than {HEAD_MAX} bytes or {HEADERS_MAX} headers")]
    TooLarge,
    /// A target that is neither a path nor an absolute URL.
    #[error("the request's target must be a path in UTF-8")]
    Target,
    /// HTTP/1.1 without `Host`.
    #[error("an HTTP/1.1 request needs exactly one `host` header")]
    Host,
    /// Contradicting or unreadable length headers.
    #[error("`content-length` must be one number, and must not come with `transfer-encoding`")]
    Length,
    /// A coding other than `chunked`.
    #[error("`transfer-encoding` must be `chunked`")]
    Coding,
}

impl BadHead {
    /// The status to answer with.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::TooLarge => 431,
            Self::Coding => 501,
            Self::Malformed(_) | Self::Target | Self::Host | Self::Length => 400,
        }
    }
}

/// A request without its body.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// As it came: `GET`.
    pub(super) method: &'a str,
    /// The path, not decoded.
    pub(super) path: &'a str,
    /// What follows `?`, not decoded; empty when there is none.
    pub(super) query: &'a str,
    /// All headers, in order.
    pub(super) headers: &'a [Header<'a>],
    /// How the body's end is found.
    pub(super) framing: Framing,
    /// Whether the client wants the connection kept.
    pub(super) keep_alive: bool,
    /// Whether it speaks HTTP/1.0.
    pub(super) is_http10: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(super) expects_continue: bool,
    /// `cookie`.
    pub(super) cookies: &'a str,
    /// `authorization`.
    pub(super) authorization: &'a str,
    /// `content-type`.
    pub(super) content_type: &'a str,
    /// `accept-encoding`.
    pub(super) accept_encoding: &'a str,
    /// `if-none-match`.
    pub(super) if_none_match: &'a str,
}

impl<'a> Request<'a> {
    /// Reads a head from the front of `input`: the request and the head's length, or none when it is not whole yet.
    pub(super) fn parse(input: &'a [u8], storage: &'a mut Headers<'a>) -> Result<Option<(Self, usize)>, BadHead> {
        let mut head = httparse::Request::new(&mut []);
        let length = match head.parse_with_uninit_headers(input, storage) {
            Ok(httparse::Status::Complete(length)) if length <= HEAD_MAX => length,
            Ok(httparse::Status::Partial) if input.len() < HEAD_MAX => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooLarge),
            Err(error) => return Err(BadHead::Malformed(error)),
        };
        let is_http10 = head.version == Some(0);
        let (path, query) = split_target(head.path.unwrap_or_default())?;
        let headers: &'a [Header<'a>] = head.headers;
        let mut request = Self {
            method: head.method.unwrap_or_default(),
            path,
            query,
            headers,
            framing: Framing::Length(0),
            keep_alive: !is_http10,
            is_http10,
            expects_continue: false,
            cookies: "",
            authorization: "",
            content_type: "",
            accept_encoding: "",
            if_none_match: "",
        };
        request.pick(headers)?;
        Ok(Some((request, length)))
    }

    /// Picks out the headers that matter.
    fn pick(&mut self, headers: &'a [Header<'a>]) -> Result<(), BadHead> {
        let (mut hosts, mut length, mut chunked) = (0, None, false);
        for header in headers {
            let name = header.name;
            // The length of a name rules out nearly all comparisons. A value that is not UTF-8 is as good as absent.
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
            let value = || std::str::from_utf8(header.value).unwrap_or_default();
            match name.len() {
                4 if is("host") => hosts += 1,
                6 if is("cookie") => self.cookies = value(),
                6 if is("expect") => self.expects_continue = value().eq_ignore_ascii_case("100-continue"),
                10 if is("connection") => {
                    for option in value().split(',').map(str::trim) {
                        if option.eq_ignore_ascii_case("close") {
                            self.keep_alive = false;
                        } else if self.is_http10 && option.eq_ignore_ascii_case("keep-alive") {
                            self.keep_alive = true;
                        }
                    }
                }
                12 if is("content-type") => self.content_type = value(),
                13 if is("authorization") => self.authorization = value(),
                13 if is("if-none-match") => self.if_none_match = value(),
                14 if is("content-length") => {
                    // `parse` alone would accept `+5`.
                    let digits = value();
                    let number =
                        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
                    match (number, length) {
                        (Some(number), None) => length = Some(number),
                        (Some(number), Some(before)) if number == before => {}
                        _ => return Err(BadHead::Length),
                    }
                }
                15 if is("accept-encoding") => self.accept_encoding = value(),
                17 if is("transfer-encoding") => {
                    if chunked || !value().eq_ignore_ascii_case("chunked") {
                        return Err(BadHead::Coding);
                    }
                    chunked = true;
                }
                _ => {}
            }
        }
        if (hosts != 1 && !self.is_http10) || hosts > 1 {
            return Err(BadHead::Host);
        }
        self.framing = match (length, chunked) {
            (Some(_), true) => return Err(BadHead::Length),
            (None, true) => Framing::Chunked,
            (length, false) => Framing::Length(length.unwrap_or(0)),
        };
        Ok(())
    }

    /// The first value of any header, by its name in lower case; empty when it is absent or not UTF-8.
    pub(super) fn header(&self, name: &str) -> &'a str {
        let found = self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).unwrap_or_default()
    }

    /// The first value of a query parameter, decoded.
    pub(super) fn query_value(&self, name: &str) -> Option<Cow<'a, str>> {
        first_value(self.query.as_bytes(), name)
    }

    /// A query parameter as a number: none when it is absent, `default` given; an error text when it is no such number.
    pub(super) fn query_number<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.query_value(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("`{name}` must be a number, found `{text}`")),
        }
    }

    /// The value of a cookie.
    pub(super) fn cookie(&self, name: &str) -> Option<&'a str> {
        self.cookie_pairs().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// All cookies, in order.
    pub(super) fn cookie_pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.cookies.split(';').filter_map(|pair| pair.trim().split_once('='))
    }

    /// The media type of the body, without its parameters.
    pub(super) fn media_type(&self) -> &'a str {
        self.content_type.split(';').next().unwrap_or_default().trim()
    }

    /// Whether the body calls itself a URL-encoded form.
    pub(super) fn is_form(&self) -> bool {
        self.media_type().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }

    /// Whether the client takes gzip: named, and not with a weight of 0.
    pub(super) fn accepts_gzip(&self) -> bool {
        self.accept_encoding.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"))
                && !parts
                    .any(|weight| weight.strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q == 0.0)))
        })
    }
}

/// The first value of `name` in a URL-encoded form or query.
pub(super) fn first_value<'a>(encoded: &'a [u8], name: &str) -> Option<Cow<'a, str>> {
    form_urlencoded::parse(encoded).find(|(found, _)| found == name).map(|(_, value)| value)
}

/// Path and query of a target in origin form (`/a?b`), absolute form (`http://host/a?b`) or asterisk form.
fn split_target(target: &str) -> Result<(&str, &str), BadHead> {
    let target = match target.find("://") {
        Some(scheme) if !target.starts_with('/') => {
            let rest = &target[scheme + 3..];
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => target,
    };
    if !target.starts_with('/') && target != "*" {
        return Err(BadHead::Target);
    }
    let (path, query) = match memchr(b'?', target.as_bytes()) {
        Some(mark) => (&target[..mark], &target[mark + 1..]),
        None => (target, ""),
    };
    Ok((path, query))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<R>(input: &str, look: impl FnOnce(Result<Option<(Request<'_>, usize)>, BadHead>) -> R) -> R {
        let mut storage = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        look(Request::parse(input.as_bytes(), &mut storage))
    }

    #[test]
    fn a_head_is_read_with_the_headers_that_matter() {
        let input = "POST /cart?page=2&q=a%20b+c HTTP/1.1\r\nHost: x\r\nCookie: a=1; sid=00ff\r\ncontent-LENGTH: 5\r\n\
                     Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nAccept-Encoding: br, gzip;q=0.5\r\n\
                     Expect: 100-continue\r\n\r\nhello";
        with(input, |parsed| {
            let (request, length) = parsed.unwrap().unwrap();
            assert_eq!((request.method, request.path), ("POST", "/cart"));
            assert_eq!(request.query_value("q").as_deref(), Some("a b c"));
            assert_eq!(request.query_number("page", 1u32), Ok(2));
            assert_eq!(request.query_number("per_page", 20u32), Ok(20));
            assert!(request.query_number("q", 1u32).unwrap_err().contains("`a b c`"));
            assert_eq!(request.cookie("sid"), Some("00ff"));
            assert_eq!(request.cookie("si"), None);
            assert_eq!(request.framing, Framing::Length(5));
            assert!(request.keep_alive && request.expects_continue && request.is_form() && request.accepts_gzip());
            assert_eq!(&input[length..], "hello");
        });
    }

    #[test]
    fn keep_alive_follows_version_and_header() {
        for (head, keep) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", true),
            ("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\n\r\n", false),
            ("GET / HTTP/1.0\r\n\r\n", false),
            ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true),
        ] {
            with(head, |parsed| assert_eq!(parsed.unwrap().unwrap().0.keep_alive, keep, "{head:?}"));
        }
    }

    #[test]
    fn gzip_is_taken_only_where_it_is_wanted() {
        for (header, takes) in [
            ("gzip", true),
            ("*", false),
            ("deflate, GZIP", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0", false),
            ("br", false),
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {header}\r\n\r\n");
            with(&head, |parsed| assert_eq!(parsed.unwrap().unwrap().0.accepts_gzip(), takes, "{header}"));
        }
    }

    #[test]
    fn targets_are_split() {
        for (target, path, query) in [
            ("/", "/", ""),
            ("/a?b=c?d", "/a", "b=c?d"),
            ("http://host:1/a?b", "/a", "b"),
            ("http://host", "/", ""),
            ("/redirect-to?url=http://x/y", "/redirect-to", "url=http://x/y"),
            ("*", "*", ""),
        ] {
            assert_eq!(split_target(target), Ok((path, query)), "{target}");
        }
        assert_eq!(split_target("a"), Err(BadHead::Target));
    }

    #[test]
    fn hostile_heads_are_refused() {
        let many = "X: 1\r\n".repeat(HEADERS_MAX + 1);
        let long = "x".repeat(HEAD_MAX);
        let table = [
            ("\x16\x03\x01\x02 \r\n\r\n".to_owned(), 400),
            ("GET /\r\n\r\n".to_owned(), 400),
            ("GET  HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(), 501),
            (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431),
            (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 431),
            (format!("GET / HTTP/1.1\r\nX: {long}"), 431),
        ];
        for (head, status) in table {
            with(&head, |parsed| assert_eq!(parsed.unwrap_err().status(), status, "{:.80}", head));
        }
        for cut in ["", "G", "GET / HTTP/1.1\r\nHost: x\r\n"] {
            with(cut, |parsed| assert!(parsed.unwrap().is_none(), "{cut:?}"));
        }
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_head_breaks_the_shop(lines in "((GET|POST|[A-Z]{0,3}) ?[/a-z?&=%.:*]{0,12} ?(HTTP/1\\.[019])?\r?\n)?((Host|Cookie|Content-Length|Transfer-Encoding|Connection|Expect|Accept-Encoding|[a-z]{0,4}): ?([0-9]{0,22}|chunked|close|gzip;q=[0-9.]{0,4}|a=b;? ?|[ -~]{0,9}|\\PC)\r?\n){0,6}(\r\n)?", bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            for bytes in [lines.as_bytes(), &bytes] {
                let mut storage = [const { MaybeUninit::uninit() }; HEADERS_MAX];
                if let Ok(Some((request, length))) = Request::parse(bytes, &mut storage) {
                    prop_assert!(length <= bytes.len());
                    let _ = (request.query_value("a"), request.cookie("a"), request.is_form(), request.accepts_gzip());
                    let _ = request.query_number("a", 1u32);
                }
            }
        }
    }
}
