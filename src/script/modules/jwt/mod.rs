//! `jwt`: signed tokens (RFC 7519), as APIs take them instead of a password: made, read, checked.
//!
//! The signatures are `ring`'s, which TLS brings along: HMAC, RSA (PKCS#1 and PSS), ECDSA and Ed25519. Keys that were
//! parsed are remembered by their text. All of it runs on the worker's stack.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use rhai::{Dynamic, Engine, ImmutableString, Map};

use super::argument::Data;
use super::{FunctionDoc, HostModule, HostResult, Natives, args, define, publish};
use crate::script::bridge::on_worker_stack;
use crate::script::context::HostContext;
use crate::script::error::host_error;
use crate::script::json_value::stringify;
use crate::script::lazy_json::LazyJson;
use crate::script::worker_cache::WorkerCache;

mod keys;

use keys::{Algorithm, SigningKey, VerifyingKey};

/// How many parsed keys a worker remembers.
const KEYS_MAX: usize = 64;

/// How long a token may be, in bytes.
const TOKEN_LENGTH_MAX: usize = 256 * 1024;

/// The module.
pub const MODULE: HostModule =
    HostModule { name: "jwt", summary: "JSON web tokens: signed, read, and checked.", docs: DOCS, register };

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "jwt::sign(claims, key) -> string, jwt::sign(claims, key, options) -> string",
        summary: "A token with these claims.",
        parameters: &[
            ("claims", "a map; times such as `exp` and `iat` are seconds, as `time::now()` gives them"),
            ("key", "the shared secret, a string or a blob; for the other algorithms a private key in PEM (PKCS#8, of RSA also PKCS#1)"),
            ("options", "a map, all of it optional: `alg` (`HS256`, which is the default, `HS384` or `HS512` with a shared secret; `RS256`, `RS384`, `RS512`, `PS256`, `PS384` or `PS512` with an RSA key; `ES256` or `ES384` with one of a curve; `EdDSA` with one of Ed25519), `kid` (which key it is), `headers` (more for the token's head)"),
        ],
        errors: "when the algorithm is not known, the key does not fit it, or the claims have no JSON form",
        example: "
            let token = jwt::sign(#{ sub: \"ann\", exp: time::now() + 60 }, \"secret\", #{ kid: \"k1\" });
            assert_eq(token.split(\".\").len, 3);
            assert_eq(jwt::decode(token).header, #{ alg: \"HS256\", kid: \"k1\", typ: \"JWT\" });
            assert_eq(jwt::sign(#{ sub: \"ann\" }, \"secret\"),
                \"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm4ifQ.PjR3fgnevdXvvFDIexpV052PaeBybdsfUE102L3fkg4\");
            assert_error(|| jwt::sign(#{}, \"secret\", #{ alg: \"HS265\" }), \"did you mean `HS256`\");
            assert_error(|| jwt::sign(#{}, \"secret\", #{ alg: \"RS256\" }), \"private key in PEM\");
        ",
    },
    FunctionDoc {
        signature: "jwt::decode(token) -> map",
        summary: "What a token says, as a map of `header` and `claims`. Its signature is not checked.",
        parameters: &[("token", "three parts with dots between them")],
        errors: "when it is no token",
        example: "
            let token = jwt::sign(#{ sub: \"ann\", roles: [\"buyer\"] }, \"secret\");
            assert_eq(jwt::decode(token).claims.roles, [\"buyer\"]);
            assert_error(|| jwt::decode(\"abc\"), \"three parts\");
        ",
    },
    FunctionDoc {
        signature: "jwt::verify(token, key) -> map, jwt::verify(token, key, options) -> map",
        summary: "The claims of a token whose signature and times are right.",
        parameters: &[
            ("token", "three parts with dots between them"),
            ("key", "the shared secret, a string or a blob; for the other algorithms a public or private key in PEM"),
            ("options", "a map, all of it optional: `alg` (the one that is expected, `HS256`), `leeway` (for times, `0.s`), `issuer` and `audience` (what `iss` and `aud` must be)"),
        ],
        errors: "when the token is none, is signed otherwise, has expired or is not valid yet, or was made by or for somebody else",
        example: "
            let token = jwt::sign(#{ sub: \"ann\", exp: time::now() + 60 }, \"secret\");
            assert_eq(jwt::verify(token, \"secret\").sub, \"ann\");
            assert_error(|| jwt::verify(token, \"guess\"), \"signature is wrong\");
            assert_error(|| jwt::verify(token, \"secret\", #{ alg: \"HS512\" }), \"expected `HS512`\");
            let old = jwt::sign(#{ exp: time::now() - 60 }, \"secret\");
            assert_error(|| jwt::verify(old, \"secret\"), \"has expired\");
            assert_eq(jwt::verify(old, \"secret\", #{ leeway: 2.m }).len(), 1);
        ",
    },
];

/// A worker's parsed keys.
struct Keys {
    signing: WorkerCache<SigningKey>,
    verifying: WorkerCache<VerifyingKey>,
}

fn register(engine: &mut Engine, context: &HostContext) {
    let keys = std::rc::Rc::new(Keys { signing: WorkerCache::new(KEYS_MAX), verifying: WorkerCache::new(KEYS_MAX) });
    let mut natives = Natives::default();
    let held = keys.clone();
    define(&mut natives, "sign", move |claims: Map, key: Dynamic| {
        on_worker_stack(|| sign(&held, claims, key, Map::new()))
    });
    let held = keys.clone();
    define(&mut natives, "sign", move |claims: Map, key: Dynamic, options: Map| {
        on_worker_stack(|| sign(&held, claims, key, options))
    });
    define(&mut natives, "decode", |token: ImmutableString| -> HostResult<Map> {
        on_worker_stack(|| {
            let parts = Parts::of(&token)?;
            let both = [("header".into(), parts.header.into()), ("claims".into(), parts.claims)];
            Ok(both.into_iter().collect())
        })
    });
    let held = keys.clone();
    define(&mut natives, "verify", move |token: ImmutableString, key: Dynamic| {
        on_worker_stack(|| verify(&held, &token, key, Map::new()))
    });
    define(&mut natives, "verify", move |token: ImmutableString, key: Dynamic, options: Map| {
        on_worker_stack(|| verify(&keys, &token, key, options))
    });
    publish(engine, context, MODULE.name, natives);
}

fn settings(given: Map, defaults: &[(&str, Dynamic)], function: &str) -> HostResult<(Map, Algorithm)> {
    let defaults = defaults.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
    let settings = args::options(given.into(), defaults, function)?;
    let name = settings.get("alg").map(ToString::to_string).unwrap_or_default();
    let algorithm = Algorithm::by_name(&name).map_err(|problem| host_error(format!("`{function}`: {problem}")))?;
    Ok((settings, algorithm))
}

/// The key's bytes, and what it is remembered under.
fn key_of(key: Dynamic, algorithm: Algorithm, function: &str) -> HostResult<(Data, String)> {
    let key = Data::from_value(key.flatten(), function, "key")?;
    let name = format!("{}\0{}", algorithm.name(), String::from_utf8_lossy(key.as_ref()));
    Ok((key, name))
}

fn encoded(text: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

fn sign(keys: &Keys, claims: Map, key: Dynamic, options: Map) -> HostResult<String> {
    const NAME: &str = "jwt::sign";
    let defaults = [("alg", "HS256".into()), ("kid", Dynamic::UNIT), ("headers", Map::new().into())];
    let (mut settings, algorithm) = settings(options, &defaults, NAME)?;
    let mut header: Map = settings.remove("headers").and_then(Dynamic::try_cast).unwrap_or_default();
    header.entry("typ".into()).or_insert_with(|| "JWT".into());
    header.insert("alg".into(), algorithm.name().into());
    if let Some(kid) = settings.remove("kid").filter(|kid| !kid.is_unit()) {
        header.insert("kid".into(), kid);
    }
    let json = |value: Map, what: &str| {
        stringify(value.into(), false).map_err(|error| host_error(format!("`{NAME}`: {what}: {error}")))
    };
    let mut token = format!("{}.{}", encoded(json(header, "headers")?), encoded(json(claims, "claims")?));
    let (bytes, name) = key_of(key, algorithm, NAME)?;
    let fail = |problem: String| host_error(format!("`{NAME}`: {problem}"));
    let signature = if algorithm.is_shared() {
        SigningKey::parse(algorithm, bytes.as_ref()).map_err(fail)?.sign(algorithm, token.as_bytes())
    } else {
        let key = keys.signing.get_or_make(&name, |_| SigningKey::parse(algorithm, bytes.as_ref())).map_err(fail)?;
        key.sign(algorithm, token.as_bytes())
    };
    let signature = signature.map_err(|problem| host_error(format!("`{NAME}`: {problem}")))?;
    token.push('.');
    token.push_str(&encoded(signature));
    Ok(token)
}

/// A token, taken apart.
struct Parts<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    header: Map,
    claims: Dynamic,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> HostResult<Self> {
        let fail = |problem: &str| {
            let shown: String = token.chars().take(16).collect();
            host_error(format!("`{shown}...` is no JSON web token: {problem}"))
        };
        if token.len() > TOKEN_LENGTH_MAX {
            return Err(fail("it is longer than 256 KiB"));
        }
        let token = token.trim();
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else {
            return Err(fail("a token has three parts with dots between them"));
        };
        let decoded = |part: &str, what: &str| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(part.trim_end_matches('='));
            bytes.map_err(|_| fail(&format!("its {what} is no base64 for URLs")))
        };
        let value = |part: &str, what: &str| -> HostResult<Dynamic> {
            let json = LazyJson::new(Bytes::from(decoded(part, what)?));
            json.value().map_err(|_| fail(&format!("its {what} is no JSON")))
        };
        let header = value(header, "header")?;
        Ok(Self {
            signed: &token[..token.rfind('.').unwrap_or_default()],
            signature: decoded(signature, "signature")?,
            claims: value(claims, "claims")?,
            header: header.try_cast().ok_or_else(|| fail("its header is no JSON object"))?,
        })
    }
}

fn verify(keys: &Keys, token: &str, key: Dynamic, options: Map) -> HostResult<Map> {
    const NAME: &str = "jwt::verify";
    let zero = Dynamic::from(std::time::Duration::ZERO);
    let defaults = [("alg", "HS256".into()), ("leeway", zero), ("issuer", Dynamic::UNIT), ("audience", Dynamic::UNIT)];
    let (settings, algorithm) = settings(options, &defaults, NAME)?;
    let parts = Parts::of(token)?;
    let refuse = |problem: String| host_error(format!("the token is not valid: {problem}"));
    let found = parts.header.get("alg").map(ToString::to_string).unwrap_or_default();
    // Never the algorithm that the token itself names: a forger would choose it.
    if found != algorithm.name() {
        return Err(refuse(format!("it is signed by `{found}`, expected `{}`", algorithm.name())));
    }
    let (bytes, name) = key_of(key, algorithm, NAME)?;
    let key = keys.verifying.get_or_make(&name, |_| VerifyingKey::parse(algorithm, bytes.as_ref()));
    let key = key.map_err(|problem| host_error(format!("`{NAME}`: {problem}")))?;
    if !key.fits(algorithm, parts.signed.as_bytes(), &parts.signature) {
        return Err(refuse("its signature is wrong".to_owned()));
    }
    let claims: Map = parts.claims.try_cast().ok_or_else(|| refuse("its claims are no JSON object".to_owned()))?;
    let leeway = settings.get("leeway").and_then(|value| value.clone().try_cast::<std::time::Duration>());
    let leeway = leeway.unwrap_or_default().as_secs_f64();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let time = |name: &str| {
        let value = claims.get(name)?;
        value.as_float().ok().or_else(|| value.as_int().ok().map(|seconds| seconds as f64))
    };
    if let Some(end) = time("exp").filter(|end| now - leeway >= *end) {
        return Err(refuse(format!("it has expired {:.0} s ago", now - end)));
    }
    if let Some(start) = time("nbf").filter(|start| now + leeway < *start) {
        return Err(refuse(format!("it is valid in {:.0} s only", start - now)));
    }
    for (setting, claim) in [("issuer", "iss"), ("audience", "aud")] {
        let Some(wanted) = settings.get(setting).filter(|wanted| !wanted.is_unit()).map(ToString::to_string) else {
            continue;
        };
        let held = match claims.get(claim) {
            None => false,
            Some(one) => match one.read_lock::<rhai::Array>() {
                Some(several) => several.iter().any(|one| one.to_string() == wanted),
                None => one.to_string() == wanted,
            },
        };
        if !held {
            return Err(refuse(format!("its `{claim}` is not `{wanted}`")));
        }
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RSA: &str = include_str!("../../../../tests/keys/rsa.pem");
    const RSA_OLD: &str = include_str!("../../../../tests/keys/rsa-pkcs1.pem");
    const RSA_PUBLIC: &str = include_str!("../../../../tests/keys/rsa-public.pem");
    const P256: &str = include_str!("../../../../tests/keys/p256.pem");
    const P256_OLD: &str = include_str!("../../../../tests/keys/p256-sec1.pem");
    const P256_PUBLIC: &str = include_str!("../../../../tests/keys/p256-public.pem");
    const P384: &str = include_str!("../../../../tests/keys/p384.pem");
    const P384_PUBLIC: &str = include_str!("../../../../tests/keys/p384-public.pem");
    const ED25519: &str = include_str!("../../../../tests/keys/ed25519.pem");
    const ED25519_PUBLIC: &str = include_str!("../../../../tests/keys/ed25519-public.pem");

    fn keys() -> Keys {
        Keys { signing: WorkerCache::new(KEYS_MAX), verifying: WorkerCache::new(KEYS_MAX) }
    }

    fn options(alg: &str) -> Map {
        [("alg".into(), alg.into())].into()
    }

    fn claims() -> Map {
        [("sub".into(), "ann".into()), ("n".into(), Dynamic::from(7_i64))].into()
    }

    fn told<T>(result: HostResult<T>) -> String {
        result.err().expect("an error").to_string()
    }

    #[test]
    fn every_algorithm_signs_what_its_public_key_accepts() {
        let keys = keys();
        for (alg, private, public) in [
            ("HS256", "secret", "secret"),
            ("HS384", "secret", "secret"),
            ("HS512", "secret", "secret"),
            ("RS256", RSA, RSA_PUBLIC),
            ("RS384", RSA_OLD, RSA_PUBLIC),
            ("RS512", RSA, RSA),
            ("PS256", RSA, RSA_PUBLIC),
            ("PS384", RSA, RSA_PUBLIC),
            ("PS512", RSA_OLD, RSA_OLD),
            ("ES256", P256, P256_PUBLIC),
            ("ES384", P384, P384_PUBLIC),
            ("EdDSA", ED25519, ED25519_PUBLIC),
        ] {
            let token = sign(&keys, claims(), private.into(), options(alg)).unwrap();
            let claims = verify(&keys, &token, public.into(), options(alg)).unwrap();
            assert_eq!(claims["sub"].to_string(), "ann", "{alg}");
            let forged = token.replacen("eyJuIjo3", "eyJuIjo4", 1);
            assert_ne!(forged, token, "{alg}");
            assert!(told(verify(&keys, &forged, public.into(), options(alg))).contains("signature is wrong"), "{alg}");
        }
    }

    /// RFC 7515, appendices A.1 and A.2; both expired in 2011, which is found after the signature.
    #[test]
    fn the_examples_of_the_standard_are_accepted() {
        let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let token =
            format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{claims}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = BASE64_URL_SAFE_NO_PAD.decode(key).unwrap();
        let error = told(verify(&keys(), &token, Dynamic::from_blob(key), options("HS256")));
        assert!(error.contains("it has expired"), "{error}");
    }

    #[test]
    fn keys_that_do_not_fit_are_named() {
        let keys = keys();
        for (alg, key, expected) in [
            ("RS256", "secret", "`RS256` needs a private key in PEM"),
            ("RS256", P256, "the key does not fit `RS256`, whose keys are of RSA"),
            ("ES384", P256, "the key does not fit `ES384`, whose keys are of the curve P-384"),
            ("ES256", P256_OLD, "openssl pkcs8 -topk8"),
            ("ES256", RSA_OLD, "needs a private key of the curve P-256, in PEM, this is another kind"),
            ("RS256", RSA_PUBLIC, "this is another kind"),
            ("XS256", "", "there is no algorithm `XS256`: did you mean"),
        ] {
            let error = told(sign(&keys, claims(), key.into(), options(alg)));
            assert!(error.contains(expected), "{alg}: {error}");
        }
    }

    #[test]
    fn claims_are_checked() {
        let keys = keys();
        let token = |pairs: &[(&str, Dynamic)]| {
            let claims = pairs.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
            sign(&keys, claims, "secret".into(), Map::new()).unwrap()
        };
        let with = |name: &str, value: &str| -> Map { [(name.into(), value.into())].into() };
        let far = Dynamic::from(99_999_999_999_i64);
        for (token, options, expected) in [
            (token(&[("nbf", far)]), Map::new(), "it is valid in"),
            (token(&[("exp", Dynamic::from(1.5))]), Map::new(), "it has expired"),
            (token(&[("iss", "me".into())]), with("issuer", "you"), "its `iss` is not `you`"),
            (token(&[]), with("audience", "you"), "its `aud` is not `you`"),
        ] {
            let error = told(verify(&keys, &token, "secret".into(), options));
            assert!(error.contains(expected), "{error}");
        }
        let several = token(&[("aud", vec![Dynamic::from("me"), "you".into()].into())]);
        assert!(verify(&keys, &several, "secret".into(), with("audience", "you")).is_ok());
    }

    proptest! {
        #[test]
        fn fuzz_no_token_does_harm(token in "[A-Za-z0-9_=-]{0,12}[.]?[A-Za-z0-9_-]{0,12}[.]?\\PC{0,12}") {
            prop_assert!(verify(&keys(), &token, "secret".into(), Map::new()).is_err());
        }

        #[test]
        fn fuzz_no_key_does_harm(der in proptest::collection::vec(any::<u8>(), 0..60)) {
            let pem = |kind: &str| format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", base64::prelude::BASE64_STANDARD.encode(&der));
            for alg in ["RS256", "ES256", "EdDSA"] {
                for kind in ["PUBLIC KEY", "PRIVATE KEY", "RSA PRIVATE KEY"] {
                    let _ = verify(&keys(), "e30.e30.AA", pem(kind).into(), options(alg));
                    prop_assert!(sign(&keys(), claims(), pem(kind).into(), options(alg)).is_err());
                }
            }
        }
    }
}
