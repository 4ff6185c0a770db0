//! `http::client(#{ ... })`: an object with settings of its own, for one service beside others.
//!
//! What a script holds is a handle on [`Settings`]. Equal settings are one and the same on a worker, wherever and however
//! often the script asks for them ([`ClientTable`]), so that a client may be made in each iteration. Connections belong to
//! a virtual user: one [`Client`] for each network and jar that it uses ([`VuClients`]), made when first used. A client whose
//! options and cookies are the run's uses those of the global functions.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use ::http::Method;
use rhai::{Array, Blob, Dynamic, ImmutableString, Map};
use rustc_hash::FxHashMap;
use url::Url;

use super::jar::CookieJar;
use super::request::{PARAMS, Prepared, apply};
use super::{ScriptResult, bridge, client_of};
use crate::net::cookies::Jar;
use crate::net::http::{Client, Network, Request};
use crate::net::tls::{self, TlsRoots};
use crate::plan::HttpOptions;
use crate::script::context::{HostContext, VuContext};
use crate::script::error::host_error;
use crate::script::json_value;
use crate::script::series::KnownUrl;
use crate::units;

/// The settings that are a client's alone; the others are options of the run and parameters of requests.
pub const OWN: [&str; 3] = ["base_url", "cookies", "name_prefix"];

/// The most sets of options that a worker keeps networks for: enough for each of its users to have a certificate of its own.
const NETWORKS_MAX: usize = 4_096;

/// The most clients that a virtual user has connections for, beside its own.
const VU_CLIENTS_MAX: usize = 16;

/// How many settings a generation of the table holds. Two are kept; who falls out is made anew when it is asked for.
const GENERATION: usize = 512;

/// The most URLs that a client keeps parsed.
const URLS_MAX: usize = 1_024;

/// A client, as a script holds it; cheap to clone.
#[derive(Clone)]
pub struct HttpClient(Rc<Settings>);

/// Which cookies a client's requests carry.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cookies {
    /// Those of its virtual user.
    Shared,
    /// Its own, known by all its settings.
    Own(Rc<str>),
    /// None.
    Closed,
}

struct Settings {
    base: Option<Url>,
    network: Rc<Network>,
    cookies: Cookies,
    name_prefix: Option<ImmutableString>,
    /// What all its requests begin with.
    defaults: Prepared,
    /// Their tags, to which a request adds its own.
    tags: Map,
    urls: RefCell<FxHashMap<Box<str>, KnownUrl>>,
}

/// A worker's clients.
#[derive(Default)]
pub struct ClientTable {
    networks: RefCell<Vec<Rc<Network>>>,
    young: RefCell<FxHashMap<Rc<str>, HttpClient>>,
    old: RefCell<FxHashMap<Rc<str>, HttpClient>>,
}

/// A virtual user's clients beside its own.
#[derive(Default)]
pub struct VuClients(RefCell<Vec<(Cookies, Rc<Client>)>>);

impl VuClients {
    /// Ends an iteration for all of them.
    pub fn end_iteration(&self) {
        for (_, client) in &*self.0.borrow() {
            client.end_iteration();
        }
    }

    fn get(&self, vu: &VuContext, settings: &Settings) -> ScriptResult<Rc<Client>> {
        let mut clients = self.0.borrow_mut();
        let is_it = |(cookies, client): &&(Cookies, Rc<Client>)| {
            Rc::ptr_eq(client.network(), &settings.network) && *cookies == settings.cookies
        };
        if let Some((_, client)) = clients.iter().find(is_it) {
            return Ok(client.clone());
        }
        if clients.len() >= VU_CLIENTS_MAX {
            return Err(host_error(format!(
                "a virtual user can have connections for {VU_CLIENTS_MAX} clients of different options or cookies, and \
                 this would be one more: keep the settings of `http::client` the same, and give what changes to the request"
            )));
        }
        let network = settings.network.clone();
        let client = match (&settings.cookies, &vu.client) {
            (Cookies::Shared, Some(own)) => own.beside(network),
            (Cookies::Closed, _) => Client::without_cookies(network),
            _ => Client::new(network),
        };
        let client = Rc::new(match &vu.client {
            Some(own) => client.of_vu_of(own),
            None => client,
        });
        clients.push((settings.cookies.clone(), client.clone()));
        Ok(client)
    }
}

