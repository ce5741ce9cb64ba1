//! Interfaces of a node that are no ends of cables, as they were described.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use nslab_types::MacAddr;
use serde::{Deserialize, Serialize};

use super::End;
use crate::diagnostic::Spanned;
use crate::model::{BondMode, Encapsulation, IpvlanMode, MacvlanMode, VlanProtocol, kind_name};

/// An interface as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name, addresses, MAC, MTU; [`End::device`] is its node, and [`End::interface`] is always there.
    pub end: End,
    /// What it is.
    pub kind: InterfaceKind,
}

/// What an [`Interface`] is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceKind {
    /// One VLAN on another interface.
    Vlan {
        /// The interface below.
        link: Spanned<String>,
        /// The VLAN, 1 to 4094.
        id: Spanned<u16>,
        /// The tag's protocol.
        protocol: VlanProtocol,
    },
    /// Ethernet over UDP.
    Vxlan {
        /// The network identifier.
        id: Spanned<u32>,
        /// The UDP port.
        port: u16,
        /// The local end's address, chosen if none.
        local: Option<Spanned<IpAddr>>,
        /// The remote ends.
        remotes: Vec<Spanned<Remote>>,
        /// The interface it sends by.
        link: Option<Spanned<String>>,
        /// Learns from traffic.
        learning: bool,
    },
    /// Ethernet over UDP, with options.
    Geneve {
        /// The network identifier.
        id: Spanned<u32>,
        /// The UDP port.
        port: u16,
        /// The remote end.
        remote: Spanned<Remote>,
    },
    /// IP or Ethernet in GRE or IP.
    Tunnel {
        /// How packets are wrapped.
        encapsulation: Encapsulation,
        /// The local end's address, chosen if none.
        local: Option<Spanned<IpAddr>>,
        /// The remote end.
        remote: Spanned<Remote>,
        /// The key of GRE.
        key: Option<u32>,
        /// TTL of the outer header.
        ttl: u8,
        /// The interface it sends by.
        link: Option<Spanned<String>>,
    },
    /// WireGuard.
    Wireguard {
        /// The UDP port it listens on.
        port: Spanned<u16>,
        /// Its peers.
        peers: Vec<Spanned<WireguardPeer>>,
    },
    /// A further MAC on another interface.
    Macvlan {
        /// The interface below.
        link: Spanned<String>,
        /// Its mode.
        mode: MacvlanMode,
    },
    /// Further addresses on another interface.
    Ipvlan {
        /// The interface below.
        link: Spanned<String>,
        /// Its mode.
        mode: IpvlanMode,
    },
    /// Takes everything, sends nothing.
    Dummy,
    /// Several interfaces as one.
    Bond {
        /// Its members.
        members: Vec<Spanned<String>>,
        /// Its mode.
        mode: BondMode,
        /// Every how long carriers are looked at.
        miimon: Duration,
        /// The member that is preferred; the first one if none, in modes that prefer one.
        primary: Option<Spanned<String>>,
    },
    /// Several interfaces on one segment.
    Bridge {
        /// Its members.
        members: Vec<Spanned<String>>,
        /// Spanning tree.
        stp: bool,
    },
    /// A routing domain.
    Vrf {
        /// Its members.
        members: Vec<Spanned<String>>,
        /// Its table.
        table: Spanned<u32>,
    },
    /// A program's interface.
    Tun {
        /// It carries Ethernet frames.
        tap: bool,
        /// Its user.
        owner: Option<u32>,
    },
}

/// The other end of a tunnel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remote {
    /// By address.
    Address(IpAddr),
    /// By node.
    Node {
        /// The node.
        node: String,
        /// The interface whose address is meant; the nearest if none.
        interface: Option<String>,
    },
}

impl FromStr for Remote {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match (text.parse(), text.split_once(':')) {
            (Ok(address), _) => Self::Address(address),
            (_, Some((node, interface))) => {
                Self::Node { node: node.to_owned(), interface: Some(interface.to_owned()) }
            }
            _ => Self::Node { node: text.to_owned(), interface: None },
        })
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Node { node, interface: None } => f.write_str(node),
            Self::Node { node, interface: Some(interface) } => write!(f, "{node}:{interface}"),
        }
    }
}

/// A peer of a WireGuard interface as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireguardPeer {
    /// The peer's node.
    pub node: Spanned<String>,
    /// Its interface; the one that names this one as its peer if none.
    pub interface: Option<Spanned<String>>,
    /// Where it is.
    pub endpoint: Endpoint,
    /// What may come from it; its addresses and what is routed to it, if none.
    pub allowed: Option<Vec<IpNet>>,
    /// Every how long something is sent to it.
    pub keepalive: Option<Duration>,
}

/// Where a peer is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// At the nearest of its addresses and its port.
    #[default]
    Auto,
    /// It calls, and is known from then on.
    None,
    /// At this address, on its port.
    Address(Spanned<IpAddr>),
    /// At this address and port.
    Socket(SocketAddr),
}

impl InterfaceKind {
    /// The interface that it is on and cannot be without.
    pub(crate) fn link(&self) -> Option<&Spanned<String>> {
        match self {
            Self::Vlan { link, .. } | Self::Macvlan { link, .. } | Self::Ipvlan { link, .. } => Some(link),
            Self::Vxlan { link, .. } | Self::Tunnel { link, .. } => link.as_ref(),
            _ => None,
        }
    }

    /// The interfaces that it has as members.
    pub(crate) fn members(&self) -> &[Spanned<String>] {
        match self {
            Self::Bond { members, .. } | Self::Bridge { members, .. } | Self::Vrf { members, .. } => members,
            _ => &[],
        }
    }

    /// The remote ends by which it is tunnelled.
    pub(crate) fn remotes(&self) -> Vec<&Spanned<Remote>> {
        match self {
            Self::Vxlan { remotes, .. } => remotes.iter().collect(),
            Self::Geneve { remote, .. } | Self::Tunnel { remote, .. } => vec![remote],
            _ => Vec::new(),
        }
    }

    /// Packets that go by it are wrapped and go by another interface.
    pub(crate) fn is_tunnel(&self) -> bool {
        matches!(
            self,
            Self::Vxlan { .. } | Self::Geneve { .. } | Self::Tunnel { .. } | Self::Wireguard { .. }
        )
    }

    /// It carries Ethernet frames, so that it can be below a VLAN or in a bridge.
    pub(crate) fn is_ethernet(&self) -> bool {
        match self {
            Self::Tunnel { encapsulation, .. } => encapsulation.is_ethernet(),
            Self::Tun { tap, .. } => *tap,
            Self::Wireguard { .. } | Self::Vrf { .. } => false,
            _ => true,
        }
    }

    /// Its `type` with an article.
    pub(crate) fn with_article(&self) -> String {
        let name = self.name();
        let article = if name.starts_with("ip") { "an" } else { "a" };
        format!("{article} {name}")
    }

    /// Its `type` in a lab file.
    pub(crate) fn name(&self) -> &'static str {
        kind_name!(self)
    }
}

/// A VLAN of a VLAN-aware switch as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchVlan {
    /// The VLAN.
    pub id: Spanned<u16>,
    /// The subnets that automatic addresses come from: at most one of each family.
    pub subnets: Vec<Spanned<IpNet>>,
}

/// A forwarding entry of a switch as it was described.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdbEntry {
    /// The MAC.
    pub mac: MacAddr,
    /// The VLAN; that of the port's untagged frames if none.
    pub vlan: Option<Spanned<u16>>,
    /// The port, by its name.
    pub port: Spanned<String>,
}
