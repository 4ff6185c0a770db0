//! `fake`: names, addresses, texts and the like that look real and belong to nobody.
//!
//! The words come from the crate `fake`, the choices from the running VU's generator, as in `random`: two runs with one seed
//! make up the same people.

use fake::Fake as _;
use fake::faker::{address, company, internet, job, lorem, name, phone_number};
use fake::rand::rand_core::{Infallible, TryRng};
use rhai::{Engine, INT, ImmutableString};

use super::argument::count;
use super::{FunctionDoc, HostModule, HostResult, Natives, define, publish};
use crate::script::context::HostContext;
use crate::script::error::host_error;
use crate::units::nearest;

/// The most words or sentences that one call gives.
const WORDS_MAX: usize = 100_000;

/// The module.
pub const MODULE: HostModule = HostModule {
    name: "fake",
    summary: "Made-up people, places and texts, the same for the same seed, VU and iteration; whole records are in `std/data`.",
    docs: DOCS,
    register,
};

const LOCALE: (&str, &str) = (
    "locale",
    "a language: `en` (without it), `de`, `fr`, `it`, `nl`, `pt_br`, `tr`, `ja`, `zh_cn`; where one has no words of its own, English ones are given",
);

const UNKNOWN: &str = "when there is no such locale";

macro_rules! doc {
    ($signature:literal, $summary:literal, $example:literal) => {
        FunctionDoc { signature: $signature, summary: $summary, parameters: &[], errors: "", example: $example }
    };
    ($signature:literal, $summary:literal, $parameters:expr, $errors:expr, $example:literal) => {
        FunctionDoc {
            signature: $signature,
            summary: $summary,
            parameters: $parameters,
            errors: $errors,
            example: $example,
        }
    };
}

