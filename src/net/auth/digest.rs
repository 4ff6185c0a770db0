//! Digest authentication (RFC 7616, and RFC 2069 for servers without `qop`): the server challenges with a nonce, and the
//! client proves that it knows the password by hashing it together with that.
//!
//! A virtual user remembers the last challenge of each origin and answers it with every further request, counting up, as
//! the standard wants it: one challenge then serves for many requests. Where a server offers `qop=auth-int` alone, the body
//! is hashed as well; one that is streamed can't be, and the server's 401 is the response then.

use std::fmt::Write as _;
use std::rc::Rc;

use ::http::header::WWW_AUTHENTICATE;
use ::http::{HeaderMap, HeaderValue, Method};
use md5::Md5;
use sha2::digest::Digest as _;
use sha2::{Sha256, Sha512, Sha512_256};

use crate::net::target::Origin;

/// How many origins' challenges a virtual user remembers.
const ORIGINS_MAX: usize = 64;

/// How many challenges and parameters of one response are read.
const PARTS_MAX: usize = 64;

/// Name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The user's password.
    pub password: String,
}

/// The challenges that a virtual user has met, by origin.
#[derive(Debug, Default)]
pub struct Challenges(Vec<(Rc<Origin>, Challenge)>);

impl Challenges {
    /// Takes note of the challenge in a response; whether there is one that can be answered for a body that is at hand, or
    /// for one that is not.
    pub fn learn(&mut self, origin: &Rc<Origin>, headers: &HeaderMap, has_body: bool) -> bool {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        // The server names first what it likes best.
        let Some(challenge) = values.flat_map(challenges).find_map(|(scheme, parameters)| {
            if scheme.eq_ignore_ascii_case("digest") { Challenge::of(&parameters) } else { None }
        }) else {
            return false;
        };
        self.0.retain(|(known, _)| known != origin);
        if self.0.len() >= ORIGINS_MAX {
            self.0.remove(0);
        }
        let is_answerable = has_body || challenge.qop != Qop::AuthInt;
        self.0.push((origin.clone(), challenge));
        is_answerable
    }

    /// The header that answers the origin's last challenge; nothing where it has not challenged yet, or where it wants a
    /// hash of a body that is not at hand. `target` is what stands in the request line.
    pub fn answer(
        &mut self,
        origin: &Rc<Origin>,
        credentials: &Credentials,
        method: &Method,
        target: &str,
        body: Option<&[u8]>,
    ) -> Option<HeaderValue> {
        let (_, challenge) = self.0.iter_mut().find(|(known, _)| known == origin)?;
        let body = match (challenge.qop, body) {
            (Qop::AuthInt, None) => return None,
            (_, body) => body.unwrap_or_default(),
        };
        challenge.uses = challenge.uses.wrapping_add(1);
        let mut value = HeaderValue::try_from(challenge.answer(credentials, method.as_str(), target, body)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
    Sha512Slash256,
    /// Not of the standard, but some servers offer it.
    Sha512,
}

impl Algorithm {
    fn hash(self, text: impl AsRef<[u8]>) -> String {
        match self {
            Self::Md5 => hex::encode(Md5::digest(text)),
            Self::Sha256 => hex::encode(Sha256::digest(text)),
            Self::Sha512Slash256 => hex::encode(Sha512_256::digest(text)),
            Self::Sha512 => hex::encode(Sha512::digest(text)),
        }
    }
}

/// What an answer vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Qop {
    /// The older RFC 2069, which knows none.
    None,
    /// Method and target.
    Auth,
    /// The body, too.
    AuthInt,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// As the server wrote it; it is sent back.
    algorithm_name: Option<String>,
    algorithm: Algorithm,
    /// Whether the password's hash is bound to this challenge (`MD5-sess`).
    session: bool,
    qop: Qop,
    hides_user: bool,
    /// The client's own nonce.
    cnonce: String,
    /// How many requests have answered it.
    uses: u32,
}

impl Challenge {
    /// Of a challenge's parameters; nothing when it can't be answered.
    fn of(parameters: &[(&str, String)]) -> Option<Self> {
        let get = |wanted: &str| {
            let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.clone())
        };
        let algorithm_name = get("algorithm");
        let name = algorithm_name.as_deref().unwrap_or("MD5").to_ascii_lowercase();
        let (plain, session) = match name.strip_suffix("-sess") {
            Some(plain) => (plain, true),
            None => (name.as_str(), false),
        };
        let algorithm = match plain {
            "md5" => Algorithm::Md5,
            "sha-256" => Algorithm::Sha256,
            "sha-512-256" => Algorithm::Sha512Slash256,
            "sha-512" => Algorithm::Sha512,
            _ => return None,
        };
        let offered = get("qop");
        let offers = |wanted: &str| {
            offered.iter().flat_map(|all| all.split(',')).any(|one| one.trim().eq_ignore_ascii_case(wanted))
        };
        let qop = match &offered {
            None => Qop::None,
            Some(_) if offers("auth") => Qop::Auth,
            Some(_) if offers("auth-int") => Qop::AuthInt,
            Some(_) => return None,
        };
        Some(Self {
            realm: get("realm").unwrap_or_default(),
            nonce: get("nonce")?,
            opaque: get("opaque"),
            algorithm_name,
            algorithm,
            session,
            qop,
            hides_user: get("userhash").is_some_and(|value| value.eq_ignore_ascii_case("true")),
            cnonce: format!("{:032x}", fastrand::Rng::new().u128(..)),
            uses: 0,
        })
    }

