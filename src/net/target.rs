//! Where a request goes: a URL, taken apart once for all the requests that use it.
//!
//! A [`Target`] holds what a request line and its `Host` header need, ready made, so that asking for the same URL again
//! costs a look-up. A credential in the URL becomes an `Authorization` header and is not kept in the URL that is shown.

use std::cell::OnceCell;
use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::path::Path;
use std::rc::Rc;

use ::http::header::{HOST, USER_AGENT};
use ::http::{HeaderMap, HeaderValue, Uri};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustc_hash::FxHashMap;
use url::{Host, Position, Url};

use super::{NetError, http1};
use crate::fault::Fault;

/// Scheme, host and port: what connections and credentials belong to.
#[derive(Debug)]
pub struct Origin {
    secure: bool,
    host: Box<str>,
    port: u16,
    literal: Option<IpAddr>,
    /// The Unix socket that stands for it, where a request asks for one.
    unix_socket: Option<Rc<Path>>,
    /// The headers that every request to it starts from: `Host` and `User-Agent`.
    headers: HeaderMap,
    /// The same as HTTP/1.1 writes them.
    lines: Box<[u8]>,
}

impl Origin {
    /// Whether it is `https`.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host, in lower case; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where it is the scheme's own.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host as an address, where it is one.
    #[must_use]
    pub fn literal(&self) -> Option<IpAddr> {
        self.literal
    }

    pub(super) fn unix_socket(&self) -> Option<&Path> {
        self.unix_socket.as_deref()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The headers that every request starts from, as HTTP/1.1 writes them.
    pub(super) fn lines(&self) -> &[u8] {
        &self.lines
    }
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
            || (self.secure == other.secure
                && self.port == other.port
                && self.host == other.host
                && self.unix_socket == other.unix_socket)
    }
}

impl Eq for Origin {}

