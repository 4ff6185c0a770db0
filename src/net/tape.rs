//! Answers on tape: what targets answered, kept while requests are made, or given back instead of making any.
//!
//! A tape is for tests of journeys. A request is known by the test that made it, its method and its URL; several that
//! are alike get their answers in the order in which they came. Cookies and redirects work as ever, for they are made of
//! answers. Requests themselves are not kept, so a recording has no secrets but those that the target sent.
//!
//! Reading and writing files is left to whoever holds the tape.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::headers::Headers;
use super::http::Request;
use super::{Exchange, NetError};
use crate::fault::Fault;

/// What a recording says that it is.
pub const SCHEMA: &str = "loadr/recording/v1";

/// A recording, as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// [`SCHEMA`].
    pub schema: String,
    /// The `BASE_URL` that the tests were run with; they are to be given the same when it is played.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The seed of the tests' random choices.
    pub seed: u64,
    /// The answers of each test, by its name, in the order in which they came.
    pub tests: BTreeMap<String, Vec<Recorded>>,
}

/// One answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The request's method.
    pub method: String,
    /// The URL that was asked for.
    pub url: String,
    /// The status; 0 when there was no response.
    pub status: u16,
    /// The response's headers, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body, if it is a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body in base64, if it is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Why there was no response, or no whole one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RecordedError>,
}

/// A failure on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedError {
    /// The stable number of its class.
    pub code: u32,
    /// What happened.
    pub detail: String,
}

/// A tape that records or plays.
#[derive(Debug)]
pub struct Tape {
    plays: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    recording: Recording,
    test: String,
    /// How many of the test's answers were given, by method and URL.
    given: BTreeMap<(String, String), usize>,
    unknown: Vec<String>,
}

impl Tape {
    /// An empty tape that records.
    #[must_use]
    pub fn recording(base_url: Option<String>, seed: u64) -> Self {
        let recording = Recording { schema: SCHEMA.into(), base_url, seed, tests: BTreeMap::new() };
        Self::new(false, recording)
    }

    /// A tape that plays a recording.
    #[must_use]
    pub fn playing(recording: Recording) -> Self {
        Self::new(true, recording)
    }

