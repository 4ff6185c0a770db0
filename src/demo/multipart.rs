//! Multipart bodies, taken apart as they come: no part is ever held whole.
//!
//! The parser keeps what it cannot judge yet: a part's headers until they are whole, and at the end of a piece the few
//! bytes that might be the beginning of a delimiter.

use memchr::memmem::{self, Finder};

/// The most bytes of a part's headers.
const HEADERS_MAX: usize = 8 * 1024;

/// The most headers of a part.
const HEADER_COUNT_MAX: usize = 16;

/// A body that is not multipart as its content type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MultipartError {
    /// Neither a part nor the end follows a delimiter.
    #[error("a boundary must be followed by a line end or `--`")]
    Delimiter,
    /// Headers that are not.
    #[error("a part's headers are malformed or longer than {HEADERS_MAX} bytes")]
    Headers,
    /// A part of a form without a name.
    #[error("a part needs `content-disposition: form-data` with a `name`")]
    Name,
    /// The body ended before its last delimiter.
    #[error("the body ends without its closing boundary")]
    Unfinished,
}

/// The headers of a part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PartHead {
    /// The field's name.
    pub(super) name: String,
    /// The file's name; none for a plain field.
    pub(super) file_name: Option<String>,
    /// The part's content type; empty when it has none.
    pub(super) content_type: String,
}

/// What the parser finds, in order: a part, its data in any number of pieces, its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    Part(PartHead),
    Data(&'a [u8]),
    PartEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first delimiter.
    Preamble,
    /// Right behind a delimiter.
    Delimiter,
    Headers,
    Data,
    /// Behind the closing delimiter.
    Epilogue,
}

/// A multipart parser.
pub(super) struct Multipart {
    /// Finds CR LF, `--` and the boundary.
    delimiter: Finder<'static>,
    pending: Vec<u8>,
    state: State,
}

impl Multipart {
    /// A parser for the boundary that a `content-type` names; none when it is not multipart or has no usable boundary.
    pub(super) fn new(content_type: &str) -> Option<Self> {
        let (media_type, _) = content_type.split_once(';')?;
        let boundary = parameter(content_type, "boundary")?;
        let fits = media_type.trim().eq_ignore_ascii_case("multipart/form-data") && (1..=70).contains(&boundary.len());
        fits.then(|| Self {
            delimiter: Finder::new(&format!("\r\n--{boundary}")).into_owned(),
            // The first delimiter has no line end before it: lend it one.
            pending: b"\r\n".to_vec(),
            state: State::Preamble,
        })
    }

    /// Takes the next bytes and tells `each` what was in them. An error of `each` ends the parsing.
    pub(super) fn feed<E: From<MultipartError>>(
        &mut self,
        data: &[u8],
        mut each: impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { delimiter, pending, state } = self;
        pending.extend_from_slice(data);
        let delimiter_length = delimiter.needle().len();
        let mut at = 0;
        loop {
            let rest = &pending[at..];
            match *state {
                State::Preamble | State::Data => {
                    let found = delimiter.find(rest);
                    // Without a delimiter, all but what may be the beginning of one is judged.
                    let judged = found.unwrap_or((rest.len() + 1).saturating_sub(delimiter_length));
                    if *state == State::Data && judged > 0 {
                        each(Event::Data(&rest[..judged]))?;
                    }
                    at += judged;
                    if found.is_none() {
                        break;
                    }
                    if *state == State::Data {
                        each(Event::PartEnd)?;
                    }
                    at += delimiter_length;
                    *state = State::Delimiter;
                }
                State::Delimiter => {
                    // RFC 2046 allows blanks behind a boundary.
                    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                    at += blanks;
                    let rest = &rest[blanks..];
                    if rest.len() < 2 {
                        break;
                    }
                    *state = match &rest[..2] {
                        b"\r\n" => State::Headers,
                        b"--" => State::Epilogue,
                        _ => return Err(MultipartError::Delimiter.into()),
                    };
                    // The line end stays, so that headers that are missing altogether still end in an empty line.
                    at += if *state == State::Epilogue { 2 } else { 0 };
                }
                State::Headers => match memmem::find(rest, b"\r\n\r\n") {
                    Some(end) if end <= HEADERS_MAX => {
                        // Without the delimiter's own line end.
                        let block = &rest[2..end + 4];
                        each(Event::Part(part_head(block)?))?;
                        at += end + 4;
                        *state = State::Data;
                    }
                    None if rest.len() <= HEADERS_MAX => break,
                    _ => return Err(MultipartError::Headers.into()),
                },
                State::Epilogue => {
                    at = pending.len();
                    break;
                }
            }
        }
        pending.drain(..at);
        Ok(())
    }

    /// Says whether the body was whole.
    pub(super) fn finish(&self) -> Result<(), MultipartError> {
        if self.state == State::Epilogue { Ok(()) } else { Err(MultipartError::Unfinished) }
    }
}

/// Reads a part's headers; `block` ends with an empty line.
fn part_head(block: &[u8]) -> Result<PartHead, MultipartError> {
    let mut storage = [httparse::EMPTY_HEADER; HEADER_COUNT_MAX];
    let Ok(httparse::Status::Complete((_, headers))) = httparse::parse_headers(block, &mut storage) else {
        return Err(MultipartError::Headers);
    };
    let value = |name: &str| {
        let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.and_then(|header| std::str::from_utf8(header.value).ok()).unwrap_or_default()
    };
    let disposition = value("content-disposition");
    let kind = disposition.split(';').next().unwrap_or_default().trim();
    match parameter(disposition, "name") {
        Some(name) if kind.eq_ignore_ascii_case("form-data") => Ok(PartHead {
            name,
            file_name: parameter(disposition, "filename"),
            content_type: value("content-type").to_owned(),
        }),
        _ => Err(MultipartError::Name),
    }
}

