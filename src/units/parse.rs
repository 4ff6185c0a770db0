//! Parsing of durations, bytes, rates and counts, as options, flags and thresholds spell them.
//!
//! All arithmetic is on whole numbers (nanoseconds, bytes), so that `1.1s` is exactly 1,100 ms. Negative values are
//! refused: nothing that is configured in these units can be negative.

use std::time::Duration;

/// Why a text is not a value with a unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// There is nothing to parse.
    #[error("expected {expected}, found nothing")]
    Empty {
        /// What would have been right, with an example.
        expected: &'static str,
    },
    /// It does not start with a number where one is due.
    #[error("expected {expected}, found `{found}`")]
    NotANumber {
        /// What was found.
        found: String,
        /// What would have been right, with an example.
        expected: &'static str,
    },
    /// A number is followed by a unit that is not known here.
    #[error("unknown unit `{unit}` in `{found}`, expected one of {expected}")]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        found: String,
        /// The units that are known.
        expected: &'static str,
    },
    /// Units of a duration must go from large to small, each at most once.
    #[error("unit `{unit}` is out of order in `{found}`, expected units from large to small, such as `1h30m`")]
    UnitOrder {
        /// The unit.
        unit: String,
        /// The whole text.
        found: String,
    },
    /// It does not fit.
    #[error("`{found}` is too large, the most is {most}")]
    TooLarge {
        /// The whole text.
        found: String,
        /// The largest value.
        most: &'static str,
    },
    /// It has a fraction of something that can't be split.
    #[error("`{found}` is not a whole number of {of}")]
    NotWhole {
        /// The whole text.
        found: String,
        /// Of what: `bytes`.
        of: &'static str,
    },
}

const DURATION: &str = "a duration such as `30s`, `1m30s` or `500ms`";
const DURATION_UNITS: &str = "`d`, `h`, `m`, `s`, `ms`, `us`, `ns`";
const BYTES: &str = "a size such as `64KB`, `5MB` or `1GiB`";
const BYTE_UNITS: &str = "`B`, `KB`, `MB`, `GB`, `TB`, `KiB`, `MiB`, `GiB`, `TiB`";
const RATE: &str = "a rate such as `50/s` or `3000/m`";
const COUNT: &str = "a number such as `200`, `10k` or `1.5M`";
const COUNT_UNITS: &str = "`k`, `M`";

/// The longest duration: a hundred years.
const DURATION_MOST_NS: u128 = 100 * 365 * 86_400 * 1_000_000_000;

/// So many events in so long: `50/s` is 50 in one second. Both are whole, so that schedules can be exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// In how long; never zero.
    pub per: Duration,
}

/// A number as it was written: `digits` divided by ten to the power of `decimals`.
struct Decimal {
    digits: u128,
    decimals: u32,
}

impl Decimal {
    /// This many of `unit`, where that is whole.
    fn times(&self, unit: u128) -> Result<Option<u128>, Overflow> {
        let product = self.digits.checked_mul(unit).ok_or(Overflow)?;
        let divisor = 10u128.pow(self.decimals);
        Ok((product % divisor == 0).then_some(product / divisor))
    }
}

struct Overflow;

/// Takes a number off the front: digits, `_` between them, at most one point, at most nine decimals.
fn take_decimal(text: &str) -> Option<(Decimal, &str)> {
    let (mut digits, mut decimals, mut seen_point, mut seen_digit, mut end) = (0u128, 0u32, false, false, text.len());
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => {
                digits = digits.checked_mul(10)?.checked_add(u128::from(byte - b'0'))?;
                seen_digit = true;
                if seen_point {
                    decimals += 1;
                }
                if decimals > 9 || digits > u128::from(u64::MAX) {
                    return None;
                }
            }
            b'.' if !seen_point => seen_point = true,
            b'_' if seen_digit => {}
            _ => {
                end = index;
                break;
            }
        }
    }
    seen_digit.then(|| (Decimal { digits, decimals }, &text[end..]))
}