impl fmt::Display for Origin {
    /// `shop.test:443`, `[::1]:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.literal {
            Some(IpAddr::V6(_)) => write!(f, "[{}]:{}", self.host, self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A URL that can be asked for. Reads as a [`Url`].
#[derive(Debug)]
pub struct Target {
    url: Url,
    origin: Rc<Origin>,
    authorization: Option<HeaderValue>,
    /// As HTTP/2 wants it; made when first needed.
    uri: OnceCell<Uri>,
}

impl Target {
    /// Where connections for it go.
    #[must_use]
    pub fn origin(&self) -> &Rc<Origin> {
        &self.origin
    }

    /// Path and query, as the request line has them.
    pub(super) fn line(&self) -> &str {
        &self.url[Position::BeforePath..Position::AfterQuery]
    }

    /// The whole URL, as a proxy is asked for it.
    pub(super) fn absolute(&self) -> &str {
        &self.url[..Position::AfterQuery]
    }

    /// The same target at a Unix socket.
    pub(super) fn at_unix_socket(&self, path: &Rc<Path>) -> Rc<Self> {
        let Origin { secure, port, literal, .. } = *self.origin;
        let Origin { host, headers, lines, .. } = &*self.origin;
        let (host, headers, lines) = (host.clone(), headers.clone(), lines.clone());
        let origin = Origin { secure, host, port, literal, headers, lines, unix_socket: Some(path.clone()) };
        Rc::new(Self {
            url: self.url.clone(),
            origin: Rc::new(origin),
            authorization: self.authorization.clone(),
            uri: self.uri.clone(),
        })
    }

    /// Scheme, authority and path, as HTTP/2 sends them. `host` stands in for the authority where it is given.
    pub(super) fn uri(&self, host: Option<&HeaderValue>) -> Result<Uri, NetError> {
        let made = |host: &[u8]| {
            Uri::builder().scheme(self.url.scheme()).authority(host).path_and_query(self.line()).build().map_err(
                |error| {
                    let detail = format!("`{}` can't be asked for by HTTP/2: {error}", self.url);
                    NetError { fault: Fault::INVALID_REQUEST, detail }
                },
            )
        };
        if let Some(host) = host {
            return made(host.as_bytes());
        }
        if let Some(uri) = self.uri.get() {
            return Ok(uri.clone());
        }
        let uri = made(self.url[Position::BeforeHost..Position::AfterPort].as_bytes())?;
        Ok(self.uri.get_or_init(|| uri).clone())
    }

    /// The credential that stood in the URL, as a header.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

impl Deref for Target {
    type Target = Url;

    fn deref(&self) -> &Url {
        &self.url
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

/// A basic `Authorization` header.
pub(super) fn basic(user: &str, password: &str) -> HeaderValue {
    let text = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
    let mut value = HeaderValue::from_str(&text).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

/// How many URLs a generation of the cache holds: two generations are kept, and the older one is dropped when the
/// younger is full. A journey that asks for ever new URLs costs no memory that way, and one that repeats few is fast.
const GENERATION: usize = 512;

/// How many origins are remembered before they are forgotten all at once.
const ORIGINS_MAX: usize = 512;

/// URLs that were taken apart lately.
#[derive(Debug)]
pub(super) struct Targets {
    user_agent: Option<HeaderValue>,
    young: FxHashMap<Box<str>, Rc<Target>>,
    old: FxHashMap<Box<str>, Rc<Target>>,
    origins: Vec<Rc<Origin>>,
}

impl Targets {
    pub(super) fn new(user_agent: &str) -> Self {
        // A value that no header can carry is left out: the plan has checked it before.
        let user_agent = Some(user_agent).filter(|text| !text.is_empty());
        Self {
            user_agent: user_agent.and_then(|text| HeaderValue::from_str(text).ok()),
            young: FxHashMap::default(),
            old: FxHashMap::default(),
            origins: Vec::new(),
        }
    }

    /// The target of a URL as it was written.
    pub(super) fn get(&mut self, text: &str) -> Result<Rc<Target>, NetError> {
        if let Some(target) = self.young.get(text) {
            return Ok(target.clone());
        }
        let target = match self.old.remove(text) {
            Some(target) => target,
            None => {
                let url = Url::parse(text).map_err(|error| invalid(text, &error.to_string()))?;
                self.parse(text, url)?
            }
        };
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(text.into(), target.clone());
        Ok(target)
    }

    /// The target of a URL, `text` being what it was written as.
    pub(super) fn parse(&mut self, text: &str, mut url: Url) -> Result<Rc<Target>, NetError> {
        let secure = match url.scheme() {
            "http" => false,
            "https" => true,
            other => {
                return Err(invalid(text, &format!("found the scheme `{other}`, expected `http` or `https`")));
            }
        };
        let authorization = if url.username().is_empty() && url.password().is_none() {
            None
        } else {
            let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
            let header = basic(&decode(url.username()), &decode(url.password().unwrap_or_default()));
            // Setting these fails only for URLs without a host, and the scheme is http.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            Some(header)
        };
        let (host, literal) = match url.host() {
            Some(Host::Domain(name)) => (name.into(), None),
            Some(Host::Ipv4(address)) => (address.to_string(), Some(IpAddr::V4(address))),
            Some(Host::Ipv6(address)) => (address.to_string(), Some(IpAddr::V6(address))),
            None => return Err(invalid(text, "it has no host")),
        };
        let port = url.port_or_known_default().unwrap_or(if secure { 443 } else { 80 });
        let origin = match self.origins.iter().find(|o| o.secure == secure && o.port == port && *o.host == *host) {
            Some(origin) => origin.clone(),
            None => {
                let mut headers = HeaderMap::with_capacity(4);
                let authority = &url[Position::BeforeHost..Position::AfterPort];
                headers
                    .insert(HOST, HeaderValue::from_str(authority).map_err(|error| invalid(text, &error.to_string()))?);
                if let Some(user_agent) = &self.user_agent {
                    headers.insert(USER_AGENT, user_agent.clone());
                }
                let mut lines = Vec::new();
                http1::encode_headers(&headers, &mut lines);
                let (host, lines) = (host.into(), lines.into());
                let origin = Rc::new(Origin { secure, host, port, literal, unix_socket: None, headers, lines });
                if self.origins.len() >= ORIGINS_MAX {
                    self.origins.clear();
                }
                self.origins.push(origin.clone());
                origin
            }
        };
        Ok(Rc::new(Target { url, origin, authorization, uri: OnceCell::new() }))
    }
}

fn invalid(text: &str, why: &str) -> NetError {
    NetError { fault: Fault::INVALID_URL, detail: format!("invalid URL `{text}`: {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let mut targets = Targets::new("loadr/test");
        for (text, url, line, origin, host) in [
            ("http://Shop.Test", "http://shop.test/", "/", "shop.test:80", "shop.test"),
            ("https://shop.test/a?b=c#d", "https://shop.test/a?b=c#d", "/a?b=c", "shop.test:443", "shop.test"),
            (
                "http://shop.test:8080/ä b",
                "http://shop.test:8080/%C3%A4%20b",
                "/%C3%A4%20b",
                "shop.test:8080",
                "shop.test:8080",
            ),
            ("http://[::1]:81/", "http://[::1]:81/", "/", "[::1]:81", "[::1]:81"),
            ("http://127.1/?q={x}|^`", "http://127.0.0.1/?q={x}|^`", "/?q={x}|^`", "127.0.0.1:80", "127.0.0.1"),
            ("http://u:p%40ss@shop.test/", "http://shop.test/", "/", "shop.test:80", "shop.test"),
        ] {
            let target = targets.get(text).unwrap();
            assert_eq!(target.as_str(), url);
            assert_eq!(target.line(), line);
            assert_eq!(target.origin().to_string(), origin);
            assert_eq!(target.origin().headers()[HOST], host);
            assert_eq!(target.origin().headers()[USER_AGENT], "loadr/test");
        }
    }

    #[test]
    fn what_is_no_http_url_is_refused_by_name() {
        let mut targets = Targets::new("");
        for (text, why) in [
            ("ftp://shop.test/", "found the scheme `ftp`, expected `http` or `https`"),
            ("shop.test/a", "relative URL without a base"),
            ("http://", "empty host"),
            ("http://a b/", "invalid international domain name"),
            ("http://shop.test:99999/", "invalid port number"),
        ] {
            let error = targets.get(text).unwrap_err();
            assert_eq!(error.fault, Fault::INVALID_URL, "{text}");
            assert_eq!(error.detail, format!("invalid URL `{text}`: {why}"));
        }
    }

    #[test]
    fn the_same_url_is_taken_apart_once_and_the_cache_stays_bounded() {
        let mut targets = Targets::new("");
        let first = targets.get("http://shop.test/").unwrap();
        assert!(Rc::ptr_eq(&first, &targets.get("http://shop.test/").unwrap()));
        for id in 0..4 * GENERATION {
            let target = targets.get(&format!("http://shop.test/{id}")).unwrap();
            assert!(Rc::ptr_eq(first.origin(), target.origin()));
        }
        assert!(targets.young.len() + targets.old.len() <= 2 * GENERATION);
        for id in 0..2 * ORIGINS_MAX {
            targets.get(&format!("http://shop{id}.test/")).unwrap();
        }
        assert!(targets.origins.len() <= ORIGINS_MAX);
    }

    #[test]
    fn a_credential_in_the_url_becomes_a_header() {
        let target = Targets::new("").get("http://u:p%40ss@shop.test/").unwrap();
        assert_eq!(target.authorization().unwrap(), "Basic dTpwQHNz");
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_url_breaks_a_target(text in "(https?:)?[/\\\\]{0,3}([a-z0-9.:@%\\[\\]-]|\\PC){0,20}[/?#]?([a-z0-9/?#&=%. -]|\\PC){0,20}") {
            let mut targets = Targets::new("loadr");
            if let Ok(target) = targets.get(&text) {
                // What goes on the wire is one line, and no more.
                for line in [target.line(), target.absolute(), &target.origin().to_string()] {
                    prop_assert!(line.bytes().all(|byte| (0x21..0x7f).contains(&byte)), "{line:?}");
                }
                prop_assert!(target.line().starts_with('/'), "{:?}", target.line());
                // Hosts may have letters that HTTP/2 has no form for: then it is told.
                let _ = target.uri(None);
                let again = targets.get(&text).unwrap();
                prop_assert!(Rc::ptr_eq(&target, &again));
                let other = targets.get(target.absolute()).unwrap();
                prop_assert_eq!(other.line(), target.line());
                prop_assert_eq!(other.origin(), target.origin());
            }
        }
    }
}
