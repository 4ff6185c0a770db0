//! From options to a TLS configuration: versions, cipher suites, trusted roots, the client's certificate.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, KeyLogFile, ProtocolVersion, RootCertStore, SupportedCipherSuite, version};

use super::{AcceptAny, TlsRoots, identity};
use crate::plan::{TlsAuth, TlsOptions};

/// Names in the environment the file that secrets of sessions are written to, for tools that look into captured traffic.
const KEY_LOG: &str = "SSLKEYLOGFILE";

/// Makes a configuration. Reads files, and the system's roots if nobody has.
pub(super) fn build(
    options: &TlsOptions,
    insecure: bool,
    auth: Option<&TlsAuth>,
    roots: &TlsRoots,
) -> Result<ClientConfig, String> {
    let provider = Arc::new(provider(options));
    let versions: Vec<_> = [(options.tls13, &version::TLS13), (options.tls12, &version::TLS12)]
        .into_iter()
        .filter_map(|(wanted, version)| wanted.then_some(version))
        .collect();
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .map_err(|error| error.to_string())?;
    let builder = if insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider.clone())))
    } else {
        builder.with_root_certificates(trusted(options, roots)?)
    };
    let mut config = match auth {
        None => builder.with_no_client_auth(),
        Some(auth) => {
            let certified = identity::certified(auth, &provider).map_err(|why| format!("`tls_auth`: {why}"))?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
        }
    };
    // Each user has its own sessions, where they are resumed at all.
    config.resumption = Resumption::disabled();
    if std::env::var_os(KEY_LOG).is_some() {
        config.key_log = Arc::new(KeyLogFile::new());
    }
    Ok(config)
}

/// The provider, with the cipher suites that are wanted.
fn provider(options: &TlsOptions) -> CryptoProvider {
    let mut provider = ring::default_provider();
    let named = |suite: &SupportedCipherSuite| {
        let name = standard_name(suite);
        options.cipher_suites.contains(&name)
    };
    for version in [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3] {
        let is_of = |suite: &SupportedCipherSuite| suite.version().version == version;
        if provider.cipher_suites.iter().any(|suite| is_of(suite) && named(suite)) {
            provider.cipher_suites.retain(|suite| !is_of(suite) || named(suite));
        }
    }
    provider
}

fn standard_name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
}

fn trusted(options: &TlsOptions, roots: &TlsRoots) -> Result<Arc<RootCertStore>, String> {
    let system = roots.get();
    if options.ca.is_empty() {
        return Ok(system);
    }
    let mut store = RootCertStore::clone(&system);
    identity::trust(options, &mut store).map_err(|why| format!("`tls_ca`: {why}"))?;
    Ok(Arc::new(store))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::CIPHER_SUITES;

    #[test]
    fn the_names_of_cipher_suites_are_those_that_there_are() {
        let mut found: Vec<_> = ring::default_provider().cipher_suites.iter().map(standard_name).collect();
        found.sort();
        assert_eq!(found, CIPHER_SUITES);
    }

    #[test]
    fn suites_bound_their_own_version_alone() {
        let cipher_suites = vec!["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned()];
        let provider = provider(&TlsOptions { cipher_suites, ..TlsOptions::default() });
        let names: Vec<_> = provider.cipher_suites.iter().map(standard_name).collect();
        assert_eq!(names.iter().filter(|name| name.contains("ECDHE")).count(), 1);
        assert_eq!(names.len(), 4);
    }
}
