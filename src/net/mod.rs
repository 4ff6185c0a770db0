//! Protocol clients: values in, values out. Knows neither metrics nor scripts.
//!
//! A VU owns an [`http::Client`]: its connections, its cookies. A call makes one or, with redirects, several
//! [`Exchange`]s; the caller turns them into metrics. Futures here are polled on a worker's own stack.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ::http::Method;
use bytes::Bytes;

use crate::fault::Fault;

mod alarm;
mod arrival;
pub mod auth;
pub mod body;
pub mod charset;
mod classify;
mod connection;
pub mod cookies;
pub mod decode;
mod dial;
mod dns;
pub mod events;
mod exchange;
pub mod feed;
pub mod generated;
pub mod headers;
pub mod http;
mod http1;
mod http2;
pub mod intake;
mod name_servers;
mod pace;
pub mod pack;
mod pool;
mod proxy;
mod race;
mod response;
pub mod save;
mod seats;
mod selection;
mod sending;
pub mod tape;
pub mod target;
pub mod tls;
mod wire;

#[cfg(test)]
mod tests;

use headers::Headers;
use target::Target;

/// How long each phase of an exchange took; zero where it did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timings {
    /// From wanting to send until a connection was ready, phases of opening it included.
    pub blocked: Duration,
    /// Name resolution; none when the connection was reused or the host is an address.
    pub looking_up: Option<Duration>,
    /// TCP connect; none when the connection was reused.
    pub connecting: Option<Duration>,
    /// TLS handshake; none without TLS and on a reused connection.
    pub tls_handshaking: Option<Duration>,
    /// From the first to the last byte written.
    pub sending: Duration,
    /// From the last byte written until the first byte arrived.
    pub waiting: Duration,
    /// From the arrival of the first byte to that of the last.
    pub receiving: Duration,
}

impl Timings {
    /// Sending, waiting and receiving together: what the target is answerable for (k6's `http_req_duration`).
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.sending + self.waiting + self.receiving
    }
}

/// One request and what became of it: one line on the wire, so a redirect makes several.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The method that was sent.
    pub method: Method,
    /// The URL that was asked for; reads as a [`url::Url`], without its credentials.
    pub url: Rc<Target>,
    /// The status; 0 when there was no response.
    pub status: u16,
    /// The response's headers.
    pub headers: Headers,
    /// The body as it came, not decompressed; empty when it was discarded.
    pub body: Bytes,
    /// What is known of the body beyond its bytes, where a digest or a file was asked for.
    pub taken: Option<Box<intake::Taken>>,
    /// The phases.
    pub timings: Timings,
    /// Whether the connection had served an earlier request.
    pub reused: bool,
    /// Bytes written to the socket for it, TLS and headers included.
    pub bytes_sent: u64,
    /// Bytes read from the socket for it.
    pub bytes_received: u64,
    /// The address that was connected to; none where there was none, as with a Unix socket.
    pub remote: Option<SocketAddr>,
    /// `HTTP/1.1`, `HTTP/2.0`; none when there was no response.
    pub protocol: Option<&'static str>,
    /// `TLS 1.3`; none without TLS.
    pub tls_version: Option<&'static str>,
    /// Why it failed on the way; a status of 4xx or 5xx is no error here.
    pub error: Option<NetError>,
}

/// A failure on the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct NetError {
    /// The class: its stable number, its side, its short message.
    pub fault: Fault,
    /// What happened in this case: `connect to 127.0.0.1:1 failed: connection refused`.
    pub detail: String,
}
