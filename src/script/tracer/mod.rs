//! A worker's side of a trace: makes [`TraceEvent`]s of what host functions do, where somebody asked for them.
//!
//! Host functions ask the context for its tracer: without one that is a branch. With one, nobody is in a hurry: texts
//! are copied, bodies decoded, conditions of checks run so that they tell what they compare ([`conditions`]).

use std::cell::RefCell;
use std::time::{Duration, Instant};

use ::http::HeaderMap;
use bytes::Bytes;
use rhai::{Dynamic, EvalAltResult, FnPtr, NativeCallContext, Position};
use rustc_hash::FxHashMap;

use crate::net::http::{Client, Request};
use crate::net::{Exchange, body::Body, decode};
use crate::trace::{Checked, Compared, Excerpt, Hop, Pause, Phases, Requested, Step, TraceEvent, Tracing, redact};

mod conditions;

pub use conditions::{Conditions, register};

/// The most bytes of a body that an excerpt holds.
const EXCERPT_BYTES: usize = 4_000;

/// So often a pause at one place of the script is skipped in one iteration. A script that waits for something in a loop
/// then waits in earnest, and does not ask its target as fast as it can.
const SKIPPED_AT_ONE_PLACE: u32 = 20;

/// What a worker needs to trace its scripts.
pub struct Tracer {
    tracing: Tracing,
    epoch: Instant,
    conditions: Conditions,
    /// How often each place has paused, by VU and position.
    pauses: RefCell<FxHashMap<(u32, usize, usize), u32>>,
}

impl Tracer {
    /// The tracer of a worker; times count from `epoch`.
    #[must_use]
    pub fn new(tracing: Tracing, epoch: Instant) -> Self {
        Self { tracing, epoch, conditions: Conditions::default(), pauses: RefCell::default() }
    }

    /// The conditions of checks.
    #[must_use]
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Tells a step of a VU.
    pub fn tell(&self, vu: u32, step: Step) {
        if let Step::Entered(_) = step {
            self.pauses.borrow_mut().retain(|&(of, ..), _| of != vu);
        }
        (self.tracing.sink)(TraceEvent { at: self.epoch.elapsed(), vu, step });
    }

    /// Whether a pause at this place is to be skipped; counts it.
    pub fn skips(&self, vu: u32, place: Position) -> bool {
        if self.tracing.real_time {
            return false;
        }
        let place = (vu, place.line().unwrap_or(0), place.position().unwrap_or(0));
        let mut pauses = self.pauses.borrow_mut();
        let so_far = pauses.entry(place).or_default();
        *so_far += 1;
        *so_far <= SKIPPED_AT_ONE_PLACE
    }

    /// Whether the time that an iteration is to take at least is left out.
    #[must_use]
    pub fn skips_pace(&self) -> bool {
        !self.tracing.real_time
    }

    /// Tells a pause.
    pub fn paused(&self, vu: u32, by: Pause, wanted: Duration, skipped: bool) {
        self.tell(vu, Step::Paused { by, wanted, skipped });
    }

    /// Calls the condition of the check `name` with a value. Gives also what it compared.
    ///
    /// # Errors
    /// What the condition threw.
    pub fn judge(
        &self,
        call: &NativeCallContext,
        name: &str,
        condition: &FnPtr,
        value: &Dynamic,
    ) -> (Result<Dynamic, Box<EvalAltResult>>, Vec<Compared>) {
        self.conditions.judge(call, condition, value, conditions::names_a_secret(name))
    }

    /// Tells a check.
    pub fn checked(&self, vu: u32, name: &str, held: bool, compared: Vec<Compared>) {
        self.tell(vu, Step::Checked(Checked { name: name.to_owned(), held, compared }));
    }

    /// Tells a check that was decided before.
    pub fn decided(&self, vu: u32, name: &str, held: bool, value: &Dynamic) {
        let found =
            conditions::masked(value, conditions::names_a_secret(name)).or_else(|| conditions::shown_plainly(value));
        let compared = found.map(|found| Compared { found, ..Compared::default() }).into_iter().collect();
        self.checked(vu, name, held, compared);
    }

