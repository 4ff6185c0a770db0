//! The parameter `auth` of a request: how it says who it is.

use std::rc::Rc;

use rhai::{Dynamic, ImmutableString, Map};

use super::ScriptResult;
use crate::net::auth::{Auth, aws, digest};
use crate::script::error::host_error;
use crate::units;

/// The ways, and what each takes; what follows a `?` may be left out.
const TYPES: [(&str, &[&str]); 4] = [
    ("basic", &["user", "password"]),
    ("digest", &["user", "password"]),
    ("bearer", &["token"]),
    ("aws", &["region", "service", "access_key", "secret_key", "?session_token"]),
];

/// Of what a script says: `user:password`, or a map with a `type`.
///
/// # Errors
/// When it is neither, or something in it is missing or unknown.
pub fn auth(value: &Dynamic) -> ScriptResult<Auth> {
    if let Some(text) = value.read_lock::<ImmutableString>()
        && let Some((user, password)) = text.split_once(':')
    {
        return Ok(Auth::basic(user, password));
    }
    let Some(map) = value.read_lock::<Map>() else {
        return Err(host_error(
            "`auth` must be a map such as `#{ user: \"...\", password: \"...\" }` or `#{ type: \"bearer\", token: \"...\" }`, or \
             the text `user:password`",
        ));
    };
    let kind = map.get("type").map_or_else(|| "basic".to_owned(), ToString::to_string);
    let Some((kind, fields)) = TYPES.iter().find(|(name, _)| *name == kind) else {
        let names = TYPES.map(|(name, _)| name);
        let hint = match units::nearest(&kind, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names.join(", ")),
        };
        return Err(host_error(format!("`auth` has no type `{kind}`: {hint}")));
    };
    let known = |name: &str| fields.iter().any(|field| field.trim_start_matches('?') == name);
    if let Some(unknown) = map.keys().find(|name| *name != "type" && !known(name)) {
        let names: Vec<&str> = fields.iter().map(|field| field.trim_start_matches('?')).collect();
        let hint = match units::nearest(unknown, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it takes {}", names.join(", ")),
        };
        return Err(host_error(format!("`auth` of type `{kind}` takes no `{unknown}`: {hint}")));
    }
    let get = |name: &str| -> ScriptResult<String> {
        match map.get(name) {
            Some(value) if !value.is_unit() => Ok(value.to_string()),
            _ => Err(host_error(format!("`auth` of type `{kind}` needs `{name}`"))),
        }
    };
    Ok(match *kind {
        "digest" => Auth::Digest(Rc::new(digest::Credentials { user: get("user")?, password: get("password")? })),
        "bearer" => Auth::bearer(&get("token")?)
            .ok_or_else(|| host_error("`auth`: the token has a character that no header can carry"))?,
        "aws" => Auth::Aws(Rc::new(aws::Key {
            region: get("region")?,
            service: get("service")?,
            access_key: get("access_key")?,
            secret_key: get("secret_key")?,
            session_token: get("session_token").ok(),
        })),
        _ => Auth::basic(&get("user")?, &get("password")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Dynamic {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect::<Map>().into()
    }

    #[test]
    fn the_ways_are_told_apart() {
        for (value, scheme) in [
            (Dynamic::from("ann:a:b"), "Basic"),
            (map(&[("user", "ann"), ("password", "x")]), "Basic"),
            (map(&[("type", "digest"), ("user", "ann"), ("password", "x")]), "Digest"),
            (map(&[("type", "bearer"), ("token", "x")]), "Bearer"),
            (
                map(&[("type", "aws"), ("region", "r"), ("service", "s3"), ("access_key", "a"), ("secret_key", "s")]),
                "AWS4-HMAC-SHA256",
            ),
        ] {
            assert_eq!(auth(&value).unwrap().scheme(), scheme);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (value, told) in [
            (Dynamic::from("ann"), "`auth` must be a map such as"),
            (map(&[("user", "ann")]), "`auth` of type `basic` needs `password`"),
            (map(&[("type", "digets")]), "`auth` has no type `digets`: did you mean `digest`?"),
            (map(&[("type", "kerberos")]), "there are basic, digest, bearer, aws"),
            (map(&[("user", "ann"), ("pasword", "x")]), "takes no `pasword`: did you mean `password`?"),
            (map(&[("type", "bearer"), ("token", "a\nb")]), "no header can carry"),
            (map(&[("type", "aws"), ("region", "r")]), "needs `service`"),
        ] {
            let error = auth(&value).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
