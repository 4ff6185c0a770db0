//! Addresses as options give them: those to connect from (`local_ips`), and those that are never connected to
//! (`blacklist_ips`, `block_hostnames`).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use url::Host;

/// Addresses to connect from: of those of a family, VU n has the n-th, and the first again after the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalIps {
    ranges: Vec<Range>,
}

/// Neighbouring addresses of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: IpAddr,
    count: u128,
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

impl Range {
    /// `10.0.0.1`, `10.0.0.1-10.0.0.9`, `10.0.0.0/24`: an IPv4 network without its own address and that of broadcasts,
    /// which no host has.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "expected an address, a range such as `10.0.0.1-10.0.0.9` or a network such as `10.0.0.0/24`, found `{text}`"
            )
        };
        let address = |text: &str| text.trim().parse::<IpAddr>().map_err(|_| wrong());
        if let Some((first, last)) = text.split_once('-') {
            let (first, last) = (address(first)?, address(last)?);
            if first.is_ipv4() != last.is_ipv4() {
                return Err(format!("`{text}`: both ends of a range are of one family"));
            }
            let more = number(last).checked_sub(number(first));
            let more = more.ok_or_else(|| format!("`{text}`: the range ends before it begins"))?;
            return Ok(Self { first, count: more.saturating_add(1) });
        }
        if text.contains('/') {
            let network: IpNet = text.parse().map_err(|_| wrong())?;
            let (first, last) = match network {
                IpNet::V4(network) if network.prefix_len() < 31 => {
                    (u128::from(u32::from(network.network())) + 1, u128::from(u32::from(network.broadcast())) - 1)
                }
                IpNet::V4(network) => (number(network.network().into()), number(network.broadcast().into())),
                IpNet::V6(network) => (number(network.network().into()), number(network.broadcast().into())),
            };
            let first = Self { first: network.network(), count: 1 }.at(first - number(network.network()));
            return Ok(Self { first, count: (last - number(first)).saturating_add(1) });
        }
        Ok(Self { first: address(text)?, count: 1 })
    }

    /// The address that is this far from the first.
    fn at(self, offset: u128) -> IpAddr {
        match self.first {
            // A range was read from addresses of its family, so the sum is one of them.
            IpAddr::V4(first) => Ipv4Addr::from(u32::from(first).wrapping_add(offset as u32)).into(),
            IpAddr::V6(first) => Ipv6Addr::from(u128::from(first).wrapping_add(offset)).into(),
        }
    }
}

impl LocalIps {
    /// Addresses, ranges and networks.
    pub(super) fn parse(texts: &[String]) -> Result<Self, String> {
        let texts = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|text| !text.is_empty());
        Ok(Self { ranges: texts.map(Range::parse).collect::<Result<_, _>>()? })
    }

    /// Whether the system chooses.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u128 {
        self.ranges.iter().fold(0, |sum, range| sum.saturating_add(range.count))
    }

    /// The address of a VU (numbered from 1) for connections to addresses of this one's family; none when there is none.
    #[must_use]
    pub fn of_vu(&self, vu: u32, family: IpAddr) -> Option<IpAddr> {
        let ranges = || self.ranges.iter().filter(|range| range.first.is_ipv4() == family.is_ipv4());
        let sum = ranges().fold(0u128, |sum, range| sum.saturating_add(range.count));
        let mut offset = u128::from(vu.saturating_sub(1)).checked_rem(sum)?;
        for range in ranges() {
            if offset < range.count {
                return Some(range.at(offset));
            }
            offset -= range.count;
        }
        None
    }
}

/// A network that is never connected to: `10.0.0.0/8`, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
    let network = text.parse().ok().or_else(alone);
    network.ok_or_else(|| format!("expected a network such as `10.0.0.0/8` or an address, found `{text}`"))
}

/// Whether a network has this address; an IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) is the same address.
#[must_use]
pub fn is_within(networks: &[IpNet], address: IpAddr) -> bool {
    let plain = address.to_canonical();
    networks.iter().any(|network| network.contains(&plain) || network.contains(&address))
}

/// Host names: one, or with `*.` before it all below it; `*` is all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// Without the `*`; begins with a dot then.
    name: String,
    wildcard: bool,
}

