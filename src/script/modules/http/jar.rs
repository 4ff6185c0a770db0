//! Cookie jars as scripts hold them: that of the virtual user, and those that a script makes.
//!
//! A jar of a script's own lives as long as the script holds it, and is not emptied between iterations. Where only plain
//! values can be kept, as what `setup` returns, a jar becomes the array of its cookies.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rhai::{Array, Dynamic, Engine, ImmutableString, Map};
use url::Url;

use super::client::HttpClient;
use super::{Natives, ScriptResult, client_of, define, parsed};
use crate::net::cookies::{Cookie, Jar, SameSite, SetCookie};
use crate::script::context::{HostContext, Phase};
use crate::script::error::host_error;
use crate::units;

/// A jar; cheap to clone, and every clone is the same jar.
#[derive(Clone, Debug)]
pub struct CookieJar(pub(super) Rc<RefCell<Jar>>);

/// What a cookie may be set with.
const ATTRIBUTES: [&str; 7] = ["domain", "path", "secure", "http_only", "same_site", "expires", "max_age"];

/// What a cookie consists of, where it is taken out and put back.
const FIELDS: [&str; 9] =
    ["name", "value", "domain", "path", "host_only", "secure", "http_only", "same_site", "expires"];

pub(super) fn register(engine: &mut Engine, natives: &mut Natives, context: &HostContext) {
    for name in ["jar", "cookie_jar"] {
        let host = context.clone();
        define(natives, name, move || CookieJar::of_vu(&host));
    }
    let host = context.clone();
    define(natives, "new_jar", move || CookieJar::new(&host));
    let host = context.clone();
    define(natives, "new_jar", move |cookies: Array| {
        let jar = CookieJar::new(&host)?;
        jar.add(&cookies)?;
        Ok::<_, Box<rhai::EvalAltResult>>(jar)
    });

    engine.register_type_with_name::<CookieJar>("CookieJar");
    let host = context.clone();
    engine.register_fn("jar", move |client: &mut HttpClient| client.jar(&host).map(CookieJar));
    engine.register_fn("to_string", |jar: &mut CookieJar| jar.to_text());
    engine.register_fn("to_debug", |jar: &mut CookieJar| jar.to_text());
    engine.register_fn("len", |jar: &mut CookieJar| jar.0.borrow().all().count() as i64);
    engine.register_fn("cookies", |jar: &mut CookieJar, url: ImmutableString| jar.cookies(&url));
    engine.register_fn("cookies_for_url", |jar: &mut CookieJar, url: ImmutableString| jar.all_values(&url));
    engine.register_fn("get", |jar: &mut CookieJar, url: ImmutableString, name: ImmutableString| jar.get(&url, &name));
    engine.register_fn("to_array", |jar: &mut CookieJar| jar.to_array());
    engine.register_fn("to_array", |jar: &mut CookieJar, url: ImmutableString| {
        let url = parsed(&url)?;
        Ok::<Array, Box<rhai::EvalAltResult>>(jar.0.borrow().get(&url).into_iter().map(described).collect())
    });
    engine.register_fn("add", |jar: &mut CookieJar, cookies: Array| jar.add(&cookies));
    engine.register_fn(
        "set",
        |jar: &mut CookieJar, url: ImmutableString, name: ImmutableString, value: ImmutableString| {
            jar.set(&url, &name, &value, &Map::new())
        },
    );
    engine.register_fn(
        "set",
        |jar: &mut CookieJar, url: ImmutableString, name: ImmutableString, value: ImmutableString, attributes: Map| {
            jar.set(&url, &name, &value, &attributes)
        },
    );
    engine.register_fn("delete", |jar: &mut CookieJar, url: ImmutableString, name: ImmutableString| {
        Ok::<bool, Box<rhai::EvalAltResult>>(jar.0.borrow_mut().remove(&parsed(&url)?, &name))
    });
    engine.register_fn("clear", |jar: &mut CookieJar| jar.0.borrow_mut().clear());
    engine.register_fn("clear", |jar: &mut CookieJar, url: ImmutableString| {
        jar.0.borrow_mut().clear_for(&parsed(&url)?);
        Ok::<(), Box<rhai::EvalAltResult>>(())
    });
}

