//! Tunnels: their settings, and those on the wire (`IFLA_GRE_*`, `IFLA_IPTUN_*`, `IFLA_GENEVE_*`;
//! `include/uapi/linux/if_tunnel.h`, `include/uapi/linux/if_link.h`).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::IfIndex;
use crate::abi::*;
use crate::netlink::{Attributes, MessageWriter};

/// A tunnel from one address to another, without UDP in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    /// How packets are wrapped.
    pub encapsulation: Encapsulation,
    /// The local end's address.
    pub local: Option<IpAddr>,
    /// The remote end's address.
    pub remote: Option<IpAddr>,
    /// The interface it sends by; by the route to the remote end if none.
    pub lower: Option<IfIndex>,
    /// The key that both ends carry in each packet (RFC 2890), for GRE.
    pub key: Option<u32>,
    /// TTL of the outer header; 0 takes the inner one's.
    pub ttl: Option<u8>,
}

/// How a [`Tunnel`] wraps packets, by the kernel's names for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encapsulation {
    /// IP in GRE over IPv4 (RFC 2784).
    Gre,
    /// Ethernet in GRE over IPv4.
    Gretap,
    /// IP in GRE over IPv6.
    Ip6gre,
    /// Ethernet in GRE over IPv6.
    Ip6gretap,
    /// IPv4 in IPv4 (RFC 2003).
    Ipip,
    /// IPv6 in IPv4 (RFC 4213).
    Sit,
    /// IPv4 and IPv6 in IPv6 (RFC 2473).
    Ip6tnl,
}

impl Encapsulation {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Gre, Self::Gretap, Self::Ip6gre, Self::Ip6gretap, Self::Ipip, Self::Sit, Self::Ip6tnl];

    /// The kernel's name for it (`IFLA_INFO_KIND`).
    pub fn name(self) -> &'static str {
        match self {
            Self::Gre => "gre",
            Self::Gretap => "gretap",
            Self::Ip6gre => "ip6gre",
            Self::Ip6gretap => "ip6gretap",
            Self::Ipip => "ipip",
            Self::Sit => "sit",
            Self::Ip6tnl => "ip6tnl",
        }
    }

    /// Its settings are `IFLA_GRE_*` rather than `IFLA_IPTUN_*`.
    fn is_gre(self) -> bool {
        matches!(self, Self::Gre | Self::Gretap | Self::Ip6gre | Self::Ip6gretap)
    }

    /// Its outer header is IPv6.
    fn is_over_ipv6(self) -> bool {
        matches!(self, Self::Ip6gre | Self::Ip6gretap | Self::Ip6tnl)
    }
}

/// A Geneve's settings (RFC 8926).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geneve {
    /// The network identifier, 24 bits.
    pub vni: u32,
    /// The remote end's address; the kernel refuses one without.
    pub remote: Option<IpAddr>,
    /// The UDP port, 6081 if none.
    pub port: Option<u16>,
    /// TTL of the outer header; 0 is the kernel's choice.
    pub ttl: Option<u8>,
}

/// `GRE_KEY` (`include/uapi/linux/if_tunnel.h`).
const GRE_KEY: u16 = 0x2000;
/// `IP6_TNL_F_IGN_ENCAP_LIMIT` (`include/uapi/linux/ip6_tunnel.h`): no destination option of eight bytes that limits
/// how deep tunnels nest.
const IGNORE_ENCAPSULATION_LIMIT: u32 = 1;

