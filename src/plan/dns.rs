//! The option `dns`: how names become addresses, and which of several addresses a connection takes. k6's words.

use core::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_json::{Map, Value};

use super::error::list;
use super::fields::{Wrong, describe, duration};
use crate::units;

/// How names become addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsOptions {
    /// How long an answer is used.
    pub ttl: DnsTtl,
    /// Which of several addresses a connection tries first.
    pub select: DnsSelect,
    /// Which family of addresses it takes.
    pub policy: DnsPolicy,
}

/// How long an answer is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsTtl {
    /// As long as its records say, where the resolver tells; else five minutes.
    #[default]
    OfRecords,
    /// This long; zero asks for each connection.
    For(Duration),
    /// For the whole run.
    Forever,
}

/// Which of several addresses a connection tries first; the others follow when it does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsSelect {
    /// The first that the resolver gave.
    First,
    /// Any, by the run's seed.
    #[default]
    Random,
    /// One after the other: VU n begins with the n-th, each of its further connections takes the next.
    RoundRobin,
}

/// Which family of addresses is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsPolicy {
    /// IPv4 first, IPv6 when there is no other or the first does not answer.
    #[default]
    PreferIpv4,
    /// The other way round.
    PreferIpv6,
    /// IPv4 alone.
    OnlyIpv4,
    /// IPv6 alone.
    OnlyIpv6,
    /// As the resolver orders them.
    Any,
}

const KEYS: [&str; 3] = ["ttl", "select", "policy"];

const SELECTS: [(&str, DnsSelect); 3] =
    [("first", DnsSelect::First), ("random", DnsSelect::Random), ("roundRobin", DnsSelect::RoundRobin)];

const POLICIES: [(&str, DnsPolicy); 5] = [
    ("preferIPv4", DnsPolicy::PreferIpv4),
    ("preferIPv6", DnsPolicy::PreferIpv6),
    ("onlyIPv4", DnsPolicy::OnlyIpv4),
    ("onlyIPv6", DnsPolicy::OnlyIpv6),
    ("any", DnsPolicy::Any),
];

impl DnsPolicy {
    /// Whether it takes addresses of this family at all.
    #[must_use]
    pub fn takes(self, address: IpAddr) -> bool {
        match self {
            Self::OnlyIpv4 => address.is_ipv4(),
            Self::OnlyIpv6 => address.is_ipv6(),
            _ => true,
        }
    }

    /// Whether this family goes before the other.
    #[must_use]
    pub fn prefers(self, address: IpAddr) -> bool {
        match self {
            Self::PreferIpv4 | Self::OnlyIpv4 => address.is_ipv4(),
            Self::PreferIpv6 | Self::OnlyIpv6 => address.is_ipv6(),
            Self::Any => true,
        }
    }
}

impl DnsOptions {
    /// These, but for those that `value` gives: a map, or a text such as `ttl=5m,select=first`.
    pub(super) fn read(mut self, value: &Value) -> Result<Self, Wrong> {
        let map = match value {
            Value::Object(map) => map.clone(),
            Value::String(text) => split(text).map_err(Wrong::Problem)?,
            _ => return Err(Wrong::Type("a map such as `#{ ttl: \"5m\", select: \"random\", policy: \"any\" }`")),
        };
        for (key, value) in &map {
            match key.as_str() {
                "ttl" => self.ttl = ttl(value)?,
                "select" => self.select = named(key, value, &SELECTS)?,
                "policy" => self.policy = named(key, value, &POLICIES)?,
                unknown => {
                    let hint = units::nearest(unknown, KEYS)
                        .map_or_else(|| format!("there are {}", list(KEYS)), |near| format!("did you mean `{near}`?"));
                    return Err(Wrong::Problem(format!("there is no `{unknown}`; {hint}")));
                }
            }
        }
        Ok(self)
    }
}

/// `ttl=5m,select=first` as a map.
///
/// # Errors
/// What stands where `KEY=VALUE` was expected.
pub fn split(text: &str) -> Result<Map<String, Value>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| match part.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_owned(), Value::from(value.trim()))),
            None => Err(format!("expected a text such as `ttl=5m,select=first,policy=any`, found `{part}`")),
        })
        .collect()
}

fn ttl(value: &Value) -> Result<DnsTtl, Wrong> {
    if value.as_str() == Some("inf") {
        return Ok(DnsTtl::Forever);
    }
    let inside = |wrong| match wrong {
        Wrong::Unit(error) => Wrong::Problem(format!("`ttl`: {error}; `inf` keeps answers for ever")),
        _ => Wrong::Problem(format!("`ttl`: expected a duration, `0` or `inf`, found {}", describe(value))),
    };
    duration(value).map(DnsTtl::For).map_err(inside)
}

