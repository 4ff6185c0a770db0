//! The HTTP client of virtual users: connections of their own, cookies, redirects, one timeout over all of it.
//!
//! A worker has one [`Network`]; each of its VUs has a [`Client`]. A call to [`Client::send`] yields an [`Exchange`] for
//! each request that was made: one, or with redirects several. What it does not do: judge a status, decompress a body
//! (see [`super::decode`]), record a metric.
//!
//! Cancelling is dropping: when the future of a request is dropped, its connection is closed.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_TYPE, COOKIE, HOST, LOCATION,
};
use ::http::{HeaderValue, Method};
use smallvec::SmallVec;
use url::Url;

use super::auth::digest::Challenges;
use super::body::Body;
use super::connection::{Connection, Offer};
use super::cookies::Jar;
use super::dial::Dialer;
use super::http1::{Answer, Http1, Scratch, Terms};
use super::intake::Intake;
use super::pool::Pool;
use super::selection::Caller;
use super::tape::Tape;
use super::target::{Target, Targets};
use super::tls::{Sessions, Tls, TlsRoots};
use super::{Exchange, NetError};
use crate::fault::Fault;
use crate::plan::HttpOptions;

mod head;
mod opening;
mod request;

pub use request::Request;

/// What the VUs of one worker thread share: resolved names, parsed URLs, the TLS configuration, the defaults. A worker has
/// one for the run's options, and one more for each set of options that its clients have ([`Network::derived`]).
#[derive(Debug)]
pub struct Network {
    options: HttpOptions,
    roots: Arc<TlsRoots>,
    dialer: Dialer,
    tls: Rc<Tls>,
    targets: Rc<RefCell<Targets>>,
    scratch: Rc<Scratch>,
    /// Connections that its users share, where they do.
    shared: Pool,
    /// Records answers, or gives them; none under load.
    tape: Option<Arc<Tape>>,
}

impl Network {
    /// The network of a worker. `roots` are shared by all workers of the run.
    #[must_use]
    pub fn new(options: &HttpOptions, roots: Arc<TlsRoots>) -> Rc<Self> {
        Self::taped(options, roots, None)
    }

    /// The same, with a tape that records its answers or gives them.
    #[must_use]
    pub fn taped(options: &HttpOptions, roots: Arc<TlsRoots>, tape: Option<Arc<Tape>>) -> Rc<Self> {
        Self::build(options, roots, tape, None)
    }

    /// A network with other options on the same worker. What both would have alike is one and the same: buffers and trusted
    /// roots always; names, the TLS configuration and parsed URLs where the options about them are equal.
    #[must_use]
    pub fn derived(&self, options: &HttpOptions) -> Rc<Self> {
        Self::build(options, self.roots.clone(), self.tape.clone(), Some(self))
    }

    fn build(options: &HttpOptions, roots: Arc<TlsRoots>, tape: Option<Arc<Tape>>, beside: Option<&Self>) -> Rc<Self> {
        // A part that depends on one more option compares it here, too.
        let like = |is_same: fn(&HttpOptions, &HttpOptions) -> bool| {
            beside.filter(|network| is_same(&network.options, options))
        };
        Rc::new(Self {
            dialer: Dialer::new(options, beside.map(|network| (&network.dialer, &network.options))),
            tls: match like(|one, other| {
                one.insecure_skip_tls_verify == other.insecure_skip_tls_verify && one.tls == other.tls
            }) {
                Some(network) => network.tls.clone(),
                None => Rc::new(Tls::new(roots.clone(), options)),
            },
            targets: match like(|one, other| one.user_agent == other.user_agent) {
                Some(network) => network.targets.clone(),
                None => Rc::new(RefCell::new(Targets::new(&options.user_agent))),
            },
            scratch: beside.map_or_else(Rc::default, |network| network.scratch.clone()),
            options: options.clone(),
            shared: Pool::default(),
            roots,
            tape,
        })
    }

    /// The target of a URL as a script wrote it. URLs that were asked for lately are not parsed again.
    ///
    /// # Errors
    /// When it is no `http` or `https` URL ([`Fault::INVALID_URL`]).
    pub fn target(&self, url: &str) -> Result<Rc<Target>, NetError> {
        self.targets.borrow_mut().get(url)
    }

    /// The target of a URL that is parsed already.
    ///
    /// # Errors
    /// When it is no `http` or `https` URL.
    pub fn target_of(&self, url: Url) -> Result<Rc<Target>, NetError> {
        let text = url.as_str().to_owned();
        self.targets.borrow_mut().parse(&text, url)
    }

