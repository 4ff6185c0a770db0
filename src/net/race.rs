//! Several addresses of one host: happy eyeballs (RFC 8305).
//!
//! The next address is tried when the one before has failed, or has not answered for a quarter of a second; the first
//! that answers wins, and the others are dropped. A target whose first address is dead costs 250 ms that way, not a
//! timeout.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::NetError;
use crate::fault::{Fault, Side};

/// How long an address has before the next is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// Connects to the first address that answers. When none does, the last failure is told. `remote` is the address that
/// won, or was tried last.
pub(super) async fn race<T, F>(
    addresses: &[IpAddr],
    remote: &Cell<Option<SocketAddr>>,
    port: u16,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<(T, SocketAddr), NetError>
where
    F: Future<Output = Result<T, NetError>>,
{
    let sockets = || addresses.iter().map(|&address| SocketAddr::new(address, port));
    if let [address] = *addresses {
        let socket = SocketAddr::new(address, port);
        remote.set(Some(socket));
        return connect(socket).await.map(|connection| (connection, socket));
    }
    let attempt = |socket: SocketAddr| {
        let connecting = connect(socket);
        async move { (socket, connecting.await) }
    };
    let mut left = sockets();
    let mut attempts = FuturesUnordered::new();
    let mut failure = NetError { fault: Fault::DIAL, detail: "connect failed: there is no address".to_owned() };
    loop {
        let has_more = match left.next() {
            Some(socket) => {
                remote.set(Some(socket));
                attempts.push(attempt(socket));
                left.len() > 0
            }
            None => false,
        };
        let ended =
            if has_more { tokio::time::timeout(STAGGER, attempts.next()).await } else { Ok(attempts.next().await) };
        match ended {
            Ok(Some((socket, Ok(connection)))) => {
                remote.set(Some(socket));
                return Ok((connection, socket));
            }
            Ok(Some((_, Err(error)))) => {
                // Another address does not help against a lack of files or ports here.
                let is_own = error.fault.side == Side::Generator;
                failure = error;
                if is_own {
                    return Err(failure);
                }
            }
            Ok(None) => return Err(failure),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::Instant;

    use super::*;

    /// What an address does, and after how many milliseconds.
    #[derive(Clone, Copy)]
    enum Does {
        Answer(u64),
        Refuse(u64),
        Exhaust,
        Nothing,
    }

    /// Which address wins, after how long, and when each was tried, in milliseconds.
    async fn run(does: &[Does]) -> (Result<u8, Fault>, u64, Vec<(u8, u64)>) {
        let addresses: Vec<IpAddr> = (1..=does.len() as u8).map(|last| IpAddr::from([10, 0, 0, last])).collect();
        let begun = Instant::now();
        let ms = || begun.elapsed().as_millis() as u64;
        let tried = RefCell::new(Vec::new());
        let last = |socket: SocketAddr| match socket.ip() {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(_) => 0,
        };
        let remote = Cell::new(None);
        let won = race(&addresses, &remote, 80, |socket| {
            tried.borrow_mut().push((last(socket), ms()));
            let does = does[usize::from(last(socket)) - 1];
            async move {
                let failed = |fault: Fault| Err(NetError { fault, detail: String::new() });
                match does {
                    Does::Answer(after) => {
                        tokio::time::sleep(Duration::from_millis(after)).await;
                        Ok(())
                    }
                    Does::Refuse(after) => {
                        tokio::time::sleep(Duration::from_millis(after)).await;
                        failed(Fault::DIAL_REFUSED)
                    }
                    Does::Exhaust => failed(Fault::TOO_MANY_OPEN_FILES),
                    Does::Nothing => std::future::pending().await,
                }
            }
        })
        .await;
        if let Ok((_, socket)) = &won {
            assert_eq!(remote.get(), Some(*socket));
        }
        (won.map(|(_, socket)| last(socket)).map_err(|error| error.fault), ms(), tried.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_that_answers_wins() {
        use Does::{Answer, Exhaust, Nothing, Refuse};
        let cases: [(&[Does], _, _, &[(u8, u64)]); 10] = [
            (&[Answer(5)], Ok(1), 5, &[(1, 0)]),
            (&[Answer(5), Answer(1)], Ok(1), 5, &[(1, 0)]),
            (&[Nothing, Answer(5)], Ok(2), 255, &[(1, 0), (2, 250)]),
            (&[Nothing, Nothing, Answer(5)], Ok(3), 505, &[(1, 0), (2, 250), (3, 500)]),
            // A refusal starts the next at once.
            (&[Refuse(10), Answer(5)], Ok(2), 15, &[(1, 0), (2, 10)]),
            // One that was slow may still win.
            (&[Answer(260), Answer(100)], Ok(1), 260, &[(1, 0), (2, 250)]),
            (&[Refuse(260), Answer(100), Nothing], Ok(2), 350, &[(1, 0), (2, 250), (3, 260)]),
            (&[Refuse(1), Refuse(2)], Err(Fault::DIAL_REFUSED), 3, &[(1, 0), (2, 1)]),
            (&[Exhaust, Answer(1)], Err(Fault::TOO_MANY_OPEN_FILES), 0, &[(1, 0)]),
            (&[], Err(Fault::DIAL), 0, &[]),
        ];
        for (at, (does, won, after, tried)) in cases.into_iter().enumerate() {
            let (found, took, when) = run(does).await;
            assert_eq!((found, when.as_slice()), (won, tried), "case {at}");
            // The timer counts whole milliseconds, and rounds up.
            assert!((after..=after + 2).contains(&took), "case {at}: {took}");
        }
    }

    #[tokio::test]
    async fn the_next_address_is_tried_when_one_refuses() {
        let open = tokio::net::TcpListener::bind("127.0.0.2:0").await.unwrap();
        let port = open.local_addr().unwrap().port();
        let remote = Cell::new(None);
        let addresses = ["127.0.0.3", "127.0.0.2"].map(|text| text.parse().unwrap());
        let connect = |socket| async move {
            let detail = |error: std::io::Error| error.to_string();
            let connected = tokio::net::TcpStream::connect(socket).await;
            connected.map_err(|error| NetError { fault: Fault::DIAL_REFUSED, detail: detail(error) })
        };
        let (_, socket) = race(&addresses, &remote, port, connect).await.unwrap();
        assert_eq!(socket, open.local_addr().unwrap());
        assert_eq!(race(&addresses[..1], &remote, port, connect).await.unwrap_err().fault, Fault::DIAL_REFUSED);
    }
}
