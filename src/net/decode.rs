//! Decompression of bodies by their `Content-Encoding`: only when a script looks at one. Pure, and bounded.

use std::io::{self, Read};

use bytes::Bytes;

use super::NetError;
use crate::fault::Fault;

/// How many encodings may be stacked.
const LAYERS_MAX: usize = 4;

/// The largest window that a `zstd` body may ask for: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Undoes a `Content-Encoding`: `gzip`, `deflate` (with or without its zlib wrapping), `br`, `zstd`, or several of them
/// in the order in which they were applied (`gzip, br`). A body without one is returned as it is.
///
/// # Errors
/// When the body is not what the encoding says, when the encoding is unknown, and when the result of any layer is longer
/// than `limit` bytes.
pub fn decode(encoding: &str, body: &Bytes, limit: u64) -> Result<Bytes, NetError> {
    let mut body = body.clone();
    let layers = encoding.split(',').map(str::trim).filter(|layer| !layer.is_empty());
    let layers: Vec<_> = layers.filter(|layer| !layer.eq_ignore_ascii_case("identity")).collect();
    if layers.len() > LAYERS_MAX {
        return Err(failed(format!("content-encoding `{encoding}` has more than {LAYERS_MAX} layers")));
    }
    for layer in layers.into_iter().rev() {
        // A response to HEAD names an encoding and has no body.
        if body.is_empty() {
            return Ok(body);
        }
        body = undo(layer, &body, limit)?;
    }
    Ok(body)
}

fn undo(encoding: &str, body: &[u8], limit: u64) -> Result<Bytes, NetError> {
    let is = |name: &str| encoding.eq_ignore_ascii_case(name);
    let read = if is("gzip") || is("x-gzip") {
        read_all(flate2::read::MultiGzDecoder::new(body), limit)
    } else if is("deflate") {
        if has_zlib_header(body) {
            read_all(flate2::read::ZlibDecoder::new(body), limit)
        } else {
            read_all(flate2::read::DeflateDecoder::new(body), limit)
        }
    } else if is("br") {
        read_all(brotli::Decompressor::new(body, 4096), limit)
    } else if is("zstd") {
        read_zstd(body, limit)
    } else {
        return Err(failed(format!(
            "content-encoding `{encoding}` is unknown, expected `gzip`, `deflate`, `br` or `zstd`"
        )));
    };
    match read {
        Ok(Some(body)) => Ok(body.into()),
        Ok(None) => Err(failed(format!("body is longer than {limit} bytes once its `{encoding}` is undone"))),
        Err(error) => Err(failed(format!("body is no valid `{encoding}`: {error}"))),
    }
}

/// None when there is more than `limit`.
fn read_all(reader: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut body)?;
    Ok((body.len() as u64 <= limit).then_some(body))
}

/// Frames may follow one another; together they are the body.
fn read_zstd(body: &[u8], limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    read_all(decoder, limit)
}

/// `deflate` means zlib, but some servers send it bare.
fn has_zlib_header(body: &[u8]) -> bool {
    matches!(body, [cmf, flg, ..] if cmf & 0x0f == 8 && u16::from_be_bytes([*cmf, *flg]) % 31 == 0)
}

