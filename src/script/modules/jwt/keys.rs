//! The keys of tokens, and what they sign.

use ring::rand::SystemRandom;
use ring::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};
use ring::{hmac, signature::RsaEncoding};
use rustls::pki_types::pem::{PemObject, SectionKind};

use crate::units::nearest;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm(&'static Row);

#[derive(Debug, PartialEq, Eq)]
struct Row {
    name: &'static str,
    family: Family,
    bits: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Shared,
    Rsa,
    RsaPss,
    Curve,
    Edwards,
}

const fn row(name: &'static str, family: Family, bits: u16) -> Row {
    Row { name, family, bits }
}

const ROWS: [Row; 12] = [
    row("HS256", Family::Shared, 256),
    row("HS384", Family::Shared, 384),
    row("HS512", Family::Shared, 512),
    row("RS256", Family::Rsa, 256),
    row("RS384", Family::Rsa, 384),
    row("RS512", Family::Rsa, 512),
    row("PS256", Family::RsaPss, 256),
    row("PS384", Family::RsaPss, 384),
    row("PS512", Family::RsaPss, 512),
    row("ES256", Family::Curve, 256),
    row("ES384", Family::Curve, 384),
    row("EdDSA", Family::Edwards, 0),
];

impl Algorithm {
    /// By its name.
    ///
    /// # Errors
    /// When there is none of that name: says so, with the nearest.
    pub fn by_name(name: &str) -> Result<Self, String> {
        static TABLE: [Row; 12] = ROWS;
        if let Some(row) = TABLE.iter().find(|row| row.name == name) {
            return Ok(Self(row));
        }
        let names = || TABLE.iter().map(|row| row.name);
        let hint = match nearest(name, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
        };
        Err(format!("there is no algorithm `{name}`: {hint}"))
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Whether both sides have the same key.
    #[must_use]
    pub fn is_shared(self) -> bool {
        self.0.family == Family::Shared
    }

    fn hmac(self) -> hmac::Algorithm {
        match self.0.bits {
            384 => hmac::HMAC_SHA384,
            512 => hmac::HMAC_SHA512,
            _ => hmac::HMAC_SHA256,
        }
    }

    fn padding(self) -> &'static dyn RsaEncoding {
        match (self.0.family, self.0.bits) {
            (Family::RsaPss, 384) => &signature::RSA_PSS_SHA384,
            (Family::RsaPss, 512) => &signature::RSA_PSS_SHA512,
            (Family::RsaPss, _) => &signature::RSA_PSS_SHA256,
            (_, 384) => &signature::RSA_PKCS1_SHA384,
            (_, 512) => &signature::RSA_PKCS1_SHA512,
            _ => &signature::RSA_PKCS1_SHA256,
        }
    }

    fn check(self) -> &'static dyn VerificationAlgorithm {
        match (self.0.family, self.0.bits) {
            (Family::RsaPss, 384) => &signature::RSA_PSS_2048_8192_SHA384,
            (Family::RsaPss, 512) => &signature::RSA_PSS_2048_8192_SHA512,
            (Family::RsaPss, _) => &signature::RSA_PSS_2048_8192_SHA256,
            (Family::Curve, 384) => &signature::ECDSA_P384_SHA384_FIXED,
            (Family::Curve, _) => &signature::ECDSA_P256_SHA256_FIXED,
            (Family::Edwards, _) => &signature::ED25519,
            (_, 384) => &signature::RSA_PKCS1_2048_8192_SHA384,
            (_, 512) => &signature::RSA_PKCS1_2048_8192_SHA512,
            _ => &signature::RSA_PKCS1_2048_8192_SHA256,
        }
    }

    /// What its keys are, for people.
    fn keys(self) -> &'static str {
        match (self.0.family, self.0.bits) {
            (Family::Curve, 384) => "of the curve P-384",
            (Family::Curve, _) => "of the curve P-256",
            (Family::Edwards, _) => "of Ed25519",
            _ => "of RSA with 2,048 bits or more",
        }
    }
}

/// What signs.
pub enum SigningKey {
    /// A shared secret.
    Shared(hmac::Key),
    /// Of RSA.
    Rsa(RsaKeyPair),
    /// Of a curve.
    Curve(EcdsaKeyPair),
    /// Of Ed25519.
    Edwards(Ed25519KeyPair),
}

/// A section of a PEM text: what it is, and its bytes.
fn section(pem: &[u8], wanted: &str, algorithm: Algorithm) -> Result<(SectionKind, Vec<u8>), String> {
    let missing = || format!("`{}` needs a {wanted} in PEM: a text with `-----BEGIN ...-----`", algorithm.name());
    // The one that matters may come after others, such as the parameters of a curve.
    let sections = Section::pem_slice_iter(pem).filter_map(Result::ok);
    let mut keys = sections.filter(|section| section.0 != SectionKind::Certificate);
    keys.next().map(|Section(kind, bytes)| (kind, bytes)).ok_or_else(missing)
}

struct Section(SectionKind, Vec<u8>);

impl PemObject for Section {
    fn from_pem(kind: SectionKind, der: Vec<u8>) -> Option<Self> {
        Some(Self(kind, der))
    }
}