    /// What is to be told of a request and is gone once it is sent.
    #[must_use]
    pub fn before(request: &Request, client: &Client) -> Box<(Vec<(String, String)>, Excerpt)> {
        let mut headers = shown_headers(&request.headers);
        if let Some(auth) = request.auth.as_ref().filter(|_| !request.headers.contains_key("authorization")) {
            headers.push(("authorization".into(), format!("{} {}", auth.scheme(), redact::MASK)));
        }
        if !request.headers.contains_key("cookie") {
            let jar = client.jar_of(request).borrow();
            let sent = jar.sent(&request.url, &request.cookies);
            let cookies: Vec<_> = sent.map(|(name, _)| format!("{name}={}", redact::MASK)).collect();
            if !cookies.is_empty() {
                headers.push(("cookie".into(), cookies.join("; ")));
            }
        }
        let body = match &request.body {
            Body::Empty => Excerpt::default(),
            Body::Bytes(bytes) => excerpt(bytes),
            Body::Multipart(_) => Excerpt { note: Some("a multipart form"), ..Excerpt::default() },
            Body::File(_) => Excerpt { note: Some("a file"), ..Excerpt::default() },
            Body::Generated(_) => Excerpt { note: Some("generated bytes"), ..Excerpt::default() },
            Body::Packed(_) => {
                Excerpt { note: Some("a body that is compressed while it is sent"), ..Excerpt::default() }
            }
        };
        Box::new((headers, body))
    }

    /// A request with its exchanges, as it is told.
    #[must_use]
    pub fn requested(
        before: (Vec<(String, String)>, Excerpt),
        name: &str,
        expected: bool,
        exchanges: &[Exchange],
        max_body: u64,
    ) -> Requested {
        let (headers, body) = before;
        let hops = exchanges.iter().map(|exchange| hop(exchange, max_body)).collect();
        Requested { name: name.to_owned(), expected, hops, headers, body }
    }
}

fn shown_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = |(name, value): (&::http::HeaderName, &::http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), redact::header(name.as_str(), &value).into_owned())
    };
    headers.iter().map(shown).collect()
}

fn hop(exchange: &Exchange, max_body: u64) -> Hop {
    let encoding = exchange.headers.get(::http::header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let mut body = match encoding.map(|encoding| decode::decode(encoding, &exchange.body, max_body)) {
        None => excerpt(&exchange.body),
        Some(Ok(decoded)) => excerpt(&decoded),
        Some(Err(_)) => Excerpt { note: Some("can't be decoded"), ..Excerpt::default() },
    };
    let size = exchange.taken.as_ref().map_or(exchange.body.len() as u64, |taken| taken.bytes);
    if size > exchange.body.len() as u64 && !exchange.body.is_empty() {
        // Of a stream only the beginning is kept.
        body.size = size;
        body.note = body.note.or(Some("cut"));
    }
    let timings = &exchange.timings;
    let opening = [timings.looking_up, timings.connecting, timings.tls_handshaking].map(Option::unwrap_or_default);
    let [looking_up, connecting, tls] = opening;
    Hop {
        method: exchange.method.to_string(),
        url: redact::url(exchange.url.as_str()).into_owned(),
        status: exchange.status,
        error: exchange.error.as_ref().map(|error| error.detail.clone()),
        size,
        phases: Phases {
            blocked: timings.blocked.saturating_sub(looking_up + connecting + tls),
            looking_up,
            connecting,
            tls,
            sending: timings.sending,
            waiting: timings.waiting,
            receiving: timings.receiving,
        },
        reused: exchange.reused,
        protocol: exchange.protocol.map(Into::into),
        headers: shown_headers(&exchange.headers),
        body,
    }
}

fn excerpt(body: &Bytes) -> Excerpt {
    let size = body.len() as u64;
    let head = &body[..body.len().min(EXCERPT_BYTES)];
    // A character that the cut went through is no sign of a body that is no text.
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if head.len() - error.valid_up_to() < 4 && head.len() < body.len() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return Excerpt { size, note: Some("binary"), ..Excerpt::default() },
    };
    if text.contains('\0') {
        return Excerpt { size, note: Some("binary"), ..Excerpt::default() };
    }
    let note = (head.len() < body.len()).then_some("cut");
    Excerpt { text: redact::text(text).into_owned(), size, note }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_text_or_says_what_it_is() {
        let of = |bytes: &[u8]| excerpt(&Bytes::copy_from_slice(bytes));
        assert_eq!(of(b""), Excerpt::default());
        assert_eq!(of(b"{\"a\":1}"), Excerpt { text: "{\"a\":1}".into(), size: 7, note: None });
        assert_eq!(of(b"\x89PNG\r\n"), Excerpt { text: String::new(), size: 6, note: Some("binary") });
        assert_eq!(of(b"a\0b").note, Some("binary"));
        let long = "ä".repeat(EXCERPT_BYTES);
        let cut = of(&[b"x", long.as_bytes()].concat());
        assert_eq!((cut.size, cut.note), (2 * EXCERPT_BYTES as u64 + 1, Some("cut")));
        assert_eq!(cut.text.len(), EXCERPT_BYTES - 1, "the character in the middle of the cut is left out");
    }
}
