//! Neighbours (ARP and ND) and bridge forwarding entries, which share one message.

use std::net::IpAddr;

use nslab_types::MacAddr;
use serde::{Deserialize, Serialize};

use crate::link::IfIndex;

/// A neighbour as the kernel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The interface it is behind.
    pub link: IfIndex,
    /// Its address.
    pub address: IpAddr,
    /// Its MAC, once known.
    pub mac: Option<MacAddr>,
    /// `NUD_*` (`include/uapi/linux/neighbour.h`): 0x01 incomplete, 0x02 reachable, 0x04 stale, 0x08 delay,
    /// 0x10 probe, 0x20 failed, 0x40 no ARP, 0x80 permanent.
    pub state: u16,
    /// Answer for it on this interface (`NTF_PROXY`).
    pub proxy: bool,
}

/// Adds or replaces a permanent neighbour, or takes a neighbour of any state away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeNeighbour {
    /// The interface it is behind.
    pub link: IfIndex,
    /// Its address.
    pub address: IpAddr,
    /// Its MAC; `None` takes the neighbour away.
    pub mac: Option<MacAddr>,
}

/// A bridge's or VXLAN's forwarding entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdbEntry {
    /// The port (or the bridge or VXLAN device itself).
    pub link: IfIndex,
    /// The bridge, where the port has one.
    pub master: Option<IfIndex>,
    /// The MAC.
    pub mac: MacAddr,
    /// The VLAN, where filtering is on.
    pub vlan: Option<u16>,
    /// The remote tunnel end, for a VXLAN.
    pub remote: Option<IpAddr>,
    /// It was put there, not learned (`NUD_PERMANENT` or `NUD_NOARP`).
    pub fixed: bool,
    /// It is an address of the bridge itself (`NUD_PERMANENT` without `NTF_EXT_LEARNED`).
    pub local: bool,
}

/// Adds or takes away a static forwarding entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeFdb {
    /// The bridge port or VXLAN device.
    pub link: IfIndex,
    /// Whether `link` is a bridge's port (`NTF_MASTER`) rather than a device with a table of its own (`NTF_SELF`).
    pub port: bool,
    /// The MAC.
    pub mac: MacAddr,
    /// The VLAN.
    pub vlan: Option<u16>,
    /// The remote tunnel end, for a VXLAN.
    pub remote: Option<IpAddr>,
    /// Take it away instead.
    pub delete: bool,
}

/// A VLAN of a bridge or its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeVlan {
    /// The port, or the bridge itself.
    pub link: IfIndex,
    /// The VLAN, 1 to 4094.
    pub vlan: u16,
    /// Untagged frames belong to it.
    pub pvid: bool,
    /// Its frames leave untagged.
    pub untagged: bool,
}

/// Adds or takes away a VLAN of a bridge's port or, with `own`, of the bridge device itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeBridgeVlan {
    /// The VLAN and where.
    pub vlan: BridgeVlan,
    /// The link is the bridge itself (`BRIDGE_FLAGS_SELF`).
    pub own: bool,
    /// Take it away instead.
    pub delete: bool,
}
