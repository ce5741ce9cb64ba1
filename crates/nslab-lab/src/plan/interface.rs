//! What plans say of interfaces that are no ends of cables.

use std::fmt;

use nslab_topology::model::{InterfaceKind, PortVlan, WireguardPeer};
use nslab_types::MacAddr;
use serde::{Deserialize, Serialize};

/// What an interface is made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceSettings {
    /// What it is, as far as that is settled when it is made: neither `WireGuard`'s peers nor several remote ends of a
    /// VXLAN.
    pub kind: InterfaceKind,
    /// Its MAC, where it has one of its own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mac: Option<MacAddr>,
    /// Its MTU.
    pub mtu: u32,
}

/// What a `WireGuard` interface is set to. Keys are not part of plans: they are known by node and interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireguardSettings {
    /// The UDP port it listens on.
    pub port: u16,
    /// Its peers.
    pub peers: Vec<WireguardPeer>,
}

/// What of a kind cannot be changed once an interface is made.
pub fn shape(kind: &InterfaceKind) -> InterfaceKind {
    match kind.clone() {
        InterfaceKind::Wireguard { .. } => InterfaceKind::Wireguard { port: 0, peers: Vec::new() },
        InterfaceKind::Vxlan { id, port, local, remotes, link, learning } => {
            let remotes = if remotes.len() == 1 { remotes } else { Vec::new() };
            InterfaceKind::Vxlan { id, port, local, remotes, link, learning }
        }
        kind => kind,
    }
}

impl fmt::Display for InterfaceSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Details(&self.kind))?;
        if let Some(mac) = self.mac {
            write!(f, ", mac {mac}")?;
        }
        write!(f, ", mtu {}", self.mtu)
    }
}

/// A kind and its settings in words.
struct Details<'a>(&'a InterfaceKind);

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())?;
        match self.0 {
            InterfaceKind::Vlan { link, id, protocol } => write!(f, " {id} ({}) on {link}", protocol.name()),
            InterfaceKind::Vxlan { id, port, local, remotes, link, .. } => {
                write!(f, " {id}")?;
                for remote in remotes {
                    write!(f, " to {remote}")?;
                }
                if let Some(local) = local {
                    write!(f, " from {local}")?;
                }
                write!(f, " port {port}")?;
                link.map_or(Ok(()), |link| write!(f, " by {link}"))
            }
            InterfaceKind::Geneve { id, port, remote } => write!(f, " {id} to {remote} port {port}"),
            InterfaceKind::Tunnel { local, remote, key, link, .. } => {
                write!(f, " to {remote}")?;
                if let Some(local) = local {
                    write!(f, " from {local}")?;
                }
                if let Some(key) = key {
                    write!(f, " key {key}")?;
                }
                link.map_or(Ok(()), |link| write!(f, " by {link}"))
            }
            InterfaceKind::Macvlan { link, mode } => write!(f, " {} on {link}", mode.name()),
            InterfaceKind::Ipvlan { link, mode } => write!(f, " {} on {link}", mode.name()),
            InterfaceKind::Bond { mode, .. } => write!(f, " {}", mode.name()),
            InterfaceKind::Vrf { table } => write!(f, " table {table}"),
            InterfaceKind::Tun { owner: Some(owner), .. } => write!(f, " of user {owner}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for WireguardSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}", self.port)?;
        for peer in &self.peers {
            write!(f, ", peer {}:{}", peer.node, peer.interface)?;
            if let Some(endpoint) = peer.endpoint {
                write!(f, " at {endpoint}")?;
            }
            for net in &peer.allowed {
                write!(f, " {net}")?;
            }
            if peer.keepalive != 0 {
                write!(f, " every {} s", peer.keepalive)?;
            }
        }
        Ok(())
    }
}

/// A port's VLAN in words.
pub(super) fn vlan_words(vlan: PortVlan) -> String {
    let pvid = if vlan.pvid { " pvid" } else { "" };
    let untagged = if vlan.untagged { " untagged" } else { "" };
    format!("{}{pvid}{untagged}", vlan.id)
}
