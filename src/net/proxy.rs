//! What is said to a proxy before it lets bytes through: `CONNECT` of HTTP, or SOCKS 5.
//!
//! A plain `http` URL needs no tunnel of an HTTP proxy: the request itself goes to the proxy, with the whole URL
//! ([`Forwarding`]).

use std::io;
use std::net::SocketAddr;

use ::http::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_socks::TargetAddr;
use tokio_socks::tcp::Socks5Stream;

use super::NetError;
use super::target::{Origin, basic};
use crate::fault::Fault;
use crate::plan::{Proxy, ProxyScheme};

/// The longest head of an answer to `CONNECT`.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The most headers in it.
const HEADERS_MAX: usize = 100;

/// That requests on a connection go to a proxy, which sends them on.
#[derive(Debug)]
pub(super) struct Forwarding {
    /// The login, as `Proxy-Authorization` has it.
    pub(super) authorization: Option<HeaderValue>,
}

impl Forwarding {
    pub(super) fn of(proxy: &Proxy) -> Self {
        Self { authorization: login(proxy) }
    }
}

fn login(proxy: &Proxy) -> Option<HeaderValue> {
    proxy.login.as_ref().map(|(user, password)| basic(user, password))
}

/// Whether a proxy sends requests for the origin on by itself, without a tunnel.
pub(super) fn forwards(proxy: &Proxy, origin: &Origin) -> bool {
    matches!(proxy.scheme, ProxyScheme::Http | ProxyScheme::Https) && !origin.is_secure()
}

fn failed(proxy: &Proxy, origin: &Origin, fault: Fault, why: &str) -> NetError {
    NetError { fault, detail: format!("connect to `{origin}` through the proxy `{proxy}` failed: {why}") }
}

/// Makes a tunnel to the origin. `address` is where it is, for a proxy that is given addresses.
pub(super) async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    proxy: &Proxy,
    origin: &Origin,
    address: Option<SocketAddr>,
    socket: S,
) -> Result<S, NetError> {
    match proxy.scheme {
        ProxyScheme::Http | ProxyScheme::Https => connect(proxy, origin, socket).await,
        ProxyScheme::Socks5 | ProxyScheme::Socks5h => socks(proxy, origin, address, socket).await,
    }
}

async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    proxy: &Proxy,
    origin: &Origin,
    mut socket: S,
) -> Result<S, NetError> {
    let mut request = format!("CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n").into_bytes();
    if let Some(login) = login(proxy) {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(login.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    let broken = |error: io::Error| failed(proxy, origin, Fault::PROXY, &format!("it broke off: {error}"));
    socket.write_all(&request).await.map_err(broken)?;
    let mut head = Vec::with_capacity(512);
    loop {
        match status_of(&head) {
            Ok(None) => {}
            Ok(Some(status)) => {
                let told = |fault, why: &str| Err(failed(proxy, origin, fault, why));
                return match status {
                    200..300 => Ok(socket),
                    // Some say 401, which is a target's to say.
                    401 | 407 if proxy.login.is_none() => {
                        told(Fault::PROXY_AUTH, &format!("it wants a login ({status})"))
                    }
                    401 | 407 => told(Fault::PROXY_AUTH, &format!("it does not accept the login ({status})")),
                    status => told(Fault::PROXY_REFUSED, &format!("it answered {status}")),
                };
            }
            Err(why) => return Err(failed(proxy, origin, Fault::PROXY, why)),
        }
        if socket.read_buf(&mut head).await.map_err(broken)? == 0 {
            return Err(failed(proxy, origin, Fault::PROXY, "it closed the connection"));
        }
    }
}

/// The status of an answer to `CONNECT`; none while its head is not whole.
fn status_of(bytes: &[u8]) -> Result<Option<u16>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => Ok(None),
        Ok(httparse::Status::Partial) => Err("its answer does not end"),
        Ok(httparse::Status::Complete(length)) => {
            let status = response.code.unwrap_or_default();
            if (200..300).contains(&status) && length < bytes.len() {
                // What follows would be the target's, which has not been asked yet.
                return Err("it sent more than an answer");
            }
            Ok(Some(status))
        }
        Err(_) => Err("its answer is not HTTP"),
    }
}

