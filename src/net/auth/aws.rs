//! Signature Version 4 of Amazon's services, and of what speaks like them (MinIO, R2, OpenSearch): the head of a request is
//! brought into one form, hashed, and signed with a key that is derived from the secret one.
//!
//! All headers that the request carries are signed, but those that machines on the way may change. The body is signed by
//! its hash; one that is streamed goes as `UNSIGNED-PAYLOAD`, which S3 accepts over TLS.

use std::fmt;

use ::http::header::AUTHORIZATION;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::Sha256;
use sha2::digest::Digest as _;

/// What the header begins with.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// What is not signed: proxies and load balancers may change it.
const UNSIGNED: [&str; 8] = [
    "authorization",
    "connection",
    "user-agent",
    "expect",
    "transfer-encoding",
    "x-amzn-trace-id",
    "traceparent",
    "accept-encoding",
];

/// All but the characters that RFC 3986 calls unreserved.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for a path, whose slashes stay.
const STRICT_PATH: &AsciiSet = &STRICT.remove(b'/');

/// Whose requests these are, and where they go.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// `eu-central-1`.
    pub region: String,
    /// `s3`, `execute-api`.
    pub service: String,
    /// The id of the key.
    pub access_key: String,
    /// The secret.
    pub secret_key: String,
    /// The token of temporary credentials.
    pub session_token: Option<String>,
}

/// Without what is secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, service, .. } = self;
        f.debug_struct("Key").field("region", region).field("service", service).finish_non_exhaustive()
    }
}

/// A body, as far as it can be signed.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// All of it.
    Bytes(&'a [u8]),
    /// One that is not known before it is sent.
    Streamed,
}

/// Signs a request: adds `X-Amz-Date`, `Authorization` and, where they are due, `X-Amz-Content-Sha256` and
/// `X-Amz-Security-Token` to its headers. `path` and `query` are as they go out, percent-encoded. An `X-Amz-Date` that is there
/// already is kept when it can be read; a value that no header can carry is left out.
pub fn sign(
    key: &Key,
    method: &Method,
    (path, query): (&str, &str),
    headers: &mut HeaderMap,
    payload: Payload<'_>,
    now: Timestamp,
) {
    let is_s3 = key.service.starts_with("s3");
    let given = headers.get(&DATE).and_then(|value| value.to_str().ok()).filter(|date| date.len() == 16);
    let date = given.map_or_else(|| now.strftime("%Y%m%dT%H%M%SZ").to_string(), str::to_owned);
    let body = match (headers.get(&CONTENT_SHA256), payload) {
        (Some(given), _) => String::from_utf8_lossy(given.as_bytes()).into_owned(),
        (None, Payload::Bytes(bytes)) => hex::encode(Sha256::digest(bytes)),
        (None, Payload::Streamed) => "UNSIGNED-PAYLOAD".to_owned(),
    };
    let mut add = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    add(DATE, &date);
    if is_s3 || matches!(payload, Payload::Streamed) {
        add(CONTENT_SHA256, &body);
    }
    if let Some(token) = &key.session_token {
        add(SECURITY_TOKEN, token);
    }
    // S3 takes the path as it is; all others see one that is encoded once more.
    let path = if is_s3 { encoded_once(path) } else { utf8_percent_encode(path, STRICT_PATH).to_string() };
    let (names, canonical) = canonical_headers(headers);
    let request = format!("{method}\n{path}\n{}\n{canonical}\n{names}\n{body}", canonical_query(query));
    let value = authorization(key, &date, &names, &request);
    if let Ok(mut value) = HeaderValue::from_str(&value) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}

