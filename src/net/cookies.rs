//! A VU's cookie jar, as a browser keeps it (RFC 6265): domain, path, `Secure`, expiry, the name prefixes.
//!
//! A jar is small and bounded. There is no list of public suffixes: a `Domain` without a dot is refused, one such as
//! `co.uk` is not. `SameSite` is not looked at, for a VU follows no links from elsewhere.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use ::http::header::SET_COOKIE;
use ::http::{HeaderMap, HeaderValue};
use cookie::Cookie;
use url::{Host, Url};

/// How many cookies a jar holds; the oldest makes room.
const COOKIES_MAX: usize = 200;

/// The longest cookie, name, value and attributes together, in bytes.
const COOKIE_BYTES_MAX: usize = 8 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    name: Box<str>,
    value: Box<str>,
    domain: Box<str>,
    path: Box<str>,
    host_only: bool,
    secure: bool,
    http_only: bool,
    /// Seconds since 1970; none for the session.
    expires_s: Option<i64>,
}

/// A cookie jar.
#[derive(Clone, Debug, Default)]
pub struct Jar {
    /// In the order in which they were first set.
    cookies: Vec<Stored>,
    /// Whether it takes none.
    closed: bool,
}

impl Jar {
    /// An empty jar.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A jar that accepts no cookie.
    #[must_use]
    pub fn closed() -> Self {
        Self { closed: true, ..Self::default() }
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    /// How many cookies it holds, expired ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cookies.len()
    }

    /// Takes every cookie out.
    pub fn clear(&mut self) {
        self.cookies.clear();
    }

    /// Keeps a session cookie for the whole host of a URL. Returns whether it was accepted.
    pub fn set(&mut self, url: &Url, name: &str, value: &str) -> bool {
        let Some((host, _)) = host_of(url) else { return false };
        if name.is_empty() || name.len() + value.len() > COOKIE_BYTES_MAX || !sendable(name) || !sendable(value) {
            return false;
        }
        let cookie = Stored {
            name: name.into(),
            value: value.into(),
            domain: host.into(),
            path: "/".into(),
            host_only: true,
            secure: false,
            http_only: false,
            expires_s: None,
        };
        self.insert(cookie, None)
    }

    /// Keeps what a `Set-Cookie` line of a response from this URL says. Returns whether it was accepted; a line that
    /// ends a cookie is.
    pub fn store(&mut self, url: &Url, line: &str) -> bool {
        self.store_at(url, line, now_s())
    }