impl ClientTable {
    /// The network for these options: the run's own where they are the same.
    fn network(&self, run: &Rc<Network>, options: &HttpOptions) -> ScriptResult<Rc<Network>> {
        if run.options() == options {
            return Ok(run.clone());
        }
        let mut networks = self.networks.borrow_mut();
        if let Some(known) = networks.iter().find(|known| known.options() == options) {
            return Ok(known.clone());
        }
        if networks.len() >= NETWORKS_MAX {
            return Err(host_error(format!(
                "there are {NETWORKS_MAX} sets of options of `http::client` already: keep them the same, and give what \
                 changes to the request"
            )));
        }
        let made = run.derived(options);
        networks.push(made.clone());
        Ok(made)
    }

    fn known(&self, key: &str) -> Option<HttpClient> {
        if let Some(known) = self.young.borrow().get(key) {
            return Some(known.clone());
        }
        let (key, known) = self.old.borrow_mut().remove_entry(key)?;
        self.keep(key, known.clone());
        Some(known)
    }

    fn keep(&self, key: Rc<str>, client: HttpClient) {
        let mut young = self.young.borrow_mut();
        if young.len() >= GENERATION {
            self.old.replace(std::mem::take(&mut *young));
        }
        young.insert(key, client);
    }
}

impl HttpClient {
    /// The client with these settings.
    ///
    /// # Errors
    /// When there is no setting of a name, or one has not the value that it must have.
    pub fn new(host: &HostContext, settings: Map) -> ScriptResult<Self> {
        let mut key = String::new();
        write_map(&settings, &mut key)?;
        if let Some(known) = host.clients().known(&key) {
            return Ok(known);
        }
        let key: Rc<str> = key.into();
        let made = Self(Rc::new(Settings::new(host, settings, key.clone())?));
        host.clients().keep(key, made.clone());
        Ok(made)
    }

    /// A request that has what this client gives to all of its requests.
    ///
    /// # Errors
    /// When the URL is none, or the script may not make requests now.
    pub(super) fn prepared(&self, host: &HostContext, method: Method, url: &str) -> ScriptResult<Prepared> {
        let settings = &*self.0;
        if host.http().is_none() {
            return Err(bridge::WaitError::NoTask.into_script_error("make a request"));
        }
        let known = settings.url(host, url)?;
        let mut prepared = settings.defaults.clone();
        prepared.request.method = method;
        prepared.request.url = known.target;
        prepared.name = known.name;
        let vu = host.vu();
        let of_vu = vu.client.as_ref().is_some_and(|own| Rc::ptr_eq(own.network(), &settings.network));
        if !(of_vu && settings.cookies == Cookies::Shared) && vu.client.is_some() {
            prepared.client = Some(vu.clients.get(&vu, settings)?);
        }
        Ok(prepared)
    }

    /// The jar that its requests use for the virtual user that is running.
    ///
    /// # Errors
    /// In the script's init, where there is none.
    pub(super) fn jar(&self, host: &HostContext) -> ScriptResult<Rc<RefCell<Jar>>> {
        let settings = &*self.0;
        let vu = client_of(host)?;
        Ok(match (&settings.defaults.request.jar, &vu.client) {
            (Some(jar), _) => jar.clone(),
            (None, Some(own)) if settings.cookies == Cookies::Shared => own.cookies().clone(),
            _ => vu.clients.get(&vu, settings)?.cookies().clone(),
        })
    }

    /// A name that a request was given, as it is recorded.
    pub(super) fn name(&self, given: ImmutableString) -> ImmutableString {
        match &self.0.name_prefix {
            Some(prefix) => format!("{prefix}{given}").into(),
            None => given,
        }
    }

    /// The tags of all its requests, and those that a request adds.
    pub(super) fn tags(&self, more: Map) -> Map {
        let mut tags = self.0.tags.clone();
        tags.extend(more);
        tags
    }

    /// How requests of this client are made.
    pub(super) fn options(&self) -> &HttpOptions {
        self.0.network.options()
    }

    /// What its URLs start from, or an empty text.
    pub(super) fn base_url(&self) -> ImmutableString {
        self.0.base.as_ref().map_or_else(ImmutableString::new, |base| base.as_str().into())
    }
}