/// The header's value for a request in its canonical form.
fn authorization(key: &Key, date: &str, names: &str, request: &str) -> String {
    let day = date.get(..8).unwrap_or_default();
    let scope = format!("{day}/{}/{}/aws4_request", key.region, key.service);
    let text = format!("{ALGORITHM}\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(request)));
    let mut derived = hmac(format!("AWS4{}", key.secret_key).as_bytes(), day);
    for part in [key.region.as_str(), &key.service, "aws4_request"] {
        derived = hmac(&derived, part);
    }
    let signature = hex::encode(hmac(&derived, &text));
    format!("{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", key.access_key)
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key may have any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// A path with each character that may be encoded encoded, once.
fn encoded_once(path: &str) -> String {
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    percent_encoding::percent_encode(&decoded, STRICT_PATH).to_string()
}

/// Names and values encoded strictly and sorted.
fn canonical_query(query: &str) -> String {
    let strictly = |text: &str| {
        // In a query a plus is a space.
        let decoded: Vec<u8> = percent_decode_str(&text.replace('+', " ")).collect();
        percent_encoding::percent_encode(&decoded, STRICT).to_string()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<(String, String)> = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (strictly(name), strictly(value))
        })
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// The names of the headers that are signed, and they with their values, a line each.
fn canonical_headers(headers: &HeaderMap) -> (String, String) {
    let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).filter(|name| !UNSIGNED.contains(name)).collect();
    names.sort_unstable();
    let mut lines = String::new();
    for name in &names {
        let values: Vec<String> = headers
            .get_all(*name)
            .iter()
            .map(|value| {
                let text = String::from_utf8_lossy(value.as_bytes());
                text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
            })
            .collect();
        lines.push_str(name);
        lines.push(':');
        lines.push_str(&values.join(","));
        lines.push('\n');
    }
    (names.join(";"), lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    fn key(service: &str, access_key: &str, secret_key: &str) -> Key {
        Key {
            region: "us-east-1".into(),
            service: service.into(),
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            session_token: None,
        }
    }

    fn signature(headers: &HeaderMap) -> &str {
        headers[AUTHORIZATION].to_str().unwrap().rsplit_once("Signature=").unwrap().1
    }

    /// Requests of Amazon's published test suite with their signatures.
    #[test]
    fn the_published_vectors_come_out() {
        let key = key("service", "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let now: Timestamp = "2015-08-30T12:36:00Z".parse().unwrap();
        let host = ("Host", "example.amazonaws.com");
        let form = ("Content-Type", "application/x-www-form-urlencoded");
        for (name, method, path, query, given, body, expected) in [
            (
                "get-vanilla",
                Method::GET,
                "/",
                "",
                vec![host],
                "",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "get-vanilla-query-order-key-case",
                Method::GET,
                "/",
                "Param2=value2&Param1=value1",
                vec![host],
                "",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "get-vanilla-empty-query-key",
                Method::GET,
                "/",
                "Param1=value1",
                vec![host],
                "",
                "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
            ),
            (
                "get-vanilla-query-order-encoded",
                Method::GET,
                "/",
                "Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
                vec![host],
                "",
                "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
            ),
            (
                "get-unreserved",
                Method::GET,
                "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                "",
                vec![host],
                "",
                "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ),
            (
                "get-header-value-trim",
                Method::GET,
                "/",
                "",
                vec![host, ("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
                "",
                "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
            ),
            (
                "post-vanilla",
                Method::POST,
                "/",
                "",
                vec![host],
                "",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-x-www-form-urlencoded",
                Method::POST,
                "/",
                "",
                vec![
                    form,
                    host,
                    ("Content-Length", "13"),
                    ("X-Amz-Content-Sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"),
                ],
                "Param1=value1",
                "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
            ),
        ] {
            let mut headers = headers(&given);
            headers.insert("user-agent", HeaderValue::from_static("not signed"));
            sign(&key, &method, (path, query), &mut headers, Payload::Bytes(body.as_bytes()), now);
            assert_eq!(signature(&headers), expected, "{name}");
            assert_eq!(headers[DATE], "20150830T123600Z");
        }
    }

    /// The example of S3's documentation: a GET with a range.
    #[test]
    fn the_example_of_s3_comes_out() {
        let key = key("s3", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let mut headers = headers(&[("Host", "examplebucket.s3.amazonaws.com"), ("Range", "bytes=0-9")]);
        let now = "2013-05-24T00:00:00Z".parse().unwrap();
        sign(&key, &Method::GET, ("/test.txt", ""), &mut headers, Payload::Bytes(b""), now);
        assert_eq!(signature(&headers), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
        assert_eq!(headers[CONTENT_SHA256], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn streams_and_sessions_are_told() {
        let mut key = key("s3", "A", "S");
        key.session_token = Some("T".into());
        let mut headers = headers(&[("Host", "b.s3.test")]);
        sign(&key, &Method::PUT, ("/a", ""), &mut headers, Payload::Streamed, Timestamp::UNIX_EPOCH);
        assert_eq!(headers[CONTENT_SHA256], "UNSIGNED-PAYLOAD");
        assert_eq!(headers[SECURITY_TOKEN], "T");
        let value = headers[AUTHORIZATION].to_str().unwrap();
        assert!(
            value.starts_with("AWS4-HMAC-SHA256 Credential=A/19700101/us-east-1/s3/aws4_request, SignedHeaders=host;")
        );
        assert!(value.contains("x-amz-content-sha256;x-amz-date;x-amz-security-token"), "{value}");
    }

    #[test]
    fn paths_and_queries_have_one_form() {
        // As it is in the suite, too: what goes out is encoded once more for all but S3.
        let twice = utf8_percent_encode("/test/@connections/JBDvjfGEIAMCERw%3D", STRICT_PATH).to_string();
        assert_eq!(twice, "/test/%40connections/JBDvjfGEIAMCERw%253D");
        assert_eq!(encoded_once("/a%2fb(1)/%E1%88%B4"), "/a/b%281%29/%E1%88%B4");
        for (query, expected) in [
            ("", ""),
            ("b&a=", "a=&b="),
            ("a=2&a=1", "a=1&a=2"),
            ("q=a+b%20c&x=%7e", "q=a%20b%20c&x=~"),
            ("list-type=2&prefix=a/b", "list-type=2&prefix=a%2Fb"),
            ("%E1%88%B4=bar", "%E1%88%B4=bar"),
        ] {
            assert_eq!(canonical_query(query), expected, "{query}");
        }
    }
}
