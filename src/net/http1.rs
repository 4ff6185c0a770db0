//! HTTP/1.1 over one connection: a request goes out, its response comes in.
//!
//! Nothing is spawned and nothing is buffered between requests. While a request is in flight its own task writes and
//! reads; bytes pass through two buffers that all connections of a worker share, for a poll never waits with one in its
//! hands. An idle connection is a socket and polled by nobody: one that the server has closed meanwhile is found out by a
//! look before the next request is written, which costs no system call where nothing has happened.
//!
//! A response may come before the whole request is written; it is read all the same, and the connection is not kept.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use ::http::{HeaderMap, Method};
use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

use super::alarm::Alarm;
use super::body::Outgoing;
use super::classify;
use super::intake::{Algorithm, Flow, Intake, Taken, Taking};
use super::pace::Pace;
use super::proxy::Forwarding;
use super::response::{Broken, Framing, HEAD_BYTES_MAX, Head, parse_head};
use super::sending::{Sending, Sent, Unsendable};
use super::wire::{Meter, Moved, Wire};
use crate::fault::Fault;
use crate::plan::Bandwidth;

/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;

/// How many `1xx` responses may come before the final one.
pub(super) const INFORMATIONAL_MAX: u32 = 16;

/// The buffers that all connections of a worker read into and write from.
#[derive(Debug)]
pub(super) struct Scratch {
    read: RefCell<Box<[u8]>>,
    write: RefCell<Vec<u8>>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { read: RefCell::new(vec![0; READ_BYTES].into()), write: RefCell::default() }
    }
}

/// What to send.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) method: &'a Method,
    /// Path and query; the whole URL where a proxy sends it on.
    pub(super) target: &'a str,
    /// All headers but the length.
    pub(super) headers: Cow<'a, HeaderMap>,
    /// How they are written, where they are not its own.
    pub(super) lines: &'a [u8],
    pub(super) body: Outgoing,
    /// Whether the body goes in chunks though its length is known.
    pub(super) chunked: bool,
    /// Whether the body waits until the target says that it wants it.
    pub(super) expect_continue: bool,
}

