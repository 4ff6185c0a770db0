//! Responses, as scripts see them. Nothing is parsed, decoded or copied before a script looks at it.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString, Map};

use super::client::HttpClient;
use crate::net::{Exchange, charset, decode};
use crate::script::bridge;
use crate::script::error::host_error;
use crate::script::lazy_json::LazyJson;
use crate::script::modules::HostResult;
use crate::script::modules::html::page::{Page, PageError};
use crate::script::modules::html::selection::Selection;
use crate::script::modules::json::JsonPaths;
use crate::script::modules::regex::Patterns;
use crate::script::modules::xml::XmlNode;
use crate::script::modules::xml::tree::{Tree, XmlError};

/// What a script may ask about the request that was made.
#[derive(Debug)]
pub struct RequestEcho {
    /// Its body, if it was a text or bytes.
    pub body: Bytes,
    /// Its headers as the script gave them.
    pub headers: ::http::HeaderMap,
}

struct Inner {
    exchange: Box<Exchange>,
    redirects: usize,
    expected: bool,
    echo: RequestEcho,
    max_body: u64,
    decoded: OnceCell<Result<Bytes, String>>,
    text: OnceCell<ImmutableString>,
    json: OnceCell<LazyJson>,
    page: OnceCell<Result<Selection, PageError>>,
    xml: OnceCell<Result<XmlNode, XmlError>>,
    /// Whose request it was; none for the global functions.
    client: OnceCell<HttpClient>,
    attempts: Cell<u32>,
}

/// A response; cheap to clone.
#[derive(Clone)]
pub struct Response(Rc<Inner>);

/// A response's headers: looked up without regard to case.
#[derive(Clone)]
pub struct Headers(Rc<Inner>);

/// A response's phases, in milliseconds.
#[derive(Clone)]
pub struct Phases(Rc<Inner>);

impl Response {
    /// What a script sees of the last exchange of a request.
    #[must_use]
    pub fn new(exchange: Box<Exchange>, redirects: usize, expected: bool, echo: RequestEcho, max_body: u64) -> Self {
        Self(Rc::new(Inner {
            exchange,
            redirects,
            expected,
            echo,
            max_body,
            decoded: OnceCell::new(),
            text: OnceCell::new(),
            json: OnceCell::new(),
            page: OnceCell::new(),
            xml: OnceCell::new(),
            client: OnceCell::new(),
            attempts: Cell::new(1),
        }))
    }

    /// The same, as the last of so many attempts.
    #[must_use]
    pub fn after(self, attempts: u32) -> Self {
        self.0.attempts.set(attempts);
        self
    }

    /// Takes note of the client whose request it was: forms and links of it are followed by the same.
    pub fn is_made_by(&self, client: Option<&HttpClient>) {
        if let Some(client) = client {
            self.0.client.get_or_init(|| client.clone());
        }
    }

    /// The client whose request it was; none for the global functions.
    #[must_use]
    pub fn client(&self) -> Option<&HttpClient> {
        self.0.client.get()
    }