impl CookieJar {
    /// That of the virtual user.
    pub(super) fn of_vu(host: &HostContext) -> ScriptResult<Self> {
        let vu = client_of(host)?;
        Ok(Self(vu.client.as_ref().expect("it was looked at").cookies().clone()))
    }

    /// An empty one. Constants of the top level belong to all virtual users of a worker, and a jar to one.
    fn new(host: &HostContext) -> ScriptResult<Self> {
        if host.phase() == Phase::Init {
            return Err(host_error(
                "the top level of a script can't make a cookie jar: all virtual users would share it; make it in `setup`, \
                 `vu_start` or a journey, and keep it in `vu.state`",
            ));
        }
        Ok(Self(Rc::default()))
    }

    /// One that takes no cookies and gives none.
    pub(super) fn closed() -> Self {
        Self(Rc::new(RefCell::new(Jar::closed())))
    }

    fn to_text(&self) -> String {
        let count = self.0.borrow().all().count();
        format!("a cookie jar with {count} cookie{}", if count == 1 { "" } else { "s" })
    }

    /// Names and values; of several of one name the first that is sent, whose path is the longest.
    pub(super) fn cookies(&self, url: &str) -> ScriptResult<Map> {
        let url = parsed(url)?;
        let mut map = Map::new();
        for cookie in self.0.borrow().get(&url) {
            map.entry((&*cookie.name).into()).or_insert_with(|| (&*cookie.value).into());
        }
        Ok(map)
    }

    /// Names and all their values.
    fn all_values(&self, url: &str) -> ScriptResult<Map> {
        let url = parsed(url)?;
        let mut map = Map::new();
        for cookie in self.0.borrow().get(&url) {
            let values = map.entry((&*cookie.name).into()).or_insert_with(|| Array::new().into());
            if let Some(mut values) = values.write_lock::<Array>() {
                values.push((&*cookie.value).into());
            }
        }
        Ok(map)
    }

    fn get(&self, url: &str, name: &str) -> ScriptResult<Dynamic> {
        let url = parsed(url)?;
        let jar = self.0.borrow();
        let found = jar.get(&url).into_iter().find(|cookie| &*cookie.name == name);
        Ok(found.map_or(Dynamic::UNIT, |cookie| (&*cookie.value).into()))
    }

    /// All cookies with what is known of them.
    #[must_use]
    pub fn to_array(&self) -> Array {
        self.0.borrow().all().map(described).collect()
    }

    pub(super) fn set(&self, url: &str, name: &str, value: &str, attributes: &Map) -> ScriptResult<()> {
        let parsed: Url = parsed(url)?;
        let known = |wanted: &&rhai::Identifier| !ATTRIBUTES.contains(&wanted.as_str());
        if let Some(unknown) = attributes.keys().find(known) {
            return Err(no_such("attribute", unknown, &ATTRIBUTES));
        }
        let given = Given(attributes);
        let (domain, path) = (given.text("domain")?, given.text("path")?);
        let cookie = SetCookie {
            name,
            value,
            domain: domain.as_deref().map(|domain| domain.strip_prefix('.').unwrap_or(domain)),
            // One that a script sets is for the whole host, unless it says otherwise.
            path: Some(path.as_deref().unwrap_or("/")),
            secure: given.flag("secure")?,
            http_only: given.flag("http_only")?,
            same_site: given.same_site()?,
            max_age_s: given.max_age()?,
            expires_s: given.expires()?,
        };
        if !path.as_deref().unwrap_or("/").starts_with('/') {
            return Err(host_error("`path` of a cookie begins with `/`"));
        }
        let set = self.0.borrow_mut().set(&parsed, &cookie);
        set.map_err(|why| host_error(format!("a cookie `{name}` can't be set for `{url}`: {why}")))
    }

    /// Puts back what [`CookieJar::to_array`] gave.
    fn add(&self, cookies: &Array) -> ScriptResult<()> {
        for (index, cookie) in cookies.iter().enumerate() {
            let told = |why: String| host_error(format!("cookie {index} can't be added: {why}"));
            let cookie = cookie.read_lock::<Map>().ok_or_else(|| {
                told(format!("it must be a map such as `#{{ name, value, domain }}`, this is {}", cookie.type_name()))
            })?;
            let cookie = restored(&cookie).map_err(|error| told(text_of(&error)))?;
            self.0.borrow_mut().restore(cookie).map_err(|why| told(why.to_string()))?;
        }
        Ok(())
    }
}