fn take_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| c.is_ascii_digit() || c == '.' || c.is_whitespace()).unwrap_or(text.len());
    text.split_at(end)
}

fn number<'a>(text: &'a str, rest: &'a str, expected: &'static str) -> Result<(Decimal, &'a str), UnitError> {
    if text.is_empty() {
        return Err(UnitError::Empty { expected });
    }
    take_decimal(rest).ok_or_else(|| UnitError::NotANumber { found: text.into(), expected })
}

fn duration_unit_ns(unit: &str) -> Option<u128> {
    Some(match unit {
        "d" => 86_400_000_000_000,
        "h" => 3_600_000_000_000,
        "m" | "min" => 60_000_000_000,
        "s" => 1_000_000_000,
        "ms" => 1_000_000,
        "us" | "µs" | "μs" => 1_000,
        "ns" => 1,
        _ => return None,
    })
}

/// Parses a duration: `1m30s`, `500ms`, `1.5s`, `2h`. A plain number is milliseconds, as in k6.
///
/// # Errors
/// When it is empty, has no number, an unknown unit or units out of order, or is longer than a hundred years.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let text = text.trim();
    let too_large = || UnitError::TooLarge { found: text.into(), most: "a hundred years" };
    let mut rest = text;
    let (mut total, mut last_unit) = (0u128, u128::MAX);
    loop {
        let (value, after) = number(text, rest, DURATION)?;
        let (unit, after) = take_unit(after);
        let unit_ns = match unit {
            "" if rest.len() == text.len() && after.is_empty() => 1_000_000,
            _ => duration_unit_ns(unit).ok_or_else(|| UnitError::UnknownUnit {
                unit: unit.into(),
                found: text.into(),
                expected: DURATION_UNITS,
            })?,
        };
        if unit_ns >= last_unit {
            return Err(UnitError::UnitOrder { unit: unit.into(), found: text.into() });
        }
        last_unit = unit_ns;
        let part = value.times(unit_ns).map_err(|Overflow| too_large())?;
        let part = part.ok_or_else(|| UnitError::NotWhole { found: text.into(), of: "nanoseconds" })?;
        total = total.checked_add(part).filter(|&ns| ns <= DURATION_MOST_NS).ok_or_else(too_large)?;
        rest = after.trim_start();
        if rest.is_empty() {
            let ns = |value: u128| u64::try_from(value).map_err(|_| too_large());
            return Ok(Duration::new(ns(total / 1_000_000_000)?, (total % 1_000_000_000) as u32));
        }
    }
}

/// Parses a size in bytes: `5MB` (decimal), `1GiB` (binary), `512`.
///
/// # Errors
/// When it is empty, has no number, an unknown unit, a fraction of a byte, or does not fit 64 bits.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let text = text.trim();
    let (value, unit) = number(text, text, BYTES)?;
    let scale: u128 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => {
            let unit = unit.trim().into();
            return Err(UnitError::UnknownUnit { unit, found: text.into(), expected: BYTE_UNITS });
        }
    };
    whole(text, value.times(scale), "bytes")
}

/// Parses a bandwidth in bytes a second: `5MB/s`, `64KiB/s`, `8Mbit/s`, or a plain number.
///
/// # Errors
/// Those of [`parse_bytes`], and when it is 0.
pub fn parse_bandwidth(text: &str) -> Result<u64, UnitError> {
    let rate = text.trim();
    let rate = rate.strip_suffix("/s").unwrap_or(rate).trim_end();
    let bytes = match rate.strip_suffix("bit") {
        Some(bits) => parse_bytes(bits)? / 8,
        None => parse_bytes(rate)?,
    };
    if bytes == 0 {
        return Err(UnitError::NotANumber { found: text.into(), expected: "a bandwidth above 0, such as `5MB/s`" });
    }
    Ok(bytes)
}

