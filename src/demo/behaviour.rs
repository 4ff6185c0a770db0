//! Routes that behave in a chosen way: slow, failing, redirecting, compressed, cached, large. Also health and metrics.

use std::hash::Hasher as _;
use std::sync::LazyLock;
use std::time::Duration;

use rustc_hash::FxHasher;

use super::catalogue::gzip;
use super::response::{JSON, Reply, Response, error_body};
use super::routes::Call;
use super::stats;

/// The longest delay that can be asked for, in milliseconds.
const DELAY_MAX_MS: u64 = 60_000;

/// The most redirects in a row.
const REDIRECTS_MAX: u32 = 1000;

/// The longest body that can be asked for.
const BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// How long a cached page stays fresh unless the request says otherwise, in seconds.
const MAX_AGE_S: u64 = 60;

/// `GET /health`: the cheapest answer there is.
pub(super) fn health(_: &Call<'_>, response: Response<'_>) -> Reply {
    response.json(200, br#"{"status":"ok"}"#)
}

/// `GET /metrics`: what the server counts, as Prometheus reads it.
pub(super) fn metrics(call: &Call<'_>, response: Response<'_>) -> Reply {
    response.send(200, "text/plain; version=0.0.4; charset=utf-8", stats::prometheus(call.shop))
}

/// `GET /redirect/{n}`: so many redirects, then 200.
pub(super) fn redirect(call: &Call<'_>, response: Response<'_>) -> Reply {
    match call.parameter.parse::<u32>() {
        Ok(0) => response.json(200, br#"{"redirected":true}"#),
        Ok(n) if n <= REDIRECTS_MAX => response.redirect(302, &format!("/redirect/{}", n - 1)),
        _ => response.error(400, &format!("`/redirect/{{n}}` takes a number up to {REDIRECTS_MAX}")),
    }
}

/// `/redirect-to?url=&status=`: one redirect to a place of choice.
pub(super) fn redirect_to(call: &Call<'_>, response: Response<'_>) -> Reply {
    let Some(url) = call.request.query_value("url") else { return response.error(400, "`url` is missing") };
    // Decoding may have brought line breaks back, which would be headers of their own.
    if url.is_empty() || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return response.error(400, "`url` must be visible ASCII characters");
    }
    match call.request.query_number("status", 302u16) {
        Ok(status @ (301 | 302 | 303 | 307 | 308)) => response.redirect(status, &url),
        Ok(status) => response.error(400, &format!("`status` must be 301, 302, 303, 307 or 308, found {status}")),
        Err(message) => response.error(400, &message),
    }
}

/// `GET /gzip`: JSON that is compressed whether or not that was asked for.
pub(super) fn compressed(_: &Call<'_>, response: Response<'_>) -> Reply {
    static BODY: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let text = "the quick brown fox jumps over the lazy dog ".repeat(40);
        gzip(serde_json::json!({ "gzipped": true, "text": text.trim_end() }).to_string().as_bytes())
    });
    response.begin(200).header("Content-Encoding", "gzip").body(JSON, BODY.as_slice())
}

/// `GET /cache/{key}?max_age=&miss_ms=&edge_age=`: a page behind a cache. The first request for a key is a miss, and takes
/// `miss_ms` longer; those of the next `max_age` seconds are hits. A client that has it already gets 304. With `edge_age` there
/// is another cache before it, where a page stays fresh for so long.
pub(super) fn cached(call: &Call<'_>, response: Response<'_>) -> Reply {
    let max_age_s = call.request.query_number("max_age", MAX_AGE_S);
    let edge_age_s = call.request.query_value("edge_age").map(|_| call.request.query_number("edge_age", MAX_AGE_S));
    let numbers = max_age_s.and_then(|age| Ok((age, delay(call, "miss_ms", 0)?, edge_age_s.transpose()?)));
    let (max_age_s, miss, edge_age_s) = match numbers {
        Ok(numbers) => numbers,
        Err(message) => return response.error(400, &message),
    };
    let key = hash(call.parameter.as_bytes());

    // The age of what a cache has; where that is none, or too old, it has it anew from now on.
    let look = |key: u64, max_age_s: u64| {
        let age = call.shop.cached.with(key, |made| call.now.saturating_duration_since(*made).as_secs());
        let fresh = age.filter(|age_s| *age_s < max_age_s);
        if fresh.is_none() {
            call.shop.cached.insert(key, call.now);
        }
        fresh
    };
    let edge = edge_age_s.map(|edge_age_s| (edge_age_s, look(!key, edge_age_s)));
    let status = |name: &str, fresh: Option<u64>, max_age_s: u64| match fresh {
        Some(age_s) => format!("{name}; hit; ttl={}", max_age_s - age_s),
        None => format!("{name}; fwd=miss; stored"),
    };
    // What the edge has does not get to the cache behind it.
    let (fresh, layers) = match edge {
        Some((edge_age_s, Some(age_s))) => (Some(age_s), status("edge", Some(age_s), edge_age_s)),
        Some((edge_age_s, None)) => {
            let shield = look(key, max_age_s);
            (shield, format!("{}, {}", status("shield", shield, max_age_s), status("edge", None, edge_age_s)))
        }
        None => {
            let shield = look(key, max_age_s);
            (shield, status("shield", shield, max_age_s))
        }
    };
    let (state, age_s, wait) = match fresh {
        Some(age_s) => ("HIT", age_s, Duration::ZERO),
        None => ("MISS", 0, miss),
    };
    let etag = format!("\"{key:016x}\"");
    let asked = call.request.if_none_match;
    let known = asked.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag);
    let begun = response
        .begin(if known { 304 } else { 200 })
        .header("Cache-Control", &format!("public, max-age={max_age_s}"))
        .header("ETag", &etag)
        .header("Age", &age_s.to_string())
        .header("X-Cache", state)
        .header("Cache-Status", &layers);
    let reply = if known {
        begun.empty()
    } else {
        begun.body(JSON, serde_json::json!({ "key": call.parameter, "cache": state, "age": age_s }).to_string())
    };
    reply.after(wait)
}