    /// Keeps what all `Set-Cookie` headers of a response from this URL say.
    pub fn store_all(&mut self, url: &Url, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            if let Ok(line) = std::str::from_utf8(line.as_bytes()) {
                self.store(url, line);
            }
        }
    }

    fn store_at(&mut self, url: &Url, line: &str, now_s: i64) -> bool {
        let Some((host, is_address)) = host_of(url) else { return false };
        if line.len() > COOKIE_BYTES_MAX {
            return false;
        }
        let Ok(cookie) = Cookie::parse(line) else { return false };
        if !sendable(cookie.name()) || !sendable(cookie.value()) {
            return false;
        }
        let domain = cookie.domain().map(|d| d.strip_prefix('.').unwrap_or(d).to_ascii_lowercase());
        let (domain, host_only) = match domain.filter(|d| !d.is_empty()) {
            None => (host.clone(), true),
            Some(domain) if *domain == *host => (Cow::Owned(domain), is_address),
            Some(domain) if !is_address && domain.contains('.') && is_below(&host, &domain) => {
                (Cow::Owned(domain), false)
            }
            Some(_) => return false,
        };
        let secure = cookie.secure().unwrap_or(false);
        let path = match cookie.path() {
            Some(path) if path.starts_with('/') => path,
            _ => default_path(url.path()),
        };
        let name = cookie.name();
        let refused = (secure && !is_trustworthy(url))
            || (has_prefix(name, "__secure-") && !secure)
            || (has_prefix(name, "__host-") && !(secure && host_only && cookie.path() == Some("/")));
        if refused {
            return false;
        }
        let expires_s = match (cookie.max_age(), cookie.expires_datetime()) {
            (Some(age), _) => Some(now_s.saturating_add(age.whole_seconds())),
            (None, Some(at)) => Some(at.unix_timestamp()),
            (None, None) => None,
        };
        let stored = Stored {
            name: name.into(),
            value: cookie.value().into(),
            domain: domain.as_ref().into(),
            path: path.into(),
            host_only,
            secure,
            http_only: cookie.http_only().unwrap_or(false),
            expires_s,
        };
        self.insert(stored, Some(now_s))
    }

    fn insert(&mut self, cookie: Stored, now_s: Option<i64>) -> bool {
        if self.closed {
            return false;
        }
        let same =
            |known: &Stored| known.name == cookie.name && known.domain == cookie.domain && known.path == cookie.path;
        let place = self.cookies.iter().position(same);
        let expired = matches!((cookie.expires_s, now_s), (Some(at), Some(now)) if at <= now);
        match (place, expired) {
            (Some(at), true) => drop(self.cookies.remove(at)),
            (None, true) => {}
            // It keeps its place: order is by when a cookie was first set.
            (Some(at), false) => self.cookies[at] = cookie,
            (None, false) => {
                if self.cookies.len() >= COOKIES_MAX {
                    self.cookies.remove(0);
                }
                self.cookies.push(cookie);
            }
        }
        true
    }

    /// Takes a cookie out of what a request to this URL would carry. Returns whether there was one.
    pub fn remove(&mut self, url: &Url, name: &str) -> bool {
        let Some(asked) = Asked::new(url) else { return false };
        let before = self.cookies.len();
        self.cookies.retain(|cookie| !(&*cookie.name == name && asked.matches(cookie)));
        self.cookies.len() < before
    }

    /// What a request to this URL would carry: names and values, longer paths first, then in the order they were set.
    #[must_use]
    pub fn get(&self, url: &Url) -> Vec<(&str, &str)> {
        self.get_at(url, now_s)
    }

    fn get_at(&self, url: &Url, now_s: impl Fn() -> i64) -> Vec<(&str, &str)> {
        let Some(asked) = Asked::new(url).filter(|_| !self.cookies.is_empty()) else { return Vec::new() };
        // The clock is read only for a jar in which something can expire.
        let now_s = self.cookies.iter().any(|cookie| cookie.expires_s.is_some()).then(now_s);
        let alive = |cookie: &&Stored| !matches!((cookie.expires_s, now_s), (Some(at), Some(now)) if at <= now);
        let mut found: Vec<_> = self.cookies.iter().filter(|cookie| asked.matches(cookie)).filter(alive).collect();
        found.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        found.into_iter().map(|cookie| (&*cookie.name, &*cookie.value)).collect()
    }

    /// The `Cookie` header of a request to this URL, with more cookies for this request alone: they stand in for those
    /// of the same name in the jar.
    #[must_use]
    pub(super) fn header(&self, url: &Url, more: &[(String, String)]) -> Option<HeaderValue> {
        let mut text = String::new();
        let mut push = |name: &str, value: &str| {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(name);
            text.push('=');
            text.push_str(value);
        };
        for (name, value) in self.get(url) {
            if more.iter().all(|(other, _)| other != name) {
                push(name, value);
            }
        }
        for (name, value) in more {
            if sendable(name) && sendable(value) {
                push(name, value);
            }
        }
        if text.is_empty() { None } else { HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok() }
    }
}

/// What a request asks for, as far as cookies are concerned.
struct Asked<'a> {
    host: Cow<'a, str>,
    is_address: bool,
    path: &'a str,
    secure: bool,
}

impl<'a> Asked<'a> {
    fn new(url: &'a Url) -> Option<Self> {
        let (host, is_address) = host_of(url)?;
        Some(Self { host, is_address, path: url.path(), secure: is_trustworthy(url) })
    }

