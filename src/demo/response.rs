//! Responses, written straight into the connection's output: status line, headers, body, with nothing allocated.
//!
//! A handler gets a [`Response`], begins it with a status, adds headers and ends it with a body: only then it has the
//! [`Reply`] that it must return. So a handler cannot forget to answer, or answer twice.

use std::time::Duration;

use super::stream::Tokens;

/// Why a request is refused, in its answer's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// From 400.
    pub(super) status: u16,
    /// What was found and what was expected.
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

/// What a handler has done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reply {
    /// The status that was sent.
    pub(super) status: u16,
    /// How long to wait before sending it.
    pub(super) delay: Duration,
    /// Bytes of generated body that follow the headers; the connection writes them.
    pub(super) filler: u64,
    /// What is said token by token after the headers; the connection says it.
    pub(super) tokens: Option<Tokens>,
}

impl Reply {
    /// The same, sent later.
    pub(super) fn after(mut self, delay: Duration) -> Self {
        self.delay += delay;
        self
    }
}

/// A response that nobody has begun yet.
pub(super) struct Response<'a> {
    /// Where it is written.
    pub(super) out: &'a mut Vec<u8>,
    /// The current time as `date` wants it.
    pub(super) date: &'a str,
    /// Whether headers alone are sent: the request was HEAD.
    pub(super) head_only: bool,
    /// What to say about the connection: `close`, `keep-alive` (to HTTP/1.0), or nothing.
    pub(super) connection: &'static str,
}

impl<'a> Response<'a> {
    /// Writes the status line and the headers that every response has.
    pub(super) fn begin(self, status: u16) -> Begun<'a> {
        let Self { out, date, head_only, connection } = self;
        if status == 200 {
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\nServer: loadr-demo\r\nDate: ");
        } else {
            out.extend_from_slice(b"HTTP/1.1 ");
            push_number(out, u64::from(status));
            out.push(b' ');
            out.extend_from_slice(reason(status).as_bytes());
            out.extend_from_slice(b"\r\nServer: loadr-demo\r\nDate: ");
        }
        out.extend_from_slice(date.as_bytes());
        out.extend_from_slice(b"\r\n");
        let begun = Begun { out, head_only, status };
        if connection.is_empty() { begun } else { begun.header("Connection", connection) }
    }

    /// A whole response without headers of its own.
    pub(super) fn send(self, status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Reply {
        self.begin(status).body(content_type, body)
    }

    /// A whole response in JSON.
    pub(super) fn json(self, status: u16, body: impl AsRef<[u8]>) -> Reply {
        self.send(status, JSON, body)
    }

    /// A whole response in HTML.
    pub(super) fn html(self, status: u16, body: impl AsRef<[u8]>) -> Reply {
        self.send(status, HTML, body)
    }

    /// An error in JSON: `{"error":"..."}`.
    pub(super) fn error(self, status: u16, message: &str) -> Reply {
        self.json(status, error_body(message))
    }

    /// A refusal, as [`Response::error`] words it.
    pub(super) fn refuse(self, refusal: &Refusal) -> Reply {
        self.error(refusal.status, &refusal.message)
    }

    /// A redirect. `location` must be free of control characters.
    pub(super) fn redirect(self, status: u16, location: &str) -> Reply {
        self.begin(status).header("Location", location).empty()
    }
}

/// The body of an error in JSON.
pub(super) fn error_body(message: &str) -> String {
    serde_json::json!({ "error": message }).to_string()
}

/// JSON's content type.
pub(super) const JSON: &str = "application/json";

/// HTML's content type.
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// A response whose headers are being written.
pub(super) struct Begun<'a> {
    out: &'a mut Vec<u8>,
    head_only: bool,
    status: u16,
}

