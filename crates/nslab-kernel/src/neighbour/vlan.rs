//! VLANs of bridges and their ports (bridge(8), `bridge vlan`; `include/uapi/linux/if_bridge.h`).

use std::fmt;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::abi::*;
use crate::error::{Error, Refusal, Result};
use crate::link::IfIndex;
use crate::netlink::{MessageWriter, Reader, Request, Socket};

/// The bytes of `struct ifinfomsg`.
const HEADER_LEN: usize = 16;

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

impl fmt::Display for ChangeBridgeVlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BridgeVlan { link, vlan, .. } = self.vlan;
        let (verb, way) = if self.delete { ("take", "from") } else { ("give", "to") };
        let what = if self.own { "bridge" } else { "bridge port" };
        write!(f, "{verb} VLAN {vlan} {way} the {what} that is link number {link}")
    }
}

impl Request for ChangeBridgeVlan {
    fn message_type(&self) -> u16 {
        if self.delete { RTM_DELLINK } else { RTM_SETLINK }
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&ifinfomsg(AF_BRIDGE, self.vlan.link, 0, 0));
        message.nested(IFLA_AF_SPEC, |bridge| {
            if self.own {
                bridge.u16(IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_SELF);
            }
            let mut flags = 0;
            if self.vlan.pvid {
                flags |= BRIDGE_VLAN_INFO_PVID;
            }
            if self.vlan.untagged {
                flags |= BRIDGE_VLAN_INFO_UNTAGGED;
            }
            // struct bridge_vlan_info: flags, VLAN.
            let [[a, b], [c, d]] = [flags.to_ne_bytes(), self.vlan.vlan.to_ne_bytes()];
            bridge.attribute(IFLA_BRIDGE_VLAN_INFO, &[a, b, c, d]);
        });
    }

    fn unsupported(&self, refusal: &Refusal) -> Option<Error> {
        (refusal.errno == Errno::OPNOTSUPP).then(|| Error::Unsupported {
            what: "VLAN filtering by bridges".to_owned(),
            option: "CONFIG_BRIDGE_VLAN_FILTERING",
        })
    }
}

/// `RTM_GETLINK` of `PF_BRIDGE` with VLANs, those that follow each other as ranges.
struct GetVlans;

impl fmt::Display for GetVlans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("list VLANs of bridges")
    }
}

impl Request for GetVlans {
    fn message_type(&self) -> u16 {
        RTM_GETLINK
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&ifinfomsg(AF_BRIDGE, 0, 0, 0));
        message.u32(IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED);
    }
}

/// The VLANs of all bridges and ports of the namespace that `socket` belongs to, by interface and VLAN. None where the
/// kernel has no VLAN filtering.
pub fn list(socket: &mut Socket) -> Result<Vec<BridgeVlan>> {
    let ports = socket.dump("VLANs of bridges", &GetVlans, |kind, payload| {
        Ok((kind == RTM_NEWLINK).then(|| parse(payload)).flatten())
    });
    let mut vlans: Vec<BridgeVlan> = match ports {
        // A kernel without CONFIG_BRIDGE.
        Err(Error::Refused { refusal, .. }) if refusal.errno == Errno::OPNOTSUPP => return Ok(Vec::new()),
        ports => ports?.into_iter().flatten().collect(),
    };
    vlans.sort_by_key(|vlan| (vlan.link, vlan.vlan));
    vlans.dedup();
    Ok(vlans)
}

/// Reads the payload of `RTM_NEWLINK` of `PF_BRIDGE`: the VLANs of one port, ranges taken apart.
pub(crate) fn parse(payload: &[u8]) -> Option<Vec<BridgeVlan>> {
    let header = Reader::new(payload);
    if header.u8(0) != AF_BRIDGE {
        return None;
    }
    let link = header.u32(4);
    let mut vlans = Vec::new();
    let mut begin = None;
    for attribute in header.attributes(HEADER_LEN).get(IFLA_AF_SPEC)?.nested() {
        if attribute.kind != IFLA_BRIDGE_VLAN_INFO {
            continue;
        }
        let info = Reader::new(attribute.payload);
        let (flags, vlan) = (info.u16(0), info.u16(2));
        if !(1..=4094).contains(&vlan) {
            continue;
        }
        if flags & BRIDGE_VLAN_INFO_RANGE_BEGIN != 0 {
            begin = Some(vlan);
            continue;
        }
        let first = if flags & BRIDGE_VLAN_INFO_RANGE_END != 0 { begin.take().unwrap_or(vlan) } else { vlan };
        vlans.extend((first..=vlan).map(|vlan| BridgeVlan {
            link,
            vlan,
            pvid: flags & BRIDGE_VLAN_INFO_PVID != 0,
            untagged: flags & BRIDGE_VLAN_INFO_UNTAGGED != 0,
        }));
    }
    Some(vlans)
}
