//! A small HTTP server on a thread of its own, for what is asked of a run from outside: few clients, one request each.
//!
//! Connections are bounded in number, requests in size and time. What is answered is the business of a [`Service`]; whether
//! an address may be reached from other machines, and what a token is worth, is decided by those who start it, with the
//! functions here.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

/// How long a request may take to arrive, and an ordinary answer to be taken.
pub const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// The most bytes of a request.
pub const REQUEST_MOST: usize = 16 * 1024;
/// The most headers of a request.
const HEADERS_MOST: usize = 64;

/// What answers a connection.
pub trait Service: Send + Sync + 'static {
    /// Speaks with a client. What goes wrong is the client's loss.
    fn converse(self: Arc<Self>, stream: TcpStream) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a server is made of, besides its service.
#[derive(Clone, Debug)]
pub struct ServerSpec {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// The name of its thread.
    pub name: &'static str,
    /// Connections at one time; more wait in the system's queue.
    pub connections: u32,
    /// How long connections may go on when the server is dropped.
    pub linger: Duration,
}

impl Server {
    /// Starts it.
    ///
    /// # Errors
    /// When the address can't be had.
    pub fn start(spec: &ServerSpec, service: Arc<impl Service>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(spec.address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let (connections, linger) = (spec.connections, spec.linger);
        let places = Arc::new(Semaphore::new(connections as usize));
        let work = move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = serve(&listener, &service, &places) => {}
                    _ = stopped => {}
                }
                drop(listener);
                let _ = tokio::time::timeout(linger, places.acquire_many(connections)).await;
            });
        };
        let thread = std::thread::Builder::new().name(spec.name.into()).spawn(work)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Its base URL, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: &TcpListener, service: &Arc<impl Service>, places: &Arc<Semaphore>) {
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let conversation = service.clone().converse(stream);
                tokio::spawn(async move {
                    // A client that goes away is its own loss.
                    let _ = conversation.await;
                    drop(place);
                });
            }
            // Out of files, most likely: they come back when VUs close connections.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Whether an address is reached from this machine alone.
#[must_use]
pub fn is_local(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Whether a token can be sent in a header, and is long enough.
#[must_use]
pub fn is_fit_token(token: &str) -> bool {
    (8..=256).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A token that nobody can guess.
#[must_use]
pub fn random_token() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Compares in a time that does not tell how much of it is right.
#[must_use]
pub fn same(given: &[u8], token: &[u8]) -> bool {
    let differences = given.iter().zip(token).fold(0u8, |differences, (a, b)| differences | (a ^ b));
    std::hint::black_box(differences) == 0 && given.len() == token.len()
}

/// A request as far as it matters here.
#[derive(Debug)]
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path, with the query.
    pub path: &'a str,
    /// The token of `Authorization: Bearer TOKEN`.
    pub token: Option<&'a [u8]>,
    /// The host that it was sent to.
    pub host: Option<&'a [u8]>,
    /// All cookies, as they were sent.
    pub cookies: Option<&'a [u8]>,
    /// Its body.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// None while it is incomplete.
    ///
    /// # Errors
    /// What is wrong with it, for the client.
    pub fn parse(bytes: &'a [u8]) -> Result<Option<Self>, &'static str> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MOST];
        let mut request = httparse::Request::new(&mut headers);
        let head = match request.parse(bytes) {
            Ok(httparse::Status::Complete(head)) => head,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err("this is not an HTTP request"),
        };
        let header = |name: &str| request.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value);
        if header("transfer-encoding").is_some() {
            return Err("send the body with its `Content-Length`");
        }
        let length = match header("content-length") {
            None => 0,
            Some(text) => {
                let length = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse::<usize>().ok());
                length.ok_or("the `Content-Length` is not a number")?
            }
        };
        if length > REQUEST_MOST {
            return Err("the body is too long");
        }
        let Some(body) = bytes.get(head..head + length) else { return Ok(None) };
        let token = header("authorization").and_then(|value| {
            let (scheme, token) = value.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
        });
        let (host, cookies) = (header("host"), header("cookie"));
        let (Some(method), Some(path)) = (request.method, request.path) else { return Ok(None) };
        Ok(Some(Self { method, path, token, host, cookies, body }))
    }
}

/// Why a request can't be answered as it wished: status and reason.
pub type Refusal = (u16, &'static str);

/// Reads until a request is whole, and lets it be answered by `answer`; none when the client went away.
///
/// # Errors
/// When the connection breaks, or the request takes too long.
pub async fn receive<A>(
    stream: &mut TcpStream,
    answer: impl Fn(Result<&Request<'_>, Refusal>) -> A,
) -> io::Result<Option<A>> {
    let read = async {
        let mut bytes = Vec::new();
        loop {
            match Request::parse(&bytes) {
                Ok(Some(request)) => return Ok(Some(answer(Ok(&request)))),
                Ok(None) if bytes.len() > REQUEST_MOST => {
                    return Ok(Some(answer(Err((413, "the request is too long")))));
                }
                Ok(None) => {}
                Err(problem) => return Ok(Some(answer(Err((400, problem))))),
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Ok(None);
            }
        }
    };
    tokio::time::timeout(CONNECTION_TIME, read).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Sends the last bytes of a connection, and ends it.
///
/// # Errors
/// When the client does not take them in time.
pub async fn finish(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let send = async {
        stream.write_all(bytes).await?;
        stream.shutdown().await?;
        // What the client still sends is read away: closing with it unread would reset the connection under the answer.
        let mut rest = [0u8; 1024];
        while stream.read(&mut rest).await? > 0 {}
        Ok(())
    };
    tokio::time::timeout(CONNECTION_TIME, send).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// `200 OK`.
#[must_use]
pub fn status_line(status: u16) -> String {
    let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    format!("HTTP/1.1 {status} {}\r\n", reason.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_right() {
        for (given, right) in [("secret-token", true), ("secret-tokem", false), ("secret", false), ("", false)] {
            assert_eq!(same(given.as_bytes(), b"secret-token"), right, "{given}");
        }
    }

    #[test]
    fn requests_are_taken_when_they_are_whole() {
        let text = "POST /v1/pause HTTP/1.1\r\nHost: a:1\r\nAuthorization: bearer  abc \r\nContent-Length: 2\r\n\r\n{}";
        for end in 0..text.len() {
            assert!(matches!(Request::parse(&text.as_bytes()[..end]), Ok(None)), "{end}");
        }
        let request = Request::parse(text.as_bytes()).expect("it is one").expect("it is whole");
        assert_eq!(
            (request.method, request.path, request.token, request.host, request.body),
            ("POST", "/v1/pause", Some(&b"abc"[..]), Some(&b"a:1"[..]), &b"{}"[..])
        );
        for bad in [
            "hello\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert!(Request::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fuzz_no_request_breaks_control(lines in "(GET|POST) /[a-z0-9/?=]{0,9} HTTP/1.1\r\n((Host|Authorization|Content-Length|Cookie|[a-z]{0,4}): ?(Bearer ?|[0-9]{0,25}|[ -~]{0,9}|\\PC)\r\n){0,5}(\r\n)?\\PC{0,9}", bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Request::parse(&bytes);
            if let Ok(Some(request)) = Request::parse(lines.as_bytes()) {
                prop_assert!(request.body.len() <= lines.len());
                // It is whole at its end alone.
                let rest = lines.split_once("\r\n\r\n").map_or(0, |(head, _)| head.len() + 4 + request.body.len());
                prop_assert!(matches!(Request::parse(&lines.as_bytes()[..rest - 1]), Ok(None)));
            }
        }
    }
}
