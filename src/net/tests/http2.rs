//! HTTP/2: against the server side of `h2`, which records what arrived.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use ::h2::server::{self, SendResponse};
use ::http::header::{CONTENT_LENGTH, HOST};
use ::http::{HeaderMap, Response};
use bytes::Bytes;
use tokio::task::LocalSet;

use super::super::cookies::RequestCookie;
use super::secure::certificate;
use super::*;
use crate::fault::Fault;
use crate::net::body::Body;

/// A request that arrived.
#[derive(Clone, Debug)]
pub(super) struct Got {
    method: Method,
    pub(super) uri: String,
    headers: HeaderMap,
    body: String,
}

/// A server that answers each request with what it is told to.
pub(super) struct H2 {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    connections: Arc<AtomicUsize>,
}

/// Settings of the server.
pub(super) fn builder() -> server::Builder {
    server::Builder::new()
}

pub(super) type Respond = SendResponse<Bytes>;

impl H2 {
    pub(super) async fn start<F>(
        builder: server::Builder,
        answer: impl Fn(Got, Respond) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (got, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (log, count, answer) = (got.clone(), connections.clone(), Arc::new(answer));
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (log, answer) = (log.clone(), answer.clone());
                let builder = builder.clone();
                tokio::spawn(async move {
                    let Ok(mut accepting) = builder.handshake(tcp).await else { return };
                    while let Some(Ok((request, respond))) = accepting.accept().await {
                        let (log, answer) = (log.clone(), answer.clone());
                        tokio::spawn(async move {
                            let (head, mut stream) = request.into_parts();
                            let mut body = Vec::new();
                            while let Some(Ok(data)) = stream.data().await {
                                let _ = stream.flow_control().release_capacity(data.len());
                                body.extend_from_slice(&data);
                            }
                            let got = Got {
                                method: head.method,
                                uri: head.uri.to_string(),
                                headers: head.headers,
                                body: String::from_utf8(body).unwrap(),
                            };
                            log.lock().unwrap().push(got.clone());
                            answer(got, respond).await;
                        });
                    }
                });
            }
        });
        Self { address, got, connections }
    }

    /// One that answers at once, with the path.
    async fn plain() -> Self {
        Self::start(builder(), |got, respond| async move { reply(respond, &[], got.uri) }).await
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub(super) fn head(headers: &[(&str, &str)]) -> Response<()> {
    let mut head = Response::new(());
    for (name, value) in headers {
        head.headers_mut().append(::http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    head
}

fn reply(mut respond: Respond, headers: &[(&str, &str)], body: impl Into<Bytes>) {
    if let Ok(mut stream) = respond.send_response(head(headers), false) {
        let _ = stream.send_data(body.into(), true);
    }
}

pub(super) fn h2_client(change: impl FnOnce(&mut HttpOptions)) -> Client {
    client_with(|options| {
        options.http_version = HttpVersion::H2c;
        change(options);
    })
}

/// Connections are driven by tasks of a worker.
pub(super) async fn worker<T>(work: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(work).await
}

#[tokio::test]
async fn requests_share_a_connection_and_are_measured() {
    worker(async {
        let server = H2::plain().await;
        let client = h2_client(|_| {});
        let first = get_ok(&client, &server.url("/a?b=c")).await;
        assert_eq!((first.status, first.protocol, first.reused), (200, Some("HTTP/2.0"), false));
        assert_eq!(&*first.body, server.url("/a?b=c").as_bytes());
        assert_eq!(first.remote, Some(server.address));
        assert!(first.timings.connecting.is_some());
        assert!(first.timings.waiting > Duration::ZERO);
        assert!(first.timings.blocked >= first.timings.connecting.unwrap());
        let second = get_ok(&client, &server.url("/2")).await;
        assert!(second.reused);
        assert_eq!((second.timings.connecting, second.timings.blocked), (None, Duration::ZERO));
        assert!(second.bytes_sent > 9 && second.bytes_sent < first.bytes_sent, "{second:?}");
        assert!(second.bytes_received > second.body.len() as u64);
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_request_is_what_http2_wants() {
    worker(async {
        let server = H2::plain().await;
        let client = h2_client(|_| {});
        let mut asked = request(&client, Method::POST, &server.url("/form"));
        asked.body = Body::from("a=b".to_owned());
        for (name, value) in [("connection", "keep-alive"), ("te", "gzip"), ("x-own", "1"), ("host", "shop.test")] {
            asked.headers.insert(name, value.parse().unwrap());
        }
        asked.cookies.push(RequestCookie::new("id", "7"));
        assert_eq!(send(&client, asked).await[0].error, None);
        let got = server.got().remove(0);
        assert_eq!((got.method, &*got.body, &*got.uri), (Method::POST, "a=b", "http://shop.test/form"));
        assert_eq!(
            (&got.headers["x-own"], &got.headers["cookie"], &got.headers["content-length"]),
            (&"1".parse().unwrap(), &"id=7".parse().unwrap(), &"3".parse().unwrap())
        );
        for name in ["connection", "te", "host"] {
            assert!(!got.headers.contains_key(name), "{name}");
        }
        assert_eq!(got.headers["user-agent"], "loadr/test");
        assert!(!got.headers.contains_key(HOST));
    })
    .await;
}

#[tokio::test]
async fn many_at_once_use_one_connection() {
    worker(async {
        let server = H2::start(builder(), |got, respond| async move {
            // Each is answered only when all have come: they are under way at once.
            let wanted = got.uri.ends_with("last");
            tokio::time::sleep(Duration::from_millis(if wanted { 1 } else { 20 })).await;
            reply(respond, &[], got.uri);
        })
        .await;
        let client = h2_client(|_| {});
        let urls = ["/1", "/2", "/3", "/4", "/5", "/last"].map(|path| server.url(path));
        let all = futures_util::future::join_all(urls.iter().map(|url| get_ok(&client, url))).await;
        for (exchange, url) in all.iter().zip(&urls) {
            assert_eq!(&*exchange.body, url.as_bytes());
        }
        assert_eq!(server.connections(), 1);
        assert_eq!(all.iter().filter(|exchange| exchange.reused).count(), 5);
    })
    .await;
}

#[tokio::test]
async fn the_server_bounds_how_many_are_under_way() {
    worker(async {
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (n, m) = (now.clone(), most.clone());
        let mut settings = builder();
        settings.max_concurrent_streams(2);
        let server = H2::start(settings, move |got, respond| {
            let (now, most) = (n.clone(), m.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                reply(respond, &[], got.uri);
            }
        })
        .await;
        let client = h2_client(|_| {});
        get_ok(&client, &server.url("/settings")).await;
        let url = server.url("/");
        let all = futures_util::future::join_all((0..6).map(|_| get_ok(&client, &url))).await;
        assert!(most.load(Ordering::SeqCst) <= 2);
        assert!(all.iter().any(|exchange| exchange.timings.blocked >= Duration::from_millis(5)), "the wait is told");
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    worker(async {
        let server = H2::start(builder(), |got, respond| async move { reply(respond, &[], got.body) }).await;
        let client = h2_client(|options| options.max_body = 100 << 20);
        let text = "0123456789".repeat(600_000);
        let mut asked = request(&client, Method::PUT, &server.url("/"));
        asked.body = Body::from(text.clone());
        let exchange = send(&client, asked).await.remove(0);
        assert_eq!(exchange.error, None);
        assert!(*exchange.body == *text.as_bytes());
        assert!(exchange.bytes_sent > 6_000_000 && exchange.bytes_received > 6_000_000);

        let strict = h2_client(|options| options.max_body = 1_000);
        let mut asked = request(&strict, Method::PUT, &server.url("/"));
        asked.body = Body::from("x".repeat(1_001));
        let exchange = send(&strict, asked.clone()).await.remove(0);
        assert_eq!((exchange.error.unwrap().fault, exchange.body.len()), (Fault::BODY_TOO_LARGE, 0));
        asked.intake = Some(crate::net::intake::Intake::Discard);
        asked.max_body = None;
        let exchange = send(&strict, asked).await.remove(0);
        assert_eq!((exchange.error, exchange.body.len()), (None, 0));
        assert_eq!(server.connections(), 2, "a body that is too large costs its stream, not the connection");
    })
    .await;
}

#[tokio::test]
async fn cookies_and_redirects_are_as_ever() {
    worker(async {
        let server = H2::start(builder(), |got, mut respond| async move {
            if got.uri.ends_with("/old") {
                let mut moved = head(&[("location", "/new"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]);
                *moved.status_mut() = ::http::StatusCode::FOUND;
                respond.send_response(moved, true).unwrap();
            } else {
                reply(respond, &[], got.headers["cookie"].to_str().unwrap().to_owned());
            }
        })
        .await;
        let client = h2_client(|_| {});
        let exchanges = send(&client, request(&client, Method::GET, &server.url("/old"))).await;
        assert_eq!(exchanges.iter().map(|exchange| exchange.status).collect::<Vec<_>>(), [302, 200]);
        assert_eq!(&*exchanges[1].body, b"a=1; b=2");
        let head = send(&client, request(&client, Method::HEAD, &server.url("/new"))).await;
        assert_eq!((head[0].status, head[0].body.len()), (200, 0));
    })
    .await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_costs_its_stream_alone() {
    worker(async {
        let server = H2::start(builder(), |got, respond| async move {
            if got.uri.ends_with("/slow") {
                std::future::pending::<()>().await;
            }
            reply(respond, &[], got.uri);
        })
        .await;
        let client = h2_client(|options| options.timeout = Duration::from_millis(200));
        let exchange = get(&client, &server.url("/slow")).await;
        let error = exchange.error.unwrap();
        assert_eq!(error.fault, Fault::TIMEOUT);
        assert!(error.detail.ends_with("not over within 200ms, while waiting for the response"), "{}", error.detail);
        assert!(exchange.timings.waiting >= Duration::from_millis(150));
        let client = &client;
        // Cancelled: the stream is reset, the connection is kept.
        let url = server.url("/slow");
        let cancelled = tokio::time::timeout(Duration::from_millis(10), get(client, &url)).await;
        assert!(cancelled.is_err());
        assert!(get_ok(client, &server.url("/quick")).await.reused);
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_version_is_chosen_under_tls() {
    worker(async {
        let trusted = certificate(&["localhost"], |_| {});
        let mut config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![trusted.0.clone()], trusted.1)
                .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let both = Arc::new(config.clone());
        config.alpn_protocols.clear();
        let neither = Arc::new(config);
        let mut ports = Vec::new();
        for config in [both, neither] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            ports.push(listener.local_addr().unwrap().port());
            let acceptor = tokio_rustls::TlsAcceptor::from(config);
            tokio::spawn(async move {
                loop {
                    let acceptor = acceptor.clone();
                    let (tcp, _) = listener.accept().await.unwrap();
                    tokio::spawn(async move {
                        let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                        if tls.get_ref().1.alpn_protocol() == Some(b"h2") {
                            let mut accepting = server::handshake(tls).await.unwrap();
                            while let Some(Ok((_, respond))) = accepting.accept().await {
                                reply(respond, &[], "two");
                            }
                        } else if read_request(&mut tls).await.is_some() {
                            tls.write_all(ok("one").as_bytes()).await.unwrap();
                        }
                    });
                }
            });
        }
        let roots = TlsRoots::only([trusted.0]);
        for (version, port, expected) in [
            (HttpVersion::Auto, ports[0], Ok("two")),
            (HttpVersion::Http1, ports[0], Ok("one")),
            (HttpVersion::Http2, ports[0], Ok("two")),
            (HttpVersion::H2c, ports[0], Ok("two")),
            (HttpVersion::Auto, ports[1], Ok("one")),
            (HttpVersion::Http2, ports[1], Err(Fault::HTTP2)),
        ] {
            let client = client_trusting(roots.clone(), |options| options.http_version = version);
            let exchange = get(&client, &format!("https://localhost:{port}/")).await;
            let found = exchange.error.map_or_else(|| Ok(exchange.body.clone()), |error| Err(error.fault));
            assert_eq!(found, expected.map(|text| Bytes::from_static(text.as_bytes())), "{version:?}");
            assert_eq!(exchange.tls_version, expected.is_ok().then_some("TLS 1.3"));
        }
        // A request may want another version than its client.
        let client = client_trusting(roots, |_| {});
        for (version, expected) in [(Some(HttpVersion::Http2), "two"), (None, "one"), (Some(HttpVersion::Auto), "two")]
        {
            let mut asked = request(&client, Method::GET, &format!("https://localhost:{}/", ports[0]));
            asked.version = version;
            assert_eq!(send(&client, asked).await[0].body, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn connections_are_reused_as_far_as_the_options_say() {
    worker(async {
        let server = H2::plain().await;
        let client = h2_client(|options| options.no_connection_reuse = true);
        for _ in 0..2 {
            assert!(!get_ok(&client, &server.url("/")).await.reused);
        }
        let client = h2_client(|options| options.no_vu_connection_reuse = true);
        for reused in [false, true] {
            assert_eq!(get_ok(&client, &server.url("/")).await.reused, reused);
        }
        client.end_iteration();
        assert!(!get_ok(&client, &server.url("/")).await.reused);
        assert_eq!(server.connections(), 4);
    })
    .await;
}

#[tokio::test]
async fn a_length_that_is_wrong() {
    worker(async {
        let server = H2::start(builder(), |got, respond| async move {
            let length = if got.uri.ends_with("short") { "10" } else { "3" };
            reply(respond, &[(CONTENT_LENGTH.as_str(), length)], "hello");
        })
        .await;
        let client = h2_client(|_| {});
        for (path, fault) in [("/short", Fault::MALFORMED_RESPONSE), ("/long", Fault::MALFORMED_RESPONSE)] {
            let exchange = get(&client, &server.url(path)).await;
            assert_eq!((exchange.status, exchange.error.unwrap().fault), (200, fault));
        }
        assert_eq!(server.connections(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_users_of_a_worker_share_connections_where_they_may() {
    worker(async {
        let server = H2::plain().await;
        let one = h2_client(|options| options.share_connections = true);
        let other = Client::new(one.network().clone());
        assert!(!get_ok(&one, &server.url("/")).await.reused);
        assert!(get_ok(&other, &server.url("/")).await.reused);
        assert_eq!(server.connections(), 1);

        // A bound on connections is none on the requests that share one.
        let server = H2::plain().await;
        let bounded = h2_client(|options| options.connections_per_host = 1);
        let url = server.url("/");
        futures_util::future::join_all((0..5).map(|_| get_ok(&bounded, &url))).await;
        assert_eq!(server.connections(), 1);

        let server = Server::start(|_| Reply::Keep(ok("x"))).await;
        let one = client_with(|options| options.share_connections = true);
        let other = Client::new(one.network().clone());
        for (client, reused) in [(&one, false), (&other, true), (&one, true)] {
            assert_eq!(get_ok(client, &server.url("/")).await.reused, reused);
        }
        assert_eq!(server.connections(), [0, 0, 0]);
    })
    .await;
}