fn text_of(error: &rhai::EvalAltResult) -> String {
    match error {
        rhai::EvalAltResult::ErrorRuntime(text, _) => text.to_string(),
        other => other.to_string(),
    }
}

fn no_such(what: &str, unknown: &str, known: &[&str]) -> Box<rhai::EvalAltResult> {
    // k6's spelling, and that of a browser's.
    let hint = match unknown.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "httponly" => "did you mean `http_only`?".to_owned(),
        "samesite" => "did you mean `same_site`?".to_owned(),
        "maxage" if known.contains(&"max_age") => "did you mean `max_age`?".to_owned(),
        _ => match units::nearest(unknown, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", known.join(", ")),
        },
    };
    host_error(format!("a cookie has no {what} `{unknown}`: {hint}"))
}

fn described(cookie: &Cookie) -> Dynamic {
    let mut map = Map::new();
    let mut add = |name: &str, value: Dynamic| drop(map.insert(name.into(), value));
    add("name", (&*cookie.name).into());
    add("value", (&*cookie.value).into());
    add("domain", (&*cookie.domain).into());
    add("path", (&*cookie.path).into());
    add("host_only", cookie.host_only.into());
    add("secure", cookie.secure.into());
    add("http_only", cookie.http_only.into());
    add("same_site", cookie.same_site.map_or(Dynamic::UNIT, |kind| kind.name().into()));
    add("expires", cookie.expires_s.map_or(Dynamic::UNIT, Dynamic::from_int));
    map.into()
}

fn restored(map: &Map) -> ScriptResult<Cookie> {
    if let Some(unknown) = map.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(no_such("field", unknown, &FIELDS));
    }
    let given = Given(map);
    let needed = |name: &str| given.text(name)?.ok_or_else(|| host_error(format!("`{name}` is missing")));
    Ok(Cookie {
        name: needed("name")?.as_str().into(),
        value: needed("value")?.as_str().into(),
        domain: needed("domain")?.to_ascii_lowercase().into(),
        path: given.text("path")?.map_or("/".into(), |path| path.as_str().into()),
        // Without a word of it a cookie goes nowhere else.
        host_only: !map.contains_key("host_only") || given.flag("host_only")?,
        secure: given.flag("secure")?,
        http_only: given.flag("http_only")?,
        same_site: given.same_site()?,
        expires_s: given.expires()?,
    })
}

/// What a map says of a cookie; what is `()` is not said.
struct Given<'a>(&'a Map);

impl Given<'_> {
    fn value(&self, name: &str) -> Option<&Dynamic> {
        self.0.get(name).filter(|value| !value.is_unit())
    }

    fn text(&self, name: &str) -> ScriptResult<Option<ImmutableString>> {
        let text = |value: &Dynamic| value.clone().into_immutable_string().map_err(|_| wrong(name, "a text", value));
        self.value(name).map(text).transpose()
    }

    fn flag(&self, name: &str) -> ScriptResult<bool> {
        let flag = |value: &Dynamic| value.as_bool().map_err(|_| wrong(name, "true or false", value));
        self.value(name).map_or(Ok(false), flag)
    }

    fn same_site(&self) -> ScriptResult<Option<SameSite>> {
        let named = |text: ImmutableString| {
            SameSite::named(&text).ok_or_else(|| wrong("same_site", "`strict`, `lax` or `none`", &text.clone().into()))
        };
        self.text("same_site")?.map(named).transpose()
    }

    /// Seconds, as a number or a duration.
    fn max_age(&self) -> ScriptResult<Option<i64>> {
        let seconds = |value: &Dynamic| {
            if let Some(duration) = value.read_lock::<Duration>() {
                return Ok(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX));
            }
            value.as_int().map_err(|_| wrong("max_age", "a duration or a number of seconds", value))
        };
        self.value("max_age").map(seconds).transpose()
    }

    /// Seconds since 1970 as `time::now` gives them, or a date as servers write it.
    fn expires(&self) -> ScriptResult<Option<i64>> {
        let seconds = |value: &Dynamic| {
            let expected = "seconds since 1970, or a date such as `Tue, 24 Nov 2026 20:00:00 GMT`";
            if let Some(text) = value.read_lock::<ImmutableString>() {
                return SetCookie::date(&text).ok_or_else(|| wrong("expires", expected, value));
            }
            let number = value.as_int().or_else(|_| value.as_float().map(|seconds| seconds as i64));
            number.map_err(|_| wrong("expires", expected, value))
        };
        self.value("expires").map(seconds).transpose()
    }
}