async fn socks<S: AsyncRead + AsyncWrite + Unpin>(
    proxy: &Proxy,
    origin: &Origin,
    address: Option<SocketAddr>,
    socket: S,
) -> Result<S, NetError> {
    let literal = origin.literal().map(|literal| SocketAddr::new(literal, origin.port()));
    let target = match address.or(literal) {
        Some(address) => TargetAddr::Ip(address),
        None => TargetAddr::Domain(origin.host().into(), origin.port()),
    };
    let stream = match &proxy.login {
        None => Socks5Stream::connect_with_socket(socket, target).await,
        Some((user, password)) => Socks5Stream::connect_with_password_and_socket(socket, target, user, password).await,
    };
    stream.map(Socks5Stream::into_inner).map_err(|error| {
        use tokio_socks::Error as Socks;
        let (fault, why) = match &error {
            Socks::ConnectionRefused => (Fault::DIAL_REFUSED, "connection refused".to_owned()),
            Socks::HostUnreachable | Socks::NetworkUnreachable => {
                (Fault::DIAL_UNREACHABLE, "host or network unreachable".to_owned())
            }
            Socks::TtlExpired => (Fault::DIAL_TIMEOUT, "no answer".to_owned()),
            Socks::NoAcceptableAuthMethods if proxy.login.is_none() => {
                (Fault::PROXY_AUTH, "it wants a login".to_owned())
            }
            Socks::NoAcceptableAuthMethods | Socks::PasswordAuthFailure(_) | Socks::AuthorizationRequired => {
                (Fault::PROXY_AUTH, "it does not accept the login".to_owned())
            }
            Socks::ConnectionNotAllowedByRuleset => (Fault::PROXY_REFUSED, "its rules do not allow it".to_owned()),
            Socks::GeneralSocksServerFailure => (Fault::PROXY_REFUSED, "it could not".to_owned()),
            Socks::AddressTypeNotSupported | Socks::CommandNotSupported => (Fault::PROXY_REFUSED, error.to_string()),
            Socks::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                (Fault::PROXY, "it closed the connection".to_owned())
            }
            Socks::Io(error) => (Fault::PROXY, format!("it broke off: {error}")),
            _ => (Fault::PROXY, format!("its answer is not SOCKS 5: {error}")),
        };
        failed(proxy, origin, fault, &why)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::DuplexStream;

    use super::super::target::Targets;
    use super::*;

    /// What a tunnel through a proxy that answers so comes to, and what the proxy was told.
    async fn told(proxy: &str, answers: &[&[u8]]) -> (Result<DuplexStream, NetError>, Vec<u8>) {
        let proxy = Proxy::parse(proxy).unwrap();
        let target = Targets::new("").get("https://shop.test/").unwrap();
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let answer = async {
            let mut asked = Vec::with_capacity(4096);
            for answer in answers {
                theirs.read_buf(&mut asked).await.unwrap();
                theirs.write_all(answer).await.unwrap();
            }
            theirs.shutdown().await.unwrap();
            asked
        };
        tokio::join!(tunnel(&proxy, target.origin(), None, ours), answer)
    }

    #[tokio::test]
    async fn a_tunnel_is_asked_for_with_the_login() {
        let (tunnel, asked) = told("http://u:p@proxy.test", &[b"HTTP/1.1 200 Connection established\r\n\r\n"]).await;
        assert!(tunnel.is_ok());
        let expected =
            "CONNECT shop.test:443 HTTP/1.1\r\nHost: shop.test:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n";
        assert_eq!(String::from_utf8(asked).unwrap(), expected);

        let (tunnel, asked) = told("socks5h://proxy.test", &[b"\x05\x00", b"\x05\x00\x00\x01\0\0\0\0\0\0"]).await;
        assert!(tunnel.is_ok());
        assert_eq!(asked, b"\x05\x01\x00\x05\x01\x00\x03\x09shop.test\x01\xbb");
    }

    #[tokio::test]
    async fn refusals_become_classes() {
        let cases: &[(&str, &[&[u8]], Fault, &str)] = &[
            ("http://proxy.test", &[b"HTTP/1.1 407 No\r\n\r\n"], Fault::PROXY_AUTH, "it wants a login (407)"),
            (
                "http://u:secret@proxy.test",
                &[b"HTTP/1.1 407 No\r\n\r\n"],
                Fault::PROXY_AUTH,
                "it does not accept the login (407)",
            ),
            (
                "http://proxy.test",
                &[b"HTTP/1.1 502 Bad\r\nX: y\r\n\r\n<html>"],
                Fault::PROXY_REFUSED,
                "it answered 502",
            ),
            ("http://proxy.test", &[b"SSH-2.0\r\n"], Fault::PROXY, "its answer is not HTTP"),
            ("http://proxy.test", &[b"HTTP/1.1 200"], Fault::PROXY, "it closed the connection"),
            ("http://proxy.test", &[b"HTTP/1.1 200 OK\r\n\r\nmore"], Fault::PROXY, "it sent more than an answer"),
            ("socks5h://proxy.test", &[b"\x05\xff"], Fault::PROXY_AUTH, "it wants a login"),
            (
                "socks5h://u:secret@proxy.test",
                &[b"\x05\x02", b"\x01\x01"],
                Fault::PROXY_AUTH,
                "it does not accept the login",
            ),
            (
                "socks5h://proxy.test",
                &[b"\x05\x00", b"\x05\x05\x00\x01\0\0\0\0\0\0"],
                Fault::DIAL_REFUSED,
                "connection refused",
            ),
            (
                "socks5h://proxy.test",
                &[b"\x05\x00", b"\x05\x02\x00\x01\0\0\0\0\0\0"],
                Fault::PROXY_REFUSED,
                "its rules do not allow it",
            ),
            (
                "socks5h://proxy.test",
                &[b"HTTP/1.1 400"],
                Fault::PROXY,
                "its answer is not SOCKS 5: Invalid response version",
            ),
            ("socks5h://proxy.test", &[b"\x05"], Fault::PROXY, "it closed the connection"),
        ];
        for (proxy, answers, fault, why) in cases {
            let error = told(proxy, answers).await.0.unwrap_err();
            let name = Proxy::parse(proxy).unwrap();
            assert_eq!(error.detail, format!("connect to `shop.test:443` through the proxy `{name}` failed: {why}"));
            assert_eq!(error.fault, *fault, "{why}");
        }
    }

    proptest! {
        #[test]
        fn fuzz_no_answer_breaks_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..40usize) {
            let _ = status_of(&bytes);
            let mut answer = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n".to_vec();
            answer.splice(at.min(answer.len())..at.min(answer.len()), bytes.iter().copied().take(3));
            let _ = status_of(&answer);
        }

        #[test]
        fn fuzz_a_head_is_whole_at_its_end_alone(status in 100..600u16, name in "[A-Za-z]{1,9}", value in "[a-z ]{0,9}") {
            let answer = format!("HTTP/1.1 {status} x\r\n{name}: {value}\r\n\r\n");
            for length in 0..answer.len() {
                prop_assert_eq!(status_of(&answer.as_bytes()[..length]), Ok(None));
            }
            prop_assert_eq!(status_of(answer.as_bytes()), Ok(Some(status)));
        }
    }
}
