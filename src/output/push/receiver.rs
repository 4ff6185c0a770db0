//! What all formats that send have in common: the receiver's URL, who we are to it, and the parameters for that.
//!
//! Secrets are best given by the environment, where no process list shows them: `PREFIX_USERNAME`, `PREFIX_PASSWORD`,
//! `PREFIX_TOKEN` and `PREFIX_HEADERS` stand in for the parameters of those names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;

use super::Receiver;
use crate::output::OutputError;
use crate::output::spec::{Arguments, Kind, Parameter};

/// The parameter `username`.
pub const USERNAME: Parameter =
    Parameter { name: "username", kind: Kind::Text, default: "", help: "the user for basic authentication" };
/// The parameter `password`.
pub const PASSWORD: Parameter =
    Parameter { name: "password", kind: Kind::Secret, default: "", help: "the user's password" };
/// The parameter `token`.
pub const TOKEN: Parameter =
    Parameter { name: "token", kind: Kind::Secret, default: "", help: "a token, instead of user and password" };
/// The parameter `headers`.
pub const HEADERS: Parameter = Parameter {
    name: "headers",
    kind: Kind::Secret,
    default: "",
    help: "more headers of each request: Name:value;Name:value",
};
/// The parameter `timeout`.
pub const TIMEOUT: Parameter =
    Parameter { name: "timeout", kind: Kind::Duration, default: "10s", help: "how long one request may take" };
/// The parameter `insecure`.
pub const INSECURE: Parameter = Parameter {
    name: "insecure",
    kind: Kind::Switch,
    default: "false",
    help: "take any certificate of the receiver for good",
};

/// The receiver that a format was given. `prefix` begins the names of the variables that stand in for parameters; a token
/// goes into the header `Authorization` after the word `scheme` (`Bearer`).
///
/// # Errors
/// When the destination is no HTTP URL, when there are both a token and a user, or when a header can't be one.
pub fn receiver(
    format: &'static str,
    arguments: &Arguments,
    prefix: &str,
    scheme: &str,
) -> Result<Receiver, OutputError> {
    let bad = |parameter: &'static str, found: &str, problem: &str| OutputError::Parameter {
        format,
        parameter,
        found: found.to_owned(),
        problem: problem.to_owned(),
    };
    let given = |name: &str| {
        let variable = || std::env::var(format!("{prefix}_{}", name.to_uppercase())).ok();
        arguments.text(name).map(str::to_owned).or_else(variable).filter(|value| !value.is_empty())
    };
    let shown = crate::output::spec::shown(&arguments.destination);
    let mut url = Url::parse(&arguments.destination)
        .ok()
        .filter(|url| ["http", "https"].contains(&url.scheme()) && url.host().is_some())
        .ok_or_else(|| bad("URL", &shown, "expected an address that begins with `http://` or `https://`"))?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let username = given("username").or_else(|| Some(decoded(url.username())).filter(|name| !name.is_empty()));
    let password = given("password").or_else(|| url.password().map(decoded));
    // An HTTP URL has a place for both: these can't fail.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let mut headers = Vec::new();
    match (given("token"), username) {
        (Some(_), Some(_)) => return Err(bad("token", "***", "expected either a token or a user, not both")),
        (Some(token), None) => headers.push(("Authorization".to_owned(), format!("{scheme} {token}"))),
        (None, Some(username)) => {
            let pair = STANDARD.encode(format!("{username}:{}", password.unwrap_or_default()));
            headers.push(("Authorization".to_owned(), format!("Basic {pair}")));
        }
        (None, None) => {}
    }
    for header in given("headers").iter().flat_map(|headers| headers.split(';')).filter(|header| !header.is_empty()) {
        let Some((name, value)) = header.split_once(':') else {
            return Err(bad("headers", "***", "expected `Name:value;Name:value`"));
        };
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let possible = |(name, value): &(String, String)| {
        http::HeaderName::try_from(name.as_str()).is_ok() && http::HeaderValue::try_from(value.as_str()).is_ok()
    };
    if !headers.iter().all(possible) {
        return Err(bad("headers", "***", "a name or a value holds what no header can"));
    }
    Ok(Receiver {
        url: url.to_string(),
        headers,
        timeout: arguments.duration("timeout").unwrap_or_default(),
        insecure: arguments.switch("insecure"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::spec;

    fn of(text: &str) -> Result<Receiver, String> {
        let spec = spec::parse(&format!("prometheus-rw={text}")).map_err(|error| error.to_string())?;
        receiver("prometheus-rw", &spec.arguments, "NOBODY_SETS_THIS", "Bearer").map_err(|error| error.to_string())
    }

    #[test]
    fn who_we_are_is_a_header_and_not_in_the_url() {
        let basic = ("Authorization".to_owned(), "Basic bWU6cCB3".to_owned());
        for (text, url, headers) in [
            ("http://h:1/w?x=y?", "http://h:1/w?x=y", vec![]),
            ("https://me:p%20w@h/w", "https://h/w", vec![basic.clone()]),
            ("http://h/?username=me&password=p%20w", "http://h/", vec![basic.clone()]),
            ("http://h?token=abc", "http://h/", vec![("Authorization".to_owned(), "Bearer abc".to_owned())]),
            (
                "http://h?headers=X-Scope-OrgID:me;B: c",
                "http://h/",
                vec![("X-Scope-OrgID".to_owned(), "me".to_owned()), ("B".to_owned(), "c".to_owned())],
            ),
        ] {
            let receiver = of(text).unwrap();
            assert_eq!((&*receiver.url, receiver.headers), (url, headers), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_secrets() {
        for (text, problem) in [
            ("h:1/w", "`URL=h:1/w`: expected an address that begins with `http://` or `https://`"),
            ("ftp://me:pw@h/", "`URL=ftp://***@h/`: expected an address that begins with `http://` or `https://`"),
            ("http://me:pw@h?token=abc", "`token=***`: expected either a token or a user, not both"),
            ("http://h?headers=abc", "`headers=***`: expected `Name:value;Name:value`"),
            ("http://h?headers=a b:c", "`headers=***`: a name or a value holds what no header can"),
            ("http://h?token=a%0Ab", "`headers=***`: a name or a value holds what no header can"),
        ] {
            assert_eq!(of(text).unwrap_err(), format!("output format `prometheus-rw`: {problem}"), "{text}");
        }
    }
}
