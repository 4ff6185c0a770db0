//! A request with all that it led to as text, for whoever debugs a script under load: what goes out behind `>`, what comes
//! in behind `<`. Secrets were taken out when the [`Requested`] was made.

use super::{Excerpt, Requested};
use crate::units::format::{format_bytes, format_duration};

/// The request and its responses, a line each for what was asked and what came, then the headers, and bodies if they are
/// wanted.
#[must_use]
pub fn text(requested: &Requested, bodies: bool) -> String {
    let mut lines = Vec::new();
    for (at, hop) in requested.hops.iter().enumerate() {
        let named = if requested.name.is_empty() || at > 0 { String::new() } else { format!("  ({})", requested.name) };
        lines.push(format!("> {} {}{named}", hop.method, hop.url));
        if at == 0 {
            exchange_part(&mut lines, '>', &requested.headers, &requested.body, bodies);
        }
        if let Some(error) = &hop.error {
            lines.push(format!("! {error}"));
        }
        if hop.status == 0 {
            continue;
        }
        let protocol = hop.protocol.as_deref().unwrap_or("HTTP");
        let took = format_duration(hop.phases.total());
        lines.push(format!("< {protocol} {}  {}  {took}", hop.status, format_bytes(hop.size)));
        exchange_part(&mut lines, '<', &hop.headers, &hop.body, bodies);
    }
    lines.join("\n")
}

fn exchange_part(lines: &mut Vec<String>, mark: char, headers: &[(String, String)], body: &Excerpt, bodies: bool) {
    lines.extend(headers.iter().map(|(name, value)| format!("{mark} {name}: {value}")));
    if !bodies || (body.text.is_empty() && body.note.is_none()) {
        return;
    }
    lines.push(mark.to_string());
    lines.extend(body.text.lines().map(|line| format!("{mark} {line}")));
    match body.note {
        Some("cut") => lines.push(format!("{mark} … {} in all", format_bytes(body.size))),
        Some(note) if body.size > 0 => lines.push(format!("{mark} ({note}, {})", format_bytes(body.size))),
        Some(note) => lines.push(format!("{mark} ({note})")),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::Hop;
    use super::*;

    #[test]
    fn a_request_reads_as_it_went_over_the_wire() {
        let pairs = |pairs: &[(&str, &str)]| pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect();
        let hop = |status, url: &str| Hop {
            method: "POST".into(),
            url: url.into(),
            status,
            size: 2_048,
            protocol: (status > 0).then(|| "HTTP/1.1".into()),
            ..Hop::default()
        };
        let body = Excerpt { text: "one\ntwo".into(), size: 5_000, note: Some("cut") };
        let requested = Requested {
            name: "log in".into(),
            expected: false,
            headers: pairs(&[("accept", "*/*")]),
            body: Excerpt { text: "a=b".into(), size: 3, note: None },
            hops: vec![
                Hop { headers: pairs(&[("location", "/b")]), ..hop(302, "http://a/") },
                Hop { body, ..hop(200, "http://a/b") },
                Hop { error: Some("connection refused".into()), ..hop(0, "http://a/c") },
            ],
        };
        let told = text(&requested, true);
        let expected = "> POST http://a/  (log in)\n> accept: */*\n>\n> a=b\n< HTTP/1.1 302  2.0 kB  0s\n< location: /b\n\
                        > POST http://a/b\n< HTTP/1.1 200  2.0 kB  0s\n<\n< one\n< two\n< … 5.0 kB in all\n\
                        > POST http://a/c\n! connection refused";
        assert_eq!(told, expected);
        let short = text(&requested, false);
        assert!(!short.contains("a=b") && !short.contains("two") && short.contains("< location: /b"), "{short}");
    }
}
