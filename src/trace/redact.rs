//! Takes secrets out of what is shown: headers, queries, bodies.
//!
//! What is a secret is told by names alone: a header `Authorization`, a field `password`. A secret under a harmless name
//! is not found; so what is shown stays for the eyes of whoever runs the script.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands for a secret.
pub const MASK: &str = "***";

/// Parts of names whose values are secrets.
const PARTS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authorization",
];

/// Whole names whose values are secrets.
const NAMES: [&str; 6] = ["pass", "pwd", "auth", "pin", "otp", "csrf"];

/// Whether a field, parameter or header of this name holds a secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    NAMES.contains(&plain.as_str()) || PARTS.iter().any(|part| plain.contains(part))
}

/// The value of a header, without what is secret in it.
#[must_use]
pub fn header<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    if is("cookie") {
        let masked: Vec<_> = value.split(';').map(|pair| masked_pair(pair.trim())).collect();
        return masked.join("; ").into();
    }
    if is("set-cookie") {
        let (pair, attributes) = value.split_once(';').unwrap_or((value, ""));
        let separator = if attributes.is_empty() { "" } else { ";" };
        return format!("{}{separator}{attributes}", masked_pair(pair)).into();
    }
    if is("authorization") || is("proxy-authorization") {
        // The scheme tells how somebody logs in, not as whom.
        let scheme = value.split_once(' ').map(|(scheme, _)| scheme);
        return scheme.map_or(MASK.into(), |scheme| format!("{scheme} {MASK}").into());
    }
    if is_secret(name) {
        return MASK.into();
    }
    if is("location") || is("referer") { url(value) } else { value.into() }
}

fn masked_pair(pair: &str) -> String {
    pair.split_once('=').map_or_else(|| MASK.to_owned(), |(name, _)| format!("{name}={MASK}"))
}

/// A URL without the secrets of its query.
#[must_use]
pub fn url(url: &str) -> Cow<'_, str> {
    match url.split_once('?') {
        Some((before, query)) => match form(query) {
            Cow::Borrowed(_) => url.into(),
            Cow::Owned(query) => format!("{before}?{query}").into(),
        },
        None => url.into(),
    }
}

/// Fields as a form or a query has them, without the values of secret ones.
fn form(fields: &str) -> Cow<'_, str> {
    let is_secret_field = |field: &str| field.split_once('=').is_some_and(|(name, _)| is_secret(name));
    if !fields.split('&').any(is_secret_field) {
        return fields.into();
    }
    let masked: Vec<_> = fields
        .split('&')
        .map(|field| if is_secret_field(field) { masked_pair(field) } else { field.to_owned() })
        .collect();
    masked.join("&").into()
}

/// A text (JSON, a form, a page) without the values of fields with secret names.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    static JSON_FIELD: LazyLock<Regex> = LazyLock::new(|| {
        let value = r#""(?:[^"\\]|\\.)*(?:"|$)|[^\s,}\]"\[{]+"#;
        Regex::new(&format!(r#""([^"\\]{{1,64}})"(\s*:\s*)({value})"#)).expect("a pattern")
    });
    // `<input name="csrf_token" value="...">`, in either order.
    static INPUT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"(?i)<(?:input|meta)\b[^>]*?\bname=["']?([\w.\[\]-]+)[^>]*>"#).expect("a pattern")
    });
    static VALUE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(?i)\b(value|content)=("[^"]*"|'[^']*')"#).expect("a pattern"));
    let is_form = text.contains('=') && !text.contains(['<', '{', '\n', ' ']);
    if is_form {
        return form(text);
    }
    let masked = JSON_FIELD.replace_all(text, |found: &Captures<'_>| {
        if is_secret(&found[1]) && !matches!(&found[3], "null" | "true" | "false") {
            format!("\"{}\"{}\"{MASK}\"", &found[1], &found[2])
        } else {
            found[0].to_owned()
        }
    });
    if !masked.contains('<') {
        return masked;
    }
    let inputs = INPUT.replace_all(&masked, |found: &Captures<'_>| {
        if is_secret(&found[1]) {
            VALUE.replace_all(&found[0], format!("$1=\"{MASK}\"")).into_owned()
        } else {
            found[0].to_owned()
        }
    });
    match inputs {
        Cow::Borrowed(_) => masked,
        Cow::Owned(inputs) => inputs.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_is_secret() {
        for name in
            ["password", "newPassword", "X-Api-Key", "access_token", "auth", "PIN", "client_secret", "csrf-token"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["author", "key", "pinned", "passenger", "keyboard", "name", "spinner", "id"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn headers_keep_what_is_no_secret() {
        for (name, value, shown) in [
            ("Authorization", "Bearer abc.def", "Bearer ***"),
            ("authorization", "abc", "***"),
            ("Cookie", "session=abc; theme=dark", "session=***; theme=***"),
            ("Set-Cookie", "session=abc; Path=/; HttpOnly", "session=***; Path=/; HttpOnly"),
            ("set-cookie", "session=abc", "session=***"),
            ("X-Auth-Token", "abc", "***"),
            ("Location", "/next?token=abc&page=2", "/next?token=***&page=2"),
            ("Content-Type", "text/html", "text/html"),
        ] {
            assert_eq!(header(name, value), shown, "{name}: {value}");
        }
    }

    #[test]
    fn queries_and_bodies_keep_what_is_no_secret() {
        assert_eq!(url("http://x/a?q=red&api_key=1"), "http://x/a?q=red&api_key=***");
        assert_eq!(url("http://x/a"), "http://x/a");
        for (body, shown) in [
            ("user=ann&password=a%20b&x=1", "user=ann&password=***&x=1"),
            (r#"{"user":"ann","password":"a\"b","n":1}"#, r#"{"user":"ann","password":"***","n":1}"#),
            (r#"{"token": 12345, "list": [1]}"#, r#"{"token": "***", "list": [1]}"#),
            (r#"{"token": null}"#, r#"{"token": null}"#),
            (r#"{"password":"cut off he"#, r#"{"password":"***""#),
            (r#"<input name="csrf" type=hidden value="abc">"#, r#"<input name="csrf" type=hidden value="***">"#),
            (r#"<input value='abc' name=csrf_token>"#, r#"<input value="***" name=csrf_token>"#),
            (r#"<input name="q" value="red">"#, r#"<input name="q" value="red">"#),
            ("plain text with a = b", "plain text with a = b"),
        ] {
            assert_eq!(text(body), shown);
        }
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_secret_gets_through(secret in "S[a-z0-9]{7,9}", around in "([a-z]{0,4}[;&=, ]){0,4}", other in "\\PC{0,20}") {
            for (name, value) in [
                ("cookie", format!("{around}sid={secret}")),
                ("Set-Cookie", format!("sid={secret}; Path=/")),
                ("AUTHORIZATION", format!("Bearer {secret}")),
                ("proxy-authorization", secret.clone()),
                ("x-api-key", secret.clone()),
                ("Location", format!("/a?{}password={secret}", around.replace([' ', '='], "&"))),
            ] {
                prop_assert!(!header(name, &value).contains(&secret), "{name}: {}", header(name, &value));
            }
            let _ = (header("set-cookie", &other), header("cookie", &other), url(&other), is_secret(&other));
        }
    }
}
