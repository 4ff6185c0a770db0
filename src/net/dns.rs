//! Names to addresses: overrides, literals and `localhost` at once, the rest from the system's resolver or the servers of
//! the option `dns_servers`, with a cache.
//!
//! One cache a worker. A thousand VUs that ask for one name at the same moment make one look-up; a failure is
//! remembered for a second, so that they don't make a thousand one after the other.

use std::cell::{OnceCell, RefCell};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};
use tokio::sync::Notify;

use super::NetError;
use super::name_servers::NameServers;
use super::selection::{Caller, arrange};
use super::target::Origin;
use crate::fault::Fault;
use crate::plan::{DnsOptions, DnsPolicy, DnsSelect, DnsTtl, HttpOptions};

/// How long an answer is kept where nothing else is said or known (k6's default).
const TTL: Duration = Duration::from_secs(5 * 60);

/// How long a failure is kept.
const TTL_FAILED: Duration = Duration::from_secs(1);

/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// How many names the cache holds.
const NAMES_MAX: usize = 1_024;

/// Addresses in the order in which to try them.
pub(super) type Addresses = SmallVec<[IpAddr; 2]>;

/// What is to be found: an origin, or a proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// In lower case, an IPv6 address without brackets.
    pub(super) host: &'a str,
    pub(super) port: u16,
    /// The host as an address, where it is one.
    pub(super) literal: Option<IpAddr>,
}

impl<'a> From<&'a Origin> for Wanted<'a> {
    fn from(origin: &'a Origin) -> Self {
        Self { host: origin.host(), port: origin.port(), literal: origin.literal() }
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) addresses: Addresses,
    pub(super) port: u16,
    /// How long the look-up took or was waited for; none when there was none.
    pub(super) took: Option<Duration>,
}

#[derive(Debug)]
enum Entry {
    Known { found: Result<Addresses, NetError>, until: Instant },
    Asking(Rc<Notify>),
}

/// A worker's resolver.
#[derive(Debug)]
pub(super) struct Resolver {
    overrides: Vec<Override>,
    options: DnsOptions,
    servers: Vec<SocketAddr>,
    name_servers: OnceCell<NameServers>,
    cache: RefCell<FxHashMap<Box<str>, Entry>>,
}

/// `*.shop.test:443` -> `10.0.0.1:8443`.
#[derive(Debug)]
struct Override {
    host: Box<str>,
    wildcard: bool,
    port: Option<u16>,
    to_host: Box<str>,
    to_port: Option<u16>,
}

impl Resolver {
    /// A resolver with the `hosts` option's overrides: `host`, `host:port` or `*.domain` to `address` or `address:port`.
    /// A name may stand for the address; it is resolved in its place.
    pub(super) fn new(options: &HttpOptions) -> Self {
        let mut overrides: Vec<_> = options
            .hosts
            .iter()
            .map(|(from, to)| {
                let (host, port) = split_port(from);
                let (to_host, to_port) = split_port(to);
                let (host, wildcard) = match host.strip_prefix('*') {
                    Some(suffix) => (suffix, true),
                    None => (host, false),
                };
                Override { host: host.to_ascii_lowercase().into(), wildcard, port, to_host: to_host.into(), to_port }
            })
            .collect();
        // The most exact first: whole names before wildcards, long wildcards before short ones, with a port before without.
        overrides.sort_by_key(|o| (o.wildcard, std::cmp::Reverse(o.host.len()), o.port.is_none()));
        Self {
            overrides,
            options: options.dns,
            servers: options.dns_servers.clone(),
            name_servers: OnceCell::new(),
            cache: RefCell::default(),
        }
    }

    fn find_override(&self, host: &str, port: u16) -> Option<&Override> {
        self.overrides.iter().find(|o| {
            o.port.is_none_or(|wanted| wanted == port)
                && if o.wildcard { host.len() > o.host.len() && host.ends_with(&*o.host) } else { host == &*o.host }
        })
    }

