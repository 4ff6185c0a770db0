//! Compression of request bodies (`Content-Encoding`), a piece at a time.
//!
//! The levels are those at which a client compresses while it sends: quick, and with small windows, so that many
//! virtual users can do it at once (at most some hundred kilobytes each).

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::str::FromStr;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950: what HTTP calls `deflate`.
    Deflate,
    /// Brotli, RFC 7932.
    Br,
    /// Zstandard, RFC 8878.
    Zstd,
}

impl Coding {
    /// Their names in `Content-Encoding`.
    pub const NAMES: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

    /// Its name in `Content-Encoding`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl FromStr for Coding {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let all = [Self::Gzip, Self::Deflate, Self::Br, Self::Zstd];
        all.into_iter().find(|coding| coding.name() == name).ok_or(())
    }
}

/// What an encoder writes into, and others take out of.
#[derive(Clone, Debug, Default)]
struct Out(Rc<RefCell<Vec<u8>>>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Encoder {
    Gzip(GzEncoder<Out>),
    Deflate(ZlibEncoder<Out>),
    Br(Box<brotli::CompressorWriter<Out>>),
    Zstd(zstd::stream::write::Encoder<'static, Out>),
}

impl Encoder {
    fn new(coding: Coding, out: Out) -> io::Result<Self> {
        Ok(match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(out, Compression::new(6))),
            Coding::Deflate => Self::Deflate(ZlibEncoder::new(out, Compression::new(6))),
            Coding::Br => Self::Br(Box::new(brotli::CompressorWriter::new(out, 4096, 4, 18))),
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, 1)?;
                encoder.window_log(17)?;
                Self::Zstd(encoder)
            }
        })
    }

    fn push(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(data),
            Self::Deflate(encoder) => encoder.write_all(data),
            Self::Br(encoder) => encoder.write_all(data),
            Self::Zstd(encoder) => encoder.write_all(data),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.finish().map(drop),
            Self::Deflate(encoder) => encoder.finish().map(drop),
            Self::Br(encoder) => {
                drop(encoder.into_inner());
                Ok(())
            }
            Self::Zstd(encoder) => encoder.finish().map(drop),
        }
    }
}

/// A body that is being compressed, by one coding after the other.
pub(super) struct Packer {
    stages: Vec<(Encoder, Out)>,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").field("stages", &self.stages.len()).finish()
    }
}

impl Packer {
    pub(super) fn new(codings: &[Coding]) -> io::Result<Self> {
        let stage = |&coding: &Coding| {
            let out = Out::default();
            Ok((Encoder::new(coding, out.clone())?, out))
        };
        Ok(Self { stages: codings.iter().map(stage).collect::<io::Result<_>>()? })
    }

    /// Compresses a piece: what has come out so far, which may be nothing yet.
    pub(super) fn push(&mut self, data: &[u8]) -> io::Result<Vec<u8>> {
        let mut data = data.to_vec();
        for (encoder, out) in &mut self.stages {
            encoder.push(&data)?;
            data = out.0.take();
        }
        Ok(data)
    }

    /// What comes out at the end.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        let mut data = Vec::new();
        for (mut encoder, out) in self.stages {
            encoder.push(&data)?;
            encoder.finish()?;
            data = out.0.take();
        }
        Ok(data)
    }
}

/// Compresses bytes that are at hand.
///
/// # Errors
/// When an encoder can't be made: there is no memory for it.
pub fn pack(codings: &[Coding], data: &[u8]) -> io::Result<Vec<u8>> {
    let mut packer = Packer::new(codings)?;
    let mut packed = packer.push(data)?;
    packed.extend(packer.finish()?);
    Ok(packed)
}

/// A `Content-Encoding`: `gzip, br`.
pub(super) fn content_encoding(codings: &[Coding]) -> String {
    codings.iter().map(|coding| coding.name()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::decode;

    #[test]
    fn what_is_packed_can_be_unpacked() {
        let text = "to be or not to be, ".repeat(20_000);
        for codings in
            [&[][..], &[Coding::Gzip], &[Coding::Deflate], &[Coding::Br], &[Coding::Zstd], &[Coding::Gzip, Coding::Br]]
        {
            let encoding = content_encoding(codings);
            let mut packer = Packer::new(codings).unwrap();
            let mut packed = Vec::new();
            for piece in text.as_bytes().chunks(7_001) {
                packed.extend(packer.push(piece).unwrap());
            }
            packed.extend(packer.finish().unwrap());
            assert!(codings.is_empty() || packed.len() < text.len() / 20, "{encoding}: {}", packed.len());
            for packed in [packed, pack(codings, text.as_bytes()).unwrap()] {
                assert_eq!(decode::decode(&encoding, &packed.into(), 1 << 20).unwrap(), text, "{encoding}");
            }
        }
        assert_eq!(Coding::from_str("zstd"), Ok(Coding::Zstd));
        assert_eq!(Coding::from_str("compress"), Err(()));
    }
}
