//! Cookie jars, as browsers keep them (RFC 6265bis): domain, path, `Secure`, expiry, the name prefixes, public suffixes.
//!
//! A jar is bounded, so that no server can fill a virtual user's memory. `SameSite` is kept and told, and makes no
//! difference: nothing is requested on behalf of another site.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use ::http::header::SET_COOKIE;
use ::http::{HeaderMap, HeaderValue};
use url::{Host, Url};

mod date;
mod set_cookie;

pub use set_cookie::SetCookie;
use set_cookie::{ATTRIBUTE_BYTES_MAX, COOKIE_BYTES_MAX};

/// How many cookies of one domain a jar holds, as Chromium does; the oldest makes room.
const OF_DOMAIN_MAX: usize = 180;

/// How much memory the cookies of a jar may take, in bytes: what servers accept in a request, many times over.
const JAR_BYTES_MAX: usize = 256 * 1024;

/// With which requests from other sites a cookie goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// None.
    Strict,
    /// Links that are followed.
    Lax,
    /// All.
    None,
}

impl SameSite {
    const ALL: [(&str, Self); 3] = [("strict", Self::Strict), ("lax", Self::Lax), ("none", Self::None)];

    /// The one of a name, in small letters or capitals.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, kind)| kind)
    }

    /// Its name, in small letters.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

/// A cookie in a jar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Its name; empty where it was set without one.
    pub name: Box<str>,
    /// Its value.
    pub value: Box<str>,
    /// The host that set it, or the domain that it is for; in small letters.
    pub domain: Box<str>,
    /// What paths begin with that it goes to.
    pub path: Box<str>,
    /// Whether it is for that host alone, and not for names below it.
    pub host_only: bool,
    /// Whether it is for `https` alone.
    pub secure: bool,
    /// Whether scripts of a page may not see it.
    pub http_only: bool,
    /// With which requests from other sites it goes.
    pub same_site: Option<SameSite>,
    /// When it ends, in seconds since 1970; none for the session.
    pub expires_s: Option<i64>,
}

impl Cookie {
    /// What it takes in memory.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.value.len() + self.domain.len() + self.path.len()
    }

    fn is_over(&self, now_s: i64) -> bool {
        self.expires_s.is_some_and(|at| at <= now_s)
    }
}

/// Why a cookie is not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is nothing of it.
    #[error("it has neither a name nor a value")]
    Empty,
    /// It can't be sent.
    #[error("it has a character that no cookie can have")]
    Characters,
    /// It is too long.
    #[error(
        "name and value have more than {COOKIE_BYTES_MAX} bytes together, or an attribute more than {ATTRIBUTE_BYTES_MAX}"
    )]
    TooLong,
    /// The URL has no host.
    #[error("the URL has no host")]
    NoHost,
    /// Its domain is another's.
    #[error("its domain `{0}` is neither the URL's host nor a domain that it is below")]
    Foreign(Box<str>),
    /// Its domain is nobody's.
    #[error("anyone can have a name below `{0}`: a cookie for all of them is not kept, as in browsers")]
    PublicSuffix(Box<str>),
    /// `Secure` without TLS.
    #[error("it is `Secure`, and the URL is not `https`")]
    Insecure,
    /// Its name promises what its attributes do not keep.
    #[error("a name that begins with `__Secure-` needs `Secure`; one with `__Host-` also the path `/`, and no domain")]
    Prefix,
    /// A `Secure` cookie is in its place.
    #[error("a `Secure` cookie of its name is there, which only an `https` URL may replace")]
    Shadowed,
    /// Its domain or path is none.
    #[error("`{0}` is no domain or path that a cookie can be for")]
    Place(Box<str>),
    /// The jar takes none.
    #[error("this jar takes no cookies")]
    Closed,
}

/// A cookie for one request alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestCookie {
    /// Its name.
    pub name: String,
    /// Its value; none: no cookie of this name is sent, whatever the jar holds.
    pub value: Option<String>,
    /// Whether those of its name in the jar are sent all the same.
    pub beside: bool,
}

impl RequestCookie {
    /// One that stands in for those of its name in the jar.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: Some(value.into()), beside: false }
    }
}

/// A cookie jar.
#[derive(Clone, Debug, Default)]
pub struct Jar {
    /// In the order in which they were first set.
    cookies: Vec<Cookie>,
    /// What they take in memory.
    bytes: usize,
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

