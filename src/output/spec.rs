//! What `--out FORMAT[=DESTINATION][?key=value&...]` says: the format, where its rows go, and its parameters.
//!
//! Each format lists its parameters with their kinds and defaults; what is given is checked against that list here, for
//! all formats alike, so that a format asks for values that are already good. The *last* `?` begins the parameters: a
//! destination that has a `?` of its own (the query of a URL) ends in one more. Values may be percent-encoded (`%26` is
//! `&`); a destination is taken as it stands.

use std::fmt::Write as _;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::{FORMATS, Format, OutputError};
use crate::units;

/// Whether a format has a destination, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// It has none: `github`.
    None,
    /// It has one that may be left out; the placeholder says what it is.
    Optional(&'static str),
    /// It needs one; the placeholder (`FILE`, `URL`, `HOST:PORT`) says what it is.
    Required(&'static str),
}

/// A parameter that a format knows.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name: `mode`.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// What it is when it is not given, as it would be given; empty for nothing.
    pub default: &'static str,
    /// One line of help.
    pub help: &'static str,
}

/// What the values of a parameter are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// Any text, which is not shown again.
    Secret,
    /// `500ms`, `10s`.
    Duration,
    /// `64kb`, `5mb`.
    Bytes,
    /// `100`, `10k`.
    Count,
    /// `true` or `false`; the name alone means `true`.
    Switch,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

impl Kind {
    fn placeholder(self) -> String {
        match self {
            Self::Text => "TEXT".into(),
            Self::Secret => "SECRET".into(),
            Self::Duration => "DURATION".into(),
            Self::Bytes => "BYTES".into(),
            Self::Count => "N".into(),
            Self::Switch => "true|false".into(),
            Self::OneOf(words) => words.join("|"),
        }
    }

    /// # Errors
    /// What was expected instead.
    fn check(self, value: &str) -> Result<(), String> {
        match self {
            Self::Text | Self::Secret => Ok(()),
            Self::Duration => units::parse_duration(value).map(drop).map_err(|error| error.to_string()),
            Self::Bytes => units::parse_bytes(value).map(drop).map_err(|error| error.to_string()),
            Self::Count => units::parse_count(value).map(drop).map_err(|error| error.to_string()),
            Self::Switch if ["true", "false"].contains(&value) => Ok(()),
            Self::Switch => Err("expected `true` or `false`".into()),
            Self::OneOf(words) if words.contains(&value) => Ok(()),
            Self::OneOf(words) => {
                let nearest = units::nearest(value, words.iter().copied());
                let meant = nearest.map(|word| format!(" (did you mean `{word}`?)")).unwrap_or_default();
                Err(format!("expected one of {}{meant}", list(words.iter().copied())))
            }
        }
    }
}

/// What a format was given: all of it checked.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// Where rows go; empty when none was given.
    pub destination: String,
    parameters: &'static [Parameter],
    given: Vec<(&'static str, String)>,
}

impl Arguments {
    /// Those of a format that was given a destination and nothing else.
    #[must_use]
    pub fn of_destination(format: &Format, destination: impl Into<String>) -> Self {
        Self { destination: destination.into(), parameters: format.parameters, given: Vec::new() }
    }

    /// A parameter's text: as given, else its default; none when it has none.
    ///
    /// # Panics
    /// When the format does not list the parameter.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let parameter = self.parameters.iter().find(|parameter| parameter.name == name);
        let parameter = parameter.unwrap_or_else(|| panic!("the format does not list its parameter `{name}`"));
        match self.given.iter().find(|(given, _)| *given == name) {
            Some((_, value)) => Some(value),
            None => Some(parameter.default).filter(|default| !default.is_empty()),
        }
    }

    /// Whether a parameter was given.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.given.iter().any(|(given, _)| *given == name)
    }

    /// A parameter of the kind [`Kind::Duration`].
    #[must_use]
    pub fn duration(&self, name: &str) -> Option<Duration> {
        self.text(name).and_then(|value| units::parse_duration(value).ok())
    }

    /// A parameter of the kind [`Kind::Bytes`].
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(|value| units::parse_bytes(value).ok())
    }

    /// A parameter of the kind [`Kind::Count`].
    #[must_use]
    pub fn count(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(|value| units::parse_count(value).ok())
    }

    /// A parameter of the kind [`Kind::Switch`].
    #[must_use]
    pub fn switch(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }
}

