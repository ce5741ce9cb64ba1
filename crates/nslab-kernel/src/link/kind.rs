//! Kinds of interfaces and their settings (`IFLA_INFO_KIND`, `IFLA_INFO_DATA`).
//!
//! A setting that is `None` is left to the kernel when making a link; reading one back fills in what the kernel
//! shows.

use std::net::IpAddr;

use nslab_types::{IfName, MacAddr};
use serde::{Deserialize, Serialize};

use super::IfIndex;
use super::bond::Bond;
use super::tunnel::{Geneve, Tunnel};

/// What an interface is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// One end of a virtual cable. Making one takes the other end; reading one back leaves it out (see
    /// [`Link::lower`](super::Link::lower)).
    Veth(#[serde(skip)] Option<Box<VethPeer>>),
    /// A virtual switch.
    Bridge(Bridge),
    /// Ethernet over UDP (RFC 7348).
    Vxlan(Vxlan),
    /// A further MAC on another interface.
    Macvlan(Macvlan),
    /// A further address on another interface, with the same MAC.
    Ipvlan(Ipvlan),
    /// An IEEE 802.1Q or 802.1ad tag on another interface.
    Vlan(Vlan),
    /// A routing domain with a table of its own.
    Vrf(Vrf),
    /// IP or Ethernet in GRE, IPv4 or IPv6.
    Tunnel(Tunnel),
    /// Ethernet over UDP (RFC 8926).
    Geneve(Geneve),
    /// Several interfaces as one.
    Bond(Bond),
    /// A WireGuard interface; keys and peers are set by [`wireguard`](crate::wireguard).
    Wireguard,
    /// A program's interface; made by [`tun::create`](crate::tun::create), not by netlink.
    Tun(Tun),
    /// Takes traffic redirected for shaping.
    Ifb,
    /// Takes everything, sends nothing.
    Dummy,
    /// A kind that nslab reads by name only, and makes with the kernel's defaults.
    Other(String),
}

impl LinkKind {
    /// The kernel's name for it (`IFLA_INFO_KIND`).
    pub fn name(&self) -> &str {
        match self {
            Self::Veth(_) => "veth",
            Self::Bridge(_) => "bridge",
            Self::Vxlan(_) => "vxlan",
            Self::Macvlan(_) => "macvlan",
            Self::Ipvlan(_) => "ipvlan",
            Self::Vlan(_) => "vlan",
            Self::Vrf(_) => "vrf",
            Self::Tunnel(tunnel) => tunnel.encapsulation.name(),
            Self::Geneve(_) => "geneve",
            Self::Bond(_) => "bond",
            Self::Wireguard => "wireguard",
            Self::Tun(_) => "tun",
            Self::Ifb => "ifb",
            Self::Dummy => "dummy",
            Self::Other(name) => name,
        }
    }

    /// The build option without which a kernel does not know the kind; none for kinds nslab has not heard of.
    pub fn config_option(&self) -> Option<&'static str> {
        Some(match self.name() {
            "veth" => "CONFIG_VETH",
            "bridge" => "CONFIG_BRIDGE",
            "vxlan" => "CONFIG_VXLAN",
            "macvlan" => "CONFIG_MACVLAN",
            "macvtap" => "CONFIG_MACVTAP",
            "ipvlan" => "CONFIG_IPVLAN",
            "ipvtap" => "CONFIG_IPVTAP",
            "vlan" => "CONFIG_VLAN_8021Q",
            "vrf" => "CONFIG_NET_VRF",
            "tun" => "CONFIG_TUN",
            "ifb" => "CONFIG_IFB",
            "dummy" => "CONFIG_DUMMY",
            "bond" => "CONFIG_BONDING",
            "team" => "CONFIG_NET_TEAM",
            "wireguard" => "CONFIG_WIREGUARD",
            "geneve" => "CONFIG_GENEVE",
            "gre" | "gretap" | "erspan" => "CONFIG_NET_IPGRE",
            "ip6gre" | "ip6gretap" => "CONFIG_IPV6_GRE",
            "ipip" => "CONFIG_NET_IPIP",
            "sit" => "CONFIG_IPV6_SIT",
            "ip6tnl" => "CONFIG_IPV6_TUNNEL",
            "vti" => "CONFIG_NET_IPVTI",
            "xfrm" => "CONFIG_XFRM_INTERFACE",
            "netkit" => "CONFIG_NETKIT",
            "nlmon" => "CONFIG_NLMON",
            _ => return None,
        })
    }
}