pub(super) fn write_tunnel(data: &mut MessageWriter<'_>, tunnel: &Tunnel) {
    let kind = tunnel.encapsulation;
    let (link, local, remote, ttl) = if kind.is_gre() {
        (IFLA_GRE_LINK, IFLA_GRE_LOCAL, IFLA_GRE_REMOTE, IFLA_GRE_TTL)
    } else {
        (IFLA_IPTUN_LINK, IFLA_IPTUN_LOCAL, IFLA_IPTUN_REMOTE, IFLA_IPTUN_TTL)
    };
    if let Some(lower) = tunnel.lower {
        data.u32(link, lower);
    }
    if let Some(address) = tunnel.local {
        data.address(local, address);
    }
    if let Some(address) = tunnel.remote {
        data.address(remote, address);
    }
    if let Some(value) = tunnel.ttl {
        data.u8(ttl, value);
    }
    if let Some(key) = tunnel.key.filter(|_| kind.is_gre()) {
        for (flags, place) in [(IFLA_GRE_IFLAGS, IFLA_GRE_IKEY), (IFLA_GRE_OFLAGS, IFLA_GRE_OKEY)] {
            data.attribute(flags, &GRE_KEY.to_be_bytes());
            data.attribute(place, &key.to_be_bytes());
        }
    }
    if kind.is_over_ipv6() {
        let flags = if kind.is_gre() { IFLA_GRE_FLAGS } else { IFLA_IPTUN_FLAGS };
        data.u32(flags, IGNORE_ENCAPSULATION_LIMIT);
    }
    if kind == Encapsulation::Ip6tnl {
        // Both families (`ipv6_tunnel(4)`: any).
        data.u8(IFLA_IPTUN_PROTO, 0);
    }
}

pub(super) fn read_tunnel(encapsulation: Encapsulation, data: &Attributes<'_>) -> Tunnel {
    let specified = |address: Option<IpAddr>| address.filter(|address| !address.is_unspecified());
    let mut tunnel = Tunnel { encapsulation, local: None, remote: None, lower: None, key: None, ttl: None };
    let mut flags = 0;
    for attribute in data.clone() {
        let address = || specified(attribute.address());
        let index = || attribute.u32().filter(|&index| index != 0);
        if encapsulation.is_gre() {
            match attribute.kind {
                IFLA_GRE_LINK => tunnel.lower = index(),
                IFLA_GRE_LOCAL => tunnel.local = address(),
                IFLA_GRE_REMOTE => tunnel.remote = address(),
                IFLA_GRE_TTL => tunnel.ttl = attribute.u8(),
                IFLA_GRE_OFLAGS => flags = attribute.be16().unwrap_or(0),
                IFLA_GRE_OKEY => tunnel.key = attribute.u32().map(u32::from_be),
                _ => {}
            }
        } else {
            match attribute.kind {
                IFLA_IPTUN_LINK => tunnel.lower = index(),
                IFLA_IPTUN_LOCAL => tunnel.local = address(),
                IFLA_IPTUN_REMOTE => tunnel.remote = address(),
                IFLA_IPTUN_TTL => tunnel.ttl = attribute.u8(),
                _ => {}
            }
        }
    }
    tunnel.key = tunnel.key.filter(|_| flags & GRE_KEY != 0);
    tunnel
}

pub(super) fn write_geneve(data: &mut MessageWriter<'_>, geneve: &Geneve) {
    data.u32(IFLA_GENEVE_ID, geneve.vni);
    if let Some(remote) = geneve.remote {
        data.address(if remote.is_ipv4() { IFLA_GENEVE_REMOTE } else { IFLA_GENEVE_REMOTE6 }, remote);
    }
    if let Some(port) = geneve.port {
        data.attribute(IFLA_GENEVE_PORT, &port.to_be_bytes());
    }
    if let Some(ttl) = geneve.ttl {
        data.u8(IFLA_GENEVE_TTL, ttl);
    }
}

pub(super) fn read_geneve(data: &Attributes<'_>) -> Geneve {
    let mut geneve = Geneve { vni: 0, remote: None, port: None, ttl: None };
    for attribute in data.clone() {
        match attribute.kind {
            IFLA_GENEVE_ID => geneve.vni = attribute.u32().unwrap_or(0),
            IFLA_GENEVE_REMOTE | IFLA_GENEVE_REMOTE6 => geneve.remote = attribute.address(),
            IFLA_GENEVE_PORT => geneve.port = attribute.be16(),
            IFLA_GENEVE_TTL => geneve.ttl = attribute.u8(),
            _ => {}
        }
    }
    geneve
}
