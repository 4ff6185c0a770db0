//! Connections for a client's requests: opened once for all that can share one.

use std::rc::Rc;
use std::time::Instant;

use ::http::header::HOST;

use super::{Client, Hop};
use crate::net::body::Outgoing;
use crate::net::connection::{Connection, Offer, Opening};
use crate::net::http2::{Http2, Next};
use crate::net::seats::Seat;
use crate::net::target::Origin;
use crate::net::{Exchange, NetError};

impl Client {
    /// One request over HTTP/2. A connection that can't carry another is forgotten.
    pub(super) async fn over_http2(
        &self,
        http: &Http2,
        hop: &Hop,
        body: Outgoing,
        exchange: &mut Exchange,
        begun: &mut Option<Instant>,
    ) -> Next {
        let target = &*hop.request.url;
        let next = match target.uri(hop.request.headers.get(HOST)) {
            Ok(uri) => http.exchange(uri, self.message(hop, target, body, None), &hop.terms, exchange, begun).await,
            Err(error) => {
                exchange.error = Some(error);
                tokio::task::yield_now().await;
                Next { again: false, usable: true }
            }
        };
        if !next.usable {
            self.kept().forget(http);
        }
        next
    }

    /// A seat for a connection, where the options bound how many there are. A connection that all share needs none.
    pub(super) async fn seat<'a>(
        &'a self,
        hop: &mut Hop,
        origin: &'a Rc<Origin>,
        offer: Offer,
        begun: &mut Option<Instant>,
    ) -> Result<Option<Seat<'a>>, NetError> {
        let options = &self.network.options;
        let (pool, limit) = (self.kept(), options.connections_per_host);
        if offer.http2 && !options.no_connection_reuse && pool.is_shared(origin) {
            return Ok(None);
        }
        if let Some(seat) = pool.seats().try_take(origin, limit) {
            return Ok(Some(seat));
        }
        let from = *begun.get_or_insert_with(Instant::now);
        let deadline = *hop.terms.deadline.get_or_insert(from + hop.terms.timeout);
        match tokio::time::timeout_at(deadline.into(), pool.seats().take(origin, limit)).await {
            Ok(seat) => Ok(Some(seat)),
            Err(_) => {
                let doing =
                    format!("while waiting for one of the {limit} connections that `connections_per_host` allows");
                Err(hop.timed_out(&doing))
            }
        }
    }

    /// Opens a connection. Where it may be one of HTTP/2, one request opens it for all that want it.
    pub(super) async fn open(
        &self,
        hop: &Hop,
        origin: &Rc<Origin>,
        offer: Offer,
        exchange: &mut Exchange,
    ) -> Result<Connection, NetError> {
        let options = &self.network.options;
        if !offer.http2 || options.no_connection_reuse {
            return self.open_one(hop, origin, offer, exchange).await;
        }
        let _lead = match self.kept().lead(origin) {
            Ok(lead) => Some(lead),
            Err(opened) => {
                let opened = opened.notified();
                let waited = match hop.terms.deadline {
                    Some(deadline) => tokio::time::timeout_at(deadline.into(), opened).await.is_ok(),
                    None => {
                        opened.await;
                        true
                    }
                };
                if !waited {
                    return Err(hop.timed_out("while waiting for a connection that another request opens"));
                }
                if let Some(connection) = self.kept().take(origin, offer) {
                    return Ok(connection);
                }
                None
            }
        };
        let opened = self.open_one(hop, origin, offer, exchange).await;
        if let Ok(Connection::Http2(http)) = &opened {
            self.kept().share(origin, http.clone(), self.kept_max());
        }
        opened
    }

    async fn open_one(
        &self,
        hop: &Hop,
        origin: &Origin,
        offer: Offer,
        exchange: &mut Exchange,
    ) -> Result<Connection, NetError> {
        let opening = Opening::default();
        let network = &*self.network;
        let connecting =
            Connection::open(&network.dialer, &network.tls, origin, offer, &self.caller, &self.sessions, &opening);
        let opened = match hop.terms.deadline {
            Some(deadline) => tokio::time::timeout_at(deadline.into(), connecting).await,
            None => Ok(connecting.await),
        };
        opening.enter(&mut exchange.timings);
        exchange.remote = opening.remote.get();
        opened.unwrap_or_else(|_| Err(hop.timed_out(opening.doing()))).inspect_err(|_| {
            let (sent, received) = opening.meter.take_bytes();
            exchange.bytes_sent += sent;
            exchange.bytes_received += received;
        })
    }
}
