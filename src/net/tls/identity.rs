//! Certificates and private keys, as options give them: PEM, or files of it, keys with a password among them.

use std::path::Path;

use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use crate::plan::{TlsAuth, TlsOptions};

const ENCRYPTED: (&str, &str) = ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----");

/// What is wrong with what these options say: the option, and why. Reads all files.
pub(super) fn problems(options: &TlsOptions, provider: &CryptoProvider) -> Vec<(&'static str, String)> {
    let mut store = RootCertStore::empty();
    let of_ca = trust(options, &mut store).err().map(|why| ("tls_ca", why));
    let of_auth = options.auth.iter().filter_map(|auth| Some(("tls_auth", certified(auth, provider).err()?)));
    of_ca.into_iter().chain(of_auth).collect()
}

/// Trusts the roots that the options name.
pub(super) fn trust(options: &TlsOptions, store: &mut RootCertStore) -> Result<(), String> {
    for ca in &options.ca {
        for certificate in certificates(ca)? {
            store
                .add(certificate)
                .map_err(|error| format!("a certificate of {} can't be trusted: {error}", shown("the PEM", ca)))?;
        }
    }
    Ok(())
}

/// A certificate with its key.
pub(super) fn certified(auth: &TlsAuth, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let key = private_key(auth)?;
    CertifiedKey::from_der(certificates(&auth.cert)?, key, provider).map_err(|error| {
        let (cert, key) = (shown("`cert`", &auth.cert), shown("`key`", &auth.key));
        match error {
            rustls::Error::InconsistentKeys(_) => format!("{key} is not the key of the certificate in {cert}"),
            error => format!("the certificate in {cert} and its key in {key} can't be used: {error}"),
        }
    })
}

fn certificates(given: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = pem(given)?;
    let from = || shown("the PEM", given);
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.map_err(|error| format!("{} can't be read as PEM: {error}", from()))?;
    if all.is_empty() {
        let how = "`-----BEGIN CERTIFICATE-----`; `openssl x509 -inform der -in FILE` makes it of DER";
        return Err(format!("there is no certificate in {} ({how})", from()));
    }
    Ok(all)
}

fn private_key(auth: &TlsAuth) -> Result<PrivateKeyDer<'static>, String> {
    let pem = pem(&auth.key)?;
    let from = || shown("`key`", &auth.key);
    let text = String::from_utf8_lossy(&pem);
    if let Some(at) = text.find(ENCRYPTED.0) {
        let Some(password) = &auth.password else {
            return Err(format!(
                "{} has a password: give it as `password`, for example by `env(\"KEY_PASSWORD\")`",
                from()
            ));
        };
        let section = &text[at..];
        let end = section.find(ENCRYPTED.1).ok_or_else(|| format!("{} ends too early", from()))?;
        let decrypted = decrypted(&section[..end + ENCRYPTED.1.len()], password);
        return decrypted.map_err(|error| format!("{} can't be decrypted: {error}", from()));
    }
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        let how = "`openssl pkcs8 -topk8 -in FILE` makes one of it that is";
        return Err(format!("{} has a password in a form that is not read here: {how}", from()));
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| format!("there is no private key in {} (PEM): {error}", from()))
}

fn decrypted(pem: &str, password: &str) -> Result<PrivateKeyDer<'static>, String> {
    let (_, document) = pkcs8::Document::from_pem(pem).map_err(|error| error.to_string())?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|error| error.to_string())?;
    let key = encrypted.decrypt(password).map_err(|error| match error {
        pkcs8::Error::EncryptedPrivateKey(_) => {
            "the password is wrong, or the cipher is none of AES and triple DES".to_owned()
        }
        error => error.to_string(),
    })?;
    // A wrong password may decrypt to something by chance.
    pkcs8::PrivateKeyInfoRef::try_from(key.as_bytes()).map_err(|_| "the password is wrong".to_owned())?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

fn is_text(given: &str) -> bool {
    given.contains("-----BEGIN")
}

/// The file that is named, or what stands for the text that is given: no secret.
fn shown(what: &str, given: &str) -> String {
    if is_text(given) { what.to_owned() } else { format!("file `{given}`") }
}