impl Begun<'_> {
    /// Adds a header. Neither part may hold control characters: a line break from a request would be a header of its own.
    pub(super) fn header(self, name: &str, value: &str) -> Self {
        debug_assert!(!value.bytes().any(|byte| byte.is_ascii_control()), "`{name}` must not hold control characters");
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.out.extend_from_slice(value.as_bytes());
        self.out.extend_from_slice(b"\r\n");
        self
    }

    fn length(self, length: u64) -> Self {
        self.out.extend_from_slice(b"Content-Length: ");
        push_number(self.out, length);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    fn reply(self, filler: u64) -> Reply {
        Reply { status: self.status, delay: Duration::ZERO, filler, tokens: None }
    }

    /// Ends it with a body.
    pub(super) fn body(self, content_type: &str, body: impl AsRef<[u8]>) -> Reply {
        self.parts(content_type, &[body.as_ref()])
    }

    /// Ends it with a body in several parts.
    pub(super) fn parts(self, content_type: &str, parts: &[&[u8]]) -> Reply {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let begun = self.header("Content-Type", content_type).length(length as u64);
        begun.out.extend_from_slice(b"\r\n");
        if !begun.head_only {
            for part in parts {
                begun.out.extend_from_slice(part);
            }
        }
        begun.reply(0)
    }

    /// Ends it with a body that the connection generates.
    pub(super) fn filler(self, length: u64) -> Reply {
        let begun = self.header("Content-Type", "application/octet-stream").length(length);
        begun.out.extend_from_slice(b"\r\n");
        let filler = if begun.head_only { 0 } else { length };
        begun.reply(filler)
    }

    /// Ends it with tokens that the connection says one by one.
    pub(super) fn tokens(self, content_type: &str, tokens: Tokens) -> Reply {
        let begun = self.header("Content-Type", content_type).header("Transfer-Encoding", "chunked");
        begun.out.extend_from_slice(b"\r\n");
        let tokens = (!begun.head_only).then_some(tokens);
        Reply { tokens, ..begun.reply(0) }
    }

    /// Ends it without a body.
    pub(super) fn empty(self) -> Reply {
        // 204 and 304 never have a body, and 204 must not even give its length.
        let begun = if matches!(self.status, 204 | 304) { self } else { self.length(0) };
        begun.out.extend_from_slice(b"\r\n");
        begun.reply(0)
    }
}

/// Writes a number in decimal.
pub(super) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The phrase behind a status.
fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(
        head_only: bool,
        connection: &'static str,
        answer: impl FnOnce(Response<'_>) -> Reply,
    ) -> (String, Reply) {
        let mut out = Vec::new();
        let reply = answer(Response { out: &mut out, date: "now", head_only, connection });
        (String::from_utf8(out).unwrap(), reply)
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nServer: loadr-demo\r\nDate: now\r\n";

    #[test]
    fn bodies_carry_type_and_length() {
        let (text, reply) = written(false, "", |r| r.json(200, "{}"));
        assert_eq!(text, format!("{OK}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"));
        assert_eq!(reply, Reply { status: 200, delay: Duration::ZERO, filler: 0, tokens: None });
        let (text, _) = written(false, "close", |r| r.begin(404).parts(HTML, &[b"ab", b"c"]));
        assert_eq!(
            text,
            "HTTP/1.1 404 Not Found\r\nServer: loadr-demo\r\nDate: now\r\nConnection: close\r\n\
             Content-Type: text/html; charset=utf-8\r\nContent-Length: 3\r\n\r\nabc"
        );
    }

    #[test]
    fn head_sends_the_length_without_the_body() {
        let (text, reply) = written(true, "", |r| r.json(200, "{}"));
        assert!(text.ends_with("Content-Length: 2\r\n\r\n"), "{text}");
        assert_eq!(reply.filler, 0);
        let (text, reply) = written(true, "", |r| r.begin(200).filler(1000));
        assert!(text.ends_with("Content-Length: 1000\r\n\r\n"), "{text}");
        assert_eq!(reply.filler, 0);
    }

    #[test]
    fn statuses_without_a_body_have_no_length() {
        assert!(!written(false, "", |r| r.begin(204).empty()).0.contains("Length"));
        assert!(!written(false, "", |r| r.begin(304).empty()).0.contains("Length"));
        assert!(written(false, "", |r| r.redirect(303, "/a")).0.ends_with("Location: /a\r\nContent-Length: 0\r\n\r\n"));
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 9, 10, 12_345, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