    fn matches(&self, cookie: &Stored) -> bool {
        let host = *self.host == *cookie.domain
            || (!cookie.host_only && !self.is_address && is_below(&self.host, &cookie.domain));
        host && path_matches(self.path, &cookie.path) && (!cookie.secure || self.secure)
    }
}

fn host_of(url: &Url) -> Option<(Cow<'_, str>, bool)> {
    Some(match url.host()? {
        Host::Domain(name) => (Cow::Borrowed(name), false),
        Host::Ipv4(address) => (Cow::Owned(address.to_string()), true),
        Host::Ipv6(address) => (Cow::Owned(address.to_string()), true),
    })
}

/// Browsers treat loopback like `https`, so that one can develop with secure cookies; so does this.
fn is_trustworthy(url: &Url) -> bool {
    url.scheme() == "https"
        || match url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|before| before.ends_with('.'))
}

fn path_matches(path: &str, cookie: &str) -> bool {
    path.strip_prefix(cookie).is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        Some(at) if at > 0 => &path[..at],
        _ => "/",
    }
}

fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Whether a name or value can stand in a `Cookie` header without becoming something else.
fn sendable(text: &str) -> bool {
    text.bytes().all(|byte| byte >= 0x20 && byte != 0x7f && byte != b';')
}

fn now_s() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn shown(jar: &Jar, at: &str, now_s: i64) -> String {
        let pairs = jar.get_at(&url(at), || now_s);
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_cookie_goes_where_its_domain_and_path_say() {
        for (from, line, to, expected) in [
            ("http://shop.test/", "a=1", "http://shop.test/x", "a=1"),
            ("http://shop.test/", "a=1", "http://www.shop.test/", ""),
            ("http://www.shop.test/", "a=1; Domain=shop.test", "http://api.shop.test/", "a=1"),
            ("http://www.shop.test/", "a=1; Domain=.SHOP.test", "http://shop.test/", "a=1"),
            ("http://shop.test/", "a=1; Domain=shop.test", "http://notshop.test/", ""),
            ("http://shop.test/", "a=1", "http://shop.test:81/", "a=1"),
            ("http://127.0.0.1/", "a=1; Domain=127.0.0.1", "http://127.0.0.1/", "a=1"),
            ("http://shop.test/a/b", "a=1", "http://shop.test/a/c", "a=1"),
            ("http://shop.test/a/b", "a=1", "http://shop.test/b", ""),
            ("http://shop.test/a/b", "a=1; Path=/", "http://shop.test/b", "a=1"),
            ("http://shop.test/", "a=1; Path=/cart", "http://shop.test/cart", "a=1"),
            ("http://shop.test/", "a=1; Path=/cart", "http://shop.test/cart/1", "a=1"),
            ("http://shop.test/", "a=1; Path=/cart", "http://shop.test/carts", ""),
            ("http://shop.test/", "a=1; Path=nonsense", "http://shop.test/x", "a=1"),
            ("https://shop.test/", "a=1; Secure", "http://shop.test/", ""),
            ("https://shop.test/", "a=1; Secure", "https://shop.test/", "a=1"),
            ("http://127.0.0.1/", "a=1; Secure", "http://127.0.0.1/", "a=1"),
            ("http://shop.test/", "a=b=c; HttpOnly; SameSite=Lax", "http://shop.test/", "a=b=c"),
            ("http://shop.test/", "a=\"quoted\"", "http://shop.test/", "a=\"quoted\""),
            ("http://shop.test/", "a=", "http://shop.test/", "a="),
            ("http://shop.test/", "a=grün", "http://shop.test/", "a=grün"),
            ("https://shop.test/", "__Host-a=1; Secure; Path=/", "https://shop.test/", "__Host-a=1"),
        ] {
            let mut jar = Jar::new();
            assert!(jar.store_at(&url(from), line, 0), "{line}");
            assert_eq!(shown(&jar, to, 0), expected, "`{line}` from {from} to {to}");
        }
    }

    #[test]
    fn what_a_browser_refuses_is_refused() {
        let long = format!("a={}", "x".repeat(COOKIE_BYTES_MAX));
        for (from, line) in [
            ("http://shop.test/", "a=1; Domain=other.test"),
            ("http://shop.test/", "a=1; Domain=www.shop.test"),
            ("http://shop.test/", "a=1; Domain=test"),
            ("http://127.0.0.1/", "a=1; Domain=0.0.1"),
            ("http://shop.test/", "a=1; Secure"),
            ("https://shop.test/", "__Secure-a=1"),
            ("https://shop.test/", "__Host-a=1; Secure"),
            ("https://www.shop.test/", "__Host-a=1; Secure; Path=/; Domain=shop.test"),
            ("http://shop.test/", "no pair"),
            ("http://shop.test/", "=1"),
            ("http://shop.test/", &*long),
        ] {
            let mut jar = Jar::new();
            assert!(!jar.store_at(&url(from), line, 0), "`{line}` from {from}");
            assert!(jar.is_empty());
        }
    }

    #[test]
    fn a_cookie_expires() {
        let mut jar = Jar::new();
        let shop = url("http://shop.test/");
        jar.store_at(&shop, "age=1; Max-Age=10", 1_000);
        jar.store_at(&shop, "date=1; Expires=Thu, 01 Jan 1970 00:33:20 GMT", 1_000);
        jar.store_at(&shop, "both=1; Max-Age=5; Expires=Thu, 01 Jan 2170 00:00:00 GMT", 1_000);
        jar.store_at(&shop, "session=1", 1_000);
        for (now_s, expected) in [
            (1_000, "age=1; date=1; both=1; session=1"),
            (1_005, "age=1; date=1; session=1"),
            (1_010, "date=1; session=1"),
            (2_000, "session=1"),
        ] {
            assert_eq!(shown(&jar, "http://shop.test/", now_s), expected, "at {now_s}");
        }
        assert!(jar.store_at(&shop, "session=; Max-Age=0", 2_000));
        assert_eq!(shown(&jar, "http://shop.test/", 2_000), "");
    }

    #[test]
    fn longer_paths_come_first_and_a_new_value_keeps_its_place() {
        let mut jar = Jar::new();
        let shop = url("http://shop.test/a/b");
        for line in ["one=1; Path=/", "two=2; Path=/a", "three=3; Path=/", "one=4; Path=/"] {
            assert!(jar.store_at(&shop, line, 0));
        }
        assert_eq!(shown(&jar, "http://shop.test/a/b", 0), "two=2; one=4; three=3");
    }

    #[test]
    fn cookies_of_one_request_stand_in_for_those_of_the_jar() {
        let mut jar = Jar::new();
        let shop = url("http://shop.test/a");
        assert_eq!(jar.header(&shop, &[]), None);
        assert!(jar.set(&shop, "a", "1"));
        assert!(jar.set(&shop, "b", "2"));
        let more = [("a".to_owned(), "3".to_owned()), ("c".to_owned(), "4".to_owned())];
        assert_eq!(jar.header(&shop, &more).unwrap(), "b=2; a=3; c=4");
        assert!(!jar.set(&shop, "d", "x;y"));
        assert!(jar.remove(&shop, "a"));
        assert!(!jar.remove(&shop, "a"));
        assert_eq!(jar.header(&shop, &[]).unwrap(), "b=2");
    }

    #[test]
    fn a_jar_is_bounded() {
        let mut jar = Jar::new();
        let shop = url("http://shop.test/");
        for id in 0..2 * COOKIES_MAX {
            assert!(jar.set(&shop, &format!("c{id}"), "1"));
        }
        assert_eq!(jar.len(), COOKIES_MAX);
        assert!(jar.get(&shop).iter().all(|(name, _)| *name != "c0"));
    }
}
