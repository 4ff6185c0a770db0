//! Routes that tell a client what it sent, and set cookies of its choice.

use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::request::Request;
use super::response::{Reply, Response};
use super::routes::Call;

/// The most cookies that one request may set.
const COOKIES_MAX: usize = 50;

/// Names and values as an object; values of one name are joined, as a list header's may be.
fn object<N: AsRef<str>, V: AsRef<str>>(pairs: impl Iterator<Item = (N, V)>) -> Value {
    let mut map = Map::new();
    for (name, value) in pairs {
        match map.get_mut(name.as_ref()) {
            Some(Value::String(before)) => {
                before.push_str(", ");
                before.push_str(value.as_ref());
            }
            _ => drop(map.insert(name.as_ref().to_owned(), value.as_ref().into())),
        }
    }
    Value::Object(map)
}

/// Headers with their names in lower case.
fn headers_object(request: &Request<'_>) -> Value {
    object(
        request.headers.iter().map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value))),
    )
}

/// `GET /headers`: the request's headers.
pub(super) fn headers(call: &Call<'_>, response: Response<'_>) -> Reply {
    response.json(200, json!({ "headers": headers_object(call.request) }).to_string())
}

/// `/anything`: all of the request.
pub(super) fn anything(call: &Call<'_>, response: Response<'_>) -> Reply {
    let request = call.request;
    let pairs = |encoded| object(form_urlencoded::parse(encoded));
    let answer = json!({
        "method": request.method,
        "path": request.path,
        "query": pairs(request.query.as_bytes()),
        "headers": headers_object(request),
        "body": String::from_utf8_lossy(call.body),
        "bytes": call.body.len(),
        "json": serde_json::from_slice::<Value>(call.body).unwrap_or(Value::Null),
        "form": if request.is_form() { pairs(call.body) } else { Value::Null },
    });
    response.json(200, answer.to_string())
}

/// `GET /cookies`: the request's cookies.
pub(super) fn cookies(call: &Call<'_>, response: Response<'_>) -> Reply {
    response.json(200, json!({ "cookies": object(call.request.cookie_pairs()) }).to_string())
}

/// `GET /cookies/set?name=value&…`: sets cookies, then sends the client to look at them.
pub(super) fn set_cookies(call: &Call<'_>, response: Response<'_>) -> Reply {
    // What RFC 6265 allows in a name or value; anything else could end the cookie or the header.
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",;\\=".contains(&byte));
    let pairs: Vec<_> = form_urlencoded::parse(call.request.query.as_bytes()).take(COOKIES_MAX + 1).collect();
    if pairs.is_empty() || pairs.len() > COOKIES_MAX {
        return response.error(400, &format!("one to {COOKIES_MAX} cookies are set at once: `?name=value`"));
    }
    if let Some((name, _)) = pairs.iter().find(|(name, value)| name.is_empty() || !plain(name) || !plain(value)) {
        return response.error(400, &format!("the cookie `{name}` has characters that a cookie cannot have"));
    }
    let begun = response.begin(302).header("Location", "/cookies");
    pairs
        .iter()
        .fold(begun, |begun, (name, value)| begun.header("Set-Cookie", &format!("{name}={value}; Path=/")))
        .empty()
}
