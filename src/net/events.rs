//! Streams of events and of lines: `text/event-stream` as the HTML standard defines it, and NDJSON. Pure: bytes in, events
//! out, however the bytes are cut.

use std::rc::Rc;

/// How a stream is cut into events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/event-stream`.
    Events,
    /// A line is an event; empty lines are none.
    Lines,
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type: `message` where it gives none, and for lines.
    pub event: String,
    /// Its data; several lines of it are joined by line feeds.
    pub data: String,
    /// The latest id that the stream gave: one text for all events that have it, so that a long one costs its length once.
    pub id: Rc<str>,
    /// How long to wait before connecting again, in milliseconds, if the stream has said so since the event before.
    pub retry_ms: Option<u64>,
}

/// That an event is longer than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// A stream that is being cut.
#[derive(Debug)]
pub struct Parser {
    format: Format,
    /// The most bytes of an event's data together with the line that is being read.
    max_bytes: usize,
    /// The line that is not complete yet.
    line: Vec<u8>,
    /// Whether the line before ended with a carriage return: a line feed right behind belongs to it.
    after_return: bool,
    begun: bool,
    has_data: bool,
    next: Event,
}

impl Parser {
    /// A parser at the start of a stream, whose events have at most so many bytes.
    #[must_use]
    pub fn new(format: Format, max_bytes: usize) -> Self {
        Self {
            format,
            max_bytes,
            line: Vec::new(),
            after_return: false,
            begun: false,
            has_data: false,
            next: Event::default(),
        }
    }

    /// Takes what arrived, and gives each event that it completes.
    ///
    /// # Errors
    /// When an event, or a line of one, grows longer than allowed.
    pub fn feed(&mut self, mut bytes: &[u8], mut give: impl FnMut(Event)) -> Result<(), TooLong> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_return) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = match self.format {
                Format::Events => memchr::memchr2(b'\n', b'\r', bytes),
                Format::Lines => memchr::memchr(b'\n', bytes),
            };
            let text = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + text.len() + self.next.data.len() > self.max_bytes {
                return Err(TooLong);
            }
            let Some(end) = end else {
                self.line.extend_from_slice(text);
                return Ok(());
            };
            self.after_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            if self.line.is_empty() {
                self.take_line(text, &mut give);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(text);
                self.take_line(&line, &mut give);
                line.clear();
                self.line = line;
            }
        }
        Ok(())
    }

    /// The stream has ended: a last line without a line feed is one, an event without its empty line is none.
    pub fn finish(&mut self, give: impl FnOnce(Event)) {
        if self.format == Format::Lines && !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            let mut give = Some(give);
            self.take_line(&line, &mut |event| {
                if let Some(give) = give.take() {
                    give(event);
                }
            });
        }
    }

    fn take_line(&mut self, mut line: &[u8], give: &mut impl FnMut(Event)) {
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        match self.format {
            Format::Events if line.is_empty() => self.dispatch(give),
            Format::Events => self.field(line),
            Format::Lines => {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if !line.is_empty() {
                    let data = String::from_utf8_lossy(line).into_owned();
                    give(Event { event: "message".to_owned(), data, ..Event::default() });
                }
            }
        }
    }

    fn field(&mut self, line: &[u8]) {
        let (name, value) = match memchr::memchr(b':', line) {
            // A comment.
            Some(0) => return,
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match name {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.next.data.push('\n');
                }
                self.next.data.push_str(&value);
            }
            b"event" => self.next.event = value.into_owned(),
            b"id" if !value.contains('\0') => self.next.id = value.into(),
            b"retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.next.retry_ms = value.parse().ok();
            }
            _ => {}
        }
    }

    fn dispatch(&mut self, give: &mut impl FnMut(Event)) {
        let id = self.next.id.clone();
        // An event without data is none, but what it said of ids and retries stays.
        if std::mem::take(&mut self.has_data) {
            let mut event = std::mem::replace(&mut self.next, Event { id, ..Event::default() });
            if event.event.is_empty() {
                "message".clone_into(&mut event.event);
            }
            give(event);
        } else {
            self.next.event.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All events of a stream that arrives in these pieces.
    fn events(format: Format, pieces: &[&[u8]]) -> Vec<Event> {
        let (mut parser, mut events) = (Parser::new(format, 1_000), Vec::new());
        for piece in pieces {
            parser.feed(piece, |event| events.push(event)).unwrap();
        }
        parser.finish(|event| events.push(event));
        events
    }

    fn event(event: &str, data: &str, id: &str, retry_ms: Option<u64>) -> Event {
        Event { event: event.into(), data: data.into(), id: id.into(), retry_ms }
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        let table: &[(&[u8], &[Event])] = &[
            (b"data: a\n\n", &[event("message", "a", "", None)]),
            (b"\xef\xbb\xbfdata:a\r\n\r\n", &[event("message", "a", "", None)]),
            (b"data: a\rdata:  b\r\r", &[event("message", "a\n b", "", None)]),
            (b"event: token\ndata\n\n", &[event("token", "", "", None)]),
            (b"data\ndata\n\n", &[event("message", "\n", "", None)]),
            (b": comment\n:\n\ndata: x\n\n", &[event("message", "x", "", None)]),
            (
                b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
                &[event("message", "a", "1", None), event("message", "b", "1", None), event("message", "c", "", None)],
            ),
            (b"id: a\0b\nretry: 1x\ndata: a\n\n", &[event("message", "a", "", None)]),
            (b"retry: 3000\nid: 7\n\ndata: a\n\n", &[event("message", "a", "7", Some(3_000))]),
            (b"event: lost\n\ndata: a\n\n", &[event("message", "a", "", None)]),
            (b"unknown: 1\ndata:a:b\n\n", &[event("message", "a:b", "", None)]),
            (b"data: \xff\n\n", &[event("message", "\u{fffd}", "", None)]),
            (b"data: cut\n", &[]),
            (b"data: cut", &[]),
            (b"", &[]),
        ];
        for (text, expected) in table {
            assert_eq!(&events(Format::Events, &[text]), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn lines_are_events_too() {
        let found = events(Format::Lines, &[b"\xef\xbb\xbf{\"a\":1}\r\n\n{\"a\r\":2}\nlast"]);
        let data: Vec<_> = found.iter().map(|event| event.data.as_str()).collect();
        assert_eq!(data, ["{\"a\":1}", "{\"a\r\":2}", "last"]);
    }

    #[test]
    fn an_event_has_a_bound() {
        for text in ["data: x\n".repeat(1_001), "x".repeat(1_001)] {
            let mut parser = Parser::new(Format::Events, 1_000);
            assert_eq!(parser.feed(text.as_bytes(), |_| panic!("no event")), Err(TooLong));
        }
        let mut parser = Parser::new(Format::Events, 1_000);
        assert_eq!(parser.feed(": x\n".repeat(1_000).as_bytes(), |_| panic!("no event")), Ok(()));
    }

    const PIECES: &[&[u8]] = &[
        b"data",
        b"id",
        b"event",
        b"retry",
        b":",
        b" ",
        b"\n",
        b"\r",
        b"\r\n",
        b"1",
        b"\xc3",
        b"\xa4",
        b"\xef\xbb\xbf",
        b"\0",
    ];

    proptest! {
        #[test]
        fn fuzz_any_cut_gives_the_same_events(
            text in proptest::collection::vec(proptest::sample::select(PIECES), 0..60),
            cuts in proptest::collection::vec(0usize..200, 0..8),
        ) {
            let text = text.concat();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            for format in [Format::Events, Format::Lines] {
                prop_assert_eq!(events(format, &[&text]), events(format, &pieces));
            }
        }
    }
}