fn named<T: Copy>(key: &str, value: &Value, names: &[(&'static str, T)]) -> Result<T, Wrong> {
    let wanted = value.as_str().unwrap_or_default();
    let found = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|&(_, value)| value);
    found.ok_or_else(|| {
        let names = list(names.iter().map(|&(name, _)| name));
        Wrong::Problem(format!("`{key}`: expected one of {names}, found {}", describe(value)))
    })
}

/// A DNS server: `10.0.0.2`, `10.0.0.2:5353`, `[::1]:53`. Without a port, it is 53.
pub(super) fn server(text: &str) -> Result<SocketAddr, String> {
    let alone = |text: &str| text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 53));
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    text.parse().ok().or_else(|| alone(bare)).ok_or_else(|| {
        format!("expected the address of a DNS server such as `10.0.0.2` or `10.0.0.2:53`, found `{text}`")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<DnsOptions, String> {
        DnsOptions::default().read(&value).map_err(|wrong| match wrong {
            Wrong::Problem(problem) => problem,
            Wrong::Type(expected) => format!("expected {expected}"),
            Wrong::Unit(error) => error.to_string(),
        })
    }

    #[test]
    fn maps_and_texts_are_read_alike() {
        let minutes = |m: u64| DnsTtl::For(Duration::from_secs(60 * m));
        for (value, ttl, select, policy) in [
            (json!({}), DnsTtl::OfRecords, DnsSelect::Random, DnsPolicy::PreferIpv4),
            (json!({ "ttl": "5m" }), minutes(5), DnsSelect::Random, DnsPolicy::PreferIpv4),
            (json!({ "ttl": 60_000 }), minutes(1), DnsSelect::Random, DnsPolicy::PreferIpv4),
            (json!({ "ttl": "0" }), minutes(0), DnsSelect::Random, DnsPolicy::PreferIpv4),
            (
                json!({ "ttl": "inf", "select": "roundRobin" }),
                DnsTtl::Forever,
                DnsSelect::RoundRobin,
                DnsPolicy::PreferIpv4,
            ),
            (json!("ttl=1m, select=first,policy=onlyIPv6"), minutes(1), DnsSelect::First, DnsPolicy::OnlyIpv6),
            (json!("policy=any,select=roundrobin"), DnsTtl::OfRecords, DnsSelect::RoundRobin, DnsPolicy::Any),
        ] {
            assert_eq!(read(value.clone()), Ok(DnsOptions { ttl, select, policy }), "{value}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (value, problem) in [
            (json!(5), "expected a map such as"),
            (json!("5m"), "found `5m`"),
            (json!({ "tll": "5m" }), "there is no `tll`; did you mean `ttl`?"),
            (json!({ "zzzzzz": "5m" }), "there are `ttl`, `select`, `policy`"),
            (json!({ "ttl": "5 parsecs" }), "`inf` keeps answers for ever"),
            (json!({ "ttl": true }), "`ttl`: expected a duration, `0` or `inf`, found `true`"),
            (
                json!({ "select": "last" }),
                "`select`: expected one of `first`, `random`, `roundRobin`, found the text `last`",
            ),
            (json!({ "policy": 4 }), "found the number 4"),
        ] {
            let told = read(value.clone()).unwrap_err();
            assert!(told.contains(problem), "{value}: {told}");
        }
    }

    #[test]
    fn servers_are_addresses() {
        for (text, expected) in [
            ("10.0.0.2", "10.0.0.2:53"),
            ("10.0.0.2:5353", "10.0.0.2:5353"),
            ("::1", "[::1]:53"),
            ("[::1]", "[::1]:53"),
            ("[::1]:5353", "[::1]:5353"),
        ] {
            assert_eq!(server(text).unwrap().to_string(), expected);
        }
        for text in ["", "dns.test", "dns.test:53", "10.0.0.2:", "10.0.0:53", "[::1"] {
            assert!(server(text).unwrap_err().contains(&format!("found `{text}`")), "{text}");
        }
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_text_breaks_the_option(text in "((ttl|select|policy|x)?=?(inf|5m|0|first|any|onlyIPv6|-1)?[, ]?){0,5}|\\PC{0,20}") {
            if let Ok(map) = split(&text) {
                let read = |value: Value| DnsOptions::default().read(&value).ok();
                prop_assert_eq!(read(Value::Object(map)), read(Value::String(text.clone())));
            }
            let _ = server(&text);
        }

        #[test]
        fn fuzz_servers_read_back(address: SocketAddr) {
            let address = match address {
                SocketAddr::V4(_) => address,
                SocketAddr::V6(v6) => SocketAddr::new((*v6.ip()).into(), v6.port()),
            };
            prop_assert_eq!(server(&address.to_string()), Ok(address));
            prop_assert_eq!(server(&address.ip().to_string()), Ok(SocketAddr::new(address.ip(), 53)));
        }
    }
}
