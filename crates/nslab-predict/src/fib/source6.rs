//! Which source address an IPv6 packet gets (RFC 6724, section 5, as `ipv6_dev_get_saddr` in `net/ipv6/addrconf.c` has it).

use std::net::{IpAddr, Ipv6Addr};

use nslab_kernel::address::Address;
use nslab_kernel::link::{IfIndex, Link};
use nslab_snapshot::State;

use super::devices::vrf_of;

/// The scope of an address as a source, on the scale of groups (RFC 4291, section 2.7; `ipv6_addr_src_scope`).
fn scope(address: Ipv6Addr) -> i32 {
    match address.octets() {
        _ if address.is_unspecified() => -1,
        [0xff, second, ..] => i32::from(second & 0xf),
        _ if address.is_loopback() => 2,
        [0xfe, second, ..] if second & 0xc0 == 0x80 => 2,
        [0xfe, second, ..] if second & 0xc0 == 0xc0 => 5,
        _ => 14,
    }
}

/// `IPV6_ADDR_SCOPE_LINKLOCAL`.
const LINK_LOCAL: i32 = 2;

/// The policy table as it is unless somebody changed it (`ip_addrlabel_init_table`, `net/ipv6/addrlabel.c`).
const LABELS: [(Ipv6Addr, u32, u32); 10] = [
    (Ipv6Addr::LOCALHOST, 128, 0),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 4),
    (Ipv6Addr::UNSPECIFIED, 96, 3),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, 6),
    (Ipv6Addr::new(0x2001, 0x10, 0, 0, 0, 0, 0, 0), 28, 7),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 2),
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16, 12),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, 11),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, 5),
    (Ipv6Addr::UNSPECIFIED, 0, 1),
];

/// How many bits two addresses have in common at their beginning.
fn common(one: Ipv6Addr, other: Ipv6Addr) -> u32 {
    (u128::from(one) ^ u128::from(other)).leading_zeros()
}

fn label(address: Ipv6Addr) -> u32 {
    LABELS.iter().find(|(prefix, length, _)| common(*prefix, address) >= *length).map_or(1, |label| label.2)
}

/// `2001:10::/28` (RFC 4843).
fn is_orchid(address: Ipv6Addr) -> bool {
    common(address, Ipv6Addr::new(0x2001, 0x10, 0, 0, 0, 0, 0, 0)) >= 28
}

/// The rules in their order (`ipv6_get_saddr_eval`); what is greater is better.
type Score = (bool, i32, bool, bool, bool, bool, bool, bool, u32, bool);

fn score(state: &State, address: &Address, own: Ipv6Addr, link: Option<IfIndex>, to: Ipv6Addr) -> Score {
    let settings = state.link(address.link).and_then(|link| link.ipv6).unwrap_or_default();
    let optimistic_is_fine = settings.use_optimistic || state.settings.ipv6_all.use_optimistic;
    let (reach, wanted) = (scope(own), scope(to));
    // The smallest scope that is enough; without such, the largest.
    let fit = if reach >= wanted { -reach } else { reach - 128 };
    let always = own.is_loopback() || matches!(own.segments(), [0, 0, 0, 0, 0, 0 | 0xffff, ..]);
    let preferred = always || !(address.deprecated || address.optimistic && !optimistic_is_fine);
    (
        own == to,
        fit,
        preferred,
        address.home,
        link.is_none_or(|link| link == address.link),
        label(own) == label(to),
        address.temporary == (settings.use_tempaddr >= 2),
        is_orchid(own) == is_orchid(to),
        common(own, to).min(u32::from(address.address.prefix_len())),
        !address.optimistic,
    )
}

/// The source for what leaves by `link` toward `to`. There are several if it is not known which of two other links'
/// addresses the kernel comes to first.
pub(super) fn select(state: &State, link: Option<IfIndex>, to: Ipv6Addr) -> Vec<Ipv6Addr> {
    let device = link.and_then(|link| state.link(link));
    let only_here = |device: &Link| {
        to.is_multicast()
            || scope(to) <= LINK_LOCAL
            || device.ipv6.is_some_and(|ipv6| ipv6.use_oif_addrs_only)
    };
    let vrf = |index| vrf_of(state, index).map(|vrf| vrf.index);
    let own_vrf = device.and_then(|device| vrf(device.index));
    let only = device.filter(|device| only_here(device)).map(|device| device.index);
    let mut best: Vec<(Score, IfIndex, Ipv6Addr)> = Vec::new();
    for address in &state.network.addresses {
        let IpAddr::V6(own) = address.address.addr() else { continue };
        let unusable = address.tentative && !address.optimistic || own.is_unspecified() || own.is_multicast();
        let elsewhere = only.is_some_and(|only| only != address.link) || vrf(address.link) != own_vrf;
        if unusable || elsewhere {
            continue;
        }
        let score = score(state, address, own, link, to);
        match best.first() {
            Some((highest, ..)) if *highest > score => {}
            Some((highest, ..)) if *highest == score => best.push((score, address.link, own)),
            _ => best = vec![(score, address.link, own)],
        }
    }
    // Of one link the first counts: the kernel lists them in the order in which it looks at them.
    let mut links = Vec::new();
    best.retain(|(_, link, _)| {
        !links.contains(link) && {
            links.push(*link);
            true
        }
    });
    best.into_iter().map(|(_, _, own)| own).collect()
}
