//! `http`: requests.
//!
//! [`request`] turns what a script says into a request, this file makes it and records it, [`response`] is what the
//! script gets back.

use std::collections::VecDeque;
use std::rc::Rc;

use ::http::Method;
use ::http::header::{HeaderName, HeaderValue};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rhai::{Array, Dynamic, Engine, EvalAltResult, ImmutableString, Map};

use super::{HostModule, Natives, define, define_for, publish};
use crate::event::LogLevel;
use crate::fault::Fault;
use crate::metric::snapshot::ErrorKey;
use crate::metric::trace::{Place, TraceIds};
use crate::net::Exchange;
use crate::net::body::Body;
use crate::net::target::Origin;
use crate::plan::HttpDebug;
use crate::script::bridge;
use crate::script::context::{HostContext, VuContext};
use crate::script::error::host_error;
use crate::script::series::{Occasion, RequestKey, method_number};
use crate::script::tracer::Tracer;
use crate::trace::Step;

mod auth;
mod caches;
pub mod client;
mod client_docs;
mod debug;
mod docs;
mod form;
pub mod jar;
mod jar_docs;
mod pages;
mod request;
pub mod response;
mod retries;
mod stream;
mod stream_docs;
mod transfer;
mod verbs;

pub use client::HttpClient;
pub use client_docs::MODULE as CLIENTS;
pub use jar::CookieJar;
pub use jar_docs::MODULE as JARS;
pub(super) use request::form as form_body;
pub use request::{HttpBody, PARAMS};
use request::{Prepared, prepare};
use response::RequestEcho;
pub use response::{Headers, Phases, Response};
pub use stream::{EventStream, STREAM_PARAMS, StreamEvent, VuStreams};
pub use stream_docs::MODULE as STREAMS;
pub use verbs::params_of;

/// The module.
pub const MODULE: HostModule =
    HostModule { name: "http", summary: "Requests, their bodies, their responses.", docs: docs::DOCS, register };

/// The header of the trace context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

type ScriptResult<T> = Result<T, Box<EvalAltResult>>;

fn register(engine: &mut Engine, context: &HostContext) {
    engine.register_type_with_name::<HttpBody>("HttpBody");
    response::register(engine);
    pages::register(engine, context);
    let mut natives = Natives::default();
    jar::register(engine, &mut natives, context);
    verbs::register(engine, &mut natives, context);
    stream::register(engine, &mut natives, context);
    define(&mut natives, "form", |fields: Map| request::form(&fields));
    define(&mut natives, "json", |value: Dynamic| request::json(&value));
    let host = context.clone();
    define(&mut natives, "client", move |settings: Map| HttpClient::new(&host, settings));
    let host = context.clone();
    define(&mut natives, "multipart", move |fields: Dynamic| form::multipart(&host, &fields));
    define(&mut natives, "part", form::named_part);
    let host = context.clone();
    define(&mut natives, "generated", move |size: Dynamic| form::generated(&host, &size, Map::new()));
    let host = context.clone();
    define(&mut natives, "generated", move |size: Dynamic, settings: Map| form::generated(&host, &size, settings));
    let host = context.clone();
    define(&mut natives, "file", move |path: ImmutableString| request::file(&host, &path, None));
    let host = context.clone();
    define(&mut natives, "file", move |path: ImmutableString, content_type: ImmutableString| {
        request::file(&host, &path, Some(content_type))
    });
    let host = context.clone();
    define(&mut natives, "cookies", move |url: ImmutableString| CookieJar::of_vu(&host)?.cookies(&url));
    let host = context.clone();
    define(&mut natives, "set_cookie", move |url: ImmutableString, name: ImmutableString, value: ImmutableString| {
        CookieJar::of_vu(&host)?.set(&url, &name, &value, &Map::new())
    });
    let host = context.clone();
    define(&mut natives, "clear_cookies", move || clear_cookies(&host));
    publish(engine, context, "http", natives);
}

fn verb(name: &str) -> ScriptResult<Method> {
    Method::from_bytes(name.to_ascii_uppercase().as_bytes())
        .map_err(|_| host_error(format!("`{name}` is no HTTP method")))
}

#[inline(never)]
pub(super) fn send(
    host: &HostContext,
    client: Option<&HttpClient>,
    method: Method,
    url: &str,
    body: Dynamic,
    params: Dynamic,
) -> ScriptResult<Response> {
    let prepared = prepare(host, client, method, url, body, params)?;
    let throw = prepared.throw;
    // The future is large: boxed, it is not on the script's stack.
    let made = if prepared.retries.is_none() {
        bridge::wait(Box::pin(make(host.clone(), host.vu(), prepared)))
    } else {
        bridge::wait(Box::pin(retries::make_again(host.clone(), host.vu(), prepared)))
    };
    let response = made.map_err(|error| error.into_script_error("make a request"))?;
    response.is_made_by(client);
    if throw { thrown(response) } else { Ok(response) }
}

fn thrown(response: Response) -> ScriptResult<Response> {
    match &response.exchange().error {
        Some(error) => {
            Err(host_error(format!("{} {}: {}", response.exchange().method, response.exchange().url, error.detail)))
        }
        None => Ok(response),
    }
}

