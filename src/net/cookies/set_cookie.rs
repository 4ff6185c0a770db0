//! What a `Set-Cookie` line says, read as browsers do (RFC 6265bis, section 5.6): by its semicolons, with attributes that
//! make no sense passed over.

use super::{Refused, SameSite, date};

/// The longest name and value together, in bytes.
pub(super) const COOKIE_BYTES_MAX: usize = 4096;

/// The longest value of an attribute; a longer one is passed over.
pub(super) const ATTRIBUTE_BYTES_MAX: usize = 1024;

/// A cookie as somebody wants it kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetCookie<'a> {
    /// Its name; browsers keep some without one.
    pub name: &'a str,
    /// Its value.
    pub value: &'a str,
    /// For this domain and all names below it; none: for the host that set it.
    pub domain: Option<&'a str>,
    /// For this path and all below it; none: for that of the URL that set it.
    pub path: Option<&'a str>,
    /// For `https` alone.
    pub secure: bool,
    /// Not for scripts of a page.
    pub http_only: bool,
    /// With which requests from other sites it goes.
    pub same_site: Option<SameSite>,
    /// For so many seconds.
    pub max_age_s: Option<i64>,
    /// Until then, in seconds since 1970; `max_age_s` counts more.
    pub expires_s: Option<i64>,
}

