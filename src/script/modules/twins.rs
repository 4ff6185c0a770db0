//! Functions of the standard library that journeys call all the time, in Rust.
//!
//! The text in `stdlib/` says what they do: people read it, `loadr watch` and `loadr docs` go by it, and a rehearsal runs it. A
//! run takes these twins in their place, at a third of the cost. A test runs the text's own examples both ways.

use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use ::http::Method;
use regex::Regex;
use rhai::{AST, Array, Dynamic, EvalAltResult, INT, ImmutableString, Map, NativeCallContext, Variant};

use super::args::{expect, options};
use super::duration::DurationRange;
use super::http::Response;
use super::pause::pause;
use super::{Natives, check, define, html, http, random};
use crate::script::context::HostContext;
use crate::script::fixed::FixedMap;
use crate::trace::Pause;

type Done<T> = Result<T, Box<EvalAltResult>>;

/// The functions of each file that have a twin, with how many parameters each takes.
const TABLE: &[(&str, &[(&str, usize)])] = &[
    ("std/auth", &[("login", 3), ("form_login", 2), ("form_login", 3)]),
    ("std/checks", &[("ok", 1), ("status", 2), ("contains", 2)]),
    ("std/think", &[("uniform", 2), ("normal", 2), ("lognormal", 2), ("exponential", 1), ("reading", 1)]),
];

/// Takes those that have a twin out of a file. What the file calls itself it keeps, under names of its own.
pub fn make_room(path: &str, ast: &mut AST) {
    if let Some((_, twins)) = TABLE.iter().find(|(known, _)| *known == path) {
        ast.retain_functions(|_, _, name, parameters| !twins.contains(&(name, parameters)));
    }
}

/// Those of a file.
#[must_use]
pub fn of(path: &str, context: &HostContext) -> Natives {
    let mut twins = Natives::default();
    match path {
        "std/auth" => auth(&mut twins, context),
        "std/checks" => checks(&mut twins, context),
        "std/think" => think(&mut twins, context),
        _ => {}
    }
    twins
}

fn auth(twins: &mut Natives, context: &HostContext) {
    let forms = Rc::new(Forms::new(context));
    let with = forms.clone();
    define(twins, "login", move |call: NativeCallContext, base: Dynamic, user: Dynamic, password: Dynamic| {
        let fields = Map::from_iter([("user".into(), user), ("password".into(), password)]);
        with.log_in(&call, base, fields.into(), Map::new().into())
    });
    let with = forms.clone();
    define(twins, "form_login", move |call: NativeCallContext, base: Dynamic, fields: Dynamic| {
        with.log_in(&call, base, fields, Map::new().into())
    });
    define(twins, "form_login", move |call: NativeCallContext, base: Dynamic, fields: Dynamic, form: Dynamic| {
        forms.log_in(&call, base, fields, form)
    });
}

/// Logs in by forms.
struct Forms {
    host: HostContext,
    /// How the two requests are counted.
    page: FixedMap,
    login: FixedMap,
}

impl Forms {
    fn new(host: &HostContext) -> Self {
        let named = |name: &str| FixedMap::new(Map::from_iter([("name".into(), name.into())]));
        Self { host: host.clone(), page: named("login page"), login: named("login") }
    }

    fn log_in(&self, call: &NativeCallContext, base: Dynamic, fields: Dynamic, form: Dynamic) -> Done<Dynamic> {
        let base = string(base, "auth::form_login: base")?;
        let mut fields: Map = typed(fields, "map", "auth::form_login: fields")?;
        let says_token = form.read_lock::<Map>().is_some_and(|form| form.contains_key("token"));
        let defaults = [("page", "/login".into()), ("action", Dynamic::UNIT), ("token", Dynamic::UNIT)];
        let defaults = defaults.map(|(name, value)| (name.into(), value));
        let mut settings = options(form, Map::from_iter(defaults), "auth::form_login")?;
        let mut take = |name: &str| settings.remove(name).unwrap_or_default();
        let (page, action, token) = (take("page"), take("action"), take("token"));
        let on_site = |path: Dynamic| match path.read_lock::<ImmutableString>() {
            Some(path) => Ok(&base + &*path),
            None => call.call_native_fn("+", (base.clone(), path.clone())),
        };
        let page = on_site(page)?;
        let action = if action.is_unit() { page.clone() } else { on_site(action)? };
        let token = if says_token { token } else { "csrf_token".into() };

        let params = Dynamic::from(self.page.clone());
        let res = http::send(&self.host, None, Method::GET, &page, Dynamic::UNIT, params)?;
        if !token.is_unit() {
            let token = token.into_immutable_string().ok();
            let value = match &token {
                Some(token) if res.is_ok() => html::input_value(&res.text()?, token),
                _ => None,
            };
            check::decided(&self.host, "login page has a token", value.is_some());
            let (Some(token), Some(value)) = (token, value) else { return Ok(Dynamic::UNIT) };
            fields.insert(token.as_str().into(), value.into());
        }

        // A site that refuses a login shows its form again, often with status 200: so a login has led somewhere else.
        let (body, params) = (Dynamic::from(http::form_body(&fields)), Dynamic::from(self.login.clone()));
        let res = http::send(&self.host, None, Method::POST, &action, body, params)?;
        let url = res.exchange().url.as_str();
        let accepted = res.is_ok() && url != page.as_str() && url != action.as_str();
        check::decided(&self.host, "logged in", accepted);
        Ok(if accepted { Dynamic::from(res) } else { Dynamic::UNIT })
    }
}

