//! VXLAN (RFC 7348).

use serde::Serialize;

use crate::data::{Broken, Data};
use crate::layers::{Decoded, Walk, of_ethernet};

/// A frame in a datagram.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Vxlan<'a> {
    /// 0x08: the network's number is valid.
    pub flags: u8,
    /// Which network, 24 bits.
    pub vni: u32,
    /// The frame; without when there are too many in each other.
    pub inner: Option<Box<Decoded<'a>>>,
    /// The frame's bytes.
    #[serde(skip)]
    pub data: Data<'a>,
}

/// Its length in front of the frame.
pub(crate) const HEADER: usize = 8;

/// Whether datagrams between these ports hold frames. The kernel looks at the destination's only
/// (`vxlan_rcv`, `drivers/net/vxlan/vxlan_core.c`).
pub(crate) fn is_port(port: u16, walk: Walk<'_>) -> bool {
    matches!(port, 4789 | 8472) || walk.ports.vxlan.contains(&port)
}

pub(crate) fn read<'a>(data: Data<'a>, walk: Walk<'_>) -> Result<Vxlan<'a>, Broken> {
    let [flags, _, _, _, v0, v1, v2, _] = *data.header::<HEADER>().map_err(Broken::of("vxlan"))?;
    let frame = data.skip(HEADER);
    Ok(Vxlan {
        flags,
        vni: u32::from_be_bytes([0, v0, v1, v2]),
        inner: walk.down().ok().map(|walk| Box::new(of_ethernet(frame, None, walk))),
        data: frame,
    })
}
