//! How requests are made: the options about HTTP, read from one table of names.
//!
//! The run has one set of them, and each `http::client(#{ ... })` another, made of the run's by laying the client's own
//! over it ([`HttpOptions::overlaid`]). An option that is added here is there for both.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::error::PlanError;
use super::fields::{Fields, canonical};
use super::layer::Source;
use super::tls::TlsOptions;

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
    "hosts",
    "throw",
    "trace_context",
    "save_dir",
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
    /// Connect to this address instead, by host (`shop.test` or `shop.test:443`).
    pub hosts: BTreeMap<String, String>,
    /// Make a failed request an exception.
    pub throw: bool,
    /// Send the header `traceparent` with each request.
    pub trace_context: bool,
    /// The directory below which responses may be saved (default: the working directory). Scripts can't set it.
    pub save_dir: PathBuf,
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
            hosts: BTreeMap::new(),
            throw: false,
            trace_context: false,
            save_dir: PathBuf::from("."),
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
        Self {
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
            hosts: self.hosts.into_iter().chain(o.text_map("hosts", errors)).collect(),
            throw: o.flag("throw", errors).unwrap_or(self.throw),
            trace_context: o.flag("trace_context", errors).unwrap_or(self.trace_context),
            save_dir: save_dir.unwrap_or(self.save_dir),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

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
