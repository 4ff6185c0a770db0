//! URLs: take them apart, put them together, encode what goes into them.
//!
//! Maps of Rhai keep their keys in alphabetical order, so that a query made of a map is in that order; where another one
//! matters, give an array of `[name, value]`.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rhai::{Array, Dynamic, Engine, INT, ImmutableString, Map};
use url::Url;

use super::argument::expected;
use super::{FunctionDoc, HostModule, HostResult, Natives, define, publish};
use crate::script::bridge::on_worker_stack;
use crate::script::context::HostContext;
use crate::script::error::host_error;

/// What `url::encode` replaces: all but letters, digits and `-_.~`, which mean themselves everywhere in a URL.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The module.
pub const MODULE: HostModule = HostModule {
    name: "url",
    summary: "URLs: take them apart, put them together, encode what goes into them.",
    docs: DOCS,
    register,
};

const PARAMETERS: (&str, &str) = (
    "parameters",
    "a map, or an array of `[name, value]`; values are strings, numbers or booleans, an array repeats the name, `()` leaves it out",
);

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "url::encode(text) -> string",
        summary: "The text as a part of a URL: everything but letters, digits and `-_.~` is percent-encoded.",
        parameters: &[("text", "any string")],
        errors: "",
        example: "assert_eq(url::encode(\"red & größe/2\"), \"red%20%26%20gr%C3%B6%C3%9Fe%2F2\");",
    },
    FunctionDoc {
        signature: "url::decode(text) -> string",
        summary: "The text that was percent-encoded.",
        parameters: &[("text", "percent-encoded")],
        errors: "when the decoded bytes are not UTF-8",
        example: "
            assert_eq(url::decode(\"red%20%26+gr%C3%B6\"), \"red &+grö\");
            assert_error(|| url::decode(\"%FF\"), \"UTF-8\");
        ",
    },
    FunctionDoc {
        signature: "url::parse(url) -> map",
        summary: "The parts of a URL: `scheme username password host port path query fragment origin`; `()` for those it lacks.",
        parameters: &[("url", "an absolute URL")],
        errors: "when it is not a URL",
        example: "
            let parts = url::parse(\"https://eve@shop.test/a/b?q=red#top\");
            assert_eq(parts.host, \"shop.test\");
            assert_eq(parts.port, 443);
            assert_eq(parts.path, \"/a/b\");
            assert_eq(parts.query, \"q=red\");
            assert_eq(parts.fragment, \"top\");
            assert_eq(parts.username, \"eve\");
            assert_eq(parts.password, ());
            assert_eq(parts.origin, \"https://shop.test\");
            assert_error(|| url::parse(\"/a/b\"), \"`/a/b`\");
        ",
    },
    FunctionDoc {
        signature: "url::query(parameters) -> string",
        summary: "The query of a URL, without its `?`.",
        parameters: &[PARAMETERS],
        errors: "when a value has no form in a URL",
        example: "
            assert_eq(url::query(#{ q: \"red ink\", page: 2, tag: [\"a\", \"b\"], none: () }), \"page=2&q=red%20ink&tag=a&tag=b\");
            assert_eq(url::query([[\"z\", 1], [\"a\", true]]), \"z=1&a=true\");
            assert_error(|| url::query(#{ filter: #{ a: 1 } }), \"`filter`\");
        ",
    },
    FunctionDoc {
        signature: "url::join(base, reference) -> string",
        summary: "The URL that a reference stands for on a page, as a browser resolves links.",
        parameters: &[("base", "the absolute URL of the page"), ("reference", "absolute, or relative to it")],
        errors: "when the base is not a URL, or the reference cannot be resolved",
        example: "
            assert_eq(url::join(\"http://shop.test/a/b?x\", \"../c?y=1\"), \"http://shop.test/c?y=1\");
            assert_eq(url::join(\"http://shop.test/a/\", \"b\"), \"http://shop.test/a/b\");
            assert_eq(url::join(\"http://shop.test/a\", \"//cdn.test/x\"), \"http://cdn.test/x\");
        ",
    },
    FunctionDoc {
        signature: "url::with_query(url, parameters) -> string",
        summary: "The URL with these parameters: those of the same name are replaced, the others stay.",
        parameters: &[("url", "absolute or relative"), PARAMETERS],
        errors: "when a value has no form in a URL",
        example: "
            assert_eq(url::with_query(\"/search?q=red&page=1#top\", #{ page: 2, size: 10 }), \"/search?q=red&page=2&size=10#top\");
            assert_eq(url::with_query(\"http://shop.test/\", #{}), \"http://shop.test/\");
        ",
    },
];

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    define(&mut natives, "encode", |text: ImmutableString| encode(&text));
    define(&mut natives, "decode", |text: ImmutableString| decode(&text));
    define(&mut natives, "parse", |text: ImmutableString| on_worker_stack(|| parse(&text)));
    define(&mut natives, "query", |parameters: Dynamic| query(parameters, "url::query"));
    define(&mut natives, "join", |base: ImmutableString, reference: ImmutableString| {
        on_worker_stack(|| join(&base, &reference))
    });
    define(&mut natives, "with_query", |url: ImmutableString, parameters: Dynamic| with_query(&url, parameters));
    publish(engine, context, MODULE.name, natives);
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT).to_string()
}

fn decode(text: &str) -> HostResult<String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| host_error(format!("`url::decode`: the bytes of `{text}` are not UTF-8")))
}

fn absolute(text: &str, function: &str) -> HostResult<Url> {
    Url::parse(text).map_err(|error| {
        let hint = match error {
            url::ParseError::RelativeUrlWithoutBase => ": write it with its scheme, as in `https://shop.test/`",
            _ => "",
        };
        host_error(format!("`{function}`: `{text}` is not a URL: {error}{hint}"))
    })
}

fn parse(text: &str) -> HostResult<Map> {
    let url = absolute(text, "url::parse")?;
    let optional = |part: Option<&str>| part.map_or(Dynamic::UNIT, |part| part.into());
    let username = Some(url.username()).filter(|name| !name.is_empty());
    let port = url.port_or_known_default().map_or(Dynamic::UNIT, |port| INT::from(port).into());
    Ok(Map::from([
        ("scheme".into(), url.scheme().into()),
        ("username".into(), optional(username)),
        ("password".into(), optional(url.password())),
        ("host".into(), optional(url.host_str())),
        ("port".into(), port),
        ("path".into(), url.path().into()),
        ("query".into(), optional(url.query())),
        ("fragment".into(), optional(url.fragment())),
        ("origin".into(), url.origin().ascii_serialization().into()),
    ]))
}

fn join(base: &str, reference: &str) -> HostResult<String> {
    let joined = absolute(base, "url::join")?.join(reference);
    joined
        .map(Into::into)
        .map_err(|error| host_error(format!("`url::join`: `{reference}` cannot be resolved on `{base}`: {error}")))
}

/// The names and values of parameters, an array repeated, `()` left out, all as texts.
fn pairs(parameters: Dynamic, function: &str) -> HostResult<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    if parameters.is_map() {
        for (name, value) in parameters.cast::<Map>() {
            push_pairs(&mut pairs, &name, value, function)?;
        }
    } else if parameters.is_array() {
        for pair in parameters.cast::<Array>() {
            let wrong = expected(&pair, function, "parameters", "a map, or an array of `[name, value]`");
            let pair = pair.try_cast::<Array>().and_then(|pair| <[Dynamic; 2]>::try_from(pair).ok());
            let Some([name, value]) = pair else { return Err(wrong) };
            let name = name.into_string().map_err(|_| wrong)?;
            push_pairs(&mut pairs, &name, value, function)?;
        }
    } else {
        return Err(expected(&parameters, function, "parameters", "a map, or an array of `[name, value]`"));
    }
    Ok(pairs)
}

fn push_pairs(pairs: &mut Vec<(String, String)>, name: &str, value: Dynamic, function: &str) -> HostResult<()> {
    if !value.is_array() {
        return push_pair(pairs, name, &value, function);
    }
    value.cast::<Array>().iter().try_for_each(|value| push_pair(pairs, name, value, function))
}

fn push_pair(pairs: &mut Vec<(String, String)>, name: &str, value: &Dynamic, function: &str) -> HostResult<()> {
    if value.is_unit() {
        return Ok(());
    }
    if !(value.is_string() || value.is_char() || value.is_int() || value.is_float() || value.is_bool()) {
        return Err(expected(value, function, name, "a string, a number, a boolean, or an array of these"));
    }
    pairs.push((name.to_owned(), value.to_string()));
    Ok(())
}

fn query(parameters: Dynamic, function: &str) -> HostResult<String> {
    let mut text = String::new();
    for (name, value) in pairs(parameters, function)? {
        append(&mut text, &name, &value);
    }
    Ok(text)
}

fn append(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    // Writing into a string cannot fail.
    let _ = write!(query, "{}={}", utf8_percent_encode(name, COMPONENT), utf8_percent_encode(value, COMPONENT));
}

fn with_query(url: &str, parameters: Dynamic) -> HostResult<String> {
    let pairs = pairs(parameters, "url::with_query")?;
    let (rest, fragment) = url.split_once('#').map_or((url, None), |(rest, fragment)| (rest, Some(fragment)));
    let (path, old) = rest.split_once('?').unwrap_or((rest, ""));
    // What stays is copied as it is: it may be encoded in a way of its own.
    let stays = |part: &&str| {
        let name = part.split('=').next().unwrap_or_default().replace('+', " ");
        let name = percent_decode_str(&name).decode_utf8_lossy();
        !part.is_empty() && !pairs.iter().any(|(replaced, _)| *replaced == name)
    };
    let mut query = old.split('&').filter(stays).collect::<Vec<_>>().join("&");
    for (name, value) in &pairs {
        append(&mut query, name, value);
    }
    let mut text = path.to_owned();
    if !query.is_empty() {
        text.push('?');
        text.push_str(&query);
    }
    if let Some(fragment) = fragment {
        text.push('#');
        text.push_str(fragment);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_goes_there_and_back() {
        for text in ["", "a-b_c.d~e", "100% +/?#[]@!$&'()*,;=", "日本 \u{1f600}", "\u{0}\n"] {
            let encoded = encode(text);
            assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~%".contains(&byte)), "{encoded}");
            assert_eq!(decode(&encoded).unwrap(), text);
        }
    }

    #[test]
    fn parameters_of_a_url_are_replaced_by_name() {
        let page = |value: Dynamic| Dynamic::from(Map::from([("page".into(), value)]));
        let table = [
            ("/s", page(1.into()), "/s?page=1"),
            ("/s?", page(1.into()), "/s?page=1"),
            ("/s?page=0&page=9&q=a%20b", page(1.into()), "/s?q=a%20b&page=1"),
            ("/s?p%61ge=0&pages=2", page(1.into()), "/s?pages=2&page=1"),
            ("/s?page=0", page(Dynamic::UNIT), "/s?page=0"),
            ("/s?page=0", page(Dynamic::from(Array::new())), "/s?page=0"),
            ("http://h/?a#f?x", page(1.into()), "http://h/?a&page=1#f?x"),
        ];
        for (url, parameters, expected) in table {
            assert_eq!(with_query(url, parameters).unwrap(), expected, "{url}");
        }
    }

    #[test]
    fn says_what_is_not_a_url() {
        assert_eq!(
            parse("shop.test/a").unwrap_err().to_string(),
            "Runtime error: `url::parse`: `shop.test/a` is not a URL: relative URL without a base: write it with its scheme, as \
             in `https://shop.test/`"
        );
        assert!(parse("http://:80/").is_err());
        assert!(join("nothing", "/a").is_err());
        assert_eq!(
            query(Dynamic::from_int(1), "url::query").unwrap_err().to_string(),
            "Runtime error: `url::query`: `parameters` must be a map, or an array of `[name, value]`, found a value of type \
             `int`"
        );
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_text_breaks_urls(text in "(https?:)?/{0,2}([a-z0-9.:@%\\[\\]?#&=+ -]|\\PC){0,30}", base in "(https?|ftp|data|[a-z]):/{0,3}[a-z0-9.:/?#-]{0,12}") {
            let _ = (parse(&text), decode(&text), join(&base, &text), join(&text, &base));
            if let Ok(with) = with_query(&text, Dynamic::from_map(Map::new()))
                && !text.contains('?')
            {
                prop_assert_eq!(with.to_string(), text);
            }
        }

        #[test]
        fn fuzz_what_is_encoded_is_decoded(text in "\\PC{0,30}") {
            let encoded = encode(&text);
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(decode(&encoded).unwrap(), text);
        }
    }
}
