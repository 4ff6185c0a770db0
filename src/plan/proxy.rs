//! Proxies as options and the environment give them, and which hosts are reached without.
//!
//! A proxy's URL may hold a password: nothing here prints it.

use core::net::IpAddr;
use std::fmt;

use ipnet::IpNet;
use serde_json::{Map, Value};
use url::{Host, Url};

use super::addresses;
use super::fields::{Wrong, describe};

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// What is spoken with it.
    pub scheme: ProxyScheme,
    /// Its name or address, an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// User and password.
    pub login: Option<(String, String)>,
}

/// What is spoken with a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyScheme {
    /// HTTP: requests with a whole URL, and tunnels (`CONNECT`).
    Http,
    /// The same inside of TLS.
    Https,
    /// SOCKS 5, which is given addresses.
    Socks5,
    /// SOCKS 5, which is given names.
    Socks5h,
}

impl ProxyScheme {
    const ALL: [(&str, Self, u16); 4] = [
        ("http", Self::Http, 80),
        ("https", Self::Https, 443),
        ("socks5", Self::Socks5, 1080),
        ("socks5h", Self::Socks5h, 1080),
    ];

    fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

impl fmt::Display for Proxy {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{}://{open}{}{close}:{}", self.scheme.name(), self.host, self.port)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}{}", if self.login.is_some() { " with a login" } else { "" })
    }
}

/// A text that may be a proxy's URL, without what may be its password.
#[must_use]
pub fn without_login(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            format!("{scheme}{}***@{host}", if scheme.is_empty() { "" } else { "://" })
        }
        None => text.to_owned(),
    }
}

impl Proxy {
    /// `http://user:password@proxy.test:3128`, `socks5://127.0.0.1`, `proxy.test:3128`.
    ///
    /// # Errors
    /// What was expected; the password is not in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let shown = || without_login(text);
        let wrong = |why: &str| {
            format!(
                "expected the URL of a proxy such as `http://proxy.test:3128` or `socks5://127.0.0.1:1080`, found `{}`{}{why}",
                shown(),
                if why.is_empty() { "" } else { ": " }
            )
        };
        let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
        let url = url.map_err(|error| wrong(&error.to_string()))?;
        let known = ProxyScheme::ALL.into_iter().find(|(name, ..)| *name == url.scheme());
        let Some((_, scheme, port)) = known else {
            return Err(wrong("the scheme must be `http`, `https`, `socks5` or `socks5h`"));
        };
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_ascii_lowercase(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(wrong("it has no host")),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it ends with the port"));
        }
        let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
        let login = (!url.username().is_empty() || url.password().is_some())
            .then(|| (decode(url.username()), decode(url.password().unwrap_or_default())));
        if let (ProxyScheme::Socks5 | ProxyScheme::Socks5h, Some((user, password))) = (scheme, &login)
            && !((1..256).contains(&user.len()) && (1..256).contains(&password.len()))
        {
            return Err(wrong("user and password of SOCKS 5 have 1 to 255 bytes"));
        }
        Ok(Self { scheme, host, port: url.port().unwrap_or(port), login })
    }
}

/// Which proxy is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For `http` URLs.
    pub http: Option<Proxy>,
    /// For `https` URLs.
    pub https: Option<Proxy>,
    /// Hosts that are reached without.
    pub except: NoProxy,
    /// Whether it was the environment that named them; they are not for this machine itself then.
    pub of_environment: bool,
}

