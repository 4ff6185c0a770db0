//! What to ask for: a request, as the client takes it.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use ::http::{HeaderMap, Method};

use crate::net::auth::Auth;
use crate::net::body::Body;
use crate::net::cookies::{Jar, RequestCookie};
use crate::net::intake::{Algorithm, Intake};
use crate::net::target::Target;
use crate::plan::{Bandwidth, HttpVersion};

/// What to ask for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The URL, from [`Network::target`].
    pub url: Rc<Target>,
    /// Headers besides `Host`, `User-Agent`, `Cookie`, `Content-Length`, which are made; one given here stands in for the
    /// made one, but for the length, which is always the body's own. A `Cookie` given here leaves the jar out.
    pub headers: HeaderMap,
    /// Cookies for this request alone, besides those of the jar.
    pub cookies: Vec<RequestCookie>,
    /// Whose cookies it carries, and who keeps those that it is given; none: its client's jar.
    pub jar: Option<Rc<RefCell<Jar>>>,
    /// The body.
    pub body: Body,
    /// How long everything may take, redirects and connecting included; none: the run's default.
    pub timeout: Option<Duration>,
    /// How many redirects to follow; 0 returns the redirect itself; none: the run's default.
    pub redirects: Option<u32>,
    /// The version of HTTP; none: the run's default.
    pub version: Option<HttpVersion>,
    /// How it says who it is.
    pub auth: Option<Auth>,
    /// What becomes of the response's body; none: it is kept or discarded by the run's default.
    pub intake: Option<Intake>,
    /// The digest to make of the body.
    pub digest: Option<Algorithm>,
    /// Whether the body goes in chunks though its length is known.
    pub chunked: bool,
    /// Whether the body waits until the target says that it wants it, for a second at most.
    pub expect_continue: bool,
    /// How fast bytes may go; none: the run's default.
    pub bandwidth: Option<Bandwidth>,
    /// The most bytes that the body may have, also where it is not kept; none: the run's default for bodies that are kept,
    /// and no limit for others.
    pub max_body: Option<u64>,
    /// Connect to this Unix socket, whatever the URL's host, redirects included; none: as the run's options say.
    pub unix_socket: Option<Rc<Path>>,
}

impl Request {
    /// A request with nothing but a method and a URL.
    #[must_use]
    pub fn new(method: Method, url: Rc<Target>) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            cookies: Vec::new(),
            jar: None,
            body: Body::Empty,
            timeout: None,
            redirects: None,
            version: None,
            auth: None,
            intake: None,
            digest: None,
            chunked: false,
            expect_continue: false,
            bandwidth: None,
            max_body: None,
            unix_socket: None,
        }
    }
}
