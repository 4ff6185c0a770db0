//! How TLS is spoken: versions, cipher suites, trusted roots, client certificates.
//!
//! Certificates and keys are PEM, as texts or as paths of files; whoever makes connections reads them.

use std::fmt;

use serde_json::{Map, Value};

use super::error::{PlanError, list};
use super::fields::{Fields, Wrong};
use crate::units;

/// The cipher suites that there are, by their standard names, which are k6's too.
pub const CIPHER_SUITES: [&str; 9] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// A certificate that the client shows, and for which hosts.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsAuth {
    /// The certificate and those between it and the root: PEM, or a file of it.
    pub cert: String,
    /// Its private key: PEM, or a file of it.
    pub key: String,
    /// The password of the key, where it has one.
    pub password: Option<String>,
    /// The hosts: `shop.test`, `*.shop.test`; none means all.
    pub domains: Vec<String>,
}

impl TlsAuth {
    /// Whether it is shown to a host.
    #[must_use]
    pub fn is_for(&self, host: &str) -> bool {
        let suits = |domain: &String| match domain.strip_prefix("*.") {
            Some(parent) => host.strip_suffix(parent).is_some_and(|sub| sub.len() > 1 && sub.ends_with('.')),
            None => domain.eq_ignore_ascii_case(host),
        };
        self.domains.is_empty() || self.domains.iter().any(suits)
    }
}

impl fmt::Debug for TlsAuth {
    /// Without the key and its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsAuth").field("domains", &self.domains).finish_non_exhaustive()
    }
}

/// How TLS is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// Whether TLS 1.2 may be spoken.
    pub tls12: bool,
    /// Whether TLS 1.3 may be spoken.
    pub tls13: bool,
    /// The cipher suites that are offered, by the names of [`CIPHER_SUITES`]; of a version that has none here, all are.
    pub cipher_suites: Vec<String>,
    /// Roots that are trusted besides the system's: PEM, or files of it.
    pub ca: Vec<String>,
    /// Client certificates; the first that is for a host is shown to it.
    pub auth: Vec<TlsAuth>,
    /// The name that is asked for (SNI) and that the certificate must have, instead of the URL's host.
    pub server_name: Option<String>,
    /// Resume sessions: a VU's second connection to a host makes a short handshake.
    pub resumption: bool,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            tls12: true,
            tls13: true,
            cipher_suites: Vec::new(),
            ca: Vec::new(),
            auth: Vec::new(),
            server_name: None,
            resumption: false,
        }
    }
}

impl TlsOptions {
    /// These options, but for those that `fields` has. What is wrong is added to `errors`.
    pub(super) fn read(self, o: &Fields, errors: &mut Vec<PlanError>) -> Self {
        let (tls12, tls13) = o.read("tls_version", errors, versions).unwrap_or((self.tls12, self.tls13));
        Self {
            tls12,
            tls13,
            cipher_suites: o.read("tls_cipher_suites", errors, suites).unwrap_or(self.cipher_suites),
            ca: o.read("tls_ca", errors, |value| texts(value, "PEM or a file, or a list of these")).unwrap_or(self.ca),
            auth: o.read("tls_auth", errors, auths).unwrap_or(self.auth),
            server_name: o.text("tls_server_name", errors).or(self.server_name),
            resumption: o.flag("tls_resumption", errors).unwrap_or(self.resumption),
        }
    }
}

/// A text or a list of texts; PEM has no commas to divide it by.
fn texts(value: &Value, expected: &'static str) -> Result<Vec<String>, Wrong> {
    let text = |value: &Value| value.as_str().map(String::from).ok_or(Wrong::Type(expected));
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        other => Ok(vec![text(other)?]),
    }
}

/// Which versions may be spoken: `"tls1.2"` that one alone, `#{ min, max }` all between.
fn versions(value: &Value) -> Result<(bool, bool), Wrong> {
    let number = |value: &Value| match value.as_str().map(str::to_ascii_lowercase).as_deref() {
        Some("tls1.2" | "1.2") => Ok(2),
        Some("tls1.3" | "1.3") => Ok(3),
        Some(old @ ("ssl3.0" | "tls1.0" | "tls1.1" | "1.0" | "1.1")) => {
            Err(Wrong::Problem(format!("`{old}` is broken and not spoken here, expected `tls1.2` or `tls1.3`")))
        }
        _ => Err(Wrong::Type("`tls1.2`, `tls1.3`, or `#{ min: \"tls1.2\", max: \"tls1.3\" }`")),
    };
    let (min, max) = match value {
        Value::Object(map) => {
            if let Some(unknown) = map.keys().find(|key| !matches!(key.as_str(), "min" | "max")) {
                return Err(Wrong::Problem(format!("a range of versions has `min` and `max`, found `{unknown}`")));
            }
            (map.get("min").map_or(Ok(2), number)?, map.get("max").map_or(Ok(3), number)?)
        }
        one => (number(one)?, number(one)?),
    };
    if min > max {
        return Err(Wrong::Problem("`min` is above `max`".into()));
    }
    Ok((min == 2, max == 3))
}

