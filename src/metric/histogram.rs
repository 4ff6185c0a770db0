//! A histogram in HdrHistogram's layout that pays only for the buckets it uses.
//!
//! The buckets are exactly those of [`hdrhistogram`] with three significant digits from 1 up: whole numbers below 2,048,
//! then 1,024 buckets for each doubling. A value is off by less than one part in a thousand, and merging loses nothing.
//! That crate keeps all buckets up to the largest value in one array (90 KB for times up to a second), which is too
//! much for thousands of series, most of them quiet. Here counts live in blocks of 64 that are allocated when first
//! touched (half a kilobyte each), and each block knows which of its counts are set, so that a second's buckets are
//! taken out without a scan. Percentiles are the crate's own: [`SparseHistogram::add_to`] hands the counts over.

use hdrhistogram::Histogram;

/// The significant digits of the layout.
pub const SIGNIFICANT_DIGITS: u8 = 3;

/// Values above it fall into the bucket of this one; the exact maximum is kept beside the histogram.
pub const HIGHEST_TRACKABLE: u64 = 1 << 53;

/// Bits of a value that are kept: 2,048 sub-buckets are the least power of two that holds three digits.
const SUB_BUCKET_BITS: u32 = 11;
const HALF_SUB_BUCKETS: usize = 1 << (SUB_BUCKET_BITS - 1);
const BLOCK: usize = 64;

/// The number of the bucket that holds a value.
fn bucket_of(value: u64) -> usize {
    let value = value.min(HIGHEST_TRACKABLE);
    let doubling = (u64::BITS - SUB_BUCKET_BITS) - (value | ((1 << SUB_BUCKET_BITS) - 1)).leading_zeros();
    doubling as usize * HALF_SUB_BUCKETS + (value >> doubling) as usize
}

/// The smallest value that a bucket holds.
fn floor_of(bucket: usize) -> u64 {
    if bucket < 2 * HALF_SUB_BUCKETS {
        return bucket as u64;
    }
    let doubling = bucket / HALF_SUB_BUCKETS - 1;
    ((bucket - doubling * HALF_SUB_BUCKETS) as u64) << doubling
}

/// The largest value that falls into the bucket of this one: what it may have been at most.
#[must_use]
pub fn highest_equivalent(value: u64) -> u64 {
    floor_of(bucket_of(value) + 1) - 1
}

#[derive(Clone, Debug)]
struct Block {
    /// Bit n is set when count n is not zero.
    occupied: u64,
    counts: [u64; BLOCK],
}

/// Counts by bucket. Empty, it holds no memory but its own few words.
#[derive(Clone, Debug, Default)]
pub struct SparseHistogram {
    /// By bucket number divided by the block size; at most 705 entries, as [`HIGHEST_TRACKABLE`] bounds it.
    blocks: Vec<Option<Box<Block>>>,
}

impl SparseHistogram {
    /// Counts a value `times` times.
    pub fn record(&mut self, value: u64, times: u64) {
        let bucket = bucket_of(value);
        let (block, slot) = (bucket / BLOCK, bucket % BLOCK);
        if let Some(Some(block)) = self.blocks.get_mut(block) {
            block.counts[slot] = block.counts[slot].saturating_add(times);
            block.occupied |= 1 << slot;
        } else {
            self.record_in_new_block(block, slot, times);
        }
    }

    #[cold]
    fn record_in_new_block(&mut self, block: usize, slot: usize, times: u64) {
        if self.blocks.len() <= block {
            self.blocks.resize_with(block + 1, || None);
        }
        let mut fresh = Block { occupied: 1 << slot, counts: [0; BLOCK] };
        fresh.counts[slot] = times;
        self.blocks[block] = Some(Box::new(fresh));
    }

