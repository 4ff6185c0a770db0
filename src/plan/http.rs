//! How requests are made: the options about HTTP, read from one table of names.
//!
//! The run has one set of them, and each `http::client(#{ ... })` another, made of the run's by laying the client's own
//! over it ([`HttpOptions::overlaid`]). An option that is added here is there for both.

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::{Map, Value};

use super::addresses::{HostPattern, LocalIps, network};
use super::dns::{self, DnsOptions};
use super::error::PlanError;
use super::fields::{Fields, canonical};
use super::layer::Source;
use super::proxy::{NoProxy, Proxies};
use super::tls::TlsOptions;
use crate::units;

/// The names of the options about HTTP, by which the run and clients know them.
pub(super) const OPTIONS: &[&str] = &[
    "timeout",
    "max_redirects",
    "user_agent",
    "http_version",
    "share_connections",
    "insecure_skip_tls_verify",
    "tls_version",
    "tls_cipher_suites",
    "tls_ca",
    "tls_auth",
    "tls_server_name",
    "tls_resumption",
    "no_cookies_reset",
    "no_connection_reuse",
    "no_vu_connection_reuse",
    "discard_response_bodies",
    "max_body",
    "batch",
    "batch_per_host",
    "connections_per_host",
    "hosts",
    "throw",
    "trace_context",
    "http_debug",
    "connect_timeout",
    "dns",
    "dns_servers",
    "local_ips",
    "unix_socket",
    "blacklist_ips",
    "block_ips",
    "block_hostnames",
    "proxy",
    "no_proxy",
    "save_dir",
    "bandwidth",
];

/// Which version of HTTP a request is made in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// What the server prefers under TLS (ALPN), HTTP/1.1 without.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2; without TLS, too, where the server has to know it beforehand.
    Http2,
    /// HTTP/2 without TLS, what the server prefers under TLS.
    H2c,
}

impl HttpVersion {
    /// What users write.
    pub const NAMES: [&str; 4] = ["auto", "1.1", "2", "h2c"];

    /// The version of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name.trim() {
            "auto" => Some(Self::Auto),
            "1.1" | "1" | "HTTP/1.1" => Some(Self::Http1),
            "2" | "2.0" | "h2" | "HTTP/2" => Some(Self::Http2),
            "h2c" => Some(Self::H2c),
            _ => None,
        }
    }
}

/// What is told of each request, for whoever looks for a mistake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpDebug {
    /// Nothing.
    #[default]
    Off,
    /// Requests and responses with their headers.
    Headers,
    /// The same with the beginnings of their bodies.
    Full,
    /// Only requests that failed, in full; a bounded number of them.
    Failed,
}

impl HttpDebug {
    /// The setting of that name, as users write it; `true` is k6's for the headers.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "" | "false" | "off" => Some(Self::Off),
            "true" | "headers" => Some(Self::Headers),
            "full" => Some(Self::Full),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// How requests are made unless a request says otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpOptions {
    /// How long a request may take in all (k6: 60 s).
    pub timeout: Duration,
    /// How many redirects are followed (k6: 10).
    pub max_redirects: u32,
    /// The `User-Agent` header; empty sends none (default: `loadr/` and the version).
    pub user_agent: String,
    /// The version of HTTP.
    pub http_version: HttpVersion,
    /// How TLS is spoken.
    pub tls: TlsOptions,
    /// Let the VUs of a worker share connections.
    pub share_connections: bool,
    /// Accept any certificate.
    pub insecure_skip_tls_verify: bool,
    /// Keep cookies from iteration to iteration.
    pub no_cookies_reset: bool,
    /// Open a connection for each request.
    pub no_connection_reuse: bool,
    /// Close the connections at the end of each iteration.
    pub no_vu_connection_reuse: bool,
    /// Read bodies but do not keep them.
    pub discard_response_bodies: bool,
    /// The most bytes of a body that are kept; a longer body is an error (default: 64 MiB).
    pub max_body: u64,
    /// Requests of a `batch` at once (k6: 20).
    pub batch: u32,
    /// Requests of a `batch` at once to one host (k6: 6).
    pub batch_per_host: u32,
    /// Connections to one host at once, of a VU or, where they are shared, of a worker; 0 sets no bound.
    pub connections_per_host: u32,
    /// Connect to this address instead, by host (`shop.test` or `shop.test:443`).
    pub hosts: BTreeMap<String, String>,
    /// Make a failed request an exception.
    pub throw: bool,
    /// Send the header `traceparent` with each request.
    pub trace_context: bool,
    /// What is told of each request.
    pub http_debug: HttpDebug,
    /// How long connecting may take, all addresses and a proxy's tunnel included (k6's dialer: 30 s).
    pub connect_timeout: Duration,
    /// How names become addresses.
    pub dns: DnsOptions,
    /// DNS servers to ask; none: the system's resolver.
    pub dns_servers: Vec<SocketAddr>,
    /// Addresses to connect from, one a VU; none: the system chooses.
    pub local_ips: LocalIps,
    /// Connect to this Unix socket, whatever the URL's host.
    pub unix_socket: Option<PathBuf>,
    /// Networks that are never connected to.
    pub blacklist_ips: Vec<IpNet>,
    /// Hosts that are never asked.
    pub block_hostnames: Vec<HostPattern>,
    /// Which proxies are asked.
    pub proxies: Proxies,
    /// The directory below which responses may be saved (default: the working directory). Scripts can't set it.
    pub save_dir: PathBuf,
    /// How fast bytes may go over each connection.
    pub bandwidth: Bandwidth,
}

