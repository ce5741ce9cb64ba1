//! Which source address an IPv4 packet gets.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use nslab_kernel::address::Address;
use nslab_kernel::link::{IfIndex, Link};
use nslab_snapshot::State;

use super::devices::{SCOPE_HOST, SCOPE_LINK, vrf_of};

/// The addresses of a link that may be sources at all.
fn primary(state: &State, link: IfIndex) -> impl Iterator<Item = (&Address, Ipv4Addr)> {
    state
        .network
        .addresses
        .iter()
        .filter(move |address| address.link == link && !address.secondary)
        .filter_map(|address| match address.address.addr() {
            IpAddr::V4(own) => Some((address, own)),
            IpAddr::V6(_) => None,
        })
}

/// Whether an address is of a subnet (`inet_ifa_match`); of a link with a far end it is that end's.
pub(super) fn is_in_subnet(address: &Address, other: Ipv4Addr) -> bool {
    let far = address.peer.unwrap_or(address.address.addr());
    IpNet::new(far, address.address.prefix_len()).is_ok_and(|net| net.contains(&IpAddr::V4(other)))
}

/// Whether any link has the address (`inet_lookup_ifaddr_rcu`, `net/ipv4/devinet.c`).
pub(super) fn is_own(state: &State, address: IpAddr) -> bool {
    state.network.addresses.iter().any(|own| own.address.addr() == address)
}

/// The source for what leaves by `link` toward `neighbour`, the gateway or none in particular
/// (`inet_select_addr`, `net/ipv4/devinet.c`): a primary address of a scope that reaches far enough, best one of the
/// gateway's subnet, else the link's first; failing that, another link's.
/// There are several if it is not known which other link the kernel comes to first.
pub(super) fn select(state: &State, link: IfIndex, neighbour: Option<Ipv4Addr>, scope: u8) -> Vec<Ipv4Addr> {
    let Some(device) = state.link(link) else { return Vec::new() };
    let localnet =
        device.ipv4.is_some_and(|ipv4| ipv4.route_localnet) || state.settings.ipv4_all.route_localnet;
    let widest = if localnet { SCOPE_LINK } else { SCOPE_HOST };
    let mut first = None;
    for (address, own) in primary(state, link) {
        if address.scope.min(widest) > scope {
            continue;
        }
        if neighbour.is_none_or(|neighbour| is_in_subnet(address, neighbour)) {
            return vec![own];
        }
        first = first.or(Some(own));
    }
    first.map_or_else(|| elsewhere(state, device, scope), |first| vec![first])
}

/// Another link's. The kernel takes the first that has one, in the order in which links came to the namespace, which is
/// mostly that of their numbers; `lo` is the first in any case.
fn elsewhere(state: &State, device: &Link, scope: u8) -> Vec<Ipv4Addr> {
    let of = |link: IfIndex| {
        primary(state, link)
            .find(|(address, _)| address.scope != SCOPE_LINK && address.scope <= scope)
            .map(|(_, own)| own)
    };
    let vrf = vrf_of(state, device.index).map(|vrf| vrf.index);
    if let Some(own) = vrf.and_then(of) {
        return vec![own];
    }
    let same = |link: &&Link| vrf_of(state, link.index).map(|vrf| vrf.index) == vrf;
    let mut found = state.network.links.iter().filter(same);
    let first = found.by_ref().find_map(|link| of(link.index).map(|own| (own, link.loopback)));
    match first {
        None => Vec::new(),
        Some((own, true)) => vec![own],
        Some((own, false)) => std::iter::once(own).chain(found.filter_map(|link| of(link.index))).collect(),
    }
}