impl Proxies {
    /// Reads the option `proxy`: one URL for all, or one by scheme; an empty text means none.
    pub(super) fn read(value: &Value) -> Result<(Option<Proxy>, Option<Proxy>), Wrong> {
        let one = |text: &str| match text.trim() {
            "" => Ok(None),
            text => Proxy::parse(text).map(Some).map_err(Wrong::Problem),
        };
        match value {
            Value::String(text) => one(text).map(|proxy| (proxy.clone(), proxy)),
            Value::Object(map) => {
                let (mut http, mut https) = (None, None);
                for (key, value) in map {
                    let text = value.as_str().ok_or_else(|| {
                        Wrong::Problem(format!("`{key}`: expected the URL of a proxy, found {}", describe(value)))
                    });
                    match key.as_str() {
                        "http" => http = one(text?)?,
                        "https" => https = one(text?)?,
                        _ => return Err(Wrong::Problem(format!("expected `http` or `https`, found `{key}`"))),
                    }
                }
                Ok((http, https))
            }
            _ => Err(Wrong::Type("the URL of a proxy, or a map of one for `http` and one for `https`")),
        }
    }

    /// The proxy for a host (in lower case) and port; none when it is reached without.
    #[must_use]
    pub fn of(&self, secure: bool, host: &str, port: u16, literal: Option<IpAddr>) -> Option<&Proxy> {
        let proxy = if secure { self.https.as_ref() } else { self.http.as_ref() }?;
        let own = self.of_environment && is_this_machine(host, literal);
        (!own && !self.except.holds(host, port, literal)).then_some(proxy)
    }
}

fn is_this_machine(host: &str, literal: Option<IpAddr>) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    match literal {
        Some(address) => address.to_canonical().is_loopback(),
        None => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Hosts that are reached without a proxy, as Go and curl read `NO_PROXY`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy {
    rules: Vec<(Rule, Option<u16>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    All,
    Network(IpNet),
    /// This name and those below it; with a dot before it, those below alone.
    Name(String),
}

impl NoProxy {
    /// `shop.test`, `.shop.test`, `10.0.0.0/8`, `shop.test:8080`, `*`.
    pub(super) fn parse(texts: &[String]) -> Result<Self, String> {
        let texts = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty());
        Ok(Self { rules: texts.map(rule).collect::<Result<_, _>>()? })
    }

    fn holds(&self, host: &str, port: u16, literal: Option<IpAddr>) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        self.rules.iter().any(|(rule, only)| {
            only.is_none_or(|only| only == port)
                && match rule {
                    Rule::All => true,
                    Rule::Network(network) => {
                        literal.is_some_and(|address| addresses::is_within(std::slice::from_ref(network), address))
                    }
                    Rule::Name(name) if literal.is_some() || host.len() < name.len() => false,
                    Rule::Name(name) => match host.strip_suffix(name.as_str()) {
                        Some(before) => before.is_empty() || name.starts_with('.') || before.ends_with('.'),
                        None => false,
                    },
                }
        })
    }
}

fn rule(text: &str) -> Result<(Rule, Option<u16>), String> {
    if text == "*" {
        return Ok((Rule::All, None));
    }
    if let Ok(network) = addresses::network(text) {
        return Ok((Rule::Network(network), None));
    }
    let wrong =
        || format!("expected a host such as `shop.test` or `.shop.test`, an address, a network or `*`, found `{text}`");
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
        None => (text, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok((Rule::Network(address.into()), port));
    }
    // `*.shop.test` is written, too, and means what `.shop.test` does.
    let name = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
    let (dot, bare) = name.strip_prefix('.').map_or(("", name), |bare| (".", bare));
    match Host::parse(bare) {
        Ok(Host::Domain(domain)) if !domain.contains('*') => {
            Ok((Rule::Name(format!("{dot}{}", domain.trim_end_matches('.'))), port))
        }
        _ => Err(wrong()),
    }
}

