//! One request over an HTTP/2 connection: a stream.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use ::h2::client::ResponseFuture;
use ::h2::{Reason, RecvStream, SendStream};
use ::http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE};
use ::http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use bytes::Bytes;

use super::{ALARMS_KEPT, Http2, Shared, Stamp};
use crate::fault::{Fault, Http2Failure};
use crate::net::body::Outgoing;
use crate::net::headers::Headers;
use crate::net::http1::{INFORMATIONAL_MAX, Message, Terms};
use crate::net::intake::{Flow, Taken, Taking};
use crate::net::response::{Broken, HEAD_BYTES_MAX, HEADERS_MAX};
use crate::net::wire::Moved;

/// What came of a request.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The status; 0 when there was no response.
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) body: Bytes,
    pub(super) taken: Option<Box<Taken>>,
    pub(super) failure: Option<Broken>,
    /// Whether the server has certainly not acted on it, by HTTP/2's own rules: it may be made once more.
    pub(super) refused: bool,
    /// Whether nothing of it reached the wire.
    pub(super) unsent: bool,
    /// Whether the connection can carry another request.
    pub(super) usable: bool,
    pub(super) moved: Moved,
    /// When it began to wait for others on the same connection, if it had to.
    pub(super) queued: Option<Instant>,
    /// When it was first tried to be written.
    pub(super) first_write: Option<Instant>,
    /// Bytes written and read for it: those of its body, and what else moved on the connection since another request ended.
    pub(super) bytes: (u64, u64),
}

impl Http2 {
    /// Sends a request and reads the whole response.
    pub(super) async fn round_trip(&self, uri: Uri, message: Message<'_>, terms: &Terms) -> Outcome {
        let shared = &*self.0;
        let flight = Flight::begin(shared);
        let progress = Progress::new(terms);
        let mut alarm = shared.alarms.borrow_mut().pop().unwrap_or_default();
        let mut deadline = terms.deadline;
        let failed = {
            let mut work = pin!(work(&flight, uri, message, &progress));
            std::future::poll_fn(|cx| {
                if let Poll::Ready(result) = work.as_mut().poll(cx) {
                    return Poll::Ready(result.err());
                }
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + terms.timeout);
                if alarm.is_due(cx, deadline) {
                    let why = format!("not over within {:?}, {}", terms.timeout, progress.doing());
                    return Poll::Ready(Some(Failed::of(Fault::TIMEOUT, why)));
                }
                Poll::Pending
            })
            .await
        };
        if shared.alarms.borrow().len() < ALARMS_KEPT {
            shared.alarms.borrow_mut().push(alarm);
        }
        flight.end(progress, failed)
    }
}

/// Why a request failed.
struct Failed {
    broken: Broken,
    refused: bool,
    /// Whether the connection ends with it.
    fatal: bool,
}

impl Failed {
    fn of(fault: Fault, why: impl Into<String>) -> Self {
        Self { broken: Broken { fault, why: why.into() }, refused: false, fatal: false }
    }
}

impl From<Broken> for Failed {
    fn from(Broken { fault, why }: Broken) -> Self {
        Self::of(fault, why)
    }
}

/// A request that is counted as under way on its connection.
struct Flight<'a> {
    shared: &'a Shared,
    stamp: u32,
    /// Bytes of its bodies so far.
    payload: Cell<(u64, u64)>,
    /// Whether it is one of the streams that the server bounds.
    counted: Cell<bool>,
}

