//! Printing: durations, latencies, bytes, counts, shares, for people.
//!
//! One rule for all of it: about three significant digits, a space before the unit, and never a rounding that turns a
//! small number into nothing or a large share into the whole. What is not a number prints as `-`. Exact figures for
//! machines are the business of the summary's JSON, not of this file.

use std::time::Duration;

/// A duration as scripts and flags spell it: `0s`, `850ms`, `1.5s`, `1m30s`, `2h5m`.
///
/// From one minute on, fractions of a second are left out (rounded down); below, milliseconds are the finest step, except
/// below one millisecond (`250us`).
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.is_zero() {
        return "0s".into();
    }
    if seconds == 0 {
        let micros = duration.subsec_micros();
        return match micros {
            0 => format!("{}ns", duration.subsec_nanos()),
            1..1_000 => format!("{micros}us"),
            _ => format!("{}ms", micros / 1_000),
        };
    }
    if seconds < 60 {
        let fraction = format!("{:03}", duration.subsec_millis());
        let fraction = fraction.trim_end_matches('0');
        return if fraction.is_empty() { format!("{seconds}s") } else { format!("{seconds}.{fraction}s") };
    }
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    for (value, unit) in [(hours, 'h'), (minutes, 'm'), (seconds, 's')] {
        if value > 0 {
            text.push_str(&value.to_string());
            text.push(unit);
        }
    }
    text
}

/// A latency given in milliseconds: `850 µs`, `1.2 ms`, `123 ms`, `3.4 s`; `10m12s` from ten minutes on.
#[must_use]
pub fn format_latency_ms(milliseconds: f64) -> String {
    if !milliseconds.is_finite() {
        return "-".into();
    }
    if milliseconds < 0.0 {
        return format!("-{}", format_latency_ms(-milliseconds));
    }
    // The borders lie where rounding would carry into the next unit: 999.6 µs is 1.0 ms.
    if milliseconds < 0.9995 {
        return format!("{:.0} µs", milliseconds * 1e3);
    }
    if milliseconds < 999.5 {
        return format!("{} ms", three_digits(milliseconds));
    }
    let seconds = milliseconds / 1e3;
    if seconds < 600.0 {
        return format!("{} s", three_digits(seconds));
    }
    // A finite number of milliseconds beyond what a Duration holds is no latency.
    Duration::try_from_secs_f64(seconds.floor()).map_or_else(|_| "-".into(), format_duration)
}

/// Bytes, in decimal units: `0 B`, `512 B`, `4.5 kB`, `123 MB`, `1.2 GB`.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let (value, unit) = scaled(bytes as f64, &["B", "kB", "MB", "GB", "TB", "PB", "EB"]);
    format!("{} {unit}", three_digits(value))
}

/// A count or a rate: `0`, `0.25`, `8.3`, `999`, `9999`, `12.3 k`, `4.5 M`.
///
/// Whole numbers below ten thousand are exact; small fractions keep two digits and never become `0`.
#[must_use]
pub fn format_count(count: f64) -> String {
    if !count.is_finite() {
        return "-".into();
    }
    if count < 0.0 {
        return format!("-{}", format_count(-count));
    }
    if count < 9_999.5 {
        return match count {
            _ if count.fract() == 0.0 || count >= 99.95 => format!("{count:.0}"),
            _ if count >= 1.0 => format!("{count:.1}"),
            _ if count >= 0.005 => format!("{count:.2}"),
            _ => "<0.01".into(),
        };
    }
    let (value, unit) = scaled(count, &["", "k", "M", "G", "T", "P", "E"]);
    format!("{} {unit}", three_digits(value))
}

/// A share between 0 and 1 as a percentage: `0%`, `0.25%`, `12.3%`, `99.98%`, `100%`.
///
/// Only nothing is `0%`, and only the whole is `100%`: one failure in a million is `<0.01%`.
#[must_use]
pub fn format_percent(share: f64) -> String {
    if !share.is_finite() {
        return "-".into();
    }
    let percent = share * 100.0;
    match percent {
        _ if percent < 0.0 => format!("-{}", format_percent(-share)),
        _ if percent == 0.0 => "0%".into(),
        _ if percent < 0.005 => "<0.01%".into(),
        _ if percent < 0.995 => format!("{percent:.2}%"),
        _ if percent < 98.95 => format!("{percent:.1}%"),
        _ if percent < 99.995 => format!("{percent:.2}%"),
        _ if percent < 100.0 => ">99.99%".into(),
        _ => format!("{percent:.0}%"),
    }
}

/// `1.2`, `12.3`, `123`: one decimal below a hundred.
fn three_digits(value: f64) -> String {
    if value < 99.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

/// Divides by a thousand until what is left prints with at most three digits before the point.
fn scaled<'a>(mut value: f64, units: &[&'a str]) -> (f64, &'a str) {
    let mut index = 0;
    while value >= 999.5 && index + 1 < units.len() {
        value /= 1e3;
        index += 1;
    }
    (value, units[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (millis, text) in [
            (0, "0s"),
            (1, "1ms"),
            (850, "850ms"),
            (1_000, "1s"),
            (1_500, "1.5s"),
            (1_050, "1.05s"),
            (59_999, "59.999s"),
            (60_000, "1m"),
            (90_400, "1m30s"),
            (3_600_000, "1h"),
            (3_605_000, "1h5s"),
            (7_500_000, "2h5m"),
            (90_061_000, "25h1m1s"),
        ] {
            assert_eq!(format_duration(Duration::from_millis(millis)), text, "{millis} ms");
        }
        assert_eq!(format_duration(Duration::from_micros(250)), "250us");
        assert_eq!(format_duration(Duration::from_nanos(7)), "7ns");
    }

    #[test]
    fn latencies() {
        for (milliseconds, text) in [
            (0.0, "0 µs"),
            (0.85, "850 µs"),
            (0.9994, "999 µs"),
            (0.9996, "1.0 ms"),
            (1.23, "1.2 ms"),
            (99.94, "99.9 ms"),
            (99.96, "100 ms"),
            (999.4, "999 ms"),
            (999.6, "1.0 s"),
            (3_400.0, "3.4 s"),
            (123_000.0, "123 s"),
            (612_900.0, "10m12s"),
            (-1.5, "-1.5 ms"),
            (f64::NAN, "-"),
            (f64::INFINITY, "-"),
            (f64::MAX, "-"),
        ] {
            assert_eq!(format_latency_ms(milliseconds), text, "{milliseconds}");
        }
    }

    #[test]
    fn bytes() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (4_500_000, "4.5 MB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(format_bytes(bytes), text, "{bytes}");
        }
    }

    #[test]
    fn counts() {
        for (count, text) in [
            (0.0, "0"),
            (0.001, "<0.01"),
            (0.25, "0.25"),
            (1.0, "1"),
            (8.33, "8.3"),
            (100.4, "100"),
            (9_999.0, "9999"),
            (9_999.6, "10.0 k"),
            (12_345.0, "12.3 k"),
            (999_500.0, "1.0 M"),
            (4.5e9, "4.5 G"),
            (-3.0, "-3"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(format_count(count), text, "{count}");
        }
    }

    #[test]
    fn shares_are_only_whole_when_they_are() {
        for (share, text) in [
            (0.0, "0%"),
            (0.000_001, "<0.01%"),
            (0.0025, "0.25%"),
            (0.00996, "1.0%"),
            (0.123, "12.3%"),
            (0.9894, "98.9%"),
            (0.9998, "99.98%"),
            (0.999_999, ">99.99%"),
            (1.0, "100%"),
            (1.5, "150%"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(format_percent(share), text, "{share}");
        }
    }
}