impl Settings {
    fn new(host: &HostContext, settings: Map, key: Rc<str>) -> ScriptResult<Self> {
        let run = match host.http() {
            Some(http) => http.network.clone(),
            // The script is only looked at: what is wrong with the settings is told all the same.
            None => Network::new(&HttpOptions::default(), TlsRoots::system()),
        };
        let (mut base, mut cookies, mut name_prefix) = (None, Cookies::Shared, None);
        let (mut options, mut params) = (Map::new(), Map::new());
        for (name, value) in settings {
            // What a closure has captured is shared; what it holds is meant.
            let value = value.flatten();
            match name.as_str() {
                _ if value.is_unit() => {}
                "base_url" => base = Some(base_url(&run, &value)?),
                "name_prefix" => {
                    name_prefix = Some(value.into_immutable_string().map_err(|_| wrong("name_prefix", "a text"))?);
                }
                "cookies" if value.is_map() => drop(params.insert(name, value)),
                "cookies" => cookies = cookie_choice(&value, &key)?,
                "throw" => drop(params.insert(name, value)),
                // What all its connections need is a matter of its network, not of each request.
                known if !["name", "unix_socket"].contains(&known) && PARAMS.contains(&known) => {
                    drop(params.insert(name, value))
                }
                known if HttpOptions::has(known) => drop(options.insert(name, value)),
                unknown => return Err(unknown_setting(unknown)),
            }
        }
        let is_about_files =
            options.keys().any(|name| ["tls_ca", "tlsCa", "tls_auth", "tlsAuth"].contains(&name.as_str()));
        let options = with_options(run.options(), options)?;
        // Before a run: on a worker they were looked at, or are read when they are first needed.
        if is_about_files && host.http().is_none() {
            let problems: Vec<String> =
                tls::problems(&options.tls).into_iter().map(|(option, why)| format!("`{option}`: {why}")).collect();
            if !problems.is_empty() {
                return Err(host_error(format!("`http::client`: {}", problems.join("; "))));
            }
        }
        let network = host.clients().network(&run, &options)?;
        let tags = match params.get("tags") {
            Some(tags) => tags.clone().try_cast::<Map>().ok_or_else(|| wrong("tags", "a map"))?,
            None => Map::new(),
        };
        let somewhere = run.target("http://localhost/").map_err(|error| host_error(error.detail))?;
        let mut defaults = Prepared::new(Request::new(Method::GET, somewhere), network.options());
        apply(host, None, params, &mut defaults).map_err(of_client)?;
        Ok(Self { base, network, cookies, name_prefix, defaults, tags, urls: RefCell::default() })
    }

    /// Where a request goes: an absolute URL, or one that is joined to the client's own (RFC 3986, section 5).
    fn url(&self, host: &HostContext, text: &str) -> ScriptResult<KnownUrl> {
        if let Some(known) = self.urls.borrow().get(text) {
            return Ok(known.clone());
        }
        let target = match &self.base {
            Some(base) => base
                .join(text)
                .map_err(|error| host_error(format!("`{text}` can't be joined to `{base}`: {error}")))
                .and_then(|url| self.network.target_of(url).map_err(|error| host_error(error.detail))),
            None => self.network.target(text).map_err(|error| host_error(error.detail)),
        }?;
        let Some((_, series)) = host.recording() else {
            return Err(bridge::WaitError::NoTask.into_script_error("make a request"));
        };
        let mut series = series.borrow_mut();
        let mut name = series.default_name(&target);
        if let Some(prefix) = &self.name_prefix {
            let text = format!("{prefix}{}", series.name_of(name));
            name = series.name(&text);
        }
        let known = KnownUrl { target, name };
        let mut urls = self.urls.borrow_mut();
        if urls.len() < URLS_MAX {
            urls.insert(text.into(), known.clone());
        }
        Ok(known)
    }
}

/// The run's options with those of a client over them.
fn with_options(run: &HttpOptions, own: Map) -> ScriptResult<HttpOptions> {
    if own.is_empty() {
        return Ok(run.clone());
    }
    let value = json_value::to_value(Dynamic::from_map(own))
        .map_err(|error| host_error(format!("`http::client`: its settings: {error}")))?;
    let serde_json::Value::Object(own) = value else { return Ok(run.clone()) };
    run.overlaid(&own).map_err(|errors| {
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        host_error(format!("`http::client`: {}", told.join("; ")))
    })
}

fn base_url(run: &Network, value: &Dynamic) -> ScriptResult<Url> {
    let text = value.clone().into_immutable_string().map_err(|_| wrong("base_url", "a text"))?;
    // Credentials of it are every request's; so it is kept as it was written.
    run.target(&text)
        .map_err(|error| error.detail)
        .and_then(|_| Url::parse(&text).map_err(|error| error.to_string()))
        .map_err(|why| host_error(format!("`http::client`: `base_url`: {why}")))
}