/// A parameter of a header's value: `b` of `a; name=b` or `a; name="b"`.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_start_matches([';', ' ', '\t']).trim_end();
        let mut text = String::new();
        let end = if let Some(quoted) = after.strip_prefix('"') {
            let mut chars = quoted.char_indices();
            loop {
                match chars.next()? {
                    (at, '"') => break at + 2,
                    // Browsers write `%22` for a quote; a backslash escapes one, and is itself elsewhere (`C:\cat.jpg`).
                    (at, '\\') if quoted[at + 1..].starts_with(['"', '\\']) => text.push(chars.next()?.1),
                    (_, c) => text.push(c),
                }
            }
        } else {
            let end = after.find(';').unwrap_or(after.len());
            text.push_str(after[..end].trim());
            end
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(text);
        }
        rest = &after[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything in `body`, which arrives in pieces of `step` bytes: one line a part.
    fn parts(body: &str, step: usize) -> Result<Vec<String>, MultipartError> {
        let mut parser = Multipart::new("multipart/form-data; boundary=XX").unwrap();
        let mut seen: Vec<String> = Vec::new();
        for piece in body.as_bytes().chunks(step) {
            parser.feed(piece, |event| {
                match event {
                    Event::Part(head) => {
                        let file =
                            head.file_name.map_or(String::new(), |name| format!(" ({name}, {})", head.content_type));
                        seen.push(format!("{}{file}: ", head.name));
                    }
                    Event::Data(data) => seen.last_mut().unwrap().push_str(std::str::from_utf8(data).unwrap()),
                    Event::PartEnd => seen.last_mut().unwrap().push('.'),
                }
                Ok::<_, MultipartError>(())
            })?;
        }
        parser.finish().map(|()| seen)
    }

    #[test]
    fn parts_are_found_however_they_arrive() {
        let body = "preamble\r\n--XX\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nmy picture\r\n--XX \r\n\
                    content-type: image/png\r\nContent-Disposition: form-data; filename=\"a \\\"b\\\".png\"; name=photo\r\n\r\n\
                    \r\n--X\r\n-\r\n--YY\r\n--XX\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--XX--\r\nepilogue";
        for step in [1, 2, 3, 5, 7, 64, 1000] {
            let expected = ["title: my picture.", "photo (a \"b\".png, image/png): \r\n--X\r\n-\r\n--YY.", "empty: ."];
            assert_eq!(parts(body, step).unwrap(), expected, "by {step}");
        }
        assert_eq!(parts("--XX--", 1).unwrap(), [""; 0]);
    }

    #[test]
    fn broken_bodies_are_refused() {
        let named = "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n";
        let table = [
            (String::new(), MultipartError::Unfinished),
            ("--XX".to_owned(), MultipartError::Unfinished),
            (named.to_owned(), MultipartError::Unfinished),
            (format!("{named}data\r\n--XX\r\n"), MultipartError::Unfinished),
            (format!("{named}data\r\n--XXYZ"), MultipartError::Delimiter),
            ("--XX\r\nContent-Disposition: form-data\r\n\r\n".to_owned(), MultipartError::Name),
            ("--XX\r\nContent-Disposition: attachment; name=a\r\n\r\n".to_owned(), MultipartError::Name),
            ("--XX\r\nContent-Disposition: form-data; name=\"a\r\n\r\n".to_owned(), MultipartError::Name),
            ("--XX\r\n\r\ndata".to_owned(), MultipartError::Name),
            ("--XX\r\nno header\r\n\r\n".to_owned(), MultipartError::Headers),
            (format!("--XX\r\nA: {}", "x".repeat(HEADERS_MAX)), MultipartError::Headers),
            (format!("--XX\r\n{}\r\n", "A: b\r\n".repeat(HEADER_COUNT_MAX + 1)), MultipartError::Headers),
        ];
        for (body, error) in table {
            for step in [1, 1000] {
                assert_eq!(parts(&body, step), Err(error), "{body:.60?} by {step}");
            }
        }
    }

    #[test]
    fn only_multipart_forms_have_a_parser() {
        for (content_type, usable) in [
            ("multipart/form-data; boundary=a", true),
            ("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\"", true),
            ("multipart/form-data", false),
            ("multipart/form-data; boundary=", false),
            ("multipart/mixed; boundary=a", false),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(Multipart::new(content_type).is_some(), usable, "{content_type}");
        }
        assert!(Multipart::new(&format!("multipart/form-data; boundary={}", "a".repeat(71))).is_none());
    }

    #[test]
    fn parameters_are_read_quoted_and_bare() {
        let value = r#"form-data; name="a;b=c"; filename="C:\cat\"s.jpg"; x=1 ;y=2"#;
        for (name, text) in [
            ("name", Some("a;b=c")),
            ("FILENAME", Some("C:\\cat\"s.jpg")),
            ("x", Some("1")),
            ("y", Some("2")),
            ("z", None),
        ] {
            assert_eq!(parameter(value, name).as_deref(), text, "{name}");
        }
    }
}
