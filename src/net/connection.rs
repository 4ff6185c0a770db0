//! One connection: how it is opened, and how a request goes over it.
//!
//! Nothing is spawned. While a request is in flight its own task polls hyper's connection beside the response; an idle
//! connection is polled by nobody and costs nothing, and one that the server has closed meanwhile is found out when it is
//! next used.
//!
//! [`Connection`] is the seam for other protocols: HTTP/1.1 is the one that there is.

use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ::http::header::CONNECTION;
use ::http::{HeaderMap, Request, StatusCode, Version};
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::body::Outgoing;
use super::classify::{self, Stage};
use super::dns::Resolver;
use super::target::Origin;
use super::tls::{self, Tls};
use super::wire::{Meter, Moved, Socket, Wire};
use super::{NetError, Timings};
use crate::fault::Fault;

/// How long one address may take to accept a connection (k6's dialer: 30 s).
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// What opening a connection took, also when it failed.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pub(super) looking_up: Cell<Option<Duration>>,
    pub(super) connecting: Cell<Option<Duration>>,
    pub(super) tls_handshaking: Cell<Option<Duration>>,
    pub(super) remote: Cell<Option<SocketAddr>>,
    pub(super) meter: Rc<Meter>,
    step: Cell<Step>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Step {
    #[default]
    LookUp,
    Connect,
    Handshake,
}

impl Opening {
    /// What was being done, for the message of a timeout.
    pub(super) fn doing(&self) -> &'static str {
        match self.step.get() {
            Step::LookUp => "while looking up the host",
            Step::Connect => "while connecting",
            Step::Handshake => "during the TLS handshake",
        }
    }

    /// Enters the phases that happened.
    pub(super) fn enter(&self, timings: &mut Timings) {
        timings.looking_up = self.looking_up.get();
        timings.connecting = self.connecting.get();
        timings.tls_handshaking = self.tls_handshaking.get();
    }
}

/// A connection to one origin.
#[derive(Debug)]
pub(super) enum Connection {
    Http1(Box<Http1>),
}

impl Connection {
    /// Opens one: resolves, tries each address in turn, makes the TLS handshake.
    pub(super) async fn open(
        resolver: &Resolver,
        tls: &Tls,
        origin: &Origin,
        opening: &Opening,
    ) -> Result<Self, NetError> {
        opening.step.set(Step::LookUp);
        let resolved = resolver.resolve(origin).await?;
        opening.looking_up.set(resolved.took);
        if origin.is_secure() {
            tls.prepare().await.map_err(|why| NetError { fault: Fault::TLS, detail: format!("TLS: {why}") })?;
        }

        opening.step.set(Step::Connect);
        let begun = Instant::now();
        let dialed = dial(resolved.sockets(), &opening.remote).await;
        opening.connecting.set(Some(begun.elapsed()));
        let (tcp, remote) = dialed?;
        let socket = Socket::new(tcp, opening.meter.clone());

        let (wire, tls_version) = if origin.is_secure() {
            opening.step.set(Step::Handshake);
            let begun = Instant::now();
            let shaken = tls.handshake(origin.host(), socket).await;
            opening.tls_handshaking.set(Some(begun.elapsed()));
            let stream = shaken.map_err(|error| {
                let (fault, why) = classify::handshake(&error, &opening.meter);
                NetError { fault, detail: format!("TLS handshake with `{origin}` failed: {why}") }
            })?;
            let version = tls::version(&stream);
            (Wire::Tls { stream: Box::new(stream), meter: opening.meter.clone() }, Some(version))
        } else {
            (Wire::Plain(socket), None)
        };
        Ok(Self::Http1(Box::new(Http1::new(wire, opening.meter.clone(), remote, tls_version))))
    }
}

/// Connects to the first address that accepts. When none does, the last failure is told.
async fn dial(
    sockets: impl Iterator<Item = SocketAddr>,
    remote: &Cell<Option<SocketAddr>>,
) -> Result<(TcpStream, SocketAddr), NetError> {
    let mut failure = NetError { fault: Fault::DIAL, detail: "connect failed: there is no address".to_owned() };
    for socket in sockets {
        remote.set(Some(socket));
        failure = match tokio::time::timeout(DIAL_TIMEOUT, TcpStream::connect(socket)).await {
            Ok(Ok(tcp)) => {
                // Only a closed socket refuses; the request then says so.
                let _ = tcp.set_nodelay(true);
                return Ok((tcp, socket));
            }
            Ok(Err(error)) => {
                let fault = classify::dial(&error);
                NetError { fault, detail: format!("connect to `{socket}` failed: {}", plain(&error)) }
            }
            Err(_) => NetError {
                fault: Fault::DIAL_TIMEOUT,
                detail: format!("connect to `{socket}` failed: no answer within {DIAL_TIMEOUT:?}"),
            },
        };
        // Another address does not help against a lack of files or ports here.
        if failure.fault.side == crate::fault::Side::Generator {
            break;
        }
    }
    Err(failure)
}