/// How many bytes a second may go over a connection; none in a direction that is not bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// To the target.
    pub up: Option<u64>,
    /// From the target.
    pub down: Option<u64>,
}

impl Bandwidth {
    /// Whether a direction is bounded.
    #[must_use]
    pub fn is_bounded(self) -> bool {
        self.up.is_some() || self.down.is_some()
    }

    /// A bandwidth in JSON: `"5MB/s"` or a number of bytes a second for both directions, or a map of `up` and `down`.
    ///
    /// # Errors
    /// What was expected, and what is there instead.
    pub fn read(value: &Value) -> Result<Self, String> {
        let rate =
            |value: &Value| match value {
                Value::String(text) => units::parse_bandwidth(text).map_err(|error| error.to_string()),
                Value::Number(number) => match number.as_u64() {
                    Some(rate @ 1..) => Ok(rate),
                    _ => Err(format!("expected a number of bytes a second from 1, found {number}")),
                },
                _ => Err("expected a text such as `5MB/s`, a number of bytes a second, or a map of `up` and `down`"
                    .to_owned()),
            };
        let Value::Object(map) = value else {
            return rate(value).map(|rate| Self { up: Some(rate), down: Some(rate) });
        };
        let mut bandwidth = Self::default();
        for (direction, value) in map {
            match direction.as_str() {
                "up" => bandwidth.up = Some(rate(value)?),
                "down" => bandwidth.down = Some(rate(value)?),
                other => return Err(format!("expected a map of `up` and `down`, found `{other}`")),
            }
        }
        Ok(bandwidth)
    }
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            max_redirects: 10,
            user_agent: concat!("loadr/", env!("CARGO_PKG_VERSION")).into(),
            http_version: HttpVersion::Auto,
            tls: TlsOptions::default(),
            share_connections: false,
            insecure_skip_tls_verify: false,
            no_cookies_reset: false,
            no_connection_reuse: false,
            no_vu_connection_reuse: false,
            discard_response_bodies: false,
            max_body: 64 << 20,
            batch: 20,
            batch_per_host: 6,
            connections_per_host: 0,
            hosts: BTreeMap::new(),
            throw: false,
            trace_context: false,
            http_debug: HttpDebug::Off,
            connect_timeout: Duration::from_secs(30),
            dns: DnsOptions::default(),
            dns_servers: Vec::new(),
            local_ips: LocalIps::default(),
            unix_socket: None,
            blacklist_ips: Vec::new(),
            block_hostnames: Vec::new(),
            proxies: Proxies::default(),
            save_dir: PathBuf::from("."),
            bandwidth: Bandwidth::default(),
        }
    }
}

