//! Generic routing encapsulation (RFC 2784, RFC 2890).

use serde::Serialize;

use crate::data::{Broken, Data};
use crate::layers::{Decoded, Network, Walk, ethertype, network, of_ethernet};

/// A packet or a frame in a packet of IP.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Gre<'a> {
    /// 0, or 1 of PPTP's (RFC 2637), which is not read.
    pub version: u8,
    /// Checksum 0x8000, routing 0x4000, key 0x2000, sequence 0x1000, as they stand there.
    pub flags: u16,
    /// What it carries, an `EtherType`: 0x6558 for a frame.
    pub protocol: u16,
    /// The tunnel's number.
    pub key: Option<u32>,
    /// The packet's number.
    pub sequence: Option<u32>,
    /// What it carries.
    #[serde(flatten)]
    pub payload: Tunnelled<'a>,
    /// From the header on.
    #[serde(skip)]
    pub data: Data<'a>,
}

/// What is in a packet of GRE.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tunnelled<'a> {
    /// A frame.
    Frame(Box<Decoded<'a>>),
    /// A packet.
    Packet(Box<Network<'a>>),
    /// Something that is not read.
    Payload(Data<'a>),
    /// Something that could not be read.
    Broken(Broken),
}

pub(crate) const CHECKSUM: u16 = 0x8000;
pub(crate) const ROUTING: u16 = 0x4000;
pub(crate) const KEY: u16 = 0x2000;
pub(crate) const SEQUENCE: u16 = 0x1000;

pub(crate) fn read<'a>(data: Data<'a>, walk: Walk<'_>) -> Result<Gre<'a>, Broken> {
    let broken = Broken::of("gre");
    let [f0, f1, p0, p1] = *data.header().map_err(&broken)?;
    let (flags, protocol) = (u16::from_be_bytes([f0, f1]), u16::from_be_bytes([p0, p1]));
    let version = f1 & 7;
    if version != 0 {
        let payload = Tunnelled::Payload(data.skip(4));
        return Ok(Gre { version, flags, protocol, key: None, sequence: None, payload, data });
    }
    let mut at = if flags & (CHECKSUM | ROUTING) == 0 { 4 } else { 8 };
    let mut field = |flag| -> Result<Option<u32>, Broken> {
        if flags & flag == 0 {
            return Ok(None);
        }
        let value = u32::from_be_bytes(*data.skip(at).header().map_err(&broken)?);
        at += 4;
        Ok(Some(value))
    };
    let (key, sequence) = (field(KEY)?, field(SEQUENCE)?);
    let payload = payload(protocol, flags, data.skip(at), walk).unwrap_or_else(Tunnelled::Broken);
    Ok(Gre { version, flags, protocol, key, sequence, payload, data })
}

fn payload<'a>(protocol: u16, flags: u16, data: Data<'a>, walk: Walk<'_>) -> Result<Tunnelled<'a>, Broken> {
    let walk = walk.down().map_err(Broken::of("gre"))?;
    Ok(match protocol {
        // Routes of variable length would stand in between (RFC 1701), and are out of use.
        _ if flags & ROUTING != 0 => Tunnelled::Payload(data),
        ethertype::TRANSPARENT_ETHERNET => Tunnelled::Frame(Box::new(of_ethernet(data, None, walk))),
        ethertype::IPV4 | ethertype::IPV6 => Tunnelled::Packet(Box::new(network(protocol, data, walk)?)),
        _ => Tunnelled::Payload(data),
    })
}
