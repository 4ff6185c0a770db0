//! Hashes, message authentication, encodings, and randomness that never repeats.
//!
//! `crypto::uuid` and `crypto::random_bytes` come from the operating system, for what must differ from run to run
//! (idempotency keys, user names on a server that keeps them). Choices that a seed should decide belong to `random`.
//! Signatures and ciphers are left out.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use rhai::{Blob, Dynamic, Engine, INT, ImmutableString};
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha256, Sha384, Sha512};

use super::argument::{Data, count};
use super::{FunctionDoc, HostModule, HostResult, Natives, define, publish};
use crate::script::context::HostContext;
use crate::script::error::host_error;
use crate::units::nearest;

/// The module.
pub const MODULE: HostModule = HostModule {
    name: "crypto",
    summary: "Hashes, HMAC, base64, hex, and randomness that differs from run to run.",
    docs: DOCS,
    register,
};

const DATA: (&str, &str) = ("data", "a string (as UTF-8) or a blob");
const ENCODING: (&str, &str) = ("encoding", "`hex` (the default), `base64`, `base64url`, or `blob`");
const VARIANT: (&str, &str) = (
    "variant",
    "`std` (the default), `url`, or without padding `rawstd` and `rawurl`; padding is optional in decoding",
);

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "crypto::md5(data) -> string, crypto::md5(data, encoding) -> string or blob",
        summary: "The MD5 hash, for systems that still ask for it.",
        parameters: &[DATA, ENCODING],
        errors: "when the encoding is not known",
        example: "assert_eq(crypto::md5(\"abc\"), \"900150983cd24fb0d6963f7d28e17f72\");",
    },
    FunctionDoc {
        signature: "crypto::sha1(data) -> string, crypto::sha1(data, encoding) -> string or blob",
        summary: "The SHA-1 hash.",
        parameters: &[DATA, ENCODING],
        errors: "when the encoding is not known",
        example: "assert_eq(crypto::sha1(\"abc\"), \"a9993e364706816aba3e25717850c26c9cd0d89d\");",
    },
    FunctionDoc {
        signature: "crypto::sha256(data) -> string, crypto::sha256(data, encoding) -> string or blob",
        summary: "The SHA-256 hash.",
        parameters: &[DATA, ENCODING],
        errors: "when the encoding is not known",
        example: "
            assert_eq(crypto::sha256(\"abc\"), \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\");
            assert_eq(crypto::sha256(\"abc\", \"base64\"), \"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\");
            assert_eq(crypto::sha256(\"abc\", \"blob\").len, 32);
            assert_error(|| crypto::sha256(\"abc\", \"base46\"), \"did you mean `base64`\");
        ",
    },
    FunctionDoc {
        signature: "crypto::sha384(data) -> string, crypto::sha384(data, encoding) -> string or blob",
        summary: "The SHA-384 hash.",
        parameters: &[DATA, ENCODING],
        errors: "when the encoding is not known",
        example: "assert_eq(crypto::sha384(\"abc\").sub_string(0, 16), \"cb00753f45a35e8b\");",
    },
    FunctionDoc {
        signature: "crypto::sha512(data) -> string, crypto::sha512(data, encoding) -> string or blob",
        summary: "The SHA-512 hash.",
        parameters: &[DATA, ENCODING],
        errors: "when the encoding is not known",
        example: "assert_eq(crypto::sha512(\"abc\").sub_string(0, 16), \"ddaf35a193617aba\");",
    },
    FunctionDoc {
        signature: "crypto::hmac(algorithm, key, data) -> string, crypto::hmac(algorithm, key, data, encoding) -> string or blob",
        summary: "The message authentication code of data under a key.",
        parameters: &[
            ("algorithm", "`md5`, `sha1`, `sha256`, `sha384` or `sha512`"),
            ("key", "a string or a blob"),
            DATA,
            ENCODING,
        ],
        errors: "when the algorithm or the encoding is not known",
        example: "
            let mac = crypto::hmac(\"sha256\", \"key\", \"The quick brown fox jumps over the lazy dog\");
            assert_eq(mac, \"f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8\");
            assert_error(|| crypto::hmac(\"sha265\", \"key\", \"data\"), \"did you mean `sha256`\");
        ",
    },
    FunctionDoc {
        signature: "crypto::base64_encode(data) -> string, crypto::base64_encode(data, variant) -> string",
        summary: "Data in base64.",
        parameters: &[DATA, VARIANT],
        errors: "when the variant is not known",
        example: "
            assert_eq(crypto::base64_encode(\"user:pass?\"), \"dXNlcjpwYXNzPw==\");
            assert_eq(crypto::base64_encode(\"user:pass?\", \"rawurl\"), \"dXNlcjpwYXNzPw\");
        ",
    },
    FunctionDoc {
        signature: "crypto::base64_decode(text) -> blob, crypto::base64_decode(text, variant) -> blob",
        summary: "The bytes of a base64 text; `.as_string()` makes a string of them.",
        parameters: &[("text", "in base64"), VARIANT],
        errors: "when the text is not base64, or the variant is not known",
        example: "
            assert_eq(crypto::base64_decode(\"aGVsbG8=\").as_string(), \"hello\");
            assert_eq(crypto::base64_decode(\"_-8\", \"url\").len, 2);
            assert_error(|| crypto::base64_decode(\"a*b\"), \"base64\");
        ",
    },
    FunctionDoc {
        signature: "crypto::hex_encode(data) -> string",
        summary: "Data as hexadecimal digits.",
        parameters: &[DATA],
        errors: "",
        example: "assert_eq(crypto::hex_encode(\"az\"), \"617a\");",
    },
    FunctionDoc {
        signature: "crypto::hex_decode(text) -> blob",
        summary: "The bytes of a text of hexadecimal digits.",
        parameters: &[("text", "an even number of digits")],
        errors: "when it is not hexadecimal",
        example: "
            assert_eq(crypto::hex_decode(\"617A\").as_string(), \"az\");
            assert_error(|| crypto::hex_decode(\"xy\"), \"hexadecimal\");
        ",
    },
    FunctionDoc {
        signature: "crypto::uuid() -> string",
        summary: "A UUID of version 4 that no other run will see; `random::uuid` is the one that a seed decides.",
        parameters: &[],
        errors: "when the system has no randomness to give",
        example: "
            assert_eq(crypto::uuid().len, 36);
            assert_eq(crypto::uuid() != crypto::uuid(), true);
        ",
    },
    FunctionDoc {
        signature: "crypto::random_bytes(n) -> blob",
        summary: "`n` bytes that no other run will see.",
        parameters: &[("n", "how many")],
        errors: "when `n` is negative or above 67108864, or the system has no randomness to give",
        example: "
            assert_eq(crypto::random_bytes(16).len, 16);
            assert_eq(crypto::random_bytes(16) != crypto::random_bytes(16), true);
        ",
    },
];

/// Algorithms, by the names that scripts use.
type Algorithm = (&'static str, fn(&[u8]) -> Vec<u8>, fn(&[u8], &[u8]) -> Vec<u8>);

const ALGORITHMS: [Algorithm; 5] = [
    ("md5", hash::<Md5>, mac::<Hmac<Md5>>),
    ("sha1", hash::<Sha1>, mac::<Hmac<Sha1>>),
    ("sha256", hash::<Sha256>, mac::<Hmac<Sha256>>),
    ("sha384", hash::<Sha384>, mac::<Hmac<Sha384>>),
    ("sha512", hash::<Sha512>, mac::<Hmac<Sha512>>),
];

fn hash<D: Digest>(data: &[u8]) -> Vec<u8> {
    D::digest(data).to_vec()
}

fn mac<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
    match <M as KeyInit>::new_from_slice(key) {
        Ok(mut mac) => {
            mac.update(data);
            mac.finalize().into_bytes().to_vec()
        }
        // HMAC takes keys of any length.
        Err(_) => Vec::new(),
    }
}

const VARIANTS: [(&str, GeneralPurpose); 4] = [
    ("std", base64_engine(&alphabet::STANDARD, true)),
    ("url", base64_engine(&alphabet::URL_SAFE, true)),
    ("rawstd", base64_engine(&alphabet::STANDARD, false)),
    ("rawurl", base64_engine(&alphabet::URL_SAFE, false)),
];

const fn base64_engine(alphabet: &alphabet::Alphabet, padding: bool) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(padding)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    for (name, hash, _) in ALGORITHMS {
        let digest = move |data: Dynamic, encoding: &str| -> HostResult<Dynamic> {
            encode(hash(Data::from_value(data, name, "data")?.as_ref()), encoding)
        };
        define(&mut natives, name, move |data: Dynamic| digest(data, "hex"));
        define(&mut natives, name, move |data: Dynamic, encoding: ImmutableString| digest(data, &encoding));
    }
    define(&mut natives, "hmac", |algorithm: ImmutableString, key: Dynamic, data: Dynamic| {
        hmac(&algorithm, key, data, "hex")
    });
    define(
        &mut natives,
        "hmac",
        |algorithm: ImmutableString, key: Dynamic, data: Dynamic, encoding: ImmutableString| {
            hmac(&algorithm, key, data, &encoding)
        },
    );
    define(&mut natives, "base64_encode", |data: Dynamic| base64_encode(data, "std"));
    define(&mut natives, "base64_encode", |data: Dynamic, variant: ImmutableString| base64_encode(data, &variant));
    define(&mut natives, "base64_decode", |text: ImmutableString| base64_decode(&text, "std"));
    define(&mut natives, "base64_decode", |text: ImmutableString, variant: ImmutableString| {
        base64_decode(&text, &variant)
    });
    define(&mut natives, "hex_encode", |data: Dynamic| {
        Data::from_value(data, "crypto::hex_encode", "data").map(hex::encode)
    });
    define(&mut natives, "hex_decode", |text: ImmutableString| -> HostResult<Blob> {
        hex::decode(text.as_str()).map_err(|error| {
            host_error(format!(
                "`crypto::hex_decode`: the text is not hexadecimal: {}",
                lowercase_start(&error.to_string())
            ))
        })
    });
    define(&mut natives, "uuid", uuid);
    define(&mut natives, "random_bytes", random_bytes);
    publish(engine, context, MODULE.name, natives);
}

/// The entry of a table, or an error with the nearest name.
fn named<'a, T>(table: &'a [T], name: &str, name_of: fn(&T) -> &'static str, what: &str) -> HostResult<&'a T> {
    table.iter().find(|&entry| name_of(entry) == name).ok_or_else(|| {
        let names = || table.iter().map(name_of);
        let hint = match nearest(name, names()) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => format!(": there are {}", names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
        };
        host_error(format!("there is no {what} `{name}`{hint}"))
    })
}

/// How bytes are given to a script, by the name that scripts use.
type Encoding = (&'static str, fn(Vec<u8>) -> Dynamic);

fn encode(bytes: Vec<u8>, encoding: &str) -> HostResult<Dynamic> {
    const ENCODINGS: [Encoding; 4] = [
        ("hex", |bytes| hex::encode(bytes).into()),
        ("base64", |bytes| VARIANTS[0].1.encode(bytes).into()),
        ("base64url", |bytes| VARIANTS[3].1.encode(bytes).into()),
        ("blob", Dynamic::from_blob),
    ];
    let (_, encode) = named(&ENCODINGS, encoding, |&(name, _)| name, "encoding")?;
    Ok(encode(bytes))
}

fn hmac(algorithm: &str, key: Dynamic, data: Dynamic, encoding: &str) -> HostResult<Dynamic> {
    let (_, _, mac) = named(&ALGORITHMS, algorithm, |&(name, ..)| name, "algorithm")?;
    let key = Data::from_value(key, "crypto::hmac", "key")?;
    let data = Data::from_value(data, "crypto::hmac", "data")?;
    encode(mac(key.as_ref(), data.as_ref()), encoding)
}

fn base64_encode(data: Dynamic, variant: &str) -> HostResult<ImmutableString> {
    let (_, engine) = named(&VARIANTS, variant, |&(name, _)| name, "base64 variant")?;
    Ok(engine.encode(Data::from_value(data, "crypto::base64_encode", "data")?).into())
}

fn base64_decode(text: &str, variant: &str) -> HostResult<Blob> {
    let (_, engine) = named(&VARIANTS, variant, |&(name, _)| name, "base64 variant")?;
    engine.decode(text).map_err(|error| {
        let problem = lowercase_start(&error.to_string());
        host_error(format!("`crypto::base64_decode`: the text is not base64 ({variant}): {problem}"))
    })
}

fn lowercase_start(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn uuid() -> HostResult<ImmutableString> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    Ok(ImmutableString::from(&*id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())))
}

fn random_bytes(n: INT) -> HostResult<Blob> {
    let mut bytes = vec![0; count(n, "crypto::random_bytes", "n")?];
    fill(&mut bytes)?;
    Ok(bytes)
}

fn fill(bytes: &mut [u8]) -> HostResult<()> {
    getrandom::fill(bytes).map_err(|error| host_error(format!("the system has no randomness to give: {error}")))
}