    /// The addresses of an origin or a proxy, in the order in which this caller tries them.
    pub(super) async fn resolve(&self, wanted: Wanted<'_>, caller: &Caller) -> Result<Resolved, NetError> {
        let Wanted { mut host, mut port, mut literal } = wanted;
        if let Some(found) = self.find_override(host, port) {
            host = &found.to_host;
            port = found.to_port.unwrap_or(port);
            literal = host.parse().ok();
        }
        if let Some(address) = literal {
            return Ok(Resolved { addresses: smallvec![address], port, took: None });
        }
        let (found, took, options) = match special(host) {
            // Both are this machine.
            Some(found) => (found?, None, DnsOptions { select: DnsSelect::First, ..self.options }),
            None => {
                let (found, took) = self.cached(host).await?;
                (found, took, self.options)
            }
        };
        let addresses = arrange(&found, options, caller);
        if addresses.is_empty() {
            let family = if options.policy == DnsPolicy::OnlyIpv4 { "IPv4" } else { "IPv6" };
            let detail = format!("look-up of `{host}` failed: it has no {family} address");
            return Err(NetError { fault: Fault::DNS_NO_SUCH_HOST, detail });
        }
        Ok(Resolved { addresses, port, took })
    }

    async fn cached(&self, host: &str) -> Result<(Addresses, Option<Duration>), NetError> {
        let begun = Instant::now();
        let mut waited = false;
        loop {
            let waiting = match self.cache.borrow().get(host) {
                Some(Entry::Known { found, until }) if waited || *until > begun => {
                    return found.clone().map(|found| (found, waited.then(|| begun.elapsed())));
                }
                Some(Entry::Asking(notify)) => Some(notify.clone()),
                _ => None,
            };
            let Some(notify) = waiting else { break };
            notify.notified().await;
            waited = true;
        }
        let asking = Asking { resolver: self, host, notify: Rc::new(Notify::new()) };
        self.insert(host, Entry::Asking(asking.notify.clone()));
        let (found, of_records) = self.look_up(host).await;
        let took = begun.elapsed();
        let ttl = match (&found, self.options.ttl) {
            (Err(_), _) => TTL_FAILED,
            (Ok(_), DnsTtl::OfRecords) => of_records.unwrap_or(TTL),
            (Ok(_), DnsTtl::For(ttl)) => ttl,
            (Ok(_), DnsTtl::Forever) => FOR_EVER,
        };
        self.insert(host, Entry::Known { found: found.clone(), until: Instant::now() + ttl });
        drop(asking);
        found.map(|found| (found, Some(took)))
    }

    /// Asks, and says how long the answer holds where that is known.
    async fn look_up(&self, host: &str) -> (Result<Addresses, NetError>, Option<Duration>) {
        if self.servers.is_empty() {
            return (look_up(host).await, None);
        }
        let name_servers = match self.name_servers.get() {
            Some(made) => made,
            None => match NameServers::new(&self.servers, self.options.policy) {
                Ok(made) => self.name_servers.get_or_init(|| made),
                Err(error) => return (Err(error), None),
            },
        };
        match name_servers.look_up(host).await {
            Ok((found, ttl)) => (Ok(found), Some(ttl)),
            Err(error) => (Err(error), None),
        }
    }

    fn insert(&self, host: &str, entry: Entry) {
        let mut cache = self.cache.borrow_mut();
        if cache.len() >= NAMES_MAX && !cache.contains_key(host) {
            cache.retain(|_, entry| matches!(entry, Entry::Asking(_)));
        }
        cache.insert(host.into(), entry);
    }
}

/// That a look-up is on its way. When it ends, in whatever way, those who wait for it go on.
struct Asking<'a> {
    resolver: &'a Resolver,
    host: &'a str,
    notify: Rc<Notify>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut cache = self.resolver.cache.borrow_mut();
        if matches!(cache.get(self.host), Some(Entry::Asking(_))) {
            cache.remove(self.host);
        }
        self.notify.notify_waiters();
    }
}

