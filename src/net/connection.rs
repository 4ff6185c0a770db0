//! Opening a connection: a socket ([`super::dial`]), the TLS handshake, each measured.
//!
//! [`Connection`] is the seam between protocols: HTTP/1.1, which one request has to itself, and HTTP/2, which many share.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::classify;
use super::dial::{Dialed, Dialer};
use super::http1::Http1;
use super::http2::Http2;
use super::selection::Caller;
use super::target::Origin;
use super::tls::{self, Sessions, Tls};
use super::wire::{Meter, Wire};
use super::{NetError, Timings};
use crate::fault::Fault;
use crate::plan::HttpVersion;

/// What opening a connection took, also when it failed.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pub(super) looking_up: Cell<Option<Duration>>,
    pub(super) connecting: Cell<Option<Duration>>,
    pub(super) tls_handshaking: Cell<Option<Duration>>,
    pub(super) remote: Cell<Option<SocketAddr>>,
    pub(super) meter: Rc<Meter>,
    pub(super) step: Cell<Step>,
}

/// What is being done about a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Step {
    #[default]
    LookUp,
    Connect,
    Tunnel,
    Handshake,
}

impl Opening {
    /// What was being done, for the message of a timeout.
    pub(super) fn doing(&self) -> &'static str {
        match self.step.get() {
            Step::LookUp => "while looking up the host",
            Step::Connect => "while connecting",
            Step::Tunnel => "while the proxy connected",
            Step::Handshake => "during the TLS handshake",
        }
    }

    /// Enters the phases that happened.
    pub(super) fn enter(&self, timings: &mut Timings) {
        timings.looking_up = self.looking_up.get();
        timings.connecting = self.connecting.get();
        timings.tls_handshaking = self.tls_handshaking.get();
    }
}

/// The versions of HTTP that a connection may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) http1: bool,
    pub(super) http2: bool,
}

impl Offer {
    /// What a version means for an origin.
    pub(super) fn new(version: HttpVersion, origin: &Origin) -> Self {
        let (http1, http2) = match version {
            HttpVersion::Auto => (true, origin.is_secure()),
            HttpVersion::Http1 => (true, false),
            HttpVersion::Http2 => (false, true),
            HttpVersion::H2c => (origin.is_secure(), true),
        };
        Self { http1, http2 }
    }
}

/// A connection to one origin.
#[derive(Debug)]
pub(super) enum Connection {
    Http1(Box<Http1>),
    Http2(Http2),
}

impl Connection {
    /// Whether its buffers are those of a slow line: it serves no other.
    pub(super) fn is_narrow(&self) -> bool {
        match self {
            Self::Http1(http) => http.is_narrow(),
            Self::Http2(_) => false,
        }
    }

    /// Opens one: dials, makes the TLS handshake.
    pub(super) async fn open(
        dialer: &Dialer,
        tls: &Tls,
        origin: &Origin,
        offer: Offer,
        caller: &Caller,
        sessions: &Sessions,
        opening: &Opening,
    ) -> Result<Self, NetError> {
        if origin.is_secure() {
            let prepared = tls.prepare(origin.host()).await;
            prepared.map_err(|why| NetError { fault: Fault::INVALID_REQUEST, detail: format!("TLS: {why}") })?;
        }
        let Dialed { socket, remote, forwarding } = dialer.dial(tls, origin, offer, caller, opening).await?;

        let mut http2 = !offer.http1;
        let (wire, tls_version) = if origin.is_secure() {
            opening.step.set(Step::Handshake);
            let begun = Instant::now();
            let shaken = tls.handshake(origin.host(), offer, sessions, socket).await;
            opening.tls_handshaking.set(Some(begun.elapsed()));
            let stream = shaken.map_err(|error| {
                let (fault, why) = classify::handshake(&error, &opening.meter);
                NetError { fault, detail: format!("TLS handshake with `{origin}` failed: {why}") }
            })?;
            let version = tls::version(&stream);
            http2 = tls::speaks_http2(&stream);
            if !http2 && !offer.http1 {
                let detail =
                    format!("`{origin}` does not speak HTTP/2: it has chosen no protocol in the TLS handshake");
                return Err(NetError { fault: Fault::HTTP2, detail });
            }
            (Wire::Tls { stream: Box::new(stream), meter: opening.meter.clone() }, Some(version))
        } else {
            (Wire::Plain(socket), None)
        };
        if http2 {
            let opened = Box::pin(Http2::new(wire, opening.meter.clone(), remote, tls_version)).await;
            return opened.map(Self::Http2).map_err(|(fault, why)| {
                let detail = format!("HTTP/2 with `{origin}` failed: {why}");
                NetError { fault, detail }
            });
        }
        Ok(Self::Http1(Box::new(Http1::new(wire, opening.meter.clone(), remote, tls_version).forwarding(forwarding))))
    }
}
