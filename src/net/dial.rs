//! From an origin to an open socket: look-up and connect, each measured.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::connection::{Opening, Step};
use super::dns::Resolver;
use super::target::Origin;
use super::wire::Socket;
use super::{NetError, classify};
use crate::fault::{Fault, Side};
use crate::plan::HttpOptions;

/// How long one address may take to accept a connection (k6's dialer: 30 s).
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

/// What a worker opens sockets with.
#[derive(Debug)]
pub(super) struct Dialer {
    resolver: Resolver,
}

/// An open socket, and where it leads.
#[derive(Debug)]
pub(super) struct Dialed {
    pub(super) socket: Socket,
    /// The address at its other end.
    pub(super) remote: Option<SocketAddr>,
}

impl Dialer {
    pub(super) fn new(options: &HttpOptions) -> Self {
        Self { resolver: Resolver::new(&options.hosts) }
    }

    /// Opens a socket to an origin, and enters what it took.
    pub(super) async fn dial(&self, origin: &Origin, opening: &Opening) -> Result<Dialed, NetError> {
        opening.step.set(Step::LookUp);
        let resolved = self.resolver.resolve(origin).await?;
        opening.looking_up.set(resolved.took);
        opening.step.set(Step::Connect);
        let begun = Instant::now();
        let dialed = connect(resolved.sockets(), &opening.remote).await;
        opening.connecting.set(Some(begun.elapsed()));
        let (tcp, remote) = dialed?;
        Ok(Dialed { socket: Socket::new(tcp, opening.meter.clone()), remote: Some(remote) })
    }
}

/// Connects to the first address that accepts. When none does, the last failure is told.
async fn connect(
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
        let (_, connected) = connect([closed, address].into_iter(), &remote).await.unwrap();
        assert_eq!((connected, remote.get()), (address, Some(address)));

        let error = connect([closed].into_iter(), &remote).await.unwrap_err();
        assert_eq!(error.fault, Fault::DIAL_REFUSED);
        assert_eq!(error.detail, format!("connect to `{closed}` failed: connection refused"));
        assert_eq!(connect([].into_iter(), &remote).await.unwrap_err().fault, Fault::DIAL);
    }
}