/// The options that the environment gives by the variables that Go, curl and others read: `HTTP_PROXY`, `HTTPS_PROXY`,
/// `ALL_PROXY` and `NO_PROXY`, in capitals or not; and what is wrong with them, for a warning: a variable that can't be
/// read is left out. They are for the layer of defaults.
#[must_use]
pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> (Map<String, Value>, Vec<String>) {
    let mut wrong = Vec::new();
    let find = |name: &str| {
        let given = [name.to_owned(), name.to_ascii_lowercase()].into_iter();
        given.filter_map(|name| Some((variable(&name).filter(|text| !text.trim().is_empty())?, name))).next()
    };
    let all = find("ALL_PROXY");
    let mut proxy = Map::new();
    for (scheme, name) in [("http", "HTTP_PROXY"), ("https", "HTTPS_PROXY")] {
        let Some((text, name)) = find(name).or_else(|| all.clone()) else { continue };
        match Proxy::parse(&text) {
            Ok(_) => drop(proxy.insert(scheme.into(), text.into())),
            Err(problem) => {
                let told = format!("the environment's {name} is not used: {problem}");
                if !wrong.contains(&told) {
                    wrong.push(told);
                }
            }
        }
    }
    let mut options = Map::new();
    if !proxy.is_empty() {
        options.insert("proxy".into(), proxy.into());
    }
    if let Some((text, name)) = find("NO_PROXY") {
        let (known, unknown): (Vec<_>, Vec<_>) =
            text.split(',').map(str::trim).filter(|text| !text.is_empty()).partition(|text| rule(text).is_ok());
        wrong.extend(
            unknown.iter().map(|text| format!("`{text}` of the environment's {name} is not used: it is no host")),
        );
        options.insert("no_proxy".into(), known.join(",").into());
    }
    (options, wrong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn proxies_are_read() {
        for (text, shown, login) in [
            ("http://proxy.test:3128", "http://proxy.test:3128", None),
            ("proxy.test:3128", "http://proxy.test:3128", None),
            ("127.0.0.1:3128", "http://127.0.0.1:3128", None),
            ("localhost", "http://localhost:80", None),
            ("HTTP://Proxy.Test/", "http://proxy.test:80", None),
            ("https://proxy.test", "https://proxy.test:443", None),
            ("socks5://127.0.0.1", "socks5://127.0.0.1:1080", None),
            ("socks5h://[::1]:9", "socks5h://[::1]:9", None),
            ("http://u:p%40ss@proxy.test", "http://proxy.test:80", Some(("u", "p@ss"))),
            ("user@proxy.test:1", "http://proxy.test:1", Some(("user", ""))),
            ("socks5://u:p@proxy.test", "socks5://proxy.test:1080", Some(("u", "p"))),
        ] {
            let proxy = Proxy::parse(text).unwrap();
            assert_eq!(proxy.to_string(), shown);
            let login = login.map(|(user, password): (&str, &str)| (user.to_owned(), password.to_owned()));
            assert_eq!(proxy.login, login, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_proxy_is_told_without_its_password() {
        for (text, problem) in [
            ("", "found ``"),
            (
                "ftp://u:secret@proxy.test",
                "`ftp://***@proxy.test`: the scheme must be `http`, `https`, `socks5` or `socks5h`",
            ),
            ("http://u:secret@proxy.test:99999", "invalid port number"),
            ("http://u:secret@proxy.test/path", "it ends with the port"),
            ("socks5://:secret@proxy.test", "have 1 to 255 bytes"),
            ("socks5:///", "it has no host"),
            ("u:secret@", "`***@`"),
        ] {
            let told = Proxy::parse(text).unwrap_err();
            assert!(told.contains(problem) && !told.contains("secret"), "{told}");
        }
        let proxy = Proxy::parse("http://u:secret@proxy.test").unwrap();
        assert_eq!(format!("{proxy} {proxy:?}"), "http://proxy.test:80 http://proxy.test:80 with a login");
    }

    fn except(texts: &[&str]) -> NoProxy {
        NoProxy::parse(&texts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn exceptions_are_read_as_go_and_curl_do() {
        for (rule, host, port, holds) in [
            ("shop.test", "shop.test", 80, true),
            ("Shop.Test", "shop.test", 80, true),
            ("shop.test", "shop.test.", 80, true),
            ("shop.test", "api.shop.test", 80, true),
            ("shop.test", "workshop.test", 80, false),
            (".shop.test", "api.shop.test", 80, true),
            (".shop.test", "shop.test", 80, false),
            ("*.shop.test", "api.shop.test", 80, true),
            ("shop.test:8080", "shop.test", 8080, true),
            ("shop.test:8080", "shop.test", 80, false),
            ("*", "shop.test", 80, true),
            ("10.0.0.0/8", "10.1.2.3", 80, true),
            ("10.0.0.0/8", "11.1.2.3", 80, false),
            ("10.0.0.1:81", "10.0.0.1", 81, true),
            ("10.0.0.1:81", "10.0.0.1", 80, false),
            ("::1", "::1", 80, true),
            ("[::1]:80", "::1", 80, true),
        ] {
            assert_eq!(except(&[rule]).holds(host, port, host.parse().ok()), holds, "{rule} {host}:{port}");
        }
        assert!(NoProxy::parse(&["a b".into()]).unwrap_err().contains("found `a b`"));
        assert!(NoProxy::parse(&["shop.test:http".into()]).is_err());
    }

    #[test]
    fn a_proxy_of_the_environment_is_not_for_this_machine() {
        let proxies = |of_environment| Proxies {
            http: Some(Proxy::parse("proxy.test").unwrap()),
            https: None,
            except: except(&["shop.test"]),
            of_environment,
        };
        for (host, secure, given, of_environment) in [
            ("other.test", false, true, true),
            ("other.test", true, false, false),
            ("shop.test", false, false, false),
            ("127.0.0.9", false, true, false),
            ("::1", false, true, false),
            ("::ffff:127.0.0.1", false, true, false),
            ("localhost", false, true, false),
            ("a.localhost", false, true, false),
            ("notlocalhost", false, true, true),
        ] {
            let asked = |of| proxies(of).of(secure, host, 80, host.parse().ok()).is_some();
            assert_eq!((asked(false), asked(true)), (given, of_environment), "{host}");
        }
    }

    #[test]
    fn the_environment_is_read() {
        let read = |variables: &[(&str, &str)]| {
            of_environment(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
            })
        };
        assert_eq!(read(&[("HTTP_PROXY", "")]), (Map::new(), vec![]));
        let (options, wrong) = read(&[
            ("HTTP_PROXY", "a:1"),
            ("http_proxy", "b:2"),
            ("all_proxy", "socks5://c"),
            ("no_proxy", "x.test, a b"),
        ]);
        assert_eq!(
            Value::from(options),
            json!({ "proxy": { "http": "a:1", "https": "socks5://c" }, "no_proxy": "x.test" })
        );
        assert_eq!(wrong, ["`a b` of the environment's no_proxy is not used: it is no host"]);
        let (options, wrong) = read(&[("ALL_PROXY", "ftp://u:secret@a")]);
        assert!(options.is_empty());
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].starts_with("the environment's ALL_PROXY is not used: ") && !wrong[0].contains("secret"));
    }

    proptest! {
        #[test]
        fn fuzz_no_text_breaks_the_parsers(text in "(https?|socks5|x)?(://)?[a-z0-9:@./*%\\[\\] -]{0,30}", host in "[a-z.]{0,9}") {
            if let Ok(proxy) = Proxy::parse(&text) {
                // What is shown names the same proxy.
                let again = Proxy::parse(&proxy.to_string()).unwrap();
                prop_assert_eq!((again.scheme, again.host, again.port), (proxy.scheme, proxy.host, proxy.port));
            }
            if let Ok(except) = NoProxy::parse(std::slice::from_ref(&text)) {
                let _ = except.holds(&host, 80, None);
            }
        }

        #[test]
        fn fuzz_a_password_is_never_shown(user in "[a-z]{1,5}", password in "[A-Z]{6}", host in "[a-z.]{0,5}") {
            let text = format!("http://{user}:{password}@{host}:1x");
            prop_assert!(!Proxy::parse(&text).unwrap_err().contains(&password));
            prop_assert!(!without_login(&text).contains(&password));
        }
    }
}
