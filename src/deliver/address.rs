//! Where we may connect to. A webhook's URL is somebody's input: it must not become a way to the metadata service or into the cluster.
//!
//! Every address that a name resolves to must be allowed, and the connection goes to one of those very addresses, so a second answer of the resolver
//! changes nothing.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Addresses that one name may resolve to.
const ADDRESSES_MAX: usize = 64;

/// A range of addresses, as `10.0.0.0/8`; a bare address is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    base: IpAddr,
    prefix: u8,
}

impl Cidr {
    const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Self { base: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    const fn v6(groups: [u16; 8], prefix: u8) -> Self {
        let [a, b, c, d, e, f, g, h] = groups;
        Self { base: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), prefix }
    }

    /// Whether the address lies within. Never across families: an IPv4 address in an IPv6 one is taken out before.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => (base.to_bits() ^ address.to_bits()).leading_zeros() >= u32::from(self.prefix),
            (IpAddr::V6(base), IpAddr::V6(address)) => (base.to_bits() ^ address.to_bits()).leading_zeros() >= u32::from(self.prefix),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{}` is no range of addresses: 10.0.0.0/8 and fd00::/8 are", text.escape_debug());
        let (base, prefix) = text.split_once('/').map_or((text, None), |(base, prefix)| (base, Some(prefix)));
        let base: IpAddr = base.parse().map_err(|_| bad())?;
        let bits = if base.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(bits), str::parse).map_err(|_| bad())?;
        if prefix > bits { Err(bad()) } else { Ok(Self { base, prefix }) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// Reached only when the operator says that private addresses are fine: loopback, RFC 1918, carrier NAT, unique local.
const PRIVATE: &[Cidr] = &[
    Cidr::v4(127, 0, 0, 0, 8),
    Cidr::v4(10, 0, 0, 0, 8),
    Cidr::v4(172, 16, 0, 0, 12),
    Cidr::v4(192, 168, 0, 0, 16),
    Cidr::v4(100, 64, 0, 0, 10),
    Cidr::v6([0, 0, 0, 0, 0, 0, 0, 1], 128),
    Cidr::v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
];

/// Reached only when a range names them: metadata services, and what is no host on the internet (IANA's special-purpose registries).
const NEVER: &[Cidr] = &[
    Cidr::v4(100, 100, 100, 200, 32),
    Cidr::v4(168, 63, 129, 16, 32),
    Cidr::v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254], 128),
    Cidr::v4(0, 0, 0, 0, 8),
    Cidr::v4(169, 254, 0, 0, 16),
    Cidr::v4(192, 0, 0, 0, 24),
    Cidr::v4(192, 0, 2, 0, 24),
    Cidr::v4(192, 88, 99, 0, 24),
    Cidr::v4(198, 18, 0, 0, 15),
    Cidr::v4(198, 51, 100, 0, 24),
    Cidr::v4(203, 0, 113, 0, 24),
    Cidr::v4(224, 0, 0, 0, 4),
    Cidr::v4(240, 0, 0, 0, 4),
    Cidr::v6([0, 0, 0, 0, 0, 0, 0, 0], 128),
    Cidr::v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96),
    Cidr::v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48),
    Cidr::v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64),
    Cidr::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    Cidr::v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    Cidr::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16),
    Cidr::v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
    Cidr::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    Cidr::v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10),
    Cidr::v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
];

/// What a target may resolve to. By default public addresses only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Loopback and private networks too. Metadata services stay out of reach.
    pub allow_private: bool,
    /// These ranges too, whatever they are.
    pub allow_cidrs: Vec<Cidr>,
}

/// An address that must not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("address {address} is not public; allow its range in `allow_cidrs` if it is meant")]
pub struct Refused {
    pub address: IpAddr,
}

impl AddressPolicy {
    /// Whether a connection to the address is allowed.
    pub fn check(&self, address: IpAddr) -> Result<(), Refused> {
        let plain = unwrap_v4(address);
        let within = |ranges: &[Cidr]| ranges.iter().any(|range| range.contains(plain));
        let allowed = within(&self.allow_cidrs) || !within(NEVER) && (self.allow_private || !within(PRIVATE));
        if allowed { Ok(()) } else { Err(Refused { address }) }
    }

    /// As [`AddressPolicy::check`], for all of them: one bad address refuses the lot.
    pub fn check_all(&self, addresses: &[SocketAddr]) -> Result<(), Refused> {
        addresses.iter().try_for_each(|address| self.check(address.ip()))
    }
}

/// `::ffff:a.b.c.d` and `::a.b.c.d` reach the IPv4 address in them.
fn unwrap_v4(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) if six.is_loopback() || six.is_unspecified() => address,
        IpAddr::V6(six) => six.to_ipv4().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// Resolves names for the HTTP client, and refuses those that lead where they must not.
#[derive(Debug, Clone)]
pub(super) struct GuardedResolver(pub(super) AddressPolicy);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
            policy.check_all(&addresses)?;
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}