/// The other end of a veth pair, made in its final namespace with its final name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VethPeer {
    /// Its name.
    pub name: IfName,
    /// The number it shall have.
    pub index: Option<IfIndex>,
    /// The namespace it is made in; the descriptor must be open when the request is sent.
    pub namespace: Option<std::os::fd::RawFd>,
    /// Its MAC.
    pub mac: Option<MacAddr>,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
    /// Its group.
    pub group: u32,
    /// Transmit and receive queues.
    pub queues: Option<u32>,
}

impl VethPeer {
    /// An end of this name, in the namespace of the socket, with all else left to the kernel.
    pub fn new(name: IfName) -> Self {
        Self { name, index: None, namespace: None, mac: None, mtu: None, group: 0, queues: None }
    }
}

/// A bridge's settings (`IFLA_BR_*`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Spanning tree.
    pub stp: Option<bool>,
    /// VLAN filtering. A new bridge never filters unless told, so `Some(false)` is as good as `None` when making one
    /// (and no refusal from a kernel without `CONFIG_BRIDGE_VLAN_FILTERING`).
    pub vlan_filtering: Option<bool>,
    /// Multicast snooping.
    pub multicast_snooping: Option<bool>,
    /// Lifetime of a learned FDB entry in centiseconds (`USER_HZ`).
    pub ageing_time: Option<u32>,
    /// Time a port spends listening and learning, in centiseconds.
    pub forward_delay: Option<u32>,
    /// Link-local groups that are forwarded nevertheless (LLDP, LACP): bit n for 01:80:c2:00:00:0n.
    pub group_forward_mask: Option<u16>,
    /// The VLAN of untagged frames on new ports, 0 to 4094; 0 is none.
    pub default_pvid: Option<u16>,
}

/// A VXLAN's settings (`IFLA_VXLAN_*`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vxlan {
    /// The network identifier, 24 bits.
    pub vni: u32,
    /// The remote tunnel end or multicast group.
    pub remote: Option<IpAddr>,
    /// The local tunnel end.
    pub local: Option<IpAddr>,
    /// The UDP port; the IANA one is 4789, the kernel's own default 8472.
    pub port: Option<u16>,
    /// The interface it sends by.
    pub lower: Option<IfIndex>,
    /// Learn remote ends from traffic.
    pub learning: Option<bool>,
    /// TTL of the outer header; 0 is the kernel's choice.
    pub ttl: Option<u8>,
}

/// A macvlan's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Macvlan {
    /// Who of the siblings reaches whom.
    pub mode: MacvlanMode,
}

/// `IFLA_MACVLAN_MODE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MacvlanMode {
    /// Siblings do not reach each other.
    Private,
    /// Siblings reach each other through the outside switch.
    Vepa,
    /// Siblings reach each other.
    Bridge,
    /// The lower interface is handed through to one.
    Passthru,
    /// Frames are taken from listed source MACs.
    Source,
}

/// An ipvlan's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipvlan {
    /// The layer it works at. All that lie on one interface have the same.
    pub mode: IpvlanMode,
    /// How it deals with its like on the same interface; they all do alike.
    #[serde(default)]
    pub siblings: IpvlanSiblings,
}

/// `IFLA_IPVLAN_FLAGS`: what becomes of packets of one ipvlan for another on the same interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpvlanSiblings {
    /// They get them.
    #[default]
    Bridge,
    /// They do not get them (`IPVLAN_F_PRIVATE`).
    Private,
    /// They go out, and get there if they are sent back from outside (`IPVLAN_F_VEPA`).
    Vepa,
}

/// `IFLA_IPVLAN_MODE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpvlanMode {
    /// Layer 2.
    L2,
    /// Layer 3.
    L3,
    /// Layer 3 with netfilter.
    L3s,
}

/// A VLAN's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vlan {
    /// The VLAN, 0 to 4094.
    pub id: u16,
    /// The tag's protocol.
    pub protocol: VlanProtocol,
}

/// `IFLA_VLAN_PROTOCOL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VlanProtocol {
    /// IEEE 802.1Q, `0x8100`.
    #[serde(rename = "802.1q")]
    Dot1Q,
    /// IEEE 802.1ad, `0x88a8`.
    #[serde(rename = "802.1ad")]
    Dot1Ad,
}

/// A VRF's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vrf {
    /// Its routing table.
    pub table: u32,
}

/// A program's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tun {
    /// The layer it works at.
    pub mode: TunMode,
    /// It stays when no program holds it.
    pub persistent: bool,
    /// The user who may attach to it besides the privileged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
}

/// The layer of a [`Tun`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TunMode {
    /// IP packets (`IFF_TUN`).
    Tun,
    /// Ethernet frames (`IFF_TAP`).
    Tap,
}