impl HostPattern {
    /// `ads.test`, `*.ads.test`, `*`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self { name: String::new(), wildcard: true });
        }
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let wrong = || format!("expected a host name such as `ads.test` or `*.ads.test`, found `{text}`");
        let host = match Host::parse(name) {
            Ok(Host::Domain(name)) if !name.contains(['*', ':', '/']) => name,
            Ok(Host::Ipv4(address)) if !wildcard => address.to_string(),
            _ => return Err(wrong()),
        };
        let host = host.trim_end_matches('.');
        if host.is_empty() {
            return Err(wrong());
        }
        Ok(Self { name: if wildcard { format!(".{host}") } else { host.to_owned() }, wildcard })
    }

    /// Whether it is this host, in lower case.
    #[must_use]
    pub fn holds(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        if self.wildcard { host.len() > self.name.len() && host.ends_with(&self.name) } else { host == self.name }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn local(text: &str) -> Result<LocalIps, String> {
        LocalIps::parse(&[text.to_owned()])
    }

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    #[test]
    fn each_vu_has_its_address_and_after_the_last_comes_the_first() {
        for (text, count, expected) in [
            ("127.0.0.2", 1, ["127.0.0.2", "127.0.0.2", "127.0.0.2"]),
            ("127.0.0.2, 127.0.0.9", 2, ["127.0.0.2", "127.0.0.9", "127.0.0.2"]),
            ("127.0.0.254-127.0.1.1", 4, ["127.0.0.254", "127.0.0.255", "127.0.1.0"]),
            ("10.0.0.9/29", 6, ["10.0.0.9", "10.0.0.10", "10.0.0.11"]),
            ("10.0.0.4/31", 2, ["10.0.0.4", "10.0.0.5", "10.0.0.4"]),
            ("10.0.0.4/32,::1", 2, ["10.0.0.4", "10.0.0.4", "10.0.0.4"]),
        ] {
            let ips = local(text).unwrap();
            assert_eq!(ips.count(), count, "{text}");
            let found: Vec<_> = (1..=3).map(|vu| ips.of_vu(vu, V4).unwrap().to_string()).collect();
            assert_eq!(found, expected, "{text}");
            assert_eq!(ips.of_vu(0, V4), ips.of_vu(1, V4), "setup has the first");
        }
        assert_eq!(local("10.0.0.4/32,::1").unwrap().of_vu(7, V6), Some(V6));
        assert_eq!(local("10.0.0.4").unwrap().of_vu(1, V6), None);
        assert_eq!(local("fd00::/64").unwrap().of_vu(3, V6).unwrap().to_string(), "fd00::2");
        assert_eq!(local("::/0").unwrap().count(), u128::MAX);
        assert!(local(" ,").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_address_is_told() {
        for (text, problem) in [
            ("eth0", "expected an address, a range such as"),
            ("10.0.0.1/33", "found `10.0.0.1/33`"),
            ("10.0.0.9-10.0.0.1", "the range ends before it begins"),
            ("10.0.0.9-::1", "both ends of a range are of one family"),
            ("10.0.0.1-", "found `10.0.0.1-`"),
        ] {
            let told = local(text).unwrap_err();
            assert!(told.contains(problem), "{told}");
        }
    }

    #[test]
    fn networks_hold_addresses_however_they_are_written() {
        let networks: Vec<_> = ["10.0.0.0/8", "192.0.2.7", "fd00::/8"].map(|text| network(text).unwrap()).into();
        for (address, within) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.0", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("fd12::1", true),
            ("::1", false),
        ] {
            assert_eq!(is_within(&networks, address.parse().unwrap()), within, "{address}");
        }
        assert!(network("10.0.0.0/33").unwrap_err().contains("found `10.0.0.0/33`"));
        assert!(network("shop.test").is_err());
    }

    #[test]
    fn patterns_hold_hosts() {
        for (pattern, host, holds) in [
            ("ads.test", "ads.test", true),
            ("Ads.Test", "ads.test", true),
            ("ads.test", "ads.test.", true),
            ("ads.test", "x.ads.test", false),
            ("ads.test", "bads.test", false),
            ("*.ads.test", "x.ads.test", true),
            ("*.ads.test", "y.x.ads.test", true),
            ("*.ads.test", "ads.test", false),
            ("*.ads.test", "bads.test", false),
            ("*", "ads.test", true),
            ("bücher.test", "xn--bcher-kva.test", true),
            ("127.0.0.1", "127.0.0.1", true),
        ] {
            assert_eq!(HostPattern::parse(pattern).unwrap().holds(host), holds, "{pattern} {host}");
        }
        for text in ["", "*.", "a.*", "*ads.test", "ads.test:80", "http://ads.test", "*.127.0.0.1", "."] {
            assert!(HostPattern::parse(text).unwrap_err().contains(&format!("found `{text}`")), "{text}");
        }
    }

    proptest! {
        #[test]
        fn fuzz_no_text_breaks_the_parsers(text in "[0-9a-f.:/*, -]{0,40}", vu: u32) {
            if let Ok(ips) = LocalIps::parse(std::slice::from_ref(&text)) {
                let of_family = [V4, V6].map(|family| ips.of_vu(vu, family).is_some());
                prop_assert_eq!(of_family.contains(&true), !ips.is_empty());
            }
            let _ = network(&text);
            let _ = HostPattern::parse(&text);
        }

        #[test]
        fn fuzz_a_range_is_walked_from_its_first_to_its_last(first: u32, more in 0..1000u32) {
            let last = first.saturating_add(more);
            let text = format!("{}-{}", Ipv4Addr::from(first), Ipv4Addr::from(last));
            let ips = local(&text).unwrap();
            let count = last - first + 1;
            prop_assert_eq!(ips.count(), u128::from(count));
            prop_assert_eq!(ips.of_vu(count, V4), Some(Ipv4Addr::from(last).into()));
            prop_assert_eq!(ips.of_vu(count + 1, V4), Some(Ipv4Addr::from(first).into()));
        }
    }
}
