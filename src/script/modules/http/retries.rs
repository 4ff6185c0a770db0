//! `retries`: requests that are made again while they fail in a way that may pass.
//!
//! Each attempt is a request like any other in the results, with its own status and its own duration; the waits between
//! them are nobody's. So a retry hides nothing: what failed has failed, and is counted so.

use std::rc::Rc;
use std::time::Duration;

use ::http::header::RETRY_AFTER;
use ::http::{HeaderMap, Method};
use rhai::{Array, Dynamic, ImmutableString, Map};
use smallvec::SmallVec;

use super::request::{Prepared, duration, status_range};
use super::{Response, ScriptResult, make};
use crate::script::context::{HostContext, VuContext};
use crate::script::error::host_error;
use crate::units;

/// The most attempts after the first.
const COUNT_MAX: i64 = 100;

/// The settings.
const SETTINGS: [&str; 8] =
    ["count", "on", "methods", "delay", "backoff", "max_delay", "jitter", "respect_retry_after"];

/// The statuses that are tried again where nothing else is said.
const STATUSES: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

/// When and how often a request is made again.
#[derive(Clone, Debug, PartialEq)]
pub struct Retries {
    /// How often, after the first attempt.
    count: u32,
    /// Statuses, as ranges with both ends.
    statuses: SmallVec<[(u16, u16); 8]>,
    /// Whether a failure on the way is one.
    network: bool,
    /// The methods that are; none for all.
    methods: Option<SmallVec<[Method; 4]>>,
    delay: Duration,
    /// What each wait is longer than the one before it by.
    backoff: f64,
    max_delay: Duration,
    /// The share of a wait that chance decides.
    jitter: f64,
    respect_retry_after: bool,
}

impl Retries {
    /// As a script writes them: a number, or a map; none for `0` and `()`.
    ///
    /// # Errors
    /// When there is no setting of a name, or one makes no sense.
    pub fn from_value(value: &Dynamic) -> ScriptResult<Option<Self>> {
        let mut retries = Self {
            count: 2,
            statuses: STATUSES.iter().map(|&status| (status, status)).collect(),
            network: true,
            methods: Some(
                [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE].into_iter().collect(),
            ),
            delay: Duration::from_millis(200),
            backoff: 2.0,
            max_delay: Duration::from_secs(10),
            jitter: 0.5,
            respect_retry_after: true,
        };
        if value.is_unit() {
            return Ok(None);
        }
        if value.is_int() {
            retries.count = count(value)?;
        } else if let Some(map) = value.read_lock::<Map>() {
            for (name, value) in map.iter() {
                retries.set(name, &value.clone().flatten())?;
            }
        } else {
            return Err(host_error(format!(
                "`retries` must be how often to try again, or `#{{ count, on, methods, delay, backoff, max_delay, jitter, \
                 respect_retry_after }}`, this is {} `{value}`",
                value.type_name()
            )));
        }
        Ok(Some(retries).filter(|retries| retries.count > 0))
    }