    /// Whether answers are recorded, or come from a recording.
    #[must_use]
    pub fn is_taped(&self) -> bool {
        self.tape.is_some()
    }

    /// The defaults.
    #[must_use]
    pub fn options(&self) -> &HttpOptions {
        &self.options
    }
}

/// How many idle connections the users of a worker keep, where they share them.
const SHARED_MAX: usize = 4_096;

/// A virtual user's HTTP client.
#[derive(Debug)]
pub struct Client {
    network: Rc<Network>,
    pool: Pool,
    /// TLS sessions, where they are resumed.
    sessions: Sessions,
    jar: Rc<RefCell<Jar>>,
    /// Whether the jar is another client's, who sees to it.
    is_jar_lent: bool,
    caller: Rc<Caller>,
    /// What servers have challenged with, to be answered again.
    challenges: RefCell<Challenges>,
}

impl Client {
    /// A client without connections and cookies, of no VU.
    #[must_use]
    pub fn new(network: Rc<Network>) -> Self {
        Self {
            network,
            pool: Pool::default(),
            sessions: Sessions::new(),
            jar: Rc::default(),
            is_jar_lent: false,
            caller: Rc::default(),
            challenges: RefCell::default(),
        }
    }

    /// The client of a VU (numbered from 1): its number and the run's seed decide which of several addresses it connects
    /// to, and from which.
    #[must_use]
    pub fn of_vu(self, vu: u32, seed: u64) -> Self {
        Self { caller: Rc::new(Caller::new(vu, seed)), ..self }
    }

    /// A client of the VU that the other one is of.
    #[must_use]
    pub fn of_vu_of(self, other: &Self) -> Self {
        Self { caller: other.caller.clone(), ..self }
    }

    /// A client of the same VU with connections of its own, on another network perhaps, that uses this one's jar.
    #[must_use]
    pub fn beside(&self, network: Rc<Network>) -> Self {
        Self { jar: self.jar.clone(), is_jar_lent: true, caller: self.caller.clone(), ..Self::new(network) }
    }

    /// A client that keeps and sends no cookies but those of a single request.
    #[must_use]
    pub fn without_cookies(network: Rc<Network>) -> Self {
        Self { jar: Rc::new(RefCell::new(Jar::closed())), ..Self::new(network) }
    }

    /// Where its connections are kept.
    fn kept(&self) -> &Pool {
        if self.network.options.share_connections { &self.network.shared } else { &self.pool }
    }

    /// How many connections are kept there.
    fn kept_max(&self) -> usize {
        let options = &self.network.options;
        if options.share_connections { SHARED_MAX } else { options.batch.max(1) as usize }
    }

    /// What it shares with the other VUs of its worker.
    #[must_use]
    pub fn network(&self) -> &Rc<Network> {
        &self.network
    }

    /// The cookie jar.
    #[must_use]
    pub fn cookies(&self) -> &Rc<RefCell<Jar>> {
        &self.jar
    }

    /// The jar that a request uses.
    #[must_use]
    pub fn jar_of<'a>(&'a self, request: &'a Request) -> &'a Rc<RefCell<Jar>> {
        request.jar.as_ref().unwrap_or(&self.jar)
    }

    /// Ends an iteration: empties the jar and closes connections as the options say.
    pub fn end_iteration(&self) {
        if !self.network.options.no_cookies_reset && !self.is_jar_lent {
            self.jar.borrow_mut().clear();
        }
        if self.network.options.no_vu_connection_reuse {
            self.pool.close_idle();
        }
    }

