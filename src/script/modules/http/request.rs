//! From what a script says to a request: the URL, the body, the parameters.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use ::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use ::http::{HeaderMap, Method};
use bytes::Bytes;
use rhai::{Array, Blob, Dynamic, EvalAltResult, ImmutableString, Map};
use smallvec::SmallVec;

use super::client::HttpClient;
use super::jar::CookieJar;
use super::retries::Retries;
use super::stream::StreamOf;
use super::transfer;
use crate::net;
use crate::net::body::{Body, Multipart};
use crate::net::cookies::RequestCookie;
use crate::net::generated::Generated;
use crate::net::pack::Coding;
use crate::plan::{HttpOptions, HttpVersion};
use crate::script::bridge;
use crate::script::context::{HostContext, Phase};
use crate::script::error::host_error;
use crate::script::fixed::{FixedMap, Labels};
use crate::script::json_value;
use crate::script::modules::check::tag_set;
use crate::units;

type ScriptResult<T> = Result<T, Box<EvalAltResult>>;

/// A body that needs more than a text: made by `http::form`, `http::json`, `http::multipart`, `http::file`.
#[derive(Clone, Debug)]
pub struct HttpBody(pub Rc<BodyKind>);

/// What an [`HttpBody`] is.
#[derive(Debug)]
pub enum BodyKind {
    /// Bytes of a content type.
    Bytes(Bytes, &'static str),
    /// A multipart form.
    Multipart(Rc<Multipart>),
    /// A file on disk.
    File {
        /// Where it is.
        path: Rc<Path>,
        /// Its content type, if the script gave one.
        content_type: Option<ImmutableString>,
    },
    /// Bytes that are made while they are sent.
    Generated(Rc<Generated>),
    /// A part of a form, with a name and a type of its own.
    Part {
        /// What it holds: a text, a blob, or another body.
        content: Dynamic,
        /// What its file is called.
        file_name: Option<ImmutableString>,
        /// What it says it is.
        content_type: Option<ImmutableString>,
    },
}

/// Which statuses a request expects.
#[derive(Clone, Debug)]
pub enum Expected {
    /// 200 to 399, as in k6.
    Default,
    /// These ranges, ends included.
    Statuses(SmallVec<[(u16, u16); 2]>),
}

impl Expected {
    /// Whether a status is one of them.
    #[must_use]
    pub fn holds(&self, status: u16) -> bool {
        match self {
            Self::Default => (200..400).contains(&status),
            Self::Statuses(ranges) => ranges.iter().any(|&(low, high)| (low..=high).contains(&status)),
        }
    }
}

/// A request that is ready to be made, and how it is to be recorded.
#[derive(Clone)]
pub struct Prepared {
    /// Who makes it; none for its virtual user's own client.
    pub client: Option<Rc<net::http::Client>>,
    /// The request.
    pub request: Box<net::http::Request>,
    /// The number of its name.
    pub name: u32,
    /// Whether the script gave the name.
    pub named: bool,
    /// The number of its set of tags.
    pub tags: u32,
    /// The statuses that it expects.
    pub expected: Expected,
    /// Whether a failure is an exception.
    pub throw: bool,
    /// Whether, when and how often it is tried again.
    pub retries: Option<Rc<Retries>>,
    /// How its body is compressed.
    pub compression: Vec<Coding>,
    /// The stream that it is for; none where its response is wanted whole.
    pub stream: Option<StreamOf>,
}

impl Prepared {
    /// A request of which nothing has been said yet.
    #[must_use]
    pub fn new(request: Box<net::http::Request>, options: &HttpOptions) -> Self {
        Self {
            client: None,
            request,
            name: 0,
            named: false,
            tags: 0,
            expected: Expected::Default,
            throw: options.throw,
            retries: None,
            compression: Vec::new(),
            stream: None,
        }
    }
}

/// Builds a request, of a client of the script's or, where there is none, of the global functions. Its parameters are a
/// map, or a [`FixedMap`], or nothing.
///
/// # Errors
/// When the URL, the body or a parameter is not what it must be.
pub fn prepare(
    host: &HostContext,
    client: Option<&HttpClient>,
    method: Method,
    url: &str,
    body: Dynamic,
    params: Dynamic,
) -> ScriptResult<Prepared> {
    let mut prepared = match client {
        None => plain(host, method, url)?,
        Some(client) => client.prepared(host, method, url)?,
    };
    if !body.is_unit() {
        let (body, content_type) = body_of(&body)?;
        prepared.request.body = body;
        // What a client says of all its bodies counts more than what is usual for them.
        if let (Some(content_type), false) = (content_type, prepared.request.headers.contains_key(CONTENT_TYPE)) {
            prepared.request.headers.insert(CONTENT_TYPE, content_type);
        }
    }
    if let Some(fixed) = params.read_lock::<FixedMap>() {
        apply_fixed(host, &fixed, &mut prepared)?;
    } else if let Some(params) = params.try_cast::<Map>() {
        apply(host, client, params, &mut prepared)?;
    }
    // Last, for it comes on top of a type and an encoding that the headers give.
    transfer::compress(&prepared.compression, &mut prepared.request)?;
    Ok(prepared)
}

fn plain(host: &HostContext, method: Method, url: &str) -> ScriptResult<Prepared> {
    let (Some(http), Some((_, series))) = (host.http(), host.recording()) else {
        return Err(bridge::WaitError::NoTask.into_script_error("make a request"));
    };
    let known =
        series.borrow_mut().url(url, |text| http.network.target(text)).map_err(|error| host_error(error.detail))?;
    let mut prepared = Prepared::new(net::http::Request::new(method, known.target), &http.options);
    prepared.name = known.name;
    Ok(prepared)
}

/// The parameters that a request takes.
pub const PARAMS: &[&str] = &[
    "name",
    "tags",
    "headers",
    "cookies",
    "jar",
    "timeout",
    "redirects",
    "http_version",
    "expected",
    "auth",
    "throws",
    "retries",
    "chunked",
    "compression",
    "expect_continue",
    "bandwidth",
    "response",
    "discard_body",
    "max_body",
    "save_to",
    "digest",
    "unix_socket",
];

/// Applies parameters that are the same each time to a request of the global functions.
fn apply_fixed(host: &HostContext, fixed: &FixedMap, prepared: &mut Prepared) -> ScriptResult<()> {
    if let Some(Labels { name, named, tags }) = fixed.labels() {
        (prepared.tags, prepared.named) = (tags, named);
        if named {
            prepared.name = name;
        }
        return Ok(());
    }
    apply(host, None, fixed.map().clone(), prepared)?;
    if fixed.map().keys().all(|key| matches!(key.as_str(), "name" | "tags")) {
        fixed.note(Labels { name: prepared.name, named: prepared.named, tags: prepared.tags });
    }
    Ok(())
}

/// Applies parameters to a request: over what its client says, where it has one.
pub(super) fn apply(
    host: &HostContext,
    client: Option<&HttpClient>,
    params: Map,
    prepared: &mut Prepared,
) -> ScriptResult<()> {
    for (key, value) in params {
        match key.as_str() {
            "name" => {
                let name = text("name", &value)?;
                let name = match client {
                    Some(client) => client.name(name),
                    None => name,
                };
                if let Some((_, series)) = host.recording() {
                    prepared.name = series.borrow_mut().name(&name);
                }
                prepared.named = true;
            }
            "tags" => {
                let tags = map("tags", value)?;
                let tags = match client {
                    Some(client) => client.tags(tags),
                    None => tags,
                };
                prepared.tags = tag_set(host, &tags)?;
            }
            "headers" => headers(&map("headers", value)?, &mut prepared.request.headers)?,
            "cookies" => {
                for (name, value) in map("cookies", value)? {
                    let cookie = request_cookie(&name, &value)?;
                    // What a request says counts more than what its client says of all.
                    prepared.request.cookies.retain(|known| known.name != cookie.name);
                    prepared.request.cookies.push(cookie);
                }
            }
            // As k6 has it: nothing instead of a jar means no cookies.
            "jar" if value.is_unit() => prepared.request.jar = Some(CookieJar::closed().0),
            "jar" => match value.try_cast_result::<CookieJar>() {
                Ok(jar) => prepared.request.jar = Some(jar.0),
                Err(value) => {
                    return Err(wrong("jar", "a cookie jar such as `http::new_jar()`, or `()` for no cookies", &value));
                }
            },
            "timeout" => prepared.request.timeout = Some(duration("timeout", &value)?),
            "redirects" => {
                let wanted = value.as_int().ok().and_then(|number| u32::try_from(number).ok());
                let Some(wanted) = wanted else {
                    return Err(wrong("redirects", "a number from 0", &value));
                };
                prepared.request.redirects = Some(wanted);
            }
            "http_version" => {
                let named = value.read_lock::<ImmutableString>().and_then(|text| HttpVersion::named(&text));
                let wanted = || wrong("http_version", "one of `auto`, `1.1`, `2`, `h2c`", &value);
                prepared.request.version = Some(named.ok_or_else(wanted)?);
            }
            "expected" => prepared.expected = expected(&value)?,
            "auth" => prepared.request.auth = Some(super::auth::auth(&value)?),
            "compression" => prepared.compression = transfer::codings(&value)?,
            "chunked" | "expect_continue" | "bandwidth" | "response" | "discard_body" | "max_body" | "save_to"
            | "digest" => {
                let Some(http) = host.http() else { continue };
                let options = client.map_or(&http.options, HttpClient::options);
                transfer::apply(&key, &value, options, &mut prepared.request)?;
            }
            "unix_socket" => {
                let path = text("unix_socket", &value)?;
                prepared.request.unix_socket = Some(Path::new(path.as_str()).into());
            }
            "throw" | "throws" => {
                prepared.throw = value.as_bool().map_err(|_| wrong("throw", "true or false", &value))?
            }
            "retries" => prepared.retries = Retries::from_value(&value)?.map(Rc::new),
            unknown => {
                let near = units::nearest(unknown, PARAMS.iter().copied());
                let hint = near.map_or_else(
                    || format!("a request takes {}", PARAMS.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(host_error(format!("a request has no parameter `{unknown}`: {hint}")));
            }
        }
    }
    Ok(())
}

pub(super) fn wrong(name: &str, wanted: &str, found: &Dynamic) -> Box<EvalAltResult> {
    host_error(format!("`{name}` must be {wanted}, this is {} `{found}`", found.type_name()))
}

pub(super) fn text(name: &str, value: &Dynamic) -> ScriptResult<ImmutableString> {
    value.clone().into_immutable_string().map_err(|_| wrong(name, "a text", value))
}

fn map(name: &str, value: Dynamic) -> ScriptResult<Map> {
    match value.try_cast_result::<Map>() {
        Ok(map) => Ok(map),
        Err(value) => Err(wrong(name, "a map", &value)),
    }
}

pub(super) fn duration(name: &str, value: &Dynamic) -> ScriptResult<Duration> {
    if let Some(duration) = value.read_lock::<Duration>() {
        return Ok(*duration);
    }
    // Numbers are milliseconds, as in k6.
    let millis = value.as_float().or_else(|_| value.as_int().map(|number| number as f64));
    if let Ok(millis) = millis {
        return Duration::try_from_secs_f64(millis / 1e3).map_err(|_| wrong(name, "a duration", value));
    }
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return units::parse_duration(&text).map_err(|error| host_error(format!("`{name}`: {error}")));
    }
    Err(wrong(name, "a duration such as `5.s`", value))
}

/// `"value"`; `()`: none of this name is sent; `#{ value, replace }`, where `replace: false` sends it beside that of the jar.
fn request_cookie(name: &str, value: &Dynamic) -> ScriptResult<RequestCookie> {
    let name = name.to_owned();
    let Some(map) = value.read_lock::<Map>() else {
        let text = (!value.is_unit()).then(|| value.to_string());
        return Ok(RequestCookie { name, value: text, beside: false });
    };
    if let Some(unknown) = map.keys().find(|key| !["value", "replace"].contains(&key.as_str())) {
        return Err(host_error(format!("cookie `{name}` of a request has `value` and `replace`, found `{unknown}`")));
    }
    let replace = match map.get("replace").filter(|replace| !replace.is_unit()) {
        None => true,
        Some(replace) => replace.as_bool().map_err(|_| wrong("replace", "true or false", replace))?,
    };
    match map.get("value") {
        Some(value) if !value.is_unit() => Ok(RequestCookie { name, value: Some(value.to_string()), beside: !replace }),
        _ => Err(host_error(format!("cookie `{name}` of a request needs `value`; to send none, write `{name}: ()`"))),
    }
}

fn headers(map: &Map, headers: &mut HeaderMap) -> ScriptResult<()> {
    for (name, value) in map {
        let header: HeaderName =
            name.parse().map_err(|_| host_error(format!("`{name}` can't be the name of a header")))?;
        let values = value.read_lock::<Array>().map(|array| array.to_vec()).unwrap_or_else(|| vec![value.clone()]);
        headers.remove(&header);
        for value in values.into_iter().filter(|value| !value.is_unit()) {
            let value = HeaderValue::from_str(&value.to_string()).map_err(|_| {
                host_error(format!("header `{name}` has a character that no header can carry: `{value}`"))
            })?;
            headers.append(header.clone(), value);
        }
    }
    Ok(())
}

fn expected(value: &Dynamic) -> ScriptResult<Expected> {
    let mut ranges = SmallVec::new();
    match value.read_lock::<Array>() {
        Some(array) => {
            for item in array.iter() {
                ranges.push(status_range(item)?);
            }
        }
        None => ranges.push(status_range(value)?),
    }
    Ok(Expected::Statuses(ranges))
}

pub(super) fn status_range(value: &Dynamic) -> ScriptResult<(u16, u16)> {
    let status = |number: i64| u16::try_from(number).ok();
    let range = if let Ok(number) = value.as_int() {
        status(number).map(|status| (status, status))
    } else if let Some(range) = value.read_lock::<std::ops::RangeInclusive<i64>>() {
        status(*range.start()).zip(status(*range.end()))
    } else if let Some(range) = value.read_lock::<std::ops::Range<i64>>() {
        status(range.start).zip(status(range.end - 1))
    } else {
        None
    };
    range.ok_or_else(|| {
        wrong("expected", "a status, a range of statuses such as `200..=299`, or an array of these", value)
    })
}

/// A body as scripts give it: a text, a blob, a map or an array (sent as JSON), or what the functions of this module make.
fn body_of(value: &Dynamic) -> ScriptResult<(Body, Option<HeaderValue>)> {
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok((Bytes::copy_from_slice(text.as_bytes()).into(), None));
    }
    if let Some(bytes) = value.read_lock::<Blob>() {
        let content_type = HeaderValue::from_static("application/octet-stream");
        return Ok((Bytes::copy_from_slice(&bytes).into(), Some(content_type)));
    }
    if let Some(body) = value.read_lock::<HttpBody>() {
        return Ok(match &*body.0 {
            BodyKind::Bytes(bytes, content_type) => {
                (bytes.clone().into(), Some(HeaderValue::from_static(content_type)))
            }
            BodyKind::Multipart(form) => (Body::Multipart(form.clone()), None),
            BodyKind::Generated(content) => {
                (Body::Generated(content.clone()), Some(HeaderValue::from_static("application/octet-stream")))
            }
            BodyKind::Part { .. } => {
                return Err(host_error("a part is no body of its own: put it into `http::multipart(#{ name: part })`"));
            }
            BodyKind::File { path, content_type } => {
                let content_type = content_type.as_ref().map_or_else(
                    || mime_guess::from_path(path).first_or_octet_stream().to_string(),
                    ToString::to_string,
                );
                (Body::File(path.clone()), HeaderValue::from_str(&content_type).ok())
            }
        });
    }
    if value.is_map() || value.is_array() {
        return Ok((json_bytes(value)?.into(), Some(HeaderValue::from_static("application/json"))));
    }
    Err(host_error(format!(
        "a body is a text, a blob, a map or an array (sent as JSON), or made by `http::form`, `http::json`, \
         `http::multipart` or `http::file`; this is {}",
        value.type_name()
    )))
}

fn json_bytes(value: &Dynamic) -> ScriptResult<Bytes> {
    let text = bridge::on_worker_stack(|| json_value::stringify(value.clone(), false));
    text.map(Bytes::from).map_err(|error| host_error(format!("a body can't be written as JSON: {error}")))
}

/// `http::json`.
///
/// # Errors
/// When the value holds what JSON can't.
pub fn json(value: &Dynamic) -> ScriptResult<HttpBody> {
    Ok(HttpBody(Rc::new(BodyKind::Bytes(json_bytes(value)?, "application/json"))))
}

/// `http::form`.
#[must_use]
pub fn form(fields: &Map) -> HttpBody {
    let mut out = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        match value.read_lock::<Array>() {
            Some(values) => {
                for value in values.iter() {
                    out.append_pair(name, &value.to_string());
                }
            }
            None => {
                out.append_pair(name, &value.to_string());
            }
        }
    }
    HttpBody(Rc::new(BodyKind::Bytes(out.finish().into(), "application/x-www-form-urlencoded")))
}

/// `http::file`: a path that starts beside the script.
///
/// # Errors
/// When there is no such file.
pub fn file(host: &HostContext, path: &str, content_type: Option<ImmutableString>) -> ScriptResult<HttpBody> {
    let full: PathBuf = host.shared().base_dir.join(path);
    // Under load that would be a lock for each request, and nobody asks which files there were.
    if host.phase() == Phase::Init || host.tracer().is_some() {
        host.shared().data.note(&full);
    }
    match std::fs::metadata(&full) {
        Ok(found) if found.is_file() => Ok(HttpBody(Rc::new(BodyKind::File { path: full.into(), content_type }))),
        Ok(_) => Err(host_error(format!("`{path}` is not a file"))),
        Err(error) => {
            Err(host_error(format!("can't send the file `{path}` (looked for `{}`): {error}", full.display())))
        }
    }
}
