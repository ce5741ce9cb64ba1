//! What a routing decision is made by.

use std::net::IpAddr;

use nslab_kernel::link::IfIndex;

use crate::Packet;

/// What the kernel looks at of a packet when it decides the packet's way (`struct flowi4`, `struct flowi6`,
/// `include/net/flow.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Where it comes from, of the destination's family; none if no source has been chosen yet.
    pub source: Option<IpAddr>,
    /// Where it goes.
    pub destination: IpAddr,
    /// The interface it came in by; none if it is made in this namespace.
    pub iif: Option<IfIndex>,
    /// The interface that rules see it come in by, where that is not [`iif`](Self::iif): a way back that is merely looked up behind
    /// the routing decision begins where the packet goes (`nft_fib4_eval`, `net/ipv4/netfilter/nft_fib_ipv4.c`).
    pub rules_iif: Option<IfIndex>,
    /// The interface that it is to leave by.
    pub oif: Option<IfIndex>,
    /// The socket is bound to that interface (`SO_BINDTODEVICE`), rather than only this packet sent by it (`IP_PKTINFO`).
    /// IPv6 then passes over routes that lead elsewhere, which it otherwise only ranks lower.
    pub bound: bool,
    /// Its mark.
    pub mark: u32,
    /// Its type of service or traffic class, the two ECN bits included.
    pub tos: u8,
    /// Its protocol number.
    pub protocol: u8,
    /// The ports of sender and receiver, of protocols that have them.
    pub ports: Option<(u16, u16)>,
    /// The user whose socket sends it, as this namespace's rules number users; none if that is not known. Packets that
    /// came in by an interface are root's.
    pub uid: Option<u32>,
    /// The source need not be an address of this namespace (`FLOWI_FLAG_ANYSRC`), as of resets that rules send in the
    /// receiver's name, and of what they changed (`ip_route_me_harder`, `net/ipv4/netfilter.c`).
    pub any_source: bool,
}

impl Flow {
    /// A packet to `destination` that is made here by a user that is not known, with nothing else to tell it from others.
    pub fn to(destination: IpAddr) -> Self {
        Self {
            source: None,
            destination,
            iif: None,
            rules_iif: None,
            oif: None,
            bound: true,
            mark: 0,
            tos: 0,
            protocol: 0,
            ports: None,
            uid: None,
            any_source: false,
        }
    }

    /// The flow of a packet that came in by an interface, or, without one, of a packet made here.
    pub fn of(packet: &Packet, iif: Option<IfIndex>) -> Self {
        Self {
            source: Some(packet.ip.source).filter(|source| iif.is_some() || !source.is_unspecified()),
            iif,
            mark: packet.mark,
            tos: packet.ip.tos,
            protocol: packet.protocol(),
            ports: packet.ports(),
            ..Self::to(packet.ip.destination)
        }
    }

    /// Whether it is IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.destination.is_ipv6()
    }

    /// The six bits of its DSCP.
    pub(super) fn dscp(&self) -> u8 {
        self.tos >> 2
    }

    /// The bits that routes and old-style rules of IPv4 compare with their type of service (`fib_dscp_masked_match`,
    /// `include/net/ip_fib.h`: `IPTOS_RT_MASK`).
    pub(super) fn rt_tos(&self) -> u8 {
        self.tos & 0x1c
    }

    /// The source, or the unspecified address.
    pub(super) fn source_or_any(&self) -> IpAddr {
        use std::net::{Ipv4Addr, Ipv6Addr};
        let any: IpAddr =
            if self.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        self.source.unwrap_or(any)
    }

    /// The number of the interface that rules see it come in by: that of `lo` for what is made here
    /// (`LOOPBACK_IFINDEX`).
    pub(super) fn rule_iif(&self) -> IfIndex {
        self.rules_iif.or(self.iif).unwrap_or(1)
    }
}