    /// Makes the request and follows redirects. Every hop is one exchange, in order; there is at least one. Only the last
    /// can have an error.
    ///
    /// Several may be under way at once; more than `batch_per_host` to one host wait for their turn.
    pub async fn send(&self, mut request: Request) -> SmallVec<[Exchange; 1]> {
        let options = &self.network.options;
        if let Some(path) = &request.unix_socket {
            request.url = request.url.at_unix_socket(path);
        }
        let redirects_max = request.redirects.unwrap_or(options.max_redirects);
        let mut exchanges = SmallVec::new();
        let mut hop = Hop {
            terms: Terms {
                deadline: None,
                timeout: request.timeout.unwrap_or(options.timeout),
                intake: match &request.intake {
                    Some(intake) => intake.clone(),
                    None if options.discard_response_bodies => Intake::Discard,
                    None => Intake::Keep,
                },
                bandwidth: request.bandwidth.unwrap_or(options.bandwidth),
                digest: request.digest,
                max_body: request.max_body.unwrap_or(options.max_body),
                max_passing: request.max_body.unwrap_or(u64::MAX),
            },
            request,
            same_origin: true,
            has_answered: false,
        };
        let mut redirects = 0;
        loop {
            let mut exchange = match &self.network.tape {
                None => self.exchange(&mut hop).await,
                Some(tape) => self.taped(tape, &mut hop).await,
            };
            if exchange.headers.sets_cookies() {
                self.jar_of(&hop.request).borrow_mut().store_all(&exchange.url, &exchange.headers);
            }
            if self.is_challenged(&mut hop, &exchange) {
                exchanges.push(exchange);
                continue;
            }
            let location = redirect_of(&exchange).filter(|_| redirects_max > 0 && exchange.error.is_none());
            let Some(location) = location else {
                exchanges.push(exchange);
                return exchanges;
            };
            let next = if redirects >= redirects_max {
                let detail = format!("`{}` redirects once more after {redirects_max} redirects", exchange.url);
                Err(NetError { fault: Fault::TOO_MANY_REDIRECTS, detail })
            } else {
                self.follow(&exchange.url, location)
            };
            match next {
                Ok(target) => {
                    let target = match &hop.request.unix_socket {
                        Some(path) => target.at_unix_socket(path),
                        None => target,
                    };
                    hop.redirect(exchange.status, target);
                    redirects += 1;
                    exchanges.push(exchange);
                }
                Err(error) => {
                    exchange.error = Some(error);
                    exchanges.push(exchange);
                    return exchanges;
                }
            }
        }
    }

    fn follow(&self, from: &Target, location: &HeaderValue) -> Result<Rc<Target>, NetError> {
        let text = String::from_utf8_lossy(location.as_bytes());
        from.join(&text)
            .map_err(|error| error.to_string())
            .and_then(|url| self.network.target_of(url).map_err(|error| error.detail))
            .map_err(|why| NetError {
                fault: Fault::INVALID_REDIRECT,
                detail: format!("`{from}` redirects to `{text}`: {why}"),
            })
    }

    /// One request that a tape answers, or whose answer it keeps.
    async fn taped(&self, tape: &Tape, hop: &mut Hop) -> Exchange {
        let mut exchange = Exchange::new(&hop.request);
        if tape.answer(&hop.request, &mut exchange) {
            if let Intake::Stream(feed) = &hop.terms.intake {
                feed.replay(&mut exchange);
            }
            // As a request does: a script that asks in a loop must not hold up the others.
            tokio::task::yield_now().await;
            return exchange;
        }
        let exchange = Box::pin(self.exchange(hop)).await;
        tape.keep(&exchange);
        exchange
    }

