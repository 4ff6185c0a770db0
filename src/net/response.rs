//! What a response looks like on the wire: its head, where its body ends, chunks. Pure; bytes in, values out.
//!
//! The head's syntax is httparse's business, what it means is RFC 9112's. Strict where leniency would hide a fault of the
//! target: a load test that forgives is not believed.

use std::mem::MaybeUninit;

use ::http::Method;
use ::http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, SET_COOKIE, TRANSFER_ENCODING};
use bytes::Bytes;

use super::headers::Headers;
use crate::fault::Fault;

/// How many headers a response may have.
pub(super) const HEADERS_MAX: usize = 100;

/// How long a response's head, or a chunked body's trailer, may be, in bytes.
pub(super) const HEAD_BYTES_MAX: usize = 256 * 1024;

/// How many bytes of empty lines may come before a head.
const BLANK_MAX: usize = 32;

/// Why bytes are not what they should be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) fault: Fault,
    pub(super) why: String,
}

fn malformed(why: impl Into<String>) -> Broken {
    Broken { fault: Fault::MALFORMED_RESPONSE, why: why.into() }
}

/// A response's head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    /// Whether it is HTTP/1.0.
    pub(super) old: bool,
    pub(super) headers: Headers,
    pub(super) framing: Framing,
    /// Whether the connection stays open after the body, as far as the head says.
    pub(super) keeps_alive: bool,
    /// The part of the body that came with it, where that is the whole body.
    pub(super) body: Bytes,
}

/// Where a body ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked(Chunks),
    /// With the connection.
    Close,
}

/// Reads a head from the start of `bytes`: the head and how many bytes it took, or none if it is not complete.
///
/// Where the whole body lies behind it, at most `body_max` bytes long, it is taken along: one allocation holds both.
pub(super) fn parse_head(bytes: &[u8], method: &Method, body_max: u64) -> Result<Option<(usize, Head)>, Broken> {
    let mut slots = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut parsed, bytes, &mut slots) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() > HEAD_BYTES_MAX => {
            return Err(too_large(format!("the response's head is longer than {HEAD_BYTES_MAX} bytes")));
        }
        // Empty lines before a head are passed over, but not for ever.
        Ok(httparse::Status::Partial) if bytes.len() > BLANK_MAX && is_blank(&bytes[..BLANK_MAX]) => {
            return Err(malformed("the response begins with empty lines alone"));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(too_large(format!("the response has more than {HEADERS_MAX} headers")));
        }
        Err(error) => return Err(malformed(format!("the response's head is no HTTP: {error}"))),
    };
    let (Some(status), Some(version)) = (parsed.code, parsed.version) else {
        return Err(malformed("the response has no status"));
    };
    let old = version == 0;
    let framing = framing(method, status, old, parsed.headers)?;
    let taken = match framing {
        Framing::Length(body) if body <= body_max && body <= (bytes.len() - length) as u64 => length + body as usize,
        _ => length,
    };
    let shared = Bytes::copy_from_slice(&bytes[..taken]);
    let keeps_alive = framing != Framing::Close && status != 101 && keeps_alive(old, parsed.headers);
    let headers = Headers::new(shared.slice(..length), named(parsed.headers, &SET_COOKIE).next().is_some());
    let body = shared.slice(length..);
    Ok(Some((length, Head { status, old, headers, framing, keeps_alive, body })))
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
}

fn too_large(why: String) -> Broken {
    Broken { fault: Fault::HEADERS_TOO_LARGE, why }
}

/// RFC 9112, section 6.3.
fn framing(method: &Method, status: u16, old: bool, headers: &[httparse::Header<'_>]) -> Result<Framing, Broken> {
    let tunnel = *method == Method::CONNECT && (200..300).contains(&status);
    if *method == Method::HEAD || tunnel || matches!(status, 100..=199 | 204 | 304) {
        return Ok(if tunnel { Framing::Close } else { Framing::Length(0) });
    }
    let mut length = None;
    let mut coding = None;
    for header in headers {
        if header.name.eq_ignore_ascii_case(TRANSFER_ENCODING.as_str()) {
            coding = header.value.rsplit(|&byte| byte == b',').next().map(<[u8]>::trim_ascii);
        } else if header.name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str()) {
            for value in header.value.split(|&byte| byte == b',') {
                let found = parse_length(value.trim_ascii());
                if found.is_none() || length.is_some_and(|known| Some(known) != found) {
                    let shown = String::from_utf8_lossy(header.value);
                    return Err(malformed(format!("found the content-length `{shown}`, expected one number")));
                }
                length = found;
            }
        }
    }
    Ok(match (coding, length) {
        (Some(coding), _) if coding.eq_ignore_ascii_case(b"chunked") && !old => Framing::Chunked(Chunks::default()),
        (Some(_), _) => Framing::Close,
        (None, Some(length)) => Framing::Length(length),
        (None, None) => Framing::Close,
    })
}