fn failed(detail: String) -> NetError {
    NetError { fault: Fault::DECOMPRESSION, detail }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;

    use super::*;

    const TEXT: &[u8] = b"to be or not to be, that is the question";
    const LIMIT: u64 = 1_000;

    fn gzip(body: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap().into()
    }

    fn zlib(body: &[u8]) -> Bytes {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap().into()
    }

    fn deflate(body: &[u8]) -> Bytes {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap().into()
    }

    fn zstd(body: &[u8]) -> Bytes {
        zstd::stream::encode_all(body, 1).unwrap().into()
    }

    /// A brotli stream by hand: window 16, one uncompressed meta-block, an empty last one (RFC 7932, section 9).
    fn brotli(body: &[u8]) -> Bytes {
        // Bits from the lowest: WBITS 0; ISLAST 0, MNIBBLES 00, MLEN-1 in 16 bits, ISUNCOMPRESSED 1.
        let head = (u32::try_from(body.len()).unwrap() - 1) << 4 | 1 << 20;
        let mut out = head.to_le_bytes()[..3].to_vec();
        out.extend_from_slice(body);
        out.push(0b11);
        out.into()
    }

    #[test]
    fn every_encoding_is_undone() {
        let twice: Bytes = [gzip(TEXT), gzip(TEXT)].concat().into();
        let frames: Bytes = [zstd(TEXT), zstd(TEXT)].concat().into();
        for (encoding, body, times) in [
            ("", Bytes::from_static(TEXT), 1),
            ("identity", Bytes::from_static(TEXT), 1),
            ("gzip", gzip(TEXT), 1),
            ("x-gzip", gzip(TEXT), 1),
            ("GZIP", gzip(TEXT), 1),
            ("gzip", twice, 2),
            ("deflate", zlib(TEXT), 1),
            ("deflate", deflate(TEXT), 1),
            ("br", brotli(TEXT), 1),
            ("zstd", zstd(TEXT), 1),
            ("zstd", frames, 2),
            ("gzip, br", brotli(&gzip(TEXT)), 1),
            ("deflate,identity, gzip", gzip(&zlib(TEXT)), 1),
        ] {
            assert_eq!(decode(encoding, &body, LIMIT).unwrap(), TEXT.repeat(times), "{encoding}");
        }
        assert_eq!(decode("gzip", &Bytes::new(), LIMIT).unwrap(), "");
    }

    #[test]
    fn what_is_broken_or_unknown_is_said() {
        let cut = |body: Bytes| body.slice(..body.len() - 5);
        for (encoding, body, says) in [
            ("gzip", Bytes::from_static(TEXT), "body is no valid `gzip`"),
            ("gzip", cut(gzip(TEXT)), "body is no valid `gzip`"),
            ("deflate", Bytes::from_static(&[0xff; 20]), "body is no valid `deflate`"),
            ("br", cut(brotli(TEXT)), "body is no valid `br`"),
            ("zstd", Bytes::from_static(TEXT), "body is no valid `zstd`"),
            ("zstd", cut(zstd(TEXT)), "body is no valid `zstd`"),
            ("compress", gzip(TEXT), "content-encoding `compress` is unknown"),
            ("gzip,gzip,gzip,gzip,gzip", gzip(TEXT), "content-encoding `gzip,gzip,gzip,gzip,gzip` has more than 4"),
        ] {
            let error = decode(encoding, &body, LIMIT).unwrap_err();
            assert_eq!(error.fault, Fault::DECOMPRESSION, "{encoding}");
            assert!(error.detail.starts_with(says), "{}", error.detail);
        }
    }

    #[test]
    fn a_bomb_is_cut_at_the_limit() {
        let zeros = vec![0; 1_000_000];
        for (encoding, bomb) in [
            ("gzip", gzip(&zeros)),
            ("deflate", zlib(&zeros)),
            ("zstd", zstd(&zeros)),
            ("gzip,gzip", gzip(&gzip(&zeros))),
        ] {
            let error = decode(encoding, &bomb, 999_999).unwrap_err();
            assert!(error.detail.starts_with("body is longer than 999999 bytes"), "{}", error.detail);
            assert_eq!(decode(encoding, &bomb, 1_000_000).unwrap().len(), 1_000_000, "{encoding}");
        }
    }
}

#[cfg(test)]
mod fuzz {
    use proptest::prelude::*;

    use super::*;

    use crate::net::pack::{Coding, pack};

    fn codings() -> impl Strategy<Value = Vec<Coding>> {
        prop::collection::vec(prop::sample::select(vec![Coding::Gzip, Coding::Deflate, Coding::Br, Coding::Zstd]), 1..4)
    }

    fn names(codings: &[Coding]) -> String {
        codings.iter().map(|coding| coding.name()).collect::<Vec<_>>().join(", ")
    }

    proptest! {
        #[test]
        fn fuzz_what_is_packed_unpacks(data in prop::collection::vec(any::<u8>(), 1..300), codings in codings()) {
            let packed = Bytes::from(pack(&codings, &data).unwrap());
            prop_assert_eq!(&decode(&names(&codings), &packed, 10_000).unwrap(), &data);
            prop_assert!(decode(&names(&codings), &packed, data.len() as u64 - 1).is_err());
        }

        #[test]
        fn fuzz_no_body_breaks_a_decoder(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            data in prop::collection::vec(any::<u8>(), 1..200),
            codings in codings(),
            flips in prop::collection::vec((any::<usize>(), any::<u8>()), 0..4),
            encoding in "(gzip|deflate|br|zstd|identity|,| |x|\\PC){0,8}",
        ) {
            let mut packed = pack(&codings, &data).unwrap();
            for (at, bits) in flips {
                let at = at % packed.len();
                packed[at] ^= bits;
            }
            let names = names(&codings);
            for (names, body) in [(&names, packed), (&names, bytes.clone()), (&encoding, bytes)] {
                if let Ok(body) = decode(names, &body.into(), 5_000) {
                    prop_assert!(body.len() <= 5_000);
                }
            }
        }
    }
}