/// The text of an error without `(os error 111)`, in lower case.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" (os error").map_or(&*text, |(before, _)| before);
    text.to_lowercase()
}

impl Connection {
    /// Gives its buffers back until the next request. Returns whether it can carry one.
    pub(super) fn rest(&mut self) -> bool {
        let Self::Http1(http) = self;
        http.rest()
    }
}

/// What a request needs besides itself.
#[derive(Debug)]
pub(super) struct Terms {
    /// When it must be over, where that is fixed already.
    pub(super) deadline: Option<Instant>,
    /// How long it may take from its first write, where it is not.
    pub(super) timeout: Duration,
    /// Read the body, but do not keep it.
    pub(super) discard_body: bool,
    /// The most bytes of a body that are kept.
    pub(super) max_body: u64,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    /// Status, version and headers, if there was a head.
    pub(super) head: Option<(StatusCode, Version, HeaderMap)>,
    pub(super) body: Bytes,
    pub(super) failure: Option<Failure>,
    /// Whether the connection can carry another request.
    pub(super) reusable: bool,
}

/// Why an answer is missing or incomplete.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    pub(super) why: String,
    /// Whether the request never reached the wire, nor hyper's hands.
    pub(super) unsent: bool,
}

/// Why waiting ended without what was waited for.
enum Stop {
    TimedOut,
    /// The connection is over.
    Gone,
}

type Driver = http1::Connection<TokioIo<Wire>, Outgoing>;

/// Where a connection is in its life.
///
/// | from | to | when |
/// | --- | --- | --- |
/// | resting | live | a request is sent |
/// | live | resting | its VU pauses, and it is idle with nothing unread |
/// | live | over | the server closes it, or a request on it fails |
enum State {
    /// hyper's end, with buffers of some 25 KB.
    Live(Box<Driver>),
    /// A socket and no buffers.
    Resting(Box<Wire>),
    /// Closed.
    Over,
}

/// An HTTP/1.1 connection.
pub(super) struct Http1 {
    /// Present while the link is live.
    sender: Option<http1::SendRequest<Outgoing>>,
    link: Link,
    remote: SocketAddr,
    tls_version: Option<&'static str>,
    used: bool,
}

/// What is polled while a request is in flight.
struct Link {
    state: State,
    alarm: Alarm,
    meter: Rc<Meter>,
}

impl std::fmt::Debug for Http1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http1").field("remote", &self.remote).field("used", &self.used).finish_non_exhaustive()
    }
}