fn suites(value: &Value) -> Result<Vec<String>, Wrong> {
    let names: Vec<String> = match value {
        Value::String(text) => text.split(',').map(|name| name.trim().to_owned()).collect(),
        other => texts(other, "names of cipher suites")?,
    };
    names
        .into_iter()
        .map(|name| {
            let standard = match &*name {
                // Go's older names, and so k6's.
                "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" => {
                    format!("{name}_SHA256")
                }
                _ => name,
            };
            if CIPHER_SUITES.contains(&&*standard) {
                return Ok(standard);
            }
            let hint = match units::nearest(&standard, CIPHER_SUITES) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("those without forward secrecy are not; there are {}", list(CIPHER_SUITES)),
            };
            Err(Wrong::Problem(format!("`{standard}` is not offered here; {hint}")))
        })
        .collect()
}

fn auths(value: &Value) -> Result<Vec<TlsAuth>, Wrong> {
    match value {
        Value::Array(items) => items.iter().map(auth).collect(),
        one => Ok(vec![auth(one)?]),
    }
}

fn auth(value: &Value) -> Result<TlsAuth, Wrong> {
    let map: &Map<String, Value> =
        value.as_object().ok_or(Wrong::Type("a list of `#{ cert: \"...\", key: \"...\", domains: [\"...\"] }`"))?;
    for key in map.keys() {
        match key.as_str() {
            "cert" | "key" | "password" | "domains" => {}
            other => {
                return Err(Wrong::Problem(format!(
                    "a client certificate has `cert`, `key`, `password`, `domains`, found `{other}`"
                )));
            }
        }
    }
    let text = |name: &str| {
        let found = map.get(name).and_then(Value::as_str);
        found.map(String::from).ok_or_else(|| Wrong::Problem(format!("a client certificate needs the text `{name}`")))
    };
    let domains = map.get("domains").map_or(Ok(Vec::new()), |value| texts(value, "hosts, for `domains`"))?;
    let password = match map.get("password").filter(|value| !value.is_null()) {
        None => None,
        Some(value) => {
            let text = value.as_str().ok_or_else(|| Wrong::Problem("the `password` of a key is a text".into()))?;
            // An empty one is what a variable gives that is not set.
            Some(text.to_owned()).filter(|text| !text.is_empty())
        }
    };
    Ok(TlsAuth { cert: text("cert")?, key: text("key")?, password, domains })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(wrong: Wrong) -> String {
        wrong.at("x".into(), crate::plan::Source::Script, &Value::Null).to_string()
    }

    #[test]
    fn versions_are_one_or_a_range() {
        for (value, expected) in [
            (json!("tls1.2"), (true, false)),
            (json!("TLS1.3"), (false, true)),
            (json!({ "min": "tls1.2", "max": "tls1.3" }), (true, true)),
            (json!({ "min": "tls1.3" }), (false, true)),
            (json!({ "max": "tls1.2" }), (true, false)),
        ] {
            assert_eq!(versions(&value).ok(), Some(expected), "{value}");
        }
        for (value, why) in [
            (json!("tls1.1"), "`tls1.1` is broken and not spoken here"),
            (json!({ "min": "tls1.3", "max": "tls1.2" }), "`min` is above `max`"),
            (json!({ "least": "tls1.3" }), "found `least`"),
            (json!(3), "expected `tls1.2`"),
        ] {
            let found = versions(&value).map_err(text).unwrap_err();
            assert!(found.contains(why), "{found}");
        }
    }

    #[test]
    fn suites_have_their_standard_names() {
        let one = "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305";
        assert_eq!(suites(&json!([one])).ok(), Some(vec![format!("{one}_SHA256")]));
        let found = suites(&json!("TLS_AES_128_GCM_SHA25")).map_err(text).unwrap_err();
        assert!(found.contains("did you mean `TLS_AES_128_GCM_SHA256`?"), "{found}");
    }

    #[test]
    fn certificates_are_for_hosts() {
        let all = auths(&json!([
            { "cert": "a", "key": "b", "domains": ["shop.test", "*.api.test"] },
            { "cert": "c", "key": "d" },
        ]));
        let Ok(all) = all else { panic!("they are read") };
        for (host, first) in [("shop.test", true), ("a.api.test", true), ("api.test", false), (".api.test", false)] {
            assert_eq!((all[0].is_for(host), all[1].is_for(host)), (first, true), "{host}");
        }
        for (value, why) in [
            (json!({ "cert": "a" }), "needs the text `key`"),
            (json!({ "cert": "a", "key": "b", "password": 7 }), "the `password` of a key is a text"),
            (json!({ "cert": "a", "key": "b", "domain": "c" }), "found `domain`"),
        ] {
            let found = auths(&value).map_err(text).unwrap_err();
            assert!(found.contains(why), "{found}");
        }
    }
}