/// Names that no resolver is asked for (RFC 6761).
fn special(host: &str) -> Option<Result<Addresses, NetError>> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let is = |name: &str| host.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'));
    if is("localhost") {
        return Some(Ok(smallvec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]));
    }
    is("invalid").then(|| Err(no_such_host(host)))
}

async fn look_up(host: &str) -> Result<Addresses, NetError> {
    let found: Addresses = match tokio::net::lookup_host((host, 0)).await {
        Ok(found) => found.map(|socket| socket.ip()).collect(),
        Err(error) => return Err(classify(host, &error)),
    };
    if found.is_empty() { Err(no_such_host(host)) } else { Ok(found) }
}

pub(super) fn no_such_host(host: &str) -> NetError {
    NetError { fault: Fault::DNS_NO_SUCH_HOST, detail: format!("look-up of `{host}` failed: no such host") }
}

/// The standard library hides the resolver's number and gives its text only.
fn classify(host: &str, error: &io::Error) -> NetError {
    let text = error.to_string();
    let fault = if let Some(fault) = error.raw_os_error().and_then(super::classify::exhausted) {
        fault
    } else if ["not known", "No address", "nodename nor servname", "No such host"].iter().any(|s| text.contains(s)) {
        return no_such_host(host);
    } else {
        Fault::DNS
    };
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    NetError { fault, detail: format!("look-up of `{host}` failed: {text}") }
}

/// `host`, `host:port`, `[v6]:port`, `v6`.
fn split_port(text: &str) -> (&str, Option<u16>) {
    if text.parse::<IpAddr>().is_ok() {
        return (text, None);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (text, None),
        },
        None => (text, None),
    };
    (host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host), port)
}

#[cfg(test)]
mod tests {
    use super::super::target::Targets;
    use super::*;

    fn resolver(hosts: &[(&str, &str)]) -> Resolver {
        let hosts = hosts.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        Resolver::new(&HttpOptions { hosts, ..HttpOptions::default() })
    }

    async fn resolve(resolver: &Resolver, url: &str) -> Result<(Vec<String>, bool), NetError> {
        let target = Targets::new("").get(url).unwrap();
        let resolved = resolver.resolve(Wanted::from(&**target.origin()), &Caller::default()).await?;
        Ok((
            resolved.addresses.iter().map(|&ip| SocketAddr::new(ip, resolved.port).to_string()).collect(),
            resolved.took.is_some(),
        ))
    }

    #[tokio::test]
    async fn overrides_literals_and_special_names_make_no_look_up() {
        let resolver = resolver(&[
            ("shop.test", "10.0.0.1"),
            ("shop.test:443", "10.0.0.2:8443"),
            ("*.shop.test", "10.0.0.3:81"),
            ("*.deep.shop.test", "[::2]:82"),
            ("other.test", "::3"),
            ("named.test", "localhost:83"),
        ]);
        for (url, expected) in [
            ("http://shop.test/", vec!["10.0.0.1:80"]),
            ("http://SHOP.test:8080/", vec!["10.0.0.1:8080"]),
            ("https://shop.test/", vec!["10.0.0.2:8443"]),
            ("http://a.shop.test/", vec!["10.0.0.3:81"]),
            ("http://a.deep.shop.test/", vec!["[::2]:82"]),
            ("http://other.test/", vec!["[::3]:80"]),
            ("http://named.test/", vec!["127.0.0.1:83", "[::1]:83"]),
            ("http://127.0.0.1:84/", vec!["127.0.0.1:84"]),
            ("http://[::1]:85/", vec!["[::1]:85"]),
            ("http://localhost:86/", vec!["127.0.0.1:86", "[::1]:86"]),
            ("http://api.localhost/", vec!["127.0.0.1:80", "[::1]:80"]),
        ] {
            let (found, looked_up) = resolve(&resolver, url).await.unwrap();
            assert_eq!(found, expected, "{url}");
            assert!(!looked_up, "{url}");
        }
        assert!(resolver.cache.borrow().is_empty());
    }

