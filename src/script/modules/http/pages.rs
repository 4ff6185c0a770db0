//! What visitors do with a page: look at it, send its forms, follow its links.

use ::http::header::CONTENT_TYPE;
use rhai::{Array, Dynamic, Engine, ImmutableString, Map};
use url::Url;

use super::client::HttpClient;
use super::request::{BodyKind, HttpBody};
use super::{Response, ScriptResult, send};
use crate::net::body::Multipart;
use crate::script::bridge::on_worker_stack;
use crate::script::context::HostContext;
use crate::script::error::host_error;
use crate::script::modules::args;
use crate::script::modules::html::form::{Encoding, Form, Method, Value};
use crate::script::modules::html::selection::{Selection, Selectors};

/// Registers what responses with pages can do.
pub fn register(engine: &mut Engine, context: &HostContext) {
    let selectors = Selectors::default();
    engine.register_fn("html", |r: &mut Response| r.html());
    let host = context.clone();
    let (mine, theirs) = (selectors.clone(), selectors.clone());
    // These wait: they take the response by value, so that nothing stays locked meanwhile.
    engine.register_fn("submit_form", move |r: Response| submit(&host, &mine, &r, Map::new()));
    let host = context.clone();
    engine.register_fn("submit_form", move |r: Response, options: Map| submit(&host, &theirs, &r, options));
    let host = context.clone();
    engine.register_fn("follow_link", move |r: Response, options: Map| follow(&host, &selectors, &r, options));
}

/// The settings of a function, with what they are by default.
fn settings(given: Map, defaults: &[(&str, Dynamic)], function: &str) -> ScriptResult<Map> {
    let defaults = defaults.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
    args::options(given.into(), defaults, function)
}

/// The text of a setting; none where it was left out.
fn text(settings: &Map, name: &str, function: &str) -> ScriptResult<Option<ImmutableString>> {
    let value = settings.get(name).cloned().unwrap_or_default();
    if value.is_unit() {
        return Ok(None);
    }
    let found = value.type_name();
    let wrong = || host_error(format!("`{function}`: `{name}` must be a text, this is {found}"));
    value.clone().into_immutable_string().map(Some).map_err(|_| wrong())
}

fn map(settings: &mut Map, name: &str) -> Map {
    settings.get_mut(name).map(std::mem::take).and_then(Dynamic::try_cast).unwrap_or_default()
}

/// What addresses in a page start from: its own, or what its `<base>` says.
fn base_of(response: &Response, page: &Selection, selectors: &Selectors) -> ScriptResult<Url> {
    let own: &Url = &response.exchange().url;
    let base = page.select(selectors, "base[href]")?;
    let href = base.elements().next().and_then(|base| base.attr("href").map(str::to_owned));
    Ok(href.and_then(|href| own.join(href.trim()).ok()).unwrap_or_else(|| own.clone()))
}

fn resolved(base: &Url, reference: &str, what: &str) -> ScriptResult<Url> {
    let url = base.join(reference).map_err(|error| host_error(format!("{what} `{reference}`: {error}")))?;
    if matches!(url.scheme(), "http" | "https") {
        return Ok(url);
    }
    Err(host_error(format!("{what} `{reference}` leads to no page: it is no `http` or `https` URL")))
}

/// Parameters with the page as their `Referer`, as browsers send it: only its origin to other sites.
fn with_referer(mut params: Map, response: &Response, to: &Url) -> Map {
    let mut from = Url::clone(&response.exchange().url);
    from.set_fragment(None);
    if from.scheme() == "https" && to.scheme() == "http" {
        return params;
    }
    if from.origin() != to.origin() {
        from.set_path("/");
        from.set_query(None);
    }
    let headers = params.entry("headers".into()).or_insert_with(|| Map::new().into());
    if let Some(mut headers) = headers.write_lock::<Map>()
        && !headers.keys().any(|name| name.eq_ignore_ascii_case("referer"))
    {
        headers.insert("Referer".into(), from.as_str().into());
    }
    params
}

const SUBMIT: &str = "response.submit_form";
const FOLLOW: &str = "response.follow_link";