/// Parses a count: `200`, `10k`, `1.5M`.
///
/// # Errors
/// When it is empty, has no number, an unknown unit, is not whole, or does not fit 64 bits.
pub fn parse_count(text: &str) -> Result<u64, UnitError> {
    let text = text.trim();
    let (value, unit) = number(text, text, COUNT)?;
    let scale: u128 = match unit {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        _ => return Err(UnitError::UnknownUnit { unit: unit.into(), found: text.into(), expected: COUNT_UNITS }),
    };
    whole(text, value.times(scale), "things to count")
}

/// Parses a rate: `50/s`, `3000/m`, `0.5/s` (one in two seconds), `10/500ms`. Without a period it is per second.
///
/// # Errors
/// When the count is not a number, or the period is not a duration longer than zero.
pub fn parse_rate(text: &str) -> Result<Rate, UnitError> {
    let text = text.trim();
    let (count, period) = text.split_once('/').unwrap_or((text, "s"));
    let (value, unit) = number(text, count.trim(), RATE)?;
    let scale: u128 = match unit.trim() {
        "" => 1,
        "k" => 1_000,
        unit => return Err(UnitError::UnknownUnit { unit: unit.into(), found: text.into(), expected: "`k`" }),
    };
    let period = period.trim();
    let per = match duration_unit_ns(period) {
        Some(ns) => Duration::from_nanos(ns as u64),
        None => parse_duration(period)?,
    };
    if per.is_zero() {
        return Err(UnitError::NotANumber { found: text.into(), expected: RATE });
    }
    let too_large = || UnitError::TooLarge { found: text.into(), most: "18 quintillion" };
    // A fraction becomes a whole count over a longer period: 0.5 a second is 1 in 2 seconds.
    let mut count = value.digits.checked_mul(scale).ok_or_else(too_large)?;
    let mut periods = 10u64.pow(value.decimals);
    for factor in [2, 5] {
        while periods % factor == 0 && count % u128::from(factor) == 0 {
            periods /= factor;
            count /= u128::from(factor);
        }
    }
    let periods = u32::try_from(periods).map_err(|_| too_large())?;
    let per = per.checked_mul(periods).ok_or_else(too_large)?;
    Ok(Rate { count: u64::try_from(count).map_err(|_| too_large())?, per })
}