/// A spec taken apart.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The format.
    pub format: &'static Format,
    /// What it was given.
    pub arguments: Arguments,
    /// How messages call it: as it was given, without secrets.
    pub name: String,
}

/// Takes a spec apart.
///
/// # Errors
/// When there is no such format, when a destination is missing or makes no sense, and when a parameter is unknown, given
/// twice or has a value of the wrong kind.
pub fn parse(text: &str) -> Result<Spec, OutputError> {
    parse_among(FORMATS, text)
}

fn parse_among(formats: &'static [Format], text: &str) -> Result<Spec, OutputError> {
    let (before, query) = text.rsplit_once('?').unwrap_or((text, ""));
    let (name, destination) = before.split_once('=').unwrap_or((before, ""));
    let Some(format) = formats.iter().find(|format| format.name == name) else {
        let names = || formats.iter().map(|format| format.name);
        return Err(OutputError::UnknownFormat {
            found: name.into(),
            expected: list(names()),
            nearest: units::nearest(name, names()).map(Into::into),
        });
    };
    match format.destination {
        Destination::Required(placeholder) if destination.is_empty() => {
            return Err(OutputError::NoDestination { format: format.name, placeholder });
        }
        Destination::None if !destination.is_empty() => {
            return Err(OutputError::Destination { format: format.name, found: destination.into() });
        }
        _ => {}
    }
    let mut arguments = Arguments::of_destination(format, destination);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (parameter, value) = argument(format, pair)?;
        if arguments.is_given(parameter.name) {
            return Err(OutputError::ParameterTwice { format: format.name, parameter: parameter.name });
        }
        arguments.given.push((parameter.name, value));
    }
    Ok(Spec { format, arguments, name: shown(text) })
}

fn argument(format: &'static Format, pair: &str) -> Result<(&'static Parameter, String), OutputError> {
    let (name, value) = pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
    let Some(parameter) = format.parameters.iter().find(|parameter| parameter.name == name) else {
        let names = || format.parameters.iter().map(|parameter| parameter.name);
        return Err(OutputError::UnknownParameter {
            format: format.name,
            found: name.into(),
            expected: match names().next() {
                Some(_) => format!("one of {}", list(names())),
                None => "none: it has no parameters".into(),
            },
            nearest: units::nearest(name, names()).map(Into::into),
        });
    };
    let bad = |found: &str, problem: String| OutputError::Parameter {
        format: format.name,
        parameter: parameter.name,
        found: if parameter.kind == Kind::Secret { "***".into() } else { found.into() },
        problem,
    };
    let value = match value {
        None if parameter.kind == Kind::Switch => "true",
        Some(value) if !value.is_empty() => value,
        _ => return Err(bad("", format!("expected `{name}={}`", parameter.kind.placeholder()))),
    };
    let decoded = percent_decode_str(value).decode_utf8().map_err(|error| bad(value, error.to_string()))?.into_owned();
    parameter.kind.check(&decoded).map_err(|problem| bad(&decoded, problem))?;
    Ok((parameter, decoded))
}

/// Words in a parameter's name that make its value a secret, whatever the format says.
const SECRET_WORDS: [&str; 6] = ["pass", "secret", "token", "key", "auth", "credential"];