impl SigningKey {
    /// Of a secret, or of a private key in PEM.
    ///
    /// # Errors
    /// When it is none that fits.
    pub fn parse(algorithm: Algorithm, key: &[u8]) -> Result<Self, String> {
        if algorithm.is_shared() {
            return Ok(Self::Shared(hmac::Key::new(algorithm.hmac(), key)));
        }
        let (kind, der) = section(key, "private key", algorithm)?;
        let unfit = |error: ring::error::KeyRejected| {
            format!("the key does not fit `{}`, whose keys are {}: {error}", algorithm.name(), algorithm.keys())
        };
        match (kind, algorithm.0.family) {
            (SectionKind::PrivateKey, Family::Rsa | Family::RsaPss) => {
                RsaKeyPair::from_pkcs8(&der).map(Self::Rsa).map_err(unfit)
            }
            (SectionKind::RsaPrivateKey, Family::Rsa | Family::RsaPss) => {
                RsaKeyPair::from_der(&der).map(Self::Rsa).map_err(unfit)
            }
            (SectionKind::PrivateKey, Family::Curve) => {
                let signing = match algorithm.0.bits {
                    384 => &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
                    _ => &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                };
                EcdsaKeyPair::from_pkcs8(signing, &der, &SystemRandom::new()).map(Self::Curve).map_err(unfit)
            }
            (SectionKind::PrivateKey, Family::Edwards) => {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map(Self::Edwards).map_err(unfit)
            }
            (SectionKind::EcPrivateKey, Family::Curve) => {
                Err("the key is in the older form `EC PRIVATE KEY`: change it by \
                 `openssl pkcs8 -topk8 -nocrypt -in key.pem`"
                    .to_owned())
            }
            _ => Err(format!(
                "`{}` needs a private key {}, in PEM, this is another kind",
                algorithm.name(),
                algorithm.keys()
            )),
        }
    }

    /// The signature of a text.
    ///
    /// # Errors
    /// When the system has no randomness to give, or the key can't sign so.
    pub fn sign(&self, algorithm: Algorithm, text: &[u8]) -> Result<Vec<u8>, String> {
        let random = SystemRandom::new();
        let failed = |_| format!("the key can't sign by `{}`", algorithm.name());
        match self {
            Self::Shared(key) => Ok(hmac::sign(key, text).as_ref().to_vec()),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(algorithm.padding(), &random, text, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Self::Curve(key) => key.sign(&random, text).map(|signature| signature.as_ref().to_vec()).map_err(failed),
            Self::Edwards(key) => Ok(key.sign(text).as_ref().to_vec()),
        }
    }

    fn public(&self) -> Option<&[u8]> {
        match self {
            Self::Shared(_) => None,
            Self::Rsa(key) => Some(key.public_key().as_ref()),
            Self::Curve(key) => Some(key.public_key().as_ref()),
            Self::Edwards(key) => Some(key.public_key().as_ref()),
        }
    }
}

/// What checks signatures.
pub enum VerifyingKey {
    /// A shared secret.
    Shared(hmac::Key),
    /// A public key, as `ring` takes it.
    Public(Vec<u8>),
}

impl VerifyingKey {
    /// Of a secret, or of a public or private key in PEM.
    ///
    /// # Errors
    /// When it is none that fits.
    pub fn parse(algorithm: Algorithm, key: &[u8]) -> Result<Self, String> {
        if algorithm.is_shared() {
            return Ok(Self::Shared(hmac::Key::new(algorithm.hmac(), key)));
        }
        let (kind, der) = section(key, "public key", algorithm)?;
        match kind {
            SectionKind::PublicKey => {
                let key = public_key_in(&der).ok_or("the public key can't be understood: its DER is damaged")?;
                Ok(Self::Public(key.to_vec()))
            }
            // Of RSA alone, without a word about the algorithm.
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                let key = SigningKey::parse(algorithm, key)?;
                Ok(Self::Public(key.public().unwrap_or_default().to_vec()))
            }
            _ => Err(format!("`{}` needs a public key {}, in PEM", algorithm.name(), algorithm.keys())),
        }
    }

    /// Whether a signature is that of a text.
    #[must_use]
    pub fn fits(&self, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Shared(key) => hmac::verify(key, text, signature).is_ok(),
            Self::Public(key) => UnparsedPublicKey::new(algorithm.check(), key).verify(text, signature).is_ok(),
        }
    }
}

/// The key itself out of a `SubjectPublicKeyInfo`: a sequence of the algorithm and, as a string of bits, the key.
fn public_key_in(der: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    let (whole, _) = der_value(der, SEQUENCE)?;
    let (_, rest) = der_value(whole, SEQUENCE)?;
    let (bits, _) = der_value(rest, BIT_STRING)?;
    // The first byte says how many bits of the last are unused: none, in keys.
    bits.strip_prefix(&[0])
}

/// A value of a kind at the beginning of DER, and what comes after it.
fn der_value(der: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.len() > 3 {
            return None;
        }
        (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
    };
    if found == kind { rest.split_at_checked(length) } else { None }
}