impl<'a> Flight<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let stamp = shared.track.stamps.borrow_mut().add();
        Self { shared, stamp, payload: Cell::new((0, 0)), counted: Cell::new(false) }
    }

    fn stamp(&self) -> Stamp {
        self.shared.track.stamps.borrow().slots[self.stamp as usize]
    }

    fn carried(&self, sent: usize, received: usize) {
        for cell in [&self.payload, &self.shared.payload] {
            let (s, r) = cell.get();
            cell.set((s + sent as u64, r + received as u64));
        }
    }

    /// Waits until the server takes one more request at once.
    async fn wait_for_room(&self, progress: &Progress<'_>) {
        let shared = self.shared;
        while shared.streams.get() >= shared.sender.current_max_send_streams() && !shared.track.ended.get() {
            progress.doing.set(Doing::Queueing);
            progress.queued.set(progress.queued.get().or_else(|| Some(Instant::now())));
            let waiting = &shared.track.waiting;
            waiting.set(waiting.get() + 1);
            let _one_less = Defer(|| waiting.set(waiting.get() - 1));
            shared.track.room.notified().await;
        }
        shared.streams.set(shared.streams.get() + 1);
        self.counted.set(true);
        progress.doing.set(Doing::Sending);
    }

    /// What moved on the connection and is nobody else's.
    fn take_bytes(&self) -> (u64, u64) {
        let shared = self.shared;
        let (own, all) = (self.payload.take(), shared.payload.get());
        shared.payload.set((all.0 - own.0, all.1 - own.1));
        let moved = shared.track.meter.take_bytes();
        let others = shared.payload.get();
        // What is compressed by TLS or counted late must not make a request's bytes negative.
        let left = (others.0.min(moved.0), others.1.min(moved.1));
        shared.track.meter.put_back(left);
        (moved.0 - left.0, moved.1 - left.1)
    }

    fn end(self, progress: Progress<'_>, failed: Option<Failed>) -> Outcome {
        let Stamp { first, last } = self.stamp();
        let ended = failed.is_some().then(Instant::now);
        let (body, taken) = progress.taking.into_inner().taken(failed.as_ref().map(|failed| failed.broken.fault));
        let fatal = failed.as_ref().is_some_and(|failed| failed.fatal);
        let (status, headers) = progress.head.borrow_mut().take().unwrap_or_default();
        Outcome {
            status,
            headers,
            body,
            taken,
            refused: failed.as_ref().is_some_and(|failed| failed.refused),
            unsent: last.is_none(),
            usable: !fatal && !self.shared.track.ended.get(),
            moved: moved(first, last, progress.first_read.get(), progress.last_read.get(), ended),
            queued: progress.queued.get(),
            first_write: first,
            bytes: self.take_bytes(),
            failure: failed.map(|failed| failed.broken),
        }
    }

    fn failed(&self, error: &::h2::Error, progress: &Progress<'_>) -> Failed {
        let shared = self.shared;
        let answered = progress.head.borrow().is_some();
        if error.is_io() {
            let seen = shared.track.failure.borrow().clone();
            let (fault, why) = match seen {
                Some(seen) => seen,
                None if answered => (Fault::TRUNCATED_BODY, "connection closed in the middle of the body".into()),
                None => (Fault::CLOSED_BEFORE_RESPONSE, Fault::CLOSED_BEFORE_RESPONSE.message.to_owned()),
            };
            return Failed { fatal: true, ..Failed::of(fault, why) };
        }
        let Some(reason) = error.reason() else {
            return Failed::of(Fault::INVALID_REQUEST, format!("HTTP/2 can't carry it: {error}"));
        };
        let code = u32::from(reason);
        match (error.is_go_away(), error.is_remote()) {
            // A GOAWAY reaches only the requests that the server says it has not acted on (RFC 9113, section 6.8).
            (true, true) => {
                let why = format!("the server ended the connection: {error}");
                let failed = Failed::of(Fault::http2(Http2Failure::GoAway, code), why);
                Failed { refused: !answered, fatal: true, ..failed }
            }
            (true, false) => {
                let hint = if shared.answered.get() { "" } else { "; does it speak HTTP/2 there?" };
                let why = format!("the server broke the rules of HTTP/2: {error}{hint}");
                Failed { fatal: true, ..Failed::of(Fault::http2(Http2Failure::Connection, code), why) }
            }
            (false, true) => {
                let why = format!("the server reset the stream: {}", name(reason));
                let failed = Failed::of(Fault::http2(Http2Failure::Stream, code), why);
                Failed { refused: reason == Reason::REFUSED_STREAM && !answered, ..failed }
            }
            (false, false) => self.malformed(progress),
        }
    }

    /// What the server sent is no response; `h2` has reset the stream and does not say why.
    fn malformed(&self, progress: &Progress<'_>) -> Failed {
        match progress.length.get() {
            // Data beyond the length is not given to us, so what came does not say which of the two it is.
            Some(length) => {
                let came = self.payload.get().1;
                let why =
                    format!("the body has not the {length} bytes that its content-length says ({came} were good)");
                Failed::of(Fault::MALFORMED_RESPONSE, why)
            }
            None => Failed::of(
                Fault::MALFORMED_RESPONSE,
                format!("the response is malformed, or its headers are longer than {HEAD_BYTES_MAX} bytes"),
            ),
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let own = self.payload.get();
        let all = self.shared.payload.get();
        self.shared.payload.set((all.0 - own.0, all.1 - own.1));
        self.shared.track.stamps.borrow_mut().remove(self.stamp);
        if self.counted.get() {
            self.shared.streams.set(self.shared.streams.get() - 1);
            if self.shared.track.waiting.get() > 0 {
                self.shared.track.room.notify_one();
            }
        }
    }
}

struct Defer<F: FnMut()>(F);

impl<F: FnMut()> Drop for Defer<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// How far a request has come.
struct Progress<'a> {
    doing: Cell<Doing>,
    head: RefCell<Option<(u16, Headers)>>,
    /// What `content-length` says.
    length: Cell<Option<u64>>,
    taking: RefCell<Taking<'a>>,
    first_read: Cell<Option<Instant>>,
    last_read: Cell<Option<Instant>>,
    /// How many `1xx` responses came.
    informational: Cell<u32>,
    /// When it began to wait for others on the same connection.
    queued: Cell<Option<Instant>>,
}