    /// Whether its status is 200 to 399.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        (200..400).contains(&self.0.exchange.status)
    }

    /// The exchange.
    #[must_use]
    pub fn exchange(&self) -> &Exchange {
        &self.0.exchange
    }

    fn body(&self) -> Result<&Bytes, Box<EvalAltResult>> {
        let inner = &*self.0;
        let decoded = inner.decoded.get_or_init(|| {
            let exchange = &inner.exchange;
            match exchange.headers.get(::http::header::CONTENT_ENCODING) {
                None => Ok(exchange.body.clone()),
                Some(encoding) => {
                    let encoding = encoding.to_str().unwrap_or_default();
                    bridge::on_worker_stack(|| decode::decode(encoding, &exchange.body, inner.max_body))
                        .map_err(|error| error.detail)
                }
            }
        });
        decoded
            .as_ref()
            .map_err(|error| host_error(format!("can't decode the body of {}: {error}", inner.exchange.url)))
    }

    fn content_type(&self) -> &str {
        let value = self.0.exchange.headers.get(::http::header::CONTENT_TYPE);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as text, in the charset that it has ([`charset::text`]); bytes that mean nothing in it are replaced.
    ///
    /// # Errors
    /// When it can't be decompressed.
    pub fn text(&self) -> Result<ImmutableString, Box<EvalAltResult>> {
        if let Some(text) = self.0.text.get() {
            return Ok(text.clone());
        }
        let body = self.body()?;
        // Most bodies are ASCII: no need to look for a charset, which would make a map of the headers.
        let text = match std::str::from_utf8(body) {
            Ok(text) if charset::is_plain(body) => ImmutableString::from(text),
            _ => ImmutableString::from(&*bridge::on_worker_stack(|| charset::text(body, self.content_type()))),
        };
        Ok(self.0.text.get_or_init(|| text).clone())
    }

    fn text_in(&self, name: &str) -> Result<ImmutableString, Box<EvalAltResult>> {
        let body = self.body()?;
        let text = bridge::on_worker_stack(|| charset::text_in(body, name).map(|text| ImmutableString::from(&*text)));
        text.ok_or_else(|| {
            host_error(format!("there is no charset `{name}`; a name is such as `utf-8` or `shift_jis`"))
        })
    }

    fn lazy_json(&self) -> Result<&LazyJson, Box<EvalAltResult>> {
        let body = self.body()?;
        // A byte order mark is no JSON, but some servers write one.
        let start = if body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Ok(self.0.json.get_or_init(|| LazyJson::new(body.slice(start..))))
    }

    /// The body as a page, parsed once.
    ///
    /// # Errors
    /// When it can't be decompressed, or is too large for a page.
    pub fn html(&self) -> Result<Selection, Box<EvalAltResult>> {
        let text = self.text()?;
        let page = self
            .0
            .page
            .get_or_init(|| bridge::on_worker_stack(|| Page::parse(&text)).map(|page| Selection::whole(Rc::new(page))));
        page.clone().map_err(|error| self.body_error(&error))
    }

    fn xml(&self) -> Result<XmlNode, Box<EvalAltResult>> {
        let text = self.text()?;
        let document = self
            .0
            .xml
            .get_or_init(|| bridge::on_worker_stack(|| Tree::parse(&text)).map(|tree| XmlNode::whole(Rc::new(tree))));
        document.clone().map_err(|error| self.body_error(&error))
    }

    fn body_error(&self, error: &dyn std::fmt::Display) -> Box<EvalAltResult> {
        let exchange = self.exchange();
        host_error(format!("the body of {} {} (status {}) {error}", exchange.method, exchange.url, exchange.status))
    }

    fn json(&self) -> Result<Dynamic, Box<EvalAltResult>> {
        let json = self.lazy_json()?;
        bridge::on_worker_stack(|| json.value()).map_err(|error| self.body_error(&error))
    }

    fn json_at(&self, paths: &JsonPaths, path: &str) -> Result<Dynamic, Box<EvalAltResult>> {
        paths.find(self.lazy_json()?, path, |error| self.body_error(&error))
    }

    fn size(&self) -> i64 {
        let exchange = &self.0.exchange;
        let bytes = exchange.taken.as_ref().map_or(exchange.body.len() as u64, |taken| taken.bytes);
        i64::try_from(bytes).unwrap_or(i64::MAX)
    }

    fn cookies(&self) -> Map {
        let mut map = Map::new();
        for header in self.0.exchange.headers.get_all(::http::header::SET_COOKIE) {
            let Ok(text) = header.to_str() else { continue };
            let pair = text.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                map.insert(name.trim().into(), value.trim().into());
            }
        }
        map
    }

    fn caches(&self) -> rhai::Array {
        let layers = super::caches::layers(&self.0.exchange.headers).into_iter().map(|layer| {
            let mut map = Map::new();
            map.insert("name".into(), layer.name.into());
            map.insert("outcome".into(), layer.outcome.word().into());
            map.insert("detail".into(), layer.detail.into());
            Dynamic::from_map(map)
        });
        layers.collect()
    }

    /// What is left of it where only plain values can be kept, as what `setup` returns: `url`, `status`, `headers` (those that
    /// come several times as arrays) and `body`, a text; `()` where it can't be decompressed.
    #[must_use]
    pub fn to_map(&self) -> Map {
        let exchange = self.exchange();
        let mut headers = Map::new();
        for name in exchange.headers.keys() {
            let mut values: rhai::Array =
                exchange.headers.get_all(name).iter().map(|value| text_of(value).into()).collect();
            let value = if values.len() == 1 { values.remove(0) } else { values.into() };
            headers.insert(name.as_str().into(), value);
        }
        let mut map = Map::new();
        map.insert("url".into(), exchange.url.as_str().into());
        map.insert("status".into(), i64::from(exchange.status).into());
        map.insert("headers".into(), headers.into());
        map.insert("body".into(), self.text().map_or(Dynamic::UNIT, Into::into));
        map
    }

    fn request(&self) -> Map {
        let exchange = &self.0.exchange;
        let mut headers = Map::new();
        for (name, value) in &self.0.echo.headers {
            headers.insert(name.as_str().into(), String::from_utf8_lossy(value.as_bytes()).into_owned().into());
        }
        let mut map = Map::new();
        map.insert("method".into(), exchange.method.as_str().into());
        map.insert("url".into(), exchange.url.as_str().into());
        map.insert("headers".into(), headers.into());
        map.insert("body".into(), String::from_utf8_lossy(&self.0.echo.body).into_owned().into());
        map
    }
}

