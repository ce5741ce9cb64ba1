//! Interfaces that are not ends of cables: VLANs, tunnels, bonds and the like.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use nslab_types::{IfName, MacAddr};
use serde::{Deserialize, Serialize};

use super::Path;
use crate::impairment::Impairment;

/// An interface of a node that is no end of a cable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: IfName,
    /// The name that was meant where [`Interface::name`] had to be shortened; becomes an alternative name.
    pub full_name: Option<String>,
    /// What it is.
    pub kind: InterfaceKind,
    /// Its MAC; none where it has none of its own (IP tunnels, ipvlan).
    pub mac: Option<MacAddr>,
    /// Bytes of layer 3 it carries.
    pub mtu: u32,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// Administratively up.
    pub up: bool,
    /// The bridge, bond or VRF of the node that it is a member of.
    pub master: Option<IfName>,
    /// What happens to what it sends.
    #[serde(default)]
    pub impairment: Impairment,
    /// What happens instead to what it sends to particular neighbours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<Path>,
    /// The segment it is on, an index into [`Topology::segments`](super::Topology::segments).
    pub segment: usize,
}

/// What an [`Interface`] is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceKind {
    /// The frames of one VLAN on another interface.
    Vlan {
        /// The interface below.
        link: IfName,
        /// The VLAN, 1 to 4094.
        id: u16,
        /// The tag's protocol.
        protocol: VlanProtocol,
    },
    /// Ethernet over UDP (RFC 7348).
    Vxlan {
        /// The network identifier, 24 bits.
        id: u32,
        /// The UDP port.
        port: u16,
        /// The local end's address.
        local: Option<IpAddr>,
        /// The remote ends: frames for all go to each of them.
        remotes: Vec<IpAddr>,
        /// The interface it sends by; by the route if none.
        link: Option<IfName>,
        /// Learns from traffic which remote end a MAC is behind.
        learning: bool,
    },
    /// Ethernet over UDP (RFC 8926).
    Geneve {
        /// The network identifier, 24 bits.
        id: u32,
        /// The UDP port.
        port: u16,
        /// The remote end.
        remote: IpAddr,
    },
    /// IP or Ethernet in GRE or IP.
    Tunnel {
        /// How packets are wrapped.
        encapsulation: Encapsulation,
        /// The local end's address.
        local: Option<IpAddr>,
        /// The remote end's address.
        remote: IpAddr,
        /// The key in each packet, of GRE.
        key: Option<u32>,
        /// TTL of the outer header.
        ttl: u8,
        /// The interface it sends by; by the route if none.
        link: Option<IfName>,
    },
    /// WireGuard.
    Wireguard {
        /// The UDP port it listens on.
        port: u16,
        /// Its peers.
        peers: Vec<WireguardPeer>,
    },
    /// A further MAC on another interface.
    Macvlan {
        /// The interface below.
        link: IfName,
        /// Who of the siblings reaches whom.
        mode: MacvlanMode,
    },
    /// Further addresses on another interface, with the same MAC.
    Ipvlan {
        /// The interface below.
        link: IfName,
        /// The layer it works at.
        mode: IpvlanMode,
    },
    /// Takes everything, sends nothing.
    Dummy,
    /// Several interfaces as one.
    Bond {
        /// How its members share the work.
        mode: BondMode,
        /// Every how long its members' carriers are looked at.
        miimon: Duration,
        /// The member that is used whenever it can be, in modes that have one.
        primary: Option<IfName>,
    },
    /// Several interfaces on one segment.
    Bridge {
        /// Spanning tree.
        stp: bool,
    },
    /// A routing domain with a table of its own.
    Vrf {
        /// Its table.
        table: u32,
    },
    /// A program's interface.
    Tun {
        /// It carries Ethernet frames rather than IP packets.
        tap: bool,
        /// The user who may attach to it besides the privileged.
        owner: Option<u32>,
    },
}

/// A peer of a WireGuard interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireguardPeer {
    /// The peer's node.
    pub node: String,
    /// The peer's interface there.
    pub interface: IfName,
    /// Where it is; none for one that has to call.
    pub endpoint: Option<SocketAddr>,
    /// What may come from it and is sent to it.
    pub allowed: Vec<IpNet>,
    /// Every how many seconds something is sent to it though there is nothing to say; 0 is never.
    pub keepalive: u16,
}

/// An enumeration whose members have names.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// All of them, each with its name.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),+];

            /// Its name in lab files and in ip(8).
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }
    };
}

words! {
    /// The protocol of a VLAN's tag.
    VlanProtocol {
        /// IEEE 802.1Q.
        Dot1Q = "802.1q",
        /// IEEE 802.1ad.
        Dot1Ad = "802.1ad",
    }
}