const DOCS: &[FunctionDoc] = &[
    doc!(
        "fake::name() -> string, fake::name(locale) -> string",
        "A first and a last name.",
        &[LOCALE],
        UNKNOWN,
        "
            assert_eq(fake::name().contains(\" \"), true);
            assert_eq(fake::name(\"de\") != \"\", true);
            assert_error(|| fake::name(\"ger\"), \"has no locale `ger`\");
        "
    ),
    doc!(
        "fake::first_name() -> string, fake::first_name(locale) -> string",
        "A first name.",
        &[LOCALE],
        UNKNOWN,
        "assert_eq(fake::first_name() != \"\" && fake::first_name(\"fr\") != \"\", true);"
    ),
    doc!(
        "fake::last_name() -> string, fake::last_name(locale) -> string",
        "A last name.",
        &[LOCALE],
        UNKNOWN,
        "assert_eq(fake::last_name() != \"\" && fake::last_name(\"ja\") != \"\", true);"
    ),
    doc!("fake::user_name() -> string", "A name to log in with.", "assert_eq(fake::user_name() != \"\", true);"),
    doc!(
        "fake::email() -> string",
        "An e-mail address at `example.com`, `.org` or `.net`, where nobody gets mail.",
        "assert_eq(fake::email().contains(\"@example.\"), true);"
    ),
    doc!(
        "fake::password() -> string, fake::password(length) -> string",
        "A password with small letters, capitals, digits and other characters; 12 long where nothing is said.",
        &[("length", "from 4 to 1000")],
        "when the length is outside of that",
        "
            assert_eq(fake::password().len, 12);
            assert_eq(fake::password(20).len, 20);
            assert_error(|| fake::password(3), \"from 4\");
        "
    ),
    doc!(
        "fake::phone() -> string, fake::phone(locale) -> string",
        "A phone number as it is written there.",
        &[LOCALE],
        UNKNOWN,
        "assert_eq(fake::phone().len >= 7 && fake::phone(\"de\").len >= 7, true);"
    ),
    doc!(
        "fake::street() -> string, fake::street(locale) -> string",
        "A street and a number in it.",
        &[LOCALE],
        UNKNOWN,
        "assert_eq(regex::matches(fake::street(), \"[0-9]\") && fake::street(\"it\") != \"\", true);"
    ),
    doc!(
        "fake::city() -> string, fake::city(locale) -> string",
        "A town.",
        &[LOCALE],
        UNKNOWN,
        "assert_eq(fake::city() != \"\" && fake::city(\"nl\") != \"\", true);"
    ),
    doc!(
        "fake::postcode() -> string, fake::postcode(locale) -> string",
        "A postcode as it is written there.",
        &[LOCALE],
        UNKNOWN,
        "assert_eq(regex::matches(fake::postcode(\"de\"), \"^[0-9]{5}$\") && fake::postcode() != \"\", true);"
    ),
    doc!(
        "fake::state() -> string, fake::state(locale) -> string",
        "A state or region.",
        &[LOCALE],
        UNKNOWN,
        "assert_eq(fake::state() != \"\" && fake::state(\"pt_br\") != \"\", true);"
    ),
    doc!("fake::country() -> string", "A country, in English.", "assert_eq(fake::country() != \"\", true);"),
    doc!("fake::country_code() -> string", "Two letters of a country.", "assert_eq(fake::country_code().len, 2);"),
    doc!(
        "fake::company() -> string, fake::company(locale) -> string",
        "A company.",
        &[LOCALE],
        UNKNOWN,
        "assert_eq(fake::company() != \"\" && fake::company(\"zh_cn\") != \"\", true);"
    ),
    doc!("fake::job() -> string", "What somebody does for a living.", "assert_eq(fake::job() != \"\", true);"),
    doc!(
        "fake::user_agent() -> string",
        "How a browser calls itself.",
        "assert_eq(fake::user_agent().contains(\"/\"), true);"
    ),
    doc!("fake::ip() -> string", "An IPv4 address.", "assert_eq(fake::ip().split(\".\").len, 4);"),
    doc!(
        "fake::words(n) -> string",
        "So many words of Latin, apart by spaces.",
        &[("n", "how many, up to 100000")],
        "when `n` is negative or more than that",
        "
            assert_eq(fake::words(3).split(\" \").len, 3);
            assert_error(|| fake::words(-1), \"must be from 0\");
        "
    ),
    doc!(
        "fake::sentence() -> string",
        "Four to ten words and a full stop.",
        "assert_eq(fake::sentence().ends_with(\".\"), true);"
    ),
    doc!(
        "fake::paragraph() -> string, fake::paragraph(sentences) -> string",
        "So many sentences; three to six where nothing is said.",
        &[("sentences", "how many, up to 100000")],
        "when that is negative or more",
        "
            assert_eq(fake::paragraph().len > 20, true);
            assert_eq(fake::paragraph(2).split(\". \").len, 2);
        "
    ),
];

/// The VU's generator, as the crates around `rand` want it.
struct Bridge<'a>(&'a mut fastrand::Rng);

impl TryRng for Bridge<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.u32(..))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.u64(..))
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(destination);
        Ok(())
    }
}

/// What a faker makes up in a language.
macro_rules! in_locale {
    ($rng:ident, $locale:expr, $function:literal, $($faker:ident)::+) => {
        match $locale {
            "en" => Ok($($faker)::+(fake::locales::EN).fake_with_rng::<String, _>($rng)),
            "de" => Ok($($faker)::+(fake::locales::DE_DE).fake_with_rng::<String, _>($rng)),
            "fr" => Ok($($faker)::+(fake::locales::FR_FR).fake_with_rng::<String, _>($rng)),
            "it" => Ok($($faker)::+(fake::locales::IT_IT).fake_with_rng::<String, _>($rng)),
            "nl" => Ok($($faker)::+(fake::locales::NL_NL).fake_with_rng::<String, _>($rng)),
            "pt_br" => Ok($($faker)::+(fake::locales::PT_BR).fake_with_rng::<String, _>($rng)),
            "tr" => Ok($($faker)::+(fake::locales::TR_TR).fake_with_rng::<String, _>($rng)),
            "ja" => Ok($($faker)::+(fake::locales::JA_JP).fake_with_rng::<String, _>($rng)),
            "zh_cn" => Ok($($faker)::+(fake::locales::ZH_CN).fake_with_rng::<String, _>($rng)),
            other => Err(unknown_locale($function, other)),
        }
    };
}

const LOCALES: [&str; 9] = ["en", "de", "fr", "it", "nl", "pt_br", "tr", "ja", "zh_cn"];

#[cold]
fn unknown_locale(function: &str, locale: &str) -> Box<rhai::EvalAltResult> {
    let hint = nearest(locale, LOCALES)
        .map_or_else(|| format!("there are {}", LOCALES.join(", ")), |near| format!("did you mean `{near}`?"));
    host_error(format!("`{function}` has no locale `{locale}`: {hint}"))
}

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    // Each closure draws from the generator of the VU that calls it.
    macro_rules! draw {
        ($name:literal, |$rng:ident $(, $argument:ident: $kind:ty)*| $body:expr) => {{
            let context = context.clone();
            define(&mut natives, $name, move |$($argument: $kind),*| {
                let vu = context.vu();
                let $rng = &mut Bridge(&mut vu.rng.borrow_mut());
                $body
            });
        }};
    }
    macro_rules! localised {
        ($name:literal, $function:literal, $($faker:ident)::+) => {
            draw!($name, |rng| {
                let made: HostResult<String> = in_locale!(rng, "en", $function, $($faker)::+);
                made
            });
            draw!($name, |rng, locale: ImmutableString| {
                let made: HostResult<String> = in_locale!(rng, locale.as_str(), $function, $($faker)::+);
                made
            });
        };
    }
    localised!("name", "fake::name", name::raw::Name);
    localised!("first_name", "fake::first_name", name::raw::FirstName);
    localised!("last_name", "fake::last_name", name::raw::LastName);
    localised!("phone", "fake::phone", phone_number::raw::PhoneNumber);
    localised!("city", "fake::city", address::raw::CityName);
    localised!("postcode", "fake::postcode", address::raw::ZipCode);
    localised!("state", "fake::state", address::raw::StateName);
    localised!("company", "fake::company", company::raw::CompanyName);
    draw!("street", |rng| street(rng, "en"));
    draw!("street", |rng, locale: ImmutableString| street(rng, &locale));
    draw!("user_name", |rng| internet::en::Username().fake_with_rng::<String, _>(rng));
    draw!("email", |rng| internet::en::SafeEmail().fake_with_rng::<String, _>(rng));
    draw!("password", |rng| password(rng, 12));
    draw!("password", |rng, length: INT| password(rng, length));
    draw!("country", |rng| address::en::CountryName().fake_with_rng::<String, _>(rng));
    draw!("country_code", |rng| address::en::CountryCode().fake_with_rng::<String, _>(rng));
    draw!("job", |rng| job::en::Title().fake_with_rng::<String, _>(rng));
    draw!("user_agent", |rng| internet::en::UserAgent().fake_with_rng::<String, _>(rng));
    draw!("ip", |rng| internet::en::IPv4().fake_with_rng::<String, _>(rng));
    draw!("words", |rng, n: INT| words(rng, n));
    draw!("sentence", |rng| lorem::en::Sentence(4..11).fake_with_rng::<String, _>(rng));
    draw!("paragraph", |rng| lorem::en::Paragraph(3..7).fake_with_rng::<String, _>(rng).replace('\n', " "));
    draw!("paragraph", |rng, sentences: INT| paragraph(rng, sentences));
    publish(engine, context, MODULE.name, natives);
}

fn street(rng: &mut Bridge<'_>, locale: &str) -> HostResult<String> {
    let street = in_locale!(rng, locale, "fake::street", address::raw::StreetName)?;
    let number = in_locale!(rng, locale, "fake::street", address::raw::BuildingNumber)?;
    // The number goes before the street in English and French, after it in most other places.
    Ok(if matches!(locale, "en" | "fr") { format!("{number} {street}") } else { format!("{street} {number}") })
}

fn password(rng: &mut Bridge<'_>, length: INT) -> HostResult<String> {
    const CLASSES: [&[u8]; 4] =
        [b"abcdefghijkmnopqrstuvwxyz", b"ABCDEFGHJKLMNPQRSTUVWXYZ", b"23456789", b"!#$%&*+-.:=?@_"];
    let length = match usize::try_from(length) {
        Ok(length) if (4..=1000).contains(&length) => length,
        _ => return Err(host_error(format!("`fake::password`: `length` must be from 4 to 1000, found `{length}`"))),
    };
    let rng = &mut *rng.0;
    let mut pick = |class: &[u8]| class[rng.usize(..class.len())];
    // One of each class, so that rules about passwords are kept; the rest from all of them.
    let mut letters: Vec<u8> = CLASSES.iter().map(|class| pick(class)).collect();
    let all = CLASSES.concat();
    letters.extend((letters.len()..length).map(|_| pick(&all)));
    rng.shuffle(&mut letters);
    Ok(letters.into_iter().map(char::from).collect())
}

fn at_most(n: INT, function: &str, parameter: &str) -> HostResult<usize> {
    match count(n, function, parameter) {
        Ok(n) if n <= WORDS_MAX => Ok(n),
        _ => Err(host_error(format!("`{function}`: `{parameter}` must be from 0 to {WORDS_MAX}, found `{n}`"))),
    }
}

fn words(rng: &mut Bridge<'_>, n: INT) -> HostResult<String> {
    let n = at_most(n, "fake::words", "n")?;
    let words: Vec<String> = (0..n).map(|_| lorem::en::Word().fake_with_rng(rng)).collect();
    Ok(words.join(" "))
}

fn paragraph(rng: &mut Bridge<'_>, sentences: INT) -> HostResult<String> {
    let sentences = at_most(sentences, "fake::paragraph", "sentences")?;
    let sentences: Vec<String> = (0..sentences).map(|_| lorem::en::Sentence(4..11).fake_with_rng(rng)).collect();
    Ok(sentences.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_locale_has_words_for_everything() {
        let mut rng = fastrand::Rng::with_seed(3);
        let rng = &mut Bridge(&mut rng);
        for locale in LOCALES {
            for _ in 0..20 {
                let drawn = [
                    in_locale!(rng, locale, "x", name::raw::Name),
                    in_locale!(rng, locale, "x", phone_number::raw::PhoneNumber),
                    in_locale!(rng, locale, "x", address::raw::CityName),
                    in_locale!(rng, locale, "x", address::raw::ZipCode),
                    in_locale!(rng, locale, "x", address::raw::StateName),
                    in_locale!(rng, locale, "x", company::raw::CompanyName),
                    street(rng, locale),
                ];
                assert!(drawn.iter().all(|text| !text.as_ref().unwrap().trim().is_empty()), "{locale}: {drawn:?}");
            }
        }
    }

    #[test]
    fn one_seed_makes_up_the_same_people() {
        let draw = |seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            let rng = &mut Bridge(&mut rng);
            let name = in_locale!(rng, "en", "x", name::raw::Name).unwrap();
            format!("{name} {} {}", password(rng, 8).unwrap(), words(rng, 3).unwrap())
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn passwords_keep_the_usual_rules() {
        let mut rng = fastrand::Rng::with_seed(3);
        for length in [4, 12, 1000] {
            let made = password(&mut Bridge(&mut rng), length).unwrap();
            assert_eq!(made.len(), length as usize);
            assert!(made.chars().any(|c| c.is_ascii_lowercase()) && made.chars().any(|c| c.is_ascii_uppercase()));
            assert!(made.chars().any(|c| c.is_ascii_digit()) && made.chars().any(|c| c.is_ascii_punctuation()));
        }
        assert!(password(&mut Bridge(&mut rng), -1).is_err());
    }
}
