//! Geneve (RFC 8926).

use serde::Serialize;

use crate::data::{Broken, Data};
use crate::layers::{Tunnelled, Walk, ethertype, network, of_ethernet};

/// A frame or a packet in a datagram.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Geneve<'a> {
    /// For whom ends tunnels 0x80, with options that must be understood 0x40.
    pub flags: u8,
    /// What it carries, an `EtherType`: 0x6558 for a frame.
    pub protocol: u16,
    /// Which network, 24 bits.
    pub vni: u32,
    /// Its options.
    pub options: Data<'a>,
    /// What it carries.
    #[serde(flatten)]
    pub payload: Tunnelled<'a>,
}

pub(crate) const PORT: u16 = 6081;

pub(crate) fn read<'a>(data: Data<'a>, walk: Walk<'_>) -> Result<Geneve<'a>, Broken> {
    let broken = Broken::of("geneve");
    let [first, flags, p0, p1, v0, v1, v2, _] = *data.header().map_err(&broken)?;
    let length = 8 + usize::from(first & 0x3f) * 4;
    data.header_of(length).map_err(&broken)?;
    let (protocol, inner) = (u16::from_be_bytes([p0, p1]), data.skip(length));
    let walk = walk.down().map_err(&broken)?;
    let payload = match protocol {
        ethertype::TRANSPARENT_ETHERNET => Tunnelled::Frame(Box::new(of_ethernet(inner, None, walk))),
        ethertype::IPV4 | ethertype::IPV6 => network(protocol, inner, walk)
            .map_or_else(Tunnelled::Broken, |packet| Tunnelled::Packet(Box::new(packet))),
        _ => Tunnelled::Payload(inner),
    };
    let vni = u32::from_be_bytes([0, v0, v1, v2]);
    Ok(Geneve { flags, protocol, vni, options: data.first(length).skip(8), payload })
}
