//! Request bodies on the wire: how long they are and where their bytes lie.
//!
//! A [`Decoder`] is fed whatever has arrived and points at the body bytes in it, for `Content-Length` and chunked framing
//! alike. It holds no bytes itself: what happens to them (gathered for a handler, hashed by an upload) is the [`Sink`]'s
//! business.

use super::response::Refusal;

/// The most bytes that chunk extensions and trailers of one body may have.
const EXTRAS_MAX: usize = 16 * 1024;

/// How a body's end is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes; 0 where there is no body.
    Length(u64),
    /// Chunks, up to one of length 0.
    Chunked,
}

/// A body that breaks the rules of its framing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FramingError {
    /// Something else than hexadecimal digits where a chunk's size should be.
    #[error("a chunk size must be hexadecimal digits")]
    ChunkSize,
    /// A chunk without CR LF at its end.
    #[error("a chunk must end with CR LF")]
    ChunkEnd,
    /// More chunk extensions or trailers than anyone needs.
    #[error("chunk extensions and trailers are longer than {EXTRAS_MAX} bytes")]
    Extras,
}

/// Who is told where a body's bytes lie.
type Each<'a> = dyn FnMut(&[u8]) -> Result<(), Refusal> + 'a;

/// What becomes of a body's bytes.
pub(super) trait Sink {
    /// Takes the next bytes, or refuses the body.
    fn take(&mut self, data: &[u8]) -> Result<(), Refusal>;
}

/// Finds the body's bytes in what arrives.
#[derive(Debug)]
pub(super) struct Decoder {
    state: State,
    extras: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of a `Content-Length` body are to come.
    Length(u64),
    /// In a chunk's size, with the digits so far.
    Size { value: u64, digits: u8 },
    /// Behind a chunk's size, up to LF.
    Extension(u64),
    /// So many bytes of a chunk are to come.
    Data(u64),
    /// CR is to come, then LF.
    DataEnd,
    /// LF is to come.
    DataLf,
    /// In the trailers; whether the current line has had any bytes but CR.
    Trailer { blank: bool },
    /// At the end.
    Done,
}

impl Decoder {
    pub(super) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size { value: 0, digits: 0 },
        };
        Self { state, extras: 0 }
    }

    /// Whether the whole body has been seen.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Gives the body bytes in `input` to `each`, and returns how many bytes of `input` belonged to the body, framing
    /// included: all of them unless the body ended.
    pub(super) fn decode(&mut self, input: &[u8], each: &mut Each<'_>) -> Result<usize, Refusal> {
        let bad = |error: FramingError| Refusal::new(400, error.to_string());
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            match self.state {
                State::Length(left) | State::Data(left) => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(input.len() - at);
                    each(&input[at..at + take])?;
                    at += take;
                    let left = left - take as u64;
                    self.state = match (self.state, left) {
                        (State::Length(_), 0) => State::Done,
                        (State::Length(_), left) => State::Length(left),
                        (_, 0) => State::DataEnd,
                        (_, left) => State::Data(left),
                    };
                }
                _ => {
                    self.byte(input[at]).map_err(bad)?;
                    at += 1;
                }
            }
        }
        Ok(at)
    }

    /// Moves on by one byte of chunk framing.
    fn byte(&mut self, byte: u8) -> Result<(), FramingError> {
        self.state = match self.state {
            State::Size { value, digits } => match ((byte as char).to_digit(16), byte) {
                // 15 digits cannot overflow 64 bits.
                (Some(digit), _) if digits < 15 => {
                    State::Size { value: value << 4 | u64::from(digit), digits: digits + 1 }
                }
                (None, b'\r' | b';' | b' ' | b'\t') if digits > 0 => State::Extension(value),
                (None, b'\n') if digits > 0 => Self::after_size(value),
                _ => return Err(FramingError::ChunkSize),
            },
            State::Extension(value) => {
                self.extra()?;
                if byte == b'\n' { Self::after_size(value) } else { State::Extension(value) }
            }
            State::DataEnd if byte == b'\r' => State::DataLf,
            State::DataLf if byte == b'\n' => State::Size { value: 0, digits: 0 },
            State::DataEnd | State::DataLf => return Err(FramingError::ChunkEnd),
            State::Trailer { blank } => {
                self.extra()?;
                match byte {
                    b'\n' if blank => State::Done,
                    b'\n' => State::Trailer { blank: true },
                    b'\r' => State::Trailer { blank },
                    _ => State::Trailer { blank: false },
                }
            }
            state @ (State::Length(_) | State::Data(_) | State::Done) => state,
        };
        Ok(())
    }

    fn after_size(size: u64) -> State {
        if size == 0 { State::Trailer { blank: true } } else { State::Data(size) }
    }

    fn extra(&mut self) -> Result<(), FramingError> {
        self.extras += 1;
        if self.extras > EXTRAS_MAX { Err(FramingError::Extras) } else { Ok(()) }
    }
}

