//! What lies between a response that streams events and whoever reads them.
//!
//! The connection's side puts events in as they arrive, stamped; the reader's side takes them out, closes early, or
//! fails the stream when it was quiet for too long. Between them is a queue with a bound: a reader that is slower than
//! the target holds it up, as any slow client does.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use bytes::Bytes;
use tokio::sync::Notify;

use super::events::{Event, Format, Parser};
use super::headers::Headers;
use super::intake::Flow;
use super::response::Broken;
use super::{Exchange, NetError};
use crate::fault::Fault;

/// How many events wait for their reader before the target has to wait. What is read at once may go beyond.
const QUEUE_MAX: usize = 1_000;

/// How many bytes of them.
const QUEUE_BYTES_MAX: usize = 1 << 20;

/// What is wanted of a stream.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    /// How it is cut; none: as its content type says.
    pub format: Option<Format>,
    /// After how many events it is closed.
    pub max_events: u64,
    /// The most bytes of an event.
    pub max_event_bytes: usize,
    /// How many bytes of the body are kept beside, from its beginning, as it came; 0 where nobody looks at them.
    pub copied_bytes: usize,
}

/// An event that lies ready.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// The event.
    pub event: Event,
    /// From sending the request until it was there.
    pub after: Duration,
}

/// That an event has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The status of the response.
    pub status: u16,
    /// From sending the request until it was there; of the first event alone.
    pub first: Option<Duration>,
    /// From the event before; none where the reader held the stream up in between, for then it is no time of the target's.
    pub gap: Option<Duration>,
}

/// Called for each event as it arrives.
pub type OnEvent = Box<dyn Fn(Arrival)>;

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No head of a success has come.
    Awaited,
    /// Events come.
    Open,
    /// Nothing more will come.
    Ended,
}

struct Inner {
    parser: Option<Parser>,
    /// Dropped at the end: it may hold what holds the feed.
    on_event: Option<OnEvent>,
    queue: VecDeque<Arrived>,
    queued_bytes: usize,
    stage: Stage,
    status: u16,
    /// When the request was sent.
    sent: Option<Instant>,
    /// When the bytes that are being taken were read.
    read: Option<Instant>,
    latest_event: Option<Instant>,
    /// When something last came, or could come again.
    alive: Option<Instant>,
    /// Whether the reader has held the stream up since the latest event.
    was_held: bool,
    events: u64,
    closed: bool,
    failure: Option<String>,
    copy: Vec<u8>,
    /// Wakes the connection's side.
    waker: Option<Waker>,
}

/// A stream of events between its connection and its reader.
pub struct Feed {
    options: FeedOptions,
    inner: RefCell<Inner>,
    changed: Notify,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Feed {
    /// A stream that has not begun.
    #[must_use]
    pub fn new(options: FeedOptions, on_event: OnEvent) -> Self {
        let inner = Inner {
            parser: None,
            on_event: Some(on_event),
            queue: VecDeque::new(),
            queued_bytes: 0,
            stage: Stage::Awaited,
            status: 0,
            sent: None,
            read: None,
            latest_event: None,
            alive: None,
            was_held: false,
            events: 0,
            closed: false,
            failure: None,
            copy: Vec::new(),
            waker: None,
        };
        Self { options, inner: RefCell::new(inner), changed: Notify::new() }
    }

    /// When the request was sent, and when what comes next was read.
    pub(super) fn stamp(&self, sent: Option<Instant>, read: Option<Instant>) {
        let mut inner = self.inner.borrow_mut();
        inner.sent = sent;
        inner.read = read;
    }

    /// The head of a success has come.
    pub(super) fn begin(&self, status: u16, headers: &Headers) -> Result<(), Broken> {
        let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("identity");
        if !encoding.eq_ignore_ascii_case("identity") {
            let why = format!(
                "the stream comes as `{encoding}`, which can't be read event by event: ask for it with the header \
                 `Accept-Encoding: identity`"
            );
            return Err(Broken { fault: Fault::DECOMPRESSION, why });
        }
        let is_events = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.as_bytes().trim_ascii_start().get(..EVENT_STREAM.len()))
            .is_some_and(|start| start.eq_ignore_ascii_case(EVENT_STREAM));
        let format = self.options.format.unwrap_or(if is_events { Format::Events } else { Format::Lines });
        let mut inner = self.inner.borrow_mut();
        inner.parser = Some(Parser::new(format, self.options.max_event_bytes));
        inner.status = status;
        inner.stage = Stage::Open;
        inner.alive = Some(Instant::now());
        self.changed.notify_waiters();
        Ok(())
    }

