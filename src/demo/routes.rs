//! The table of routes: what the demo server answers to, and which handler does it.
//!
//! Patterns are exact paths, or end in one `{parameter}` that takes the path's last segment. `docs/demo.md` describes
//! each of them; a test holds the two together.

use std::time::Instant;

use rustc_hash::FxHashMap;

use Handler::{Upload, Whole};

use super::request::Request;
use super::response::{Reply, Response};
use super::shop::Shop;
use super::upload::UploadKind;
use super::{account, behaviour, browse, echo, files, graphql, oauth, order, pages, stream};

/// One request, as its handler sees it.
pub(super) struct Call<'a> {
    pub(super) shop: &'a Shop,
    pub(super) request: &'a Request<'a>,
    /// What stands in the place of the pattern's `{parameter}`; empty where there is none.
    pub(super) parameter: &'a str,
    /// The whole body.
    pub(super) body: &'a [u8],
    /// When the request's head was read.
    pub(super) now: Instant,
}

/// How a request is answered.
#[derive(Clone, Copy)]
pub(super) enum Handler {
    /// From its head and a body that is read whole first.
    Whole(fn(&Call<'_>, Response<'_>) -> Reply),
    /// By the upload, which takes the body as it comes.
    Upload(UploadKind),
}

/// One row of the table.
pub(super) struct Route {
    /// `/item/{id}`.
    pub(super) pattern: &'static str,
    /// Whether injected latency and errors leave it alone.
    pub(super) steady: bool,
    /// Method and handler; HEAD goes to GET's.
    pub(super) methods: &'static [(&'static str, Handler)],
}

