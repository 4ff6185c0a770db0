//! What options say about TLS: certificates of the client, versions, roots, names, sessions.

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig};

use super::secure::certificate;
use super::*;
use crate::fault::Fault;
use crate::plan::{TlsAuth, TlsOptions};

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Serves TLS with this configuration; what it answers is whether the session was resumed, and who the client is.
async fn serve_tls(config: ServerConfig) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                while read_request(&mut tls).await.is_some() {
                    let state = tls.get_ref().1;
                    let resumed = state.handshake_kind() == Some(HandshakeKind::Resumed);
                    let client = state.peer_certificates().map_or(0, <[_]>::len);
                    let text = ok(&format!("resumed {resumed}, certificates {client}"));
                    if tls.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

fn server_config(own: (CertificateDer<'static>, PrivateKeyDer<'static>)) -> ServerConfig {
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.0], own.1)
        .unwrap()
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    use base64::Engine as _;
    let text = base64::prelude::BASE64_STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

fn client_of(tls: TlsOptions) -> Client {
    client_with(|options| {
        options.tls = tls;
        options.no_connection_reuse = true;
    })
}

async fn body(client: &Client, url: &str) -> String {
    String::from_utf8(get_ok(client, url).await.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_client_shows_the_certificate_that_is_for_the_host() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let user_key = KeyPair::generate().unwrap();
    let user = CertificateParams::new(vec!["user".to_owned()]).unwrap().signed_by(&user_key, &issuer).unwrap();

    let mut store = RootCertStore::empty();
    store.add(authority.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider()).build().unwrap();
    let own = certificate(&["localhost"], |_| {});
    let ca = vec![pem(&own.0)];
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.0], own.1)
        .unwrap();
    let url = format!("https://localhost:{}/", serve_tls(config).await);
    let auth = |domains: &[&str]| TlsAuth {
        cert: user.pem(),
        key: user_key.serialize_pem(),
        password: None,
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
    };
    for (auth, shown) in [
        (vec![auth(&[])], true),
        (vec![auth(&["other.test"]), auth(&["localhost"])], true),
        (vec![auth(&["other.test"])], false),
        (vec![], false),
    ] {
        let client = client_of(TlsOptions { ca: ca.clone(), auth, ..TlsOptions::default() });
        if shown {
            assert_eq!(body(&client, &url).await, "resumed false, certificates 1");
        } else {
            assert_eq!(get(&client, &url).await.error.unwrap().fault, Fault::TLS_ALERT);
        }
    }
    let wrong = TlsAuth { key: "missing.pem".into(), ..auth(&[]) };
    let client = client_of(TlsOptions { ca, auth: vec![wrong], ..TlsOptions::default() });
    let error = get(&client, &url).await.error.unwrap();
    assert_eq!(error.fault, Fault::INVALID_REQUEST);
    assert!(error.detail.starts_with("TLS: `tls_auth`: file `missing.pem` can't be read"), "{}", error.detail);
}

#[tokio::test]
async fn versions_and_names_are_as_asked_for() {
    let own = certificate(&["other.test"], |_| {});
    let ca = vec![pem(&own.0)];
    let url = format!("https://localhost:{}/", serve_tls(server_config(own)).await);
    let options = || TlsOptions { ca: ca.clone(), server_name: Some("other.test".into()), ..TlsOptions::default() };
    for (tls12, tls13, found) in [(true, true, "TLS 1.3"), (true, false, "TLS 1.2"), (false, true, "TLS 1.3")] {
        let client = client_of(TlsOptions { tls12, tls13, ..options() });
        assert_eq!(get_ok(&client, &url).await.tls_version, Some(found));
    }
    let client = client_of(TlsOptions { server_name: None, ..options() });
    assert_eq!(get(&client, &url).await.error.unwrap().fault, Fault::TLS_HOSTNAME_MISMATCH);
}

#[tokio::test]
async fn sessions_are_resumed_by_the_same_user_where_asked_for() {
    for tls13 in [false, true] {
        let own = certificate(&["localhost"], |_| {});
        let ca = vec![pem(&own.0)];
        let url = format!("https://localhost:{}/", serve_tls(server_config(own)).await);
        let options = |resumption| TlsOptions { ca: ca.clone(), tls13, resumption, ..TlsOptions::default() };
        let never = client_of(options(false));
        let one = client_of(options(true));
        let other = Client::new(one.network().clone());
        for (client, resumed) in [(&never, false), (&never, false), (&one, false), (&one, true), (&other, false)] {
            assert_eq!(body(client, &url).await, format!("resumed {resumed}, certificates 0"));
        }
    }
}
