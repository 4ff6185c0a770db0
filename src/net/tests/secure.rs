//! HTTP over TLS.

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::fault::Fault;

pub(super) type Certificate = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// A certificate that vouches for itself, for these names, changed as told.
pub(super) fn certificate(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Certificate {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

pub(super) fn clone(certificate: &Certificate) -> Certificate {
    (certificate.0.clone(), certificate.1.clone_key())
}

async fn fault(client: &Client, url: &str) -> Fault {
    let exchange = get(client, url).await;
    assert_eq!(exchange.status, 0);
    assert!(exchange.timings.tls_handshaking.is_some());
    assert!(exchange.bytes_sent > 0, "the handshake's bytes count");
    exchange.error.unwrap().fault
}

#[tokio::test]
async fn a_trusted_certificate_is_accepted_and_the_handshake_measured_once() {
    let trusted = certificate(&["localhost"], |_| {});
    let server = Server::start_tls(clone(&trusted), |_| Reply::Keep(ok("secret"))).await;
    let client = client_trusting(TlsRoots::only([trusted.0]), |_| {});
    let first = get_ok(&client, &server.https("localhost")).await;
    assert_eq!((&*first.body, first.tls_version, first.reused), (&b"secret"[..], Some("TLS 1.3"), false));
    assert!(first.timings.tls_handshaking.is_some());
    let sent = server.arrived()[0].text.len() as u64;
    assert!(first.bytes_sent > sent, "the handshake's bytes count");
    let kept = get_ok(&client, &server.https("localhost")).await;
    assert!(kept.reused);
    assert_eq!((kept.timings.tls_handshaking, kept.timings.connecting), (None, None));
    assert!(kept.bytes_sent > sent && kept.bytes_sent < first.bytes_sent, "the record's own bytes count");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for() {
    let server = Server::start_tls(certificate(&["localhost"], |_| {}), |_| Reply::Keep(ok("x"))).await;
    assert_eq!(fault(&client(), &server.https("localhost")).await, Fault::TLS_UNKNOWN_AUTHORITY);
    let insecure = client_with(|o| o.insecure_skip_tls_verify = true);
    assert_eq!(&*get_ok(&insecure, &server.https("localhost")).await.body, b"x");
}

#[tokio::test]
async fn a_certificate_for_another_host() {
    let other = certificate(&["other.test"], |_| {});
    let server = Server::start_tls(clone(&other), |_| Reply::Keep(ok("x"))).await;
    let address = server.address.to_string();
    let client = client_trusting(TlsRoots::only([other.0]), |o| drop(o.hosts.insert("other.test".into(), address)));
    assert_eq!(fault(&client, &server.https("localhost")).await, Fault::TLS_HOSTNAME_MISMATCH);
    assert_eq!(fault(&client, &server.https("127.0.0.1")).await, Fault::TLS_HOSTNAME_MISMATCH);
    // Sent elsewhere, a host is still asked for its own certificate.
    assert_eq!(&*get_ok(&client, "https://other.test/").await.body, b"x");
}

#[tokio::test]
async fn a_certificate_whose_time_is_over() {
    let old = certificate(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let server = Server::start_tls(clone(&old), |_| Reply::Keep(ok("x"))).await;
    let client = client_trusting(TlsRoots::only([old.0]), |_| {});
    assert_eq!(fault(&client, &server.https("localhost")).await, Fault::TLS_CERTIFICATE_TIME);
}

#[tokio::test]
async fn a_server_that_speaks_no_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", ""] {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut some = [0; 10];
            tcp.read_exact(&mut some).await.unwrap();
            tcp.write_all(answer.as_bytes()).await.unwrap();
            tcp.shutdown().await.unwrap();
            // Unread bytes would make the close a reset.
            while tcp.read(&mut [0; 1_000]).await.is_ok_and(|count| count > 0) {}
        }
    });
    assert_eq!(fault(&client(), &url).await, Fault::TLS);
    assert_eq!(fault(&client(), &url).await, Fault::TLS);
}

#[tokio::test]
async fn a_handshake_that_takes_too_long() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let exchange = get(&client_with(|o| o.timeout = Duration::from_millis(50)), &url).await;
    let error = exchange.error.unwrap();
    assert_eq!(error.fault, Fault::TIMEOUT);
    assert_eq!(error.detail, format!("GET `{url}` failed: not over within 50ms, during the TLS handshake"));
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_needs_a_proper_close() {
    let trusted = certificate(&["localhost"], |_| {});
    let client = client_trusting(TlsRoots::only([trusted.0.clone()]), |_| {});
    let server = Server::start_tls(clone(&trusted), |_| Reply::Close("HTTP/1.1 200 OK\r\n\r\nall of it".into())).await;
    assert_eq!(&*get_ok(&client, &server.https("localhost")).await.body, b"all of it");

    let server = Server::start_tls(trusted, |_| Reply::Reset("HTTP/1.1 200 OK\r\n\r\nsome of it".into())).await;
    let exchange = get(&client, &server.https("localhost")).await;
    assert_eq!((exchange.error.unwrap().fault, &*exchange.body), (Fault::TCP_RESET, &b"some of it"[..]));
}

#[tokio::test]
async fn a_secure_connection_closed_while_idle_is_replaced() {
    let trusted = certificate(&["localhost"], |_| {});
    let client = client_trusting(TlsRoots::only([trusted.0.clone()]), |_| {});
    let next = counter();
    let server =
        Server::start_tls(trusted, move |_| if next() == 0 { Reply::Close(ok("1")) } else { Reply::Keep(ok("2")) })
            .await;
    get_ok(&client, &server.https("localhost")).await;
    server.closed_one().await;
    assert_eq!(&*get_ok(&client, &server.https("localhost")).await.body, b"2");
    assert_eq!(server.connections(), [0, 1]);
}