    fn set(&mut self, name: &str, value: &Dynamic) -> ScriptResult<()> {
        let wrong = |wanted: &str| host_error(format!("`retries.{name}` must be {wanted}, this is `{value}`"));
        let number = || value.as_float().or_else(|_| value.as_int().map(|number| number as f64)).ok();
        match name {
            "count" => self.count = count(value)?,
            "on" => self.set_on(value)?,
            "methods" => self.methods = methods(value)?,
            "delay" => self.delay = duration("retries.delay", value)?,
            "max_delay" => self.max_delay = duration("retries.max_delay", value)?,
            "backoff" => {
                self.backoff = number()
                    .filter(|factor| (1.0..=100.0).contains(factor))
                    .ok_or_else(|| wrong("a number from 1 to 100"))?;
            }
            "jitter" => {
                self.jitter = number()
                    .filter(|share| (0.0..=1.0).contains(share))
                    .ok_or_else(|| wrong("a number from 0 to 1"))?;
            }
            "respect_retry_after" => {
                self.respect_retry_after = value.as_bool().map_err(|_| wrong("true or false"))?;
            }
            unknown => {
                let hint = units::nearest(unknown, SETTINGS).map_or_else(
                    || format!("there are {}", SETTINGS.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(host_error(format!("`retries` has no setting `{unknown}`: {hint}")));
            }
        }
        Ok(())
    }

    fn set_on(&mut self, value: &Dynamic) -> ScriptResult<()> {
        self.statuses.clear();
        self.network = false;
        let mut add = |value: &Dynamic| {
            if value.read_lock::<ImmutableString>().is_some_and(|text| *text == "network") {
                self.network = true;
                return Ok(());
            }
            let range = status_range(value).map_err(|_| {
                host_error(format!(
                    "`retries.on` takes statuses, ranges of them such as `500..=599`, and \"network\" for failures on the \
                     way; this is `{value}`"
                ))
            })?;
            self.statuses.push(range);
            Ok(())
        };
        match value.read_lock::<Array>() {
            Some(array) => array.iter().try_for_each(add),
            None => add(value),
        }
    }

    /// Whether what came of an attempt is to be tried again.
    fn wants(&self, method: &Method, status: u16, failed: bool) -> bool {
        if self.methods.as_ref().is_some_and(|methods| !methods.contains(method)) {
            return false;
        }
        if failed { self.network } else { self.statuses.iter().any(|&(low, high)| (low..=high).contains(&status)) }
    }

    /// How long to wait after attempt `attempt`, the first being 1; `chance` is drawn from 0 to 1, and `asked` is what the
    /// server wants.
    fn wait(&self, attempt: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let longest = self.max_delay.as_secs_f64();
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let wait = (self.delay.as_secs_f64() * self.backoff.powi(exponent)).min(longest);
        let mut wait = wait * (1.0 - self.jitter * chance);
        if let Some(asked) = asked.filter(|_| self.respect_retry_after) {
            // Nobody is on time to the millisecond: who comes back early is refused again.
            wait = (asked.as_secs_f64() + wait * 0.1).min(longest);
        }
        Duration::try_from_secs_f64(wait).unwrap_or(self.max_delay)
    }
}

/// What a server asks to wait: seconds, or until a date.
fn retry_after(headers: &HeaderMap, now_ms: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(text).ok()?;
    Some(Duration::from_millis(u64::try_from(date.as_millisecond() - now_ms).unwrap_or(0)))
}

fn count(value: &Dynamic) -> ScriptResult<u32> {
    let count = value.as_int().ok().filter(|count| (0..=COUNT_MAX).contains(count));
    count.and_then(|count| u32::try_from(count).ok()).ok_or_else(|| {
        host_error(format!(
            "`retries`: how often to try again must be a number from 0 to {COUNT_MAX}, this is `{value}`"
        ))
    })
}

fn methods(value: &Dynamic) -> ScriptResult<Option<SmallVec<[Method; 4]>>> {
    let wrong = || host_error(format!("`retries.methods` must be \"all\" or a list of methods, this is `{value}`"));
    if value.read_lock::<ImmutableString>().is_some_and(|text| *text == "all") {
        return Ok(None);
    }
    let array = value.read_lock::<Array>().ok_or_else(wrong)?;
    let method = |value: &Dynamic| super::verb(&value.clone().into_immutable_string().map_err(|_| wrong())?);
    array.iter().map(method).collect::<ScriptResult<_>>().map(Some)
}

/// Makes a request, and makes it again as its retries say. Polled on the worker's stack.
pub(super) async fn make_again(host: HostContext, vu: Rc<VuContext>, prepared: Prepared) -> Response {
    let Some(retries) = prepared.retries.clone() else { return make(host, vu, prepared).await };
    let mut attempt = 1;
    loop {
        let response = make(host.clone(), vu.clone(), prepared.clone()).await;
        let exchange = response.exchange();
        let again = retries.wants(&prepared.request.method, exchange.status, exchange.error.is_some());
        // What has been read of a stream can't be taken back.
        let has_begun = prepared.stream.as_ref().is_some_and(|stream| stream.feed.status() != 0);
        if attempt > retries.count || !again || has_begun {
            return response.after(attempt);
        }
        let asked = retry_after(&exchange.headers, jiff::Timestamp::now().as_millisecond());
        let wait = retries.wait(attempt, asked, vu.rng.borrow_mut().f64());
        drop(response);
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(settings: &str) -> Retries {
        let value: Dynamic = rhai::Engine::new().eval(settings).unwrap();
        Retries::from_value(&value).unwrap().unwrap()
    }

    #[test]
    fn waits_grow_up_to_a_bound_and_chance_shortens_them() {
        let retries = retries("#{ delay: 100, backoff: 2, max_delay: 300, jitter: 0.5 }");
        for (attempt, chance, expected_ms) in
            [(1, 0.0, 100), (2, 0.0, 200), (3, 0.0, 300), (200, 0.0, 300), (1, 1.0, 50), (2, 0.5, 150)]
        {
            let wait = retries.wait(attempt, None, chance);
            assert_eq!(wait.as_millis(), expected_ms, "attempt {attempt}, chance {chance}");
        }
    }

    #[test]
    fn what_a_server_asks_for_counts_up_to_the_longest_wait() {
        let lenient = retries("#{ delay: 100, jitter: 0, max_delay: 5000 }");
        for (asked, expected_ms) in [
            ("2", 2_010),
            ("0", 10),
            ("60", 5_000),
            ("Thu, 01 Jan 1970 00:00:03 GMT", 2_010),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 10),
            ("soon", 100),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, asked.parse().unwrap())]);
            let wait = lenient.wait(1, retry_after(&headers, 1_000), 0.0);
            assert_eq!(wait.as_millis(), expected_ms, "{asked}");
        }
        let deaf = retries("#{ delay: 100, jitter: 0, respect_retry_after: false }");
        assert_eq!(deaf.wait(1, Some(Duration::from_secs(2)), 0.0).as_millis(), 100);
    }

    #[test]
    fn it_is_told_what_is_tried_again() {
        for (settings, method, status, again) in [
            ("2", Method::GET, 503, true),
            ("2", Method::GET, 404, false),
            ("2", Method::POST, 503, false),
            ("#{ methods: [\"post\"] }", Method::POST, 503, true),
            ("#{ methods: [\"post\"] }", Method::GET, 503, false),
            ("#{ methods: \"all\" }", Method::PATCH, 503, true),
            ("#{ on: [404, 500..=599] }", Method::GET, 404, true),
            ("#{ on: [404, 500..=599] }", Method::GET, 429, false),
            ("#{ on: \"network\" }", Method::GET, 503, false),
        ] {
            assert_eq!(retries(settings).wants(&method, status, false), again, "{settings} {method} {status}");
        }
        for nothing in ["()", "0", "#{ count: 0 }"] {
            let value: Dynamic = rhai::Engine::new().eval(nothing).unwrap();
            assert_eq!(Retries::from_value(&value).unwrap(), None, "{nothing}");
        }
    }
}