impl Http1 {
    fn new(wire: Wire, meter: Rc<Meter>, remote: SocketAddr, tls_version: Option<&'static str>) -> Self {
        let link = Link { state: State::Resting(Box::new(wire)), alarm: Alarm::default(), meter };
        Self { sender: None, link, remote, tls_version, used: false }
    }

    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    pub(super) fn tls_version(&self) -> Option<&'static str> {
        self.tls_version
    }

    /// Whether it has carried a request.
    pub(super) fn is_used(&self) -> bool {
        self.used
    }

    /// Whether no byte of the latest request's response has been read.
    pub(super) fn is_unanswered(&self) -> bool {
        !self.link.meter.has_read()
    }

    pub(super) fn moved(&self, ended: Option<Instant>) -> Moved {
        self.link.meter.moved(ended)
    }

    pub(super) fn first_write(&self) -> Option<Instant> {
        self.link.meter.first_write()
    }

    pub(super) fn take_bytes(&self) -> (u64, u64) {
        self.link.meter.take_bytes()
    }

    /// Whether it is between two requests and still open, as far as is known without asking the kernel.
    fn is_idle(&mut self) -> bool {
        let Some(sender) = &self.sender else { return matches!(self.link.state, State::Resting(_)) };
        if !sender.is_ready() {
            self.link.advance(&mut Context::from_waker(Waker::noop()));
        }
        matches!(self.link.state, State::Live(_)) && sender.is_ready()
    }

    /// Gives its buffers back until the next request. Returns whether it can carry one.
    pub(super) fn rest(&mut self) -> bool {
        if !self.is_idle() {
            return false;
        }
        match std::mem::replace(&mut self.link.state, State::Over) {
            State::Live(driver) => {
                self.sender = None;
                let parts = driver.into_parts();
                // Bytes that no request asked for: the next response would not be its own.
                if !parts.read_buf.is_empty() {
                    return false;
                }
                self.link.state = State::Resting(Box::new(parts.io.into_inner()));
            }
            state => self.link.state = state,
        }
        true
    }

    async fn wake(&mut self) -> Result<(), hyper::Error> {
        match std::mem::replace(&mut self.link.state, State::Over) {
            State::Resting(wire) => {
                let mut builder = http1::Builder::new();
                builder.title_case_headers(true);
                let (sender, driver) = builder.handshake(TokioIo::new(*wire)).await?;
                self.sender = Some(sender);
                self.link.state = State::Live(Box::new(driver));
            }
            state => self.link.state = state,
        }
        Ok(())
    }

    /// Sends a request and reads the whole response.
    pub(super) async fn round_trip(&mut self, request: Request<Outgoing>, terms: &Terms) -> Answer {
        self.link.meter.begin();
        self.used = true;
        if let Err(error) = self.wake().await {
            return Answer::failed(Fault::INTERNAL, error.to_string(), true);
        }
        let Some(sender) = &mut self.sender else {
            return Answer::failed(Fault::INTERNAL, "the connection is over".to_owned(), true);
        };
        let mut deadline = terms.deadline;
        let response = {
            let mut sending = pin!(sender.try_send_request(request));
            // There is nothing to read before the request is written.
            let mut try_first = false;
            let link = &mut self.link;
            std::future::poll_fn(|cx| {
                link.drive(cx, terms, &mut deadline, &mut try_first, |cx| sending.as_mut().poll(cx))
            })
            .await
        };
        let response = match response {
            Ok(Ok(response)) => response,
            Ok(Err(mut error)) => {
                let unsent = error.take_message().is_some() || self.link.meter.is_unsent();
                let (fault, why) = classify::exchange(error.error(), &self.link.meter, Stage::Head);
                return Answer::failed(fault, why, unsent);
            }
            Err(stop) => {
                let (fault, why) = self.stopped(&stop, Stage::Head, terms);
                return Answer::failed(fault, why, self.link.meter.is_unsent());
            }
        };
        let (parts, incoming) = response.into_parts();
        let (body, failure) = self.read_body(incoming, terms, &mut deadline).await;
        let reusable = failure.is_none()
            && parts.status != StatusCode::SWITCHING_PROTOCOLS
            && !closes(parts.version, &parts.headers)
            && self.is_idle();
        Answer { head: Some((parts.status, parts.version, parts.headers)), body, failure, reusable }
    }

    async fn read_body(
        &mut self,
        mut incoming: Incoming,
        terms: &Terms,
        deadline: &mut Option<Instant>,
    ) -> (Bytes, Option<Failure>) {
        let mut body = Collected::default();
        let mut try_first = true;
        while !incoming.is_end_stream() {
            if !terms.discard_body {
                let declared = body.len().saturating_add(incoming.size_hint().lower());
                if declared > terms.max_body {
                    return (Bytes::new(), Some(too_large(terms.max_body)));
                }
            }
            let frame = std::future::poll_fn(|cx| {
                let look = |cx: &mut Context<'_>| Pin::new(&mut incoming).poll_frame(cx);
                self.link.drive(cx, terms, deadline, &mut try_first, look)
            })
            .await;
            match frame {
                Ok(Some(Ok(frame))) => {
                    // Trailers have no reader.
                    let Ok(data) = frame.into_data() else { continue };
                    if terms.discard_body {
                        continue;
                    }
                    if body.len() + data.len() as u64 > terms.max_body {
                        return (Bytes::new(), Some(too_large(terms.max_body)));
                    }
                    body.push(data);
                }
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    let (fault, why) = classify::exchange(&error, &self.link.meter, Stage::Body);
                    return (body.finish(), Some(Failure { fault, why, unsent: false }));
                }
                Err(stop) => {
                    let (fault, why) = self.stopped(&stop, Stage::Body, terms);
                    return (body.finish(), Some(Failure { fault, why, unsent: false }));
                }
            }
        }
        (body.finish(), None)
    }

    fn stopped(&self, stop: &Stop, stage: Stage, terms: &Terms) -> (Fault, String) {
        match (stop, stage) {
            (Stop::TimedOut, Stage::Head) if self.link.meter.is_unsent() => {
                (Fault::TIMEOUT, format!("not over within {:?}, while sending", terms.timeout))
            }
            (Stop::TimedOut, Stage::Head) => {
                (Fault::TIMEOUT, format!("not over within {:?}, while waiting for the response", terms.timeout))
            }
            (Stop::TimedOut, Stage::Body) => {
                (Fault::TIMEOUT, format!("not over within {:?}, while receiving the body", terms.timeout))
            }
            (Stop::Gone, Stage::Head) => (Fault::CLOSED_BEFORE_RESPONSE, Fault::CLOSED_BEFORE_RESPONSE.message.into()),
            (Stop::Gone, Stage::Body) => (Fault::TRUNCATED_BODY, Fault::TRUNCATED_BODY.message.into()),
        }
    }
}