    /// The buckets that are not empty, lowest first: the smallest value of each, and its count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.blocks.iter().enumerate().filter_map(|(n, block)| Some((n, block.as_ref()?))).flat_map(|(n, block)| {
            set_bits(block.occupied).map(move |slot| (floor_of(n * BLOCK + slot), block.counts[slot]))
        })
    }

    /// Hands out the buckets like [`SparseHistogram::buckets`] and empties them. Blocks that were in use stay for the
    /// next round, those that were not are freed.
    pub fn drain(&mut self, mut take: impl FnMut(u64, u64)) {
        for (n, entry) in self.blocks.iter_mut().enumerate() {
            let Some(block) = entry else { continue };
            if block.occupied == 0 {
                *entry = None;
                continue;
            }
            for slot in set_bits(block.occupied) {
                take(floor_of(n * BLOCK + slot), std::mem::take(&mut block.counts[slot]));
            }
            block.occupied = 0;
        }
    }

    /// Empties it and frees its memory.
    pub fn clear(&mut self) {
        self.blocks = Vec::new();
    }

    /// Adds the counts to a histogram of the crate, which grows as needed.
    ///
    /// # Panics
    /// When `target` has other significant digits and a fixed range that is too small.
    pub fn add_to(&self, target: &mut Histogram<u64>) {
        for (value, times) in self.buckets() {
            target.record_n(value, times).expect("an auto-resizing histogram takes every trackable value");
        }
    }
}

/// The positions of the bits that are set, lowest first.
fn set_bits(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if bits == 0 {
            return None;
        }
        let position = bits.trailing_zeros() as usize;
        bits &= bits - 1;
        Some(position)
    })
}

/// An empty histogram of the crate in this layout.
#[must_use]
pub fn dense() -> Histogram<u64> {
    Histogram::new(SIGNIFICANT_DIGITS).expect("three digits are allowed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = u64> {
        // Every magnitude is as likely as every other.
        (0u32..=53, any::<u64>()).prop_map(|(bits, raw)| if bits == 0 { 0 } else { raw >> (64 - bits) })
    }

    proptest! {
        #[test]
        fn a_bucket_is_the_crates_bucket(value in any_value()) {
            prop_assert_eq!(floor_of(bucket_of(value)), dense().lowest_equivalent(value));
            prop_assert_eq!(highest_equivalent(value), dense().highest_equivalent(value));
        }

        #[test]
        fn handing_over_equals_recording_there(values in prop::collection::vec(any_value(), 0..200)) {
            let (mut sparse, mut through, mut direct) = (SparseHistogram::default(), dense(), dense());
            for &value in &values {
                sparse.record(value, 1);
                direct.record(value).unwrap();
            }
            sparse.add_to(&mut through);
            for p in [0.0, 1.0, 50.0, 90.0, 99.9, 100.0] {
                prop_assert_eq!(through.value_at_percentile(p), direct.value_at_percentile(p));
            }
            prop_assert_eq!(through.len(), direct.len());
        }
    }

    #[test]
    fn edges_of_the_layout() {
        for (value, bucket, floor) in [
            (0, 0, 0),
            (2047, 2047, 2047),
            (2048, 2048, 2048),
            (2049, 2048, 2048),
            (2050, 2049, 2050),
            (4095, 3071, 4094),
            (4096, 3072, 4096),
            (1_000_000, 11_169, 999_936),
        ] {
            assert_eq!((bucket_of(value), floor_of(bucket_of(value))), (bucket, floor), "{value}");
        }
        assert_eq!(bucket_of(u64::MAX), bucket_of(HIGHEST_TRACKABLE));
        assert!(bucket_of(u64::MAX) / BLOCK < 705);
    }

    #[test]
    fn draining_empties_it_and_frees_what_was_quiet() {
        let mut histogram = SparseHistogram::default();
        histogram.record(5, 1);
        histogram.record(5_000_000, 2);
        let mut drained = Vec::new();
        histogram.drain(|value, times| drained.push((value, times)));
        assert_eq!(drained, [(5, 1), (dense().lowest_equivalent(5_000_000), 2)]);
        assert_eq!(histogram.buckets().count(), 0);
        assert_eq!(histogram.blocks.iter().flatten().count(), 2);

        histogram.record(5, 7);
        histogram.drain(|value, times| assert_eq!((value, times), (5, 7)));
        assert_eq!(histogram.blocks.iter().flatten().count(), 1);
    }
}
