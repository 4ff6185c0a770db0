//! Ids of traces, as the W3C recommendation *Trace Context* has them: each request of a virtual user is one trace.
//!
//! Ids are a function of the run's seed and of which request it is. They need not be kept: whoever knows a sample can
//! say what its request carried, and a run that is repeated with its seed sends the same ids. A redirect is sent under the
//! ids of the request that led to it.

use std::fmt::Write as _;

/// Which request of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The VU, from 1; 0 for `setup` and `teardown`.
    pub vu: u32,
    /// Its iteration, from 0.
    pub iteration: u64,
    /// Which request of the iteration, from 0.
    pub number: u32,
}

/// The ids of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceIds {
    /// The trace: the same for all that the request leads to.
    pub trace: u128,
    /// The request's own span.
    pub span: u64,
}

/// SplitMix64's finaliser: spreads numbers that lie close together over all 64 bits.
fn spread(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl TraceIds {
    /// Those of a request, in a run with this seed.
    #[must_use]
    pub fn new(seed: u64, place: Place) -> Self {
        let Place { vu, iteration, number } = place;
        let step = 0x9E37_79B9_7F4A_7C15u64;
        let who = spread(spread(seed.wrapping_add(step)) ^ u64::from(vu));
        let which = spread(who.wrapping_add(spread(iteration.wrapping_add(step)))).wrapping_add(u64::from(number));
        let high = spread(which.wrapping_add(step));
        let low = spread(which.wrapping_add(step.wrapping_mul(2)));
        // Ids of nothing but zeros are not valid.
        Self {
            trace: (u128::from(high) << 64) | u128::from(low.max(1)),
            span: spread(which.wrapping_add(step.wrapping_mul(3))).max(1),
        }
    }

    /// The span of a redirect on the way, from 1; that of the request itself for 0.
    #[must_use]
    pub fn span_of_hop(self, hop: u32) -> u64 {
        if hop == 0 { self.span } else { spread(self.span.wrapping_add(u64::from(hop))).max(1) }
    }

    /// The trace's id in hexadecimal digits.
    #[must_use]
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace)
    }

    /// The value of the header `traceparent`; the flag asks that the trace be kept.
    #[must_use]
    pub fn traceparent(self) -> String {
        let mut text = String::with_capacity(55);
        let _ = write!(text, "00-{:032x}-{:016x}-01", self.trace, self.span);
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_of_the_seed_and_of_the_place() {
        let place = Place { vu: 3, iteration: 7, number: 2 };
        let ids = TraceIds::new(1, place);
        assert_eq!(ids, TraceIds::new(1, place));
        let mut seen = HashSet::new();
        for seed in 0..3 {
            for vu in 0..10 {
                for iteration in 0..30 {
                    for number in 0..10 {
                        let ids = TraceIds::new(seed, Place { vu, iteration, number });
                        assert!(seen.insert(ids.trace as u64) && seen.insert((ids.trace >> 64) as u64));
                        assert!(seen.insert(ids.span) && seen.insert(ids.span_of_hop(1)));
                    }
                }
            }
        }
    }

    #[test]
    fn the_header_has_the_form_of_version_00() {
        let ids = TraceIds { trace: 0xab, span: 1 };
        assert_eq!(ids.traceparent(), "00-000000000000000000000000000000ab-0000000000000001-01");
        assert_eq!(ids.trace_id(), "000000000000000000000000000000ab");
        assert_eq!(ids.span_of_hop(0), 1);
    }
}