    /// Takes a piece of the body.
    pub(super) fn take(&self, data: &[u8]) -> Result<Flow, Broken> {
        let mut inner = self.inner.borrow_mut();
        let at = inner.read.unwrap_or_else(Instant::now);
        inner.alive = Some(at);
        let room = self.options.copied_bytes - inner.copy.len();
        inner.copy.extend_from_slice(&data[..data.len().min(room)]);
        let Some(mut parser) = inner.parser.take() else { return Ok(Flow::Enough) };
        let fed = parser.feed(data, |event| self.arrived(&mut inner, event, at));
        inner.parser = Some(parser);
        if fed.is_err() {
            let why = format!("an event is longer than {} bytes", self.options.max_event_bytes);
            return Err(Broken { fault: Fault::BODY_TOO_LARGE, why });
        }
        Ok(self.flow(&inner))
    }

    fn arrived(&self, inner: &mut Inner, event: Event, at: Instant) {
        if inner.closed || inner.events >= self.options.max_events {
            return;
        }
        let after = at.saturating_duration_since(inner.sent.unwrap_or(at));
        let before = inner.latest_event.replace(at);
        let arrival = Arrival {
            status: inner.status,
            first: before.is_none().then_some(after),
            gap: before.filter(|_| !inner.was_held).map(|before| at.saturating_duration_since(before)),
        };
        inner.was_held = false;
        if let Some(on_event) = &inner.on_event {
            on_event(arrival);
        }
        inner.events += 1;
        inner.queued_bytes += bytes_of(&event);
        inner.queue.push_back(Arrived { event, after });
        self.changed.notify_waiters();
    }

    fn flow(&self, inner: &Inner) -> Flow {
        if inner.closed || inner.events >= self.options.max_events { Flow::Enough } else { Flow::More }
    }

