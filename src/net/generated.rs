//! Bodies that are made while they are sent: of any size, and none of it held.

use bytes::Bytes;

/// How much is made at once.
const PIECE_BYTES: usize = 64 * 1024;

/// What such a body is made of.
#[derive(Clone, Debug)]
enum Content {
    /// The pattern over and over, as long as a piece or longer, in whole patterns.
    Pattern(Bytes),
    /// Bytes that can't be compressed: the same for the same seed.
    Seed(u64),
}

/// A body of so many bytes that is the same each time it is sent.
#[derive(Clone, Debug)]
pub struct Generated {
    size: u64,
    content: Content,
}

impl Generated {
    /// The pattern over and over, cut at the size. An empty pattern stands for zeros.
    #[must_use]
    pub fn pattern(size: u64, pattern: &[u8]) -> Self {
        let pattern = if pattern.is_empty() { &[0] } else { pattern };
        let times = PIECE_BYTES.div_ceil(pattern.len());
        Self { size, content: Content::Pattern(pattern.repeat(times).into()) }
    }

    /// Random bytes that the seed decides.
    #[must_use]
    pub fn random(size: u64, seed: u64) -> Self {
        Self { size, content: Content::Seed(seed) }
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The piece that begins at `at`, which is where an earlier one ended; empty at the end.
    pub(super) fn piece(&self, at: u64) -> Bytes {
        let left = usize::try_from(self.size - at).unwrap_or(usize::MAX);
        match &self.content {
            Content::Pattern(block) => block.slice(..left.min(block.len())),
            Content::Seed(seed) => {
                let number = at / PIECE_BYTES as u64;
                let mut piece = vec![0; left.min(PIECE_BYTES)];
                fastrand::Rng::with_seed(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).fill(&mut piece);
                piece.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(body: &Generated) -> Vec<u8> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < body.size() {
            let piece = body.piece(bytes.len() as u64);
            assert!(!piece.is_empty());
            bytes.extend_from_slice(&piece);
        }
        bytes
    }

    #[test]
    fn a_body_has_its_size_and_content_to_the_byte() {
        for size in [0, 1, 65_536, 65_537, 200_000] {
            let expected: Vec<u8> = b"abc".iter().copied().cycle().take(size).collect();
            assert_eq!(whole(&Generated::pattern(size as u64, b"abc")), expected);
            assert_eq!(whole(&Generated::pattern(size as u64, b"")), vec![0; size]);
            let random = whole(&Generated::random(size as u64, 7));
            assert_eq!(random, whole(&Generated::random(size as u64, 7)));
            assert!(size < 2 || random != whole(&Generated::random(size as u64, 8)));
        }
        let random = whole(&Generated::random(200_000, 1));
        assert_ne!(random[..1_000], random[65_536..66_536], "pieces differ");
    }
}
