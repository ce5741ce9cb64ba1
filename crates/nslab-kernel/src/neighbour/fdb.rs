//! Forwarding entries of bridges and VXLANs (bridge(8), `bridge fdb`).

use std::fmt;
use std::net::IpAddr;

use nslab_types::MacAddr;
use serde::{Deserialize, Serialize};

use super::{HEADER_LEN, mac, ndmsg};
use crate::abi::*;
use crate::error::Result;
use crate::link::{IfIndex, Link, LinkKind};
use crate::netlink::{MessageWriter, Reader, Request, Socket};

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
    /// A program put it there and looks after it (`NTF_EXT_LEARNED`).
    #[serde(default)]
    pub external: bool,
    /// It stays where it is, whatever comes by another port (`NTF_STICKY`).
    #[serde(default)]
    pub sticky: bool,
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

impl fmt::Display for ChangeFdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.delete { "delete" } else { "add" };
        write!(f, "{verb} the forwarding entry for {} by link number {}", self.mac, self.link)?;
        if let Some(vlan) = self.vlan {
            write!(f, " in VLAN {vlan}")?;
        }
        if let Some(remote) = self.remote {
            write!(f, " to {remote}")?;
        }
        Ok(())
    }
}

impl Request for ChangeFdb {
    fn message_type(&self) -> u16 {
        if self.delete { RTM_DELNEIGH } else { RTM_NEWNEIGH }
    }

    fn flags(&self) -> u16 {
        let group = self.mac.0 == [0; 6] || self.mac.0[0] & 1 != 0;
        match (self.delete, self.remote.is_some() && group) {
            (true, _) => 0,
            // Only these may have several remote ends (vxlan_fdb_update, drivers/net/vxlan/vxlan_core.c).
            (false, true) => NLM_F_CREATE | NLM_F_APPEND,
            // In a bridge's table the MAC may stand as one that was learned.
            (false, false) if self.port => NLM_F_CREATE | NLM_F_REPLACE,
            (false, false) => NLM_F_CREATE | NLM_F_EXCL,
        }
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        // "static" to bridge(8): not aged, and not an address of the bridge itself.
        let state = NUD_NOARP | NUD_REACHABLE;
        let flags = if self.port { NTF_MASTER } else { NTF_SELF };
        message.header(&ndmsg(AF_BRIDGE, self.link, state, flags));
        message.attribute(NDA_LLADDR, &self.mac.0);
        if let Some(vlan) = self.vlan {
            message.u16(NDA_VLAN, vlan);
        }
        if let Some(remote) = self.remote {
            message.address(NDA_DST, remote);
        }
    }
}

/// `RTM_GETNEIGH` of `PF_BRIDGE` for all forwarding entries.
struct GetFdb;

impl fmt::Display for GetFdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("list forwarding entries")
    }
}

impl Request for GetFdb {
    fn message_type(&self) -> u16 {
        RTM_GETNEIGH
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&ndmsg(AF_BRIDGE, 0, 0, 0));
    }
}

/// All forwarding entries of the bridges and VXLANs of the namespace that `socket` belongs to, by interface, MAC and
/// VLAN. `links` are the namespace's links: the kernel lists the receive filters of other interfaces (`bridge fdb`
/// shows them as `self permanent`) in the same breath, which are left out.
pub fn list(socket: &mut Socket, links: &[Link]) -> Result<Vec<FdbEntry>> {
    let vxlan = |index: IfIndex| {
        links.iter().any(|link| link.index == index && matches!(link.kind, Some(LinkKind::Vxlan(_))))
    };
    if !links.iter().any(|link| link.as_bridge().is_some() || vxlan(link.index)) {
        return Ok(Vec::new());
    }
    let mut entries = socket.dump("forwarding entries", &GetFdb, |kind, payload| {
        Ok((kind == RTM_NEWNEIGH)
            .then(|| parse(payload))
            .flatten()
            .filter(|entry| entry.master.is_some() || vxlan(entry.link)))
    })?;
    entries.sort_by_key(|entry| (entry.link, entry.mac, entry.vlan, entry.remote));
    Ok(entries)
}

/// Reads the payload of `RTM_NEWNEIGH` of `PF_BRIDGE`.
pub(crate) fn parse(payload: &[u8]) -> Option<FdbEntry> {
    let header = Reader::new(payload);
    if header.u8(0) != AF_BRIDGE {
        return None;
    }
    let (state, flags) = (header.u16(8), header.u8(10));
    let attributes = header.attributes(HEADER_LEN);
    Some(FdbEntry {
        link: header.u32(4),
        master: attributes.get(NDA_MASTER).and_then(|master| master.u32()),
        mac: attributes.get(NDA_LLADDR).and_then(|address| mac(&address))?,
        vlan: attributes.get(NDA_VLAN).and_then(|vlan| vlan.u16()),
        remote: attributes.get(NDA_DST).and_then(|remote| remote.address()),
        fixed: state & (NUD_PERMANENT | NUD_NOARP) != 0,
        external: flags & NTF_EXT_LEARNED != 0,
        sticky: flags & NTF_STICKY != 0,
        local: state & NUD_PERMANENT != 0 && flags & (NTF_EXT_LEARNED | NTF_SELF) == 0,
    })
}