fn checks(twins: &mut Natives, context: &HostContext) {
    let host = context.clone();
    define(twins, "ok", move |res: Dynamic| -> Done<bool> {
        let res = response(res, "checks::ok: res")?;
        Ok(check::decided(&host, "status is ok", res.is_ok()))
    });
    let host = context.clone();
    define(twins, "status", move |res: Dynamic, code: Dynamic| -> Done<bool> {
        let status = INT::from(response(res, "checks::status: res")?.exchange().status);
        if let Ok(code) = code.as_int() {
            return Ok(check::decided(&host, &format!("status is {code}"), status == code));
        }
        let codes = expect(code, "int or array", "checks::status: code")?;
        let name = format!("status is one of {codes}");
        let is_it = |code: &Dynamic| code.as_int() == Ok(status) || code.as_float() == Ok(status as f64);
        let is_one = codes.read_lock::<Array>().is_some_and(|codes| codes.iter().any(is_it));
        Ok(check::decided(&host, &name, is_one))
    });
    let host = context.clone();
    define(twins, "contains", move |res: Dynamic, text: Dynamic| -> Done<bool> {
        let res = response(res, "checks::contains: res")?;
        let text = string(text, "checks::contains: text")?;
        let held = res.text()?.contains(text.as_str());
        Ok(check::decided(&host, &format!("body contains '{text}'"), held))
    });
}

fn think(twins: &mut Natives, context: &HostContext) {
    let host = context.clone();
    define(twins, "uniform", move |call: NativeCallContext, shortest: Dynamic, longest: Dynamic| -> Done<()> {
        let shortest = duration(shortest, "think::uniform: shortest")?;
        let range = DurationRange::new(shortest, duration(longest, "think::uniform: longest")?)?;
        let drawn = range.pick(&mut host.vu().rng.borrow_mut());
        pause(&host, &call, Pause::Think, drawn)
    });
    let host = context.clone();
    define(twins, "normal", move |call: NativeCallContext, mean: Dynamic, deviation: Dynamic| -> Done<()> {
        let mean = duration(mean, "think::normal: mean")?.as_secs_f64();
        let deviation = duration(deviation, "think::normal: deviation")?.as_secs_f64();
        let seconds = random::normal(&mut host.vu().rng.borrow_mut(), &mean.into(), &deviation.into())?;
        seconds_if_any(&host, &call, seconds)
    });
    let host = context.clone();
    define(twins, "lognormal", move |call: NativeCallContext, median: Dynamic, spread: Dynamic| -> Done<()> {
        let median = duration(median, "think::lognormal: median")?.as_secs_f64();
        let spread = match spread.is_float() {
            true => spread,
            false => expect(spread, "number", "think::lognormal: spread")?,
        };
        let times = random::lognormal(&mut host.vu().rng.borrow_mut(), &Dynamic::from(0.0), &spread)?;
        seconds_if_any(&host, &call, median * times)
    });
    let host = context.clone();
    define(twins, "exponential", move |call: NativeCallContext, mean: Dynamic| -> Done<()> {
        let mean = duration(mean, "think::exponential: mean")?.as_secs_f64();
        let seconds = random::exponential(&mut host.vu().rng.borrow_mut(), &mean.into())?;
        seconds_if_any(&host, &call, seconds)
    });
    let host = context.clone();
    define(twins, "reading", move |call: NativeCallContext, words: Dynamic| -> Done<()> {
        let words = expect(words, "number or string or response", "think::reading: words")?;
        let count = match words.as_float().or_else(|_| words.as_int().map(|count| count as f64)) {
            Ok(count) => count,
            Err(_) => match words.read_lock::<Response>() {
                Some(response) => word_count(&response.text()?),
                None => word_count(&string(words.clone(), "think::reading: words")?),
            },
        };
        let a_minute = random::float(&mut host.vu().rng.borrow_mut(), &Dynamic::from(200.0), &Dynamic::from(300.0))?;
        seconds_if_any(&host, &call, count * 60.0 / a_minute)
    });
}

fn response(value: Dynamic, parameter: &str) -> Done<Response> {
    typed(value, "response", parameter)
}

fn duration(value: Dynamic, parameter: &str) -> Done<Duration> {
    typed(value, "duration", parameter)
}

fn string(value: Dynamic, parameter: &str) -> Done<ImmutableString> {
    typed(value, "string", parameter)
}

/// A value of the type that `wanted` names; the way to the error is `args::expect`'s.
fn typed<T: Variant + Clone>(value: Dynamic, wanted: &str, parameter: &str) -> Done<T> {
    match value.flatten().try_cast_result::<T>() {
        Ok(value) => Ok(value),
        Err(other) => expect(other, wanted, parameter).map(Dynamic::cast),
    }
}

fn seconds_if_any(host: &HostContext, call: &NativeCallContext, seconds: f64) -> Done<()> {
    if seconds > 0.0 { pause(host, call, Pause::Sleep, super::duration::from_float(seconds)?) } else { Ok(()) }
}

/// How many words a text has between its tags: the patterns are those of `think::word_count`.
fn word_count(text: &str) -> f64 {
    static TAGS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?is)<(script|style)\b.*?</(script|style)>|<!--.*?-->|<[^>]*>").expect("a pattern")
    });
    TAGS.replace_all(text, " ").split(|c: char| c.is_whitespace()).filter(|word| !word.is_empty()).count() as f64
}