impl HttpOptions {
    /// These options, but for those that `fields` has. What is wrong is added to `errors`.
    pub(super) fn read(self, fields: &Fields, errors: &mut Vec<PlanError>) -> Self {
        let o = fields;
        let mut at_least_one = |name, before| match o.count_u32(name, errors) {
            Some(0) => {
                errors.push(o.invalid(name, "expected at least 1, found 0"));
                before
            }
            count => count.unwrap_or(before),
        };
        let batch = at_least_one("batch", self.batch);
        let batch_per_host = at_least_one("batch_per_host", self.batch_per_host);
        // What a script may write is not the script's to say.
        let mut save_dir = o.text("save_dir", errors).map(PathBuf::from);
        if matches!(o.origin("save_dir"), Some(Source::Script | Source::Client)) {
            let why = "a script can't choose where files may be written: whoever starts the run does, by `--save-dir`";
            errors.push(o.invalid("save_dir", why));
            save_dir = None;
        }
        let read = Self {
            timeout: o.duration("timeout", errors).unwrap_or(self.timeout),
            max_redirects: o.count_u32("max_redirects", errors).unwrap_or(self.max_redirects),
            user_agent: o.text("user_agent", errors).unwrap_or(self.user_agent),
            http_version: o.http_version("http_version", errors).unwrap_or(self.http_version),
            tls: self.tls.read(o, errors),
            share_connections: o.flag("share_connections", errors).unwrap_or(self.share_connections),
            insecure_skip_tls_verify: o
                .flag("insecure_skip_tls_verify", errors)
                .unwrap_or(self.insecure_skip_tls_verify),
            no_cookies_reset: o.flag("no_cookies_reset", errors).unwrap_or(self.no_cookies_reset),
            no_connection_reuse: o.flag("no_connection_reuse", errors).unwrap_or(self.no_connection_reuse),
            no_vu_connection_reuse: o.flag("no_vu_connection_reuse", errors).unwrap_or(self.no_vu_connection_reuse),
            discard_response_bodies: o.flag("discard_response_bodies", errors).unwrap_or(self.discard_response_bodies),
            max_body: o.bytes("max_body", errors).unwrap_or(self.max_body),
            batch,
            batch_per_host,
            connections_per_host: o.count_u32("connections_per_host", errors).unwrap_or(self.connections_per_host),
            hosts: self.hosts.into_iter().chain(o.text_map("hosts", errors)).collect(),
            throw: o.flag("throw", errors).unwrap_or(self.throw),
            trace_context: o.flag("trace_context", errors).unwrap_or(self.trace_context),
            http_debug: o.http_debug("http_debug", errors).unwrap_or(self.http_debug),
            connect_timeout: o.duration("connect_timeout", errors).unwrap_or(self.connect_timeout),
            dns: o.read("dns", errors, |value| self.dns.read(value)).unwrap_or(self.dns),
            dns_servers: listed(o, "dns_servers", errors, dns::server).unwrap_or(self.dns_servers),
            local_ips: parsed(o, "local_ips", errors, LocalIps::parse).unwrap_or(self.local_ips),
            unix_socket: match o.text("unix_socket", errors) {
                Some(path) => Some(path).filter(|path| !path.is_empty()).map(PathBuf::from),
                None => self.unix_socket,
            },
            // What the run blocks stays blocked for its clients.
            blacklist_ips: ["blacklist_ips", "block_ips"].into_iter().fold(self.blacklist_ips, |mut all, name| {
                all.extend(listed(o, name, errors, network).into_iter().flatten());
                all
            }),
            block_hostnames: {
                let more = listed(o, "block_hostnames", errors, HostPattern::parse);
                self.block_hostnames.into_iter().chain(more.into_iter().flatten()).collect()
            },
            proxies: proxies(self.proxies, o, errors),
            save_dir: save_dir.unwrap_or(self.save_dir),
            bandwidth: o.bandwidth("bandwidth", errors).unwrap_or(self.bandwidth),
        };
        read.contradictions(o, errors);
        read
    }

