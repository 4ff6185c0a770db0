//! What caches on the way say of a response: which had it, and which had not.
//!
//! `Cache-Status` (RFC 9211) is asked first, since it is a standard and tells of each cache. Where it is absent, the headers
//! that caches and content networks are known by; where none of them is there, an `Age` above 0 means that some shared cache
//! had it.

use http::HeaderMap;

/// What one cache did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLayer {
    /// How it is called: its own name where it gives one, else that of its kind: `cloudflare`, `varnish`, `x-cache`.
    pub name: String,
    /// Whether the response, or what it was made from, came out of it.
    pub outcome: Outcome,
    /// In its own words.
    pub detail: String,
}

/// Whether a cache had a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It had it. What it first asked the origin about, and found unchanged, counts too.
    Hit,
    /// It had not, or not fresh enough.
    Miss,
    /// It was told not to cache.
    Bypass,
}

impl Outcome {
    /// The word that scripts see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// Headers of one cache each, by the cache's kind; their value is a word that [`outcome`] knows.
const SINGLE: [(&str, &str); 12] = [
    ("cf-cache-status", "cloudflare"),
    ("x-vercel-cache", "vercel"),
    ("x-nextjs-cache", "nextjs"),
    ("cdn-cache", "bunny"),
    ("x-cache-status", "nginx"),
    ("x-proxy-cache", "proxy"),
    ("x-fastcgi-cache", "fastcgi"),
    ("x-litespeed-cache", "litespeed"),
    ("x-drupal-cache", "drupal"),
    ("x-drupal-dynamic-cache", "drupal-dynamic"),
    ("x-magento-cache-debug", "magento"),
    ("x-rack-cache", "rack"),
];

/// The most caches that one response is believed to have passed.
const LAYERS_MAX: usize = 16;

/// The caches that a response passed, from the one nearest to the origin.
#[must_use]
pub fn layers(headers: &HeaderMap) -> Vec<CacheLayer> {
    let mut found = Vec::new();
    for value in texts(headers, "cache-status") {
        found.extend(split(value, ',').filter_map(standard));
    }
    if found.is_empty() {
        for (header, name) in SINGLE {
            found.extend(texts(headers, header).filter_map(|value| layer(name, value)));
        }
        for value in texts(headers, "x-cache") {
            found.extend(value.split(',').filter_map(x_cache));
        }
        found.extend(texts(headers, "x-varnish").filter_map(varnish));
        for value in texts(headers, "server-timing") {
            found.extend(split(value, ',').filter_map(server_timing));
        }
    }
    if found.is_empty()
        && let Some(age_s) = texts(headers, "age").find_map(|value| value.trim().parse::<u64>().ok())
        && age_s > 0
    {
        found.push(CacheLayer { name: "shared".to_owned(), outcome: Outcome::Hit, detail: format!("age {age_s}") });
    }
    found.truncate(LAYERS_MAX);
    found
}

fn texts<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
}

/// The pieces of a list, apart by a character that does not stand in quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    let pieces = text.split(move |c| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == separator && !quoted,
        }
        false
    });
    pieces.map(str::trim).filter(|piece| !piece.is_empty())
}

/// One cache of `Cache-Status`: `ExampleCache; hit; ttl=376`, `"CDN"; fwd=uri-miss; stored`.
fn standard(member: &str) -> Option<CacheLayer> {
    let mut parts = split(member, ';');
    let name = parts.next()?.trim_matches('"').to_owned();
    let mut outcome = None;
    for part in parts {
        outcome = match part.split_once('=').unwrap_or((part, "")) {
            ("hit", _) => Some(Outcome::Hit),
            // A request that a cache was told to pass on, or whose method it does not cache.
            ("fwd", "bypass" | "method" | "request") => Some(Outcome::Bypass),
            ("fwd", _) => Some(Outcome::Miss),
            // The origin said that what the cache has is still good.
            ("fwd-status", "304") => Some(Outcome::Hit),
            _ => continue,
        };
    }
    Some(CacheLayer { name, outcome: outcome?, detail: member.to_owned() })
}

/// One cache of `X-Cache`: `HIT`, `Miss from cloudfront`, `TCP_MEM_HIT from a23.deploy.akamai.example (AkamaiGHost)`.
fn x_cache(value: &str) -> Option<CacheLayer> {
    let (word, from) = value.trim().split_once(" from ").unwrap_or((value.trim(), ""));
    let lower = from.to_ascii_lowercase();
    let known = ["cloudfront", "akamai", "varnish", "squid"].into_iter().find(|kind| lower.contains(kind));
    let name = known.unwrap_or(match from.split_whitespace().next() {
        Some(host) => host,
        None => "x-cache",
    });
    layer(name, word)
}