/// Keeps a body for a handler, up to a limit.
pub(super) struct Gather<'a> {
    /// Where it is kept.
    pub(super) body: &'a mut Vec<u8>,
    /// The most bytes it may have.
    pub(super) limit: usize,
}

impl Sink for Gather<'_> {
    fn take(&mut self, data: &[u8]) -> Result<(), Refusal> {
        if self.body.len() + data.len() > self.limit {
            return Err(Refusal::new(413, format!("the body is longer than {} bytes", self.limit)));
        }
        self.body.extend_from_slice(data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input` in pieces of `step` bytes: the body, and what was left over.
    fn decode(framing: Framing, input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), Refusal> {
        let mut decoder = Decoder::new(framing);
        let (mut body, mut used) = (Vec::new(), 0);
        for piece in input.chunks(step) {
            let taken = decoder.decode(piece, &mut |data| {
                body.extend_from_slice(data);
                Ok(())
            })?;
            used += taken;
            if decoder.is_done() {
                break;
            }
        }
        Ok((body, input.len() - used, decoder.is_done()))
    }

    #[test]
    fn bodies_are_found_however_they_arrive() {
        let chunked = Framing::Chunked;
        let table: &[(Framing, &str, &str, usize)] = &[
            (Framing::Length(5), "helloGET", "hello", 3),
            (Framing::Length(0), "GET", "", 3),
            (chunked, "5\r\nhello\r\n0\r\n\r\nGET", "hello", 3),
            (chunked, "5;name=value\r\nhello\r\n1 \r\n!\r\n0\r\nX-Sum: 1\r\n\r\n", "hello!", 0),
            (chunked, "000A\r\n0123456789\r\n0\r\n\r\n", "0123456789", 0),
            (chunked, "3\nabc\r\n0\n\n", "abc", 0),
        ];
        for &(framing, input, body, left) in table {
            for step in [1, 2, 3, 7, 1000] {
                let got = decode(framing, input.as_bytes(), step).unwrap();
                assert_eq!(String::from_utf8_lossy(&got.0), body, "{input:?} by {step}");
                assert!(got.2, "{input:?} by {step} is not done");
                if step == 1 {
                    assert_eq!(got.1, left, "{input:?}");
                }
            }
        }
    }

    #[test]
    fn broken_framing_is_refused() {
        for input in ["x\r\n", "\r\n", "5\r\nhelloX", "5\r\nhello\rX", "FFFFFFFFFFFFFFFFF\r\n", "-1\r\n", ";a\r\n"] {
            let got = decode(Framing::Chunked, input.as_bytes(), 1);
            assert_eq!(got.unwrap_err().status, 400, "{input:?}");
        }
        let endless = format!("5;{}", "a".repeat(EXTRAS_MAX + 1));
        assert_eq!(
            decode(Framing::Chunked, endless.as_bytes(), 64).unwrap_err().message,
            FramingError::Extras.to_string()
        );
    }

    #[test]
    fn a_cut_body_is_not_done() {
        for (framing, input) in
            [(Framing::Length(6), "hello"), (Framing::Chunked, "5\r\nhello\r\n"), (Framing::Chunked, "")]
        {
            assert!(!decode(framing, input.as_bytes(), 2).unwrap().2, "{input:?}");
        }
    }

    #[test]
    fn gathering_stops_at_its_limit() {
        let mut body = Vec::new();
        let mut gather = Gather { body: &mut body, limit: 4 };
        assert_eq!(gather.take(b"abcd"), Ok(()));
        assert_eq!(gather.take(b"e").unwrap_err().status, 413);
        assert_eq!(body, b"abcd");
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    type Outcome = Result<(Vec<u8>, usize, bool), u16>;

    fn decode(framing: Framing, pieces: &[&[u8]]) -> Outcome {
        let mut decoder = Decoder::new(framing);
        let (mut body, mut used) = (Vec::new(), 0);
        for piece in pieces {
            used += decoder
                .decode(piece, &mut |data| {
                    body.extend_from_slice(data);
                    Ok(())
                })
                .map_err(|refusal| refusal.status)?;
            if decoder.is_done() {
                break;
            }
        }
        Ok((body, used, decoder.is_done()))
    }

    proptest! {
        #[test]
        fn fuzz_a_body_is_read_alike_however_it_arrives(text in "([0-9a-fA-F]{1,3}|[ ;\t]|\r\n|\n|\r|0\r\n\r\n|1\r\nx\r\n|\\PC){0,20}", length in 0..20u64) {
            for framing in [Framing::Chunked, Framing::Length(length)] {
                let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
                let whole = decode(framing, &[text.as_bytes()]);
                prop_assert_eq!(decode(framing, &single), whole.clone());
                if let Ok((body, used, _)) = whole {
                    prop_assert!(body.len() <= used && used <= text.len());
                }
            }
        }
    }
}
