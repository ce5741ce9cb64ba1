//! Which groups an interface has joined. The snapshot does not hold that; what follows from its addresses is known all the
//! same.

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
        _ => None,
    }
}
