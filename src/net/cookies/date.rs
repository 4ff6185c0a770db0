//! The dates of cookies, read as tolerantly as browsers do (RFC 6265bis, section 5.1.1): servers write them in many ways,
//! and the words may come in any order.

use jiff::civil::Date;

/// Seconds since 1970 of a date such as `Thu, 01 Jan 1970 00:00:00 GMT`; none where a part is missing or makes no sense.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for word in text.as_bytes().split(|&byte| is_delimiter(byte)).filter(|word| !word.is_empty()) {
        if time.is_none()
            && let Some(found) = time_of(word)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = number(word, 1..=2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_of(word)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = number(word, 2..=4)
        {
            year = Some(found);
        }
    }
    let year = match year? {
        year @ 70..=99 => year + 1900,
        year @ 0..=69 => year + 2000,
        year => year,
    };
    let (hour, minute, second) = time?;
    if year < 1601 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let date = Date::new(i16::try_from(year).ok()?, month?, i8::try_from(day?).ok()?).ok()?;
    let midnight_s = date.duration_since(Date::constant(1970, 1, 1)).as_secs();
    Some(midnight_s + i64::from(hour * 3600 + minute * 60 + second))
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, 0x09 | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e)
}

/// The digits at the beginning, if they are as many; what comes after them is not looked at.
fn number(word: &[u8], digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let count = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !digits.contains(&count) {
        return None;
    }
    Some(word[..count].iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
}

/// `8:05:59`
fn time_of(word: &[u8]) -> Option<(u32, u32, u32)> {
    let mut parts = word.splitn(3, |&byte| byte == b':');
    let mut whole = || {
        let part = parts.next()?;
        number(part, 1..=2).filter(|_| part.len() <= 2)
    };
    let (hour, minute) = (whole()?, whole()?);
    Some((hour, minute, number(parts.next()?, 1..=2)?))
}

fn month_of(word: &[u8]) -> Option<i8> {
    const MONTHS: [&[u8]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let start = word.get(..3)?;
    let at = MONTHS.iter().position(|month| start.eq_ignore_ascii_case(month))?;
    i8::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_read_as_servers_write_them() {
        for (text, expected) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("06 nov 1994 8:49:37", Some(784_111_777)),
            ("1994 Nov 06th 08:49:37", Some(784_111_777)),
            ("Wed, 09 Jun 69 10:18:14 GMT", Some(3_137_998_694)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Mon, 30 Feb 2026 00:00:00 GMT", None),
            ("Mon, 10 Feb 1600 00:00:00 GMT", None),
            ("Mon, 10 Feb 2026 24:00:00 GMT", None),
            ("Mon, 10 Feb 2026", None),
            ("00:00:00 GMT", None),
            ("2026-11-24T20:00:00Z", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn fuzz_cookie_dates(text in "\\PC{0,60}|([0-9]{1,5}|[a-zA-Z]{3}|[:, -]|[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,3}){0,12}") {
            if let Some(seconds) = parse(&text) {
                prop_assert!((-11_644_473_600..253_402_300_800).contains(&seconds));
            }
        }

        #[test]
        fn fuzz_cookie_dates_that_are_written_read_back(seconds in -11_644_473_600_i64..253_402_207_200) {
            let written = jiff::Timestamp::from_second(seconds).unwrap().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            prop_assert_eq!(parse(&written), Some(seconds), "{}", written);
        }
    }
}