    /// How many cookies it holds, ended ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cookies.len()
    }

    /// Takes every cookie out.
    pub fn clear(&mut self) {
        self.cookies.clear();
        self.bytes = 0;
    }

    /// Takes out what a request to this URL would carry.
    pub fn clear_for(&mut self, url: &Url) {
        if let Some(asked) = Asked::new(url) {
            self.retain(|cookie| !asked.matches(cookie));
        }
    }

    /// Keeps a cookie as if a response from this URL had set it. One that is over takes that of its name, domain and path
    /// out.
    ///
    /// # Errors
    /// Why a browser would not keep it, or it could not be sent as it is.
    pub fn set(&mut self, url: &Url, cookie: &SetCookie<'_>) -> Result<(), Refused> {
        cookie.check_size()?;
        let domain_or_path = [cookie.domain, cookie.path].into_iter().flatten();
        if domain_or_path.clone().any(|text| text.len() > ATTRIBUTE_BYTES_MAX) {
            return Err(Refused::TooLong);
        }
        if !reads_back(cookie.name, cookie.value) || !domain_or_path.clone().all(is_sendable) {
            return Err(Refused::Characters);
        }
        self.accept(url, cookie, now_s())
    }

    /// Keeps what a `Set-Cookie` line of a response from this URL says; a line may also end a cookie.
    ///
    /// # Errors
    /// Why a browser would not keep it.
    pub fn store(&mut self, url: &Url, line: &str) -> Result<(), Refused> {
        self.store_at(url, line, now_s())
    }

    /// Keeps what all `Set-Cookie` headers of a response from this URL say. What is not UTF-8 is passed over.
    pub fn store_all(&mut self, url: &Url, headers: &HeaderMap) {
        if self.closed {
            return;
        }
        let now_s = now_s();
        for line in headers.get_all(SET_COOKIE) {
            if let Ok(line) = std::str::from_utf8(line.as_bytes()) {
                // A browser says nothing either; what was kept can be asked for.
                let _ = self.store_at(url, line, now_s);
            }
        }
    }

    fn store_at(&mut self, url: &Url, line: &str, now_s: i64) -> Result<(), Refused> {
        self.accept(url, &SetCookie::parse(line)?, now_s)
    }

    fn accept(&mut self, url: &Url, cookie: &SetCookie<'_>, now_s: i64) -> Result<(), Refused> {
        let (host, is_address) = host_of(url).ok_or(Refused::NoHost)?;
        let (domain, host_only) = match cookie.domain.map(str::to_ascii_lowercase) {
            None => (host.clone(), true),
            Some(domain) if *domain == *host => {
                let host_only = is_address || is_public_suffix(&domain);
                (Cow::Owned(domain), host_only)
            }
            Some(domain) if is_address || !is_below(&host, &domain) => return Err(Refused::Foreign(domain.into())),
            Some(domain) if is_public_suffix(&domain) => return Err(Refused::PublicSuffix(domain.into())),
            Some(domain) => (Cow::Owned(domain), false),
        };
        let path = cookie.path.unwrap_or_else(|| default_path(url.path()));
        let trustworthy = is_trustworthy(url);
        if cookie.secure && !trustworthy {
            return Err(Refused::Insecure);
        }
        // Without a name, the value must not look like a name that has to be earned.
        let name = if cookie.name.is_empty() { cookie.value } else { cookie.name };
        let nameless = cookie.name.is_empty();
        if (has_prefix(name, "__secure-") && (nameless || !cookie.secure))
            || (has_prefix(name, "__host-")
                && (nameless || !(cookie.secure && host_only && cookie.path == Some("/") && cookie.domain.is_none())))
        {
            return Err(Refused::Prefix);
        }
        if !trustworthy && self.cookies.iter().any(|known| shadows(known, cookie.name, &domain, path)) {
            return Err(Refused::Shadowed);
        }
        let expires_s = match (cookie.max_age_s, cookie.expires_s) {
            (Some(age_s), _) if age_s <= 0 => Some(i64::MIN),
            (Some(age_s), _) => Some(now_s.saturating_add(age_s)),
            (None, at) => at,
        };
        let cookie = Cookie {
            name: cookie.name.into(),
            value: cookie.value.into(),
            domain: domain.as_ref().into(),
            path: path.into(),
            host_only,
            secure: cookie.secure,
            http_only: cookie.http_only,
            same_site: cookie.same_site,
            expires_s,
        };
        self.insert(cookie, now_s)
    }

    /// Puts a cookie back that was taken from a jar. One that is over is left out.
    ///
    /// # Errors
    /// When it could not have come from a jar.
    pub fn restore(&mut self, mut cookie: Cookie) -> Result<(), Refused> {
        SetCookie { name: &cookie.name, value: &cookie.value, ..SetCookie::default() }.check_size()?;
        if cookie.domain.len().max(cookie.path.len()) > ATTRIBUTE_BYTES_MAX {
            return Err(Refused::TooLong);
        }
        if !reads_back(&cookie.name, &cookie.value) || !is_sendable(&cookie.path) {
            return Err(Refused::Characters);
        }
        // An IPv6 address has no brackets here.
        let literal = cookie.domain.parse::<std::net::Ipv6Addr>().is_ok();
        let bracketed = if literal { format!("[{}]", cookie.domain) } else { cookie.domain.to_string() };
        let (domain, is_address) = match Host::parse(&bracketed) {
            Ok(Host::Domain(name)) if !name.is_empty() => (name, false),
            Ok(Host::Ipv4(address)) => (address.to_string(), true),
            Ok(Host::Ipv6(address)) => (address.to_string(), true),
            _ => return Err(Refused::Place(cookie.domain)),
        };
        if !cookie.path.starts_with('/') {
            return Err(Refused::Place(cookie.path));
        }
        if !cookie.host_only && !is_address && is_public_suffix(&domain) {
            return Err(Refused::PublicSuffix(cookie.domain));
        }
        cookie.domain = domain.into();
        self.insert(cookie, now_s())
    }

    fn insert(&mut self, cookie: Cookie, now_s: i64) -> Result<(), Refused> {
        if self.closed {
            return Err(Refused::Closed);
        }
        let same =
            |known: &Cookie| known.name == cookie.name && known.domain == cookie.domain && known.path == cookie.path;
        let place = self.cookies.iter().position(same);
        match (place, cookie.is_over(now_s)) {
            (Some(at), true) => drop(self.remove_at(at)),
            (None, true) => {}
            // It keeps its place: order is by when a cookie was first set.
            (Some(at), false) => {
                self.bytes += cookie.bytes();
                let before = std::mem::replace(&mut self.cookies[at], cookie);
                self.bytes -= before.bytes();
                self.make_room(None, now_s);
            }
            (None, false) => {
                self.bytes += cookie.bytes();
                let domain = cookie.domain.clone();
                self.cookies.push(cookie);
                self.make_room(Some(&domain), now_s);
            }
        }
        Ok(())
    }

    /// Takes out what is too much, as RFC 6265bis wants it: what is over, then of a domain that has too many those that are
    /// not `Secure`, then any; the oldest first.
    fn make_room(&mut self, domain: Option<&str>, now_s: i64) {
        let too_many = |cookies: &[Cookie]| {
            let is_of = |cookie: &&Cookie| Some(&*cookie.domain) == domain;
            cookies.len() > OF_DOMAIN_MAX && cookies.iter().filter(is_of).count() > OF_DOMAIN_MAX
        };
        if self.bytes <= JAR_BYTES_MAX && !too_many(&self.cookies) {
            return;
        }
        self.retain(|cookie| !cookie.is_over(now_s));
        if too_many(&self.cookies) {
            let is_of = |cookie: &Cookie| Some(&*cookie.domain) == domain;
            let first = self.cookies.iter().position(|cookie| is_of(cookie) && !cookie.secure);
            if let Some(at) = first.or_else(|| self.cookies.iter().position(is_of)) {
                drop(self.remove_at(at));
            }
        }
        while self.bytes > JAR_BYTES_MAX {
            let first = self.cookies.iter().position(|cookie| !cookie.secure).unwrap_or(0);
            drop(self.remove_at(first));
        }
    }

    fn remove_at(&mut self, at: usize) -> Cookie {
        let cookie = self.cookies.remove(at);
        self.bytes -= cookie.bytes();
        cookie
    }

    fn retain(&mut self, stays: impl Fn(&Cookie) -> bool) {
        self.cookies.retain(|cookie| {
            let stays = stays(cookie);
            if !stays {
                self.bytes -= cookie.bytes();
            }
            stays
        });
    }

    /// Takes a cookie out of what a request to this URL would carry. Returns whether there was one.
    pub fn remove(&mut self, url: &Url, name: &str) -> bool {
        let Some(asked) = Asked::new(url) else { return false };
        let before = self.cookies.len();
        self.retain(|cookie| !(&*cookie.name == name && asked.matches(cookie)));
        self.cookies.len() < before
    }

    /// All cookies that are not over, in the order in which they were first set.
    pub fn all(&self) -> impl Iterator<Item = &Cookie> {
        let now_s = now_s();
        self.cookies.iter().filter(move |cookie| !cookie.is_over(now_s))
    }

    /// What a request to this URL would carry, longer paths first, then in the order in which they were set.
    #[must_use]
    pub fn get(&self, url: &Url) -> Vec<&Cookie> {
        self.get_at(url, now_s)
    }

    fn get_at(&self, url: &Url, now_s: impl Fn() -> i64) -> Vec<&Cookie> {
        let Some(asked) = Asked::new(url).filter(|_| !self.cookies.is_empty()) else { return Vec::new() };
        // The clock is read only for a jar in which something can end.
        let now_s = self.cookies.iter().any(|cookie| cookie.expires_s.is_some()).then(now_s);
        let alive = |cookie: &&Cookie| now_s.is_none_or(|now_s| !cookie.is_over(now_s));
        let mut found: Vec<_> = self.cookies.iter().filter(|cookie| asked.matches(cookie)).filter(alive).collect();
        found.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        found
    }

    /// The names and values of the `Cookie` header of a request to this URL, with more cookies for this request alone.
    pub fn sent<'a>(&'a self, url: &Url, more: &'a [RequestCookie]) -> impl Iterator<Item = (&'a str, &'a str)> {
        let is_kept = |cookie: &&Cookie| more.iter().all(|other| other.beside || *other.name != *cookie.name);
        let kept = self.get(url).into_iter().filter(is_kept).map(|cookie| (&*cookie.name, &*cookie.value));
        let more = more.iter().filter_map(|cookie| Some((cookie.name.as_str(), cookie.value.as_deref()?)));
        kept.chain(more.filter(|(name, value)| is_sendable(name) && is_sendable(value)))
    }

    /// The `Cookie` header; none where nothing is sent.
    #[must_use]
    pub(super) fn header(&self, url: &Url, more: &[RequestCookie]) -> Option<HeaderValue> {
        let mut text = String::new();
        for (name, value) in self.sent(url, more) {
            if !text.is_empty() {
                text.push_str("; ");
            }
            text.push_str(name);
            if !name.is_empty() {
                text.push('=');
            }
            text.push_str(value);
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

    fn matches(&self, cookie: &Cookie) -> bool {
        let host = *self.host == *cookie.domain
            || (!cookie.host_only && !self.is_address && is_below(&self.host, &cookie.domain));
        host && path_matches(self.path, &cookie.path) && (!cookie.secure || self.secure)
    }
}

/// Whether a `Secure` cookie is there that one from an insecure URL would stand in for somewhere.
fn shadows(known: &Cookie, name: &str, domain: &str, path: &str) -> bool {
    known.secure
        && &*known.name == name
        && (&*known.domain == domain || is_below(domain, &known.domain) || is_below(&known.domain, domain))
        && path_matches(path, &known.path)
}

fn host_of(url: &Url) -> Option<(Cow<'_, str>, bool)> {
    Some(match url.host()? {
        Host::Domain(name) => (Cow::Borrowed(name), false),
        // A URL has it as it is written.
        Host::Ipv4(_) => (Cow::Borrowed(url.host_str()?), true),
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

/// Whether anyone can have a name below this one, by the list that browsers use: `uk`, `co.uk`, `github.io`.
fn is_public_suffix(domain: &str) -> bool {
    psl::suffix_str(domain).is_some_and(|suffix| suffix == domain)
}

/// Whether a text can stand in a `Cookie` header without becoming something else.
fn is_sendable(text: &str) -> bool {
    text.bytes().all(|byte| (byte >= 0x20 || byte == b'\t') && byte != 0x7f && byte != b';')
}

/// Whether a server that is sent a name and a value sees the same name and value.
fn reads_back(name: &str, value: &str) -> bool {
    let is_bare = |text: &str| text.trim_matches([' ', '\t']).len() == text.len();
    is_sendable(name)
        && is_sendable(value)
        && is_bare(name)
        && is_bare(value)
        && !name.contains('=')
        && !(name.is_empty() && value.contains('='))
}

fn now_s() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
