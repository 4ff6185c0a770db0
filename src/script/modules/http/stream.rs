//! Streams of events and lines, as scripts read them: `http::stream`, `http::events`, and the same of clients.
//!
//! The request is a task of its own beside the virtual user: events are stamped and recorded when they arrive, also
//! while the script does something else. A script that is slower than the target holds it up, by way of a queue with a
//! bound ([`Feed`]). A stream that the script lets go of is closed, and none outlives the call of the script that opened
//! it ([`VuStreams::end`]): a user that does not come to its end of an iteration leaves nothing behind.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ::http::Method;
use ::http::header::{ACCEPT, HeaderValue};
use bytes::Bytes;
use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Map};
use tokio::task::AbortHandle;

use super::client::HttpClient;
use super::request::{Prepared, duration, prepare, text, wrong};
use super::{Natives, Response, define, error_code, make, retries, transfer, verb};
use crate::fault::Fault;
use crate::net::events::Format;
use crate::net::feed::{Arrived, Feed, FeedOptions, OnEvent, Stage};
use crate::net::http::Client;
use crate::net::intake::Intake;
use crate::plan::HttpDebug;
use crate::script::bridge;
use crate::script::context::{HostContext, VuContext};
use crate::script::error::host_error;
use crate::script::lazy_json::{JsonError, LazyJson};
use crate::script::modules::json::JsonPaths;
use crate::script::series::{RequestKey, StreamSeries, method_number, micros};

type ScriptResult<T> = Result<T, Box<EvalAltResult>>;

/// The parameters that a stream takes besides those of a request.
pub const STREAM_PARAMS: &[&str] = &["format", "max_events", "max_event", "idle_timeout"];

/// The parameters of a request that are about whole bodies.
const OF_WHOLE_BODIES: [&str; 4] = ["response", "discard_body", "save_to", "digest"];

/// The most bytes of an event, unless the script says otherwise.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// The most streams that a virtual user has open.
const OPEN_MAX: usize = 1_000;

/// How much of a stream is kept for those who look at single requests.
const COPIED_BYTES: usize = 64 * 1024;

/// What a request is to know of the stream that it is for.
#[derive(Clone)]
pub struct StreamOf {
    /// Where its events go.
    pub feed: Rc<Feed>,
    /// The group that it was opened in.
    pub group: u32,
}

/// The streams that a virtual user has open.
#[derive(Default)]
pub struct VuStreams(RefCell<Vec<(Rc<Feed>, AbortHandle)>>);

impl VuStreams {
    fn add(&self, feed: Rc<Feed>, task: AbortHandle) {
        self.0.borrow_mut().push((feed, task));
    }

    fn has_room(&self) -> bool {
        let mut open = self.0.borrow_mut();
        open.retain(|(feed, _)| feed.stage() != Stage::Ended);
        open.len() < OPEN_MAX
    }

    /// Closes those that are still open, and waits until their requests are recorded.
    pub async fn end(&self) {
        if self.0.borrow().is_empty() {
            return;
        }
        let open = self.0.take();
        open.iter().for_each(close);
        for (feed, _) in open {
            feed.ended().await;
        }
    }

    /// Ends them at once: their user is no more.
    pub fn abandon(&self) {
        for (_, task) in self.0.take() {
            task.abort();
        }
    }
}

fn close((feed, task): &(Rc<Feed>, AbortHandle)) {
    feed.close();
    // Before the head of a response nothing looks at what the reader wants.
    if feed.stage() == Stage::Awaited {
        task.abort();
    }
}

struct Open {
    handle: (Rc<Feed>, AbortHandle),
    response: Rc<OnceCell<Response>>,
    throw: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        close(&self.handle);
    }
}

/// A response that is read as it comes; cheap to clone.
#[derive(Clone)]
pub struct EventStream(Rc<Open>);

struct EventInner {
    arrived: Arrived,
    json: OnceCell<LazyJson>,
}

/// One event of a stream; cheap to clone.
#[derive(Clone)]
pub struct StreamEvent(Rc<EventInner>);

