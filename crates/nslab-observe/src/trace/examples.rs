//! What tests take for something that was seen.

use std::net::Ipv4Addr;

use nslab_decode::{Flow, Points};
use nslab_kernel::packet::PacketKind;

use super::{Captured, Role, Seen};

/// Between two that talk ICMP.
pub(super) fn flow() -> Flow {
    let any = Ipv4Addr::new(10, 0, 0, 1).into();
    Flow { source: any, destination: any, protocol: 1, points: Points::None }
}

/// A request that comes in at an interface, or goes out there if it is `sent`.
pub(super) fn seen(link: u32, sent: bool) -> Seen {
    let frame = Captured {
        time: 0,
        length: 0,
        bytes: Vec::new(),
        network: 0,
        kind: PacketKind::Host,
        hardware: 1,
        protocol: 0x800,
        vlan: None,
        checksum_pending: false,
    };
    Seen {
        role: Role::Request,
        link,
        name: format!("if{link}"),
        sent,
        for_others: false,
        in_tunnel: false,
        flow: flow(),
        ttl: 64,
        fragment: None,
        frame,
    }
}
