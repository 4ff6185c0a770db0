//! Which of a name's addresses a connection tries, and in which order: the options `select` and `policy` of `dns`, then
//! one family after the other (RFC 8305), so that a family that does not work costs little.

use std::cell::Cell;
use std::net::IpAddr;

use super::dns::Addresses;
use crate::plan::{DnsOptions, DnsSelect};

/// Who opens a connection: what addresses are chosen by, so that a run with the same seed chooses the same.
#[derive(Debug, Default)]
pub(super) struct Caller {
    /// The VU's number, from 1; 0 outside of VUs.
    pub(super) vu: u32,
    pub(super) seed: u64,
    /// How many connections to names it has opened.
    opened: Cell<u32>,
}

impl Caller {
    pub(super) fn new(vu: u32, seed: u64) -> Self {
        Self { vu, seed, opened: Cell::new(0) }
    }

    /// A number below `count`, for its next connection.
    fn pick(&self, select: DnsSelect, count: usize) -> usize {
        if count < 2 || select == DnsSelect::First {
            return 0;
        }
        let opened = self.opened.get();
        self.opened.set(opened.wrapping_add(1));
        match select {
            DnsSelect::First => 0,
            DnsSelect::RoundRobin => (self.vu.saturating_sub(1) as usize).wrapping_add(opened as usize) % count,
            DnsSelect::Random => {
                let place = u64::from(self.vu) << 32 | u64::from(opened);
                fastrand::Rng::with_seed(self.seed ^ place.wrapping_mul(0x9E37_79B9_7F4A_7C15)).usize(..count)
            }
        }
    }
}

/// The addresses that the options allow, in the order in which to try them.
pub(super) fn arrange(found: &[IpAddr], options: DnsOptions, caller: &Caller) -> Addresses {
    let mut wanted: Addresses = found.iter().copied().filter(|&address| options.policy.prefers(address)).collect();
    let mut other: Addresses = found
        .iter()
        .copied()
        .filter(|&address| !options.policy.prefers(address) && options.policy.takes(address))
        .collect();
    if wanted.is_empty() {
        std::mem::swap(&mut wanted, &mut other);
    }
    if options.select != DnsSelect::First {
        // A resolver that turns its answers round would turn the choice with them.
        wanted.sort_unstable();
    }
    let first = caller.pick(options.select, wanted.len());
    wanted.rotate_left(first);
    wanted.extend(other);
    interleave(wanted)
}

/// The first address's family, the other, the first again.
fn interleave(addresses: Addresses) -> Addresses {
    let Some(first) = addresses.first() else { return addresses };
    let is_first_family = first.is_ipv4();
    let mut same = addresses.iter().copied().filter(|address| address.is_ipv4() == is_first_family);
    let mut other = addresses.iter().copied().filter(|address| address.is_ipv4() != is_first_family);
    let mut ordered = Addresses::with_capacity(addresses.len());
    while ordered.len() < addresses.len() {
        ordered.extend(same.next());
        ordered.extend(other.next());
    }
    ordered
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::plan::DnsPolicy;

    fn addresses(texts: &str) -> Addresses {
        texts.split_whitespace().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_as_the_policy_says() {
        let found = "fd::2 10.0.0.2 fd::1 10.0.0.1 10.0.0.3";
        for (policy, expected) in [
            (DnsPolicy::PreferIpv4, "10.0.0.2 fd::2 10.0.0.1 fd::1 10.0.0.3"),
            (DnsPolicy::PreferIpv6, "fd::2 10.0.0.2 fd::1 10.0.0.1 10.0.0.3"),
            (DnsPolicy::OnlyIpv4, "10.0.0.2 10.0.0.1 10.0.0.3"),
            (DnsPolicy::OnlyIpv6, "fd::2 fd::1"),
            (DnsPolicy::Any, "fd::2 10.0.0.2 fd::1 10.0.0.1 10.0.0.3"),
        ] {
            let options = DnsOptions { select: DnsSelect::First, policy, ..DnsOptions::default() };
            assert_eq!(arrange(&addresses(found), options, &Caller::default()), addresses(expected), "{policy:?}");
        }
        let only = DnsOptions { policy: DnsPolicy::OnlyIpv4, ..DnsOptions::default() };
        assert!(arrange(&addresses("fd::1"), only, &Caller::default()).is_empty());
        let other = DnsOptions { policy: DnsPolicy::PreferIpv4, ..DnsOptions::default() };
        assert_eq!(arrange(&addresses("fd::1"), other, &Caller::default()), addresses("fd::1"));
    }

    #[test]
    fn round_robin_begins_at_the_vus_place_and_goes_on() {
        let options = DnsOptions { select: DnsSelect::RoundRobin, ..DnsOptions::default() };
        let first = |caller: &Caller, found: &str| arrange(&addresses(found), options, caller)[0].to_string();
        let (one, two) = (Caller::new(1, 0), Caller::new(2, 0));
        let found: Vec<_> =
            ["10.0.0.1 10.0.0.2", "10.0.0.2 10.0.0.1", "10.0.0.1 10.0.0.2"].map(|found| first(&one, found)).into();
        assert_eq!(found, ["10.0.0.1", "10.0.0.2", "10.0.0.1"]);
        assert_eq!(first(&two, "10.0.0.1 10.0.0.2"), "10.0.0.2");
    }

    #[test]
    fn random_reaches_all_and_is_the_seeds() {
        let found = addresses("10.0.0.1 10.0.0.2 10.0.0.3");
        let chosen = |vu, seed| {
            let caller = Caller::new(vu, seed);
            (0..40).map(|_| arrange(&found, DnsOptions::default(), &caller)[0]).collect::<Vec<_>>()
        };
        assert_eq!(chosen(1, 7), chosen(1, 7));
        assert_ne!(chosen(1, 7), chosen(1, 8));
        assert_ne!(chosen(1, 7), chosen(2, 7));
        assert_eq!(chosen(1, 7).into_iter().collect::<BTreeSet<_>>().len(), 3);
    }
}