    /// Pending while the reader has enough to do.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<Flow, Broken>> {
        let mut inner = self.inner.borrow_mut();
        if let Some(why) = inner.failure.clone() {
            return Poll::Ready(Err(Broken { fault: Fault::TIMEOUT, why }));
        }
        if self.flow(&inner) == Flow::Enough {
            return Poll::Ready(Ok(Flow::Enough));
        }
        if !inner.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            inner.waker = Some(cx.waker().clone());
        }
        if is_full(&inner) {
            inner.was_held = true;
            return Poll::Pending;
        }
        Poll::Ready(Ok(Flow::More))
    }

    /// The body has come to its end.
    pub(super) fn finish(&self) {
        let mut inner = self.inner.borrow_mut();
        if let Some(mut parser) = inner.parser.take() {
            let at = inner.read.unwrap_or_else(Instant::now);
            parser.finish(|event| self.arrived(&mut inner, event, at));
        }
    }

    /// A whole response that comes from a tape, as if its body had come at once.
    pub(super) fn replay(&self, exchange: &mut Exchange) {
        if !(200..300).contains(&exchange.status) {
            return;
        }
        self.stamp(Some(Instant::now()), None);
        let begun = self.begin(exchange.status, &exchange.headers);
        let taken = begun.and_then(|()| self.take(&exchange.body));
        match taken {
            Ok(_) if exchange.error.is_none() => self.finish(),
            Ok(_) => {}
            Err(Broken { fault, why }) => exchange.error = Some(NetError { fault, detail: why }),
        }
    }

    /// What was kept of the body.
    pub(super) fn copy(&self) -> Bytes {
        std::mem::take(&mut self.inner.borrow_mut().copy).into()
    }

    /// The request is over, in whatever way: nothing more will come.
    pub fn end(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.stage = Stage::Ended;
        inner.on_event = None;
        self.changed.notify_waiters();
    }

    /// How far it has come.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.inner.borrow().stage
    }

    /// The status of a success; 0 before its head has come, and where there was none.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.inner.borrow().status
    }

    /// How many events have arrived.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.inner.borrow().events
    }

    /// Wants no more: the connection is closed, and events that wait are dropped.
    pub fn close(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.closed = true;
        inner.queue.clear();
        inner.queued_bytes = 0;
        self.changed.notify_waiters();
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }

    /// Ends the stream as one that timed out, for this reason.
    fn time_out(&self, why: String) {
        let mut inner = self.inner.borrow_mut();
        inner.failure = Some(why);
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }

    /// Since when the target has been quiet; none before the response's head, and while the reader holds the target up.
    fn quiet_since(&self) -> Option<Instant> {
        let inner = self.inner.borrow();
        if is_full(&inner) { None } else { inner.alive }
    }

    /// Ends the stream as one that timed out when nothing has come for so long, and then does nothing more.
    pub async fn watch(&self, idle: Duration) -> Infallible {
        loop {
            let until = self.quiet_since().unwrap_or_else(Instant::now) + idle;
            tokio::time::sleep_until(until.into()).await;
            if self.quiet_since().is_some_and(|since| since.elapsed() >= idle) {
                break;
            }
        }
        self.time_out(format!("nothing came for {idle:?}"));
        std::future::pending().await
    }

    /// Waits until the response's head is there, or the end.
    pub async fn begun(&self) {
        while self.stage() == Stage::Awaited {
            self.changed.notified().await;
        }
    }

    /// Waits for the end.
    pub async fn ended(&self) {
        while self.stage() != Stage::Ended {
            self.changed.notified().await;
        }
    }

    /// The next event; none at the end.
    pub async fn next(&self) -> Option<Arrived> {
        loop {
            {
                let mut inner = self.inner.borrow_mut();
                let was_full = is_full(&inner);
                if let Some(arrived) = inner.queue.pop_front() {
                    inner.queued_bytes -= bytes_of(&arrived.event);
                    if was_full && !is_full(&inner) {
                        inner.alive = Some(Instant::now());
                        if let Some(waker) = inner.waker.take() {
                            waker.wake();
                        }
                    }
                    return Some(arrived);
                }
                if inner.closed || inner.stage == Stage::Ended {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }
}

const EVENT_STREAM: &[u8] = b"text/event-stream";

/// What an event holds for itself alone.
fn bytes_of(event: &Event) -> usize {
    event.event.len() + event.data.len()
}

fn is_full(inner: &Inner) -> bool {
    inner.queue.len() >= QUEUE_MAX || inner.queued_bytes >= QUEUE_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use ::http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn feed(options: FeedOptions) -> (Feed, Rc<RefCell<Vec<Arrival>>>) {
        let arrivals = Rc::new(RefCell::new(Vec::new()));
        let log = arrivals.clone();
        (Feed::new(options, Box::new(move |arrival| log.borrow_mut().push(arrival))), arrivals)
    }

    fn options() -> FeedOptions {
        FeedOptions { format: None, max_events: u64::MAX, max_event_bytes: 1_000, copied_bytes: 0 }
    }

    fn headers(name: &'static str, value: &'static str) -> Headers {
        let pair = (HeaderName::from_static(name), HeaderValue::from_static(value));
        Headers::of(HeaderMap::from_iter([pair]), false)
    }

    fn is_pending(feed: &Feed) -> bool {
        feed.poll_ready(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    #[test]
    fn the_content_type_says_how_it_is_cut_and_an_encoding_is_refused() {
        for (name, value, format, data) in [
            ("content-type", "text/event-stream; charset=utf-8", None, Some("a")),
            ("content-type", "Text/Event-Stream", None, Some("a")),
            ("content-type", "application/x-ndjson", None, Some("data: a")),
            ("content-type", "text/event-stream", Some(Format::Lines), Some("data: a")),
            ("x-none", "", Some(Format::Events), Some("a")),
            ("content-encoding", "identity", None, Some("data: a")),
            ("content-encoding", "gzip", None, None),
        ] {
            let (feed, _) = feed(FeedOptions { format, ..options() });
            let begun = feed.begin(200, &headers(name, value));
            let Some(data) = data else {
                assert_eq!(begun.unwrap_err().fault, Fault::DECOMPRESSION);
                continue;
            };
            feed.take(b"data: a\n\n").unwrap();
            assert_eq!(feed.inner.borrow().queue[0].event.data, data, "{name}: {value} {format:?}");
        }
    }

    #[tokio::test]
    async fn a_reader_that_is_slower_holds_the_target_up_and_that_is_no_gap_of_the_targets() {
        let (feed, arrivals) = feed(options());
        feed.begin(200, &headers("content-type", "text/event-stream")).unwrap();
        feed.take("data: x\n\n".repeat(QUEUE_MAX).as_bytes()).unwrap();
        assert!(is_pending(&feed) && feed.quiet_since().is_none());
        feed.next().await.unwrap();
        assert!(!is_pending(&feed) && feed.quiet_since().is_some());
        feed.take(b"data: x\n\ndata: x\n\n").unwrap();
        let arrivals = arrivals.borrow();
        let has_gap: Vec<bool> = arrivals[QUEUE_MAX..].iter().map(|arrival| arrival.gap.is_some()).collect();
        assert_eq!(has_gap, [false, true]);
        assert!(arrivals[0].first.is_some() && arrivals[1].first.is_none() && arrivals[1].gap.is_some());
    }

    #[tokio::test]
    async fn large_events_hold_it_up_sooner() {
        let (feed, _) = feed(FeedOptions { max_event_bytes: QUEUE_BYTES_MAX * 2, ..options() });
        feed.begin(200, &headers("x-none", "")).unwrap();
        feed.take(&[b"x".repeat(QUEUE_BYTES_MAX), b"\n".to_vec()].concat()).unwrap();
        assert!(is_pending(&feed));
        assert_eq!(feed.next().await.unwrap().event.data.len(), QUEUE_BYTES_MAX);
        assert!(!is_pending(&feed));
    }

    #[tokio::test]
    async fn what_is_closed_or_has_enough_wants_no_more() {
        let (feed, arrivals) = feed(FeedOptions { max_events: 2, copied_bytes: 10, ..options() });
        feed.begin(200, &headers("x-none", "")).unwrap();
        assert_eq!(feed.take(b"1\n"), Ok(Flow::More));
        assert_eq!(feed.take(b"2\n3\n"), Ok(Flow::Enough));
        assert_eq!((feed.events(), arrivals.borrow().len()), (2, 2));
        assert_eq!(feed.next().await.unwrap().event.data, "1");
        feed.close();
        assert!(feed.next().await.is_none());
        assert_eq!(&feed.copy()[..], b"1\n2\n3\n");
        assert!(feed.inner.borrow().on_event.is_some());
        feed.end();
        assert!(feed.inner.borrow().on_event.is_none(), "what it holds is let go of");
    }

    #[tokio::test]
    async fn silence_is_watched_but_not_while_the_reader_has_enough() {
        let (feed, _) = feed(options());
        feed.begin(200, &headers("x-none", "")).unwrap();
        feed.take("x\n".repeat(QUEUE_MAX).as_bytes()).unwrap();
        let watch = feed.watch(Duration::from_millis(10));
        tokio::pin!(watch);
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut watch).await.is_err());
        assert!(feed.inner.borrow().failure.is_none(), "held up by the reader");
        feed.next().await.unwrap();
        let failed = std::future::poll_fn(|cx| match feed.poll_ready(cx) {
            Poll::Ready(Err(broken)) => Poll::Ready(broken),
            // What the connection would do: wait for bytes.
            _ => Poll::Pending,
        });
        let Broken { fault, why } = tokio::select! { failed = failed => failed, never = watch => match never {} };
        assert_eq!((fault, &*why), (Fault::TIMEOUT, "nothing came for 10ms"));
    }
}