words! {
    /// How a tunnel wraps packets.
    Encapsulation {
        /// IP in GRE over IPv4 (RFC 2784).
        Gre = "gre",
        /// Ethernet in GRE over IPv4.
        Gretap = "gretap",
        /// IP in GRE over IPv6.
        Ip6gre = "ip6gre",
        /// Ethernet in GRE over IPv6.
        Ip6gretap = "ip6gretap",
        /// IPv4 in IPv4 (RFC 2003).
        Ipip = "ipip",
        /// IPv6 in IPv4 (RFC 4213).
        Sit = "sit",
        /// IPv4 and IPv6 in IPv6 (RFC 2473).
        Ip6tnl = "ip6tnl",
    }
}

words! {
    /// Who of a macvlan's siblings reaches whom.
    MacvlanMode {
        /// They do not reach each other.
        Private = "private",
        /// They reach each other through the outside switch.
        Vepa = "vepa",
        /// They reach each other.
        Bridge = "bridge",
        /// The lower interface is handed through to one.
        Passthru = "passthru",
    }
}

words! {
    /// The layer that an ipvlan works at.
    IpvlanMode {
        /// Layer 2.
        L2 = "l2",
        /// Layer 3.
        L3 = "l3",
        /// Layer 3 with netfilter.
        L3s = "l3s",
    }
}

words! {
    /// How a bond's members share the work.
    BondMode {
        /// One after the other.
        BalanceRr = "balance-rr",
        /// One at a time.
        ActiveBackup = "active-backup",
        /// By addresses.
        BalanceXor = "balance-xor",
        /// All at once.
        Broadcast = "broadcast",
        /// As LACP agrees (IEEE 802.1AX).
        Lacp = "802.3ad",
        /// By load, sending only.
        BalanceTlb = "balance-tlb",
        /// By load, both ways.
        BalanceAlb = "balance-alb",
    }
}

impl Encapsulation {
    /// Its outer header is IPv6.
    pub fn is_over_ipv6(self) -> bool {
        matches!(self, Self::Ip6gre | Self::Ip6gretap | Self::Ip6tnl)
    }

    /// It carries Ethernet frames.
    pub fn is_ethernet(self) -> bool {
        matches!(self, Self::Gretap | Self::Ip6gretap)
    }

    /// It can have a key.
    pub fn has_key(self) -> bool {
        matches!(self, Self::Gre | Self::Gretap | Self::Ip6gre | Self::Ip6gretap)
    }
}

impl BondMode {
    /// Whether one of the members can be preferred (`primary` in the kernel's networking/bonding.rst).
    pub fn has_primary(self) -> bool {
        matches!(self, Self::ActiveBackup | Self::BalanceTlb | Self::BalanceAlb)
    }

    /// Whether each member has a MAC of its own, which the kernel moves among them; it refuses two that are the same
    /// (`bond_alb_init_slave`, `drivers/net/bonding/bond_alb.c`). In other modes all have that of the bond.
    pub fn moves_macs(self) -> bool {
        matches!(self, Self::BalanceTlb | Self::BalanceAlb)
    }
}

/// A VLAN of a switch's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortVlan {
    /// The VLAN, 1 to 4094.
    pub id: u16,
    /// Frames that come in untagged belong to it.
    pub pvid: bool,
    /// Its frames go out untagged.
    pub untagged: bool,
}

impl PortVlan {
    /// What a port of a VLAN-aware switch has that says nothing else (`br_vlan`, `default_pvid`).
    pub const DEFAULT: Self = Self::native(1);

    /// A VLAN that is untagged both ways.
    pub const fn native(id: u16) -> Self {
        Self { id, pvid: true, untagged: true }
    }
}

/// A forwarding entry of a switch that is not learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FdbEntry {
    /// The MAC.
    pub mac: MacAddr,
    /// The VLAN, where the switch is VLAN-aware.
    pub vlan: Option<u16>,
    /// The port that it is behind.
    pub port: IfName,
}

/// The `type` of an interface's kind, as it was described or as it was resolved: both have the same kinds.
macro_rules! kind_name {
    ($kind:expr) => {
        match $kind {
            Self::Vlan { .. } => "vlan",
            Self::Vxlan { .. } => "vxlan",
            Self::Geneve { .. } => "geneve",
            Self::Tunnel { encapsulation, .. } => encapsulation.name(),
            Self::Wireguard { .. } => "wireguard",
            Self::Macvlan { .. } => "macvlan",
            Self::Ipvlan { .. } => "ipvlan",
            Self::Dummy => "dummy",
            Self::Bond { .. } => "bond",
            Self::Bridge { .. } => "bridge",
            Self::Vrf { .. } => "vrf",
            Self::Tun { tap: false, .. } => "tun",
            Self::Tun { tap: true, .. } => "tap",
        }
    };
}
pub(crate) use kind_name;

impl InterfaceKind {
    /// Its `type` in a lab file and in ip(8).
    pub fn name(&self) -> &'static str {
        kind_name!(self)
    }
}