fn parse_length(digits: &[u8]) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if all_digits { std::str::from_utf8(digits).ok()?.parse().ok() } else { None }
}

/// The values of all headers of that name.
fn named<'a>(headers: &'a [httparse::Header<'_>], name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name.as_str())).map(|header| header.value)
}

fn keeps_alive(old: bool, headers: &[httparse::Header<'_>]) -> bool {
    let says = |token: &[u8]| {
        named(headers, &CONNECTION)
            .any(|value| value.split(|&byte| byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token)))
    };
    if old { says(b"keep-alive") } else { !says(b"close") }
}

/// Where in a chunked body one is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chunks {
    at: At,
    /// Bytes of sizes, extensions and trailers so far: they have no bound of their own.
    overhead: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the size, after so many digits.
    Size {
        size: u64,
        digits: u8,
    },
    /// In blanks behind the size.
    Blank {
        size: u64,
    },
    /// In an extension.
    Extension {
        size: u64,
    },
    /// Before the line feed that ends the size.
    SizeEnd {
        size: u64,
    },
    /// In the data.
    Data {
        left: u64,
    },
    /// Before the carriage return behind the data.
    DataReturn,
    /// Before the line feed behind the data.
    DataEnd,
    /// At the start of a trailer line.
    Trailer,
    /// In a trailer line.
    TrailerLine,
    /// Before the last line feed.
    LastEnd,
    Done,
}

impl Default for At {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

impl Chunks {
    /// Whether the last chunk and its trailer have been read.
    pub(super) fn is_done(&self) -> bool {
        self.at == At::Done
    }