#[derive(Clone, Copy, Default)]
enum Doing {
    #[default]
    Sending,
    /// Waiting for others on the same connection.
    Queueing,
    Waiting,
    Receiving,
}

impl<'a> Progress<'a> {
    fn new(terms: &'a Terms) -> Self {
        Self {
            doing: Cell::default(),
            head: RefCell::default(),
            length: Cell::default(),
            taking: RefCell::new(Taking::new(terms)),
            first_read: Cell::default(),
            last_read: Cell::default(),
            informational: Cell::default(),
            queued: Cell::default(),
        }
    }

    fn doing(&self) -> &'static str {
        match self.doing.get() {
            Doing::Queueing => "while waiting for other requests on the same connection",
            Doing::Sending => "while sending",
            Doing::Waiting => "while waiting for the response",
            Doing::Receiving => "while receiving the body",
        }
    }
}

/// The phases, as for HTTP/1.1.
fn moved(
    first_write: Option<Instant>,
    last_write: Option<Instant>,
    first_read: Option<Instant>,
    last_read: Option<Instant>,
    ended: Option<Instant>,
) -> Moved {
    let Some(first_write) = first_write else { return Moved::default() };
    let last_write = last_write.unwrap_or(first_write);
    let Some(first_read) = first_read else {
        let waiting = ended.map_or(Duration::ZERO, |at| at.saturating_duration_since(last_write));
        return Moved { sending: last_write - first_write, waiting, receiving: Duration::ZERO };
    };
    let first_read = first_read.max(first_write);
    let sent = last_write.min(first_read);
    let last = ended.or(last_read).unwrap_or(first_read);
    Moved {
        sending: sent - first_write,
        waiting: first_read - sent,
        receiving: last.saturating_duration_since(first_read),
    }
}

fn name(reason: Reason) -> String {
    let fault = Fault::http2(Http2Failure::Stream, u32::from(reason));
    match fault.message.rsplit_once(": ") {
        Some((_, name)) => name.to_owned(),
        None => format!("error code {}", u32::from(reason)),
    }
}

/// The headers of a request in HTTP/2: without those that HTTP/1.1 has for the connection (RFC 9113, section 8.2.2).
fn headers(message: &Message<'_>) -> HeaderMap {
    let mut headers = message.headers.clone().into_owned();
    headers.remove(HOST);
    if headers.len() > 1 {
        let proper = [CONNECTION, UPGRADE, TRANSFER_ENCODING];
        let other = [HeaderName::from_static("keep-alive"), HeaderName::from_static("proxy-connection")];
        for name in proper.iter().chain(&other) {
            headers.remove(name);
        }
        if headers.get(TE).is_some_and(|value| value != "trailers") {
            headers.remove(TE);
        }
    }
    // Frames tell the end of a body whose length is not known.
    let Some(length) = message.body.length() else { return headers };
    if length > 0 || matches!(*message.method, Method::POST | Method::PUT | Method::PATCH) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    headers
}

async fn work(flight: &Flight<'_>, uri: Uri, message: Message<'_>, progress: &Progress<'_>) -> Result<(), Failed> {
    let shared = flight.shared;
    flight.wait_for_room(progress).await;
    let mut request = Request::new(());
    *request.method_mut() = message.method.clone();
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers(&message);
    let ends = message.body.is_over();
    // A clone knows nothing of requests that wait to be opened, and is not held up by them.
    let begun = shared.sender.clone().send_request(request, ends);
    let (response, stream) = begun.map_err(|error| {
        let failed = flight.failed(&error, progress);
        Failed { fatal: true, ..failed }
    })?;
    shared.track.stamps.borrow_mut().expect(flight.stamp);
    if ends {
        progress.doing.set(Doing::Waiting);
    }
    let mut sending = Sending { stream, body: message.body, chunk: Bytes::new(), done: ends };
    let mut reading = Reading::Head(response);
    std::future::poll_fn(|cx| {
        if !sending.done {
            match sending.poll(cx, flight) {
                Poll::Ready(Ok(())) => {
                    sending.done = true;
                    progress.doing.set(Doing::Waiting);
                }
                Poll::Ready(Err(failed)) => return Poll::Ready(Err(failed)),
                Poll::Pending => {}
            }
        }
        reading.poll(cx, message.method, flight, progress)
    })
    .await
}

/// A body on its way out.
struct Sending {
    stream: SendStream<Bytes>,
    body: Outgoing,
    chunk: Bytes,
    done: bool,
}