impl Link {
    /// Polls the connection until `look` sees what it waits for, the connection is over, or the time is.
    ///
    /// Only the connection can make progress, so `look` gets a waker that wakes nobody; and when it is likely that bytes
    /// are there already, the connection is first polled with that waker too (`try_first`). Otherwise each hand-over
    /// inside hyper would schedule this task once more after it is done.
    fn drive<T>(
        &mut self,
        cx: &mut Context<'_>,
        terms: &Terms,
        deadline: &mut Option<Instant>,
        try_first: &mut bool,
        mut look: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Result<T, Stop>> {
        let mut quiet = Context::from_waker(Waker::noop());
        if let Poll::Ready(seen) = look(&mut quiet) {
            return Poll::Ready(Ok(seen));
        }
        if std::mem::replace(try_first, true) {
            self.advance(&mut quiet);
            if let Poll::Ready(seen) = look(&mut quiet) {
                return Poll::Ready(Ok(seen));
            }
        }
        self.advance(cx);
        if let Poll::Ready(seen) = look(&mut quiet) {
            return Poll::Ready(Ok(seen));
        }
        if !matches!(self.state, State::Live(_)) {
            return Poll::Ready(Err(Stop::Gone));
        }
        let started = || self.meter.first_write().unwrap_or_else(Instant::now);
        let deadline = *deadline.get_or_insert_with(|| started() + terms.timeout);
        if self.alarm.is_due(cx, deadline) { Poll::Ready(Err(Stop::TimedOut)) } else { Poll::Pending }
    }

    /// Lets the connection do what it can. One that is over is dropped, which tells those who wait for it.
    fn advance(&mut self, cx: &mut Context<'_>) {
        if let State::Live(driver) = &mut self.state
            && Pin::new(&mut **driver).poll(cx).is_ready()
        {
            self.state = State::Over;
        }
    }
}

impl Answer {
    fn failed(fault: Fault, why: String, unsent: bool) -> Self {
        Self { head: None, body: Bytes::new(), failure: Some(Failure { fault, why, unsent }), reusable: false }
    }
}

fn too_large(max_body: u64) -> Failure {
    Failure { fault: Fault::BODY_TOO_LARGE, why: format!("the body is longer than {max_body} bytes"), unsent: false }
}

/// Whether the server said that it closes the connection after this response.
fn closes(version: Version, headers: &HeaderMap) -> bool {
    let says = |token: &str| {
        headers
            .get_all(CONNECTION)
            .iter()
            .any(|value| value.to_str().is_ok_and(|v| v.split(',').any(|part| part.trim().eq_ignore_ascii_case(token))))
    };
    if version == Version::HTTP_11 { says("close") } else { !says("keep-alive") }
}

/// A body as it comes in; one that comes in one piece is not copied.
#[derive(Debug, Default)]
struct Collected {
    first: Bytes,
    more: BytesMut,
}

impl Collected {
    fn len(&self) -> u64 {
        if self.more.is_empty() { self.first.len() as u64 } else { self.more.len() as u64 }
    }

    fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.more.is_empty() {
            self.more.extend_from_slice(&self.first);
            self.first = Bytes::new();
        }
        self.more.extend_from_slice(&data);
    }

    fn finish(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.freeze() }
    }
}

/// A timer that is set once and then left alone: it is not moved for each request, but looked at when it goes off, and
/// set anew then if its time has not come. A VU that makes a thousand requests a second touches it once a minute.
#[derive(Default)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whom it wakes.
    waker: Option<Waker>,
}

impl Alarm {
    /// Whether the deadline has passed; if not, `cx` is woken when it has.
    fn is_due(&mut self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        let deadline = tokio::time::Instant::from_std(deadline);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            if sleep.is_elapsed() {
                if tokio::time::Instant::now() >= deadline {
                    return true;
                }
                sleep.as_mut().reset(deadline);
                self.waker = None;
            } else if sleep.deadline() > deadline {
                sleep.as_mut().reset(deadline);
                self.waker = None;
            }
            if self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                return false;
            }
            if sleep.as_mut().poll(cx).is_pending() {
                self.waker = Some(cx.waker().clone());
                return false;
            }
        }
    }
}
