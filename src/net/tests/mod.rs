//! Tests of the client against servers that write raw bytes, misbehave as told, and record what arrived.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::http::Method;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::Exchange;
use super::http::{Client, Network, Request};
use super::tls::TlsRoots;
use crate::plan::{HttpOptions, HttpVersion};

mod auth;
mod clients;
mod connections;
mod failures;
mod hostile;
mod hostile_ends;
mod http2;
mod http2_hostile;
mod redirects;
mod requests;
mod secure;
mod secure_options;
mod streams;
mod uploads;

/// What the server does with one request.
enum Reply {
    /// Writes this and waits for the next request.
    Keep(String),
    /// Writes this and closes.
    Close(String),
    /// Writes this and resets the connection.
    Reset(String),
    /// Writes this and then nothing, with the connection open.
    Stall(String),
}

/// A response with a length.
fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn redirect(status: u16, to: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

/// A request that arrived.
#[derive(Clone, Debug)]
struct Arrived {
    /// Which connection it came over, from 0.
    connection: usize,
    /// Head and body.
    text: String,
}

impl Arrived {
    fn line(&self) -> &str {
        self.text.split("\r\n").next().unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next()?;
        head.split("\r\n").find_map(|line| line.split_once(": ").filter(|(n, _)| *n == name)).map(|(_, value)| value)
    }

    fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

#[derive(Default)]
struct Log {
    arrived: Mutex<Vec<Arrived>>,
    /// Notified when the server has closed a connection.
    closed: Notify,
}

/// A server on a free loopback port. It answers each connection's requests, and ends with its test's runtime.
struct Server {
    address: SocketAddr,
    log: Arc<Log>,
}

type Answer = dyn Fn(&Arrived) -> Reply + Send + Sync;

impl Server {
    async fn start(answer: impl Fn(&Arrived) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(None, answer).await
    }

    async fn start_tls(
        certificate: (CertificateDer<'static>, PrivateKeyDer<'static>),
        answer: impl Fn(&Arrived) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let mut config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.0], certificate.1)
                .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self::start_with(Some(tokio_rustls::TlsAcceptor::from(Arc::new(config))), answer).await
    }

    async fn start_with(
        tls: Option<tokio_rustls::TlsAcceptor>,
        answer: impl Fn(&Arrived) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Log::default());
        let (server_log, answer): (_, Arc<Answer>) = (log.clone(), Arc::new(answer));
        tokio::spawn(async move {
            for connection in 0.. {
                let (tcp, _) = listener.accept().await.unwrap();
                // A small write must not wait for the acknowledgement of the one before.
                tcp.set_nodelay(true).unwrap();
                let (log, answer, tls) = (server_log.clone(), answer.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(connection, tcp, &log, &*answer).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(tcp).await {
                                assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
                                serve(connection, stream, &log, &*answer).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, log }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn https(&self, host: &str) -> String {
        format!("https://{host}:{}/", self.address.port())
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.log.arrived.lock().unwrap().clone()
    }

    fn lines(&self) -> Vec<String> {
        self.arrived().iter().map(|arrived| arrived.line().to_owned()).collect()
    }

    /// Which connection each request came over.
    fn connections(&self) -> Vec<usize> {
        self.arrived().iter().map(|arrived| arrived.connection).collect()
    }

    async fn closed_one(&self) {
        self.log.closed.notified().await;
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {
    /// Makes the close a reset.
    fn reset(&self);
}

impl Stream for TcpStream {
    fn reset(&self) {
        self.set_zero_linger().unwrap();
    }
}

impl Stream for tokio_rustls::server::TlsStream<TcpStream> {
    fn reset(&self) {
        self.get_ref().0.reset();
    }
}

async fn serve(connection: usize, mut stream: impl Stream, log: &Log, answer: &Answer) {
    while let Some(text) = read_request(&mut stream).await {
        let arrived = Arrived { connection, text };
        log.arrived.lock().unwrap().push(arrived.clone());
        let (text, after) = match answer(&arrived) {
            Reply::Keep(text) => (text, None),
            Reply::Close(text) => (text, Some("close")),
            Reply::Reset(text) => (text, Some("reset")),
            Reply::Stall(text) => (text, Some("stall")),
        };
        if stream.write_all(text.as_bytes()).await.and(stream.flush().await).is_err() {
            return;
        }
        match after {
            None => {}
            Some("stall") => std::future::pending().await,
            Some(how) => {
                if how == "reset" {
                    // What was written before has to be read first: a reset takes unread bytes with it.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    stream.reset();
                } else {
                    let _ = stream.shutdown().await;
                }
                drop(stream);
                log.closed.notify_one();
                return;
            }
        }
    }
}

/// A request with its body, as long as its length says; none at the end.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("\r\n").find_map(|line| line.strip_prefix("Content-Length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text.into_owned());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn options() -> HttpOptions {
    HttpOptions {
        timeout: Duration::from_secs(60),
        max_redirects: 10,
        user_agent: "loadr/test".into(),
        http_version: HttpVersion::Http1,
        max_body: 1_000_000,
        ..HttpOptions::default()
    }
}

fn client() -> Client {
    client_with(|_| {})
}

fn client_with(change: impl FnOnce(&mut HttpOptions)) -> Client {
    client_trusting(TlsRoots::only([]), change)
}

fn client_trusting(roots: Arc<TlsRoots>, change: impl FnOnce(&mut HttpOptions)) -> Client {
    let mut options = options();
    change(&mut options);
    Client::new(Network::new(&options, roots))
}

fn request(client: &Client, method: Method, url: &str) -> Box<Request> {
    Request::new(method, client.network().target(url).unwrap())
}

async fn send(client: &Client, request: Box<Request>) -> Vec<Exchange> {
    client.send(request).await.into_iter().map(|exchange| *exchange).collect()
}

/// A request that has 30 ms, made while another one to the same server is under way that is never answered.
async fn behind_one_without_an_answer(client: &Client, server: &Server) -> Exchange {
    let mut second = request(client, Method::GET, &server.url("/2"));
    second.timeout = Some(Duration::from_millis(30));
    let first = client.send(request(client, Method::GET, &server.url("/1")));
    tokio::select! {
        biased;
        _ = first => unreachable!("the server never answers"),
        mut failed = client.send(second) => *failed.remove(0),
    }
}

/// The one exchange of a GET.
async fn get(client: &Client, url: &str) -> Exchange {
    let mut exchanges = send(client, request(client, Method::GET, url)).await;
    assert_eq!(exchanges.len(), 1);
    exchanges.remove(0)
}

/// The one exchange of a GET, which must succeed.
async fn get_ok(client: &Client, url: &str) -> Exchange {
    let exchange = get(client, url).await;
    assert_eq!(exchange.error, None);
    exchange
}

/// A port on which nothing listens.
async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// A shared counter for answers that differ from request to request.
fn counter() -> impl Fn() -> usize + Send + Sync {
    let count = std::sync::atomic::AtomicUsize::new(0);
    move || count.fetch_add(1, std::sync::atomic::Ordering::SeqCst)
}

fn rc<T>(value: T) -> Rc<T> {
    Rc::new(value)
}