fn wrong(name: &str, wanted: &str, found: &Dynamic) -> Box<rhai::EvalAltResult> {
    host_error(format!("`{name}` of a cookie must be {wanted}, this is {} `{found}`", found.type_name()))
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    fn jar() -> CookieJar {
        CookieJar(Rc::default())
    }

    fn map(pairs: Vec<(&str, Dynamic)>) -> Map {
        pairs.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }

    #[test]
    fn attributes_are_understood_or_told() {
        let jar = jar();
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
        let attributes = map(vec![
            ("domain", ".Shop.test".into()),
            ("path", "/a".into()),
            ("secure", true.into()),
            ("http_only", true.into()),
            ("same_site", "Lax".into()),
            ("max_age", Dynamic::from(Duration::from_secs(3600))),
        ]);
        jar.set("https://www.shop.test/", "sid", "1", &attributes).unwrap();
        let all = jar.to_array();
        let told = all[0].read_lock::<Map>().unwrap();
        for (name, value) in [("domain", "shop.test"), ("path", "/a"), ("secure", "true"), ("same_site", "lax")] {
            assert_eq!(told[name].to_string(), value);
        }
        assert!((now_s + 3590..=now_s + 3610).contains(&told["expires"].as_int().unwrap()));
        for (name, value, why) in [
            ("httpOnly", true.into(), "a cookie has no attribute `httpOnly`: did you mean `http_only`?"),
            ("paht", "/".into(), "did you mean `path`?"),
            ("path", "x".into(), "`path` of a cookie begins with `/`"),
            ("secure", "yes".into(), "`secure` of a cookie must be true or false, this is string `yes`"),
            ("same_site", "any".into(), "`same_site` of a cookie must be `strict`, `lax` or `none`"),
            ("expires", "soon".into(), "must be seconds since 1970, or a date"),
            ("max_age", "soon".into(), "must be a duration or a number of seconds"),
            ("domain", "co.uk".into(), "can't be set for `https://www.shop.test/`: its domain `co.uk` is neither"),
        ] {
            let error = jar.set("https://www.shop.test/", "x", "1", &map(vec![(name, value)])).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_is_taken_out_can_be_put_back() {
        let (one, other) = (jar(), jar());
        one.set("http://a.test/", "x", "1", &map(vec![("expires", Dynamic::from_float(4e9))])).unwrap();
        one.set("http://b.test/", "x", "2", &map(vec![("domain", "b.test".into())])).unwrap();
        other.add(&one.to_array()).unwrap();
        assert_eq!(format!("{:?}", one.to_array()), format!("{:?}", other.to_array()));
        assert_eq!(other.get("http://b.test/y", "x").unwrap().to_string(), "2");
        assert!(other.get("http://c.test/", "x").unwrap().is_unit());
        for (cookie, why) in [
            (Dynamic::from("x=1"), "cookie 0 can't be added: it must be a map such as"),
            (map(vec![("name", "a".into())]).into(), "`value` is missing"),
            (map(vec![("naem", "a".into())]).into(), "a cookie has no field `naem`: did you mean `name`?"),
            (
                map(vec![("name", "a".into()), ("value", "b".into()), ("domain", "x y".into())]).into(),
                "`x y` is no domain or path that a cookie can be for",
            ),
        ] {
            let error = other.add(&vec![cookie]).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn of_several_cookies_of_a_name_the_first_that_is_sent_counts() {
        let jar = jar();
        jar.set("http://a.test/", "x", "root", &Map::new()).unwrap();
        jar.set("http://a.test/", "x", "deep", &map(vec![("path", "/deep".into())])).unwrap();
        assert_eq!(jar.cookies("http://a.test/deep").unwrap()["x"].to_string(), "deep");
        let all = jar.all_values("http://a.test/deep").unwrap();
        assert_eq!(all["x"].to_string(), "[\"deep\", \"root\"]");
        assert_eq!(jar.to_text(), "a cookie jar with 2 cookies");
    }
}