/// Makes a request and records it. Polled on the worker's stack.
async fn make(host: HostContext, vu: Rc<VuContext>, prepared: Prepared) -> Response {
    let Prepared { client, mut request, name, named, tags, expected, stream, .. } = prepared;
    let client = match &client {
        Some(client) => client,
        None => vu.client.as_ref().expect("whoever may wait has a client"),
    };
    let options = client.network().options();
    let max_body = options.max_body;
    let number = vu.requests.get();
    vu.requests.set(number.wrapping_add(1));
    let mut traced = false;
    if options.trace_context && !request.headers.contains_key(TRACEPARENT) {
        let place = Place { vu: vu.id, iteration: vu.iteration.get(), number };
        let value = TraceIds::new(host.shared().seed, place).traceparent();
        if let Ok(value) = HeaderValue::try_from(value) {
            request.headers.insert(TRACEPARENT, value);
            traced = true;
        }
    }
    let echo = RequestEcho {
        body: match &request.body {
            Body::Bytes(bytes) => bytes.clone(),
            _ => Bytes::new(),
        },
        headers: request.headers.clone(),
    };
    let debug = options.http_debug;
    let before = (debug != HttpDebug::Off || host.tracer().is_some()).then(|| Tracer::before(&request, client));
    let mut exchanges = client.send(request).await;
    let hops = exchanges.len();
    // A stream goes on beside the script, which may be in another group by now.
    let group = stream.as_ref().map_or_else(|| vu.group.get(), |stream| stream.group);
    let mut held = true;
    for (hop, exchange) in exchanges.iter().enumerate() {
        // A redirect or a challenge on the way is no failure, whatever statuses are expected at its end.
        let last = hop + 1 == hops;
        held = exchange.error.is_none() && (!last || expected.holds(exchange.status));
        let ago = exchanges[hop + 1..].iter().map(|later| later.timings.blocked + later.timings.duration()).sum();
        let occasion = Occasion { vu: &vu, number, hop: hop as u32, traced, ago };
        let name = if hop == 0 || named { Some(name) } else { None };
        record(&host, occasion, exchange, name, tags, group, held);
    }
    if let Some(before) = before {
        let name = host.recording().map(|(_, series)| series.borrow().name_of(name)).unwrap_or_default();
        let requested = Tracer::requested(*before, &name, held, &exchanges, max_body);
        match host.tracer() {
            Some(tracer) => tracer.tell(vu.id, Step::Requested(Box::new(requested))),
            None => debug::tell(&host, debug, &requested),
        }
    }
    let mut exchange = exchanges.pop().expect("a request makes at least one exchange");
    if stream.is_some_and(|stream| stream.feed.status() != 0) {
        // What was kept of it was for those who look at single requests.
        exchange.body = Bytes::new();
    }
    // What came before was redirects, and challenges that were answered.
    let redirects = exchanges.iter().filter(|before| before.status != 401).count();
    Response::new(exchange, redirects, held, echo, max_body)
}

fn record(
    host: &HostContext,
    occasion: Occasion<'_>,
    exchange: &Exchange,
    name: Option<u32>,
    tags: u32,
    group: u32,
    expected: bool,
) {
    let Some((recorder, series)) = host.recording() else { return };
    let mut series = series.borrow_mut();
    let vu = occasion.vu;
    let name = name.unwrap_or_else(|| series.default_name(&exchange.url));
    let code = if expected { 0 } else { error_code(exchange) };
    let key = RequestKey {
        name,
        tags,
        group,
        error_code: code,
        status: exchange.status,
        scenario: vu.scenario.index as u16,
        method: method_number(&exchange.method),
        expected,
    };
    series.record(recorder, key, exchange, occasion);
    if expected {
        return;
    }
    let fault = exchange.error.as_ref().map_or_else(|| Fault::http_status(exchange.status), |error| error.fault);
    let message = match &exchange.error {
        None => match fault.message.strip_prefix(&*exchange.status.to_string()) {
            Some(_) => format!("status {}", fault.message).into(),
            None => format!("status {}: {}", exchange.status, fault.message).into(),
        },
        Some(_) => fault.message.into(),
    };
    let error = ErrorKey { code: fault.code, side: fault.side, message };
    recorder.error(&error, || {
        series.failed(recorder, &key, error.clone(), exchange, occasion);
        let what = match &exchange.error {
            Some(error) => error.detail.clone(),
            None => format!("status {}", exchange.status),
        };
        let example = format!("{} {}: {what}", exchange.method, exchange.url);
        host.log(LogLevel::Debug, format!("first failure of its kind: {example}"));
        example
    });
}

/// The class of what went wrong with an exchange; 0 for nothing.
#[must_use]
pub fn error_code(exchange: &Exchange) -> u32 {
    match &exchange.error {
        Some(error) => error.fault.code,
        None if exchange.status >= 400 => Fault::http_status(exchange.status).code,
        None => 0,
    }
}

