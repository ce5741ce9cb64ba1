//! Addresses as numbers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::lab::Family;

/// An address as a number.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// A number as an address; `None` if the family has no such number.
pub(crate) fn address(family: Family, number: u128) -> Option<IpAddr> {
    match family {
        Family::Ipv4 => u32::try_from(number).ok().map(|number| Ipv4Addr::from(number).into()),
        Family::Ipv6 => Some(Ipv6Addr::from(number).into()),
    }
}

/// The first and last address of a prefix.
pub(crate) fn range(net: &IpNet) -> (u128, u128) {
    (number(net.network()), number(net.broadcast()))
}

/// The addresses that hosts of a prefix can have: not an IPv4 subnet's first and last, nor an IPv6 subnet's first
/// (the routers' anycast address, RFC 4291 section 2.6.1), but all of a pair's (RFC 3021, RFC 6164).
pub(crate) fn hosts(net: &IpNet) -> (u128, u128) {
    let (first, last) = range(net);
    match net {
        _ if net.max_prefix_len() - net.prefix_len() < 2 => (first, last),
        IpNet::V4(_) => (first + 1, last - 1),
        IpNet::V6(_) => (first + 1, last),
    }
}

/// `fe80::/10`.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}
