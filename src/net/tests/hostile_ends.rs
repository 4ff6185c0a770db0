//! Servers and proxies that hurt by how they end: resets and half-closed sockets at each phase, answers before the
//! request is whole or to nobody, handshakes that stall, flood or are none.

use std::time::Instant;

use futures_util::future::join_all;

use super::hostile::serve_raw;
use super::secure::certificate;
use super::*;
use crate::fault::Fault;
use crate::net::body::Body;
use crate::plan::Proxy;

/// What a server does with its end of a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Reset,
    /// Closes its sending side and goes on listening.
    HalfClose,
    Close,
    Stall,
}

impl End {
    async fn of(self, mut tcp: TcpStream) {
        match self {
            Self::Reset => {
                // What was written has to be read first: a reset takes unread bytes with it.
                tokio::time::sleep(Duration::from_millis(20)).await;
                tcp.reset();
            }
            Self::HalfClose => {
                tcp.shutdown().await.unwrap();
                std::future::pending().await
            }
            Self::Close => {
                let _ = tcp.shutdown().await;
                // Unread bytes would make the close a reset.
                while tcp.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {}
            }
            Self::Stall => std::future::pending().await,
        }
    }
}

/// A server that reads the requests of a connection up to this point, writes this, and ends.
async fn ending(reads: usize, writes: &'static str, end: End) -> String {
    let address = serve_raw(move |mut tcp, _| async move {
        let mut left = reads;
        let mut piece = [0; 256];
        while left > 0 {
            let most = left.min(piece.len());
            match tcp.read(&mut piece[..most]).await {
                Ok(count) if count > 0 => left -= count,
                _ => return,
            }
        }
        tcp.write_all(writes.as_bytes()).await.unwrap();
        end.of(tcp).await;
    })
    .await;
    format!("http://{address}/")
}