    #[tokio::test]
    async fn a_name_that_cannot_exist_is_no_such_host() {
        let error = resolve(&resolver(&[]), "http://shop.invalid/").await.unwrap_err();
        assert_eq!(error.fault, Fault::DNS_NO_SUCH_HOST);
        assert_eq!(error.detail, "look-up of `shop.invalid` failed: no such host");
    }

    #[tokio::test]
    async fn the_cache_answers_until_its_time_is_over_and_stays_bounded() {
        let resolver = resolver(&[]);
        let known = |address: [u8; 4], until| Entry::Known { found: Ok(smallvec![IpAddr::from(address)]), until };
        let later = Instant::now() + TTL;
        resolver.insert("shop.test", known([10, 0, 0, 1], later));
        assert_eq!(resolve(&resolver, "http://shop.test/").await.unwrap(), (vec!["10.0.0.1:80".to_owned()], false));
        for id in 0..2 * NAMES_MAX {
            resolver.insert(&format!("shop{id}.test"), known([10, 0, 0, 1], later));
        }
        assert!(resolver.cache.borrow().len() <= NAMES_MAX);
    }

    #[tokio::test]
    async fn those_who_wait_for_a_look_up_share_its_answer_and_outlive_its_end() {
        let resolver = resolver(&[]);
        let asking = Asking { resolver: &resolver, host: "shop.test", notify: Rc::new(Notify::new()) };
        resolver.insert("shop.test", Entry::Asking(asking.notify.clone()));
        let answer = async {
            tokio::task::yield_now().await;
            let found = Ok(smallvec![IpAddr::from([10, 0, 0, 9])]);
            resolver.insert("shop.test", Entry::Known { found, until: Instant::now() });
            drop(asking);
        };
        let (one, two, ()) =
            tokio::join!(resolve(&resolver, "http://shop.test/"), resolve(&resolver, "http://shop.test/"), answer);
        assert_eq!(one.unwrap(), (vec!["10.0.0.9:80".to_owned()], true));
        assert_eq!(two.unwrap(), (vec!["10.0.0.9:80".to_owned()], true));
    }

    #[test]
    fn an_abandoned_look_up_leaves_no_trace() {
        let resolver = resolver(&[]);
        let asking = Asking { resolver: &resolver, host: "shop.test", notify: Rc::new(Notify::new()) };
        resolver.insert("shop.test", Entry::Asking(asking.notify.clone()));
        drop(asking);
        assert!(resolver.cache.borrow().is_empty());
    }

    #[test]
    fn resolver_texts_become_classes() {
        for (text, fault) in [
            ("failed to lookup address information: Name or service not known", Fault::DNS_NO_SUCH_HOST),
            ("failed to lookup address information: No address associated with hostname", Fault::DNS_NO_SUCH_HOST),
            ("failed to lookup address information: Temporary failure in name resolution", Fault::DNS),
        ] {
            assert_eq!(classify("shop.test", &io::Error::other(text)).fault, fault, "{text}");
        }
        let error = classify("shop.test", &io::Error::from_raw_os_error(libc::EMFILE));
        assert_eq!(error.fault, Fault::TOO_MANY_OPEN_FILES);
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_override_breaks_the_reader(text in "[0-9a-f.:\\[\\]a-z-]{0,30}|\\PC{0,10}") {
            let (host, _) = split_port(&text);
            prop_assert!(text.contains(host));
        }

        #[test]
        fn fuzz_an_address_with_its_port_reads_back(address: IpAddr, port: u16) {
            let text = SocketAddr::new(address, port).to_string();
            let (host, found) = split_port(&text);
            prop_assert_eq!((host.parse(), found), (Ok(address), Some(port)));
            prop_assert_eq!(split_port(&address.to_string()).1, None);
        }
    }
}