    fn answer(&self, credentials: &Credentials, method: &str, target: &str, body: &[u8]) -> String {
        let hash = |text: &str| self.algorithm.hash(text);
        let Self { realm, nonce, cnonce, uses, .. } = self;
        let Credentials { user, password } = credentials;
        let mut secret = hash(&format!("{user}:{realm}:{password}"));
        if self.session {
            secret = hash(&format!("{secret}:{nonce}:{cnonce}"));
        }
        let (qop, asked) = match self.qop {
            Qop::None => (None, format!("{method}:{target}")),
            Qop::Auth => (Some("auth"), format!("{method}:{target}")),
            Qop::AuthInt => (Some("auth-int"), format!("{method}:{target}:{}", self.algorithm.hash(body))),
        };
        let asked = hash(&asked);
        let response = match qop {
            Some(qop) => hash(&format!("{secret}:{nonce}:{uses:08x}:{cnonce}:{qop}:{asked}")),
            None => hash(&format!("{secret}:{nonce}:{asked}")),
        };
        let shown = if self.hides_user { hash(&format!("{user}:{realm}")) } else { user.clone() };
        let mut header = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{}\", response=\"{response}\"",
            quoted(&shown),
            quoted(realm),
            quoted(nonce),
            quoted(target)
        );
        // Writing to a string can't fail.
        if let Some(name) = &self.algorithm_name {
            let _ = write!(header, ", algorithm={name}");
        }
        if let Some(qop) = qop {
            let _ = write!(header, ", qop={qop}, nc={uses:08x}, cnonce=\"{cnonce}\"");
        } else if self.session {
            let _ = write!(header, ", cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(header, ", opaque=\"{}\"", quoted(opaque));
        }
        if self.hides_user {
            header.push_str(", userhash=true");
        }
        header
    }
}

fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

type Parameters<'a> = Vec<(&'a str, String)>;

/// The challenges of a `WWW-Authenticate` header: schemes with their parameters. Several may stand in one header, parted by
/// the same commas that part parameters; what makes no sense is passed over.
fn challenges(header: &str) -> Vec<(&str, Parameters<'_>)> {
    let mut found: Vec<(&str, Parameters<'_>)> = Vec::new();
    let mut rest = header;
    let mut parts = 0;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | '=' | '"')).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        parts += 1;
        if rest.is_empty() || parts > PARTS_MAX {
            return found;
        }
        let value = after.trim_start().strip_prefix('=').map(str::trim_start);
        match (value, found.last_mut()) {
            (Some(value), Some((_, parameters))) if !word.is_empty() => {
                let (value, after) = value_of(value);
                parameters.push((word, value));
                rest = after;
            }
            (Some(value), _) => rest = value,
            (None, _) if word.is_empty() => {
                // A quote that belongs to nothing.
                let mut characters = after.chars();
                characters.next();
                rest = characters.as_str();
            }
            (None, _) => {
                found.push((word, Vec::new()));
                rest = after;
            }
        }
    }
}