/// Tells that nothing more comes, however the task ends.
struct EndOnDrop(Rc<Feed>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Sends a request, and waits until its response's head is there.
#[inline(never)]
fn open(
    host: &HostContext,
    client: Option<&HttpClient>,
    method: Method,
    url: &str,
    body: Dynamic,
    mut params: Map,
    format: Option<Format>,
) -> ScriptResult<EventStream> {
    let (mut options, idle) = take_options(&mut params, format)?;
    let mut prepared = prepare(host, client, method, url, body, params.into())?;
    if options.format == Some(Format::Events) && !prepared.request.headers.contains_key(ACCEPT) {
        prepared.request.headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    }
    let vu = host.vu();
    if let Some(client) = prepared.client.as_deref().or(vu.client.as_ref()) {
        options.copied_bytes = copied_bytes(host, client);
    }
    if !vu.streams.has_room() {
        return Err(host_error(format!(
            "a virtual user can have {OPEN_MAX} streams open at once, and this would be one more: close those that are read"
        )));
    }
    let throw = prepared.throw;
    let feed = Rc::new(Feed::new(options, recorder(host, &prepared)));
    // What a client says of whole bodies is nothing to a stream.
    prepared.request.digest = None;
    prepared.request.intake = Some(Intake::Stream(feed.clone()));
    prepared.stream = Some(StreamOf { feed: feed.clone(), group: vu.group.get() });
    let response = Rc::new(OnceCell::new());
    let serving = Box::pin(serve(host.clone(), vu.clone(), prepared, feed.clone(), idle, response.clone()));
    // Where nothing can be waited for, nothing is begun either.
    let begun = bridge::wait(async move { tokio::task::spawn_local(serving).abort_handle() });
    let task = begun.map_err(|error| error.into_script_error("make a request"))?;
    vu.streams.add(feed.clone(), task.clone());
    let stream = EventStream(Rc::new(Open { handle: (feed.clone(), task), response, throw }));
    bridge::wait(async move { feed.begun().await }).map_err(|error| error.into_script_error("make a request"))?;
    if let Some(response) = stream.0.response.get() {
        response.is_made_by(client);
    }
    stream.thrown()?;
    Ok(stream)
}

/// How much of a stream is kept as it came: all of what is recorded, and the beginning where single requests are looked at.
fn copied_bytes(host: &HostContext, client: &Client) -> usize {
    let options = client.network().options();
    if client.network().is_taped() {
        usize::try_from(options.max_body).unwrap_or(usize::MAX)
    } else if host.tracer().is_some() || options.http_debug != HttpDebug::Off {
        COPIED_BYTES
    } else {
        0
    }
}

/// Takes what is a stream's alone out of the parameters.
fn take_options(params: &mut Map, format: Option<Format>) -> ScriptResult<(FeedOptions, Option<Duration>)> {
    if let Some(name) = OF_WHOLE_BODIES.iter().find(|name| params.contains_key(**name)) {
        return Err(host_error(format!("a stream is read as it comes: `{name}` is for whole bodies")));
    }
    let mut options = FeedOptions { format, max_events: u64::MAX, max_event_bytes: EVENT_BYTES_MAX, copied_bytes: 0 };
    let mut idle = None;
    for name in STREAM_PARAMS {
        let Some(value) = params.remove(*name) else { continue };
        match *name {
            "format" => {
                options.format = Some(match &*text(name, &value)? {
                    "events" => Format::Events,
                    "lines" => Format::Lines,
                    _ => return Err(wrong(name, "`events` or `lines`", &value)),
                });
            }
            "max_events" => {
                let number = value.as_int().ok().and_then(|number| u64::try_from(number).ok());
                options.max_events =
                    number.filter(|number| *number > 0).ok_or_else(|| wrong(name, "a number from 1", &value))?;
            }
            "max_event" => {
                options.max_event_bytes = usize::try_from(transfer::bytes(name, &value)?).unwrap_or(usize::MAX);
            }
            _ => idle = Some(duration(name, &value)?),
        }
    }
    Ok((options, idle))
}

/// Makes the request, and watches that it is not quiet for too long.
async fn serve(
    host: HostContext,
    vu: Rc<VuContext>,
    prepared: Prepared,
    feed: Rc<Feed>,
    idle: Option<Duration>,
    slot: Rc<OnceCell<Response>>,
) {
    let _end = EndOnDrop(feed.clone());
    let making = async {
        if prepared.retries.is_none() {
            make(host, vu, prepared).await
        } else {
            retries::make_again(host, vu, prepared).await
        }
    };
    let response = match idle {
        None => making.await,
        Some(idle) => tokio::select! {
            response = making => response,
            never = feed.watch(idle) => match never {},
        },
    };
    let _ = slot.set(response);
}

/// Records each event under the tags of its request.
fn recorder(host: &HostContext, prepared: &Prepared) -> OnEvent {
    let (host, vu) = (host.clone(), host.vu());
    let (name, tags, expected) = (prepared.name, prepared.tags, prepared.expected.clone());
    let method = method_number(&prepared.request.method);
    let (group, scenario) = (vu.group.get(), vu.scenario.index as u16);
    let known: Cell<Option<StreamSeries>> = Cell::new(None);
    Box::new(move |arrival| {
        let Some((recorder, series)) = host.recording() else { return };
        let series = known.get().unwrap_or_else(|| {
            let status = arrival.status;
            let expected = expected.holds(status);
            let error_code = if expected { 0 } else { Fault::http_status(status).code };
            let key = RequestKey { name, tags, group, error_code, status, scenario, method, expected };
            series.borrow_mut().stream(recorder, key)
        });
        known.set(Some(series));
        recorder.count(series.events, 1.0);
        if let Some(first) = arrival.first {
            recorder.trend(series.first_event, micros(first));
        }
        if let Some(gap) = arrival.gap {
            recorder.trend(series.event_gap, micros(gap));
        }
    })
}

impl EventStream {
    /// The next event; none at the end.
    fn next(&self) -> ScriptResult<Option<StreamEvent>> {
        let feed = self.0.handle.0.clone();
        let next = bridge::wait(async move { feed.next().await });
        match next.map_err(|error| error.into_script_error("read a stream"))? {
            Some(arrived) => Ok(Some(StreamEvent(Rc::new(EventInner { arrived, json: OnceCell::new() })))),
            None => self.thrown().map(|()| None),
        }
    }

    /// With `throws`, a failure is an exception.
    fn thrown(&self) -> ScriptResult<()> {
        match self.0.response.get() {
            Some(response) if self.0.throw => super::thrown(response.clone()).map(|_| ()),
            _ => Ok(()),
        }
    }

    fn close(&self) {
        close(&self.0.handle);
    }

    /// What came of the request; waits for its end.
    fn response(&self) -> ScriptResult<Response> {
        self.close();
        let feed = self.0.handle.0.clone();
        bridge::wait(async move { feed.ended().await }).map_err(|error| error.into_script_error("read a stream"))?;
        self.0.response.get().cloned().ok_or_else(|| host_error("the stream's request was cancelled"))
    }

    fn status(&self) -> i64 {
        let of_response = self.0.response.get().map(|response| response.exchange().status);
        i64::from(of_response.unwrap_or_else(|| self.0.handle.0.status()))
    }

    fn error(&self) -> ImmutableString {
        let error = self.0.response.get().and_then(|response| response.exchange().error.as_ref());
        error.map_or_else(ImmutableString::new, |error| error.detail.as_str().into())
    }

    fn error_code(&self) -> i64 {
        i64::from(self.0.response.get().map_or(0, |response| error_code(response.exchange())))
    }

    fn events(&self) -> i64 {
        i64::try_from(self.0.handle.0.events()).unwrap_or(i64::MAX)
    }
}

impl IntoIterator for EventStream {
    type Item = ScriptResult<StreamEvent>;
    type IntoIter = std::iter::FromFn<Box<dyn FnMut() -> Option<ScriptResult<StreamEvent>>>>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::from_fn(Box::new(move || self.next().transpose()))
    }
}