    /// Adds options to `errors` that can't both be meant.
    fn contradictions(&self, o: &Fields, errors: &mut Vec<PlanError>) {
        // A client may well have another version than that which the run's suites are of.
        let given = o.origin("tls_cipher_suites").is_some() && o.origin("tls_version").is_some();
        let suites = |version: &str| given && self.tls.cipher_suites.iter().any(|name| is_suite_of(name, version));
        let both = [
            (
                ("share_connections", self.share_connections),
                ("no_vu_connection_reuse", self.no_vu_connection_reuse),
                "the one hands connections on from virtual user to virtual user, the other gives each iteration new ones",
            ),
            (
                ("share_connections", self.share_connections),
                ("no_connection_reuse", self.no_connection_reuse),
                "with a new connection for each request there is nothing to share",
            ),
            (
                ("tls_cipher_suites", suites("1.2") && !suites("1.3")),
                ("tls_version", !self.tls.tls12),
                "the suites are those of TLS 1.2, which the version leaves out",
            ),
            (
                ("tls_cipher_suites", suites("1.3") && !suites("1.2")),
                ("tls_version", !self.tls.tls13),
                "the suites are those of TLS 1.3, which the version leaves out",
            ),
        ];
        for ((one, is_one), (other, is_other), why) in both {
            if !(is_one && is_other) {
                continue;
            }
            match (o.origin(one), o.origin(other)) {
                (Some(origin), Some(same)) if origin == same => {
                    errors.push(PlanError::Conflict { one: one.into(), other: other.into(), origin, why });
                }
                (Some(_), Some(later)) if o.origin(one) < Some(later) => {
                    errors.push(o.invalid(other, format!("it and `{one}` exclude each other: {why}")));
                }
                (Some(_), _) => errors.push(o.invalid(one, format!("it and `{other}` exclude each other: {why}"))),
                (None, Some(_)) => errors.push(o.invalid(other, format!("it and `{one}` exclude each other: {why}"))),
                // Whoever gave both was told.
                (None, None) => {}
            }
        }
    }

    /// The names of all of them, in `snake_case`.
    #[must_use]
    pub fn names() -> &'static [&'static str] {
        OPTIONS
    }

    /// Whether there is one of this name, in `snake_case` or `camelCase`.
    #[must_use]
    pub fn has(name: &str) -> bool {
        canonical(name, OPTIONS).is_some()
    }

    /// The options of a client of its own: these, but for those that `own` names, in `snake_case` or `camelCase`.
    ///
    /// # Errors
    /// Everything that is wrong with `own`: unknown names, wrong types, values without sense.
    pub fn overlaid(&self, own: &Map<String, Value>) -> Result<Self, Vec<PlanError>> {
        let (mut fields, mut errors) = (Fields::default(), Vec::new());
        fields.take(own, Source::Client, OPTIONS, &mut errors);
        let options = self.clone().read(&fields, &mut errors);
        if errors.is_empty() { Ok(options) } else { Err(errors) }
    }
}

/// Whether a cipher suite is one of TLS 1.2 or of TLS 1.3.
fn is_suite_of(name: &str, version: &str) -> bool {
    name.contains("_WITH_") == (version == "1.2")
}

/// A list of texts as what `parse` makes of it.
fn parsed<T>(
    o: &Fields,
    name: &'static str,
    errors: &mut Vec<PlanError>,
    parse: impl FnOnce(&[String]) -> Result<T, String>,
) -> Option<T> {
    let texts = o.texts(name, errors)?;
    parse(&texts).map_err(|problem| errors.push(o.invalid(name, problem))).ok()
}

/// A list of texts, each as what `parse` makes of it; empty ones are passed over.
fn listed<T>(
    o: &Fields,
    name: &'static str,
    errors: &mut Vec<PlanError>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    parsed(o, name, errors, |texts| texts.iter().filter(|text| !text.is_empty()).map(|text| parse(text)).collect())
}

