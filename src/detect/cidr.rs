//! Ranges of IP addresses.

use std::net::IpAddr;

/// A network: every address with these leading bits. A v4 address written as v6 (`::ffff:10.0.0.1`) counts as v4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Cidr {
    /// The leading bits, the rest zero.
    bits: u128,
    len: u8,
    is_v6: bool,
}

fn bits_of(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), false),
        IpAddr::V6(v6) => (v6.to_bits(), true),
    }
}

fn mask(bits: u128, len: u8, is_v6: bool) -> u128 {
    let width: u8 = if is_v6 { 128 } else { 32 };
    match width.saturating_sub(len) {
        0 => bits,
        128.. => 0,
        tail => bits >> tail << tail,
    }
}

/// The address that a text spells; a zone (`fe80::1%eth0`) is left out.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    if text.len() > 64 {
        return None;
    }
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

impl Cidr {
    /// Reads `10.0.0.0/8`, `2001:db8::/32` or a single address.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (network, len) = match text.split_once('/') {
            Some((network, len)) => (network, Some(len.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let network: IpAddr = network.parse().ok()?;
        let width = if network.is_ipv4() { 32 } else { 128 };
        let len = len.unwrap_or(width);
        if len > width {
            return None;
        }
        let canonical = network.to_canonical();
        if network.is_ipv6() && canonical.is_ipv4() && len >= 96 {
            let (bits, is_v6) = bits_of(canonical);
            return Some(Self { bits: mask(bits, len - 96, is_v6), len: len - 96, is_v6 });
        }
        let (bits, is_v6) = bits_of(network);
        Some(Self { bits: mask(bits, len, is_v6), len, is_v6 })
    }

    /// Whether the address lies in it.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let (bits, is_v6) = bits_of(address);
        is_v6 == self.is_v6 && mask(bits, self.len, is_v6) == self.bits
    }

    /// The network of this length around an address, to look it up.
    pub(super) fn around(address: IpAddr, len: u8) -> Self {
        let (bits, is_v6) = bits_of(address);
        Self { bits: mask(bits, len, is_v6), len, is_v6 }
    }

    /// Length of the prefix, and whether it is of v6.
    pub(super) fn shape(&self) -> (u8, bool) {
        (self.len, self.is_v6)
    }
}