/// `X-Varnish`: one number for a miss, two for a hit (the request's, and that of who brought it in).
fn varnish(value: &str) -> Option<CacheLayer> {
    let count = value.split_whitespace().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit())).count();
    let outcome = match count {
        0 => return None,
        1 => Outcome::Miss,
        _ => Outcome::Hit,
    };
    Some(CacheLayer { name: "varnish".to_owned(), outcome, detail: value.to_owned() })
}

/// `Server-Timing: cdn-cache; desc=HIT`, or `cdn-cache-hit`.
fn server_timing(member: &str) -> Option<CacheLayer> {
    let mut parts = split(member, ';');
    let name = parts.next()?;
    match name.strip_prefix("cdn-cache")? {
        "" => {
            let description = parts.find_map(|part| part.strip_prefix("desc="))?;
            layer("cdn", description.trim_matches('"'))
        }
        "-hit" => layer("cdn", "hit"),
        "-miss" => layer("cdn", "miss"),
        _ => None,
    }
}

/// A cache that says a word.
fn layer(name: &str, word: &str) -> Option<CacheLayer> {
    Some(CacheLayer { name: name.to_owned(), outcome: outcome(word)?, detail: word.trim().to_owned() })
}

/// What a cache's word means.
fn outcome(word: &str) -> Option<Outcome> {
    let word = word.trim().to_ascii_lowercase();
    let is = |part: &str| word.contains(part);
    // A refreshed copy is a hit by its name; errors say nothing of caching.
    if is("refresh_miss") || is("refreshmiss") || is("miss") || matches!(word.as_str(), "expired" | "updating") {
        return Some(Outcome::Miss);
    }
    if is("hit") || matches!(word.as_str(), "stale" | "revalidated" | "fresh" | "prerender" | "true") {
        return Some(Outcome::Hit);
    }
    let told = is("bypass") || is("dynamic") || is("pass") || is("uncacheable") || is("skip");
    (told || matches!(word.as_str(), "none" | "ignore" | "no-cache")).then_some(Outcome::Bypass)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pairs: &[(&'static str, &str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        layers(&headers).into_iter().map(|layer| format!("{} {}", layer.name, layer.outcome.word())).collect()
    }

    #[test]
    fn caches_are_understood_in_their_own_words() {
        let table: &[(&[(&str, &str)], &[&str])] = &[
            (&[("cache-status", "ExampleCache; hit; ttl=376")], &["ExampleCache hit"]),
            (
                &[("cache-status", "OriginCache; hit; ttl=1100, \"CDN Company, Here\"; fwd=uri-miss; stored")],
                &["OriginCache hit", "CDN Company, Here miss"],
            ),
            (&[("cache-status", "a; fwd=stale; fwd-status=304")], &["a hit"]),
            (&[("cache-status", "a; fwd=bypass"), ("cache-status", "b; hit")], &["a bypass", "b hit"]),
            (&[("cache-status", "a; hit"), ("x-cache", "MISS"), ("age", "3")], &["a hit"]),
            (&[("cf-cache-status", "HIT")], &["cloudflare hit"]),
            (&[("cf-cache-status", "EXPIRED")], &["cloudflare miss"]),
            (&[("cf-cache-status", "DYNAMIC")], &["cloudflare bypass"]),
            (&[("cf-cache-status", "REVALIDATED")], &["cloudflare hit"]),
            (&[("x-cache", "Hit from cloudfront")], &["cloudfront hit"]),
            (&[("x-cache", "RefreshHit from cloudfront")], &["cloudfront hit"]),
            (&[("x-cache", "Error from cloudfront")], &[]),
            (&[("x-cache", "MISS, HIT")], &["x-cache miss", "x-cache hit"]),
            (&[("x-cache", "TCP_MEM_HIT from a23-1.deploy.akamaitechnologies.com (AkamaiGHost/10)")], &["akamai hit"]),
            (&[("x-cache", "TCP_REFRESH_MISS from a23.example")], &["a23.example miss"]),
            (&[("x-cache-status", "STALE"), ("age", "9")], &["nginx hit"]),
            (&[("x-varnish", "123"), ("age", "0")], &["varnish miss"]),
            (&[("x-varnish", "123 98"), ("age", "12")], &["varnish hit"]),
            (&[("server-timing", "db; dur=53, cdn-cache; desc=HIT, edge; dur=1")], &["cdn hit"]),
            (&[("server-timing", "cdn-cache-miss, cdn-pop; desc=\"A,B\"")], &["cdn miss"]),
            (&[("x-drupal-dynamic-cache", "UNCACHEABLE")], &["drupal-dynamic bypass"]),
            (&[("age", "40")], &["shared hit"]),
            (&[("age", "0")], &[]),
            (&[("x-cache", "")], &[]),
            (&[("cache-status", "\"unfinished; hit")], &[]),
            (&[], &[]),
        ];
        for (headers, expected) in table {
            assert_eq!(&told(headers), expected, "{headers:?}");
        }
        let many = "a; hit, ".repeat(100);
        assert_eq!(told(&[("cache-status", &many)]).len(), LAYERS_MAX);
    }
}
