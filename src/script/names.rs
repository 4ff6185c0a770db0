//! The name of a request that the script does not name: its URL without what differs from case to case.
//!
//! `/item/1` and `/item/2` are the same request to whoever reads a report. So the query and the fragment are left out,
//! and a path segment that looks like an id becomes `{id}`:
//!
//! * a number: `42`, `-7`;
//! * a UUID: `0b6e2a1e-9d0c-4b9e-8f5e-2f1f0f0a4f11`;
//! * eight or more hexadecimal digits with at least one decimal digit among them: `5f1d7e84`;
//! * sixteen or more letters, digits, `-` and `_` with at least two digits among them: tokens, ULIDs, object ids;
//! * an e-mail address.
//!
//! A file's extension stays: `/img/1234.jpg` becomes `/img/{id}.jpg`. Everything else needs a `name` of its own.

use url::Url;

/// What stands for an id.
const ID: &str = "{id}";

/// Writes the default name of requests to `url` into `out`.
pub fn default_name(url: &Url, out: &mut String) {
    out.clear();
    out.push_str(url.scheme());
    out.push_str("://");
    if let Some(host) = url.host_str() {
        out.push_str(host);
    }
    if let Some(port) = url.port() {
        out.push(':');
        out.push_str(&port.to_string());
    }
    for segment in url.path().split('/').skip(1) {
        out.push('/');
        push_segment(segment, out);
    }
}

fn push_segment(segment: &str, out: &mut String) {
    if is_id(segment) {
        out.push_str(ID);
        return;
    }
    match segment.rsplit_once('.') {
        Some((stem, extension)) if is_extension(extension) && is_id(stem) => {
            out.push_str(ID);
            out.push('.');
            out.push_str(extension);
        }
        _ => out.push_str(segment),
    }
}

fn is_extension(text: &str) -> bool {
    (1..=5).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
        && !text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether such a segment is taken for an id, and so grouped with others of its kind.
#[must_use]
pub fn is_folded(segment: &str) -> bool {
    let mut out = String::new();
    push_segment(segment, &mut out);
    out != segment
}

fn is_id(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return segment.contains('@') || segment.contains("%40");
    }
    let unsigned = segment.strip_prefix('-').unwrap_or(segment);
    if digits == unsigned.len() {
        return true;
    }
    let len = segment.len();
    let hex = segment.bytes().filter(u8::is_ascii_hexdigit).count();
    let hyphens = segment.bytes().filter(|&b| b == b'-').count();
    if len == 36 && hyphens == 4 && hex == 32 || len >= 8 && hex == len {
        return true;
    }
    len >= 16
        && digits >= 2
        && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !is_words(segment)
        || segment.contains('@')
        || segment.contains("%40")
}

/// Whether a long segment reads as words with a number (`summer-sale-2026`), not as a token.
fn is_words(segment: &str) -> bool {
    segment
        .split(['-', '_'])
        .all(|word| word.bytes().all(|b| b.is_ascii_lowercase()) || word.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(url: &str) -> String {
        let mut out = String::from("left over");
        default_name(&Url::parse(url).expect("a URL"), &mut out);
        out
    }

    #[test]
    fn ids_are_folded() {
        for (url, expected) in [
            ("http://h/item/1", "http://h/item/{id}"),
            ("http://h/item/-7/x", "http://h/item/{id}/x"),
            ("http://h:81/item/12345?q=1#f", "http://h:81/item/{id}"),
            ("http://h/u/0b6e2a1e-9d0c-4b9e-8f5e-2f1f0f0a4f11/cart", "http://h/u/{id}/cart"),
            ("http://h/c/5f1d7e84", "http://h/c/{id}"),
            ("http://h/c/DEADBEEF01", "http://h/c/{id}"),
            ("http://h/t/01ARZ3NDEKTSV4RRFFQ69G5FAV", "http://h/t/{id}"),
            ("http://h/img/1234.jpg", "http://h/img/{id}.jpg"),
            ("http://h/users/ann@example.org", "http://h/users/{id}"),
            ("http://h/users/ann%40example.org", "http://h/users/{id}"),
        ] {
            assert_eq!(name(url), expected, "{url}");
        }
    }

    #[test]
    fn words_stay() {
        for url in [
            "http://h/",
            "http://h/item/red-shoe",
            "http://h/v2/api",
            "http://h/decade/facade",
            "http://h/sale/summer-sale-2026-week-12",
            "http://h/a//b/",
            "http://h/index.html",
            "http://h/v1.2",
        ] {
            assert_eq!(name(url), url, "{url}");
        }
    }
}