impl<'a> SetCookie<'a> {
    /// Of a line.
    pub(super) fn parse(line: &'a str) -> Result<Self, Refused> {
        if line.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
            return Err(Refused::Characters);
        }
        let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let mut cookie = Self { name: trimmed(name), value: trimmed(value), ..Self::default() };
        cookie.check_size()?;
        for attribute in attributes.split(';') {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let (name, value) = (trimmed(name), trimmed(value));
            if value.len() <= ATTRIBUTE_BYTES_MAX {
                cookie.take(name, value);
            }
        }
        Ok(cookie)
    }

    /// A date as servers write it, in seconds since 1970; none where it is none.
    #[must_use]
    pub fn date(text: &str) -> Option<i64> {
        date::parse(text)
    }

    /// Whether name and value are long enough and no longer than they may be.
    pub(super) fn check_size(&self) -> Result<(), Refused> {
        match self.name.len() + self.value.len() {
            0 => Err(Refused::Empty),
            1..=COOKIE_BYTES_MAX => Ok(()),
            _ => Err(Refused::TooLong),
        }
    }

    fn take(&mut self, name: &str, value: &'a str) {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        // Of several with one name the last counts, unless it can't be read as a time.
        if is("expires") {
            self.expires_s = date::parse(value).or(self.expires_s);
        } else if is("max-age") {
            self.max_age_s = seconds(value).or(self.max_age_s);
        } else if is("domain") {
            self.domain = Some(value.strip_prefix('.').unwrap_or(value)).filter(|domain| !domain.is_empty());
        } else if is("path") {
            self.path = Some(value).filter(|path| path.starts_with('/'));
        } else if is("secure") {
            self.secure = true;
        } else if is("httponly") {
            self.http_only = true;
        } else if is("samesite") {
            self.same_site = SameSite::named(value);
        }
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// A number of seconds; one with more digits than there is room for is the longest time there is.
fn seconds(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let limit = if digits.len() < text.len() { i64::MIN } else { i64::MAX };
    Some(text.parse().unwrap_or(limit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_taken_apart_as_browsers_do() {
        let plain = SetCookie { name: "a", value: "1", ..SetCookie::default() };
        for (line, expected) in [
            ("a=1", plain),
            (" a\t= 1 ;", plain),
            ("a=1; unknown=x; =; ; secure-ish", plain),
            ("a=1; Secure=no; HTTPONLY", SetCookie { secure: true, http_only: true, ..plain }),
            (
                "a=1; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:07 GMT",
                SetCookie { max_age_s: Some(10), expires_s: Some(7), ..plain },
            ),
            ("a=1; max-age=-3; max-age=soon; expires=later", SetCookie { max_age_s: Some(-3), ..plain }),
            ("a=1; max-age=99999999999999999999", SetCookie { max_age_s: Some(i64::MAX), ..plain }),
            ("a=1; Domain=.Shop.test; Path=/x; path=y", SetCookie { domain: Some("Shop.test"), ..plain }),
            (
                "a=1; Path=/x; SameSite=strict",
                SetCookie { path: Some("/x"), same_site: Some(SameSite::Strict), ..plain },
            ),
            ("a=b=c; SameSite=any", SetCookie { value: "b=c", ..plain }),
            ("a=\"x y\"", SetCookie { value: "\"x y\"", ..plain }),
            ("nameless", SetCookie { name: "", value: "nameless", ..plain }),
            ("=nameless", SetCookie { name: "", value: "nameless", ..plain }),
            ("a=", SetCookie { value: "", ..plain }),
        ] {
            assert_eq!(SetCookie::parse(line), Ok(expected), "{line}");
        }
        let (longest, longer) = ("x".repeat(COOKIE_BYTES_MAX - 1), "x".repeat(COOKIE_BYTES_MAX));
        assert!(SetCookie::parse(&format!("a={longest}; path=/{longest}")).is_ok_and(|cookie| cookie.path.is_none()));
        for (line, why) in [
            ("", Refused::Empty),
            (" = ; Path=/", Refused::Empty),
            (&format!("a={longer}"), Refused::TooLong),
            ("a=1\0", Refused::Characters),
            ("a=1; Path=/\r\n", Refused::Characters),
        ] {
            assert_eq!(SetCookie::parse(line), Err(why), "{line}");
        }
    }

    fn attributes() -> impl Strategy<Value = String> {
        "(; ?(expires|max-age|domain|path|secure|httponly|samesite|x)(=[ -~]{0,12})?|;|\\PC){0,8}"
    }

    proptest! {
        #[test]
        fn fuzz_set_cookie_lines(bytes in prop::collection::vec(any::<u8>(), 0..200), tail in attributes()) {
            for line in [String::from_utf8_lossy(&bytes).into_owned(), format!("a=1{tail}"), tail] {
                if let Ok(cookie) = SetCookie::parse(&line) {
                    prop_assert!(!cookie.value.contains(';') && !cookie.name.contains([';', '=']));
                    prop_assert!(cookie.name.len() + cookie.value.len() <= COOKIE_BYTES_MAX);
                }
            }
        }

        #[test]
        fn fuzz_set_cookie_that_is_written_reads_back(
            name in "[!-:<>-~]{1,12}",
            value in "([!-:<-~]([ -:<-~]{0,12}[!-:<-~])?)?",
            domain in prop::option::of("[a-z]{1,8}(\\.[a-z]{1,8}){0,3}"),
            path in prop::option::of("/[!-:<-~]{0,12}"),
            flags in any::<(bool, bool)>(),
            same_site in prop::option::of(prop::sample::select(SameSite::ALL.map(|(_, kind)| kind).to_vec())),
            max_age_s in any::<Option<i64>>(),
        ) {
            let mut line = format!("{name}={value}");
            let mut add = |attribute: String| {
                line.push_str("; ");
                line.push_str(&attribute);
            };
            domain.iter().for_each(|domain| add(format!("Domain={domain}")));
            path.iter().for_each(|path| add(format!("Path={path}")));
            max_age_s.iter().for_each(|seconds| add(format!("Max-Age={seconds}")));
            same_site.iter().for_each(|kind: &SameSite| add(format!("SameSite={}", kind.name())));
            [(flags.0, "Secure"), (flags.1, "HttpOnly")].iter().filter(|flag| flag.0).for_each(|flag| add(flag.1.into()));
            let expected = SetCookie {
                name: &name,
                value: &value,
                domain: domain.as_deref(),
                path: path.as_deref(),
                secure: flags.0,
                http_only: flags.1,
                same_site,
                max_age_s,
                expires_s: None,
            };
            prop_assert_eq!(SetCookie::parse(&line), Ok(expected), "{}", line);
        }
    }
}