impl Message<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        match &self.headers {
            Cow::Borrowed(_) => out.extend_from_slice(self.lines),
            Cow::Owned(headers) => encode_headers(headers, out),
        }
        let length = if self.chunked { None } else { self.body.length() };
        let Some(length) = length else {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            self.encode_expectation(out);
            return;
        };
        // Where a body is expected, its absence has to be said.
        if length > 0 || matches!(*self.method, Method::POST | Method::PUT | Method::PATCH) {
            write!(out, "Content-Length: {length}\r\n").expect("memory takes all");
        }
        self.encode_expectation(out);
    }

    fn encode_expectation(&self, out: &mut Vec<u8>) {
        if self.expect_continue {
            out.extend_from_slice(b"Expect: 100-continue\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes headers, a line each.
pub(super) fn encode_headers(headers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in headers {
        push_title_case(out, name.as_str());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// `user-agent` as `User-Agent`: as most clients write it, and some servers expect it.
fn push_title_case(out: &mut Vec<u8>, name: &str) {
    let mut upper = true;
    out.extend(name.bytes().map(|byte| {
        let cased = if upper { byte.to_ascii_uppercase() } else { byte };
        upper = byte == b'-';
        cased
    }));
}

/// What a request needs besides itself.
#[derive(Debug)]
pub(super) struct Terms {
    /// When it must be over, where that is fixed already.
    pub(super) deadline: Option<Instant>,
    /// How long it may take from its first write, where it is not.
    pub(super) timeout: Duration,
    /// How fast bytes may go, where that is bounded.
    pub(super) bandwidth: Bandwidth,
    /// What becomes of the body.
    pub(super) intake: Intake,
    /// What digest is made of it.
    pub(super) digest: Option<Algorithm>,
    /// The most bytes of a body that are kept.
    pub(super) max_body: u64,
    /// The most bytes of a body that is not kept.
    pub(super) max_passing: u64,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    /// The head, if there was one.
    pub(super) head: Option<Head>,
    pub(super) body: Bytes,
    /// What is known of the body beyond, where that was asked for.
    pub(super) taken: Option<Box<Taken>>,
    pub(super) failure: Option<Failure>,
    /// Whether the connection can carry another request.
    pub(super) reusable: bool,
}

/// Why an answer is missing or incomplete.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    pub(super) why: String,
    /// Whether nothing of the request reached the wire.
    pub(super) unsent: bool,
}

/// An HTTP/1.1 connection.
pub(super) struct Http1 {
    wire: Wire,
    meter: Rc<Meter>,
    alarm: Alarm,
    remote: Option<SocketAddr>,
    tls_version: Option<&'static str>,
    forwarding: Option<Box<Forwarding>>,
    used: bool,
    /// Whether its buffers are those of a slow line.
    narrow: bool,
}

impl std::fmt::Debug for Http1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http1").field("remote", &self.remote).field("used", &self.used).finish_non_exhaustive()
    }
}

impl Http1 {
    pub(super) fn new(
        wire: Wire,
        meter: Rc<Meter>,
        remote: Option<SocketAddr>,
        tls_version: Option<&'static str>,
    ) -> Self {
        Self { wire, meter, alarm: Alarm::default(), remote, tls_version, forwarding: None, used: false, narrow: false }
    }

    /// With a proxy that sends requests on, where there is one.
    pub(super) fn forwarding(self, forwarding: Option<Forwarding>) -> Self {
        Self { forwarding: forwarding.map(Box::new), ..self }
    }

    /// The proxy that sends requests on, where there is one.
    pub(super) fn forwarded_by(&self) -> Option<&Forwarding> {
        self.forwarding.as_deref()
    }

    pub(super) fn remote(&self) -> Option<SocketAddr> {
        self.remote
    }

    pub(super) fn tls_version(&self) -> Option<&'static str> {
        self.tls_version
    }

    /// Whether it has carried a request.
    pub(super) fn is_used(&self) -> bool {
        self.used
    }

    /// Whether its buffers are those of a slow line: it serves no other.
    pub(super) fn is_narrow(&self) -> bool {
        self.narrow
    }

    /// Whether no byte of the latest request's response has been read.
    pub(super) fn is_unanswered(&self) -> bool {
        !self.meter.has_read()
    }

    pub(super) fn moved(&self, ended: Option<Instant>) -> Moved {
        self.meter.moved(ended)
    }

    pub(super) fn first_write(&self) -> Option<Instant> {
        self.meter.first_write()
    }

    pub(super) fn take_bytes(&self) -> (u64, u64) {
        self.meter.take_bytes()
    }

    /// Sends a request and reads the whole response.
    pub(super) async fn round_trip(&mut self, message: Message<'_>, terms: &Terms, scratch: &Scratch) -> Answer {
        self.meter.begin();
        let mut head = scratch.write.take();
        head.clear();
        message.encode(&mut head);
        let mut reading = Reading::new(message.method, terms);
        let mut sending = Sending::new(head, message, terms);
        let mut pace = terms.bandwidth.down.map(Pace::new);
        if terms.bandwidth.is_bounded() && !self.narrow {
            self.narrow = true;
            self.wire.narrow(terms.bandwidth);
        }
        let mut to_probe = std::mem::replace(&mut self.used, true);
        let mut deadline = terms.deadline;
        let failure = std::future::poll_fn(|cx| {
            if std::mem::take(&mut to_probe)
                && let Poll::Ready(failure) = self.probe(cx, scratch)
            {
                return Poll::Ready(Some(failure));
            }
            if let Poll::Ready(end) = self.advance(cx, &mut sending, &mut reading, &mut pace, scratch) {
                return Poll::Ready(end.err());
            }
            let begun = || self.meter.first_write().unwrap_or_else(Instant::now);
            let deadline = *deadline.get_or_insert_with(|| begun() + terms.timeout);
            if self.alarm.is_due(cx, deadline) {
                let doing = reading.doing(self.meter.is_unsent());
                let why = format!("not over within {:?}, {doing}", terms.timeout);
                return Poll::Ready(Some(Broken { fault: Fault::TIMEOUT, why }));
            }
            Poll::Pending
        })
        .await;
        let reusable = failure.is_none() && sending.state == Sent::All && reading.leaves_connection_usable();
        scratch.write.replace(sending.head);
        let failure = failure.map(|Broken { fault, why }| Failure { fault, why, unsent: self.meter.is_unsent() });
        let (body, taken) = reading.taking.taken(failure.as_ref().map(|failure| failure.fault));
        let whole = reading.head.as_mut().map(|head| std::mem::take(&mut head.body)).filter(|whole| !whole.is_empty());
        Answer { head: reading.head, body: whole.unwrap_or(body), taken, failure, reusable }
    }

    /// Looks whether an idle connection has been closed, or has sent what nobody asked for: ready if it can't be used.
    fn probe(&mut self, cx: &mut Context<'_>, scratch: &Scratch) -> Poll<Broken> {
        let mut buffer = scratch.read.borrow_mut();
        // What it was is not told: the request is made again on a new connection, for nothing of it has been sent.
        let _ = ready!(Pin::new(&mut self.wire).poll_read(cx, &mut ReadBuf::new(&mut buffer)));
        Poll::Ready(closed_before_response())
    }

    /// Writes and reads what can be written and read; ready when the response is complete or can't become so.
    fn advance(
        &mut self,
        cx: &mut Context<'_>,
        sending: &mut Sending,
        reading: &mut Reading<'_>,
        pace: &mut Option<Pace>,
        scratch: &Scratch,
    ) -> Poll<Result<(), Broken>> {
        // Who was answered before it was asked for its body keeps it.
        let withheld = sending.hold.is_some() && reading.head.is_some();
        if sending.state == Sent::Part && !withheld {
            match sending.poll(cx, &mut self.wire) {
                Poll::Ready(Ok(())) => sending.state = Sent::All,
                Poll::Ready(Err(Unsendable::Body(why))) => {
                    return Poll::Ready(Err(Broken { fault: Fault::BODY_FILE, why }));
                }
                // The server may have answered before it closed; if not, reading fails too.
                Poll::Ready(Err(Unsendable::Wire)) => sending.state = Sent::Cut,
                Poll::Pending => {}
            }
        }
        if !reading.complete {
            let mut buffer = scratch.read.borrow_mut();
            loop {
                if ready!(reading.taking.poll_ready(cx))? == Flow::Enough {
                    reading.cut = true;
                    break;
                }
                let room = match pace {
                    None => buffer.len(),
                    Some(pace) => ready!(pace.poll_room(cx)).min(buffer.len()),
                };
                let mut buf = ReadBuf::new(&mut buffer[..room]);
                let read = ready!(Pin::new(&mut self.wire).poll_read(cx, &mut buf));
                if let Some(pace) = pace {
                    pace.spend(buf.filled().len());
                }
                match read {
                    Ok(()) if buf.filled().is_empty() => {
                        reading.end(&self.meter, true)?;
                        break;
                    }
                    Ok(()) => {
                        reading.taking.stamp(|| (self.meter.first_write(), self.meter.last_read()));
                        if reading.feed(buf.filled())? {
                            break;
                        }
                        if reading.head.is_none() && reading.continues && sending.hold.take().is_some() {
                            // The answer itself is still to come, and so is the end of the request.
                            self.meter.unread();
                            cx.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                    }
                    // TLS that ends without a goodbye.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        reading.end(&self.meter, false)?;
                        break;
                    }
                    Err(error) => {
                        let (fault, why) = classify::reading(&error, &self.meter);
                        return Poll::Ready(Err(Broken { fault, why }));
                    }
                }
            }
            reading.complete = true;
        }
        reading.taking.poll_finish(cx)
    }
}

fn closed_before_response() -> Broken {
    Broken { fault: Fault::CLOSED_BEFORE_RESPONSE, why: Fault::CLOSED_BEFORE_RESPONSE.message.to_owned() }
}

/// A response on its way in.
struct Reading<'a> {
    method: &'a Method,
    /// The beginning of a head that came in pieces.
    partial: Vec<u8>,
    head: Option<Head>,
    taking: Taking<'a>,
    informational: u32,
    /// Whether the target has said that it wants the body.
    continues: bool,
    /// Whether something follows the response.
    surplus: bool,
    /// Whether the rest of the body is not wanted.
    cut: bool,
    /// Whether all of it has been read.
    complete: bool,
}

