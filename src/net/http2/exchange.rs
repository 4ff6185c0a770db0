//! A request over HTTP/2, entered into its [`Exchange`].

use std::time::Instant;

use ::http::Uri;

use super::{Http2, Outcome};
use crate::fault::Fault;
use crate::net::http1::{Message, Terms};
use crate::net::{Exchange, NetError};

/// What follows an exchange over HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) struct Next {
    /// Whether the request may be made once more: the server has not acted on it, or had closed the connection before.
    pub(in crate::net) again: bool,
    /// Whether the connection can carry another request.
    pub(in crate::net) usable: bool,
}

impl Http2 {
    /// Makes a request. `begun` is when it began to wait for its connection, where it had to; it may have to wait here.
    pub(in crate::net) async fn exchange(
        &self,
        uri: Uri,
        message: Message<'_>,
        terms: &Terms,
        exchange: &mut Exchange,
        begun: &mut Option<Instant>,
    ) -> Next {
        exchange.reused = self.use_again();
        let Outcome {
            status,
            headers,
            body,
            taken,
            failure,
            refused,
            unsent,
            usable,
            moved,
            queued,
            first_write,
            bytes,
        } = self.round_trip(uri, message, terms).await;
        *begun = begun.or(queued);
        exchange.timings.sending = moved.sending;
        exchange.timings.waiting = moved.waiting;
        exchange.timings.receiving = moved.receiving;
        if let Some(begun) = *begun {
            let until = first_write.or_else(|| failure.is_some().then(Instant::now));
            exchange.timings.blocked = until.map_or_else(Default::default, |at| at.saturating_duration_since(begun));
        }
        exchange.bytes_sent += bytes.0;
        exchange.bytes_received += bytes.1;
        exchange.remote = self.remote();
        exchange.tls_version = self.tls_version();
        if status != 0 {
            exchange.status = status;
            exchange.headers = headers;
            exchange.protocol = Some("HTTP/2.0");
        }
        exchange.body = body;
        exchange.taken = taken;
        let stale = failure.as_ref().is_some_and(|failure| {
            [Fault::CLOSED_BEFORE_RESPONSE, Fault::TCP_RESET, Fault::TCP_BROKEN_PIPE].contains(&failure.fault)
        });
        let repeatable = unsent || (status == 0 && exchange.method.is_idempotent());
        let again = refused || (exchange.reused && stale && repeatable) || (exchange.reused && unsent && !usable);
        exchange.error = failure.map(|failure| NetError {
            fault: failure.fault,
            detail: format!("{} `{}` failed: {}", exchange.method, exchange.url, failure.why),
        });
        Next { again: again && exchange.error.as_ref().is_some_and(|error| error.fault != Fault::TIMEOUT), usable }
    }
}