/// A key of a store from what visitors call it.
pub(super) fn hash(name: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    hasher.finish()
}

/// `/slow?ms=&jitter=`: an answer that takes its time.
pub(super) fn slow(call: &Call<'_>, response: Response<'_>) -> Reply {
    let wait =
        delay(call, "ms", 100).and_then(|ms| Ok(ms + delay(call, "jitter", 0)?.mul_f64(call.shop.dice.fraction())));
    match wait {
        Ok(wait) => response.json(200, format!(r#"{{"delay_ms":{:.3}}}"#, wait.as_secs_f64() * 1e3)).after(wait),
        Err(message) => response.error(400, &message),
    }
}

/// A delay in milliseconds from the query.
fn delay(call: &Call<'_>, name: &str, default_ms: u64) -> Result<Duration, String> {
    match call.request.query_number(name, default_ms)? {
        ms if ms <= DELAY_MAX_MS => Ok(Duration::from_millis(ms)),
        ms => Err(format!("`{name}` must be at most {DELAY_MAX_MS}, found {ms}")),
    }
}

/// `/flaky?rate=&status=&fails=&key=&retry_after=`: fails now and then, or so many times for each key; it may say when to
/// come back.
pub(super) fn flaky(call: &Call<'_>, response: Response<'_>) -> Reply {
    let request = call.request;
    let numbers = || {
        let rate = request.query_number("rate", if request.query_value("fails").is_some() { 0.0 } else { 0.1f64 })?;
        let (status, fails) = (request.query_number("status", 503u16)?, request.query_number("fails", 0u32)?);
        let retry_after_s = request.query_value("retry_after").map(|_| request.query_number("retry_after", 0u32));
        if !(0.0..=1.0).contains(&rate) {
            return Err("`rate` must be from 0 to 1".to_owned());
        }
        if !(400..600).contains(&status) {
            return Err("`status` must be from 400 to 599".to_owned());
        }
        Ok((rate, status, fails, retry_after_s.transpose()?))
    };
    let (rate, status, fails, retry_after_s) = match numbers() {
        Ok(numbers) => numbers,
        Err(message) => return response.error(400, &message),
    };
    let failed_before = |key: &str| {
        let key = hash(key.as_bytes());
        let count = |failures: &mut u32| std::mem::replace(failures, failures.saturating_add(1));
        call.shop.failures.with(key, count).unwrap_or_else(|| {
            call.shop.failures.insert(key, 1);
            0
        })
    };
    let fails_now = fails > 0 && failed_before(&request.query_value("key").unwrap_or_default()) < fails;
    if !fails_now && !call.shop.dice.chance(rate) {
        return response.json(200, br#"{"ok":true}"#);
    }
    let begun = response.begin(status);
    let begun = match retry_after_s {
        Some(seconds) => begun.header("Retry-After", &seconds.to_string()),
        None => begun,
    };
    begun.body(JSON, error_body("this error was asked for (flaky)"))
}

/// `/status/{code}`: a status of choice.
pub(super) fn status(call: &Call<'_>, response: Response<'_>) -> Reply {
    match call.parameter.parse::<u16>() {
        Ok(status @ (204 | 304)) => response.begin(status).empty(),
        Ok(status @ (301 | 302 | 303 | 307 | 308)) => response.redirect(status, "/health"),
        Ok(401) => response.begin(401).header("WWW-Authenticate", "Bearer").body(JSON, br#"{"status":401}"#),
        Ok(status @ 200..=599) => response.json(status, format!(r#"{{"status":{status}}}"#)),
        _ => response.error(400, "`/status/{code}` takes a number from 200 to 599"),
    }
}

/// `GET /bytes/{n}`: a body of so many bytes.
pub(super) fn bytes(call: &Call<'_>, response: Response<'_>) -> Reply {
    match call.parameter.parse::<u64>() {
        Ok(length) if length <= BYTES_MAX => response.begin(200).filler(length),
        _ => response.error(400, &format!("`/bytes/{{n}}` takes a number up to {BYTES_MAX}")),
    }
}