impl<'a> Reading<'a> {
    fn new(method: &'a Method, terms: &'a Terms) -> Self {
        Self {
            method,
            partial: Vec::new(),
            head: None,
            taking: Taking::new(terms),
            informational: 0,
            continues: false,
            surplus: false,
            cut: false,
            complete: false,
        }
    }

    /// Takes what was read. Returns whether the response is complete.
    fn feed(&mut self, bytes: &[u8]) -> Result<bool, Broken> {
        if self.head.is_some() {
            return self.feed_body(bytes);
        }
        if self.partial.is_empty() {
            let (taken, done) = self.feed_head(bytes)?;
            if self.head.is_none() {
                self.partial.extend_from_slice(&bytes[taken..]);
            }
            return Ok(done);
        }
        let mut all = std::mem::take(&mut self.partial);
        all.extend_from_slice(bytes);
        // A line that is not complete can't complete the head.
        if bytes.contains(&b'\n') || all.len() > HEAD_BYTES_MAX {
            let (taken, done) = self.feed_head(&all)?;
            if self.head.is_some() {
                return Ok(done);
            }
            all.drain(..taken);
        }
        self.partial = all;
        Ok(false)
    }

    /// Reads heads off the beginning: how much that took, and whether the response is complete. Once there is a final
    /// head, all is taken.
    fn feed_head(&mut self, bytes: &[u8]) -> Result<(usize, bool), Broken> {
        let mut taken = 0;
        let room = self.taking.room();
        while let Some((length, head)) = parse_head(&bytes[taken..], self.method, room)? {
            taken += length;
            if (100..200).contains(&head.status) && head.status != 101 {
                self.informational += 1;
                self.continues |= head.status == 100;
                if self.informational > INFORMATIONAL_MAX {
                    let why = format!("more than {INFORMATIONAL_MAX} responses came before the final one");
                    return Err(Broken { fault: Fault::MALFORMED_RESPONSE, why });
                }
                continue;
            }
            let along = head.body.len();
            let head = self.head.insert(head);
            let declared = match &mut head.framing {
                Framing::Length(left) => {
                    *left -= along as u64;
                    Some(*left)
                }
                _ => None,
            };
            self.taking.begin(head.status, &head.headers, declared)?;
            let done = self.feed_body(&bytes[taken + along..])?;
            return Ok((bytes.len(), done));
        }
        Ok((taken, false))
    }

