//! Which groups an interface has joined. Where a snapshot does not hold that, what follows from its addresses is known all
//! the same.

use std::net::IpAddr;

use nslab_kernel::link::Link;
use nslab_snapshot::State;

use super::Frame;

/// Whether an interface takes what is for the frame's group; none where that is not known.
///
/// All hosts (224.0.0.1) is joined with IPv4 (`ip_mc_up`, `net/ipv4/igmp.c`), all nodes (`ff02::1`) with IPv6, and the
/// solicited-node group of each IPv6 address with the address (RFC 4291, section 2.7.1).
pub(super) fn has_joined(state: &State, link: &Link, frame: &Frame) -> Option<bool> {
    if frame.is_broadcast() {
        return Some(true);
    }
    let has_ipv6 = link.ipv6.is_some_and(|settings| !settings.disabled);
    match frame.destination.0 {
        [0x01, 0x00, 0x5e, 0, 0, 1] => Some(link.ipv4.is_some()),
        [0x33, 0x33, 0, 0, 0, 1] => Some(has_ipv6),
        [0x33, 0x33, 0xff, low @ ..] => Some(state.network.addresses.iter().any(|address| {
            address.link == link.index
                && matches!(address.address.addr(), IpAddr::V6(address) if address.octets()[13..] == low)
        })),
        // What is not among them may be taken all the same: by packet sockets, drivers, and as macvlans tell groups apart by
        // a hash only (`macvlan_broadcast`, `drivers/net/macvlan.c`).
        mac => {
            let groups = state.groups.as_ref()?;
            let joined = groups.iter().any(|own| own.link == link.index && mac_of(own.group) == mac);
            joined.then_some(true)
        }
    }
}

/// The MAC of a group (RFC 1112, section 6.4; RFC 2464, section 7).
fn mac_of(group: IpAddr) -> [u8; 6] {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            [0x01, 0x00, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(group) => {
            let low = group.octets();
            [0x33, 0x33, low[12], low[13], low[14], low[15]]
        }
    }
}