impl StreamEvent {
    fn json(&self) -> &LazyJson {
        let text = || Bytes::copy_from_slice(self.0.arrived.event.data.as_bytes());
        self.0.json.get_or_init(|| LazyJson::new(text()))
    }

    fn fault(error: &JsonError) -> Box<EvalAltResult> {
        host_error(format!("the data of an event {error}"))
    }

    fn after_ms(&self) -> f64 {
        self.0.arrived.after.as_secs_f64() * 1e3
    }

    fn retry(&self) -> Dynamic {
        let retry = self.0.arrived.event.retry_ms.and_then(|ms| i64::try_from(ms).ok());
        retry.map_or(Dynamic::UNIT, Dynamic::from)
    }

    /// What it is made of, as a map.
    #[must_use]
    pub fn to_map(&self) -> Map {
        let Arrived { event, .. } = &self.0.arrived;
        let mut map = Map::new();
        map.insert("type".into(), event.event.as_str().into());
        map.insert("data".into(), event.data.as_str().into());
        map.insert("id".into(), (&*event.id).into());
        map.insert("retry".into(), self.retry());
        map.insert("at".into(), self.after_ms().into());
        map
    }
}

/// Registers the functions, the same as methods of clients, and the types.
pub(super) fn register(engine: &mut Engine, natives: &mut Natives, context: &HostContext) {
    functions(natives, context);
    methods(engine, context);
    engine.register_type_with_name::<EventStream>("EventStream");
    engine.register_iterator_result::<EventStream, StreamEvent>();
    engine.register_fn("next", |stream: &mut EventStream| -> ScriptResult<Dynamic> {
        Ok(stream.next()?.map_or(Dynamic::UNIT, Dynamic::from))
    });
    engine.register_fn("close", |stream: &mut EventStream| stream.close());
    engine.register_get("status", |stream: &mut EventStream| stream.status());
    engine.register_get("ok", |stream: &mut EventStream| {
        (200..400).contains(&stream.status()) && stream.error().is_empty()
    });
    engine.register_get("error", |stream: &mut EventStream| stream.error());
    engine.register_get("error_code", |stream: &mut EventStream| stream.error_code());
    engine.register_get("events", |stream: &mut EventStream| stream.events());
    engine.register_get("response", |stream: &mut EventStream| stream.response());

    engine.register_type_with_name::<StreamEvent>("StreamEvent");
    engine.register_get("type", |event: &mut StreamEvent| ImmutableString::from(&event.0.arrived.event.event));
    engine.register_get("data", |event: &mut StreamEvent| ImmutableString::from(&event.0.arrived.event.data));
    engine.register_get("id", |event: &mut StreamEvent| ImmutableString::from(&*event.0.arrived.event.id));
    engine.register_get("retry", |event: &mut StreamEvent| event.retry());
    engine.register_get("at", |event: &mut StreamEvent| event.after_ms());
    let paths = JsonPaths::default();
    engine.register_fn("json", |event: &mut StreamEvent| {
        let json = event.json();
        bridge::on_worker_stack(|| json.value()).map_err(|error| StreamEvent::fault(&error))
    });
    engine.register_fn("json", move |event: &mut StreamEvent, path: ImmutableString| {
        paths.find(event.json(), &path, |error| StreamEvent::fault(&error))
    });
    engine.register_fn("to_string", |event: &mut StreamEvent| event.0.arrived.event.data.clone());
}