    /// The next piece of data, taken off `input`; none when there is no more of it in there.
    pub(super) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Broken> {
        loop {
            if self.at == At::Done {
                return Ok(None);
            }
            if let At::Data { left } = self.at {
                if input.is_empty() {
                    return Ok(None);
                }
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                let (data, rest) = input.split_at(count);
                *input = rest;
                let left = left - count as u64;
                self.at = if left == 0 { At::DataReturn } else { At::Data { left } };
                return Ok(Some(data));
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
            *input = rest;
            self.overhead += 1;
            if self.overhead > HEAD_BYTES_MAX && !matches!(self.at, At::DataReturn | At::DataEnd | At::Size { .. }) {
                let what = match self.at {
                    At::Trailer | At::TrailerLine | At::LastEnd => "trailer is",
                    _ => "chunk extensions are",
                };
                return Err(malformed(format!("the body's {what} longer than {HEAD_BYTES_MAX} bytes")));
            }
            self.at = self.step(byte)?;
        }
    }

    fn step(&mut self, byte: u8) -> Result<At, Broken> {
        let after_size = |size| if size == 0 { At::Trailer } else { At::Data { left: size } };
        Ok(match (self.at, byte) {
            (At::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < 16 => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                At::Size { size: size << 4 | digit, digits: digits + 1 }
            }
            (At::Size { size, digits: 1.. } | At::Blank { size }, b' ' | b'\t') => At::Blank { size },
            (At::Size { size, digits: 1.. } | At::Blank { size }, b';') => At::Extension { size },
            (At::Size { size, digits: 1.. } | At::Blank { size } | At::Extension { size }, b'\r') => {
                At::SizeEnd { size }
            }
            (At::Extension { size }, byte) if byte != b'\n' => At::Extension { size },
            (At::SizeEnd { size }, b'\n') => after_size(size),
            (At::DataReturn, b'\r') => At::DataEnd,
            (At::DataEnd, b'\n') => {
                // A body of many chunks is no fault: only one line's length and the trailer's are bounded.
                self.overhead = 0;
                At::default()
            }
            (At::Trailer, b'\r') => At::LastEnd,
            (At::Trailer | At::TrailerLine, b'\n') => At::Trailer,
            (At::Trailer | At::TrailerLine, _) => At::TrailerLine,
            (At::LastEnd, b'\n') => At::Done,
            (at, byte) => {
                let expected = match at {
                    At::Size { .. } => "a chunk's size",
                    At::DataReturn | At::DataEnd => "a line break behind a chunk",
                    _ => "a line break",
                };
                return Err(malformed(format!("found `{}` in the body, expected {expected}", byte.escape_ascii())));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, method: &Method) -> Result<Option<(usize, Head)>, Broken> {
        parse_head(text.as_bytes(), method, 1_000)
    }

    #[test]
    fn where_a_body_ends() {
        let get = &Method::GET;
        for (method, head, framing, keeps_alive) in [
            (get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", Framing::Length(5), true),
            (get, "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\ncontent-length: 5\r\n", Framing::Length(5), true),
            (get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n", Framing::Length(5), false),
            (get, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n", Framing::Length(5), false),
            (get, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n", Framing::Length(5), true),
            (get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", Framing::Chunked(Chunks::default()), true),
            (get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n", Framing::Chunked(Chunks::default()), true),
            (get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n", Framing::Close, false),
            (get, "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n", Framing::Close, false),
            (get, "HTTP/1.1 200 OK\r\n", Framing::Close, false),
            (get, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n", Framing::Length(0), true),
            (get, "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n", Framing::Length(0), true),
            (get, "HTTP/1.1 101 Switching Protocols\r\n", Framing::Length(0), false),
            (&Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", Framing::Length(0), true),
            (&Method::HEAD, "HTTP/1.1 200 OK\r\n", Framing::Length(0), true),
            (&Method::CONNECT, "HTTP/1.1 200 OK\r\n", Framing::Close, false),
        ] {
            let text = format!("{head}\r\nrest");
            let (length, found) = parse(&text, method).unwrap().unwrap();
            assert_eq!((length, found.framing, found.keeps_alive), (text.len() - 4, framing, keeps_alive), "{head}");
        }
    }

    #[test]
    fn a_length_that_is_none_is_refused() {
        for value in ["", "x", "-1", "+1", "1 2", "1,2", "1,", "99999999999999999999"] {
            let broken =
                parse(&format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n"), &Method::GET).unwrap_err();
            assert_eq!(broken.why, format!("found the content-length `{value}`, expected one number"));
        }
    }

    #[test]
    fn a_body_that_came_along_is_taken_if_it_is_whole_and_small() {
        for (body, taken) in [("hello", "hello"), ("hello and more", "hello"), ("hell", ""), ("", "")] {
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{body}");
            assert_eq!(parse(&text, &Method::GET).unwrap().unwrap().1.body, taken);
        }
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n{}", "x".repeat(1_001));
        assert_eq!(parse(&text, &Method::GET).unwrap().unwrap().1.body, "");
    }

    #[test]
    fn every_beginning_of_a_head_is_a_head_to_come() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\n";
        for length in 0..text.len() {
            assert!(parse(&text[..length], &Method::GET).unwrap().is_none(), "{length}");
        }
    }

    fn chunked(pieces: &[&[u8]]) -> Result<(String, bool), Broken> {
        let mut chunks = Chunks::default();
        let mut body = Vec::new();
        for mut piece in pieces.iter().copied() {
            while let Some(data) = chunks.next(&mut piece)? {
                body.extend_from_slice(data);
            }
        }
        Ok((String::from_utf8(body).unwrap(), chunks.is_done()))
    }

    #[test]
    fn chunks_are_put_together_however_they_are_cut() {
        for (text, expected) in [
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "hello"),
            ("3\r\nhel\r\n002;a=b\r\nlo\r\n0\r\n\r\n", "hello"),
            ("a \t\r\n0123456789\r\n0;x\r\nX: 1\r\nY: 2\r\n\r\n", "0123456789"),
            ("B\r\n0123456789a\r\n0\r\n\r\n", "0123456789a"),
        ] {
            let bytes = text.as_bytes();
            assert_eq!(chunked(&[bytes]).unwrap(), (expected.to_owned(), true), "{text:?}");
            let single: Vec<_> = bytes.chunks(1).collect();
            assert_eq!(chunked(&single).unwrap(), (expected.to_owned(), true), "{text:?}");
            for end in 0..bytes.len() {
                assert!(!chunked(&[&bytes[..end]]).unwrap().1, "{:?} is not all", &text[..end]);
            }
        }
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for (text, why) in [
            ("x", "found `x` in the body, expected a chunk's size"),
            ("\r\n", "found `\\r` in the body, expected a chunk's size"),
            ("5\n", "found `\\n` in the body, expected a chunk's size"),
            ("11111111111111111", "found `1` in the body, expected a chunk's size"),
            ("5\rx", "found `x` in the body, expected a line break"),
            ("5;\n", "found `\\n` in the body, expected a line break"),
            ("1\r\nab", "found `b` in the body, expected a line break behind a chunk"),
            ("1\r\na\rb", "found `b` in the body, expected a line break behind a chunk"),
            ("0\r\n\rx", "found `x` in the body, expected a line break"),
        ] {
            assert_eq!(chunked(&[text.as_bytes()]).unwrap_err().why, why, "{text:?}");
        }
        let endless = format!("5;{}", "x".repeat(HEAD_BYTES_MAX + 1));
        assert!(chunked(&[endless.as_bytes()]).is_err());
        let many = "1\r\nx\r\n".repeat(HEAD_BYTES_MAX);
        assert_eq!(chunked(&[many.as_bytes()]).unwrap().0.len(), HEAD_BYTES_MAX);
    }
}