/// A parameter's value, quoted or not, and what comes after it.
fn value_of(text: &str) -> (String, &str) {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => break,
            '\\' => value.extend(characters.next()),
            c => value.push(c),
        }
    }
    (value, characters.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn challenge(header: &str) -> Option<Challenge> {
        challenges(header).iter().find_map(|(_, parameters)| Challenge::of(parameters))
    }

    fn response(answer: &str) -> &str {
        answer.split("response=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default()
    }

    #[test]
    fn the_examples_of_the_standards_come_out() {
        let mufasa = |password: &str| Credentials { user: "Mufasa".into(), password: password.into() };
        // RFC 7616, section 3.9.1.
        for (algorithm, expected) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let mut challenge = challenge(&format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            ))
            .unwrap();
            challenge.cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ".into();
            challenge.uses = 1;
            let answer = challenge.answer(&mufasa("Circle of Life"), "GET", "/dir/index.html", b"");
            assert_eq!(response(&answer), expected, "{algorithm}");
            assert!(answer.contains(&format!(", algorithm={algorithm}, qop=auth, nc=00000001, cnonce=\"f2/wE4q7")));
            assert!(answer.ends_with(", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""), "{answer}");
        }
        // RFC 7616, section 3.9.2, as its errata have it: a name that is hashed by SHA-512/256.
        let mut hidden = challenge(
            "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
             nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", \
             charset=UTF-8, userhash=true",
        )
        .unwrap();
        hidden.cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+niz/sm".into();
        hidden.uses = 1;
        let jason = Credentials { user: "J\u{e4}s\u{f8}n Doe".into(), password: "Secret, or not?".into() };
        let answer = hidden.answer(&jason, "GET", "/doe.json", b"");
        assert!(answer.contains("username=\"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b\""));
        assert!(answer.ends_with(", userhash=true"));
        // RFC 2617, section 3.5, without its qop: RFC 2069.
        let old =
            challenge("Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"").unwrap();
        let answer = old.answer(&mufasa("Circle Of Life"), "GET", "/dir/index.html", b"");
        assert_eq!(response(&answer), "670fd8c2df070c60b045671b8b24ff02");
        assert!(!answer.contains("cnonce") && !answer.contains("algorithm"), "{answer}");
    }

    #[test]
    fn a_session_binds_the_password_to_the_challenge() {
        let mut session = challenge("Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess, qop=auth").unwrap();
        session.cnonce = "c".into();
        session.uses = 2;
        let secret = Algorithm::Md5.hash(format!("{}:n:c", Algorithm::Md5.hash("u:r:p")));
        let expected = Algorithm::Md5.hash(format!("{secret}:n:00000002:c:auth:{}", Algorithm::Md5.hash("GET:/")));
        let answer = session.answer(&Credentials { user: "u".into(), password: "p".into() }, "GET", "/", b"");
        assert_eq!(response(&answer), expected);
    }

    #[test]
    fn bodies_are_vouched_for_where_servers_want_nothing_less() {
        let mut body = challenge("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"").unwrap();
        assert_eq!(challenge("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int,auth\"").unwrap().qop, Qop::Auth);
        body.cnonce = "c".into();
        body.uses = 1;
        let hash = |text: &str| Algorithm::Md5.hash(text);
        let asked = hash(&format!("POST:/a:{}", hash("text")));
        let expected = hash(&format!("{}:n:00000001:c:auth-int:{asked}", hash("u:r:p")));
        let credentials = Credentials { user: "u".into(), password: "p".into() };
        let answer = body.answer(&credentials, "POST", "/a", b"text");
        assert_eq!(response(&answer), expected);
        assert!(answer.contains(", qop=auth-int, nc=00000001, "), "{answer}");

        let origin = crate::net::target::Targets::new("").get("http://shop.test/").unwrap().origin().clone();
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Digest realm=\"r\", nonce=\"n\", qop=auth-int"));
        let mut challenges = Challenges::default();
        assert!(challenges.learn(&origin, &headers, true) && !challenges.learn(&origin, &headers, false));
        for (body, answered) in [(Some(&b""[..]), true), (None, false)] {
            assert_eq!(challenges.answer(&origin, &credentials, &Method::PUT, "/", body).is_some(), answered);
        }
    }

    #[test]
    fn what_can_not_be_answered_is_known() {
        for header in [
            "Basic realm=\"x\"",
            "Digest realm=\"x\"",
            "Digest realm=\"x\", nonce=\"n\", algorithm=SHA-3",
            "Digest realm=\"x\", nonce=\"n\", qop=\"auth-conf\"",
            "",
        ] {
            assert_eq!(challenge(header), None, "{header}");
        }
    }

    #[test]
    fn challenges_are_told_apart() {
        let header = "Negotiate, Basic realm=\"a, b\" , charset=UTF-8,Digest nonce = \"q\\\"x\" ,realm=plain, stale=TRUE, NTLM \
                      TlRMTVNTUAAB==, Bearer";
        let found = challenges(header);
        let schemes: Vec<&str> = found.iter().map(|(scheme, _)| *scheme).collect();
        assert_eq!(schemes[..3], ["Negotiate", "Basic", "Digest"]);
        assert_eq!(found[1].1, [("realm", "a, b".to_owned()), ("charset", "UTF-8".to_owned())]);
        let digest = [("nonce", "q\"x".to_owned()), ("realm", "plain".to_owned()), ("stale", "TRUE".to_owned())];
        assert_eq!(found[2].1, digest);
        assert_eq!(schemes.last(), Some(&"Bearer"));
    }

    proptest! {
        #[test]
        fn fuzz_no_header_does_harm(header in "(Digest|Basic|[a-z]{0,4}|[ ,=\"\\\\\t]|nonce=|qop=|\"[^\"]{0,5}\"|\\PC){0,30}") {
            for (_, parameters) in challenges(&header) {
                if let Some(challenge) = Challenge::of(&parameters) {
                    let answer = challenge.answer(&Credentials { user: "u".into(), password: "p".into() }, "GET", "/", b"");
                    prop_assert!(answer.starts_with("Digest username=\"u\""));
                }
            }
        }

        #[test]
        fn fuzz_what_is_quoted_reads_back(realm in "[ -~]{0,20}", nonce in "[ -~]{1,20}") {
            let header = format!("Digest realm=\"{}\", nonce=\"{}\"", quoted(&realm), quoted(&nonce));
            let challenge = challenge(&header).expect("a challenge");
            prop_assert_eq!((challenge.realm, challenge.nonce), (realm, nonce));
        }
    }
}
