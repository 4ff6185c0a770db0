//! Durations, as scripts write them: `500.ms`, `1.5.s`, `2.m`, and ranges of them, `1.s..3.s`.
//!
//! A duration is a type of its own, so that no function has to say in which unit it takes a number. Arithmetic keeps it a
//! duration; `.ms` and `.s` give a number back. Durations are never negative. Comparing one with a plain number is an
//! error here: Rhai by itself would call them unequal, and neither smaller nor larger, without a word.

use std::fmt::Write;
use std::time::Duration;

use rhai::{Engine, FLOAT, INT};

use super::{FunctionDoc, HostModule, HostResult};
use crate::script::context::HostContext;
use crate::script::error::host_error;

/// From one duration to another, the second included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationRange {
    /// The shortest.
    pub start: Duration,
    /// The longest; never less than `start`.
    pub end: Duration,
}

impl DurationRange {
    /// The range from `start` to `end`.
    ///
    /// # Errors
    /// When it runs backwards.
    pub fn new(start: Duration, end: Duration) -> HostResult<Self> {
        if start <= end {
            return Ok(Self { start, end });
        }
        let (start, end) = (to_text(start), to_text(end));
        Err(host_error(format!("the range `{start}..{end}` runs backwards: write `{end}..{start}`")))
    }

    /// A duration out of the range, all equally likely.
    pub fn pick(&self, rng: &mut fastrand::Rng) -> Duration {
        let width = u64::try_from((self.end - self.start).as_nanos()).unwrap_or(u64::MAX);
        self.start + Duration::from_nanos(rng.u64(..=width))
    }
}

/// The units, and how many nanoseconds each has.
const UNITS: [(&str, u64); 6] = [
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];