const fn route(pattern: &'static str, methods: &'static [(&'static str, Handler)]) -> Route {
    Route { pattern, steady: false, methods }
}

const fn steady(pattern: &'static str, methods: &'static [(&'static str, Handler)]) -> Route {
    Route { pattern, steady: true, methods }
}

/// Every route.
pub(super) const TABLE: &[Route] = &[
    steady("/health", &[("GET", Whole(behaviour::health))]),
    steady("/metrics", &[("GET", Whole(behaviour::metrics))]),
    route("/", &[("GET", Whole(browse::home))]),
    route("/products", &[("GET", Whole(browse::products_page))]),
    route("/product/{id}", &[("GET", Whole(browse::product_page))]),
    route("/item/{id}", &[("GET", Whole(browse::item))]),
    route("/api/products", &[("GET", Whole(browse::products))]),
    route("/search", &[("GET", Whole(browse::search))]),
    route("/login", &[("GET", Whole(account::login_page)), ("POST", Whole(account::login))]),
    route("/logout", &[("POST", Whole(account::logout))]),
    route("/account", &[("GET", Whole(account::account_page))]),
    route("/api/login", &[("POST", Whole(account::api_login))]),
    route("/api/me", &[("GET", Whole(account::api_me))]),
    route(
        "/cart",
        &[("GET", Whole(order::cart)), ("POST", Whole(order::add_to_cart)), ("DELETE", Whole(order::empty_cart))],
    ),
    route("/order", &[("POST", Whole(order::place))]),
    route("/order/{id}", &[("GET", Whole(order::show))]),
    route("/upload", &[("POST", Upload(UploadKind::Multipart))]),
    route("/upload/raw", &[("PUT", Upload(UploadKind::Raw)), ("POST", Upload(UploadKind::Raw))]),
    route("/oauth/token", &[("POST", Whole(oauth::token))]),
    route("/graphql", &[("POST", Whole(graphql::graphql))]),
    route("/api/items", &[("GET", Whole(pages::items))]),
    route("/page/{n}", &[("GET", Whole(pages::page))]),
    route("/asset/{name}", &[("GET", Whole(pages::asset))]),
    route("/files", &[("POST", Whole(files::create)), ("OPTIONS", Whole(files::options))]),
    route(
        "/files/{id}",
        &[
            ("GET", Whole(files::show)),
            ("PATCH", Whole(files::append)),
            ("PUT", Whole(files::put)),
            ("DELETE", Whole(files::remove)),
        ],
    ),
    route("/redirect/{n}", &[("GET", Whole(behaviour::redirect))]),
    route(
        "/redirect-to",
        &[
            ("GET", Whole(behaviour::redirect_to)),
            ("POST", Whole(behaviour::redirect_to)),
            ("PUT", Whole(behaviour::redirect_to)),
        ],
    ),
    route("/gzip", &[("GET", Whole(behaviour::compressed))]),
    route("/cache/{key}", &[("GET", Whole(behaviour::cached))]),
    route("/slow", &[("GET", Whole(behaviour::slow)), ("POST", Whole(behaviour::slow))]),
    route("/flaky", &[("GET", Whole(behaviour::flaky)), ("POST", Whole(behaviour::flaky))]),
    route(
        "/status/{code}",
        &[
            ("GET", Whole(behaviour::status)),
            ("POST", Whole(behaviour::status)),
            ("PUT", Whole(behaviour::status)),
            ("PATCH", Whole(behaviour::status)),
            ("DELETE", Whole(behaviour::status)),
        ],
    ),
    route("/stream", &[("GET", Whole(stream::stream)), ("POST", Whole(stream::stream))]),
    route("/bytes/{n}", &[("GET", Whole(behaviour::bytes))]),
    route("/headers", &[("GET", Whole(echo::headers))]),
    route(
        "/anything",
        &[
            ("GET", Whole(echo::anything)),
            ("POST", Whole(echo::anything)),
            ("PUT", Whole(echo::anything)),
            ("PATCH", Whole(echo::anything)),
            ("DELETE", Whole(echo::anything)),
            ("OPTIONS", Whole(echo::anything)),
        ],
    ),
    route("/cookies", &[("GET", Whole(echo::cookies))]),
    route("/cookies/set", &[("GET", Whole(echo::set_cookies))]),
];

/// What a request's method and path lead to.
pub(super) enum Found<'a> {
    /// A route and what stands in its parameter's place.
    Route { index: usize, parameter: &'a str, handler: Handler },
    /// A route that does not know the method.
    WrongMethod { index: usize },
    /// No route.
    Nothing,
}

/// Finds routes by path.
pub(super) struct Router {
    /// By exact path, and by the part before the parameter, its slash included.
    by_path: FxHashMap<&'static str, usize>,
}

impl Router {
    pub(super) fn new() -> Self {
        let key = |pattern: &'static str| pattern.find('{').map_or(pattern, |brace| &pattern[..brace]);
        Self { by_path: TABLE.iter().enumerate().map(|(index, route)| (key(route.pattern), index)).collect() }
    }

    pub(super) fn find<'a>(&self, method: &str, path: &'a str) -> Found<'a> {
        let takes_parameter = |index: usize| TABLE[index].pattern.ends_with('}');
        let exact = self.by_path.get(path).filter(|index| !takes_parameter(**index)).map(|index| (*index, ""));
        let found = exact.or_else(|| {
            let (before, parameter) = path.split_at(path.rfind('/')? + 1);
            let index = self.by_path.get(before).filter(|index| takes_parameter(**index))?;
            (!parameter.is_empty()).then_some((*index, parameter))
        });
        let Some((index, parameter)) = found else { return Found::Nothing };
        let method = if method == "HEAD" { "GET" } else { method };
        match TABLE[index].methods.iter().find(|(known, _)| *known == method) {
            Some((_, handler)) => Found::Route { index, parameter, handler: *handler },
            None => Found::WrongMethod { index },
        }
    }
}

/// The methods of a route, as `allow` wants them.
pub(super) fn allowed(index: usize) -> String {
    let methods = TABLE[index].methods.iter().map(|(method, _)| *method);
    let head = TABLE[index].methods.iter().any(|(method, _)| *method == "GET").then_some("HEAD");
    methods.chain(head).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_routes() {
        let router = Router::new();
        let describe = |method: &str, path: &str| match router.find(method, path) {
            Found::Route { index, parameter, .. } => format!("{} [{parameter}]", TABLE[index].pattern),
            Found::WrongMethod { index } => format!("{} does not know {method}", TABLE[index].pattern),
            Found::Nothing => "nothing".to_owned(),
        };
        for (method, path, found) in [
            ("GET", "/", "/ []"),
            ("HEAD", "/health", "/health []"),
            ("GET", "/item/12", "/item/{id} [12]"),
            ("GET", "/order/3", "/order/{id} [3]"),
            ("POST", "/order", "/order []"),
            ("GET", "/order", "/order does not know GET"),
            ("PUT", "/upload/raw", "/upload/raw []"),
            ("DELETE", "/item/1", "/item/{id} does not know DELETE"),
            ("GET", "/item/", "nothing"),
            ("GET", "/item", "nothing"),
            ("GET", "/item/1/2", "nothing"),
            ("GET", "/{id}", "nothing"),
            ("GET", "*", "nothing"),
            ("GET", "", "nothing"),
        ] {
            assert_eq!(describe(method, path), found, "{method} {path}");
        }
        assert_eq!(allowed(0), "GET, HEAD");
    }

    #[test]
    fn every_route_is_described() {
        let document = include_str!("../../docs/demo.md");
        for route in TABLE {
            for (method, _) in route.methods {
                let row = document
                    .lines()
                    .find(|line| line.contains(&format!("`{}`", route.pattern)) && line.contains(method));
                assert!(row.is_some(), "docs/demo.md has no row for {method} `{}`", route.pattern);
            }
        }
    }
}
