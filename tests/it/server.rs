//! A server that records what arrives on the wire and answers as told: whole responses, halves of them, resets.
//!
//! One thread a connection. Whoever answers is a function of the request; what it gives is written to the socket byte by
//! byte as it is, so that broken responses can be sent as well.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its place among all requests, from 0.
    pub number: usize,
    /// Request line and headers, without the empty line.
    pub head: String,
    /// The body as it came; chunks are put together.
    pub body: Vec<u8>,
    /// How many bytes it took on the wire.
    pub wire_bytes: usize,
}

impl Request {
    /// `GET`, `POST`.
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// The path and the query.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The headers in the order in which they came, names as they were spelled.
    pub fn headers(&self) -> Vec<(&str, &str)> {
        self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(": ")).collect()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What is done with a request.
pub enum Reply {
    /// Send this and wait for the next request.
    Keep(Vec<u8>),
    /// Send this and close the connection.
    Close(Vec<u8>),
    /// Send this and reset the connection.
    Reset(Vec<u8>),
    /// Send this and then nothing, until the client goes away.
    Stall(Vec<u8>),
}

impl Reply {
    /// 200 with a text.
    pub fn ok(body: &str) -> Self {
        Self::with("200 OK", &[], body)
    }

    /// A whole response.
    pub fn with(status: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = format!("HTTP/1.1 {status}\r\n").into_bytes();
        for (name, value) in headers {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
        bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
        bytes.extend(body);
        Self::Keep(bytes)
    }

    /// A redirect.
    pub fn redirect(status: &str, location: &str) -> Self {
        Self::with(status, &[("Location", location)], "")
    }
}

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

struct State {
    answer: Box<Answer>,
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    received: AtomicU64,
    sent: AtomicU64,
    stopped: AtomicBool,
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// The server; it stops when it is dropped.
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

impl Server {
    /// Answers every request with what the function gives.
    pub fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(Box::new(answer), None)
    }

    /// Answers every request with 200 and a text.
    pub fn ok(body: &'static str) -> Self {
        Self::start(move |_| Reply::ok(body))
    }

    /// The same over TLS, with this certificate.
    pub fn tls(certificate: Certificate, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.0], certificate.1)
            .expect("a certificate");
        Self::tls_with(config, answer)
    }

    /// The same, configured in another way.
    pub fn tls_with(config: rustls::ServerConfig, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(Box::new(answer), Some(Arc::new(config)))
    }

    fn start_with(answer: Box<Answer>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(State {
            answer,
            requests: Mutex::default(),
            connections: AtomicUsize::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            tls,
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                shared.connections.fetch_add(1, Ordering::Relaxed);
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(stream));
            }
        });
        Self { address, state }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `https://localhost:PORT`.
    pub fn https(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// All requests that arrived, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests().clone()
    }

    /// `GET /a`, `POST /b`: all requests in order.
    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(|request| format!("{} {}", request.method(), request.target())).collect()
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Bytes that were read off the sockets.
    pub fn received(&self) -> u64 {
        self.state.received.load(Ordering::Relaxed)
    }

    /// Bytes that were written to the sockets.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener, which then ends. Its being gone already is fine.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn requests(&self) -> MutexGuard<'_, Vec<Request>> {
        self.requests.lock().expect("no answer panics")
    }

    fn serve(&self, stream: TcpStream) {
        // A test that fails must not leave threads that wait for ever.
        let _ = stream.set_read_timeout(Some(Duration::from_secs(120)));
        let Ok(raw) = stream.try_clone() else { return };
        match &self.tls {
            None => self.converse(stream, &raw),
            Some(config) => {
                let Ok(tls) = rustls::ServerConnection::new(Arc::clone(config)) else { return };
                self.converse(rustls::StreamOwned::new(tls, stream), &raw);
            }
        }
    }

    fn converse(&self, mut stream: impl Read + Write, raw: &TcpStream) {
        let mut buffer = Vec::new();
        while let Some((head, body, wire_bytes)) = self.read_request(&mut stream, &mut buffer) {
            let request = {
                let mut requests = self.requests();
                let number = requests.len();
                requests.push(Request { number, head, body, wire_bytes });
                requests[number].clone()
            };
            let reply = (self.answer)(&request);
            let (Reply::Keep(bytes) | Reply::Close(bytes) | Reply::Reset(bytes) | Reply::Stall(bytes)) = &reply;
            if stream.write_all(bytes).and_then(|()| stream.flush()).is_err() {
                return;
            }
            self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            match reply {
                Reply::Keep(_) => {}
                Reply::Close(_) => {
                    let _ = raw.shutdown(Shutdown::Both);
                    return;
                }
                Reply::Reset(_) => {
                    // What was sent has to arrive before the reset, which throws away what is on the way.
                    thread::sleep(Duration::from_millis(20));
                    socket2::SockRef::from(raw).set_linger(Some(Duration::ZERO)).expect("linger");
                    return;
                }
                Reply::Stall(_) => while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {},
            }
        }
    }

    fn read_more(&self, stream: &mut impl Read, buffer: &mut Vec<u8>) -> Option<()> {
        let mut piece = [0; 64 * 1024];
        match stream.read(&mut piece) {
            Ok(read) if read > 0 => {
                self.received.fetch_add(read as u64, Ordering::Relaxed);
                buffer.extend(&piece[..read]);
                Some(())
            }
            _ => None,
        }
    }

    /// Head, body and length of the next request; none when the client is gone.
    fn read_request(&self, stream: &mut impl Read, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>, usize)> {
        let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
        let head_end = loop {
            match find(buffer, b"\r\n\r\n") {
                Some(at) => break at,
                None => self.read_more(stream, buffer)?,
            }
        };
        let head = String::from_utf8(buffer[..head_end].to_vec()).expect("heads are ASCII");
        let lower = head.to_ascii_lowercase();
        let start = head_end + 4;
        if lower.contains("\r\ntransfer-encoding: chunked") {
            let (mut body, mut at) = (Vec::new(), start);
            loop {
                let line_end = loop {
                    match find(&buffer[at..], b"\r\n") {
                        Some(found) => break at + found,
                        None => self.read_more(stream, buffer)?,
                    }
                };
                let size = std::str::from_utf8(&buffer[at..line_end]).expect("a size");
                let size = usize::from_str_radix(size.trim(), 16).expect("a size");
                let end = line_end + 2 + size + 2;
                while buffer.len() < end {
                    self.read_more(stream, buffer)?;
                }
                body.extend(&buffer[line_end + 2..end - 2]);
                at = end;
                if size == 0 {
                    buffer.drain(..at);
                    return Some((head, body, at));
                }
            }
        }
        let length = lower.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
        let end = start + length.map_or(0, |length| length.parse::<usize>().expect("a length"));
        while buffer.len() < end {
            self.read_more(stream, buffer)?;
        }
        let body = buffer[start..end].to_vec();
        buffer.drain(..end);
        Some((head, body, end))
    }
}

/// A certificate with its key.
pub type Certificate = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// A certificate that vouches for itself, for this name.
pub fn self_signed(name: &str) -> Certificate {
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
}

/// A port on which nothing listens.
pub fn closed_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("an address").port()
}