/// PEM as it is given, or that of the file that is named.
fn pem(given: &str) -> Result<Vec<u8>, String> {
    if is_text(given) {
        return Ok(given.as_bytes().to_vec());
    }
    std::fs::read(Path::new(given)).map_err(|error| {
        let place = match std::env::current_dir() {
            Ok(directory) if Path::new(given).is_relative() => format!(" (looked for in `{}`)", directory.display()),
            _ => String::new(),
        };
        format!("file `{given}` can't be read{place}: {error}")
    })
}

#[cfg(test)]
mod tests {
    use pkcs8::{LineEnding, PrivateKeyInfoRef, SecretDocument};
    use rcgen::{CertificateParams, KeyPair};
    use rustls::crypto::ring;

    use super::*;

    fn pair() -> (String, KeyPair) {
        let key = KeyPair::generate().unwrap();
        (CertificateParams::new(vec!["user".to_owned()]).unwrap().self_signed(&key).unwrap().pem(), key)
    }

    fn encrypted(key: &KeyPair, password: &str) -> String {
        let der = key.serialize_der();
        let info = PrivateKeyInfoRef::try_from(der.as_slice()).unwrap();
        let parameters =
            pkcs8::pkcs5::pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(1_000, &[7; 16], [9; 16]).unwrap();
        let document: SecretDocument = info.encrypt_with_params(parameters, password).unwrap();
        document.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).unwrap().to_string()
    }

    #[test]
    fn keys_with_a_password_are_read() {
        let (cert, key) = pair();
        let locked = encrypted(&key, "secret");
        let provider = ring::default_provider();
        let auth = |key: &str, password: Option<&str>| TlsAuth {
            cert: cert.clone(),
            key: key.to_owned(),
            password: password.map(str::to_owned),
            domains: Vec::new(),
        };
        // What tools write around it is passed over.
        let around = format!("Bag Attributes\n    localKeyID: 01\n{}\n", locked.replace('\n', "\r\n"));
        for good in
            [auth(&locked, Some("secret")), auth(&around, Some("secret")), auth(&key.serialize_pem(), Some("unused"))]
        {
            assert_eq!(certified(&good, &provider).err(), None);
        }
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        let cut = locked.split("-----END").next().unwrap();
        for (bad, why) in [
            (auth(&locked, None), "`key` has a password: give it as `password`"),
            (auth(&locked, Some("wrong")), "`key` can't be decrypted: the password is wrong"),
            (auth(cut, Some("secret")), "`key` ends too early"),
            (auth(old, Some("secret")), "`openssl pkcs8 -topk8 -in FILE` makes one of it that is"),
            (auth(&pair().1.serialize_pem(), None), "`key` is not the key of the certificate in `cert`"),
            (auth(&cert, None), "there is no private key in `key` (PEM)"),
        ] {
            let error = certified(&bad, &provider).map(|_| ()).unwrap_err();
            assert!(error.contains(why) && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_found_and_named() {
        let (cert, key) = pair();
        let directory = tempfile::tempdir().unwrap();
        let empty = directory.path().join("empty.pem").display().to_string();
        std::fs::write(&empty, "no PEM").unwrap();
        let auth = |cert: &str, key: &str| TlsAuth {
            cert: cert.to_owned(),
            key: key.to_owned(),
            password: None,
            domains: Vec::new(),
        };
        let options = TlsOptions {
            ca: vec![cert.clone(), "missing.pem".into()],
            auth: vec![
                auth(&cert, &key.serialize_pem()),
                auth("missing.pem", &key.serialize_pem()),
                auth(&empty, &key.serialize_pem()),
                auth(&cert, &empty),
            ],
            ..TlsOptions::default()
        };
        let found = problems(&options, &ring::default_provider());
        for ((option, problem), (expected, why)) in found.iter().zip([
            ("tls_ca", "file `missing.pem` can't be read (looked for in `".to_owned()),
            ("tls_auth", "file `missing.pem` can't be read (looked for in `".to_owned()),
            ("tls_auth", format!("there is no certificate in file `{empty}`")),
            ("tls_auth", format!("there is no private key in file `{empty}`")),
        ]) {
            assert!(*option == expected && problem.starts_with(&why), "{option}: {problem}");
        }
        assert_eq!(found.len(), 4);
    }
}
