//! Spanning trees (IEEE 802.1D 9.3).

use nslab_types::MacAddr;
use serde::Serialize;

use crate::data::{Broken, Data};

/// What a bridge says to its neighbours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Stp<'a> {
    /// 0 for STP, 2 for RSTP, 3 for MSTP.
    pub version: u8,
    /// 0x00 a configuration, 0x80 a change of the topology, 0x02 one of RSTP's and MSTP's.
    #[serde(rename = "type")]
    pub kind: u8,
    /// Who is where in the tree, unless it only tells of a change.
    pub configuration: Option<StpConfiguration>,
    /// All of it.
    #[serde(skip)]
    pub data: Data<'a>,
}

/// A bridge by its priority and address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct BridgeId {
    /// With RSTP's extension of the system id in the lower 12 bits.
    pub priority: u16,
    /// Its address.
    pub address: MacAddr,
}

/// Where a bridge is in the tree. Times are in 1/256 of a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct StpConfiguration {
    /// Topology change 0x01, proposal 0x02, the port's role 0x0c (1 alternate, 2 root, 3 designated), learning 0x10,
    /// forwarding 0x20, agreement 0x40, change acknowledged 0x80.
    pub flags: u8,
    /// The root of the tree.
    pub root: BridgeId,
    /// How far away it is.
    pub root_cost: u32,
    /// Who speaks.
    pub bridge: BridgeId,
    /// By which port: priority and number.
    pub port: u16,
    /// How old this is.
    pub message_age: u16,
    /// How old it may get.
    pub max_age: u16,
    /// How often the root speaks.
    pub hello_time: u16,
    /// How long a port learns before it forwards.
    pub forward_delay: u16,
}

pub(crate) fn read(data: Data<'_>) -> Result<Stp<'_>, Broken> {
    let broken = Broken::of("stp");
    let [_, _, version, kind] = *data.header().map_err(&broken)?;
    if kind == 0x80 {
        return Ok(Stp { version, kind, configuration: None, data });
    }
    let bytes: &[u8; 31] = data.skip(4).header().map_err(&broken)?;
    let u16 = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let bridge = |at: usize| BridgeId {
        priority: u16(at),
        address: MacAddr(std::array::from_fn(|i| bytes[at + 2 + i])),
    };
    let configuration = StpConfiguration {
        flags: bytes[0],
        root: bridge(1),
        root_cost: u32::from_be_bytes([bytes[9], bytes[10], bytes[11], bytes[12]]),
        bridge: bridge(13),
        port: u16(21),
        message_age: u16(23),
        max_age: u16(25),
        hello_time: u16(27),
        forward_delay: u16(29),
    };
    Ok(Stp { version, kind, configuration: Some(configuration), data })
}
