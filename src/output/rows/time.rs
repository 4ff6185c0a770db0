//! How rows tell the time.

use std::fmt::Write as _;

use jiff::Timestamp;

/// A way to write a moment, by k6's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// Whole seconds since 1970.
    #[default]
    Unix,
    /// Milliseconds since 1970.
    UnixMilli,
    /// Microseconds since 1970.
    UnixMicro,
    /// Nanoseconds since 1970.
    UnixNano,
    /// `2026-03-01T12:00:00Z`.
    Rfc3339,
    /// The same with the fraction of the second.
    Rfc3339Nano,
}

impl TimeFormat {
    /// All of them, as parameters give them.
    pub const NAMES: &'static [&'static str] =
        &["unix", "unix_milli", "unix_micro", "unix_nano", "rfc3339", "rfc3339_nano"];

    /// The one of that name; the first for a name that does not exist.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "unix_milli" => Self::UnixMilli,
            "unix_micro" => Self::UnixMicro,
            "unix_nano" => Self::UnixNano,
            "rfc3339" => Self::Rfc3339,
            "rfc3339_nano" => Self::Rfc3339Nano,
            _ => Self::Unix,
        }
    }

    /// Writes a moment.
    pub fn write(self, at: Timestamp, text: &mut String) {
        // Writing into a text can't fail.
        let _ = match self {
            Self::Unix => write!(text, "{}", at.as_second()),
            Self::UnixMilli => write!(text, "{}", at.as_millisecond()),
            Self::UnixMicro => write!(text, "{}", at.as_microsecond()),
            Self::UnixNano => write!(text, "{}", at.as_nanosecond()),
            Self::Rfc3339 => write!(text, "{at:.0}"),
            Self::Rfc3339Nano => write!(text, "{at:.9}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_in_every_format() {
        let at: Timestamp = "2026-03-01T12:00:01.5Z".parse().unwrap();
        let written: Vec<String> = TimeFormat::NAMES
            .iter()
            .map(|name| {
                let mut text = String::new();
                TimeFormat::named(name).write(at, &mut text);
                text
            })
            .collect();
        assert_eq!(
            written,
            [
                "1772366401",
                "1772366401500",
                "1772366401500000",
                "1772366401500000000",
                "2026-03-01T12:00:01Z",
                "2026-03-01T12:00:01.500000000Z"
            ]
        );
    }
}
