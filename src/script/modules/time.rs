//! The clock on the wall and the calendar, in UTC: what goes into requests, and comes out of them.
//!
//! Latencies are not measured with it: responses carry their timings, measured on the monotonic clock. Time zones other
//! than UTC are left out, but for offsets in texts that are parsed.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;
use rhai::{Engine, FLOAT, INT, ImmutableString};

use super::{FunctionDoc, HostModule, HostResult, Natives, define, publish};
use crate::script::context::HostContext;
use crate::script::error::host_error;
use crate::units::parse_duration;

/// The module.
pub const MODULE: HostModule =
    HostModule { name: "time", summary: "The clock and the calendar, in UTC.", docs: DOCS, register };

const FORMAT: (&str, &str) = ("format", "as for strftime: `%Y-%m-%d`, `%H:%M:%S`, `%s`, ...");

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "time::now() -> float",
        summary: "Seconds since 1970, with fractions.",
        parameters: &[],
        errors: "",
        example: "assert_eq(time::now() > 1700000000.0, true);",
    },
    FunctionDoc {
        signature: "time::now_ms() -> int",
        summary: "Milliseconds since 1970.",
        parameters: &[],
        errors: "",
        example: "
            let ms = time::now_ms();
            assert_eq(ms > 1700000000000 && ms <= time::now_ms(), true);
        ",
    },
    FunctionDoc {
        signature: "time::iso() -> string, time::iso(ms) -> string",
        summary: "A time as RFC 3339 with milliseconds: now, or the one given.",
        parameters: &[("ms", "milliseconds since 1970")],
        errors: "when `ms` is out of the calendar's range (years -9999 to 9999)",
        example: "
            assert_eq(time::iso(1700000000123), \"2023-11-14T22:13:20.123Z\");
            assert_eq(time::parse(time::iso()) <= time::now_ms(), true);
        ",
    },
    FunctionDoc {
        signature: "time::format(format) -> string, time::format(ms, format) -> string",
        summary: "A time in the form that one wants: now, or the one given.",
        parameters: &[("ms", "milliseconds since 1970"), FORMAT],
        errors: "when the format is not one, or `ms` is out of the calendar's range",
        example: "
            assert_eq(time::format(1700000000000, \"%d.%m.%Y %H:%M\"), \"14.11.2023 22:13\");
            assert_eq(time::format(\"%Y\").len, 4);
            assert_error(|| time::format(0, \"%!\"), \"%!\");
        ",
    },
    FunctionDoc {
        signature: "time::parse(text) -> int, time::parse(text, format) -> int",
        summary: "Milliseconds since 1970 of a time in RFC 3339 or ISO 8601, of an HTTP date, or in a format of one's own.",
        parameters: &[("text", "a date, or a date and a time; UTC where it has no offset"), FORMAT],
        errors: "when the text is none of these",
        example: "
            assert_eq(time::parse(\"2023-11-14T23:13:20.123+01:00\"), 1700000000123);
            assert_eq(time::parse(\"2023-11-14 22:13:20\"), 1700000000000);
            assert_eq(time::parse(\"2023-11-14\"), 1699920000000);
            assert_eq(time::parse(\"Tue, 14 Nov 2023 22:13:20 GMT\"), 1700000000000);
            assert_eq(time::parse(\"14.11.2023\", \"%d.%m.%Y\"), 1699920000000);
            assert_error(|| time::parse(\"yesterday\"), \"`yesterday`\");
        ",
    },
    FunctionDoc {
        signature: "time::since(start) -> duration",
        summary: "How long ago something was; zero when it is yet to come.",
        parameters: &[("start", "what `time::now_ms()` or `time::now()` gave")],
        errors: "",
        example: "
            let waited = time::since(time::now_ms() - 1500);
            assert_eq(waited >= 1.5.s && waited < 1.h, true);
            assert_eq(time::since(time::now() + 60.0), 0.s);
        ",
    },
    FunctionDoc {
        signature: "time::parse_duration(text) -> duration",
        summary: "The duration that a text says, as options spell it; a plain number is milliseconds.",
        parameters: &[("text", "`1m30s`, `500ms`, `1.5s`, `2h`")],
        errors: "when it is not a duration",
        example: "
            assert_eq(time::parse_duration(\"1m30s\"), 90.s);
            assert_eq(time::parse_duration(\"250\"), 250.ms);
            assert_error(|| time::parse_duration(\"5parsecs\"), \"unknown unit `parsecs`\");
        ",
    },
];

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    define(&mut natives, "now", || since_epoch().as_secs_f64());
    define(&mut natives, "now_ms", || Timestamp::now().as_millisecond());
    define(&mut natives, "iso", || iso(Timestamp::now()));
    define(&mut natives, "iso", |ms: INT| at(ms, "time::iso").map(iso));
    define(&mut natives, "format", |form: ImmutableString| format(Timestamp::now(), &form));
    define(&mut natives, "format", |ms: INT, form: ImmutableString| {
        at(ms, "time::format").and_then(|time| format(time, &form))
    });
    define(&mut natives, "parse", |text: ImmutableString| parse(&text));
    define(&mut natives, "parse", |text: ImmutableString, form: ImmutableString| parse_as(&text, &form));
    define(&mut natives, "since", |start: INT| since(start as FLOAT / 1e3));
    define(&mut natives, "since", since);
    define(&mut natives, "parse_duration", |text: ImmutableString| -> HostResult<Duration> {
        parse_duration(&text).map_err(|error| host_error(format!("`time::parse_duration`: {error}")))
    });
    publish(engine, context, MODULE.name, natives);
}

/// The time since 1970; zero on a machine whose clock stands before that.
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn at(ms: INT, function: &str) -> HostResult<Timestamp> {
    Timestamp::from_millisecond(ms)
        .map_err(|_| host_error(format!("`{function}`: `{ms}` ms since 1970 is outside of the years -9999 to 9999")))
}

fn iso(time: Timestamp) -> ImmutableString {
    format!("{time:.3}").into()
}

fn format(time: Timestamp, form: &str) -> HostResult<ImmutableString> {
    strtime::format(form, time)
        .map(Into::into)
        .map_err(|error| host_error(format!("`time::format`: `{form}` is not a format: {error}")))
}

fn parse(text: &str) -> HostResult<INT> {
    let text = text.trim();
    let http = rfc2822::DateTimeParser::new().relaxed_weekday(true);
    text.parse::<Timestamp>()
        .or_else(|_| text.parse::<DateTime>().and_then(in_utc))
        .or_else(|_| http.parse_timestamp(text))
        .map(Timestamp::as_millisecond)
        .map_err(|_| {
            host_error(format!(
                "`time::parse`: `{text}` is not a time such as `2023-11-14T22:13:20Z`, `2023-11-14 22:13:20`, `2023-11-14` or \
                 `Tue, 14 Nov 2023 22:13:20 GMT`; give its format as a second parameter"
            ))
        })
}

fn parse_as(text: &str, form: &str) -> HostResult<INT> {
    let read = || -> Result<Timestamp, jiff::Error> {
        let parts = BrokenDownTime::parse(form, text)?;
        parts
            .to_timestamp()
            .or_else(|_| parts.to_datetime().and_then(in_utc))
            .or_else(|_| parts.to_date().and_then(|date| in_utc(date.to_datetime(jiff::civil::Time::midnight()))))
    };
    read()
        .map(Timestamp::as_millisecond)
        .map_err(|error| host_error(format!("`time::parse`: `{text}` does not follow `{form}`: {error}")))
}

fn in_utc(time: DateTime) -> Result<Timestamp, jiff::Error> {
    time.to_zoned_datetime(TimeZone::UTC).map(|zoned| zoned.timestamp())
}

/// How long ago a number of seconds since 1970 was.
fn since(seconds: FLOAT) -> Duration {
    // A time to come, and what is no time, give zero: a clock that is set back must not end an iteration.
    Duration::try_from_secs_f64(since_epoch().as_secs_f64() - seconds).unwrap_or_default()
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_time_breaks_the_reader(text in "([0-9]{0,12}|[-:TZ+. ,/]|Mon|Jan|GMT|UTC|\\[|\\]|\\PC){0,14}", form in "(%[-_0^#]?[a-zA-Z%:.0-9]{0,3}|[a-z ]|\\PC){0,8}", ms: i64) {
            let _ = parse(&text);
            let _ = parse_as(&text, &form);
            if let Ok(time) = Timestamp::from_millisecond(ms) {
                prop_assert_eq!(parse(&iso(time)).ok(), Some(ms));
                let _ = format(time, &form);
            }
        }
    }
}