/// The module: durations need no namespace.
pub const MODULE: HostModule = HostModule {
    name: "",
    summary: "Durations: `500.ms`, `1.5.s`, `2.m`, ranges such as `1.s..3.s`, and arithmetic with them.",
    docs: DOCS,
    register,
};

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "number.us, number.ms, number.s, number.m, number.h, number.d -> duration",
        summary: "A duration of so many microseconds, milliseconds, seconds, minutes, hours or days.",
        parameters: &[("number", "an integer or a float, not negative")],
        errors: "when the number is negative, not finite, or too large",
        example: "
            assert_eq(1.5.s, 1500.ms);
            assert_eq(2.m + 30.s, 150.s);
            assert_eq(1.d, 24.h);
            assert_eq(500.us, 0.5.ms);
            assert_eq((90.s).to_string(), \"1m30s\");
            assert_error(|| (-1).s, \"negative\");
        ",
    },
    FunctionDoc {
        signature: "duration.us, duration.ms, duration.s, duration.m, duration.h, duration.d -> float",
        summary: "The duration as a number of that unit.",
        parameters: &[],
        errors: "",
        example: "
            assert_eq((1.5.s).ms, 1500.0);
            assert_eq((90.s).m, 1.5);
        ",
    },
    FunctionDoc {
        signature: "duration + duration, duration - duration, duration * number, duration / number -> duration",
        summary: "Arithmetic; a duration divided by a duration is a float.",
        parameters: &[],
        errors: "when the result is negative or too large, or when a duration meets a plain number where it must not",
        example: "
            let pause = 2.s;
            pause += 500.ms;
            assert_eq(pause, 2.5.s);
            assert_eq(pause * 2, 5.s);
            assert_eq(0.5 * pause, 1250.ms);
            assert_eq(pause / 5, 500.ms);
            assert_eq(1.m / 1.s, 60.0);
            assert_error(|| 1.s - 2.s, \"negative\");
        ",
    },
    FunctionDoc {
        signature: "duration < duration, <=, >, >=, ==, != -> bool",
        summary: "Comparison of two durations.",
        parameters: &[],
        errors: "when one side is a plain number",
        example: "
            assert_eq(999.ms < 1.s, true);
            assert_eq(60.s == 1.m, true);
            assert_error(|| 1.s > 500, \"with a unit\");
        ",
    },
    FunctionDoc {
        signature: "duration..duration, duration..=duration -> duration range",
        summary: "A range to pick from, both ends included; its ends are `range.start` and `range.end`.",
        parameters: &[],
        errors: "when it runs backwards",
        example: "
            let pause = random::duration(1.s..3.s);
            assert_eq(pause >= 1.s && pause <= 3.s, true);
            assert_eq((1.s..=3.s).end, 3.s);
            assert_error(|| 3.s..1.s, \"backwards\");
        ",
    },
];

fn register(engine: &mut Engine, _: &HostContext) {
    engine.register_type_with_name::<Duration>("Duration").register_type_with_name::<DurationRange>("DurationRange");
    for (unit, nanos) in UNITS {
        engine
            .register_get(unit, move |number: &mut INT| from_int(*number, unit, nanos))
            .register_get(unit, move |number: &mut FLOAT| from_float(*number * nanos as FLOAT / 1e9))
            .register_get(unit, move |duration: &mut Duration| duration.as_nanos() as FLOAT / nanos as FLOAT);
    }
    engine
        .register_get("start", |range: &mut DurationRange| range.start)
        .register_get("end", |range: &mut DurationRange| range.end)
        .register_fn("..", DurationRange::new)
        .register_fn("..=", DurationRange::new)
        .register_fn("to_string", |range: &mut DurationRange| range_text(*range))
        .register_fn("to_debug", |range: &mut DurationRange| range_text(*range))
        .register_fn("to_string", |duration: &mut Duration| to_text(*duration))
        .register_fn("to_debug", |duration: &mut Duration| to_text(*duration));
    register_arithmetic(engine);
    register_comparisons(engine);
}

fn register_arithmetic(engine: &mut Engine) {
    engine
        .register_fn("+", |a: Duration, b: Duration| a.checked_add(b).ok_or_else(too_long))
        .register_fn("-", |a: Duration, b: Duration| {
            a.checked_sub(b).ok_or_else(|| {
                host_error(format!("`{} - {}` is negative, which durations cannot be", to_text(a), to_text(b)))
            })
        })
        .register_fn("-", |a: Duration| -> HostResult<Duration> {
            Err(host_error(format!("`-{}` is negative, which durations cannot be", to_text(a))))
        })
        .register_fn("*", |a: Duration, by: INT| scale(a, by as FLOAT))
        .register_fn("*", |by: INT, a: Duration| scale(a, by as FLOAT))
        .register_fn("*", scale)
        .register_fn("*", |by: FLOAT, a: Duration| scale(a, by))
        .register_fn("/", |a: Duration, by: INT| divide(a, by as FLOAT))
        .register_fn("/", divide)
        .register_fn("/", |a: Duration, by: Duration| {
            if by.is_zero() {
                return Err(host_error("a duration divided by a duration of zero"));
            }
            Ok(a.as_secs_f64() / by.as_secs_f64())
        });
}

fn register_comparisons(engine: &mut Engine) {
    type Compare = fn(&Duration, &Duration) -> bool;
    let operators: [(&str, Compare); 6] = [
        ("==", PartialEq::eq),
        ("!=", PartialEq::ne),
        ("<", PartialOrd::lt),
        ("<=", PartialOrd::le),
        (">", PartialOrd::gt),
        (">=", PartialOrd::ge),
    ];
    for (operator, compare) in operators {
        engine
            .register_fn(operator, move |a: Duration, b: Duration| compare(&a, &b))
            .register_fn(operator, |_: Duration, number: INT| unit_missing(&number.to_string()))
            .register_fn(operator, |number: INT, _: Duration| unit_missing(&number.to_string()))
            .register_fn(operator, |_: Duration, number: FLOAT| unit_missing(&number.to_string()))
            .register_fn(operator, |number: FLOAT, _: Duration| unit_missing(&number.to_string()));
    }
}

fn unit_missing(number: &str) -> HostResult<bool> {
    Err(host_error(format!(
        "a duration is compared with the plain number `{number}`: give it with a unit, such as `{number}.ms`, or compare \
         `duration.ms` with it"
    )))
}

fn from_int(number: INT, unit: &str, nanos: u64) -> HostResult<Duration> {
    let count = u64::try_from(number)
        .map_err(|_| host_error(format!("`{number}.{unit}` is negative, which durations cannot be")))?;
    match (nanos / 1_000_000_000, count.checked_mul(nanos)) {
        (_, Some(total)) => Ok(Duration::from_nanos(total)),
        (0, None) => from_float(count as FLOAT * nanos as FLOAT / 1e9),
        (seconds, None) => count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(too_long),
    }
}

/// A duration of so many seconds, when there is such a one.
/// So many seconds.
///
/// # Errors
/// When that is negative or too long.
pub fn from_float(seconds: FLOAT) -> HostResult<Duration> {
    if seconds < 0.0 {
        return Err(host_error(format!("a duration of {seconds} s is negative, which durations cannot be")));
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| too_long())
}

fn scale(duration: Duration, by: FLOAT) -> HostResult<Duration> {
    from_float(duration.as_secs_f64() * by)
}

fn divide(duration: Duration, by: FLOAT) -> HostResult<Duration> {
    if by == 0.0 {
        return Err(host_error(format!("`{} / 0`: a duration divided by zero", to_text(duration))));
    }
    from_float(duration.as_secs_f64() / by)
}

fn too_long() -> Box<rhai::EvalAltResult> {
    host_error("a duration is too long, or not a number")
}

fn range_text(range: DurationRange) -> String {
    format!("{}..{}", to_text(range.start), to_text(range.end))
}

/// A duration in full, as `units::parse_duration` reads it: `1m30s`, `1.5s`, `250ms`.
#[must_use]
pub fn to_text(duration: Duration) -> String {
    if duration.is_zero() {
        return "0s".to_owned();
    }
    let seconds = duration.as_secs();
    let nanos = duration.subsec_nanos();
    if seconds == 0 {
        let (value, unit) = if nanos >= 1_000_000 { (1e6, "ms") } else { (1e3, "us") };
        return format!("{}{unit}", f64::from(nanos) / value);
    }
    let mut text = String::new();
    let mut rest = seconds;
    for (length, unit) in [(86_400, "d"), (3_600, "h"), (60, "m")] {
        if rest >= length {
            // Writing into a string cannot fail.
            let _ = write!(text, "{}{unit}", rest / length);
            rest %= length;
        }
    }
    if rest > 0 || nanos > 0 {
        let _ = write!(text, "{}s", rest as f64 + f64::from(nanos) / 1e9);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_in_full() {
        let table = [
            (0, "0s"),
            (1_500, "1.5us"),
            (250_000, "250us"),
            (500_000_000, "500ms"),
            (1_500_000_000, "1.5s"),
            (1_100_000_000, "1.1s"),
            (59_999_999_999, "59.999999999s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h"),
            (90_061_500_000_000, "1d1h1m1.5s"),
        ];
        for (nanos, text) in table {
            assert_eq!(to_text(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn keeps_whole_numbers_exact_and_refuses_what_is_no_duration() {
        assert_eq!(from_int(9_007_199_254_740_993, "us", 1_000).unwrap().as_micros(), 9_007_199_254_740_993);
        assert_eq!(from_int(INT::MAX, "s", 1_000_000_000).unwrap().as_secs(), INT::MAX as u64);
        assert!(from_int(INT::MAX, "d", 86_400_000_000_000).is_err());
        assert_eq!(from_float(0.1).unwrap(), Duration::from_millis(100));
        for seconds in [-0.001, FLOAT::NAN, FLOAT::INFINITY, 1e30] {
            assert!(from_float(seconds).is_err(), "{seconds}");
        }
        assert_eq!(
            from_int(-5, "ms", 1_000_000).unwrap_err().to_string(),
            "Runtime error: `-5.ms` is negative, which durations cannot be"
        );
    }

    #[test]
    fn picks_within_a_range_with_both_ends() {
        let mut rng = fastrand::Rng::with_seed(3);
        let range = DurationRange::new(Duration::from_nanos(5), Duration::from_nanos(7)).unwrap();
        let picks: std::collections::BTreeSet<_> = (0..200).map(|_| range.pick(&mut rng).as_nanos()).collect();
        assert_eq!(Vec::from_iter(picks), [5, 6, 7]);
    }
}
