//! TLS: the system's trusted roots, loaded once at the first `https` request of a run, and the client configuration.
//!
//! Sessions are not resumed unless asked for: each connection stands for a user who has not been there before, and makes
//! the whole handshake (as k6's do). Where they are, each user has sessions of its own.

mod config;
mod identity;

use std::cell::OnceCell;
use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::classify;
use super::connection::Offer;
use super::wire::{Meter, Socket};
use crate::fault::Fault;
use crate::plan::{HttpOptions, TlsOptions};

/// The certificates that servers are checked against. One a run, shared by its workers; loaded when first needed.
#[derive(Debug, Default)]
pub struct TlsRoots {
    store: OnceLock<Arc<RootCertStore>>,
}

impl TlsRoots {
    /// The system's roots.
    #[must_use]
    pub fn system() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// These roots and no others.
    #[must_use]
    pub fn only(certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> Arc<Self> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates);
        Arc::new(Self { store: OnceLock::from(Arc::new(store)) })
    }

    /// Loads them if they are not; takes some milliseconds of file reading then.
    fn get(&self) -> Arc<RootCertStore> {
        let load = || {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            Arc::new(store)
        };
        self.store.get_or_init(load).clone()
    }
}

/// What is wrong with the certificates and keys that options name: the option, and why. Reads all files, so that mistakes
/// are told before a run instead of at its first connection.
#[must_use]
pub fn problems(options: &TlsOptions) -> Vec<(&'static str, String)> {
    identity::problems(options, &rustls::crypto::ring::default_provider())
}

/// One for each choice of versions of HTTP.
struct Connectors {
    http1: TlsConnector,
    http2: TlsConnector,
    any: TlsConnector,
}

impl Connectors {
    fn new(config: &ClientConfig) -> Self {
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            TlsConnector::from(Arc::new(config))
        };
        Self { http1: offering(&[b"http/1.1"]), http2: offering(&[b"h2"]), any: offering(&[b"h2", b"http/1.1"]) }
    }

    fn of(&self, offer: Offer) -> &TlsConnector {
        match (offer.http1, offer.http2) {
            (_, false) => &self.http1,
            (false, true) => &self.http2,
            (true, true) => &self.any,
        }
    }
}

/// Sessions of one user: of the servers that it has been to last.
pub(super) type Sessions = OnceCell<Resumption>;

/// How many sessions a user keeps; a server gives several.
const SESSIONS_KEPT: usize = 32;

/// A worker's TLS client.
pub(super) struct Tls {
    roots: Arc<TlsRoots>,
    options: TlsOptions,
    insecure: bool,
    /// Without a client certificate, and with each that there is.
    connectors: Box<[OnceCell<Connectors>]>,
}

impl Tls {
    pub(super) fn new(roots: Arc<TlsRoots>, options: &HttpOptions) -> Self {
        let connectors = (0..=options.tls.auth.len()).map(|_| OnceCell::new()).collect();
        Self { roots, options: options.tls.clone(), insecure: options.insecure_skip_tls_verify, connectors }
    }

    /// The number of the client certificate for a host, from 1; 0 for none.
    fn certificate_for(&self, host: &str) -> usize {
        self.options.auth.iter().position(|auth| auth.is_for(host)).map_or(0, |at| at + 1)
    }

    /// Makes ready what a handshake with the host needs. Files are read off the worker's thread: the first `https` request
    /// must not stall the VUs beside it.
    pub(super) async fn prepare(&self, host: &str) -> Result<(), String> {
        let number = self.certificate_for(host);
        if self.connectors[number].get().is_some() {
            return Ok(());
        }
        let (roots, options, insecure) = (self.roots.clone(), self.options.clone(), self.insecure);
        let auth = number.checked_sub(1).map(|at| self.options.auth[at].clone());
        let build = move || config::build(&options, insecure, auth.as_ref(), &roots);
        let config = tokio::task::spawn_blocking(build).await.map_err(|error| error.to_string())??;
        // Another VU may have been faster; its connector is as good.
        let _ = self.connectors[number].set(Connectors::new(&config));
        Ok(())
    }

    /// Makes the handshake with a proxy. What options say about certificates holds for it, too; the name that they may ask
    /// for is the target's.
    pub(super) async fn handshake_with_proxy(
        &self,
        host: &str,
        socket: TcpStream,
    ) -> Result<TlsStream<TcpStream>, (Fault, String)> {
        self.prepare(host).await.map_err(|why| (Fault::INVALID_REQUEST, why))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| (Fault::TLS, error.to_string()))?;
        let Some(connectors) = self.connectors[self.certificate_for(host)].get() else {
            return Err((Fault::TLS, "TLS was not prepared".to_owned()));
        };
        let shaken = connectors.http1.connect(name, socket).await;
        // The meter counts inside of this TLS, and has seen nothing yet.
        shaken.map_err(|error| classify::handshake(&error, &Meter::default()))
    }

    /// Makes the handshake. [`Tls::prepare`] comes first.
    pub(super) async fn handshake(
        &self,
        host: &str,
        offer: Offer,
        sessions: &Sessions,
        socket: Socket,
    ) -> io::Result<TlsStream<Socket>> {
        let name = self.options.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let Some(connectors) = self.connectors[self.certificate_for(host)].get() else {
            return Err(io::Error::other("TLS was not prepared"));
        };
        let connector = connectors.of(offer);
        if self.options.resumption {
            let mut config = ClientConfig::clone(connector.config());
            config.resumption = sessions.get_or_init(|| Resumption::in_memory_sessions(SESSIONS_KEPT)).clone();
            return TlsConnector::from(Arc::new(config)).connect(name, socket).await;
        }
        connector.connect(name, socket).await
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("insecure", &self.insecure).finish_non_exhaustive()
    }
}

/// The version of a connection, in words.
pub(super) fn version(stream: &TlsStream<Socket>) -> &'static str {
    match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        _ => "TLS",
    }
}

/// Whether the server has chosen HTTP/2.
pub(super) fn speaks_http2(stream: &TlsStream<Socket>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

/// What `insecure_skip_tls_verify` asks for: any certificate will do. Signatures are still checked, so that a broken
/// handshake stays a failure.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