impl Headers {
    fn get(&self, name: &str) -> Dynamic {
        self.0.exchange.headers.get(name).map_or(Dynamic::UNIT, |value| text_of(value).into())
    }

    fn all(&self, name: &str) -> rhai::Array {
        self.0.exchange.headers.get_all(name).iter().map(|value| text_of(value).into()).collect()
    }

    fn names(&self) -> rhai::Array {
        self.0.exchange.headers.keys().map(|name| name.as_str().into()).collect()
    }
}

fn text_of(value: &::http::HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn millis_or_zero(duration: Option<Duration>) -> f64 {
    duration.map_or(0.0, millis)
}

/// What a script reads of a response, by the name of the property.
#[must_use]
pub fn property(name: &str) -> Option<Property> {
    PROPERTIES.iter().find(|(known, _)| *known == name).map(|(_, read)| *read)
}

/// Reads a property.
pub type Property = fn(&Response) -> HostResult<Dynamic>;

const PROPERTIES: &[(&str, Property)] = &[
    ("status", |r| Ok(i64::from(r.0.exchange.status).into())),
    ("status_text", |r| {
        let status = ::http::StatusCode::from_u16(r.0.exchange.status).ok();
        Ok(status.and_then(|status| status.canonical_reason()).unwrap_or_default().into())
    }),
    ("ok", |r| Ok(r.is_ok().into())),
    ("expected", |r| Ok(r.0.expected.into())),
    ("body", |r| Ok(r.text()?.into())),
    ("bytes", |r| Ok(Dynamic::from_blob(r.body()?.to_vec()))),
    ("size", |r| Ok(r.size().into())),
    ("digest", |r| Ok(r.0.exchange.taken.as_ref().map_or("", |taken| &taken.digest).into())),
    ("saved", |r| Ok(r.0.exchange.taken.as_ref().map_or("", |taken| &taken.saved).into())),
    ("headers", |r| Ok(Dynamic::from(Headers(r.0.clone())))),
    ("cookies", |r| Ok(r.cookies().into())),
    ("caches", |r| Ok(r.caches().into())),
    ("timings", |r| Ok(Dynamic::from(Phases(r.0.clone())))),
    ("duration", |r| Ok(Dynamic::from(r.0.exchange.timings.duration()))),
    ("url", |r| Ok(r.0.exchange.url.as_str().into())),
    ("redirects", |r| Ok((r.0.redirects as i64).into())),
    ("attempts", |r| Ok(i64::from(r.0.attempts.get()).into())),
    ("proto", |r| Ok(r.0.exchange.protocol.unwrap_or_default().into())),
    ("tls_version", |r| Ok(r.0.exchange.tls_version.unwrap_or_default().into())),
    ("remote_ip", |r| Ok(r.0.exchange.remote.map_or_else(String::new, |remote| remote.ip().to_string()).into())),
    ("remote_port", |r| Ok(r.0.exchange.remote.map_or(0, |remote| i64::from(remote.port())).into())),
    ("reused", |r| Ok(r.0.exchange.reused.into())),
    ("error", |r| Ok(r.0.exchange.error.as_ref().map_or("", |error| error.detail.as_str()).into())),
    ("error_code", |r| Ok(i64::from(super::error_code(&r.0.exchange)).into())),
    ("request", |r| Ok(Dynamic::from(r.request()))),
];

/// Registers the types of responses.
pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Response>("Response");
    for (name, read) in PROPERTIES {
        engine.register_get(name, |r: &mut Response| read(r));
    }
    let paths = JsonPaths::default();
    engine.register_fn("json", |r: &mut Response| r.json());
    engine.register_fn("json", move |r: &mut Response, path: ImmutableString| r.json_at(&paths, &path));
    engine.register_fn("xml", |r: &mut Response| r.xml());
    engine.register_fn("decode", |r: &mut Response, charset: ImmutableString| r.text_in(&charset));
    let patterns = Patterns::default();
    let all = patterns.clone();
    engine.register_fn("find", move |r: &mut Response, pattern: ImmutableString| patterns.first(&r.text()?, &pattern));
    engine.register_fn("find_all", move |r: &mut Response, pattern: ImmutableString| all.all(&r.text()?, &pattern));
    engine.register_fn("to_string", |r: &mut Response| {
        format!("{} {} -> {}", r.0.exchange.method, r.0.exchange.url, r.0.exchange.status)
    });

    engine.register_type_with_name::<Headers>("Headers");
    engine.register_indexer_get(|h: &mut Headers, name: ImmutableString| h.get(&name));
    engine.register_fn("get", |h: &mut Headers, name: ImmutableString| h.get(&name));
    engine.register_fn("get_all", |h: &mut Headers, name: ImmutableString| h.all(&name));
    engine.register_fn("contains", |h: &mut Headers, name: ImmutableString| {
        h.0.exchange.headers.contains_key(name.as_str())
    });
    engine.register_fn("keys", |h: &mut Headers| h.names());

    engine.register_type_with_name::<Phases>("Timings");
    engine.register_get("duration", |p: &mut Phases| millis(p.0.exchange.timings.duration()));
    engine.register_get("blocked", |p: &mut Phases| millis(p.0.exchange.timings.blocked));
    engine.register_get("looking_up", |p: &mut Phases| millis_or_zero(p.0.exchange.timings.looking_up));
    engine.register_get("connecting", |p: &mut Phases| millis_or_zero(p.0.exchange.timings.connecting));
    engine.register_get("tls_handshaking", |p: &mut Phases| millis_or_zero(p.0.exchange.timings.tls_handshaking));
    engine.register_get("sending", |p: &mut Phases| millis(p.0.exchange.timings.sending));
    engine.register_get("waiting", |p: &mut Phases| millis(p.0.exchange.timings.waiting));
    engine.register_get("receiving", |p: &mut Phases| millis(p.0.exchange.timings.receiving));
}