impl Sending {
    fn poll(&mut self, cx: &mut Context<'_>, flight: &Flight<'_>) -> Poll<Result<(), Failed>> {
        loop {
            while self.chunk.is_empty() {
                match ready!(self.body.poll_chunk(cx)) {
                    Some(Ok(chunk)) => self.chunk = chunk,
                    Some(Err(error)) => {
                        self.stream.send_reset(Reason::CANCEL);
                        return Poll::Ready(Err(Failed::of(Fault::BODY_FILE, error.to_string())));
                    }
                    None => {
                        // What goes wrong here shows where the response is read.
                        let _ = self.stream.send_data(Bytes::new(), true);
                        return Poll::Ready(Ok(()));
                    }
                }
            }
            if self.stream.capacity() == 0 {
                self.stream.reserve_capacity(self.chunk.len());
                match ready!(self.stream.poll_capacity(cx)) {
                    Some(Ok(0)) => continue,
                    Some(Ok(_)) => {}
                    // The server takes no more: it may have answered before.
                    Some(Err(_)) | None => return Poll::Ready(Ok(())),
                }
            }
            let count = self.stream.capacity().min(self.chunk.len());
            let piece = self.chunk.split_to(count);
            let ends = self.chunk.is_empty() && self.body.is_over();
            if self.stream.send_data(piece, ends).is_err() {
                return Poll::Ready(Ok(()));
            }
            flight.carried(count, 0);
            flight.shared.track.stamps.borrow_mut().expect(flight.stamp);
            if ends {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// A response on its way in.
enum Reading {
    Head(ResponseFuture),
    Body(RecvStream),
    Trailers(RecvStream),
    Ended,
}

impl Reading {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        method: &Method,
        flight: &Flight<'_>,
        progress: &Progress<'_>,
    ) -> Poll<Result<(), Failed>> {
        let failed = |error: ::h2::Error| flight.failed(&error, progress);
        loop {
            match self {
                Self::Head(response) => {
                    while let Poll::Ready(Some(Ok(_))) = response.poll_informational(cx) {
                        progress.informational.set(progress.informational.get() + 1);
                        if progress.informational.get() > INFORMATIONAL_MAX {
                            let why = format!("more than {INFORMATIONAL_MAX} responses came before the final one");
                            return Poll::Ready(Err(Failed::of(Fault::MALFORMED_RESPONSE, why)));
                        }
                    }
                    let response = ready!(Pin::new(response).poll(cx)).map_err(failed)?;
                    let (head, body) = response.into_parts();
                    progress.first_read.set(flight.shared.track.meter.last_read());
                    progress.doing.set(Doing::Receiving);
                    flight.shared.answered.set(true);
                    if head.headers.len() > HEADERS_MAX {
                        let why = format!("the response has more than {HEADERS_MAX} headers");
                        return Poll::Ready(Err(Failed::of(Fault::HEADERS_TOO_LARGE, why)));
                    }
                    let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
                    let length = length.filter(|_| *method != Method::HEAD);
                    progress.length.set(length);
                    let status = head.status.as_u16();
                    let sets_cookies = head.headers.contains_key(SET_COOKIE);
                    let headers = Headers::of(head.headers, sets_cookies);
                    let begun = progress.taking.borrow_mut().begin(status, &headers, length);
                    *progress.head.borrow_mut() = Some((status, headers));
                    begun.map_err(Failed::from)?;
                    *self = Self::Body(body);
                }
                Self::Body(stream) => {
                    if stream.is_end_stream() {
                        *self = Self::Ended;
                        continue;
                    }
                    if ready!(progress.taking.borrow_mut().poll_ready(cx)).map_err(Failed::from)? == Flow::Enough {
                        *self = Self::Ended;
                        continue;
                    }
                    match ready!(stream.poll_data(cx)) {
                        Some(Ok(data)) => {
                            // Only a stream that is over does not take it.
                            let _ = stream.flow_control().release_capacity(data.len());
                            flight.carried(0, data.len());
                            let read = || (flight.stamp().first, flight.shared.track.meter.last_read());
                            progress.taking.borrow().stamp(read);
                            let flow = progress.taking.borrow_mut().take(&data).map_err(Failed::from)?;
                            if flow == Flow::Enough {
                                *self = Self::Ended;
                            }
                        }
                        Some(Err(error)) => return Poll::Ready(Err(failed(error))),
                        None => {
                            let Self::Body(stream) = std::mem::replace(self, Self::Ended) else { continue };
                            *self = Self::Trailers(stream);
                        }
                    }
                }
                Self::Trailers(stream) => {
                    ready!(stream.poll_trailers(cx)).map_err(failed)?;
                    *self = Self::Ended;
                }
                Self::Ended => {
                    // The body may have to be written to the end; that is no time of the target's.
                    if progress.last_read.get().is_none() {
                        progress.last_read.set(flight.shared.track.meter.last_read());
                    }
                    return progress.taking.borrow_mut().poll_finish(cx).map_err(Failed::from);
                }
            }
        }
    }
}