#[tokio::test]
async fn connections_that_end_at_each_phase_have_their_classes() {
    use End::{Close, HalfClose, Reset, Stall};
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n";
    let reset = &[Fault::TCP_RESET, Fault::TCP_BROKEN_PIPE][..];
    // How much of the request is read, what is written, how it ends: the faults it may be.
    let cases: Vec<(usize, &str, End, &[Fault])> = vec![
        // Before the request is read, or in its midst.
        (0, "", Reset, reset),
        (0, "", HalfClose, &[Fault::CLOSED_BEFORE_RESPONSE]),
        (10, "", Reset, reset),
        (10, "", HalfClose, &[Fault::CLOSED_BEFORE_RESPONSE]),
        (10, "", Stall, &[Fault::TIMEOUT]),
        // In the head.
        (20, "HTTP/1.1 2", Reset, reset),
        (20, "HTTP/1.1 2", HalfClose, &[Fault::TRUNCATED_HEADERS]),
        (20, "HTTP/1.1 2", Close, &[Fault::TRUNCATED_HEADERS]),
        (20, "HTTP/1.1 100 Continue\r\n\r\n", HalfClose, &[Fault::TRUNCATED_HEADERS]),
        (20, "HTTP/1.1 100 Continue\r\n\r\n", Stall, &[Fault::TIMEOUT]),
        (20, head, Reset, reset),
        (20, head, HalfClose, &[Fault::TRUNCATED_HEADERS]),
        // In the body.
        (20, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Reset, reset),
        (20, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", HalfClose, &[Fault::TRUNCATED_BODY]),
        (20, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", Close, &[Fault::TRUNCATED_BODY]),
        (20, "HTTP/1.1 200 OK\r\n\r\nab", Reset, reset),
        (20, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", Reset, reset),
        (20, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", HalfClose, &[Fault::TRUNCATED_BODY]),
        (
            20,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n",
            HalfClose,
            &[Fault::TRUNCATED_BODY],
        ),
    ];
    join_all(cases.into_iter().map(|(reads, writes, end, faults)| async move {
        let url = ending(reads, writes, end).await;
        for upload in [false, true] {
            let client = client_with(|o| o.timeout = Duration::from_millis(if end == Stall { 300 } else { 60_000 }));
            let mut message = request(&client, if upload { Method::POST } else { Method::GET }, &url);
            if upload {
                // More than the system takes for a server that does not read.
                message.body = Body::Bytes(vec![0; 20_000_000].into());
            }
            let exchange = send(&client, message).await.remove(0);
            let Some(error) = exchange.error else { panic!("{writes:?} {end:?} passes") };
            assert!(faults.contains(&error.fault), "{reads} {writes:?} {end:?} upload {upload}: {}", error.detail);
        }
    }))
    .await;
}

#[tokio::test]
async fn an_answer_before_the_request_is_whole_is_an_answer() {
    for (writes, end) in [
        ("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig", End::Stall),
        ("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig", End::HalfClose),
        ("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig", End::Reset),
        ("HTTP/1.1 413 Too Large\r\nConnection: close\r\n\r\nbig", End::HalfClose),
        ("HTTP/1.1 413 Too Large\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbig\r\n0\r\n\r\n", End::Stall),
    ] {
        // Of the head a part, so that its end is not even read.
        for reads in [10, 1_000] {
            let url = ending(reads, writes, end).await;
            let client = client();
            for _ in 0..2 {
                let mut post = request(&client, Method::POST, &url);
                post.body = Body::Bytes(vec![0; 20_000_000].into());
                let exchange = send(&client, post).await.remove(0);
                assert_eq!((exchange.error, exchange.status), (None, 413), "{writes:?} {end:?}");
                assert_eq!((&*exchange.body, exchange.reused), (&b"big"[..], false));
                assert!(exchange.bytes_sent < 20_000_000, "the rest is not sent");
            }
        }
    }
}

#[tokio::test]
async fn answers_to_nobody_are_no_answers_to_others() {
    // Each answer is followed by another one, at once or while the connection lies idle; or one comes first.
    for (before, behind, late) in [("", "0", false), ("", "0", true), ("0", "", false)] {
        let sent = Arc::new(Notify::new());
        let told = sent.clone();
        let address = serve_raw(move |mut tcp, number| {
            let told = told.clone();
            async move {
                let ghost = |body: &str| if body.is_empty() { String::new() } else { ok("ghost") };
                tcp.write_all(ghost(before).as_bytes()).await.unwrap();
                while read_request(&mut tcp).await.is_some() {
                    let real = ok(&format!("real {number}"));
                    let written = if late {
                        let written = tcp.write_all(real.as_bytes()).await;
                        tokio::time::sleep(Duration::from_millis(10)).await;
                        written.and(tcp.write_all(ghost(behind).as_bytes()).await)
                    } else {
                        tcp.write_all(format!("{real}{}", ghost(behind)).as_bytes()).await
                    };
                    told.notify_one();
                    if written.is_err() {
                        return;
                    }
                }
            }
        })
        .await;
        let client = client();
        for number in 0..3 {
            let exchange = get_ok(&client, &format!("http://{address}/")).await;
            sent.notified().await;
            if before.is_empty() {
                assert_eq!((&*exchange.body, exchange.reused), (format!("real {number}").as_bytes(), false), "{late}");
            } else {
                // Who speaks first can't be told from who answers fast; but never does it happen twice.
                assert!(!exchange.reused);
            }
        }
    }
}

#[tokio::test]
async fn resets_between_requests_cost_no_failure() {
    for method in [Method::GET, Method::POST] {
        let gone = Arc::new(Notify::new());
        let told = gone.clone();
        let address = serve_raw(move |mut tcp, _| {
            let told = told.clone();
            async move {
                read_request(&mut tcp).await;
                tcp.write_all(ok("x").as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
                tcp.reset();
                drop(tcp);
                told.notify_one();
            }
        })
        .await;
        let client = client();
        for _ in 0..3 {
            let mut message = request(&client, method.clone(), &format!("http://{address}/"));
            message.body = Body::from("abc".to_owned());
            let exchange = send(&client, message).await.remove(0);
            assert_eq!((exchange.error, &*exchange.body), (None, &b"x"[..]));
            gone.notified().await;
        }
    }
}

#[tokio::test]
async fn a_reset_of_a_kept_connection_by_the_request_is_repeated_where_that_may_be() {
    for (method, repeated) in [(Method::GET, true), (Method::PUT, true), (Method::POST, false)] {
        let address = serve_raw(|mut tcp, _| async move {
            read_request(&mut tcp).await;
            tcp.write_all(ok("x").as_bytes()).await.unwrap();
            read_request(&mut tcp).await;
            tcp.reset();
        })
        .await;
        let client = client();
        let url = format!("http://{address}/");
        get_ok(&client, &url).await;
        let exchange = send(&client, request(&client, method.clone(), &url)).await.remove(0);
        assert_eq!(exchange.error.map(|error| error.fault), (!repeated).then_some(Fault::TCP_RESET), "{method}");
    }
}

/// Reads what a TLS client says first.
async fn hello(tcp: &mut TcpStream) {
    let mut head = [0; 5];
    tcp.read_exact(&mut head).await.unwrap();
    let mut rest = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    tcp.read_exact(&mut rest).await.unwrap();
}

#[tokio::test]
async fn handshakes_that_stall_flood_or_break_off() {
    // A server hello that is promised and does not come: a record of 16 KB, a message of 16 MB.
    let promised: &[u8] = b"\x16\x03\x03\x40\x00\x02\xff\xff\xff";
    let fragment: &[u8] = b"\x16\x03\x03\x00\x08\x02\xff\xff\xff\0\0\0\0";
    let change_cipher: &[u8] = b"\x14\x03\x03\x00\x01\x01";
    let warning: &[u8] = b"\x15\x03\x03\x00\x02\x01\x5a";
    let empty: &[u8] = b"\x16\x03\x03\x00\x00";
    let data: &[u8] = b"\x17\x03\x03\x00\x05hello";
    let mut cases: Vec<(&[u8], &[u8], End, Fault)> = vec![
        (b"", b"", End::Stall, Fault::TIMEOUT),
        (b"\x16\x03", b"", End::Stall, Fault::TIMEOUT),
        (promised, b"", End::Stall, Fault::TIMEOUT),
        (b"", b"", End::Reset, Fault::TCP_RESET),
        (promised, b"", End::Reset, Fault::TCP_RESET),
        (b"", b"", End::HalfClose, Fault::TLS),
        (promised, b"", End::Close, Fault::TLS),
        (b"\x15\x03\x03\x00\x02\x02\x28", b"", End::Close, Fault::TLS_ALERT),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"", End::Stall, Fault::TLS),
        (data, b"", End::Stall, Fault::TLS),
        (b"\x16\x03\x03\xff\xff", b"", End::Stall, Fault::TLS),
    ];
    for flood in [fragment, change_cipher, warning, empty, data, b"\0", b"\xff"] {
        cases.push((b"", flood, End::Stall, Fault::TLS));
    }
    join_all(cases.into_iter().map(|(first, flood, end, fault)| async move {
        let address = serve_raw(move |mut tcp, _| async move {
            hello(&mut tcp).await;
            let _ = tcp.write_all(first).await;
            while !flood.is_empty() && tcp.write_all(&flood.repeat(1_000)).await.is_ok() {}
            end.of(tcp).await;
        })
        .await;
        let client = client_with(|o| {
            o.timeout = Duration::from_millis(if fault == Fault::TIMEOUT { 300 } else { 60_000 });
        });
        let exchange = get(&client, &format!("https://{address}/")).await;
        let error = exchange.error.unwrap();
        let shown = [first, flood].map(|bytes| bytes.escape_ascii().to_string());
        assert_eq!(error.fault, fault, "{shown:?} {end:?}: {}", error.detail);
        assert!(exchange.bytes_received < 2_000_000, "{shown:?}: {} were read", exchange.bytes_received);
    }))
    .await;
}

#[tokio::test]
async fn certificates_that_do_not_fit() {
    let young = certificate(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2090, 1, 1);
        params.not_after = rcgen::date_time_ymd(2091, 1, 1);
    });
    let server = Server::start_tls((young.0.clone(), young.1), |_| Reply::Keep(ok("x"))).await;
    let client = client_trusting(TlsRoots::only([young.0]), |_| {});
    let exchange = get(&client, &server.https("localhost")).await;
    assert_eq!(exchange.error.unwrap().fault, Fault::TLS_CERTIFICATE_TIME);

    // One that is signed by an issuer whom the client does not know, or knows.
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "authority");
    let authority = params.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let own_key = rcgen::KeyPair::generate().unwrap();
    let own =
        rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&own_key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(own_key.serialize_der()).unwrap();
    let server = Server::start_tls((own.der().clone(), key), |_| Reply::Keep(ok("x"))).await;
    let other = certificate(&["authority.test"], |_| {});
    for (root, fault) in [(other.0, Some(Fault::TLS_UNKNOWN_AUTHORITY)), (authority.der().clone(), None)] {
        let client = client_trusting(TlsRoots::only([root]), |_| {});
        let exchange = get(&client, &server.https("localhost")).await;
        assert_eq!(exchange.error.map(|error| error.fault), fault);
    }
    // A certificate that is none.
    let garbage = b"\x30\x03\x02\x01\x05".to_vec();
    let (_, key) = certificate(&["localhost"], |_| {});
    let resolver = AnyCertificate(Arc::new(rustls::sign::CertifiedKey::new(
        vec![garbage.into()],
        rustls::crypto::ring::sign::any_supported_type(&key).unwrap(),
    )));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let server = Server::start_with(Some(acceptor), |_| Reply::Keep(ok("x"))).await;
    let error = get(&client_with(|_| {}), &server.https("localhost")).await.error.unwrap();
    assert_eq!(error.fault, Fault::TLS_BAD_CERTIFICATE, "{}", error.detail);
}

#[derive(Debug)]
struct AnyCertificate(Arc<rustls::sign::CertifiedKey>);

impl rustls::server::ResolvesServerCert for AnyCertificate {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[tokio::test]
async fn plain_http_on_a_port_of_tls() {
    let server = Server::start_tls(certificate(&["localhost"], |_| {}), |_| Reply::Keep(ok("x"))).await;
    let error = get(&client(), &server.url("/")).await.error.unwrap();
    // It answers with an alert, or closes.
    let either = [Fault::MALFORMED_RESPONSE, Fault::CLOSED_BEFORE_RESPONSE, Fault::TRUNCATED_HEADERS, Fault::TCP_RESET];
    assert!(either.contains(&error.fault), "{}", error.detail);
}

#[tokio::test]
async fn proxies_that_do_any_of_that() {
    use End::{Close, HalfClose, Reset, Stall};
    // What the proxy answers to each message, how it ends after the last, the fault.
    let cases: Vec<(&str, &[&[u8]], End, Fault)> = vec![
        ("http", &[b""], Stall, Fault::DIAL_TIMEOUT),
        ("http", &[b"HTTP/1.1 200 OK\r\n"], Stall, Fault::DIAL_TIMEOUT),
        ("http", &[b""], Reset, Fault::PROXY),
        ("http", &[b"HTTP/1.1 200"], Reset, Fault::PROXY),
        ("http", &[b""], HalfClose, Fault::PROXY),
        ("http", &[b"HTTP/1.1 200 OK\r\nX: "], Close, Fault::PROXY),
        ("http", &[b"HTTP/1.1 100 Continue\r\n\r\n"], Stall, Fault::PROXY_REFUSED),
        ("http", &[b"HTTP/1.1 302 Found\r\nLocation: http://a/\r\n\r\n"], Stall, Fault::PROXY_REFUSED),
        ("http", &[b"\xff\xfe\r\n\r\n"], Stall, Fault::PROXY),
        ("http", &[&[b'x'; 20_000]], Stall, Fault::PROXY),
        ("http", &[b"HTTP/1.1 200 OK\r\n\r\n\x15\x03\x03\x00\x02\x02\x28"], Stall, Fault::PROXY),
        // The tunnel is there, and what is at its end is as bad as any.
        ("http", &[b"HTTP/1.1 200 OK\r\n\r\n", b""], Reset, Fault::TCP_RESET),
        ("http", &[b"HTTP/1.1 200 OK\r\n\r\n", b""], HalfClose, Fault::TLS),
        ("http", &[b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 502 Bad\r\n\r\n"], Stall, Fault::TLS),
        ("http", &[b"HTTP/1.1 200 OK\r\n\r\n", b""], Stall, Fault::TIMEOUT),
        ("socks5h", &[b""], Stall, Fault::DIAL_TIMEOUT),
        ("socks5h", &[b"\x05"], Stall, Fault::DIAL_TIMEOUT),
        ("socks5h", &[b"\x05\x00", b"\x05\x00\x00\x03\xffhalf"], Stall, Fault::DIAL_TIMEOUT),
        ("socks5h", &[b""], Reset, Fault::PROXY),
        ("socks5h", &[b"\x05\x00", b"\x05\x00"], HalfClose, Fault::PROXY),
        ("socks5h", &[b"\x05\x00", b""], Reset, Fault::PROXY),
        ("socks5h", &[b"\x05\x07"], Stall, Fault::PROXY),
        ("socks5h", &[b"\x04\x00"], Stall, Fault::PROXY),
        ("socks5h", &[b"\x05\x00", b"\x05\x63\x00\x01\0\0\0\0\0\0"], Stall, Fault::PROXY),
        ("socks5h", &[b"\x05\x00", b"\x05\x00\x00\x09\0\0\0\0\0\0"], Stall, Fault::PROXY),
        ("socks5h", &[b"\x05\x00", b"\x05\x00\x00\x03\x02\xff\xfe\0\0"], Stall, Fault::PROXY),
        ("socks5h", &[b"\x05\x00", b"\x05\x00\x00\x01\0\0\0\0\0\0", b""], Reset, Fault::TCP_RESET),
    ];
    join_all(cases.into_iter().map(|(scheme, answers, end, fault)| async move {
        let answers: Vec<Vec<u8>> = answers.iter().map(|answer| answer.to_vec()).collect();
        let shown: Vec<_> = answers.iter().map(|answer| answer.escape_ascii().to_string()).collect();
        let address = serve_raw(move |mut tcp, _| {
            let answers = answers.clone();
            async move {
                for answer in answers {
                    if tcp.read(&mut [0; 8_192]).await.is_ok() {
                        let _ = tcp.write_all(&answer).await;
                    }
                }
                end.of(tcp).await;
            }
        })
        .await;
        let client = client_with(|o| {
            let short = |is_due: bool| Duration::from_millis(if is_due { 300 } else { 60_000 });
            o.connect_timeout = short(fault == Fault::DIAL_TIMEOUT);
            o.timeout = short(fault == Fault::TIMEOUT);
            o.proxies.https = Some(Proxy::parse(&format!("{scheme}://{address}")).unwrap());
        });
        let begun = Instant::now();
        let error = get(&client, "https://shop.test/").await.error.unwrap();
        assert_eq!(error.fault, fault, "{scheme} {shown:?} {end:?}: {}", error.detail);
        assert!(begun.elapsed() < Duration::from_secs(50), "{scheme} {shown:?}: it waited for no timeout of its own");
    }))
    .await;
}
