//! The shop itself: what all server threads share, and who is calling.
//!
//! A visitor is known by the `sid` cookie of a session, or by the bearer token of an API login, which is a session too.
//! Both keep a cart. Sessions, orders and cached pages are bounded; their oldest entries go first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::DemoConfig;
use super::catalogue::Catalogue;
use super::files::File;
use super::oauth::Grant;
use super::request::Request;
use super::stats::{Counters, Events};
use super::store::{Dice, Store};

/// Sessions that are held, form and bearer together.
const SESSIONS_MAX: usize = 200_000;

/// Orders that are held.
const ORDERS_MAX: usize = 200_000;

/// Cached pages that are held.
const CACHED_MAX: usize = 50_000;

/// Uploads in pieces that are remembered.
const FILES_MAX: usize = 10_000;

/// How long a bearer token holds.
pub(super) const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// The highest number of the users `user1`, `user2` and so on.
const USERS: u32 = 100_000;

/// Everybody's password.
pub(super) const PASSWORD: &str = "secret";

/// What all server threads share.
pub(super) struct Shop {
    pub(super) config: DemoConfig,
    pub(super) catalogue: Catalogue,
    pub(super) sessions: Store<Session>,
    pub(super) orders: Store<Order>,
    /// When each cached page was made, by the hash of its key.
    pub(super) cached: Store<Instant>,
    /// What refresh tokens stand for.
    pub(super) grants: Store<Grant>,
    /// Uploads in pieces, by the hash of their name.
    pub(super) files: Store<File>,
    /// How often `/flaky` has failed, by the hash of its key.
    pub(super) failures: Store<u32>,
    pub(super) dice: Dice,
    /// One a server thread.
    pub(super) counters: Vec<Arc<Counters>>,
    pub(super) events: Events,
}

/// How a session is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// By the `sid` cookie.
    Cookie,
    /// By the `authorization` header.
    Bearer,
}

/// A line of a cart: product and quantity.
pub(super) type Line = (u32, u32);

/// What the shop knows about a visitor.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) carrier: Carrier,
    /// What the login form must bring back.
    pub(super) csrf: u64,
    /// Who is logged in.
    pub(super) user: Option<Arc<str>>,
    pub(super) cart: SmallVec<[Line; 2]>,
    pub(super) opened: Instant,
    /// How long its token is good for; a cookie's session has no end.
    pub(super) life: Duration,
}

/// An order that was accepted.
#[derive(Debug)]
pub(super) struct Order {
    /// The user, or the session of a guest.
    pub(super) owner: Owner,
    pub(super) lines: SmallVec<[Line; 2]>,
    pub(super) total_cents: u64,
}

/// Whose order it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A user, in whatever session.
    User(Arc<str>),
    /// A guest, as long as the session lives.
    Guest(u64),
}

impl Shop {
    pub(super) fn new(config: DemoConfig, counters: Vec<Arc<Counters>>) -> Self {
        Self {
            dice: Dice::new(config.seed),
            config,
            catalogue: Catalogue::new(),
            sessions: Store::new(SESSIONS_MAX),
            orders: Store::new(ORDERS_MAX),
            cached: Store::new(CACHED_MAX),
            failures: Store::new(CACHED_MAX),
            grants: Store::new(CACHED_MAX),
            files: Store::new(FILES_MAX),
            counters,
            events: Events::default(),
        }
    }

    /// Opens a session, and returns its key and its CSRF token.
    pub(super) fn open_session(
        &self,
        carrier: Carrier,
        user: Option<&str>,
        cart: SmallVec<[Line; 2]>,
        now: Instant,
    ) -> (u64, u64) {
        let (key, csrf) = (self.dice.next(), self.dice.next());
        let user = user.map(Arc::from);
        self.sessions.insert(key, Session { carrier, csrf, user, cart, opened: now, life: TOKEN_LIFE });
        (key, csrf)
    }

    /// Opens a session for a bearer token that is good for so long, and returns its key.
    pub(super) fn open_token(&self, user: &Arc<str>, now: Instant, life: Duration) -> u64 {
        let (key, csrf) = (self.dice.next(), self.dice.next());
        let (user, cart) = (Some(Arc::clone(user)), SmallVec::new());
        self.sessions.insert(key, Session { carrier: Carrier::Bearer, csrf, user, cart, opened: now, life });
        key
    }

    /// The key of the caller's session, where the request carries one that is held and still valid: the bearer token
    /// first, then the cookie.
    pub(super) fn caller(&self, request: &Request<'_>, now: Instant) -> Option<u64> {
        let bearer = strip_scheme(request.authorization).map(|token| (Carrier::Bearer, token));
        let cookie = || request.cookie("sid").map(|sid| (Carrier::Cookie, sid));
        let (carrier, text) = bearer.or_else(cookie)?;
        let key = parse_key(text)?;
        let valid = |session: &mut Session| {
            session.carrier == carrier
                && (carrier == Carrier::Cookie || now.saturating_duration_since(session.opened) < session.life)
        };
        self.sessions.with(key, valid).unwrap_or(false).then_some(key)
    }

    /// The latency that every response is to have, by configuration.
    pub(super) fn injected_latency(&self) -> Duration {
        let (latency, jitter) = (self.config.latency, self.config.latency_jitter);
        if jitter.is_zero() { latency } else { latency + jitter.mul_f64(self.dice.fraction()) }
    }

    /// Who the caller's session belongs to.
    pub(super) fn owner(&self, key: u64) -> Option<Owner> {
        self.sessions.with(key, |session| session.user.clone().map_or(Owner::Guest(key), Owner::User))
    }
}

/// The token of `Bearer token`.
fn strip_scheme(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A session's key, CSRF token or the like as visitors see it.
pub(super) fn key_text(key: u64) -> String {
    format!("{key:016x}")
}

/// The reverse of [`key_text`].
pub(super) fn parse_key(text: &str) -> Option<u64> {
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// Whether a user of this name exists: `user1` to `user100000`, and any `user-…`.
pub(super) fn is_user(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("user") else { return false };
    match rest.strip_prefix('-') {
        Some(rest) => !rest.is_empty() && rest.len() <= 64 && !rest.chars().any(char::is_control),
        None => {
            !rest.starts_with('0')
                && rest.bytes().all(|byte| byte.is_ascii_digit())
                && rest.parse::<u32>().is_ok_and(|number| (1..=USERS).contains(&number))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_known_by_their_names() {
        for name in ["user1", "user42", "user100000", "user-7@shop.test", "user-é"] {
            assert!(is_user(name), "{name}");
        }
        for name in
            ["", "user", "user0", "user01", "user100001", "user+1", "user-", "user-a\n", "admin", "User1", "user1 "]
        {
            assert!(!is_user(name), "{name:?}");
        }
        assert!(!is_user(&format!("user-{}", "x".repeat(65))));
    }

    #[test]
    fn keys_survive_being_written() {
        for key in [0, 1, u64::MAX] {
            assert_eq!(parse_key(&key_text(key)), Some(key));
        }
        for text in ["", "1", "+000000000000001", "000000000000000g", "00000000000000001"] {
            assert_eq!(parse_key(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_scheme_is_stripped() {
        assert_eq!(strip_scheme("Bearer abc"), Some("abc"));
        assert_eq!(strip_scheme("bearer  abc "), Some("abc"));
        assert_eq!(strip_scheme("Basic abc"), None);
        assert_eq!(strip_scheme("Bearer"), None);
    }
}