/// A spec as it may be told: without the values of parameters that look like secrets, and without the password of a URL.
#[must_use]
pub fn shown(text: &str) -> String {
    let (before, query) = match text.rsplit_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (text, None),
    };
    let mut shown = match before.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            match rest[..end].rsplit_once('@') {
                Some((_, host)) => format!("{scheme}://***@{host}{}", &rest[end..]),
                None => before.to_owned(),
            }
        }
        None => before.to_owned(),
    };
    if let Some(query) = query {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if SECRET_WORDS.iter().any(|word| name.to_lowercase().contains(word)) => {
                format!("{name}=***")
            }
            _ => pair.to_owned(),
        });
        let _ = write!(shown, "?{}", pairs.collect::<Vec<_>>().join("&"));
    }
    shown
}

/// What `--out help` prints: every format with its parameters.
#[must_use]
pub fn help() -> String {
    let mut text = String::from("--out FORMAT[=DESTINATION][?key=value&key=value]\n\n");
    for format in FORMATS {
        let destination = match format.destination {
            Destination::None => String::new(),
            Destination::Optional(placeholder) => format!("[={placeholder}]"),
            Destination::Required(placeholder) => format!("={placeholder}"),
        };
        let _ = writeln!(text, "{}{destination}  {}", format.name, format.help);
        for parameter in format.parameters {
            let default =
                if parameter.default.is_empty() { String::new() } else { format!(" [default: {}]", parameter.default) };
            let kind = parameter.kind.placeholder();
            let _ = writeln!(text, "    {}={kind}  {}{default}", parameter.name, parameter.help);
        }
    }
    text
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: &[Format] = &[
        Format {
            name: "rows",
            help: "",
            destination: Destination::Required("FILE"),
            parameters: &[
                Parameter { name: "mode", kind: Kind::OneOf(&["samples", "aggregate"]), default: "samples", help: "" },
                Parameter { name: "interval", kind: Kind::Duration, default: "1s", help: "" },
                Parameter { name: "token", kind: Kind::Secret, default: "", help: "" },
                Parameter { name: "rows", kind: Kind::Count, default: "", help: "" },
                Parameter { name: "room", kind: Kind::Bytes, default: "64kb", help: "" },
                Parameter { name: "header", kind: Kind::Switch, default: "", help: "" },
                Parameter { name: "note", kind: Kind::Text, default: "", help: "" },
            ],
            open: |_| panic!("only taken apart"),
        },
        Format {
            name: "place",
            help: "",
            destination: Destination::None,
            parameters: &[],
            open: |_| panic!("only taken apart"),
        },
    ];

    #[test]
    fn a_spec_is_taken_apart() {
        let spec =
            parse_among(SOME, "rows=a=b.csv?mode=aggregate&interval=500ms&header&note=a%26b%3Dc&rows=2k").unwrap();
        let arguments = spec.arguments;
        assert_eq!((spec.format.name, arguments.destination.as_str()), ("rows", "a=b.csv"));
        assert_eq!(arguments.text("mode"), Some("aggregate"));
        assert_eq!(arguments.duration("interval"), Some(Duration::from_millis(500)));
        assert_eq!(arguments.text("note"), Some("a&b=c"));
        assert_eq!(arguments.count("rows"), Some(2_000));
        assert!(arguments.switch("header") && arguments.is_given("header"));

        let plain = parse_among(SOME, "rows=x").unwrap().arguments;
        assert_eq!((plain.text("mode"), plain.text("token"), plain.count("rows")), (Some("samples"), None, None));
        assert_eq!((plain.duration("interval"), plain.bytes("room")), (Some(Duration::from_secs(1)), Some(64_000)));
        assert!(!plain.switch("header") && !plain.is_given("header"));

        for (text, destination) in [
            ("rows=http://h/w?x=y?", "http://h/w?x=y"),
            ("rows=http://h/w?x=y?mode=samples", "http://h/w?x=y"),
            ("rows=-", "-"),
            ("rows=a%20b?", "a%20b"),
        ] {
            assert_eq!(parse_among(SOME, text).unwrap().arguments.destination, destination, "{text}");
        }
        assert_eq!(parse_among(SOME, "place").unwrap().arguments.destination, "");
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        for (text, message) in [
            ("rowz=x", "unknown output format `rowz` (did you mean `rows`?); expected one of `rows`, `place`"),
            ("rows", "output format `rows` needs a destination: `rows=FILE`"),
            ("rows=?mode=samples", "output format `rows` needs a destination: `rows=FILE`"),
            ("place=x", "output format `place` takes no destination, but was given `x`"),
            (
                "rows=x?mod=samples",
                "output format `rows` has no parameter `mod` (did you mean `mode`?); expected one of `mode`, `interval`, \
                 `token`, `rows`, `room`, `header`, `note`; a destination with a `?` of its own ends in one more `?`",
            ),
            (
                "place?x=1",
                "output format `place` has no parameter `x`; expected none: it has no parameters; a destination \
                 with a `?` of its own ends in one more `?`",
            ),
            (
                "rows=x?mode=agregate",
                "output format `rows`: `mode=agregate`: expected one of `samples`, `aggregate` (did you mean `aggregate`?)",
            ),
            ("rows=x?mode", "output format `rows`: `mode=`: expected `mode=samples|aggregate`"),
            ("rows=x?token=", "output format `rows`: `token=***`: expected `token=SECRET`"),
            ("rows=x?header=yes", "output format `rows`: `header=yes`: expected `true` or `false`"),
            ("rows=x?mode=samples&mode=samples", "output format `rows`: parameter `mode` is given twice"),
        ] {
            assert_eq!(parse_among(SOME, text).unwrap_err().to_string(), message, "{text}");
        }
        for text in ["rows=x?interval=soon", "rows=x?room=big", "rows=x?rows=-1", "rows=x?note=%ff"] {
            let message = parse_among(SOME, text).unwrap_err().to_string();
            assert!(message.starts_with("output format `rows`: `"), "{message}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        for (text, told) in [
            ("rows=x?token=abc&mode=samples", "rows=x?token=***&mode=samples"),
            ("rows=http://me:pw@h:1/p@q?api_key=1", "rows=http://***@h:1/p@q?api_key=***"),
            ("rows=a@b.csv", "rows=a@b.csv"),
            ("rows=http://h/p", "rows=http://h/p"),
        ] {
            assert_eq!(shown(text), told);
        }
    }

    #[test]
    fn every_format_can_be_asked_for_and_its_defaults_are_good() {
        let names: std::collections::BTreeSet<_> = FORMATS.iter().map(|format| format.name).collect();
        assert_eq!(names.len(), FORMATS.len(), "two formats of one name");
        for format in FORMATS {
            assert!(!format.name.contains(['=', '?', ',']) && !format.help.is_empty(), "{}", format.name);
            for parameter in format.parameters {
                let name = format!("{}?{}", format.name, parameter.name);
                assert!(!parameter.help.is_empty(), "{name}");
                if !parameter.default.is_empty() {
                    parameter.kind.check(parameter.default).unwrap_or_else(|problem| panic!("{name}: {problem}"));
                }
                assert!(help().contains(parameter.name), "{name}");
            }
        }
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_spec_breaks_the_reader(rest in "(=|[?&=%/:@]|[a-z]{0,6}|%[0-9a-f]{0,2}|https?://|[0-9]{1,3}(s|kb)?|\\PC){0,16}", format in prop::sample::select(FORMATS.iter().map(|format| format.name).chain(["", "jsn"]).collect::<Vec<_>>())) {
            let text = format!("{format}{rest}");
            match parse(&text) {
                Ok(spec) => prop_assert_eq!(spec.name, shown(&text)),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }

        #[test]
        fn fuzz_no_secret_is_shown(password in "S[a-z0-9:]{6,9}", host in "[a-z.]{1,9}", path in "(/[a-z@]{0,5}){0,2}", query in "(\\?db=x&)?") {
            let urls = [format!("json=http://u:{password}@{host}{path}{query}"), format!("influxdb=http://{host}{path}?token={password}")];
            for url in urls {
                prop_assert!(!shown(&url).contains(&password), "{}", shown(&url));
            }
        }
    }
}