fn batch_array(host: &HostContext, client: Option<&HttpClient>, requests: Array) -> ScriptResult<Array> {
    let prepared = requests.into_iter().map(|item| batch_item(host, client, item)).collect::<ScriptResult<Vec<_>>>()?;
    Ok(run_batch(host, client, prepared)?.into_iter().map(Dynamic::from).collect())
}

fn batch_map(host: &HostContext, client: Option<&HttpClient>, requests: Map) -> ScriptResult<Map> {
    let (names, items): (Vec<_>, Vec<_>) = requests.into_iter().unzip();
    let prepared = items.into_iter().map(|item| batch_item(host, client, item)).collect::<ScriptResult<Vec<_>>>()?;
    Ok(names.into_iter().zip(run_batch(host, client, prepared)?.into_iter().map(Dynamic::from)).collect())
}

fn batch_item(host: &HostContext, client: Option<&HttpClient>, item: Dynamic) -> ScriptResult<Prepared> {
    if let Some(url) = item.read_lock::<ImmutableString>() {
        return prepare(host, client, Method::GET, &url, Dynamic::UNIT, Dynamic::UNIT);
    }
    let (method, url, body, params) = if let Some(array) = item.read_lock::<Array>() {
        let at = |index: usize| array.get(index).cloned().unwrap_or(Dynamic::UNIT);
        (at(0), at(1), at(2), at(3))
    } else if let Some(map) = item.read_lock::<Map>() {
        let at = |key: &str| map.get(key).cloned().unwrap_or(Dynamic::UNIT);
        (map.get("method").cloned().unwrap_or_else(|| "GET".into()), at("url"), at("body"), at("params"))
    } else {
        Default::default()
    };
    let (Ok(method), Ok(url)) = (method.into_immutable_string(), url.into_immutable_string()) else {
        return Err(host_error(
            "each request of a batch is a URL, `[method, url, body, params]`, or `#{ method, url, body, params }`",
        ));
    };
    if !params.is_unit() && !params.is_map() {
        return Err(host_error(format!("the parameters of a request must be a map, this is {}", params.type_name())));
    }
    prepare(host, client, verb(&method)?, &url, body, params)
}

/// Makes the requests side by side, at most `batch` at once; the client sees to the bound for each host.
fn run_batch(host: &HostContext, client: Option<&HttpClient>, requests: Vec<Prepared>) -> ScriptResult<Vec<Response>> {
    let options = client.map(HttpClient::options).or_else(|| host.http().map(|http| &http.options));
    let (at_once, per_host) =
        options.map_or((1, 1), |options| (options.batch.max(1) as usize, options.batch_per_host.max(1)));
    let (host, vu) = (host.clone(), host.vu());
    let throw = requests.first().is_some_and(|first| first.throw);
    let all = async move {
        let mut waiting: VecDeque<_> = requests.into_iter().enumerate().collect();
        let mut running = FuturesUnordered::new();
        let mut responses = Vec::with_capacity(waiting.len());
        // A batch goes to few hosts: looking through them is quicker than hashing.
        let mut busy: Vec<(Rc<Origin>, u32)> = Vec::new();
        loop {
            while running.len() < at_once {
                let room = |prepared: &Prepared| {
                    let origin = prepared.request.url.origin();
                    busy.iter().find(|(known, _)| known == origin).is_none_or(|(_, count)| *count < per_host)
                };
                let Some(next) = waiting.iter().position(|(_, prepared)| room(prepared)) else { break };
                let Some((index, prepared)) = waiting.remove(next) else { break };
                let origin = prepared.request.url.origin().clone();
                match busy.iter_mut().find(|(known, _)| *known == origin) {
                    Some((_, count)) => *count += 1,
                    None => busy.push((origin.clone(), 1)),
                }
                let (host, vu) = (host.clone(), vu.clone());
                running.push(async move {
                    let response = match prepared.retries.is_none() {
                        true => make(host, vu, prepared).await,
                        false => Box::pin(retries::make_again(host, vu, prepared)).await,
                    };
                    (index, origin, response)
                });
            }
            let Some((index, origin, response)) = running.next().await else { break };
            if let Some((_, count)) = busy.iter_mut().find(|(known, _)| *known == origin) {
                *count -= 1;
            }
            responses.push((index, response));
        }
        responses.sort_by_key(|&(index, _)| index);
        responses
    };
    let responses = bridge::wait(Box::pin(all)).map_err(|error| error.into_script_error("make a request"))?;
    let responses = responses.into_iter().map(|(_, response)| response).inspect(|response| response.is_made_by(client));
    if throw { responses.map(thrown).collect() } else { Ok(responses.collect()) }
}

fn client_of(host: &HostContext) -> ScriptResult<Rc<VuContext>> {
    let vu = host.vu();
    if vu.client.is_some() { Ok(vu) } else { Err(bridge::WaitError::NoTask.into_script_error("use cookies")) }
}

fn parsed(url: &str) -> ScriptResult<url::Url> {
    url::Url::parse(url).map_err(|error| host_error(format!("`{url}` is no URL: {error}")))
}

fn clear_cookies(host: &HostContext) -> ScriptResult<()> {
    let vu = client_of(host)?;
    if let Some(client) = &vu.client {
        client.cookies().borrow_mut().clear();
    }
    Ok(())
}