fn cookie_choice(value: &Dynamic, key: &Rc<str>) -> ScriptResult<Cookies> {
    match value.read_lock::<ImmutableString>().as_deref().map(ImmutableString::as_str) {
        Some("shared") => Ok(Cookies::Shared),
        Some("own") => Ok(Cookies::Own(key.clone())),
        Some("none") => Ok(Cookies::Closed),
        _ => Err(wrong("cookies", "`shared`, `own`, `none`, or a map of cookies for each request")),
    }
}

fn wrong(name: &str, wanted: &str) -> Box<rhai::EvalAltResult> {
    host_error(format!("`http::client`: `{name}` must be {wanted}"))
}

/// An error about a parameter, told of the client that it is a setting of.
fn of_client(error: Box<rhai::EvalAltResult>) -> Box<rhai::EvalAltResult> {
    match *error {
        rhai::EvalAltResult::ErrorRuntime(text, _) => host_error(format!("`http::client`: {text}")),
        _ => error,
    }
}

/// The names of all settings.
pub fn settings() -> impl Iterator<Item = &'static str> + Clone {
    // Where files may be written is not a script's to say.
    let params = PARAMS.iter().copied().filter(|name| *name != "name" && *name != "cookies");
    OWN.into_iter()
        .chain(params)
        .chain(HttpOptions::names().iter().copied().filter(|name| *name != "save_dir" && !PARAMS.contains(name)))
}

/// Whether there is a setting of this name.
#[must_use]
pub fn is_setting(name: &str) -> bool {
    name == "throw" || settings().any(|known| known == name) || HttpOptions::has(name)
}

/// What to say to a setting that there is none of.
#[must_use]
pub fn hint(unknown: &str) -> String {
    let meant = match unknown {
        "base" | "url" | "baseUrl" | "baseURL" | "prefix_url" => Some("base_url"),
        unknown => units::nearest(unknown, settings()),
    };
    match meant {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("a client takes {}", settings().collect::<Vec<_>>().join(", ")),
    }
}

fn unknown_setting(unknown: &str) -> Box<rhai::EvalAltResult> {
    host_error(format!("a client has no setting `{unknown}`: {}", hint(unknown)))
}

/// Writes settings so that equal ones, and no others, have the same text.
fn write_map(map: &Map, out: &mut String) -> ScriptResult<()> {
    for (name, value) in map {
        let _ = write!(out, "{}:{name}=", name.len());
        write_value(value, out, 0)?;
    }
    Ok(())
}

/// How deep settings may be nested.
const DEPTH_MAX: usize = 8;

fn write_value(value: &Dynamic, out: &mut String, depth: usize) -> ScriptResult<()> {
    if depth > DEPTH_MAX {
        return Err(host_error(format!("`http::client`: settings are nested more than {DEPTH_MAX} deep")));
    }
    if let Some(map) = value.read_lock::<Map>() {
        let _ = write!(out, "m{}", map.len());
        for (name, value) in map.iter() {
            let _ = write!(out, "{}:{name}", name.len());
            write_value(value, out, depth + 1)?;
        }
    } else if let Some(array) = value.read_lock::<Array>() {
        let _ = write!(out, "a{}", array.len());
        for value in array.iter() {
            write_value(value, out, depth + 1)?;
        }
    } else if let Some(text) = value.read_lock::<ImmutableString>() {
        let _ = write!(out, "t{}:{}", text.len(), *text);
    } else if let Some(duration) = value.read_lock::<Duration>() {
        let _ = write!(out, "d{}", duration.as_nanos());
    } else if let Some(bytes) = value.read_lock::<Blob>() {
        let _ = write!(out, "b{}:{bytes:?}", bytes.len());
    } else if let Some(jar) = value.read_lock::<CookieJar>() {
        // Nothing else can be there as long as the client is, which holds the jar.
        let _ = write!(out, "j{:p}", Rc::as_ptr(&jar.0));
    } else if let Some(range) = value.read_lock::<std::ops::RangeInclusive<i64>>() {
        let _ = write!(out, "i{range:?}");
    } else if let Some(range) = value.read_lock::<std::ops::Range<i64>>() {
        let _ = write!(out, "r{range:?}");
    } else if value.is_unit() || value.is_int() || value.is_float() || value.is_bool() || value.is_char() {
        let _ = write!(out, "{}{value};", value.type_name());
    } else {
        let name = crate::script::modules::argument::short_type_name(value).to_owned();
        return Err(host_error(format!("`http::client`: a setting can't be {name}")));
    }
    Ok(())
}