    fn new(plays: bool, recording: Recording) -> Self {
        let state = State { recording, test: String::new(), given: BTreeMap::new(), unknown: Vec::new() };
        Self { plays, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What follows belongs to the test of that name.
    pub fn begin(&self, test: &str) {
        let mut state = self.state();
        test.clone_into(&mut state.test);
        state.given.clear();
        state.unknown.clear();
        if !self.plays {
            state.recording.tests.insert(test.to_owned(), Vec::new());
        }
    }

    /// What the test asked for that is not on the tape, in words.
    #[must_use]
    pub fn unknown(&self) -> Vec<String> {
        self.state().unknown.clone()
    }

    /// What was recorded.
    #[must_use]
    pub fn recorded(&self) -> Recording {
        self.state().recording.clone()
    }

    /// The answer to a request, if the tape plays.
    pub(super) fn answer(&self, request: &Request, exchange: &mut Exchange) -> bool {
        if self.plays {
            self.play(request, exchange);
        }
        self.plays
    }

    fn play(&self, request: &Request, exchange: &mut Exchange) {
        let mut state = self.state();
        let key = (request.method.to_string(), request.url.as_str().to_owned());
        let given = *state.given.get(&key).unwrap_or(&0);
        let answers = state.recording.tests.get(&state.test);
        let mut alike = answers.into_iter().flatten().filter(|one| one.method == key.0 && one.url == key.1);
        match alike.nth(given).cloned() {
            Some(recorded) => {
                state.given.insert(key, given + 1);
                recorded.enter(exchange);
            }
            None => {
                let detail = state.why_unknown(&key, given);
                state.unknown.push(detail.clone());
                exchange.error = Some(NetError { fault: Fault::INVALID_REQUEST, detail });
            }
        }
    }

    /// Keeps an answer, if the tape records.
    pub(super) fn keep(&self, exchange: &Exchange) {
        if !self.plays {
            let mut state = self.state();
            let test = state.test.clone();
            state.recording.tests.entry(test).or_default().push(Recorded::of(exchange));
        }
    }
}

impl State {
    fn why_unknown(&self, (method, url): &(String, String), given: usize) -> String {
        let asked = format!("{method} {url}");
        let Some(answers) = self.recording.tests.get(&self.test) else {
            return format!("`{asked}` is not recorded: the recording knows no test `{}`; record it again", self.test);
        };
        if given > 0 {
            return format!("`{asked}` is recorded {given} times, and was asked for once more; record it again");
        }
        let known: Vec<String> = answers.iter().map(|one| format!("{} {}", one.method, one.url)).collect();
        let near = crate::units::nearest(&asked, known.iter().map(String::as_str));
        match near {
            Some(near) => format!("`{asked}` is not recorded; nearest is `{near}`"),
            None => format!("`{asked}` is not recorded; record it again if the test has changed"),
        }
    }
}

impl Recorded {
    fn of(exchange: &Exchange) -> Self {
        let (body, body_base64) = match std::str::from_utf8(&exchange.body) {
            Ok("") => (None, None),
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(STANDARD.encode(&exchange.body))),
        };
        let headers = exchange.headers.iter();
        Self {
            method: exchange.method.to_string(),
            url: exchange.url.as_str().to_owned(),
            status: exchange.status,
            headers: headers
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
            body,
            body_base64,
            error: exchange
                .error
                .as_ref()
                .map(|error| RecordedError { code: error.fault.code, detail: error.detail.clone() }),
        }
    }

    /// Whether it can be played: a reason why not.
    ///
    /// # Errors
    /// When its body is not base64, or a header has a line break in it.
    pub fn validate(&self) -> Result<(), String> {
        if let Some(text) = &self.body_base64 {
            STANDARD.decode(text).map_err(|error| format!("the body of {} {}: {error}", self.method, self.url))?;
        }
        match self.headers.iter().find(|(name, value)| format!("{name}{value}").contains(['\r', '\n'])) {
            Some((name, _)) => {
                Err(format!("the header `{name}` of {} {} has a line break in it", self.method, self.url))
            }
            None => Ok(()),
        }
    }

    fn enter(self, exchange: &mut Exchange) {
        exchange.status = self.status;
        if self.status > 0 {
            let mut head = format!("HTTP/1.1 {} Recorded\r\n", self.status);
            for (name, value) in &self.headers {
                // Writing to a string can't fail.
                let _ = write!(head, "{name}: {value}\r\n");
            }
            head += "\r\n";
            let sets_cookies = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
            exchange.headers = Headers::new(Bytes::from(head), sets_cookies);
            exchange.protocol = Some("HTTP/1.1");
        }
        exchange.body = match (self.body, self.body_base64) {
            (Some(text), _) => Bytes::from(text),
            (None, Some(encoded)) => Bytes::from(STANDARD.decode(encoded).unwrap_or_default()),
            (None, None) => Bytes::new(),
        };
        exchange.bytes_received = exchange.body.len() as u64;
        exchange.error = self.error.map(|error| {
            let class = Fault::TABLE.iter().find(|class| class.code == error.code);
            NetError { fault: class.copied().unwrap_or(Fault::GENERIC), detail: error.detail }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;

    use ::http::Method;

    use super::*;
    use crate::net::http::{Client, Network};
    use crate::net::tls::TlsRoots;
    use crate::plan::HttpOptions;

    fn recorded(method: &str, url: &str, status: u16, body: &str) -> Recorded {
        let body = Some(body.to_owned());
        Recorded { method: method.into(), url: url.into(), status, body, ..Recorded::default() }
    }

    /// A client that plays these answers to the test `t`.
    fn playing(answers: Vec<Recorded>) -> (Client, Arc<Tape>, Rc<Network>) {
        let tests = BTreeMap::from([("t".to_owned(), answers)]);
        let tape = Arc::new(Tape::playing(Recording { schema: SCHEMA.into(), base_url: None, seed: 1, tests }));
        tape.begin("t");
        let roots = Arc::new(TlsRoots::default());
        let network = Network::taped(&HttpOptions::default(), roots, Some(tape.clone()));
        (Client::new(network.clone()), tape, network)
    }

    fn get(client: &Client, network: &Network, url: &str) -> Vec<Exchange> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let request = Request::new(Method::GET, network.target(url).expect("a URL"));
        runtime.block_on(client.send(request)).into_iter().map(|exchange| *exchange).collect()
    }

    #[test]
    fn answers_come_in_their_order_and_no_more_of_them() {
        let url = "http://shop.test/a";
        let (client, tape, network) = playing(vec![recorded("GET", url, 200, "one"), recorded("GET", url, 404, "two")]);
        let first = get(&client, &network, url).remove(0);
        assert_eq!((first.status, &first.body[..], first.error), (200, &b"one"[..], None));
        let second = get(&client, &network, url).remove(0);
        assert_eq!((second.status, &second.body[..]), (404, &b"two"[..]));
        let third = get(&client, &network, url).remove(0);
        assert_eq!(third.status, 0);
        let told = "`GET http://shop.test/a` is recorded 2 times, and was asked for once more; record it again";
        assert_eq!((third.error.expect("an error").detail.as_str(), tape.unknown()), (told, vec![told.to_owned()]));

        tape.begin("t");
        assert_eq!(get(&client, &network, url)[0].status, 200, "each run of a test begins anew");
    }

    #[test]
    fn cookies_and_redirects_are_made_of_answers() {
        let mut login = recorded("GET", "http://shop.test/login", 303, "");
        login.headers = vec![("Set-Cookie".into(), "sid=7".into()), ("Location".into(), "/account".into())];
        let (client, _, network) = playing(vec![login, recorded("GET", "http://shop.test/account", 200, "me")]);
        let exchanges = get(&client, &network, "http://shop.test/login");
        assert_eq!(exchanges.iter().map(|exchange| exchange.status).collect::<Vec<_>>(), [303, 200]);
        let account = network.target("http://shop.test/account").expect("a URL");
        let jar = client.cookies().borrow();
        assert_eq!(jar.get(&account).into_iter().map(|cookie| cookie.value.to_string()).collect::<Vec<_>>(), ["7"]);
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let (client, tape, network) = playing(vec![recorded("GET", "http://shop.test/item/1", 200, "")]);
        let error = get(&client, &network, "http://shop.test/item/2").remove(0).error.expect("an error");
        assert_eq!(
            error.detail,
            "`GET http://shop.test/item/2` is not recorded; nearest is `GET http://shop.test/item/1`"
        );
        tape.begin("another");
        get(&client, &network, "http://shop.test/item/1");
        assert!(tape.unknown()[0].contains("the recording knows no test `another`"), "{:?}", tape.unknown());
    }

    #[test]
    fn a_recording_that_cannot_be_played_is_refused() {
        let broken = Recorded { body_base64: Some("*".into()), ..recorded("GET", "http://shop.test/", 200, "") };
        assert!(broken.validate().expect_err("no base64").starts_with("the body of GET http://shop.test/: "));
        let headers = vec![("a".to_owned(), "b\r\nc: d".to_owned())];
        let split = Recorded { headers, ..recorded("GET", "http://shop.test/", 200, "") };
        assert!(split.validate().expect_err("a line break").contains("line break"));
        assert_eq!(recorded("GET", "http://shop.test/", 200, "x").validate(), Ok(()));
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    use crate::net::http::Network;
    use crate::net::tls::TlsRoots;
    use crate::plan::HttpOptions;

    fn recorded() -> impl Strategy<Value = Recorded> {
        let headers = prop::collection::vec(("[A-Za-z-]{0,8}|\\PC{0,4}", "[ -~\r\n]{0,12}|\\PC{0,8}"), 0..4);
        let body = prop_oneof!["\\PC{0,20}".prop_map(Some), Just(None)];
        let base64 = prop_oneof!["[A-Za-z0-9+/=]{0,12}".prop_map(Some), Just(None)];
        let error = prop_oneof![(any::<u32>(), "\\PC{0,9}").prop_map(Some), Just(None)];
        (any::<u16>(), headers, body, base64, error).prop_map(|(status, headers, body, body_base64, error)| Recorded {
            method: "GET".into(),
            url: "http://shop.test/".into(),
            status,
            headers,
            body,
            body_base64,
            error: error.map(|(code, detail)| RecordedError { code, detail }),
        })
    }

    proptest! {
        #[test]
        fn fuzz_no_recording_breaks_the_player(one in recorded(), noise in "[\\[\\]{}\",:0-9a-z]{0,40}") {
            let text = serde_json::to_string(&one).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Recorded>(&text).unwrap(), &one);
            let _ = serde_json::from_str::<Recording>(&noise);
            let is_good = one.validate().is_ok();
            let network = Network::new(&HttpOptions::default(), std::sync::Arc::new(TlsRoots::default()));
            let request = Request::new(::http::Method::GET, network.target(&one.url).unwrap());
            let mut exchange = Exchange::new(&request);
            one.clone().enter(&mut exchange);
            prop_assert_eq!(exchange.status, one.status);
            if is_good && one.status > 0 {
                prop_assert!(exchange.headers.len() <= one.headers.len());
            }
        }
    }
}
