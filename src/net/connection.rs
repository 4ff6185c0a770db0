//! Opening a connection: look-up, connect, TLS handshake, each measured.
//!
//! [`Connection`] is the seam for other protocols: HTTP/1.1 is the one that there is.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::classify;
use super::dns::Resolver;
use super::http1::Http1;
use super::target::Origin;
use super::tls::{self, Tls};
use super::wire::{Meter, Socket, Wire};
use super::{NetError, Timings};
use crate::fault::{Fault, Side};

/// How long one address may take to accept a connection (k6's dialer: 30 s).
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// What opening a connection took, also when it failed.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pub(super) looking_up: Cell<Option<Duration>>,
    pub(super) connecting: Cell<Option<Duration>>,
    pub(super) tls_handshaking: Cell<Option<Duration>>,
    pub(super) remote: Cell<Option<SocketAddr>>,
    pub(super) meter: Rc<Meter>,
    step: Cell<Step>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Step {
    #[default]
    LookUp,
    Connect,
    Handshake,
}

impl Opening {
    /// What was being done, for the message of a timeout.
    pub(super) fn doing(&self) -> &'static str {
        match self.step.get() {
            Step::LookUp => "while looking up the host",
            Step::Connect => "while connecting",
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

/// A connection to one origin.
#[derive(Debug)]
pub(super) enum Connection {
    Http1(Box<Http1>),
}

impl Connection {
    /// Opens one: resolves, tries each address in turn, makes the TLS handshake.
    pub(super) async fn open(
        resolver: &Resolver,
        tls: &Tls,
        origin: &Origin,
        opening: &Opening,
    ) -> Result<Self, NetError> {
        opening.step.set(Step::LookUp);
        let resolved = resolver.resolve(origin).await?;
        opening.looking_up.set(resolved.took);
        if origin.is_secure() {
            tls.prepare().await.map_err(|why| NetError { fault: Fault::TLS, detail: format!("TLS: {why}") })?;
        }

        opening.step.set(Step::Connect);
        let begun = Instant::now();
        let dialed = dial(resolved.sockets(), &opening.remote).await;
        opening.connecting.set(Some(begun.elapsed()));
        let (tcp, remote) = dialed?;
        let socket = Socket::new(tcp, opening.meter.clone());

        let (wire, tls_version) = if origin.is_secure() {
            opening.step.set(Step::Handshake);
            let begun = Instant::now();
            let shaken = tls.handshake(origin.host(), socket).await;
            opening.tls_handshaking.set(Some(begun.elapsed()));
            let stream = shaken.map_err(|error| {
                let (fault, why) = classify::handshake(&error, &opening.meter);
                NetError { fault, detail: format!("TLS handshake with `{origin}` failed: {why}") }
            })?;
            let version = tls::version(&stream);
            (Wire::Tls { stream: Box::new(stream), meter: opening.meter.clone() }, Some(version))
        } else {
            (Wire::Plain(socket), None)
        };
        Ok(Self::Http1(Box::new(Http1::new(wire, opening.meter.clone(), remote, tls_version))))
    }
}

/// Connects to the first address that accepts. When none does, the last failure is told.
async fn dial(
    sockets: impl Iterator<Item = SocketAddr>,
    remote: &Cell<Option<SocketAddr>>,
) -> Result<(TcpStream, SocketAddr), NetError> {
    let mut failure = NetError { fault: Fault::DIAL, detail: "connect failed: there is no address".to_owned() };
    for socket in sockets {
        remote.set(Some(socket));
        failure = match tokio::time::timeout(DIAL_TIMEOUT, TcpStream::connect(socket)).await {
            Ok(Ok(tcp)) => {
                // Only a closed socket refuses; the request then says so.
                let _ = tcp.set_nodelay(true);
                return Ok((tcp, socket));
            }
            Ok(Err(error)) => {
                let fault = classify::dial(&error);
                NetError { fault, detail: format!("connect to `{socket}` failed: {}", plain(&error)) }
            }
            Err(_) => NetError {
                fault: Fault::DIAL_TIMEOUT,
                detail: format!("connect to `{socket}` failed: no answer within {DIAL_TIMEOUT:?}"),
            },
        };
        // Another address does not help against a lack of files or ports here.
        if failure.fault.side == Side::Generator {
            break;
        }
    }
    Err(failure)
}

/// The text of an error without `(os error 111)`, in lower case.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" (os error").map_or(&*text, |(before, _)| before);
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = open.local_addr().unwrap();
        let remote = Cell::new(None);
        let (_, connected) = dial([closed, address].into_iter(), &remote).await.unwrap();
        assert_eq!((connected, remote.get()), (address, Some(address)));

        let error = dial([closed].into_iter(), &remote).await.unwrap_err();
        assert_eq!(error.fault, Fault::DIAL_REFUSED);
        assert_eq!(error.detail, format!("connect to `{closed}` failed: connection refused"));
        assert_eq!(dial([].into_iter(), &remote).await.unwrap_err().fault, Fault::DIAL);
    }
}