#[inline(never)]
fn submit(host: &HostContext, selectors: &Selectors, response: &Response, options: Map) -> ScriptResult<Response> {
    let defaults = [
        ("selector", "form".into()),
        ("fields", Map::new().into()),
        ("extra", Map::new().into()),
        ("submit", Dynamic::UNIT),
        ("params", Map::new().into()),
    ];
    let mut settings = settings(options, &defaults, SUBMIT)?;
    let page = response.html()?;
    let (form, url) = on_worker_stack(|| -> ScriptResult<_> {
        let css = text(&settings, "selector", SUBMIT)?.unwrap_or_default();
        let chosen = page.select(selectors, &css)?;
        let missing = || {
            let exchange = response.exchange();
            host_error(format!("the page {} (status {}) has no form `{css}`", exchange.url, exchange.status))
        };
        let mut form = chosen.form().ok_or_else(missing)?;
        let button = match text(&settings, "submit", SUBMIT)? {
            None => None,
            Some(css) => {
                let found = page.select(selectors, &css)?;
                let button = found.elements().next().map(|button| button.id());
                Some(button.ok_or_else(|| host_error(format!("the page has no button `{css}`")))?)
            }
        };
        form.press(button)?;
        form.fill(map(&mut settings, "fields"))?;
        let base = base_of(response, &page, selectors)?;
        // An empty action is the page's own address, whatever its base is.
        let base = if form.action.is_empty() { Url::clone(&response.exchange().url) } else { base };
        let url = resolved(&base, &form.action, "the form's action")?;
        Ok((form, url))
    })?;
    let mut sent = form.sent();
    for (name, value) in map(&mut settings, "extra") {
        sent.retain(|(known, _)| known != name.as_str());
        let several = match value.flatten().try_cast_result::<Array>() {
            Ok(array) => array,
            Err(one) => vec![one],
        };
        sent.extend(several.into_iter().map(|value| {
            let value = match value.try_cast_result::<HttpBody>() {
                Ok(file) => Value::File(file),
                Err(value) => Value::Text(value.to_string()),
            };
            (name.to_string(), value)
        }));
    }
    let params = with_referer(map(&mut settings, "params"), response, &url);
    request(host, response.client(), &form, url, sent, params)
}

fn request(
    host: &HostContext,
    client: Option<&HttpClient>,
    form: &Form,
    mut url: Url,
    sent: Vec<(String, Value)>,
    mut params: Map,
) -> ScriptResult<Response> {
    let pairs = || sent.iter().map(|(name, value)| (name.as_str(), plain(value)));
    let (method, body) = match form.method {
        Method::Dialog => {
            return Err(host_error("the form closes a dialogue: its method is `dialog`, nothing is sent"));
        }
        Method::Get => {
            url.set_query(None);
            if !sent.is_empty() {
                url.query_pairs_mut().extend_pairs(pairs());
            }
            (::http::Method::GET, Dynamic::UNIT)
        }
        Method::Post => (
            ::http::Method::POST,
            match form.encoding {
                Encoding::Url => {
                    let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs()).finish();
                    body(BodyKind::Bytes(text.into(), "application/x-www-form-urlencoded"))
                }
                Encoding::Plain => {
                    let text: String = pairs().map(|(name, value)| format!("{name}={value}\r\n")).collect();
                    if let Some(mut headers) = params.get_mut("headers").and_then(|headers| headers.write_lock::<Map>())
                    {
                        headers.entry(CONTENT_TYPE.as_str().into()).or_insert_with(|| "text/plain".into());
                    }
                    text.into()
                }
                Encoding::Multipart => {
                    let mut multipart = Multipart::new(host.vu().rng.borrow_mut().u64(..));
                    for (name, value) in &sent {
                        match value {
                            Value::Text(text) => multipart.text(name, text),
                            Value::NoFile => multipart.bytes(name, "", None, bytes::Bytes::new()),
                            Value::File(file) => {
                                super::form::field(&mut multipart, name, &Dynamic::from(file.clone()))?
                            }
                        }
                    }
                    body(BodyKind::Multipart(multipart.into()))
                }
            },
        ),
    };
    send(host, client, method, url.as_str(), body, params.into())
}

fn body(kind: BodyKind) -> Dynamic {
    Dynamic::from(HttpBody(kind.into()))
}

/// A field where no files can go: of a file its name, as browsers have it.
fn plain(value: &Value) -> std::borrow::Cow<'_, str> {
    match value {
        Value::Text(text) => text.into(),
        Value::NoFile => "".into(),
        Value::File(file) => match &*file.0 {
            BodyKind::File { path, .. } => path.file_name().unwrap_or_default().to_string_lossy(),
            _ => "".into(),
        },
    }
}

#[inline(never)]
fn follow(host: &HostContext, selectors: &Selectors, response: &Response, options: Map) -> ScriptResult<Response> {
    let defaults = [("selector", "a[href], area[href]".into()), ("text", Dynamic::UNIT), ("params", Map::new().into())];
    let mut settings = settings(options, &defaults, FOLLOW)?;
    let page = response.html()?;
    let url = on_worker_stack(|| {
        let css = text(&settings, "selector", FOLLOW)?.unwrap_or_default();
        let wanted = text(&settings, "text", FOLLOW)?;
        let links = page.select(selectors, &css)?;
        let link = match &wanted {
            None => links.at(0),
            Some(wanted) => {
                let says = |link: &Selection| link.text().contains(wanted.as_str());
                links.into_iter().find(says).unwrap_or_else(|| page.at(1))
            }
        };
        let exchange = response.exchange();
        let Some(element) = link.elements().next() else {
            let told = wanted.map_or_else(String::new, |wanted| format!(" that says `{wanted}`"));
            let (url, status) = (&exchange.url, exchange.status);
            return Err(host_error(format!("the page {url} (status {status}) has no link `{css}`{told}")));
        };
        let Some(href) = element.attr("href") else {
            return Err(host_error(format!("`{css}` is no link: the `<{}>` has no `href`", element.value().name())));
        };
        resolved(&base_of(response, &page, selectors)?, href.trim(), "the link")
    })?;
    let params = with_referer(map(&mut settings, "params"), response, &url);
    send(host, response.client(), ::http::Method::GET, url.as_str(), Dynamic::UNIT, params.into())
}