fn proxies(before: Proxies, o: &Fields, errors: &mut Vec<PlanError>) -> Proxies {
    let except = parsed(o, "no_proxy", errors, NoProxy::parse).unwrap_or(before.except);
    match o.read("proxy", errors, Proxies::read) {
        // The defaults are what the environment gives.
        Some((http, https)) => {
            Proxies { http, https, except, of_environment: o.origin("proxy") == Some(Source::Default) }
        }
        None => Proxies { except, ..before },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::dns::{DnsPolicy, DnsSelect, DnsTtl};
    use super::*;

    fn overlaid(options: &HttpOptions, own: Value) -> Result<HttpOptions, Vec<String>> {
        let Value::Object(own) = own else { panic!("a map") };
        options.overlaid(&own).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_client_has_the_options_of_the_run_but_for_its_own() {
        let run = HttpOptions {
            max_redirects: 3,
            hosts: BTreeMap::from([("a.test".into(), "10.0.0.1".into()), ("b.test".into(), "10.0.0.2".into())]),
            ..HttpOptions::default()
        };
        let own = json!({ "timeout": "5s", "userAgent": "shop", "hosts": { "b.test": "10.0.0.3" }, "throw": true });
        let expected = HttpOptions {
            timeout: Duration::from_secs(5),
            user_agent: "shop".into(),
            hosts: BTreeMap::from([("a.test".into(), "10.0.0.1".into()), ("b.test".into(), "10.0.0.3".into())]),
            throw: true,
            ..run.clone()
        };
        assert_eq!(overlaid(&run, own), Ok(expected));
        assert_eq!(overlaid(&run, json!({})), Ok(run));
    }

    #[test]
    fn names_and_network_are_options_of_the_run_and_of_clients() {
        let run = overlaid(&HttpOptions::default(), json!({
            "connectTimeout": "2s", "dns": { "ttl": "1m", "select": "first" }, "dnsServers": "10.0.0.2,[::1]:5353",
            "localIPs": "127.0.0.2-127.0.0.5", "unixSocket": "/run/app.sock", "blacklistIPs": ["10.0.0.0/8"],
            "block_ips": "192.0.2.1", "blockHostnames": ["*.ads.test"], "proxy": "proxy.test:3128", "noProxy": "a.test,b.test",
        })).unwrap();
        assert_eq!(run.connect_timeout, Duration::from_secs(2));
        let dns =
            DnsOptions { ttl: DnsTtl::For(Duration::from_secs(60)), select: DnsSelect::First, ..DnsOptions::default() };
        assert_eq!(run.dns, dns);
        assert_eq!(run.dns_servers, ["10.0.0.2:53".parse().unwrap(), "[::1]:5353".parse().unwrap()]);
        assert_eq!(run.local_ips.count(), 4);
        assert_eq!(run.unix_socket, Some("/run/app.sock".into()));
        assert_eq!(run.blacklist_ips, ["10.0.0.0/8".parse().unwrap(), "192.0.2.1/32".parse().unwrap()]);
        assert_eq!(run.block_hostnames.len(), 1);
        assert!(run.proxies.of(true, "shop.test", 443, None).is_some() && !run.proxies.of_environment);
        assert!(run.proxies.of(true, "a.test", 443, None).is_none());

        // A client changes what it names; what is blocked stays blocked.
        let own = json!({ "dns": "policy=any", "unixSocket": "", "proxy": "", "blockIps": "192.0.2.2", "blockHostnames": [] });
        let client = overlaid(&run, own).unwrap();
        assert_eq!((client.dns.select, client.dns.policy), (DnsSelect::First, DnsPolicy::Any));
        assert_eq!((client.unix_socket, client.blacklist_ips.len(), client.block_hostnames.len()), (None, 3, 1));
        assert!(client.proxies.of(true, "shop.test", 443, None).is_none());
    }

    #[test]
    fn what_is_wrong_with_names_and_network_is_told() {
        let own = json!({
            "dns": { "select": "best" }, "dns_servers": ["dns.test"], "local_ips": "eth0", "blacklist_ips": ["x"],
            "block_hostnames": ["a.*"], "proxy": "ftp://u:secret@a", "no_proxy": "a b", "connect_timeout": "soon",
        });
        let errors = overlaid(&HttpOptions::default(), own).unwrap_err();
        for (error, part) in errors.iter().zip([
            "option `connect_timeout` in the settings of a client: ",
            "option `dns` in the settings of a client: `select`: expected one of `first`, `random`, `roundRobin`",
            "option `dns_servers` in the settings of a client: expected the address of a DNS server",
            "option `local_ips` in the settings of a client: expected an address, a range",
            "option `blacklist_ips` in the settings of a client: expected a network",
            "option `block_hostnames` in the settings of a client: expected a host name",
            "option `no_proxy` in the settings of a client: expected a host",
            "option `proxy` in the settings of a client: expected the URL of a proxy",
        ]) {
            assert!(error.contains(part) && !error.contains("secret"), "{error}\n{part}");
        }
        assert_eq!(errors.len(), 8);
    }

    #[test]
    fn what_can_not_both_be_meant_is_told() {
        let shared =
            overlaid(&HttpOptions::default(), json!({ "share_connections": true, "connections_per_host": 3 })).unwrap();
        assert!(shared.share_connections && shared.connections_per_host == 3);
        for (run, own, expected) in [
            (
                &HttpOptions::default(),
                json!({ "shareConnections": true, "noVUConnectionReuse": true }),
                "options `share_connections` and `no_vu_connection_reuse` in the settings of a client exclude each other: \
                 the one hands",
            ),
            (
                &shared,
                json!({ "no_connection_reuse": true }),
                "option `no_connection_reuse` in the settings of a client: it and `share_connections` exclude each other: \
                 with a new connection",
            ),
            (
                &HttpOptions::default(),
                json!({ "tls_version": "tls1.3", "tls_cipher_suites": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" }),
                "options `tls_cipher_suites` and `tls_version` in the settings of a client exclude each other: the suites",
            ),
        ] {
            let errors = overlaid(run, own).unwrap_err();
            assert!(errors.len() == 1 && errors[0].starts_with(expected), "{errors:?}\n{expected}");
        }
        // Of a version that has no suite in it, all are offered.
        let run =
            overlaid(&HttpOptions::default(), json!({ "tls_cipher_suites": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" }));
        assert!(overlaid(&run.unwrap(), json!({ "tls_version": "tls1.3" })).is_ok());
        assert!(overlaid(&shared, json!({ "share_connections": false, "no_connection_reuse": true })).is_ok());
    }

    #[test]
    fn of_two_sources_the_one_that_counts_more_is_told() {
        let mut fields = Fields::default();
        for (source, options) in [
            (Source::Script, json!({ "no_vu_connection_reuse": true })),
            (Source::Flag, json!({ "share_connections": true })),
        ] {
            let Value::Object(options) = options else { panic!("a map") };
            fields.take(&options, source, OPTIONS, &mut Vec::new());
        }
        let mut errors = Vec::new();
        HttpOptions::default().read(&fields, &mut errors);
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let start =
            "option `share_connections` in the command line: it and `no_vu_connection_reuse` exclude each other";
        assert!(told.len() == 1 && told[0].starts_with(start), "{told:?}");
    }

    #[test]
    fn where_files_may_be_written_is_not_a_scripts_to_say() {
        let errors = overlaid(&HttpOptions::default(), json!({ "save_dir": "/etc" })).unwrap_err();
        let expected = "option `save_dir` in the settings of a client: a script can't choose where files may be written: \
                        whoever starts the run does, by `--save-dir`";
        assert_eq!(errors, [expected]);
        let mut fields = Fields::default();
        let Value::Object(flags) = json!({ "save_dir": "out" }) else { panic!("a map") };
        fields.take(&flags, Source::Flag, OPTIONS, &mut Vec::new());
        let mut errors = Vec::new();
        let read = HttpOptions::default().read(&fields, &mut errors);
        assert_eq!((read.save_dir, errors), (PathBuf::from("out"), Vec::new()));
    }

    #[test]
    fn all_that_is_wrong_with_a_client_is_told() {
        let errors = overlaid(&HttpOptions::default(), json!({ "timeot": 1, "batch": 0, "throw": 7 })).unwrap_err();
        let expected = [
            "unknown option `timeot` in the settings of a client; did you mean `timeout`?",
            "option `batch` in the settings of a client: expected at least 1, found 0",
            "option `throw` in the settings of a client: expected `true` or `false`, found the number 7",
        ];
        assert_eq!(errors, expected);
    }
}