fn functions(natives: &mut Natives, context: &HostContext) {
    let host = context.clone();
    define(natives, "stream", move |method: ImmutableString, url: ImmutableString| {
        open(&host, None, verb(&method)?, &url, Dynamic::UNIT, Map::new(), None)
    });
    let host = context.clone();
    define(natives, "stream", move |method: ImmutableString, url: ImmutableString, body: Dynamic| {
        open(&host, None, verb(&method)?, &url, body, Map::new(), None)
    });
    let host = context.clone();
    define(natives, "stream", move |method: ImmutableString, url: ImmutableString, body: Dynamic, params: Map| {
        open(&host, None, verb(&method)?, &url, body, params, None)
    });
    let host = context.clone();
    define(natives, "events", move |url: ImmutableString| {
        open(&host, None, Method::GET, &url, Dynamic::UNIT, Map::new(), Some(Format::Events))
    });
    let host = context.clone();
    define(natives, "events", move |url: ImmutableString, params: Map| {
        open(&host, None, Method::GET, &url, Dynamic::UNIT, params, Some(Format::Events))
    });
}

fn methods(engine: &mut Engine, context: &HostContext) {
    let host = context.clone();
    engine.register_fn("stream", move |client: &mut HttpClient, method: ImmutableString, url: ImmutableString| {
        open(&host, Some(client), verb(&method)?, &url, Dynamic::UNIT, Map::new(), None)
    });
    let host = context.clone();
    engine.register_fn(
        "stream",
        move |client: &mut HttpClient, method: ImmutableString, url: ImmutableString, body: Dynamic| {
            open(&host, Some(client), verb(&method)?, &url, body, Map::new(), None)
        },
    );
    let host = context.clone();
    engine.register_fn(
        "stream",
        move |client: &mut HttpClient, method: ImmutableString, url: ImmutableString, body: Dynamic, params: Map| {
            open(&host, Some(client), verb(&method)?, &url, body, params, None)
        },
    );
    let host = context.clone();
    engine.register_fn("events", move |client: &mut HttpClient, url: ImmutableString| {
        open(&host, Some(client), Method::GET, &url, Dynamic::UNIT, Map::new(), Some(Format::Events))
    });
    let host = context.clone();
    engine.register_fn("events", move |client: &mut HttpClient, url: ImmutableString, params: Map| {
        open(&host, Some(client), Method::GET, &url, Dynamic::UNIT, params, Some(Format::Events))
    });
}