    /// One request, on a kept connection or a new one.
    async fn exchange(&self, hop: &mut Hop) -> Exchange {
        let options = &self.network.options;
        let target = hop.request.url.clone();
        let origin = target.origin();
        let mut exchange = Exchange::new(&hop.request);
        // A wait for a connection is worth a look at the clock; taking one that lies ready is not.
        let mut begun = None;
        let _turn = match self.pool.try_turn(origin, options.batch_per_host) {
            Some(turn) => turn,
            None => {
                let from = *begun.insert(Instant::now());
                let deadline = *hop.terms.deadline.get_or_insert(from + hop.terms.timeout);
                let turn = self.pool.turn(origin, options.batch_per_host);
                match tokio::time::timeout_at(deadline.into(), turn).await {
                    Ok(turn) => turn,
                    Err(_) => {
                        exchange.timings.blocked = from.elapsed();
                        exchange.error = Some(hop.timed_out("while waiting for other requests to the same host"));
                        return exchange;
                    }
                }
            }
        };
        let mut offer = Offer::new(hop.request.version.unwrap_or(options.http_version), origin);
        // Streams of one HTTP/2 connection have no pace of their own.
        offer.http2 &= !hop.terms.bandwidth.is_bounded() || !offer.http1;
        let mut seat = None;
        if options.connections_per_host > 0 {
            seat = match Box::pin(self.seat(hop, origin, offer, &mut begun)).await {
                Ok(seat) => seat,
                Err(error) => {
                    exchange.timings.blocked = begun.map_or(Duration::ZERO, |from| from.elapsed());
                    exchange.error = Some(error);
                    return exchange;
                }
            };
        }
        let mut kept = if options.no_connection_reuse { None } else { self.kept().take(origin, offer) };
        if !hop.terms.bandwidth.is_bounded() {
            kept = kept.filter(|connection| !connection.is_narrow());
        }
        let mut repeated = false;
        loop {
            let body = if hop.request.body.is_streamed() {
                match Box::pin(hop.request.body.open()).await {
                    Ok(body) => body,
                    Err(error) => {
                        exchange.error = Some(error);
                        return exchange;
                    }
                }
            } else {
                hop.request.body.ready()
            };
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => {
                    let from = *begun.get_or_insert_with(Instant::now);
                    hop.terms.deadline.get_or_insert(from + hop.terms.timeout);
                    if seat.is_some() {
                        self.kept().make_room(origin, options.connections_per_host);
                    }
                    match Box::pin(self.open(hop, origin, offer, &mut exchange)).await {
                        Ok(connection) => connection,
                        Err(error) => {
                            exchange.timings.blocked = from.elapsed();
                            exchange.error = Some(error);
                            // Some failures come without a wait (no descriptor left, a name known not to exist): a VU that
                            // runs into them in a loop must not hold up the others of its worker.
                            tokio::task::yield_now().await;
                            return exchange;
                        }
                    }
                }
            };
            let http = match &mut connection {
                Connection::Http1(http) => http,
                Connection::Http2(http) => {
                    if !options.no_connection_reuse {
                        // Others need no seat on it.
                        seat = None;
                    }
                    let next = Box::pin(self.over_http2(http, hop, body, &mut exchange, &mut begun)).await;
                    if next.again && !repeated {
                        repeated = true;
                        exchange.error = None;
                        begun.get_or_insert_with(Instant::now);
                        kept = (next.usable && !options.no_connection_reuse).then_some(connection);
                        continue;
                    }
                    return exchange;
                }
            };
            exchange.reused = http.is_used();
            let message = self.message(hop, &target, body, http.forwarded_by());
            let answer = http.round_trip(message, &hop.terms, &self.network.scratch).await;
            let reusable = answer.reusable;
            let again = exchange.reused && hop.may_repeat(&answer, http);
            exchange.enter(http, answer, begun);
            if again {
                // The server had closed it meanwhile: that is no failure, and nothing has been answered.
                exchange.error = None;
                begun.get_or_insert_with(|| http.first_write().unwrap_or_else(Instant::now));
                continue;
            }
            if reusable && !options.no_connection_reuse {
                self.kept().keep(origin, offer, connection, self.kept_max());
            }
            return exchange;
        }
    }
}

/// One request of a chain of redirects.
struct Hop {
    request: Request,
    terms: Terms,
    /// Whether every hop so far went to the origin of the first.
    same_origin: bool,
    /// Whether it answers a challenge that it has got itself.
    has_answered: bool,
}

impl Hop {
    fn timed_out(&self, doing: &str) -> NetError {
        let Request { method, url, .. } = &self.request;
        let detail = format!("{method} `{url}` failed: not over within {:?}, {doing}", self.terms.timeout);
        NetError { fault: Fault::TIMEOUT, detail }
    }

    /// Whether a request that failed on a kept connection may be made once more on a new one: the connection was closed,
    /// no byte came back, and either nothing was sent or the method can be repeated (RFC 9110, section 9.2.2).
    fn may_repeat(&self, answer: &Answer, http: &Http1) -> bool {
        let Some(failure) = &answer.failure else { return false };
        let stale = [Fault::CLOSED_BEFORE_RESPONSE, Fault::TCP_RESET, Fault::TCP_BROKEN_PIPE].contains(&failure.fault);
        stale && (failure.unsent || (http.is_unanswered() && self.request.method.is_idempotent()))
    }

    /// Becomes the request that a redirect asks for, as browsers make it.
    fn redirect(&mut self, status: u16, target: Rc<Target>) {
        let request = &mut self.request;
        let becomes_get = match status {
            303 => request.method != Method::HEAD,
            301 | 302 => request.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            request.method = Method::GET;
            request.body = Body::Empty;
            for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION] {
                request.headers.remove(name);
            }
        }
        if target.origin() != request.url.origin() {
            self.same_origin = false;
            request.auth = None;
            for name in [AUTHORIZATION, COOKIE, HOST] {
                request.headers.remove(name);
            }
        }
        request.url = target;
        self.has_answered = false;
    }
}

/// Where a response redirects to.
fn redirect_of(exchange: &Exchange) -> Option<&HeaderValue> {
    match exchange.status {
        301 | 302 | 303 | 307 | 308 => exchange.headers.get(LOCATION),
        _ => None,
    }
}