    fn feed_body(&mut self, mut bytes: &[u8]) -> Result<bool, Broken> {
        let Some(head) = &mut self.head else { return Ok(false) };
        match &mut head.framing {
            Framing::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= count as u64;
                let done = *left == 0;
                self.surplus = count < bytes.len();
                self.cut = self.taking.take(&bytes[..count])? == Flow::Enough;
                Ok(done || self.cut)
            }
            Framing::Close => {
                self.cut = self.taking.take(bytes)? == Flow::Enough;
                Ok(self.cut)
            }
            Framing::Chunked(chunks) => {
                while let Some(data) = chunks.next(&mut bytes)? {
                    if self.taking.take(data)? == Flow::Enough {
                        self.cut = true;
                        return Ok(true);
                    }
                }
                self.surplus = !bytes.is_empty();
                Ok(chunks.is_done())
            }
        }
    }

    /// The connection has ended, in good order or not: whether that ends the response too.
    fn end(&self, meter: &Meter, orderly: bool) -> Result<(), Broken> {
        let (fault, why) = match &self.head {
            // A write may have met a reset before, and has taken it away from the read. A broken pipe is none: it is what
            // comes of writing on after an end in good order.
            _ if meter.error().is_some_and(|seen| seen.kind != io::ErrorKind::BrokenPipe) => {
                let (fault, why) = classify::reading(&io::ErrorKind::UnexpectedEof.into(), meter);
                return Err(Broken { fault, why });
            }
            Some(Head { framing: Framing::Close, .. }) if orderly => return Ok(()),
            Some(_) => (Fault::TRUNCATED_BODY, "connection closed in the middle of the body"),
            None if meter.has_read() => {
                (Fault::TRUNCATED_HEADERS, "connection closed in the middle of the response's head")
            }
            None => return Err(closed_before_response()),
        };
        Err(Broken { fault, why: why.to_owned() })
    }

    fn leaves_connection_usable(&self) -> bool {
        !self.surplus && !self.cut && self.head.as_ref().is_some_and(|head| head.keeps_alive)
    }

    fn doing(&self, unsent: bool) -> &'static str {
        match (unsent, &self.head) {
            (true, _) => "while sending",
            (false, None) => "while waiting for the response",
            (false, Some(_)) => "while receiving the body",
        }
    }
}

#[cfg(test)]
mod fuzz;
