//! An exchange from its beginning to its end: made of a request, and entered with what came of it.

use std::time::Instant;

use bytes::Bytes;

use super::headers::Headers;
use super::http::Request;
use super::http1::{Answer, Http1};
use super::{Exchange, NetError, Timings};

impl Exchange {
    /// Large, and handed on often: so it stays where it is made.
    pub(super) fn new(request: &Request) -> Box<Self> {
        Box::new(Self {
            method: request.method.clone(),
            url: request.url.clone(),
            status: 0,
            headers: Headers::default(),
            body: Bytes::new(),
            taken: None,
            timings: Timings::default(),
            reused: false,
            bytes_sent: 0,
            bytes_received: 0,
            remote: None,
            protocol: None,
            tls_version: None,
            error: None,
        })
    }

    /// Enters what came of the request. `begun` is when it began to wait for its connection, where it had to.
    pub(super) fn enter(&mut self, http: &Http1, answer: Answer, begun: Option<Instant>) {
        let ended = answer.failure.is_some().then(Instant::now);
        let moved = http.moved(ended);
        self.timings.sending = moved.sending;
        self.timings.waiting = moved.waiting;
        self.timings.receiving = moved.receiving;
        if let (Some(begun), Some(first)) = (begun, http.first_write()) {
            self.timings.blocked = first.saturating_duration_since(begun);
        }
        let (sent, received) = http.take_bytes();
        self.bytes_sent += sent;
        self.bytes_received += received;
        self.remote = http.remote();
        self.tls_version = http.tls_version();
        if let Some(head) = answer.head {
            self.status = head.status;
            self.headers = head.headers;
            self.protocol = Some(if head.old { "HTTP/1.0" } else { "HTTP/1.1" });
        }
        self.body = answer.body;
        self.taken = answer.taken;
        self.error = answer.failure.map(|failure| NetError {
            fault: failure.fault,
            detail: format!("{} `{}` failed: {}", self.method, self.url, failure.why),
        });
    }
}
