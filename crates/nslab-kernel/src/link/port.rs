//! Ports of a bridge.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::IfIndex;
use crate::abi::*;
use crate::netlink::{Attributes, MessageWriter, Request};

/// A bridge port's settings (`IFLA_BRPORT_*`, `include/uapi/linux/if_link.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgePort {
    /// STP state: 0 disabled, 1 listening, 2 learning, 3 forwarding, 4 blocking.
    pub state: u8,
    /// Frames are not sent between isolated ports.
    pub isolated: bool,
    /// Source addresses are learned.
    pub learning: bool,
    /// Frames for unknown addresses are sent out.
    pub unicast_flood: bool,
    /// Frames for groups that nobody is known to have joined are sent out.
    pub multicast_flood: bool,
    /// Broadcasts, ARP's among them, are sent out.
    pub broadcast_flood: bool,
    /// A frame may go out by the port it came in by.
    pub hairpin: bool,
}

impl Default for BridgePort {
    /// As a port is that has just joined a bridge without spanning tree.
    fn default() -> Self {
        Self {
            state: 3,
            isolated: false,
            learning: true,
            unicast_flood: true,
            multicast_flood: true,
            broadcast_flood: true,
            hairpin: false,
        }
    }
}

impl BridgePort {
    /// Reads `IFLA_INFO_SLAVE_DATA`; a setting that an older kernel does not know is as by default.
    pub(super) fn parse(data: Attributes<'_>) -> Self {
        let mut port = Self::default();
        for attribute in data {
            let Some(value) = attribute.u8() else { continue };
            match attribute.kind {
                IFLA_BRPORT_STATE => port.state = value,
                IFLA_BRPORT_MODE => port.hairpin = value != 0,
                IFLA_BRPORT_LEARNING => port.learning = value != 0,
                IFLA_BRPORT_UNICAST_FLOOD => port.unicast_flood = value != 0,
                IFLA_BRPORT_MCAST_FLOOD => port.multicast_flood = value != 0,
                IFLA_BRPORT_BCAST_FLOOD => port.broadcast_flood = value != 0,
                IFLA_BRPORT_ISOLATED => port.isolated = value != 0,
                _ => {}
            }
        }
        port
    }
}

/// Changes what is given of a bridge port's settings, leaves the rest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetBridgePort {
    /// The interface, which is in a bridge already.
    pub index: IfIndex,
    /// STP state; refused with `EBUSY` while the bridge runs spanning tree itself, and with `ENETDOWN` while the port is
    /// down. A bridge without spanning tree turns 4 (blocking) into 3 (forwarding) at once: to close a port take 0.
    pub state: Option<u8>,
    /// Frames are not sent between isolated ports (kernel 4.18).
    pub isolated: Option<bool>,
    /// Source addresses are learned.
    pub learning: Option<bool>,
    /// Frames for unknown addresses are sent out.
    pub unicast_flood: Option<bool>,
    /// Frames for groups that nobody is known to have joined are sent out.
    pub multicast_flood: Option<bool>,
    /// Broadcasts, ARP's among them, are sent out.
    pub broadcast_flood: Option<bool>,
    /// A frame may go out by the port it came in by.
    pub hairpin: Option<bool>,
}

impl SetBridgePort {
    /// Sets everything as in `port`.
    pub fn all(index: IfIndex, port: BridgePort) -> Self {
        Self {
            index,
            state: Some(port.state),
            isolated: Some(port.isolated),
            learning: Some(port.learning),
            unicast_flood: Some(port.unicast_flood),
            multicast_flood: Some(port.multicast_flood),
            broadcast_flood: Some(port.broadcast_flood),
            hairpin: Some(port.hairpin),
        }
    }
}

impl fmt::Display for SetBridgePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "change the bridge port that is link number {}", self.index)
    }
}

impl Request for SetBridgePort {
    fn message_type(&self) -> u16 {
        RTM_NEWLINK
    }

    fn write(&self, message: &mut MessageWriter<'_>) {
        message.header(&ifinfomsg(AF_UNSPEC, self.index, 0, 0));
        message.nested(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_SLAVE_KIND, "bridge");
            info.nested(IFLA_INFO_SLAVE_DATA, |data| {
                let settings = [
                    (IFLA_BRPORT_STATE, self.state),
                    (IFLA_BRPORT_ISOLATED, self.isolated.map(u8::from)),
                    (IFLA_BRPORT_LEARNING, self.learning.map(u8::from)),
                    (IFLA_BRPORT_UNICAST_FLOOD, self.unicast_flood.map(u8::from)),
                    (IFLA_BRPORT_MCAST_FLOOD, self.multicast_flood.map(u8::from)),
                    (IFLA_BRPORT_BCAST_FLOOD, self.broadcast_flood.map(u8::from)),
                    (IFLA_BRPORT_MODE, self.hairpin.map(u8::from)),
                ];
                for (kind, value) in settings {
                    if let Some(value) = value {
                        data.u8(kind, value);
                    }
                }
            });
        });
    }
}