fn whole(text: &str, value: Result<Option<u128>, Overflow>, of: &'static str) -> Result<u64, UnitError> {
    let too_large = || UnitError::TooLarge { found: text.into(), most: "18 quintillion" };
    let value = value.map_err(|Overflow| too_large())?;
    let value = value.ok_or_else(|| UnitError::NotWhole { found: text.into(), of })?;
    u64::try_from(value).map_err(|_| too_large())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact() {
        for (text, ns) in [
            ("0", 0),
            ("1500", 1_500_000_000),
            ("0.5", 500_000),
            ("1m30s", 90_000_000_000),
            (" 1m 30s ", 90_000_000_000),
            ("500ms", 500_000_000),
            ("1.5s", 1_500_000_000),
            ("1.1s", 1_100_000_000),
            ("2h", 7_200_000_000_000),
            ("1d1h", 90_000_000_000_000),
            ("250us", 250_000),
            ("250µs", 250_000),
            ("7ns", 7),
            ("1_000ms", 1_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(ns)), "{text}");
        }
    }

    #[test]
    fn bad_durations_say_what_is_wrong() {
        for (text, message) in [
            ("", "expected a duration such as `30s`, `1m30s` or `500ms`, found nothing"),
            ("soon", "expected a duration such as `30s`, `1m30s` or `500ms`, found `soon`"),
            ("-1s", "expected a duration such as `30s`, `1m30s` or `500ms`, found `-1s`"),
            ("10sec", "unknown unit `sec` in `10sec`, expected one of `d`, `h`, `m`, `s`, `ms`, `us`, `ns`"),
            ("1m30", "unknown unit `` in `1m30`, expected one of `d`, `h`, `m`, `s`, `ms`, `us`, `ns`"),
            ("30s1m", "unit `m` is out of order in `30s1m`, expected units from large to small, such as `1h30m`"),
            ("99999999999h", "`99999999999h` is too large, the most is a hundred years"),
            ("0.5ns", "`0.5ns` is not a whole number of nanoseconds"),
        ] {
            assert_eq!(parse_duration(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn sizes_know_decimal_and_binary_units() {
        for (text, bytes) in
            [("512", 512), ("5MB", 5_000_000), ("1GiB", 1 << 30), ("1.5 KB", 1_500), ("64k", 64_000), ("2tib", 2 << 40)]
        {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for (text, message) in [
            (
                "5 apples",
                "unknown unit `apples` in `5 apples`, expected one of `B`, `KB`, `MB`, `GB`, `TB`, `KiB`, `MiB`, `GiB`, `TiB`",
            ),
            ("1.5", "`1.5` is not a whole number of bytes"),
            ("18446744073709551615TB", "`18446744073709551615TB` is too large, the most is 18 quintillion"),
            ("x", "expected a size such as `64KB`, `5MB` or `1GiB`, found `x`"),
        ] {
            assert_eq!(parse_bytes(text).unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn counts_may_be_in_thousands_and_millions() {
        for (text, count) in [("200", 200), ("10k", 10_000), ("1.5M", 1_500_000), ("1_000", 1_000)] {
            assert_eq!(parse_count(text), Ok(count), "{text}");
        }
        for text in ["", "1.5", "ten", "10 k", "1x"] {
            assert!(parse_count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_whole_counts_over_a_period() {
        for (text, count, per_ms) in [
            ("50/s", 50, 1_000),
            ("50", 50, 1_000),
            ("3000/m", 3_000, 60_000),
            ("0.5/s", 1, 2_000),
            ("2.5/s", 5, 2_000),
            ("10/500ms", 10, 500),
            ("1k/s", 1_000, 1_000),
            ("0/s", 0, 1_000),
        ] {
            assert_eq!(parse_rate(text), Ok(Rate { count, per: Duration::from_millis(per_ms) }), "{text}");
        }
        for text in ["", "/s", "50/", "50/0s", "50/fortnight", "x/s", "5q/s"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_bandwidth_is_bytes_a_second() {
        for (text, bytes) in [("5MB/s", 5_000_000), (" 64KiB/s", 65_536), ("8Mbit/s", 1_000_000), ("100", 100)] {
            assert_eq!(parse_bandwidth(text), Ok(bytes), "{text}");
        }
        for bad in ["", "0", "4bit/s", "5MB/m", "fast"] {
            assert!(parse_bandwidth(bad).is_err(), "{bad}");
        }
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    use crate::units::format::format_duration;

    proptest! {
        #[test]
        fn fuzz_no_text_breaks_a_unit(text in "([0-9]{0,25}[.]?[0-9]{0,25}[ ]?(h|d|m|s|ms|us|µs|ns|k|M|kb|KiB|TiB|bit|/s|/|%|-|e)?){0,4}|\\PC{0,20}") {
            if let Ok(duration) = parse_duration(&text) {
                prop_assert!(duration <= Duration::from_nanos(u64::MAX) * 1_000);
            }
            let _ = (parse_bytes(&text), parse_count(&text));
            if let Ok(bandwidth) = parse_bandwidth(&text) {
                prop_assert!(bandwidth > 0);
            }
            if let Ok(rate) = parse_rate(&text) {
                prop_assert!(!rate.per.is_zero());
            }
        }

        #[test]
        fn fuzz_durations_read_back(ms in 0..60_000u64, s in 60..100_000_000u64) {
            for duration in [Duration::from_millis(ms), Duration::from_secs(s)] {
                prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            }
        }

        #[test]
        fn fuzz_whole_numbers_are_exact(number: u64, small in 1..u32::MAX) {
            prop_assert_eq!(parse_bytes(&number.to_string()), Ok(number));
            prop_assert_eq!(parse_count(&number.to_string()), Ok(number));
            let rate = parse_rate(&format!("{small}/s")).unwrap();
            prop_assert_eq!((rate.count, rate.per), (u64::from(small), Duration::from_secs(1)));
        }
    }
}
